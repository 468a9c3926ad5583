// A conversation: the answer as it comes, and at each answer what the box did with the question; one's earlier ones.

import { call, chat, forPerson, mine, session } from "../api.js";
import { fill, h, tell, when } from "../dom.js";
import { proposal, proposed } from "../proposals.js";
import { turnOf } from "../turn.js";
import { follow } from "./live.js";

const talk = {};  // goes on while another page is shown
let heard = () => {};  // called when a turn has ended
const NOT_ELSEWHERE = ["edge", "detector", "store", "encoder", "relevance"];
const LATER_MS = [700, 2500, 6000], POLL_MS = 1500;
const NO_FILES = "Files and pictures are not taken here: what is in them cannot be checked before it leaves. Copy the words that matter, and paste them.";

/** Begin anew: as this person, with this key. `id`: of a conversation to go on with. */
function begin(id = crypto.randomUUID?.() ?? String(Math.random()), messages = []) {
  talk.asking?.abort();
  if (talk.person !== session.person || talk.key !== session.key) talk.model = null;
  Object.assign(talk, { id, messages, person: session.person, key: session.key, asking: null, known: new Set(),
    log: h("div", { role: "log", "aria-label": "Conversation" }) });
}

addEventListener("forgotten", () => { if (talk.log) begin(); });  // else this tab would show it still, and send it again

export async function page({ id, signal }) {
  if (!talk.log || talk.person !== session.person || talk.key !== session.key) begin();
  const [models, facts] = await Promise.all([call("/v1/models", { signal }), proposed(signal), id && id.split(" ")[0] !== talk.id ? reopen(id, signal) : null]);
  for (const each of facts) talk.known.add(each.id);
  const form = asking(models.data.map((model) => model.id).filter((name) => !name.includes("/embed"))), now = h("div", { role: "status" });
  const look = async () => fill(now, await whoAnswers(signal));
  look().catch(() => {});
  follow(signal, look, 5000);
  return h("div", { class: "beside" }, earlier(signal),
    h("section", { "aria-label": "This conversation" }, talk.log, now, form,
      facts.length ? h("p", { class: "small" }, h("a", { href: "#/me" }, `${facts.length} proposed ${facts.length === 1 ? "fact waits" : "facts wait"} for your yes or no.`)) : null,
      await waiting(signal)));
}

function asking(models) {
  const text = h("textarea", { rows: 3, id: "ask", "aria-label": "Your question", "aria-describedby": "keys", placeholder: "Ask in your own words; what is private is hidden before anything leaves." });
  const names = { netgpt: "the box decides", "netgpt/edge": "on the box only", "netgpt/cloud": "the cloud" };
  const chosen = models.includes(talk.model) ? talk.model : "netgpt";  // kept while other pages are shown: "on the box only" is a promise
  const model = h("select", { "aria-label": "Who answers", change: () => { talk.model = model.value; } }, models.map((id) => h("option", { value: id, selected: id === chosen }, names[id] ?? id)));
  const send = h("button", { class: "main" }, "Ask"), stop = h("button", { type: "button", click: () => talk.asking?.abort() }, "Stop");
  const note = h("p", { class: "bad small", role: "alert" });
  const busy = () => { send.disabled = Boolean(talk.asking); stop.disabled = !talk.asking; };
  const ask = async (event) => {
    event.preventDefault();
    const words = text.value.trim();
    if (!words || talk.asking) return;
    text.value = "";
    note.textContent = "";
    const done = turn(words, model.value, (again) => { text.value = again; text.focus(); });
    busy();
    await done;
    busy();
    if (text.isConnected && document.activeElement === document.body) text.focus();
  };
  const refuse = (event, files) => {
    if (!files?.length) return;
    event.preventDefault();
    note.textContent = NO_FILES;
  };
  text.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) ask(event); });
  const anew = () => { begin(); if (location.hash.startsWith("#/chat/")) location.hash = "#/chat"; else dispatchEvent(new HashChangeEvent("hashchange")); };
  const form = h("form", { class: "card ask", submit: ask, dragover: (event) => event.preventDefault(), drop: (event) => refuse(event, event.dataTransfer?.files),
    paste: (event) => refuse(event, event.clipboardData?.files), keydown: (event) => { if (event.key === "Escape") talk.asking?.abort(); } },
  text, h("div", { class: "row" }, model, send, stop, h("button", { type: "button", click: anew }, "New conversation")), note,
  h("p", { class: "small soft", id: "keys" }, "Enter asks, Shift+Enter begins a line, Escape stops."));
  busy();
  return form;
}

async function turn(words, model, again) {
  const mine_ = talk.log, shown = turnOf(words), { messages } = talk;
  const stopping = talk.asking = new AbortController(), question = { role: "user", content: words };
  mine_.append(...shown.nodes);
  mine_.setAttribute("aria-busy", "true");
  shown.thinking();
  shown.nodes[1].scrollIntoView({ block: "nearest" });
  let told = {}, ended = "";
  try {
    const body = { model, messages: [...messages, question], netgpt: { conversation: talk.id, explain: true, may_wait: model === "netgpt" } };
    if (session.person) body.user = session.person;
    for await (const chunk of chat(body, stopping.signal)) {
      told = { ...told, ...chunk.netgpt };
      for (const choice of chunk.choices ?? []) {
        shown.add(choice.delta?.content ?? "");
        ended = choice.finish_reason ?? ended;
      }
    }
    shown.end(told, ended === "length" ? h("p", { class: "note" }, "Cut here: it is as long as an answer may be. Ask to go on.") : null);
  } catch (error) {
    if (error.waiting) keptBack(shown, error, words, messages);
    else shown.end(told, broken(error, shown.whole), retry(words, again));
  }
  if (shown.whole) messages.push(question, { role: "assistant", content: shown.whole });
  if (talk.asking === stopping) talk.asking = null;
  mine_.removeAttribute("aria-busy");
  heard();
  if (shown.whole) for (const later of LATER_MS) setTimeout(() => newFacts(shown).catch(() => {}), later);
}

function broken(error, whole) {
  if (error.name === "AbortError") return h("p", { class: "note", role: "alert" }, whole ? "Stopped by you: this is not the whole answer." : "Stopped by you before the first word.");
  return h("p", { class: "bad", role: "alert" }, whole ? `Cut here, this is not the whole answer: ${error.message}` : error.message);
}

const retry = (words, again) => h("div", {}, h("button", { type: "button", class: "quiet", click: () => again(words) }, "Ask this again"));

/** Nobody can answer now: the question is kept, and its answer filled in when it comes. */
function keptBack(shown, { waiting: id, message }, words, messages) {
  const path = `/v1/waiting/${encodeURIComponent(id)}`;
  const say = () => shown.end({}, h("p", { class: "note" }, `Waiting: ${message}. The question is kept, sealed, and sent once when somebody can answer.`), cancelling(path, id, () => {
    clearInterval(timer);
    shown.end({}, h("p", { class: "note" }, "Not sent: you took it back."));
  }));
  const timer = setInterval(async () => {
    try {
      const found = await call(forPerson(path));
      if (["waiting", "sending"].includes(found.status)) return;
      clearInterval(timer);
      const answer = found.answer?.choices?.[0]?.message?.content;
      if (answer) {
        shown.add(answer);
        messages.push({ role: "user", content: words }, { role: "assistant", content: answer });
      }
      shown.end(found.answer?.netgpt ?? {}, answer ? null : h("p", { class: "bad" }, found.error?.message ?? `It ended: ${found.status}.`));
    } catch { /* asked again */ }
  }, POLL_MS);
  say();
}

const cancelling = (path, id, done) => h("button", { type: "button", class: "quiet", "aria-label": `Take back the question ${id}`, click: async () => {
  try {
    await call(forPerson(path), { method: "DELETE" });
    done();
  } catch (error) {
    tell(error.message);
  }
} }, "Take it back");

async function newFacts(shown) {
  for (const each of await proposed()) {
    if (talk.known.has(each.id)) continue;
    talk.known.add(each.id);
    shown.below(proposal(each));
  }
}

/** Questions of before that still wait. Those answered meanwhile are among the earlier conversations. */
async function waiting(signal) {
  let rows = [];
  try {
    rows = (await call(forPerson("/v1/waiting?limit=50"), { signal })).data.filter((row) => ["waiting", "sending"].includes(row.status));
  } catch { /* not this key's */ }
  return rows.map((row) => {
    const line = h("p", { class: "card small" }, `A question of ${when(row.created)} waits to be answered; it is found among the earlier conversations then. `);
    line.append(cancelling(`/v1/waiting/${encodeURIComponent(row.id)}`, row.id, () => line.remove()));
    return line;
  });
}

/** Who can be asked now, where not everybody can. */
async function whoAnswers(signal) {
  const { parts } = await (await fetch("/readyz", { signal })).json();
  const others = Object.entries(parts).filter(([name, { ok, detail }]) => !NOT_ELSEWHERE.includes(name) && (ok || name !== "cloud" || !detail?.startsWith("no ")));
  const away = others.every(([, { ok, detail }]) => !ok || detail?.includes("half-open")), edge = parts.edge?.ok;
  if (edge && (!away || !others.length)) return null;
  const says = !edge && away ? "Nobody can answer now. A question waits until somebody can."
    : !edge ? "The model on the box does not answer now: what may leave goes to the cloud, made safe." : "The cloud is away: the box answers now, as well as it can.";
  return h("p", { class: "note small" }, says);
}

/** `link`: the conversation's id and its last exchange, by which one of long ago is found. */
async function reopen(link, signal) {
  const [id, exchange] = link.split(" "), path = `${mine()}/conversations/${encodeURIComponent(id)}`;
  const found = await call(path, { signal }).catch((error) => {
    if (error.status !== 404 || !exchange) throw error;
    return call(`${path}?exchange=${encodeURIComponent(exchange)}`, { signal });
  });
  begin(id, found.messages.map(({ netgpt, ...message }) => message));
  const { messages } = found;
  messages.forEach((message, at) => {
    if (message.role !== "user") return;
    const next = messages[at + 1]?.role === "assistant" ? messages[at + 1] : null;
    const shown = turnOf(textOf(message)), told = next?.netgpt ?? {};
    if (next) shown.add(textOf(next));
    const cut = told.partial || ["failed", "cancelled"].includes(told.status);
    shown.end(told, cut ? h("p", { class: "note" }, told.status === "cancelled" ? "Stopped: this is not the whole answer." : "Cut here: this is not the whole answer.") : null);
    talk.log.append(...shown.nodes);
  });
}

const textOf = ({ content }) => (typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? `[${part.type}]`).join("\n"));

/** One's earlier conversations, read when they are asked for; on wide pages at once. */
function earlier(signal) {
  const list = h("div"), more = h("button", { type: "button", class: "quiet", hidden: true, click: () => draw(next) }, "Older");
  const names = new Set();
  let next = null;
  const draw = async (before) => {
    more.hidden = true;
    try {
      const found = await call(`${mine()}/conversations?limit=30${before ? `&before=${encodeURIComponent(before)}` : ""}`, { signal });
      if (!before) { names.clear(); fill(list); }
      for (const each of found.data.filter(({ id }) => !names.has(id))) {
        names.add(each.id);
        list.append(h("p", {}, h("a", { href: `#/chat/${encodeURIComponent(`${each.id} ${each.exchange}`)}`, "aria-current": each.id === talk.id ? "true" : null }, each.title || "(no words)"),
          h("br"), h("span", { class: "small soft" }, `${when(each.last)} · ${each.questions} ${each.questions === 1 ? "question" : "questions"}`)));
      }
      if (!names.size) fill(list, h("p", { class: "soft small" }, "None yet. A box that is set to keep no texts (store.keep_text) never has any."));
      next = found.next;
      more.hidden = !next;
    } catch (error) {
      if (!signal.aborted) fill(list, h("p", { class: "soft small" }, error.message));
    }
  };
  const wide = matchMedia("(min-width: 1000px)").matches;
  const details = h("details", { class: "card history", open: wide, toggle: () => { if (details.open) draw(null); } }, h("summary", {}, "Earlier conversations"), list, more);
  heard = () => { if (details.open && !signal.aborted) draw(null); };
  return details;
}
