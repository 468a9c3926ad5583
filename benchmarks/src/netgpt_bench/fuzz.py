"""`netgpt bench fuzz`: inputs that are changed at random, guided by the lines of code that they reach.

Everything that reads what others wrote is a target (`fuzz_targets`). A finding is an error that is not one of ours, a
property that does not hold, or work that takes longer than `SLOW_S` of CPU. The same seed tries the same inputs as long
as each takes its turn. After M. Zalewski's AFL: changes that are small or spliced, a corpus that grows by coverage.
"""

from __future__ import annotations

import copy
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

SLOW_S: Final = 2.0
"""CPU seconds after which an input counts as a finding."""
LONGEST: Final = 20_000
"""Bytes of an input, unless its target says otherwise."""
_MOST_KEPT: Final = 400
_TRACED: Final = 12
"""One input of so many is watched line by line, which is slow."""
_PACKAGE: Final = f"{os.sep}netgpt{os.sep}"
_WORDS: Final = (
    b"\0", b"\xff", b"\xff" * 8, b"\0" * 8, b"\x7f" + b"\xff" * 7, b"-1", b"0", b"1e999", b"9" * 400,
        b"18446744073709551616",
    b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\\ud800", b"\\u0000", b"\xe2\x80\x8b", b"\xef\xbb\xbf", b"\r\n", b"\n\n",
        b"\r", b'"',
    b"'", b"[", b"]", b"{", b"}", b",", b":", b"null", b"true", b"NaN", b"[" * 300, b'{"a":' * 300, b"\\", b"/",
        b"../", b"%00",
)  # fmt: skip


_VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 2**31, 2**53, 2**63, 2**64, -(2**70), 10**400, 1.5, 1e308, float("nan"), float("inf"), "", " ",
        "a" * 5_000,
    "\ud800", "\0", "[EMAIL_1]", [], {}, [[[]]], [None], {"": {}}, {"a": [1]}, "5", "text", "null",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads what others wrote."""

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    """Reads one input; gives a short word of what it made of it. Raises anything: then it is a finding."""
    words: tuple[bytes, ...] = ()
    """What this format is made of."""
    longest: int = LONGEST
    tree: bool = False
    """Its inputs are JSON: most changes are of values in it."""


@dataclass(slots=True)
class Findings:
    """What one target was found to do. `lines`: of the package, reached by any input that was watched."""

    target: str
    runs: int = 0
    seconds: float = 0.0
    lines: int = 0
    corpus: int = 0
    found: dict[str, bytes] = field(default_factory=dict)
    """Each fault once, with the first input that showed it."""
    outcomes: dict[str, int] = field(default_factory=dict)


class Mutator:
    """Makes inputs out of a corpus."""

    def __init__(self, target: Target, rng: random.Random) -> None:
        self.corpus = list(target.seeds)
        self._target, self._rng = target, rng
        self._words = [*_WORDS, *target.words, *target.words]

    def __call__(self) -> bytes:
        rng = self._rng
        data = rng.choice(self.corpus)
        if self._target.tree and rng.random() < 0.8:
            return self._other_values(data)[: self._target.longest]
        changed = bytearray(data)
        for _ in range(1 << rng.randrange(4)):
            rng.choice(_CHANGES)(changed, rng, self)
        return bytes(changed[: self._target.longest])

    def _other_values(self, data: bytes) -> bytes:
        """JSON with some of its values replaced, doubled or left out."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return data
        for _ in range(1 << self._rng.randrange(3)):
            places = list(_places(document))
            if not places:
                break
            within, key = self._rng.choice(places)
            kind = self._rng.randrange(4)
            if kind == 0:
                del within[key]
            elif kind == 1:
                other, place = self._rng.choice(places)
                within[key] = json.loads(json.dumps(other[place])) if other is not within else [within[key]] * 3
            else:
                # a copy: what is put into a document may be changed in the next round
                new = copy.deepcopy(self._rng.choice(_VALUES)) if kind == 2 else self.word().decode("utf-8", "replace")
                within[key] = new
        return json.dumps(document, ensure_ascii=self._rng.random() < 0.5).encode("utf-8", "replace")

    def word(self) -> bytes:
        return self._rng.choice(self._words)

    def other(self) -> bytes:
        return self._rng.choice(self.corpus)


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every (object or list, key or index) in a document."""
    waiting = [document]
    while waiting:
        within = waiting.pop()
        if isinstance(within, dict | list):
            keys = list(within) if isinstance(within, dict) else range(len(within))
            for key in keys:
                yield within, key
                waiting.append(within[key])


def _span(data: bytearray, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + (1 << rng.randrange(8)))


def _flip(data: bytearray, rng: random.Random, _: Mutator) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _insert(data: bytearray, rng: random.Random, by: Mutator) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = by.word()


def _replace(data: bytearray, rng: random.Random, by: Mutator) -> None:
    start, end = _span(data, rng)
    data[start:end] = by.word()


def _delete(data: bytearray, rng: random.Random, _: Mutator) -> None:
    start, end = _span(data, rng)
    del data[start:end]


def _double(data: bytearray, rng: random.Random, _: Mutator) -> None:
    start, end = _span(data, rng)
    times = min(1 << rng.randrange(10), LONGEST // max(1, end - start))
    data[end:end] = data[start:end] * times


def _splice(data: bytearray, rng: random.Random, by: Mutator) -> None:
    other = by.other()
    start, end = _span(data, rng)
    at = rng.randrange(len(other) + 1)
    data[start:end] = other[at : at + (1 << rng.randrange(10))]


def _cut(data: bytearray, rng: random.Random, _: Mutator) -> None:
    del data[rng.randrange(len(data) + 1) :]


_CHANGES: Final = (_flip, _flip, _insert, _insert, _replace, _replace, _delete, _double, _splice, _splice, _cut)


class _Lines:
    """The lines of the package that inputs reach."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()

    def reached(self, work: Callable[[], object]) -> tuple[object, bool]:
        """The result of `work`, and whether it reached a new line."""
        before = len(self.seen)
        sys.settrace(self._called)
        try:
            result = work()
        finally:
            sys.settrace(None)
        return result, len(self.seen) > before

    def _called(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if _PACKAGE in frame.f_code.co_filename else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def fuzz(target: Target, *, seed: int, seconds: float | None = None, runs: int | None = None) -> Findings:
    """Try the target's seeds, then changed ones, for so many `seconds` or `runs`."""
    rng = random.Random(f"{seed} {target.name}")
    mutate, lines, found = Mutator(target, rng), _Lines(), Findings(target.name)
    began = time.monotonic()
    while (runs is None or found.runs < runs) and (seconds is None or time.monotonic() - began < seconds):
        data = target.seeds[found.runs] if found.runs < len(target.seeds) else mutate()
        watched = found.runs % _TRACED == 0 or found.runs < len(target.seeds)
        found.runs += 1
        cpu = time.process_time()
        new = _try(target, data, found, lines if watched else None)
        if time.process_time() - cpu > SLOW_S * (10 if watched else 1):
            found.found.setdefault("slow", data)
        if new and len(mutate.corpus) < _MOST_KEPT:
            mutate.corpus.append(data)
    found.seconds, found.lines, found.corpus = time.monotonic() - began, len(lines.seen), len(mutate.corpus)
    return found


def _try(target: Target, data: bytes, found: Findings, lines: _Lines | None) -> bool:
    """Whether the input is worth keeping: it reached new lines, or came out as none did before."""
    new = False
    try:
        if lines is None:
            outcome = str(target.read(data))
        else:
            result, new = lines.reached(lambda: target.read(data))
            outcome = str(result)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        outcome = _fault(error)
        found.found.setdefault(outcome, data)
    new = new or (outcome not in found.outcomes and len(found.outcomes) < 100)
    found.outcomes[outcome[:80]] = found.outcomes.get(outcome[:80], 0) + 1
    return new


def _fault(error: BaseException) -> str:
    """The kind of an error and the place of the package where it rose."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _PACKAGE in frame.filename] or frames
    where = f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "?"
    said = f": {str(error).splitlines()[0][:100]}" if isinstance(error, AssertionError) and str(error) else ""
    return f"{type(error).__name__} in {where}{said}"


def fuzz_each(
    targets: Mapping[str, Target], *, seconds: float, seed: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Fuzz each target for so many seconds; a row for each. Inputs of findings are in hexadecimal."""
    rows = []
    for target in targets.values():
        found = fuzz(target, seed=seed, seconds=seconds)
        progress(f"{target.name}: {found.runs} inputs in {found.seconds:.0f} s, {len(found.found)} findings")
        findings = {what: data[:2_000].hex() for what, data in found.found.items()}
        rows.append(
            {
                "target": target.name, "runs": found.runs, "seconds": round(found.seconds, 1), "lines": found.lines,
                "corpus": found.corpus, "findings": findings,
            }
        )  # fmt: skip
    return rows
