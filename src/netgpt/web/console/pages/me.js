// What the box knows of one person, and who looked: theirs to read, change, take away and forget.

import { call, forPerson, mine, session } from "../api.js";
import { consents } from "../consents.js";
import { confirmed, fill, h, table, tell, when } from "../dom.js";
import { proposal, proposed } from "../proposals.js";

const LABELS = { public: "public: may leave", personal: "personal: never leaves", sensitive: "sensitive: never leaves, keeps its question here" };
const SHOWN = 10;

export async function page({ signal }) {
  const place = h("section", { "aria-label": "Facts" });
  const draw = async () => {
    const [profile, waiting] = await Promise.all([call(mine(), { signal }), proposed(signal)]);
    fill(place, h("p", { class: "soft" }, `What this box knows of ${profile.user}, and what it does with it. Nobody else but this tenant's admins may read it, and they leave a record below.`),
      waiting.length ? [h("h2", {}, "Said in passing"), waiting.map((each) => proposal(each, draw))] : null,
      h("h2", {}, "Facts"), facts(profile, draw), adding(draw), completing(profile, draw));
  };
  await draw();
  return [place, await consents(signal), await own(signal), await readers(signal), await speakers(signal), await learnt(signal), ending()];
}

async function attempt(work, done, draw) {
  try {
    await work();
    await draw();
    tell(done);
  } catch (error) {
    tell(error.message);
  }
}

const labels = (chosen) => h("select", { "aria-label": "How personal" }, Object.entries(LABELS).map(([label, words]) => h("option", { value: label, selected: label === chosen }, words)));

function facts(profile, draw) {
  const path = (fact) => `${mine()}/facts/${encodeURIComponent(fact.id)}`;
  const remove = (fact) => attempt(() => call(path(fact), { method: "DELETE" }), "The fact is gone.", draw);
  const rows = profile.facts.map((fact) => {
    const change = (event) => {
      const text = h("input", { value: fact.text, "aria-label": "The fact", required: true, maxlength: 500 }), label = labels(fact.label);
      const keep = (submitted) => {
        submitted.preventDefault();
        return attempt(async () => {
          await call(`${mine()}/facts`, { method: "POST", body: { text: text.value, kind: fact.kind, label: label.value } });
          await call(path(fact), { method: "DELETE" });
        }, "The fact is changed.", draw);
      };
      fill(event.target.closest("td"), h("form", { class: "row", submit: keep }, text, label, h("button", { class: "main" }, "Keep"), h("button", { type: "button", click: draw }, "Cancel")));
      text.focus();
    };
    return [fact.text, fact.kind, fact.label, h("span", { class: "row" }, h("button", { click: change, "aria-label": `Change: ${fact.text}` }, "Change"),
      h("button", { click: () => remove(fact), "aria-label": `Remove: ${fact.text}` }, "Remove"))];
  });
  return table("Facts", [["fact"], ["kind"], ["how personal"], ["change"]], rows, "No fact yet. Say what the box should know, in your own words: \"is vegetarian\".");
}

function adding(draw) {
  const text = h("input", { "aria-label": "A fact", placeholder: "is vegetarian", required: true, maxlength: 500 });
  const kind = h("input", { "aria-label": "Kind, one word", placeholder: "diet", size: 10, maxlength: 32 }), label = labels("personal");
  const add = (event) => {
    event.preventDefault();
    const body = { text: text.value, label: label.value, ...(kind.value.trim() ? { kind: kind.value.trim() } : {}) };
    return attempt(() => call(`${mine()}/facts`, { method: "POST", body }), "The fact is kept.", draw);
  };
  return h("form", { class: "row", submit: add }, text, kind, label, h("button", { class: "main" }, "Add"));
}

function completing(profile, draw) {
  const ways = { "": "as the box is set", select: "with the facts that fit", rewrite: "rewritten by the box", off: "never" };
  const way = h("select", { id: "complete", change: () => attempt(() => call(mine(), { method: "PATCH", body: { complete: way.value || null } }), "It is noted.", draw) },
    Object.entries(ways).map(([value, words]) => h("option", { value, selected: (profile.complete ?? "") === value }, words)));
  return h("p", {}, h("label", { for: "complete" }, "My questions are completed: "), way);
}

async function own(signal) {
  const rows = (await call(forPerson(`/v1/exchanges?limit=${SHOWN}`), { signal })).data;
  return h("section", { "aria-label": "My questions" }, h("h2", {}, "My questions"), table("My questions", [["when"], ["answered by"], ["why"], ["left", true]], rows.map((row) => [
    h("a", { href: `#/exchange/${row.id}` }, when(row.received)), h("span", { class: row.route === "edge" ? "edge" : "cloud" }, row.arm || row.route), row.reason ?? "",
    row.left_bytes ? `${row.left_bytes.toLocaleString("en")} bytes` : "nothing"]), "None yet."),
  h("p", { class: "small soft" }, `The last ${SHOWN}; all are on the page Live, and as conversations on the page Chat.`));
}

async function readers(signal) {
  const rows = (await call(`${mine()}/readings`, { signal })).data;
  return h("section", { "aria-label": "Who read my texts" }, h("h2", {}, "Who read my texts"), table("Who read my texts", [["when"], ["key"], ["what"], ["reason given"]], rows.map((row) => [
    when(row.time), row.by, row.what === "exchange" && row.of ? h("a", { href: `#/exchange/${row.of}` }, "a question and its answer") : row.what, row.reason]), "Nobody but you."));
}

async function speakers(signal) {
  const rows = (await call(`${mine()}/keys`, { signal })).data;
  const state = (key) => (key.revoked ? `revoked ${when(key.revoked)}` : key.expires ? `until ${when(key.expires)}` : "in use");
  return h("section", { "aria-label": "Who speaks for me" }, h("h2", {}, "Who speaks for me"), table("Who speaks for me", [["key"], ["name"], ["role"], ["since"], ["state"]], rows.map((key) => [
    key.id, key.name, key.role, when(key.created), state(key)]), "No key is bound to you."),
  h("p", { class: "small soft" }, "Keys that are bound to nobody belong to applications: they speak for all people of this tenant."));
}

async function learnt(signal) {
  const place = h("section", { "aria-label": "What is learnt from me" });
  const draw = async () => {
    const rows = (await call(`${mine()}/examples`, { signal })).data;
    const remove = async (row) => {
      if (await confirmed("Take this example away? Adapters that learnt from it are dropped.", "Take away")) {
        await attempt(() => call(`${mine()}/examples/${encodeURIComponent(row.id)}`, { method: "DELETE" }), "The example is gone.", draw);
      }
    };
    fill(place, rows.length ? [h("h2", {}, "What is learnt from me"), table("What is learnt from me", [["example, names replaced"], ["adapters"], ["kept"], ["change"]], rows.map((row) => [
      h("details", {}, h("summary", {}, row.messages?.at(-1)?.content?.slice(0, 60) ?? row.id), h("div", { class: "text" }, row.answer)), row.adapters.join(", ") || "none yet", when(row.kept),
      h("button", { click: () => remove(row), "aria-label": `Take away the example of ${when(row.kept)}` }, "Take away")]))] : null);
  };
  await draw();
  return place;
}

function ending() {
  const said = h("p", { role: "status" });
  const save = async () => {
    try {
      const content = JSON.stringify(await call(`${mine()}/export`), null, 1);
      const link = h("a", { href: URL.createObjectURL(new Blob([content], { type: "application/json" })), download: "netgpt-export.json" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (error) {
      tell(error.message);
    }
  };
  const forget = async () => {
    if (!(await confirmed(`Forget ${session.person || "anonymous"}: facts, exchanges, examples and what was learnt from them? This cannot be undone.`, "Forget"))) return;
    try {
      const gone = await call(mine(), { method: "DELETE" });
      dispatchEvent(new Event("forgotten"));
      const counts = Object.entries(gone.removed ?? {}).filter(([, count]) => typeof count === "number" && count > 0).map(([what, count]) => `${count} ${what}`);
      const main = document.getElementById("main");
      fill(main, h("h1", {}, "Me"), h("p", { class: "card", role: "status" }, `${gone.user} is forgotten: ${counts.join(", ") || "there was nothing"}. Receipts keep that something left, not what and not for whom.`),
        h("p", {}, h("a", { href: "#/chat" }, "To the chat")));
      main.focus();
    } catch (error) {
      fill(said, h("span", { class: "bad" }, error.message));
    }
  };
  return h("section", { "aria-label": "Take away, or end" }, h("h2", {}, "Take away, or end"), h("div", { class: "row" }, h("button", { click: save }, "Export everything"), h("button", { click: forget, class: "bad" }, "Forget me")), said);
}
