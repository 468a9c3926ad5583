"""/v1/responses: the door for those who speak OpenAI's Responses API, and the responses that the box keeps for it.

A response is kept as its exchange is: sealed, its person's, gone with them or after `store.keep_exchanges_days`. Its id
is the exchange's. What a later request goes on with is read from there; nothing is kept at a cloud.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from netgpt.app.gateway import Gateway
from netgpt.dialects import cannot_say, wrong
from netgpt.dialects.responses import ENCRYPTED, PATH, items_of, reference_of, to_chat
from netgpt.dialects.responses_events import ResponsesWriter, response_frame, response_of
from netgpt.errors import NotFound, RequestError
from netgpt.exchange import Exchange, Request
from netgpt.routing.names import ModelNames
from netgpt.store.schema import ExchangeRecord
from netgpt.types import Caller, Person
from netgpt.web.auth import authenticated
from netgpt.web.bodies import read_json
from netgpt.web.exchanges import User
from netgpt.web.requests import Extension, Name, check_chat
from netgpt.web.rights import person_for, reach, sees_texts

_ID: Final = re.compile(r"resp_([0-9a-f]{32})")
_ITEM: Final = re.compile(r"(?:msg|rs|fc|ctc|in)_([0-9a-f]{32})[0-9a-f]{2,4}")
_MOST_NAMED: Final = 500
_MOST_BEFORE: Final = 20_000
"""Items that a conversation may have had."""
_LONG: Final = 200
"""Items of a conversation that are not put together on the event loop."""
router = APIRouter()


class ResponsesBody(BaseModel):
    """OpenAI's request of the Responses API: the fields whose shape we rely on."""

    model_config = ConfigDict(extra="allow")
    model: Name = "netgpt"
    input: StrictStr | list[dict[str, Any]] | None = None
    instructions: StrictStr | None = None
    previous_response_id: Name | None = None
    store: StrictBool | None = Field(None, description="False: no text of it is kept for later requests.")
    stream: StrictBool | None = None
    background: StrictBool | None = None
    max_output_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    max_tool_calls: StrictInt | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: StrictStr | dict[str, Any] | None = None
    parallel_tool_calls: StrictBool | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    include: list[StrictStr] | None = None
    metadata: dict[str, Any] | None = None
    truncation: StrictStr | None = None
    user: Name | None = None
    netgpt: Extension | None = None


class ResponsesDoor:
    """OpenAI's Responses API, streamed or whole, with the extra field `netgpt`."""

    path: Final = PATH
    name: Final = "responses"
    body: Final = ResponsesBody

    def parse(self, raw: bytes, known_models: ModelNames) -> Request:
        body = {name: value for name, value in read_json(raw).items() if value is not None}  # as if it were left out
        try:
            ResponsesBody.model_validate(body)
        except ValidationError as error:
            raise _malformed(error) from None
        # What it goes on with, or only names, is not known yet: the items are checked with it.
        own = {**body, "input": "(goes on)"} if _goes_on(body) else body
        asked = check_chat(to_chat(own), known_models)
        said = {name: value for name, value in body.items() if name not in ("netgpt", "stream")}
        return replace(asked, door=PATH, said=said, keep=body.get("store") is not False)

    async def prepared(self, gateway: Gateway, caller: Caller, asked: Request) -> Request:
        said = {**(asked.said or {}), "store": asked.keep and gateway.settings.store.keep_text}
        summary = (said.get("reasoning") or {}).get("summary")
        if summary is not None and _speak_responses(gateway):
            asked = replace(asked, body={**asked.body, "reasoning": {"summary": summary}})
        if not _goes_on(said):
            return replace(asked, said=said)
        person = await person_for(gateway, caller, asked.user)
        before = (
            await _before(gateway, person, said["previous_response_id"]) if said.get("previous_response_id") else []
        )
        said |= {"before": before, "input": await _with_named(gateway, person, items_of(said))}
        work = partial(to_chat, {**said, "netgpt": None}, before)
        is_long = len(before) + len(said["input"]) > _LONG
        chat = await asyncio.to_thread(work) if is_long else work()
        return replace(asked, body={**asked.body, "messages": chat["messages"]}, said=said)

    def whole(self, exchange: Exchange, answer: dict[str, Any]) -> dict[str, Any]:
        said = exchange.request.said or {}
        return response_of(_frame(exchange, said), answer, said)

    def writer(self, exchange: Exchange) -> ResponsesWriter:
        said = exchange.request.said or {}

        def usage() -> dict[str, int] | None:
            counted = exchange.outcome.usage
            return counted.as_openai() if counted is not None else None

        return ResponsesWriter(_frame(exchange, said), said, usage)


def _speak_responses(gateway: Gateway) -> bool:
    """Whether whatever leaves goes to clouds of this very dialect, which can say what chat cannot."""
    clouds = gateway.settings.remotes.values()
    return bool(clouds) and all(getattr(cloud, "dialect", "openai") == "responses" for cloud in clouds)


def _frame(exchange: Exchange, said: Mapping[str, Any]) -> dict[str, Any]:
    return response_frame(exchange.id.removeprefix("ex_"), said, int(exchange.received.timestamp()))


def _malformed(error: ValidationError) -> RequestError:
    fault = error.errors(include_input=False, include_url=False)[0]
    parts = [str(part) for part in fault["loc"] if not (isinstance(part, str) and ("[" in part or part == "str"))]
    return wrong(".".join(parts), fault["msg"])


# What is kept


def _goes_on(body: Mapping[str, Any]) -> bool:
    """Whether it says something by the id under which it is kept here."""
    return bool(body.get("previous_response_id")) or any(reference_of(item) is not None for item in items_of(body))


async def _before(gateway: Gateway, person: Person, response_id: str) -> list[dict[str, Any]]:
    """The items of a conversation up to this response, itself included."""
    row = await _row_of(gateway, response_id)
    if row is None or row.person != person or not _is_kept(row):
        raise NotFound(
            "no response of that id is kept here for this person: it was not stored, it expired, or it was deleted",
            code="previous_response_not_found",
            param="previous_response_id",
        )
    before = [*_input_of(row), *_response(row, with_encrypted=True)["output"]]
    if len(before) > _MOST_BEFORE:
        raise RequestError(f"the conversation has more than {_MOST_BEFORE} items", param="previous_response_id")
    return before


async def _with_named(gateway: Gateway, person: Person, items: list[Any]) -> list[Any]:
    """The items, those that are only named themselves: of responses of this person. Ids of other makers' reasoning
    are looked for in the responses that the other ids tell of; what is not found stays named, and is refused then."""
    named = {name for item in items if (name := reference_of(item)) is not None}
    responses = sorted({match[1] for name in named if (match := _ITEM.fullmatch(name))})
    if len(responses) > _MOST_NAMED:
        raise RequestError(f"items of more than {_MOST_NAMED} responses are named: send them themselves", param="input")
    known: dict[str, Any] = {}
    for number in responses:
        row = await _row_of(gateway, f"resp_{number}")
        if row is not None and row.person == person and _is_kept(row):
            output = _response(row, with_encrypted=True)["output"]
            known |= {item["id"]: item for item in [*_input_of(row), *output]}
    return [known.get(reference_of(item) or "", item) for item in items]


async def _row_of(gateway: Gateway, response_id: str) -> ExchangeRecord | None:
    """The exchange of a response, whoever it belongs to."""
    match = _ID.fullmatch(response_id)
    return await gateway.store.exchange(f"ex_{match[1]}") if match else None


def _is_kept(row: ExchangeRecord) -> bool:
    """Whether a response can be read from this row: one that ended, of this door, whose texts are there."""
    private = row.private or {}
    return row.status == "complete" and private.get("said") is not None and private.get("answer") is not None


def _response(row: ExchangeRecord, *, with_encrypted: bool = False) -> dict[str, Any]:
    """The response of a row that is kept. `with_encrypted`: also where the caller did not ask for its reasoning so."""
    private = row.private or {}
    said, answer = private["said"], private["answer"]
    if with_encrypted:
        said = {**said, "include": [ENCRYPTED]}
    began = int(row.received.timestamp())
    frame = response_frame(row.id.removeprefix("ex_"), said, began)
    frame["completed_at"] = began + round(float(row.timings.get("total", 0)) / 1000)
    usage = {"prompt_tokens": row.prompt_tokens, "completion_tokens": row.completion_tokens}
    return response_of(frame, {"usage": usage, **answer, "netgpt": {"exchange": row.id, "route": row.route}}, said)


def _input_of(row: ExchangeRecord) -> list[dict[str, Any]]:
    """All items that a kept response was asked with, those before it too, each with an id."""
    said = (row.private or {})["said"]
    items = [*(said.get("before") or ()), *items_of(said)]
    number = row.id.removeprefix("ex_")
    return [{**_item(item), "id": item.get("id") or f"in_{number}{place:04x}"} for place, item in enumerate(items)]


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as it is shown: a text is a list of one part."""
    if "role" not in item:
        return dict(item)
    kind = "output_text" if item["role"] == "assistant" else "input_text"
    content, shown = item.get("content"), {"type": "message", **item}
    if isinstance(content, str):
        shown["content"] = [{"type": kind, "text": content} | ({"annotations": []} if kind == "output_text" else {})]
    return shown


@router.get(PATH + "/{response_id}", tags=["chat"])
async def get_response(
    request: HttpRequest, response_id: str, user: User = None, stream: bool = False
) -> dict[str, Any]:
    """A response that is kept. Operators see its figures."""
    if stream:
        raise cannot_say("stream", "ask without it: the response is here, whole")
    _, row = await _reached(request, response_id, user)
    if not sees_texts(await _caller(request)):
        return {
            "id": response_id,
            "object": "response",
            "created_at": int(row.received.timestamp()),
            "model": row.model,
        }
    return _response(row)


@router.get(PATH + "/{response_id}/input_items", tags=["chat"])
async def list_input_items(
    request: HttpRequest,
    response_id: str,
    user: User = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Annotated[str, Query(pattern="asc|desc")] = "desc",
    after: str | None = None,
) -> dict[str, Any]:
    """The items that a response was asked with, newest first unless told; `after`: the id to go on from."""
    _, row = await _reached(request, response_id, user)
    items = _input_of(row) if sees_texts(await _caller(request)) else []
    if order == "desc":
        items.reverse()
    places = [place for place, item in enumerate(items) if item["id"] == after]
    if after is not None and not places:
        raise NotFound("no such item to list from: start again without `after`", param="after")
    begin = places[-1] + 1 if places else 0
    page = items[begin : begin + limit]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"object": "list", "data": page, "has_more": begin + limit < len(items), **ends, "response_id": response_id}


@router.delete(PATH + "/{response_id}", tags=["chat"])
async def delete_response(request: HttpRequest, response_id: str, user: User = None) -> dict[str, Any]:
    """Delete the texts of a response; figures of its exchange, and the receipt of what left, stay."""
    gateway, row = await _reached(request, response_id, user)
    await gateway.store.drop_texts(row.id)
    return {"id": response_id, "object": "response", "deleted": True}


async def _caller(request: HttpRequest) -> Caller:
    return (await authenticated(request))[1]


async def _reached(request: HttpRequest, response_id: str, user: str | None) -> tuple[Gateway, ExchangeRecord]:
    """The gateway, and the row of a response that the caller may reach. Raises NotFound, PermissionDenied."""
    gateway, _ = await authenticated(request)
    row = await _row_of(gateway, response_id)
    return gateway, await reach(request, row if row is not None and _is_kept(row) else None, user, "response_id")
