"""Adapters from elsewhere: three forms are taken, each gets a card that says no more than is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_adapters import BASE_SHA, adapter_file, base_file, card_for
from made_peft import LLAMA, peft_folder, peft_tensors

from netgpt.adapters.card import EdgeWeights
from netgpt.adapters.peft import AdapterNotes, ready
from netgpt.adapters.registry import Registry
from netgpt.adapters.storage import write_card
from netgpt.errors import NotFound, RequestError


@pytest.fixture
def base(tmp_path: Path) -> EdgeWeights:
    return EdgeWeights("tiny", BASE_SHA, base_file(tmp_path / "base.gguf"))


@pytest.fixture
def packed(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "packed"
    write_card((weights := adapter_file(folder / "adapter.gguf")).parent, card_for(weights, "letters", version=9))
    yield folder


def test_a_folder_with_a_card_keeps_it(packed: Path) -> None:
    with ready(packed, AdapterNotes(), None) as (weights, card):
        assert weights == packed / "adapter.gguf" and card.id == "letters@9"
    with ready(packed, AdapterNotes(name="mail", licence="MIT", notes="ours"), None) as (_, card):
        assert (card.id, card.licence, card.notes, card.recipe) == ("mail@9", "MIT", "ours", {"seed": 7})


def test_a_bare_file_gets_a_card_that_says_what_is_known(tmp_path: Path, base: EdgeWeights) -> None:
    weights = adapter_file(tmp_path / "a.gguf")
    with ready(weights, AdapterNotes("complete"), base) as (path, card):
        assert path == weights and card.scope == "task" and card.base_sha256 == BASE_SHA
        assert (card.rank, card.alpha, card.examples, card.licence) == (4, 16.0, 0, "unknown")
        assert Registry(tmp_path / "adapters", base=base).add(path, card).usable


def test_a_peft_folder_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="needs the extra `train`")
    from netgpt_bench.random_model import write_random_model

    base = EdgeWeights("random", BASE_SHA, write_random_model(tmp_path / "base.gguf", LLAMA))
    with ready(peft_folder(tmp_path / "peft", peft_tensors(LLAMA)), AdapterNotes("site"), base) as (path, card):
        assert card.scope == "site" and card.targets == tuple(LLAMA.family.modules)
        assert Registry(tmp_path / "adapters", base=base).add(path, card).usable
    assert not path.exists(), "what was exported for the moment is gone"


def test_what_cannot_be_taken_is_reported(tmp_path: Path, base: EdgeWeights, packed: Path) -> None:
    weights = adapter_file(tmp_path / "a.gguf")
    (tmp_path / "link.gguf").symlink_to(weights)
    (tmp_path / "empty").mkdir()
    for source, shown, where, words in (
        (weights, AdapterNotes(), base, "give one with --name"),
        (weights, AdapterNotes("../up"), base, "wrong in the card: name"),
        (weights, AdapterNotes("site"), None, "models pull"),
        (tmp_path / "link.gguf", AdapterNotes("site"), base, "symbolic link"),
        (tmp_path / "none.gguf", AdapterNotes("site"), base, "no such file"),
        (tmp_path / "empty", AdapterNotes("site"), base, "no adapter here"),
        (packed, AdapterNotes("Up/../x"), base, "wrong in the card: name"),
    ):
        with pytest.raises(RequestError, match=words), ready(source, shown, where):
            raise AssertionError("it was taken")


def test_a_card_that_is_no_card_is_refused_without_its_content(packed: Path) -> None:
    card = packed / "card.json"
    for text, words in (
        ("", "file"), ("[" * 50_000, "file"), ('{"name": "secret-words"}', "version"),
        (card.read_text().replace('"letters"', '"../letters"'), "name"),
        (card.read_text().replace('"licence"', '"file": "/etc/passwd", "licence"'), "file"),
        (card.read_text().replace('"bytes":', '"bytes": "many", "x":'), "bytes"),
    ):  # fmt: skip
        card.write_text(text)
        with (
            pytest.raises(RequestError, match=f"not a card of an adapter: .*{words}") as refused,
            ready(packed, AdapterNotes(), None),
        ):
            raise AssertionError("it was taken")
        assert "secret" not in refused.value.message and "passwd" not in refused.value.message
    card.unlink()
    card.symlink_to("/etc/passwd")
    with pytest.raises(RequestError, match="symbolic link"), ready(packed, AdapterNotes(), None):
        raise AssertionError("it was taken")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.integers(0, 2000), st.integers(0, 2000))
def test_any_damage_to_a_card_is_refused_or_a_card(packed: Path, junk: bytes, start: int, length: int) -> None:
    path = packed / "card.json"
    whole = path.with_name("whole.json")
    if not whole.exists():
        whole.write_bytes(path.read_bytes())
    data = whole.read_bytes()
    path.write_bytes(data[:start] + junk + data[start + length :])
    try:
        with ready(packed, AdapterNotes(), None) as (_, card):
            assert card.id.count("@") == 1 and "/" not in card.id
    except RequestError as error:
        assert str(path) in error.message and len(error.message) < 1500


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_any_name_is_refused_or_stays_within_the_folder(tmp_path: Path, name: str) -> None:
    weights = tmp_path / "a.gguf"
    if not weights.exists():
        adapter_file(weights)
    base = EdgeWeights("tiny", BASE_SHA, weights)
    try:
        with ready(weights, AdapterNotes(name), base) as (_, card):
            assert card.name == name and Path("x", card.name, "1").parts == ("x", name, "1")
    except NotFound:
        raise
    except RequestError as error:
        assert "wrong in the card: name" in error.message
