"""A conversation that does not fit is `context_length_exceeded`, in whatever words a server says it; other limits are
not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from netgpt.errors import ContextTooLong, ModelRejected, NetGPTError
from netgpt.models.errors import Peer, error_in_answer, failed_status, read_retry_after

PEER = Peer("m", "cloud.example", "cloud")

TOO_LONG = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 10000 tokens.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, "
    "1000 in the completion). Please reduce the length of the messages or completion.",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that "
    "`max_model_len` is no smaller than the number of text tokens.",
    "max_tokens=999999 cannot be greater than max_model_len=max_total_tokens=81920.",
    "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 4096 tokens "
    "and your request has 2104 input tokens (2000 > 4096 - 2104).",
    "You passed 12289 input tokens and requested 1 output tokens. However, the model's context length is only 12288 "
    "tokens, resulting in a maximum input length of 12287 tokens.",
    "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    "Requested token count exceeds the model's maximum context length of 8192 tokens.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 "
    "`max_new_tokens`",
    "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
    "This endpoint's maximum context length is 131072 tokens. However, you requested about 132463 tokens (1463 of text "
    "input, 131000 in the output).",
    "the request exceeds the available context size, try increasing it",
    "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length "
    "of only 4096 tokens, which is not enough.",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "Reached context length of 4096 tokens with model, but this model does not currently support mid-generation "
    "context overflow.",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "Unable to submit request because the input token count is 40000 but model only supports up to 32768.",
    "Please reduce the length of the messages or completion.",
    "The input prompt length 9000 exceeds the maximum context length",
    "Input is too long for requested model.",
    "Too many input tokens. Max input tokens: 8192, request input token count: 9000",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
    "The prompt is too long: 10000, model maximum context length: 8191",
    "Range of input length should be [1, 30720]",
    "Invalid request: Your request exceeded model token limit: 8192",
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    "the input length exceeds the context length",
    "prompt token count of 70000 exceeds the limit of 64000",
    "Request body too large for gpt-4o model. Max size: 8000 tokens.",
    "Prompt length (5000) exceeds maximum input length (4096)",
    "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model",
    "Prompt length 9000 is greater than max_seq_len 8192",
    "context window exceeds limit (2013)",
    "length of prompt_tokens (9000) must be less than max_seq_len (8192)",
    "Total tokens of image and text exceed max message tokens",
    "Prompt \u8d85\u957f",
    "litellm.BadRequestError: OpenAIException - This model's maximum context length is 4096 tokens.",
    "input tokens exceed the configured limit of 128000 tokens",
    "Message is too long for this model",
)
OTHERS = (
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
    "Invalid 'user': string too long. Expected a string with maximum length 64, but got a string with length 100.",
    "Invalid 'tools': array too long. Expected an array with maximum length 128, but got 200 instead.",
    "Invalid 'stop': array too long. Expected an array with maximum length 4.",
    "temperature must be less than or equal to 2",
    "image exceeds 5 MB maximum",
    "You exceeded your current quota, please check your plan",
    "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000, Requested 4000.",
    "max_output_tokens must be at most 8192",
    "Input should be a valid string",
    "The image is too large",
    "messages must not be empty",
)


def error_of(status: int, document: Any) -> NetGPTError:
    return failed_status(PEER, status, {}, orjson.dumps(document)).error


@pytest.mark.parametrize("words", TOO_LONG)
def test_too_long_in_the_words_of_servers(words: str) -> None:
    """In OpenAI's shape, as a bare detail, within an answer, and with a number for a code."""
    shapes: list[Any] = [
        {"error": {"message": words, "type": "invalid_request_error"}},
        {"detail": words},
        {"object": "error", "message": words, "type": "BadRequestError", "code": 400},
        {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": words}}},
    ]
    for shape in shapes:
        error = error_of(400, shape)
        assert isinstance(error, ContextTooLong) and error.code == "context_length_exceeded" and error.status == 400
    inside = error_in_answer(PEER, shapes[2])
    assert isinstance(inside, ContextTooLong)
    assert words not in inside.message


@pytest.mark.parametrize("words", OTHERS)
def test_other_limits_are_not_too_long(words: str) -> None:
    assert not isinstance(error_of(400, {"error": {"message": words}}), ContextTooLong)


@pytest.mark.parametrize("words", TOO_LONG[:3])
def test_too_many_requests_stay_so(words: str) -> None:
    assert error_of(429, {"error": {"message": words, "code": "rate_limit_exceeded"}}).status == 429


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0"}, 1.0),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, 360.0),
        ({"x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-reset": "1764424803000"}, 3.0),
        ({"x-ratelimit-reset": "1764424803"}, 3.0),
        ({"ratelimit-reset": "7"}, 7.0),
        ({"anthropic-ratelimit-requests-reset": "2025-11-29T14:00:05Z"}, 5.0),
        ({"x-ratelimit-reset": "9", "retry-after": "2"}, 2.0),
        ({"x-ratelimit-reset": "9", "retry-after-ms": "250"}, 0.25),
        ({"x-ratelimit-reset": "soon"}, None),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-reset-tokens": "9s",
                "x-ratelimit-remaining-requests": "0",
            },
            1.0,
        ),
    ],
)
def test_when_a_limit_begins_anew(headers: dict[str, str], seconds: float | None) -> None:
    now = datetime(2025, 11, 29, 14, 0, 0, tzinfo=UTC)
    found = read_retry_after(headers, now)
    assert found == pytest.approx(seconds) if seconds is not None else found is None


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached. Please try again in 7.66s.", 7.66),
        ("Please retry after 20 seconds", 20.0),
        ("Rate limit reached on tokens per day (TPD). Please try again in 24m30.528s. Upgrade", 1470.528),
        ("try again in 1h2m3s", 3723.0),
        ("wait for 2 hours and 5 minutes", 7500.0),
        ("retry in 320ms", 0.32),
        ("the limit resets in 3 days", 86400.0),
    ],
)
def test_a_wait_that_only_words_name(words: str, seconds: float) -> None:
    assert error_of(429, {"error": {"message": words}}).retry_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 503),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "code": 429}}, 429),
        ({"error": {"code": "429", "message": "slow"}}, 429),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, 502),
        ({"success": False, "errors": [{"code": 7000, "message": "No route"}]}, 502),
        ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, 502),
        ({"detail": "Internal failure"}, 502),
        ({"message": "quota", "code": "insufficient_quota"}, 502),
        ({"error": "boom"}, 502),
    ],
)
def test_errors_in_answers_have_many_shapes(document: dict[str, Any], status: int) -> None:
    error = error_in_answer(PEER, document)
    assert error is not None and error.status == status


@pytest.mark.parametrize("document", [{"type": "ping"}, {"message": "processing", "status": "ok"}, {}, {"choices": []}])
def test_signs_of_life_are_no_errors(document: dict[str, Any]) -> None:
    assert error_in_answer(PEER, document) is None


def test_a_spent_account_is_not_tried_again() -> None:
    for status, code in ((429, "insufficient_quota"), (402, "billing_hard_limit_reached"), (429, "billing_not_active")):
        failure = failed_status(PEER, status, {}, orjson.dumps({"error": {"code": code, "message": "no money"}}))
        assert isinstance(failure.error, ModelRejected) and not failure.again
