"""The places of a box: what its lanes begin with, and what is counted of them."""

from __future__ import annotations

from netgpt.build import Box
from netgpt.routing.names import AUTO
from netgpt.web.admission import Admission, Lane

__all__ = ["admission_of"]

UNKNOWN = (8, 2)
"""What a lane begins with, and its lowest, where nothing is known of the server behind it."""
ELSEWHERE = (32, 16)
"""The same for a server elsewhere: few answer less than this at once."""


def admission_of(box: Box) -> Admission:
    """Places as the settings say, told to the metrics."""
    server, edge = box.settings.server, box.settings.edge

    def first(lane: str) -> tuple[int, int]:
        if lane != "edge" and box.remotes:
            return ELSEWHERE
        if lane in ("edge", AUTO) and edge.base_url is None:
            return edge.slots + 1, edge.slots
        return UNKNOWN

    admission = Admission(
        at_once=server.max_concurrency,
        waiting=server.max_waiting,
        max_wait_s=server.max_wait_s,
        first=first,
        refused=lambda code: box.metrics.refused.labels(code).inc(),
    )

    def counted(lane: Lane) -> None:
        places = box.metrics.places
        places.labels(lane.name, "at_work").set_function(lambda: lane.at_work)
        places.labels(lane.name, "waiting").set_function(lambda: len(lane.turns))
        places.labels(lane.name, "limit").set_function(lambda: lane.limit.value)

    admission.opened.append(counted)
    return admission
