"""Server-sent events, read as the bytes arrive (WHATWG HTML, section 9.2 "Server-sent events").

Only what chat streams use: `data` and `event`. Comments (pings), `id`, `retry` and unknown fields are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netgpt.errors import BrokenStream

__all__ = ["MAX_EVENT_BYTES", "Event", "EventParser"]

MAX_EVENT_BYTES = 4_000_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data lines joined by newlines, and its name (`message` unless the server gave one)."""

    data: bytes
    name: str = "message"


class EventParser:
    """Bytes in, events out. However the bytes are cut, the events are the same.

    Lines may end with LF, CRLF or CR. An event is complete at its empty line; what follows the last empty line is
    an event that never ended, and is not given out.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, source: str = "the stream") -> None:
        """`source` names the stream in errors."""
        self._source = source
        self._max_bytes = max_event_bytes
        self._line: list[bytes] = []
        """Pieces of the line that has not ended. A list, so that many small pieces are joined once."""
        self._line_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = ""
        self._first_line = True
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Give out the events that `piece` completes. The iterator must be used up before the next call.

        Raises BrokenStream when one event is larger than `max_event_bytes`.
        """
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        lines = piece.splitlines(keepends=True)
        self._after_cr = piece.endswith(b"\r") or (self._after_cr and not piece)
        for line in lines:
            text = line.rstrip(b"\r\n")
            self._take(text)
            if len(text) < len(line):
                event = self._end_line()
                if event is not None:
                    yield event

    def _take(self, text: bytes) -> None:
        self._line.append(text)
        self._line_bytes += len(text)
        if self._line_bytes + self._data_bytes > self._max_bytes:
            raise BrokenStream(f"one event of {self._source} is larger than {self._max_bytes} bytes")

    def _end_line(self) -> Event | None:
        line = self._line[0] if len(self._line) == 1 else b"".join(self._line)
        self._line.clear()
        self._line_bytes = 0
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._end_event()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _end_event(self) -> Event | None:
        data, name = self._data, self._name
        self._data, self._data_bytes, self._name = [], 0, ""
        if not data:
            return None
        return Event(b"\n".join(data), name or "message")
