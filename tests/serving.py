"""A real `netgpt serve` in its own process, for tests: real HTTP, real files, fakes at its two far ends."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import httpx
from forking import Forked, run_netgpt

from netgpt.testing.server import FaultyCloud

PATIENT = {
    "NETGPT_PRIVACY__TIMEOUT_S": "60", "NETGPT_COMPLETION__TIMEOUT_S": "60", "NETGPT_SERVER__COMMENT_S": "300",
}  # fmt: skip
"""The machine may be busy; whoever tests these limits sets them."""
AS_IT_IS = {"NETGPT_ROUTING__ON_LOW_CONFIDENCE": "answer", "NETGPT_ROUTING__CASCADE": "false"}
"""An answer of the scripted edge is given, however little it is believed."""


class Served:
    """`with Served(home, cloud=cloud) as box: box.post({...})`. The edge is a scripted server unless given."""

    def __init__(self, home: Path, *, cloud: FaultyCloud | None = None, edge_url: str | None = None, **settings: str):
        self.home = home
        self.cloud = cloud
        self._edge = FaultyCloud("the edge says so") if edge_url is None else None
        self._edge_url = edge_url
        self.settings = settings
        self.url = ""
        self.key: str | None = None
        self.verify: ssl.SSLContext | bool = True
        """Whom to believe of a box that speaks https."""

    def __enter__(self) -> Self:
        if self._edge is not None:
            self._edge.start()
            self._edge_url = self._edge.base_url
        self.home.mkdir(parents=True, exist_ok=True)
        self._log = (self.home / "serve.log").open("wb")
        self.process = self._started(["serve", "--port", "0"], {**os.environ, **self.environment()})
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _started(self, args: list[str], environment: dict[str, str]) -> Any:
        return Forked(args, env=environment, cwd=self.home, stdout=self._log, stderr=self._log)

    def environment(self) -> dict[str, str]:
        env = {"NETGPT_HOME": str(self.home), "NETGPT_COMPLETION__MODE": "off", "COLUMNS": "200", **PATIENT, **AS_IT_IS}
        if self._edge_url:
            env["NETGPT_EDGE__BASE_URL"] = self._edge_url
        if self.cloud is not None:
            env["NETGPT_CLOUD__BASE_URL"] = self.cloud.base_url
            env["NETGPT_CLOUD__API_KEY"] = "sk-cloud-key-of-the-test"
            env["NETGPT_CLOUD__CONNECT_TIMEOUT_S"] = "60"
        return {**env, **{f"NETGPT_{name.upper()}": value for name, value in self.settings.items()}}

    def log(self) -> str:
        return (self.home / "serve.log").read_text(errors="replace")

    def _wait(self, limit_s: float = 180) -> None:
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"netgpt serve ended with {self.process.returncode}:\n{self.log()}")
            if found := re.search(r"listens on\s+(https?://\S+?)/v1", self.log()):
                self.url = found[1]
                try:
                    parts = httpx.get(f"{self.url}/readyz", timeout=30, verify=self.verify).json()["parts"]
                except httpx.HTTPError:
                    time.sleep(0.05)
                    continue
                if parts["detector"]["ok"] and parts["edge"]["ok"]:
                    return
            time.sleep(0.05)
        raise AssertionError(f"netgpt serve was not ready within {limit_s} s:\n{self.log()}")

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def post(self, body: dict[str, Any], path: str = "/v1/chat/completions", **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers=self.headers, timeout=60, **options)

    def put(self, body: dict[str, Any], path: str) -> httpx.Response:
        return httpx.put(self.url + path, json=body, headers=self.headers, timeout=60)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, headers=self.headers, timeout=60, **options)

    def ask(self, text: str, model: str = "netgpt/cloud", **fields: Any) -> httpx.Response:
        return self.post({"model": model, "messages": [{"role": "user", "content": text}], **fields})

    def stream(self, body: dict[str, Any]) -> list[dict[str, Any] | str]:
        """The events of a streamed answer: chunks, error objects, and "[DONE]"."""
        events: list[dict[str, Any] | str] = []
        with httpx.stream(
            "POST", f"{self.url}/v1/chat/completions", json={**body, "stream": True}, headers=self.headers, timeout=60
        ) as answer:
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    data = line.removeprefix("data: ")
                    events.append(data if data == "[DONE]" else json.loads(data))
        return events

    def netgpt(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another `netgpt` command on the same home."""
        return run_netgpt(*args, env={**os.environ, **self.environment()}, check=check)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
        if self._edge is not None:
            self._edge.stop()


def text_of(events: list[dict[str, Any] | str], choice: int = 0) -> str:
    """The streamed content of one choice."""
    said = ""
    for event in events:
        if isinstance(event, dict):
            for part in event.get("choices") or ():
                if part["index"] == choice:
                    said += (part.get("delta") or {}).get("content") or ""
    return said


def finishes(events: list[dict[str, Any] | str]) -> list[str]:
    """Every finish_reason of a stream."""
    return [
        part["finish_reason"]
        for event in events
        if isinstance(event, dict)
        for part in event.get("choices") or ()
        if part.get("finish_reason")
    ]
