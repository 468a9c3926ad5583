"""Private data that has a form: every pattern finder, run only where a cheap look says it may find something."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from netgpt.privacy.addresses import find_addresses
from netgpt.privacy.credentials import find_keys, find_secret_urls
from netgpt.privacy.identities import find_crypto, find_ids, find_machines
from netgpt.privacy.labels import find_labelled, titled
from netgpt.privacy.national import find_announced, find_national
from netgpt.privacy.normal import views
from netgpt.privacy.numbers import find_cards, find_ibans
from netgpt.privacy.phones import find_phones
from netgpt.types import Span

__all__ = ["find_emails", "find_patterns"]

_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~.\-]{1,80}\Z")
_QUOTED_LOCAL = re.compile(r"\"(?:[^\"\\\n]|\\.){1,64}\"\Z")
_DOMAIN = re.compile(r"(?:[\w](?:[\w\-]{0,61}[\w])?\.){1,8}[\w\-]{1,62}\w|\[(?:IPv6:)?[0-9a-fA-F.:]{3,45}\]")
_SPELLED = re.compile(
    r"(?i)(?<![\w.])(?P<local>\w[\w.+\-]{0,60})(?P<at>\s{0,3}[\[({<]\s?(?:at|@)\s?[\])}>]\s{0,3}"
    r"|\s{1,3}at\s{1,3}|\s{0,3}@\s{0,3})"
    r"(?P<domain>\w[\w\-]{0,60}(?:(?:\s{0,3}[\[({<]\s?(?:dot|\.)\s?[\])}>]\s{0,3}|\s{1,3}dot\s{1,3}|\."
    r"|\s\.\s)\w[\w\-]{1,60}){1,5})"
)
_SPELLED_END = re.compile(  # without brackets, "at ... dot ..." is also plain English: only well-known ends count
    r"(?i)\bdot\s+(?:com|org|net|edu|gov|io|co|me|info|biz|app|dev|ai|uk|de|fr|es|it|nl|eu|ch|at|in|au|ca|us|example)$"
)
_DIGITS = re.compile(r"\d[\d\s().\-/+_·]{3,}\d|\d{5}")
_LABEL_HINT = re.compile(r"(?i)name|[\"']\s?[:=]|m'appelle|hei(?:ß|ss)e|llamo|called|[^\W\d_]{2}[,:.]?\s[^\W\d_]{2}")
_STREET_NUMBER = re.compile(r"\d")
_KEY_HINT = re.compile(
    r"(?i)key|token|secret|pass|pwd|\bpw\b|\bpin\b|otp|bearer|authori|cookie|sig|contrase|wacht|[A-Za-z0-9_\-]{16}|xox|[a-z0-9]\.[\w\-]{16}"
)

Finder = Callable[[str], Iterator[Span]]


def find_patterns(text: str) -> list[Span]:
    """Spans of every form of private data in `text`, in original offsets; they may overlap."""
    spans: set[Span] = set()
    for view in views(text):
        for finder in _worth_running(view.text):
            for found in finder(view.text):
                start, end = view.back(found.start, found.end)
                spans.add(Span(start, end, found.kind, found.rule, found.score))
    return sorted(spans, key=lambda span: (span.start, -span.end))


def _worth_running(text: str) -> Iterator[Finder]:
    """The finders that this text could interest: plain prose passes with a few quick searches."""
    if "@" in text or " dot " in text.lower() or "dot]" in text.lower() or "dot)" in text.lower():
        yield find_emails
    if "//" in text:
        yield find_secret_urls
    if _KEY_HINT.search(text):
        yield find_keys
        yield find_crypto
    if ":" in text or "-" in text or "." in text:
        yield find_machines
    if _LABEL_HINT.search(text):
        yield find_labelled
    if _STREET_NUMBER.search(text):
        yield _find_addresses_in_any_case
        yield find_ids
        yield find_national
        yield find_announced
        if _DIGITS.search(text):
            yield find_cards
            yield find_phones
            yield find_ibans


def _find_addresses_in_any_case(text: str) -> Iterator[Span]:
    yield from find_addresses(text)
    if (calmed := titled(text)) is not None and calmed != text:
        yield from find_addresses(calmed)


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
            if start < at:
                yield Span(start, domain.end(), "EMAIL", "pattern:email")
        at = text.find("@", at + 1)
    for match in _SPELLED.finditer(text):
        if match["at"].strip().lower() != "at" or _SPELLED_END.search(match["domain"]):
            yield Span(match.start(), match.end(), "EMAIL", "pattern:email_spelled", 0.7)
