"""Texts that are made to take a search for ever: for audits and tests.

Each repeats what the beginning of some form looks like and never ends it, so that a pattern which reads on from every
beginning needs the square of the length. They hold nothing private.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["PATHOLOGICAL", "pathological", "pathological_texts"]

PATHOLOGICAL: Final[Mapping[str, str]] = {
    "signs": "@",
    "half an e-mail": "a.a@a.",
    "spelled e-mails": "a [at] ",
    "digits": "7",
    "spaced digits": "7 ",
    "cards, nearly": "4111 1111 1111 1111 ",
    "dates": "1980-01-02 ",
    "sums": "+4",
    "account numbers, nearly": "GB82 WEST 1234 ",
    "wallets, nearly": "aB3dE5gH",
    "machines": "1.1.1.1.",
    "colons": "ff:",
    "social security numbers": "078-05-1120 ",
    "ids of things": "12345678-1234-1234-1234-123456789012 ",
    "announced ids": "passport 1",
    "doors": "Flat 1 ",
    "streets without a number": "Via Ada ",
    "numbers without a street": "12 Ada Bo ",
    "greetings": "Dear Ada Bo ",
    "one field without an end": '"name":"',
    "quotes": '"',
    "apostrophes": "'",
    "brackets": "[({<",
    "nested JSON": '{"a":[',
    "backslashes": "\\",
    "escapes": "\\u0040",
    "percent signs": "%40",
    "entities": "&#64;",
    "keys that begin": "-----BEGIN PRIVATE KEY-----",
    "assignments": "access_key_",
    "passwords": "password ",
    "tokens": "eyJaaaaaaaa.",
    "addresses in addresses": "a://a",
    "parameters": "https://a?a=b&",
    "data URIs": "data:a;base64,",
    "parameters of data": "data:a;a=b;a=b",
    "without spaces": "abcdefghij",
    "capitals": "A",
    "blanks": " ",
    "lines": "\n",
    "columns": "1\t",
    "zero width": "a\u200b",
    "nothing but zero width": "\u200b",
    "marks that combine": "\u0301",
    "full width": "１＠Ａ",
    "ideographs": "東京都",
    "joined emoji": "\U0001f469\u200d",
}
"""Name -> what is repeated."""


def pathological(name: str, characters: int) -> str:
    """The text of this name of PATHOLOGICAL with so many characters."""
    unit = PATHOLOGICAL[name]
    return (unit * (characters // len(unit) + 1))[:characters]


def pathological_texts(characters: int) -> Iterator[tuple[str, str]]:
    """(name, text) of every one of PATHOLOGICAL, so many characters each."""
    for name in PATHOLOGICAL:
        yield name, pathological(name, characters)
