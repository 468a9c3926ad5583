"""How hard a request is, from its text alone: the chance that a small model's answer does as well as a large one's.

A few numbers of the text's outside (`traits`) and the mean of public static word vectors go to small experts for kinds
of requests (`experts`). No network, no torch, about a millisecond for 2,000 characters. `netgpt route train` makes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netgpt.errors import SettingsError
from netgpt.routing.traits import NAMES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SHIPPED", "Difficulty", "Embedder"]

SHIPPED = Path(__file__).parent / "shipped" / "difficulty.safetensors"
Embedder = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts in, unit rows out: `netgpt.embedding.StaticEmbedder`."""


_REMEDY = "reinstall netgpt, or train one with `netgpt route train`"
_SHOWN = (
    "characters", "words", "numbers", "options", "word length", "latex", "code", "fence", "condition", "question word",
)  # fmt: skip
"""Traits that the learner sees."""
_BATCH = 512
_BOUND = 3.0


class Difficulty:
    """Thread-safe: nothing changes after it was made. Raises SettingsError when `arrays` lack something."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], embed: Embedder, card: Mapping[str, Any]) -> None:
        from netgpt.routing.experts import Expert, Gate

        whole = {name: array.astype("float32") for name, array in arrays.items()}
        kinds = list(card.get("kinds", ()))
        try:
            self._gate = Gate.read(whole)
            self._experts = [Expert.read(kind, whole) for kind in kinds]
            self._curves = [whole[f"{kind}.chance"] for kind in kinds]
        except KeyError as error:
            raise SettingsError(f"the model of difficulty lacks {error}: {_REMEDY}") from None
        self._embed = embed
        self._shown = [NAMES.index(name) for name in _SHOWN]
        self.card = card
        """What the file was made from, and what it reached."""

    @classmethod
    def shipped(cls, embed: Embedder | None = None) -> Difficulty:
        """The model that comes with NetGPT. Raises SettingsError when its file is damaged."""
        return cls.load(SHIPPED, embed)

    @classmethod
    def load(cls, path: Path, embed: Embedder | None = None) -> Difficulty:
        """A model from `netgpt route train`, with its card beside it. Raises SettingsError when either is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        from netgpt.embedding import StaticEmbedder

        try:
            content = path.read_bytes()
            card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            arrays = load(content)
        except (OSError, ValueError, SafetensorError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SettingsError(f"the model of difficulty cannot be read from {path} ({why}): {_REMEDY}") from None
        if not isinstance(card, dict) or sha256(content).hexdigest() != card.get("sha256"):
            raise SettingsError(f"the model of difficulty in {path} is not the one its card tells of: {_REMEDY}")
        if card.get("traits") != list(NAMES):
            raise SettingsError(f"the model of difficulty in {path} was made for another version: {_REMEDY}")
        return cls(arrays, embed or StaticEmbedder(), card)

    def p_edge_ok(self, text: str) -> float:
        """The chance, 0 to 1, that a small model's answer does as well as a large one's."""
        return float(self.p_edge_oks([text])[0])

    def p_edge_oks(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same for many texts: (n,)."""
        import numpy as np

        told = [self._told(texts[at : at + _BATCH])[0] for at in range(0, len(texts), _BATCH)]
        return np.concatenate(told) if told else np.zeros(0, dtype=np.float32)

    def x(self, text: str) -> tuple[float, ...]:
        """Twelve numbers for the learner, each -3 to 3: hardness and what the text looks like. No text can be read
        from them."""
        return self.told(text)[1]

    def told(self, text: str) -> tuple[float, tuple[float, ...]]:
        """`p_edge_ok` and `x` of a text, for little more than the price of one."""
        import numpy as np

        chances, gains, scaled = self._told([text])
        chance = float(chances[0])
        logit = np.log(max(chance, 1e-6) / max(1 - chance, 1e-6)) / 2
        numbers = (logit, 5 * gains[0], *(scaled[0, self._shown] * np.sqrt(len(NAMES))))
        return chance, tuple(max(-_BOUND, min(_BOUND, float(number))) for number in numbers)

    def _told(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Chances, expected gains and scaled traits of texts."""
        import numpy as np

        from netgpt.routing.experts import Scale, features_of

        outside, vectors = features_of(texts, self._embed)
        shares = self._gate.shares(outside)
        gains, chances = np.zeros(len(texts), dtype=np.float32), np.zeros(len(texts), dtype=np.float32)
        for share, expert, (level, slope) in zip(shares.T, self._experts, self._curves, strict=True):
            asked = np.flatnonzero(share)
            if len(asked):
                gain = expert.gain(outside[asked], vectors[asked])
                gains[asked] += share[asked] * gain
                chances[asked] += share[asked] / (1 + np.exp(-np.clip(level - slope * gain, -30, 30)))
        scaled = Scale(self._gate.mean, self._gate.spread).of(outside)
        return chances.clip(0, 1), gains, scaled
