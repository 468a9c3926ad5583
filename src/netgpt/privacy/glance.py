"""A quick look at a text: which of the slower searches could find anything in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from netgpt.privacy.wordsets import words

__all__ = ["Glance"]

_WORDS = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d[\d\s().\-/+_·]{3,}\d|\d{5}")
_LONG = re.compile(r"[A-Za-z0-9_\-.:]{16}")
_NAME_WORDS: Final = words(
    """
    name names called dear mr mrs ms dr prof sir madam herr frau madame monsieur señora señor boss manager colleague
    friend neighbor neighbour wife husband partner son daughter mother father sister brother uncle aunt cousin doctor
    dentist teacher lawyer landlord client patient tenant met meet tell ask asked told call invite thank signed
    sincerely regards from to cc attn appelle heiße heisse llamo chiamo heet chamo nazywam
    """
)
_SECRET_PARTS: Final = (
    "key", "token", "secret", "pass", "pwd", "pw", "pin", "otp", "bearer", "authori", "cookie", "sig", "contrase",
    "wacht", "session", "connection",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Glance:
    """What one reading of a text shows."""

    words: frozenset[str]
    """Its words in small letters."""
    has_digit: bool
    has_number: bool
    """Whether digits stand together as in a long number."""
    has_long: bool
    """Whether something is as long as a key."""
    tells_secret: bool
    """Whether a word stands there that announces a secret."""
    lowered: str

    @classmethod
    def of(cls, text: str) -> Glance:
        lowered = text.lower()
        has_digit = _DIGIT.search(text) is not None
        return cls(
            words=frozenset(_WORDS.findall(lowered)),
            has_digit=has_digit,
            has_number=has_digit and _DIGITS.search(text) is not None,
            has_long=_LONG.search(text) is not None,
            tells_secret=any(part in lowered for part in _SECRET_PARTS),
            lowered=lowered,
        )

    @property
    def tells_name(self) -> bool:
        """Whether a word stands there that announces a name."""
        return not self.words.isdisjoint(_NAME_WORDS)
