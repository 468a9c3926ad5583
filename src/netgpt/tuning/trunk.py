"""What the frozen lower layers make of the examples: computed once, kept over the epochs. Needs torch.

The layers stream: a few are loaded, every example runs through them, they are dropped, the next ones come. The
result stands in memory, or in a private file when it is large: read and written by position, because the pages of a
memory map would count as memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from netgpt.errors import StoreError
from netgpt.tuning.bases import Base
from netgpt.tuning.batches import Tree, grow, plan_batches
from netgpt.tuning.layers import load_layer, places_of
from netgpt.tuning.tokens import Encoded

__all__ = ["HiddenStates", "run_trunk", "stored_vectors"]


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
            tree = grow([examples[at] for at in batch])
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
