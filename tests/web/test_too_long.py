"""A request that is too long for the box and may not leave says both, at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from patience import in_time
from serving import Served

from netgpt.testing.server import Fault, FaultyCloud

pytestmark = pytest.mark.slow


TOO_LONG = [Fault.TOO_LONG] * 20


def test_the_answer_names_every_limit(tmp_path: Path) -> None:
    limits = {"privacy__max_chars": "2000", "privacy__names": "false"}
    with (
        FaultyCloud() as cloud,
        FaultyCloud(faults=TOO_LONG) as edge,
        Served(tmp_path / "home", cloud=cloud, edge_url=edge.base_url, **limits) as box,
    ):
        rows = "\n".join(f"{i},u{i}@mill.org" for i in range(1_600))
        began = time.monotonic()
        refused = box.ask(rows, "netgpt")
        assert in_time(time.monotonic() - began, 5)
        message = refused.json()["error"]["message"]
        assert refused.status_code == 400 and refused.json()["error"]["code"] == "context_length_exceeded"
        assert "too long for" in message and "privacy.max_chars = 2000" in message and "mill.org" not in message
        assert not cloud.received


def test_a_table_of_1600_rows_goes_to_the_cloud_masked(tmp_path: Path) -> None:
    with (
        FaultyCloud() as cloud,
        FaultyCloud(faults=TOO_LONG) as edge,
        Served(tmp_path / "home", cloud=cloud, edge_url=edge.base_url, privacy__timeout_s="30") as box,
    ):
        rows = "\n".join(f"{i},Zanele Khumalo,u{i}@mill.org,{i % 97}.00" for i in range(1_600))
        answer = box.ask("name how many rows there are:\n" + rows, "netgpt")
        assert answer.status_code == 200 and answer.json()["netgpt"]["route"] == "cloud"
        assert b"mill.org" not in cloud.received[-1].body and b"Khumalo" not in cloud.received[-1].body
