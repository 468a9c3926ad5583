"""Pictures and sounds leave without metadata, and those of unknown formats do not leave."""

import base64
import io
import struct
import wave
import zlib

import pytest
from crafted_media import NOTE, crafted, good
from hypothesis import given, settings
from hypothesis import strategies as st
from netgpt_bench.people import MEDIA, data_uri, texts_inside

from netgpt.errors import NotDisclosable
from netgpt.privacy.media import clean_media, clean_media_within

METADATA = "Ada Lovelace ada@mill.org 52.2053N 0.1218E"


@pytest.mark.parametrize("kind", MEDIA)
def test_nothing_that_was_written_beside_it_stays(kind: str) -> None:
    made = data_uri(kind, METADATA, ";name=ada.lovelace")
    assert any("ada@mill.org" in text for text in texts_inside(made)), "the test must see what was planted"
    cleaned = clean_media(made)
    assert not any("ada" in text.lower() for text in (cleaned, *texts_inside(cleaned)))
    assert clean_media(cleaned) == cleaned
    assert clean_media(made.partition("base64,")[2]) == cleaned.partition("base64,")[2]


def test_what_a_decoder_needs_stays() -> None:
    png = base64.b64decode(clean_media(data_uri("png", METADATA)).partition(",")[2])
    names, at = [], 8
    while at < len(png):
        size = struct.unpack(">I", png[at : at + 4])[0]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(png[at + 4 : at + 8 + size])
        names.append(png[at + 4 : at + 8])
        at += 12 + size
    assert names == [b"IHDR", b"IDAT", b"IEND"]
    jpeg = base64.b64decode(clean_media(data_uri("jpeg", METADATA)).partition(",")[2])
    assert [m for m in (0xE0, 0xDB, 0xC0, 0xC4, 0xDA) if bytes((0xFF, m)) not in jpeg] == []
    assert jpeg.endswith(b"\x2a\xff\0\xff\xd0\x15\xff\xd9")
    webp = base64.b64decode(clean_media(data_uri("webp", METADATA)).partition(",")[2])
    assert struct.unpack("<I", webp[4:8])[0] == len(webp) - 8 and b"VP8L" in webp


@pytest.mark.parametrize(
    "value",
    [
        "data:image/heic;base64," + base64.b64encode(b"\0\0\0\x18ftypheic" + b"\0" * 40).decode(),
        "data:image/svg+xml;base64," + base64.b64encode(b"<svg><title>ada@mill.org</title></svg>").decode(),
        "data:application/octet-stream;base64," + base64.b64encode(b"<?xml version='1.0'?><svg/>").decode(),
        "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0").decode(),
        "data:image/ada.lovelace;base64,AAAA",
        "data:audio/flac;base64," + base64.b64encode(b"fLaC" + b"\0" * 20).decode(),
        "data:image/jpeg;base64,AAAA",
        "data:application/pdf;base64,A",
    ],
)
def test_what_cannot_be_taken_apart_stays_on_the_box(value: str) -> None:
    with pytest.raises(NotDisclosable, match="stays on the box") as caught:
        clean_media(value)
    assert "ada" not in caught.value.message


@pytest.mark.parametrize(
    "value",
    [
        "data:application/pdf;name=ada;base64,JVBERi0=", "JVBERi0xLjQK", "UEsDBBQAAAAIAA==",
        "data:text/plain;base64,QWRhIExvdmVsYWNl", "data:text/html;base64,PGI+QWRhPC9iPg==",
        "data:application/vnd.openxmlformats-officedocument.wordprocessingml.document;base64,UEsDBBQA",
        "data:application/octet-stream;base64,JVBERi0=", "data:;base64,QWRhIExvdmVsYWNl",
    ],
)  # fmt: skip
def test_documents_do_not_leave_and_the_way_out_is_named(value: str) -> None:
    with pytest.raises(NotDisclosable, match="text of the message"):
        clean_media(value)


CRAFTED = dict(crafted())


def test_there_is_a_file_for_each_place() -> None:
    assert len(CRAFTED) > 130


@pytest.mark.parametrize("name", CRAFTED)
def test_what_is_planted_does_not_leave(name: str) -> None:
    try:
        cleaned = base64.b64decode(clean_media(base64.b64encode(CRAFTED[name]).decode()))
    except NotDisclosable as refused:
        assert "ada" not in refused.message.lower()
        return
    words = (b"Ada", b"Lovelace", b"mill.org", b"7946")
    assert not [word for word in words for form in (word, word.decode().encode("utf-16-le")) if form in cleaned]
    assert zlib.compress(NOTE)[2:12] not in cleaned


def test_most_of_them_are_pictures_and_sounds_that_still_leave() -> None:
    """Refusing everything would be easy: what programs write into files by habit is left out, not refused."""
    habit = [
        name for name in CRAFTED
        if name != "mp3 behind its end"
        and name.split()[0] in ("png", "jpeg", "gif", "webp", "wav", "mp3") and name.endswith(
            ("tEXt", "zTXt", "iTXt", "eXIf", "iCCP", "tIME", "Exif'", "comment", "application", "EXIF", "XMP", "ICCP",
             "LIST", "bext", "JUNK", "id3", "ID3v2.3", "ID3v2.4", "ID3v1", "APE", "encoder", "behind its end", "JFIF")
        )
    ]  # fmt: skip
    assert len(habit) > 25
    for name in habit:
        clean_media(base64.b64encode(CRAFTED[name]).decode())


@pytest.mark.parametrize("name", good())
def test_a_whole_file_keeps_every_pixel_and_sample(name: str) -> None:
    data = good()[name]
    cleaned = base64.b64decode(clean_media(base64.b64encode(data).decode()))
    assert cleaned == data
    if name == "wav":
        with wave.open(io.BytesIO(cleaned)) as read:
            assert read.getparams()[:4] == (2, 2, 16_000, 100)


def test_pictures_inside_a_text() -> None:
    text = f"see ![x]({data_uri('png', METADATA, ';name=ada')}) and {data_uri('gif', METADATA)} please"
    cleaned = clean_media_within(text)
    assert cleaned.startswith("see ![x](data:image/png;base64,") and cleaned.endswith(" please")
    assert not any("ada" in found.lower() for found in texts_inside(cleaned))


@given(
    kind=st.sampled_from(sorted(MEDIA)),
    comment=st.text(max_size=40),
    cut=st.integers(0, 400),
    put=st.binary(max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_are_cleaned_or_refused(kind: str, comment: str, cut: int, put: bytes) -> None:
    data = MEDIA[kind][1](comment.encode("utf-8", "ignore"))
    damaged = data[:cut] + put + data[cut + len(put) :]
    value = "data:application/octet-stream;base64," + base64.b64encode(damaged).decode()
    try:
        cleaned = clean_media(value)
    except NotDisclosable:
        return
    assert clean_media(cleaned) == cleaned
