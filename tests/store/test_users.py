"""People's ids as tokens: found again, readable by nobody else."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from netgpt.errors import StoreError
from netgpt.store.schema import KeyRow, UserTokens, exchanges, use_tokens
from netgpt.store.store import Store
from netgpt.types import Fact, Person, Role

TOKENS = UserTokens(b"a secret of the test")
USERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(USERS, USERS)
def test_the_same_id_gives_the_same_token_and_another_another(one: str, two: str) -> None:
    assert TOKENS.user(TOKENS.token(one)) == one
    assert UserTokens(b"a secret of the test").user(TOKENS.token(one)) == one
    assert (TOKENS.token(one) == TOKENS.token(two)) == (one == two)
    assert UserTokens(b"another").token(one) != TOKENS.token(one)


@given(USERS, st.integers(0, 200), st.characters(max_codepoint=127))
def test_a_changed_token_is_nobody(user: str, place: int, other: str) -> None:
    token = TOKENS.token(user)
    changed = token[: place % len(token)] + other + token[place % len(token) + 1 :]
    if changed == token:
        return
    with pytest.raises(StoreError) as error:
        UserTokens(b"a secret of the test").user(changed)
    assert error.value.code == "wrong_key"


@pytest.mark.parametrize("token", ["", "ada", "~", "~AAAA", "~" + "A" * 43, "~\u00e9"])
def test_what_was_never_a_token_is_nobody(token: str) -> None:
    with pytest.raises(StoreError):
        TOKENS.user(token)


def test_lengths_are_hidden_to_sixteen_bytes() -> None:
    assert len({len(TOKENS.token("x" * length)) for length in range(16)}) == 1


def test_outside_of_a_transaction_nobody_is_named() -> None:
    use_tokens(None)
    engine = create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(Exception, match="transactions only"):
        connection.execute(select(exchanges).where(exchanges.c.user == "ada"))


async def test_no_id_stands_in_the_files(store: Store, files: Any, make_row: Any) -> None:
    planted = "zaphod.beeblebrox@heart-of-gold.example"
    person = Person("local", planted)
    await store.save_exchange(make_row(user=planted))
    await store.add_fact(person, Fact("has two heads", "note"))
    await store.set_profile(person, "off")
    await store.save_map(person, "talk", b"map")
    await store.add_key(KeyRow("key_1", "hash", "local", Role.USER, planted, "a name", make_row().received))
    await store.learning.set_consent(person, "training", True)
    assert await store.people("local") == [planted]
    assert [key.user for key in await store.keys()] == [planted]
    assert await store.learning.consenting("training") == [person]
    assert all(planted.encode() not in content for content in files().values())
    with sqlite3.connect(store.path) as connection:
        found = {row[0] for row in connection.execute("SELECT user FROM exchanges UNION SELECT user FROM keys")}
    assert len(found) == 1 and all(token.startswith("~") for token in found)
