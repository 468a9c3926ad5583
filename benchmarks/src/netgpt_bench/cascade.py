"""`netgpt bench cascade`: the box begins and a cloud takes over where it is not sure, against every other way.

A real gateway with the real engine answers questions whose answers a rule can check; the cloud is scripted, of known
speed, and counts as right. Kinds of task are given, and how often the model's answers of a kind do is measured on the
other half of the questions: so it shows what acting on confidence is worth, not how well a kind is told.

`unanswerable`: questions that the model cannot answer while nothing may leave; how many are asserted all the same.
"""

from __future__ import annotations

import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, cast

from netgpt.app.gateway import Gateway, open_gateway
from netgpt.capability.grading import Answer
from netgpt.capability.questions import Question, mixed
from netgpt.confidence.judge import Judge
from netgpt.exchange import Exchange, Request
from netgpt.judgement import TASK_KINDS, TaskKind
from netgpt.routing.candidates import last_user_text
from netgpt.settings import load_settings
from netgpt.stages.generate import Generate
from netgpt.testing.server import FaultyCloud
from netgpt.types import Caller, Role
from netgpt_bench.harness import Progress
from netgpt_bench.report import percentile

CLOUD_SAYS: Final = (
    "This is the answer of the stand-in for a cloud, which counts as right whatever was asked of it here."
)
CLOUD_FIRST_S: Final = 0.4
"""The stand-in's first word, in seconds; then a piece of eight characters every 20 ms."""
GAPS: Final = (0.5, 0.8, 0.9)
"""Qualities at which costs are compared: so much of the way from the box alone to the cloud alone."""
SEED: Final = 41
"""Of the questions: other draws than those that the judge was fitted on."""


@dataclass(frozen=True, slots=True)
class Given:
    """What became of one question."""

    text: str
    first_s: float  # until the first word that was shown
    whole_s: float
    chance: float | None
    how: str  # of `Acted`
    by: str  # the target that answered
    tokens: int  # of the box's own that nobody got


@asynccontextmanager
async def _box(weights: Path, folder: Path, cloud: FaultyCloud | None) -> AsyncIterator[Gateway]:
    """A gateway that always begins on the box: nothing but money counts, and only the cloud costs any."""
    weighting = {"quality": 0.0, "cost": 1.0, "latency": 0.0, "energy": 0.0, "privacy": 0.0}
    base_url = cloud.base_url if cloud is not None else None
    far = {"base_url": base_url, "model": "stand-in", "price_prompt": 1.0, "price_completion": 1.0}
    settings = load_settings(
        environment={}, home=folder / "home", edge={"model": str(weights)}, encoder={"model": "off"},
        routing={"weights": weighting, "learn": False, "edge_when_personal": False}, completion={"mode": "off"},
        cloud=far,
    )  # fmt: skip
    gateway = open_gateway(settings)
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.close()


def _judges(gateway: Gateway, kinds: Mapping[str, str], prior: Callable[[str], float | None]) -> None:
    stage = next(each for each in gateway.workflow.stages if isinstance(each, Generate))
    stage.acting = gateway.routing_service.acting(
        Judge(), kind_of=lambda text: TaskKind(kinds.get(text, "unknown"), 0.9), prior=lambda _target, kind: prior(kind)
    )


async def _ask(gateway: Gateway, body: Mapping[str, Any], model: str, wish: str) -> Given:
    request = Request({**body, "stream": True}, model=model, stream=True, on_low_confidence=wish)
    exchange = Exchange(request, Caller("local", Role.ADMIN))
    began, first, said = time.monotonic(), 0.0, list[str]()
    await gateway.workflow.run(exchange)
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        async for chunk in chunks:
            for choice in chunk.get("choices") or ():
                if words := (choice.get("delta") or {}).get("content"):
                    first = first or time.monotonic() - began
                    said.append(words)
    outcome = exchange.outcome
    acted, believed = outcome.acted, outcome.confidence
    return Given(
        "".join(said), first, time.monotonic() - began, believed.chance if believed else None,
        acted.how if acted else "", outcome.answered_by.name, acted.tokens if acted else 0,
    )  # fmt: skip


async def run(weights: Path, *, sample: int, seed: int = SEED, progress: Progress = lambda _: None) -> dict[str, Any]:
    """The tables of the benchmark."""
    asked = _questions(sample, seed)
    kinds = {last_user_text(each.body()["messages"]): each.kind for each in asked}
    with tempfile.TemporaryDirectory(prefix="netgpt-cascade-") as folder, FaultyCloud(
        CLOUD_SAYS, chunk_size=8, delay_s=0.02, slow_s=CLOUD_FIRST_S
    ) as cloud:  # fmt: skip
        cloud.keep_log = False
        async with _box(weights, Path(folder), cloud) as gateway:
            _judges(gateway, kinds, lambda _kind: None)
            alone = await _all(gateway, asked, cloud, "netgpt/edge", progress)
            right = [each.right(Answer(given.text)) for each, given in zip(asked, alone, strict=True)]
            priors = [_priors(asked, right, half) for half in (0, 1)]
            begun = []
            for number, each in enumerate(asked):  # what is known of a kind is of the other half
                _judges(gateway, kinds, priors[1 - number % 2].get)
                begun += await _all(gateway, [each], cloud, "netgpt", lambda _: None)
                if number % 20 == 19:
                    progress(f"cascade: {number + 1} of {len(asked)}")
            judged = [
                _rejudged(each, given, priors[1 - n % 2])
                for n, (each, given) in enumerate(zip(asked, alone, strict=True))
            ]
            far = await _all(gateway, asked[:20], cloud, "netgpt/cloud", lambda _: None)
    before = [priors[1 - number % 2][each.kind] for number, each in enumerate(asked)]
    return {
        "ways": _ways(asked, right, alone, begun, far),
        "cost at equal quality": _equal(
            right, {"route before, by kind": before, "cascade, by the whole answer": judged}
        ),
        "starts that were given up": _starts(alone, begun),
    }


def _questions(sample: int, seed: int) -> list[Question]:
    each = -(-sample // (len(TASK_KINDS) - 2))
    found = [one for one in mixed(seed, each) if not one.check.only_form and not one.tools and one.kind != "tools"]
    return found[:sample]


async def _all(
    gateway: Gateway, asked: Sequence[Question], cloud: FaultyCloud, model: str, progress: Progress
) -> list[Given]:
    given = []
    for number, each in enumerate(asked):
        cloud.unschedule()
        cloud.schedule("slow_first_byte")
        given.append(await _ask(gateway, each.body(), model, "answer"))
        if number % 20 == 19:
            progress(f"{model}: {number + 1} of {len(asked)}")
    return given


def _priors(asked: Sequence[Question], right: Sequence[bool], half: int) -> dict[str, float]:
    """How often answers of each kind did in one half, drawn towards the mean of all."""
    of = [(each.kind, does) for number, (each, does) in enumerate(zip(asked, right, strict=True)) if number % 2 == half]
    mean = sum(does for _, does in of) / len(of)
    own = {kind: [does for other, does in of if other == kind] for kind in TASK_KINDS}
    return {kind: (sum(does) + 4 * mean) / (len(does) + 4) for kind, does in own.items()}


def _rejudged(asked: Question, given: Given, priors: Mapping[str, float]) -> float:
    """The chance of the whole answer of the box alone, with what is known of its kind; without figures of tokens."""
    kind = TaskKind(asked.kind, 0.9)
    told = Judge().judge(asked.body(), given.text, kind=kind, prior=priors[asked.kind])
    return min(told.chance, given.chance) if given.chance is not None and told.wrong else told.chance


def _ways(
    asked: Sequence[Question],
    right: Sequence[bool],
    alone: Sequence[Given],
    begun: Sequence[Given],
    far: Sequence[Given],
) -> list[dict[str, Any]]:
    went = [given.by != "edge" for given in begun]
    does = [true or each.right(Answer(given.text)) for each, true, given in zip(asked, went, begun, strict=True)]
    rows = {"edge only": (alone, right, 0.0), "cloud only": (far, [True], 1.0), "cascade": (begun, does, _mean(went))}
    shown = {name: [given.first_s for given in of] for name, (of, _, _) in rows.items()}
    rows |= {
        "cascade: kept": (
            [g for g in begun if g.by == "edge"],
            [d for d, w in zip(does, went, strict=True) if not w],
            0.0,
        )
    }
    rows |= {"cascade: escalated": ([g for g in begun if g.by != "edge"], [True], 1.0)}
    shown |= {name: [given.first_s for given in rows[name][0]] for name in rows}
    return [
        {
            "way": name, "answers": len(of), "right": round(_mean(does), 3), "to the cloud": round(share, 3),
            "first word s, median": round(percentile(shown[name], 0.5), 2),
            "p90": round(percentile(shown[name], 0.9), 2),
            "whole s, median": round(percentile([given.whole_s for given in of], 0.5), 2),
        }
        for name, (of, does, share) in rows.items() if of
    ]  # fmt: skip


def _equal(right: Sequence[bool], scores: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """Least share of requests that a way sends to the cloud for a quality, taking those first that it trusts least."""
    base, rows = _mean(right), []
    ways = {**scores, "who knew which are wrong": [float(does) for does in right]}
    for gap in GAPS:
        wanted = base + gap * (1.0 - base)
        row: dict[str, Any] = {"right": round(wanted, 3), "at random": gap}
        for name, score in ways.items():
            order = sorted(range(len(right)), key=lambda at: score[at])
            wrong, sent = sum(not does for does in right), 0
            while 1.0 - wrong / len(right) < wanted - 1e-9:
                wrong -= not right[order[sent]]
                sent += 1
            row[name] = round(sent / len(right), 3)
        rows.append(row)
    return rows


def _starts(alone: Sequence[Given], begun: Sequence[Given]) -> list[dict[str, Any]]:
    """Whether anything else than the stand-in's words was shown where it took over."""
    escalated = [given for given in begun if given.how == "escalated"]
    shown = [given for given in escalated if given.text != CLOUD_SAYS]
    return [
        {
            "escalated": len(escalated),
            "showed a word of the start": len(shown),
            "tokens given up each": round(_mean([given.tokens for given in escalated]), 1),
            "tokens of an answer of the box": round(_mean([len(given.text) / 4 for given in alone]), 1),
        }
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


# --- Questions that cannot be answered


def unanswerable(half: str) -> list[tuple[str, str]]:
    """(kind, question) of "tune" or "held"."""
    table = tomllib.loads(resources.files("netgpt_bench").joinpath("unanswerable.toml").read_text(encoding="utf-8"))
    return [(kind, line) for kind, lines in table[half].items() for line in lines.strip().splitlines()]


async def asserted(
    weights: Path, prior: Callable[[str], float | None], *, half: str = "held", sample: int = 0,
    kind_of: Callable[[str], TaskKind] | None = None, progress: Progress = lambda _: None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Each question, how it was answered where nothing may leave, and whether that asserts anything. `prior`: how often
    the model's answers of a kind do; `kind_of`: None takes the kind from the list."""
    asked = unanswerable(half)
    asked = asked[:: max(1, len(asked) // sample)] if sample else asked
    with tempfile.TemporaryDirectory(prefix="netgpt-unanswerable-") as folder:
        async with _box(weights, Path(folder), None) as gateway:
            _judges(gateway, {text: kind for kind, text in asked}, prior)
            if kind_of is not None:
                stage = next(each for each in gateway.workflow.stages if isinstance(each, Generate))
                stage.acting = gateway.routing_service.acting(
                    Judge(), kind_of=kind_of, prior=lambda _target, kind: prior(kind)
                )
            rows = []
            for number, (kind, text) in enumerate(asked):
                body = {"messages": [{"role": "user", "content": text}], "max_tokens": 64, "temperature": 0}
                given = await _ask(gateway, body, "netgpt", "say")
                rows.append({"kind": kind, "asked": text, "how": given.how, "chance": given.chance, "said": given.text})
                if number % 20 == 19:
                    progress(f"{number + 1} of {len(asked)}")
    return rows


def is_asserted(row: Mapping[str, Any]) -> bool:
    """Whether it was answered without a word of doubt of the box's."""
    return row["how"] not in ("said", "withheld", "refused")
