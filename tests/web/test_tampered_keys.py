"""Keys that plain SQLite put into the database of a running box open nothing, over HTTP."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from doors import door

from netgpt.app.gateway import KEYS_READ_EVERY_S
from netgpt.store.keys import hash_key
from netgpt.types import Role

SECRET = "ngpt_of-somebody-who-wrote-into-the-file"


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as thief:
        for statement in statements:
            thief.execute(statement, (hash_key(SECRET),) if "?" in statement else ())
        thief.commit()


async def test_an_admin_that_was_put_in_reads_nothing_and_the_owner_is_told(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        id, key = await here.make_key(role=Role.ADMIN)
        asked = (await here.chat(key)).json()["netgpt"]["exchange"]
        tamper(
            here.gateway.store.path,
            "INSERT INTO keys (id, hash, tenant, role, name, created) "
            "SELECT 'key_thief', ?, tenant, 'admin', 'thief', created FROM keys",
        )
        for path in (f"/v1/exchanges/{asked}", "/v1/exchanges", "/v1/models"):
            assert (await here.get(path, key=SECRET)).status_code == 401
        assert (await here.get(f"/v1/exchanges/{asked}", key=key)).status_code == 200  # who has a real one goes on
        here.gateway._keys_read_at -= 2 * KEYS_READ_EVERY_S
        parts = (await here.get("/readyz")).json()["parts"]
        assert not parts["store"]["ok"] and "key_thief" in parts["store"]["detail"] and id not in str(parts)


async def test_a_role_that_was_raised_is_no_key_any_more(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        _, owner = await here.make_key(role=Role.ADMIN)
        id, user = await here.make_key(role=Role.USER)
        tamper(here.gateway.store.path, f"UPDATE keys SET role = 'admin' WHERE id = '{id}'")
        assert (await here.get("/v1/exchanges", key=user)).status_code == 401
        assert (await here.get("/v1/models", key=owner)).status_code == 200


async def test_a_box_whose_keys_were_all_deleted_is_not_open(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        _, key = await here.make_key(role=Role.ADMIN)
        tamper(here.gateway.store.path, "DELETE FROM keys", "DELETE FROM ledger WHERE name = 'keys'")
        for secret in (None, key, SECRET):
            assert (await here.get("/v1/exchanges", key=secret)).status_code in (401, 503)
