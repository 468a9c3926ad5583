"""The parts that decide, made from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from boxes import exchange, fill

from netgpt.app.routing import EVERYDAY, RoutingService, targets_of
from netgpt.outbound import Outcome
from netgpt.settings import Settings, load_settings
from netgpt.testing.models import ScriptedModel
from netgpt.types import Decision
from netgpt.word_pieces import StaticEmbedder

CLOUD = {"base_url": "https://far.example/v1", "price_prompt": 2.5, "price_completion": 10.0}
GARAGE = {"name": "garage", "kind": "neighbour", "base_url": "http://garage.example/v1"}
EU = {"name": "eu", "base_url": "https://eu.example/v1", "model": "m", "quality": 0.7, "price_completion": 3.0}


def made(home: Path, **sections: Any) -> Settings:
    return load_settings(environment={}, home=home, **sections)


def test_targets_are_what_the_settings_say(tmp_path: Path) -> None:
    edge, cloud, garage, eu = targets_of(made(tmp_path, cloud=CLOUD, upstreams=[GARAGE, EU]))
    assert (edge.route, edge.context_tokens, edge.reads_media) == ("edge", 2048, False)
    assert (cloud.name, cloud.price_prompt, cloud.price_completion, cloud.quality) == ("cloud", 2.5, 10.0, 0.9)
    assert (garage.name, garage.kind, garage.reads_media) == ("garage", "neighbour", False)
    assert (eu.name, eu.kind, eu.quality, eu.price_completion) == ("eu", "cloud", 0.7, 3.0)


def test_a_box_alone_has_a_cloud_that_is_not_there(tmp_path: Path) -> None:
    edge, cloud = targets_of(made(tmp_path))
    assert edge.ok and not cloud.ok and cloud.detail == "no cloud is configured"


async def test_difficulty_is_read_against_what_is_usual(tmp_path: Path) -> None:
    routing_service = RoutingService(made(tmp_path, cloud=CLOUD), StaticEmbedder())
    await routing_service.start()
    read, usual = routing_service.context.assess, routing_service.context.p_usual
    assert read is not None and sorted(read(text).p_edge_ok for text in EVERYDAY)[2] == pytest.approx(usual)
    alone = RoutingService(made(tmp_path), StaticEmbedder())
    await alone.start()
    assert alone.context.assess is None


def test_settings_of_decisions_are_bounded(tmp_path: Path) -> None:
    from netgpt.errors import SettingsError

    rules = made(tmp_path, routing={"prefer": "cheap", "max_cloud_share": 0.3, "weights": {"cost": 2}}).routing
    assert (rules.prefer, rules.max_cloud_share, rules.weights.cost, rules.weights.quality) == ("cheap", 0.3, 2, None)
    for wrong in (
        {"prefer": "speed"}, {"max_cloud_share": 1.5}, {"weights": {"cost": -1}}, {"weights": {"speed": 1}},
        {"answer_worth": 0},
    ):  # fmt: skip
        with pytest.raises(SettingsError, match=r"routing\."):
            made(tmp_path, routing=wrong)
    env = {"NETGPT_ROUTING__WEIGHTS__COST": "2.5", "NETGPT_ROUTING__MAX_CLOUD_SHARE": "0.2"}
    report = load_settings(environment=env, home=tmp_path).routing
    assert (report.weights.cost, report.max_cloud_share) == (2.5, 0.2)


def test_what_fell_back_on_a_cloud_counts_towards_its_share(tmp_path: Path) -> None:
    routing_service = RoutingService(
        made(tmp_path, cloud=CLOUD, upstreams=[GARAGE], routing={"max_cloud_share": 0.3}), StaticEmbedder()
    )
    route, share = routing_service.stage(ScriptedModel("hi"), {}, names={}), routing_service.context.memory.share
    for decided, sent, counts in (
        ("edge", [("cloud", "sha")], True), ("edge", [("garage", "sha")], False), ("cloud", [("cloud", "sha")], False),
        ("edge", [], False),
    ):  # fmt: skip
        decision, before = Decision("edge", "because", "rule", target=decided), share.credit
        route.count_fallback(fill(exchange("hello"), decision=decision, outcome=Outcome(decision, sent_to=tuple(sent))))
        assert (share.credit < before) is counts
    route.count_fallback(exchange("refused before it was decided"))
