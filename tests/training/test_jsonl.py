"""Files of examples: read strictly, faults named with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netgpt.completion.rewrite import rewriting
from netgpt.errors import RequestError
from netgpt.training.example import Example, read_examples
from netgpt.types import Fact, Person

ADA = Person("local", "ada")
GOOD = {"request": "dinner ideas", "answer": "Bean stew."}


def read(tmp_path: Path, *lines: Any, name: str = "mine.jsonl", **options: Any) -> list[Example]:
    file = tmp_path / name
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return list(read_examples(file, **options))


def test_the_four_shapes_of_a_row(tmp_path: Path) -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    one, two, three, four = read(
        tmp_path,
        {"messages": talk, "answer": "Hello."},
        {"messages": [*talk, {"role": "assistant", "content": "Hello."}]},
        {"request": "hi", "answer": "Hello.", "slice": "greetings", "options": ["Hello.", "No."]},
        {"request": "dinner", "facts": ["The user is vegan"], "completion": "Dinner for a vegan."},
    )
    assert one.messages == two.messages == tuple(talk) and one.id == two.id
    assert three.messages == ({"role": "user", "content": "hi"},)
    assert (three.slice, three.options) == ("greetings", ("Hello.", "No."))
    assert list(four.messages) == rewriting("dinner", [Fact("The user is vegan", "given")])["messages"]
    assert [e.origin for e in (one, two)] == ["file:mine.jsonl:1", "file:mine.jsonl:2"]


def test_every_row_is_the_named_persons(tmp_path: Path) -> None:
    assert {e.person for e in read(tmp_path, GOOD, {**GOOD, "person": ["acme", "bob"]}, person=ADA)} == {ADA}
    assert read(tmp_path, {**GOOD, "person": ["acme", "bob"]})[0].person == Person("acme", "bob")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('"text"', "not an object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "a number that is too long"),
        ({}, "`messages` or `request`"),
        ({**GOOD, "messages": []}, "`messages` or `request`"),
        ({"request": "hi"}, "`answer` is missing"),
        ({"request": "", "answer": "x"}, "`request` must be a text"),
        ({"request": "hi", "answer": " "}, "`answer` must be a text"),
        ({"request": "hi", "answer": 5}, "`answer` must be a text"),
        ({"request": "hi", "answer": "a\x00"}, "characters that are no text"),
        ('{"request": "hi", "answer": "\\ud800"}', "characters that are no text"),
        ({**GOOD, "completion": "x"}, "not both"),
        ({**GOOD, "anwser": "x"}, "unknown field 'anwser'"),
        ({**GOOD, "facts": "x"}, "`facts` must be a list"),
        ({**GOOD, "options": ["No."]}, "none of the `options`"),
        ({**GOOD, "person": "ada"}, "[tenant, user]"),
        ({**GOOD, "origin": "a b"}, "`origin`"),
        ({"messages": "hi", "answer": "x"}, "`messages` must be a list"),
        ({"messages": [{"role": "tool", "content": "x"}], "answer": "x"}, "each message has a `role`"),
        ({"messages": [{"role": "user", "content": [1]}], "answer": "x"}, "`content` must be a text"),
        ({"messages": [{"role": "user", "content": "x", "name": "ada"}], "answer": "x"}, "nothing else"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "must end with"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(RequestError) as error:
        read(tmp_path, GOOD, "", row)
    assert error.value.message.startswith(f"{tmp_path / 'mine.jsonl'}:3: ")
    assert says in error.value.message


def test_files_that_hold_no_examples(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no example"):
        read(tmp_path, "")
    with pytest.raises(RequestError, match="No such file"):
        list(read_examples(tmp_path / "none.jsonl"))
    (tmp_path / "latin.jsonl").write_bytes(b'{"request": "\xe9t\xe9", "answer": "x"}\n')
    with pytest.raises(RequestError, match="not UTF-8"):
        list(read_examples(tmp_path / "latin.jsonl"))
    with pytest.raises(RequestError, match=r":3: more than 2 examples"):
        read(tmp_path, GOOD, GOOD, GOOD, most=2)
    with pytest.raises(RequestError, match=r":1: longer than"):
        read(tmp_path, {**GOOD, "answer": "x" * 1_000_001})


def test_a_mark_of_order_and_windows_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "w.jsonl").write_bytes(b"\xef\xbb\xbf" + (json.dumps(GOOD) + "\r\n").encode() * 2)
    assert len(list(read_examples(tmp_path / "w.jsonl"))) == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["messages", "request", "answer", "completion", "facts", "slice", "options", "person", "origin"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(fields, json_values, max_size=5) | json_values)
@example({"messages": [{"role": "user", "content": "x"}], "answer": "y", "options": [[]]})
def test_any_row_is_an_example_or_a_named_fault(tmp_path: Path, row: Any) -> None:
    try:
        (only,) = read(tmp_path, row)
    except RequestError as error:
        assert "mine.jsonl" in error.message
        return
    assert only.answer.strip() and only.messages and only.messages[-1]["role"] in ("user", "system")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_examples_or_a_named_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "any.jsonl").write_bytes(content)
    try:
        list(read_examples(tmp_path / "any.jsonl"))
    except RequestError as error:
        assert "any.jsonl" in error.message
