"""Model splitting for real: the edge runs the first layers, the cloud the rest, hidden states cross in between.

This is the comparator of arXiv 2307.06148, not a way that NetGPT answers. A causal model of transformers (families
llama and gpt2) is cut into two folders, each a model of its own with its own layers only. Each side keeps the
key-value cache of its layers, so the prompt's hidden states cross once, then one hidden state a token; the token that
the cloud chose (the likeliest) comes back. On the wire a hidden state is hidden size x 2 bytes in bfloat16 or float16.

Needs the extra `train` (torch and transformers); both are imported inside the functions. `python -m
netgpt_bench.splitting` cuts a model in a process of its own, because the whole model is more than either side needs
later: one JSON line in (`cut`), one out (`harness.result_of`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from netgpt.adapters.formats import ModelShape
from netgpt.errors import RequestError, SettingsError
from netgpt_bench.harness import answer_parent

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
            cache = None if first else self._cache
            out = self._model(inputs_embeds=states, past_key_values=cache, use_cache=True, logits_to_keep=1)
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

    `cloud` gets (hidden states, whether a text begins) and answers the next token: `CloudHalf.next_token` itself,
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
    split.json holds. Raises RequestError: another family, or a side would have no layer.
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
    shape = {
        "family": config.model_type,
        "layers": config.num_hidden_layers,
        "edge_layers": edge_layers,
        "hidden": config.hidden_size,
        "dtype": dtype,
        "edge_bytes": _weight_bytes(folder / "edge"),
        "cloud_bytes": _weight_bytes(folder / "cloud"),
    }
    (folder / "split.json").write_text(json.dumps(shape), encoding="utf-8")
    return shape


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


# --- Where the models that are cut come from.


def load_model(source: Path, dtype: str = "bfloat16") -> Any:
    """A causal model of transformers with the weights of a GGUF file (de-quantized) or of a folder.

    Raises SettingsError (extra missing, family not known), NotFound, RequestError.
    """
    torch, transformers = torch_and_transformers()
    from netgpt.training.lora.weights import open_base

    base = open_base(source)
    precision = getattr(torch, dtype)
    if source.is_dir():
        return transformers.AutoModelForCausalLM.from_pretrained(source, dtype=precision).eval()
    config = _config(base, transformers)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=precision)
    model.load_state_dict(_weights(base, precision, config.tie_word_embeddings), assign=True)
    if config.model_type != "gpt2":  # its tables are no weights: they are worked out, here for real
        model.model.rotary_emb = type(model.model.rotary_emb)(config=config)
    return model.eval()


def random_gpt2(seed: int = 7) -> Any:
    """A model with the shape of GPT-2-base (124 M parameters) and random weights: good for bytes and speed only."""
    torch, transformers = torch_and_transformers()
    torch.manual_seed(seed)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()


def _config(base: Any, transformers: Any) -> Any:
    shape = base.shape
    tied = "output.weight" not in base.names
    if shape.architecture == "gpt2":
        return transformers.GPT2Config(
            vocab_size=shape.vocab, n_positions=shape.context, n_embd=shape.hidden, n_layer=shape.layers,
            n_head=shape.heads, n_inner=shape.inner, layer_norm_epsilon=shape.norm_eps, tie_word_embeddings=tied,
        )  # fmt: skip
    kind = transformers.Qwen2Config if shape.architecture == "qwen2" else transformers.LlamaConfig
    return kind(**_llama_sizes(shape), tie_word_embeddings=tied)


def _llama_sizes(shape: ModelShape) -> dict[str, Any]:
    return {
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
    }


def _weights(base: Any, precision: Any, tied: bool) -> dict[str, Any]:
    """Every tensor by transformers' name; matrices of GPT-2's layers lie the other way round there."""
    family = base.shape.family
    weights = {}
    for name in base.names:
        tensor = base.read(name, precision)
        turned = family.transposed and name.startswith("blk.") and tensor.dim() == 2
        weights[family.hf_name(name)] = tensor.T.contiguous() if turned else tensor
    if tied:
        weights[family.outer["output.weight"]] = weights[family.outer["token_embd.weight"]]
    return weights


def cut(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a model. `asked`: "source" (a GGUF file, a folder of transformers' kind, or "random-gpt2"), "folder" for the
    halves, and "edge_layers", how many stay at the edge (0: half of them)."""
    source = asked["source"]
    model = random_gpt2() if source == "random-gpt2" else load_model(Path(source))
    return save_halves(model, asked["edge_layers"] or model.config.num_hidden_layers // 2, Path(asked["folder"]))


if __name__ == "__main__":
    answer_parent(cut)
