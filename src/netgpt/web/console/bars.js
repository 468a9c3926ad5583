// Lines and bars of figures that change, as small SVG; each has a text that says the same.

import { h, s } from "./dom.js";

/** How much of what is allowed is used: a bar, and the words beside it. */
export function usedBar(words, used, allowed) {
  const share = Math.min(1, used / allowed);
  const fill = share >= 1 ? "fill-bad" : share >= 0.8 ? "fill-note" : "fill-edge";
  return h("div", { class: "used" }, s("svg", { viewBox: "0 0 100 8", class: "bar", role: "img", "aria-label": `${Math.round(share * 100)} % used`, preserveAspectRatio: "none" },
    s("rect", { x: 0, y: 0, width: 100, height: 8, class: "rest" }), s("rect", { x: 0, y: 0, width: share * 100, height: 8, class: fill })),
  h("span", { class: "small" }, words));
}

/** A share of 1 as a bar with its figure, such as how often a model does. `from`, `to`: how sure that is. */
export function shareBar(name, share, from, to) {
  const words = `${Math.round(share * 100)} %${to > from ? ` (${Math.round(from * 100)} to ${Math.round(to * 100)})` : ""}`;
  return [h("span", {}, name), s("svg", { viewBox: "0 0 100 8", class: "bar", role: "img", "aria-label": `${name}: ${words}`, preserveAspectRatio: "none" },
    s("rect", { x: 0, y: 0, width: 100, height: 8, class: "rest" }), s("rect", { x: 0, y: 0, width: share * 100, height: 8, class: "fill-cloud" }),
    to > from ? s("rect", { x: from * 100, y: 3, width: (to - from) * 100, height: 2, class: "sure" }) : null), h("span", { class: "small n" }, words)];
}

/** The last values of something, without axes: for a cell of a table. */
export function sparkLine(values, words) {
  if (values.length < 2) return null;
  const low = Math.min(...values), span = Math.max(...values) - low || 1, step = 96 / (values.length - 1);
  const points = values.map((value, at) => `${(2 + at * step).toFixed(1)},${(18 - ((value - low) / span) * 16).toFixed(1)}`).join(" ");
  return s("svg", { viewBox: "0 0 100 20", class: "spark", role: "img", "aria-label": words }, s("polyline", { points, class: "line-cloud" }));
}

/** The loss of a training by how far it is: of each step, and held out. `points`: [share done, loss, held out or null]. */
export function lossLine(points) {
  if (points.length < 2) return null;
  const values = points.flatMap(([, loss, held]) => (held === null ? [loss] : [loss, held]));
  const most = Math.max(...values), least = Math.min(...values, most - 0.1), y = (value) => 10 + ((most - value) / (most - least)) * 130;
  const x = (share) => 44 + share * 546, line = (each) => each.map(([share, value]) => `${x(share).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const held = points.filter((each) => each[2] !== null).map(([share, , value]) => [share, value]), last = points.at(-1);
  const words = `The loss went from ${points[0][1].toFixed(2)} to ${last[1].toFixed(2)}${held.length ? `; on held-out examples it is ${held.at(-1)[1].toFixed(2)}` : ""}.`;
  return h("figure", {}, s("svg", { viewBox: "0 0 600 165", class: "chart", role: "img", "aria-label": words },
    s("line", { x1: 44, x2: 590, y1: 140, y2: 140, class: "stroke" }), s("text", { x: 40, y: 14, "text-anchor": "end" }, most.toFixed(2)),
    s("text", { x: 40, y: 143, "text-anchor": "end" }, least.toFixed(2)), s("text", { x: 44, y: 157 }, "begun"), s("text", { x: 590, y: 157, "text-anchor": "end" }, "all epochs"),
    s("polyline", { points: line(points), class: "line-cloud" }), held.length ? s("polyline", { points: line(held), class: "line-edge" }) : null,
    held.map(([share, value]) => s("circle", { cx: x(share), cy: y(value), r: 3, class: "fill-edge" }))),
  h("figcaption", { class: "small soft" }, words, " ", h("span", { class: "cloud" }, "■ of each step "), held.length ? h("span", { class: "edge" }, "■ held out") : null));
}
