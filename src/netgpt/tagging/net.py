"""The tagger's network in torch: `netgpt.privacy.tagger_net` with gradients."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netgpt.privacy.tagger_net import DILATIONS, TAGS
from netgpt.privacy.tagger_words import BUCKETS, FLAGS, OCCURRENCE

__all__ = ["TrainedNet"]

_VECTOR = 256


class TrainedNet(nn.Module):  # type: ignore[misc]  # torch is not followed
    """`width`: numbers for each word. `drop`: share of signs left out in training."""

    def __init__(self, width: int = 96, drop: float = 0.25) -> None:
        super().__init__()
        self.pieces = nn.Parameter(torch.randn(BUCKETS, width) * 0.1)
        self.plain = _matrix(_VECTOR, width)
        self.cased = _matrix(_VECTOR, width)
        self.shape = _matrix(FLAGS, width)
        self.word_bias = nn.Parameter(torch.zeros(width))
        self.place = _matrix(OCCURRENCE, width)
        self.head = _matrix(width, width)
        self.norm_scale = nn.Parameter(torch.ones(width))
        self.norm_shift = nn.Parameter(torch.zeros(width))
        self.told = _matrix(width, width)
        self.told_bias = nn.Parameter(torch.zeros(width))
        for number in range(len(DILATIONS)):
            kernel = torch.randn(3, width, width) * (1 / (3 * width)) ** 0.5
            self.register_parameter(f"conv{number}", nn.Parameter(kernel))
            self.register_parameter(f"conv{number}_bias", nn.Parameter(torch.zeros(width)))
        self.score = _matrix(width, 1)
        self.score_bias = nn.Parameter(torch.full((1,), -2.0))
        self.kind = _matrix(width, len(TAGS))
        self.kind_bias = nn.Parameter(torch.zeros(len(TAGS)))
        self._drop = drop

    def words(self, flat: Tensor, starts: Tensor, plain: Tensor, cased: Tensor, shapes: Tensor) -> Tensor:
        """Vectors of words, as `Net.words`; in training a word sometimes goes without its pieces or its vectors."""
        counts = torch.diff(starts, append=torch.tensor([len(flat)])).unsqueeze(1)
        spelled = functional.embedding_bag(flat, self.pieces, starts, mode="sum") / counts.sqrt()
        known = plain @ self.plain + cased @ self.cased
        if self.training:
            spelled = spelled * (torch.rand(len(spelled), 1) > 0.25)
            known = known * (torch.rand(len(known), 1) > 0.1)
        return spelled + known + shapes @ self.shape + self.word_bias

    def forward(self, vectors: Tensor, places: Tensor, heads: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (batch, words) and kinds (batch, words, kinds). `real`: 1 where there is a word."""
        mask = real.unsqueeze(2)
        h = vectors + places @ self.place + (heads @ self.head).unsqueeze(1)
        h = functional.layer_norm(h, h.shape[-1:], self.norm_scale, self.norm_shift).relu() * mask
        h = functional.dropout(h, self._drop, self.training)
        for number, dilation in enumerate(DILATIONS):
            kernel = getattr(self, f"conv{number}").permute(2, 1, 0)
            bias = getattr(self, f"conv{number}_bias")
            seen = functional.conv1d(h.transpose(1, 2), kernel, bias, padding=dilation, dilation=dilation)
            h = h + functional.dropout(seen.transpose(1, 2).relu(), self._drop / 2, self.training) * mask
            if number == 1:
                told = (h.amax(dim=1) @ self.told + self.told_bias).relu()
                h = h + functional.dropout(told, self._drop, self.training).unsqueeze(1) * mask
        return (h @ self.score + self.score_bias).squeeze(2), h @ self.kind + self.kind_bias

    def follow(self, other: TrainedNet, keep: float) -> None:
        """Move a step towards the other's weights: `keep` of the own, the rest of the other's."""
        with torch.no_grad():
            for own, new in zip(self.parameters(), other.parameters(), strict=True):
                own.lerp_(new, 1 - keep)

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """The weights as `netgpt.privacy.tagger_net.TaggerNet` reads them."""
        return {name: value.detach().numpy().astype(np.float16) for name, value in self.named_parameters()}


def _matrix(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * (1 / rows) ** 0.5)
