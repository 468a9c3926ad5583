"""Where a training keeps what it needs to go on: one folder a name, with a lock, a mark, and the trainer's checkpoints.

    training/NAME/run.json     which run this is, what decides its result, and digests of the people in it; no text
    training/NAME/lock         held while a training runs; the kernel drops it when the process dies
    training/NAME/work/        the trainer's own: checkpoints, caches, the finished adapter

Who forgets a person deletes the folder. A training that runs meanwhile sees at its next step that its mark is gone.
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
from netgpt.models.download import file_sha256
from netgpt.store.store import Store
from netgpt.training.collect import Wanted, keep_learnt
from netgpt.training.example import Example, digest_of
from netgpt.training.lora.recipe import Recipe, TrainedAdapter

MARK: Final = "run.json"
LOCK: Final = "lock"


class TrainingRun:
    """One training at work in its folder. A context manager: the lock is held inside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.id = ""
        self.resumes = False
        """Whether a run with the same data and recipe was cut here before."""
        self.canary_seed = 0
        self._lock = -1

    def __enter__(self) -> Self:
        """Take the lock. Raises RequestError: another training of this name runs; StoreError: the disk refuses."""
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be made: {error.strerror}.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise RequestError(
                f"a training of {self.folder.name} runs already ({self.folder}). Wait for it, or stop it with Ctrl-C; "
                "it can go on later.",
                code="training_runs",
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    @property
    def lock(self) -> int:
        """The descriptor that holds the lock, for a child that is to hold it too."""
        return self._lock

    def begin(self, decides: Mapping[str, Any], people: Collection[str], *, fresh: bool) -> None:
        """Mark the folder as this run's. What a run with other data or another recipe left is deleted first."""
        known = {} if fresh else _mark(self.folder)
        wanted = json.loads(json.dumps(dict(decides)))
        self.resumes = known.get("decides") == wanted and self.work.is_dir()
        if not self.resumes:
            _delete(self.work)
        self.canary_seed = int(known["canary_seed"]) if self.resumes else secrets.randbits(31)
        self.id = secrets.token_hex(8)
        mark = {
            "id": self.id,
            "name": self.folder.name,
            "decides": wanted,
            "people": sorted(people),
            "canary_seed": self.canary_seed,
        }
        self.work.mkdir(mode=0o700, exist_ok=True)
        _write(self.folder / MARK, json.dumps(mark, indent=1))

    def still_mine(self) -> bool:
        """False as soon as somebody in the data was forgotten: then the training must end and leave nothing."""
        return _mark(self.folder).get("id") == self.id

    def check(self) -> None:
        """Raises RequestError, and deletes what is left, when the run is no longer wanted."""
        if not self.still_mine():
            shutil.rmtree(self.folder, ignore_errors=True)
            raise RequestError(
                "stopped: a person whose examples are in this training was forgotten or took back the consent. "
                "Nothing of it is kept; start it again without them.",
                code="training_forgotten",
            )

    def finish(self) -> None:
        """Delete the folder: what was made is in the registry."""
        _delete(self.folder)


def runs_of(folder: Path, digests: Collection[str]) -> list[Path]:
    """The folders of trainings with one of these people in them; one whose mark cannot be read counts as well."""
    if not folder.is_dir():
        return []
    names = {f"user-{digest[:12]}" for digest in digests}
    found = []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        mark = _mark(each)
        if not mark or each.name in names or not set(digests).isdisjoint(mark.get("people") or ()):
            found.append(each)
    return found


def drop_runs(folder: Path, digests: Collection[str]) -> list[str]:
    """Delete the trainings with one of these people in them; returns their names. Raises StoreError."""
    dropped = []
    for each in runs_of(folder, digests):
        (each / MARK).unlink(missing_ok=True)  # first: a training that runs sees it
        _delete(each)
        dropped.append(each.name)
    return dropped


def _mark(folder: Path) -> dict[str, Any]:
    """What `run.json` says; empty when there is none or it is damaged."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return mark if isinstance(mark, dict) and isinstance(mark.get("people"), list) else {}


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}.") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _delete(folder: Path) -> None:
    for _ in range(3):  # a training that runs may write one last file meanwhile
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    raise StoreError(f"{folder}: cannot be deleted. Check who owns it, then forget once more.")


# --- From a finished training to a registered candidate: export, card, registry, and the examples kept beside it.


@dataclass(frozen=True)
class Made:
    """All that decides a candidate: what was wanted, from what, how, and what came out."""

    wanted: Wanted
    base: EdgeWeights
    recipe: Recipe
    examples: Sequence[Example]
    """Without the planted canaries."""
    canaries: dict[str, int]
    """`seed` and `count`."""
    trained: TrainedAdapter


def people_in(examples: Sequence[Example]) -> tuple[str, ...]:
    """Digests of the people whose examples these are."""
    return tuple(sorted({person_digest(example.person) for example in examples if example.person is not None}))


async def register(made: Made, run: TrainingRun, registry: Registry, store: Store) -> Entry:
    """Export the adapter, list it as a candidate, and keep what it learnt from.

    A person who is forgotten at any moment meanwhile takes the adapter along. Raises RequestError, StoreError.
    """
    weights = run.work / "adapter.gguf"
    written = export(made.trained.folder, made.base.path, weights)
    card = _card(made, weights, architecture=written.architecture, targets=tuple(written.targets))
    run.check()
    entry = registry.add(weights, card, next_free=True)
    try:
        await keep_learnt(store, made.examples, entry.id)
        run.check()  # once more, after all is written: who was forgotten meanwhile did not find it
    except NetGPTError:
        with suppress(NetGPTError):
            registry.remove(entry.id)
        await store.learning.drop_adapters([entry.id])
        raise
    return entry


def _card(made: Made, weights: Path, *, architecture: Any, targets: tuple[str, ...]) -> Card:
    trained, recipe = made.trained, made.recipe
    named = asdict(recipe) | {"targets": list(recipe.targets), "dtype": trained.dtype or recipe.dtype}
    return Card(
        name=made.wanted.name,
        version=1,
        scope=made.wanted.scope,
        base=made.base.name,
        base_sha256=made.base.sha256,
        architecture=architecture,
        rank=recipe.rank,
        alpha=recipe.alpha,
        targets=targets,
        weights_sha256=file_sha256(weights),
        bytes=weights.stat().st_size,
        recipe={"name": made.wanted.name, "examples_seed": made.wanted.seed, "with_data": made.wanted.data is not None}
        | named
        | {"canaries": made.canaries},
        data_digest=digest_of(made.examples),
        examples=len(made.examples),
        origins=dict(Counter(example.kind for example in made.examples)),
        people=people_in(made.examples),
        metrics=_figures(trained),
        created=datetime.now(UTC),
    )


def _figures(trained: TrainedAdapter) -> dict[str, Any]:
    names = ("loss", "held_out_loss", "tokens", "tokens_per_s", "seconds", "peak_mb", "stopped", "examples",
             "held_out_examples", "left_out", "dtype", "resumed")  # fmt: skip
    return {name: getattr(trained, name) for name in names}
