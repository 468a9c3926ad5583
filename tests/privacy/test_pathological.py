"""Texts made to take for ever take a time that grows with their length, in every finder by itself."""

from collections import deque
from collections.abc import Callable, Iterable

import pytest
from netgpt_bench.people import PATHOLOGICAL, pathological, pathological_texts
from patience import cpu_seconds

from netgpt.privacy.body import holds_data, is_data, opened
from netgpt.privacy.detectors import (
    addresses,
    commands,
    emails,
    financial,
    find_patterns,
    labels,
    national_ids,
    passwords,
    phones,
    postal,
    references,
    secrets,
    tables,
)
from netgpt.privacy.detectors.normalize import views
from netgpt.privacy.detectors.profile_values import find_values
from netgpt.types import Span

VALUES = (("DIET", "vegan aaa"), ("X", "777777"), ("CAR", "a.a"), ("Y", "C++"), ("NAME", "abcdefghijab"))
SEARCHES: dict[str, Callable[[str], Iterable[object]]] = {
    "e-mails": emails.find_emails,
    "addresses": addresses.find_addresses,
    "keys": secrets.find_keys,
    "passwords": passwords.find_passwords,
    "columns": tables.find_columns,
    "logins": commands.find_logins,
    "names of accounts": commands.find_accounts,
    "postal": postal.find_postal,
    "URLs": secrets.find_secret_urls,
    "wallets": national_ids.find_crypto,
    "ids": national_ids.find_ids,
    "IPs": national_ids.find_ips,
    "MACs": national_ids.find_macs,
    "labels": labels.find_labelled,
    "national": national_ids.find_national,
    "announced": references.find_announced,
    "cards": financial.find_cards,
    "accounts": financial.find_ibans,
    "phones": phones.find_phones,
    "views": views,
    "profile": lambda text: find_values(text, VALUES),
    "opening": lambda text: (opened(text), holds_data(text), is_data("data", text)),
}
PLANTED = "my mail is ada@mill.org, card 4111 1111 1111 1111, IBAN GB82 WEST 1234 5698 7654 32"


def seconds(search: Callable[[str], Iterable[object]], text: str) -> float:
    """Of CPU: what else the machine does is not counted."""
    return cpu_seconds(lambda: deque(search(text), 0))


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What is imported at the first use is not timed."""
    find_patterns("ssn 078-05-1120 and 1.2.3.4, +44 20 7946 0018, key=AB12CD34EF56GH78, 12345678Z, 1A1zP1eP5QGefi2DMPT")
    list(national_ids.find_crypto("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"))


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES)
def test_no_search_needs_the_square_of_the_length(search: str) -> None:
    """25,000 characters: what is linear takes up to 0.1 s, a square takes seconds."""
    slow = {name: round(seconds(SEARCHES[search], text), 2) for name, text in pathological_texts(25_000)}
    assert {name: took for name, took in slow.items() if took > 1.0} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["signs", "keys that begin", "machines", "quotes"])
def test_a_million_characters_take_seconds(name: str) -> None:
    text = pathological(name, 1_000_000)
    took = {search: round(seconds(run, text), 2) for search, run in SEARCHES.items()}
    assert {search: value for search, value in took.items() if value > 5.0} == {}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_what_stands_between_such_texts_is_found(name: str) -> None:
    around = pathological(name, 3_000)
    spans = find_patterns(f"{around}\n\n{PLANTED}\n\n{around}")
    at = len(around) + 2

    def hidden(value: str) -> bool:
        start = at + PLANTED.index(value)
        return covered(spans, start, start + len(value))

    assert [v for v in ("ada@mill.org", "4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32") if not hidden(v)] == []


def covered(spans: list[Span], start: int, end: int) -> bool:
    """Whether each character lies within some span."""
    inside = {i for span in spans for i in range(max(start, span.start), min(end, span.end))}
    return len(inside) == end - start
