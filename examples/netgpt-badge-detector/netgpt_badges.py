"""The badge numbers of the mill: a letter, four digits, two letters."""

import re
from collections.abc import Iterator

import netgpt

_BADGE = re.compile(r"\b[A-Z]-\d{4}-[A-Z]{2}\b")


@netgpt.detector(
    kind="BADGE",
    family="number",
    triggers=("badge", "badges"),
    examples=("my badge is B-1234-XY",),
)
def badges(text: str) -> Iterator[tuple[int, int]]:
    """Badge numbers of the mill, such as B-1234-XY."""
    return (match.span() for match in _BADGE.finditer(text))
