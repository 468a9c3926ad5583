"""The tagger's network in NumPy: words in, a probability and a kind for each word out.

Word vectors are summed from character pieces, frozen public word pieces and shape; dilated convolutions of width
three look at the neighbours; the strongest signs of the whole segment are told to each of its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DILATIONS", "TAGS", "TaggerNet"]

TAGS = (
    "PERSON", "PLACE", "ORG", "DATE", "AGE", "JOB", "PRODUCT", "ADDRESS", "NATIONALITY", "URL", "USERNAME", "ID",
    "HEALTH",
)  # fmt: skip
"""Kinds that the network tells apart, in the order of its outputs."""
DILATIONS = (1, 2, 4, 1)
"""How far each layer looks to either side."""
_GAP = max(DILATIONS)

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TaggerNet:
    """`weights`: name -> float32 array, as the training wrote them."""

    weights: Mapping[str, Array]

    def words(self, pieces: Sequence[Sequence[int]], plain: Array, cased: Array, shapes: Array) -> Array:
        """Vectors of words: (n, width). `plain`, `cased`: their public vectors (n, 256); `shapes`: (n, FLAGS)."""
        w = self.weights
        flat = np.fromiter((i for ids in pieces for i in ids), dtype=np.int64)
        counts = np.fromiter((len(ids) for ids in pieces), dtype=np.int64, count=len(pieces))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        spelled = np.add.reduceat(w["pieces"][flat], starts, axis=0) / np.sqrt(counts)[:, None]
        vectors: Array = (
            spelled + plain @ w["plain"] + cased @ w["cased"] + shapes @ w["shape"] + w["word_bias"]
        ).astype(np.float32)
        return vectors

    def tags(self, segments: Sequence[tuple[Array, Array, Array]]) -> list[tuple[Array, NDArray[np.int64]]]:
        """For each segment (word vectors, places, head of the text) the probabilities and the kinds of its words."""
        w = self.weights
        sizes = [len(vectors) for vectors, _, _ in segments]
        starts = np.cumsum([_GAP, *(size + _GAP for size in sizes)])[:-1]
        h = np.zeros((sum(sizes) + _GAP * (len(sizes) + 1), w["word_bias"].shape[0]), dtype=np.float32)
        real = np.zeros((len(h), 1), dtype=np.float32)
        for start, size, (vectors, places, head) in zip(starts, sizes, segments, strict=True):
            h[start : start + size] = vectors + places @ w["place"] + head @ w["head"]
            real[start : start + size] = 1.0
        h = _positive(_normal(h, w["norm_scale"], w["norm_shift"])) * real
        for number, dilation in enumerate(DILATIONS):
            seen = _convolved(h, w[f"conv{number}"], w[f"conv{number}_bias"], dilation)
            h = h + _positive(seen) * real
            if number == 1:
                h = h + self._told(h, starts, sizes) * real
        score = h @ w["score"] + w["score_bias"]
        kind = (h @ w["kind"] + w["kind_bias"]).argmax(axis=1)
        chance = 1.0 / (1.0 + np.exp(-np.clip(score[:, 0], -30, 30)))
        return [(chance[a : a + n], kind[a : a + n]) for a, n in zip(starts, sizes, strict=True)]

    def _told(self, h: Array, starts: NDArray[np.int64], sizes: Sequence[int]) -> Array:
        """The strongest of each sign in a segment, for every word of it. All signs are >= 0, so gaps never win."""
        strongest = np.maximum.reduceat(h, starts, axis=0)
        told = np.maximum(strongest @ self.weights["told"] + self.weights["told_bias"], 0.0)
        spread = np.zeros_like(h)
        for start, size, row in zip(starts, sizes, told, strict=True):
            spread[start : start + size] = row
        return spread


def _positive(h: Array) -> Array:
    kept: Array = np.maximum(h, np.float32(0))
    return kept


def _normal(h: Array, scale: Array, shift: Array) -> Array:
    centred = h - h.mean(axis=1, keepdims=True)
    normal: Array = centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5) * scale + shift
    return normal


def _convolved(h: Array, kernel: Array, bias: Array, dilation: int) -> Array:
    """`kernel`: (3, width, width), for the word `dilation` before, the word itself, and the one behind."""
    out: Array = h @ kernel[1] + bias
    out[dilation:] += h[:-dilation] @ kernel[0]
    out[:-dilation] += h[dilation:] @ kernel[2]
    return out
