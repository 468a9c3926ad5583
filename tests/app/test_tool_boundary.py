"""A server of tools with planted values: what an agent on some cloud gets of them, and what goes back to which tool."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from agents_door import MODES, Listening, approve, listening, text_of
from mcp import Client
from private_values import MAKERS, leaked, readable
from tool_servers import Far, behind, tool, words

from netgpt.models.base import HOPS_HEADER
from netgpt.types import Role

MAIL, HOME, NAME = "ada@mill.example", "12 Tannery Lane, Portwick", "Maria Keller"


async def profile_fact(box: Listening, text: str, kind: str) -> None:
    body = {"text": text, "kind": kind}
    assert (await box.door.ask("POST", "/v1/profiles/anonymous/facts", json=body)).status_code == 201


def planted(shape: str, values: list[str]) -> dict[str, Any]:
    """A result that holds the values in this shape."""
    coded = [base64.b64encode(f"From: {value}".encode()).decode() for value in values]
    made: dict[str, dict[str, Any]] = {
        "text": words(*(f"It was {value} who wrote." for value in values)),
        "json": words(json.dumps({"rows": [{"note": f"call {value}"} for value in values]})),
        "nested": words("x", structuredContent={"a": [{"b": {"c": [f"from {value}", 3]}} for value in values]}),
        "keys": words("x", structuredContent={f"of {value}": True for value in values}),
        "base64": words("x", structuredContent={f"data_{at}": each for at, each in enumerate(coded)}),
        "error": words(*(f"no such person: {value}" for value in values), isError=True),
        "resource": {"content": [{"type": "resource", "resource": {"uri": "x:1", "text": f"by {v}"}} for v in values]},
        "link": {"content": [{"type": "resource_link", "uri": "x:1", "name": f"of {value}"} for value in values]},
        "blob": {
            "content": [
                {"type": "resource", "resource": {"uri": "x:1", "mimeType": "text/plain", "blob": each}}
                for each in coded
            ]
        },
    }
    return made[shape]


SHAPES = ("text", "json", "nested", "keys", "base64", "error", "resource", "link", "blob")


def seen(result: Any) -> str:
    """All that the agent can read of a result, what is packed in base64 unpacked."""
    text = text_of(result)
    for block in result.content:
        if (blob := getattr(getattr(block, "resource", None), "blob", None)) is not None:
            text += base64.b64decode(blob).decode("utf-8", "replace")
    for word in (result.structured_content or {}).values():
        if isinstance(word, str):
            try:
                text += base64.b64decode(word, validate=True).decode()
            except ValueError:
                continue
    return readable(text.encode())


async def test_planted_values_of_all_kinds_and_shapes_stay_here(tmp_path: Path) -> None:
    random_ = random.Random(16)
    values = [make(random_) for make in MAKERS.values() for _ in range(3)]
    far = Far(tmp_path, "mail", **{shape: planted(shape, [value.text for value in values]) for shape in SHAPES})
    async with behind(far, tmp_path) as box, box.client() as client:
        for shape in SHAPES:
            found = await client.call_tool(f"mail__{shape}", {})
            assert not [(shape, value) for value in values if leaked(value, seen(found))]
            assert found.is_error is (shape == "error") and "netgpt/hidden" in found.meta
    local = {"local_keys": ("no-key",)}
    async with behind(far, tmp_path / "local", mcp=local) as box, box.client() as client:  # so it would be seen
        for shape in SHAPES:
            found = seen(await client.call_tool(f"mail__{shape}", {}))
            assert all(leaked(value, found) for value in values), shape


@pytest.mark.parametrize("mode", MODES.values())
async def test_values_come_back_only_in_the_tools_that_may_see_the_kind(tmp_path: Path, mode: str) -> None:
    far = Far(tmp_path, "mail", read=words(f"{MAIL} called from +44 20 7946 0958"), send=None)
    async with behind(far, tmp_path, {"sees": ("EMAIL",)}) as box, box.client(mode=mode) as client:
        read = await client.call_tool("mail__read", {})
        assert read.content[0].text == "[EMAIL_1] called from [PHONE_1]"
        asked = {"to": "[EMAIL_1]", "text": "the number is [PHONE_1]"}
        sent = await client.call_tool("mail__send", asked)
        assert far.calls[-1]["arguments"] == {"to": MAIL, "text": "the number is [PHONE_1]"}
        assert json.loads(sent.content[0].text) == asked and MAIL not in text_of(sent)
        # what the agent writes in full is judged as well: this tool may not see numbers, whoever wrote them
        await client.call_tool("mail__send", {"to": "bob@far.example", "text": "call +44 20 7946 0958"})
        assert far.calls[-1]["arguments"] == {"to": "bob@far.example", "text": "call [PHONE_1]"}


async def test_what_was_known_by_its_place_alone_is_no_less_hidden_elsewhere(tmp_path: Path) -> None:
    far = Far(tmp_path, "crm", read=words("x", structuredContent={"phone": "555 0199"}), note=None)
    async with behind(far, tmp_path, {"sees": ("EMAIL",)}) as box, box.client() as client:
        read = (await client.call_tool("crm__read", {})).structured_content
        await client.call_tool("crm__note", {"text": f"it is {read['phone']}"})
        assert far.calls[-1]["arguments"] == {"text": "it is [PHONE_1]"} == {"text": f"it is {read['phone']}"}


async def test_a_rule_may_allow_one_tool_and_forbid_another(tmp_path: Path) -> None:
    rules = tmp_path / "own.cedar"
    rules.write_text(
        '@id("as-it-is") permit (principal, action == Action::"disclose", resource) when '
        '{ resource.label == "public" || context.precision == "placeholder" };\n'
        '@id("send-sees-numbers") permit (principal, action == Action::"hand_over", resource) when '
        '{ context.tool == "mail__send" && resource.kind == "PHONE" };\n'
        '@id("never-addresses") forbid (principal, action == Action::"hand_over", resource) when '
        '{ resource.kind == "EMAIL" && context.precision == "exact" };\n'
    )
    far = Far(tmp_path, "mail", send=None, log=None)
    async with behind(far, tmp_path, {"sees": ("EMAIL",)}, policy={"set": str(rules)}) as box, box.client() as client:
        for name, given in (("send", "+44 20 7946 0958"), ("log", "[PHONE_1]")):
            await client.call_tool(f"mail__{name}", {"text": f"{MAIL} +44 20 7946 0958"})
            assert far.calls[-1]["arguments"] == {"text": f"[EMAIL_1] {given}"}


async def test_what_is_sensitive_needs_consent_too(tmp_path: Path) -> None:
    far = Far(tmp_path, "bank", pay=None)
    iban = "DE89 3704 0044 0532 0130 00"
    async with behind(far, tmp_path, {"sees": ("IBAN",)}) as box, box.client() as client:
        await client.call_tool("bank__pay", {"to": iban})
        assert far.calls[-1]["arguments"] == {"to": "[IBAN_1]"}
        consent = {"purpose": "tools", "given": True}
        assert (await box.door.ask("POST", "/v1/profiles/anonymous/consents", json=consent)).status_code == 201
        await client.call_tool("bank__pay", {"to": "[IBAN_1]"})
        assert far.calls[-1]["arguments"] == {"to": iban}


async def test_strict_gives_nothing_sensitive_in_any_form(tmp_path: Path) -> None:
    far = Far(tmp_path, "bank", pay=None, read=words("IBAN DE89 3704 0044 0532 0130 00"))
    async with behind(far, tmp_path, {"sees": ("IBAN",)}, policy={"set": "strict"}) as box, box.client() as client:
        for name, arguments in (("pay", {"to": "DE89 3704 0044 0532 0130 00"}), ("read", {})):
            kept = await client.call_tool(f"bank__{name}", arguments)
            assert kept.is_error and "kept" in kept.content[0].text and "DE89" not in text_of(kept)
        assert [call["name"] for call in far.calls] == ["read"]


async def test_each_passage_has_a_receipt(tmp_path: Path) -> None:
    far = Far(tmp_path, "mail", send=words(f"sent to {MAIL}"))
    async with behind(far, tmp_path, {"sees": ("EMAIL",)}) as box, box.client() as client:
        await client.call_tool("mail__send", {"to": MAIL, "text": NAME})
        shown = (await client.call_tool("what_left", {})).structured_content["receipts"]
        assert [each["destination"] for each in shown] == ["agent", "tool:mail"]
        given = await box.gateway.store.receipts.find(shown[1]["id"])
        assert given is not None and given.record.account is not None and MAIL in str(given.record.content)
        passed = given.record.account["generalised"]
        assert [(each["kind"], each["policy_rule"]) for each in passed] == [("EMAIL", "tools-see-what-is-listed")]
        agents = await box.gateway.store.receipts.find(shown[0]["id"])
        assert agents is not None and MAIL not in str(agents.record.content)
        assert (await box.gateway.store.receipts.verify()).whole


async def test_a_local_agent_gets_words_and_pictures_and_tools_still_do_not(tmp_path: Path) -> None:
    picture = {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}
    far = Far(tmp_path, "mail", read={"content": [picture, *words(f"by {MAIL}")["content"]]}, send=None)
    async with behind(far, tmp_path, mcp={"local_keys": ("no-key",)}) as box, box.client() as client:
        read = await client.call_tool("mail__read", {})
        assert read.content[0].data == "aGVsbG8=" and read.content[1].text == f"by {MAIL}"
        sent = await client.call_tool("mail__send", {"to": MAIL})
        assert far.calls[-1]["arguments"] == {"to": "[EMAIL_1]"} and json.loads(sent.content[0].text) == {"to": MAIL}


async def test_pictures_and_packed_files_stay_here(tmp_path: Path) -> None:
    blob = {"type": "resource", "resource": {"uri": "x:1", "mimeType": "application/pdf", "blob": "JVBERi0xLjc="}}
    sound = {"type": "audio", "data": "aGVsbG8=", "mimeType": "audio/wav"}
    picture = {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}
    far = Far(
        tmp_path, "mail", read={"content": [blob, sound, picture]}, odd={"content": [{"type": "odd", "words": MAIL}]}
    )
    async with behind(far, tmp_path) as box, box.client() as client:
        read = await client.call_tool("mail__read", {})
        assert all(block.type == "text" and "stays on the box" in block.text for block in read.content)
        odd = await client.call_tool("mail__odd", {})
        assert odd.is_error and "protocol" in odd.content[0].text and MAIL not in text_of(odd)


async def test_facts_of_the_person_are_hidden_in_results_and_words_of_tools(tmp_path: Path) -> None:
    far = Far(tmp_path, "map", find=words("from Tannery Lane, left"))
    properties = {"from": {"type": "string", "enum": [MAIL], "description": f"or {MAIL}"}}
    schema = {"type": "object", "properties": properties}
    far.write(tools=[tool("find", f"Finds ways from {HOME} for {MAIL}.", inputSchema=schema)])
    async with behind(far, tmp_path) as box, box.client() as client:
        await profile_fact(box, f"lives at {HOME}", "home")
        found = text_of(await client.call_tool("map__find", {})) + text_of(await client.list_tools())
        assert "Tannery" not in found and MAIL not in found


async def test_who_may_use_a_server_is_said_by_its_owner(tmp_path: Path) -> None:
    far = Far(tmp_path, "mail", read=words("hello"))

    async def offered(client: Client) -> bool:
        return any(each.name == "mail__read" for each in (await client.list_tools()).tools)

    async with behind(far, tmp_path, {"people": ("ada",)}) as box:
        keys = {}
        for user, tenant in (("ada", "local"), ("bob", "local"), ("ada", "north")):
            _, keys[user, tenant] = await box.door.make_key(user=user, tenant=tenant)
        for (user, tenant), key in keys.items():
            async with box.client(key) as client:
                may = (user, tenant) == ("ada", "local")
                assert await offered(client) is may
                assert (await client.call_tool("mail__read", {})).is_error is not may
    async with behind(far, tmp_path / "2") as box:
        _, user = await box.door.make_key(user="ada", tenant="local")
        _, owner = await box.door.make_key(user="ada", tenant="local", role=Role.ADMIN)
        for key, may in ((user, False), (owner, True)):
            async with box.client(key) as client:
                assert await offered(client) is may


async def test_two_agents_know_nothing_of_each_others_placeholders(tmp_path: Path) -> None:
    far = Far(tmp_path, "mail", read=words(f"by {MAIL}"), send=None)
    async with behind(far, tmp_path, {"people": ("ada",), "sees": ("EMAIL",)}) as box:
        _, one = await box.door.make_key(user="ada", tenant="local")
        _, two = await box.door.make_key(user="ada", tenant="local")
        async with box.client(one) as client:
            await client.call_tool("mail__read", {})
            await client.call_tool("mail__send", {"to": "[EMAIL_1]"}, meta={"netgpt/conversation": "another"})
            assert far.calls[-1]["arguments"] == {"to": "[EMAIL_1]"}
            await client.call_tool("mail__send", {"to": "[EMAIL_1]"})
            assert far.calls[-1]["arguments"] == {"to": MAIL}
        async with box.client(two) as client:
            await client.call_tool("mail__send", {"to": "[EMAIL_1]"})
            assert far.calls[-1]["arguments"] == {"to": "[EMAIL_1]"}


async def test_structured_content_of_any_form(tmp_path: Path) -> None:
    forms = {"list": [1, {"a": MAIL}], "words": "just words", "number": 7, "object": {"a": None}}
    far = Far(tmp_path, "odd", **{name: words("x", structuredContent=form) for name, form in forms.items()})
    async with behind(far, tmp_path) as box:
        for mode in MODES.values():
            async with box.client(mode=mode) as client:
                for name in forms:
                    assert MAIL not in text_of(await client.call_tool(f"odd__{name}", {}))


async def test_a_box_does_not_pass_another_boxs_calls_on(tmp_path: Path) -> None:
    """A box that names itself, or two that name one another, would never come to an end."""
    far = Far(tmp_path, "mail", read=words("hello"))
    async with behind(far, tmp_path) as box:
        async with listening(tmp_path / "second", tools=({"name": "first", "url": f"{box.url}/mcp"},)) as second:
            await approve(second)
            async with second.client() as client:
                offered = [each.name for each in (await client.list_tools()).tools]
                assert "first__ask" in offered and "first__mail__read" not in offered
                shown = await client.call_tool("first__redact", {"text": "an agent of an agent"})
                assert shown.structured_content["text"] == "an agent of an agent"
        async with box.client(**{HOPS_HEADER: "another"}) as client:
            assert (await client.call_tool("mail__read", {})).is_error
