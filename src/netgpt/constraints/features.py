"""Needs that are not about food (access, fears, other allergies), by `features.toml`: how facts state them, and which
words of an option go against them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from netgpt.constraints.taxonomy import folded

_NOT: Final = re.compile(
    r"(?:\b(?:no|not|without|never|zero|avoids?|avoiding|instead of|rather than|free of|kein|keine|keinen|ohne|"
    r"nicht|statt|sans|pas d[e'](?: la | l')?|aucune?"
    r"|evite|sin|ningun|ninguna|senza|nessun|nessuna|niente|non|evita)|n't)\s*(?:\w+\s+(?:or\s+|and\s+|oder\s+|"
    r"ou\s+|o\s+)){0,3}(?:(?:any|the|use of|having to|"
    r"need to|a|an|les|des|las|le)\s+){0,2}$"
)
"""Ends right before a word that is then not meant."""
_FREE: Final = re.compile(
    r"-?\s?(?:free|frei)\b|\s*(?::|\||-|=)\s*(?:no|none|not?|0|nein|keine?|non|aucun|"
    r"ningun[oa]?|nessun[oa]?)\b(?!\s+(?:lift|elevator))"
)
_UNFIT: Final = re.compile(r"\s*(?::|\||=)\s*(?:no|none|nein|keine?r?|non|ningun[oa]?|nessun[oa]?)\b")


@dataclass(frozen=True, slots=True)
class Need:
    """One need. `where`: the kinds of requests in which it counts."""

    name: str
    kind: str
    where: frozenset[str]
    things: frozenset[str]
    """What makes ill, as facts name it."""
    about: re.Pattern[str]
    """What is feared, or not managed."""
    facts: re.Pattern[str]
    against: re.Pattern[str]
    fits: re.Pattern[str]

    def goes_against(self, option: str) -> bool:
        """Whether a folded text names something against it, and does not say that it is not there."""
        for match in self.against.finditer(option):
            before, after = option[max(0, match.start() - 60) : match.start()], option[match.end() : match.end() + 14]
            own_negation = re.match(r"(?:no|not|ohne|kein|nicht|sans|pas|non|sin|senza)\b", match[0])
            if not own_negation and (_NOT.search(before) or _FREE.match(after)):
                continue
            if self.fits_at(option, match.start(), match.end()):
                continue
            return True
        return any(_UNFIT.match(option[match.end() : match.end() + 12]) for match in self.fits.finditer(option))

    def fits_at(self, option: str, start: int, end: int) -> bool:
        """Whether the words there are part of ones that fit ("vegan leather")."""
        return any(match.start() <= start and end <= match.end() for match in self.fits.finditer(option))

    def is_met_by(self, option: str) -> bool:
        """Whether a folded text says something that fits."""
        return self.fits.search(option) is not None


def _pattern(words: str) -> re.Pattern[str]:
    phrases = sorted((" ".join(phrase.split()) for phrase in folded(words).split(";") if phrase.strip()), key=len)
    if not phrases:
        return re.compile(r"(?!)")
    some = [
        re.escape(each).replace(r"\*", r"\w+").replace(r"\~", "~").replace("~", r"\w+") for each in reversed(phrases)
    ]
    return re.compile(r"(?<!\w)(?:" + "|".join(some) + r")(?!\w)")


@cache
def needs() -> dict[str, Need]:
    """All of them, by name; read once."""
    source = resources.files("netgpt.constraints").joinpath("features.toml").read_text(encoding="utf-8")
    return {
        name: Need(
            name,
            told["kind"],
            frozenset(told["where"].split()),
            frozenset(told.get("things", "").split()),
            *(_pattern(told.get(part, "")) for part in ("about", "facts", "against", "fits")),
        )
        for name, told in tomllib.loads(source).items()
    }
