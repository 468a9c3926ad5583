"""Checks of completed prompts and of answers that need no judge: only what can be read off a string."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from netgpt_bench.paper_requests import PersonRequest

_PLACEHOLDER = re.compile(r"\[[A-Z]+_\d+\]")
_ENGLISH = re.compile(
    r"\b(the|an?|and|or|of|to|in|is|are|you|your|for|with|that|it|this|be|can|on|as|at|my|not|have)\b"
)
_JUDGEABLE_WORDS = 6
"""A shorter answer ("Oslo.") is not asked for English function words."""


@dataclass(frozen=True)
class Answered:
    """One request as one way answered it. Milliseconds from the client's send; bytes on the link."""

    asked: PersonRequest
    text: str
    finished: bool
    """The answer ended as it should: `finish_reason`, or an end token, or the token limit; not an error."""
    first_ms: float
    whole_ms: float
    up: int
    down: int
    cloud_tokens: int
    """Prompt and completion tokens that the cloud's model worked through."""
    written: int
    """Tokens of the answer."""
    cloud: bool
    """Whether the cloud answered."""
    completed: str
    """The prompt as the answering model got it, before hiding."""
    kinds: frozenset[str]
    """Kinds of the facts that were added."""
    left: bytes | None = None
    """What crossed the link as text; None: not text (hidden states), so it is not searched."""


def values_seen(content: bytes, values: Collection[str]) -> int:
    """How many of the values can be read in `content`, in any case, also written with JSON's escapes."""
    text = content.decode("utf-8", "replace")
    plain = (text + re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)).casefold()
    return sum(value.casefold() in plain for value in set(values))


def quality(answers: Sequence[Answered]) -> dict[str, Any]:
    """Shares from 0 to 1 over all answers of one way; None where there is nothing to count."""
    needed = [(one, kind) for one in answers for kind in sorted(one.asked.needs)]
    given = [(one, kind) for one in answers for kind in sorted(one.kinds)]
    read = [one for one in answers if one.left is not None]
    return {
        "needed_facts_present": _share([kind in one.kinds for one, kind in needed]),
        "facts_given_needless": _share([kind not in one.asked.needs | one.asked.may for one, kind in given]),
        "requests_given_needless": _share([bool(one.kinds - one.asked.needs - one.asked.may) for one in answers]),
        "words_untouched": _share([one.completed.startswith(one.asked.text) for one in answers]),
        "answers_using_the_fact": _share([_uses(one, kind) for one, kind in needed]),
        "answers_sound": _share([_sound(one) for one in answers]),
        "private_values_at_risk": sum(len(set(one.asked.must_stay)) for one in answers),
        "private_values_left": sum(values_seen(one.left or b"", one.asked.must_stay) for one in read) if read else None,
    }


def _uses(one: Answered, kind: str) -> bool:
    answer = one.text.casefold()
    return any(word in answer for word in one.asked.known(kind))


def _sound(one: Answered) -> bool:
    """Not empty, ended without an error, English, and no placeholder was left standing."""
    answer = one.text.casefold()
    english = len(answer.split()) < _JUDGEABLE_WORDS or bool(_ENGLISH.search(answer))
    return one.finished and bool(answer.strip()) and english and not _PLACEHOLDER.search(one.text)


def _share(found: Sequence[bool]) -> float | None:
    return round(sum(found) / len(found), 3) if found else None
