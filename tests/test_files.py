"""Odd files where the owner names one: an error with file and line, soon; and a home that nobody else writes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netgpt.adapters.peft import read_config_json
from netgpt.app.tls import server_tls
from netgpt.context.places import read_geojson
from netgpt.errors import NetGPTError, RequestError, SettingsError, StoreError
from netgpt.files import check_home, keep_private, lines_in, open_own, read_text
from netgpt.models.catalog import CatalogIndex
from netgpt.models.gguf import read_header
from netgpt.policy import Policy
from netgpt.policy.cases import read_cases
from netgpt.settings import load_settings
from netgpt.settings.sections import Server
from netgpt.store.encryption import KeyFile, Sealer
from netgpt.store.store import Store, open_store
from netgpt.training.example import read_examples

SECONDS = 10.0
"""Far more than any takes (hundredths of a second), however busy the machine is; what hangs takes for ever."""


def made(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


ODD: dict[str, Callable[[Path], Path]] = {
    "an endless device": lambda path: Path("/dev/zero"),
    "a pipe": pipe,
    "a folder": folder,
    "no UTF-8": lambda path: made(path, b"a = 1\nb = '\xff\xfe'\n"),
    "null characters": lambda path: made(path, b"a = 1\n\n\0\0\0"),
    "a hundred megabytes": lambda path: sparse(path, 100_000_000),
    "nested lists": lambda path: made(path, b"\n[a]\nb = " + b"[" * 10_000 + b"]" * 10_000),
    "nested tables": lambda path: made(path, b"a = 1\n[" + b".".join([b"a"] * 10_000) + b"]\n"),
    "nested JSON": lambda path: made(path, b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "200,000 keys": lambda path: made(path, b"".join(b"k%d = 1\n" % n for n in range(200_000))),
    "20,000 unknown keys": lambda path: made(path, b"".join(b"k%d = 1\n" % n for n in range(20_000))),
    "5,000 digits": lambda path: made(path, b"[server]\nport = " + b"1" * 5000 + b"\n"),
    "nested brackets": lambda path: made(
        path, b'@id("a")\npermit(principal, action, resource) when { ' + b"(" * 10_000
    ),
    "a line without end": lambda path: made(path, b"[" * 250_000),
}
READERS: dict[str, Callable[[Path], object]] = {
    "settings": lambda path: load_settings(path, {}),
    "a policy": lambda path: Policy.load(str(path)),
    "cases of a policy": read_cases,
    "places": read_geojson,
    "a certificate": lambda path: server_tls(Server(tls_cert=path, tls_key=path)),
    "an authority": lambda path: server_tls(Server(tls_client_ca=path, tls_cert=path, tls_key=path)),
    "examples": lambda path: list(read_examples(path)),
    "a configuration": read_config_json,
    "weights": read_header,
    "the catalog": lambda path: CatalogIndex(path).read(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_file_is_an_error_that_names_it(tmp_path: Path, odd: str, reader: str) -> None:
    path = ODD[odd](tmp_path / "odd.file")
    began = time.monotonic()
    with pytest.raises(NetGPTError) as caught:
        READERS[reader](path)
    assert time.monotonic() - began < SECONDS
    assert str(path) in caught.value.message and len(caught.value.message) < 10_000


LINES = {"no UTF-8": 2, "null characters": 3, "nested lists": 3, "nested tables": 2, "5,000 digits": 2}


@pytest.mark.parametrize("odd", LINES)
def test_the_line_is_named(tmp_path: Path, odd: str) -> None:
    path = ODD[odd](tmp_path / "netgpt.toml")
    with pytest.raises(SettingsError, match=f"{path}:{LINES[odd]}:"):
        load_settings(path, {})


def netgpt(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netgpt", *words]
    values = os.environ | {"NETGPT_HOME": str(home)} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=values, check=False)


def test_the_command_ends_with_a_message_and_no_traceback(tmp_path: Path) -> None:
    home = folder(tmp_path / "home")
    home.chmod(0o700)
    done = netgpt(home, "policy", "show", NETGPT_POLICY__SET="/dev/zero")
    assert done.returncode == 1 and "/dev/zero" in done.stderr and "Traceback" not in done.stderr
    home.chmod(0o777)
    done = netgpt(home, "serve", NETGPT_SERVER__PORT="0")
    assert done.returncode == 1 and f"chmod 700 {home}" in done.stderr and "Traceback" not in done.stderr
    assert list(home.iterdir()) == []


def test_links_that_the_owner_names_are_followed(tmp_path: Path) -> None:
    (tmp_path / "link.toml").symlink_to(made(tmp_path / "netgpt.toml", b"\xef\xbb\xbf[server]\nport = 8123\n"))
    assert load_settings(tmp_path / "link.toml", {}).server.port == 8123
    assert read_text(tmp_path / "link.toml", SettingsError).startswith("[server]")
    assert [line for _, line in lines_in(tmp_path / "link.toml", RequestError)] == ["[server]\n", "port = 8123\n"]
    with pytest.raises(RequestError, match=":1: a line of more"):
        list(lines_in(tmp_path / "link.toml", RequestError, longest=10))


def test_a_key_file_that_is_a_link_is_refused_and_its_target_stays_as_it_was(tmp_path: Path) -> None:
    KeyFile(tmp_path / "other").make()
    (tmp_path / "other").chmod(0o644)
    (tmp_path / "secret.key").symlink_to(tmp_path / "other")
    with pytest.raises(StoreError, match="symbolic link"):
        Sealer.from_file(tmp_path / "secret.key")
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o644
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="symbolic link"):
        Sealer.from_file(tmp_path / "dangling")
    assert not (tmp_path / "nowhere").exists()


def test_a_key_file_with_a_second_name_or_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    KeyFile(tmp_path / "secret.key").make()
    (tmp_path / "second").hardlink_to(tmp_path / "secret.key")
    with pytest.raises(StoreError, match="second name"):
        Sealer.from_file(tmp_path / "secret.key")
    with pytest.raises(StoreError, match="a pipe"):
        Sealer.from_file(pipe(tmp_path / "pipe"))


@pytest.mark.parametrize("name", ["netgpt.db", "netgpt.db-open", "netgpt.db-wal", "netgpt.db-shm"])
def test_no_file_of_the_database_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    target = made(tmp_path / "precious", b"precious")
    target.chmod(0o644)
    home = folder(tmp_path / "home")
    if name != "netgpt.db":
        Store.open(home / "netgpt.db", Sealer.new())._database.forget_connections()
        (home / name).unlink(missing_ok=True)
    (home / name).symlink_to(target)
    with pytest.raises(StoreError, match=f"{name}: cannot be used: it is a symbolic link"):
        Store.open(home / "netgpt.db", Sealer.new())
    assert target.read_bytes() == b"precious" and stat.S_IMODE(target.stat().st_mode) == 0o644


def test_a_link_put_there_between_two_writes_is_not_followed(tmp_path: Path) -> None:
    """Whoever may write in the folder races for the name that is written next: what is behind a link stays."""
    target = made(tmp_path / "precious", b"precious")
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(OSError):
            open_own(tmp_path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with pytest.raises(OSError):
            keep_private(tmp_path / name)
    assert target.read_bytes() == b"precious"


def test_a_home_that_others_may_write_is_refused_with_the_cure(tmp_path: Path) -> None:
    home = folder(tmp_path / "home")
    settings = load_settings(environment={"NETGPT_HOME": str(home)})
    for mode in (0o777, 0o770, 0o702):
        home.chmod(mode)
        with pytest.raises(StoreError, match=f"chmod 700 {home}"):
            open_store(settings)
    assert list(home.iterdir()) == []
    home.chmod(0o755)  # others may look: `netgpt doctor` tells
    check_home(home, StoreError)
    tmp_path.chmod(0o777)
    home.chmod(0o700)
    with pytest.raises(StoreError, match="another folder in the place"):
        open_store(settings)
    tmp_path.chmod(0o700)


def test_a_home_of_another_user_is_refused_with_the_cure(tmp_path: Path) -> None:
    home = Path("/")  # root's, unless the tests are root's
    if os.geteuid() == 0:
        home = folder(tmp_path / "home")
        os.chown(home, 12345, 12345)
    with pytest.raises(StoreError, match=r"belongs to another user.*chown"):
        check_home(home, StoreError)
