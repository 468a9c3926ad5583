// Exchanges as they happen, newest first, filtered by the box over all that it keeps, and older ones page by page.

import { call, forPerson, session } from "../api.js";
import { byHour } from "../charts.js";
import { fill, h, ms, table, tell, when } from "../dom.js";
import { listen } from "../stream.js";

const PAGE = 50, MOST = 400, PICTURE_MS = 30_000, LOOKS = 20;
const STATES = ["complete", "failed", "cancelled", "dry_run"], ROUTES = [["edge", "on the box"], ["cloud", "elsewhere"], ["none", "nowhere"]];

export async function page({ signal }) {
  const place = h("div"), picture = h("div"), state = h("span", { role: "status", class: "soft" }, "○ not live yet");
  const news = h("button", { type: "button", hidden: true, click: () => draw(true) }), older = h("button", { type: "button" }, "Older");
  const kinds = h("datalist", { id: "kinds" }), filter = filters(() => begin(), kinds);
  let rows = [], next = null, drawn = 0, timer = 0, stop = new AbortController();

  const path = (name, more = "") => forPerson(`/v1/exchanges${name}?asked=true${filter.query()}${more}`);
  const add = (found) => {
    const known = new Map(rows.map((row) => [row.id, row]));
    for (const row of found) known.set(row.id, row);
    rows = [...known.values()].sort((one, other) => (one.received === other.received ? (one.id < other.id ? 1 : -1) : one.received < other.received ? 1 : -1));
  };
  const draw = (now = false) => {
    clearTimeout(timer);
    timer = 0;
    const held = !now && drawn && place.matches(":hover, :focus-within"), more = rows.length - drawn;
    news.hidden = !held || more <= 0;
    news.textContent = `${more} new: show`;
    if (held && more > 0) return;  // nothing moves under the reader's hands
    drawn = rows.length;
    fill(place, listed(rows, next ? "None among the newer ones. Older ones were not looked at yet." : "None."));
    older.hidden = !next;
  };
  const soon = () => { timer ||= setTimeout(draw, 250); };
  const load = async (before = "") => {
    let wanted = rows.length + 1;
    for (let looks = 0; looks < LOOKS && rows.length < wanted; looks += 1) {  // where hardly any fit, the box looks on
      const mine = stop.signal, found = await call(path("", `&limit=${PAGE}${before && `&before=${before}`}`), { signal: mine });
      add(found.data);
      before = next = found.next;
      if (!next) wanted = 0;
    }
    draw(true);
  };
  const begin = async () => {
    stop.abort();
    stop = new AbortController();
    signal.addEventListener("abort", () => stop.abort(), { once: true });
    rows = [];
    const mine = stop.signal;
    listen(path("/stream"), { signal: mine, heard, told: (live, why) => {
      state.textContent = live ? "● live" : `○ not live: ${why}`;
      state.className = live ? "edge" : "bad";
    } });
    try {
      await load();
    } catch (error) {
      if (!mine.aborted) tell(error.message);
    }
  };
  const heard = (name, row) => {
    if (name === "again") return void load().catch((error) => tell(error.message));
    add([row]);
    if (rows.length > MOST && !next) rows.length = MOST;
    soon();
  };
  const paint = async () => {
    const usage = await call(forPerson("/v1/usage?by=hour&last=24"), { signal });
    fill(picture, byHour(usage));
    fill(kinds, Object.keys(usage.total.hidden).map((kind) => h("option", { value: kind })));
  };
  older.addEventListener("click", () => load(next).catch((error) => tell(error.message)));
  place.addEventListener("mouseleave", () => draw());
  place.addEventListener("focusout", () => setTimeout(draw));
  const again = setInterval(() => { if (!document.hidden) paint().catch(() => {}); }, PICTURE_MS);
  signal.addEventListener("abort", () => { clearInterval(again); clearTimeout(timer); stop.abort(); });
  await Promise.all([begin(), paint()]);
  const whose = session.person ? `Those of ${session.person}.` : "Those that this key may see. What others asked is not in this list.";
  return [h("p", { class: "soft small" }, whose), picture, filter.form, h("div", { class: "row" }, state, news), place, older];
}

/** What the list is filtered by, as a form, and as a part of an address. */
function filters(changed, kinds) {
  const choice = (name, label, all, options) => h("label", {}, `${label} `, h("select", { name, change: changed }, h("option", { value: "" }, all),
    options.map((each) => (Array.isArray(each) ? h("option", { value: each[0] }, each[1]) : h("option", {}, each)))));
  const text = (name, label, more = {}) => h("label", {}, `${label} `, h("input", { name, type: "search", maxlength: 128, size: 12, change: changed, ...more }));
  const form = h("form", { class: "row filters", "aria-label": "Filter", submit: (event) => event.preventDefault() },
    choice("route", "Answered", "anywhere", ROUTES), choice("status", "State", "any", STATES), text("model", "Model"),
    text("hidden", "Hidden kind", { list: "kinds", placeholder: "EMAIL" }), kinds, text("words", "Reason has"), h("button", { type: "reset", click: () => setTimeout(changed) }, "Clear"));
  const query = () => [...new FormData(form)].filter(([, value]) => value.trim()).map(([name, value]) =>
    `&${name}=${encodeURIComponent(name === "hidden" ? value.trim().toUpperCase() : value.trim())}`).join("");
  return { form, query };
}

function listed(rows, none) {
  const hidden = (finds) => Object.entries(finds ?? {}).map(([kind, times]) => `${times} ${kind}`).join(", ");
  const asks = rows.some((row) => row.asked !== undefined), people = rows.some((row) => row.person !== undefined);
  const columns = [["when"], ...(people ? [["who"]] : []), ...(asks ? [["asked"]] : []), ["answered by"], ["left", true], ["hidden"], ["time", true], ["cost", true], ["state"], ["why"]];
  return table("Exchanges", columns, rows.map((row) => [
    h("a", { href: `#/exchange/${row.id}` }, when(row.received)), ...(people ? [row.person ?? ""] : []), ...(asks ? [h("span", { class: "asked" }, row.asked ?? "")] : []),
    h("span", { class: row.route === "edge" ? "edge" : "cloud" }, row.arm || row.route),
    row.left_bytes ? `${row.left_bytes.toLocaleString("en")} B` : "nothing", hidden(row.finds), ms(row.timings_ms?.total), String(row.cost || ""),
    h("span", { class: row.status === "failed" ? "bad" : null }, row.status), h("span", { class: "soft why" }, row.reason ?? ""),
  ]), none);
}

/** Run `look` again and again while the page is shown and seen. A failure is passed over: the next look may go well. */
export function follow(signal, look, every = 2000) {
  const timer = setInterval(async () => {
    if (document.hidden) return;
    try {
      await look();
    } catch { /* the box may be starting again */ }
  }, every);
  signal.addEventListener("abort", () => clearInterval(timer));
}
