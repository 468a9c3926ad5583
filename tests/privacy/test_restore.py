"""Restoring: every accepted way of writing, and every cut of a stream."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.errors import BrokenStream
from netgpt.privacy.addresses import OwnAddresses
from netgpt.privacy.restore import Restorer, restore_chunks

ORIGINALS = {
    "PERSON_1": "Ada Lovelace",
    "PERSON_12": 'Zoë "Z" \\ Ω',
    "EMAIL_1": "ada@mill.org",
    "API_KEY_1": "k-1",
    "LITERAL_1": "[PERSON_1]",
}
RESTORER = Restorer(
    ORIGINALS, find_own=lambda: OwnAddresses(keys={"order_\ufdd0email_1\ufdd1"}, names={"order_EMAIL_1"})
)
WRITTEN = ["[PERSON_1]", "[PERSON_12]", "PERSON_1", "[**EMAIL_1**]", "[Person 1]", "[PERSON\\_1]", "<API_KEY_1>"]
UNFINISHED = ["[PERSON_9]", "[", "]", "<", "PERSON", "_1", "12", " ", "e", "E", "api_", "\\", "**", "x"]
PIECES = st.sampled_from([*WRITTEN, *UNFINISHED, "[api key 1]", "`[LITERAL_1]`", "\\[PERSON_1\\]"])


class OneVault:
    """What `restore_chunks` needs of a vault."""

    def restorer(self) -> Restorer:
        return RESTORER


@pytest.mark.parametrize(
    ("written", "restored"),
    [
        ("Hi [PERSON_1]!", "Hi Ada Lovelace!"),
        ("[person_1]", "Ada Lovelace"),
        ("[Person 1]", "Ada Lovelace"),
        ("**[PERSON_1]**", "**Ada Lovelace**"),
        ("[**PERSON_1**]", "Ada Lovelace"),
        ("[PERSON\\_1]", "Ada Lovelace"),
        ("\\[PERSON_1\\]", "Ada Lovelace"),
        ("PERSON_1's", "Ada Lovelace's"),
        ("<PERSON_1>", "Ada Lovelace"),
        ("`[PERSON_1]`", "`Ada Lovelace`"),
        ("[PERSON_12]", 'Zoë "Z" \\ Ω'),
        ("[API KEY 1]", "k-1"),
        ("[PERSON_2] [PERSON_123]", "[PERSON_2] [PERSON_123]"),
        ("SUPERPERSON_1", "SUPERPERSON_1"),
        ("PERSON_1x", "PERSON_1x"),
        ("Person 1", "Person 1"),
        ("[LITERAL_1]", "[PERSON_1]"),
        ("order_EMAIL_1", "order_ada@mill.org"),
    ],
)
def test_ways_of_writing(written: str, restored: str) -> None:
    assert RESTORER.text(written) == restored


def test_json_arguments_stay_json() -> None:
    arguments = json.dumps({"who": "[PERSON_12]", "n": 1})
    assert json.loads(RESTORER.text(arguments, as_json=True)) == {"who": 'Zoë "Z" \\ Ω', "n": 1}


@given(st.lists(PIECES | st.text(max_size=5), max_size=8), st.data())
@settings(max_examples=400, deadline=None)
def test_streamed_at_any_cuts_equals_unstreamed(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    whole = RESTORER.text(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    for places in (cuts, range(len(text))):
        stream, given_out, last = RESTORER.stream(), "", 0
        for place in [*places, len(text)]:
            given_out += stream.feed(text[last:place])
            last = place
        assert given_out + stream.flush() == whole


def test_every_single_cut() -> None:
    text = "Dear [**PERSON_1**], [PERSON_12] and PERSON_1_ wrote \\[EMAIL_1\\] <api_key_1> [PERSON"
    for cut in range(len(text) + 1):
        stream = RESTORER.stream()
        assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.flush() == RESTORER.text(text)


@pytest.mark.parametrize("text", ["Hello there", "a [b", "x = y[0]", "The answer is 42. ", "<b>", "[1]"])
def test_text_that_cannot_become_a_placeholder_is_given_out_at_once(text: str) -> None:
    assert RESTORER.stream().feed(text) == text


def test_only_the_shortest_tail_is_held() -> None:
    stream = RESTORER.stream()
    assert stream.feed("I met [PERS") == "I met "
    assert stream.feed("ONAL") == "[PERSONAL"


def test_repr_shows_no_original() -> None:
    assert "Ada" not in repr(RESTORER)


def chunk(index: int = 0, finish: str | None = None, **delta: object) -> dict[str, Any]:
    return {"id": "c1", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


async def given_chunks(chunks: list[Any], error: Exception | None = None) -> AsyncIterator[dict[str, Any]]:
    for each in chunks:
        yield each
    if error:
        raise error


async def collect(chunks: list[Any], error: Exception | None = None) -> list[dict[str, Any]]:
    return [each async for each in restore_chunks(OneVault(), given_chunks(chunks, error))]


def joined(chunks: list[dict[str, Any]], index: int, field: str) -> str:
    return "".join(
        choice["delta"].get(field) or "" for each in chunks for choice in each["choices"] if choice["index"] == index
    )


async def test_what_goes_back_into_a_json_answer_is_escaped() -> None:
    class Quoted:
        def restorer(self) -> Restorer:
            return Restorer({"PERSON_1": 'Ada "Ace" \\ Lee'})

    pieces = ['{"name": "[PER', 'SON_1]"}']
    sent = given_chunks([chunk(0, content=piece) for piece in pieces])
    answer = joined([each async for each in restore_chunks(Quoted(), sent, json_content=True)], 0, "content")
    assert json.loads(answer) == {"name": 'Ada "Ace" \\ Lee'}


async def test_choices_and_fields_are_restored_each_for_itself() -> None:
    sent = [
        chunk(0, content="[PER"),
        chunk(1, content="[EMA"),
        chunk(0, reasoning_content="[PERSON"),
        chunk(0, content="SON_1] "),
        chunk(1, content="IL_1]"),
        chunk(0, reasoning_content="_1] hm"),
        chunk(0, "stop"),
        chunk(1, "stop"),
    ]
    before = json.dumps(sent)
    got = await collect(sent)
    assert joined(got, 0, "content") == "Ada Lovelace "
    assert joined(got, 1, "content") == "ada@mill.org"
    assert joined(got, 0, "reasoning_content") == "Ada Lovelace hm"
    assert json.dumps(sent) == before


async def test_a_held_tail_comes_with_the_finish_reason_at_the_latest() -> None:
    got = await collect([chunk(content="bye [PERSON_1"), chunk(0, "stop")])
    finish = next(i for i, each in enumerate(got) if each["choices"][0]["finish_reason"])
    assert joined(got[: finish + 1], 0, "content") == "bye [Ada Lovelace"
    assert len(got) == finish + 1


async def test_tool_calls_are_restored_in_name_and_arguments() -> None:
    def call(number: int, **function: str) -> dict[str, Any]:
        return {"index": number, "function": function}

    sent = [
        chunk(tool_calls=[call(0, name="order_EMAIL", arguments='{"a": "[PERSON'), call(1, name="b", arguments="[1")]),
        chunk(tool_calls=[call(0, name="_1", arguments='_12]"}'), call(1, arguments="]")]),
        chunk(0, "tool_calls"),
    ]
    got = await collect(sent)
    functions: dict[tuple[int, str], str] = {}
    for each in got:
        for tool_call in each["choices"][0]["delta"].get("tool_calls", []):
            for field, piece in tool_call["function"].items():
                key = (tool_call["index"], field)
                functions[key] = functions.get(key, "") + piece
    assert functions[0, "name"] == "order_ada@mill.org"
    assert json.loads(functions[0, "arguments"]) == {"a": 'Zoë "Z" \\ Ω'}
    assert functions[1, "arguments"] == "[1]"


async def test_an_error_comes_after_the_held_tail() -> None:
    got = []
    with pytest.raises(BrokenStream):
        async for each in restore_chunks(OneVault(), given_chunks([chunk(content="x [PERS")], BrokenStream("cut"))):
            got.append(each)
    assert joined(got, 0, "content") == "x [PERS"


async def test_chunks_without_choices_pass() -> None:
    usage = {"id": "c1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    assert await collect([usage]) == [usage]
