"""The tagger that ships: what it finds, what it remembers, what its file tells."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.errors import DetectorError
from netgpt.privacy.detector import Finder
from netgpt.privacy.ner import DOCUMENT, SHORT, bounds
from netgpt.privacy.registry import families
from netgpt.privacy.tagger import LONGEST, SHIPPED, TAGS, Bloom, Tagger, read_weights, segments, tokens


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger()


@given(st.text(max_size=4_000))
def test_pieces_cover_the_text_and_are_bounded(text: str) -> None:
    pieces = list(segments(text))
    assert "".join(text[a:b] for a, b in pieces) == text
    assert all(0 < b - a <= LONGEST for a, b in pieces)


@given(st.text(max_size=200))
def test_tokens_are_ordered_and_hold_every_letter(text: str) -> None:
    found = tokens(text)
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    held = {i for a, b in found for i in range(a, b)}
    assert all(i in held for i, c in enumerate(text) if c.isalnum())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=120), min_size=1, max_size=4))
def test_any_text_is_read_and_tags_lie_inside(tagger: Tagger, texts: list[str]) -> None:
    for text, tags in zip(texts, tagger.tags(texts, 0.0), strict=True):
        assert [(start, end) for start, end, _, _ in tags] == [
            (start + a, start + b) for start, stop in segments(text) for a, b in tokens(text[start:stop])
        ]
        assert all(0 <= chance <= 1 for _, _, _, chance in tags)


def test_a_text_that_grows_is_not_read_again(tagger: Tagger) -> None:
    text = "\n\n".join(f"Paragraph {n}: nothing of note happened at the office on that day." for n in range(30))
    tagger.tags([text], 0.1)
    known = len(tagger._seen)
    tagger.tags([text + "\n\nOne more line about the weather."], 0.1)
    assert len(tagger._seen) - known <= 2


def test_a_list_as_bits_holds_its_words() -> None:
    words = [f"word{n}" for n in range(2_000)]
    listed = Bloom.of(words)
    assert all(word in listed for word in words)
    assert sum(f"other{n}" in listed for n in range(2_000)) < 100


def test_every_kind_has_a_family() -> None:
    assert set(TAGS) <= set(families())


def test_long_texts_are_hidden_more_readily() -> None:
    assert bounds(20) == SHORT > bounds(150) > bounds(5_000) == pytest.approx(DOCUMENT)


def test_missing_weights_say_what_to_do(tmp_path) -> None:
    with pytest.raises(DetectorError, match=r"reinstall netgpt, or set privacy\.names = false"):
        read_weights(tmp_path / "none.safetensors")


def test_the_file_holds_no_word_of_a_name() -> None:
    content = SHIPPED.read_bytes()
    header = int.from_bytes(content[:8], "little")
    assert len(content) < 7 * 2**20
    runs = [run.lower() for run in re.findall(rb"[A-Za-z]{6,}", content[8 + header :])]
    names = (b"maria", b"james", b"keller", b"london", b"philadelphia", b"johnson")
    assert not [run for run in runs if any(name in run for name in names)]


def test_small_letters_and_chat_spelling_are_found() -> None:
    finder = Finder()
    wanted = {"ask maria keller about it": "maria keller", "i live in portwick": "portwick"}
    for text, name in wanted.items():
        [spans] = finder.find([text], (), None)
        assert name in {text[s.start : s.end] for s in spans}
    plain = ["set an alarm for seven", "write a poem about autumn", "what should i cook tonight"]
    assert finder.find(plain, (), None) == [[], [], []]
