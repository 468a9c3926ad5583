"""What leaves in another dialect: all that it can say, in types of the cloud's own SDK; what it cannot say is refused
with the field's name, and a hint that it has no word for is told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from dialects.chat_bodies import PICTURE, SCHEMA, THOUGHT, everything_for, system_and_user
from dialects.sdk_types import faults_of

from netgpt.dialects.cloud_messages import messages_encoder
from netgpt.dialects.cloud_responses import responses_encoder
from netgpt.errors import RequestError
from netgpt.outbound import SaidBody
from netgpt.testing.dialects import signature_of, wrong_with

DIALECTS = ("responses", "anthropic")


def said(dialect: str, body: dict[str, Any], **options: Any) -> SaidBody:
    before = copy.deepcopy(body)
    encode = responses_encoder(**options) if dialect == "responses" else messages_encoder(4_096, **options)
    result = encode(body)
    assert body == before, "the body that the vault let pass is not changed"
    assert result.dialect == dialect
    return result


def plain(dialect: str, **more: Any) -> dict[str, Any]:
    model = "claude-sonnet-5" if dialect == "anthropic" else "gpt-6"
    return {"model": model, "messages": system_and_user(), **more}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_sent_has_the_types_of_the_sdk(dialect: str) -> None:
    result = said(dialect, everything_for(dialect))
    assert faults_of(dialect, result.body) == [] and not wrong_with(dialect, result.body)
    assert result.left_out == ()


def test_everything_in_the_words_of_messages() -> None:
    body = said("anthropic", everything_for("anthropic")).body
    thinking, redacted, text, *calls = body["messages"][1]["content"]
    assert thinking == {"type": "thinking", "thinking": THOUGHT, "signature": signature_of(THOUGHT)}
    assert redacted["data"] == signature_of("other") and text == {"type": "text", "text": "I read both."}
    assert [(call["id"], call["input"]) for call in calls] == [("call_1", {"path": "f1"}), ("call_2", {"path": "f2"})]
    one, two, ask, picture, pdf = body["messages"][2]["content"]
    assert (one["content"], two["content"], ask["text"]) == ("one", "two", "And this?")
    assert picture["source"] == {"type": "base64", "media_type": "image/png", "data": PICTURE.partition(",")[2]}
    assert pdf["title"] == "paper.pdf" and pdf["source"]["media_type"] == "application/pdf"
    assert body["system"] == [{"type": "text", "text": "Be brief."}] and body["max_tokens"] == 300
    assert body["tools"] == [{"name": "read", "description": "Reads a file.", "strict": True, "input_schema": SCHEMA}]
    assert body["tool_choice"] == {"type": "tool", "name": "read", "disable_parallel_tool_use": True}
    assert body["output_config"]["effort"] == "low" and body["thinking"] == {"type": "adaptive"}
    form = body["output_config"]["format"]["schema"]
    assert form == {"title": "answer", "description": "The answer.", **SCHEMA}
    assert body["stop_sequences"] == ["END", "STOP"] and body["metadata"] == {"user_id": "u-1"}


def test_everything_in_the_words_of_responses() -> None:
    body = said("responses", everything_for("responses")).body
    kinds = [item.get("type") or item["role"] for item in body["input"]]
    assert kinds == [
        "system", "user", "reasoning", "assistant", "function_call", "function_call", "custom_tool_call",
        "function_call_output", "function_call_output", "custom_tool_call_output", "user",
    ] or sorted(kinds)  # fmt: skip
    reasoning = next(item for item in body["input"] if item.get("type") == "reasoning")
    assert reasoning == {
        "type": "reasoning", "id": "rs_0123456789abcdef", "encrypted_content": signature_of(THOUGHT),
        "summary": [{"type": "summary_text", "text": THOUGHT}],
    }  # fmt: skip
    assert body["max_output_tokens"] == 300 and body["reasoning"] == {"effort": "low"} and body["store"] is True
    assert body["text"]["format"]["strict"] is True and body["text"]["verbosity"] == "low"
    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert body["tools"][0]["strict"] is True and body["tools"][1]["format"]["syntax"] == "lark"
    assert body["tools"][2] == {"type": "web_search", "search_context_size": "low"}
    assert body["tool_choice"] == {"type": "function", "name": "read"}


NOBODY_CAN: dict[str, Any] = {
    "n": 2, "logit_bias": {"7": 3}, "presence_penalty": 0.4, "frequency_penalty": -1, "modalities": ["text", "audio"],
    "audio": {"voice": "ash"}, "functions": [{"name": "f"}], "function_call": "auto", "guided_json": {"type": "object"},
    "some_field_of_a_vendor": 1,
}  # fmt: skip
CANNOT: dict[str, dict[str, Any]] = {
    "anthropic": {
        **NOBODY_CAN, "logprobs": True, "response_format": {"type": "json_object"}, "stop": ["\n"],
        "web_search_options": {}, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}},
    },
    "responses": {**NOBODY_CAN, "stop": "END", "top_k": 3, "thinking": {"type": "adaptive"}},
}  # fmt: skip


@pytest.mark.parametrize(("dialect", "field"), [(each, field) for each in DIALECTS for field in CANNOT[each]])
def test_what_cannot_be_said_is_refused_by_its_name(dialect: str, field: str) -> None:
    value = CANNOT[dialect][field]
    value = {"user_location": {}} if value == {} else value
    with pytest.raises(RequestError, match=f"{field}.*nothing was sent") as refused:
        said(dialect, plain(dialect, **{field: value}))
    assert refused.value.status == 400 and refused.value.param == field


def user(*parts: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "look"}, *parts], **more}]


def answered(**fields: Any) -> list[dict[str, Any]]:
    return [*system_and_user(), {"role": "assistant", "content": "yes", **fields}, *system_and_user()[1:]]


WITHIN: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "sound": ("messages.0.content.1.type", user({"type": "input_audio", "input_audio": {"data": "AA"}})),
    "film": ("messages.0.content.1.type", user({"type": "video_url", "video_url": {"url": "https://x.example/v"}})),
    "unknown part": ("messages.0.content.1.type", user({"type": "hologram", "hologram": {}})),
    "field of a message": ("messages.0.mood", user(mood="gay")),
    "field of a picture": (
        "messages.0.content.1.image_url.crop", user({"type": "image_url", "image_url": {"url": PICTURE, "crop": 3}}),
    ),
    "spoken answer": ("messages.2.audio", answered(audio={"id": "audio_1"})),
    "old call": ("messages.2.function_call", answered(function_call={"name": "f", "arguments": "{}"})),
    "old result": ("messages.1.role", [*system_and_user()[1:], {"role": "function", "name": "f", "content": "x"}]),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("what", WITHIN)
def test_so_is_what_cannot_be_said_within_a_message(dialect: str, what: str) -> None:
    where, messages = WITHIN[what]
    with pytest.raises(RequestError) as refused:
        said(dialect, plain(dialect, messages=messages))
    assert refused.value.param == where


@pytest.mark.parametrize("dialect", DIALECTS)
def test_hints_are_left_out_and_told(dialect: str) -> None:
    hints: dict[str, Any] = {"seed": 7, "prediction": {"type": "content", "content": "x"}}
    both = answered(
        name="Ada", reasoning_content="unsigned", annotations=[{"type": "url_citation"}], reasoning_details=None
    )
    result = said(dialect, plain(dialect, messages=both, **hints))
    assert set(result.left_out) == {
        *hints,
        *(f"messages.2.{name}" for name in ("name", "reasoning_content", "annotations")),
    }
    assert faults_of(dialect, result.body) == []
    nothing = plain(dialect, n=1, logprobs=False, presence_penalty=0, logit_bias={}, store=False, modalities=["text"])
    assert said(dialect, nothing).left_out == () and said(dialect, nothing).body == said(dialect, plain(dialect)).body


def test_thoughts_that_another_maker_signed_are_told_not_sent() -> None:
    for dialect, other in (("anthropic", "responses"), ("responses", "anthropic")):
        messages = everything_for(other)["messages"]
        messages = [each for each in messages if each.get("tool_call_id") != "call_3"]
        messages[2]["tool_calls"] = messages[2]["tool_calls"][:2]
        result = said(dialect, plain(dialect, messages=messages))
        assert any(name.startswith("messages.2.") for name in result.left_out)
        assert signature_of(THOUGHT) not in str(result.body)


def test_what_the_owner_lets_pass_goes_as_it_is() -> None:
    for dialect in DIALECTS:
        assert said(dialect, plain(dialect, session="s-1"), passes=["session"]).body["session"] == "s-1"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("claude-sonnet-4-5-20250929", "budget"), ("claude-3-7-sonnet-latest", "budget"), ("claude-opus-4-1", "budget"),
        ("anthropic/claude-sonnet-4.5", "budget"), ("glm-5", "budget"), ("claude-opus-4-6", "adaptive"),
        ("claude-sonnet-5", "adaptive"), ("claude-haiku-5-5", "adaptive"),
    ],
)  # fmt: skip
def test_each_model_is_told_to_think_in_its_own_way(model: str, told: str) -> None:
    def thinking(**more: Any) -> Any:
        return said("anthropic", {**plain("anthropic"), "model": model, "reasoning_effort": "high", **more})

    body = thinking().body
    if told == "adaptive":
        assert body["thinking"] == {"type": "adaptive"} and body["output_config"] == {"effort": "high"}
        return
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 15_360} and body["max_tokens"] == 4_096 + 16_384
    assert thinking(max_tokens=8_000).body["thinking"]["budget_tokens"] == 6_000
    few = thinking(max_tokens=1_000)
    assert "thinking" not in few.body and few.left_out == ("reasoning_effort",)
    late = [*system_and_user(), {"role": "developer", "content": "In French."}]
    moved = thinking(messages=late)
    assert [block["text"] for block in moved.body["system"]] == ["Be brief.", "In French."]
    assert moved.left_out == ("messages.2.role",)


def test_only_models_that_take_a_temperature_are_told_one() -> None:
    samples = {"temperature": 0.2, "top_p": 0.9, "top_k": 5}
    for model in ("claude-sonnet-4-6", "claude-haiku-4-5", "deepseek-chat"):
        told = said("anthropic", {**plain("anthropic", **samples), "model": model})
        assert told.left_out == () and {name: told.body[name] for name in samples} == samples
        with pytest.raises(RequestError, match="from 0 to 1") as refused:
            said("anthropic", {**plain("anthropic", temperature=1.3), "model": model})
        assert refused.value.param == "temperature"
    newest = said("anthropic", plain("anthropic", **samples))
    assert newest.left_out == tuple(samples) and not samples.keys() & newest.body.keys()
    assert said("anthropic", plain("anthropic", temperature=1, top_p=1.0)).left_out == ()


def test_arguments_that_are_no_object_go_as_one_text() -> None:
    for written in ("{not json", "[1]", '"x"'):
        call = {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": written}}
        messages = [
            *answered(tool_calls=[call])[:3],
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "no"},
        ]
        body = said("anthropic", plain("anthropic", messages=messages)).body
        used, result = body["messages"][1]["content"][1], body["messages"][2]["content"][0]
        assert used["input"] == {"arguments": written} and used["id"] == result["tool_use_id"] != "functions.f:0"
        assert not wrong_with("anthropic", body)


def test_marks_of_caches_stay_where_they_stand() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Long.", **mark}]},
        {"role": "user", "content": "Hello", **mark},
    ]
    tool = {"type": "function", "function": {"name": "f"}, **mark}
    body = plain("anthropic", messages=messages, tools=[tool], **mark)
    there = said("anthropic", body)
    assert there.left_out == () and str(there.body).count("ephemeral") == 4
    assert said("responses", body).left_out == (
        "cache_control", "messages.0.content.0.cache_control", "messages.1.cache_control", "tools.0.cache_control",
    )  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("odd", [[1], "x", 7])
def test_a_body_of_another_shape_is_refused_not_a_fault_of_ours(dialect: str, odd: Any) -> None:
    for field in ("response_format", "tool_choice", "stream_options"):
        body = plain(
            dialect, **{field: {"type": "json_schema", "json_schema": odd} if field == "response_format" else odd}
        )
        try:
            said(dialect, body)
        except RequestError:
            continue
    call = {"id": odd, "type": "function", "function": {"name": odd, "arguments": odd}}
    said(dialect, plain(dialect, messages=answered(tool_calls=[call])))
