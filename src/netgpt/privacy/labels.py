"""Private data that is announced: "my name is ...", `"customer_name": "..."` in a text that holds JSON or code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netgpt.privacy.protocol import field_hint
from netgpt.types import Span

__all__ = ["find_labelled", "titled"]

_NAME = r"[^\W\d_][\w'’\-]{1,30}(?:[ \t\n]{1,2}[^\W\d_][\w'’\-]{0,30}){0,2}"
_SAID = re.compile(
    rf"(?:(?i:\bmy (?:full |first |last |real )?name is|\bname\s?:|\bi am called|\bmy name's"
    rf"|\bje m'appelle|\bich heiße|\bme llamo)"
    rf"[\s*\"']{{1,3}})(?P<name>(?-i:(?=[^\W\d_a-zß-ÿ]){_NAME}))"
)
_BEFORE_PERSON = re.compile(  # the language model knows few names that are not English
    r"(?:(?i:\bdear|\bmr\.?|\bmrs\.?|\bms\.?|\bdr\.?|\bprof\.?|\bsir|\bmadam|\bherr|\bfrau|\bmadame|\bmonsieur|\bseñora?"
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
_CAPITALS = re.compile(r"[A-ZÀ-ÖØ-Þ]{2,}")


def find_labelled(text: str) -> Iterator[Span]:
    """Names and addresses behind a word that announces them."""
    for match in _SAID.finditer(text):
        words = list(re.finditer(r"\S+", match["name"]))
        while len(words) > 1 and words[-1][0][0].islower():
            words.pop()
        yield Span(match.start("name"), match.start("name") + words[-1].end(), "PERSON", "label", 0.5)
    for start, end in _addressed(text):
        yield Span(start, end, "PERSON", "names", 0.4)
    for match in _FIELD.finditer(text):
        kind, value = field_hint(match["key"]), match["value"]
        if (kind == "PERSON" and _PERSON_LIKE.fullmatch(value)) or kind == "ADDRESS":
            yield Span(match.start("value"), match.end("value"), str(kind), "label", 0.5)


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


def titled(text: str) -> str | None:
    """The text with words in capitals written like names, character for character; None when there are too few."""
    if not _CAPITALS.search(text):
        return None
    changed = _CAPITALS.sub(lambda match: match[0][0] + match[0][1:].lower(), text)
    return changed if len(changed) == len(text) else None
