"""`FakeOperator`: an operator's network on loopback, with a cell and a link whose state may be set at any time.

It answers what `netgpt.telco` asks: radio information (ETSI MEC 012) and connectivity insights (CAMARA). Its answers
are made here from those documents' fields; they are no recording of any network. For tests, and to try the settings:
`python -m netgpt.testing.operator --port 9998`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from netgpt.testing.server import Connection, FakeHttp, ReceivedRequest

_FOREVER_S = 86_400.0
_HUGE_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """How the box's connection is. Shares 0 to 1; rates in megabits a second."""

    full: float = 0.2
    """The cell's resource blocks in use."""
    loss: float = 0.0
    delay_ms: int = 12
    rate_mbit: float = 40.0
    most_mbit: float = 100.0
    strength: str = "good"
    """excellent, good, fair, poor, no signal."""
    access: str = "5G-SA"
    unmet: tuple[str, ...] = ()
    """Needs that will not be met, in the interface's words, such as "jitter"."""


class FakeOperator(FakeHttp):
    """A context manager, sync and async.

    line:  the state that it answers with; may be set at any time.
    token: the only bearer accepted; None accepts any.
    fault: None, or how every answer fails: "error" (500), "unauthorized", "not_found", "malformed", "not_an_object",
           "empty", "huge", "silent", "hangup"; may be set at any time.
    """

    def __init__(
        self, line: Line | None = None, *, token: str | None = None, fault: str | None = None, port: int = 0
    ) -> None:
        super().__init__(port)
        self.line, self.token, self.fault = line or Line(), token, fault
        self.received: list[ReceivedRequest] = []

    @property
    def radio_url(self) -> str:
        """What to configure as `insights.radio_url`."""
        return f"http://127.0.0.1:{self.port}/rni/v2"

    @property
    def quality_url(self) -> str:
        """What to configure as `insights.quality_url`."""
        return f"http://127.0.0.1:{self.port}/connectivity-insights/v0.6"

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        """Answer one question."""
        self.received.append(request)
        if self.fault == "silent":
            await asyncio.sleep(_FOREVER_S)
        if self.fault == "hangup":
            connection.abort()
            return
        status, document = self._answer(request)
        body = {"malformed": b'{"cellInfo": [', "not_an_object": b"[1]", "empty": b"{}"}.get(self.fault or "")
        if self.fault == "huge":
            body = b'"' + b"x" * _HUGE_BYTES + b'"'
        connection.answer(status, orjson.dumps(document) if body is None else body)

    def _answer(self, request: ReceivedRequest) -> tuple[int, dict[str, Any]]:
        if self.fault == "error":
            return 500, {"status": 500, "code": "INTERNAL", "message": "it broke"}
        if self.fault == "unauthorized" or (
            self.token is not None and request.header("authorization") != f"Bearer {self.token}"
        ):
            return 401, {"status": 401, "code": "UNAUTHENTICATED", "message": "who are you"}
        path = urlsplit(request.path)
        if self.fault == "not_found":
            return 404, {"status": 404, "code": "NOT_FOUND", "message": "no such thing"}
        if (request.method, path.path) == ("GET", "/rni/v2/queries/layer2_meas"):
            return 200, self._measurements(parse_qs(path.query))
        if (request.method, path.path) == ("GET", "/rni/v2/queries/rab_info"):
            return 200, self._bearers()
        if (request.method, path.path) == ("POST", "/connectivity-insights/v0.6/check-network-quality"):
            return 200, self._quality()
        return 404, {"status": 404, "code": "NOT_FOUND", "message": "no such path"}

    def _measurements(self, query: dict[str, list[str]]) -> dict[str, Any]:
        line = self.line
        percent, dropped, rate = round(line.full * 100), round(line.loss * 100), round(line.rate_mbit * 1000)
        found: dict[str, Any] = {"timeStamp": _stamp()}
        if "cell_id" in query:
            found["cellInfo"] = [
                {"ecgi": _CELL, "dl_total_prb_usage_cell": percent, "ul_total_prb_usage_cell": percent // 2,
                 "dl_nongbr_pdr_cell": dropped, "ul_nongbr_pdr_cell": dropped}
            ]  # fmt: skip
        if "ue_ipv4_address" in query:
            found["cellUEInfo"] = [
                {"ecgi": _CELL, "associateId": {"type": 1, "value": query["ue_ipv4_address"][0]},
                 "dl_nongbr_delay_ue": line.delay_ms, "ul_nongbr_delay_ue": line.delay_ms,
                 "dl_nongbr_pdr_ue": dropped, "ul_nongbr_pdr_ue": dropped,
                 "dl_nongbr_throughput_ue": rate, "ul_nongbr_throughput_ue": rate // 4}
            ]  # fmt: skip
        return found

    def _bearers(self) -> dict[str, Any]:
        most = round(self.line.most_mbit * 1e6)
        rates = {"erabGbrDl": 0, "erabGbrUl": 0, "erabMbrDl": most, "erabMbrUl": most // 2}
        bearer = {"erabId": 5, "erabQosParameters": {"qci": 9, "qosInformation": rates}}
        users = [{"ecgi": _CELL, "ueInfo": [{"erabInfo": [bearer]}]}]
        return {"appInstanceId": "netgpt", "requestId": "1", "timeStamp": _stamp(), "cellUserInfo": users}

    def _quality(self) -> dict[str, Any]:
        rates = ("packetDelayBudget", "targetMinDownstreamRate", "targetMinUpstreamRate", "packetlossErrorRate")
        needs = (*rates, "jitter")
        words = {need: ("unable to meet" if need in self.line.unmet else "meets") for need in needs}
        found: dict[str, Any] = {need: f"{word} the application requirements" for need, word in words.items()}
        return found | {"additionalKPIs": {"signalStrength": self.line.strength, "connectivityType": self.line.access}}


_CELL = {"plmn": {"mcc": "001", "mnc": "01"}, "cellId": "0x800000A"}


def _stamp() -> dict[str, int]:
    return {"seconds": int(time.time()), "nanoSeconds": 0}


def main() -> None:
    """Serve until interrupted; the two addresses to configure are the first lines of the output."""
    import argparse
    import sys
    from contextlib import suppress

    parser = argparse.ArgumentParser(prog="python -m netgpt.testing.operator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--full", type=float, default=0.2, help="share of the cell in use, 0 to 1")
    parser.add_argument("--strength", default="good", help="excellent, good, fair, poor, no signal")
    given = parser.parse_args()
    with (
        FakeOperator(Line(full=given.full, strength=given.strength), port=given.port) as operator,
        suppress(KeyboardInterrupt),
    ):
        sys.stdout.write(f"{operator.radio_url}\n{operator.quality_url}\n")
        sys.stdout.flush()
        while True:
            time.sleep(_FOREVER_S)


if __name__ == "__main__":
    main()
