"""Cutting into pieces as the published tokenizers do, and the static vectors of sentences."""

from __future__ import annotations

import subprocess
import sys
import time
import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from netgpt.word_pieces import VOCABULARY, StaticEmbedder, UncasedPieces, WordPieces

EMBED, PIECES = StaticEmbedder(), WordPieces()
PUBLISHED = Tokenizer.from_file(str(VOCABULARY))
PUBLISHED.no_padding()
PUBLISHED.no_truncation()


def test_rows_are_unit_vectors() -> None:
    rows = EMBED(["what is the weather", "play some jazz"])
    assert rows.shape == (2, 256) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_near_meanings_are_near() -> None:
    rain, umbrella, jazz = EMBED(["will it rain tomorrow", "do I need an umbrella today", "play a jazz song"])
    assert rain @ umbrella > rain @ jazz


def test_nothing_is_a_row_of_zeros() -> None:
    assert not EMBED([""]).any()
    assert EMBED([]).shape == (0, 256)


TEXTS = st.text(st.sampled_from("abe rstx_-.,'9\n\t\u2581\u00e9\u4e16\U0001f600<s>/"), max_size=60) | st.text(
    max_size=30
)


@given(text=TEXTS)
def test_pieces_are_those_of_the_published_tokenizer(text: str) -> None:
    assert PIECES.encode(text) == PUBLISHED.encode(text, add_special_tokens=False).ids


def test_a_piece_is_cut_into_itself() -> None:
    """So that a whole word of the vocabulary needs no search."""
    joined = WordPieces()
    assert not [piece for piece in list(PIECES.vocabulary)[300::7] if joined._joined(piece) != [piece]]


SCRIPTS = [(0x20, 0x250), (0x300, 0x590), (0x5D0, 0x61C), (0x61E, 0x700), (0x900, 0x980), (0xE00, 0xE80),
           (0x1100, 0x1200), (0x1E00, 0x2070), (0x20A0, 0x20BE), (0x2E80, 0x2E9A), (0x3000, 0x3100), (0x4E00, 0x4E40),
           (0xAC00, 0xAC40), (0xF900, 0xF920), (0xFE00, 0xFE20), (0xFF00, 0xFFBE), (0xFFF9, 0xFFFE),
           (0x1F600, 0x1F640), (0x20000, 0x20010), (0x2B820, 0x2B830), (0x2F800, 0x2F810),
           (0xE000, 0xE004), (0xE0020, 0xE0024)]  # fmt: skip
CHARACTERS = "".join(chr(code) for first, end in SCRIPTS for code in range(first, end)) + "\0\x1c\x85\t\n\r\x0b"
READ = sorted({c for c in unicodedata.normalize("NFD", CHARACTERS.lower()) if c.isprintable() and c != " "})
CUT = [
    *["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "th", "##ing", "ab", "##ий"],
    *READ[::2],
    *(f"##{c}" for c in READ[::3]),
]
UNCASED = UncasedPieces(CUT)
RULES = Tokenizer(
    WordPiece({piece: number for number, piece in enumerate(CUT)}, unk_token="[UNK]", max_input_chars_per_word=100)
)
RULES.normalizer, RULES.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()


@given(st.text(st.sampled_from(CHARACTERS) | st.sampled_from("abthein g-.'[]#\u0301"), max_size=80))
def test_uncased_pieces_are_those_of_the_published_rules(text: str) -> None:
    assert UNCASED.encode(text, 1000) == RULES.encode(text).ids


def test_every_character_is_read_as_published() -> None:
    for character in CHARACTERS:
        text = f"a{character}b {character}th"
        assert UNCASED.encode(text, 1000) == RULES.encode(text).ids, hex(ord(character))


def test_odd_words_are_read_as_published() -> None:
    odd = ["ΟΔΟΣ", "İstanbul", "[SEP]", "thingthe", "ﬁẞⅠ", "á́b"]
    for text in [*odd, "a" * 100, "th" * 50, "th" * 51]:
        assert UNCASED.encode(text, 1000) == RULES.encode(text).ids, text
    assert UNCASED.encode("\ud800a\udfff", 9) == UNCASED.encode("a", 9), "half a character is none"
    assert UNCASED.encode("the " * 9, 4) == UNCASED.encode("the " * 4, 9)


def test_uncased_pieces_of_long_texts_are_cut_in_little_time_and_memory() -> None:
    began = time.process_time()
    for text in ("x" * 4_000_000, "\u00e9" * 4_000_000, " " * 4_000_000, "\u4e00" * 4_000_000):
        UncasedPieces(CUT).encode(text, 128)
    assert time.process_time() - began < 2, "only the beginning is looked at"
    fresh = UncasedPieces(CUT)
    for at in range(0x20, 0x30000, 16_000):
        fresh.encode("".join(map(chr, range(at, at + 16_000))), 100)
    assert len(fresh._plain) == 32_768


def test_a_text_without_blanks_costs_linear_time() -> None:
    def cost(size: int) -> float:
        began = time.process_time()
        PIECES.encode("qjxzkvwp" * size)
        return time.process_time() - began

    cost(100)
    assert cost(16_000) < 40 * max(cost(1_000), 0.001)


def test_no_tokenizer_library_is_needed() -> None:
    code = "import sys, netgpt.word_pieces as e; e.StaticEmbedder()(['hello']); print('tokenizers' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
