"""Private data that has a form: every pattern finder, run only where a cheap look says it may find something."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from netgpt.privacy.detectors.accounts import (
    HANDLE_WORDS,
    USER_WORDS,
    find_handles,
    find_homes,
    find_profiles,
    find_usernames,
)
from netgpt.privacy.detectors.addresses import BIRTH_WORDS, find_addresses, find_births
from netgpt.privacy.detectors.financial import find_cards, find_ibans
from netgpt.privacy.detectors.national_ids import find_announced, find_crypto, find_ids, find_machines, find_national
from netgpt.privacy.detectors.normalize import views
from netgpt.privacy.detectors.phones import find_phones
from netgpt.privacy.detectors.references import (
    PLATE_WORDS,
    REFERENCE_WORDS,
    find_labelled,
    find_plates,
    find_references,
    titled,
)
from netgpt.privacy.detectors.secrets import find_keys, find_secret_urls
from netgpt.privacy.kinds import word_set
from netgpt.types import Span

# --- A quick look at a text: which of the slower searches could find anything in it.

_WORDS = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d[\d\s().\-/+_·]{3,}\d|\d{5}")
_LONG = re.compile(r"[A-Za-z0-9_\-.:]{16}")
_NAME_WORDS: Final = word_set(
    """
    name names called dear mr mrs ms dr prof sir madam herr frau madame monsieur señora señor boss manager colleague
    friend neighbor neighbour wife husband partner son daughter mother father sister brother uncle aunt cousin doctor
    dentist teacher lawyer landlord client patient tenant met meet tell ask asked told call invite thank signed
    sincerely regards from to cc attn appelle heiße heisse llamo chiamo heet chamo nazywam
    """
)
_SECRET_PARTS: Final = (
    "key", "token", "secret", "pass", "pwd", "pw", "pin", "otp", "bearer", "authori", "cookie", "sig", "contrase",
    "wacht", "session", "connection",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prefilter:
    """What one reading of a text shows."""

    words: frozenset[str]
    """Its words in small letters."""
    has_digit: bool
    has_number: bool
    """Whether digits stand together as in a long number."""
    has_long: bool
    """Whether something is as long as a key."""
    tells_secret: bool
    """Whether a word stands there that announces a secret."""
    lowered: str

    @classmethod
    def of(cls, text: str) -> Prefilter:
        lowered = text.lower()
        has_digit = _DIGIT.search(text) is not None
        return cls(
            words=frozenset(_WORDS.findall(lowered)),
            has_digit=has_digit,
            has_number=has_digit and _DIGITS.search(text) is not None,
            has_long=_LONG.search(text) is not None,
            tells_secret=any(part in lowered for part in _SECRET_PARTS),
            lowered=lowered,
        )

    @property
    def tells_name(self) -> bool:
        """Whether a word stands there that announces a name."""
        return not self.words.isdisjoint(_NAME_WORDS)


_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~.\-]{1,80}\Z")
_QUOTED_LOCAL = re.compile(r"\"(?:[^\"\\\n]|\\.){1,64}\"\Z")
_DOMAIN = re.compile(r"(?:[\w](?:[\w\-]{0,61}[\w])?\.){1,8}[\w\-]{1,62}\w|\[(?:IPv6:)?[0-9a-fA-F.:]{3,45}\]")
_SPELLED_AT = re.compile(
    r"(?i)\s{0,3}[\[({<]\s?(?:at|@)\s?[\])}>]\s{0,3}(?=\w)|\s{1,3}at\s{1,3}(?=\w)|\s{0,3}@\s{0,3}(?=\w)"
)
_SPELLED_LOCAL = re.compile(r"[\w.+\-]{1,61}\Z")
_WORD_BEGINS = re.compile(r"(?<![\w.])\w")
_SPELLED_DOMAIN = re.compile(
    r"(?i)\w[\w\-]{0,60}(?:(?:\s{0,3}[\[({<]\s?(?:dot|\.)\s?[\])}>]\s{0,3}|\s{1,3}dot\s{1,3}|\."
    r"|\s\.\s)\w[\w\-]{1,60}){1,5}"
)
_SPELLED_END = re.compile(  # without brackets, "at ... dot ..." is also plain English: only well-known ends count
    r"(?i)\bdot\s+(?:com|org|net|edu|gov|io|co|me|info|biz|app|dev|ai|uk|de|fr|es|it|nl|eu|ch|at|in|au|ca|us|example)$"
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
    """The finders that this text could interest: plain prose passes with one quick look."""
    seen = Prefilter.of(text)
    if "@" in text or "dot" in seen.words:
        yield find_emails
    if "//" in text:
        yield find_secret_urls
    if seen.has_long or seen.tells_secret:
        yield find_keys
    if seen.has_long:
        yield find_crypto
    if seen.has_digit or ":" in text:
        yield find_machines
    if seen.tells_name or '"' in text or "'" in text:
        yield find_labelled
    yield from _of_own_names(text, seen)
    if seen.has_digit:
        yield from _of_numbers(seen)
        yield from _of_announced(seen)


def _of_numbers(seen: Prefilter) -> Iterator[Finder]:
    yield _find_addresses_in_any_case
    yield find_ids
    yield find_national
    yield find_announced
    if seen.has_number:
        yield find_cards
        yield find_phones
        yield find_ibans


def _of_announced(seen: Prefilter) -> Iterator[Finder]:
    if not seen.words.isdisjoint(REFERENCE_WORDS):
        yield find_references
    if not seen.words.isdisjoint(PLATE_WORDS):
        yield find_plates
    if not seen.words.isdisjoint(BIRTH_WORDS):
        yield find_births


def _of_own_names(text: str, seen: Prefilter) -> Iterator[Finder]:
    if "/" in text and "." in text:
        yield find_profiles
    if "@" in text and not seen.words.isdisjoint(HANDLE_WORDS):
        yield find_handles
    if not seen.words.isdisjoint(USER_WORDS):
        yield find_usernames
    if "/home/" in text or "Users" in text:
        yield find_homes


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
    yield from _spelled_emails(text)


def _spelled_emails(text: str) -> Iterator[Span]:
    """Looked for from their sign outwards, for the same reason."""
    at, done = _SPELLED_AT.search(text), 0
    while at:
        following = at.start() + 1
        domain = _SPELLED_DOMAIN.match(text, at.end())
        local = _SPELLED_LOCAL.search(text, max(done, at.start() - 61), at.start()) if domain else None
        begin = _WORD_BEGINS.search(text, local.start(), at.start()) if local else None
        if domain and begin:
            following = done = domain.end()
            if at[0].strip().lower() != "at" or _SPELLED_END.search(domain[0]):
                yield Span(begin.start(), done, "EMAIL", "pattern:email_spelled", 0.7)
        at = _SPELLED_AT.search(text, following)
