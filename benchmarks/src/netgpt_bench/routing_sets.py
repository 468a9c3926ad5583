"""What `netgpt bench routing` judges by: benchmarks by family, the kinds that are right for each, rewordings.

The file of nine models names no families, so they are told by their form; a few rows lie in the wrong one.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netgpt.judgement import UNKNOWN, TaskKind
from netgpt.routing.candidates import Assessed, Situation, Target, features_of, priors_of
from netgpt.routing.difficulty import Difficulty
from netgpt.routing.router import decide
from netgpt.settings.routing import Routing
from netgpt.sorts import TaskKinds
from netgpt.training.difficulty_data import Labelled, public_sets
from netgpt_bench.task_lessons import typed

_FORMS: Final[Sequence[tuple[str, Callable[[str], bool]]]] = (
    ("zebra puzzles", lambda text: re.match(r"Q: There are \d houses", text) is not None),
    ("lists of words", lambda text: re.fullmatch(r"[\w -]+(, [\w -]+){8,}", text.strip()) is not None),
    ("HumanEval", lambda text: re.search(r"\bdef \w+\(|>>>", text) is not None),
    ("MBPP", lambda text: re.match(r"(?i)write a? ?(python )?(function|program|code)", text) is not None),
    ("GSM8K and kin", lambda text: "put you final" in text),
    ("MATH", lambda text: re.search(r"\\[a-z]+|\$.*\$|\[asy\]", text) is not None),
    ("RACE", lambda text: len(text) > 600 and text.count(".") > 6 and not re.search(r"spectr|NMR|quantum", text)),
    ("GPQA", lambda text: len(text) > 150 and re.search(
        r"spectr|NMR|quantum|eV\b|hamiltonian|cm-1|°C|enantio|protein|mutation|assay|ligand", text) is not None),
    ("GSM8K and kin", lambda text: len(text) > 100 and len(re.findall(r"\d", text)) > 2 and re.search(
        r"[Hh]ow (many|much|long|far|old|tall|fast)|what (is|was|will)", text) is not None),
    ("NaturalQuestions", lambda text: text[:1].islower() and not text.rstrip().endswith("?") and re.match(
        r"(who|what|when|where|which|how|is|does|did|the|name|why|in|can|are|was)\b", text) is not None),
    ("OpenBookQA", lambda text: not text.rstrip().endswith("?")),
    ("CommonsenseQA", lambda text: re.match(
        r"(James|John|Where|If|What (do|does|would|might|could|is a person|can|will)|The (man|woman|child|person)"
        r"|He |She |They |A person|Why do|Bob|Sally|Joe|George|Billy)", text) is not None),
    ("TriviaQA", lambda text: re.search(r'(?<=[a-z,] )[A-Z][a-z]|"', text) is not None or text.startswith("Who")),
    ("ARC", lambda text: True),
)  # fmt: skip
RIGHT: Final[Mapping[str, tuple[str, ...]]] = {
    "MMLU": ("science", "word-problems", "reasoning", "facts", "advice"), "GSM8K": ("word-problems",),
    "zebra puzzles": ("reasoning",), "lists of words": (UNKNOWN,), "HumanEval": ("code",), "MBPP": ("code",),
    "GSM8K and kin": ("word-problems",), "MATH": ("word-problems", "arithmetic"), "RACE": ("extraction",),
    "GPQA": ("science",), "NaturalQuestions": ("facts",), "OpenBookQA": ("science", "facts"),
    "CommonsenseQA": ("facts", "reasoning"), "TriviaQA": ("facts",), "ARC": ("science", "facts"),
}  # fmt: skip
"""The kinds that a person would name for a family."""


def family_of(text: str) -> str:
    """The benchmark that a question of the file of nine models is probably of."""
    return next(name for name, is_of in _FORMS if is_of(text))


def benchmarks(data: Path) -> dict[str, Labelled]:
    """Every benchmark by its name: MMLU, GSM8K, and the families of the nine models' file, largest first."""
    sets = public_sets(data)
    nine = sets["open"]
    families: dict[str, list[int]] = {}
    for number, text in enumerate(nine.prompts):
        families.setdefault(family_of(text), []).append(number)
    ordered = sorted(families.items(), key=lambda one: -len(one[1]))
    return {"MMLU": sets["mmlu"], "GSM8K": sets["gsm8k"]} | {
        name: nine.at(np.array(places)) for name, places in ordered
    }


def kinds_of(sets: Mapping[str, Labelled], kinds: TaskKinds) -> list[dict[str, object]]:
    """For each benchmark, none of which taught: how often the kind is right, unknown, or another."""
    rows: list[dict[str, object]] = []
    for name, labelled in sets.items():
        found = [kind.name for kind in kinds.of(labelled.prompts)]
        right = sum(kind in RIGHT.get(name, ()) for kind in found)
        unknown = found.count(UNKNOWN) if UNKNOWN not in RIGHT.get(name, ()) else 0
        rows.append(
            {
                "benchmark": name, "rows": len(found), "right kind, %": round(100 * right / len(found), 1),
                "unknown, %": round(100 * unknown / len(found), 1), "taken for right": ", ".join(RIGHT.get(name, ())),
            }
        )  # fmt: skip
    return rows


# --- The same decision, whatever the wording: two models whose answers do as often as `difficulty.toml` says.

_TARGETS: Final = (
    Target("edge", "edge", "edge"),
    Target("cloud", price_prompt=2.5, price_completion=10.0, exposure=0.2),
)
_WRAPPERS: Final = (
    "You are a helpful assistant. Answer the following question.\n\nQuestion: {}\n\nLet's think step by step.",
    "Question: Which of these is a fruit?\nAnswer: the apple\n\nQuestion: {}\nAnswer:",
    "[INST] {} [/INST]",
    "Please kindly help me with this one. {} Thanks a lot, it is for my boss!",
)


@dataclass(frozen=True)
class Deciding:
    """Decides as the gateway does, with priors by kind and no learner."""

    difficulty: Difficulty
    kinds: TaskKinds

    def prior(self, target: str, kind: str) -> float | None:
        """The mean of the sorts of this kind, of the small or the large model."""
        table = self.difficulty.table
        scores = table.small if target == "edge" else table.large
        of_kind = [float(scores[n]) for n, one in enumerate(self.difficulty.sorts.kinds) if one == kind]
        return float(np.mean(of_kind)) if of_kind else None

    def read(self, text: str) -> Assessed:
        """As the gateway reads a text."""
        read = self.difficulty.sorts.read([text])
        found, [kind] = self.difficulty.hardness([text], read), self.kinds.named(read)
        return Assessed(float(found.chance[0]), (), kind, self.difficulty.usual([kind])[0])

    def decide(self, text: str) -> tuple[str, TaskKind]:
        """Who answers, and the kind."""
        features, read = features_of({"messages": [{"role": "user", "content": text}]}), self.read(text)
        priors = priors_of(self.prior, ("edge", "cloud"), read.kind, features)
        situation = Situation(
            "auto", features, _TARGETS, p_edge_ok=read.p_edge_ok, kind=read.kind, p_kind=read.p_kind, priors=priors,
            answer_tokens=200,
        )  # fmt: skip
        return decide(situation, Routing()).name, read.kind


def reworded() -> list[tuple[str, list[str]]]:
    """(kind, the same request in other words: two in English, then German, French, Spanish, Italian)."""
    text = resources.files("netgpt_bench").joinpath("lessons", "reworded.toml").read_text(encoding="utf-8")
    return [(one["kind"], one["says"]) for one in tomllib.loads(text)["request"]]


def robustness(sets: Mapping[str, Labelled], deciding: Deciding, count: int, seed: int) -> list[dict[str, object]]:
    """How often decision and kind stay as they were: in other words, other languages, padded, mistyped."""
    draw = random.Random(seed)
    texts = [text for labelled in sets.values() for text in draw.sample(labelled.prompts, min(count, len(labelled.ok)))]
    ways: dict[str, list[tuple[str, str]]] = {
        "paraphrase": [(says[0], says[1]) for _, says in reworded()],
        "another language (de, fr, es, it)": [(says[0], other) for _, says in reworded() for other in says[2:]],
        "a wrapper or words of courtesy": [(text, draw.choice(_WRAPPERS).format(text)) for text in texts],
        "typing errors (3 % of letters)": [(text, typed(text, draw)) for text in texts],
        "small letters, no signs at the end": [(text, text.lower().rstrip("?.! ")) for text in texts],
    }
    rows: list[dict[str, object]] = []
    for way, pairs in ways.items():
        both = [(deciding.decide(one), deciding.decide(other)) for one, other in pairs]
        same: NDArray[np.bool_] = np.array([one[0] == other[0] for one, other in both])
        kind = np.array([one[1].name == other[1].name for one, other in both])
        cloud = np.mean([one[0] == "cloud" for one, _ in both])
        rows.append(
            {
                "reworded": way, "pairs": len(pairs), "same decision, %": round(100 * float(same.mean()), 1),
                "same kind, %": round(100 * float(kind.mean()), 1), "to the cloud, %": round(100 * float(cloud), 1),
            }
        )  # fmt: skip
    return rows
