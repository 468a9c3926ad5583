"""Real coding agents do a task through the gateway: it is done, nothing private leaves, the files hold real values.

They come from the npm and PyPI registries, pinned, into a folder of the cache. Three run in every suite, all of
them with `make agents` (NETGPT_TEST_AGENTS=all): each takes up to half a minute and 400 MB. Skipped, with what the
registry's client said, only where a registry does not have an agent, cannot be reached, or npm is not on the machine.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from netgpt_bench.agents import tried
from netgpt_bench.agents_known import AGENTS, Agent, cache_folder, installed
from netgpt_bench.agents_model import DONE, agent_model
from serving import Served

from netgpt.errors import NotFound
from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow

ALWAYS = ("mini-swe-agent", "claude-code", "codex")
NAMES = tuple(AGENTS) if os.environ.get("NETGPT_TEST_AGENTS") == "all" else ALWAYS
CACHE = cache_folder()  # before the tests have homes of their own
NOT_THERE = re.compile(
    r"(?i)E404|ETARGET|ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|E50\d|no matching|not found in|is not on this machine"
    r"|network|connect|resolve|fetch|timed out"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        FaultyCloud(agent_model) as cloud,
        Served(tmp_path_factory.mktemp("agents") / "home", cloud=cloud) as gateway,
    ):
        yield gateway


@pytest.fixture(scope="module", params=NAMES)
def agent(request: pytest.FixtureRequest) -> tuple[Agent, Path]:
    known = AGENTS[request.param]
    try:
        return known, installed(known, CACHE)
    except NotFound as missing:
        assert NOT_THERE.search(str(missing)), missing  # else it is a fault of ours
        pytest.skip(str(missing))


def test_the_task_is_done_and_nothing_leaves(gateway: Served, agent: tuple[Agent, Path], tmp_path: Path) -> None:
    known, program = agent
    assert gateway.cloud is not None
    trial = tried(known, program, gateway.url, gateway.cloud, tmp_path / "work", seed=len(known.name))
    assert trial.left == []
    assert trial.wrong == [], trial.output[-2000:]
    assert known.calls == 0 or (DONE in trial.output or "COMPLETE_TASK" in trial.output)
    check_harmless(trial.sent[-1])


def check_harmless(body: dict[str, object]) -> None:
    """What the agent tells of its tools arrives as it was: at most one word in two hundred is a placeholder."""
    tools = json.dumps(body.get("tools") or [])
    assert len(re.findall(r"[A-Z]+_\d+", tools)) <= len(tools.split()) / 200
