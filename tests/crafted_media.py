"""Pictures, sounds and documents by hand: whole ones, and such with a text wherever a format has room for one."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Iterator

NOTE = b"Ada Lovelace ada@mill.org +44 20 7946 0018"


def png_part(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    before: bytes = b"", after: bytes = b"", pixels: bytes = b"", packed: bytes = b"", inside: bytes = b""
) -> bytes:
    """A picture of 4 x 4 in colour; parts before and after its pixels, more of them, more behind them."""
    rows = b"".join(b"\0" + bytes(range(y * 12, y * 12 + 12)) for y in range(4)) + pixels
    coded = zlib.compress(rows) + packed
    data = png_part(b"IDAT", coded[:9]) + inside + png_part(b"IDAT", coded[9:])
    header = png_part(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + data + after + png_part(b"IEND", b"")


def apng(behind: bytes = b"", text: bytes = b"") -> bytes:
    """Two frames."""
    control = struct.pack(">IIIIIHHBB", 0, 4, 4, 0, 0, 1, 10, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(12) for _ in range(4)))
    frame = png_part(b"fcTL", struct.pack(">I", 1) + control[4:]) + text
    frame += png_part(b"fdAT", struct.pack(">I", 2) + rows + behind)
    return png(before=png_part(b"acTL", struct.pack(">II", 2, 0)) + png_part(b"fcTL", control), after=frame)


JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg(
    before: bytes = b"", between: bytes = b"", scan: bytes = b"", after: bytes = b"", table: bytes = b"",
    frame: bytes = b"", jfif: bytes = b"", quant: bytes = bytes(range(1, 65)), gap: bytes = b"", adobe: bytes = b"",
) -> bytes:  # fmt: skip
    codes = bytes((0, 1, *[0] * 15, 0))
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + adobe)
    return b"".join((
        b"\xff\xd8", segment(0xE0, JFIF + jfif), before, adobe, segment(0xDB, b"\0" + quant + table), gap,
        segment(0xC0, b"\x08\0\x08\0\x08\1\1\x11\0" + frame), segment(0xC4, codes),
        segment(0xDA, b"\1\1\0\0\x3f\0"), b"\x2a\xff\0\x91\xd4\xe8" + scan, between, segment(0xDA, b"\1\1\0\0\x3f\0"),
        b"\x2a\x91\xff\xd0\x15", b"\xff\xd9", after,
    ))  # fmt: skip


def blocks(data: bytes) -> bytes:
    return b"".join(bytes((len(data[i : i + 255]),)) + data[i : i + 255] for i in range(0, len(data), 255)) + b"\0"


def gif(
    before: bytes = b"",
    between: bytes = b"",
    after: bytes = b"",
    coded: bytes = b"",
    table: bytes = b"\0\0\0\xff\xff\xff",
) -> bytes:
    """Two frames of one pixel, in a loop."""
    frame = b"\x21\xf9\4\0\x0a\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2" + blocks(b"\x44\1" + coded)
    flags = bytes((0x80 | (len(table) // 3).bit_length() - 2,))
    loop = b"\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0"
    return b"GIF89a\1\0\1\0" + flags + b"\0\0" + table + loop + before + frame + between + frame + b"\x3b" + after


def chunk(name: bytes, body: bytes, pad: bytes = b"\0") -> bytes:
    return name + struct.pack("<I", len(body)) + body + pad * (len(body) % 2)


def riff(form: bytes, *parts: bytes, after: bytes = b"") -> bytes:
    body = form + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body + after


LOSSLESS = b"\x2f\0\0\0\0\x88\x88\x08"


def webp(*parts: bytes, extended: bytes = b"\x0c" + bytes(9), coded: bytes = b"", after: bytes = b"") -> bytes:
    return riff(b"WEBP", chunk(b"VP8X", extended), chunk(b"VP8L", LOSSLESS + coded), *parts, after=after)


def webp_frames(inside: bytes = b"", between: bytes = b"") -> bytes:
    frame = chunk(b"ANMF", bytes(16) + inside + chunk(b"VP8L", LOSSLESS))
    return riff(b"WEBP", chunk(b"VP8X", b"\x02" + bytes(9)), chunk(b"ANIM", bytes(6)), frame, between, frame)


SAMPLES = bytes(range(0, 200, 3)) + b"\0"


def wav(*parts: bytes, form: bytes = b"", data: bytes = SAMPLES, after: bytes = b"") -> bytes:
    header = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16) + form
    return riff(b"WAVE", chunk(b"fmt ", header), *parts, chunk(b"data", data), after=after)


FRAME = b"\xff\xfb\x90\0" + bytes(i * 7919 % 251 for i in range(413))


def mp3(before: bytes = b"", between: bytes = b"", after: bytes = b"", last: bytes = b"") -> bytes:
    end = FRAME[: len(FRAME) - len(last)] + last
    return before + FRAME + between + FRAME + end + after


def id3(body: bytes, version: int = 3) -> bytes:
    size = len(body)
    return b"ID3" + bytes((version, 0, 0, size >> 21, size >> 14 & 127, size >> 7 & 127, size & 127)) + body


def good() -> dict[str, bytes]:
    """Whole files without anything that nobody needs."""
    palette = png_part(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 3, 1 - 1, 0, 0)) + png_part(b"PLTE", bytes(range(9)))
    indexed = palette + png_part(b"tRNS", b"\0\x80") + png_part(b"IDAT", zlib.compress(b"\0\0\1\2\0\2\1\0"))
    woven = png_part(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 1, 0, 0, 0, 1))
    passes = zlib.compress(b"".join(b"\0\xa0" for _ in range(1 + 1 + 1 + 2 + 1 + 3 + 2)))
    sound = io.BytesIO()
    with wave.open(sound, "wb") as made:
        made.setparams((2, 2, 16_000, 0, "NONE", ""))
        made.writeframes(bytes(i * 37 % 256 for i in range(400)))
    head = b"\x89PNG\r\n\x1a\n"
    return {
        "png": png(), "apng": apng(), "png palette": head + indexed + png_part(b"IEND", b""),
        "png interlaced": head + woven + png_part(b"IDAT", passes) + png_part(b"IEND", b""),
        "jpeg": jpeg(), "jpeg without JFIF": jpeg().replace(segment(0xE0, JFIF), b""), "gif": gif(),
        "webp": riff(b"WEBP", chunk(b"VP8L", LOSSLESS)), "webp frames": webp_frames(), "mp3": mp3(),
        "wav": sound.getvalue(),
    }  # fmt: skip


def crafted() -> Iterator[tuple[str, bytes]]:
    """Files with `NOTE` in them, by where it stands."""
    wide, packed = NOTE.decode().encode("utf-16-le"), zlib.compress(NOTE)
    text = png_part(b"tEXt", b"Author\0" + NOTE)
    for name, body in (
        (b"tEXt", b"Author\0" + NOTE), (b"zTXt", b"Author\0\0" + packed), (b"iTXt", b"Title\0\0\0\0\0" + NOTE),
        (b"eXIf", b"II*\0" + NOTE), (b"iCCP", NOTE[:30] + b"\0\0" + packed), (b"prVt", NOTE), (b"tIME", NOTE[:7]),
        (b"sPLT", NOTE + b"\0\x08"), (b"hIST", NOTE), (b"cHRM", NOTE[:32]), (b"gAMA", NOTE), (b"tRNS", NOTE),
        (b"PLTE", NOTE + NOTE[:3]), (b"caBX", NOTE), (b"dSIG", NOTE), (b"IHDR", NOTE[:13]), (b"PRVT", NOTE),
    ):  # fmt: skip
        yield f"png {name.decode()}", png(before=png_part(name, body))
    yield "png between pixels", png(inside=text)
    yield "png after pixels", png(after=text)
    yield "png behind its end", png() + NOTE
    yield "png chunks behind its end", png() + text
    yield "png another file behind its end", png() + jpeg(before=segment(0xFE, NOTE))
    yield "png behind the packed pixels", png(packed=NOTE)
    yield "png more pixels than it has", png(pixels=NOTE)
    yield "png IDAT behind others", png(after=text + png_part(b"IDAT", NOTE))
    yield "png IEND with content", png()[:-12] + png_part(b"IEND", NOTE)
    yield "png wrong checksum", png(before=text[:-4] + b"Ada.")
    yield "apng behind a frame's pixels", apng(behind=NOTE)
    yield "apng between frames", apng(text=text)
    yield "apng frames that are none", png(after=png_part(b"fdAT", b"\0\0\0\1" + NOTE))
    for marker, body in (
        (0xFE, NOTE), (0xE1, b"Exif\0\0II*\0" + NOTE), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + NOTE),
        (0xE2, b"ICC_PROFILE\0\1\1" + NOTE), (0xE2, b"MPF\0" + NOTE), (0xED, b"Photoshop 3.0\08BIM\4\4" + NOTE),
        (0xEB, b"JP\0\1" + NOTE), (0xEF, NOTE), (0xE0, b"JFXX\0\x10" + NOTE), (0xEC, b"Ducky" + NOTE), (0xF0, NOTE),
        (0xDD, NOTE), (0xDE, NOTE), (0xDC, NOTE), (0xCC, NOTE), (0xC8, NOTE), (0xE3, b"Meta\0" + wide),
    ):  # fmt: skip
        yield f"jpeg {marker:02x} {body[:6]!r}", jpeg(before=segment(marker, body))
        yield f"jpeg {marker:02x} {body[:6]!r} between scans", jpeg(between=segment(marker, body))
    yield "jpeg thumbnail of JFIF", jpeg(jfif=NOTE)
    yield "jpeg thumbnail in EXIF", jpeg(before=segment(0xE1, b"Exif\0\0" + jpeg(before=segment(0xFE, NOTE))))
    yield "jpeg behind Adobe's transform", jpeg(adobe=NOTE)
    yield "jpeg behind its end", jpeg(after=NOTE)
    yield "jpeg another behind its end", jpeg(after=jpeg(before=segment(0xFE, NOTE)))
    yield "jpeg padded table", jpeg(table=NOTE)
    yield "jpeg padded frame", jpeg(frame=NOTE)
    yield "jpeg as a table", jpeg(quant=(NOTE + NOTE)[:64])
    yield "jpeg between segments", jpeg(gap=NOTE)
    yield "jpeg behind a scan", jpeg(scan=NOTE)
    yield "jpeg in a scan", jpeg(scan=NOTE + b"\x91\xd4\xe8\x13" * 40)
    yield "jpeg in a scan, in UTF-16", jpeg(scan=wide + b"\x91\xd4\xe8\x13" * 40)
    for place, body in (
        ("comment", b"\x21\xfe" + blocks(NOTE)), ("plain text", b"\x21\x01" + blocks(bytes(12) + NOTE)),
        ("application", b"\x21\xff\x0bXMP DataXMP" + blocks(NOTE)), ("ICC", b"\x21\xff\x0bICCRGBG1012" + blocks(NOTE)),
        ("unknown extension", b"\x21\x42" + blocks(NOTE)), ("control", b"\x21\xf9" + blocks(NOTE)),
        ("loop", b"\x21\xff\x0bNETSCAPE2.0" + blocks(b"\1\0\0" + NOTE)),
        ("loop of another sort", b"\x21\xff\x0bNETSCAPE2.0" + blocks(b"\2" + NOTE)),
    ):  # fmt: skip
        yield f"gif {place}", gif(before=body)
        yield f"gif {place} between frames", gif(between=body)
    yield "gif behind its end", gif(after=NOTE)
    yield "gif behind the codes", gif(coded=NOTE)
    yield "gif as colours", gif(table=NOTE.ljust(48, b"\0"))
    yield "gif of another version", gif().replace(b"GIF89a", b"GIF8Ad")
    for name in (b"EXIF", b"XMP ", b"ICCP", b"ABCD"):
        yield f"webp {name.decode()}", webp(chunk(name, NOTE))
        yield f"webp {name.decode()} in a frame", webp_frames(inside=chunk(name, NOTE))
        yield f"webp {name.decode()} between frames", webp_frames(between=chunk(name, NOTE))
    yield "webp long header", webp(extended=b"\x0c" + bytes(9) + NOTE)
    yield "webp behind its end", webp(after=NOTE)
    yield "webp behind the codes", webp(coded=NOTE)
    yield "webp odd padding", riff(b"WEBP", chunk(b"VP8L", LOSSLESS + b"\x91", pad=b"A"), chunk(b"XMP ", NOTE))
    yield "webp of no sort", riff(b"WEBP", chunk(b"VP8L", NOTE))
    for part in (b"LIST", b"bext", b"iXML", b"id3 ", b"cue ", b"JUNK", b"PEAK", b"_PMX", b"fact", b"smpl", b"axml"):
        body = b"INFOIART" + struct.pack("<I", len(NOTE)) + NOTE if part == b"LIST" else NOTE
        yield f"wav {part.decode()}", wav(chunk(part, body))
    yield "wav long form", wav(form=struct.pack("<H", len(NOTE)) + NOTE)
    yield "wav behind its end", wav(after=NOTE)
    yield "wav odd tail", wav(data=SAMPLES, after=b"A") + chunk(b"LIST", b"INFO" + NOTE)
    yield (
        "wav of another form",
        riff(b"WAVE", chunk(b"fmt ", struct.pack("<HHIIHH", 0x55, 1, 8000, 8000, 1, 0)), chunk(b"data", NOTE)),
    )
    for version in (2, 3, 4):
        yield f"mp3 ID3v2.{version}", mp3(before=id3(b"TPE1" + NOTE, version))
        yield f"mp3 ID3v2.{version} padded", mp3(before=id3(b"TPE1" + NOTE, version) + bytes(40))
        yield f"mp3 ID3v2.{version} behind", mp3(after=id3(b"TPE1" + NOTE, version))
    yield "mp3 ID3v2 in UTF-16", mp3(before=id3(b"TPE1" + wide))
    yield "mp3 ID3v1", mp3(after=b"TAG" + NOTE.ljust(125, b"\0"))
    yield "mp3 enhanced ID3v1", mp3(after=b"TAG+" + NOTE.ljust(223, b"\0") + b"TAG" + bytes(125))
    yield "mp3 APE", mp3(after=b"APETAGEX" + NOTE)
    yield "mp3 Lyrics", mp3(after=b"LYRICSBEGIN" + NOTE + b"LYRICS200")
    yield "mp3 between frames", mp3(between=NOTE)
    yield "mp3 APE before", mp3(before=b"APETAGEX" + NOTE)
    yield "mp3 behind its end", mp3(after=NOTE)
    yield "mp3 the padding of a frame", mp3(last=NOTE)
    yield "mp3 frame of the encoder", mp3(before=b"\xff\xfb\x90\0" + (bytes(32) + b"Xing" + NOTE).ljust(413, b"\0"))
    yield "flac", b"fLaC\x84" + len(NOTE).to_bytes(3, "big") + NOTE
    yield "ogg", b"OggS\0\2" + bytes(20) + b"\3vorbis" + NOTE
    for box in (b"udta", b"free", b"uuid", b"meta"):
        yield f"m4a {box.decode()}", b"\0\0\0\x18ftypM4A " + bytes(12) + struct.pack(">I", len(NOTE) + 8) + box + NOTE
    yield "bmp", b"BM" + bytes(52) + NOTE
    yield "tiff", b"II*\0\x08\0\0\0" + NOTE
    yield "svg", b"<svg><title>" + NOTE + b"</title></svg>"
    yield "pdf", b"%PDF-1.7\n1 0 obj<</Author(" + NOTE + b")>>endobj"
    yield "zip", b"PK\3\4" + bytes(26) + NOTE
    yield "text", NOTE
    yield "rtf", b"{\\rtf1{\\info{\\author " + NOTE + b"}}}"
