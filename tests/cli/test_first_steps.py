"""The first ten minutes: init, config check, status, logs and chat, as a person types them."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from forking import Forked, run_netgpt
from patience import wait_until

from netgpt.cli.ask import plain_lines
from netgpt.cli.init import SECTIONS, as_toml
from netgpt.settings import load_settings, misspelt_variables
from netgpt.testing.server import FaultyCloud

KEY = "sk-secret-of-the-test-0123456789"


class Shell:
    """Runs `netgpt` with one home and nothing else set."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def env(self, **more: str) -> dict[str, str]:
        return {**os.environ, "NETGPT_HOME": str(self.home), "COLUMNS": "300", **more}

    def __call__(
        self, *args: str, code: int = 0, stdin: str = "", more: dict[str, str] | None = None, **env: str
    ) -> str:
        done = run_netgpt(*args, env=self.env(**(more or {}), **env), input=stdin)
        assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr and KEY not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def netgpt(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "home")


@pytest.fixture
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud("all is well") as served:
        yield served


def test_init_tries_the_cloud_and_writes_what_was_given(netgpt: Shell, cloud: FaultyCloud) -> None:
    told = netgpt(
        "init", "--yes", "--no-fetch", "--cloud", cloud.base_url, "--cloud-model", "big-1", "--key-from", "MY_KEY",
        "--site", "Grand Arcade", "--policy", "strict", MY_KEY=KEY,
    )  # fmt: skip
    assert "cloud: it answered" in told and "netgpt serve" in told
    file = netgpt.home / "netgpt.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(netgpt.home.stat().st_mode) == 0o700
    settings = load_settings(file)
    assert (settings.cloud.model, settings.site.name, settings.policy.set) == ("big-1", "Grand Arcade", "strict")
    assert settings.cloud.api_key is not None and settings.cloud.api_key.get_secret_value() == KEY
    assert "already" in netgpt("init", "--yes", "--no-fetch", code=1)
    netgpt("init", "--yes", "--no-fetch", "--force")
    assert load_settings(file).cloud.base_url is None and "big-1" in (netgpt.home / "netgpt.toml.old").read_text()
    assert "settings are right" in netgpt("config", "check")


def test_init_names_a_file_that_is_read_in_place_of_its_own_and_an_unknown_model(netgpt: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("")
    told = netgpt("init", "--yes", "--no-fetch", "--model", "qwen3-1.7", NETGPT_CONFIG=str(other))
    assert f"{other} is read in its place" in told
    assert 'did you mean "qwen3-1.7b"?' in told and "is written" in told
    assert load_settings(netgpt.home / "netgpt.toml").edge.model == "smollm2-135m"


def test_init_says_what_is_wrong_with_the_cloud_and_with_what_was_given(netgpt: Shell, cloud: FaultyCloud) -> None:
    with FaultyCloud("never", key="another") as refusing:
        told = netgpt("init", "--yes", "--no-fetch", "--cloud", refusing.base_url)
    assert "cloud.api_key" in told and "is written" in told
    for args, words in {
        ("--cloud", "cloud.example"): "HTTP address",
        ("--cloud", cloud.base_url, "--key-from", "NO_SUCH_KEY"): "NO_SUCH_KEY is not set",
        ("--policy", "paranoid"): "balanced",
    }.items():
        before = (netgpt.home / "netgpt.toml").read_bytes()
        assert words in netgpt("init", "--yes", "--no-fetch", "--force", *args, code=1)
        assert (netgpt.home / "netgpt.toml").read_bytes() == before, "nothing half written"


def test_the_file_that_init_writes_is_read_with_every_comment_taken_away() -> None:
    given = {"cloud": {"base_url": "https://a.example/v1", "api_key": 'quote " and \\'}, "site": {"name": "Café\n[x]"}}
    text = as_toml(given)
    assert all(f"[{section}]" in text for section in SECTIONS if section)
    assert KEY not in text
    lines = [line.removeprefix("# ") if " = " in line and " = ..." not in line else line for line in text.splitlines()]
    path = Path("uncommented.toml")
    path.write_text("\n".join(lines))
    settings = load_settings(path)
    assert settings.site.name == "Café\n[x]" and settings.server.port == 8080
    assert settings.cloud.api_key is not None and settings.cloud.api_key.get_secret_value() == 'quote " and \\'


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("NETGPT_SERVER_PORT", "NETGPT_SERVER__PORT"), ("NETGPT_CLOUD_API_KEY", "NETGPT_CLOUD__API_KEY"),
        ("NETGPT_CLOUD_BASEURL", "NETGPT_CLOUD__BASE_URL"), ("NETGPT_EDGE_MODEL", "NETGPT_EDGE__MODEL"),
        ("NETGPT_POLICY_SET", "NETGPT_POLICY__SET"), ("NETGPT_LOGLEVEL", "NETGPT_LOG_LEVEL"),
        ("NETGPT_PORT", "NETGPT_SERVER__PORT"), ("netgpt_server__port", "NETGPT_SERVER__PORT"),
    ],
)  # fmt: skip
def test_a_variable_that_is_passed_over_is_named(wrong: str, right: str) -> None:
    assert misspelt_variables({wrong: "1"}) == [f"{wrong}: no such setting; did you mean {right}?"]
    assert misspelt_variables({right: "1", "NETGPT_KEY": "x", "NETGPT_CI_RUN": "7", wrong: ""}) == []


def test_config_check_looks_at_what_the_settings_name(netgpt: Shell, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    faults = {
        '[policy]\nset = "paranoid"': "wrong.toml:2: policy.set",
        '[policy]\nset = "balancd"': 'did you mean "balanced"?',
        "port = 90": "wrong.toml:1: port: no such setting; did you mean server.port?",
        '[server]\nport = "ninety"': "wrong.toml:2: server.port: must be a whole number",
        "server = 3": "write [server]",
        '[upstreams]\nname = "b"': "[[upstreams]]",
        '[routing]\nprefer = "qualty"': 'did you mean "quality"?',
        '[models.aliases]\n"gpt-4o" = "netgtp"': 'did you mean "netgpt"?',
        '[privacy]\nlanguages = ["xx"]': "wrong.toml:2: privacy.languages",
        '[cloud]\nbase_url = "https://a.example"\nmodel = ""': "wrong.toml:3: cloud.model",
        '[edge]\nmodel = "/nowhere/model.gguf"': "/nowhere/model.gguf",
        '[edge]\nmodel = "smollm"': "smollm",
        '[cloud]\nbase_url = "https://a.example"\nca_file = "/nowhere/ca.pem"': "cloud.ca_file: /nowhere/ca.pem",
        '[[upstreams]]\nname = "b"\nmodel = "m"\nbase_url = "https://a.example"\nclient_key = "/no.pem"': (
            "upstreams.b.client_key"
        ),
    }
    for text, words in faults.items():
        file.write_text(text)
        assert words in netgpt("config", "check", str(file), code=1)
    assert "NETGPT_SERVER__PORT" in netgpt("config", "check", code=1, NETGPT_SERVER_PORT="90")
    assert "NETGPT_SERVR__PORT: no such setting" in netgpt("config", "check", code=1, NETGPT_SERVR__PORT="90")
    found = json.loads(netgpt("config", "check", str(file), "--json", code=1))
    assert not found["right"] and found["faults"]
    assert not netgpt.home.exists(), "nothing is made for a look"
    file.write_text('[edge]\nmodel = "off"\n[cloud]\nbase_url = "https://a.example/v1"')
    assert "cloud.api_key is not set" in netgpt("config", "check", str(file))


def test_a_kind_that_was_mistyped_is_kept_and_named(netgpt: Shell) -> None:
    assert 'meant "diet"' in netgpt("profile", "add", "ada", "is vegetarian", "--kind", "dite")
    assert "meant" not in netgpt("profile", "add", "ada", "rows on Sundays", "--kind", "rowing")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("profle list", "'profile'"), ("places show", "import, list, near, remove"),
        ("profile add a b --label pubic", "'public'"), ("keys create --role adm", "'admin'"),
        ("keys create --scope chatt", '"chat"'), ("ask --prefer qualty hi", "'quality'"),
        ("policy show strct", '"strict"'), ("profile consent ada trainig on", '"training"'),
        ("profile complete a slect", "'select'"), ("models pull smolm2", "smollm2-135m"),
        ("ask --model netgtp hi", "netgpt"), ("ask --complete slect hi", "'select'"), ("adapters pin x of", "'off'"),
    ],
)  # fmt: skip
def test_a_word_of_a_closed_set_that_was_mistyped_is_answered_with_what_was_meant(
    netgpt: Shell, line: str, words: str
) -> None:
    done = run_netgpt(*line.split(), env=netgpt.env(), input="")
    assert done.returncode in (1, 2) and words in done.stderr and "Value error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_home_may_stand_anywhere(netgpt: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other"
    netgpt("profile", "add", "--home", str(other), "ada", "is vegetarian")
    assert "ada" in netgpt(f"--home={other}", "profile", "list") and "ada" not in netgpt("profile", "list")
    assert stat.S_IMODE(other.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "line",
    ["keys list", "profile add ada x", "places list", "models list", "adapters list", "receipts list", "store check"],
)
def test_whichever_command_comes_first_makes_a_home_of_its_own(netgpt: Shell, line: str) -> None:
    netgpt(*line.split())
    assert stat.S_IMODE(netgpt.home.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(each.stat().st_mode) & 0o077 == 0 for each in netgpt.home.rglob("*"))


def test_consent_is_said_one_way_and_the_old_ways_still_work(netgpt: Shell) -> None:
    def stands(purpose: str) -> bool:
        return bool(json.loads(netgpt("profile", "consent", "ada", purpose, "--json"))["consents"])

    netgpt("profile", "consent", "ada", "location", "on")
    netgpt("profile", "consent", "ada", "training", "on")
    assert stands("location") and stands("training")
    netgpt("profile", "consent", "ada", "off", "--purpose", "location")
    netgpt("profile", "consent", "ada", "--training", "off")
    assert not stands("location") and not stands("training")
    every = json.loads(netgpt("profile", "consent", "ada", "--json"))
    assert set(every) == {"constraints", "location", "profile", "proposals", "tools", "training"}
    assert "netgpt profile consent USER training on" in netgpt("profile", "consent", "ada", "on", code=2)


def test_what_is_done_is_told_to_machines_too(netgpt: Shell) -> None:
    id = json.loads(netgpt("profile", "add", "ada", "is vegetarian", "--json"))["id"]
    assert json.loads(netgpt("profile", "remove", "ada", id, "--json")) == {"id": id, "deleted": True}
    key = json.loads(netgpt("keys", "create", "--json"))["id"]
    assert json.loads(netgpt("keys", "revoke", key, "--json"))["state"] == "revoked"
    assert json.loads(netgpt("profile", "complete", "ada", "off", "--json")) == {"complete": "off"}
    assert json.loads(netgpt("profile", "forget", "ada", "--yes", "--json"))


@pytest.mark.slow
def test_status_and_logs_tell_of_a_gateway_that_runs_and_of_one_that_does_not(
    netgpt: Shell, cloud: FaultyCloud
) -> None:
    assert "no gateway has run" in netgpt("logs", code=2)
    found = json.loads(netgpt("status", "--check", "--json", code=3))
    assert found["running"] is False and "requests today" not in found
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port = str(line.getsockname()[1])
    env = {"NETGPT_SERVER__PORT": port, "NETGPT_EDGE__BASE_URL": cloud.base_url}
    with Path(os.devnull).open("wb") as nowhere:
        gateway = Forked(["serve"], env=netgpt.env(**env), stdout=nowhere, stderr=nowhere)
    try:
        wait_until(lambda: "yes" in _status(netgpt, env))
    finally:
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(30)
    assert stat.S_IMODE((netgpt.home / "netgpt.log").stat().st_mode) == 0o600
    netgpt("ask", "what is my name, ada@example.org", more=env)
    found = json.loads(netgpt("status", "--json", more=env))
    assert found["requests today"]["count"] == 1 and found["requests today"]["answered by"] == {"edge": 1}
    assert "ada@example.org" not in netgpt("logs", "-n", "1000")


def _status(netgpt: Shell, env: dict[str, str]) -> str:
    done = run_netgpt("status", env=netgpt.env(**env), input="")
    return next((line for line in done.stdout.splitlines() if "running" in line), "")


@pytest.mark.slow
def test_chat_keeps_the_conversation_and_tells_what_left(netgpt: Shell, cloud: FaultyCloud) -> None:
    with FaultyCloud() as big:
        env = {"NETGPT_EDGE__BASE_URL": cloud.base_url, "NETGPT_CLOUD__BASE_URL": big.base_url}
        lines = "/left\nWrite to ada@example.org\n/left\nand to bob@example.org\n/facts\n/why\n/what\n/new\n/end\nnever"
        told = netgpt("chat", "--model", "netgpt/cloud", stdin=lines, more=env)
        sent = big.all_bytes()
    assert "nothing was asked yet" in told and "ada@example.org" in told and "[EMAIL_1]" in told
    assert b"ada@example.org" not in sent and b"bob@example.org" not in sent and b"[EMAIL_2]" in sent
    assert b"never" not in sent and "/facts  which facts" in told


def test_what_a_model_writes_does_not_steer_the_terminal() -> None:
    assert plain_lines("a\x1b]0;title\x07b\r\nc\td\u202e") == "a ]0;title b \nc\td "
    assert plain_lines("👩\u200d🔬 naïve שלום") == "👩\u200d🔬 naïve שלום"
