"""Mode `rewrite`: the edge model writes the comprehensive prompt itself, P_com = LLM(P_con; I) (arXiv 2307.06148).

A small model drops and invents things, so the result is checked: every number, name and content word must come from the
request or the facts, and every content word of the request must survive. Otherwise the caller falls back to `select`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netgpt.completion.classify import Ask, answer_text
from netgpt.errors import ContextTooLong, ModelError
from netgpt.types import Fact

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
    """The words that are neither function words nor numbers."""
    return [token for token in tokens(text) if token not in _FUNCTION and not any(map(str.isdigit, token))]


def numbers_in(text: str) -> list[str]:
    """Every token with a digit.

    >>> numbers_in("at 18:40 for 3.5 km")
    ['18', '40', '3.5']
    """
    return re.findall(r"[^\W_]*\d[\w.,]*\w|\d", text.casefold())


def is_given(word: str, given: frozenset[str] | set[str]) -> bool:
    """Whether a word, or the same word with another common ending, stands in `given`."""
    base = word.removesuffix("'s")
    forms = {word, base, base + "s", base + "es", base + "'s", base + "ing", base + "ed", base + "d"}
    endings = ("ies", "y"), ("y", "ies"), ("ing", "e"), *((ending, "") for ending in ("es", "s", "ing", "ed", "d"))
    for ending, other in endings:
        if base.endswith(ending) and len(base) - len(ending) >= 3:
            forms.add(base[: -len(ending)] + other)
    return not forms.isdisjoint(given)


_TASK = (
    "Rewrite the request as one complete request in the first person. Use the facts. Use only words of the request "
    "and of the facts. Do not answer the request. Do not add anything else."
)
_SHOTS = (
    ("dinner ideas", ("The user is vegan", "The user is in Leeds"), "Dinner ideas for a vegan in Leeds, please."),
    ("what oil does it need", ("The user drives a Honda Civic",), "What oil does it need? I drive a Honda Civic."),
)
_LONGEST_RATIO = 1.6
"""A longer result, in words over the words given, is rejected."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """`text`: the checked prompt, or None; `why`: what failed, without any content."""

    text: str | None
    why: str


async def rewrite(ask: Ask, request: str, facts: Sequence[Fact]) -> Rewritten:
    """Let the edge model complete `request` with `facts`. A failure of the model is a result, not an error."""
    if not facts:
        return Rewritten(None, "no facts to write in")
    try:
        text = " ".join(answer_text(await ask(rewriting(request, facts))).split())
    except (ModelError, ContextTooLong) as error:
        return Rewritten(None, f"the edge model failed ({error.code})")
    fault = check(text, request, facts)
    return Rewritten(None, fault) if fault else Rewritten(text, "every word was given")


def rewriting(request: str, facts: Sequence[Fact]) -> dict[str, Any]:
    """The chat body: task and examples come first, so that the engine's prompt cache is reused."""
    messages: list[dict[str, str]] = [{"role": "system", "content": _TASK}]
    for asked, known, written in _SHOTS:
        messages.append({"role": "user", "content": _asked(asked, known)})
        messages.append({"role": "assistant", "content": written})
    messages.append({"role": "user", "content": _asked(request, [fact.text for fact in facts])})
    given = len(request.split()) + sum(len(fact.text.split()) for fact in facts)
    return {"messages": messages, "temperature": 0, "max_tokens": min(256, 16 + 2 * given), "stop": ["\n\n"]}


def check(text: str, request: str, facts: Sequence[Fact]) -> str | None:
    """What is wrong with a result, without any word of it; None: nothing."""
    given = len(tokens(request)) + sum(len(tokens(fact.text)) for fact in facts)
    if not text.strip():
        return "the result is empty"
    if len(tokens(text)) > _LONGEST_RATIO * given + 8:
        return "the result is much longer than what was given"
    if foreign := invented(text, request, facts):
        return f"{len(foreign)} words or numbers were not given"
    kept = set(tokens(text))
    lost = [word for word in content_words(request) if not is_given(word, kept)]
    lost += [number for number in numbers_in(request) if number not in numbers_in(text)]
    if lost:
        return f"{len(lost)} words of the request were lost"
    if not any(is_given(word, kept) for fact in facts for word in content_words(fact.text)):
        return "no fact was used"
    return None


def invented(text: str, request: str, facts: Sequence[Fact]) -> list[str]:
    """The numbers, names and content words of `text` that stand in neither the request nor a fact."""
    given_text = " \n ".join([request, *(fact.text for fact in facts)])
    given, numbers = set(tokens(given_text)), set(numbers_in(given_text))
    foreign = [number for number in numbers_in(text) if number not in numbers]
    foreign += [word for word in content_words(text) if not is_given(word, given)]
    foreign += [mark for mark in re.findall(r"\S+@\S+|https?://\S+", text) if mark not in given_text]
    return foreign


def _asked(request: str, facts: Sequence[str]) -> str:
    return "\n".join((f"Request: {request}", "Facts:", *(f"- {fact}" for fact in facts)))
