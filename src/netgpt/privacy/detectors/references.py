"""Numbers of papers and dealings that a word announces: invoices, cases, files, customers, policies, bookings, plates.

A word alone proves little ("order number 5 of the list"), so the number must look like one that is given out: four
digits, or fewer mixed with letters or divided. Read word by word, so a text costs time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import detector
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
