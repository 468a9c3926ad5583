"""What becomes of a decision reaches the learner, the store and the next start; and goes with its person."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from boxes import answer, exchange, gateway
from doors import door

from netgpt.app.gateway import Gateway
from netgpt.routing.learner import Learner, digests_in
from netgpt.testing.server import FaultyCloud
from netgpt.training.people import forget_in_learner, learner_keys
from netgpt.types import Person

ADA = Person("local", "ada")
QUESTION = "compare the tides of spring and autumn in a few lines, step by step"


@pytest.fixture
def cloud() -> Any:
    with FaultyCloud() as running:
        yield running


async def asked(here: Gateway, text: str, user: str = "ada", **fields: Any) -> str:
    one = exchange(text, user=user, **fields)
    await answer(here, one)
    await _turn()
    return one.id


async def _turn() -> None:
    """The listener hears of the end in the loop's next turn."""
    await asyncio.sleep(0.01)


async def test_a_decision_is_kept_and_its_rating_learnt(tmp_path: Path, cloud: FaultyCloud) -> None:
    async with door(tmp_path, cloud) as at:
        here = at.gateway
        id = await asked(here, QUESTION)
        await here.learning.flush()
        row = await here.store.decisions.find(id)
        assert row is not None and row.person == ADA and row.propensity == 1.0
        assert {one["arm"] for one in row.private["expected"]} == {"edge", "cloud"} and row.private["x"]
        assert row.private["parts"]["failed"] is False and row.private["parts"]["tokens"] > 0
        target, x, prior = row.private["answered"], row.private["x"], 0.8
        before = here.learning.learner.belief(target, x, prior, "ada").mean
        report = await at.ask("POST", "/v1/feedback", json={"exchange": id, "rating": -1, "user": "ada"})
        assert report.status_code == 200
        after = here.learning.learner.belief(target, x, prior, "ada").mean
        assert after < before
        await at.ask("POST", "/v1/feedback", json={"exchange": id, "rating": 1, "user": "ada"})
        again = here.learning.learner.belief(target, x, prior, "ada").mean
        assert again > after and again >= before - 1e-9  # one rating moves a chance by so much at a time
        changed = await here.store.decisions.find(id)
        assert changed is not None and changed.private["parts"]["rating"] == 1


async def test_no_text_is_in_what_is_kept(tmp_path: Path, cloud: FaultyCloud) -> None:
    async with gateway(tmp_path, cloud) as here:
        await asked(here, f"{QUESTION} marmalade")
        await here.learning.flush()
        (row,) = await here.store.decisions.newest(10)
        assert "marmalade" not in repr(row.private) and "marmalade" not in repr(here.learning.learner.numbers())
        assert "ada" not in repr(row)


async def test_who_asks_again_was_not_helped(tmp_path: Path, cloud: FaultyCloud) -> None:
    async with gateway(tmp_path, cloud) as here:
        first = await asked(here, QUESTION)
        second = await asked(here, QUESTION + " please")
        await asked(here, QUESTION, user="grace")
        await here.learning.flush()
        rows = {row.id: row.private["parts"] for row in await here.store.decisions.newest(10)}
        assert rows[first]["repeated"] is True and "repeated" not in rows[second]


async def test_an_answer_that_breaks_its_schema_is_noticed(tmp_path: Path, cloud: FaultyCloud) -> None:
    async with gateway(tmp_path, cloud) as here:
        wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
        id = await asked(here, QUESTION, response_format=wanted)
        await here.learning.flush()
        row = await here.store.decisions.find(id)
        assert row is not None and row.private["parts"]["broken"] is True


async def test_what_was_learnt_is_there_after_a_restart(tmp_path: Path, cloud: FaultyCloud) -> None:
    async with gateway(tmp_path, cloud) as here:
        id = await asked(here, QUESTION)
        await here.learning.rated(id, -1)
        state = here.learning.learner.state()
    async with gateway(tmp_path, cloud) as again:
        assert again.learning.restored and again.learning.learner.state() == state
        assert again.routing_service.context.experience is again.learning.learner


async def test_a_damaged_state_is_reported_and_begun_anew(
    tmp_path: Path, cloud: FaultyCloud, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, cloud) as here:
        await here.store.decisions.save_state(b'{"version": 1, "arms": {"edge": ')
    async with gateway(tmp_path, cloud) as again:
        assert not again.learning.restored and "begins anew" in caplog.text
        await asked(again, QUESTION)


async def test_decisions_go_with_their_person(tmp_path: Path, cloud: FaultyCloud) -> None:
    async with door(tmp_path, cloud) as at:
        here = at.gateway
        ada, grace = await asked(here, QUESTION), await asked(here, QUESTION, user="grace")
        await here.learning.rated(ada, -1)
        exported = (await at.get("/v1/profiles/ada/export")).json()
        assert [one["exchange"] for one in exported["decisions"]] == [ada]
        late = exchange(QUESTION)
        await answer(here, late)
        await _turn()
        gone = (await at.ask("DELETE", "/v1/profiles/ada")).json()
        assert gone["removed"]["decisions"] == 1  # the late one was not written yet, and never will be
        await here.learning.flush()
        assert [row.id for row in await here.store.decisions.newest(10)] == [grace]
        state = await here.store.decisions.state()
        assert state is not None and len(Learner.restore(state).numbers()["own"]) == 1


@pytest.mark.slow
async def test_nothing_is_learnt_where_it_is_switched_off_or_there_is_no_choice(
    tmp_path: Path, cloud: FaultyCloud
) -> None:
    async with gateway(tmp_path / "a", cloud, routing={"learn": False}) as here:
        await here.learning.rated(await asked(here, QUESTION), -1)
        assert await here.store.decisions.newest(10) == [] and here.routing_service.context.experience is None
    async with gateway(tmp_path / "b") as alone:
        await asked(alone, QUESTION)
        await alone.learning.flush()
        assert await alone.store.decisions.newest(10) == []


async def test_another_program_that_forgets_is_obeyed_at_the_next_save(tmp_path: Path, cloud: FaultyCloud) -> None:
    """`netgpt profile forget` beside a running gateway: what it took out is not written back."""
    async with door(tmp_path, cloud) as at:
        here = at.gateway
        id = await asked(here, QUESTION)
        await here.learning.flush()
        await at.ask("POST", "/v1/feedback", json={"exchange": id, "rating": -1, "user": "ada"})
        await here.learning.save()
        kept = await here.store.decisions.state()
        assert kept is not None and digests_in(kept)
        await forget_in_learner(here.store, await learner_keys(here.store, ADA))
        await here.learning.save()
        again = await here.store.decisions.state()
        assert again is not None and not digests_in(again)


@pytest.mark.parametrize("model", ["netgpt", "netgpt/cloud"])
async def test_others_have_their_turn_while_ended_exchanges_are_read(
    tmp_path: Path, cloud: FaultyCloud, model: str
) -> None:
    async with gateway(tmp_path, cloud) as here:
        await here.learning.close()  # else its task may read some of them before
        asked = [exchange(QUESTION, model, user="ada") for _ in range(13)]
        for one in asked:
            await answer(here, one)
        here.learning._ended.extend(asked)  # beside what the listener heard: all are there at once
        turns = 0

        async def count() -> None:
            nonlocal turns
            while here.learning._ended:
                turns += 1
                await asyncio.sleep(0)

        await asyncio.gather(here.learning._read(), count())
        assert turns >= 3
