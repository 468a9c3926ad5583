"""The only thing a remote model accepts. Made by `privacy/vault.py` alone (a test reads the imports)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from netgpt.types import Generalised, Hidden

__all__ = ["Outbound"]

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
