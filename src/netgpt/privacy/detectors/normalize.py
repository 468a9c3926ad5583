"""Views of a text in which disguised values look plain, with the way back to the original offsets.

Detection reads views; masking cuts the original. A view is NFKC-normalised (full-width digits and letters become
plain), free of zero-width and other format characters, with one kind of dash, quote and digit. A text that holds
escapes (`\\u0040`, `%40`, `&#64;`) has a second view in which they are resolved.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
_QUOTES = {ord("’"): "'", ord("‘"): "'", ord("ʼ"): "'", ord("＇"): "'", ord("“"): '"', ord("”"): '"'}
_SAME = {**_DASHES, **_QUOTES}
_ASCII = re.compile(r"[\x00-\x7f]+")
_ESCAPE = re.compile(
    r"\\{1,4}u(?P<hex>[0-9a-fA-F]{4})|\\{1,4}x(?P<byte>[0-9a-fA-F]{2})|(?P<percent>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<entity>&(?:\#\d{1,7}|\#x[0-9a-fA-F]{1,6}|[A-Za-z]{2,10});)|\\{1,4}(?P<blank>[nrtbf])"
    r"|\\{1,4}(?P<quoted>[\"/'])"
)


@dataclass(frozen=True, slots=True)
class View:
    """`text` as detectors read it; character i of it came from `original[starts[i]:ends[i]]`."""

    text: str
    starts: list[int] | None = None
    """None: the view is the original."""
    ends: list[int] | None = None

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that `text[start:end]` came from."""
        if self.starts is None or self.ends is None or start >= end:
            return start, end
        return self.starts[start], self.ends[end - 1]


def views(text: str) -> Iterator[View]:
    """The views of a text: one for plain texts, two where there are escapes to resolve."""
    yield View(text) if text.isascii() else _view(_clusters(text))
    if ("\\" in text or "%" in text or "&" in text) and _ESCAPE.search(text):
        yield _view(_unescaped(text))


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
    visible = "".join(c for c in cluster if not _invisible(c))
    folded = unicodedata.normalize("NFKC", visible).replace("\u0e4d\u0e32", "\u0e33").translate(_SAME)  # Thai's am
    return "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in folded)


def _invisible(character: str) -> bool:
    return (
        unicodedata.category(character) == "Cf"
        or "\ufe00" <= character <= "\ufe0f"
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


def _unescaped(text: str) -> Iterator[tuple[str, int, int]]:
    done = 0
    for match in _ESCAPE.finditer(text):
        yield from _clusters(text[done : match.start()], done)
        yield _resolved(match), match.start(), match.end()
        done = match.end()
    yield from _clusters(text[done:], done)


def _resolved(match: re.Match[str]) -> str:
    if code := match["hex"] or match["byte"]:
        return chr(int(code, 16))
    if match["percent"]:
        return bytes.fromhex(match["percent"].replace("%", "")).decode("utf-8", "replace")
    if match["entity"]:
        return html.unescape(match["entity"])
    return " " if match["blank"] else match["quoted"]


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
