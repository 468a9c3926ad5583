"""The sections of the settings about what the box measures and is told: links, itself, the operator's network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Self
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from netgpt.sections.base import HttpAddress, Section

__all__ = ["Insights", "SignalsSection"]


class SignalsSection(Section):
    """What the box measures of its links and of itself. Real calls tell first; probes only fill silence."""

    probe_s: float = Field(
        10.0,
        ge=0,
        description="While the box is in use, a connection to a configured upstream that told nothing for so many "
        "seconds is opened and closed, without a byte sent; 0: never.",
    )
    probes: int = Field(3, ge=1, le=10, description="Connections of one such look: they tell jitter and loss.")
    sample_s: float = Field(1.0, ge=0, description="Seconds between two looks at the box itself; 0: never.")
    power_w: float | None = Field(
        None, gt=0, description="Watts that the box draws at work, for the energy of an answer; unset: as it tells."
    )


class Insights(Section):
    """What the operator's network tells of the box's own line. Off unless an address is set.

    Sent are the identifiers set here and the token, every `every_s` seconds while the box is in use; never anything of
    the people who ask.
    """

    every_s: float = Field(30.0, ge=1, description="Seconds between two questions, while the box is in use.")
    timeout_s: float = Field(5.0, gt=0, description="Seconds until a source that does not answer is left alone.")
    arms: tuple[str, ...] = Field(
        (), description='Whose links go over that network, such as ["cloud"]; empty: those of all models elsewhere.'
    )
    ca_file: Path | None = Field(None, description="The only certificate authority believed of it (PEM).")
    radio_url: HttpAddress = Field(
        None, description='Radio information of a MEC platform (ETSI MEC 012): "https://mec.example/rni/v2".'
    )
    radio_token: SecretStr | None = Field(None, description="Sent as the bearer; never logged.")
    radio_token_file: Path | None = Field(None, description="A file with it instead, read at every question.")
    radio_cell: str = Field("", description="The E-UTRAN cell identity that the box is served by.")
    radio_app: str = Field("", description="Identifier of this application instance, where the platform wants one.")
    quality_url: HttpAddress = Field(
        None,
        description='CAMARA Connectivity Insights: "https://operator.example/connectivity-insights/v0.6".',
    )
    quality_token: SecretStr | None = Field(None, description="Sent as the bearer; never logged.")
    quality_token_file: Path | None = Field(None, description="A file with it instead, read at every question.")
    quality_profile: UUID | None = Field(None, description="Identifier of the application profile with the operator.")
    quality_server: str = Field("", description="Address (or address/mask) of the server that the line is to reach.")
    device_ipv4: IPv4Address | None = Field(None, description="The box's own line: its public address.")
    device_private_ipv4: IPv4Address | None = Field(None, description="The same: its address within that network.")
    device_port: int | None = Field(None, ge=0, le=65535, description="The same: its public port, behind a NAT.")
    device_ipv6: IPv6Address | None = Field(None, description="The same: its address of version 6.")
    device_phone: SecretStr | None = Field(
        None, description="The number of the box's own SIM, such as \"+441632960000\"; never a person's."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.radio_url and not (self.radio_cell or self._own_address):
            raise ValueError("radio_url needs to know whom to ask about: set radio_cell or device_private_ipv4")
        if self.quality_url and self.quality_profile is None:
            raise ValueError("quality_url needs quality_profile: the profile of your needs, made with the operator")
        if self.device_ipv4 and not (self.device_private_ipv4 or self.device_port is not None):
            raise ValueError("device_ipv4 alone does not tell a line: set device_private_ipv4 or device_port too")
        return self

    @property
    def _own_address(self) -> str:
        return str(self.device_private_ipv4 or self.device_ipv4 or "")
