"""Errors of many kinds, forced at debug log level: what is private is in no log, no metric, no error and no traceback.

Planted are a person's words, a wrong API key, the cloud's key and the sealing key. The far ends are careless: the
stand-in cloud repeats the request and the key in its own error messages.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from forking import run_netgpt
from serving import Served

from netgpt.testing.server import Fault, FaultyCloud

pytestmark = pytest.mark.slow

WORDS = "Zarquon Beeblefrotz"
MAIL = "zarquon@heart-of-gold.example"
WRONG_KEY = "ngpt_planted-wrong-key-4711-4711-4711-4711-471"
CLOUD_KEY = "sk-cloud-key-of-the-test"
PLANTED = (WORDS, "Beeblefrotz", MAIL, WRONG_KEY, CLOUD_KEY)
TEXT = f"I am {WORDS}, write to {MAIL} about the long meeting of next week, in many polite words."

BAD_BODIES: dict[str, bytes] = {
    "not JSON": b'{"messages": "' + TEXT.encode(),
    "not UTF-8": b'{"messages": [{"role": "user", "content": "' + TEXT.encode() + b'\xff\xfe"}]}',
    "not an object": json.dumps([TEXT]).encode(),
    "too deep": (f'{{"{WORDS}": ' + "[" * 5000 + "]" * 5000 + "}").encode(),
    "no messages": json.dumps({"model": "netgpt", "note": TEXT}).encode(),
    "messages is a text": json.dumps({"model": "netgpt", "messages": TEXT}).encode(),
    "a role of its own": json.dumps({"messages": [{"role": WORDS, "content": TEXT}]}).encode(),
    "content is an object": json.dumps({"messages": [{"role": "user", "content": {"x": TEXT}}]}).encode(),
    "an image without address": json.dumps(
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": TEXT}]}]}
    ).encode(),
    "a wrong temperature": json.dumps({"messages": [{"role": "user", "content": TEXT}], "temperature": TEXT}).encode(),
    "a wrong place": json.dumps(
        {"messages": [{"role": "user", "content": TEXT}], "netgpt": {"location": {"latitude": TEXT, "longitude": 1}}}
    ).encode(),
    "a wrong user": json.dumps({"messages": [{"role": "user", "content": TEXT}], "user": [TEXT]}).encode(),
    "a lone surrogate": b'{"messages": [{"role": "user", "content": "' + WORDS.encode() + b' \\ud800"}]}',
    "too large": json.dumps({"messages": [{"role": "user", "content": TEXT * 60_000}]}).encode(),
}


def found_in(text: str) -> list[str]:
    """Which planted values stand in a text, in clear or as base64."""
    return [word for word in PLANTED if word in text or base64.b64encode(word.encode()).decode()[:-4] in text]


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud(slow_s=0.5, retry_after="1") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def served(cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {
        "log_level": "debug", "privacy__names": "false", "cloud__timeout": "1", "cloud__retries": "0",
        "cloud__breaker_failures": "1000", "server__max_body_bytes": "4000000",
    }  # fmt: skip
    with Served(tmp_path_factory.mktemp("home"), cloud=cloud, **settings) as gateway:
        yield gateway
        output = gateway.get("/metrics").text + gateway.log()
        output += "".join(path.read_text(errors="replace") for path in gateway.home.glob("*.log*"))
    assert found_in(output + (gateway.home / "serve.log").read_text(errors="replace")) == []


def assert_silent(served: Served) -> None:
    assert found_in(served.log()) == []
    assert found_in(served.get("/metrics").text) == []


def test_the_log_is_at_debug_level(served: Served) -> None:
    """Else the rest would prove little."""
    assert "DEBUG" in served.log()


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_bad_requests(served: Served, kind: str) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{served.url}/v1/chat/completions", content=BAD_BODIES[kind], headers=headers, timeout=30)
    if answer.status_code != 200:  # some of them the edge can answer all the same
        assert answer.status_code in (400, 413, 422) and found_in(answer.text) == []
    assert_silent(served)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_cloud_that_fails_and_repeats_what_it_is_up(served: Served, cloud: FaultyCloud, fault: Fault) -> None:
    cloud.unschedule()
    cloud.schedule(fault)
    answer = served.ask(TEXT)
    if answer.status_code >= 400:
        assert found_in(answer.text) == []
    assert CLOUD_KEY not in answer.text
    cloud.unschedule()
    cloud.schedule(fault)
    streamed = served.post({"model": "netgpt/cloud", "stream": True, "messages": [{"role": "user", "content": TEXT}]})
    assert CLOUD_KEY not in streamed.text
    cloud.unschedule()
    assert_silent(served)


def test_unknown_models_and_paths_and_ids(served: Served) -> None:
    assert served.ask(TEXT, model=f"netgpt/{WORDS}").status_code in (400, 404)
    assert served.get(f"/v1/exchanges/{WRONG_KEY}").status_code == 404
    assert served.get(f"/{WRONG_KEY}").status_code == 404
    assert served.post({"text": TEXT}, path="/v1/feedback").status_code in (400, 404, 422)
    assert served.post({"text": TEXT}, path="/v1/nothing").status_code in (404, 405)
    assert_silent(served)


def test_a_wrong_key_in_every_place(served: Served) -> None:
    for scheme in ("Bearer ", "Basic ", ""):
        answer = httpx.get(f"{served.url}/v1/models", headers={"authorization": scheme + WRONG_KEY}, timeout=60)
        assert found_in(answer.text) == []
    for headers in ({"x-api-key": WRONG_KEY}, {"cookie": f"key={WRONG_KEY}"}):
        answer = httpx.get(f"{served.url}/v1/models?key={WRONG_KEY}", headers=headers, timeout=60)
        assert found_in(answer.text) == []
    assert_silent(served)


def test_half_a_request_and_no_http_at_all(served: Served) -> None:
    url = httpx.URL(served.url)
    for data in (
        f"{WORDS}\r\n\r\n",
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{TEXT}",
    ):
        with socket.create_connection((url.host, url.port or 80), timeout=60) as line:
            line.sendall(data.encode())
    assert_silent(served)


def test_a_locked_database_and_a_tampered_row(served: Served) -> None:
    done = served.ask(TEXT, model="netgpt/edge")
    exchange = done.headers["x-netgpt-exchange"]
    database = sqlite3.connect(served.home / "netgpt.db", isolation_level=None)
    database.execute("PRAGMA busy_timeout=10000")
    database.execute("UPDATE exchanges SET private = zeroblob(80) WHERE id = ?", (exchange,))
    answer = served.get(f"/v1/exchanges/{exchange}")
    assert answer.status_code >= 400 and found_in(answer.text) == []
    database.close()
    output = served.netgpt("store", "check", check=False)
    assert output.returncode == 1 and exchange in output.stdout and found_in(output.stdout + output.stderr) == []
    assert_silent(served)


COMMANDS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "a setting that is none": ({"NETGPT_CLOUD__TIMEOUT": WORDS}, ("config", "check")),
    "a key where an address belongs": ({"NETGPT_CLOUD__BASE_URL": CLOUD_KEY}, ("config", "check")),
    "a sealing key that is none": ({"NETGPT_STORE__KEY": WRONG_KEY}, ("store", "info")),
    "two sources of the key": (
        {"NETGPT_STORE__KEY": WRONG_KEY, "NETGPT_STORE__KEY_COMMAND": "true"}, ("store", "info"),
    ),
    "a command that tells and fails": (
        {"NETGPT_STORE__KEY_COMMAND": f"sh -c 'echo {WRONG_KEY}; echo {WRONG_KEY} >&2; exit 1'"}, ("store", "info"),
    ),
    "a policy that does not parse": ({"NETGPT_POLICY__SET": "bad.cedar"}, ("ask", TEXT)),
    "examples that are none": ({}, ("train", "site", "--examples", "bad.jsonl", "--dry-run")),
    "a full disk": ({"NETGPT_STORE__MIN_FREE_BYTES": "9" * 17}, ("profile", "add", "ada", TEXT)),
    "a cloud that is not there": (
        {"NETGPT_CLOUD__BASE_URL": "https://127.0.0.1:9/v1", "NETGPT_CLOUD__API_KEY": CLOUD_KEY,
         "NETGPT_EDGE__BASE_URL": "http://127.0.0.1:9/v1"},
        ("ask", "--model", "netgpt/cloud", TEXT),
    ),
    "an adapter that is none": ({}, ("adapters", "add", "bad.jsonl")),
}  # fmt: skip


@pytest.mark.parametrize("kind", COMMANDS)
def test_commands_that_fail(tmp_path: Path, kind: str) -> None:
    (tmp_path / "bad.cedar").write_text(f'permit(principal, "{WORDS}" {MAIL};')
    (tmp_path / "bad.jsonl").write_text(json.dumps({"request": TEXT, "mistake": WORDS}) + "\n")
    environment, command = COMMANDS[kind]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NETGPT_")}
    done = run_netgpt(
        *command,
        env={**inherited, "NETGPT_HOME": str(tmp_path / "home"), "NETGPT_LOG_LEVEL": "debug",
             "NETGPT_PRIVACY__NAMES": "false", **environment},
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode != 0, done.stdout
    assert found_in(done.stdout + done.stderr) == [] and "Traceback" not in done.stderr


def test_a_crash_leaves_no_core(served: Served) -> None:
    limits = Path(f"/proc/{served.process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4] == "0"


def test_reprs_hold_no_secret() -> None:
    from netgpt.settings import load_settings
    from netgpt.store.encryption import GivenKeys, KeyCommand, Sealer, encoded_key, fresh_key
    from netgpt.store.schema import NewExample, UserTokens

    key: Any = encoded_key(fresh_key())
    given = GivenKeys.from_text(key, "NETGPT_STORE__KEY")
    things = [
        load_settings(environment={"NETGPT_STORE__KEY": key, "NETGPT_CLOUD__API_KEY": CLOUD_KEY}), given, Sealer(given),
        UserTokens(b"x" * 32), NewExample(None, "d", {"t": TEXT}), KeyCommand(("pass", "show")),
    ]  # fmt: skip
    output = repr(things)
    assert key not in output and found_in(output) == []
