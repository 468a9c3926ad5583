"""`netgpt bench field`: cases made after public bug reports, in both directions, of this and of other detectors.

A row of `field/privacy_dev.jsonl` has `text`, `private` (must be hidden whole), `keep` (must stay), `set`, and
`culture` for names. What is hidden is counted, whatever kind it is called. Shares are in percent.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netgpt.errors import NotFound, RequestError
from netgpt.types import Span
from netgpt_bench.field_others import others
from netgpt_bench.harness import Progress
from netgpt_bench.privacy import Ours, Presidio, PrivacyWay, what_it_saw
from netgpt_bench.privacy_data import rows_of

FIELD: Final = "field/privacy_dev.jsonl"
HARMLESS: Final = frozenset(("harmless_tech", "over_numbers", "over_knowledge"))
SECRET_SETS: Final = frozenset(("passwords", "docksec"))
_SECRET_IDS: Final = ("pw-", "cs-", "env-", "cfg-", "cli-", "aws", "pem", "otp", "adj-key")
"""Rows of the set `detect` whose private parts are passwords, keys and what stands beside them."""
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the file."""

    name: str
    group: str
    text: str
    private: tuple[str, ...]
    keep: tuple[str, ...]
    culture: str
    """Of names: the group of the name; else empty."""

    @property
    def secret(self) -> bool:
        """A password or key is leaked when any character of it is seen, a sign as much as a letter."""
        return self.group in SECRET_SETS or (self.group == "detect" and self.name.startswith(_SECRET_IDS))


@dataclass(frozen=True, slots=True)
class Judged:
    """What one detector did to one case."""

    case: Case
    shown: str
    """The text with a block for each hidden character."""
    names: int
    whole: int
    """Private parts that are hidden whole, wherever they stand."""
    letters: int
    letters_hidden: int
    """Letters and digits outside the private parts."""
    words: int
    words_hidden: int
    touched: bool
    """A part that must stay is hidden, if only a letter of it."""
    merged: bool
    """One find covers two private parts."""

    @property
    def leaked(self) -> bool:
        return self.whole < self.names

    @property
    def damaged(self) -> bool:
        return self.leaked or self.letters_hidden > 0 or self.merged


def cases(data: Path, sets: Sequence[str] = ()) -> list[Case]:
    """The cases of the sets, in the file's order; all for none. Raises NotFound, RequestError."""
    rows = [
        Case(row.get("id", ""), row["set"], row["text"], tuple(row["private"]), tuple(row.get("keep", ())),
             row.get("culture", ""))
        for row in rows_of(data / FIELD)
    ]  # fmt: skip
    there = dict.fromkeys(case.group for case in rows)
    for name in sets:
        if name not in there:
            raise RequestError(f"--set {name}: not a set; there are {', '.join(there)}", param="set")
    chosen = [case for case in rows if not sets or case.group in sets]
    if not chosen:
        raise NotFound(f"{data / FIELD} holds no case")
    return chosen


def judge(case: Case, spans: Sequence[Span]) -> Judged:
    """Compare finds with what must be hidden and what must stay."""
    text = case.text
    hidden = {at for span in spans for at in range(span.start, span.end)}
    places = [_places(text, part) for part in case.private]
    inside = _inside(place for at in places for place in at)
    staying = _inside(place for part in case.keep for place in _places(text, part))
    counts = _any_sign if case.secret else _letter
    outside = [at for at, letter in enumerate(text) if _letter(letter) and at not in inside]
    words = [match.span() for match in _WORD.finditer(text) if inside.isdisjoint(range(*match.span()))]
    return Judged(
        case=case,
        shown="".join("█" if at in hidden and not letter.isspace() else letter for at, letter in enumerate(text)),
        names=len(places),
        whole=sum(_whole(text, at, hidden, counts) for at in places),
        letters=len(outside),
        letters_hidden=sum(at in hidden for at in outside),
        words=len(words),
        words_hidden=sum(not hidden.isdisjoint(range(*word)) for word in words),
        touched=not staying.isdisjoint(hidden),
        merged=any(sum(_meets(span, at) for at in places) > 1 for span in spans) and case.group == "relations",
    )


def _places(text: str, part: str) -> list[tuple[int, int]]:
    """Where the part stands as words of its own; where it never does, everywhere (scripts without blanks)."""
    found = [(match.start(), match.end()) for match in re.finditer(re.escape(part), text)]
    alone = [(a, b) for a, b in found if not (text[a - 1 : a].isalnum() or text[b : b + 1].isalnum())]
    return alone or found


def _inside(places: Iterable[tuple[int, int]]) -> set[int]:
    return {at for start, end in places for at in range(start, end)}


def _letter(sign: str) -> bool:
    """Letters, digits, and the marks that are written as letters in Indian and Thai script."""
    return unicodedata.category(sign)[0] in "LMN"


def _any_sign(sign: str) -> bool:
    return not sign.isspace()


def _whole(text: str, places: list[tuple[int, int]], hidden: set[int], counts: Callable[[str], bool]) -> bool:
    """Whether each place is hidden; a part that is not in the text as such cannot be."""
    return bool(places) and all(at in hidden for at in _inside(places) if counts(text[at]))


def _meets(span: Span, places: list[tuple[int, int]]) -> bool:
    return any(span.start < end and start < span.end for start, end in places)


# --- Tables: a row per figure or group, a column per detector.

Rows = list[dict[str, Any]]


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _share(judged: Iterable[Judged], counts: Callable[[Judged], bool]) -> float | None:
    """Percent of the cases that count."""
    answers = [counts(one) for one in judged]
    return _percent(sum(answers), len(answers))


def _of(judged: Sequence[Judged], *groups: str) -> list[Judged]:
    return [one for one in judged if one.case.group in groups]


def _by(judged: Sequence[Judged], key: Callable[[Case], str]) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        found[key(one.case)].append(one)
    return found


def _whole_by_culture(judged: Sequence[Judged]) -> dict[str, float]:
    groups = _by(_of(judged, "names"), lambda case: case.culture)
    return {
        name: _percent(sum(j.whole for j in rows), sum(j.names for j in rows)) or 0.0 for name, rows in groups.items()
    }


def _hidden_beside_names(judged: Sequence[Judged]) -> float | None:
    named = _of(judged, "names")
    return _percent(sum(j.letters_hidden for j in named), sum(j.letters for j in named))


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 1) if values else None


def _languages(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    return _by(_of(judged, "harmless_languages"), lambda case: case.name.partition("-")[2] or "?")


FIGURES: Final[dict[str, tuple[str, Callable[[Sequence[Judged]], float | None]]]] = {
    "names whole, mean of groups": (">= 95", lambda j: _mean(list(_whole_by_culture(j).values()))),
    "names whole, worst group": (">= 80", lambda j: min(_whole_by_culture(j).values(), default=None)),
    "other letters beside names hidden": ("<= 3", _hidden_beside_names),
    "harmless sentences touched": ("<= 8", lambda j: _share(_of(j, *HARMLESS), lambda one: one.touched)),
    "everyday requests touched": ("<= 8", lambda j: _share(_of(j, "harmless_languages"), lambda one: one.touched)),
    "secrets leaked at least in part": (
        "<= 2", lambda j: _share([x for x in j if x.case.secret and x.names], lambda one: one.leaked)
    ),
    "two people: damaged": ("<= 5", lambda j: _share(_of(j, "relations"), lambda one: one.damaged)),
    "documents: words hidden without need, worst": (
        "<= 5",
        lambda j: max((_percent(x.words_hidden, x.words) or 0.0 for x in _of(j, "docs")), default=None),
    ),
    "detect: leaked": ("", lambda j: _share([x for x in _of(j, "detect") if x.names], lambda one: one.leaked)),
    "detect: touched": ("", lambda j: _share([x for x in _of(j, "detect") if x.case.keep], lambda one: one.touched)),
    "x1: leaked": ("", lambda j: _share([x for x in _of(j, "x1") if x.names], lambda one: one.leaked)),
    "x1: touched": ("", lambda j: _share([x for x in _of(j, "x1") if x.case.keep], lambda one: one.touched)),
}  # fmt: skip
"""Figure -> its bar and how it is counted, in percent."""

Results = dict[str, list[Judged]]
"""Name of the detector -> its cases."""


def tables(results: Results) -> dict[str, Rows]:
    """The figures, and the names, languages and documents one by one; without what no case is about."""
    found = {
        "field": _figures(results),
        "cultures": _each(results, "group", "names", lambda j: _by(_of(j, "names"), lambda case: case.culture), _named),
        "languages": _each(results, "language", "requests", _languages, lambda j: {"": _share(j, lambda x: x.touched)}),
        "documents": _each(results, "document", "rows", lambda j: _by(_of(j, "docs"), lambda c: c.name), _document),
    }
    return {name: rows for name, rows in found.items() if rows}


def _figures(results: Results) -> Rows:
    rows = [
        {"figure": name, "bar": bar, **{way: count(judged) for way, judged in results.items()}}
        for name, (bar, count) in FIGURES.items()
    ]
    return [row for row in rows if any(row[way] is not None for way in results)]


def _each(
    results: Results,
    first: str,
    counted: str,
    parts: Callable[[Sequence[Judged]], dict[str, list[Judged]]],
    figures: Callable[[Sequence[Judged]], dict[str, float | None]],
) -> Rows:
    """A row per part; each detector's figures beside the others'."""
    split = {way: parts(judged) for way, judged in results.items()}
    names = next(iter(split.values()))
    rows = [
        {first: name, counted: len(part),
         **{f"{way} {figure}".strip(): value for way in split for figure, value in figures(split[way][name]).items()}}
        for name, part in names.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: str(row[first]))


def _named(judged: Sequence[Judged]) -> dict[str, float | None]:
    return {
        "": _percent(sum(j.whole for j in judged), sum(j.names for j in judged)),
        "others": _percent(sum(j.letters_hidden for j in judged), sum(j.letters for j in judged)),
    }


def _document(judged: Sequence[Judged]) -> dict[str, float | None]:
    return {
        "": _percent(sum(j.words_hidden for j in judged), sum(j.words for j in judged)),
        "left": _percent(sum(j.names - j.whole for j in judged), sum(j.names for j in judged)),
    }


def failed(judged: Iterable[Judged]) -> list[Judged]:
    """The cases that count against a detector in some figure."""
    return [one for one in judged if one.leaked or one.touched or one.merged or (one.letters_hidden and _strict(one))]


def shown(judged: Iterable[Judged], most: int) -> Iterable[str]:
    """A line for each case, at most `most` of each set: what was asked for, and the text as it would leave."""
    for group, rows in _by(list(judged), lambda case: case.group).items():
        for one in rows[:most]:
            name = one.case.culture or one.case.name
            yield f"{group} {name}: must go {list(one.case.private)}: {one.shown.replace(chr(10), ' / ')}"


def _strict(one: Judged) -> bool:
    """Whether each other letter counts; beside values of every sort only `keep` does."""
    return one.case.group in ("names", "relations", "docs")


def run(data: Path, *, sets: Sequence[str], presidio: bool, progress: Progress) -> dict[str, Any]:
    """The tables, and the failing cases of this detector. Raises NotFound, RequestError, ModelUnavailable."""
    chosen = cases(data, sets)
    ways: list[PrivacyWay] = [Ours(), *([Presidio()] if presidio else [])]
    for way in ways:
        way.load()
    present, missing = others()
    results: Results = {}
    for way in [*ways, *present]:
        progress(f"{way.name}: {len(chosen)} cases")
        results[way.name] = [judge(case, way.find(case.text)) for case in chosen]
    return {
        "tables": tables(results),
        "cases": len(chosen),
        "not installed": ", ".join(missing) or "none",
        "model": {name: card.get("sha256", "?")[:12] for name, card in what_it_saw().items()},
        "failed": failed(results[ways[0].name]),
    }
