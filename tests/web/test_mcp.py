"""The box as a server of tools: the official client on both versions of the protocol, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from agents_door import MODES, Listening, listening, text_of
from mcp.shared.exceptions import MCPError

from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Person, Role

MAIL, HOME = "ada@mill.example", "12 Tannery Lane"
NAMES = ["ask", "redact", "explain", "what_left", "profile", "signals"]


@pytest.fixture
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud("so be it, [EMAIL_1]") as cloud:
        yield cloud


@pytest.fixture
async def box(tmp_path: Path, cloud: FaultyCloud) -> AsyncIterator[Listening]:
    async with listening(tmp_path / "home", cloud) as box:
        yield box


async def fact(box: Listening, user: str, text: str, kind: str = "home", key: str | None = None) -> None:
    body = {"text": text, "kind": kind}
    assert (await box.door.ask("POST", f"/v1/profiles/{user}/facts", json=body, key=key)).status_code == 201


async def called(box: Listening, name: str, key: str | None = None, **arguments: Any) -> Any:
    async with box.client(key) as client:
        return await client.call_tool(name, arguments)


@pytest.mark.parametrize(("version", "mode"), MODES.items())
async def test_every_tool_on_both_versions(box: Listening, cloud: FaultyCloud, version: str, mode: str) -> None:
    await fact(box, "anonymous", f"lives at {HOME}, Portwick")
    async with box.client(mode=mode) as client:
        assert client.protocol_version == version
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == NAMES
        for tool in tools.values():
            assert tool.description and tool.output_schema and tool.input_schema["additionalProperties"] is False
            assert tool.annotations and tool.annotations.read_only_hint is (tool.name != "ask")
            assert tool.annotations.open_world_hint is (tool.name == "ask")
        asked = await client.call_tool("ask", {"prompt": f"Write to {MAIL}", "model": "netgpt/cloud"})
        assert not asked.is_error and asked.structured_content["answer"].startswith("so be it, ")
        assert MAIL.encode() not in cloud.all_bytes() and asked.structured_content["route"] == "cloud"
        explained = await client.call_tool("explain", {"exchange": asked.structured_content["exchange"]})
        assert explained.structured_content["status"] == "complete" and explained.structured_content["hidden"]
        left = (await client.call_tool("what_left", {})).structured_content["receipts"]
        assert left[0]["exchange"] == asked.structured_content["exchange"]
        one = await client.call_tool("what_left", {"receipt": left[0]["id"]})
        assert one.structured_content["receipts"][0]["account"]
        facts = (await client.call_tool("profile", {})).structured_content["facts"]
        assert facts[0]["kind"] == "home"
        assert "cloud" in (await client.call_tool("signals", {})).structured_content["links"]
        for result in (asked, explained, one):
            assert MAIL not in text_of(result)
        assert HOME not in text_of(await client.call_tool("profile", {}))


async def test_a_clouds_agent_gets_placeholders_that_work_in_its_next_calls(box: Listening, cloud: FaultyCloud) -> None:
    async with box.client() as client:
        shown = (await client.call_tool("redact", {"text": f"Mail {MAIL}, or 10.1.2.3"})).structured_content
        assert shown["text"] == "Mail [EMAIL_1], or [IP_1]"
        assert [(each["kind"], each["rule"]) for each in shown["hidden"]] == [
            ("EMAIL", "personal-as-placeholder"), ("IP", "personal-as-placeholder"),
        ]  # fmt: skip
        asked = {"prompt": "Repeat after me: x[EMAIL_1]y [EMAIL_7]", "model": "netgpt/edge"}
        await client.call_tool("ask", asked)
        rows = await box.gateway.store.exchanges(None, 1, None)
        row = await box.gateway.store.exchange(rows[0].id)
        assert row is not None and row.private is not None  # no model here gets what could come back in other words
        assert row.private["request"]["messages"][0]["content"] == asked["prompt"] and not row.private["facts"]
        again = (await client.call_tool("redact", {"text": "x[EMAIL_1]y, [IP_1] [EMAIL_7]"})).structured_content["text"]
        assert again == "x[EMAIL_1]y, [IP_1] [LITERAL_3]"


async def test_a_local_agent_gets_the_words(tmp_path: Path, cloud: FaultyCloud) -> None:
    async with listening(tmp_path / "home", cloud, mcp={"local_keys": ("no-key",)}) as box:
        await fact(box, "anonymous", f"lives at {HOME}, Portwick")
        assert HOME in text_of(await called(box, "profile"))
        answer = (await called(box, "ask", prompt=f"Write to {MAIL}", model="netgpt/cloud")).structured_content
        assert answer["answer"] == f"so be it, {MAIL}"
        assert (await called(box, "redact", text=f"I am {MAIL}")).structured_content["text"] == "I am [EMAIL_1]"


async def test_one_person_sees_their_own_alone(box: Listening) -> None:
    _, ada = await box.door.make_key(user="ada")
    _, bob = await box.door.make_key(user="bob")
    await fact(box, "ada", "has a peanut allergy", "health", ada)
    exchange = (await called(box, "ask", ada, prompt="hello", model="netgpt/edge")).structured_content["exchange"]
    for name, arguments in [
        ("explain", {"exchange": exchange}), ("explain", {}), ("profile", {"user": "ada"}),
        ("ask", {"prompt": "x", "user": "ada"}),
        ("redact", {"text": "x", "user": "ada"}), ("what_left", {"user": "ada"}), ("what_left", {"receipt": exchange}),
    ]:  # fmt: skip
        result = await called(box, name, bob, **arguments)
        assert result.is_error and "peanut" not in text_of(result), name
    assert (await called(box, "profile", bob)).structured_content["facts"] == []
    assert (await called(box, "signals", ada)).is_error  # for operators of the box
    assert (await called(box, "explain", ada)).structured_content["id"] == exchange


async def test_operators_see_figures_and_an_unbound_key_speaks_for_its_people(box: Listening) -> None:
    _, app = await box.door.make_key(user=None)
    _, operator = await box.door.make_key(role=Role.OPERATOR)
    await called(box, "ask", app, prompt="hello my secret word", model="netgpt/edge", user="ada")
    shown = await called(box, "explain", operator, user="ada")
    assert not shown.is_error and "request" not in shown.structured_content
    assert (await called(box, "ask", operator, prompt="hello")).is_error
    async with box.client(app) as client:
        found = await client.call_tool("explain", {}, meta={"netgpt/user": "ada"})
        assert found.structured_content["request"]


async def test_keys_scopes_and_pages(box: Listening) -> None:
    _, narrow = await box.door.make_key(user="ada", scopes=("chat",))
    _, agent = await box.door.make_key(user="ada", scopes=("mcp", "chat"))
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    head = {"accept": "application/json, text/event-stream", "content-type": "application/json"}

    async def post(key: str | None, **headers: str) -> httpx.Response:
        return await box.door.ask("POST", "/mcp", key=key, json=asked, headers={**head, **headers})

    assert (await post(None)).status_code == 401
    assert (await post("ngpt_wrong")).status_code == 401
    assert (await post(narrow)).json()["error"]["code"] == "scope_missing"
    assert (await post(agent, origin="https://evil.example")).json()["error"]["code"] == "cross_site"
    assert (await box.door.get("/mcp", key=agent)).status_code == 405
    assert not (await called(box, "ask", agent, prompt="hello", model="netgpt/edge")).is_error
    refused = await called(box, "profile", agent)
    assert refused.is_error and "scope_missing" in text_of(refused)


async def test_without_keys_other_hosts_and_pages_are_refused(box: Listening) -> None:
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example:8080"}):
        answer = await box.door.ask("POST", "/mcp", json={}, headers=headers)
        assert answer.status_code == 403


async def test_errors_say_what_is_wrong(box: Listening) -> None:
    async with box.client() as client:
        for arguments, word in [
            ({}, "prompt"),
            ({"prompt": 3}, "prompt"),
            ({"prompt": "x", "colour": "red"}, "colour"),
        ]:
            wrong = await client.call_tool("ask", arguments)
            assert wrong.is_error and word in wrong.content[0].text and wrong.structured_content is None
        unknown = await client.call_tool("ask", {"prompt": "x", "model": "gpt-9"})
        assert unknown.is_error and unknown.meta["netgpt/error"]["status"] == 404
        deep: dict[str, Any] = {}
        for _ in range(80):
            deep = {"a": deep}
        assert "deeper" in text_of(await client.call_tool("redact", {"text": deep}))
        with pytest.raises(MCPError, match="did you mean ask"):
            await client.call_tool("aks", {})


async def test_limits_of_a_key_hold(box: Listening) -> None:
    from netgpt.store.schema import KeyLimits

    _, key = await box.door.make_key(user="ada", limits=KeyLimits(requests_per_minute=2))
    statuses = []
    for _ in range(3):
        answer = await box.door.ask("POST", "/mcp", key=key, json={})
        statuses.append(answer.status_code)
    assert statuses[-1] == 429 and statuses[0] != 429


@pytest.mark.parametrize("mode", MODES.values())
async def test_who_hangs_up_ends_the_work(tmp_path: Path, mode: str) -> None:
    with FaultyCloud("never", faults=[Fault.STALL]) as cloud:
        async with listening(tmp_path / "home", cloud) as box:
            async with box.client(mode=mode) as client:  # of the older version, only a closed connection tells
                asking = asyncio.create_task(client.call_tool("ask", {"prompt": "hello", "model": "netgpt/cloud"}))
                while not cloud.received:
                    await asyncio.sleep(0.01)
                asking.cancel()
            rows: list[Any] = []
            while not rows:
                rows = await box.gateway.store.exchanges(Person("local", "anonymous"), 1, None)
                await asyncio.sleep(0.01)
            assert rows[0].status == "cancelled"


async def test_nothing_private_is_logged(box: Listening, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await called(box, "redact", text=f"I am {MAIL}")
    await box.door.ask("POST", "/mcp", content=f"{{not json {MAIL}", headers={"content-type": "application/json"})
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("asyncio", "mcp.client"))]
    assert MAIL not in json.dumps(ours)
