"""What enters from other people's servers is ours afterwards, and tells nothing private."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import (
    BrokenStream,
    ContextTooLong,
    ModelError,
    ModelMisconfigured,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    NetGPTError,
)
from netgpt.models.errors import Peer, error_in_answer, failed_status, failed_transport

PEER = Peer("cloud", "cloud.example", "cloud")


def all_kinds(base: type[httpx.HTTPError]) -> list[type[httpx.HTTPError]]:
    return [base, *(kind for child in base.__subclasses__() for kind in all_kinds(child))]


def make(kind: type[httpx.HTTPError]) -> httpx.HTTPError:
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("POST", "http://cloud.example")
        return httpx.HTTPStatusError("secret", request=request, response=httpx.Response(500))
    return kind("secret")


@pytest.mark.parametrize("answering", [False, True])
@pytest.mark.parametrize("kind", all_kinds(httpx.HTTPError))
def test_every_error_of_httpx_becomes_one_of_ours(kind: type[httpx.HTTPError], answering: bool) -> None:
    failure = failed_transport(PEER, make(kind), answering=answering)
    assert isinstance(failure.error, ModelError)
    assert "secret" not in failure.error.message and "cloud.example" in failure.error.message


@pytest.mark.parametrize(
    ("cause", "shown", "again"),
    [
        (ssl.SSLCertVerificationError("bad"), "TLS certificate was not accepted", False),
        (socket.gaierror(socket.EAI_AGAIN, "no answer"), "its name is not known here", True),
        (ConnectionRefusedError(), "connection refused or lost", True),
    ],
)
def test_the_cause_of_a_failed_connection_is_reported(cause: Exception, shown: str, again: bool) -> None:
    error = httpx.ConnectError("secret")
    error.__cause__ = RuntimeError()
    error.__cause__.__context__ = cause
    failure = failed_transport(PEER, error, answering=False)
    assert failure.again is again and shown in failure.error.message


def status(code: int, error: Any = None, **headers: str) -> tuple[NetGPTError, bool]:
    body = b"no JSON" if error is None else orjson.dumps({"error": error})
    failure = failed_status(PEER, code, httpx.Headers(headers), body)
    return failure.error, failure.again


@pytest.mark.parametrize(
    ("code", "kind", "seen", "again"),
    [
        (302, ModelMisconfigured, 502, False),
        (400, ModelRejected, 400, False),
        (401, ModelMisconfigured, 502, False),
        (402, ModelMisconfigured, 502, False),
        (403, ModelMisconfigured, 502, False),
        (404, ModelMisconfigured, 502, False),
        (408, ModelTimeout, 504, True),
        (409, ModelUnavailable, 503, True),
        (413, ContextTooLong, 413, False),
        (422, ModelRejected, 422, False),
        (429, ModelRejected, 429, True),
        (500, ModelError, 502, True),
        (501, ModelMisconfigured, 502, False),
        (502, ModelError, 502, True),
        (503, ModelUnavailable, 503, True),
        (504, ModelTimeout, 504, True),
        (520, ModelError, 502, True),
        (524, ModelError, 502, True),
        (529, ModelError, 502, True),
    ],
)
def test_statuses(code: int, kind: type[NetGPTError], seen: int, again: bool) -> None:
    error, tried_again = status(code, **{"Retry-After": "4"})
    assert (type(error), error.status, tried_again) == (kind, seen, again)


def test_identifiers_are_kept_and_everything_else_is_dropped() -> None:
    kept, _ = status(400, {"message": "no", "code": "invalid_value", "param": "messages[0].content"})
    assert (kept.code, kept.param) == ("invalid_value", "messages[0].content")
    dropped, _ = status(400, {"code": "sk-12345", "type": "Alice Smith", "param": "alice@example.com"})
    assert (dropped.code, dropped.param) == ("model_rejected_request", None)


@pytest.mark.parametrize(
    ("error", "kind", "seen"),
    [
        ({"message": "x", "code": "context_length_exceeded"}, ContextTooLong, 400),
        ({"message": "x", "code": 400, "type": "exceed_context_size_error"}, ContextTooLong, 400),
        ({"message": "x", "type": "invalid_request_error"}, ModelRejected, 400),
        ({"message": "x", "type": "rate_limit_error"}, ModelRejected, 429),
        ({"message": "x", "code": 503}, ModelUnavailable, 503),
        ({"message": "x", "code": 200}, ModelError, 502),
        ("only a text", ModelError, 502),
        (True, ModelError, 502),
    ],
)
def test_errors_inside_an_answer(error: Any, kind: type[NetGPTError], seen: int) -> None:
    found = error_in_answer(PEER, {"error": error})
    assert type(found) is kind and found.status == seen


def test_an_answer_is_no_error() -> None:
    assert error_in_answer(PEER, {"choices": [], "error": None}) is None
    assert error_in_answer(PEER, []) is None
    assert isinstance(error_in_answer(PEER, {"object": "error", "message": "x", "code": 400}), ModelRejected)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["code", "type", "param"]), inner),
    max_leaves=8,
)


@given(json_values, st.integers(300, 599))
def test_no_error_object_is_too_odd(error: Any, code: int) -> None:
    found, _ = status(code, error)
    assert isinstance(found, ModelError | ContextTooLong)
    assert not isinstance(found, BrokenStream)
    assert error_in_answer(PEER, {"error": error}) is None or error
