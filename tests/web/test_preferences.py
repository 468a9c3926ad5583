"""What counts more, by key and by request, and a deadline: over real HTTP, then shown by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


HARD = "compare the two plans"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    prices = {"cloud__price_prompt": "5", "cloud__price_completion": "15"}
    with FaultyCloud() as cloud, Served(
        tmp_path_factory.mktemp("home"), cloud=cloud, privacy__names="false", **prices
    ) as gateway:  # fmt: skip
        yield gateway


def decided(served: Served, text: str = HARD, **extension: Any) -> dict[str, Any]:
    answer = served.ask(text, "netgpt", netgpt={"explain": True, **extension})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()["netgpt"]
    return body


def test_a_request_says_what_counts_more(served: Served) -> None:
    assert decided(served)["route"] == "cloud"
    cheap = decided(served, prefer="cheap")
    assert (cheap["route"], cheap["explain"]["decision"]["weights"]) == ("edge", "cheap")
    assert decided(served, prefer="private")["route"] == "edge"
    assert decided(served, prefer=None)["explain"]["decision"]["weights"] == "balanced"


def test_a_deadline_that_nobody_meets_is_reported_and_a_wrong_one_refused(served: Served) -> None:
    explained = decided(served, deadline_s=600)["explain"]["decision"]
    assert all(target["ruled_out"] is None for target in explained["expected"])
    for wrong, where in (
        ({"prefer": "speed"}, "netgpt.prefer"), ({"deadline_s": 0}, "netgpt.deadline_s"),
        ({"deadline_s": -1}, "netgpt.deadline_s"), ({"deadline_s": "soon"}, "netgpt.deadline_s"),
        ({"deadline_s": 1e9}, "netgpt.deadline_s"),
    ):  # fmt: skip
        answer = served.ask(HARD, "netgpt", netgpt=wrong)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, where)


def test_the_document_names_both(served: Served) -> None:
    schema = served.get("/openapi.json").json()["components"]["schemas"]["Extension"]["properties"]
    assert "What counts more" in schema["prefer"]["description"]
    assert "Seconds" in schema["deadline_s"]["description"]


def test_the_command_line_shows_every_target(served: Served) -> None:
    id = decided(served)["exchange"]
    shown = served.netgpt("explain", id).stdout
    assert all(words in shown for words in ("cloud (chosen)", "edge (fallback 1)", "would have answered"))
    body = json.loads(served.netgpt("explain", id, "--json").stdout)["decision"]
    assert {target["arm"] for target in body["expected"]} == {"edge", "cloud"} and HARD not in json.dumps(body)
    dry = served.netgpt("ask", HARD, "--dry-run", "--prefer", "cheap").stdout
    assert "by cheap" in dry and "edge (chosen)" in dry


def test_a_key_is_made_with_a_preference(served: Served) -> None:
    made = json.loads(served.netgpt("keys", "create", "--prefer", "private", "--json").stdout)
    assert made["prefer"] == "private" and "prefers" in served.netgpt("keys", "list").stdout
    served.key = made["secret"]
    assert decided(served)["explain"]["decision"]["weights"] == "private"
    assert decided(served, prefer="quality")["route"] == "cloud"
    wrong = served.netgpt("keys", "create", "--prefer", "speed", check=False)
    assert wrong.returncode != 0 and "private" in wrong.stderr
