"""Bodies as clients send them: packed or plain, with a byte order mark, in UTF-16, with half an emoji; JSON in the end.

What is read is the same text as a strict client would have sent; nothing is guessed.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, Final

import orjson
from starlette.types import Message, Receive, Scope

from netgpt.errors import NetGPTError, PayloadTooLarge, RequestError

MAX_VALUES = 100_000
"""Values and fields within a body: an agent's request of 1 MB with hundreds of tools has about 30,000."""
MAX_DEPTH = 64
"""Levels of lists and objects within a body; later recursion over a body is then safe."""
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_HALF: Final = re.compile("[\ud800-\udfff]")
"""Half a surrogate pair, as a string cut in the middle of an emoji ends: no character, and no encoding has it."""


def read_json(raw: bytes) -> dict[str, Any]:
    """A JSON object. Raises RequestError, which names where the text stops being JSON, and PayloadTooLarge."""
    raw = raw.removeprefix(_UTF8_BOM)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if raw[:2] not in _UTF16_BOMS and "surrogate" not in str(error):
            raise _no_json(error) from None
        body = _mended(raw)
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object", code="invalid_json")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH or raw.count(b",") > MAX_VALUES:
        _check_shape(body)
    return body


def _no_json(error: json.JSONDecodeError) -> RequestError:
    text = f"the body is not valid JSON: line {error.lineno}, column {error.colno}"
    return RequestError(text, code="invalid_json")


def _mended(raw: bytes) -> Any:
    """JSON in UTF-16, or with half a surrogate pair, which becomes U+FFFD as in every encoder that must go on."""
    try:
        text = raw.decode("utf-16" if raw[:2] in _UTF16_BOMS else "utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise RequestError("the body is not in UTF-8: send it so encoded", code="invalid_json") from None
    try:
        found = json.loads(text)
        return orjson.loads(_HALF.sub("\ufffd", json.dumps(found, ensure_ascii=False)))
    except json.JSONDecodeError as error:
        raise _no_json(error) from None
    except (ValueError, RecursionError):
        raise RequestError("the body is no JSON within bounds (depth, digits)", code="invalid_json") from None


def _check_shape(body: dict[str, Any]) -> None:
    """Raises RequestError, PayloadTooLarge. Counts without recursion, and no further than needed."""
    depth, values = 0, 0
    level: list[Any] = [body]
    while level:
        depth += 1
        values += sum(map(len, level))
        if depth > MAX_DEPTH:
            raise RequestError(f"the body is nested deeper than {MAX_DEPTH} levels", code="invalid_json")
        if values > MAX_VALUES:
            raise PayloadTooLarge(f"the body has more than {MAX_VALUES} values and fields; send less at once")
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, (dict, list))
        ]


ENCODINGS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""Content codings -> `wbits` of zlib."""


def too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {most} bytes (server.max_body_bytes); shorten the request")


def unpacked(scope: Scope, receive: Receive, most: int) -> Receive:
    """What `receive` gives, unpacked where `Content-Encoding` says that it is packed; at most `most` bytes then too.

    The scope loses the headers that speak of the packed body. Raises RequestError (415): a coding that is not read
    here; while it is read RequestError (400): damaged; PayloadTooLarge: it grows beyond bounds.
    """
    named = b",".join(value for name, value in scope["headers"] if name == b"content-encoding")
    codings = [coding for each in named.split(b",") if (coding := each.strip().lower()) not in (b"", b"identity")]
    if not codings:
        return receive
    if len(codings) > 1 or codings[0] not in ENCODINGS:
        raise RequestError(
            "Content-Encoding: bodies are read plain, or packed once with gzip or deflate",
            code="unsupported_content_encoding",
            status=415,
        )
    dropped = (b"content-encoding", b"content-length")
    scope["headers"] = [each for each in scope["headers"] if each[0] not in dropped]
    unpacking = _Unpacking(ENCODINGS[codings[0]], most)

    async def plain() -> Message:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body = unpacking.add(message.get("body", b""))
        if not message.get("more_body", False):
            unpacking.end()
        return {**message, "body": body}

    return plain


class _Unpacking:
    """Unpacks one body, piece by piece."""

    def __init__(self, wbits: int, most: int) -> None:
        self._wbits, self._most, self._made, self._head = wbits, most, 0, b""
        self._inner = zlib.decompressobj(wbits)

    def add(self, packed: bytes) -> bytes:
        """Raises RequestError, PayloadTooLarge."""
        made = b""
        while packed:
            try:
                piece = self._inner.decompress(packed, self._most - self._made + 1)
            except zlib.error:
                if self._wbits == 15 and len(self._head) < 2:  # some write `deflate` without the head of zlib
                    self._wbits, self._inner = -15, zlib.decompressobj(-15)
                    packed, self._head = self._head + packed, b"xx"
                    continue
                raise _damaged() from None
            self._head = (self._head + packed)[:2]
            self._made += len(piece)
            made += piece
            if self._made > self._most:
                raise too_large(self._most)
            packed = self._inner.unused_data
            if packed:  # gzip may have several members
                if self._wbits != 31:
                    raise _damaged()
                self._inner = zlib.decompressobj(self._wbits)
        return made

    def end(self) -> None:
        """Raises RequestError: it is not all there."""
        if self._head and not self._inner.eof:
            raise _damaged()


def _damaged() -> NetGPTError:
    return RequestError("the body is not packed as Content-Encoding says, or was cut", code="invalid_encoding")
