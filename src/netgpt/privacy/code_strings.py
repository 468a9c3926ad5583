"""Strings and comments of programming languages: where they begin and end, and how a value is written in a string."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache, partial
from typing import Final

from netgpt.privacy.escapes import Escape, doubled, in_shell, in_string


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
