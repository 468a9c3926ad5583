"""/v1/profiles/{user}/conversations: what a person talked about with this box, to read again and to go on with.

A conversation is the exchanges that a person's client named alike (`netgpt.conversation`). Nothing is stored for this:
the newest of them holds all that was said before. Where texts are not kept there is nothing to show.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from netgpt.app.gateway import Gateway
from netgpt.errors import NotFound
from netgpt.store.schema import ExchangeRecord
from netgpt.types import Person
from netgpt.web.rights import for_person

router = APIRouter()

_PAGE: Final = 25
_MOST: Final = 300
"""Exchanges that one call reads, newest first: each is opened, which takes about 0.1 ms."""
_MOST_CHARACTERS: Final = 4_000_000
"""Of all messages that one call reads: an agent's conversation may have a million in each exchange."""
_TITLE: Final = 80
_NOT_ANSWERED: Final = ("dry_run", "open")


@router.get("/v1/profiles/{user}/conversations", tags=["profiles"])
async def list_conversations(
    request: Request, user: str, limit: Annotated[int, Query(ge=1, le=100)] = 30, before: str | None = None
) -> dict[str, Any]:
    """The person's conversations, the last one first: the words it began with, when, and how many questions.

    `next`: the `before` of the next page, null at the end.
    """
    gateway, person = await for_person(request, user)
    found: dict[str, dict[str, Any]] = {}
    looked, last = 0, None
    async for row in _newest_first(gateway, person, before):
        looked, name = looked + 1, _name(row)
        if name is not None and name not in found:
            if len(found) == limit:
                break
            found[name] = _summary(name, row)
        last = row.id
    else:
        last = last if looked % _PAGE == 0 else None
    return {"object": "list", "data": list(found.values()), "next": last}


@router.get("/v1/profiles/{user}/conversations/{conversation_id:path}", tags=["profiles"])
async def get_conversation(
    request: Request,
    user: str,
    conversation_id: str,
    exchange: Annotated[
        str | None, Query(max_length=64, description="Its last one, as the list has it: for long ago.")
    ] = None,
) -> dict[str, Any]:
    """One conversation: its messages, as they are sent to go on with it; beside each answer its exchange."""
    gateway, person = await for_person(request, user)
    newest, messages, wanted = None, list[dict[str, Any]](), 0
    async for row in _newest_first(gateway, person, exchange, inclusive=True):
        if _name(row) != conversation_id:
            continue
        if newest is None:
            newest, messages = row, _messages(row)
            wanted = sum(message.get("role") == "assistant" for message in messages)
        place = len(_asked(row))
        if place < len(messages) and "netgpt" not in messages[place]:
            messages[place] = {**messages[place], "netgpt": _exchange(row)}
            wanted -= 1
        if wanted <= 0:
            break
    if newest is None:
        raise NotFound("no such conversation of this person, or its texts are not kept", param="conversation_id")
    return {"object": "netgpt.conversation", "messages": messages} | _summary(conversation_id, newest)


async def _newest_first(
    gateway: Gateway, person: Person, before: str | None, *, inclusive: bool = False
) -> AsyncIterator[ExchangeRecord]:
    looked = characters = 0
    if inclusive and before is not None:
        first = await gateway.store.exchange(before)
        if first is not None and first.person == person:
            yield first
    while looked < _MOST and characters < _MOST_CHARACTERS:
        rows = await gateway.store.exchanges(person, _PAGE, before)
        for row in rows:
            characters += sum(len(_words(message)) for message in _asked(row))
            yield row
        if len(rows) < _PAGE:
            return
        looked, before = looked + len(rows), rows[-1].id


def _name(row: ExchangeRecord) -> str | None:
    name = (row.private or {}).get("conversation")
    return name if isinstance(name, str) and _asked(row) and row.status not in _NOT_ANSWERED else None


def _asked(row: ExchangeRecord) -> list[dict[str, Any]]:
    """The messages of the request; none where they are not kept."""
    messages = (row.private or {}).get("request", {}).get("messages")
    return messages if isinstance(messages, list) else []


def _summary(name: str, row: ExchangeRecord) -> dict[str, Any]:
    asked = [message for message in _asked(row) if message.get("role") == "user"]
    title = " ".join(_words(asked[0]).split()) if asked else ""
    title = title if len(title) <= _TITLE else f"{title[:_TITLE].rstrip()} ..."
    return {"id": name, "title": title, "questions": len(asked), "last": row.received.isoformat(), "exchange": row.id}


def _words(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _messages(row: ExchangeRecord) -> list[dict[str, Any]]:
    """What was said, the newest answer included; a question that got none is left out."""
    private = row.private or {}
    messages = [dict(message) for message in _asked(row)]
    choices = (private.get("answer") or {}).get("choices") or ()
    if choices:
        return [*messages, {"role": "assistant", "content": choices[0].get("message", {}).get("content") or ""}]
    while messages and messages[-1].get("role") == "user":
        messages.pop()
    return messages


def _exchange(row: ExchangeRecord) -> dict[str, Any]:
    """What a page says under an answer: as an answer itself tells it (`netgpt` in its body)."""
    private = row.private or {}
    decision = private.get("decision") or {}
    explain = {"facts": private.get("facts") or [], "hidden": private.get("hidden") or []}
    return {
        "exchange": row.id, "route": row.route, "arm": row.target, "reason": row.reason or decision.get("reason"),
        "confidence": private.get("confidence"), "status": row.status, "partial": row.partial,
        "finished_by": row.finished_by, "rating": row.rating,
        "explain": {**explain, "left": private.get("outbound") is not None},
    }  # fmt: skip
