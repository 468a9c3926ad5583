"""A gateway is told to stop, or to read its settings anew: at any moment, over real signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served, text_of

from netgpt.app.settings_rows import RELOADED, changed_names
from netgpt.settings import load_settings
from netgpt.testing.server import FaultyCloud
from netgpt.web.lifecycle import told

pytestmark = pytest.mark.slow


def ended(served: Served, within_s: float) -> float:
    """Seconds that it takes to end."""
    began = time.monotonic()
    served.process.wait(within_s)
    return time.monotonic() - began


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_is_ended_and_no_longer_than_told(tmp_path: Path, sig: int) -> None:
    with (
        FaultyCloud("word " * 12, chunk_size=5, delay_s=0.1) as cloud,
        Served(tmp_path, cloud=cloud, privacy__names="false", server__drain_s="20") as served,
    ):
        said: list[Any] = []
        body = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": "hello"}]}
        asking = threading.Thread(target=lambda: said.extend(served.stream(body)))
        asking.start()
        while not cloud.open_requests:
            time.sleep(0.01)
        served.process.send_signal(sig)
        ended(served, 30)
        asking.join(30)
        assert text_of(said) == "word " * 12 and said[-1] == "[DONE]"
        assert "1 under way get up to 20 s (server.drain_s)" in served.log()


def test_what_takes_longer_is_cut_and_does_not_look_whole(tmp_path: Path) -> None:
    with (
        FaultyCloud("word " * 600, chunk_size=5, delay_s=0.1) as cloud,
        Served(tmp_path, cloud=cloud, privacy__names="false", server__drain_s="0.5") as served,
    ):
        body = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": "hello"}], "stream": True}
        taken = b""
        with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=body, timeout=60) as answer:
            try:
                for piece in answer.iter_raw():
                    if not taken:
                        served.process.send_signal(signal.SIGTERM)
                    taken += piece
            except httpx.RemoteProtocolError:
                pass
        ended(served, 20)
        assert b"[DONE]" not in taken and b'"finish_reason":"stop"' not in taken
        assert b"server.drain_s" in taken.rpartition(b"data: ")[2] and b'"partial":true' in taken
        assert "Traceback" not in served.log()


SERVE = "from netgpt.cli import main; main()"


def started(home: Path, first: tuple[str, ...] = (), **settings: str) -> subprocess.Popen[str]:
    """`netgpt serve` in a process of its own, from its first byte on."""
    home.mkdir(exist_ok=True, mode=0o700)
    env = {
        **os.environ, "NETGPT_HOME": str(home), "NETGPT_EDGE__BASE_URL": "http://127.0.0.1:9/v1", "COLUMNS": "200",
        **{f"NETGPT_{name.upper()}": value for name, value in settings.items()},
    }  # fmt: skip
    command = [*first, sys.executable, "-c", f"import sys; sys.argv[1:] = ['serve', '--port', '0']; {SERVE}"]
    return subprocess.Popen(
        command,
        env=env,
        cwd=home,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def listens(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"listens on\s+(\S+)/v1", line):
            return found[1]
    raise AssertionError("it never listened")


@pytest.mark.parametrize("after_s", [0.3, 0.8, 1.5, None])
def test_it_ends_while_it_starts(tmp_path: Path, after_s: float | None) -> None:
    """The detector takes seconds to start; None: as the port opens."""
    process = started(tmp_path / "home", cloud__base_url="http://127.0.0.1:9/v1")
    if after_s is None:
        listens(process)
    else:
        time.sleep(after_s)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM), output  # before Python ran a line of ours, it just dies
    assert "Traceback" not in output and "took too long" not in output


def test_it_ends_as_the_first_process_of_a_container(tmp_path: Path) -> None:
    apart: tuple[str, ...] = ("unshare", "-r", "--pid", "--fork", "--kill-child")
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        apart = apart[:1] + apart[2:]
    process = started(tmp_path / "home", apart)
    listens(process)
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and "Traceback" not in output, output


def test_hung_up_on_it_reads_its_settings_anew(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    file = home / "netgpt.toml"
    file.write_text('log_level = "info"\n')
    process = started(home)
    url = listens(process)
    lines: list[str] = []
    reading = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reading.start()

    def read_anew(text: str, says: str) -> None:
        file.write_text(text)
        process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 30
        while not any(says in line for line in lines):
            assert time.monotonic() < until, lines
            time.sleep(0.02)

    origin, asked = "https://chat.example", {"access-control-request-method": "POST"}
    try:
        while httpx.get(f"{url}/healthz", timeout=60).status_code != 200:
            time.sleep(0.05)
        assert httpx.options(f"{url}/v1/models", headers={"origin": origin, **asked}, timeout=60).status_code == 403
        wanted = f'[server]\norigins = ["{origin}"]\nmax_concurrency = 9\n[models.aliases]\n"gpt-9" = "netgpt"\n'
        read_anew(wanted, "only from the next start on: server.max_concurrency")
        assert any("models.aliases, server.origins" in line for line in lines)
        assert httpx.options(f"{url}/v1/models", headers={"origin": origin, **asked}, timeout=60).status_code == 204
        assert httpx.get(f"{url}/v1/models/gpt-9", timeout=60).json()["netgpt"]["alias_of"] == "netgpt"
        read_anew("[server]\nprot = 1\n", "the settings stay as they were")
        read_anew('[models.aliases]\n"gpt-9" = "nothing"\n', "no model of that name here")
        assert httpx.get(f"{url}/v1/models/gpt-9", timeout=60).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        reading.join(30)
    assert process.returncode == 0 and not any("Traceback" in line for line in lines)


def test_names_of_what_changed_and_no_values() -> None:
    old = load_settings(environment={}, cloud={"api_key": "sk-old", "base_url": "https://a.example/v1"})
    new = load_settings(
        environment={}, log_level="debug", cloud={"api_key": "sk-new", "base_url": "https://b.example/v1"},
        server={"drain_s": 1, "port": 1}, models={"aliases": {"a": "netgpt"}},
        upstreams=[{"name": "other", "base_url": "https://c.example/v1", "model": "m"}],
    )  # fmt: skip
    changed = changed_names(old, new)
    assert changed == ["cloud.api_key", "cloud.base_url", "log_level", "models.aliases", "server.drain_s",
                       "server.port", "upstreams"]  # fmt: skip
    words = told(changed)
    assert "anew: log_level, models.aliases, server.drain_s; only" in words and "sk-" not in words
    assert "none that can change" in told(["cloud.model"]) and "next start" not in told(["log_level"])
    fields = dict(load_settings(environment={}))
    assert all(hasattr(fields[name.split(".")[0]], name.split(".")[1]) for name in RELOADED if "." in name)


@pytest.mark.parametrize("model", ["off", "smollm2-135m"])
def test_a_cloud_alone_needs_no_weights(tmp_path: Path, model: str) -> None:
    """`smollm2-135m`: they were never fetched."""
    with FaultyCloud("the cloud says so") as cloud:
        process = started(tmp_path / "home", edge__base_url="", edge__model=model, cloud__base_url=cloud.base_url)
        try:
            url = listens(process)
            asked = {"messages": [{"role": "user", "content": "hello"}]}
            answer = httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=60)
            assert answer.status_code == 200 and answer.headers["x-netgpt-route"] == "cloud", answer.text
            ready = httpx.get(f"{url}/readyz", timeout=60).json()
            assert ready["ready"] and not ready["parts"]["edge"]["ok"]
            why = 'edge.model = "off"' if model == "off" else "netgpt models pull smollm2-135m"
            assert why in ready["parts"]["edge"]["detail"]
            other = {"messages": [{"role": "user", "content": "another question"}]}
            refused = httpx.post(f"{url}/v1/chat/completions", json={**other, "model": "netgpt/edge"}, timeout=60)
            assert refused.status_code == 503 and why in refused.json()["error"]["message"], refused.text
            names = {each["id"] for each in httpx.get(f"{url}/v1/models", timeout=60).json()["data"]}
            assert "off" not in names and "netgpt" in names
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
    assert "No model answers on this box" in output or "Traceback" not in output


def test_without_a_model_and_a_cloud_nobody_could_answer(tmp_path: Path) -> None:
    process = started(tmp_path / "home", edge__base_url="", edge__model="off")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "nobody could answer" in output
