// Pictures of what became of requests, as small SVG: each says in words what it shows, and has its figures as a table.

import { colourOf } from "./compare.js";
import { h, ms, s, table } from "./dom.js";

const HIGH = 120, FOOT = 16, LEFT = 54;
const wide = () => (innerWidth < 700 ? 330 : 560);
const count = (value) => Number(value).toLocaleString("en", { maximumSignificantDigits: value < 1 ? 3 : 12 });
const percent = (value) => `${Math.round(value * 100)} %`;

/** A step of the usage in words: an hour of the day, or a day. */
const stepName = (usage) => (row) => new Date(row.from).toLocaleString(undefined, usage.by === "hour" ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" });

function picture(title, words, drawn, legend, rows) {
  return h("figure", { class: "card picture" }, h("h2", {}, title), drawn, legend ? h("div", { class: "small legend" }, legend) : null, h("figcaption", { class: "small soft" }, words), rows);
}

/** The figures of a picture, for those who would rather read. */
const asTable = (title, columns, rows) => h("details", { class: "small" }, h("summary", {}, "As a table"), table(title, columns, rows));

function frame(words, most, names, form, ...drawn) {
  const width = wide(), step = Math.max(1, Math.ceil(names.length / (width < 400 ? 4 : 8))), each = (width - LEFT) / Math.max(1, names.length);
  return s("svg", { viewBox: `0 0 ${width} ${HIGH + FOOT + 6}`, class: "chart", role: "img", "aria-label": words },
    s("line", { x1: LEFT, x2: width, y1: HIGH, y2: HIGH, class: "stroke" }), s("line", { x1: LEFT, x2: width, y1: 8, y2: 8, class: "stroke" }),
    s("text", { x: LEFT - 4, y: 12, "text-anchor": "end" }, form(most)), s("text", { x: LEFT - 4, y: HIGH + 3, "text-anchor": "end" }, form(0)),
    names.map((name, at) => (at % step ? null : s("text", { x: LEFT + at * each, y: HIGH + FOOT }, name))), drawn);
}

/** Bars of several parts, one a step. `parts`: [class, figures of a step -> value]. */
function bars(usage, words, parts, form) {
  const rows = usage.data, whole = (row) => parts.reduce((sum, [, of]) => sum + of(row), 0), most = Math.max(...rows.map(whole), 0) || 1;
  const each = (wide() - LEFT) / rows.length;
  return frame(words, most, rows.map(stepName(usage)), form, rows.flatMap((row, at) => {
    let top = HIGH;
    return parts.map(([name, of]) => {
      const high = (of(row) / most) * (HIGH - 8);
      top -= high;
      return high ? s("rect", { x: LEFT + at * each + 1, y: top, width: Math.max(1, each - 2), height: high, class: name }, s("title", {}, `${stepName(usage)(row)}: ${form(of(row))}`)) : null;
    });
  }));
}

/** Lines over the steps; a step without a value is a gap. `parts`: [class, figures of a step -> value or null]. */
function lines(usage, words, parts, form, most) {
  const rows = usage.data, each = (wide() - LEFT) / rows.length, high = most || Math.max(...parts.flatMap(([, of]) => rows.map((row) => of(row) ?? 0)), 0) || 1;
  const drawn = parts.flatMap(([name, of]) => {
    const points = rows.map((row, at) => [LEFT + (at + 0.5) * each, of(row)]).map(([x, value]) => (value === null ? null : [x, HIGH - (value / high) * (HIGH - 8)]));
    const runs = points.reduce((found, point) => { if (point) found.at(-1).push(point); else found.push([]); return found; }, [[]]).filter((run) => run.length);
    return [runs.map((run) => s("polyline", { points: run.map((point) => point.map((value) => value.toFixed(1)).join(",")).join(" "), class: `line ${name}` })),
      points.filter(Boolean).map(([cx, cy]) => s("circle", { cx, cy, r: 2.2, class: `dot ${name}` }))];
  });
  return frame(words, high, rows.map(stepName(usage)), form, drawn);
}

const key = (entries) => entries.map(([name, words]) => [h("span", { class: name, "aria-hidden": "true" }, "■ "), `${words} `]);

/** Requests by hour or day: answered on the box, elsewhere, failed. */
export function traffic(usage) {
  const { total } = usage, parts = [["fill-edge", (row) => row.edge], ["fill-cloud", (row) => row.elsewhere], ["fill-bad", (row) => row.failed]];
  const words = `${count(total.requests)} requests: ${count(total.edge)} answered on the box, ${count(total.elsewhere)} elsewhere, ${count(total.failed)} failed.`;
  return picture("Requests", words, bars(usage, words, parts, count), key([["edge", "box"], ["cloud", "elsewhere"], ["bad", "failed"]]),
    asTable("Requests", [["from"], ["box", true], ["elsewhere", true], ["failed", true]], usage.data.filter((row) => row.requests).map((row) => [stepName(usage)(row), count(row.edge), count(row.elsewhere), count(row.failed)])));
}

/** How much of what was answered was answered here. */
export function kept(usage) {
  const share = (row) => (row.edge + row.elsewhere ? row.edge / (row.edge + row.elsewhere) : null), whole = share(usage.total);
  const words = whole === null ? "Nothing was answered in this time." : `${percent(whole)} of the answers were given on the box.`;
  return picture("Kept on the box", words, lines(usage, words, [["edge", share]], percent, 1), null,
    asTable("Kept on the box", [["from"], ["share", true]], usage.data.filter((row) => share(row) !== null).map((row) => [stepName(usage)(row), percent(share(row))])));
}

/** Money by hour or day, in the owner's unit. */
export function cost(usage) {
  const words = usage.total.cost ? `${count(usage.total.cost)} in all, in the unit of the prices that are set.` : "Nothing was spent, or no prices are set (cloud.price_prompt, cloud.price_completion).";
  return picture("Cost", words, bars(usage, words, [["fill-cloud", (row) => row.cost]], count), null,
    asTable("Cost", [["from"], ["cost", true]], usage.data.filter((row) => row.cost).map((row) => [stepName(usage)(row), count(row.cost)])));
}

/** How long whole answers took. */
export function latency(usage) {
  const { p50_ms: half, p95_ms: most } = usage.total;
  const words = half === null ? "No whole answer in this time." : `Half of the whole answers took ${ms(half)} or less, 95 of 100 took ${ms(most)} or less.`;
  return picture("Time to the whole answer", words, lines(usage, words, [["cloud", (row) => row.p50_ms], ["note", (row) => row.p95_ms]], (value) => (value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`)),
    key([["cloud", "half"], ["note", "95 of 100"]]), asTable("Time", [["from"], ["half", true], ["95 of 100", true]], usage.data.filter((row) => row.p50_ms !== null).map((row) => [stepName(usage)(row), ms(row.p50_ms), ms(row.p95_ms)])));
}

/** What was hidden in what left, by kind. */
export function kinds(usage) {
  const found = Object.entries(usage.total.hidden).sort(([, one], [, other]) => other - one), most = Math.max(1, ...found.map(([, times]) => times));
  const all = found.reduce((sum, [, times]) => sum + times, 0), width = wide();
  const words = found.length ? `${count(all)} values were hidden in what left: ${found.map(([kind, times]) => `${kind} ${count(times)}`).join(", ")}.` : "Nothing had to be hidden in this time.";
  const drawn = found.slice(0, 12).map(([kind, times], at) => [s("text", { x: 110, y: at * 20 + 15, "text-anchor": "end" }, kind),
    s("rect", { x: 116, y: at * 20 + 3, width: Math.max(2, (times / most) * (width - 170)), height: 15, class: `bar-${colourOf(kind)}` }),
    s("text", { x: 122 + (times / most) * (width - 170), y: at * 20 + 15 }, count(times))]);
  return picture("Hidden, by kind", words, s("svg", { viewBox: `0 0 ${width} ${Math.max(1, Math.min(12, found.length)) * 20 + 6}`, class: "chart", role: "img", "aria-label": words }, drawn), null,
    found.length > 12 ? asTable("Hidden, by kind", [["kind"], ["times", true]], found.map(([kind, times]) => [kind, count(times)])) : null);
}

const OTHER_PARTS = ["edge", "detector", "store", "encoder", "relevance"];

/** The box, its own model, and whom it may ask: state and time on each line. `signals`: null where one may not see them. */
export function linkMap(parts, signals) {
  const links = signals?.links ?? {}, names = [...new Set([...Object.keys(links), ...Object.keys(parts)])]
    .filter((name) => !OTHER_PARTS.includes(name) && (links[name] || !parts[name]?.detail?.startsWith("no ")));
  const width = wide(), high = Math.max(90, names.length * 52 + 16), middle = high / 2, right = width - 108;
  const told = names.map((name) => state(name, parts[name], links[name]));
  const words = [`The box ${parts.edge?.ok ? "has a model of its own that answers" : "has no model of its own that answers now"}.`, ...told.map((each) => each.words), names.length ? "" : "Nobody else may be asked: all stays here."].filter(Boolean).join(" ");
  const drawn = told.map((each, at) => {
    const y = (at + 0.5) * (high / names.length), x = 118;
    return [s("line", { x1: x, y1: middle, x2: right, y2: y, class: `link ${each.name}`, "stroke-dasharray": each.away ? "4 4" : null }),
      s("text", { x: (x + right) / 2, y: (middle + y) / 2 - 5, "text-anchor": "middle", class: `over ${each.name}` }, each.label),
      s("rect", { x: right, y: y - 17, width: 106, height: 34, rx: 6, class: "node" }), s("text", { x: right + 53, y: y - 1, "text-anchor": "middle", class: "ink" }, each.target.slice(0, 15)),
      s("text", { x: right + 53, y: y + 12, "text-anchor": "middle" }, each.sort)];
  });
  const busy = signals?.box?.engine_slots ? `${signals.box.engine_busy} of ${signals.box.engine_slots} at work` : "";
  return picture("Links", words, s("svg", { viewBox: `0 0 ${width} ${high}`, class: "chart", role: "img", "aria-label": words }, drawn,
    s("rect", { x: 2, y: middle - 24, width: 116, height: 48, rx: 8, class: "node" }), s("text", { x: 60, y: middle - 8, "text-anchor": "middle", class: "ink" }, "this box"),
    s("text", { x: 60, y: middle + 6, "text-anchor": "middle", class: parts.edge?.ok ? "fill-edge" : "fill-bad" }, parts.edge?.ok ? "its model answers" : "no model answers"), s("text", { x: 60, y: middle + 19, "text-anchor": "middle" }, busy)), null, null);
}

function state(target, part, link) {
  const away = part ? !part.ok : link?.last_outcome && link.last_outcome !== "ok", failing = (link?.failures?.value ?? 0) > 0.2;
  const time = link?.rtt_s ? ms(link.rtt_s.value * 1000) : link?.first_byte_s ? ms(link.first_byte_s.value * 1000) : "";
  const sort = link?.load ? "neighbour" : "elsewhere", how = away ? "away" : failing ? "failing" : link?.calls ? "well" : "not asked yet";
  return { target, away, sort, name: away ? "bad" : failing ? "note" : "cloud", label: [time, how === "well" ? "" : how].filter(Boolean).join(", ") || "well",
    words: `${target} (${sort}): ${how}${time ? `, ${time} there and back` : ""}${link?.calls ? `, ${count(link.calls)} calls, ${count(link.failed)} failed` : ""}.` };
}

/** Watts as they were seen while the page is open. `seen`: [moment in ms, watts]. */
export function power(seen) {
  const now = seen.at(-1)?.[1], width = wide(), most = Math.max(1, ...seen.map(([, watts]) => watts)), first = seen[0]?.[0] ?? 0, span = Math.max(1, (seen.at(-1)?.[0] ?? 0) - first);
  const words = now === undefined ? "No sensor on this machine tells its power." : `${now.toFixed(1)} W now; ${most.toFixed(1)} W at most since this page was opened.`;
  if (now === undefined) return picture("Energy", words, null, null, null);
  const points = seen.map(([at, watts]) => `${(LEFT + ((at - first) / span) * (width - LEFT)).toFixed(1)},${(HIGH - (watts / most) * (HIGH - 8)).toFixed(1)}`).join(" ");
  return picture("Energy", words, frame(words, most, [], (value) => `${Math.round(value)} W`, s("polyline", { points, class: "line edge" })), null, null);
}
