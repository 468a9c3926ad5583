"""desensitize: the only place where an `Outbound` is asked for. Any failure means that there is none."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from netgpt.completion.compose import compose
from netgpt.context.profile import SENSITIVE_KIND
from netgpt.errors import PayloadTooLarge, PrivacyError
from netgpt.exchange import Exchange
from netgpt.outbound import Outbound
from netgpt.privacy.detect import Detector
from netgpt.privacy.vault import Vault
from netgpt.routing.features import text_of
from netgpt.settings import Cloud, Privacy
from netgpt.stages.route import asked_route
from netgpt.store.store import Store
from netgpt.types import Label, Message, Person

__all__ = ["Desensitize"]

LOCKS_KEPT = 1_000


class Desensitize:
    """Makes the outbound body: the person's words, only the facts that may leave, every private value hidden."""

    name = "desensitize"
    reads = frozenset({"person", "facts", "private_values", "chosen", "messages", "completion"})
    writes = frozenset({"vault", "outbound", "kept_because", "hidden", "label"})

    def __init__(
        self, store: Store, detector: Detector, cloud: Cloud, privacy: Privacy, *, edge_names: frozenset[str]
    ) -> None:
        self.store, self.detector, self.cloud, self.privacy = store, detector, cloud, privacy
        self.edge_names = edge_names
        self._locks: OrderedDict[tuple[Person, str], asyncio.Lock] = OrderedDict()

    async def __call__(self, exchange: Exchange) -> None:
        exchange.vault, exchange.outbound, exchange.hidden = None, None, ()
        exchange.kept_because, exchange.label = None, Label.PUBLIC
        if self.cloud.base_url is None:
            exchange.kept_because = "no cloud is configured"
            return
        if asked_route(exchange.request.model, self.edge_names, frozenset()) == "edge":
            exchange.kept_because = "the caller asked for the edge"
            return
        try:
            # The wait for another request of the same conversation counts too.
            async with asyncio.timeout(self.privacy.timeout_s + 1):
                await self._seal(exchange)
        except TimeoutError:
            exchange.kept_because = (
                f"hiding took longer than {self.privacy.timeout_s:g} s, so nothing leaves "
                "(raise privacy.timeout_s or shorten the request)"
            )
            exchange.label = Label.SENSITIVE
        except (PrivacyError, PayloadTooLarge) as error:
            exchange.kept_because = error.message
            exchange.label = Label.SENSITIVE

    async def _seal(self, exchange: Exchange) -> None:
        body = outbound_body(exchange, self.cloud.model)
        if self.cloud.trusted:
            exchange.outbound = await Vault().seal(body, self.detector, trusted=True)
            return
        conversation = conversation_key(exchange)
        async with self._lock(exchange.person, conversation):
            vault = Vault(await self.store.load_map(exchange.person, conversation))
            outbound = await self._made_safe(vault, body, exchange)
            if vault.changed:
                # Saved before anything is sent: after a crash the same value still has the same placeholder.
                await self.store.save_map(exchange.person, conversation, vault.dump())
        exchange.vault, exchange.outbound, exchange.hidden = vault, outbound, outbound.hidden
        exchange.label = Label.PERSONAL if outbound.hidden else Label.PUBLIC
        if {hidden.kind for hidden in outbound.hidden} & {SENSITIVE_KIND, *self.privacy.sensitive_kinds}:
            exchange.label = Label.SENSITIVE

    async def _made_safe(self, vault: Vault, body: Mapping[str, Any], exchange: Exchange) -> Outbound:
        return await vault.seal(
            body,
            self.detector,
            values=exchange.private_values,
            media=self.privacy.media,
            max_chars=self.privacy.max_chars,
            public=[fact.text for fact in exchange.facts if fact.label is Label.PUBLIC],
        )

    def _lock(self, person: Person, conversation: str) -> asyncio.Lock:
        """One lock a conversation: two requests at once must not give one placeholder to two values."""
        key = (person, conversation)
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._locks.move_to_end(key)
        for old in list(self._locks)[: max(0, len(self._locks) - LOCKS_KEPT)]:
            if not self._locks[old].locked():
                del self._locks[old]
        return lock


def outbound_body(exchange: Exchange, cloud_model: str) -> dict[str, Any]:
    """The request as the cloud would get it, before anything is hidden: own facts of the person are left out."""
    body = dict(exchange.request.body)
    body["messages"] = _disclosable_messages(exchange)
    body["model"] = cloud_model
    if exchange.request.stream:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return body


def _disclosable_messages(exchange: Exchange) -> list[Message]:
    public = tuple(fact for fact in exchange.chosen if fact.label is Label.PUBLIC)
    if len(public) == len(exchange.chosen):
        return exchange.messages
    return compose(exchange.request.messages, public)


def conversation_key(exchange: Exchange) -> str:
    """Names a conversation: the caller's own name for it, else its first words (they come back with each turn)."""
    named = exchange.request.conversation
    if named is not None:
        return "named:" + hashlib.sha256(named.encode()).hexdigest()
    first = next((m for m in exchange.request.messages if m.get("role") == "user"), exchange.request.messages[0])
    return "first:" + hashlib.sha256(text_of(first.get("content")).encode()).hexdigest()
