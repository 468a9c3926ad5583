"""`netgpt bench proposals`: what is proposed from what people say in passing, and is it true?

Conversations with known truths are made of frames that were written by hand as people talk (`wordlists/remarks.txt`),
a part of them last, and never used to change a rule: those are the first figures. Beside them requests
of others, in which hardly anybody says anything of themselves (self-instruct, SNIPS, CLINC150, read by path): what is
proposed there is printed, to be judged by reading. The last user message alone is typed by the person: other turns
hold remarks, too, and must give nothing.
"""

from __future__ import annotations

import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, Final

from netgpt.app.proposing import typed_text
from netgpt.context.proposals import Proposal, proposals
from netgpt.errors import RequestError
from netgpt.training.recipes import public_rows
from netgpt_bench.harness import Progress
from netgpt_bench.report import percentile

TODAY: Final = date(2025, 12, 1)
ORDINARY: Final = ("selfinstruct_seed", "selfinstruct_user", "snips", "clinc150")
_NO: Final = re.compile(r"\b(?:no|not|never|doesn't|can't|don't|avoids|gave up|dislikes|nicht|kein\w*|pas|non|nunca)\b")


@dataclass(frozen=True)
class Truth:
    """What a frame says of its person: words that the note must hold, and whether it says no."""

    words: tuple[str, ...]
    says_no: bool

    def told_by(self, note: str) -> bool:
        """Whether the note says it."""
        said = note.casefold()
        spelled = (re.escape(word).replace("/", "|") for word in self.words)
        whole = all(re.search(rf"(?<!\w)(?:{word})", said) for word in spelled)
        return whole and (_NO.search(said) is not None) == self.says_no


@dataclass(frozen=True)
class Remark:
    """One frame with its values in place; without a truth it says nothing of the person."""

    kind: str
    part: str
    """dev, later, held or none: see the word list."""
    text: str
    truth: Truth | None


@dataclass
class Frames:
    """All frames of the word list, by kind; `say` draws one of a kind."""

    rows: dict[tuple[str, str], list[tuple[str, str, dict[str, list[str]]]]] = field(default_factory=dict)

    def say(self, kind: tuple[str, str], draw: random.Random) -> Remark:
        frame, truth, values = draw.choice(self.rows[kind])
        chosen = {name: draw.choice(of_name) for name, of_name in values.items()}
        words = truth.removeprefix("!").split()
        filled = tuple(word.format_map(chosen).casefold() for word in words)
        text = frame.format_map(chosen)
        return Remark(*kind, text[0].upper() + text[1:], Truth(filled, truth.startswith("!")) if truth else None)


def frames() -> Frames:
    """The word list, read."""
    text = resources.files("netgpt_bench").joinpath("wordlists/remarks.txt").read_text(encoding="utf-8")
    made, kind, truth = Frames(), ("", ""), ""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("## "):
            kind, values, truth = (line.split()[1], line.split()[2]), {}, ""
            made.rows[kind] = []
        elif re.match(r"[vw]:", line):
            values = values | {line[0]: [value.strip() for value in line[2:].split(", ")]}
        elif line.startswith("="):
            truth = line[1:].strip()
        elif line and not line.startswith("#"):
            made.rows[kind].append((line, truth, values))
    return made


REQUESTS: Final = (
    "", "What would you suggest?", "Any ideas?", "Please keep it short.", "What do I need to know?",
    "Is it going to rain tomorrow?", "Thanks!", "How long does it take?", "Give me three options.",
)  # fmt: skip
OPENINGS: Final = (
    "", "", "", "Hello!", "Hey there.", "Thanks, that helped.", "Okay, another thing.", "One more question.",
)  # fmt: skip


def conversation(
    frames: Frames, kind: tuple[str, str], draw: random.Random
) -> tuple[list[dict[str, Any]], list[Truth]]:
    """The messages, and what is true of their person by the last one. Earlier turns say other things of the person."""
    remark = frames.say(kind, draw)
    truths = [remark.truth] if remark.truth else []
    said = [draw.choice(OPENINGS), remark.text]
    if draw.random() < 0.3 and (others := [each for each in frames.rows if each[1] == "none"]):
        said.insert(draw.choice((1, 2)), frames.say(draw.choice(others), draw).text)
    said.append(draw.choice(REQUESTS))
    messages: list[dict[str, Any]] = []
    if draw.random() < 0.5:
        earlier = frames.say(draw.choice(list(frames.rows)), draw).text
        messages += [{"role": "user", "content": earlier}, {"role": "assistant", "content": f"You said: {earlier}"}]
    last = " ".join(part for part in said if part)
    return [*messages, {"role": "user", "content": last}], truths


@dataclass
class Score:
    """Counts of one kind."""

    conversations: int = 0
    truths: int = 0
    found: int = 0
    proposed: int = 0
    right: int = 0

    def add(self, truths: Sequence[Truth], made: Sequence[Proposal]) -> list[str]:
        """Count; return the notes that no truth tells of."""
        self.conversations += 1
        self.truths += len(truths)
        self.found += sum(any(truth.told_by(each.text) for each in made) for truth in truths)
        wrong = [each.text for each in made if not any(truth.told_by(each.text) for truth in truths)]
        self.proposed += len(made)
        self.right += len(made) - len(wrong)
        return wrong

    def row(self, name: str) -> dict[str, Any]:
        return {
            "kind": name,
            "conversations": self.conversations,
            "precision": self.right / self.proposed if self.proposed else None,
            "recall": self.found / self.truths if self.truths else None,
            "proposed": self.proposed,
        }


def run(
    data: Path, *, count: int = 300, sample: int = 300, seed: int = 7, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """Tables of rows: held out first. Shares from 0 to 1, times in milliseconds; "printed" holds all notes to read."""
    made, draw = frames(), random.Random(seed)
    kinds = [kind for kind in made.rows if kind[1] in ("dev", "later")]
    held = [kind for kind in made.rows if kind[1] == "held"]
    scores: dict[tuple[str, str], Score] = defaultdict(Score)
    wrong, missed, times = [], [], []
    for number in range(count):
        kind = kinds[number % len(kinds)] if number % 3 else held[number % len(held)]
        messages, truths = conversation(made, kind, draw)
        text = typed_text(messages)
        started = time.thread_time()
        found = proposals(text, TODAY)
        times.append((time.thread_time() - started) * 1000)
        wrong += [f"{note} <- {text}" for note in scores[kind].add(truths, found)]
        missed += [text for truth in truths if not any(truth.told_by(each.text) for each in found)]
    ordinary, printed = _ordinary(data, sample, draw, progress)
    return {
        "rows": list(_rows(scores)), "ordinary": ordinary, "wrong": wrong, "missed": missed, "printed": printed,
        "ms p50": percentile(times, 0.5), "ms p95": percentile(times, 0.95), "seed": seed,
        "frames": sum(map(len, made.rows.values())),
    }  # fmt: skip


def _rows(scores: Mapping[tuple[str, str], Score]) -> Iterator[dict[str, Any]]:
    for part, words in (("held", "held out"), ("later", "written later"), ("dev", "seen")):
        whole = Score()
        for (_, of_part), each in scores.items():
            if of_part == part:
                for name in ("conversations", "truths", "found", "proposed", "right"):
                    setattr(whole, name, getattr(whole, name) + getattr(each, name))
        yield whole.row(f"all, {words}")
        yield from (each.row(f"{kind}, {words}") for (kind, of_part), each in scores.items() if of_part == part)


def _ordinary(
    data: Path, sample: int, draw: random.Random, progress: Progress
) -> tuple[list[dict[str, Any]], list[str]]:
    """Requests of others: how many of each set, and everything that is proposed from them."""
    rows, printed = [], []
    for name in ORDINARY:
        try:
            known = public_rows(data, name)
        except RequestError as error:
            progress(f"{name} is left out: {error.message}")
            continue
        texts = [row["text"] if "text" in row else f"{row['instruction']}\n{row['input']}".strip() for row in known]
        drawn = draw.sample(texts, min(len(texts), sample // len(ORDINARY)))
        notes = [f"{each.text} <- {each.words}" for text in drawn for each in proposals(text, TODAY)]
        rows.append({"set": name, "requests": len(drawn), "proposals": len(notes)})
        printed += notes
    return rows, printed
