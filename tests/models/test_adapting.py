"""What a cloud does not take is learnt from its refusal, sent again without, and told where the caller misses it."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest
from clouds import chat, cloud_model, everything
from outbounds import outbound, send

from netgpt.errors import ModelRejected
from netgpt.models.adapting import may_drop, refused_field
from netgpt.models.base import OutboundRequest
from netgpt.models.refusals import Told
from netgpt.models.stream import join_chunks
from netgpt.outbound import Outbound
from netgpt.testing.habits import REFUSALS
from netgpt.testing.server import FaultyCloud
from netgpt.types import Sender


def bodies(cloud: FaultyCloud) -> list[dict[str, Any]]:
    return [orjson.loads(each.body) for each in cloud.received]


async def said(model: Any, body: dict[str, Any]) -> str:
    return str(join_chunks(await everything(send(model, body)))["choices"][0]["message"]["content"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("style", REFUSALS)
@pytest.mark.parametrize(
    ("field", "value"), [("max_tokens", 20), ("stream_options", {"include_usage": True}), ("seed", 7)]
)
async def test_a_field_in_whoever_words_it_is_refused(field: str, value: Any, style: str, stream: bool) -> None:
    with FaultyCloud(refuses={field: style}) as cloud:
        model = cloud_model(cloud.base_url)
        body = chat("hello", stream=stream, **{field: value})
        assert [await said(model, body), await said(model, body)] == ["hello", "hello"]
        first, second, third = bodies(cloud)
        assert first == body and second == third and field not in second
        if field == "max_tokens":
            assert second["max_completion_tokens"] == 20
        assert {key: value for key, value in second.items() if key != "max_completion_tokens"} == {
            key: value for key, value in body.items() if key != field
        }
        await model.close()


MARK: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}


def of_another_dialect() -> dict[str, Any]:
    """What a client of another API brings along: marks for a cache, signed thoughts, a property of the same name."""
    schema = {"type": "object", "properties": {"cache_control": {"type": "string"}}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"cache_control": "x"}'}, **MARK}
    return chat("hello", thinking={"type": "adaptive"}, **MARK) | {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}, **MARK}],
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s", **MARK}]},
            {"role": "assistant", "content": None, "tool_calls": [call], "thinking_blocks": [{"type": "thinking"}]},
            {"role": "tool", "tool_call_id": "c", "content": "r", **MARK}, {"role": "user", "content": "hello"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("style", REFUSALS)
async def test_marks_of_other_makers_within_messages_and_tools(style: str) -> None:
    with FaultyCloud(refuses=dict.fromkeys(("cache_control", "thinking_blocks", "thinking"), style)) as cloud:
        model, left = cloud_model(cloud.base_url), list[Outbound]()
        answer = model.send(outbound(of_another_dialect()), leaves=left.append)
        assert join_chunks(await everything(answer))["choices"][0]["message"]["content"] == "hello"
        assert {"cache_control", "thinking_blocks", "thinking"} == set(left[-1].left_out)
        sent = bodies(cloud)[-1]
        assert sent["tools"][0]["function"] == of_another_dialect()["tools"][0]["function"]
        assert sent["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"cache_control": "x"}'
        assert orjson.dumps(sent).count(b"cache_control") == 2 and b"thinking" not in orjson.dumps(sent)
        before = len(cloud.received)
        assert await said(model, of_another_dialect()) == "hello" and len(cloud.received) == before + 1
        await model.close()


async def test_the_other_way_round_too() -> None:
    with FaultyCloud(refuses={"max_completion_tokens": "pydantic"}) as cloud:
        model = cloud_model(cloud.base_url)
        assert await said(model, chat("hello", max_completion_tokens=9)) == "hello"
        assert bodies(cloud)[1]["max_tokens"] == 9
        await model.close()


async def test_a_cloud_that_takes_neither_name_is_not_asked_for_ever() -> None:
    with FaultyCloud(refuses={"max_tokens": "openai", "max_completion_tokens": "openai"}) as cloud:
        model = cloud_model(cloud.base_url)
        with pytest.raises(ModelRejected) as caught:
            await said(model, chat("hello", max_tokens=9))
        assert caught.value.status == 400 and len(cloud.received) == 2
        await model.close()


async def test_several_fields_and_a_role_at_once() -> None:
    refuses = dict.fromkeys(("stream_options", "temperature", "top_p", "parallel_tool_calls"), "azure")
    body = chat("hello", stream=True, stream_options={"include_usage": True}, temperature=0.2, top_p=1,
                parallel_tool_calls=True)  # fmt: skip
    body["messages"].insert(0, {"role": "developer", "content": "be kind"})
    with FaultyCloud(refuses={"developer": "openai", **refuses}) as cloud:
        model, left = cloud_model(cloud.base_url), list[Outbound]()
        answer = model.send(outbound(body), leaves=left.append)
        assert join_chunks(await everything(answer))["choices"][0]["message"]["content"] == "hello"
        assert [each.content for each in left] == [each.body for each in cloud.received]
        last = bodies(cloud)[-1]
        assert last["messages"][0] == {"role": "system", "content": "be kind"}
        assert not set(refuses) & set(last)
        assert left[-1].left_out == ("temperature",), "what says nothing, or is about the wire, is not missed"
        assert await said(model, body) == "hello" and len(cloud.received) == len(left) + 1
        await model.close()


async def test_each_body_that_leaves_has_its_receipt() -> None:
    receipts: list[OutboundRequest] = []

    async def hook(request: OutboundRequest) -> None:
        receipts.append(request)

    with FaultyCloud(refuses={"seed": "go", "max_tokens": "groq"}) as cloud:
        model = cloud_model(cloud.base_url, receipt_hook=hook)
        assert await said(model, chat("hello", seed=1, max_tokens=3)) == "hello"
        assert [each.outbound.content for each in receipts] == [each.body for each in cloud.received]
        assert len(receipts) == 3
        await model.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 2), ("parallel_tool_calls", False), ("response_format", {"type": "json_object"}), ("stop", ["x"]),
     ("tools", [{"type": "function", "function": {"name": "f"}}]), ("logprobs", True)],
)  # fmt: skip
async def test_what_would_change_the_answer_is_refused_with_the_cure(field: str, value: Any) -> None:
    with FaultyCloud(refuses={field: "openai"}) as cloud:
        model = cloud_model(cloud.base_url)
        with pytest.raises(ModelRejected, match=f"leave {field} out") as caught:
            await said(model, chat("hello", **{field: value}))
        assert (caught.value.status, caught.value.param, len(cloud.received)) == (400, field, 1)
        await model.close()


async def test_what_says_nothing_may_go() -> None:
    with FaultyCloud(refuses={"n": "openai", "parallel_tool_calls": "openai"}) as cloud:
        model = cloud_model(cloud.base_url)
        assert await said(model, chat("hello", n=1, parallel_tool_calls=True)) == "hello"
        with pytest.raises(ModelRejected):
            await said(model, chat("hello", n=2))
        await model.close()


async def test_a_stream_that_a_model_cannot_give_comes_whole() -> None:
    with FaultyCloud(refuses={"stream": "openai value"}) as cloud:
        model = cloud_model(cloud.base_url)
        assert await said(model, chat("hello", stream=True, stream_options={"include_usage": True})) == "hello"
        assert not {"stream", "stream_options"} & set(bodies(cloud)[-1])
        await model.close()


async def test_what_leaves_once_is_not_sent_again() -> None:
    """It learnt all the same, and the request may have its next turn."""
    with FaultyCloud(refuses={"seed": "go"}) as cloud:
        model = cloud_model(cloud.base_url)
        with pytest.raises(ModelRejected) as caught:
            await everything(model.send(outbound(chat("hello", seed=1)), sender=Sender(claim="abc.1")))
        assert caught.value.not_begun and len(cloud.received) == 1
        assert await said(model, chat("hello", seed=1)) == "hello" and len(cloud.received) == 2
        await model.close()


async def test_the_log_names_the_field_and_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FaultyCloud(refuses={"seed": "go"}) as cloud:
        model = cloud_model(cloud.base_url)
        await said(model, chat("my aunt lives in Rostock", seed=1))
        await model.close()
    assert "does not take seed" in caplog.text and "Rostock" not in caplog.text


BODY = chat("x", temperature=0.3, top_p=0.5, max_tokens=5, seed=1, user="u", stream=True, n=1, stop=["a"])


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"message": "`temperature` and `top_p` cannot both be specified for this model."}, "top_p"),
        ({"message": "max_tokens is not supported. Use 'max_completion_tokens' instead."}, "max_tokens"),
        ({"message": "Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) "
          "value is supported.", "param": "temperature", "code": "unsupported_value"}, "temperature"),
        ({"message": "'temperature' must be at most 2", "param": "temperature", "code": "invalid_value"}, None),
        ({"message": "'seed': expected a valid integer", "param": "seed", "code": "invalid_type"}, None),
        ({"message": "max_tokens is too large: 5. This model supports at most 4", "param": "max_tokens"}, None),
        ({"message": "The user is not allowed to do that"}, None),
        ({"message": "Your request was not permitted"}, None),
        ({"message": "unknown field `seed`"}, "seed"),
        ({"message": "Unknown parameter: 'seed'.", "param": "seed", "code": "unknown_parameter"}, "seed"),
        ({"message": "stop is not supported", "param": "stop", "code": "unsupported_parameter"}, "stop"),
        ({"message": "messages[0].content is not supported", "param": "messages[0].content"}, None),
        ({"message": "tool schema not supported: seed_value", "param": "tools[0].function"}, None),
        ({"message": "Invalid request", "param": "stream_options"}, None),
        ({"message": "this model does not support temperature"}, "temperature"),
        ({"message": "unsupported parameter(s): seed"}, "seed"),
        ({"message": "Could not finish the message because max_tokens or model output limit was reached."}, None),
        ({"message": "Json field not recognized: 'seed'"}, "seed"),
        ({"message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}, "seed"),
        ({"message": "Argument not supported on this model: top_p"}, "top_p"),
    ],
)  # fmt: skip
def test_which_field_is_refused(said: dict[str, Any], field: str | None) -> None:
    assert refused_field(Told.read({"error": said}), BODY) == field


def test_true_is_not_one() -> None:
    assert may_drop("n", 1) and not may_drop("n", 2) and not may_drop("parallel_tool_calls", 1)


def test_adapting_adds_nothing() -> None:
    before = outbound(chat("hello", max_tokens=3, seed=1))
    after = before.adapted({"seed"}, ["max_tokens"], missed=["seed"])
    assert orjson.loads(after.content) == {**chat("hello"), "max_completion_tokens": 3}
    with pytest.raises(KeyError):
        before.adapted((), ["seed"])
    assert before.hidden == after.hidden and before.rule == after.rule and after.left_out == ("seed",)
