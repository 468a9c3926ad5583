// What people said was hidden without need, or left although it is private. Words are here only where they agreed.

import { call, may } from "../api.js";
import { attempt, fill, h, table, when } from "../dom.js";

const WORDS = { false_find: "hidden without need", missed_find: "not hidden" };

export async function page({ signal }) {
  const place = h("div"), excepts = await may("POST /v1/privacy/exceptions");
  const end = (row) => call(`/v1/reports/${encodeURIComponent(row.id)}`, { method: "DELETE" });
  const except = async (row) => {
    await call("/v1/privacy/exceptions", { method: "POST", body: { word: row.text } });
    await end(row);
  };
  const draw = async () => {
    const rows = (await call("/v1/reports", { signal })).data;
    fill(place, table("Reports", [["when"], ["what"], ["kind"], ["found by"], ["words"], ["exchange"], ["do"]], rows.map((row) => [
      when(row.time), WORDS[row.what] ?? row.what, row.kind === "UNKNOWN" ? "" : row.kind, row.rule, row.text ?? (row.length ? `${row.length} characters, not shown` : "not shown"),
      h("a", { href: `#/exchange/${row.exchange}` }, "look"),
      h("span", { class: "row" }, row.text && row.what === "false_find" && excepts ? h("button", { class: "quiet", click: () => attempt(() => except(row), "It may leave from now on.", draw) }, "Never hide it") : null,
        h("button", { class: "quiet", "aria-label": `Done: ${WORDS[row.what]}, ${when(row.time)}`, click: () => attempt(() => end(row), "It is off the list.", draw) }, "Done")),
    ]), "Nobody reported anything."));
  };
  await draw();
  return [h("p", { class: "soft small" }, "People say here what was hidden without need, or left although it is private. Who said it is not told; words only where they agreed."), place];
}
