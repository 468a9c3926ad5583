// What a model writes, made readable: paragraphs, headings, lists, tables and code, of elements that hold text alone.
// Nothing is a link and nothing is loaded: an address is shown as the text that it is.

import { copyButton, h } from "./dom.js";

const FENCE = /^\s{0,3}(```+|~~~+)\s*([\w+#.-]*)/, ITEM = /^(\s*)(?:[-*+]|(\d{1,4})[.)])\s+(.*)$/, HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/, ROW = /^\s*\|.*\|\s*$/, DASHES = /^\s*\|?[\s:|-]+\|?\s*$/;
const INLINE = /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)|\*\*(\S(?:[^*\n]*\S)?)\*\*|(?<![\w*])\*(\w(?:[^*\n]{0,300}\S)?)\*(?![\w*])|!?\[([^\]\n]{0,300})\]\(([^()\s]{1,2000})\)/g;
const COLUMNS = 22, DEEPEST = 6;

/** The nodes of a text. A code block that is still being written is shown as code. */
export function readable(text, depth = 0) {
  if (depth > DEEPEST) return [h("p", {}, text)];
  const lines = text.split("\n"), nodes = [];
  for (let at = 0; at < lines.length;) {
    const [node, next] = block(lines, at, depth);
    if (node) nodes.push(node);
    at = next;
  }
  return nodes;
}

function block(lines, at, depth) {
  const line = lines[at], fence = line.match(FENCE), heading = line.match(HEADING);
  if (!line.trim()) return [null, at + 1];
  if (fence) return code(lines, at, fence);
  if (RULE.test(line)) return [h("hr"), at + 1];
  if (heading) return [h("p", { class: "heading" }, inline(heading[2])), at + 1];
  if (ITEM.test(line)) return list(lines, at, depth);
  if (ROW.test(line) && line.split("|").length <= COLUMNS && DASHES.test(lines[at + 1] ?? "") && lines[at + 1].includes("-")) return rows(lines, at);
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !FENCE.test(lines[end]) && !HEADING.test(lines[end]) && !ITEM.test(lines[end])) end += 1;
  return [h("p", {}, inline(lines.slice(at, end).join("\n"))), end];
}

function code(lines, at, [, mark, language]) {
  let end = at + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(mark) && !lines[end].trim().slice(mark.length).trim())) end += 1;
  const indent = new RegExp(`^\\s{0,${lines[at].search(/\S/)}}`), text = lines.slice(at + 1, end).map((line) => line.replace(indent, "")).join("\n");
  return [h("div", { class: "code" }, h("div", { class: "row small soft" }, h("span", {}, language || "code"), copyButton(() => text, "Copy code")),
    h("pre", { tabindex: "0", role: "group", "aria-label": language ? `Code, ${language}` : "Code", dir: "ltr" }, text)), end + 1];
}

function list(lines, at, depth) {
  const [, indent, number] = lines[at].match(ITEM), items = [];
  let end = at;
  while (end < lines.length) {
    const item = lines[end].match(ITEM);
    if (item && (item[2] === undefined) === (number === undefined) && item[1].length <= indent.length + 1) {
      items.push([item[3]]);
    } else if (items.length && (/^\s{2,}\S/.test(lines[end]) || goesOn(lines, end))) {
      items.at(-1).push(lines[end].replace(/^\s{2,4}/, ""));
    } else break;
    end += 1;
  }
  const shown = items.map(([first, ...more]) => h("li", {}, inline(first), more.length ? readable(more.join("\n"), depth + 1) : null));
  return [h(number === undefined ? "ul" : "ol", number > 1 ? { start: number } : {}, shown), end];
}

/** Whether a list goes on behind an empty line: with another item, or with something that is set in. */
const goesOn = (lines, at) => !lines[at].trim() && (/^\s{2,}\S/.test(lines[at + 1] ?? "") || ITEM.test(lines[at + 1] ?? ""));

function rows(lines, at) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((each) => inline(each.trim()));
  let end = at + 2;
  while (end < lines.length && ROW.test(lines[end])) end += 1;
  return [h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "A table" }, h("table", {},
    h("thead", {}, h("tr", {}, cells(lines[at]).map((each) => h("th", { scope: "col" }, each)))),
    h("tbody", {}, lines.slice(at + 2, end).map((line) => h("tr", {}, cells(line).map((each) => h("td", {}, each))))))), end];
}

function inline(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(text.slice(at, found.index));
    if (found[2] !== undefined) nodes.push(h("code", {}, found[2]));
    else if (found[3] !== undefined) nodes.push(h("strong", {}, found[3]));
    else if (found[4] !== undefined) nodes.push(h("em", {}, found[4]));
    else nodes.push(`${found[0].startsWith("!") ? "[picture, not loaded] " : ""}${found[5]} (${found[6]})`);
    at = found.index + found[0].length;
  }
  return [...nodes, text.slice(at)];
}
