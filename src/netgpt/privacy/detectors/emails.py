"""E-mail addresses, in one piece or spelled out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netgpt.privacy.registry import detector
from netgpt.types import Span

_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~.\-]{1,80}\Z")
_QUOTED_LOCAL = re.compile(r"\"(?:[^\"\\\n]|\\.){1,64}\"\Z")
_DOMAIN = re.compile(r"(?:[\w](?:[\w\-]{0,61}[\w])?\.){1,8}[\w\-]{1,62}\w|\[(?:IPv6:)?[0-9a-fA-F.:]{3,45}\]")
_PARAMETER = re.compile(
    r"(?i)(?:[?&][\w.\-]{1,30}|(?<![^\s\"'(\[,;|?&])(?:[\w.\-]{0,24}(?:mails?|user|addr|address|recipients?)"
    r"|(?:[\w.\-]{0,24}[._\-])?(?:to|cc|bcc|from|by|login|account|acct|owner|author|sender|receiver|contact|assignee"
    r"|name|username|id|uid|upn|key|value|val|subject|subscriber|member|customer|client|admin|sub|who|whom|cn)))"
    r"=(?=[^=])"
)
"""`?to=` and `mail=` before an address are no part of it. Any other word before "=" is: `ada=bounce@mill.org`."""
_NOBODY = frozenset(("git", "svn", "hg"))
"""Accounts of a service: `git@github.com`."""
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}){8,200}(?![0-9A-Za-z])")
_ENCODED = re.compile(r"[\w.+\-]{1,64}@[\w\-]{1,63}(?:\.[\w\-]{2,63}){1,4}\s*")
_SPELLED_AT = re.compile(
    r"(?i)\s{0,3}[\[({<]\s?(?:at|@)\s?[\])}>]\s{0,3}(?=\w)|\s{1,3}at\s{1,3}(?=\w)|\s{0,3}@\s{0,3}(?=\w)"
)
_SPELLED_LOCAL = re.compile(r"(?:[\w+\-]{1,30} (?:dot|underscore|dash) ){0,3}[\w.+\-]{1,61}\Z", re.IGNORECASE)
_WORD_BEGINS = re.compile(r"(?<![\w.])\w")
_SPELLED_DOMAIN = re.compile(
    r"(?i)\w[\w\-]{0,60}(?:(?:\s{0,3}[\[({<]\s?(?:dot|\.)\s?[\])}>]\s{0,3}|\s{1,3}dot\s{1,3}|\."
    r"|\s\.\s)\w[\w\-]{1,60}){1,5}"
)
_SPELLED_END = re.compile(  # without brackets, "at ... dot ..." is also plain English: only well-known ends count
    r"(?i)\bdot\s+(?:com|org|net|edu|gov|io|co|me|info|biz|app|dev|ai|uk|de|fr|es|it|nl|eu|ch|at|in|au|ca|us|example)$"
)


@detector(
    kind="EMAIL",
    family="contact",
    triggers=lambda seen: "@" in seen.text or "dot" in seen.words or (seen.has_long and "40" in seen.text),
    examples=("write to ada@mill.example", "ada at mill dot org"),
)
def find_emails(text: str) -> Iterator[Span]:
    """E-mail addresses, also on hosts without a public suffix, and spelled out ("ada at mill dot org").

    Each `@` is looked at from both sides, so that a text of a million signs costs linear time.
    """
    at = text.find("@")
    while at >= 0:
        local, domain = _LOCAL.search(text, max(0, at - 80), at), _DOMAIN.match(text, at + 1)
        if domain and (quoted := _QUOTED_LOCAL.search(text, max(0, at - 80), at)):
            yield Span(quoted.start(), domain.end(), "EMAIL", "pattern:email")
        elif local and domain:
            start = local.start() + len(local[0]) - len(local[0].lstrip("`*'{|/=.?&"))
            for parameter in _PARAMETER.finditer(text, start, at):
                start = parameter.end()
            if start < at and text[start:at] not in _NOBODY:
                yield Span(start, domain.end(), "EMAIL", "pattern:email")
        at = text.find("@", at + 1)
    yield from _spelled_emails(text)
    for run in _HEX.finditer(text) if "40" in text else ():
        if len(run[0]) % 2 == 0 and _ENCODED.fullmatch(bytes.fromhex(run[0]).decode("latin-1")):
            yield Span(*run.span(), "EMAIL", "pattern:email_encoded")


def _spelled_emails(text: str) -> Iterator[Span]:
    """Looked for from their sign outwards, for the same reason."""
    at, done = _SPELLED_AT.search(text), 0
    while at:
        following = at.start() + 1
        domain = _SPELLED_DOMAIN.match(text, at.end())
        local = _SPELLED_LOCAL.search(text, max(done, at.start() - 61), at.start()) if domain else None
        begin = _WORD_BEGINS.search(text, local.start(), at.start()) if local else None
        if begin and at[0].strip() == "@":
            mentioned = at[0][0].isspace() and not at[0][-1].isspace()  # "and @name"
            if mentioned or text[begin.start() : at.start()].strip() in _NOBODY:
                begin = None
        if domain and begin:
            following = done = domain.end()
            if at[0].strip().lower() != "at" or _SPELLED_END.search(domain[0]):
                yield Span(begin.start(), done, "EMAIL", "pattern:email_spelled", 0.7)
        at = _SPELLED_AT.search(text, following)
