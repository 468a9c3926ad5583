"""Bodies that came compressed although we ask for plain ones (RFC 9110, section 8.4.1): gzip and deflate."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from netgpt.errors import BrokenStream

__all__ = ["Decoder"]

_PART_BYTES = 1_000_000
"""A small piece can stand for gigabytes: it is unpacked part by part, so that the reader can stop."""


class Decoder:
    """Compressed pieces in, plain parts out."""

    def __init__(self, coding: str, source: str) -> None:
        """`coding`: the header's value; `source` names the server in errors. Raises BrokenStream: not known here."""
        if coding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
            raise BrokenStream(f"{source} sent an answer in a compression that nobody asked for")
        self._source = source
        self._raw = coding.strip().lower() == "deflate"
        """Whether the piece to come may be the start of a deflate without its zlib header: some servers do that."""
        self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # reads both headers, gzip's and zlib's

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """The plain parts of `piece`. Raises BrokenStream when it is damaged."""
        try:
            while piece:
                yield self._part(piece)
                piece = self._unpack.unconsumed_tail
        except zlib.error:
            raise BrokenStream(f"{self._source} sent an answer whose compression is damaged") from None

    def _part(self, piece: bytes) -> bytes:
        raw, self._raw = self._raw, False
        try:
            return self._unpack.decompress(piece, _PART_BYTES)
        except zlib.error:
            if not raw:
                raise
            self._unpack = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._unpack.decompress(piece, _PART_BYTES)
