"""k-anonymity over words, for adapters that others use (Samarati and Sweeney, 1998). It follows pseudonymization.

A word, or two words side by side, is learnt only where at least `k` people's examples hold it, unless it is a common
word. In the question a rarer word is replaced; an example whose answer holds one is left out.

Not covered: longer phrases of common words, and what many sentences of one person disclose together.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

from netgpt.training.example import Example
from netgpt.types import Person
from netgpt.word_pieces import StaticEmbedder

_BEGINS: Final = "\u2581"
_ENDINGS: Final = ("'s", "s", "es", "ed", "d", "ing", "ly", "er", "est")
_SHORT: Final = 2
WORD: Final = re.compile(r"\w+(?:['\u2019]\w+)*")
STAND_IN: Final = "something"
"""Replaces a word that too few people say."""
MOST_REPLACED: Final = 0.3
"""A question with a greater share of its words replaced is left out."""
_PLACEHOLDER: Final = re.compile(r"\[[A-Z][A-Z_]*_\d+[a-z]*\]")

Unit = tuple[str, ...]
"""A word, or two words side by side, in lower case."""


class Vocabulary:
    """Which words, and which two words together, identify nobody.

    `words`: in lower case; a regular ending ("s", "ed", ...) does not make one less common. `public`: texts that
    everybody may know, such as the names of the site.
    """

    def __init__(self, words: Collection[str] = (), public: Iterable[str] = ()) -> None:
        self._words = frozenset(words)
        self._public: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()
        for text in public:
            words_in = [word.casefold() for word in WORD.findall(text)]
            self._public.update(words_in)
            self._pairs.update(pairwise(words_in))

    def has(self, word: str) -> bool:
        """Whether the word, in any case, is common, public, or too short to identify anybody."""
        small = word.casefold().replace("\u2019", "'")
        if len(small) <= _SHORT or small in self._public or small in self._words:
            return True
        stems = [small.removesuffix(ending) for ending in _ENDINGS if small.endswith(ending)]
        return any(len(stem) > _SHORT and (stem in self._words or stem + "e" in self._words) for stem in stems)

    def has_pair(self, first: str, second: str) -> bool:
        """Whether two words side by side are common: both are, and they do not look like a name ("Rose Garden")."""
        if (first.casefold(), second.casefold()) in self._pairs:
            return True
        looks_like_a_name = first[:1].isupper() and second[:1].isupper()
        return self.has(first) and self.has(second) and not looks_like_a_name


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """About 9,000 English words: the whole words among the embedding's tokens (0.3 s).

    A tokenizer keeps a word whole when it was common in a very large text. Raises SettingsError: the file is damaged.
    """
    words = (piece[1:] for piece in StaticEmbedder().pieces() if piece.startswith(_BEGINS))
    return frozenset(
        word for word in words if len(word) > _SHORT and word.isascii() and word.isalpha() and word.islower()
    )


@dataclass(frozen=True, slots=True)
class Shared:
    """The examples that all may learn from. `left_out` counts reasons; it holds no text."""

    examples: list[Example]
    left_out: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    """Words that were replaced in the examples that stay."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    broken_off: bool
    """Whether a placeholder, a stand-in or the beginning is between it and the word before."""


def shared_by(examples: Sequence[Example], k: int, vocabulary: Vocabulary) -> Shared:
    """Hold people's examples to `k`; those of nobody pass as they are. `k` 1: all pass."""
    nobodys = [example for example in examples if example.person is None]
    peoples = [example for example in examples if example.person is not None]
    if k <= 1 or not peoples:
        return Shared(list(examples))
    left_out: Counter[str] = Counter()
    replaced: dict[int, int] = defaultdict(int)
    kept: dict[int, Example] = dict(enumerate(peoples))
    changed = True
    while changed:  # each round leaves something out or replaces something, so it ends
        rare = _rare(list(kept.values()), k, vocabulary)
        changed = False
        for number, example in list(kept.items()):
            general, words, why = _generalized(example, rare, vocabulary, replaced[number])
            if general is None:
                left_out[f"{why} of fewer than {k} people"] += 1
                del kept[number]
            else:
                kept[number] = general
                replaced[number] += words
            changed = changed or general is None or words > 0
    if len({example.person for example in kept.values()}) < k:
        left_out[f"fewer than {k} people have examples that may be shared (training.k_anonymity)"] += len(kept)
        kept = {}
    return Shared([*kept.values(), *nobodys], left_out, sum(replaced[number] for number in kept))


def identifying(text: str, vocabulary: Vocabulary) -> Iterator[Unit]:
    """The words and pairs of a text that could identify somebody."""
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


def _questions(example: Example) -> list[str]:
    return [str(message.get("content") or "") for message in example.messages]


def _rare(examples: Sequence[Example], k: int, vocabulary: Vocabulary) -> frozenset[Unit]:
    """What fewer than `k` people say."""
    people: Mapping[Unit, set[Person | None]] = defaultdict(set)
    for example in examples:
        for text in (*_questions(example), example.answer, *example.options):
            for unit in identifying(text, vocabulary):
                people[unit].add(example.person)
    return frozenset(unit for unit, who in people.items() if len(who) < k)


def _generalized(
    example: Example, rare: frozenset[Unit], vocabulary: Vocabulary, before: int
) -> tuple[Example | None, int, str]:
    """The example with rare words replaced, how many; or None and the reason. `before`: words replaced already."""
    if any(unit in rare for text in (example.answer, *example.options) for unit in identifying(text, vocabulary)):
        return None, 0, "its answer holds words"
    texts = _questions(example)
    whole = sum(len(list(_words(text))) for text in texts) + before
    replaced = [_replaced(text, rare, vocabulary) for text in texts]
    count = sum(words for _, words in replaced)
    if before + count > MOST_REPLACED * whole:
        return None, 0, "it is mostly words"
    if not count:
        return example, 0, ""
    messages = ({**message, "content": text} for message, (text, _) in zip(example.messages, replaced, strict=True))
    return replace(example, messages=tuple(messages)), count, ""


def _replaced(text: str, rare: frozenset[Unit], vocabulary: Vocabulary) -> tuple[str, int]:
    """The text with rare words replaced, and how many."""
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
