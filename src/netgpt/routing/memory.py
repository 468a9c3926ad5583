"""What the decision remembers from one request to the next. In memory only: a box that starts anew starts calm."""

from __future__ import annotations

from netgpt.routing.hysteresis import HeldLinks
from netgpt.routing.share import CloudShare

__all__ = ["Memory"]


class Memory:
    """The links as they are held, and the share that went to a cloud."""

    def __init__(self, max_cloud_share: float | None = None) -> None:
        self.links = HeldLinks()
        self.share = CloudShare(max_cloud_share)
