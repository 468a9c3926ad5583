// What became of requests, in pictures: how many, where answered, what was hidden, how long, at which cost, over which links.

import { call, forPerson, may, session } from "../api.js";
import { fill, h } from "../dom.js";
import { cost, kept, kinds, latency, linkMap, power, traffic } from "../pictures.js";
import { follow } from "./live.js";

const SPANS = { "the last 24 hours": "by=hour&last=24", "the last 7 days": "by=day&last=7", "the last 30 days": "by=day&last=30" };
const EVERY_MS = 10_000, MOST_SEEN = 360;

export async function page({ signal }) {
  const place = h("div", { class: "two pictures" }), seen = [], sees = await may("GET /v1/signals");
  const span = h("select", { id: "span", "aria-label": "Of which time", change: () => look().catch(() => {}) }, Object.entries(SPANS).map(([words, asked]) => h("option", { value: asked }, words)));
  let drawn = "";
  const look = async () => {
    const [usage, ready, signals] = await Promise.all([call(forPerson(`/v1/usage?${span.value}`), { signal }), fetch("/readyz", { signal }).then((answer) => answer.json()),
      sees ? call("/v1/signals", { signal }) : null]);
    const watts = signals?.box?.power_w?.value ?? signals?.box?.power_w;
    if (typeof watts === "number") seen.push([Date.now(), watts]);
    if (seen.length > MOST_SEEN) seen.shift();
    const now = JSON.stringify([usage, ready, watts, innerWidth < 700]);
    if (now === drawn || place.contains(document.activeElement)) return;  // nothing moves under the reader's hands
    drawn = now;
    fill(place, traffic(usage), kept(usage), kinds(usage), latency(usage), cost(usage), linkMap(ready.parts, signals), sees ? power(seen) : null,
      usage.complete ? null : h("p", { class: "note small" }, "Older requests are still being counted."));
  };
  await look();
  follow(signal, look, EVERY_MS);
  return [h("p", { class: "row" }, h("span", { class: "soft" }, session.person ? `Requests of ${session.person} in ` : "All requests whose figures you may see, of "), span), place];
}
