"""A public judge that nobody here wrote, pii-leak-benchmark: its own cloud, its own values, its own verdict."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pii_leak_benchmark import selfcheck
from pii_leak_benchmark.http_profile import capture_session, run_http_conformance
from serving import Served

KINDS = {"AWS_ACCESS_KEY_ID", "CREDIT_CARD", "EMAIL", "GITHUB_TOKEN", "SLACK_TOKEN", "SSN"}
"""What the judge plants in one request; as it says itself, no names and no addresses."""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


class Judged:
    """A gateway whose cloud is the judge, which opens it anew for each measurement."""

    def __init__(self, box: Served, port: int) -> None:
        self.box, self.port = box, port

    def measure(self, seed: str, base_url: str = "") -> dict[str, Any]:
        with capture_session(capture_port=self.port) as session:
            report: dict[str, Any] = run_http_conformance(
                base_url or f"{self.box.url}/v1", model="netgpt/cloud", iterations=1, session=session,
                include_credentials=True, fixture_seed=seed,
            )  # fmt: skip
        return report


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    port = free_port()
    with Served(tmp_path_factory.mktemp("home"), cloud__base_url=f"http://127.0.0.1:{port}/v1") as box:
        yield Judged(box, port)


@pytest.mark.parametrize("seed", ["anvil", "bobbin", "candle", "dowel"])
def test_the_verdict_is_clean(judged: Judged, seed: str) -> None:
    """Nothing planted reached it, every value came back, and its innocent marker words were left alone."""
    report = judged.measure(seed)
    assert set(report["fixture"]["formats"]) == KINDS
    boundary = report["checks"]["configured_upstream_boundary"]
    assert boundary["leaked_entity_types"] == []
    assert boundary["marker_words_observed_max"] == boundary["marker_words_total"], "innocent words were hidden"
    assert selfcheck.verdict_for(report)[0] == selfcheck.VERDICT_CLEAN, selfcheck.verdict_for(report)[1]


def test_the_judge_sees_a_leak_where_there_is_no_gateway(judged: Judged) -> None:
    report = judged.measure("anvil", "capture://self")
    assert selfcheck.verdict_for(report)[0] == selfcheck.VERDICT_LEAK
    assert set(report["checks"]["configured_upstream_boundary"]["leaked_entity_types"]) == KINDS


def test_its_command_ends_with_a_verdict(judged: Judged, tmp_path: Path) -> None:
    """As its page says to run it, with values and words that it draws anew."""
    words = ["--target-base-url", f"{judged.box.url}/v1", "--target-model", "netgpt/cloud", "--capture-port",
             str(judged.port), "--json-out", str(tmp_path / "report.json")]  # fmt: skip
    assert selfcheck.main(words) == selfcheck.EXIT_CLEAN
    checks = json.loads((tmp_path / "report.json").read_text())["checks"]
    assert all(check["passed"] for check in checks.values())
