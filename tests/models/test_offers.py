"""Which model suits a machine."""

from __future__ import annotations

import pytest

from netgpt.models.offers import Machine, advise, offers, recommended

GB = 1_000_000_000


def machine(gigabytes: float, speed: float | None, **more: float) -> Machine:
    return Machine(int(gigabytes * GB), 4, 2048, 2, speed, more)


def pick(gigabytes: float, speed: float | None, **more: float) -> str | None:
    here = machine(gigabytes, speed, **more)
    best, why = recommended(advise(here), here)
    assert (best is None) == ("none of them fits" in why)
    return best.offer.name if best else None


def test_memory_speed_and_licence_decide() -> None:
    assert pick(0.4, 200) is None
    assert pick(64, 2_000) == "qwen3-4b", "a fast machine with much memory takes the largest"
    assert pick(4, 2_000) == "smollm3-3b", "with less memory a smaller one, and the open licence among equals"
    assert offers()[pick(64, 55) or ""].parameters < offers()["smollm3-3b"].parameters
    assert pick(64, 2) in offers(), "a slow machine gets the fastest, and is told so"
    assert pick(64, None) == "lfm2-350m", "where nothing is known of the speed, the smallest"


def test_what_was_measured_counts_more_than_what_was_expected() -> None:
    here = machine(64, 55, **{"qwen3-4b": 30.0})
    best, why = recommended(advise(here), here)
    assert best is not None and best.offer.name == "qwen3-4b" and best.is_measured
    assert "estimate" not in why


@pytest.mark.parametrize("name", offers())
def test_an_estimate_is_a_range_that_falls_with_the_size(name: str) -> None:
    offer = offers()[name]
    slow, fast = offer.speed(55)
    assert 0 < slow < fast < 55
    assert offer.memory(2048, 2) > offer.bytes
    assert offer.memory(8192, 2) > offer.memory(2048, 2)


def test_the_estimate_holds_for_the_model_that_was_measured() -> None:
    """Two cores, idle: SmolLM2-135M 55 tokens/s, Qwen2.5-0.5B `Q4_K_M` (491 MB, 24 layers) 19 to 21."""
    like = type(offers()["qwen3-0.6b"])(
        name="x", repo="a/b", file="c", bytes=491_400_064, license="", architecture="qwen2", parameters=1, layers=24,
        context_tokens=1, kv_bytes=12_288, good_for="",
    )  # fmt: skip
    slow, fast = like.speed(55)
    assert slow < 19 and fast > 21
    assert 0.65 * GB < like.memory(2048, 2) < 0.9 * GB, "0.68 GB were used"


def test_each_row_says_what_it_is() -> None:
    rows = [each.as_json() for each in advise(machine(8, 55, **{"qwen3-0.6b": 21.0}))]
    by_name = {row["name"]: row for row in rows}
    assert by_name["qwen3-0.6b"]["tokens_per_s_is"] == "measured"
    assert by_name["qwen3-4b"]["tokens_per_s_is"] == "an estimate"
    assert all({"memory_bytes", "license", "good_for", "fits"} <= row.keys() for row in rows)
