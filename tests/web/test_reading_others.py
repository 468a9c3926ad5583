"""Other people's texts take a role and a reason, and the person sees who read them; reports tell no words unasked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from doors import Door, door

from netgpt.testing.server import FaultyCloud
from netgpt.types import Role

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY = "Ada rang: the answer was cut – ticket 7"
ASKED = "write to carol@example.org of the umbrella"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    with FaultyCloud() as cloud:
        async with door(tmp_path_factory.mktemp("home"), cloud) as opened:
            yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def keys(box: Door) -> dict[str, str]:
    made: dict[str, dict[str, Any]] = {
        "ada": {"user": "ada"}, "bob": {"user": "bob"}, "app": {}, "operator": {"role": Role.OPERATOR},
        "admin": {"role": Role.ADMIN}, "abroad": {"role": Role.ADMIN, "tenant": "south"},
    }  # fmt: skip
    return {name: (await box.make_key(**fields))[1] for name, fields in made.items()}


async def asked(box: Door, key: str) -> str:
    answer = await box.chat(key, ASKED, fields={"model": "netgpt/cloud"})
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-netgpt-exchange"])


async def readings(box: Door, key: str, user: str = "ada") -> list[dict[str, str]]:
    answer = await box.get(f"/v1/profiles/{user}/readings", key=key)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["data"]
    return found


def refused(answer: httpx.Response, code: str = "reason_needed") -> bool:
    return answer.status_code == 403 and answer.json()["error"]["code"] == code and "umbrella" not in answer.text


async def test_an_admin_says_why_and_the_person_sees_it(box: Door, keys: dict[str, str]) -> None:
    id = await asked(box, keys["ada"])
    before = await readings(box, keys["ada"])
    for path in (f"/v1/exchanges/{id}", f"/v1/receipts/{id}", "/v1/profiles/ada", "/v1/profiles/ada/export",
                 "/v1/profiles/ada/examples", "/v1/profiles/ada/proposals"):  # fmt: skip
        query = {} if "profiles" in path else {"user": "ada"}
        for reason in ("", "   ", "why"):
            answer = await box.get(path, key=keys["admin"], params={**query, **({"reason": reason} if reason else {})})
            assert refused(answer), (path, reason, answer.text)
        assert "x-netgpt-reason" in answer.json()["error"]["message"]
    assert await readings(box, keys["ada"]) == before
    header = {"x-netgpt-reason": quote(WHY)}
    shown = await box.get(f"/v1/exchanges/{id}", key=keys["admin"], params={"user": "ada"}, headers=header)
    again = await box.get(f"/v1/exchanges/{id}", key=keys["admin"], params={"user": "ada", "reason": WHY})
    assert "umbrella" in shown.text and shown.json() == again.json()
    (noted,) = await readings(box, keys["ada"])
    assert (noted["what"], noted["of"], noted["reason"]) == ("exchange", id, WHY)
    assert noted["by"] and noted["by"] not in keys.values()
    assert noted in (await box.get("/v1/profiles/ada/export", key=keys["ada"])).json()["readings"]
    assert [noted] == await readings(box, keys["admin"]), "whoever answers for the tenant sees that there was a look"


async def test_nobody_else_gives_a_reason_or_gets_in_by_one(box: Door, keys: dict[str, str]) -> None:
    id = await asked(box, keys["ada"])
    before = await readings(box, keys["ada"])
    header = {"x-netgpt-reason": quote(WHY)}
    assert "umbrella" in (await box.get(f"/v1/exchanges/{id}", key=keys["ada"])).text
    assert "umbrella" in (await box.get(f"/v1/exchanges/{id}?user=ada", key=keys["app"])).text
    figures = await box.get(f"/v1/exchanges/{id}", key=keys["operator"], headers=header)
    assert figures.status_code == 200 and "umbrella" not in figures.text
    for who in ("bob", "abroad"):
        answer = await box.get(f"/v1/exchanges/{id}?user=ada", key=keys[who], headers=header)
        assert answer.status_code in (403, 404) and "umbrella" not in answer.text
    for who in ("operator", "bob"):
        assert (await box.get("/v1/profiles/ada/readings", key=keys[who])).status_code == 403
    own = await asked(box, keys["admin"])
    assert "umbrella" in (await box.get(f"/v1/exchanges/{own}", key=keys["admin"])).text
    assert await readings(box, keys["ada"]) == before


async def test_a_look_goes_with_the_person_and_with_time(box: Door, keys: dict[str, str]) -> None:
    id = await asked(box, keys["bob"])
    query = {"user": "bob", "reason": WHY}
    assert (await box.get(f"/v1/exchanges/{id}", key=keys["admin"], params=query)).status_code == 200
    assert len(await readings(box, keys["admin"], "bob")) == 1
    gone = await box.ask("DELETE", "/v1/profiles/bob", key=keys["admin"])
    assert gone.status_code == 200 and gone.json()["removed"]["readings"] == 1
    assert await readings(box, keys["admin"], "bob") == []


async def test_a_report_tells_no_words_unless_the_person_agrees(box: Door, keys: dict[str, str]) -> None:
    id = await asked(box, keys["ada"])
    path = f"/v1/exchanges/{id}/reports"

    async def post(who: str, **body: object) -> httpx.Response:
        return await box.ask("POST", path, key=keys[who], json=body)

    assert (await post("ada", what="false_find", placeholder="[EMAIL_1]", text="carol@example.org")).status_code == 201
    assert (await post("ada", what="missed_find", kind="OBJECT", text="umbrella")).status_code == 201
    assert (await post("app", what="missed_find", text="umbrella", share=True, user="ada")).status_code == 201
    for wrong in ({"what": "false_find", "placeholder": "[EMAIL_9]"}, {"what": "missed_find"}, {"what": "nothing"}):
        assert (await post("ada", **wrong)).status_code == 400
    assert (await post("operator", what="missed_find", text="umbrella")).status_code == 403
    assert (await post("abroad", what="missed_find", text="umbrella")).status_code == 404
    seen = (await box.get("/v1/reports", key=keys["operator"])).json()["data"]
    assert [(each["kind"], each["rule"], each["text"], each["length"]) for each in reversed(seen)] == [
        ("EMAIL", "pattern:email", None, 17), ("OBJECT", "", None, 8), ("UNKNOWN", "", "umbrella", 8),
    ]  # fmt: skip
    assert "ada" not in str(seen) and "carol" not in str(seen)
    assert (await box.get("/v1/reports", key=keys["abroad"])).json()["data"] == []
    assert (await box.get("/v1/reports", key=keys["ada"])).status_code == 403
    for who, status in (("abroad", 404), ("operator", 200), ("operator", 404)):
        assert (await box.ask("DELETE", f"/v1/reports/{seen[0]['id']}", key=keys[who])).status_code == status
    assert (await box.ask("DELETE", "/v1/profiles/ada", key=keys["ada"])).json()["removed"]["reports"] == 2
    assert (await box.get("/v1/reports", key=keys["operator"])).json()["data"] == []
