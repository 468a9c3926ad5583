"""`netgpt bench completion`: how well the facts are chosen, and what the edge model invents when it rewrites.

Requests are people's own (CLINC150, SLURP, SNIPS, development parts, read by path); what each needs follows from its
intent label; the seven facts to choose from are generated. Only rows that the recipe of the
adapter reserves are asked: 15 % of each file, by a digest of the words, which no training and no cut has seen. They
are of the same origin as the training rows; `--adapter` with one trained on one data set shows the fall-off on others.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from netgpt.completion.classify import Ask, answer_text
from netgpt.completion.relevance import Relevance
from netgpt.completion.rewrite import check, invented, rewriting
from netgpt.completion.select import Selector
from netgpt.errors import ModelError
from netgpt.training.recipes import DATASETS, asks_for_food, public_rows, reserved
from netgpt.types import Fact, Label
from netgpt.word_pieces import StaticEmbedder
from netgpt_bench.harness import Progress
from netgpt_bench.report import percentile

# --- Which kinds of facts matter, from the intent labels of CLINC150, SLURP and SNIPS; and profiles to choose from.
#
# The labels are the data sets' own; the mapping from intent to kinds is ours, written before any figure was seen. It
# goes by intent: a weather request that names its own town still counts as needing the place, and rows with a wrong
# label stay in. Only `recommendation_locations` mixes two things (where to eat, where to shop): there the data set's
# own annotation decides. Intents that are not listed need none of the kinds, out-of-scope requests included.

FACTS_A_PROFILE = 7
_EAT_OUT = "place cuisine diet budget allergy"
_COOK = "diet allergy cuisine"
_INTENTS = {
    "clinc150": {
        "place time": "weather next_holiday",
        _EAT_OUT: "restaurant_suggestion restaurant_reservation",
        "place": "restaurant_reviews how_busy directions distance current_location share_location uber timezone",
        _COOK: "meal_suggestion recipe ingredients_list ingredient_substitution",
        "place car": "traffic",
        "car": (
            "gas gas_type mpg oil_change_how oil_change_when tire_pressure tire_change jump_start "
            "last_maintenance schedule_maintenance"
        ),
        "budget": "car_rental book_hotel",
        "place budget": "book_flight",
        "budget hobby family": "travel_suggestion",
        "time": "time date calendar calendar_update meeting_schedule schedule_meeting reminder reminder_update",
        "music": "play_music update_playlist",
        "work": "pto_balance pto_request pto_request_status pto_used payday income w2",
    },
    "slurp": {
        "place time": "weather_query transport_query transport_ticket",
        "place": "recommendation_locations recommendation_movies takeaway_query transport_taxi",
        "place hobby": "recommendation_events",
        _EAT_OUT: "takeaway_order",
        _COOK: "cooking_recipe cooking_query",
        "place car": "transport_traffic",
        "time": "datetime_query calendar_query calendar_set calendar_remove",
        "music": "play_music play_radio",
    },
    "snips": {
        "place time": "GetWeather",
        _EAT_OUT: "BookRestaurant",
        "place": "SearchScreeningEvent",
        "music": "PlayMusic AddToPlaylist",
    },
}
"""Data set -> kinds of facts -> the intents that need them."""
_NEEDED = {
    dataset: {intent: frozenset(kinds.split()) for kinds, intents in needs.items() for intent in intents.split()}
    for dataset, needs in _INTENTS.items()
}

PROFILE_TEXTS = {
    "place": (
        "The user is in Cambridge, England", "The user lives in the centre of Leeds",
        "The user is near Porto, Portugal",
    ),
    "time": (
        "It is Monday evening, 18:40 local time", "It is Saturday morning, 09:15 local time",
        "It is Thursday, 12 June",
    ),
    "diet": ("The user is vegetarian", "The user eats no pork", "The user is vegan"),
    "cuisine": (
        "The user likes Thai food", "The user's favourite cuisine is Italian",
        "The user loves spicy Indian dishes",
    ),
    "budget": ("The user has a small budget", "The user can spend 20 pounds at most", "The user prefers cheap offers"),
    "allergy": ("The user is allergic to peanuts", "The user cannot eat gluten", "The user has a shellfish allergy"),
    "car": ("The user drives a Fiat Panda", "The user owns an electric Renault Zoe", "The user has a 2014 Ford Focus"),
    "pet": ("The user has a dog called Rex", "The user keeps two cats", "The user owns a rabbit"),
    "music": ("The user likes jazz", "The user listens to heavy metal", "The user's favourite band plays indie rock"),
    "hobby": ("The user enjoys hiking", "The user paints and visits galleries", "The user plays chess"),
    "work": ("The user works as a nurse", "The user is employed at a bank", "The user teaches at a school"),
    "family": ("The user has two small children", "The user is married to Sam", "The user's mother lives with them"),
}  # fmt: skip
"""Three ways to say a fact of each kind."""


def needed_kinds(dataset: str, row: Mapping[str, Any]) -> frozenset[str]:
    """The kinds that matter for this row, by its intent; `dataset` is clinc150, slurp or snips."""
    if row["intent"] == "recommendation_locations" and asks_for_food(row):
        return frozenset(_EAT_OUT.split())
    return _NEEDED[dataset].get(row["intent"], frozenset())


def profile(randomness: random.Random) -> Sequence[Fact]:
    """Seven facts of seven kinds, in random order."""
    kinds = randomness.sample(sorted(PROFILE_TEXTS), FACTS_A_PROFILE)
    return [Fact(randomness.choice(PROFILE_TEXTS[kind]), kind, Label.PERSONAL) for kind in kinds]


@dataclass(frozen=True)
class CompletionCase:
    """One request, the facts to choose from, and which of them help."""

    dataset: str
    request: str
    facts: tuple[Fact, ...]
    needed: frozenset[int]


def load_cases(data: Path, sample: int, seed: int) -> list[CompletionCase]:
    """`sample` requests, a third of each data set, only of the rows that no training and no tuning saw.

    Raises RequestError that says what is missing and how to get on.
    """
    randomness = random.Random(seed)
    cases = []
    for dataset in DATASETS:
        rows = [row for row in public_rows(data, dataset) if reserved(row["text"])]
        for row in randomness.sample(rows, min(len(rows), max(1, sample // len(DATASETS)))):
            facts = tuple(profile(randomness))
            kinds = needed_kinds(dataset, row)
            needed = frozenset(index for index, fact in enumerate(facts) if fact.kind in kinds)
            cases.append(CompletionCase(dataset, row["text"], facts, needed))
    return cases


Choose = Callable[[CompletionCase], Awaitable[Sequence[int]]]
NEAREST = 3
"""Facts given by nearness alone."""
PATIENCE_S = 60.0
"""With the edge model: a figure should not depend on how busy the machine is."""


@dataclass
class Tally:
    """Counts of one way of choosing: facts rightly and wrongly given, missed; requests given a wrong one; times."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    requests: int = 0
    spoiled: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def add(self, chosen: frozenset[int], needed: frozenset[int]) -> None:
        self.right += len(chosen & needed)
        self.wrong += len(chosen - needed)
        self.missed += len(needed - chosen)
        self.requests += 1
        self.spoiled += bool(chosen - needed)

    def figures(self) -> dict[str, Any]:
        """Precision and recall over all facts (None of nothing), share of requests wrongly given a fact."""
        given, due = self.right + self.wrong, self.right + self.missed
        return {
            "precision": self.right / given if given else None,
            "recall": self.right / due if due else None,
            "requests wrongly given": self.spoiled / self.requests if self.requests else None,
        }


async def run(
    data: Path, *, ask: Ask | None, trained: Ask | None = None, relevance: Relevance | None = None, sample: int = 300,
    max_facts: int = 6, seed: int = 7, progress: Progress = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure every way; the edge model's only with `ask`, the adapter's only with `trained`, and so `relevance`.

    Returns `{"rows": [...], ...}`; shares from 0 to 1, times in milliseconds. Raises RequestError: no such data.
    """
    cases = load_cases(data, sample, seed)
    rows = []
    for name, choose in _ways(ask, trained, relevance, max_facts).items():
        progress(f"{name}: {len(cases)} requests")
        rows.append({"way": name, **await _measure(choose, cases)})
    if ask is not None:
        progress(f"edge model, rewrite: {len(cases)} requests")
        rows.append({"way": "edge model, rewrite", **await _measure_rewrite(ask, cases, max_facts)})
    return {
        "rows": rows,
        "samples": len(cases),
        "seed": seed,
        "facts offered": len(cases[0].facts),
        "facts given at most": max_facts,
        "needed nothing": round(sum(not case.needed for case in cases) / len(cases), 2),
        "drawn from": "only those that the recipe reserves: 15 % of each development file, seen by no training",
    }


def _ways(ask: Ask | None, trained: Ask | None, relevance: Relevance | None, max_facts: int) -> dict[str, Choose]:
    embed = StaticEmbedder()
    embed.load()

    async def nothing(case: CompletionCase) -> Sequence[int]:
        return ()

    async def everything(case: CompletionCase) -> Sequence[int]:
        return range(len(case.facts))

    async def nearest(case: CompletionCase) -> Sequence[int]:
        vectors = embed([case.request, *(fact.text for fact in case.facts)])
        return [int(index) for index in (vectors[1:] @ vectors[0]).argsort()[::-1][:NEAREST]]

    ways: dict[str, Choose] = {"nothing": nothing, "all facts": everything, f"embedding top-{NEAREST}": nearest}
    ways["topics by embedding"] = _selecting(Selector(None, embed, max_facts))
    selector = Selector(ask, embed, max_facts, judge_s=PATIENCE_S)
    if ask is not None:
        ways["edge model, untrained"] = _selecting(selector)
    if trained is not None:
        ways["edge model, adapter"] = _selecting(selector, trained)
        ways["adapter, facts as plain text"] = _selecting(selector, trained, plain=True)
    if relevance is not None:
        pairs = Selector(None, embed, max_facts)
        pairs.use(relevance)
        ways["relevance"] = _selecting(pairs)
        ways["relevance, facts as plain text"] = _selecting(pairs, plain=True)
    return ways


def _selecting(selector: Selector, trained: Ask | None = None, *, plain: bool = False) -> Choose:
    """`plain`: without the facts' kinds, as somebody else's profile gives them."""

    async def choose(case: CompletionCase) -> Sequence[int]:
        facts = [replace(fact, kind="other") for fact in case.facts] if plain else case.facts
        return (await selector.select(case.request, facts, trained, within_s=PATIENCE_S)).chosen

    return choose


async def _measure(choose: Choose, cases: Sequence[CompletionCase]) -> dict[str, Any]:
    whole, parts = Tally(), {dataset: Tally() for dataset in DATASETS}
    await choose(cases[0])  # what is read on first use is not a request's time
    for case in cases:
        started = time.perf_counter()
        chosen = frozenset(await choose(case))
        whole.milliseconds.append((time.perf_counter() - started) * 1000)
        for tally in (whole, parts[case.dataset]):
            tally.add(chosen, case.needed)
    return {
        **whole.figures(),
        **{f"{name} P/R": _pair(tally.figures()) for name, tally in parts.items()},
        "invented raw": 0.0,  # a selection writes nothing of its own
        "invented checked": 0.0,
        "ms p50": percentile(whole.milliseconds, 0.5),
        "ms p95": percentile(whole.milliseconds, 0.95),
    }


async def _measure_rewrite(ask: Ask, cases: Sequence[CompletionCase], max_facts: int) -> dict[str, Any]:
    """Rewrite each request with the facts that it needs: shares with something invented, before and after the check."""
    raw = passed = after = asked = 0
    times: list[float] = []
    for case in cases:
        facts = [case.facts[index] for index in sorted(case.needed)][:max_facts]
        if not facts:
            continue
        asked += 1
        started = time.perf_counter()
        try:
            text = " ".join(answer_text(await ask(rewriting(case.request, facts))).split())
        except ModelError:
            text = ""
        times.append((time.perf_counter() - started) * 1000)
        foreign = bool(invented(text, case.request, facts))
        accepted = check(text, case.request, facts) is None
        raw, passed, after = raw + foreign, passed + accepted, after + (accepted and foreign)
    return {
        "invented raw": raw / asked if asked else None,
        "invented checked": after / passed if passed else 0.0,
        "accepted": passed / asked if asked else None,
        "ms p50": percentile(times, 0.5),
        "ms p95": percentile(times, 0.95),
    }


def _pair(figures: dict[str, Any]) -> str:
    return "/".join("-" if figures[name] is None else f"{figures[name]:.2f}" for name in ("precision", "recall"))
