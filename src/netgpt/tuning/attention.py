"""Causal attention for training on short rows, written out with its way back. Needs torch.

PyTorch's fused kernel is made for long rows: at 130 tokens on a CPU its way back takes three times as long as plain
products (docs/log.md). Long rows and other devices still go through it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["SHORT", "attend"]

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
