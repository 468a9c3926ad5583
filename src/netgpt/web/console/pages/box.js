// The box: whether each part works, its models and links, what is measured of them, and what counts in a decision.

import { call, may } from "../api.js";
import { shareBar, sparkLine } from "../bars.js";
import { confirmed, fill, h, table, tell, when } from "../dom.js";
import { follow } from "./live.js";

const LINK = [["rtt_s", "round trip", (v) => `${(v * 1000).toFixed(1)} ms`], ["loss", "loss", (v) => `${(v * 100).toFixed(1)} %`],
  ["first_byte_s", "first byte", (v) => `${Math.round(v * 1000)} ms`], ["tokens_s", "tokens/s", (v) => v.toFixed(0)],
  ["failures", "failing", (v) => `${(v * 100).toFixed(0)} %`]];
const BOX = [["cpu", "cores at work", (v) => `${(v * 100).toFixed(0)} %`], ["memory", "memory in use", (v) => `${(v * 100).toFixed(0)} %`],
  ["power_w", "power", (v) => `${v.toFixed(0)} W`], ["temperature_c", "hottest sensor", (v) => `${v.toFixed(0)} °C`],
  ["engine_tokens_s", "edge writes, tokens/s", (v) => v.toFixed(0)], ["engine_waiting", "wait for the edge", (v) => String(v)]];
const PRESETS = { quality: "quality: the answer that most likely does", balanced: "balanced", cheap: "cheap: money counts more", fast: "fast: time counts more", private: "private: what leaves counts more" };
const KINDS = { edge: "on the box", neighbour: "a neighbour box", cloud: "a cloud" };
const REMEMBERED = 60;

export async function page({ signal }) {
  const [sees, changes] = await Promise.all([may("GET /v1/routing"), may("PATCH /v1/routing")]);
  const place = h("div"), deciding = h("div"), past = new Map();
  const draw = async () => {
    const [ready, models, signals, routing] = await Promise.all([
      fetch("/readyz", { signal }).then((response) => response.json()), call("/v1/models", { signal }),
      maybe("/v1/signals", signal), sees ? maybe("/v1/routing", signal) : null]);
    if (signals) remember(past, signals);
    fill(place, parts(ready), routing ? targets(routing) : null, signals ? measured(signals, past) : null, routing ? queues(routing) : null, named(models));
    if (routing) decide(deciding, routing, changes, draw);
  };
  await draw();
  follow(signal, draw, 5000);
  return [deciding, place];
}

async function maybe(path, signal) {
  try {
    return await call(path, { signal });
  } catch {
    return null;  // not this key's
  }
}

/** The last values of each figure of each link since the page was opened. */
function remember(past, { links = {} }) {
  for (const [target, link] of Object.entries(links)) {
    for (const [field] of LINK) {
      if (!link[field]) continue;
      const key = `${target} ${field}`, values = past.get(key) ?? [];
      values.push(link[field].value);
      past.set(key, values.slice(-REMEMBERED));
    }
  }
}

const shareWords = (share) => (share === null ? "no bound" : `at most ${Math.round(share * 100)} %`);

/** What counts in a decision. The form is drawn once, so that nothing moves under the hands of who changes it. */
function decide(place, routing, changes, draw) {
  const now = JSON.stringify([routing.prefer, routing.max_cloud_share, routing.changes.length]);
  if (place.dataset.now === now) return;
  place.dataset.now = now;
  const { prefer, max_cloud_share: share, settings } = routing, differs = settings.prefer !== prefer || settings.max_cloud_share !== share;
  fill(place, h("h2", {}, "What counts in a decision"), changes ? form(routing, draw) : h("p", {}, `It prefers ${prefer}; share of the cloud: ${shareWords(share)}.`),
    differs ? h("p", { class: "note" }, `Until the box is started again; the settings say: ${settings.prefer}, ${shareWords(settings.max_cloud_share)}. To keep it, change routing.prefer and routing.max_cloud_share there.`) : null,
    routing.changes.length ? h("details", {}, h("summary", {}, `Changed by ${routing.changes[0].by} at ${when(routing.changes[0].at)}`), table("Changes", [["when"], ["by"], ["prefers"], ["share of the cloud"]],
      routing.changes.map((each) => [when(each.at), each.by, each.prefer, shareWords(each.max_cloud_share)]))) : null);
}

function form({ prefer, max_cloud_share: share }, draw) {
  const preset = h("select", { name: "prefer" }, Object.entries(PRESETS).map(([value, words]) => h("option", { value, selected: value === prefer }, words)));
  const bound = h("input", { type: "number", name: "share", min: "0", max: "100", step: "1", size: 8, placeholder: "no bound", value: share === null ? null : Math.round(share * 100) });
  const change = async (event) => {
    event.preventDefault();
    const body = { prefer: preset.value, max_cloud_share: bound.value === "" ? null : Number(bound.value) / 100 };
    if (!(await confirmed(`From the next request on, for everybody: ${body.prefer}, share of the cloud ${shareWords(body.max_cloud_share)}? It is noted who changed it.`, "Change it"))) return;
    try {
      await call("/v1/routing", { method: "PATCH", body });
      tell("It counts from the next request on.");
      await draw();
    } catch (error) {
      tell(error.message);
    }
  };
  return h("form", { class: "card row", submit: change, "aria-label": "What counts" }, h("label", { class: "field" }, "Prefer", preset), h("label", { class: "field" }, "Percent to a cloud, at most", bound), h("button", { class: "main" }, "Change"));
}

function targets({ targets: each }) {
  return [h("h2", {}, "Models"), h("div", { class: "two" }, each.map((target) => h("section", { class: "card", "aria-label": target.name },
    h("p", {}, h("strong", {}, target.name), ` ${KINDS[target.kind] ?? target.kind}: ${target.model}`, target.trusted && target.kind !== "edge" ? h("span", { class: "note" }, " trusted: nothing is hidden from it") : null),
    h("p", { class: target.ok ? "small soft" : "small bad" }, target.ok ? `can be asked: ${target.detail}` : target.detail), ability(target.capability))))];
}

function ability(known) {
  if (!known) return h("p", { class: "small soft" }, "What it can do was not measured (netgpt models measure).");
  const kinds = Object.entries(known.kinds).sort(([, one], [, other]) => other.chance - one.chance);
  const whole = kinds.reduce((sum, [, each]) => sum + each.chance, 0) / kinds.length;
  return h("details", { open: known.origin === "measured" }, h("summary", {}, `How often its answers do, by kind of task (${known.origin}): ${Math.round(whole * 100)} % on average`),
    h("div", { class: "shares" }, kinds.map(([kind, each]) => shareBar(kind.replaceAll("_", " "), each.chance, ...(each.interval ?? [0, 0])))));
}

function named(models) {
  return h("details", {}, h("summary", {}, "Names that programs may ask for"), table("Names", [["name"], ["stands for"]], models.data.map((model) => [model.id, model.netgpt?.alias_of ?? ""])));
}

function parts(ready) {
  return [h("h2", {}, "Health"), h("p", {}, h("strong", { class: ready.ready ? "edge" : "bad" }, ready.ready ? "It can answer." : "It cannot answer.")),
    table("Parts", [["part"], ["state"], ["what it says"]], Object.entries(ready.parts).map(([part, state]) => [
      part, h("span", { class: state.ok && !state.fault ? "edge" : "bad" }, state.fault ? "to be mended" : state.ok ? "works" : "does not work"), state.fault ?? state.detail ?? ""]))];
}

function queues({ queues: each }) {
  return each.length ? [h("h2", {}, "Queues"), table("Queues", [["for"], ["at work", true], ["waiting", true], ["at once, at most", true]], each.map((queue) => [queue.pool, String(queue.at_work), String(queue.waiting), String(Math.floor(queue.limit))]))] : null;
}

function measured({ links = {}, box = {} }, past) {
  const shown = LINK.filter(([field]) => Object.values(links).some((link) => link[field]));
  const cell = (target, link, [field, name, form]) => (link[field] ? [form(link[field].value), " ", sparkLine(past.get(`${target} ${field}`) ?? [], `${target}, ${name}: since the page was opened`)] : "");
  return [h("h2", {}, "Links"), table("Links", [["target"], ...shown.map(([, name]) => [name, true]), ["under way", true], ["calls", true], ["failed", true], ["said of it"]],
    Object.entries(links).map(([target, link]) => [target, ...shown.map((each) => cell(target, link, each)), String(link.in_flight ?? 0), String(link.calls), String(link.failed), said(link)]), "No call yet."),
  h("h2", {}, "Machine"), table("Machine", [["what"], ["now", true]],
    BOX.filter(([field]) => typeof box[field] === "number" || box[field]?.value !== undefined).map(([field, name, form]) => [name, form(box[field].value ?? box[field])]))];
}

const said = (link) => [link.load ? `busy: ${link.load.busy} of ${link.load.slots}, ${link.load.waiting} wait` : "", link.hint].filter(Boolean).join("; ");
