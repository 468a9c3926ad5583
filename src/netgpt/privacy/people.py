"""Which of a conversation's names mean one person: "Zanele Khumalo", "Ms Khumalo", "KHUMALO, ZANELE", "Zanele".

A short name belongs to a person only when one person of the conversation fits; a surname that two bear is somebody of
its own. What is known grows text by text, so a conversation that is sent again with more turns gives the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Final

import regex

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
