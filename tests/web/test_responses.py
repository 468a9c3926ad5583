"""`/v1/responses` at a real gateway: OpenAI's own client, what leaves, what is kept and for whom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from boxes import gateway
from doors import Door
from serving import Served

from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Role

if TYPE_CHECKING:
    from openai import OpenAI

pytestmark = pytest.mark.slow
EMAIL = "lena.vogel@example.org"
TOOLS: Any = [
    {"type": "function", "name": "look_up", "description": "Find a person's room.", "strict": False,
     "parameters": {"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"]}},
    {"type": "custom", "name": "note", "description": "Write a note."},
]  # fmt: skip


def cloud_says(body: Mapping[str, Any]) -> dict[str, Any]:
    """Thinks and calls both tools with what stands for the address; after the results, repeats all it was sent."""
    messages = json.dumps(body["messages"], ensure_ascii=False)
    stands = re.findall(r"\[EMAIL_\d+\]", messages)[-1:] or ["nobody"]
    if body.get("response_format"):
        assert body["response_format"]["json_schema"]["schema"]["properties"].keys() == {"said"}
        return {"content": json.dumps({"said": stands[0]})}
    if not body.get("tools") or body["messages"][-1]["role"] == "tool":
        said = " ".join(str(each.get("content")) for each in body["messages"])
        return {"content": f"You said: {said}", "reasoning_content": f"they mean {stands[0]}"}
    arguments = json.dumps({"email": stands[0]})
    return {"reasoning_content": f"who is {stands[0]}?", "content": f"I look for {stands[0]}.", "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": arguments}},
        {"id": "call_2", "type": "custom", "custom": {"name": "note", "input": f"ask {stands[0]}"}},
    ]}  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        FaultyCloud(cloud_says, chunk_size=5) as cloud,
        Served(tmp_path_factory.mktemp("home"), cloud=cloud) as box,
    ):
        yield box


@pytest.fixture(autouse=True)
def nothing_private_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "client" in request.fixturenames:
        cloud = request.getfixturevalue("served").cloud
        assert EMAIL.encode() not in cloud.all_bytes()


@pytest.fixture
def client(served: Served) -> OpenAI:
    from openai import OpenAI

    return OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def check_tools(response: Any) -> None:
    """The first answer of an agent's loop, restored."""
    thought, words, function, custom = response.output
    assert thought.content[0].text == f"who is {EMAIL}?"
    assert words.content[0].text == response.output_text == f"I look for {EMAIL}."
    assert json.loads(function.arguments) == {"email": EMAIL} and function.call_id == "call_1"
    assert custom.input == f"ask {EMAIL}" and custom.name == "note"
    assert response.status == "completed" and response.usage.total_tokens > 0


def test_the_sdk_whole_with_tools_and_their_results(client: OpenAI) -> None:
    items: Any = [{"role": "user", "content": f"Which room has {EMAIL}?"}]
    first = client.responses.create(model="netgpt/cloud", input=items, tools=TOOLS, instructions=f"You serve {EMAIL}.")
    check_tools(first)
    items += first.output
    items += [
        {"type": "function_call_output", "call_id": "call_1", "output": f"B 12 (booked by {EMAIL})"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "noted"},
    ]
    second = client.responses.create(model="netgpt/cloud", input=items, tools=TOOLS, store=False)
    assert f"B 12 (booked by {EMAIL}) noted" in second.output_text
    assert second.output[0].content[0].text == f"they mean {EMAIL}"  # type: ignore[union-attr,index]


def test_the_sdks_stream_helper_with_tools(client: OpenAI) -> None:
    arguments = ""
    with client.responses.stream(model="netgpt/cloud", input=f"Which room has {EMAIL}?", tools=TOOLS) as stream:
        for number, event in enumerate(stream):
            assert event.sequence_number == number
            if event.type == "response.function_call_arguments.delta":
                arguments += event.delta
        check_tools(stream.get_final_response())
    assert json.loads(arguments) == {"email": EMAIL}


def test_raw_events_are_strictly_those_of_the_sdks_types(served: Served, client: OpenAI) -> None:
    from openai.types.responses import ResponseStreamEvent
    from pydantic import TypeAdapter

    types: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    body = {"model": "netgpt/cloud", "input": f"Which room has {EMAIL}?", "tools": TOOLS, "stream": True}
    answer = served.post(body, "/v1/responses")
    assert answer.headers["content-type"].startswith("text/event-stream") and "[DONE]" not in answer.text
    assert answer.headers["x-netgpt-route"] == "cloud"
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]
    for event in events:
        types.validate_python(event, strict=True)
    assert [event["type"] for event in (events[0], events[1], events[-1])] == [
        "response.created", "response.in_progress", "response.completed"
    ]  # fmt: skip
    exchange = answer.headers["x-netgpt-exchange"]
    assert events[-1]["response"]["netgpt"]["exchange"] == events[0]["response"]["netgpt"]["exchange"] == exchange


def test_a_conversation_goes_on_by_the_id_of_its_last_response(client: OpenAI) -> None:
    from openai import NotFoundError

    first = client.responses.create(model="netgpt/cloud", input=f"I am {EMAIL}", metadata={"of": "a test"})
    second = client.responses.create(model="netgpt/cloud", input="and who?", previous_response_id=first.id)
    assert second.output_text.startswith(f"You said: I am {EMAIL} You said: I am {EMAIL}")
    assert second.output_text.endswith("and who?") and second.previous_response_id == first.id
    again = client.responses.retrieve(first.id)
    assert again.output == first.output and again.metadata == {"of": "a test"} and again.usage == first.usage
    items = client.responses.input_items.list(second.id, order="asc", limit=2)
    assert [item.type for item in items] == ["message", "reasoning", "message", "message"]
    client.responses.delete(first.id)
    for ask in (client.responses.retrieve, client.responses.input_items.list, client.responses.delete):
        with pytest.raises(NotFoundError):
            ask(first.id)
    with pytest.raises(NotFoundError) as error:
        client.responses.create(model="netgpt/cloud", input="x", previous_response_id=first.id)
    assert error.value.code == "previous_response_not_found"


def test_what_shall_not_be_stored_is_not(served: Served, client: OpenAI) -> None:
    from openai import NotFoundError

    first = client.responses.create(model="netgpt/cloud", input=f"I am {EMAIL}", store=False)
    assert first.model_extra is not None and first.model_extra["store"] is False
    with pytest.raises(NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(NotFoundError):
        client.responses.create(model="netgpt/cloud", input="x", previous_response_id=first.id)
    row = served.get(f"/v1/exchanges/{first.model_extra['netgpt']['exchange']}").json()
    assert "texts are not kept" in row["note"] and "answer" not in row and row["status"] == "complete"


def test_structured_output_by_the_sdks_helper(client: OpenAI) -> None:
    from pydantic import BaseModel

    class Room(BaseModel):
        said: str

    parsed = client.responses.parse(model="netgpt/cloud", input=f"{EMAIL}?", text_format=Room).output_parsed
    assert parsed == Room(said=EMAIL)
    with client.responses.stream(model="netgpt/cloud", input=f"{EMAIL}?", text_format=Room) as stream:
        assert stream.get_final_response().output_parsed == parsed


def test_langchain_whole_and_streamed_with_tools(served: Served) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

    tool = {
        "type": "function",
        "function": {"name": "look_up", "description": "d", "parameters": TOOLS[0]["parameters"]},
    }
    made = ChatOpenAI(model="netgpt/cloud", base_url=f"{served.url}/v1", api_key=lambda: "none", use_responses_api=True)
    model = made.bind_tools([tool, TOOLS[1]])
    question: Any = HumanMessage(f"Which room has {EMAIL}?")
    for stream in (False, True):
        asked: Any = None
        for piece in model.stream([question]) if stream else [model.invoke([question])]:
            asked = piece if asked is None else asked + piece
        assert asked.tool_calls[0]["args"] == {"email": EMAIL}
        custom = {"type": "custom_tool_call_output"}
        results = [ToolMessage("B 12", tool_call_id="call_1"),
                   ToolMessage("noted", tool_call_id="call_2", additional_kwargs=custom)]  # fmt: skip
        said = model.invoke([question, asked, *results]).text
        assert said.endswith(f"I look for {EMAIL}. B 12 noted"), said


def test_errors_are_openais_and_name_the_field(client: OpenAI) -> None:
    from openai import BadRequestError
    from openai import NotFoundError as Missing

    with pytest.raises(BadRequestError) as error:
        client.responses.create(model="netgpt/cloud", input="x", background=True)
    assert (error.value.param, error.value.code) == ("background", "unsupported_parameter")
    with pytest.raises(BadRequestError) as error:
        client.responses.create(model="netgpt/cloud", input="x", tools=[{"type": "web_search"}])
    assert error.value.param == "tools.0.type" and "web_search" in str(error.value)
    with pytest.raises(Missing) as missing:
        client.responses.create(model="gpt-none", input="x")
    assert missing.value.code == "model_not_found"


# In this process: whose it is, what breaks, and every field


async def test_a_response_is_its_persons_and_nobody_elses(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, completion={"mode": "off"}) as opened:
            here = Door(opened)
            _, ada = await here.make_key(user="ada")
            _, bob = await here.make_key(user="bob")
            _, abroad = await here.make_key(tenant="south", user="ada")
            _, app = await here.make_key()
            _, operator = await here.make_key(role=Role.OPERATOR)
            first = await asked(here, ada, "my word is umbrella")
            assert (await asked(here, ada, "more", previous_response_id=first["id"]))["output"]
            assert (await asked(here, app, "more", previous_response_id=first["id"], user="ada"))["output"]
            for key, fields in ((bob, {}), (abroad, {}), (app, {}), (app, {"user": "bob"})):
                answer = await ask(here, key, input="x", previous_response_id=first["id"], **fields)
                assert answer.status_code == 404 and "umbrella" not in answer.text
                for path in ("", "/input_items"):
                    got = await here.get(f"/v1/responses/{first['id']}{path}", key=key, params=fields)
                    assert got.status_code == 404 and "umbrella" not in got.text
            seen = await here.get(f"/v1/responses/{first['id']}", key=operator)
            assert seen.status_code == 200 and "umbrella" not in seen.text
            assert (await here.ask("DELETE", f"/v1/responses/{first['id']}", key=operator)).status_code == 403


async def test_items_that_are_only_named_are_those_of_the_person(tmp_path: Path) -> None:
    with FaultyCloud(cloud_says) as cloud:
        async with gateway(tmp_path / "home", cloud, completion={"mode": "off"}) as opened:
            here = Door(opened)
            _, ada = await here.make_key(user="ada")
            _, bob = await here.make_key(user="bob")
            first = await asked(here, ada, f"where is {EMAIL}?", tools=TOOLS)
            names = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
            results = [{"type": "function_call_output", "call_id": "call_1", "output": "B 12"},
                       {"type": "custom_tool_call_output", "call_id": "call_2", "output": "noted"}]  # fmt: skip
            second = await asked(here, ada, [*names, *results], tools=TOOLS)
            said = json.loads(cloud.received[-1].body)["messages"][0]
            assert [call["id"] for call in said["tool_calls"]] == ["call_1", "call_2"] and said["reasoning_content"]
            third = await asked(here, ada, "and?", previous_response_id=second["id"])
            assert f"I look for {EMAIL}." in json.dumps(third["output"])
            stolen = await ask(here, bob, input=[*names, *results])
            assert stolen.status_code == 404 and stolen.json()["error"]["param"] == "input.0.id"


async def test_who_is_forgotten_leaves_no_response(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, completion={"mode": "off"}) as opened:
            here = Door(opened)
            _, admin = await here.make_key(role=Role.ADMIN)
            first = await asked(here, admin, "my word is umbrella", user="ada")
            assert (await here.ask("DELETE", "/v1/profiles/ada", key=admin)).status_code == 200
            again = await ask(here, admin, input="more", previous_response_id=first["id"], user="ada")
            assert again.status_code == 404
            got = await here.get(f"/v1/responses/{first['id']}", key=admin, params={"user": "ada", "reason": "a test"})
            assert got.status_code == 404


async def test_what_is_null_is_left_out_and_a_dry_run_shows_what_would_leave(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, completion={"mode": "off"}) as opened:
            here = Door(opened)
            nothing = dict.fromkeys(("instructions", "tools", "text", "reasoning", "include", "store", "metadata"))
            plain = await here.ask("POST", "/v1/responses", json={"model": None, "input": "hello", **nothing})
            assert plain.status_code == 200 and plain.json()["store"] is True
            dry = await ask(here, None, input=f"write to {EMAIL}", netgpt={"dry_run": True})
            shown = dry.json()["netgpt"]["explain"]
            assert shown["would_send"]["messages"] == [{"role": "user", "content": "write to [EMAIL_1]"}]
            assert dry.json()["output"] == [] and EMAIL.encode() not in cloud.all_bytes()


async def test_a_box_that_keeps_no_texts_says_so(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, store={"keep_text": False}) as opened:
            here = Door(opened)
            first = await asked(here, None, "hello")
            assert first["store"] is False
            assert (await ask(here, None, input="x", previous_response_id=first["id"])).status_code == 404


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.MALFORMED, Fault.ERROR_IN_200])
async def test_a_stream_that_breaks_fails_and_never_completes(tmp_path: Path, fault: Fault) -> None:
    with FaultyCloud(lambda body: "a long answer " * 20, faults=[fault]) as cloud:
        async with gateway(tmp_path / "home", cloud) as opened:
            answer = await ask(Door(opened), None, input="hello", stream=True)
            assert answer.status_code == 200 and "response.completed" not in answer.text
            last = json.loads(answer.text.strip().rpartition("data: ")[2])
            assert last["type"] == "response.failed" and last["response"]["error"]["code"] == "server_error"
            assert last["response"]["netgpt"]["partial"] is True


class Planted:
    """One address for each field, so that a leak tells where it was."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, what: str) -> str:
        self.made.append(f"{what}.person{len(self.made)}@mill.example")
        return f"write to {self.made[-1]} now"


def every_field(planted: Planted) -> dict[str, Any]:
    """A request with an address wherever a text can stand."""
    schema = {"type": "object", "description": planted("schema"), "properties": {"to": {
        "type": "string", "description": planted("property"), "enum": [planted("enum"), "b"]}}}  # fmt: skip
    mark = {"type": "url_citation", "title": planted("title"), "url": "https://x.example", "start_index": 0,
            "end_index": 1}  # fmt: skip
    arguments = json.dumps({"text": planted("arguments")})
    return {
        "model": "netgpt/cloud", "instructions": planted("instructions"), "user": "ada",
        "metadata": {"note": planted("metadata")},
        "input": [
            {"role": "developer", "content": planted("developer")},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": planted("part")}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": planted("summary")}],
             "content": [{"type": "reasoning_text", "text": planted("thought")}], "encrypted_content": BLOB},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": planted("output"), "annotations": [mark]},
                {"type": "refusal", "refusal": planted("refusal")}]},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": arguments},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "c", "input": planted("custom")},
            {"type": "function_call_output", "call_id": "call_1", "output": [
                {"type": "input_text", "text": planted("result")}]},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": planted("custom_result")},
            {"role": "user", "content": planted("last")},
        ],
        "tools": [
            {"type": "function", "name": "f", "description": planted("function"), "parameters": schema},
            {"type": "custom", "name": "c", "description": planted("tool"), "format": {
                "type": "grammar", "syntax": "regex", "definition": planted("grammar")}},
        ],
        "text": {"format": {"type": "json_schema", "name": "n", "description": planted("form"), "schema": schema}},
        "safety_identifier": planted("safety"), "prompt_cache_key": planted("cache"),
    }  # fmt: skip


BLOB = "gAAAAABo9mXv2Qk7zT1pLd8uRfYwJ0sNcHgEb5iVaCxZtMqOPl3nSyKD4eUhWj6BXrGIFA=="


async def test_nothing_private_leaves_in_any_field_and_bytes_that_must_not_change_do_not(tmp_path: Path) -> None:
    planted = Planted()
    body = every_field(planted)
    with FaultyCloud(lambda _: "done") as cloud:
        async with gateway(tmp_path / "home", cloud, completion={"mode": "off"}) as opened:
            here = Door(opened)
            answer = await here.ask("POST", "/v1/responses", json=body)
            assert answer.status_code == 200 and answer.json()["netgpt"]["route"] == "cloud", answer.text
            going_on = {"model": "netgpt/cloud", "user": "ada", "input": "more",
                        "previous_response_id": answer.json()["id"]}  # fmt: skip
            assert (await here.ask("POST", "/v1/responses", json=going_on)).status_code == 200
            sent = cloud.all_bytes().decode()
            assert [each for each in planted.made if each in sent] == []
            assert "mill.example" not in sent
            for received in cloud.received:
                said = json.loads(received.body)["messages"]
                (answered,) = (each for each in said if each.get("tool_calls"))
                assert [call["id"] for call in answered["tool_calls"]] == ["call_1", "call_2"]
                (details,) = (each["reasoning_details"] for each in said if "reasoning_details" in each)
                assert details[-1]["data"] == BLOB and details[-1]["id"] == "rs_1"


def answers_everywhere(body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with the first placeholder wherever a text can stand."""
    found = re.search(r"\[EMAIL_\d+\]", json.dumps(body["messages"]))
    stands = found[0] if found else "nobody"
    detail = {"type": "reasoning.summary", "summary": f"summary {stands}", "index": 0}
    mark = {"type": "url_citation", "url_citation": {"title": f"of {stands}", "url": "https://x.example",
                                                     "start_index": 0, "end_index": 1}}  # fmt: skip
    return {"content": f"words {stands}", "refusal": f"refusal {stands}", "reasoning_details": [detail],
            "annotations": [mark], "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"to": stands})}},
        {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": f"input {stands}"}}]}  # fmt: skip


async def test_values_come_back_in_every_field_of_the_answer_however_it_is_cut(tmp_path: Path) -> None:
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "custom", "name": "c"}]
    with FaultyCloud(answers_everywhere) as cloud:
        async with gateway(tmp_path / "home", cloud, completion={"mode": "off"}) as opened:
            for size in (0, 1, 2, 3, 5, 8, 13, 1_000):
                cloud.chunk_size = size or 8
                answer = await ask(Door(opened), None, input=f"write to {EMAIL}", tools=tools, stream=size > 0)
                text = answer.text
                whole = json.loads(text.strip().rpartition("data: ")[2])["response"] if size else answer.json()
                assert "[EMAIL" not in text
                said = json.dumps(whole["output"])
                for place in ("summary", "words", "refusal", "of", "input"):
                    assert f"{place} {EMAIL}" in said, (place, size)
                assert json.dumps({"to": EMAIL}) in [item.get("arguments") for item in whole["output"]]
                assert [item["type"] for item in whole["output"]] == [
                    "reasoning", "message", "function_call", "custom_tool_call"
                ], size  # fmt: skip


async def ask(here: Door, key: str | None, **body: Any) -> Any:
    return await here.ask("POST", "/v1/responses", key=key, json={"model": "netgpt/cloud", **body})


async def asked(here: Door, key: str | None, text: Any, **fields: Any) -> dict[str, Any]:
    answer = await ask(here, key, input=text, **fields)
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    return response
