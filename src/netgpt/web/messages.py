"""POST /v1/messages: the door for those who speak Anthropic's Messages API, and its count of tokens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from netgpt.app.gateway import Gateway
from netgpt.dialects.messages import in_our_words, to_chat
from netgpt.dialects.messages_answers import AnswerEvents, MessagesWriter, whole_message
from netgpt.dialects.messages_count import tokens_of
from netgpt.errors import RequestError
from netgpt.exchange import Exchange, Request
from netgpt.routing.names import ModelNames
from netgpt.types import CHARACTERS_A_TOKEN, Caller
from netgpt.web.auth import authenticated
from netgpt.web.bodies import read_json
from netgpt.web.requests import MAX_MESSAGES, Extension, Name, check_chat

PATH: Final = "/v1/messages"
_LONG_BODY: Final = 20_000
"""Bytes of a body whose tokens are not counted on the event loop."""
router = APIRouter()


class MessagesBody(BaseModel):
    """Anthropic's request: the fields whose shape we rely on."""

    model_config = ConfigDict(extra="allow")
    model: Name = "netgpt"
    max_tokens: StrictInt = Field(ge=1)
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_MESSAGES)
    system: str | list[dict[str, Any]] | None = None
    stream: StrictBool | None = None
    stop_sequences: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    netgpt: Extension | None = None


class MessagesDoor:
    """Anthropic's Messages API, streamed or whole, with the extra field `netgpt`."""

    path: Final = PATH
    name: Final = "messages"
    body: Final = MessagesBody

    def parse(self, raw: bytes, known_models: ModelNames) -> Request:
        body = read_json(raw)
        asked = _checked(to_chat(body), known_models)
        thinks = isinstance(body.get("thinking"), dict) and body["thinking"].get("type") != "disabled"
        said = {
            "stops": body.get("stop_sequences") or [], "shows_thoughts": thinks,
            "edits": body.get("context_management") is not None, "prompt_tokens": len(raw) // CHARACTERS_A_TOKEN,
        }  # fmt: skip
        return replace(asked, door=PATH, said=said)

    async def prepared(self, gateway: Gateway, caller: Caller, asked: Request) -> Request:
        return asked

    def whole(self, exchange: Exchange, answer: dict[str, Any]) -> dict[str, Any]:
        return whole_message(answer, **(exchange.request.said or {}))

    def writer(self, exchange: Exchange) -> MessagesWriter:
        return MessagesWriter(AnswerEvents(**(exchange.request.said or {})), exchange.id)


def _checked(chat: dict[str, Any], known_models: ModelNames) -> Request:
    try:
        return check_chat(chat, known_models)
    except RequestError as error:
        raise in_our_words(error) from None


@router.post(PATH + "/count_tokens", tags=["chat"])
async def count_tokens(request: HttpRequest) -> dict[str, int]:
    """About how many tokens a request of the Messages API has. It is counted on the box; nothing leaves for it."""
    gateway, _ = await authenticated(request)
    raw = await request.body()

    def counted() -> int:
        body = read_json(raw)
        _checked(to_chat(body, counting=True), gateway.model_names)
        return tokens_of(body)

    return {"input_tokens": counted() if len(raw) <= _LONG_BODY else await asyncio.to_thread(counted)}
