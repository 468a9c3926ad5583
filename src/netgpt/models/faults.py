"""What `FaultyCloud` can do wrong, and what it says when it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from netgpt.models.fake_http import ReceivedRequest
from netgpt.models.script import last_user_text

__all__ = ["STATUSES", "Fault", "error_body"]


class Fault(StrEnum):
    """What can go wrong with one request. Error answers repeat the request's text and key, as careless servers do."""

    CUT = "cut"
    """Closes in the middle of the answer."""
    STALL = "stall"
    """Stops sending in the middle of the answer and keeps the connection."""
    MALFORMED = "malformed"
    """Sends a line that is not JSON."""
    ERROR_IN_200 = "error_in_200"
    """Sends an error object where (the rest of) the answer should be, with status 200."""
    RATE_LIMIT = "rate_limit"
    """429 with Retry-After."""
    SERVER_ERROR = "server_error"
    """500."""
    REFUSED = "refused"
    """401: the key is not accepted."""
    TOO_LONG = "too_long"
    """400 with the code `context_length_exceeded`."""
    SLOW_FIRST_BYTE = "slow_first_byte"
    """Waits `slow_s` before the first byte, then answers well."""
    WRONG_CONTENT_TYPE = "wrong_content_type"
    """An HTML page with status 200."""
    HANGUP = "hangup"
    """Closes a new connection at once, or a used one when the request comes."""
    BAD_USAGE = "bad_usage"
    """Answers well, but without usage."""
    NO_DONE = "no_done"
    """Streams a whole answer, but ends it without `[DONE]`."""
    JSON_INSTEAD_OF_STREAM = "json_instead_of_stream"
    """Ignores `stream` and sends one JSON document."""


STATUSES = {Fault.RATE_LIMIT: 429, Fault.SERVER_ERROR: 500, Fault.REFUSED: 401, Fault.TOO_LONG: 400}
_CODES = {
    Fault.RATE_LIMIT: "rate_limit_exceeded",
    Fault.SERVER_ERROR: "server_error",
    Fault.REFUSED: "invalid_api_key",
    Fault.TOO_LONG: "context_length_exceeded",
    Fault.ERROR_IN_200: "server_error",
}


def error_body(fault: Fault | None, body: Mapping[str, Any], request: ReceivedRequest) -> bytes:
    """The error that the fault answers with; empty for a fault that answers no error."""
    if fault not in _CODES:
        return b""
    message = f"{request.header('authorization')} asked: {last_user_text(body)}"
    kind = "invalid_request_error" if fault in {Fault.REFUSED, Fault.TOO_LONG} else _CODES[fault]
    error = {"message": message, "type": kind, "code": _CODES[fault], "param": message}
    return json.dumps({"error": error}).encode("ascii")
