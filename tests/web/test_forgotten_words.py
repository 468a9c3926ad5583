"""Who is forgotten over HTTP leaves the caches of the process, too."""

from __future__ import annotations

import ast
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path

from doors import door

import netgpt
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


OUR_OWN = {"script", "_inside", "group_of"}
"""Asked for a letter, a sign of a programming language, a kind of places: nothing that somebody said."""


def test_each_cache_of_texts_is_known_to_forgetting() -> None:
    """In the parts that read what people say: whatever remembers a text by itself says so."""
    unknown, known = [], 0
    for part in ("completion", "confidence", "constraints", "generation", "privacy", "stages", "wording"):
        for path in (Path(netgpt.__file__).parent / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.FunctionDef) or not node.args.args:
                    continue
                said = [ast.unparse(each) for each in node.decorator_list]
                of_text = ast.unparse(node.args.args[0].annotation or ast.Constant("")) in ("str", "tuple[str, ...]")
                if any(each.startswith("lru_cache(") for each in said) and of_text and node.name not in OUR_OWN:
                    known += "holds_texts" in said
                    unknown += [] if "holds_texts" in said else [f"{path.name}: {node.name}"]
    assert not unknown and known > 10
