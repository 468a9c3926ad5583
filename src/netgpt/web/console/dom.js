// Elements made of plain data: text is always text, so nothing that a model or a cloud wrote can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (functions are listeners) and children (nodes or text; null and false are left out). */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same of an SVG picture. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Words with what stands between backticks as code. */
export const coded = (words) => String(words ?? "").split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));

/** Put these children in the place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return element;
}

/** A table; `columns`: [title, numeric?], `rows`: lists of nodes or texts. */
export function table(caption, columns, rows, none = "Nothing yet.") {
  if (!rows.length) return h("p", { class: "soft" }, none);
  const cell = (tag, content, numeric) => h(tag, numeric ? { class: "n" } : {}, content);
  const head = columns.map(([title, numeric]) => h("th", { scope: "col", class: numeric ? "n" : null }, title));
  const body = rows.map((row) => h("tr", {}, row.map((content, at) => cell("td", content ?? "", columns[at][1]))));
  return h("div", { class: columns.length > 4 ? "scroll wide" : "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

/** Say something for a while, to those who cannot see the page, too. */
export function tell(text) {
  const place = document.getElementById("told");
  place.textContent = text;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { place.textContent = ""; }, 12_000);
}

/** A button that copies what `text()` gives, and says so. */
export function copyButton(text, label) {
  return h("button", { type: "button", class: "quiet", "aria-label": label, click: async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {  // not allowed, or no https: the old way
      const area = h("textarea", { class: "skip" }, text());
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    tell("Copied.");
  } }, "Copy");
}

/** Do `work`, say that it is done, and draw anew; or say why not. */
export async function attempt(work, done, draw) {
  try {
    await work();
    tell(done);
    await draw();
  } catch (error) {
    tell(error.message);
  }
}

/** Ask for a yes; true where it was given. */
export function confirmed(question, yes) {
  return new Promise((answered) => {
    const dialog = document.getElementById("dialog");
    const end = (value) => { dialog.close(); answered(value); };
    dialog.oncancel = () => answered(false);
    fill(dialog, h("p", { id: "dialog-title" }, question), h("div", { class: "row" },
      h("button", { class: "main", click: () => end(true) }, yes), h("button", { click: () => end(false) }, "Cancel")));
    dialog.showModal();
  });
}

/** Ask for some words; null where none were given. */
export function askedFor(question, label, { least = 1, yes = "Go on" } = {}) {
  return new Promise((answered) => {
    const dialog = document.getElementById("dialog");
    const input = h("input", { id: "words", required: true, minlength: least, maxlength: 500, size: 34, autocomplete: "off" });
    const end = (value) => { dialog.close(); answered(value); };
    dialog.oncancel = () => answered(null);
    fill(dialog, h("form", { submit: (event) => { event.preventDefault(); end(input.value.trim() || null); } },
      h("p", { id: "dialog-title" }, question), h("p", {}, h("label", { for: "words" }, `${label} `), input),
      h("div", { class: "row" }, h("button", { class: "main" }, yes), h("button", { type: "button", click: () => end(null) }, "Cancel"))));
    dialog.showModal();
  });
}

export const json = (value) => h("pre", { tabindex: "0" }, JSON.stringify(value, null, 1));
export const ms = (value) => (value === undefined || value === null ? "" : `${Math.round(value).toLocaleString("en")} ms`);
export const when = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
