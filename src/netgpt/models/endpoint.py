"""Where an OpenAI-compatible model server answers, and the key it wants."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Endpoint:
    """One server's base address and key.

    `base_url` ends with `/v1` and has no trailing slash. The key never appears in a repr, so that an
    endpoint may be logged.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
