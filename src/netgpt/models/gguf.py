"""Reads and checks the header of a GGUF weights file, without loading it.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Everything in the file is untrusted: each
length is checked against what is left of the file before a byte is read for it, so a hostile file costs
neither memory nor time beyond its own size.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final

from netgpt.errors import NotFound, RequestError
from netgpt.files import open_plain

MAX_ENTRIES: Final = 100_000
MAX_NAME_BYTES: Final = 65_535
MAX_TEXT_BYTES: Final = 4_000_000
MAX_DEPTH: Final = 3

SCALARS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9

TENSOR_TYPES: Final[dict[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
"""Type number -> name, weights per block, bytes per block."""

FILE_TYPES: Final = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 25: "IQ4_NL", 30: "IQ4_XS",
    32: "BF16",
}  # fmt: skip
"""`general.file_type`: the name that people know the whole file by."""

LOOKS_LIKE: Final = (
    (b"PK\x03\x04", "a zip archive (a wheel or a PyTorch file)"),
    (b"version https://git-lfs", "a Git LFS pointer: the real file was never fetched"),
    (b"<", "a web page: the download was answered with HTML"),
    (b"{", "a JSON document"),
    (b"lmgg", "the old GGML format"), (b"tjgg", "the old GGJT format"),
    (b"\x1f\x8b", "gzip data"), (b"\x7fELF", "a program"), (b"\x80", "a Python pickle"),
)  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """One tensor's place: `offset` counts from the start of the data part, in bytes."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def weights(self) -> int:
        count = 1
        for side in self.shape:
            count *= side
        return count

    @property
    def bytes(self) -> int | None:
        """Size of its data; None for a type that is not known here."""
        if self.type not in TENSOR_TYPES:
            return None
        _, block, size = TENSOR_TYPES[self.type]
        return -(-self.weights // block) * size


@dataclass(frozen=True)
class GgufHeader:
    """The header as read: metadata (of arrays only the length), tensors, and where the parts lie (bytes)."""

    version: int
    metadata: dict[str, Any] = field(repr=False)
    value_at: dict[str, int] = field(repr=False)
    """Where in the file each scalar's value stands."""
    tensors: tuple[Tensor, ...] = field(repr=False)
    tensors_at: int
    data_at: int
    alignment: int
    file_bytes: int


@dataclass(frozen=True)
class GgufInfo:
    """What one wants to know of a model file before starting it."""

    path: Path
    bytes: int
    architecture: str
    name: str
    quantization: str
    context_tokens: int
    """The context that the model was trained for; 0 when the file does not say."""
    parameters: int
    tensors: int
    chat_template: str = field(repr=False)


class _Reader:
    """Reads little-endian values; refuses what lies beyond the end of the file."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file, self.path, self.size, self.at = file, path, size, 0

    def fail(self, what: str) -> RequestError:
        return RequestError(f"{self.path}: damaged GGUF: {what} (at byte {self.at} of {self.size}). Fetch it again.")

    def need(self, count: int, what: str) -> None:
        if count > self.size - self.at:
            raise self.fail(f"{what} needs {count} bytes, {self.size - self.at} are left; the file is cut or corrupt")

    def take(self, count: int, what: str) -> bytes:
        self.need(count, what)
        data = self.file.read(count)
        if len(data) != count:
            raise self.fail(f"{what} could not be read whole")
        self.at += count
        return data

    def skip(self, count: int, what: str) -> None:
        self.need(count, what)
        if count <= 4096:  # reading on keeps the buffer, seeking throws it away
            self.file.read(count)
        else:
            self.file.seek(count, 1)
        self.at += count

    def number(self, form: str, what: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def text(self, limit: int, what: str) -> str:
        length: int = self.number("<Q", what)
        if length > limit:
            raise self.fail(f"{what} claims {length} bytes, at most {limit} make sense")
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail(f"{what} is not UTF-8") from None


def read_header(path: Path) -> GgufHeader:
    """Read metadata and tensor table. Raises NotFound, or RequestError that says what is wrong with the file."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise RequestError(f"{path}: this is a folder; name the .gguf file in it")
        with open_plain(path, RequestError) as file:
            return _read(_Reader(file, path, size))
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None


def check_weights(path: Path) -> GgufInfo:
    """Check that `path` is a whole chat model. Raises NotFound or RequestError with what is wrong and the cure."""
    header = read_header(path)
    metadata = header.metadata
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise RequestError(f"{path}: the GGUF names no architecture, so no engine can load it")
    kind = metadata.get("general.type", "model")
    if kind == "adapter" or "adapter.type" in metadata:
        raise RequestError(f"{path}: this is an adapter, not a model; it needs the model that it was trained on")
    if kind != "model" or architecture == "clip":
        raise RequestError(f"{path}: this GGUF holds a {kind} ({architecture}), not a language model")
    _check_tensors(path, header)
    template = metadata.get("tokenizer.chat_template")
    if not isinstance(template, str) or not template.strip():
        raise RequestError(
            f"{path}: the model has no chat template, so it was not trained to converse; take its -Instruct version"
        )
    context = metadata.get(f"{architecture}.context_length", 0)
    return GgufInfo(
        path=path, bytes=header.file_bytes, architecture=architecture,
        name=str(metadata.get("general.name", path.stem)), quantization=_quantization(header),
        context_tokens=context if isinstance(context, int) else 0,
        parameters=sum(tensor.weights for tensor in header.tensors), tensors=len(header.tensors),
        chat_template=template,
    )  # fmt: skip


def check_runs(info: GgufInfo) -> None:
    """Raises RequestError: the engine here does not know the architecture. llama.cpp has no list of them to ask for,
    so its library is searched for the name; whether it loads is seen when it is tried."""
    if not engine_knows(info.architecture):
        raise RequestError(f"{info.path}: {unknown_to_engine(info.architecture)}")


def engine_knows(architecture: str) -> bool:
    """Whether the engine's library holds this name; also where the library is not found."""
    found = find_spec("xllamacpp")
    folders = found.submodule_search_locations if found is not None else None
    for library in (each for folder in folders or () for each in Path(folder).glob("*.so")):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return text.find(architecture.encode() + b"\0") >= 0
    return True


def unknown_to_engine(architecture: str) -> str:
    """What is wrong with a model of that kind, and the cure."""
    return (
        f"the engine here (xllamacpp) cannot run the architecture {architecture!r}; refused. "
        "A newer xllamacpp may; `netgpt models recommend` names models that run."
    )


def _check_tensors(path: Path, header: GgufHeader) -> None:
    if not header.tensors:
        raise RequestError(f"{path}: the GGUF holds no tensors (a vocabulary only), so it is not a model")
    end = max(header.data_at + tensor.offset + (tensor.bytes or 0) for tensor in header.tensors)
    if end > header.file_bytes:
        raise RequestError(f"{path}: cut off: {header.file_bytes} bytes of {end} are here. Fetch it again.")


def _quantization(header: GgufHeader) -> str:
    named = header.metadata.get("general.file_type")
    if isinstance(named, int) and named in FILE_TYPES:
        return FILE_TYPES[named]
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        sizes[TENSOR_TYPES.get(tensor.type, ("unknown", 1, 1))[0]] += tensor.weights
    return sizes.most_common(1)[0][0]


def _read(reader: _Reader) -> GgufHeader:
    version = _read_magic(reader)
    tensor_count, entry_count = reader.number("<Q", "tensor count"), reader.number("<Q", "metadata count")
    if tensor_count > MAX_ENTRIES or entry_count > MAX_ENTRIES:
        raise reader.fail(f"{tensor_count} tensors and {entry_count} metadata entries make no sense")
    metadata: dict[str, Any] = {}
    value_at: dict[str, int] = {}
    for _ in range(entry_count):
        key = reader.text(MAX_NAME_BYTES, "a metadata key")
        kind = reader.number("<I", "a metadata type")
        value_at[key] = reader.at
        metadata[key] = _read_value(reader, kind)
    tensors_at = reader.at
    tensors = tuple(_read_tensor(reader) for _ in range(tensor_count))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        raise reader.fail("the alignment is not a power of two")
    data_at = -(-reader.at // alignment) * alignment
    return GgufHeader(version, metadata, value_at, tensors, tensors_at, data_at, alignment, reader.size)


def _read_magic(reader: _Reader) -> int:
    start = reader.file.read(64)
    reader.file.seek(0)
    if start[:4] != b"GGUF":
        raise RequestError(f"{reader.path}: not a GGUF file; it looks like {_looks_like(start)}")
    reader.skip(4, "magic")
    version: int = reader.number("<I", "version")
    if version in (2, 3):
        return version
    if version & 0xFFFF == 0:
        raise RequestError(f"{reader.path}: a big-endian GGUF; take the little-endian one")
    raise RequestError(f"{reader.path}: GGUF version {version} is not supported; versions 2 and 3 are")


def _looks_like(start: bytes) -> str:
    if not start:
        return "an empty file"
    if start[8:9] == b"{" and start[:8] != b"{" * 8:
        return "a safetensors file; convert it to GGUF first"
    return next((words for magic, words in LOOKS_LIKE if start.lstrip().startswith(magic)), "something else")


def _read_value(reader: _Reader, kind: int, depth: int = 0) -> Any:
    """One metadata value; for an array its length, its items are skipped."""
    if kind in SCALARS:
        return reader.number(SCALARS[kind], "a metadata value")
    if kind == STRING:
        return reader.text(MAX_TEXT_BYTES, "a metadata text")
    if kind != ARRAY:
        raise reader.fail(f"metadata type {kind} is unknown")
    if depth >= MAX_DEPTH:
        raise reader.fail("arrays are nested too deeply")
    item, count = reader.number("<I", "an array's type"), reader.number("<Q", "an array's length")
    if item in SCALARS:
        reader.skip(count * struct.calcsize(SCALARS[item]), "an array")
        return count
    reader.need(count * 8, "an array")
    for _ in range(count):
        if item == STRING:
            reader.skip(reader.number("<Q", "an array's text"), "an array's text")
        else:
            _read_value(reader, item, depth + 1)
    return count


def _read_tensor(reader: _Reader) -> Tensor:
    name = reader.text(MAX_NAME_BYTES, "a tensor's name")
    sides = reader.number("<I", "a tensor's dimensions")
    if sides > 8:
        raise reader.fail(f"a tensor of {sides} dimensions makes no sense")
    shape = tuple(reader.number("<Q", "a tensor's shape") for _ in range(sides))
    return Tensor(name, shape, reader.number("<I", "a tensor's type"), reader.number("<Q", "a tensor's offset"))
