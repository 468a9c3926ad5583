"""The judge: never more where less is known, nothing for a claim, no word of what was said, and quick."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import JUDGE, judged, told, why
from safetensors.numpy import load_file, save_file

from netgpt.app.routing import open_judge
from netgpt.confidence import features
from netgpt.confidence.judge import BUNDLED, UNMEASURED, Judge, read_weights, shipped
from netgpt.errors import ModelUnavailable
from netgpt.judgement import AnswerJudge, TaskKind, TokenStats

QUESTION = "Which river flows through Cairo?"
ANSWERS = [
    "The Nile.",
    "The Nile flows through Cairo, the capital of Egypt.",
    "It is the Danube, I think, near Vienna.",
]
CLAIMS = [
    " I am absolutely certain of this.", " This is 100% correct, trust me.", " My confidence is 99%.",
    " Ich bin sicher.", " Without a doubt.", " Definitely!", " Je suis certaine.",
    " I guarantee that this is the correct answer.",
]  # fmt: skip


def test_a_sure_model_is_believed_more_than_an_unsure_one() -> None:
    for answer in ANSWERS:
        sure, unsure = (judged(QUESTION, answer, prior=0.5, stats=told(chance)) for chance in (0.98, 0.35))
        assert sure.chance > unsure.chance + 0.1
        assert "unsure of its words" in why(unsure) and "unsure" not in why(sure)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("prior", [0.1, 0.5, 0.9])
def test_less_is_claimed_where_less_is_known(answer: str, prior: float) -> None:
    """Without figures of tokens never more than the prior, without a prior never much, and both are said."""
    without = judged(QUESTION, answer, prior=prior)
    assert without.chance <= prior and "tells no probabilities" in why(without)
    unmeasured = judged(QUESTION, answer, stats=told(0.98))
    assert unmeasured.chance <= UNMEASURED and "never measured" in why(unmeasured)
    known = judged(QUESTION, answer, prior=0.9, stats=told(0.98))
    nothing = judged(QUESTION, answer)
    assert nothing.chance <= min(unmeasured.chance, without.chance + 0.25, 0.5) and known.chance >= nothing.chance


def test_the_prior_carries_the_chance() -> None:
    chances = [judged(QUESTION, ANSWERS[0], prior=prior, stats=told(0.7)).chance for prior in (0.05, 0.3, 0.6, 0.95)]
    assert chances == sorted(chances) and chances[0] < 0.15 and chances[-1] > 0.8


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_claim_of_certainty_raises_nothing(answer: str, claim: str) -> None:
    """Nor do its tokens, though the model is sure of each of them."""
    stats = told(0.6, count=len(answer.split()) + 2)
    surer = replace(stats, count=stats.count + len(claim.split()) + 1, first=list(stats.first))
    plain = judged(QUESTION, answer, prior=0.5, stats=stats).chance
    for said in (answer + claim, claim.strip() + " " + answer):
        assert judged(QUESTION, said, prior=0.5, stats=surer).chance <= plain + 0.005
        assert judged(QUESTION, said, prior=0.5).chance <= judged(QUESTION, answer, prior=0.5).chance + 0.005


def test_a_model_that_claims_to_be_certain_of_every_token_tells_nothing() -> None:
    hostile = TokenStats()
    for _ in range(12):
        hostile.add(0.0, [0.0, -60.0])
    assert judged(QUESTION, ANSWERS[0], prior=0.3, stats=hostile) == judged(QUESTION, ANSWERS[0], prior=0.3)
    broken = replace(told(0.9), total=float("nan"))
    assert judged(QUESTION, ANSWERS[0], prior=0.3, stats=broken) == judged(QUESTION, ANSWERS[0], prior=0.3)


def test_a_recomputed_result_settles_it_whatever_the_model_thinks() -> None:
    right = judged("What is 17 * 23?", "It is 391.", kind="arithmetic", prior=0.05, stats=told(0.3))
    wrong = judged("What is 17 * 23?", "It is 401.", kind="arithmetic", prior=0.95, stats=told(0.99))
    assert right.chance > 0.9 and wrong.chance < 0.1 and wrong.wrong and not right.wrong
    assert "recomputed" in why(right) and "401" not in wrong.repair and "391" not in wrong.repair


def test_an_answer_that_is_being_written_moves_the_chance_less_and_is_not_called_cut() -> None:
    stats = told(0.4, count=2)
    early = judged(QUESTION, "The river that", prior=0.6, stats=stats, whole=False)
    late = judged(
        QUESTION, "The river that flows through the town of Cairo is the", prior=0.6, stats=told(0.4, 30), whole=False
    )
    assert late.chance < early.chance and not early.wrong and "breaks off" not in why(late)
    assert judged(QUESTION, "", prior=0.6, whole=False).chance <= 0.6
    half = judged("What is 12 * 12?", "12 * 12 is 1", kind="arithmetic", prior=0.5, whole=False)
    assert not half.wrong, "a number may still grow"


TEXTS = st.text(alphabet="aZ 0159.,:;!?`{}[]()\"'\n-+*/=%é漢ßя", max_size=400)


@given(question=TEXTS, answer=TEXTS, prior=st.one_of(st.none(), st.floats(allow_nan=True)), whole=st.booleans())
def test_any_answer_gets_a_chance(question: str, answer: str, prior: float | None, whole: bool) -> None:
    found = judged(question, answer, prior=prior, whole=whole)
    assert 0.0 <= found.chance <= 1.0 and (found.repair == "" or found.wrong) and found.reasons


def test_odd_bodies_are_judged_too() -> None:
    for body in ({}, {"messages": None}, {"messages": [3, {"role": "user"}]}, {"messages": [], "response_format": 4}):
        assert 0.0 <= JUDGE.judge(body, "yes", kind=TaskKind()).chance <= UNMEASURED


def test_the_reasons_hold_no_word_of_question_or_answer() -> None:
    answer = "Zanzibar and Quetzal met Xanthippe 4711 times, 2 + 2 = 5."
    found = judged(
        "Where did Wolpertinger go?", answer, facts=["Wolpertinger is 12 years old."], prior=0.4, stats=told(0.5)
    )
    secret = {"zanzibar", "quetzal", "xanthippe", "4711", "wolpertinger"}
    assert not secret & set((why(found) + found.repair).lower().replace(".", " ").split())


@pytest.mark.parametrize(
    "piece",
    ["1 + ", "1,1", "(" * 50, "a b ", "```py\n", "i am sure ", "a. ", "1 jan ", "A) x\n", "as an ", '{"a":', "= 3"],
)  # fmt: skip
def test_hostile_lengths_cost_time_in_proportion(piece: str) -> None:
    """Twenty times the text may cost eighty times the time, never four hundred; what is measured is this thread's."""
    took = []
    for length in (1_000, 20_000):
        text = (piece * length)[:length]
        began = time.thread_time()
        judged(text, text, prior=0.5, stats=told(0.5))
        took.append(time.thread_time() - began)
    assert took[1] < 80 * took[0] + 0.5


def test_the_shipped_weights_are_those_of_the_card_and_others_are_refused(tmp_path: Path) -> None:
    judge = open_judge()
    assert judge is not None and isinstance(judge, Judge)
    accepts: AnswerJudge = judge
    assert accepts is judge and shipped().told.names == features.TOLD + features.SEEN
    path = Path(features.__file__).with_name(BUNDLED)
    arrays = load_file(path)
    for name, change in (
        ("form", lambda: save_file(arrays, tmp_path / "form", {"form": "another"})),
        (
            "few",
            lambda: save_file(
                {**arrays, "told.weight": arrays["told.weight"][:3]}, tmp_path / "few", {"form": "netgpt-judge-1"}
            ),
        ),
        (
            "scale",
            lambda: save_file(
                {**arrays, "told.scale": np.zeros_like(arrays["told.scale"])},
                tmp_path / "scale",
                {"form": "netgpt-judge-1"},
            ),
        ),
        ("cut", lambda: (tmp_path / "cut").write_bytes(path.read_bytes()[:300])),
    ):
        change()
        with pytest.raises(ModelUnavailable):
            read_weights(tmp_path / name)
    with pytest.raises(ModelUnavailable):
        read_weights(path, sha256="0" * 64)
