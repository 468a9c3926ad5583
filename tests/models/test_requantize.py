"""Block formats: what is written is read back, and the file stays a valid GGUF."""

from pathlib import Path

import numpy as np
import pytest
from ggufs import tiny_gguf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from netgpt.errors import RequestError
from netgpt.models.gguf import check_weights, read_header
from netgpt.models.quantize import FORMATS, READERS, Figures, best_of, requantize

weights = arrays(np.float32, st.tuples(st.integers(1, 5), st.just(32)), elements=st.floats(-4, 4, width=16))


@settings(deadline=None)
@given(weights=weights, form=st.sampled_from(sorted(FORMATS)))
def test_the_error_is_within_one_step(weights: NDArray[np.float32], form: str) -> None:
    kind = FORMATS[form][0]
    back = READERS[kind](FORMATS[form][2](weights))
    largest = np.abs(weights).max(axis=1, keepdims=True)
    step = largest / (127 if form == "Q8_0" else 6.8)
    assert back.shape == weights.shape
    # The step is kept as float16: below its smallest number (2^-24), tiny weights become 0.
    assert (np.abs(back - weights) <= step * 1.01 + 127 * 2.0**-24).all()


def test_codes_of_a_known_block() -> None:
    row = np.arange(-8, 8, dtype=np.float32).repeat(2)[None, :]
    assert np.allclose(READERS[2](FORMATS["Q4_0"][2](row)), row)


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_file_is_rewritten(tmp_path: Path, form: str) -> None:
    source = tiny_gguf(tmp_path / "a.gguf")
    target = requantize(source, tmp_path / "b.gguf", form)
    assert check_weights(target).quantization == form
    old, new = read_header(source), read_header(target)
    assert [t.name for t in new.tensors] == [t.name for t in old.tensors]
    assert new.tensors[1].type == 0
    at = new.data_at + new.tensors[1].offset
    assert np.frombuffer(target.read_bytes()[at : at + 16], np.float32).tolist() == [1, 2, 3, 4]
    first = np.frombuffer(source.read_bytes()[old.data_at : old.data_at + 80], np.uint8).reshape(4, 20)
    size = new.tensors[0].bytes or 0
    made = np.frombuffer(target.read_bytes()[new.data_at : new.data_at + size], np.uint8).reshape(4, -1)
    assert np.array_equal(made, FORMATS[form][2](READERS[3](first)))


def test_nothing_to_rewrite_is_reported(tmp_path: Path) -> None:
    target = requantize(tiny_gguf(tmp_path / "a.gguf"), tmp_path / "b.gguf", "Q8_0")
    with pytest.raises(RequestError, match="nothing to do"):
        requantize(target, tmp_path / "c.gguf", "Q4_0")
    assert not list(tmp_path.glob("*c.gguf*"))


def test_the_fastest_that_answers_alike_is_chosen() -> None:
    base = Figures(100, 50, 1.0, 1)
    assert best_of("Q4_1", {"Q4_1": base, "Q8_0": Figures(200, 60, 0.95, 1)})[0] == "Q8_0"
    assert best_of("Q4_1", {"Q4_1": base, "Q4_0": Figures(900, 90, 0.5, 1)})[0] == "Q4_1"
    assert best_of("Q4_1", {"Q4_1": base, "Q8_0": Figures(105, 50, 1.0, 1)})[0] == "Q4_1"
