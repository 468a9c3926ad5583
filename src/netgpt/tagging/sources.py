"""Examples out of the public data sets of a folder, each with what its labels do and do not say."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from netgpt.tagging.invented import TaggedText

__all__ = ["FILES", "LICENCES", "pupa_units", "read_prompts", "read_pupa", "read_synth", "read_wnut", "rows"]

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


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def pupa_units(row: Mapping[str, Any]) -> list[str]:
    """The private units of a row of PUPA, in small letters."""
    units = row["pii_units"]
    return [str(unit).lower() for unit in (ast.literal_eval(units) if isinstance(units, str) else units) if unit]


def read_pupa(folder: Path) -> list[TaggedText]:
    """PUPA's queries: every whole-word place of a unit is private; units that stand nowhere as words are left out."""
    return [
        TaggedText(row["user_query"], tuple(_places_of(row["user_query"], pupa_units(row))), "pupa")
        for row in rows(folder / FILES["pupa"])
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
        for row in rows(folder / FILES["synth"])
    ]


def read_wnut(folder: Path) -> list[TaggedText]:
    """WNUT17: names only; numbers, handles and addresses are not judged."""
    examples = []
    for row in rows(folder / FILES["wnut"]):
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
    return [
        TaggedText(example.text, (), "plain") if example.text in plain else example
        for example in _prompts(folder, suspect)
    ]


def _prompts(folder: Path, suspect: Callable[[str], bool]) -> list[TaggedText]:
    examples = []
    for row in rows(folder / FILES["clinc"]):
        unsure = tuple(m.span() for m in _LETTERS.finditer(row["text"]) if suspect(m[0]))
        examples.append(TaggedText(row["text"], (), "everyday", unsure))
    for row in rows(folder / FILES["slurp"]):
        wanted = [(e["text"], _SLURP[e["type"]]) for e in row["entities"] if _SLURP.get(e["type"])]
        examples.append(_marked(row["text"], wanted, "slurp"))
    for row in rows(folder / FILES["snips"]):
        spans = tuple((s["start"], s["end"], _SNIPS[s["slot"]]) for s in row["slots"] if s["slot"] in _SNIPS)
        unsure = tuple((s["start"], s["end"]) for s in row["slots"] if s["slot"] in _TITLES)
        examples.append(TaggedText(row["text"], spans, "snips", unsure, 0.5))
    for name in ("user", "seed"):
        for row in rows(folder / FILES[name]):
            unsure = tuple(m.span() for m in _CAPITAL.finditer(row["instruction"]))
            examples.append(TaggedText(row["instruction"], (), "instruct", unsure))
    return examples


def _marked(text: str, wanted: list[tuple[str, str | None]], origin: str) -> TaggedText:
    spans: list[tuple[int, int, str | None]] = []
    for value, kind in wanted:
        at = text.find(value)
        if at >= 0:
            spans.append((at, at + len(value), kind))
    return TaggedText(text, tuple(sorted(spans)), origin)
