"""Real OpenAI clients against `netgpt serve`: only the base URL changes. With tools, streamed and whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from agents import llm
from serving import Served

from netgpt.testing.server import FaultyCloud, last_user_text

if TYPE_CHECKING:
    from openai import OpenAI

pytestmark = pytest.mark.slow


EMAIL = "lena.vogel@example.org"
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": "Find a person's room.",
            "parameters": {"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"]},
        },
    }
]


def cloud_says(body: Mapping[str, Any]) -> str | dict[str, Any]:
    """Calls the tool with whatever stands for the e-mail address; after the result, says the result."""
    import json
    import re

    messages = body["messages"]
    if messages[-1]["role"] == "tool":
        return f"The room is {messages[-1]['content']}."
    if body.get("tools"):
        name = body["tools"][0]["function"]["name"]
        found = re.search(r"\[EMAIL_\d+\]", last_user_text(body))
        arguments = json.dumps({"email": found[0] if found else "nobody"})
        return {"content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
        ]}  # fmt: skip
    return f"You said: {last_user_text(body)}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        FaultyCloud(cloud_says, chunk_size=5) as cloud,
        Served(tmp_path_factory.mktemp("home"), cloud=cloud) as gateway,
    ):
        yield gateway


@pytest.fixture(autouse=True)
def nothing_private_left(served: Served) -> Iterator[None]:
    yield
    assert served.cloud is not None
    assert EMAIL.encode() not in served.cloud.all_bytes()


@pytest.fixture
def client(served: Served) -> OpenAI:
    from openai import OpenAI

    return OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def test_openai_whole_with_tools(client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": f"Which room has {EMAIL}?"}]
    first = client.chat.completions.create(model="netgpt", messages=messages, tools=TOOLS)
    call: Any = (first.choices[0].message.tool_calls or [])[0]
    assert call.function.arguments == '{"email": "' + EMAIL + '"}'
    assert first.choices[0].finish_reason == "tool_calls"
    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": f"B 12 (booked by {EMAIL})"},
    ]
    second = client.chat.completions.create(model="netgpt", messages=messages, tools=TOOLS)
    assert second.choices[0].message.content == f"The room is B 12 (booked by {EMAIL})."
    assert second.usage is not None and second.usage.total_tokens > 0


def test_openai_streamed_with_tools(client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": f"Which room has {EMAIL}?"}]
    arguments, finish = "", None
    for chunk in client.chat.completions.create(model="netgpt", messages=messages, tools=TOOLS, stream=True):
        for choice in chunk.choices:
            for piece in choice.delta.tool_calls or ():
                arguments += (piece.function.arguments or "") if piece.function else ""
            finish = choice.finish_reason or finish
    assert arguments == '{"email": "' + EMAIL + '"}' and finish == "tool_calls"
    said = ""
    plain: Any = [{"role": "user", "content": f"Write to {EMAIL} today"}]
    for chunk in client.chat.completions.create(
        model="netgpt/cloud", messages=plain, stream=True, stream_options={"include_usage": True}
    ):
        said += "".join(choice.delta.content or "" for choice in chunk.choices)
    assert said == f"You said: Write to {EMAIL} today"
    assert chunk.usage is not None and chunk.usage.completion_tokens > 0


def test_openai_headers_models_embeddings(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="netgpt/cloud", messages=[{"role": "user", "content": "hello"}], n=2
    )
    assert raw.headers["x-netgpt-route"] == "cloud" and raw.headers["x-netgpt-exchange"].startswith("ex_")
    assert len(raw.parse().choices) == 2
    assert {"netgpt", "netgpt/edge", "netgpt/cloud"} <= {model.id for model in client.models.list()}
    vectors = client.embeddings.create(
        model="netgpt/embed", input=["a cheap restaurant", "where to eat dinner", "engine oil"]
    )
    assert len(vectors.data[0].embedding) == 256
    one, two, three = (v.embedding for v in vectors.data)
    near = sum(a * b for a, b in zip(one, two, strict=True))
    assert near > sum(a * b for a, b in zip(one, three, strict=True))


def test_langchain_with_tools(served: Served) -> None:
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def look_up(email: str) -> str:
        """Find a person's room."""
        return f"B 12 (asked for {email})"

    chat: Any = ChatOpenAI(model="netgpt", base_url=f"{served.url}/v1", api_key="none", max_retries=0)
    bound = chat.bind_tools([look_up])
    history: list[BaseMessage] = [HumanMessage(f"Which room has {EMAIL}?")]
    asked: AIMessage = bound.invoke(history)
    assert asked.tool_calls[0]["args"] == {"email": EMAIL}
    result = look_up.invoke(asked.tool_calls[0]["args"])
    history += [asked, ToolMessage(result, tool_call_id=str(asked.tool_calls[0]["id"]))]
    assert bound.invoke(history).content == f"The room is B 12 (asked for {EMAIL})."
    streamed: Any = None
    for chunk in bound.stream(history[:1]):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed.tool_calls[0]["args"] == {"email": EMAIL}
    cloud: Any = ChatOpenAI(model="netgpt/cloud", base_url=f"{served.url}/v1", api_key="none")
    said = "".join(chunk.content for chunk in cloud.stream(f"Tell {EMAIL}"))
    assert said == f"You said: Tell {EMAIL}"


def test_llm_command_line_with_tools(served: Served, tmp_path: Path) -> None:
    home = tmp_path / "llm"
    home.mkdir()
    (home / "extra-openai-models.yaml").write_text(
        "".join(
            f"- model_id: {alias}\n  model_name: {name}\n  api_base: {served.url}/v1\n  supports_tools: true\n"
            for alias, name in (("box", "netgpt"), ("far", "netgpt/cloud"))
        )
    )
    assert llm(home, "-m", "far", f"Write to {EMAIL}") == f"You said: Write to {EMAIL}"
    assert llm(home, "-c", "and again", "--no-stream") == "You said: and again"
    function = "def room_of(email: str) -> str:\n    'Find a room.'\n    return 'B 12 for ' + email"
    for streamed in ([], ["--no-stream"]):
        said = llm(home, "-m", "box", "--functions", function, f"Which room has {EMAIL}?", *streamed)
        assert said.endswith(f"The room is B 12 for {EMAIL}."), said
