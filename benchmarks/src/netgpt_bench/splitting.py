"""Model splitting for real: the edge runs the first layers, the cloud the rest, hidden states cross in between.

This is the comparator of arXiv 2307.06148, not a way that NetGPT answers. A causal model of transformers (families
llama and gpt2) is cut into two folders, each a model of its own with its own layers only. Each side keeps the
key-value cache of its layers, so the prompt's hidden states cross once, then one hidden state a token; the token that
the cloud chose (the likeliest) comes back. On the wire a hidden state is hidden size x 2 bytes in bfloat16 or float16.

Needs the extra `train` (torch and transformers); both are imported inside the functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from netgpt.errors import RequestError, SettingsError

FAMILIES = ("llama", "qwen2", "gpt2")
"""What transformers calls the families that are cut the same two ways; qwen2 is cut as llama is."""

Tokens = Sequence[int]


class EdgeHalf:
    """The embedding and the first layers: tokens in, hidden states out as bytes for the wire."""

    def __init__(self, folder: Path) -> None:
        """Load what `save_halves` wrote to `folder`/edge. Raises SettingsError without the extra `train`."""
        torch, transformers = torch_and_transformers()
        self._model = transformers.AutoModel.from_pretrained(folder / "edge", dtype=_dtype(folder)).eval()
        # The last norm belongs behind the last layer, which the cloud has.
        setattr(self._model, "ln_f" if self._model.config.model_type == "gpt2" else "norm", torch.nn.Identity())
        self._cache: Any = None

    def hidden(self, tokens: Tokens, *, first: bool) -> bytes:
        """Hidden states of `tokens`, shape (tokens, hidden), row by row; `first` begins a new text."""
        torch, _ = torch_and_transformers()
        with torch.inference_mode():
            out = self._model(
                input_ids=torch.tensor([list(tokens)]), past_key_values=None if first else self._cache, use_cache=True
            )
        self._cache = out.past_key_values
        return _to_bytes(out.last_hidden_state[0])


class CloudHalf:
    """The remaining layers and the head: hidden states in, the likeliest next token out."""

    def __init__(self, folder: Path) -> None:
        """Load what `save_halves` wrote to `folder`/cloud. Raises SettingsError without the extra `train`."""
        _, transformers = torch_and_transformers()
        self._dtype = _dtype(folder)
        self._model = transformers.AutoModelForCausalLM.from_pretrained(folder / "cloud", dtype=self._dtype).eval()
        self._cache: Any = None

    def next_token(self, hidden: bytes, *, first: bool) -> int:
        """Read hidden states as `EdgeHalf.hidden` wrote them. Raises RequestError: not whole rows."""
        torch, _ = torch_and_transformers()
        row = self._model.config.hidden_size * self._dtype.itemsize
        if not hidden or len(hidden) % row:
            raise RequestError(f"{len(hidden)} bytes are not rows of {row} bytes: edge and cloud hold different models")
        states = torch.frombuffer(bytearray(hidden), dtype=self._dtype).view(1, -1, self._model.config.hidden_size)
        with torch.inference_mode():
            out = self._model(
                inputs_embeds=states,
                past_key_values=None if first else self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self._cache = out.past_key_values
        return int(out.logits[0, -1].argmax())


def generate(
    edge: EdgeHalf,
    cloud: Callable[[bytes, bool], int],
    prompt: Tokens,
    max_tokens: int,
    ends: Collection[int] = (),
    on_token: Callable[[int], None] = lambda token: None,
) -> list[int]:
    """Write at most `max_tokens` tokens, each the likeliest, until one of `ends`.

    `cloud` is told (hidden states, whether a text begins) and answers the next token: `CloudHalf.next_token` itself,
    or a link to it.
    """
    written: list[int] = []
    feed: Tokens = prompt
    while len(written) < max_tokens:
        token = cloud(edge.hidden(feed, first=not written), not written)
        written.append(token)
        on_token(token)
        if token in ends:
            break
        feed = [token]
    return written


def save_halves(model: Any, edge_layers: int, folder: Path, dtype: str = "bfloat16") -> dict[str, Any]:
    """Cut `model` behind its first `edge_layers` layers; write `folder`/edge, `folder`/cloud and `folder`/split.json.

    `dtype` is that of the weights, the arithmetic and the wire: bfloat16, float16 or float32. Returns what
    split.json tells. Raises RequestError: another family, or a side would have no layer.
    """
    config = model.config
    if config.model_type not in FAMILIES:
        raise RequestError(f"a model of the family {config.model_type} cannot be split; known: {', '.join(FAMILIES)}")
    if not 0 < edge_layers < config.num_hidden_layers:
        raise RequestError(f"the edge takes 1 to {config.num_hidden_layers - 1} layers of this model")
    torch, transformers = torch_and_transformers()
    model = model.to(getattr(torch, dtype))
    weights = dict(model.state_dict())
    base = model.base_model_prefix + "."
    end = config.num_hidden_layers
    with torch.device("meta"):  # shapes only: no time goes into random weights that are replaced at once
        edge = transformers.AutoModel.from_config(_cut(config, 0, edge_layers), dtype=model.dtype)
        cloud = transformers.AutoModelForCausalLM.from_config(_cut(config, edge_layers, end), dtype=model.dtype)
    first = {name.removeprefix(base): w for name, w in _layers(weights, 0, edge_layers).items() if base in name}
    edge.load_state_dict(first, assign=True)
    cloud.load_state_dict(_without_positions(_layers(weights, edge_layers, end)), assign=True)
    edge.save_pretrained(folder / "edge")
    cloud.save_pretrained(folder / "cloud")
    told = {
        "family": config.model_type,
        "layers": config.num_hidden_layers,
        "edge_layers": edge_layers,
        "hidden": config.hidden_size,
        "dtype": dtype,
        "edge_bytes": _weight_bytes(folder / "edge"),
        "cloud_bytes": _weight_bytes(folder / "cloud"),
    }
    (folder / "split.json").write_text(json.dumps(told), encoding="utf-8")
    return told


def _cut(config: Any, start: int, end: int) -> Any:
    """The configuration of a model of layers `start` to `end` only."""
    cut = type(config)(**{**config.to_dict(), "layer_types": None})
    cut.num_hidden_layers = end - start
    if getattr(cut, "layer_types", None):
        cut.layer_types = list(config.layer_types)[start:end]
    return cut


def _layers(weights: dict[str, Any], start: int, end: int) -> dict[str, Any]:
    """The tensors of layers `start` to `end`, numbered from 0 again, and all that belong to no layer."""
    kept = {}
    for name, weight in weights.items():
        parts = name.split(".")
        number = next((place for place, part in enumerate(parts) if part.isdecimal()), None)
        if number is None:
            kept[name] = weight
        elif start <= int(parts[number]) < end:
            parts[number] = str(int(parts[number]) - start)
            kept[".".join(parts)] = weight
    return kept


def _without_positions(weights: dict[str, Any]) -> dict[str, Any]:
    """GPT-2 adds its positions to whatever enters it; the edge has added them already."""
    return {name: weight * 0 if name.endswith("wpe.weight") else weight for name, weight in weights.items()}


def _to_bytes(states: Any) -> bytes:
    import torch

    return bytes(states.contiguous().view(torch.uint8).numpy().tobytes())


def _dtype(folder: Path) -> Any:
    torch, _ = torch_and_transformers()
    return getattr(torch, json.loads((folder / "split.json").read_text(encoding="utf-8"))["dtype"])


def _weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def torch_and_transformers() -> tuple[Any, Any]:
    """torch and transformers, or SettingsError that says how to get them."""
    try:
        import torch
        import transformers
    except ImportError:
        raise SettingsError("splitting a model needs the extra: pip install 'netgpt[train]'") from None
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return torch, transformers
