// What the box knows of one person: theirs to read, change, take away and forget.

import { call, mine, session } from "../api.js";
import { confirmed, fill, h, table, tell, when } from "../dom.js";
import { proposal, proposed } from "../proposals.js";

const PURPOSES = { location: "Where I am may be used for this box's answers", profile: "My facts may be used", constraints: "Private facts may choose among answers",
  proposals: "What I say in passing may be proposed as a fact", training: "My good answers may train this box" };

export async function page({ signal }) {
  const place = h("div");
  const draw = async () => {
    const [profile, consents, waiting] = await Promise.all([call(mine(), { signal }), call(`${mine()}/consents`, { signal }), proposed(signal)]);
    fill(place, h("p", { class: "soft" }, `The box knows this of ${profile.user}. Facts marked public may leave it; the others never do.`),
      facts(profile, draw), adding(draw), waiting.length ? h("h2", {}, "Said in passing") : null, waiting.map((each) => proposal(each, draw)), consenting(consents, draw), ending());
  };
  await draw();
  return place;
}

const attempt = async (work, done, draw) => {
  try {
    await work();
    tell(done);
    await draw();
  } catch (error) {
    tell(error.message);
  }
};

function facts(profile, draw) {
  const remove = (fact) => attempt(() => call(`${mine()}/facts/${encodeURIComponent(fact.id)}`, { method: "DELETE" }), "The fact is gone.", draw);
  return [h("h2", {}, "Facts"), table("Facts", [["fact"], ["kind"], ["label"], ["change"]], profile.facts.map((fact) => [
    fact.text, fact.kind, fact.label, h("button", { click: () => remove(fact), "aria-label": `Remove: ${fact.text}` }, "Remove")]), "No fact yet.")];
}

function adding(draw) {
  const text = h("input", { "aria-label": "A fact", placeholder: "is vegetarian", required: true, maxlength: 2000 });
  const kind = h("input", { "aria-label": "Kind, one word", placeholder: "diet", size: 10, maxlength: 40 });
  const label = h("select", { "aria-label": "Label" }, ["personal", "sensitive", "public"].map((each) => h("option", {}, each)));
  const add = (event) => {
    event.preventDefault();
    const body = { text: text.value, label: label.value, ...(kind.value.trim() ? { kind: kind.value.trim() } : {}) };
    return attempt(() => call(`${mine()}/facts`, { method: "POST", body }), "The fact is kept.", draw);
  };
  return h("form", { class: "row", submit: add }, text, kind, label, h("button", { class: "main" }, "Add"));
}

function consenting(consents, draw) {
  const say = (purpose, given) => attempt(() => call(`${mine()}/consents`, { method: "POST", body: { purpose, given } }), given ? "Yes is noted." : "No is noted.", draw);
  const given = consents.now ?? {};
  return [h("h2", {}, "Consents"), table("Consents", [["what for"], ["now"], ["say"]], Object.entries(PURPOSES).map(([purpose, words]) => [
    words, JSON.stringify(given[purpose] ?? "nothing said").replaceAll('"', ""),
    h("span", { class: "row" }, h("button", { click: () => say(purpose, true), "aria-label": `Yes: ${words}` }, "Yes"),
      h("button", { click: () => say(purpose, false), "aria-label": `No: ${words}` }, "No"))])),
  h("details", {}, h("summary", {}, "All that was said"), table("History", [["when"], ["what for"], ["said"]],
    (consents.history ?? []).map((entry) => [when(entry.said ?? entry.time ?? entry.from), entry.purpose, entry.given ? "yes" : "no"])))];
}

function ending() {
  const save = async () => {
    try {
      const content = JSON.stringify(await call(`${mine()}/export`), null, 1);
      const link = h("a", { href: URL.createObjectURL(new Blob([content], { type: "application/json" })), download: "netgpt-export.json" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (error) {
      tell(error.message);
    }
  };
  const forget = async () => {
    if (!(await confirmed(`Forget ${session.person || "anonymous"}: facts, exchanges, examples and what was learnt from them? This cannot be undone.`, "Forget"))) return;
    try {
      const gone = await call(mine(), { method: "DELETE" });
      tell(`${gone.user} is forgotten.`);
      location.reload();
    } catch (error) {
      tell(error.message);
    }
  };
  return [h("h2", {}, "Take away, or end"), h("div", { class: "row" }, h("button", { click: save }, "Export everything"), h("button", { click: forget, class: "bad" }, "Forget me"))];
}
