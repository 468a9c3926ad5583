"""A request without its wrapper: what stays is what a person would have said."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.asked import LONGEST, asked

TASK = "Which nerve runs through the carpal tunnel?"


@pytest.mark.parametrize(
    "wrapper",
    [
        "{}",
        "Question: {}\nAnswer:",
        "The following are multiple choice questions (with answers) about anatomy.\n\n{}",
        "You are a helpful assistant. {} Let's think step by step.",
        "Q: What is bone?\nA: a tissue\n\nQ: {}\nA:",
        "Context: None\n\nQuestion: {}\n\nProvide the correct letter choice in \\boxed{{X}}.",
        '{{"instruction": "", "input": "{}"}}',
        '{{"messages": [{{"role": "system", "content": "Be brief."}}, {{"role": "user", "content": "{}"}}]}}',
        "[INST] {} [/INST]",
        "<|im_start|>user\n{}<|im_end|>",
        "Please {}",
        "{}\nDo not explain. Answer with A, B, C or D.",
        "As an experienced doctor, answer the following question. {}",
        "{} Réponds par la lettre de la bonne réponse.",
    ],
)
def test_a_wrapper_is_taken_off(wrapper: str) -> None:
    assert asked(wrapper.format(TASK)).task == TASK


@pytest.mark.parametrize(
    "listed",
    ["\nA. ulnar\nB. median\nC. radial", "\n(A) ulnar\n(B) median\n(C) radial",
     "\nOptions:\na) ulnar\nb) median\nc) radial", " (A) ulnar (B) median (C) radial",
     "\n1. ulnar\n2. median\n3. radial"],
)  # fmt: skip
def test_options_are_a_list(listed: str) -> None:
    one = asked(TASK + listed + "\nAnswer:")
    assert one.task == TASK and one.options == ("ulnar", "median", "radial") and one.at_once
    assert not asked(TASK + listed).at_once and not asked(f"{TASK}\nAnswer:").at_once


@pytest.mark.parametrize(
    "text",
    [
        "Translate the following sentence to German: I am hungry.",
        "Classify this review as positive or negative: I loved it.",
        "1. buy milk\n2. go home\n3. sleep\nrewrite this list in French",
        "You are late again! How do I say that politely?",
        "Answer:",
        "",
        '{"name": "Ada", "age": 36}',
        "Write a story in which Q: is a letter and A: another",
    ],
)
def test_what_is_the_task_itself_stays(text: str) -> None:
    assert asked(text).task == text


def test_the_ends_of_a_long_task_are_what_is_read_first() -> None:
    long = asked("Summarise this. " + "The sea was calm that day, and nobody spoke. " * 80 + "Three sentences, please.")
    assert long.ends.startswith("Summarise this.") and long.ends.endswith("please.") and len(long.ends) < 1_300


@given(st.text(alphabet=st.characters()))
@settings(max_examples=150, deadline=None)
def test_any_text_is_taken_apart(text: str) -> None:
    one = asked(text)
    assert len(one.task) <= LONGEST and one.ends.encode().decode() == one.ends


@pytest.mark.parametrize(
    "part",
    ["Question: a\n", "(A) b ", "A. x\n", "1.", "answer answer ", "if a.b.c ", "\n ", "You are a ", "select ", "<a"],
)  # fmt: skip
def test_hostile_texts_take_time_in_proportion(part: str) -> None:
    def seconds(times: int) -> float:
        text, best = part * times, 1e9
        for _ in range(3):
            begun = time.process_time()
            asked(text)
            best = min(best, time.process_time() - begun)
        return best

    small = seconds(max(1, 600 // len(part)))
    assert seconds(max(1, 6_000 // len(part))) < 60 * small + 0.2
