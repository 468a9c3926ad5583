// A conversation: the answer as it comes, and at each answer what the box did with the question.

import { call, chat, mine, session } from "../api.js";
import { fill, h, tell } from "../dom.js";

const conversation = { id: crypto.randomUUID?.() ?? String(Math.random()), messages: [], turns: [] };

export async function page({ signal }) {
  const models = (await call("/v1/models", { signal })).data.map((model) => model.id);
  const log = h("div", { role: "log", "aria-label": "Conversation" }, conversation.turns);
  const text = h("textarea", { rows: 3, id: "ask", "aria-label": "Your question", placeholder: "Ask in your own words; what is private is hidden before anything leaves." });
  const model = h("select", { "aria-label": "Who answers" }, models.map((id) => h("option", { value: id, selected: id === "netgpt" }, id)));
  const send = h("button", { class: "main" }, "Ask"), stop = h("button", { type: "button", disabled: true }, "Stop");
  const form = h("form", { class: "card" }, text,
    h("div", { class: "row" }, model, send, stop, h("button", { type: "button", click: () => anew(log) }, "New conversation")));
  let asking = null;
  const ask = async (event) => {
    event.preventDefault();
    const words = text.value.trim();
    if (!words || asking) return;
    text.value = "";
    asking = new AbortController();
    send.disabled = true; stop.disabled = false;
    await turn(log, words, model.value, asking.signal);
    asking = null;
    send.disabled = false; stop.disabled = true;
    text.focus();
  };
  form.addEventListener("submit", ask);
  stop.addEventListener("click", () => asking?.abort());
  text.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) ask(event); });
  signal.addEventListener("abort", () => asking?.abort());
  return [log, form, await proposals()];
}

function anew(log) {
  Object.assign(conversation, { id: crypto.randomUUID?.() ?? String(Math.random()), messages: [], turns: [] });
  fill(log);
}

async function turn(log, words, model, signal) {
  const answer = h("div", { class: "text" }), foot = h("div", { class: "small soft" }, h("span", { class: "dots" }, "thinking"));
  const box = h("div", { class: "turn box card" }, answer, foot), you = h("div", { class: "turn you card text" }, words);
  conversation.turns.push(you, box);
  log.append(you, box);
  box.scrollIntoView({ block: "nearest" });
  conversation.messages.push({ role: "user", content: words });
  let told = {}, whole = "";
  try {
    const body = { model, messages: conversation.messages, netgpt: { conversation: conversation.id, explain: true } };
    if (session.person) body.user = session.person;
    for await (const chunk of chat(body, signal)) {
      for (const choice of chunk.choices ?? []) whole += choice.delta?.content ?? "";
      answer.textContent = whole;
      told = { ...told, ...chunk.netgpt };
    }
    conversation.messages.push({ role: "assistant", content: whole });
    fill(foot, about(told), rating(told.exchange));
  } catch (error) {
    if (whole) conversation.messages.push({ role: "assistant", content: whole }); else conversation.messages.pop();
    fill(foot, h("span", { class: error.name === "AbortError" ? "soft" : "bad", role: "alert" },
      error.name === "AbortError" ? "stopped" : error.message), told.exchange ? about(told) : null);
  }
}

function about(told) {
  const { explain = {} } = told, hidden = explain.hidden ?? [], facts = explain.facts ?? [];
  const kept = told.route === "edge";
  return [
    h("div", {}, h("strong", { class: kept ? "edge" : "cloud" }, kept ? "answered on the box" : `answered by ${told.arm}`), ` · ${told.reason}`,
      told.confidence ? ` · believed to ${Math.round(told.confidence.chance * 100)} %` : ""),
    facts.length ? h("div", {}, "completed with: ", facts.map((fact) => fact.text).join("; ")) : null,
    h("div", {}, kept && !explain.outbound ? "nothing left · " : `${hidden.length} hidden · `,
      h("a", { href: `#/exchange/${told.exchange}` }, "what left, and why")),
  ];
}

function rating(id) {
  if (!id) return null;
  const rate = async (value) => {
    try {
      await call("/v1/feedback", { method: "POST", body: { exchange: id, rating: value, ...(session.person ? { user: session.person } : {}) } });
      tell(value > 0 ? "Thank you: noted as good." : "Noted as bad.");
    } catch (error) {
      tell(error.message);
    }
  };
  return h("div", { class: "row" }, h("button", { click: () => rate(1), "aria-label": "A good answer" }, "Good"),
    h("button", { click: () => rate(-1), "aria-label": "A bad answer" }, "Bad"));
}

/** What was said in passing, and may be kept as a fact. */
export async function proposals() {
  const place = h("div");
  const draw = async () => {
    let found = [];
    try {
      found = (await call(`${mine()}/proposals`)).data;
    } catch { /* not this key's: then there is nothing to show */ }
    fill(place, found.length ? h("h2", {}, "Keep this as a fact?") : null, found.map((each) => h("div", { class: "card" },
      h("p", {}, h("strong", {}, each.text), h("span", { class: "soft" }, ` (${each.kind})`)),
      h("p", { class: "small soft" }, each.question ?? "", each.words ? ` You wrote: "${each.words}"` : ""),
      h("div", { class: "row" },
        h("button", { class: "main", click: () => decide(each.id, "POST", "kept") }, "Keep"),
        h("button", { click: () => decide(each.id, "DELETE", "dropped") }, "No")))));
  };
  const decide = async (id, method, what) => {
    try {
      await call(`${mine()}/proposals/${encodeURIComponent(id)}`, { method });
      tell(`The fact was ${what}.`);
    } catch (error) {
      tell(error.message);
    }
    await draw();
  };
  await draw();
  return place;
}
