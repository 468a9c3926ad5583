"""The registry of adapters: which there are, which is active, and what becomes of them.

    adapters/index.json              states, history, pins, shares of canaries (see index.py)
    adapters/NAME/VERSION/           adapter.gguf and card.json; immutable but for the card's metrics

Safe for many threads and processes, and against a kill at any moment: a version is made in a hidden folder, checked
there, and named by the index only when it is whole. What a kill leaves behind is deleted by the next change.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from netgpt.adapters import index as states
from netgpt.adapters.card import Card, EdgeWeights, State, digests_of, edge_weights, share_point
from netgpt.adapters.formats import MAX_BYTES, check_adapter, check_base_named
from netgpt.adapters.index import AdapterIndex, Index, NameRecord, VersionRecord, before, with_shipped
from netgpt.adapters.storage import (
    CARD,
    WEIGHTS,
    card_text,
    copy_plain,
    delete,
    file_mark,
    put_in_place,
    read_card,
    read_card_hashed,
    staging,
    sweep,
    write_card,
)
from netgpt.errors import NetGPTError, NotFound, RequestError
from netgpt.models.catalog import Catalog
from netgpt.models.download import file_sha256
from netgpt.proofs import NO_FILE, FileProof
from netgpt.settings import Settings
from netgpt.types import Person

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
        """Whether it passed its evaluation, or was in use before, or came with the package."""
        verdict = self.card.metrics.get("gate")
        passed = isinstance(verdict, dict) and verdict.get("passed") is True
        return passed or self.shipped or self.state in (State.CANARY, State.ACTIVE, State.RETIRED)


class AdapterReader:
    """All adapters in `folder`, and the `shipped` ones (folders). With `base`, only what is made for it is usable.

    For looking only: it takes no lock, and every look sees what others changed. `proof` vouches for the index, and
    the index for cards and weights; what it does not vouch for is never loaded.
    """

    def __init__(
        self,
        folder: Path,
        shipped: Sequence[Path] = (),
        *,
        base: EdgeWeights | None = None,
        proof: FileProof | None = None,
    ) -> None:
        self.folder, self.base, self.proof = folder, base, proof
        cards = {(card.name, card.version): card for card in (read_card(path / CARD) for path in shipped)}
        self._shipped = dict(zip(cards, shipped, strict=True))
        self._index = AdapterIndex(folder, lambda index: with_shipped(index, cards), proof)
        self._cards: dict[Path, tuple[tuple[int, ...] | None, Card, str]] = {}
        self._hashes: dict[Path, tuple[tuple[int, ...], str]] = {}

    def list(self) -> list[Entry]:
        """Every version, by name and number; a changed weights file shows only once it was read (`show`, `active`)."""
        found = []
        for name, record in sorted(self._index.read().names.items()):
            for number in sorted(record.versions):
                with contextlib.suppress(NetGPTError):  # its card is gone or damaged: see `damaged`
                    found.append(self._entry(name, number, record))
        return found

    def damaged(self) -> dict[str, str]:
        """Versions whose card cannot be read, and why. They are never served, and can only be removed."""
        faults = {}
        for name, record in self._index.read().names.items():
            for number, version in record.versions.items():
                try:
                    self._card(name, number, version)
                except NetGPTError as error:
                    faults[f"{name}@{number}"] = error.message
        return faults

    def tampered(self) -> dict[str, str]:
        """What somebody else changed, by adapter: its row, card, weights. Reads all of them. Raises StoreError."""
        if wrong := self._index.differences():
            return wrong
        wrong = self.damaged()
        for entry in self.list():
            if fault := self._verified(entry).fault:
                wrong[entry.id] = fault
        return wrong

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
        return self._shipped.get((name, number), self.folder / name / str(number))

    def _card(self, name: str, number: int, version: VersionRecord) -> Card:
        path = self._place(name, number) / CARD
        mark, known = file_mark(path), self._cards.get(path)
        if known is None or mark is None or known[0] != mark:
            known = self._cards[path] = (mark, *read_card_hashed(path))
        if (known[1].name, known[1].version) != (name, number):
            raise RequestError(f"{path}: the card of {known[1].id}, not of {name}@{number}")
        if version.card and known[2] not in (version.card, version.card_before):
            raise RequestError(f"{path}: was changed after it was registered")
        return known[1]

    def _entry(self, name: str, number: int, record: NameRecord) -> Entry:
        version = record.versions[number]
        card = self._card(name, number, version)
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
        except NetGPTError:  # no card, no adapter: see `damaged`
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


MAX_COUNT: Final = 1_000

Ids = list[str]


def shipped_adapters() -> list[Path]:
    """The folders of the adapters that came with the package."""
    folders = sorted((Path(__file__).parent / "shipped").glob("*"))
    return [folder for folder in folders if (folder / WEIGHTS).is_file() and (folder / CARD).is_file()]


class Registry(AdapterReader):
    """Looks (see AdapterReader) and changes. `secret` is the box's own, for digests of people.

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
        proof: FileProof | None = None,
    ) -> None:
        super().__init__(folder, shipped, base=base, proof=proof)
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
            sha256, card_sha256 = self._take_in(index, weights, card)
            record = index.names.setdefault(card.name, NameRecord())
            record.versions[card.version] = VersionRecord(state=State.CANDIDATE, sha256=sha256, card=card_sha256)
            record.last = max(record.last, card.version)
            if state is State.ACTIVE:
                states.promote(record, card.version)
        return self.show(card.id)

    def set_metrics(self, id: str, metrics: Mapping[str, Any]) -> Entry:
        """Write figures of an evaluation into the card, over those of the same names."""
        with self._changing() as index:
            name, number = self._own(index, id)
            version = index.names[name].versions[number]
            card = self._card(name, number, version)
            card = card.model_copy(update={"metrics": {**card.metrics, **metrics}})
            version.card, version.card_before = card_text(card)[1], version.card
            self._index.write(index)  # a kill leaves either card, and both count
            write_card(self._place(name, number), card)
            version.card_before = ""
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
        cannot be read goes as well: it may be this person's.
        """
        digests = digests_of(person, self._secret)
        names = {f"user-{digest[:12]}" for digest in digests}
        with self._changing() as index:
            dropped = [
                (name, number)
                for name, record in index.names.items()
                for number, version in record.versions.items()
                if not version.shipped and (name in names or self._learnt_from(name, number, version, digests))
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
            self._index.file.take_over(lambda: NO_FILE)
            return
        with self._index.locked():
            sweep(self.folder)
            index = self._loaded()
            if index.leftovers:
                self._delete_leftovers(index)
                self._index.write(index)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Index]:
        """The index to change, under the lock; written when the block ends well. Leftovers go before and after."""
        with self._index.locked():
            sweep(self.folder)
            index = self._loaded()
            self._delete_leftovers(index)
            yield index
            self._index.write(index)
            if index.leftovers:
                self._delete_leftovers(index)
                self._index.write(index)

    def accept(self) -> None:
        """Take index and cards as they stand, whoever wrote them: on the owner's word. Raises StoreError."""
        with self._index.locked():
            index = self._index.load(proven=False)
            self._with_hashes(index)
            self._index.write(index)

    def _loaded(self) -> Index:
        """The index to change. Under the lock, and where nothing vouched for it yet, it does from now on."""
        index = self._index.load()
        self._index.file.take_over(lambda: self._rewritten(index))
        return index

    def _rewritten(self, index: Index) -> bytes:
        """The index with the hashes of the cards as they stand, written; what the file holds then."""
        if index.names:
            self._with_hashes(index)
            self._index.write(index)
        return self._index.file.read_unproven()

    def _with_hashes(self, index: Index) -> None:
        for name, record in index.names.items():
            for number, version in record.versions.items():
                with contextlib.suppress(NetGPTError):  # damaged: it stays so
                    path = self._place(name, number) / CARD
                    version.card = "" if version.shipped else read_card_hashed(path)[1]

    def _delete_leftovers(self, index: Index) -> None:
        for place in index.leftovers:
            name, number = split(place)
            record = index.names.get(name)
            if record is None or number not in record.versions:
                delete(self.folder / name / str(number))
        index.leftovers = []

    def _take_in(self, index: Index, weights: Path, card: Card) -> tuple[str, str]:
        """Copy, check, put in place; returns the hashes of weights and card. The index names the folder first."""
        with staging(self.folder) as stage:
            sha256 = copy_plain(weights, stage / WEIGHTS, self.max_bytes)
            check_adapter(stage / WEIGHTS, weights, card, sha256, self.base, self.max_bytes)
            card_sha256 = write_card(stage, card)
            index.leftovers = [card.id]
            self._index.write(index)
            put_in_place(stage, self.folder / card.name / str(card.version))
        index.leftovers = []
        return sha256, card_sha256

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
            most = f"{self.folder}: holds {index.count():,} adapters, the most that are kept."
            raise RequestError(f"{most} Remove some with `netgpt adapters remove ID`.")

    def _learnt_from(self, name: str, number: int, version: VersionRecord, digests: frozenset[str]) -> bool:
        try:
            return not digests.isdisjoint(self._card(name, number, version).people)
        except NetGPTError:
            return True


def open_registry(settings: Settings, proof: FileProof | None) -> Registry:
    """The adapters of this box, its own and the shipped ones, for the built-in engine's weights. `proof`: the store's.

    Raises NotFound: `edge.model` names no weights. With an edge of the owner's there are no weights to compare with.
    """
    base = None
    if settings.edge.base_url is None and not settings.edge.is_off:
        base = edge_weights(Catalog(settings.models_dir, proof), settings.edge.model)
    most = settings.adapters.max_bytes
    return Registry(settings.adapters_dir, shipped_adapters(), base=base, max_bytes=most, proof=proof)
