"""Sealing on terms: exact, coarser, as a placeholder, or not at all; and the account of each."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netgpt.errors import NotDisclosable
from netgpt.policy import Destination, Disclosure, Policy, Principal
from netgpt.privacy.detector import Finder, merge_spans
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.kinds import family, hierarchy
from netgpt.privacy.vault import Vault
from netgpt.types import Span, Terms

KNOWN = {
    "Ada Lovelace": "PERSON", "Paris": "PLACE", "12 Mill Road, Cambridge, UK": "ADDRESS", "3 May 1985": "BIRTHDATE",
    "42": "AGE", "ada@mill.example": "EMAIL", "diabetes": "HEALTH",
}  # fmt: skip
GENERALISER = Generaliser(lambda: date(2026, 11, 23))


class Words:
    """A Detector that knows a few words, beside all patterns."""

    def __init__(self) -> None:
        self._finder = Finder(names=False)

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        found = self._finder.find(list(texts), values, names)
        wanted = names or [True] * len(texts)
        return [
            merge_spans([*spans, *(_known(text) if want else [])])
            for text, spans, want in zip(texts, found, wanted, strict=True)
        ]

    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def close(self) -> None: ...


def _known(text: str) -> list[Span]:
    return [
        Span(match.start(), match.end(), kind, "names")
        for word, kind in KNOWN.items()
        for match in re.finditer(re.escape(word), text)
    ]


def terms_of(name: str, **circumstances: str) -> Disclosure:
    destination = Destination("far.example", "far", purpose=circumstances.get("purpose", ""))
    return Disclosure(
        Policy.load(name), Principal("acme", "user", "ada"), destination, hierarchy=hierarchy, family=family,
        sensitive=frozenset({"CARD", "OWN"}), asked=circumstances.get("asked", "auto"),
    )  # fmt: skip


async def sealed(vault: Vault, text: str, terms: Any, **options: Any) -> str:
    body = {"model": "far", "messages": [{"role": "user", "content": text}]}
    outbound = await vault.seal(body, Words(), terms=terms, generaliser=GENERALISER, **options)
    content: str = json.loads(outbound.content)["messages"][0]["content"]
    return content


@pytest.mark.slow
async def test_health_tells_in_coarser_words_what_balanced_hides() -> None:
    text = "Ada Lovelace, 42 and born 3 May 1985, of 12 Mill Road, Cambridge, UK went to Paris."
    vault = Vault()
    assert await sealed(vault, text, terms_of("health")) == (
        "[PERSON_1], 39-50 and born 1985, of England, United Kingdom went to Île-de-France, France."
    )
    assert {(g.kind, g.was, g.now, g.policy_rule) for g in vault.generalised} == {
        ("AGE", "exact", "range", "age-as-range"),
        ("BIRTHDATE", "exact", "year", "date-as-year"),
        ("ADDRESS", "exact", "region", "place-as-region"),
        ("PLACE", "city", "region", "place-as-region"),
    }
    assert [(h.placeholder, h.policy_rule) for h in vault.hidden] == [("[PERSON_1]", "personal-as-placeholder")]
    hidden = await sealed(Vault(), text, terms_of("balanced"))
    assert not any(word in hidden for word in KNOWN) and "Île-de-France" not in hidden


async def test_what_was_coarser_once_is_so_in_every_turn() -> None:
    vault = Vault()
    assert await sealed(vault, "to Paris", terms_of("health")) == "to Île-de-France, France"
    later = await sealed(Vault(vault.dump()), "from Paris to Paris", terms_of("health"))
    assert later == "from Île-de-France, France to Île-de-France, France"


async def test_open_writes_people_out_and_never_secrets() -> None:
    text = "Ada Lovelace <ada@mill.example> pays with 4111 1111 1111 1111"
    said = await sealed(Vault(), text, terms_of("open"))
    assert said == "Ada Lovelace <ada@mill.example> pays with [CARD_1]"


async def test_a_kind_that_may_not_leave_keeps_the_whole_request_and_names_the_rule() -> None:
    vault = Vault()
    with pytest.raises(NotDisclosable) as raised:
        await sealed(vault, "Ada Lovelace has diabetes", terms_of("health"))
    assert "HEALTH: health-stays-otherwise" in raised.value.message and "diabetes" not in raised.value.message
    assert [(k.kind, k.policy_rule, k.count) for k in vault.kept] == [("HEALTH", "health-stays-otherwise", 1)]
    assert [h.kind for h in vault.hidden] == ["PERSON", "HEALTH"]
    treated = await sealed(Vault(), "Ada Lovelace has diabetes", terms_of("health", purpose="treatment"))
    assert treated == "[PERSON_1] has diabetes"


def only(**levels: tuple[tuple[str, str], ...]) -> Any:
    """Terms by kind; kinds not named leave as placeholders."""
    return lambda kind, public: Terms(levels.get(kind, (("placeholder", "r"),)), "none")


async def test_a_place_without_the_only_allowed_level_keeps_the_request() -> None:
    vault = Vault()
    with pytest.raises(NotDisclosable, match=r"PLACE: cannot be generalized to street \(s\)"):
        await sealed(vault, "in Paris", only(PLACE=(("street", "s"),)))
    assert [kept.kind for kept in vault.kept] == ["PLACE"]


async def test_what_the_profile_hides_does_not_slip_out_in_coarser_words() -> None:
    country = only(PLACE=(("country", "k"), ("placeholder", "r")))
    assert await sealed(Vault(), "in Paris", country) == "in France"
    assert await sealed(Vault(), "in Paris", country, values=[("HOME", "France")]) == "in [PLACE_1]"


async def test_an_address_inside_something_exact_is_not_written_out() -> None:
    body = only(PERSON=(("exact", "e"), ("placeholder", "r")))
    vault = Vault()
    outbound = await vault.seal(
        {"model": "far", "messages": [{"role": "user", "content": "hi", "name": "ada@mill.example"}]},
        Words(),
        terms=body,
        generaliser=GENERALISER,
    )
    assert b"ada@mill.example" not in outbound.content


async def test_identifiers_take_no_coarser_words() -> None:
    body = {"model": "far", "messages": [{"role": "user", "content": "x"}], "metadata": {"ada@mill.example": "y"}}
    outbound = await Vault().seal(body, Words(), terms=terms_of("health"), generaliser=GENERALISER)
    assert b"EMAIL_1" in outbound.content


texts = st.lists(
    st.sampled_from([*KNOWN, "[PERSON_1]", "4111 1111 1111 1111", "call +44 20 7946 0018", "hello", "né", "2024"]),
    max_size=6,
).map(" and ".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(text=texts, name=st.text(max_size=8), user=st.none() | st.just("ada"))
async def test_balanced_lets_leave_the_very_bytes_that_no_policy_would(text: str, name: str, user: str | None) -> None:
    body: dict[str, Any] = {"model": "far", "messages": [{"role": "user", "content": text, "name": name or "x"}]}
    first, second = Vault(), Vault()
    second._secret = first._secret
    if user:
        body["user"] = user
    plain = await first.seal(body, Words(), values=[("PET", "Rex")])
    asked = await second.seal(body, Words(), values=[("PET", "Rex")], terms=terms_of("balanced", asked="cloud"))
    assert plain.content == asked.content
    assert [(h.placeholder, h.count) for h in plain.hidden] == [(h.placeholder, h.count) for h in asked.hidden]


@settings(deadline=None, max_examples=30)
@given(text=texts)
async def test_health_writes_none_of_the_originals(text: str) -> None:
    try:
        said = await sealed(Vault(), text, terms_of("health", purpose="treatment"))
    except NotDisclosable:
        return
    for word, kind in KNOWN.items():
        assert kind == "HEALTH" or word not in said


async def test_the_state_is_byte_stable_and_changes_only_when_it_does() -> None:
    body = {"model": "far", "messages": [{"role": "user", "content": "mail ada@mill.example"}], "user": "ada"}
    vault = Vault()
    await vault.seal(body, Words())
    assert vault.changed
    again = Vault(vault.dump())
    outbound = await again.seal(body, Words())
    assert not again.changed and again.dump() == vault.dump() and b'"user":"u_' in outbound.content
    await again.seal({**body, "messages": [{"role": "user", "content": "or bob@mill.example"}]}, Words())
    assert again.changed
