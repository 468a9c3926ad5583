"""Own examples: consent, ratings, pseudonyms, and nothing when anything fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from netgpt.errors import DetectorError, PermissionDenied
from netgpt.privacy.detector import LocalDetector
from netgpt.store.encryption import Sealer
from netgpt.store.schema import ExchangeRecord, NewExample
from netgpt.store.store import Store
from netgpt.training.collect import PURPOSE, gather_own
from netgpt.types import Fact, Label, Person, Span

ADA, BOB = Person("local", "ada"), Person("local", "bob")
numbers = count(1)
detector = LocalDetector(names=False)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store.open(tmp_path / "netgpt.db", Sealer.new())
    yield store
    await store.close()


def row(asked: str, said: str = "Try the bean stew.", **fields: Any) -> ExchangeRecord:
    """A finished exchange, rated good unless stated otherwise."""
    message = fields.pop("message", {"role": "assistant", "content": said})
    private = {
        "request": {"messages": [{"role": "user", "content": asked}]},
        "messages": [{"role": "user", "content": asked}],
        "facts": [],
        "label": "public",
        "answer": {"choices": [{"index": 0, "message": message, "finish_reason": fields.pop("finish", "stop")}]},
        **fields.pop("private", {}),
    }
    values: dict[str, Any] = {
        "id": f"ex_{next(numbers):06}", "tenant": "local", "user": "ada", "key_id": None,
        "received": datetime.now(UTC), "status": "complete", "model": "m", "route": "edge", "reason": "",
        "prompt_tokens": 1, "completion_tokens": 1, "estimated": False, "cost": 0.0, "timings": {}, "rating": 1,
        "private": private,
    }  # fmt: skip
    return ExchangeRecord(**{**values, **fields})


async def save(store: Store, *rows: ExchangeRecord) -> None:
    for each in rows:
        await store.save_exchange(each)


async def test_without_consent_there_is_nothing(store: Store) -> None:
    await save(store, row("what shall I cook"))
    with pytest.raises(PermissionDenied, match="netgpt profile consent USER training on"):
        await gather_own(store, ADA, detector)
    assert (await gather_own(store, None, detector)).examples == []
    await store.learning.set_consent(ADA, PURPOSE, True)
    await store.learning.set_consent(ADA, PURPOSE, False)
    with pytest.raises(PermissionDenied):
        await gather_own(store, ADA, detector)


async def test_only_what_was_rated_good_is_taken(store: Store) -> None:
    await store.learning.set_consent(ADA, PURPOSE, True)
    await save(
        store, row("good one"), row("bad one", rating=-1), row("no opinion", rating=0), row("not said", rating=None)
    )
    (only,) = (await gather_own(store, ADA, detector)).examples
    assert only.messages == ({"role": "user", "content": "good one"},)
    assert (only.answer, only.person, only.origin[:9]) == ("Try the bean stew.", ADA, "exchange:")
    assert only.kind == "exchange"


async def test_private_values_are_replaced_in_question_and_answer(store: Store) -> None:
    await store.learning.set_consent(ADA, PURPOSE, True)
    await store.add_fact(ADA, Fact("The user has a dog called Zanzibar", "pet"))
    asked = "write to ada@mill.example about Zanzibar, phone +44 20 7946 0018"
    await save(store, row(asked, "Done: ada@mill.example will hear of Zanzibar."))
    (only,) = (await gather_own(store, ADA, detector)).examples
    text = json.dumps([only.messages, only.answer])
    for planted in ("ada@mill", "Zanzibar", "7946"):
        assert planted not in text
    assert "[EMAIL_1]" in only.answer and "[EMAIL_1]" in str(only.messages)


async def test_an_answer_that_makes_values_up_is_left_out(store: Store) -> None:
    await store.learning.set_consent(ADA, PURPOSE, True)
    await save(store, row("who helps", "Write to help@desk.example."))
    gathered = await gather_own(store, ADA, detector)
    assert gathered.examples == [] and sum(gathered.skipped.values()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"private": {"label": "sensitive"}},
        {"private": {"facts": [{"text": "The user has asthma", "kind": "health", "label": "sensitive"}]}},
        {"asked": "is paracetamol fine with my gout"},
        {"asked": "my card is 4111 1111 1111 1111, is it valid"},
    ],
)
async def test_nothing_sensitive_becomes_an_example(store: Store, fields: dict[str, Any]) -> None:
    await store.learning.set_consent(ADA, PURPOSE, True)
    await store.add_fact(ADA, Fact("The user has gout", "health", Label.SENSITIVE))
    await save(store, row(fields.pop("asked", "a question"), **fields))
    gathered = await gather_own(store, ADA, detector, sensitive_kinds=("CARD",))
    assert gathered.examples == []
    assert gathered.skipped == {"holds something sensitive": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "failed"},
        {"finish": "length"},
        {"message": {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}},
        {"private": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}},
        {"private": {"messages": [{"role": "tool", "content": "x"}]}},
        {"message": {"role": "assistant", "content": "  "}},
    ],
)
async def test_what_is_not_a_whole_plain_text_is_left_out(store: Store, fields: dict[str, Any]) -> None:
    await store.learning.set_consent(ADA, PURPOSE, True)
    await save(store, row("a question", **fields))
    gathered = await gather_own(store, ADA, detector)
    assert gathered.examples == [] and sum(gathered.skipped.values()) == 1


class Broken:
    """A detector that fails, for one text or for all."""

    def __init__(self, bad: str = "") -> None:
        self.bad = bad

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        if any(self.bad in text for text in texts):
            raise DetectorError("the detector failed")
        return [[] for _ in texts]


async def test_a_detector_that_fails_means_no_example(store: Store) -> None:
    await store.learning.set_consent(ADA, PURPOSE, True)
    await save(store, row("a question"), row("another one"))
    some = await gather_own(store, ADA, Broken("another"))
    assert [m["content"] for e in some.examples for m in e.messages] == ["a question"]
    none = await gather_own(store, ADA, Broken())
    assert none.examples == [] and none.skipped == {"the detector failed, so nothing was taken": 2}


async def test_the_site_takes_everyone_who_consents_and_says_whose_each_is(store: Store) -> None:
    for person in (ADA, BOB):
        await save(store, row(f"a question of {person.user}", user=person.user))
    await save(store, row("a question of eve", user="eve"))
    await store.learning.set_consent(ADA, PURPOSE, True)
    await store.learning.set_consent(BOB, PURPOSE, True)
    both = (await gather_own(store, None, detector)).examples
    assert sorted(str(e.person.user) for e in both if e.person) == ["ada", "bob"]


async def test_what_was_kept_outlives_its_exchange(store: Store) -> None:
    await store.learning.set_consent(ADA, PURPOSE, True)
    kept = row("keep this")
    await save(store, kept)
    (example,) = (await gather_own(store, ADA, detector)).examples
    await store.learning.keep([NewExample(ADA, example.id, example.as_row())], chosen=True)
    assert len((await gather_own(store, ADA, detector)).examples) == 1  # not twice
    await store.delete_expired(datetime.now(UTC), 1e-9, 30)
    assert (await gather_own(store, ADA, detector)).examples == [example]


async def test_never_more_than_asked_for(store: Store) -> None:
    await store.learning.set_consent(ADA, PURPOSE, True)
    await asyncio.gather(*(store.save_exchange(row(f"question {number}")) for number in range(9)))
    assert len((await gather_own(store, ADA, detector, most=4)).examples) == 4
