"""The judge of the box's answers, made from the package's weights; and second opinions, where there is time for them.

A judge whose weights cannot be read judges nothing: the log says so, and the box then claims nothing of its answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from netgpt.confidence.judge import Judge
from netgpt.confidence.samples import with_samples
from netgpt.errors import ModelError, ModelUnavailable
from netgpt.judgement import AnswerJudge, Confidence
from netgpt.models.base import ChatModel
from netgpt.models.stream import join_chunks

log = logging.getLogger(__name__)

SAMPLES: Final = 3
SAMPLE_TOKENS: Final = 32
"""Of a second opinion: enough for a word, a number, a name."""
WARMTH: Final = 0.8
"""Temperature at which a model that does not know says something else each time."""


def open_judge() -> AnswerJudge | None:
    """The judge, its weights read; None where they cannot be: the log says why."""
    judge = Judge()
    try:
        judge.load()
    except ModelUnavailable as error:
        log.error("answers are not judged: %s", error.message)
        return None
    return judge


async def second_opinions(
    model: ChatModel,
    body: Mapping[str, Any],
    answer: str,
    told: Confidence,
    *,
    within_s: float,
    adapters: Sequence[str] = (),
) -> Confidence:
    """`told`, moved by how far short answers of the same model to the same body agree with `answer`.

    Asks at most `SAMPLES` times side by side, for `within_s` seconds. What is not there by then counts for nothing, and
    where nothing is, `told` is what comes back. Raises nothing of a model.
    """
    asked = {name: value for name, value in body.items() if name not in ("stream", "stream_options", "n", "seed")}
    asked |= {"max_tokens": SAMPLE_TOKENS, "temperature": WARMTH}
    tasks = [asyncio.create_task(_said(model, {**asked, "seed": seed}, adapters)) for seed in range(1, SAMPLES + 1)]
    done, late = await asyncio.wait(tasks, timeout=within_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return with_samples(told, answer, [said for task in done if (said := task.result())])


async def _said(model: ChatModel, body: Mapping[str, Any], adapters: Sequence[str]) -> str:
    try:
        answer = join_chunks([chunk async for chunk in model.chat(body, adapters=adapters)])
    except ModelError:
        return ""
    return str(answer["choices"][0]["message"].get("content") or "") if answer["choices"] else ""
