from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from netgpt.word_pieces import VOCABULARY, StaticEmbedder, WordPieces

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
