"""Exceptions of the owner: words that the detector took for private and that the owner says are not.

An exception covers a whole find, compared without case, and only what was guessed: never a secret, never what a
checksum proves, never a value of a person's profile. Misuse is bounded by that, and by who may add one (`web.admin`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from typing import Final

from netgpt.errors import RequestError
from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.detectors.profile_values import find_values
from netgpt.types import Span

_GUESSED: Final = frozenset(
    (
        "names", "field name", "pattern:reference", "pattern:plate", "pattern:username", "pattern:handle",
        "pattern:address", "pattern:postcode",
    )
)  # fmt: skip
"""Rules of finds that may be none."""
_LONGEST: Final = 100


def folded(words: str) -> str:
    """As exceptions are kept and compared.

    >>> folded("  Blue  FALCON ")
    'blue falcon'
    """
    return " ".join(unicodedata.normalize("NFC", words).casefold().split())


def as_exception(words: str) -> str:
    """The words as an exception. Raises RequestError: too short or long, or nothing that was guessed."""
    kept = folded(words)
    if not 2 <= len(kept) <= _LONGEST or not any(c.isalpha() for c in kept):
        raise RequestError(f"an exception has 2 to {_LONGEST} characters and a letter", param="word")
    if found := next((span for span in find_patterns(words) if span.rule not in _GUESSED), None):
        raise RequestError(
            f"this is found by its form as {found.kind}, not guessed: there is no exception for it", param="word"
        )
    return kept


def is_excepted(span: Span, found: str, exceptions: Collection[str], values: Sequence[tuple[str, str]]) -> bool:
    """Whether a find may stay. `values`: of a person's profile, which win."""
    if not exceptions or span.rule not in _GUESSED or folded(found) not in exceptions:
        return False
    return not find_values(found, values)
