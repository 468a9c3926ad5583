"""The recipes for examples by name: each makes its examples from templates and, where there is one, a data folder.

The recipe `complete` trains the adapter that names a request's class. Two sources: requests from the templates of
`complete_requests.toml`; with a data folder also the development rows of CLINC150 (CC BY 3.0), SLURP (CC BY 4.0) and
SNIPS (CC0), their intents mapped to our classes by `complete_intents.toml`. No row of theirs is part of this project,
and rows that `reserved` names are left out: the bench measures on them.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import random
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from netgpt.completion.classify import classes, conversation
from netgpt.errors import NotFound, RequestError
from netgpt.registry import PluginRegistry
from netgpt.training.example import Example

DATASETS = ("clinc150", "slurp", "snips")
RESERVED_SHARE = 0.15
"""Part of each public data set that no training may see."""
PER_INTENT = {"clinc150": 40, "slurp": 10_000, "snips": 250}
"""At most so many rows of each intent; SLURP is small, noisy and closest to spoken language, so all of it."""
GENERATED = 2_500
_BEFORE = ("please ", "hey, ", "ok ", "so, ", "quick question: ", "hi, ", "well, ")
_AFTER = (" please", " for us", " thanks", " for me", ", any tips", " right now", " pls", " asap")
_SLOT = re.compile(r"\{(\w+)\}")
_EATING = re.compile(r"restaurant|pub|bar|food|eat|drink|cafe|diner")
_EVERY_MATRIX = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def reserved(text: str) -> bool:
    """Whether a public row is kept for measuring: by its words alone, so that copies fall on the same side."""
    words = " ".join(re.sub(r"[^\w\s]", " ", text.casefold()).split())
    digest = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
    return int(digest[:8], 16) / 0x1_0000_0000 < RESERVED_SHARE


def examples(data: Path | None = None, *, generate: int = GENERATED, seed: int = 7) -> list[Example]:
    """Everything to train on, shuffled. `data`: the folder that holds `prompts/`; None: generated requests alone.

    A folder with some of the data sets gives those: so one can train on one origin and measure on another.
    Raises RequestError when it holds none.
    """
    randomness = random.Random(seed)  # noqa: S311  must be made again from the seed
    pairs = {text: (topic, "recipe:complete", "generated") for text, topic in generated(generate, seed)}
    if data is not None:
        present = [name for name in DATASETS if (data / "prompts" / f"{name}_dev.jsonl").is_file()]
        for dataset in present or DATASETS:  # none: reading says what is missing
            for row in _sampled(public_rows(data, dataset), PER_INTENT[dataset], randomness):
                if not reserved(row["text"]):
                    pairs[row["text"]] = (class_of(dataset, row), f"recipe:complete:{dataset}", dataset)
    made = [
        Example(conversation(text), topic, origin, slice=part, options=tuple(classes()))
        for text, (topic, origin, part) in pairs.items()
    ]
    randomness.shuffle(made)
    return made


def generated(count: int, seed: int = 7) -> list[tuple[str, str]]:
    """At most `count` different requests with their classes, as many of each class as its templates allow."""
    randomness = random.Random(seed)  # noqa: S311  must be made again from the seed
    table = dict(_table("complete_requests.toml"))
    slots = table.pop("slots")
    share = -(-count // len(table))
    made: dict[str, str] = {}
    for topic, entry in table.items():
        mine: set[str] = set()
        for turn in range(share * 4):
            template = entry["requests"][turn % len(entry["requests"])]
            filled = _SLOT.sub(lambda slot: randomness.choice(slots[slot[1]]), template)
            text = _wrapped(filled, randomness)
            if text not in made and len(mine) < share:
                mine.add(text)
                made[text] = topic
    return list(made.items())


def public_rows(data: Path, dataset: str) -> list[dict[str, Any]]:
    """The rows of one public data set. Raises RequestError that says what is missing."""
    path = data / "prompts" / f"{dataset}_dev.jsonl"
    if not path.is_file():
        raise RequestError(f"{path}: not there. Name the folder of the public data with --data DIR.", param="data")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def class_of(dataset: str, row: Mapping[str, Any]) -> str:
    """The class of a public row, from its label; in two intents of SLURP also from its annotation or its words."""
    intent = row["intent"]
    if intent == "recommendation_locations":
        return "food" if asks_for_food(row) else "shop"
    if intent == "datetime_query":
        return "clock" if "time" in row["text"] else "date"
    return intents(dataset)[intent]


def asks_for_food(row: Mapping[str, Any]) -> bool:
    """Whether SLURP's annotation of the row names something to eat or drink, or a place that serves it."""
    return any(
        entity["type"] in {"food_type", "drink_type"}
        or (entity["type"] == "business_type" and _EATING.search(entity["text"]) is not None)
        for entity in row.get("entities", ())
    )


@cache
def intents(dataset: str) -> Mapping[str, str]:
    """Each intent of a public data set and its class."""
    table = _table("complete_intents.toml")[dataset]
    return {intent: topic for topic, named in table.items() for intent in named.split()}


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("netgpt.training").joinpath(name).read_text(encoding="utf-8"))


def _sampled(rows: Sequence[dict[str, Any]], most: int, randomness: random.Random) -> Iterator[dict[str, Any]]:
    by_intent: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_intent[row["intent"]].append(row)
    for intent in sorted(by_intent):
        mine = by_intent[intent]
        yield from randomness.sample(mine, min(most, len(mine)))


def _wrapped(text: str, randomness: random.Random) -> str:
    """With a way to begin or end a request; seven times in ten as it is."""
    turn = randomness.random()
    if turn < 0.15:
        return randomness.choice(_BEFORE) + text
    return text + randomness.choice(_AFTER) if turn > 0.85 else text


@dataclass(frozen=True)
class ExampleRecipe:
    """A named source. `make(data, seed)` gives the same examples for the same folder and seed.

    `data` is a developer's folder of public labels, or None: then what needs no data is made. Raises RequestError
    when the folder lacks a file that the recipe reads.
    """

    name: str
    about: str
    make: Callable[[Path | None, int], Iterable[Example]]
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `lora.recipe.Recipe` that measured better for it than the defaults."""


def _built_in() -> dict[str, ExampleRecipe]:
    about = "which kind of thing a request is about, so that the right facts are added"
    tuned = {"targets": _EVERY_MATRIX, "batch_tokens": 2048}
    return {"complete": ExampleRecipe("complete", about, lambda data, seed: examples(data, seed=seed), tuned)}


def _admit(name: str, recipe: Any) -> ExampleRecipe:
    if not isinstance(recipe, ExampleRecipe) or recipe.name != name or name in ("site", "user"):
        raise ValueError(f'is no ExampleRecipe named "{name}"')
    return recipe


RECIPES: Final[PluginRegistry[ExampleRecipe]] = PluginRegistry("netgpt.recipes", _built_in, _admit)
"""Entry points name an `ExampleRecipe`."""


def recipe_named(name: str) -> ExampleRecipe:
    """Raises NotFound that names what there is."""
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(RECIPES)}."
    raise NotFound(f'No recipe "{name[:80]}"; {hint}', param="recipe")
