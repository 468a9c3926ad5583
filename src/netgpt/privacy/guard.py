"""Reads an answer as far as a placeholder and says whether its value may be put there: `Guard.may_put`.

It knows what somebody's program would make of the text: an address without blanks, the destination of a Markdown link,
`url()` of a style sheet, a tag with its attributes, a string or key of JSON. What is doubtful counts as an address.
`addresses` judges the place that was found. The same reader notes where values stand in a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from netgpt.privacy.addresses import After, OwnAddresses, Standing, mark, may_put, note_place, plain_of, state_of
from netgpt.privacy.kinds import word_set

_KEPT: Final = 2_048
"""Characters kept of what has no blank, of a line, a destination, a value of an attribute."""
_OVERLAP: Final = 300
_BLANK: Final = " \t\n\r\f\v"
_BLANKS: Final = re.compile(f"[{_BLANK}]")
_READ_BY_PEOPLE: Final = word_set("alt title label placeholder summary aria-label aria-description aria-placeholder")
_ADDRESSES: Final = re.compile(
    r"(?:.*:)?(?:href|src|srcset|imagesrcset|action|formaction|poster|cite|data|background|ping|manifest|style"
    r"|is|code|codebase|archive|longdesc|profile|usemap|srcdoc|from|to|by|values|content|icon|lowsrc|dynsrc|on.*|xmlns.*)"
    r"|(?:data|hx|v|x|ng|up|wire)-.*|[@:*#(\[].*"
)
"""Attributes that may act in a tag of any name."""
_ACTIVE: Final = word_set(
    """a abbr address animate animatemotion animatetransform applet area article aside audio b base bdi bdo bgsound big
    blink blockquote body br button canvas caption center circle cite code col colgroup data datalist dd defs del desc
    details dfn dialog dir div dl dt ellipse em embed feimage fieldset figcaption figure filter font footer
    foreignobject form frame frameset g h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe image img input ins
    isindex kbd keygen label legend li line lineargradient link listing main map mark marker marquee mask math menu
    menuitem meta meter mglyph mpath nav nobr noembed noframes noscript object ol optgroup option output p param path
    pattern picture plaintext polygon polyline portal pre progress q radialgradient rect rp rt ruby s samp script
    search section select set slot small source span stop strike strong style sub summary sup svg switch symbol table
    tbody td template text textarea textpath tfoot th thead time title tr track tspan tt u ul use var video view wbr
    xmp"""
)
"""Tags of HTML, SVG and MathML: what is in their attributes is for programs. In others it is data."""
_CONTROLS: Final = word_set("button data form input li meta meter option param progress select textarea")
"""Those whose values are sent, or followed."""


class _Tag:
    """A tag that is open, read as browsers read it."""

    def __init__(self, *, in_data: bool) -> None:
        """`in_data`: a document of tags of its own."""
        self.name = self.attribute = self.value = ""
        self._in_data = in_data
        self._state, self._quote = "name", ""
        self._has_value = False

    def read(self, text: str) -> int:
        """Where behind it the tag is closed; -1: it goes on."""
        at = 0
        while at < len(text):
            if self._state == "name":
                found = _TAG_NAME.match(text, at)
                self.name = (self.name + found[0]).lower()[:64]
            elif self._state == "value":
                end: int = text.find(self._quote, at) if self._quote else _UNQUOTED.match(text, at).end()
                end = len(text) if end < 0 else end
                self.value = (self.value + text[at:end])[-_KEPT:]
                if end == len(text):
                    return -1
                at, self._state = end + len(self._quote), "between"
                continue
            elif self._state == "attribute":
                found = _ATTRIBUTE.match(text, at)
                self.attribute = (self.attribute + found[0]).lower()[:200]
            else:
                found = (_BETWEEN if self._state == "between" else _SPACE).match(text, at)
            at = int(found.end())
            if at < len(text):
                if text[at] == ">":
                    return at + 1
                at = self._turn(text, at)
        return -1

    def _turn(self, text: str, at: int) -> int:
        """Into the next state, by the character that ended the last: from where it is read."""
        letter = text[at]
        if self._state == "name":
            self._state = "between"
        elif self._state == "attribute":
            self._state = "named"
        elif self._state == "named" and letter == "=":
            self._state, self.value, self._has_value = "before", "", True
            return at + 1
        elif self._state == "before":
            self._state, self._quote = "value", letter if letter in "\"'" else ""
            return at + len(self._quote)
        else:
            self._state, self.attribute = "attribute", letter.lower()
            return at + 1
        return at

    def put(self, text: str) -> None:
        """What is put in and holds no sign of markup."""
        if self._state == "before":
            self._state, self._quote = "value", ""
        if self._state == "value":
            self.value = (self.value + text)[-_KEPT:]

    def is_data(self) -> bool:
        """Whether no program knows a tag of this name."""
        return bool(self.name) and self.name not in _ACTIVE and "-" not in self.name

    def place(self) -> Standing | None:
        """An attribute's value that is for programs; None: what stands here is text or data."""
        is_active = not self.is_data() and not (self._in_data and self.name not in _CONTROLS)
        if self._state not in ("value", "before"):
            return Standing("", True, "?") if is_active and self._has_value else None
        if self.attribute in _READ_BY_PEOPLE:
            return None
        if not is_active and not _ADDRESSES.fullmatch(self.attribute):
            return None
        value = self.value if self._state == "value" else ""
        return Standing(value, True, self.attribute, quotes=self._quote or "\"'`")


_TAG_NAME: Final[Any] = re.compile(r"[^\s/>]*")
_ATTRIBUTE: Final[Any] = re.compile(r"[^\s/>=]*")
_BETWEEN: Final[Any] = re.compile(r"[\s/]*")
_SPACE: Final[Any] = re.compile(r"\s*")
_UNQUOTED: Final[Any] = re.compile(r"[^\s>]*")


class _Destination:
    """What stands behind `](`, `url(` or `<https:` until it is closed."""

    def __init__(self, closes: str, *, is_link: bool = False) -> None:
        self._closes, self.is_link = closes, is_link
        """Whether what is before it is certainly the text of a link."""
        self.text = ""
        self._depth = 1
        self.is_lost = False

    def read(self, text: str) -> int:
        """Where behind it this is closed; -1: it goes on."""
        for found in _OF_A_DESTINATION.finditer(text):
            letter = found[0]
            in_angles = self._closes == ">" or self._is_angled(text, found.start())
            if letter[0] == "\n" and (len(letter) > 1 or self._closes == ">"):
                return self._end(text, found.start())
            if letter == ">" and self._closes == ">":
                return self._end(text, found.end())
            if not in_angles and letter in "()":
                self._depth += 1 if letter == "(" else -1
                if not self._depth:
                    return self._end(text, found.end())
        self._take(text)
        return -1

    def _is_angled(self, text: str, at: int) -> bool:
        so_far = (self.text[:80] + text[:at]).lstrip(_BLANK)
        return so_far[:1] == "<" and ">" not in so_far

    def _end(self, text: str, at: int) -> int:
        self._take(text[:at])
        return at

    def _take(self, text: str) -> None:
        self.text += text
        if len(self.text) > _KEPT:
            self.text, self.is_lost = self.text[:80] + self.text[-_OVERLAP:], True

    def put(self, text: str) -> None:
        self._take(text)

    def place(self) -> Standing:
        return Standing(self.text, True, past=False if self.is_lost else None)


_OF_A_DESTINATION: Final = re.compile(r"\\[()<>\\]|[()>]|\n[ \t]*\n|\n")
_NEXT: Final = re.compile(
    r"\](?=\()|(?<![A-Za-z])[uU][rR][lL](?=\()|<(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]{1,30}:(?=[/\\&%]|[a-z]+[:;,@(]))?"
    r"(?=[A-Za-z/!])"
)
_UNFINISHED: Final = re.compile(r"(?:\]|[uU][rR]?[lL]?|<[^\s>]{0,40})\Z")
"""The end of a piece that may become the beginning of something."""
_TEXT_OF_LINK: Final = re.compile(r"[^\]`\\<]*")
_DEFINITION: Final = re.compile(r"[ >*\-]*\[[^\]\n]{1,300}\]:[ \t]*\n?[ \t]*(\S+)\Z")
_QUOTED: Final = re.compile(r"[(=]\s?([\"'`])(?=[A-Za-z][\w+.\-]{1,20}:[/\\]|//|\\)(?:(?!\1)[^\n]){0,480}\Z")
_QUOTE: Final = 512
"""Characters of a quoted address in which blanks end nothing."""


class _Scan:
    """Reads prose, Markdown, markup or code. `address`: a field for an address, where blanks end nothing; `marked_up`:
    a page or chat program may read it."""

    def __init__(self, own: Callable[[], OwnAddresses], *, address: bool = False, marked_up: bool = True) -> None:
        self._own, self._address, self._marked_up = own, address, marked_up
        self._run = ""
        """Since the last blank."""
        self._past: bool | None = None
        """What was in it before that."""
        self._before_link: tuple[str, bool | None] | None = None
        """What of it stands before a link that ends here."""
        self._line = ""
        self._tag: _Tag | None = None
        self._destination: _Destination | None = None
        self._in_data = False
        self._carried = ""

    def read(self, text: str, *, settle: bool = False) -> None:
        """The next piece. `settle`: something is put behind it."""
        text, self._carried = self._carried + text, ""
        if not settle and (found := _UNFINISHED.search(text, max(0, len(text) - 45))) is not None:
            text, self._carried = text[: found.start()], found[0]
        at = 0
        while at < len(text):
            if self._destination is not None:
                end = self._destination.read(text[at:])
                self._flow(text[at:] if end < 0 else text[at : at + end])
                at = len(text) if end < 0 else at + end
                if end >= 0:
                    self._close()
                continue
            found = _NEXT.search(text, at)
            end = found.start() if found is not None else len(text)
            if self._tag is not None:
                closed = self._tag.read(text[at:])
                self._flow(text[at:] if closed < 0 else text[at : at + closed])
                at = len(text) if closed < 0 else at + closed
                if closed >= 0:
                    self._in_data, self._tag = self._in_data or self._tag.is_data(), None
                continue
            self._flow(text[at:end])
            at = end
            if found is not None:
                at = self._begin(found, text)

    def _begin(self, found: re.Match[str], text: str) -> int:
        """A destination or a tag: from where it is read."""
        if found[0][0] == "<":
            if self._marked_up:  # no address goes on behind it
                self._run, self._past = "", None
            if found["scheme"]:
                self._destination = _Destination(">")
                self._flow("<")
                return found.start() + 1
            at = found.end()
            if text[at : at + 1].isalpha():
                self._tag = _Tag(in_data=self._in_data)
            self._flow("<")
            return at
        behind, is_link = found.end() + 1, found[0] == "]"
        if not (is_link and text[behind : behind + 1] in ('"', "'")):  # a call in code: f[0]("x")
            self._destination = _Destination(")", is_link=is_link and self._is_text_of_link())
        self._flow(text[found.start() : behind])
        return behind

    def _is_text_of_link(self) -> bool:
        begins = self._line.rfind("[")
        if begins < 0 or self._line[begins - 1 : begins] == "\\":
            return False
        return _TEXT_OF_LINK.fullmatch(self._line, begins + 1) is not None

    def _close(self) -> None:
        destination, self._destination = self._destination, None
        if destination is not None and destination.is_link:  # what stands before it may be an address, and go on
            before, bracket, _ = self._run.rpartition("](")[0].rpartition("[")
            self._before_link = before, self._past if bracket else None

    def _flow(self, text: str) -> None:
        """Text that is passed, whatever it stands in."""
        if not text:
            return
        if self._before_link is not None:
            if not text[0].isascii():  # scripts without blanks
                self._run, self._past = self._before_link
            self._before_link = None
        line = text[text.rfind("\n") + 1 :]
        if line == text or self._line.endswith("]:"):
            line = self._line + text
        self._line = line[-_KEPT:]
        if not self._address and _BLANKS.search(text):
            tail = (self._run + text)[-_QUOTE:]
            quoted = _QUOTED.search(tail) if "/" in tail or "\\" in tail else None
            text = tail[quoted.start() :] if quoted else text[max(text.rfind(blank) for blank in _BLANK) + 1 :]
            self._run, self._past = "", None
        self._run += text
        if len(self._run) > 3 * _OVERLAP:
            self._overflow()

    def _overflow(self) -> None:
        """Only what was in it before is known of a long one."""
        state = state_of(self._run[:-_OVERLAP], self._own())
        self._past = False if False in (state, self._past) else state or self._past
        self._run = self._run[-_OVERLAP:]

    def put(self, text: str) -> None:
        """A value was put here."""
        if self._tag is not None:
            self._tag.put(text)
        if self._destination is not None:
            self._destination.put(text)
        self._flow(text)

    def places(self) -> list[Standing]:
        """All that a value would stand in here."""
        result = [Standing(self._run, past=self._past)]
        if self._destination is not None:
            result.append(self._destination.place())
        elif self._tag is not None:
            tag = self._tag.place()
            result += [tag] if tag else []
        elif (found := _DEFINITION.match(self._line)) is not None:
            result.append(Standing(found[1], True))
        return result


class _Json:
    """Reads JSON: each string as a text of its own. In the arguments of a tool (`is_call`), keys are the caller's."""

    _OUTSIDE = re.compile(r'["{}\[\],:]')
    _INSIDE = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)

    def __init__(self, own: Callable[[], OwnAddresses], *, is_call: bool) -> None:
        self._own, self.is_call = own, is_call
        self._open = bytearray()
        self._expects_key = False
        self._outside = _Scan(own, marked_up=False)
        self._string: _Scan | None = None
        self.key: str | None = None
        """Of the string that is open, while it is a key."""
        self._last_key = ""
        self._cut = ""
        """The beginning of an escape."""

    def read(self, text: str, *, settle: bool = False) -> None:
        text, self._cut = self._cut + text, ""
        at = 0
        while at < len(text):
            if self._string is None:
                at = self._read_outside(text, at)
                continue
            found = self._INSIDE.match(text, at)
            assert found is not None
            content, at = found[0], found.end()
            if at == len(text) or text[at] == "\\":  # the text ends in it
                escape = re.search(r"\\(?:u[0-9a-fA-F]{0,3})?\Z", text[found.start() :])
                if escape is not None and not settle:
                    self._cut, at = escape[0], len(text)
                    content = text[found.start() : len(text) - len(self._cut)]
                else:
                    content, at = text[found.start() :], len(text)
            self._take(_unescaped(content), settle=settle and at == len(text))
            if at < len(text):
                self._end_string()
                at += 1

    def _read_outside(self, text: str, at: int) -> int:
        found = self._OUTSIDE.search(text, at)
        end = found.start() if found is not None else len(text)
        self._outside.read(text[at:end], settle=True)
        if found is None:
            return len(text)
        sign = found[0]
        if sign == '"':
            self.key = "" if self._expects_key else None
            self._string = _Scan(self._own, address=_ADDRESS_KEY.search(self._last_key) is not None, marked_up=False)
            self._outside = _Scan(self._own, marked_up=False)
        elif sign in "{[":
            self._open += sign.encode()
        elif sign in "}]" and self._open:
            self._open.pop()
        self._expects_key = sign in "{," and self._open[-1:] == b"{"
        return found.end()

    def _take(self, content: str, *, settle: bool) -> None:
        if self.key is not None:
            self.key = (self.key + content)[:_KEPT]
        if self._string is not None:
            self._string.read(content, settle=settle)

    def _end_string(self) -> None:
        if self.key is not None:
            self._last_key = self.key[-64:].lower()
        self._string = self.key = None

    def put(self, text: str) -> None:
        if self.key is not None:
            self.key += text
        (self._string or self._outside).put(text)

    def places(self) -> list[Standing]:
        return (self._string or self._outside).places()


_ADDRESS_KEY: Final = re.compile(r"(?:ur[il]s?|href|src|srcset|links?|endpoint|webhook|callback|redirect)[_\-]?\Z")
_ESCAPED: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_MEANS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}


def _unescaped(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _MEANS.get(code, code)

    return _ESCAPED.sub(plain, text) if "\\" in text else text


class Guard:
    """The reader of one text of an answer, or of a request."""

    def __init__(self, form: str, own: Callable[[], OwnAddresses], tool: str = "") -> None:
        """`form`: as of `Surroundings`, and "call" for the arguments of `tool`."""
        self._form, self._own, self._tool = form, own, tool
        self._reader: _Scan | _Json | None = None if form in ("json", "json?", "call") else _Scan(own)

    def read(self, text: str, *, settle: bool = False) -> None:
        """The next piece that is passed on. `settle`: a placeholder is behind it."""
        if self._reader is None and (first := text.lstrip()[:1]):
            is_json = self._form != "json?" or first in "{["
            self._reader = _Json(self._own, is_call=self._form == "call") if is_json else _Scan(self._own)
        if self._reader is not None:
            self._reader.read(text, settle=settle)

    def put(self, name: str, value: str) -> None:
        """A value was put here."""
        if self._reader is None:
            self.read("{")
        if self._reader is not None:
            self._reader.put(mark(name, value))

    def places(self) -> list[Standing]:
        return self._reader.places() if self._reader is not None else []

    def may_put(self, name: str, value: str, after: After) -> bool | None:
        """Whether a value may stand here; None: what follows decides."""
        if isinstance(self._reader, _Json) and self._reader.is_call and self._reader.key is not None:
            return self._in_key(self._reader.key + mark(name, value), after)
        verdicts = [may_put(place, name, value, after, self._own) for place in self.places()]
        return False if False in verdicts else None if None in verdicts else True

    def _in_key(self, so_far: str, after: After) -> bool | None:
        """In a key of an argument: one that the request has, or of a tool whose keys are data."""
        rest = after.until_quote()
        if rest is None:
            return None
        return self._tool in self._own().maps or plain_of(so_far + rest)[0] in self._own().keys

    def note(self, name: str, value: str, after: After) -> None:
        """In a request: remember that this value stood here."""
        for place in self.places():
            note_place(place, name, value, after, self._own())
