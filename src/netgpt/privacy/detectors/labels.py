"""Names and addresses that a label announces: "my name is", fields of JSON and logs, heads of letters, columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.body import field_hint
from netgpt.privacy.detectors.normalize import lower_case, places
from netgpt.privacy.detectors.tables import columns_of
from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import Prefilter, detector
from netgpt.types import Span

_NAME = r"[^\W\d_][\w'’\-]{1,30}(?:[ \t\n]{1,2}[^\W\d_][\w'’\-]{0,30}){0,2}"
_SAID = re.compile(
    rf"(?:(?i:\bmy (?:full |first |last |real )?name is|\bname\s?:|\bi am called|\bmy name's"
    rf"|\bje m'appelle|\bich heiße|\bme llamo)"
    rf"[\s*\"']{{1,3}})(?P<name>(?-i:(?=[^\W\d_a-zß-ÿ]){_NAME}))"
)
_OF_A_STEP = re.compile(
    r"[^\n]{0,80}\n\s{0,24}(?:- )?(?:on|uses|run|image|steps|jobs|version|with|env|needs|if"
    r"|description|type|required|value|services"
    r"|metadata|namespace|labels|spec|kind|command|script|stage|hosts|tasks|ports|license|private|main|scripts)\"?:"
)
"""The line below the name of a thing in a configuration."""
_BEFORE_PERSON = re.compile(  # the language model knows few names that are not English
    r"(?:(?i:\bdear|\bmr\.?|\bmrs\.?|\bms\.?|\bdr\.?|\bprof\.?|\bsir|\bmadam|\bherr|\bfrau|\bmadame"
    r"|\bmonsieur|\bseñora?"
    r"|\b(?:my|our|his|her|their|the) (?:boss|manager|colleague|friend|neighbou?r|wife|husband|partner|son|daughter"
    r"|mother|father|sister|brother|uncle|aunt|cousin|doctor|dentist|teacher|lawyer|landlord|client|patient|tenant)"
    r"(?:,| is| was)?(?: called| named)?"
    r"|\b(?:met|meet|tell|ask|asked|told|call|invite|thank|signed|sincerely|regards),?)|^(?i:from|to|cc|attn):)\Z",
    re.MULTILINE,
)
_CAPITALISED = re.compile(
    r"[ \t\n]{1,2}(?P<name>[^\W\d_a-z][\w'’\-]+(?:[ \t](?:[^\W\d_a-z][\w'’\-]+|de|van|von|bin|al|da|di|der|la)){1,3})"
)
_FIELD = re.compile(
    r"[\"'](?P<key>[A-Za-z][\w \-.]{1,39})[\"']\s{0,2}[:=]\s{0,2}(?P<quote>[\"'])(?P<value>[^\"\n]{2,120}?)(?P=quote)"
)
_PERSON_LIKE = re.compile(r"[^\W\d_][\w'’\-]+(?:[ \t]+[^\W\d_][\w'’.\-]*){1,3}")


_NAME_WORDS: Final = word_set(
    """
    name names called dear mr mrs ms dr prof sir madam herr frau madame monsieur señora señor boss manager colleague
    friend neighbor neighbour wife husband partner son daughter mother father sister brother uncle aunt cousin doctor
    dentist teacher lawyer landlord client patient tenant met meet tell ask asked told call invite thank signed
    sincerely regards from to cc attn appelle heiße heisse llamo chiamo heet chamo nazywam
    """
)


def _may_name(seen: Prefilter) -> bool:
    return seen.has_any(_NAME_WORDS) or _may_hold_fields(seen) or "@" in seen.text or _may_hold_roles(seen)


_ROLES: Final = word_set(
    """
    owner author customer patient client employee contact manager supervisor tenant landlord attendee organizer
        organiser assignee reporter reviewer maintainer applicant guest insured beneficiary holder sender recipient
    signed signatory
    inhaber kunde kundin patientin ansprechpartner mitarbeiter cliente paciente
    """
)


def _may_hold_roles(seen: Prefilter) -> bool:
    cards = "begin:v" in seen.lowered or ";cn=" in seen.lowered
    return cards or seen.has_any(_ROLES) or seen.has_any(_COLUMNS)


_BIG: Final = r"[^\W\d_a-zß-ÿ]"
_TWO: Final = (
    rf"{_BIG}[\w'’\-]{{0,30}}(?:[ ](?:{_BIG}[\w'’.\-]{{0,30}}|de|van|von|bin|al|da|di|der|la|du|el|y|den)){{1,4}}"
)
_MAILED = re.compile(rf"(?P<name>{_TWO})[ ]\Z")
_ROLE_LINE = re.compile(
    rf"(?P<role>[^\W\d_]{{2,14}})(?:[_ ](?:[Ff]ull[_ ]?)?[Nn]ame)?[\"'*]{{0,3}} ?[:=] ?"
    rf"(?:\"(?P<quoted>{_TWO})\"|(?P<name>{_TWO})(?= *(?:\Z|[,;|<(\n])))"
)
_NOBODY: Final = word_set(
    """
    team support platform department dept service services group inc inc. ltd ltd. gmbh llc corp office desk engineering
    operations security data sales infrastructure customer success human resources the bank company foundation project
    software systems technologies solutions university institute unknown none required optional all public private
    """
)
_SEARCHED = re.compile(  # in the SQL of a table of people
    r"(?i)\b(?:staff|customers?|patients?|employees?|people|persons?|clients?|members?|contacts?"
    r"|students?|tenants?)\b[^;\n]{0,80}?"
    r"\b(?:\w{0,12}name|customer|patient)\s{1,3}i?like\s{1,3}'%?(?P<name>[^\W\d_][\w' \-]{2,40}?)%?'"
)
_CARD_NAME = re.compile(
    r"(?m)^(?:FN|N)(?:;[^:\n]{0,60})?:(?P<name>[^\n;,]{2,40}(?:;[^\n;]{1,40})?(?=[;\n]|$))|;CN=\"?"
    r"(?P<cn>[^\";:\n]{2,60})"
)
_COLUMNS: Final = word_set(
    "name names first last firstname lastname surname vorname nachname fullname customer patient empl"
    "oyee client contact nom prénom nombre"
    " apellido apellidos cognome nome sobrenome imię nazwisko imie naam voornaam achternaam efternamn förnamn"
)
_TITLE = re.compile(
    r"(?i)(?:(?:first|last|full|given|family|customer|patient|employee|client|contact|user|account"
    r"|middle|maiden|legal)[ _\-]?)?names?|first|last"
    r"|(?:vor|nach|familien|kunden)name|surname|customer|patient|employee|client|contact|nom|prénom"
    r"|nombre|apellidos?|cognome|nome|sobrenome|imię|nazwisko"
    r"|(?:voor|achter)?naam|(?:för|efter)?namn"
)
_CELL_NAME = re.compile(r"[^\W\d_][\w'’.\-]{1,30}(?:[ ][^\W\d_][\w'’.\-]{0,30}){0,4}")
_PEOPLE: Final = word_set(
    "first last firstname lastname surname vorname nachname phone email e-mail mail tel iban birthday dob salary age"
)


def _written(text: str) -> Iterator[tuple[int, int]]:
    """Before an address in angle brackets, behind a role, in cards and calendars, and in columns of names."""
    at = text.find("<")
    while at >= 0:
        if "@" in text[at : at + 80] and (match := _MAILED.search(text, max(0, at - 80), at)):
            yield match.span("name")
        at = text.find("<", at + 1)
    for at in places(lower_case(text), _ROLES) if ":" in text or "=" in text else ():
        match = None if text[at - 1 : at].isalnum() else _ROLE_LINE.match(text, at)
        if match is None or match["role"].lower() not in _ROLES:
            continue
        if _NOBODY.isdisjoint((match["quoted"] or match["name"]).lower().split()):
            yield match.span("quoted" if match["quoted"] else "name")
    for match in _SEARCHED.finditer(text) if "ike" in text or "IKE" in text else ():
        yield match.span("name")
    for match in _CARD_NAME.finditer(text) if "BEGIN:V" in text or ";CN=" in text else ():
        yield match.span("name" if match["name"] else "cn")
    for start, end in columns_of(text, _is_people):
        if _CELL_NAME.fullmatch(text, start, end):
            yield start, end


def _is_people(title: str, titles: list[str]) -> bool:
    """Whether a heading stands above names of people: "first", or "name" beside "phone"."""
    words = {word for other in titles for word in re.findall(r"[\w\-]+", other.lower())}
    return (
        _TITLE.fullmatch(title) is not None
        and (title.lower() != "name" or bool(words & _PEOPLE))
        and (title.lower() not in ("first", "last") or {"first", "last"} <= words)
    )


def _may_hold_fields(seen: Prefilter) -> bool:
    return '"' in seen.text or "'" in seen.text


@detector(kind="PERSON", family="identity", triggers=_may_name, examples=("my name is Ada Lovelace",))
def find_labelled(text: str) -> Iterator[Span]:
    """Names behind a word, or in a field, that announces them."""
    for match in _SAID.finditer(text):
        words = list(re.finditer(r"\S+", match["name"]))
        if any(c == "_" or c.isdigit() for c in words[0][0]) or text[match.end() : match.end() + 1] in ("[", "("):
            continue  # the name of a variable
        if match[0].startswith("name") and _OF_A_STEP.match(text, match.start("name")):
            continue
        while len(words) > 1 and words[-1][0][0].islower():
            words.pop()
        yield Span(match.start("name"), match.start("name") + words[-1].end(), "PERSON", "label", 0.5)
    for start, end in _addressed(text):
        yield Span(start, end, "PERSON", "names", 0.4)
    for start, end in _written(text):
        yield Span(start, end, "PERSON", "label", 0.6)
    for match in _fields(text, "PERSON"):
        if _PERSON_LIKE.fullmatch(match["value"]):
            yield Span(*match.span("value"), "PERSON", "label", 0.5)


@detector(kind="ADDRESS", family="place", triggers=_may_hold_fields, examples=('{"address": "The Old Mill"}',))
def find_labelled_addresses(text: str) -> Iterator[Span]:
    """Addresses in a field that announces them: `"street": "..."` in a text that holds JSON or code."""
    for match in _fields(text, "ADDRESS"):
        yield Span(*match.span("value"), "ADDRESS", "label", 0.5)


def _fields(text: str, kind: str) -> Iterator[re.Match[str]]:
    """The fields whose name promises this kind."""
    return (match for match in _FIELD.finditer(text) if field_hint(match["key"]) == kind)


def _addressed(text: str) -> Iterator[tuple[int, int]]:
    """Two or more words with capitals behind a word that stands before a person."""
    at = 0
    while match := _CAPITALISED.search(text, at):
        before = max(0, match.start() - 48)
        line = text.rfind("\n", before, match.start()) + 1
        if _BEFORE_PERSON.search(text[max(before, line) : match.start()]):
            yield match.span("name")
            at = match.end()
        else:
            at = match.start() + 1
