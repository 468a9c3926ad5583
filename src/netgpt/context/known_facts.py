"""A proposed fact beside what is known already: is it there, does it contradict something, or is it news?

Facts are free text, so both are read the same way: what a fact is about (its slot, by `remarks/*.toml`), whether it
says yes or no, and its words without endings. "lives in Graz" beside "The user lives in Leeds" is one slot with two
values; "eats meat" beside "doesn't eat meat" the same words with another sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from netgpt.context.places import STOP_WORDS, word_set
from netgpt.context.proposals import remarks
from netgpt.types import Fact

_PREFIX: Final = re.compile(r"(?:About the user: |The user['’]s |The user |i['’]?m |i am |i |my )", re.IGNORECASE)
_SAID: Final = re.compile(r"\s*\((?:said on |gesagt am )?\d{1,2}(?: \w+ |\.\d{1,2}\.)\d{4}\)")
_SMALL: Final = STOP_WORDS | word_set(
    """ein eine einen einer im ist hat der die das und in est un une le la les de des du il el los las es una uno di his
    their lebt wohnt habite vive abita strictly own owns s don doesn isn t"""
)
_NO: Final = re.compile(
    r"(?<!\w)(?:no|not|never|without|\w+n['’]t|cannot|dislikes?|hates?|loathes?|detests?|avoids?|nicht|kein\w*|nie|pas|ne"
    r"|jamais|nunca|non|mai|niente|odia|d[ée]teste|hasst)(?!\w)",
    re.IGNORECASE,
)
_KEY: Final = 5
"""Letters of a word that count: "allergic" and "allergy", "drives" and "drive" are the same."""


@dataclass(frozen=True, slots=True)
class BesideKnown:
    """How a proposal stands to what is known."""

    known: bool
    """It is there already."""
    contradicts: tuple[str, ...] = ()
    """Ids of the facts that it would take the place of."""


def standing_of(text: str, facts: Mapping[str, Fact]) -> BesideKnown:
    """How the note `text` stands to the facts, by id."""
    new, against = _read(text), []
    for id, fact in facts.items():
        old = _read(fact.text)
        same = new.words <= old.words or old.words == new.words
        if new.says_no == old.says_no and same and new.words:
            return BesideKnown(known=True)
        opposite = new.says_no != old.says_no and bool(new.words) and (new.words <= old.words or old.words <= new.words)
        if opposite or (new.slot is not None and new.slot == old.slot and new.value != old.value):
            against.append(id)
    return BesideKnown(False, tuple(against))


@dataclass(frozen=True, slots=True)
class _Reading:
    words: frozenset[str]
    says_no: bool
    slot: str | None
    value: str


def plain_note(text: str) -> str:
    """The fact without its subject: "The user is vegan" -> "is vegan"."""
    return _SAID.sub("", _PREFIX.sub("", text.strip(), count=1)).strip(" .")


@cache
def _slots() -> tuple[tuple[str, re.Pattern[str], str | None], ...]:
    """(slot, pattern, value) of every language; without a value the first group is it."""
    rows = [row for table in remarks() for row in table.slots]
    return tuple((row["slot"], re.compile(rf"(?:{row['says']})", re.IGNORECASE), row.get("value")) for row in rows)


def _read(text: str) -> _Reading:
    note = plain_note(text)
    words = (word for word in re.findall(r"[^\W_]+", note.casefold()) if word not in _SMALL)
    keys = frozenset(word.rstrip("s")[:_KEY] for word in words if _NO.fullmatch(word) is None)
    slot, value = None, ""
    for name, pattern, fixed in _slots():
        if (found := pattern.match(note)) is not None:
            slot, value = name, fixed or " ".join(found[1].casefold().split())
            break
    return _Reading(keys, _NO.search(note) is not None, slot, value)
