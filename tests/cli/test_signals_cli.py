"""`netgpt signals` against a gateway that runs, and against none; the lines of `netgpt doctor`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from netgpt.app import doctor
from netgpt.cli.signals import signals
from netgpt.settings import load_settings
from netgpt.testing.operator import FakeOperator
from netgpt.testing.server import Connection, FakeHttp, ReceivedRequest

TOLD: dict[str, Any] = {
    "object": "netgpt.signals",
    "links": {
        "cloud": {
            "rtt_s": {"value": 0.0312, "age_s": 1.0, "confidence": 0.9}, "jitter_s": None, "up_bytes_s": None,
            "loss": {"value": 0.0, "age_s": 1.0, "confidence": 0.5},
            "down_bytes_s": {"value": 5e6, "age_s": 400.0, "confidence": 0.01},
            "first_byte_s": {"value": 0.42, "age_s": 1.0, "confidence": 0.9},
            "tokens_s": {"value": 61.3, "age_s": 1.0, "confidence": 0.9},
            "failures": {"value": 0.05, "age_s": 1.0, "confidence": 0.9},
            "in_flight": 2, "hint": "cell 95% full", "calls": 12, "failed": 1, "retries": 0, "last_outcome": "ok",
        }
    },
    "box": {
        "cpu": 0.31, "memory": 0.5, "cpu_pressure": 0.01, "memory_pressure": 0.0, "temperature_c": 61.0, "gpu": None,
        "gpu_memory": None, "power_w": None, "engine_slots": 2, "engine_busy": 1, "engine_waiting": 0,
        "engine_tokens_s": 48.0, "engine_prompt_tokens_s": 210.0,
    },
    "probes": 3, "insights": {"radio": "cell 95% full"},
}  # fmt: skip


class Gateway(FakeHttp):
    """Answers /v1/signals to those who show the key."""

    def __init__(self, key: str | None = None) -> None:
        super().__init__()
        self.key = key
        self.asked, self.answers = 0, 1_000

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        self.asked += 1
        if self.asked > self.answers:
            connection.abort()
        elif self.key is not None and request.header("authorization") != f"Bearer {self.key}":
            connection.answer(401, b"{}")
        else:
            connection.answer(200 if request.path == "/v1/signals" else 404, json.dumps(TOLD).encode())


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    server = Gateway()
    server.start()
    yield server
    server.stop()


def ran(*arguments: str, **env: str) -> Any:
    app = typer.Typer()
    app.command()(signals)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160", **env})


def test_the_tables_show_links_and_box(gateway: Gateway) -> None:
    result = ran("--url", f"http://127.0.0.1:{gateway.port}")
    assert result.exit_code == 0, result.output
    for words in (
        "cloud",
        "31 ms",
        "420 ms",
        "40.0 Mbit/s",
        "12, 1 failed",
        "cell 95% full",
        "1 of 2, 0 wait",
        "61 °C",
    ):
        assert words in result.output, words
    assert "jitter" not in result.output, "what nobody measured has no column"


def test_json_is_what_the_gateway_said(gateway: Gateway) -> None:
    result = ran("--url", f"http://127.0.0.1:{gateway.port}", "--json")
    assert json.loads(result.stdout) == TOLD


def test_the_address_is_the_settings_own(gateway: Gateway) -> None:
    result = ran("--json", NETGPT_SERVER__PORT=str(gateway.port), NETGPT_SERVER__HOST="0.0.0.0")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == TOLD


def test_a_key_is_taken_from_the_environment(gateway: Gateway) -> None:
    gateway.key = "operators-key"
    refused = ran("--url", f"http://127.0.0.1:{gateway.port}")
    assert refused.exit_code == 2 and "NETGPT_KEY" in refused.output
    assert ran("--url", f"http://127.0.0.1:{gateway.port}", NETGPT_KEY="operators-key").exit_code == 0


def test_nobody_there_names_the_cure(gateway: Gateway) -> None:
    port = gateway.port
    gateway.stop()
    result = ran("--url", f"http://127.0.0.1:{port}")
    assert result.exit_code == 1 and "netgpt serve" in result.output


def test_watching_shows_it_anew_and_says_when_the_gateway_is_gone(gateway: Gateway) -> None:
    gateway.answers = 2
    result = ran("--url", f"http://127.0.0.1:{gateway.port}", "--watch")
    assert gateway.asked == 3
    assert result.exit_code == 1 and "no gateway answers" in result.output


def test_another_server_is_reported_as_that(gateway: Gateway) -> None:
    result = ran("--url", f"http://127.0.0.1:{gateway.port}/elsewhere")
    assert result.exit_code == 1 and "404" in result.output


async def test_doctor_says_what_the_machine_measures() -> None:
    state, detail = await doctor.check_gateway(load_settings())
    assert state == "ok"
    assert "memory" in detail and "10 s" in detail


async def test_doctor_says_whether_the_network_answers(clean_environment: Path) -> None:
    assert (await doctor.check_insights(load_settings()))[0] == "note"
    operator = FakeOperator()
    await asyncio.to_thread(operator.start)
    given = load_settings(insights={"radio_url": operator.radio_url, "radio_cell": "1"})
    good = await doctor.check_insights(given)
    await asyncio.to_thread(operator.stop)
    bad = await doctor.check_insights(given)
    assert good == ("ok", "radio: cell 20% full, 0.0% of packets dropped")
    assert bad[0] == "wrong" and "cannot be reached" in bad[1]
