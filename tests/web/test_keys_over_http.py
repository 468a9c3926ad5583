"""Keys made, changed and revoked over HTTP: nobody gets more than they have, whatever they send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from doors import Door, door

from netgpt.store.schema import KeyLimits
from netgpt.testing.server import FaultyCloud
from netgpt.types import Role

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A box with an admin's key in the tenant "north"."""
    with FaultyCloud() as cloud:
        async with door(tmp_path_factory.mktemp("home"), cloud) as opened:
            await opened.make_key(role=Role.ADMIN)
            yield opened


async def asked(here: Door, key: str | None, method: str = "POST", path: str = "", **body: Any) -> httpx.Response:
    options: dict[str, Any] = {"json": body} if method != "DELETE" else {}
    return await here.ask(method, f"/v1/keys{path}", key=key, **options)


async def rows(here: Door, key: str) -> dict[str, Any]:
    return {row["id"]: row for row in (await here.get("/v1/keys", key=key)).json()["data"]}


async def test_a_key_is_made_shown_limited_used_and_revoked(here: Door) -> None:
    own, admin = await here.make_key(role=Role.ADMIN)
    made = await asked(here, admin, name="my app", scopes=["models", "chat"], limits={"cost_per_month": 5})
    row = made.json()
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
    assert (row["role"], row["tenant"], row["user"]) == ("user", "north", None)
    assert row["scopes"] == ["chat", "models"] and row["limits"]["cost_per_month"] == 5
    assert (await here.get("/v1/models", key=row["secret"])).status_code == 200
    assert (await here.get("/v1/exchanges", key=row["secret"])).status_code == 403
    asking = {"fields": {"model": "netgpt/cloud", "user": "bob"}}
    assert (await here.chat(row["secret"], "will it rain", **asking)).status_code == 200
    listed = (await here.get("/v1/keys", key=admin)).json()
    assert listed["own"] == own and row["secret"] not in str(listed) and "hash" not in str(listed)
    (found,) = (each for each in listed["data"] if each["id"] == row["id"])
    assert found["used"]["requests_today"] == 1 and found["used"]["tokens_today"] > 0
    (bob,) = (each for each in (await here.get("/v1/people", key=admin)).json()["data"] if each["user"] == "bob")
    assert bob["requests_this_month"] == bob["requests_today"] == 1 and bob["last_seen"]
    changed = await asked(here, admin, "PATCH", f"/{row['id']}", limits={"cost_per_month": None, "tokens_per_day": 9})
    assert changed.json()["limits"]["cost_per_month"] is None and changed.json()["limits"]["tokens_per_day"] == 9
    assert changed.json()["scopes"] == ["chat", "models"]
    assert (await asked(here, admin, "DELETE", f"/{row['id']}")).json()["revoked"] is True
    assert (await here.get("/v1/models", key=row["secret"])).status_code == 401
    assert (await asked(here, admin, "DELETE", f"/{row['id']}")).status_code == 409


async def test_nobody_gives_what_they_have_not(here: Door) -> None:
    async def key(**fields: Any) -> str:
        return (await here.make_key(**fields))[1]

    soon = datetime.now(UTC) + timedelta(days=2)
    admin, bound = await key(role=Role.ADMIN), await key(role=Role.ADMIN, user="ada")
    scoped = await key(role=Role.ADMIN, scopes=("keys", "models"))
    slow = await key(role=Role.ADMIN, limits=KeyLimits(requests_per_minute=500))
    poor = await key(role=Role.ADMIN, limits=KeyLimits(cost_per_month=3.0))
    ending = await key(role=Role.ADMIN, expires=soon)
    tries: list[tuple[str, dict[str, Any]]] = [
        (admin, {"tenant": "local"}), (admin, {"tenant": "elsewhere", "role": "admin"}),
        (bound, {"user": "bob"}), (scoped, {}), (scoped, {"scopes": ["keys", "chat"]}),
        (slow, {}), (slow, {"limits": {"requests_per_minute": 501}}),
        (poor, {"limits": {"cost_per_month": 1}}), (ending, {}), (ending, {"expires_days": 3}),
        (await key(role=Role.OPERATOR), {"role": "operator"}), (await key(role=Role.OPERATOR), {"role": "admin"}),
        (await key(), {}), (await key(user="ada"), {"user": "ada"}),
    ]  # fmt: skip
    before = len(await rows(here, admin))
    for secret, body in tries:
        refused = await asked(here, secret, **body)
        assert refused.status_code == 403, (body, refused.text)
        assert refused.json()["error"]["type"] == "permission_error"
    assert len(await rows(here, admin)) == before, "nothing was made"
    fits: list[tuple[str, dict[str, Any]]] = [
        (bound, {}), (bound, {"user": "ada", "role": "operator"}), (scoped, {"scopes": ["models"]}),
        (slow, {"limits": {"requests_per_minute": 500}}), (ending, {"expires_days": 1}), (admin, {"role": "admin"}),
    ]  # fmt: skip
    for secret, body in fits:
        assert (await asked(here, secret, **body)).status_code == 201, body
    assert {row["user"] for row in (await rows(here, bound)).values()} == {"ada"}, "a bound key sees its person's"


async def test_nobody_changes_a_key_to_more_than_they_have(here: Door) -> None:
    app, _ = await here.make_key(scopes=("models",), limits=KeyLimits(tokens_per_day=10))
    strange, _ = await here.make_key(tenant="local")
    own, slow = await here.make_key(role=Role.ADMIN, limits=KeyLimits(requests_per_minute=500))
    scoped_id, scoped = await here.make_key(role=Role.ADMIN, scopes=("keys",))
    poor_id, poor = await here.make_key(role=Role.ADMIN, limits=KeyLimits(cost_per_day=1.0))
    _, bound = await here.make_key(role=Role.ADMIN, user="ada")
    tries: list[tuple[str, str, dict[str, Any], int]] = [
        (scoped, scoped_id, {"scopes": None}, 403), (scoped, scoped_id, {"scopes": ["keys", "chat"]}, 403),
        (scoped, app, {"scopes": ["chat", "models"]}, 403), (slow, own, {"limits": {"requests_per_minute": None}}, 403),
        (poor, poor_id, {"limits": {"cost_per_day": 2}}, 403), (poor, app, {"limits": {"tokens_per_day": None}}, 403),
        (bound, app, {"limits": {}}, 404), (slow, strange, {"limits": {"tokens_per_day": 1}}, 404),
    ]  # fmt: skip
    for secret, id, body, status in tries:
        refused = await asked(here, secret, "PATCH", f"/{id}", **body)
        assert refused.status_code == status, (id, body, refused.text)
    lowered = await asked(here, poor, "PATCH", f"/{app}", limits={"tokens_per_day": 5}, scopes=["models"])
    assert lowered.status_code == 200 and lowered.json()["limits"]["tokens_per_day"] == 5, "what takes away may be done"


async def test_the_last_admin_stays(here: Door) -> None:
    own, admin = await here.make_key(role=Role.ADMIN)
    refused = await asked(here, admin, "DELETE", f"/{own}")
    assert refused.status_code == 409 and "does not revoke itself" in refused.json()["error"]["message"]
    strange, _ = await here.make_key(tenant="local", role=Role.ADMIN)
    assert (await asked(here, admin, "DELETE", f"/{strange}")).status_code == 404
    store, (other, _) = here.gateway.store, await here.make_key(role=Role.ADMIN)
    assert await store.revoke_key(other, own) and not await store.revoke_key(own, other), "of two, one stays"


async def test_what_is_no_key_is_told_in_words(here: Door) -> None:
    id, admin = await here.make_key(role=Role.ADMIN)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"role": "root"}, "role"), ({"scopes": ["chat", "everything"]}, "everything"),
        ({"scopes": []}, "at least one"), ({"user": ""}, "user"),
        ({"limits": {"tokens_per_day": 0}}, "greater than"), ({"expires_days": -1}, "expires_days"),
        ({"user": id}, "not a name"), ({"user": "a\u202eb"}, "not a name"), ({"user": "anonymous"}, "nobody is called"),
        ({"secret": "mine"}, "secret"), ({"hash": "0" * 64}, "hash"), ({"prefer": "best"}, "prefer"),
    ]  # fmt: skip
    for body, says in wrong:
        refused = await asked(here, admin, **body)
        assert refused.status_code == 400 and says in refused.json()["error"]["message"], (body, refused.text)


async def test_the_first_key_closes_the_box_and_is_an_admins(tmp_path: Path) -> None:
    async with door(tmp_path) as opened:
        for body in (
            {},
            {"role": "operator"},
            {"role": "admin", "user": "ada"},
            {"role": "admin", "scopes": ["keys"]},
            {"role": "admin", "expires_days": 1},
        ):
            refused = await asked(opened, None, **body)
            assert refused.status_code == 409 and "closes this box" in refused.json()["error"]["message"], body
        assert (await asked(opened, None, role="admin", tenant="elsewhere")).status_code == 403
        none = (await opened.get("/v1/keys")).json()
        assert (none["data"], none["own"]) == ([], None)
        first = (await asked(opened, None, role="admin", name="mine")).json()
        assert (await opened.get("/v1/keys")).status_code == 401
        assert (await opened.get("/v1/keys", key=first["secret"])).json()["own"] == first["id"]
        assert (await asked(opened, None, role="admin")).status_code == 401


async def test_lock_outs_are_seen_and_lifted(tmp_path: Path) -> None:
    async with door(tmp_path, lockout={"failures": 3, "first_s": 600.0}) as opened:
        _, admin = await opened.make_key(tenant="local", role=Role.ADMIN)
        for _ in range(4):
            answer = await opened.get("/v1/models", key="ngpt_wrong", address="192.0.2.7")
        assert answer.status_code == 429
        (locked,) = (await opened.get("/v1/lockouts", key=admin)).json()["data"]
        assert locked["source"] == "192.0.2.7" and 0 < locked["seconds"] <= 600
        lifted = await opened.ask("DELETE", "/v1/lockouts/192.0.2.7", key=admin)
        assert lifted.json()["released"] is True and (await opened.get("/v1/lockouts", key=admin)).json()["data"] == []
        assert (await opened.get("/v1/models", key="ngpt_wrong", address="192.0.2.7")).status_code == 401
