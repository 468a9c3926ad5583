"""The edge model for one command: started, asked, stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from netgpt.errors import RequestError

if TYPE_CHECKING:
    from netgpt.completion.naming import Ask
    from netgpt.models.swap import Adapter
    from netgpt.settings import Settings

__all__ = ["edge_askers"]

TASK = "complete"
"""The adapter that chooses facts."""


@asynccontextmanager
async def edge_askers(settings: Settings, adapter: Path | None = None) -> AsyncIterator[tuple[Ask, Ask | None]]:
    """The edge model of the settings, started if it is the built-in one: two functions of one chat body.

    The first asks the plain model; the second the model with the adapter `complete`, or is None when there is none.
    `adapter`: a folder or file to take instead of the active one. Raises ModelUnavailable, NotFound, RequestError.
    """
    from netgpt.build import open_edge, whole_answer

    engine, model = open_edge(settings)
    chosen = None
    if engine is not None:
        chosen = _at(adapter) if adapter is not None else _active(settings)
        await engine.set_adapters([chosen] if chosen is not None else [])
        await engine.start()
    try:
        ask = partial(whole_answer, model)
        loaded = engine is not None and chosen is not None and chosen.id in engine.resident
        yield ask, partial(whole_answer, model, adapters=(chosen.id,)) if loaded and chosen is not None else None
    finally:
        await model.close()
        if engine is not None:
            await engine.stop()


def _at(path: Path) -> Adapter:
    from netgpt.adapters.file import read_adapter
    from netgpt.models.swap import Adapter

    file = path / "adapter.gguf" if path.is_dir() else path
    if not file.is_file():
        raise RequestError(f"{path}: holds no adapter.gguf", param="adapter")
    read_adapter(file)
    return Adapter("tried@1", file)


def _active(settings: Settings) -> Adapter | None:
    from netgpt.adapters.from_settings import open_registry
    from netgpt.models.swap import Adapter

    entry = open_registry(settings).active(TASK)
    return None if entry is None else Adapter(entry.id, entry.path)
