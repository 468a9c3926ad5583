"""Everything that can be checked in an answer, and what was found: `examined` puts the single checks together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from netgpt.confidence import dates, forms, sums, texts, words
from netgpt.wording.languages import spoken

GROUNDED: Final = frozenset({"extraction", "summary", "rewriting", "classification", "json", "local", "tools"})
"""Kinds whose answers are made of what was given."""
_FEW: Final = 12
"""Words that still are few."""
_PLAIN: Final = 6
"""Words from which a text shows its language."""
_LONG_QUESTION: Final = 220
"""Characters from which a question probably brings the text that it is about."""


@dataclass(slots=True)
class Findings:
    """What the checks found. `right`: what was asked was recomputed, and the answer says it."""

    right: bool = False
    wrong: bool = False
    settled: bool = False  # what was asked was recomputed: nothing else has to be weighed
    empty: bool = False
    unable: bool = False
    open_end: bool = False
    foreign: bool = False
    only_asks: bool = False  # it is the question, or most of it
    repair: str = ""
    loops: float = 0.0
    echo: float = 0.0
    new_share: float = 0.0
    new_names: int = 0
    new_numbers: int = 0
    against_facts: int = 0
    sums_right: int = 0
    sums_wrong: int = 0
    code_good: int = 0
    code_bad: int = 0
    options: int = 0
    picked: int = 0
    rambles: bool = False  # few words were asked for
    no_number: bool = False  # one was asked for
    given: bool = False
    claims: int = 0  # words of the answer that only say how sure it is
    words: int = 0
    question_words: int = 0
    reasons: list[str] = field(default_factory=list)

    def fails(self, reason: str, repair: str) -> None:
        """A check proved a fault."""
        self.right, self.wrong = False, True
        self.reasons.append(reason)
        self.repair = self.repair or repair


def examined(
    body: Mapping[str, Any], answer: str, *, kind: str, facts: Sequence[str], tokens: int | None, whole: bool
) -> Findings:
    """Check an answer to a body. `tokens`: how many it took, None: unknown; `whole`: False while it is written."""
    whole_question, rest = words.asked_of(body)
    question, known = words.told_in(whole_question), "\n".join((whole_question, rest, *facts))
    said = words.without_claims(answer[: words.MOST_READ]).strip()
    found = Findings(words=len(words.words_in(said)), question_words=len(words.words_in(question)))
    found.claims = len(words.words_in(answer[: words.MOST_READ])) - found.words
    found.given = bool(facts) or len(whole_question) > _LONG_QUESTION or kind in GROUNDED
    if not re.search(r"\S", said) or (found.claims and not found.words):
        found.empty = whole
        if whole:
            found.reasons.append("it is empty")
        return found
    _look(found, question, said, known, body, kind, tokens, whole)
    _check_sums(found, question, said, known, whole)
    _check_forms(found, body, question, answer, whole)
    if facts:
        _check_facts(found, facts, question, said)
    return found


def _look(
    found: Findings,
    question: str,
    said: str,
    known: str,
    body: Mapping[str, Any],
    kind: str,
    tokens: int | None,
    whole: bool,
) -> None:
    found.unable = words.is_no_answer(said)
    found.loops, found.echo = words.loops(said), words.echoes(question, said)
    given = frozenset(words.words_in(known))
    found.new_share, found.new_names = words.new_share(said, given), words.new_names(said, given)
    options = words.options_of(question)
    found.options, found.picked = len(options), len(words.picks(options, said))
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    cut = tokens is not None and isinstance(most, int) and tokens >= most
    found.open_end = whole and (cut or words.ends_open(said))
    found.foreign = kind != "translation" and _other_language(question, said)
    found.only_asks = not found.given and found.words >= 0.6 * found.question_words > 2 and found.echo > 0.8
    found.rambles = found.words > _FEW and words.wants_few(question)
    found.no_number = words.wants_number(question) and not sums.names_number(said)


def _other_language(question: str, said: str) -> bool:
    """Whether the answer is in another language than the question, where both are plain and none is asked for."""
    if words.names_language(question):
        return False
    asked, told = words.script_of(question), words.script_of(said)
    if asked and told and asked != told:
        return True
    if len(said.split()) < _PLAIN or len(words.words_in(question)) < _PLAIN:
        return False
    one, other = spoken(question), spoken(said)
    return one is not None and other is not None and one != other


def _check_sums(found: Findings, question: str, said: str, known: str, whole: bool) -> None:
    what, holds = _recomputed(question, said)
    found.settled = found.right = bool(holds)
    if holds:
        found.reasons.append(f"{what} was recomputed and is right")
    elif holds is False and whole:
        found.settled = True
        found.fails(f"{what} was recomputed and is wrong", f"In your answer {what} is wrong. Work it out again.")
    held = sums.equations(said)
    found.sums_right, found.sums_wrong = sum(held), len(held) - sum(held)
    if found.sums_wrong and not found.settled:
        found.fails("a sum in it does not add up", "A sum in your answer does not add up. Work it out again.")
    told = {number for number in sums.numbers_in(said) if number > 2}
    found.new_numbers = len(told - set(sums.numbers_in(known))) if told else 0


def _recomputed(question: str, said: str) -> tuple[str, bool | None]:
    """What was asked for, where a rule can work it out, and whether the answer says it; None: not to be told."""
    if (day := dates.asked_day(question)) is not None:
        return "the day or time", dates.says_day(said, day)
    if (value := sums.asked_value(question)) is not None:
        return "the sum", sums.holds_value(said, value)
    if (does := texts.asked_text(question)) is not None:
        return "what was to be done to the text", does(said)
    return "", None


def _check_forms(found: Findings, body: Mapping[str, Any], question: str, answer: str, whole: bool) -> None:
    broken = forms.broken_form(body, answer) if whole else None
    if broken:
        repair = f"Your answer does not keep to the format asked for: {broken}. Answer again with JSON alone that does."
        found.fails("it breaks the format that was asked for", repair)
    elif whole and broken is None and words.wants_json(question) and not forms.holds_json(answer):
        found.fails("it holds no valid JSON", "Your answer holds no valid JSON. Answer again with valid JSON alone.")
    for language, code in forms.code_blocks(answer):
        good = forms.parses(language, code)
        found.code_good += good is True
        found.code_bad += good is False
    if found.code_bad and whole and not found.open_end:
        found.fails("code in it does not parse", "The code in your answer does not parse. Write it again, complete.")


def _check_facts(found: Findings, facts: Sequence[str], question: str, said: str) -> None:
    """Numbers that go against a given fact: its words with another number."""
    asked = set(sums.numbers_in(question))
    for fact in facts:
        numbers = set(sums.numbers_in(fact))
        about = {word for word in words.words_in(fact) if len(word) > 3 and not word[0].isdigit()}
        if not numbers or not about:
            continue
        for sentence in said.replace("\n", ". ").split(". "):
            told = set(sums.numbers_in(sentence)) - asked
            near = len(about & set(words.words_in(sentence))) >= max(2, len(about) // 2)
            found.against_facts += bool(near and told and not told & numbers)
    if found.against_facts:
        found.reasons.append("it goes against a fact that was given")
