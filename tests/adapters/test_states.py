"""How versions move: whatever the owner does in whatever order, the rules hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netgpt.adapters import index
from netgpt.adapters.card import State
from netgpt.adapters.index import NameRecord, VersionRecord
from netgpt.errors import NetGPTError

VERSIONS = (1, 2, 3, 4)
steps = st.lists(
    st.tuples(st.sampled_from(["promote", "canary", "reject", "rollback", "drop"]), st.sampled_from(VERSIONS)),
    max_size=25,
)


def record() -> NameRecord:
    return NameRecord(last=4, versions={n: VersionRecord(state=State.CANDIDATE, sha256="") for n in VERSIONS})


def do(name: NameRecord, step: str, version: int) -> None:
    if step == "rollback":
        index.roll_back(name)
    elif version not in name.versions or (step != "drop" and name.versions[version].state is State.REJECTED):
        return
    elif step == "promote":
        index.promote(name, version)
    elif step == "canary":
        index.start_canary(name, version, 0.5)
    elif step == "reject":
        index.reject(name, version, "why")
    else:
        index.drop(name, version)


@given(steps)
def test_one_is_active_at_most_and_one_is_canary(taken: list[tuple[str, int]]) -> None:
    name = record()
    for step, version in taken:
        try:
            do(name, step, version)
        except NetGPTError:
            continue
        held = [each.state for each in name.versions.values()]
        assert held.count(State.ACTIVE) <= 1 and held.count(State.CANARY) <= 1
        assert all((each.share is not None) == (each.state is State.CANARY) for each in name.versions.values())
        assert set(name.history) <= {0, *VERSIONS}


@given(steps)
def test_what_is_rejected_never_comes_back(taken: list[tuple[str, int]]) -> None:
    name, rejected = record(), set()
    for step, version in taken:
        try:
            do(name, step, version)
        except NetGPTError:
            continue
        rejected |= {n for n, each in name.versions.items() if each.state is State.REJECTED}
        assert name.holder(State.ACTIVE) not in rejected and name.holder(State.CANARY) not in rejected


@given(st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=15))
def test_rolling_back_undoes_every_promotion_in_turn(promoted: list[int]) -> None:
    name = record()
    before: list[int | None] = []
    for version in promoted:
        if name.holder(State.ACTIVE) != version:
            before.append(name.holder(State.ACTIVE))
            index.promote(name, version)
    while before:
        assert index.roll_back(name) == before.pop()
