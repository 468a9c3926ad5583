"""What bad input gets: the right status, OpenAI's error shape, the fault and the cure; the server stays up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


HELLO = [{"role": "user", "content": "hello"}]
DEEP = b'{"messages": [{"role": "user", "content": "x"}], "metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 501


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with FaultyCloud() as cloud, Served(tmp_path_factory.mktemp("home"), cloud=cloud) as gateway:
        yield gateway


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"} and error["message"]
    return dict(error)


@pytest.mark.parametrize(
    ("body", "status", "param", "says"),
    [
        ({}, 400, "messages", "required"),
        ({"messages": []}, 400, "messages", "at least 1"),
        ({"messages": "hello"}, 400, "messages", "list"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 400, "messages.0.role", "'user'"),
        ({"messages": [{"role": "user", "content": "  "}]}, 400, "messages.0.content", "empty"),
        ({"messages": [{"role": "user", "content": 5}]}, 400, "messages.0.content", "string"),
        ({"messages": HELLO, "stream": "yes"}, 400, "stream", "boolean"),
        ({"messages": HELLO, "n": 0}, 400, "n", "greater"),
        ({"messages": HELLO, "temperature": 9}, 400, "temperature", "less"),
        ({"messages": HELLO, "max_tokens": -7}, 400, "max_tokens", "greater"),
        ({"messages": HELLO, "tools": "x"}, 400, "tools", "list"),
        ({"messages": HELLO, "model": "gpt-nobody"}, 404, "model", "netgpt/edge"),
        ({"messages": HELLO, "netgpt": {"location": {"latitude": 95, "longitude": 0}}}, 400, None, "latitude"),
        ({"messages": HELLO, "netgpt": {"location": {"latitude": "north"}}}, 400, None, "latitude"),
        ({"messages": HELLO, "netgpt": {"complete": "magic"}}, 400, "netgpt.complete", "'select'"),
        ({"messages": HELLO, "netgpt": {"colour": 1}}, 400, "netgpt.colour", "not permitted"),
    ],
)
def test_wrong_fields_are_named(served: Served, body: dict[str, Any], status: int, param: str, says: str) -> None:
    error = error_of(served.post(body), status)
    assert says in error["message"]
    if param is not None:
        assert error["param"] == param


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'"x"', b'{"messages": [}', b"\xff\xfe", b"{" * 10_000, DEEP])
def test_malformed_json(served: Served, raw: bytes) -> None:
    answer = httpx.post(f"{served.url}/v1/chat/completions", content=raw, timeout=30)
    assert error_of(answer, 400)["code"] == "invalid_json"


def test_a_ten_megabyte_prompt_is_refused_with_or_without_a_length(served: Served) -> None:
    text = json.dumps({"model": "netgpt", "messages": [{"role": "user", "content": "word " * 2_000_000}]}).encode()
    url = f"{served.url}/v1/chat/completions"
    for content in (text, iter([text[i : i + 65_536] for i in range(0, len(text), 65_536)])):
        try:
            answer = httpx.post(url, content=content, timeout=60)
        except httpx.WriteError:
            continue  # the box answered and closed while the body was still on its way
        error = error_of(answer, 413)
        assert error["code"] == "payload_too_large" and "max_body_bytes" in error["message"]
    assert served.get("/healthz").status_code == 200


def test_unknown_resources_and_methods(served: Served) -> None:
    assert "no such resource" in error_of(served.get("/v1/nothing"), 404)["message"]
    error_of(served.get("/v1/chat/completions"), 405)
    error_of(served.get("/v1/exchanges/ex_unknown"), 404)
    error_of(served.get("/v1/models/none"), 404)
    error_of(served.post({"input": []}, "/v1/embeddings"), 400)
    error_of(served.post({"exchange": "ex_1", "rating": 7}, "/v1/feedback"), 400)


def test_a_foreign_host_or_origin_is_refused_on_loopback(served: Served) -> None:
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        answer = httpx.get(f"{served.url}/v1/models", headers=headers, timeout=60)
        error_of(answer, 403)
    for host in ("localhost", "[::1]", "[::1]:8080", "127.0.0.1:1"):
        assert httpx.get(f"{served.url}/v1/models", headers={"host": host}, timeout=60).status_code == 200


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20),
        lambda s: st.lists(s, max_size=4) | st.dictionaries(
            st.sampled_from(["messages", "role", "content", "model", "stream", "netgpt", "tools", "n", "user"]), s,
            max_size=5,
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_no_body_brings_the_server_down(served: Served, body: Any) -> None:
    answer = served.post(body)
    assert answer.status_code < 500, answer.text
    if answer.status_code != 200:
        error_of(answer, answer.status_code)


NASTY = ["%00", "%ED%A0%80", "%FF", "%2e%2e%2fx", "9" * 30, "site@" + "9" * 30, "site@-1", "@", "%0A", "%D9%A1", "%25"]


@pytest.mark.parametrize("text", NASTY)
def test_no_path_and_no_query_is_an_internal_error(served: Served, text: str) -> None:
    for path in ("exchanges", "receipts", "profiles", "adapters", "models"):
        assert httpx.get(f"{served.url}/v1/{path}/{text}", timeout=60).status_code < 500, path
    for path in ("exchanges?user=", "exchanges?before=", "receipts?before=", "places?after=", "places?limit="):
        assert httpx.get(f"{served.url}/v1/{path}{text}", timeout=60).status_code < 500, path


@pytest.mark.parametrize("path", ["profiles/ada/facts", "feedback", "chat/completions"])
def test_half_a_surrogate_pair_is_no_text(served: Served, path: str) -> None:
    fields = {"text": "\ud800", "exchange": "\ud800", "messages": "\ud800", "rating": 1}
    wanted = {"profiles/ada/facts": ["text"], "feedback": ["exchange", "rating"]}
    body = json.dumps({name: fields[name] for name in wanted.get(path, ["messages"])})
    assert r"\ud800" in body
    error_of(
        httpx.post(f"{served.url}/v1/{path}", content=body, headers={"content-type": "application/json"}, timeout=60),
        400,
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x" * 501, "501 characters"),
        ("x" * 50_000, "at most 500"),
        ("", "needs a text"),
        ("is vegan\nobey", "one line"),
    ],
)
def test_a_fact_that_is_no_fact_is_refused_with_its_limit(served: Served, text: str, told: str) -> None:
    answer = httpx.post(f"{served.url}/v1/profiles/ada/facts", json={"text": text, "kind": "diet"}, timeout=60)
    error_of(answer, 400)
    assert told in answer.json()["error"]["message"] and answer.json()["error"]["param"] == "text"


def test_a_body_of_too_many_values_says_so(served: Served) -> None:
    for more in ({"extra": [1] * 1_300_000}, {"logit_bias": {str(n): 1 for n in range(100_001)}}):
        answer = served.post({"messages": [{"role": "user", "content": "hi"}], **more})
        error = answer.json()["error"]
        assert answer.status_code == 413 and error["code"] == "payload_too_large"
        assert "more than 100000 values" in error["message"]


def test_an_agent_with_hundreds_of_tools_is_answered(served: Served) -> None:
    schema = {"type": "object", "properties": {f"field_{n}": {"type": "string"} for n in range(10)}}
    tools = [
        {"type": "function", "function": {"name": f"do_{n}", "description": "It does. " * 100, "parameters": schema}}
        for n in range(600)
    ]
    answer = served.post({"model": "netgpt/edge", "messages": [{"role": "user", "content": "hi"}], "tools": tools})
    assert answer.status_code == 200
