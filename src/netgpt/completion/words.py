"""Words of a text for comparing what was written with what was given."""

from __future__ import annotations

import re

__all__ = ["content_words", "is_given", "numbers_in", "tokens"]

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_FUNCTION_WORDS = """
    a about after again all also am an and any are around as at be because been before being between both but by can
    could did do does doing done during each either else every few for from get give had has have having he her here
    hers him his how i i'd i'll i'm i've if in into is it it's its just like many may me might mine more most much must
    my near no nor not of off on once one only onto or other our out over own per please rather same shall she should
    since so some such than that that's the their them then there these they this those through to too under until up
    upon us very via want was way we were what what's when where which while who whom whose why will with within
    without would yes you your yours user user's need needs take into account given suitable considering following
    help find provide consider looking keep mind based suggest recommend ideas idea options option good currently
    now something someone anything"""
_FUNCTION = frozenset(_FUNCTION_WORDS.split())
"""Words that state no fact: function words, and the verbs of asking."""


def tokens(text: str) -> list[str]:
    """All words and numbers, lower case."""
    return [token.replace("’", "'") for token in _TOKEN.findall(text.casefold())]


def content_words(text: str) -> list[str]:
    """The words that say something: neither function words nor numbers."""
    return [token for token in tokens(text) if token not in _FUNCTION and not any(map(str.isdigit, token))]


def numbers_in(text: str) -> list[str]:
    """Every token with a digit, commas and points inside kept: "18:40" is two, "3.5" is one."""
    return re.findall(r"[^\W_]*\d[\w.,]*\w|\d", text.casefold())


def is_given(word: str, given: frozenset[str] | set[str]) -> bool:
    """Whether a word, or the same word with another common ending, stands in `given`."""
    return any(form in given for form in _forms(word))


def _forms(word: str) -> set[str]:
    base = word.removesuffix("'s")
    forms = {word, base, base + "s", base + "es", base + "'s", base + "ing", base + "ed", base + "d"}
    for ending, put in (
        ("ies", "y"),
        ("es", ""),
        ("s", ""),
        ("ing", ""),
        ("ing", "e"),
        ("ed", ""),
        ("d", ""),
        ("y", "ies"),
    ):
        if base.endswith(ending) and len(base) - len(ending) >= 3:
            forms.add(base[: -len(ending)] + put)
    return forms
