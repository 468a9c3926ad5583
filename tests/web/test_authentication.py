"""Who gets in, over HTTP: limits, scopes, guesses, look-alike keys, spoofed headers, tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from doors import Door, door

from netgpt.models.base import NoModel
from netgpt.store.schema import KeyLimits
from netgpt.testing.issuer import FakeIssuer
from netgpt.testing.server import FaultyCloud
from netgpt.types import ANY_SCOPE, SCOPES, Role
from netgpt.web.auth import scope_of
from netgpt.web.oidc import TokenVerifier


@pytest.fixture
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud() as cloud:
        yield cloud


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer() as issuer:
        yield issuer


def check_error(answer: httpx.Response, status: int, code: str) -> dict[str, str]:
    """OpenAI's error shape, whole."""
    assert answer.status_code == status, answer.text
    error: dict[str, str] = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"} and error["code"] == code
    return error


async def test_requests_a_minute_are_in_headers_and_refused(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        _, key = await here.make_key(limits=KeyLimits(requests_per_minute=2, tokens_per_minute=60))
        first = await here.chat(key)
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert first.headers["x-ratelimit-reset-requests"].endswith("s")
        assert first.headers["x-ratelimit-limit-tokens"] == "60"
        await asyncio.sleep(0)  # what it used is counted in the loop's next turn
        second = await here.get("/v1/models", key=key)
        assert second.headers["x-ratelimit-remaining-requests"] == "0"
        assert int(second.headers["x-ratelimit-remaining-tokens"]) < 60
        third = await here.chat(key)
        error = check_error(third, 429, "rate_limit_exceeded")
        assert error["type"] == "rate_limit_error" and int(third.headers["retry-after"]) in range(10, 31)
        assert third.headers["x-ratelimit-remaining-requests"] == "0"
        _, other = await here.make_key()
        unlimited = await here.chat(other)
        assert unlimited.status_code == 200
        assert not [name for name in unlimited.headers if name.startswith("x-ratelimit")]
        assert b'netgpt_refused_total{code="rate_limit_exceeded"} 1.0' in here.gateway.metrics.text()


async def test_money_is_booked_and_outlives_the_process(tmp_path: Path, cloud: FaultyCloud) -> None:
    prices = {"price_prompt": 0.0, "price_completion": 1000.0}
    async with door(tmp_path, cloud, prices=prices) as here:
        id, key = await here.make_key(limits=KeyLimits(cost_per_day=0.001))
        dear = await here.chat(key, fields={"model": "netgpt/cloud"})
        assert dear.json()["netgpt"]["route"] == "edge" and "budget" in dear.json()["netgpt"]["reason"]
        cheap = await here.chat(key, fields={"model": "netgpt/cloud", "max_tokens": 1})
        assert cheap.json()["netgpt"]["route"] == "cloud", cheap.json()["netgpt"]
        await asyncio.sleep(0)
        free = (await here.chat(key)).json()
        assert free["netgpt"]["route"] == "edge" and "budget" in free["netgpt"]["reason"], "what costs nothing goes on"
        used = await here.gateway.store.limits.use(id, datetime.now(UTC))
        spent = cheap.json()["usage"]["completion_tokens"]
        assert used.requests == 3 and used.tokens > spent and used.cost == pytest.approx(spent / 1000)
        assert used.cost_month == used.cost
    async with door(tmp_path, cloud, prices=prices) as again:
        assert (await again.chat(key)).json()["netgpt"]["route"] == "edge"
        await again.gateway.store.limits.change(id, {"cost_per_day": 1000.0}, None)
        assert (await again.chat(key)).status_code == 200, "changed limits are in force at once"


async def test_without_a_free_model_a_spent_budget_is_told_with_its_end(tmp_path: Path, cloud: FaultyCloud) -> None:
    prices = {"price_prompt": 0.0, "price_completion": 1000.0}
    async with door(tmp_path, cloud, prices=prices, edge=NoModel("it is away")) as here:
        _, key = await here.make_key(limits=KeyLimits(cost_per_day=0.001))
        assert (await here.chat(key, fields={"max_tokens": 1})).status_code == 200
        for fields in ({}, {"model": "netgpt/cloud"}, {"stream": True}):
            answer = await here.chat(key, fields=fields)
            error = check_error(answer, 429, "insufficient_quota")
            assert "money" in error["message"] and int(answer.headers["retry-after"]) > 0


async def test_two_processes_share_a_day(tmp_path: Path) -> None:
    async with door(tmp_path) as one, door(tmp_path) as two:
        _, key = await one.make_key(limits=KeyLimits(tokens_per_day=5))
        assert (await one.chat(key)).status_code == 200
        check_error(await two.chat(key), 429, "rate_limit_exceeded")
        check_error(await one.chat(key), 429, "rate_limit_exceeded")


async def test_a_crowd_does_not_run_past_a_budget(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        _, key = await here.make_key(limits=KeyLimits(tokens_per_day=300))
        answers = await asyncio.gather(*(here.chat(key, fields={"max_tokens": 100}) for _ in range(12)))
        shown = sorted(answer.status_code for answer in answers)
        assert shown[0] == 200 and shown.count(200) <= 4 and shown[-1] == 429


async def test_a_streamed_answer_is_booked(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        id, key = await here.make_key(limits=KeyLimits(tokens_per_day=100_000))
        await here.chat(key, fields={"stream": True})
        while not (await here.gateway.store.limits.use(id, datetime.now(UTC))).tokens:
            await asyncio.sleep(0.01)
        state = here.state.access.limiter._states[id]
        assert (state.held_tokens, state.held_cost) == (0, 0.0)


async def test_scopes(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        _, key = await here.make_key(scopes=("chat", "models"))
        assert (await here.chat(key)).status_code == 200
        assert (await here.get("/v1/models", key=key)).status_code == 200
        for path in ("/v1/exchanges", "/v1/profiles/ada", "/v1/places", "/v1/receipts"):
            error = check_error(await here.get(path, key=key), 403, "scope_missing")
            assert "chat, models only" in error["message"]


async def test_keys_that_look_alike_are_not_the_key(tmp_path: Path) -> None:
    async with door(tmp_path, lockout={"failures": 1000}) as here:
        _, key = await here.make_key()
        assert (await here.get("/v1/models", key=key)).status_code == 200
        alike = [
            key[:-1], key + "A", key[:-1] + chr(ord(key[-1]) ^ 1), key.swapcase(), key.upper(), key[5:], f"x{key}",
            key[:20], f"{key},{key}", f"{key} {key}", f"'{key}'", f'"{key}"', "ngpt_", "null", "undefined", "*", "%",
            "' OR 1=1 --", "ngpt_' OR '1'='1", "ngpt_%", "../../etc/passwd", "ngpt_" + "A" * 43, "A" * 9000,
        ]  # fmt: skip
        for secret in alike:
            answer = await here.get("/v1/models", key=secret)
            check_error(answer, 401, "invalid_api_key")
            assert len(secret) < 8 or secret not in answer.text
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_keys_with_bytes_that_no_key_has(tmp_path: Path) -> None:
    async with door(tmp_path, lockout={"failures": 1000}) as here:
        _, key = await here.make_key()
        plain = b"Bearer " + key.encode()
        for value in (
            plain + b"\x00", plain + b"\xa0", plain + b"\t", b"Bearer \xc2\xa0" + key.encode(),
            plain[:-1] + b"\xd0\xb0",
            b"Bearer\t" + key.encode(), b"Basic " + key.encode(), b"Bearer", b"Bearer ", key.encode(), b"",
            b"Token " + key.encode(), b"bearer:" + key.encode(),
        ):  # fmt: skip
            status = await _raw(here, [(b"authorization", value)])
            assert status == 401, value
        assert await _raw(here, [(b"authorization", plain), (b"authorization", plain)]) == 401, "two are one too many"
        assert await _raw(here, [(b"authorization", plain)]) == 200
        assert await _raw(here, [(b"authorization", b"bearer " + key.encode())]) == 200
        for name in (b"x-api-key", b"api-key", b"cookie", b"x-authorization", b"proxy-authorization"):
            assert await _raw(here, [(name, plain)]) == 401


@pytest.mark.parametrize("name", [b"x-api-key", b"api-key"])
async def test_a_key_alone_in_the_headers_of_other_dialects(tmp_path: Path, name: bytes) -> None:
    async with door(tmp_path, lockout={"failures": 1000}) as here:
        key = (await here.make_key())[1].encode()
        mine, foreign = (name, key), (b"authorization", b"Bearer sk-somebody-elses")
        bearer, basic = (b"authorization", b"bearer " + key), (b"authorization", b"Basic dXNlcg==")
        for good in ([mine], [mine, bearer], [foreign, mine], [basic, mine], [(name, b"none"), bearer]):
            assert await _raw(here, good) == 200, good
        another = (b"authorization", b"Bearer ngpt_another")
        for wrong in ([(name, b"none")], [(name, b"")], [(name, key[:-1])], [foreign, (name, b"none")]):
            assert await _raw(here, wrong) == 401, wrong
        for several in ([mine, mine], [(name, key + b" "), mine], [mine, another]):
            assert await _raw(here, several) == 401, several


async def _raw(here: Door, headers: list[tuple[bytes, bytes]], host: bytes | None = b"localhost") -> int:
    """The status of GET /v1/models with exactly these bytes as headers."""
    scope = {
        "type": "http", "method": "GET", "path": "/v1/models", "raw_path": b"/v1/models", "query_string": b"",
        "headers": [*([(b"host", host)] if host else []), *headers],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "scheme": "http", "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    shown: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            shown.append(int(str(message["status"])))

    await here.app(scope, receive, send)  # type: ignore[arg-type]
    return shown[0]


async def test_who_one_claims_to_be_in_other_headers_does_not_matter(tmp_path: Path) -> None:
    claims = {
        "host": "localhost", "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "forwarded": "for=127.0.0.1",
        "x-forwarded-user": "admin", "x-remote-user": "admin", "remote-user": "admin", "x-user": "ada",
        "x-tenant": "north", "x-forwarded-host": "localhost", "x-original-url": "/healthz",
        "x-http-method-override": "GET", "x-netgpt-role": "admin", "x-key-id": "key_1",
    }  # fmt: skip
    async with door(tmp_path) as here:
        await here.make_key(role=Role.ADMIN)
        for path in ("/v1/models", "/v1/exchanges", "/v1/profiles/ada", "/v1/adapters"):
            check_error(await here.get(path, headers=claims), 401, "invalid_api_key")


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host"])
async def test_a_box_without_keys_does_not_answer_through_a_proxy(tmp_path: Path, name: str) -> None:
    async with door(tmp_path) as here:
        assert (await here.get("/v1/models")).status_code == 200
        check_error(await here.get("/v1/models", headers={name: "198.51.100.7"}), 403, "permission_denied")
        check_error(await here.get("/v1/models", headers={"origin": "https://evil.example"}), 403, "permission_denied")


async def test_guessing_is_locked_out_and_neighbours_are_not(tmp_path: Path) -> None:
    lockout = {"failures": 5, "first_s": 30}
    async with door(tmp_path, lockout=lockout) as here:
        _, known = await here.make_key()
        _, fresh = await here.make_key()
        nat, elsewhere = {"address": "192.0.2.1"}, {"address": "192.0.2.2"}
        assert (await here.get("/v1/models", key=known, **nat)).status_code == 200
        for number in range(5):
            check_error(await here.get("/v1/models", key=f"guess{number}", **nat), 401, "invalid_api_key")
        locked = await here.get("/v1/models", key="guess5", **nat)
        check_error(locked, 429, "too_many_wrong_keys")
        assert int(locked.headers["retry-after"]) in range(10, 31)
        assert (await here.get("/v1/models", key=known, **nat)).status_code == 200
        assert (await here.get("/v1/models", key=fresh, **nat)).status_code == 200, "new from there, and right"
        for number in range(5):
            check_error(
                await here.get("/v1/models", key=fresh[:20] + f"x{number}", **elsewhere), 401, "invalid_api_key"
            )
        check_error(await here.get("/v1/models", key=fresh, **elsewhere), 429, "too_many_wrong_keys")
        assert (await here.get("/v1/models", key=known, **elsewhere)).status_code == 200
        spoofed = {"x-forwarded-for": "192.0.2.77"}
        check_error(await here.get("/v1/models", key="guess6", headers=spoofed, **nat), 429, "too_many_wrong_keys")


async def test_expired_and_revoked_keys_are_no_guesses(tmp_path: Path) -> None:
    async with door(tmp_path, lockout={"failures": 2}) as here:
        _, old = await here.make_key(expires=datetime.now(UTC) - timedelta(days=1))
        for _ in range(4):
            check_error(await here.get("/v1/models", key=old), 401, "invalid_api_key")


async def test_behind_a_trusted_proxy_each_client_counts_for_itself(tmp_path: Path) -> None:
    async with door(tmp_path, lockout={"failures": 2}, server={"trusted_proxies": ["127.0.0.1"]}) as here:
        _, key = await here.make_key()
        guesser = {"x-forwarded-for": "203.0.113.5, 192.0.2.1"}
        for number in range(2):
            await here.get("/v1/models", key=f"guess{number}", headers=guesser)
        check_error(await here.get("/v1/models", key="guess", headers=guesser), 429, "too_many_wrong_keys")
        other = {"x-forwarded-for": "192.0.2.1, 203.0.113.5"}
        check_error(await here.get("/v1/models", key="guess", headers=other), 401, "invalid_api_key")
        assert (await here.get("/v1/models", key=key, headers=other)).status_code == 200


async def test_pages_of_other_sites_are_refused_unless_their_origin_is_allowed(tmp_path: Path) -> None:
    friend, enemy = "https://chat.example", "https://evil.example"
    async with door(tmp_path, server={"origins": [friend]}) as here:
        for key in (None, (await here.make_key())[1]):
            for origin, status in ((friend, 200), (enemy, 403), (None, 403)):
                if key is None and origin == friend:
                    continue  # made above: the box has keys by now
                headers = {"sec-fetch-site": "cross-site"} | ({"origin": origin} if origin else {})
                answer = await here.chat(key, headers=headers)
                assert answer.status_code == status, (key, origin, answer.text)
                assert (answer.headers.get("access-control-allow-origin") == friend) is (status == 200)
        for site in ("same-origin", "same-site", "none"):
            assert (await here.get("/v1/models", key=key, headers={"sec-fetch-site": site})).status_code == 200
        asked = {"origin": friend, "access-control-request-method": "POST"}
        asked |= {"access-control-request-headers": "authorization", "sec-fetch-site": "cross-site"}
        assert (await here.ask("OPTIONS", "/v1/chat/completions", headers=asked)).status_code == 204
        refused = await here.ask("OPTIONS", "/v1/chat/completions", headers={**asked, "origin": enemy})
        assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers
        assert (await here.get("/healthz", headers={"sec-fetch-site": "cross-site"})).status_code == 200


async def test_an_allowed_page_may_call_a_box_without_keys(tmp_path: Path) -> None:
    origin = "https://chat.example"
    async with door(tmp_path, server={"allowed_origins": [origin]}) as here:
        headers = {"origin": origin, "sec-fetch-site": "cross-site"}
        assert (await here.chat(headers=headers)).status_code == 200
        assert (await here.chat(headers={**headers, "host": "chat.example"})).status_code == 403, "a name of its own"


async def test_a_box_without_keys_wants_to_know_under_which_name_it_is_called(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        check_error(await here.get("/v1/models", headers={"host": ""}), 403, "permission_denied")
        assert await _raw(here, [], host=None) == 400


@pytest.mark.parametrize(
    ("told", "options"),
    [
        (True, {}),
        (False, {"address": "192.0.2.7"}),
        (False, {"headers": {"x-forwarded-for": "127.0.0.1"}}),
        (False, {"headers": {"host": "rebound.example"}}),
    ],
)
async def test_readyz_names_hosts_and_files_to_this_machine_alone(
    tmp_path: Path, cloud: FaultyCloud, told: bool, options: dict[str, Any]
) -> None:
    async with door(tmp_path, cloud) as here:
        answer = await here.get("/readyz", **options)
        assert answer.status_code in (200, 503) and answer.json()["parts"]["store"]["ok"] is True
        assert ("detail" in answer.json()["parts"]["cloud"]) is told
        assert told or "127.0.0.1" not in answer.text


async def test_paths_redirect_nobody(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        for path in ("/healthz/", "/readyz/", "/v1/models/", "//evil.example/healthz", "/v1/exchanges/"):
            answer = await here.get(path, headers={"host": "localhost"})
            assert answer.status_code in (200, 404) and "location" not in answer.headers, path


async def test_a_full_store_does_not_say_where_it_is(tmp_path: Path) -> None:
    async with door(tmp_path, store={"min_free_bytes": 10**18}) as here:
        answer = await here.ask("POST", "/v1/profiles/ada/facts", json={"text": "owns a van"})
        error = check_error(answer, 507, "store_full")
        assert str(tmp_path) not in answer.text and "the store" in error["message"]


async def test_tokens_beside_keys(tmp_path: Path, issuer: FakeIssuer) -> None:
    settings = issuer.settings(tenant_claim="org", requests_per_minute=50)
    async with door(tmp_path, oidc=settings) as here:
        check_error(await here.get("/v1/models"), 401, "invalid_api_key")  # nobody owns this box by being near
        ada = issuer.token(sub="ada", org="north")
        answer = await here.chat(ada, "my own words")
        assert answer.status_code == 200 and answer.headers["x-ratelimit-limit-requests"] == "50"
        exchange = answer.json()["netgpt"]["exchange"]
        seen = await here.get(f"/v1/exchanges/{exchange}", key=ada)
        assert seen.status_code == 200 and "my own words" in seen.text
        check_error(await here.chat(ada, fields={"user": "bob"}), 403, "permission_denied")
        for other in (issuer.token(sub="bob", org="north"), issuer.token(sub="ada", org="south")):
            assert (await here.get(f"/v1/exchanges/{exchange}", key=other)).status_code == 404
            assert exchange not in (await here.get("/v1/exchanges", key=other)).text
        _, key = await here.make_key(user="ada")
        assert (await here.get(f"/v1/exchanges/{exchange}", key=key)).status_code == 200, "the same person by key"


async def test_who_is_forgotten_has_spent_what_was_spent(tmp_path: Path, issuer: FakeIssuer) -> None:
    async with door(tmp_path, oidc=issuer.settings(tokens_per_day=10_000)) as here:
        ada = issuer.token(sub="ada")
        assert (await here.chat(ada)).status_code == 200
        assert (await here.ask("DELETE", "/v1/profiles/ada", key=ada)).status_code == 200
        caller = await TokenVerifier(here.gateway.settings.oidc).caller(ada)
        assert caller.key_id is not None
        assert (await here.gateway.store.limits.use(caller.key_id, datetime.now(UTC))).requests == 1


async def test_bad_tokens_count_as_guesses_and_good_ones_pass(tmp_path: Path, issuer: FakeIssuer) -> None:
    async with door(tmp_path, oidc=issuer.settings(), lockout={"failures": 3, "first_s": 30}) as here:
        good, old = issuer.token(), issuer.token(exp=1)
        head, body, _ = good.split(".")
        for _ in range(5):
            check_error(await here.get("/v1/models", key=old), 401, "token_refused")
        for number in range(3):
            check_error(await here.get("/v1/models", key=f"{head}.{body}.AAA{number}"), 401, "invalid_token")
        check_error(await here.get("/v1/models", key=f"{head}.{body}.AAA9"), 429, "too_many_wrong_keys")
        assert (await here.get("/v1/models", key=good)).status_code == 200


async def test_without_an_identity_provider_a_token_is_just_a_wrong_key(tmp_path: Path, issuer: FakeIssuer) -> None:
    async with door(tmp_path) as here:
        await here.make_key()
        check_error(await here.get("/v1/models", key=issuer.token()), 401, "invalid_api_key")
        assert issuer.asked == []


async def test_every_operation_of_the_document_needs_a_key_and_has_a_scope(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        await here.make_key()
        document = (await here.get("/openapi.json")).json()
        for path, operations in document["paths"].items():
            if path in ("/healthz", "/readyz", "/metrics"):
                continue
            assert scope_of(path) in (*SCOPES, ANY_SCOPE), f"{path} has no scope: add it to types.py"
            for method, operation in operations.items():
                assert operation["security"] == [{"bearer": []}]
                assert {"401", "403", "429"} <= set(operation["responses"])
                answer = await here.ask(method.upper(), path.replace("{", "").replace("}", ""), json={})
                check_error(answer, 401, "invalid_api_key")
                broken = await here.ask(method.upper(), path, content=b"{not json", headers={"content-type": "x/y"})
                check_error(broken, 401, "invalid_api_key")
        check_error(await here.get("/v1/no-such-thing"), 401, "invalid_api_key")
