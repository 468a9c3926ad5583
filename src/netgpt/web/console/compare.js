// What was written beside what left: placeholders and the words that they stand for, marked in the colour of their kind.

import { h } from "./dom.js";

const COLOURS = 5;

/** The class of a kind: the same kind has the same colour on every page. */
export function colourOf(kind) {
  let sum = 0;
  for (const sign of kind) sum = (sum * 31 + sign.codePointAt(0)) % 997;
  return `k${(sum % COLOURS) + 1}`;
}

/** The text of a message, of strings and of lists of parts. */
export function textOf(message) {
  const { content } = message;
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part) => part.text ?? `[${part.type}]`).join("\n");
  return content === null || content === undefined ? JSON.stringify(message.tool_calls ?? "") : JSON.stringify(content);
}

/** Both texts as nodes: [what was written, what left]. `hidden`: entries with placeholder, kind and rule. */
export function compared(written, left, hidden) {
  const known = new Map(hidden.map((each) => [each.placeholder, each]));
  const pieces = split(left, [...known.keys()]);
  return [marked(originals(written, pieces), known), marked(pieces, known)];
}

/** The words behind each placeholder, as far as both texts tell them. */
export function behind(written, left, placeholders) {
  const found = new Map();
  for (const piece of originals(written, split(left, placeholders))) if (piece.of && !found.has(piece.of)) found.set(piece.of, piece.text);
  return found;
}

function split(text, placeholders) {
  if (!placeholders.length) return [{ text }];
  const escaped = placeholders.map((each) => each.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return text.split(new RegExp(`(${escaped.join("|")})`)).filter(Boolean)
    .map((each) => (placeholders.includes(each) ? { text: each, of: each } : { text: each }));
}

/** The words of the original at the places of the placeholders: what stands between the same literal words. */
function originals(written, pieces) {
  const found = [];
  let at = 0;
  for (let i = 0; i < pieces.length; i += 1) {
    if (!pieces[i].of) {
      const place = written.indexOf(pieces[i].text, at);
      if (place < 0) return [{ text: written }];
      if (place > at) found.push({ text: written.slice(at, place), of: pieces[i - 1]?.of });
      found.push({ text: pieces[i].text });
      at = place + pieces[i].text.length;
    } else if (i === pieces.length - 1 || pieces[i + 1].of) {
      const last = i === pieces.length - 1;
      if (last) found.push({ text: written.slice(at), of: pieces[i].of });
    }
  }
  return found;
}

function marked(pieces, known) {
  return pieces.map((piece) => {
    const entry = known.get(piece.of);
    if (!entry) return piece.text;
    return h("mark", { class: colourOf(entry.kind), title: `${entry.kind}: found by ${entry.rule}` }, piece.text);
  });
}
