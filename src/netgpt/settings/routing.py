"""The sections of the settings that say where requests go."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Literal, Self
from uuid import UUID

from pydantic import Field, SecretStr, field_validator, model_validator

from netgpt.settings.sections import Cloud, HttpAddress, Section

NEIGHBOURS_MODEL = "netgpt/edge"
"""What a neighbour is asked for: its own edge answers, whatever it would decide."""
TAKEN_NAMES = frozenset({"auto", "cloud", "detector", "edge", "embed", "netgpt", "store"})
"""Names of parts in `/readyz` and of models, which no upstream may have."""
OnLowConfidence = Literal["say", "answer", "refuse"]
WhenRefused = Literal["never", "transient", "always"]
"""After which failures another model may answer: see `routing.fallback`."""
Preset = Literal["quality", "balanced", "cheap", "fast", "private"]
"""What may count more in a decision: see `routing.objective.PRESETS`."""


class Weighting(Section):
    """Own weights of the objective, each in the place of the preset's. 0: it does not count at all."""

    quality: float | None = Field(None, ge=0, le=100, description="Of the chance that the answer does.")
    cost: float | None = Field(None, ge=0, le=100, description="Of money, in units of routing.answer_worth.")
    latency: float | None = Field(None, ge=0, le=100, description="Of ten seconds until the answer's end.")
    energy: float | None = Field(None, ge=0, le=100, description="Of 1,000 joules spent on the box.")
    privacy: float | None = Field(None, ge=0, le=100, description="Of all of the request leaving as it is.")


class Routing(Section):
    """How `model: "netgpt"` is decided."""

    prefer: Preset = Field("balanced", description="What counts more, unless a key or a request says otherwise.")
    weights: Weighting = Field(
        Weighting(),
        description="Own weights in the place of the preset's: quality, cost, latency, energy, privacy; each 0 to 100.",
    )
    answer_worth: float = Field(
        0.01, gt=0, description="Money that a good answer is worth: what costs are weighed against."
    )
    max_cloud_share: float | None = Field(
        None,
        ge=0,
        le=1,
        description="At most this share of the requests goes to a cloud; those that only a cloud can answer count too.",
    )
    max_edge_words: int = Field(40, ge=1, description="Longer requests are less trusted to the edge model.")
    edge_when_personal: bool | Literal["able"] = Field(
        "able",
        description="Whether a request completed with personal facts is answered on the box, where they may be used. "
        '"able": where the model there does for at least half of such requests, or nothing is known of it; else '
        "another is asked, without those facts.",
    )
    switch_margin: float = Field(
        0.15,
        ge=0,
        le=10,
        description="A conversation stays with its model unless another would do better by more than this, in good "
        "answers; the results of tools go back to the model that called them in any case. 0: as if it had just begun.",
    )
    learn: bool = Field(
        True, description="Learn from ratings, repeats, broken schemas and failures how well each model's answers do."
    )
    explore: float = Field(
        0.02,
        ge=0,
        le=0.5,
        description="At most this share of a key's requests tries another model than the best, once answers are rated; "
        'never under "private", never a model that a constraint rules out.',
    )
    explore_per_hour: int = Field(20, ge=0, description="At most so many of one key within an hour.")
    stale_answer_s: float = Field(
        86_400.0,
        ge=0,
        le=31_536_000,
        description="When nobody can answer, the same person's own earlier answer to the same question is given again, "
        "marked, if it is no older than this, in seconds; 0: never.",
    )
    hedge: Literal["off", "edge", "any"] = Field(
        "off",
        description="When the first word is late, who is asked too, so that the first to begin answers: nobody, the "
        'edge (nothing leaves, nothing is paid), or "any" model that may have it. Who names a model waits for it.',
    )
    hedge_after_s: float = Field(
        0.0, ge=0, description="Seconds without a word that are late; 0: the 95th percentile of that model's own."
    )
    hedge_share: float = Field(0.05, gt=0, le=0.1, description="At most this share of the requests is sent twice.")
    fallback: WhenRefused = Field(
        "transient",
        description="After which failures of a model another one answers, unless a key or a request says otherwise: "
        '"never"; "transient" ones (late, unreachable, overloaded, broken off); or "always", also where the key, the '
        "model's name, the address or the request itself was refused, and the box has only a small model.",
    )
    on_cut: Literal["partial", "edge"] = Field(
        "partial",
        description='What becomes of a streamed answer that breaks off: "partial" ends it with an error, "edge" lets '
        "the model on the box write the rest of a plain text, marked finished_by.",
    )

    cascade: bool = Field(
        True,
        description="Where the box decides and a cloud may be asked, the box begins, and its words are held back until "
        "it is sure of them; else the cloud is asked before anybody saw one.",
    )
    hold_s: float = Field(
        3.0, gt=0, le=60, description="No longer are the words of the box held back until it is sure, in seconds."
    )
    hold_characters: int = Field(
        600,
        ge=1,
        le=20_000,
        description="Nor beyond so many; a longer answer is judged by its beginning, then its end.",
    )
    sure: float = Field(
        0.6, ge=0, le=1, description="The box is sure of an answer whose chance to be right is at least this."
    )
    on_low_confidence: OnLowConfidence = Field(
        "say",
        description='What becomes of an answer that the box is not sure of and nobody else may give: "say" so, in the '
        'person\'s language and with what would help; give the "answer" without a word, or "refuse" it (422).',
    )

    def fallback_by(self, request: str | None, key: str | None) -> tuple[str, str]:
        """The rule of `fallback` in force where a request and its key say this, and who said it."""
        return (request, "the request") if request else (key, "its key") if key else (self.fallback, "routing.fallback")


class WaitingSettings(Section):
    """Requests that may wait (`"netgpt": {"may_wait": true}`) until somebody can answer."""

    max_requests: int = Field(20, ge=0, description="Of one person, kept at once, ended ones among them; 0: none wait.")
    max_bytes: int = Field(1_000_000, ge=1_000, description="The same, in bytes of their content.")
    max_age_h: float = Field(
        24.0, gt=0, le=8_760, description="What could not be sent for so long is given up, in hours."
    )
    keep_days: float = Field(
        7.0, gt=0, le=3_650, description="Answers are kept for this long, or until they are deleted."
    )
    per_minute: int = Field(60, ge=1, description="They are sent no faster than this, once the link is back.")


class Upstream(Cloud):
    """One more model elsewhere, beside [cloud] and with its settings: another provider, or a neighbour box.

    `[[upstreams]]` in the file, once for each. The environment reaches one by its name, dashes as underscores:
    `NETGPT_UPSTREAMS__OTHER_EU__API_KEY` is the key of the upstream "other-eu".
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="Its name in requests, explanations and metrics.")
    kind: Literal["cloud", "neighbour"] = Field(
        "cloud", description='"neighbour": another NetGPT box; its edge model is asked, so that nothing goes round.'
    )
    base_url: HttpAddress = Field(description='Such as "https://other.example/v1".')
    model: str = Field(NEIGHBOURS_MODEL, description="Model name sent to it; a neighbour's is always its edge.")
    quality: float = Field(0.9, ge=0, le=1, description="The chance that its answers do, before anything is learnt.")

    @property
    def is_neighbour(self) -> bool:
        return self.kind == "neighbour"

    @field_validator("name")
    @classmethod
    def _free_name(cls, value: str) -> str:
        if value in TAKEN_NAMES:
            raise ValueError(f'"{value}" is the name of a part of the box: choose another, such as "{value}-2"')
        return value

    @model_validator(mode="after")
    def _named_model(self) -> Self:
        if self.base_url is None:
            raise ValueError("base_url is needed: where is it?")
        if self.kind == "neighbour" and self.model != NEIGHBOURS_MODEL:
            raise ValueError(f'a neighbour is asked for "{NEIGHBOURS_MODEL}" alone: leave model out')
        if self.kind == "neighbour" and self.dialect != "openai":
            raise ValueError("a neighbour speaks OpenAI's chat: leave dialect out")
        if self.kind == "cloud" and self.model == NEIGHBOURS_MODEL:
            raise ValueError('model is needed: which of its models is asked? (kind = "neighbour" for a NetGPT box)')
        return self


class SignalsSection(Section):
    """What the box measures of its links and of itself. Real calls come first; probes only fill silence."""

    probe_s: float = Field(
        10.0,
        ge=0,
        description="While the box is in use, a connection to a configured upstream that was silent for so many "
        "seconds is opened and closed, without a byte sent; 0: never.",
    )
    probes: int = Field(3, ge=1, le=10, description="Connections of one such look: they measure jitter and loss.")
    sample_s: float = Field(1.0, ge=0, description="Seconds between two looks at the box itself; 0: never.")
    power_w: float | None = Field(
        None, gt=0, description="Watts that the box draws at work, for the energy of an answer; unset: as measured."
    )


class Insights(Section):
    """What the operator's network knows of the box's own connection. Off unless an address is set.

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
        None, description='CAMARA Connectivity Insights: "https://operator.example/connectivity-insights/v0.6".'
    )
    quality_token: SecretStr | None = Field(None, description="Sent as the bearer; never logged.")
    quality_token_file: Path | None = Field(None, description="A file with it instead, read at every question.")
    quality_profile: UUID | None = Field(None, description="Identifier of the application profile with the operator.")
    quality_server: str = Field("", description="Address (or address/mask) of the server to be reached.")
    device_ipv4: IPv4Address | None = Field(None, description="The box's own connection: its public address.")
    device_private_ipv4: IPv4Address | None = Field(None, description="The same: its address within that network.")
    device_port: int | None = Field(None, ge=0, le=65535, description="The same: its public port, behind a NAT.")
    device_ipv6: IPv6Address | None = Field(None, description="The same: its address of version 6.")
    device_phone: SecretStr | None = Field(
        None, description="The number of the box's own SIM, such as \"+441632960000\"; never a person's."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.radio_url and not (self.radio_cell or self.device_private_ipv4 or self.device_ipv4):
            raise ValueError("radio_url needs to know whom to ask about: set radio_cell or device_private_ipv4")
        if self.quality_url and self.quality_profile is None:
            raise ValueError("quality_url needs quality_profile: the profile of your needs, made with the operator")
        if self.device_ipv4 and not (self.device_private_ipv4 or self.device_port is not None):
            raise ValueError("device_ipv4 alone names no device: set device_private_ipv4 or device_port too")
        return self
