"""`netgpt profile`: add, list, remove, complete, forget, export."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from netgpt.cli.common import run
from netgpt.cli.profile import app
from netgpt.store.encryption import Sealer
from netgpt.store.proposals import ProposedFact
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store
from netgpt.types import Label, Person

runner = CliRunner()


def call(*arguments: str) -> Any:
    result = runner.invoke(app, [*arguments])
    assert result.exit_code == 0, result.output
    return result


def facts(*arguments: str) -> list[Any]:
    listed: list[Any] = json.loads(call("list", *arguments, "--json").stdout)
    return listed


def test_a_fact_is_added_listed_and_removed() -> None:
    added = json.loads(call("add", "ada", "is vegetarian", "--kind", "diet", "--json").stdout)
    assert (added["text"], added["kind"], added["label"]) == ("The user is vegetarian", "diet", "personal")
    call("add", "ada", "lives at 12 Mill Road", "--label", "sensitive")
    assert facts("ada")[0] == added
    assert [(fact["kind"], fact["label"]) for fact in facts("ada")] == [("diet", "personal"), ("note", "sensitive")]
    assert "vegetarian" in call("list", "ada").stdout
    call("remove", "ada", added["id"])
    assert [fact["kind"] for fact in facts("ada")] == ["note"]
    again = runner.invoke(app, ["remove", "ada", added["id"]])
    assert again.exit_code == 2 and "netgpt profile list" in again.stderr


def test_people_are_apart_by_user_and_tenant() -> None:
    call("add", "ada", "is vegetarian")
    call("add", "bob", "likes jazz")
    call("add", "ada", "has a cat", "--tenant", "acme")
    assert facts() == ["ada", "bob"]
    assert facts("--tenant", "acme") == ["ada"]
    assert len(facts("ada")) == len(facts("bob")) == len(facts("ada", "--tenant", "acme")) == 1
    (bobs,) = facts("bob")
    assert runner.invoke(app, ["remove", "ada", bobs["id"]]).exit_code == 2


def test_completion_is_chosen_per_person() -> None:
    for mode, kept in (("off", "off"), ("rewrite", "rewrite"), ("select", "select"), ("default", None)):
        call("complete", "ada", mode)
        assert json.loads(call("export", "ada").stdout)["complete"] == kept
    assert runner.invoke(app, ["complete", "ada", "always"]).exit_code == 2


def test_bad_facts_are_refused() -> None:
    for arguments in (["ada", ""], ["ada", "is tall", "--kind", "Two words"], ["ada", "is tall", "--label", "secret"]):
        assert runner.invoke(app, ["add", *arguments]).exit_code == 2
    assert facts() == []


def test_export_and_forget_cover_everything(clean_environment: Path) -> None:
    call("add", "ada", "is vegetarian")
    call("complete", "ada", "off")
    save_exchanges(clean_environment, 205)
    exported = json.loads(call("export", "ada", "--json").stdout)
    assert (exported["tenant"], exported["user"], exported["complete"]) == ("local", "ada", "off")
    assert len(exported["facts"]) == 1 and len(exported["exchanges"]) == 205
    assert exported["exchanges"][0]["private"] == {"answer": "number 204"}
    counts = json.loads(call("forget", "ada", "--json").stdout)
    removed = {name: rows for name, rows in counts["removed"].items() if rows}
    assert removed == {"exchanges": 205, "facts": 1, "profiles": 1}
    assert (counts["adapters"], counts["retrain"]) == ([], [])
    empty = json.loads(call("export", "ada", "--json").stdout)
    assert (empty["complete"], empty["facts"], empty["exchanges"]) == (None, [], [])
    assert "exchanges" in call("forget", "ada").stdout


def save_exchanges(home: Path, count: int) -> None:
    async def save() -> None:
        store = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))
        now = datetime.now(UTC)
        for number in range(count):
            await store.save_exchange(
                ExchangeRecord(
                    f"ex_{number:04}", "local", "ada", None, now, "complete", "m", "edge", "because", 1, 2, False,
                    0.0, {}, {"answer": f"number {number}"},
                )
            )  # fmt: skip
        await store.close()

    run(save())


def propose(home: Path, note: str) -> None:
    async def added() -> None:
        store = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))
        fact = ProposedFact(note, "note", Label.PERSONAL, f"Well, {note}.")
        await store.proposals.add(Person("local", "ada"), [fact], datetime.now(UTC) + timedelta(days=1), 9)
        await store.close()

    run(added())


def test_what_was_said_in_passing_is_kept_or_dropped(clean_environment: Path) -> None:
    call("add", "ada", "lives in Leeds")
    call("consent", "ada", "on", "--purpose", "proposals")
    propose(clean_environment, "lives in Graz")
    propose(clean_environment, "is deaf")
    home, deaf = json.loads(call("proposals", "ada", "--json").stdout)
    assert home["question"] == "Replace 'lives in Leeds' by 'lives in Graz'?" and deaf["words"] == "Well, is deaf."
    assert "sensitive" not in (shown := call("proposals", "ada").stdout) and deaf["id"] in shown
    kept = json.loads(call("proposals", "ada", "keep", home["id"], "--label", "sensitive", "--json").stdout)
    assert (kept["text"], kept["label"], len(kept["replaced"])) == ("The user lives in Graz", "sensitive", 1)
    call("proposals", "ada", "drop", deaf["id"])
    assert json.loads(call("proposals", "ada", "--json").stdout) == []
    assert [fact["text"] for fact in facts("ada")] == ["The user lives in Graz"]
    for wrong in (["keep"], ["keep", home["id"]], ["drop", deaf["id"]]):
        assert runner.invoke(app, ["proposals", "ada", *wrong]).exit_code == 2
