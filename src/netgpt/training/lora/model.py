"""The model that is trained: embedding, the layers from the lowest trained one up, head, and the answers' loss.

Backward passes are written out where PyTorch's own are slow or waste memory; figures and variants tried are in
docs/log.md. Needs torch.
"""

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
from netgpt.training.lora.data import PrefixTree
from netgpt.training.lora.recipe import Recipe
from netgpt.training.lora.weights import Base

SHORT = 512
"""Tokens of a row up to which the attention weights are kept whole: heads * SHORT numbers a token and layer."""
JOINED = {"attn_qkv": ("attn_q", "attn_k", "attn_v"), "ffn_up": ("ffn_gate", "ffn_up")}
"""Matrices of llama that read the same input, joined so that one product serves them; GPT-2 stores them so."""
Pairs = Mapping[str, tuple[Tensor, Tensor]]
"""A layer's adapter by GGUF word: A (rank, in) and B (out, rank), already scaled and in the dtype of computing."""
Sizes = tuple[int, ...]
"""(B, L, heads, head_dim, kv_heads)"""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention: (B, L, heads, head_dim) and twice (B, L, kv_heads, head_dim) -> (B, L, heads * head_dim).

    PyTorch's fused kernel is made for long rows: at 130 tokens on a CPU its backward pass takes three times as long
    as plain products. So short rows on a CPU take those.
    """
    if q.device.type == "cpu" and q.shape[1] <= SHORT:
        out: Tensor = _ShortAttention.apply(q, k, v)
        return out
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    grouped = q.shape[1] != k.shape[1]
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    return mixed.transpose(1, 2).flatten(2)


class _ShortAttention(torch.autograd.Function):  # type: ignore[misc]
    """The query heads that share a key head become more rows of one product: keys are never repeated."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        sizes = (*q.shape, k.shape[2])
        q, (k, v) = _grouped(q, sizes), (x.transpose(1, 2).flatten(0, 1) for x in (k, v))
        weights = _attention_weights(q, k, sizes)
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
        grads = (torch.bmm(inner.transpose(1, 2), q), torch.bmm(weights.transpose(1, 2), grad))
        grad_k, grad_v = (x.view(batch, kv_heads, length, width).transpose(1, 2) for x in grads)
        return _ungrouped(torch.bmm(inner, k), ctx.sizes), grad_k, grad_v


def _attention_weights(q: Tensor, k: Tensor, sizes: Sizes) -> Tensor:
    length, rows = sizes[1], q.shape[1] // sizes[1]
    mask = torch.full((length, length), float("-inf"), dtype=q.dtype).triu_(1).repeat(rows, 1)
    return torch.baddbmm(mask, q, k.transpose(1, 2), alpha=sizes[3] ** -0.5).softmax(-1)


def _grouped(x: Tensor, sizes: Sizes) -> Tensor:
    """(B, L, heads, d) -> (B * kv_heads, heads / kv_heads * L, d)."""
    batch, length, heads, width, kv_heads = sizes
    split = x.view(batch, length, kv_heads, heads // kv_heads, width)
    return split.permute(0, 2, 3, 1, 4).reshape(batch * kv_heads, -1, width)


def _ungrouped(x: Tensor, sizes: Sizes) -> Tensor:
    """Back to (B, L, heads, d)."""
    batch, length, heads, width, kv_heads = sizes
    split = x.view(batch, kv_heads, heads // kv_heads, length, width)
    return split.permute(0, 3, 1, 2, 4).reshape(batch, length, heads, width)


@dataclass(frozen=True)
class TreeLayout:
    """A prefix tree as tensors. N nodes, B examples of at most L tokens.

    N and L are rounded up: the library keeps some megabytes for each new shape of a product, and without rounding
    every batch is a new shape. Nodes added for that are in no example, so they change nothing.
    """

    tokens: Tensor
    depths: Tensor
    index: Tensor
    """(B * L) the node at each position of the padded rows."""
    first: Tensor
    """(N) the first position of each node."""
    real: int
    """How many nodes the tree has; those after them are padding."""
    count: int
    longest: int
    cosine: Tensor | None = None
    sine: Tensor | None = None
    """(N, 1, head_dim) rotation of each node; None for families that add positions to the embedding."""


@dataclass(frozen=True)
class Layer:
    """One layer's weights: matrices by GGUF word, some of them joined (see `JOINED`). Frozen ones get no gradient."""

    matrices: Mapping[str, Tensor]
    biases: Mapping[str, Tensor]
    norms: Mapping[str, Tensor]

    def forward(
        self, x: Tensor, shape: ModelShape, layout: TreeLayout, pairs: Pairs, keep: Tensor | None = None
    ) -> Tensor:
        """(N, hidden) -> (N, hidden); `keep`: only the K nodes whose output is needed: (K, hidden)."""
        attended = self._attention(normed(x, self.norms, "attn_norm", shape), shape, layout, pairs, keep)
        if keep is not None:
            x = x.index_select(0, keep)
        x = x + attended
        return x + self._feed_forward(normed(x, self.norms, "ffn_norm", shape), shape, pairs)

    def _attention(self, x: Tensor, shape: ModelShape, layout: TreeLayout, pairs: Pairs, keep: Tensor | None) -> Tensor:
        rows = shape.fused_rows
        pair = pairs.get("attn_qkv") or _joined(pairs, "attn_qkv", rows)
        q, k, v = self._linear(x, "attn_qkv", pair).split(rows, dim=-1)
        q, k = (_rotated(part.unflatten(-1, (-1, shape.head_dim)), layout) for part in (q, k))
        attended = _attended(q, k, v.unflatten(-1, (-1, shape.head_dim)), layout, keep)
        return self._linear(attended, "attn_output", pairs.get("attn_output"))

    def _feed_forward(self, x: Tensor, shape: ModelShape, pairs: Pairs) -> Tensor:
        if shape.architecture == "gpt2":
            inner = functional.gelu(self._linear(x, "ffn_up", pairs.get("ffn_up")), approximate="tanh")
        else:
            pair = _joined(pairs, "ffn_up", (shape.inner, shape.inner))
            inner = _SwiGlu.apply(self._linear(x, "ffn_up", pair))
        return self._linear(inner, "ffn_down", pairs.get("ffn_down"))

    def _linear(self, x: Tensor, word: str, pair: tuple[Tensor, Tensor] | None) -> Tensor:
        weight, bias = self.matrices[word], self.biases.get(word)
        if pair is None:
            return functional.linear(x, weight, bias)
        if weight.requires_grad:  # full training takes no pairs; this is for those who mix both
            return functional.linear(x, weight, bias) + (x @ pair[0].T) @ pair[1].T
        out: Tensor = _LoraLinear.apply(x, weight, bias, *pair)
        return out


class _LoraLinear(torch.autograd.Function):  # type: ignore[misc]
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


class _SwiGlu(torch.autograd.Function):  # type: ignore[misc]
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


class _NodesToRows(torch.autograd.Function):  # type: ignore[misc]
    """`x[index]`. Backward sums over a node's positions: a copy, then the few repeats are added."""

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


def layout_of(tree: PrefixTree, shape: ModelShape, device: torch.device, dtype: torch.dtype) -> TreeLayout:
    """The tree as tensors. Padding points at node 0: its output is never read and gets no gradient."""
    real, longest = len(tree.tokens), tree.padded_length
    padding = [0] * (tree.padded_nodes - real)
    depths = torch.tensor(tree.depths + padding, device=device)
    index = torch.zeros(len(tree.paths), longest, dtype=torch.long)
    first = [0] * tree.padded_nodes
    for row in range(len(tree.paths) - 1, -1, -1):
        path = tree.paths[row]
        index[row, : len(path)] = torch.tensor(path)
        for at, node in enumerate(path):
            first[node] = row * longest + at
    cosine, sine = _rotations(shape, depths, dtype) if shape.family.name == "llama" else (None, None)
    return TreeLayout(
        torch.tensor(tree.tokens + padding, device=device), depths, index.flatten().to(device),
        torch.tensor(first, device=device), real, len(tree.paths), longest, cosine, sine,
    )  # fmt: skip


def normed(x: Tensor, norms: Mapping[str, Tensor], word: str, shape: ModelShape) -> Tensor:
    """LayerNorm for gpt2, RMSNorm for llama: the sum of squares in fp32, as Hugging Face does."""
    weight = norms[f"{word}.weight"]
    if shape.architecture == "gpt2":
        return functional.layer_norm(x, (shape.hidden,), weight, norms[f"{word}.bias"], shape.norm_eps)
    return functional.rms_norm(x, (shape.hidden,), weight, shape.norm_eps)


def load_layer(base: Base, number: int, device: torch.device, dtype: torch.dtype) -> Layer:
    """Read one layer, with its matrices joined."""
    names = base.names

    def read(word: str, kind: str) -> Tensor:
        return base.read(f"blk.{number}.{word}.{kind}", dtype).to(device)

    matrices, biases = {}, {}
    for word in ("attn_qkv", "attn_output", "ffn_up", "ffn_down"):
        parts = (word,) if base.shape.architecture == "gpt2" else JOINED.get(word, (word,))
        matrices[word] = torch.cat([read(part, "weight") for part in parts])
        if f"blk.{number}.{parts[0]}.bias" in names:
            biases[word] = torch.cat([read(part, "bias") for part in parts])
    kinds = [(word, kind) for word in ("attn_norm", "ffn_norm") for kind in ("weight", "bias")]
    norms = {f"{word}.{kind}": read(word, kind) for word, kind in kinds if f"blk.{number}.{word}.{kind}" in names}
    return Layer(matrices, biases, norms)


def _joined(pairs: Pairs, joined: str, rows: tuple[int, ...]) -> tuple[Tensor, Tensor] | None:
    """One pair for matrices that are joined: the A stacked, the B as blocks on the diagonal."""
    words = JOINED[joined]
    present = [pairs[word] for word in words if word in pairs]
    if not present:
        return None
    blocks = [
        pairs[word][1] if word in pairs else present[0][1].new_zeros(count, 0)
        for word, count in zip(words, rows, strict=True)
    ]
    return torch.cat([a for a, _ in present]), torch.block_diag(*blocks)


def _rotations(shape: ModelShape, depths: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    half = torch.arange(0, shape.head_dim, 2, device=depths.device, dtype=torch.float32) / shape.head_dim
    angles = depths[:, None].float() / shape.rope_theta**half
    angles = torch.cat((angles, angles), dim=-1)[:, None, :]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _rotated(x: Tensor, layout: TreeLayout) -> Tensor:
    """Rotary positions (arXiv 2104.09864) on (N, heads, head_dim), pairs half a head apart."""
    if layout.cosine is None or layout.sine is None:
        return x
    left, right = x.chunk(2, dim=-1)
    return x * layout.cosine + torch.cat((-right, left), dim=-1) * layout.sine


def _attended(q: Tensor, k: Tensor, v: Tensor, layout: TreeLayout, keep: Tensor | None) -> Tensor:
    """Causal attention within each example: (N, heads, head_dim) thrice -> (N or K, heads * head_dim)."""

    def rows(x: Tensor) -> Tensor:
        whole: Tensor = _NodesToRows.apply(x.flatten(1), layout.index, layout.first, layout.real)
        return whole.view(layout.count, layout.longest, *x.shape[1:])

    flat = attend(rows(q), rows(k), rows(v)).flatten(0, 1)
    return flat.index_select(0, layout.first if keep is None else layout.first.index_select(0, keep))


MOST_ROWS = 256
"""Rows of logits that exist at once: more are no faster, and a row has as many numbers as the vocabulary."""
TINY = 1e-37
"""The least probability that counts: a loss of 85 nats."""


def answer_loss(x: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Summed cross entropy of (R, hidden) against the tokens (R), without holding all logits at once.

    `head` (vocab, hidden) is frozen or trained.
    """
    if not head.requires_grad:
        total: Tensor = _AnswerLoss.apply(x, head, targets)
        return total
    parts = ((x[part] @ head.T, targets[part]) for part in _parts(len(x)))
    losses = [functional.cross_entropy(logits.float(), wanted, reduction="sum") for logits, wanted in parts]
    return torch.stack(losses).sum()


class _AnswerLoss(torch.autograd.Function):  # type: ignore[misc]
    """Sum of the cross entropies of `x @ head.T`; the gradient is formed beside it, a few rows at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        grad = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        for part in _parts(len(x)):
            count = len(x[part])
            padded = functional.pad(x[part], (0, 0, 0, part.stop - part.start - count))  # few shapes: see TreeLayout
            probabilities = (padded @ head.T).softmax(-1)
            total += _loss_then_gradient(probabilities[:count], targets[part, None])
            if grad is not None:
                grad[part] = (probabilities @ head)[:count]
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


def _loss_then_gradient(probabilities: Tensor, wanted: Tensor) -> Tensor:
    """The loss of (R, vocab) probabilities, which become the logits' gradient in place.

    A probability near 1 is coarse in bfloat16, but its complement is the sum of the others: computed from that, a
    token that is nearly certain keeps an exact loss and gradient.
    """
    mine = probabilities.gather(1, wanted).float()
    others = probabilities.scatter_(1, wanted, 0.0).sum(1, keepdim=True, dtype=torch.float32)
    probabilities.scatter_(1, wanted, -others.to(probabilities.dtype))
    near = others < 0.5
    mine = torch.where(near, torch.log1p(-others.clamp_max(0.5)), mine.clamp_min(TINY).log())
    return -mine.sum()


class Net:
    """The layers that are trained or above a trained one, with embedding and head.

    `trained`: what the optimizer changes, by name: the adapter's pairs in fp32, or every weight.
    """

    def __init__(self, base: Base, recipe: Recipe, device: torch.device, dtype: torch.dtype) -> None:
        self.base, self.shape, self.recipe = base, base.shape, recipe
        self.device, self.dtype = device, dtype
        count = self.shape.layers if recipe.layers is None or recipe.full else min(recipe.layers, self.shape.layers)
        self.lowest = self.shape.layers - count
        """Number of the lowest trained layer; those below are the trunk."""
        names = base.names
        self.outer = {name: base.read(name, dtype).to(device) for name in self.shape.family.outer if name in names}
        self.layers: list[Layer] = []
        self.trained: dict[str, Tensor] = {}

    def load(self) -> None:
        """Read the layers and make what is trained."""
        numbers = range(self.lowest, self.shape.layers)
        self.layers = [load_layer(self.base, number, self.device, self.dtype) for number in numbers]
        self.trained = self._every_weight() if self.recipe.full else self._fresh_pairs()
        for tensor in self.trained.values():
            tensor.requires_grad_(True)

    def embedded(self, tokens: Tensor, depths: Tensor) -> Tensor:
        """(N) tokens at (N) depths -> (N, hidden)."""
        x = functional.embedding(tokens, self.outer["token_embd.weight"])
        positions = self.outer.get("position_embd.weight")
        return x if positions is None else x + functional.embedding(depths, positions)

    def loss(self, tree: PrefixTree, x: Tensor | None, *, checkpointing: bool = False) -> Tensor:
        """Summed loss of the tree's answers. `x`: the trunk's output for the nodes; None: begin with the tokens."""
        layout = layout_of(tree, self.shape, self.device, self.dtype)
        if x is None:
            x = self.embedded(layout.tokens, layout.depths)
        wanted = sorted(set(tree.rows))
        wanted += wanted[:1] * (-len(wanted) % 64)  # padded as nodes are, see `TreeLayout`
        for number, layer in enumerate(self.layers, self.lowest):
            top = number == self.shape.layers - 1
            keep = torch.tensor(wanted, device=self.device) if top else None
            x = self._run(layer, number, x, layout, keep, checkpointing)
        at = {node: place for place, node in enumerate(wanted)}
        rows = torch.tensor([at[node] for node in tree.rows], device=self.device)
        head = self.outer.get("output.weight", self.outer["token_embd.weight"])
        x = normed(x, self.outer, "output_norm", self.shape).index_select(0, rows)
        return answer_loss(x, head, torch.tensor(tree.targets, device=self.device))

    def _run(
        self, layer: Layer, number: int, x: Tensor, layout: TreeLayout, keep: Tensor | None, checkpointing: bool
    ) -> Tensor:
        forward = partial(layer.forward, shape=self.shape, layout=layout, pairs=self._pairs(number), keep=keep)
        if not checkpointing or not torch.is_grad_enabled():
            return forward(x)
        from torch.utils.checkpoint import checkpoint  # a heavy import

        out: Tensor = checkpoint(forward, x, use_reentrant=False, preserve_rng_state=False)
        return out

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
        """Every weight by the name under which a model stores it: joined matrices split again."""
        if self.shape.architecture == "gpt2":
            return dict(weights)
        split: dict[str, Tensor] = {}
        rows = {"attn_qkv": self.shape.fused_rows, "ffn_up": (self.shape.inner, self.shape.inner)}
        for name, tensor in weights.items():
            word = name.split(".")[2] if name.startswith("blk.") else ""
            if word not in JOINED:
                split[name] = tensor
                continue
            for part, piece in zip(JOINED[word], tensor.split(list(rows[word])), strict=True):
                split[name.replace(word, part)] = piece
        return split

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put values back into what is trained."""
        with torch.no_grad():
            for name, tensor in self.trained.items():
                tensor.copy_(tensors[name])
