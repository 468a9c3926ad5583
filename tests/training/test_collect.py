"""Every way in passes the boundary; and for an adapter that others use, only what many people share stays."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from netgpt.errors import DetectorError
from netgpt.privacy.detector import LocalDetector
from netgpt.store.encryption import Sealer
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store
from netgpt.training.canaries import canaries_of
from netgpt.training.collect import PURPOSE, Gathered, Wanted, gather
from netgpt.training.example import Example
from netgpt.types import Fact, Person

PLANTED = ("zaphod@heart-of-gold.example", "+44 7700 900123", "GB82 WEST 1234 5698 7654 32")
DETECTOR = LocalDetector(names=False)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store.open(tmp_path / "netgpt.db", Sealer.new())
    yield store
    await store.close()


async def ask(store: Store, person: Person, asked: str, said: str, acted: str = "given") -> None:
    """An exchange that the person liked, of somebody who consents."""
    private = {
        "confidence": {"acted": acted},
        "messages": [{"role": "user", "content": asked}],
        "answer": {"choices": [{"index": 0, "message": {"content": said}, "finish_reason": "stop"}]},
    }
    id = f"ex_{len(await store.exchanges(None, 1000)):04}"
    await store.save_exchange(
        ExchangeRecord(
            id,
            person.tenant,
            person.user,
            None,
            datetime.now(UTC),
            "complete",
            "m",
            "edge",
            "",
            1,
            1,
            False,
            0.0,
            {},
            private,
            1,
        )
    )
    await store.learning.set_consent(person, PURPOSE, True)


def text_of(gathered: Gathered) -> str:
    return json.dumps([example.as_row() for example in gathered.examples])


def people(count: int) -> list[Person]:
    return [Person("local", f"person-{number}") for number in range(count)]


async def test_a_site_learns_only_what_many_people_share(store: Store) -> None:
    for person in people(5):
        await ask(store, person, "where is good coffee near here", "there is coffee near the station")
    odd = people(5)[0]
    await ask(store, odd, "where is the zarquon coffee near here", "there is coffee near the station")
    await ask(store, odd, "where is my best man", "he is at zarquon 4711")
    gathered = await gather(Wanted("site", "site"), store, DETECTOR)
    assert "zarquon" not in text_of(gathered) and len(gathered.examples) == 6
    assert gathered.skipped == {"its answer holds words of fewer than 5 people": 1}
    assert any("of 5 people's examples 1 were left out, and 1 words replaced" in note for note in gathered.notes)
    everything = await gather(Wanted("site", "site", k_anonymity=1), store, DETECTOR)
    assert "zarquon" in text_of(everything) and len(everything.examples) == 7
    hers = await gather(Wanted("user-x", "user", odd), store, DETECTOR)
    assert "zarquon" in text_of(hers)  # a person's own adapter may know what she says


@pytest.mark.parametrize(("acted", "taken"), [("given", 1), ("escalated", 1), ("said", 0), ("withheld", 0)])
async def test_a_word_of_doubt_of_the_box_is_not_learnt_as_an_answer(store: Store, acted: str, taken: int) -> None:
    person = people(1)[0]
    await ask(store, person, "where is good coffee", "I am not sure of this.", acted)
    assert len((await gather(Wanted("user-x", "user", person), store, DETECTOR)).examples) == taken


async def test_fewer_than_k_people_teach_a_site_nothing(store: Store) -> None:
    for person in people(4):
        await ask(store, person, "where is good coffee", "there is coffee near the station")
    gathered = await gather(Wanted("site", "site"), store, DETECTOR)
    assert gathered.examples == [] and sum(gathered.skipped.values()) == 4
    assert "fewer than 5 people" in next(iter(gathered.skipped))


@pytest.mark.parametrize("planted", PLANTED)
async def test_no_private_value_passes_by_any_way(store: Store, tmp_path: Path, planted: str) -> None:
    for person in people(5):
        await store.add_fact(person, Fact("works at Magrathea Planets", "work"))
        await ask(store, person, f"say hello to {planted}", f"hello {planted}")
    file = tmp_path / "file.jsonl"
    rows: list[dict[str, Any]] = [
        {"request": f"ask {planted} for coffee", "answer": f"I asked {planted}"},
        {"request": "one or two", "answer": f"call {planted}", "options": [f"call {planted}", "no"]},
        {"messages": [{"role": "system", "content": f"you are {planted}"}, {"role": "user", "content": "who"}],
         "answer": "nobody", "person": ["local", "person-1"]},
    ]  # fmt: skip
    file.write_text("\n".join(json.dumps(row) for row in rows))
    for wanted in (
        Wanted("site", "site", file=file, k_anonymity=1),
        Wanted("user-x", "user", people(1)[0], file=file),
        Wanted("complete", "task", file=file),
    ):
        gathered = await gather(wanted, store, DETECTOR)
        assert gathered.examples and planted not in text_of(gathered)
        assert gathered.skipped["the answer names something private that the question does not"] == 1
    public = await gather(Wanted("site", "site", file=file, file_is_public=True, k_anonymity=1), store, DETECTOR)
    assert planted in text_of(public)  # the owner said so


async def test_a_file_is_not_taken_while_the_detector_fails(store: Store, tmp_path: Path) -> None:
    class Dead(LocalDetector):
        async def detect(self, *args: Any, **options: Any) -> Any:
            raise DetectorError("dead")

    file = tmp_path / "file.jsonl"
    file.write_text('{"request": "hello", "answer": "you"}')
    with pytest.raises(DetectorError, match="netgpt doctor"):
        await gather(Wanted("site", "site", file=file), store, Dead(names=False))


async def test_what_the_cloud_wrote_and_canaries_are_nobodys(store: Store) -> None:
    async def written() -> list[Example]:
        return [Example(({"role": "user", "content": "coffee"},), "Where is coffee?", "self-instruct")]

    gathered = await gather(Wanted("site", "site"), store, DETECTOR, instruct=written)
    assert [example.person for example in gathered.examples] == [None]
    assert all(canary.example.person is None for canary in canaries_of(7, 3))
