"""Puts the originals back into an answer, whole or streamed in any pieces: the result is the same.

Only the shortest tail that could still become a placeholder is held back, or one whose place is not known yet, until
the `finish_reason` of its choice or the end of the stream. A value is escaped for the place where it is put
(`surroundings`), unless the caller had it there as it is. It is put only where a person reads it or a tool takes it,
not into an address, attribute or name of the cloud's making (`guard`), and no more of them than `Account.may_add`
allows. What stays a placeholder is counted.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import orjson

from netgpt.privacy.addresses import After, OwnAddresses, mark, plain_of, texts_of_callers, tools_with_maps
from netgpt.privacy.body import DEFAULT, Seen, TextPosition, wire
from netgpt.privacy.computing import DayShift
from netgpt.privacy.guard import Guard
from netgpt.privacy.kinds import kinds_of
from netgpt.privacy.surroundings import Surroundings
from netgpt.privacy.variants import (
    LONGEST,
    Found,
    UnresolvedCounter,
    Variants,
    original_of,
    replace_all,
    variants,
    written_as,
)
from netgpt.types import Chunk

_READ_AT_ONCE: Final = 4_096
"""Characters without a placeholder after which they are read for what is behind them."""
_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "refusal")
_JSON_FIELDS = ("arguments", "input")
_OF_CALLS = ("name", *_JSON_FIELDS)
_THOUGHTS, _WORDS, _CALLS = range(3)
"""The order in which models speak."""
_DETAIL_TEXTS = ("text", "summary", "thinking")
"""Texts of pieces of reasoning, which come in pieces themselves."""
_AS_THEY_ARE = frozenset(("id", "blob", "encrypted", "word", "number", "slug", "tokens"))
"""Rules of fields in which nothing is put back."""
_DEEPEST: Final = 100
_HEAD = frozenset(("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier", "choices"))


_SLICE: Final = 65_536
_FREE: Final = 262_144
_FACTOR: Final = 4
_MOST: Final = 100_000


@dataclass(slots=True)
class Account:
    """The counts of one answer: placeholders replaced by their originals, and those that stay."""

    restored: int = 0
    unresolved: int = 0
    withheld: int = 0
    """They stay because they stand in an address, an attribute or a name that the caller did not write."""
    beyond: int = 0
    """They stay because the answer would grow without bounds."""
    read: int = dataclasses.field(default=0, compare=False)
    added: int = dataclasses.field(default=0, compare=False)
    """Characters of the cloud, and of the originals."""

    def may_add(self, value: str) -> bool:
        """Whether there is room for a value: an answer of one placeholder must not become a thousand times as long."""
        room = _FREE + _FACTOR * self.read - self.added
        if self.beyond or len(value) > room or self.restored >= _MOST:
            self.beyond += 1
            return False
        self.added += len(value)
        self.restored += 1
        return True

    def as_dict(self) -> dict[str, int]:
        """The counts that are always there, and the reasons that there were."""
        kept = {"withheld": self.withheld, "beyond": self.beyond}
        return {"restored": self.restored, "unresolved": self.unresolved} | {k: n for k, n in kept.items() if n}


class Restorer:
    """Has the originals of one conversation; `repr` shows only their number."""

    def __init__(
        self,
        originals: Mapping[str, str],
        as_they_were: Collection[tuple[str, str]] = (),
        shift: DayShift | None = None,
        find_own: Callable[[], OwnAddresses] = OwnAddresses,
        *,
        is_large: bool = False,
    ) -> None:
        """`originals`: placeholder name without brackets -> private text. `as_they_were`: (name, kind of layer) of the
        values that stood there unescaped in the caller's own texts; see `stood_in`. `shift`: of the dates, if they left
        so. `find_own`: what the request says of addresses, called when an answer first needs it; that takes long where
        the request `is_large`."""
        self.originals, self.shift = dict(originals), shift
        self.as_they_were = frozenset(as_they_were)
        self.kinds = kinds_of(self.originals)
        self.pattern = variants(self.kinds) if self.originals else None
        self._find_own, self._is_large = find_own, is_large

    def __repr__(self) -> str:
        return f"<Restorer of {len(self.originals)} placeholders>"

    @cached_property
    def _own(self) -> OwnAddresses:
        return self._find_own()

    def own(self) -> OwnAddresses:
        """What the request says of addresses."""
        return self._own

    def may_take_long(self) -> bool:
        """Whether the next text may need what has to be found in a large request first."""
        return self._is_large and "_own" not in self.__dict__

    def marked(self, text: str) -> str:
        """`text` with marks in place of the placeholders."""
        marks = {name: mark(name, value) for name, value in self.originals.items()}
        return replace_all(self.pattern, text, marks) if self.pattern is not None else text

    def placeholders(self, text: str, at: int = 0, *, last: bool = True) -> list[tuple[Found, After]]:
        """All placeholders of a text, each with what follows it."""
        if self.pattern is None:
            return []
        found = list(self.pattern.finditer(text, at))
        known = [each for each in found if self.value(each) is not None]
        marks = [(each.at, each.until, mark(each.name, self.value(each) or "")) for each in known]
        number, result = 0, []
        for each in found:
            number += number < len(known) and known[number] is each
            after = After(text, each.until, marks, number, may_begin=self.pattern.may_begin, last=last)
            result.append((each, after))
        return result

    def text(self, text: str, *, as_json: bool = False) -> str:
        """`text` with every known placeholder replaced; unknown ones stay. `as_json`: text is JSON source."""
        stream = self.stream("json" if as_json else "")
        return stream.feed(text) + stream.flush()

    def stream(self, form: str = "", *, account: Account | None = None, tool: str | None = None) -> StreamRestorer:
        """A restorer for one text in pieces; it counts in `account`. `form`: see `Surroundings`. `tool`: the text is
        what this tool is called with."""
        return StreamRestorer(self, form, account or Account(), tool)

    def key(self, text: str, account: Account) -> str:
        """A name or key with the placeholders that it has in the request; another one stays as it is."""
        if self.pattern is None or not (found := [each for each in self.pattern.finditer(text) if self.value(each)]):
            return text
        if plain_of(self.marked(text))[0] not in self.own().keys:
            account.withheld += len(found)
            return text
        return replace_all(self.pattern, text, self.originals) if account.may_add(text) else text

    def value(self, found: Found) -> str | None:
        """The original, or None."""
        return original_of(found, self.originals)


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


def own_addresses(
    bodies: Iterable[Mapping[str, Any]], seen: Iterable[Seen], originals: Mapping[str, str]
) -> OwnAddresses:
    """What masked bodies say of addresses and names; `seen`: all their texts."""
    own, reader = OwnAddresses(), Restorer(originals)
    for body in bodies:
        own.maps.update(tools_with_maps(body.get("tools")))
        for text in texts_of_callers(body):
            own.learn(reader.marked(text))
    for item in dict.fromkeys(seen):
        if item.place in (TextPosition.KEY, TextPosition.NAME):
            own.keys.add(plain_of(marked := reader.marked(item.text))[0])
            own.names.update({item.text} if marked != item.text else ())
        else:
            guard, done = Guard("", lambda: own), 0
            for found, after in reader.placeholders(item.text):
                if (value := reader.value(found)) is not None:
                    guard.read(item.text[done : found.at], settle=True)
                    guard.note(found.name, value, after)
                    guard.put(found.name, value)
                    done = found.until
    return own


def _hold_from(pattern: Variants, text: str, start: int) -> int | None:
    """The first index from `start` on at which `text` may end with the beginning of a placeholder, or None."""
    begins = range(max(start, len(text) - LONGEST), len(text))
    return next((at for at in begins if pattern.may_begin(text, at)), None)


class StreamRestorer:
    """Restores one text piece by piece: `feed` each piece, then `flush`."""

    def __init__(self, restorer: Restorer, form: str, account: Account, tool: str | None = None) -> None:
        self._restorer, self._account = restorer, account
        self._pattern = restorer.pattern
        guarded = "call" if tool is not None and form == "json" else form
        self._dates = restorer.shift.stream(Guard(guarded, restorer.own, tool or "")) if restorer.shift else None
        self._counter = UnresolvedCounter(restorer.kinds)
        self._around = Surroundings(form)
        self.guard = Guard(guarded, restorer.own, tool or "")
        self._unread: list[str] = []
        """What was passed on and is read when a value comes."""
        self._unread_length = 0
        self._before = ""
        """The last character passed on: the pattern looks one back."""
        self._held = ""
        self.beside: StreamRestorer | None = None
        """Of a text that a program may show before this one, without anything between them."""

    def feed(self, piece: str) -> str:
        """What can be passed on after `piece`."""
        if len(piece) > _SLICE:  # one search in all of it would hold every thread
            return "".join(self.feed(piece[at : at + _SLICE]) for at in range(0, len(piece), _SLICE))
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
        for found, after in self._restorer.placeholders(text, done, last=last):
            if hold is not None and found.at >= hold:
                break
            parts.append(self._passed(text[done : found.at]))
            done = found.at
            if (shown := self._shown(found, after)) is None:
                hold = done
                break
            parts.append(shown)
            done = found.until
            hold = _hold_from(self._pattern, text, done) if hold is not None and hold < done else hold
        until = len(text) if hold is None else hold
        parts.append(self._passed(text[done:until]))
        self._before, self._held = text[max(0, until - 1) : until], text[until:]
        return "".join(parts)

    def _shown(self, found: Found, after: After) -> str | None:
        """What is shown in its place; None: more text must come to know."""
        value = self._restorer.value(found)
        if value is None:
            return self._passed(found.written)
        self._read_on(settle=True)
        may = self._may_put(found, value, after)
        if may is None:
            return None
        self._account.unresolved += self._counter.end()
        written = self._written(found, value) if may else ""
        if may and self._account.may_add(written):
            self._around.put()
            self.guard.put(found.name, value)
            return written
        if not may:
            self._account.withheld += 1
        self._account.read += len(found.written)
        self._unread.append(found.written)
        self._unread_length += len(found.written)
        return found.written

    def _may_put(self, found: Found, value: str, after: After) -> bool | None:
        if self._account.beyond:
            return True  # it is not asked where it stands any more
        may = self.guard.may_put(found.name, value, after)
        if self.beside is not None and may is not False:
            self.beside._read_on(settle=True)
            may = may if self.beside.guard.may_put(found.name, value, after) is not False else False
        return may

    def _written(self, found: Found, value: str) -> str:
        """The value as it must be written here."""
        if self._account.beyond:
            return value
        if found.form:
            value = written_as(value, found.form)
        for layer in self._around.layers():
            if layer.kind != found.form and (found.name, layer.kind) not in self._restorer.as_they_were:
                value = layer.write(value)
        return value

    def _passed(self, text: str) -> str:
        if text:
            self._account.read += len(text)
            self._account.unresolved += self._counter.feed(text)
            self._unread.append(text)
            self._unread_length += len(text)
            if self._unread_length >= _READ_AT_ONCE:
                self._read_on(_READ_AT_ONCE)
        return text

    def _read_on(self, step: int = 0, *, settle: bool = False) -> None:
        """Read what was passed on, in whole steps when one is given: the same, however the answer was cut."""
        text = "".join(self._unread)
        until = len(text) // step * step if step else len(text)
        for at in range(0, until, _READ_AT_ONCE):
            piece = text[at : min(at + _READ_AT_ONCE, until)]
            self._around.read(piece)
            self.guard.read(piece)
        if settle:
            self.guard.read("", settle=True)
        self._unread = [text[until:]] if until < len(text) else []
        self._unread_length = len(text) - until


class _HasRestorer(Protocol):
    def restorer(self) -> Restorer: ...


Key = tuple[str, int]
"""Field, tool-call index (-1 where there is none)."""


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
    restorer = vault.restorer()
    answer = _Answer(restorer, json_content, account or Account())
    try:
        try:
            async for chunk in chunks:
                # a large one is read in a thread: nobody else waits for it
                large = restorer.may_take_long() or len(orjson.dumps(chunk, default=str)) > _AT_ONCE
                yield await asyncio.to_thread(answer.restored, chunk) if large else answer.restored(chunk)
        except Exception:
            if tail_of_cut and (tail := await answer.its_tail()):
                yield tail
            raise
        if tail := await answer.its_tail():
            yield tail
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


_MANY: Final = 500
_AT_ONCE: Final = 8_192
"""Bytes of a chunk that are read at once."""


class _Name:
    """The name of a called tool, in pieces. Clients take it from the first: one that is whole there does not wait."""

    def __init__(self, restorer: Restorer, account: Account) -> None:
        self._restorer, self._account = restorer, account
        self._held = self.written = ""
        """As the cloud wrote it."""

    def feed(self, piece: str) -> str:
        self.written, text = self.written + piece, self._held + piece
        names = self._restorer.own().names if text != text.lower() else set[str]()
        known = self.written == text and text not in names and any(name.startswith(text) for name in names)
        self._held = text if known else ""
        return "" if known else self._restorer.key(text, self._account)

    def flush(self) -> str:
        text, self._held = self._held, ""
        return self._restorer.key(text, self._account)


class _Answer:
    """The stream restorers of one answer: for each choice one for each field and tool call."""

    def __init__(self, restorer: Restorer, json_content: bool, account: Account) -> None:
        self._restorer = restorer
        self._account = account
        self._forms = {"arguments": "json"} | ({"content": "json?"} if json_content else {})
        self._streams: dict[int, dict[Key, StreamRestorer | _Name]] = {}
        self._types: dict[tuple[int, Key], str] = {}
        """The types of pieces of reasoning."""
        self._latest: dict[tuple[int, str], StreamRestorer] = {}
        """Of the pieces of reasoning of one field, the text that was read last."""
        self._begun: dict[int, set[tuple[int, Any]]] = {}
        """What has begun in each choice: its thoughts' end (the words), and each call."""
        self._last: Chunk = {}

    def restored(self, chunk: Chunk) -> Chunk:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return chunk
        self._last = chunk
        rest = {name: value if name in _HEAD else self._deep(value, "part") for name, value in chunk.items()}
        return {**rest, "choices": [self._choice(choice) for choice in choices]}

    async def its_tail(self) -> Chunk | None:
        """As `tail`; that of very many texts in a thread."""
        many = sum(map(len, self._streams.values())) > _MANY
        return await asyncio.to_thread(self.tail) if many else self.tail()

    def tail(self) -> Chunk | None:
        """One chunk with every text still held, or None."""
        deltas = {index: self._flushed(index, {}) for index in sorted(self._streams)}
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
        """Where words or a call begin, what was held of thoughts and words before them comes first: other dialects
        give them one after the other, and what has ended cannot go on."""
        result = {field: self._field(index, field, value) for field, value in delta.items()}
        begin = {(_WORDS, 0)} if delta.get("content") or delta.get("refusal") else set[tuple[int, Any]]()
        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            begin.add((_CALLS, call.get("index", place) if isinstance(call, dict) else place))
        begun = self._begun.setdefault(index, set())
        if begin <= begun:
            return result
        begun |= begin
        return self._flushed(index, result, before=max(turn for turn, _ in begin))

    def _field(self, index: int, field: str, value: Any) -> Any:
        if field in _TEXT_FIELDS and isinstance(value, str):
            return self._stream(index, (field, -1)).feed(value)
        if field in _TEXT_FIELDS and isinstance(value, list):
            return [self._part(index, field, part) for part in value]
        if field == "function_call" and isinstance(value, dict):
            return self._function(index, -1, value)
        if field == "tool_calls" and isinstance(value, list):
            return [self._call(index, place, call) for place, call in enumerate(value)]
        rule = wire().rule("message", field) or DEFAULT
        if rule == "@detail" and isinstance(value, list):
            return [self._detail(index, field, place, item) for place, item in enumerate(value)]
        return value if rule in _AS_THEY_ARE else self._deep(value, rule.removeprefix("@"))

    def _part(self, index: int, field: str, part: Any) -> Any:
        """A part of content. Programs show the texts of all parts as one, so they are read as one."""
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            return self._deep(part, "part")
        stream = self._stream(index, (field, -1))
        rest = self._deep({name: value for name, value in part.items() if name != "text"}, "part")
        text = stream.feed(part["text"]) + stream.flush()
        return {**rest, "text": text}

    def _detail(self, index: int, field: str, place: int, detail: Any) -> Any:
        """A piece of reasoning. Its signature is of the words that the cloud wrote, and is passed on as it is."""
        if not isinstance(detail, dict):
            return self._deep(detail, "detail")
        given = detail.get("index")
        number = given if isinstance(given, int) else place
        result = self._deep({name: value for name, value in detail.items() if name not in _DETAIL_TEXTS}, "detail")
        for name in _DETAIL_TEXTS:
            if isinstance(detail.get(name), str):
                key = (f"{field}.{name}", number)
                self._types[index, key] = str(detail.get("type") or "reasoning.text")
                stream = self._stream(index, key)
                if isinstance(stream, StreamRestorer):
                    latest = self._latest.get((index, field))
                    stream.beside = latest if latest is not stream else stream.beside
                    self._latest[index, field] = stream
                result[name] = stream.feed(detail[name])
                if detail.get("signature"):
                    result[name] += stream.flush()
        return result

    def _deep(self, value: Any, within: str, depth: int = 0) -> Any:
        """Everything in it put back, except what the table of the wire calls an identifier or a signature."""
        if isinstance(value, str):
            stream = self._restorer.stream(account=self._account)
            return stream.feed(value) + stream.flush()
        if depth > _DEEPEST:
            return value
        if isinstance(value, list):
            return [self._deep(item, within, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        rules = wire().objects.get(within, {})
        return {
            name if name in rules else self._restorer.key(name, self._account): item
            if rules.get(name) in _AS_THEY_ARE
            else self._deep(item, rules.get(name, within).removeprefix("@"), depth + 1)
            for name, item in value.items()
        }

    def _call(self, index: int, place: int, call: Any) -> Any:
        if not isinstance(call, dict):
            return call
        number = call.get("index", place)
        parts = [part for part in ("function", "custom") if isinstance(call.get(part), dict)]
        return {**call, **{part: self._function(index, number, call[part]) for part in parts}}

    def _function(self, index: int, number: int, function: dict[str, Any]) -> dict[str, Any]:
        """A piece of a called function."""
        result = dict(function)
        for field in _OF_CALLS:
            if isinstance(function.get(field), str):
                result[field] = self._stream(index, (field, number)).feed(function[field])
        return result

    def _stream(self, index: int, key: Key) -> StreamRestorer | _Name:
        streams, (field, number) = self._streams.setdefault(index, {}), key
        if key not in streams:
            if field == "name":
                streams[key] = _Name(self._restorer, self._account)
            else:
                name = streams.get(("name", number))
                tool = None if field not in _JSON_FIELDS else name.written if isinstance(name, _Name) else ""
                form = self._forms.get(field, "")
                streams[key] = self._restorer.stream(form, account=self._account, tool=tool)
        return streams[key]

    def _flushed(self, index: int, delta: dict[str, Any], *, before: int = _CALLS + 1) -> dict[str, Any]:
        """`delta` with the held tails of one choice appended where they belong. `before`: of what usually comes
        earlier than words or calls alone."""
        result, calls = dict(delta), dict[int, dict[str, str]]()
        details: dict[str, dict[int, dict[str, str]]] = {}
        for (field, number), stream in self._streams.get(index, {}).items():
            turn = _WORDS if field in ("content", "refusal") else _CALLS if field in _OF_CALLS else _THOUGHTS
            if turn >= before or not (tail := stream.flush()):
                continue
            if field in _TEXT_FIELDS:
                result[field] = (result.get(field) or "") + tail
            elif "." in field:
                within, _, name = field.partition(".")
                details.setdefault(within, {}).setdefault(number, {})[name] = tail
            elif number < 0:
                call = dict(result.get("function_call") or {})
                result["function_call"] = {**call, field: call.get(field, "") + tail}
            else:
                calls.setdefault(number, {})[field] = tail
        if calls:
            result["tool_calls"] = _with_tails(result.get("tool_calls") or [], calls)
        for field, tails in details.items():
            result[field] = self._with_details(index, field, result.get(field) or (), tails)
        return result

    def _with_details(
        self, index: int, field: str, details: Sequence[Any], tails: dict[int, dict[str, str]]
    ) -> list[Any]:
        """The pieces of reasoning with the rests of their texts; what belongs to none is one more piece."""
        result = list(details)
        for place, detail in enumerate(details):
            left = tails.get(detail.get("index", place), {}) if isinstance(detail, dict) else {}
            for name in [name for name in left if isinstance(detail.get(name), str)]:
                result[place] = {**result[place], name: result[place][name] + left.pop(name)}
        for number, left in tails.items():
            kinds = {name: self._types[index, (f"{field}.{name}", number)] for name in left}
            result += [{"type": kinds[name], name: rest, "index": number} for name, rest in left.items()]
        return result


def _with_tails(calls: list[Any], tails: dict[int, dict[str, str]]) -> list[Any]:
    """The calls with the rests of their names, arguments and inputs."""
    result, left = [], dict(tails)
    for place, call in enumerate(calls):
        if isinstance(call, dict) and call.get("index", place) in left:
            call = _with_tail(call, left.pop(call.get("index", place)))
        result.append(call)
    return [*result, *(_with_tail({"index": number}, rests) for number, rests in left.items())]


def _with_tail(call: dict[str, Any], rests: Mapping[str, str]) -> dict[str, Any]:
    for field, rest in rests.items():
        part = "custom" if field == "input" or ("custom" in call and "function" not in call) else "function"
        function = dict(call.get(part) or {})
        call = {**call, part: {**function, field: function.get(field, "") + rest}}
    return call
