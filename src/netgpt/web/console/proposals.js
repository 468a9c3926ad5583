// What a person said in passing, and may keep as a fact, or not.

import { call, mine } from "./api.js";
import { h, tell } from "./dom.js";

/** Those that wait for a yes or a no; none where this key may not see them. */
export async function proposed(signal) {
  try {
    return (await call(`${mine()}/proposals`, { signal })).data;
  } catch {
    return [];
  }
}

/** One of them with its question; `answered(kept)` is called after the yes or the no. */
export function proposal(each, answered = () => {}) {
  const card = h("div", { class: "card proposal", role: "group", "aria-label": "Keep this as a fact?" });
  const decide = async (method, kept) => {
    try {
      await call(`${mine()}/proposals/${encodeURIComponent(each.id)}`, { method });
    } catch (error) {
      return tell(error.message);
    }
    tell(`The fact was ${kept ? "kept" : "dropped"}.`);
    card.replaceChildren(h("p", { class: "small soft" }, kept ? `Kept: ${each.text}. It is on the page Me.` : `Not kept: ${each.text}`));
    return answered(kept);
  };
  card.append(...[h("p", {}, h("strong", {}, "Keep this as a fact? "), each.text, h("span", { class: "soft" }, ` (${each.kind}, ${each.label})`)),
    each.replaces?.length ? h("p", { class: "small soft" }, `It replaces: ${each.replaces.map((old) => old.text).join("; ")}`) : null,
    each.words ? h("p", { class: "small soft" }, `You wrote: "${each.words}"`) : null,
    h("div", { class: "row" }, h("button", { type: "button", class: "main", click: () => decide("POST", true) }, "Keep"),
      h("button", { type: "button", click: () => decide("DELETE", false) }, "No"))].filter(Boolean));
  return card;
}
