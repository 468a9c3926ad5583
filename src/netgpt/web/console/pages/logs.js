// Logs: what the box wrote about itself, by level, followed as it comes. It holds no texts and no keys.

import { call } from "../api.js";
import { fill, h } from "../dom.js";
import { follow } from "./live.js";

const SHOWN = 1000;

export async function page({ signal }) {
  const level = h("select", { id: "level" }, ["debug", "info", "warning", "error"].map((each) => h("option", { value: each, selected: each === "info" }, each)));
  const words = h("input", { type: "search", "aria-label": "Filter the log", placeholder: "Filter: cloud, key_...", size: 28 });
  const place = h("div"), said = h("p", { class: "soft small" });
  const following = h("input", { type: "checkbox", id: "follow", checked: true });
  let rows = [], next = null, skipped = false, asked = 0;
  const query = (more) => `/v1/logs?${new URLSearchParams({ level: level.value, q: words.value.trim(), limit: "500", ...more })}`;
  const draw = () => {
    said.textContent = skipped ? "Older messages are in the file alone: netgpt logs --lines 10000." : "";
    fill(place, rows.length ? h("ol", { class: "log", "aria-label": "Messages, newest first" }, [...rows].reverse().map(entry)) : h("p", { class: "soft" }, "No message of this kind."));
  };
  const anew = async () => {
    const mine = ++asked, told = await call(query({}), { signal });
    if (mine !== asked) return;
    ({ data: rows, next, skipped } = told);
    draw();
  };
  const more = async () => {
    if (!following.checked || !next) return following.checked && anew();
    const mine = asked, told = await call(query({ after: next }), { signal });
    if (mine !== asked) return;
    next = told.next;
    if (told.data.length) {
      rows = [...rows, ...told.data].slice(-SHOWN);
      draw();
    }
  };
  const failing = (work) => () => work().catch((error) => signal.aborted || fill(place, h("p", { class: "bad", role: "alert" }, error.message)));
  level.addEventListener("change", failing(anew));
  words.addEventListener("change", failing(anew));
  words.addEventListener("input", () => { clearTimeout(words.timer); words.timer = setTimeout(failing(anew), 250); });
  await anew();
  follow(signal, more);
  return [h("p", { class: "soft small" }, "What the box says of itself: no texts, no names, no keys. A key stands here as its id (key_...), which the page Keys tells: filter by that. The file is netgpt.log in its home."),
    h("div", { class: "row", role: "search" }, h("label", { for: "level" }, "At least ", level), words, h("label", { for: "follow" }, following, " follow")), said, place];
}

const COLOUR = { ERROR: "bad", CRITICAL: "bad", WARNING: "note", DEBUG: "soft" };

const entry = (row) => h("li", {}, h("span", { class: "soft" }, `${row.time.slice(0, 19)} `), h("strong", { class: COLOUR[row.level] ?? "" }, row.level.toLowerCase()), ` ${row.source}: `,
  h("span", { class: "text" }, row.message));
