"""Questions with answers that a rule can check: thousands of different ones for each kind of `judgement.TASK_KINDS`.

A family is one sort of question within a kind: a function that draws values and says what makes an answer right, or a
table of `tables.toml`. How it is put into words, in which languages, stands in `wordings.toml`; so a kind, a family, a
wording or a language can be held out whole. The same seed draws the same questions on every machine.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from random import Random
from typing import Any, Final

from netgpt.capability.grading import Check, Covers, GivenAnswer, OptionChosen, Phrase
from netgpt.judgement import TASK_KINDS

_LONGEST_SEARCH: Final = 40
"""Draws without a new question after which a family counts as used up."""


@dataclass(frozen=True, slots=True)
class CheckedQuestion:
    """One question, as it is asked, and what makes an answer right."""

    kind: str  # of TASK_KINDS
    family: str  # "kind/name"
    wording: int  # which of the family's wordings
    language: str  # ISO 639-1
    messages: tuple[Mapping[str, Any], ...]
    check: Check
    most_tokens: int = 48
    tools: tuple[Mapping[str, Any], ...] = ()

    @property
    def asked(self) -> str:
        """The text of the last message of the person."""
        return next(str(each["content"]) for each in reversed(self.messages) if each["role"] == "user")

    @property
    def id(self) -> str:
        """The same for the same question, whenever it is drawn."""
        return hashlib.sha256(json.dumps([self.family, *self.messages]).encode()).hexdigest()[:16]

    def body(self) -> dict[str, Any]:
        """OpenAI's request: greedy, with a bound on the answer."""
        body = {"messages": [dict(each) for each in self.messages], "max_tokens": self.most_tokens, "temperature": 0}
        return body | ({"tools": [dict(each) for each in self.tools]} if self.tools else {})

    def right(self, answer: GivenAnswer) -> bool:
        """Whether the answer does (for a check of `only_form`: whether its form does)."""
        return self.check.holds(answer, self.asked)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a family draws: values for the wording, the check, and what goes with the question."""

    check: Check
    values: Mapping[str, object]
    most_tokens: int = 48
    tools: tuple[Mapping[str, Any], ...] = ()
    after: tuple[Mapping[str, Any], ...] = ()
    """Messages after the person's: a call of a tool, and what it gave back."""


_ROOM: Final[Mapping[str, int]] = {
    "word-problems": 320, "arithmetic": 160, "dates": 160, "code-reading": 160, "reasoning": 120, "science": 96
}  # fmt: skip
"""Tokens of an answer that may show its steps before it comes to the point: at least so many of these kinds."""
Draw = Callable[[Random, str], Draft]
"""Draws from a generator, for a language."""


@dataclass(frozen=True, slots=True)
class QuestionFamily:
    """One sort of question: how it is drawn, and its wordings by language."""

    kind: str
    name: str
    draw: Draw
    wordings: Mapping[str, Sequence[str]]


_DRAWN: Final[dict[str, Draw]] = {}
_MODULES: Final = ("number_questions", "text_questions", "logic_questions", "code_questions")


def family(name: str) -> Callable[[Draw], Draw]:
    """Register what draws the family `kind/name`; its wordings stand under that name in `wordings.toml`."""

    def register(draw: Draw) -> Draw:
        _DRAWN[name] = draw
        return draw

    return register


@cache
def families() -> Mapping[str, QuestionFamily]:
    """Every family, by its name `kind/name`, in an order that never changes."""
    for module in _MODULES:
        import_module(f"netgpt.capability.{module}")
    wordings, found = _read("wordings.toml"), {}
    for name, draw in _DRAWN.items():
        kind, _, own = name.partition("/")
        found[name] = QuestionFamily(kind, name, draw, wordings[kind][own])
    tables = _read("tables.toml")["table"]
    rows = {table["name"]: table["rows"] for table in tables if "rows" in table}
    for table in tables:
        name = f"{table['kind']}/{table['name']}"
        table.setdefault("rows", rows.get(table.get("of")))
        draws = _of_table(table)
        found[name] = QuestionFamily(table["kind"], name, draws, table["wordings"])
    order = list(TASK_KINDS)
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1].kind), item[0])))


@cache
def _listed() -> dict[str, Any]:
    return _read("words.toml")


@cache
def words(name: str) -> tuple[str, ...]:
    """A list of `words.toml`: its lines, or its words where it is one line. "days.en" is `en` of `days`."""
    found: Any = _listed()
    for part in name.split("."):
        found = found[part]
    return tuple(found.strip("\n").split("\n") if "\n" in found else found.split())


@cache
def rows(name: str) -> tuple[tuple[str, ...], ...]:
    """A table of `words.toml`, row by row; "\\n" in it is a line break."""
    return tuple(tuple(row.replace("\\n", "\n").split("|")) for row in words(name))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("netgpt.capability").joinpath(name).read_text(encoding="utf-8"))


def _of_table(table: Mapping[str, Any]) -> Draw:
    """Draws a row of a table. Its columns are `a|b|...`; the answer is in the last, its other forms after "/".

    `rows` by language. `how`: "phrase" (other rows' answers are wrong ones), "covers" (any word of each group, groups
    parted by ";"), "choice" (the last three columns are wrong options), "pick" (options are answers of other rows).
    """
    how, tokens = table.get("how", "phrase"), table.get("most_tokens", 40)
    rows = {language: [row.split("|") for row in text.strip().split("\n")] for language, text in table["rows"].items()}
    answers = {language: {row[-1] for row in each} for language, each in rows.items()}

    def draw(random: Random, language: str) -> Draft:
        row = random.choice(rows[language])
        if how == "choice":
            return choice(random, {"question": row[0]}, row[1], row[2:])
        if how == "pick":
            wrong = random.sample(sorted(answers[language] - {row[-1]}), 3)
            first = [each.partition("/")[0] for each in (row[-1], *wrong)]
            return choice(random, {"c0": row[0]}, first[0], first[1:])
        values = {f"c{number}": cell for number, cell in enumerate(row[:-1])}
        if how == "covers":
            groups = tuple(tuple(group.split("/")) for group in row[-1].split(";"))
            return Draft(Covers(groups, most_words=120), values, tokens)
        right = row[-1].split("/")
        others = {form for each in answers[language] - {row[-1]} for form in each.split("/")[:1]} - set(right)
        if table.get("closed", False):
            others = set(table["labels"][language]) - set(right)
        return Draft(Phrase(tuple(right), tuple(sorted(others))), values, tokens)

    return draw


def choice(random: Random, values: Mapping[str, object], right: str, wrong: Sequence[str]) -> Draft:
    """A question with lettered options in any order."""
    options = [right, *wrong]
    random.shuffle(options)
    shown = "\n".join(f"{letter}) {option}" for letter, option in zip("ABCDE", options, strict=False))
    check = OptionChosen("ABCDE"[options.index(right)], tuple(options))
    return Draft(check, {**values, "options": shown}, 32)


def one(random: Random, family: QuestionFamily, language: str) -> CheckedQuestion:
    """One question of a family."""
    draft = family.draw(random, language)
    wordings = family.wordings[language]
    wording = random.randrange(len(wordings))
    asked = {"role": "user", "content": wordings[wording].strip().format(**draft.values)}
    messages, tokens = (asked, *draft.after), max(draft.most_tokens, _ROOM.get(family.kind, 0))
    return CheckedQuestion(family.kind, family.name, wording, language, messages, draft.check, tokens, draft.tools)


def questions(
    kind: str, seed: int, *, leave_out: Iterable[str] = (), languages: Iterable[str] | None = None
) -> Iterator[CheckedQuestion]:
    """Different questions of a kind, its families and their languages by turns, until they are used up.

    `leave_out`: names of families ("kind/name"); `languages`: only these. The first n are the same for every n.
    """
    left_out, wanted = set(leave_out), None if languages is None else set(languages)
    own = [each for each in families().values() if each.kind == kind and each.name not in left_out]
    turns = {each.name: _turns([one for one in each.wordings if wanted is None or one in wanted]) for each in own}
    own = [each for each in own if turns[each.name]]
    random, seen = Random(f"{kind} {seed}"), set[str]()  # noqa: S311 - questions, no secrets
    random.shuffle(own)
    while own:
        for each in tuple(own):
            mine = turns[each.name]
            while mine and (question := _new(random, each, mine[0], seen)) is None:
                mine.pop(0)
            if mine and question is not None:
                mine.append(mine.pop(0))
                yield question
            else:
                own.remove(each)


def _turns(languages: Sequence[str]) -> list[str]:
    """English twice before each other language: most of what is asked of the small models that there are."""
    others = [each for each in languages if each != "en"]
    english = ["en", "en"] if "en" in languages else []
    return [each for other in others for each in (*english, other)] or english


def _new(random: Random, family: QuestionFamily, language: str, seen: set[str]) -> CheckedQuestion | None:
    for _ in range(_LONGEST_SEARCH):
        question = one(random, family, language)
        if question.id not in seen:
            seen.add(question.id)
            return question
    return None


def mixed(seed: int, each: int, kinds: Sequence[str] = tuple(TASK_KINDS)) -> Iterator[CheckedQuestion]:
    """`each` questions of every kind, the kinds by turns, so that a run that is cut has asked all alike."""
    by_kind = {kind: questions(kind, seed) for kind in kinds}
    for _ in range(each):
        for drawn in by_kind.values():
            question = next(drawn, None)
            if question is not None:
                yield question
