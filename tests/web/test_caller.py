"""`GET /v1/caller`: what it says a caller may do is what `rights.toml` wants, for each role, tenant and scope."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from doors import door

from netgpt.types import Role

INTENT: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("rights.toml").read_text(encoding="utf-8"))
CALLERS: Final = {
    "user": (Role.USER, "ada"), "app": (Role.USER, None), "operator": (Role.OPERATOR, None),
    "bound_operator": (Role.OPERATOR, "otto"), "admin": (Role.ADMIN, None), "bound_admin": (Role.ADMIN, "amy"),
}  # fmt: skip


def meant(tenant: str, caller: str) -> tuple[set[str], set[str]]:
    """The operations that a caller may use of its own things by the table, and those that it may not."""
    yes, no = set[str](), set[str]()
    for operation, row in INTENT["operations"].items():
        if row["group"] in ("public", "forget"):  # to be forgotten hangs on keys as well, not on rights alone
            continue
        rows = INTENT["groups"][row["group"]]
        cells = set(rows.get(tenant, rows)[caller].split()[:2])  # of the caller's own: not named, and named
        (no if cells <= {"no", "-"} else yes).add(operation)
    return yes, no


@pytest.mark.parametrize("tenant", ["local", "north"])
async def test_it_says_what_the_table_means(tmp_path: Path, tenant: str) -> None:
    async with door(tmp_path) as here:
        for caller, (role, user) in CALLERS.items():
            id, key = await here.make_key(tenant=tenant, role=role, user=user)
            told = (await here.get("/v1/caller", key=key)).json()
            assert (told["role"], told["tenant"], told["user"], told["key"]) == (role.value, tenant, user, id)
            assert told["texts"] == (role is not Role.OPERATOR) and told["scopes"] is None
            yes, no = meant(tenant, caller)
            assert yes <= set(told["operations"]) and not no & set(told["operations"]), caller
            assert ("run_box" in told["rights"]) == (tenant == "local" and role is not Role.USER)


async def test_a_key_with_scopes_may_ask_and_is_told_no_more_than_they_open(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        _, key = await here.make_key(tenant="local", role=Role.ADMIN, scopes=("models",))
        told = (await here.get("/v1/caller", key=key)).json()
        assert told["scopes"] == ["models"] and "GET /v1/models" in told["operations"]
        assert not [each for each in told["operations"] if "chat" in each or "adapters" in each]
        assert (await here.get("/v1/signals", key=key)).status_code == 403


async def test_without_a_key_the_owner_may_do_all_and_with_keys_nobody_is_told(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        told = (await here.get("/v1/caller")).json()
        assert (told["role"], told["key"], told["user"]) == ("admin", None, None)
        assert set(told["operations"]) == set(here.state.rights)
        await here.make_key()
        assert (await here.get("/v1/caller")).status_code == 401
        assert (await here.get("/v1/caller", key="ngpt_wrong")).status_code == 401


async def test_a_stricter_policy_counts_at_once(tmp_path: Path) -> None:
    rules = tmp_path / "own.cedar"
    rules.write_text(
        '@id("nobody-exports")\nforbid (principal, action == Action::"export", resource);\n', encoding="utf-8"
    )
    async with door(tmp_path, policy={"set": str(rules)}) as here:
        told = (await here.get("/v1/caller")).json()
        assert "GET /v1/profiles/{user}/export" not in told["operations"] and "export" not in told["rights"]
