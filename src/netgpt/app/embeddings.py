"""Vectors of sentences for callers: by the sentence encoder where it is on the box, else by static vectors of words.

The encoder computes in threads, one group of texts at a time, and whoever asks has a turn after each group: a long list
holds up neither the event loop nor another caller. A caller who is gone costs one more group.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from netgpt.encoder import SentenceEncoder, groups
from netgpt.errors import NetGPTError, RequestError
from netgpt.models.base import Health
from netgpt.models.catalog import Catalog
from netgpt.routing.names import EMBED_MODEL, STATIC_MODEL
from netgpt.settings import Settings
from netgpt.word_pieces import StaticEmbedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

MOST_TOKENS: Final = 300_000
"""Of one request, as at OpenAI."""
WITHOUT: Final = "facts are chosen and embeddings made by static vectors of words"


@dataclass(frozen=True)
class Embedded:
    """Unit rows, one a text, and who made them. `tokens`: read for it."""

    model: str
    rows: NDArray[np.float32]
    tokens: int

    def body(self, encoding: str) -> bytes:
        """OpenAI's answer; rows as floats, or as base64 of little-endian float32. Row by row: others run in between."""
        wanted = (base64.b64encode(row.tobytes()).decode() if encoding == "base64" else row for row in self.rows)
        data = b",".join(
            orjson.dumps({"object": "embedding", "index": i, "embedding": row}, option=orjson.OPT_SERIALIZE_NUMPY)
            for i, row in enumerate(wanted)
        )
        usage = {"prompt_tokens": self.tokens, "total_tokens": self.tokens}
        rest = orjson.dumps({"object": "list", "model": self.model, "usage": usage})
        return b'%b,"data":[%b]}' % (rest[:-1], data)


class Embeddings:
    """The encoder of the box, if it has one that can be used, and what stands in for it."""

    def __init__(self, settings: Settings, static: StaticEmbedder) -> None:
        self.encoder: SentenceEncoder | None = None
        """None until `start`, and where there is none."""
        self._settings, self._static = settings, static
        self._state = Health(False, f"not read yet: {WITHOUT}")
        self._turn = asyncio.Lock()

    def health(self) -> Health:
        """Not `ok`: the box works without it, and the detail says how to get it."""
        return self._state

    async def start(self) -> None:
        """Read the encoder's weights. What keeps it from being read is logged, never raised."""
        wanted = self._settings.encoder
        if wanted.model == "off":
            self._state = Health(True, f"off (encoder.model): {WITHOUT}")
            return
        try:
            level = logging.INFO  # a box on which it was never fetched
            path, sha256 = Catalog(self._settings.models_dir).encoder(wanted.model)
            level = logging.WARNING
            encoder = SentenceEncoder(path, sha256=sha256, most_tokens=wanted.max_tokens)
            await asyncio.to_thread(encoder.load)
        except NetGPTError as error:
            self._state = Health(False, f"{error.message} Until the next start {WITHOUT}.")
            log.log(level, "encoder: %s", self._state.detail)
            return
        self.encoder, self._state = encoder, Health(True, path.name)

    async def embed(
        self, texts: list[str], model: str, dimensions: int | None, gone: Callable[[], Awaitable[bool]]
    ) -> Embedded:
        """Embed for a caller; `gone` tells whether the caller still listens. Raises RequestError: too many tokens or
        dimensions."""
        import numpy as np

        encoder = None if model == STATIC_MODEL else self.encoder
        _check_width(encoder.width if encoder else self._static.width, dimensions)
        if encoder is None:
            rows = await asyncio.to_thread(self._static, texts)
            return _shortened(Embedded(STATIC_MODEL, rows, sum(len(text.split()) for text in texts)), dimensions)
        ids = await asyncio.to_thread(encoder.ids, texts)
        if (tokens := sum(map(len, ids))) > MOST_TOKENS:
            raise RequestError(f"input: {tokens:,} tokens in all; send at most {MOST_TOKENS:,} at once", param="input")
        rows = np.zeros((len(texts), encoder.width), np.float32)
        for group in groups(ids):
            if await gone():
                break
            async with self._turn:
                rows[group] = await asyncio.to_thread(encoder.means, [ids[i] for i in group])
        return _shortened(Embedded(EMBED_MODEL, rows, tokens), dimensions)


def _check_width(width: int, dimensions: int | None) -> None:
    if dimensions is not None and dimensions > width:
        raise RequestError(f"dimensions: at most {width} here", param="dimensions")


def _shortened(made: Embedded, dimensions: int | None) -> Embedded:
    import numpy as np

    if dimensions is None:
        return made
    rows = made.rows[:, :dimensions]
    return Embedded(made.model, rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), made.tokens)
