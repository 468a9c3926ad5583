"""The operator's exceptions over real HTTP: for the caller's tenant alone, respected by the gateway and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow
WORD = "Bartholomew Quillfeather"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with FaultyCloud() as cloud, Served(tmp_path_factory.mktemp("home"), cloud=cloud) as gateway:
        yield gateway


def sent(gateway: Served) -> str:
    assert gateway.cloud is not None
    gateway.ask(f"{WORD} wrote to ada@mill.org")
    content: str = json.loads(gateway.cloud.received[-1].body)["messages"][-1]["content"]
    return content


def test_an_operator_makes_a_find_an_exception_and_takes_it_back(served: Served) -> None:
    assert sent(served) == "[PERSON_1] wrote to [EMAIL_1]"
    added = served.post({"word": WORD.upper()}, "/v1/privacy/exceptions")
    assert added.status_code == 201 and added.json()["word"] == WORD.casefold()
    assert sent(served) == f"{WORD} wrote to [EMAIL_1]"
    assert [entry["word"] for entry in served.get("/v1/privacy/exceptions").json()["data"]] == [WORD.casefold()]
    assert served.netgpt("redact", f"{WORD} wrote to ada@mill.org").stdout == f"{WORD} wrote to [EMAIL_1]\n"
    assert "exception for tenant" in served.log() and "quillfeather" not in served.log().lower()
    assert served.post({"word": "ada@mill.org"}, "/v1/privacy/exceptions").status_code == 400
    served.netgpt("redact", "--unkeep", WORD)
    assert served.get("/v1/privacy/exceptions").json()["data"] == []
    assert sent(served) == "[PERSON_1] wrote to [EMAIL_1]"
