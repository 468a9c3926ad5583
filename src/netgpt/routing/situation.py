"""All that a decision looks at, in one value. Nothing here holds a word of the request."""

from __future__ import annotations

from dataclasses import dataclass, field

from netgpt.routing.arms import Arm
from netgpt.routing.features import Features
from netgpt.routing.views import SignalsView
from netgpt.types import CHARACTERS_A_TOKEN

__all__ = ["Situation"]


@dataclass(frozen=True, slots=True)
class Situation:
    """One request, the arms that might answer it, and what is known of them now."""

    asked: str
    """"auto", or the arm that the caller asked for: "edge", "cloud", an upstream's name."""
    features: Features
    arms: tuple[Arm, ...]
    """In the order of the settings, the edge first."""
    signals: SignalsView = field(default_factory=SignalsView)
    p_edge_ok: float | None = None
    """What `difficulty` says of the text; None: it was not asked."""
    p_usual: float = 0.88
    """What it says of an everyday request: less is harder than usual, more is easier."""
    x: tuple[float, ...] = ()
    """Numbers for the learner; no text can be read from them."""
    key: str = ""
    """Who asks, for exploration bounded per key."""
    prefer: str | None = None
    """A preset that the request or its key names; None: what the settings say."""
    deadline_s: float | None = None
    """Seconds in which the caller wants the whole answer."""
    budget_left: float | None = None
    """Money that the key may still spend; None: as much as it likes."""
    sensitive: tuple[str, ...] = ()
    """Kinds found that the owner calls sensitive, each with the rule that says so."""
    personal_facts: bool = False
    """The request was completed with facts that may not leave."""
    answer_tokens: int | None = None
    """The longest answer that the request allows; None: it does not say."""
    long: bool = False
    """It has more words than a small model is trusted with (routing.max_edge_words)."""
    now: float = 0.0
    """`time.monotonic()`."""

    @property
    def clouds(self) -> frozenset[str]:
        """The arms whose share may be bounded: neither the box nor a neighbour."""
        return frozenset(arm.name for arm in self.arms if arm.kind == "cloud")

    @property
    def prompt_tokens(self) -> float:
        """Estimated from the characters."""
        return self.features.characters / CHARACTERS_A_TOKEN + 8

    @property
    def expected_tokens(self) -> float:
        """How long the answer will probably be, in tokens."""
        features = self.features
        usual = 400.0 if features.long_form or features.code else 200.0 if features.hard_because else 120.0
        return usual if self.answer_tokens is None else min(usual, float(self.answer_tokens))

    def asks_for(self, arm: Arm) -> bool:
        """Whether the caller left the choice open, or named this arm."""
        return self.asked in ("auto", arm.name)

    def arm(self, name: str) -> Arm:
        """The arm of this name. Raises KeyError."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)
