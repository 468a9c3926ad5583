"""Invented texts in many languages, and of many kinds in English, that the detector of names is trained on.

A file of `wordlists/languages` holds one language: everyday requests that name nobody, sentences with slots for
private words, and what fills the slots; of `<one|another>` one is drawn. The files of `wordlists/kinds` hold English
texts of one kind each: of developers, about public people, full of numbers, letters, logs, two people in one sentence.
Slots are those of `detector_synthetic`.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from netgpt.privacy.figures import figures
from netgpt.privacy.kinds import ALSO_WORDS
from netgpt.privacy.tagger import is_glued
from netgpt_bench.detector_synthetic import KINDS, Inventor, TaggedText

_SLOT = re.compile(r"\{([a-z])\}")
_MARKED = re.compile(r"\[\[(.+?)\]\]")
_CHOICE = re.compile(r"<([^<>|]*(?:\|[^<>|]*)+)>")
"""One of several wordings, drawn anew each time."""
_COINED = 0.2
"""Share of names that are made up of the letters of others."""
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_LISTS: Final = ("first", "last", "cities", "employers")
KINDS_HARMLESS: Final = ("harmless_tech", "harmless_knowledge", "harmless_everyday", "harmless_numbers")
_NAMES_AND_WORDS: Final = sorted(word for word in ALSO_WORDS if len(word) > 2 and word.isalpha())
FRAMES: Final = ("frames", "frames_knowledge", "frames_tech", "frames_everyday")
_WITHOUT_BLANKS: Final = ("zh", "zh-Hant", "ja")
_LISTED: Final = {
    "W": "works", "O": "orgs", "S": "sights", "M": "medical", "L": "languages", "F": "dishes", "G": "sports",
    "T": "tools", "E": "eponyms", "I": "identifiers", "A": "figures",
}  # fmt: skip
KINDS_PRIVATE: Final = {
    "private_short": 3, "private_bare": 10, "private_pairs": 3, "private_documents": 3, "private_words": 3,
}  # fmt: skip
"""Texts with private words, and how often a line is drawn in one pass: questions about a surname alone as often as such
ones about public figures are."""


@dataclass(frozen=True, slots=True)
class LanguageTexts:
    """One language: sentences, and lists of names by the section of the file that holds them."""

    code: str
    harmless: tuple[str, ...]
    private: tuple[str, ...]
    lists: Mapping[str, tuple[str, ...]]

    @property
    def is_latin(self) -> bool:
        return _LATIN.match(self.lists["first"][0]) is not None


def _read(name: str) -> str:
    return (resources.files("netgpt_bench") / "wordlists" / name).read_text(encoding="utf-8")


@cache
def languages() -> tuple[LanguageTexts, ...]:
    """All languages, by code."""
    folder = resources.files("netgpt_bench") / "wordlists" / "languages"
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".txt"))
    more = {name.removesuffix("+more.txt"): _read(f"languages/{name}") for name in files if "+" in name}
    codes = [name.removesuffix(".txt") for name in files if "+" not in name]
    return tuple(_language(code, f"{_read(f'languages/{code}.txt')}\n{more.get(code, '')}") for code in codes)


def _language(code: str, text: str) -> LanguageTexts:
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if re.fullmatch(r"\[\w+\]", line):
            lines = sections.setdefault(line[1:-1], [])
        elif line.strip():
            lines.append(line.strip())
    lists = {
        name: tuple(part.strip() for part in re.split("[,،、，]", ",".join(sections[name])) if part.strip())
        for name in _LISTS
    }
    lists |= {name: tuple(sections[name]) for name in ("person", "addresses")}
    return LanguageTexts(code, tuple(sections["harmless"]), tuple(sections["private"]), lists)


@cache
def kind_lines(name: str) -> tuple[str, ...]:
    """The texts of a file of kinds, with their line breaks."""
    return tuple(line.replace("\\n", "\n") for line in _read(f"kinds/{name}.txt").splitlines() if line.strip())


@cache
def public_names() -> Mapping[str, tuple[str, ...]]:
    """Names that mean no private person, by sort: tools, titles of works, firms, eponyms ..."""
    lists = tomllib.loads(_read("kinds/lists.toml"))
    return {name: tuple(part.strip() for part in text.split(",") if part.strip()) for name, text in lists.items()}


class Polyglot:
    """Fills the sentences of all languages and kinds, from a seed."""

    def __init__(
        self, inventor: Inventor, seed: int, *, without: frozenset[str] = frozenset(),
        more_names: Mapping[str, Mapping[str, Sequence[str]]] | None = None
    ) -> None:  # fmt: skip
        """`without`: codes of languages and names of kinds that are held out. `more_names`: code -> list -> names."""
        self._inventor, self._chance = inventor, random.Random(seed)
        self._languages = [each for each in languages() if each.code not in without]
        self._latin = [each for each in languages() if each.is_latin]
        self._kinds = [name for name in (*KINDS_HARMLESS, *KINDS_PRIVATE) if name not in without]
        self._more, self._without = more_names or {}, without

    def lesson(self, share: float = 1.0) -> Iterator[TaggedText]:
        """One pass: every harmless line once, every line with slots twice, filled anew; `share` of them all."""
        for language in self._languages:
            times = 1 if language.is_latin else 2  # less is known of them beforehand
            for line in _repeated(language.harmless * times):
                if self._chance.random() < share:
                    yield TaggedText(self._grown(line, language.harmless), (), "languages")
            for line in _repeated(language.private * (2 * times)):
                if self._chance.random() < share:
                    yield self._of_language(language, line)
        for name in self._kinds:
            for line in kind_lines(name):
                for _ in range(KINDS_PRIVATE.get(name, 1)):
                    if self._chance.random() < share:
                        yield self._of_kind(name, line)
        for name in FRAMES:
            for line in (*kind_lines(name), *kind_lines(name)):
                if name not in self._without and self._chance.random() < share:
                    yield TaggedText(self._framed(name, line), (), "kinds")

    def _grown(self, line: str, others: Sequence[str]) -> str:
        """Sometimes with another sentence behind it, sometimes without its last sign."""
        draw = self._chance.random()
        line = self._drawn_from(line)
        if draw < 0.2:
            return line + self._chance.choice((" ", "\n", " ")) + self._drawn_from(self._chance.choice(others))
        return line.rstrip(".。!?？") if draw < 0.3 else line

    def _drawn_from(self, line: str) -> str:
        return _CHOICE.sub(lambda match: self._chance.choice(match[1].split("|")), line)

    def _framed(self, name: str, line: str) -> str:
        """A harmless sentence with a public name, a tool, a number ... in each of its slots."""
        chance, lists, makers = self._chance, public_names(), self._inventor.makers
        number = chance.randint(1, 10 ** chance.randint(1, 6))
        fillers: dict[str, Callable[[], str]] = {
            "P": lambda: chance.choice(figures()), "C": makers["c"], "K": makers["k"], "D": makers["d"],
            "Y": lambda: str(chance.randint(1000, 2030)), "N": lambda: str(number), "w": makers["w"],
            "V": lambda: ".".join(str(chance.randint(0, 30)) for _ in range(chance.choice((2, 3, 3)))),
            "H": lambda: "".join(chance.choices("0123456789abcdef", k=chance.choice((7, 12, 32, 40)))),
            "U": lambda: chance.choice(("/", "./", "https://", "C:\\")) + "/".join(chance.choices(lists["tools"], k=2)),
        }  # fmt: skip
        if name == "frames_tech" and chance.random() < 0.5:
            fillers["D"] = lambda: (
                f"{chance.randint(1990, 2030)}-{chance.randint(10, 12)}-{chance.randint(10, 28)}T10:41:07Z"
            )

        def filled(slot: re.Match[str]) -> str:
            if slot[1] in fillers:
                return fillers[slot[1]]()
            return chance.choice(lists[_LISTED[slot[1]]]) if slot[1] in _LISTED else slot[0]

        return re.sub(r"\{([A-Zw])\}", filled, line)

    def _of_language(self, language: LanguageTexts, line: str) -> TaggedText:
        makers: dict[str, Callable[[], str]] = {
            "p": lambda: self._person(language), "f": lambda: self._name(language, "first"),
            "l": lambda: self._name(language, "last"), "c": lambda: self._name(language, "cities"),
            "o": lambda: self._name(language, "employers"), "r": lambda: self._name(language, "addresses"),
        }  # fmt: skip
        text, spans = _filled(self._drawn_from(line).replace("\\n", "\n"), makers)
        if self._chance.random() < 0.3:
            other = self._drawn_from(self._chance.choice(language.harmless))
            gap = self._chance.choice(("", "\n")) if language.code in _WITHOUT_BLANKS else " "
            if self._chance.random() < 0.5:
                text = f"{text}{gap}{other}"
            else:
                before = len(other) + len(gap)
                text, spans = f"{other}{gap}{text}", [(a + before, b + before, kind) for a, b, kind in spans]
        return TaggedText(
            text, tuple(spans), "languages", private=2.0 if is_glued(language.lists["first"][0][0]) else 1.0
        )

    def _name(self, language: LanguageTexts, which: str) -> str:
        more = self._more.get(language.code, {}).get(which, ())
        if which in ("first", "last") and self._chance.random() < _COINED:
            return coined((*more, *language.lists[which]), self._chance)
        return self._chance.choice(more if more and self._chance.random() < 0.5 else language.lists[which])

    def _person(self, language: LanguageTexts) -> str:
        forms = language.lists["person"]
        form = forms[0] if self._chance.random() < 0.6 else self._chance.choice(forms)
        return re.sub(r"\{([fl])\}", lambda m: self._name(language, "first" if m[1] == "f" else "last"), form)

    def _of_kind(self, name: str, line: str) -> TaggedText:
        if name in KINDS_HARMLESS:
            draw = self._chance.random()
            other = self._chance.choice(kind_lines(name)) if draw < 0.15 else ""
            return TaggedText(f"{line}\n{other}" if other else line, (), "kinds")
        if name == "private_words":
            return _marked(line)
        people = self._chance.choice((None, None, self._chance.choice(self._latin), romanized(self._chance)))
        makers = dict(self._inventor.makers)
        if isinstance(people, LanguageTexts):
            makers["p"] = lambda: self._person(people)
            makers["f"] = lambda: self._name(people, "first")
            makers["l"] = lambda: self._name(people, "last")
        elif people is not None:
            makers |= people
        elif self._chance.random() < 0.25:  # people whose names are words
            makers["p"] = lambda: " ".join(word.title() for word in self._chance.sample(_NAMES_AND_WORDS, 2))
        text, spans = _filled(self._drawn_from(line) if name == "private_bare" else line, makers)
        return TaggedText(text, tuple(spans), "kinds")


def _filled(line: str, makers: Mapping[str, Callable[[], str]]) -> tuple[str, list[tuple[int, int, str | None]]]:
    text, done = "", 0
    spans: list[tuple[int, int, str | None]] = []
    for slot in _SLOT.finditer(line):
        if slot[1] not in makers:
            continue
        text += line[done : slot.start()]
        value = makers[slot[1]]()
        spans.append((len(text), len(text) + len(value), KINDS[slot[1]]))
        text += value
        done = slot.end()
    return text + line[done:], spans


def _repeated(lines: Sequence[str]) -> Iterator[str]:
    """Each line once, and once more for every two choices in it."""
    return (line for line in lines for _ in range(1 + len(_CHOICE.findall(line)) // 2))


def coined(names: tuple[str, ...], chance: random.Random) -> str:
    """A name that may be in no list, of the runs of letters of these: by each three letters (one sign in Chinese,
    Japanese and Korean) the next one."""
    size, following = _following(names)
    for _ in range(20):
        name, state = "", "^" * size
        while (letter := chance.choice(following[state])) != "$" and len(name) < 20:
            name, state = name + letter, (state + letter)[-size:]
        if size == 1 or len(name) > 3:
            return name
    return chance.choice(names)


@cache
def _following(names: tuple[str, ...]) -> tuple[int, Mapping[str, Sequence[str]]]:
    """How many letters decide about the next one, and after which letters which ones came ("$": the end)."""
    size = 1 if all(len(name) < 7 and "\u3040" <= name[0] <= "\ud7af" for name in names) else 3
    following: dict[str, list[str]] = {}
    for name in names:
        letters = "^" * size + name + "$"
        for at in range(size, len(letters)):
            following.setdefault(letters[at - size : at], []).append(letters[at])
    return size, following


def _marked(line: str) -> TaggedText:
    """A text whose private words stand in double brackets."""
    text, done = "", 0
    spans: list[tuple[int, int, str | None]] = []
    for mark in _MARKED.finditer(line):
        text += line[done : mark.start()]
        spans.append((len(text), len(text) + len(mark[1]), "PERSON"))
        text += mark[1]
        done = mark.end()
    return TaggedText(text + line[done:], tuple(spans), "kinds")


# --- Chinese and Korean names in Latin letters, put together from their syllables.


@cache
def _romanized() -> Mapping[str, str]:
    return tomllib.loads(_read("romanized.toml"))


def romanized(chance: random.Random) -> dict[str, Callable[[], str]]:
    """Makers of the slots p, f and l for Chinese, or Korean, names in Latin letters."""
    script = chance.choice(("pinyin", "korean"))
    last, syllables = (tuple(_romanized()[name].split()) for name in (f"{script}_last", script))

    def first() -> str:
        one, two = chance.choice(syllables), chance.choice(syllables)
        forms = (one.title() + two, f"{one.title()}-{two}", f"{one.title()} {two.title()}", one.title())
        return chance.choice(forms)

    def person() -> str:
        family, given = chance.choice(last), first()
        return f"{family} {given}" if chance.random() < 0.7 else f"{given} {family}"

    return {"p": person, "f": first, "l": lambda: chance.choice(last)}
