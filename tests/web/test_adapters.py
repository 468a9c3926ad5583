"""/v1/adapters over HTTP: for operators; states change, and changes of other programs show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from made_adapters import adapter_file, card_for, vouched_registry
from serving import Served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with vouched_registry(home) as registry:
        for version in (1, 2, 3):
            weights = adapter_file(home / f"{version}.gguf", seed=version)
            registry.add(weights, card_for(weights, version=version))
    with Served(home) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def keys(served: Served) -> dict[str, str]:
    made = {}
    for role in ("user", "operator"):
        shown = json.loads(served.netgpt("keys", "create", "--name", role, "--role", role, "--json").stdout)
        made[role] = shown["secret"]
    return made


@pytest.fixture
def operator(served: Served, keys: dict[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=served.url, headers={"authorization": f"Bearer {keys['operator']}"}, timeout=30
    ) as client:
        yield client


def states(client: httpx.Client) -> dict[str, str]:
    return {row["id"]: row["state"] for row in client.get("/v1/adapters").json()["data"] if row["name"] == "site"}


def test_only_operators_see_and_change_them(served: Served, keys: dict[str, str]) -> None:
    as_user = {"authorization": f"Bearer {keys['user']}"}
    for method, path in (
        ("GET", "/v1/adapters"), ("GET", "/v1/adapters/site@1"), ("POST", "/v1/adapters/site@1/promote"),
        ("POST", "/v1/adapters/site/rollback"), ("DELETE", "/v1/adapters/site@1"),
    ):  # fmt: skip
        assert httpx.request(method, served.url + path, timeout=60).status_code == 401, path
        answer = httpx.request(method, served.url + path, headers=as_user, timeout=60)
        assert answer.status_code == 403 and answer.json()["error"]["type"] == "permission_error", path


def test_promote_canary_rollback_and_remove(served: Served, operator: httpx.Client) -> None:
    assert states(operator) == {"site@1": "candidate", "site@2": "candidate", "site@3": "candidate"}
    refused = operator.post("/v1/adapters/site@1/promote")
    assert refused.status_code == 400 and "passed no evaluation" in refused.json()["error"]["message"]
    own_word = {"unjudged": True}
    assert operator.post("/v1/adapters/site@1/promote", json=own_word).json()["state"] == "active"
    canary = operator.post("/v1/adapters/site@2/promote", json={"canary": True, **own_word}).json()
    assert (canary["state"], canary["canary_share"]) == ("canary", 0.1), "the share of the settings"
    assert operator.post("/v1/adapters/site@2/promote", json={"share": 0.5}).json()["canary_share"] == 0.5
    assert operator.post("/v1/adapters/site/rollback").json()["active"]["id"] == "site@1", "the canary ends first"
    operator.post("/v1/adapters/site@3/promote", json=own_word).raise_for_status()
    assert operator.post("/v1/adapters/site/rollback").json()["active"]["id"] == "site@1"
    assert operator.post("/v1/adapters/site/rollback").json()["active"] is None
    assert operator.delete("/v1/adapters/site@3").json()["deleted"] is True
    assert "site@3" not in states(operator)
    with vouched_registry(served.home) as registry:
        registry.promote("site@2")
    assert states(operator)["site@2"] == "active", "as another program changed it"


def test_one_adapter_shows_its_card_and_no_path(operator: httpx.Client) -> None:
    answer = operator.get("/v1/adapters/site@2")
    shown: dict[str, Any] = answer.json()
    assert shown["card"]["data_digest"] and shown["resident"] is False, "the edge is a server of the owner's here"
    assert "/" not in json.dumps({**shown, "created": ""}), "where files lie is nobody's business"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/adapters/nobody@1", None, 404),
        ("GET", "/v1/adapters/..%2F..%2Fetc%2Fpasswd", None, 404),
        ("POST", "/v1/adapters/site@99/promote", None, 404),
        ("POST", "/v1/adapters/site@1/promote", {"share": 2}, 400),
        ("POST", "/v1/adapters/site@1/promote", {"shard": 0.5}, 400),
        ("POST", "/v1/adapters/nobody/rollback", None, 404),
        ("DELETE", "/v1/adapters/site", None, 404),
    ],
)
def test_errors_have_openais_shape(operator: httpx.Client, method: str, path: str, body: Any, status: int) -> None:
    answer = operator.request(method, path, json=body)
    assert answer.status_code == status and answer.json()["error"]["message"], answer.text


def test_answers_of_an_edge_without_adapters_name_none(
    operator: httpx.Client, served: Served, keys: dict[str, str]
) -> None:
    body = {"model": "netgpt/edge", "messages": [{"role": "user", "content": "hello"}], "lora": [{"id": 0, "scale": 1}]}
    answer = httpx.post(
        f"{served.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {keys['user']}"}, timeout=30
    )
    assert answer.json()["netgpt"]["adapters"] == [] and "x-netgpt-adapter" not in answer.headers


def test_an_operator_lists_the_exchanges_of_its_tenant(operator: httpx.Client) -> None:
    listed = operator.get("/v1/exchanges").json()["data"]
    assert listed and listed[0]["adapters"] == [] and "request" not in listed[0]
