"""Puts the originals back into an answer, whole or streamed in any pieces: the result is the same.

Only the shortest tail that could still become a placeholder is held back, until the `finish_reason` of its choice or
the end of the stream. A value is escaped for the place where it is put (`surroundings`), unless the caller had it there
as it is. What looks like a placeholder but cannot be resolved (the model changed or invented it) stays as it is and is
counted (`Account`).

Models write placeholders in any brackets, in another language, escaped, wide, with signs inside. `variants` finds every
way that is certain. What a caller writes in such a way is hidden as his own (`lookalikes`), so that restoring is exact.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any, Final, Protocol

import regex

from netgpt.privacy.body import DEFAULT, wire
from netgpt.privacy.computing import DatesBack, DayShift
from netgpt.privacy.escapes import in_json, in_text_of_markup, in_url
from netgpt.privacy.kinds import CLOSING, OPENING, kinds_of, known_kinds
from netgpt.privacy.surroundings import Surroundings
from netgpt.types import Chunk

LONGEST: Final = 96
"""Characters of a placeholder, however it is written."""
_UNSEEN: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_REMOVED: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\\"))
_FILL: Final = rf"[ \t*_`~\\{_UNSEEN}]{{0,4}}"
"""Markdown and blanks that a model may put between bracket and name."""
_UNDERSCORE: Final = r"(?:[_＿ \-]|(?i:%5F|%20|&#95;|&lowbar;))"
_WORD: Final = rf"(?:\p{{L}}|\p{{M}}|[{_UNSEEN}'])"
_BRACKETS: Final = (
    ("", r"\\{1,2}\[", r"\\{1,2}\]"),
    ("", rf"[{re.escape(OPENING)}]", rf"[{re.escape(CLOSING)}]"),
    ("", r"\{\{", r"\}\}"),
    ("url", r"(?i:%5B|%3C)", r"(?i:%5D|%3E)"),
    ("markup", r"(?i:&#91;|&#x5b;|&lsqb;|&lbrack;|&lt;|&#60;)", r"(?i:&#93;|&#x5d;|&rsqb;|&rbrack;|&gt;|&#62;)"),
    ("json", r"\\u00(?:5[bB]|3[cC])", r"\\u00(?:5[dD]|3[eE])"),
)
"""(how a value must be escaped that was written so, what opens, what closes)."""
_INSIDE: Final = (
    rf"{_FILL}(?P<k>{_WORD}{{1,32}}?(?:\\{{0,2}}{_UNDERSCORE}{_WORD}{{2,24}}?){{0,3}})"
    rf"(?P<m>[{_UNSEEN}]?\\{{0,2}}(?:{_UNDERSCORE}|[:#]| #)?[{_UNSEEN}]?)(?P<n>\p{{Nd}}{{1,6}})(?!\p{{Nd}})"
    rf"(?P<v>[A-Za-z]?)(?P<s>['’]s)?{_FILL}"
)
_ENDINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "": str,
    "url": partial(in_url, safe="-._~@:"),
    "markup": in_text_of_markup,
    "json": in_json,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A placeholder in a text: `name` is the canonical one, `[**Api key_1**]` -> `API_KEY_1`."""

    at: int
    until: int
    written: str
    name: str
    ending: str = ""
    """The genitive that stood within the brackets."""
    form: str = ""

    def start(self) -> int:
        return self.at

    def end(self) -> int:
        return self.until


@lru_cache(maxsize=1)
def translations() -> tuple[Mapping[str, str], frozenset[str]]:
    """Kind by word of another language, and the words that count only with an underscore."""
    data = tomllib.loads(files("netgpt.privacy").joinpath("kind_words.toml").read_text("utf-8"))
    tables = [
        {word.upper(): kind for kind, words in table.items() for word in words.split()} for table in data.values()
    ]
    return {**tables[1], **tables[0]}, frozenset(tables[1])


def plain_word(written: str) -> str:
    """A kind as it is compared: capitals, no signs that cannot be seen, "_" between words."""
    word = written if written.isascii() else unicodedata.normalize("NFKC", written)
    word = re.sub(r"(?i)%5F|%20|&#95;|&lowbar;", "_", word.translate(_REMOVED))
    return re.sub(r"[_ \-]+", "_", word).upper()


class Variants:
    """Finds the placeholders of some kinds."""

    def __init__(self, kinds: frozenset[str], *, glued: bool = False) -> None:
        """`glued`: one without brackets counts next to letters, too."""
        words, self._weak = translations()
        self._kinds = {word: kind for word, kind in words.items() if kind in kinds} | {kind: kind for kind in kinds}
        self._kinds |= {f"{kind}S": kind for kind in kinds if not kind.endswith("S") and f"{kind}S" not in self._kinds}
        self._begin = frozenset(word[:length] for word in self._kinds for length in range(len(word) + 1))
        named = "|".join(
            r"\\{0,2}_".join(kind.split("_")) for kind in sorted(kinds, key=lambda each: (-len(each), each))
        )
        inside = [f"{opens}{_INSIDE}{closes}" for _, opens, closes in _BRACKETS]
        bare = rf"(?P<k>{named})\\{{0,2}}_(?P<n>[0-9]{{1,6}})(?P<v>[b-k]?)"
        if glued:
            self._pattern = regex.compile("|".join([*inside, bare]))
        else:
            self._pattern = regex.compile("|".join([*inside, rf"(?<![A-Za-z0-9]){bare}(?![A-Za-z0-9])"]))
        opening = "|".join(opens for _, opens, _ in _BRACKETS)
        so_far = rf"(?P<k>(?:{_WORD}|{_UNDERSCORE}|\\)*)(?P<rest>.*)"
        self._opened = regex.compile(rf"(?:{opening}){_FILL}{so_far}", regex.DOTALL)

    def finditer(self, text: str, at: int = 0) -> Iterator[Found]:
        """From `at` on, those that do not overlap, the first first."""
        while (match := self._pattern.search(text, at)) is not None:
            found = self._certain(match)
            if found is not None:
                yield found
            at = found.until if found is not None else match.start() + 1

    def may_begin(self, text: str, at: int) -> bool:
        """Whether more text could make what begins at `at` a placeholder, or a longer one."""
        if not (text[at].isupper() or text[at] in _FIRST or text[at] in OPENING):
            return False
        match = self._pattern.fullmatch(text, at, partial=True)
        if match is None or not (match.partial or match["m"] is None):
            return False
        opened = self._opened.fullmatch(text, at)
        if opened is None:
            return True
        word = plain_word(opened["k"]).strip("_'")
        return word in self._kinds if opened["rest"] else any(each in self._begin for each in (word, word + "_"))

    def _certain(self, match: Any) -> Found | None:
        """What was found, where nothing else can be meant."""
        written, number = str(match[0]), int(match["n"])
        word = plain_word(match["k"])
        kind = self._kinds.get(word)
        if kind is None or len(written) > LONGEST:
            return None
        name = f"{kind}_{number}{match['v'].lower()}"
        if match["m"] is None:
            return Found(match.start(), match.end(), written, name)
        mark = match["m"].translate(_REMOVED)
        is_capital = not any(c.islower() for c in match["k"])
        before = match.string[match.start() - 1] if match.start() else ""
        in_index = before in ")]_" or (before.isascii() and before.isalnum()) if before else False
        if (not mark or mark.strip(" ") in (":", "#") or in_index) and not is_capital:
            return None
        if not mark and in_index:
            return None
        if word in self._weak and mark in ("", " "):
            return None
        form = next(form for form, opens, _ in _BRACKETS if regex.match(opens, written))
        return Found(match.start(), match.end(), written, name, match["s"] or "", form)


_FIRST: Final = "\\{%&"


@lru_cache(maxsize=256)
def variants(kinds: frozenset[str]) -> Variants:
    """Finds every accepted way in which a model writes a placeholder of these kinds.

    In brackets: in any case, in another language, with markdown or a genitive inside, wide, escaped for an address or
    for markup. Without brackets: in capitals, with its underscore. `[PERSON_1]` is never found inside `[PERSON_12]`,
    nor an index of an array, `person[1]`.
    """
    return Variants(kinds)


@lru_cache(maxsize=256)
def lookalikes(kinds: frozenset[str]) -> Variants:
    """As `variants`, and one without brackets also next to letters: once these are hidden, it would stand apart."""
    return Variants(kinds, glued=True)


def read(found: Found) -> str:
    """The canonical name."""
    return found.name


def original_of(found: Found, originals: Mapping[str, str]) -> str | None:
    """The original, with the ending that the model gave it; None where it is not certain."""
    value, ending = originals.get(found.name), found.ending
    if value is None and found.name.endswith("s"):  # "[PERSON_1s]": the plural, or another language's genitive
        value, ending = originals.get(found.name[:-1]), "s"
    return None if value is None else value + ending


def written_as(value: str, form: str) -> str:
    """The value escaped as its placeholder was: `%5BPERSON_1%5D` stood in an address."""
    return _ENDINGS[form](value)


def replace_all(pattern: Variants, text: str, originals: Mapping[str, str]) -> str:
    """`text` with every known placeholder replaced, the values as they are."""
    pieces, done = [], 0
    for found in pattern.finditer(text):
        value = original_of(found, originals)
        if value is not None:
            pieces += [text[done : found.at], value]
            done = found.until
    return "".join([*pieces, text[done:]])


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
