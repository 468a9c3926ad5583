"""From a finished training to a registered candidate: export, card, registry, and the examples kept beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from netgpt.adapters.card import Card
from netgpt.adapters.edge_weights import EdgeWeights
from netgpt.adapters.export import export
from netgpt.adapters.people import person_digest
from netgpt.adapters.registry import Entry, Registry
from netgpt.errors import NetGPTError
from netgpt.examples.example import Example, digest_of
from netgpt.examples.gather import Wanted
from netgpt.examples.keeping import keep_learnt
from netgpt.models.files import file_sha256
from netgpt.store.store import Store
from netgpt.tuning.lora import Recipe, TrainedAdapter
from netgpt.tuning.workfolder import TrainingRun

__all__ = ["Made", "people_in", "register"]


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
