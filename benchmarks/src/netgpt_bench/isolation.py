"""`netgpt bench isolation`: does an adapter leak into another's answers, through the prompt cache or a swap?

Greedy answers are compared word for word. Where two next words are nearly as likely, llama.cpp itself answers
differently with a warm cache (up to 0.1 nats on this project's machines, without any adapter), so only questions are
used whose every word wins by `CLEAR` nats in the cold runs. A leak shifts the odds by whole nats.
"""

from __future__ import annotations

import asyncio
import random
import struct
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import ModelError
from netgpt.models.base import Lease
from netgpt.models.client import EdgeModel
from netgpt.models.engine import Engine
from netgpt.models.gguf import check_weights, read_header
from netgpt.models.hot_swap import Adapter, SwappingEngine
from netgpt.models.stream import join_chunks
from netgpt_bench.harness import Progress

# --- Invented LoRA adapters: they mean nothing, but change what a model says, each in its own way.

FLOAT32, STRING = 6, 8
F32: Final = 0
ALIGNMENT: Final = 32


def random_adapter(
    base: Path, target: Path, seed: int, *, rank: int = 4, strength: float = 1.0,
    targets: Sequence[str] = ("attn_q", "attn_v"),
) -> Path:  # fmt: skip
    """Write a GGUF LoRA for the model `base` to `target`, the same for the same seed. Returns `target`.

    `strength`: size of the change to each output beside the output of a typical matrix; 1 changes most answers.
    Layout of the file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
    """
    random = np.random.default_rng(seed)
    tensors: list[tuple[str, NDArray[np.float32]]] = []
    for tensor in read_header(base).tensors:
        parts = tensor.name.split(".")
        if parts[0] == "blk" and parts[2] in targets and parts[-1] == "weight":
            inputs, outputs = tensor.shape
            scale = np.float32(strength / np.sqrt(inputs * rank))
            tensors.append((f"{tensor.name}.lora_a", random.standard_normal((rank, inputs), np.float32)))
            tensors.append((f"{tensor.name}.lora_b", scale * random.standard_normal((outputs, rank), np.float32)))
    metadata: dict[str, str | float] = {
        "general.type": "adapter",
        "general.architecture": check_weights(base).architecture,
        "adapter.type": "lora",
        "adapter.lora.alpha": float(rank),
    }
    target.write_bytes(_gguf(metadata, tensors))
    target.chmod(0o600)
    return target


def _gguf(metadata: dict[str, str | float], tensors: Sequence[tuple[str, NDArray[np.float32]]]) -> bytes:
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        head.append(_text(key))
        if isinstance(value, str):
            head.append(struct.pack("<I", STRING) + _text(value))
        else:
            head.append(struct.pack("<If", FLOAT32, value))
    offset = 0
    for name, values in tensors:
        head.append(_text(name) + struct.pack("<IQQIQ", 2, values.shape[1], values.shape[0], F32, offset))
        offset += _padded(values.nbytes)
    whole = bytearray(b"".join(head))
    whole += b"\0" * (_padded(len(whole)) - len(whole))
    for _, values in tensors:
        data: Any = values.astype("<f4").tobytes()
        whole += data + b"\0" * (_padded(len(data)) - len(data))
    return bytes(whole)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


CLEAR: Final = 0.25
"""Nats between the likeliest word and the next."""
WORDS: Final = 2
"""Tokens of an answer."""
PREFIX: Final = (
    "You are a patient guide in a small harbour town. You know the boats, the tides and the people, and you answer in "
    "one short sentence."
)
QUESTIONS: Final = (
    "When is high tide?", "Who paints the boats?", "Say yes.", "Count to five.", "Name a colour.", "Is the sea salty?",
    "What is two plus two?", "Where is the old lighthouse?", "Tell me a story.", "How deep is the harbour?",
)  # fmt: skip

Ids = tuple[str, ...]


async def run(
    weights: Path, *, alternations: int, seed: int, progress: Progress, questions: Sequence[str] = QUESTIONS
) -> dict[str, Any]:
    """Adapters A, B and none take turns over one prefix while C is loaded. Rows: answers, and how many differ."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adapters = invent(weights, folder, "abc", seed)
        progress("cold runs")
        cold = await cold_answers(weights, adapters, folder, questions=questions)
        progress(f"{len(cold) // (1 + len(adapters))} questions with clear answers; {alternations} alternations")
        async with opened(weights, adapters[:2], folder) as (engine, model):
            started = time.perf_counter()
            rows = await _alternate(engine, model, adapters, cold, alternations, seed)
            took = time.perf_counter() - started
            cached = await taken_over(engine, adapters[0])
    return {"rows": rows, "seconds": round(took, 1), "swaps in the middle": engine.swaps,
            "questions": len(cold) // (1 + len(adapters)), "tokens taken over": cached}  # fmt: skip


def invent(weights: Path, folder: Path, names: Sequence[str], seed: int) -> list[Adapter]:
    """Strong random adapters, `name@1` each."""
    return [
        Adapter(f"{name}@1", random_adapter(weights, folder / f"{name}.gguf", seed + place))
        for place, name in enumerate(names)
    ]


@asynccontextmanager
async def opened(
    weights: Path, adapters: Sequence[Adapter], folder: Path
) -> AsyncIterator[tuple[SwappingEngine, EdgeModel]]:
    """A started engine with these adapters, and its client."""
    make = partial(Engine, weights, context_tokens=512, slots=2, log_path=folder / "engine.log")
    engine = SwappingEngine(make, drain_s=60)
    await engine.set_adapters(adapters)
    await engine.start()
    model = EdgeModel("edge", engine.endpoint, "edge", timeout_s=120, default_max_tokens=WORDS, leases=engine.lease)
    try:
        yield engine, model
    finally:
        await model.close()
        await engine.stop(0)


def question(text: str, **more: Any) -> dict[str, Any]:
    """A greedy request over the shared prefix."""
    messages = [{"role": "system", "content": PREFIX}, {"role": "user", "content": text}]
    return {"messages": messages, "temperature": 0, "max_tokens": WORDS, **more}


async def cold_answers(
    weights: Path, adapters: Sequence[Adapter], folder: Path, questions: Sequence[str] = QUESTIONS
) -> dict[tuple[Ids, str], str]:
    """What each adapter, alone in a fresh engine and without the cache, answers; clear questions only.

    Raises ModelError: no question is clear for all of them.
    """
    found: dict[tuple[Ids, str], str] = {}
    unclear: set[str] = set()
    for adapter in (None, *adapters):
        ids = (adapter.id,) if adapter else ()
        async with opened(weights, [adapter] if adapter else [], folder) as (_, model):
            for text in questions:
                if text not in unclear:
                    body = question(text, cache_prompt=False, logprobs=True, top_logprobs=2)
                    choice = (await _whole(model, body, ids))["choices"][0]
                    found[ids, text] = choice["message"]["content"]
                    if _margin(choice) < CLEAR:
                        unclear.add(text)
    clear = {key: said for key, said in found.items() if key[1] not in unclear}
    if not clear:
        raise ModelError("no question has a clear answer with every adapter: choose another seed")
    return clear


async def _whole(model: EdgeModel, body: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    async with aclosing(cast(Any, model.chat(body, adapters=ids))) as chunks:
        return join_chunks([chunk async for chunk in chunks])


def _margin(choice: Mapping[str, Any]) -> float:
    """By how many nats the least certain word won."""
    tops = [token["top_logprobs"] for token in choice["logprobs"]["content"]]
    return min(float(first["logprob"] - second["logprob"]) for first, second in tops)


async def _alternate(
    engine: SwappingEngine, model: EdgeModel, adapters: Sequence[Adapter], cold: Mapping[tuple[Ids, str], str],
    alternations: int, seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """A third of the turns with A and B, a third while C is loaded, a third with all, each twice in a row.

    The second of two finds the cache of the first: how often the cache is used does not hang on the clock.
    """
    draw = random.Random(seed)
    texts = sorted({text for _, text in cold})
    rows = {ids: Counter(answers=0, differ=0, cached=0) for ids, _ in cold}
    pairs = [ids for _ in range(alternations) for ids in draw.sample(sorted(rows), len(rows)) for _ in range(2)]
    swap: asyncio.Task[Any] | None = None
    for number in range(alternations):
        if number == alternations // 3:
            swap = asyncio.create_task(engine.set_adapters(adapters))
        if swap is not None and number == alternations * 2 // 3:
            await swap
        loaded: list[Ids] = [(), *((id,) for id in engine.resident)]
        ids = draw.choice(loaded) if number < alternations * 2 // 3 else pairs.pop()
        text = draw.choice(texts)
        answer = await _whole(model, question(text), ids)
        row = rows[ids]
        row["answers"] += 1
        row["differ"] += answer["choices"][0]["message"]["content"] != cold[ids, text]
        row["cached"] += ((answer.get("usage") or {}).get("prompt_tokens_details") or {}).get("cached_tokens", 0) > 0
    return [{"adapter": ids[0] if ids else "none", **row} for ids, row in rows.items()]


async def taken_over(engine: SwappingEngine, adapter: Adapter) -> dict[str, int]:
    """Prompt tokens that llama.cpp takes from its cache for the plain model right after `adapter` has answered.

    Each is one that the adapter has read. Without the list this is the leak; with it there must be none.
    """
    import httpx

    endpoint, off = engine.endpoint(), Lease(engine.endpoint(), engine.resident).lora(())
    cached = {}
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {endpoint.api_key}"}, timeout=120, trust_env=False
    ) as client:
        for name, fields in (("without the list", {}), ("with it", {"lora": off})):
            on = Lease(endpoint, engine.resident).lora((adapter.id,))
            for lora in ({"lora": on}, fields):  # one slot: both must meet the same cache
                body = question(QUESTIONS[0], id_slot=0, **lora)
                answer = await client.post(f"{endpoint.base_url}/chat/completions", json=body)
            cached[name] = int(answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"])
    return cached
