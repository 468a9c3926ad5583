"""How much of a request leaves when a model elsewhere is asked, as one number from 0 to 1."""

from __future__ import annotations

from typing import Final

__all__ = ["exposure_of"]

_OWN: Final = 0.03
"""To a server of the owner's own: a neighbour box, or a cloud that is trusted."""
_WORDS: Final = 0.2
"""To anybody else's, with nothing private found in it: the words themselves."""
_PLACEHOLDER: Final = 0.03
"""A value that left as a placeholder still says that it was there."""
_COARSER: Final = 0.08
"""A value that left in coarser words, or as it was, says more."""
_MOST: Final = 0.5
"""Of what was hidden or made coarser, however much it was."""
_BY_RANK: Final = (0.0, 0.1, 0.3)
"""By the strictest label that was found: public, personal, sensitive."""


def exposure_of(*, own: bool, hidden: int, coarser: int, rank: int) -> float:
    """0 would be nothing. `own`: the server is the owner's; `hidden`, `coarser`: how many values left as placeholders
    or in other words; `rank`: `Label.rank` of the strictest label found."""
    base = _OWN if own else _WORDS
    return min(1.0, base + min(_MOST, hidden * _PLACEHOLDER + coarser * _COARSER) + _BY_RANK[rank])
