"""restore: the person's own words back in place of the placeholders, while the answer streams."""

from __future__ import annotations

from netgpt.exchange import Exchange
from netgpt.privacy.restore import Account, restore_chunks
from netgpt.privacy.vault import Vault

__all__ = ["Restore"]


class Restore:
    """Wraps the stream of what went out masked; an answer of the edge saw the originals and passes as it is."""

    name = "restore"
    reads = frozenset({"stream", "answered_by", "vault"})
    writes = frozenset({"restored", "restoring"})

    async def __call__(self, exchange: Exchange) -> None:
        vault, exchange.restoring = exchange.vault, Account()
        if exchange.answered_by.route == "cloud" and isinstance(vault, Vault):
            form = exchange.request.body.get("response_format")
            json_content = isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")
            exchange.restored = restore_chunks(
                vault, exchange.stream, json_content=json_content, account=exchange.restoring
            )
        else:
            exchange.restored = exchange.stream
