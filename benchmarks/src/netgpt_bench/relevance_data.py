"""What relevance is learnt from and measured on: cards of invented people, and requests of public data sets.

A card is a person at one moment: ten to twenty facts in any words, and requests, each with the facts that help. All of
`wordlists/cards` is our own; `heldout` (kinds of facts that no other card has) and `everyday` are for measuring only.
Public requests (CLINC150, SLURP, SNIPS) are read by path; which kinds of facts help follows from their intent labels;
the facts are those of our cards whose kind is one of twelve. PrefEval (CC BY-NC 4.0) is for measuring only, too.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from netgpt.completion.relevance import KINDS, NEEDED, wording
from netgpt.errors import RequestError
from netgpt.training.recipes import DATASETS, public_rows, reserved
from netgpt_bench.completion import PROFILE_TEXTS, needed_kinds

MEASURED: Final = ("heldout", "everyday", "languages")
"""Cards that nothing learns from."""
FREE: Final = ("prefs", "wishes", "likes")
"""Cards whose facts are preferences in free text, each of another area of life."""
LANGUAGES: Final = ("lang_de", "lang_fr", "lang_es", "lang_it")
_LINE = re.compile(r"f (?P<kind>[\w-]+) \| (?P<fact>.+)|r (?P<request>.+) : (?P<numbers>-|\d+(?:, ?\d+)*)")


@dataclass(frozen=True)
class Ask:
    """One request, the facts to choose from (kind and text), and which of them help."""

    request: str
    facts: tuple[tuple[str, str], ...]
    needed: frozenset[int]

    def texts(self, *, kinds: bool) -> list[str]:
        """The facts as the model reads them; `kinds`: with their kinds."""
        return [wording(kind, text) if kinds else text for kind, text in self.facts]


@dataclass(frozen=True)
class PersonCard:
    """Somebody's facts, and requests with the numbers (from 0) of the facts that help."""

    origin: str
    facts: tuple[tuple[str, str], ...]
    requests: tuple[tuple[str, frozenset[int]], ...]

    def asks(self) -> Iterator[Ask]:
        return (Ask(request, self.facts, needed) for request, needed in self.requests)


class KindLesson(NamedTuple):
    """A request, and for some of the common kinds whether it needs a fact of it."""

    request: str
    due: Mapping[str, bool]


def read_cards(origins: Collection[str] = (), *, measured: bool = False) -> list[PersonCard]:
    """The cards of these origins; of none named: all that may be learnt from, or with `measured` the others.

    Raises RequestError: a line is of no known form.
    """
    cards = []
    folder = resources.files("netgpt_bench").joinpath("wordlists/cards")
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        origin = file.name.rsplit("-", 1)[0].removesuffix(".txt")
        if origin in origins if origins else (origin in MEASURED) == measured:
            for number, text in enumerate(re.split(r"^==\s*$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)):
                if text.strip():
                    cards.append(_card(origin, text, f"{file.name}, card {number}"))
    return cards


def _card(origin: str, text: str, where: str) -> PersonCard:
    facts, requests = [], []
    for line in filter(str.strip, text.splitlines()):
        found = _LINE.fullmatch(line.rstrip())
        if found is None:
            raise RequestError(f"{where}: neither a fact nor a request: {line}")
        if found["kind"]:
            facts.append((found["kind"], found["fact"].strip()))
        else:
            numbers = [] if found["numbers"] == "-" else found["numbers"].split(",")
            requests.append((found["request"].strip(), frozenset(int(each) - 1 for each in numbers)))
    if any(not 0 <= index < len(facts) for _, needed in requests for index in needed):
        raise RequestError(f"{where}: a request needs a fact that is not there")
    return PersonCard(origin, tuple(facts), tuple(requests))


# --- Public requests beside facts of twelve kinds.

_CARD_KINDS: Final = {
    **KINDS, "now": "time", "moment": "time", "today": "time", "day": "time", "clock": "time", "here": "place",
    "whereabouts": "place",
}  # fmt: skip
"""What our cards call the kinds of `netgpt bench completion`."""
_EITHER: Final = frozenset({"now", "moment", "today", "day"})
"""Kinds that stand for a place or a time: the text decides."""
_TIME = re.compile(
    r"\d[:.]\d\d|o'clock|noon|midnight|morning|evening|afternoon|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|january|february|march|april|june|july|august|september|october|november|december",
    re.IGNORECASE,
)
_UNDONE = re.compile(
    r"\b(?:no|never|not|none|without|used to|was|were|until|sold|longer|stopped|gave up|former|ex|had|but|neither"
    r"|hates?|dislikes?|can't stand)\b|n't",
    re.IGNORECASE,
)
"""A fact of such words may say the opposite of its kind; of diets and allergies that is their usual form."""
LONGEST_PLACE: Final = 80


def fact_pools(cards: Sequence[PersonCard]) -> dict[str, list[str]]:
    """Texts of each of the twelve kinds, out of cards in English."""
    pools: dict[str, set[str]] = {kind: set() for kind in NEEDED}
    for card in cards:
        if card.origin not in LANGUAGES:
            for named, text in card.facts:
                kind = common_kind(named, text)
                if kind is not None and _is_plain(kind, text):
                    pools[kind].add(text)
    return {kind: sorted(texts) for kind, texts in pools.items()}


def common_kind(named: str, text: str) -> str | None:
    """Which of the twelve kinds a card's fact is of; None: of another."""
    if named in _EITHER:
        return "time" if _TIME.search(text) else "place"
    return _CARD_KINDS.get(named)


def _is_plain(kind: str, text: str) -> bool:
    if kind not in ("diet", "allergy") and _UNDONE.search(text):
        return False
    return kind != "place" or len(text) <= LONGEST_PLACE


def kind_lessons(cards: Sequence[PersonCard], data: Path | None, datasets: Sequence[str]) -> list[KindLesson]:
    """Requests and the kinds of facts that they need: of cards for the kinds that a card has, of public rows for all.

    Raises RequestError: no such data.
    """
    lessons = []
    for card in cards:
        kinds = [common_kind(named, text) for named, text in card.facts]
        for request, needed in card.requests:
            due = {kind: any(i in needed for i, each in enumerate(kinds) if each == kind) for kind in kinds if kind}
            lessons.append(KindLesson(request, due))
    for dataset in datasets if data is not None else ():
        for row in public_rows(data, dataset) if data is not None else ():
            if not reserved(row["text"]):
                needs = needed_kinds(dataset, row)
                lessons.append(KindLesson(row["text"], {kind: kind in needs for kind in NEEDED}))
    return lessons


class PublicRequests:
    """Makes cards out of rows that training may see: nine facts of nine kinds, sixteen requests of one data set."""

    FACTS: Final = 9
    REQUESTS: Final = 16
    NEEDING: Final = 0.55
    """Share of requests whose intent needs something; their intents come equally often."""

    def __init__(self, data: Path, pools: dict[str, list[str]], datasets: Sequence[str] = DATASETS) -> None:
        """Raises RequestError: no such data."""
        self._pools, self._sets = pools, {}
        for dataset in datasets:
            needing: dict[str, list[tuple[str, frozenset[str]]]] = defaultdict(list)
            others: list[tuple[str, frozenset[str]]] = []
            for row in public_rows(data, dataset):
                if not reserved(row["text"]):
                    kinds = needed_kinds(dataset, row)
                    (needing[row["intent"]] if kinds else others).append((row["text"], kinds))
            self._sets[dataset] = (sorted(needing.items()), others)

    def card(self, chance: random.Random) -> PersonCard:
        """Another one at each call."""
        dataset = chance.choice(sorted(self._sets))
        needing, others = self._sets[dataset]
        kinds = chance.sample(sorted(self._pools), self.FACTS)
        facts = tuple((kind, chance.choice(self._pools[kind])) for kind in kinds)
        requests = []
        for _ in range(self.REQUESTS):
            use = not others or chance.random() < self.NEEDING
            text, needs = chance.choice(chance.choice(needing)[1] if use else others)
            requests.append((text, frozenset(index for index, kind in enumerate(kinds) if kind in needs)))
        return PersonCard(dataset, facts, tuple(requests))


# --- What is measured.

FACTS_A_REQUEST: Final = 7
OF_EIGHT: Final = 8
UNSEEN_TEXTS: Final = {
    "place": (
        "At the moment: Kungsgatan, Stockholm.", "stands by the fountain in Ljubljana's old town",
        "Currently in Portwick, two streets from the harbour", "home is a flat in Graz",
        "staying at a guest house in Oaxaca this week",
    ),
    "time": (
        "Sunday, a little before noon", "The clock says 07:12, Tuesday", "late Friday evening, 23:05",
        "It's the 3rd of March, afternoon",
    ),
    "diet": (
        "Eats no dairy at all.", "hasn't touched meat in ten years", "Keeps halal.",
        "low-salt diet on doctor's orders",
    ),
    "cuisine": ("Could live on ramen.", "Georgian cooking is a passion", "Loves anything Lebanese"),
    "budget": ("Counts every penny this month.", "not more than 25 euros please", "Money is tight until payday"),
    "allergy": (
        "Breaks out in hives from strawberries.", "carries an EpiPen because of nuts", "Milk protein makes her ill",
    ),
    "car": ("Her old Corsa runs on petrol", "There's a Tesla in the driveway", "A diesel van, 2015"),
    "pet": ("A tortoise called Plato lives with him", "Walks two greyhounds every morning", "three budgies"),
    "music": ("Plays bossa nova all day.", "A Fela Kuti fan", "Baroque and nothing else", "never without techno"),
    "hobby": (
        "Rows on Sundays.", "Bakes sourdough at weekends", "Climbs indoors twice a week", "paints miniatures",
    ),
    "work": (
        "On the wards at St Mary's", "Runs a small print shop", "Third year as a paralegal at Hodge & Lunt",
        "drives a tram",
    ),
    "family": ("Grandmother of five", "Her twins started school", "Newly married to Jonas"),
}  # fmt: skip
"""Facts of the twelve kinds in words that no training has seen."""


def public_asks(data: Path, dataset: str, sample: int, seed: int, *, plain: bool = False) -> list[Ask]:
    """Reserved rows of one public data set beside seven facts: in words never learnt from, or plain ones.

    Raises RequestError: no such data.
    """
    chance = random.Random(seed)
    texts = PROFILE_TEXTS if plain else UNSEEN_TEXTS
    rows = [row for row in public_rows(data, dataset) if reserved(row["text"])]
    asks = []
    for row in chance.sample(rows, min(sample, len(rows))):
        kinds = chance.sample(sorted(texts), FACTS_A_REQUEST)
        needs = needed_kinds(dataset, row)
        facts = tuple((kind, chance.choice(texts[kind])) for kind in kinds)
        asks.append(Ask(row["text"], facts, frozenset(i for i, kind in enumerate(kinds) if kind in needs)))
    return asks


def prefeval_rows(data: Path) -> list[dict[str, str]]:
    """PrefEval's development rows, for measuring. Raises RequestError: not there."""
    path = data / "prompts" / "prefeval_dev.jsonl"
    if not path.is_file():
        raise RequestError(f"{path}: not there. Name the folder of the public data with --data DIR.", param="data")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def prefeval_asks(data: Path, sample: int, seed: int) -> list[Ask]:
    """A question beside eight preferences of eight topics of which one matters."""
    chance = random.Random(seed)
    rows = prefeval_rows(data)
    asks = []
    for row in chance.sample(rows, min(sample, len(rows))):
        others = chance.sample([each for each in rows if each["topic"] != row["topic"]], OF_EIGHT - 1)
        shown = [row, *others]
        chance.shuffle(shown)
        facts = tuple(("other", each["preference"]) for each in shown)
        asks.append(Ask(row["question"], facts, frozenset({shown.index(row)})))
    return asks
