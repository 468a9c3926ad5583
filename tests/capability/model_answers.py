"""Right answers to questions, made from what their checks ask for; and answers that are right to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

from netgpt.capability.grading import (
    AnyOf,
    Both,
    CallMade,
    Check,
    Covers,
    Form,
    Function,
    GivenAnswer,
    Literal,
    Number,
    OptionChosen,
    Pattern,
    Phrase,
    Referral,
    Structure,
)
from netgpt.capability.questions import CheckedQuestion


def right_answer(question: CheckedQuestion) -> GivenAnswer:
    """An answer that does, in a sentence where the check leaves room for one."""
    return _right(question.check)


def _right(check: Check) -> GivenAnswer:
    match check:
        case Number(value=value):
            return GivenAnswer(f"Let me see. The answer is {value:,.10g}.")
        case Phrase(right=right):
            return GivenAnswer(f"That is {right[0].strip('*')}, as far as I know.")
        case OptionChosen(letter=letter, options=options):
            return GivenAnswer(f"{letter}) {options['ABCDE'.index(letter)]}")
        case Covers(groups=groups):
            return GivenAnswer(" ".join(group[0].strip("*") for group in groups))
        case Literal(right=right):
            return GivenAnswer(f"`{right[0]}`")
        case Structure(value=value):
            return GivenAnswer(f"Here it is:\n```json\n{json.dumps(value)}\n```")
        case CallMade(name=name, arguments=arguments):
            return GivenAnswer("", ((name, json.dumps(dict(arguments))),))
        case Function(name=name, cases=cases):
            known = ", ".join(f"{str(given[0])!r}: {result!r}" for given, result in cases)
            return GivenAnswer(
                f"Sure:\n```python\ndef {name}(x):\n    known = {{{known}}}\n    return known[str(x)]\n```"
            )
        case Pattern(yes=yes):
            return GivenAnswer(f"`{'|'.join(yes)}`")
        case Form():
            return GivenAnswer(_form(check))
        case Referral(unknown=unknown):
            return GivenAnswer(
                "I do not know it, ask a pharmacist." if unknown else "CallMade an ambulance, or see a doctor now."
            )
        case AnyOf(checks=checks):
            return _right(checks[0])
        case Both(checks=checks):
            return GivenAnswer(" ".join(dict.fromkeys(" ".join(_right(each).text for each in checks).split())))
    raise AssertionError(check)


def _form(form: Form) -> str:
    word = form.initials + "andle" if form.initials else "candle"
    rows = form.lines if form.lines is not None else form.items
    if rows is not None:
        return "\n".join(
            f"{at}. {word} {'burning quietly' if at % 2 else 'goes out'} here" for at in range(1, rows + 1)
        )
    words = [*form.holds_all, *form.holds_one[:1]]
    filler = (f"then{at} something{at % 7} happened" for at in range(form.words[0]))
    return " ".join([*(each.strip("*") for each in words), *filler])


Weird: list[tuple[str, Callable[[CheckedQuestion], GivenAnswer]]] = [
    ("nothing", lambda question: GivenAnswer("")),
    ("blanks", lambda question: GivenAnswer(" \n\t" * 50)),
    ("a question back", lambda question: GivenAnswer("Could you rephrase that?")),
    ("a loop", lambda question: GivenAnswer("the the the " * 20_000)),
    ("every number", lambda question: GivenAnswer(" ".join(map(str, range(-200, 20_000))))),
    ("null characters", lambda question: GivenAnswer("\0" * 1000 + "\ufffd\u202e" * 100)),
    ("brackets without end", lambda question: GivenAnswer("[" * 100_000)),
    ("braces without end", lambda question: GivenAnswer('{"a":' * 50_000)),
    ("thinking without end", lambda question: GivenAnswer("<think>" + right_answer(question).text)),
    ("a tower of calls", lambda question: GivenAnswer("", tuple(("get_weather", "{" * 1000) for _ in range(1000)))),
]
"""Answers that are right to no question (but an answer of the person's own words, which is none of these)."""
