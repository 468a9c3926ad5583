from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from netgpt.completion.compose import HEADING, PLACEMENTS, completed, compose, replace_last
from netgpt.types import Fact
from netgpt.wording import clean, heading, language_of

FACTS = (Fact("The user is vegetarian", "diet"), Fact("The user is in\nEly.", "place"))

texts = st.text(max_size=60)
said = texts.filter(lambda text: clean(text))
parts = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, texts),
        st.just({"type": "image_url", "image_url": {"url": "data:,"}}),
    ),
    max_size=4,
)
messages = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "user", "assistant", "tool"]),
        st.one_of(texts, parts, st.none()),
    ),
    max_size=5,
)
facts = st.lists(st.builds(Fact, said, st.just("diet")), max_size=4)


def words_of(content):
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


@given(messages, facts)
def test_the_persons_words_stay_a_prefix_and_nothing_is_mutated(conversation, known):
    before = copy.deepcopy(conversation)
    result = compose(conversation, known)
    assert conversation == before
    assert len(result) == len(conversation)
    changed = [i for i, (old, new) in enumerate(zip(conversation, result, strict=True)) if old != new]
    users = [i for i, message in enumerate(conversation) if message["role"] == "user"]
    assert changed == (users[-1:] if known else [])
    for index in changed:
        assert words_of(result[index]["content"]).startswith(words_of(conversation[index]["content"]))
        spoken = language_of(words_of(conversation[index]["content"]))
        assert heading(spoken) in words_of(result[index]["content"])


def test_the_block_is_one_line_a_fact():
    (message,) = compose([{"role": "user", "content": "dinner ideas"}], FACTS)
    assert message["content"] == f"dinner ideas\n\n{HEADING}\n- The user is vegetarian.\n- The user is in Ely."
    assert completed("dinner ideas", FACTS) == message["content"]
    assert completed("dinner ideas", ()) == "dinner ideas"


def test_the_last_text_part_grows_and_other_parts_stay():
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    content = [{"type": "text", "text": "what is"}, {"type": "text", "text": "this"}, image]
    (message,) = compose([{"role": "user", "content": content}], FACTS[:1])
    assert message["content"][0] == content[0]
    assert message["content"][1]["text"].startswith("this\n\n")
    assert message["content"][2] == image


def test_a_picture_alone_gets_a_text_part():
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    (message,) = compose([{"role": "user", "content": [image]}], FACTS[:1])
    assert message["content"][0] == image
    assert message["content"][1]["text"].startswith(HEADING)


@given(messages, facts, st.sampled_from(PLACEMENTS))
def test_the_words_of_everybody_stay_whole_in_every_place(conversation, known, placement):
    result = compose(conversation, known, placement)
    added = len(result) - len(conversation)
    assert added in ((0, 1) if placement.startswith("system") else (0,))
    for old, new in zip(conversation, result[added:], strict=True):
        assert old["role"] == new["role"]
        assert words_of(old["content"]) in words_of(new["content"])


def test_each_place_and_form():
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "dinner ideas"}]
    lines = f"{HEADING}\n- The user is vegetarian.\n- The user is in Ely."
    line = f"{HEADING} The user is vegetarian. The user is in Ely."
    after, after_line = compose(asked, FACTS, "after"), compose(asked, FACTS, "after-line")
    before, before_line = compose(asked, FACTS, "before"), compose(asked, FACTS, "before-line")
    assert after[1]["content"] == f"dinner ideas\n\n{lines}" and after_line[1]["content"] == f"dinner ideas\n\n{line}"
    assert before[1]["content"] == f"{lines}\n\ndinner ideas"
    assert before_line[1]["content"] == f"{line}\n\ndinner ideas"
    assert compose(asked, FACTS, "system") == [{"role": "system", "content": f"Be brief.\n\n{lines}"}, asked[1]]
    assert compose(asked[1:], FACTS, "system-line") == [{"role": "system", "content": line}, asked[1]]


def test_a_fact_that_says_nothing_leaves_the_request_as_it_is():
    asked = [{"role": "user", "content": "dinner ideas"}]
    assert compose(asked, [Fact("\u200b \n", "note")]) == asked


def test_a_rewritten_text_replaces_the_last_user_message_only():
    conversation = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert replace_last(conversation, "d") == [*conversation[:2], {"role": "user", "content": "d"}]
