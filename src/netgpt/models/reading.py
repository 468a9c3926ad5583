"""JSON as servers write it: what is hardly JSON is mended and read, what is not is refused, and nobody waits for it.

Mended are halves of characters (U+FFFD), bytes that are no UTF-8, a byte order mark, numbers that are none (null) and
numbers beyond all measure. What kind of answer came is read from its first bytes: content types are often wrong.
"""

from __future__ import annotations

import asyncio
import json
import json.decoder
import json.scanner
import math
import re
from typing import Any, Final

import orjson

from netgpt.errors import BrokenStream
from netgpt.models.errors import Peer, error_in_answer

MOST_AT_ONCE: Final = 100_000
"""Values of a document that are parsed at once: more would hold everybody up. Commas are counted; texts hold some."""
MOST_IN_ALL: Final = 600_000
PATIENTLY: Final = 8_192
"""Bytes that are read in Python at once."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_NO_NUMBER: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+]?\b(?:Infinity|NaN|inf|nan)\b', re.DOTALL)
_HALF: Final = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_ONE_HALF: Final = 6


async def read_json(data: bytes | bytearray, peer: Peer) -> Any:
    """As `parsed`, for a whole document: a large one is read off the loop."""
    values = data.count(b",")
    if values > MOST_IN_ALL:
        raise BrokenStream(f"{peer} sent an answer of more than {MOST_IN_ALL} values")
    if values <= MOST_AT_ONCE:
        try:
            return _answered(orjson.loads(data), peer)
        except ValueError:
            if len(data) <= PATIENTLY:
                return parsed(data, peer)
    return await asyncio.to_thread(_patiently, data, peer)


def parsed(data: bytes | bytearray, peer: Peer) -> Any:
    """Parse JSON. Raises BrokenStream, or what an error object in it stands for."""
    if len(data) > MOST_AT_ONCE and data.count(b",") > MOST_AT_ONCE:
        raise BrokenStream(f"{peer} sent an event of more than {MOST_AT_ONCE} values")
    try:
        document = orjson.loads(data)
    except ValueError:
        return _patiently(data, peer)
    return _answered(document, peer)


def _answered(document: Any, peer: Peer) -> Any:
    if (error := error_in_answer(peer, document)) is not None:
        raise error
    return document


def mended(data: bytes | bytearray) -> bytes:
    """The JSON with what orjson refuses put right, as far as bytes alone tell."""
    text = bytes(data).removeprefix(BYTE_ORDER_MARK)
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode("utf-8", "replace").encode()
    if b"\\u" in text:
        text = _HALF.sub(lambda found: rb"\ufffd" if _is_half(found[0]) else found[0], text)
    if b"N" in text or b"n" in text:
        text = _NO_NUMBER.sub(lambda found: found[0] if found[0].startswith(b'"') else b"null", text)
    return text


def _is_half(found: bytes) -> bool:
    return len(found) == _ONE_HALF


def _patiently(data: bytes | bytearray, peer: Peer) -> Any:
    text = mended(data)
    try:
        document = orjson.loads(text)
    except ValueError:
        try:
            # In Python, where other threads have their turn: few read so much, and it must not hold up the loop.
            document = _Patient().decode(text.decode()) if len(text) <= PATIENTLY or _may_wait() else None
        except (ValueError, RecursionError):
            document = None
        if document is None:
            raise BrokenStream(f"{peer} sent a line that is not JSON") from None
    return _answered(document, peer)


def _may_wait() -> bool:
    """Whether this is no event loop's thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


class _Patient(json.JSONDecoder):
    """Reads JSON in Python, and takes numbers beyond all measure and raw control characters in texts."""

    def __init__(self) -> None:
        super().__init__(parse_int=_number, parse_float=_number, parse_constant=lambda _name: None, strict=False)
        parts: Any = self
        parts.parse_object, parts.parse_array = json.decoder.JSONObject, json.decoder.JSONArray  # type: ignore[attr-defined]
        parts.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def _number(text: str) -> int | float | None:
    if text.removeprefix("-").isdigit() and len(text) <= 18:
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


EVENTS, DOCUMENT, PAGE, LINES = "events", "document", "page", "lines"
_LINE_KINDS: Final = ("ndjson", "jsonl", "json-seq", "stream+json", "jsonlines")
_FIELD: Final = re.compile(rb"(data|event|id|retry)\s*:|:")
_FEW: Final = 64
"""Bytes after which is known what comes."""


def kind_of(kind: str, beginning: bytes) -> str | None:
    """What an answer is, by its first bytes; by its content type `kind` where they tell nothing. None: it is neither
    events, nor JSON, nor a page; an empty `beginning` is read by the content type alone."""
    start = beginning.removeprefix(BYTE_ORDER_MARK).lstrip()
    if start.startswith(b"<"):
        return PAGE
    if _FIELD.match(start):
        return EVENTS
    if start.startswith((b"{", b"[")):
        return LINES if any(kind.endswith(each) for each in _LINE_KINDS) else DOCUMENT
    if kind == "text/event-stream":
        return EVENTS
    return DOCUMENT if kind.endswith("json") else None


def tells(beginning: bytes) -> bool:
    """Whether so much of an answer is enough for `kind_of`."""
    start = beginning.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not start:
        return False
    return start[:1] in b":{[<" or len(start) >= _FEW or b"\n" in start or _FIELD.match(start) is not None
