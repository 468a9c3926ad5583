"""Makes encoded pictures and sounds anew from the parts that a decoder needs: nothing else of the file leaves.

Every part is read by its format's rules: lengths, checksums, order, what tables hold. Camera, place, author, comments,
profiles, thumbnails, unknown parts, paddings and all before, between and behind are left out; a part that does not add
up is refused. Formats: JPEG (ITU-T T.81), PNG (W3C, third edition; its pixels are unpacked and counted), GIF 89a, WebP
(RFC 9649), WAVE (PCM and float), MPEG audio layer III, frame by frame. Coded data that only a full decoder could follow
(JPEG and WebP scans, GIF's codes, frames of MP3) is searched for text behind and within it.

Documents do not leave: their text cannot be told from the rest here. Nor do other pictures and sounds.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from netgpt.errors import NotDisclosable
from netgpt.registry import holds_texts


class Broken(ValueError):
    """The bytes do not have the format that their beginning names."""


_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_MOST_PIXELS: Final = 100_000_000
_WORDS = re.compile(rb"[A-Za-z][a-z]{2,}(?:[ ,.;:_/\-]{1,2}[A-Za-z0-9]{2,}){2,}|[\w.+\-]{2,}@[\w\-]{2,}\.[a-z]{2,}")
_LONG_TEXT = re.compile(rb"[A-Za-z0-9@.,:;_ \-\0]{18,64}")
_VARIED: Final = 7
"""Different bytes from which on a run is no pattern of equal ones."""
_LAST: Final = 10
"""Readable bytes that are no chance at the end of coded data."""
_ENCODER = re.compile(rb"(?:LAME|Lavc?f?|Gogo|GOGO|Xing)[\d.a-z ()]{0,24}[U\xaa]*|U{8,}")


def _without_text(data: bytes) -> bytes:
    """A small table, where it reads like no text."""
    if any(len(set(match[0])) > _VARIED for match in _WORDS.finditer(data)):
        raise Broken
    return data


def _coded(data: bytes) -> bytes:
    """Coded data, which looks like chance: no text stands in or behind it."""
    tail = data[-_LAST:]
    if len(set(tail)) > 5 and all(0x20 <= byte < 0x7F for byte in tail):
        raise Broken
    for match in _LONG_TEXT.finditer(data):
        if len(set(match[0])) > _VARIED:
            raise Broken
    return data


def _jpeg(data: bytes) -> bytes:
    """Keeps tables, frames and scans; of the application segments JFIF without its thumbnail and Adobe's transform."""
    kept, at, coded = [_SOI], 2, b""
    while True:
        at = _marker(data, at)
        marker = data[at]
        if marker == 0xD9:
            _coded(coded)
            return b"".join([*kept, _EOI])
        size = _number(data, at + 1, 2, ">H")
        segment = data[at + 3 : at + 1 + size]
        if size < 2 or len(segment) != size - 2:
            raise Broken
        at += 1 + size
        kept.append(_jpeg_segment(marker, segment))
        if marker == 0xDA:
            end = _end_of_scan(data, at)
            coded = _coded(data[at:end].rstrip(b"\xff"))
            kept.append(coded)
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
        segment = b"JFIF\0\1\1" + segment[7:12].ljust(5, b"\0") + b"\0\0"  # without the thumbnail
    elif marker == 0xEE:
        if not segment.startswith(b"Adobe") or len(segment) < 12:
            return b""
        segment = b"Adobe\0\x64\0\0\0\0" + segment[11:12]
    elif 0xE0 <= marker <= 0xEF or marker == 0xFE:
        return b""
    elif len(segment) != _jpeg_length(marker, segment):
        raise Broken
    return bytes((0xFF, marker)) + struct.pack(">H", len(segment) + 2) + segment


def _jpeg_length(marker: int, segment: bytes) -> int:
    """How long the content of a segment must be by its own words."""
    if marker == 0xDA:
        return 4 + 2 * segment[0]
    if marker == 0xDD:
        return 2
    at = 0
    if marker == 0xDB:
        while at < len(segment):
            at += 129 if segment[at] >> 4 else 65
        _without_text(segment)
        return at
    if marker == 0xC4:
        while at < len(segment):
            at += 17 + sum(segment[at + 1 : at + 17])
        return at
    return 6 + 3 * segment[5] if 0xC0 <= marker <= 0xCF and marker not in (0xC8, 0xCC) else -1


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


_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PNG_SIZES: Final = {b"acTL": (8,), b"gAMA": (4,), b"sRGB": (1,), b"tRNS": range(1, 257), b"PLTE": range(3, 769, 3)}


def _png(data: bytes) -> bytes:
    """Keeps the header, palette, transparency, gamma and pixels (of an animation: all frames). The pixels are unpacked:
    they must fill the picture, and nothing may follow them."""
    kept: list[tuple[bytes, bytes]] = []
    pixels: list[tuple[bytes, bytes, bytes]] = []  # (name, number, body) of the picture or frame that is being read
    form, size, frame = b"", (0, 0), b"IDAT"

    def close() -> None:
        if pixels:
            _unpacked(b"".join(body for _, _, body in pixels), size, form)
            kept.extend((name, number + body) for name, number, body in pixels)
            pixels.clear()

    for name, body in _png_chunks(data):
        if not form and name != b"IHDR":
            raise Broken
        if name in (b"IDAT", b"fdAT"):
            pixels.append((name, body[:4], body[4:]) if name == b"fdAT" else (name, b"", body))
            if name != pixels[0][0] or (name == b"fdAT") != (frame == b"fdAT"):
                raise Broken
            continue
        close()
        if name == b"IHDR":
            if form or len(body) != 13:
                raise Broken
            form, size = body, (_number(body, 0, 4, ">I"), _number(body, 4, 4, ">I"))
        elif name == b"fcTL":
            if len(body) != 26:
                raise Broken
            has_picture = any(each == b"IDAT" for each, _ in kept)
            frame, size = (b"fdAT" if has_picture else b"IDAT"), (_number(body, 4, 4, ">I"), _number(body, 8, 4, ">I"))
        elif name == b"IEND":
            if body or not any(each == b"IDAT" for each, _ in kept):
                raise Broken
            return b"".join((data[:8], *(_png_chunk(*each) for each in kept), _png_chunk(b"IEND", b"")))
        elif name not in _PNG_SIZES:
            if name[:1].isupper():
                raise Broken  # a critical chunk that is not known here
            continue
        elif len(body) not in _PNG_SIZES[name] or any(name == each for each, _ in kept):
            raise Broken
        kept.append((name, _without_text(body)))
    raise Broken


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        size, name = _number(data, at, 4, ">I"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if _number(data, at + 8 + size, 4, ">I") != zlib.crc32(name + body):
            raise Broken
        yield name, body
        at += 12 + size


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _unpacked(packed: bytes, size: tuple[int, int], form: bytes) -> None:
    """Raises Broken unless the packed bytes are the rows of the picture and nothing more."""
    (width, height), (depth, colour, compression, method, interlaced) = size, form[8:13]
    if compression or method or interlaced > 1 or colour not in _CHANNELS or not 0 < width * height <= _MOST_PIXELS:
        raise Broken
    bits = depth * _CHANNELS[colour]
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _ADAM7]
    expected = sum(high * (1 + (wide * bits + 7) // 8) for wide, high in sizes if wide > 0 and high > 0)
    unpacker = zlib.decompressobj()
    try:
        pixels = unpacker.decompress(packed, expected + 1)
    except zlib.error:
        raise Broken from None
    if len(pixels) != expected or not unpacker.eof or unpacker.unused_data:
        raise Broken


def _gif(data: bytes) -> bytes:
    at = 13 + _colours(data, 10)
    if data[4:6] not in (b"7a", b"9a"):
        raise Broken
    kept = [data[:13], _without_text(data[13:at])]
    while True:
        start, kind = at, data[at]
        if kind == 0x3B:
            return b"".join([*kept, b"\x3b"])
        if kind == 0x2C:
            table = at + 10
            at = table + _colours(data, at + 9)
            kept += [data[start:table], _without_text(data[table:at]), data[at : at + 1]]
            at, coded = _blocks(data, at + 1)
            kept += [_as_blocks(_coded(coded))]
        elif kind == 0x21:
            at, body = _blocks(data, at + 2)
            label = data[start + 1]
            if label == 0xF9 and len(body) == 4:
                kept.append(b"\x21\xf9\4" + body + b"\0")
            elif label == 0xFF and body[:11] in (b"NETSCAPE2.0", b"ANIMEXTS1.0") and body[11:12] == b"\1":
                kept.append(b"\x21\xff\x0b" + body[:11] + b"\3\1" + body[12:14].ljust(2, b"\0") + b"\0")
        else:
            raise Broken


def _colours(data: bytes, at: int) -> int:
    """Size in bytes of the colour table that the flags at `at` announce."""
    flags = _number(data, at, 1, "B")
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> tuple[int, bytes]:
    """Where a row of blocks ends, and what they hold."""
    parts = []
    while size := _number(data, at, 1, "B"):
        parts.append(data[at + 1 : at + 1 + size])
        at += 1 + size
    return at + 1, b"".join(parts)


def _as_blocks(data: bytes) -> bytes:
    rows = (data[i : i + 255] for i in range(0, len(data), 255))
    return b"".join(bytes((len(row),)) + row for row in rows) + b"\0"


def _webp(data: bytes) -> bytes:
    parts: list[bytes] = []
    for name, body in _chunks(data, 12, min(len(data), 8 + _number(data, 4, 4, "<I"))):
        if name == b"VP8X" and not parts and len(body) == 10:
            body = bytes((body[0] & 0b00010010, 0, 0, 0)) + body[4:]  # animation, transparency; no profile, EXIF, XMP
        elif name == b"ANMF":
            frame = (_chunk(n, _bitstream(n, b)) for n, b in _chunks(body, 16, len(body)) if n in _BITSTREAMS)
            body = body[:16] + b"".join(frame)
        elif name in _BITSTREAMS:
            body = _bitstream(name, body)
        elif name == b"ANIM" and len(body) == 6:
            pass
        elif name in (b"VP8X", b"ANIM"):
            raise Broken
        else:
            continue
        parts.append(_chunk(name, body))
    return _riff(b"WEBP", parts)


_BITSTREAMS: Final = frozenset((b"VP8 ", b"VP8L", b"ALPH"))


def _bitstream(name: bytes, body: bytes) -> bytes:
    if (name == b"VP8L" and body[0] != 0x2F) or (name == b"VP8 " and body[3:6] != b"\x9d\x01\x2a"):
        raise Broken
    return _coded(body)


_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID: Final = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
"""The end of the name of a format in an extensible header."""


def _wave(data: bytes) -> bytes:
    """The header with its numbers alone, and whole samples."""
    chunks = dict(reversed([*_chunks(data, 12, min(len(data), 8 + _number(data, 4, 4, "<I")))]))
    form, samples = chunks.get(b"fmt ", b""), chunks.get(b"data", b"")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", form[:16].ljust(16, b"\0"))
    if kind == _EXTENSIBLE and form[26:40] == _GUID:
        kind = _number(form, 24, 2, "<H")
    if kind not in (_PCM, _FLOAT) or not 0 < channels <= 8 or bits not in (8, 16, 24, 32, 64):
        raise Broken
    if block != channels * bits // 8 or len(samples) < block:
        raise Broken
    header = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)
    return _riff(b"WAVE", [_chunk(b"fmt ", header), _chunk(b"data", samples[: len(samples) // block * block])])


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


_BITRATES: Final = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
"""Kilobits a second of layer III: of MPEG 2 and 2.5, of MPEG 1."""
_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def _mp3(data: bytes) -> bytes:
    """The frames of sound, one behind the other, without tags and without the frame that describes the file."""
    at = _behind_tags(data)
    frames: list[bytes] = []
    while at + 4 <= len(data) and not data.startswith((b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3"), at):
        size = _frame_size(data[at : at + 4])
        frame = data[at : at + size]
        if len(frame) < size:
            break  # cut off: no decoder plays it
        at += size
        if frames or not any(mark in frame[:64] for mark in (b"Xing", b"Info", b"VBRI")):
            frames.append(frame)
    if not frames:
        raise Broken
    _coded(_ENCODER.sub(b"", b"".join(frames)))
    return b"".join(frames)


def _behind_tags(data: bytes) -> int:
    at = 0
    while data[at : at + 3] == b"ID3":
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if _number(data, at + 5, 1, "B") & 0x10 else 0)
    while data[at : at + 1] == b"\0":  # padding behind a tag
        at += 1
    return at


def _frame_size(head: bytes) -> int:
    """Bytes of a frame by its header. Raises Broken: it is none of layer III."""
    version, layer, rate, bitrate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 2 & 3, head[2] >> 4
    if head[0] != 0xFF or head[1] < 0xE0 or version == 1 or layer != 1 or rate == 3 or bitrate in (0, 15):
        raise Broken
    kilobits = _BITRATES[version == 3][bitrate]
    return (144_000 if version == 3 else 72_000) * kilobits // _RATES[version][rate] + (head[2] >> 1 & 1)


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
    *((bytes((0xFF, second)), b"", _mp3) for second in (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)),
)
"""(first bytes, bytes from the ninth on, what removes the metadata)."""

_DATA_URI = re.compile(r"data:(?P<type>[\w.+/\-]{0,80})(?:;[\w.=\-]{1,60}){0,4};base64,(?P<data>[A-Za-z0-9+/=_\-\s%]*)")
_WITHIN = re.compile(r"data:[\w.+/\-]{0,80}(?:;[\w.=\-]{1,60}){0,4};base64,[A-Za-z0-9+/]{64,}[A-Za-z0-9+/=_%\-]*")


def clean_media(value: str) -> str:
    """A data URI, or base64 alone, without parameters and metadata. Raises NotDisclosable."""
    cleaned = _cleaned(value)
    if _cleaned(cleaned) != cleaned:
        raise _refused("a picture or sound does not come to an end when its parts are left out")
    return cleaned


@holds_texts
@lru_cache(maxsize=16)
def _cleaned(value: str) -> str:
    uri = _DATA_URI.fullmatch(value)
    if uri is None:
        return base64.b64encode(_clean(_decoded(value), "")).decode()
    type_ = uri["type"].lower()
    if type_ not in _TYPES:
        raise _refused("a data URI names a document or another type of media that is not known here")
    return f"data:{type_};base64,{base64.b64encode(_clean(_decoded(uri['data']), type_)).decode()}"


_TYPES: Final = frozenset(
    ("", "application/octet-stream", *(f"image/{name}" for name in ("jpeg", "jpg", "png", "apng", "gif", "webp")),
     *(f"audio/{name}" for name in ("wav", "x-wav", "wave", "vnd.wave", "mp3", "mpeg")))
)  # fmt: skip


def clean_media_within(text: str) -> str:
    """The text with every data URI in it cleaned. Raises NotDisclosable."""
    return _WITHIN.sub(lambda match: clean_media(match[0]), text) if ";base64," in text else text


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
            except (ValueError, IndexError, struct.error):
                raise _refused("a picture or sound is damaged or holds parts that are not known") from None
    if type_.startswith(("image/", "audio/")):
        raise _refused("author, place and the like cannot be removed from this kind of picture or sound")
    raise _refused("a document cannot be searched here")


def _refused(why: str) -> NotDisclosable:
    return NotDisclosable(
        f"{why}, so it stays on the box; send pictures as JPEG, PNG, GIF or WebP, sounds as WAV or MP3, and of a "
        "document its text, as text of the message",
        param="messages",
    )
