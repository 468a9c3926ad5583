"""The registry of adapters: which there are, which is active, and what becomes of them.

    adapters/index.json              states, history, pins, shares of canaries (see adapter_index.py)
    adapters/NAME/VERSION/           adapter.gguf and card.json; immutable but for the card's metrics

Safe for many threads and processes, and against a kill at any moment: a version is made in a hidden folder, checked
there, and named by the index only when it is whole. What a kill leaves behind is deleted by the next change.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from netgpt.adapters import states
from netgpt.adapters.card import Card, State
from netgpt.adapters.check import check_adapter, check_base_named
from netgpt.adapters.edge_weights import EdgeWeights
from netgpt.adapters.file import MAX_BYTES
from netgpt.adapters.folder import CARD, WEIGHTS, copy_plain, delete, put_in_place, staging, sweep, write_card
from netgpt.adapters.index import Index, NameRecord, VersionRecord
from netgpt.adapters.people import digests_of, person_digest, user_adapter_name
from netgpt.adapters.shelf import Entry, Shelf, find, next_version, split
from netgpt.errors import NetGPTError, NotFound, RequestError
from netgpt.types import Person

__all__ = ["Entry", "Registry", "person_digest", "shipped_adapters", "user_adapter_name"]

MAX_COUNT: Final = 1_000

Ids = list[str]


def shipped_adapters() -> list[Path]:
    """The folders of the adapters that came with the package."""
    folders = sorted((Path(__file__).parent / "shipped").glob("*"))
    return [folder for folder in folders if (folder / WEIGHTS).is_file() and (folder / CARD).is_file()]


class Registry(Shelf):
    """Looks (see Shelf) and changes. `secret` is the box's own, for digests of people.

    Every change raises StoreError when the disk is full or the index is damaged, and is on the disk when it returns.
    """

    def __init__(
        self,
        folder: Path,
        shipped: Sequence[Path] = (),
        *,
        base: EdgeWeights | None = None,
        max_bytes: int = MAX_BYTES,
        max_count: int = MAX_COUNT,
        secret: bytes = b"",
    ) -> None:
        super().__init__(folder, shipped, base=base)
        self.max_bytes, self.max_count = max_bytes, max_count
        self._secret = secret

    def add(self, weights: Path, card: Card, state: State = State.CANDIDATE, *, next_free: bool = False) -> Entry:
        """Check a copy of `weights` against `card` and list it; `next_free` gives it the next number of its name.

        Raises RequestError (not this adapter, other base, version taken), PayloadTooLarge, NotFound, StoreError.
        """
        check_base_named(card, self.base)
        if state not in (State.CANDIDATE, State.ACTIVE):
            raise RequestError(f"a new adapter starts as candidate or active, not as {state}")
        with self._changing() as index:
            if next_free:
                card = card.model_copy(update={"version": next_version(index, card.name)})
            self._check_room(index, card)
            sha256 = self._take_in(index, weights, card)
            record = index.names.setdefault(card.name, NameRecord())
            record.versions[card.version] = VersionRecord(state=State.CANDIDATE, sha256=sha256)
            record.last = max(record.last, card.version)
            if state is State.ACTIVE:
                states.promote(record, card.version)
        return self.show(card.id)

    def set_metrics(self, id: str, metrics: Mapping[str, Any]) -> Entry:
        """Write figures (of the gate, of an evaluation) into the card, over those of the same names."""
        with self._changing() as index:
            name, number = self._own(index, id)
            card = self._card(name, number)
            write_card(self._place(name, number), card.model_copy(update={"metrics": {**card.metrics, **metrics}}))
        return self.show(id)

    def promote(self, id: str, *, canary: float | None = None) -> Entry:
        """Make it active for everybody, or a canary for a share of the people. Raises NotFound, RequestError."""
        self.resolve(id)
        with self._changing() as index:
            name, number = find(index, id)
            record = index.names[name]
            if record.versions[number].state is State.REJECTED:
                why = record.versions[number].why or "no reason given"
                raise RequestError(f"{id} was rejected: {why}. Train a better one.")
            if canary is None:
                states.promote(record, number)
            else:
                states.start_canary(record, number, canary)
        return self.show(id)

    def reject(self, id: str, why: str) -> Entry:
        """Never serve it again; where it was active, what was active before comes back."""
        with self._changing() as index:
            name, number = find(index, id)
            states.reject(index.names[name], number, why)
        return self.show(id)

    def rollback(self, name: str) -> Entry | None:
        """End the canary if one runs, else go back to the version active before; None: no adapter is active then.

        Raises NotFound: no such name, or nothing of it is in use.
        """
        with self._changing() as index:
            record = index.names.get(name)
            if record is None or not record.versions:
                raise NotFound(f"No adapter {name[:80]!r}; see `netgpt adapters list`.")
            number = states.roll_back(record)
        return None if number is None else self.show(f"{name}@{number}")

    def remove(self, id: str) -> None:
        """Delete weights and card. Raises RequestError: it is in use, pinned, or came with the package."""
        with self._changing() as index:
            name, number = self._own(index, id)
            version = index.names[name].versions[number]
            if version.state in (State.ACTIVE, State.CANARY):
                raise RequestError(f"{id} is {version.state}: first `netgpt adapters rollback {name}`, then remove it.")
            if version.pinned:
                raise RequestError(f"{id} is pinned: first `netgpt adapters pin {id} --off`, then remove it.")
            self._take_out(index, name, number)

    def pin(self, id: str, pinned: bool = True) -> Entry:
        """Keep it resident and safe from removal, or no longer."""
        with self._changing() as index:
            name, number = find(index, id)
            index.names[name].versions[number].pinned = pinned
        return self.show(id)

    def drop_person(self, person: Person, work: Path | None = None) -> Ids:
        """Delete every adapter that learnt from the person, in use or pinned or not; returns their ids.

        Where one was active, the version before it comes back, unless that one goes too. `work` is the folder of
        trainings, one sub-folder a name: those of the dropped names go with their checkpoints. An adapter whose card
        cannot be read goes as well: nobody can tell whose it is.
        """
        digests = digests_of(person, self._secret)
        names = {f"user-{digest[:12]}" for digest in digests}
        with self._changing() as index:
            dropped = [
                (name, number)
                for name, record in index.names.items()
                for number, version in record.versions.items()
                if not version.shipped and (name in names or self._learnt_from(name, number, digests))
            ]
            for name, number in dropped:
                self._take_out(index, name, number)
            for name in names & index.names.keys():
                index.floor = max(index.floor, index.names.pop(name).last)
        for name in names | {name for name, _ in dropped}:
            if work is not None:
                shutil.rmtree(work / name, ignore_errors=True)
        return [f"{name}@{number}" for name, number in dropped]

    def sweep(self) -> None:
        """Delete what killed processes left half done. Every change does it too; a box does it when it starts."""
        if not self.folder.is_dir():
            return
        with self._index.locked():
            sweep(self.folder)
            index = self._index.load()
            if index.leftovers:
                self._delete_leftovers(index)
                self._index.write(index)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Index]:
        """The index to change, under the lock; written when the block ends well. Leftovers go before and after."""
        with self._index.locked():
            sweep(self.folder)
            index = self._index.load()
            self._delete_leftovers(index)
            yield index
            self._index.write(index)
            if index.leftovers:
                self._delete_leftovers(index)
                self._index.write(index)

    def _delete_leftovers(self, index: Index) -> None:
        for place in index.leftovers:
            name, number = split(place)
            record = index.names.get(name)
            if record is None or number not in record.versions:
                delete(self.folder / name / str(number))
        index.leftovers = []

    def _take_in(self, index: Index, weights: Path, card: Card) -> str:
        """Copy, check, put in place; returns the hash of the weights. The index hears of the folder first."""
        with staging(self.folder) as stage:
            sha256 = copy_plain(weights, stage / WEIGHTS, self.max_bytes)
            check_adapter(stage / WEIGHTS, weights, card, sha256, self.base, self.max_bytes)
            write_card(stage, card)
            index.leftovers = [card.id]
            self._index.write(index)
            put_in_place(stage, self.folder / card.name / str(card.version))
        index.leftovers = []
        return sha256

    def _take_out(self, index: Index, name: str, number: int) -> None:
        states.drop(index.names[name], number)
        index.leftovers.append(f"{name}@{number}")

    def _own(self, index: Index, id: str) -> tuple[str, int]:
        name, number = find(index, id)
        if index.names[name].versions[number].shipped:
            raise RequestError(f"{id} came with the package and stays as it is; `netgpt adapters rollback {name}` "
                               "switches it off.")  # fmt: skip
        return name, number

    def _check_room(self, index: Index, card: Card) -> None:
        record = index.names.get(card.name)
        free = next_version(index, card.name)
        if record is not None and card.version in record.versions:
            raise RequestError(f"{card.id} exists already; versions never change. The next free number is {free}.")
        if card.version < free:
            raise RequestError(f"{card.id} was used before; numbers are not given twice. The next free one is {free}.")
        if index.count() >= self.max_count:
            raise RequestError(
                f"{self.folder}: holds {index.count():,} adapters, the most that are kept. Remove some with "
                "`netgpt adapters remove ID`."
            )

    def _learnt_from(self, name: str, number: int, digests: frozenset[str]) -> bool:
        try:
            return not digests.isdisjoint(self._card(name, number).people)
        except NetGPTError:
            return True
