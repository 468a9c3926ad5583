// Small pictures as SVG, each with a text that says the same.

import { h, s } from "./dom.js";

/** Bars of the last hours: requests answered on the box, elsewhere, and failed. `usage`: what `/v1/usage` tells. */
export function byHour(usage) {
  const hours = usage.data, parts = [["edge", "fill-edge"], ["elsewhere", "fill-cloud"], ["failed", "fill-bad"]];
  const most = Math.max(1, ...hours.map((each) => each.requests)), width = 600 / hours.length;
  const bars = hours.flatMap((each, at) => {
    let top = 100;
    return parts.map(([name, colour]) => {
      const height = (each[name] / most) * 90;
      top -= height;
      return s("rect", { x: at * width + 1, y: top, width: width - 2, height, class: colour });
    });
  });
  const { total } = usage, kept = total.requests ? Math.round((100 * total.edge) / total.requests) : 0;
  const hidden = Object.values(total.hidden).reduce((sum, count) => sum + count, 0);
  const words = [`${total.requests.toLocaleString("en")} requests in ${hours.length} hours`, `${kept} % answered on the box`, `${hidden.toLocaleString("en")} values hidden`,
    total.failed ? `${total.failed} failed` : "", total.p50_ms ? `half within ${Math.round(total.p50_ms).toLocaleString("en")} ms` : "", total.cost ? `cost ${Number(total.cost.toPrecision(3))}` : ""].filter(Boolean).join(", ");
  return h("figure", { class: "card" },
    s("svg", { viewBox: "0 0 600 115", class: "chart", role: "img", "aria-label": words }, bars,
      s("line", { x1: 0, x2: 600, y1: 100, y2: 100, class: "stroke" }),
      s("text", { x: 0, y: 112 }, `${hours.length} h ago`), s("text", { x: 600, y: 112, "text-anchor": "end" }, `now, at most ${most} an hour`)),
    h("figcaption", { class: "small soft" }, `${words}. `, h("span", { class: "edge" }, "■ box "), h("span", { class: "cloud" }, "■ elsewhere "), h("span", { class: "bad" }, "■ failed")));
}

/** Where a request's time went: one bar a stage, and a line where the first word came. `timings`: milliseconds by stage. */
export function waterfall(timings) {
  const stages = Object.entries(timings).filter(([name]) => !["total", "first_token"].includes(name));
  const whole = Math.max(1, timings.total ?? 0, stages.reduce((sum, [, value]) => sum + value, 0));
  const first = timings.first_token, place = (value) => 110 + (value / whole) * 420, height = stages.length * 18 + 6;
  let at = 0;
  const rows = stages.map(([name, value], row) => {
    const x = place(at), width = Math.max(1.5, (value / whole) * 420);
    at += value;
    return s("g", {}, s("text", { x: 104, y: row * 18 + 13, "text-anchor": "end" }, name),
      s("rect", { x, y: row * 18 + 3, width, height: 12, class: "fill-cloud" }),
      s("text", { x: Math.min(x + width + 4, 545), y: row * 18 + 13 }, `${value.toFixed(1)} ms`));
  });
  const mark = first === undefined ? [] : [s("line", { x1: place(first), x2: place(first), y1: 0, y2: height, class: "stroke-first" }),
    s("text", { x: place(first) + (first > whole / 2 ? -4 : 4), y: height + 10, "text-anchor": first > whole / 2 ? "end" : "start" }, `first word ${first.toFixed(1)} ms`)];
  const words = [...stages.map(([name, value]) => `${name} ${value.toFixed(1)} ms`), ...(first === undefined ? [] : [`first word after ${first.toFixed(1)} ms`]),
    ...(timings.total === undefined ? [] : [`all in ${timings.total.toFixed(1)} ms`])].join(", ");
  return [s("svg", { viewBox: `0 0 600 ${height + 16}`, class: "chart", role: "img", "aria-label": words }, rows, mark),
    timings.total === undefined ? null : h("p", { class: "small soft" }, `${timings.total.toFixed(0)} ms in all.`)];
}
