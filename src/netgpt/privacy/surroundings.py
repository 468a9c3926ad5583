"""Reads an answer as far as a placeholder and says what its value will stand in: `Surroundings.layers`.

Texts nest: JSON in a string of code in a Markdown fence. Each reader knows the state at its end only: nothing is read
twice and nothing before the current line is kept. Where no rule is certain, there is no layer and the value is put back
as it is. The pieces that are read end where a value stands, however the answer was cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from netgpt.privacy.escapes import (
    JSON,
    LANGUAGES,
    LATEX,
    MARKUP,
    TABLE,
    YAML,
    Escape,
    Language,
    Quoting,
    after_comment,
    as_field,
    destination,
    doubled,
    in_attribute,
    in_json,
    in_shell,
    url_layers,
)
from netgpt.privacy.kinds import word_set

_DEEPEST: Final = 6
"""Texts within texts that are read; what is deeper counts as prose."""
_LINE: Final = 2_000
"""Characters kept of a line."""


class Reader(Protocol):
    """Reads one text in pieces."""

    def read(self, text: str) -> str:
        """What is behind the end of this text; empty while it goes on."""
        ...

    def layers(self) -> list[Escape]:
        """What a value stands in that is put here, the innermost first."""
        ...


class Surroundings:
    """The reader of a whole answer."""

    def __init__(self, form: str = "") -> None:
        """`form`: "json" when all is JSON, "json?" when it should be (models put it into a fence all the same)."""
        self._form = form
        self._reader: Reader | None = Json(0, whole=True) if form == "json" else None if form else Text(0)

    def read(self, text: str) -> None:
        """The next piece that is passed on."""
        if self._reader is None and text.strip():
            self._reader = Text(0) if text.lstrip()[0] == "`" else Json(0, whole=True)
        if self._reader is not None:
            self._reader.read(text)

    def put(self) -> None:
        """A value was put here."""
        self.read("x")

    def layers(self) -> list[Escape]:
        return self._reader.layers() if self._reader is not None else [JSON]


_ESCAPED = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_MEANS = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " ", "0": " "}


def _unescaped(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _MEANS.get(code, code)

    return _ESCAPED.sub(plain, text)


class Json:
    """JSON from its first bracket on. `whole`: all of the text, so that it never ends."""

    _OUTSIDE = re.compile(r'["{}\[\]]')
    _INSIDE = re.compile(r'((?:[^"\\\n]|\\.)*)(["\n]?)', re.DOTALL)

    def __init__(self, depth: int, *, whole: bool = False) -> None:
        self._depth, self._whole = depth, whole
        self._open = 0
        self._string: Reader | None = None

    def read(self, text: str) -> str:
        at = 0
        while at < len(text):
            if self._string is not None:
                match = self._INSIDE.match(text, at)
                assert match is not None
                self._string.read(_unescaped(match[1]))
                at = max(match.end(), at + 1)
                if match[2] == "\n" and not self._whole:  # no JSON: no string of it holds a line break
                    return text[match.end() - 1 :]
                if match[2] == '"':
                    self._string = None
                continue
            found = self._OUTSIDE.search(text, at)
            if found is None:
                break
            at = found.end()
            if found[0] == '"':
                self._string = Text(self._depth + 1)
            else:
                self._open += 1 if found[0] in "{[" else -1
            if self._open <= 0 and not self._whole:
                return text[at:]
        return ""

    def layers(self) -> list[Escape]:
        return [*(self._string.layers() if self._string is not None else ()), JSON]


class Code:
    """Source code: strings, and comments. `content`: reads what is in a string, as text of its own."""

    def __init__(self, language: Language, depth: int) -> None:
        self._language, self._depth = language, depth
        self._line = ""
        self._mark, self._prefix = "", ""
        """The quotes of the string, and the letters before them."""
        self._comment = ""
        """What begins the comment."""
        self._content: Reader | None = None

    def read(self, text: str) -> str:
        at = 0
        while at < len(text):
            if self._mark:
                at = self._read_string(text, at)
            elif self._comment:
                end = self._language.end_of(self._comment)
                found = text.find(end, at)
                at = len(text) if found < 0 else found + len(end)
                self._comment = self._comment if found < 0 else ""
            else:
                at = self._read_code(text, at)
        tail = text[text.rfind("\n") + 1 :]
        self._line = ((self._line if tail == text else "") + tail)[-_LINE:]
        return ""

    def _read_code(self, text: str, at: int) -> int:
        found = self._language.token.search(text, at)
        if found is None:
            return len(text)
        if found["comment"]:
            self._comment = found["comment"]
        elif found["mark"] and not self._language.is_apostrophe(found):
            self._mark, self._prefix = found["mark"], (found["prefix"] or "").lower()
            self._content = Text(self._depth + 1)
        return found.end()

    def _read_string(self, text: str, at: int) -> int:
        match = self._language.inside(self._mark, self._prefix).match(text, at)
        assert match is not None
        if self._content is not None:
            self._content.read(_unescaped(match[1]) if self._language.has_backslash(self._prefix) else match[1])
        if match[2]:
            self._mark, self._content = "", None
        return max(match.end(), at + 1)

    def layers(self) -> list[Escape]:
        if self._mark:
            inner = self._content.layers() if self._content is not None else []
            return [*inner, *self._language.layers(self._mark, self._prefix)]
        if self._comment:
            ends_with_line = self._language.end_of(self._comment) == "\n"
            return [Escape("comment", partial(after_comment, mark=self._comment))] if ends_with_line else []
        in_url = url_layers(self._line)
        return (
            [*in_url, Escape("shell", partial(in_shell, mark=""))] if self._language.family is Quoting.SHELL else in_url
        )


class Markup:
    """HTML or XML from a tag on, until that is closed. `whole`: all of the text; `certain`: it begins like a document,
    so blank lines do not end it."""

    _NEXT = re.compile(
        r"<!--.*?(?:-->|\Z)|<(?P<close>/?)(?P<name>[A-Za-z][\w.\-]*(?::[\w.\-]+)?)(?!:)|<[!?][^>]*>?"
        r"|(?P<blank>\n(?=[ \t]*(?:\n|```|~~~)))",
        re.DOTALL,
    )
    _TAG = re.compile(r"(?:[^\"'>]|\"[^\"]*\"|'[^']*')*")

    def __init__(self, depth: int, *, whole: bool = False, certain: bool = False) -> None:
        self._depth, self._whole, self._certain = depth, whole, certain or whole
        self._names: list[str] = []
        self._tag: str | None = None
        """The tag so far, while it is open."""
        self._script: Reader | None = None
        self._said = ""
        """The text since the last tag."""

    def read(self, text: str) -> str:
        while text:
            if self._tag is not None:
                text, closed = self._read_tag(text)
                if closed and not self._names and not self._whole:
                    return text
            elif self._script is not None:
                end = re.search(rf"</{self._names[-1]}\s*>", text, re.IGNORECASE)
                self._script.read(text[: end.start()] if end else text)
                text = text[end.start() :] if end else ""
                self._script = None if end else self._script
            else:
                found = self._NEXT.search(text)
                if found is None:
                    self._said = (self._said + text)[-_LINE:]
                    return ""
                if found["blank"] and not self._certain:
                    return text[found.start() :]
                self._tag = found["close"] + found["name"] if found["name"] else None
                self._said = ""
                text = text[found.end() :]
        return ""

    def _read_tag(self, text: str) -> tuple[str, bool]:
        """On to the end of the tag: what is behind it, and whether it closed something or stands alone."""
        so_far = (self._tag or "") + text
        match = self._TAG.match(so_far)
        assert match is not None
        if match.end() == len(so_far) or so_far[match.end()] != ">":
            self._tag = so_far[-_LINE:]
            return "", False
        name = re.match(r"/?[\w:.\-]*", so_far)
        tag, self._tag = name[0].lower() if name else "", None
        rest = so_far[match.end() + 1 :]
        if tag.startswith("/"):
            if tag[1:] in self._names:
                del self._names[len(self._names) - 1 - self._names[::-1].index(tag[1:]) :]
            return rest, True
        if tag in _VOID or so_far[: match.end()].endswith("/"):
            return rest, True
        self._names.append(tag)
        if tag in ("script", "style"):
            self._script = code_reader("javascript" if tag == "script" else "c", self._depth + 1)
        return rest, False

    def layers(self) -> list[Escape]:
        if self._tag is not None:
            return attribute_layers(self._tag)
        if self._script is not None:
            return self._script.layers()
        is_certain = self._certain or len(self._names) > 1 or (self._names and self._names[0] in _HTML)
        return [*url_layers(self._said), MARKUP] if is_certain else []


_OPEN_VALUE = re.compile(
    r"(?<![\w:.\-@])([\w:.\-@]{1,200})\s*=\s*(?:(?P<mark>[\"'])(?P<in>(?:(?!(?P=mark)).)*))?\Z", re.DOTALL
)
_ADDRESSES = frozenset(("href", "src", "action", "formaction", "poster", "cite"))


def attribute_layers(tag: str, *, quoted: bool = False) -> list[Escape]:
    """Of a value that stands in a tag. `quoted`: only within quotes."""
    found = _OPEN_VALUE.search(tag)
    if found is None or (quoted and not found["mark"]):
        return []
    mark, content = found["mark"] or "", found["in"] or ""
    in_address = url_layers(content)
    if found[1].lower() in _ADDRESSES and content and ":" not in content:
        in_address = destination(content, 0)
    return [*in_address, Escape(f"attribute{mark}", partial(in_attribute, mark=mark))]


_VOID = word_set("area base br col embed hr img input link meta source track wbr")
_HTML = word_set(
    """a abbr address article aside b blockquote body button caption code dd details div dl dt em fieldset figcaption
    figure footer form h1 h2 h3 h4 h5 h6 head header html i label legend li main nav ol option p pre script section
    select small span strong style sub summary sup svg table tbody td text textarea tfoot th thead title tr u
    ul"""
)


class Lines:
    """A text whose rule is a function of the current line."""

    def __init__(self, rule: Callable[[str], list[Escape]]) -> None:
        self._rule, self._line = rule, ""

    def read(self, text: str) -> str:
        tail = text[text.rfind("\n") + 1 :]
        self._line = ((self._line if tail == text else "") + tail)[-_LINE:]
        return ""

    def layers(self) -> list[Escape]:
        return self._rule(self._line)


def in_row(line: str, comma: str) -> list[Escape]:
    """In a row of CSV."""
    if line.count('"') % 2:
        return [Escape('field"', partial(doubled, mark='"'))]
    field = re.sub(r'"[^"]*"', '"', line).rpartition(comma)[2]
    return [] if field.strip() else [Escape("field", partial(as_field, comma=comma))]


def in_yaml(line: str) -> list[Escape]:
    """In a line of YAML: in quotes, or where a plain value begins."""
    bare = re.sub(r"\\.|''", "", line)
    if bare.count('"') % 2:
        return [Escape('string"', in_json)]
    if re.search(r"(?:^|[\s\[{,:])'[^']*\Z", bare):
        return [Escape("string'", partial(doubled, mark="'"))]
    return [*url_layers(line), *([YAML] if re.search(r"(?:^|\s)(?:[^\s#'\"]+:|-)[ \t]+\Z", line) else [])]


def code_reader(name: str, depth: int) -> Reader:
    """The reader of a fence, by the name of its language."""
    if name in ("json", "jsonc", "json5", "jsonl", "ndjson", "geojson"):
        return Json(depth, whole=True)
    if name in ("html", "xml", "svg", "xhtml", "vue", "svelte", "rss", "xsd", "xslt", "plist", "htm"):
        return Markup(depth, whole=True)
    if name in ("csv", "tsv"):
        return Lines(partial(in_row, comma="," if name == "csv" else "\t"))
    if name in ("yaml", "yml"):
        return Lines(in_yaml)
    if name in ("latex", "tex"):
        return Lines(lambda line: [LATEX])
    if name in ("text", "txt", "plaintext", "plain", "md", "markdown", "mdx", "email", "mail", "diff", "log"):
        return Text(depth)
    return Code(LANGUAGES[name], depth) if name in LANGUAGES and name else Unnamed(depth)


class Unnamed:
    """A fence that does not say what is in it: its first characters do."""

    _FORMS = (
        (re.compile(r"\s*[{\[]\s*[\"{\[\]}]"), "json"),
        (re.compile(r"\s*<[A-Za-z!?]"), "xml"),
        (re.compile(r"\s*\$ "), "sh"),
    )

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._reader: Reader | None = None

    def read(self, text: str) -> str:
        if self._reader is None and text.strip():
            form = next((name for pattern, name in self._FORMS if pattern.match(text)), "")
            self._reader = code_reader(form, self._depth) if form else Code(LANGUAGES[""], self._depth)
        return self._reader.read(text) if self._reader is not None else ""

    def layers(self) -> list[Escape]:
        return self._reader.layers() if self._reader is not None else []


_HEADER = re.compile(r"[^\W\d][\w \-]*(?:,[^\W\d][\w\-]*)+")
"""The first line of a table with commas."""


class Text:
    """Prose with Markdown, and what may stand in it: fences, JSON, markup, tables, links, addresses."""

    _FENCE = re.compile(r"[ \t]*(?:>[ \t]*)*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?(`{3,}|~{3,})[ \t]*([\w+#.\-]*)[^`]*\Z")
    _NEXT = re.compile(
        r"\n|[{\[]\s*(?=\")|<(?:!doctype|\?xml)|<(?P<name>[A-Za-z][\w.\-]*(?::[\w.\-]+)?)(?=[\s>]|/>)", re.IGNORECASE
    )
    _RULE = re.compile(r"\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?\Z")
    _TAG = re.compile(r"<([A-Za-z][\w:.\-]*\s[^<>]*)\Z")
    _LINK = re.compile(r"\]\(<?([^)\s]*)\Z")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._line = ""
        self._inner: Reader | None = None
        self._fence = ""
        """What closes the fence that is open; its text is read by `_inner`."""
        self._in_table = False
        self._commas = 0
        """Of each line so far, when this may be CSV; -1: it is not."""

    def read(self, text: str) -> str:
        while text:
            if self._fence:
                text = self._read_fenced(text)
            elif self._inner is not None:
                text = self._inner.read(text)
                self._inner = self._inner if not text else None
            else:
                text = self._read_prose(text)
        return ""

    def _read_fenced(self, text: str) -> str:
        line, newline, rest = text.partition("\n")
        self._line = (self._line + line)[-_LINE:]
        closes = self._line.strip(" \t>")
        if newline and closes.startswith(self._fence) and not closes.strip(self._fence[0]):
            self._fence, self._inner = "", None
        elif self._inner is not None:
            self._inner.read(line + newline)
        self._line = "" if newline else self._line
        return rest

    def _read_prose(self, text: str) -> str:
        found = self._NEXT.search(text)
        if found is None:
            self._line = (self._line + text)[-_LINE:]
            return ""
        self._line = (self._line + text[: found.start()])[-_LINE:]
        if found[0] == "\n":
            self._end_line()
        elif self._depth < _DEEPEST and (inner := self._begins(found)) is not None:
            self._inner, self._commas = inner, -1
            self._line += "x"
            return text[found.start() :]
        else:
            self._line += found[0]
        return text[found.end() :]

    def _begins(self, found: re.Match[str]) -> Reader | None:
        """The reader of what begins here."""
        if found[0][0] in "{[":
            return Json(self._depth + 1)
        name = (found["name"] or "").lower()
        if self._line.count("`") % 2 or (name and name in _VOID):
            return None
        if name in _HTML or not self._line.strip():
            return Markup(self._depth + 1, certain=not name or name in ("html", "svg"))
        return None

    def _end_line(self) -> None:
        line, self._line = self._line, ""
        if (found := self._FENCE.match(line)) is not None and self._depth < _DEEPEST:
            self._fence, self._inner = found[1], code_reader(found[2].lower(), self._depth + 1)
            return
        self._in_table = "|" in line and (self._in_table or self._RULE.match(line.strip(" \t")) is not None)
        if self._commas == 0:
            self._commas = line.count(",") if _HEADER.fullmatch(line.rstrip()) else -1
        elif self._commas > 0 and line.strip() and ", " in line:
            self._commas = -1

    def layers(self) -> list[Escape]:
        if self._inner is not None:
            return self._inner.layers()
        line = self._line
        in_row_of_table = [TABLE] if self._in_table or line.lstrip(" \t>").startswith("|") else []
        if line.count("`") % 2:
            code = Code(LANGUAGES[""], self._depth + 1)
            code.read(line.rpartition("`")[2])
            return [*code.layers(), *in_row_of_table]
        if (tag := self._TAG.match(line, max(line.rfind("<"), 0))) is not None:
            return [*attribute_layers(tag[1], quoted=True), *in_row_of_table]
        if (link := self._LINK.match(line, max(line.rfind("]("), 0))) is not None:
            return [*destination(line, link.start(1)), *in_row_of_table]
        if self._commas > 0 and not in_row_of_table:
            return in_row(line, ",")
        return [*url_layers(line), *in_row_of_table]
