"""Which kind of task a text is: of wordings that taught nothing, in wrappers and languages; unknown where none fits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netgpt_bench.routing_sets import reworded
from netgpt_bench.task_lessons import leaves
from safetensors.numpy import save

from netgpt.errors import SettingsError
from netgpt.judgement import TASK_KINDS, UNKNOWN
from netgpt.sorts import LEAST, SHIPPED, Sorts, TaskKinds, names

SORTS = Sorts.shipped()
KINDS = TaskKinds(SORTS)
OTHERS = (
    ("Which of Verdi's operas is set in Egypt?", "facts"),
    ("a man sells two horses for 990 each, gaining 10% on one and losing 10% on the other. his gain?", "word-problems"),
    ("Premise: All lamps were off. Hypothesis: It was dark. Entailment, contradiction or neutral?", "classification"),
    ("What does this print?\nfor i in range(3):\n    print(i * 'ab')", "code-reading"),
    ("can my dog eat grapes or is that dangerous, he just had two and I gave him aspirin", "advice"),
    ("Schreib mir ein Gedicht über einen alten Leuchtturm", "creative"),
    ("Dime qué tiempo hará el domingo en la costa", "local"),
    ("Combien de jours y a-t-il entre le 3 mars et le 9 mai ?", "dates"),
    ("In Java, implement a method that merges two sorted arrays.", "code"),
    ("Resúmeme este correo en dos frases: Estimados clientes, cerramos por obras hasta el lunes.", "summary"),
)  # fmt: skip


def test_every_sort_is_of_a_kind_and_every_kind_has_one() -> None:
    assert set(SORTS.kinds) == {*TASK_KINDS, UNKNOWN}
    assert SORTS.names == tuple(leaves()) and SORTS.kinds == tuple(leaf.kind for leaf in leaves().values())


def test_most_rewordings_in_five_languages_are_of_their_kind() -> None:
    said = [(text, kind) for kind, texts in reworded() for text in texts]
    found = KINDS.of([text for text, _ in said])
    right = [one.name == kind for one, (_, kind) in zip(found, said, strict=True)]
    assert sum(right) >= 0.85 * len(right)


def test_other_requests_are_of_their_kind_or_unknown() -> None:
    found = KINDS.of([text for text, _ in OTHERS])
    named = [(one.name, kind) for one, (_, kind) in zip(found, OTHERS, strict=True) if one.name != UNKNOWN]
    assert sum(name == kind for name, kind in named) >= 7 and sum(name != kind for name, kind in named) <= 2


@pytest.mark.parametrize("text", ["", "??", "x7 qq", "\ud800", "1" * 3_000, "\u0301" * 400, "zxcv bnm"])
def test_what_is_no_task_is_of_no_kind_for_sure(text: str) -> None:
    [found] = KINDS.of([text])
    assert found.name == UNKNOWN or found.chance < 0.9


@given(st.text(alphabet=st.characters()))
@settings(max_examples=100, deadline=None)
def test_chances_are_ordered_and_add_up_to_one_at_most(text: str) -> None:
    [found] = KINDS.of([text])
    chances = [chance for _, chance in found.chances]
    assert chances == sorted(chances, reverse=True) and sum(chances) <= 1.001 and UNKNOWN not in dict(found.chances)
    assert found.name == UNKNOWN or found.chance >= LEAST


def test_a_damaged_or_strange_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sorts.safetensors"
    card = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
    with pytest.raises(SettingsError, match=r"sorts\.safetensors.*No such file"):
        Sorts.load(path)
    path.write_bytes(SHIPPED.read_bytes())
    for wrong, report in (
        (card | {"sha256": "0"}, "not the one"),
        (card | {"forms": []}, "another version"),
        ([], "not the one"),
    ):
        path.with_suffix(".json").write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(SettingsError, match=report):
            Sorts.load(path)
    without = {"mean": np.zeros(len(names()), np.float32)}
    path.write_bytes(save(without))
    with pytest.raises(SettingsError, match="lacks"):
        Sorts(without, card, lambda texts: np.zeros((len(texts), 256), np.float32))
