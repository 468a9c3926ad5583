"""One value in several writings: which names mean one person, names inside identifiers, what was found before.

"Zanele Khumalo", "Ms Khumalo", "KHUMALO, ZANELE" and "Zanele" are one. A short name belongs to a person only when one
person of the conversation fits; a surname that two bear is somebody of its own. What is known grows text by text, so a
conversation that is sent again with more turns gives the same.

A key or a tool's name is written without blanks and without a sentence around it: `dafydd_prydderch_salary` is read as
"Dafydd Prydderch Salary" by the tagger. Ordinary names of fields (`field_words.txt`) are not read at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import Final

import regex

from netgpt.privacy.detectors.disguises import views
from netgpt.privacy.kinds import ALSO_WORDS, WORDS_OF_TRADE
from netgpt.registry import holds_texts
from netgpt.types import Span

_WORD: Final = regex.compile(r"[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)?")
_ACCENTS: Final = regex.compile(r"[\u0300-\u036f]+")
_UNSPACED: Final = regex.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,8}")
"""A name in a script that writes given name and surname together."""
_FIRST_UNSPACED: Final = "\u3040"
_MANY: Final = 40
"""Persons who share a word: from here on it says nothing."""


@lru_cache(maxsize=1)
def _titles() -> frozenset[str]:
    return frozenset(files("netgpt.privacy").joinpath("titles.txt").read_text("utf-8").split())


@lru_cache(maxsize=1)
def _unspaced_titles() -> tuple[str, ...]:
    return tuple(sorted(filter(_UNSPACED.fullmatch, _titles()), key=len, reverse=True))


def within_titles(name: str) -> tuple[int, int]:
    """Where the name itself stands in a text that may begin or end with titles; all of it where nothing is left.

    >>> [name[slice(*within_titles(name))] for name in ("Ms Khumalo", "Herr Dr. Weiß", "田中さん", "Dr")]
    ['Khumalo', 'Weiß', '田中', 'Dr']
    """
    words = [match.span() for match in _WORD.finditer(name)]
    first, last = 0, len(words)
    while first < last and _is_title(name[slice(*words[first])]):
        first += 1
    while first < last and _is_title(name[slice(*words[last - 1])]):
        last -= 1
    if first == last:
        return 0, len(name)
    start = words[first][0] if first else 0
    begin, end = words[last - 1]
    if name[end - 1] >= _FIRST_UNSPACED:
        suffix = next((t for t in _unspaced_titles() if name[begin:end].endswith(t) and end - begin > len(t)), "")
        return start, end - len(suffix) if suffix or last < len(words) else len(name)
    return start, end if last < len(words) else len(name)


def _is_title(word: str) -> bool:
    return word.casefold() in _titles()


@holds_texts
@lru_cache(maxsize=65_536)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name without titles, as they are compared.

    >>> words_of("KHUMALO, Zanélé"), words_of("Dr. Ada")
    (('khumalo', 'zanele'), ('ada',))
    """
    name = name[slice(*within_titles(name))]
    if name.isascii():
        return tuple(_WORD.findall(name.lower()))
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", name.casefold().replace("’", "'")))
    return tuple(_WORD.findall(unicodedata.normalize("NFC", plain)))


@dataclass(eq=False)
class _Someone:
    words: tuple[str, ...]
    """Of the fullest name so far."""
    number: int = 0
    """Of the placeholder; 0 until there is one."""
    seen: bool = False
    """In what was sealed so far."""


@dataclass
class People:
    """The persons of one conversation."""

    _by_word: dict[str, dict[int, _Someone]] = field(default_factory=dict)
    _by_name: dict[tuple[str, ...], _Someone] = field(default_factory=dict)
    """By all words in order."""
    _numbered: dict[int, _Someone] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<People: {len(self._numbered)}>"

    def begin(self) -> None:
        """A body is sealed from its first text on: those it does not name count only where nobody else fits."""
        for someone in self._by_name.values():
            someone.seen = False

    def remember(self, name: str, number: int) -> None:
        """A name that has this number already."""
        if not words_of(name):
            return
        someone = self._numbered.get(number)
        if someone is None:
            self._numbered[number] = self._new(words_of(name), number)
        elif _is_within(someone.words, words_of(name)):
            self._grow(someone, words_of(name))

    def meet(self, names: Iterable[str]) -> None:
        """The names of the next text, all at once: their order in it must not matter."""
        for words in sorted(set(map(words_of, names)), key=lambda words: (_fullness(words), words), reverse=True):
            if words:
                self._find(words).seen = True

    def number_of(self, name: str, new: Callable[[], int]) -> tuple[int, bool]:
        """The number of the person's placeholders, and whether it is given now: what `new` returns."""
        someone = self._find(words_of(name))
        is_new = not someone.number
        if is_new:
            someone.number = new()
            self._numbered[someone.number] = someone
        return someone.number, is_new

    def _find(self, words: tuple[str, ...]) -> _Someone:
        """The one person whom a name means, or somebody new."""
        known = self._alike(words)
        same = self._by_name.get(tuple(sorted(words)))
        fuller = [one for one in known if _fullness(one.words) > _fullness(words)]
        seen = [one for one in fuller if one.seen]
        meant = seen or fuller
        if len(meant) == 1 and not (same is not None and same.seen and same.number):
            return meant[0]
        if same is not None and sorted(same.words) == sorted(words):
            return same
        shorter = [one for one in known if _fullness(one.words) < _fullness(words) and self._is_nobody_elses(one)]
        if shorter and not fuller:
            someone = max(shorter, key=lambda one: (_fullness(one.words), one.words))
            self._grow(someone, words)
            return someone
        return self._new(words)

    def _alike(self, words: tuple[str, ...]) -> list[_Someone]:
        found: dict[int, _Someone] = {}
        for word in words:
            sharing = self._by_word.get(word, {}) if len(word) > 1 or word >= _FIRST_UNSPACED else {}
            if len(sharing) <= _MANY:
                found |= sharing
        return [one for one in found.values() if _is_within(one.words, words) or _is_within(words, one.words)]

    def _is_nobody_elses(self, someone: _Someone) -> bool:
        """Whether nobody with a fuller name bears this short one."""
        return not any(_fullness(one.words) > _fullness(someone.words) for one in self._alike(someone.words))

    def _new(self, words: tuple[str, ...], number: int = 0) -> _Someone:
        someone = _Someone(words, number)
        self._index(someone)
        return someone

    def _grow(self, someone: _Someone, words: tuple[str, ...]) -> None:
        someone.words = words
        self._index(someone)

    def _index(self, someone: _Someone) -> None:
        self._by_name[tuple(sorted(someone.words))] = someone
        for word in _keys(someone.words):
            self._by_word.setdefault(word, {})[id(someone)] = someone


def _fullness(words: Sequence[str]) -> tuple[int, int, int]:
    """How much of a name it is: its words, those written out; without blanks between them, its letters."""
    unspaced = sum(len(word) for word in words if word[0] >= _FIRST_UNSPACED)
    return len(words), sum(len(word) > 1 for word in words), unspaced


def _keys(words: Sequence[str]) -> Iterable[str]:
    """The words under which somebody is found: of a name without blanks, also its beginnings and ends."""
    for word in words:
        yield word
        if len(word) > 2 and word >= _FIRST_UNSPACED and _UNSPACED.fullmatch(word):
            yield from (part for length in (1, 2) for part in (word[:length], word[-length:]) if part != word)


@holds_texts
@lru_cache(maxsize=16_384)
def _as_set(words: tuple[str, ...]) -> tuple[frozenset[str], bool]:
    """The words, and whether all are written out, with blanks between them: then they can be compared as a set."""
    return frozenset(words), len(set(words)) == len(words) and all(len(w) > 1 and w[0] < _FIRST_UNSPACED for w in words)


def _is_within(short: tuple[str, ...], full: tuple[str, ...]) -> bool:
    """Whether each word of a name is one of the fuller name, or its initial; at least one is written out."""
    if len(short) > len(full):
        return False
    (some, simple), (more, also) = _as_set(short), _as_set(full)
    if simple and also:
        return some <= more
    rest, written_out = list(full), False
    for word in short:
        if word in rest:
            rest.remove(word)
            written_out = True
            continue
        part = next((other for other in rest if _is_part(word, other)), None)
        written_out = written_out or part is not None
        if part is None and len(word) == 1:
            part = next((other for other in rest if other.startswith(word)), None)
        elif part is None:
            part = next((other for other in rest if len(other) == 1 and word.startswith(other)), None)
        if part is None:
            return False
        rest.remove(part)
    return written_out


def _is_part(word: str, other: str) -> bool:
    """Whether a name without blanks begins or ends so: 小明 of 王小明."""
    if other < _FIRST_UNSPACED:
        return False
    fits = len(other) > len(word) and len(other) > 2 and (other.startswith(word) or other.endswith(word))
    return fits and _UNSPACED.fullmatch(other) is not None


_LETTERS: Final = re.compile(r"[^\W\d_]+")
_CAMEL: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_TOKEN: Final = re.compile(r"\w+")
_AGAIN: Final = "found before"
"""The rule of a value that was found elsewhere in the same request."""


@lru_cache(maxsize=1)
def _field_words() -> frozenset[str]:
    return frozenset(files("netgpt.privacy").joinpath("field_words.txt").read_text("utf-8").split())


def is_identifier(text: str) -> bool:
    """Whether the text may be a name in a program: a placeholder in it is written without brackets."""
    return _IDENTIFIER.fullmatch(text) is not None


@holds_texts
@lru_cache(maxsize=4_096)
def is_ordinary(text: str) -> bool:
    """Whether a key or a tool's name has only words that fields are named with.

    >>> is_ordinary("maxTokens"), is_ordinary("Unit Price (GBP)"), is_ordinary("Dafydd Prydderch")
    (True, True, False)
    """
    return text.isascii() and all(_is_field_word(word) for word in _CAMEL.findall(text))


def _is_field_word(word: str) -> bool:
    return len(word) < 3 or (word.isupper() and len(word) < 5) or word.lower() in _field_words()


@holds_texts
@lru_cache(maxsize=4_096)
def spoken(identifier: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The identifier as words with capitals, and where each begins and ends in it.

    >>> spoken("email_dafyddPrydderch")
    ('Email Dafydd Prydderch', ((0, 5), (6, 12), (12, 21)))
    """
    found = [match.span() for match in _CAMEL.finditer(identifier)]
    return " ".join(identifier[start:end].capitalize() for start, end in found), tuple(found)


def names_in(identifier: str, spans: Iterable[Span]) -> list[Span]:
    """The persons of `spans` (found in what `spoken` gave) as spans of the identifier.

    A name in an identifier has two words or more that are no words of fields: nobody is hidden in `max_tokens`.
    """
    text, places = spoken(identifier)
    begins = [0]
    for word in text.split(" ")[:-1]:
        begins.append(begins[-1] + len(word) + 1)
    result = []
    for span in spans:
        inside = [i for i, at in enumerate(begins) if span.start <= at < span.end]
        while inside and _is_field_word(identifier[slice(*places[inside[0]])]):
            inside.pop(0)
        while inside and _is_field_word(identifier[slice(*places[inside[-1]])]):
            inside.pop()
        if len(inside) < 2 or all(identifier[slice(*places[i])].lower() in ALSO_WORDS for i in inside):
            continue
        result.append(Span(places[inside[0]][0], places[inside[-1]][1], "PERSON", span.rule, span.score))
    return result


class FoundBefore:
    """The values that one sealing hid in its first round, to be found again in identifiers, keys and texts."""

    def __init__(self) -> None:
        self._anywhere: dict[str, dict[tuple[int, int], dict[str, str]]] = {}
        """What is certain wherever it stands. By its first word, then by (where that begins, length): value -> kind."""
        self._names: set[str] = set()
        """Folded, without what stands between their words."""
        self._whole: dict[str, str] = {}
        self._unspaced: dict[str, str] = {}
        """Values in writings without blanks."""
        self._numbers: dict[str, str] = {}
        """By the digits alone."""

    def add(self, kind: str, value: str, rule: str) -> None:
        """A value that was replaced by a placeholder."""
        value = value.strip()
        digits = "".join(filter(str.isdecimal, value))
        if len(digits) >= _SURE_NUMBER and not any(map(str.isalpha, value)):
            self._numbers[digits] = kind
        words = _LETTERS.findall(value)
        self._whole.setdefault(value.casefold(), kind)
        name = _folded("".join(words))
        is_word = is_ordinary(value) or (len(words) < 2 and name in ALSO_WORDS | WORDS_OF_TRADE)
        if kind == "PERSON" and len(name) >= _SURE and not is_word:
            self._names.add(name)
        if rule == "names" or not _is_telling(kind, value):
            return
        if max(value) >= _FIRST_GLUED and len(self._unspaced) < _MOST_UNSPACED:
            self._unspaced[value] = kind
        elif first := _TOKEN.search(value):
            of_word = self._anywhere.setdefault(first[0], {})
            of_word.setdefault((first.start(), len(value)), {})[value] = kind

    def as_number(self, text: str) -> list[Span]:
        """The whole of a number of JSON whose digits were found elsewhere."""
        digits = "".join(filter(str.isdecimal, text.removesuffix(".0")))
        kind = self._numbers.get(digits)
        return [Span(0, len(text), kind, _AGAIN)] if kind else []

    def in_text(self, text: str) -> list[Span]:
        """Telling values (numbers, keys, addresses) that stand in a text, written as they were found or encoded."""
        if not (self._anywhere or self._unspaced):
            return []
        found = self._in_plain(text)
        for view in views(text):
            if view.text != text:
                for each in self._in_plain(view.text):
                    start, end = view.back(each.start, each.end)
                    found += [replace(each, start=start, end=end)] if start < end else []
        return found

    def _in_plain(self, text: str) -> list[Span]:
        found = []
        for token in _TOKEN.finditer(text):
            for (before, length), values in self._anywhere.get(token[0], {}).items():
                start = token.start() - before
                end = start + length
                if start >= 0 and (kind := values.get(text[start:end])) and not text[end : end + 1].isalnum():
                    found.append(Span(start, end, kind, _AGAIN))
        for value, kind in self._unspaced.items():
            found += [Span(at.start(), at.end(), kind, _AGAIN) for at in re.finditer(re.escape(value), text)]
        return found

    def in_identifier(self, text: str) -> list[Span]:
        """As in a text, and: names, joined in any way; and whatever is the whole identifier or key."""
        found = self.in_text(text)
        if (kind := self._whole.get(text.strip().casefold())) is not None and not is_ordinary(text):
            found.append(Span(0, len(text), kind, _AGAIN))
        if self._names and not is_ordinary(text):
            found += self._names_inside(text)
        return found

    def _names_inside(self, text: str) -> list[Span]:
        """Names as one or more whole words of an identifier: `dafyddPrydderch`, `dafydd_prydderch_salary`."""
        places = [match.span() for match in _CAMEL.finditer(text)]
        words = [_folded(text[start:end]) for start, end in places]
        return [
            Span(places[first][0], places[last][1], "PERSON", _AGAIN)
            for first in range(len(words))
            for last in range(first, min(first + _LONGEST_NAME, len(words)))
            if "".join(words[first : last + 1]) in self._names
        ]

    def in_id(self, text: str) -> list[Span]:
        """In an id of the protocol: only what is too long to stand there by chance."""
        return [
            span
            for span in self.in_identifier(text)
            if sum(c.isalnum() for c in text[span.start : span.end]) >= LEAST_IN_ID
        ]


LEAST_IN_ID: Final = 8
"""Letters and digits of a value that is found in an id: a short one would stand in many ids by chance."""
_SURE: Final = 4
"""Letters of a name that is looked for inside identifiers."""
_SURE_NUMBER: Final = 6
_LONGEST_NAME: Final = 6
"""Words of one."""
_FIRST_GLUED: Final = "\u0590"
"""From here on (Hebrew, Arabic, Thai, CJK) words are written together or take prefixes."""
_MOST_UNSPACED: Final = 500


def _folded(word: str) -> str:
    """Small letters without accents."""
    if word.isascii():
        return word.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if c.isalnum())


def _is_telling(kind: str, value: str) -> bool:
    """Whether a value means the same wherever it stands."""
    if kind == "PERSON":
        return len(value.split()) > 1 or (len(value) > 1 and min(value) >= _FIRST_GLUED)
    if kind == "API_KEY":
        return len(value) >= 6 and not is_ordinary(value)
    return len(value) >= 6 and any(c.isdigit() or c == "@" for c in value)
