"""The loss of the answers' tokens, without ever holding all their logits. Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["MOST_ROWS", "answer_loss"]

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
