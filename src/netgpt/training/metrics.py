"""Scores one answer, from 0 to 1, without a judge model, and compares two models' scores of the same examples.

Comparisons are seeded, and assume no normal distribution.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SHORT_WORDS = 4
"""A reference of so few words is right or wrong as a whole."""
LONGEST_RATIO, SLACK_WORDS = 4.0, 24
"""An answer of more than ratio * reference + slack words is a runaway."""
REPEATED_RUN = 5
"""Text is degenerate when a run of words comes this often in a row."""
DRAWS = 2000
"""Random draws of a test or interval. The smallest p-value it can give is 1 / (DRAWS + 1)."""
EXACT_PAIRS = 10
"""Up to so many differing pairs, all 2^n signs are tried and nothing is drawn."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*", re.UNICODE)
_STOP = frozenset(
    _WORD.findall(
        "a an and are as at be been but by can do does for from had has have he her his i if in into is it its me my "
        "no not of on or our she so some than that the their them there these they this to us was we were what when "
        "which who will with would you your"
    )
)


def words_of(text: str) -> list[str]:
    """Words and numbers in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def normal(text: str) -> str:
    """One form for answers that differ in case, spaces and outer punctuation alone."""
    return " ".join(text.lower().split()).strip(" .!?\"'`*:;,")


def score_closed(answer: str, right: str, options: Sequence[str]) -> float:
    """1 when the answer is the right option, 0 for another option or none of them."""
    said = normal(answer)
    named = next((option for option in options if normal(option) == said), None)
    return float(named is not None and normal(named) == normal(right))


def score_free(answer: str, reference: str) -> float:
    """How near a free answer comes to its reference. 0 for an empty, degenerate or runaway answer.

    >>> score_free("The library opens at nine.", "the library opens at NINE")
    1.0
    >>> score_free("", "nine")
    0.0
    """
    said, wanted = words_of(answer), words_of(reference)
    if not answer.strip() or degenerate(answer) or len(said) > len(wanted) * LONGEST_RATIO + SLACK_WORDS:
        return 0.0
    structure = _json_of(reference)
    if structure is not None:
        return _score_json(answer, structure)
    if not wanted:
        return float(normal(answer) == normal(reference))
    if len(wanted) <= SHORT_WORDS:
        return 1.0 if normal(answer) == normal(reference) else 0.5 * overlap_f1(said, wanted)
    return 0.5 * overlap_f1(said, wanted) + 0.5 * _key_words_kept(said, wanted)


def overlap_f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    """F1 of the words in common, each counted as often as it occurs (as SQuAD does, arXiv 1606.05250)."""
    common = (Counter(said) & Counter(wanted)).total()
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def degenerate(text: str) -> bool:
    """Whether the text repeats the same run of words or one character again and again."""
    if re.search(r"(\S)\1{15,}", text):
        return True
    words = words_of(text)
    for size in (1, 2, 3, 4, 6, 8):
        stuck = 0
        for place in range(size, len(words)):
            stuck = stuck + 1 if words[place] == words[place - size] else 0
            if stuck >= size * (REPEATED_RUN - 1):
                return True
    return len(words) >= 40 and len(set(words)) < len(words) * 0.2


def first_choice_likelihood(completion: Mapping[str, Any], right: str, options: Sequence[str]) -> float | None:
    """ln p(right option), normalized over the options, from the alternatives of the first token.

    An option that is not among them is at most as likely as the last of them, and taken to be so. None when the server
    gave none, none begins an option, or two options begin alike.
    """
    listed = _alternatives(completion)
    masses: dict[str, float] = {}
    for token, chance in listed:
        begun = {normal(each) for each in options if token and each.strip().lower().startswith(token)}
        if len(begun) > 1:
            return None
        for option in begun:
            masses[option] = masses.get(option, 0.0) + chance
    if not masses:
        return None
    least = min(chance for _, chance in listed)
    whole = math.fsum(masses.get(normal(option), least) for option in options)
    return math.log(masses.get(normal(right), least) / whole) if whole > 0 else None


def _alternatives(completion: Mapping[str, Any]) -> list[tuple[str, float]]:
    """(token in lower case, probability) of the alternatives to the first token."""
    try:
        listed = completion["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return [(str(each["token"]).strip().lower(), math.exp(min(0.0, float(each["logprob"])))) for each in listed]
    except (KeyError, IndexError, TypeError, ValueError):
        return []


def _key_words_kept(said: Sequence[str], wanted: Sequence[str]) -> float:
    keys = {word for word in wanted if word not in _STOP} or set(wanted)
    return len(keys & set(said)) / len(keys)


def _json_of(text: str) -> Any | None:
    """The object or list that the whole text is, if it is one."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _score_json(answer: str, wanted: Any) -> float:
    said = _json_of(answer)
    if said is None:
        return 0.0
    return 0.2 + 0.8 * overlap_f1(_leaves(said), _leaves(wanted)) if said != wanted else 1.0


def _leaves(value: Any, path: str = "") -> list[str]:
    """Each value with its path: what two structures are compared by."""
    if isinstance(value, dict):
        return [leaf for name, each in value.items() for leaf in _leaves(each, f"{path}/{name}")]
    if isinstance(value, list):
        return [leaf for each in value for leaf in _leaves(each, f"{path}/-")]
    return [f"{path}={normal(str(value))}"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean score with its 95 % interval."""

    mean: float
    low: float
    high: float
    count: int

    def as_json(self) -> dict[str, float | int]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired comparison: `difference` is the mean of (ours - theirs), with its 95 % interval.

    `p_better`, `p_worse`: the probability that chance alone gives so good, or so bad, a difference.
    """

    difference: float
    low: float
    high: float
    p_better: float
    p_worse: float
    count: int

    def as_json(self) -> dict[str, float | int]:
        return {name: round(value, 5 if name.startswith("p_") else 4) for name, value in asdict(self).items()}


def figure_of(scores: Sequence[float], seed: int = 7) -> Figure:
    """The mean of scores in [0, 1]: Wilson's interval when all are 0 or 1, else the bootstrap's percentiles."""
    if not scores:
        return Figure(0.0, 0.0, 1.0, 0)
    values = np.asarray(scores, dtype=float)
    binary = np.isin(values, (0.0, 1.0)).all()
    low, high = _wilson(int(values.sum()), len(values)) if binary else _bootstrap(values, seed)
    return Figure(float(values.mean()), low, high, len(values))


def compare(ours: Sequence[float], theirs: Sequence[float], seed: int = 7) -> Comparison:
    """Paired comparison of scores of the same examples in the same order.

    The test is Fisher's sign-flip test of the differences: under "no difference", each difference might as well have
    the other sign. The interval is the bootstrap's. Raises ValueError when the two are not of the same length.
    """
    if len(ours) != len(theirs):
        raise ValueError("a paired comparison needs both scores of each example")
    if not ours:
        return Comparison(0.0, -1.0, 1.0, 1.0, 1.0, 0)
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    low, high = _bootstrap(differences, seed)
    return Comparison(
        float(differences.mean()), low, high,
        _sign_flip_p(differences, seed), _sign_flip_p(-differences, seed), len(differences),
    )  # fmt: skip


def _wilson(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    share, whole = right / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / whole
    half = z / whole * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def _bootstrap(values: np.ndarray, seed: int) -> tuple[float, float]:
    draws = np.random.default_rng(seed).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _sign_flip_p(differences: np.ndarray, seed: int) -> float:
    """The share of sign patterns whose sum is at least as great as the observed one."""
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    observed = moved.sum() - 1e-9
    if len(moved) <= EXACT_PAIRS:
        bits = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float((((2 * bits - 1) * np.abs(moved)).sum(axis=1) >= observed).mean())
    signs = np.random.default_rng(seed).integers(0, 2, (DRAWS, len(moved))) * 2 - 1
    return float(((signs * np.abs(moved)).sum(axis=1) >= observed).sum() + 1) / (DRAWS + 1)
