"""The sections of the settings about the Model Context Protocol: who connects to the box, and other servers' tools."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from netgpt.settings.sections import HttpAddress, Section, _listed

WITHOUT_KEY: Final = "no-key"
"""In `mcp.local_keys`: callers without a key."""
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class McpSettings(Section):
    """Agents that connect by the Model Context Protocol, at `/mcp` of the server (the extra `mcp`)."""

    local_keys: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (),
        description="Ids of keys whose agents run on a model of your own, so that they get the words themselves; "
        '"no-key" stands for callers without one. All others count as the client of some cloud: they get placeholders.',
    )


class ToolServer(Section):
    """A server of tools (Model Context Protocol) that stands behind the box: its tools are offered at `/mcp`, and what
    passes in and out is hidden as the policy says. Nothing is started or connected that no table names.

    `[[tools]]` in the file, once for each. Its tools count once you approved their words: `netgpt tools approve NAME`.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="Begins the names of its tools: `mail__send`.")
    command: tuple[str, ...] = Field(
        (), description='The program and its arguments, such as ["/usr/bin/mail-mcp", "--read"]; run without a shell.'
    )
    env: dict[str, SecretStr] = Field(
        {}, description="All that the program finds in its environment: nothing of the box's own is passed on."
    )
    folder: Path | None = Field(None, description="The folder in which the program runs. None: the home of the box.")
    url: HttpAddress = Field(None, description="In place of `command`: the server's address (streamable HTTP).")
    headers: dict[str, SecretStr] = Field({}, description='Sent to `url`, such as {"authorization" = "Bearer ..."}.')
    only: tuple[str, ...] = Field((), description="Names of its tools that are offered. None: all.")
    sees: tuple[str, ...] = Field(
        (),
        description='Kinds or families of private values that its tools may be given, such as ["EMAIL", "contact"]; '
        "the rest they get as placeholders. The policy may forbid more (`hand_over`), or allow by the tool's name.",
    )
    people: tuple[str, ...] = Field(
        (), description="People of the box's own tenant who may use it. None named: the owner and admins of the box."
    )
    timeout_s: float = Field(30.0, gt=0, le=600, description="Longest call, in seconds.")
    start_s: float = Field(20.0, gt=0, le=600, description="It must be ready within so many seconds.")
    max_bytes: int = Field(2_000_000, ge=1_000, description="Most that it may send for one call, in bytes.")

    @field_validator("env")
    @classmethod
    def _variables(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if not all(map(_VARIABLE.fullmatch, value)):
            raise ValueError("names of variables are letters, digits and underscores")
        return value

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        texts = [*value, *(each.get_secret_value() for each in value.values())]
        if any(not text or not text.isprintable() or not text.isascii() for text in texts):
            raise ValueError("names and values of headers are printable ASCII")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError(f'the tools "{self.name}" need one of `command` and `url`')
        if (self.headers and not self.url) or ((self.env or self.folder) and not self.command):
            raise ValueError("`headers` go with `url`; `env` and `folder` with `command`")
        return self
