"""Which adapters are loaded and who answers whom: a real registry, and a pool that loads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from made_adapters import adapter_file, card_for
from patience import until

from netgpt.adapters.card import user_adapter_name
from netgpt.adapters.registry import Registry
from netgpt.adapters.residency import Residency
from netgpt.errors import ModelUnavailable
from netgpt.models.hot_swap import Adapter
from netgpt.settings.sections import Adapters
from netgpt.types import Person

ADA, BOB, EVE = (Person("local", user) for user in ("ada", "bob", "eve"))


class FakePool:
    """Has whatever it is asked to have, at once; refuses the ids in `bad`."""

    def __init__(self, *bad: str) -> None:
        self.resident: tuple[str, ...] = ()
        self.refused: dict[str, str] = {}
        self.bad = bad
        self.lists: list[tuple[str, ...]] = []
        self.down = False

    async def set_adapters(self, adapters: Sequence[Adapter]) -> tuple[str, ...]:
        self.lists.append(tuple(adapter.id for adapter in adapters))
        if self.down:
            raise ModelUnavailable("it does not start")
        self.refused = {adapter.id: f"{adapter.path}: bad" for adapter in adapters if adapter.id in self.bad}
        self.resident = tuple(adapter.id for adapter in adapters if adapter.id not in self.bad)
        return self.resident


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "adapters")


def add(registry: Registry, tmp_path: Path, name: str, version: int = 1, *, active: bool = True) -> str:
    weights = adapter_file(tmp_path / f"{name}-{version}.gguf", seed=version)
    scope = "user" if name.startswith("user-") else "site" if name == "site" else "task"
    id = registry.add(weights, card_for(weights, name, version, scope=scope)).id
    if active:
        registry.promote(id)
    return id


def over(registry: Registry, pool: FakePool | None, **settings: Any) -> Residency:
    return Residency(registry, pool, Adapters(**{"swap_every_s": 0.0, **settings}))


async def test_what_is_in_use_is_loaded_and_what_a_rollback_needs_stays(registry: Registry, tmp_path: Path) -> None:
    for version in (1, 2, 3):
        add(registry, tmp_path, "site", version)
    add(registry, tmp_path, "complete")
    add(registry, tmp_path, "other", active=False)
    pool = FakePool()
    here = over(registry, pool)
    await here.prepare()
    assert set(pool.resident) == {"complete@1", "site@3", "site@2"}
    assert here.choose(ADA).ids == ("site@3",) and here.task("complete", ADA) == "complete@1"
    registry.rollback("site")
    assert here.choose(ADA).ids == ("site@2",), "at once: nothing had to be loaded"
    registry.pin("other@1")
    await here.refresh()
    assert {"other@1", "site@2"} <= set(pool.resident) and here.task("other") is None


async def test_a_persons_adapter_is_loaded_when_asked_for_and_the_request_goes_on(
    registry: Registry, tmp_path: Path
) -> None:
    site, mine = add(registry, tmp_path, "site"), add(registry, tmp_path, user_adapter_name(ADA))
    pool = FakePool()
    here = over(registry, pool)
    await here.prepare()
    assert pool.resident == (site,)
    first = here.choose(ADA)
    assert first.ids == (site,) and first.note == f"{mine} will be loaded: this answer is without it"
    await here.refresh()
    assert here.choose(ADA).ids == (mine,) and here.choose(ADA).note is None
    assert here.choose(BOB).ids == (site,) and len(pool.lists) == 2


async def test_people_who_asked_last_keep_their_place(registry: Registry, tmp_path: Path) -> None:
    ids = [add(registry, tmp_path, user_adapter_name(person)) for person in (ADA, BOB, EVE)]
    add(registry, tmp_path, "site")
    pool = FakePool()
    here = over(registry, pool, resident=3)
    for person in (ADA, BOB, EVE):
        here.choose(person)
        await here.refresh()
    assert set(pool.resident) == {"site@1", ids[1], ids[2]}
    assert here.choose(ADA).note is not None
    await here.refresh()
    assert set(pool.resident) == {"site@1", ids[0], ids[2]}


async def test_an_older_version_answers_while_the_new_one_is_loaded(registry: Registry, tmp_path: Path) -> None:
    add(registry, tmp_path, "site")
    pool = FakePool()
    here = over(registry, pool)
    await here.prepare()
    add(registry, tmp_path, "site", 2)
    choice = here.choose(ADA)
    assert choice.ids == ("site@1",) and choice.note == "site@2 will be loaded: site@1 answers meanwhile"


async def test_what_the_engine_refuses_is_not_tried_again_before_something_changes(
    registry: Registry, tmp_path: Path
) -> None:
    add(registry, tmp_path, "site")
    add(registry, tmp_path, "complete")
    pool = FakePool("site@1")
    here = over(registry, pool)
    await here.prepare()
    for _ in range(3):
        assert here.choose(ADA).ids == () and "could not load site@1" in str(here.choose(ADA).note)
        await here.refresh()
    assert pool.lists == [("complete@1", "site@1")] and here.unfit("site@1")
    pool.bad = ()
    registry.pin("site@1")
    await here.refresh()
    assert here.choose(ADA).ids == ("site@1",)


async def test_what_was_removed_or_rejected_is_unloaded(registry: Registry, tmp_path: Path) -> None:
    mine = add(registry, tmp_path, user_adapter_name(ADA))
    add(registry, tmp_path, "site")
    pool = FakePool()
    here = over(registry, pool)
    here.choose(ADA)
    await here.prepare()
    assert set(pool.resident) == {mine, "site@1"}
    registry.drop_person(ADA)
    await here.refresh()
    assert pool.resident == ("site@1",) and here.choose(ADA).ids == ("site@1",)
    registry.reject("site@1", "worse")
    await here.refresh()
    assert not pool.resident and here.choose(ADA) == here.choose(BOB)


async def test_a_canary_answers_its_share_and_is_loaded_beside_the_active_one(
    registry: Registry, tmp_path: Path
) -> None:
    add(registry, tmp_path, "site")
    add(registry, tmp_path, "site", 2, active=False)
    registry.promote("site@2", canary=0.3)
    pool = FakePool()
    here = over(registry, pool)
    await here.prepare()
    answered = [here.choose(Person("local", f"user {number}")).ids[0] for number in range(400)]
    assert 80 < answered.count("site@2") < 160 and set(answered) == {"site@1", "site@2"}
    assert answered == [here.choose(Person("local", f"user {number}")).ids[0] for number in range(400)]


async def test_changes_of_another_process_are_noticed_in_time(registry: Registry, tmp_path: Path) -> None:
    add(registry, tmp_path, "site")
    pool = FakePool()
    here = over(registry, pool, poll_s=0.05)
    await here.prepare()
    following = asyncio.create_task(here.run())
    other = Registry(registry.folder)
    add(other, tmp_path, "site", 2)
    await until(lambda: "site@2" in pool.resident)
    assert pool.resident == ("site@1", "site@2")
    registry.folder.joinpath("index.json").write_text("{broken")
    assert here.choose(ADA).ids == () and "cannot be read" in str(here.choose(ADA).note)
    await asyncio.sleep(0.2)
    assert not following.done(), "a damaged registry does not end the box's task"
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


async def test_a_pool_that_does_not_start_is_left_alone_for_a_while(registry: Registry, tmp_path: Path) -> None:
    add(registry, tmp_path, "site")
    pool = FakePool()
    pool.down = True
    here = over(registry, pool)
    with pytest.raises(ModelUnavailable):
        await here.refresh()
    assert here.choose(ADA).ids == ()
    await here.refresh()
    assert len(pool.lists) == 1
    pool.down = False
    registry.pin("site@1")
    await here.refresh()
    assert pool.resident == ("site@1",)


async def test_without_a_pool_or_room_nothing_is_chosen(registry: Registry, tmp_path: Path) -> None:
    add(registry, tmp_path, "site")
    for here in (over(registry, None), over(registry, FakePool(), resident=0)):
        await here.prepare()
        assert here.choose(ADA).ids == () and here.choose(ADA).note is None and here.task("site") is None
