"""Where settings came from: the file and its lines, variables of the environment, the command line; and reading them
again, from the file as it is now or from a text that is not yet one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

FILE_NAME = "netgpt.toml"


class SettingFault(NamedTuple):
    """What is wrong with one setting: its dotted name (empty: a contradiction of several), where it stands, and what
    would be right. No values."""

    name: str
    where: str
    what: str

    @property
    def line(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings were read from. Two sources are never what tells settings apart."""

    file: Path | None = field(compare=False)
    """The file in use; None: there is none."""
    home: Path = field(compare=False)
    environment: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    """What the settings were read with; None: the environment of the process."""
    overrides: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What the command line said."""

    @property
    def place(self) -> Path:
        """The file, or where one would be looked for."""
        return self.file or self.home / FILE_NAME


class ValueOrigin(NamedTuple):
    """Where a value stands: "default", "file" (with its line), "environment" (with the variable) or "command line"."""

    kind: str
    where: str = ""
    line: int | None = None


class GivenSettings(NamedTuple):
    """What was said of the settings, before it is checked."""

    values: dict[str, Any]
    """All of it, merged."""
    in_file: dict[str, Any]
    from_environment: frozenset[str]
    """Dotted names; those of upstreams with the number of their table."""
    from_others: Mapping[str, str]
    """Dotted names, and the variable of another program that said it."""
    text: str


def origin_of(name: str, given: GivenSettings, source: Source, place: str | None = None) -> ValueOrigin:
    """Where the value of a setting stands. `place`: its name with the number of its table, `upstreams.0.base_url`."""
    if _stands_in(name, source.overrides):
        return ValueOrigin("command line", "an option of the command that started the box")
    for each in (place or name, *_beside(place or name)):
        if any(written == each or written.startswith(f"{each}.") for written in given.from_environment):
            return ValueOrigin("environment", variable_of(name))
    if name in given.from_others:
        return ValueOrigin("environment", given.from_others[name])
    table = int(place.split(".")[1]) if place else None
    inner = name.split(".", 2)[2] if place else ""
    section = name.split(".")[0]
    if place and table is not None:
        tables = given.in_file.get(section, [])
        written = [each for each in (inner, *_beside(inner)) if table < len(tables) and each in tables[table]]
        line = line_of(given.text, f"{section}.{written[0]}", table) if written else None
        return ValueOrigin("file", str(source.file), line) if written else _DEFAULT
    for each in (name, *_beside(name)):
        if _stands_in(each, given.in_file):
            return ValueOrigin("file", str(source.file), line_of(given.text, each))
    return _DEFAULT


_DEFAULT = ValueOrigin("default")
SECOND_NAMES: Mapping[str, str] = {"timeout_s": "timeout", "origins": "allowed_origins"}
"""Settings that may be written with another name, too."""


def _beside(name: str) -> tuple[str, ...]:
    section, _, last = name.rpartition(".")
    other = SECOND_NAMES.get(last)
    return (f"{section}.{other}" if section else other,) if other else ()


def variable_of(name: str) -> str:
    """The variable of the environment that sets this.

    >>> variable_of("upstreams.other-eu.api_key")
    'NETGPT_UPSTREAMS__OTHER_EU__API_KEY'
    """
    return "NETGPT_" + name.upper().replace("-", "_").replace(".", "__")


def _stands_in(name: str, values: Any) -> bool:
    for part in name.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


_HEADER = re.compile(r"(\[\[?)([^\[\]]+)\]")
_KEY = re.compile(r"[\w.\"' \t-]+")
_LONGEST = 500
"""Characters of a line; longer ones begin with no name that people write."""


def line_of(text: str, name: str, table: int | None = None) -> int:
    """The line of the file that holds this setting; its section's, or 1, where it cannot be found.

    `table`: which of the tables of an array (`[[upstreams]]`), from 0.

    >>> line_of("[server]\\nport = 1\\n[routing]\\nweights.cost = 2", "routing.weights.cost")
    4
    """
    best, found, current, seen = 0, 1, "", -1
    array = name.partition(".")[0] if table is not None else ""
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if len(line) > _LONGEST:
            continue
        if header := _HEADER.match(line):
            current = _plain(header[2])
            seen += header[1] == "[[" and current == array
            here = current
        elif "=" in line and (key := _KEY.fullmatch(line.partition("=")[0])):
            here = f"{current}.{_plain(key[0])}".lstrip(".")
        else:
            continue
        is_there = name == here or name.startswith(f"{here}.")
        if is_there and len(here) > best and (not array or seen == table):
            best, found = len(here), number
    return found


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
