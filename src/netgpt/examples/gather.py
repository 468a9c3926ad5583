"""Puts together what one adapter learns from: recipe, own exchanges, a file, and pairs that the cloud wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from netgpt.errors import DetectorError, PermissionDenied, RequestError
from netgpt.examples.boundary import through_the_boundary
from netgpt.examples.example import Example, deduplicated
from netgpt.examples.jsonl import read_examples
from netgpt.examples.kanonymity import shared_by
from netgpt.examples.own import PURPOSE, UNCHECKED, OwnExamples, gather_own
from netgpt.examples.recipes import RECIPES, recipe_named
from netgpt.examples.vocabulary import Vocabulary, common_words
from netgpt.privacy.detect import Detector
from netgpt.store.store import Store
from netgpt.types import Person

__all__ = ["Gathered", "Instructor", "Scope", "Wanted", "gather"]

Scope = Literal["task", "site", "user"]

Instructor = Callable[[], Awaitable[list[Example]]]
"""Has the cloud write pairs; made by whoever knows the cloud."""


@dataclass(frozen=True)
class Wanted:
    """What is to be trained, and from which sources."""

    name: str
    """The adapter: "complete" (or another recipe's name), "site", or a person's."""
    scope: Scope
    person: Person | None = None
    file: Path | None = None
    data: Path | None = None
    seed: int = 7
    most: int = 50_000
    fewest: int = 20
    k_anonymity: int = 5
    """What others will use learns only what so many people share; 1: anything."""
    public: tuple[str, ...] = ()
    """Texts that everybody may know, such as the site's names: these stay."""
    file_is_public: bool = False
    """The owner says that the file holds nothing private: it is taken as it is."""


@dataclass
class Gathered:
    """The examples, each once, and what is to be said about how they came together."""

    examples: list[Example] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    """Why exchanges and pairs were left out."""

    def check(self, wanted: Wanted) -> None:
        """Raises RequestError with the cure when there are too few."""
        found = len(self.examples)
        if found >= wanted.fewest:
            return
        cures = ["give a file with --examples FILE"]
        if wanted.scope == "user":
            cures.insert(0, "rate good answers (POST /v1/feedback, or `netgpt profile keep USER EXCHANGE`)")
        if wanted.scope == "site":
            cures.insert(0, "have people consent (`netgpt profile consent USER --training on`) and rate answers")
        if wanted.scope != "user":
            cures.append("let the cloud write some with --self-instruct N")
        raise RequestError(
            f"{found} examples are too few to learn from; at least {wanted.fewest} are needed (training.min_examples). "
            + "Cures: "
            + "; ".join(cures)
            + ".",
            code="too_few_examples",
        )


async def gather(
    wanted: Wanted,
    store: Store,
    detector: Detector,
    *,
    sensitive_kinds: Collection[str] = (),
    instruct: Instructor | None = None,
) -> Gathered:
    """All examples of all sources that `wanted` names. Raises PermissionDenied, RequestError, StoreError."""
    into = Gathered()
    if wanted.scope == "task":
        _take_recipe(wanted, into)
    else:
        await _take_own(wanted, store, detector, sensitive_kinds, into)
    if wanted.file is not None:
        await _take_file(wanted, wanted.file, detector, sensitive_kinds, into)
    if instruct is not None:
        into.examples += await instruct()
    if wanted.scope != "user":
        _keep_what_is_shared(wanted, into)
    into.examples = deduplicated(into.examples)
    if len(into.examples) > wanted.most:
        into.notes.append(f"only the first {wanted.most:,} of {len(into.examples):,} are used (training.max_examples)")
        into.examples = into.examples[: wanted.most]
    return into


async def _take_file(
    wanted: Wanted, file: Path, detector: Detector, sensitive_kinds: Collection[str], into: Gathered
) -> None:
    given = read_examples(file, wanted.person, most=wanted.most)
    if wanted.file_is_public:
        into.examples += given
        return
    taken, left_out = await through_the_boundary(given, detector, public=wanted.public, sensitive_kinds=sensitive_kinds)
    into.examples += taken
    into.skipped += left_out


def _keep_what_is_shared(wanted: Wanted, into: Gathered) -> None:
    """People's own words teach others only as far as many people share them."""
    people = len({example.person for example in into.examples if example.person is not None})
    if wanted.k_anonymity <= 1 or not people:
        return
    shared = shared_by(into.examples, wanted.k_anonymity, Vocabulary(common_words(), wanted.public))
    into.examples = shared.examples
    into.skipped += shared.left_out
    into.notes.append(
        f"k-anonymity: of {people} people's examples {sum(shared.left_out.values())} were left out, and "
        f"{shared.replaced} words replaced, that fewer than {wanted.k_anonymity} people share (training.k_anonymity)"
    )


def _take_recipe(wanted: Wanted, into: Gathered) -> None:
    recipe = recipe_named(wanted.name)
    into.examples += recipe.make(wanted.data, wanted.seed)
    if wanted.data is None:
        into.notes.append("generated examples alone; --data DIR adds public labels")


async def _take_own(
    wanted: Wanted, store: Store, detector: Detector, sensitive_kinds: Collection[str], into: Gathered
) -> None:
    if wanted.name in RECIPES:
        raise RequestError(f"{wanted.name} is the name of a recipe")
    try:
        own = await gather_own(store, wanted.person, detector, sensitive_kinds=sensitive_kinds, most=wanted.most)
    except PermissionDenied:
        if wanted.file is None:
            raise
        into.notes.append("no consent to training: this person's exchanges are left out")
        own = OwnExamples()
    if wanted.scope == "site" and not await store.learning.consenting(PURPOSE):
        into.notes.append("nobody consents to training yet: no exchanges are used")
    if own.skipped[UNCHECKED] and not own.examples:
        raise DetectorError("the detector does not work here, so no exchange could be pseudonymized: `netgpt doctor`")
    into.examples += own.examples
    into.skipped += own.skipped
