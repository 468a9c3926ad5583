"""The header reader: tells what is wrong, and survives whatever is in the file."""

import struct
from pathlib import Path
from typing import Any

import pytest
from ggufs import CHAT, gguf_bytes, tiny_gguf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patience import cpu_seconds
from weights import bundled_weights  # noqa: F401

from netgpt.errors import NotFound, RequestError
from netgpt.models.gguf import check_weights, read_header

GOOD = gguf_bytes(CHAT, [("a.weight", 128, 3, bytes(80)), ("norm", 4, 0, bytes(16))])
several = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_good_file_is_described(tmp_path: Path) -> None:
    info = check_weights(tiny_gguf(tmp_path / "a.gguf"))
    assert (info.architecture, info.name, info.quantization) == ("llama", "tiny", "Q4_1")
    assert (info.context_tokens, info.parameters, info.tensors) == (2048, 132, 2)


def test_the_bundled_weights_are_described(bundled_weights: Path) -> None:  # noqa: F811
    info = check_weights(bundled_weights)
    assert (info.architecture, info.quantization, info.context_tokens) == ("llama", "Q4_1", 8192)
    assert info.tensors == 272
    assert 130e6 < info.parameters < 140e6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04" + bytes(60), "zip archive"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (struct.pack("<Q", 50) + b'{"__metadata__":{}}', "safetensors"),
        (b"what is this", "something else"),
        (b"GGUF", "damaged"),
        (struct.pack("<4sI", b"GGUF", 99) + bytes(40), "version 99"),
        (struct.pack(">4sI", b"GGUF", 3) + bytes(40), "big-endian"),
    ],
)
def test_what_is_not_a_gguf_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(content)
    with pytest.raises(RequestError, match=words) as shown:
        check_weights(file)
    assert str(file) in shown.value.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general__type": "adapter"}, "an adapter, not a model"),
        ({"general__type": "mmproj"}, "not a language model"),
        ({"general__architecture": None}, "names no architecture"),
        ({"tokenizer__chat_template": None}, "no chat template"),
        ({"tokenizer__chat_template": "  "}, "no chat template"),
        ({"general__alignment": 3}, "alignment"),
    ],
)
def test_what_cannot_converse_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        check_weights(tiny_gguf(tmp_path / "a.gguf", **changes))


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        check_weights(tmp_path / "none.gguf")
    with pytest.raises(RequestError, match="folder"):
        check_weights(tmp_path)


@several
@given(length=st.integers(0, len(GOOD) - 17))
def test_every_cut_is_found(tmp_path: Path, length: int) -> None:
    file = tmp_path / "cut.gguf"
    file.write_bytes(GOOD[:length])
    with pytest.raises(RequestError):
        check_weights(file)


@several
@given(content=st.binary(max_size=400), head=st.sampled_from([b"", b"GGUF\3\0\0\0", GOOD[:24], GOOD[:120]]))
def test_noise_gives_our_errors_only(tmp_path: Path, content: bytes, head: bytes) -> None:
    file = tmp_path / "noise.gguf"
    file.write_bytes(head + content)
    with pytest.raises(RequestError):
        check_weights(file)


@several
@given(place=st.integers(4, len(GOOD) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_never_surprises(tmp_path: Path, place: int, byte: int) -> None:
    file = tmp_path / "bent.gguf"
    file.write_bytes(GOOD[:place] + bytes([byte]) + GOOD[place + 1 :])
    try:
        assert check_weights(file).bytes == len(GOOD)
    except RequestError as error:
        assert str(file) in error.message


def test_huge_claims_cost_nothing(tmp_path: Path) -> None:
    claims = [
        struct.pack("<4sIQQ", b"GGUF", 3, 1 << 60, 1 << 60),
        struct.pack("<4sIQQ", b"GGUF", 3, 1, 1) + struct.pack("<Q", 1 << 62),
        struct.pack("<4sIQQ", b"GGUF", 3, 1, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 4, 1 << 61),
        struct.pack("<4sIQQ", b"GGUF", 3, 1, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 8, 1 << 60),
        struct.pack("<4sIQQ", b"GGUF", 3, 1, 1) + struct.pack("<Q1sI", 1, b"k", 9) + struct.pack("<IQ", 9, 1) * 50,
    ]

    def read_all() -> None:
        for claim in claims:
            (tmp_path / "huge.gguf").write_bytes(claim + bytes(100))
            with pytest.raises(RequestError):
                read_header(tmp_path / "huge.gguf")

    assert cpu_seconds(read_all) < 1
