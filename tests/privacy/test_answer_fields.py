"""Annotations, citations, pieces of reasoning, names of tools: put back wherever they stand, signatures untouched."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agents import Ids
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.models.stream import as_chunk, join_chunks
from netgpt.privacy.detector import Detector
from netgpt.privacy.restore import Account, restore_chunks
from netgpt.privacy.vault import Vault

NAME, MAIL = "Zanele Khumalo", "zanele@mill.example"
SIGNATURE = Ids(5).signature()
ODD = "c2lnbmF0dXJl/PERSON_1+EMAIL_1/[PERSON_1]=="
"""As a signature it would be put back in two places; nobody may touch it."""


async def vault_of(detector: Detector) -> Vault:
    vault = Vault()
    content = f"{NAME} is my colleague; write to {NAME} at {MAIL}. Our files are at https://files.example/."
    outbound = await vault.seal({"model": "m", "messages": [{"role": "user", "content": content}]}, detector)
    assert {hidden.placeholder for hidden in outbound.hidden} == {"[PERSON_1]", "[EMAIL_1]"}
    return vault


async def restored(vault: Vault, chunks: list[Any], account: Account | None = None) -> list[Any]:
    async def stream() -> AsyncIterator[Any]:
        for chunk in chunks:
            yield chunk

    before = copy.deepcopy(chunks)
    result = [chunk async for chunk in restore_chunks(vault, stream(), account=account)]
    assert chunks == before, "what was given is not changed"
    return result


def piece(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


IN_URL = f"https://files.example/{NAME.replace(' ', '%20')}"
"""As the name is written in an address."""
ANSWER = {
    "id": "gen-EMAIL_1", "object": "chat.completion", "created": 1, "model": "m",
    "citations": ["https://files.example/[PERSON_1]", "https://a.example"],
    "search_results": [{"title": "About [PERSON_1]", "url": "https://files.example"}],
    "choices": [{
        "index": 0, "finish_reason": "tool_calls",
        "message": {
            "role": "assistant", "content": "Ask [PERSON_1].",
            "annotations": [
                {"type": "url_citation", "url_citation": {"title": "[PERSON_1], notes", "url": "https://files.example/EMAIL_1"}},
                {"type": "file_citation", "file_citation": {"file_id": "file-PERSON_1", "quote": "by [PERSON_1]"}},
            ],
            "reasoning_details": [
                {
                    "type": "reasoning.text", "text": "[PERSON_1] first", "signature": ODD, "id": "rs_EMAIL_1",
                    "index": 0,
                },
                {"type": "reasoning.summary", "summary": "about [PERSON_1]", "index": 1},
                {"type": "reasoning.encrypted", "data": ODD, "index": 2},
            ],
            "tool_calls": [{
                "id": "call_PERSON_1", "type": "function",
                "function": {"name": "mail_PERSON_1", "arguments": '{"to": "[EMAIL_1]", "PERSON_1": 1}'},
                "extra_content": {"google": {"thought_signature": ODD}},
            }],
            "vendor": {"said by": {"[PERSON_1]": ["[EMAIL_1]"]}, "thought_signature": ODD},
        },
    }],
}  # fmt: skip


async def test_a_whole_answer(detector: Detector) -> None:
    account = Account()
    (chunk,) = await restored(await vault_of(detector), [as_chunk(ANSWER)], account)
    got = join_chunks([chunk])
    said = got["choices"][0]["message"]
    assert got["id"] == "gen-EMAIL_1" and got["citations"] == [IN_URL, "https://a.example"]
    assert got["search_results"] == [{"title": f"About {NAME}", "url": "https://files.example"}]
    assert said["annotations"][0]["url_citation"] == {"title": f"{NAME}, notes", "url": f"https://files.example/{MAIL}"}
    assert said["annotations"][1]["file_citation"] == {"file_id": "file-PERSON_1", "quote": f"by {NAME}"}
    first, second, third = said["reasoning_details"]
    assert first == {
        "type": "reasoning.text",
        "text": f"{NAME} first",
        "signature": ODD,
        "id": "rs_EMAIL_1",
        "index": 0,
    }
    assert second["summary"] == f"about {NAME}" and third == {"type": "reasoning.encrypted", "data": ODD, "index": 2}
    (call,) = said["tool_calls"]
    assert call["id"] == "call_PERSON_1" and call["extra_content"] == {"google": {"thought_signature": ODD}}
    assert call["function"]["name"] == "mail_PERSON_1", "the request has no such tool"
    assert json.loads(call["function"]["arguments"]) == {"to": MAIL, "PERSON_1": 1}
    assert said["vendor"]["said by"] == {"[PERSON_1]": [MAIL]}
    assert account.restored >= 9 and account.unresolved == 0 and account.withheld == 3


@given(size=st.integers(1, 9), data=st.data())
@settings(max_examples=40, deadline=None)
async def test_reasoning_in_pieces_of_any_size(size: int, data: st.DataObject) -> None:
    texts = {"text": "first [PERSON_1], then [PERSON_1", "summary": "of [EMAIL_1]"}
    chunks = []
    for number, (name, text) in enumerate(texts.items()):
        cut = data.draw(st.integers(1, size))
        for at in range(0, len(text), cut):
            detail = {"type": f"reasoning.{name}", name: text[at : at + cut], "index": number}
            chunks.append(piece({"reasoning_details": [detail]}))
    signed = {"type": "reasoning.text", "text": "", "signature": SIGNATURE, "index": 0}
    chunks += [piece({"reasoning_details": [signed]}), piece({}, "stop")]
    said: dict[int, str] = {}
    signatures = []
    for chunk in await restored(_Known(), chunks):  # type: ignore[arg-type]
        for detail in chunk["choices"][0]["delta"].get("reasoning_details", ()):
            said[detail["index"]] = said.get(detail["index"], "") + (detail.get("text") or detail.get("summary") or "")
            signatures += [detail["signature"]] if "signature" in detail else []
    assert said == {0: f"first {NAME}, then [{NAME}", 1: f"of {MAIL}"} and signatures == [SIGNATURE]


class _Known:
    """A vault that sealed both values."""

    def restorer(self) -> Any:
        from netgpt.privacy.restore import Restorer

        return Restorer({"PERSON_1": NAME, "EMAIL_1": MAIL})


async def test_the_names_of_the_callers_tools_and_fields_come_back(detector: Detector) -> None:
    """Clients take the name of a tool from its first piece."""
    vault, fields = Vault(), {"zanele_khumalo": {"type": "string"}, "to": {"type": "string"}}
    functions = [
        {"name": "mail_zanele_khumalo", "parameters": {"type": "object", "properties": fields}},
        {"name": "pay", "parameters": {"type": "object", "additionalProperties": {"type": "number"}}},
    ]
    content = f"Salaries: {json.dumps({'Uwe Pfannkuch': 3})}. Pay {NAME}, mail {MAIL}."
    tools = [{"type": "function", "function": function} for function in functions]
    body = {"model": "m", "messages": [{"role": "user", "content": content}], "tools": tools}
    sent = json.loads((await vault.seal(body, detector)).content)
    name, pay = (tool["function"] for tool in sent["tools"])
    assert name["name"] == "mail_PERSON_1"
    person = next(key for key, value in vault.originals().items() if value == NAME)
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "mail_PERSON_1", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": f'{{"PERSON_1": "[EMAIL_1]", "[{person}]": "[{person}]"}}'}}
    other = {"index": 1, "function": {"name": pay["name"], "arguments": f'{{"[{person}]": 4}}'}}
    chunks = [piece({"tool_calls": [first]}), piece({"tool_calls": [more, other]}), piece({}, "tool_calls")]
    got = await restored(vault, chunks)
    assert got[0]["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "mail_zanele_khumalo"
    calls = join_chunks(got)["choices"][0]["message"]["tool_calls"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"zanele_khumalo": MAIL, f"[{person}]": NAME}
    assert json.loads(calls[1]["function"]["arguments"]) == {NAME: 4}, "its keys are data"


@pytest.mark.parametrize("field", ["annotations", "citations", "reasoning_details", "vendor"])
async def test_odd_shapes_come_through(detector: Detector, field: str) -> None:
    vault = await vault_of(detector)
    for odd in (None, 3, [], {}, "of [PERSON_1]", [None, 3, "[PERSON_1]"], [[{"a": "[PERSON_1]"}]], {"index": "x"}):
        (chunk,) = await restored(vault, [piece({field: odd}, "stop")])
        assert chunk["choices"][0]["delta"][field] == json.loads(json.dumps(odd).replace("[PERSON_1]", NAME))


async def test_a_placeholder_as_a_name_within_a_part_breaks_nothing(detector: Detector) -> None:
    vault = await vault_of(detector)
    part = {"type": "text", "text": "for [PERSON_1]", "[EMAIL_1]": 1}
    detail = {"type": "reasoning.text", "text": "on [PERSON_1]", "index": 0, "[EMAIL_1]": 1}
    answer = [piece({"content": [part], "reasoning_details": [detail]}, "stop")]
    delta = (await restored(vault, answer))[0]["choices"][0]["delta"]
    assert delta["content"][0]["text"] == f"for {NAME}"
    assert delta["reasoning_details"][0]["text"] == f"on {NAME}"
