"""How to run on this machine: number format, threads, how much at once. Needs torch."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from netgpt.adapters.formats import ModelShape
from netgpt.errors import SettingsError, StoreError
from netgpt.training.lora.data import Encoded, Tree, build_prefix_tree, plan_batches
from netgpt.training.lora.model import SHORT, load_layer, places_of
from netgpt.training.lora.recipe import Recipe
from netgpt.training.lora.weights import Base

MB = 1_000_000
SMALLEST = 128
"""Tokens: computing fewer at once wastes the machine, so checkpointing is tried before that."""
NEAR = 0.8
FREE_SHARE = 0.6
"""How much of the free memory a training takes when no limit is given."""


@dataclass(frozen=True)
class MemoryPlan:
    """What was chosen to stay under the limit."""

    tokens_at_once: int
    """Of one forward and backward pass; a step of the optimizer sums several."""
    checkpointing: bool
    """Forget what is inside each layer and compute it again on the way back."""
    on_disk: bool
    """Keep the trunk's output in a file."""
    trunk_layers: int
    """Frozen layers loaded together."""
    estimate_mb: float
    limit_mb: float


def peak_mb() -> float:
    """The highest resident memory of this process so far (VmHWM), in MB of 10^6 bytes."""
    return _status("VmHWM")


def free_memory(limit_mb: float) -> None:
    """Return freed memory to the system when the process is near its limit: the C library keeps it otherwise."""
    if _status("VmRSS") >= NEAR * limit_mb and sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)


def device_of(recipe: Recipe) -> torch.device:
    """Raises SettingsError for a device that is not there."""
    if recipe.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(recipe.device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise SettingsError(f"device {recipe.device!r} is of no use here ({first}); take cpu or auto") from None
    return device


def threads_of(recipe: Recipe) -> int:
    return recipe.threads or len(os.sched_getaffinity(0))


def dtype_of(recipe: Recipe, shape: ModelShape, device: torch.device) -> torch.dtype:
    """The format asked for, or the faster one here: on a CPU bfloat16 may be twice as fast or twice as slow."""
    if recipe.dtype != "auto":
        return torch.float32 if recipe.dtype == "float32" else torch.bfloat16
    if device.type != "cpu":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if recipe.full:
        return torch.float32
    times = {dtype: _time_of(dtype, shape) for dtype in (torch.float32, torch.bfloat16)}
    return min(times, key=lambda dtype: times[dtype])


def _time_of(dtype: torch.dtype, shape: ModelShape) -> float:
    """Seconds of the largest product of a layer and its gradient: the best of five."""
    x = torch.ones(256, shape.hidden, dtype=dtype)
    weight = torch.ones(shape.inner, shape.hidden, dtype=dtype)
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        (x @ weight.T) @ weight
        best = min(best, time.perf_counter() - began)
    return best


def plan_memory(
    recipe: Recipe, shape: ModelShape, dtype: torch.dtype, device: torch.device, *, longest: int, stored_tokens: int
) -> MemoryPlan:
    """Choose what fits under the limit, the fastest first. Raises SettingsError that says what would fit.

    `longest`: tokens of the longest example; `stored_tokens`: of all examples, once each.
    """
    if device.type != "cpu":
        return MemoryPlan(max(recipe.batch_tokens, longest), recipe.full, False, shape.layers, 0.0, 0.0)
    limit = float(recipe.memory_mb) if recipe.memory_mb else _status("VmRSS") + FREE_SHARE * _free_mb()
    layers = shape.layers if recipe.layers is None or recipe.full else min(recipe.layers, shape.layers)
    steady = _status("VmRSS") + _steady_mb(recipe, shape, dtype, layers)
    stored = stored_tokens * shape.hidden * _width(dtype) / MB if layers < shape.layers else 0.0
    least = float("inf")
    for tokens, checkpointing in _choices(recipe.batch_tokens, longest):
        need = steady + tokens * _token_bytes(shape, dtype, layers, longest, checkpointing) / MB
        on_disk = stored > 16 and need + stored > limit
        need += 0 if on_disk else stored
        least = min(least, need)
        if need <= limit:
            room = max(limit - need, 0.0) + layers * _layer_mb(shape, dtype)
            trunk_layers = max(1, int(room / 2 / _layer_mb(shape, dtype)))
            return MemoryPlan(tokens, checkpointing, on_disk, trunk_layers, need, limit)
    raise SettingsError(
        f"training needs about {least:,.0f} MB, the limit is {limit:,.0f} MB. What helps: memory_mb = "
        f"{int(least * 1.05) + 1}, shorter examples (max_tokens, now up to {longest}), fewer trained layers "
        f"(layers, now {layers} of {shape.layers}), dtype bfloat16."
    )


def _choices(batch_tokens: int, longest: int) -> list[tuple[int, bool]]:
    """(tokens at once, checkpointing), the fastest first: splitting a step is cheap, computing twice is not."""
    sizes = []
    tokens = max(batch_tokens, longest)
    while tokens > max(longest, SMALLEST):
        sizes.append(tokens)
        tokens //= 2
    sizes.append(max(longest, min(tokens, SMALLEST)))
    return [(size, again) for again in (False, True) for size in sizes]


def _width(dtype: torch.dtype) -> int:
    """Bytes of a number."""
    return int(dtype.itemsize)


def _layer_mb(shape: ModelShape, dtype: torch.dtype) -> float:
    return shape.layer_weights * _width(dtype) / MB


def _steady_mb(recipe: Recipe, shape: ModelShape, dtype: torch.dtype, layers: int) -> float:
    """Weights of the trained layers, the embedding (twice when the head is another), the optimizer, the logits."""
    embedding = shape.vocab * shape.hidden * _width(dtype) / MB
    logits = 256 * shape.vocab * 2 * _width(dtype) / MB
    if recipe.full:
        return 5 * 4 * (shape.layers * shape.layer_weights + shape.vocab * shape.hidden) / MB + logits
    pairs = sum(sum(shape.sides(word)) for word in shape.family.targets(recipe.targets)) * recipe.rank * layers
    return layers * _layer_mb(shape, dtype) + embedding + 8 * 4 * pairs / MB + logits + 40.0


def _token_bytes(shape: ModelShape, dtype: torch.dtype, layers: int, longest: int, checkpointing: bool) -> float:
    """What one token keeps until the way back: the saved tensors, and a quarter more for gaps between them."""
    weights = shape.heads * longest if longest <= SHORT else 0
    inside = 9 * shape.hidden + 2 * sum(shape.fused_rows) + 3 * shape.inner + weights
    kept = shape.hidden * layers + inside if checkpointing else inside * layers
    return 1.25 * kept * _width(dtype)


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024 / MB
    return 0.0


def _free_mb() -> float:
    for line in Path("/proc/meminfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024 / MB
    return 0.0


# --- What the frozen lower layers make of the examples: computed once, kept over the epochs. Needs torch.
#
# The layers stream: a few are loaded, every example runs through them, they are dropped, the next ones come. The
# result stands in memory, or in a private file when it is large: read and written by position, because the pages of
# a memory map would count as memory.


class HiddenStates:
    """(tokens, width) vectors, one after another for each example; `path`: in this file instead of memory."""

    def __init__(self, lengths: Sequence[int], width: int, dtype: torch.dtype, path: Path | None = None) -> None:
        self.lengths, self.width, self.dtype = lengths, width, dtype
        self._starts = [0]
        for length in lengths:
            self._starts.append(self._starts[-1] + length)
        self._row_bytes = width * dtype.itemsize
        self._file: int | None = None
        self._memory: Tensor | None = None
        if path is None:
            self._memory = torch.empty(self._starts[-1], width, dtype=dtype)
            return
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        path.unlink()  # nobody else needs its name, and nothing is left behind by a kill
        try:
            os.posix_fallocate(self._file, 0, max(1, self._starts[-1] * self._row_bytes))
        except OSError as error:
            raise StoreError(
                f"{path.parent}: {self._starts[-1] * self._row_bytes / 1e6:,.0f} MB are needed for activations "
                f"({error.strerror}); free some space, or train fewer examples"
            ) from None

    def get(self, example: int) -> Tensor:
        """(length, width) of one example."""
        start, count = self._starts[example], self.lengths[example]
        if self._memory is not None:
            return self._memory[start : start + count]
        assert self._file is not None
        data = bytearray(os.pread(self._file, count * self._row_bytes, start * self._row_bytes))
        return torch.frombuffer(data, dtype=self.dtype).view(count, self.width)

    def put(self, example: int, rows: Tensor) -> None:
        start = self._starts[example]
        if self._memory is not None:
            self._memory[start : start + len(rows)] = rows
            return
        assert self._file is not None
        data = rows.contiguous().cpu().view(torch.uint8).numpy()
        os.pwrite(self._file, memoryview(data).cast("B"), start * self._row_bytes)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._memory = None


def run_trunk(
    base: Base,
    examples: Sequence[Encoded],
    hidden: HiddenStates,
    embedded: Callable[[Tensor, Tensor], Tensor],
    layers: range,
    *,
    at_once: int,
    batch_tokens: int,
    device: torch.device,
    told: Callable[[float], None],
) -> None:
    """Fill `hidden` with the output of `layers`, `at_once` of them loaded together. `told` hears the share done.

    `embedded` makes the first vectors from tokens and depths.
    """
    batches = plan_batches([len(example.ids) for example in examples], batch_tokens, 0, 0)
    groups = [layers[start : start + at_once] for start in range(0, len(layers), at_once)]
    done = 0
    for group in groups:
        loaded = [load_layer(base, number, device, hidden.dtype) for number in group]
        for batch in batches:
            tree = build_prefix_tree([examples[at] for at in batch])
            places = places_of(tree, base.shape, device, hidden.dtype)
            with torch.no_grad():
                if group.start == layers.start:
                    x = embedded(places.tokens, places.depths)
                else:
                    x = stored_vectors(hidden, batch, tree).to(device)
                for layer in loaded:
                    x = layer.forward(x, base.shape, places, {})
                for at, path in zip(batch, tree.paths, strict=True):
                    hidden.put(at, x.index_select(0, torch.tensor(path, device=device)).cpu())
            done += 1
            told(done / (len(groups) * len(batches)))


def stored_vectors(hidden: HiddenStates, batch: Sequence[int], tree: Tree) -> Tensor:
    """(N, width) of the nodes of a tree that `batch` made, and zeros for what fills them up."""
    first: dict[int, int] = {}
    place = 0
    for path in tree.paths:
        for node in path:
            first.setdefault(node, place)
            place += 1
    rows = torch.cat([hidden.get(at) for at in batch])
    vectors = rows.new_zeros(tree.filled, hidden.width)
    vectors[: len(first)] = rows.index_select(0, torch.tensor([first[node] for node in range(len(first))]))
    return vectors
