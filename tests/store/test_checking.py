"""The chain: whatever is changed, dropped, swapped, put in or cut off is found, and the receipt is named."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from chains import KEY, chain, checked, entry, head_of, sent
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.store.audit import ranges_of
from netgpt.store.chain import ChainLink, Head, ReceiptRecord, commitment_of, tag_of

ERASED = {9: [2, 3, 5], 12: [7]}
COUNT = 14


def whole() -> list[ReceiptRecord]:
    return chain(COUNT, erased=ERASED)


def test_a_whole_chain_is_whole_with_and_without_the_key() -> None:
    for key in (KEY, None):
        report = checked(whole(), head_of(whole()), key)
        assert report.whole and (report.receipts, report.erased, report.keyed) == (COUNT, 4, key is not None)
    assert checked([], Head(0, bytes(32))).whole


def test_heads_are_read_as_they_are_written() -> None:
    head = head_of(whole())
    assert Head.read(str(head)) == head
    for wrong in ("", "5", "x:00", "5:00", "-1:" + "00" * 32, "5:" + "zz" * 32):
        with pytest.raises(ValueError):
            Head.read(wrong)


def changed(record: ReceiptRecord, part: str) -> ReceiptRecord:
    """The record with one thing in it another, everything else as it was."""
    link, other = record.link, sent(99, bytes(32))
    value: Any = getattr(link if part in LINK else record, part)
    if part in ("commitment", "previous", "hash", "tag"):
        new: Any = bytes([value[0] ^ 1]) + value[1:]
    elif part == "time":
        new = value + timedelta(microseconds=1)
    elif part == "size":
        new = value + 1
    elif part in ("account", "notice"):
        new = {**value, "reason": "another"} if value else dict(other.account or {}) if part == "account" else value
    else:
        new = f"{value}x"
    return replace(record, link=replace(link, **{part: new})) if part in LINK else replace(record, **{part: new})


LINK = {field.name for field in fields(ChainLink)} - {"seq"}
PARTS = sorted((LINK | {"previous", "hash", "tag", "account", "content", "user", "exchange"}) - {"notice"})


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, COUNT - 1), part=st.sampled_from(PARTS), key=st.booleans())
def test_any_single_change_is_found_and_named(place: int, part: str, key: bool) -> None:
    records = whole()
    records[place] = changed(records[place], part)
    if part == "tag" and not key:
        return  # without the key nobody can tell
    if part in ("account", "content", "user", "exchange") and records[place].link.kind != "sent":
        return  # an entry about the chain has none; what stands there is never shown
    report = checked(records, head_of(whole()), KEY if key else None)
    assert not report.whole
    assert {fault.seq for fault in report.faults} & {place + 1, place + 2}


@settings(max_examples=100, deadline=None)
@given(first=st.integers(1, COUNT), count=st.integers(1, COUNT))
def test_any_gap_and_any_cut_is_found(first: int, count: int) -> None:
    records = [record for record in whole() if not first <= record.link.seq < first + count]
    report = checked(records, head_of(whole()))
    named = {fault.seq for fault in report.faults}
    assert first in named, report.faults
    assert any("missing" in fault.what for fault in report.faults)


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(COUNT)))
def test_any_other_order_is_found(order: list[int]) -> None:
    records = whole()
    report = checked([records[place] for place in order], head_of(records))
    assert report.whole == (list(order) == list(range(COUNT)))


@settings(max_examples=60, deadline=None)
@given(one=st.integers(0, COUNT - 1), other=st.integers(0, COUNT - 1))
def test_two_receipts_that_change_places_are_found(one: int, other: int) -> None:
    """Their contents change places under their numbers, as in a database."""
    records = whole()
    a, b = records[one], records[other]
    records[one], records[other] = (
        replace(b, link=replace(b.link, seq=a.link.seq)),
        replace(a, link=replace(a.link, seq=b.link.seq)),
    )
    assert checked(records, head_of(whole())).whole == (one == other)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(1, COUNT), renumber=st.booleans())
def test_a_receipt_put_in_is_found(place: int, renumber: bool) -> None:
    records = whole()
    put_in = sent(place + 1, records[place - 1].hash)  # made with the right key, even
    records.insert(place, put_in)
    if renumber:
        records[place + 1 :] = [
            replace(record, link=replace(record.link, seq=record.link.seq + 1)) for record in records[place + 1 :]
        ]
    assert not checked(records, head_of(whole())).whole


@settings(max_examples=60, deadline=None)
@given(place=st.integers(1, COUNT))
def test_a_chain_built_anew_without_the_key_is_found(place: int) -> None:
    """Who can write the database, but has no key, makes all hashes right again from some receipt on."""
    records = whole()
    forged = records[: place - 1]
    for record in records[place - 1 :]:
        link = replace(record.link, destination="another.example") if record.link.seq == place else record.link
        previous = forged[-1].hash if forged else bytes(32)
        hash = link.hash_after(previous)
        forged.append(replace(record, link=link, previous=previous, hash=hash, tag=tag_of(b"x" * 32, hash)))
    report = checked(forged, head_of(forged))
    assert min(fault.seq for fault in report.faults) == place and "not written by this box" in report.faults[0].what
    noted = head_of(records)
    assert not checked(forged, None, None, noted).whole  # no key, but a head that was noted before


def test_content_that_is_gone_needs_an_entry_that_says_so() -> None:
    records = chain(5)
    gone = replace(records[2], account=None, content=None, user=None, exchange=None)
    report = checked([*records[:2], gone, *records[3:]], head_of(records))
    assert [fault.seq for fault in report.faults] == [3] and "erased" in report.faults[0].what
    later = [*records[:2], gone, *records[3:], entry(6, records[-1].hash, [3])]
    assert checked(later, head_of(later)).whole


def test_content_that_was_erased_does_not_come_back() -> None:
    records = chain(5)
    report = checked([*records, entry(6, records[-1].hash, [2, 4])], None)
    assert {fault.seq for fault in report.faults} == {2, 4}


def test_an_old_copy_is_found_by_a_noted_head() -> None:
    records = chain(COUNT)
    old, noted = records[:6], head_of(records[:10])
    assert "missing" in checked(old, head_of(old), KEY, noted).faults[0].what
    assert checked(records, head_of(records), KEY, noted).whole
    other = replace(noted, hash=bytes(32))
    assert "noted" in checked(records, head_of(records), KEY, other).faults[0].what


def test_the_commitment_tells_nothing_without_its_salt() -> None:
    account = dict(sent(1, bytes(32)).account or {})
    assert commitment_of(account) != commitment_of({**account, "salt": "0" * 64})


@given(st.lists(st.integers(1, 60)))
def test_ranges_hold_each_number_once(numbers: list[int]) -> None:
    ranges = ranges_of((number, number) for number in numbers)
    assert sorted(set(numbers)) == [n for first, last in ranges for n in range(first, last + 1)]
    assert all(b[0] > a[1] + 1 for a, b in pairwise(ranges))
