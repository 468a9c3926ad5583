"""Whose fault a refusal is, by the words of the servers that there are; and a fault that stands until it is mended."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import ContextTooLong, ModelError, ModelMisconfigured, ModelRejected, ModelUnavailable
from netgpt.models.errors import Peer, failed_status
from netgpt.models.refusals import LOGGED_EVERY_S, StandingFault

PEER = Peer("gpt-4o-mini", "cloud.example", "cloud")


def refused(status: int, body: Any) -> Exception:
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    return failed_status(PEER, status, httpx.Headers(), raw).error


def said(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


OWNERS = [
    ("key", 401, said("Incorrect API key provided", code="invalid_api_key")),
    ("key", 401, {"detail": "Unauthorized"}),
    ("key", 401, ""),
    ("key", 400, {"code": "invalid-argument", "error": "Incorrect API key provided. Get one at console"}),
    ("key", 400, [said("API key not valid. Please pass a valid API key.", code=400, status="INVALID_ARGUMENT")]),
    ("key", 401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}),
    ("key", 403, {"error": {"type": "permission_error", "message": "no"}}),
    ("key", 403, "<html>blocked</html>"),
    ("account", 402, said("Insufficient Balance")),
    ("account", 429, said("You exceeded your current quota", type="insufficient_quota", code="insufficient_quota")),
    ("account", 429, said("x", type="exceeded_current_quota_error")),
    ("account", 400, said("Your credit balance is too low to access the API", type="invalid_request_error")),
    ("model", 404, said("The model `gpt-4o-mini` does not exist", type="NotFoundError", code=404)),
    ("model", 404, {"error": "model 'gpt-4o-mini' not found"}),
    ("model", 404, said("no", code="DeploymentNotFound")),
    ("model", 400, said("Model Not Exist", type="invalid_request_error")),
    ("model", 400, said("gpt-4o-mini is not a valid model ID", code=400)),
    ("model", 400, {"object": "error", "message": "Invalid model: gpt-4o-mini", "type": "invalid_model"}),
    ("model", 422, {"detail": [{"loc": ["body", "model"], "msg": "no"}]}),
    ("model", 503, said("no channel", code="model_not_found")),
    ("address", 405, {"detail": "Method Not Allowed"}),
    ("address", 404, "<html>"),
    ("address", 400, "<html>The plain HTTP request was sent to HTTPS port</html>"),
    ("address", 301, ""),
    ("address", 501, "<html>"),
    ("loop", 508, said("x", code="request_loop")),
]
CALLERS = [
    (400, said("'temperature' does not support 0.2 with this model", code="unsupported_value", param="temperature")),
    (400, said("the model gpt-4o-mini does not support tools: invalid api key in a text", param="tools")),
    (400, said("This model does not support image input", type="invalid_request_error")),
    (400, said("no", code="content_filter")),
    (403, said("flagged", code="moderation_blocked")),
    (404, said("No such File object: file-1", param="messages")),
    (422, {"detail": [{"loc": ["body", "temperature"], "msg": "too large", "type": "less_than_equal"}]}),
    (422, "Failed to deserialize the JSON body"),
]
PASSING = [
    (408, ""), (409, said("x")), (425, ""), (429, said("slow down", code="rate_limit_exceeded")), (498, ""), (499, ""),
    (500, ""), (502, "<html>"), (503, said("loading model", type="unavailable_error")), (504, ""), (520, "<html>"),
    (502, said("the key was refused; check cloud.api_key", type="model_error", code="invalid_api_key")),
    (524, "<html>"), (529, said("Overloaded", type="overloaded_error")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "status", "body"), OWNERS)
def test_what_only_the_owner_can_mend_is_the_owners(kind: str, status: int, body: Any) -> None:
    error = refused(status, body)
    assert isinstance(error, ModelMisconfigured), error
    assert (error.kind, error.status) == (kind, 502)
    assert "cloud." in error.fault and PEER.host not in error.fault and PEER.host in error.message


@pytest.mark.parametrize(("status", "body"), CALLERS)
def test_what_the_caller_asked_for_is_the_callers(status: int, body: Any) -> None:
    error = refused(status, body)
    assert type(error) is ModelRejected and 400 <= error.status < 500
    assert error.status == (400 if status in (401, 403) else status)


@pytest.mark.parametrize(("status", "body"), PASSING)
def test_what_passes_is_nobodys(status: int, body: Any) -> None:
    error = refused(status, body)
    assert isinstance(error, ModelError) and not isinstance(error, ModelMisconfigured)
    assert not isinstance(error, ModelRejected) or error.status == 429


def test_the_caller_gets_the_field_and_its_cure_and_bounds_but_no_words() -> None:
    told = "max_tokens is too large for Jo Smith: 999999. This model supports at most 16384 tokens, call 07911123456"
    error = refused(400, said(told, code="invalid_value", param="max_tokens"))
    assert isinstance(error, ModelRejected) and (error.code, error.param) == ("invalid_value", "max_tokens")
    assert "give max_tokens another value; it takes at most 16384" in error.message
    assert not any(word in error.message for word in ("Jo", "0791", "999999"))


@given(st.text(max_size=80), st.sampled_from(["code", "type", "param", "message", "detail", "status"]),
       st.integers(300, 599))  # fmt: skip
def test_whatever_a_server_writes_nothing_but_identifiers_passes(text: str, where: str, status: int) -> None:
    private = f"Jo Smith {text}"
    error = refused(status, {"error": {where: private}})
    assert isinstance(error, ModelError | ContextTooLong)
    assert "Jo" not in f"{error.message}{error.code}{error.param}"


def test_a_fault_is_logged_once_a_minute_and_goes_with_the_first_good_answer(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    standing = StandingFault(lambda: now)

    def fails(error: Exception) -> None:
        with pytest.raises(type(error)), standing.watching():
            raise error

    for _ in range(3):
        fails(refused(401, ""))
    assert len(caplog.records) == 1 and standing.words.startswith("the key was refused; check cloud.api_key (401)")
    fails(refused(503, ""))
    assert standing.words, "what passes says nothing of the key"
    fails(refused(404, ""))
    assert len(caplog.records) == 2 and "cloud.model" in standing.words
    now += LOGGED_EVERY_S
    fails(refused(404, ""))
    assert len(caplog.records) == 3
    with standing.watching() as well:
        well()
    assert not standing.words


def test_an_address_that_has_worked_is_not_wrong_but_away() -> None:
    standing = StandingFault()
    with standing.watching() as well:
        well()
    with pytest.raises(ModelUnavailable), standing.watching():
        raise refused(404, "<html>we are at work on it</html>")
    with pytest.raises(ModelMisconfigured), standing.watching():
        raise refused(401, "")
