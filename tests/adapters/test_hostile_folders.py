"""Adapters from strangers, as `adapters add` meets them: no link is followed out, nothing is waited for,
nothing runs."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made_adapters import METADATA, adapter_file, base_file, card_for, lora_tensors, packed
from made_peft import LLAMA, peft_folder, peft_tensors

from netgpt.adapters.card import EdgeWeights
from netgpt.adapters.formats import FAMILIES, read_adapter
from netgpt.adapters.peft import CONFIG, PEFT_WEIGHTS, AdapterNotes, read_peft, ready, shape_of
from netgpt.adapters.registry import Registry
from netgpt.errors import NetGPTError, NotFound, RequestError
from netgpt.models.download import file_sha256

FAMILY = FAMILIES["llama"]
NAME = "base_model.model.model.layers.0.self_attn.q_proj.lora_"


class Runs:
    """Says so in a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.proof}",)


def sound(folder: Path, **config: Any) -> Path:
    return peft_folder(folder, peft_tensors(LLAMA, "attn_q"), **config)


def safetensors(header: Any, data: bytes = b"\0" * 64) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def halves(**changes: Any) -> Mapping[str, Any]:
    made = {
        f"{NAME}A.weight": {"dtype": "F32", "shape": [4, 2], "data_offsets": [0, 32]},
        f"{NAME}B.weight": {"dtype": "F32", "shape": [2, 4], "data_offsets": [32, 64]},
    }
    made[f"{NAME}A.weight"] |= changes
    return made


WEIGHTS: dict[str, bytes] = {
    "a pickle": pickle.dumps({"a": 1}), "a zip": b"PK\x03\x04" + b"\0" * 60, "empty": b"",
        "a header of 2^63": b"\xff" * 7 + b"\x7f",
    "a header that is none": safetensors(b"{" * 500), "deep": safetensors(b"[" * 5_000), "cut": safetensors(halves(),
        b"\0" * 10),
    "overlapping": safetensors(halves(data_offsets=[16, 48])), "behind the end": safetensors(halves(data_offsets=[0,
        2**62])),
    "backwards": safetensors(halves(data_offsets=[32, 0])), "negative sides": safetensors(halves(shape=[-4, -2])),
    "sides of 2^63": safetensors(halves(shape=[2**63, 2**63])), "no sides": safetensors(halves(shape=[])),
    "another size than its sides": safetensors(halves(shape=[4, 4])),
        "an unknown type": safetensors(halves(dtype="I64")),
    "a type that is none": safetensors(halves(dtype=["F32"])), "a long name": safetensors({"x" * 100_000: halves()}),
    "a name that leads out": safetensors({"../../x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
        b"\0" * 4),
    "bytes behind its end": safetensors(halves(), b"\0" * 500),
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTS)
def test_damaged_weights_are_refused(name: str, tmp_path: Path) -> None:
    folder = sound(tmp_path / "peft")
    (folder / PEFT_WEIGHTS).write_bytes(WEIGHTS[name])
    with pytest.raises(RequestError) as refused:
        read_peft(folder, FAMILY)
    assert len(refused.value.message) < 600


@pytest.mark.parametrize(
    "config",
    [
        {"r": 10**30}, {"r": -1}, {"r": True}, {"r": 4.0}, {"r": "4"}, {"r": [4]}, {"lora_alpha": 10**400},
        {"lora_alpha": True},
        {"lora_alpha": None}, {"lora_alpha": "8"}, {"lora_alpha": -8}, {"peft_type": ["LORA"]}, {"bias": {"a": 1}},
        {"init_lora_weights": "pissa_niter_4"}, {"modules_to_save": ["lm_head"]},
    ],
)  # fmt: skip
def test_configurations_that_say_too_much_are_refused(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        read_peft(sound(tmp_path / "peft", **config), FAMILY)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"r": NaN}', b'{"r": ' + b"9" * 5_000 + b"}", b"\xff", b"[1]", b"", b"{}"]
)
def test_configurations_that_are_hardly_json_are_refused(text: bytes, tmp_path: Path) -> None:
    folder = sound(tmp_path / "peft")
    (folder / CONFIG).write_bytes(text)
    with pytest.raises(RequestError):
        read_peft(folder, FAMILY)


@pytest.mark.parametrize("file", [CONFIG, PEFT_WEIGHTS])
@pytest.mark.parametrize("kind", ["pipe", "link to a device", "folder", "link to itself", "link to nothing"])
def test_what_is_no_file_is_not_waited_for(file: str, kind: str, tmp_path: Path) -> None:
    folder = sound(tmp_path / "peft")
    path = folder / file
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"link to a device": "/dev/zero", "link to itself": path.name}.get(kind, "gone"))
    with pytest.raises(RequestError):
        read_peft(folder, FAMILY)


def test_a_link_to_a_file_as_caches_have_it_is_read(tmp_path: Path) -> None:
    folder = sound(tmp_path / "blobs")
    (tmp_path / "snapshot").mkdir()
    for name in (CONFIG, PEFT_WEIGHTS):
        (tmp_path / "snapshot" / name).symlink_to(folder / name)
    assert read_peft(tmp_path / "snapshot", FAMILY).rank == 4


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    folder, proof = sound(tmp_path / "peft"), tmp_path / "it ran"
    (folder / PEFT_WEIGHTS).unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Runs(proof)))
    with pytest.raises(NotFound, match="pickled weights"):
        read_peft(folder, FAMILY)
    (folder / PEFT_WEIGHTS).write_bytes(pickle.dumps(Runs(proof)))
    with pytest.raises(RequestError):
        read_peft(folder, FAMILY)
    assert not proof.exists()


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_size": "64"}, {"num_attention_heads": 0}, {"hidden_size": None}, {"num_attention_heads": [4]},
        {"rope_scaling": "x"}, {"rms_norm_eps": "x"}, {"rope_theta": {}}, {"rope_theta": 10**400},
    ],
)  # fmt: skip
def test_a_base_whose_sizes_are_none_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    said = {
        "model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 300,
        "intermediate_size": 128, "max_position_embeddings": 128,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({**said, **config}))
    try:
        shape = shape_of(tmp_path)
    except NetGPTError:
        return
    assert all(isinstance(size, int | float) for size in (shape.hidden, shape.heads, shape.layers))


def numbers(changes: Mapping[int, int]) -> bytes:
    """A sound adapter whose 64-bit numbers at these places (from the header's start) are others."""
    data = bytearray(packed(METADATA, lora_tensors()))
    for at, value in changes.items():
        data[at : at + 8] = struct.pack("<Q", value)
    return bytes(data)


FIRST = packed(METADATA, lora_tensors()).index(b"blk.0.attn_q.weight.lora_a") + len("blk.0.attn_q.weight.lora_a")
GGUFS: dict[str, bytes] = {
    "2^63 tensors": numbers({8: 2**63}), "2^63 entries": numbers({16: 2**63}), "a key of 4 GB": numbers({24: 2**32}),
    "sides of 2^63": numbers({FIRST + 4: 2**63, FIRST + 12: 2**63}), "sides of 0": numbers({FIRST + 4: 0}),
    "an offset beyond the end": numbers({FIRST + 24: 2**62}), "overlapping tensors": numbers({FIRST + 24: 32}),
    "2^32 dimensions": packed(METADATA, lora_tensors()).replace(struct.pack("<IQ", 2, 64),
        b"\xff" * 4 + struct.pack("<Q", 64), 1),
    "a type that is none": packed(METADATA, [("blk.0.attn_q.weight.lora_a", (64, 4), 77, b"\0" * 512)]),
    "a type of whole numbers": packed(METADATA, [("blk.0.attn_q.weight.lora_a", (64, 4), 26, b"\0" * 1024)]),
    "a pickle": pickle.dumps({}), "safetensors": safetensors(halves()), "cut": packed(METADATA, lora_tensors())[:-700],
    "more behind": packed(METADATA, lora_tensors()) + b"\0" * 64,
}  # fmt: skip


@pytest.mark.parametrize("name", GGUFS)
def test_adapters_that_lie_are_refused_and_nothing_stays(name: str, tmp_path: Path) -> None:
    weights = tmp_path / "a.gguf"
    weights.write_bytes(GGUFS[name])
    with pytest.raises(RequestError):
        read_adapter(weights)
    registry = Registry(tmp_path / "adapters")
    with pytest.raises(RequestError):
        registry.add(weights, card_for(adapter_file(tmp_path / "sound.gguf")))
    assert not list((tmp_path / "adapters").rglob("*.gguf"))


def test_a_card_about_other_weights_and_a_folder_of_links_are_refused(tmp_path: Path) -> None:
    """The hash and the size of the card are those of the file that is copied, not of what it was a moment before."""
    registry, base_path = Registry(tmp_path / "adapters"), base_file(tmp_path / "base.gguf")
    base = EdgeWeights("tiny", file_sha256(base_path), base_path)
    weights = adapter_file(tmp_path / "there" / "adapter.gguf")
    card = card_for(adapter_file(tmp_path / "other.gguf", seed=2))
    (weights.parent / "card.json").write_text(card.model_dump_json())
    with ready(weights.parent, AdapterNotes(), base) as (file, found), pytest.raises(RequestError, match="hash"):
        registry.add(file, found)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "adapter.gguf").symlink_to(weights)
    (tmp_path / "linked" / "card.json").write_text(card_for(weights).model_dump_json())
    with ready(tmp_path / "linked", AdapterNotes(), base) as (file, found), pytest.raises(RequestError, match="link"):
        registry.add(file, found)
    for name in ("../out", "a/b", "A", ""):
        (weights.parent / "card.json").write_text(json.dumps({**json.loads(card.model_dump_json()), "name": name}))
        with pytest.raises(RequestError), ready(weights.parent, AdapterNotes(), base):
            pass
    assert not list((tmp_path / "adapters").rglob("*.gguf"))
