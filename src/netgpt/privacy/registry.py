"""What a detector declares, and the registry of all: those of `privacy.detectors`, and those of other distributions.

A declaration feeds everything that must know of a detector: the search and its prefilter, the families that policies
speak of, the kinds that win where finds overlap, the audits, and the table in the docs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from netgpt.registry import PluginEntry, PluginRegistry
from netgpt.types import Span

FAMILIES: Final = frozenset(("identity", "contact", "place", "time", "number", "secret", "health", "own", "other"))
OTHER_KINDS: Final[Mapping[str, str]] = {
    "PERSON": "identity", "ORG": "identity", "JOB": "identity", "AGE": "identity", "NATIONALITY": "identity",
    "PLACE": "place", "DATE": "time", "HEALTH": "health", "PRIVATE": "own", "PRODUCT": "other",
}  # fmt: skip
"""Kind -> family of what is found without a pattern: by the language model, or in a profile."""

_KIND = re.compile(r"[A-Z]{2,}(?:_[A-Z]+)*")
_TRIGGER = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d[\d\s().\-/+_·]{3,}\d|\d{5}")
_LONG = re.compile(r"[A-Za-z0-9_\-.:]{16}")


@dataclass(frozen=True, slots=True)
class Prefilter:
    """What one reading of a text shows: which detectors could find anything in it."""

    text: str
    lowered: str
    words: frozenset[str]
    """Its runs of letters, lower-cased."""
    has_digit: bool
    has_number: bool
    """Whether digits stand together as in a long number."""
    has_long: bool
    """Whether a run of characters is as long as a key."""

    @classmethod
    def of(cls, text: str) -> Prefilter:
        lowered = text.lower()
        has_digit = _DIGIT.search(text) is not None
        return cls(
            text=text,
            lowered=lowered,
            words=frozenset(_TRIGGER.findall(lowered)),
            has_digit=has_digit,
            has_number=has_digit and _DIGITS.search(text) is not None,
            has_long=_LONG.search(text) is not None,
        )

    def has_any(self, words: frozenset[str]) -> bool:
        return not self.words.isdisjoint(words)

    def holds_any(self, stems: Collection[str], least: int) -> bool:
        """Whether one of the stems, each with a letter, stands anywhere. `least`: characters of the shortest."""
        return bool(self.words) and len(self.lowered) >= least and any(map(self.lowered.__contains__, stems))


Find = Callable[[str], Iterable[Span | tuple[int, int]]]
Triggers = Iterable[str] | Callable[[Prefilter], bool] | None


@dataclass(frozen=True, eq=False)
class PatternDetector:
    """A search for one kind of private data, with all that NetGPT must know of it. Made by `detector`."""

    name: str
    kind: str
    family: str
    secret: bool
    may_find: Callable[[Prefilter], bool]
    """The prefilter: False where the search would find nothing."""
    examples: tuple[str, ...]
    find: Find
    about: str

    def __call__(self, text: str) -> Iterator[Span]:
        """Spans in `text`. A bare pair (start, end) gets the declared kind. Raises TypeError, ValueError: nonsense."""
        for found in self.find(text):
            yield found if isinstance(found, Span) else Span(*found, self.kind, f"pattern:{self.kind.lower()}", 0.8)


def detector(
    *, kind: str, family: str, secret: bool = False, triggers: Triggers = None, examples: Iterable[str] = ()
) -> Callable[[Find], PatternDetector]:
    """Declare a function `find(text)` that yields spans, or pairs (start, end), as a detector.

    `kind`: of the placeholder, `BADGE` -> `[BADGE_1]`. `family`: one of `FAMILIES`, by which policies decide where they
    have no rule for the kind. `secret`: whether it is as private as a password (its family is then "secret"), so that
    it wins where finds overlap. `triggers`: lower-case words of which one must stand in a text, or a function of its
    `Prefilter`; None: every text is searched. `examples`: texts in which it finds something. Raises ValueError.

    >>> @detector(kind="BADGE", family="number", triggers=["badge"], examples=["my badge is B-12"])
    ... def badges(text):
    ...     "Badges of the mill."
    ...     return [match.span() for match in re.finditer(r"B-[0-9]+", text)]
    >>> [span.kind for span in badges("my badge is B-12")]
    ['BADGE']
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f'kind "{kind}": capital letters, with "_" between words')
    if family not in FAMILIES:
        raise ValueError(f'no family "{family}"; the families are {", ".join(sorted(FAMILIES))}')
    if secret != (family == "secret"):
        raise ValueError(f"{kind}: secret=True and family='secret' belong together")
    may_find: Callable[[Prefilter], bool]
    if triggers is None:
        may_find = _always
    elif callable(triggers):
        may_find = triggers
    else:
        words = frozenset([triggers] if isinstance(triggers, str) else triggers)
        if wrong := sorted(word for word in words if not _TRIGGER.fullmatch(word) or word != word.lower()):
            raise ValueError(f'{kind}: the trigger "{wrong[0]}" is no single word in lower case')
        may_find = lambda seen: seen.has_any(words)  # noqa: E731

    def declare(find: Find) -> PatternDetector:
        name = getattr(find, "__name__", kind.lower()).removeprefix("find_")
        about = " ".join((find.__doc__ or "").split("\n\n")[0].split())
        return PatternDetector(name, kind, family, secret, may_find, tuple(examples), find, about)

    return declare


def _always(_seen: Prefilter) -> bool:
    return True


def _built_in() -> dict[str, tuple[PatternDetector, ...]]:
    return {each.name: (each,) for each in import_module("netgpt.privacy.detectors").BUILT_IN}


def _admit(name: str, loaded: Any) -> tuple[PatternDetector, ...]:
    """A plug-in's detectors: the object itself, or those of a module. Raises ValueError."""
    found = [loaded] if isinstance(loaded, PatternDetector) else list(getattr(loaded, "__dict__", {}).values())
    detectors = tuple(each for each in found if isinstance(each, PatternDetector))
    if not detectors:
        raise ValueError("holds no function with @netgpt.detector")
    package = import_module("netgpt.privacy.detectors")
    known = {
        **dict.fromkeys(package.PROFILE_KINDS, "own"),
        **OTHER_KINDS,
        **{d.kind: d.family for d in package.BUILT_IN},
    }
    for each in detectors:
        if known.get(each.kind, each.family) != each.family:
            raise ValueError(f"{each.kind} is of the family {known[each.kind]}, not {each.family}")
    return detectors


DETECTORS: Final[PluginRegistry[tuple[PatternDetector, ...]]] = PluginRegistry("netgpt.detectors", _built_in, _admit)
"""Entry points name a detector, or a module with some. A plug-in adds finds; it takes none away: see `Finder`."""


@lru_cache(maxsize=4)
def _families(entries: tuple[PluginEntry[tuple[PatternDetector, ...]], ...]) -> dict[str, str]:
    found: dict[str, str] = dict(OTHER_KINDS)
    for entry in entries:
        for each in entry.value or ():
            found.setdefault(each.kind, each.family)
    return found


def families() -> Mapping[str, str]:
    """Kind -> family of everything that may be found; the kinds of a profile that are not named here are `own`."""
    return _families(DETECTORS.entries())


def family(kind: str) -> str:
    """The family of a kind; `own` for a kind that is no detector's (it came from a profile)."""
    return families().get(kind, "own")
