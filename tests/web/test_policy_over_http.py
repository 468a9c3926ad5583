"""The policy decides who sees exchanges and profiles, and operators and admins learn by which rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from doors import Door, door

from netgpt.types import Role

RULES = """
@id("admins-keep-out")
forbid (principal in Role::"admin", action in [Action::"read_profile", Action::"read_exchange"], resource);
@id("nothing-is-forgotten")
forbid (principal, action == Action::"forget", resource);
@id("nobody-trains")
forbid (principal, action == Action::"train_on", resource);
@id("operators-read-no-figures")
forbid (principal in Role::"operator", action == Action::"read_exchange", resource);
@id("user-may-leave")
permit (principal, action == Action::"disclose", resource);
"""


async def ask(here: Door, key: str, method: str, path: str, **body: Any) -> httpx.Response:
    return await here.ask(method, path, key=key, json=body or None)


def check_refused(answer: httpx.Response, rule: str = "") -> None:
    assert answer.status_code == 403, answer.text
    message = answer.json()["error"]["message"]
    assert rule in message if rule else "Policy" not in message, message


@pytest.mark.slow
async def test_a_policy_of_ones_own_rules_over_exchanges_and_profiles(tmp_path: Path) -> None:
    rules = tmp_path / "site.cedar"
    rules.write_text(RULES)
    async with door(tmp_path / "home", policy={"set": str(rules)}) as here:
        _, ada = await here.make_key(user="ada")
        _, admin = await here.make_key(role=Role.ADMIN)
        _, operator = await here.make_key(role=Role.OPERATOR)
        id = (await here.chat(ada)).headers["x-netgpt-exchange"]
        fact = (await ask(here, ada, "POST", "/v1/profiles/ada/facts", text="is vegetarian")).json()["id"]
        for path in ("/v1/profiles/ada", "/v1/profiles/ada/examples", "/v1/profiles/ada/consents",
                     f"/v1/exchanges/{id}?user=ada", "/v1/exchanges?user=ada", "/v1/receipts?user=ada"):  # fmt: skip
            check_refused(await ask(here, admin, "GET", path), "admins-keep-out")
            assert (await ask(here, ada, "GET", path)).status_code == 200, path
        for path in ("/v1/exchanges", f"/v1/exchanges/{id}", "/v1/receipts"):
            check_refused(await ask(here, operator, "GET", path), "operators-read-no-figures")
        for path in ("/v1/profiles/ada", f"/v1/profiles/ada/facts/{fact}", "/v1/profiles/ada/examples/x"):
            check_refused(await ask(here, ada, "DELETE", path))
        assert "is vegetarian" in (await ask(here, ada, "GET", "/v1/profiles/ada")).text
        without = await ask(here, ada, "POST", "/v1/profiles/ada/examples", exchange=id)
        assert without.status_code == 403 and "consented" in without.json()["error"]["message"]
        await ask(here, ada, "PATCH", "/v1/profiles/ada", training=True)
        check_refused(await ask(here, ada, "POST", "/v1/profiles/ada/examples", exchange=id))


@pytest.mark.slow
async def test_the_ready_made_sets_let_in_whom_roles_let_in(tmp_path: Path) -> None:
    for name in ("open", "balanced", "strict", "health"):
        async with door(tmp_path / name, policy={"set": name}) as here:
            keys = {role: (await here.make_key(role=role))[1] for role in Role}
            asked = await here.chat(keys[Role.USER], fields={"user": "ada", "model": "netgpt/edge"})
            id = asked.headers["x-netgpt-exchange"]
            for role, key in keys.items():
                people = 403 if role is Role.OPERATOR else 200
                rated = {"exchange": id, "rating": 1, "user": "ada"}
                shown = [
                    await ask(here, key, "GET", "/v1/profiles/ada?reason=a+test"),
                    await ask(here, key, "POST", "/v1/feedback", **rated),
                    await ask(here, key, "GET", f"/v1/exchanges/{id}?user=ada&reason=a+test"),
                    await ask(here, key, "GET", "/v1/exchanges"),
                ]
                assert [one.status_code for one in shown] == [people, people, 200, 200], (name, role)
                assert ("hello" in shown[2].text) == (role is not Role.OPERATOR), (name, role)
