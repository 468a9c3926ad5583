"""How a value is written where it is put back: in JSON, strings of code, addresses, markup, tables, a shell.

Each function gives the value unchanged where nothing in it needs escaping.
"""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
