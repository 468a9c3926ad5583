from __future__ import annotations

from functools import partial

import pytest
from weights import bundled_weights  # noqa: F401

from netgpt.adapters.card import Card
from netgpt.adapters.formats import read_adapter
from netgpt.adapters.registry import shipped_adapters
from netgpt.app.gateway import whole_answer
from netgpt.completion.classify import name_class
from netgpt.models.client import EdgeModel
from netgpt.models.download import file_sha256
from netgpt.models.engine import Engine
from netgpt.models.hot_swap import Adapter, SwappingEngine

FOLDER = next((folder for folder in shipped_adapters() if folder.name == "complete"), None)
pytestmark = pytest.mark.skipif(FOLDER is None, reason="this checkout has no shipped adapter")


def test_the_card_says_what_the_file_is():
    assert FOLDER is not None
    card = Card.model_validate_json((FOLDER / "card.json").read_text())
    file = read_adapter(FOLDER / "adapter.gguf")
    assert (card.name, card.scope, card.rank, card.alpha) == ("complete", "task", file.rank, file.alpha)
    assert card.weights_sha256 == file_sha256(FOLDER / "adapter.gguf")
    assert card.bytes == file.bytes <= 8_000_000
    assert card.targets == tuple(file.targets)


def test_the_card_to_read_names_every_source_and_its_licence():
    assert FOLDER is not None
    text = (FOLDER / "README.md").read_text()
    for word in ("CLINC150", "CC BY 3.0", "SLURP", "CC BY 4.0", "SNIPS", "CC0", "Held-out"):
        assert word in text
    assert "@" not in text, "a figure was left out"


@pytest.mark.slow
async def test_the_model_names_the_class_with_it(bundled_weights, tmp_path):  # noqa: F811
    assert FOLDER is not None
    make = partial(Engine, bundled_weights, context_tokens=512, slots=1, log_path=tmp_path / "engine.log")
    engine = SwappingEngine(make)
    await engine.set_adapters([Adapter("complete@1", FOLDER / "adapter.gguf")])
    await engine.start()
    model = EdgeModel("edge", engine.endpoint, "edge", timeout_s=60, default_max_tokens=8, leases=engine.lease)

    async def ask(body):
        return await whole_answer(model, body, ("complete@1",))

    try:
        for request, topic in (
            ("will it rain tomorrow", "weather"),
            ("ideas for dinner", "recipe"),
            ("tell me a joke", "chat"),
            ("how do i change a tyre", "car"),
        ):
            likely = await name_class(ask, request)
            assert max(likely, key=lambda name: likely[name]) == topic
            assert likely[topic] > 0.5
    finally:
        await model.close()
        await engine.stop()
