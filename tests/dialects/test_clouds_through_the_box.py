"""A box whose cloud speaks another dialect: chat whole and streamed, a loop of tools with signed thoughts, planted
private values, what is refused, and receipts of what left, byte for byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from dialects.chat_bodies import SCHEMA, THOUGHT, system_and_user
from doors import Door, door
from outbounds import outbound

from netgpt.app.doctor import try_clouds
from netgpt.app.factory import open_remotes
from netgpt.dialects.clouds import DIALECTS, encoder_of
from netgpt.errors import SettingsError
from netgpt.models.base import without_receipt
from netgpt.models.stream import join_chunks
from netgpt.privacy.detector import LocalDetector
from netgpt.privacy.vault import Vault
from netgpt.settings import load_settings
from netgpt.testing.dialects import DialectCloud, signature_of, user_text
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud

BOTH = ("responses", "anthropic")
ADA, PHONE = "ada.lovelace@mill.example", "+44 20 7946 0958"
MODELS = {"anthropic": "claude-sonnet-5", "responses": "gpt-6"}
TOOLS = [{"type": "function", "function": {"name": "send", "description": "Sends.", "parameters": SCHEMA}}]


def settings(cloud: FaultyCloud, dialect: str, **more: Any) -> dict[str, Any]:
    quick = {"retries": 0, "breaker_failures": 1_000, "connect_timeout_s": 30}
    known = {"base_url": cloud.base_url, "dialect": dialect, "model": MODELS.get(dialect, "far"), "api_key": "sk-1"}
    return {**quick, **known, **more}


async def ask(here: Door, messages: list[dict[str, Any]], **fields: Any) -> httpx.Response:
    return await here.chat(fields={"model": "netgpt/cloud", "messages": messages, **fields})


def answer_of(response: httpx.Response) -> dict[str, Any]:
    """The joined answer, whole or streamed."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        return dict(response.json())
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return join_chunks([json.loads(line) for line in lines if line != "[DONE]"])


async def test_what_left_is_what_its_receipt_shows(tmp_path: Path) -> None:
    for dialect in BOTH:
        with DialectCloud(dialect, key="sk-1") as cloud:
            async with door(
                tmp_path / dialect, settings(cloud, dialect, price_prompt=1e6, price_completion=1e6)
            ) as here:
                for stream in (False, True):
                    asked = [*system_and_user()[:1], {"role": "user", "content": f"Write to {ADA} or {PHONE}"}]
                    response = await ask(here, asked, stream=stream, seed=3, max_tokens=90)
                    answer = answer_of(response)
                    assert answer["choices"][0]["message"]["content"] == f"Write to {ADA} or {PHONE}", answer
                    assert response.headers["x-netgpt-route"] == "cloud"
                    told = answer["netgpt"] if not stream else json.loads(response.text.split("data: ")[1])["netgpt"]
                    assert told["left_out"] == ["seed"]
                    sent = cloud.received[-1]
                    assert ADA.encode() not in cloud.all_bytes() and b"7946" not in cloud.all_bytes()
                    row = (await here.get(f"/v1/exchanges/{response.headers['x-netgpt-exchange']}")).json()
                    assert row["outbound"] == json.loads(sent.body) and row["cost"] == 17
                    assert row["outbound_sha256"] == hashlib.sha256(sent.body).hexdigest()
                    receipt = (await here.get("/v1/receipts")).json()["data"][0]
                    assert receipt["exchange"] == row["id"] and row["usage"]["prompt_tokens"] == 12


async def test_the_head_says_who_asks_in_the_dialects_way(tmp_path: Path) -> None:
    for dialect in BOTH:
        with DialectCloud(dialect) as cloud:
            async with door(
                tmp_path / dialect, settings(cloud, dialect, headers={"anthropic-beta": "context-1m-2025-08-07,b"})
            ) as here:
                await ask(here, system_and_user())
            (sent,) = cloud.received
            said = [sent.header(name) for name in ("authorization", "x-api-key", "anthropic-version", "anthropic-beta")]
            theirs = [None, "sk-1", "2023-06-01", "context-1m-2025-08-07,b"]
            assert said == (theirs if dialect == "anthropic" else ["Bearer sk-1", None, None, theirs[3]])


@pytest.mark.parametrize("dialect", BOTH)
async def test_a_loop_of_tools_with_signed_thoughts(tmp_path: Path, dialect: str) -> None:
    """The thought names what was hidden; it comes back restored, and leaves again as it was signed."""

    def reply(body: Mapping[str, Any]) -> Any:
        if "sent to" in user_text(body):
            return {"content": "Done, to [EMAIL_1].", "thinking": "It went to [EMAIL_1]."}
        arguments = json.dumps({"path": "[EMAIL_1]"})
        calls = [{"id": f"call_{n}", "type": "function", "function": {"name": "send", "arguments": arguments}}
                 for n in (1, 2)]  # fmt: skip
        return {"content": "I send.", "tool_calls": calls, "thinking": "The address is [EMAIL_1], a [PHONE_1] too."}

    with DialectCloud(dialect, reply) as cloud:
        async with door(tmp_path, settings(cloud, dialect)) as here:
            for stream in (False, True):
                messages: list[dict[str, Any]] = [
                    *system_and_user()[:1], {"role": "user", "content": f"Send it to {ADA}, {PHONE}"}
                ]  # fmt: skip
                first = answer_of(await ask(here, messages, tools=TOOLS, stream=stream))["choices"][0]
                message = first["message"]
                assert first["finish_reason"] == "tool_calls"
                assert message["reasoning_content"] == f"The address is {ADA}, a {PHONE} too."
                assert [json.loads(call["function"]["arguments"]) for call in message["tool_calls"]] == [
                    {"path": ADA}
                ] * 2
                signature = signature_of("The address is [EMAIL_1], a [PHONE_1] too.")
                assert json.dumps(message).count(signature) == 1
                results = [
                    {"role": "tool", "tool_call_id": call["id"], "content": f"sent to {ADA}"}
                    for call in message["tool_calls"]
                ]
                turn = [*messages, message, *results]
                second = await ask(here, turn, tools=TOOLS, stream=stream)
                assert second.status_code == 200, second.text
                assert answer_of(second)["choices"][0]["message"]["content"] == f"Done, to {ADA}."
                last = [
                    *turn,
                    answer_of(second)["choices"][0]["message"],
                    {"role": "user", "content": "Again, sent to"},
                ]
                third = await ask(here, last, tools=TOOLS, stream=stream)
                assert third.status_code == 200, third.text
            assert cloud.answered == 6 and ADA.encode() not in cloud.all_bytes()
            assert cloud.all_bytes().count(signature.encode()) == 4


@pytest.mark.parametrize("dialect", BOTH)
async def test_a_thought_in_which_words_were_hidden_is_left_out_where_its_maker_does_not_know_it(
    tmp_path: Path, dialect: str
) -> None:
    """The model itself made the address up: on its way back it is hidden, and the signature is of other words."""

    def reply(body: Mapping[str, Any]) -> Any:
        if "done" in user_text(body):
            return "Well."
        call = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": "{}"}}
        return {"thinking": "Perhaps bob.builder@yard.example knows.", "tool_calls": [call]}

    with DialectCloud(dialect, reply) as cloud:
        async with door(tmp_path, settings(cloud, dialect)) as here:
            message = answer_of(await ask(here, system_and_user(), tools=TOOLS))["choices"][0]["message"]
            assert "bob.builder" in message["reasoning_content"]
            turn = [*system_and_user(), message, {"role": "tool", "tool_call_id": "call_1", "content": "done"}]
            for stream in (False, True):
                second = await ask(here, turn, tools=TOOLS, stream=stream, reasoning_effort="low")
                assert second.status_code == 200, second.text
                assert answer_of(second)["choices"][0]["message"]["content"] == "Well."
                assert second.headers["x-netgpt-left-out"] == "reasoning"
                row = (await here.get(f"/v1/exchanges/{second.headers['x-netgpt-exchange']}")).json()
                assert row["outbound"] == json.loads(cloud.received[-1].body) and row["left_out"] == ["reasoning"]
                receipts = (await here.get("/v1/receipts")).json()["data"]
                assert [each["exchange"] for each in receipts[:2]] == [row["id"]] * 2, "each of both that left"
            assert b"bob.builder" not in cloud.all_bytes()


def planted() -> dict[str, Any]:
    """A body with a value of its own in every field that holds words."""
    numbers = iter(range(100))

    def mail() -> str:
        return f"someone{next(numbers)}@planted.example"

    call = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": json.dumps({"path": mail()})}}
    schema = {**SCHEMA, "properties": {"path": {"type": "string", "description": mail(), "default": mail()}}}
    function = {"name": "send", "description": f"Sends to {mail()}", "parameters": schema}
    form = {"name": "answer", "description": mail(), "schema": {**SCHEMA, "title": mail()}}
    return {
        "messages": [
            {"role": "system", "content": f"I am {mail()}"},
            {"role": "developer", "content": [{"type": "text", "text": mail()}]},
            {"role": "user", "content": [{"type": "text", "text": mail()}, {"type": "text", "text": mail()}]},
            {"role": "assistant", "content": mail(), "tool_calls": [call], "refusal": mail()},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": mail()}]},
            {"role": "assistant", "content": None, "refusal": mail()},
            {"role": "user", "content": f"and {mail()}"},
        ],
        "tools": [{"type": "function", "function": function}],
        "response_format": {"type": "json_schema", "json_schema": form},
        "metadata": {"mail": mail()}, "user": mail(),
    }  # fmt: skip


@pytest.mark.parametrize("dialect", BOTH)
async def test_planted_values_do_not_leave_in_any_field(tmp_path: Path, dialect: str) -> None:
    body = planted()
    with DialectCloud(dialect, lambda body: json.dumps(body, ensure_ascii=False)) as cloud:
        async with door(tmp_path, settings(cloud, dialect)) as here:
            for stream in (False, True):
                response = await ask(here, body.pop("messages"), stream=stream, **body)
                body = planted()
                assert response.status_code == 200, response.text
                assert b"@planted.example" not in cloud.all_bytes()
                said = answer_of(response)["choices"][0]["message"]["content"]
                back = {number for number in range(14) if f"someone{number}@planted.example" in said}
                assert len(back) >= 11 and "[EMAIL_" not in said.replace("\\", ""), said


@pytest.mark.parametrize("dialect", BOTH)
async def test_what_cannot_be_said_is_400_and_nothing_leaves(tmp_path: Path, dialect: str) -> None:
    with DialectCloud(dialect) as cloud, FaultyCloud("from b") as other:
        async with door(tmp_path / "alone", settings(cloud, dialect)) as here:
            for model in ("netgpt/cloud", "netgpt"):
                for stream in (False, True):
                    refused = await ask(here, system_and_user(), model=model, n=2, stream=stream)
                    assert refused.status_code == 400 and refused.json()["error"]["param"] == "n", refused.text
            assert (await ask(here, system_and_user(), model="netgpt/edge", n=2)).status_code == 200
            secret = [{"role": "user", "content": "My card is 4111 1111 1111 1111, is it valid?"}]
            kept = await ask(here, secret, model="netgpt", n=2)
            assert kept.status_code == 200 and kept.headers["x-netgpt-route"] == "edge"
        upstream = {"name": "b", "base_url": other.base_url, "model": "m", "retries": 0}
        async with door(tmp_path / "two", settings(cloud, dialect), upstreams=[upstream]) as here:
            taken = await ask(
                here, [{"role": "user", "content": "Write a python function, step by step"}], model="b", n=2
            )
            assert taken.status_code == 200 and taken.headers["x-netgpt-arm"] == "b"
        assert not cloud.received and other.received


@pytest.mark.parametrize("dialect", BOTH)
async def test_a_dry_run_shows_what_would_leave(tmp_path: Path, dialect: str) -> None:
    with DialectCloud(dialect) as cloud:
        async with door(tmp_path, settings(cloud, dialect)) as here:
            asked = [{"role": "user", "content": f"Write to {ADA}"}]
            shown = (await ask(here, asked, seed=1, netgpt={"dry_run": True})).json()["netgpt"]["explain"]
            assert not cloud.received and shown["destination"]["model"] == MODELS[dialect]
            assert shown["left_out"] == ["seed"] and ADA not in shown["would_send_text"]
            await ask(here, asked, seed=1)
            assert hashlib.sha256(cloud.received[0].body).hexdigest() == shown["would_send_sha256"]


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.MALFORMED, Fault.ERROR_IN_200])
async def test_a_stream_that_breaks_at_any_event_never_looks_whole(tmp_path: Path, dialect: str, fault: Fault) -> None:
    message = {"content": "words of it", "thinking": THOUGHT}
    with DialectCloud(dialect, lambda _: message, chunk_size=30) as cloud:
        async with door(tmp_path, settings(cloud, dialect), edge=ScriptedModel(down="asleep")) as here:
            for at in range(1, 9):
                cloud.break_at = at
                cloud.schedule(fault)
                answer = await ask(here, system_and_user(), stream=True)
                assert "[DONE]" not in answer.text and '"finish_reason":"stop"' not in answer.text
                assert '"error"' in answer.text and "sk-1" not in answer.text and "two files" not in answer.text


@pytest.mark.parametrize("dialect", BOTH)
async def test_refusals_of_the_cloud_are_told_as_those_of_any(tmp_path: Path, dialect: str) -> None:
    with DialectCloud(dialect) as cloud:
        async with door(tmp_path, settings(cloud, dialect), edge=ScriptedModel(down="asleep")) as here:
            seen = {}
            for fault in (Fault.REFUSED, Fault.TOO_LONG, Fault.RATE_LIMIT, Fault.SERVER_ERROR):
                for stream in (False, True):
                    cloud.schedule(fault)
                    answer = await ask(here, system_and_user(), stream=stream)
                    seen[fault] = answer.status_code, answer.json()["error"]["code"]
                    assert "two files" not in answer.text and "sk-1" not in answer.text
            assert seen[Fault.REFUSED][0] == 502 and seen[Fault.TOO_LONG] == (400, "context_length_exceeded")
            assert seen[Fault.RATE_LIMIT][0] == 429 and seen[Fault.SERVER_ERROR][0] in (502, 503)
            assert (await ask(here, system_and_user())).status_code == 200


@pytest.mark.parametrize("dialect", BOTH)
async def test_the_owner_is_told_what_is_wrong_and_what_is_right(tmp_path: Path, dialect: str) -> None:
    """`netgpt doctor --try-cloud`: a short question, sealed in the dialect and with a receipt."""
    with DialectCloud(dialect, key="sk-1") as cloud:
        upstream = {"name": "other", **settings(cloud, dialect, api_key="sk-2")}
        sections: dict[str, Any] = {
            "cloud": settings(cloud, dialect),
            "upstreams": [upstream],
            "privacy": {"names": False},
        }
        found = await try_clouds(load_settings(environment={}, home=tmp_path, **sections))
        assert found["cloud"].state == "ok" and f"model {MODELS[dialect]} are right" in found["cloud"].detail
        assert found["upstream other"].state == "wrong" and "upstreams.other.api_key" in found["upstream other"].detail
        assert [json.loads(sent.body)["stream"] for sent in cloud.received] == [True, True]


def test_a_neighbour_speaks_chat(tmp_path: Path) -> None:
    near = {"name": "near", "kind": "neighbour", "base_url": "http://near.example/v1", "dialect": "anthropic"}
    with pytest.raises(SettingsError, match="a neighbour speaks OpenAI's chat"):
        load_settings(environment={}, home=tmp_path, upstreams=[near])
    with pytest.raises(SettingsError, match="dialect"):
        load_settings(environment={}, home=tmp_path, cloud={"base_url": "http://a.example", "dialect": "gemini"})


async def test_a_model_does_not_take_what_is_said_in_another_dialect(tmp_path: Path) -> None:
    with DialectCloud("anthropic") as cloud:
        made = load_settings(environment={}, home=tmp_path, cloud=settings(cloud, "anthropic"))
        model = open_remotes(made, without_receipt)["cloud"]
        with pytest.raises(TypeError, match="speaks anthropic; the Outbound is for openai"):
            model.send(outbound({"messages": system_and_user()}))
        await model.close()
        assert not cloud.received


@pytest.mark.parametrize(
    ("dialect", "written", "posted"),
    [
        ("anthropic", "https://api.anthropic.com", "/v1"), ("anthropic", "https://api.anthropic.com/", "/v1"),
        ("anthropic", "https://api.anthropic.com/v1", "/v1"), ("anthropic", "https://a.example/v1/messages/", "/v1"),
        ("anthropic", "https://a.example/v1/messages/count_tokens", "/v1"),
        ("anthropic", "https://api.deepseek.com/anthropic", "/anthropic/v1"),
        ("responses", "https://api.openai.com", "/v1"), ("responses", "https://api.openai.com/v1/responses", "/v1"),
        ("responses", "https://a.example/v1/chat/completions", "/v1"),
        ("responses", "https://a.openai.azure.com/openai/v1", "/openai/v1"), ("responses", "http://a/api", "/api"),
    ],
)  # fmt: skip
def test_addresses_with_without_and_with_too_much_of_a_path(dialect: str, written: str, posted: str) -> None:
    assert urlsplit(DIALECTS[dialect].base(written)).path == posted


async def test_the_path_is_that_of_the_dialect(tmp_path: Path) -> None:
    for dialect in BOTH:
        with DialectCloud(dialect) as cloud:
            at = cloud.base_url.removesuffix("/v1") + ("" if dialect == "anthropic" else "/v1/responses")
            made = load_settings(environment={}, home=tmp_path, cloud=settings(cloud, dialect, base_url=at))
            model = open_remotes(made, without_receipt)["cloud"]
            sealed = await Vault().seal(
                {"model": "m", "messages": system_and_user()}, LocalDetector(names=False), encode=encoder_of(made.cloud)
            )
            chunks = [chunk async for chunk in model.send(sealed)]
            assert chunks and cloud.received[0].path == f"/v1{DIALECTS[dialect].path}"
            await model.close()
