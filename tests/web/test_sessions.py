"""Loops with tools and conversations over HTTP: whatever else speaks for another model, they stay with theirs."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from agents import llm
from doors import Door, door
from serving import Served
from upstreams import upstream

from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud

if TYPE_CHECKING:
    from openai import OpenAI

TOOL = {
    "type": "function",
    "function": {
        "name": "step",
        "description": "Does one step.",
        "parameters": {"type": "object", "properties": {"of": {"type": "string"}, "number": {"type": "integer"}}},
    },
}
STEPS = 6
MAIL = "ingrid.lindqvist@mill.example"
Message = dict[str, Any]


def agent(who: str, steps: int = STEPS) -> Callable[[Mapping[str, Any]], Message]:
    """A model that calls `step` so many times for what the user named "loop N", then says who it is."""

    def reply(body: Mapping[str, Any]) -> Message:
        messages = body["messages"]
        said = next(str(message.get("content")) for message in messages if message["role"] == "user")
        named = re.findall(r"loop \S+", said)
        done = sum(message["role"] == "tool" for message in messages)
        if done >= steps or not named:
            return {"content": f"{who} did {done} steps"}
        arguments = json.dumps({"of": said, "number": done})  # with whatever stands for an address
        call = {"id": f"call_{who}_{done}_{named[0][5:]}", "type": "function"}
        return {"content": None, "tool_calls": [{**call, "function": {"name": "step", "arguments": arguments}}]}

    return reply


async def looped(here: Door, name: str, dice: random.Random, key: str | None = None) -> tuple[list[str], list[str]]:
    """Run one loop as an agent does, its preferences changing all the time; the models and the rules of its turns."""
    messages: list[Message] = [{"role": "user", "content": f"loop {name}: write to {MAIL} and compare it"}]
    targets, rules = [], []
    while True:
        fields = {
            "messages": messages, "tools": [TOOL], "model": "netgpt", "stream": dice.random() < 0.5,
            "netgpt": {"prefer": dice.choice(["quality", "private", "cheap", "fast", "balanced"])},
        }  # fmt: skip
        answer = await here.ask("POST", "/v1/chat/completions", key=key, json=fields)
        assert answer.status_code == 200, answer.text
        targets.append(answer.headers["x-netgpt-arm"])
        rules.append(answer.headers["x-netgpt-rule"])
        message = message_of(answer)
        messages.append(message)
        if not message.get("tool_calls"):
            return targets, rules
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": f"done for {MAIL}"}
            for call in message["tool_calls"]
        ]


def message_of(answer: httpx.Response) -> Message:
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return dict(answer.json()["choices"][0]["message"])
    from netgpt.models.stream import join_chunks

    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    return dict(join_chunks([json.loads(event) for event in events])["choices"][0]["message"])


async def test_no_loop_changes_its_model_and_nothing_private_leaves(tmp_path: Path) -> None:
    rules = {"max_cloud_share": 0.4, "hedge": "any", "hedge_after_s": 0.0, "explore": 0.5, "explore_per_hour": 1_000}
    with FaultyCloud(agent("cloud")) as cloud, FaultyCloud(agent("b")) as second:
        edge, ups = ScriptedModel(agent("edge")), [upstream("b", second, quality=0.88)]
        async with door(tmp_path, cloud, edge=edge, upstreams=ups, routing=rules) as here:
            dice, began = random.Random(7), set()
            for number in range(16):
                targets, said = await looped(here, f"{number}", dice)
                assert len(set(targets)) == 1 and len(targets) == STEPS + 1, (targets, said)
                assert set(said[1:]) == {"session"}
                began.add(targets[0])
            row = (await here.get("/v1/exchanges?limit=2")).json()["data"][0]
            shown = (await here.get(f"/v1/exchanges/{row['id']}")).json()
        assert len(began) >= 2, "else the test shows nothing"
        assert shown["decision"]["rule"] == "session" and "called the tools" in shown["decision"]["reason"]
        for far in (cloud, second):
            assert MAIL.encode() not in far.all_bytes()


async def test_a_loop_goes_on_after_a_restart(tmp_path: Path) -> None:
    asked: list[Message] = [{"role": "user", "content": "loop r"}]
    body = {"messages": asked, "tools": [TOOL], "netgpt": {"prefer": "quality"}}
    with FaultyCloud(agent("cloud")) as cloud:
        async with door(tmp_path, cloud, edge=ScriptedModel(agent("edge"))) as here:
            _, key = await here.make_key()
            first = await here.ask("POST", "/v1/chat/completions", key=key, json=body)
            assert first.headers["x-netgpt-arm"] == "cloud"
            message = message_of(first)
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "done"}
        body = {**body, "messages": [*asked, message, result], "netgpt": {"prefer": "private"}}
        async with door(tmp_path, cloud, edge=ScriptedModel(agent("edge"))) as again:
            second = await again.ask("POST", "/v1/chat/completions", key=key, json=body)
            assert (second.headers["x-netgpt-arm"], second.headers["x-netgpt-rule"]) == ("cloud", "session")
            _, other = await again.make_key()
            alone = await again.ask("POST", "/v1/chat/completions", key=other, json=body)
            assert alone.headers["x-netgpt-arm"] == "edge", "another key's loop is not known"


async def test_a_loop_whose_cloud_fails_goes_on_and_says_so_and_one_that_may_not_leave_stays(tmp_path: Path) -> None:
    messages: list[Message] = [{"role": "user", "content": "loop f"}]
    rules = {"fallback": "always"}  # nobody has measured how well the scripted model calls tools
    with FaultyCloud(agent("cloud")) as cloud:
        async with door(tmp_path, cloud, edge=ScriptedModel(agent("edge")), routing=rules) as here:

            async def goes_on(content: str) -> httpx.Response:
                answer = await here.chat(fields={"messages": messages, "tools": [TOOL]})
                messages.append(message_of(answer))
                id = messages[-1]["tool_calls"][0]["id"]
                messages.append({"role": "tool", "tool_call_id": id, "content": content})
                return answer

            assert (await goes_on("done")).headers["x-netgpt-arm"] == "cloud"
            cloud.schedule(Fault.SERVER_ERROR)
            failed = await goes_on("done")
            assert failed.headers["x-netgpt-arm"] == "edge" and failed.headers["x-netgpt-rule"] == "session+fallback"
            assert (await goes_on("done")).headers["x-netgpt-rule"] == "session", "now the box called them"
            sent = len(cloud.received)
            history = [*messages[:2], {**messages[2], "content": "card 4111 1111 1111 1111"}]
            card = await here.chat(fields={"messages": history, "tools": [TOOL]})
            assert card.headers["x-netgpt-arm"] == "edge" and len(cloud.received) == sent
            assert card.headers["x-netgpt-rule"] in ("sensitive", "kept")
            assert "the cloud called the tools and cannot go on" in card.json()["netgpt"]["reason"]


async def test_a_loop_is_not_hedged_and_falls_back_on_nobody_who_cannot(tmp_path: Path) -> None:
    rules = {"hedge": "edge", "hedge_after_s": 0.01, "stale_answer_s": 0}
    with FaultyCloud(agent("cloud", steps=2), slow_s=0.3) as cloud:
        edge = ScriptedModel(agent("edge"))
        async with door(tmp_path, cloud, edge=edge, routing=rules) as here:
            here.gateway.routing_service.context.prior = lambda target, kind: 0.1 if target == "edge" else 0.9
            messages: list[Message] = [{"role": "user", "content": "loop h"}]
            first = await here.chat(fields={"messages": messages, "tools": [TOOL]})
            assert first.headers["x-netgpt-arm"] == "cloud"
            call = message_of(first)
            messages += [call, {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "done"}]
            edge.asked.clear()
            cloud.schedule(Fault.SLOW_FIRST_BYTE)
            late = await here.chat(fields={"messages": messages, "tools": [TOOL]})
            assert late.headers["x-netgpt-rule"] == "session" and not edge.asked
            cloud.schedule(Fault.SERVER_ERROR)
            failed = await here.chat(fields={"messages": messages, "tools": [TOOL]})
            assert failed.status_code == 503 and not edge.asked


async def test_a_conversation_stays_until_another_gains_clearly_and_forget_ends_it(tmp_path: Path) -> None:
    with FaultyCloud("from far away") as cloud:
        async with door(tmp_path, cloud) as here:

            async def turn(text: str, **fields: Any) -> tuple[str, str]:
                messages.append({"role": "user", "content": text})
                answer = await here.chat(fields={"messages": messages, "user": "ada", **fields})
                messages.append(message_of(answer))
                return answer.headers["x-netgpt-arm"], answer.headers["x-netgpt-rule"]

            messages: list[Message] = []
            assert (await turn("write a python function that sorts a list"))[0] == "cloud"
            assert await turn("tell me a joke") == ("cloud", "session")
            assert (await turn("and another", netgpt={"prefer": "private"}))[0] == "edge"
            messages = []
            assert (await turn("tell me a joke"))[0] == "edge", "another conversation"
            messages = [{"role": "user", "content": "write a python function that sorts a list"}]
            messages.append({"role": "assistant", "content": "from far away"})
            kept = list(messages)
            assert (await turn("tell me a joke"))[0] == "cloud", "it is the first one again"
            await here.ask("DELETE", "/v1/profiles/ada")
            messages = kept
            assert (await turn("tell me a joke"))[0] == "edge"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, FaultyCloud, FaultyCloud]]:
    """A box whose cloud is used up after some requests, so that loops would end on another model than they began on."""
    with (
        FaultyCloud(agent("cloud", 12), chunk_size=9) as cloud,
        FaultyCloud(agent("edge", 12), chunk_size=9) as edge,
        Served(
            tmp_path_factory.mktemp("home"), cloud=cloud, edge_url=edge.base_url, routing__max_cloud_share="0.3"
        ) as gateway,
    ):
        yield gateway, cloud, edge


def who_had(served: tuple[Served, FaultyCloud, FaultyCloud], name: str) -> list[int]:
    """How many requests of this loop came to each model."""
    return [sum(f"loop {name} ".encode() in each.body for each in far.received) for far in served[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_openai_finishes_its_loops(served: Any, stream: bool) -> None:
    from openai import OpenAI

    client: OpenAI = OpenAI(base_url=f"{served[0].url}/v1", api_key="none", max_retries=0)
    for number in range(2):
        name = f"openai-{stream}-{number}"
        messages: Any = [{"role": "user", "content": f"loop {name} please"}]
        while True:
            asked: Any = {"model": "netgpt", "messages": messages, "tools": [TOOL]}
            if stream:
                with client.chat.completions.stream(**asked) as events:
                    message = events.get_final_completion().choices[0].message
            else:
                message = client.chat.completions.create(**asked).choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                break
            messages += [{"role": "tool", "tool_call_id": each.id, "content": "done"} for each in message.tool_calls]
        assert str(message.content).endswith("did 12 steps")
        assert sorted(who_had(served, name)) == [0, 13]


@pytest.mark.slow
def test_langchain_finishes_its_loops(served: Any) -> None:
    from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def step(of: str, number: int) -> str:
        """Does one step."""
        return f"{of} {number} done"

    chat: Any = ChatOpenAI(model="netgpt", base_url=f"{served[0].url}/v1", api_key="none", max_retries=0)
    bound = chat.bind_tools([step])
    for number in range(2):
        name = f"langchain-{number}"
        history: list[BaseMessage] = [HumanMessage(f"loop {name} please")]
        while (said := bound.invoke(history)).tool_calls:
            history += [said, *(ToolMessage(step.invoke(c["args"]), tool_call_id=c["id"]) for c in said.tool_calls)]
        assert said.content.endswith("did 12 steps") and sorted(who_had(served, name)) == [0, 13]


@pytest.mark.slow
def test_llm_finishes_its_loops(served: Any, tmp_path: Path) -> None:
    home = tmp_path / "llm"
    home.mkdir()
    (home / "extra-openai-models.yaml").write_text(
        f"- model_id: box\n  model_name: netgpt\n  api_base: {served[0].url}/v1\n  supports_tools: true\n"
    )
    function = "def step(of: str, number: int) -> str:\n    'Does one step.'\n    return 'done'"
    for way in ([], ["--no-stream"]):
        name = f"llm-{len(way)}"
        said = llm(home, "-m", "box", "--functions", function, "--cl", "20", f"loop {name} please", *way)
        assert said.endswith("did 12 steps") and sorted(who_had(served, name)) == [0, 13]
