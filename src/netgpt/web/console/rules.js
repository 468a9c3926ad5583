// The owner's rules in a text box: tried before they are put in force, and put in force only after a yes.

import { call, session } from "./api.js";
import { confirmed, fill, h, table, tell, when } from "./dom.js";
import { outcomes } from "./trial.js";

const SHOWN = 3;

/** For who runs the box. `policy`: the answer of GET /v1/policy. */
export function editor(policy) {
  const rules = h("textarea", { rows: 16, class: "code", spellcheck: "false", "aria-label": "The rules as Cedar text", maxlength: 65536 });
  rules.value = policy.own;
  const shown = h("div", { "aria-live": "polite" });
  const trial = async () => {
    const text = document.getElementById("try")?.value ?? "";
    fill(shown, h("p", { class: "soft dots" }, "Trying"));
    try {
      const found = await call("/v1/privacy/try", { method: "POST", body: { text, rules: rules.value, ...(session.person ? { user: session.person } : {}) } });
      fill(shown, outcomes(text, found));
      return found.difference;
    } catch (error) {
      fill(shown, h("p", { class: "bad", role: "alert" }, error.message));
      return null;
    }
  };
  const keep = async () => {
    const difference = await trial();
    if (!difference || difference.failed_cases.length) return;
    if (difference.loosens && !(await confirmed(asked(difference), "More may leave: put them in force"))) return;
    if (!difference.loosens && !(await confirmed("Put these rules in force? They count from the next request on.", "Put in force"))) return;
    try {
      const kept = await call("/v1/policy", { method: "PUT", body: { rules: rules.value, edited: policy.sha256, even_if_more_may_leave: difference.loosens } });
      tell("The rules are in force.");
      policy.sha256 = kept.sha256;
      dispatchEvent(new HashChangeEvent("hashchange"));
    } catch (error) {
      fill(shown, h("p", { class: "bad", role: "alert" }, error.message));
    }
  };
  const { here, why_not: why } = policy.editable;
  return h("section", { "aria-label": "Edit the rules" }, h("h2", {}, "Edit the rules"), h("details", {}, h("summary", {}, "The rules as text"),
    h("p", { class: "soft small" }, "Cedar: what no rule permits is denied, and what one forbids no other permits. Try them with the text above, or alone; they are checked as at the start."),
    rules, here ? null : h("p", { class: "note small" }, `They can be tried here, not put in force: ${why}.`),
    h("div", { class: "row" }, h("button", { type: "button", click: trial }, "Try the edit"), here ? h("button", { type: "button", class: "main", click: keep }, "Put in force") : null,
      h("button", { type: "button", click: () => { rules.value = policy.own; fill(shown); } }, "As in force")), shown),
  policy.changes?.length ? h("details", {}, h("summary", {}, "Edits of before"), table("Edits", [["when"], ["by"], ["what"], ["more may leave", false]],
    policy.changes.map((each) => [each.time ? when(each.time) : "", each.by ?? "", (each.rules ?? []).join("; ") || "comments", each.loosens ? "yes" : "no"]))) : null);
}

function asked({ more, more_count: count, rules }) {
  const what = more.slice(0, SHOWN).map((each) => `${each.what} (${each.who}${each.when ? `, ${each.when}` : ""})`).join("; ");
  return count ? `More would leave with these rules: ${what}${count > SHOWN ? `; and ${count - SHOWN} more` : ""}.`
    : `These rules were loosened (${rules.filter((rule) => rule.loosens).map((rule) => rule.id).join(", ")}), although nothing more was let out in the cases that were tried.`;
}
