"""Which constraints count for a request, and the wrapping of its answer's chunks. What is cut stays cut: what was held
back for an option that never ended is not passed on, and no end is made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from netgpt.constraints.asking import (
    asks_for_options,
    has_notes,
    is_about_another_work,
    kinds_of,
    language_asked,
)
from netgpt.constraints.choose import ChoiceAccount, OptionChooser, OptionJudge
from netgpt.constraints.json_options import JsonChooser, holds_options, looks_like_json, names_options
from netgpt.constraints.learnt import FactReader, LearntReading
from netgpt.constraints.measures import EVERYWHERE
from netgpt.constraints.reading import Constraint, constraints_of
from netgpt.constraints.taxonomy import word_set, words_of
from netgpt.constraints.whose import speaks_of
from netgpt.types import Chunk, Fact, Label, Message

MOST_FACTS: Final = 200
"""Private facts that are read for one request, the newest of them."""
_AT_ONCE: Final = 4_096
"""Characters that are looked at on the event loop; more are in a thread."""
_OTHERS: Final = word_set("""
    mother father mum mom dad parents sister brother grandmother grandfather grandma grandpa friend friends colleague
    boss neighbour aunt uncle cousin nephew niece guests mutter vater eltern schwester bruder oma opa freund freundin
    kollegin kollege tante onkel mere pere soeur frere ami amie collegue madre padre hermana hermano amigo amiga
    abuela sorella fratello amico amica nonna dog cat hund katze chien chat perro gato cane gatto""")
_BOUGHT: Final = frozenset(("gift", "stay", "shop", "place", "activity"))
_OURS: Final = word_set("me us we our my-self together both wir uns mir nous moi nosotros mi noi ci")


def may_be_chosen(body: Mapping[str, Any]) -> bool:
    """Whether the answer to this request may hold options: not where tools are offered, nor under a schema without an
    array of them."""
    if body.get("tools") or body.get("functions"):
        return False
    form = body.get("response_format")
    if not isinstance(form, Mapping) or form.get("type") != "json_schema":
        return True
    wrapped = form.get("json_schema")
    schema = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    return holds_options(schema) and not names_options(schema)


def judge_of(
    facts: Iterable[Fact],
    chosen: Iterable[Fact],
    messages: Sequence[Message],
    request: str,
    learnt: FactReader | None = None,
) -> OptionJudge | None:
    """What an answer to `request` is held against: the person's private facts that rule something out, and that were
    chosen for it or are of its kind. `learnt` reads what no rule reads. None: nothing.

    Raises ModelUnavailable: the weights of `learnt` cannot be read."""
    text = request
    if has_notes(messages):  # it goes on from an answer that was chosen here
        said = [str(each.get("content")) for each in messages if each.get("role") == "user"]
        text = "\n".join(said)[-4_000:]
    if is_about_another_work(request):
        return None
    where = kinds_of(text)
    helped = {fact.text for fact in chosen}
    private = [
        fact for fact in facts if fact.label is not Label.PUBLIC and (fact.source == "profile" or fact.text in helped)
    ]
    if not (where or helped):
        return None
    newest = private[-MOST_FACTS:]
    readings = readings_of(newest, learnt)
    in_doubt = 0 if _for_others(text) else sum(bool(reading.perhaps & where) for reading in readings)
    found = [
        each
        for fact, reading in zip(newest, readings, strict=True)
        for each in reading.constraints
        if _counts(each, where, text, is_chosen=fact.text in helped)
    ]
    if not found and not (in_doubt and asks_for_options(request)):
        return None
    return OptionJudge(tuple(dict.fromkeys(found)), where, language_asked(request) or "en", unread=in_doubt)


def _counts(constraint: Constraint, where: frozenset[str], request: str, *, is_chosen: bool) -> bool:
    if constraint.whose:
        return bool(constraint.where & where) and speaks_of(request, constraint.whose)
    if is_chosen:
        return bool(constraint.where & where) or not where
    if not constraint.where & where:
        return False
    if constraint.kind == "budget" and constraint.where == EVERYWHERE:  # of what, it does not say
        return constraint.per not in ("month", "week", "year", "hour", "day") and bool(where & _BOUGHT)
    return not _for_others(request)


def readings_of(facts: Sequence[Fact], learnt: FactReader | None) -> list[LearntReading]:
    """What each fact rules out: by the rules, and by `learnt` where no rule read anything that a table knows.

    Raises ModelUnavailable: the weights of `learnt` cannot be read."""
    by_rule = [constraints_of(fact.text, fact.kind) for fact in facts]
    found = [LearntReading(constraints) for constraints in by_rule]
    unread = [
        place for place, constraints in enumerate(by_rule) if not all(map(_is_sure, constraints)) or not constraints
    ]
    if learnt is None or not unread:
        return found
    for place, read in zip(unread, learnt([(facts[at].kind, facts[at].text) for at in unread]), strict=True):
        more = () if any(map(_is_known, by_rule[place])) else read.constraints
        told = () if read.is_harmless else by_rule[place] + more
        found[place] = replace(read, constraints=told, perhaps=frozenset() if told else read.perhaps)
    return found


def _is_sure(constraint: Constraint) -> bool:
    """Whether a rule's reading stands without a second look: of what is not eaten, the network may say that it is none
    ("never says no to cheese")."""
    return constraint.kind not in ("diet", "taste") and _is_known(constraint)


def _is_known(constraint: Constraint) -> bool:
    """Whether a rule read more than words that no table knows ("allergic to nonsense")."""
    return constraint.kind == "avoid" or not constraint.words or bool(constraint.foods)


def _for_others(request: str) -> bool:
    words = set(words_of(request))
    return bool(words & _OTHERS) and not words & _OURS


class _Choice:
    """The text of one choice: JSON or prose, which its first characters tell where nothing else does."""

    def __init__(self, judge: OptionJudge, account: ChoiceAccount, is_json: bool | None) -> None:
        self._judge, self._account = judge, account
        self._begun = ""
        self._by: OptionChooser | JsonChooser | None = None
        if is_json is not None:
            self._by = (JsonChooser if is_json else OptionChooser)(judge, account)

    def feed(self, text: str) -> str:
        if self._by is None:
            self._begun += text
            is_json = looks_like_json(self._begun)
            if is_json is None:
                return ""
            self._by = (JsonChooser if is_json else OptionChooser)(self._judge, self._account)
            text, self._begun = self._begun, ""
        return self._by.feed(text)

    def end(self) -> str:
        if self._by is None:
            self._by = OptionChooser(self._judge, self._account)
        return self._by.feed(self._begun) + self._by.end()


async def chosen_chunks(
    chunks: AsyncIterator[Chunk], judge: OptionJudge, account: ChoiceAccount, *, is_json: bool | None = None
) -> AsyncIterator[Chunk]:
    """The chunks with what fits. `is_json`: None where the answer's own beginning tells. An error of `chunks` is raised
    after what was passed on until then."""
    choices: dict[int, _Choice] = {}
    head: Chunk = {}
    try:
        async for chunk in chunks:
            head = head or {
                name: value for name, value in chunk.items() if name in ("id", "object", "created", "model")
            }
            size = sum(len(_content(choice)) for choice in chunk.get("choices") or ())
            if size > _AT_ONCE:
                changed = await asyncio.to_thread(_changed, chunk, choices, judge, account, is_json)
            else:
                changed = _changed(chunk, choices, judge, account, is_json)
            if changed is not None:
                yield changed
        rest = [
            {"index": i, "delta": {"content": text}, "finish_reason": None}
            for i, c in choices.items()
            if (text := c.end())
        ]
        if rest:  # a stream that ended without a reason
            yield {**head, "choices": rest}
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def _content(choice: Any) -> str:
    delta = choice.get("delta") if isinstance(choice, Mapping) else None
    content = delta.get("content") if isinstance(delta, Mapping) else None
    return content if isinstance(content, str) else ""


def _changed(
    chunk: Chunk, choices: dict[int, _Choice], judge: OptionJudge, account: ChoiceAccount, is_json: bool | None
) -> Chunk | None:
    """The chunk with the text that goes on; None where nothing of it is left."""
    said, empty = [], bool(chunk.get("choices")) and not chunk.get("usage")
    for choice in chunk.get("choices") or ():
        index, ended = choice.get("index", 0), choice.get("finish_reason") is not None
        content, delta = _content(choice), choice.get("delta") or {}
        if content and index not in choices:
            choices[index] = _Choice(judge, account, is_json)
        text = choices[index].feed(content) if content else ""
        if ended and index in choices:
            text += choices.pop(index).end()
        if content or text:
            delta = {**delta, "content": text}
        empty = empty and not ended and not text and set(delta) <= {"content"}
        changed = {**choice, "delta": delta}
        if changed.get("logprobs"):
            changed["logprobs"] = None  # they spell out what is left out
        said.append(changed)
    return None if empty else {**chunk, "choices": said}
