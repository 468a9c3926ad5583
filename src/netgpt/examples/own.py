"""Examples from what people really asked: with their consent, rated good or kept, and pseudonymized.

What becomes an example went through the same detector and vault as what leaves the box, with the person's own facts
hidden as well; here the map of originals is thrown away at once, so nobody can undo it. Whatever cannot be made safe,
or touches something sensitive, is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from netgpt.context.profile import private_values
from netgpt.errors import PermissionDenied
from netgpt.examples.boundary import UNCHECKED, NotAnExample, without_private_values
from netgpt.examples.example import Example, deduplicated
from netgpt.privacy.detect import Detector
from netgpt.privacy.values import find_values
from netgpt.store.rows import ExchangeRow
from netgpt.store.store import Store
from netgpt.types import Fact, Label, Message, Person

__all__ = ["PURPOSE", "UNCHECKED", "NotAnExample", "OwnExamples", "gather_own", "pseudonymized"]

PURPOSE: Final = "training"
"""The purpose in the record of consent."""
GOOD: Final = 1
_PAGE: Final = 200
_ROLES: Final = ("system", "user", "assistant")


@dataclass
class OwnExamples:
    """What was gathered, and why the rest was not. `skipped` counts reasons; it holds no text."""

    examples: list[Example] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


async def gather_own(
    store: Store, person: Person | None, detector: Detector, *, sensitive_kinds: Collection[str] = (), most: int = 5_000
) -> OwnExamples:
    """The examples of one person, or of everyone who consents (`person=None`), newest first, `most` at most.

    `sensitive_kinds`: kinds of private data that make an exchange no example at all. Raises PermissionDenied when the
    person named has not consented; StoreError.
    """
    if person is not None:
        consent = await store.learning.consent(person, PURPOSE)
        if consent is None or not consent.stands:
            raise PermissionDenied(
                "this person has not consented to training: they say so with "
                "`netgpt profile consent USER --training on`, or PATCH /v1/profiles/USER"
            )
    gathered = OwnExamples()
    for each in [person] if person is not None else await store.learning.consenting(PURPOSE):
        await _gather(store, each, detector, frozenset(sensitive_kinds), gathered, most - len(gathered.examples))
    gathered.examples = deduplicated(gathered.examples)
    return gathered


async def _gather(
    store: Store, person: Person, detector: Detector, sensitive: frozenset[str], into: OwnExamples, most: int
) -> None:
    """Rated exchanges first, then what the person asked to keep and whose exchange may be gone by now."""
    seen: set[str] = set()
    before = None
    facts = [fact for _, fact in await store.facts(person)]
    while most > 0 and (page := await store.exchanges(person, _PAGE, before, rating=GOOD)):
        before = page[-1].id
        for row in page:
            try:
                into.examples.append(await pseudonymized(row, facts, detector, sensitive))
                seen.add(into.examples[-1].origin)
                most -= 1
            except NotAnExample as why:
                into.skipped[why.message] += 1
            if most <= 0:
                break
    for kept in await store.learning.of_person(person):
        if most > 0 and kept.chosen and (example := Example.from_row(kept.row)).origin not in seen:
            into.examples.append(example)
            most -= 1


async def pseudonymized(
    row: ExchangeRow, facts: Sequence[Fact], detector: Detector, sensitive_kinds: frozenset[str] = frozenset()
) -> Example:
    """An exchange as an example, with everything private replaced in question and answer.

    `facts`: the person's profile. Raises NotAnExample that says why there is none.
    """
    messages, answer = _conversation(row)
    everything = [*facts, *_facts_of(row)]
    _refuse_sensitive(row, everything, [*(str(m["content"]) for m in messages), answer])
    asked, (said,) = await without_private_values(
        messages,
        [answer],
        detector,
        values=private_values(everything),
        public=[fact.text for fact in everything if fact.label is Label.PUBLIC],
        sensitive_kinds=sensitive_kinds,
    )
    return Example(tuple(asked), said, f"exchange:{row.id}", row.person, slice="own")


def _refuse_sensitive(row: ExchangeRow, facts: Sequence[Fact], texts: Sequence[str]) -> None:
    labels = {(row.private or {}).get("label"), *(fact.label.value for fact in _facts_of(row))}
    values = private_values([fact for fact in facts if fact.label is Label.SENSITIVE])
    if Label.SENSITIVE.value in labels or any(find_values(text, values) for text in texts):
        raise NotAnExample("holds something sensitive")


def _conversation(row: ExchangeRow) -> tuple[list[Message], str]:
    """The conversation as the box's model saw it, facts written in, and what the person liked."""
    private = row.private
    if private is None:
        raise NotAnExample("its texts were not kept (store.keep_text = false)")
    choices = (private.get("answer") or {}).get("choices") or []
    if row.status != "complete" or len(choices) != 1 or choices[0].get("finish_reason") != "stop":
        raise NotAnExample("has no whole answer")
    said = choices[0].get("message") or {}
    messages = private.get("messages") or (private.get("request") or {}).get("messages") or []
    plain = [_plain(message) for message in messages]
    answer = said.get("content")
    if not isinstance(answer, str) or not answer.strip() or said.get("tool_calls") or not plain:
        raise NotAnExample("is no plain text")
    if plain[-1]["role"] != "user":
        raise NotAnExample("does not end with the person's words")
    return plain, answer


def _plain(message: Mapping[str, Any]) -> Message:
    """A message of text alone: pictures, tools and names of authors teach the small model nothing."""
    role, content = message.get("role"), message.get("content")
    role = "system" if role == "developer" else role
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        content = "\n".join(str(part.get("text") or "") for part in content)
    if role not in _ROLES or not isinstance(content, str) or not content.strip() or message.get("tool_calls"):
        raise NotAnExample("is no plain text")
    return {"role": role, "content": content}


def _facts_of(row: ExchangeRow) -> list[Fact]:
    """The facts that were used, with their labels: they stand in the conversation."""
    return [
        Fact(fact["text"], fact["kind"], Label(fact["label"]), fact.get("source", "given"))
        for fact in (row.private or {}).get("facts") or ()
    ]
