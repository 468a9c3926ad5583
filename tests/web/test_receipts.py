"""Receipts over real HTTP and real processes: written before the first byte, kept by a kill, none without room."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import wait_until
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        FaultyCloud() as cloud,
        Served(tmp_path_factory.mktemp("home"), cloud=cloud, privacy__names="false") as gateway,
    ):
        yield gateway


def verified(gateway: Served, *options: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(gateway.netgpt("receipts", "verify", "--json", *options, check=False).stdout)
    return data


def test_a_receipt_holds_the_exact_bytes(served: Served) -> None:
    answer = served.ask("write to ada@example.org", user="ada")
    exchange = answer.json()["netgpt"]["exchange"]
    assert answer.json()["netgpt"]["route"] == "cloud"
    (listed,) = served.get("/v1/receipts", params={"user": "ada"}).json()["data"]
    assert listed["exchange"] == exchange and listed["outcome"] == "complete" and "content" not in listed
    data = served.get(f"/v1/receipts/{listed['id']}", params={"user": "ada"}).json()
    assert served.cloud is not None
    sent = served.cloud.received[-1].body
    assert data["content"].encode() == sent and data["bytes"] == len(sent)
    assert data["account"]["sha256"] == hashlib.sha256(sent).hexdigest()
    assert data["account"]["hidden"][0]["placeholder"] == "[EMAIL_1]" and "ada@example.org" not in json.dumps(data)
    account = json.dumps(data["account"], sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(account.encode()).hexdigest() == data["commitment"]
    assert served.get(f"/v1/receipts/{exchange}", params={"user": "ada"}).json() == data
    assert served.get("/v1/receipts", params={"user": "bob"}).json()["data"] == []
    for other in (f"/v1/receipts/{listed['id']}?user=bob", "/v1/receipts/1", "/v1/receipts/rc_none"):
        assert served.get(other).status_code == 404, other
    assert verified(served)["whole"] is True


def test_what_stays_on_the_box_has_no_receipt(served: Served) -> None:
    before = verified(served)["receipts"]
    served.ask("hello", "netgpt/edge")
    assert verified(served)["receipts"] == before


def test_the_commands_tell_of_the_running_box(served: Served, tmp_path: Path) -> None:
    served.ask("how tall is a giraffe", user="bob")
    (row, *_) = json.loads(served.netgpt("receipts", "list", "--user", "bob", "--json").stdout)
    assert row["destination"].startswith("127.0.0.1") and row["outcome"] == "complete"
    assert "giraffe" in json.loads(served.netgpt("receipts", "show", row["id"], "--json").stdout)["content"]
    for command in (["list"], ["show", row["id"]], ["verify"], ["head"]):
        assert served.netgpt("receipts", *command).stdout
    head = json.loads(served.netgpt("receipts", "head", "--json").stdout)
    file = tmp_path / "receipts.jsonl"
    served.netgpt("receipts", "export", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    data = verified(served, "--file", str(file), "--head", head["head"], "--public-key", head["public_key"])
    assert data["whole"] and data["tags_checked"]
    file.write_text(file.read_text().replace("giraffe", "gorilla"))
    changed = served.netgpt("receipts", "verify", "--file", str(file), check=False)
    assert changed.returncode == 1 and "NOT WHOLE" in changed.stdout
    for wrong in (["show", "rc_none"], ["verify", "--head", "5"], ["verify", "--file", str(tmp_path / "none")]):
        assert served.netgpt("receipts", *wrong, check=False).returncode == 2, wrong


def test_a_killed_gateway_leaves_the_receipt(tmp_path: Path) -> None:
    with FaultyCloud(faults=["stall"], slow_s=30) as cloud:  # noqa: SIM117 - the cloud outlives the box
        with Served(tmp_path / "home", cloud=cloud, privacy__names="false") as gateway:
            chain = threading.Thread(target=_ask_quietly, args=(gateway,))
            chain.start()
            wait_until(lambda: cloud.received)
            assert cloud.received
            gateway.kill()
            chain.join(60)
            data = verified(gateway)
            assert data["whole"] and data["receipts"] == 1
            (row,) = json.loads(gateway.netgpt("receipts", "list", "--json").stdout)
            assert row["outcome"] is None and row["user"] == "ada"
            shown = json.loads(gateway.netgpt("receipts", "show", row["id"], "--json").stdout)
            assert shown["content"].encode() == cloud.received[0].body


def _ask_quietly(gateway: Served) -> None:
    with suppress(httpx.HTTPError):
        gateway.ask("a question in the middle of a kill", user="ada", stream=True)


def test_without_room_for_a_receipt_nothing_leaves(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        with Served(
            tmp_path / "home", cloud=cloud, privacy__names="false", store__min_free_bytes=str(1 << 60)
        ) as gateway:
            refused = gateway.ask("write to ada@example.org")
            assert refused.status_code == 507 and refused.json()["error"]["code"] == "store_full"
        assert cloud.received == []


def test_every_try_shares_one_receipt_and_an_unreachable_cloud_gets_none(tmp_path: Path) -> None:
    with FaultyCloud(faults=["server_error", "server_error"]) as cloud:  # noqa: SIM117 - read so
        with Served(tmp_path / "home", cloud=cloud, privacy__names="false") as gateway:
            assert gateway.ask("one two three").status_code == 200
            assert len(cloud.received) == 3 and verified(gateway)["receipts"] == 1
            cloud.stop()
            assert gateway.ask("four five six").json()["netgpt"]["route"] == "edge"
            assert verified(gateway)["receipts"] == 1
