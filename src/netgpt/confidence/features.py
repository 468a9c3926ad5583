"""What is known of an answer, as numbers for the model: how sure it was of its tokens, and what the checks found."""

from __future__ import annotations

import math
from typing import Final

from netgpt.confidence.checks import Findings
from netgpt.judgement import TokenStats

TOLD: Final = ("mean", "lowest", "doubtful", "entropy")
"""Of the tokens."""
SEEN: Final = (
    "unable", "open", "foreign", "loops", "echo", "new", "new given", "names given", "numbers given", "against facts",
    "sums right", "sums wrong", "broken", "picked one", "picked none", "picked more", "words", "short",
    "rambles", "no number",
)  # fmt: skip
"""Of the checks."""
_TOKENS_A_WORD: Final = 2
_DIRECT: Final = 5
"""Words of an answer that may all be new: it says just what was asked."""
_FLAT: Final = 1e-3
"""Nats a token: who is surer than that of everything tells nothing."""


def usable(stats: TokenStats | None) -> TokenStats | None:
    """The figures, unless they tell nothing: none, or those of a model that claims to be sure of every token."""
    if (
        stats is None
        or not stats.count
        or not math.isfinite(stats.total)
        or (stats.count >= 4 and -stats.total < _FLAT * stats.count)
    ):
        return None
    return stats


def logit(chance: float) -> float:
    chance = min(max(chance, 0.01), 0.99)
    return math.log(chance / (1 - chance))


def of_stats(stats: TokenStats, claims: int) -> list[float]:
    """Of `TOLD`. `claims`: words that only say how sure the model is. Their tokens (more than there are) do not count,
    and all doubt is the rest's: a model that claims to be certain is taken to be less so."""
    count = max(stats.count - _TOKENS_A_WORD * claims - bool(claims), 1)
    return [
        max(stats.total / count, -5.0), max(stats.lowest, -10.0), min(stats.doubtful / count, 1.0),
        min(stats.entropy / count, 3.0),
    ]  # fmt: skip


def of_findings(found: Findings) -> list[float]:
    """Of `SEEN`."""
    given, goes_on = float(found.given), float(found.words > _DIRECT)
    broken = found.wrong and not found.sums_wrong
    return [
        float(found.unable), float(found.open_end), float(found.foreign), found.loops, found.echo,
        found.new_share * (1 - given) * goes_on, found.new_share * given, _few(found.new_names) * given,
        _few(found.new_numbers) * given, _few(found.against_facts), _few(found.sums_right), _few(found.sums_wrong),
        float(broken), float(found.options > 0 and found.picked == 1), float(found.options > 0 and found.picked == 0),
        float(found.options > 0 and found.picked > 1), math.log1p(found.words), float(found.words <= 3),
        float(found.rambles), float(found.no_number),
    ]  # fmt: skip


def _few(count: int) -> float:
    return min(math.log1p(count), 3.0)
