"""Which pieces of a streamed answer belong to one called tool, whatever a server numbers them by.

Servers leave `index` out, give two calls one index (each whole, or with ids of their own), repeat id, type and name in
each piece, or send no id. What goes on has one number and one id for each call, and says each of them once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

MOST_CALLS: Final = 128
"""Tool calls in one choice: as many as tools may be offered."""


class Numbers:
    """Numbers from 0 on for what a server numbers as it likes; its own are kept where they are in range."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._numbers: dict[int | str, int] = {}

    def of(self, key: int | str) -> int | None:
        """The number of what the server calls `key`; None: it would be one too many."""
        number = self._numbers.get(key)
        if number is None and len(self._numbers) < self._most:
            taken = self._numbers.values()
            fits = type(key) is int and 0 <= key < self._most and key not in taken
            number = int(key) if fits else next(each for each in range(self._most) if each not in taken)
            self._numbers[key] = number
        return number


@dataclass(slots=True)
class CalledTool:
    """One call as it was said so far."""

    number: int
    id: str = ""
    name: str = ""
    is_custom: bool = False
    pieces: list[str] = field(default_factory=list)

    def add(self, piece: Mapping[str, Any]) -> None:
        """What a piece says of the function or custom tool."""
        self.name += piece.get("name") or ""
        if text := piece.get("arguments") or piece.get("input"):
            self.pieces.append(text)

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are a whole JSON value; a custom tool's input is any text."""
        self.pieces = ["".join(self.pieces)]
        text = self.pieces[0].rstrip()
        if self.is_custom or not text or text[-1] not in '}]"0123456789el':
            return self.is_custom
        try:
            orjson.loads(text)
        except ValueError:
            return False
        return True

    @property
    def could_run(self) -> bool:
        """Whether it has a name, and arguments that are whole, or none."""
        return bool(self.name) and (not "".join(self.pieces).strip() or self.is_whole)


class Calls:
    """The calls of one choice."""

    def __init__(self) -> None:
        self._numbers = Numbers(MOST_CALLS)
        self._by_index: dict[int | str, CalledTool] = {}
        """The newest call of each index that the server gave."""
        self._by_id: dict[str, CalledTool] = {}
        self._last: CalledTool | None = None
        self.all: list[CalledTool] = []

    def taken(self, piece: dict[str, Any], index: Any, place: int, several: bool) -> dict[str, Any]:
        """A piece of a call, checked but for its `index`, as it goes on. `place`: its place among those of its delta,
        of which there are `several`.

        Raises ValueError: too many calls.
        """
        function = piece.get("function") or piece.get("custom") or {}
        id, name = piece.get("id") or "", function.get("name") or ""
        call = self._known(index, id, name, place, several)
        begins = call is None
        if call is None:
            call = self._begun(index, id)
        result = {"index": call.number, **piece}
        if not begins:
            self._without_repeats(result, call)
        elif not id and name:
            result["id"] = call.id = f"call_{secrets.token_hex(12)}"
        if id and not call.id:
            call.id = id
        if id:
            self._by_id.setdefault(id, call)
        for part in ("function", "custom"):
            if isinstance(said := result.get(part), dict):
                call.is_custom = part == "custom"
                call.add(said)
        if index is not None:
            self._by_index[index] = call
        self._last = call
        return result

    def _known(self, index: Any, id: str, name: str, place: int, several: bool) -> CalledTool | None:
        """The call that a piece goes on with; None: it begins one."""
        if index is not None:
            call = self._by_index.get(index)
        elif id:
            call = self._by_id.get(id)
            if call is None and not name and self._last is not None and not self._last.is_whole:
                return self._last  # some servers make up a new id for each piece
            return call
        elif several and not name and place < len(self.all):
            return self.all[place]
        else:
            call = self._last
        if call is None or not name or not call.name:
            return call
        other_id = bool(id and call.id and id != call.id)
        same_id = bool(id and id == call.id)
        whole = call.is_whole if call.pieces else other_id
        if index is None and not id and name != call.name:
            return None  # names come whole where nothing else tells calls apart
        begins = (whole and (other_id or not same_id)) or (other_id and name != call.name)
        return None if begins else call

    def _begun(self, index: Any, id: str) -> CalledTool:
        known = index is not None and index in self._by_index
        key: int | str = index if index is not None and not known else f"{len(self.all)}:{id}"
        number = self._numbers.of(key)
        if number is None:
            raise ValueError(f"calls more than {MOST_CALLS} tools at once")
        call = CalledTool(number)
        self.all.append(call)
        return call

    def _without_repeats(self, piece: dict[str, Any], call: CalledTool) -> None:
        """Take out what was said before: clients join it to what they have."""
        if call.id:
            piece.pop("id", None)
        if call.name:
            piece.pop("type", None)
        for part in ("function", "custom"):
            said = piece.get(part)
            if isinstance(said, dict) and call.name and said.get("name") in (call.name, "", None):
                piece[part] = {name: value for name, value in said.items() if name != "name"}
