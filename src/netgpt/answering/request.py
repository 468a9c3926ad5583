"""What is to be answered, in plain values: all that the models' side knows of an exchange."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from netgpt.outbound import Outbound
from netgpt.routing.features import text_of
from netgpt.types import Decision, Message, Person

__all__ = ["GenerationRequest"]


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One completed request with its decision and what may leave to whom."""

    id: str
    """The exchange's."""
    person: Person = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    """OpenAI's request as it was received."""
    messages: list[Message] = field(repr=False)
    """The completed conversation, for the model on the box alone."""
    decision: Decision
    outbounds: Mapping[str, Outbound]
    """What may leave, made safe, by the target's name."""
    kept_for: Mapping[str, str] = field(default_factory=dict)
    """Why a target gets nothing, by its name."""
    stream: bool = False
    may_wait: bool = False
    """It may be kept and sent later: who asked for one target would rather wait for it than have another's answer."""
    claim: str | None = field(default=None, repr=False)
    """Of a request that waited: the claim under which it may leave, once."""

    def question(self) -> Iterator[str]:
        """The texts of the conversation."""
        return (text_of(message.get("content")) for message in self.messages)
