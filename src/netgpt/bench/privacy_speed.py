"""What finding costs: milliseconds for texts never seen, and for the turns of a conversation that grows."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from netgpt.bench.privacy_texts import TextMaker
from netgpt.bench.privacy_ways import PrivacyWay
from netgpt.bench.report import percentile
from netgpt.privacy.detect import Detector, LocalDetector
from netgpt.privacy.patterns import find_patterns
from netgpt.privacy.vault import Vault

__all__ = ["conversation", "new_texts", "patterns_alone"]

TURN_CHARS: Final = 500
"""Characters of each message of the conversation."""


def new_texts(ways: Sequence[PrivacyWay], size: int, samples: int, seed: int) -> list[dict[str, Any]]:
    """Each way on the same texts, in turns, so that a busy machine slows all of them; the first text warms up."""
    maker = TextMaker(seed)
    times: list[list[float]] = [[] for _ in ways]
    for number in range(samples + 1):
        text = maker.text(size)
        for way, own in zip(ways, times, strict=True):
            taken = _ms(lambda way=way, text=text: way.find(text))  # type: ignore[misc]
            if number:
                own.append(taken)
    return [{"way": way.name, "characters": size, **_told(own)} for way, own in zip(ways, times, strict=True)]


def patterns_alone(size: int, samples: int, seed: int) -> dict[str, Any]:
    """The pattern finders without names and without what is remembered."""
    maker = TextMaker(seed + 1)
    texts = [maker.text(size) for _ in range(samples + 1)]
    times = [_ms(lambda text=text: find_patterns(text)) for text in texts][1:]  # type: ignore[misc]
    return {"way": "netgpt, patterns only", "characters": size, **_told(times)}


async def conversation(turns: int, seed: int) -> dict[str, Any]:
    """The whole sealing of each turn: every turn brings two new messages and sends all the old ones again.

    `growth` compares the median of the last fifth of the turns with that of the first fifth after the second turn.
    """
    detector = LocalDetector()
    await detector.start()
    maker, vault = TextMaker(seed + 2), Vault()
    messages: list[dict[str, str]] = []
    times = []
    for _ in range(turns):
        messages.append({"role": "user", "content": maker.text(TURN_CHARS)})
        times.append(await _sealing_ms(vault, messages, detector))
        messages.append({"role": "assistant", "content": maker.text(TURN_CHARS)})
    await detector.close()
    fifth = max(1, turns // 5)
    early, late = statistics.median(times[2 : 2 + fifth] or times), statistics.median(times[-fifth:])
    return {
        "turns": turns,
        "new characters a turn": 2 * TURN_CHARS,
        "early ms": round(early, 2),
        "late ms": round(late, 2),
        "growth": round(late / early, 2),
        "p95 ms": round(percentile(times, 0.95), 2),
    }


async def _sealing_ms(vault: Vault, messages: Sequence[dict[str, str]], detector: Detector) -> float:
    started = time.perf_counter()
    await vault.seal({"model": "m", "messages": [dict(message) for message in messages]}, detector)
    await asyncio.sleep(0)
    return (time.perf_counter() - started) * 1000


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _told(times: Sequence[float]) -> dict[str, Any]:
    return {
        "samples": len(times),
        "median ms": round(statistics.median(times), 2),
        "p25": round(percentile(times, 0.25), 2),
        "p75": round(percentile(times, 0.75), 2),
        "p95 ms": round(percentile(times, 0.95), 2),
    }
