"""The model of relevance on this box: opened where encoder and weights are, and what it read of facts, kept.

The vectors of a profile's facts are made in the background, when a fact is written (by another process: some seconds
later) and at the start of those that have none; each request finds them in memory or in the store.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from netgpt.app.embeddings import Embeddings
from netgpt.completion.relevance import Relevance, TextVectors, wording
from netgpt.constraints.learnt import FactReader
from netgpt.encoder import MOST_TOKENS
from netgpt.errors import ModelUnavailable, StoreError
from netgpt.models.base import Health
from netgpt.store.store import Store
from netgpt.types import Fact, Person

log = logging.getLogger(__name__)

BUNDLED: Final = "relevance.safetensors"
"""In the package, beside `completion/relevance.py`: a delta of the sentence encoder, with the head."""
READING: Final = "reading.safetensors"
"""The same, beside `constraints/learnt.py`: what reads what a private fact rules out."""
LOOK_EVERY_S: Final = 10.0
"""Seconds between looks for facts that another process wrote."""
_A_LOOK: Final = 64
_AT_ONCE: Final = 4
"""Facts that are read in one piece of work: 25 ms of one core."""
_LONGEST_PAUSE_S: Final = 0.1


@dataclass(frozen=True)
class OpenedRelevance:
    """The model, or why there is none, in a few words. `health`: what `/readyz` and `netgpt doctor` say of it."""

    model: Relevance | None
    without: str = ""
    off: bool = False
    """Nobody wanted it."""

    @property
    def health(self) -> Health:
        if self.model is not None:
            return Health(True, "it chooses among facts")
        return Health(self.off, f"{self.without}: facts are chosen by their kinds, less well")


async def open_relevance(embeddings: Embeddings, weights: str) -> OpenedRelevance:
    """`embeddings` were started; `weights`: see the setting `completion.relevance`. Files that cannot be used are
    logged."""
    if weights == "off":
        return OpenedRelevance(None, "completion.relevance is off", off=True)
    if embeddings.encoder is None:
        return OpenedRelevance(None, "the sentence encoder is not there")
    relevance = Relevance(embeddings.encoder.with_delta(_file(weights), most_tokens=MOST_TOKENS))
    try:
        await asyncio.to_thread(relevance.load)
    except ModelUnavailable as error:
        log.warning("completion: %s", error.message)
        return OpenedRelevance(None, "the weights of relevance cannot be used")
    return OpenedRelevance(relevance)


async def open_reader(embeddings: Embeddings) -> FactReader | None:
    """What reads facts that no rule of `netgpt.constraints` reads; None where the encoder or the weights are not there,
    which is logged."""
    if embeddings.encoder is None:
        return None
    weights = Path(str(resources.files("netgpt.constraints").joinpath(READING)))
    reader = FactReader(embeddings.encoder.with_delta(weights, most_tokens=MOST_TOKENS))
    try:
        await asyncio.to_thread(reader.load)
    except ModelUnavailable as error:
        log.warning("constraints: %s", error.message)
        return None
    return reader


def _file(weights: str) -> Path:
    bundled = resources.files("netgpt.completion").joinpath(BUNDLED)
    return Path(str(bundled)) if weights == "bundled" else Path(weights).expanduser()


class RelevanceService:
    """The model, the vectors that it needs, and how both are. `on_open` gets the model, or why there is none."""

    def __init__(
        self, store: Store, embeddings: Embeddings, weights: str, on_open: Callable[[Relevance | None, str], None]
    ) -> None:
        self.model: Relevance | None = None
        self._store, self._embeddings, self._weights, self._on_open = store, embeddings, weights, on_open
        self._state = OpenedRelevance(None, "not read yet").health
        self._wake = asyncio.Event()
        self._unreadable: set[Person] = set()

    def health(self) -> Health:
        """Not `ok`: facts are chosen by their kinds, and the detail says why."""
        return self._state

    async def start(self) -> None:
        """Open the model. What keeps it from being read is logged, never raised."""
        opened = await open_relevance(self._embeddings, self._weights)
        self.model, self._state = opened.model, opened.health
        self._on_open(opened.model, opened.without)

    async def of_person(self, person: Person) -> Mapping[str, TextVectors]:
        """All vectors that are kept of the person's facts, by wording; in memory from then on. A store that fails gives
        none: they can be made anew."""
        model = self.model
        if model is None:
            return {}
        since = model.forgotten
        try:
            rows = dict(await self._store.facts(person))
            kept = await self._store.vectors.of_person(person, model.identity)
        except StoreError as error:
            log.warning("completion: vectors of facts cannot be read: %s", error.message)
            return {}
        if len(kept) < len(rows):
            self._wake.set()
        return await asyncio.to_thread(_opened, model, rows, kept, since)

    def written(self) -> None:
        """A fact was written: read it before somebody waits for it."""
        self._wake.set()

    def forget(self) -> None:
        """Drop all vectors from memory."""
        if self.model is not None:
            self.model.forget()

    async def run(self) -> None:
        """Read what has no vectors yet, again and again, until cancelled."""
        if self.model is None:
            return
        while True:
            self._wake.clear()
            try:
                while await self._read_some(self.model):
                    pass
            except StoreError as error:
                log.warning("completion: vectors of facts cannot be kept: %s", error.message)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_EVERY_S)

    async def _read_some(self, model: Relevance) -> bool:
        """Read and keep some. False: there were none, or none that can be kept."""
        kept = 0
        for person, ids in (await self._store.vectors.missing(model.identity, _A_LOOK, self._unreadable)).items():
            try:
                known = dict(await self._store.facts(person))
            except StoreError:  # a row that somebody changed: `netgpt store check` names it
                self._unreadable.add(person)
                continue
            made = await self._made(model, {id: _worded(known[id]) for id in ids if id in known})
            kept += await self._store.vectors.save(person, model.identity, made)
        return kept > 0

    async def _made(self, model: Relevance, texts: Mapping[str, str]) -> dict[str, bytes]:
        """Vectors by the fact's id, taking half of one core's time."""
        made: dict[str, bytes] = {}
        ids = list(texts)
        for at in range(0, len(ids), _AT_ONCE):
            started = time.monotonic()
            made |= await asyncio.to_thread(_packed, model, {id: texts[id] for id in ids[at : at + _AT_ONCE]})
            await asyncio.sleep(min(_LONGEST_PAUSE_S, time.monotonic() - started))
        return made


def _worded(fact: Fact) -> str:
    return wording(fact.kind, fact.text)


def _packed(model: Relevance, texts: Mapping[str, str]) -> dict[str, bytes]:
    ready = model.ready(list(texts.values()))
    new = dict.fromkeys(text for text in texts.values() if text not in ready)
    ready |= zip(new, model.read(list(new)), strict=True)
    return {id: ready[text].packed() for id, text in texts.items()}


def _opened(
    model: Relevance, facts: Mapping[str, Fact], kept: Mapping[str, bytes], since: int
) -> dict[str, TextVectors]:
    found = {}
    for id, data in kept.items():
        if id in facts:
            with suppress(ValueError):  # of another size than these weights make: read anew
                found[_worded(facts[id])] = model.unpacked(data)
    model.keep(found, since)
    return found
