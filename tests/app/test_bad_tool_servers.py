"""Servers of tools that are dead, slow, lie or flood: cut off within time and size, named, and nobody else hurt."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from agents_door import Listening, approve, listening, text_of
from mcp.server import MCPServer
from tool_servers import ARGUMENTS, TALKER, Far, behind, served, tool, words

from netgpt.testing.server import Connection, FakeHttp, ReceivedRequest
from netgpt.web.mcp import agents_of

OWN = ["ask", "redact", "explain", "what_left", "profile", "signals"]


async def names(box: Listening) -> list[str]:
    async with box.client() as client:
        return [each.name for each in (await client.list_tools()).tools]


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("dies", "the program ended with 3"), ("sleeps", "no answer within 3 s"), ("floods", "more than 50,000 bytes"),
        ("floods with lines", "more than 50,000 bytes"), ("talks rubbish", "not the Model Context Protocol"),
    ],
)  # fmt: skip
async def test_a_call_that_breaks_is_named_and_the_next_server_works(tmp_path: Path, does: str, told: str) -> None:
    bad, good = Far(tmp_path, "bad", it=None), Far(tmp_path, "good", it=words("well"))
    limit_s = 3 if does == "sleeps" else 60
    servers = bad.settings(timeout_s=limit_s, max_bytes=50_000), good.settings()
    async with listening(tmp_path / "home", tools=servers) as box:
        await approve(box)
        bad.write(does={"it": does})
        async with box.client() as client:
            calls = asyncio.gather(client.call_tool("bad__it", {}), client.call_tool("good__it", {}))
            broken, well = await asyncio.wait_for(calls, 60)
            assert broken.is_error and '"bad"' in text_of(broken).replace("\\", "") and told in text_of(broken)
            assert well.content[0].text == "well"
            again = await client.call_tool("bad__it", {})  # left alone for a while: nothing is started or waited for
            lives = does == "sleeps" and told in text_of(again)  # it was heard of meanwhile: only the call was given up
            assert again.is_error and (lives or "tried again in" in text_of(again))
            assert not (await client.call_tool("ask", {"prompt": "hello"})).is_error
        assert await names(box) == [*OWN, "good__it"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"command": ("/no/such/program",)}, "no such program"),
        ({"command": (sys.executable, "-c", "raise SystemExit(7)")}, "the program ended with 7"),
        ({"command": (sys.executable, "-c", "import time; time.sleep(60)"), "start_s": 0.5}, "not ready within 0.5 s"),
        ({"command": (sys.executable, "-c", "while True: print('no protocol')")}, "not the Model Context Protocol"),
        ({"url": "http://127.0.0.1:9/mcp"}, "no connection"),
    ],
)
async def test_a_server_that_does_not_start(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    async with listening(tmp_path / "home", tools=({"name": "gone", "start_s": 20, **settings},)) as box:
        assert await names(box) == OWN
        async with box.client() as client:
            result = await client.call_tool("gone__it", {})
            assert result.is_error and told in text_of(result)


LIES: dict[str, Any] = {
    "not what its schema says": {"structuredContent": {"n": "one"}},
    "a field is missing": {"structuredContent": {}},
    "nothing structured": {},
    "not even an object": {"structuredContent": [1]},
    "no content": {"content": "hello"},
    "more input": {"resultType": "input_required"},
    "too deep": {"structuredContent": {"n": 1, "x": json.loads("[" * 90 + "]" * 90)}},
}


async def test_a_server_that_lies_about_its_results(tmp_path: Path) -> None:
    says = {f"lie{at}": {**words("hello"), **lie} for at, lie in enumerate(LIES.values())}
    far = Far(tmp_path, "liar", **says, true={**words("hello"), "structuredContent": {"n": 1}})
    gives = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    far.write(tools=[tool(name, outputSchema=gives) for name in far.says])
    async with behind(far, tmp_path) as box, box.client() as client:
        for name, lie in zip(says, LIES, strict=True):
            result = await client.call_tool(f"liar__{name}", {})
            assert result.is_error and result.meta["netgpt/error"]["code"] == "tool_failed", lie
        assert (await client.call_tool("liar__true", {})).structured_content == {"n": 1}


async def test_tools_that_cannot_be_offered_are_left_out(tmp_path: Path) -> None:
    far = Far(tmp_path, "odd", good=None)
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(50):
        deep = {"type": "object", "properties": {"a": deep}}
    far.write(
        tools=[
            tool("good"), tool("two words"), tool("a__b"), tool("x" * 70), tool("twice"), tool("twice"),
            {"name": "deep", "inputSchema": deep},
            {"name": "far", "inputSchema": {"type": "object", "$ref": "https://evil.example/schema"}},
            {"name": "large", "inputSchema": {**ARGUMENTS, "description": "x" * 70_000}},
        ]
    )  # fmt: skip
    async with behind(far, tmp_path) as box:
        assert await names(box) == [*OWN, "odd__good"]


async def test_a_list_that_never_ends(tmp_path: Path) -> None:
    far = Far(tmp_path, "many", it=None)
    far.write(tools=[tool(f"t{number}") for number in range(200)])
    async with behind(far, tmp_path) as box:
        assert await names(box) == OWN


async def test_a_slow_call_does_not_end_those_of_others(tmp_path: Path) -> None:
    """A server that answers others meanwhile is not cut off: only the late call is given up."""
    server = MCPServer("both")

    @server.tool()
    async def wait(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return f"waited {seconds}"

    async with served(server) as url:
        settings = {"name": "both", "url": url, "timeout_s": 4}
        async with listening(tmp_path / "home", tools=(settings,)) as box:
            await approve(box)
            async with box.client() as client:
                late, well, also = await asyncio.gather(
                    client.call_tool("both__wait", {"seconds": 30}),
                    client.call_tool("both__wait", {"seconds": 0.1}),
                    client.call_tool("both__wait", {"seconds": 1}),
                )
                assert late.is_error and "no answer within 4 s" in text_of(late)
                assert not well.is_error and not also.is_error
                assert not (await client.call_tool("both__wait", {"seconds": 0})).is_error


class Endless(FakeHttp):
    """Answers every request with JSON, or a stream of events, that does not end; or says to go elsewhere."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        if self.how == "redirect":
            connection.begin(307, "location: http://127.0.0.1:9/mcp\r\ncontent-length: 0\r\n", b"")
            return
        kind = "application/json" if self.how == "json" else "text/event-stream"
        piece = b'{"jsonrpc": "' if self.how == "json" else b"data: x\n"
        connection.begin(200, f"content-type: {kind}\r\nconnection: close\r\n", piece)
        for _ in range(200):
            connection.write(b"x" * 10_000 if self.how == "json" else b": ping\n\n" * 1_000)
            await asyncio.sleep(0)
        connection.close()


@pytest.mark.parametrize("how", ["json", "events", "redirect"])
async def test_a_server_over_http_that_floods_or_sends_elsewhere(tmp_path: Path, how: str) -> None:
    with Endless(how) as far:
        settings = {"name": "far", "url": f"http://127.0.0.1:{far.port}/mcp", "max_bytes": 50_000, "start_s": 5}
        async with listening(tmp_path / "home", tools=(settings,)) as box:
            assert await names(box) == OWN
            async with box.client() as client:
                result = await client.call_tool("far__it", {})
                assert result.is_error and '"far"' in text_of(result).replace("\\", "")


async def test_a_program_gets_no_environment_but_its_own(tmp_path: Path) -> None:
    script = tmp_path / "env.py"
    script.write_text(TALKER.read_text().replace(
        'json.dumps(params["arguments"])', "json.dumps(dict(os.environ))"))  # fmt: skip
    far = Far(tmp_path, "env", it=None)
    settings = {**far.settings(env={"TOKEN": "its-own"}), "command": (sys.executable, "-I", str(script), str(far.file))}
    async with listening(tmp_path / "home", tools=(settings,), mcp={"local_keys": ("no-key",)}) as box:
        await approve(box)
        async with box.client() as client:
            told = json.loads((await client.call_tool("env__it", {})).content[0].text)
            assert told.pop("TOKEN") == "its-own" and not set(told) - {"LC_CTYPE", "PWD"}


async def test_programs_end_with_the_box(tmp_path: Path) -> None:
    far = Far(tmp_path, "mail", it=None)
    async with behind(far, tmp_path) as box, box.client() as client:
        await client.call_tool("mail__it", {})
        connection = agents_of(box.door.app).tools.connections["mail"]
        task = connection._task
        assert task is not None and not task.done()
    assert task.done()
