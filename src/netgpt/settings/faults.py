"""What is wrong with settings, in words: where it stands, what is wrong, what would be right. Values are not echoed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from netgpt.settings.source import GivenSettings, SettingFault, line_of

SHOWN_FAULTS: Final = 20
EVERY_SETTING: Final = "Every setting: `netgpt config show`."
_KINDS: Final = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text, in quotes",
    "tuple_type": "must be a list, in [ ]",
    "list_type": "must be a list, in [ ]",
    "dict_type": "must be a table",
    "path_type": "must be the path of a file, in quotes",
}
"""Plain words for what pydantic says of types."""


class SettingNames:
    """The names of all settings: those at the top, and those of each section or table."""

    def __init__(self, settings: type[BaseModel], tables: Mapping[str, type[BaseModel]]) -> None:
        self.top = list(settings.model_fields)
        self.sections: dict[str, list[str]] = {name: list(table.model_fields) for name, table in tables.items()}
        self.tables = frozenset(tables)
        for name, field in settings.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                self.sections[name] = list(field.annotation.model_fields)

    def near(self, dotted: str) -> str:
        """What was probably meant by a name that is none, as the end of a sentence; empty: nothing is near."""
        section, _, key = dotted.rpartition(".")
        here = self.sections.get(section.partition(".")[0], []) if section else self.top
        if close := difflib.get_close_matches(key, here, 1, cutoff=0.5):
            return f'; did you mean "{close[0]}"?'
        elsewhere = [f"{name}.{key}" for name, names in self.sections.items() if key in names]
        return f"; did you mean {' or '.join(elsewhere[:3])}?" if elsewhere else ""

    def variables(self) -> dict[str, str]:
        """Every variable that is read, by its name with single lines."""
        dotted = [
            *self.top,
            *(f"{s}__{n}" for s, names in self.sections.items() if s not in self.tables for n in names),
        ]
        return {f"NETGPT_{name.upper()}".replace("__", "_"): f"NETGPT_{name.upper()}" for name in dotted}

    def misspelt(self, env: Mapping[str, str], others: Collection[str]) -> Iterator[str]:
        """Variables that look like settings and are passed over, one line each. `others`: NetGPT's that are none."""
        flat = self.variables()
        read = set(flat.values()) | set(others)
        for name in sorted(env):
            loud = name.upper()
            if not loud.startswith("NETGPT_") or name in read or not env[name]:
                continue
            if name == loud and ("__" in name or name.removeprefix("NETGPT_").lower() in self.top):
                continue  # those are read, and refused by their section
            if meant := _meant(loud, flat):
                yield f"{name}: no such setting; did you mean {' or '.join(meant)}?"


def _meant(name: str, flat: Mapping[str, str]) -> list[str]:
    """The variables that such a name was probably meant to be: the same letters, a setting's name without its section,
    or nearly the same letters."""
    if same := flat.get(re.sub("_+", "_", name)):
        return [same]
    key = name.removeprefix("NETGPT_")
    if without_section := [each for each in flat.values() if each.partition("__")[2] == key]:
        return sorted(without_section, key=lambda each: ("CLOUD" not in each, "EDGE" not in each))[:2]
    return [flat[each] for each in difflib.get_close_matches(name, flat, 1, cutoff=0.8)]


def explained(
    error: ValidationError, names: SettingNames, file: Path | None, given: GivenSettings
) -> tuple[str, tuple[SettingFault, ...]]:
    """A line for each fault, and the faults one by one. `file`: the one that was read."""
    found = error.errors(include_url=False)
    faults = tuple(
        SettingFault(".".join(map(str, each["loc"])), _where(each["loc"], names, file, given), _what(each, names))
        for each in found[:SHOWN_FAULTS]
    )
    told = [fault.line for fault in faults]
    if len(found) > SHOWN_FAULTS:
        told.append(f"... and {len(found) - SHOWN_FAULTS} more")
    return "\n".join([*told, EVERY_SETTING]), faults


def _dotted(loc: Sequence[int | str]) -> str:
    """A contradiction between two sections has no place of its own: its text names both."""
    return ".".join(str(part) for part in loc if not isinstance(part, int)) or "settings"


def _where(loc: Sequence[int | str], names: SettingNames, file: Path | None, given: GivenSettings) -> str:
    dotted, from_env = _dotted(loc), given.from_environment
    place = next((part for part in loc if isinstance(part, int)), None) if loc and loc[0] in names.tables else None
    if dotted in from_env:
        return "NETGPT_" + dotted.upper().replace(".", "__")
    if ".".join(map(str, loc)) in from_env:
        return f"the environment (NETGPT_UPSTREAMS__...): {dotted}"
    if below := [name for name in from_env if name.startswith(f"{dotted}.")]:
        return "NETGPT_" + min(below).upper().replace(".", "__")
    line = f":{line_of(given.text, dotted, place)}" if file and dotted != "settings" else ""
    return f"{file}{line}: {dotted}" if file else dotted


def _what(fault: Any, names: SettingNames) -> str:
    dotted, kind, context = _dotted(fault["loc"]), fault["type"], fault.get("ctx") or {}
    if kind == "extra_forbidden":
        return f"no such setting{names.near(dotted)}"
    if kind in ("model_type", "model_attributes_type", "dataclass_type"):
        name = dotted.partition(".")[0]
        first = names.sections.get(name, ["..."])[0]
        variable = f"NETGPT_{name}__{first}".upper()
        return f"is a section: write [{name}] and its settings below, or {variable} and others in the environment"
    if kind == "tuple_type" and dotted in names.tables:
        return f"there may be several: write [[{dotted}]], with two brackets"
    if kind == "literal_error":
        listed = str(context.get("expected", "")).replace("'", '"')
        near = difflib.get_close_matches(str(fault["input"]).casefold(), re.findall(r'"([^"]*)"', listed), 1, 0.5)
        return f"must be {listed}" + (f'; did you mean "{near[0]}"?' if near else "")
    return _KINDS.get(kind) or _plain(fault["msg"])


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "must be")
