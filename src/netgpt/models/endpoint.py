"""Where an OpenAI-compatible model server answers, the key it wants, and whose certificates are believed of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SYSTEM_TRUST", "Endpoint", "Trust"]


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates for TLS (PEM files). The server's is always checked: there is no way to say otherwise."""

    ca_file: Path | None = None
    """The only authority believed; None: the system's."""
    client_cert: Path | None = None
    """What this side shows when it is asked."""
    client_key: Path | None = None


SYSTEM_TRUST = Trust()


@dataclass(frozen=True)
class Endpoint:
    """One server's base address and key.

    `base_url` ends with `/v1` and has no trailing slash. The key never appears in a repr, so that an
    endpoint may be logged.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    trust: Trust = SYSTEM_TRUST
