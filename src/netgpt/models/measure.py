"""Measures one weights file on this machine: reading speed, writing speed, and how alike it answers to another."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from netgpt.errors import ModelUnavailable
from netgpt.models.engine import Engine

__all__ = ["Figures", "Reference", "measure", "read_reference"]

QUESTIONS: Final = (
    "Name three things to pack for a rainy walk.",
    "How do I boil an egg so that the yolk stays soft?",
    "Write two sentences about a small harbour town in the morning.",
    "What is the difference between weather and climate?",
)
ANSWER_TOKENS: Final = 16
PROMPT_WORDS: Final = 300
WRITTEN_TOKENS: Final = 40
TYPICAL_PROMPT, TYPICAL_ANSWER = 300, 60
"""Tokens of the exchange by which formats are compared."""

Reference = Sequence[tuple[list[int], list[int]]]
"""(prompt tokens, answer tokens) pairs: what the original weights say when they always take the likeliest token."""


@dataclass(frozen=True)
class Figures:
    """Speeds in tokens per second; `agreement`: share of next tokens that are those of the original weights."""

    prompt_per_s: float
    written_per_s: float
    agreement: float
    bytes: int

    @property
    def typical_s(self) -> float:
        """Seconds for an exchange of 300 tokens of prompt and 60 of answer."""
        return TYPICAL_PROMPT / self.prompt_per_s + TYPICAL_ANSWER / self.written_per_s


async def measure(path: Path, reference: Reference, *, threads: int = 0, repeats: int = 2) -> Figures:
    """Serve `path` alone and measure it; the best of `repeats` runs counts, as other work only slows down."""
    size = file_bytes(path)
    async with _Served(path, threads) as served:
        runs = [await served.speed(number) for number in range(repeats)]
        agreement = await served.agreement(reference) if reference else 1.0
    prompt, written = max(run[0] for run in runs), max(run[1] for run in runs)
    return Figures(prompt, written, agreement, size)


async def read_reference(path: Path, *, threads: int = 0) -> Reference:
    """Let the original weights answer a few questions, always by the likeliest token."""
    async with _Served(path, threads) as served:
        return [await served.answer(question) for question in QUESTIONS]


def file_bytes(path: Path) -> int:
    """Size on disk."""
    return path.stat().st_size


class _Served:
    """One engine for the time of a measurement."""

    def __init__(self, path: Path, threads: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="netgpt-measure-")
        log = Path(self._folder.name) / "engine.log"
        self._engine = Engine(path, context_tokens=2048, slots=1, threads=threads, log_path=log, probe_s=0)

    async def __aenter__(self) -> _Served:
        try:
            await self._engine.start()
        except BaseException:
            self._folder.cleanup()
            raise
        endpoint = self._engine.endpoint()
        self._client = httpx.AsyncClient(
            base_url=endpoint.base_url.removesuffix("/v1"), timeout=300.0, trust_env=False,
            headers={"Authorization": f"Bearer {endpoint.api_key}"},
        )  # fmt: skip
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()
        await self._engine.stop(0)
        self._folder.cleanup()

    async def speed(self, number: int) -> tuple[float, float]:
        """Tokens per second read and written. `number` makes each prompt another one, so that no cache helps."""
        words = " ".join(f"word{(number * 7919 + i * 31) % 1000}" for i in range(PROMPT_WORDS // 3))
        timings = (
            await self._post("/completion", prompt=words, n_predict=WRITTEN_TOKENS, ignore_eos=True, cache_prompt=False)
        )["timings"]
        return float(timings["prompt_per_second"]), float(timings["predicted_per_second"])

    async def answer(self, question: str) -> tuple[list[int], list[int]]:
        body = await self._post("/apply-template", messages=[{"role": "user", "content": question}])
        prompt = (await self._post("/tokenize", content=body["prompt"], parse_special=True))["tokens"]
        answer = await self._post("/completion", prompt=prompt, n_predict=ANSWER_TOKENS, return_tokens=True, top_k=1)
        return prompt, answer["tokens"]

    async def agreement(self, reference: Reference) -> float:
        """Given the original's answer so far, how often is the likeliest next token the same?"""
        same = total = 0
        for prompt, answer in reference:
            for place, expected in enumerate(answer):
                told = await self._post(
                    "/completion", prompt=prompt + answer[:place], n_predict=1, return_tokens=True, top_k=1
                )  # fmt: skip
                same += told["tokens"][:1] == [expected]
                total += 1
        return same / total if total else 1.0

    async def _post(self, path: str, **body: Any) -> Any:
        try:
            answer = await self._client.post(path, json=body)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ModelUnavailable(f"The engine failed while it was measured ({type(error).__name__}).") from None
