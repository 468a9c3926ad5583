"""The model of relevance in the box: vectors kept from the background, requests that use them, honest fallbacks."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from doors import Door, door
from relevance_heads import made_relevance
from typer.testing import CliRunner

from netgpt.cli import app
from netgpt.cli.ask import choice_rows
from netgpt.training.people import export_person
from netgpt.types import Fact, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOG, CELLO = "Feeds a dog called Rex twice a day", "Plays the cello in a quartet"
REQUEST = "how often should a dog be fed"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, encoder_weights: Path) -> Path:
    return made_relevance(tmp_path_factory.mktemp("relevance") / "mine.safetensors", encoder_weights)


@pytest.fixture(scope="module")
def settings(encoder_weights: Path, weights: Path) -> dict[str, Any]:
    return {
        "encoder": {"model": str(encoder_weights)},
        "completion": {"mode": "select", "relevance": str(weights), "timeout_s": 60},
    }


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]) -> AsyncIterator[Door]:
    async with door(tmp_path_factory.mktemp("home"), **settings) as opened:
        yield opened


async def told(box: Door, user: str, *texts: str) -> list[str]:
    ids = []
    for text in texts:
        answer = await box.ask("POST", f"/v1/profiles/{user}/facts", json={"text": text})
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
    return ids


async def all_read(box: Door) -> None:
    """Wait for the background."""
    model = box.gateway.relevance.model
    assert model is not None
    while await box.gateway.store.vectors.missing(model.identity, 1):
        await asyncio.sleep(0.01)


async def test_a_request_gets_the_fact_that_helps_and_the_record_has_numbers(box: Door) -> None:
    await told(box, "ada", DOG, CELLO)
    answer = await box.chat(text=REQUEST, fields={"user": "ada", "netgpt": {"explain": True}})
    explained = answer.json()["netgpt"]["explain"]
    assert [fact["text"] for fact in explained["facts"]] == [f"The user {DOG[0].lower()}{DOG[1:]}"]
    completion = explained["completion"]
    assert "by the model of relevance" in completion["why"] and completion["adapter"] is None
    chances = completion["chances"]
    assert set(chances) == {"cut", "given", "next"} and len(chances["given"]) == 1
    assert "cello" not in json.dumps(completion).lower()
    (row,) = await box.gateway.store.exchanges(Person("local", "ada"), 1)
    assert row.private is not None and row.private["completion"]["chances"] == chances


async def test_explain_shows_each_chance_and_the_next_without_their_texts() -> None:
    found = {
        "facts": [{"text": "likes tea"}, {"text": "has a dog"}],
        "completion": {"why": "2 of 9 facts help", "chances": {"cut": 0.5, "given": [0.91, 0.6], "next": [0.41, 0.2]}},
    }
    assert choice_rows(found) == [
        ("facts used", "likes tea (0.91); has a dog (0.60)"),
        ("why these", "2 of 9 facts help"),
        ("not given", "facts with the chances 0.41, 0.20; they are given from 0.50 on"),
    ]
    assert choice_rows({"facts": [], "completion": None}) == [("facts used", "none"), ("why these", "")]


async def test_facts_are_read_when_they_are_written_and_need_not_be_after_a_start(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    ada = Person("local", "ada")
    async with door(tmp_path, **settings) as first:
        await told(first, "ada", DOG, CELLO)
        await all_read(first)
        exported = await export_person(first.gateway.store, first.gateway.registry, ada)
        assert "vector" not in json.dumps(exported, default=str)
    async with door(tmp_path, **settings) as again:
        gateway = again.gateway
        known = [fact for _, fact in await gateway.store.facts(ada)]

        async def fetch() -> Any:
            return await gateway.relevance.of_person(ada)

        kept = await fetch()
        assert len(kept) == 2
        assert gateway.relevance.model is not None
        gateway.relevance.model.forget()
        found = await gateway.selector.select(REQUEST, known, within_s=60, fetch=fetch)
        assert [known[i].text for i in found.chosen] == [known[0].text]
        assert not gateway.selector.chooser._reading  # type: ignore[union-attr]


async def test_forgetting_leaves_no_vectors(box: Door) -> None:
    (id, _) = await told(box, "bob", DOG, CELLO)
    await box.chat(text=REQUEST, fields={"user": "bob"})
    await all_read(box)
    gateway, bob = box.gateway, Person("local", "bob")
    model = gateway.relevance.model
    assert model is not None
    texts = [fact.text for _, fact in await gateway.store.facts(bob)]
    assert model.ready(texts) or await gateway.store.vectors.of_person(bob, model.identity)
    assert (await box.ask("DELETE", f"/v1/profiles/bob/facts/{id}")).status_code == 200
    assert model.ready(texts) == {} and id not in await gateway.store.vectors.of_person(bob, model.identity)
    assert (await box.ask("DELETE", "/v1/profiles/bob")).status_code == 200
    assert await gateway.store.vectors.of_person(bob, model.identity) == {} == model.ready(texts)


async def test_a_person_whose_facts_do_not_open_holds_up_nobody(box: Door) -> None:
    store, model = box.gateway.store, box.gateway.relevance.model
    assert model is not None
    eve, fay = Person("local", "eve"), Person("local", "fay")
    id = await store.add_fact(eve, Fact("will be damaged", "note", source="profile"))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE facts SET private = zeroblob(60) WHERE id = ?", (id,))
        connection.execute("DELETE FROM fact_vectors WHERE id = ?", (id,))
    (fays,) = await told(box, "fay", "is fine")
    while fays not in await store.vectors.of_person(fay, model.identity):
        await asyncio.sleep(0.01)
    assert await box.gateway.relevance.of_person(eve) == {}
    await store.remove_fact(eve, id)


async def test_health_says_who_chooses(box: Door) -> None:
    assert (await box.get("/readyz")).json()["parts"]["relevance"] == {"ok": True, "detail": "it chooses among facts"}


@pytest.mark.parametrize(
    ("encoder", "relevance", "words", "ok"),
    [
        ("here", "off", "completion.relevance is off", True),
        ("off", "bundled", "the sentence encoder is not there", False),
        ("here", "/nowhere/at.all", "the weights of relevance cannot be used", False),
    ],
)
async def test_without_the_model_the_box_chooses_by_kinds_and_says_so(
    tmp_path: Path, encoder_weights: Path, encoder: str, relevance: str, words: str, ok: bool
) -> None:
    chosen = {"mode": "select", "relevance": relevance, "timeout_s": 60}
    model = str(encoder_weights) if encoder == "here" else "off"
    async with door(tmp_path, completion=chosen, encoder={"model": model}) as bare:
        await told(bare, "ada", "is vegetarian")
        answer = await bare.chat(text="ideas for dinner", fields={"user": "ada", "netgpt": {"explain": True}})
        completion = answer.json()["netgpt"]["explain"]["completion"]
        assert f"({words})" in completion["why"] and completion["chances"] is None
        health = bare.gateway.relevance.health()
        assert health.ok is ok and health.detail == f"{words}: facts are chosen by their kinds, less well"
        await bare.gateway.relevance.run()  # there is nothing to do
        assert await bare.gateway.relevance.of_person(Person("local", "ada")) == {}


async def test_the_command_chooses_by_the_same_model_without_an_engine(
    monkeypatch: pytest.MonkeyPatch, encoder_weights: Path, weights: Path, tmp_path: Path
) -> None:
    def called() -> Any:
        monkeypatch.setenv("NETGPT_ENCODER__MODEL", str(encoder_weights))
        monkeypatch.setenv("NETGPT_COMPLETION__RELEVANCE", str(weights))
        return CliRunner().invoke(app, ["complete", REQUEST, "--fact", DOG, "--fact", CELLO, "--json"])

    result = await asyncio.to_thread(called)  # no weights of the edge model are here
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    assert row["chosen"] == [0] and row["chances"][0] >= 0.5 > row["chances"][1]
