"""Views of a text in which disguised values look plain, with the way back to the original offsets.

Detection reads views; masking cuts the original. A view is NFKC-normalised (full-width digits and letters become
plain), free of zero-width and other format characters, with one kind of dash, quote and digit. A text that holds
escapes (`\\u0040`, `%40`, `&#64;`, `=40`) has a second view in which they are resolved, those within others too
(`%2540`). `disguises` adds what is done in places.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
_QUOTES = {ord("’"): "'", ord("‘"): "'", ord("ʼ"): "'", ord("＇"): "'", ord("“"): '"', ord("”"): '"'}
_SAME = {**_DASHES, **_QUOTES}
_ASCII = re.compile(r"[\x00-\x7f]+")
_ESCAPE = re.compile(
    r"\\{1,4}(?:u(?P<hex>[0-9a-fA-F]{4})|u\{(?P<braced>[0-9a-fA-F]{1,6})\}|U000(?P<long>[0-9a-fA-F]{5})"
    r"|x(?P<byte>[0-9a-fA-F]{2})|0000(?P<css>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})|N\{(?P<name>[A-Z \-]{3,40})\}"
    r"|(?P<blank>[nrtbf])|(?P<quoted>[\"/']|(?<=\w\\)[@.\-+](?=\w)))"
    r"|%u(?P<wide>[0-9a-fA-F]{4})|(?P<percent>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<entity>&(?:\#(?:\d{1,12}|[xX][0-9a-fA-F]{1,8});?|[A-Za-z]{2,10};))"
)
_PRINTABLE = re.compile(r"(?P<soft>(?<=[\w@.+\-])=\r?\n(?=[\w@.+\-]))|(?P<coded>(?:=[0-9A-F]{2})+)")
"""Quoted-printable (RFC 2045), where a text is in it."""
_IS_PRINTABLE = re.compile(
    r"\w=40(?!(?:px|pt|r?em|[mun]?s|[km]b)\b)(?=[A-Za-z][\w\-]{0,62}(?:\.|=2E)[A-Za-z]{2})|(?:=[0-9A-F]{2}){2}|\w=2E\w|=3D|[\w@.+]=\r?\n[\w@.]|(?i:quoted-printable|\?Q\?)"
)
_MOST_WITHIN = 4
"""Escapes within escapes."""


@dataclass(frozen=True, slots=True)
class View:
    """`text` as detectors read it; character i of it came from `original[starts[i]:ends[i]]`."""

    text: str
    starts: list[int] | None = None
    """None: the view is the original."""
    ends: list[int] | None = None
    marks: tuple[tuple[int, int], ...] | None = None
    """Of an excerpt: the places (start, end) in `text` that read otherwise in the original; a find touches one."""
    names: bool = True
    """Whether names may be looked for."""

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that `text[start:end]` came from; an empty one where that counts elsewhere."""
        if self.starts is None or self.ends is None or start >= end:
            return start, end
        if self.marks is not None:
            first = bisect_right(self.marks, start, key=_end_of)
            if first == len(self.marks) or self.marks[first][0] >= end:
                return self.starts[start], self.starts[start]
        return self.starts[start], self.ends[end - 1]


def _end_of(mark: tuple[int, int]) -> int:
    return mark[1]


def views(text: str) -> Iterator[View]:
    """The views of a whole text: one for plain texts, two where there are escapes to resolve."""
    first = View(text) if text.isascii() else _view(_clusters(text))
    yield first
    shown = first
    for _ in range(_MOST_WITHIN):
        held = shown.text
        if ("\\" in held or "%" in held or "&" in held) and _ESCAPE.search(held):
            shown = _within(shown, _view(_unescaped(held, _ESCAPE)))
        elif "=" in held and _IS_PRINTABLE.search(held):
            shown = _within(shown, _view(_unescaped(held, _PRINTABLE)))
        else:
            break
        if shown.text == held:
            break
    if shown is not first:
        yield shown


def _within(outer: View, inner: View) -> View:
    """A view of a view, with the way back to the original."""
    if outer.starts is None or outer.ends is None or inner.starts is None or inner.ends is None:
        return inner
    outer_starts, outer_ends = outer.starts, outer.ends
    return View(inner.text, [outer_starts[i] for i in inner.starts], [outer_ends[i - 1] for i in inner.ends])


_AROUND = 400
"""Characters on each side of a change that are read with it: what announces a value stands nearer."""
_MORE = 200
"""Characters up to the end of a line, and to the next change, that are read, too."""


def around_changes(view: View) -> Iterator[View]:
    """The parts of a second view that may hold what the first does not: those around what was resolved, in whole lines.

    All of it where it is short, an excerpt, or changed everywhere.
    """
    text, starts, ends = view.text, view.starts, view.ends
    if starts is None or ends is None or view.marks is not None or len(text) < 4 * _AROUND:
        yield view
        return
    parts: list[tuple[int, int]] = []
    before = (0, *ends)
    for at in [at for at, start in enumerate(starts) if ends[at] - start > 1 or start != before[at]]:
        if parts and at < parts[-1][1]:
            continue
        first, last = _line_around(text, at)
        if parts and first - parts[-1][1] < _MORE:
            first = parts.pop()[0]
        parts.append((first, last))
    for first, last in parts:
        yield replace(view, text=text[first:last], starts=starts[first:last], ends=ends[first:last])


def _line_around(text: str, at: int) -> tuple[int, int]:
    """Where the part around a place begins and ends: between lines, else between words."""
    first, last = max(0, at - _AROUND), min(len(text), at + _AROUND)
    if first:
        line = text.rfind("\n", max(0, first - _MORE), first) + 1 or text.rfind(" ", max(0, first - _MORE), first) + 1
        first = line or first
    if last < len(text):
        ends = (text.find(sign, last, last + _MORE) for sign in "\n ")
        last = next((end for end in ends if end >= 0), last)
    return first, last


def plain(text: str) -> str:
    """The normalised text alone, for values that are compared with views."""
    return next(views(text)).text


def _view(pieces: Iterator[tuple[str, int, int]]) -> View:
    characters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for piece, start, end in pieces:
        if len(piece) == end - start and piece.isascii():
            characters.append(piece)
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
            continue
        shown = _normal(piece)
        characters.append(shown)
        starts.extend([start] * len(shown))
        ends.extend([end] * len(shown))
    return View("".join(characters), starts, ends)


def _normal(cluster: str) -> str:
    """One cluster, normalised; nothing for what is invisible."""
    if cluster.isascii():
        return cluster
    visible = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in cluster if not _invisible(c))
    folded = unicodedata.normalize("NFKC", visible).replace("\u0e4d\u0e32", "\u0e33").translate(_SAME)  # Thai's am
    if folded[:1].isascii() and len(folded) > 1:  # a sign that no letter is made of, such as a line through it
        folded = "".join(c for c in folded if not unicodedata.combining(c))
    return folded


def _invisible(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cf", "Me")
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
        or character in "\u034f\u115f\u3164"
    )


def _clusters(text: str, base: int = 0) -> Iterator[tuple[str, int, int]]:
    """Runs of ASCII, and each other character with the combining marks behind it.

    Both spellings of an accent then read the same: the last letter of a run goes with the mark that follows it.
    """
    start = 0
    while start < len(text):
        run = _ASCII.match(text, start)
        end = run.end() if run else start + 1
        marked = end
        while marked < len(text) and text[marked] > "\u02ff" and unicodedata.combining(text[marked]):
            marked += 1
        if marked > end and end - start > 1:
            end -= 1  # the marked letter becomes a cluster of its own
        else:
            end = marked
        yield text[start:end], base + start, base + end
        start = end


def _unescaped(text: str, escape: re.Pattern[str]) -> Iterator[tuple[str, int, int]]:
    done = 0
    for match in escape.finditer(text):
        yield from _clusters(text[done : match.start()], done)
        yield (_resolved if escape is _ESCAPE else _decoded)(match), match.start(), match.end()
        done = match.end()
    yield from _clusters(text[done:], done)


def _resolved(match: re.Match[str]) -> str:
    if code := match["hex"] or match["byte"] or match["braced"] or match["long"] or match["css"] or match["wide"]:
        return _char(int(code, 16))
    if match["octal"]:
        return chr(int(match["octal"], 8))
    if match["percent"]:
        return bytes.fromhex(match["percent"].replace("%", "")).decode("utf-8", "replace")
    if match["entity"]:
        return html.unescape(match["entity"])
    if match["name"]:
        try:
            return unicodedata.lookup(match["name"])
        except KeyError:
            return match[0]
    return " " if match["blank"] else match["quoted"]


def _char(code: int) -> str:
    return chr(code) if code <= 0x10FFFF else "\ufffd"


def _decoded(match: re.Match[str]) -> str:
    """Of quoted-printable."""
    coded = match["coded"]
    return bytes.fromhex(coded.replace("=", "")).decode("utf-8", "replace") if coded else ""


def lower_case(text: str) -> str:
    """Small letters without moving any character."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def places(text: str, words: Iterable[str]) -> list[int]:
    """Where any of the words begins, in order: quicker than a pattern that tries all of them everywhere."""
    found: set[int] = set()
    for word in words:
        at = text.find(word)
        while at >= 0:
            found.add(at)
            at = text.find(word, at + len(word))
    return sorted(found)
