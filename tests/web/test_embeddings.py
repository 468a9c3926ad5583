"""`/v1/embeddings` with the sentence encoder on the box, without it, and with input that it cannot take."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio
from doors import Door, door

from netgpt.app.embeddings import Embeddings
from netgpt.encoder import SentenceEncoder
from netgpt.errors import RequestError
from netgpt.settings import load_settings
from netgpt.word_pieces import StaticEmbedder

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = ["where can I eat tonight", "a cheap restaurant nearby", "change the engine oil"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory, encoder_weights: Path) -> AsyncIterator[Door]:
    async with door(tmp_path_factory.mktemp("home"), encoder={"model": str(encoder_weights)}) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bare(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A box on which `netgpt models pull` was never run."""
    async with door(tmp_path_factory.mktemp("bare")) as opened:
        yield opened


async def embed(box: Door, given: Any, status: int = 200, **fields: Any) -> dict[str, Any]:
    answer = await box.ask("POST", "/v1/embeddings", json={"input": given, **fields})
    assert answer.status_code == status, answer.text
    content: dict[str, Any] = answer.json()
    return content


def rows(answer: dict[str, Any]) -> Any:
    assert [row["index"] for row in answer["data"]] == list(range(len(answer["data"])))
    return np.array([row["embedding"] for row in answer["data"]], np.float32)


async def test_meaning_is_near_where_no_word_is_shared(box: Door) -> None:
    answer = await embed(box, TEXTS, model="netgpt/embed")
    eat, restaurant, oil = vectors = rows(answer)
    assert answer["model"] == "netgpt/embed" and vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert eat @ restaurant > 0.3 + eat @ oil
    assert answer["usage"]["prompt_tokens"] == 7 + 6 + 6
    (alone,) = rows(await embed(box, TEXTS[0]))
    assert np.allclose(alone, eat, atol=1e-5)


async def test_as_base64(box: Door) -> None:
    answer = await embed(box, TEXTS[0], encoding_format="base64")
    vector = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), "<f4")
    assert np.allclose(vector, rows(await embed(box, TEXTS[0]))[0], atol=1e-6)


async def test_fewer_dimensions_are_the_first_ones_made_unit_length(box: Door, bare: Door) -> None:
    for here, most in ((box, 384), (bare, 256)):
        whole, short = rows(await embed(here, TEXTS)), rows(await embed(here, TEXTS, dimensions=64))
        cut = whole[:, :64]
        assert np.allclose(short, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-5)
        assert np.allclose(rows(await embed(here, TEXTS, dimensions=most)), whole, atol=1e-6)
        for wrong in (most + 1, 0, -1):
            refused = await embed(here, TEXTS, 400, dimensions=wrong)
            assert refused["error"]["param"] == "dimensions"


async def test_the_static_ones_have_a_name_of_their_own(box: Door, bare: Door) -> None:
    answer = await embed(box, TEXTS, model="netgpt/embed-static")
    assert answer["model"] == "netgpt/embed-static" and rows(answer).shape == (3, 256)
    for here in (box, bare):
        names = {model["id"] for model in (await here.get("/v1/models")).json()["data"]}
        assert {"netgpt/embed", "netgpt/embed-static"} <= names
        assert (await here.get("/v1/models/netgpt/embed-static")).status_code == 200


async def test_without_the_encoder_the_static_ones_stand_in_and_the_answer_says_so(bare: Door) -> None:
    answer = await embed(bare, TEXTS, model="netgpt/embed")
    assert answer["model"] == "netgpt/embed-static" and rows(answer).shape == (3, 256)
    ready = (await bare.get("/readyz")).json()
    assert ready["ready"] is True
    assert ready["parts"]["encoder"]["ok"] is False
    assert "netgpt models pull all-minilm-l6-v2" in ready["parts"]["encoder"]["detail"]


async def test_many_texts_and_no_more_than_that(box: Door, bare: Door) -> None:
    assert len((await embed(bare, ["a"] * 2_048, dimensions=2))["data"]) == 2_048
    assert len((await embed(box, ["a"] * 300, dimensions=2))["data"]) == 300
    for here in (box, bare):
        assert "2,048" in (await embed(here, ["a"] * 2_049, 400))["error"]["message"]


@pytest.mark.parametrize("given", [[1212, 318], [[1212, 318], [7]], [[]]])
async def test_token_ids_are_refused_with_the_reason(box: Door, given: Any) -> None:
    refused = (await embed(box, given, 400))["error"]
    assert refused["param"] == "input" and "send the texts" in refused["message"]


@pytest.mark.parametrize("given", [[], "", ["a", ""], None, 7, {"a": 1}, ["a", 7], [["a"]], [True]])
async def test_input_that_is_none_is_a_request_error(box: Door, given: Any) -> None:
    answer = await box.ask("POST", "/v1/embeddings", json={"input": given})
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b'{"input": "\\ud800"}', {}), (b'\xef\xbb\xbf{"input": "a"}', {}), 
        (b'{"input": ["a"]}', {"content-type": "text/plain"}),
        (gzip.compress(b'{"input": "a"}', mtime=0), {"content-encoding": "gzip"}),
        ('{"input": "a"}'.encode("utf-16"), {}),
        (b'{"input": "a", "model": null, "dimensions": null, "encoding_format": null, "user": null}', {}),
    ],
)  # fmt: skip
async def test_bodies_as_clients_write_them(bare: Door, raw: bytes, headers: dict[str, str]) -> None:
    answer = await bare.ask("POST", "/v1/embeddings", content=raw, headers=headers)
    assert answer.status_code == 200 and len(answer.json()["data"]) == 1, answer.text


async def test_odd_texts_have_rows(box: Door) -> None:
    texts = ["\0", "\n", "\u200b", "日本語", "x" * 100_000, "word " * 50_000, "[SEP]", "\U0001f600"]
    vectors = rows(await embed(box, texts))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


async def test_others_are_served_while_a_long_list_is_embedded(box: Door) -> None:
    """The long list takes many turns; what comes later needs one, so it ends first however fast the machine is."""
    long = asyncio.create_task(embed(box, [f"number {i} " + "word " * 200 for i in range(14)], dimensions=8))
    await asyncio.sleep(0)
    while not box.gateway.embeddings._turn.locked():
        await asyncio.sleep(0.001)
    assert (await box.get("/healthz")).status_code == 200
    await embed(box, "short")
    assert not long.done()
    assert len((await long)["data"]) == 14


async def test_nobody_computes_for_a_caller_who_is_gone(box: Door, encoder_weights: Path) -> None:
    asked = 0

    async def gone() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    made = await box.gateway.embeddings.embed(["word " * 200] * 40, "netgpt/embed", None, gone)
    assert asked == 2
    assert 1 <= np.count_nonzero(np.linalg.norm(made.rows, axis=1)) < 5


async def test_a_request_of_too_many_tokens_is_refused_before_it_is_computed(box: Door) -> None:
    async def here() -> bool:
        raise AssertionError("nothing is computed")

    with pytest.raises(RequestError, match="300,000"):
        await box.gateway.embeddings.embed(["word " * 300] * 1_200, "netgpt/embed", None, here)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("all-minilm-l6-v2", "netgpt models pull all-minilm-l6-v2"),
        ("smollm2-135m", "no sentence encoder"),
        ("nobody", "No weights named"),
        ("/nowhere/x.safetensors", "cannot be read"),
        ("damaged", "cannot be used"),
    ],
)
async def test_an_encoder_that_cannot_be_used_stops_nothing(
    tmp_path: Path, model: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    if model == "damaged":
        model = str(tmp_path / "x.safetensors")
        Path(model).write_bytes(b"damaged")
    caplog.set_level("INFO")
    made = Embeddings(load_settings(environment={}, home=tmp_path, encoder={"model": model}), StaticEmbedder())
    await made.start()
    assert made.encoder is None and not made.health().ok
    assert words in made.health().detail and "static" in made.health().detail
    assert words in caplog.text and "Traceback" not in caplog.text


async def test_off_is_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Embeddings(load_settings(environment={}, home=tmp_path, encoder={"model": "off"}), StaticEmbedder())
    await made.start()
    assert made.encoder is None and made.health().ok and "off" in made.health().detail
    assert caplog.text == ""


async def test_an_openai_client(box: Door) -> None:
    from openai import AsyncOpenAI

    transport = httpx.ASGITransport(box.app, client=("127.0.0.1", 40_000))
    async with httpx.AsyncClient(transport=transport) as opened:
        http: Any = opened  # the client is typed for a fork of httpx
        client = AsyncOpenAI(base_url="http://localhost:8080/v1", api_key="none", http_client=http)
        answer = await client.embeddings.create(model="netgpt/embed", input=TEXTS, dimensions=100)
    assert len(answer.data[0].embedding) == 100


async def test_the_published_file_is_read_with_its_hash(encoder_weights: Path) -> None:
    from netgpt.models.catalog import BUNDLED, ENCODER

    assert SentenceEncoder(encoder_weights, sha256=BUNDLED[ENCODER].sha256).width == 384
    assert encoder_weights.stat().st_size == BUNDLED[ENCODER].bytes < 30_000_000
