"""Files that the owner names, and files of the home: never waited for, never without end, never through a trick.

What the owner names (settings, policies, places, certificates) may be a link: it is read when a regular file is behind
it, up to a bound. What the box keeps in its home is written and read through no link, belongs to the user of the
process, and has one name.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
import tomllib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final

from netgpt.errors import NetGPTError

MOST_TEXT: Final = 262_144
"""Bytes of settings, rules and tables that people write."""
MOST_DATA: Final = 64_000_000
"""Bytes of lists that programs write, such as places."""
_DEEPEST: Final = 32
_MADE_WITHIN_S: Final = 2.0
_DIGITS: Final = re.compile(r"[0-9][0-9_]{999,}")
_DOTS: Final = re.compile(rf"^[ \t\[]*(?:[\w-]+[ \t]*\.[ \t]*){{{_DEEPEST + 1},}}", re.MULTILINE)
_OPENED: Final = os.O_CLOEXEC | os.O_NONBLOCK  # a pipe that nobody writes to is not waited for


def open_regular(path: Path, *, follow: bool = True) -> BinaryIO:
    """A regular file for reading; `follow`: also behind a link. Raises OSError (EINVAL: a folder, pipe or device), and
    ValueError: a null character in the name."""
    descriptor = os.open(path, os.O_RDONLY | _OPENED | (0 if follow else os.O_NOFOLLOW))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"it is {_kind_of(mode)}, not a file")
    return os.fdopen(descriptor, "rb")


def open_plain(path: Path, failure: type[NetGPTError]) -> BinaryIO:
    """A regular file for reading. Raises `failure`, with the path: there is none, or it is a folder, pipe or device."""
    try:
        return open_regular(path)
    except OSError as error:
        raise failure(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise failure(f"{str(path)!r}: no name of a file") from None


def read_bytes(path: Path, failure: type[NetGPTError], *, most: int = MOST_TEXT) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises `failure`, with the path."""
    with open_plain(path, failure) as file:
        try:
            too_long = os.fstat(file.fileno()).st_size > most
            data = b"" if too_long else file.read(most + 1)
        except OSError as error:
            raise failure(f"{path}: cannot be read: {error.strerror}") from None
    if too_long or len(data) > most:
        raise failure(f"{path}: has more than {most:,} bytes, which is too long for such a file")
    return data


def lines_in(path: Path, failure: type[NetGPTError], *, longest: int = MOST_DATA) -> Iterator[tuple[int, str]]:
    """Numbers and lines of a text. Raises `failure`, with path and line: too long, or not UTF-8."""
    with open_plain(path, failure) as file:
        for number in count(1):
            line = file.readline(longest + 1)
            if not line:
                return
            if len(line) > longest:
                raise failure(f"{path}:{number}: a line of more than {longest:,} bytes")
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise failure(f"{path}:{number}: not UTF-8: save the file as UTF-8") from None


def _kind_of(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def read_text(path: Path, failure: type[NetGPTError], *, most: int = MOST_TEXT) -> str:
    """The same as text. Raises `failure`, with path and line: not UTF-8, or a null character in it."""
    data = read_bytes(path, failure, most=most)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise failure(f"{path}:{line}: not UTF-8: save the file as UTF-8") from None
    if (place := text.find("\0")) >= 0:
        raise failure(f"{path}:{text.count(chr(10), 0, place) + 1}: holds a null character: it is no text")
    return text


def parse_toml(text: str, file: object, failure: type[NetGPTError]) -> dict[str, Any]:
    """The tables of a text. Raises `failure`, with file and line: no TOML, nested too deeply, or an endless number."""
    if endless := _DIGITS.search(text):
        line = text.count("\n", 0, endless.start()) + 1
        raise failure(f"{file}:{line}: a number of {len(endless[0]):,} digits")
    if deep := _DOTS.search(text):
        raise failure(f"{file}:{text.count(chr(10), 0, deep.start()) + 1}: nested more than {_DEEPEST} deep")
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what = str(error)
        place = re.search(r"\(at line (\d+), column \d+\)", what)
        raise failure(f"{file}:{place[1] if place else text.count(chr(10)) + 1}: not valid TOML: {what}") from None
    except (ValueError, RecursionError):
        raise failure(f"{file}:{_deepest_line(text)}: not valid TOML: nested too deeply") from None
    if _depth(found) > _DEEPEST:
        raise failure(f"{file}:{_deepest_line(text)}: nested more than {_DEEPEST} deep")
    return found


def _depth(value: Any) -> int:
    """How deep tables and lists lie in each other, counted up to one more than is allowed."""
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        depth += 1
        level = [inner for each in level for inner in _inner(each)]
    return depth


def _inner(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (each for each in inner if isinstance(each, dict | list))


def _deepest_line(text: str) -> int:
    """The line that opens the most brackets, or names the longest table."""
    lines = text.split("\n")
    return 1 + max(
        range(len(lines)), key=lambda at: max(lines[at].count("["), lines[at].count("{"), lines[at].count("."))
    )


def read_json(path: Path, failure: type[NetGPTError], *, most: int = MOST_DATA) -> Any:
    """A JSON document. Raises `failure`, with the path, and the line where there is one."""
    text = read_text(path, failure, most=most)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise failure(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except ValueError:
        raise failure(f"{path}: not valid JSON: a number of more than 4,000 digits") from None
    except RecursionError:
        raise failure(f"{path}: not valid JSON: nested too deeply") from None


def open_own(path: Path, flags: int, mode: int = 0o600) -> int:
    """A descriptor of a file in the home, which only the user of this process can read and write. Never through a link.

    A file that others could read is closed to them. Raises OSError: among others, it is a link (ELOOP), has a second
    name, is no regular file, or is another user's (EPERM).
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | _OPENED, mode)
    try:
        found = _settled(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EPERM, f"it is {_kind_of(found.st_mode)}, not a file")
        if found.st_uid not in (os.geteuid(), 0):
            raise OSError(errno.EPERM, "it belongs to another user: chown it to the user that runs NetGPT")
        if found.st_nlink > 1:
            raise OSError(errno.EPERM, "it has a second name (a hard link) somewhere else: copy it, and delete both")
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
        elif found.st_mode & 0o027:
            raise OSError(errno.EPERM, "others can read or change it, and it is not ours to close: chmod o=,g-w on it")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _settled(descriptor: int) -> os.stat_result:
    """The file's state. One that is just being made has two names for a moment: its draft's, and its own."""
    until = time.monotonic() + _MADE_WITHIN_S
    while (found := os.fstat(descriptor)).st_nlink > 1 and time.monotonic() < until:
        time.sleep(0.01)
    return found


def why_not(error: OSError) -> str:
    """What an error of `open_own` says."""
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which could lead anywhere: put the file itself there"
    return error.strerror or type(error).__name__


def keep_private(path: Path) -> None:
    """Close a file of the home to others without opening it: SQLite's locks end when any descriptor is closed.

    Nothing happens when there is none. Raises OSError as `open_own` does.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(descriptor)
        if stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, "a link")
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EPERM, f"it is {_kind_of(found.st_mode)}, not a file")
        if found.st_uid not in (os.geteuid(), 0):
            raise OSError(errno.EPERM, "it belongs to another user: chown it to the user that runs NetGPT")
        if found.st_mode & 0o077:
            Path(f"/proc/self/fd/{descriptor}").chmod(0o600)
    finally:
        os.close(descriptor)


def check_home(home: Path, failure: type[NetGPTError]) -> None:
    """Raises `failure`, with the cure: the folder is another user's, or others may write in it or take its place."""
    found = home.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise failure(
            f"{home}: the home is {_kind_of(found.st_mode)}, not a folder. Set NETGPT_HOME to a folder of yours."
        )
    if found.st_uid != os.geteuid():
        raise failure(
            f"{home}: the home folder belongs to another user, who could change everything in it. Run NetGPT as that "
            f"user, or take it over: chown -R {os.geteuid()} {home}"
        )
    if found.st_mode & 0o022:
        raise failure(f"{home}: others may write in the home folder: chmod 700 {home}")
    for folder in home.resolve().parents:
        mode = folder.stat().st_mode
        if mode & 0o002 and not mode & stat.S_ISVTX:
            raise failure(f"{folder}: everybody may write in it, and so put another folder in the place of {home}")
