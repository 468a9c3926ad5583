"""The signals of a whole box: real calls fill them, the network's word colours them, doors show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from boxes import exchange, gateway
from doors import door
from patience import until

from netgpt.app.gateway import Gateway
from netgpt.app.routing import network_sources
from netgpt.errors import NetGPTError, SettingsError
from netgpt.settings import load_settings
from netgpt.testing.operator import FakeOperator, Line
from netgpt.testing.server import FaultyCloud
from netgpt.types import Role

LONG = "Please write a program that sorts a list of numbers. " * 6
PROFILE = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


async def answered(opened: Gateway, text: str = LONG) -> None:
    asked = exchange(text, "netgpt/cloud")
    await opened.workflow.run(asked)
    async for _ in asked.chunks:
        pass


async def test_a_real_answer_of_the_cloud_is_felt(tmp_path: Path) -> None:
    async with FaultyCloud("a good answer of some words") as cloud, gateway(tmp_path, cloud) as opened:
        await answered(opened)
        link = opened.signals.view().links["cloud"]
        report = opened.telemetry.as_dict()
    assert link.failures is not None and link.failures.value == 0.0
    assert link.rtt_s is not None or link.first_byte_s is not None
    assert report["links"]["cloud"]["calls"] == 1
    assert report["links"]["cloud"]["last_outcome"] == "ok"


async def test_the_box_is_sampled_while_it_runs(tmp_path: Path) -> None:
    async with gateway(tmp_path) as opened:
        await until(lambda: opened.signals.view().system.memory is not None)
        assert opened.signals.view().system.engine_slots == opened.settings.edge.slots


async def test_the_network_s_word_reaches_the_link_and_its_failure_does_not_stop_the_box(tmp_path: Path) -> None:
    async with FaultyCloud("fine") as cloud, FakeOperator(Line(full=0.95)) as operator:
        insights = {
            "radio_url": operator.radio_url, "radio_cell": "1", "quality_url": operator.quality_url,
            "quality_profile": PROFILE, "every_s": 1, "timeout_s": 3,
        }  # fmt: skip
        async with gateway(tmp_path, cloud, insights=insights) as opened:
            assert operator.received == [], "the box is not in use yet"
            await answered(opened)
            await opened.telemetry.insights.poll()
            assert "cell 95% full" in opened.signals.view().links["cloud"].hint
            assert opened.telemetry.is_up() == {"radio": True, "quality": True}
            operator.fault = "silent"
            await opened.telemetry.insights.poll()
            assert opened.telemetry.is_up() == {"radio": False, "quality": False}
            await answered(opened)
            page = opened.metrics.text().decode()
    assert 'netgpt_insight_up{source="radio"} 0.0' in page


async def test_the_metrics_hold_every_signal_under_names_of_targets(tmp_path: Path) -> None:
    async with FaultyCloud("a good answer of some words") as cloud, gateway(tmp_path, cloud) as opened:
        await answered(opened)
        await until(lambda: opened.signals.view().system.memory is not None)
        page = opened.metrics.text().decode()
    for line in (
        'netgpt_link_failures_ratio{arm="cloud"} 0.0',
        'netgpt_link_calls_total{arm="cloud"} 1.0',
        'netgpt_link_in_flight{arm="cloud"} 0.0',
        'netgpt_link_confidence{arm="cloud",signal="failures"}',
        'netgpt_link_age_seconds{arm="cloud",signal="failures"}',
        "netgpt_box_memory_ratio ",
        "netgpt_engine_slots ",
    ):
        assert line in page, line


async def test_operators_read_signals_and_users_do_not(tmp_path: Path) -> None:
    async with FaultyCloud("fine") as cloud, door(tmp_path, cloud) as opened:
        await answered(opened.gateway)
        open_answer = await opened.get("/v1/signals")
        _, operator = await opened.make_key(role=Role.OPERATOR, tenant="local")
        _, user = await opened.make_key(tenant="local")
        _, narrow = await opened.make_key(role=Role.OPERATOR, tenant="local", scopes=("chat",))
        _, scoped = await opened.make_key(role=Role.OPERATOR, tenant="local", scopes=("signals",))
        _, elsewhere = await opened.make_key(role=Role.OPERATOR)
        keys = (operator, user, narrow, scoped, elsewhere)
        report = [(await opened.get("/v1/signals", key=key)).status_code for key in keys]
    assert open_answer.status_code == 200
    body = open_answer.json()
    assert body["object"] == "netgpt.signals"
    assert body["links"]["cloud"]["failures"]["value"] == 0.0
    assert {"cpu", "memory", "engine_slots"} <= set(body["box"])
    assert report == [200, 403, 403, 200, 403]  # the links are the whole box's: its own tenant's operators see them


def test_no_source_is_asked_unless_configured() -> None:
    assert network_sources(load_settings(environment={}).insights) == ()


@pytest.mark.parametrize(
    ("section", "report"),
    [
        ({"radio_url": "http://mec/rni/v2"}, "radio_cell"),
        ({"quality_url": "http://op/v0.6"}, "quality_profile"),
        ({"device_ipv4": "203.0.113.9"}, "device_private_ipv4"),
        ({"radio_url": "mec"}, "HTTP address"),
    ],
)
def test_half_a_configuration_is_refused_with_its_cure(section: dict[str, Any], report: str) -> None:
    with pytest.raises(SettingsError, match=report):
        load_settings(environment={}, insights=section)


async def test_a_link_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetGPTError, match=r"insights\.arms"):
        async with gateway(tmp_path, insights={"arms": ["moon"]}):
            pass


def test_the_environment_can_say_it_all() -> None:
    environment = {
        "NETGPT_INSIGHTS__RADIO_URL": "http://mec/rni/v2", "NETGPT_INSIGHTS__RADIO_CELL": "7",
        "NETGPT_INSIGHTS__RADIO_TOKEN": "secret-of-mine", "NETGPT_INSIGHTS__ARMS": "cloud,other",
        "NETGPT_SIGNALS__PROBE_S": "0",
    }  # fmt: skip
    settings = load_settings(environment=environment)
    assert settings.insights.arms == ("cloud", "other")
    assert settings.signals.probe_s == 0
    assert "secret-of-mine" not in repr(settings) and "secret-of-mine" not in repr(network_sources(settings.insights))
