"""The section `[policy]`: which rules are in force."""

from __future__ import annotations

from pydantic import Field, field_validator

from netgpt.sections.base import Section

__all__ = ["PolicySection"]


class PolicySection(Section):
    """Who may do what, and what may leave."""

    set: str = Field(
        "balanced",
        description='The rules in force: "open", "balanced", "strict", "health", or the path of a .cedar file.',
    )

    @field_validator("set")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError('name a set ("balanced") or a .cedar file')
        return value
