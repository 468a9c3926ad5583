"""Training on the box: low-rank adapters (LoRA, arXiv 2106.09685) or whole models, small and fast on a CPU.

`child.train` is all that others need; it imports torch when it is called. What makes it fast and small:

- layers below the lowest trained one run once, layer by layer, and their output is kept over epochs (`memory.py`);
- examples with a common prefix share those tokens, and only attention is padded (`data.py`);
- logits and their gradient exist only for the answers, a few rows at a time (`model.py`);
- frozen weights are in the number format that measures faster on this machine (`memory.py`);
- weights are read tensor by tensor from the GGUF itself (`weights.py`): no model class, no second copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netgpt.errors import SettingsError


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a training."""

    rank: int = 8
    alpha: float = 16.0
    """The adapter is scaled by alpha / rank."""
    targets: tuple[str, ...] = ("attn_q", "attn_k", "attn_v", "attn_output")
    """GGUF's words of the matrices that get a pair; also ffn_gate, ffn_up, ffn_down."""
    layers: int | None = None
    """Train only so many layers, from the top; None: all."""
    epochs: int = 3
    learning_rate: float = 1e-3
    """The highest one: a warm-up over the first tenth of the steps, then a cosine down to a tenth."""
    batch_tokens: int = 1024
    """Tokens of one optimizer step. How many of them are computed at once follows from the memory."""
    max_tokens: int = 512
    """Of one example, prompt and answer; longer ones are left out and counted."""
    held_out: float = 0.1
    """Share of the conversations that is only evaluated; 0: none, and no early stop."""
    patience: int = 2
    """Stop after so many epochs without a better held-out loss."""
    seed: int = 7
    full: bool = False
    """Train every weight instead of an adapter; writes a model folder."""
    memory_mb: int | None = None
    """The process's peak of resident memory to stay under, in MB of 10^6 bytes; None: most of what is free now."""
    threads: int = 0
    """0: one for each core that this process may use."""
    device: str = "auto"
    """"auto", "cpu", "cuda", "cuda:1", ..."""
    dtype: str = "auto"
    """Of the frozen weights and activations: "float32", "bfloat16", or "auto": what measures faster at the start."""
    save_every_s: float = 20.0
    """Seconds between two checkpoints at least, and twenty times what writing one takes; 0: after every step."""

    def check(self) -> None:
        """Raises SettingsError that names the first value out of range."""
        checks = (
            (1 <= self.rank <= 256, "rank must be 1 to 256"),
            (self.alpha > 0, "alpha must be above 0"),
            (self.layers is None or self.layers >= 1, "layers must be at least 1, or left out for all"),
            (self.epochs >= 1, "epochs must be at least 1"),
            (0 < self.learning_rate < 1, "learning_rate must be between 0 and 1"),
            (self.batch_tokens >= 1 and self.max_tokens >= 2, "batch_tokens and max_tokens must be positive"),
            (0 <= self.held_out < 1, "held_out is a share: 0 to below 1"),
            (self.patience >= 1, "patience must be at least 1"),
            (self.dtype in ("auto", "float32", "bfloat16"), "dtype is auto, float32 or bfloat16"),
        )
        for fits, what in checks:
            if not fits:
                raise SettingsError(f"recipe: {what}")


@dataclass(frozen=True)
class Step:
    """How far a training is, after one optimizer step."""

    epoch: int
    """From 1."""
    epochs: int
    done_tokens: int
    total_tokens: int
    """Over all epochs, if it does not stop early."""
    loss: float
    """Mean over the answers' tokens of this step, in nats."""
    tokens_per_s: float
    seconds_left: float
    peak_mb: float
    held_out_loss: float | None = None
    """After the last whole epoch."""


@dataclass(frozen=True)
class TrainedAdapter:
    """The result of a training."""

    folder: Path
    """A PEFT folder (adapter_config.json, adapter_model.safetensors), or a model's folder after full training."""
    loss: float
    """Mean over the answers' tokens of the last epoch, in nats."""
    held_out_loss: float | None
    """Of the state that was kept: the best one; None without held-out examples."""
    tokens: int
    """Tokens of the examples seen, over all epochs."""
    tokens_per_s: float
    """`tokens` by the seconds of training: trunk, steps and held-out measurements; not the import of torch."""
    seconds: float
    """From call to return; a resumed run counts its earlier parts."""
    peak_mb: float
    """The process's highest resident memory (VmHWM), in MB of 10^6 bytes."""
    stopped: str
    """"epochs" or "early"."""
    examples: int = 0
    """Trained on; held-out and left-out ones not counted."""
    held_out_examples: int = 0
    left_out: int = 0
    """Longer than `max_tokens`."""
    dtype: str = ""
    """The number format that was used: give it as `Recipe.dtype` to get the same bytes again."""
    resumed: bool = False
    cpu_s: float = 0.0
    """Processor seconds of this process, over all its threads."""
