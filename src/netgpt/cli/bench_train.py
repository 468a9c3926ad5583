"""`netgpt bench train`: training on the box beside a plain PEFT loop."""

from __future__ import annotations

from pathlib import Path

import typer

from netgpt.cli.common import console, errors_told, json_option, read_settings

__all__ = ["train"]


@errors_told
def train(
    examples: int = typer.Option(100, min=20, help="Made-up examples of about 128 tokens; a tenth is held out."),
    epochs: int = typer.Option(3, min=1, help="How often each is seen."),
    repeats: int = typer.Option(3, min=1, help="Both sides take turns this often."),
    model: Path | None = typer.Option(None, help="Another GGUF file or Hugging Face folder; default: the edge model."),
    threads: int = typer.Option(0, min=0, help="0: one for each core."),
    seed: int = typer.Option(7, help="Seed of examples and training."),
    as_json: bool = json_option,
) -> None:
    """Tokens a second, peak memory and held-out loss of training an adapter, beside a plain PEFT loop."""
    from netgpt.bench import train as bench
    from netgpt.bench.report import print_result
    from netgpt.models.catalog import Catalog

    settings = read_settings()
    base = model or Catalog(settings.models_dir).resolve(settings.edge.model)
    result = bench.run(
        base, examples=examples, epochs=epochs, repeats=repeats, seed=seed, threads=threads,
        progress=lambda text: console.print(f"[dim]{text}[/dim]", highlight=False),
    )  # fmt: skip
    print_result("training an adapter on this machine", result, as_json)
