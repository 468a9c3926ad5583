"""What relevance is learnt from, and that what is trained is what runs."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from netgpt_bench.relevance import expected_calibration_error, figures
from netgpt_bench.relevance_data import (
    MEASURED,
    Ask,
    PersonCard,
    fact_pools,
    kind_lessons,
    prefeval_rows,
    read_cards,
)

from netgpt.completion.choose import cut_for
from netgpt.completion.relevance import NEEDED, Relevance
from netgpt.encoder import DELTA_FORM, SentenceEncoder, write_arrays
from netgpt.errors import RequestError

HELD_OUT = frozenset({
    "garden", "instrument", "boat", "eyesight", "hair", "sewing", "bees", "camera", "smoking", "radio", "shifts",
    "handedness", "foster", "tattoo",
})  # fmt: skip


def test_cards_are_many_and_what_is_measured_is_not_learnt_from() -> None:
    learnt, measured = read_cards(), read_cards(measured=True)
    assert len(learnt) > 1_100 and {card.origin for card in measured} == set(MEASURED)
    assert not {card.origin for card in learnt} & set(MEASURED)
    known = {text for card in learnt for _, text in card.facts}
    shared = [(kind, text) for card in measured for kind, text in card.facts if text in known and len(text) > 4]
    assert len(shared) < 25  # "eats everything" may be said twice, but nothing of the kinds that are held out:
    assert not {kind for kind, _ in shared} & HELD_OUT
    assert all(0 <= index < len(card.facts) for card in learnt for _, needed in card.requests for index in needed)


def test_pools_hold_facts_of_the_kind_and_none_that_says_the_opposite() -> None:
    facts = (
        ("car", "Skoda Fabia"), ("car", "sold the van"), ("moment", "Tuesday, 9:15"), ("moment", "in Graz"),
        ("diet", "eats no pork"), ("sleep", "wakes at five"),
    )  # fmt: skip
    pools = fact_pools([PersonCard("own", facts, ())])
    found = {kind: texts for kind, texts in pools.items() if texts}
    assert found == {
        "car": ["Skoda Fabia"],
        "time": ["Tuesday, 9:15"],
        "place": ["in Graz"],
        "diet": ["eats no pork"],
    }


def test_a_card_tells_of_the_kinds_that_it_has() -> None:
    card = PersonCard("own", (("pet", "a cat"), ("sleep", "wakes at five")), (("vet nearby", frozenset({0})),))
    (lesson,) = kind_lessons([card], None, ())
    assert lesson.due == {"pet": True} and set(lesson.due) <= set(NEEDED)


def test_figures_count_facts_and_requests() -> None:
    asks = [
        Ask("a", (("x", "1"), ("x", "2")), frozenset({0})),
        Ask("b", (("x", "1"), ("x", "2")), frozenset()),
    ]
    scores = [np.array([0.9, 0.8], np.float32), np.array([0.1, 0.2], np.float32)]
    found = figures(asks, scores, lambda _: 0.5)
    assert (found["precision"], found["recall"], found["needless"], found["first"]) == (0.5, 1.0, 0.5, 1.0)
    sure = np.array([1.0, 1.0, 0.0, 0.0], np.float32)
    assert expected_calibration_error(sure, np.array([1, 0, 0, 0], np.float32)) == pytest.approx(0.25)
    assert cut_for([0.999, 0.6]) > 0.9 and cut_for([]) == 0.5


def test_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="prefeval_dev"):
        prefeval_rows(tmp_path)


def test_what_is_trained_is_what_runs_and_a_step_lowers_the_loss(encoder_weights: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from netgpt_bench.relevance_train import Lessons, RelevanceNetwork, learn, learn_needs, step_loss

    torch.manual_seed(1)
    network, chance = RelevanceNetwork(encoder_weights), random.Random(1)
    with torch.no_grad():
        for each in network.parameters():
            each.add_(0.02 * torch.randn_like(each))
    cards = read_cards(["voice"])[:2]
    before = float(step_loss(network.eval(), cards, random.Random(2)).detach())
    learn(network, Lessons(cards, None, chance), 8, chance)
    assert float(step_loss(network, cards, random.Random(2)).detach()) < before
    needs = learn_needs(network, kind_lessons(cards, None, ()), chance)
    line = np.array([1, 0], np.float32)
    path = tmp_path / "made.safetensors"
    arrays = {**network.arrays(), **needs.arrays(), "relevance.calibration": line}
    write_arrays(path, arrays, {"form": DELTA_FORM, "base": network.base_sha256})
    relevance = Relevance(SentenceEncoder(encoder_weights).with_delta(path))
    request, facts = cards[0].requests[0][0], [text for _, text in cards[0].facts]
    with torch.no_grad():
        logits = network.pairs(*network.read_both([request], facts))[0]
    assert np.abs(relevance(request, facts) - torch.sigmoid(logits).numpy()).max() < 0.02
