"""How to train on this machine: number format, threads, the memory plan, and the frozen layers' stored output.

Needs torch.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path

import torch
from torch import Tensor

from netgpt.adapters.formats import ModelShape
from netgpt.errors import SettingsError, StoreError
from netgpt.training.lora.data import Encoded, PrefixTree, build_prefix_tree, plan_batches
from netgpt.training.lora.model import SHORT, layout_of, load_layer
from netgpt.training.lora.recipe import Recipe
from netgpt.training.lora.weights import Base

MB = 1_000_000
SMALLEST = 128
"""Tokens: computing fewer at once wastes the machine, so checkpointing is tried before that."""
NEAR_LIMIT = 0.8
FREE_SHARE = 0.6
"""How much of the free memory a training takes when no limit is given."""


@dataclass(frozen=True)
class MemoryPlan:
    """What was chosen to stay under the memory limit."""

    tokens_at_once: int
    """Of one forward and backward pass; a step of the optimizer sums several."""
    checkpointing: bool
    """Drop each layer's activations and compute them again in the backward pass."""
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
    if _status("VmRSS") >= NEAR_LIMIT * limit_mb and sys.platform == "linux":
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
        why = str(error).splitlines()[0]
        raise SettingsError(f"device {recipe.device!r} cannot be used here ({why}); take cpu or auto") from None
    return device


def dtype_of(recipe: Recipe, shape: ModelShape, device: torch.device) -> torch.dtype:
    """The recipe's format, or the faster one here: on a CPU bfloat16 may be twice as fast or twice as slow."""
    if recipe.dtype != "auto":
        return torch.float32 if recipe.dtype == "float32" else torch.bfloat16
    if device.type != "cpu":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if recipe.full:
        return torch.float32
    return min((torch.float32, torch.bfloat16), key=lambda dtype: _time_of(dtype, shape))


def _time_of(dtype: torch.dtype, shape: ModelShape) -> float:
    """Seconds of the largest product of a layer and its gradient: the best of six."""
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
    limit = (
        float(recipe.memory_mb)
        if recipe.memory_mb
        else _status("VmRSS") + FREE_SHARE * _status("MemAvailable", "/proc/meminfo")
    )
    layers = shape.layers if recipe.layers is None or recipe.full else min(recipe.layers, shape.layers)
    steady = _status("VmRSS") + _steady_mb(recipe, shape, dtype, layers)
    layer_mb = shape.layer_weights * dtype.itemsize / MB
    stored = stored_tokens * shape.hidden * dtype.itemsize / MB if layers < shape.layers else 0.0
    least = float("inf")
    for tokens, checkpointing in _choices(recipe.batch_tokens, longest):
        need = steady + tokens * _token_bytes(shape, dtype, layers, longest, checkpointing) / MB
        on_disk = stored > 16 and need + stored > limit
        need += 0 if on_disk else stored
        least = min(least, need)
        if need <= limit:
            room = max(limit - need, 0.0) + layers * layer_mb
            return MemoryPlan(tokens, checkpointing, on_disk, max(1, int(room / 2 / layer_mb)), need, limit)
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


def _steady_mb(recipe: Recipe, shape: ModelShape, dtype: torch.dtype, layers: int) -> float:
    """Weights of the trained layers, embedding, optimizer and logits."""
    width = int(dtype.itemsize)
    embedding = shape.vocab * shape.hidden * width / MB
    logits = 256 * shape.vocab * 2 * width / MB
    if recipe.full:
        return 5 * 4 * (shape.layers * shape.layer_weights + shape.vocab * shape.hidden) / MB + logits
    pairs = sum(sum(shape.sides(word)) for word in shape.family.targets(recipe.targets)) * recipe.rank * layers
    return layers * shape.layer_weights * width / MB + embedding + 8 * 4 * pairs / MB + logits + 40.0


def _token_bytes(shape: ModelShape, dtype: torch.dtype, layers: int, longest: int, checkpointing: bool) -> float:
    """What one token keeps until the backward pass: the saved tensors, and a quarter more for fragmentation."""
    weights = shape.heads * longest if longest <= SHORT else 0
    inside = 9 * shape.hidden + 2 * sum(shape.fused_rows) + 3 * shape.inner + weights
    kept = shape.hidden * layers + inside if checkpointing else inside * layers
    return 1.25 * kept * int(dtype.itemsize)


def _status(key: str, file: str = "/proc/self/status") -> float:
    """MB of 10^6 bytes of one line of a file of the kernel; 0 when there is none."""
    for line in Path(file).read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024 / MB
    return 0.0


class HiddenStates:
    """The frozen layers' output: (tokens, width) vectors, one after another for each example.

    It is computed once and kept over the epochs, in memory or in the private file `path`: read and written by
    position, because the pages of a memory map would count as memory.
    """

    def __init__(self, lengths: Sequence[int], width: int, dtype: torch.dtype, path: Path | None = None) -> None:
        self.lengths, self.width, self.dtype = lengths, width, dtype
        self._starts = list(accumulate(lengths, initial=0))
        self._row_bytes = width * dtype.itemsize
        self._file: int | None = None
        self._memory: Tensor | None = None
        if path is None:
            self._memory = torch.empty(self._starts[-1], width, dtype=dtype)
            return
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_TRUNC, 0o600)
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
) -> None:
    """Fill `hidden` with the output of `layers`: `at_once` are loaded, all examples run through them, the next follow.

    `embedded` makes the first vectors from tokens and depths.
    """
    batches = plan_batches([len(example.ids) for example in examples], batch_tokens, 0, 0)
    for start in range(0, len(layers), at_once):
        group = layers[start : start + at_once]
        loaded = [load_layer(base, number, device, hidden.dtype) for number in group]
        for batch in batches:
            tree = build_prefix_tree([examples[at] for at in batch])
            layout = layout_of(tree, base.shape, device, hidden.dtype)
            with torch.no_grad():
                if group.start == layers.start:
                    x = embedded(layout.tokens, layout.depths)
                else:
                    x = stored_vectors(hidden, batch, tree).to(device)
                for layer in loaded:
                    x = layer.forward(x, base.shape, layout, {})
                for at, path in zip(batch, tree.paths, strict=True):
                    hidden.put(at, x.index_select(0, torch.tensor(path, device=device)).cpu())


def stored_vectors(hidden: HiddenStates, batch: Sequence[int], tree: PrefixTree) -> Tensor:
    """(N, width) of the nodes of the tree that `batch` made, and zeros for its padding."""
    first: dict[int, int] = {}
    for place, node in enumerate(chain.from_iterable(tree.paths)):
        first.setdefault(node, place)
    rows = torch.cat([hidden.get(at) for at in batch])
    vectors = rows.new_zeros(tree.padded_nodes, hidden.width)
    vectors[: len(first)] = rows.index_select(0, torch.tensor([first[node] for node in range(len(first))]))
    return vectors
