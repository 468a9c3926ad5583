"""record: what happened, committed before the end of the answer is sent."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, cast

import orjson

from netgpt.errors import NetGPTError, StoreError
from netgpt.exchange import Exchange
from netgpt.models.stream import join_chunks
from netgpt.outbound import Outcome
from netgpt.routing.explain import account_of
from netgpt.settings.sections import Cloud
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store
from netgpt.types import Chunk, Decision, Fact, Usage

log = logging.getLogger(__name__)

Observe = Callable[[Exchange], None]


class Record:
    """Passes the answer through, holds back its last chunk until the row is committed, then lets it go.

    So an answer whose end the caller has seen is in the database, even after `kill -9`. A call that fails or is hung
    up is recorded too.
    """

    name = "record"
    reads = frozenset({"restored"})
    reads_if_written = frozenset(
        {
            "person", "chosen", "messages", "completion", "outbound", "outbounds", "block_reason", "hidden",
            "generalised", "kept", "policy", "label", "decision", "counterfactual", "outcome", "stream", "restoring",
        }
    )  # fmt: skip
    """It also runs where an earlier stage failed. Who hears of ended exchanges sees them as this stage does."""
    writes = frozenset({"chunks", "status", "error", "given"})

    def __init__(
        self, store: Store, remotes: Mapping[str, Cloud], *, keep_text: bool, observe: Observe = lambda _e: None
    ) -> None:
        """`remotes`: the settings of every model elsewhere, by its arm's name: what they cost."""
        self.store, self.remotes, self.keep_text, self.observe = store, remotes, keep_text, observe
        self.look: Callable[[Exchange, list[Chunk]], None] = lambda _exchange, _answer: None
        """Sees every answer once, before its row is written: what can be told of it only by its text."""
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.failure is None:
            exchange.chunks = self._recorded(exchange)
            return
        exchange.error = exchange.failure if isinstance(exchange.failure, Exception) else None
        exchange.status = "failed" if exchange.error else "cancelled"
        await self._save_quietly(exchange, [])

    async def _recorded(self, exchange: Exchange) -> AsyncIterator[Chunk]:
        answer: list[Chunk] = []
        held = _Held()
        try:
            async with aclosing(cast(Any, exchange.restored)) as restored:
                async for chunk in restored:
                    answer.append(chunk)
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
            # The caller hung up: nobody waits for the row any more, so it is written behind the scenes.
            # One that left during the commit of a whole answer changes nothing: that row is on its way.
            if exchange.status == "open":
                exchange.status = "cancelled"
                self._save_late(exchange, answer)
            raise
        for chunk in held.chunks:
            yield chunk

    async def _save(self, exchange: Exchange, answer: list[Chunk]) -> None:
        exchange.note_time("total")
        self.look(exchange, answer)
        try:
            await self.store.save_exchange(row_of(exchange, answer, self.remotes, keep_text=self.keep_text))
        finally:
            # In the loop's next turn: the caller need not wait for the counting.
            asyncio.get_running_loop().call_soon(self.observe, exchange)

    async def _save_quietly(self, exchange: Exchange, answer: list[Chunk]) -> None:
        """The caller is about to be told of another failure: a second one must not hide the first."""
        try:
            await self._save(exchange, answer)
        except StoreError as error:
            log.error("exchange %s could not be recorded: %s", exchange.id, error.message)

    def _save_late(self, exchange: Exchange, answer: list[Chunk]) -> None:
        task = asyncio.get_running_loop().create_task(self._save_quietly(exchange, answer))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def close(self) -> None:
        """Wait for the rows of calls that were hung up."""
        for outcome in await asyncio.gather(*self._late, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("an exchange could not be recorded: unforeseen %s", type(outcome).__name__)


class _Held:
    """The chunks that wait for the row: those that end a choice, and what comes after them, in their order.

    Other choices of the same answer go on meanwhile.
    """

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


def row_of(exchange: Exchange, answer: list[Chunk], remotes: Mapping[str, Cloud], *, keep_text: bool) -> ExchangeRecord:
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
        private=private_of(exchange, answer) if keep_text else None,
    )


def _so_far(exchange: Exchange) -> tuple[Outcome, Decision | None]:
    """What became of it, and the decision (as carried out, else as made), as far as it came."""
    outcome: Outcome | None = exchange.get("outcome")
    decided: Decision | None = outcome.answered_by if outcome else exchange.get("decision")
    return outcome or Outcome(decided or Decision("none", "", "")), decided


def private_of(exchange: Exchange, answer: list[Chunk]) -> dict[str, Any]:
    """All that is told of an exchange beside its figures, as JSON values: also for explanations within an answer."""
    outcome, decided = _so_far(exchange)
    sent, error = outcome.sent, exchange.error
    return {
        "request": dict(exchange.request.body),
        "asked_for": exchange.request.model,
        "facts": [_fact(fact) for fact in exchange.get("chosen", ())],
        "completion": exchange.get("completion"),
        "messages": exchange.get("messages"),
        "outbound": orjson.loads(sent.content) if sent else None,
        "outbound_sha256": hashlib.sha256(sent.content).hexdigest() if sent else None,
        "outbound_rule": sent.rule if sent else None,
        "destination": outcome.destination if sent else None,
        "sent_to": [{"arm": target, "sha256": sha} for target, sha in outcome.sent_to],
        "would_send": _would_send(exchange),
        "kept_because": None if sent else exchange.get("block_reason") or (decided.reason if decided else None),
        "hidden": [asdict(hidden) for hidden in exchange.get("hidden", ())],
        "generalised": [asdict(told) for told in exchange.get("generalised", ())],
        "kept": [asdict(kept) for kept in exchange.get("kept", ())],
        "policy": exchange.get("policy") or None,
        "label": exchange.get("label"),
        "restoring": _restoring(exchange),
        "adapter_note": outcome.adapter_note,
        "notes": exchange.notes,
        "decision": account_of(decided, exchange.get("counterfactual", str)()) if decided else None,
        "answer": join_chunks(answer) if answer else None,
        "error": {"code": error.code, "message": error.message} if isinstance(error, NetGPTError) else None,
    }


def _restoring(exchange: Exchange) -> dict[str, int] | None:
    """Placeholders put back, and those that the model bent or invented so that they stayed in the answer."""
    account = exchange.get("restoring")
    return {"restored": account.restored, "unresolved": account.unresolved} if account else None


def _would_send(exchange: Exchange) -> Any:
    """The body that a dry run did not send."""
    outbound = exchange.get("outbound") if exchange.request.dry_run else None
    return orjson.loads(outbound.content) if outbound else None


def _fact(fact: Fact) -> dict[str, str]:
    return {name: str(getattr(fact, name)) for name in ("text", "kind", "label", "source", "precision")}


def cost_of_all(worked: Mapping[str, Usage], remotes: Mapping[str, Cloud]) -> float:
    """Money for what each model elsewhere did, at its own prices, also where another answered in the end; the box's
    own work costs nothing here."""
    return sum(cost_of(tokens, remotes[target]) for target, tokens in worked.items() if target in remotes)


def cost_of(tokens: Usage, cloud: Cloud) -> float:
    """Money for these tokens at one model's prices."""
    return (tokens.prompt_tokens * cloud.price_prompt + tokens.completion_tokens * cloud.price_completion) / 1e6
