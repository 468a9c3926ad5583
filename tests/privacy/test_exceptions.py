"""The owner's exceptions: what was guessed may stay, what is certain or a person's own never does."""

import json

import pytest

from netgpt.errors import RequestError
from netgpt.privacy.detector import Detector
from netgpt.privacy.detectors import as_exception
from netgpt.privacy.vault import Vault


async def masked(detector: Detector, text: str, exceptions: set[str], values: tuple[tuple[str, str], ...] = ()) -> str:
    body = {"messages": [{"role": "user", "content": text}]}
    outbound = await Vault().seal(body, detector, exceptions=frozenset(exceptions), values=values)
    content: str = json.loads(outbound.content)["messages"][0]["content"]
    return content


async def test_an_excepted_find_stays_and_nothing_else(detector: Detector) -> None:
    text = "Zanele Khumalo met Ada Lovelace in London."
    assert "Zanele" not in await masked(detector, text, set())
    assert await masked(detector, text, {"zanele khumalo"}) == "Zanele Khumalo met [PERSON_1] in [PLACE_1]."
    assert "Khumalo" not in await masked(detector, text, {"hopper"})  # a find counts whole


@pytest.mark.parametrize(
    "text",
    [
        "mail ada@mill.org now",
        "card 4111 1111 1111 1111 now",
        "IBAN GB82 WEST 1234 5698 7654 32 now",
        "ring +44 20 7946 0018",
    ],
)
async def test_what_has_a_form_is_hidden_all_the_same(detector: Detector, text: str) -> None:
    everything = {text[at:end].casefold() for at in range(len(text)) for end in range(at + 2, len(text) + 1)}
    assert await masked(detector, text, everything) == await masked(detector, text, set()) != text


async def test_the_values_of_a_person_win(detector: Detector) -> None:
    text = "Zanele Khumalo met Ada Lovelace."
    assert "Khumalo" not in await masked(detector, text, {"zanele khumalo"}, (("PERSON", "Zanele Khumalo"),))
    assert "Zanele" not in await masked(detector, text, {"zanele khumalo"}, (("PERSON", "Zanele"),))


@pytest.mark.parametrize(
    "word", ["x", "  ", "12345", "y" * 101, "ada@mill.org", "sk-proj-abcdefghijklmnopqrstuvwx1234567890"]
)
def test_what_can_be_no_exception(word: str) -> None:
    with pytest.raises(RequestError) as error:
        as_exception(word)
    assert len(word) < 3 or word not in error.value.message


def test_words_are_compared_without_case_and_spaces() -> None:
    assert as_exception("  Blue   FALCON") == "blue falcon"
