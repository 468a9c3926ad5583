"""Kinds of private data: in which forms they may leave, and how their placeholders are written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from netgpt.privacy.registry import families
from netgpt.privacy.registry import family as family
from netgpt.types import Terms

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


def hierarchy(kind: str) -> tuple[str, ...]:
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


# --- How a placeholder is written, and how a model may write it back.
#
# `[PERSON_1]` is the first person of a conversation. `[PERSON_1b]` is the same person in another spelling ("ADA
# LOVELACE"), so that each spelling comes back as it was and the model still sees that the two are one.

FIXED_KINDS = word_set(
    "EMAIL PHONE IBAN CARD IP URL API_KEY CRYPTO NATIONAL_ID MAC ADDRESS PERSON PLACE ORG LITERAL USER PRIVATE OWN"
)
"""Kinds that tell so little that a profile's fact may be called by them."""


def known_kinds() -> frozenset[str]:
    """Kinds that any conversation may get; profile kinds come on top."""
    return FIXED_KINDS.union(families())


TRANSLATED: Final[Mapping[str, str]] = {
    word: kind
    for kind, told in {
        "PERSON": "PERSONNE PERSONA PERSOON PESSOA PERSONEN",
        "PLACE": "LIEU LUGAR ORT PLAATS LUOGO LOCAL",
        "ORG": "ORGANISATION ORGANIZATION ORGANISATIE ORGANIZACIÓN ORGANIZAÇÃO ORGANIZZAZIONE",
        "EMAIL": "E-MAIL MAIL COURRIEL CORREO",
        "PHONE": "TÉLÉPHONE TELEPHONE TELEFON TELEFONO TELÉFONO TELEFONE TELEFOON",
        "ADDRESS": "ADRESSE DIRECCIÓN INDIRIZZO ADRES ENDEREÇO",
        "DATE": "DATUM FECHA DATA",
        "CARD": "CARTE KARTE TARJETA CARTA KAART CARTÃO",
    }.items()
    for word in told.split()
}
"""Kinds as a model that answers in another language writes them, in brackets."""

OPENING: Final = "[<［＜【〔"
CLOSING: Final = "]>］＞】〕"
_FILL = r"[ \t*_`~\\]{0,4}"
"""Markdown and spaces that a model may put between bracket and name."""
_SPELLINGS: Final = "bcdefghijk"
"""What tells the second to eleventh spelling of one value."""


def bracketed(name: str) -> str:
    """`EMAIL_1` -> `[EMAIL_1]`: how it stands in prose."""
    return f"[{name}]"


def spelling_of(name: str, taken: Container[str]) -> str | None:
    """A name for another spelling of what `name` stands for, or None when there are too many: `DIET_1` -> `DIET_1b`."""
    return next((name + letter for letter in _SPELLINGS if name + letter not in taken), None)


def number_of(name: str) -> int:
    """`DIET_1b` -> 1. Raises ValueError."""
    return int(name.rpartition("_")[2].rstrip(_SPELLINGS))


@lru_cache(maxsize=256)
def variants(kinds: frozenset[str]) -> Any:
    """A compiled pattern for every accepted way of writing a placeholder of these kinds.

    In brackets or angles, also the wide ones of East Asian texts: in any case, in another language, with markdown or
    a genitive inside, with a space for the underscore; or bare with its underscore. Groups named `k`, `n` and `v` hold
    kind, number and spelling. `[PERSON_1]` never matches inside `[PERSON_12]`.
    """
    import regex

    told = kinds | {word for word, kind in TRANSLATED.items() if kind in kinds and word not in kinds}
    spelled = "|".join(_spelled(kind, r"\\{0,2}[_＿ \-]") for kind in _longest_first(told))
    bare = "|".join(_spelled(kind, r"\\{0,2}_") for kind in _longest_first(kinds))
    number = r"(?P<n>[0-9０-９]{1,6})(?P<v>[a-z]?)"
    inside = rf"{_FILL}(?P<k>{spelled})\\{{0,2}}[_＿ \-]{number}(?![0-9０-９])"
    return regex.compile(
        rf"\\{{1,2}}\[{inside}(?P<s>['’]s)?[ \t*_`~]{{0,4}}\\{{1,2}}\]"
        rf"|[{re.escape(OPENING)}]{inside}(?P<s>['’]s)?{_FILL}[{re.escape(CLOSING)}]"
        rf"|(?<![A-Za-z0-9])(?P<k>{bare})\\{{0,2}}_(?P<n>[0-9]{{1,6}})(?P<v>[{_SPELLINGS}]?)(?![A-Za-z0-9])",
        regex.IGNORECASE,
    )


@lru_cache(maxsize=256)
def lookalikes(kinds: frozenset[str]) -> Any:
    """As `variants`, and a bare one also where letters touch it: once these are hidden, it would stand apart."""
    import regex

    bare = "|".join(_spelled(kind, r"\\{0,2}_") for kind in _longest_first(kinds))
    glued = rf"(?P<k>{bare})\\{{0,2}}_(?P<n>[0-9]{{1,6}})(?P<v>[{_SPELLINGS}]?)"
    return regex.compile(f"{variants(kinds).pattern}|{glued}", regex.IGNORECASE)


def _longest_first(kinds: Iterable[str]) -> list[str]:
    return sorted(kinds, key=lambda kind: (-len(kind), kind))


def _spelled(kind: str, underscore: str) -> str:
    return "".join(underscore if c in "_-" else c for c in kind)


def read(match: Any) -> str:
    """The canonical name of a match of `variants`: `[**Api key_1**]` -> `API_KEY_1`."""
    kind = match["k"].replace("\\", "").replace(" ", "_").replace("-", "_").replace("＿", "_").upper()
    return f"{TRANSLATED.get(kind.replace('E_MAIL', 'E-MAIL'), kind)}_{int(match['n'])}{match['v'].lower()}"


def original_of(match: Any, originals: Mapping[str, str]) -> str | None:
    """What a match stands for, with the ending that the model gave it; None where that is not certain."""
    name = read(match)
    value = originals.get(name)
    ending = match["s"] or ""
    if value is None and name.endswith("s"):  # "[PERSON_1s]": the plural, or another language's genitive
        value, ending = originals.get(name[:-1]), "s"
    return None if value is None else value + ending


def hold_from(pattern: Any, text: str, start: int) -> int | None:
    """The first place from `start` on where `text` may be the beginning of a placeholder still to come, or None."""
    first = max(start, len(text) - 64)
    for at in range(first, len(text)):
        if not (text[at].isalpha() or text[at] in OPENING or text[at] == "\\"):
            continue
        match = pattern.fullmatch(text, at, partial=True)
        if match and (match.partial or text[-1] not in CLOSING):
            return at
    return None


def replace_all(pattern: Any, text: str, originals: Mapping[str, str], *, as_json: bool = False) -> str:
    """`text` with every known placeholder replaced; `as_json`: the text is JSON source, so values are escaped."""

    def original(match: Any) -> str:
        value = original_of(match, originals)
        if value is None:
            return str(match[0])
        return json.dumps(value, ensure_ascii=False)[1:-1] if as_json else value

    return str(pattern.sub(original, text))


def kinds_of(names: Iterable[str]) -> frozenset[str]:
    """The kinds of placeholder names: `API_KEY_1` -> `API_KEY`."""
    return frozenset(name.rpartition("_")[0] for name in names)
