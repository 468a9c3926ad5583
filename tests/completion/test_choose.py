"""Facts chosen by a model of relevance: real encoder, a small head that goes by likeness."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from relevance_heads import made_relevance, single

from netgpt.completion.choose import CUT, MOST_FACTS, Selection
from netgpt.completion.relevance import MOST_CHARACTERS, Relevance, TextVectors, wording
from netgpt.completion.select import Selector
from netgpt.encoder import SentenceEncoder
from netgpt.errors import ModelUnavailable
from netgpt.types import Fact
from netgpt.word_pieces import StaticEmbedder

EMBED = StaticEmbedder()
FACTS = [
    Fact("Feeds a dog called Rex twice a day", "note", source="profile"),
    Fact("Plays the cello in a quartet", "skill", source="profile"),
    Fact("Has no wheel clamp for the caravan", "", source="profile"),
    Fact("It is Sunday evening", "time", source="clock"),
]
DOG = "how often should a dog be fed"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, encoder_weights: Path) -> Path:
    return made_relevance(tmp_path_factory.mktemp("relevance") / "relevance.safetensors", encoder_weights)


@pytest.fixture(scope="module")
def encoder(encoder_weights: Path) -> SentenceEncoder:
    return SentenceEncoder(encoder_weights)


@pytest.fixture
def model(encoder: SentenceEncoder, weights: Path) -> Relevance:
    made = Relevance(encoder.with_delta(weights))
    made.load()
    return made


async def never(body: Mapping[str, Any]) -> dict[str, Any]:
    raise AssertionError("the edge model is not asked")


def choosing(model: Relevance, max_facts: int = 6) -> Selector:
    selector = Selector(never, EMBED, max_facts)
    selector.use(model)
    return selector


async def test_any_fact_in_any_words_may_be_chosen_and_the_edge_model_is_not_asked(model: Relevance) -> None:
    selector = choosing(model)
    for request, index in ((DOG, 0), ("which cello pieces suit a quartet", 1), ("buy a wheel clamp for a caravan", 2)):
        chosen = await selector.select(request, FACTS, never, within_s=60)
        assert chosen.chosen == (index,) and chosen.why == "1 of 4 facts help, by the model of relevance"
        assert len(chosen.chances) == 4 and chosen.chances[index] >= CUT > max(np.delete(chosen.chances, index))
    nothing = await selector.select("what is the square root of 144", FACTS, never, within_s=60)
    assert nothing.chosen == () and nothing.why == "nothing helps, by the model of relevance"
    await selector.warm(never)


async def test_no_more_than_max_facts_the_likeliest_in_their_own_order(model: Relevance) -> None:
    facts = [Fact(f"Feeds the dog {when}", "note") for when in ("at night", "in the morning", "at noon", "never")]
    found = await choosing(model, 2).select(DOG, facts, within_s=60)
    best = sorted(range(4), key=lambda i: -found.chances[i])[:2]
    assert found.chosen == tuple(sorted(best))
    figures = found.figures()
    assert figures is not None and figures["given"] == [round(found.chances[i], 3) for i in found.chosen]
    assert len(figures["next"]) == 2 and figures["next"] == sorted(figures["next"], reverse=True)
    assert all(isinstance(number, float) for number in (figures["cut"], *figures["given"], *figures["next"]))


def test_another_way_of_choosing_has_no_figures() -> None:
    assert Selection((0,), "by embeddings").figures() is None


async def test_what_is_not_read_in_time_is_read_on_and_said(model: Relevance) -> None:
    selector = choosing(model)
    late = await selector.select(DOG, FACTS, within_s=0)
    assert late.chosen == () and "4 facts could not be read in time" in late.why and "Rex" not in late.why
    texts = [wording(fact.kind, fact.text) for fact in FACTS]
    while len(model.ready(texts)) < len(texts):
        await asyncio.sleep(0.01)
    ready = await selector.select(DOG, FACTS, within_s=0)
    assert ready.chosen == (0,) and "in time" not in ready.why
    await selector.close()


async def test_closing_ends_what_is_read_on(model: Relevance) -> None:
    selector = choosing(model)
    many = [Fact(f"Fact {number} of many", "note", source="profile") for number in range(4_000)]
    await selector.select(DOG, many, within_s=0)
    await selector.close()
    assert len(model.ready([fact.text for fact in many])) < 2_000


async def test_vectors_that_are_kept_elsewhere_are_fetched_once_and_only_for_profiles(
    model: Relevance, encoder: SentenceEncoder, weights: Path
) -> None:
    elsewhere = Relevance(encoder.with_delta(weights))
    texts = [wording(fact.kind, fact.text) for fact in FACTS[:3]]
    packed = {text: each.packed() for text, each in zip(texts, elsewhere.vectors_of(texts), strict=True)}
    calls = []

    async def fetch() -> dict[str, TextVectors]:
        calls.append(1)
        found = {text: model.unpacked(data) for text, data in packed.items()}
        model.keep(found, model.forgotten)
        return found

    selector = choosing(model)
    for request in (DOG, "feed the dog"):
        found = await selector.select(request, FACTS[:3], within_s=60, fetch=fetch)
        assert found.chosen == (0,)
    await selector.select(DOG, FACTS, within_s=60, fetch=fetch)  # the clock's alone is new
    assert calls == [1]


async def test_of_ten_thousand_facts_the_newest_are_looked_at_and_the_limit_is_said(model: Relevance) -> None:
    facts = [*FACTS[3:], *(Fact(f"Feeds dog number {number}", "note", source="profile") for number in range(10_000))]
    (vectors,) = model.vectors_of([facts[-1].text])

    async def fetch() -> dict[str, TextVectors]:
        return {fact.text: vectors for fact in facts}

    found = await choosing(model).select(DOG, facts, within_s=60, fetch=fetch)
    looked_at = [index for index, chance in enumerate(found.chances) if chance > 0]
    assert looked_at == [0, *range(10_001 - (MOST_FACTS - 1), 10_001)]
    assert found.chosen and f"only {MOST_FACTS} facts were looked at" in found.why


async def test_odd_texts_are_facts_too(model: Relevance) -> None:
    long = "Feeds the dog. " + "word " * 10_000
    facts = [Fact("", "diet"), Fact(" \n ", "diet"), Fact(long, "pet"), Fact("\x00\ud800 \u202e", "note"), FACTS[0]]
    found = await choosing(model).select(DOG, facts, within_s=60)
    assert found.chances[:2] == (0.0, 0.0) and 4 in found.chosen and all(0 <= each <= 1 for each in found.chances)
    only_empty = await choosing(model).select(DOG, facts[:2], within_s=60)
    assert only_empty.chosen == ()


@pytest.mark.parametrize(
    ("kind", "text", "read"),
    [
        ("diet", "Eats  no\nmeat.", "diet: Eats no meat."),
        ("Diet ", "Eats no meat.", "diet: Eats no meat."),
        ("other", "Eats no meat.", "Eats no meat."),
        ("", "Eats no meat.", "Eats no meat."),
        ("note", "Eats no meat.", "Eats no meat."),
        ("k1", "Eats no meat.", "Eats no meat."),
        ("diet", "Diet: no meat", "Diet: no meat"),
        ("diet", "  ", ""),
        ("diet", "x" * 60_000, "diet: " + "x" * MOST_CHARACTERS),
    ],
)
def test_a_fact_is_read_after_its_kind_where_that_tells_something(kind: str, text: str, read: str) -> None:
    assert wording(kind, text) == read


def bad_weights(case: str, path: Path, base: Path) -> Path:
    if case == "missing":
        return path
    if case == "no head":
        return made_relevance(path, base, out__w1=None)
    if case == "too few kinds":
        return made_relevance(path, base, need__w2=np.ones((8, 3), np.float32), need__b2=single(1, 2, 3))
    if case == "of another shape":
        return made_relevance(path, base, out__w1=np.ones((3, 3), np.float32))
    if case == "endless":
        huge = np.full((49, 8), 3e38, np.float32)
        return made_relevance(path, base, out__w1=huge, out__w2=single(*[3e38, -3e38] * 4))
    made_relevance(path, base)
    data = path.read_bytes()
    path.write_bytes(data[:-100] if case == "cut" else data.replace(b'"base":"', b'"base":"0', 1))
    return path


@pytest.mark.parametrize(
    "case", ["missing", "cut", "of another model", "no head", "too few kinds", "of another shape", "endless"]
)
async def test_weights_that_cannot_be_used_lose_no_request(
    case: str, tmp_path: Path, encoder: SentenceEncoder, encoder_weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = bad_weights(case, tmp_path / "relevance.safetensors", encoder_weights)
    model = Relevance(encoder.with_delta(path))
    with pytest.raises(ModelUnavailable, match=path.name):
        model.load()
    if case in ("missing", "cut", "of another model", "no head"):
        selector = Selector(None, EMBED)
        selector.use(model)  # as if the file broke while the box ran
        found = await selector.select("will it rain tomorrow", [Fact("The user is in Cambridge", "place")])
        assert found.chosen == (0,) and found.chances == ()
        assert found.why == "1 of 1 facts help, by embeddings (the model of relevance failed)"
        assert "Cambridge" not in caplog.text


async def test_without_the_model_the_old_way_chooses_and_says_why() -> None:
    selector = Selector(None, EMBED)
    selector.use(None, "the sentence encoder is not there")
    found = await selector.select("will it rain tomorrow", [Fact("The user is in Cambridge", "place")])
    assert found.why == "1 of 1 facts help, by embeddings (the sentence encoder is not there)"


def test_vectors_are_the_same_after_being_kept_and_of_another_size_are_refused(model: Relevance) -> None:
    (made,) = model.vectors_of(["Feeds a dog"])
    again = model.unpacked(made.packed())
    assert (again.words == made.words).all() and (again.mean == made.mean).all() and (again.coarse == made.coarse).all()
    assert model.chances(DOG, [again]).tolist() == model.chances(DOG, [made]).tolist()
    for data in (b"", made.packed()[:-2], made.packed()[:700], b"\x00"):
        with pytest.raises(ValueError, match=r".*"):
            model.unpacked(data)


def test_vectors_of_other_weights_have_another_name(
    encoder: SentenceEncoder, weights: Path, tmp_path: Path, encoder_weights: Path
) -> None:
    other = made_relevance(tmp_path / "other", encoder_weights, seed=2)
    names = {
        Relevance(encoder.with_delta(path, most_tokens=most)).identity
        for path, most in ((weights, 128), (other, 128), (weights, 64))
    }
    assert len(names) == 3 and Relevance(encoder.with_delta(weights, most_tokens=64)).identity in names


def test_memory_is_bounded_and_forgotten(encoder: SentenceEncoder, weights: Path) -> None:
    model = Relevance(encoder.with_delta(weights), kept_bytes=10_000)
    texts = [f"Fact {number}" for number in range(20)]
    read = model.vectors_of(texts)
    assert sum(each.nbytes for each in read) > 10_000
    kept = model.ready(texts)
    assert 0 < sum(each.nbytes for each in kept.values()) <= 10_000 and texts[-1] in kept and texts[0] not in kept
    since = model.forgotten
    model.forget()
    model.keep(kept, since)  # made before
    assert model.ready(texts) == {}
