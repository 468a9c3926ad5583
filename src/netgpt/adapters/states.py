"""Where the versions of one name stand, and how they move. Pure functions on the index's records.

    candidate ──promote──> active ──another is promoted──> retired ──promote or rollback──> active
        │  └──promote with a share──> canary ──promote──> active
        └──reject (also a canary or the active one)──> rejected

One version of a name is active at most, one is canary at most. What was active is kept in `history`, 0 for none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from netgpt.adapters.card import Card, State
from netgpt.adapters.index import Index, NameRecord, VersionRecord
from netgpt.errors import NotFound, RequestError

__all__ = ["before", "drop", "promote", "reject", "roll_back", "start_canary", "with_shipped"]

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
