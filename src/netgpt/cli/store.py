"""`netgpt store`: the database at rest: its key, its soundness, copies, starting over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import SecretStr

from netgpt.cli.common import (
    json_option,
    print_json,
    print_table,
    progress_bar,
    read_settings,
    reports_errors,
    run,
    say,
    with_store,
    yes_option,
)
from netgpt.errors import NetGPTError, RequestError
from netgpt.settings import Settings

if TYPE_CHECKING:
    from netgpt.store.maintenance import StoreFault, StoreInfo, StoreReport
    from netgpt.store.rotation import Progress as Report
    from netgpt.store.store import Store


app = typer.Typer(no_args_is_help=True, help="What is kept: change its key, check it, look at it, copy it.")


@app.command()
@reports_errors
def rotate(
    drop_damaged: bool = typer.Option(
        False, "--drop-damaged", help="Drop rows that no key opens or that were changed by hand."
    ),
    as_json: bool = json_option,
) -> None:
    """Seal everything with a new key and remove the old one. The gateway may go on meanwhile.

    A cut or killed run loses nothing: the same command goes on. Backups from before need the old key: make new ones.
    """
    with _bar("sealing anew", quiet=as_json) as report:
        done = with_store(lambda store: store.sealing.rotate(report, drop_damaged=drop_damaged))
    if as_json:
        counts = {"key": done.key_id, "sealed": done.sealed, "dropped": done.dropped}
        print_json({**counts, "damaged": _faults(done.damaged), "old_keys_removed": done.old_keys_removed})
    elif done.damaged:
        _show(done.damaged)
        say("The old key is kept because of these. --drop-damaged gives them up.")
    else:
        say(f"{done.sealed} values are sealed with the key {done.key_id}.")
        if not done.old_keys_removed:
            say("Now take the old key out of its source: only the newest is needed.")
    if done.damaged:
        raise typer.Exit(1)


@app.command("new-key")
@reports_errors
def new_key() -> None:
    """Print a fresh key, for the environment (NETGPT_STORE__KEY) or a password manager. It is kept nowhere."""
    from netgpt.store.encryption import encoded_key, fresh_key

    typer.echo(encoded_key(fresh_key()))


@app.command()
@reports_errors
def check(as_json: bool = json_option) -> None:
    """Read the whole file, open every sealed value, hold every row against the ledger. Names what was changed."""
    with _bar("checking", quiet=as_json) as report:
        found = with_store(partial(_check, report))
    if as_json:
        print_json({"rows": found.rows, "faults": _faults(found.faults)})
    elif found.faults:
        _show(found.faults)
        if any(not fault.table.startswith("(") for fault in found.faults):
            say("Restore a backup to have these rows back; `netgpt store rotate --drop-damaged` drops them.")
        for what in ("adapters", "models"):
            if any(fault.table == f"({what})" for fault in found.faults):
                say(f"Put the files of {what} back from a backup; `netgpt {what} accept` takes the list as it stands.")
    else:
        say(f"{found.rows} rows looked at: every sealed value opens in its place, every row is as this box wrote it.")
    if found.faults:
        raise typer.Exit(1)


async def _check(report: Report, store: Store) -> StoreReport:
    """The rows, what was noted outside of the database, and the files that it vouches for."""
    from netgpt.app.heads import head_faults
    from netgpt.store.maintenance import StoreFault

    settings = read_settings()
    found = await store.sealing.check(report)
    noted = [StoreFault("(head)", "", fault) for fault in await head_faults(store, settings.head_file)]
    return replace(found, faults=(*found.faults, *noted, *_file_faults(settings, store)))


def _file_faults(settings: Settings, store: Store) -> Iterator[StoreFault]:
    """What somebody else changed among adapters, weights and what was measured of them."""
    from netgpt.adapters.registry import Registry, shipped_adapters
    from netgpt.app.capability import ProfileFile
    from netgpt.models.catalog import Catalog
    from netgpt.store.maintenance import StoreFault

    registry = Registry(settings.adapters_dir, shipped_adapters(), proof=store.files)
    served = None if settings.edge.base_url is not None else settings.edge.model
    catalog = Catalog(settings.models_dir, store.files)
    looks: dict[str, Callable[[], dict[str, str]]] = {
        "adapters": registry.tampered, "models": partial(catalog.tampered, served),
        "capability": ProfileFile(settings.home, store.files).tampered,
    }  # fmt: skip
    for what, look in looks.items():
        try:
            yield from (StoreFault(f"({what})", id, fault) for id, fault in look().items())
        except NetGPTError as error:  # nothing vouches for it
            yield StoreFault(f"({what})", "", error.message)


@app.command()
@reports_errors
def info(as_json: bool = json_option) -> None:
    """Sizes, rows by class with the oldest, where the key comes from, and how long each class is kept."""
    settings = read_settings()
    known = with_store(lambda store: store.sealing.info())
    keeps = _retention(settings)
    if as_json:
        return print_json(_info_as_json(known, keeps))
    rows = [
        (
            table.name,
            table.rows,
            f"{table.oldest:%Y-%m-%d %H:%M}" if table.oldest else None,
            ", ".join(f"{count} by {key}" for key, count in table.sealed_by.items()) or None,
            f"{keeps[table.name]:g} days" if table.name in keeps else None,
        )
        for table in known.tables
    ]
    title = f"{known.name}: {known.bytes / 1e6:.1f} MB, log {known.log_bytes / 1e6:.1f} MB; key {known.key_ids[0]} "
    print_table(["table", "rows", "oldest (UTC)", "sealed", "kept"], rows, title + f"from {known.key_source}")


@app.command()
@reports_errors
def backup(
    target: Path = typer.Argument(help="The file to make (0600); it must not exist."), as_json: bool = json_option
) -> None:
    """Copy the database while others use it. The copy is sealed as it is: keep the key elsewhere."""
    target = target.expanduser().absolute()
    size = with_store(lambda store: store.sealing.backup(target))
    if as_json:
        print_json({"file": str(target), "bytes": size})
    else:
        say(f"{target}: {size / 1e6:.1f} MB. It opens with the key of today only.")


@app.command()
@reports_errors
def move(
    to: str = typer.Option("", help="postgresql://HOST:PORT/DATABASE, empty; else what store.url names."),
    as_json: bool = json_option,
) -> None:
    """Copy the store of this box's file into PostgreSQL, and compare every row. Stop the gateway first.

    A cut or killed run loses nothing: the same command goes on. What is sealed stays sealed, and needs the same key. A
    password belongs into NETGPT_STORE__URL: others can read the words of a command.
    """
    from netgpt.store.store import driver_module, open_store

    settings = read_settings()
    url = to or (settings.store.url.get_secret_value() if settings.store.url else "")
    if not url:
        raise RequestError("name the database: --to postgresql://HOST/DATABASE, or NETGPT_STORE__URL", param="to")
    driver_module()
    from netgpt.store.moving import move as move_store

    with _bar("moving", quiet=as_json) as report:
        done = move_store(settings.database, url, report)

    async def verified() -> bool:
        moved = settings.model_copy(update={"store": settings.store.model_copy(update={"url": SecretStr(url)})})
        store = open_store(moved)
        try:
            return (await store.receipts.verify()).whole
        finally:
            await store.close()

    whole = run(verified())
    if as_json:
        print_json({"name": done.name, "rows": done.rows, "resumed": done.resumed, "receipts_whole": whole})
    else:
        print_table(["table", "rows"], [(name, rows) for name, rows in done.rows.items() if rows])
        say(f"{done.name} holds {sum(done.rows.values())} rows, each as it was in {settings.database}.")
        say("Set store.url (NETGPT_STORE__URL) to it. The file stays as it is: delete it when all is well.")
        if not whole:
            say("The chain of receipts has faults, as it had: `netgpt receipts verify` names them.")
    if not whole:
        raise typer.Exit(1)


@app.command("reset-sealed")
@reports_errors
def reset_sealed(yes: bool = yes_option, as_json: bool = json_option) -> None:
    """Start over without what a lost key sealed. Figures, API keys and places stay; the old file is moved aside.

    Lost: texts, facts, pseudonym maps, examples, receipts, consents, and whose each row is.
    """
    from netgpt.store.maintenance import reset_sealed as reset

    settings = read_settings()
    if settings.store.url is not None:
        raise RequestError(
            "reset-sealed works on the file of a box, and store.url names a server: put a backup of the database and "
            "its key back, or name an empty database."
        )
    if not yes:
        typer.confirm(f"Give up everything sealed in {settings.database}, and move the old file aside?", abort=True)
    done = reset(settings.database)
    moved = _set_aside(settings)
    run(_take_in(settings))
    if as_json:
        aside = [str(done.aside), *moved]
        return print_json({"aside": aside, "kept": done.kept, "left": done.left, "keys_revoked": done.keys_revoked})
    rows = [(name, "kept", count) for name, count in done.kept.items()]
    print_table(["what", "", "rows"], [*rows, *((name, "left behind", count) for name, count in done.left.items())])
    say(f"The old database is {done.aside}. If its key is found, put both back.")
    say("Adapters count again once you looked: `netgpt adapters accept`; listed weights: `netgpt models accept`.")
    say("API keys are taken over as they stood: `netgpt keys list` shows whether all are yours.")
    if done.keys_revoked:
        say(f"{done.keys_revoked} API keys that spoke for one person were revoked: make new ones.")


async def _take_in(settings: Settings) -> None:
    """A new key, and what is left is sealed with it and entered in a new ledger."""
    from netgpt.store.store import open_store

    await open_store(settings, after_reset=True).close()
    if settings.head_file is not None and settings.head_file.exists():  # it tells of the database that was
        settings.head_file.rename(f"{settings.head_file}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")


def _set_aside(settings: Settings) -> list[str]:
    """A key file that does not open the old database makes room for a new one."""
    from netgpt.store.encryption import KeyFile, fresh_key

    file = settings.key_file
    if settings.store.key is not None or settings.store.key_command:
        return []
    if not file.exists():
        KeyFile(file).make()
        return []
    names = (file.with_name(f"{file.name}.old-{number}") for number in range(1, 1000))
    aside = next(name for name in names if not name.exists())
    aside.hardlink_to(file)
    KeyFile(file).write((fresh_key(),))
    return [str(aside)]


@contextmanager
def _bar(what: str, *, quiet: bool) -> Iterator[Report]:
    with progress_bar("count", "left", quiet=quiet, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _retention(settings: Settings) -> dict[str, float]:
    kept = settings.store
    return {
        "exchanges": kept.keep_exchanges_days, "maps": kept.keep_maps_days, "receipts": kept.keep_receipts_days,
        "examples": settings.training.keep_examples_days,
    }  # fmt: skip


def _info_as_json(known: StoreInfo, keeps: dict[str, float]) -> dict[str, Any]:
    return {
        "path": known.name,
        "bytes": known.bytes,
        "log_bytes": known.log_bytes,
        "key": {"kind": known.key_kind, "source": known.key_source, "ids": list(known.key_ids)},
        "tables": [
            {
                "name": table.name,
                "rows": table.rows,
                "oldest": table.oldest.isoformat() if table.oldest else None,
                "sealed_by": table.sealed_by,
                "kept_days": keeps.get(table.name),
            }
            for table in known.tables
        ],
    }


def _faults(faults: tuple[StoreFault, ...]) -> list[dict[str, str]]:
    return [{"table": fault.table, "id": fault.id, "what": fault.what} for fault in faults]


def _show(faults: tuple[StoreFault, ...]) -> None:
    print_table(["table", "id", "what"], [(fault.table, fault.id, fault.what) for fault in faults])
