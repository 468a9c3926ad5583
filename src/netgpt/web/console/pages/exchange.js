// One exchange: what was written beside what left, what was found, the receipt, the decision, and where the time went.

import { call, forPerson } from "../api.js";
import { waterfall } from "../charts.js";
import { colourOf, compared, textOf } from "../compare.js";
import { h, json, ms, table, tell, when } from "../dom.js";

export async function page({ id, signal }) {
  const found = await call(forPerson(`/v1/exchanges/${encodeURIComponent(id)}`), { signal });
  const receipt = found.outbound ? await receiptOf(id, signal) : null;
  return [
    h("p", {}, `${when(found.received)} · `, h("strong", { class: found.route === "edge" ? "edge" : "cloud" }, found.arm || found.route),
      ` · ${found.reason ?? ""}`, found.error ? h("span", { class: "bad" }, ` · ${found.error.message ?? found.status}`) : null),
    found.note ? h("p", { class: "note" }, found.note) : null,
    found.request ? beside(found) : h("p", { class: "note" }, "This key sees figures, not texts."),
    found.hidden?.length ? finds(found) : null,
    receipt, found.decision ? decision(found) : null,
    h("h2", {}, "Where the time went"), h("div", { class: "card" }, waterfall(found.timings_ms ?? {})),
    h("details", {}, h("summary", {}, "Everything, as it is kept"), json(found)),
  ];
}

function beside(found) {
  const left = found.outbound?.messages ?? [], written = found.messages ?? found.request.messages;
  const pairs = written.map((message, at) => {
    const [mine, theirs] = left[at] ? compared(textOf(message), textOf(left[at]), found.hidden ?? []) : [[textOf(message)], null];
    return [h("p", { class: "small soft" }, message.role), mine, theirs];
  });
  const answer = found.answer?.choices?.[0]?.message;
  return [
    h("div", { class: "two" },
      h("section", { class: "card", "aria-label": "What was written" }, h("h2", {}, "What was written"), pairs.map(([role, mine]) => [role, h("div", { class: "text" }, mine)])),
      h("section", { class: "card", "aria-label": "What left" }, h("h2", {}, found.outbound ? `What left, to ${found.destination}` : "Nothing left"),
        found.outbound ? pairs.map(([role, , theirs]) => [role.cloneNode(true), h("div", { class: "text" }, theirs ?? "")])
          : h("p", {}, found.kept_because ?? "it was answered on the box"))),
    found.facts?.length ? h("p", {}, "Completed with: ", found.facts.map((fact) => `${fact.text} (${fact.source})`).join("; ")) : null,
    answer ? [h("h2", {}, "The answer"), h("div", { class: "card text" }, textOf(answer))] : null,
  ];
}

function finds(found) {
  return [h("h2", {}, "What was hidden"), table("What was hidden", [["in its place"], ["kind"], ["found by"], ["allowed by the rule"], ["times", true]],
    found.hidden.map((each) => [h("mark", { class: colourOf(each.kind) }, each.placeholder), each.kind, each.rule, each.policy_rule, String(each.count ?? 1)])),
    found.generalised?.length ? h("p", {}, "Left in a coarser form: ", found.generalised.map((each) => `${each.kind}: ${each.was} as ${each.now}`).join("; ")) : null];
}

async function receiptOf(id, signal) {
  let receipt;
  try {
    receipt = await call(forPerson(`/v1/receipts/${encodeURIComponent(id)}`), { signal });
  } catch {
    return null;
  }
  const proof = h("span", { class: "soft" }, "not checked yet");
  const check = async () => {
    const good = receipt.account ? (await sha256(canonical(receipt.account))) === receipt.commitment : null;
    const same = receipt.content && receipt.account?.sha256 ? (await sha256(receipt.content)) === receipt.account.sha256 : null;
    const fine = good !== false && same !== false && (good || same);
    proof.className = fine ? "edge" : "bad";
    proof.textContent = fine ? "the receipt's account and the bytes that left belong together" : good === null ? "nothing to check: it was erased" : "DOES NOT FIT";
    tell(proof.textContent);
  };
  return [h("h2", {}, "The receipt"), h("div", { class: "card" },
    h("p", {}, `${receipt.id} · ${receipt.bytes} bytes to ${receipt.destination} (${receipt.model}) · ${when(receipt.time)} · ${receipt.outcome ?? ""}`),
    h("div", { class: "row" }, h("button", { click: check }, "Check it here"), proof),
    h("details", {}, h("summary", {}, "The exact bytes"), h("pre", { tabindex: "0" }, receipt.content ?? "erased")))];
}

/** JSON with sorted keys and no spaces, as the commitment is made. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value && typeof value === "object") return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
  return JSON.stringify(value);
}

async function sha256(text) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function decision(found) {
  const { expected = [], counterfactual, reason, rule, weights } = found.decision;
  return [h("h2", {}, "The decision"), h("div", { class: "card" }, h("p", {}, `${reason} (rule: ${rule}${weights ? `, weights: ${weights}` : ""})`),
    counterfactual ? h("p", {}, `What would have changed it: ${counterfactual}`) : null,
    table("What each target was expected to give", [["target"], ["will do", true], ["time", true], ["cost", true], ["exposed", true], ["value", true], ["ruled out by"]],
      expected.map((each) => [each.arm, `${Math.round(each.p_ok * 100)} %`, ms(each.latency_s * 1000), String(each.cost), `${Math.round(each.exposure * 100)} %`,
        each.value.toFixed(2), each.ruled_out ?? ""]), "None was weighed."))];
}
