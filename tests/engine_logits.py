"""What the engine thinks of the next token: its own log-probabilities, for comparing with those of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from netgpt.models.engine import Engine

Prompts = Sequence[Sequence[int]]
LETTER = 40
"""A token that is one ASCII character in every model here."""
Probabilities = Mapping[int, float]
"""Token -> natural logarithm of its probability."""


async def engine_logits(
    weights: Path, adapters: Sequence[Path], prompts: Prompts, *, top: int
) -> list[list[Probabilities]]:
    """Per adapter, and last without any, per prompt (token numbers): the `top` likeliest next tokens.

    One engine holds them all; each question names the strength of every one. No cache, one thread.
    """
    engine = Engine(
        weights, context_tokens=512, slots=1, threads=1, log_path=weights.parent / "engine.log",
        adapters=[(path, 1.0) for path in adapters],
    )  # fmt: skip
    await engine.start()
    try:
        endpoint = engine.endpoint()
        headers = {"Authorization": f"Bearer {endpoint.api_key}"}
        async with httpx.AsyncClient(headers=headers, timeout=120, trust_env=False) as client:
            url = endpoint.base_url.removesuffix("/v1") + "/completion"
            scales = [[float(this == one) for this in range(len(adapters))] for one in range(len(adapters) + 1)]
            return [[await _ask(client, url, prompt, scale, top) for prompt in prompts] for scale in scales]
    finally:
        await engine.stop(0)


async def _ask(
    client: httpx.AsyncClient, url: str, prompt: Sequence[int], scales: Sequence[float], top: int
) -> Probabilities:
    body = {
        "prompt": list(prompt), "n_predict": 1, "n_probs": top, "temperature": 0.0, "cache_prompt": False,
        "lora": [{"id": number, "scale": scale} for number, scale in enumerate(scales)],
        # Whatever is likeliest, a letter is written: half a character would be held back, its probabilities too.
        # They are reported as the model gave them, before this.
        "logit_bias": [[LETTER, 1000.0]],
    }  # fmt: skip
    answer = (await client.post(url, json=body)).raise_for_status().json()
    return {token["id"]: token["logprob"] for token in answer["completion_probabilities"][0]["top_logprobs"]}
