"""Settings of upstreams that stand at faulty clouds, for boxes in tests."""

from __future__ import annotations

from typing import Any

from netgpt.testing.server import FaultyCloud

__all__ = ["upstream"]


def upstream(name: str, cloud: FaultyCloud, **fields: Any) -> dict[str, Any]:
    """One entry of `upstreams`: no retries, never left alone."""
    quick = {"retries": 0, "breaker_failures": 1_000, "connect_timeout_s": 30}
    return {"name": name, "base_url": cloud.base_url, "model": f"model-of-{name}", **quick, **fields}
