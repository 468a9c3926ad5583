"""A loop with two tools by one of other people's clients, both ways: `python loops.py CLIENT BASE_URL QUESTION`.

Runs in an environment of its own (requirements-sdks.lock). Prints a JSON line for each way: what was said at the end,
and the arguments that the tools were called with.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

MODEL = "netgpt"
asked: list[list[str]] = []


def look_up(email: str) -> str:
    """Find a person's room."""
    asked.append(["look_up", email])
    return json.dumps({"room": "B 12", "owner": "Zanele Khumalo"})


def book(room: str, owner: str) -> str:
    """Book a room for its owner."""
    asked.append(["book", room, owner])
    return f"{room} is booked for {owner}"


TOOLS: dict[str, Callable[..., str]] = {"look_up": look_up, "book": book}


def schema(name: str) -> dict[str, Any]:
    """The definition of a tool in OpenAI's form."""
    words = list(TOOLS[name].__annotations__)[:-1]
    properties = {word: {"type": "string"} for word in words}
    parameters = {"type": "object", "properties": properties, "required": words, "additionalProperties": False}
    function = {"name": name, "description": TOOLS[name].__doc__, "parameters": parameters, "strict": True}
    return {"type": "function", "function": function}


def litellm(url: str, question: str, streamed: bool) -> str:
    module = importlib.import_module("litellm")
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(5):
        answer = module.completion(
            model=f"openai/{MODEL}", api_base=url, api_key="none", messages=messages, stream=streamed,
            tools=[schema(name) for name in TOOLS],
        )  # fmt: skip
        if streamed:
            answer = module.stream_chunk_builder(list(answer), messages=messages)
        message = answer.choices[0].message
        if not message.tool_calls:
            return str(message.content)
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = TOOLS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return "did not end"


def langgraph(url: str, question: str, streamed: bool) -> str:
    chat = importlib.import_module("langchain_openai").ChatOpenAI(
        model=MODEL, base_url=url, api_key="none", max_retries=0, streaming=streamed
    )
    agent = importlib.import_module("langgraph.prebuilt").create_react_agent(chat, list(TOOLS.values()))
    asking = {"messages": [("user", question)]}
    if not streamed:
        return str(agent.invoke(asking)["messages"][-1].content)
    stream = agent.stream(asking, stream_mode="messages")
    pieces = [piece for piece, about in stream if about["langgraph_node"] == "agent"]
    last = pieces[-1].id
    return "".join(piece.content for piece in pieces if piece.id == last)


def llama_index(url: str, question: str, streamed: bool) -> str:
    model = importlib.import_module("llama_index.llms.openai_like").OpenAILike(
        model=MODEL, api_base=url, api_key="none", is_chat_model=True, is_function_calling_model=True, max_retries=0,
        context_window=32_000,
    )  # fmt: skip
    workflow = importlib.import_module("llama_index.core.agent.workflow")
    agent = workflow.FunctionAgent(tools=list(TOOLS.values()), llm=model, streaming=streamed)

    async def run() -> str:
        return str(await agent.run(question))

    return asyncio.run(run())


def pydantic_ai(url: str, question: str, streamed: bool) -> str:
    provider = importlib.import_module("pydantic_ai.providers.openai").OpenAIProvider(base_url=url, api_key="none")
    model = importlib.import_module("pydantic_ai.models.openai").OpenAIChatModel(MODEL, provider=provider)
    agent = importlib.import_module("pydantic_ai").Agent(model, tools=list(TOOLS.values()))
    if not streamed:
        return str(agent.run_sync(question).output)

    async def run() -> str:
        async with agent.run_stream(question) as answer:
            return "".join([piece async for piece in answer.stream_text(delta=True)])

    return asyncio.run(run())


def openai(url: str, question: str, streamed: bool) -> str:
    client = importlib.import_module("openai").OpenAI(base_url=url, api_key="none", max_retries=0)
    messages: list[Any] = [{"role": "user", "content": question}]
    tools = [schema(name) for name in TOOLS]
    for _ in range(5):
        if streamed:
            with client.chat.completions.stream(model=MODEL, messages=messages, tools=tools) as stream:
                stream.until_done()
                message = stream.get_final_completion().choices[0].message
        else:
            message = client.chat.completions.parse(model=MODEL, messages=messages, tools=tools).choices[0].message
        if not message.tool_calls:
            return str(message.content)
        messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        for call in message.tool_calls:
            result = TOOLS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return "did not end"


CLIENTS: dict[str, Callable[[str, str, bool], str]] = {
    each.__name__: each for each in (openai, litellm, langgraph, llama_index, pydantic_ai)
}

if __name__ == "__main__":
    client, base_url, words = sys.argv[1:]
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "none"}
    for way in (False, True):
        asked.clear()
        print(json.dumps({"said": CLIENTS[client](base_url, words, way), "asked": asked}))
