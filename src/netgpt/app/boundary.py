"""What passes between the box and an agent: hidden on its way out, put back on its way in.

An agent that runs on some cloud's model gets placeholders; what it writes back of them is known here. One map for each
person, key and conversation, sealed in the store as those of chats are, and forgotten with them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakValueDictionary

from netgpt.app.gateway import Gateway
from netgpt.context import SENSITIVE_KIND, private_values
from netgpt.errors import DetectorError, NotDisclosable
from netgpt.outbound import Outbound
from netgpt.policy import Destination, Disclosure, principal_of
from netgpt.privacy.aside import Aside, is_light
from netgpt.privacy.generalize import PLACE_LEVELS, Generaliser
from netgpt.privacy.kinds import CLOSING, EXACT, OPENING, ORDER, SHIFTED, YEARS, family, hierarchy
from netgpt.privacy.masking import kept_by_policy
from netgpt.privacy.restore import Restorer
from netgpt.privacy.turns import ASKED_BY
from netgpt.privacy.variants import Variants, replace_all, variants
from netgpt.privacy.vault import Vault
from netgpt.store.people import standing
from netgpt.types import Caller, Fact, Label, Person

AGENT: Final = "agent"
"""The host that policies are told of what an agent gets: its cloud is not known here."""
_WAITS: Final = 3
_BRACKETS: Final = OPENING + CLOSING
_MOST_KNOWN: Final = 20_000
"""Placeholders of one conversation; more are a flood."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Who is connected: for whom, with which key, and whether its model is the owner's own."""

    caller: Caller
    person: Person
    is_local: bool = False
    conversation: str = ""
    is_box: bool = False
    """Another box, or this one, that offers our tools as its own."""

    @property
    def map_name(self) -> str:
        """Names its map in the store."""
        named = f"{self.caller.key_id or ''}\0{self.conversation}"
        return "of agent:" + hashlib.sha256(named.encode()).hexdigest()


class Boundary:
    """Hides and puts back for agents, with the policy, the detector and the store of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._generaliser = Generaliser()
        self._aside = Aside()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._starting = asyncio.Lock()

    @asynccontextmanager
    async def talk(self, agent: Agent) -> AsyncIterator[Talk]:
        """An agent's conversation, locked: what it learns in the block is kept. Raises StoreError, PrivacyError."""
        person, store = agent.person, self.gateway.store
        name = hashlib.sha256(f"{person.tenant}\0{person.user}\0{agent.map_name}".encode()).hexdigest()
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock, store.turn_with(person, agent.map_name):
            vault = Vault(await store.load_map(person, agent.map_name))
            if len(vault.originals()) > _MOST_KNOWN:
                raise NotDisclosable(
                    f"this conversation has more than {_MOST_KNOWN:,} placeholders: begin another "
                    '(`_meta`: "netgpt/conversation")'
                )
            facts = [fact for _, fact in await store.facts(person)]
            consent = standing(await store.consents.of(person), datetime.now(UTC))
            talk = Talk(self, agent, vault, facts, consent)
            yield talk
            await talk.keep()

    async def seal(self, vault: Vault, body: Mapping[str, Any], options: Mapping[str, Any]) -> Outbound:
        """Raises PrivacyError: nothing may pass."""
        detector, limit_s = self.gateway.detector, _WAITS * self.gateway.settings.privacy.timeout_s
        async with self._starting:
            if not detector.health()[0]:  # a box that sends nothing out has not started it
                await detector.start()
        try:
            async with asyncio.timeout(limit_s + 1):
                if is_light(body):
                    return await vault.seal(body, detector, **options)
                return await self._aside.run(
                    lambda of_thread: vault.seal(body, of_thread, **options), detector, limit_s
                )
        except TimeoutError:
            raise DetectorError(
                f"hiding took longer than {limit_s:g} s, so nothing passes (privacy.timeout_s)"
            ) from None

    async def options(self, agent: Agent, facts: Sequence[Fact], may: Disclosure) -> dict[str, Any]:
        """How the vault is to seal: as for a chat of this person."""
        privacy = self.gateway.settings.privacy
        if not self._generaliser.is_ready and may.wants(PLACE_LEVELS, ("PLACE", "ADDRESS")):
            await asyncio.to_thread(self._generaliser.get_ready)
        return {
            "values": private_values([fact for fact in facts if fact.label is not Label.PUBLIC]),
            "media": "keep",
            "max_chars": privacy.max_chars,
            "public": [fact.text for fact in facts if fact.label is Label.PUBLIC],
            "terms": may,
            "generaliser": self._generaliser,
            "exceptions": await self.gateway.store.exceptions.words(agent.person.tenant),
            "languages": privacy.languages,
            "public_figures": privacy.public_figures,
        }

    def disclosure(
        self, agent: Agent, consent: frozenset[str], tool: str = "", sees: Collection[str] = ()
    ) -> Disclosure:
        """What may pass to the agent, or into the arguments of a tool. Whoever connects a cloud's agent has named that
        cloud."""
        sensitive = {SENSITIVE_KIND, *self.gateway.settings.privacy.sensitive_kinds}
        return Disclosure(
            self.gateway.policy,
            principal_of(agent.caller, agent.person.user),
            Destination(AGENT),
            hierarchy=_levels,
            family=family,
            consent=consent,
            asked="cloud",
            sensitive=frozenset(sensitive),
            tool=tool,
            sees=frozenset(sees),
        )


def _levels(kind: str) -> tuple[str, ...]:
    """Without those in which a value goes moved or sorted: what an agent makes of it would not be moved back."""
    return tuple(level for level in hierarchy(kind) if level not in (SHIFTED, YEARS, ORDER))


class Talk:
    """One conversation of an agent while it is locked."""

    def __init__(
        self, boundary: Boundary, agent: Agent, vault: Vault, facts: Sequence[Fact], consent: frozenset[str]
    ) -> None:
        self.agent = agent
        self._boundary, self._vault, self._facts, self._consent = boundary, vault, facts, consent
        self.sealed: Outbound | None = None
        """What was hidden last, with its account."""

    async def keep(self) -> None:
        """Write down what is new: before anything leaves, so that a value has its placeholder after a crash, too."""
        if self._vault.changed:
            store = self._boundary.gateway.store
            data = await asyncio.to_thread(self._vault.dump)
            await store.save_map(self.agent.person, self.agent.map_name, data)
            self._vault.changed = False

    def put_back(self, value: Any) -> Any:
        """A JSON value with the originals in place of this conversation's placeholders, keys too: for the box itself
        and for local agents."""
        return _replaced(value, dict(self._vault.originals()))

    async def hidden(self, texts: Sequence[str], *, knows: bool = True) -> list[str]:
        """The texts as the agent may have them. A local agent gets them as they are. Raises PrivacyError: the policy,
        or a failure, keeps them here.

        `knows`: placeholders in them are this conversation's, and stay. No original is put in for them before: what
        stands around a value could keep it from being found again.
        """
        if self.agent.is_local or not texts:
            return list(texts)
        # a message for each: parts of one would be read as one text
        said = [{"role": "tool", "tool_call_id": AGENT, "content": text} for text in texts]
        may = self._boundary.disclosure(self.agent, self._consent)
        sealed = await self._seal({"model": AGENT, "messages": said}, may)
        found = [str(message["content"]) for message in sealed["messages"]]
        return [str(text) for text in _replaced(found, self._literals())] if knows else found

    async def masked(self, text: str) -> str:
        """A text as it would leave, for whoever asks to see that; `sealed` has the account."""
        body = {"model": AGENT, "messages": [{"role": "user", "content": text}]}
        sealed = await self._seal(body, self._boundary.disclosure(self.agent, self._consent))
        return str(_replaced(sealed["messages"][0]["content"], self._literals()))

    async def handed_over(self, tool: str, sees: Collection[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as the tool may have them: the originals of the kinds that it may see, the rest as placeholders.
        Raises PrivacyError: something may not be given to it in any form."""
        may = self._boundary.disclosure(self.agent, self._consent, tool, sees)
        kinds = self._vault.used_kinds()
        seen = {kind for kind in kinds if any(level == EXACT for level, _ in may(kind, False).allowed)}
        originals = {name: text for name, text in self._vault.originals().items() if name.rpartition("_")[0] in seen}
        put = _replaced(dict(arguments), originals)
        call = {"id": AGENT, "type": "function", "function": {"name": tool, "arguments": json.dumps(put)}}
        body = {"model": AGENT, "messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}
        sealed = await self._seal(body, may)
        found = json.loads(sealed["messages"][0]["tool_calls"][0]["function"]["arguments"])
        return dict(_replaced(found, self._literals(known=False)))

    def _literals(self, known: bool = True) -> dict[str, str]:
        """What looks like a placeholder is hidden as one; these are its words. `known`: only where they are a
        placeholder of this conversation."""
        originals = self._vault.originals()
        texts = {name: text for name, text in originals.items() if name.startswith("LITERAL_")}
        return {name: text for name, text in texts.items() if not known or text.strip(_BRACKETS) in originals}

    async def _seal(self, body: Mapping[str, Any], may: Disclosure) -> dict[str, Any]:
        if nothing := may.keeps_text():
            raise kept_by_policy(nothing)
        ASKED_BY.set(self.agent.caller.key_id or self.agent.caller.tenant)
        options = await self._boundary.options(self.agent, self._facts, may)
        self.sealed = await self._boundary.seal(self._vault, body, options)
        await self.keep()
        found: dict[str, Any] = json.loads(self.sealed.content)
        return found


def _replaced(value: Any, originals: Mapping[str, str], pattern: Variants | None = None) -> Any:
    """A JSON value with these originals in place of their placeholders, however written, in its keys, too."""
    if not originals:
        return value
    pattern = pattern or variants(Restorer(originals).kinds)
    if isinstance(value, str):
        return replace_all(pattern, value, originals)
    if isinstance(value, list):
        return [_replaced(item, originals, pattern) for item in value]
    if isinstance(value, dict):
        return {_replaced(k, originals, pattern): _replaced(item, originals, pattern) for k, item in value.items()}
    return value
