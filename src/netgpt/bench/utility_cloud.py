"""A cloud that does each generated task by rule, on whatever text it gets.

It makes no mistakes of its own: what it answers wrong is what hiding took from it. It reads placeholders as words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

__all__ = ["LOST", "RuleCloud"]

LOST: Final = "I cannot tell."
"""The answer where the text no longer holds what the task needs."""

_AMOUNT = re.compile(r"(?:paid|owes|spent) (\d{1,9}) (?:euros|dollars)")
_AGE = re.compile(r"is (\d{1,3}) years old")
_ISO_DAY = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_WHO = re.compile(r"^- (.{1,120}?)(?= (?:paid|owes|spent|took|is) |$)")
_LETTER: Final = (
    ("name", re.compile(r"^Dear (.{1,80}?),$", re.MULTILINE)),
    ("date", re.compile(r"your order (?:of )?(.{1,60}?)\. ")),
    ("total", re.compile(r"The total is (.{1,60}?) euros")),
    ("reference", re.compile(r"the reference is (.{1,60}?)\.$", re.MULTILINE)),
    ("e-mail", re.compile(r"write to (.{1,120}?) with any question")),
)
_TEMPLATE = re.compile(r"values below: (.{1,400})")
_VALUE = re.compile(r"^([A-Z]{2,9}) = (.{1,200})$", re.MULTILINE)


class RuleCloud:
    """Answers one request: the instruction says what to do, the lines behind the empty one are the data."""

    async def answer(self, text: str) -> str:
        asked, _, data = text.partition("\n\n")
        for words, work in _WORK:
            if words in asked.lower():
                return work(asked, data) or LOST
        return LOST


def _sum(_asked: str, data: str) -> str:
    return f"The sum is {sum(int(amount) for amount in _AMOUNT.findall(data))}."


def _days(_asked: str, data: str) -> str:
    try:
        days = [date(int(y), int(m), int(d)) for y, m, d in _ISO_DAY.findall(data)]
    except ValueError:
        return ""
    return f"{abs((days[1] - days[0]).days)} days lie between them." if len(days) == 2 else ""


def _letter(_asked: str, data: str) -> str:
    found = [(label, form.search(data)) for label, form in _LETTER]
    return "\n".join(f"{label}: {match[1]}" for label, match in found if match)


def _count(_asked: str, data: str) -> str:
    return f"There are {len(set(_people(data)))} people."


def _people(data: str) -> list[str]:
    return [match[1] for line in data.splitlines() if (match := _WHO.match(line))]


def _ranked(data: str, form: re.Pattern[str]) -> list[str]:
    """The people by the number on their line, the least first; nobody when a line has none."""
    rows = [(form.search(line), _WHO.match(line)) for line in data.splitlines()]
    told = [(int(number[1]), who[1]) for number, who in rows if number and who]
    return [who for _, who in sorted(told)] if len(told) == len(rows) else []


def _last(form: re.Pattern[str]) -> Callable[[str, str], str]:
    return lambda _asked, data: "".join(_ranked(data, form)[-1:])


def _by_amount(_asked: str, data: str) -> str:
    return _listed(_ranked(data, _AMOUNT))


def _by_name(_asked: str, data: str) -> str:
    return _listed(sorted(_people(data)))


def _listed(names: Sequence[str]) -> str:
    return "\n".join(f"{place}. {name}" for place, name in enumerate(names, 1))


def _table(_asked: str, data: str) -> str:
    rows = [" | ".join(cell.strip() for cell in line.split(";")) for line in data.splitlines()]
    return "\n".join(["| who | phone | e-mail |", "|---|---|---|", *(f"| {row} |" for row in rows)])


def _template(asked: str, data: str) -> str:
    form = _TEMPLATE.search(asked)
    filled = form[1] if form else ""
    for name, value in _VALUE.findall(data):
        filled = filled.replace("{" + name + "}", value)
    return filled


_WORK: Final[tuple[tuple[str, Callable[[str, str], str]], ...]] = (
    ("add up", _sum),
    ("how many days", _days),
    ("from this letter", _letter),
    ("how many different people", _count),
    ("owes the most", _last(_AMOUNT)),
    ("the oldest", _last(_AGE)),
    ("by what they spent", _by_amount),
    ("by the alphabet", _by_name),
    ("these rows", _table),
    ("this template", _template),
)
"""Words of the instruction -> what does the work."""
