"""Two boxes, each a process of its own: one asks the other, masked, and goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Served, finishes, text_of

from netgpt.testing.server import Fault, FaultyCloud, echo
from netgpt.types import Load

pytestmark = pytest.mark.slow
TEXT = "please write to ada@mill.example about the fair"


@pytest.fixture(scope="module")
def edges() -> Iterator[tuple[FaultyCloud, FaultyCloud]]:
    """The models of the two boxes: here, and next door."""
    with FaultyCloud("the box itself says so") as here, FaultyCloud(echo) as next_door:
        yield here, next_door


@pytest.fixture(scope="module")
def boxes(
    edges: tuple[FaultyCloud, FaultyCloud], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, Served]]:
    homes: list[Path] = [tmp_path_factory.mktemp(name) for name in ("here", "next")]
    plain: Any = {"privacy__names": "false"}
    with Served(homes[1], edge_url=edges[1].base_url, **plain) as next_door:
        upstream: Any = {
            "upstreams__next_door__kind": "neighbour",
            "upstreams__next_door__base_url": f"{next_door.url}/v1",
            "upstreams__next_door__retries": "0",
            "upstreams__next_door__timeout": "30",
            "routing__on_cut": "edge",
        }
        with Served(homes[0], edge_url=edges[0].base_url, **plain, **upstream) as here:
            yield here, next_door


def test_the_neighbours_edge_answers_masked_words_and_the_own_ones_come_back(boxes: Any, edges: Any) -> None:
    here, next_door = boxes
    answer = here.ask(TEXT, "next-door")
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == TEXT
    assert body["netgpt"]["arm"] == answer.headers["x-netgpt-arm"] == "next-door"
    assert body["netgpt"]["route"] == answer.headers["x-netgpt-route"] == "cloud"
    assert b"ada@mill" not in edges[1].all_bytes() and b"[EMAIL_1]" in edges[1].all_bytes()
    (theirs,) = next_door.get("/v1/exchanges").json()["data"]
    assert theirs["arm"] == theirs["route"] == "edge" and "ada@mill" not in str(theirs)
    kept = here.get(f"/v1/exchanges/{body['netgpt']['exchange']}").json()
    assert kept["arm"] == "next-door" and [sent["arm"] for sent in kept["sent_to"]] == ["next-door"]
    assert kept["outbound"]["model"] == "netgpt/edge" and kept["outbound"]["netgpt"] == {"complete": "off"}


def test_every_answer_tells_how_busy_the_box_is(boxes: Any) -> None:
    for gateway in boxes:
        load = Load.read(gateway.ask("hello", "netgpt/edge").headers["x-netgpt-load"])
        assert load is not None and load.slots >= 1 and load.waiting == 0


def test_the_targets_are_models_and_parts(boxes: Any) -> None:
    here, next_door = boxes
    names = {model["id"] for model in here.get("/v1/models").json()["data"]}
    assert {"netgpt", "netgpt/edge", "next-door", "netgpt/next-door"} <= names
    ready = here.get("/readyz").json()
    assert ready["ready"] and ready["parts"]["next-door"]["ok"] and not ready["parts"]["cloud"]["ok"]
    assert 'netgpt_up{part="next-door"} 1.0' in here.get("/metrics").text
    assert next_door.ask("hello", "next-door").status_code == 404, "nothing goes round"


def test_a_neighbour_that_breaks_off_is_finished_here(boxes: Any, edges: Any) -> None:
    here, _ = boxes
    edges[1].schedule(Fault.CUT)
    events = here.stream({"model": "next-door", "messages": [{"role": "user", "content": TEXT}]})
    assert events[-1] == "[DONE]" and finishes(events) == ["stop"]
    said = text_of(events)
    assert said.endswith("the box itself says so") and TEXT.startswith(said.removesuffix("the box itself says so"))
    last = next(e for e in reversed(events) if isinstance(e, dict) and "netgpt" in e)
    assert last["netgpt"]["finished_by"] == "edge" and last["netgpt"]["arm"] == "next-door"
    kept = here.get(f"/v1/exchanges/{last['netgpt']['exchange']}").json()
    assert kept["finished_by"] == "edge" and kept["status"] == "complete" and not kept["partial"]


def test_both_carry_on_when_one_is_gone(boxes: Any) -> None:
    here, next_door = boxes
    next_door.kill()
    body = here.ask(TEXT, "next-door").json()
    assert body["netgpt"]["arm"] == "edge" and "next-door failed" in body["netgpt"]["reason"]
    assert here.get("/readyz").json()["ready"]
