"""All views of a text: as it reads, and excerpts of the places where a value is written in another way.

`normalize` resolves escapes and odd letters in whole texts. Here stands what people and programs do in places: markup
and control characters inside a word, signs singly ("4 1 1 1"), another full stop behind an "@", digits in Chinese
characters, and encodings (base64, base32, hex, lists of bytes), each also inside another. An excerpt is made only where
a text holds such a place, and only a find counts that touches it: all else was read where it stands.

Not read: compressed or encrypted data, base85, rot13, reversed or translated texts, look-alike letters of other
scripts. Nobody writes so by habit.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Final

from netgpt.privacy.detectors import normalize
from netgpt.privacy.detectors.checksums import luhn
from netgpt.privacy.detectors.normalize import View
from netgpt.registry import holds_texts

_DEEPEST: Final = 3
"""Encodings inside one another."""
_AROUND: Final = 100
"""Characters that an excerpt has on each side: words that announce a value stand there."""
_LONGEST: Final = 300_000
"""Characters of one encoded run."""
_REMEMBERED: Final = 1_000_000
"""Characters of views that are kept for the next search, see `_size`: about 15 MB."""

_INLINE: Final = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|label|mark|nobr|o:p|q|s|samp|small|span|strike"
    "|strong|sub|sup|tt|u|var|wbr"
)
_TAG = rf"</?(?:{_INLINE})(?:\s[^<>]{{0,300}})?/?>|<!--.{{0,200}}?-->|\*{{1,3}}|`{{1,2}}|~~"
_MARKUP = re.compile(rf"(?i)(?<=[\w.@+\-])(?:{_TAG})+(?:(?P<blank> )(?:{_TAG})+)?(?=[\w.@+\-])")
_TAGS = re.compile(rf"(?i)(?:{_TAG})+(?:(?P<blank> )(?:{_TAG})+)?")
"""What a page or Markdown does not show, inside a word. Markdown has no emphasis by "_" there."""
_NEAR: Final = 60
_CONTROL = re.compile(r"(?:\x1b\[[0-9;]{0,12}[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f])+")
_ODD_STOP = re.compile(r"[。｡۔·∙•点點][ ]?")
_ODD_ADDRESS = re.compile(
    r"[\w+\-]{1,40}(?:[.。｡۔·∙•][\w+\-]{1,40}){0,3}"
    r"@(?:[A-Za-z0-9\-]{1,63}[.。｡۔·∙•点點][ ]?){1,4}[A-Za-z]{2,10}(?![A-Za-z0-9])"
)
_COMMA = re.compile(r"(?<=@)[A-Za-z0-9\-]{1,63}(?P<comma>, ?)(?:com|org|net|edu|de|fr|es|it)(?![A-Za-z0-9])")
_QUERY = re.compile(r"(?:[?&]|(?<!\S)(?=\S{1,300}&))[\w.\-%\[\]]{1,40}=[^\s&#\"'<>+]{0,100}\+[^\s&#\"'<>]{1,200}")
_PLUS = re.compile(r"(?<=\w)\+(?=\w)")
_SINGLY = re.compile(r"(?<![^\W_])[A-Za-z0-9+](?:(?:[ \t]?[ .\-_/,\n][ \t]?)[A-Za-z0-9@.](?![^\W_])){8,}")
_SINGLE_BEGINS = re.compile(r"[ .\-_/,\n][ ]?".join(["", *(3 * ["[A-Za-z0-9@.]"]), ""]))
_ANNOUNCES = re.compile(
    r"(?i)\b(?:e?-?mail|card|visa|amex|mastercard|cvv|iban|account|phone|call|dial|tel|mobile|cell|whatsapp|fax|ssn"
    r"|passport|nhs|handy|telefon\w{0,8}|anruf\w{0,4}|konto\w{0,8}|\w{0,12}karte\w{0,8}|carte|téléphone|portable"
    r"|compte|tarjeta|teléfono|móvil|cuenta|telefono|carta|conto|cartão|telefone|conta|kaart|rekening|karta|karty"
    r"|telefonu|konta)\b[^\n]{0,40}\Z|[卡号碼码电話话口座]\D{0,10}\Z"
)
_HAN: Final = {
    char: str(value)
    for chars in (
        "〇一二三四五六七八九",
        "零壹贰叁肆伍陆柒捌玖",
        "○壱弐参肆伍陸漆捌玖",
        "０１２３４５６７８９",
        "零幺两",
    )
    for value, char in enumerate(chars)
} | {"两": "2", "貳": "2", "參": "3"}
_IN_HAN = re.compile(rf"[{''.join(_HAN)}](?:[ \-]?[{''.join(_HAN)}]){{6,}}")

_LONG_RUN = re.compile(r"[A-Za-z0-9+/_\-]{8,}={0,6}")
_WRAPPED: Final = 40
"""Characters of a line from which on the next may go on with it."""
_SEPARATED = re.compile(
    r"(?<![0-9A-Za-z])(?:0[xX])?[0-9a-fA-F]{2,8}(?:(?P<by>[ :]|, ?)(?:0[xX])?[0-9a-fA-F]{2,8}(?![0-9A-Za-z]))"
    r"(?:(?P=by)(?:0[xX])?[0-9a-fA-F]{2,8}(?![0-9A-Za-z])){2,}"
)
"""Bytes one by one: "61 64 61", "0x61, 0x64", "97, 100, 97", "01100001 01100100"; as `xxd` groups them."""
_SEPARATED_BEGINS = re.compile(r"[0-9a-fA-F]{2}(?:[ :]|, ?)(?:0x)?[0-9a-fA-F]{2,8}(?:[ :]|, ?)(?:0x)?[0-9a-fA-F]{2}")


def views(text: str) -> Iterable[View]:
    """Every view of a text, the plain one first."""
    return _views.of(text)


class _Views:
    """The views of the last texts: several look at the same text, and a conversation comes back with every turn."""

    def __init__(self) -> None:
        self._lock, self._size = Lock(), 0
        self._known = holds_texts(OrderedDict[str, tuple[View, ...]]())

    def of(self, text: str) -> tuple[View, ...]:
        with self._lock:
            if (known := self._known.get(text)) is not None:
                self._known.move_to_end(text)
                return known
        made = tuple(_made(text))
        with self._lock:
            if text not in self._known:
                self._known[text] = made
                self._size = self._size + _size(made) if len(self._known) > 1 else _size(made)  # emptied by forgetting
            while self._size > _REMEMBERED and len(self._known) > 1:
                self._size -= _size(self._known.popitem(last=False)[1])
        return made


def _size(made: tuple[View, ...]) -> int:
    """Characters kept, each of those with a way back to the original as five, and something for the entry."""
    return 50 + sum(len(view.text) * (1 if view.starts is None else 5) for view in made)


_views: Final = _Views()


def _made(text: str, depth: int = _DEEPEST) -> Iterator[View]:
    """`depth`: encodings that may lie inside one another."""
    shown = View(text)
    for shown in normalize.views(text):  # the last one: with escapes resolved
        yield shown
    yield from _excerpts(shown, depth)


def _excerpts(shown: View, depth: int) -> Iterator[View]:
    if pieces := _pieces(shown.text):
        yield from _cut(shown, sorted(pieces), names=True)
    if pieces := [*_singly(shown.text), *_in_han(shown.text)]:
        yield from _cut(shown, sorted(pieces), names=False)
    for start, end, inner, names in _decoded(shown.text) if depth else ():
        yield from _cut(shown, [(start, end, inner)], names=names)
        first, last = shown.back(start, end)
        for view in _made(inner, depth - 1):
            if view.text != inner:
                size = len(view.text)
                yield View(view.text, [first] * size, [last] * size, view.marks, view.names and names)


def _pieces(text: str) -> list[tuple[int, int, str]]:
    """(start, end, what is read there) of all places in which a value is torn by what nobody sees."""
    found = []
    if "<" in text or "*" in text or "`" in text or "~~" in text:
        found += _markup(text)
    if not text.isprintable():
        found += [(*match.span(), "") for match in _CONTROL.finditer(text)]
    if "@" in text:
        found += [(*match.span("comma"), ".") for match in _COMMA.finditer(text)]
        if not text.isascii() and _ODD_STOP.search(text):
            found += _within(text, _ODD_ADDRESS, _ODD_STOP, ".")
    if "+" in text and "=" in text:
        found += _within(text, _QUERY, _PLUS, " ")
    return found


def _markup(text: str) -> list[tuple[int, int, str]]:
    """Markup inside words, and what stands near: the other half of a pair is at the end of a word."""
    done, found = 0, []
    for match in _MARKUP.finditer(text):
        for tags in _TAGS.finditer(text, max(done, match.start() - _NEAR), match.end() + _NEAR):
            found.append((*tags.span(), tags["blank"] or ""))
            done = tags.end()
    return found


def _within(text: str, whole: re.Pattern[str], part: re.Pattern[str], new: str) -> Iterator[tuple[int, int, str]]:
    for match in whole.finditer(text):
        yield from ((*each.span(), new) for each in part.finditer(text, *match.span()))


def _singly(text: str) -> Iterator[tuple[int, int, str]]:
    """Runs of single signs, where they are a number with a check, an address, or announced."""
    for match in _SINGLY.finditer(text) if _SINGLE_BEGINS.search(text) else ():
        joined = re.sub(r"[ \t\-_/,\n]|(?<=\d)\.", "", match[0])
        checked = 13 <= len(joined) <= 19 and joined[0] in "23456" and joined.isdigit() and luhn(joined)
        telling = "@" in joined or joined.startswith("+") or re.match(r"[A-Za-z]{2}\d\d\w{11}", joined)
        loose = "," in match[0] or "\n" in match[0]  # rows of a table
        if ((telling or checked) and not loose) or _ANNOUNCES.search(text, max(0, match.start() - 80), match.start()):
            if "@" in joined:
                joined = re.sub(r"[ \t]", "", match[0])
            yield *match.span(), joined


def _in_han(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _IN_HAN.finditer(text) if not text.isascii() else ():
        yield *match.span(), "".join(_HAN.get(char, "") for char in match[0])


def _cut(shown: View, pieces: list[tuple[int, int, str]], *, names: bool) -> Iterator[View]:
    """Excerpts of `shown` around the pieces, with what is read in their places."""
    group: list[tuple[int, int, str]] = []
    for piece in pieces:
        if group and piece[0] - group[-1][1] > 2 * _AROUND:
            yield _excerpt(shown, group, names)
            group = []
        if not group or piece[0] >= group[-1][1]:
            group.append(piece)
    yield _excerpt(shown, group, names)


def _excerpt(shown: View, group: list[tuple[int, int, str]], names: bool) -> View:
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    marks: list[tuple[int, int]] = []

    def as_it_is(start: int, end: int) -> None:
        parts.append(shown.text[start:end])
        starts.extend(range(start, end) if shown.starts is None else shown.starts[start:end])
        ends.extend(range(start + 1, end + 1) if shown.ends is None else shown.ends[start:end])

    done = max(0, group[0][0] - _AROUND)
    for start, end, new in group:
        as_it_is(done, start)
        first, last = shown.back(start, end)
        marks.append((len(starts), len(starts) + len(new)))
        parts.append(new)
        starts += [first] * len(new)
        ends += [last] * len(new)
        done = end
    as_it_is(done, min(len(shown.text), done + _AROUND))
    return View("".join(parts), starts, ends, tuple(marks), names)


def _decoded(text: str) -> Iterator[tuple[int, int, str, bool]]:
    """(start, end, text, whether it may hold names) of every encoded run that decodes to a text."""
    for start, end in _long_runs(text):
        run = text[start:end]
        if run.isalpha() and run[1:].islower():
            continue  # a word
        whole = list(_texts(run, (_hex, _base64, _base32, _bits)))
        yield from ((start, end, inner, len(inner) >= _NAMED) for inner in whole)
        if not whole and "/" in run and not run.islower():
            for step in re.finditer(r"[A-Za-z0-9+_\-]{8,}={0,2}", run):
                for inner in _texts(step[0], (_base64,)):
                    yield start + step.start(), start + step.end(), inner, len(inner) >= _NAMED
    for match in _SEPARATED.finditer(text) if _SEPARATED_BEGINS.search(text) else ():
        for inner in _texts(match[0], (_bits, _hex, _bytes)):
            yield *match.span(), inner, len(inner) >= _NAMED and not match[0][:2].isdecimal()


_NAMED: Final = 12
"""Characters of a decoded text in which names are looked for: fewer may be readable by chance."""


def _long_runs(text: str) -> Iterator[tuple[int, int]]:
    """Runs of the signs of base64; lines of one wrapped text are one."""
    lines: list[tuple[int, int]] = []
    for match in _LONG_RUN.finditer(text):
        if lines and not (lines[-1][1] - lines[-1][0] >= _WRAPPED and _is_gap(text[lines[-1][1] : match.start()])):
            yield from _joined(text, lines)
            lines = []
        lines.append(match.span())
    yield from _joined(text, lines)


def _is_gap(between: str) -> bool:
    return len(between) < 18 and between.isspace()


def _joined(text: str, lines: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """All lines, or all but the last, which may be a word behind them, or each."""
    for until in (len(lines), len(lines) - 1) if len(lines) > 1 else ():
        if any(_texts(text[lines[0][0] : lines[until - 1][1]], (_base64,))):
            yield lines[0][0], lines[until - 1][1]
            lines = lines[until:]
            break
    yield from lines


def _texts(run: str, ways: Sequence[Callable[[str], bytes]]) -> Iterator[str]:
    """What a run decodes to where that is a text, in UTF-8 or (as Windows writes it) UTF-16."""
    for decode in ways if len(run) <= _LONGEST else ():
        with contextlib.suppress(ValueError, binascii.Error):
            data = decode(run)
            wide = len(data) > 7 and not any(data[1::2])
            inner = data.decode("utf-16-le" if wide else "utf-8")
            if len(inner) > 4 and inner.translate(_BLANKS).isprintable():
                yield inner


_BLANKS: Final = {ord(char): " " for char in "\n\r\t\0\x1f\x7f\xa0"}


def _base64(run: str) -> bytes:
    if run.islower() or run.isupper() or run.isdecimal():
        raise ValueError  # base64 of a text has letters of both sorts
    joined = "".join(run.split()).replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True)


def _hex(run: str) -> bytes:
    if len(run) < 10:
        raise ValueError
    return bytes.fromhex(re.sub(r"0[xX](?=[0-9a-fA-F]{2})|[ ,:]", "", run))


def _bytes(run: str) -> bytes:
    return bytes(map(int, re.findall(r"\d+", run)))


def _bits(run: str) -> bytes:
    if not re.fullmatch(r"[01 ,]*", run):
        raise ValueError
    return bytes(int(each, 2) for each in re.findall(r"[01]{8}", run))


def _base32(run: str) -> bytes:
    if len(run) < 16:
        raise ValueError
    joined = run.rstrip("=")
    return base64.b32decode(joined + "=" * (-len(joined) % 8))
