"""The one command that trains, judges by folds and writes weights and card, on a small made folder of data."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from netgpt_bench.detector_data import FILES
from netgpt_bench.detector_train import Bench, make_detector, parted

from netgpt.privacy.tagger import Tagger, read_weights

_ROWS: dict[str, list[dict[str, Any]]] = {
    "pupa": [{"user_query": f"Write to Anna Torvald number {n}", "pii_units": ["anna torvald"]} for n in range(12)],
    "synth": [
        {"text": f"I am Anna {n}", "spans": [{"start": 5, "end": 9, "type": "PERSON", "value": "Anna"}]}
        for n in range(12)
    ],
    "wnut": [{"tokens": ["seen", "Anna", str(n)], "tags": ["O", "B-person", "O"]} for n in range(12)],
    "clinc": [{"text": f"what can i cook {word}", "intent": "meal_suggestion"} for word in ("now", "then", "today")],
    "slurp": [{"text": f"lights {word}", "entities": []} for word in ("on", "off", "out")],
    "snips": [{"text": f"find a song {word}", "slots": []} for word in ("now", "here", "again")],
    "user": [{"instruction": f"tell a joke about {word}"} for word in ("cats", "dogs", "cows")],
    "seed": [{"instruction": f"sort the words {word}"} for word in ("up", "down", "well")],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, rows in _ROWS.items():
        path = tmp_path / "data" / FILES[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path / "data"


@pytest.mark.slow
def test_folds_are_judged_and_the_card_tells_of_it(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = make_detector(data, out, epochs=1, folds=2, seed=3, threads=1, width=24, invented=200)
    card = json.loads((out / "tagger.json").read_text(encoding="utf-8"))
    assert card["folds"] == 2 and card["cross-validated"] == result["cross-validated"]
    assert card["cross-validated"]["pupa"]["units"] == 12
    assert card["cross-validated"]["everyday"]["requests"] == 15 == card["data"]["prompts"]["plain"]
    assert card["cuts"]["short"] > card["cuts"]["document"]
    assert Tagger(read_weights(out / "tagger.safetensors")).tags(["hello Anna"], 0.0)[0]


@pytest.mark.slow
def test_no_text_is_learned_and_judged_in_one_fold(data: Path) -> None:
    bench = Bench(data, 3)
    assert bench.labelled is not None
    judged_in_all = 0
    for number in range(3):
        rest, judged = parted(bench.labelled, 3, number, 3)
        learned = {example.text for example in rest}
        assert not learned & {row["user_query"] for row in judged[0]}
        assert not learned & {example.text for group in judged[2:] for example in group}
        judged_in_all += sum(len(group) for group in judged)
    assert judged_in_all == 12 * 3 + 15
