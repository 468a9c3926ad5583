"""Training on the box beside a plain PEFT loop: tokens a second, peak memory, held-out loss, in one run.

Both are processes of their own and get the same tokens, the same held-out part, the same rank, number of epochs and
threads. They take turns; each figure is a median over the repeats.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from netgpt.errors import ModelError, SettingsError
from netgpt.training.example import Example, held_out
from netgpt.training.lora.recipe import Recipe, Step
from netgpt_bench.harness import Progress

# --- Examples: made-up questions about invented places, about 128 tokens each.

PLACES = ("Harbour Museum", "North Gallery", "Old Mill", "Glass House", "River Library", "Clock Tower")
THINGS = (
    "the lockers", "the guided tour", "the cafe", "the lift", "the family room", "the reading hall", "the workshop",
    "the shop", "the lost property", "the bicycle stands", "the film room", "the garden",
)  # fmt: skip
COMPANY = (
    "my two children", "a school class", "my grandmother, who walks slowly", "a colleague", "four friends", "my dog",
)  # fmt: skip
ASKING = (
    "I am at the {place} with {company} and would like to use {thing}. It is {hour} o'clock now. Where do we go first?",
    "We are standing at the door of the {place}. I came with {company}, and at {hour} o'clock we want {thing}. How?",
    "Could you tell me how {thing} works at the {place}? I will arrive at {hour} with {company} and a big bag.",
    "{company_big} and I plan {hour} o'clock for {thing} in the {place}. What must we know before we go there?",
)
ANSWER = (
    "Go to desk {desk} on floor {floor} of the {place} and ask for {thing}. Show the {colour} card there; you will be "
    "helped within {minutes} minutes. Large bags stay in room {room}, and the last round begins at {last} o'clock."
)
COLOURS = ("blue", "green", "yellow", "white")


def site_examples(count: int, seed: int = 7) -> list[Example]:
    """`count` different questions; the answer follows from place and thing alone, so that it can be learnt."""
    dice = random.Random(seed)
    found: dict[str, Example] = {}
    while len(found) < count:
        place, thing, company = dice.choice(PLACES), dice.choice(THINGS), dice.choice(COMPANY)
        asked = dice.choice(ASKING).format(
            place=place, thing=thing, company=company, company_big=company[0].upper() + company[1:],
            hour=dice.randint(9, 17),
        )  # fmt: skip
        example = Example(({"role": "user", "content": asked},), _answer(place, thing), "bench:site")
        found[example.id] = example
    return list(found.values())


def _answer(place: str, thing: str) -> str:
    at, which = PLACES.index(place), THINGS.index(thing)
    return ANSWER.format(
        place=place, thing=thing, desk=which + 2, floor=at % 4, colour=COLOURS[(at + which) % 4],
        minutes=5 + which % 3 * 5, room=at * 10 + 4, last=15 + at % 3,
    )  # fmt: skip


OURS = Recipe(
    layers=12, targets=("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"),
    learning_rate=2e-3, batch_tokens=1024, memory_mb=1000, patience=100,
)  # fmt: skip
"""What is recommended for a person's or a site's adapter."""


@dataclass(frozen=True)
class Plain:
    """The loop compared with: rank 8 on q and v of all layers, as its authors' examples do."""

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    rate: float = 2e-3
    batch: int = 8


PLAIN = Plain()


def run(
    base: Path, *, examples: int = 100, epochs: int = 3, repeats: int = 3, seed: int = 7, threads: int = 0,
    recipe: Recipe = OURS, plain: Plain = PLAIN, progress: Progress = lambda text: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure both. Returns `{"rows": [...], ...}`; needs the extra `train`. `base`: a GGUF file or a folder."""
    if find_spec("torch") is None or find_spec("peft") is None:
        raise SettingsError("training needs the extra: pip install 'netgpt[train]'")
    cores = threads or len(os.sched_getaffinity(0))
    recipe = replace(recipe, epochs=epochs, seed=seed, threads=cores)
    rows = site_examples(examples, seed)
    theirs, ours = [], []
    with tempfile.TemporaryDirectory(prefix="netgpt-bench-") as home:
        progress("writing the base as a folder for the plain loop")
        job = _plain_job(base, Path(home) / "base", rows, recipe, plain)
        for number in range(repeats):
            progress(f"repeat {number + 1} of {repeats}: plain PEFT loop")
            theirs.append(_plain(job))
            progress(f"repeat {number + 1} of {repeats}: netgpt")
            ours.append(_own(base, rows, recipe, Path(home) / f"work{number}"))
    target = statistics.median(result["loss"] for result in theirs)
    return {
        "rows": [
            _row("plain PEFT loop", theirs, target),
            _row("netgpt train", ours, target),
            _ratios(theirs, ours, target),
        ],
        "examples": f"{len(job['learnt'])} trained, {len(job['measured'])} held out",
        "tokens_per_example": round(statistics.mean(len(ids) for ids, _ in job["learnt"]), 1),
        "answer_tokens": round(statistics.mean(len(ids) - start for ids, start in job["learnt"]), 1),
        "epochs": epochs, "repeats": repeats, "threads": cores, "number_format": ours[0]["dtype"],
        "recipe": {"layers": recipe.layers, "rank": recipe.rank, "targets": list(recipe.targets),
                   "rate": recipe.learning_rate, "memory_mb": recipe.memory_mb},
        "plain": {"rank": plain.rank, "targets": list(plain.targets), "rate": plain.rate, "batch": plain.batch},
        "not_shown": "long examples, other models, GPUs; one kind of data; the plain loop has the same rate, which was "
                     "not searched for it; whether the adapter is good at anything: that is the evaluation's work",
    }  # fmt: skip


def _plain_job(base: Path, folder: Path, rows: Sequence[Example], recipe: Recipe, plain: Plain) -> dict[str, Any]:
    """The same tokens for the plain loop, and the same weights in the form that it reads."""
    code = (
        "import sys, torch; from pathlib import Path; from netgpt.training.lora.weights import open_base; "
        "from netgpt.training.lora.writers import write_model; base = open_base(Path(sys.argv[1])); "
        "write_model(Path(sys.argv[2]), base, lambda name: base.read(name, torch.float32), torch.float32)"
    )
    subprocess.run([sys.executable, "-c", code, str(base), str(folder)], check=True)
    from netgpt.training.lora.data import load_tokenizer
    from netgpt.training.lora.weights import open_base

    tokenizer = load_tokenizer(open_base(base))
    encoded = [(held_out(row, recipe.held_out), tokenizer.encode(row)) for row in rows]
    return {
        "model": str(folder), "epochs": recipe.epochs, "seed": recipe.seed, "threads": recipe.threads,
        "rank": plain.rank, "alpha": plain.alpha, "targets": list(plain.targets), "rate": plain.rate,
        "batch": plain.batch, "learnt": [(row.ids, row.start) for kept, row in encoded if not kept],
        "measured": [(row.ids, row.start) for kept, row in encoded if kept],
    }  # fmt: skip


def _plain(job: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "netgpt_bench.train_plain"], input=json.dumps(job), capture_output=True, text=True,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},  # as for our own side
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise ModelError(f"the plain loop ended with code {done.returncode}: {last[0]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _own(base: Path, rows: Sequence[Example], recipe: Recipe, work: Path) -> dict[str, Any]:
    from netgpt.training.lora.child import train_in_child

    began = time.monotonic()
    curve: list[list[float]] = []

    def note(step: Step) -> None:
        if step.held_out_loss is not None and (not curve or curve[-1][1] != step.held_out_loss):
            curve.append([step.done_tokens / step.tokens_per_s, step.held_out_loss])

    trained = asyncio.run(train_in_child(base, rows, recipe, work, progress=note))
    train_s = trained.tokens / trained.tokens_per_s
    if trained.held_out_loss is not None:
        curve.append([train_s, trained.held_out_loss])
    return {
        "seconds": time.monotonic() - began, "train_s": train_s, "cpu_s": trained.cpu_s, "tokens": trained.tokens,
        "loss": trained.held_out_loss, "curve": curve, "peak_mb": trained.peak_mb, "dtype": trained.dtype,
    }  # fmt: skip


def _row(name: str, results: Sequence[dict[str, Any]], target: float) -> dict[str, Any]:
    rates = [result["tokens"] / result["train_s"] for result in results]
    reached = [seconds for result in results if (seconds := _reached(result, target)) is not None]
    return {
        "row": name,
        "tokens_per_s": round(statistics.median(rates), 1),
        "spread": round(max(rates) - min(rates), 1),
        "cpu_ms_per_token": round(statistics.median(1000 * r["cpu_s"] / r["tokens"] for r in results), 2),
        "held_out_loss": round(statistics.median(r["loss"] for r in results), 4),
        "peak_mb": round(max(r["peak_mb"] for r in results)),
        "s_to_plain_loss": round(statistics.median(reached), 1) if len(reached) == len(results) else None,
        "whole_s": round(statistics.median(r["seconds"] for r in results), 1),
    }


def _reached(result: dict[str, Any], target: float) -> float | None:
    """Seconds of training after which the held-out loss was first measured at or below `target`."""
    return next((seconds for seconds, loss in result["curve"] if loss <= target + 1e-4), None)


def _ratios(theirs: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]], target: float) -> dict[str, Any]:
    """How many times faster and smaller; the loss as a difference."""
    plain, own = _row("", theirs, target), _row("", ours, target)
    times = {
        key: round(plain[key] / own[key], 2) if own[key] and plain[key] else None
        for key in ("cpu_ms_per_token", "peak_mb", "s_to_plain_loss", "whole_s")
    }
    return {
        "row": "times better (loss: difference)",
        "tokens_per_s": round(own["tokens_per_s"] / plain["tokens_per_s"], 2),
        "held_out_loss": round(own["held_out_loss"] - plain["held_out_loss"], 4),
        **times,
    }
