"""Finds the placeholders of a text, in every way of writing that is certain, and counts those that resolve to nothing.

Models write placeholders in any brackets, in another language, escaped, wide, with signs inside. `variants` finds every
way that is certain. What a caller writes in such a way is hidden as his own (`lookalikes`), so that restoring is exact.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any, Final

import regex

from netgpt.privacy.escapes import in_json, in_text_of_markup, in_url
from netgpt.privacy.kinds import CLOSING, OPENING, known_kinds

LONGEST: Final = 96
"""Characters of a placeholder, however it is written."""
_UNSEEN: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_REMOVED: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\\"))
_FILL: Final = rf"[ \t*_`~\\{_UNSEEN}]{{0,4}}"
"""Markdown and blanks that a model may put between bracket and name."""
_UNDERSCORE: Final = r"(?:[_＿ \-]|(?i:%5F|%20|&#95;|&lowbar;))"
_WORD: Final = rf"(?:\p{{L}}|\p{{M}}|[{_UNSEEN}'])"
_BRACKETS: Final = (
    ("", r"\\{1,2}\[", r"\\{1,2}\]"),
    ("", rf"[{re.escape(OPENING)}]", rf"[{re.escape(CLOSING)}]"),
    ("", r"\{\{", r"\}\}"),
    ("url", r"(?i:%5B|%3C)", r"(?i:%5D|%3E)"),
    ("markup", r"(?i:&#91;|&#x5b;|&lsqb;|&lbrack;|&lt;|&#60;)", r"(?i:&#93;|&#x5d;|&rsqb;|&rbrack;|&gt;|&#62;)"),
    ("json", r"\\u00(?:5[bB]|3[cC])", r"\\u00(?:5[dD]|3[eE])"),
)
"""(how a value must be escaped that was written so, what opens, what closes)."""
_OPENED: Final = [(form, regex.compile(opens)) for form, opens, _ in _BRACKETS]
_INSIDE: Final = (
    rf"{_FILL}(?P<k>{_WORD}{{1,32}}?(?:\\{{0,2}}{_UNDERSCORE}{_WORD}{{2,24}}?){{0,3}})"
    rf"(?P<m>[{_UNSEEN}]?\\{{0,2}}(?:{_UNDERSCORE}|[:#]| #)?[{_UNSEEN}]?)(?P<n>\p{{Nd}}{{1,6}})(?!\p{{Nd}})"
    rf"(?P<v>[A-Za-z]?)(?P<s>['’]s)?{_FILL}"
)
_ENDINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "": str,
    "url": partial(in_url, safe="-._~@:"),
    "markup": in_text_of_markup,
    "json": in_json,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A placeholder in a text: `name` is the canonical one, `[**Api key_1**]` -> `API_KEY_1`."""

    at: int
    until: int
    written: str
    name: str
    ending: str = ""
    """The genitive that stood within the brackets."""
    form: str = ""

    def start(self) -> int:
        return self.at

    def end(self) -> int:
        return self.until


@lru_cache(maxsize=1)
def translations() -> tuple[Mapping[str, str], frozenset[str]]:
    """Kind by word of another language, and the words that count only with an underscore."""
    data = tomllib.loads(files("netgpt.privacy").joinpath("kind_words.toml").read_text("utf-8"))
    tables = [
        {word.upper(): kind for kind, words in table.items() for word in words.split()} for table in data.values()
    ]
    return {**tables[1], **tables[0]}, frozenset(tables[1])


def plain_word(written: str) -> str:
    """A kind as it is compared: capitals, no signs that cannot be seen, "_" between words."""
    word = written if written.isascii() else unicodedata.normalize("NFKC", written)
    word = re.sub(r"(?i)%5F|%20|&#95;|&lowbar;", "_", word.translate(_REMOVED))
    return re.sub(r"[_ \-]+", "_", word).upper()


class Variants:
    """Finds the placeholders of some kinds."""

    def __init__(self, kinds: frozenset[str], *, glued: bool = False) -> None:
        """`glued`: one without brackets counts next to letters, too."""
        words, self._weak = translations()
        self._kinds = {word: kind for word, kind in words.items() if kind in kinds} | {kind: kind for kind in kinds}
        self._kinds |= {f"{kind}S": kind for kind in kinds if not kind.endswith("S") and f"{kind}S" not in self._kinds}
        self._begin = frozenset(word[:length] for word in self._kinds for length in range(len(word) + 1))
        named = "|".join(
            r"\\{0,2}_".join(kind.split("_")) for kind in sorted(kinds, key=lambda each: (-len(each), each))
        )
        inside = [f"{opens}{_INSIDE}{closes}" for _, opens, closes in _BRACKETS]
        bare = rf"(?P<k>{named})\\{{0,2}}_(?P<n>[0-9]{{1,6}})(?P<v>[b-k]?)"
        if glued:
            self._pattern = regex.compile("|".join([*inside, bare]))
        else:
            self._pattern = regex.compile("|".join([*inside, rf"(?<![A-Za-z0-9]){bare}(?![A-Za-z0-9])"]))
        opening = "|".join(opens for _, opens, _ in _BRACKETS)
        so_far = rf"(?P<k>(?:{_WORD}|{_UNDERSCORE}|\\)*)(?P<rest>.*)"
        self._opened = regex.compile(rf"(?:{opening}){_FILL}{so_far}", regex.DOTALL)

    def finditer(self, text: str, at: int = 0) -> Iterator[Found]:
        """From `at` on, those that do not overlap, the first first."""
        while (match := self._pattern.search(text, at)) is not None:
            found = self._certain(match)
            if found is not None:
                yield found
            at = found.until if found is not None else match.start() + 1

    def may_begin(self, text: str, at: int) -> bool:
        """Whether more text could make what begins at `at` a placeholder, or a longer one."""
        if not (text[at].isupper() or text[at] in _FIRST or text[at] in OPENING):
            return False
        match = self._pattern.fullmatch(text, at, partial=True)
        if match is None or not (match.partial or match["m"] is None):
            return False
        opened = self._opened.fullmatch(text, at)
        if opened is None:
            return True
        word = plain_word(opened["k"]).strip("_'")
        return word in self._kinds if opened["rest"] else any(each in self._begin for each in (word, word + "_"))

    def _certain(self, match: Any) -> Found | None:
        """What was found, where nothing else can be meant."""
        written, number = str(match[0]), int(match["n"])
        word = plain_word(match["k"])
        kind = self._kinds.get(word)
        if kind is None or len(written) > LONGEST:
            return None
        name = f"{kind}_{number}{match['v'].lower()}"
        if match["m"] is None:
            return Found(match.start(), match.end(), written, name)
        mark = match["m"].translate(_REMOVED)
        is_capital = not any(c.islower() for c in match["k"])
        before = match.string[match.start() - 1] if match.start() else ""
        in_index = before in ")]_" or (before.isascii() and before.isalnum()) if before else False
        if (not mark or mark.strip(" ") in (":", "#") or in_index) and not is_capital:
            return None
        if not mark and in_index:
            return None
        if word in self._weak and mark in ("", " "):
            return None
        form = next(form for form, opens in _OPENED if opens.match(written))
        return Found(match.start(), match.end(), written, name, match["s"] or "", form)


_FIRST: Final = "\\{%&"


@lru_cache(maxsize=256)
def variants(kinds: frozenset[str]) -> Variants:
    """Finds every accepted way in which a model writes a placeholder of these kinds.

    In brackets: in any case, in another language, with markdown or a genitive inside, wide, escaped for an address or
    for markup. Without brackets: in capitals, with its underscore. `[PERSON_1]` is never found inside `[PERSON_12]`,
    nor an index of an array, `person[1]`.
    """
    return Variants(kinds)


@lru_cache(maxsize=256)
def lookalikes(kinds: frozenset[str]) -> Variants:
    """As `variants`, and one without brackets also next to letters: once these are hidden, it would stand apart."""
    return Variants(kinds, glued=True)


def read(found: Found) -> str:
    """The canonical name."""
    return found.name


def original_of(found: Found, originals: Mapping[str, str]) -> str | None:
    """The original, with the ending that the model gave it; None where it is not certain."""
    value, ending = originals.get(found.name), found.ending
    if value is None and found.name.endswith("s"):  # "[PERSON_1s]": the plural, or another language's genitive
        value, ending = originals.get(found.name[:-1]), "s"
    return None if value is None else value + ending


def written_as(value: str, form: str) -> str:
    """The value escaped as its placeholder was: `%5BPERSON_1%5D` stood in an address."""
    return _ENDINGS[form](value)


def replace_all(pattern: Variants, text: str, originals: Mapping[str, str]) -> str:
    """`text` with every known placeholder replaced, the values as they are."""
    pieces, done = [], 0
    for found in pattern.finditer(text):
        value = original_of(found, originals)
        if value is not None:
            pieces += [text[done : found.at], value]
            done = found.until
    return "".join([*pieces, text[done:]])


_IN_BRACKETS = re.compile(
    rf"[{re.escape(OPENING)}{{(][ \t*_`~\\]{{0,4}}(?P<word>[^\W\d_][^\W\d]{{1,23}}?(?:[ \-][^\W\d_]{{2,12}})?)"
    rf"\\{{0,2}}(?P<mark>[_＿ \-.:#]?)(?P<n>\d{{1,6}})[\w'’]{{0,8}}[ \t*_`~\\]{{0,4}}[{re.escape(CLOSING)}}})]"
)


class UnresolvedCounter:
    """Counts unresolved placeholders in the text that is passed on, piece by piece; each one once."""

    def __init__(self, kinds: frozenset[str]) -> None:
        """`kinds`: of the placeholders of the conversation."""
        self._bare, self._known = _bare(kinds), _with_translations(kinds)
        self._tail = ""

    def feed(self, piece: str) -> int:
        """How many are certain with the next piece of the text."""
        text = self._tail + piece
        count, again = self._read(text, len(text) - LONGEST)
        self._tail = text[again:]
        return count

    def end(self) -> int:
        """The text ends, or an original was put back here: what follows is another text."""
        count, _ = self._read(self._tail, len(self._tail))
        self._tail = ""
        return count

    def _read(self, text: str, settled: int) -> tuple[int, int]:
        """How many begin before `settled`, and the index from which the text must be read again."""
        matches = [match for match in self._matches(text) if match.start() < settled]
        return len(matches), max([0, settled, *(match.end() for match in matches)])

    def _matches(self, text: str) -> list[re.Match[str]]:
        found = [match for match in _IN_BRACKETS.finditer(text) if self._means(match)]
        inside = [match.span() for match in found]
        bare = self._bare.finditer(text) if self._bare else ()
        found += [match for match in bare if not any(start <= match.start() < end for start, end in inside)]
        return sorted(found, key=lambda match: match.start())

    def _means(self, match: re.Match[str]) -> bool:
        """Whether the brackets contain a placeholder's name, and not "[Figure 2]" or "(see 3)"."""
        word, mark = match["word"], match["mark"].replace("＿", "_")
        kind = plain_word(word)
        if match[0][0] in "({":  # "(PERSON 1)" is found without its brackets
            return mark == "_" and word == word.upper() and kind in self._known
        return (kind in self._known and mark in ("_", " ", "-", "")) or (mark == "_" and word == word.upper())


@lru_cache(maxsize=256)
def _with_translations(kinds: frozenset[str]) -> frozenset[str]:
    return kinds | known_kinds() | translations()[0].keys()


@lru_cache(maxsize=256)
def _bare(kinds: frozenset[str]) -> re.Pattern[str] | None:
    """A kind of this conversation in capitals with a number: "PERSON 1", "PERSON_1x", "PERSON-2"."""
    if not kinds:
        return None
    names = "|".join(re.escape(kind).replace("_", "[_ ]") for kind in sorted(kinds, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{names})[_ \-]\d{{1,6}}\w{{0,8}}")
