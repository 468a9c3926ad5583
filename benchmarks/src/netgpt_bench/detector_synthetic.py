"""Invented sentences with private words that mean nobody, from a seed: what the detector of names is trained on.

The words and sentence patterns are in the folder `wordlists`. A slot in braces becomes a private word of its kind: p
person, f first name, l surname, c city, k country, o organisation, s school or hospital, j job, d date, w weekday or
month, t time, a age, n nationality or faith, r address, i id, b account, h health, u user name, x product.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import resources


def _text(name: str) -> str:
    return (resources.files("netgpt_bench") / "wordlists" / name).read_text(encoding="utf-8")


@cache
def pool() -> dict[str, tuple[str, ...]]:
    """Common names of many origins, employers, jobs, diagnoses, streets ...: the lists of `pool.toml`, by name."""
    lists = tomllib.loads(_text("pool.toml"))
    return {
        name: tuple(part.strip() for part in text.split("," if "," in text else None)) for name, text in lists.items()
    }


@cache
def patterns(name: str) -> tuple[str, ...]:
    """Sentence patterns: "private" ones with slots, or "harmless" ones, many with words that look like names."""
    return tuple(_text(f"{name}.txt").splitlines())


_HARMLESS_SHARE = 0.33
_SLOT = re.compile(r"\{([a-z])\}")
KINDS = {
    "p": "PERSON", "f": "PERSON", "l": "PERSON", "c": "PLACE", "k": "PLACE", "o": "ORG", "s": "ORG", "j": "JOB",
    "d": "DATE", "w": "DATE", "t": "DATE", "a": "AGE", "n": "NATIONALITY", "r": "ADDRESS", "i": "ID", "b": "ID",
    "h": "HEALTH", "u": "USERNAME", "x": "PRODUCT",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TaggedText:
    """A text, its private spans (start, end, kind or None) and where it comes from.

    `unsure`: stretches that the source does not judge. `weight`: how much the example counts. `private`: how much more
    its private words do: a source that calls much private without a sign of it would else never be sure of anything.
    """

    text: str
    spans: tuple[tuple[int, int, str | None], ...]
    origin: str
    unsure: tuple[tuple[int, int], ...] = field(default=())
    weight: float = 1.0
    private: float = 1.0


class Inventor:
    """Fills the patterns. `cities`, `countries`: public place names, cities in order of size."""

    def __init__(self, cities: Sequence[str], countries: Sequence[str], seed: int) -> None:
        self._cities, self._countries = cities, countries
        self._chance = random.Random(seed)
        self.makers: dict[str, Callable[[], str]] = {
            "p": self.person, "f": self.first, "l": self.last, "c": self.city, "k": self.country, "o": self.employer,
            "s": self._school, "j": partial(self._pick, "jobs"), "d": self._date, "w": self._when, "t": self._time,
            "a": self._age, "n": partial(self._pick, "nationalities"), "r": self._address, "i": self._id,
            "b": self._account, "h": partial(self._pick, "diagnoses"), "u": self._username, "x": self._product,
        }  # fmt: skip

    def example(self) -> TaggedText:
        """One text of one to a few sentences; a third of the texts hold nothing private."""
        private = self._chance.random() >= _HARMLESS_SHARE
        count = self._chance.choice((1, 1, 1, 2, 3, 4) if private else (1, 1, 1, 2, 3, 6))
        text = ""
        spans: list[tuple[int, int, str | None]] = []
        for number in range(count):
            is_private = private and self._chance.random() < 0.85
            pattern = self._chance.choice(patterns("private" if is_private else "harmless")).replace("\\n", "\n")
            if number:
                text += self._chance.choice((" ", ". ", "\n", "\n\n"))
            text, found = self._filled(pattern, text) if is_private else (text + pattern, [])
            spans.extend(found)
        return TaggedText(text, tuple(spans), "invented")

    def _filled(self, pattern: str, text: str) -> tuple[str, list[tuple[int, int, str | None]]]:
        spans: list[tuple[int, int, str | None]] = []
        done = 0
        for slot in _SLOT.finditer(pattern):
            text += pattern[done : slot.start()]
            value = self.makers[slot[1]]()
            spans.append((len(text), len(text) + len(value), KINDS[slot[1]]))
            text += value
            done = slot.end()
        return text + pattern[done:], spans

    def _pick(self, name: str) -> str:
        return self._chance.choice(pool()[name])

    def made_up(self) -> str:
        """A word that no list holds, in the shape of a name."""
        word = "".join(self._chance.choices(pool()["syllables"], k=self._chance.choice((2, 2, 3))))
        if self._chance.random() < 0.5:
            word += self._pick("name_endings")
        return word.capitalize()

    def first(self) -> str:
        if self._chance.random() < 0.12:
            return self.made_up()
        return self._pick("first")

    def last(self) -> str:
        if self._chance.random() < 0.3:
            return self.made_up()
        return self._pick("last").replace("-", self._chance.choice((" ", "-")))

    def person(self) -> str:
        middle = f" {self._chance.choice('ABCDEFGHJKLMNPRSTW')}." if self._chance.random() < 0.08 else ""
        if self._chance.random() < 0.04:
            return f"{self.last()}, {self.first()}"
        return f"{self.first()}{middle} {self.last()}"

    def city(self) -> str:
        draw = self._chance.random()
        if draw < 0.15:
            return self.made_up()
        last = len(self._cities) - 1
        return self._cities[int(last * self._chance.random() ** (4 if draw < 0.7 else 1))]

    def country(self) -> str:
        return self._chance.choice(self._countries)

    def employer(self) -> str:
        draw = self._chance.random()
        if draw < 0.35:
            return self._pick("employers")
        name = self._chance.choice((self._pick("org_starts"), self.last(), self.made_up(), self.city()))
        if draw < 0.45:
            return f"{self.last()}, {self.last()} and {self.last()}"
        if draw < 0.55:
            return name if draw > 0.5 else f"{self.last()}-{self.last()}"
        if draw < 0.6:
            return "".join(self._chance.choices("ABCDEFGHIKLMNOPRSTUVW", k=self._chance.choice((3, 3, 4))))
        return f"{name} {self._pick('org_endings')}"

    def _school(self) -> str:
        return self._pick("school_forms").format(self._chance.choice((self.city(), self.last())))

    def _date(self) -> str:
        c = self._chance
        day, month, year = c.randint(1, 28), self._pick("months"), c.randint(1940, 2027)
        number = c.randint(1, 12)
        return c.choice((
            f"{day} {month} {year}", f"{month} {day}, {year}", f"{day}/{number}/{year}", f"{day:02}.{number:02}.{year}",
            f"{year}-{number:02}-{day:02}", f"{month} {year}", f"{year}", f"{month} {day}", f"{day}th of {month}",
            f"{number}/{day}/{year % 100:02}",
        ))  # fmt: skip

    def _when(self) -> str:
        return self._chance.choice((*pool()["days"], *pool()["days"], *pool()["months"][:12]))

    def _time(self) -> str:
        hour, minute = self._chance.randint(1, 12), self._chance.choice(("00", "15", "30", "45"))
        return self._chance.choice((f"{hour}:{minute}", f"{hour}pm", f"{hour} am", f"{hour + 11}:{minute}"))

    def _age(self) -> str:
        return str(self._chance.randint(3, 96))

    def _address(self) -> str:
        c = self._chance
        name = c.choice((self._pick("streets"), self.last(), self.made_up()))
        street, number = self._pick("street_forms").format(name), c.randint(1, 2400)
        line = c.choice((f"{number} {street}", f"{street} {number}", f"{number} {street}"))
        line += c.choice(("", "", f", Apt {c.randint(1, 80)}", f" Suite {c.randint(1, 900)}"))
        return line + c.choice(("", "", f", {self.city()}", f", {c.randint(10000, 99999)} {self.city()}"))

    def _id(self) -> str:
        c = self._chance
        letters = "".join(c.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=c.randint(1, 4)))
        digits = "".join(c.choices("0123456789", k=c.randint(3, 9)))
        forms = (letters + digits, f"{letters}-{digits}", digits, f"#{digits}", f"{digits[:3]}-{digits[3:]}{letters}")
        return c.choice(forms)

    def _account(self) -> str:
        digits = "".join(self._chance.choices("0123456789", k=self._chance.randint(6, 12)))
        return self._chance.choice((digits, f"{digits[:3]}-{digits[3:]}", f"{digits[:4]} {digits[4:]}"))

    def _username(self) -> str:
        c = self._chance
        word = (self.first() + c.choice(("", "_", ".")) + self.made_up()).replace(" ", "").lower()
        return word + c.choice(("", str(c.randint(1, 99)), str(c.randint(1970, 2010))))

    def _product(self) -> str:
        return self._chance.choice((self._pick("products"), self.made_up()))
