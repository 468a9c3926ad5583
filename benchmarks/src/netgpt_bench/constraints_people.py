"""`netgpt bench constraints --people`: facts in the words of twenty different people, each with options that it rules
out and options that it allows; and facts that rule nothing out, many of them written to mislead.

`first` was looked at while the network was made; `last` was measured once, when nothing was changed any more. Read by
the rules alone, and by rules and network. A line: language, whose (self, other, none), which options, fact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from netgpt.constraints.asking import kinds_of
from netgpt.constraints.choose import OptionJudge
from netgpt.constraints.judging import Fit
from netgpt.constraints.learnt import FactReader
from netgpt.constraints.stream import readings_of
from netgpt.encoder import SentenceEncoder
from netgpt.types import Fact, Label

SETS: Final = ("first", "last")
SHIPPED: Final = "reading.safetensors"


def rows(name: str) -> list[tuple[str, str, str, Sequence[str]]]:
    """Language, whose, fact, and the request with its six options: three ruled out, three allowed."""
    options = {each[0]: each[1:] for each in _read(f"{name}-options")}
    return [(language, whose, fact, options.get(group, ())) for language, whose, group, fact in _read(name)]


def _read(name: str) -> list[list[str]]:
    source = resources.files("netgpt_bench").joinpath(f"wordlists/constraints/people/{name}.tsv")
    return [line.split("\t") for line in source.read_text(encoding="utf-8").splitlines() if line]


def run(encoder: Path) -> dict[str, Any]:
    """A row for each set and each way of reading. `encoder`: the file of the sentence encoder."""
    weights = Path(str(resources.files("netgpt.constraints").joinpath(SHIPPED)))
    reader = FactReader(SentenceEncoder(encoder).with_delta(weights))
    return {
        f"{name}, {way}": _row(rows(name), by)
        for name in SETS
        for way, by in (("rules", None), ("rules and network", reader))
    }


def _row(told: Sequence[tuple[str, str, str, Sequence[str]]], reader: FactReader | None) -> dict[str, Any]:
    count: Counter[str] = Counter()
    for language, whose, text, options in told:
        fact = Fact(text, "note", Label.SENSITIVE, "profile")
        [reading] = readings_of([fact], reader)
        if whose == "none":
            count["harmless"] += 1
            count["harmless read"] += bool(reading.constraints)
            count["harmless, said to be in doubt"] += bool(reading.perhaps)
            continue
        count["of"] += 1
        count["read"] += bool(reading.constraints)
        count["not read, and said so"] += bool(reading.perhaps)
        own = [each for each in reading.constraints if whose == "other" or not each.whose]
        where = kinds_of(options[0]) or frozenset(("activity",))
        judge = OptionJudge([each for each in own if each.where & where], where, language)
        gone = [judge.constraints and _goes(judge, option) for option in options[1:]]
        count["all three caught"] += all(gone[:3])
        count["options caught"] += sum(map(bool, gone[:3]))
        count["allowed options lost"] += sum(map(bool, gone[3:]))
    return dict(count)


def _goes(judge: OptionJudge, option: str) -> bool:
    """Whether an option is left out: against a fact, or held back as too little known."""
    verdict = judge.of(option)
    return verdict.fit is Fit.VIOLATES or (verdict.fit is Fit.UNKNOWN and verdict.strict and verdict.in_doubt)
