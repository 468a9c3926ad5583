"""Answers of models on the box to checkable questions, with figures of each token; kept, so that none is made twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from netgpt.errors import ModelUnavailable
from netgpt.judgement import TokenStats
from netgpt.models.engine import Engine
from netgpt_bench.harness import Progress

AT_ONCE: Final = 4
ALTERNATIVES: Final = 5
"""As many as the gateway asks for."""


@dataclass
class Answered:
    """What a model said: text, why it stopped, and (token, log-probability, those of the alternatives) of each."""

    text: str
    finish: str
    tokens: list[tuple[str, float, list[float]]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Functions that it calls, and their arguments."""

    def stats(self) -> TokenStats | None:
        """Its figures as the gateway gathers them; None: the model told none."""
        stats = TokenStats()
        for _, own, alternatives in self.tokens:
            stats.add(own, alternatives)
        return stats if stats.count else None


def _key(weights: str, body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([weights, body], sort_keys=True).encode()).hexdigest()[:24]


def sent_body(body: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The body as it is sent: every second answer is drawn at random, as applications mostly ask."""
    sent = {**body, "logprobs": True, "top_logprobs": ALTERNATIVES, "seed": number}
    return {**sent, "temperature": 0.8 if number % 2 else 0.0}


async def answers(
    weights: Path, bodies: Sequence[Mapping[str, Any]], kept: Path, progress: Progress = lambda _: None
) -> list[Answered]:
    """The answer of the model in `weights` to each body, as it is sent; `kept`: the folder of answers made before.

    Raises ModelUnavailable: the engine does not start, or fails while it answers.
    """
    kept.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
    file = kept / f"{weights.stem}.jsonl"
    known: dict[str, Answered] = {}
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            known[row["key"]] = Answered(row["text"], row["finish"], row["tokens"], row.get("calls") or [])
    missing = [body for body in bodies if _key(weights.stem, body) not in known]
    if missing:
        await _ask_all(weights, missing, known, file, progress)
    return [known[_key(weights.stem, body)] for body in bodies]


async def _ask_all(
    weights: Path, bodies: Sequence[Mapping[str, Any]], known: dict[str, Answered], file: Path, progress: Progress
) -> None:
    engine = Engine(weights, context_tokens=1536, slots=AT_ONCE, log_path=file.with_suffix(".log"))
    await engine.start()
    endpoint = engine.endpoint()
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    left = iter(bodies)
    try:
        async with httpx.AsyncClient(timeout=300.0, headers=headers, trust_env=False) as client:

            async def work() -> None:
                for body in left:
                    found = await _one(client, f"{endpoint.base_url}/chat/completions", body)
                    key = _key(weights.stem, body)
                    known[key] = found
                    row = {
                        "key": key,
                        "text": found.text,
                        "finish": found.finish,
                        "tokens": found.tokens,
                        "calls": found.calls,
                    }
                    with file.open("a", encoding="utf-8") as handle:
                        handle.write(json.dumps(row) + "\n")
                    if len(known) % 50 == 0:
                        progress(f"{weights.stem}: {len(known)} answers")

            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    finally:
        await engine.stop(0)


async def _one(client: httpx.AsyncClient, url: str, body: Mapping[str, Any]) -> Answered:
    try:
        response = await client.post(url, json=body)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise ModelUnavailable(f"the engine did not answer: {type(error).__name__}") from None
    choice = response.json()["choices"][0]
    tokens = [
        (
            one.get("token", ""),
            round(one["logprob"], 4),
            [round(each["logprob"], 4) for each in one.get("top_logprobs") or ()],
        )
        for one in (choice.get("logprobs") or {}).get("content") or ()
    ]
    called = [each["function"] for each in choice["message"].get("tool_calls") or ()]
    calls = [(str(each.get("name")), str(each.get("arguments"))) for each in called]
    return Answered(choice["message"].get("content") or "", choice.get("finish_reason") or "", tokens, calls)
