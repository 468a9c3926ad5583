"""What became of a question: a value that the models' side fills, and everybody after it reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from netgpt.outbound import Outbound
from netgpt.types import Decision, Usage

__all__ = ["Outcome"]


@dataclass(slots=True)
class Outcome:
    """Who answers, with what, and what left. It grows while the answer streams: usage comes last."""

    answered_by: Decision
    """The decision as carried out: differs from the one made when a fallback answered. The one made, until then."""
    model_name: str = ""
    """Of the model that answers; empty while nobody does."""
    destination: str = ""
    """Host of the remote model that was asked last, or would be; empty when there is none."""
    sent: Outbound | None = None
    """The outbound that was really handed to the remote model that answered, else to the last that was asked."""
    sent_to: tuple[tuple[str, str], ...] = ()
    """Every target that an outbound was handed to, and that one's SHA-256, in order: those that failed, and those whose
    answer came second, too."""
    usage: Usage | None = None
    """Tokens of the answer."""
    worked: dict[str, Usage] = field(default_factory=dict)
    """Tokens that each remote target worked for, by its name, also when another answered in the end."""
    adapters: tuple[str, ...] = ()
    """Ids of the adapters that the answer was written with; none on the cloud."""
    adapter_note: str | None = None
    """Why another adapter answered than the one that should have, or none; None: all is as it should be."""
    finished_by: str | None = None
    """The target that finished an answer which another had begun and broke off."""
    refused: bool = False
    """A remote model had it, and refused it before it did anything (429)."""
    cached_age_s: float | None = None
    """Seconds since the answer was first given, where nobody could answer now and an earlier one was."""
