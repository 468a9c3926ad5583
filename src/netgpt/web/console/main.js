// Which page is shown, who is signed in, and what is said when something fails.

import { call, session } from "./api.js";
import { confirmed, fill, h, tell } from "./dom.js";

// Each page: its title, and whether it stands in the list at the top. `pages/NAME.js` exports `page({ id, signal })`.
const PAGES = {
  chat: ["Chat", true],
  live: ["Live", true],
  exchange: ["Exchange", false],
  privacy: ["Privacy", true],
  box: ["Box", true],
  me: ["Me", true],
};
const main = document.getElementById("main");
let leave = () => {};

async function show(event) {
  leave();
  tell("");
  const [, asked = "chat", id] = location.hash.split("/");
  const name = Object.hasOwn(PAGES, asked) ? asked : "chat", [title] = PAGES[name];
  document.title = `${title} - NetGPT`;
  const stop = new AbortController();
  leave = () => stop.abort();
  fill(document.getElementById("nav"), Object.entries(PAGES).filter(([, [, listed]]) => listed).map(([each, [label]]) =>
    h("a", { href: `#/${each}`, "aria-current": each === name ? "page" : null }, label)));
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

function failed(error) {
  const ask = error.status === 401 ? h("button", { class: "main", click: signIn }, "Sign in") : null;
  return h("div", { class: "card", role: "alert" }, h("p", { class: "bad" }, error.message), ask);
}

function signIn() {
  const dialog = document.getElementById("dialog");
  const key = h("input", { type: "password", id: "key", autocomplete: "current-password", size: 34 });
  const accept = async (event) => {
    event.preventDefault();
    const before = session.key;
    session.key = key.value.trim();
    try {
      await call("/v1/models");
      dialog.close();
      signed();
      await show();
    } catch (error) {
      session.key = before;
      tell(error.message);
    }
  };
  fill(dialog, h("form", { submit: accept }, h("h2", { id: "dialog-title" }, "Sign in"),
    h("p", {}, h("label", { for: "key" }, "Key "), key),
    h("p", { class: "soft small" }, "It stays in this tab. Keys are made with `netgpt keys create`; on the box itself none is needed until one exists."),
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
  signed();
  await show();
});
const person = document.getElementById("person");
person.value = session.person;
document.getElementById("who").addEventListener("submit", (event) => { event.preventDefault(); person.blur(); });
person.addEventListener("change", () => { session.person = person.value.trim(); show(); });
addEventListener("hashchange", show);
signed();
show();
