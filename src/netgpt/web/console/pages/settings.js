// Settings: what is set, from where, what is wrong with it; changed here where that may be, checked before it is kept.

import { call } from "../api.js";
import { coded, confirmed, fill, h, table, tell, when } from "../dom.js";

const FROM = { default: "default", file: "the file", environment: "the environment", "command line": "the command line" };

export async function page({ signal }) {
  let told = await call("/v1/settings", { signal });
  const place = h("div"), above = h("div"), words = h("input", { type: "search", "aria-label": "Search the settings", placeholder: "Search: port, cloud, days, ...", size: 28 });
  const which = h("select", { "aria-label": "Which settings" }, [["changed", "Set, waiting or wrong"], ["all", "All settings"]].map(([value, text]) => h("option", { value }, text)));
  const keep = async (row, value) => {
    const confirm = row.admin ? [row.name] : [];
    const question = `${row.name} could open the box wider, or shut people out. Change it to ${value === null ? "its default" : row.secret ? "what you typed" : JSON.stringify(value)}?`;
    if (row.admin && !(await confirmed(question, "Change it"))) return "";
    try {
      told = await call("/v1/settings", { method: "PATCH", body: { set: { [row.name]: value }, confirm }, headers: { "if-match": `"${told.etag}"` } });
    } catch (error) {
      if (error.code === "changed_meanwhile") {
        told = await call("/v1/settings");
        draw();
        tell("Somebody changed the settings meanwhile: this is how they are now. Nothing of yours was kept.");
        return "";
      }
      return error.message;
    }
    draw();
    const at = told.at_once.includes(row.name) ? "It counts already." : "It is written, and counts from the next start of the box on.";
    tell(`${row.name} is kept. ${at}`);
    document.getElementById(idOf(row))?.focus();
    return "";
  };
  const draw = () => {
    fill(above, state(told));
    const wanted = words.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const rows = told.data.filter((row) => (wanted.length || which.value === "all" || row.fault || row.waits || row.differs)
      && wanted.every((word) => `${row.name} ${row.about} ${row.variable}`.toLowerCase().includes(word)));
    fill(place, groups(rows, told.sections, keep, wanted.length ? "" : which.value), past(told.history));
  };
  words.addEventListener("input", draw);
  which.addEventListener("change", draw);
  draw();
  return [above, h("div", { class: "row", role: "search" }, words, which), place];
}

const idOf = (row) => `set-${row.name}`;

function state(told) {
  const file = told.file_exists ? `They are in ${told.file}, checked as at a start before a change is kept.` : `No file yet: the first change makes ${told.file}.`;
  return [h("p", { class: "soft small" }, file),
    told.faults.length ? h("div", { class: "card", role: "alert" }, h("h2", { class: "bad" }, "Wrong, and in the way of the next start"), h("ul", {}, told.faults.map((line) => h("li", { class: "text" }, line)))) : null,
    told.waiting.length ? h("div", { class: "card" }, h("h2", { class: "note" }, "Written, and waiting for the next start"), h("p", {}, told.waiting.join(", ")), h("p", { class: "soft small" }, coded("Stop `netgpt serve` and start it again, or restart its service."))) : null,
    told.remarks.map((line) => h("p", { class: "card note" }, line))];
}

function groups(rows, sections, keep, which) {
  if (!rows.length) return h("p", { class: "soft" }, which === "changed" ? "Everything is at its default." : "No setting has these words.");
  const rank = (row) => (row.fault ? 0 : row.waits ? 1 : row.differs ? 2 : 3);
  const about = new Map(sections.map((section) => [section.name, section.about]));
  const found = new Map();
  for (const row of rows) {
    const top = row.section.split(".")[0];
    found.set(top, [...(found.get(top) ?? []), row]);
  }
  const best = (group) => Math.min(...group.map(rank));
  return [...found].sort(([, one], [, other]) => best(one) - best(other)).map(([section, group]) =>
    h("section", { "aria-label": section || "general" }, h("h2", {}, section ? `[${section}]` : "General"), h("p", { class: "soft small" }, coded(about.get(section))),
      group.sort((one, other) => rank(one) - rank(other)).map((row) => shown(row, keep))));
}

function shown(row, keep) {
  const marks = [row.fault ? h("span", { class: "bad" }, "wrong") : null, row.waits ? h("span", { class: "note" }, "from the next start on") : null,
    row.secret && row.hidden ? h("span", { class: "edge" }, "set, never shown") : null];
  const change = h("button", { type: "button", id: idOf(row), "aria-expanded": "false", "aria-label": `Change ${row.name}` }, "Change");
  const editor = h("div");
  change.addEventListener("click", () => {
    const open = editor.childElementCount === 0;
    change.setAttribute("aria-expanded", String(open));
    fill(editor, open ? form(row, keep) : null);
    editor.querySelector("input, select, textarea")?.focus();
  });
  return h("div", { class: "card setting" },
    h("div", { class: "row" }, h("strong", {}, row.name), h("code", { class: "text" }, written(row)), marks, row.editable ? change : null),
    h("p", { class: "small" }, coded(row.about)),
    h("p", { class: "soft small" }, [`from ${from(row.origin)}`, row.secret ? null : `default: ${plain(row.default)}`, limits(row.form),
      row.waits && row.now !== null ? `now: ${plain(row.now)}` : null, row.at_once ? "counts at once" : "counts from the next start on"].filter(Boolean).join(" · ")),
    row.fault ? h("p", { class: "bad" }, row.fault) : null, row.why_not ? h("p", { class: "soft small" }, `Not changed here: ${row.why_not}.`) : null, editor);
}

const written = (row) => (row.secret ? (row.hidden ? "••••••••" : "not set") : plain(row.value));
const plain = (value) => (value === null || value === undefined ? "not set" : Array.isArray(value) ? (value.length ? value.join(", ") : "none") : typeof value === "object"
  ? Object.entries(value).map(([name, inner]) => `${name} = ${inner}`).join(", ") || "none" : String(value) === "" ? "empty" : String(value));
const from = ({ kind, where, line }) => (kind === "file" ? `the file, line ${line}` : kind === "environment" ? `the environment, ${where}` : FROM[kind]);

function limits(form) {
  const least = form.minimum ?? (form.exclusiveMinimum === undefined ? undefined : `more than ${form.exclusiveMinimum}`), most = form.maximum ?? form.exclusiveMaximum;
  return [least === undefined ? null : `least ${least}`, most === undefined ? null : `most ${most}`, form.enum ? `one of ${form.enum.join(", ")}` : null].filter(Boolean).join(", ") || null;
}

function form(row, keep) {
  const wrong = h("p", { class: "bad", role: "alert" }), [field, read] = input(row);
  const submit = async (value) => fill(wrong, await keep(row, value));
  const send = (event) => {
    event.preventDefault();
    return submit(read());
  };
  return h("form", { submit: send }, h("label", { class: "small" }, `${row.name} `, field), h("div", { class: "row" },
    h("button", { class: "main" }, "Keep"), row.origin.kind === "file" ? h("button", { type: "button", click: () => submit(null) }, "Back to the default") : null), wrong);
}

/** An input that suits what the setting takes, and how its value is read. */
function input(row) {
  const { type = "string", enum: choices } = row.form, value = row.hidden ? null : row.value;
  if (choices || type === "boolean") {
    const all = choices ?? [true, false], field = h("select", {}, all.map((each) => h("option", { value: String(each), selected: each === value }, String(each))));
    return [field, () => all.find((each) => String(each) === field.value)];
  }
  if (type === "array") {
    const field = h("textarea", { rows: 3, placeholder: "one a line" }, (value ?? []).join("\n"));
    return [field, () => field.value.split("\n").map((line) => line.trim()).filter(Boolean)];
  }
  if (type === "object") {
    const field = h("textarea", { rows: 3, placeholder: "name = value, one a line" }, Object.entries(value ?? {}).map(([name, inner]) => `${name} = ${inner}`).join("\n"));
    return [field, () => Object.fromEntries(field.value.split("\n").filter((line) => line.trim()).map((line) => {
      const [name, ...rest] = line.split("=");
      return [name.trim(), rest.join("=").trim()];
    }))];
  }
  const number = type === "integer" || type === "number";
  const field = h("input", { type: row.secret ? "password" : "text", inputmode: number ? "decimal" : null, autocomplete: "off", value: value ?? "", size: 34,
    placeholder: row.hidden ? "type the whole value anew" : "" });
  const given = () => {
    const text = field.value.trim();
    return !number ? field.value : text === "" ? null : Number.isFinite(Number(text)) ? Number(text) : text;  // the box says what is wrong with words
  };
  return [field, given];
}

function past(history) {
  return [h("h2", {}, "Changed here"), table("Changes", [["when"], ["by"], ["what"]], history.map((each) => [when(each.time), each.by,
    each.changes.map((change) => `${change.name}: ${plain(change.what)}`).join("; ")]), "Nothing was changed here yet.")];
}
