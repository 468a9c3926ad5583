"""The built-in detectors: searches for private data that has a form, each run only where its prefilter agrees.

A detector is a function with `@detector(...)` in a module named in `MODULES`; `privacy.registry` says what it declares.
It reads views of a text (`normalize`): plain where the original is disguised. A search takes time in proportion to
the length of the text: each pattern begins at a character that is quick to find, and no repetition is unbounded where
two could share a run. `netgpt.testing.check_detector` looks at that; `tests/plugins/test_add_only.py` runs it over all
of them, so the `examples` of a new one are its first test. `netgpt redact` shows it at work, `make docs` lists it.

What was only guessed the owner may except (`as_exception`): an exception covers a whole find, compared without case;
never a secret, never what a checksum proves, never a value of a person's profile. Misuse is bounded by that, and by who
may add one (`web.admin`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from netgpt.errors import RequestError
from netgpt.privacy.detectors import (
    accounts,
    addresses,
    commands,
    emails,
    financial,
    labels,
    national_ids,
    passwords,
    phones,
    postal,
    references,
    secrets,
    tables,
)
from netgpt.privacy.detectors.disguises import views
from netgpt.privacy.detectors.normalize import View, around_changes
from netgpt.privacy.detectors.profile_values import PROFILE_KINDS, find_values
from netgpt.privacy.registry import PatternDetector, Prefilter
from netgpt.types import Span

__all__ = ["BUILT_IN", "PROFILE_KINDS", "find_in_id", "find_keys", "find_patterns", "search"]

MODULES: Final = (
    emails,
    secrets,
    passwords,
    tables,
    commands,
    national_ids,
    references,
    accounts,
    addresses,
    financial,
    labels,
    phones,
    postal,
)
"""In run order."""
BUILT_IN: Final[tuple[PatternDetector, ...]] = tuple(
    each for module in MODULES for each in vars(module).values() if isinstance(each, PatternDetector)
)


def find_patterns(text: str) -> list[Span]:
    """Spans of every form of private data that a built-in detector knows, in original offsets; they may overlap.

    >>> [(span.start, span.end, span.kind) for span in find_patterns("ping 2001:db8::1")]
    [(5, 16, 'IP')]
    """
    spans = dict.fromkeys((*search(text, BUILT_IN), *_beside_underscores(text)))
    return sorted(spans, key=_place)


def find_in_id(text: str) -> list[Span]:
    """As `find_patterns`, for an id of the protocol: servers number calls, and `call_1732876543` is nobody's."""
    return search(text, BUILT_IN)


def _place(span: Span) -> tuple[int, int]:
    return span.start, -span.end


_KEYS: Final = tuple(each for each in BUILT_IN if each.kind in ("API_KEY", "URL", "EMAIL"))


def find_keys(text: str) -> list[Span]:
    """Of `find_patterns` the keys, e-mail addresses and addresses with a password: all that an id may not hold."""
    return search(text, _KEYS)


def search(text: str, detectors: Iterable[PatternDetector]) -> list[Span]:
    """As `find_patterns`, with these detectors: run order decides between finds that are equal.

    Raises what a detector raises; `detector.find_plugged` turns that into a DetectorError.
    """
    spans: dict[Span, None] = {}
    everywhere = tuple(detectors)
    far = tuple(each for each in everywhere if each.name in _FAR)
    near = tuple(each for each in everywhere if each.name not in _FAR)
    for number, view in enumerate(views(text)):
        spans.update(dict.fromkeys(_found(view, far if number else everywhere)))
        for part in around_changes(view) if number else ():
            spans.update(dict.fromkeys(_found(part, near)))
    return sorted(spans, key=_place)


def _found(view: View, detectors: Sequence[PatternDetector]) -> Iterator[Span]:
    seen = Prefilter.of(view.text)
    for detector in detectors:
        if detector.may_find(seen):
            for found in detector(view.text):
                start, end = view.back(found.start, found.end)
                if start < end:
                    yield Span(start, end, found.kind, found.rule, found.score)


_NAMED_BY: Final = tuple(each for each in BUILT_IN if each.name in ("ips", "macs", "ids", "phones"))
"""Detectors of what files, columns and functions are named by: `call_447911123456.wav`, `host_10.1.2.3_up`."""
_UNDERSCORE: Final = re.compile(r"_(?=[+(0-9A-Fa-f])|(?<=[0-9A-Fa-f])_")


def _beside_underscores(text: str) -> Iterator[Span]:
    """What ends where an underscore stands: for the detectors that is a letter, as in identifiers."""
    if "_" not in text or not _UNDERSCORE.search(text):
        return
    yield from _said_in_names(text)
    parted = View(_UNDERSCORE.sub("\n", text))
    for span in _found(parted, _NAMED_BY):
        if "_" in (text[span.start - 1 : span.start], text[span.end : span.end + 1]) and _MAY_NAME.get(
            span.kind, _anything
        )(parted.text, span):
            yield span


def _said_in_names(text: str) -> Iterator[Span]:
    """Numbers behind a word that says whose they are, with underscores for blanks: `ssn_536221234`, `tax_id_...`."""
    blank = View(_BETWEEN.sub(" ", text))
    for span in _found(blank, _SAID):
        said = text[span.start - 1 : span.start] == "_" and not _MOMENT.match(text, span.start)
        if said and (span.kind != "PHONE" or phones.may_be_grouped_in_name(blank.text, span)):
            yield span


_SAID: Final = tuple(each for each in BUILT_IN if each.name in ("announced", "phones"))
_BETWEEN: Final = re.compile(r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])")
_MOMENT: Final = re.compile(
    r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?!\d)|(?:19|20)\d{6}[T_-]?\d{4,6}(?!\d)"
    r"|1[5-9]\d{8}(?:\d{3})?(?!\d)"
)
"""A day, or seconds since 1970: what dumps and exports are named by."""


def _anything(_text: str, _span: Span) -> bool:
    return True


_MAY_NAME: Final = {"PHONE": phones.may_name, "IP": national_ids.may_name}
"""By kind: whether a find between underscores is one, and no run, version or date."""


_FAR: Final = frozenset(("columns",))
"""Detectors whose finds depend on what stands far away: the head of a table."""
_GUESSED: Final = frozenset(
    (
        "names", "field name", "pattern:reference", "pattern:plate", "pattern:username", "pattern:handle",
        "pattern:address", "pattern:postcode",
    )
)  # fmt: skip
"""Rules of finds that may be none."""
_LONGEST: Final = 100
"""Characters of an exception."""


def folded(words: str) -> str:
    """As exceptions are kept and compared.

    >>> folded("  Blue  FALCON ")
    'blue falcon'
    """
    return " ".join(unicodedata.normalize("NFC", words).casefold().split())


def as_exception(words: str) -> str:
    """The words as an exception. Raises RequestError: too short or long, or nothing that was guessed."""
    kept = folded(words)
    if not 2 <= len(kept) <= _LONGEST or not any(c.isalpha() for c in kept):
        raise RequestError(f"an exception has 2 to {_LONGEST} characters and a letter", param="word")
    if found := next((span for span in find_patterns(words) if span.rule not in _GUESSED), None):
        raise RequestError(
            f"this is found by its form as {found.kind}, not guessed: there is no exception for it", param="word"
        )
    return kept


def is_excepted(span: Span, found: str, exceptions: Collection[str], values: Sequence[tuple[str, str]]) -> bool:
    """Whether a find may stay. `values`: of a person's profile, which win."""
    if not exceptions or span.rule not in _GUESSED or folded(found) not in exceptions:
        return False
    return not find_values(found, values)
