"""The only thing a remote model accepts. Made by `privacy/vault.py` alone (a test reads the imports)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from netgpt.types import Decision, Generalised, Hidden, Usage

_SEAL: Final = object()


class Outbound:
    """The exact bytes that may leave, with what was hidden in them. Immutable; `repr` shows no content.

    There is no public way to make one: the vault calls `_sealed_by_vault`. Anything else handed to a remote
    model is a `TypeError` at run time and a type error before it.
    """

    __slots__ = ("content", "generalised", "hidden", "rule", "stream")

    content: bytes
    """The UTF-8 JSON body, byte for byte as it will be posted."""
    hidden: tuple[Hidden, ...]
    generalised: tuple[Generalised, ...]
    """What the policy let leave in other words, or as it was."""
    rule: str
    """Which policy let it pass: "masked" or "trusted destination"."""
    stream: bool

    def __init__(
        self,
        content: bytes,
        hidden: tuple[Hidden, ...],
        rule: str,
        stream: bool,
        seal: object,
        generalised: tuple[Generalised, ...] = (),
    ) -> None:
        if seal is not _SEAL:
            raise TypeError("an Outbound is made by the vault only")
        fields = {"content": content, "hidden": hidden, "generalised": generalised, "rule": rule, "stream": stream}
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Outbound does not change")

    def __reduce__(self) -> Any:
        raise TypeError("an Outbound is not copied or stored; keep its content")

    def __repr__(self) -> str:
        return f"<Outbound {len(self.content)} bytes, {len(self.hidden)} hidden>"


def _sealed_by_vault(
    body: Mapping[str, Any], hidden: tuple[Hidden, ...], rule: str, generalised: tuple[Generalised, ...] = ()
) -> Outbound:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return Outbound(content, hidden, rule, bool(body.get("stream")), _SEAL, generalised)


# --- What became of a question: a value that the models' side fills, and everybody after it reads.


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
