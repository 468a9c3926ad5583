"""Keys: random, recognisable, hashed."""

from __future__ import annotations

import hashlib

from netgpt.store.keys import PREFIX, hash_key, new_key


def test_a_key_is_256_random_bits_behind_a_prefix() -> None:
    made = [new_key() for _ in range(200)]
    assert len({key.secret for key in made}) == len({key.id for key in made}) == 200
    assert all(key.secret.startswith(PREFIX) and len(key.secret) == len(PREFIX) + 43 for key in made)


def test_the_hash_is_plain_sha256_of_the_secret() -> None:
    key = new_key()
    assert key.hash == hash_key(key.secret) == hashlib.sha256(key.secret.encode()).hexdigest()
    assert key.secret not in repr(key) and key.hash not in repr(key)


def test_any_text_a_caller_may_send_has_a_hash() -> None:
    assert len({hash_key(text) for text in ("", "é", "\ud800", "x" * 10_000)}) == 4
