"""A small BERT with random weights, as published models are laid out, and deltas for it; torch is the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.encoder import DELTA_FORM, read_arrays, write_arrays

PIECES = (
    "[PAD] [UNK] [CLS] [SEP] the a cat dog ##s sat on mat and , . ! ' c ##a ##t 日 本 " + " ".join("bdefgh")
).split()
WIDTH, MIDDLE, LAYERS, HEADS = 64, 128, 2, 4
DELTA_RANK = 3
_OLD = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "attention": "attention.output.dense", "intermediate": "intermediate.dense", "output": "output.dense",
}  # fmt: skip
Matrices = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Published:
    """A folder with `model.safetensors` and `vocab.txt`."""

    folder: Path
    heads: int = HEADS

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def vocabulary(self) -> Path:
        return self.folder / "vocab.txt"

    def reference(
        self, file: Path | None, changes: Matrices | None = None
    ) -> Callable[[Sequence[int]], NDArray[np.float32]]:
        """Ids -> last hidden states by transformers; the matrices are those of `file` (int8) unless None, plus
        `changes`: `layer.0.query` -> (in, out)."""
        import torch
        from transformers import BertModel

        model = BertModel.from_pretrained(self.folder, add_pooling_layer=False, attn_implementation="eager").eval()
        state = model.state_dict()
        if file is not None:
            state |= {name: torch.from_numpy(values) for name, values in _dequantised(file).items()}
        for name, change in (changes or {}).items():
            _, layer, part = name.split(".")
            key = f"encoder.layer.{layer}.{_OLD[part]}.weight"
            state[key] = state[key] + torch.from_numpy(np.ascontiguousarray(change.T))
        model.load_state_dict(state)

        def states(ids: Sequence[int]) -> NDArray[np.float32]:
            with torch.no_grad():
                found: NDArray[np.float32] = model(input_ids=torch.tensor([list(ids)])).last_hidden_state[0].numpy()
            return found

        return states


def _dequantised(file: Path) -> dict[str, NDArray[np.float32]]:
    arrays = read_arrays(file).arrays

    def whole(name: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = arrays[name] * arrays[f"{name}.scale"][:, None]
        return found

    found = {"embeddings.word_embeddings.weight": whole("words")}
    for layer in range(LAYERS):
        for part, rows in zip(("query", "key", "value"), np.split(whole(f"layer.{layer}.qkv"), 3), strict=True):
            found[f"encoder.layer.{layer}.{_OLD[part]}.weight"] = np.ascontiguousarray(rows)
        for part in ("attention", "intermediate", "output"):
            found[f"encoder.layer.{layer}.{_OLD[part]}.weight"] = whole(f"layer.{layer}.{part}")
    return found


def tiny_published(folder: Path, seed: int = 3) -> Published:
    """Write a random model into `folder`."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=MIDDLE, max_position_embeddings=96, initializer_range=0.2,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False)
    for name, values in model.named_parameters():
        if name.endswith("bias") or "LayerNorm" in name:
            torch.nn.init.normal_(values, 1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.2)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return Published(folder)


def made_delta(path: Path, base: Path, published: Published, parts: Sequence[str]) -> tuple[Path, Matrices]:
    """Write a random delta of these parts of every layer, and a head beside it; with the changes that it means."""
    rng = np.random.default_rng(5)
    arrays: dict[str, NDArray[Any]] = {"head": np.ones(3, np.float32)}
    changes = {}
    for layer in range(LAYERS):
        for part in parts:
            inner, outer = MIDDLE if part == "output" else WIDTH, MIDDLE if part == "intermediate" else WIDTH
            down = rng.normal(0, 0.2, (inner, DELTA_RANK)).astype(np.float32)
            up = rng.normal(0, 0.2, (DELTA_RANK, outer)).astype(np.float32)
            arrays[f"layer.{layer}.{part}.A"], arrays[f"layer.{layer}.{part}.B"] = down, up
            changes[f"layer.{layer}.{part}"] = down @ up
    write_arrays(path, arrays, {"form": DELTA_FORM, "base": read_arrays(base).sha256})
    return path, changes
