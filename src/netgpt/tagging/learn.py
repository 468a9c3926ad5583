"""Teaching the network: passes over changed examples, with a falling step size, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from netgpt.privacy.tagger import Lexicon
from netgpt.tagging.augment import changed
from netgpt.tagging.batches import Batch, Piece, WordStore, batches, pieces_of
from netgpt.tagging.invented import Inventor, TaggedText
from netgpt.tagging.net import TrainedNet

__all__ = ["Course", "learn"]


@dataclass(frozen=True, slots=True)
class Course:
    """How to train. `shares`: origin -> how much of it one pass sees (2: twice). `invented`: sentences a pass."""

    epochs: int = 9
    step: float = 4e-3
    width: int = 128
    batch: int = 3_000
    drop: float = 0.25
    decay: float = 0.01
    private: float = 1.0
    """Weight of a private word beside 1 for any other."""
    invented: int = 3_000
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    steady: float = 0.995
    """What is kept is a running mean of the weights; so much of it stays at each step."""
    seed: int = 7

    def told(self) -> dict[str, object]:
        """The course as a card tells it."""
        return {**asdict(self), "shares": dict(self.shares)}


SHARES: Final[Mapping[str, float]] = {
    "pupa": 1.0, "synth": 2.0, "wnut": 0.7, "everyday": 0.5, "slurp": 0.7, "snips": 0.15, "instruct": 1.0,
    "plain": 0.6,
}  # fmt: skip


def learn(
    examples: Sequence[TaggedText],
    inventor: Inventor,
    lexicon: Lexicon,
    course: Course,
    told: Callable[[int, float], None] = lambda epoch, loss: None,
    store: WordStore | None = None,
) -> dict[str, NDArray[np.float16]]:
    """Train on `examples` and invented sentences; returns the arrays of the network. `told(pass, loss)` hears of it."""
    torch.manual_seed(course.seed)
    chance = random.Random(course.seed)  # noqa: S311
    numbers = np.random.default_rng(course.seed)
    store = store or WordStore(lexicon)
    net, mean = TrainedNet(course.width, course.drop), TrainedNet(course.width, course.drop)
    optimizer = torch.optim.AdamW(net.parameters(), lr=course.step, weight_decay=course.decay, betas=(0.9, 0.98))
    total = steps = 0
    for epoch in range(course.epochs):
        pieces = _lesson(examples, inventor, course, chance)
        net.train()
        losses = []
        for number, batch in enumerate(batches(pieces, store, course.batch, numbers)):
            total = max(total, number + 1)
            progress = min(1.0, (epoch + (number + 1) / max(total, 1)) / course.epochs)
            for group in optimizer.param_groups:
                group["lr"] = course.step * min(1.0, progress * 20) * (0.05 + 0.95 * (1 - progress))
            loss = _loss(net, batch, course)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            steps += 1
            mean.follow(net, min(course.steady, steps / (steps + 9)))
            losses.append(float(loss.detach()))
        told(epoch + 1, sum(losses) / len(losses))
    return mean.arrays()


def _lesson(examples: Sequence[TaggedText], inventor: Inventor, course: Course, chance: random.Random) -> list[Piece]:
    """One pass: each example as often as its origin's share says, changed anew."""
    chosen = [inventor.example() for _ in range(course.invented)]
    for example in examples:
        share = course.shares.get(example.origin, 1.0)
        chosen.extend([example] * (int(share) + (chance.random() < share % 1)))
    return [piece for example in chosen for piece in pieces_of(changed(example, inventor, chance))]


def _loss(net: TrainedNet, batch: Batch, course: Course) -> torch.Tensor:
    vectors = net.words(*batch.words)
    heads = functional.embedding_bag(batch.heads[0], vectors, batch.heads[1], mode="mean")
    scores, kinds = net(vectors[batch.index], batch.places, heads, batch.real)
    weights = batch.weights * batch.real
    weights = torch.where(batch.wanted > 0, weights * course.private, weights)
    private = functional.binary_cross_entropy_with_logits(scores, batch.wanted * 0.98 + 0.01, reduction="none")
    loss = (private * weights).sum() / weights.sum().clamp(min=1.0)
    told = batch.kinds >= 0
    if told.any():
        loss = loss + 0.3 * functional.cross_entropy(kinds[told], batch.kinds[told])
    return loss
