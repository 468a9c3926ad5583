"""The settings one by one, for people who look at them: value, default, where it was said, what may be done about it.

No secret is in any row: whether one is set is all that is told, and addresses lose what may be a password in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from netgpt.settings import TABLES, Settings
from netgpt.settings.source import GivenSettings, Source, origin_of, variable_of

RELOADED: Final = frozenset(
    {"log_level", "models.aliases", "server.tls_cert", "server.tls_key"}
    | {f"server.{name}" for name in (
        "origins", "max_body_bytes", "max_head_bytes", "max_headers", "max_target_bytes", "head_timeout_s",
        "body_timeout_s", "min_body_rate", "keep_alive_s", "drain_s", "comment_s",
    )}
)  # fmt: skip
"""Settings that a box which runs takes. All others are built into the parts of a gateway, and count from its start."""
OPERATORS: Final = (
    "log_level", "completion.mode", "completion.max_facts", "completion.placement", "completion.timeout_s",
    "constraints.", "proposals.", "site.", "routing.", "signals.", "adapters.", "waiting.", "edge.context_tokens",
    "edge.slots", "edge.threads", "edge.max_tokens", "edge.timeout_s", "edge.thinking", "encoder.max_tokens",
    "training.memory_mb", "training.threads", "training.min_examples", "training.max_examples", "server.max_",
    "server.head_timeout_s", "server.body_timeout_s", "server.min_body_rate", "server.keep_alive_s",
    "server.deadline_s", "server.drain_s", "server.comment_s",
)  # fmt: skip
"""Beginnings of the names of what cannot let anything out, nor anybody in. All others, those that are yet to come among
them, are changed by an admin who says so twice."""
BY_HAND: Final[Mapping[str, str]] = {
    "home": "everything of the box lies there",
    "tools": "it names programs that the box runs, and what they are given",
    "plugins": "it decides which code of other packages runs",
    "workflow": "it takes steps out of the way of a request",
    "store.key": "the key of all that is sealed is not sent over the network: `netgpt store rotate`",
    "store.key_command": "it names a program that the box runs",
    "store.head": "it guards the database against whoever can change settings",
    "headers": "its values may name files of the box, which would leave it",
    "radio_token_file": "it names a file of the box, which would leave it",
    "quality_token_file": "it names a file of the box, which would leave it",
}
"""What is changed in the file alone, and why: by section, dotted name or last word."""
_PROGRAMS: Final = ("key_command", "command")
_HOSTS_ALONE: Final = ("head", "url")
"""Last words of settings whose arguments, and whose paths, may be passwords."""
_HIDDEN: Final = "<hidden>"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted name, where its value is in the tree (numbers are of tables), and what it takes."""

    name: str
    path: tuple[str | int, ...]
    field: FieldInfo
    form: Mapping[str, Any]
    """JSON schema: type, enum, minimum, maximum, pattern, items; `nullable`."""

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def place(self) -> str | None:
        """The name with the number of its table; None: it is in none."""
        return ".".join(map(str, self.path)) if any(isinstance(part, int) for part in self.path) else None

    @property
    def is_secret(self) -> bool:
        inner = self.form.get("additionalProperties")
        return "password" in (self.form.get("format"), inner.get("format") if isinstance(inner, dict) else None)

    @property
    def needs_admin(self) -> bool:
        return not self.name.startswith(OPERATORS)

    def of(self, settings: Any) -> Any:
        """Its value."""
        for part in self.path:
            settings = settings[part] if isinstance(part, int) else getattr(settings, part)
        return settings


def settings_of(settings: Settings) -> Iterator[Setting]:
    """Every setting, those of the tables `[[upstreams]]` and `[[tools]]` by the names of these."""
    for name, field in Settings.model_fields.items():
        if name in TABLES:
            for number, each in enumerate(getattr(settings, name)):
                yield from _inner(TABLES[name], f"{name}.{each.name}", (name, number))
        elif _is_section(field.annotation):
            yield from _inner(field.annotation, name, (name,))
        else:
            yield Setting(name, (name,), field, _forms(Settings)[name])


def _inner(model: Any, name: str, path: tuple[str | int, ...]) -> Iterator[Setting]:
    for key, field in model.model_fields.items():
        if _is_section(field.annotation):
            yield from _inner(field.annotation, f"{name}.{key}", (*path, key))
        else:
            yield Setting(f"{name}.{key}", (*path, key), field, _forms(model)[key])


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@cache
def _forms(model: type[BaseModel]) -> Mapping[str, Mapping[str, Any]]:
    schema = model.model_json_schema(by_alias=False)
    known = schema.get("$defs", {})
    return {name: _form(field, known) for name, field in schema["properties"].items()}


def _form(schema: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(schema)
    if "$ref" in found:
        found |= known[found.pop("$ref").rpartition("/")[2]]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if "anyOf" in found:
        given = found.pop("anyOf")
        inner = [_form(each, known) for each in given if each.get("type") != "null"]
        found |= (inner[0] if len(inner) == 1 else _either(inner)) | (
            {"nullable": True} if len(inner) < len(given) else {}
        )
    for part in ("items", "additionalProperties"):
        if isinstance(found.get(part), dict):
            found[part] = _form(found[part], known)
    return {name: value for name, value in found.items() if name in _SHOWN}


def _either(forms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What takes one of several: their choices where each is a choice, else anything that they share a word for."""
    choices = [each.get("enum") or ([True, False] if each.get("type") == "boolean" else None) for each in forms]
    if all(choices):
        return {"enum": [value for each in choices if each for value in each]}
    return {"type": "any"}


_SHOWN: Final = (
    "type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "minLength", "pattern",
    "format", "items", "additionalProperties", "nullable",
)  # fmt: skip


def shown(setting: Setting, value: Any) -> tuple[Any, bool]:
    """The value as it may be seen, and whether something of it is left out."""
    if setting.is_secret or isinstance(value, SecretStr):
        return None, bool(value)
    plain = to_jsonable_python(value)
    if setting.last in _PROGRAMS and plain:
        return [plain[0], _HIDDEN] if len(plain) > 1 else plain, len(plain) > 1
    if isinstance(plain, str) and "://" in plain:
        safe = _address(plain, host_alone=setting.last in _HOSTS_ALONE)
        return safe, safe != plain
    return plain, False


_USER: Final = re.compile(r"//[^/@\s]*@")


def _address(url: str, *, host_alone: bool) -> str:
    """An address without a name and password in it, and without its question, which may hold a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _HIDDEN
    end = f"/{_HIDDEN}" if host_alone and parts.path.strip("/") else parts.path
    question = f"?{_HIDDEN}" if parts.query or parts.fragment else ""
    return _USER.sub(f"//{_HIDDEN}@", f"{parts.scheme}://{parts.netloc}{end}{question}")


def by_hand(setting: Setting) -> str | None:
    """Why it is changed in the file alone; None: it may be changed here."""
    section = setting.name.partition(".")[0]
    why = next((BY_HAND[each] for each in (section, setting.name, setting.last) if each in BY_HAND), None)
    if why is None and setting.place is not None and setting.last == "name":
        why = "it is what the table is called by"
    return why


def why_not(setting: Setting, kind: str) -> str | None:
    """Why it cannot be changed here, where its value was said by `kind` of origin; None: it can."""
    if kind == "environment":
        return "the environment of the box sets it, which counts more than the file: change it there"
    if kind == "command line":
        return "the command that started the box sets it, which counts more than the file: change it there"
    if (hand := by_hand(setting)) is not None:
        return f"only in the file: {hand}"
    return None


def rows(wanted: Settings, running: Settings, given: GivenSettings, source: Source) -> list[dict[str, Any]]:
    """A row for each setting as a start now would have it. `running`: the settings that count now."""
    now = {each.name: each.of(running) for each in settings_of(running)}
    return [_row(each, each.of(wanted), now, given, source) for each in settings_of(wanted)]


def _row(setting: Setting, value: Any, now: Mapping[str, Any], given: GivenSettings, source: Source) -> dict[str, Any]:
    origin = origin_of(setting.name, given, source, setting.place)
    visible, hidden = shown(setting, value)
    default = None if setting.field.is_required() else setting.field.get_default(call_default_factory=False)
    waits = setting.name not in now or now[setting.name] != value
    hand = why_not(setting, origin.kind)
    return {
        "name": setting.name, "section": setting.name.rpartition(".")[0], "value": visible, "hidden": hidden,
        "secret": setting.is_secret, "default": None if setting.is_secret else to_jsonable_python(default),
        "about": setting.field.description or "", "form": dict(setting.form),
        "origin": {"kind": origin.kind, "where": origin.where or None, "line": origin.line},
        "variable": variable_of(setting.name), "differs": origin.kind != "default" and not _same(value, default),
        "at_once": setting.name in RELOADED, "waits": waits,
        "now": shown(setting, now[setting.name])[0] if waits and setting.name in now else None,
        "editable": hand is None, "why_not": hand, "admin": setting.needs_admin, "fault": None,
    }  # fmt: skip


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, Path) and isinstance(default, Path):
        return value == default.expanduser()
    return bool(value == default)


def sections() -> list[dict[str, str]]:
    """The sections in their order, with what each is about."""
    found = [{"name": "", "about": "Everything else."}]
    for name, field in Settings.model_fields.items():
        model = TABLES.get(name) or field.annotation
        if _is_section(model):
            found.append({"name": name, "about": (model.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")})
    return found


def changed_names(old: Settings, new: Settings) -> list[str]:
    """The dotted names of the settings that differ. No values: some are secrets."""
    return sorted(_differing(dict(old), dict(new), ""))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name in old.keys() | new.keys():
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            yield from _differing(dict(before), dict(after), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def fault_of(lines: Sequence[str], name: str) -> str | None:
    """The line of what is wrong that is about this setting."""
    return next((line for line in lines if line.startswith((f"{name}:", f"{name} "))), None)
