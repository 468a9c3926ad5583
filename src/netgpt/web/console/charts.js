// Small pictures as SVG, each with a text that says the same.

import { h, s } from "./dom.js";

/** Bars of the last hours: requests answered on the box and elsewhere. `rows`: exchanges, newest first. */
export function byHour(rows, hours = 24) {
  const now = Math.floor(Date.now() / 3_600_000);
  const counts = Array.from({ length: hours }, () => ({ edge: 0, cloud: 0 }));
  for (const row of rows) {
    const at = hours - 1 - (now - Math.floor(Date.parse(row.received) / 3_600_000));
    if (at >= 0 && at < hours) counts[at][row.route === "edge" ? "edge" : "cloud"] += 1;
  }
  const most = Math.max(1, ...counts.map((each) => each.edge + each.cloud)), width = 600 / hours;
  const bars = counts.flatMap((each, at) => {
    const low = (each.edge / most) * 90, high = (each.cloud / most) * 90, x = at * width + 1;
    return [
      s("rect", { x, y: 100 - low, width: width - 2, height: low, class: "fill-edge" }),
      s("rect", { x, y: 100 - low - high, width: width - 2, height: high, class: "fill-cloud" }),
    ];
  });
  const kept = rows.length ? Math.round((100 * rows.filter((row) => row.route === "edge").length) / rows.length) : 0;
  const words = `${rows.length} requests shown, ${kept} % answered on the box; at most ${most} in an hour of the last ${hours}.`;
  return h("figure", { class: "card" },
    s("svg", { viewBox: "0 0 600 115", class: "chart", role: "img", "aria-label": words }, bars,
      s("line", { x1: 0, x2: 600, y1: 100, y2: 100, class: "stroke" }),
      s("text", { x: 0, y: 112 }, `${hours} h ago`), s("text", { x: 600, y: 112, "text-anchor": "end" }, "now")),
    h("figcaption", { class: "small soft" }, words, " ", h("span", { class: "edge" }, "■ box "), h("span", { class: "cloud" }, "■ elsewhere")));
}

/** Where a request's time went: one bar a stage. `timings`: milliseconds by stage. */
export function waterfall(timings) {
  const stages = Object.entries(timings).filter(([name]) => !["total", "first_token"].includes(name));
  const whole = Math.max(1, timings.total ?? 0, stages.reduce((sum, [, value]) => sum + value, 0));
  let at = 0;
  const rows = stages.map(([name, value], row) => {
    const x = 110 + (at / whole) * 420, width = Math.max(1.5, (value / whole) * 420);
    at += value;
    return s("g", {}, s("text", { x: 104, y: row * 18 + 13, "text-anchor": "end" }, name),
      s("rect", { x, y: row * 18 + 3, width, height: 12, class: "fill-cloud" }),
      s("text", { x: Math.min(x + width + 4, 545), y: row * 18 + 13 }, `${value.toFixed(1)} ms`));
  });
  const words = stages.map(([name, value]) => `${name} ${value.toFixed(1)} ms`).join(", ");
  return s("svg", { viewBox: `0 0 600 ${stages.length * 18 + 6}`, class: "chart", role: "img", "aria-label": words }, rows);
}
