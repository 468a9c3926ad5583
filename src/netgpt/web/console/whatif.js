// What would have changed a decision: sliders over what went into it, and who would have answered then, by the box's own rules.

import { call, forPerson } from "./api.js";
import { fill, h, ms, s, table } from "./dom.js";

const WAIT_MS = 120, NAMES = { edge: "the box", cloud: "the cloud" };
const named = (target) => NAMES[target] ?? target ?? "nobody";

/** The card of an exchange; nothing where nothing was chosen. */
export async function whatIf(id, signal) {
  const path = forPerson(`/v1/exchanges/${encodeURIComponent(id)}/what-if`);
  const ask = (body) => call(path, { method: "POST", body, signal });
  let first;
  try {
    first = await ask({});
  } catch {
    return null;  // of another time, or not this key's
  }
  if (!first.weighed) return h("p", { class: "card soft" }, `${first.why[0].toUpperCase()}${first.why.slice(1)}.`);
  const verdict = h("p", { class: "verdict", role: "status" }), figures = h("div"), sliders = slidersOf(first.inputs, () => soon());
  let timer = 0, asked = 0;
  const show = (answer) => {
    const same = answer.best === first.best_then;
    fill(verdict, h("span", { class: answer.best === "edge" ? "edge" : "cloud" }, named(answer.best)), same ? " answers, as it was weighed then" : ` would answer, not ${named(first.best_then)}`);
    fill(figures, values(answer));
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = asked += 1;
      try {
        const answer = await ask(sliders.body());
        if (mine === asked) show(answer);
      } catch (error) {
        if (!signal.aborted) fill(verdict, h("span", { class: "bad" }, error.message));
      }
    }, WAIT_MS);
  };
  show(first);
  return h("div", { class: "card" }, verdict, h("form", { class: "sliders", "aria-label": "What if", reset: () => setTimeout(() => { sliders.told(); soon(); }) },
    sliders.rows, h("p", {}, h("button", { type: "reset", class: "quiet" }, "As it was"))),
  first.changes.length ? h("p", { class: "small" }, "Each of these alone would have changed it: ", first.changes.map((each) =>
    h("button", { type: "button", class: "quiet", click: () => { sliders.set(each); soon(); } }, `${words(each)}: ${named(each.best)}`))) : null,
  first.answered !== first.best_then ? h("p", { class: "small soft" }, `${named(first.answered)} answered: a conversation stays with its model, one is tried now and then, or one failed (rule: ${first.rule}).`) : null,
  figures);
}

function words({ what, of, to }) {
  if (what === "rtt") return `${ms(to * 1000)} to ${named(of)}`;
  if (what === "price") return `${to} times the price of ${named(of)}`;
  if (what === "difficulty") return `difficulty ${to}`;
  return what === "waiting" ? `${to} waiting on the box` : `prefer ${to}`;
}

/** The controls; `body()`: what differs from how it was. */
function slidersOf(inputs, changed) {
  const controls = [], log = { to: (value) => 100 * Math.log10(value), from: (at) => 10 ** (at / 100) }, plain = { to: Number, from: Number };
  const slider = (key, label, was, from, to, step, scale, spell) => {
    const told = h("output", {}), input = h("input", { type: "range", min: scale.to(from), max: scale.to(to), step, value: scale.to(Math.min(Math.max(was, from), to)), "aria-label": label });
    const begin = input.value;
    const tell = () => { told.textContent = spell(value()); input.setAttribute("aria-valuetext", told.textContent); };
    const value = () => (input.value === begin ? was : scale.from(Number(input.value)));
    input.addEventListener("input", () => { tell(); changed(); });
    tell();
    controls.push({ key, input, tell, is: () => input.value !== begin, value, put: (to) => { input.value = scale.to(to); tell(); } });
    return h("div", {}, h("label", {}, `${label}: `, told), input);
  };
  const rows = [
    ...Object.entries(inputs.rtt_ms).map(([target, was]) => slider(["rtt_ms", target], `Round trip to ${named(target)}`, was, 1, 10_000, 1, log, (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`)),
    ...Object.keys(inputs.price).map((target) => slider(["price", target], `Price of ${named(target)}`, 1, 0.01, 1000, 1, log, (value) => `${Number(value.toPrecision(2))} times`)),
    inputs.difficulty === null ? null : slider(["difficulty"], "Chance that a small model does", inputs.difficulty, 0.01, 0.99, 0.01, plain, (value) => `${Math.round(100 * value)} %`),
    slider(["waiting"], "Answers waiting on the box", inputs.waiting, 0, 32, 1, plain, String),
  ];
  const prefer = h("select", { change: changed }, inputs.presets.map((each) => h("option", { value: each, selected: each === inputs.prefer }, each)));
  if (!inputs.presets.includes(inputs.prefer)) prefer.prepend(h("option", { value: "", selected: true }, inputs.prefer));
  rows.push(h("div", {}, h("label", {}, "Prefer ", prefer)));
  const body = () => {
    const found = prefer.value && prefer.value !== inputs.prefer ? { prefer: prefer.value } : {};
    for (const each of controls.filter((one) => one.is())) {
      const [name, target] = each.key;
      if (target) found[name] = { ...found[name], [target]: each.value() }; else found[name] = each.value();
    }
    return found;
  };
  const set = ({ what, of, to }) => {
    if (what === "prefer") prefer.value = to;
    else controls.find(({ key }) => key[0] === (what === "rtt" ? "rtt_ms" : what) && (!key[1] || key[1] === of))?.put(what === "rtt" ? to * 1000 : to);
  };
  return { rows, body, set, told: () => controls.forEach((each) => each.tell()) };
}

function values({ expected, best }) {
  const most = Math.max(0.01, ...expected.map((each) => Math.abs(each.lead ?? 0)));
  const bar = (value) => s("svg", { viewBox: "0 0 100 10", width: 100, height: 10, "aria-hidden": "true" },
    s("rect", { x: 0, y: 1, width: (100 * value) / most, height: 8, class: "fill-cloud" }));
  const shown = table("What each target was expected to give", [["target"], ["will do", true], ["time", true], ["cost", true], ["exposed", true], ["value", true], ["ruled out by"]],
    expected.map((each) => [each.arm, `${Math.round(each.p_ok * 100)} %`, ms(each.latency_s * 1000), each.cost ? String(Number(each.cost.toPrecision(3))) : "0", `${Math.round(each.exposure * 100)} %`,
      each.lead === null ? "" : [bar(Math.max(0, each.lead)), ` ${each.lead.toFixed(3)}`], each.ruled_out ?? ""]), "None was weighed.");
  expected.forEach((each, at) => shown.querySelectorAll?.("tbody tr")[at]?.classList.toggle("best", each.arm === best));
  return shown;
}
