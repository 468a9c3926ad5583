"""Who names nobody: each key is a person of its own, and so is each user of the machine who comes without a key."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from doors import Door, door

from netgpt.testing.server import FaultyCloud, last_user_text
from netgpt.types import ANONYMOUS, Caller, Person, Role
from netgpt.web import peers
from netgpt.web.app import create_app

pytestmark = pytest.mark.slow
LISTS = ("/v1/exchanges", "/v1/receipts", "/v1/waiting")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Door]:
    with FaultyCloud(lambda body: f"of {last_user_text(body)}") as cloud:
        async with door(tmp_path / "home", cloud) as made:
            yield made


class Mine(NamedTuple):
    """An exchange, and the value that it hid."""

    id: str
    mail: str


async def asked(here: Door, who: dict[str, Any], **fields: Any) -> Mine:
    """Ask, in a conversation that has the same name for everybody."""
    mail = f"m{secrets.token_hex(6)}@mill.example"
    fields = {"model": "netgpt/cloud", "netgpt": {"conversation": "one"}, **fields}
    answer = await here.chat(text=f"write to {mail}", fields=fields, **who)
    assert answer.status_code == 200 and mail in answer.text, answer.text
    return Mine(answer.headers["x-netgpt-exchange"], mail)


async def sees(here: Door, who: dict[str, Any], mine: Mine, user: str | None = None) -> bool:
    """Whether it is shown anywhere to this caller, who names `user`."""
    params = {"user": user} if user is not None else {}
    paths = (*LISTS, f"/v1/exchanges/{mine.id}", f"/v1/receipts/{mine.id}", f"/v1/profiles/{user or ANONYMOUS}/export")
    answers = [await here.get(path, params=params, **who) for path in paths]
    answers.append(await here.ask("POST", "/v1/feedback", json={"exchange": mine.id, "rating": 1, **params}, **who))
    again = {"model": "netgpt/cloud", "netgpt": {"conversation": "one"}, **params}
    answers.append(await here.chat(text="tell [EMAIL_1] and [EMAIL_2]", fields=again, **who))
    return any(each.status_code == 200 and (mine.id in each.text or mine.mail in each.text) for each in answers)


async def test_each_key_is_its_own_person(here: Door) -> None:
    (first, one), (_, two) = await here.make_key(), await here.make_key()
    _, admin = await here.make_key(role=Role.ADMIN)
    mine, adas = await asked(here, {"key": one}), await asked(here, {"key": one}, user="ada")
    for name in (None, ANONYMOUS, "", first, "ADA", "ada "):
        assert not await sees(here, {"key": two}, mine, name), f"another key that names {name}"
        assert not await sees(here, {"key": one}, adas, name), f"the same key that names {name}"
    for name in (None, ANONYMOUS, first):
        assert await sees(here, {"key": one}, mine, name), name
    assert await sees(here, {"key": two}, adas, "ada"), "an application speaks for the people of its tenant"
    assert await sees(here, {"key": admin}, mine, first) and not await sees(here, {"key": admin}, mine)
    row = await here.gateway.store.exchange(mine.id)
    assert row is not None and row.person == Person("north", first)


async def test_what_was_asked_before_there_was_a_key_is_not_a_keys(here: Door) -> None:
    mine = await asked(here, {})
    assert await sees(here, {}, mine)
    _, key = await here.make_key(tenant="local")
    for name in (None, ANONYMOUS, "local"):
        assert not await sees(here, {"key": key}, mine, name), name


OWN, ROOT, ALICE, MALLORY, UNKNOWN = ({"address": f"127.0.0.{n}"} for n in range(1, 6))
UIDS = {"127.0.0.1": os.geteuid(), "127.0.0.2": 0, "127.0.0.3": 70_001, "127.0.0.4": 70_002}


async def test_each_user_of_the_machine_is_its_own_person(here: Door) -> None:
    here.app = create_app(here.gateway, owner=lambda peer, _: UIDS.get(peer[0]))
    mine, alices, named = [await asked(here, who) for who in (OWN, ALICE)] + [await asked(here, ALICE, user="ada")]
    assert await sees(here, ROOT, mine) and await sees(here, ALICE, alices) and await sees(here, ALICE, named, "ada")
    for name in (None, ANONYMOUS, "ada"):
        for one in (mine, alices, named):
            assert not await sees(here, MALLORY, one, name), name
        assert not await sees(here, ALICE, mine, name) and not await sees(here, OWN, alices, name)
    assert not await sees(here, ALICE, named), "whom she does not name is another"
    for path in ("/v1/adapters", "/v1/signals", "/v1/privacy/exceptions"):
        assert [(await here.get(path, **who)).status_code for who in (OWN, ROOT, ALICE)] == [200, 200, 403], path
    refused = await here.get("/v1/models", **UNKNOWN)
    assert refused.status_code == 401 and "netgpt keys create" in refused.text


def test_the_kernel_tells_whose_an_open_connection_is() -> None:
    assert peers.can_tell(), "on Linux"
    for host in ("127.0.0.1", "::1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, 0), family=family)
        except OSError:
            assert family == socket.AF_INET6, "a machine without IPv6 has IPv4"
            continue
        with closing(listening), closing(socket.create_connection(listening.getsockname()[:2])) as one:
            here, there = listening.getsockname()[:2], one.getsockname()[:2]
            assert peers.owner(there, here) == os.geteuid()
            assert peers.owner((host, 1), here) is None, "nobody's"
            one.close()
            assert peers.owner(there, here) is None, "closed: whose it was is no longer told"


@pytest.mark.parametrize(
    ("caller", "user", "speaks_for"),
    [
        (Caller("n", Role.USER, "key_0123456789ab", "ada"), None, "ada"),
        (Caller("n", Role.USER, "key_0123456789ab", "ada"), "bob", None),
        (Caller("n", Role.USER, "key_0123456789ab", "ada"), ANONYMOUS, None),
        (Caller("n", Role.USER, "key_0123456789ab"), None, "key_0123456789ab"),
        (Caller("n", Role.USER, "key_0123456789ab"), "key_ab0123456789", None),
        (Caller("n", Role.USER, "key_0123456789ab"), "oidc_0123456789abcdef", None),
        (Caller("n", Role.USER, "key_0123456789ab"), "key_holder", "key_holder"),
        (Caller("n", Role.ADMIN, "key_0123456789ab"), "key_ab0123456789", "key_ab0123456789"),
        (Caller("local", Role.ADMIN), None, ANONYMOUS),
    ],
)
def test_for_whom_a_caller_speaks(caller: Caller, user: str | None, speaks_for: str | None) -> None:
    person = caller.person(user)
    assert (person and person.user) == speaks_for and (person is None or person.tenant == caller.tenant)
