"""`netgpt bench audit --faults`: the byte audit while the detector is killed, held up and fed texts made to hurt it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from netgpt.bench import audit

__all__ = ["FAULTS", "run"]

FAULTS: Final[dict[str, dict[str, Any]]] = {
    "killed once a second": {"kill_every_s": 1.0},
    "stopped half of the time": {"kill_every_s": None, "hold_every_s": 1.0},
    "fed long pathological texts": {"kill_every_s": None},
    "fed short pathological texts": {"kill_every_s": None},
}
_SHORTER = 100
"""How many times shorter the short texts are: of the long ones, most are kept at the edge for taking too long."""


async def run(*, requests: int, seed: int, characters: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """One audit for each of FAULTS with so many requests; `characters`: length of a pathological text.

    Names are counted apart: a language model finds them, and it misses some.
    """
    rows = []
    for number, (fault, how) in enumerate(FAULTS.items()):
        progress(fault)
        length = characters // (_SHORTER if "short" in fault else 1) if "pathological" in fault else 0
        told = await audit.run(requests=requests, seed=seed + number, pathological=length, progress=progress, **how)
        rows.append(_row(fault, told))
    return {"rows": rows, "deadline_s": audit.DEADLINE_S, "characters": characters}


def _row(fault: str, told: dict[str, Any]) -> dict[str, Any]:
    named = [row for row in told["rows"] if row["row"] == "PERSON"]
    others = [row for row in told["rows"] if row["row"] != "PERSON"]
    return {
        "row": fault,
        "requests": told["requests"],
        "reached the cloud": told["reached the cloud"],
        "planted": sum(row["planted"] for row in others),
        "left": sum(row["left in the log"] for row in others),
        "names left": sum(row["left in the log"] for row in named),
        "worst s": told["slowest_s"],
        "over the deadline": told["over the deadline"],
        "not 200": sum(count for status, count in told["statuses"].items() if status != "200"),
    }
