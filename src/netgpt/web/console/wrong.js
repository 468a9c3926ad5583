// "This was wrong": a find without need, or a value that was not found. Told to who runs the box; words only with a yes.

import { call, may, session } from "./api.js";
import { h, tell } from "./dom.js";

const EXCEPTIONS = "POST /v1/privacy/exceptions", REPORTS = "POST /v1/exchanges/{exchange_id}/reports";
const KINDS = ["PERSON", "ADDRESS", "PHONE", "EMAIL", "ORG", "DATE", "HEALTH", "SECRET"];

/** For a find: a button that says it was none. Who may, lets the word through from now on; others report it. */
export async function noFind(id, entry, word) {
  const label = `Not private: ${entry.placeholder}`;
  if (word && (await may(EXCEPTIONS))) {
    return button("Never hide it", `${label}, never hide it again`, () => call("/v1/privacy/exceptions", { method: "POST", body: { word } }),
      `From now on "${word}" may leave; a secret or a value of a profile stays hidden.`);
  }
  if (!(await may(REPORTS))) return null;
  return button("Not private", label, () => send(id, { what: "false_find", placeholder: entry.placeholder }), "Told to who runs the box, without the words.");
}

/** For what left: mark some words, say what they are, report them. */
export async function missed(id, place, signal) {
  if (!(await may(REPORTS))) return null;
  const kind = h("select", { "aria-label": "What it is" }, ["UNKNOWN", ...KINDS].map((each) => h("option", { value: each }, each === "UNKNOWN" ? "something else" : each)));
  const text = h("input", { "aria-label": "Words that should have been hidden", placeholder: "Mark words above, or write them", required: true, maxlength: 500, size: 28 });
  const share = h("input", { type: "checkbox" });
  document.addEventListener("selectionchange", () => {
    const marked = document.getSelection();
    if (place.isConnected && !marked.isCollapsed && place.contains(marked.anchorNode) && place.contains(marked.focusNode)) text.value = String(marked).trim().slice(0, 500);
  }, { signal });
  const report = async (event) => {
    event.preventDefault();
    try {
      await send(id, { what: "missed_find", kind: kind.value, text: text.value, share: share.checked });
      tell(share.checked ? "Told to who runs the box, with the words." : "Told to who runs the box, without the words.");
      event.target.reset();
    } catch (error) {
      tell(error.message);
    }
  };
  return h("details", {}, h("summary", {}, "Something that left should have been hidden"), h("form", { class: "row", submit: report }, text, kind,
    h("label", { class: "small" }, share, " who runs the box may see the words"), h("button", {}, "Report")));
}

const send = (id, body) => call(`/v1/exchanges/${encodeURIComponent(id)}/reports`, { method: "POST", body: { ...body, ...(session.person ? { user: session.person } : {}) } });

function button(words, label, work, done) {
  const made = h("button", { type: "button", class: "quiet", "aria-label": label, click: async () => {
    try {
      await work();
      made.disabled = true;
      tell(done);
    } catch (error) {
      tell(error.message);
    }
  } }, words);
  return made;
}
