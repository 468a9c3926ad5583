// The public API, as any client uses it: this page has no other door. The key stays in this tab (sessionStorage).

const KEY = "netgpt.key", PERSON = "netgpt.person";

export const session = {
  get key() { return sessionStorage.getItem(KEY) ?? ""; },
  set key(value) {
    if (value) sessionStorage.setItem(KEY, value); else sessionStorage.removeItem(KEY);
    dispatchEvent(new Event("signed"));  // what says who is signed in follows
  },
  get person() { return sessionStorage.getItem(PERSON) ?? ""; },
  set person(value) { if (value) sessionStorage.setItem(PERSON, value); else sessionStorage.removeItem(PERSON); },
};

/** What the API refused: its message is for people, its code for the page. */
export class Refused extends Error {
  constructor(status, error = {}) {
    super(error.message ?? `the box answered ${status}`);
    this.status = status;
    this.code = error.code ?? "";
  }
}

let known = null;  // [key, answer] of the last `caller`

/** Who the box takes this tab for, and which operations it may use; null: nobody, or the box does not answer. */
export async function caller() {
  if (known?.[0] === session.key) return known[1];
  try {
    known = [session.key, await call("/v1/caller")];
    return known[1];
  } catch {
    return null;  // asked again next time: the box may be starting
  }
}

/** Whether this tab may use an operation, such as "GET /v1/signals". */
export const may = async (operation) => (await caller())?.operations.includes(operation) ?? false;

/** The path of the person of this tab: who is named at the top, else whom the key is bound to, else anonymous. */
export const mine = () => `/v1/profiles/${encodeURIComponent(session.person || known?.[1]?.user || "anonymous")}`;

// Why another person's texts are read, by that person: said once in a tab, and seen by them.
const reasons = new Map();
let why = null, asking = null;

/** Let `ask(words)` ask the reader for a reason where the box wants one; it resolves to the reason, or to nothing. */
export function asksForReasons(ask) { why = ask; }

/** Ask for JSON. Raises Refused, also where nobody answers. */
export async function call(path, { method = "GET", body, signal, headers } = {}) {
  const response = await sent(path, method, body, signal, headers);
  if (response.ok) return response.status === 204 ? null : response.json();
  const error = await refusal(response);
  if (error.code !== "reason_needed" || !why) throw error;
  asking ??= why(error.message).finally(() => { asking = null; });
  const reason = await asking;
  if (!reason) throw error;
  reasons.set(session.person, reason);
  return call(path, { method, body, signal, headers });
}

/** With the person's name, where one is given: operators see all people of their tenant else. */
export function forPerson(path) {
  if (!session.person) return path;
  return `${path}${path.includes("?") ? "&" : "?"}user=${encodeURIComponent(session.person)}`;
}

/** A streamed answer: yields its chunks. Raises Refused, also for an error within the stream, or a stream without its end;
 * 202 where the question waits until somebody can answer (`waiting`: the id to ask for). */
export async function* chat(body, signal) {
  const response = await sent("/v1/chat/completions", "POST", { ...body, stream: true }, signal);
  if (response.status === 202) {
    const waiting = await response.json();
    throw Object.assign(new Refused(202, { message: waiting.reason, code: "waiting" }), { waiting: waiting.id });
  }
  if (!response.ok) throw await refusal(response);
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Refused(200, chunk.error);
    yield chunk;
  }
  throw new Refused(200, { message: "the answer broke off" });
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (data.length) yield data.join("\n");
    }
  }
}

async function sent(path, method, body, signal, more) {
  const headers = { ...more };
  if (session.key) headers.authorization = `Bearer ${session.key}`;
  if (reasons.has(session.person)) headers["x-netgpt-reason"] = encodeURIComponent(reasons.get(session.person));
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    return await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { message: "the box does not answer: is `netgpt serve` running?" });
  }
}

async function refusal(response) {
  let found = {};
  try {
    found = (await response.json()).error ?? {};
  } catch { /* not JSON: the status says enough */ }
  return new Refused(response.status, found);
}
