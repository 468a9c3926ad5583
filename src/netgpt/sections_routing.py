"""The sections of the settings that say where requests go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from netgpt.section import HttpAddress, Section

__all__ = ["Routing", "Upstream"]

Preset = Literal["quality", "balanced", "cheap", "fast", "private"]


class Routing(Section):
    """How `model: "netgpt"` is decided."""

    prefer: Preset = Field("balanced", description="What counts more, unless a key or a request says otherwise.")
    max_edge_words: int = Field(40, ge=1, description="Longer requests go to the cloud when there is one.")
    edge_when_personal: bool = Field(
        True, description="A request completed with personal facts is answered on the box, where they may be used."
    )


class Upstream(Section):
    """One more model elsewhere, beside [cloud]: another provider, or a neighbour box."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="Its name in explanations and metrics.")
    kind: Literal["cloud", "neighbour"] = Field(
        "cloud", description='"neighbour": another NetGPT box; its edge model is asked.'
    )
    base_url: HttpAddress = Field(description='Such as "https://other.example/v1".')
    api_key: SecretStr | None = Field(None, description="Sent as the bearer; never logged.")
    model: str = Field("netgpt/edge", description="Model name sent to it.")
    price_prompt: float = Field(0.0, ge=0, description="Money per million prompt tokens.")
    price_completion: float = Field(0.0, ge=0, description="Money per million completion tokens.")
    quality: float = Field(0.9, ge=0, le=1, description="The chance that its answers do, before anything is learnt.")
    region: str = Field("", description="As cloud.region.")
    purpose: str = Field("", description="As cloud.purpose.")
