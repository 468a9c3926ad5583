"""desensitize: the only place where an `Outbound` is asked for. Any failure means that there is none.

restore: the person's own words back in place of the placeholders, while the answer streams.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from netgpt.completion.compose import Placement, compose
from netgpt.constraints.asking import (
    WITHDRAWN,
    asks_for_options,
    has_notes,
    language_asked,
    with_sentence,
    without_notes,
)
from netgpt.constraints.stream import may_be_chosen
from netgpt.context import SENSITIVE_KIND, private_values
from netgpt.dialects.clouds import encoder_of
from netgpt.errors import NetGPTError, PayloadTooLarge, PrivacyError, RequestError
from netgpt.exchange import Exchange
from netgpt.outbound import Encoder, Outbound, SaidBody
from netgpt.policy import Destination, Disclosure, Policy, principal_of
from netgpt.privacy.aside import Aside, is_light
from netgpt.privacy.detector import CachingDetector, Detector
from netgpt.privacy.generalize import PLACE_LEVELS, Generaliser
from netgpt.privacy.kinds import family, hierarchy
from netgpt.privacy.masking import PUBLIC, kept_by_policy
from netgpt.privacy.restore import Account, restore_chunks
from netgpt.privacy.stated import CoarserFact, coarser_fact, stated_kind
from netgpt.privacy.turns import ASKED_BY
from netgpt.privacy.vault import Vault, readdressed
from netgpt.routing.candidates import asked_target, last_user_text
from netgpt.settings.sections import Cloud, ConstraintSettings, Privacy
from netgpt.store.store import Store
from netgpt.types import Fact, Generalised, Hidden, Kept, Label, Message, Person

LOCKS_KEPT = 1_000
_WAITS = 3
"""Times `privacy.timeout_s` in which all is hidden: what is searched is searched twice, and others go first."""
NO_FACTS: Mapping[Fact, CoarserFact] = MappingProxyType({})
_LARGE_MAP = 20_000
"""Bytes of a conversation's map that is not read on the event loop."""


class Desensitize:
    """Makes the outbound bodies: the person's words, only the facts that may leave, every private value written as the
    policy lets it. Each model elsewhere is a destination of its own; those with the same terms share one body."""

    name = "desensitize"
    reads = frozenset({"person", "facts", "consents", "private_values", "chosen", "messages"})
    reads_if_written = frozenset({"completion"})
    writes = frozenset(
        {
            "vault", "outbound", "outbounds", "block_reason", "kept_for", "hidden", "generalised", "kept", "policy",
            "label",
        }
    )  # fmt: skip

    def __init__(
        self,
        store: Store,
        detector: Detector,
        remotes: Mapping[str, Cloud],
        privacy: Privacy,
        *,
        names: Mapping[str, str],
        policy: Callable[[], Policy],
        constraints: ConstraintSettings | None = None,
        generaliser: Generaliser | None = None,
    ) -> None:
        """`remotes`: the settings of every model elsewhere, by its target's name. `names`: which target a model's name
        asks for. `policy`: gives the rules in force, which may change at any time. `constraints`: whether
        requests for suggestions leave with the sentence that asks for options. `generaliser`: one that is made ready
        elsewhere."""
        self.store, self.detector, self.remotes, self.privacy = store, detector, remotes, privacy
        self.names, self.policy = names, policy
        self.constraints = constraints or ConstraintSettings(enabled=False)
        self.destinations = {
            target: Destination.of(remote.base_url, remote.model, remote.region, remote.purpose)
            for target, remote in remotes.items()
        }
        self.encoders = {target: encoder_of(remote) for target, remote in remotes.items()}
        self.generaliser = generaliser or Generaliser()
        self.sensitive = frozenset({SENSITIVE_KIND, *privacy.sensitive_kinds})
        self._locks: OrderedDict[tuple[Person, str], asyncio.Lock] = OrderedDict()
        self._aside = Aside()
        self._reading: asyncio.Future[None] | None = None

    async def __call__(self, exchange: Exchange) -> None:
        exchange.vault, exchange.outbound, exchange.block_reason = None, None, None
        exchange.outbounds, exchange.kept_for = {}, {}
        exchange.hidden, exchange.generalised = (), ()
        exchange.policy, exchange.label = "", Label.PUBLIC
        asked = asked_target(exchange.request.model, self.names)
        wanted = self._wanted(exchange, asked)
        if not wanted:
            exchange.kept = self._disclosure(exchange, asked, next(iter(self.destinations), "")).keeps_facts(
                exchange.chosen
            )
            return
        exchange.policy = self.policy().title
        ASKED_BY.set(exchange.caller.key_id or exchange.caller.tenant)
        sealing = Sealing(exchange, {target: self._disclosure(exchange, asked, target) for target in wanted})
        sealing.room = self._room(exchange)
        limit_s = _WAITS * self.privacy.timeout_s + 1
        try:
            # The wait for another request of the same conversation counts too.
            async with asyncio.timeout(limit_s):
                await self._seal(sealing)
        except TimeoutError:
            sealing.fail(
                f"hiding took longer than {limit_s:g} s, so nothing leaves "
                "(raise privacy.timeout_s or shorten the request)"
            )
        except (PrivacyError, PayloadTooLarge) as error:
            sealing.fail(error.message)
        if sealing.unsayable and not sealing.made and len(sealing.unsayable) == len(wanted):
            raise next(iter(sealing.unsayable.values()))
        sealing.write(self._label)

    def _wanted(self, exchange: Exchange, asked: str) -> list[str]:
        """The targets that a body is sealed for; `kept_for` says why the others get nothing."""
        if not self.remotes:
            exchange.block_reason = "no cloud is configured"
            return []
        if asked == "edge":
            exchange.block_reason = "the caller asked for the edge"
            exchange.kept_for = dict.fromkeys(self.remotes, exchange.block_reason)
            return []
        wanted = [asked] if asked in self.remotes else list(self.remotes)
        exchange.kept_for = {target: f"the caller asked for {asked}" for target in self.remotes if target not in wanted}
        return wanted

    def _room(self, exchange: Exchange) -> str:
        """The language of the sentence that asks for options; "" without it. It hangs on the words of the request,
        and on whether there is a profile, not on what is in it."""
        asked, rules = exchange.request, self.constraints
        if not (rules.enabled and asked.constraints) or rules.ask == "never" or WITHDRAWN in exchange.consents:
            return ""
        if rules.ask == "profile" and not any(fact.source == "profile" for fact in exchange.facts):
            return ""
        text = last_user_text(asked.messages, must_end=True)
        wanted = may_be_chosen(asked.body) and (asked.body.get("n") or 1) == 1 and asks_for_options(text)
        return (language_asked(text) or "") if wanted else ""

    def _disclosure(self, exchange: Exchange, asked: str, target: str) -> Disclosure:
        facts = {fact.kind.upper() for fact in exchange.facts if fact.label is Label.SENSITIVE}
        return Disclosure(
            self.policy(),
            principal_of(exchange.caller, exchange.person.user),
            self.destinations.get(target) or Destination(),
            hierarchy=hierarchy,
            family=family,
            consent=exchange.consents,
            asked="auto" if asked in ("auto", "edge") else "cloud",
            sensitive=self.sensitive | facts if facts else self.sensitive,
        )

    async def _seal(self, sealing: Sealing) -> None:
        """Raises PrivacyError: no destination can be served."""
        masked = []
        for target, may in sealing.towards.items():
            facts = may.keeps_facts(sealing.exchange.chosen)
            if nothing := may.keeps_text():
                sealing.keep(target, kept_by_policy(nothing), facts + nothing)
            elif self.remotes[target].trusted:
                remote = self.remotes[target]
                body = outbound_body(sealing.exchange, remote.model, may, sealing.room) | own_words(remote)
                options = {"trusted": True, "encode": sealing.in_dialect(target, self.encoders[target])}
                try:
                    sealing.made[target] = await self._sealed(Vault(), body, self.detector, options)
                except Unsayable:
                    continue
                sealing.left_out[target] = facts
            else:
                masked.append(target)
        if not masked:
            return
        await self._get_ready(sealing.towards[masked[0]])
        conversation = conversation_key(sealing.exchange)
        if conversation is None:
            await self._mask_all(sealing, masked, Vault())
            return
        person = sealing.exchange.person
        async with self._lock(person, conversation), self.store.turn_with(person, conversation):
            known = await self.store.load_map(person, conversation)
            is_large = known is not None and len(known) > _LARGE_MAP
            vault = await asyncio.to_thread(Vault, known) if is_large else Vault(known)
            await self._mask_all(sealing, masked, vault)
            if vault.changed and any(target in sealing.made for target in masked):
                # Saved before anything is sent: after a crash the same value still has the same placeholder.
                await self.store.save_map(person, conversation, await asyncio.to_thread(vault.dump))

    async def _mask_all(self, sealing: Sealing, targets: Sequence[str], vault: Vault) -> None:
        sealing.exchange.vault = vault
        # for several destinations, findings are cached
        detector = self.detector if len(targets) == 1 else CachingDetector(self.detector)
        sealing.model = self.remotes[targets[0]].model
        for target in targets:
            await self._mask(sealing, target, vault, detector)

    async def _mask(self, sealing: Sealing, target: str, vault: Vault, detector: Detector) -> None:
        """One destination: as another with the same terms, or made safe anew."""
        may, remote = sealing.towards[target], self.remotes[target]
        if (alike := sealing.alike(may, remote)) is not None:
            sealing.address(target, alike, remote, self.encoders[target])
            return
        kept = may.keeps_facts(sealing.exchange.chosen)
        coarser = await self._coarser(sealing.exchange, may)
        body = outbound_body(sealing.exchange, sealing.model, may, sealing.room, coarser)
        try:
            outbound = await self._made_safe(vault, detector, body, sealing.exchange, may, remote.pass_fields, coarser)
            if kept:
                raise kept_by_policy(kept)
        except (PrivacyError, PayloadTooLarge) as error:
            sealing.keep(target, error, kept + vault.kept, vault)
            return
        sealing.masked.append((may, frozenset(remote.pass_fields), outbound))
        sealing.address(target, outbound, remote, self.encoders[target])

    async def _coarser(self, exchange: Exchange, may: Disclosure) -> dict[Fact, CoarserFact]:
        """The chosen personal facts that leave in coarser words. The gazetteer is read for the first place."""
        found: dict[Fact, CoarserFact] = {}
        for fact in exchange.chosen:
            kind = stated_kind(fact) if fact.source == "profile" and fact.label is Label.PERSONAL else None
            if kind is None or may.passes(fact):
                continue
            is_place = any(level in PLACE_LEVELS for level, _ in may.of_stated(kind).allowed)
            if is_place and not await self._knows_places():
                continue
            values = [value for _, value in private_values([fact])]
            if (made := coarser_fact(fact, values, may.of_stated, self.generaliser)) is not None:
                found[fact] = made
        return found

    async def _knows_places(self) -> bool:
        """Whether the gazetteer is there in time: without it a stated place is left out."""
        if not self.generaliser.is_ready:
            self._reading = self._reading or asyncio.ensure_future(asyncio.to_thread(self.generaliser.get_ready))
            with suppress(TimeoutError, PrivacyError):
                await asyncio.wait_for(asyncio.shield(self._reading), self.privacy.timeout_s)
        return self.generaliser.is_ready

    async def _get_ready(self, may: Disclosure) -> None:
        """The gazetteer is read at the first request whose places may leave in coarser words: not on the event loop."""
        if not self.generaliser.is_ready and may.wants(PLACE_LEVELS, ("PLACE", "ADDRESS")):
            await asyncio.to_thread(self.generaliser.get_ready)

    async def _made_safe(
        self,
        vault: Vault,
        detector: Detector,
        body: Mapping[str, Any],
        exchange: Exchange,
        may: Disclosure,
        passes: Collection[str],
        coarser: Mapping[Fact, CoarserFact],
    ) -> Outbound:
        said = frozenset[str]().union(*(each.words for each in coarser.values()))
        media = self.privacy.media
        rule = may.keeps_media() if media == "send" else None
        options = {
            "values": [pair for pair in exchange.private_values if pair[1].casefold() not in said],
            "media": f"kept by the policy ({rule})" if rule else media,
            "max_chars": self.privacy.max_chars,
            "public": [fact.text for fact in exchange.facts if fact.label is Label.PUBLIC]
            + [each.fact.text for each in coarser.values()],
            "stated": [each.account for each in coarser.values()],
            "terms": may,
            "generaliser": self.generaliser,
            "passes": passes,
            "exceptions": await self.store.exceptions.words(exchange.person.tenant),
            "languages": self.privacy.languages,
            "public_figures": self.privacy.public_figures,
        }
        return await self._sealed(vault, body, detector, options)

    async def _sealed(
        self, vault: Vault, body: Mapping[str, Any], detector: Detector, options: Mapping[str, Any]
    ) -> Outbound:
        """What is long is sealed beside the event loop."""
        if is_light(body):
            return await vault.seal(body, detector, **options)
        return await self._aside.run(
            lambda of_thread: vault.seal(body, of_thread, **options), detector, _WAITS * self.privacy.timeout_s
        )

    def _label(self, outbound: Outbound) -> Label:
        found = {hidden.kind for hidden in outbound.hidden}
        found |= {value.kind for value in outbound.generalised if value.was != PUBLIC}
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


class Unsayable(Exception):
    """A dialect cannot say the request; `Sealing.unsayable` has why."""


class Sealing:
    """The outbound bodies of one request, destination by destination."""

    def __init__(self, exchange: Exchange, towards: Mapping[str, Disclosure]) -> None:
        self.exchange, self.towards = exchange, towards
        self.made: dict[str, Outbound] = {}
        self.room = ""
        """The language of the sentence that asks for options, where it is added."""
        self.model = ""
        """The model's name that stands in all bodies while they are made safe, so that they are searched once."""
        self.masked: list[tuple[Disclosure, frozenset[str], Outbound]] = []
        """What was made safe, on which terms, and which fields passed."""
        self.unsayable: dict[str, RequestError] = {}
        """Targets whose dialect cannot say the request, with the field in which it cannot."""
        self.left_out: dict[str, tuple[Kept, ...]] = {}
        """Facts that were left out of what goes to the owner's own server as it is: the box answers better."""
        self._kept: dict[str, tuple[Kept, ...]] = {}
        self._why: dict[str, str] = {}
        self._account: tuple[tuple[Hidden, ...], tuple[Generalised, ...]] | None = None

    def alike(self, may: Disclosure, remote: Cloud) -> Outbound | None:
        """What was made for a destination with the same terms."""
        for other, passes, outbound in self.masked:
            if may.same_as(other) and passes == frozenset(remote.pass_fields):
                return outbound
        return None

    def address(self, target: str, outbound: Outbound, remote: Cloud, encode: Encoder) -> None:
        """What was made safe, in the target's dialect, for its model; nothing, where the dialect cannot say it."""
        with suppress(Unsayable):
            also, said = own_words(remote), self.in_dialect(target, encode)
            same = not also and self.model == remote.model and remote.dialect == "openai"
            self.made[target] = outbound if same else readdressed(outbound, remote.model, also, said)

    def in_dialect(self, target: str, encode: Encoder) -> Encoder:
        """`encode`, with a note of what it cannot say. It raises Unsayable then."""

        def noted(body: Mapping[str, Any]) -> SaidBody:
            try:
                return encode(body)
            except RequestError as error:
                self.unsayable[target] = error
                self.keep(target, error, ())
                raise Unsayable from None

        return noted

    def keep(self, target: str, why: NetGPTError, kept: tuple[Kept, ...], vault: Vault | None = None) -> None:
        """Nothing goes there; what was found is reported all the same."""
        self._why[target], self._kept[target] = why.message, kept
        if vault is not None and self._account is None:
            self._account = vault.hidden, vault.generalised

    def fail(self, why: str) -> None:
        """Nothing goes anywhere."""
        self.made = {}
        self._why = dict.fromkeys(self.towards, why)

    def write(self, label_of: Callable[[Outbound], Label]) -> None:
        """Write the exchange's fields: the first destination that gets something speaks for all."""
        exchange, first = self.exchange, next(iter(self.towards))
        # in the order of the settings
        exchange.outbounds = {target: self.made[target] for target in self.towards if target in self.made}
        exchange.kept_for = {**exchange.kept_for, **self._why}
        if not exchange.outbounds:
            exchange.block_reason = self._why.get(first)
            exchange.kept = self._kept.get(first) or self.towards[first].keeps_facts(exchange.chosen)
            exchange.hidden, exchange.generalised = self._account or ((), ())
            exchange.label = Label.SENSITIVE
            return
        left_out = [self.left_out.get(target, ()) for target in exchange.outbounds]
        exchange.kept = left_out[0] if all(left_out) else ()
        exchange.outbound = outbound = next(iter(exchange.outbounds.values()))
        exchange.hidden, exchange.generalised = outbound.hidden, outbound.generalised
        exchange.label = max((label_of(each) for each in exchange.outbounds.values()), key=lambda label: label.rank)


def own_words(remote: Cloud) -> dict[str, Any]:
    """Tells a neighbour not to complete the request: it knows another place."""
    return {"netgpt": {"complete": "off"}} if remote.is_neighbour else {}


def outbound_body(
    exchange: Exchange, model: str, may: Disclosure, room: str, coarser: Mapping[Fact, CoarserFact] = NO_FACTS
) -> dict[str, Any]:
    """The request as that model would get it, before anything is hidden: facts that may not leave are left out.
    `room`: the language of the sentence that asks for options; "": without it. `coarser`: facts that leave so."""
    stated = {fact: each.fact for fact, each in coarser.items()}
    passing = tuple(stated.get(fact, fact) for fact in exchange.chosen if fact in stated or may.passes(fact))
    written = exchange.get("completion") or {}
    place: Placement = written.get("placement_elsewhere", "after")
    alike = written.get("rewritten") or place == written.get("placement", "after")
    all_pass = alike and passing == exchange.chosen
    messages = exchange.messages if all_pass else compose(exchange.request.messages, passing, place)
    messages = _leaving_room(messages, room)
    body = {**exchange.request.body, "messages": messages, "model": model}
    if exchange.request.stream:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return body


def _leaving_room(messages: list[Message], room: str) -> list[Message]:
    """With the sentence, and without what the box wrote under earlier answers."""
    messages = without_notes(messages) if has_notes(messages) else messages
    return with_sentence(messages, room) if room else messages


def conversation_key(exchange: Exchange) -> str | None:
    """Names a conversation that the caller named, under the caller's key; None: it named none.

    Nothing is guessed: two people begin with the same words. Without a name the pseudonyms are made anew from what each
    call repeats, in the order in which it is read.
    """
    named = exchange.request.conversation
    if named is None:
        return None
    return "of key:" + hashlib.sha256(f"{exchange.caller.key_id or ''}\0{named}".encode()).hexdigest()


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
