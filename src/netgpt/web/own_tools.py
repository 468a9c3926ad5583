"""The box's own tools for agents: ask, redact, explain, what_left, profile, signals.

All but `redact` are the HTTP API's operations, called within the process for the same caller: what it may not see there
it does not see here. What is words passes the boundary: an agent on some cloud's model gets placeholders.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from netgpt.app.boundary import Agent, Boundary
from netgpt.errors import NotFound

Who = Field(None, max_length=256, description="The person it is about, where the key speaks for several.")
_ID: Final = r"^[A-Za-z0-9_.-]{1,64}$"


class Arguments(BaseModel):
    """What every tool takes."""

    model_config = ConfigDict(extra="forbid")
    user: str | None = Who


class AskArguments(Arguments):
    prompt: str = Field(min_length=1, description="The question or task, in full: nothing is remembered between calls.")
    system: str | None = Field(None, description="Instructions that go before it.")
    model: str = Field("netgpt", max_length=256, description="netgpt (the box decides), netgpt/edge, netgpt/cloud.")
    dry_run: bool = Field(False, description="Ask nobody: say what would leave, byte for byte.")


class RedactArguments(Arguments):
    text: str = Field(description="The text to hide what is private in.")


class ExplainArguments(Arguments):
    exchange: str | None = Field(None, pattern=_ID, description="Its id (`exchange` of `ask`); the newest without it.")


class WhatLeftArguments(Arguments):
    receipt: str | None = Field(
        None, pattern=_ID, description="One receipt, by its id or its exchange's, with its bytes."
    )
    limit: int = Field(20, ge=1, le=200, description="Without `receipt`: how many, newest first.")


class AgentCall(Protocol):
    """What a tool works with: one call of one agent."""

    @property
    def agent(self) -> Agent: ...
    @property
    def boundary(self) -> Boundary: ...

    async def http(
        self, method: Literal["GET", "POST"], path: str, body: Mapping[str, Any] | None = None, **query: Any
    ) -> dict[str, Any]:
        """An operation of the HTTP API for this caller. Raises NetGPTError as the API answers."""


Run = Callable[[AgentCall, Any], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class OwnTool:
    """One tool. `scope`: what a key with scopes needs beside `mcp`."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    gives: Mapping[str, Mapping[str, Any]]
    """Field of the result -> its schema; all are there."""
    scope: str
    run: Run
    reads_only: bool = True
    leaves_box: bool = False

    def output_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": dict(self.gives), "required": list(self.gives)}


_TEXT: Final[Mapping[str, Any]] = {"type": "string"}
_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}
_ROWS: Final[Mapping[str, Any]] = {"type": "array", "items": _OBJECT}


async def ask(line: AgentCall, given: AskArguments) -> dict[str, Any]:
    asked = {"prompt": given.prompt, "system": given.system}
    wishes: dict[str, Any] = {"dry_run": given.dry_run}
    if line.agent.is_local:
        async with line.boundary.talk(line.agent) as talk:
            asked = talk.put_back(asked)
    else:  # words made of what is private are not found again: a model here is told nothing that the agent is not
        wishes |= {"complete": "off", "constraints": False}
    messages = [{"role": "system", "content": asked["system"]}] if asked["system"] else []
    body = {
        "model": given.model, "messages": [*messages, {"role": "user", "content": asked["prompt"]}],
        "user": line.agent.person.user, "netgpt": wishes,
    }  # fmt: skip
    answer = await line.http("POST", "/v1/chat/completions", body)
    told = answer["netgpt"]
    said = str((answer["choices"][0].get("message") or {}).get("content") or "") if answer.get("choices") else ""
    leaves = (told.get("explain") or {}).get("would_send_text") or ""
    shown = await _through(line, {"answer": said}, knows=True) | await _through(line, {"would_leave": leaves})
    return {**shown, **{name: told.get(name) for name in ("exchange", "route", "reason")}}


async def redact(line: AgentCall, given: RedactArguments) -> dict[str, Any]:
    async with line.boundary.talk(line.agent) as talk:
        text = await talk.masked(given.text)
        assert talk.sealed is not None
        hidden = [
            {"placeholder": each.placeholder, "kind": each.kind, "found_by": each.rule, "rule": each.policy_rule,
             "count": each.count}
            for each in talk.sealed.hidden
        ]  # fmt: skip
        passed = [
            {"kind": each.kind, "as": each.now, "found_by": each.rule, "rule": each.policy_rule, "count": each.count}
            for each in talk.sealed.generalised
        ]
    return {"text": text, "hidden": hidden, "as_it_is": passed}


_PLAIN_OF_EXCHANGE: Final = frozenset(
    {"id", "object", "received", "status", "model", "route", "arm", "finished_by", "partial", "adapters", "usage",
     "cost", "rating", "timings_ms", "hidden", "generalised", "kept", "policy", "label", "restoring", "outbound_sha256",
     "outbound_rule", "destination", "sent_to", "confidence", "decision", "asked_for"}
)  # fmt: skip
_PLAIN_OF_RECEIPT: Final = frozenset(
    {"id", "object", "time", "destination", "model", "bytes", "hash", "exchange", "outcome", "erased", "erased_because",
     "commitment", "previous"}
)  # fmt: skip


async def explain(line: AgentCall, given: ExplainArguments) -> dict[str, Any]:
    user, id = line.agent.person.user, given.exchange
    if id is None:
        newest = (await line.http("GET", "/v1/exchanges", user=user, limit=1))["data"]
        if not newest:
            raise NotFound("nothing was asked for this person yet", param="exchange")
        id = newest[0]["id"]
    row = await line.http("GET", f"/v1/exchanges/{id}", user=user)
    plain = {name: value for name, value in row.items() if name in _PLAIN_OF_EXCHANGE}
    words = {name: value for name, value in row.items() if name not in _PLAIN_OF_EXCHANGE}
    return plain | await _through(line, words)


async def what_left(line: AgentCall, given: WhatLeftArguments) -> dict[str, Any]:
    user = line.agent.person.user
    if given.receipt is None:
        rows = (await line.http("GET", "/v1/receipts", user=user, limit=given.limit))["data"]
        return {"receipts": rows}
    row = await line.http("GET", f"/v1/receipts/{given.receipt}", user=user)
    plain = {name: value for name, value in row.items() if name in _PLAIN_OF_RECEIPT}
    words = {name: value for name, value in row.items() if name not in _PLAIN_OF_RECEIPT}
    return {"receipts": [plain | await _through(line, words)]}


async def profile(line: AgentCall, given: Arguments) -> dict[str, Any]:
    found = await line.http("GET", f"/v1/profiles/{quote(line.agent.person.user, safe='')}")
    facts = found["facts"]
    shown = await _through(line, {"texts": [fact["text"] for fact in facts]})
    texts = [{**fact, "text": text} for fact, text in zip(facts, shown["texts"], strict=True)]
    return {"facts": texts, "consents": found["consents"], "complete": found["complete"]}


async def signals(line: AgentCall, given: Arguments) -> dict[str, Any]:
    return await line.http("GET", "/v1/signals")


async def _through(line: AgentCall, value: dict[str, Any], *, knows: bool = False) -> dict[str, Any]:
    """Words on their way to the agent. `knows`: placeholders in them are its own, not those of another request."""
    if line.agent.is_local:
        return value
    texts: list[str] = []
    shape = _taken(value, texts)
    async with line.boundary.talk(line.agent) as talk:
        return dict(_filled(shape, await talk.hidden(texts, knows=knows)))


@dataclass(frozen=True, slots=True)
class _Place:
    number: int


def _taken(value: Any, texts: list[str], within: bool = False) -> Any:
    """The value with a place for each text of an object, and of its lists of texts; all else of it as JSON."""
    if isinstance(value, str):
        texts.append(value)
        return _Place(len(texts) - 1)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [_taken(item, texts, True) for item in value]
    if isinstance(value, dict) and not within:
        return {name: _taken(item, texts, True) for name, item in value.items()}
    if isinstance(value, dict | list):
        texts.append(json.dumps(value, ensure_ascii=False))
        return (_Place(len(texts) - 1),)
    return value


def _filled(shape: Any, texts: list[str]) -> Any:
    if isinstance(shape, _Place):
        return texts[shape.number]
    if isinstance(shape, tuple):
        return json.loads(texts[shape[0].number])
    if isinstance(shape, list):
        return [_filled(item, texts) for item in shape]
    return {name: _filled(item, texts) for name, item in shape.items()} if isinstance(shape, dict) else shape


_MASKED: Final = (
    " Where your model runs in a cloud, private words in it are placeholders such as [EMAIL_1]; write them back as "
    "they are, NetGPT knows them."
)
_ASK: Final = (
    "Ask a question through the box: it may answer itself with its small model, or hide what is private and send the "
    "rest to the cloud that its owner configured. It is recorded for the person, and may cost money. Facts of the "
    "person are used for it only where your model is the owner's own."
)
_REDACT: Final = (
    "A text with placeholders for what is private, and for each its kind, what found it and the rule by which it is "
    "hidden. It finds names, addresses, numbers and secrets by form and by a small model, and misses some. Nothing is "
    "sent or recorded but the map of placeholders, sealed on the box."
)
_EXPLAIN: Final = (
    "One request of the person: what was asked, which facts were used, what left, what was hidden, and why it went "
    "where it went."
)
_WHAT_LEFT: Final = (
    "The receipts of all that left the box for the person: when, where to, how many bytes; one of them with its exact "
    "content. A receipt is proof of what was sent, not of what became of it there."
)
_PROFILE: Final = (
    "The facts that the box keeps of the person, with kind and label, and what they consented to. It only reads: facts "
    "and consents are changed by the person, not by an agent."
)
_SIGNALS: Final = (
    "Measured figures of links, models and the box with their age and confidence; no text, no person. For operators of "
    "the box."
)
_ANSWER: Final = dict.fromkeys(("answer", "exchange", "route", "reason", "would_leave"), _TEXT)
_REDACTED: Final = {"text": _TEXT, "hidden": _ROWS, "as_it_is": _ROWS}
_EXPLAINED: Final = dict.fromkeys(("id", "status", "route"), _TEXT)
OWN_TOOLS: Final[Mapping[str, OwnTool]] = {
    tool.name: tool
    for tool in (
        OwnTool("ask", "Ask NetGPT", _ASK + _MASKED, AskArguments, _ANSWER, "chat", ask, False, True),
        OwnTool("redact", "Hide what is private", _REDACT, RedactArguments, _REDACTED, "chat", redact),
        OwnTool(
            "explain", "What became of a request", _EXPLAIN + _MASKED, ExplainArguments, _EXPLAINED, "exchanges",
            explain,
        ),
        OwnTool(
            "what_left", "What left the box", _WHAT_LEFT + _MASKED, WhatLeftArguments, {"receipts": _ROWS}, "receipts",
            what_left,
        ),
        OwnTool(
            "profile", "What the box knows of the person", _PROFILE + _MASKED, Arguments,
            {"facts": _ROWS, "consents": _OBJECT}, "profiles", profile,
        ),
        OwnTool(
            "signals", "How links, models and the box are", _SIGNALS, Arguments, {"links": _OBJECT, "box": _OBJECT},
            "signals", signals,
        ),
    )
}  # fmt: skip
