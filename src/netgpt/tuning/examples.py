"""What an adapter learns from: pairs of a conversation and its answer, each with its provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from netgpt.types import Message, Person

__all__ = ["Example", "digest_of", "held_out"]


@dataclass(frozen=True)
class Example:
    """One thing to learn. Texts stay out of `repr`: they may be a person's."""

    messages: tuple[Message, ...] = field(repr=False)
    """The conversation up to the answer, as the engine's chat template reads it."""
    answer: str = field(repr=False)
    """What the assistant should say; the loss is here alone."""
    origin: str
    """Where it comes from: "recipe:complete", "self-instruct", "exchange:ex_...", "file:NAME:LINE"."""
    person: Person | None = None
    """Whose it is; None: nobody's. One person's examples can be removed."""
    slice: str = "all"
    """The part of the held-out examples that the gate reports by: a topic, a data set."""
    options: tuple[str, ...] = ()
    """The closed list of answers when there is one (a class label); empty: free text."""

    @property
    def id(self) -> str:
        """A digest of what is learnt, stable over runs: for splits, duplicates and provenance."""
        content = json.dumps([list(self.messages), self.answer], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    @property
    def prompt_id(self) -> str:
        """A digest of the conversation alone, so that the same question never stands on both sides of a split."""
        content = json.dumps(list(self.messages), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    def as_row(self) -> dict[str, Any]:
        """JSON-ready, for files and sealed columns."""
        row: dict[str, Any] = {"messages": list(self.messages), "answer": self.answer, "origin": self.origin}
        if self.person is not None:
            row["person"] = [self.person.tenant, self.person.user]
        if self.slice != "all":
            row["slice"] = self.slice
        if self.options:
            row["options"] = list(self.options)
        return row


def digest_of(examples: Iterable[Example]) -> str:
    """One digest of a set of examples, whatever their order."""
    whole = hashlib.sha256()
    for id in sorted(example.id for example in examples):
        whole.update(id.encode())
    return whole.hexdigest()


def held_out(example: Example, share: float = 0.1) -> bool:
    """Whether the example is kept from training: decided by its conversation alone, the same in every run."""
    return int(example.prompt_id[:8], 16) / 0x1_0000_0000 < share
