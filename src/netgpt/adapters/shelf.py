"""The adapters as they stand: for looking only. Takes no lock, and every look sees what others changed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netgpt.adapters.card import Card, State
from netgpt.adapters.edge_weights import EdgeWeights
from netgpt.adapters.folder import CARD, WEIGHTS, file_mark, read_card
from netgpt.adapters.index import AdapterIndex, Index, NameRecord, VersionRecord
from netgpt.adapters.people import share_point
from netgpt.adapters.states import before, with_shipped
from netgpt.errors import NetGPTError, NotFound, RequestError
from netgpt.models.files import file_sha256
from netgpt.types import Person

__all__ = ["Entry", "Shelf", "find", "next_version", "split"]

ID: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,63})@([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Entry:
    """One version of an adapter: what it is (`card`), where its weights are (`path`), and where it stands."""

    card: Card
    path: Path
    state: State
    shipped: bool = False
    """It came with the package: read-only."""
    pinned: bool = False
    """Kept resident in the engine, and safe from removal."""
    share: float | None = None
    """Of a canary: the part of the people that it answers."""
    why: str = ""
    """Why it was rejected."""
    fits: bool = True
    """Whether it is made for the weights that this box serves."""
    fault: str | None = None
    """What is wrong with its files; such an adapter is never served."""

    @property
    def id(self) -> str:
        """`name@version`."""
        return self.card.id

    @property
    def usable(self) -> bool:
        """Whether it may be served."""
        return self.fits and self.fault is None

    @property
    def judged(self) -> bool:
        """Whether it passed the gate, or was in use before, or came with the package."""
        gate = self.card.metrics.get("gate")
        passed = isinstance(gate, dict) and gate.get("passed") is True
        return passed or self.shipped or self.state in (State.CANARY, State.ACTIVE, State.RETIRED)


class Shelf:
    """All adapters in `folder`, and the `shipped` ones (folders). With `base`, only what is made for it is usable."""

    def __init__(self, folder: Path, shipped: Sequence[Path] = (), *, base: EdgeWeights | None = None) -> None:
        self.folder, self.base = folder, base
        cards = {(card.name, card.version): card for card in (read_card(path / CARD) for path in shipped)}
        self._shipped = dict(zip(cards, shipped, strict=True))
        self._index = AdapterIndex(folder, lambda index: with_shipped(index, cards))
        self._cards: dict[Path, tuple[tuple[int, ...] | None, Card]] = {}
        self._hashes: dict[Path, tuple[tuple[int, ...], str]] = {}

    def list(self) -> list[Entry]:
        """Every version, by name and number; a changed weights file shows only once it was read (`show`, `active`)."""
        found = []
        for name, record in sorted(self._index.read().names.items()):
            for number in sorted(record.versions):
                with contextlib.suppress(NetGPTError):  # its card is gone or damaged: `damaged` tells
                    found.append(self._entry(name, number, record))
        return found

    def damaged(self) -> dict[str, str]:
        """Versions whose card cannot be read, and why. They are never served, and can only be removed."""
        faults = {}
        for name, record in self._index.read().names.items():
            for number in record.versions:
                try:
                    self._card(name, number)
                except NetGPTError as error:
                    faults[f"{name}@{number}"] = error.message
        return faults

    def show(self, id_or_name: str) -> Entry:
        """One version; for a name its active version, else its newest. Reads its weights. Raises NotFound."""
        index = self._index.read()
        record = index.names.get(id_or_name)
        if record is not None and record.versions:
            number = record.holder(State.ACTIVE) or max(record.versions)
            return self._verified(self._entry(id_or_name, number, record))
        name, number = find(index, id_or_name)
        return self._verified(self._entry(name, number, index.names[name]))

    def resolve(self, id: str) -> Entry:
        """A version that may be served: whole, unchanged, made for this base. Raises NotFound, RequestError."""
        entry = self.show(id)
        if entry.fault:
            raise RequestError(f"{entry.id}: {entry.fault}. Remove it, and train or add it again.")
        if not entry.fits and self.base:
            raise RequestError(f"{entry.id} is made for other weights ({entry.card.base}) than {self.base.name}.")
        return entry

    def active(self, name: str, person: Person | None = None) -> Entry | None:
        """Whose answers count now: the canary for its share of the people, else the active version.

        A version that is damaged or made for other weights is passed over: the box goes on without it.
        """
        record = self._index.read().names.get(name)
        if record is None:
            return None
        canary = record.holder(State.CANARY)
        if canary is not None and person is not None:
            chosen = share_point(person, f"{name}@{canary}") < (record.versions[canary].share or 0.0)
            if chosen and (entry := self._usable(name, canary, record)) is not None:
                return entry
        number = record.holder(State.ACTIVE)
        return None if number is None else self._usable(name, number, record)

    def previous(self, name: str) -> Entry | None:
        """What `rollback` of the active version would bring back: kept loaded, so that it takes no time."""
        record = self._index.read().names.get(name)
        number = None if record is None else before(record)
        return None if record is None or number is None else self._usable(name, number, record)

    def generation(self) -> int:
        """A number that changes whenever anything in the registry changed. One `stat`."""
        return self._index.generation()

    def next_version(self, name: str) -> int:
        """The number that the next version of `name` gets. Numbers of removed versions are not given again."""
        return next_version(self._index.read(), name)

    def _place(self, name: str, number: int) -> Path:
        own = self.folder / name / str(number)
        return self._shipped.get((name, number), own)

    def _card(self, name: str, number: int) -> Card:
        path = self._place(name, number) / CARD
        mark, known = file_mark(path), self._cards.get(path)
        if known is None or mark is None or known[0] != mark:
            known = self._cards[path] = (mark, read_card(path))
        if (known[1].name, known[1].version) != (name, number):
            raise RequestError(f"{path}: the card of {known[1].id}, not of {name}@{number}")
        return known[1]

    def _entry(self, name: str, number: int, record: NameRecord) -> Entry:
        card, version = self._card(name, number), record.versions[number]
        path = self._place(name, number) / WEIGHTS
        return Entry(
            card=card, path=path, state=version.state, shipped=version.shipped, pinned=version.pinned,
            share=version.share, why=version.why, fault=self._fault(path, card, version),
            fits=self.base is None or card.base_sha256 == self.base.sha256,
        )  # fmt: skip

    def _fault(self, path: Path, card: Card, version: VersionRecord) -> str | None:
        """What is known to be wrong, without reading the weights."""
        mark, hashed = file_mark(path), self._hashes.get(path)
        if mark is None:
            return "its weights are missing"
        changed = hashed is not None and hashed[0] == mark and hashed[1] != version.sha256
        if changed or mark[0] != card.bytes or card.weights_sha256 != version.sha256:
            return "its weights or its card were changed after it was registered"
        return None

    def _verified(self, entry: Entry) -> Entry:
        """The entry with its weights compared to what was registered; each state of a file is read once."""
        if entry.fault is not None:
            return entry
        mark, hashed = file_mark(entry.path), self._hashes.get(entry.path)
        if mark is not None and (hashed is None or hashed[0] != mark):
            try:
                hashed = self._hashes[entry.path] = (mark, file_sha256(entry.path))
            except OSError as error:
                return replace(entry, fault=f"its weights cannot be read: {error.strerror}")
        if hashed is None or hashed[1] != entry.card.weights_sha256:
            return replace(entry, fault="its weights were changed after it was registered")
        return entry

    def _usable(self, name: str, number: int, record: NameRecord) -> Entry | None:
        try:
            entry = self._verified(self._entry(name, number, record))
        except NetGPTError:  # no card, no adapter; `damaged` tells
            return None
        return entry if entry.usable else None


def find(index: Index, id: str) -> tuple[str, int]:
    """Name and number of an id that is listed. Raises NotFound that names what there is."""
    name, number = split(id)
    record = index.names.get(name)
    if record is None or not record.versions:
        raise NotFound(f"No adapter {id!r}; see `netgpt adapters list`.")
    if number not in record.versions:
        known = ", ".join(f"{name}@{number}" for number in sorted(record.versions)[-5:])
        raise NotFound(f"No adapter {id!r}; of this name there are: {known}.")
    return name, number


def split(id: str) -> tuple[str, int]:
    """Name and number of an id. Raises NotFound: such a text is no id (a path, for one)."""
    match = ID.fullmatch(id)
    if match is None:
        raise NotFound(f"No adapter {id[:80]!r}; an adapter is called name@version, see `netgpt adapters list`.")
    return match[1], int(match[2])


def next_version(index: Index, name: str) -> int:
    """One above the highest number that the name ever had."""
    record = index.names.get(name)
    return (record.last if record else index.floor) + 1
