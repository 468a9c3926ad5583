"""POST /v1/chat/completions: the door whose dialect is our own: request and answer travel as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from netgpt.app.gateway import Gateway
from netgpt.dialects import event
from netgpt.errors import NetGPTError
from netgpt.exchange import Exchange, Request
from netgpt.routing.names import ModelNames
from netgpt.types import CHAT_PATH, Caller, Chunk
from netgpt.web.requests import ChatBody, parse_chat


class ChatDoor:
    """OpenAI's chat completions, streamed or whole, with the extra field `netgpt`."""

    path: Final = CHAT_PATH
    name: Final = "chat_completions"
    body: Final = ChatBody

    def parse(self, raw: bytes, known_models: ModelNames) -> Request:
        return parse_chat(raw, known_models)

    async def prepared(self, gateway: Gateway, caller: Caller, asked: Request) -> Request:
        return asked

    def whole(self, exchange: Exchange, answer: dict[str, Any]) -> dict[str, Any]:
        return answer

    def writer(self, exchange: Exchange) -> ChatWriter:
        return ChatWriter(wants_usage=bool((exchange.request.body.get("stream_options") or {}).get("include_usage")))


class ChatWriter:
    """Each chunk is an event. A clean answer ends with `data: [DONE]`; one that broke with an in-band
    `{"error": ...}` and no `[DONE]`."""

    def __init__(self, *, wants_usage: bool) -> None:
        self._wants_usage = wants_usage

    def add(self, chunk: Chunk) -> bytes:
        if not self._wants_usage and "usage" in chunk:
            chunk = {key: value for key, value in chunk.items() if key != "usage"}
            if not chunk.get("choices"):
                return b""
        return event(chunk)

    def end(self) -> bytes:
        return b"data: [DONE]\n\n"

    def broken(self, error: NetGPTError, netgpt: Mapping[str, Any]) -> bytes:
        return event({**error.as_openai(), "netgpt": netgpt} if netgpt else error.as_openai())
