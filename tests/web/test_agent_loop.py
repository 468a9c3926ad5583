"""An agent of twenty turns through a served gateway: ids and signatures byte for byte, and nothing kept for an id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from agents import FORMS, MAIL, PERSON, TOOLS, AgentCloud, answers
from serving import Served

from netgpt.models.stream import join_chunks
from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow

TURNS = 20


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def gateway(cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("agents") / "home", cloud=cloud) as gateway:
        yield gateway


def asked(gateway: Served, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The message of the answer, and what the gateway says of it; streamed where the body says so."""
    if not body["stream"]:
        answer = gateway.post(body).json()
        return answer["choices"][0]["message"], answer["netgpt"]
    chunks = [event for event in gateway.stream(body) if isinstance(event, dict)]
    return join_chunks(chunks)["choices"][0]["message"], chunks[-1].get("netgpt") or chunks[0]["netgpt"]


def whole(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pieces of reasoning as clients join them: by index, texts after one another."""
    joined: dict[int, dict[str, Any]] = {}
    for piece in details:
        known = joined.setdefault(piece["index"], {})
        for name, value in piece.items():
            known[name] = known.get(name, "") + value if name == "text" else value
    return list(joined.values())


@pytest.mark.parametrize(("server", "model"), [(server, "netgpt/cloud") for server in FORMS] + [("OpenAI", "netgpt")])
def test_twenty_turns(gateway: Served, cloud: FaultyCloud, server: str, model: str) -> None:
    there = AgentCloud(server, seed=len(server))
    cloud.reply = there
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": f"You may write to {MAIL}.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"role": "user", "content": f"Write a long report, step by step, on the files of: {PERSON}"},
    ]
    body = {"model": model, "tools": TOOLS, "provider": {"order": ["Anthropic"], "data_collection": "deny"}}
    for turn in range(TURNS):
        options = {"explain": True, "prefer": "quality"}
        given, about = asked(gateway, {**body, "messages": messages, "stream": turn % 2 == 1, "netgpt": options})
        assert about["route"] == "cloud", about["reason"]
        kinds = {hidden["kind"] for hidden in about["explain"]["hidden"]}
        assert kinds >= {"PERSON", "EMAIL"} and "API_KEY" not in kinds
        given["reasoning_details"] = whole(given["reasoning_details"])
        check_given(given, there.sent[turn])
        messages += [given, *answers(given)]
    check_received(there.received[-1]["messages"], there.sent)
    assert b"Lindqvist" not in cloud.all_bytes() and b"lindqvist" not in cloud.all_bytes()
    cloud.forget()


def check_given(given: dict[str, Any], sent: dict[str, Any]) -> None:
    """What the caller gets: its own words, and everything that the server signed or named as it was."""
    assert given["content"] == f"I look for {PERSON}."
    assert [call["id"] for call in given["tool_calls"]] == [call["id"] for call in sent["tool_calls"]]
    for number, call in enumerate(given["tool_calls"]):
        assert json.loads(call["function"]["arguments"]) == {"query": PERSON, "page": number}
    thought, encrypted = given["reasoning_details"]
    assert thought["text"] == f"The files of {PERSON} come first."
    assert thought["signature"] == sent["reasoning_details"][0]["signature"]
    assert encrypted == sent["reasoning_details"][1]


def check_received(messages: list[dict[str, Any]], sent: list[dict[str, Any]]) -> None:
    """What comes back to the server is what it sent, word for word, signed texts included."""
    back = [message for message in messages if message["role"] == "assistant"]
    assert back == sent[: len(back)] and len(back) == TURNS - 1
    ids = [call["id"] for message in back for call in message["tool_calls"]]
    assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == ids
    assert messages[0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_a_key_in_place_of_an_id_does_not_leave(gateway: Served, cloud: FaultyCloud) -> None:
    cloud.reply = "done"
    for key in (
        "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl",
        "call_AKIAIOSFODNN7EXAMPLE",
        "ghp_Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56Qr78",
    ):
        call = {"id": key, "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
        history = [
            {"role": "user", "content": "go on"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": key, "content": "ok"},
        ]
        gateway.post({"model": "netgpt/cloud", "messages": history})
        assert key.removeprefix("call_").encode() not in cloud.all_bytes()


def test_two_callers_who_begin_with_the_same_words_share_nothing(gateway: Served, cloud: FaultyCloud) -> None:
    """A cloud that names every placeholder it can think of gets nothing of others put into the answer."""
    probe = " ".join(f"[{kind}_{n}] {kind}_{n}" for kind in ("EMAIL", "PERSON", "PHONE") for n in range(1, 5))
    cloud.reply = "noted"
    opening = {"role": "user", "content": "Hello"}
    secrets = ("vera.quist@mill.example", "+44 20 7946 0018", "Zanele Khumalo")
    for named in ({}, {"user": "one"}, {"netgpt": {"conversation": "c-1"}}):
        cloud.reply = "noted"
        first = [
            opening,
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": f"I am {', '.join(secrets)}"},
        ]
        assert gateway.post({"model": "netgpt/cloud", "messages": first, **named}).status_code == 200
        cloud.reply = probe
        for other in ({}, {"user": "one"}, {"user": "two"}, {"netgpt": {"conversation": "c-1"}}, named):
            said = gateway.post({"model": "netgpt/cloud", "messages": [opening], **other}).text
            assert not [value for value in secrets if value in said], (named, other)
    assert b"vera.quist" not in cloud.all_bytes()
