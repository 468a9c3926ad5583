"""Invented people, and requests with their private data planted at every place: for audits and tests.

Everything is made from a seed. Numbers are valid where a checksum exists, and come from ranges set aside for fiction
where there are such. `leaks` says what of the planted is still in the bytes that would leave.
"""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from netgpt.privacy.people import PersonMaker, PlantedPerson
from netgpt.privacy.planting_media import MEDIA_PLACES, put_media, texts_inside

__all__ = ["PLACES", "Planted", "PlantedPerson", "Planter", "leaks"]

PLACES = (
    "user", "history", "system", "tool_description", "tool_schema", "tool_result", "tool_result_json", "tool_arguments",
    "escaped_arguments", "numbers", "user_field", "metadata_value", "metadata_key", "file_name", "json_in_text",
    "code_fence", "split_parts", "zero_width", "full_width", "line_breaks", "upper_case", "unknown_field", "stop",
    "refusal", *MEDIA_PLACES,
)  # fmt: skip
"""Where `plant` can put a person's data."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A request body with what was planted in it."""

    body: dict[str, Any] = field(repr=False)
    values: dict[str, list[str]] = field(repr=False)
    profile: tuple[tuple[str, str], ...] = field(repr=False)
    place: str = ""
    media: str = "keep"
    """The media policy under which this body may leave."""


class Planter:
    """Makes people and requests from a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - invented data, not secrets
        self._people = PersonMaker(self._random)

    def person(self) -> PlantedPerson:
        """A new person."""
        return self._people.person()

    def plant(self, person: PlantedPerson, place: str | None = None) -> Planted:
        """A chat body with all of `person` at one of PLACES (a random one when None)."""
        place = place or self._random.choice(PLACES)
        values = person.values()
        body = _base(stream=self._random.random() < 0.5)
        _put(body, place, person, values)
        needs_media = place == "file_name" or place in MEDIA_PLACES
        return Planted(body, values, person.profile, place, "send" if needs_media else "keep")

    def requests(self, count: int) -> Iterator[Planted]:
        """`count` requests, every place in turn, a new person each."""
        for number in range(count):
            yield self.plant(self.person(), PLACES[number % len(PLACES)])


def _base(stream: bool) -> dict[str, Any]:
    return {
        "model": "some-model",
        "stream": stream,
        "temperature": 0.2,
        "messages": [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": "Please help me with the following."},
        ],
    }


def _told(values: Mapping[str, list[str]]) -> str:
    """All values in prose, beside punctuation."""
    parts = {
        "PERSON": "My name is {}.",
        "EMAIL": 'Write to "{}"; thanks,',
        "PHONE": "or ring {}!",
        "CARD": "The card ({}) is new,",
        "IBAN": "the account is {}.",
        "ADDRESS": "I live at {}.",
    }
    said = [form.format(values[kind][0]) for kind, form in parts.items()]
    return " ".join([*said, *(f"Keep in mind: {value}." for value in values["PROFILE"])])


def _call(arguments: str) -> dict[str, Any]:
    call = {"id": "call_a1", "type": "function", "function": {"name": "book", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _put(body: dict[str, Any], place: str, person: PlantedPerson, values: dict[str, list[str]]) -> None:
    messages, told = body["messages"], _told(values)
    record = {
        "name": person.name,
        **{k.lower(): v[0] for k, v in values.items() if k != "PERSON"},
        "notes": values["PROFILE"],
    }
    if place in ("user", "system"):
        messages[0 if place == "system" else 1]["content"] += " " + told
    elif place == "history":
        messages[1:1] = [{"role": "user", "content": told}, {"role": "assistant", "content": f"I see:\n- {told}"}]
    elif place in _TEXT_FORMS:
        messages[1]["content"] = _TEXT_FORMS[place](told, record)
    elif place == "split_parts":
        cut = told.index("@")
        texts = [told[:cut], told[cut:]]
        messages[1]["content"] = [{"type": "text", "text": text} for text in texts]
    elif place.startswith("tool_result") or place.endswith("arguments") or place == "numbers":
        _put_in_tools(messages, place, told, record, values)
    elif place in MEDIA_PLACES:
        put_media(messages[1], place, told, f"{person.name} {person.email} {person.phone}")
    else:
        _put_elsewhere(body, place, told, person, values)


_TEXT_FORMS: Mapping[str, Any] = {
    "json_in_text": lambda told, record: "Given " + json.dumps(record) + " what now?",
    "code_fence": lambda told, record: f"```python\n# {told}\nrecord = {record!r}\n```",
    "zero_width": lambda told, record: "".join(c + ("\u200b" if i % 5 == 4 else "") for i, c in enumerate(told)),
    "full_width": lambda told, record: "".join(chr(ord(c) + 0xFEE0) if c.isdigit() or c == "@" else c for c in told),
    "line_breaks": lambda told, record: told.replace(" ", "\n"),
    "upper_case": lambda told, record: told.upper(),
}


def _put_in_tools(
    messages: list[Any], place: str, told: str, record: dict[str, Any], values: dict[str, list[str]]
) -> None:
    arguments = json.dumps(record if place == "tool_arguments" else {"a": 1})
    result = json.dumps([record]) if place == "tool_result_json" else told if place == "tool_result" else "done"
    if place == "escaped_arguments":
        escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in told)
        arguments = '{"text": "' + escaped + '"}'
    if place == "numbers":
        digits = {kind: re.sub(r"\D", "", values[kind][0]).lstrip("0") for kind in ("CARD", "PHONE")}
        arguments = json.dumps({"value": int(digits["CARD"]), "phone": int(digits["PHONE"])})
        values.clear()
        values.update({kind: [number] for kind, number in digits.items()})
    messages += [_call(arguments), {"role": "tool", "tool_call_id": "call_a1", "content": result}]


def _put_elsewhere(
    body: dict[str, Any], place: str, told: str, person: PlantedPerson, values: dict[str, list[str]]
) -> None:
    function: dict[str, Any] = {"name": "book", "description": "Book.", "parameters": {"type": "object"}}
    if place == "tool_description":
        function["description"] = told
    elif place == "tool_schema":
        listed = [value for of_kind in values.values() for value in of_kind]
        function["parameters"] = {"type": "object", "properties": {person.email: {"type": "string", "enum": listed}}}
    if place.startswith("tool_"):
        body["tools"] = [{"type": "function", "function": function}]
    elif place == "user_field":
        body["user"] = f"{person.email} {person.phone}"
    elif place == "metadata_value":
        body["metadata"] = {"note": told, "card": person.card}
    elif place == "metadata_key":
        body["metadata"] = {person.email: "1", person.phone: "2", person.card: "3", values["PROFILE"][0]: "4"}
    elif place == "file_name":
        name = f"{person.name} {person.email} {values['PROFILE'][0]}.pdf"
        part = {"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}}
        body["messages"][1]["content"] = [{"type": "text", "text": "Read this."}, part]
    elif place == "unknown_field":
        body["vendor_extension"] = {"deep": [{"er": told}]}
    elif place == "stop":
        body["stop"] = [person.email, values["PROFILE"][0]]
    elif place == "refusal":
        body["messages"].insert(1, {"role": "assistant", "content": "", "refusal": told, "reasoning_content": told})


def leaks(content: bytes, values: Mapping[str, list[str]]) -> dict[str, int]:
    """Kind -> planted values readable in `content`: as they are, unescaped, in other case, spacing or digits, and in
    encoded data (pictures, files)."""
    texts = [content.decode("utf-8"), *_strings(json.loads(content))]
    texts += [inside for text in texts for inside in texts_inside(text)]
    plain = "\0".join(_folded(text) for text in texts)
    found: dict[str, int] = {}
    for kind, of_kind in values.items():
        count = sum(1 for value in of_kind if _folded(value) in plain)
        if count:
            found[kind] = count
    return found


def _strings(value: Any) -> Iterator[str]:
    """Every string, key and number, and those inside strings that hold JSON."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
        # a value spread over several fields is one that a reader can join
        yield " ".join(item for item in value.values() if isinstance(item, str))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
        yield "".join(i["text"] for i in value if isinstance(i, dict) and isinstance(i.get("text"), str))
    elif isinstance(value, str):
        yield value
        try:
            opened = json.loads(value)
        except (ValueError, RecursionError):
            return
        if not isinstance(opened, str):
            yield from _strings(opened)
    elif value is not None:
        yield json.dumps(value)


@lru_cache(maxsize=50_000)  # an audit holds the same values against every body
def _folded(text: str) -> str:
    shown = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return re.sub(r"[\s\-_().]", "", shown.casefold())
