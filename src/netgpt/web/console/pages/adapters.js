// What the box learnt: every adapter with its gate, who is answered with it, and a training that runs.

import { call, may, session } from "../api.js";
import { lossLine } from "../bars.js";
import { attempt, confirmed, fill, h, json, table, when } from "../dom.js";
import { follow } from "./live.js";

const ENDS = { candidate: "It passed its gate and is a candidate: nobody is answered with it before you promote it.", rejected: "Its gate refused it: nobody is ever answered with it.",
  "dry run": "Nothing was trained: this is what it would train on.", failed: "It failed.", stopped: "It was stopped.", cut: "It was cut." };
const PHASES = { gathering: "reading the examples", training: "training", judging: "its gate asks it, and the version in use, the same questions" };
const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`);
const percent = (share) => `${Math.round(share * 100)} %`;
const at = (id) => `/v1/adapters/${encodeURIComponent(id)}`;

export async function page({ id, signal }) {
  if (id) return card(await call(at(id), { signal }));
  const list = h("div"), training = h("div", { class: "part" });
  let known = "", ran = false, asked = 0, answered = 0;
  const draw = async () => {
    const { data } = await call("/v1/adapters", { signal });
    fill(list, versions(data, draw));
  };
  const look = async () => {
    if (!(await may("GET /v1/training"))) return;
    const turn = ++asked, now = await call("/v1/training", { signal }), seen = JSON.stringify(now);
    if (turn < answered || seen === known) return;  // overtaken by a later look; or nothing moves under the reader's hands
    [answered, known] = [turn, seen];
    if (ran && !now.run?.runs) await draw();
    if (!(now.run?.runs && ran)) fill(training, lesson(now, look));
    else training.querySelector("[data-run]").replaceWith(progress(now.run, look));
    ran = now.run?.runs ?? false;
  };
  await Promise.all([draw(), look()]);
  follow(signal, look, 1000);
  return [h("p", { class: "soft" }, "An adapter is a small addition to the model on the box: what it learnt from answers that people rated good and agreed to. Each version must pass a gate."), list, training];
}

function versions(data, draw) {
  const newest = [...data].sort((one, other) => (one.name === other.name ? other.version - one.version : one.name < other.name ? -1 : 1));
  return [h("h2", {}, "Versions"), table("Versions", [["version"], ["state"], ["gate"], ["for"], ["base"], ["size", true], ["made"], ["change"]], newest.map((each) => [
    h("a", { href: `#/adapters/${encodeURIComponent(each.id)}` }, each.id), standing(each), gate(each), { task: "a task", site: "this place", user: "one person" }[each.scope] ?? each.scope,
    each.base, size(each.bytes), when(each.created), buttons(each, draw)]), "None yet: train one below.")];
}

function standing(each) {
  const words = each.state === "canary" ? `canary: ${percent(each.canary_share)} of the people` : each.state;
  const why = each.fault ?? (each.fits ? each.why : "made for another model than this box has");
  return h("span", {}, h("strong", { class: each.fault || each.state === "rejected" ? "bad" : ["active", "canary"].includes(each.state) ? "edge" : null }, words),
    each.shipped ? h("span", { class: "small soft" }, " came with NetGPT") : null, why ? h("span", { class: "small" }, h("br"), why) : null);
}

function gate({ metrics, judged, shipped }) {
  if (!metrics.gate) return judged ? (shipped ? "judged before it was shipped" : "in use before") : h("span", { class: "note" }, "not judged");
  return h("span", { class: metrics.gate.passed ? "edge" : "bad" }, metrics.gate.passed ? "passed" : `failed: ${(metrics.gate.failing ?? []).join(", ")}`);
}

function buttons(each, draw) {
  const named = (words) => ({ "aria-label": `${words} ${each.id}` });
  const change = (question, yes, path, options, done) => async () => {
    if (await confirmed(question, yes)) await attempt(() => call(path, options), done, draw);
  };
  const doubt = each.judged ? "" : " It passed no evaluation: that is on your own word.", body = each.judged ? {} : { unjudged: true };
  const usable = each.fits && !each.fault && each.state !== "rejected", inUse = ["active", "canary"].includes(each.state);
  return h("span", { class: "row" },
    usable && each.state !== "active" ? h("button", { ...named("Promote"), click: change(`Answer everybody with ${each.id}?${doubt}`, "Promote", `${at(each.id)}/promote`, { method: "POST", body }, `${each.id} answers everybody.`) }, "Promote") : null,
    usable && each.state !== "active" ? h("button", { ...named("Canary"), click: () => canary(each, body, doubt, draw) }, "Canary") : null,
    inUse ? h("button", { ...named("Roll back"), click: change(each.state === "canary" ? `End the canary ${each.id}?` : `Go back to what was active before ${each.id}?`, "Roll back",
      `${at(each.name)}/rollback`, { method: "POST" }, `${each.name} is rolled back.`) }, "Roll back") : null,
    inUse || each.shipped || each.pinned ? null : h("button", { ...named("Remove"), class: "bad", click: change(`Delete ${each.id}, its weights and its card? This cannot be undone.`, "Remove",
      at(each.id), { method: "DELETE" }, `${each.id} is gone.`) }, "Remove"));
}

function canary(each, body, doubt, draw) {
  const dialog = document.getElementById("dialog"), share = h("input", { type: "number", name: "share", min: "1", max: "100", value: each.canary_share ? Math.round(each.canary_share * 100) : 10, required: true });
  const start = async (event) => {
    event.preventDefault();
    dialog.close();
    await attempt(() => call(`${at(each.id)}/promote`, { method: "POST", body: { ...body, canary: true, share: Number(share.value) / 100 } }), `${each.id} is tried on ${share.value} % of the people.`, draw);
  };
  fill(dialog, h("form", { submit: start }, h("h2", { id: "dialog-title" }, `Try ${each.id}`), h("p", {}, `It answers some of the people; where it does worse than the version in use, it is withdrawn by itself.${doubt}`),
    h("p", {}, h("label", {}, "Percent of the people ", share)), h("div", { class: "row" }, h("button", { class: "main" }, "Start the canary"), h("button", { type: "button", click: () => dialog.close() }, "Cancel"))));
  dialog.showModal();
}

function card(each) {
  const { metrics } = each.card;
  return [h("p", {}, h("a", { href: "#/adapters" }, "All versions")), h("h2", {}, each.id), h("p", {}, standing(each), " · ", gate(each), ` · ${each.card.examples ?? 0} examples · rank ${each.card.rank}`),
    outcome(metrics.gate), h("h2", {}, "The whole card"), json(each.card)];
}

/** What a gate found, slice by slice. */
function outcome(found) {
  if (!found) return null;
  const slices = Object.entries(found.held_out?.slices ?? {}), general = Object.entries(found.sentinels?.categories ?? {});
  const score = (side, name) => { const mean = found[side]?.slices?.[name]?.mean; return mean === undefined ? "" : percent(mean); };
  return [h("h2", {}, "Its gate"), found.passed ? h("p", { class: "edge" }, "Passed.") : h("ul", { class: "bad" }, (found.reasons ?? []).map((reason) => h("li", {}, reason))),
    slices.length ? h("p", {}, "Examples that it was not trained on, by slice:") : null, slices.length ? table("Held-out examples by slice", [["slice"], ["examples", true], ["right with it", true], [`right with ${found.held_out.against}`, true], ["difference", true]], slices.map(([name, each]) => [
      name, String(each.count), score("candidate", name), score("against", name), `${each.difference > 0 ? "+" : ""}${(each.difference * 100).toFixed(0)} points`])) : null,
    general.length ? h("p", {}, "Everyday requests, of which it may not lose any sort:") : null, general.length ? table("General requests", [["sort"], ["of", true], ["pass with it", true], ["without", true]], general.map(([name, each]) => [name, String(each.of), String(each.candidate), String(each.base)])) : null];
}

function lesson({ cannot, run }, look) {
  const parts = [h("h2", {}, "Training")];
  if (cannot) parts.push(h("p", { class: "card" }, `Nothing is trained here: ${cannot}.`));
  else if (!run?.runs) parts.push(starting(look));
  if (run) parts.push(progress(run, look));
  return parts;
}

function starting(look) {
  const scope = h("select", { name: "scope" }, h("option", { value: "site" }, "this place, from all who consent"), h("option", { value: "user" }, "one person, who has consented"));
  const user = h("input", { name: "user", maxlength: 256, disabled: true, placeholder: "name", value: session.person }), epochs = h("input", { name: "epochs", type: "number", min: "1", max: "100", value: 8, required: true });
  const rate = h("input", { name: "learning_rate", type: "number", min: "0.000001", max: "0.5", step: "any", value: 0.001, required: true });
  const rank = h("input", { name: "rank", type: "number", min: "1", max: "256", value: 8, required: true });
  scope.addEventListener("change", () => { user.disabled = scope.value === "site"; user.required = !user.disabled; });
  const start = (event) => {
    event.preventDefault();
    const body = { scope: scope.value, epochs: Number(epochs.value), rank: Number(rank.value), learning_rate: Number(rate.value), dry_run: event.submitter?.value === "dry", ...(user.disabled ? {} : { user: user.value }) };
    return attempt(() => call("/v1/training", { method: "POST", body }), "It begins.", look);
  };
  return h("form", { class: "card", submit: start, "aria-label": "Train" }, h("p", { class: "small soft" }, "It runs beside the answers, at low priority, and takes minutes to hours. A dry run only says what it would learn from."),
    h("div", { class: "row" }, h("label", { class: "field" }, "For", scope), h("label", { class: "field" }, "Person", user)),
    h("details", {}, h("summary", {}, "How"), h("div", { class: "row" }, h("label", { class: "field" }, "Times through, at most", epochs), h("label", { class: "field" }, "Size (rank)", rank), h("label", { class: "field" }, "Highest step", rate))),
    h("p", { class: "row" }, h("button", { class: "main" }, "Train"), h("button", { value: "dry" }, "Dry run")));
}

function progress(run, look) {
  const { step, judging, summary, figures } = run;
  const stop = async () => {
    if (await confirmed("Stop the training? The same one goes on where it was when it is started again.", "Stop it")) await attempt(() => call("/v1/training", { method: "DELETE" }), "It is stopped.", look);
  };
  const words = run.runs ? `${run.adapter}: ${PHASES[run.state] ?? run.state}` : `${run.adapter}: ${ENDS[run.state] ?? run.state}`;
  const how = run.runs && run.state === "training" && step ? `epoch ${Math.min(step.epoch, step.epochs)} of ${step.epochs}, loss ${step.loss.toFixed(3)}, ${Math.round(step.tokens_per_s)} tokens/s, about ${Math.ceil(step.seconds_left)} s left, ${Math.round(step.peak_mb)} MB`
    : run.runs && run.state === "judging" && judging ? `${judging[0]}: ${judging[1]} of ${judging[2]}` : "";
  return h("section", { class: "card", "aria-label": "The training", "data-run": run.id }, h("p", {}, h("strong", { class: ["failed", "rejected", "cut"].includes(run.state) ? "bad" : null }, words), run.made ? h("span", {}, " ", h("a", { href: `#/adapters/${encodeURIComponent(run.made)}` }, run.made)) : null),
    h("p", { class: "small soft" }, `Started ${when(run.started)} by ${run.by}${run.ended ? `, ended ${when(run.ended)}` : ""}. `, how),
    run.runs && step ? h("progress", { max: step.total_tokens, value: step.done_tokens, "aria-label": "Tokens of the training" }) : null,
    run.message && !["candidate", "dry run"].includes(run.state) ? h("p", {}, run.message) : null,
    summary ? h("p", { class: "small" }, `${summary.examples} examples of ${summary.people} people (${summary.held_out} held out), about ${summary.tokens} tokens. `,
      Object.entries(run.skipped ?? {}).map(([why, count]) => `Left out: ${count} (${why}). `), (run.notes ?? []).join(". ")) : null,
    lossLine(run.points ?? []), figures?.seconds ? h("p", { class: "small soft" }, `${Math.round(figures.seconds)} s, ${Math.round(figures.tokens_per_s)} tokens/s, ${Math.round(figures.peak_mb)} MB.`) : null,
    run.runs ? null : outcome(run.gate?.passed === undefined ? null : run.gate), run.runs ? h("p", {}, h("button", { click: stop }, "Stop")) : null);
}
