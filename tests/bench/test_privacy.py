"""The bench of detection: figures on small sets that are known by heart."""

import json
import random
from pathlib import Path

import pytest
from netgpt_bench import privacy, privacy_data
from netgpt_bench.cli import privacy as command
from netgpt_bench.privacy import PrivacyPlan, PrivacyWay, masked, memory_of, what_it_saw
from netgpt_bench.privacy_data import Query, Tagged, TextMaker
from typer import Typer
from typer.testing import CliRunner

from netgpt.errors import NotFound, RequestError
from netgpt.types import Span


class Capitals:
    """A way of finding that takes every capitalised word for a person."""

    name = "capitals"
    names = frozenset(("PERSON",))

    def load(self) -> None: ...

    def find(self, text: str) -> list[Span]:
        spans, at = [], 0
        for word in text.split(" "):
            if word[:1].isupper():
                spans.append(Span(at, at + len(word), "PERSON", "capital"))
            at += len(word) + 1
        return spans


WAY: PrivacyWay = Capitals()


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def sets_of(data: Path) -> None:
    write(data / privacy_data.PUPA, [{"user_query": "write to Ada in leeds", "pii_units": ["Ada", "ada", "Leeds"]}])
    span = {"start": 3, "end": 6, "type": "PERSON"}
    write(data / privacy_data.SYNTHETIC, [{"text": "to Ada Now", "spans": [span]}])
    write(data / privacy_data.WNUT, [{"tokens": ["hi", "Ada", "Lee", "x"], "tags": ["O", "B-person", "I-person", "O"]}])
    for name in ("clinc150", "slurp", "snips"):
        rows: list[dict[str, object]] = [{"text": "play a song", "intent": "next_song", "entities": [], "slots": []}]
        write(data / "prompts" / f"{name}_dev.jsonl", rows)
    for name in ("selfinstruct_user", "selfinstruct_seed"):
        write(data / "prompts" / f"{name}_dev.jsonl", [{"instruction": "Write a poem."}])


def test_units_left_are_counted_once_each_and_in_any_case() -> None:
    figures = privacy.hidden_units(WAY, [Query("write to Ada in leeds or Now", frozenset({"ada", "leeds"}))])
    assert (figures["units"], figures["units left %"], figures["queries clean %"]) == (2, 50.0, 0.0)
    assert figures["other words masked %"] == 20.0


def test_tokens_count_private_or_not() -> None:
    figures = privacy.tokens(WAY, [Tagged("to Ada lee Now", ((3, 10, "PERSON"),))])
    assert (figures["precision"], figures["recall"], figures["F2"]) == (0.5, 0.5, 0.5)
    assert figures["recall by type"] == {"PERSON": 0.5}


def test_entities_by_overlap_and_exactly() -> None:
    rows = [Tagged("hi Ada Lee x", ((3, 10, "person"),))]
    figures = privacy.entities(WAY, rows, lower=False)
    assert (figures["recall"], figures["precision"], figures["exact recall"]) == (1.0, 1.0, 0.0)
    assert privacy.entities(WAY, rows, lower=True)["recall"] == 0.0


def test_the_sets_are_read_and_drawn(tmp_path: Path) -> None:
    sets_of(tmp_path)
    assert privacy_data.pupa(tmp_path, 0, 1) == [Query("write to Ada in leeds", frozenset({"ada", "leeds"}))]
    assert privacy_data.wnut(tmp_path, 0, 1) == [Tagged("hi Ada Lee x", ((3, 10, "person"),))]
    assert len(privacy_data.everyday(tmp_path, 0, 1)) == 5
    with pytest.raises(NotFound, match="--data"):
        privacy_data.pupa(tmp_path / "none", 0, 1)


def test_masked_puts_the_kind_in_place() -> None:
    assert masked("hi Ada now", WAY.find("hi Ada now")) == "hi [PERSON] now"


def test_invented_texts_are_new_each_time_and_the_same_from_one_seed() -> None:
    maker = TextMaker(3)
    texts = [maker.text(300) for _ in range(50)]
    assert len(set(texts)) == 50 and {len(text) for text in texts} == {300}
    assert TextMaker(3).text(300) == texts[0]


def test_speed_tells_samples_and_spread() -> None:
    [row] = privacy.new_texts([WAY], 200, 5, 1)
    assert row["samples"] == 5 and 0 <= row["p25"] <= row["median ms"] <= row["p95 ms"]
    assert privacy.patterns_alone(200, 3, 1)["samples"] == 3


def test_the_report_holds_the_card_of_the_model() -> None:
    assert what_it_saw()


async def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there are pupa"):
        await privacy.run(PrivacyPlan(tmp_path, 1, 100, 1), only=["pups"], presidio=False, progress=lambda _: None)


@pytest.mark.slow
def test_the_command_skips_what_is_not_there(tmp_path: Path) -> None:
    sets_of(tmp_path)
    (tmp_path / privacy_data.WNUT).unlink()
    app = Typer()
    app.command()(command)
    done = CliRunner().invoke(app, ["--data", str(tmp_path), "--only", "pupa,presidio,wnut,everyday", "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert [row["way"] for row in figures["tables"]["pupa"]] == ["netgpt", "presidio + small spaCy"]
    assert "wnut" in figures["skipped"] and figures["commit"] and figures["seed"] == 7
    assert figures["tables"]["everyday"][0]["requests"] == 5


@pytest.mark.slow
def test_memory_is_read_after_loading_and_at_the_end() -> None:
    figures = memory_of(50, random.Random(1).randint(0, 99))
    assert figures["growth MB"] < 20 and figures["MB loaded"] > 10
