"""Arms: the models that might answer one request, as the decision sees them. Plain values."""

from __future__ import annotations

from dataclasses import dataclass

from netgpt.types import EDGE

__all__ = ["Arm"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One model that might answer, for one request: what it can, whether it may, what it costs."""

    name: str
    """"edge", "cloud", or an upstream's name."""
    route: str = "cloud"
    """"edge" or "cloud": on the box or not."""
    kind: str = "cloud"
    """"edge", "cloud", or "neighbour": another box, whose edge model is asked."""
    ok: bool = True
    """It can be asked now: configured, started, its breaker closed."""
    detail: str = "ready"
    """Its health in words."""
    may_have: bool = True
    """It may see the request: always on the box; elsewhere where an `Outbound` was made for it."""
    kept_because: str | None = None
    """Why it gets nothing."""
    context_tokens: int | None = None
    """Tokens of question and answer together; None: not known, or more than anybody asks for."""
    reads_media: bool = True
    """It may read pictures, audio and files."""
    surely_reads_media: bool = True
    """False where that depends on a model that we know nothing of."""
    tools: bool = True
    """It takes tools at all, well or badly."""
    price_prompt: float = 0.0
    """Money per million tokens."""
    price_completion: float = 0.0
    quality: float = 0.9
    """The chance that its answer does, before anything is learnt; not used for models as small as the edge's."""
    exposure: float = 0.0
    """How much would leave: 0 nothing, 1 everything as it is."""

    @property
    def remote(self) -> bool:
        return self.route != EDGE
