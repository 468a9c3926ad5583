"""Models that other programs keep on this machine: Ollama, LM Studio, Jan, llama.cpp, Hugging Face's cache.

They are only looked at, and used where they are. Whatever is odd (a link that leads out of its folder, a manifest that
names another file, is a link, or is too long; an unfinished file) is passed over with a word. Ollama keeps a manifest
for each tag (`manifests/REGISTRY/OWNER/MODEL/TAG`, JSON) that names the weights' blob by its SHA-256
(`blobs/sha256-...`); the others keep `.gguf` files under the names of their repositories.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netgpt.errors import RequestError
from netgpt.files import open_regular

MOST_FILES: Final = 20_000
"""Names that are looked at in one folder, and below it."""
DEEPEST: Final = 6
MOST_MANIFEST: Final = 262_144
_WEIGHTS: Final = "application/vnd.ollama.image.model"
_ADAPTER: Final = "application/vnd.ollama.image.adapter"
_DIGEST: Final = re.compile(r"sha256[:-]([0-9a-f]{64})")
_SPLIT: Final = re.compile(r"-\d{5}-of-\d{5}$")
_PROGRAMS: Final = (
    ("lmstudio", "lm-studio"), ("lm-studio", "lm-studio"), ("huggingface", "hf-cache"), ("llama.cpp", "llama.cpp"),
    ("jan", "jan"),
)  # fmt: skip


@dataclass(frozen=True)
class FoundModel:
    """One model of another program. `sha256`: what that program says that the file has; None: it does not say."""

    name: str
    """Program and model: "ollama:qwen3:0.6b", "lm-studio:owner/repo/file"."""
    path: Path
    bytes: int
    sha256: str | None


def look_for_models(folders: Iterable[str | Path]) -> tuple[list[FoundModel], list[str]]:
    """What is in these folders, each file once, by name; and remarks on what was passed over."""
    found: dict[Path, FoundModel] = {}
    remarks: list[str] = []
    for folder in folders:
        root = Path(folder).expanduser()
        try:
            if not root.is_dir():
                continue
            looks = _ollama if (root / "manifests").is_dir() else _files
            for model in looks(root.resolve(), remarks):
                found.setdefault(model.path, model)
        except OSError as error:
            remarks.append(f"{root}: cannot be read: {error.strerror}")
    return sorted(found.values(), key=lambda model: model.name), remarks


def _walk(root: Path, remarks: list[str]) -> Iterator[Path]:
    """Every file below `root` that is reached through no link to a folder."""
    seen = 0
    for folder, below, names in os.walk(root, followlinks=False):
        if len(Path(folder).relative_to(root).parts) >= DEEPEST:
            below.clear()
        seen += len(names) + len(below)
        if seen > MOST_FILES:
            remarks.append(f"{root}: holds more than {MOST_FILES:,} files; the rest was not looked at")
            return
        yield from (Path(folder) / name for name in sorted(names))


def _ollama(root: Path, remarks: list[str]) -> Iterator[FoundModel]:
    manifests = root / "manifests"
    for path in _walk(manifests, remarks):
        parts = path.relative_to(manifests).parts
        name = _ollama_name(parts)
        if name is None:
            continue
        try:
            digest, size = _weights_of(path)
            blob = next((each for sign in "-:" if (each := root / "blobs" / f"sha256{sign}{digest}").exists()), None)
            if blob is None:
                raise RequestError("names weights that are not there")
            yield FoundModel(name, blob, _check(blob, size), digest)
        except RequestError as error:
            remarks.append(f"{name}: {error.message}; passed over")
        except OSError as error:
            remarks.append(f"{name}: cannot be read: {error.strerror}; passed over")


def _ollama_name(parts: tuple[str, ...]) -> str | None:
    """`ollama:[REGISTRY/][OWNER/]MODEL:TAG`; None: no manifest's place, or signs that steer a terminal."""
    if len(parts) < 3 or not all(re.fullmatch(r"[\w.+-]{1,96}", part) for part in parts):
        return None
    *place, model, tag = parts
    shown = [part for part in place if part not in ("registry.ollama.ai", "library")]
    return f"ollama:{'/'.join([*shown, model])}:{tag}"


def _weights_of(manifest: Path) -> tuple[str, int | None]:
    """SHA-256 and size of the weights that a manifest names. Raises RequestError, OSError."""
    with open_regular(manifest, follow=False) as file:
        data = file.read(MOST_MANIFEST + 1)
    if len(data) > MOST_MANIFEST:
        raise RequestError(f"its manifest has more than {MOST_MANIFEST:,} bytes")
    try:
        layers = json.loads(data)["layers"]
        kinds: dict[Any, Any] = {layer["mediaType"]: layer for layer in layers}
        digest = _DIGEST.fullmatch(kinds[_WEIGHTS]["digest"])
        size = kinds[_WEIGHTS].get("size")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RequestError("its manifest names no weights") from None
    if digest is None:
        raise RequestError("its manifest names weights by no SHA-256")
    if _ADAPTER in kinds:
        raise RequestError("has an adapter, which does not come with its weights")
    return digest[1], size if type(size) is int else None


def _files(root: Path, remarks: list[str]) -> Iterator[FoundModel]:
    program = next((name for sign, name in _PROGRAMS if sign in map(str.lower, _words(root))), root.name)
    for path in _walk(root, remarks):
        stem = path.stem
        if path.suffix.lower() != ".gguf" or "mmproj" in stem.lower() or _SPLIT.search(stem):
            continue
        place = [part for part in path.relative_to(root).parts[:-1] if part not in ("snapshots", "models")]
        place = [re.sub(r"^models--", "", part).replace("--", "/") for part in place if not _is_commit(part)]
        own = [] if stem.lower() == "model" and place else [stem]  # as Jan calls them all
        name = f"{program}:{'/'.join([*place, *own])}"
        if not name.isprintable() or len(name) > 300:
            continue
        try:
            real = Path(os.path.realpath(path, strict=True))
            if not real.is_relative_to(root):
                raise RequestError("is a link that leads out of its folder")
            digest = real.name if re.fullmatch(r"[0-9a-f]{64}", real.name) else None
            yield FoundModel(name, real, _check(real, None), digest)
        except RequestError as error:
            remarks.append(f"{name}: {error.message}; passed over")
        except OSError as error:
            remarks.append(f"{name}: cannot be read: {error.strerror}; passed over")


def _words(root: Path) -> set[str]:
    """Parts of a path, without a dot at their beginning."""
    return {part.lstrip(".") for part in root.parts}


def _is_commit(part: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}", part) is not None


def _check(path: Path, size: int | None) -> int:
    """Its bytes. Raises RequestError: no whole GGUF file of its own; OSError."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise RequestError("its weights are no regular file")
    with open_regular(path, follow=False) as file:
        found = os.fstat(file.fileno()).st_size
        if size is not None and found != size:
            raise RequestError(f"its weights have {found} of {size} bytes")
        if file.read(4) != b"GGUF":
            raise RequestError("its weights are no GGUF")
    return found
