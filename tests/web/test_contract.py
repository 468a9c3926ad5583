"""The whole API against its own OpenAPI document, with bodies and parameters that fit it and that do not.

Requests are made from the document, the same ones at each run. More of them:
`NETGPT_CONTRACT_EXAMPLES=200 pytest tests/web/test_contract.py` (for each operation; 5 without).
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import Served

from netgpt.store.encryption import Sealer
from netgpt.store.keys import new_key
from netgpt.store.schema import KeyRow
from netgpt.store.store import Store
from netgpt.testing.server import FaultyCloud
from netgpt.types import Role

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

EXAMPLES: Final = int(os.environ.get("NETGPT_CONTRACT_EXAMPLES", "5"))
PLANTED: Final = f"umbrella{secrets.token_hex(8)}"
CHECKS: Final = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
TRACES: Final = ("Traceback", "site-packages", "netgpt/web", 'File "', "sqlalchemy", "sqlite3", "pydantic")


@dataclass(frozen=True)
class Caller:
    """Where somebody asks, and with which header."""

    url: str
    headers: dict[str, str]
    may: bool
    """Whether it comes in at all."""
    owner: bool = False
    """Whether all that is on the box is theirs."""


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Caller]]:
    homes = [tmp_path_factory.mktemp(name) for name in ("keyless", "keyed")]
    with (
        FaultyCloud() as cloud,
        Served(homes[0], cloud=cloud, privacy__names="false") as keyless,
        Served(homes[1], cloud=cloud, privacy__names="false", lockout__failures="1000000") as keyed,
    ):
        made = {"owner": Caller(keyless.url, {}, True, owner=True), "stranger": Caller(keyed.url, {}, False)}
        keys = asyncio.run(_keys(keyed.home, [("south", Role.USER), ("south", Role.ADMIN), ("north", Role.USER)]))
        made |= {name: Caller(keyed.url, {"authorization": f"Bearer {key}"}, True) for name, key in keys.items()}
        _plant(made.pop("north user"))
        yield made
        assert not [word for word in ("Traceback", "unforeseen", PLANTED) if word in keyless.log() + keyed.log()]


async def _keys(home: Path, wanted: list[tuple[str, Role]]) -> dict[str, str]:
    store = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key", create=False))
    made = {}
    for tenant, role in wanted:
        id, made[f"{tenant} {role}"], hash = new_key()
        await store.add_key(KeyRow(id, hash, tenant, role, None, "", datetime.now(UTC)))
    await store.close()
    return made


def _plant(north: Caller) -> None:
    body = {"model": "netgpt/cloud", "user": "ada", "messages": [{"role": "user", "content": f"my {PLANTED}"}]}
    for path, sent in (("/v1/chat/completions", body), ("/v1/profiles/ada/facts", {"text": f"owns an {PLANTED}"})):
        httpx.post(north.url + path, json=sent, headers=north.headers, timeout=30).raise_for_status()


@pytest.fixture(scope="module")
def schema(callers: dict[str, Caller]) -> Any:
    document = httpx.get(f"{callers['owner'].url}/openapi.json", timeout=60).json()
    models = {"enum": ["netgpt", "netgpt/edge", "netgpt/cloud"]}  # else hardly a question would reach a model
    document["components"]["schemas"]["ChatBody"]["properties"]["model"] = models
    (open_for,) = (
        each for each in document["paths"]["/v1/exchanges/stream"]["get"]["parameters"] if each["name"] == "seconds"
    )
    open_for |= {"required": True, "schema": {"type": "integer", "enum": [0]}}  # else each stays open for minutes
    return schemathesis.openapi.from_dict(document)


def test_the_api_keeps_to_its_document(callers: dict[str, Caller], schema: Any) -> None:
    for result in schema.get_all_operations():
        operation = result.ok()
        modes = [operation.as_strategy(generation_mode=mode) for mode in _modes(operation)]
        _keeps_to_it(callers, st.one_of(modes))


def _modes(operation: Any) -> list[GenerationMode]:
    """An operation that takes nothing cannot be given something wrong."""
    takes = bool(operation.body) or any(True for _ in operation.iter_parameters())
    return [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if takes else [GenerationMode.POSITIVE]


def _keeps_to_it(callers: dict[str, Caller], cases: Any) -> None:
    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases)
    def each(case: Case[Any]) -> None:
        for name, caller in callers.items():
            _check(name, caller, case)

    each()


def _check(name: str, caller: Caller, case: Case[Any]) -> None:
    answer = case.call(base_url=caller.url, headers=caller.headers, timeout=30)
    place = f"{name}: {case.method} {case.path}"
    seen = f"{answer.text} {answer.headers}"
    known = case.path in ("/v1/moderations", "/v1/training") and answer.status_code == 501
    if (
        caller.owner
        and not caller.headers
        and (case.method, case.path, answer.status_code) == ("POST", "/v1/keys", 201)
    ):
        caller.headers["authorization"] = f"Bearer {answer.json()['secret']}"  # the first key closes the box
    assert answer.status_code < 500 or known, f"{place}: {answer.status_code} {answer.text}"
    assert not [word for word in TRACES if word in answer.text], place
    assert caller.owner or PLANTED not in seen, place
    if not caller.may and case.path.startswith("/v1/"):
        assert answer.status_code == 401, place
    if not known:
        case.validate_response(answer, checks=CHECKS)
