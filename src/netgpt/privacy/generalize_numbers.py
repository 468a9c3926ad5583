"""An age or an amount as a range. The bounds lie just outside: no number of the range stands in its own name.

So "39-50" is said of everybody from 40 to 49: it is true, and it is no one's own number.
"""

from __future__ import annotations

import re

from netgpt.privacy.wordsets import words

__all__ = ["number_as_range"]

_NUMBER = re.compile(r"\d{1,3}(?:[.,' \u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d{1,2})?(?!\d)")
_OLDEST = 130
_BESIDE = words(
    """year years old yo y o age aged of jahr jahre jährig jährige jähriger alt an ans âgé âgée de año años edad eur
    euro euros usd gbp chf dollar dollars pound pounds k per month a monat mois mes"""
)
"""The only words that may stand beside the number: whatever else was caught with it is not written."""


def number_as_range(text: str, kind: str) -> tuple[str, str] | None:
    """(the text with its only number as a range, "exact"); None when it holds no number or more than one.

    Ages: ten years, 90 and over in one. Amounts: 1-2-5 steps, "1999-5000".
    """
    found = list(_NUMBER.finditer(text))
    if len(found) != 1 or sum(c.isdigit() for c in text) != sum(c.isdigit() for c in found[0][0]):
        return None
    if any(word.casefold() not in _BESIDE for word in re.findall(r"[^\W\d_]+", text)):
        return None
    told = _age(found[0][0]) if kind == "AGE" else _amount(found[0][0])
    if told is None:
        return None
    return text[: found[0].start()] + told + text[found[0].end() :], "exact"


def _age(number: str) -> str | None:
    if not number.isdigit() or int(number) > _OLDEST:
        return None
    decade = int(number) // 10 * 10
    if decade >= 90:
        return "over 89"
    return f"{decade - 1}-{decade + 10}" if decade else "under 10"


def _amount(number: str) -> str | None:
    whole = re.sub(r"[.,]\d{1,2}$", "", number)
    value = int(re.sub(r"\D", "", whole))
    if value >= 10**12:
        return None
    step = 1
    while value >= 10 * step:
        step *= 10
    low, high = next((a, b) for a, b in ((0, 1), (1, 2), (2, 5), (5, 10)) if a * step <= value < b * step or b == 10)
    return f"{low * step - 1}-{high * step}" if low else f"under {high}"
