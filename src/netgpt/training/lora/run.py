"""A training's folder, by the adapter's name, and the step from a finished training to a registered candidate.

    training/NAME/run.json     which run this is, what decides its result, and digests of the people in it; no text
    training/NAME/lock         held while a training runs; the kernel drops it when the process dies
    training/NAME/work/        the trainer's own: checkpoints, caches, the finished adapter

Forgetting a person deletes the folder. A training that runs meanwhile sees at its next step that run.json is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from netgpt.adapters.card import Card, EdgeWeights, person_digest
from netgpt.adapters.peft import export
from netgpt.adapters.registry import Entry, Registry
from netgpt.errors import NetGPTError, RequestError, StoreError
from netgpt.models.download import file_sha256, write_whole
from netgpt.store.store import Store
from netgpt.training.collect import Wanted, keep_learnt
from netgpt.training.example import Example, digest_of
from netgpt.training.lora.recipe import Recipe, TrainedAdapter

MARKER: Final = "run.json"
NOW: Final = "now.json"
"""Beside the folders: how far the training is that the box runs, by the adapter's name (`netgpt.app.training`)."""


class TrainingRun:
    """One training in its folder. A context manager: the lock is held inside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.id = ""
        self.resumes = False
        """Whether it goes on from an interrupted run with the same data and recipe."""
        self.canary_seed = 0
        self.lock = -1
        """The descriptor that holds the lock, for a child that is to hold it too."""

    def __enter__(self) -> Self:
        """Take the lock. Raises RequestError: another training of this name runs; StoreError: the disk refuses."""
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self.lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be made: {error.strerror}.") from None
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.lock)
            raise RequestError(
                f"a training of {self.folder.name} runs already ({self.folder}). Wait for it, or stop it with Ctrl-C; "
                "it can go on later.",
                code="training_runs",
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.lock)

    def begin(self, decides: Mapping[str, Any], people: Collection[str], *, fresh: bool) -> None:
        """Write `run.json`. What a run with other data or another recipe left is deleted first."""
        known = {} if fresh else _marker(self.folder)
        wanted = json.loads(json.dumps(dict(decides)))
        self.resumes = known.get("decides") == wanted and self.work.is_dir()
        if not self.resumes:
            _delete(self.work)
        self.canary_seed = int(known["canary_seed"]) if self.resumes else secrets.randbits(31)
        self.id = secrets.token_hex(8)
        marker = {"id": self.id, "name": self.folder.name, "decides": wanted, "people": sorted(people),
                  "canary_seed": self.canary_seed}  # fmt: skip
        self.work.mkdir(mode=0o700, exist_ok=True)
        write_whole(self.folder / MARKER, json.dumps(marker, indent=1), StoreError)

    def still_mine(self) -> bool:
        """False once somebody in the data was forgotten: the training must end and leave nothing."""
        return _marker(self.folder).get("id") == self.id

    def check(self) -> None:
        """Raises RequestError, and deletes what is left, when somebody in the data was forgotten."""
        if not self.still_mine():
            shutil.rmtree(self.folder, ignore_errors=True)
            raise RequestError(
                "stopped: a person whose examples are in this training was forgotten or took back the consent. "
                "Nothing of it is kept; start it again without them.",
                code="training_forgotten",
            )

    def finish(self) -> None:
        """Delete the folder: the adapter is in the registry."""
        _delete(self.folder)


def runs_of(folder: Path, digests: Collection[str]) -> list[Path]:
    """The folders of trainings with one of these people in them; one with an unreadable `run.json` counts as well."""
    if not folder.is_dir():
        return []
    names = {f"user-{digest[:12]}" for digest in digests}
    found = []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        marker = _marker(each)
        if not marker or each.name in names or not set(digests).isdisjoint(marker["people"]):
            found.append(each)
    return found


def drop_runs(folder: Path, digests: Collection[str]) -> list[str]:
    """Delete the trainings with one of these people in them; returns their names. Raises StoreError."""
    dropped = []
    for each in runs_of(folder, digests):
        (each / MARKER).unlink(missing_ok=True)  # first: a training that runs sees it
        _delete(each)
        dropped.append(each.name)
    with suppress(OSError):
        if any(f"user-{digest[:12]}" in (folder / NOW).read_text(encoding="utf-8") for digest in digests):
            (folder / NOW).unlink()
    return dropped


def _marker(folder: Path) -> dict[str, Any]:
    """The content of `run.json`; empty when there is none or it is damaged."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return marker if isinstance(marker, dict) and isinstance(marker.get("people"), list) else {}


def _delete(folder: Path) -> None:
    for _ in range(3):  # a training that runs may write one last file meanwhile
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    raise StoreError(f"{folder}: cannot be deleted. Check who owns it, then forget once more.")


@dataclass(frozen=True)
class FinishedTraining:
    """All that decides a candidate: the request, base, recipe, examples, and the result."""

    wanted: Wanted
    base: EdgeWeights
    recipe: Recipe
    examples: Sequence[Example]
    """Without the canaries."""
    canaries: dict[str, int]
    """`seed` and `count`."""
    trained: TrainedAdapter


def people_in(examples: Sequence[Example]) -> tuple[str, ...]:
    """Digests of the people whose examples these are."""
    return tuple(sorted({person_digest(example.person) for example in examples if example.person is not None}))


async def register(done: FinishedTraining, run: TrainingRun, registry: Registry, store: Store) -> Entry:
    """Export the adapter, list it as a candidate, and keep what it learnt from.

    When a person in it is forgotten meanwhile, at any moment, the adapter goes too. Raises RequestError, StoreError.
    """
    weights = run.work / "adapter.gguf"
    written = export(done.trained.folder, done.base.path, weights)
    card = _card(done, weights, architecture=written.architecture, targets=tuple(written.targets))
    run.check()
    entry = registry.add(weights, card, next_free=True)
    try:
        await keep_learnt(store, done.examples, entry.id)
        run.check()  # again, after all is written: forgetting a person before that did not find it
    except NetGPTError:
        with suppress(NetGPTError):
            registry.remove(entry.id)
        await store.learning.drop_adapters([entry.id])
        raise
    return entry


def _card(done: FinishedTraining, weights: Path, *, architecture: Any, targets: tuple[str, ...]) -> Card:
    wanted, base, trained, recipe, examples = done.wanted, done.base, done.trained, done.recipe, done.examples
    made_of = {"name": wanted.name, "examples_seed": wanted.seed, "with_data": wanted.data is not None}
    made_of |= asdict(recipe) | {"targets": list(recipe.targets), "dtype": trained.dtype or recipe.dtype}
    metrics = {name: value for name, value in asdict(trained).items() if name not in ("folder", "cpu_s")}
    return Card(
        name=wanted.name, version=1, scope=wanted.scope, base=base.name, base_sha256=base.sha256,
        architecture=architecture, rank=recipe.rank, alpha=recipe.alpha, targets=targets,
        weights_sha256=file_sha256(weights), bytes=weights.stat().st_size,
        recipe=made_of | {"canaries": done.canaries}, data_digest=digest_of(examples), examples=len(examples),
        origins=dict(Counter(example.kind for example in examples)), people=people_in(examples), metrics=metrics,
        created=datetime.now(UTC),
    )  # fmt: skip
