"""identify: whose words these are."""

from __future__ import annotations

from netgpt.errors import PermissionDenied
from netgpt.exchange import Exchange
from netgpt.types import Person


class Identify:
    """The person within the key's tenant. A key bound to one person speaks for nobody else."""

    name = "identify"
    reads: frozenset[str] = frozenset()
    writes = frozenset({"person"})

    async def __call__(self, exchange: Exchange) -> None:
        bound, user = exchange.caller.bound_user, exchange.request.user
        if bound is not None and user is not None and user != bound:
            raise PermissionDenied("this key speaks for one person; leave `user` out or name that person", param="user")
        exchange.person = Person(exchange.caller.tenant, bound or user or "anonymous")
