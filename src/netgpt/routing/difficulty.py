"""How hard a request is, from its text alone: the chance that a small model's answer does as well as a large one's.

What travels from one benchmark to another is what sort of request it is (`netgpt.sorts`) and what models of a size
usually reach there (`difficulty.toml`); within a sort, longer questions gain more from a large model. No label of a
benchmark is in it. `netgpt route train` adds an expert of one's own, which then counts in the place of the table.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import SettingsError
from netgpt.judgement import TaskKind
from netgpt.routing.expert import NAMES, Array, Embedder, Expert, features_of
from netgpt.sorts import Read, Sorts

TABLE: Final = Path(__file__).with_suffix(".toml")
GROUPS: Final = ("calculation", "code", "exam", "facts", "sense", "given", "talk")
OWN: Final = "own"  # name of one's own expert in its file
_REMEDY: Final = "reinstall netgpt, or train one with `netgpt route train`"
_SURE: Final = 3  # the chances of the sorts to this power: one sort decides where it is clear
_USUAL: Final = 4.8  # logarithm of the characters of a usual question (120)
_LONGEST: Final = 7.2  # and of one beyond which more says nothing (1,300)
_LONGER: Final = 0.1  # what a request e times as long gains more
_BATCH: Final = 512
_BOUND: Final = 3.0


@dataclass(frozen=True)
class SortTable:
    """`difficulty.toml`: what is usual for each sort, in the order of `sorts`."""

    sorts: tuple[str, ...]
    small: Array
    large: Array
    longer: Array
    groups: Array  # (sorts, GROUPS), 0 or 1
    at_once: Array  # gain where an answer is wanted at once
    curve: tuple[float, float]  # level and slope of the chance

    @property
    def gain(self) -> Array:
        """Of the large model over the small one."""
        return self.large - self.small


@lru_cache(4)
def table(sorts: tuple[str, ...]) -> SortTable:
    """The table for these sorts. Raises SettingsError: it is damaged, or lacks one of them."""
    try:
        listed = tomllib.loads(TABLE.read_text(encoding="utf-8"))
        rows = [listed["sorts"][sort] for sort in sorts]
        small, large, longer = (np.array([row[at] for row in rows], dtype=np.float32) for at in range(3))
        groups = np.array([[row[3] == group for group in GROUPS] for row in rows], dtype=np.float32)
        at_once = np.array(
            [listed["at_once"].get(row[3], gain) for row, gain in zip(rows, (large - small).tolist(), strict=True)],
            dtype=np.float32,
        )
        curve = float(listed["chance"]["level"]), float(listed["chance"]["slope"])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise SettingsError(f"{TABLE}: cannot be used ({error!r:.80}); reinstall netgpt") from None
    return SortTable(sorts, small, large, longer, groups, at_once, curve)


@dataclass(frozen=True, slots=True)
class Hardness:
    """What is known of some texts, a row each."""

    chance: Array  # that a small model's answer does as well as a large one's
    gain: Array  # expected score of the large model less that of the small one
    sorts: Array  # sharpened chances of the sorts, (texts, sorts)
    length: Array  # logarithms of the characters, less what is usual


class Difficulty:
    """Thread-safe: nothing changes after it was made. `own`: arrays of `netgpt route train`.

    Raises SettingsError when the table or `own` lack something."""

    def __init__(
        self, sorts: Sorts, embed: Embedder, card: Mapping[str, Any], own: Mapping[str, Array] | None = None
    ) -> None:
        self.sorts, self.card, self._embed = sorts, card, embed
        self.table = table(sorts.names)
        gains: dict[str, list[float]] = {}
        for kind, gain in zip(sorts.kinds, self.table.gain.tolist(), strict=True):
            gains.setdefault(kind, []).append(gain)
        self._usual_gain = {kind: sum(listed) / len(listed) for kind, listed in gains.items()}
        self._expert: Expert | None = None
        if own is not None:
            whole = {name: array.astype("float32") for name, array in own.items()}
            try:
                self._expert, self._curve = Expert.read(OWN, whole), whole[f"{OWN}.chance"]
            except KeyError as error:
                raise SettingsError(f"the model of difficulty lacks {error}: {_REMEDY}") from None

    @classmethod
    def shipped(cls, embed: Embedder | None = None, sorts: Sorts | None = None) -> Difficulty:
        """The table that comes with NetGPT. Raises SettingsError when a file is damaged."""
        embed = embed or _static()
        return cls(sorts or Sorts.shipped(embed), embed, _SHIPPED_CARD)

    @classmethod
    def load(cls, path: Path, embed: Embedder | None = None, sorts: Sorts | None = None) -> Difficulty:
        """With an expert of `netgpt route train`, its card beside it. Raises SettingsError when either is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

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
        embed = embed or _static()
        return cls(sorts or Sorts.shipped(embed), embed, card, arrays)

    def p_edge_ok(self, text: str) -> float:
        """The chance, 0 to 1, that a small model's answer does as well as a large one's."""
        return float(self.p_edge_oks([text])[0])

    def p_edge_oks(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same for many texts: (n,)."""
        batches = [self.hardness(texts[at : at + _BATCH]).chance for at in range(0, len(texts), _BATCH)]
        return np.concatenate(batches) if batches else np.zeros(0, dtype=np.float32)

    def x(self, text: str) -> tuple[float, ...]:
        """Twelve numbers for the learner, each -3 to 3: hardness and what sort of request it is. No text can be read
        from them."""
        return self.assess(text)[1]

    def assess(self, text: str) -> tuple[float, tuple[float, ...]]:
        """`p_edge_ok` and `x` of a text, for little more than the price of one."""
        read = self.sorts.read([text])
        found = self.hardness([text], read)
        return float(found.chance[0]), self.numbers(found, read)[0]

    def hardness(self, texts: Sequence[str], read: Read | None = None) -> Hardness:
        """All that is known of texts; `read`: what was read of them already."""
        read, known = read or self.sorts.read(texts), self.table
        sharp = read.chances**_SURE
        sharp /= sharp.sum(axis=1, keepdims=True)
        length = np.array([math.log1p(len(one.task)) for one in read.asked], dtype=np.float32)
        length = np.minimum(length, np.float32(_LONGEST)) - np.float32(_USUAL)
        at_once = np.array([one.at_once for one in read.asked], dtype=bool)[:, None]
        usual = np.where(at_once, sharp * known.at_once, sharp * known.gain).sum(axis=1)
        gain: Array = (usual + np.float32(_LONGER) * length * (sharp @ known.longer)).astype(np.float32)
        level, slope = known.curve
        if self._expert is not None:
            gain = self._expert.gain(*features_of(texts, self._embed))
            level, slope = (float(one) for one in self._curve)
        chance: Array = (1 / (1 + np.exp(-np.clip(level - slope * gain, -30, 30)))).astype(np.float32)
        return Hardness(chance, gain, sharp, length)

    def numbers(self, found: Hardness, read: Read) -> list[tuple[float, ...]]:
        """The learner's numbers of texts that were read."""
        groups = 2 * found.sorts @ self.table.groups
        rows = []
        for n, one in enumerate(read.asked):
            chance = min(max(float(found.chance[n]), 1e-6), 1 - 1e-6)
            shape = (math.log(chance / (1 - chance)) / 2, 5 * float(found.gain[n]), float(found.length[n]))
            row = (*shape, float(bool(one.options)), float("\n" in one.task), *groups[n].tolist())
            rows.append(tuple(max(-_BOUND, min(_BOUND, number)) for number in row))
        return rows

    def usual(self, kinds: Sequence[TaskKind]) -> list[float]:
        """`p_edge_ok` of a usual request of each kind: what is below it is harder than its kind."""
        level, slope = self.table.curve
        whole = sum(self._usual_gain.values()) / len(self._usual_gain)
        found = []
        for kind in kinds:
            known = [(chance, self._usual_gain.get(name, whole)) for name, chance in kind.chances]
            gain = sum(chance * one for chance, one in known) + (1 - sum(chance for chance, _ in known)) * whole
            found.append(1 / (1 + math.exp(slope * gain - level)))
        return found


def _static() -> Embedder:
    from netgpt.word_pieces import StaticEmbedder

    return StaticEmbedder()


_SHIPPED_CARD: Final[Mapping[str, Any]] = {
    "what": "the chance that a small model's answer does as well as a large one's, from the text alone",
    "labels": "none: usual scores of models by sort of request (difficulty.toml)",
    "kinds": {},
    "not covered": "conversations, pictures; what one small model is unusually good or bad at: measure it",
}
