"""Who asks nearly the same again soon after was probably not helped the first time. No text is kept.

A request is remembered as the smallest of its keyed word digests (a bottom-k sketch, Broder 1997), in memory only, for
some minutes, under a key of this process: nothing can be read from it, and nothing of it is saved. A person who sends
the very same many times is a machine at work, and says nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

__all__ = ["Repeats", "Settled"]

WINDOW_S: Final = 300.0
ALIKE: Final = 0.6
"""Share of common words from which two requests count as nearly the same."""
LEAST_WORDS: Final = 3
"""Shorter ones ("yes", "go on") are alike by nature."""
MACHINE: Final = 4
"""As many alike within the window: not a person who tries again."""
MOST_WORDS: Final = 400
SKETCH: Final = 64
MOST_PEOPLE: Final = 2_000
MOST_EACH: Final = 8

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Settled:
    """What is known of an earlier request now."""

    decision: str
    repeated: bool


@dataclass(slots=True)
class _Asked:
    decision: str
    at: float
    sketch: frozenset[int]
    again: int = 0


class Repeats:
    """The last requests of the people who asked within the last minutes."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)
        self._people: OrderedDict[str, deque[_Asked]] = OrderedDict()

    def asked(self, person: str, decision: str, text: str, now: float) -> list[Settled]:
        """Note a request; return what it tells of earlier ones of the same person."""
        sketch = self._sketch(text)
        settled = self._ended(person, now)
        asked = self._people.setdefault(person, deque())
        self._people.move_to_end(person)
        again = 0
        if len(sketch) >= LEAST_WORDS:
            alike = [one for one in asked if _alike(one.sketch, sketch)]
            again = max((one.again + 1 for one in alike), default=0)
            if again < MACHINE:
                settled += [Settled(one.decision, True) for one in alike]
            for one in alike:
                asked.remove(one)
        asked.append(_Asked(decision, now, sketch, again))
        self._bound(asked)
        return settled

    def settled(self, now: float) -> list[Settled]:
        """The requests whose window is over and that were not asked again."""
        return [one for person in list(self._people) for one in self._ended(person, now)]

    def forget(self, person: str) -> None:
        self._people.pop(person, None)

    def _ended(self, person: str, now: float) -> list[Settled]:
        asked = self._people.get(person)
        ended = []
        while asked and now - asked[0].at > WINDOW_S:
            one = asked.popleft()
            if one.again < MACHINE - 1:
                ended.append(Settled(one.decision, False))
        if asked is not None and not asked:
            del self._people[person]
        return ended

    def _bound(self, asked: deque[_Asked]) -> None:
        """Bounds: who asks much or has not asked for longest is remembered less. What is dropped says nothing."""
        while len(asked) > MOST_EACH:
            asked.popleft()
        while len(self._people) > MOST_PEOPLE:
            self._people.popitem(last=False)

    def _sketch(self, text: str) -> frozenset[int]:
        words = set(_WORD.findall(text[: MOST_WORDS * 8].lower())[:MOST_WORDS])
        digests = (hashlib.blake2b(word.encode(), digest_size=8, key=self._secret).digest() for word in words)
        return frozenset(sorted(int.from_bytes(digest, "big") for digest in digests)[:SKETCH])


def _alike(one: frozenset[int], other: frozenset[int]) -> bool:
    """Whether the share of common words reaches `ALIKE`, estimated from the smallest digests of both together."""
    if len(one) < LEAST_WORDS:
        return False
    least = sorted(one | other)[:SKETCH]
    return sum(digest in one and digest in other for digest in least) >= ALIKE * len(least)
