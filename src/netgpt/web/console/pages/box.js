// The box: whether each part works, its models, and what is measured of links and machine.

import { call } from "../api.js";
import { fill, h, table } from "../dom.js";
import { follow } from "./live.js";

const LINK = [["rtt_s", "round trip", (v) => `${(v * 1000).toFixed(1)} ms`], ["loss", "loss", (v) => `${(v * 100).toFixed(1)} %`],
  ["first_byte_s", "first byte", (v) => `${Math.round(v * 1000)} ms`], ["tokens_s", "tokens/s", (v) => v.toFixed(0)],
  ["failures", "failing", (v) => `${(v * 100).toFixed(0)} %`]];
const BOX = [["cpu", "cores at work", (v) => `${(v * 100).toFixed(0)} %`], ["memory", "memory in use", (v) => `${(v * 100).toFixed(0)} %`],
  ["power_w", "power", (v) => `${v.toFixed(0)} W`], ["temperature_c", "hottest sensor", (v) => `${v.toFixed(0)} °C`],
  ["engine_tokens_s", "edge writes, tokens/s", (v) => v.toFixed(0)]];

export async function page({ signal }) {
  const place = h("div");
  const draw = async () => {
    const [ready, models, signals] = await Promise.all([
      fetch("/readyz", { signal }).then((response) => response.json()), call("/v1/models", { signal }), telemetry(signal)]);
    fill(place, parts(ready), h("h2", {}, "Models"), table("Models", [["name"], ["owner"], ["what it is"]],
      models.data.map((model) => [model.id, model.owned_by ?? "", described(model)])), signals ? measured(signals) : null);
  };
  await draw();
  follow(signal, draw, 5000);
  return place;
}

async function telemetry(signal) {
  try {
    return await call("/v1/signals", { signal });
  } catch {
    return null;
  }
}

function described(model) {
  const told = model.netgpt ?? {};
  return Object.entries(told).filter(([, value]) => ["string", "number"].includes(typeof value)).map(([name, value]) => `${name}: ${value}`).join(", ");
}

function parts(ready) {
  return [h("p", {}, h("strong", { class: ready.ready ? "edge" : "bad" }, ready.ready ? "It can answer." : "It cannot answer.")),
    table("Parts", [["part"], ["state"], ["what it says"]], Object.entries(ready.parts).map(([part, state]) => [
      part, h("span", { class: state.ok && !state.fault ? "edge" : "bad" }, state.fault ? "to be mended" : state.ok ? "works" : "does not work"), state.fault ?? state.detail ?? ""]))];
}

function measured({ links = {}, box = {} }) {
  const shown = LINK.filter(([field]) => Object.values(links).some((link) => link[field]));
  return [h("h2", {}, "Links"), table("Links", [["target"], ...shown.map(([, name]) => [name, true]), ["calls", true], ["failed", true]],
    Object.entries(links).map(([target, link]) => [target, ...shown.map(([field, , form]) => (link[field] ? form(link[field].value) : "")), String(link.calls), String(link.failed)]),
    "No call yet."),
  h("h2", {}, "Machine"), table("Machine", [["what"], ["now", true]],
    BOX.filter(([field]) => box[field]).map(([field, name, form]) => [name, form(box[field].value ?? box[field])]))];
}
