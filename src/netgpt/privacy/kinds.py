"""The kinds of private data that a span may have, and the family that each belongs to.

A policy and a generaliser decide by family where they have no rule for the kind itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["FAMILIES", "KINDS", "family"]

FAMILIES: Final = ("identity", "contact", "place", "time", "number", "secret", "health", "own", "other")

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
        "COORDINATES": "place",
        "DATE": "time",
        "BIRTHDATE": "time",
        "ID": "number",
        "ACCOUNT": "number",
        "IP": "number",
        "MAC": "number",
        "IMEI": "number",
        "VIN": "number",
        "PLATE": "number",
        "CARD": "secret",
        "IBAN": "secret",
        "CRYPTO": "secret",
        "NATIONAL_ID": "secret",
        "API_KEY": "secret",
        "PASSWORD": "secret",
        "SECRET": "secret",
        "HEALTH": "health",
        "PRIVATE": "own",
        "PRODUCT": "other",
    }
)
"""Kind -> family. The kinds of the owner's profile that are not named here are `own`."""


def family(kind: str) -> str:
    """The family of a kind; `own` for a kind that is no detector's (it came from a profile)."""
    return KINDS.get(kind, "own")
