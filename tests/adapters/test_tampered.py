"""Files of the home that decide what is loaded: each change by hand is refused, and named by `netgpt store check`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from made_adapters import adapter_file, base_file, card_for, vouched_registry
from typer.testing import CliRunner

from netgpt.adapters.registry import Registry
from netgpt.adapters.residency import Residency
from netgpt.cli import adapters, model_catalogue, store
from netgpt.errors import StoreError
from netgpt.models.catalog import Catalog
from netgpt.models.download import file_sha256
from netgpt.models.hot_swap import Adapter
from netgpt.settings.sections import Adapters
from netgpt.store.encryption import Sealer
from netgpt.store.engine import database_of
from netgpt.store.entries import enter_changes
from netgpt.store.ledger import ledger_in_use
from netgpt.store.store import Store
from netgpt.types import Person

runner = CliRunner()
ADA = Person("local", "ada")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home: site@1 retired, @2 active, @3 canary, @4 rejected, @5 candidate, and older copies of its files beside."""
    home = tmp_path_factory.mktemp("filled")
    with vouched_registry(home) as registry:
        for version in range(1, 6):
            weights = adapter_file(home / "made" / f"{version}.gguf", seed=version)
            registry.add(weights, card_for(weights, version=version))
        registry.promote("site@1")
        (home / "older").mkdir()
        for file in (home / "netgpt.db", home / "adapters" / "index.json"):
            shutil.copy(file, home / "older" / file.name)
        with closing(sqlite3.connect(home / "netgpt.db")) as box:  # the log is part of it
            box.execute("VACUUM INTO ?", (str(home / "older" / "whole.db"),))
        registry.promote("site@2")
        registry.promote("site@3", canary=0.1)
        registry.reject("site@4", "worse")
    return home


@pytest.fixture
def home(filled: Path, clean_environment: Path) -> Path:
    shutil.copytree(filled, clean_environment)
    clean_environment.chmod(0o700)
    return clean_environment


def index_of(home: Path) -> Path:
    return home / "adapters" / "index.json"


def row(number: int, **values: Any) -> Callable[[Path], None]:
    """Other values in the row of a version."""

    def change(home: Path) -> None:
        content = json.loads(index_of(home).read_text())
        content["names"]["site"]["versions"][str(number)].update(values)
        index_of(home).write_text(json.dumps(content))

    return change


def name(**values: Any) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        content = json.loads(index_of(home).read_text())
        content["names"]["site"].update(values)
        index_of(home).write_text(json.dumps(content))

    return change


def card(number: int, **values: Any) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        path = home / "adapters" / "site" / str(number) / "card.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def promoted(home: Path) -> None:
    row(2, state="retired")(home)
    row(5, state="active")(home)


def other_weights(home: Path) -> None:
    """Weights of a thief, and an index and a card that say that they are right."""
    path = adapter_file(home / "adapters" / "site" / "2" / "adapter.gguf", seed=66)
    card(2, weights_sha256=file_sha256(path), bytes=path.stat().st_size)(home)
    row(2, sha256=file_sha256(path), card=file_sha256(path.with_name("card.json")))(home)


def added(home: Path) -> None:
    """A version of a thief beside the others, active."""
    content = json.loads(index_of(home).read_text())
    shutil.copytree(home / "adapters" / "site" / "5", home / "adapters" / "complete" / "1")
    versions = {"1": content["names"]["site"]["versions"]["5"] | {"state": "active"}}
    content["names"]["complete"] = {"last": 1, "history": [0], "versions": versions}
    index_of(home).write_text(json.dumps(content))


def put_back(home: Path) -> None:
    shutil.copy(home / "older" / "index.json", index_of(home))


def swapped(home: Path) -> None:
    one, other = (home / "adapters" / "site" / number / "card.json" for number in ("2", "5"))
    kept = one.read_text()
    one.write_text(other.read_text())
    other.write_text(kept)


def sql(*statements: str) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        with closing(sqlite3.connect(home / "netgpt.db")) as thief:
            for statement in statements:
                thief.execute(statement)
            thief.commit()

    return change


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        for each in changes:
            each(home)

    return change


MARK = "'file adapters/index.json'"
NO_MARK, NO_ENTRY = f"DELETE FROM marks WHERE name = {MARK}", f"DELETE FROM ledger WHERE id = {MARK}"
TABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "another version promoted": (promoted, "site@5"),
    "a canary for everybody": (row(3, share=1.0), "site@3"),
    "a canary of what is retired": (row(1, state="canary", share=0.9), "site@1"),
    "a rejected one as candidate": (row(4, state="candidate", why=""), "site@4"),
    "a hash": (row(2, sha256="0" * 64), "site@2"),
    "weights, with their hash": (other_weights, "site@2"),
    "pinned": (row(5, pinned=True), "site@5"),
    "what a rollback brings back": (name(history=[0, 5]), "site"),
    "numbers given again": (name(last=0), "site"),
    "called shipped": (row(2, shipped=True), "site@2"),
    "one put in": (added, "complete@1"),
    "the file put back from an older copy": (put_back, "site@2"),
    "the file deleted": (lambda home: index_of(home).unlink(), "site@2"),
    "the file emptied": (lambda home: index_of(home).write_text(""), "index.json"),
    "the file in ruins": (lambda home: index_of(home).write_text("{"), "index.json"),
    "a blank in the file": (lambda home: index_of(home).write_text(index_of(home).read_text() + " "), "index.json"),
    "another scale in the card": (card(2, alpha=999.0), "site@2"),
    "another verdict in the card": (card(2, metrics={"gate": {"passed": True}}), "site@2"),
    "another base in the card": (card(2, base_sha256="1" * 64), "site@2"),
    "other people in the card": (card(2, people=["x"]), "site@2"),
    "two cards swapped": (swapped, "site@2"),
    "its mark deleted": (both(promoted, sql(NO_MARK)), "index.json"),
    "its mark deleted with the entry": (both(promoted, sql(NO_MARK, NO_ENTRY)), "marks"),
    "its mark changed": (both(promoted, sql(f"UPDATE marks SET value = 'x' WHERE name = {MARK}")), "index.json"),
}
"""Change, and what the check must name."""


class Loaded:
    """Stands where the engine is: tells what it was given."""

    def __init__(self) -> None:
        self.resident: tuple[str, ...] = ()
        self.refused: dict[str, str] = {}

    async def set_adapters(self, adapters: Any) -> tuple[str, ...]:
        given: list[Adapter] = list(adapters)
        self.resident = tuple(each.id for each in given)
        return self.resident


async def in_use(home: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a box that starts now loads, and which adapters answer a person."""
    opened, pool = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key")), Loaded()
    here = Residency(Registry(home / "adapters", proof=opened.files), pool, Adapters(swap_every_s=0.0))
    try:
        await here.prepare()
    except StoreError:
        pass  # the box logs it, and goes on without adapters
    finally:
        chosen = here.choose(ADA).ids
        await opened.close()
    return pool.resident, chosen


def checked(home: Path) -> str:
    result = runner.invoke(store.app, ["check"], env={"COLUMNS": "300", "NETGPT_EDGE__BASE_URL": "http://127.0.0.1:9"})
    assert result.exit_code == (1 if "(" in result.stdout else 0)
    return result.stdout


async def test_as_the_box_wrote_it_it_is_loaded(home: Path) -> None:
    loaded, chosen = await in_use(home)
    assert set(loaded) == {"site@1", "site@2", "site@3"} and chosen[0] in ("site@2", "site@3")


def test_as_the_box_wrote_it_the_check_names_nothing(home: Path) -> None:
    assert "adapters" not in checked(home)


@pytest.mark.parametrize("what", TABLE)
async def test_what_was_changed_by_hand_is_not_loaded(home: Path, what: str) -> None:
    before, _ = await in_use(home)
    TABLE[what][0](home)
    loaded, chosen = await in_use(home)
    if TABLE[what][0].__qualname__.startswith(("card", "swapped")):  # one version is damaged, the others go on
        assert "site@2" not in loaded and set(loaded) < set(before)
    else:
        assert loaded == () and chosen == ()


@pytest.mark.parametrize("what", TABLE)
def test_what_was_changed_by_hand_is_named(home: Path, what: str) -> None:
    TABLE[what][0](home)
    assert TABLE[what][1] in checked(home)


def test_a_running_box_stops_using_what_is_changed_under_it(home: Path) -> None:
    with vouched_registry(home) as registry:
        assert registry.active("site") is not None
        promoted(home)
        with pytest.raises(StoreError, match="netgpt adapters accept"):
            registry.active("site")
        with pytest.raises(StoreError, match="not written by this box"):
            registry.promote("site@1")


def test_the_owner_can_accept_it(home: Path) -> None:
    promoted(home)
    assert runner.invoke(adapters.app, ["accept"], input="n\n").exit_code == 1, "asked, and declined"
    done = runner.invoke(adapters.app, ["accept", "--yes"])
    assert done.exit_code == 0 and "site@5 was changed by hand" in done.stderr and "state was" in done.stderr
    assert "site@5" in asyncio.run(in_use(home))[0] and "adapters" not in checked(home)


def test_files_beside_a_new_database_are_not_taken_over(home: Path) -> None:
    for file in home.glob("netgpt.db*"):
        file.unlink()
    assert asyncio.run(in_use(home)) == ((), ())
    assert "site@2 " in checked(home) and "was put in by hand" in checked(home)


def make_old(home: Path) -> None:
    """A home of before: the database has no marks of files, and no row the hash of its card."""
    opened = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))
    with opened._database.writing.connect() as connection:
        database_of(connection).watch(connection)
        with connection.begin():
            connection.exec_driver_sql("DELETE FROM marks WHERE name LIKE 'file %'")
            enter_changes(connection)
            ledger = ledger_in_use()
            assert ledger is not None
            ledger.finish(connection, follow=False)
    asyncio.run(opened.close())
    for number in range(1, 6):
        row(number, card="")(home)


def test_a_home_of_before_is_taken_over_once_and_said(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_old(home)
    with vouched_registry(home) as registry:
        assert registry.active("site") is not None, "it works before the take-over too"
        registry.sweep()
        assert registry.active("site") is not None
    assert caplog.text.count("taken over as it stands") == 1
    card(2, alpha=999.0)(home)
    with vouched_registry(home) as registry:
        registry.sweep()
        assert "site@2" in registry.tampered(), "from now on also what stands in a card"
        promoted(home)
        with pytest.raises(StoreError):
            registry.active("site")
    assert caplog.text.count("taken over as it stands") == 1


def test_a_kill_between_the_two_writes_leaves_either(home: Path) -> None:
    kept = index_of(home).read_bytes()
    with vouched_registry(home) as registry:
        registry.promote("site@5")
        after = index_of(home).read_bytes()
        assert registry.proof is not None
        registry.proof.expect("adapters/index.json", kept, after)  # as it stands before the file is put in place
        for content in (kept, after):
            index_of(home).write_bytes(content)
            assert registry.active("site") is not None
        registry.pin("site@5")
        index_of(home).write_bytes(kept)
        with pytest.raises(StoreError):
            registry.active("site")


def test_a_killed_change_of_a_card_leaves_a_whole_adapter(home: Path) -> None:
    path = home / "adapters" / "site" / "2" / "card.json"
    old = path.read_bytes()
    with vouched_registry(home) as registry:
        registry.set_metrics("site@2", {"loss": 1.0})
        content = json.loads(index_of(home).read_text())
        version = content["names"]["site"]["versions"]["2"]
        version["card_before"] = hashlib.sha256(old).hexdigest()
        text = json.dumps(content).encode()
        assert registry.proof is not None
        registry.proof.expect("adapters/index.json", text)
        index_of(home).write_bytes(text)
        path.write_bytes(old)
        assert registry.show("site@2").usable


# The list of weights.


@pytest.fixture
def weights(home: Path, tmp_path: Path) -> Path:
    path = base_file(tmp_path / "tiny.gguf", **{"tokenizer.chat_template": "{{ messages }}"})
    opened = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))
    Catalog(home / "models", opened.files).add(path, "tiny")
    asyncio.run(opened.close())
    return path


def catalogue(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def changed(home: Path) -> None:
        path = home / "models" / "index.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return changed


WEIGHTS: dict[str, Callable[[Path], None]] = {
    "another path": catalogue(lambda content: content["added"]["tiny"].update(path="/tmp/thief.gguf")),
    "another hash": catalogue(lambda content: content["added"]["tiny"].update(sha256="0" * 64)),
    "an optimized one put in": catalogue(
        lambda content: content["optimized"].update({content["added"]["tiny"]["sha256"]: {"file": "x", "bytes": 1}})
    ),
    "taken out": catalogue(lambda content: content["added"].clear()),
    "deleted": lambda home: (home / "models" / "index.json").unlink(),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_a_changed_list_of_weights_is_refused_and_named(home: Path, weights: Path, what: str) -> None:
    WEIGHTS[what](home)
    refused = runner.invoke(model_catalogue.app, ["list"])
    assert refused.exit_code == 1 and "netgpt models accept" in refused.stderr
    assert "(models)" in checked(home)
    assert runner.invoke(model_catalogue.app, ["accept", "--yes"]).exit_code == 0
    assert "(models)" not in checked(home)


def test_replaced_weights_are_named(home: Path, weights: Path) -> None:
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    result = runner.invoke(store.app, ["check"], env={"COLUMNS": "300", "NETGPT_EDGE__MODEL": "tiny"})
    assert result.exit_code == 1 and "its weights are not those that were listed" in result.stdout
