"""What a model's name in a request asks for: the box's own choice, or one arm."""

from __future__ import annotations

from collections.abc import Mapping

from netgpt.settings import Settings

__all__ = ["AUTO", "DECIDE", "NOBODY", "arm_names", "asked_arm"]

AUTO = "auto"
"""The box decides."""
DECIDE = "netgpt"
"""The model's name that leaves it to the box."""
NOBODY = "nobody"
"""Rule of a decision without an arm: nobody can answer, and its reason says why for each."""


def arm_names(settings: Settings) -> dict[str, str]:
    """Every model's name that asks for one arm -> that arm: "netgpt/edge", an upstream's name with and without
    "netgpt/", and the names of the configured models. Where two arms run a model of one name, the first has it."""
    names = {"netgpt/edge": "edge", settings.edge.model: "edge"}
    for arm in settings.remotes:
        names.setdefault(f"netgpt/{arm}", arm)
        if arm != "cloud":  # "cloud" alone has never been a name of its own
            names.setdefault(arm, arm)
    for arm, remote in settings.remotes.items():
        names.setdefault(remote.model, arm)
    names.setdefault("netgpt/cloud", next(iter(settings.remotes), "cloud"))
    return names


def asked_arm(model: str, names: Mapping[str, str]) -> str:
    """The arm that a model's name asks for, or "auto"."""
    return names.get(model, AUTO)
