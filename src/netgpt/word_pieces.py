"""Words cut into the pieces of public vocabularies, a frozen vector of each, and of sentences.

`WordPieces` (byte-pair encoding, 32,000 pieces) and the vectors (256 numbers a piece) are those of wordllama, which the
build puts into `data/` (docs/dependencies.md). A library of tokenizers does the same, and brings a client of a model
hub along. The vector of a sentence is the mean of those of its pieces (`StaticEmbedder`). `UncasedPieces` cuts as
BERT's uncased models do; its vocabulary comes with their weights (`encoder.py`).
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netgpt.errors import SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION: Final = "0.4.0.post1"
"""Of wordllama."""
VOCABULARY: Final = Path(__file__).parent / "data" / "word_pieces.json"
VECTORS: Final = Path(__file__).parent / "data" / "word_vectors.safetensors"
SPACE: Final = "\u2581"
"""Stands for a blank; a piece that begins a word begins with it."""
_SPECIAL: Final = re.compile("(<unk>|<s>|</s>)")
_WORD: Final = re.compile(f"{SPACE}+[^{SPACE}]*|[^{SPACE}]+")
_REMEMBERED: Final = 32_768
"""Words whose pieces are remembered: about 8 MB."""
_LONGEST: Final = 64
"""Characters of a word that is worth remembering."""


class WordPieces:
    """`encode(text)` -> ids of its pieces. Read at the first use (0.1 s). Equal to the published tokenizer, tested."""

    def __init__(self) -> None:
        self._remembered = lru_cache(_REMEMBERED)(self._pieces)

    def encode(self, text: str, most: int | None = None) -> list[int]:
        """Ids of the pieces; at most `most` of them. Characters outside the vocabulary become their UTF-8 bytes."""
        ids: list[int] = []
        for part in _SPECIAL.split(text):
            if _SPECIAL.fullmatch(part):
                ids.append(self.vocabulary[part])
            elif part:
                for word in _WORD.findall(SPACE + part.replace(" ", SPACE)):
                    ids += self._remembered(word) if len(word) <= _LONGEST else self._pieces(word)
                    if most is not None and len(ids) >= most:
                        return ids[:most]
        return ids

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Piece -> id."""
        found: dict[str, int] = self._file["vocab"]
        return found

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        """Two neighbours -> how early they are joined."""
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in self._file["merges"])
        return {(left, right): rank for rank, (left, right) in enumerate(pairs)}

    @cached_property
    def _file(self) -> dict[str, Any]:
        import orjson

        try:
            model: dict[str, Any] = orjson.loads(VOCABULARY.read_bytes())["model"]
        except (OSError, ValueError, KeyError) as error:
            raise SettingsError(f"{VOCABULARY}: cannot be read ({type(error).__name__}); reinstall netgpt") from None
        return model

    def _pieces(self, word: str) -> tuple[int, ...]:
        known = self.vocabulary.get(word)  # every piece of the vocabulary is cut into itself
        return (known,) if known is not None else tuple(self._ids(self._joined(word)))

    def _joined(self, word: str) -> list[str]:
        """The characters of a word, the earliest pairs joined first, the leftmost first among equals."""
        parts, ranks = list(word), self._ranks
        after = list(range(1, len(parts) + 1))
        before = list(range(-1, len(parts) - 1))
        pairs = enumerate(pairwise(parts))
        queue = [(rank, at) for at, pair in pairs if (rank := ranks.get(pair)) is not None]
        heapify(queue)
        while queue:
            rank, at = heappop(queue)
            right = after[at]
            if not parts[at] or right >= len(parts) or ranks.get((parts[at], parts[right])) != rank:
                continue  # one of the two was joined to another meanwhile
            parts[at] += parts[right]
            parts[right] = ""
            after[at] = after[right]
            if after[at] < len(parts):
                before[after[at]] = at
            for left in (before[at], at):
                if left >= 0 and after[left] < len(parts):
                    rank_of = ranks.get((parts[left], parts[after[left]]))
                    if rank_of is not None:
                        heappush(queue, (rank_of, left))
        return [part for part in parts if part]

    def _ids(self, parts: list[str]) -> Iterator[int]:
        for part in parts:
            if (known := self.vocabulary.get(part)) is not None:
                yield known
            else:
                for byte in part.encode("utf-8", "surrogatepass"):
                    yield self.vocabulary[f"<0x{byte:02X}>"]


_IDEOGRAPHS: Final = (
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F),
)  # fmt: skip
"""Each is a word of its own. (The published list begins the last but one at 2B820; what runs begins it so.)"""
_MOST_CHARACTERS: Final = 16_384
"""Of a text that are looked at: far more than the words that any model of this kind reads."""
_UNKNOWN_FROM: Final = 101
"""A word of so many characters is one unknown piece, by the published rules."""


class _Plain(dict[int, str]):
    """Character -> what is read of it: small letters without accents, blanks around what stands alone, or nothing."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kind = unicodedata.category(character)
        if character in "\t\n\r":
            plain = " "
        elif kind in ("Cc", "Cf", "Co", "Cs") or code == 0xFFFD:
            plain = ""
        elif character.isspace():
            plain = " "
        else:
            parts = (part for part in unicodedata.normalize("NFD", character) if unicodedata.category(part) != "Mn")
            plain = "".join(_apart(part.lower()) for part in parts)
            if any(first <= code <= last for first, last in _IDEOGRAPHS):
                plain = f" {plain} "
        if len(self) < _REMEMBERED:
            self[code] = plain
        return plain


def _apart(part: str) -> str:
    """Punctuation and the signs of ASCII are words of their own."""
    alone = unicodedata.category(part[0])[0] == "P" or (part.isascii() and part.isprintable() and not part.isalnum())
    return f" {part} " if alone else part


class UncasedPieces:
    """`encode(text, most)` -> ids, as the tokenizer of uncased BERT gives them for every character of Unicode 8.

    The rules: https://github.com/google-research/bert/blob/master/tokenization.py: the longest piece first, from
    the left. Words such as "[SEP]" in a text are text. Raises ValueError: pieces without "[UNK]", "[CLS]" and "[SEP]".
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self.vocabulary = {piece: number for number, piece in enumerate(pieces)}
        if missing := [name for name in ("[UNK]", "[CLS]", "[SEP]") if name not in self.vocabulary]:
            raise ValueError(f"no piece {missing[0]}")
        self._unknown, self.first, self.last = (self.vocabulary[name] for name in ("[UNK]", "[CLS]", "[SEP]"))
        """`first` and `last` stand around every text that a model reads."""
        self._longest = max(map(len, pieces))
        self._plain = _Plain()
        self._remembered = lru_cache(_REMEMBERED // 4)(self._cut)

    def encode(self, text: str, most: int) -> list[int]:
        """At most `most` ids; of the text's first 16,384 characters."""
        ids: list[int] = []
        for word in text[:_MOST_CHARACTERS].translate(self._plain).split(" "):
            if word:
                ids += self._remembered(word) if len(word) < _UNKNOWN_FROM else (self._unknown,)
                if len(ids) >= most:
                    return ids[:most]
        return ids

    def _cut(self, word: str) -> tuple[int, ...]:
        found, at = list[int](), 0
        while at < len(word):
            before = "##" if at else ""
            for end in range(min(len(word), at + self._longest), at, -1):
                if (known := self.vocabulary.get(before + word[at:end])) is not None:
                    found.append(known)
                    at = end
                    break
            else:
                return (self._unknown,)
        return tuple(found)


@lru_cache(1)
def word_vectors() -> NDArray[np.float32]:
    """(32,000, 256): one row a piece, shared by all that use it. Raises SettingsError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        table: NDArray[np.float32] = load_file(VECTORS)["embedding.weight"]
    except (OSError, SafetensorError, KeyError) as error:
        raise SettingsError(f"{VECTORS}: cannot be read ({type(error).__name__}); reinstall netgpt") from None
    return table


_MOST_PIECES = 512


class StaticEmbedder:
    """`embedder(texts)` -> float32 array (len(texts), 256) of unit rows. Read from disk on first use (0.3 s, 40 MB)."""

    width: Final = 256

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
