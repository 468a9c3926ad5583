"""Finds of the tagger that are nobody's, by their role in the text.

A date, an age, a country or a diagnosis identifies somebody only beside somebody: "What happened on 20 July 1969?" is
about no person, "Zanele Khumalo was born on 20 July 1969" is. A publicly known person who is asked about is a subject
of knowledge, and a surname in front of "test" or "theorem" is a term. Only short texts are judged so: a letter is
about people even where a sentence of it is not.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from netgpt.privacy.kinds import word_set

SHORT_CHARS: Final = 160
"""A text up to this length is judged as a whole."""
_ATTRIBUTES: Final = frozenset(("DATE", "AGE", "NATIONALITY", "JOB", "PRODUCT", "HEALTH"))
"""Kinds that say something of somebody, and nothing alone."""
_OF_THE_WORLD: Final = frozenset(("PLACE", "ORG"))
"""Kinds whose public names say nothing alone."""
_SURE: Final = 0.9
"""A find of this chance stays whatever its role seems to be."""
_SOMEBODY: Final = word_set("""
    i i'm i've i'd i'll im me my mine myself we us our ours we're he him his himself she her hers herself
    ich mich mir mein meine meinen meinem meiner wir uns unser unsere er ihn ihm sein seine sie ihr ihre
    j'ai moi mes nous notre nos il elle lui yo mí mis nosotros nuestra nuestro él ella
    io mio mia miei mie nostro nostra lui lei suo sua meu minha nós nosso nossa seu sua
    ik mij mijn wij onze hij zijn haar jag mina vår hon hans hennes jeg meg mine
    minä minun hän hänen mnie mój moja moje nasz ona jego můj moje moji enyém ő
    meu mea nostru я меня мне мой моя моё мои мы наш он она его её я мене мені мій ми він вона εγώ μου μας
    ben bana benim biz bizim onun saya aku kami kita tôi mình
""")
"""Words by which a text speaks of somebody who is not named."""
_DEALINGS: Final = word_set("""
    pay pays paid owe owes owed invoice invoices rent tenant lease refund deposit salary payslip shift address email
    phone extension appointment booking reservation colleague absence parcel voicemail
""")
"""Words of dealings between private people: who is asked about so is not the famous person of that name."""
_COLUMNS: Final = word_set("""
    name surname firstname lastname city town street address zip postcode country state region phone mobile email mail
    company employer department title role gender sex birthday nationality age id username user login password
""")
"""Heads of columns and fields."""
_ASKING: Final = word_set("""
    who whom whose what when where why how which is are was were do does did can could should would will has have had
    explain describe compare list name give tell show write draft plan translate summarize summarise define discuss
    analyse analyze calculate compute convert solve find recommend suggest outline make create generate rank rate quiz
    imagine pretend continue complete fix implement run use refactor upgrade set parse add sort count estimate predict
    prove derive design build teach help please search look play read spell pronounce identify classify contrast weather
    best top history capital population meaning difference recipe recipes ideas facts essay timeline biography
""")
"""First words of requests."""
_QUESTION: Final = re.compile(r"[?？؟¿]")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_TERM: Final = re.compile(
    r"(?i)(?:['’]s)?(?:[ \-][\w\-]{1,14}){0,1}[ \-](?:tests?|algorithms?|theorems?|lemmas?|conjectures?|methods?|"
    r"transforms?|transformations?|distributions?|laws?|equations?|corrections?|filters?|edges?|matri(?:x|ces)|numbers?|"
    r"constants?|functions?|series|codes?|coding|trees?|graphs?|machines?|process(?:es)?|models?|inequalit(?:y|ies)|"
    r"frequenc(?:y|ies)|diseases?|syndromes?|scales?|effects?|principles?|paradox|cycles?|curves?|spaces?|groups?|"
    r"operators?|coefficients?|indexes|indices|index|tickets?|blur|noise|kernels?|sampling|regression|smoothing|"
    r"notation|hypothes[ie]s|reactions?|reagents?|cells?|diagrams?|plots?|bounds?|criteri(?:on|a)|error|integral)\b"
)
"""What a surname stands before, or near, when it is part of a term."""
_CONSTANT: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_TICKET: Final = re.compile(r"[A-Z]{2,10}-\d{1,6}\b")
_TICKET_OF: Final = re.compile(
    r"(?i:\b(?:jira|ticket|issue|bug|story|epic|fix(?:es|ed)?|closes?))[ :#]{1,2}[A-Z]{2,10}-\d{1,6}\b"
)
"""The key of a ticket, announced as one."""
_SLUG: Final = re.compile(r"[a-z]+(?:-[a-z0-9]+){2,12}")
_PARTS_OF_TIME: Final = word_set("""
    january february march april may june july august september october november december jan feb mar apr jun jul aug
    sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri
    sat sun mondays tuesdays wednesdays thursdays fridays saturdays sundays morning evening afternoon noon midnight
    today tomorrow yesterday
    januar februar märz mai juni juli oktober dezember montag dienstag mittwoch donnerstag freitag samstag sonntag
    janvier février mars avril juin juillet août septembre octobre novembre décembre lundi mardi mercredi jeudi vendredi
    samedi dimanche enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre lunes
    martes miércoles jueves viernes sábado domingo
""")
"""Names of months and days: alone they are on everybody's calendar."""

_TODAY: Final = re.compile(r"(?i)\b(?:today['’]s|current) date(?: is)?:? \Z")

Find = tuple[int, int, str, float]
"""Start, end, kind, chance."""


@dataclass(frozen=True, slots=True)
class RoleJudge:
    """Takes away the finds that are nobody's. `is_figure`, `is_known_place`, `is_name`: of words as a text has them,
    the last of first names and surnames."""

    is_figure: Callable[[str], bool]
    is_known_place: Callable[[str], bool]
    is_name: Callable[[str], bool] = lambda word: False

    def keep(self, text: str, finds: Sequence[Find]) -> list[Find]:
        """The finds that may be somebody's."""
        left = [find for find in finds if find[3] >= _SURE or not _is_term(text, find)]
        left = [find for find in left if not _is_part_of_time(text, find) and not _is_today(text, find)]
        tickets = [ticket.span() for ticket in _TICKET_OF.finditer(text)] if left else []
        left = [find for find in left if not any(a <= find[0] and find[1] <= b for a, b in tickets)]
        tests = (_is_trade, _is_slug, self._is_tool)
        left = [find for find in left if find[3] >= _SURE or not any(test(text, find) for test in tests)]
        if not left or len(text) > SHORT_CHARS or not _asks(text) or _speaks_of_somebody(text):
            return left
        people = [find for find in left if find[2] not in _ATTRIBUTES | _OF_THE_WORLD]
        known = not _has_word(text, _DEALINGS)
        if people and known and all(kind == "PERSON" and self.is_figure(text[a:b]) for a, b, kind, _ in people):
            left = [find for find in left if find not in people or find[3] >= _SURE]
            people = [find for find in people if find in left]
        return left if people else [find for find in left if not self._says_nothing_alone(text, find)]

    def _is_tool(self, text: str, find: Find) -> bool:
        """Whether this is the name of a tool, a constant of a program, the key of a ticket, or two discoverers."""
        start, end, kind, _ = find
        words = text[start:end].lower()
        if _CONSTANT.fullmatch(text, *_around(text, start, end)):
            return True
        pair = words.split("-")
        if len(pair) == 2 and all(part in _terms()["eponyms"] for part in pair):
            return True
        if text[end : end + 1] == "-" and _TICKET.search(text, start):
            words = words.rpartition(" ")[0]
            return not words or words in _terms()["tools"]
        return words in _terms()["tools"] and not (kind == "PERSON" and self.is_name(words))

    def _says_nothing_alone(self, text: str, find: Find) -> bool:
        start, end, kind, _ = find
        return kind in _ATTRIBUTES or (kind in _OF_THE_WORLD and self.is_known_place(text[start:end]))


def _is_term(text: str, find: Find) -> bool:
    """Whether this is a name in the name of a method, a law, a disease ..."""
    words = re.split(r"[\s\-–]+", text[find[0] : find[1]].lower())
    if find[2] not in ("PERSON", "PLACE", "ORG", "PRODUCT") or any(word not in _terms()["eponyms"] for word in words):
        return False  # "Khumalo's number" is somebody's
    return _TERM.match(text, find[1]) is not None


def _is_part_of_time(text: str, find: Find) -> bool:
    words = _words(text[find[0] : find[1]])
    return (
        find[2] in ("DATE", "PRODUCT")
        and bool(words)
        and all(word in _PARTS_OF_TIME for word in words)
        and not _digits(text, find)
    )


def _is_today(text: str, find: Find) -> bool:
    """Whether this is the day on which a program was asked: "Today's date is Sunday, November 29"."""
    return find[2] == "DATE" and _TODAY.search(text, max(0, find[0] - 24), find[0]) is not None


def _digits(text: str, find: Find) -> bool:
    return any(c.isdigit() for c in text[find[0] : find[1]])


@cache
def _terms() -> Mapping[str, frozenset[str]]:
    """Names of tools, and surnames in names of methods, in small letters."""
    lists = tomllib.loads((Path(__file__).parent / "shipped" / "terms.toml").read_text(encoding="utf-8"))
    return {name: frozenset(" ".join(part.split()).lower() for part in text.split(",")) for name, text in lists.items()}


def _around(text: str, start: int, end: int) -> tuple[int, int]:
    """The whole identifier of which this is a part."""
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return start, end


def _is_trade(text: str, find: Find) -> bool:
    """Whether this is one word in small letters for what many people do, "manager", or the head of a column, "city"."""
    word = text[find[0] : find[1]]
    return word.isalpha() and word.islower() and (find[2] == "JOB" or word in _COLUMNS)


def _is_slug(text: str, find: Find) -> bool:
    """Whether this is part of words in small letters that hyphens join: "eu-central-one", a label of a machine."""
    start, end = find[0], find[1]
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "-"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] == "-"):
        end += 1
    return end - start < 80 and _SLUG.fullmatch(text, start, end) is not None


def _asks(text: str) -> bool:
    """Whether somebody is asked or told to do something, unlike a note or a statement."""
    if _QUESTION.search(text):
        return True
    first = _WORD.search(text)
    return first is not None and first[0].lower() in _ASKING


def _speaks_of_somebody(text: str) -> bool:
    return _has_word(text, _SOMEBODY)


def _has_word(text: str, words: frozenset[str]) -> bool:
    spoken = (word for word in _WORD.findall(text) if not word.isupper() or len(word) == 1)  # the US is not us
    return not words.isdisjoint(word.lower().replace("’", "'") for word in spoken)


def _words(text: str) -> Iterable[str]:
    return [word[0].lower().replace("’", "'") for word in _WORD.finditer(text)]
