"""`netgpt.toml` as a program edits it: comments and layout stay, and it is whole at every moment or as it was.

What is changed is checked as at a start before anything is written. Each change is first noted beside the database
(`settings.history`, 0600): when, by which key, which settings; never what a secret is or was.
"""

from __future__ import annotations

import copy
import difflib
import errno
import fcntl
import hashlib
import json
import logging
import math
import os
import secrets
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError

from netgpt.app.settings_rows import Setting, settings_of, shown, why_not
from netgpt.errors import NotFound, RequestError, SettingsError, StoreError
from netgpt.files import MOST_TEXT, open_own, parse_toml, read_text
from netgpt.files import why_not as cannot
from netgpt.models.download import sync_folder
from netgpt.settings import Settings, gathered, settings_in
from netgpt.settings.source import SECOND_NAMES, GivenSettings, Source, origin_of

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 50
_LONGEST: Final = 10_000
_LARGEST: Final = 2**53
Check = Callable[[Settings], Sequence[str]]
"""What of these settings cannot work, one line each."""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """What is to become of one setting; None: what the default says."""

    setting: Setting
    value: Any


class SettingsFile:
    """The file as it is now: read it anew for each request."""

    def __init__(self, source: Source) -> None:
        """Raises SettingsError: it cannot be read, or is no TOML."""
        self.source = source
        self.path = source.place.expanduser().absolute()
        self.is_there = self.path.exists()
        self.text, self.etag = self._read()
        used = Source(self.path if self.is_there else None, source.home, source.environment, source.overrides)
        self.given: GivenSettings = gathered(self.text, used)
        self.used = used

    def _read(self) -> tuple[str, str]:
        text = read_text(self.path, SettingsError) if self.is_there else ""
        found = self.path.stat() if self.is_there else None
        stamp = f"{found.st_ino} {found.st_mtime_ns}" if found else "none"
        return text, hashlib.sha256(f"{stamp} {text}".encode()).hexdigest()[:24]

    def settings(self) -> Settings:
        """What a start now would have. Raises SettingsError, with `faults`."""
        return settings_in(self.given, self.used)

    def changes(self, wanted: Mapping[str, Any], known: Settings) -> list[SettingChange]:
        """These values by the settings' names. Raises RequestError that names the setting, and NotFound."""
        if len(wanted) > MOST_AT_ONCE:
            raise RequestError(f"at most {MOST_AT_ONCE} settings are changed at once", param="set")
        settings = {each.name: each for each in settings_of(known)}
        found = []
        for name, value in wanted.items():
            if name not in settings:
                near = difflib.get_close_matches(name[:200], settings, 1, cutoff=0.6)
                hint = f'; did you mean "{near[0]}"?' if near else ""
                raise NotFound(f"no such setting{hint}", param="set")
            setting = settings[name]
            kind = origin_of(name, self.given, self.used, setting.place).kind
            if (hand := why_not(setting, kind)) is not None:
                raise RequestError(f"{name}: {hand}", param=name, code="not_editable", status=409)
            if value is not None and (wrong := _odd(setting, value, known)):
                raise RequestError(f"{name}: {wrong}", param=name, code="invalid_setting")
            found.append(SettingChange(setting, value))
        return found

    def edited(self, changes: Sequence[SettingChange], known: Settings, check: Check) -> str:
        """The text of the file with these changes, which was checked as at a start. What `known` cannot do either is
        no fault of theirs.

        Raises RequestError: a value is wrong, with the setting's name and the reason.
        """
        try:
            document = tomlkit.parse(self.text)
            expected = copy.deepcopy(self.given.in_file)
            for change in changes:
                for tree in (document, expected):
                    _put(tree, change)
            text = tomlkit.dumps(document)
        except (TOMLKitError, LookupError, TypeError, ValueError, AttributeError):
            raise _by_hand() from None
        if len(text.encode()) > MOST_TEXT:
            raise RequestError(f"the file would have more than {MOST_TEXT:,} bytes", param="set")
        names = [change.setting.name for change in changes]
        try:
            if parse_toml(text, self.path, SettingsError) != expected:
                raise _by_hand()
            new = settings_in(gathered(text, self.used), self.used)
        except SettingsError as error:
            raise _refusal(error, names, self.path) from None
        before = set(check(known))
        if wrong := [line for line in check(new) if line not in before]:
            name = next((name for name in names if any(line.startswith(name) for line in wrong)), names[0])
            reason = "; ".join(wrong)
            raise RequestError(reason if name in reason else f"{name}: {reason}", param=name, code="invalid_setting")
        return text

    def keep(self, text: str, changes: Sequence[SettingChange], by: str, home: Path) -> None:
        """Write the text in the place of the file. Raises RequestError (412): somebody changed it meanwhile, and
        StoreError: it cannot be written; the file is as it was then."""
        place = self.path.resolve()  # what the owner put a link to stays where it is
        draft = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            with _alone(home):
                _write(draft, text)
                if SettingsFile(self.source).etag != self.etag:
                    raise changed_meanwhile()
                _note(home, [_noted(change, self) for change in changes], by)
                draft.replace(place)
                sync_folder(place.parent)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            message = f"{self.path}: cannot be written: {cannot(error)}. Nothing was changed; edit it by hand"
            raise StoreError(message, code="not_writable", status=507 if full else 409) from None
        finally:
            draft.unlink(missing_ok=True)
        log.warning("settings: %s changed by %s", ", ".join(change.setting.name for change in changes), by)


def changed_meanwhile() -> RequestError:
    """The file is not the one that was looked at."""
    return RequestError(
        "the settings were changed meanwhile, here or by hand: look at them again, then change them",
        code="changed_meanwhile", param="if-match", status=412,
    )  # fmt: skip


def _by_hand() -> RequestError:
    return RequestError(
        "the file is laid out in a way that only people can edit without harm: change it by hand", param="set",
        code="not_editable", status=409,
    )  # fmt: skip


def _refusal(error: SettingsError, names: Sequence[str], path: Path) -> RequestError:
    """The error of the whole file, about what was changed where it is."""
    faults = error.faults
    for fault in faults:
        for name in names:
            section = name.rpartition(".")[0]
            if fault.name and (_last(fault.name) == _last(name) or section == fault.name):
                return RequestError(f"{name}: {fault.what}", param=name, code="invalid_setting")
    if faults and not faults[0].name:
        return RequestError(f"{names[0]}: {faults[0].what}", param=names[0], code="invalid_setting")
    lines = error.message.splitlines()
    return RequestError(
        f"the file has another fault, so nothing is kept: {lines[0]}", param="set", code="file_is_wrong", status=409
    )


def _last(name: str) -> str:
    words = [part for part in name.split(".") if not part.isdigit()]
    return ".".join(words[-2:]) if words[0] != "upstreams" else words[-1]


def _odd(setting: Setting, value: Any, known: Settings) -> str | None:
    """What is wrong with a value before the file is asked: it is of another type, or no text that people write."""
    form = setting.form
    allowed = form.get("enum")
    if allowed is not None:
        fits = any(value == each and isinstance(value, type(each)) for each in allowed)
        return None if fits else f"must be one of {', '.join(map(str, allowed))}"
    kind = form.get("type", "string")
    types: Mapping[str, tuple[type, ...]] = {
        "boolean": (bool,), "integer": (int,), "number": (int, float), "array": (list,), "object": (dict,),
        "any": (bool, int, float, str),
    }  # fmt: skip
    if not isinstance(value, types.get(kind, (str,))) or (isinstance(value, bool) and kind not in ("boolean", "any")):
        return f"must be {_NAMES.get(kind, 'a text')}"
    if isinstance(value, int | float) and (abs(value) > _LARGEST or not math.isfinite(value)):
        return "is no number that a setting can have"
    parts = value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else [value]
    if len(parts) > 1_000 or not all(isinstance(part, str) for part in parts if part is not value):
        return "must hold texts, at most 1,000"
    texts = [part for part in parts if isinstance(part, str)]
    if any(len(text) > _LONGEST or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text) for text in texts):
        return f"texts have at most {_LONGEST:,} characters, and no control characters"
    if any("<hidden>" in text for text in texts):
        return "what is hidden is not written back: give the whole value"
    return None


_NAMES: Final = {
    "boolean": "true or false", "integer": "a whole number", "number": "a number", "array": "a list of texts",
    "object": "names with texts",
}  # fmt: skip


def _put(tree: Any, change: SettingChange) -> None:
    """Set or take away one value in a document, or in the plain values that it stands for."""
    *sections, key = change.setting.path
    for part in sections:
        if isinstance(part, str) and part not in tree:
            if change.value is None:
                return
            tree[part] = tomlkit.table() if isinstance(tree, tomlkit.container.Container | tomlkit.items.Item) else {}
        tree = tree[part]
    names = [each for each in (str(key), SECOND_NAMES.get(str(key), "")) if each in tree]
    if change.value is None:
        for each in names:
            del tree[each]
    else:
        tree[names[0] if names else str(key)] = change.value


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """For a block, nobody else of this home changes settings: other processes and threads wait."""
    descriptor = open_own(home / "settings.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(draft: Path, text: str) -> None:
    with os.fdopen(open_own(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _noted(change: SettingChange, file: SettingsFile) -> dict[str, Any]:
    setting = change.setting
    if setting.is_secret:
        return {"name": setting.name, "what": "taken away" if change.value is None else "set"}
    return {"name": setting.name, "what": "default" if change.value is None else shown(setting, change.value)[0]}


def _note(home: Path, changes: Sequence[Mapping[str, Any]], by: str) -> None:
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "by": by, "changes": changes}
    with os.fdopen(open_own(_history(home), os.O_WRONLY | os.O_CREAT | os.O_APPEND), "wb") as file:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _history(home: Path) -> Path:
    return home / "settings.history"


def history(home: Path, most: int = 50) -> list[dict[str, Any]]:
    """The last changes, newest first: time, key, settings. Raises StoreError: the record cannot be read."""
    path = _history(home)
    if not path.exists():
        return []
    found: deque[dict[str, Any]] = deque(maxlen=most)
    try:
        with os.fdopen(open_own(path, os.O_RDONLY), encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    found.appendleft(json.loads(line))
                except ValueError:
                    continue  # a line that a power cut left
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {cannot(error)}") from None
    return list(found)
