"""The registry's index file: which versions there are, where each stands, and how they move.

    candidate ──promote──> active ──another is promoted──> retired ──promote or rollback──> active
        │  └──promote with a share──> canary ──promote──> active
        └──reject (also a canary or the active one)──> rejected

One version of a name is active at most, one is canary at most. What was active is kept in `history`, 0 for none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netgpt.adapters.card import Card, State
from netgpt.errors import NotFound, RequestError, StoreError
from netgpt.files import why_not
from netgpt.models.download import locked, write_whole
from netgpt.proofs import NO_FILE, FileProof, ProvenFile


class VersionRecord(BaseModel):
    """Where one version stands. What it is, its card says."""

    model_config = ConfigDict(extra="forbid")

    state: State
    sha256: str
    """Of the weights, as they were when they were registered."""
    card: str = ""
    """SHA-256 of `card.json`; empty: it came with the package, or nobody vouches for the index."""
    card_before: str = ""
    """While the card is written anew: that of the old one."""
    shipped: bool = False
    pinned: bool = False
    share: float | None = None
    """The part of the people that a canary answers."""
    why: str = ""
    """Why it was rejected."""
    changed: datetime = Field(default_factory=lambda: datetime.now(UTC))


class NameRecord(BaseModel):
    """One name: its versions, and the ones that were active before, oldest first (0: none was)."""

    model_config = ConfigDict(extra="forbid")

    last: int = 0
    """The highest version there ever was: numbers are never given twice."""
    versions: dict[int, VersionRecord] = Field(default_factory=dict)
    history: list[int] = Field(default_factory=list)

    def holder(self, state: State) -> int | None:
        """The version in a state that one version holds at most."""
        return next((number for number, record in self.versions.items() if record.state is state), None)


class Index(BaseModel):
    """All of `index.json`."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    floor: int = 0
    """The highest version among names that were forgotten with their person: whoever comes back starts above it."""
    leftovers: list[str] = Field(default_factory=list)
    """Folders in the making or on their way out: deleted by the next change unless they are listed below."""
    names: dict[str, NameRecord] = Field(default_factory=dict)

    def count(self) -> int:
        return sum(len(name.versions) for name in self.names.values())


_MOST_BYTES: Final = 16_000_000
_NAME: Final = "adapters/index.json"
_ACCEPT: Final = "netgpt adapters accept"


class AdapterIndex:
    """`index.json` (0600) in `folder`, and the lock beside it. `proof` vouches for it: see `netgpt.proofs`."""

    def __init__(
        self, folder: Path, complete: Callable[[Index], Index] = lambda index: index, proof: FileProof | None = None
    ) -> None:
        self.folder, self.path = folder, folder / "index.json"
        self.file = ProvenFile(self.path, _NAME, proof, most=_MOST_BYTES, accept=_ACCEPT)
        self._complete = complete
        """Adds what the file does not know: the adapters that came with the package."""
        self._seen: tuple[int, Index] | None = None

    def generation(self) -> int:
        """A number that rises with every change (0: nothing was ever written). Costs one `stat`."""
        try:
            return self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror}") from None

    def read(self) -> Index:
        """The content, for looking only; read anew when it changed. Raises StoreError when it is damaged."""
        generation, seen = self.generation(), self._seen
        if seen is None or seen[0] != generation:
            seen = self._seen = (generation, self.load())
        return seen[1]

    def locked(self) -> AbstractContextManager[None]:
        """Keep every other process and thread from changing the folder. Raises StoreError: cannot be written."""
        return locked(self.folder, ".lock", StoreError)

    def write(self, index: Index) -> None:
        """Put `index` in place in one step. Only under the lock."""
        after, text = max(time.time_ns(), self.generation() + 1000), index.model_dump_json(indent=1)
        self.file.write(text.encode(), lambda: write_whole(self.path, text, StoreError, modified_ns=after))

    def load(self, *, proven: bool = True) -> Index:
        """The content, for changing; only under the lock. `proven=False`: whoever wrote it.

        Raises StoreError: damaged, or written by somebody else.
        """
        try:
            data = self.file.read() if proven else self.file.read_unproven()
            return self._complete(Index() if data == NO_FILE else Index.model_validate_json(data))
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {why_not(error)}") from None
        except ValidationError:
            raise StoreError(
                f"{self.path}: damaged, or written by a newer NetGPT. Move it away and add your adapters again "
                f"with `netgpt adapters add FOLDER`; their files are in {self.folder}."
            ) from None

    def differences(self) -> dict[str, str]:
        """What somebody else changed, by adapter (`name@version`) or name; empty when nothing vouches for the file."""
        known = self.file.known()
        try:
            data = self.file.read_unproven()
        except OSError as error:
            return {_NAME: f"cannot be read: {why_not(error)}"}
        if known is None or data in known:
            return {}
        if not known:
            return {_NAME: f"was not written with this database; `{_ACCEPT}` takes it as it is"}
        written, found = _rows(known[-1]), _rows(data)
        if not found and data != NO_FILE:
            return {_NAME: "was changed by hand, and cannot be read any more"}
        wrong = {id: _difference(written.get(id), found.get(id)) for id in sorted(written.keys() | found.keys())}
        return {id: what for id, what in wrong.items() if what} or {_NAME: "was changed by hand, in no row of it"}


def _rows(data: bytes) -> dict[str, dict[str, object]]:
    """What stands in the file, by adapter; of a name its history and last number. Nothing: it cannot be read."""
    try:
        index = Index() if data == NO_FILE else Index.model_validate_json(data)
    except ValidationError:
        return {}
    rows: dict[str, dict[str, object]] = {_NAME: index.model_dump(exclude={"names"})}
    for name, record in index.names.items():
        rows[name] = record.model_dump(exclude={"versions"})
        rows |= {f"{name}@{number}": version.model_dump() for number, version in record.versions.items()}
    return rows


def _difference(written: Mapping[str, object] | None, found: Mapping[str, object] | None) -> str:
    if written is None or found is None:
        return "was put in by hand: this box did not write it" if found else "is missing: it was taken out by hand"
    changed = [
        f"{key} was {written[key]}, now {found[key]}" if key in ("state", "share", "pinned", "history") else key
        for key in written
        if written[key] != found[key]
    ]
    return f"was changed by hand, or put back from an older copy: {'; '.join(changed)}" if changed else ""


KEPT_HISTORY = 20


def promote(record: NameRecord, version: int) -> None:
    """Make `version` the active one; the one before is retired and remembered, a canary ends."""
    current = record.holder(State.ACTIVE)
    if current == version:
        return
    _end_canary(record)
    if current is not None:
        _move(record.versions[current], State.RETIRED)
    record.history = [*record.history, current or 0][-KEPT_HISTORY:]
    _move(record.versions[version], State.ACTIVE)


def start_canary(record: NameRecord, version: int, share: float) -> None:
    """Let `version` answer a share of the people (0 < share <= 1) beside the active one."""
    if not 0 < share <= 1:  # false for NaN too
        raise RequestError("the share of a canary lies above 0 and is at most 1; 0.1 means every tenth person")
    if record.versions[version].state is State.ACTIVE:
        raise RequestError("it is active for everybody already; a canary is a version beside the active one")
    if record.holder(State.CANARY) != version:
        _end_canary(record)
    _move(record.versions[version], State.CANARY)
    record.versions[version].share = share


def reject(record: NameRecord, version: int, why: str) -> None:
    """Never use `version` again. The active one is rolled back first."""
    if record.versions[version].state is State.ACTIVE:
        _step_back(record)
    _move(record.versions[version], State.REJECTED)
    record.versions[version].why = why


def roll_back(record: NameRecord) -> int | None:
    """Undo the newest step: end the canary if one runs, else go back to what was active before.

    Returns the version that is active now, None for none. Raises NotFound when there is nothing to undo.
    """
    if record.holder(State.CANARY) is not None:
        _end_canary(record)
    elif record.holder(State.ACTIVE) is not None:
        _step_back(record)
    else:
        raise NotFound("there is nothing to roll back: no version is active or canary")
    return record.holder(State.ACTIVE)


def before(record: NameRecord) -> int | None:
    """The version that would be active after the active one is rolled back, None for none."""
    current = record.holder(State.ACTIVE)
    for number in reversed(record.history):
        version = record.versions.get(number)
        if number == 0:
            return None
        if version is not None and version.state is not State.REJECTED and number != current:
            return number
    return None


def drop(record: NameRecord, version: int) -> None:
    """Take `version` out; where it was active, what was active before takes its place."""
    if record.versions[version].state is State.ACTIVE:
        _step_back(record)
    del record.versions[version]
    record.history = [number for number in record.history if number != version]


def with_shipped(index: Index, shipped: Mapping[tuple[str, int], Card]) -> Index:
    """`index` with the adapters of the package: active, unless the owner promoted another or switched it off."""
    for name, record in index.names.items():
        for number in [n for n, version in record.versions.items() if version.shipped]:
            if (name, number) not in shipped:  # an older package had it
                drop(record, number)
            else:
                record.versions[number].sha256 = shipped[name, number].weights_sha256
    for (name, number), card in shipped.items():
        record = index.names.setdefault(name, NameRecord())
        record.last = max(record.last, number)
        if number not in record.versions:
            state = State.ACTIVE if record.holder(State.ACTIVE) is None else State.RETIRED
            record.versions[number] = VersionRecord(state=state, sha256=card.weights_sha256, shipped=True)
    return index


def _step_back(record: NameRecord) -> None:
    """The active version retires; what was active before it becomes active, if anything was."""
    current, back = record.holder(State.ACTIVE), before(record)
    if current is not None:
        _move(record.versions[current], State.RETIRED)
    while record.history and record.history.pop() != (back or 0):
        pass  # versions that were removed or rejected since
    if back is not None:
        _move(record.versions[back], State.ACTIVE)


def _end_canary(record: NameRecord) -> None:
    canary = record.holder(State.CANARY)
    if canary is not None:
        _move(record.versions[canary], State.RETIRED)


def _move(version: VersionRecord, state: State) -> None:
    version.state, version.share, version.changed = state, None, datetime.now(UTC)
