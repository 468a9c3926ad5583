"""Encoded pictures and sounds as they may leave: the content, and nothing that is written beside it.

A photo tells where and when it was taken and by whom. What cannot be taken apart does not leave. Documents (PDF, text,
archives) are sent whole when the owner sends media at all: their metadata cannot be told from their content.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from netgpt.errors import NotDisclosable
from netgpt.privacy.media_formats import FORMATS, UNKNOWN_INSIDE, Broken

__all__ = ["clean_media", "clean_media_within"]

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
    told = uri["type"].lower()
    if told not in _known_types() and not told.startswith(_OFFICE):
        raise _refused("a data URI names a type of media that is not known")
    return f"data:{told};base64,{base64.b64encode(_clean(_decoded(uri['data']), told)).decode()}"


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


def _clean(data: bytes, told: str) -> bytes:
    for first, ninth, strip in FORMATS:
        if data.startswith(first) and data[8 : 8 + len(ninth)] == ninth:
            try:
                return strip(data)
            except (Broken, IndexError):
                raise _refused("a picture or sound is damaged or holds parts that are not known") from None
    head = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if told.startswith(("image/", "audio/", "video/")) or head.startswith(UNKNOWN_INSIDE) or data[4:8] == b"ftyp":
        raise _refused("what is written beside this kind of picture, sound or film cannot be taken out")
    return data


def _refused(why: str) -> NotDisclosable:
    return NotDisclosable(
        f"{why}, so it stays on the box; send pictures as JPEG, PNG, GIF or WebP and sounds as WAV or MP3",
        param="messages",
    )
