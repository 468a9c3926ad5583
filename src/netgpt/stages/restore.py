"""restore: the person's own words back in place of the placeholders, while the answer streams."""

from __future__ import annotations

from netgpt.exchange import Exchange
from netgpt.privacy.restore import Account, restore_chunks
from netgpt.privacy.vault import Vault


class Restore:
    """Wraps the stream of what went out masked; an answer of the edge saw the originals and passes as it is.

    What finishes an answer that broke off comes after it: the model on the box sees the restored words, and its own
    need no restoring.
    """

    name = "restore"
    reads = frozenset({"stream", "outcome", "vault", "outbounds", "continuation"})
    writes = frozenset({"restored", "restoring"})

    async def __call__(self, exchange: Exchange) -> None:
        vault, exchange.restoring, restored = exchange.vault, Account(), exchange.stream
        if exchange.outcome.answered_by.route == "cloud" and isinstance(vault, Vault) and _masked(exchange):
            if (outbound := exchange.outbounds.get(exchange.outcome.answered_by.name)) is not None:
                vault.expect_answer_to(outbound)
            form = exchange.request.body.get("response_format")
            json_content = isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")
            restored = restore_chunks(
                vault,
                restored,
                json_content=json_content,
                account=exchange.restoring,
                tail_of_cut=exchange.continuation is None,
            )
        exchange.restored = restored if exchange.continuation is None else exchange.continuation(restored)


def _masked(exchange: Exchange) -> bool:
    """Whether the one that answers saw placeholders: the owner's own server among others sees the words themselves."""
    outbound = exchange.outbounds.get(exchange.outcome.answered_by.name)
    return outbound is None or outbound.rule == "masked"
