"""Against mocks made from the published documents: our questions match them, and their answers are understood."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from published import PublishedMock, document, validator

from netgpt.app.routing import network_sources
from netgpt.settings.routing import Insights
from netgpt.telco import InsightClient, InsightSource, Polled, QualityOfLine, RadioInformation, Token
from netgpt.testing.operator import FakeOperator, Line

RADIO = "mec/mec012-rnis-v2.1.1.yaml"
QUALITY = "camara/connectivity-insights.yaml"
PROFILE = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
DEVICES: list[dict[str, Any]] = [
    {},
    {"device_ipv4": "203.0.113.9", "device_port": 4000},
    {"device_ipv4": "203.0.113.9", "device_private_ipv4": "10.1.2.3"},
    {"device_ipv6": "2001:db8::7"},
    {"device_phone": "+441632960000"},
]


async def asked(source: InsightSource) -> Polled:
    client = InsightClient(timeout_s=30)
    try:
        return await source.ask(client)
    finally:
        await client.close()


async def test_radio_information_asks_and_understands_what_is_published() -> None:
    async with PublishedMock(document(RADIO), "/rni/v2") as platform:
        source = RadioInformation(platform.base_url, Token("t"), cell="0x800000A", ipv4="10.1.2.3", app="box-1")
        polled = await asked(source)
    assert platform.faults == []
    assert platform.asked == ["GET /queries/layer2_meas", "GET /queries/rab_info"]
    assert polled.insight is not None
    assert "cell 40% full" in polled.detail
    assert polled.insight.delay_s == pytest.approx(0.040)
    assert polled.insight.down_bytes_s == pytest.approx(40 / 8), "bits a second"


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: "+".join(device) or "token")
@pytest.mark.parametrize("server", ["", "198.51.100.0/24", "2001:db8::/64"])
async def test_connectivity_insights_asks_and_understands_what_is_published(
    device: dict[str, Any], server: str
) -> None:
    async with PublishedMock(document(QUALITY), "/connectivity-insights/v0.6") as operator:
        settings = Insights(quality_url=operator.base_url, quality_profile=PROFILE, quality_server=server, **device)
        (source,) = network_sources(settings)
        polled = await asked(source)
    assert operator.faults == []
    assert operator.asked == ["POST /check-network-quality"]
    assert polled.insight is not None
    assert polled.detail == "5G-SA, signal excellent, meets the needs set"


@pytest.mark.parametrize(
    "line", [Line(), Line(full=1.0, loss=0.5, strength="no signal", unmet=("jitter",), access="3G")]
)
async def test_our_own_simulator_says_what_is_published(line: Line) -> None:
    radio, quality = document(RADIO), document(QUALITY)
    report: dict[str, dict[str, Any]] = {}

    class Ear(InsightClient):
        async def get(self, url: str, *rest: Any) -> Any:
            report[urlsplit(url).path] = answer = dict(await super().get(url, *rest))
            return answer

        async def post(self, url: str, *rest: Any) -> Any:
            report[urlsplit(url).path] = answer = dict(await super().post(url, *rest))
            return answer

    async with FakeOperator(line) as operator:
        ear = Ear(timeout_s=30)
        await asyncio.gather(
            RadioInformation(operator.radio_url, cell="1", ipv4="10.1.2.3").ask(ear),
            QualityOfLine(operator.quality_url, PROFILE).ask(ear),
        )
        await ear.close()
    for doc, prefix in ((radio, "/rni/v2"), (quality, "/connectivity-insights/v0.6")):
        for path, answer in report.items():
            if not path.startswith(prefix):
                continue
            operation = next(iter(doc["paths"][path.removeprefix(prefix)].values()))
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert [error.message for error in validator(doc, schema).iter_errors(answer)] == []
    assert len(report) == 3
