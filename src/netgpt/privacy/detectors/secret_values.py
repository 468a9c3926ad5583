"""What stands where a secret was announced: how far it reaches, and whether it is one at all.

A manual's placeholder (`<your password>`, `${VAR}`, `changeme`), an expression of code, a type, a message to the user
and a plain statement are no secrets. The words are in `secret_words.toml`.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Final

from netgpt.privacy.detectors.normalize import plain
from netgpt.privacy.kinds import FIXED_KINDS
from netgpt.privacy.registry import OTHER_KINDS

_KINDS: Final = FIXED_KINDS | OTHER_KINDS.keys() | {"USERNAME", "BIRTHDATE", "ID", "PLATE"}
_LONGEST: Final = 200
_LONGEST_QUOTED: Final = 512
_MOST_WORDS: Final = 12
_QUOTE = re.compile(r"(?:[frbuFRBU]{0,2}|\$)(?P<sign>\"\"\"|'''|[\"'`“«「『])")
_CLOSING: Final = {"“": "”", "«": "»", "「": "」", "『": "』"}
_TOKEN = re.compile(
    r"(?:(?!&(?:amp;)?[\w.\-]{1,30}=|</|<br|[,;](?:\s|\Z|[\w .\-]{1,30}[=:])|[,;]+\Z|[,;:!?](?=[^\x00-\x7f])"
    r"|[。、」；])"
    r"[^\s\"`|]){1,200}"
)
_PHRASE = re.compile(r"(?:[ ][^\W_](?:[\w'\-]{0,20}[^\W_])?){1,11}(?![\w@=/\\$%*+])")
_WORD = re.compile(r"[^\W\d_][\w'’\-]*")
_OVER = re.compile(r"[ \t]*(?:\Z|[\n\r,.;:!?)\]}|<\"'`&#，。；、」”»]|[-\\/][ \t]|[(][^()\n]|--?\w)")
_FIELD = re.compile(r"[ \t]+[\w.\-\[\]]{1,40}[ ]?[:=]")
_NEXT_WORD = re.compile(r"[ \t]+([^\W\d_]+)")
_TRAILING: Final = ".,;:*_…"
_PAIRS: Final = {")": "(", "]": "[", "}": "{", ">": "<"}
_OWN = re.compile(
    r"[\[(<{（＜［【]{0,2}\**(?P<kind>[A-Z]{2,}(?:_[A-Z]+)*)_\d{1,6}[a-z]?\**(?P<closed>[\])>}）＞］】]{0,2})"
)
_HOLDS_OWN = re.compile(r"[\[<]\**[A-Z]{2,}(?:_[A-Z]+)*_\d{1,6}[a-z]?\**[\]>]")
_VARIABLE = re.compile(
    r"\$\{\{?.*|\$\(.*|\$(?:\d|[A-Z_][A-Z0-9_]*|[a-z_]+(?:->\w+|\[.*)?)|\{\{.*|\{%.*|\{[\w.!:]*\}"
    r"|%\(\w+\)s|%[A-Za-z_]+%?|@[A-Za-z_]+@?"
    r"|:[a-z_]+|&(?:mut )?[a-z]+|!(?:vault|secret|Ref|Sub|GetAtt|env).*|\*\w+|[*xX•.…_#\-=?·●]{2,}|\\[nrt].*|<%.*"
)
_DEFAULT = re.compile(
    r"\$\{[\w.\-]{1,60}(?::?[-=+?]|:)(?P<shell>[^}\n]{1,200})\}"
    r"|\{\{[^\n{}]{0,80}?\bdefault[ ]?[(:]?[ ]?(?P<quote>[\"'])(?P<template>[^\"'\n]{1,200})(?P=quote)"
)
_CODE = re.compile(
    r"[A-Za-z_$@][\w$]*(?:(?:\??\.|->|::)\w+)*!?[(\[](?:.*[)\];]|[\"'&].*|\s*)?"
    r"|(?:new|await|return|lambda|func|function|typeof|void)\b.*"
    r"|(?i:self|this|config|conf|cfg|settings?|args?|opts?|options|params?|req|request|res|response|os"
    r"|process|env|ctx|context"
    r"|state|form|body|data|props|user|input|event|e|row|obj|item|account|credentials?|creds|db|app"
    r"|secrets?|vault|var|vars|local"
    r"|module|model|schema|z|yup|joi|t|Types|models|serializers|forms|sa|fields?)(?:\??\.|->|::)[A-Za-z_]\w*[;,]?"
)
_NAMED = re.compile(
    r"(?i)[\w.\-]{0,40}(?:passw|passphr|passcode|_pass\b|pass_|pwd|_pw\b|secret|token|credential"
    r"|kennwort)[a-z_.\-]{0,40}"
)
_PATH = re.compile(
    r"(?:~|\.{1,2})?/(?:[\w.\-]+/?)*|[A-Za-z]:[\\/].*|\w{2,12}://.*|[\w\-]+\.(?:py|js|ts|txt|md|html"
    r"|json|ya?ml|toml|env|sh)"
)
_CALL_BEFORE = re.compile(r"\w\([^()\n]{0,160}\Z")
_BRACKETED = re.compile(r"<[^<>\n]{1,60}>|\[[^\[\]\n]{1,60}\]|\([^()\n]{1,60}\)|\{[^{}\n]{1,60}\}")
_STOPS: Final = {
    "<": re.compile(r"[<\n]"), "\n": re.compile(r"\n"), "|": re.compile(r"[\"'\n|]"),
    "}": re.compile(r"\}(?![\w{(\[])|\n"), ")": re.compile(r"\)(?![\w{(\[])|\n"),
}  # fmt: skip
"""How a value ends whose blanks belong to it."""
_TAG = re.compile(
    r"(?:</?(?:b|i|u|p|em|strong|code|span|kbd|tt|pre|div|font|mark|samp|small)\b[^<>\n]{0,60}>[ ]{0,3}){1,4}"
)
_STATEMENT = re.compile(r"[a-z\-]*(?:ed|ing|able|ible|less|ful|ous|ical|ary|ative|[aeiklnrt]ly)")
_RANGE = re.compile(r"\d{1,3}(?:[\-+/]\d{0,3})?[%+]?(?:bit|px|ms|min|h|s|x)?")


@lru_cache(maxsize=1)
def words() -> dict[str, frozenset[str]]:
    """The lists of `secret_words.toml`, normalised as texts are."""
    text = resources.files("netgpt.privacy.detectors").joinpath("secret_words.toml").read_text(encoding="utf-8")
    return {name: frozenset(plain(listed).lower().split()) for name, listed in tomllib.loads(text).items()}


def strong(value: str) -> bool:
    """Whether no plain word is written so: digits or signs among letters, or capitals inside."""
    has_letter = any(c.isalpha() for c in value)
    signs = any(not c.isalnum() and c not in ".,'’-/ " for c in value.strip("\"'()[]{}<>*_.,;:!?"))
    return has_letter and (
        any(c.isdigit() for c in value)
        or signs
        or re.search(r"[^\W\d_a-z][a-z]+[A-Z]|[a-z]{2}[A-Z][a-z]", value) is not None
    )


def read_value(text: str, at: int, *, weak: bool = True, prose: bool = False, stop: str = "") -> tuple[int, int] | None:
    """The place of the secret that begins at `at`, or None.

    `weak`: whether plain words count, too. `prose`: the text reads on behind it, so that a plain word counts only at
    the end of its clause. `stop`: the value ends at the first of these signs, and blanks belong to it.
    """
    if tag := _TAG.match(text, at):
        at = tag.end()
    if (quote := _QUOTE.match(text, at)) and (found := _quoted(text, quote)) is not None:
        return found if _counts(text[slice(*found)], weak) and _no_message(text[slice(*found)]) else None
    if stop:
        closed = _STOPS[stop].search(text, at, at + _LONGEST)
        start, end = _stripped(text, at, closed.start() if closed else min(len(text), at + _LONGEST))
        value = text[start:end]
        whole = " " not in value or _is_phrase(value)
        return (start, end) if whole and _counts(value, weak) else None
    if default := _DEFAULT.match(text, at):
        place = "shell" if default["shell"] else "template"
        return default.span(place) if _counts(default[place], True) else None
    if (token := _TOKEN.match(text, at)) is None:
        return None
    return _unquoted(text, *token.span(), weak=weak, prose=prose)


def _quoted(text: str, quote: re.Match[str]) -> tuple[int, int] | None:
    """What stands between the quotes, on one line."""
    sign = _CLOSING.get(quote["sign"], quote["sign"])
    end = text.find(sign, quote.end(), quote.end() + _LONGEST_QUOTED)
    while end > 0 and text[end - 1] == "\\" and text[end - 2] != "\\":
        end = text.find(sign, end + 1, quote.end() + _LONGEST_QUOTED)
    if end < 0 or "\n" in text[quote.end() : end]:
        return None
    return quote.end(), end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())


def _unquoted(text: str, start: int, end: int, *, weak: bool, prose: bool) -> tuple[int, int] | None:
    bracketed = _BRACKETED.match(text, start)
    if bracketed and (bracketed.end() >= end or text[bracketed.end()] in " \t\n,.;!?|"):
        start, end = bracketed.span()
        inner = text[start + 1 : end - 1]
        if _documents(inner) or _OWN.fullmatch(bracketed[0]):
            return None
        start, end = start + 1, end - 1
    else:
        end = _end(text, start, end)
    value = text[start:end]
    plain_word = _WORD.fullmatch(value) is not None and not strong(value)
    if weak and plain_word and not bracketed and (phrase := _phrase(text, start, end)):
        return phrase
    if not _counts(value, weak) or _CODE.fullmatch(value) or _is_argument(text, start, end, value):
        return None
    return (start, end) if bracketed or not plain_word or _stands(text, start, end, prose) else None


def _phrase(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Several plain words up to the end of the clause: "quiet amber fox and the user is lena"."""
    phrase = _PHRASE.match(text, end)
    last = phrase.end() if phrase else end
    while last > end:
        if (_OVER.match(text, last) or _closes(text, last)) and _is_phrase(text[start:last]):
            return start, last
        last = text.rfind(" ", end, last)
    return None


def _stands(text: str, start: int, end: int, prose: bool) -> bool:
    """Whether one plain word ends its clause, so that it is no beginning of a sentence."""
    if _is_statement(text[start:end]):
        return False
    return bool(_OVER.match(text, end)) or _closes(text, end) or (not prose and _FIELD.match(text, end) is not None)


def _end(text: str, start: int, end: int) -> int:
    """Without the punctuation of the sentence, and without brackets that were opened before."""
    while end > start:
        last, piece = text[end - 1], text[start:end]
        opener = _PAIRS.get(last)
        if (
            last in _TRAILING
            or (opener and piece.count(opener) < piece.count(last))
            or (last in "!?'\"" and not strong(piece[:-1]))
            or last == "?"
            or (last in "'\"" and piece.count(last) == 1)
        ):
            end -= 1
        else:
            break
    return end


def _closes(text: str, at: int) -> bool:
    """Whether the next word begins another clause."""
    following = _NEXT_WORD.match(text, at)
    return following is not None and following[1].lower() in words()["closing"]


def _is_phrase(value: str) -> bool:
    """Whether these words are a passphrase, not a sentence."""
    parts = [part.strip("'’-.,;") for part in value.lower().split()]
    listed = words()
    if not 1 <= len(parts) <= _MOST_WORDS or any(part in listed["function"] for part in parts):
        return False
    if len(parts) == 1:
        return True
    statements = sum(_is_statement(part) for part in parts)
    return statements == 0 or (statements == 1 and len(parts) >= 4)


def _is_statement(word: str) -> bool:
    """Whether a plain word says something about a password, and is none."""
    lowered = word.lower()
    listed = words()
    if lowered in listed["predicates"] or lowered in listed["types"] or lowered in listed["function"]:
        return True
    return len(word) >= 6 and _STATEMENT.fullmatch(word) is not None


def _counts(value: str, weak: bool) -> bool:
    """Whether the value can be a secret at all."""
    bare = value.strip().strip("*_")
    lowered = bare.lower()
    if len(bare) < 3 or not any(c.isalnum() for c in bare) or _RANGE.fullmatch(bare) or _HOLDS_OWN.search(bare):
        return False
    if (own := _OWN.fullmatch(bare)) and (own["closed"] or own["kind"] in _KINDS):
        return False
    if _VARIABLE.fullmatch(bare) or _PATH.fullmatch(bare) or _NAMED.fullmatch(bare):
        return False
    listed = words()
    plain_word = lowered.rstrip("!?.;,")
    if any(plain_word in listed[name] for name in ("examples", "types", "function")) or plain_word.startswith("your"):
        return False
    if " " not in bare and not strong(bare) and plain_word in listed["predicates"]:
        return False
    return weak or strong(bare) or (bare.isdigit() and len(bare) >= 4)


def _no_message(value: str) -> bool:
    parts = _WORD.findall(value.lower())
    return len(parts) < 2 or not any(part in words()["messages"] for part in parts)


def _documents(inner: str) -> bool:
    """Whether a manual writes this in brackets: "your password", "DB_PASSWORD", "redacted"."""
    parts = re.findall(r"[^\W\d_]+", inner.lower())
    listed = words()
    if not parts or re.fullmatch(r"[A-Z0-9_\- ]+", inner) or re.fullmatch(r"[\w.\-]+(?:[ _\-][\w.\-]+)+", inner):
        return not any(c.isdigit() for c in inner) or inner.isupper() or _OWN.fullmatch(f"[{inner}]") is not None
    return any(
        part in listed[name] for part in parts for name in ("examples", "types", "messages", "function", "predicates")
    )


def _is_argument(text: str, start: int, end: int, value: str) -> bool:
    """Whether a bare word is a variable handed to a function: `connect(host, password=word)`."""
    if not value.isidentifier() or strong(value) or text[end : end + 1] not in ("", ")", ","):
        return False
    return _CALL_BEFORE.search(text, max(0, start - 200), start) is not None
