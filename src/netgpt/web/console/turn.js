// One question and its answer: the words as they come, and under them who answered, why, with what, and what left.

import { call, session } from "./api.js";
import { copyButton, fill, h, tell } from "./dom.js";
import { readable } from "./markdown.js";

const EVERY_MS = 80;
const SURE = [[0.9, "the box is sure of it"], [0.7, "the box is fairly sure"], [0.45, "the box is not sure"], [0, "the box thinks it may be wrong"]];
const SOURCES = { profile: "your profile", clock: "the clock", site: "where this box stands", location: "where you are", places: "places nearby" };

/** How far an answer may be believed, in words. `chance`: 0 to 1. */
export const believed = (chance) => `${SURE.find(([least]) => chance >= least)[1]} (${Math.round(chance * 100)} %)`;

/** The cards of a turn, and the ways to fill them. */
export function turnOf(words) {
  const text = h("div", { class: "answer" }), foot = h("div", { class: "small soft" }), below = h("div");
  const box = h("div", { class: "turn box card" }, text, foot, below), you = h("div", { class: "turn you card text" }, words);
  let shown = 0, later = 0, whole = "";
  const draw = () => { shown = Date.now(); clearTimeout(later); later = 0; fill(text, readable(whole)); };
  return {
    nodes: [you, box],
    get whole() { return whole; },
    thinking(what = "thinking") { fill(foot, h("span", { class: "dots" }, what)); },
    add(more) {
      whole += more;
      if (Date.now() - shown >= EVERY_MS) draw(); else if (!later) later = setTimeout(draw, EVERY_MS);
    },
    /** It ended: `note` says how, where it did not end well. */
    end(told = {}, note = null, ...more) {
      draw();
      fill(foot, note, told.exchange && told.route ? about(told) : null, whole ? tools(told, whole) : null, more);
    },
    below(...nodes) { below.append(...nodes); },
  };
}

/** Who answered and why; what was added, and from where; what left. */
function about(told) {
  const { explain = {} } = told, hidden = explain.hidden ?? [], facts = explain.facts ?? [];
  const onBox = told.route === "edge", left = explain.left ?? Boolean(explain.outbound);
  const counted = `${hidden.length} hidden`;
  return [
    h("div", {}, h("strong", { class: onBox ? "edge" : "cloud" }, onBox ? "answered on the box" : `answered by ${told.arm}`), told.reason ? ` · ${told.reason}` : "",
      told.finished_by ? ` · begun there, finished by ${told.finished_by}` : "", told.cached ? " · an older answer, as nobody can be asked now" : ""),
    told.confidence?.chance !== undefined ? h("div", {}, believed(told.confidence.chance), told.confidence.reasons?.length ? `: ${told.confidence.reasons.join("; ")}` : "") : null,
    facts.length ? h("div", {}, "completed with: ", facts.map((fact) => `${fact.text} (from ${SOURCES[fact.source] ?? fact.source})`).join("; ")) : null,
    h("div", {}, left ? `${counted} · ` : "nothing left · ", h("a", { href: `#/exchange/${told.exchange}` }, "what left, and why")),
  ];
}

/** Copy, and thumbs: pressed again, the opinion is taken back. */
function tools(told, whole) {
  let opinion = told.rating ?? 0;
  const rate = async (value) => {
    const wanted = value === opinion ? 0 : value;
    try {
      await call("/v1/feedback", { method: "POST", body: { exchange: told.exchange, rating: wanted, ...(session.person ? { user: session.person } : {}) } });
    } catch (error) {
      return tell(error.message);
    }
    opinion = wanted;
    draw();
    return tell(wanted > 0 ? "Thank you: noted as good." : wanted < 0 ? "Noted as bad." : "Your opinion is taken back.");
  };
  const thumb = (value, label, name) => h("button", { type: "button", class: "quiet", click: () => rate(value), "aria-label": label }, name);
  const good = thumb(1, "A good answer", "Good"), bad = thumb(-1, "A bad answer", "Bad");
  const draw = () => { good.setAttribute("aria-pressed", opinion > 0); bad.setAttribute("aria-pressed", opinion < 0); };
  draw();
  return h("div", { class: "row" }, copyButton(() => whole, "Copy the answer"), told.exchange ? [good, bad] : null);
}
