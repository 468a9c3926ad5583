"""Small models worth fetching, and which of them suits this machine: memory needed, speed expected.

The speed is extrapolated from the bundled model's: writing a token reads all weights once, so its time grows with
their bytes; a part of it is work for each layer, whatever the bytes. That part is between 0.3 and 0.7 of the bundled
model's time on the machines that were measured (Qwen2.5 0.5B beside SmolLM2 135M, idle and busy): so a range is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final

from netgpt.models.catalog import known_weights
from netgpt.models.hub import HubPlace

BUNDLED_BYTES: Final = 98_362_432
BUNDLED_LAYERS: Final = 30
LAYER_SHARE: Final = (0.3, 0.7)
READING_PER_S: Final = 8.0
"""Tokens a second at which an answer comes about as fast as it is read."""
MEMORY_SHARE: Final = 0.8
"""Of the memory that is free; the rest is for the gateway and whatever else runs."""
NOT_FOR_ANSWERS: Final = (
    "smollm2-135m (135 M parameters) is there to choose which facts matter, to judge and to complete requests. It is "
    "not there to answer: it knows little and is wrong with confidence. For answers set a cloud (cloud.base_url), or "
    "take a larger model: `netgpt models recommend`."
)


@dataclass(frozen=True)
class Offer:
    """One model of `weights.toml`: where its file is, and what it needs."""

    name: str
    repo: str
    file: str
    bytes: int
    license: str
    architecture: str
    parameters: int
    layers: int
    context_tokens: int
    kv_bytes: int
    """Bytes of key and value cache a token."""
    good_for: str
    revision: str = "main"
    sha256: str = ""
    """Empty: taken from the hub at the first pull."""

    @property
    def wanted(self) -> HubPlace:
        """What to ask a hub for."""
        return HubPlace(self.repo, self.revision, self.file, self.sha256, self.bytes if self.sha256 else None)

    @property
    def open(self) -> bool:
        """Whether the licence asks for no more than to be named."""
        return self.license in ("Apache-2.0", "MIT")

    def memory(self, context_tokens: int, slots: int) -> int:
        """Bytes of memory that the engine needs: weights, cache, and what it computes with (measured: 0.06 to 0.15 GB
        for 0.1 and 0.5 GB of weights)."""
        return int(self.bytes * 1.05) + self.kv_bytes * context_tokens * slots + 150_000_000

    def speed(self, bundled_per_s: float) -> tuple[float, float]:
        """Tokens a second to expect where the bundled model writes so many: at least, at most."""
        layers, size = self.layers / BUNDLED_LAYERS, self.bytes / BUNDLED_BYTES
        slow, fast = (bundled_per_s / (share * layers + (1 - share) * size) for share in LAYER_SHARE)
        return slow, fast


@cache
def offers() -> Mapping[str, Offer]:
    """By name, the smallest first."""
    return {name: Offer(name=name, **row) for name, row in known_weights()["offered"].items()}


@dataclass(frozen=True)
class Machine:
    """What models have to fit: free memory in bytes, cores, context and slots of the engine, tokens a second that the
    bundled model writes here (None: not measured), and those that others were measured with."""

    memory: int
    cores: int
    context_tokens: int
    slots: int
    bundled_per_s: float | None = None
    measured: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Advice:
    """One offer on this machine; speeds in tokens a second, at least and at most (None: nothing was measured)."""

    offer: Offer
    memory: int
    fits: bool
    speed: tuple[float, float] | None
    is_measured: bool

    @property
    def middle(self) -> float:
        return (self.speed[0] * self.speed[1]) ** 0.5 if self.speed else 0.0

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        speed = [round(each, 1) for each in self.speed] if self.speed else None
        return {
            **asdict(self.offer), "memory_bytes": self.memory, "fits": self.fits, "tokens_per_s": speed,
            "tokens_per_s_is": "measured" if self.is_measured else "an estimate" if speed else None,
        }  # fmt: skip


def advise(machine: Machine) -> list[Advice]:
    """Every offer on this machine, the smallest first."""
    found = []
    for offer in offers().values():
        known = (machine.measured or {}).get(offer.name)
        base = machine.bundled_per_s
        speed = (known, known) if known else offer.speed(base) if base else None
        memory = offer.memory(machine.context_tokens, machine.slots)
        found.append(Advice(offer, memory, memory <= machine.memory * MEMORY_SHARE, speed, bool(known)))
    return found


def recommended(advice: Sequence[Advice], machine: Machine) -> tuple[Advice | None, str]:
    """The largest that fits and writes as fast as one reads, of about equal ones the one with the open licence; and
    why, in words. None: nothing fits."""
    fitting = [each for each in advice if each.fits]
    free = f"{machine.memory / 1e9:.1f} GB of free memory"
    if not fitting:
        return None, f"none of them fits into {free}: keep the bundled model, and let a cloud answer."
    quick = [each for each in fitting if each.middle >= READING_PER_S]
    if not any(each.speed for each in advice):
        best = fitting[0]
        why = "the smallest that fits; the speed of this machine is not known: `netgpt models pull`, then ask again"
    elif not quick:
        best = max(fitting, key=lambda each: each.middle)
        why = f"the fastest; none is expected to write {READING_PER_S:.0f} tokens/s, about as fast as one reads, here"
    else:
        most = max(each.offer.parameters for each in quick)
        best = max(
            (each for each in quick if each.offer.parameters * 1.5 >= most),
            key=lambda each: (each.offer.open, each.offer.parameters),
        )
        why = f"of those expected to write at least {READING_PER_S:.0f} tokens/s, about as fast as one reads, "
        why += "the largest" if best.offer.parameters == most else "it is nearly the largest, with an open licence"
    needs = f"It needs {best.memory / 1e9:.1f} of {free}"
    speed = ""
    if best.speed and not best.is_measured:
        speed = f"; its {best.speed[0]:.0f} to {best.speed[1]:.0f} tokens/s are an estimate, measured after the pull"
    return best, f"{best.offer.name}: {why}. {needs}, on {machine.cores} cores{speed}."
