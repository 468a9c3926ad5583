"""`netgpt bench agents`: real coding agents do a small task through the gateway; what leaves, lands, and what it costs.

The cloud is a scripted model on loopback. Every byte that it receives is searched for the planted values; the files
that the agent wrote are compared with what they must hold; the times are the gateway's own, of its rows.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from netgpt.errors import NotFound
from netgpt.testing.server import FaultyCloud
from netgpt_bench.agents_known import AGENTS, MODEL, Agent, Asked, installed
from netgpt_bench.agents_model import TASK, agent_model
from netgpt_bench.agents_place import Place, made
from netgpt_bench.harness import Progress, gateway

_TASK_S: Final = 300.0
_PLACEHOLDER: Final = re.compile(r"\[[A-Z][A-Z_]*_\d+\]")


@dataclass(frozen=True, slots=True)
class Trial:
    """What one agent did."""

    agent: str
    turns: int
    """Requests that the cloud got."""
    seconds: float
    left: list[str]
    """Names of planted values that the cloud received."""
    wrong: list[str]
    """What is not on disk as it must be."""
    output: str = field(repr=False)
    sent: list[dict[str, Any]] = field(repr=False)
    """The bodies that the cloud received."""

    @property
    def placeholders(self) -> Counter[str]:
        """What the cloud saw instead of words, in all that it was sent in the last turn."""
        return Counter(_PLACEHOLDER.findall(str(max(self.sent, key=lambda body: len(str(body)), default=""))))


def tried(agent: Agent, program: Path, base_url: str, cloud: FaultyCloud, folder: Path, *, seed: int = 1) -> Trial:
    """Let the agent do the task in a new repository below `folder`, through `base_url`, whose cloud is `cloud`.

    The cloud's reply is set and its log forgotten. An agent that does not end is killed.
    """
    (folder / "home").mkdir(parents=True)
    place = made(folder / "repository", seed)
    bodies: list[dict[str, Any]] = []

    def reply(body: Any) -> str | dict[str, Any]:
        bodies.append(dict(body))
        return agent_model(body)

    cloud.forget()
    cloud.reply = reply
    values = place.values
    task = TASK.format(folder=place.folder, name=values["name_1"], mail=values["mail_1"])
    asked = Asked(base_url, task, folder / "home")
    for name, text in agent.files(asked).items():
        (asked.home / name).parent.mkdir(parents=True, exist_ok=True)
        (asked.home / name).write_text(text, encoding="utf-8")
    began = time.monotonic()
    code, output = _ended([str(program), *agent.words(asked)], place.folder, _environment(asked, agent))
    seconds = time.monotonic() - began
    wrong = [f"it ended with {code}"] if code else []
    wrong += wrong_on_disk(place, hands_over=bool(agent.calls))
    if agent.calls and not any(_calls(body) >= agent.calls for body in bodies):
        wrong.append(f"the cloud saw {max(map(_calls, bodies), default=0)} of {agent.calls} calls of tools")
    return Trial(agent.name, len(bodies), seconds, place.left_in(cloud.all_bytes()), wrong, output, bodies)


def _ended(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of the agent and of all that it started; -9 when it took too long."""
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=_TASK_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
    return process.returncode, output


def _environment(asked: Asked, agent: Agent) -> dict[str, str]:
    """None of the caller's keys, homes or proxies."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    usual = {"HOME": str(asked.home), "NO_COLOR": "1", "CI": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | usual | dict(agent.environment(asked))


def _calls(body: dict[str, Any]) -> int:
    return sum(len(message.get("tool_calls") or ()) for message in body.get("messages") or ())


def wrong_on_disk(place: Place, *, hands_over: bool) -> list[str]:
    """What the agent's files hold else than they must: the real values, every other line as it was, no placeholder."""
    wrong = []
    values, contacts = place.values, (place.folder / "billing/contacts.py").read_text(encoding="utf-8")
    before = subprocess.run(
        ["git", "show", "HEAD:billing/contacts.py"],  # noqa: S607
        cwd=place.folder, capture_output=True, text=True, check=True, encoding="utf-8",
    ).stdout  # fmt: skip
    if contacts != re.sub(r'"second": .*', lambda _: f'"second": "{values["mail_1"]}",', before):
        wrong.append("billing/contacts.py")
    if hands_over:
        handed = place.folder / "HANDOVER.md"
        said = handed.read_text(encoding="utf-8") if handed.exists() else ""
        seen = [".env", "logs/app.log", "deploy/hosts.yaml", "README.md"]
        there = "".join((place.folder / name).read_text(encoding="utf-8") for name in seen)
        if said.strip() != f"{there}{values['name_4']} <{values['mail_4']}> Invoices, first version":
            wrong.append("HANDOVER.md")
    changed = [path for path in place.folder.rglob("*") if path.suffix in (".py", ".md", ".json", ".yaml", ".log")]
    wrong += [f"{path.name}: a placeholder" for path in changed if _PLACEHOLDER.search(path.read_text("utf-8"))]
    return wrong


def own_times(base_url: str, count: int) -> list[float]:
    """Milliseconds that the gateway took beside the cloud for each of its last `count` exchanges, by its own rows."""
    rows = httpx.get(f"{base_url}/v1/exchanges", params={"limit": count}, timeout=30).json()["data"]
    return [sum(ms for stage, ms in row["timings_ms"].items() if stage not in ("total", "generate")) for row in rows]


async def run(names: Sequence[str], *, seeds: int, progress: Progress) -> dict[str, Any]:
    """Each agent, `seeds` repositories each. Raises NotFound for a name that is not known."""
    rows: list[dict[str, Any]] = []
    for name in names or AGENTS:
        if name not in AGENTS:
            raise NotFound(f"no agent {name!r}; known: {', '.join(AGENTS)}", param="agent")
        progress(f"installing {name}")
        try:
            program = installed(AGENTS[name])
        except NotFound as missing:
            rows.append({"agent": name, "note": str(missing)})
            continue
        for seed in range(1, seeds + 1):
            progress(f"{name}, repository {seed}")
            rows.append(await _row(AGENTS[name], program, seed))
    return {"rows": rows, "planted": 24, "samples": seeds, "not_shown": "real models; agents' screens; other tasks"}


async def _row(agent: Agent, program: Path, seed: int) -> dict[str, Any]:
    with FaultyCloud(agent_model) as cloud, tempfile.TemporaryDirectory(prefix="netgpt-agents-") as folder:
        settings = {
            "NETGPT_CLOUD__BASE_URL": cloud.base_url, "NETGPT_EDGE__BASE_URL": cloud.base_url,
            "NETGPT_COMPLETION__MODE": "off", "NETGPT_LOG_LEVEL": "error",
        }  # fmt: skip
        async with gateway(Path(folder) / "box", settings) as (port, _):
            url = f"http://127.0.0.1:{port}"
            trial = tried(agent, program, url, cloud, Path(folder) / "work", seed=seed)
            times = own_times(url, trial.turns)
    return {
        "agent": f"{agent.name} {agent.packages[0].rpartition('=' if agent.python else '@')[2]}",
        "turns": trial.turns,
        "left": len(trial.left),
        "wrong": "; ".join(trial.wrong) or "nothing",
        "own_p50_ms": round(statistics.median(times), 1) if times else None,
        "own_max_ms": round(max(times), 1) if times else None,
        "placeholders": len(trial.placeholders),
        "model": MODEL,
    }
