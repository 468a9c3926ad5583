"""Small pictures and sounds with something written where programs write it: for audits and tests.

They are whole by their format's rules (lengths, checksums, order of parts) and show next to nothing.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

__all__ = ["MEDIA", "MEDIA_PLACES", "data_uri", "put_media", "texts_inside"]

_ENCODED = re.compile(r"[A-Za-z0-9+/_\-]{16,}")
_PLAIN_BASE64 = str.maketrans("-_", "+/")


def _png(told: bytes) -> bytes:
    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"".join((
        b"\x89PNG\r\n\x1a\n", part(b"IHDR", header), part(b"tEXt", b"Author\0" + told),
        part(b"iTXt", b"Title\0\0\0\0\0" + told), part(b"eXIf", _exif(told)), part(b"IDAT", zlib.compress(b"\0\0")),
        part(b"IEND", b""), told,
    ))  # fmt: skip


def _jpeg(told: bytes) -> bytes:
    def segment(marker: int, body: bytes) -> bytes:
        return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body

    codes = bytes((0, 1, *[0] * 15, 0))
    return b"".join((
        b"\xff\xd8", segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0" + told), segment(0xE1, b"Exif\0\0" + _exif(told)),
        segment(0xED, b"Photoshop 3.0\0" + told), segment(0xFE, told), segment(0xDB, b"\0" + bytes(range(1, 65))),
        segment(0xC0, b"\x08\0\1\0\1\1\1\x11\0"), segment(0xC4, codes), segment(0xDA, b"\1\1\0\0\x3f\0"),
        b"\x2a\xff\0\xff\xd0\x15", b"\xff\xd9", told,
    ))  # fmt: skip


def _gif(told: bytes) -> bytes:
    said = b"".join(bytes((len(told[i : i + 255]),)) + told[i : i + 255] for i in range(0, len(told), 255)) + b"\0"
    return b"".join((
        b"GIF89a\1\0\1\0\x80\0\0", b"\0\0\0\xff\xff\xff", b"\x21\xfe" + said, b"\x21\xff\x0bXMP DataXMP" + said,
        b"\x21\xf9\4\0\0\0\0\0", b"\x2c\0\0\0\0\1\0\1\0\0", b"\2\2\x44\1\0", b"\x3b", told,
    ))  # fmt: skip


def _webp(told: bytes) -> bytes:
    extended = bytes((0b00001100, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    parts = ((b"VP8X", extended), (b"VP8L", b"\x2f\0\0\0\0\x88\x88\x08"), (b"EXIF", _exif(told)), (b"XMP ", told))
    return _riff(b"WEBP", parts) + told


def _wav(told: bytes) -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    return _riff(b"WAVE", ((b"fmt ", form), (b"LIST", b"INFOIART" + told), (b"data", b"\x80" * 8)))


def _mp3(told: bytes) -> bytes:
    size = len(told)
    tag = b"ID3\3\0\0" + bytes((size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127)) + told
    return tag + b"\xff\xfb\x90\0" + b"\0" * 413 + b"TAG" + told[:125].ljust(125, b"\0")


def _riff(form: bytes, parts: tuple[tuple[bytes, bytes], ...]) -> bytes:
    body = form + b"".join(name + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for name, b in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _exif(told: bytes) -> bytes:
    """One ASCII field, "Artist", of a TIFF in little-endian order."""
    return b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x013B, 2, len(told) + 1, 26) + b"\0\0\0\0" + told + b"\0"


MEDIA: Final[Mapping[str, tuple[str, Callable[[bytes], bytes]]]] = {
    "png": ("image/png", _png),
    "jpeg": ("image/jpeg", _jpeg),
    "gif": ("image/gif", _gif),
    "webp": ("image/webp", _webp),
    "wav": ("audio/wav", _wav),
    "mp3": ("audio/mpeg", _mp3),
}
"""Format -> its media type, and what makes one that tells something."""


def data_uri(kind: str, told: str, parameter: str = "") -> str:
    """A picture or sound of this kind of MEDIA that tells `told`; `parameter` goes into the head of the URI."""
    media_type, make = MEDIA[kind]
    return f"data:{media_type}{parameter};base64,{base64.b64encode(make(told.encode())).decode()}"


MEDIA_PLACES: Final = (
    *(f"{kind}_metadata" for kind in MEDIA), "picture_parameter", "picture_name", "picture_in_text",
)  # fmt: skip
"""Where `put_media` can put a person's data."""


def put_media(message: dict[str, Any], place: str, told: str, name: str) -> None:
    """Give the message a picture or sound that carries `told` at one of MEDIA_PLACES; a file is called `name`."""
    asked = {"type": "text", "text": "What is this?"}
    kind = place.removesuffix("_metadata")
    if place == "picture_in_text":
        message["content"] = f"See ![it]({data_uri('png', told)}) and {data_uri('jpeg', told)} please."
    elif place == "picture_name":
        file = {"filename": f"{name}.png", "file_data": data_uri("png", told)}
        message["content"] = [asked, {"type": "file", "file": file}]
    elif place == "picture_parameter":
        word = re.sub(r"[^\w.=\-]", ".", name)[:50]
        picture = {"url": data_uri("gif", told, f";name={word}"), "detail": "low"}
        message["content"] = [asked, {"type": "image_url", "image_url": picture}]
    elif kind in ("wav", "mp3"):
        sound = {"data": data_uri(kind, told).partition(",")[2], "format": kind}
        message["content"] = [asked, {"type": "input_audio", "input_audio": sound}]
    else:
        message["content"] = [asked, {"type": "image_url", "image_url": {"url": data_uri(kind, told)}}]


def texts_inside(text: str) -> Iterator[str]:
    """What can be read in the encoded data of a text: as UTF-8, and as UTF-16 as some programs write it."""
    for run in _ENCODED.finditer(text):
        encoded = run[0].translate(_PLAIN_BASE64)
        data = base64.b64decode(encoded[: len(encoded) // 4 * 4])
        yield data.decode("utf-8", "ignore")
        yield data.decode("utf-16-le", "ignore")
