"""Puts the originals back into an answer, whole or streamed in any pieces: the result is the same.

Only the shortest tail that could still become a placeholder is held back, until the `finish_reason` of its choice or
the end of the stream. A value is escaped for the place where it is put (`surroundings`), unless the caller had it there
as it is. What looks like a placeholder but cannot be resolved (the model changed or invented it) stays as it is and is
counted (`Account`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

from netgpt.privacy.bent import LONGEST, Found, Variants, original_of, plain_word, translations, variants, written_as
from netgpt.privacy.kinds import CLOSING, OPENING, kinds_of, known_kinds
from netgpt.privacy.shifting import DatesBack, DayShift
from netgpt.privacy.surroundings import Surroundings
from netgpt.privacy.wire import DEFAULT, wire
from netgpt.types import Chunk

_IN_BRACKETS = re.compile(
    rf"[{re.escape(OPENING)}{{(][ \t*_`~\\]{{0,4}}(?P<word>[^\W\d_][^\W\d]{{1,23}}?(?:[ \-][^\W\d_]{{2,12}})?)"
    rf"\\{{0,2}}(?P<mark>[_＿ \-.:#]?)(?P<n>\d{{1,6}})[\w'’]{{0,8}}[ \t*_`~\\]{{0,4}}[{re.escape(CLOSING)}}})]"
)
_READ_AT_ONCE: Final = 65_536
"""Characters without a placeholder after which they are read for what is behind them."""


class UnresolvedCounter:
    """Counts unresolved placeholders in the text that is passed on, piece by piece; each one once."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names`: the placeholders of the conversation."""
        kinds = kinds_of(names)
        self._bare = _bare(kinds)
        self._known = kinds | known_kinds() | translations()[0].keys()
        self._tail = ""

    def feed(self, piece: str) -> int:
        """How many are certain with the next piece of the text."""
        text = self._tail + piece
        count, again = self._read(text, len(text) - LONGEST)
        self._tail = text[again:]
        return count

    def end(self) -> int:
        """The text ends, or an original was put back here: what follows is another text."""
        count, _ = self._read(self._tail, len(self._tail))
        self._tail = ""
        return count

    def _read(self, text: str, settled: int) -> tuple[int, int]:
        """How many begin before `settled`, and the index from which the text must be read again."""
        matches = [match for match in self._matches(text) if match.start() < settled]
        return len(matches), max([0, settled, *(match.end() for match in matches)])

    def _matches(self, text: str) -> list[re.Match[str]]:
        found = [match for match in _IN_BRACKETS.finditer(text) if self._means(match)]
        inside = [match.span() for match in found]
        bare = self._bare.finditer(text) if self._bare else ()
        found += [match for match in bare if not any(start <= match.start() < end for start, end in inside)]
        return sorted(found, key=lambda match: match.start())

    def _means(self, match: re.Match[str]) -> bool:
        """Whether the brackets contain a placeholder's name, and not "[Figure 2]" or "(see 3)"."""
        word, mark = match["word"], match["mark"].replace("＿", "_")
        kind = plain_word(word)
        if match[0][0] in "({":  # "(PERSON 1)" is found without its brackets
            return mark == "_" and word == word.upper() and kind in self._known
        return (kind in self._known and mark in ("_", " ", "-", "")) or (mark == "_" and word == word.upper())


@lru_cache(maxsize=256)
def _bare(kinds: frozenset[str]) -> re.Pattern[str] | None:
    """A kind of this conversation in capitals with a number: "PERSON 1", "PERSON_1x", "PERSON-2"."""
    if not kinds:
        return None
    names = "|".join(re.escape(kind).replace("_", "[_ ]") for kind in sorted(kinds, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{names})[_ \-]\d{{1,6}}\w{{0,8}}")


_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "refusal")
_JSON_FIELDS = ("arguments", "input")
_WHOLE_NAME = re.compile(r"_\d{1,6}[a-z]?\]?$")
_DETAIL_TEXTS = ("text", "summary", "thinking")
"""Texts of pieces of reasoning, which come in pieces themselves."""
_AS_THEY_ARE = frozenset(("id", "blob", "encrypted", "word", "number", "slug", "tokens"))
"""Rules of fields in which nothing is put back."""
_HEAD = frozenset(("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier", "choices"))


@dataclass(slots=True)
class Account:
    """The counts of one answer: placeholders replaced by their originals, and those that stay."""

    restored: int = 0
    unresolved: int = 0


class Restorer:
    """Has the originals of one conversation; `repr` shows only their number."""

    def __init__(
        self,
        originals: Mapping[str, str],
        as_they_were: Collection[tuple[str, str]] = (),
        shift: DayShift | None = None,
    ) -> None:
        """`originals`: placeholder name without brackets -> private text. `as_they_were`: (name, kind of layer) of the
        values that stood there unescaped in the caller's own texts; see `stood_in`. `shift`: of the dates, if they left
        so."""
        self._originals, self._shift = dict(originals), shift
        self._as_they_were = frozenset(as_they_were)
        self._pattern = variants(kinds_of(self._originals)) if self._originals else None

    def __repr__(self) -> str:
        return f"<Restorer of {len(self._originals)} placeholders>"

    def text(self, text: str, *, as_json: bool = False) -> str:
        """`text` with every known placeholder replaced; unknown ones stay. `as_json`: text is JSON source."""
        stream = self.stream("json" if as_json else "")
        return stream.feed(text) + stream.flush()

    def stream(self, form: str = "", *, account: Account | None = None) -> StreamRestorer:
        """A restorer for one text in pieces; it counts in `account`. `form`: see `Surroundings`."""
        dates = self._shift.stream() if self._shift else None
        account = account or Account()
        return StreamRestorer(self._pattern, self._originals, self._as_they_were, form, account, dates)


def stood_in(texts: Iterable[str], originals: Mapping[str, str]) -> set[tuple[str, str]]:
    """(name, kind of layer) for each placeholder of a caller's masked texts: in the same place of an answer the value
    is put back as the caller had it, whether it was escaped or not."""
    pattern = variants(kinds_of(originals))
    found_in: set[tuple[str, str]] = set()
    for text in texts:
        around, done = Surroundings(), 0
        for found in pattern.finditer(text):
            if found.name in originals:
                around.read(text[done : found.at])
                found_in.update((found.name, layer.kind) for layer in around.layers())
                around.put()
                done = found.until
    return found_in


def _hold_from(pattern: Variants, text: str, start: int) -> int | None:
    """The first index from `start` on at which `text` may end with the beginning of a placeholder, or None."""
    begins = range(max(start, len(text) - LONGEST), len(text))
    return next((at for at in begins if pattern.may_begin(text, at)), None)


class StreamRestorer:
    """Restores one text piece by piece: `feed` each piece, then `flush`."""

    def __init__(
        self,
        pattern: Variants | None,
        originals: Mapping[str, str],
        as_they_were: frozenset[tuple[str, str]],
        form: str,
        account: Account,
        dates: DatesBack | None = None,
    ) -> None:
        self._pattern, self._dates = pattern, dates
        self._originals = originals
        self._as_they_were = as_they_were
        self._account = account
        self._counter = UnresolvedCounter(originals)
        self._around = Surroundings(form)
        self._unread: list[str] = []
        """What was passed on and is read when a value comes."""
        self._unread_length = 0
        self._before = ""
        """The last character passed on: the pattern looks one back."""
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be passed on after `piece`."""
        piece = self._dates.feed(piece) if self._dates else piece  # first: no original is moved
        return self._restored(piece, last=False) if self._pattern is not None else piece

    def flush(self) -> str:
        """The rest; nothing is held afterwards."""
        piece = self._dates.flush() if self._dates else ""
        if self._pattern is None:
            return piece
        rest = self._restored(piece, last=True)
        self._account.unresolved += self._counter.end()
        return rest

    def _restored(self, piece: str, *, last: bool) -> str:
        assert self._pattern is not None
        text, done = self._before + self._held + piece, len(self._before)
        parts: list[str] = []
        hold = None if last else _hold_from(self._pattern, text, done)
        for found in self._pattern.finditer(text, done):
            if hold is not None and found.at >= hold:
                break
            parts += [self._passed(text[done : found.at]), self._original(found)]
            done = found.until
            hold = _hold_from(self._pattern, text, done) if hold is not None and hold < done else hold
        until = len(text) if hold is None else hold
        parts.append(self._passed(text[done:until]))
        self._before, self._held = text[max(0, until - 1) : until], text[until:]
        return "".join(parts)

    def _original(self, found: Found) -> str:
        value = original_of(found, self._originals)
        if value is None:
            return self._passed(found.written)
        self._account.unresolved += self._counter.end()
        self._account.restored += 1
        self._read_on()
        if found.form:
            value = written_as(value, found.form)
        for layer in self._around.layers():
            if layer.kind != found.form and (found.name, layer.kind) not in self._as_they_were:
                value = layer.write(value)
        self._around.put()
        return value

    def _passed(self, text: str) -> str:
        if text:
            self._account.unresolved += self._counter.feed(text)
            self._unread.append(text)
            self._unread_length += len(text)
            if self._unread_length >= _READ_AT_ONCE:
                self._read_on(_READ_AT_ONCE)
        return text

    def _read_on(self, step: int = 0) -> None:
        """Read what was passed on, in whole steps when one is given: the same, however the answer was cut."""
        text = "".join(self._unread)
        until = len(text) // step * step if step else len(text)
        for at in range(0, until, _READ_AT_ONCE):
            self._around.read(text[at : min(at + _READ_AT_ONCE, until)])
        self._unread = [text[until:]] if until < len(text) else []
        self._unread_length = len(text) - until


class _HasRestorer(Protocol):
    def restorer(self) -> Restorer: ...


Key = tuple[int, str, int]
"""Choice index, field, tool-call index (-1 where there is none)."""


async def restore_chunks(
    vault: _HasRestorer,
    chunks: AsyncIterator[Chunk],
    *,
    json_content: bool = False,
    account: Account | None = None,
    tail_of_cut: bool = True,
) -> AsyncIterator[Chunk]:
    """The chunks with the originals of `vault` put back; the given chunks are not changed.

    `json_content`: the answer's text is JSON (`response_format`), so the originals are escaped. `account` is filled in
    while the answer streams. After an error of `chunks` the held tails are sent before it is raised;
    `tail_of_cut=False` drops them, so that a continuation does not begin in the middle of a placeholder.
    """
    answer = _Answer(vault.restorer(), json_content, account or Account())
    try:
        try:
            async for chunk in chunks:
                yield answer.restored(chunk)
        except Exception:
            if tail_of_cut and (tail := answer.tail()):
                yield tail
            raise
        if tail := answer.tail():
            yield tail
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


class _Answer:
    """The stream restorers of one answer: one for each choice, field and tool call."""

    def __init__(self, restorer: Restorer, json_content: bool, account: Account) -> None:
        self._restorer = restorer
        self._account = account
        self._forms = {"arguments": "json"} | ({"content": "json?"} if json_content else {})
        self._streams: dict[Key, StreamRestorer] = {}
        self._types: dict[Key, str] = {}
        """The types of pieces of reasoning."""
        self._last: Chunk = {}

    def restored(self, chunk: Chunk) -> Chunk:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return chunk
        self._last = chunk
        rest = {name: value if name in _HEAD else self._deep(value, "part") for name, value in chunk.items()}
        return {**rest, "choices": [self._choice(choice) for choice in choices]}

    def tail(self) -> Chunk | None:
        """One chunk with every text still held, or None."""
        deltas = {index: self._flushed(index, {}) for index in sorted({key[0] for key in self._streams})}
        choices = [{"index": i, "delta": delta, "finish_reason": None} for i, delta in deltas.items() if delta]
        kept = {key: value for key, value in self._last.items() if key in ("id", "object", "created", "model")}
        return {**kept, "choices": choices} if choices else None

    def _choice(self, choice: Any) -> Any:
        if not isinstance(choice, dict):
            return choice
        result = copy(choice)
        index = choice.get("index", 0)
        for field in ("delta", "message"):
            if isinstance(choice.get(field), dict):
                result[field] = self._delta(index, choice[field])
        if choice.get("finish_reason") is not None:
            field = "message" if isinstance(choice.get("message"), dict) else "delta"
            flushed = self._flushed(index, result.get(field) or {})
            if flushed or isinstance(choice.get(field), dict):
                result[field] = flushed
        return result

    def _delta(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        return {field: self._field(index, field, value) for field, value in delta.items()}

    def _field(self, index: int, field: str, value: Any) -> Any:
        if field in _TEXT_FIELDS and isinstance(value, str):
            return self._feed((index, field, -1), value)
        if field == "function_call" and isinstance(value, dict):
            return self._function(index, -1, value)
        if field == "tool_calls" and isinstance(value, list):
            return [self._call(index, place, call) for place, call in enumerate(value)]
        rule = wire().rule("message", field) or DEFAULT
        if rule == "@detail" and isinstance(value, list):
            return [self._detail(index, field, place, item) for place, item in enumerate(value)]
        return value if rule in _AS_THEY_ARE else self._deep(value, rule.removeprefix("@"))

    def _detail(self, index: int, field: str, place: int, detail: Any) -> Any:
        """A piece of reasoning. Its signature is of the words that the cloud wrote, and is passed on as it is."""
        if not isinstance(detail, dict):
            return self._deep(detail, "detail")
        given = detail.get("index")
        number = given if isinstance(given, int) else place
        result = self._deep({name: value for name, value in detail.items() if name not in _DETAIL_TEXTS}, "detail")
        for name in _DETAIL_TEXTS:
            if isinstance(detail.get(name), str):
                key = (index, f"{field}.{name}", number)
                self._types[key] = str(detail.get("type") or "reasoning.text")
                result[name] = self._feed(key, detail[name])
                if detail.get("signature"):
                    result[name] += self._streams[key].flush()
        return {name: result[name] for name in detail}

    def _deep(self, value: Any, within: str) -> Any:
        """Everything in it put back, except what the table of the wire calls an identifier or a signature."""
        if isinstance(value, str):
            return self._whole(value)
        if isinstance(value, list):
            return [self._deep(item, within) for item in value]
        if not isinstance(value, dict):
            return value
        rules = wire().objects.get(within, {})
        return {
            name if name in rules else self._whole(name): item
            if rules.get(name) in _AS_THEY_ARE
            else self._deep(item, rules.get(name, within).removeprefix("@"))
            for name, item in value.items()
        }

    def _whole(self, text: str) -> str:
        stream = self._restorer.stream(account=self._account)
        return stream.feed(text) + stream.flush()

    def _call(self, index: int, place: int, call: Any) -> Any:
        if not isinstance(call, dict):
            return call
        number = call.get("index", place)
        parts = [part for part in ("function", "custom") if isinstance(call.get(part), dict)]
        return {**call, **{part: self._function(index, number, call[part]) for part in parts}}

    def _function(self, index: int, number: int, function: dict[str, Any]) -> dict[str, Any]:
        """A piece of a called function. Clients take its name from the first piece: a placeholder that is whole there
        does not wait for what may follow."""
        result = dict(function)
        for field in ("name", *_JSON_FIELDS):
            if isinstance(function.get(field), str):
                key = (index, field, number)
                result[field] = self._feed(key, function[field])
                if field == "name" and _WHOLE_NAME.search(function[field]):
                    result[field] += self._streams[key].flush()
        return result

    def _feed(self, key: Key, piece: str) -> str:
        if key not in self._streams:
            self._streams[key] = self._restorer.stream(self._forms.get(key[1], ""), account=self._account)
        return self._streams[key].feed(piece)

    def _flushed(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        """`delta` with the held tails of one choice appended where they belong."""
        result = dict(delta)
        for (choice, field, number), stream in self._streams.items():
            if choice != index or not (tail := stream.flush()):
                continue
            if field in _TEXT_FIELDS:
                result[field] = (result.get(field) or "") + tail
            elif "." in field:
                self._add_detail(result, (choice, field, number), tail)
            elif number < 0:
                call = dict(result.get("function_call") or {})
                result["function_call"] = {**call, field: call.get(field, "") + tail}
            else:
                result["tool_calls"] = _with_tail(result.get("tool_calls") or [], number, field, tail)
        return result

    def _add_detail(self, delta: dict[str, Any], key: Key, tail: str) -> None:
        """Append the tail to the piece of reasoning it belongs to, or as one more piece."""
        (field, name), number = key[1].split("."), key[2]
        details = list(delta.get(field) or ())
        for place, detail in enumerate(details):
            if isinstance(detail, dict) and detail.get("index", place) == number and isinstance(detail.get(name), str):
                details[place] = {**detail, name: detail[name] + tail}
                break
        else:
            details.append({"type": self._types[key], name: tail, "index": number})
        delta[field] = details


def _with_tail(calls: list[Any], number: int, field: str, tail: str) -> list[Any]:
    part = "custom" if field == "input" else "function"
    result, found = [], False
    for place, call in enumerate(calls):
        if not found and isinstance(call, dict) and call.get("index", place) == number:
            function = dict(call.get(part) or {})
            call, found = {**call, part: {**function, field: function.get(field, "") + tail}}, True
        result.append(call)
    return result if found else [*result, {"index": number, part: {field: tail}}]
