"""Invented people, and requests with their private data planted at every place: for audits and tests.

Everything is made from a seed. Numbers are valid where a checksum exists, and come from ranges set aside for fiction
where there are such. `leaks` says what of the planted is still in the bytes that would leave.
"""

from __future__ import annotations

import base64
import json
import random
import re
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import cycle
from typing import Any, Final

from netgpt.privacy.detectors.checksums import luhn

_FIRST = (
    "Ada", "Alan", "Amelia", "Chloe", "Fatima", "Grace", "Hannah", "Ingrid", "Katherine", "Kwame", "Liam", "Mateo",
    "Noor", "Omar", "Pedro", "Priya", "Sofia", "Viktor", "Wei", "Yuki",
)  # fmt: skip
_LAST = (
    "Alvarez", "Castellanos", "Dubois", "Garcia", "Haddad", "Hopper", "Johnson", "Lindqvist", "Lovelace", "Mensah",
    "Murphy", "Petrov", "Rahman", "Rossi", "Schneider", "Sharma", "Tanaka", "Thornton", "Whitfield", "Zhang",
)  # fmt: skip
_HOSTS = (
    "correo.es", "firma.internal", "inbox.example.org", "mail.example.com", "mill.example", "post.co.uk",
    "uni-koeln.de",
)  # fmt: skip
_STREETS = (
    "{n} Mill Road, Cambridge CB1 {d}AB",
    "{n}B Baker Street",
    "{n} rue de la Paix",
    "{n} Fifth Avenue, New York, NY 10118",
    "Hauptstraße {n}, 10115 Berlin",
    "Flat {d}, {n} Kings Parade",
    "{n} Elm St",
    "Via Roma {n}",
    "Calle Mayor {n}",
)
_PROFILE: Mapping[str, tuple[str, ...]] = {
    "DIET": ("gluten-free", "lacto-vegetarian", "strictly kosher", "pescatarian"),
    "ALLERGY": ("penicillin", "hazelnuts", "bee stings", "latex gloves"),
    "CAR": ("Fiat Panda 1987", "blue Skoda Octavia", "Peugeot 205 GTI"),
    "PET": ("Sir Barksalot", "Captain Whiskers", "Pebbles the tortoise"),
    "BUDGET": ("1437 pounds", "under 86.50 euros", "2,350 dollars"),
    "HEALTH": ("type 2 diabetes", "Ménière's disease", "atrial fibrillation"),
}


@dataclass(frozen=True, slots=True)
class PlantedPerson:
    """Someone who does not exist."""

    name: str
    email: str
    phone: str
    card: str
    iban: str
    address: str
    profile: tuple[tuple[str, str], ...]
    """(KIND, value) pairs, as the vault takes them."""

    def values(self) -> dict[str, list[str]]:
        """Kind -> values that must not leave; the kinds of the profile are all under PROFILE."""
        return {
            "EMAIL": [self.email],
            "PHONE": [self.phone],
            "CARD": [self.card],
            "IBAN": [self.iban],
            "ADDRESS": [self.address],
            "PERSON": [self.name],
            "PROFILE": [value for _, value in self.profile],
        }


class PersonMaker:
    """Makes people from a source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self._random = chance

    def person(self) -> PlantedPerson:
        pick = self._random
        first, last = pick.choice(_FIRST), pick.choice(_LAST)
        kinds = pick.sample(sorted(_PROFILE), 2)
        return PlantedPerson(
            name=f"{first} {last}",
            email=self._email(first, last),
            phone=self._phone(),
            card=self._card(),
            iban=self._iban(),
            address=pick.choice(_STREETS).format(n=pick.randint(2, 299), d=pick.randint(2, 9)),
            profile=tuple((kind, pick.choice(_PROFILE[kind])) for kind in kinds),
        )

    def _email(self, first: str, last: str) -> str:
        form = self._random.choice(("{f}.{l}", "{f}_{l}", "{i}{l}", "{l}+{f}", "{f}-{l}{n}"))
        local = form.format(f=first, l=last, i=first[0], n=self._random.randint(1, 99))
        local = self._random.choice((local.lower(), local, local.upper()))
        return f"{local}@{self._random.choice(_HOSTS)}"

    def _phone(self) -> str:
        form = self._random.choice(
            (
                "07700 900###", "07700900###", "+44 7700 900###", "+447700900###", "020 7946 0###", "(020) 7946 0###",
                "(212) 555-01##", "212-555-01##", "212.555.01##", "+1 212 555 01##", "21255501##",
                "+49 30 23125 ###", "030 23125###", "06 39 98 ## ##", "+33 6 39 98 ## ##", "+34 612 34# ###",
                "+91 98765 43###", "0044 20 7946 0###",
            )
        )  # fmt: skip
        return re.sub("#", lambda _: str(self._random.randint(0, 9)), form)

    def _card(self) -> str:
        forms = (("4", 16), ("52", 16), ("37", 15), ("6011", 16), ("4929", 16), ("3566", 16))
        prefix, length = self._random.choice(forms)
        body = prefix + "".join(str(self._random.randint(0, 9)) for _ in range(length - len(prefix) - 1))
        card = next(body + str(last) for last in range(10) if luhn(body + str(last)))
        mark = self._random.choice(("", " ", "-"))
        return mark.join(card[i : i + 4] for i in range(0, len(card), 4)) if len(card) == 16 else card

    def _iban(self) -> str:
        country, shape = self._random.choice(
            (("GB", "AAAA" + "0" * 14), ("DE", "0" * 18), ("FR", "0" * 23), ("NL", "AAAA" + "0" * 10), ("ES", "0" * 20))
        )
        account = "".join(
            self._random.choice("ABCDEFGHKLMNPRSTW") if c == "A" else str(self._random.randint(0, 9)) for c in shape
        )
        number = int("".join(str(int(c, 36)) for c in account + country + "00"))
        iban = f"{country}{98 - number % 97:02d}{account}"
        mark = self._random.choice(("", " "))
        return mark.join(iban[i : i + 4] for i in range(0, len(iban), 4))


# --- Small pictures and sounds with something written where programs write it. They are whole by their format's rules
# (lengths, checksums, order of parts) and show next to nothing.

_ENCODED = re.compile(r"[A-Za-z0-9+/_\-]{16,}")
_PLAIN_BASE64 = str.maketrans("-_", "+/")


def _png(note: bytes) -> bytes:
    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"".join((
        b"\x89PNG\r\n\x1a\n", part(b"IHDR", header), part(b"tEXt", b"Author\0" + note),
        part(b"iTXt", b"Title\0\0\0\0\0" + note), part(b"eXIf", _exif(note)), part(b"IDAT", zlib.compress(b"\0\0")),
        part(b"IEND", b""), note,
    ))  # fmt: skip


def _jpeg(note: bytes) -> bytes:
    def segment(marker: int, body: bytes) -> bytes:
        return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body

    codes = bytes((0, 1, *[0] * 15, 0))
    return b"".join((
        b"\xff\xd8", segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0" + note), segment(0xE1, b"Exif\0\0" + _exif(note)),
        segment(0xED, b"Photoshop 3.0\0" + note), segment(0xFE, note), segment(0xDB, b"\0" + bytes(range(1, 65))),
        segment(0xC0, b"\x08\0\1\0\1\1\1\x11\0"), segment(0xC4, codes), segment(0xDA, b"\1\1\0\0\x3f\0"),
        b"\x2a\xff\0\xff\xd0\x15", b"\xff\xd9", note,
    ))  # fmt: skip


def _gif(note: bytes) -> bytes:
    blocks = b"".join(bytes((len(note[i : i + 255]),)) + note[i : i + 255] for i in range(0, len(note), 255)) + b"\0"
    return b"".join((
        b"GIF89a\1\0\1\0\x80\0\0", b"\0\0\0\xff\xff\xff", b"\x21\xfe" + blocks, b"\x21\xff\x0bXMP DataXMP" + blocks,
        b"\x21\xf9\4\0\0\0\0\0", b"\x2c\0\0\0\0\1\0\1\0\0", b"\2\2\x44\1\0", b"\x3b", note,
    ))  # fmt: skip


def _webp(note: bytes) -> bytes:
    extended = bytes((0b00001100, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    parts = ((b"VP8X", extended), (b"VP8L", b"\x2f\0\0\0\0\x88\x88\x08"), (b"EXIF", _exif(note)), (b"XMP ", note))
    return _riff(b"WEBP", parts) + note


def _wav(note: bytes) -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    return _riff(b"WAVE", ((b"fmt ", form), (b"LIST", b"INFOIART" + note), (b"data", b"\x80" * 8)))


def _mp3(note: bytes) -> bytes:
    size = len(note)
    tag = b"ID3\3\0\0" + bytes((size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127)) + note
    return tag + b"\xff\xfb\x90\0" + b"\0" * 413 + b"TAG" + note[:125].ljust(125, b"\0")


def _riff(form: bytes, parts: tuple[tuple[bytes, bytes], ...]) -> bytes:
    body = form + b"".join(name + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for name, b in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _exif(note: bytes) -> bytes:
    """One ASCII field, "Artist", of a TIFF in little-endian order."""
    return b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x013B, 2, len(note) + 1, 26) + b"\0\0\0\0" + note + b"\0"


MEDIA: Final[Mapping[str, tuple[str, Callable[[bytes], bytes]]]] = {
    "png": ("image/png", _png),
    "jpeg": ("image/jpeg", _jpeg),
    "gif": ("image/gif", _gif),
    "webp": ("image/webp", _webp),
    "wav": ("audio/wav", _wav),
    "mp3": ("audio/mpeg", _mp3),
}
"""Format -> its media type, and what makes one with a note."""


def data_uri(kind: str, note: str, parameter: str = "") -> str:
    """A picture or sound of this kind of MEDIA with this `note`; `parameter` goes into the head of the URI."""
    media_type, make = MEDIA[kind]
    return f"data:{media_type}{parameter};base64,{base64.b64encode(make(note.encode())).decode()}"


MEDIA_PLACES: Final = (
    *(f"{kind}_metadata" for kind in MEDIA), "picture_parameter", "picture_name", "picture_in_text",
)  # fmt: skip
"""Where `put_media` can put a person's data."""


def put_media(message: dict[str, Any], place: str, note: str, name: str) -> None:
    """Give the message a picture or sound that carries `note` at one of MEDIA_PLACES; a file is called `name`."""
    asked = {"type": "text", "text": "What is this?"}
    kind = place.removesuffix("_metadata")
    if place == "picture_in_text":
        message["content"] = f"See ![it]({data_uri('png', note)}) and {data_uri('jpeg', note)} please."
    elif place == "picture_name":
        file = {"filename": f"{name}.png", "file_data": data_uri("png", note)}
        message["content"] = [asked, {"type": "file", "file": file}]
    elif place == "picture_parameter":
        word = re.sub(r"[^\w.=\-]", ".", name)[:50]
        picture = {"url": data_uri("gif", note, f";name={word}"), "detail": "low"}
        message["content"] = [asked, {"type": "image_url", "image_url": picture}]
    elif kind in ("wav", "mp3"):
        sound = {"data": data_uri(kind, note).partition(",")[2], "format": kind}
        message["content"] = [asked, {"type": "input_audio", "input_audio": sound}]
    else:
        message["content"] = [asked, {"type": "image_url", "image_url": {"url": data_uri(kind, note)}}]


def texts_inside(text: str) -> Iterator[str]:
    """What can be read in the encoded data of a text: as UTF-8, and as UTF-16 as some programs write it."""
    for run in _ENCODED.finditer(text):
        encoded = run[0].translate(_PLAIN_BASE64)
        data = base64.b64decode(encoded[: len(encoded) // 4 * 4])
        yield data.decode("utf-8", "ignore")
        yield data.decode("utf-16-le", "ignore")


# --- Requests with all of a person planted at one place.

PLACES = (
    "user", "history", "system", "tool_description", "tool_schema", "tool_result", "tool_result_json", "tool_arguments",
    "escaped_arguments", "numbers", "user_field", "metadata_value", "metadata_key", "file_name", "json_in_text",
    "code_fence", "split_parts", "zero_width", "full_width", "line_breaks", "upper_case", "unknown_field", "stop",
    "refusal", "json_keys", "tool_name", "schema_properties", "ids", "provider_fields", "reasoning", "script_known",
    "script_field", "script_prose", *MEDIA_PLACES,
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
        self._random = random.Random(seed)
        self._people = PersonMaker(self._random)
        self._scripts = {way: cycle(SCRIPTS) for way in _WAYS}

    def person(self) -> PlantedPerson:
        """A new person."""
        return self._people.person()

    def plant(self, person: PlantedPerson, place: str | None = None) -> Planted:
        """A chat body with all of `person` at one of PLACES (a random one when None)."""
        place = place or self._random.choice(PLACES)
        values = person.values()
        body = _base(stream=self._random.random() < 0.5)
        if place in _WAYS:
            values, name = _put_in_script(body, place, next(self._scripts[place]))
            return Planted(body, values, (("NAME", name),) if place == "script_known" else (), place)
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


def _prose(values: Mapping[str, list[str]]) -> str:
    """All values in prose, beside punctuation."""
    parts = {
        "PERSON": "My name is {}.",
        "EMAIL": 'Write to "{}"; thanks,',
        "PHONE": "or ring {}!",
        "CARD": "The card ({}) is new,",
        "IBAN": "the account is {}.",
        "ADDRESS": "I live at {}.",
    }
    sentences = [form.format(values[kind][0]) for kind, form in parts.items()]
    return " ".join([*sentences, *(f"Keep in mind: {value}." for value in values["PROFILE"])])


def _call(arguments: str) -> dict[str, Any]:
    call = {"id": "call_a1", "type": "function", "function": {"name": "book", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _put(body: dict[str, Any], place: str, person: PlantedPerson, values: dict[str, list[str]]) -> None:
    messages, prose = body["messages"], _prose(values)
    record = {
        "name": person.name,
        **{k.lower(): v[0] for k, v in values.items() if k != "PERSON"},
        "notes": values["PROFILE"],
    }
    if place in ("user", "system"):
        messages[0 if place == "system" else 1]["content"] += " " + prose
    elif place == "history":
        messages[1:1] = [{"role": "user", "content": prose}, {"role": "assistant", "content": f"I see:\n- {prose}"}]
    elif place in _TEXT_FORMS:
        messages[1]["content"] = _TEXT_FORMS[place](prose, record)
    elif place == "split_parts":
        cut = prose.index("@")
        texts = [prose[:cut], prose[cut:]]
        messages[1]["content"] = [{"type": "text", "text": text} for text in texts]
    elif place.startswith("tool_result") or place.endswith("arguments") or place == "numbers":
        _put_in_tools(messages, place, prose, record, values)
    elif place in MEDIA_PLACES:
        put_media(messages[1], place, prose, f"{person.name} {person.email} {person.phone}")
    elif place in _WIRE_PLACES:
        _put_in_the_wire(body, place, prose, person, values)
    else:
        _put_elsewhere(body, place, prose, person, values)


_TEXT_FORMS: Mapping[str, Any] = {
    "json_in_text": lambda prose, record: "Given " + json.dumps(record) + " what now?",
    "code_fence": lambda prose, record: f"```python\n# {prose}\nrecord = {record!r}\n```",
    "zero_width": lambda prose, record: "".join(c + ("\u200b" if i % 5 == 4 else "") for i, c in enumerate(prose)),
    "full_width": lambda prose, record: "".join(chr(ord(c) + 0xFEE0) if c.isdigit() or c == "@" else c for c in prose),
    "line_breaks": lambda prose, record: prose.replace(" ", "\n"),
    "upper_case": lambda prose, record: prose.upper(),
}


def _put_in_tools(
    messages: list[Any], place: str, prose: str, record: dict[str, Any], values: dict[str, list[str]]
) -> None:
    arguments = json.dumps(record if place == "tool_arguments" else {"a": 1})
    result = json.dumps([record]) if place == "tool_result_json" else prose if place == "tool_result" else "done"
    if place == "escaped_arguments":
        escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in prose)
        arguments = '{"text": "' + escaped + '"}'
    if place == "numbers":
        digits = {kind: re.sub(r"\D", "", values[kind][0]).lstrip("0") for kind in ("CARD", "PHONE")}
        arguments = json.dumps({"value": int(digits["CARD"]), "phone": int(digits["PHONE"])})
        values.clear()
        values.update({kind: [number] for kind, number in digits.items()})
    messages += [_call(arguments), {"role": "tool", "tool_call_id": "call_a1", "content": result}]


def _put_elsewhere(
    body: dict[str, Any], place: str, prose: str, person: PlantedPerson, values: dict[str, list[str]]
) -> None:
    function: dict[str, Any] = {"name": "book", "description": "Book.", "parameters": {"type": "object"}}
    if place == "tool_description":
        function["description"] = prose
    elif place == "tool_schema":
        listed = [value for of_kind in values.values() for value in of_kind]
        function["parameters"] = {"type": "object", "properties": {person.email: {"type": "string", "enum": listed}}}
    if place.startswith("tool_"):
        body["tools"] = [{"type": "function", "function": function}]
    elif place == "user_field":
        body["user"] = f"{person.email} {person.phone}"
    elif place == "metadata_value":
        body["metadata"] = {"note": prose, "card": person.card}
    elif place == "metadata_key":
        body["metadata"] = {person.email: "1", person.phone: "2", person.card: "3", values["PROFILE"][0]: "4"}
    elif place == "file_name":
        name = f"{person.name} {person.email} {values['PROFILE'][0]}.png"
        part = {"type": "file", "file": {"filename": name, "file_data": data_uri("png", prose)}}
        body["messages"][1]["content"] = [{"type": "text", "text": "Read this."}, part]
    elif place == "unknown_field":
        body["vendor_extension"] = {"deep": [{"er": prose}]}
    elif place == "stop":
        body["stop"] = [person.email, values["PROFILE"][0]]
    elif place == "refusal":
        body["messages"].insert(1, {"role": "assistant", "content": "", "refusal": prose, "reasoning_content": prose})


_WIRE_PLACES: Final = frozenset(("json_keys", "tool_name", "schema_properties", "ids", "provider_fields", "reasoning"))
_TOOL_KEY = "sk-proj-{:08d}Ab12Cd34Ef56Gh78"


def _put_in_the_wire(
    body: dict[str, Any], place: str, prose: str, person: PlantedPerson, values: dict[str, list[str]]
) -> None:
    """Where a protocol has names of its own: keys, names of tools and properties, ids, options of providers."""
    listed = [value for of_kind in values.values() for value in of_kind]
    messages, key = body["messages"], _TOOL_KEY.format(zlib.crc32(person.email.encode()) % 10**8)
    if place == "json_keys":
        messages[1]["content"] += f" My colleague is {person.name}."
        rows = {value: {"pay": number} for number, value in enumerate(listed)}
        result = {"role": "tool", "tool_call_id": "call_a1", "content": json.dumps({"rows": rows})}
        messages += [_call(json.dumps({"of": dict.fromkeys(listed, 1)})), result]
    elif place == "tool_name":
        messages[1]["content"] += f" My colleague is {person.name}."
        told = [re.sub(r"\W+", "_", value) for value in (person.name, *values["PROFILE"])]
        body["tools"] = [{"type": "function", "function": {"name": f"ask_{name}", "parameters": {}}} for name in told]
        body["tool_choice"] = {"type": "function", "function": {"name": f"ask_{told[0]}"}}
        for kind in set(values) - {"PERSON", "PROFILE"}:
            del values[kind]
    elif place == "schema_properties":
        messages[1]["content"] += f" My colleague is {person.name}."
        fields: dict[str, Any] = {value: {"type": "string"} for value in listed}
        schema = {"type": "object", "properties": fields, "required": listed, "$defs": {person.name: {"const": listed}}}
        body["tools"] = [{"type": "function", "function": {"name": "book", "parameters": schema}}]
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "out", "schema": schema}}
    elif place == "ids":
        del values["PERSON"], values["ADDRESS"]
        values["API_KEY"] = [key]
        ids = ["call_Xk29dkW0qMsd82jdLLmWq02d", *(value for of_kind in values.values() for value in of_kind)]
        calls = [_call("{}")["tool_calls"][0] | {"id": id} for id in ids]
        messages += [{"role": "assistant", "content": None, "tool_calls": calls}]
        messages += [{"role": "tool", "tool_call_id": id, "content": "done"} for id in ids]
    elif place == "provider_fields":
        body["provider"] = {"order": ["Anthropic", person.name, person.email], "data_collection": "deny", "sort": prose}
        body["plugins"] = [{"id": person.email, "search_prompt": prose}]
        body["web_search_options"] = {"user_location": {"type": "approximate", "approximate": {"city": person.address}}}
        body["models"], body["cache_salt"], body["prompt_cache_key"] = [person.email], person.iban, person.email
        body["extra_body"] = {"google": {"cached_content": prose, "safety_settings": [{"category": prose}]}}
    else:
        values["API_KEY"] = [key]
        thought = {"type": "reasoning.text", "text": prose, "signature": key, "format": person.email, "index": 0}
        messages.insert(1, {"role": "assistant", "content": "", "reasoning_details": [thought], "reasoning": prose})


SCRIPTS: Final[Mapping[str, tuple[str, str, tuple[str, str, str]]]] = {
    "Arabic": ("اسم", "كتب لي {} أمس.", ("محمد الأحمد", "فاطمة الزهراني", "خالد المنصوري")),
    "Armenian": ("անուն", "{} գրեց ինձ երեկ։", ("Արամ Պետրոսյան", "Անի Հակոբյան", "Տիգրան Սարգսյան")),
    "Bengali": ("নাম", "{} গতকাল আমাকে লিখেছেন।", ("রহিম উদ্দিন", "সুমিত্রা চ্যাটার্জি", "অনির্বাণ দাশগুপ্ত")),
    "Chinese": ("姓名", "昨天{}给我写了信。", ("王小明", "欧阳美玲", "陈志强")),
    "Cyrillic": ("имя", "Вчера мне написала {}.", ("Анна Кузнецова", "Игорь Мельниченко", "Людмила Воронцова")),
    "Devanagari": ("नाम", "{} ने कल मुझे लिखा।", ("राजेश कुमार", "सुनीता शर्मा", "विक्रम चौधरी")),
    "Georgian": ("სახელი", "{} გუშინ მომწერა.", ("გიორგი მაისურაძე", "ნინო ბერიძე", "დავით კაპანაძე")),
    "Greek": ("όνομα", "Χθες μου έγραψε ο {}.", ("Γιώργος Παπαδόπουλος", "Ελένη Καραγιάννη", "Νίκος Δημητρίου")),
    "Hebrew": ("שם", "אתמול כתב לי {}.", ("רות כהן", "אבי לוינסון", "יעל בן דוד")),
    "Japanese": ("氏名", "昨日{}さんから手紙が来ました。", ("田中花子", "佐々木健太", "山口美咲")),
    "Korean": ("성명", "어제 {} 씨가 편지를 보냈어요.", ("김민준", "박서연", "이도현")),
    "Thai": ("ชื่อ", "เมื่อวานคุณ{}เขียนถึงฉัน", ("สมชาย ใจดี", "วิภา ศรีสุข", "ธนากร พงษ์พานิช")),
}
"""Script -> what a field for names is called, a sentence, and three invented names: one for each way of planting."""
_WAYS: Final = ("script_known", "script_field", "script_prose")


def _put_in_script(body: dict[str, Any], place: str, script: str) -> tuple[dict[str, list[str]], str]:
    """Plant one name; returns it under the kind of its way, and the name itself."""
    label, sentence, names = SCRIPTS[script]
    name, said = names[_WAYS.index(place)], sentence.format(names[_WAYS.index(place)])
    message = body["messages"][1]
    if place == "script_field":
        message["content"] = json.dumps({"rows": [{label: name, "status": "ok"}]}, ensure_ascii=False)
        body["messages"].append({"role": "user", "content": said})
    else:
        message["content"] += " " + said
    if place == "script_known":
        body["metadata"] = {name: "1", "about": name}
    return {place.upper(): [name]}, name


def leaks(content: bytes, values: Mapping[str, list[str]]) -> dict[str, int]:
    """How many planted values of each kind can be read in `content`.

    As they are, unescaped, in other case, spacing or digits, and in encoded data (pictures, files).
    """
    texts = [content.decode("utf-8"), *_strings(json.loads(content))]
    texts += [inside for text in texts for inside in texts_inside(text)]
    plain = "\0".join(_folded(text) for text in texts)
    counts = {kind: sum(_folded(value) in plain for value in of_kind) for kind, of_kind in values.items()}
    return {kind: count for kind, count in counts.items() if count}


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


# --- Texts made to slow a search down. Each repeats the beginning of some form and never ends it: a pattern that reads
# on from every beginning needs the square of the length. They hold nothing private.

PATHOLOGICAL: Final[Mapping[str, str]] = {
    "signs": "@",
    "half an e-mail": "a.a@a.",
    "spelled e-mails": "a [at] ",
    "digits": "7",
    "spaced digits": "7 ",
    "cards, nearly": "4111 1111 1111 1111 ",
    "dates": "1980-01-02 ",
    "sums": "+4",
    "account numbers, nearly": "GB82 WEST 1234 ",
    "wallets, nearly": "aB3dE5gH",
    "machines": "1.1.1.1.",
    "colons": "ff:",
    "social security numbers": "078-05-1120 ",
    "ids of things": "12345678-1234-1234-1234-123456789012 ",
    "announced ids": "passport 1",
    "doors": "Flat 1 ",
    "streets without a number": "Via Ada ",
    "numbers without a street": "12 Ada Bo ",
    "greetings": "Dear Ada Bo ",
    "one field without an end": '"name":"',
    "quotes": '"',
    "apostrophes": "'",
    "brackets": "[({<",
    "nested JSON": '{"a":[',
    "backslashes": "\\",
    "escapes": "\\u0040",
    "percent signs": "%40",
    "entities": "&#64;",
    "keys that begin": "-----BEGIN PRIVATE KEY-----",
    "assignments": "access_key_",
    "passwords": "password ",
    "tokens": "eyJaaaaaaaa.",
    "addresses in addresses": "a://a",
    "parameters": "https://a?a=b&",
    "data URIs": "data:a;base64,",
    "parameters of data": "data:a;a=b;a=b",
    "without spaces": "abcdefghij",
    "capitals": "A",
    "blanks": " ",
    "lines": "\n",
    "columns": "1\t",
    "zero width": "a\u200b",
    "nothing but zero width": "\u200b",
    "marks that combine": "\u0301",
    "full width": "１＠Ａ",
    "ideographs": "東京都",
    "joined emoji": "\U0001f469\u200d",
}
"""Name -> what is repeated."""


def pathological(name: str, characters: int) -> str:
    """The text of this name of PATHOLOGICAL with so many characters."""
    unit = PATHOLOGICAL[name]
    return (unit * (characters // len(unit) + 1))[:characters]


def pathological_texts(characters: int) -> Iterator[tuple[str, str]]:
    """(name, text) of every one of PATHOLOGICAL, so many characters each."""
    for name in PATHOLOGICAL:
        yield name, pathological(name, characters)
