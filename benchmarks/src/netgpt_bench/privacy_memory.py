"""Memory of the detector over many texts, in a process of its own: `python -m netgpt_bench.privacy_memory`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from netgpt.privacy.detector import Finder
from netgpt_bench.harness import end_with_parent, result_of
from netgpt_bench.privacy_data import TextMaker

CHARS: Final = 120
MARK: Final = 0.2
"""The share of the texts after which memory counts as settled: what is remembered is full by then."""


async def over_many(texts: int, seed: int) -> dict[str, Any]:
    """Resident megabytes after loading, after a fifth of `texts` new texts, and after all. Raises ModelUnavailable."""
    asked = {"texts": texts, "seed": seed}
    return await result_of("the memory of the detector", "netgpt_bench.privacy_memory", asked=asked)


def measure(texts: int, seed: int) -> dict[str, Any]:
    """The same in this process."""
    finder, maker = Finder(), TextMaker(seed)
    finder.load()
    loaded = settled = _resident_mb()
    for number in range(1, texts + 1):
        finder.find([maker.text(CHARS)], (), None)
        if number == int(texts * MARK):
            settled = _resident_mb()
    last = _resident_mb()
    return {
        "texts": texts,
        "characters each": CHARS,
        "MB loaded": round(loaded, 1),
        f"MB after {int(texts * MARK)}": round(settled, 1),
        f"MB after {texts}": round(last, 1),
        "growth MB": round(last - settled, 1),
    }


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    end_with_parent()
    sys.stdout.write(json.dumps(measure(asked["texts"], asked["seed"])) + "\n")


if __name__ == "__main__":
    main()
