"""`netgpt mcp` and `netgpt tools` as programs start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from agents_door import MODES, text_of
from forking import run_netgpt
from mcp import Client, StdioServerParameters
from tool_servers import Far, tool, words

import netgpt
from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow

MAIL = "ada@mill.example"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    far = Far(tmp_path, "mail", send=words(f"sent as {MAIL}"), read=None)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    command = json.dumps([*far.settings()["command"]])
    (home / "netgpt.toml").write_text(
        f'[[tools]]\nname = "mail"\ncommand = {command}\n[[tools]]\nname = "gone"\ncommand = ["/no/such/program"]\n'
    )
    return {
        **os.environ, "NETGPT_HOME": str(home), "NETGPT_CONFIG": str(home / "netgpt.toml"), "COLUMNS": "200",
        "NETGPT_COMPLETION__MODE": "off", "NETGPT_ROUTING__ON_LOW_CONFIDENCE": "answer",
        "NETGPT_PRIVACY__TIMEOUT_S": "60", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip


async def test_an_agent_on_standard_input_and_output(environment: dict[str, str], tmp_path: Path) -> None:
    with FaultyCloud("the edge says so") as edge:
        environment["NETGPT_EDGE__BASE_URL"] = edge.base_url
        run_netgpt("profile", "add", "ada", "lives at 12 Tannery Lane", "--kind", "home", env=environment)
        listed = json.loads(run_netgpt("tools", "list", "--json", env=environment).stdout)
        assert [(row["server"], row["tool"]) for row in listed] == [("mail", "send"), ("mail", "read"), ("gone", "")]
        assert "not approved yet" in listed[0]["state"] and "no such program" in listed[2]["state"]
        told = run_netgpt("tools", "approve", "mail", env=environment)
        assert "mail__send: approved. It says: Does a thing." in told.stderr
        assert run_netgpt("tools", "approve", "nobody", env=environment, check=False).returncode == 2
        program = StdioServerParameters(
            command=sys.executable, args=["-m", "netgpt", "mcp", "--user", "ada"], env=environment, cwd=tmp_path
        )
        for version, mode in MODES.items():
            async with Client(program, mode=mode, cache=None) as client:
                assert client.protocol_version == version
                names = [each.name for each in (await client.list_tools()).tools]
                assert names[:2] == ["ask", "redact"] and names[6:] == ["mail__send", "mail__read"]
                answer = await client.call_tool("ask", {"prompt": "hello"})
                assert answer.structured_content["answer"] == "the edge says so"
                facts = (await client.call_tool("profile", {})).structured_content["facts"]
                assert len(facts) == 1 and "Tannery" not in text_of(facts and await client.call_tool("profile", {}))
                assert (await client.call_tool("profile", {"user": "bob"})).is_error
                sent = await client.call_tool("mail__send", {"to": "x"})
                assert sent.model_dump()["content"][0]["text"] == "sent as [EMAIL_1]"


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    """In an environment that has all packages but those of the extra."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for each in Path(httpx.__file__).parents[1].iterdir():
        if not each.name.startswith(("mcp", "httpx2")):
            (packages / each.name).symlink_to(each)
    sources = str(Path(netgpt.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([sources, str(packages)]), "COLUMNS": "200"}
    for command in (["mcp"], ["tools", "list"]):
        found = subprocess.run(
            [sys.executable, "-S", "-m", "netgpt", *command], env=environment, capture_output=True, text=True
        )
        assert found.returncode == 2 and "pip install 'netgpt[mcp]'" in found.stderr, found.stderr


def test_the_words_of_tools_cannot_steer_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    far = Far(tmp_path, "mail", send=None)
    far.write(tools=[tool("send", "\x1b[2Jowned [red]x[/red]")])
    shown = run_netgpt("tools", "list", env=environment)
    assert "\x1b" not in shown.stdout and "[red]x[/red]" in shown.stdout
