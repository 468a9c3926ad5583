"""Words that need more proof than others before they count as private, whatever text they stand in.

Amounts, languages and the first words of sentences look like names to a tagger that is told to miss little, and a cloud
cannot work without them.
"""

from __future__ import annotations

import re

from netgpt.privacy.wordsets import words

__all__ = ["NUMBER", "PLAIN", "least_chance"]

PLAIN, NUMBER = 0.13, 0.3
"""At least this chance for words in small letters where the text has capitals too and for the first words of sentences;
for numbers of up to four digits."""

_NEVER = 1.1
_CURRENCY = ("$", "€", "£", "¥", "₹")
_UNITS = words(
    """euro euros eur dollar dollars usd pound pounds gbp chf franc francs yen rupees cents percent kg g km m cm mm
    miles mile meters metres litres liters ml mb gb tb kb ms seconds minutes hours days weeks months times items
    people persons words pages points degrees calories watts volts bytes tokens"""
)
_QUANTITY = re.compile(
    rf"(?:[.,'’]\d{{1,3}}){{0,5}}[ \u00a0]?(?:[%€$£°]|(?:{'|'.join(sorted(_UNITS))})(?![^\W_]))", re.IGNORECASE
)
"""What makes the number before it a quantity: it tells nothing of who somebody is."""
_LANGUAGES = words(
    """arabic chinese czech danish dutch english finnish french german greek hebrew hindi hungarian indonesian italian
    japanese korean latin mandarin norwegian persian polish portuguese romanian russian spanish swedish thai turkish
    ukrainian urdu vietnamese"""
)
_INTO = re.compile(r"(?i)\b(?:to|into|in|from)\s{1,3}$")


def least_chance(text: str, start: int, end: int, spelled: bool) -> float:
    """The chance that the word `text[start:end]` needs, 0 to 1, or more for never. `spelled`: the text has capitals."""
    word = text[start:end]
    if word.isdigit() and len(word) < 5:
        return _NEVER if _QUANTITY.match(text, end) or text.endswith(_CURRENCY, 0, start) else NUMBER
    lowered = word.lower()
    if lowered in _LANGUAGES and _INTO.search(text, max(0, start - 8), start):
        return _NEVER
    if lowered in _UNITS and text[max(0, start - 3) : start].rstrip()[-1:].isdigit():
        return _NEVER
    if spelled and word.isascii() and (word.islower() or _begins(text, start)):
        return PLAIN
    return 0.0


def _begins(text: str, at: int) -> bool:
    """Whether a sentence begins here: its first word has a capital whatever it means."""
    before = text[max(0, at - 4) : at].rstrip(" \t\"'“(*-•#>")
    return not before or before[-1] in ".!?:\n"
