"""The memory of texts that were cut into words before."""

from __future__ import annotations

from netgpt.privacy.detectors.normalize import views
from netgpt.privacy.ner import WordIndexes, find_occurrences


def test_a_text_that_comes_back_is_not_cut_again() -> None:
    indexes = WordIndexes()
    first = indexes.of("Ada went to Portwick, ada came back")
    assert indexes.of("Ada went to Portwick, ada came back") is first
    assert first.places["ada"] == [0, 4]


def test_the_memory_is_bounded_by_words() -> None:
    indexes = WordIndexes(words=10)
    old = indexes.of("one two three four five six")
    indexes.of("seven eight nine ten eleven twelve")
    assert indexes.of("one two three four five six") is not old


def test_a_term_is_found_as_whole_words_and_a_common_word_only_as_a_name() -> None:
    text = "Grace Hopper wrote; grace was shown to graceful hopper, Grace said"
    terms = {"grace": [(("grace", "hopper"), "PERSON", False), (("grace",), "PERSON", True)]}
    [view] = list(views(text))
    found = find_occurrences(view, WordIndexes().of(view.text), terms)
    assert [text[span.start : span.end] for span in found] == ["Grace Hopper", "Grace"]
