"""The model that is trained: embedding, the layers from the lowest trained one up, head. Needs torch."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from netgpt.adapters.formats import ModelShape
from netgpt.training.lora.data import Tree
from netgpt.training.lora.recipe import Recipe
from netgpt.training.lora.weights import Base

# --- Causal attention for training on short rows, written out with its way back. Needs torch.
#
# PyTorch's fused kernel is made for long rows: at 130 tokens on a CPU its way back takes three times as long as
# plain products (docs/log.md). Long rows and other devices still go through it.

SHORT = 512
"""Tokens of a row up to which the weights of attention are kept whole: heads * SHORT numbers a token and layer."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(B, L, heads, head_dim) and twice (B, L, kv_heads, head_dim) -> (B, L, heads * head_dim)."""
    if q.device.type == "cpu" and q.shape[1] <= SHORT:
        out: Tensor = _Short.apply(q, k, v)
        return out
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    grouped = q.shape[1] != k.shape[1]
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    return mixed.transpose(1, 2).flatten(2)


class _Short(torch.autograd.Function):  # type: ignore[misc]
    """The query heads that share a key head stand as more rows of one product: keys are never repeated."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        sizes = (*q.shape, k.shape[2])
        q, k, v = _grouped(q, sizes), _by_head(k), _by_head(v)
        weights = _softmax(q, k, sizes)
        ctx.save_for_backward(q, k, v, weights)
        ctx.sizes = sizes
        return _ungrouped(torch.bmm(weights, v), sizes).flatten(2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        q, k, v, weights = ctx.saved_tensors
        batch, length, heads, width, kv_heads = ctx.sizes
        grad = _grouped(grad.view(batch, length, heads, width), ctx.sizes)
        inner = torch.bmm(grad, v.transpose(1, 2))
        inner = torch._softmax_backward_data(inner, weights, -1, weights.dtype).mul_(width**-0.5)
        grad_k, grad_v = torch.bmm(inner.transpose(1, 2), q), torch.bmm(weights.transpose(1, 2), grad)
        back = (batch, kv_heads, length, width)
        return (
            _ungrouped(torch.bmm(inner, k), ctx.sizes),
            grad_k.view(back).transpose(1, 2),
            grad_v.view(back).transpose(1, 2),
        )


Sizes = tuple[int, ...]
"""(B, L, heads, head_dim, kv_heads)"""


def _softmax(q: Tensor, k: Tensor, sizes: Sizes) -> Tensor:
    length, rows = sizes[1], q.shape[1] // sizes[1]
    mask = torch.full((length, length), float("-inf"), dtype=q.dtype).triu_(1).repeat(rows, 1)
    return torch.baddbmm(mask, q, k.transpose(1, 2), alpha=sizes[3] ** -0.5).softmax(-1)


def _grouped(x: Tensor, sizes: Sizes) -> Tensor:
    """(B, L, heads, d) -> (B * kv_heads, heads / kv_heads * L, d)."""
    batch, length, heads, width, kv_heads = sizes
    apart = x.view(batch, length, kv_heads, heads // kv_heads, width)
    return apart.permute(0, 2, 3, 1, 4).reshape(batch * kv_heads, -1, width)


def _ungrouped(x: Tensor, sizes: Sizes) -> Tensor:
    """Back to (B, L, heads, d)."""
    batch, length, heads, width, kv_heads = sizes
    apart = x.view(batch, kv_heads, heads // kv_heads, length, width)
    return apart.permute(0, 3, 1, 2, 4).reshape(batch, length, heads, width)


def _by_head(x: Tensor) -> Tensor:
    """(B, L, kv_heads, d) -> (B * kv_heads, L, d)."""
    return x.transpose(1, 2).flatten(0, 1)


# --- The forward pass of one layer, for both families, over a tree of tokens (see `batches`). Needs torch.
#
# Frozen matrices get no gradient; the adapter's pair is added to a matrix in one step whose backward pass is
# written out. Figures and variants tried are in docs/log.md.

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


# --- The loss of the answers' tokens, without ever holding all their logits. Needs torch.

MOST_ROWS = 256
"""Rows of logits that exist at once: more are no faster, and a row has as many numbers as there are tokens."""
TINY = 1e-37
"""The least chance that is told from none: a loss of 85 nats."""


def answer_loss(x: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Summed cross entropy of (R, hidden) against the tokens (R). `head` (vocab, hidden) is frozen or trained."""
    if not head.requires_grad:
        total: Tensor = _AnswerLoss.apply(x, head, targets)
        return total
    parts = [
        functional.cross_entropy((x[part] @ head.T).float(), targets[part], reduction="sum") for part in _parts(len(x))
    ]
    return torch.stack(parts).sum()


class _AnswerLoss(torch.autograd.Function):  # type: ignore[misc]
    """Sum of the cross entropies of `x @ head.T`; the gradient is formed beside it, a few rows at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        grad = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        for part in _parts(len(x)):
            count = len(x[part])
            filled = functional.pad(x[part], (0, 0, 0, part.stop - part.start - count))  # few shapes: see layers.Places
            chances = (filled @ head.T).softmax(-1)
            total += _told(chances[:count], targets[part, None])
            if grad is not None:
                grad[part] = (chances @ head)[:count]
        if grad is not None:
            ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * weight.to(grad.dtype), None, None


def _parts(count: int) -> list[slice]:
    """Slices of equal length, a multiple of 64."""
    parts = -(-count // MOST_ROWS)
    length = -(-count // (64 * parts)) * 64
    return [slice(start, start + length) for start in range(0, count, length)]


def _told(chances: Tensor, wanted: Tensor) -> Tensor:
    """The loss of (R, vocab) chances, which become the logits' gradient in place.

    A chance near 1 is coarse in bfloat16, but what is left of it is the sum of the others: taken from there, a token
    that is nearly known keeps an exact loss and gradient.
    """
    mine = chances.gather(1, wanted).float()
    others = chances.scatter_(1, wanted, 0.0).sum(1, keepdim=True, dtype=torch.float32)
    chances.scatter_(1, wanted, -others.to(chances.dtype))
    near = others < 0.5
    mine = torch.where(near, torch.log1p(-others.clamp_max(0.5)), mine.clamp_min(TINY).log())
    return -mine.sum()


class Net:
    """`trained`: what the optimizer changes, by name: the adapter's pairs in fp32, or every weight."""

    def __init__(self, base: Base, recipe: Recipe, device: torch.device, dtype: torch.dtype) -> None:
        self.base, self.shape, self.recipe = base, base.shape, recipe
        self.device, self.dtype = device, dtype
        count = self.shape.layers if recipe.layers is None or recipe.full else min(recipe.layers, self.shape.layers)
        self.lowest = self.shape.layers - count
        """Number of the lowest trained layer; those below are the trunk."""
        names = base.names
        outer = [name for name in self.shape.family.outer if name in names]
        self.outer = {name: base.read(name, dtype).to(device) for name in outer}
        self.layers: list[Layer] = []
        self.trained: dict[str, Tensor] = {}

    def load(self) -> None:
        """Read the layers that are trained or stand above one, and make what is trained."""
        numbers = range(self.lowest, self.shape.layers)
        self.layers = [load_layer(self.base, number, self.device, self.dtype) for number in numbers]
        self.trained = self._every_weight() if self.recipe.full else self._fresh_pairs()
        for tensor in self.trained.values():
            tensor.requires_grad_(True)

    def embedded(self, tokens: Tensor, depths: Tensor) -> Tensor:
        """(N) tokens at (N) depths -> (N, hidden)."""
        x = torch.nn.functional.embedding(tokens, self.outer["token_embd.weight"])
        positions = self.outer.get("position_embd.weight")
        return x if positions is None else x + torch.nn.functional.embedding(depths, positions)

    def loss(self, tree: Tree, x: Tensor | None, *, checkpointing: bool = False) -> Tensor:
        """Summed loss of the tree's answers. `x`: what the trunk made of the nodes; None: begin with the tokens."""
        places = places_of(tree, self.shape, self.device, self.dtype)
        if x is None:
            x = self.embedded(places.tokens, places.depths)
        wanted = sorted(set(tree.rows))
        wanted += wanted[:1] * (-len(wanted) % 64)  # as nodes are filled up, see `TreeLayout`
        for number, layer in enumerate(self.layers, self.lowest):
            top = number == self.shape.layers - 1
            keep = torch.tensor(wanted, device=self.device) if top else None
            x = self._run(layer, number, x, places, keep, checkpointing)
        at = {node: place for place, node in enumerate(wanted)}
        rows = torch.tensor([at[node] for node in tree.rows], device=self.device)
        head = self.outer.get("output.weight", self.outer["token_embd.weight"])
        x = normed(x, self.outer, "output_norm", self.shape).index_select(0, rows)
        return answer_loss(x, head, torch.tensor(tree.targets, device=self.device))

    def _run(
        self, layer: Layer, number: int, x: Tensor, places: TreeLayout, keep: Tensor | None, checkpointing: bool
    ) -> Tensor:
        forward = partial(layer.forward, shape=self.shape, places=places, pairs=self._pairs(number), keep=keep)
        if not checkpointing or not torch.is_grad_enabled():
            return forward(x)
        from torch.utils.checkpoint import checkpoint  # it brings much along

        again: Tensor = checkpoint(forward, x, use_reentrant=False, preserve_rng_state=False)
        return again

    def _pairs(self, number: int) -> Pairs:
        """The pairs of a layer as its matrices take them."""
        if self.recipe.full:
            return {}
        scale = self.recipe.alpha / self.recipe.rank
        found = {}
        for word in self.shape.family.targets(self.recipe.targets):
            a, b = (self.trained[f"blk.{number}.{word}.lora_{side}"] for side in "ab")
            found[word] = (a.to(self.dtype), (b * scale).to(self.dtype))
        return found

    def _fresh_pairs(self) -> dict[str, Tensor]:
        """A is uniform within 1/sqrt(in), as PEFT draws it; B is zero, so that the adapter begins as nothing."""
        pairs: dict[str, Tensor] = {}
        dice = torch.Generator().manual_seed(random.Random(self.recipe.seed).getrandbits(62))  # noqa: S311  weights, no secret
        for number in range(self.lowest, self.shape.layers):
            for word in self.shape.family.targets(self.recipe.targets):
                out, width = self.shape.sides(word)
                a = (torch.rand(self.recipe.rank, width, generator=dice) * 2 - 1) / width**0.5
                pairs[f"blk.{number}.{word}.lora_a"] = a.to(self.device)
                pairs[f"blk.{number}.{word}.lora_b"] = torch.zeros(out, self.recipe.rank, device=self.device)
        return pairs

    def _every_weight(self) -> dict[str, Tensor]:
        weights = dict(self.outer)
        for number, layer in enumerate(self.layers):
            weights |= {f"blk.{number}.{word}.weight": tensor for word, tensor in layer.matrices.items()}
            weights |= {f"blk.{number}.{word}.bias": tensor for word, tensor in layer.biases.items()}
            weights |= {f"blk.{number}.{name}": tensor for name, tensor in layer.norms.items()}
        return weights

    def unjoined(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every weight by the name under which a model stores it: joined matrices taken apart again."""
        if self.shape.architecture == "gpt2":
            return dict(weights)
        apart: dict[str, Tensor] = {}
        joined = {
            "attn_qkv": (("attn_q", "attn_k", "attn_v"), self.shape.fused_rows),
            "ffn_up": (("ffn_gate", "ffn_up"), (self.shape.inner, self.shape.inner)),
        }
        for name, tensor in weights.items():
            word = name.split(".")[2] if name.startswith("blk.") else ""
            if word not in joined:
                apart[name] = tensor
                continue
            words, rows = joined[word]
            for part, piece in zip(words, tensor.split(list(rows)), strict=True):
                apart[name.replace(word, part)] = piece
        return apart

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put values back into what is trained."""
        with torch.no_grad():
            for name, tensor in self.trained.items():
                tensor.copy_(tensors[name])
