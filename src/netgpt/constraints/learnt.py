"""Facts that no rule reads, by the sentence encoder: "sinks like a stone", "insulin with every meal", "prawns: A&E".

Two small heads over one fact's vector. One says which of the states and needs of `concepts.toml` a fact speaks of, or
none. The other reads the fact with the food or thing in it hidden, and says whether what is hidden is ruled out: so it
learns how people say so, not of what. Both were learnt from facts of invented people (`netgpt constraints train`). What
may rule something out but is not understood is no constraint: it is counted, and the answer says so.
"""

from __future__ import annotations

import re
import threading
import tomllib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from netgpt.constraints.features import Need, needs
from netgpt.constraints.measures import money_limits
from netgpt.constraints.reading import FOOD, WITH_PEOPLE, Constraint, is_doubtful, languages_of, ruled_out, timed
from netgpt.constraints.taxonomy import folded, taxonomy, words_of
from netgpt.constraints.whose import whose_is
from netgpt.encoder import SentenceEncoder
from netgpt.errors import ModelUnavailable
from netgpt.registry import holds_texts
from netgpt.wording.gloss import in_english

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

HIDDEN: Final = "stuff"
"""Stands for the food or thing that a fact names."""
MOST_CHARACTERS: Final = 400
"""Of a fact; the encoder reads less."""
MOST_KEPT: Final = 4_096
FORM: Final = "constraints."
"""Names of the heads' arrays begin so in the file of the delta."""
SURE: Final = 0.7
"""From this chance on a fact is read as a state or need, or what it names as ruled out."""
DOUBTED: Final = 0.95
"""The same where its words speak of a job, of what was once so, or of no trouble."""
AGREED: Final = 0.7
"""The chance of any state, need or food, by the whole fact, that what it names needs beside it."""
PERHAPS: Final = 0.7
"""From this chance on, of all states and needs together, it may be one."""
HARMLESS: Final = 0.05
"""Up to this chance of them it is surely none."""
SHORT: Final = 3
"""So few words say little without the kind of the fact."""
_TELLS_NOTHING: Final = frozenset(("note", "notes", "other", "fact", "misc", "general", "info", "profile", "user"))
_ABOUT: Final = re.compile(r"^(?:About the user: |The user(?:['’]s)? )")
_NAME: Final = re.compile(r"(?<=[a-z,:] )[A-ZÀ-Þ][\w’-]+(?: [A-ZÀ-Þ][\w’-]+)*(?=$|[\s,.;']|'s)")
"""A name that does not begin the text."""


@dataclass(frozen=True, slots=True)
class LearntReading:
    """What one fact rules out, or that it may rule out something which was not understood (`perhaps`, and in which
    kinds of requests)."""

    constraints: tuple[Constraint, ...] = ()
    perhaps: frozenset[str] = frozenset()
    is_harmless: bool = False
    """Whether it surely rules nothing out."""


@cache
def concepts() -> dict[str, dict[str, Any]]:
    """All of them, by name, in the order of the head's columns behind the first, which is "none"."""
    source = resources.files("netgpt.constraints").joinpath("concepts.toml").read_text(encoding="utf-8")
    return tomllib.loads(source)


def hidden_forms(text: str) -> tuple[str, str]:
    """A fact with the foods that it names hidden, and with the other things; "" where it names none.

    >>> hidden_forms("Prawns: A&E"), hidden_forms("shaky on ladders")
    (('stuff a e', ''), ('', 'shaky on stuff'))
    """
    small = folded(text[:MOST_CHARACTERS]).strip()
    words: list[str | None] = list(words_of(small))
    mentions = taxonomy().read(small, languages_of(small)).mentions
    for mention in mentions:
        end = min(mention.at + len(mention.name.text.split()), len(words))
        words[mention.at : end] = [HIDDEN if n == mention.at else None for n in range(mention.at, end)]
    things = small
    for need in _named(small):
        things = need.about.sub(HIDDEN, things)
        things = " ".join(HIDDEN if word in need.things else word for word in things.split())
    return " ".join(filter(None, words)) if mentions else "", things if things != small else ""


def _named(small: str) -> list[Need]:
    """The needs whose things a folded text names."""
    words = set(words_of(small))
    return [need for need in needs().values() if need.about.search(small) or need.things & words]


class FactReader:
    """`reader(facts)` -> what each rules out. Safe in several threads.

    Raises ModelUnavailable when the weights cannot be read, at the first use.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        """`encoder`: with the delta of this task, whose file holds the heads, too."""
        self._encoder = encoder
        self._kept: OrderedDict[tuple[str, str], LearntReading] = holds_texts(OrderedDict())
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read the weights, and see that they work."""
        import numpy as np

        self._encoder.load()
        try:
            of_which, stance = self._heads(self._rows(["a b"]))
            fine = of_which.shape == (1, len(concepts()) + 1) and bool(np.isfinite(of_which).all() and stance.size == 1)
        except (KeyError, ValueError, TypeError):
            fine = False
        if not fine:
            raise ModelUnavailable(f"{self._encoder.delta}: holds no heads that read facts. Reinstall netgpt.")

    def __call__(self, facts: Sequence[tuple[str, str]]) -> list[LearntReading]:
        """`facts`: kind and text. A new one takes about 10 ms of one core, a known one nothing."""
        with self._lock:
            known = {fact: self._kept[fact] for fact in facts if fact in self._kept}
        new = [fact for fact in dict.fromkeys(facts) if fact not in known]
        if new:
            read = dict(zip(new, self._read(new), strict=True))
            known |= read
            with self._lock:
                self._kept.update(read)
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        return [known[fact] for fact in facts]

    def _read(self, facts: Sequence[tuple[str, str]]) -> list[LearntReading]:
        texts = [_as_told(kind, _ABOUT.sub("", text)[:MOST_CHARACTERS]) for kind, text in facts]
        forms = [hidden_forms(text) for text in texts]
        told = [form for both in forms for form in both if form]
        rows = self._rows([*texts, *told])
        of_which, stances = self._heads(rows)
        stance = dict(zip(told, stances[len(texts) :].tolist(), strict=True)) | {"": 0.0}
        return [
            interpreted(text, kind, of_which[place], stance[foods], stance[things])
            for place, ((kind, text), (foods, things)) in enumerate(zip(facts, forms, strict=True))
        ]

    def _rows(self, texts: Sequence[str]) -> Array:
        return self._encoder([in_english(text)[:MOST_CHARACTERS] for text in texts])

    def _heads(self, rows: Array) -> tuple[Array, Array]:
        """Chances of "none" and each concept, (texts, concepts + 1); chance that what is hidden is ruled out."""
        import numpy as np

        found = []
        for name in ("concept", "stance"):
            weight, bias = (self._encoder.beside[f"{FORM}{name}.{part}"].astype(np.float32) for part in ("w", "b"))
            logits = rows @ weight + bias
            chances = np.exp(logits - logits.max(axis=1, keepdims=True))
            found.append(chances / chances.sum(axis=1, keepdims=True))
        return found[0], found[1][:, 1]


def _as_told(kind: str, text: str) -> str:
    """A few words behind the kind of the fact, which says what is meant by them ("fear: spiders", "hobby: spiders")."""
    tells = kind and kind not in _TELLS_NOTHING and len(text.split()) <= SHORT and not text.lower().startswith(kind)
    return f"{kind}: {text}" if tells else text


def interpreted(text: str, kind: str, of_which: Array, foods: float, things: float) -> LearntReading:
    """What the chances of one fact say of it. `foods`, `things`: that those which it names are ruled out."""
    small, whose = folded(text).strip(), whose_is(text, kind)
    sure = DOUBTED if is_doubtful(small) else SURE
    names = list(concepts())
    chances = {name: float(chance) for name, chance in zip(names, of_which[1:], strict=True)}
    best = max(names, key=lambda name: chances[name])
    some = 1 - float(of_which[0])
    found: list[Constraint] = []
    if foods >= sure and some >= AGREED:
        found += ruled_out(small, "allergy", strict=True, only_known=True, languages=languages_of(small))
    if things >= sure and some >= AGREED:
        found += [Constraint(need.kind, need.where, need=need.name) for need in _named(small)]
    told = concepts()[best]
    if chances[best] >= sure:
        found += _by_words(text, small, told["by"]) if "by" in told else _constraint(best, told)
    if found:
        return LearntReading(tuple(dict.fromkeys(replace(each, whose=whose) for each in found)))
    if some >= PERHAPS and not whose:
        return LearntReading(perhaps=_where(best, told))
    return LearntReading(is_harmless=some <= HARMLESS and max(foods, things) < sure)


def _constraint(name: str, told: dict[str, Any]) -> Iterator[Constraint]:
    """What a state or need rules out."""
    if "unread" in told:
        return
    if "foods" not in told or told.get("need"):
        need = needs()[told.get("need", name)]
        yield Constraint(need.kind, need.where, need=need.name)
    if "foods" in told:
        pair = told.get("together", "").split()
        together = ((pair[0], pair[1]),) if pair else ()
        yield Constraint(told["kind"], FOOD, foods=frozenset(told["foods"].split()), together=together)


def _by_words(text: str, small: str, by: str) -> Iterator[Constraint]:
    """What a fact says in numbers or names, once it is known to be about money, times or people."""
    if by == "money":
        yield from (
            Constraint("budget", where, limit=limit, currency=currency, per=per)
            for limit, currency, per, where in money_limits(small, is_budget=True)
        )
    elif by == "time":
        yield from timed(small)
    elif names := frozenset(tuple(words_of(name)) for name in _NAME.findall(text)[:3]):
        yield Constraint("avoid", WITH_PEOPLE, words=names)


def _where(name: str, told: dict[str, Any]) -> frozenset[str]:
    if "where" in told:
        return frozenset(told["where"].split())
    return FOOD if "foods" in told else needs()[told.get("need", name)].where
