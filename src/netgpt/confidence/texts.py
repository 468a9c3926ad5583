"""Small things done to a given text, done again: capitals, order, letters counted, a word put in another's place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LONGEST_QUESTION: Final = 1_000
_QUOTED: Final = r"[\"'“„‘«»]([^\"'“”„‘’«»\n]{1,400})[\"'”“’»«]"
_BEHIND: Final = re.compile(r":\s*\n*\s*(\S[^\n]*?)\s*$|:\s*(\S[^\n]*)", re.DOTALL)
_UPPER: Final = re.compile(
    r"\b(?:upper ?-?case|capital letters|capitals|all caps|großbuchstaben|majuscules|"
    r"mayúsculas|maiuscol[eo])\b",
    re.I,
)
_LOWER: Final = re.compile(
    r"\b(?:lower ?-?case|small letters|kleinbuchstaben|minuscules|minúsculas|"
    r"minuscol[eo])\b",
    re.I,
)
_REVERSE: Final = re.compile(r"\b(?:reverse|backwards|rückwärts|à l'envers|al revés|al contrario)\b", re.I)
_SORT: Final = re.compile(
    r"\b(?:sort|alphabetical\w*|put .{0,30}in order|sortiere|alphabetisch\w*|trie[zr]?|"
    r"ordena|ordina)\b",
    re.I,
)
_REPLACE: Final = re.compile(
    rf"\b(?:replace|ersetze|remplace[zr]?|reemplaza|sostituisci)\b[^\"'“„]*{_QUOTED}\s*(?:by|with|durch|par|por|"
    rf"con)\s*[^\"'“„]{{0,20}}{_QUOTED}",
    re.I,
)
_WORD: Final = rf"(?:the (?:word|name) )?{_QUOTED}|the word (\w+)|(?!the\b)(\w+)(?=\?|$| have| has)"
_LETTERS: Final = re.compile(rf"how many (letters|vowels) (?:are |is )?(?:there )?(?:in|does|has) (?:{_WORD})", re.I)
_LETTER_TIMES: Final = re.compile(
    rf"how (?:many times does the letter|often does the letter|"
    rf"many)\s*[\"'“]?([a-z])[\"'”]?(?:'?s)?\s*(?:appear |occur |are |"
    rf"there )*(?:in)\s*(?:the word )?(?:{_QUOTED}|(\w+))",
    re.I,
)
_WORD_COUNT: Final = re.compile(
    rf"how many words (?:are |does |"
    rf"has )?(?:there )?(?:in )?[^\"'“„]{{0,40}}{_QUOTED}",
    re.I,
)
_OTHER: Final = re.compile(
    r"\b(?:translate|summari\w+|explain|then|also|except|only the first|descending|"
    r"reverse order)\b",
    re.I,
)

Does = Callable[[str], bool]


def asked_text(question: str) -> Does | None:
    """What says whether an answer does what was asked to be done to a text; None where that leaves a doubt.

    >>> does = asked_text("Write in capital letters: two cups")
    >>> does("TWO CUPS"), does("Two Cups")
    (True, False)
    """
    if len(question) > LONGEST_QUESTION or "```" in question or _OTHER.search(question):
        return None
    for read in (_counted, _replaced, _cased, _sorted):
        does = read(question)
        if does is not None:
            return does
    return None


def _flat(text: str) -> str:
    return re.sub(r"[\s\"'“”„‘’«»*_`]+", " ", text).strip(" .!?:;,")


def _holds(wanted: str) -> Does:
    flat = _flat(wanted)
    return lambda answer: flat in _flat(answer)


def _given(question: str) -> str:
    """The text that something is done to: in quotes, or behind the colon."""
    behind, quoted = _BEHIND.search(question), re.search(_QUOTED, question)
    return (behind[1] or behind[2]) if behind else quoted[1] if quoted else ""


def _counted(question: str) -> Does | None:
    if found := _LETTER_TIMES.search(question):
        count = (found[2] or found[3]).lower().count(found[1].lower())
    elif found := _LETTERS.search(question):
        word = (found[2] or found[3] or found[4]).lower()
        count = (
            sum(letter in "aeiou" for letter in word) if found[1].lower() == "vowels" else len(word.replace(" ", ""))
        )
    elif found := _WORD_COUNT.search(question):
        count = len(found[1].split())
    else:
        return None
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    told = rf"\b(?:{count}|{words[count]})\b" if count < len(words) else rf"\b{count}\b"
    return lambda answer: re.search(told, answer, re.IGNORECASE) is not None


def _replaced(question: str) -> Does | None:
    found, text = _REPLACE.search(question), _given(question)
    if not found or not text or not re.search(rf"\b{re.escape(found[1])}\b", text):
        return None
    return _holds(re.sub(rf"\b{re.escape(found[1])}\b", lambda _: found[2], text))


def _cased(question: str) -> Does | None:
    text = _given(question)
    upper, lower, back = (bool(each.search(question.replace(text, " "))) for each in (_UPPER, _LOWER, _REVERSE))
    if not text or upper + lower + back != 1:
        return None
    if back:
        return _holds(text[::-1]) if " " not in text else None
    return _holds(text.upper() if upper else text.lower())


def _sorted(question: str) -> Does | None:
    text = _given(question)
    items = [one.strip(" .\"'") for one in re.split(r"[,;]|\band\b|\bund\b", text) if one.strip(" .")]
    if (
        not _SORT.search(question.replace(text, " "))
        or len(items) < 3
        or any(re.search(r"\d|\n", one) for one in items)
    ):
        return None
    wanted = sorted(items, key=str.casefold)

    def does(answer: str) -> bool:
        places = [answer.casefold().rfind(one.casefold()) for one in wanted]
        first = [answer.casefold().find(one.casefold()) for one in wanted]
        return min(first) >= 0 and (places == sorted(places) or first == sorted(first))

    return does
