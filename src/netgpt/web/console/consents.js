// What a person allows, purpose by purpose: in words what counts now, and a yes or a no.

import { call, mine } from "./api.js";
import { fill, h, table, tell, when } from "./dom.js";

// Purpose: what it is for, and what counts where nothing was said.
const PURPOSES = {
  profile: ["My facts may complete my questions, and be used for the answers", "yes, you entered them"],
  location: ["Where I am may be used, when a question needs it", "no, but where a request brings a place with its own yes"],
  constraints: ["Private facts may choose among an answer's options, on the box", "yes; nothing of it leaves"],
  proposals: ["What I say in passing may be proposed to me as a fact", "no"],
  tools: ["Tools that the owner listed may see what is sensitive", "no"],
  training: ["My good answers may train this box", "no"],
};

/** The table, which redraws itself. Raises Refused: this key has no business there. */
export async function consents(signal) {
  const place = h("section", { "aria-label": "Consents" });
  const say = async (purpose, given) => {
    try {
      await call(`${mine()}/consents`, { method: "POST", body: { purpose, given } });
      await draw();
      tell(given ? "Yes is noted." : "No is noted.");
    } catch (error) {
      tell(error.message);
    }
  };
  const draw = async () => {
    const found = await call(`${mine()}/consents`, { signal }), now = found.now ?? {};
    const others = Object.keys(now).filter((purpose) => !PURPOSES[purpose]).map((purpose) => [purpose, [purpose, "nothing"]]);
    fill(place, h("h2", {}, "Consents"), table("Consents", [["what for"], ["now"], ["say"]], [...Object.entries(PURPOSES), ...others].map(([purpose, [words, unsaid]]) => [
      words, stands(now[purpose], unsaid), h("span", { class: "row" },
        h("button", { click: () => say(purpose, true), "aria-label": `Yes: ${words}`, "aria-pressed": String(now[purpose]?.consents === true) }, "Yes"),
        h("button", { click: () => say(purpose, false), "aria-label": `No: ${words}`, "aria-pressed": String(now[purpose]?.consents === false) }, "No"))])),
    h("details", {}, h("summary", {}, "All that was said"), table("History", [["when"], ["what for"], ["said"], ["towards"]],
      (found.history ?? []).map((entry) => [when(entry.said ?? entry.from), entry.purpose, entry.given ? "yes" : "no", entry.third_party ?? "everybody"]), "Nothing yet.")));
  };
  await draw();
  return place;
}

function stands(row, unsaid) {
  if (!row) return h("span", { class: "soft" }, `nothing said: ${unsaid}`);
  const since = row.consents ? row.given : row.withdrawn ?? row.given;
  return [h("strong", { class: row.consents ? "edge" : "bad" }, row.consents ? "yes" : "no"), since ? h("span", { class: "small soft" }, ` since ${when(since)}`) : "",
    row.until ? h("span", { class: "small soft" }, ` until ${when(row.until)}`) : ""];
}
