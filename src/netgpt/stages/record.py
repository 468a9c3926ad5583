"""record: what happened, committed before the end of the answer is sent; and the receipts of what leaves."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import fields
from operator import attrgetter
from typing import Any, cast

import orjson

from netgpt.errors import NetGPTError, StoreError
from netgpt.exchange import Exchange
from netgpt.models.base import OutboundRequest, ReceiptHook
from netgpt.models.stream import Joiner
from netgpt.outbound import Outcome
from netgpt.settings.sections import Cloud
from netgpt.store.receipts import NewReceipt
from netgpt.store.rulings import COARSER, HID, KEPT, LET_PASS, rulings_of
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store
from netgpt.types import Chunk, Decision, Expected, Fact, Generalised, Hidden, Kept, Usage

log = logging.getLogger(__name__)


def receipts_in(store: Store, *, keep_text: bool) -> ReceiptHook:
    """Writes a receipt into the store for all that is about to leave. `keep_text=False` keeps digests alone."""

    async def write(request: OutboundRequest) -> None:
        outbound, sender = request.outbound, request.sender
        account = {
            "purpose": sender.purpose,
            "rule": outbound.rule,
            "hidden": _plain(outbound.hidden),
            "generalised": _plain(outbound.generalised),
        }
        await store.receipts.add(
            NewReceipt(
                request.destination, request.model, outbound.content, sender.person, sender.exchange, account,
                keep_text=keep_text,
            ),
            first=store.waiting.departing(sender.claim) if sender.claim is not None else None,
        )  # fmt: skip

    return write


class Record:
    """Passes the answer through and holds back its last chunk until the row is committed: an answer whose end the
    caller has seen is in the database, even after `kill -9`. A call that fails or is hung up is recorded too."""

    name = "record"
    reads = frozenset({"restored"})
    reads_if_written = frozenset(
        {
            "person", "chosen", "messages", "completion", "outbound", "outbounds", "block_reason", "hidden",
            "generalised", "kept", "policy", "label", "decision", "counterfactual", "weighed", "outcome", "stream",
            "restoring", "checked", "choosing",
        }
    )  # fmt: skip
    """It also runs where an earlier stage failed. Listeners see ended exchanges as this stage does."""
    writes = frozenset({"chunks", "status", "error", "given"})

    def __init__(
        self,
        store: Store,
        remotes: Mapping[str, Cloud],
        *,
        keep_text: bool,
        on_ended: Callable[[Exchange], None] = lambda _exchange: None,
    ) -> None:
        """`remotes`: the settings of every model elsewhere, by its target's name: what they cost. `on_ended` is called
        with each exchange after its row is committed."""
        self.store, self.remotes, self.keep_text, self.on_ended = store, remotes, keep_text, on_ended
        self.before_end: list[Callable[[Exchange, Joiner], None]] = []
        """Called with each answer, or what came of it, before its row is written and its end is sent."""
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.failure is None:
            exchange.chunks = self._recorded(exchange)
            return
        exchange.error = exchange.failure if isinstance(exchange.failure, Exception) else None
        exchange.status = "failed" if exchange.error else "cancelled"
        await self._save_quietly(exchange, Joiner())

    async def _recorded(self, exchange: Exchange) -> AsyncIterator[Chunk]:
        answer, held = Joiner(), _Held()
        try:
            async with aclosing(cast(Any, exchange.get("checked") or exchange.restored)) as restored:
                async for chunk in restored:
                    answer.add(chunk)
                    if not held.takes(chunk):
                        exchange.given = exchange.request.stream
                        yield chunk
            exchange.status = "dry_run" if exchange.request.dry_run else "complete"
            await self._save(exchange, answer)
        except StoreError as error:
            exchange.status, exchange.error = "failed", error
            raise
        except Exception as error:
            exchange.status, exchange.error = "failed", error
            await self._save_quietly(exchange, answer)
            raise
        except BaseException:
            # The caller hung up, so the row is written in the background. During the commit of a whole answer the
            # status is no longer "open": that row is on its way.
            if exchange.status == "open":
                exchange.status = "cancelled"
                self._save_late(exchange, answer)
            raise
        for chunk in held.chunks:
            yield chunk

    async def _save(self, exchange: Exchange, answer: Joiner) -> None:
        exchange.note_time("total")
        for hear in self.before_end:
            hear(exchange, answer)
        try:
            keep_text = self.keep_text and exchange.request.keep
            await self.store.save_exchange(row_of(exchange, answer, self.remotes, keep_text=keep_text))
        finally:
            asyncio.get_running_loop().call_soon(self.on_ended, exchange)

    async def _save_quietly(self, exchange: Exchange, answer: Joiner) -> None:
        """As `_save`, but a failure is only logged: the first error must not be hidden by a second one."""
        try:
            await self._save(exchange, answer)
        except StoreError as error:
            log.error("exchange %s could not be recorded: %s", exchange.id, error.message)

    def _save_late(self, exchange: Exchange, answer: Joiner) -> None:
        task = asyncio.get_running_loop().create_task(self._save_quietly(exchange, answer))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def close(self) -> None:
        """Wait for the rows of calls that were hung up."""
        for outcome in await asyncio.gather(*self._late, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("an exchange could not be recorded: unforeseen %s", type(outcome).__name__)


class _Held:
    """The chunks that wait for the row: those that end a choice and all after them; other choices go on meanwhile."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self._ended: set[int] = set()

    def takes(self, chunk: Chunk) -> bool:
        """Whether the chunk has to wait; then it is kept."""
        choices = chunk.get("choices") or ()
        ends = {choice.get("index", 0) for choice in choices if choice.get("finish_reason")}
        self._ended |= ends
        waits = not choices or any(choice.get("index", 0) in self._ended for choice in choices)
        if not waits or not self._ended:
            return False
        if len(choices) > 1:  # what follows of its other choices must not overtake it
            self._ended |= {choice.get("index", 0) for choice in choices}
        self.chunks.append(chunk)
        return True


def row_of(exchange: Exchange, answer: Joiner, remotes: Mapping[str, Cloud], *, keep_text: bool) -> ExchangeRecord:
    """The exchange as it is kept. Texts are under `private`, which the store seals."""
    person, error = exchange.get("person"), exchange.error
    outcome, decided = _so_far(exchange)
    usage = outcome.usage or Usage()
    return ExchangeRecord(
        id=exchange.id,
        tenant=exchange.caller.tenant,
        user=person.user if person else "",
        key_id=exchange.caller.key_id,
        received=exchange.received,
        status=exchange.status,
        model=outcome.model_name or exchange.request.model,
        route=decided.route if decided else "none",
        reason=error.message if isinstance(error, NetGPTError) else decided.reason if decided else "",
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        estimated=usage.estimated,
        cost=cost_of_all(outcome.worked, remotes),
        timings=dict(exchange.timings),
        adapters=exchange.adapters_used(),
        target=decided.name if decided else "",
        finished_by=outcome.finished_by,
        partial=exchange.partial,
        finds=dict(Counter(each.kind for each in exchange.get("hidden", ()))) if outcome.sent else {},
        rulings=_rulings(exchange, left=outcome.sent is not None),
        private=private_of(exchange, answer) if keep_text else None,
    )


def _rulings(exchange: Exchange, *, left: bool) -> dict[tuple[str, str], int]:
    """What each rule of the policy did to it: to what left, or to keep it here."""
    if exchange.request.dry_run:
        return {}
    if not left:
        return rulings_of({KEPT: [(each.policy_rule, 1) for each in exchange.get("kept", ())]})
    coarser = [each for each in exchange.get("generalised", ()) if each.now not in ("exact", each.was)]
    passed = [each for each in exchange.get("generalised", ()) if each.now in ("exact", each.was)]
    return rulings_of(
        {
            HID: [(each.policy_rule, each.count) for each in exchange.get("hidden", ())],
            COARSER: [(each.policy_rule, each.count) for each in coarser],
            LET_PASS: [(each.policy_rule, each.count) for each in passed],
        }
    )


def _so_far(exchange: Exchange) -> tuple[Outcome, Decision | None]:
    """What became of it, and the decision (as carried out, else as made), as far as it came."""
    outcome: Outcome | None = exchange.get("outcome")
    decided: Decision | None = outcome.answered_by if outcome else exchange.get("decision")
    return outcome or Outcome(decided or Decision("none", "", "")), decided


def private_of(exchange: Exchange, answer: Joiner) -> dict[str, Any]:
    """All texts and details of an exchange as JSON values; also for explanations within an answer."""
    outcome, decided = _so_far(exchange)
    sent, error = outcome.sent, exchange.error
    said = {} if exchange.request.said is None else {"said": exchange.request.said}
    return said | {
        "request": dict(exchange.request.body),
        "asked_for": exchange.request.model,
        "conversation": exchange.request.conversation,
        "facts": [_fact(fact) for fact in exchange.get("chosen", ())],
        "completion": exchange.get("completion"),
        "messages": exchange.get("messages"),
        "outbound": orjson.loads(sent.content) if sent else None,
        "left_out": list(sent.left_out) if sent else [],
        "outbound_sha256": hashlib.sha256(sent.content).hexdigest() if sent else None,
        "outbound_rule": sent.rule if sent else None,
        "destination": outcome.destination if sent else None,
        "sent_to": [{"arm": target, "sha256": sha} for target, sha in outcome.sent_to],
        "would_send": _would_send(exchange),
        "kept_because": None if sent else exchange.get("block_reason") or (decided.reason if decided else None),
        "hidden": _plain(exchange.get("hidden", ())),
        "generalised": _plain(exchange.get("generalised", ())),
        "kept": _plain(exchange.get("kept", ())),
        "policy": exchange.get("policy") or None,
        "label": exchange.get("label"),
        "restoring": _restoring(exchange),
        "choosing": choosing.as_dict(with_kinds=True) if (choosing := exchange.get("choosing")) else None,
        "fallback": outcome.fallback or None,
        "adapter_note": outcome.adapter_note,
        "confidence": confidence_as_dict(outcome),
        "notes": exchange.notes,
        "decision": decision_as_dict(decided, exchange.get("counterfactual", str)()) if decided else None,
        "weighed": exchange.weighed() if exchange.has("weighed") else None,
        "answer": None if answer.empty else answer.answer(),
        "error": {"code": error.code, "message": error.message} if isinstance(error, NetGPTError) else None,
    }


def decision_as_dict(decision: Decision, counterfactual: str = "") -> dict[str, Any]:
    """A decision as JSON values: what each target was expected to give, what ruled it out, what would have changed it.

    `counterfactual` stands in where the decision does not hold one.
    """
    return {
        "route": decision.route,
        "arm": decision.name,
        "rule": decision.rule,
        "reason": decision.reason,
        "fallbacks": list(decision.fallbacks),
        "weights": decision.weights,
        "propensity": round(decision.propensity, 4),
        "kind": {"name": decision.kind[0], "chance": round(decision.kind[1], 2)} if decision.kind else None,
        "expected": [expected_as_dict(one) for one in decision.expected],
        "counterfactual": decision.counterfactual or counterfactual,
    }


def confidence_as_dict(outcome: Outcome) -> dict[str, Any] | None:
    """How far the answer may be believed, why, and what was done because of it and at which cost; None: not judged."""
    confidence, acted = outcome.confidence, outcome.acted
    if confidence is None and acted is None:
        return None
    told: dict[str, Any] = {}
    if confidence is not None:
        told = {"chance": round(confidence.chance, 3), "wrong": confidence.wrong, "reasons": list(confidence.reasons)}
    if acted is None:
        return told
    told |= {"acted": acted.how, "held_s": round(acted.held_s, 3)}
    if acted.why:
        told["kept_by"] = acted.why
    if acted.tokens or acted.asked_again:
        told |= {"given_up_tokens": acted.tokens, "given_up_s": round(acted.seconds, 3)}
    if acted.asked_again:
        told["asked_again"] = True
    if acted.start is not None:
        told["start"] = {"chance": round(acted.start.chance, 3), "reasons": list(acted.start.reasons)}
    return told


def _plain(values: Sequence[Hidden | Generalised | Kept]) -> list[dict[str, Any]]:
    """As JSON values; `dataclasses.asdict` takes twenty times as long, and there may be tens of thousands."""
    if not values:
        return []
    names = [each.name for each in fields(values[0])]
    read = attrgetter(*names)
    return [dict(zip(names, read(value), strict=True)) for value in values]


_DIGITS = {"p_ok": 4, "latency_s": 3, "cost": 9, "energy_j": 1, "exposure": 3, "value": 4}


def expected_as_dict(one: Expected) -> dict[str, Any]:
    """What a target was expected to give, as JSON values."""
    figures = {name: round(getattr(one, name), digits) for name, digits in _DIGITS.items()}
    prior = None if one.prior is None else round(one.prior, 4)
    return {"arm": one.target, "route": one.route, **figures, "prior": prior, "ruled_out": one.ruled_out}


def _restoring(exchange: Exchange) -> dict[str, int] | None:
    """Placeholders put back, and those that stay in the answer, by why (`privacy.restore.Account`)."""
    account = exchange.get("restoring")
    return account.as_dict() if account else None


def _would_send(exchange: Exchange) -> Any:
    """The body that a dry run did not send."""
    outbound = exchange.get("outbound") if exchange.request.dry_run else None
    return orjson.loads(outbound.content) if outbound else None


def _fact(fact: Fact) -> dict[str, str]:
    return {name: str(getattr(fact, name)) for name in ("text", "kind", "label", "source", "precision")}


def cost_of_all(worked: Mapping[str, Usage], remotes: Mapping[str, Cloud]) -> float:
    """Money for the work of each model elsewhere, whoever answered in the end; the edge costs nothing."""
    return sum(cost_of(tokens, remotes[target]) for target, tokens in worked.items() if target in remotes)


def cost_of(tokens: Usage, cloud: Cloud) -> float:
    """Money for these tokens at one model's prices."""
    cached = cloud.price_prompt if cloud.price_cached is None else cloud.price_cached
    asked = (tokens.prompt_tokens - tokens.cached_tokens) * cloud.price_prompt + tokens.cached_tokens * cached
    return (asked + tokens.completion_tokens * cloud.price_completion) / 1e6
