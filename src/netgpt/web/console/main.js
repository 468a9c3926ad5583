// Which page is shown, who is signed in, and what is said when something fails.

import { asksForReasons, call, caller, session } from "./api.js";
import { askedFor, coded, confirmed, fill, h, tell } from "./dom.js";

// Each page: its title, its group in the list at the top (none: links lead to it), and the operation of the API that it
// is made of: who may not use that one does not see the page in the list. `pages/NAME.js` exports `page({ id, signal })`.
const YOU = "Yours", PASSES = "What passes", BOX = "The box", WHO = "Who and how";
const PAGES = {
  chat: ["Chat", YOU, "POST /v1/chat/completions"],
  me: ["Me", YOU, "GET /v1/profiles/{user}"],
  overview: ["Overview", PASSES, "GET /v1/usage"],
  live: ["Live", PASSES, "GET /v1/exchanges"],
  reports: ["Reports", PASSES, "GET /v1/reports"],
  exchange: ["Exchange", "", "GET /v1/exchanges/{exchange_id}"],
  privacy: ["Privacy", PASSES, "GET /v1/receipts"],
  box: ["Box", BOX, "GET /v1/signals"],
  adapters: ["Adapters", BOX, "GET /v1/adapters"],
  doctor: ["Doctor", BOX, "GET /v1/doctor"],
  logs: ["Logs", BOX, "GET /v1/logs"],
  settings: ["Settings", WHO, "GET /v1/settings"],
  keys: ["Keys", WHO, "GET /v1/keys"],
};
const main = document.getElementById("main"), person = document.getElementById("person");
let leave = () => {};

async function show(event) {
  leave();
  tell("");
  const stop = new AbortController();
  leave = () => stop.abort();
  const who = await caller(), open = listed(who);
  if (stop.signal.aborted) return;
  const [, asked, id] = location.hash.split("/");
  const name = Object.hasOwn(PAGES, asked) ? asked : open[0]?.[0] ?? "chat", [title] = PAGES[name];
  document.title = `${title} - NetGPT`;
  fill(document.getElementById("nav"), [...new Set(open.map(([, [, group]]) => group))].map((group) =>
    h("span", { role: "group", "aria-label": group }, open.filter(([, page]) => page[1] === group).map(([each, [label]]) =>
      h("a", { href: `#/${each}`, "aria-current": each === name ? "page" : null }, label)))));
  person.placeholder = who?.user ?? "";
  fill(main, h("h1", {}, title), h("p", { class: "soft dots" }, "Loading"));
  try {
    const { page } = await import(`./pages/${name}.js`);
    const shown = await page({ id: id && decodeURIComponent(id), signal: stop.signal });
    if (!stop.signal.aborted) fill(main, h("h1", {}, title), shown);
  } catch (error) {
    if (!stop.signal.aborted) fill(main, h("h1", {}, title), failed(error));
  }
  if (event) main.focus({ preventScroll: true });  // a page that was asked for by its link: readers begin there
}

/** The pages of the list that the caller may open; chat alone where it is not known: there one signs in. */
function listed(who) {
  return Object.entries(PAGES).filter(([name, [, group, needs]]) => group && (who ? who.operations.includes(needs) : name === "chat"));
}

function failed(error) {
  const ask = error.status === 401 ? h("button", { class: "main", click: signIn }, "Sign in") : null;
  const says = error.status === 401 && !session.key ? "This box wants a key: sign in with yours. Its admins make keys, on the page Keys." : error.message;
  return h("div", { class: "card", role: "alert" }, h("p", { class: "bad" }, coded(says)), ask);
}

function signIn() {
  const dialog = document.getElementById("dialog");
  const key = h("input", { type: "password", id: "key", autocomplete: "current-password", size: 34 });
  const accept = async (event) => {
    event.preventDefault();
    const before = session.key;
    session.key = key.value.trim();
    try {
      await call("/v1/caller");
      dialog.close();
      await show();
    } catch (error) {
      session.key = before;
      tell(error.message);
    }
  };
  fill(dialog, h("form", { submit: accept }, h("h2", { id: "dialog-title" }, "Sign in"),
    h("p", {}, h("label", { for: "key" }, "Key "), key),
    h("p", { class: "soft small" }, coded("It stays in this tab. Keys are made on the page Keys, or with `netgpt keys create`; on the box itself none is needed until one exists. Whose questions these are is said in the field Person, without signing in.")),
    h("div", { class: "row" }, h("button", { class: "main" }, "Sign in"), h("button", { type: "button", click: () => dialog.close() }, "Cancel"))));
  dialog.showModal();
}

function signed() {
  document.getElementById("sign").textContent = session.key ? "Sign out" : "Sign in";
}

document.getElementById("sign").addEventListener("click", async () => {
  if (!session.key) return signIn();
  if (!(await confirmed("Sign out of this tab?", "Sign out"))) return;
  session.key = "";
  await show();
});
person.value = session.person;
document.getElementById("who").addEventListener("submit", (event) => { event.preventDefault(); person.blur(); });
person.addEventListener("change", () => { session.person = person.value.trim(); show(); });
asksForReasons((words) => askedFor(session.person ? `To this key ${session.person} is another person. Say why you read their texts (5 characters or more): ${session.person} sees who read them, when and why. A key that speaks for ${session.person} is not asked.`
  : `${words[0].toUpperCase()}${words.slice(1)}.`, "Why", { least: 5, yes: "Read" }));
addEventListener("hashchange", show);
addEventListener("signed", signed);
signed();
show();
