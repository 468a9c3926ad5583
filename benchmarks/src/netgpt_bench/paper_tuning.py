"""One short fine-tuning in a process of its own: `python -m netgpt_bench.paper_tuning`, for its peak of memory.

One JSON line in: {"base": file, "full": bool, "examples": how many, "tokens": how long each,
"memory_mb": limit or null}; one JSON line out: {"peak_mb", "tokens_per_s", "seconds"}. The texts are made up by code:
memory depends on lengths, not on words.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from netgpt.training.example import Example
from netgpt_bench.harness import answer_parent, peak_mb

_NOUNS = "harbour bread lamp garden ticket window river letter kettle market bridge winter".split()  # noqa: SIM905
_VERBS = "finds opens carries mends paints sells keeps lights follows answers".split()  # noqa: SIM905


def made_examples(base: Path, count: int, tokens: int, seed: int = 7) -> list[Example]:
    """Examples of at most `tokens` tokens of this base, its template included, and nearly as many."""
    from netgpt.training.lora.data import load_tokenizer
    from netgpt.training.lora.weights import open_base

    tokenizer = load_tokenizer(open_base(base))
    rng = random.Random(seed)

    def example(words: int) -> Example:
        said = [rng.choice(_NOUNS if place % 2 == 0 else _VERBS) for place in range(words)]
        cut = words // 2
        return Example(({"role": "user", "content": " ".join(said[:cut])},), " ".join(said[cut:]), "bench:paper")

    made = []
    for _ in range(count):
        words = tokens
        while len(tokenizer.encode(one := example(words)).ids) > tokens and words > 2:
            words -= max(1, words // 16)
        made.append(one)
    return made


def tune(asked: dict[str, Any]) -> dict[str, float]:
    """Train once; the figures of the module's docstring."""
    from netgpt.training.lora.child import train
    from netgpt.training.lora.recipe import Recipe

    base = Path(asked["base"])
    recipe = Recipe(
        epochs=1, full=asked["full"], max_tokens=asked["tokens"], held_out=0.0, memory_mb=asked["memory_mb"]
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="netgpt-tuning-") as work:
        examples = made_examples(base, asked["examples"], asked["tokens"])
        done = train(base, examples, recipe, Path(work), resume=False)
    return {"peak_mb": peak_mb(), "tokens_per_s": done.tokens_per_s, "seconds": done.seconds}


if __name__ == "__main__":
    answer_parent(tune)
