"""Removes metadata from encoded pictures and sounds: camera, place, author, comments, anything after the end.

Only the parts that a decoder needs are kept. Formats: JPEG (ITU-T T.81), PNG (W3C, third edition), GIF 89a, WebP (RFC
9649), WAVE (RIFF), MPEG audio with ID3. Other pictures and sounds do not leave. Documents (PDF, text, archives) are
sent whole when the settings allow media at all: their metadata cannot be separated from their content.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from netgpt.errors import NotDisclosable


class Broken(ValueError):
    """The bytes do not have the format that their beginning names."""


_PNG_KEPT: Final = frozenset(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB sBIT bKGD acTL fcTL fdAT".split())
_WEBP_KEPT: Final = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH"))
_FRAME_KEPT: Final = frozenset((b"VP8 ", b"VP8L", b"ALPH"))
_WAVE_KEPT: Final = frozenset((b"fmt ", b"data", b"fact"))
_ANIMATION: Final = frozenset((b"NETSCAPE2.0", b"ANIMEXTS1.0"))
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"


def _jpeg(data: bytes) -> bytes:
    """Keeps tables, frames and scans; of the application segments JFIF without its thumbnail and Adobe's transform."""
    kept, at = [_SOI], 2
    while True:
        at = _marker(data, at)
        marker = data[at]
        if marker == 0xD9:
            return b"".join([*kept, _EOI])
        size = _number(data, at + 1, 2, ">H")
        segment = data[at + 3 : at + 1 + size]
        if size < 2 or len(segment) != size - 2:
            raise Broken
        at += 1 + size
        kept.append(_jpeg_segment(marker, segment))
        if marker == 0xDA:
            end = _end_of_scan(data, at)
            kept.append(data[at:end])
            at = end


def _marker(data: bytes, at: int) -> int:
    """The index of the byte that names the next segment. Raises IndexError at the end of the data."""
    if data[at] != 0xFF:
        raise Broken
    while data[at] == 0xFF:
        at += 1
    return at


def _jpeg_segment(marker: int, segment: bytes) -> bytes:
    if marker == 0xE0:
        if not segment.startswith(b"JFIF\0"):
            return b""
        segment = segment[:12].ljust(12, b"\0") + b"\0\0"  # without the thumbnail
    elif marker == 0xEE:
        if not segment.startswith(b"Adobe"):
            return b""
        segment = segment[:12]
    elif 0xE0 <= marker <= 0xEF or marker == 0xFE:
        return b""
    elif not (0xC0 <= marker <= 0xCF or marker in (0xDA, 0xDB, 0xDD, 0xDE)):
        raise Broken
    return bytes((0xFF, marker)) + struct.pack(">H", len(segment) + 2) + segment


def _end_of_scan(data: bytes, at: int) -> int:
    """Where coded data ends: at a marker that is neither a stuffed byte nor a restart."""
    while True:
        at = data.index(b"\xff", at)
        if data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7:
            at += 2
        elif data[at + 1] == 0xFF:
            at += 1
        else:
            return at


def _png(data: bytes) -> bytes:
    kept, at = [data[:8]], 8
    while True:
        size, name = _number(data, at, 4, ">I"), data[at + 4 : at + 8]
        end = at + 12 + size
        if end > len(data):
            raise Broken
        if name in _PNG_KEPT:
            kept.append(data[at:end])
        elif name[:1].isupper():
            raise Broken  # a critical chunk that is not known here
        at = end
        if name == b"IEND":
            return b"".join(kept)


def _gif(data: bytes) -> bytes:
    at = 13 + _colours(data, 10)
    kept = [data[:at]]
    while True:
        start, kind = at, data[at]
        if kind == 0x3B:
            return b"".join([*kept, b"\x3b"])
        if kind == 0x2C:
            at = _end_of_blocks(data, at + 10 + _colours(data, at + 9) + 1)
        elif kind == 0x21:
            at = _end_of_blocks(data, at + 2)
            if not _is_for_drawing(data, start):
                continue
        else:
            raise Broken
        kept.append(data[start:at])


def _is_for_drawing(data: bytes, start: int) -> bool:
    """Whether it is a graphic control or the loop of an animation, not a comment, text or application data."""
    label = data[start + 1]
    return label == 0xF9 or (label == 0xFF and data[start + 3 : start + 14] in _ANIMATION and data[start + 14] == 3)


def _colours(data: bytes, at: int) -> int:
    """Size in bytes of the colour table that the flags at `at` announce."""
    flags = _number(data, at, 1, "B")
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _end_of_blocks(data: bytes, at: int) -> int:
    while size := _number(data, at, 1, "B"):
        at += 1 + size
    return at + 1


def _webp(data: bytes) -> bytes:
    parts = []
    for name, body in _chunks(data, 12, min(len(data), 8 + _number(data, 4, 4, "<I"))):
        if name not in _WEBP_KEPT:
            continue
        if name == b"VP8X":
            body = bytes((body[0] & 0b00010010,)) + body[1:]  # animation and transparency; no profile, EXIF or XMP
        elif name == b"ANMF":
            body = body[:16] + b"".join(_chunk(n, b) for n, b in _chunks(body, 16, len(body)) if n in _FRAME_KEPT)
        parts.append(_chunk(name, body))
    return _riff(b"WEBP", parts)


def _wave(data: bytes) -> bytes:
    chunks = _chunks(data, 12, min(len(data), 8 + _number(data, 4, 4, "<I")))
    return _riff(b"WAVE", [_chunk(name, body) for name, body in chunks if name in _WAVE_KEPT])


def _riff(form: bytes, parts: list[bytes]) -> bytes:
    if not parts:
        raise Broken
    body = form + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 8 <= end:
        size = _number(data, at + 4, 4, "<I")
        body = data[at + 8 : at + 8 + size]
        if len(body) != size or not body:
            raise Broken
        yield data[at : at + 4], body
        at += 8 + size + size % 2


def _mp3(data: bytes) -> bytes:
    """The frames, without the ID3 tags before and after them."""
    at = 0
    while data[at : at + 3] == b"ID3":
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if _number(data, at + 5, 1, "B") & 0x10 else 0)
    end = len(data) - 128 if data[-128:-125] == b"TAG" else len(data)
    frames = data[at:end]
    if frames[:1] != b"\xff" or b"APETAGEX" in frames or b"LYRICSBEGIN" in frames:
        raise Broken
    return frames


def _number(data: bytes, at: int, size: int, form: str) -> int:
    try:
        return int(struct.unpack(form, data[at : at + size])[0])
    except struct.error:
        raise Broken from None


FORMATS: Final[tuple[tuple[bytes, bytes, Callable[[bytes], bytes]], ...]] = (
    (_SOI + b"\xff", b"", _jpeg),
    (b"\x89PNG\r\n\x1a\n", b"", _png),
    (b"GIF8", b"", _gif),
    (b"RIFF", b"WEBP", _webp),
    (b"RIFF", b"WAVE", _wave),
    (b"ID3", b"", _mp3),
    (b"\xff\xfb", b"", _mp3),
    (b"\xff\xf3", b"", _mp3),
    (b"\xff\xf2", b"", _mp3),
)
"""(first bytes, bytes from the ninth on, what removes the metadata)."""

UNKNOWN_INSIDE: Final = (
    b"fLaC", b"OggS", b"II*\0", b"MM\0*", b"RIFF", b"<svg", b"<?xml", b"\x1a\x45\xdf\xa3", b"8BPS", b"APETAGEX",
    b"RF64", b"FORM", b".snd", b"caff", b"#!AMR", b"\xff\x0a", b"\xff\xf1", b"\xff\xf9", b"\0\0\0\x0cJXL ",
)  # fmt: skip
"""First bytes of formats that may hold metadata and are not supported here."""

_DATA_URI = re.compile(r"data:(?P<type>[\w.+/\-]{0,80})(?:;[\w.=\-]{1,60}){0,4};base64,(?P<data>[A-Za-z0-9+/=_\-\s%]*)")
_WITHIN = re.compile(r"data:[\w.+/\-]{0,80}(?:;[\w.=\-]{1,60}){0,4};base64,[A-Za-z0-9+/]{64,}[A-Za-z0-9+/=_%\-]*")
_MORE_TYPES = frozenset(
    ("", "image/jpg", "image/webp", "audio/wav", "audio/x-wav", "audio/wave", "audio/mp3", "audio/mpeg",
     "text/markdown", "application/octet-stream", "application/x-zip-compressed")
)  # fmt: skip
_OFFICE = "application/vnd.openxmlformats-officedocument."


def clean_media(value: str) -> str:
    """A data URI, or base64 alone, without parameters and metadata. Raises NotDisclosable."""
    uri = _DATA_URI.fullmatch(value)
    if uri is None:
        return base64.b64encode(_clean(_decoded(value), "")).decode()
    type_ = uri["type"].lower()
    if type_ not in _known_types() and not type_.startswith(_OFFICE):
        raise _refused("a data URI names a type of media that is not known")
    return f"data:{type_};base64,{base64.b64encode(_clean(_decoded(uri['data']), type_)).decode()}"


def clean_media_within(text: str) -> str:
    """The text with every data URI in it cleaned. Raises NotDisclosable."""
    return _WITHIN.sub(lambda match: clean_media(match[0]), text) if ";base64," in text else text


@lru_cache(maxsize=1)
def _known_types() -> frozenset[str]:
    return frozenset(mimetypes.MimeTypes().types_map[1].values()) | _MORE_TYPES


def _decoded(text: str) -> bytes:
    plain = unquote_to_bytes(text) if "%" in text else text.encode("ascii", "replace")
    joined = b"".join(plain.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(joined + b"=" * (-len(joined) % 4), validate=True)
    except binascii.Error:
        raise _refused("encoded data is damaged") from None


def _clean(data: bytes, type_: str) -> bytes:
    for first, ninth, strip in FORMATS:
        if data.startswith(first) and data[8 : 8 + len(ninth)] == ninth:
            try:
                return strip(data)
            except (ValueError, IndexError):
                raise _refused("a picture or sound is damaged or holds parts that are not known") from None
    head = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if type_.startswith(("image/", "audio/", "video/")) or head.startswith(UNKNOWN_INSIDE) or data[4:8] == b"ftyp":
        raise _refused("author, place and the like cannot be removed from this kind of picture, sound or film")
    return data


def _refused(why: str) -> NotDisclosable:
    return NotDisclosable(
        f"{why}, so it stays on the box; send pictures as JPEG, PNG, GIF or WebP and sounds as WAV or MP3",
        param="messages",
    )
