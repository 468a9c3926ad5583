// Who may come in: keys with what each may use and has used, the people of the tenant, and who is locked out.

import { call, may, session } from "../api.js";
import { usedBar } from "../bars.js";
import { attempt, confirmed, fill, h, table, tell, when } from "../dom.js";

const ROLES = { user: "user: asks, and sees what is its person's", operator: "operator: runs the box, sees figures and no texts", admin: "admin: both, and makes keys" };
const LIMITS = [["requests_per_minute", "requests a minute"], ["tokens_per_minute", "tokens a minute"], ["tokens_per_day", "tokens a day"],
  ["cost_per_day", "money a day"], ["cost_per_month", "money a month"]];
const USED = { tokens_per_day: "tokens_today", cost_per_day: "cost_today", cost_per_month: "cost_this_month" };
const figure = (value) => value.toLocaleString("en", { maximumFractionDigits: 4 });

export async function page({ signal }) {
  const place = h("div"), made = h("div");
  const draw = async () => {
    const [keys, people, makes, locks] = await Promise.all([call("/v1/keys", { signal }), call("/v1/people?limit=1000", { signal }), may("POST /v1/keys"), may("GET /v1/lockouts")]);
    const locked = locks ? (await call("/v1/lockouts", { signal })).data : [];
    fill(place, keys.data.length ? null : open(), shown(keys, makes, draw), makes ? making(keys, draw, made) : null, persons(people), locked.length ? lockedOut(locked, draw) : null);
  };
  await draw();
  return [made, place];
}

function open() {
  return h("div", { class: "card" }, h("p", {}, h("strong", { class: "note" }, "This box is open: "), "no key exists, so every program of yours on this machine owns it."),
    h("p", {}, "The first key closes it. It is an admin's, this tab stays signed in with it, and every other program needs a key from then on: make one for each. "
      + "Keep the first: without it, keys are made on the command line alone (", h("code", {}, "netgpt keys create"), ")."));
}

function shown({ data, own, scopes: known }, makes, draw) {
  const rows = (each) => each.map((key) => [
    h("span", {}, h("strong", {}, key.name || "(no name)"), key.id === own ? h("span", { class: "edge" }, " you") : null, h("br"), h("span", { class: "small soft" }, key.id)),
    key.role, key.user ?? "anybody it names", allowed(key), used(key), ending(key),
    makes && key.state === "in force" ? h("span", { class: "row" },
      h("button", { "aria-label": `Change ${key.name || key.id}`, click: () => change(key, known, draw) }, "Change"),
      key.id === own ? null : h("button", { class: "bad", "aria-label": `Revoke ${key.name || key.id}`, click: () => revoke(key, draw) }, "Revoke")) : null]);
  const columns = [["key"], ["role"], ["speaks for"], ["may"], ["used"], ["state"], [makes ? "change" : ""]];
  const now = data.filter((key) => key.state === "in force"), over = data.filter((key) => key.state !== "in force").reverse();
  return [h("h2", {}, "Keys"), table("Keys", columns, rows(now), data.length ? "None is in force." : "None yet."),
    over.length ? h("details", {}, h("summary", {}, `Revoked or expired: ${over.length}`), table("Revoked or expired", columns, rows(over))) : null];
}

const allowed = (key) => [key.scopes ? `only ${key.scopes.join(", ")}` : "all that its role may",
  ...LIMITS.filter(([limit]) => key.limits[limit] !== null).map(([limit, words]) => `${figure(key.limits[limit])} ${words}`),
  key.prefer ? `prefers ${key.prefer}` : null, key.fallback ? `falls back: ${key.fallback}` : null].filter(Boolean).join("; ");

function used(key) {
  const bars = Object.entries(USED).filter(([limit]) => key.limits[limit] !== null).map(([limit, field]) => {
    const words = LIMITS.find(([name]) => name === limit)[1];
    return usedBar(`${figure(key.used[field])} of ${figure(key.limits[limit])} ${words}`, key.used[field], key.limits[limit]);
  });
  const { requests_today: requests, tokens_today: tokens, cost_this_month: cost } = key.used;
  return [bars, h("span", { class: "small soft" }, `today ${figure(requests)} ${requests === 1 ? "request" : "requests"}, ${figure(tokens)} tokens; this month ${figure(cost)} spent`)];
}

const ending = (key) => (key.state !== "in force" ? `${key.state}${key.revoked ? ` ${when(key.revoked)}` : ""}` : key.expires ? `until ${when(key.expires)}` : "in force");

async function revoke(key, draw) {
  if (!(await confirmed(`Revoke ${key.name || key.id}? Whoever uses it is refused from the next request on. This cannot be undone.`, "Revoke"))) return;
  await attempt(() => call(`/v1/keys/${encodeURIComponent(key.id)}`, { method: "DELETE" }), "The key is revoked.", draw);
}

/** Inputs of limits and scopes, and what they say: null is no limit, or every scope. */
function bounds(known, limits = {}, scopes = null) {
  const numbers = LIMITS.map(([limit, words]) => [limit, words, h("input", { type: "number", min: "0", step: "any", size: 8, value: limits[limit] ?? null, placeholder: "no limit", name: limit })]);
  const boxes = known.map((scope) => [scope, h("input", { type: "checkbox", checked: scopes?.includes(scope) ?? false, name: `scope-${scope}` })]);
  return {
    fields: [h("fieldset", {}, h("legend", {}, "Limits (empty: none; days and months end at midnight UTC; money is counted by the prices among the settings, which begin at 0)"), h("div", { class: "row" }, numbers.map(([, words, input]) => h("label", { class: "field" }, words, input)))),
      h("fieldset", {}, h("legend", {}, "Only for (none ticked: all that its role may)"), h("div", { class: "row" }, boxes.map(([scope, box]) => h("label", {}, box, " ", scope))))],
    limits: () => Object.fromEntries(numbers.map(([limit, , input]) => [limit, input.value === "" ? null : Number(input.value)])),
    scopes: () => { const ticked = boxes.filter(([, box]) => box.checked).map(([scope]) => scope); return ticked.length ? ticked : null; },
  };
}

function change(key, known, draw) {
  const dialog = document.getElementById("dialog"), asked = bounds(known, key.limits, key.scopes);
  const save = async (event) => {
    event.preventDefault();
    dialog.close();
    await attempt(() => call(`/v1/keys/${encodeURIComponent(key.id)}`, { method: "PATCH", body: { limits: asked.limits(), scopes: asked.scopes() } }), "It is in force from the next request on.", draw);
  };
  fill(dialog, h("form", { submit: save }, h("h2", { id: "dialog-title" }, `What ${key.name || key.id} may use`), asked.fields,
    h("div", { class: "row" }, h("button", { class: "main" }, "Save"), h("button", { type: "button", click: () => dialog.close() }, "Cancel"))));
  dialog.showModal();
}

function making({ data, scopes: known }, draw, made) {
  const first = !data.length, asked = bounds(known);
  const name = h("input", { name: "name", maxlength: 200, placeholder: first ? "my own key" : "what it is for" }), days = h("input", { name: "expires_days", type: "number", min: "1", max: "36500", placeholder: "never", size: 6 });
  const role = h("select", { name: "role" }, Object.entries(ROLES).map(([value, words]) => h("option", { value }, words))), person = h("input", { name: "user", maxlength: 256, placeholder: "each that it names" });
  if (first) role.value = "admin";
  const make = async (event) => {
    event.preventDefault();
    const body = { name: name.value, role: role.value, ...(first ? {} : { limits: asked.limits(), scopes: asked.scopes(), ...(person.value ? { user: person.value } : {}) }),
      ...(days.value ? { expires_days: Number(days.value) } : {}) };
    await attempt(async () => {
      const key = await call("/v1/keys", { method: "POST", body });
      if (first) session.key = key.secret;
      fill(made, secret(key, first, () => fill(made)));
      made.querySelector("input").focus();
    }, first ? "The box is closed, and this tab is signed in." : "The key is made.", draw);
  };
  const more = first ? null : [h("label", { class: "field" }, "Speaks for", person), h("details", {}, h("summary", {}, "Limits and scopes"), asked.fields)];
  return [h("h2", {}, first ? "Make the first key" : "Make a key"), h("form", { class: "card", submit: make, "aria-label": "Make a key" }, h("div", { class: "row" }, h("label", { class: "field" }, "Name", name),
    first ? null : [h("label", { class: "field" }, "Role", role), h("label", { class: "field" }, "Ends after days", days), more[0]]), more?.[1], h("p", {}, h("button", { class: "main" }, first ? "Close the box with it" : "Make it")))];
}

/** The only time that a secret is shown; it goes with the page. */
function secret(key, first, done) {
  const text = h("input", { readonly: true, value: key.secret, size: 52, "aria-label": "The new key's secret", focus: () => text.select() });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(key.secret);
      tell("It is copied.");
    } catch {
      text.select();
      tell("Copy it by hand: it is marked.");
    }
  };
  return h("div", { class: "card", role: "group", "aria-label": "The new key" }, h("p", {}, h("strong", {}, `The key ${key.name || key.id}. `), "It is shown this once and kept nowhere: copy it now.",
    first ? " This tab uses it already; it forgets it when it is closed." : null),
  h("div", { class: "row" }, text, h("button", { class: "main", click: copy }, "Copy"), h("button", { click: done }, "I have it")));
}

function persons({ data, has_more: more }) {
  return [h("h2", {}, "People"), h("p", { class: "soft small" }, "Figures alone, of today and this month (UTC). Who named nobody stands there as its key.", more ? " Only those who asked last." : null),
    table("People", [["person"], ["keys", true], ["requests today", true], ["this month", true], ["spent today", true], ["this month", true], ["last seen"]], data.map((one) => [
      one.key === null ? one.user : `${one.key || "(no name)"}, a key`, String(one.keys), figure(one.requests_today), figure(one.requests_this_month), figure(one.cost_today), figure(one.cost_this_month),
      one.last_seen ? when(one.last_seen) : "never"]), "Nobody has asked yet.")];
}

function lockedOut(locked, draw) {
  const release = (address) => attempt(() => call(`/v1/lockouts/${encodeURIComponent(address)}`, { method: "DELETE" }), "It may try again.", draw);
  return [h("h2", {}, "Locked out"), h("p", { class: "soft small" }, "Too many wrong keys came from there."), table("Locked out", [["from"], ["seconds left", true], ["change"]], locked.map((each) => {
    const [address] = each.source.split(",");
    return [each.source, String(each.seconds), h("button", { "aria-label": `Let ${each.source} try again`, click: () => release(address) }, "Let in")];
  }))];
}
