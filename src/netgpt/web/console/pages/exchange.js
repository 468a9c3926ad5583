// One exchange: what was written beside what left, what was found, the receipt, the decision and what if, where the time went.

import { call, forPerson } from "../api.js";
import { waterfall } from "../charts.js";
import { behind, colourOf, compared, textOf } from "../compare.js";
import { coded, copyButton, h, json, table, tell, when } from "../dom.js";
import { whatIf } from "../whatif.js";
import { missed, noFind } from "../wrong.js";

export async function page({ id, signal }) {
  const found = await call(forPerson(`/v1/exchanges/${encodeURIComponent(id)}`), { signal });
  const [receipt, weighed] = await Promise.all([receiptOf(found, signal), whatIf(id, signal)]);
  return [
    h("p", {}, `${when(found.received)} · `, h("strong", { class: found.route === "edge" ? "edge" : "cloud" }, found.arm || found.route),
      ` · ${found.reason ?? ""}`, found.error ? h("span", { class: "bad" }, ` · ${found.error.message ?? found.status}`) : null),
    found.note ? h("p", { class: "note" }, found.note) : null,
    found.request ? await beside(found, signal) : h("p", { class: "note" }, "This key sees figures, not texts."),
    found.hidden?.length ? await finds(found) : null,
    receipt ? proof(receipt) : null, h("h2", {}, "The decision"), decision(found), weighed,
    h("h2", {}, "Where the time went"), h("div", { class: "card" }, waterfall(found.timings_ms ?? {})),
    found.adapters?.length ? h("p", {}, `Adapters that had a part: ${found.adapters.join(", ")}.${found.adapter_note ? ` ${found.adapter_note}` : ""}`) : h("p", { class: "soft small" }, "No adapter had a part in it."),
    bodies(found, receipt),
    h("details", {}, h("summary", {}, "Everything, as it is kept"), json(found)),
  ];
}

async function beside(found, signal) {
  const left = found.outbound?.messages ?? [], written = found.messages ?? found.request.messages;
  const pairs = written.map((message, at) => {
    const [mine, theirs] = left[at] ? compared(textOf(message), textOf(left[at]), found.hidden ?? []) : [[textOf(message)], null];
    return [h("p", { class: "small soft" }, message.role), mine, theirs];
  });
  const answer = found.answer?.choices?.[0]?.message;
  const away = h("section", { class: "card", "aria-label": "What left" }, h("h2", {}, found.outbound ? `What left, to ${found.destination}` : "Nothing left"),
    found.outbound ? pairs.map(([role, , theirs]) => [role.cloneNode(true), h("div", { class: "text" }, theirs ?? "")])
      : h("p", {}, found.kept_because ?? "it was answered on the box"));
  return [
    h("div", { class: "two" },
      h("section", { class: "card", "aria-label": "What was written" }, h("h2", {}, "What was written"), pairs.map(([role, mine]) => [role, h("div", { class: "text" }, mine)])), away),
    found.outbound ? await missed(found.id, away, signal) : null,
    found.facts?.length ? h("p", {}, "Completed with: ", found.facts.map((fact) => `${fact.text} (${fact.source}${stayed(fact, found)})`).join("; ")) : null,
    answer ? [h("h2", {}, "The answer"), h("div", { class: "card text" }, textOf(answer))] : null,
  ];
}

/** What is not public is added on the box alone: said where something left without it. */
const stayed = (fact, found) => (found.outbound && fact.label !== "public" && !JSON.stringify(found.outbound.messages).includes(fact.text) && !found.generalised?.length ? "; it stayed on the box" : "");

async function finds(found) {
  const placeholders = found.hidden.map((each) => each.placeholder), words = new Map();
  (found.messages ?? found.request?.messages ?? []).forEach((message, at) => {
    const left = found.outbound?.messages?.[at];
    if (left) for (const [placeholder, text] of behind(textOf(message), textOf(left), placeholders)) if (!words.has(placeholder)) words.set(placeholder, text);
  });
  const rows = await Promise.all(found.hidden.map(async (each) => [h("mark", { class: colourOf(each.kind) }, each.placeholder), each.kind, each.rule, each.policy_rule, String(each.count ?? 1),
    await noFind(found.id, each, words.get(each.placeholder))]));
  return [h("h2", {}, "What was hidden"), table("What was hidden", [["in its place"], ["kind"], ["found by"], ["allowed by the rule"], ["times", true], ["was it wrong?"]], rows),
    found.generalised?.length ? h("p", {}, "Left in a coarser form: ", found.generalised.map((each) => `${each.kind}: ${each.was} as ${each.now}`).join("; ")) : null];
}

async function receiptOf(found, signal) {
  if (!found.outbound && !found.left_bytes) return null;
  try {
    return await call(forPerson(`/v1/receipts/${encodeURIComponent(found.id)}`), { signal });
  } catch {
    return null;
  }
}

function proof(receipt) {
  const told = h("span", { class: "soft" }, "not checked yet");
  const check = async () => {
    const good = receipt.account ? (await sha256(canonical(receipt.account))) === receipt.commitment : null;
    const same = receipt.content && receipt.account?.sha256 ? (await sha256(receipt.content)) === receipt.account.sha256 : null;
    const fine = good !== false && same !== false && (good || same);
    told.className = fine ? "edge" : "bad";
    told.textContent = fine ? "the receipt's account and the bytes that left belong together" : good === null ? "nothing to check: it was erased, or is not for this key" : "DOES NOT FIT";
    tell(told.textContent);
  };
  const line = (name, value) => (value ? [h("dt", {}, name), h("dd", {}, value)] : null);
  return [h("h2", {}, "The receipt"), h("div", { class: "card" },
    h("p", {}, `${receipt.id} · ${receipt.bytes} bytes to ${receipt.destination} (${receipt.model}) · ${when(receipt.time)} · ${receipt.outcome ?? ""}`),
    h("div", { class: "row" }, h("button", { click: check }, "Check it here"), told),
    h("details", {}, h("summary", {}, "Its place in the chain"), h("dl", {}, line("This receipt", receipt.hash), line("The one before", receipt.previous), line("Commits to", receipt.commitment))))];
}

/** What was asked, left and answered, as it was, each to be copied. */
function bodies(found, receipt) {
  const left = receipt?.content ?? (found.outbound ? JSON.stringify(found.outbound, null, 1) : "");
  const shown = [["Asked", found.request && JSON.stringify(found.request, null, 1)], [receipt?.content ? "Left, byte for byte" : "Left", left], ["Answered", found.answer && JSON.stringify(found.answer, null, 1)]];
  const all = shown.filter(([, text]) => text);
  return all.length ? [h("h2", {}, "The bodies"), all.map(([name, text]) => h("details", {}, h("summary", {}, name),
    h("p", {}, copyButton(() => text, `Copy: ${name}`)), h("pre", { tabindex: "0" }, text)))] : null;
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
  if (!found.decision) return h("p", {}, found.reason ?? "");
  const { counterfactual, reason, rule, weights } = found.decision;
  return [h("p", {}, `${reason} (rule: ${rule}${weights ? `, weights: ${weights}` : ""})`), counterfactual ? h("p", {}, coded(`What would have changed it: ${counterfactual}`)) : null];
}
