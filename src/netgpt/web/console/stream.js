// Server-sent events over fetch: the key is a header, which EventSource cannot send. It comes back by itself.

import { Refused, session } from "./api.js";

const SILENT_MS = 40_000, FIRST_MS = 500, LONGEST_MS = 15_000;

/**
 * Listen until `signal` ends it. `heard(name, data)` for each event; `told(true, "")` when it is open, `told(false, why)`
 * when it broke off. What cannot get better (no key, no right) is told once, and ends it.
 */
export async function listen(path, { signal, heard, told }) {
  let last = "", wait = FIRST_MS;
  while (!signal.aborted) {
    try {
      await once(path, last, signal, (event) => {
        if (event.id) last = event.id;
        if (event.name === "open") { wait = FIRST_MS; told(true, ""); } else heard(event.name, event.data);
      });
      wait = FIRST_MS;  // it ended as it should: each does after a while
    } catch (error) {
      if (signal.aborted) return;
      told(false, error.message);
      if ([400, 401, 403, 404].includes(error.status)) return;
      wait = Math.min(wait * 2, LONGEST_MS);
    }
    await pause(wait, signal);
  }
}

async function once(path, last, signal, heard) {
  const silent = new AbortController(), end = () => silent.abort();
  signal.addEventListener("abort", end);
  let timer = setTimeout(end, SILENT_MS);
  try {
    const headers = { accept: "text/event-stream" };
    if (session.key) headers.authorization = `Bearer ${session.key}`;
    if (last) headers["last-event-id"] = last;
    const response = await fetch(path, { headers, signal: silent.signal });
    if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => ({}))).error);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(end, SILENT_MS);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      blocks.map(read).filter(Boolean).forEach(heard);
    }
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(0, { message: "the box does not answer" });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    end();
  }
}

/** One event of its lines; null for a comment. */
function read(block) {
  const event = { name: "message", id: "", data: null };
  for (const line of block.split("\n")) {
    const [, field, value] = /^(event|id|data): ?(.*)$/.exec(line) ?? [];
    if (field === "event") event.name = value;
    if (field === "id") event.id = value;
    if (field === "data") event.data = JSON.parse(value);
  }
  return event.data === null ? null : event;
}

function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });
}
