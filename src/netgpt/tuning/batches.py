"""Batches without padding and without repeats.

What a causal model knows at a token depends on the tokens before it alone. So two examples that begin alike (the
system prompt, the template, a question asked twice) share those tokens: a batch is a tree whose nodes are distinct
beginnings, and every matrix is applied to each node once. Only attention sees the examples as rows of equal length.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from netgpt.tuning.tokens import Encoded

__all__ = ["Tree", "grow", "plan_batches"]


@dataclass(frozen=True)
class Tree:
    """A batch of examples as a tree of tokens. N nodes, B examples, the longest of L tokens (its last left out)."""

    tokens: list[int]
    """(N) token of each node."""
    depths: list[int]
    """(N) its place in its examples, from 0."""
    paths: list[list[int]]
    """(B) the nodes of each example in order."""
    rows: list[int]
    """(R) the node before each token that bears loss."""
    targets: list[int]
    """(R) that token."""
    seen: int
    """Tokens of the examples, as a loop over whole examples would count them."""

    @property
    def filled(self) -> int:
        """N rounded up, see `layers.Places`."""
        return -(-len(self.tokens) // 64) * 64

    @property
    def longest(self) -> int:
        """L rounded up."""
        return -(-max(map(len, self.paths)) // 16) * 16


def grow(examples: Sequence[Encoded]) -> Tree:
    """Lay the examples into one tree."""
    nodes: dict[tuple[int, int], int] = {}
    tree = Tree([], [], [], [], [], sum(len(example.ids) for example in examples))
    for example in examples:
        path: list[int] = []
        parent = -1
        for depth, token in enumerate(example.ids[:-1]):
            node = nodes.setdefault((parent, token), len(tree.tokens))
            if node == len(tree.tokens):
                tree.tokens.append(token)
                tree.depths.append(depth)
            path.append(node)
            parent = node
        tree.paths.append(path)
        tree.rows.extend(path[example.start - 1 :])
        tree.targets.extend(example.ids[example.start :])
    return tree


def plan_batches(lengths: Sequence[int], most: int, seed: int, epoch: int) -> list[list[int]]:
    """Indices of the examples of each batch: about equal lengths together, at most `most` tokens, seeded order.

    A batch holds at least one example. Other companions in every epoch: ties and near-ties are shuffled first.
    """
    dice = random.Random(f"{seed}:{epoch}")  # noqa: S311  an order, not a secret
    order = list(range(len(lengths)))
    dice.shuffle(order)
    order.sort(key=lambda at: lengths[at] // 8)
    batches: list[list[int]] = [[]]
    room = most
    for at in order:
        if batches[-1] and lengths[at] > room:
            batches.append([])
            room = most
        batches[-1].append(at)
        room -= lengths[at]
    dice.shuffle(batches)
    return [batch for batch in batches if batch]
