"""desensitize: the only place where an `Outbound` is asked for. Any failure means that there is none."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from netgpt.completion.compose import compose
from netgpt.context.profile import SENSITIVE_KIND
from netgpt.errors import PayloadTooLarge, PrivacyError
from netgpt.exchange import Exchange
from netgpt.outbound import Outbound
from netgpt.policy.access import principal_of
from netgpt.policy.disclosure import Destination, Disclosure
from netgpt.policy.engine import Policy
from netgpt.privacy.detect import Detector
from netgpt.privacy.generalize import PLACE_RUNGS, Generaliser
from netgpt.privacy.kinds import family
from netgpt.privacy.precision import ladder
from netgpt.privacy.vault import Vault
from netgpt.privacy.wording import PUBLIC, kept_by_policy
from netgpt.routing.features import text_of
from netgpt.settings import Cloud, Privacy
from netgpt.stages.route import asked_route
from netgpt.store.store import Store
from netgpt.types import Label, Message, Person

__all__ = ["Desensitize"]

LOCKS_KEPT = 1_000


class Desensitize:
    """Makes the outbound body: the person's words, only the facts that may leave, every private value written as the
    policy lets it."""

    name = "desensitize"
    reads = frozenset({"person", "facts", "consents", "private_values", "chosen", "messages", "completion"})
    writes = frozenset({"vault", "outbound", "kept_because", "hidden", "generalised", "kept", "policy", "label"})

    def __init__(
        self,
        store: Store,
        detector: Detector,
        cloud: Cloud,
        privacy: Privacy,
        *,
        edge_names: frozenset[str],
        policy: Callable[[], Policy],
    ) -> None:
        """`policy`: gives the rules in force, which may change while the box runs."""
        self.store, self.detector, self.cloud, self.privacy = store, detector, cloud, privacy
        self.edge_names, self.policy = edge_names, policy
        self.destination = Destination.of(cloud.base_url, cloud.model, cloud.region, cloud.purpose)
        self.generaliser = Generaliser()
        self.sensitive = frozenset({SENSITIVE_KIND, *privacy.sensitive_kinds})
        self._locks: OrderedDict[tuple[Person, str], asyncio.Lock] = OrderedDict()

    async def __call__(self, exchange: Exchange) -> None:
        exchange.vault, exchange.outbound, exchange.kept_because = None, None, None
        exchange.hidden, exchange.generalised, exchange.kept = (), (), ()
        exchange.policy, exchange.label = "", Label.PUBLIC
        asked = asked_route(exchange.request.model, self.edge_names, frozenset({self.cloud.model}))
        may = self._disclosure(exchange, asked)
        exchange.kept = may.keeps_facts(exchange.chosen)
        if self.cloud.base_url is None:
            exchange.kept_because = "no cloud is configured"
            return
        if asked == "edge":
            exchange.kept_because = "the caller asked for the edge"
            return
        exchange.policy = self.policy().title
        try:
            # The wait for another request of the same conversation counts too.
            async with asyncio.timeout(self.privacy.timeout_s + 1):
                await self._seal(exchange, may)
        except TimeoutError:
            exchange.kept_because = (
                f"hiding took longer than {self.privacy.timeout_s:g} s, so nothing leaves "
                "(raise privacy.timeout_s or shorten the request)"
            )
            exchange.label = Label.SENSITIVE
        except (PrivacyError, PayloadTooLarge) as error:
            exchange.outbound, exchange.kept_because = None, error.message
            exchange.label = Label.SENSITIVE

    def _disclosure(self, exchange: Exchange, asked: str) -> Disclosure:
        facts = {fact.kind.upper() for fact in exchange.facts if fact.label is Label.SENSITIVE}
        return Disclosure(
            self.policy(),
            principal_of(exchange.caller, exchange.person.user),
            self.destination,
            ladder=ladder,
            family=family,
            consent=exchange.consents,
            asked="cloud" if asked == "cloud" else "auto",
            sensitive=self.sensitive | facts if facts else self.sensitive,
        )

    async def _seal(self, exchange: Exchange, may: Disclosure) -> None:
        """Raises NotDisclosable: the policy keeps it; the account of what was found is written all the same."""
        if nothing := may.keeps_text():
            exchange.kept += nothing
            raise kept_by_policy(nothing)
        body = outbound_body(exchange, self.cloud.model, may)
        if self.cloud.trusted:
            exchange.outbound = await Vault().seal(body, self.detector, trusted=True)
            return
        await self._get_ready(may)
        conversation = conversation_key(exchange)
        async with self._lock(exchange.person, conversation):
            exchange.vault = vault = Vault(await self.store.load_map(exchange.person, conversation))
            try:
                outbound = await self._made_safe(vault, body, exchange, may)
            finally:
                exchange.hidden, exchange.generalised = vault.hidden, vault.generalised
                exchange.kept += vault.kept
            if exchange.kept:
                raise kept_by_policy(exchange.kept)
            if vault.changed:
                # Saved before anything is sent: after a crash the same value still has the same placeholder.
                await self.store.save_map(exchange.person, conversation, vault.dump())
        exchange.outbound, exchange.label = outbound, self._label(exchange)

    async def _get_ready(self, may: Disclosure) -> None:
        """The gazetteer is read at the first request whose places may leave in coarser words: not on the event loop."""
        if not self.generaliser.is_ready and may.wants(PLACE_RUNGS, ("PLACE", "ADDRESS")):
            await asyncio.to_thread(self.generaliser.get_ready)

    async def _made_safe(self, vault: Vault, body: Mapping[str, Any], exchange: Exchange, may: Disclosure) -> Outbound:
        media = self.privacy.media
        rule = may.keeps_media() if media == "send" else None
        return await vault.seal(
            body,
            self.detector,
            values=exchange.private_values,
            media=f"kept by the policy ({rule})" if rule else media,
            max_chars=self.privacy.max_chars,
            public=[fact.text for fact in exchange.facts if fact.label is Label.PUBLIC],
            terms=may,
            generaliser=self.generaliser,
        )

    def _label(self, exchange: Exchange) -> Label:
        found = {hidden.kind for hidden in exchange.hidden}
        found |= {told.kind for told in exchange.generalised if told.was != PUBLIC}
        if found & self.sensitive:
            return Label.SENSITIVE
        return Label.PERSONAL if found else Label.PUBLIC

    def _lock(self, person: Person, conversation: str) -> asyncio.Lock:
        """One lock a conversation: two requests at once must not give one placeholder to two values."""
        key = (person, conversation)
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._locks.move_to_end(key)
        for old in list(self._locks)[: max(0, len(self._locks) - LOCKS_KEPT)]:
            if not self._locks[old].locked():
                del self._locks[old]
        return lock


def outbound_body(exchange: Exchange, cloud_model: str, may: Disclosure) -> dict[str, Any]:
    """The request as the cloud would get it, before anything is hidden: facts that may not leave are left out."""
    body = dict(exchange.request.body)
    body["messages"] = _disclosable_messages(exchange, may)
    body["model"] = cloud_model
    if exchange.request.stream:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return body


def _disclosable_messages(exchange: Exchange, may: Disclosure) -> list[Message]:
    passing = tuple(fact for fact in exchange.chosen if may.passes(fact))
    if len(passing) == len(exchange.chosen):
        return exchange.messages
    return compose(exchange.request.messages, passing)


def conversation_key(exchange: Exchange) -> str:
    """Names a conversation: the caller's own name for it, else its first words (they come back with each turn)."""
    named = exchange.request.conversation
    if named is not None:
        return "named:" + hashlib.sha256(named.encode()).hexdigest()
    first = next((m for m in exchange.request.messages if m.get("role") == "user"), exchange.request.messages[0])
    return "first:" + hashlib.sha256(text_of(first.get("content")).encode()).hexdigest()
