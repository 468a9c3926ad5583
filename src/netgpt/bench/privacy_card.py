"""What the shipped detector was trained on: a figure on a set that it saw is no promise for texts it did not see."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

__all__ = ["what_it_saw"]


def what_it_saw() -> dict[str, Any]:
    """Each model card (JSON beside the weights in `privacy/shipped`) by file name; says so when there is none."""
    cards = {}
    folder = resources.files("netgpt.privacy") / "shipped"
    if folder.is_dir():
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".json"):
                cards[file.name] = _read(file.read_text(encoding="utf-8"))
    return cards or {"none": "no card lies beside the weights: whether they saw these sets in training is not told"}


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return "the card is not JSON"
