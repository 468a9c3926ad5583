"""Short ways to ask the judge."""

from __future__ import annotations

import math
from typing import Any

from netgpt.confidence.judge import Judge
from netgpt.judgement import Confidence, TaskKind, TokenStats

JUDGE = Judge()


def told(chance: float, count: int = 8) -> TokenStats:
    """Figures of a model that gave each of `count` tokens this chance."""
    stats, rest = TokenStats(), math.log((1 - chance) / 4)
    for _ in range(count):
        stats.add(math.log(chance), [math.log(chance), rest, rest, rest, rest])
    return stats


def judged(
    question: str, answer: str, *, kind: str = "facts", fields: dict[str, Any] | None = None, **more: Any
) -> Confidence:
    body = {"messages": [{"role": "user", "content": question}], **(fields or {})}
    return JUDGE.judge(body, answer, kind=TaskKind(kind, 0.9), **more)


def why(found: Confidence) -> str:
    return "; ".join(found.reasons)
