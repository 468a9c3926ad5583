"""The recipes for examples by name: each makes its examples from templates and, where there is one, a data folder."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from netgpt.errors import NotFound
from netgpt.examples.example import Example

__all__ = ["RECIPES", "ExampleRecipe", "recipe_named"]


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
    """What its training does other than usual: fields of `lora.Recipe` that measured better for it."""


def _complete(data: Path | None, seed: int) -> Iterable[Example]:
    from netgpt.examples.complete_recipe import examples

    return examples(data, seed=seed)


_EVERY_MATRIX = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")

RECIPES: Final[dict[str, ExampleRecipe]] = {
    recipe.name: recipe
    for recipe in (
        ExampleRecipe(
            "complete",
            "which kind of thing a request is about, so that the right facts are added",
            _complete,
            {"targets": _EVERY_MATRIX, "batch_tokens": 2048},
        ),
    )
}
"""A new recipe is one line here and one file beside this one."""


def recipe_named(name: str) -> ExampleRecipe:
    """Raises NotFound that names what there is."""
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(RECIPES)}."
    raise NotFound(f'No recipe "{name[:80]}"; {hint}', param="recipe")
