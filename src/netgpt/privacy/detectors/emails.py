"""E-mail addresses, in one piece or spelled out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.registry import Prefilter, detector
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
_ENDS: Final = (
    "com|org|net|edu|gov|io|co|me|info|biz|app|dev|ai|uk|de|fr|es|it|nl|eu|ch|at|in|au|ca|us|pt|br|mx|ar|pl|ru|cz|dk|se"
    "|no|fi|hu|jp|cn|tr|ie|be|nz|za|gr|ro|example"
)
_DOT: Final = "dot|punkt|point|punto|ponto|punt|kropka|точка|крапка|punktum|pont|tečka|nokta|piste|ドット|点|點|닷"
_SIGN: Final = (  # what the sign is called; the last three are words with another meaning, too
    "arobase|arroba|chiocciola|małpa|apenstaartje|snabel-?a|zavináč|klammeraffe|at[\\- ]?sign|アットマーク|艾特|골뱅이"
    "|собака|kukac|ät|bei"
)
_DOT_WORDS, _SIGN_WORDS = frozenset(_DOT.split("|")), frozenset(_SIGN.split("|")) | {"snabel", "sign"}
_BRACKETED_AT = re.compile(
    rf"(?i)\s{{0,3}}[\[({{<]\s?(?:at|@|{_SIGN})\s?[\])}}>]\s{{0,3}}(?=\w)|(?<=\w)(?:\(a\)|([|*\"/~])at\1)(?=\w)"
)
_SPELLED_AT = re.compile(
    rf"{_BRACKETED_AT.pattern}|\s{{1,3}}(?:at|{_SIGN})\s{{1,3}}(?=\w)|(?<=\w)([\-_])at\2(?=\w+[\-_]dot)|\s{{0,3}}@\s{{0,3}}(?=\w)"
)
_SPELLED_LOCAL = re.compile(rf"(?:[\w+\-]{{1,30}} (?:{_DOT}|underscore|dash) ){{0,3}}[\w.+\-]{{1,61}}\Z", re.IGNORECASE)
_WORD_BEGINS = re.compile(r"(?<![\w.])\w")
_SPELLED_DOMAIN = re.compile(
    rf"(?i)(?:\w[\w\-]{{0,60}}?(?:(?:\s{{0,3}}[\[({{<]\s?(?:{_DOT}|\.)\s?[\])}}>]\s{{0,3}}|\s{{1,3}}(?:{_DOT})\s{{1,3}}"
    r"|\.|\s\.\s|[\-_]dot[\-_])\w[\w\-]{1,60}?(?![\w\-]*[\w])){1,5}"
    r"|(?:gmail|googlemail|hotmail|yahoo|outlook|icloud|protonmail|gmx)\b(?: com\b)?)"
)
_SPELLED_END = re.compile(  # without brackets, "at ... dot ..." is also plain English: only well-known ends count
    rf"(?i)(?<![^\W_])(?:{_DOT})[\s\-_]+(?:{_ENDS})$"
)
_KNOWN_END = re.compile(rf"(?i)\.(?:{_ENDS})$")
_ANNOUNCED = re.compile(
    r"(?i)\b(?:e-?mail|mail|address|adresse?|courriel|correo|contact|write|reach)\b[^\n]{0,16}"
    r"(?:\b(?:is|to|at|on|under|an|à|es|ist)|[:=])\s{0,2}\Z"
)
_NO_LOCAL = frozenset("me us him her them you it mail email all data".split())  # noqa: SIM905


def _may_be_spelled(seen: Prefilter) -> bool:
    if seen.has_any(_DOT_WORDS) or seen.has_any(_SIGN_WORDS):
        return True
    if not seen.has_any(_AT):
        return "(a)" in seen.lowered
    return len(seen.text) < _CELL or seen.has_any(_NEAR) or _BRACKETED_AT.search(seen.lowered) is not None


_AT: Final = frozenset(("at",))
_CELL: Final = 80
"""Characters of a text that may be one address."""
_NEAR: Final = frozenset(
    "mail email address contact write reach gmail googlemail hotmail yahoo outlook icloud protonmail gmx".split()  # noqa: SIM905
)


@detector(
    kind="EMAIL",
    family="contact",
    triggers=lambda seen: "@" in seen.text or _may_be_spelled(seen),
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


def _spelled_emails(text: str) -> Iterator[Span]:
    """Looked for from their sign outwards, for the same reason."""
    at, done = _SPELLED_AT.search(text), 0
    while at:
        following = at.start() + 1
        domain = _SPELLED_DOMAIN.match(text, at.end())
        local = _SPELLED_LOCAL.search(text, max(done, at.start() - 61), at.start()) if domain else None
        begin = _WORD_BEGINS.search(text, local.start(), at.start()) if local else None
        if domain and begin and _is_address(text, at, begin.start(), domain[0]):
            following = done = domain.end()
            yield Span(begin.start(), done, "EMAIL", "pattern:email_spelled", 0.7)
        at = _SPELLED_AT.search(text, following)


def _is_address(text: str, at: re.Match[str], begin: int, domain: str) -> bool:
    """Whether what stands around the word for "@" is nothing else."""
    sign, local = at[0].strip().lower(), text[begin : at.start()].strip()
    spelled = _SPELLED_END.search(domain) is not None
    if local.lower() in _NOBODY or local.lower() in _NO_LOCAL:
        return False
    if "." not in domain and not spelled:  # "ada.mill at gmail"
        return any(c in "._" or c.isdigit() for c in local) or sign not in ("at", "bei", "ät")
    if sign == "@":
        mentioned = at[0][0].isspace() and not at[0][-1].isspace()  # "and @name"
        return not mentioned or spelled
    if sign == "(a)":
        return _KNOWN_END.search(domain) is not None
    if not sign[0].isalpha():
        return domain[-2:].isalpha()
    if spelled:
        return True
    return _KNOWN_END.search(domain) is not None and bool(
        (sign == "at" and (_ANNOUNCED.search(text, max(0, begin - 40), begin) or _is_all(text, begin, local, domain)))
        or sign not in ("at", "собака", "kukac", "ät", "bei")
    )


def _is_all(text: str, begin: int, local: str, domain: str) -> bool:
    """Whether nothing else stands in a cell or field: "ada.mill at mill.com"."""
    is_person = any(c in "._" for c in local) and not _FILE.search(local)
    return is_person and not text[:begin].strip() and text.rstrip().endswith(domain)


_FILE: Final = re.compile(r"(?i)\.(?:ya?ml|[jt]sx?|py|md|txt|json|html?|toml|css|go|rs|[ch]|sh|io|pdf|csv|net)$")
