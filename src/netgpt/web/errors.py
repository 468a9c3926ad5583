"""Every failure leaves in the shape of its door, OpenAI's unless told, with a safe message and the right status."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from netgpt.dialects import responses
from netgpt.dialects.messages_answers import error_of
from netgpt.errors import ModelMisconfigured, NetGPTError, NotFound, RequestError
from netgpt.exchange import new_id

REQUEST_ID: Final = ("request-id", "x-request-id")
"""Headers in which clients of Anthropic and of OpenAI look for what to name when they ask why."""
log = logging.getLogger(__name__)


Shape = Callable[[NetGPTError], tuple[int, Mapping[str, Any]]]
"""Status and body for an error; a `request_id` in it is filled in."""
SHAPES: Final[Mapping[str, Shape]] = {responses.PATH: responses.error_body, "/v1/messages": error_of}
"""By path, where it is not OpenAI's shape: whatever refuses a request to this path, or to one below it, speaks so."""


def shaped(error: NetGPTError, path: str, request_id: str) -> tuple[int, Mapping[str, Any]]:
    """Status and body for an error at this path."""
    shape = next((SHAPES[each] for each in SHAPES if path == each or path.startswith(f"{each}/")), None)
    status, body = shape(error) if shape is not None else (error.status, error.as_openai())
    return status, {**body, "request_id": request_id} if "request_id" in body else body


def error_response(error: NetGPTError, exchange_id: str | None = None, path: str = "") -> JSONResponse:
    """The answer for one error at this path, with `Retry-After` where waiting helps."""
    request_id = exchange_id or new_id()
    headers = dict.fromkeys(REQUEST_ID, request_id)
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if exchange_id is not None:
        headers["x-netgpt-exchange"] = exchange_id
    if isinstance(error, ModelMisconfigured) or error.status == 501:
        headers["x-should-retry"] = "false"  # OpenAI's clients try a 502 again, and this one lasts
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    status, body = shaped(error, path, request_id)
    return JSONResponse(body, status_code=status, headers=headers)


def unforeseen(error: Exception, place: str) -> NetGPTError:
    """What nobody foresaw at `place` (method and path), as an error of ours; the log gets its type."""
    # The type and place help the owner; the text could hold what a person wrote, so it is not logged.
    log.error("unforeseen %s at %s", type(error).__name__, place)
    return NetGPTError("an internal error; the log of the box tells its type")


def unforeseen_response(error: Exception, place: str, path: str = "") -> JSONResponse:
    """The answer for what nobody foresaw."""
    return error_response(unforeseen(error, place), path=path)


def install(app: FastAPI) -> None:
    """Map our errors, the framework's, and whatever nobody foresaw."""

    @app.exception_handler(NetGPTError)
    async def ours(request: Request, error: NetGPTError) -> JSONResponse:
        return error_response(error, path=request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path"))
        return error_response(RequestError(f"{where or 'the request'}: {fault['msg']}", param=where or None))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, NetGPTError):  # a body that was refused while the framework read it
            return error_response(error.__cause__, path=request.url.path)
        place = f"{request.method} {request.url.path}"
        if error.status_code == 404:
            return error_response(NotFound(f"no such resource: {place}"), path=request.url.path)
        refusal = RequestError(f"{place}: {error.detail}", status=error.status_code)
        return error_response(refusal, path=request.url.path)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        return unforeseen_response(error, f"{request.method} {request.url.path}", request.url.path)
