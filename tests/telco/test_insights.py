"""The operator's network over real HTTP: what is asked, what is understood, what happens when it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import SettingsError
from netgpt.telco import (
    Insight,
    InsightClient,
    InsightSource,
    InsightWatch,
    Polled,
    QualityOfLine,
    RadioInformation,
    Token,
    read_bearers,
    read_measurements,
    read_quality,
)
from netgpt.testing.operator import FakeOperator, Line

TOKEN = "token-never-shown"
PROFILE = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
DEVICE = {"ipv4Address": {"publicAddress": "203.0.113.9", "publicPort": 4000}}
FAULTS = ["error", "unauthorized", "not_found", "malformed", "not_an_object", "empty", "huge", "silent", "hangup"]


def radio(operator: FakeOperator, **more: Any) -> RadioInformation:
    return RadioInformation(
        operator.radio_url, **{"token": Token(TOKEN), "cell": "0x800000A", "ipv4": "10.1.2.3", **more}
    )


def quality(operator: FakeOperator, **more: Any) -> QualityOfLine:
    return QualityOfLine(operator.quality_url, PROFILE, **{"token": Token(TOKEN), "device": DEVICE, **more})


async def asked(source: InsightSource, timeout_s: float = 30.0) -> Polled:
    client = InsightClient(timeout_s=timeout_s)
    try:
        return await source.ask(client)
    finally:
        await client.close()


def word(polled: Polled) -> Insight:
    assert polled.insight is not None, polled.detail
    return polled.insight


async def test_a_quiet_cell_stands_in_nobodys_way() -> None:
    async with FakeOperator(token=TOKEN) as operator:
        insight = word(await asked(radio(operator)))
    assert insight.grade > 0.9
    assert "cell 20% full" in insight.text
    assert insight.delay_s == 0.012
    assert insight.down_bytes_s == 100 * 125_000, "the bound of the bearer"


async def test_a_full_cell_that_drops_packets_is_reported() -> None:
    async with FakeOperator(Line(full=0.97, loss=0.04, delay_ms=180)) as operator:
        insight = word(await asked(radio(operator)))
    assert insight.grade < 0.5
    assert insight.loss == pytest.approx(0.04)
    assert "97%" in insight.text and "180 ms" in insight.text


async def test_without_an_own_address_only_the_cell_is_asked_for() -> None:
    async with FakeOperator() as operator:
        insight = word(await asked(radio(operator, ipv4="")))
        paths = [request.path for request in operator.received]
    assert paths == ["/rni/v2/queries/layer2_meas?cell_id=0x800000A"]
    assert insight.delay_s is None and insight.down_bytes_s is None


async def test_the_line_meets_the_needs() -> None:
    async with FakeOperator(token=TOKEN) as operator:
        insight = word(await asked(quality(operator, server={"ipv4Address": "198.51.100.7"})))
        sent = operator.received[0]
    assert insight.grade == 1.0
    assert insight.text == "5G-SA, signal good, meets the needs set"
    assert json.loads(sent.body) == {
        "applicationProfileId": PROFILE, "device": DEVICE, "applicationServer": {"ipv4Address": "198.51.100.7"},
    }  # fmt: skip


async def test_needs_that_will_not_be_met_are_named() -> None:
    async with FakeOperator(Line(unmet=("jitter", "packetDelayBudget"), strength="fair", access="4G")) as operator:
        insight = word(await asked(quality(operator, device=None)))
        assert "device" not in json.loads(operator.received[0].body), "the token stands for the line"
    assert insight.text == "4G, signal fair, will not meet: delay, jitter"
    assert insight.grade == pytest.approx(0.3 + 0.7 * 3 / 5)


async def test_no_signal_is_no_service() -> None:
    async with FakeOperator(Line(strength="no signal")) as operator:
        assert word(await asked(quality(operator))).grade == 0.0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("make", [radio, quality])
async def test_whatever_it_does_is_reported_in_a_sentence_without_secrets(make: Any, fault: str) -> None:
    async with FakeOperator(fault=fault) as operator:
        source = make(operator)
        polled = await asked(source, 0.3 if fault == "silent" else 30.0)
    assert not polled.ok
    assert len(polled.detail) > 10
    for secret in (TOKEN, "203.0.113.9", "10.1.2.3", "who are you"):
        assert secret not in polled.detail
        assert secret not in repr(source)


async def test_nobody_there_is_reported_too() -> None:
    async with FakeOperator() as operator:
        source = radio(operator)
    polled = await asked(source)
    assert not polled.ok and "cannot be reached" in polled.detail


async def test_a_wrong_token_names_the_cure() -> None:
    async with FakeOperator(token="another") as operator:
        polled = await asked(radio(operator))
    assert "[insights]" in polled.detail and "401" in polled.detail


async def test_nothing_but_the_settings_and_the_token_is_sent() -> None:
    async with FakeOperator() as operator:
        await asked(radio(operator, app="box-1"))
        await asked(quality(operator))
        seen = [(r.method, r.path, {name for name, _ in r.headers}) for r in operator.received]
    names = {"host", "accept", "accept-encoding", "connection", "user-agent", "authorization"}
    assert all(headers <= names | {"content-type", "content-length"} for _, _, headers in seen)
    query = "?app_ins_id=box-1&cell_id=0x800000A&ue_ipv4_address=10.1.2.3"
    assert [path for _, path, _ in seen[:2]] == [
        f"/rni/v2/queries/{what}{query}" for what in ("layer2_meas", "rab_info")
    ]


async def test_a_token_in_a_file_is_read_at_every_question(tmp_path: Path) -> None:
    file = tmp_path / "token"
    async with FakeOperator(token=TOKEN) as operator:
        source = radio(operator, ipv4="", token=Token(None, file))
        missing = await asked(source)
        file.write_text("an old one\n")
        old = await asked(source)
        file.write_text(TOKEN + "\n")
        renewed = await asked(source)
    assert "file with its token" in missing.detail and len(operator.received) == 2
    assert "401" in old.detail
    assert renewed.ok


def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(SettingsError, match=r"insights\.ca_file"):
        InsightClient(timeout_s=1, ca_file=tmp_path / "ca.pem")


@pytest.mark.parametrize("token", ["schlüssel", "two\nlines"])
async def test_a_token_that_no_header_carries_is_reported(token: str) -> None:
    polled = await asked(RadioInformation("http://127.0.0.1:9/rni/v2", Token(token)))
    assert "characters" in polled.detail and token not in polled.detail


async def test_the_watch_passes_on_what_it_hears_and_goes_on_after_a_failure() -> None:
    report: list[tuple[str, Insight]] = []
    async with FakeOperator(fault="error") as operator:
        client = InsightClient(timeout_s=30)
        watch = InsightWatch(
            [radio(operator), quality(operator)],
            client,
            every_s=1,
            on_insight=lambda name, insight: report.append((name, insight)),
        )
        await watch.poll()
        assert not report and [polled.ok for polled in watch.polled.values()] == [False, False]
        operator.fault = None
        await watch.poll()
        await watch.close()
    assert [name for name, _ in report] == ["radio", "quality"]
    assert all(polled.ok for polled in watch.polled.values())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["cellInfo", "cellUEInfo", "cellUserInfo", "additionalKPIs", "jitter", "packetDelayBudget"])


@given(
    st.dictionaries(
        KEYS,
        json_values
        | st.lists(
            st.dictionaries(
                st.sampled_from(["dl_total_prb_usage_cell", "dl_nongbr_delay_ue", "ueInfo", "dl_nongbr_pdr_ue"]),
                json_values,
            ),
            max_size=3,
        ),
    )
)
def test_any_json_is_read_without_a_fault(report: dict[str, Any]) -> None:
    found = {**read_measurements(report), **read_bearers(report)}
    assert all(value >= 0 for value in found.values())
    insight = read_quality(report)
    assert insight is None or 0 <= insight.grade <= 1
