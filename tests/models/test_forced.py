"""A call that is required of the model on the box is written by grammar; what it cannot read is refused as the
caller's, never as an engine that is away. With the real engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from clouds import everything
from weights import bundled_weights  # noqa: F401

from netgpt.errors import ModelRejected
from netgpt.models.client import EdgeModel
from netgpt.models.engine import Engine
from netgpt.models.forced import ForcedCall, must_call
from netgpt.models.stream import join_chunks

pytestmark = pytest.mark.asyncio(loop_scope="module")


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", **parameters}}}


CITY = {"properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
WEATHER, CLOCK = tool("get_weather", **CITY), tool("get_time")
TREE = tool(
    "plant", properties={"root": {"$ref": "#/$defs/node"}}, required=["root"],
    **{"$defs": {"node": {"type": "object", "properties": {"size": {"enum": [1, 2]}}, "required": ["size"]}}},
)  # fmt: skip
NAMED = {"type": "function", "function": {"name": "get_time"}}
ASKED = [{"role": "user", "content": "What is the weather in Paris?"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(bundled_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EdgeModel]:  # noqa: F811
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    engine = Engine(bundled_weights, context_tokens=1024, slots=2, log_path=log)
    await engine.start()
    model = EdgeModel(
        "small", engine.endpoint, "small", timeout_s=120, default_max_tokens=80, ready=engine.health
    )  # fmt: skip
    yield model
    await model.close()
    await engine.stop()


@pytest.mark.parametrize(
    ("tools", "choice", "names"),
    [
        ([WEATHER], "required", {"get_weather"}), ([WEATHER, CLOCK], "required", {"get_weather", "get_time"}),
        ([WEATHER, CLOCK], NAMED, {"get_time"}), ([TREE], "required", {"plant"}),
        ([WEATHER, CLOCK, TREE], {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
         {"get_time"}),
    ],
)  # fmt: skip
async def test_a_required_call_is_made(edge: EdgeModel, tools: list[Any], choice: Any, names: set[str]) -> None:
    stream = choice == "required"
    body = {"messages": ASKED, "tools": tools, "tool_choice": choice, "stream": stream, "temperature": 0}
    answer = join_chunks(await everything(edge.chat(body)))["choices"][0]
    (call,) = answer["message"]["tool_calls"]
    assert answer["finish_reason"] == "tool_calls" and call["function"]["name"] in names
    assert call["id"].startswith("call_") and not answer["message"].get("content")
    arguments = json.loads(call["function"]["arguments"])
    if call["function"]["name"] == "get_weather":
        assert set(arguments) >= {"city"}
    if call["function"]["name"] == "plant":
        assert arguments["root"]["size"] in (1, 2), "a reference means the same in a grammar of several functions"


async def test_one_that_is_cut_says_so(edge: EdgeModel) -> None:
    body = {"messages": ASKED, "tools": [WEATHER], "tool_choice": "required", "max_tokens": 3}
    answer = join_chunks(await everything(edge.chat(body)))["choices"][0]
    assert answer["finish_reason"] == "length"


@pytest.mark.parametrize("seed", [9_999_999_999, 2**63 - 1, -9_999_999_999, 0])
async def test_long_seeds(edge: EdgeModel, seed: int) -> None:
    body = {"messages": ASKED, "seed": seed, "max_tokens": 4}
    assert join_chunks(await everything(edge.chat(body)))["choices"][0]["message"]["content"]


CALLED = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{no json"}}


@pytest.mark.parametrize(
    "messages",
    [
        [*ASKED, {"role": "assistant", "content": None, "tool_calls": [CALLED]},
         {"role": "tool", "tool_call_id": "c1", "content": "sunny"}],
        [*ASKED, {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, *ASKED],
        [*ASKED, {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"},
                                                   {"type": "text", "text": "sunny"}]}, *ASKED],
        [*ASKED, {"role": "assistant", "content": ""}, {"role": "user", "content": " "}],
    ],
)  # fmt: skip
async def test_odd_conversations_are_read(edge: EdgeModel, messages: list[Any]) -> None:
    answer = join_chunks(await everything(edge.chat({"messages": messages, "max_tokens": 3})))
    assert answer["choices"][0]["finish_reason"] in ("length", "stop")


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"messages": [{"role": "user", "content": [PICTURE]}]}, "messages", "reads text only"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA",
          "format": "wav"}}]}]}, "messages", "reads text only"),
        ({"messages": [{"role": "user", "content": [{"type": "wonder"}]}]}, "messages", "reads text only"),
        ({"messages": ASKED, "tools": [{"type": "web_search"}]}, "tools", "functions alone"),
        ({"messages": ASKED, "tools": [{"type": "function", "function": {"name": "f", "description": 5}}]}, "tools",
         "functions alone"),
        ({"messages": [*ASKED, *[{"role": "assistant", "content": "a"}] * 2]}, "messages", "order"),
    ],
)  # fmt: skip
async def test_what_it_cannot_read_is_the_callers_to_change(
    edge: EdgeModel, body: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(ModelRejected) as error:
        await everything(edge.chat(body))
    assert (error.value.status, error.value.param) == (400, param) and says in error.value.message


async def test_the_call_is_read_at_every_cut() -> None:
    text = ' {"name": "get_\\"time", "arguments": {"a": {"b": "}"}} } '
    for cut in range(len(text)):
        forced = ForcedCall([])
        pieces = [{"content": text[:cut]}, {"content": text[cut:]}, {}]
        ends = [None, None, "stop"]
        read = [
            forced.read({"choices": [{"index": 0, "delta": delta, "finish_reason": end}]})
            for delta, end in zip(pieces, ends, strict=True)
        ]
        assert not any(each["choices"][0]["delta"].get("content") for each in read)
        (call,) = read[-1]["choices"][0]["delta"]["tool_calls"]
        assert call["function"] == {"name": 'get_"time', "arguments": '{"a": {"b": "}"}}'}


@pytest.mark.parametrize(
    "choice", [None, "auto", "none", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}, 5]
)
async def test_who_may_choose_is_not_forced(choice: Any) -> None:
    assert must_call({"tools": [WEATHER, CLOCK], "tool_choice": choice}) == []
