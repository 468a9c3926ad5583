"""Forget is real: every byte of the data folder is searched for what was planted, and for the person."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_adapters import adapter_file, card_for

from netgpt.adapters.card import person_digest, user_adapter_name
from netgpt.adapters.registry import Registry
from netgpt.errors import RequestError
from netgpt.store.encryption import Sealer
from netgpt.store.schema import ExchangeRecord, KeyRow
from netgpt.store.store import Store
from netgpt.training.collect import PURPOSE, Wanted, keep_learnt
from netgpt.training.example import Example
from netgpt.training.lora.run import FinishedTraining, TrainingRun, drop_runs, people_in, register, runs_of
from netgpt.training.people import forget_example, forget_person, withdraw_consent
from netgpt.types import Fact, Person, Role

ADA, BOB, EVE = Person("local", "ada-lovelace-1815"), Person("local", "bob-babbage-1791"), Person("acme", "eve")
PLANTED = {name: f"{name}-{secrets.token_hex(8)}" for name in ("fact", "asked", "answered", "learnt", "map", "reason")}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "box"


@pytest.fixture
async def store(home: Path) -> AsyncIterator[Store]:
    store = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))
    yield store
    await store.close()


@pytest.fixture
def registry(home: Path) -> Registry:
    return Registry(home / "adapters")


def everything(home: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below the data folder, by name and content, the names too."""
    for path in sorted(home.rglob("*")):
        yield str(path), path.read_bytes() if path.is_file() else b""


def found(home: Path, text: str) -> list[str]:
    """The files that hold the text, in UTF-8, UTF-16 or as JSON has it, whatever its case."""
    forms = {text.encode(), text.encode("utf-16-le"), text.upper().encode(), json.dumps(text)[1:-1].encode()}
    return [
        name for name, content in everything(home) if any(form in content or form in name.encode() for form in forms)
    ]


def traces(home: Path, person: Person) -> list[str]:
    hits = [found(home, text) for text in (*PLANTED.values(), person.user, person_digest(person)[:12])]
    return sorted({name for names in hits for name in names})


def example(person: Person | None, text: str, number: int = 0) -> Example:
    return Example(({"role": "user", "content": f"{text} {number}"},), f"said {text}", "exchange:ex_1", person, "own")


async def live(store: Store, person: Person) -> None:
    """All that a person leaves behind by using the box."""
    await store.add_fact(person, Fact(f"The user likes {PLANTED['fact']}", "note"))
    await store.set_profile(person, "off")
    await store.save_map(person, "talk", PLANTED["map"].encode() * 50)
    await store.learning.set_consent(person, PURPOSE, True)
    await store.add_key(
        KeyRow(
            secrets.token_hex(4),
            secrets.token_hex(4),
            person.tenant,
            Role.USER,
            person.user,
            "phone",
            datetime.now(UTC),
        )
    )
    for number in range(60):
        row = {"request": PLANTED["asked"] * number, "answer": PLANTED["answered"]}
        await store.save_exchange(
            ExchangeRecord(
                f"ex_{person.user}_{number}",
                person.tenant,
                person.user,
                None,
                datetime.now(UTC),
                "complete",
                "m",
                "edge",
                PLANTED["reason"],
                1,
                1,
                False,
                0.0,
                {},
                row,
                1,
            )
        )


def add_adapter(home: Path, registry: Registry, name: str, people: list[Person], scope: str = "site") -> str:
    weights = adapter_file(home.parent / f"{secrets.token_hex(4)}.gguf", seed=secrets.randbelow(9999))
    card = card_for(weights, name, people=tuple(person_digest(person) for person in people), scope=scope)
    return registry.add(weights, card, next_free=True).id


def begin_training(home: Path, name: str, people: list[Person]) -> Path:
    """A training that was cut: checkpoint and cached activations lie there."""
    with TrainingRun(home / "training" / name) as run:
        run.begin({"data": "d"}, [person_digest(person) for person in people], fresh=False)
        (run.work / "checkpoint.safetensors").write_bytes(PLANTED["learnt"].encode() * 9)
        (run.work / "trunk.bin").write_bytes(PLANTED["learnt"].encode("utf-16-le") * 9)
    return run.folder


async def test_nothing_of_the_forgotten_is_left_anywhere(home: Path, store: Store, registry: Registry) -> None:
    for person in (ADA, BOB):
        await live(store, person)
    hers = add_adapter(home, registry, user_adapter_name(ADA), [ADA], "user")
    both = add_adapter(home, registry, "site", [ADA, BOB])
    only_bob = add_adapter(home, registry, "site", [BOB])
    registry.promote(only_bob)
    registry.promote(both)
    await keep_learnt(store, [example(ADA, PLANTED["learnt"])], hers)
    await keep_learnt(store, [example(ADA, PLANTED["learnt"]), example(BOB, "other")], both)
    await keep_learnt(store, [example(BOB, "other")], only_bob)
    begin_training(home, user_adapter_name(ADA), [ADA])
    begin_training(home, "site", [ADA, BOB])
    kept = begin_training(home, "complete", [BOB])
    assert len(traces(home, ADA)) > 5  # the search finds what is there

    forgotten = await forget_person(store, registry, home / "training", ADA)

    (kept / "work" / "checkpoint.safetensors").unlink()  # bob's own, with the same planted words
    (kept / "work" / "trunk.bin").unlink()
    hits = {text: found(home, text) for text in (ADA.user, person_digest(ADA), person_digest(ADA)[:12])}
    assert hits == {text: [] for text in hits}
    assert found(home, PLANTED["learnt"]) == []
    assert forgotten.removed == {
        "proposals": 0, "exchanges": 60, "maps": 1, "facts": 1, "profiles": 1, "examples": 1, "consents": 1, "keys": 1,
        "receipts": 0, "waiting": 0, "decisions": 0, "readings": 0, "reports": 0,
    }  # fmt: skip
    assert set(forgotten.adapters) == {hers, both}
    assert set(forgotten.trainings) == {user_adapter_name(ADA), "site"}
    assert forgotten.retrain == ("netgpt train site",)
    assert await store.learning.of_person(ADA) == []
    # Everyone else keeps theirs, and the version before serves again.
    active = registry.active("site")
    assert active is not None and active.id == only_bob
    assert [each.adapters for each in await store.learning.of_person(BOB)] == [(only_bob,)]
    assert len(await store.exchanges(BOB, 100)) == 60 and await store.load_map(BOB, "talk") is not None
    assert (await forget_person(store, registry, home / "training", ADA)).adapters == ()


async def test_reasons_and_texts_go_with_the_last_who_had_them(home: Path, store: Store, registry: Registry) -> None:
    await live(store, ADA)
    assert found(home, PLANTED["reason"]) and not found(home, PLANTED["answered"])  # one in clear, one sealed
    await forget_person(store, registry, home / "training", ADA)
    assert traces(home, ADA) == []


async def test_taking_back_consent_unlearns_and_keeps_the_rest(home: Path, store: Store, registry: Registry) -> None:
    await live(store, ADA)
    hers = add_adapter(home, registry, user_adapter_name(ADA), [ADA], "user")
    await keep_learnt(store, [example(ADA, PLANTED["learnt"])], hers)
    begin_training(home, user_adapter_name(ADA), [ADA])
    forgotten = await withdraw_consent(store, registry, home / "training", ADA)
    assert (forgotten.removed, forgotten.adapters) == ({"examples": 1}, (hers,))
    assert registry.list() == [] and found(home, PLANTED["learnt"]) == []
    assert await store.learning.consenting(PURPOSE) == []
    assert len(await store.exchanges(ADA, 100)) == 60 and len(await store.facts(ADA)) == 1


async def test_one_example_is_taken_away_with_what_learnt_from_it(home: Path, store: Store, registry: Registry) -> None:
    hers = add_adapter(home, registry, user_adapter_name(ADA), [ADA], "user")
    await keep_learnt(store, [example(ADA, "one", n) for n in range(2)], hers)
    first, second = await store.learning.of_person(ADA)
    training = home / "training"
    assert await forget_example(store, registry, training, BOB, first.id) is None
    forgotten = await forget_example(store, registry, training, ADA, first.id)
    assert forgotten is not None and forgotten.adapters == (hers,)
    assert await forget_example(store, registry, training, ADA, first.id) is None
    assert second.id not in {each.id for each in await store.learning.of_person(ADA)}  # kept for the adapter alone


def test_a_training_that_runs_sees_that_it_is_over(home: Path) -> None:
    with TrainingRun(home / "training" / "site") as run:
        run.begin({}, [person_digest(ADA)], fresh=False)
        run.check()
        assert drop_runs(home / "training", [person_digest(BOB)]) == []
        run.check()
        assert drop_runs(home / "training", [person_digest(ADA)]) == ["site"]
        run.work.mkdir(parents=True)  # the trainer writes once more
        with pytest.raises(RequestError, match="was forgotten"):
            run.check()
        assert not run.folder.exists()


def test_one_training_of_a_name_at_a_time(home: Path) -> None:
    with TrainingRun(home / "training" / "site"):
        with pytest.raises(RequestError, match="runs already") as error, TrainingRun(home / "training" / "site"):
            pass
        assert error.value.code == "training_runs"
        with TrainingRun(home / "training" / "complete"):
            pass
    with TrainingRun(home / "training" / "site"):
        pass


def test_the_same_training_goes_on_and_another_begins_anew(home: Path) -> None:
    def begun(decides: dict[str, Any], fresh: bool = False) -> TrainingRun:
        with TrainingRun(home / "training" / "site") as run:
            run.begin(decides, [], fresh=fresh)
            (run.work / "checkpoint").touch()
        return run

    first = begun({"data": "1", "targets": ("a", "b")})
    again = begun({"data": "1", "targets": ("a", "b")})
    assert (first.resumes, again.resumes, again.canary_seed) == (False, True, first.canary_seed)
    assert not begun({"data": "2"}).resumes
    assert not begun({"data": "2"}, fresh=True).resumes
    (home / "training" / "site" / "run.json").write_text("{")
    assert not begun({"data": "2"}).resumes


def test_a_folder_whose_mark_is_damaged_counts_as_everybodys(home: Path) -> None:
    folder = begin_training(home, "site", [BOB])
    assert runs_of(home / "training", [person_digest(ADA)]) == []
    (folder / "run.json").write_text("[]")
    assert runs_of(home / "training", [person_digest(ADA)]) == [folder]
    (home / "training" / "self-instruct.jsonl").touch()
    assert drop_runs(home / "training", [person_digest(ADA)]) == ["site"]
    assert drop_runs(home / "none", [person_digest(ADA)]) == []


people = st.lists(st.sampled_from([ADA, BOB, EVE]), unique=True, max_size=3)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(learnt=st.lists(people, max_size=5), gone=st.sampled_from([ADA, BOB, EVE]))
async def test_every_adapter_with_the_person_goes_and_no_other(
    tmp_path: Path, learnt: list[list[Person]], gone: Person
) -> None:
    home = tmp_path / secrets.token_hex(6)
    registry = Registry(home / "adapters")
    store = Store.open(home / "netgpt.db", Sealer.new())
    ids = {}
    for number, who in enumerate(learnt):
        id = add_adapter(home, registry, f"site-{number}", who)
        ids[id] = who
        await keep_learnt(store, [example(person, "x", number) for person in who], id)
    forgotten = await forget_person(store, registry, home / "training", gone)
    assert set(forgotten.adapters) == {id for id, who in ids.items() if gone in who}
    assert {entry.id for entry in registry.list()} == {id for id, who in ids.items() if gone not in who}
    for id, who in ids.items():
        kept = {each.person for each in await store.learning.of_adapter(id)}
        assert kept == (set() if gone in who else set(who))
    assert found(home, person_digest(gone)) == []
    await store.close()


# With the real trainer, on a tiny model of random weights.


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    pytest.importorskip("torch", reason="needs the extra `train`")
    from training.tiny_models import tiny_llama

    return tiny_llama(tmp_path / "tiny", layers=2)


async def made_by(tiny: Path, store: Store, home: Path, during: Callable[[], object]) -> str:
    """Train on ada's and bob's examples, register, and let something happen at each step."""
    from netgpt.adapters.card import EdgeWeights
    from netgpt.training.lora.child import train
    from netgpt.training.lora.recipe import Recipe

    base = EdgeWeights("tiny", "0" * 64, tiny)
    examples = [example(person, PLANTED["learnt"], n) for n in range(6) for person in (ADA, BOB)]
    recipe = Recipe(rank=2, epochs=1, threads=1, dtype="float32", held_out=0.0, layers=1, batch_tokens=128)
    with TrainingRun(home / "training" / "site") as run:
        run.begin({"data": "d"}, people_in(examples), fresh=False)

        def after_step(_: object) -> None:
            during()
            run.check()

        trained = train(base.path, examples, recipe, run.work, progress=after_step)
        made = FinishedTraining(Wanted("site", "site"), base, recipe, examples, {"seed": 1, "count": 0}, trained)
        entry = await register(made, run, Registry(home / "adapters"), store)
        run.finish()
    return entry.id


@pytest.mark.slow
async def test_a_trained_adapter_is_forgotten_with_all_that_it_was_made_of(
    home: Path, tiny: Path, store: Store
) -> None:
    registry = Registry(home / "adapters")
    await live(store, ADA)
    id = await made_by(tiny, store, home, lambda: None)
    entry = registry.show(id)
    assert set(entry.card.people) == {person_digest(ADA), person_digest(BOB)}
    assert len(await store.learning.of_adapter(id)) == 12
    assert not (home / "training" / "site").exists()
    weights = entry.path.read_bytes()
    forgotten = await forget_person(store, registry, home / "training", ADA)
    assert forgotten.adapters == (id,) and forgotten.retrain == ("netgpt train site",)
    assert traces(home, ADA) == []
    assert all(weights[-4096:] not in content for _, content in everything(home))


@pytest.mark.slow
async def test_who_is_forgotten_during_a_training_is_not_learnt(home: Path, tiny: Path, store: Store) -> None:
    registry = Registry(home / "adapters")
    await live(store, ADA)
    with pytest.raises(RequestError, match="was forgotten"):
        await made_by(tiny, store, home, lambda: drop_runs(home / "training", [person_digest(ADA)]))
    assert registry.list() == [] and not (home / "training" / "site").exists()
    await forget_person(store, registry, home / "training", ADA)
    assert traces(home, ADA) == []
