// Doctor: everything that the box needs, looked at one by one, with the cure of what is wrong.

import { call } from "../api.js";
import { coded, fill, h, table, tell, when } from "../dom.js";

const WORDS = { ok: ["works", "edge"], note: ["good to know", "note"], wrong: ["wrong", "bad"] };
const EVERY_MS = 400;

export async function page({ signal }) {
  const place = h("div", { "aria-busy": "true" }), clouds = h("input", { type: "checkbox", id: "clouds" });
  const again = h("button", { class: "main", click: () => look({ method: "POST", body: { clouds: clouds.checked } }) }, "Look again");
  let timer;
  const draw = (told) => {
    again.disabled = !told.done;
    place.setAttribute("aria-busy", String(!told.done));
    const order = told.done ? ["wrong", "note", "ok"] : null, rows = order ? [...told.data].sort((one, other) => order.indexOf(one.state) - order.indexOf(other.state)) : told.data;
    fill(place, verdict(told), table("Checks", [["what"], ["state"], ["what was found, and the cure"]], [
      ...rows.map((row) => [row.what, h("span", { class: WORDS[row.state][1] }, WORDS[row.state][0]), h("span", { class: "text" }, coded(row.detail))]),
      ...told.left.map((name, at) => [name, h("span", { class: at === 0 ? "soft dots" : "soft" }, at === 0 ? "being looked at" : "to come"), ""])]));
  };
  const look = async (how) => {
    clearTimeout(timer);
    try {
      const told = await call("/v1/doctor?wait=0", { signal, ...how });
      draw(told);
      if (!told.done && !signal.aborted) timer = setTimeout(() => look(), EVERY_MS);
      else if (how === undefined) tell(told.wrong ? `${told.wrong} things are wrong.` : "Everything works.");
    } catch (error) {
      if (!signal.aborted) fill(place, h("p", { class: "bad", role: "alert" }, error.message));
    }
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  await look({});
  return [h("p", { class: "soft small" }, coded("The same as `netgpt doctor`, on the box as it runs.")),
    h("div", { class: "row" }, again, h("label", { for: "clouds" }, clouds, " ask each cloud one short question, too (it costs a word, and leaves a receipt)")), place];
}

function verdict(told) {
  if (!told.done) return h("p", {}, h("strong", { class: "dots" }, "Looking"));
  const words = told.wrong ? `${told.wrong} ${told.wrong === 1 ? "thing is" : "things are"} wrong.` : "Everything works.";
  return h("p", {}, h("strong", { class: told.wrong ? "bad" : "edge" }, words), h("span", { class: "soft small" }, told.ended ? ` Looked at ${when(told.ended)}.` : ""));
}
