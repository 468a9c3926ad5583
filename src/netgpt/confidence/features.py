"""What is known of an answer, as numbers for the model: how sure it was of its tokens, and what the checks found."""

from __future__ import annotations

import math
from typing import Final

from netgpt.confidence.checks import Findings
from netgpt.judgement import TokenStats

TOLD: Final = ("mean", "first", "beginning", "lowest", "doubtful", "entropy")
"""Of the tokens."""
SEEN: Final = (
    "unable", "open", "foreign", "loops", "echo", "new", "new given", "names given", "numbers given", "against facts",
    "sums right", "sums wrong", "broken", "picked one", "picked none", "picked more", "words", "short",
)  # fmt: skip
"""Of the checks."""
_FLAT: Final = 1e-3
"""Nats a token: who is surer than that of everything tells nothing."""


def usable(stats: TokenStats | None) -> TokenStats | None:
    """The figures, unless they tell nothing: none, or those of a model that claims to be sure of every token."""
    if stats is None or not stats.count or not math.isfinite(stats.total) or (
        stats.count >= 4 and -stats.total < _FLAT * stats.count
    ):
        return None
    return stats


def logit(chance: float) -> float:
    chance = min(max(chance, 0.01), 0.99)
    return math.log(chance / (1 - chance))


def of_stats(stats: TokenStats, claims: float) -> list[float]:
    """Of `TOLD`. What an answer says of its own certainty (a share of it) takes no part in the means, and all doubt is
    the rest's."""
    count = max(stats.count * (1 - claims), 1.0)
    first = stats.first or [0.0]
    beginning = first[:5]
    return [
        max(stats.total / count, -5.0), max(first[0], -6.0), max(sum(beginning) / len(beginning), -5.0),
        max(stats.lowest, -10.0), min(stats.doubtful / count, 1.0), min(stats.entropy / count, 3.0),
    ]  # fmt: skip


def of_findings(found: Findings) -> list[float]:
    """Of `SEEN`."""
    given = float(found.given)
    broken = found.wrong and not found.sums_wrong
    return [
        float(found.unable), float(found.open_end), float(found.foreign), found.loops, found.echo,
        found.new_share * (1 - given), found.new_share * given, _few(found.new_names) * given,
        _few(found.new_numbers) * given, _few(found.against_facts), _few(found.sums_right), _few(found.sums_wrong),
        float(broken), float(found.options > 0 and found.picked == 1), float(found.options > 0 and found.picked == 0),
        float(found.options > 0 and found.picked > 1), math.log1p(found.words), float(found.words <= 3),
    ]  # fmt: skip


def _few(count: int) -> float:
    return min(math.log1p(count), 3.0)
