"""The trained parts of difficulty: what one kind of request gains by a large model, and which kind a request is.

An expert is a kernel machine: features are centred, turned onto a few axes, and compared with landmarks. A gate weighs
the experts by the form of the text. Pure numpy; `netgpt.grading` trains what is run here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.routing.traits import NAMES, clipped, stem_of, traits

__all__ = ["Array", "Expert", "Gate", "Scale", "features_of", "nearness"]

Array = NDArray[np.float32]
EMBEDDING = 0.7
"""Weight of the two mean word vectors beside the traits, which together have length one on average."""
_EXTREME = 5.0
"""Standard deviations beyond which a trait counts no more."""


_TOO_LITTLE = 0.01
"""A kind that a text resembles less is not asked: most texts need one expert."""


def features_of(texts: Sequence[str], embed: Any) -> tuple[Array, Array]:
    """Traits (n, len(NAMES)), not scaled, and the word vectors of each text and of its stem (n, 2 x 256)."""
    texts = [clipped(text) for text in texts]
    stems = [stem_of(text) for text in texts]
    outside = np.array([traits(text) for text in texts], dtype=np.float32).reshape(len(texts), len(NAMES))
    whole = embed(texts)
    parts = whole if stems == texts else embed(stems)
    return outside, np.hstack([whole, parts]).astype(np.float32)


def nearness(rows: Array, landmarks: Array, gamma: float) -> Array:
    """The Gaussian kernel exp(-gamma |a - b|^2): (rows, landmarks)."""
    apart = (rows**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2 * rows @ landmarks.T
    near: Array = np.exp(-gamma * np.maximum(apart, 0), dtype=np.float32)
    return near


@dataclass(frozen=True)
class Scale:
    """Mean and spread of the traits of one kind of request."""

    mean: Array
    spread: Array

    def of(self, outside: Array) -> Array:
        """Standard deviations from the mean, extremes cut, as long as one in all."""
        scaled: Array = np.clip((outside - self.mean) / self.spread, -_EXTREME, _EXTREME) / np.sqrt(len(NAMES))
        return scaled

    @classmethod
    def learnt(cls, outside: Array) -> Scale:
        """The scale of these rows."""
        return cls(outside.mean(axis=0), outside.std(axis=0) + np.float32(1e-3))


@dataclass(frozen=True)
class Expert:
    """What a large model's answer is worth more than a small one's, for one kind of request."""

    mean: Array
    spread: Array
    axes: Array
    """(features, axes)."""
    centre: Array
    landmarks: Array
    """(landmarks, axes)."""
    weights: Array
    """One a landmark."""
    curve: Array
    """(gamma, bias)."""

    def gain(self, outside: Array, vectors: Array) -> Array:
        """Expected score of the large model less that of the small one, a row each."""
        near = nearness(self.placed(outside, vectors), self.landmarks, float(self.curve[0]))
        gain: Array = near @ self.weights + self.curve[1]
        return gain

    def placed(self, outside: Array, vectors: Array) -> Array:
        """The rows on the expert's axes."""
        features = np.hstack([Scale(self.mean, self.spread).of(outside), EMBEDDING * vectors])
        placed: Array = features @ self.axes - self.centre
        return placed

    def arrays(self, name: str) -> dict[str, Array]:
        """As they are written to a file."""
        return {f"{name}.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def read(cls, name: str, arrays: Mapping[str, Array]) -> Expert:
        """From a file's arrays. Raises KeyError when one is missing."""
        return cls(**{field.name: arrays[f"{name}.{field.name}"] for field in fields(cls)})


@dataclass(frozen=True)
class Gate:
    """Which kind of request a text looks like: a softmax over its traits."""

    mean: Array
    spread: Array
    weights: Array
    """(traits, kinds)."""
    bias: Array

    def shares(self, outside: Array) -> Array:
        """How much of each kind: (rows, kinds), each row sums to one."""
        told = Scale(self.mean, self.spread).of(outside) @ self.weights + self.bias
        shares = np.exp(told - told.max(axis=1, keepdims=True))
        shares = shares / shares.sum(axis=1, keepdims=True)
        shares = np.where(shares < _TOO_LITTLE, 0, shares)
        normal: Array = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        return normal

    def arrays(self) -> dict[str, Array]:
        """As they are written to a file."""
        return {f"gate.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def read(cls, arrays: Mapping[str, Array]) -> Gate:
        """From a file's arrays. Raises KeyError when one is missing."""
        return cls(**{field.name: arrays[f"gate.{field.name}"] for field in fields(cls)})
