"""The coding agents that are tried: where they come from, how each is pointed at an address, how it is started."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netgpt.errors import NotFound

_INSTALL_S: Final = 600.0
MODEL: Final = "netgpt/cloud"


@dataclass(frozen=True, slots=True)
class Asked:
    """What one start of an agent is told."""

    base_url: str
    """Of the gateway, without a path: `http://127.0.0.1:8080`."""
    task: str
    home: Path
    """A home folder of its own: nothing of the user's is read or written."""
    model: str = MODEL


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent."""

    name: str
    packages: tuple[str, ...]
    """Pinned; of npm, or of PyPI where `python`."""
    program: str
    words: Callable[[Asked], Sequence[str]]
    """The words of the command after the program."""
    environment: Callable[[Asked], Mapping[str, str]] = field(default=lambda _: {})
    files: Callable[[Asked], Mapping[str, str]] = field(default=lambda _: {})
    """Paths below the home folder -> what is to stand there."""
    python: bool = False
    door: str = "/v1/chat/completions"
    calls: int = 6
    """How many calls of tools the scripted task takes with it; aider edits by blocks and runs the tests itself."""


def _json(value: object) -> str:
    return json.dumps(value)


def _aider(asked: Asked) -> list[str]:
    return [
        "--model", f"openai/{asked.model}", "--openai-api-base", f"{asked.base_url}/v1", "--openai-api-key", "none",
        "--yes-always", "--no-analytics", "--no-check-update", "--no-show-model-warnings", "--no-show-release-notes",
        "--no-gitignore", "--no-auto-commits", "--edit-format", "diff", "--test-cmd", "python3 -m unittest -q",
        "--auto-test", "--message", asked.task,
        "billing/contacts.py", "tests/customers.json", ".env", "logs/app.log", "deploy/hosts.yaml", "README.md",
    ]  # fmt: skip


def _opencode(asked: Asked) -> dict[str, str]:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{asked.base_url}/v1", "apiKey": "none"},
        "models": {asked.model: {}},
    }
    config = {"provider": {"netgpt": provider}, "permission": "allow", "autoupdate": False, "share": "disabled"}
    return {"OPENCODE_CONFIG_CONTENT": _json(config), "OPENCODE_DISABLE_MODELS_FETCH": "1"}


def _pi(asked: Asked) -> dict[str, str]:
    provider = {
        "baseUrl": f"{asked.base_url}/v1", "apiKey": "none", "api": "openai-completions",
        "models": [{"id": asked.model}],
    }  # fmt: skip
    return {".pi/agent/models.json": _json({"providers": {"netgpt": provider}})}


def _codex(asked: Asked) -> dict[str, str]:
    return {
        ".codex/config.toml": (
            f'model = "{asked.model}"\nmodel_provider = "netgpt"\nweb_search = "disabled"\n'
            '[model_providers.netgpt]\nname = "NetGPT"\n'
            f'base_url = "{asked.base_url}/v1"\nwire_api = "responses"\n'
        )
    }


AGENTS: Final[Mapping[str, Agent]] = {agent.name: agent for agent in (
    Agent(
        "mini-swe-agent", ("mini-swe-agent==2.4.6",), "mini", python=True,
        words=lambda a: ["-m", f"openai/{a.model}", "-t", a.task, "-y", "--exit-immediately"],
        environment=lambda a: {
            "OPENAI_API_BASE": f"{a.base_url}/v1", "OPENAI_API_KEY": "none", "MSWEA_CONFIGURED": "true",
            "MSWEA_COST_TRACKING": "ignore_errors", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
    ),
    Agent(
        "qwen-code", ("@qwen-code/qwen-code@0.24.4",), "qwen",
        words=lambda a: ["-p", a.task, "--yolo", "--auth-type", "openai"],
        environment=lambda a: {
            "OPENAI_BASE_URL": f"{a.base_url}/v1", "OPENAI_API_KEY": "none", "OPENAI_MODEL": a.model,
        },
        files=lambda _: {".qwen/settings.json": _json({"privacy": {"usageStatisticsEnabled": False},
                                                       "general": {"disableAutoUpdate": True}})},
    ),
    Agent(
        "opencode", ("opencode-ai@1.18.33",), "opencode",
        words=lambda a: ["run", "--model", f"netgpt/{a.model}", a.task], environment=_opencode,
    ),
    Agent(
        "pi", ("@mariozechner/pi-coding-agent@0.73.1",), "pi",
        words=lambda a: ["-p", "--provider", "netgpt", "--model", a.model, a.task], files=_pi,
        environment=lambda _: {"PI_SKIP_VERSION_CHECK": "1", "PI_TELEMETRY": "0"},
    ),
    Agent("aider", ("aider-chat==0.86.2",), "aider", words=_aider, python=True, calls=0,
          environment=lambda _: {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
    Agent(
        "claude-code", ("@anthropic-ai/claude-code@2.1.332",), "claude", door="/v1/messages",
        words=lambda a: ["-p", a.task, "--model", a.model, "--dangerously-skip-permissions"],
        environment=lambda a: {
            "ANTHROPIC_BASE_URL": a.base_url, "ANTHROPIC_AUTH_TOKEN": "none", "ANTHROPIC_SMALL_FAST_MODEL": a.model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "IS_SANDBOX": "1",
        },
    ),
    Agent(
        "codex", ("@openai/codex@0.171.0",), "codex", door="/v1/responses",
        words=lambda a: ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", a.task],
        files=_codex,
    ),
)}  # fmt: skip


def cache_folder() -> Path:
    """Where agents are installed, once for each version: `NETGPT_AGENTS`, else a folder of the user's cache."""
    named = os.environ.get("NETGPT_AGENTS")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "netgpt-agents"


def installed(agent: Agent, cache: Path | None = None) -> Path:
    """The agent's program, installed into a folder of the cache where it is not there yet.

    Raises NotFound, with what the registry's client said, where it cannot be had.
    """
    folder = (cache or cache_folder()) / re.sub(r"[^\w.]+", "-", "_".join(agent.packages)).strip("-")
    made_ready(folder, agent.name, agent.packages, python=agent.python)
    return folder / ("bin" if agent.python else "node_modules/.bin") / agent.program


def made_ready(folder: Path, name: str, what: Sequence[str] | Path, *, python: bool) -> Path:
    """The folder, with packages installed in it once. `what`: of PyPI or npm; or a folder of npm's to be copied, with
    its lock. Raises NotFound, with what the registry's client said.
    """
    if (folder / "ready").exists():
        return folder
    making = folder.with_name(f"{folder.name}.{os.getpid()}")  # another test process may be at it
    shutil.rmtree(making, ignore_errors=True)
    if isinstance(what, Path):
        shutil.copytree(what, making)
    making.mkdir(parents=True, exist_ok=True)
    for command in _commands(making, what, python=python):
        if shutil.which(command[0]) is None:
            raise NotFound(f"{name} needs `{command[0]}`, which is not on this machine")
        done = subprocess.run(command, cwd=making, capture_output=True, text=True, timeout=_INSTALL_S)
        if done.returncode:
            raise NotFound(f"{name} cannot be installed: {(done.stderr or done.stdout).strip()[-400:]}")
    (making / "ready").touch()
    shutil.rmtree(folder, ignore_errors=True)
    making.rename(folder)
    return folder


def _commands(folder: Path, what: Sequence[str] | Path, *, python: bool) -> list[list[str]]:
    if isinstance(what, Path):
        return [["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]]
    if not python:
        quiet = ["--no-audit", "--no-fund", "--no-save", "--loglevel=error", f"--prefix={folder}"]
        return [["npm", "install", *quiet, *what]]
    within = str(folder / "bin/python")
    if shutil.which("uv"):
        return [["uv", "venv", "-q", "--allow-existing", "--relocatable", "--python", sys.executable, str(folder)],
                ["uv", "pip", "install", "-q", "--python", within, *what]]  # fmt: skip
    return [[sys.executable, "-m", "venv", str(folder)], [within, "-m", "pip", "install", "-q", *what]]
