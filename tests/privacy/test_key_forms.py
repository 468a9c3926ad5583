"""Every form of `key_forms.toml` finds a made-up key of its own, and needs its prefix."""

from __future__ import annotations

import random
import re
from re import _parser as sre_parse
from typing import Any

import pytest

from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.detectors.secrets import KeyForm, key_forms


def made(form: str, seed: int) -> str:
    """A random text that the form matches: shortest repetitions, letters and digits mixed."""
    chance = random.Random(seed)
    return "".join(_pieces(sre_parse.parse(form), chance))


def _pieces(parsed: Any, chance: random.Random) -> list[str]:
    out: list[str] = []
    for kind, value in parsed:
        name = str(kind)
        if name == "LITERAL":
            out.append(chr(value))
        elif name == "IN":
            out.append(_one(value, chance))
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, inner = value
            count = low or (1 if high == 1 else 0)
            out += [piece for _ in range(count) for piece in _pieces(inner, chance)]
        elif name == "SUBPATTERN":
            out += _pieces(value[3], chance)
        elif name == "BRANCH":
            out += _pieces(chance.choice(value[1]), chance)
    return out


def _one(choices: Any, chance: random.Random) -> str:
    letters = ""
    for kind, value in choices:
        if str(kind) == "LITERAL":
            letters += chr(value)
        elif str(kind) == "RANGE":
            letters += "".join(map(chr, range(value[0], value[1] + 1)))
        else:
            letters += "0123456789" if "DIGIT" in str(value) else "abcxyzABCXYZ0123456789"
    wanted = [c for c in letters if c.isalnum()] or list(letters)
    return chance.choice(wanted)


@pytest.mark.parametrize("form", key_forms(), ids=lambda form: form.service)
def test_a_made_up_key_is_found(form: KeyForm) -> None:
    body = form.form.pattern.removeprefix("(?<![A-Za-z0-9])(?:")[:-1]
    for seed in range(8):
        key = made(body, seed)
        if form.form.fullmatch(key) is None:
            continue  # the made text misses what a look ahead asks for
        text = f"use {key} here"
        spans = [span for span in find_patterns(text) if span.kind == "API_KEY"]
        assert any(span.start <= 4 and span.end >= 4 + len(key) for span in spans), text


@pytest.mark.parametrize("form", key_forms(), ids=lambda form: form.service)
def test_most_made_up_keys_fit_their_form(form: KeyForm) -> None:
    body = form.form.pattern.removeprefix("(?<![A-Za-z0-9])(?:")[:-1]
    made_up = [made(body, seed) for seed in range(20)]
    assert sum(form.form.fullmatch(key) is not None for key in made_up) >= 5
    assert all(
        any(key.startswith(begin) for begin in form.begins)
        for key in made_up
        if form.begins and form.form.fullmatch(key)
    )


def test_forms_read_a_bounded_text_or_one_class_of_characters() -> None:
    assert len(key_forms()) >= 60
    assert all(form.begins or form.holds for form in key_forms())
    assert not [form.service for form in key_forms() if re.search(r"\)[*+]", form.form.pattern)]
