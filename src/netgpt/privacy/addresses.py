"""Says whether a value may be put where a placeholder stands, or would leave from there: `may_put`.

An address that the cloud wrote carries what is in it to a host of the cloud's choice, as soon as somebody's program
shows it as a picture or somebody clicks. So nothing is put back into one, unless its scheme, host and port stand in the
caller's own words (`OwnAddresses`), or the caller had this value at this very place. Addresses are read as browsers,
mail programs and shells read them, whatever they are disguised as.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from netgpt.privacy.kinds import word_set

_BEGIN, _END = "\ufdd0", "\ufdd1"
"""Around the name of a value within a text that is judged: no character of any text."""
LONGEST_ADDRESS: Final = 300
"""Characters behind a placeholder that may belong to an address, with marks for the placeholders among them."""
_AHEAD: Final = 600
"""Characters that are waited for, where they decide."""
CALLERS: Final = frozenset(("user", "system", "developer"))
"""Roles whose words are the caller's own; tools and earlier answers say what others wrote."""


def mark(name: str, value: str) -> str:
    """What stands for a value in a text that is judged; an address as it is."""
    return value if _is_address(value) else f"{_BEGIN}{name.lower()}{_END}"


def _is_address(value: str) -> bool:
    return ":" in value[:32] and re.fullmatch(r"[A-Za-z][\w+.\-]+://[^\s<>()\[\]\"'`\\]+", value) is not None


_CODED: Final = re.compile(r"\\(?:u\{?([0-9a-fA-F]{4,5})\}?|x([0-9a-fA-F]{2})|/)")
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")
_PLAIN: Final = re.compile(r"[^&%\\\x00-\x1f\x7f]*")


def plain_of(text: str) -> tuple[str, bool]:
    """Small letters without any disguise, and whether backslashes stood in it that programs read differently.

    >>> plain_of("HTTPS&colon;%2F%2fEvil.example\\\\?q")
    ('https://evil.example/?q', True)
    """
    if text.isascii() and _PLAIN.fullmatch(text):
        return text.lower(), False
    for _ in range(3):
        before = text
        text = html.unescape(text) if "&" in text else text
        text = unquote(text) if "%" in text else text
        text = _CODED.sub(lambda found: chr(int(found[1] or found[2] or "2f", 16)), text) if "\\" in text else text
        if text == before:
            break
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).lower()
    return text.replace("\\", "/"), "\\" in text


_HOST: Final = (
    rf"(?:(?:[a-z0-9\-_]{{1,63}}|{_BEGIN}\w+{_END})\.){{1,30}}[a-z]{{2,24}}|(?:\d{{1,3}}\.){{3}}\d{{1,3}}|localhost"
)
_START: Final = re.compile(
    r"(?<![a-z0-9])(?P<special>https?|ftp|wss?|javascript|vbscript|livescript|intent|data(?=:[a-z,;])):"
    r"|(?P<colon>:)//"
    rf"|(?<![\w:/.)\]{_END}-])(?P<rel>//)(?=[^\s/])"
    r"|(?=www\d{0,3}\.)"
)
_BARE_START: Final = re.compile(
    rf"(?<![\w.\-@/%{_END}])(?=(?:{_HOST})(?::\d{{1,5}})?[/?#])|(?<=\]\.)(?=(?:{_HOST})[/?#])|(?<=@)(?=(?:{_HOST}):(?![\d\s]))"
)
"""The beginning of an address, with a scheme and without: `host/`, `user@host:`."""
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.\-]{0,30}\Z")
_AUTHORITY: Final = re.compile(r"/*(?P<all>[^\s/?#<>\"|^`{}]*)")
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]*)(?::(\d{0,5}))?")
_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21", "ssh": "22"}
_TRAILING: Final = ".,;:!?'\")]}*_~"


@dataclass(frozen=True, slots=True)
class _Start:
    """The beginning of an address within a plain text."""

    at: int
    scheme: str
    authority: str
    ended: bool
    """Whether the authority is."""


def _starts(plain: str) -> list[_Start]:
    """All beginnings of addresses in their order."""
    result = []
    for found in _START.finditer(plain) if ":" in plain or "//" in plain or "www" in plain else ():
        scheme, at = found["special"] or "", found.start()
        if found["colon"]:
            begins = _SCHEME.search(plain, max(0, at - 31), at)
            scheme, at = (begins[0], begins.start()) if begins else ("?", at)
            if len(scheme) == 1 and scheme != "?":  # a drive
                continue
        if scheme != "file" or not plain.startswith("/", found.end()):
            result.append(_start(plain, at, scheme, found.end()))
    if "." in plain or "localhost" in plain:
        result += [_start(plain, found.start(), "", found.start()) for found in _BARE_START.finditer(plain)]
        result.sort(key=lambda each: each.at)
    return result


def _start(plain: str, at: int, scheme: str, until: int) -> _Start:
    authority = _AUTHORITY.match(plain, until)
    assert authority is not None
    return _Start(at, scheme, authority["all"], authority.end() < len(plain))


@dataclass(slots=True)
class OwnAddresses:
    """What a request says of addresses: by its caller's own words, and which values stood where."""

    origins: set[tuple[str, str, str]] = field(default_factory=set)
    """(scheme, host, port) of each address that the caller wrote."""
    hosts: set[tuple[str, str]] = field(default_factory=set)
    """(host, port) of each host that he named without a scheme; no port: any."""
    values: set[str] = field(default_factory=set)
    """Names of the values in his own words."""
    places: set[str] = field(default_factory=set)
    """The texts that ended where a value stood in the request, with its mark: whoever wrote them."""
    keys: set[str] = field(default_factory=set)
    """Its own names of tools, fields and keys, with marks."""
    names: set[str] = field(default_factory=set)
    """Those with placeholders, as they left."""
    maps: set[str] = field(default_factory=set)
    """Tools with parameters whose keys are data."""

    def __repr__(self) -> str:
        return f"<{len(self.origins)} origins>"

    def learn(self, text: str) -> None:
        """Words of the caller, with marks."""
        text = text.lower()
        self.values.update(re.findall(f"{_BEGIN}(\\w+){_END}", text))
        for start in _starts(text):
            host, port = _host_of(start.authority)
            if start.scheme and host:
                self.origins.add((start.scheme, host, port or _PORTS.get(start.scheme, "")))
        for found in re.finditer(rf"(?<![\w.\-@/])({_HOST})(?::(\d{{1,5}}))?(?![\w\-@])", text):
            self.hosts.add((found[1], found[2] or ""))

    def has(self, scheme: str, authority: str) -> bool:
        """Whether the caller named it."""
        host, port = _host_of(authority)
        if re.fullmatch(f"{_BEGIN}\\w+{_END}", host):
            return host[1:-1] in self.values
        if (host, port) in self.hosts or (host, "") in self.hosts:
            return scheme in ("", "http", "https", "ws", "wss")
        port = port or _PORTS.get(scheme, "")
        if scheme:
            return (scheme, host, port) in self.origins
        return any((each, host, _PORTS[each]) in self.origins for each in ("http", "https"))


def _host_of(authority: str) -> tuple[str, str]:
    """Host and port; an empty host where it is none."""
    found = _HOST_AND_PORT.fullmatch(authority.rpartition("@")[2].rstrip(_TRAILING))
    return (found[1].rstrip("."), found[2] or "") if found else ("", "")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a placeholder stands: behind `text`. `strict`: all of `text` is one address or attribute, whose name is
    `attribute`; else it is what stands before it without a blank. `past`: what was in it before `text`."""

    text: str
    strict: bool = False
    attribute: str = ""
    past: bool | None = None
    """None: nothing; True: an address of the caller; False: another's."""
    quotes: str = ""
    """What ends a strict one, beside brackets and blanks."""

    def read(self) -> tuple[str, bool, list[_Start], str]:
        """Its plain text, whether that is bent, the addresses in it, and the same key for the same place elsewhere."""
        plain, bent = plain_of(self.text if self.strict else _opened(self.text))
        starts = _starts(plain)
        key = plain[starts[0].at :] if starts else f"{self.attribute}={plain.strip()}" if self.strict else ""
        return plain, bent, starts, key


_CLOSED: Final = re.compile(r"(?<!\\)([\"'`])[^\"'`\\]*\1(?=[,}\]):;>/])|\\([\"'])[^\\\"'`]*\\\2(?=[,}\]):;\\])")


def _opened(plain: str) -> str:
    """Without what stands in quotes that are closed, in JSON or code."""
    return _CLOSED.sub(" ", plain) if '"' in plain or "'" in plain or "`" in plain else plain


class After:
    """What follows a placeholder, as far as it is known and as far as it may decide."""

    def __init__(
        self,
        text: str,
        at: int,
        marks: Sequence[tuple[int, int, str]] = (),
        first: int = 0,
        *,
        may_begin: Callable[[str, int], bool] = lambda text, at: False,
        last: bool = True,
    ) -> None:
        """`marks`: (start, end, mark) of the placeholders of `text`, from the number `first` on they follow.
        `may_begin`: whether another may begin somewhere, with more text. `last`: no more follows."""
        self._text, self._at, self._marks, self._first = text, at, marks, first
        self._may_begin = may_begin
        self._ends = min(len(text), at + _AHEAD)
        self.is_last = last and self._ends == len(text)

    def next(self) -> str:
        """The next character; empty: none is known."""
        return self._text[self._at : self._at + 1]

    def until(self, letters: re.Pattern[str]) -> str | None:
        """What follows in these letters, with marks; None: more must come. A NUL: too long."""
        parts, at, number, size = [], self._at, self._first, 0
        while True:
            begins, ends, sign = self._marks[number] if number < len(self._marks) else (self._ends, 0, "")
            found = letters.match(self._text, at, min(begins, self._ends))
            assert found is not None
            parts.append(found[0])
            at, size = found.end(), size + len(found[0]) + len(sign)
            if size > LONGEST_ADDRESS:
                return "\0"
            if at != begins or not sign or at >= self._ends:
                break
            parts.append(sign)
            at, number = ends, number + 1
        if not self.is_last and (at >= self._ends or self._may_begin(self._text, at)):
            return None if self._ends < self._at + _AHEAD else "\0"
        return "".join(parts)

    def until_quote(self) -> str | None:
        """What follows up to a quote, with marks; None: more must come."""
        quote = self._text.find('"', self._at, self._ends)
        if quote < 0 and not self.is_last and self._ends < self._at + _AHEAD:
            return None
        parts, done, until = [], self._at, self._ends if quote < 0 else quote
        for begins, ends, sign in self._marks[self._first : self._first + _AHEAD // 4]:
            if begins < until:
                parts += [self._text[done:begins], sign]
                done = ends
        return "".join([*parts, self._text[done:until]])


_AUTHORITY_GOES_ON: Final = re.compile(r"[^\s/?#<>\"|^`{}]*")
_LETTER_GOES_ON: Final = re.compile(r"[^\s)\"'<>`|\\]*")
_HOST_GOES_ON: Final = re.compile(r"(?:(?![\u0e00-\ufaff])[\w.\-~%+:@])*")
_GOES_ON: Final = {quotes: re.compile(rf"[^\s)>{quotes}]*") for quotes in ("", "\"'`", '"', "'")}


def state_of(text: str, own: OwnAddresses) -> bool | None:
    """What the beginning of a long address holds: none (None), those of the caller alone (True), or another's."""
    plain, bent = plain_of(_opened(text))
    starts = _starts(plain)
    if not starts:
        return False if _MAIL.search(plain) else None
    return not bent and all(own.has(each.scheme, each.authority) for each in starts)


def may_put(place: Standing, name: str, value: str, after: After, own: Callable[[], OwnAddresses]) -> bool | None:
    """Whether a value may stand here; None: what follows decides."""
    if place.past is False:
        return False
    here, (plain, bent, starts, key) = mark(name, value), place.read()
    if starts and not starts[-1].ended:
        return _in_authority(place, starts, here, after, own, bent=bent)
    if key and key + here in own().places:
        return True
    if starts or place.past:
        # in an attribute or link, the address begins it
        begins = not place.strict or not starts or not plain[: starts[0].at].strip(" \"'<(")
        return begins and not bent and all(own().has(each.scheme, each.authority) for each in starts)
    if (mail := _MAIL.search(plain)) is not None:
        goes_on = _GOES_ON[place.quotes] if place.strict else _LETTER_GOES_ON
        return _in_mail(mail["rest"], here, after.until(goes_on), own)
    if place.strict:
        return not plain.strip(" \"'<(") and _is_whole(place, value, after)
    return _beside_host(plain, here, after, own)


def _in_authority(
    place: Standing, starts: list[_Start], here: str, after: After, own: Callable[[], OwnAddresses], *, bent: bool
) -> bool | None:
    """In the host, or before it: the whole of it decides."""
    if not all(own().has(each.scheme, each.authority) for each in starts[:-1]):
        return False
    rest = after.until(_AUTHORITY_GOES_ON)
    if rest is None:
        return None
    start = starts[-1]
    so_far, _ = plain_of(start.authority + here + rest)
    if "\0" in rest or "\\" in rest:
        return False
    stood = f"{start.scheme}://{so_far.rstrip(_TRAILING)}" in own().places
    alone = _host_of(so_far)[0] == here and not bent
    if place.strict and plain_of(place.text)[0][: start.at].strip(" \"'<("):
        return False
    return stood or alone or (not bent and own().has(start.scheme, so_far))


_MAIL: Final = re.compile(r"(?<![\w])(?:mailto|tel|sms|callto|facetime):(?://)?(?P<rest>.*)", re.DOTALL)
_MARK: Final = f"{_BEGIN}\\w+{_END}"
_LETTER: Final = re.compile(rf"({_MARK}(?:[,;]{_MARK})*)(?:\?(.*))?", re.DOTALL)


def _in_mail(left: str, here: str, rest: str | None, own: Callable[[], OwnAddresses]) -> bool | None:
    """In an address to write to or to call: only to the caller's own people, and with no copy to others."""
    if rest is None:
        return None
    whole, _ = plain_of(left + here + rest.rstrip(_TRAILING))
    found = _LETTER.fullmatch(whole)
    if found is None or "\0" in rest:
        return False
    to = re.findall(f"{_BEGIN}(\\w+){_END}", found[1])
    is_alone = len(to) == 1 and not re.search(_MARK, found[2] or "")
    known = is_alone or own().values.issuperset(to)
    for part in re.split("[&;]", found[2] or ""):
        key, _, given = part.partition("=")
        copy = re.sub(rf"{_MARK}|[,;\s]", "", given)
        if key not in ("", "subject", "body") and (key not in ("to", "cc", "bcc") or copy or not known):
            return False
    return known


def _is_whole(place: Standing, value: str, after: After) -> bool | None:
    """Whether the value alone is the destination; an address of the caller may go on behind its host."""
    rest = after.until(_GOES_ON[place.quotes])
    if rest is None:
        return None
    is_address = _is_address(value)
    if place.attribute:  # only an address may be all of an attribute
        return is_address and not rest
    ended = re.match(r"[a-z]\w*://[^/?#]+[/?#]", value.lower()) is not None
    return not rest.rstrip(_TRAILING) or (is_address and "\0" not in rest and (ended or rest[0] in "/?#"))


_FILES: Final = word_set("gz bz2 xz js ts json txt html css pdf docx xlsx csv log yaml yml conf svc local")
"""What ends names that are no hosts of the net."""


def _beside_host(plain: str, here: str, after: After, own: Callable[[], OwnAddresses]) -> bool | None:
    """Before a dot or "@" and a host: `VALUE.evil.example` is looked up by many a program."""
    if after.next() in _NO_HOST:
        return True
    rest = after.until(_HOST_GOES_ON)
    if rest is None:
        return None
    _, at, host = rest.rpartition("@")
    glued = (host if at else rest).partition(":")[0].rstrip(_TRAILING).lower()
    labels = glued.split(".")
    is_host = len(labels) >= (2 if at else 3) and re.fullmatch("[a-z]{2,24}", labels[-1]) and all(labels[1:])
    if not is_host or "\0" in rest or labels[-1] in _FILES or (at and own().has("", host)):
        return True
    return _hosts_around(plain, here, rest) in own().places


_NO_HOST: Final = frozenset(" \t\n\r,;!?)'\"*|/=]}>")


def _hosts_around(plain: str, here: str, rest: str) -> str:
    """What could be a host, with a value within it."""
    found = re.match(rf"[\w.\-~%+:@{_BEGIN}{_END}]*", plain[::-1])
    return (found[0][::-1] if found else "") + here + plain_of(rest)[0].rstrip(_TRAILING)


def note_place(place: Standing, name: str, value: str, after: After, own: OwnAddresses) -> None:
    """A value stands here in a request: where all is the same in an answer, it may stand again."""
    here, (plain, _, starts, key) = mark(name, value), place.read()
    if starts and not starts[-1].ended:
        rest = plain_of(after.until(_AUTHORITY_GOES_ON) or "")[0]
        own.places.add(f"{starts[-1].scheme}://{(starts[-1].authority + here + rest).rstrip(_TRAILING)}")
    elif key:
        own.places.add(key + here)
    elif not place.strict:
        own.places.add(_hosts_around(plain, here, after.until(_HOST_GOES_ON) or ""))


def texts_of_callers(body: Mapping[str, Any]) -> Iterator[str]:
    """The words of the caller in a body: messages of people and of the application, not of tools or models."""
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict) or message.get("role") not in CALLERS:
            continue
        content = message.get("content")
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str):
                yield text
    yield from (text for field in ("system", "instructions") if isinstance(text := body.get(field), str))


def tools_with_maps(tools: object) -> Iterator[str]:
    """Names of tools that take objects whose keys are data."""
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            schema = function.get("parameters") or function.get("input_schema")
            if any(_has_map(schema, 0)):
                yield function["name"]


def _has_map(schema: object, depth: int) -> Iterable[bool]:
    if isinstance(schema, dict) and depth < 30:
        yield bool(schema.get("additionalProperties") or schema.get("patternProperties"))
        for inner in schema.values():
            yield from _has_map(inner, depth + 1)
    elif isinstance(schema, list) and depth < 30:
        for inner in schema:
            yield from _has_map(inner, depth + 1)
