"""The commands as a person types them: real processes, a temporary home, scripted servers for edge and cloud."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from forking import run_netgpt

from netgpt.testing.server import FaultyCloud


class Shell:
    """Runs `netgpt` with one home; the edge is a scripted server."""

    def __init__(self, home: Path, edge: FaultyCloud) -> None:
        self.home, self.env = home, {
            "NETGPT_HOME": str(home), "NETGPT_EDGE__BASE_URL": edge.base_url,
            "NETGPT_ROUTING__ON_LOW_CONFIDENCE": "answer",
        }  # fmt: skip

    def __call__(self, *args: str, code: int = 0, stdin: str = "", **env: str) -> str:
        done = run_netgpt(*args, env={**os.environ, **self.env, **env, "COLUMNS": "200"}, input=stdin)
        assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + (done.stderr if code else "")


@pytest.fixture
def netgpt(tmp_path: Path) -> Iterator[Shell]:
    with FaultyCloud("the edge says so") as edge:
        yield Shell(tmp_path / "home", edge)


@pytest.mark.slow
def test_ask_and_explain(netgpt: Shell) -> None:
    netgpt("profile", "add", "ada", "is vegetarian", "--kind", "diet")
    assert netgpt("ask", "--user", "ada", "what can I cook for dinner").strip() == "the edge says so"
    shown = netgpt("explain")
    assert "The user is vegetarian" in shown and "no cloud is configured" in shown
    message = json.loads(netgpt("explain", "--json"))
    assert message["route"] == "edge" and message["person"] == "ada" and message["outbound"] is None
    again = json.loads(netgpt("explain", message["id"], "--json"))
    assert again["id"] == message["id"]
    assert json.loads(netgpt("ask", "--json", "hello"))["decision"]["route"] == "edge"
    assert netgpt("ask", stdin="from a pipe").strip() == "the edge says so"


@pytest.mark.slow
def test_ask_with_a_cloud_shows_what_left(netgpt: Shell) -> None:
    with FaultyCloud() as cloud:
        netgpt.env |= {"NETGPT_CLOUD__BASE_URL": cloud.base_url, "NETGPT_CLOUD__API_KEY": "sk-secret-of-the-test"}
        said = netgpt("ask", "--model", "netgpt/cloud", "Write to ada@example.org")
        assert said.strip() == "Write to ada@example.org"
        assert b"ada@example.org" not in cloud.all_bytes()
    shown = netgpt("explain")
    assert "[EMAIL_1]" in shown and "sk-secret-of-the-test" not in shown


def test_mistakes_are_reported_with_the_cure(netgpt: Shell, tmp_path: Path) -> None:
    assert "give degrees" in netgpt("ask", "--at", "north", "hello", code=2)
    assert "the prompt is empty" in netgpt("ask", " ", code=2)
    assert "no exchange" in netgpt("explain", "ex_nothing", code=2)
    assert "netgpt/edge" in netgpt("ask", "--model", "gpt-none", "hello", code=2)
    wrong = tmp_path / "netgpt.toml"
    wrong.write_text("[server]\nport = 'high'\n")
    assert "netgpt.toml:2: server.port" in netgpt("config", "check", str(wrong), code=1)
    wrong.unlink()
    assert "netgpt models pull" in netgpt("ask", "hello", code=1, NETGPT_EDGE__BASE_URL="")
    assert "no key exists" in netgpt("serve", "--host", "0.0.0.0", "--port", "0", code=1)


def test_config_shows_no_secret(netgpt: Shell) -> None:
    shown = netgpt("config", "show", NETGPT_CLOUD__API_KEY="sk-secret-of-the-test")
    assert "sk-secret-of-the-test" not in shown and "cloud.api_key" in shown
    assert "settings are right" in netgpt("config", "check")
    assert json.loads(netgpt("config", "show", "--json"))["server"]["host"] == "127.0.0.1"


@pytest.mark.slow
def test_doctor_shows_what_is_wrong(netgpt: Shell) -> None:
    found = {row["what"]: row for row in json.loads(netgpt("doctor", "--json"))}
    assert found["store"]["state"] == "ok" and found["detector"]["state"] == "ok"
    assert found["cloud"]["state"] == "note"
    broken = netgpt("doctor", code=1, NETGPT_CLOUD__BASE_URL="http://127.0.0.1:9/v1")
    assert "nobody answers at 127.0.0.1:9" in broken
    netgpt.home.joinpath("secret.key").write_text("not a key")
    assert "secret.key" in netgpt("doctor", code=1)


def test_a_lost_key_is_reported_not_replaced(netgpt: Shell) -> None:
    netgpt("profile", "add", "ada", "is vegetarian")
    netgpt.home.joinpath("secret.key").unlink()
    assert "secret.key" in netgpt("profile", "list", "ada", code=1)
    assert not netgpt.home.joinpath("secret.key").exists()


def test_bench_without_its_data_says_where_to_look(netgpt: Shell, tmp_path: Path) -> None:
    said = netgpt("bench", "completion", "--no-model", "--data", str(tmp_path), code=2)
    assert str(tmp_path) in said


def test_version_and_help(netgpt: Shell) -> None:
    assert netgpt("--version").startswith("netgpt 0.")
    assert "Serve the OpenAI-compatible API" in netgpt("--help")
