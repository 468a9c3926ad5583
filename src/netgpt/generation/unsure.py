"""What the box says where it is not sure of its answer: short, in the language of the person, and nothing made up.

The texts are in `unsure.toml`, in 29 languages; English stands in for every other.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final

ENGLISH: Final = "en"
KEPT, PERSONAL, ALONE, AWAY, WISHED, SPENT = "kept", "personal", "alone", "away", "asked", "budget"
"""What keeps a request on the box: a rule, personal facts, no other model, no way to it, a wish, a bound."""
_READ_CHARS = 2_000
_MOST_FACTS = 4

_SCRIPTS: Final = (
    ("ja", r"[\u3040-\u30ff]"), ("ko", r"[\uac00-\ud7a3]"), ("zh", r"[\u4e00-\u9fff]"), ("th", r"[\u0e00-\u0e7f]"),
    ("hi", r"[\u0900-\u097f]"), ("he", r"[\u0590-\u05ff]"), ("el", r"[\u0370-\u03ff\u1f00-\u1fff]"),
    ("fa", r"[پچژگکی]"), ("ar", r"[\u0600-\u06ff]"), ("uk", r"[іїєґІЇЄҐ]"), ("ru", r"[\u0400-\u04ff]"),
)  # fmt: skip
"""Languages that are known by their letters; the first that a tenth of the text's letters are in."""
_OWN_LETTERS: Final = (
    ("de", "ß"), ("es", "ñ¿¡"), ("pt", "ãõ"), ("pl", "łżźśćń"), ("cs", "řěů"), ("hu", "őű"), ("ro", "țţăș"),
    ("tr", "ışğİ"), ("vi", "ơưđạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"), ("sv", "ä"), ("da", "ø"), ("fi", "ä"),
)  # fmt: skip
"""Letters that speak for a language where its little words do not settle it; each counts half a word."""


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(resources.files("netgpt.generation").joinpath("unsure.toml").read_text(encoding="utf-8"))


@cache
def _little_words() -> Mapping[str, frozenset[str]]:
    return {code: frozenset(row["words"].split()) for code, row in _table().items() if "words" in row}


@cache
def _scripts() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((code, re.compile(letters)) for code, letters in _SCRIPTS)


def language_of(text: str) -> str:
    """The language of a text as one of the codes of the table; English where letters and words do not settle it.

    >>> language_of("Wie hoch ist der Ramifent?"), language_of("これは何ですか"), language_of("capital France")
    ('de', 'ja', 'en')
    """
    begin = text[:_READ_CHARS]
    letters = sum(letter.isalpha() for letter in begin)
    for code, script in _scripts():
        share = 0.02 if code in ("fa", "uk") else 0.1  # letters of their own within a script that others use too
        if len(script.findall(begin)) > share * letters:
            return code
    lowered = begin.lower()
    words = set(re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", lowered))
    found = {code: float(len(words & little)) for code, little in _little_words().items()}
    for code, own in _OWN_LETTERS:
        found[code] += 0.5 * any(letter in lowered for letter in own)
    best = max(found, key=lambda code: found[code])
    return best if found[best] > found[ENGLISH] and found[best] >= 0.5 else ENGLISH


def why_here(reason: str, language: str, rule: str = "") -> str:
    """What keeps the request here and what would help, as a sentence; empty for a `reason` that is none of ours.

    `rule`: the name of the policy's rule, for KEPT.
    """
    told = _table()[language].get(reason, "") if reason in (KEPT, PERSONAL, ALONE, AWAY, WISHED, SPENT) else ""
    return told.replace("{rule}", rule or "policy")


def _known(facts: Sequence[str], language: str) -> str:
    told = [" ".join(fact.split()) for fact in facts[:_MOST_FACTS] if fact.strip()]
    return "\n".join([_table()[language]["surely"], *(f"- {each}" for each in told)]) if told else ""


def before_a_guess(language: str, why: str, facts: Sequence[str] = (), *, advice: bool = False) -> str:
    """What stands before an answer that is given all the same; ends where the answer begins."""
    row = _table()[language]
    first = " ".join(filter(None, (row["unsure"], why, row["advice"] if advice else "")))
    return "\n\n".join(filter(None, (first, _known(facts, language), row["guess"]))) + "\n\n"


def in_its_place(language: str, why: str, facts: Sequence[str] = (), *, advice: bool = False) -> str:
    """What stands in the place of an answer that is not given: `facts` are what the box surely has."""
    row = _table()[language]
    first = " ".join(filter(None, (row["nothing"], why, row["advice"] if advice else "")))
    return "\n\n".join(filter(None, (first, _known(facts, language))))


def afterwards(language: str, why: str, *, advice: bool = False) -> str:
    """What follows an answer that has been given already, and turned out to be doubtful."""
    row = _table()[language]
    return "\n\n" + " ".join(filter(None, (row["late"], why, row["advice"] if advice else "")))
