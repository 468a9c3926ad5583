"""Examples as arrays: words, where they stand, what is private; and the features of every word met so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netgpt.privacy.segments import HEAD, segments
from netgpt.privacy.tagger import Lexicon
from netgpt.privacy.tagger_net import TAGS
from netgpt.privacy.tagger_words import occurrence, tokens
from netgpt.tagging.invented import TaggedText

__all__ = ["Batch", "Piece", "WordStore", "batches", "pieces_of"]

_NUMBER = {kind: number for number, kind in enumerate(TAGS)}


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a text: `wanted` 1 private, 0 not; `kinds` -1 where none is told; `weights` 0 where not judged."""

    words: list[str]
    head: list[str]
    places: NDArray[np.float32]
    wanted: NDArray[np.float32]
    kinds: NDArray[np.int64]
    weights: NDArray[np.float32]


def pieces_of(example: TaggedText) -> Iterator[Piece]:
    """The example cut as the tagger cuts it."""
    text = example.text
    head = [text[a:b] for a, b in tokens(text[:HEAD])]
    for start, end in segments(text):
        piece = text[start:end]
        found = tokens(piece)
        if not found:
            continue
        wanted = np.zeros(len(found), dtype=np.float32)
        kinds = np.full(len(found), -1, dtype=np.int64)
        weights = np.full(len(found), example.weight, dtype=np.float32)
        for first, last in example.unsure:
            weights[[i for i, (a, b) in enumerate(found) if a + start < last and b + start > first]] = 0.0
        for first, last, kind in example.spans:
            inside = [i for i, (a, b) in enumerate(found) if a + start < last and b + start > first]
            wanted[inside] = 1.0
            weights[inside] = example.weight
            kinds[inside] = _NUMBER.get(kind or "", -1)
        places = occurrence(piece, found, start == 0, len(text))
        yield Piece([piece[a:b] for a, b in found], head, places, wanted, kinds, weights)


class WordStore:
    """Features of words, computed once for each."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._rows: dict[str, int] = {}
        self._pieces: list[list[int]] = []
        self._plain: list[NDArray[np.float16]] = []
        self._cased: list[NDArray[np.float16]] = []
        self._shapes: list[NDArray[np.float32]] = []

    def tensors(self, words: Sequence[str]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What `TrainedNet.words` takes."""
        new = [word for word in dict.fromkeys(words) if word not in self._rows]
        if new:
            pieces, plain, cased, shapes = self._lexicon.features(new)
            self._rows.update((word, len(self._pieces) + number) for number, word in enumerate(new))
            self._pieces.extend(pieces)
            self._plain.extend(plain.astype(np.float16))
            self._cased.extend(cased.astype(np.float16))
            self._shapes.extend(shapes)
        rows = [self._rows[word] for word in words]
        ids = [self._pieces[row] for row in rows]
        starts = np.cumsum([0, *(len(of_word) for of_word in ids)])[:-1]
        return (
            torch.tensor([i for of_word in ids for i in of_word]),
            torch.from_numpy(starts.astype(np.int64)),
            torch.from_numpy(np.stack([self._plain[row] for row in rows]).astype(np.float32)),
            torch.from_numpy(np.stack([self._cased[row] for row in rows]).astype(np.float32)),
            torch.from_numpy(np.stack([self._shapes[row] for row in rows])),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Pieces side by side, filled up to the longest. `index`: (pieces, words) into `words`; `heads`: lists of rows."""

    words: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    index: Tensor
    heads: tuple[Tensor, Tensor]
    places: Tensor
    real: Tensor
    wanted: Tensor
    kinds: Tensor
    weights: Tensor


def batches(pieces: Sequence[Piece], store: WordStore, size: int, chance: np.random.Generator) -> Iterator[Batch]:
    """Batches of about `size` words, of pieces of like length, in any order."""
    order = sorted(range(len(pieces)), key=lambda number: len(pieces[number].words) * (0.8 + 0.4 * chance.random()))
    groups: list[list[Piece]] = [[]]
    longest = 0
    for number in order:
        longest = max(longest, len(pieces[number].words))
        if groups[-1] and longest * (len(groups[-1]) + 1) > size:
            groups.append([])
            longest = len(pieces[number].words)
        groups[-1].append(pieces[number])
    for at in chance.permutation(len(groups)):
        yield _batch(groups[at], store)


def _batch(group: Sequence[Piece], store: WordStore) -> Batch:
    longest = max(len(piece.words) for piece in group)
    words = list(dict.fromkeys(word for piece in group for word in (*piece.words, *piece.head)))
    row = {word: number for number, word in enumerate(words)}

    def filled(name: str, empty: float) -> Tensor:
        values = [getattr(piece, name) for piece in group]
        out = np.full((len(group), longest, *values[0].shape[1:]), empty, dtype=values[0].dtype)
        for line, value in zip(out, values, strict=True):
            line[: len(value)] = value
        return torch.from_numpy(out)

    index = torch.zeros((len(group), longest), dtype=torch.int64)
    real = torch.zeros((len(group), longest))
    for number, piece in enumerate(group):
        index[number, : len(piece.words)] = torch.tensor([row[word] for word in piece.words])
        real[number, : len(piece.words)] = 1.0
    heads = [[row[word] for word in piece.head] or [0] for piece in group]
    starts = np.cumsum([0, *(len(head) for head in heads)])[:-1]
    flat = torch.tensor([i for head in heads for i in head])
    return Batch(
        store.tensors(words), index, (flat, torch.from_numpy(starts)), filled("places", 0.0), real,
        filled("wanted", 0.0), filled("kinds", -1), filled("weights", 0.0),
    )  # fmt: skip
