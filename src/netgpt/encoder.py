"""A sentence encoder on the box: BERT's arithmetic in NumPy, for weights of the shape of all-MiniLM-L6-v2.

One file holds everything, in the format of safetensors: matrices as int8 with a scale a row, the rest as float32, and
the vocabulary. In memory the matrices are float32, the table of words stays int8: about 60 MB. A small delta (LoRA) on
top makes an encoder for one task out of the same weights in memory. Texts of one length are read together, so nothing
is padded. NumPy lets go of the interpreter while it computes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

from netgpt.errors import ModelUnavailable
from netgpt.files import open_regular
from netgpt.word_pieces import UncasedPieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

T = TypeVar("T")

FORM: Final = "netgpt-encoder-1"
DELTA_FORM: Final = "netgpt-encoder-delta-1"
"""Stand as `form` in the metadata of a file: what its tensors are called. A delta may name its `base` by SHA-256."""
PARTS: Final = ("query", "key", "value", "attention", "intermediate", "output")
"""Of a layer; a delta names its matrices `layer.0.query.A` (in, rank) and `layer.0.query.B` (rank, out)."""
CURE: Final = "Fetch it again with `netgpt models pull all-minilm-l6-v2`, or set encoder.model."
MOST_TOKENS: Final = 128
MOST_BYTES: Final = 100_000_000
"""Of a file of weights."""
_MOST_HEADER_BYTES: Final = 1_000_000
_MOST_TENSORS: Final = 1_000
_MOST_RANK: Final = 256
_DTYPES: Final = {"I8": "<i1", "U8": "<u1", "F16": "<f2", "F32": "<f4"}
_AT_ONCE: Final = 512
"""Tokens that are computed together: 10 MB of numbers in between."""
_ROWS: Final = 64
"""Rows of the widest layer that stay near the processor."""
_SMALLEST: Final = 1e-12
"""Added to a variance, as the weights were trained."""
_GELU: Final = (1.595015775998169, 0.0740112874084552, -0.0007030357717239816)
_GELU_END: Final = 5.5
"""x sigmoid(a x + b x^3 + c x^5), x cut at the end: within 2.6e-5 of x (1 + erf(x / sqrt 2)) / 2."""


@dataclass(frozen=True)
class ArrayFile:
    """What a safetensors file holds."""

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, str]
    sha256: str


def read_arrays(path: Path, *, sha256: str | None = None, cure: str = CURE) -> ArrayFile:
    """Read a safetensors file from anywhere; every size is checked before memory is taken. `sha256`: it must have it.

    Raises ModelUnavailable, with file and cure: not there, cut, of another form, of another hash, or not finite.
    """
    try:
        with open_regular(path) as file:
            size, digest = os.fstat(file.fileno()).st_size, hashlib.sha256()
            tensors, metadata = _header(file, size, digest)
            arrays = {name: _array(file, digest, name, *facts) for name, facts in tensors.items()}
    except OSError as error:
        raise ModelUnavailable(f"{path}: cannot be read: {error.strerror}. {cure}") from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        what = str(error) if type(error) is ValueError else "its header is none of safetensors"
        raise ModelUnavailable(f"{path}: cannot be used: {what}. {cure}") from None
    found = digest.hexdigest()
    if sha256 is not None and found != sha256:
        raise ModelUnavailable(f"{path}: wrong hash: {found[:12]}..., expected {sha256[:12]}...: not used. {cure}")
    return ArrayFile(arrays, metadata, found)


def _header(file: BinaryIO, size: int, digest: Any) -> tuple[dict[str, tuple[str, list[int], int]], dict[str, str]]:
    """Name -> dtype, shape and bytes, in the order of the file. Raises ValueError, and what other JSON raises."""
    if size > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if not 2 <= length <= min(_MOST_HEADER_BYTES, size - 8):
        raise ValueError("it is damaged, or not a safetensors file")
    text = file.read(length)
    digest.update(start + text)
    try:
        content = dict(json.loads(text))
    except (ValueError, RecursionError):
        raise ValueError("it is damaged, or not a safetensors file") from None
    metadata = {str(name): str(value) for name, value in content.pop("__metadata__", {}).items()}
    if len(content) > _MOST_TENSORS:
        raise ValueError("it has too many tensors")
    tensors, at = {}, 0
    for name, facts in sorted(content.items(), key=lambda item: item[1]["data_offsets"][0]):
        (begin, end), shape, dtype = facts["data_offsets"], facts["shape"], facts["dtype"]
        if dtype not in _DTYPES or len(shape) > 2 or not all(type(side) is int and side > 0 for side in shape):
            raise ValueError(f"{name[:60]!r} is of another kind than weights are")
        if begin != at or end - begin != math.prod(shape) * int(_DTYPES[dtype][-1]):
            raise ValueError(f"{name[:60]!r} lies elsewhere than its size says")
        tensors[name] = (_DTYPES[dtype], shape, end - begin)
        at = end
    if at != size - 8 - length:
        raise ValueError("it is cut, or too long")
    return tensors, metadata


def _array(file: BinaryIO, digest: Any, name: str, dtype: str, shape: list[int], size: int) -> NDArray[Any]:
    import numpy as np

    data = bytearray(size)
    if file.readinto(data) != size:  # type: ignore[attr-defined]
        raise ValueError("it is cut")
    digest.update(data)
    array = np.frombuffer(data, dtype).reshape(shape)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name[:60]!r} holds a number without end")
    return array


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file (0600): the same bytes for the same content. Raises OSError."""
    dtypes = {numpy_name: name for name, numpy_name in _DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    at, ordered = 0, sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))  # so that all are aligned
    for name, array in ordered:
        dtype = dtypes["<" + array.dtype.str[1:]]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            file.write(array.tobytes())


def write_encoder(published: Path, vocabulary: bytes, target: Path, *, heads: int = 12) -> None:
    """Write the file that `SentenceEncoder` reads, out of BERT weights as published (float32) and their `vocab.txt`.

    The same bytes on every machine. Raises KeyError, ValueError, OSError: other weights.
    """
    import numpy as np
    from safetensors.numpy import load_file

    source = load_file(published)
    arrays: dict[str, NDArray[Any]] = {"vocabulary": np.frombuffer(vocabulary, np.uint8)}

    def matrix(name: str, *keys: str) -> None:
        rows = np.concatenate([source[f"{key}.weight"] for key in keys])
        scale = np.maximum(np.abs(rows).max(axis=1) / np.float32(127), np.float32(1e-12))
        arrays[name], arrays[f"{name}.scale"] = np.rint(rows / scale[:, None]).astype(np.int8), scale

    def dense(name: str, *keys: str) -> None:
        matrix(name, *keys)
        arrays[f"{name}.bias"] = np.concatenate([source[f"{key}.bias"] for key in keys])

    def norm(name: str, key: str) -> None:
        arrays[name] = np.stack([source[f"{key}.weight"], source[f"{key}.bias"]])

    matrix("words", "embeddings.word_embeddings")
    types = source["embeddings.token_type_embeddings.weight"]
    arrays["positions"] = source["embeddings.position_embeddings.weight"] + types[0]
    norm("norm", "embeddings.LayerNorm")
    layers = 0
    while f"encoder.layer.{layers}.output.dense.weight" in source:
        old, new = f"encoder.layer.{layers}", f"layer.{layers}"
        dense(f"{new}.qkv", *(f"{old}.attention.self.{part}" for part in PARTS[:3]))
        dense(f"{new}.attention", f"{old}.attention.output.dense")
        norm(f"{new}.attention.norm", f"{old}.attention.output.LayerNorm")
        dense(f"{new}.intermediate", f"{old}.intermediate.dense")
        dense(f"{new}.output", f"{old}.output.dense")
        norm(f"{new}.output.norm", f"{old}.output.LayerNorm")
        layers += 1
    write_arrays(target, arrays, {"form": FORM, "heads": str(heads), "layers": str(layers)})


@dataclass(frozen=True)
class _Dense:
    """`x @ w + b`; with a delta (down, up), `+ (x @ down) @ up`."""

    w: Array
    b: Array
    delta: tuple[Array, Array] | None = None

    def __call__(self, x: Array) -> Array:
        y: Array = x @ self.w
        y += self.b
        if self.delta is not None:
            y += (x @ self.delta[0]) @ self.delta[1]
        return y


@dataclass(frozen=True)
class _Layer:
    qkv: _Dense
    attention: _Dense
    attention_norm: Array
    intermediate: _Dense
    output: _Dense
    output_norm: Array


@dataclass(frozen=True)
class _Weights:
    pieces: UncasedPieces
    words: NDArray[np.int8]
    scales: Array
    positions: Array
    norm: Array
    layers: tuple[_Layer, ...]
    heads: int
    sha256: str


class _Reader:
    """Takes what weights need out of a file. Raises ValueError: something is missing, or of another size."""

    def __init__(self, file: ArrayFile, form: str) -> None:
        self.file = file
        if file.metadata.get("form") != form:
            raise ValueError(f'it holds other weights: its form is not "{form}"')

    def number(self, name: str, most: int) -> int:
        text = self.file.metadata.get(name, "")
        if not (text.isdecimal() and len(text) < 4 and 0 < int(text) <= most):
            raise ValueError(f"it says no number of {name}")
        return int(text)

    def take(self, name: str, dtype: str, *shape: int | None) -> NDArray[Any]:
        array = self.file.arrays.pop(name, None)
        fits = array is not None and array.ndim == len(shape) and array.dtype == dtype
        if (
            array is None
            or not fits
            or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True))
        ):
            raise ValueError(f"it holds other weights: {name} is missing or of another size")
        return array

    def rest(self) -> dict[str, NDArray[Any]]:
        """What was not taken; float16 as float32."""
        import numpy as np

        return {
            name: array.astype(np.float32) if array.dtype == "<f2" else array
            for name, array in self.file.arrays.items()
        }

    def low(self, name: str, *shape: int | None) -> NDArray[Any]:
        """A matrix of a delta, as float32 or as float16 in the file."""
        import numpy as np

        found = self.file.arrays.get(name)
        dtype = "<f4" if found is None or found.dtype != "<f2" else "<f2"
        return self.take(name, dtype, *shape).astype(np.float32)

    def dense(self, name: str, inner: int, outer: int | None) -> _Dense:
        import numpy as np

        rows = self.take(name, "i1", outer, inner)
        scale = self.take(f"{name}.scale", "<f4", len(rows))
        return _Dense(np.multiply(rows.T, scale, dtype=np.float32), self.take(f"{name}.bias", "<f4", len(rows)))

    def weights(self) -> _Weights:
        words = self.take("words", "i1", None, None)
        count, width = words.shape
        scales = self.take("words.scale", "<f4", count)
        text = bytes(self.take("vocabulary", "u1", None)).decode("utf-8")
        if (pieces := text.removesuffix("\n").split("\n")) and len(pieces) != count:
            raise ValueError("it holds other weights: words and vocabulary differ")
        heads, layers = self.number("heads", 64), self.number("layers", 48)
        if width % heads:
            raise ValueError(f"a width of {width} has no {heads} heads")
        positions, norm = self.take("positions", "<f4", None, width), self.take("norm", "<f4", 2, width)
        if len(positions) < 8:
            raise ValueError(f"it reads no more than {len(positions)} tokens")
        return _Weights(
            UncasedPieces(pieces), words, scales, positions, norm,
            tuple(self.layer(f"layer.{number}", width) for number in range(layers)), heads, self.file.sha256,
        )  # fmt: skip

    def layer(self, name: str, width: int) -> _Layer:
        middle = self.dense(f"{name}.intermediate", width, None)
        return _Layer(
            self.dense(f"{name}.qkv", width, 3 * width),
            self.dense(f"{name}.attention", width, width),
            self.take(f"{name}.attention.norm", "<f4", 2, width),
            middle,
            self.dense(f"{name}.output", middle.w.shape[1], width),
            self.take(f"{name}.output.norm", "<f4", 2, width),
        )

    def with_delta(self, base: _Weights) -> _Weights:
        if self.file.metadata.get("base", base.sha256) != base.sha256:
            raise ValueError("it was made for other weights")
        changed = tuple(self._changed(f"layer.{number}", layer) for number, layer in enumerate(base.layers))
        if left := [name for name in self.file.arrays if name.startswith("layer.")]:
            raise ValueError(f"it was made for other weights: there is no {left[0][:60]}")
        return replace(base, layers=changed)

    def _changed(self, name: str, layer: _Layer) -> _Layer:
        return replace(
            layer,
            qkv=self._lowered(layer.qkv, [f"{name}.{part}" for part in PARTS[:3]]),
            attention=self._lowered(layer.attention, [f"{name}.attention"]),
            intermediate=self._lowered(layer.intermediate, [f"{name}.intermediate"]),
            output=self._lowered(layer.output, [f"{name}.output"]),
        )

    def _lowered(self, dense: _Dense, names: Sequence[str]) -> _Dense:
        """`names`: the matrices that share the columns of `dense`, side by side."""
        import numpy as np

        inner, outer = dense.w.shape[0], dense.w.shape[1] // len(names)
        downs, ups = [], []
        for place, name in enumerate(names):
            if f"{name}.A" in self.file.arrays or f"{name}.B" in self.file.arrays:
                down = self.low(f"{name}.A", inner, None)
                if down.shape[1] > _MOST_RANK:
                    raise ValueError(f"the rank of {name} is above {_MOST_RANK}")
                up = self.low(f"{name}.B", down.shape[1], outer)
                downs.append(down)
                ups.append(np.pad(up, ((0, 0), (place * outer, (len(names) - 1 - place) * outer))))
        return replace(dense, delta=(np.concatenate(downs, axis=1), np.concatenate(ups))) if downs else dense


class _Base:
    """Weights that are read once, by whoever comes first, and shared by all deltas."""

    def __init__(self, path: Path, sha256: str | None) -> None:
        self.path, self._sha256, self._lock = path, sha256, threading.Lock()
        self._weights: _Weights | None = None

    def weights(self) -> _Weights:
        with self._lock:
            if self._weights is None:
                self._weights = _checked(self.path, FORM, self._sha256, CURE, _Reader.weights)
            return self._weights


def _checked(path: Path, form: str, sha256: str | None, cure: str, read: Callable[[_Reader], T]) -> T:
    try:
        return read(_Reader(read_arrays(path, sha256=sha256, cure=cure), form))
    except ValueError as error:  # UnicodeDecodeError is one
        what = "its vocabulary is no text" if isinstance(error, UnicodeDecodeError) else error
        raise ModelUnavailable(f"{path}: cannot be used: {what}. {cure}") from None


class SentenceEncoder:
    """`encoder(texts)` -> float32 (n, width): unit rows, each the mean over a text's tokens. Safe in several threads.

    Read at the first use (0.1 s, 60 MB). `sha256`: the file must have it. `delta`: a file of low-rank changes.
    Everything that reads the files raises ModelUnavailable: missing, damaged, or other weights.
    """

    def __init__(
        self,
        path: Path,
        *,
        sha256: str | None = None,
        delta: Path | None = None,
        delta_sha256: str | None = None,
        most_tokens: int = MOST_TOKENS,
        base: _Base | None = None,
    ) -> None:
        self.path, self.delta, self.most_tokens = path, delta, most_tokens
        """`most_tokens`: of a text, its two ends among them; the rest is not read."""
        self._base, self._delta_sha256 = base or _Base(path, sha256), delta_sha256
        self._lock = threading.Lock()
        self._weights: _Weights | None = None
        self._beside: dict[str, NDArray[Any]] = {}
        self._made_of = ""

    def with_delta(self, path: Path, *, sha256: str | None = None, most_tokens: int | None = None) -> SentenceEncoder:
        """An encoder for one task, on the same weights in memory."""
        most = most_tokens or self.most_tokens
        return SentenceEncoder(self.path, delta=path, delta_sha256=sha256, most_tokens=most, base=self._base)

    def load(self) -> None:
        """Read the files; does nothing the second time."""
        self._loaded()

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return int(self._loaded().words.shape[1])

    @property
    def beside(self) -> Mapping[str, NDArray[Any]]:
        """What the delta's file holds beside the delta, such as the head of a task."""
        self._loaded()
        return self._beside

    @property
    def identity(self) -> str:
        """A digest of all that a row depends on beside the text: weights, delta, and how much of a text is read."""
        self._loaded()
        return hashlib.sha256(f"{self._made_of} {self.most_tokens}".encode()).hexdigest()

    def __call__(self, texts: Sequence[str]) -> Array:
        """Unit rows, one a text. An empty text has one, too: that of its two ends."""
        import numpy as np

        ids = self.ids(texts)
        rows = np.zeros((len(ids), self.width), np.float32)
        for group in groups(ids):
            rows[group] = self.means([ids[i] for i in group])
        return rows

    def tokens(self, texts: Sequence[str]) -> list[Array]:
        """The last hidden states of each text, (tokens, width): "[CLS]" first, its pieces, and "[SEP]" last."""
        ids = self.ids(texts)
        found: dict[int, Array] = {}
        for group in groups(ids):
            flat, at = self._hidden([ids[i] for i in group]), 0
            for i in group:
                found[i] = flat[at : at + len(ids[i])].copy()
                at += len(ids[i])
        return [found[i] for i in range(len(ids))]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of each text's pieces, between those of "[CLS]" and "[SEP]"."""
        weights = self._loaded()
        most, pieces = min(self.most_tokens, len(weights.positions)) - 2, weights.pieces
        return [[pieces.first, *pieces.encode(text, most), pieces.last] for text in texts]

    def means(self, ids: Sequence[Sequence[int]]) -> Array:
        """Unit rows of a group of `groups`, in one piece of work."""
        import numpy as np

        lengths = [len(each) for each in ids]
        starts = np.cumsum([0, *lengths[:-1]])
        rows = np.add.reduceat(self._hidden(ids), starts, axis=0)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def _loaded(self) -> _Weights:
        with self._lock:
            if self._weights is None:
                weights = self._base.weights()
                self._made_of = weights.sha256
                if self.delta is not None:
                    cure = "Reinstall netgpt, or name the delta of these weights."
                    weights, self._beside, digest = _checked(
                        self.delta, DELTA_FORM, self._delta_sha256, cure,
                        lambda reader: (reader.with_delta(weights), reader.file.arrays, reader.file.sha256),
                    )  # fmt: skip
                    self._made_of += f" {digest}"
                self._weights = weights
            return self._weights

    def _hidden(self, ids: Sequence[Sequence[int]]) -> Array:
        """The last hidden states of texts that are sorted by length, one after the other: (all tokens, width)."""
        import numpy as np

        weights = self._loaded()
        flat = np.fromiter((i for each in ids for i in each), np.int64)
        x = weights.words[flat].astype(np.float32)
        x *= weights.scales[flat, None]
        x += weights.positions[np.concatenate([np.arange(len(each)) for each in ids])]
        x = _normed(x, weights.norm)
        runs = [(length, len(list(run))) for length, run in groupby(map(len, ids))]
        for layer in weights.layers:
            x += layer.attention(_attended(layer.qkv(x), runs, weights.heads))
            x = _normed(x, layer.attention_norm)
            x += layer.output(gelu(layer.intermediate(x)))
            x = _normed(x, layer.output_norm)
        return x


def groups(ids: Sequence[Sequence[int]], at_once: int = _AT_ONCE) -> list[list[int]]:
    """Which texts are computed together: places in `ids`, by length, of at most `at_once` tokens in all, or of one."""
    found: list[list[int]] = []
    room = 0
    for i in sorted(range(len(ids)), key=lambda i: len(ids[i])):
        if len(ids[i]) > room:
            found.append([])
            room = at_once
        found[-1].append(i)
        room -= len(ids[i])
    return found


def _normed(x: Array, norm: Array) -> Array:
    x -= x.mean(axis=1, keepdims=True)
    x /= ((x * x).mean(axis=1, keepdims=True) + _SMALLEST) ** 0.5
    x *= norm[0]
    x += norm[1]
    return x


def _attended(qkv: Array, runs: Sequence[tuple[int, int]], heads: int) -> Array:
    """`runs`: a length in tokens, and how many texts of it follow one another."""
    import numpy as np

    width = qkv.shape[1] // 3
    side = width // heads
    qkv[:, :width] *= side**-0.5
    out = np.empty((len(qkv), width), np.float32)
    at = 0
    for length, count in runs:
        rows = slice(at, at + length * count)
        q, k, v = qkv[rows].reshape(count, length, 3, heads, side).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        out[rows].reshape(count, length, heads, side)[:] = (scores @ v).transpose(0, 2, 1, 3)
        at = rows.stop
    return out


def gelu(x: Array) -> Array:
    """In place."""
    import numpy as np

    a, b, c = _GELU
    for at in range(0, len(x), _ROWS):
        part = x[at : at + _ROWS]
        cut = np.clip(part, -_GELU_END, _GELU_END)
        square = cut * cut
        power = square * -c
        power -= b
        power *= square
        power -= a
        power *= cut
        np.exp(power, out=power)
        power += 1
        part /= power
    return x
