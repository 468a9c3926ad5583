"""The tagger: which words of a text are private, by a small network of our own.

`Lexicon` turns words into vectors and remembers them; `Tagger` reads whole texts, piece by piece, and remembers what it
found in each piece. Both memories are bounded in bytes and hold hashes of texts, never texts.
"""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import DetectorError
from netgpt.privacy.segments import HEAD, segments
from netgpt.privacy.tagger_net import TaggerNet
from netgpt.privacy.tagger_words import Bloom, fold, occurrence, piece_ids, shape, tokens

__all__ = ["LISTS", "SHIPPED", "Lexicon", "Tagger", "WordVectors", "read_weights"]

SHIPPED = Path(__file__).parent / "shipped" / "tagger.safetensors"
LISTS = ("cities", "towns", "regions", "first", "last")
"""Gazetteers of the file, in the order in which a word is asked against them."""

_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_TABLE = "weights/l2_supercat_256.safetensors"
_WORDS = 16_384
"""Word vectors remembered: 6 MB."""
_PIECES = 8_192
"""Pieces of text whose tags are remembered."""
_FOUND = 40_000
"""Tags remembered in all; each takes about a hundred bytes."""
_BATCH = 24
_LONGEST_WORD = 64

Array = NDArray[np.float32]
Tag = tuple[int, int, int, float]
"""Start, end, number of the kind, chance."""


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a weights file. Raises DetectorError when it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise DetectorError(
            f"the weights of the name finder cannot be read from {path} ({type(error).__name__}); reinstall netgpt, "
            "or set privacy.names = false to hide patterns and profile values only"
        ) from None


class WordVectors:
    """The frozen public vectors of word pieces (package `wordllama`): ids and mean vectors of words."""

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = _wordllama()
        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._table = load_file(folder / _TABLE)["embedding.weight"]

    def ids(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of the pieces of each word."""
        return [coded.ids for coded in self._tokenizer.encode_batch_fast(list(words), add_special_tokens=False)]

    def means(self, ids: Sequence[Sequence[int]]) -> Array:
        """The mean vector of each word's pieces: (n, 256)."""
        flat = np.fromiter((i for of_word in ids for i in (of_word or (0,))), dtype=np.int64)
        counts = np.fromiter((max(1, len(of_word)) for of_word in ids), dtype=np.int64, count=len(ids))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        summed = np.add.reduceat(self._table[flat].astype(np.float32), starts, axis=0)
        means: Array = (summed / counts[:, None]).astype(np.float32)
        return means


def _wordllama() -> Path:
    spec = importlib.util.find_spec("wordllama")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / _TOKENIZER).is_file() or not (folder / _TABLE).is_file():
        raise DetectorError("the public word vectors are missing: install the package wordllama==0.4.0.post1 again")
    return folder


class Lexicon:
    """Features of words. One for training and run time, so that both see the same."""

    def __init__(self, lists: Mapping[str, Bloom], vectors: WordVectors) -> None:
        self._lists = [lists[name] for name in LISTS]
        self._vectors = vectors

    def features(self, words: Sequence[str]) -> tuple[list[list[int]], Array, Array, Array]:
        """What `TaggerNet.words` takes: buckets of pieces, public vectors of the small and the own spelling, shapes."""
        folded = [fold(word) for word in words]
        small, own = self._vectors.ids(folded), self._vectors.ids([word[:_LONGEST_WORD] for word in words])
        shapes = [
            shape(word, plain, cased, [low in names for names in self._lists] if word[0].isalpha() else ())
            for word, low, plain, cased in zip(words, folded, small, own, strict=True)
        ]
        return (
            [piece_ids(low) for low in folded],
            self._vectors.means(small),
            self._vectors.means(own),
            np.array(shapes, dtype=np.float32),
        )

    def common(self, words: Sequence[str]) -> frozenset[str]:
        """Those of the words that are one word piece in small letters."""
        return frozenset(word for word, ids in zip(words, self._vectors.ids(words), strict=True) if len(ids) == 1)


class Tagger:
    """Finds private words. Not thread-safe."""

    def __init__(self, weights: Mapping[str, NDArray[Any]] | None = None, vectors: WordVectors | None = None) -> None:
        arrays = read_weights(SHIPPED) if weights is None else weights
        lists = {name: Bloom(arrays[f"list_{name}"].tobytes()) for name in LISTS}
        self._net = TaggerNet({n: a.astype(np.float32) for n, a in arrays.items() if not n.startswith("list_")})
        self._lexicon = Lexicon(lists, vectors or WordVectors())
        self._rows: dict[str, int] = {}
        self._vectors = np.zeros((_WORDS, self._net.weights["word_bias"].shape[0]), dtype=np.float32)
        self._seen: OrderedDict[bytes, tuple[Tag, ...]] = OrderedDict()
        self._kept = 0

    def tags(self, texts: Sequence[str], floor: float) -> list[list[Tag]]:
        """For each text its words with a chance of at least `floor`, in order."""
        jobs: list[tuple[int, int, bytes]] = []
        known: dict[bytes, tuple[Tag, ...]] = {}
        new: dict[bytes, tuple[str, str, bool, int]] = {}
        for number, text in enumerate(texts):
            head = text[:HEAD]
            for start, end in segments(text):
                piece = text[start:end]
                key = _key(head, piece, start == 0, len(text))
                jobs.append((number, start, key))
                if key in self._seen:
                    self._seen.move_to_end(key)
                    known[key] = self._seen[key]
                elif key not in new:
                    new[key] = (piece, head, start == 0, len(text))
        keys = sorted(new, key=lambda key: len(new[key][0]))
        for at in range(0, len(keys), _BATCH):
            batch = keys[at : at + _BATCH]
            for key, tags in zip(batch, self._read([new[key] for key in batch], floor), strict=True):
                known[key] = tags
                self._remember(key, tags)
        found: list[list[Tag]] = [[] for _ in texts]
        for number, offset, key in jobs:
            for start, end, kind, chance in known[key]:
                found[number].append((start + offset, end + offset, kind, chance))
        return found

    def common(self, words: Iterable[str]) -> frozenset[str]:
        """Those of the words that the public vectors know as one piece: everyday words of English, mostly."""
        return self._lexicon.common(list(words))

    def _read(self, pieces: Sequence[tuple[str, str, bool, int]], floor: float) -> list[tuple[Tag, ...]]:
        cut = [tokens(piece) for piece, _, _, _ in pieces]
        heads = {head: [head[a:b] for a, b in tokens(head)] for _, head, _, _ in pieces}
        words = [[piece[a:b] for a, b in found] for (piece, _, _, _), found in zip(pieces, cut, strict=True)]
        self._learn([word for group in (*words, *heads.values()) for word in group])
        told = {
            head: self._look_up(found).mean(axis=0) if found else self._vectors[0] * 0 for head, found in heads.items()
        }
        segments_ = [
            (self._look_up(of_piece), occurrence(piece, found, first, size), told[head])
            for (piece, head, first, size), found, of_piece in zip(pieces, cut, words, strict=True)
        ]
        full = [number for number, found in enumerate(cut) if found]
        tagged: list[tuple[Tag, ...]] = [() for _ in pieces]
        for number, (chances, kinds) in zip(
            full, self._net.tags([segments_[n] for n in full]) if full else [], strict=True
        ):
            tagged[number] = tuple(
                (*cut[number][i], int(kinds[i]), round(float(chances[i]), 3)) for i in np.flatnonzero(chances >= floor)
            )
        return tagged

    def _learn(self, words: Sequence[str]) -> None:
        """Have a vector for each of these words; forget all others when there is no room."""
        new = [word for word in dict.fromkeys(words) if word[:_LONGEST_WORD] not in self._rows]
        if len(self._rows) + len(new) > _WORDS:
            self._rows.clear()
            new = list(dict.fromkeys(words))
        new = list(dict.fromkeys(word[:_LONGEST_WORD] for word in new))
        if len(new) > _WORDS:
            raise DetectorError("a text with too many different words in one piece")
        if new:
            first = len(self._rows)
            self._vectors[first : first + len(new)] = self._net.words(*self._lexicon.features(new))
            self._rows.update((word, first + number) for number, word in enumerate(new))

    def _look_up(self, words: Sequence[str]) -> Array:
        return self._vectors[[self._rows[word[:_LONGEST_WORD]] for word in words]]

    def _remember(self, key: bytes, tags: tuple[Tag, ...]) -> None:
        self._seen[key] = tags
        self._kept += len(tags)
        while len(self._seen) > _PIECES or self._kept > _FOUND:
            _, gone = self._seen.popitem(last=False)
            self._kept -= len(gone)


def _key(head: str, piece: str, first: bool, size: int) -> bytes:
    """What the tags of a piece depend on, as a hash. The size counts in four steps, as `occurrence` does."""
    steps = sum(size >= bound for bound in (60, 250, 1200))
    told = f"{len(head)}:{first:d}{steps}:{head}{piece}"
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).digest()
