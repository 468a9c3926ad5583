"""desensitize with several destinations: one detection, a body for each, the policy asked for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from boxes import answer, exchange, gateway
from upstreams import upstream

from netgpt.errors import DetectorError
from netgpt.exchange import Exchange
from netgpt.outbound import Outbound
from netgpt.privacy.detector import LocalDetector
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Label, Span

TEXT = "write a long essay about ada@mill.example and her work, step by step"


class Counting(LocalDetector):
    """Counts what it is asked; fails on demand."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__(names=False)
        self.asked: list[tuple[str, ...]] = []
        self.fails = fails

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        self.asked.append(tuple(texts))
        if self.fails:
            raise DetectorError("it does not work; nothing was sent")
        return await super().detect(texts, values=values, names=names)


def body_of(outbound: Outbound) -> dict[str, object]:
    return dict(orjson.loads(outbound.content))


async def walked(home: Path, cloud: FaultyCloud, one: Exchange, *, detector: Counting, **settings: object) -> Exchange:
    async with gateway(home, cloud, detector=detector, completion={"mode": "off"}, **settings) as here:  # type: ignore[arg-type]
        await answer(here, one)
    return one


async def test_the_same_terms_share_the_masked_body_and_its_detection(tmp_path: Path) -> None:
    alone, three = Counting(), Counting()
    with FaultyCloud() as cloud:
        await walked(tmp_path / "one", cloud, exchange(TEXT), detector=alone)
        ups = [upstream("b", cloud), {"name": "next", "kind": "neighbour", "base_url": cloud.base_url}]
        one = await walked(tmp_path / "three", cloud, exchange(TEXT), detector=three, upstreams=ups)
    assert three.asked == alone.asked
    assert list(one.outbounds) == ["cloud", "b", "next"] and one.kept_for == {}
    assert one.outbound is one.outbounds["cloud"] and one.label is Label.PERSONAL
    bodies = {target: body_of(outbound) for target, outbound in one.outbounds.items()}
    assert [body.pop("model") for body in bodies.values()] == ["far", "model-of-b", "netgpt/edge"]
    assert bodies["next"].pop("netgpt") == {"complete": "off"}
    assert bodies["cloud"] == bodies["b"] == bodies["next"]
    assert all(outbound.hidden == one.hidden and outbound.rule == "masked" for outbound in one.outbounds.values())
    assert not any(b"ada@mill" in outbound.content for outbound in one.outbounds.values())


async def test_the_policy_is_asked_for_each_destination(tmp_path: Path) -> None:
    file = tmp_path / "own.cedar"
    file.write_text(
        '@id("eu-only") permit (principal, action, resource) when { context.region == "eu" };\n'
        '@id("no-mail") forbid (principal, action == Action::"disclose", resource) when '
        '{ resource.kind == "EMAIL" && context.precision != "placeholder" };\n'
    )
    with FaultyCloud() as cloud:
        ups = [upstream("b", cloud, region="eu"), upstream("c", cloud, region="us")]
        one = await walked(
            tmp_path / "home", cloud, exchange(TEXT), detector=Counting(), upstreams=ups, policy={"set": str(file)}
        )
    assert list(one.outbounds) == ["b"] and one.outbound is one.outbounds["b"]
    assert set(one.kept_for) == {"cloud", "c"} and "no rule allows it" in one.kept_for["c"]
    assert one.kept == () and one.block_reason is None and [hidden.kind for hidden in one.hidden] == ["EMAIL"]


async def test_other_terms_are_sealed_anew_from_one_detection(tmp_path: Path) -> None:
    file = tmp_path / "own.cedar"
    file.write_text(
        '@id("all") permit (principal, action, resource);\n'
        '@id("home-only") forbid (principal, action == Action::"disclose", resource) when '
        '{ resource.kind == "EMAIL" && context.purpose != "home" && context.precision != "placeholder" };\n'
    )
    detector = Counting()
    with FaultyCloud() as cloud:
        ups = [upstream("b", cloud, purpose="home")]
        one = await walked(
            tmp_path / "home", cloud, exchange(TEXT), detector=detector, upstreams=ups, policy={"set": str(file)}
        )
    assert b"[EMAIL_1]" in one.outbounds["cloud"].content and b"ada@mill.example" not in one.outbounds["cloud"].content
    assert b"ada@mill.example" in one.outbounds["b"].content
    firsts = [texts for texts in detector.asked if any("ada@mill" in text for text in texts)]
    # The second round of the body that keeps the address looks for names in fewer of its words.
    assert len(firsts) == 2 and firsts[0] == firsts[1]


@pytest.mark.parametrize(("model", "sealed"), [("netgpt/b", ["b"]), ("netgpt/cloud", ["cloud"]), ("netgpt/edge", [])])
async def test_who_asks_for_one_gets_something_sealed_for_that_one(
    tmp_path: Path, model: str, sealed: list[str]
) -> None:
    with FaultyCloud() as cloud:
        one = await walked(
            tmp_path / "h", cloud, exchange(TEXT, model), detector=Counting(), upstreams=[upstream("b", cloud)]
        )
    assert list(one.outbounds) == sealed and set(one.kept_for) == {"cloud", "b"} - set(sealed)
    assert all("the caller asked for" in why for why in one.kept_for.values())


async def test_a_detector_that_fails_keeps_all_but_the_owners_own_server(tmp_path: Path) -> None:
    detector = Counting(fails=True)
    with FaultyCloud() as cloud:
        ups = [upstream("b", cloud), upstream("own", cloud, trusted=True)]
        one = await walked(tmp_path / "home", cloud, exchange(TEXT), detector=detector, upstreams=ups)
    assert list(one.outbounds) == ["own"] and one.outbounds["own"].rule == "trusted destination"
    assert set(one.kept_for) == {"cloud", "b"} and len(detector.asked) == 1


async def test_an_answer_of_the_owners_own_server_is_not_restored(tmp_path: Path) -> None:
    with FaultyCloud("[EMAIL_1] is what it said") as cloud:
        ups = [upstream("own", cloud, trusted=True)]
        async with gateway(tmp_path / "home", cloud, upstreams=ups, completion={"mode": "off"}) as here:  # type: ignore[arg-type]
            await answer(here, exchange("write to ada@mill.example", "netgpt/cloud", conversation="c"))
            assert await answer(here, exchange("hello ada@mill.example", "own", conversation="c")) == (
                "[EMAIL_1] is what it said"
            )


PLANTED = ("ada@mill.example", "+44 20 7946 0018", "10.11.12.13")


@pytest.mark.parametrize("hedge", ["off", "any"])
async def test_nothing_private_reaches_any_of_the_targets_that_are_tried(tmp_path: Path, hedge: str) -> None:
    text = f"write a long essay, step by step, on {', '.join(PLANTED)} and what they mean"
    rules = {"hedge": hedge, "hedge_after_s": 0.05}
    with FaultyCloud(slow_s=2.5) as first, FaultyCloud() as second, FaultyCloud() as third:
        ups = [upstream("b", second, region="eu"), upstream("c", third)]
        made: Any = {"upstreams": ups, "routing": rules, "completion": {"mode": "off"}}
        async with gateway(tmp_path, first, edge=ScriptedModel(down="asleep"), **made) as here:
            first.schedule(Fault.SLOW_FIRST_BYTE if hedge == "any" else Fault.SERVER_ERROR)
            second.schedule(Fault.SERVER_ERROR)
            one = exchange(text, stream=True)
            said = await answer(here, one)
            rows = await here.store.receipts.page(None, 10, None)
    assert all(value in said for value in PLANTED), "the echo comes back with the person's own words"
    assert len(one.outcome.sent_to) >= 2 and len(rows) == len(one.outcome.sent_to)
    for cloud in (first, second, third):
        assert not any(value.encode() in cloud.all_bytes() for value in PLANTED)


async def test_a_neighbour_of_the_owners_is_reported_to_leave_the_words_as_they_are(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        ups = [{"name": "next", "kind": "neighbour", "base_url": cloud.base_url, "trusted": True}]
        one = await walked(tmp_path, cloud, exchange(TEXT), detector=Counting(), upstreams=ups)
    sent = one.outbounds["next"]
    assert sent.rule == "trusted destination" and body_of(sent)["netgpt"] == {"complete": "off"}
    assert "netgpt" not in body_of(one.outbounds["cloud"])
