"""Figures of tokens: asked for, gathered, taken out again; a server that tells none or refuses is asked plainly."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from clouds import Says, chat, edge_model, everything, text_of
from weights import bundled_weights  # noqa: F401

from netgpt.errors import ModelRejected
from netgpt.judgement import TokenStats
from netgpt.models.base import TellsTokens
from netgpt.models.client import EdgeModel
from netgpt.models.engine import Engine
from netgpt.models.stream import join_chunks
from netgpt.models.tokens import taking_tokens
from netgpt.testing.server import Connection, FaultyCloud, ReceivedRequest


class NoFigures(FaultyCloud):
    """Refuses to be asked for log-probabilities, as some servers do; or refuses everything."""

    everything_is_wrong = False

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        if self.everything_is_wrong or b"logprobs" in request.body:
            connection.answer(400, b'{"error": {"message": "unknown field", "code": "bad"}}')
        else:
            await super().serve(request, connection)


def entry(value: Any, *others: Any) -> dict[str, Any]:
    return {"token": "x", "logprob": value, "top_logprobs": [{"token": "y", "logprob": each} for each in others]}


def chunk(*entries: Any, **delta: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "delta": {"content": "x", **delta},
        "finish_reason": None,
        "logprobs": {"content": list(entries)},
    }
    return {"id": "1", "choices": [choice]}


def test_they_are_added_and_taken_out() -> None:
    stats, one = TokenStats(), chunk(entry(-0.5, -0.5, -1.0), entry(-2.0))
    told = taking_tokens(one, stats, {})
    assert (stats.count, stats.total, stats.lowest, stats.doubtful) == (2, -2.5, -2.0, 1)
    assert stats.entropy == pytest.approx(0.5 * math.exp(-0.5) + math.exp(-1.0))
    assert "logprobs" not in told["choices"][0] and "logprobs" in one["choices"][0], "the chunk itself stays"


def test_who_asks_for_them_gets_as_many_as_asked_for() -> None:
    one = chunk(entry(-0.5, -0.5, -1.0, -2.0))
    for wanted, left in (
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 2}, 2),
        ({"logprobs": True, "top_logprobs": 9}, 3),
    ):
        told = taking_tokens(one, TokenStats(), wanted)["choices"][0]["logprobs"]["content"][0]
        assert len(told["top_logprobs"]) == left and told["logprob"] == -0.5


@pytest.mark.parametrize(
    "odd", [None, 3, "x", {}, {"logprob": "no"}, {"logprob": math.nan}, {"logprob": True}, {"logprob": 3.0}]
)
def test_what_is_no_figure_counts_for_nothing(odd: Any) -> None:
    stats = TokenStats()
    taking_tokens(chunk(odd), stats, {})
    assert stats == TokenStats()


def test_thoughts_and_other_choices_are_not_counted() -> None:
    stats = TokenStats()
    taking_tokens(chunk(entry(-1.0), reasoning_content="hm"), stats, {})
    second = chunk(entry(-1.0))
    second["choices"][0]["index"] = 1
    taking_tokens(second, stats, {})
    assert stats.count == 0


async def test_a_server_that_refuses_is_asked_plainly_once_and_from_then_on() -> None:
    with NoFigures("seven") as cloud:
        model = edge_model(cloud.base_url, timeout_s=20)
        assert isinstance(model, TellsTokens) and model.tells_tokens
        stats = TokenStats()
        assert await text_of(model.chat(chat(), stats=stats)) == "seven"
        assert stats.count == 0 and not model.tells_tokens
        cloud.forget()
        assert await text_of(model.chat(chat(), stats=stats)) == "seven"
        assert b"logprobs" not in cloud.all_bytes()
        await model.close()


async def test_a_request_that_is_wrong_itself_settles_nothing() -> None:
    with NoFigures("seven") as cloud:
        cloud.everything_is_wrong = True
        model = edge_model(cloud.base_url, timeout_s=20)
        with pytest.raises(ModelRejected):
            await everything(model.chat(chat(), stats=TokenStats()))
        assert model.tells_tokens
        await model.close()


async def test_nothing_is_asked_for_beside_tools_or_where_nobody_wants_it() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    with FaultyCloud("seven") as cloud:
        model = edge_model(cloud.base_url, timeout_s=20)
        await everything(model.chat(chat(tools=[tool]), stats=TokenStats()))
        await everything(model.chat(chat()))
        assert b"logprobs" not in cloud.all_bytes()
        await model.close()


async def test_a_server_that_tells_none_leaves_the_figures_empty() -> None:
    document = {"choices": [{"index": 0, "delta": {"content": "seven"}, "finish_reason": "stop", "logprobs": None}]}
    with Says(b"data: " + json.dumps(document).encode() + b"\n\ndata: [DONE]\n\n") as cloud:
        model, stats = edge_model(cloud.base_url, timeout_s=20), TokenStats()
        assert await text_of(model.chat(chat(), stats=stats)) == "seven" and stats.count == 0
        await model.close()


@pytest.mark.slow
async def test_the_engine_tells_the_same_streamed_and_whole(bundled_weights: Path, tmp_path: Path) -> None:  # noqa: F811
    engine = Engine(bundled_weights, context_tokens=512, slots=1, log_path=tmp_path / "engine.log")
    await engine.start()
    edge = EdgeModel("small", engine.endpoint, "small", timeout_s=60, default_max_tokens=16)
    body = {"messages": [{"role": "user", "content": "Name the capital of France."}], "temperature": 0}
    try:
        told = []
        for more in ({}, {"stream": True}):
            stats = TokenStats()
            answer = join_chunks(await everything(edge.chat({**body, **more}, stats=stats)))
            assert "logprobs" not in answer["choices"][0]
            told.append((answer["choices"][0]["message"]["content"], stats.count, round(stats.total, 1)))
        assert told[0] == told[1] and told[0][1] >= 3 and told[0][2] < 0
        asked = join_chunks(
            await everything(edge.chat({**body, "logprobs": True, "top_logprobs": 2}, stats=TokenStats()))
        )
        assert all(len(one["top_logprobs"]) == 2 for one in asked["choices"][0]["logprobs"]["content"])
    finally:
        await edge.close()
        await engine.stop(0)
