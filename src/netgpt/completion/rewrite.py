"""Mode `rewrite`: the edge model writes the comprehensive prompt itself, P_com = LLM(P_con; I) (arXiv 2307.06148).

A small model drops and invents things, so nothing it writes is believed: every number, name and telling word of
the result must come from the request or the facts, and every telling word of the request must survive.
What fails the check is not used; the caller falls back to `select`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netgpt.completion.classify import Ask, answer_text
from netgpt.errors import ContextTooLong, ModelError
from netgpt.types import Fact

# --- Words of a text for comparing what was written with what was given.

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


_TASK = (
    "Rewrite the request as one complete request in the first person. Use the facts. Use only words of the request "
    "and of the facts. Do not answer the request. Do not add anything else."
)
_SHOTS = (
    ("dinner ideas", ("The user is vegan", "The user is in Leeds"), "Dinner ideas for a vegan in Leeds, please."),
    ("what oil does it need", ("The user drives a Honda Civic",), "What oil does it need? I drive a Honda Civic."),
)
_LONGEST_RATIO = 1.6
"""A result with more words than this times all that was given is babble."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """`text` is the checked prompt, or None and `why` says what failed, without any content."""

    text: str | None
    why: str


async def rewrite(ask: Ask, request: str, facts: Sequence[Fact]) -> Rewritten:
    """Let the edge model complete `request` with `facts`. Never raises for what the model does or fails to do."""
    if not facts:
        return Rewritten(None, "no facts to write in")
    try:
        text = " ".join(answer_text(await ask(rewriting(request, facts))).split())
    except (ModelError, ContextTooLong) as error:
        return Rewritten(None, f"the edge model failed ({error.code})")
    fault = check(text, request, facts)
    return Rewritten(None, fault) if fault else Rewritten(text, "every word was given")


def rewriting(request: str, facts: Sequence[Fact]) -> dict[str, Any]:
    """The chat body: task and examples first, so that the engine's prompt cache is reused."""
    messages: list[dict[str, str]] = [{"role": "system", "content": _TASK}]
    for asked, known, written in _SHOTS:
        messages.append({"role": "user", "content": _asked(asked, known)})
        messages.append({"role": "assistant", "content": written})
    messages.append({"role": "user", "content": _asked(request, [fact.text for fact in facts])})
    given = len(request.split()) + sum(len(fact.text.split()) for fact in facts)
    return {"messages": messages, "temperature": 0, "max_tokens": min(256, 16 + 2 * given), "stop": ["\n\n"]}


def check(text: str, request: str, facts: Sequence[Fact]) -> str | None:
    """What is wrong with a result, or None. The reason names no word of it."""
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
    """The numbers, names and telling words of `text` that stand in neither the request nor a fact."""
    given_text = " \n ".join([request, *(fact.text for fact in facts)])
    given, numbers = set(tokens(given_text)), set(numbers_in(given_text))
    foreign = [number for number in numbers_in(text) if number not in numbers]
    foreign += [word for word in content_words(text) if not is_given(word, given)]
    foreign += [mark for mark in re.findall(r"\S+@\S+|https?://\S+", text) if mark not in given_text]
    return foreign


def _asked(request: str, facts: Sequence[str]) -> str:
    lines = "\n".join(f"- {fact}" for fact in facts)
    return f"Request: {request}\nFacts:\n{lines}"
