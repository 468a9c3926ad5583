"""Kinds of private data: in which forms they may leave, and how their placeholders are written.

`[PERSON_1]` is the first person of a conversation. `[PERSON_1b]` is the same person in another spelling ("ADA
LOVELACE"), so that each spelling comes back as it was and the model still sees that the two are one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from netgpt.privacy.registry import families
from netgpt.privacy.registry import family as family
from netgpt.types import Terms

EXACT: Final = "exact"
PLACEHOLDER: Final = "placeholder"
SHIFTED: Final = "shifted"
YEARS: Final = "years"
ORDER: Final = "order"
"""Levels of what a request computes with; `computing` says when."""

NAMES: Final = 1
SURE_NAMES: Final = 2
"""How names are looked for in a text: as usual, or only those that the tagger is sure of; 0: not at all."""

HIERARCHIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "place": (EXACT, "street", "district", "city", "region", "country", PLACEHOLDER),
        "time": (EXACT, SHIFTED, "month", "year", PLACEHOLDER),
        "AGE": (EXACT, YEARS, "range", PLACEHOLDER),
        "PERSON": (EXACT, ORDER, PLACEHOLDER),
        "range": (EXACT, "range", PLACEHOLDER),
        "": (EXACT, PLACEHOLDER),
    }
)
"""The levels at which a value may leave, by kind or family, finest first; `range` is for quantities, "" for all others.

A placeholder is the coarsest level: it shows only the kind. Which levels are allowed is up to the `Terms`.
"""
_QUANTITIES = frozenset(("AGE", "AMOUNT", "MONEY"))

TermsOf = Callable[[str, bool], Terms]
"""(kind, whether the words are public anyway) -> the terms on which it may leave."""


def hierarchy(kind: str) -> tuple[str, ...]:
    """The levels of a kind, finest first."""
    if kind in HIERARCHIES:
        return HIERARCHIES[kind]
    return HIERARCHIES.get("range" if kind in _QUANTITIES else family(kind), HIERARCHIES[""])


def placeholders_only(kind: str, public: bool) -> Terms:
    """The terms without a policy: public words as they are, everything else as a placeholder."""
    return Terms(((EXACT if public else PLACEHOLDER, ""),), "")


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


WORDS_OF_TRADE: Final = word_set("""
    api json http https url html css sql python java javascript typescript markdown linux docker openai chatgpt
    gpt ai llm user users assistant system bot hi hello hey dear thanks thank regards sincerely please yes no ok
    email phone iban card monday tuesday wednesday thursday friday saturday sunday january february march april
    june july august september october november december ceo cto cfo hr pdf faq todo ssn nhs usd eur gbp mr mrs
    ms dr prof sir madam null true false select insert create update delete function class name address street
    road place date time today tomorrow netgpt""")
"""Words that the tagger takes for names although they are none."""

ALSO_WORDS: Final = word_set("""
    will may mark grace rose june april august hope joy art bill bob jack frank sue pat rob drew chase grant
    miles faith amber ruby jade daisy lily ivy holly dawn eve summer autumn brook brooks young king prince
    knight bishop baker cook hunter fisher smith price wood woods stone field fields hill rivers lake banks
    brown green white black gray grey long short day day's major noble rich love best cross page park parks reed
    rice rush sharp small strong sweet wise west north east south case carpenter mason potter butler carter dean
    earl guy lance max norm penny gene ray don ken chip the of and van von der den de la le del di da el bin ibn
    san st saint new old big good great first last one two""")
"""Names that are common words, too: alone they count only with a capital."""

AROUND: Final = word_set(
    "a an and are as at but by for from had has have i in is my of on or our that the their to was were with"
)
"""Small words that stand around names and are no part of them."""

FIXED_KINDS = word_set(
    "EMAIL PHONE IBAN CARD IP URL API_KEY CRYPTO NATIONAL_ID MAC ADDRESS PERSON PLACE ORG LITERAL USER PRIVATE OWN"
)
"""Kinds that reveal so little that a profile's fact may have them."""


def known_kinds() -> frozenset[str]:
    """Kinds of any conversation; those of a profile come on top."""
    return FIXED_KINDS.union(families())


OPENING: Final = "[<［＜【〔"
CLOSING: Final = "]>］＞】〕"
_SPELLINGS: Final = "bcdefghijk"
"""Suffixes of the second to eleventh spelling of one value."""


def bracketed(name: str) -> str:
    """`EMAIL_1` -> `[EMAIL_1]`, as in prose."""
    return f"[{name}]"


def spelling_of(name: str, *taken: Container[str]) -> str | None:
    """A name for another spelling of the same value: `DIET_1` -> `DIET_1b`; None when there are too many."""
    return next((name + letter for letter in _SPELLINGS if not any(name + letter in each for each in taken)), None)


def number_of(name: str) -> int:
    """The number in a name. Raises ValueError.

    >>> number_of("DIET_12b")
    12
    """
    return int(name.rpartition("_")[2].rstrip(_SPELLINGS))


def kinds_of(names: Iterable[str]) -> frozenset[str]:
    """The kinds of placeholder names: `API_KEY_1` -> `API_KEY`."""
    return frozenset(name.rpartition("_")[0] for name in names)
