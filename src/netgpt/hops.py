"""Requests that come round: each gateway adds itself to a header, and refuses what has passed it before.

A box may be named, by mistake, as the cloud, an upstream or the edge of another box, or of itself under another name.
Each gateway has a random id for as long as it runs: nothing can be learnt from it but that an answer went through it.
The ids travel in `X-NetGPT-Hops`, as those of caches do in CDN-Loop (RFC 8586). What a request came with is kept in
its context, so that every model that is called on its way gets it, whoever calls.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from typing import Final

from netgpt.errors import RequestError

HOPS_HEADER: Final = "x-netgpt-hops"
LOOP: Final = "request_loop"
"""Code of the error for a request that comes round."""
MOST_HOPS: Final = 4
"""Gateways that a request may pass: more are a loop through one that does not know itself, as it started again."""
_ID_CHARS: Final = 16

_PASSED: ContextVar[str] = ContextVar("netgpt hops", default="")


def new_box_id() -> str:
    """For one gateway, for as long as it runs."""
    return secrets.token_hex(_ID_CHARS // 2)


def arrive(box: str, header: str) -> None:
    """A request with this header came to the gateway `box`. Raises RequestError (508): it came round."""
    passed = [part.strip()[:_ID_CHARS] for part in header.split(",", MOST_HOPS) if part.strip()]
    if box in passed:
        raise RequestError(
            "the request has come round: it passed this box before. A base_url (of edge, cloud or an upstream, here or "
            'on a neighbour) leads back to this box; name a model\'s server there, or model = "netgpt/edge".',
            code=LOOP,
            status=508,
        )
    if len(passed) >= MOST_HOPS:
        raise RequestError(
            f"the request has passed {MOST_HOPS} boxes, the most there may be: do their base_urls lead in a ring?",
            code=LOOP,
            status=508,
        )
    _PASSED.set(", ".join([*(part for part in passed if part.isalnum() and part.isascii()), box]))


def passed() -> str:
    """The header's value for what is sent on behalf of this request; empty: no request is at work."""
    return _PASSED.get()
