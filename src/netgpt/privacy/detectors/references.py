"""Numbers behind a word that says what they are: of papers and dealings, plates, persons, documents, firms, devices.

A word alone proves little ("order number 5 of the list", "passport 5", "the VAT of 19 %"), so the number must look like
one that is given out: four digits, or of a paper fewer mixed with letters or divided. Papers and dealings are read word
by word, so a text costs time in proportion to its length; the words of persons, documents, firms and devices, in thirty
languages, are in `id_words.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from typing import Final

from netgpt.privacy.detectors.normalize import lower_case, places, plain
from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import Prefilter, detector
from netgpt.types import Span

_WORD = re.compile(r"[^\W\d_]{1,40}")
_OWN: Final = word_set(
    """
    aktenzeichen geschäftszeichen rechnungsnummer kundennummer vertragsnummer versicherungsnummer policennummer
    versicherungsscheinnummer auftragsnummer bestellnummer buchungsnummer buchungscode reservierungsnummer
    patientennummer mitgliedsnummer kontonummer schadennummer schadensnummer fallnummer personalnummer matrikelnummer
    vorgangsnummer sendungsnummer factuurnummer klantnummer polisnummer dossiernummer rekeningnummer boekingsnummer
    zaaknummer fakturanummer kundnummer kundenummer ordrenummer mrn pnr
    """
)
"""Words that mean a number already."""
_NOUNS: Final = word_set(
    """
    invoice case file customer client account policy claim contract order booking reservation tracking shipment parcel
    patient member membership employee student permit loan mortgage reference ref confirmation docket matter
    application ticket record insurance subscriber
    rechnung rechnungs kunden vertrags versicherungs auftrags bestell buchungs mitglieds konto schaden patienten akten
    facture dossier contrat police commande réservation sinistre compte adhérent allocataire sécu
    factura expediente cliente póliza poliza contrato pedido reserva cuenta siniestro historia clínica
    fatura processo apólice conta fattura pratica polizza contratto ordine prenotazione conto sinistro
    factuur klant polis boeking faktury klienta polisy zamówienia umowy
    """
)
"""Words that announce a number together with one of `_MARK` before or behind them."""
_STRONG_NOUNS: Final = word_set(
    "invoice policy claim contract booking docket facture factura fattura póliza dossier expediente aktenzeichen"
)
"""Those that announce a divided number without any mark: "invoice 4471-B"."""
_NUMBER_WORDS: Final = word_set("number numéro número numero nummer numer nr no n num")
"""Words before "of the customer", in the languages that put them first."""
REFERENCE_WORDS: Final = _OWN | _NOUNS

_MARK: Final = (
    r"(?:[ \t\-]{0,2}(?:numbers?|num|no|nr|n°|n[ºo]|n(?=\.)|id|code|ref(?:erence)?|numéro|número|numero|nummer|numer)"
    r"(?![^\W_])\.?|[ \t]{0,2}\#){1,2}"
)
_IS: Final = r"['\"*)]{0,3}[ \t]{0,2}(?:(?:is|was|est|ist|es|lautet)[ \t]|[:=\#\-])?[ \t]{0,2}['\"*(]{0,3}"
_VALUE: Final = (
    r"(?P<id>\d{1,4} [A-Za-z]{1,4} \d{1,6}/\d{2,4}"  # a German court's: 12 O 345/21
    r"|(?:\d:)?[A-Za-z0-9]{1,20}(?:[\-/.][A-Za-z0-9]{1,12}){0,5}(?:(?<=\d) \d{2,6}(?![\w,.]\d)){0,3})(?![\w@])"
)
_MARKED = re.compile(rf"(?i){_MARK}{_IS}{_VALUE}")
_BARE = re.compile(rf"(?i)\.?{_IS}{_VALUE}")
_OF = re.compile(
    r"(?i)[°º.]{0,2} {0,2}(?:(?:de|du|del|della|di|da|do|van|of|der)\b ?)?(?:(?:la|le|el|the|l')\b ?|l')?"
    r"(?P<noun>[^\W\d_]{3,16})(?: (?:clínica|clinica))?"
)
_YEARS = re.compile(r"(?:19|20)\d\d(?:[\-/.](?:(?:19|20)?\d\d|\d{1,2}[\-/.]\d{1,2}))?")
_DECIMAL = re.compile(r"\d{1,9}\.\d{1,2}")
_RECORD = re.compile(r"(?i) (?:record|history|file|chart)s?(?![^\W_])")
_LEAST_DIGITS = 4

PLATE_WORDS: Final = word_set(
    "plate plates numberplate registration reg kennzeichen autokennzeichen immatriculation matrícula matricula targa"
    " kenteken nummernschild"
)
_PLATE = re.compile(
    r"(?i:(?: plate)?(?: (?:number|no\.?|is|was))?(?: of (?:my|the|his|her|our) (?:car|van|bike|truck))?)"
    rf"(?i:{_IS})(?P<id>[A-ZÄÖÜ0-9]{{1,4}}(?:[ \-]{{1,2}}[A-Z0-9]{{1,4}}){{0,3}})(?![\w\-])"
)


@detector(
    kind="ID",
    family="number",
    triggers=lambda seen: seen.has_digit and seen.has_any(REFERENCE_WORDS),
    examples=("invoice number 2024-4471",),
)
def find_references(text: str) -> Iterator[Span]:
    """Reference numbers behind the words that announce them."""
    for word in _WORD.finditer(text):
        read = word[0].lower()
        found = None
        if read in _OWN:
            found = _good(_MARKED.match(text, word.end()) or _BARE.match(text, word.end()))
        elif read in _NOUNS:
            found = _behind(text, read, word.end())
        elif read == "medical" and (of := _RECORD.match(text, word.end())):
            found = _good(_MARKED.match(text, of.end()))
        if found is None and read in _NUMBER_WORDS:
            found = _number_of(text, word.end())
        if found is not None:
            yield Span(*found, "ID", "pattern:reference", 0.8)


def _behind(text: str, noun: str, end: int) -> tuple[int, int] | None:
    """The number behind a noun: with "no." or the like, or without where it can hardly be anything else."""
    if found := _good(_MARKED.match(text, end)):
        return found
    if noun not in _STRONG_NOUNS or (match := _BARE.match(text, end)) is None:
        return None
    value = match["id"]
    whole = value.isdigit() or _YEARS.fullmatch(value) or _DECIMAL.fullmatch(value)
    return None if whole else _good(match)


def _number_of(text: str, end: int) -> tuple[int, int] | None:
    """ "numéro de client 4471": the noun between the word for number and the number itself."""
    of = _OF.match(text, end)
    if of is None or of["noun"].lower() not in _NOUNS:
        return None
    return _good(_BARE.match(text, of.end()))


def _good(match: re.Match[str] | None) -> tuple[int, int] | None:
    """The place of the number when it looks like one that is given out."""
    if match is None:
        return None
    value = match["id"]
    digits = sum(c.isdigit() for c in value)
    mixed = digits < sum(not c.isspace() for c in value)
    code = len(value) >= 5 and value.isalnum() and value.isupper()
    enough = digits >= _LEAST_DIGITS or (digits == _LEAST_DIGITS - 1 and mixed) or (digits and code)
    return match.span("id") if enough and not _DECIMAL.fullmatch(value) else None


@detector(
    kind="PLATE",
    family="number",
    triggers=lambda seen: seen.has_digit and seen.has_any(PLATE_WORDS),
    examples=("my number plate is AB12 CDE",),
)
def find_plates(text: str) -> Iterator[Span]:
    """Licence plates that are announced, in capitals: letters and digits mixed, four to ten of them."""
    for word in _WORD.finditer(text):
        if word[0].lower() in PLATE_WORDS and (match := _PLATE.match(text, word.end())):
            signs = [c for c in match["id"] if c.isalnum()]
            if 4 <= len(signs) <= 10 and any(c.isdigit() for c in signs) and any(c.isalpha() for c in signs):
                yield Span(*match.span("id"), "PLATE", "pattern:plate", 0.8)


_AFTER = re.compile(
    r"(?:[ _\-]{0,2}(?i:numbers?|num|no\.?|nr\.?|n[°ºo]\.?|№|id|code|card|numero|número|numéro|nummer"
    r"|numer|номер|号码|號碼|番号|번호|رقم|\#)(?![^\W\d_])){0,2}"
    r"[\"'*)\]]{0,3}(?:[ ]?\([^()\n]{1,20}\))?[ \t]{0,2}(?P<sign>(?:is|was|are|ist|lautet|est|es|è|é"
    r"|är|er|jest|to|это|on|是|为|は|는|은|है|हैं|هو|هي)(?![a-z])|[:=\#\-(,>|\t])?"
    r"[ \t]{0,3}[\"'*(\[]{0,3}"
    r"(?P<id>(?:[A-Z]{1,3}[ \-]?)?[A-Z0-9](?:[ .\-/]?[A-Z0-9]){3,24}(?:\([\dA]\))?(?:/[A-Z0-9]{2,6})?"
    r"|[A-Za-z0-9\-]{5,24})(?![A-Za-z0-9])"
)
_WORDY = re.compile(r"[A-Z]{2,}[ ]")
_TAIL = re.compile(r"(?:[ ][A-Z]{2,}|[ ][A-Z])+\Z")
_TWO_YEARS = re.compile(r"(?:19|20)\d\d(?:[\-/](?:(?:19|20)?\d\d))?")


@lru_cache(maxsize=1)
def _words() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words in small letters, and those that count only in capitals."""
    text = resources.files("netgpt.privacy.detectors").joinpath("id_words.txt").read_text(encoding="utf-8")
    lines = [plain(line).strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    longest_first = sorted(set(lines), key=lambda word: (-len(word), word))
    return tuple(w for w in longest_first if w == w.lower()), tuple(w for w in longest_first if w != w.lower())


@lru_cache(maxsize=1)
def _stems() -> frozenset[str]:
    return frozenset(word[:4].lower() for words in _words() for word in words)


def _may_announce(seen: Prefilter) -> bool:
    return seen.has_digit and seen.holds_any(_stems(), 2)


@detector(
    kind="NATIONAL_ID",
    family="secret",
    secret=True,
    triggers=_may_announce,
    examples=("passport number X4471882", "ИНН 500100732259"),
)
def find_announced(text: str) -> Iterator[Span]:
    """A number with at least four digits behind a word that says what it is."""
    small, capital = _words()
    for place, end in _ends(lower_case(text), text, small) + _ends(text, text, capital):
        if (match := _AFTER.match(text, end)) is None or not (
            match["sign"] or text[end : end + 1] in " \"'*\t_-" or place < 0
        ):
            continue
        start, stop = match.span("id")
        if tail := _TAIL.search(match["id"]):
            stop -= len(tail[0]) if any(c.isdigit() for c in match["id"][: tail.start()]) else 0
        value = text[start:stop]
        enough = sum(c.isdigit() for c in value) >= _LEAST_DIGITS
        if enough and not _TWO_YEARS.fullmatch(value) and not _WORDY.match(value):
            yield Span(start, stop, "NATIONAL_ID", "pattern:announced", 0.6)


def _ends(searched: str, text: str, words: tuple[str, ...]) -> list[tuple[int, int]]:
    """(place, end) of each word that stands apart; the place is -1 in a writing without blanks."""
    found = []
    for word in words:
        for at in places(searched, (word,)) if word in searched else ():
            end = at + len(word)
            unspaced = word[-1] > "\u0590"
            if not unspaced and (text[end : end + 1].isalpha() or (at > 0 and text[at - 1].isalnum())):
                continue
            found.append((-1 if unspaced else at, end))
    return found
