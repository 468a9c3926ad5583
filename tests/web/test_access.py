"""Keys, roles, tenants: one person never sees another's exchanges or profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with FaultyCloud() as cloud, Served(tmp_path_factory.mktemp("home"), cloud=cloud) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def keys(served: Served) -> dict[str, str]:
    """Keys by name: two tenants, bound and unbound, an operator, an admin, one revoked, one expired."""
    made = {}
    for name, *options in (
        ("ada", "--role", "user", "--tenant", "north", "--user", "ada"),
        ("bob", "--role", "user", "--tenant", "north", "--user", "bob"),
        ("dora", "--role", "user", "--tenant", "north", "--user", "dora"),
        ("app", "--role", "user", "--tenant", "north"),
        ("south", "--role", "user", "--tenant", "south"),
        ("operator", "--role", "operator", "--tenant", "north"),
        ("box", "--role", "operator"),
        ("admin", "--role", "admin", "--tenant", "north"),
        ("gone", "--role", "user", "--tenant", "north"),
    ):
        done = served.netgpt("keys", "create", "--name", name, *options, "--json")
        body = json.loads(done.stdout)
        made[name] = body["secret"]
        if name == "gone":
            served.netgpt("keys", "revoke", body["id"])
    return made


def asks(served: Served, key: str, text: str, **fields: object) -> httpx.Response:
    return httpx.post(
        f"{served.url}/v1/chat/completions",
        json={"model": "netgpt/cloud", "messages": [{"role": "user", "content": text}], **fields},
        headers={"authorization": f"Bearer {key}"},
        timeout=30,
    )


def gets(served: Served, key: str, path: str, **params: str) -> httpx.Response:
    return httpx.get(served.url + path, headers={"authorization": f"Bearer {key}"}, params=params, timeout=30)


def test_wrong_keys(served: Served, keys: dict[str, str]) -> None:
    for header in ({}, {"authorization": "Bearer ngpt_wrong"}, {"authorization": f"Basic {keys['ada']}"},
                   {"authorization": f"Bearer {keys['gone']}"}, {"authorization": "Bearer ' OR 1=1 --"}):  # fmt: skip
        answer = httpx.get(f"{served.url}/v1/models", headers=header, timeout=60)
        assert answer.status_code == 401, header
        error = answer.json()["error"]
        assert error["code"] == "invalid_api_key"
        assert not header or header["authorization"].split()[-1] not in answer.text
    assert gets(served, keys["ada"], "/v1/models").status_code == 200


def test_one_person_never_sees_anothers_exchange(served: Served, keys: dict[str, str]) -> None:
    mine = asks(served, keys["ada"], "my own words").json()["netgpt"]["exchange"]
    seen = gets(served, keys["ada"], f"/v1/exchanges/{mine}")
    assert seen.status_code == 200 and seen.json()["request"]["messages"][0]["content"] == "my own words"
    for other in ("bob", "app", "south"):
        assert gets(served, keys[other], f"/v1/exchanges/{mine}").status_code == 404, other
        assert mine not in gets(served, keys[other], "/v1/exchanges").text
    assert gets(served, keys["app"], f"/v1/exchanges/{mine}", user="ada").status_code == 200
    assert gets(served, keys["south"], f"/v1/exchanges/{mine}", user="ada").status_code == 404
    assert gets(served, keys["bob"], f"/v1/exchanges/{mine}", user="ada").status_code == 403
    figures = gets(served, keys["operator"], f"/v1/exchanges/{mine}")
    assert figures.status_code == 200 and "my own words" not in figures.text


def test_an_operator_does_not_speak_for_people(served: Served, keys: dict[str, str]) -> None:
    assert asks(served, keys["operator"], "what does ada like", user="ada").status_code == 403


def test_a_bound_key_speaks_for_nobody_else(served: Served, keys: dict[str, str]) -> None:
    assert asks(served, keys["ada"], "hello", user="bob").status_code == 403
    assert asks(served, keys["ada"], "hello", user="ada").status_code == 200
    assert asks(served, keys["app"], "hello", user="bob").status_code == 200


def test_profiles_are_private(served: Served, keys: dict[str, str]) -> None:
    url = f"{served.url}/v1/profiles/dora"
    auth = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
    made = httpx.post(
        f"{url}/facts", json={"text": "plays the nyckelharpa", "kind": "hobby"}, headers=auth["dora"], timeout=60
    )
    assert made.status_code == 201
    assert "nyckelharpa" in httpx.get(url, headers=auth["dora"], timeout=60).text
    assert httpx.get(url, headers=auth["bob"], timeout=60).status_code == 403
    assert httpx.get(url, headers=auth["operator"], timeout=60).status_code == 403
    assert "nyckelharpa" not in httpx.get(url, headers=auth["south"], timeout=60).text
    fact = made.json()["id"]
    assert httpx.delete(f"{url}/facts/{fact}", headers=auth["south"], timeout=60).status_code == 404
    assert httpx.patch(url, json={"complete": "off"}, headers=auth["dora"], timeout=60).json()["complete"] == "off"
    assert httpx.delete(url, headers=auth["dora"], timeout=60).json()["removed"]
    assert (
        httpx.get(url, headers=auth["dora"], timeout=60).status_code == 401
    )  # the key that spoke for her went with her
    assert "nyckelharpa" not in httpx.get(url, headers=auth["app"], timeout=60).text


def test_exceptions_are_for_operators_and_for_their_own_tenant(served: Served, keys: dict[str, str]) -> None:
    url = f"{served.url}/v1/privacy/exceptions"
    auth = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
    for name in ("ada", "app", "south"):
        assert httpx.post(url, json={"word": "Quillfeather"}, headers=auth[name], timeout=60).status_code == 403
        assert httpx.get(url, headers=auth[name], timeout=60).status_code == 403
        assert httpx.delete(f"{url}/quillfeather", headers=auth[name], timeout=60).status_code == 403
    assert httpx.post(url, json={"word": "Quillfeather"}, headers=auth["operator"], timeout=60).status_code == 201
    assert httpx.post(url, json={"word": "x", "tenant": "south"}, headers=auth["operator"], timeout=60).status_code in (
        400,
        422,
    )
    assert served.netgpt("redact", "--kept", "--tenant", "south", "--json").stdout.strip() == "[]"
    assert httpx.delete(f"{url}/quillfeather", headers=auth["operator"], timeout=60).status_code == 200


def test_places_are_for_the_boxs_own_operators(served: Served, keys: dict[str, str]) -> None:
    for name in ("ada", "operator"):
        assert gets(served, keys[name], "/v1/places").status_code == 403
    assert "tenant local" in gets(served, keys["operator"], "/v1/places").json()["error"]["message"]
    assert gets(served, keys["box"], "/v1/places").json()["data"] == []


def test_keys_are_not_kept_in_the_clear(served: Served, keys: dict[str, str]) -> None:
    for file in served.home.iterdir():
        if file.is_file():
            data = file.read_bytes()
            assert not any(key.encode() in data for key in keys.values()), file.name
            assert file.stat().st_mode & 0o077 == 0 or file.name == "serve.log", file.name


def test_beyond_loopback_needs_a_key(tmp_path: Path) -> None:
    gateway = Served(tmp_path / "home", server__host="0.0.0.0")
    with pytest.raises(AssertionError, match="no key exists"):
        gateway.__enter__()


def test_a_box_beyond_loopback_closes_with_its_last_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Served(home) as local:
        made = json.loads(local.netgpt("keys", "create", "--json").stdout)
    with Served(home, server__host="0.0.0.0") as gateway:
        url = gateway.url.replace("0.0.0.0", "127.0.0.1")
        bearer = {"authorization": f"Bearer {made['secret']}"}
        assert httpx.get(f"{url}/v1/models", headers={**bearer, "host": "box.example"}, timeout=60).status_code == 200
        gateway.netgpt("keys", "revoke", made["id"])
        assert httpx.get(f"{url}/v1/models", timeout=60).status_code == 401
        assert httpx.get(f"{url}/v1/models", headers=bearer, timeout=60).status_code == 401


def test_feedback_is_taken_from_the_person_only(served: Served, keys: dict[str, str]) -> None:
    exchange = asks(served, keys["ada"], "rate this").json()["netgpt"]["exchange"]
    for name, status in (("bob", 404), ("ada", 200)):
        answer = httpx.post(
            f"{served.url}/v1/feedback",
            json={"exchange": exchange, "rating": 1},
            headers={"authorization": f"Bearer {keys[name]}"},
            timeout=60,
        )
        assert answer.status_code == status
    assert gets(served, keys["ada"], f"/v1/exchanges/{exchange}").json()["rating"] == 1
