// Exchanges as they happen, newest first, and older ones page by page.

import { call, forPerson, session } from "../api.js";
import { byHour } from "../charts.js";
import { fill, h, ms, table, when } from "../dom.js";

const EVERY_MS = 2000, PAGE = 50;

export async function page({ signal }) {
  const place = h("div"), picture = h("div"), words = h("input", { type: "search", "aria-label": "Filter", placeholder: "Filter: cloud, failed, ..." });
  let rows = (await call(forPerson(`/v1/exchanges?limit=${PAGE}`), { signal })).data, drawn = "";
  const draw = () => {
    const wanted = words.value.trim().toLowerCase();
    const shown = rows.filter((row) => !wanted || [row.status, row.route, row.arm, row.model, row.reason, row.person ?? ""]
      .some((each) => String(each ?? "").toLowerCase().includes(wanted)));
    const now = JSON.stringify([wanted, shown.map((row) => [row.id, row.status])]);
    if (now === drawn) return;  // nothing moves under the reader's hands
    drawn = now;
    fill(picture, byHour(rows));
    fill(place, table("Exchanges", [["when"], ["asked by"], ["answered by"], ["why"], ["ms", true], ["tokens", true], ["cost", true], ["state"]],
      shown.map((row) => [
        h("a", { href: `#/exchange/${row.id}` }, when(row.received)), row.person ?? "",
        h("span", { class: row.route === "edge" ? "edge" : "cloud" }, row.arm || row.route), row.reason ?? "",
        ms(row.timings_ms?.total), String(row.usage?.total_tokens ?? ""), String(row.cost || ""),
        h("span", { class: row.status === "failed" ? "bad" : null }, row.status),
      ])));
  };
  const more = h("button", { click: async () => {
    const older = (await call(forPerson(`/v1/exchanges?limit=${PAGE}&before=${rows.at(-1)?.id ?? ""}`), { signal })).data;
    rows = rows.concat(older);
    more.disabled = older.length < PAGE;
    draw();
  } }, "Older");
  more.disabled = rows.length < PAGE;
  words.addEventListener("input", draw);
  follow(signal, async () => {
    const newest = (await call(forPerson(`/v1/exchanges?limit=${PAGE}`), { signal })).data;
    const known = new Set(newest.map((row) => row.id));
    rows = newest.concat(rows.filter((row) => !known.has(row.id)));
    draw();
  });
  draw();
  const whose = session.person ? `Those of ${session.person}.` : "Those of everybody whose figures this key may see; texts are not in this list.";
  return [h("p", { class: "soft small" }, whose), picture, h("div", { class: "row" }, words), place, more];
}

/** Run `look` again and again while the page is shown and seen. A failure is passed over: the next look may go well. */
export function follow(signal, look, every = EVERY_MS) {
  const timer = setInterval(async () => {
    if (document.hidden) return;
    try {
      await look();
    } catch { /* the box may be starting again */ }
  }, every);
  signal.addEventListener("abort", () => clearInterval(timer));
}
