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
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, cast

from netgpt.app.capability import chances, shipped
from netgpt.app.gateway import Gateway, open_gateway
from netgpt.capability.grading import GivenAnswer
from netgpt.capability.profile import of_weights
from netgpt.capability.questions import CheckedQuestion, mixed
from netgpt.confidence.judge import Judge
from netgpt.exchange import Exchange, Request
from netgpt.judgement import TASK_KINDS, Confidence, TaskKind
from netgpt.models.download import file_sha256
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


class Remembering(Judge):
    """Keeps what it was asked last, so that it can be asked again with what was not known then."""

    last: Callable[[float | None], float] = staticmethod(lambda _prior: 0.0)

    def judge(self, body: Mapping[str, Any], answer: str, **known: Any) -> Confidence:
        """As `Judge.judge`."""
        stats = known.get("stats")
        kept = {**known, "stats": replace(stats, first=list(stats.first)) if stats is not None else None}
        self.last = lambda prior: super(Remembering, self).judge(body, answer, **{**kept, "prior": prior}).chance
        return super().judge(body, answer, **known)


def _judges(
    gateway: Gateway, kinds: Mapping[str, str], prior: Callable[[str], float | None], judge: Judge | None = None
) -> None:
    stage = next(each for each in gateway.workflow.stages if isinstance(each, Generate))
    stage.acting = gateway.routing_service.acting(
        judge or Judge(),
        kind_of=lambda text: TaskKind(kinds.get(text, "unknown"), 0.9),
        prior=lambda _target, kind: prior(kind),
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
            judge = Remembering()
            _judges(gateway, kinds, lambda _kind: None, judge)
            alone, again = list[Given](), list[Callable[[float | None], float]]()
            for number, each in enumerate(asked):
                alone.append(await _one(gateway, each, cloud, "netgpt/edge"))
                again.append(judge.last)
                if number % 20 == 19:
                    progress(f"the box alone: {number + 1} of {len(asked)}")
            right = [each.right(GivenAnswer(given.text)) for each, given in zip(asked, alone, strict=True)]
            known = _priors(asked, right)
            begun = []
            for number, each in enumerate(asked):
                _judges(gateway, kinds, {each.kind: known[number]}.get)
                begun.append(await _one(gateway, each, cloud, "netgpt"))
                if number % 20 == 19:
                    progress(f"cascade: {number + 1} of {len(asked)}")
            far = [await _one(gateway, each, cloud, "netgpt/cloud") for each in asked[:20]]
    judged = [told(prior) for told, prior in zip(again, known, strict=True)]
    return {
        "ways": _ways(asked, right, alone, begun, far),
        "cost at equal quality": cost_at_equal_quality(
            right, {"route before, by kind": known, "cascade, by the whole answer": judged}
        ),
        "starts that were given up": _starts(alone, begun),
    }


def _questions(sample: int, seed: int) -> list[CheckedQuestion]:
    each = -(-sample // (len(TASK_KINDS) - 2))
    return [one for one in mixed(seed, each) if not one.check.only_form and not one.tools and one.kind != "tools"]


async def _one(gateway: Gateway, asked: CheckedQuestion, cloud: FaultyCloud, model: str) -> Given:
    cloud.unschedule()
    cloud.schedule("slow_first_byte")
    return await _ask(gateway, asked.body(), model, "answer")


def _priors(asked: Sequence[CheckedQuestion], right: Sequence[bool]) -> list[float]:
    """For each question, how often answers of its kind did in the half that it is not in, drawn to the mean of all."""
    turn = dict.fromkeys(TASK_KINDS, 0)
    halves = [turn.update({each.kind: turn[each.kind] + 1}) or turn[each.kind] % 2 for each in asked]
    rows = list(zip(asked, right, halves, strict=True))
    mean = sum(right) / len(right)

    def known(kind: str, half: int) -> float:
        does = [true for each, true, own in rows if each.kind == kind and own != half]
        return (sum(does) + 4 * mean) / (len(does) + 4)

    return [known(each.kind, half) for each, half in zip(asked, halves, strict=True)]


def _ways(
    asked: Sequence[CheckedQuestion],
    right: Sequence[bool],
    alone: Sequence[Given],
    begun: Sequence[Given],
    far: Sequence[Given],
) -> list[dict[str, Any]]:
    went = [given.by != "edge" for given in begun]
    does = [true or each.right(GivenAnswer(given.text)) for each, true, given in zip(asked, went, begun, strict=True)]
    kept = [(given, true) for given, true, away in zip(begun, does, went, strict=True) if not away]
    gone = [given for given, away in zip(begun, went, strict=True) if away]
    rows: dict[str, tuple[Sequence[Given], Sequence[bool], float]] = {
        "edge only": (alone, right, 0.0), "cloud only": (far, [True], 1.0), "cascade": (begun, does, _mean(went)),
        "cascade: kept": ([given for given, _ in kept], [true for _, true in kept], 0.0),
        "cascade: escalated": (gone, [True], 1.0),
    }  # fmt: skip
    firsts = {name: [given.first_s for given in of] for name, (of, _, _) in rows.items()}
    return [
        {
            "way": name, "answers": len(of), "right": round(_mean(does), 3), "to the cloud": round(share, 3),
            "first word s, median": round(percentile(firsts[name], 0.5), 2),
            "p90": round(percentile(firsts[name], 0.9), 2),
            "whole s, median": round(percentile([given.whole_s for given in of], 0.5), 2),
        }
        for name, (of, does, share) in rows.items() if of
    ]  # fmt: skip


def cost_at_equal_quality(right: Sequence[bool], scores: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
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


def shipped_prior(weights: Path) -> Callable[[str], float | None]:
    """What is known of these weights before anybody measured them here."""
    profile = shipped().of(of_weights(file_sha256(weights)))
    return chances(profile, weights.stem).get


def summed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By kind, then all: how many were asserted."""
    kinds = [*dict.fromkeys(row["kind"] for row in rows), "all"]
    of = {kind: [row for row in rows if kind in (row["kind"], "all")] for kind in kinds}
    return [
        {
            "kind": kind, "questions": len(of[kind]), "withheld": sum(row["how"] == "withheld" for row in of[kind]),
            "said": sum(row["how"] == "said" for row in of[kind]), "asserted": sum(map(is_asserted, of[kind])),
            "not asserted": round(1 - _mean([is_asserted(row) for row in of[kind]]), 3),
        }
        for kind in kinds
    ]  # fmt: skip
