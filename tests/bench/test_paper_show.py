"""The table and the plot of `netgpt bench paper`, from a small recorded result."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from netgpt_bench.paper_lab import CLOUD_ONLY, DECIDES, EDGE_ONLY, GATEWAY_WAYS, SPLIT, SYNERGY, WHOLE_PROFILE
from netgpt_bench.paper_report import against_the_paper, markdown, svg

WAYS = (CLOUD_ONLY, WHOLE_PROFILE, SPLIT, EDGE_ONLY, SYNERGY, DECIDES)
LINKS = ("50 Mbit/s, 25 ms", "10 Mbit/s, 100 ms")


def result() -> dict[str, Any]:
    """The shape that `bench.paper.run` returns, with plain figures."""
    return {
        "title": "the paper's comparison",
        "ways": [
            {
                "way": way, "storage_mb": 98.4 if way in GATEWAY_WAYS else 0.0,
                "tuning_lora_mb": 900 if way in GATEWAY_WAYS else None, "tuning_full_mb": None,
                "inference_mb": 277.0, "whole_box_mb": 928.0, "up_bytes": 0 if way == EDGE_ONLY else 465,
                "down_bytes": 0 if way == EDGE_ONLY else 7_600, "cloud_tokens": 61.0, "answered_by_cloud": 1.0,
                "first_ms": 142.5, "whole_ms": 900.0, "whole_p95_ms": 1200.0, "written_tokens": 24.0,
                "needed_facts_present": 0.8, "facts_given_needless": None, "requests_given_needless": 0.1,
                "words_untouched": 1.0, "answers_using_the_fact": 0.4, "answers_sound": 1.0,
                "private_values_at_risk": 24, "private_values_left": None if way == SPLIT else 0,
            }
            for way in WAYS
        ],
        "latency": [
            {"link": link, "way": way, "samples": 2, "first_ms": 100.0, "whole_ms": 900.5, "written_tokens": 24.0}
            for link in LINKS
            for way in WAYS
        ],
        "models": [
            {
                "model": "SmolLM2", "family": "llama", "parameters_m": 134.5, "storage_mb": 98.4, "inference_mb": 277,
                "prompt_per_s": 400, "written_per_s": 60.5, "tuning_lora_mb": 900, "tuning_lora_tokens_per_s": 210.0,
                "tuning_full_mb": None, "tuning_full_tokens_per_s": None, "tuning_full_failed": "too little memory",
            },
            {
                "model": "stand-in", "family": "qwen2", "parameters_m": 494.0, "storage_mb": 491.4,
                "inference_mb": 700, "prompt_per_s": 60, "written_per_s": 20.0,
            },
        ],
        "splitting": [
            {
                "model": "SmolLM2", "layers": 30, "edge_layers": 15, "edge_mb": 162.8, "up_bytes_per_token": 1157,
                "down_bytes_per_token": 4, "link_ms_per_token": "2 x delay + 9.29 / (Mbit/s)",
            }
        ],
        "main_link": LINKS[0], "cloud": "stand-in", "samples": {"main link": 2, "other links": 1},
        "answer_tokens": 24, "seed": 7, "edge_processes_mb": {"engine": 277, "gateway": 164},
        "not_shown": ["a real cloud"],
        "machine": {
            "cpu": "A <fine> processor", "cores": 2, "memory_gb": 24.0, "load_1m": 0.1, "system": "Linux",
            "python": "3.11", "versions": {"netgpt": "0.1"}, "commit": "abc",
        },
    }  # fmt: skip


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every Markdown table."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("| "):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_every_table_is_whole() -> None:
    shown = tables(markdown(result()))
    assert len(shown) == 5
    for table in shown:
        assert {len(row) for row in table} == {len(table[0])}
        assert set(table[1]) == {"---"}


def test_the_table_holds_every_way_every_link_and_the_papers_figures() -> None:
    text = markdown(result())
    paper, ways, links, models, _ = tables(text)
    assert ways[0][1:] == list(WAYS) and links[0][1:] == list(WAYS)
    assert [row[0] for row in links[2:]] == list(LINKS)
    assert [row[1] for row in paper[2:]][:3] == ["486.8 MB", "about 7.8 GB (GPU)", "1.65 GB (GPU)"]
    assert "0.95 + 1.40 D" in paper[-1][1]
    assert models[2][-1] == "failed" and models[3][-1] == "-"
    assert "not text" in text and "a real cloud" in text


def test_a_bar_is_held_or_missed_or_without_a_figure() -> None:
    assert [row["held"] for row in against_the_paper(result())] == [True, True, True, None]
    missed = copy.deepcopy(result())
    for row in missed["ways"]:
        row |= {"storage_mb": 105.1, "inference_mb": 300.1, "tuning_lora_mb": None}
    assert [row["held"] for row in against_the_paper(missed)] == [False, None, False, None]
    assert markdown(missed).count("**missed**") == 2


def test_the_plot_is_a_picture_with_a_bar_for_each_figure() -> None:
    root = ElementTree.fromstring(svg(result()))
    tag = "{http://www.w3.org/2000/svg}"
    tips = [title.text for title in root.iterfind(f".//{tag}rect/{tag}title")]
    assert len(tips) == 6 + len(WAYS) * len(LINKS) + 2 * (len(WAYS) - 1), "no bar where nothing crossed the link"
    assert "paper, storage: 487" in tips
    assert f"{SPLIT}, {LINKS[1]}: 900" in tips
    for rect in root.iterfind(f".//{tag}rect"):
        assert float(rect.get("height", "0")) > 0


@pytest.mark.parametrize("value", [0.5, 3.0, 1e6])
def test_a_higher_value_has_a_higher_bar(value: float) -> None:
    more = copy.deepcopy(result())
    more["latency"][0]["whole_ms"], more["latency"][1]["whole_ms"] = value, value * 10
    tag = "{http://www.w3.org/2000/svg}"
    bars = [
        float(rect.get("height", "0"))
        for rect in ElementTree.fromstring(svg(more)).iterfind(f".//{tag}rect")
        if LINKS[0] in (rect.findtext(f"{tag}title") or "")
    ]
    assert bars[1] > bars[0]
