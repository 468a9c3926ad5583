"""Sentences as vectors, for every capability: the mean of static token embeddings, 0.15 ms each, without torch.

The two files come inside the package `wordllama` and are read directly: the package's own loader asks the network for
a tokenizer that lies beside it.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netgpt.errors import SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_WEIGHTS = "weights/l2_supercat_256.safetensors"


class StaticEmbedder:
    """`embedder(texts)` -> float32 array (len(texts), 256) of unit rows. Read from disk on first use (0.3 s, 40 MB)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None = None
        self._table: NDArray[np.float32] | None = None

    def load(self) -> None:
        """Read the files; does nothing the second time. Raises SettingsError when the package is damaged."""
        with self._lock:
            if self._table is None:
                self._read()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, one row a text; a text without a known token is a row of zeros."""
        import numpy as np

        self.load()
        assert self._tokenizer is not None and self._table is not None
        rows = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for row, coded in zip(rows, self._tokenizer.encode_batch(list(texts), add_special_tokens=False), strict=True):
            if coded.ids:
                row[:] = self._table[coded.ids].mean(axis=0, dtype=np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: NDArray[np.float32] = rows / np.maximum(norms, 1e-9)
        return unit

    def pieces(self) -> frozenset[str]:
        """The pieces of text that the tokenizer knows; one that begins a word begins with "\u2581"."""
        self.load()
        assert self._tokenizer is not None
        return frozenset(self._tokenizer.get_vocab())

    def _read(self) -> None:
        self._tokenizer, self._table = read_word_pieces()
        self._tokenizer.enable_truncation(512)


def read_word_pieces() -> tuple[Tokenizer, NDArray[np.float32]]:
    """The tokenizer of the public word pieces, and their vectors (32000, 256). Raises SettingsError: not installed."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("wordllama")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / _TOKENIZER).is_file() or not (folder / _WEIGHTS).is_file():
        raise SettingsError("the public word vectors are missing: install the package wordllama==0.4.0.post1 again")
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    tokenizer.no_padding()
    return tokenizer, load_file(folder / _WEIGHTS)["embedding.weight"]
