"""The kinds of private data that a span may have, and the family that each belongs to.

A policy and a generaliser decide by family where they have no rule for the kind itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["KINDS", "family"]

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PERSON": "identity",
        "ORG": "identity",
        "JOB": "identity",
        "AGE": "identity",
        "NATIONALITY": "identity",
        "USERNAME": "identity",
        "EMAIL": "contact",
        "PHONE": "contact",
        "URL": "contact",
        "PLACE": "place",
        "ADDRESS": "place",
        "DATE": "time",
        "BIRTHDATE": "time",
        "ID": "number",
        "IP": "number",
        "MAC": "number",
        "PLATE": "number",
        "CARD": "secret",
        "IBAN": "secret",
        "CRYPTO": "secret",
        "NATIONAL_ID": "secret",
        "API_KEY": "secret",
        "HEALTH": "health",
        "PRIVATE": "own",
        "PRODUCT": "other",
    }
)
"""Kind -> family. The kinds of the owner's profile that are not named here are `own`."""


def family(kind: str) -> str:
    """The family of a kind; `own` for a kind that is no detector's (it came from a profile)."""
    return KINDS.get(kind, "own")
