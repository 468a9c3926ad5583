"""What many people share may be learnt for all of them; what only a few say is taken out first.

k-anonymity (Samarati and Sweeney, 1998), over words: an adapter that others use learns a word, or two words side by
side, only where at least `k` people's examples hold it, unless it is a word that everybody uses. In the question such a
word is replaced; an answer that holds one teaches nothing, so the example is left out. Pseudonymizing came before this.

Not covered: longer phrases of common words, and what many sentences of one person tell together.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

from netgpt.embedding import StaticEmbedder
from netgpt.training.example import Example
from netgpt.types import Person

# --- Words that everybody uses, which therefore tell of nobody: about 9,000 English ones, out of a tokenizer's pieces.
#
# A tokenizer keeps a word whole when it was common in a very large text. Only pieces that begin a word, are written
# small and have letters alone count; a regular ending ("s", "ed", "ing", ...) does not make a word less common.

_BEGINS: Final = "\u2581"
_ENDINGS: Final = ("'s", "s", "es", "ed", "d", "ing", "ly", "er", "est")
_SHORT: Final = 2
WORD: Final = re.compile(r"\w+(?:['\u2019]\w+)*")


class Vocabulary:
    """Which words, and which two words together, tell of nobody."""

    def __init__(self, words: Collection[str] = (), public: Iterable[str] = ()) -> None:
        """`words`: written small. `public`: texts that everybody may know, such as the names of the site."""
        self._words = frozenset(words)
        self._public: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()
        for text in public:
            said = [word.casefold() for word in WORD.findall(text)]
            self._public.update(said)
            self._pairs.update(pairwise(said))

    def has(self, word: str) -> bool:
        """Whether the word, in whatever letters, is common, public, or too short to tell anything."""
        small = word.casefold().replace("\u2019", "'")
        if small in self._public or small in self._words:
            return True
        if len(small) <= _SHORT:
            return True
        return any(self._without(small, ending) for ending in _ENDINGS if small.endswith(ending))

    def has_pair(self, first: str, second: str) -> bool:
        """Whether two words side by side are common: both are, and they do not look like a name ("Rose Garden")."""
        if (first.casefold(), second.casefold()) in self._pairs:
            return True
        looks_like_a_name = first[:1].isupper() and second[:1].isupper()
        return self.has(first) and self.has(second) and not looks_like_a_name

    def _without(self, small: str, ending: str) -> bool:
        stem = small[: -len(ending)]
        return len(stem) > _SHORT and (stem in self._words or stem + "e" in self._words)


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """The words, out of the pieces that the box's embedding knows (0.3 s). Raises SettingsError: it is damaged."""
    words = (piece[1:] for piece in StaticEmbedder().pieces() if piece.startswith(_BEGINS))
    return frozenset(
        word for word in words if len(word) > _SHORT and word.isascii() and word.isalpha() and word.islower()
    )


STAND_IN: Final = "something"
"""Stands for a word that too few people say."""
MOST_REPLACED: Final = 0.3
"""A question with more of its words replaced teaches nothing."""
_PLACEHOLDER: Final = re.compile(r"\[[A-Z][A-Z_]*_\d+[a-z]*\]")

Unit = tuple[str, ...]
"""A word, or two words side by side, written small."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What may be learnt by all. `left_out` counts reasons; it holds no text."""

    examples: list[Example]
    left_out: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    """Words that a stand-in was put for, in the examples that stay."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    broken_off: bool
    """Whether something stands between it and the word before: a placeholder, a stand-in, the beginning."""


def shared_by(examples: Sequence[Example], k: int, vocabulary: Vocabulary) -> Shared:
    """The examples, with those of people held to `k`; nobody's pass as they are. `k` 1: all pass."""
    nobodys = [example for example in examples if example.person is None]
    mine = [example for example in examples if example.person is not None]
    if k <= 1 or not mine:
        return Shared(list(examples))
    left_out: Counter[str] = Counter()
    replaced: dict[int, int] = defaultdict(int)
    known: dict[int, Example] = dict(enumerate(mine))
    while True:  # each round leaves something out or replaces something, so it ends
        rare = _rare(list(known.values()), k, vocabulary)
        changed = False
        for number, example in list(known.items()):
            general, words, why = _generalised(example, rare, vocabulary, replaced[number])
            if general is None:
                left_out[f"{why} of fewer than {k} people"] += 1
                del known[number]
            else:
                known[number] = general
                replaced[number] += words
            changed = changed or general is None or words > 0
        if not changed:
            break
    if len({example.person for example in known.values()}) < k:
        left_out[f"fewer than {k} people have examples that may be shared (training.k_anonymity)"] += len(known)
        known = {}
    return Shared([*known.values(), *nobodys], left_out, sum(replaced[number] for number in known))


def identifying(text: str, vocabulary: Vocabulary) -> Iterator[Unit]:
    """The words and pairs of a text that could tell of somebody."""
    words = list(_words(text))
    for word in words:
        if not vocabulary.has(word.text):
            yield (word.text.casefold(),)
    for before, word in pairwise(words):
        if not word.broken_off and not vocabulary.has_pair(before.text, word.text):
            yield (before.text.casefold(), word.text.casefold())


def _words(text: str) -> Iterator[_Word]:
    """The words of a text in order, without placeholders and stand-ins."""
    hidden = [match.span() for match in _PLACEHOLDER.finditer(text)]
    broken_off = True
    for match in WORD.finditer(text):
        if match[0].casefold() == STAND_IN or any(start <= match.start() < end for start, end in hidden):
            broken_off = True
            continue
        yield _Word(match[0], match.start(), match.end(), broken_off)
        broken_off = False


def _texts(example: Example) -> Iterator[str]:
    yield from (str(message.get("content") or "") for message in example.messages)
    yield from (example.answer, *example.options)


def _rare(examples: Sequence[Example], k: int, vocabulary: Vocabulary) -> frozenset[Unit]:
    """What fewer than `k` people say."""
    people: Mapping[Unit, set[Person | None]] = defaultdict(set)
    for example in examples:
        for text in _texts(example):
            for unit in identifying(text, vocabulary):
                people[unit].add(example.person)
    return frozenset(unit for unit, who in people.items() if len(who) < k)


def _generalised(
    example: Example, rare: frozenset[Unit], vocabulary: Vocabulary, before: int
) -> tuple[Example | None, int, str]:
    """The example with stand-ins for rare words, how many; or None and what it holds. `before`: replaced already."""
    if any(unit in rare for text in (example.answer, *example.options) for unit in identifying(text, vocabulary)):
        return None, 0, "its answer holds words"
    said = sum(len(list(_words(str(message.get("content") or "")))) for message in example.messages)
    messages, count = [], 0
    for message in example.messages:
        text, words = _replaced(str(message.get("content") or ""), rare, vocabulary)
        messages.append({**message, "content": text})
        count += words
    if before + count > MOST_REPLACED * (said + before):
        return None, 0, "it is mostly words"
    if not count:
        return example, 0, ""
    return replace(example, messages=tuple(messages)), count, ""


def _replaced(text: str, rare: frozenset[Unit], vocabulary: Vocabulary) -> tuple[str, int]:
    words = list(_words(text))
    gone = {index for index, word in enumerate(words) if (word.text.casefold(),) in rare}
    gone -= {index for index in gone if vocabulary.has(words[index].text)}
    for index, (before, word) in enumerate(pairwise(words)):
        pair = (before.text.casefold(), word.text.casefold())
        if gone & {index, index + 1}:
            continue  # parted already
        if not word.broken_off and pair in rare and not vocabulary.has_pair(before.text, word.text):
            gone |= {index, index + 1}
    for index in sorted(gone, reverse=True):
        text = text[: words[index].start] + STAND_IN + text[words[index].end :]
    return text, len(gone)
