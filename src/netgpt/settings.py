"""All settings: `netgpt.toml`, then the environment. The only reader of the environment.

Precedence: defaults < `netgpt.toml` < environment (`NETGPT_CLOUD__BASE_URL`: sections joined by `__`).
The file is `$NETGPT_CONFIG`, else `./netgpt.toml`, else `$NETGPT_HOME/netgpt.toml`; none is a normal state.
A wrong setting is a `SettingsError` that names the file, the line and what would be right.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from netgpt.errors import SettingsError

__all__ = ["DEFAULT_STAGES", "Settings", "load_settings"]

DEFAULT_STAGES = (
    "identify",
    "recall",
    "complete",
    "desensitize",
    "route",
    "generate",
    "restore",
    "record",
)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    """The HTTP door."""

    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback only when keys exist.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    max_body_bytes: int = Field(4_000_000, ge=1_000, description="Largest request body accepted.")
    max_concurrency: int = Field(64, ge=1, description="Requests in work at once; more are told to wait (429).")
    deadline_s: float = Field(300.0, gt=0, description="No request lives longer than this, in seconds.")


class Edge(Section):
    """The model on the box."""

    base_url: str | None = Field(
        None, description="An OpenAI-compatible server (Ollama, vLLM) to use instead of the built-in engine."
    )
    api_key: SecretStr | None = Field(None, description="Key of that server.")
    model: str = Field(
        "smollm2-135m", description="Catalogue name or path of a GGUF file; with base_url, the server's model name."
    )
    context_tokens: int = Field(4096, ge=256, description="Context per slot of the built-in engine, in tokens.")
    slots: int = Field(4, ge=1, le=64, description="Answers that the engine generates at once.")
    threads: int = Field(0, ge=0, description="CPU threads of the engine; 0: one per physical core.")
    max_tokens: int = Field(512, ge=1, description="Longest answer of the edge when the request names none.")
    timeout_s: float = Field(60.0, gt=0, description="Seconds without a byte before the edge counts as stalled.")


class Cloud(Section):
    """The model elsewhere: any OpenAI-compatible endpoint. No `base_url`: the box answers alone."""

    base_url: str | None = Field(None, description='Such as "https://cloud.example/v1".')
    api_key: SecretStr | None = Field(None, description="Sent as the bearer; never logged.")
    model: str = Field("gpt-4o-mini", description="Model name sent to the cloud.")
    timeout_s: float = Field(
        30.0, gt=0, alias="timeout", description="Seconds without a byte before the cloud counts as stalled."
    )
    connect_timeout_s: float = Field(5.0, gt=0, description="Seconds to open a connection.")
    retries: int = Field(2, ge=0, le=10, description="Tries after the first, only before any byte of the answer.")
    max_connections: int = Field(100, ge=1, description="Size of the connection pool.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row that open the circuit breaker.")
    breaker_reset_s: float = Field(15.0, gt=0, description="Seconds before an open breaker lets one try through.")
    price_prompt: float = Field(0.0, ge=0, description="Money per million prompt tokens.")
    price_completion: float = Field(0.0, ge=0, description="Money per million completion tokens.")
    trusted: bool = Field(
        False, description="The owner runs this server: texts go there unmasked. Off unless you are sure."
    )
    stand_in: bool = Field(False, description="Label the answers as those of a stand-in (the demo sets this).")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Site(Section):
    """Where the box stands. Coordinates stay on the box; only names are ever written into prompts."""

    name: str | None = Field(None, description='Such as "Grand Arcade, Cambridge".')
    latitude: float | None = Field(None, ge=-90, le=90, description="Degrees, WGS 84.")
    longitude: float | None = Field(None, ge=-180, le=180, description="Degrees, WGS 84.")
    radius_m: float = Field(500.0, gt=0, description="How far the site reaches, in metres.")
    district: str | None = Field(None, description="Civic names, coarser and coarser.")
    city: str | None = None
    region: str | None = None
    country: str | None = None
    time_zone: str = Field("UTC", description='IANA name, such as "Europe/London".')

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            near = difflib.get_close_matches(value, available_timezones(), 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(f'unknown time zone "{value}"{hint}') from None
        return value


class Completion(Section):
    """How terse prompts are completed."""

    mode: Literal["select", "rewrite", "off"] = Field("select", description="Default; a request may say otherwise.")
    max_facts: int = Field(3, ge=1, le=16, description="At most this many facts are added.")
    timeout_s: float = Field(3.0, gt=0, description="Past this the request goes on uncompleted.")


class Privacy(Section):
    """What is hidden before anything leaves."""

    names: bool = Field(True, description="Find names, places and organisations with the small NER model.")
    timeout_s: float = Field(5.0, gt=0, description="A detector that takes longer has failed: nothing leaves.")
    max_chars: int = Field(400_000, ge=1_000, description="Longer requests are not analysed, so they stay here.")
    media: Literal["keep", "send"] = Field(
        "keep", description='Images, audio and files cannot be checked: "keep" them on the box or "send" them.'
    )
    sensitive_kinds: tuple[str, ...] = Field(
        ("API_KEY", "CARD", "IBAN", "CRYPTO", "NATIONAL_ID"),
        description="A request with one of these is answered on the box.",
    )


class Routing(Section):
    """Rules for `model: "netgpt"`."""

    max_edge_words: int = Field(40, ge=1, description="Longer requests go to the cloud when there is one.")
    edge_when_personal: bool = Field(
        True, description="A request completed with personal facts is answered on the box, where they may be used."
    )


class Store(Section):
    """What is kept, and how long."""

    keep_exchanges_days: float = Field(30.0, gt=0, description="Exchanges older than this are deleted.")
    keep_maps_days: float = Field(30.0, gt=0, description="Pseudonym maps of conversations idle for this long.")
    keep_text: bool = Field(True, description="Keep the texts of exchanges (encrypted); false keeps figures only.")
    min_free_bytes: int = Field(50_000_000, ge=0, description="Less free disk than this is reported and refused.")


class Workflow(Section):
    """The line itself."""

    stages: tuple[str, ...] = Field(DEFAULT_STAGES, description="The stages, in order.")


class Settings(BaseModel):
    """Everything that an owner can set. Immutable; secrets are masked in `repr`."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    home: Path = Field(Path("~/.netgpt"), description="Where weights, keys and the database live (0700).")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    server: Server = Server()
    edge: Edge = Edge()
    cloud: Cloud = Cloud()
    site: Site = Site()
    completion: Completion = Completion()
    privacy: Privacy = Privacy()
    routing: Routing = Routing()
    store: Store = Store()
    workflow: Workflow = Workflow()

    @field_validator("home")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @property
    def database(self) -> Path:
        return self.home / "netgpt.db"

    @property
    def key_file(self) -> Path:
        return self.home / "secret.key"


def load_settings(file: Path | None = None, environment: dict[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings. `overrides` are sections or values that beat file and environment (`home=...`).

    Raises SettingsError: no such file, not TOML, unknown or wrong setting; with file, line and cure.
    """
    env = dict(os.environ) if environment is None else environment
    path = _find_file(file, env)
    values = _read_toml(path) if path else {}
    origins = _merge(values, _from_environment(env))
    for name, value in overrides.items():
        _merge(values, {name: value})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error, path, origins)) from None


def _find_file(file: Path | None, env: dict[str, str]) -> Path | None:
    named = file or (Path(env["NETGPT_CONFIG"]) if env.get("NETGPT_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise SettingsError(f"{named}: no such settings file. Create it, or leave the option out.")
        return named
    home = Path(env.get("NETGPT_HOME", "~/.netgpt")).expanduser()
    for candidate in (Path("netgpt.toml"), home / "netgpt.toml"):
        if candidate.is_file():
            return candidate
    return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None


def _from_environment(env: dict[str, str]) -> dict[str, Any]:
    """`NETGPT_CLOUD__BASE_URL=x` -> `{"cloud": {"base_url": "x"}}`; an empty value means "not set"."""
    values: dict[str, Any] = {}
    for name, value in env.items():
        if not name.startswith("NETGPT_") or name == "NETGPT_CONFIG" or value == "":
            continue
        *sections, key = name.removeprefix("NETGPT_").lower().split("__")
        if not sections and key not in Settings.model_fields:
            continue  # NETGPT_ANYTHING of other tools is not ours to refuse
        target = values
        for section in sections:
            target = target.setdefault(section, {})
        target[key] = value.split(",") if key in ("stages", "sensitive_kinds") else value
    return values


def _merge(base: dict[str, Any], top: dict[str, Any], prefix: str = "") -> set[str]:
    """Write `top` over `base`, section by section; return the dotted names written."""
    written: set[str] = set()
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            written |= _merge(base[key], value, f"{prefix}{key}.")
        else:
            base[key] = value
            names = [f"{prefix}{key}.{k}" for k in value] if isinstance(value, dict) else [f"{prefix}{key}"]
            written.update(names)
    return written


def _explain(error: ValidationError, path: Path | None, from_env: set[str]) -> str:
    """One line a fault: where it stands, what is wrong, what would be right. Values are not echoed."""
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        dotted = ".".join(str(part) for part in fault["loc"] if not isinstance(part, int))
        if dotted in from_env:
            where = "NETGPT_" + dotted.upper().replace(".", "__")
        else:
            where = f"{path}:{_line_of(path, dotted)}: {dotted}" if path else dotted
        if fault["type"] == "extra_forbidden":
            lines.append(f"{where}: no such setting{_near(dotted)}")
        else:
            lines.append(f"{where}: {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines) + "\nSee docs/settings.md for every setting."


def _near(dotted: str) -> str:
    section, _, key = dotted.rpartition(".")
    model: Any = Settings.model_fields[section].annotation if section in Settings.model_fields else Settings
    close = difflib.get_close_matches(key, model.model_fields, 1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def _line_of(path: Path, dotted: str) -> int:
    """The line in the file that holds this setting; the section's line, or 1, when it cannot be found."""
    section, _, key = dotted.rpartition(".")
    current, found = "", 1
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if header := re.match(r"\s*\[([^\]]+)\]", line):
            current = header[1].strip()
            found = number if current == section else found
        elif current == section and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return found
