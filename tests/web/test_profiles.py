"""/v1/profiles: consent to training, kept examples, and forgetting, over real HTTP; the data folder is searched."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served

pytestmark = pytest.mark.slow


ADA = f"ada-{secrets.token_hex(8)}"
PLANTED = f"umbrella {secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("home"), privacy__names="false") as gateway:
        yield gateway


def call(served: Served, method: str, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    url = f"{served.url}/v1/profiles/{ADA}{path}"
    answer = httpx.request(method, url, json=body or None, timeout=60)
    assert answer.status_code == status, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def asks(served: Served, text: str, rating: int | None = None) -> str:
    body = {"model": "netgpt", "user": ADA, "messages": [{"role": "user", "content": text}]}
    answer = httpx.post(f"{served.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    id = str(answer.headers["x-netgpt-exchange"])
    if rating is not None:
        httpx.post(
            f"{served.url}/v1/feedback", json={"exchange": id, "rating": rating, "user": ADA}, timeout=60
        ).raise_for_status()
    return id


def files(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_consent_examples_and_forgetting(served: Served) -> None:
    assert call(served, "GET", "")["consents"] == {"training": False, "given": None, "withdrawn": None}
    exchange = asks(served, f"where is my {PLANTED}", 1)
    refused = call(served, "POST", "/examples", 403, exchange=exchange)
    assert "consent" in refused["error"]["message"]

    assert call(served, "PATCH", "", training=True)["consents"]["training"] is True
    assert call(served, "GET", "")["complete"] is None  # what was left out stays
    kept = call(served, "POST", "/examples", 201, exchange=exchange)
    (example,) = call(served, "GET", "/examples")["data"]
    assert example["id"] == kept["id"] and example["adapters"] == [] and PLANTED in example["messages"][-1]["content"]
    assert call(served, "POST", "/examples", 404, exchange="ex_none")["error"]["code"] == "not_found"

    assert call(served, "DELETE", f"/examples/{kept['id']}")["removed"] == {"examples": 1}
    call(served, "DELETE", f"/examples/{kept['id']}", 404)
    call(served, "POST", "/examples", 201, exchange=exchange)
    taken_back = call(served, "PATCH", "", training=False)
    assert taken_back["consents"]["training"] is False and taken_back["unlearnt"]["removed"] == {"examples": 1}

    call(served, "POST", "/facts", 201, text=f"owns an {PLANTED}")
    assert call(served, "GET", "")["facts"]  # and even now nobody's name stands in a file
    assert not any(ADA.encode() in content for content in files(served.home).values())
    forgotten = call(served, "DELETE", "")
    assert forgotten["removed"]["exchanges"] == 1 and forgotten["removed"]["consents"] == 1
    for name, content in files(served.home).items():
        assert ADA.encode() not in content and PLANTED.encode() not in content, name


def test_a_wrong_change_is_refused(served: Served) -> None:
    assert "training" in call(served, "PATCH", "", 400, training="perhaps")["error"]["message"]
