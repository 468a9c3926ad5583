"""Rewrites the weights of a GGUF in another block format, measures each, and keeps the fastest on this machine.

Block formats (32 weights each): https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h.
Q4_0: float16 d, 16 bytes; weight = d * (q - 8), q in 0..15. Q4_1: float16 d and m; weight = d * q + m.
Q8_0: float16 d, 32 int8; weight = d * q. In both 4-bit formats the low halves of the bytes are weights 0..15 and
the high halves weights 16..31.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx
import numpy as np
from numpy.typing import NDArray

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.models.catalog import Catalog
from netgpt.models.engine import Engine
from netgpt.models.gguf import GgufHeader, Tensor, check_weights, read_header

BLOCK: Final = 32
ROWS: Final = 65_536
"""Blocks in work at once: 2 M weights, 8 MB of float32."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def requantize(source: Path, target: Path, form: str) -> Path:
    """Write `source` to `target` with its 4-bit matrices in `form` ("Q4_0" or "Q8_0"); the rest stays as it is.

    Raises RequestError when there is nothing to change, ModelUnavailable when the disk is full.
    """
    check_weights(source)
    header = read_header(source)
    number, file_type, _ = FORMATS[form]
    changed = [tensor.type in FOUR_BIT and tensor.type != number for tensor in header.tensors]
    if not any(changed):
        raise RequestError(f"{source}: holds no 4-bit weights in another format than {form}; nothing to do")
    part = target.with_name(f".{target.name}.part")
    try:
        with (
            source.open("rb") as old,
            os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_TRUNC, 0o600), "wb") as new,
        ):
            plan = _plan(header, changed, number)
            _write_header(old, new, header, plan, file_type)
            for tensor, placed, change in zip(header.tensors, plan, changed, strict=True):
                _pad(new, header.alignment)
                _write_tensor(old, new, header.data_at, tensor, form if change else None)
                assert new.tell() <= _data_at(header, plan) + placed.offset + (placed.bytes or 0)
            new.flush()
            os.fsync(new.fileno())
        part.replace(target)
    except OSError as error:
        raise ModelUnavailable(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return target


def _halves(blocks: Bytes) -> Floats:
    return np.concatenate([blocks & 15, blocks >> 4], axis=1).astype(np.float32)


def _float16(blocks: Bytes) -> Floats:
    return np.ascontiguousarray(blocks).view(np.float16).astype(np.float32)


def _read_q4_0(blocks: Bytes) -> Floats:
    return _float16(blocks[:, :2]) * (_halves(blocks[:, 2:]) - 8)


def _read_q4_1(blocks: Bytes) -> Floats:
    return _float16(blocks[:, :2]) * _halves(blocks[:, 4:]) + _float16(blocks[:, 2:4])


def _read_q8_0(blocks: Bytes) -> Floats:
    return _float16(blocks[:, :2]) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _write_q4_0(weights: Floats) -> Bytes:
    """The scale is searched: the one of several around (largest weight / -8) with the least squared error."""
    rows = np.arange(len(weights))
    extreme = weights[rows, np.abs(weights).argmax(axis=1)]
    best_error = np.full(len(weights), np.inf, np.float32)
    best = np.zeros((len(weights), 18), np.uint8)
    for divisor in (-8.0, -7.6, -7.2, -6.8, 8.0, 7.5, 7.0):
        scale = (extreme / divisor).astype(np.float16)
        wide = scale.astype(np.float32)[:, None]
        steps = np.divide(weights, wide, out=np.zeros_like(weights), where=wide != 0)
        codes = np.clip(np.rint(steps) + 8, 0, 15)
        error = np.square(wide * (codes - 8) - weights).sum(axis=1)
        better = error < best_error
        best_error[better] = error[better]
        small = codes[better].astype(np.uint8)
        best[better, :2] = scale[better].view(np.uint8).reshape(-1, 2)
        best[better, 2:] = small[:, :16] | (small[:, 16:] << 4)
    return best


def _write_q8_0(weights: Floats) -> Bytes:
    scale = (np.abs(weights).max(axis=1) / 127).astype(np.float16)
    wide = scale.astype(np.float32)[:, None]
    steps = np.divide(weights, wide, out=np.zeros_like(weights), where=wide != 0)
    codes = np.clip(np.rint(steps), -127, 127).astype(np.int8)
    return np.concatenate([scale.view(np.uint8).reshape(-1, 2), codes.view(np.uint8)], axis=1)


READERS: Final[dict[int, Callable[[Bytes], Floats]]] = {2: _read_q4_0, 3: _read_q4_1, 8: _read_q8_0}
"""By tensor type: blocks of one format, shape (n, bytes per block), as weights (n, 32)."""
FOUR_BIT: Final = (2, 3)
"""The types that are rewritten: finer ones (the embedding of a small model) are fine for a reason."""
FORMATS: Final[dict[str, tuple[int, int, Callable[[Floats], Bytes]]]] = {
    "Q4_0": (2, 2, _write_q4_0),
    "Q8_0": (8, 7, _write_q8_0),
}
"""Name -> tensor type, `general.file_type`, writer (weights (n, 32) as blocks, shape (n, bytes per block))."""


def _plan(header: GgufHeader, changed: list[bool], number: int) -> list[Tensor]:
    """The tensors as they will be: new types, and offsets that follow one another."""
    plan: list[Tensor] = []
    offset = 0
    for tensor, change in zip(header.tensors, changed, strict=True):
        placed = replace(tensor, type=number if change else tensor.type, offset=offset)
        if placed.bytes is None:
            raise RequestError(f"tensor {tensor.name} has a type that is not known here; it cannot be rewritten")
        plan.append(placed)
        offset = _aligned(offset + placed.bytes, header.alignment)
    return plan


def _write_header(old: BinaryIO, new: BinaryIO, header: GgufHeader, plan: list[Tensor], file_type: int) -> None:
    start = bytearray(old.read(header.tensors_at))
    if "general.file_type" in header.value_at:
        struct.pack_into("<I", start, header.value_at["general.file_type"], file_type)
    new.write(start)
    for tensor in plan:
        new.write(_tensor_entry(tensor))


def _tensor_entry(tensor: Tensor) -> bytes:
    name = tensor.name.encode("utf-8")
    shape = struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
    return b"".join(
        [struct.pack("<Q", len(name)), name, struct.pack("<I", len(tensor.shape)), shape,
         struct.pack("<IQ", tensor.type, tensor.offset)]
    )  # fmt: skip


def _data_at(header: GgufHeader, plan: list[Tensor]) -> int:
    return _aligned(header.tensors_at + sum(len(_tensor_entry(tensor)) for tensor in plan), header.alignment)


def _write_tensor(old: BinaryIO, new: BinaryIO, data_at: int, tensor: Tensor, form: str | None) -> None:
    old.seek(data_at + tensor.offset)
    left = tensor.bytes or 0
    size = (left // (tensor.weights // BLOCK)) if form else 1
    while left:
        data = old.read(min(left, ROWS * size if form else 1 << 20))
        if not data:
            raise RequestError(f"tensor {tensor.name}: the file ends within its data")
        left -= len(data)
        if form:
            blocks: Any = np.frombuffer(data, np.uint8).reshape(-1, size)
            data = FORMATS[form][2](READERS[tensor.type](blocks)).tobytes()
        new.write(data)


def _pad(file: BinaryIO, alignment: int) -> None:
    at = file.tell()
    file.write(b"\0" * (_aligned(at, alignment) - at))


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment


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
    size = path.stat().st_size  # noqa: ASYNC240  one look
    async with _Served(path, threads) as served:
        runs = [await served.speed(number) for number in range(repeats)]
        agreement = await served.agreement(reference) if reference else 1.0
    prompt, written = max(run[0] for run in runs), max(run[1] for run in runs)
    return Figures(prompt, written, agreement, size)


async def read_reference(path: Path, *, threads: int = 0) -> Reference:
    """Let the original weights answer a few questions, always by the likeliest token."""
    async with _Served(path, threads) as served:
        return [await served.answer(question) for question in QUESTIONS]


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
                so_far = prompt + answer[:place]
                found = await self._post("/completion", prompt=so_far, n_predict=1, return_tokens=True, top_k=1)
                same += found["tokens"][:1] == [expected]
                total += 1
        return same / total if total else 1.0

    async def _post(self, path: str, **body: Any) -> Any:
        try:
            answer = await self._client.post(path, json=body)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ModelUnavailable(f"The engine failed while it was measured ({type(error).__name__}).") from None


MIN_GAIN = 0.10
"""A format must save this share of a typical exchange's time, else the original stays."""
MIN_AGREEMENT = 0.85
"""Below this share of equal next tokens a format answers too differently."""


@dataclass(frozen=True)
class OptimizeReport:
    """What was measured, by format (the original's first), and which format serves from now on."""

    original: str
    chosen: str
    figures: dict[str, Figures] = field(default_factory=dict)
    why: str = ""


async def optimize(catalog: Catalog, name: str, *, threads: int = 0, say: Callable[[str], None]) -> OptimizeReport:
    """Requantize, measure and choose for the catalogue entry `name`; the choice is written to the catalogue.

    Raises NotFound, ModelUnavailable, RequestError (the weights are in no format that can be rewritten).
    """
    entry = catalog.show(name)
    source = catalog.original(entry)
    original = check_weights(source).quantization
    made: dict[str, Path] = {}
    try:
        for form in FORMATS:
            if form != original:
                say(f"writing {form}")
                target = catalog.models_dir / f"{entry.name}.{entry.sha256[:12]}.{form}.gguf"
                made[form] = requantize(source, target, form)
        say(f"measuring {original}")
        reference = await read_reference(source, threads=threads)
        figures = {original: await measure(source, reference, threads=threads)}
        for form, path in made.items():
            say(f"measuring {form}")
            figures[form] = await measure(path, reference, threads=threads)
        chosen, why = best_of(original, figures)
        kept = made.pop(chosen, None)
        best = figures[chosen]
        catalog.set_optimized(
            entry, kept,
            {"format": chosen, "prompt_per_s": round(best.prompt_per_s, 1),
             "written_per_s": round(best.written_per_s, 1), "agreement": round(best.agreement, 3)},
        )  # fmt: skip
        return OptimizeReport(original, chosen, figures, why)
    finally:
        for path in made.values():
            path.unlink(missing_ok=True)


def best_of(original: str, figures: dict[str, Figures]) -> tuple[str, str]:
    """The format to serve, and the reason in one sentence."""
    base = figures[original]
    able = {form: f for form, f in figures.items() if form == original or f.agreement >= MIN_AGREEMENT}
    fastest = min(able, key=lambda form: able[form].typical_s)
    gain = 1 - able[fastest].typical_s / base.typical_s
    if fastest == original or gain < MIN_GAIN:
        return original, f"{original} stays: no other format saves {MIN_GAIN:.0%} of the time and answers alike"
    return fastest, f"{fastest} saves {gain:.0%} of the time of a typical exchange"
