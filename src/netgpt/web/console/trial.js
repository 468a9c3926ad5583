// What would leave of a text: under the rules in force, and beside it under others, with what those change.

import { colourOf, compared } from "./compare.js";
import { h, table } from "./dom.js";

const MOST = 40;

/** `written`: the text; `trial`: the answer of POST /v1/privacy/try. */
export function outcomes(written, trial) {
  const { now, then } = trial;
  return [
    trial.cloud_is_pretended ? h("p", { class: "note small" }, "No cloud is configured, so nothing ever leaves: this is what would leave if there was one.") : null,
    now ? h("div", { class: "two" }, h("section", { class: "card", "aria-label": "Written" }, h("h2", {}, "Written"), h("div", { class: "text" }, now.text === null ? written : compared(written, now.text, now.hidden)[0])),
      one(written, now, then ? `Now (${now.policy})` : ""), then ? one(written, then, `Then (${then.policy})`) : null) : null,
    now && then ? h("p", { class: then.text === now.text ? "soft" : "note", role: "status" }, told(now, then)) : null,
    now ? decided(now, then ? "Found, and decided now" : "Found, and decided") : null,
    then ? decided(then, "Found, and decided then") : null,
    trial.difference ? changes(trial.difference) : null,
  ];
}

function told(now, then) {
  if (now.leaves !== then.leaves) return then.leaves ? "It stays on the box now, and would leave then." : "It leaves now, and would stay on the box then.";
  return now.text === then.text ? "Both let the same leave of this text." : "What leaves of this text differs.";
}

function one(written, outcome, title) {
  const head = [title, outcome.leaves ? "Would leave" : "Nothing would leave"].filter(Boolean).join(": ");
  return h("section", { class: "card", "aria-label": head }, h("h2", {}, head), outcome.leaves
    ? h("div", { class: "text" }, compared(written, outcome.text, outcome.hidden)[1]) : h("p", {}, outcome.kept_because ?? ""));
}

function decided(outcome, title) {
  const coarser = (each) => (["exact", each.was].includes(each.now) ? "as it is" : each.now);
  const rows = [
    ...outcome.hidden.map((each) => [h("mark", { class: colourOf(each.kind) }, each.placeholder), each.kind, each.rule, each.policy_rule]),
    ...outcome.generalised.map((each) => [coarser(each), each.kind, each.rule, each.policy_rule]),
    ...outcome.kept.map((each) => ["kept on the box", each.kind, "", each.policy_rule]),
  ];
  return [h("h3", {}, title), table(title, [["left as"], ["kind"], ["found by"], ["by the rule"]], rows, "Nothing private was found.")];
}

/** One row for what differs in precision alone. */
function gathered(more) {
  const rows = new Map();
  for (const each of more) {
    const [what, level] = each.what.split(" as "), key = JSON.stringify([each.action, what, each.who, each.when, each.rule]);
    rows.set(key, [...(rows.get(key) ?? []), level].filter(Boolean));
  }
  return [...rows].map(([key, levels]) => {
    const [action, what, who, circumstances, rule] = JSON.parse(key);
    return [`${action}: ${what}${levels.length ? ` as ${levels.join(", ")}` : ""}`, who, circumstances, rule];
  });
}

/** What an edit of the rules changes. */
export function changes(difference) {
  const { more, rules } = difference;
  return [h("h3", {}, "What the other rules change"),
    table("Rules that differ", [["rule"], ["what it says"], ["how"]], rules.map((rule) => [`${rule.effect} ${rule.id}`, rule.says,
      h("span", { class: rule.loosens ? "bad" : null }, `${rule.how}${rule.loosens ? ": may let more leave" : ""}`)]), "No rule differs."),
    difference.failed_cases.length ? h("p", { class: "bad", role: "alert" }, `These rules cannot be put in force, they allow what none may: ${difference.failed_cases.join("; ")}`) : null,
    difference.loosens ? more.length
      ? [h("p", { class: "bad" }, `More would be allowed, in ${difference.more_count.toLocaleString("en")} of ${difference.tried.toLocaleString("en")} cases that were tried:`),
        table("What would be allowed more", [["what"], ["who"], ["circumstances"], ["by the rule"]], gathered(more).slice(0, MOST)),
        more.length < difference.more_count ? h("p", { class: "small soft" }, `These are ${more.length} of them.`) : null]
      : h("p", { class: "note" }, `In ${difference.tried.toLocaleString("en")} cases that were tried nothing more would be allowed; rules were loosened, so other cases may differ.`)
      : h("p", { class: "edge" }, "Nothing more would be allowed: rules only became stricter, or stayed.")];
}
