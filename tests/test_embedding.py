from __future__ import annotations

import sys

import numpy as np

from netgpt.embedding import StaticEmbedder

EMBED = StaticEmbedder()


def test_rows_are_unit_vectors() -> None:
    rows = EMBED(["what is the weather", "play some jazz"])
    assert rows.shape == (2, 256) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_near_meanings_are_near() -> None:
    rain, umbrella, jazz = EMBED(["will it rain tomorrow", "do I need an umbrella today", "play a jazz song"])
    assert rain @ umbrella > rain @ jazz


def test_nothing_is_a_row_of_zeros() -> None:
    assert not EMBED([""]).any()
    assert EMBED([]).shape == (0, 256)


def test_the_packages_own_loader_is_not_imported() -> None:
    EMBED(["hello"])
    assert "wordllama" not in sys.modules
