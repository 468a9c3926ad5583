"""How a value is written where it is put back: in JSON, strings of code, addresses, markup, tables, a shell.

Each function gives the value unchanged where nothing in it needs escaping. `LANGUAGES` says where strings and comments
of programming languages begin and end.
"""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache, partial
from typing import Final
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Escape:
    """One thing that a value stands in. `kind` names it: `json`, `string"`, `url`."""

    kind: str
    write: Callable[[str], str]


def in_json(value: str) -> str:
    """Between the quotes of a JSON string.

    >>> in_json('Ada "Ace"')
    'Ada \\\\"Ace\\\\"'
    """
    return json.dumps(value, ensure_ascii=False)[1:-1]


def in_string(value: str, mark: str, also: str = "") -> str:
    """Between the quotes `mark` of a language with backslashes; `also`: further characters that it escapes."""
    value = value.replace("\\", "\\\\")
    if len(mark) == 1:
        value = value.replace(mark, "\\" + mark)
        value = value if mark == "`" else value.replace("\n", "\\n").replace("\r", "\\r")
    else:
        value = value.replace(mark, "".join("\\" + c for c in mark))
        value = (
            value[:-1] + "\\" + value[-1] if value.endswith(mark[0]) and not value.endswith("\\" + mark[0]) else value
        )
    if also == "{}":  # a formatted string
        return value.replace("{", "{{").replace("}", "}}")
    return value.replace(also, "\\" + also) if also else value


def doubled(value: str, mark: str) -> str:
    """Between quotes that are written twice inside: SQL, Pascal, single quotes of YAML."""
    return value.replace(mark, mark * 2)


_PATH: Final = "-._~!$&'()*+,;=:@"
_QUERY: Final = "-._~!$'()*,;:@/?"
_ANY: Final = "-._~!$&'*+,;=:@/?#[]%"


def in_url(value: str, safe: str) -> str:
    """In an address. Letters of other scripts need no escaping by themselves, and what is escaped already stays.

    >>> in_url("Zoë Khumalo", "-._~"), in_url("Zoë", "-._~"), in_url("Zanele%20K", "-._~")
    ('Zo%C3%AB%20Khumalo', 'Zoë', 'Zanele%20K')
    """
    fine = rf"(?:[A-Za-z0-9{re.escape(safe)}]|[^\x00-\x7f\s]|%[0-9A-Fa-f]{{2}})*"
    return value if re.fullmatch(fine, value) else quote(value, safe=safe)


def in_text_of_markup(value: str) -> str:
    """Between the tags of HTML or XML; what is an entity already stays."""
    if re.fullmatch(r"(?:[^&<>]|&(?:#\d+|#x[0-9a-fA-F]+|[A-Za-z]\w{1,30});)*", value):
        return value
    return html.escape(value, quote=False)


def in_attribute(value: str, mark: str) -> str:
    """Between the quotes of an attribute; without any (`mark` empty), with quotes where it needs them."""
    if not mark:
        written = in_text_of_markup(value).replace('"', "&quot;")
        return f'"{written}"' if re.search(r"[\s\"'=<>`]", value) else written
    return in_text_of_markup(value).replace(mark, "&quot;" if mark == '"' else "&#39;")


def in_table(value: str) -> str:
    """In a cell of a Markdown table."""
    value = re.sub(r"(?<!\\)\|", r"\\|", value)
    return re.sub(r"\r?\n", "<br>", value)


def as_field(value: str, comma: str) -> str:
    """A whole field of CSV or TSV."""
    return f'"{doubled(value, chr(34))}"' if any(c in value for c in (comma, '"', "\n", "\r")) else value


def in_shell(value: str, mark: str) -> str:
    """As a word of a shell's command, or between its quotes."""
    if mark == "'":
        return value.replace("'", "'\\''")
    if mark == '"':
        return re.sub(r'(["\\$`])', r"\\\1", value)
    return value if re.fullmatch(r"[\w@%+=:,./-]*", value) else shlex.quote(value)


_YAML_PLAIN: Final = re.compile(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`](?:(?!: |:$| #)[^\n\r])*", re.MULTILINE)


def as_yaml(value: str) -> str:
    """A whole plain value of YAML."""
    plain = _YAML_PLAIN.fullmatch(value) or re.fullmatch(r"[+\-]?[\d][\w.+ \-]*", value)
    return value if plain else f'"{in_json(value)}"'


def in_latex(value: str) -> str:
    """In the text of LaTeX."""
    return re.sub(r"(?<!\\)([&%$#_{}])", r"\\\1", value)


def after_comment(value: str, mark: str) -> str:
    """Behind the mark of a comment that ends with its line."""
    return re.sub(r"\r?\n", f"\n{mark} ", value)


JSON: Final = Escape("json", in_json)
MARKUP: Final = Escape("markup", in_text_of_markup)
TABLE: Final = Escape("table", in_table)
LATEX: Final = Escape("latex", in_latex)
YAML: Final = Escape("yaml", as_yaml)
_URL: Final = re.compile(r"(?:\b(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]{1,20})://|\b(?:mailto|tel|sms):)(?P<rest>.*)")
_NOT_IN_URL: Final = re.compile(r"[\s<>\"'`|\\^]")


def url_layers(line: str) -> list[Escape]:
    """Of an address that a line ends in, when its host is written out."""
    if ":" not in line or line[-1].isspace():
        return []
    found = _URL.search(_NOT_IN_URL.split(line.rsplit(None, 1)[-1])[-1])
    if found is None or (found["scheme"] and not re.search(r"[/?#]", found["rest"])):
        return []
    return [Escape("url", partial(in_url, safe=_QUERY if re.search(r"[?#]", found["rest"]) else _PATH))]


def destination(line: str, begins: int) -> list[Escape]:
    """Of the destination of a Markdown link that begins at `begins` and is not ended: no brackets, no blanks."""
    so_far = line[begins:]
    if not so_far:
        return [Escape("destination", partial(in_url, safe=_ANY))]
    safe = _QUERY if re.search(r"[?#]", so_far) else _PATH
    return [Escape("destination", partial(in_url, safe=safe.replace("(", "").replace(")", "")))]


class Quoting(Enum):
    """How a quote is written in a string."""

    BACKSLASH = "backslash"
    DOUBLED = "doubled"
    SHELL = "shell"


@dataclass(frozen=True)
class Language:
    """A family of languages. `marks`: the quotes, the longest first; `raw`: letters before a string without escapes;
    `formatted`: before one with braces; `dollar`: what begins a variable in a string with double quotes."""

    marks: tuple[str, ...]
    comments: tuple[tuple[str, str], ...] = ()
    family: Quoting = Quoting.BACKSLASH
    raw: str = ""
    formatted: str = ""
    dollar: str = ""
    is_guessed: bool = False
    """No language is named: a quote begins a string only behind "=" or an opening bracket."""

    @cached_property
    def token(self) -> re.Pattern[str]:
        """The beginning of a comment or string, or a character that only looks like one."""
        marks = "|".join(map(re.escape, self.marks))
        comments = "|".join(re.escape(begin) for begin, _ in self.comments) or r"(?!)"
        before = r"(?<=[=(\[{])[ \t]*" if self.is_guessed else ""
        alone = r"'(?:\\.|[^'\\\n])'|" if "'" not in self.marks else ""  # the quote as a character: '"'
        prefix = r"(?:(?<!\w)(?P<prefix>[rRbBfFuU]{1,2}|\$))?"
        return re.compile(rf"{alone}(?P<comment>(?<![\w$:&])(?:{comments}))|{before}{prefix}(?P<mark>{marks})")

    def is_apostrophe(self, found: re.Match[str]) -> bool:
        """Whether the mark that was found stands in a word."""
        before = found.string[found.start("mark") - 1 : found.start("mark")] if found.start("mark") else ""
        in_word = (before.isalnum() or before == "_") and not found["prefix"]
        return found["mark"] == "'" and in_word and self.family is not Quoting.SHELL

    def end_of(self, comment: str) -> str:
        return dict(self.comments)[comment]

    def has_backslash(self, prefix: str) -> bool:
        return self.family is not Quoting.DOUBLED and not (prefix and set(prefix) & set(self.raw))

    def inside(self, mark: str, prefix: str) -> re.Pattern[str]:
        """Matches on to the end of a string, or of the text: group 2 is what ends it."""
        escapes = self.has_backslash(prefix) and not (self.family is Quoting.SHELL and mark == "'")
        return _inside(mark, escapes, len(mark) == 1 and mark != "`" and self.family is Quoting.BACKSLASH)

    def layers(self, mark: str, prefix: str) -> list[Escape]:
        """Of a value in such a string."""
        if self.family is Quoting.SHELL:
            return [Escape(f"shell{mark}", partial(in_shell, mark=mark))]
        if self.family is Quoting.DOUBLED:
            return [Escape(f"string{mark}", partial(doubled, mark=mark))]
        if not self.has_backslash(prefix) or (mark == "`" and not self.dollar):
            return []
        also = self.dollar if mark[0] in '"`' else ""
        if prefix and set(prefix) & set(self.formatted):
            also = "{}"
        return [Escape(f"string{mark}", partial(in_string, mark=mark, also=also))]


@lru_cache(maxsize=64)
def _inside(mark: str, escapes: bool, one_line: bool) -> re.Pattern[str]:
    stop = re.escape(mark) + (r"|\n" if one_line else "")
    plain = r"\\.|[^\\]" if escapes else "."
    return re.compile(rf"((?:(?!{stop})(?:{plain}))*)({stop})?", re.DOTALL)


_SLASHES = (("//", "\n"), ("/*", "*/"))
_HASH = (("#", "\n"),)
_C = Language(('"',), _SLASHES, raw="r")
_SCRIPT = Language(('"', "'", "`"), _SLASHES, dollar="${")
_PYTHON = Language(('"""', "'''", '"', "'"), _HASH, raw="r", formatted="f")
_SQL = Language(("'", '"'), (("--", "\n"), ("/*", "*/")), Quoting.DOUBLED)
_SHELL = Language(('"', "'"), _HASH, Quoting.SHELL)

LANGUAGES: Final[dict[str, Language]] = {
    name: language
    for language, names in (
        (Language(('"', "'"), is_guessed=True), ""),
        (_C, "c h cpp c++ cc hpp cs csharp c# go golang rust rs java scala objc objective-c haskell hs"),
        (Language(('"""', '"'), _SLASHES, dollar="$"), "kotlin kt groovy"),
        (Language(('"""', '"'), _SLASHES), "swift"),
        (Language(('"', "'"), _SLASHES, raw="r", dollar="$"), "dart"),
        (_SCRIPT, "js javascript ts typescript jsx tsx node mjs"),
        (_PYTHON, "py python python3 py3 ipython jupyter starlark"),
        (Language(('"""', "'''", '"', "'"), _HASH), "toml julia"),
        (Language(('"', "'"), _HASH, dollar="#{"), "rb ruby elixir crystal"),
        (Language(('"', "'"), (*_SLASHES, *_HASH), dollar="$"), "php perl pl"),
        (Language(('"', "'"), _HASH), "r ini properties conf env dotenv dockerfile makefile nginx"),
        (Language(('"', "'"), (("--", "\n"),)), "lua"),
        (_SQL, "sql mysql postgres postgresql plsql tsql sqlite"),
        (Language(('"',), (("'", "\n"),), Quoting.DOUBLED), "vb vba vbnet basic"),
        (Language(("'",), (("//", "\n"), ("{", "}")), Quoting.DOUBLED), "pascal delphi"),
        (_SHELL, "sh bash shell zsh fish console terminal shellsession shell-session"),
    )
    for name in (names.split() or [""])
}
"""By the name behind a Markdown fence; "" for all others."""
