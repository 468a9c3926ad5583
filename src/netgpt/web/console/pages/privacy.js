// The rules in force and what each did; a text tried against them and against others; what left, with its proof; words
// that are never hidden.

import { call, forPerson, may, session } from "../api.js";
import { consents } from "../consents.js";
import { fill, h, table, tell, when } from "../dom.js";
import { editor } from "../rules.js";
import { outcomes } from "../trial.js";

export async function page({ signal }) {
  const policy = await call("/v1/policy", { signal });
  return [trying(policy), await inForce(policy, signal), policy.own !== undefined ? editor(policy) : null, await receipts(signal), await exceptions(signal),
    await may("GET /v1/profiles/{user}/consents") ? await consents(signal) : null];
}

function trying(policy) {
  const text = h("textarea", { rows: 4, id: "try", "aria-label": "A text to try", maxlength: 20000 }), shown = h("div", { "aria-live": "polite" });
  const other = h("select", { "aria-label": "Compare with" }, h("option", { value: "" }, "the rules in force alone"),
    policy.sets.filter((set) => set.name !== policy.name).map((set) => h("option", { value: set.name }, `compared with the set ${set.name}`)));
  const named = h("input", { type: "checkbox", id: "named" });
  const attempt = async (event) => {
    event.preventDefault();
    const body = { text: text.value, asked: named.checked ? "cloud" : "auto", ...(other.value ? { set: other.value } : {}), ...(session.person ? { user: session.person } : {}) };
    fill(shown, h("p", { class: "soft dots" }, "Looking"));
    try {
      fill(shown, outcomes(text.value, await call("/v1/privacy/try", { method: "POST", body })));
    } catch (error) {
      fill(shown, h("p", { class: "bad", role: "alert" }, error.message));
    }
  };
  return h("section", { "aria-label": "Try a text" }, h("h2", {}, "Try a text"),
    h("p", { class: "soft small" }, "Nothing is sent and nothing is kept: this shows what would leave of it."),
    h("form", { submit: attempt }, text, h("div", { class: "row" }, h("button", { class: "main" }, "Try"), other,
      h("label", { for: "named" }, named, " as if the question named the cloud"))), shown);
}

const EFFECTS = { hid: "hidden", coarser: "made coarser", let_pass: "let pass as it is", kept: "kept on the box" };

async function inForce(policy, signal) {
  let did = [];
  try {
    did = (await call(forPerson("/v1/policy/rulings?days=7"), { signal })).data;
  } catch { /* not this key's: the rules are shown all the same */ }
  const said = policy.sets.find((set) => set.name === policy.name)?.says;
  const times = (rule) => did.filter((one) => one.rule === rule).map((one) => `${one.times.toLocaleString("en")} ${EFFECTS[one.effect] ?? one.effect}`).join(", ");
  const row = (rule) => [h("strong", {}, rule.effect === "forbid" ? "never" : "may"), [rule.says ?? "a rule of the owner's", rule.text ? h("details", {},
    h("summary", { class: "small soft" }, rule.id), h("pre", { tabindex: "0" }, rule.text)) : h("div", { class: "small soft" }, rule.id)], times(rule.id) || "nothing"];
  const columns = [["rule", false], ["what it says", false], [session.person ? `did for ${session.person} this week` : "did this week", false]];
  const gone = did.filter((one) => !policy.rules.some((rule) => rule.id === one.rule));
  return h("section", { "aria-label": "Rules in force" }, h("h2", {}, "Rules in force"),
    h("p", {}, h("strong", {}, policy.name), said ? `: ${said}` : "", h("br"), h("span", { class: "small soft" }, `sha256 ${policy.sha256}: receipts name it`)),
    policy.fault ? h("p", { class: "bad", role: "alert" }, `The file as it is now is not in force: ${policy.fault}`) : null,
    table("Rules in force", columns, policy.rules.filter((rule) => !rule.ground).map(row)),
    gone.length ? h("p", { class: "small soft" }, "Rules of before that did something this week: ", gone.map((one) => `${one.rule} (${one.times} ${EFFECTS[one.effect] ?? one.effect})`).join("; ")) : null,
    h("details", {}, h("summary", {}, "The ground that no set can lift, and who may do what"), table("The ground", columns, policy.rules.filter((rule) => rule.ground).map(row))));
}

async function receipts(signal) {
  const found = (await call(forPerson("/v1/receipts?limit=20"), { signal })).data, said = h("span", { role: "status" });
  const verify = async () => {
    let checked = 0, head = "";
    try {
      for (let complete = false; !complete;) {
        if (signal.aborted) return;
        const part = await call(`/v1/receipts/verify${head ? `?after=${encodeURIComponent(head)}` : ""}`, { signal });
        ({ head, complete } = part);
        checked += part.checked;
        if (!part.whole) {
          fill(said, h("span", { class: "bad" }, `THE CHAIN IS BROKEN: ${part.faults.map((fault) => `entry ${fault.seq} ${fault.what}`).join("; ")}`));
          return;
        }
        fill(said, h("span", { class: complete ? "edge" : "soft dots" }, complete ? `The chain is whole: ${checked.toLocaleString("en")} entries checked.` : `${checked.toLocaleString("en")} checked`));
      }
    } catch (error) {
      fill(said, h("span", { class: "bad" }, error.message));
    }
  };
  return h("section", { "aria-label": "What left" }, h("h2", {}, "What left"),
    h("p", { class: "soft small" }, "Each request that left has a receipt, written before its first byte went, and chained to the one before. Open one to check it in this page."),
    await may("GET /v1/receipts/verify") ? h("div", { class: "row" }, h("button", { type: "button", click: verify }, "Check the whole chain"), said) : null,
    table("What left", [["when"], ["to"], ["model"], ["bytes", true], ["outcome"], ["receipt"]], found.map((row) => [
      row.exchange ? h("a", { href: `#/exchange/${row.exchange}` }, when(row.time)) : when(row.time), row.destination, row.model, String(row.bytes), row.outcome ?? "", row.id]),
    session.person ? `Nothing of ${session.person} has left.` : "Nothing has left."));
}

async function exceptions(signal) {
  if (!(await may("GET /v1/privacy/exceptions"))) return null;
  const place = h("section", { "aria-label": "Words that are never hidden" });
  const change = async (path, method, body, done) => {
    try {
      await call(path, { method, body });
      tell(done);
      await draw();
    } catch (error) {
      tell(error.message);
    }
  };
  const draw = async () => {
    const words = (await call("/v1/privacy/exceptions", { signal })).data;
    const word = h("input", { "aria-label": "A word that is never hidden", required: true, maxlength: 100 });
    const add = (event) => { event.preventDefault(); return change("/v1/privacy/exceptions", "POST", { word: word.value.trim() }, "It is not hidden any more."); };
    fill(place, h("h2", {}, "Words that are never hidden"), table("Exceptions", [["word"], ["since"], ["by"], ["change"]], words.map((each) => [each.word, each.added ? when(each.added) : "", each.by ?? "",
      h("button", { click: () => change(`/v1/privacy/exceptions/${encodeURIComponent(each.word)}`, "DELETE", undefined, "It is hidden again."), "aria-label": `Hide again: ${each.word}` }, "Remove")]),
    "None."), h("form", { class: "row", submit: add }, word, h("button", {}, "Add")));
  };
  await draw();
  return place;
}
