"""`netgpt constraints train`: the delta and the heads of `netgpt.constraints.learnt`, with gradients, and their file.

Learnt from: wordings of states and needs, ways to say of a thing that it is ruled out or is not (with a place for the
thing), facts that rule nothing out; and the cards of invented people, whose facts the rules read, or clearly need not.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from netgpt.constraints.learnt import FORM, HIDDEN, concepts, hidden_forms
from netgpt.constraints.reading import Constraint, constraints_of
from netgpt.constraints.taxonomy import folded
from netgpt.encoder import DELTA_FORM, write_arrays
from netgpt.wording.gloss import in_english
from netgpt_bench.relevance_data import read_cards
from netgpt_bench.relevance_train import RelevanceNetwork

RANK: Final = 16
SCALE: Final = 20.0
"""Of the unit rows, before the heads; it is part of their weights in the file."""
RATE: Final = 7e-4
HEAD_RATE: Final = 3e-3
LAST_RATE: Final = 0.03
WARM_UP: Final = 0.06
A_STEP: Final = 32
LIKE_LONG: Final = 10
"""Steps whose texts are sorted by length, so that little is padded."""
SMOOTHED: Final = 0.03
DROPPED: Final = 0.1
NAMED: Final = "named"
"""The concept of facts that rule out a food by its name."""
_LINE: Final = re.compile(r"\[(?P<name>[\w-]+)\] (?P<texts>.+)")
_BEGINNINGS: Final = ("",) * 6 + ("I ", "She ", "He ", "The user ", "note: ", "my ")
_MAY_COUNT: Final = re.compile(
    r"allerg|diet|fear|phob|skin|health|stomach|food|eat|drink|alcohol|budget|money|price|knee|back|hip|walk|hear|sight|"
    r"eye|ear|noise|crowd|height|fly|travel|swim|water|smoke|asthma|lung|heart|medic|drug|sleep|scent|smell|scared|afraid|"
    r"hate|dislike|avoid|never|\bno\b|faith|relig|pregnan|access|wheel|mobil|car|driv|licen|insulin|gluten|sugar|salt|"
    r"coffee|gambl|spider|snake|animal|dog|cat|surgery|body|pain|disab|ill|taste|spit|revolt|soap|sick|can'?t|cannot|"
    r"without|miedo|angst|peur|paura|salud|sante|gesund"
)
"""A fact of a card with such words that no rule reads may be one all the same: nothing is learnt from it."""
_MAY_REFUSE: Final = re.compile(
    r"allerg|hate|dislik|never|\bno\b|can'?t|cannot|without|fear|scared|afraid|sick|spit|revolt|soap|pain|phob|faint|"
    r"terrif|scream|avoid|awful|leave|ill\b|resist|not |kein|nicht|pas |sin |senza|non |\bni "
)
_STATES: Final = {
    frozenset(told["foods"].split()): name
    for name, told in concepts().items()
    if told.get("kind") != "taste" and "foods" in told
}


class Lesson(NamedTuple):
    """One text for one head ("concept" or "stance"), its class, and how much it counts."""

    head: str
    text: str
    due: int
    weight: float


@dataclass(frozen=True)
class Material:
    """All that lessons are made from."""

    wordings: Sequence[tuple[str, str]]
    """Concept and fact."""
    stances: Sequence[tuple[bool, str]]
    """Whether it rules the thing out, and the saying with "{X}"."""
    harmless: Sequence[str]
    foods: Sequence[str]
    nouns: Sequence[str]
    """What sayings that rule nothing out are also filled with."""
    things: Sequence[tuple[str, str]]
    """Concept and thing."""


def _lines(name: str) -> list[str]:
    text = resources.files("netgpt_bench").joinpath(f"wordlists/constraints/{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def material() -> Material:
    """What stands in `wordlists/constraints`."""
    listed = {name: list[tuple[str, str]]() for name in ("concepts", "things")}
    for name, found in listed.items():
        for line in _lines(name):
            match = _LINE.fullmatch(line)
            assert match is not None, line
            found += [(match["name"], text.strip()) for text in match["texts"].split("|")]
    stances = [(line[0] != "-", line[2:]) for line in _lines("stances")]
    things = [pair for pair in listed["things"] if pair[0] in concepts()]
    others = {name: [text for of, text in listed["things"] if of == name] for name in ("foods", "nouns")}
    nouns = [*others["nouns"], *(text for _, text in things)]
    return Material(listed["concepts"], stances, _lines("harmless"), others["foods"], nouns, things)


@dataclass(frozen=True)
class CardFacts:
    """Facts of the cards: what the rules read, and what nobody would."""

    concepts: Sequence[tuple[str, int]]
    refused: Sequence[str]
    """With the foods hidden."""
    harmless: Sequence[str]
    named: Sequence[str]
    """The same, naming something all the same, hidden."""


def card_facts() -> CardFacts:
    """Of all cards that something may be learnt from, and of a second author's facts."""
    column = _columns()
    of_concept, refused, harmless, named = list[tuple[str, int]](), list[str](), list[str](), list[str]()
    told = [("note", text) for text in _lines("told")]
    for kind, text in sorted({fact for card in read_cards() for fact in card.facts}) + told:
        small = f"{kind} {folded(text)}"
        found = constraints_of(text, kind)
        foods, things = hidden_forms(text)
        name = next(filter(None, map(_concept, found)), "")
        if name:
            of_concept.append((text, column[name]))
        if foods and any((each.foods or each.words) and not _concept(each) for each in found):
            refused.append(foods)
        if not found and not _MAY_COUNT.search(small):
            harmless.append(text)
        if not found and (foods or things) and not _MAY_REFUSE.search(small):
            named.append(foods or things)
    return CardFacts(of_concept, refused, harmless, named)


def _columns() -> dict[str, int]:
    return {name: place for place, name in enumerate(concepts(), 1)}


def _concept(constraint: Constraint) -> str:
    if constraint.need:
        return "smoker-ex" if constraint.need == "smoker" else constraint.need
    by = {"budget": "money", "avoid": "avoid"}.get(constraint.kind, "")
    if constraint.kind == "time":
        by = "time-days" if constraint.days else "time-late" if constraint.latest is not None else "time-early"
    return by or _STATES.get(constraint.foods, "")


class Lessons:
    """Passes over all of it; each is drawn anew."""

    def __init__(self, own: Material, cards: CardFacts, chance: random.Random) -> None:
        self.own, self.cards, self.chance = own, cards, chance
        self.column = _columns()

    def steps(self, count: int) -> Iterator[list[Lesson]]:
        """`count` steps of texts of like length."""
        done = 0
        while True:
            lessons = list(self._one_pass())
            self.chance.shuffle(lessons)
            size = A_STEP * LIKE_LONG
            for at in range(0, len(lessons), size):
                few = sorted(lessons[at : at + size], key=lambda lesson: len(lesson.text))
                steps = [few[start : start + A_STEP] for start in range(0, len(few), A_STEP)]
                self.chance.shuffle(steps)
                for step in steps:
                    if done == count:
                        return
                    done += 1
                    yield step

    def _one_pass(self) -> Iterator[Lesson]:
        own, cards, chance, column = self.own, self.cards, self.chance, self.column
        for name, text in own.wordings:
            yield Lesson("concept", self._varied(chance.choice(_BEGINNINGS) + text), column[name], 1.0)
        for text, due in self._some(cards.concepts, 700):
            yield Lesson("concept", self._varied(text), due, 0.6)
        for text in own.harmless:
            yield Lesson("concept", self._varied(text), 0, 0.6)
        for text in self._some(cards.harmless, 700):
            yield Lesson("concept", self._varied(text), 0, 0.5)
        refusing = [saying for refuses, saying in own.stances if refuses]
        for refuses, saying in own.stances:
            yield Lesson("stance", self._varied(saying.replace("{X}", HIDDEN)), int(refuses), 1.0)
            for words in () if refuses else (own.foods, own.nouns):
                yield Lesson("concept", self._filled(saying, chance.choice(words)), 0, 0.6)
        for saying in self._some(refusing, 180):
            yield Lesson("concept", self._filled(saying, chance.choice(own.foods)), column[NAMED], 0.7)
        for saying in self._some(refusing, 180):
            name, thing = chance.choice(own.things)
            yield Lesson("concept", self._filled(saying, thing), column[name], 0.5)
        for text in self._some(cards.refused, 300):
            yield Lesson("stance", text, 1, 0.6)
        for text in self._some(cards.named, 400):
            yield Lesson("stance", text, 0, 0.5)

    def _some(self, of: Sequence[Any], most: int) -> Sequence[Any]:
        return self.chance.sample(of, min(most, len(of)))

    def _filled(self, saying: str, thing: str) -> str:
        return self._varied(saying.replace("{X}", thing))

    def _varied(self, text: str) -> str:
        """As another person would have typed it."""
        if self.chance.random() < 0.3:
            text = text.lower()
        if self.chance.random() < 0.15:
            text = text.rstrip(".!") + "."
        return text.rstrip(".") if self.chance.random() < 0.1 else text


class ReadingNetwork(nn.Module):  # type: ignore[misc]  # torch is not followed
    """The encoder with low-rank changes, and the two heads over the mean of a text's tokens."""

    def __init__(self, base: Path) -> None:
        """`base`: the encoder's file. Raises ModelUnavailable."""
        super().__init__()
        self.encoder = RelevanceNetwork(base, rank=RANK)
        width = self.encoder.table.shape[1]
        self.heads = nn.ModuleDict({"concept": nn.Linear(width, len(concepts()) + 1), "stance": nn.Linear(width, 2)})

    def rows(self, texts: Sequence[str]) -> Tensor:
        """(texts, width)"""
        hidden, _ = self.encoder._hidden([in_english(text)[:400] for text in texts])
        return functional.normalize(hidden.sum(1), dim=-1) * SCALE

    def loss(self, step: Sequence[Lesson]) -> Tensor:
        """How wrong it is on some lessons."""
        rows = functional.dropout(self.rows([lesson.text for lesson in step]), DROPPED, self.training)
        total = torch.zeros(())
        for name, head in self.heads.items():
            at = [place for place, lesson in enumerate(step) if lesson.head == name]
            if at:
                due = torch.tensor([step[place].due for place in at])
                each = functional.cross_entropy(head(rows[at]), due, reduction="none", label_smoothing=SMOOTHED)
                total = total + (each * torch.tensor([step[place].weight for place in at])).sum()
        return total / len(step)

    def arrays(self) -> dict[str, Any]:
        """What is learnt, as `netgpt.encoder` and `netgpt.constraints.learnt` read it."""
        found = {name: each for name, each in self.encoder.arrays().items() if name.startswith("layer.")}
        for name, head in self.heads.items():
            found[f"{FORM}{name}.w"] = (head.weight.T * SCALE).detach().numpy().astype(np.float16).copy()
            found[f"{FORM}{name}.b"] = head.bias.detach().numpy().astype(np.float16)
        return found


def learn(network: ReadingNetwork, lessons: Lessons, steps: int, told: Callable[[int, int, float], None]) -> None:
    """Go through so many steps."""
    changed = [each for name, each in network.encoder.layers.named_parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": changed, "lr": RATE, "weight_decay": 0.01},
            {"params": list(network.heads.parameters()), "lr": HEAD_RATE, "weight_decay": 0.02},
        ]
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    network.train()
    for done, step in enumerate(lessons.steps(steps)):
        share = min(1.0, (done + 1) / (WARM_UP * steps)) * max(LAST_RATE, 1 - done / steps)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share
        loss = network.loss(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told(done + 1, steps, float(loss.detach()))
    network.eval()


def make_reading(
    base: Path, out: Path, *, steps: int, seed: int = 7, leave_out: Collection[str] = (),
    told: Callable[[int, int, float], None] = lambda _done, _all, _loss: None,
) -> dict[str, Any]:  # fmt: skip
    """Train, and write `out` and its card beside it (.json). Returns the card. `leave_out`: concepts of which no
    wording is learnt. Raises ModelUnavailable."""
    torch.manual_seed(seed)
    own = material()
    own = Material(
        [pair for pair in own.wordings if pair[0] not in leave_out],
        own.stances,
        own.harmless,
        own.foods,
        own.nouns,
        own.things,
    )
    cards = card_facts()
    network = ReadingNetwork(base)
    learn(network, Lessons(own, cards, random.Random(seed)), steps, told)
    write_arrays(out, network.arrays(), {"form": DELTA_FORM, "base": network.encoder.base_sha256})
    card = {
        "made": datetime.now(UTC).date().isoformat(),
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "base": network.encoder.base_sha256,
        "learnt from": {
            "wordings": len(own.wordings),
            "sayings": len(own.stances),
            "harmless": len(own.harmless),
            "facts of cards": {
                "read by rules": len(cards.concepts) + len(cards.refused), "harmless": len(cards.harmless),
                "naming something": len(cards.named),
            },
            "languages": ["en", "de", "fr", "es", "it"],
        },
        "left out": sorted(leave_out),
        "steps": steps,
        "seed": seed,
        "settings": {"rank": RANK, "rate": RATE, "head rate": HEAD_RATE, "texts a step": A_STEP},
    }  # fmt: skip
    out.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card
