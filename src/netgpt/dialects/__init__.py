"""Dialects: how other APIs than OpenAI's chat say the same things. Pure translations, without input or output.

A dialect's module has three: its request -> OpenAI's chat body; a whole chat answer -> its answer; and an `EventWriter`
for a streamed one. What a dialect says and chat cannot is refused by the field's name, never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from netgpt.errors import NetGPTError, RequestError
from netgpt.types import Chunk


class EventWriter(Protocol):
    """One streamed answer in a dialect: fed with our chat chunks, in order, it gives the bytes of its events.

    Exactly one of `end` and `broken` is called, once, as the last: an answer that broke must not look complete. The
    first chunk and those that finish a choice hold `netgpt`.
    """

    def add(self, chunk: Chunk) -> bytes:
        """The events that this chunk makes; may be none."""
        ...

    def end(self) -> bytes:
        """What ends a whole answer."""
        ...

    def broken(self, error: NetGPTError, netgpt: Mapping[str, Any]) -> bytes:
        """What ends one that broke, at any place. `netgpt`: the exchange's id, and whether part of it was given."""
        ...


def event(data: Mapping[str, Any], name: str = "") -> bytes:
    """One server-sent event (WHATWG HTML, section 9.2)."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def wrong(field: str, what: str) -> RequestError:
    """A field that is not as its dialect has it: "input.3.role: must be ..."."""
    return RequestError(f"{field}: {what}", param=field)


def cannot_say(field: str, cure: str, code: str = "unsupported_parameter") -> RequestError:
    """A field of a dialect that OpenAI's chat, which all doors speak within, has no way to say."""
    return RequestError(f"{field}: this box cannot pass it on: {cure}", code=code, param=field)
