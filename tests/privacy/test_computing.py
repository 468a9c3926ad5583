"""Dates, ages and names leave in a form that can be computed with when the request says so, and only then."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from netgpt.policy import Destination, Disclosure, Policy, Principal
from netgpt.privacy.computing import tasks_in
from netgpt.privacy.detector import LocalDetector, merge_spans
from netgpt.privacy.kinds import family, hierarchy
from netgpt.privacy.vault import Vault
from netgpt.types import Span

_KINDS = {
    "PERSON": r"(?:Ada|Bo|Zoe) [A-Z][a-z]+",
    "DATE": r"(?:on |Friday, )?(?:\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{4}|\d\d? (?:May|June)(?: \d{4})?)(?: at \d\d:\d\d)?",
    "AGE": r"\b\d+ years old",
}


class Finds(LocalDetector):
    """The patterns, and a few people, dates and ages as the finder of names would give them."""

    def __init__(self) -> None:
        super().__init__(names=False)

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        found = await super().detect(texts, values=values, names=names)
        asked = names or [True] * len(texts)
        return [
            merge_spans([*spans, *(_of(text) if named else [])])
            for text, spans, named in zip(texts, found, asked, strict=True)
        ]


def _of(text: str) -> list[Span]:
    return [Span(*match.span(), kind, "names") for kind, form in _KINDS.items() for match in re.finditer(form, text)]


def terms_of(name: str) -> Disclosure:
    who = Principal("acme", "user", "ada")
    return Disclosure(Policy.load(name), who, Destination(), hierarchy=hierarchy, family=family)


async def leaves(text: str, policy: str = "balanced", vault: Vault | None = None, **fields: Any) -> tuple[str, Vault]:
    vault = vault or Vault()
    body = {"model": "far", "messages": [{"role": "user", "content": text}], **fields}
    outbound = await vault.seal(body, Finds(), terms=terms_of(policy))
    content: str = json.loads(outbound.content)["messages"][0]["content"]
    return content, vault


STAY = "How many days lie between the two? Ada Berg moved in on 2024-05-02. She moved out on 2024-06-11."


async def test_dates_that_are_counted_leave_shifted_and_come_back() -> None:
    seen, vault = await leaves(STAY)
    first, second = re.findall(r"\d{4}-\d\d-\d\d", seen)
    assert "2024-05-02" not in seen and "2024-06-11" not in seen and "Ada" not in seen
    assert [(g.kind, g.now, g.policy_rule, g.count) for g in vault.generalised] == [
        ("DATE", "shifted", "dates-to-count-shifted", 2)
    ]
    said = vault.restorer().text(f"[PERSON_1]: 40 days from {first} to {second}.")
    assert said == "Ada Berg: 40 days from 2024-05-02 to 2024-06-11."
    stream = vault.restorer().stream()
    assert "".join([*map(stream.feed, f"[PERSON_1] on {second}"), stream.flush()]) == "Ada Berg on 2024-06-11"


async def test_a_conversation_keeps_its_shift_and_others_have_their_own() -> None:
    seen, vault = await leaves(STAY)
    assert (await leaves(STAY, vault=Vault(vault.dump())))[0] == seen
    assert len({(await leaves(STAY))[0] for _ in range(6)}) > 1


@pytest.mark.parametrize(
    "text",
    [
        "Write to Ada Berg: she moved in on 2024-05-02 and out on 2024-06-11.",  # nothing is counted
        STAY + " What fell into May?",
        STAY + " And until today?",
        STAY + " Compare with 2019.",
        STAY + " Then 3/4/2024.",
        "How many days until 2024-05-02?",
        "How many days between 2024-05-02 Ada Berg 2024-06-11 at her doctor Friday, 14 June 2024 at 10:00 on June",
    ],
)
async def test_otherwise_dates_are_hidden_whole(text: str) -> None:
    seen, vault = await leaves(text)
    assert "2024-05-02" not in seen and "[DATE_1]" in seen
    assert not vault.generalised


async def test_a_date_of_today_would_tell_the_shift() -> None:
    seen, _ = await leaves(f"{STAY} It is {datetime.now(UTC).date()} here.")
    assert not re.search(r"\d{4}-\d\d-\d\d", seen)


@pytest.mark.parametrize("policy", ["strict", "health"])
async def test_other_policies_do_not_know_it(policy: str) -> None:
    seen, _ = await leaves(STAY, policy)
    assert not re.search(r"\d{4}-\d\d-\d\d", seen)
    for text in ("Who is the oldest? Ada Berg is 42 years old.", "Sort by the alphabet: Zoe Alm, Bo Falk, Ada Berg"):
        seen, _ = await leaves(text, policy)
        assert "42 " not in seen and "[PERSON_1]" in seen


async def test_a_date_of_birth_is_not_shifted_with_the_others() -> None:
    """Also where the finder of names saw the longer find and called it a date."""
    seen, _ = await leaves("How many days between the two? Born on 2001-07-09. In on 2024-05-02, out on 2024-06-11.")
    assert "Born [DATE_1]" in seen and len(re.findall(r"\d{4}-\d\d-\d\d", seen)) == 2 and "2001" not in seen


async def test_a_find_of_several_dates_is_one_find_each() -> None:
    seen, vault = await leaves("How many nights? Friday, 14 June 2024 at 10:00 - 2024-06-16 at 11:00")
    assert "[DATE_1]" not in seen and "2024-06-16" not in seen and seen.endswith(" at 11:00")
    assert vault.restorer().text(seen).endswith("Friday, 14 June 2024 at 10:00 - 2024-06-16 at 11:00")


async def test_a_torn_find_and_a_missed_date_move_with_the_rest() -> None:
    seen, vault = await leaves("Chronologically, please: Friday, 14 June 2024 at 10:00; 2024-05-02; 9 January 2024.")
    assert not any(words in seen for words in ("14 June 2024", "2024-05-02", "9 January 2024")) and "Friday, " in seen
    assert vault.restorer().text(seen).endswith("14 June 2024 at 10:00; 2024-05-02; 9 January 2024.")


async def test_a_day_after_another_needs_one_date() -> None:
    seen, vault = await leaves("Which day is 14 days after 2024-05-02?")
    assert "[DATE_1]" not in seen and "2024-05-02" not in seen
    assert vault.restorer().text(seen) == "Which day is 14 days after 2024-05-02?"


async def test_dates_in_the_arguments_of_a_tool_keep_their_form() -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"day": "2024-05-02"}'}}]
    body = {"model": "far", "messages": [
        {"role": "user", "content": STAY}, {"role": "assistant", "content": None, "tool_calls": calls},
    ]}  # fmt: skip
    vault = Vault()
    outbound = await vault.seal(body, Finds(), terms=terms_of("balanced"))
    first = re.findall(r"\d{4}-\d\d-\d\d", json.loads(outbound.content)["messages"][0]["content"])[0]
    assert outbound.content.count(first.encode()) == 2 and b"2024-05-02" not in outbound.content


async def test_an_answer_to_a_body_without_shifted_dates_keeps_its_dates() -> None:
    seen, vault = await leaves(STAY)
    hidden = await vault.seal(
        {"model": "x", "messages": [{"role": "user", "content": STAY}]}, Finds(), terms=terms_of("strict")
    )
    first = re.findall(r"\d{4}-\d\d-\d\d", seen)[0]
    assert vault.restorer().text(first) == "2024-05-02"
    vault.expect_answer_to(hidden)
    assert vault.restorer().text(first) == first


async def test_ages_that_are_compared_leave_up_to_89() -> None:
    seen, vault = await leaves(
        "Who is the oldest? Ada Berg is 42 years old, Bo Falk is 51 years old, Zoe Alm 90 years old."
    )
    assert "[PERSON_1] is 42 years old" in seen and "51 years old" in seen and "90" not in seen
    assert {g.policy_rule for g in vault.generalised} == {"ages-to-compare-in-years"}
    assert "42" not in (await leaves("Ada Berg is 42 years old. Write her a card."))[0]


async def test_an_age_of_the_profile_stays_hidden() -> None:
    vault = Vault()
    body = {"model": "far", "messages": [{"role": "user", "content": "Who is the oldest? I am 42 years old."}]}
    outbound = await vault.seal(body, Finds(), values=[("AGE", "42 years old")], terms=terms_of("balanced"))
    assert b"42" not in outbound.content


async def test_names_that_are_sorted_are_numbered_by_the_alphabet() -> None:
    seen, vault = await leaves("Sort alphabetically: Zoe Alm, Bo Falk, Ada Berg")
    assert seen == "Sort alphabetically: [PERSON_3], [PERSON_2], [PERSON_1]"
    assert {h.policy_rule for h in vault.hidden} == {"names-to-sort-in-order"}
    seen, _ = await leaves("Write to Zoe Alm, Bo Falk, Ada Berg")
    assert seen == "Write to [PERSON_1], [PERSON_2], [PERSON_3]"


async def test_numbers_of_a_conversation_stay_when_its_names_are_sorted_later() -> None:
    _, vault = await leaves("Write to Zoe Alm.")
    seen, later = await leaves("Write to Zoe Alm. Sort alphabetically: Zoe Alm, Ada Berg", vault=vault)
    assert seen.endswith("[PERSON_1], [PERSON_2]")
    assert {h.policy_rule for h in later.hidden} == {"personal-as-placeholder"}


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("between", "wie viele nächte sind das?"),
        ("between", "combien de jours entre les deux ?"),
        ("between", "这两个日期之间有多少天？"),
        ("between", "그 사이는 며칠인가요?"),
        ("between", "сколько дней между ними?"),
        ("after", "which day is 30 days after that?"),
        ("ages", "wer ist die jüngste?"),
        ("ages", "¿quién es el mayor?"),
        ("names", "sortiere die liste alphabetisch"),
        ("names", "按字母顺序排列"),
        ("calendar", "jusqu’à aujourd'hui"),
    ],
)
def test_tasks_are_read_in_many_languages(task: str, text: str) -> None:
    assert task in tasks_in(text)


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("between", "a daylight saving question"),
        ("names", "rename the names"),
        ("ages", "an older version"),
        ("calendar", "mesh"),
    ],
)
def test_words_that_only_look_alike_ask_for_nothing(task: str, text: str) -> None:
    assert task not in tasks_in(text)
