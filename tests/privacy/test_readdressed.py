"""A sealed body for another model: nothing else of it changes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from netgpt.privacy.detector import LocalDetector
from netgpt.privacy.vault import Vault, readdressed

texts = st.text(st.characters(codec="utf-8"), max_size=60)


@given(text=texts, model=st.text("abc/-.", min_size=1, max_size=20))
async def test_only_the_model_changes(text: str, model: str) -> None:
    body = {"model": "first", "messages": [{"role": "user", "content": f"write to ada@mill.example {text}"}], "seed": 1}
    vault = Vault()
    first = await vault.seal(body, LocalDetector(names=False))
    second = readdressed(first, model)
    assert json.loads(second.content) == {**json.loads(first.content), "model": model}
    assert (second.hidden, second.rule, second.generalised, second.stream) == (
        first.hidden, first.rule, first.generalised, first.stream,
    )  # fmt: skip
    assert b"ada@mill" not in second.content and readdressed(second, "first").content == first.content


async def test_fixed_words_of_the_settings_may_be_added() -> None:
    body = {"model": "first", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    first = await Vault().seal(body, LocalDetector(names=False))
    second = readdressed(first, "netgpt/edge", {"netgpt": {"complete": "off"}})
    assert json.loads(second.content) == {**body, "model": "netgpt/edge", "netgpt": {"complete": "off"}}
    assert second.stream
