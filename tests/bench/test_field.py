"""The bench of cases from the field: what counts as leaked, touched, damaged, on rows made up here."""

import json
from pathlib import Path

import pytest
from netgpt_bench import field
from netgpt_bench.cli import field as command
from netgpt_bench.field import Case, judge
from typer import Typer
from typer.testing import CliRunner

from netgpt.errors import NotFound, RequestError
from netgpt.types import Span

ROWS = [
    {"set": "names", "culture": "basque", "text": "Ask Ainhoa Etxeberria today.", "private": ["Ainhoa Etxeberria"]},
    {
        "set": "harmless_tech",
        "id": "t-1",
        "text": "git rebase -i HEAD~3",
        "private": [],
        "keep": ["git rebase -i HEAD~3"],
    },
    {"set": "harmless_languages", "id": "hl-nl", "text": "hoe laat is het", "private": [], "keep": ["hoe laat is het"]},
    {"set": "passwords", "id": "pw-1", "text": "the password is (Moss)pool7!", "private": ["(Moss)pool7!"]},
    {"set": "relations", "id": "r-1", "text": "Bea Lind owes Ian Tarr ten.", "private": ["Bea Lind", "Ian Tarr"]},
    {"set": "docs", "id": "d-1", "text": "To Bea Lind: the lift is broken.", "private": ["Bea Lind"]},
]


def spans(text: str, *parts: str) -> list[Span]:
    return [Span(text.index(part), text.index(part) + len(part), "PERSON", "test") for part in parts]


def one(
    group: str, text: str, private: list[str], *hidden: str, keep: tuple[str, ...] = (), name: str = ""
) -> field.Judged:
    return judge(Case(name, group, text, tuple(private), keep, ""), spans(text, *hidden))


def test_a_name_is_whole_wherever_it_stands_as_a_word() -> None:
    text = "Bo wrote to Robo, and Bo left."
    assert one("names", text, ["Bo"], "Bo wrote").whole == 0
    both = judge(Case("", "names", text, ("Bo",), (), ""), [Span(0, 2, "PERSON", "t"), Span(22, 24, "PERSON", "t")])
    assert (both.whole, both.letters_hidden) == (1, 0)


def test_a_sign_of_a_password_counts_and_one_of_a_name_does_not() -> None:
    assert one("passwords", "pass: !moss7!", ["!moss7!"], "moss7").leaked
    assert one("detect", "pass: !moss7!", ["!moss7!"], "moss7", name="pw-x").leaked
    assert not one("names", "to O'Neil-Hart.", ["O'Neil-Hart"], "O", "Neil", "Hart").leaked
    assert not one("detect", "pass: !moss7!", ["!moss7!"], "moss7", name="ph-x").leaked


def test_marks_of_a_script_are_letters() -> None:
    assert one("names", "ถาม สมศรี วันนี้", ["สมศรี"], "สมศร").leaked
    assert not one("names", "ถาม สมศรี วันนี้", ["สมศรี"], "สมศรี").leaked


@pytest.mark.parametrize(
    ("hidden", "damaged"),
    [
        (("Bea Lind", "Ian Tarr"), False),
        (("Bea Lind owes", "Ian Tarr"), True),
        (("Bea Lind",), True),
        (("Bea Lind owes Ian Tarr",), True),
    ],
)
def test_two_people_are_damaged_by_what_is_missing_hidden_or_merged(hidden: tuple[str, ...], damaged: bool) -> None:
    assert one("relations", "Bea Lind owes Ian Tarr ten.", ["Bea Lind", "Ian Tarr"], *hidden).damaged is damaged


def test_names_side_by_side_in_one_find_are_merged() -> None:
    text = "美玲、健太"
    assert one("relations", text, ["美玲", "健太"], text).damaged
    assert not one("relations", text, ["美玲", "健太"], "美玲", "健太").damaged


def test_what_stays_is_touched_by_a_letter() -> None:
    assert one("harmless_tech", "exit code 137", [], "7", keep=("exit code 137",)).touched
    assert not one("x1", "mr Lund, page 7", ["Lund"], "Lund", keep=("page 7",)).touched


def test_figures_and_groups_of_known_rows(tmp_path: Path) -> None:
    write(tmp_path)
    cases = field.cases(tmp_path)
    blind = [judge(case, []) for case in cases]
    deaf = [judge(case, [Span(0, len(case.text), "ID", "all")]) for case in cases]
    tables = field.tables({"blind": blind, "deaf": deaf})
    figures = {row["figure"]: (row["blind"], row["deaf"]) for row in tables["field"]}
    assert figures == {
        "names whole, mean of groups": (0.0, 100.0),
        "names whole, worst group": (0.0, 100.0),
        "other letters beside names hidden": (0.0, 100.0),
        "harmless sentences touched": (0.0, 100.0),
        "everyday requests touched": (0.0, 100.0),
        "secrets leaked at least in part": (100.0, 0.0),
        "two people: damaged": (100.0, 100.0),
        "documents: words hidden without need, worst": (0.0, 100.0),
    }
    assert tables["cultures"] == [{"group": "basque", "names": 1, "blind": 0.0, "blind others": 0.0, "deaf": 100.0,
                                   "deaf others": 100.0}]  # fmt: skip
    assert tables["languages"] == [{"language": "nl", "requests": 1, "blind": 0.0, "deaf": 100.0}]
    assert tables["documents"][0]["blind left"] == 100.0


def test_failing_rows_are_shown_with_blocks(tmp_path: Path) -> None:
    write(tmp_path)
    judged = [judge(case, spans(case.text, "rebase")) for case in field.cases(tmp_path, ["harmless_tech"])]
    assert list(field.shown(field.failed(judged), 5)) == ["harmless_tech t-1: must go []: git ██████ -i HEAD~3"]
    assert list(field.shown(field.failed(judged), 0)) == []


def test_an_unknown_set_or_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--data"):
        field.cases(tmp_path)
    write(tmp_path)
    with pytest.raises(RequestError, match="there are names, harmless_tech"):
        field.cases(tmp_path, ["namen"])


def test_the_command_measures_this_detector(tmp_path: Path) -> None:
    write(tmp_path)
    app = Typer()
    app.command()(command)
    done = CliRunner().invoke(app, ["--data", str(tmp_path), "--set", "names,docs", "--no-presidio", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["cases"] == 2 and report["commit"] and report["versions"]["netgpt"]
    assert {"figure", "bar", "netgpt"} <= set(report["tables"]["field"][0])


def write(folder: Path) -> None:
    path = folder / field.FIELD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
