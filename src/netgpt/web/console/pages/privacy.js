// What left, with its receipts; a text tried against the rules; words that are never hidden.

import { call, forPerson, session } from "../api.js";
import { colourOf, compared } from "../compare.js";
import { fill, h, table, tell, when } from "../dom.js";

export async function page({ signal }) {
  return [trying(), await receipts(signal), await exceptions(signal)];
}

function trying() {
  const text = h("textarea", { rows: 4, id: "try", "aria-label": "A text to try" }), shown = h("div");
  const attempt = async (event) => {
    event.preventDefault();
    const body = { model: "netgpt", messages: [{ role: "user", content: text.value }], netgpt: { dry_run: true, complete: "off" } };
    if (session.person) body.user = session.person;
    try {
      const { explain } = (await call("/v1/chat/completions", { method: "POST", body })).netgpt;
      fill(shown, outcome(text.value, explain));
    } catch (error) {
      fill(shown, h("p", { class: "bad", role: "alert" }, error.message));
    }
  };
  return [h("h2", {}, "Try a text"), h("p", { class: "soft small" }, "Nothing is sent: this shows what would leave, under the rules in force."),
    h("form", { submit: attempt }, text, h("button", { class: "main" }, "Try")), shown];
}

function outcome(written, explain) {
  const sent = explain.would_send?.messages?.at(-1)?.content ?? null;
  if (sent === null) return h("p", { class: "card" }, `Nothing would leave: ${explain.kept_because ?? explain.decision?.reason ?? "the box answers it"}`);
  const [mine, theirs] = compared(written, sent, explain.hidden);
  return [h("div", { class: "two" }, h("section", { class: "card" }, h("h2", {}, "Written"), h("div", { class: "text" }, mine)),
    h("section", { class: "card" }, h("h2", {}, `Would leave: ${explain.leaves}`), h("div", { class: "text" }, theirs))),
  table("Hidden", [["in its place"], ["kind"], ["found by"], ["allowed by the rule"]], explain.hidden.map((each) => [
    h("mark", { class: colourOf(each.kind) }, each.placeholder), each.kind, each.rule, each.policy_rule]), "Nothing was hidden.")];
}

async function receipts(signal) {
  const found = (await call(forPerson("/v1/receipts?limit=50"), { signal })).data;
  return [h("h2", {}, "What left"), table("What left", [["when"], ["to"], ["model"], ["bytes", true], ["outcome"], ["receipt"]], found.map((row) => [
    row.exchange ? h("a", { href: `#/exchange/${row.exchange}` }, when(row.time)) : when(row.time), row.destination, row.model, String(row.bytes), row.outcome ?? "", row.id]),
  "Nothing has left.")];
}

async function exceptions(signal) {
  const place = h("div");
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
    let words;
    try {
      words = (await call("/v1/privacy/exceptions", { signal })).data;
    } catch {
      return;  // not this key's
    }
    const word = h("input", { "aria-label": "A word that is never hidden", required: true, maxlength: 200 });
    const add = (event) => { event.preventDefault(); return change("/v1/privacy/exceptions", "POST", { word: word.value.trim() }, "It is not hidden any more."); };
    fill(place, h("h2", {}, "Words that are never hidden"), table("Exceptions", [["word"], ["change"]], words.map((each) => {
      const text = each.word ?? each;
      return [text, h("button", { click: () => change(`/v1/privacy/exceptions/${encodeURIComponent(text)}`, "DELETE", undefined, "It is hidden again.") }, "Remove")];
    }), "None."), h("form", { class: "row", submit: add }, word, h("button", {}, "Add")));
  };
  await draw();
  return place;
}
