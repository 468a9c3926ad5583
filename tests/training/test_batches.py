"""Trees of examples and batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netgpt.training.lora.data import Encoded, build_prefix_tree, plan_batches

SEQUENCES = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=9), min_size=1, max_size=8)


@given(SEQUENCES)
def test_a_tree_holds_each_beginning_once(sequences: list[list[int]]) -> None:
    examples = [Encoded(tuple(ids), 2) for ids in sequences]
    tree = build_prefix_tree(examples)
    beginnings = {tuple(ids[:end]) for ids in sequences for end in range(1, len(ids))}
    assert len(tree.tokens) == len(tree.depths) == len(beginnings)
    for ids, path in zip(sequences, tree.paths, strict=True):
        assert [tree.tokens[node] for node in path] == ids[:-1]
        assert [tree.depths[node] for node in path] == list(range(len(ids) - 1))
    assert tree.padded_nodes % 64 == tree.padded_length % 16 == 0
    assert tree.padded_nodes >= len(tree.tokens)
    assert tree.seen == sum(map(len, sequences))
    wanted = [(tuple(ids[:at]), ids[at]) for ids in sequences for at in range(2, len(ids))]
    assert tree.targets == [target for _, target in wanted]
    assert [tree.tokens[row] for row in tree.rows] == [before[-1] for before, _ in wanted]


@given(st.lists(st.integers(2, 300), min_size=1, max_size=60), st.integers(1, 600), st.integers(0, 3))
def test_batches_hold_every_example_once_and_stay_small(lengths: list[int], most: int, seed: int) -> None:
    batches = plan_batches(lengths, most, seed, 0)
    assert sorted(at for batch in batches for at in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or sum(lengths[at] for at in batch) <= most for batch in batches)
    assert batches == plan_batches(lengths, most, seed, 0)
