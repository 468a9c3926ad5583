"""What the commands share: settings, store, tables, JSON, progress bars, rows of files, and errors in one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TextIO, TypeVar

import typer
from rich.console import Console

from netgpt.errors import NetGPTError, NotFound, RequestError
from netgpt.files import MOST_DATA, open_own, open_plain, why_not

if TYPE_CHECKING:
    from rich.progress import Progress

    from netgpt.completion.classify import Ask
    from netgpt.models.hot_swap import Adapter
    from netgpt.privacy.detector import Detector
    from netgpt.proofs import FileProof
    from netgpt.settings import Settings
    from netgpt.store.schema import ExchangeRecord
    from netgpt.store.store import Store
    from netgpt.types import Span


P = ParamSpec("P")
R = TypeVar("R")

console = Console(stderr=True)
"""For progress and remarks; results go to stdout."""

json_option = typer.Option(False, "--json", help="Print JSON for machines.")
yes_option = typer.Option(False, "--yes", "-y", help="Do not ask.")


def say(line: str) -> None:
    """One remark on stderr, as it is: no markup, no colours, no line breaks of ours."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


class OnOff(StrEnum):
    """A yes or no that is said as a word."""

    ON = "on"
    OFF = "off"


def tell(line: str, as_json: bool, **values: Any) -> None:
    """What was done: a line for people, or the values as JSON for machines."""
    print_json(values) if as_json else say(plain(line))


def confirm(question: str, yes: bool) -> None:
    """Ask before what cannot be taken back; `yes`, or where nobody sits there to answer: do not ask. Raises Abort."""
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True)


def plain(value: object) -> str:
    """Text that may come from anywhere, without what could steer a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in str(value))


def confirm_changed(changed: Mapping[str, str], yes: bool) -> None:
    """Name what somebody else changed, and ask whether it counts as it stands; `yes`: do not ask. Raises Abort."""
    for name, what in changed.items():
        say(plain(f"{name} {what}"))
    if changed and not yes:
        typer.confirm("Take it as it stands?", abort=True)


def read_settings(**overrides: Any) -> Settings:
    """The settings, as every command reads them."""
    from netgpt.settings import load_settings

    return load_settings(**overrides)


def read_stdin() -> str:
    """All of standard input as text. Raises RequestError: it is not UTF-8."""
    if sys.stdin.isatty():
        console.print("reading standard input; end with Ctrl-D")
    return read_text(sys.stdin.buffer.read(), "standard input")


def read_text(data: bytes, name: str) -> str:
    """Bytes as text. Raises RequestError that names them by `name`: they are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"{name}: not UTF-8 at byte {error.start}") from None


def run(work: Coroutine[Any, Any, R]) -> R:
    """Run async work from a command."""
    import asyncio

    return asyncio.run(work)


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a NetGPTError into one message on stderr and exit code 2 (the caller's fault) or 1 (ours)."""

    @wraps(command)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except NetGPTError as error:
            console.print(f"[red]error:[/red] {_escape(error.message)}", highlight=False, soft_wrap=True)
            raise typer.Exit(2 if isinstance(error, RequestError) else 1) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return reporting


def print_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Write a table to stdout; says so when there is nothing to show."""
    out = Console()
    if not rows:
        out.print("(none)")
        return
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_lines=False)
    for name in columns:  # an id that is cut with an ellipsis cannot be used
        table.add_column(name, overflow="fold", no_wrap=name in ("id", "name"))
    for row in rows:
        table.add_row(*(_escape("" if cell is None else str(cell)) for cell in row))
    out.print(table)


def print_details(values: Mapping[str, object], as_json: bool = False) -> None:
    """One thing, a row for each field that is there; objects and lists as JSON. `as_json`: for machines, all of it."""
    if as_json:
        return print_json(values)
    rows = [
        (name, json.dumps(value, ensure_ascii=False, indent=1) if isinstance(value, dict | list) else value)
        for name, value in values.items()
        if value is not None
    ]
    print_table(("what", "value"), rows)


def progress_bar(*columns: str, quiet: bool = False, transient: bool = False) -> Progress:
    """A bar on stderr after the task's description; `columns`: what follows it.

    "status" (the task's field), "count", "bytes", "elapsed" or "left".
    """
    from rich import progress

    made: dict[str, Sequence[Callable[[], progress.ProgressColumn]]] = {
        "status": [lambda: progress.TextColumn("{task.fields[status]}")],
        "count": [progress.MofNCompleteColumn],
        "bytes": [progress.DownloadColumn, progress.TransferSpeedColumn],
        "elapsed": [progress.TimeElapsedColumn],
        "left": [progress.TimeRemainingColumn],
    }
    shown = [make() for name in columns for make in made[name]]
    start = progress.TextColumn("{task.description}"), progress.BarColumn()
    return progress.Progress(*start, *shown, console=console, disable=quiet, transient=transient)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


@contextmanager
def private_file(path: Path, failure: type[NetGPTError]) -> Iterator[TextIO]:
    """A text file (0600, also one that was there) to write to. Raises `failure`: it cannot be written."""
    try:
        with os.fdopen(open_own(path, os.O_WRONLY | os.O_CREAT), "w", encoding="utf-8") as file:
            file.truncate(0)  # after the look at what it is
            yield file
    except OSError as error:
        raise failure(f"{path}: cannot be written: {why_not(error)}") from None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """The store of these settings for a block. Raises StoreError."""
    from netgpt.store.store import open_store

    store = open_store(settings)
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def opened_files(settings: Settings | None = None) -> Iterator[FileProof]:
    """What vouches for files of the home, for a block: the store's. Raises StoreError, SettingsError."""
    from netgpt.store.store import open_store

    store = open_store(settings or read_settings())
    try:
        yield store.files
    finally:
        run(store.close())


def with_store(work: Callable[[Store], Awaitable[R]], settings: Settings | None = None) -> R:
    """Run `work` on the store of the settings and return its result. Raises StoreError, SettingsError."""

    async def worked() -> R:
        async with opened(settings or read_settings()) as store:
            return await work(store)

    return run(worked())


def find_exchange(id: str | None) -> ExchangeRecord:
    """One recorded exchange; the newest where `id` is None. Raises NotFound, StoreError, SettingsError."""

    async def find(store: Store) -> ExchangeRecord | None:
        if id is not None:
            return await store.exchange(id)
        return next(iter(await store.exchanges(None, 1, None)), None)

    row = with_store(find)
    if row is None:
        raise NotFound(f"no exchange {id or 'yet'} is kept")
    return row


def lines_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """(file:number, line) of every line that is not empty; "-" is standard input. Raises RequestError: unreadable."""
    name = "standard input" if str(path) == "-" else str(path)
    with sys.stdin.buffer if str(path) == "-" else open_plain(path, RequestError) as source:
        for number, line in enumerate(iter(partial(source.readline, MOST_DATA + 1), b""), 1):
            if len(line) > MOST_DATA:
                raise RequestError(f"{name}:{number}: a line of more than {MOST_DATA:,} bytes")
            if line.strip():
                yield f"{name}:{number}", line


def object_in(line: bytes, where: str) -> dict[str, Any]:
    """The JSON object of a line. Raises RequestError that begins with `where`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise RequestError(f"{where}: not JSON; each line must be one JSON object") from None
    if not isinstance(row, dict):
        raise RequestError(f"{where}: not an object; each line must be one JSON object")
    return row


def texts_of(path: Path, field: str) -> Iterator[str]:
    """The field of every row. Raises RequestError with file and line: see `lines_of`, or no text in that field."""
    for where, line in lines_of(path):
        row = object_in(line, where)
        if field not in row:
            raise RequestError(f'{where}: no field "{field}"; name the field that holds the text with --field')
        if not isinstance(row[field], str):
            raise RequestError(f'{where}: the field "{field}" is not a string')
        yield row[field]


START_S = 300.0
TEXT_S = 60.0
"""Nobody waits for an answer here: a busy machine may take its time over start and text."""


def patient_detector(settings: Settings) -> DetectorOnDemand:
    """The detector of the settings for work in the background; to be closed."""
    from netgpt.privacy.process import DetectorProcess

    return DetectorOnDemand(DetectorProcess(names=settings.privacy.names, timeout_s=TEXT_S, start_timeout_s=START_S))


class DetectorOnDemand:
    """A `Detector` that starts another one when the first text comes: many trainings need none."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._started = False

    async def start(self) -> None:
        """Later."""

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        if not self._started:
            await self._detector.start()
            self._started = True
        return await self._detector.detect(texts, values=values, names=names)

    def health(self) -> tuple[bool, str]:
        return self._detector.health()

    async def close(self) -> None:
        await self._detector.close()


TASK = "complete"
"""The adapter that chooses facts."""


@asynccontextmanager
async def edge_askers(settings: Settings, adapter: Path | None = None) -> AsyncIterator[tuple[Ask, Ask | None]]:
    """The edge model of the settings, started if it is the built-in one: two functions of one chat body.

    The first asks the plain model; the second the model with the adapter `complete`, or is None when there is none.
    `adapter`: a folder or file to take instead of the active one. Raises ModelUnavailable, NotFound, RequestError.
    """
    from netgpt.app.factory import open_edge
    from netgpt.app.gateway import whole_answer

    async with opened(settings) as store:
        engine, model = open_edge(settings, store.files)
        chosen = None
        if engine is not None:
            chosen = _adapter_at(adapter) if adapter is not None else _active_adapter(settings, store)
    if engine is not None:
        await engine.set_adapters([chosen] if chosen is not None else [])
        await engine.start()
    try:
        loaded = chosen is not None and engine is not None and chosen.id in engine.resident
        trained = partial(whole_answer, model, adapters=(chosen.id,)) if chosen is not None and loaded else None
        yield partial(whole_answer, model), trained
    finally:
        await model.close()
        if engine is not None:
            await engine.stop()


def _adapter_at(path: Path) -> Adapter:
    from netgpt.adapters.formats import read_adapter
    from netgpt.models.hot_swap import Adapter

    file = path / "adapter.gguf" if path.is_dir() else path
    if not file.is_file():
        raise RequestError(f"{path}: holds no adapter.gguf", param="adapter")
    read_adapter(file)
    return Adapter("tried@1", file)


def _active_adapter(settings: Settings, store: Store) -> Adapter | None:
    from netgpt.adapters.registry import open_registry
    from netgpt.models.hot_swap import Adapter

    entry = open_registry(settings, store.files).active(TASK)
    return None if entry is None else Adapter(entry.id, entry.path)
