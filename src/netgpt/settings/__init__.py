"""All settings: `netgpt.toml`, then the environment. The only reader of the environment.

Precedence: defaults < `netgpt.toml` < environment (`NETGPT_CLOUD__BASE_URL`: sections joined by `__`).
The file is `$NETGPT_CONFIG`, else `./netgpt.toml`, else `$NETGPT_HOME/netgpt.toml`; none is a normal state.
A wrong setting is a `SettingsError` that names the file, the line and what would be right.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from netgpt.errors import SettingsError
from netgpt.files import parse_toml, read_text
from netgpt.registry import leave_out
from netgpt.settings.environment import environment_proxy, read_headers
from netgpt.settings.faults import SettingNames, explained
from netgpt.settings.routing import Insights, Routing, SignalsSection, Upstream, WaitingSettings
from netgpt.settings.sections import (
    MODEL_FOLDERS,
    Adapters,
    Cloud,
    Completion,
    ConstraintSettings,
    Edge,
    EncoderSection,
    FleetSettings,
    LockoutSettings,
    ModelSources,
    Oidc,
    PluginSettings,
    PolicySection,
    Privacy,
    Proposals,
    Server,
    Site,
    StoreSettings,
    TrainingSettings,
    WorkflowSettings,
)
from netgpt.settings.source import FILE_NAME, GivenSettings, Source, line_of
from netgpt.settings.tools import McpSettings, ToolServer


class Settings(BaseModel):
    """Everything that an owner can set. Immutable; secrets are masked in `repr`."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    home: Path = Field(Path("~/.netgpt"), description="Where weights, keys and the database live (0700).")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    server: Server = Server()
    oidc: Oidc = Oidc()
    lockout: LockoutSettings = LockoutSettings()
    edge: Edge = Edge()
    models: ModelSources = ModelSources()
    encoder: EncoderSection = EncoderSection()
    cloud: Cloud = Cloud()
    site: Site = Site()
    completion: Completion = Completion()
    constraints: ConstraintSettings = ConstraintSettings()
    proposals: Proposals = Proposals()
    privacy: Privacy = Privacy()
    policy: PolicySection = PolicySection()
    routing: Routing = Routing()
    upstreams: tuple[Upstream, ...] = Field(
        (), description="More models elsewhere, beside [cloud]: a table [[upstreams]] for each."
    )
    signals: SignalsSection = SignalsSection()
    insights: Insights = Insights()
    mcp: McpSettings = McpSettings()
    tools: tuple[ToolServer, ...] = Field(
        (), description="Servers of tools behind the box (Model Context Protocol): a table [[tools]] for each."
    )
    store: StoreSettings = StoreSettings()
    waiting: WaitingSettings = WaitingSettings()
    adapters: Adapters = Adapters()
    training: TrainingSettings = TrainingSettings()
    fleet: FleetSettings = FleetSettings()
    workflow: WorkflowSettings = WorkflowSettings()
    plugins: PluginSettings = PluginSettings()
    _source: Source | None = PrivateAttr(None)

    @property
    def source(self) -> Source | None:
        """Where they were read from; None: they were made in a program."""
        return self._source

    @model_validator(mode="after")
    def _rules_that_bind(self) -> Self:
        """A trusted cloud gets texts unmasked: strict rules could not keep their promise. And somebody must answer."""
        if self.edge.is_off and not self.remotes:
            raise ValueError('edge.model = "off" and no cloud: nobody could answer; set cloud.base_url, or edge.model')
        for name, remote in (("cloud", self.cloud), *((f"upstreams.{each.name}", each) for each in self.upstreams)):
            if remote.trusted and self.policy.set in ("strict", "health"):
                raise ValueError(
                    f'{name}.trusted = true sends texts as they are, which policy.set = "{self.policy.set}" forbids: '
                    'set one to false, or the other to "balanced"'
                )
        return self

    @field_validator("upstreams", "tools")
    @classmethod
    def _unique_names(cls, value: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        names = [each.name for each in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f'two {info.field_name} are called "{twice[0]}": each needs a name of its own')
        return value

    @property
    def remotes(self) -> dict[str, Cloud]:
        """What may be asked elsewhere, by the target's name: "cloud" first where there is one, then the upstreams."""
        cloud = {"cloud": self.cloud} if self.cloud.base_url is not None else {}
        return cloud | {each.name: each for each in self.upstreams}

    @field_validator("home")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @property
    def database(self) -> Path:
        """The file that SQLite keeps, where `store.url` names no server."""
        return self.home / "netgpt.db"

    @property
    def has_store(self) -> bool:
        """Whether a store was made already, or a server is named for it."""
        return self.store.url is not None or self.database.exists()

    @property
    def adapters_dir(self) -> Path:
        return self.home / "adapters"

    @property
    def training_dir(self) -> Path:
        return self.home / "training"

    @property
    def head_file(self) -> Path | None:
        """Where the head of the database is noted; None: not in a file."""
        kind, _, path = self.store.head.partition(":")
        return self.home / Path(path).expanduser() if kind == "file" else None

    @property
    def log_file(self) -> Path:
        return self.home / "netgpt.log"

    @property
    def key_file(self) -> Path:
        return self.home / "secret.key"


def load_settings(file: Path | None = None, environment: dict[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings, and leave out the plug-ins that they turn off.

    `overrides` are sections or values that beat file and environment (`home=...`).

    Raises SettingsError: no such file, not TOML, unknown or wrong setting; with file, line and cure.
    """
    env = dict(os.environ) if environment is None else environment
    path = _find_file(file, env)
    home = Path(overrides.get("home") or env.get("NETGPT_HOME", "~/.netgpt")).expanduser()
    source = Source(path, home, environment, overrides)
    settings = settings_in(gathered(read_text(path, SettingsError) if path else "", source), source)
    leave_out(settings.plugins.off)
    return settings


def gathered(text: str, source: Source) -> GivenSettings:
    """What this text of a file says together with the environment and the command line, before it is checked.

    Raises SettingsError: not TOML.
    """
    env = dict(os.environ) if source.environment is None else dict(source.environment)
    in_file = parse_toml(text, source.file, SettingsError)
    values = copy.deepcopy(in_file)
    others = _merge_other_programs(values, env)
    given = _from_environment(env)
    origins = _merge_upstreams(values, given.pop("upstreams", None)) | _merge(values, given)
    for name, value in source.overrides.items():
        _merge(values, {name: value})
    read_headers(values, env)
    return GivenSettings(values, in_file, frozenset(origins), others, text)


def settings_in(given: GivenSettings, source: Source) -> Settings:
    """The settings that this makes. Raises SettingsError: unknown or wrong ones; `faults` of it names each."""
    try:
        settings = Settings.model_validate(given.values)
    except ValidationError as error:
        told, faults = explained(error, SettingNames(Settings, TABLES), source.file, given)
        raise SettingsError(told, faults=faults) from None
    env = dict(os.environ) if source.environment is None else dict(source.environment)
    for remote in settings.remotes.values():
        remote.found_in(environment_proxy(env, remote.base_url or ""))
    settings._source = source
    return settings


def file_in_use() -> Path | None:
    """The file that is read where none is named; None: there is none. Raises SettingsError: see NETGPT_CONFIG."""
    return _find_file(None, dict(os.environ))


def _find_file(file: Path | None, env: dict[str, str]) -> Path | None:
    named = file or (Path(env["NETGPT_CONFIG"]) if env.get("NETGPT_CONFIG") else None)
    if named is not None:
        if not named.exists():
            raise SettingsError(f"{named}: no such settings file. Create it, or leave the option out.")
        return named
    home = Path(env.get("NETGPT_HOME", "~/.netgpt")).expanduser()
    for candidate in (Path(FILE_NAME), home / FILE_NAME):
        if candidate.exists():
            return candidate
    return None


def _from_environment(env: dict[str, str]) -> dict[str, Any]:
    """`NETGPT_CLOUD__BASE_URL=x` -> `{"cloud": {"base_url": "x"}}`; an empty value means "not set"."""
    values: dict[str, Any] = {}
    for name, value in env.items():
        if not name.startswith("NETGPT_") or name in OTHER_VARIABLES or value == "":
            continue
        *sections, key = name.removeprefix("NETGPT_").lower().split("__")
        if not sections and key not in Settings.model_fields:
            continue  # NETGPT_ANYTHING of other tools is not ours to refuse
        target = values
        for section in sections:
            target = target.setdefault(section, {})
        if sections[-1:] == ["headers"]:
            key = key.replace("_", "-")  # names of variables have no dashes
        target[key] = value.split(",") if key in ("stages", "sensitive_kinds", "arms", "off") else value
    return values


OTHER_VARIABLES = frozenset(("NETGPT_CONFIG", "NETGPT_KEY"))
"""Variables of NetGPT's that are no settings: the file of the settings, and a caller's key for commands."""


def misspelt_variables(env: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are passed over, one line each with the right name.

    >>> misspelt_variables({"NETGPT_SERVER_PORT": "8080", "NETGPT_SERVER__PORT": "8080"})
    ['NETGPT_SERVER_PORT: no such setting; did you mean NETGPT_SERVER__PORT?']
    """
    return list(SettingNames(Settings, TABLES).misspelt(env, OTHER_VARIABLES))


def where_is(dotted: str, file: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Where a setting stands, for messages: its variable, or the file with its line, and the name."""
    env = dict(os.environ) if environment is None else dict(environment)
    if env.get(variable := "NETGPT_" + dotted.upper().replace(".", "__")):
        return variable
    path = _find_file(file, env)
    return f"{path}:{line_of(read_text(path, SettingsError), dotted)}: {dotted}" if path else dotted


def _merge_other_programs(values: dict[str, Any], env: dict[str, str]) -> dict[str, str]:
    """What Hugging Face's programs and Ollama are told, where the file says nothing: hub, token, folders of models.

    The settings that were set so, and the variables that said it.
    """
    models = values.setdefault("models", {})
    if not isinstance(models, dict):
        return {}
    said: dict[str, tuple[Any, str]] = {}
    if hub := env.get("HF_ENDPOINT"):
        said["hub"] = (hub if "://" in hub else f"https://{hub}", "HF_ENDPOINT")
    if token := env.get("HF_TOKEN"):
        said["token"] = (token, "HF_TOKEN")
    folders = {name: f"{env[name]}{'/hub' if name == 'HF_HOME' else ''}" for name in FOLDER_VARIABLES if env.get(name)}
    if folders:
        said["found_in"] = ((*folders.values(), *MODEL_FOLDERS), ", ".join(folders))
    new = {name: found for name, found in said.items() if name not in models}
    models.update({name: value for name, (value, _) in new.items()})
    return {f"models.{name}": variable for name, (_, variable) in new.items()}


FOLDER_VARIABLES = ("OLLAMA_MODELS", "HF_HUB_CACHE", "HF_HOME")
"""Where other programs are told to keep models."""


def _merge(base: dict[str, Any], top: dict[str, Any], prefix: str = "") -> set[str]:
    """Write `top` over `base`, section by section; return the dotted names written."""
    written: set[str] = set()
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            written |= _merge(base[key], value, f"{prefix}{key}.")
        else:
            base[key] = value
            written |= {f"{prefix}{key}.{k}" for k in value} if isinstance(value, dict) else {f"{prefix}{key}"}
    return written


def _merge_upstreams(values: dict[str, Any], given: Any) -> set[str]:
    """Write the environment's upstreams over the file's of the same name, or after them.

    Names of variables have no dashes: `NETGPT_UPSTREAMS__OTHER_EU__API_KEY` is for "other-eu".
    """
    if given is None:
        return set()
    if not isinstance(given, dict) or not all(isinstance(fields, dict) for fields in given.values()):
        raise SettingsError("NETGPT_UPSTREAMS: name the upstream and the setting: NETGPT_UPSTREAMS__OTHER__API_KEY")
    known = values.setdefault("upstreams", [])
    if not isinstance(known, list):
        return set()
    written = set()
    for variable, fields in given.items():
        name = variable.replace("_", "-")
        place = next((i for i, each in enumerate(known) if isinstance(each, dict) and each.get("name") == name), None)
        if place is None:
            place = len(known)
            known.append({"name": name})
            written |= {f"upstreams.{place}.{field}" for field in Upstream.model_fields}
        known[place].update(fields)
        written |= {f"upstreams.{place}.{field}" for field in fields}
    return written


TABLES: dict[str, Any] = {"upstreams": Upstream, "tools": ToolServer}
"""Settings of which there are several, each a table of its own."""
