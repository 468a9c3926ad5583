"""The bars that keep the code easy to carry on: `python tools/house.py --details` names what stands behind them."""

from __future__ import annotations

import asyncio

import house
import pytest

KNOWN = house.modules()
SIZES = {name: house.lines_of(path) for name, path in KNOWN.items()}


def test_files_and_lines_stay_few() -> None:
    runtime = [size for name, size in SIZES.items() if name.split(".")[0] == "netgpt"]
    # From 260, 54,000 and 43,000 in November 2026: the boundary that holds outside its own examples and what trains it,
    # and the hardening: the door, rights, rows that prove themselves, odd answers, fuzzing. From 280, 68,000 and
    # 55,000: facts of any words, the encoder and relevance, what is near, proposed facts, proofs of files. From 302,
    # 74,000 and 59,000: what models can do and how it is measured, kinds of tasks, confidence and acting on it,
    # conversations that stay with their model, private constraints, models by name. From 375, 90,000 and 71,500: doors
    # for agents and other clients, dialects of clouds, tools by MCP, init, chat, status, the console's server.
    # From 430, 106,000 and 84,000: the console whole (settings, keys, adapters, logs, doctor, live, sliders, figures by
    # hour, edits of rules), a second engine for the store, several workers, fleets, the story of the demo.
    assert len(SIZES) <= 500
    assert sum(SIZES.values()) <= 118_000 and sum(runtime) <= 95_000


def test_a_module_is_one_idea() -> None:
    assert not [name for name, size in SIZES.items() if size > house.LONG]
    assert sum(size < house.SHORT for size in SIZES.values()) <= 18


def test_no_modules_import_one_another() -> None:
    assert not house.circles(house.imports(KNOWN))


def test_the_search_for_circles_finds_them() -> None:
    assert house.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_one_class_name_is_one_thing() -> None:
    assert not house.classes_twice(KNOWN)


def test_explain_loads_few_modules() -> None:
    assert house.explain_loads() <= 80


@pytest.mark.slow
def test_a_chat_passes_few_files() -> None:
    assert len(asyncio.run(house.chat_passes())) <= 95
