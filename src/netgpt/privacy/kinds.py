"""The kinds of private data that a span may have, and the family that each belongs to.

A policy and a generaliser decide by family where they have no rule for the kind itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from netgpt.types import Terms

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PERSON": "identity",
        "ORG": "identity",
        "JOB": "identity",
        "AGE": "identity",
        "NATIONALITY": "identity",
        "USERNAME": "identity",
        "EMAIL": "contact",
        "PHONE": "contact",
        "URL": "contact",
        "PLACE": "place",
        "ADDRESS": "place",
        "DATE": "time",
        "BIRTHDATE": "time",
        "ID": "number",
        "IP": "number",
        "MAC": "number",
        "PLATE": "number",
        "CARD": "secret",
        "IBAN": "secret",
        "CRYPTO": "secret",
        "NATIONAL_ID": "secret",
        "API_KEY": "secret",
        "HEALTH": "health",
        "PRIVATE": "own",
        "PRODUCT": "other",
    }
)
"""Kind -> family. The kinds of the owner's profile that are not named here are `own`."""


def family(kind: str) -> str:
    """The family of a kind; `own` for a kind that is no detector's (it came from a profile)."""
    return KINDS.get(kind, "own")


# --- The ladder of precision: in which forms a private value may leave, from the finest to the coarsest.
#
# A place can be told exactly, or as its street, district, city, region, country; a date as its month or year; an
# age or an amount as a range; everything as a placeholder, which is the coarsest rung: it tells the kind alone.
# Which rungs a value may take is not decided here: `Terms` say it, rung by rung, with the rule that allows it.

EXACT: Final = "exact"
PLACEHOLDER: Final = "placeholder"

LADDERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "place": (EXACT, "street", "district", "city", "region", "country", PLACEHOLDER),
        "time": (EXACT, "month", "year", PLACEHOLDER),
        "range": (EXACT, "range", PLACEHOLDER),
        "": (EXACT, PLACEHOLDER),
    }
)
"""By family; kinds that are a quantity have the ladder `range`."""

_QUANTITIES = frozenset(("AGE", "AMOUNT", "MONEY"))

TermsOf = Callable[[str, bool], Terms]
"""(kind, whether the words are public anyway) -> on which terms it may leave."""


def ladder(kind: str) -> tuple[str, ...]:
    """The rungs of a kind, finest first."""
    if kind in _QUANTITIES:
        return LADDERS["range"]
    return LADDERS.get(family(kind), LADDERS[""])


def placeholders_only(kind: str, public: bool) -> Terms:
    """Where no policy is asked: public words as they are, everything else as a placeholder."""
    return Terms(((EXACT if public else PLACEHOLDER, ""),), "")


# --- Sets of words written as one string, and the words that the search for names must know.


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


WORDS_OF_TRADE: Final = word_set(
    """
    api json http https url html css sql python java javascript typescript markdown linux docker openai chatgpt
    gpt ai llm user users assistant system bot hi hello hey dear thanks thank regards sincerely please yes no ok
    email phone iban card monday tuesday wednesday thursday friday saturday sunday january february march april
    june july august september october november december ceo cto cfo hr pdf faq todo ssn nhs usd eur gbp mr mrs
    ms dr prof sir madam null true false select insert create update delete function class name address street
    road place date time today tomorrow netgpt
    """
)
"""Words that the model takes for names and that are none."""

ALSO_WORDS: Final = word_set(
    """
    will may mark grace rose june april august hope joy art bill bob jack frank sue pat rob drew chase grant
    miles faith amber ruby jade daisy lily ivy holly dawn eve summer autumn brook brooks young king prince
    knight bishop baker cook hunter fisher smith price wood woods stone field fields hill rivers lake banks
    brown green white black gray grey long short day day's major noble rich love best cross page park parks reed
    rice rush sharp small strong sweet wise west north east south case carpenter mason potter butler carter dean
    earl guy lance max norm penny gene ray don ken chip the of and van von der den de la le del di da el bin ibn
    san st saint new old big good great first last one two
    """
)
"""Names that are common words as well: standing alone they count only with a capital."""

AROUND: Final = word_set(
    "a an and are as at but by for from had has have i in is my of on or our that the their to was were with"
)
"""Small words that stand around names and are no part of them."""
