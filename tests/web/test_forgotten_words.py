"""Who is forgotten over HTTP leaves the caches of the process, too."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from pathlib import Path

from doors import door

from netgpt.registry import forget_texts, holds_texts, texts_held


async def test_no_cache_holds_what_a_forgotten_person_said(tmp_path: Path) -> None:
    forget_texts()
    async with door(tmp_path) as box:
        for number in range(60):  # so many that they are remembered between requests
            body = {"text": f"takes medicine number {number}", "kind": "health"}
            assert (await box.ask("POST", "/v1/profiles/ada/facts", json=body)).status_code < 300
        said = await box.chat(text="what can Maria Keller and I have for dinner?", fields={"user": "ada"})
        assert said.status_code == 200 and texts_held() > 60
        assert (await box.ask("DELETE", "/v1/profiles/ada")).status_code == 200
        assert texts_held() == 0


def test_caches_that_are_gone_are_no_burden() -> None:
    forget_texts()
    kept, gone = holds_texts(OrderedDict[str, str]()), holds_texts(lru_cache(maxsize=8)(str.upper))
    kept["ada"] = gone("ada")
    assert texts_held() == 2
    del gone
    assert texts_held() == 1
    forget_texts()
    assert not kept
