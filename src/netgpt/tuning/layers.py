"""The forward pass of one layer, for both families, over a tree of tokens (see `batches`). Needs torch.

Frozen matrices get no gradient; the adapter's pair is added to a matrix in one step whose backward pass is written
out. Figures and variants tried are in docs/log.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from netgpt.adapters.families import ModelShape
from netgpt.tuning.attention import attend
from netgpt.tuning.bases import Base
from netgpt.tuning.batches import Tree

__all__ = ["Layer", "Pairs", "TreeLayout", "load_layer", "normed", "places_of"]

Pairs = Mapping[str, tuple[Tensor, Tensor]]
"""A layer's adapter by GGUF word: A (rank, in) and B (out, rank), already scaled and in the dtype of computing."""


@dataclass(frozen=True)
class TreeLayout:
    """Where the nodes of a tree stand, as tensors. N nodes, B examples of at most L tokens.

    N and L are rounded up: the library keeps some megabytes for each new shape of a product, and without rounding
    every batch is a new shape. Nodes added for that stand nowhere, so they take no part in anything.
    """

    tokens: Tensor
    depths: Tensor
    index: Tensor
    """(B * L) node at each place of the padded rows."""
    first: Tensor
    """(N) the first place of each node."""
    real: int
    """How many nodes the tree has; those after them only fill up."""
    count: int
    longest: int
    cosine: Tensor | None = None
    sine: Tensor | None = None
    """(N, 1, head_dim) rotation of each node; None for families that add positions to the embedding."""


@dataclass(frozen=True)
class Layer:
    """One layer's weights: matrices by GGUF word (q, k, v as one "attn_qkv"; gate and up as one "ffn_up")."""

    matrices: Mapping[str, Tensor]
    biases: Mapping[str, Tensor]
    norms: Mapping[str, Tensor]

    def forward(
        self, x: Tensor, shape: ModelShape, places: TreeLayout, pairs: Pairs, keep: Tensor | None = None
    ) -> Tensor:
        """(N, hidden) -> (N, hidden); with `keep` the nodes whose output is wanted at all: (K, hidden)."""
        mixed = self._mixed(normed(x, self.norms, "attn_norm", shape), shape, places, pairs, keep)
        if keep is not None:
            x = x.index_select(0, keep)
        x = x + mixed
        return x + self._fed(normed(x, self.norms, "ffn_norm", shape), shape, pairs)

    def _mixed(self, x: Tensor, shape: ModelShape, places: TreeLayout, pairs: Pairs, keep: Tensor | None) -> Tensor:
        rows = shape.fused_rows
        words = ("attn_q", "attn_k", "attn_v")
        pair = pairs.get("attn_qkv") or _joined(pairs, words, rows)
        q, k, v = self._linear(x, "attn_qkv", pair).split(rows, dim=-1)
        q, k = (_rotated(part.unflatten(-1, (-1, shape.head_dim)), places) for part in (q, k))
        attended = _attended(q, k, v.unflatten(-1, (-1, shape.head_dim)), places, keep)
        return self._linear(attended, "attn_output", pairs.get("attn_output"))

    def _fed(self, x: Tensor, shape: ModelShape, pairs: Pairs) -> Tensor:
        if shape.architecture == "gpt2":
            inner = functional.gelu(self._linear(x, "ffn_up", pairs.get("ffn_up")), approximate="tanh")
        else:
            pair = _joined(pairs, ("ffn_gate", "ffn_up"), (shape.inner, shape.inner))
            inner = _Gated.apply(self._linear(x, "ffn_up", pair))
        return self._linear(inner, "ffn_down", pairs.get("ffn_down"))

    def _linear(self, x: Tensor, word: str, pair: tuple[Tensor, Tensor] | None) -> Tensor:
        weight, bias = self.matrices[word], self.biases.get(word)
        if pair is None:
            return functional.linear(x, weight, bias)
        if weight.requires_grad:  # full training takes no pairs; this is for those who mix both
            return functional.linear(x, weight, bias) + (x @ pair[0].T) @ pair[1].T
        out: Tensor = _Adapted.apply(x, weight, bias, *pair)
        return out


class _Adapted(torch.autograd.Function):  # type: ignore[misc]
    """`x W' + bias + (x A') B'` with a frozen W: no gradient of W is ever formed, and sums happen in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
        low = x @ a.T
        ctx.save_for_backward(x, low, weight, a, b)
        return functional.linear(x, weight, bias).addmm_(low, b.T)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, low, weight, a, b = ctx.saved_tensors
        grad_low = grad @ b
        grad_x = (grad @ weight).addmm_(grad_low, a) if ctx.needs_input_grad[0] else None
        return grad_x, None, None, grad_low.T @ x, grad.T @ low


class _Gated(torch.autograd.Function):  # type: ignore[misc]
    """`silu(gate) * up` of the joined (N, 2 * inner); keeps its input only."""

    @staticmethod
    def forward(ctx: Any, joined: Tensor) -> Tensor:
        ctx.save_for_backward(joined)
        gate, up = joined.chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (joined,) = ctx.saved_tensors
        gate, up = joined.chunk(2, dim=-1)
        out = torch.empty_like(joined)
        out_gate, out_up = out.chunk(2, dim=-1)
        torch.mul(grad, functional.silu(gate), out=out_up)
        out_gate.copy_(torch.ops.aten.silu_backward(grad * up, gate))
        return out


class _Spread(torch.autograd.Function):  # type: ignore[misc]
    """Nodes to places: `x[index]`. Backward sums over a node's places: a copy, then the few repeats are added."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, first: Tensor, real: int) -> Tensor:
        ctx.save_for_backward(index, first)
        ctx.real = real
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        index, first = ctx.saved_tensors
        total = grad.index_select(0, first)
        total[ctx.real :] = 0
        repeats = torch.ones(len(index), dtype=torch.bool, device=index.device)
        repeats[first] = False
        at = repeats.nonzero().squeeze(1)
        if len(at):
            total.index_add_(0, index[at], grad.index_select(0, at))
        return total, None, None, None


def places_of(tree: Tree, shape: ModelShape, device: torch.device, dtype: torch.dtype) -> TreeLayout:
    """The tree as tensors. Padding places point at node 0: their output is never read and gets no gradient."""
    real, longest = len(tree.tokens), tree.longest
    filler = [0] * (tree.filled - real)
    depths = torch.tensor(tree.depths + filler, device=device)
    index = torch.zeros(len(tree.paths), longest, dtype=torch.long)
    first = [0] * tree.filled
    for row in range(len(tree.paths) - 1, -1, -1):
        path = tree.paths[row]
        index[row, : len(path)] = torch.tensor(path)
        for at, node in enumerate(path):
            first[node] = row * longest + at
    cosine, sine = _rotations(shape, depths, dtype) if shape.family.name == "llama" else (None, None)
    return TreeLayout(
        torch.tensor(tree.tokens + filler, device=device), depths, index.flatten().to(device),
        torch.tensor(first, device=device), real, len(tree.paths), longest, cosine, sine,
    )  # fmt: skip


def normed(x: Tensor, norms: Mapping[str, Tensor], word: str, shape: ModelShape) -> Tensor:
    """LayerNorm for gpt2, RMSNorm for llama: the sum of squares in fp32, as Hugging Face does."""
    weight = norms[f"{word}.weight"]
    if shape.architecture == "gpt2":
        return functional.layer_norm(x, (shape.hidden,), weight, norms[f"{word}.bias"], shape.norm_eps)
    return functional.rms_norm(x, (shape.hidden,), weight, shape.norm_eps)


def load_layer(base: Base, number: int, device: torch.device, dtype: torch.dtype) -> Layer:
    """Read one layer. Matrices that read the same input are joined, so that one product serves them."""
    names = base.names

    def read(word: str, kind: str) -> Tensor:
        return base.read(f"blk.{number}.{word}.{kind}", dtype).to(device)

    matrices, biases = {}, {}
    groups = {"attn_qkv": ("attn_q", "attn_k", "attn_v"), "ffn_up": ("ffn_gate", "ffn_up")}
    for word in ("attn_qkv", "attn_output", "ffn_up", "ffn_down"):
        parts = (word,) if base.shape.architecture == "gpt2" else groups.get(word, (word,))
        matrices[word] = torch.cat([read(part, "weight") for part in parts])
        if f"blk.{number}.{parts[0]}.bias" in names:
            biases[word] = torch.cat([read(part, "bias") for part in parts])
    kinds = [(word, kind) for word in ("attn_norm", "ffn_norm") for kind in ("weight", "bias")]
    norms = {f"{word}.{kind}": read(word, kind) for word, kind in kinds if f"blk.{number}.{word}.{kind}" in names}
    return Layer(matrices, biases, norms)


def _joined(pairs: Pairs, words: tuple[str, ...], rows: tuple[int, ...]) -> tuple[Tensor, Tensor] | None:
    """The pairs of matrices that are stored as one: A one above another, B as blocks on the diagonal."""
    there = [word for word in words if word in pairs]
    if not there:
        return None
    blocks = [
        pairs[word][1] if word in pairs else next(iter(pairs.values()))[1].new_zeros(count, 0)
        for word, count in zip(words, rows, strict=True)
    ]
    return torch.cat([pairs[word][0] for word in there]), torch.block_diag(*blocks)


def _rotations(shape: ModelShape, depths: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    half = torch.arange(0, shape.head_dim, 2, device=depths.device, dtype=torch.float32) / shape.head_dim
    angles = depths[:, None].float() / shape.rope_theta**half
    angles = torch.cat((angles, angles), dim=-1)[:, None, :]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _rotated(x: Tensor, places: TreeLayout) -> Tensor:
    """Rotary positions (arXiv 2104.09864) on (N, heads, head_dim), pairs half a head apart."""
    if places.cosine is None or places.sine is None:
        return x
    left, right = x.chunk(2, dim=-1)
    return x * places.cosine + torch.cat((-right, left), dim=-1) * places.sine


def _attended(q: Tensor, k: Tensor, v: Tensor, places: TreeLayout, keep: Tensor | None) -> Tensor:
    """Causal attention within each example: (N, heads, head_dim) thrice -> (N or K, heads * head_dim)."""

    def rows(x: Tensor) -> Tensor:
        spread: Tensor = _Spread.apply(x.flatten(1), places.index, places.first, places.real)
        return spread.view(places.count, places.longest, *x.shape[1:])

    flat = attend(rows(q), rows(k), rows(v)).flatten(0, 1)
    return flat.index_select(0, places.first if keep is None else places.first.index_select(0, keep))
