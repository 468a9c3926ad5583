"""An operator's server that is hostile or broken: no insight and one safe sentence, in time, and the box goes on."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from hypothesis import given
from hypothesis import strategies as st

from netgpt.telco import (
    Insight,
    InsightClient,
    InsightWatch,
    QualityOfLine,
    RadioInformation,
    read_bearers,
    read_measurements,
    read_quality,
)
from netgpt.testing.server import Connection, FakeHttp, ReceivedRequest

FULL = {"cellInfo": [{"dl_total_prb_usage_cell": 50}]}


class Operator(FakeHttp):
    """Answers every question with these bytes, a whole answer with its head; `drip`: one byte after the other."""

    def __init__(self, said: bytes, *, drip: bool = False, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.said, self.drip = said, drip
        self.received: list[ReceivedRequest] = []

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        self.received.append(request)
        if self.drip:
            for byte in self.said:
                connection.write(bytes([byte]))
                await asyncio.sleep(0.02)
        connection.write(self.said)
        connection.close()


def said(body: Any, *lines: str, status: str = "200 OK") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(data)}", *lines, "", ""]
    return "\r\n".join(head).encode() + data


def deep(levels: int) -> bytes:
    return b'{"cellInfo": ' + b"[" * levels + b"]" * levels + b"}"


BAD: dict[str, bytes] = {
    "deep": said(deep(100_000)), "10^400": said(b'{"cellInfo": [{"dl_total_prb_usage_cell": 1' + b"0" * 400 + b"}]}"),
    "NaN": said(b'{"cellInfo": [{"dl_total_prb_usage_cell": NaN}]}'), "a list": said([FULL]), "a text": said("full"),
    "half": said(FULL)[:-5], "two": said(json.dumps(FULL).encode() * 2), "not UTF-8": said(b'{"a": "\xff"}'),
    "a redirect": said(b"", "location: http://127.0.0.1:1/x", status="302 Found"),
    "a redirect to a file": said(b"", "location: file:///etc/passwd", status="307 Temporary Redirect"),
    "packed": said(gzip.compress(b"[" * 50_000_000, 9, mtime=0), "content-encoding: gzip"),
    "packed, small": said(gzip.compress(json.dumps(FULL).encode()), "content-encoding: gzip"),
    "packed twice": said(b"x", "content-encoding: gzip, br"),
    "too large": said(b" " * 1_100_000), "an endless head": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 60_000,
    "two lengths": said(FULL, "content-length: 5"), "no HTTP": b"\x00\x01", "nothing": b"",
    "status 999": said(FULL, status="999 What"), "status 204": said(b"", status="204 No Content"),
    "other types": said({"cellInfo": {"a": 1}, "jitter": ["x"], "additionalKPIs": [1], "cellUEInfo": "x"}),
    "values that are none": said({"cellInfo": [None, 5, {"dl_total_prb_usage_cell": "50", "ul_nongbr_pdr_cell": -1}]}),
    "no keys": said({"additionalKPIs": {"signalStrength": {"a": []}, "connectivityType": ["4G"]}}),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_answer_is_no_insight(name: str) -> None:
    with Operator(BAD[name]) as operator:
        client = InsightClient(timeout_s=30.0)
        for source in (RadioInformation(operator.url, ipv4="10.1.2.3"), QualityOfLine(operator.url, "p")):
            polled = await source.ask(client)
            assert polled.insight is None
            assert 0 < len(polled.detail) < 200 and "passwd" not in polled.detail
        await client.close()
        assert all(request.header("accept-encoding") == "identity" for request in operator.received)
        # A question on a connection that the operator has just closed may be lost; it is not asked again.
        assert 1 <= len(operator.received) <= 3, "a redirect is not followed, nothing is tried again"


@pytest.mark.parametrize("body", [FULL, {"x": "y" * 100_000}])
async def test_a_slow_drip_ends_in_time(body: Any) -> None:
    with Operator(said(body), drip=True) as operator:
        client = InsightClient(timeout_s=0.3)
        polled = await asyncio.wait_for(RadioInformation(operator.url).ask(client), 60)
        assert polled.insight is None and "said nothing for 0.3 s" in polled.detail
        await client.close()


async def test_a_certificate_of_nobody_known_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Operator(said(FULL), tls=authority.make("operator", "127.0.0.1").server()) as operator:
        client = InsightClient(timeout_s=30.0)
        polled = await RadioInformation(operator.url).ask(client)
        assert polled.insight is None and "cannot be reached" in polled.detail
        await client.close()
        assert not operator.received


async def test_the_watch_goes_on_after_every_kind_of_answer() -> None:
    seen: list[tuple[str, Insight]] = []
    with Operator(b"") as operator:
        watch = InsightWatch(
            (RadioInformation(operator.url),), InsightClient(timeout_s=30.0), every_s=60,
            on_insight=lambda name, insight: seen.append((name, insight)),
        )  # fmt: skip
        for operator.said in (*BAD.values(), said(FULL)):
            await watch.poll()
        await watch.close()
    assert len(seen) == 1 and seen[0][1].text == "cell 50% full"


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["meets the application requirements", "good", "4G"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["cellInfo", "cellUEInfo", "cellUserInfo", "ueInfo", "erabInfo", "erabQosParameters", "jitter",
                         "qosInformation", "erabMbrDl", "dl_nongbr_delay_ue", "additionalKPIs", "signalStrength",
                         "connectivityType", "dl_total_prb_usage_cell"]), inner, max_size=4),
    max_leaves=25,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["cellInfo", "cellUEInfo", "cellUserInfo", "additionalKPIs", "jitter"]), values))
def test_whatever_a_reply_holds_the_figures_can_be_used(reply: dict[str, Any]) -> None:
    figures = {**read_measurements(reply), **read_bearers(reply)}
    assert all(0 <= figure < 1e18 for figure in figures.values())
    insight = read_quality(reply)
    assert insight is None or (0 <= insight.grade <= 1 and len(insight.text) < 200)
