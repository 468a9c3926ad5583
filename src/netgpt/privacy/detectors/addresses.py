"""Postal addresses: a house number beside a street word, post-office boxes, postcodes of the UK and the US."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import detector
from netgpt.types import Span

_NUMBER = r"(?<!\w)(?<!\d[.,/-])\d{1,5}(?:\s?[A-Da-d])?(?:\s?[-/]\s?\d{1,5}[A-Da-d]?)?"
_WORD = r"[A-ZÀ-ÖØ-ÞĀ-ŽȘȚẠ-Ỹ][\w'.\-]{0,24}"
_STREET = (
    r"(?:Road|Rd|Street|Str|St|Avenue|Ave|Av|Lane|Ln|Drive|Dr|Way|Close|Court|Ct|Place|Pl|Squares?|Sq|Boulevard|Blvd"
    r"|Terrace|Terr|Crescent|Cres|Gardens|Gdns|Grove|Hill|Mews|Row|Walk|Parade|Park|Parkway|Pkwy|Highway|Hwy|Route"
    r"|Circle|Cir|Trail|Trl|Quay|Wharf|Green|Rise|View|Broadway|Embankment|Esplanade|Alley|Arcade|Loop|Pike|Turnpike"
    r"|Plaza|Point|Heights|Hollow|Ridge|Estates?|Meadows?|Vale|Yard|Bypass|Causeway|Crossing|Expressway|Freeway|Mall"
    r"|Common|Marg|Nagar|Mansions|Buildings|Chambers|Villas|Wynd|Brae|Parkside|Cottages|Lawn|Strand|Promenade|Path)"
)
_LOW_STREET = r"(?:road|rd|street|avenue|ave|lane|boulevard|blvd|crescent|terrace|drive|square|court|close|mews|grove)"
_UNIT = (
    r"(?:\b(?:Flat|Apt\.?|Apartment|Unit|Suite|Ste\.?|Room|Floor|Building|Bldg\.?|House)"
    r"\s{0,2}\#?\s?[A-Za-z]?\d{1,5}[A-Za-z]?\b)"
)
_UK_POSTCODE = (
    r"(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d|[A-HK-Y]\d\d|\d[A-HJKPSTUW]|[A-HK-Y]\d[ABEHMNPRV-Y])"
    r" {0,2}\d[ABD-HJLNP-UW-Z]{2})"
)
_US_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]"
    r"|W[AIVY]|PR|A[AEP])"
)
_US_ZIP = rf"{_US_STATE},?\s{{1,2}}\d{{5}}(?:-\d{{4}})?"
_CA_POSTCODE = r"[ABCEGHJ-NPR-TVXY]\d[ABCEGHJ-NPR-TV-Z] ?\d[ABCEGHJ-NPR-TV-Z]\d"
_AU_CODE = r"(?:NSW|VIC|QLD|TAS|ACT)\s{1,2}\d{4}"
_CODE = (
    rf"(?:{_UK_POSTCODE}|{_US_ZIP}|(?:[A-Z]{{2}}\s)?{_CA_POSTCODE}|{_AU_CODE}|\d{{4}}\s?[A-Z]{{2}}"
    rf"(?:\s{_WORD})?|\d{{5}}-\d{{3}}\s{_WORD}"
    rf"|(?:[A-Z]{{1,2}}-)?\d{{4,6}}\s{_WORD}|\d\d-\d{{3}}\s{_WORD}|\d{{3}}\s\d\d\s{_WORD}|(?:{_WORD}\s)?\d{{6}}\b)"
)
_DOOR = r"(?:[-/]\d{1,4}[A-Za-z]?\b|-[IVX]{1,4}\b|,?\s\d{1,2}\.?[ºªo°](?:\s[A-Za-z]{1,4}\b)?)"
_ABROAD = (
    r"(?:(?i:apto|apt|app|appt|depto|dpto|piso|puerta|esc|int|scala|étage|etage|lgh|wohnung|whg|daire"
    r"|kat|lok|bte|bus|og)"
    r"\.?:?\s?[\dA-Z][\w\-/]{0,5}|\d{1,2}\.?[ªºo°]?\s?(?:[A-Z]|izq|dcha|tv|th|mf|sal)\.?(?!\w))"
)
_TOWN = rf"(?:[ \-]{_WORD}|[ ](?:am|an\sder|de|del|la|do|da|sur)\s{_WORD}){{0,2}}(?:/{_WORD})?"
_TAIL = (
    rf"{_DOOR}?(?:,?\s{{0,2}}(?:{_UNIT}|{_ABROAD})){{0,2}}(?:,\s{{0,3}}{_WORD}(?:[ ]{_WORD}){{0,2}}){{0,2}}"
    rf"(?:,?\s{{1,3}}{_CODE}{_TOWN})?\b"
)
_NOT_LOW = (
    r"(?!(?:the|on|in|of|an?|to|from|at|by|along|down|up|per|for|and|or|is|miles?|km|people|cars|years?"
    r"|days?|hours?)\b)"
)
_ENGLISH_BARE = (
    rf"{_NUMBER},?\s{{1,2}}(?:[NSEW]\.?\s)?"
    rf"(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th))\s{{1,2}}){{1,4}}{_STREET}\b\.?(?:\s[NS]?[EW]?\b)?{_TAIL}"
)
_LOWER_CASE = rf"{_NUMBER}\s{{1,2}}(?:{_NOT_LOW}[a-zA-Z'\-]{{2,20}}\s){{1,2}}{_LOW_STREET}\b"
_FRENCH = (
    rf"{_NUMBER},?\s{{0,2}}(?:bis\s|ter\s)?(?i:rue|avenue|boulevard|bd|place|quai|chemin|allée|impasse|cours)\s"
    rf"(?:(?i:de\sla|de\sl'|des|du|de|d'|la|le|les)\s?)?{_WORD}(?:[\s\-]{_WORD}){{0,3}}{_TAIL}"
)
_FIRST_WORDS = (
    r"C/|C\.|Via|Viale|Piazza|Corso|Vicolo|Largo|Strada|Calle|Avenida|Avda\.?|Av\.|Plaza|Paseo|Camino"
    r"|Carretera|Ronda|Rambla"
    r"|Carrer|Rua|Travessa|Praça|Alameda|Estrada|Rodovia|Rue|Avenue"
)
_STREET_WORD_FIRST = (  # Italian, Spanish, Portuguese, French
    rf"(?<!\w)(?:{_FIRST_WORDS})\s"
    rf"(?:(?:de\sla|de\slos|de\slas|de|del|della|dei|da|do|dos|das|la|los|du|des)\s)?"
    rf"{_WORD}(?:\s(?:de\s|della\s|da\s|do\s|dos\s|das\s|y\s|e\s)?{_WORD}){{0,3}},?\s"
    rf"(?:[nN][.ºo°]{{0,2}}\s?)?\d{{1,5}}[A-Za-z]?\b{_TAIL}"
)
_LAST_WORDS = (
    r"straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gracht|kade|gatan|gata|vägen|veien"
    r"|vei|vej|gade|tie|katu"
)
_STREET_WORD_LAST = (  # German, Dutch, Nordic: in one word, the number behind it
    rf"\b[A-ZÄÖÜÅØ][\w'\-]{{0,30}}(?:{_LAST_WORDS})\s{{1,2}}\d{{1,4}}\s?[a-zA-Z]?\b{_TAIL}"
)
_APART_WORDS = r"Straße|Strasse|Str\.|Weg|Platz|Allee|Ring|Street|u\.|utca|út|ulica|ul\."
_STREET_APART = (  # German, Hungarian, Polish: in two words
    rf"\b(?:{_WORD}\s){{1,2}}(?:{_APART_WORDS})"
    rf"\s{{1,2}}\d{{1,4}}[a-zA-Z]?\b{_TAIL}"
    rf"|\bul\.\s{_WORD}(?:\s{_WORD})?\s\d{{1,4}}(?:/\d{{1,4}})?{_TAIL}"
)
_JAPANESE = (
    rf"(?<![\w-])\d{{1,4}}-\d{{1,3}}(?:-\d{{1,4}})?,?\s{_WORD},?\s{_WORD}(?:,?\s{_WORD}){{0,3}}\s\d{{3}}-\d{{4}}\b"
)
_BOX = r"\b(?i:p\.?\s?o\.?\s?box|box)\s\#?\d{2,6}\b"
_CODE_ALONE = (
    rf"(?<![\w/]){_UK_POSTCODE}(?![\w/])|(?<![\w/])(?=\w{{3}} ){_CA_POSTCODE}(?![\w/])|\b{_AU_CODE}\b|\b"
    rf"(?:{_WORD},?\s)?{_US_ZIP}\b"
)

_STARTED_BY_NUMBER = re.compile("|".join((_ENGLISH_BARE, _FRENCH, _LOWER_CASE, _JAPANESE)))
_DIGITS = re.compile(r"\d+")
_OTHERS = tuple(
    (re.compile(hint), re.compile(form))
    for hint, form in (
        (rf"(?:{_FIRST_WORDS})\s", _STREET_WORD_FIRST),
        (rf"(?:{_LAST_WORDS})\s{{1,2}}\d", _STREET_WORD_LAST),
        (rf"(?:{_APART_WORDS})\s{{1,2}}\d|ul\.\s", _STREET_APART),
        (r"[Bb][Oo][Xx]\s", _BOX),
        (r"(?:Flat|Apt|Apartment|Unit|Suite|Ste|Room|Floor|Building|Bldg|House)[.\s#]",
         rf"{_UNIT},?\s{{1,3}}{_ENGLISH_BARE}|\b(?:Flat|Apt\.?|Apartment)\s{{0,2}}\#?\s?[A-Za-z]?\d{{1,5}}[A-Za-z]?\b"),
        (r"\d[A-Z]{2}(?!\w)|\d[A-Z] ?\d|\s\d{5}|(?:NSW|VIC|QLD|TAS|ACT)\s", _CODE_ALONE),
    )
)  # fmt: skip
"""(quick look, form): a form is searched only where the quick look finds something. A hint begins with a letter that
must be there, which the engine looks for quickly; a form begins with "not behind a letter", which it does not."""
_FAMOUS = re.compile(
    r"(?i)(?:1[0-2] Downing Street|1600 Pennsylvania Ave(?:nue|\.)?|4 Privet Drive|\d{1,2} Wall Street)[\s,]*"
)
"""Known to everybody, and nobody's home who writes."""
_YEAR_NUMBER = re.compile(r"(?:1[5-9]|20)\d\d ")
_YEAR_BEFORE = re.compile(r"(?i)\b(?:in|since|of|by|from|the|until|before|after|during) \Z")
_NO_BEFORE = re.compile(r"\bNo\.? ?\Z")
_CONTEXT_CODE = re.compile(
    r"(?i)\b(?:zip(?:\s?code)?|post\s?code|postal code|plz|cap)\b\s{0,2}(?:is|:|="
    r"|no\.?)?\s{0,2}([A-Z0-9][A-Z0-9 \-]{2,9}\d[A-Z]{0,2})\b"
)
_CODE_HINT = re.compile(r"[zZ][iI][pP]|[pP](?:[oO][sS][tT]|[lL][zZ])|[cC][aA][pP]")
_LOWER_POSTCODE = re.compile(rf"(?i)(?<![\w-])(?=\w{{2,4}} ){_UK_POSTCODE}(?![\w-])")
_CAPITALS = re.compile(r"[A-ZÀ-ÖØ-Þ]{2,}")
_LOWER_POSTCODE_HINT = re.compile(r" {1,2}\d[A-Za-z]{2}(?!\w)")


@detector(
    kind="ADDRESS",
    family="place",
    triggers=lambda seen: seen.has_digit,
    examples=("12 Mill Lane, Portwick PW1 4QT", "Hauptstraße 12, 10115 Berlin"),
)
def find_addresses(text: str) -> Iterator[Span]:
    """Street addresses and postcodes, also in capitals."""
    yield from _addresses(text)
    if (calmed := _titled(text)) is not None and calmed != text:
        yield from _addresses(calmed)


def _titled(text: str) -> str | None:
    """The text with words in capitals written like names, character for character; None when there are too few."""
    if not _CAPITALS.search(text):
        return None
    changed = _CAPITALS.sub(lambda match: match[0][0] + match[0][1:].lower(), text)
    return changed if len(changed) == len(text) else None


def _addresses(text: str) -> Iterator[Span]:
    for match in _matches(text):
        end = match.start() + len(match[0].rstrip(" ,\n"))
        if not _FAMOUS.fullmatch(match[0]) and not (
            _YEAR_NUMBER.match(match[0]) and _YEAR_BEFORE.search(text, max(0, match.start() - 8), match.start())
        ):
            numbered = _NO_BEFORE.search(text, max(0, match.start() - 5), match.start())
            yield Span(numbered.start() if numbered else match.start(), end, "ADDRESS", "pattern:address", 0.7)
    if _CODE_HINT.search(text):
        for match in _CONTEXT_CODE.finditer(text):
            yield Span(match.start(1), match.end(1), "ADDRESS", "pattern:postcode", 0.6)
    if _LOWER_POSTCODE_HINT.search(text):
        for match in _LOWER_POSTCODE.finditer(text):
            yield Span(match.start(), match.end(), "ADDRESS", "pattern:postcode", 0.6)


def _matches(text: str) -> Iterator[re.Match[str]]:
    done = 0
    for number in _DIGITS.finditer(text):
        if number.start() >= done and len(number[0]) <= 5 and (match := _STARTED_BY_NUMBER.match(text, number.start())):
            done = match.end()
            yield match
    for hint, form in _OTHERS:
        if hint.search(text):
            yield from form.finditer(text)


BIRTH_WORDS: Final = word_set(
    """
    born birth birthday birthdate dob geboren geburtsdatum geburtstag geb né née naissance nacido nacida nací
    nacimiento nato nata nascita nascido nascida nasci nascimento geboortedatum urodzony urodzona urodzenia født född
    fødselsdato födelsedatum
    """
)
"""Words that stand before a date of birth."""

_BIRTH_WORD = re.compile(r"[^\W\d_]{2,20}")
_BETWEEN: Final = (
    r"\.?['\"*)]{0,3}(?:[ \t]{1,2}(?:is|was|on|the|am|le|el|il|em|op|den|dnia|a|er|ist|est|es|date)(?![^\W_])){0,3}"
    r"[ \t]{0,2}[:=,(\-]?[ \t]{0,2}['\"*(]{0,3}"
)
_MONTH: Final = r"[^\W\d_]{3,12}\.?"
_DATE = re.compile(
    rf"(?i){_BETWEEN}(?P<date>"
    r"\d{4}[\-/.]\d{1,2}[\-/.]\d{1,2}"
    r"|\d{1,2}[./\-] ?\d{1,2}[./\-] ?(?:\d{4}|\d\d)"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|[.ºª])? (?:of |de )?{_MONTH}(?:,? (?:de |del )?\d{{4}})"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
    r")(?!\d)"
)
_OWN_YEAR = re.compile(  # the year alone, of the writer or in a form
    r"(?i)(?:\bi was born in|\byear of birth:?|\bje suis née? en|\bgeburtsjahr:?|\bnací en|\bsono nat[oa] nel"
    r"|\bnasci em) (?P<date>(?:19|20)\d\d)(?!\d)"
)
_YEAR = re.compile(r"\d{4}")
_OLD: Final = 1900


@detector(
    kind="BIRTHDATE",
    family="time",
    triggers=lambda seen: seen.has_digit and seen.has_any(BIRTH_WORDS),
    examples=("I was born on 10 December 1985",),
)
def find_births(text: str) -> Iterator[Span]:
    """Dates behind the words that say that they are somebody's birth, in nine languages.

    Birth dates before 1900 belong to history and stay.
    """
    for word in _BIRTH_WORD.finditer(text):
        if word[0].lower() in BIRTH_WORDS and (match := _DATE.match(text, word.end())):
            year = _YEAR.search(match["date"])
            if year is None or int(year[0]) >= _OLD:
                yield Span(*match.span("date"), "BIRTHDATE", "pattern:birth")
    for match in _OWN_YEAR.finditer(text):
        yield Span(*match.span("date"), "BIRTHDATE", "pattern:birth", 0.8)
