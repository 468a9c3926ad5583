"""One person has one number within a conversation, whatever the order in which the names come."""

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.privacy.detector import Detector
from netgpt.privacy.identities import within_titles, words_of
from netgpt.privacy.kinds import number_of
from netgpt.privacy.vault import Vault

ONE = ["Zanele Khumalo", "Khumalo", "ZANELE KHUMALO", "Zanele", "Khumalo, Zanele", "khumalo", "Z. Khumalo"]


def numbers(*texts: Sequence[str], vault: Vault | None = None) -> dict[tuple[int, str], int]:
    """(text, name) -> number, when the texts name these persons one after the other."""
    vault = vault or Vault()
    found = {}
    for at, names in enumerate(texts):
        vault.meet(names)
        found.update({(at, name): number_of(vault.name_for("PERSON", name)) for name in names})
    return found


@pytest.mark.parametrize("order", [*itertools.permutations(ONE)][::97])
def test_all_spellings_are_one_person_in_any_order(order: Sequence[str]) -> None:
    vault = Vault()
    assert set(numbers(order, vault=vault).values()) == {1}
    assert sorted(vault.originals().values()) == sorted(ONE)  # each comes back as it was


@pytest.mark.parametrize("order", [*itertools.permutations(ONE[:4])][::5])
def test_one_text_after_another(order: Sequence[str]) -> None:
    texts = [[name] for name in order]
    got = numbers(*texts)
    parts = {"Khumalo", "Zanele"}
    apart = set(order[:2]) == parts  # nothing says yet that the two are one
    assert set(got.values()) == ({1, 2} if apart else {1})


@pytest.mark.parametrize("order", [*itertools.permutations(["Zanele Khumalo", "Themba Khumalo", "Khumalo", "Zanele"])])
def test_a_surname_that_fits_two_is_nobody_of_both(order: Sequence[str]) -> None:
    got = {name: number for (_, name), number in numbers(order).items()}
    assert got["Zanele"] == got["Zanele Khumalo"]
    assert len({got["Zanele Khumalo"], got["Themba Khumalo"], got["Khumalo"]}) == 3


def test_numbers_stay_when_turns_are_added() -> None:
    turns = [["Zanele Khumalo", "Khumalo"], ["Uwe"], ["Themba Khumalo"], ["Khumalo", "Themba"], ["Uwe Pfannkuch"]]
    state: bytes | None = None
    before: dict[tuple[int, str], int] = {}
    for count in range(1, len(turns) + 1):
        fresh = numbers(*turns[:count])
        vault = Vault(state)
        vault._people.begin()
        stored = numbers(*turns[:count], vault=vault)
        assert fresh == stored
        assert {key: fresh[key] for key in before} == before
        state, before = vault.dump(), fresh
    assert before[0, "Khumalo"] == before[0, "Zanele Khumalo"] != before[3, "Khumalo"]
    assert before[1, "Uwe"] == before[4, "Uwe Pfannkuch"]


@pytest.mark.parametrize(
    "names",
    [
        ("王小明", "小明", "王"), ("田中太郎", "田中", "太郎"), ("김민준", "민준"),
        ("Ольга Петрова", "ПЕТРОВА", "Ольга"),
        ("Anaïs Lefèvre", "Anais Lefevre", "LEFÈVRE"), ("Anna Weiß", "ANNA WEISS", "Weiß"), ("प्रिया शर्मा", "शर्मा"),
        ("Jan van der Berg", "van der Berg", "Berg"), ("Siobhan O'Brien", "O'Brien", "O’Brien"),
        ("Zanele N. Khumalo", "Zanele Khumalo"),
    ],
)  # fmt: skip
def test_other_scripts_and_forms(names: Sequence[str]) -> None:
    for order in itertools.permutations(names):
        assert set(numbers(order).values()) == {1}


@pytest.mark.parametrize(
    "names",
    [("Anna Weber", "Anna Schmidt"), ("Jan van Dyk", "Piet van Gogh"), ("J. Berg", "Jan Burg"), ("王小明", "王大明")],
)
def test_two_stay_two(names: Sequence[str]) -> None:
    assert set(numbers(names).values()) == {1, 2}


NAMES = st.sampled_from([*ONE, "Themba Khumalo", "Uwe", "Uwe Berg", "7", "王"])


@given(texts=st.lists(st.lists(NAMES, max_size=4), max_size=5))
@settings(max_examples=200, deadline=None)
def test_every_spelling_comes_back_and_order_within_a_text_means_nothing(texts: list[list[str]]) -> None:
    vault = Vault()
    for at, names in enumerate(texts):
        vault.meet(names)
        for name in names:
            assert vault.originals()[vault.name_for("PERSON", name)] == name, at

    def groups(given: list[list[str]]) -> set[frozenset[tuple[int, str]]]:
        found = numbers(*given)
        return {frozenset(key for key in found if found[key] == number) for number in found.values()}

    assert groups(texts) == groups([names[::-1] for names in texts])


async def test_in_a_body_titles_stay_outside(detector: Detector) -> None:
    vault = Vault()
    content = "Zanele Khumalo called. Please write to Ms Khumalo today.\n\nRegards\nDr. Uwe Pfannkuch"
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    outbound = await vault.seal(body, detector)
    masked = json.loads(outbound.content)["messages"][0]["content"]
    assert masked == "[PERSON_1] called. Please write to Ms [PERSON_1b] today.\n\nRegards\nDr. [PERSON_2]"
    assert vault.restorer().text(masked) == content


def test_a_large_family() -> None:
    vault = Vault()
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = ["Zo" + "".join(each) + " Khumalo" for each in itertools.product(letters, letters, letters)]
    vault.meet(names)
    assert len({vault.name_for("PERSON", name) for name in names}) == len(names)
    assert vault.name_for("PERSON", "Khumalo") == f"PERSON_{len(names) + 1}"


@pytest.mark.parametrize(
    "name", ["Don Draper", "Bay Lee", "Sig Hansen", "王丽君", "سيد قطب", "Pan Wei", "Anh Nguyen", "Sri Rao"]
)
def test_a_name_that_is_also_a_title_stays_whole(name: str) -> None:
    assert within_titles(name) == (0, len(name))


def test_titles_are_no_part_of_a_name() -> None:
    assert words_of("Frau Prof. Dr. Anna Weiß") == words_of("Anna Weiss") == ("anna", "weiss")
    assert words_of("田中さん") == ("田中",)
    assert words_of("Dr") == ("dr",)
