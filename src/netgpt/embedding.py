"""Sentences as vectors, for every capability: the mean of the vectors of their pieces (`word_pieces.py`); no torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netgpt.word_pieces import WordPieces, word_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_PIECES = 512


class StaticEmbedder:
    """`embedder(texts)` -> float32 array (len(texts), 256) of unit rows. Read from disk on first use (0.3 s, 40 MB)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces = WordPieces()
        self._table: NDArray[np.float32] | None = None

    def load(self) -> None:
        """Read the files; does nothing the second time. Raises SettingsError when they are damaged."""
        with self._lock:
            if self._table is None:
                self._pieces.encode("load")
                self._table = word_vectors()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, one row a text; a text without a known token is a row of zeros."""
        import numpy as np

        self.load()
        assert self._table is not None
        rows = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            if ids := self._pieces.encode(text, _MOST_PIECES):
                row[:] = self._table[ids].mean(axis=0, dtype=np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: NDArray[np.float32] = rows / np.maximum(norms, 1e-9)
        return unit

    def pieces(self) -> frozenset[str]:
        """The pieces of text that the tokenizer knows; one that begins a word begins with "\u2581"."""
        return frozenset(self._pieces.vocabulary)
