"""Kinds of private data: in which forms they may leave, and how their placeholders are written.

`[PERSON_1]` is the first person of a conversation. `[PERSON_1b]` is the same person in another spelling ("ADA
LOVELACE"), so that each spelling comes back as it was and the model still sees that the two are one.
"""

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

EXACT: Final = "exact"
PLACEHOLDER: Final = "placeholder"
SHIFTED: Final = "shifted"
YEARS: Final = "years"
ORDER: Final = "order"
"""Levels of what a request computes with; `computing` says when."""

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


TRANSLATED: Final[Mapping[str, str]] = {
    word: kind
    for kind, words in {
        "PERSON": "PERSONNE PERSONA PERSOON PESSOA PERSONEN",
        "PLACE": "LIEU LUGAR ORT PLAATS LUOGO LOCAL",
        "ORG": "ORGANISATION ORGANIZATION ORGANISATIE ORGANIZACIÓN ORGANIZAÇÃO ORGANIZZAZIONE",
        "EMAIL": "E-MAIL MAIL COURRIEL CORREO",
        "PHONE": "TÉLÉPHONE TELEPHONE TELEFON TELEFONO TELÉFONO TELEFONE TELEFOON",
        "ADDRESS": "ADRESSE DIRECCIÓN INDIRIZZO ADRES ENDEREÇO",
        "DATE": "DATUM FECHA DATA",
        "CARD": "CARTE KARTE TARJETA CARTA KAART CARTÃO",
    }.items()
    for word in words.split()
}
"""Kinds as a model that answers in another language writes them."""

OPENING: Final = "[<［＜【〔"
CLOSING: Final = "]>］＞】〕"
_FILL = r"[ \t*_`~\\]{0,4}"
"""Markdown and spaces that a model may put between bracket and name."""
_SPELLINGS: Final = "bcdefghijk"
"""Suffixes of the second to eleventh spelling of one value."""


def bracketed(name: str) -> str:
    """`EMAIL_1` -> `[EMAIL_1]`, as in prose."""
    return f"[{name}]"


def spelling_of(name: str, taken: Container[str]) -> str | None:
    """A name for another spelling of the same value: `DIET_1` -> `DIET_1b`; None when there are too many."""
    return next((name + letter for letter in _SPELLINGS if name + letter not in taken), None)


def number_of(name: str) -> int:
    """The number in a name. Raises ValueError.

    >>> number_of("DIET_12b")
    12
    """
    return int(name.rpartition("_")[2].rstrip(_SPELLINGS))


@lru_cache(maxsize=256)
def variants(kinds: frozenset[str]) -> Any:
    """A compiled pattern for every accepted way in which a model writes a placeholder of these kinds.

    In brackets or angles, also the wide ones of East Asian texts: in any case, in another language, with markdown or
    a genitive inside, with a space for the underscore; or without brackets, with its underscore. The groups `k`, `n`,
    `v` and `s` hold kind, number, spelling and genitive. `[PERSON_1]` never matches inside `[PERSON_12]`.
    """
    import regex

    translated = {word for word, kind in TRANSLATED.items() if kind in kinds}
    spelled = _any_of(kinds | translated, r"\\{0,2}[_＿ \-]")
    bare = _any_of(kinds, r"\\{0,2}_")
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
    """As `variants`, and one without brackets also next to letters: once these are hidden, it would stand apart."""
    import regex

    bare = _any_of(kinds, r"\\{0,2}_")
    glued = rf"(?P<k>{bare})\\{{0,2}}_(?P<n>[0-9]{{1,6}})(?P<v>[{_SPELLINGS}]?)"
    return regex.compile(f"{variants(kinds).pattern}|{glued}", regex.IGNORECASE)


def _any_of(kinds: Iterable[str], underscore: str) -> str:
    """A pattern for any of the kinds, the longest first; `underscore`: the pattern for "_" and "-"."""
    ordered = sorted(kinds, key=lambda kind: (-len(kind), kind))
    return "|".join(underscore.join(re.split("[_-]", kind)) for kind in ordered)


def read(match: Any) -> str:
    """The canonical name of a match of `variants`: `[**Api key_1**]` -> `API_KEY_1`."""
    kind = match["k"].replace("\\", "").replace(" ", "_").replace("-", "_").replace("＿", "_").upper()
    return f"{TRANSLATED.get(kind.replace('E_MAIL', 'E-MAIL'), kind)}_{int(match['n'])}{match['v'].lower()}"


def original_of(match: Any, originals: Mapping[str, str]) -> str | None:
    """The original of a match, with the ending that the model gave it; None where it is not certain."""
    name = read(match)
    value = originals.get(name)
    ending = match["s"] or ""
    if value is None and name.endswith("s"):  # "[PERSON_1s]": the plural, or another language's genitive
        value, ending = originals.get(name[:-1]), "s"
    return None if value is None else value + ending


def replace_all(pattern: Any, text: str, originals: Mapping[str, str], *, as_json: bool = False) -> str:
    """`text` with every known placeholder replaced; `as_json`: the text is JSON source, values are escaped."""

    def original(match: Any) -> str:
        value = original_of(match, originals)
        if value is None:
            return str(match[0])
        return json.dumps(value, ensure_ascii=False)[1:-1] if as_json else value

    return str(pattern.sub(original, text))


def kinds_of(names: Iterable[str]) -> frozenset[str]:
    """The kinds of placeholder names: `API_KEY_1` -> `API_KEY`."""
    return frozenset(name.rpartition("_")[0] for name in names)
