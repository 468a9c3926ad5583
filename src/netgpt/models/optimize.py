"""Finds the block format that is fastest on this machine, and keeps it when it is worth it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from netgpt.errors import NetGPTError
from netgpt.models.catalog import Catalog, WeightsEntry
from netgpt.models.gguf import check_weights
from netgpt.models.measure import Figures, measure, read_reference
from netgpt.models.requantize import FORMATS, requantize

__all__ = ["OptimizeReport", "best_of", "optimize"]

MIN_GAIN = 0.10
"""A format must save this share of a typical exchange's time, else the original stays."""
MIN_AGREEMENT = 0.85
"""Below this share of equal next tokens a format answers too differently."""


@dataclass(frozen=True)
class OptimizeReport:
    """What was measured, by format (the original's first), and which format serves from now on."""

    original: str
    chosen: str
    figures: dict[str, Figures] = field(default_factory=dict)
    why: str = ""


async def optimize(catalog: Catalog, name: str, *, threads: int = 0, say: Callable[[str], None]) -> OptimizeReport:
    """Requantize, measure and choose for the catalogue entry `name`; the choice is written to the catalogue.

    Raises NotFound, ModelUnavailable, RequestError (the weights are in no format that can be rewritten).
    """
    entry = catalog.show(name)
    source = catalog.original(entry)
    original = check_weights(source).quantization
    made: dict[str, Path] = {}
    try:
        made = _make_all(source, catalog.models_dir, entry, original, say)
        say(f"measuring {original}")
        reference = await read_reference(source, threads=threads)
        figures = {original: await measure(source, reference, threads=threads)}
        for form, path in made.items():
            say(f"measuring {form}")
            figures[form] = await measure(path, reference, threads=threads)
        chosen, why = best_of(original, figures)
        kept = made.pop(chosen, None)
        best = figures[chosen]
        catalog.set_optimized(
            entry, kept,
            {"format": chosen, "prompt_per_s": round(best.prompt_per_s, 1),
             "written_per_s": round(best.written_per_s, 1), "agreement": round(best.agreement, 3)},
        )  # fmt: skip
        return OptimizeReport(original, chosen, figures, why)
    finally:
        for path in made.values():
            path.unlink(missing_ok=True)


def best_of(original: str, figures: dict[str, Figures]) -> tuple[str, str]:
    """The format to serve, and the reason in one sentence. Pure: a choice from figures."""
    base = figures[original]
    able = {form: f for form, f in figures.items() if form == original or f.agreement >= MIN_AGREEMENT}
    fastest = min(able, key=lambda form: able[form].typical_s)
    gain = 1 - able[fastest].typical_s / base.typical_s
    if fastest == original or gain < MIN_GAIN:
        return original, f"{original} stays: no other format saves {MIN_GAIN:.0%} of the time and answers alike"
    return fastest, f"{fastest} saves {gain:.0%} of the time of a typical exchange"


def _make_all(
    source: Path, folder: Path, entry: WeightsEntry, original: str, say: Callable[[str], None]
) -> dict[str, Path]:
    """Each format that the source can be rewritten in, as a file. Nothing stays behind when one fails."""
    made: dict[str, Path] = {}
    try:
        for form in FORMATS:
            if form != original:
                say(f"writing {form}")
                made[form] = requantize(source, folder / f"{entry.name}.{entry.sha256[:12]}.{form}.gguf", form)
    except NetGPTError:
        for path in made.values():
            path.unlink(missing_ok=True)
        raise
    return made
