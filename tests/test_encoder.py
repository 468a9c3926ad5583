"""The sentence encoder against the published implementations: ids, hidden states, deltas; and files that are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoders import Published, made_delta, tiny_published
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from netgpt.encoder import PARTS, SentenceEncoder, groups, read_arrays, write_arrays, write_encoder
from netgpt.errors import ModelUnavailable
from netgpt.word_pieces import UncasedPieces

HARD = [
    "I can't eat gluten-free bread, OK?", "Straße 12, 3. OG (Müller)", "L'été à Besançon",
    "¿Dónde está la señora Ibáñez?", "Съешь ещё этих мягких французских булок", "Ο ΔΙΟΝΥΣΗΣ ΚΑΙ Η ΟΔΟΣ",
    "İstanbul'da ışık", "Việt Nam có ẩm thực ngon", "日本語の文章、漢字とカナ。", "한국어 문장입니다",
    "我对花生过敏", "مرحبا بالعالم، كيف حالك؟", "שָׁלוֹם עוֹלָם", "नमस्ते दुनिया, आप कैसे हैं?", "สวัสดีชาวโลก",
    "ქართული ენა", "Հայերեն", "ᏣᎳᎩ", "😀👩‍👩‍👧 emoji ✨", "price: €1.299,50 / £20 ~ $5",
    "e-mail: jo@example.org http://x.y/z?a=b#c", "C++ vs. C# and f(x)=x^2", "ﬁne ﬂoor ½ ² №",
    "A\u0301\u0301 zero\u200bwidth\u00adsoft", "tabs\tand\nlines\r\n", "x" * 101,
    "antidisestablishmentarianism", "[CLS] [SEP] [MASK] ##ing", "１２３ ｆｕｌｌ ｗｉｄｔｈ",
    "\ufeffBOM \ufffd",
]  # fmt: skip
"""Many scripts, signs and ways of writing."""
TEXTS = ["the cat sat", "a dog", "", "dogs and cats, and the dog sat on a mat!", "cat", "sat the cat"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return tiny_published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def file(published: Published) -> Path:
    path = published.folder / "encoder.safetensors"
    write_encoder(published.weights, published.vocabulary.read_bytes(), path, heads=published.heads)
    return path


@pytest.fixture(scope="module")
def encoder(file: Path) -> SentenceEncoder:
    return SentenceEncoder(file)


def test_hidden_states_are_those_of_the_published_model(encoder: SentenceEncoder, published: Published) -> None:
    """The reference computes with the matrices as the file holds them, so only the arithmetic can differ."""
    reference = published.reference(encoder.path)
    for text, states, ids in zip(TEXTS, encoder.tokens(TEXTS), encoder.ids(TEXTS), strict=True):
        assert states.shape == (len(ids), 64) and states.dtype == np.float32
        assert np.abs(states - reference(ids)).max() < 2e-3, text


def test_a_row_is_the_mean_of_its_tokens(encoder: SentenceEncoder) -> None:
    means = np.stack([states.mean(axis=0) for states in encoder.tokens(TEXTS)])
    rows = encoder(TEXTS)
    assert np.allclose(rows, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-5)
    assert encoder([]).shape == (0, 64)


def test_a_text_is_read_alike_alone_and_among_others(encoder: SentenceEncoder) -> None:
    alone = np.concatenate([encoder([text]) for text in TEXTS])
    assert np.allclose(alone, encoder(TEXTS * 40)[: len(TEXTS)], atol=1e-5)


def test_int8_loses_next_to_nothing(encoder: SentenceEncoder, published: Published) -> None:
    exact = published.reference(None)
    for ids, states in zip(encoder.ids(TEXTS), encoder.tokens(TEXTS), strict=True):
        one, other = states.mean(axis=0), exact(ids).mean(axis=0)
        assert one @ other > 0.995 * np.linalg.norm(one) * np.linalg.norm(other)


def test_a_delta_is_added_to_the_matrices(file: Path, encoder: SentenceEncoder, published: Published) -> None:
    delta, changes = made_delta(published.folder / "delta.safetensors", file, published, PARTS)
    changed, reference = encoder.with_delta(delta), published.reference(file, changes)
    for ids, states in zip(encoder.ids(TEXTS), changed.tokens(TEXTS), strict=True):
        assert np.abs(states - reference(ids)).max() < 2e-3
    assert np.abs(changed(TEXTS) - encoder(TEXTS)).max() > 0.01
    assert changed.beside["head"].shape == (3,)
    again = SentenceEncoder(file, delta=delta)
    assert np.allclose(again(TEXTS), changed(TEXTS), atol=1e-6)


def test_a_delta_may_change_some_matrices_only(file: Path, encoder: SentenceEncoder, published: Published) -> None:
    delta, changes = made_delta(published.folder / "some.safetensors", file, published, ("value", "output"))
    reference = published.reference(file, changes)
    ids, states = encoder.ids(TEXTS[:1])[0], encoder.with_delta(delta).tokens(TEXTS[:1])[0]
    assert np.abs(states - reference(ids)).max() < 2e-3


def test_all_deltas_share_the_weights(file: Path, encoder: SentenceEncoder, published: Published) -> None:
    delta, _ = made_delta(published.folder / "shared.safetensors", file, published, PARTS)
    changed = encoder.with_delta(delta)
    one, other = encoder._loaded(), changed._loaded()
    assert one.words is other.words
    assert all(a.qkv.w is b.qkv.w and a.output.w is b.output.w for a, b in zip(one.layers, other.layers, strict=True))


def test_no_more_tokens_are_read_than_may_be(file: Path, encoder: SentenceEncoder) -> None:
    long = "cat " * 500
    assert len(encoder.ids([long])[0]) == 96, "the weights know so many places"
    short = SentenceEncoder(file, most_tokens=8)
    (ids,) = short.ids([long])
    assert len(ids) == 8 and ids[-1] == encoder.ids([""])[0][-1]
    assert np.allclose(short([long]), short(["cat " * 6]), atol=1e-6)


@given(st.lists(st.integers(1, 128), max_size=60))
def test_groups_hold_every_text_once_and_few_tokens(lengths: list[int]) -> None:
    found = groups([[0] * length for length in lengths], 200)
    assert sorted(i for group in found for i in group) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in group) <= 200 for group in found)


def test_a_file_is_the_same_each_time(file: Path, published: Published, tmp_path: Path) -> None:
    write_encoder(published.weights, published.vocabulary.read_bytes(), tmp_path / "b", heads=published.heads)
    assert (tmp_path / "b").read_bytes() == file.read_bytes()
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    from safetensors.numpy import load_file

    arrays = read_arrays(file).arrays
    assert {name: array.tolist() for name, array in load_file(file).items()} == {
        name: array.tolist() for name, array in arrays.items()
    }


def cut(data: bytes) -> bytes:
    return data[:-7]


def grown(data: bytes) -> bytes:
    return data + b"x"


def web_page(data: bytes) -> bytes:
    return b"<!DOCTYPE html><html>sorry</html>"


def header_of(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


HOSTILE: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("cut", cut),
    ("too long", grown),
    ("not a safetensors file", web_page),
    ("not a safetensors file", lambda data: b""),
    ("not a safetensors file", lambda data: b"\xff" * 8 + data[8:]),
    ("not a safetensors file", lambda data: (5000).to_bytes(8, "little") + b"[" * 5000),
    ("none of safetensors", lambda data: header_of(data, lambda h: h.update(words=1))),
    ("another kind", lambda data: header_of(data, lambda h: h["words"].update(dtype="F64"))),
    ("another kind", lambda data: header_of(data, lambda h: h["words"].update(shape=[-1, -1]))),
    ("another kind", lambda data: header_of(data, lambda h: h["words"].update(shape=[1 << 70, 0]))),
    ("lies elsewhere", lambda data: header_of(data, lambda h: h["words"].update(shape=[1 << 40, 1 << 40]))),
    ("lies elsewhere", lambda data: header_of(data, lambda h: h["norm"].update(data_offsets=[0, 8]))),
    ("none of safetensors", lambda data: header_of(data, lambda h: h["norm"].update(data_offsets=["a", None]))),
    ("none of safetensors", lambda data: header_of(data, lambda h: h["norm"].pop("shape"))),
    ("none of safetensors", lambda data: header_of(data, lambda h: h["norm"].update(data_offsets=[]))),
    ("none of safetensors", lambda data: header_of(data, lambda h: h["norm"].update(shape=7))),
    ("none of safetensors", lambda data: header_of(data, lambda h: h.update(__metadata__=7))),
    ("other weights: words is missing", lambda data: header_of(data, lambda h: h.update(n=h.pop("words")))),
    ("its form is not", lambda data: header_of(data, lambda h: h["__metadata__"].update(form="x"))),
    ("no number of heads", lambda data: header_of(data, lambda h: h["__metadata__"].update(heads="-1"))),
    ("has no 7 heads", lambda data: header_of(data, lambda h: h["__metadata__"].update(heads="7"))),
    ("layer.2", lambda data: header_of(data, lambda h: h["__metadata__"].update(layers="3"))),
    ("without end", lambda data: _endless(data)),
]


def _endless(data: bytes) -> bytes:
    length = int.from_bytes(data[:8], "little")
    at = 8 + length + json.loads(data[8 : 8 + length])["norm"]["data_offsets"][0]
    return data[:at] + np.float32("nan").tobytes() + data[at + 4 :]


@pytest.mark.parametrize(("words", "change"), HOSTILE)
def test_a_file_that_is_none_is_named_with_the_cure(
    file: Path, tmp_path: Path, words: str, change: Callable[[bytes], bytes]
) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(change(file.read_bytes()))
    with pytest.raises(ModelUnavailable, match=words) as refused:
        SentenceEncoder(bad)(["a cat"])
    assert str(bad) in refused.value.message and "netgpt models pull" in refused.value.message


def test_a_file_of_another_hash_is_not_used(file: Path, tmp_path: Path) -> None:
    digest = read_arrays(file).sha256
    assert SentenceEncoder(file, sha256=digest)(["a cat"]).any()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(ModelUnavailable, match="wrong hash"):
        SentenceEncoder(tmp_path / "other", sha256=digest).load()


@pytest.mark.parametrize("name", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelUnavailable, match=r"cannot be read.*netgpt models pull"):
        SentenceEncoder(tmp_path / name).load()


@pytest.mark.parametrize(
    ("words", "names", "metadata"),
    [
        ("there is no layer.9", {"layer.9.query.A": (64, 2), "layer.9.query.B": (2, 64)}, {}),
        ("there is no layer.0.keys", {"layer.0.keys.A": (64, 2), "layer.0.keys.B": (2, 64)}, {}),
        ("layer.0.query.B is missing", {"layer.0.query.A": (64, 2)}, {}),
        ("layer.0.query.A is missing", {"layer.0.query.A": (32, 2), "layer.0.query.B": (2, 64)}, {}),
        ("layer.0.output.B is missing", {"layer.0.output.A": (128, 2), "layer.0.output.B": (3, 64)}, {}),
        ("rank of layer.0.key", {"layer.0.key.A": (64, 300), "layer.0.key.B": (300, 64)}, {}),
        ("made for other weights", {}, {"base": "0" * 64}),
        ("its form is not", {}, {"form": "netgpt-encoder-1"}),
    ],
)
def test_a_delta_of_other_weights_is_refused(
    encoder: SentenceEncoder, tmp_path: Path, words: str, names: dict[str, tuple[int, int]], metadata: dict[str, str]
) -> None:
    path = tmp_path / "delta.safetensors"
    arrays = {name: np.ones(shape, np.float32) for name, shape in names.items()}
    write_arrays(path, arrays, {"form": "netgpt-encoder-delta-1"} | metadata)
    with pytest.raises(ModelUnavailable, match=words) as refused:
        encoder.with_delta(path).load()
    assert str(path) in refused.value.message


def test_the_published_weights_and_their_pieces(encoder_weights: Path) -> None:
    """Ids as the published tokenizer gives them."""
    encoder = SentenceEncoder(encoder_weights, most_tokens=256)
    rules = Tokenizer(WordPiece(encoder._loaded().pieces.vocabulary, unk_token="[UNK]"))
    rules.normalizer, rules.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    for text, (_, *ids, _) in zip(HARD, encoder.ids(HARD), strict=True):
        assert ids == rules.encode(text).ids, text
    assert encoder.ids(["Crème brûlée"]) == [[101, 13675, 21382, 7987, 9307, 2063, 102]]


def test_weights_need_no_library_of_models(file: Path) -> None:
    code = (
        "import sys, pathlib, netgpt.encoder as e; print('numpy' in sys.modules);"
        f"e.SentenceEncoder(pathlib.Path({str(file)!r}))(['cat']);"
        "print([m for m in ('torch', 'onnxruntime', 'tokenizers', 'safetensors') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split("\n")[:2] == ["False", "[]"]


def test_a_vocabulary_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no piece"):
        UncasedPieces(["a", "b"])
