"""An adapter's file is hostile until it is shown to be a LoRA: what is refused, and that nothing crashes or hangs."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_adapters import METADATA, Tensors, adapter_file, lora_tensors, packed

from netgpt.adapters.formats import MAX_VALUE, read_adapter
from netgpt.errors import NotFound, PayloadTooLarge, RequestError

SOUND = packed(METADATA, lora_tensors())
Pair = tuple[str, tuple[int, ...], int, bytes]


def written(path: Path, metadata: dict[str, Any] | None = None, tensors: Tensors | None = None) -> Path:
    path.write_bytes(packed({**METADATA, **(metadata or {})}, lora_tensors() if tensors is None else tensors))
    return path


def pair(name: str, width: int = 8, out: int = 8, rank: int = 2, kind: int = 1, fill: bytes = b"\0\0") -> Tensors:
    size = {0: 4, 1: 2, 30: 2}.get(kind, 2) // len(fill)
    return [
        (f"{name}.lora_a", (width, rank), kind, fill * (width * rank * size)),
        (f"{name}.lora_b", (rank, out), kind, fill * (out * rank * size)),
    ]


def test_a_sound_adapter_is_read(tmp_path: Path) -> None:
    adapter = read_adapter(adapter_file(tmp_path / "a.gguf"))
    assert (adapter.architecture, adapter.rank, adapter.alpha, adapter.layers) == ("llama", 4, 16.0, 2)
    assert adapter.targets == ("attn_q", "attn_v")
    assert adapter.pairs[1, "attn_v"] == (64, 32) and adapter.bytes == len(SOUND)


@pytest.mark.parametrize("kind", [0, 1, 30])
def test_three_kinds_of_numbers_are_read(tmp_path: Path, kind: int) -> None:
    path = written(tmp_path / "a.gguf", tensors=pair("blk.0.attn_q.weight", kind=kind))
    assert read_adapter(path).rank == 2


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"general.type": "model"}, "not a LoRA adapter"),
        ({"adapter.type": "ia3"}, "not a LoRA adapter"),
        ({"general.architecture": "mamba"}, "known here: llama, qwen2, gpt2"),
        ({"general.architecture": 3}, "known here"),
        ({"adapter.lora.alpha": 16}, "no sound number"),
        ({"adapter.lora.alpha": float("nan")}, "no sound number"),
        ({"adapter.lora.alpha": float("inf")}, "no sound number"),
        ({"adapter.lora.alpha": 0.0}, "no sound number"),
        ({"adapter.alora.invocation_tokens": 1}, "no part of a plain LoRA"),
        ({"general.alignment": 64}, "alignment of its own"),
    ],
)
def test_metadata_that_is_not_a_plain_lora_is_refused(tmp_path: Path, metadata: dict[str, Any], shown: str) -> None:
    with pytest.raises(RequestError, match=shown):
        read_adapter(written(tmp_path / "a.gguf", metadata))


Q = "blk.0.attn_q.weight"


@pytest.mark.parametrize(
    ("tensors", "shown"),
    [
        ([], "holds no tensors"),
        (pair("token_embd.weight"), "unknown tensor"),
        (pair("blk.0.attn_qkv.weight"), "unknown tensor"),
        (pair("blk.00.attn_q.weight"), "unknown tensor"),
        (pair("blk.9999.attn_q.weight"), "unknown tensor"),
        (pair("blk.0.attn_q.weight/../x"), "unknown tensor"),
        (pair(Q)[:1], "do not belong together"),
        ([*pair(Q), pair(Q)[0]], "twice"),
        ([pair(Q)[0], pair(Q, rank=3)[1]], "do not belong together"),
        ([*pair(Q), *pair("blk.1.attn_q.weight", rank=3)], r"ranks are \[2, 3\]"),
        (pair(Q, rank=300), "1 to 256"),
        ([(pair(Q)[0][0], (16,), 1, b"\0" * 32), pair(Q)[1]], "no matrix"),
        ([(pair(Q)[0][0], (8, 2), 8, b"\0" * 34), pair(Q)[1]], "no matrix"),
        (pair(Q, fill=struct.pack("<e", float("nan"))), "no numbers"),
        (pair(Q, fill=struct.pack("<e", float("inf"))), "no numbers"),
        (pair(Q, kind=0, fill=struct.pack("<f", 2 * MAX_VALUE)), "beyond all measure"),
        (pair(Q, kind=30, fill=b"\xc0\x7f"), "no numbers"),
    ],
)
def test_tensors_that_are_no_lora_are_refused(tmp_path: Path, tensors: Tensors, shown: str) -> None:
    with pytest.raises(RequestError, match=shown):
        read_adapter(written(tmp_path / "a.gguf", tensors=tensors))


def test_cut_stretched_and_shifted_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(SOUND[:-40])
    with pytest.raises(RequestError, match="cut off"):
        read_adapter(path)
    path.write_bytes(SOUND + b"\0" * 64)
    with pytest.raises(RequestError, match="64 bytes stand behind its end"):
        read_adapter(path)
    offset = SOUND.index(b"blk.0.attn_q.weight.lora_b") + 26 + 4 + 16 + 4
    path.write_bytes(SOUND[:offset] + struct.pack("<Q", 0) + SOUND[offset + 8 :])
    with pytest.raises(RequestError, match="not where it should be"):
        read_adapter(path)


def test_a_key_twice_is_refused(tmp_path: Path) -> None:
    """The engine would stop at it."""
    data = SOUND.replace(b"general.type", b"adapter.type")
    (tmp_path / "a.gguf").write_bytes(data)
    with pytest.raises(RequestError, match="twice"):
        read_adapter(tmp_path / "a.gguf")


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_adapter(tmp_path / "none.gguf")
    with pytest.raises(RequestError, match="not a regular file"):
        read_adapter(tmp_path)
    with pytest.raises(PayloadTooLarge, match="1,000 at most"):
        read_adapter(adapter_file(tmp_path / "a.gguf"), max_bytes=1000)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(1, 255)), max_size=3),
    st.one_of(st.none(), st.integers(0, len(SOUND))),
    st.binary(max_size=40),
)
def test_any_damage_is_refused_or_harmless(
    tmp_path: Path, flips: list[tuple[int, int]], cut: int | None, tail: bytes
) -> None:
    """Whatever was changed: a plain refusal, or still a whole adapter of the same form; in little memory."""
    data = bytearray(SOUND)
    for at, by in flips:
        data[at] ^= by
    path = tmp_path / "damaged.gguf"
    path.write_bytes(bytes(data)[:cut] + tail)
    tracemalloc.start()
    try:
        adapter = read_adapter(path)
    except RequestError as error:
        assert str(path) in error.message and len(error.message) < 1000
    else:
        assert adapter.pairs and all(min(sides) > 0 for sides in adapter.pairs.values()) and 1 <= adapter.rank <= 256
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 3_000_000
