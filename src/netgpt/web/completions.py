"""POST /v1/completions: the door for who still speaks OpenAI's older API; several prompts are as many exchanges."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any, Final

import orjson
from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netgpt.app.gateway import Gateway
from netgpt.dialects.completions import PATH, CompletionsWriter, completion_of, joined, prompts_of, to_chat
from netgpt.errors import NetGPTError, RequestError
from netgpt.exchange import Exchange, Request
from netgpt.routing.names import ModelNames
from netgpt.types import Caller
from netgpt.web.auth import CALLER, caller_of
from netgpt.web.bodies import read_json
from netgpt.web.errors import error_response, unforeseen_response
from netgpt.web.requests import Extension, Name, check_chat
from netgpt.web.streams import NoResponse

AT_ONCE: Final = 4
"""Prompts of one request that are asked at once."""


class CompletionsBody(BaseModel):
    """OpenAI's completions request; `suffix`, `logprobs` and `best_of` are refused."""

    model_config = ConfigDict(extra="allow")
    model: Name = "netgpt"
    prompt: StrictStr | list[StrictStr] = Field(description="One text, or up to 64 that are not streamed.")
    stream: StrictBool | None = None
    stream_options: dict[str, Any] | None = None
    echo: StrictBool | None = None
    n: Annotated[StrictInt, Field(ge=1, le=16)] | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    temperature: float | None = None
    stop: StrictStr | list[StrictStr] | None = None
    seed: StrictInt | None = None
    user: Name | None = None
    netgpt: Extension | None = None


class CompletionsDoor:
    """OpenAI's older completions, streamed or whole, with the extra field `netgpt`."""

    path: Final = PATH
    name: Final = "completions"
    body: Final = CompletionsBody

    def parse(self, raw: bytes, known_models: ModelNames) -> Request:
        body = read_json(raw)
        asked = check_chat(to_chat(body), known_models)
        return replace(asked, door=PATH, said={"echo": bool(body.get("echo"))})

    async def prepared(self, gateway: Gateway, caller: Caller, asked: Request) -> Request:
        return asked

    def whole(self, exchange: Exchange, answer: dict[str, Any]) -> dict[str, Any]:
        return completion_of(answer, _echoed(exchange.request))

    def writer(self, exchange: Exchange) -> CompletionsWriter:
        asked = exchange.request
        wants_usage = bool((asked.body.get("stream_options") or {}).get("include_usage"))
        return CompletionsWriter(wants_usage=wants_usage, echoed=_echoed(asked))


def _echoed(asked: Request) -> str:
    return str(asked.messages[0]["content"]) if (asked.said or {}).get("echo") else ""


class SeveralPrompts:
    """Asks each prompt of a request apart, as if it had come alone, and joins the answers. A plain ASGI layer.

    The first that is refused is the answer. Each counts against the limits of its key.
    """

    def __init__(self, app: FastAPI, doors: ASGIApp) -> None:
        self.app, self.doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.doors(scope, receive, send)
            return
        scope["app"] = self.app
        response = await self._response(scope, receive)
        if isinstance(response, bytes):
            await self.doors(scope, _replayed(response, receive), send)
        else:
            await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> Response | bytes:
        """The answer; or the body, where one exchange answers it."""
        try:
            await caller_of(HttpRequest(scope))
            raw = await HttpRequest(scope, receive).body()
            body = read_json(raw)
            prompts = prompts_of(body)
            if len(prompts) == 1 or body.get("stream"):
                return raw
            if isinstance(own := body.get("netgpt"), dict) and own.get("may_wait"):
                raise RequestError("netgpt.may_wait: only one prompt may wait", param="netgpt.may_wait")
            return await self._answered(scope, receive, body, prompts)
        except NetGPTError as error:
            return error_response(error, path=PATH)
        except ClientDisconnect:
            return NoResponse()
        except Exception as error:  # noqa: BLE001 - outside of the doors: nobody else answers the caller
            return unforeseen_response(error, f"POST {PATH}", PATH)

    async def _answered(self, scope: Scope, receive: Receive, body: dict[str, Any], prompts: list[str]) -> Response:
        gone, turns = asyncio.Event(), asyncio.Semaphore(AT_ONCE)
        refused: list[Response] = []

        async def one(place: int, prompt: str) -> Response:
            async with turns:
                if refused:
                    return refused[0]
                alone = {name: value for name, value in scope.items() if name != CALLER or place == 0}
                answer = await self._one(alone, {**body, "prompt": prompt}, gone)
                if answer.status_code != 200:
                    refused.append(answer)
                return answer

        watch = asyncio.ensure_future(_until_gone(receive, gone))
        try:
            answers = await asyncio.gather(*(one(place, prompt) for place, prompt in enumerate(prompts)))
        finally:
            watch.cancel()
        if gone.is_set():
            return NoResponse()
        if refused:
            return refused[0]
        whole = joined([orjson.loads(answer.body) for answer in answers])
        headers = {name: value for name, value in answers[0].headers.items() if name != "content-length"}
        return Response(orjson.dumps(whole), headers=headers)

    async def _one(self, scope: Scope, body: dict[str, Any], gone: asyncio.Event) -> Response:
        answer = Response()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status_code, answer.raw_headers = message["status"], list(message["headers"])
            else:
                answer.body = bytes(answer.body) + message.get("body", b"")

        async def until_gone() -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        await self.doors(scope, _replayed(orjson.dumps(body), until_gone), keep)
        return answer


def _replayed(raw: bytes, then: Receive) -> Receive:
    """Gives a body that was read, once; then what `then` gives."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await then()
        given = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return receive


async def _until_gone(receive: Receive, gone: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()
