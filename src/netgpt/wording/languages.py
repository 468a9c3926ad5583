"""Our own words in the languages of requests, which language a text is in, and facts that are stated in another one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

ENGLISH: Final = "en"
SPOKEN: Final = ("en", "de", "fr", "es", "it")
"""The languages that our own words are written in."""


@cache
def table() -> Mapping[str, Any]:
    """`words.toml`, read once (1 ms)."""
    return tomllib.loads(resources.files("netgpt.wording").joinpath("words.toml").read_text(encoding="utf-8"))


@cache
def row(code: str) -> Mapping[str, Any]:
    """What is said in a language, its lists of words as sets; English for one that we do not speak."""
    told: dict[str, Any] = table()[code if code in SPOKEN else ENGLISH]
    lists = {
        name: frozenset(told.get(name, "").split()) for name in ("own", "i", "negation", "nouns", "unsure", "words")
    }
    return told | lists | {"verbs": dict(pair.split("=") for pair in told.get("verbs", "").split())}


@cache
def _little_words() -> Mapping[str, frozenset[str]]:
    return {code: frozenset(told["words"].split()) for code, told in table().items() if code != "english"}


def language_of(text: str) -> str:
    """The language of a text by its little words, as a code; "en" when they do not settle it.

    >>> language_of("was soll ich heute kochen"), language_of("ideas for dinner")
    ('de', 'en')
    """
    return spoken(text) or ENGLISH


def spoken(text: str) -> str | None:
    """As `language_of`; None when the words do not settle it."""
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*'?", text[:2_000].casefold().replace("’", "'"))
    pieces = {piece for word in words for piece in (word, *re.findall(r"^[^']+'|[^']+$", word))}
    found = {code: pieces & little for code, little in _little_words().items()}
    first, second = sorted(found, key=lambda code: len(found[code]), reverse=True)[:2]
    settled = len(found[first]) > len(found[second]) and len("".join(found[first])) > 2  # one letter says nothing
    return first if settled else None


def foreign(line: str) -> str | None:
    """A fact in German, French, Spanish or Italian as a sentence in that language; None where that is in doubt.

    Certain is a known verb at the beginning, with no other word of the first person after it: the user's own
    adjectives would need to know whether it is a man or a woman.

    >>> foreign("Ich esse kein Fleisch"), foreign("Je suis végétarienne")
    ('Der Nutzer isst kein Fleisch', None)
    """
    line = line.rstrip(" .!").replace("’", "'")
    said = spoken(line)
    codes = [code for code in SPOKEN[1:] if said in (code, None)]
    return next((told for code in codes if (told := _told_in(code, line, said == code)) is not None), None)


_CLOCK = re.compile(r"It is (\w+) (\w+), (\d+) (\w+) (\d+), (\d\d:\d\d) local time$")
_HERE = re.compile(r"The user is (in|at|near) (?=[A-ZÀ-Þ])")


def in_the_language(line: str, language: str) -> str:
    """What the box itself says of time and place, in the language of the request; other lines stay.

    >>> in_the_language("The user is near Porto, Portugal", "de")
    'Der Nutzer ist in der Nähe von Porto, Portugal'
    """
    if language not in SPOKEN[1:]:
        return line
    told, ours = row(language), row(ENGLISH)
    if match := _CLOCK.match(line):
        lists = (("day", "days", match[1]), ("month", "months", match[4]), ("part", "parts", match[2]))
        try:
            words = {name: _listed(told[many])[_listed(ours[many]).index(word)] for name, many, word in lists}
        except ValueError:  # somebody else's sentence
            return line
        return str(told["clock"]).format(date=match[3], year=match[5], time=match[6], **words)
    if match := _HERE.match(line):
        return f"{told['user_is']} {told['at'][ours['at'].index(match[1])]} {line[match.end() :]}"
    begins = {"Near here: ": told["near"], "On the way home: ": told["way"]}
    return next((words + line.removeprefix(begin) for begin, words in begins.items() if line.startswith(begin)), line)


def _listed(words: str | list[str]) -> list[str]:
    return words.split() if isinstance(words, str) else words


def _told_in(code: str, line: str, certain: bool) -> str | None:
    """`certain`: the little words are of this language; without them a verb that other languages have is not enough."""
    told = row(code)
    words = re.findall(r"[^\s']+'|[^\s']+", line)
    lowered = [word.lower() for word in words]
    said = bool(lowered) and lowered[0] in told["i"]
    at = int(said)
    while at < len(words) and lowered[at] in told["negation"]:
        at += 1
    if at + 1 >= len(words) or told["own"] & set(lowered[int(said) :]):
        return None
    verb, verbs = lowered[at], told["verbs"]
    thirds = set(verbs.values())
    if set(lowered[at + 1 :]) & (set(verbs) - thirds):  # a second verb in the first person
        return None
    if verb in told["unsure"] and not (said or certain):
        return None
    if said or (code in ("es", "it") and verb not in told["nouns"] and verb not in thirds):
        form = verbs.get(verb)
    else:
        form = verb if verb in thirds else None
    if form is None:
        return None
    negated = "".join(word if word.endswith("'") else word + " " for word in lowered[int(said) : at])
    begins = r"\s*".join(re.escape(word) for word in words[: at + 1])
    return f"{told['user']} {negated}{form}{re.sub('^' + begins, '', line)}"
