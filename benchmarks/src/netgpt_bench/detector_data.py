"""Examples out of the public data sets of a folder, each with what its labels do and do not say."""

from __future__ import annotations

import ast
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netgpt.geonames import country_names, towns
from netgpt.privacy.figures import figures
from netgpt.privacy.tagger import HEAD, TAGS, Lexicon, fold, occurrence, segments, tokens
from netgpt_bench.detector_languages import languages, public_names
from netgpt_bench.detector_synthetic import Inventor, TaggedText, pool
from netgpt_bench.privacy_data import rows_of

FILES = {
    "pupa": "privacy/pupa_new_dev.jsonl",
    "synth": "privacy/presidio_synth_v2_dev.jsonl",
    "wnut": "privacy/wnut17_dev.jsonl",
    "clinc": "prompts/clinc150_dev.jsonl",
    "slurp": "prompts/slurp_dev.jsonl",
    "snips": "prompts/snips_dev.jsonl",
    "user": "prompts/selfinstruct_user_dev.jsonl",
    "seed": "prompts/selfinstruct_seed_dev.jsonl",
}
LICENCES = {
    "pupa": "MIT", "synth": "MIT", "wnut": "CC BY 4.0", "clinc": "CC BY 3.0", "slurp": "CC BY 4.0", "snips": "CC0",
    "user": "Apache-2.0", "seed": "Apache-2.0",
}  # fmt: skip
_SYNTH = {
    "PERSON": "PERSON", "GPE": "PLACE", "ORGANIZATION": "ORG", "STREET_ADDRESS": "ADDRESS", "ZIP_CODE": "ADDRESS",
    "DATE_TIME": "DATE", "AGE": "AGE", "TITLE": "JOB", "NRP": "NATIONALITY", "DOMAIN_NAME": "URL",
}  # fmt: skip
_WNUT = {
    "person": "PERSON", "location": "PLACE", "group": "ORG", "corporation": "ORG", "product": "PRODUCT",
    "creative-work": "PRODUCT",
}  # fmt: skip
_SLURP = {"person": "PERSON", "place_name": "PLACE", "business_name": "ORG", "artist_name": "PERSON", "relation": None}
_SNIPS = {
    "city": "PLACE", "state": "PLACE", "country": "PLACE", "geographic_poi": "PLACE", "restaurant_name": "ORG",
    "artist": "PERSON", "location_name": "ORG",
}  # fmt: skip
_TITLES = frozenset(("album", "track", "movie_name", "object_name", "playlist", "entity_name", "poi"))
_LETTERS = re.compile(r"[^\W\d_]+")
_CAPITAL = re.compile(r"(?<=[a-z,] )[A-Z]\w+")
_UNJUDGED = re.compile(r"\S*[\d@#]\S*|https?:\S+")


def pupa_units(row: Mapping[str, Any]) -> list[str]:
    """The private units of a row of PUPA, in small letters."""
    units = row["pii_units"]
    return [str(unit).lower() for unit in (ast.literal_eval(units) if isinstance(units, str) else units) if unit]


_UNSAID = 2.0
"""Weight of PUPA's private words beside its others."""


def read_pupa(folder: Path) -> list[TaggedText]:
    """PUPA's queries: every whole-word place of a unit is private; units that stand nowhere as words are left out."""
    return [
        TaggedText(row["user_query"], tuple(_places_of(row["user_query"], pupa_units(row))), "pupa", private=_UNSAID)
        for row in rows_of(folder / FILES["pupa"])
    ]


def _places_of(text: str, units: list[str]) -> Iterator[tuple[int, int, str | None]]:
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    taken: set[int] = set()
    for unit in sorted(set(units), key=lambda unit: (-len(unit), unit)):
        for match in re.finditer(rf"(?<!\w){re.escape(unit)}(?!\w)", lowered):
            if taken.isdisjoint(range(*match.span())):
                taken.update(range(*match.span()))
                yield match.start(), match.end(), None


def read_synth(folder: Path) -> list[TaggedText]:
    """Presidio's generated sentences."""
    return [
        TaggedText(
            row["text"],
            tuple(sorted((s["start"], s["end"], _SYNTH.get(s["type"], "ID")) for s in row["spans"])),
            "synth",
        )
        for row in rows_of(folder / FILES["synth"])
    ]


def read_wnut(folder: Path) -> list[TaggedText]:
    """WNUT17: names only; numbers, handles and addresses are not judged."""
    examples = []
    for row in rows_of(folder / FILES["wnut"]):
        text = ""
        spans: list[tuple[int, int, str | None]] = []
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            start = len(text)
            text += token
            if tag.startswith("I-") and spans:
                spans[-1] = (spans[-1][0], len(text), spans[-1][2])
            elif tag != "O":
                spans.append((start, len(text), _WNUT[tag[2:]]))
            text += " "
        unsure = tuple(m.span() for m in _UNJUDGED.finditer(text))
        examples.append(TaggedText(text.rstrip(), tuple(spans), "wnut", unsure))
    return examples


def read_prompts(folder: Path, suspect: Callable[[str], bool], plain: Collection[str] = ()) -> list[TaggedText]:
    """Everyday requests: mostly nothing private. Dates and numbers in them are no one's.

    CLINC150 marks no names: a word that `suspect` takes for one is not judged. Nor are capitals inside an instruction.
    Requests among `plain` hold nothing private at all; their origin is "plain".
    """
    examples = []
    for row in rows_of(folder / FILES["clinc"]):
        unsure = tuple(m.span() for m in _LETTERS.finditer(row["text"]) if suspect(m[0]))
        examples.append(TaggedText(row["text"], (), "everyday", unsure))
    for row in rows_of(folder / FILES["slurp"]):
        text = row["text"]
        wanted = [(text.find(e["text"]), len(e["text"]), _SLURP.get(e["type"])) for e in row["entities"]]
        marked = sorted((at, at + length, kind) for at, length, kind in wanted if kind and at >= 0)
        examples.append(TaggedText(text, tuple(marked), "slurp"))
    for row in rows_of(folder / FILES["snips"]):
        spans = tuple((s["start"], s["end"], _SNIPS[s["slot"]]) for s in row["slots"] if s["slot"] in _SNIPS)
        unsure = tuple((s["start"], s["end"]) for s in row["slots"] if s["slot"] in _TITLES)
        examples.append(TaggedText(row["text"], spans, "snips", unsure, 0.5))
    for name in ("user", "seed"):
        for row in rows_of(folder / FILES[name]):
            unsure = tuple(m.span() for m in _CAPITAL.finditer(row["instruction"]))
            examples.append(TaggedText(row["instruction"], (), "instruct", unsure))
    return [TaggedText(one.text, (), "plain") if one.text in plain else one for one in examples]


# --- Examples as arrays: words, where they stand, what is private.

_NUMBER = {kind: number for number, kind in enumerate(TAGS)}


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a text: `wanted` 1 private, 0 not; `kinds` -1 where unknown; `weights` 0 where not judged."""

    words: list[str]
    head: list[str]
    places: NDArray[np.float32]
    wanted: NDArray[np.float32]
    kinds: NDArray[np.int64]
    weights: NDArray[np.float32]


def pieces_of(example: TaggedText, common: Container[str]) -> Iterator[Piece]:
    """The example cut as the tagger cuts it. `common`: its list of everyday words."""
    text = example.text
    head = [text[a:b] for a, b in tokens(text[:HEAD])]
    for start, end in segments(text):
        piece = text[start:end]
        found = tokens(piece)
        if not found:
            continue
        wanted = np.zeros(len(found), dtype=np.float32)
        kinds = np.full(len(found), -1, dtype=np.int64)
        weights = np.full(len(found), example.weight, dtype=np.float32)
        for first, last in example.unsure:
            weights[[i for i, (a, b) in enumerate(found) if a + start < last and b + start > first]] = 0.0
        for first, last, kind in example.spans:
            inside = [i for i, (a, b) in enumerate(found) if a + start < last and b + start > first]
            wanted[inside] = 1.0
            weights[inside] = example.weight * example.private
            kinds[inside] = _NUMBER.get(kind or "", -1)
        places = occurrence(piece, found, start == 0, len(text), common)
        yield Piece([piece[a:b] for a, b in found], head, places, wanted, kinds, weights)


class WordStore:
    """Features of words, computed once for each."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._rows: dict[str, int] = {}
        self._pieces: list[list[int]] = []
        self._plain: list[NDArray[np.float16]] = []
        self._cased: list[NDArray[np.float16]] = []
        self._shapes: list[NDArray[np.float32]] = []

    def tensors(self, words: Sequence[str]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What `TrainedNet.words` takes."""
        new = [word for word in dict.fromkeys(words) if word not in self._rows]
        if new:
            pieces, plain, cased, shapes = self._lexicon.features(new)
            self._rows.update((word, len(self._pieces) + number) for number, word in enumerate(new))
            self._pieces.extend(pieces)
            self._plain.extend(plain.astype(np.float16))
            self._cased.extend(cased.astype(np.float16))
            self._shapes.extend(shapes)
        rows = [self._rows[word] for word in words]
        ids = [self._pieces[row] for row in rows]
        starts = np.cumsum([0, *(len(of_word) for of_word in ids)])[:-1]
        return (
            torch.tensor([i for of_word in ids for i in of_word]),
            torch.from_numpy(starts.astype(np.int64)),
            torch.from_numpy(np.stack([self._plain[row] for row in rows]).astype(np.float32)),
            torch.from_numpy(np.stack([self._cased[row] for row in rows]).astype(np.float32)),
            torch.from_numpy(np.stack([self._shapes[row] for row in rows])),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Pieces side by side, filled up to the longest. `index`: (pieces, words) into `words`; `heads`: lists of rows."""

    words: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    index: Tensor
    heads: tuple[Tensor, Tensor]
    places: Tensor
    real: Tensor
    wanted: Tensor
    kinds: Tensor
    weights: Tensor


def batches(pieces: Sequence[Piece], store: WordStore, size: int, chance: np.random.Generator) -> Iterator[Batch]:
    """Batches of about `size` words, of pieces of like length, in any order."""
    order = sorted(range(len(pieces)), key=lambda number: len(pieces[number].words) * (0.8 + 0.4 * chance.random()))
    groups: list[list[Piece]] = [[]]
    longest = 0
    for number in order:
        longest = max(longest, len(pieces[number].words))
        if groups[-1] and longest * (len(groups[-1]) + 1) > size:
            groups.append([])
            longest = len(pieces[number].words)
        groups[-1].append(pieces[number])
    for at in chance.permutation(len(groups)):
        yield _batch(groups[at], store)


def _batch(group: Sequence[Piece], store: WordStore) -> Batch:
    longest = max(len(piece.words) for piece in group)
    words = list(dict.fromkeys(word for piece in group for word in (*piece.words, *piece.head)))
    row = {word: number for number, word in enumerate(words)}

    def filled(name: str, empty: float) -> Tensor:
        values = [getattr(piece, name) for piece in group]
        out = np.full((len(group), longest, *values[0].shape[1:]), empty, dtype=values[0].dtype)
        for line, value in zip(out, values, strict=True):
            line[: len(value)] = value
        return torch.from_numpy(out)

    index = torch.zeros((len(group), longest), dtype=torch.int64)
    real = torch.zeros((len(group), longest))
    for number, piece in enumerate(group):
        index[number, : len(piece.words)] = torch.tensor([row[word] for word in piece.words])
        real[number, : len(piece.words)] = 1.0
    heads = [[row[word] for word in piece.head] or [0] for piece in group]
    starts = np.cumsum([0, *(len(head) for head in heads)])[:-1]
    flat = torch.tensor([i for head in heads for i in head])
    return Batch(
        store.tensors(words), index, (flat, torch.from_numpy(starts)), filled("places", 0.0), real,
        filled("wanted", 0.0), filled("kinds", -1), filled("weights", 0.0),
    )  # fmt: skip


# --- The lists of public names that the tagger asks a word against.

_LARGE = 6_000
"""So many of the largest cities are a list of their own."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class PlaceGazetteer(NamedTuple):
    """Names of places: cities from the largest on, states and provinces, countries."""

    cities: list[str]
    states: list[str]
    countries: list[str]


def read_places() -> PlaceGazetteer:
    """GeoNames' places. Raises SettingsError when the data is missing."""
    sizes: Counter[str] = Counter()
    regions: set[str] = set()
    for town in towns():
        sizes[town.name] = max(sizes[town.name], town.people)
        regions.add(town.region)
    cities = [name for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))]
    return PlaceGazetteer(cities, sorted(regions - {""}), list(country_names().values()))


def lists(places: PlaceGazetteer, common: Iterable[str]) -> dict[str, list[str]]:
    """List name -> folded words of its names, as `netgpt.privacy.tagger.LISTS` names them. `common`: everyday words."""
    return {
        "cities": _words(places.cities[:_LARGE]),
        "towns": _words(places.cities),
        "regions": _words([*places.countries, *places.states, *pool()["nationalities"]]),
        "first": _words([*pool()["first"], *_half("first")]),
        "last": _words([*pool()["last"], *_half("last")]),
        "figures": _words([*figures(), *public_names()["eponyms"]]),
        "common": sorted(common),
    }


def _half(which: str) -> list[str]:
    """About half of the names of all languages: the network must know the others by how they look and stand."""
    names = {name for language in languages() for name in language.lists[which]}
    return sorted(name for name in names if zlib.crc32(name.encode()) % 2)


def _words(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(fold(word) for name in names for word in _WORD.findall(name) if len(word) > 2))


# --- Changes that keep an example's labels true: other names in place of its own, other case.

_SWAPPED = {"PERSON": 0.75, "PLACE": 0.5, "ORG": 0.5, None: 0.4}
_LOWER, _UPPER = 0.15, 0.05
_OWN = frozenset(("languages", "kinds", "interface", "programs", "definitions"))
"""Origins whose private words are drawn anew anyway."""


def changed(example: TaggedText, inventor: Inventor, chance: random.Random) -> TaggedText:
    """The example with some of its names replaced by others, and sometimes all in one case.

    The network then learns how private words stand and look, not which they were.
    """
    swapped = _swapped(example, inventor, chance)
    draw = chance.random() * (0.5 if example.origin == "kinds" and example.spans else 1.0)
    if draw < _LOWER:
        return _recased(swapped, swapped.text.lower())
    if draw < _LOWER + _UPPER:
        return _recased(swapped, swapped.text.upper())
    return swapped


def _recased(example: TaggedText, text: str) -> TaggedText:
    return replace(example, text=text) if len(text) == len(example.text) else example


def _swapped(example: TaggedText, inventor: Inventor, chance: random.Random) -> TaggedText:
    if example.origin in _OWN or (example.unsure and not example.spans):
        return example
    others: dict[str, str] = {}
    edits = []
    for start, end, kind in example.spans:
        value = example.text[start:end]
        if value.lower() not in others:
            others[value.lower()] = (
                _other(value, kind, inventor, chance) if chance.random() < _SWAPPED.get(kind, 0.0) else value
            )
        other = others[value.lower()]
        edits.append((start, end, kind, other.lower() if value.islower() else other))
    return _edited(example, edits)


def _other(value: str, kind: str | None, inventor: Inventor, chance: random.Random) -> str:
    parts = value.split()
    if kind is None:
        if len(parts) > 3 or not all(part.isalpha() and part[0].isupper() for part in parts):
            return value
        kind = chance.choice(("PERSON", "PERSON", "PLACE", "ORG"))
    if kind == "PERSON":
        return chance.choice((inventor.first, inventor.last))() if len(parts) == 1 else inventor.person()
    return inventor.city() if kind == "PLACE" else inventor.employer()


def _edited(example: TaggedText, edits: list[tuple[int, int, str | None, str]]) -> TaggedText:
    text, done = "", 0
    spans = []
    moves: list[tuple[int, int]] = []
    for start, end, kind, value in edits:
        if start < done:
            return example
        text += example.text[done:start]
        spans.append((len(text), len(text) + len(value), kind))
        text += value
        done = end
        moves.append((end, len(text) - end))
    text += example.text[done:]

    def moved(at: int) -> int:
        return at + next((by for edge, by in reversed(moves) if edge <= at), 0)

    unsure = tuple((moved(start), moved(end)) for start, end in example.unsure)
    return replace(example, text=text, spans=tuple(spans), unsure=unsure)
