"""Train the detector of names, judge it on rows it has not seen, write weights and card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from netgpt.errors import NotFound, SettingsError
from netgpt.tagging.everyday import everyday

__all__ = ["make_detector"]


def make_detector(
    data: Path | None,
    out: Path,
    *,
    epochs: int,
    folds: int,
    seed: int,
    threads: int,
    progress: Callable[[str, int, float], None] = lambda part, epoch, loss: None,
    **more: Any,
) -> Mapping[str, Any]:
    """Train on the public sets of `data` (None: on invented sentences alone); returns the card and its path.

    `folds`: so many trainings judge by held-out rows first, 0: none. `progress` gets part, pass and loss.
    `more`: further fields of the `Course`, for a smaller one.
    `labelled` in the answer: whether there were public sets. Raises SettingsError: no torch, or a single fold.
    """
    if folds == 1:
        raise SettingsError("--folds 1 leaves nothing to train on: use 2 or more, or 0")
    try:
        import torch
    except ImportError:
        raise SettingsError("training needs torch: install netgpt[train]") from None
    from netgpt.tagging.learn import Course
    from netgpt.tagging.making import Bench, cross_validated, final
    from netgpt.tagging.shipping import card, ship

    torch.set_num_threads(threads)
    bench = Bench(data, seed, _plain(data))
    course = Course(epochs=epochs, seed=seed, **more)
    judged = cross_validated(bench, course, folds, progress) if folds and bench.labelled else {}
    arrays = final(bench, course, progress)
    path = ship(arrays, out, made := card(bench, course.told(), judged, folds if judged else 0))
    return {"path": str(path), "labelled": bench.labelled is not None, **made}


def _plain(data: Path | None) -> frozenset[str]:
    """Everyday requests that hold nothing private, by the rule that the privacy benchmark judges by."""
    try:
        return frozenset(text for _, text in everyday(data, 0, 0)) if data is not None else frozenset()
    except NotFound:
        return frozenset()
