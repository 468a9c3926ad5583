"""`netgpt status`, `netgpt doctor` and `netgpt logs`: what runs, what is set up, what works, what the gateway said."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt import __version__
from netgpt.cli.common import (
    json_option,
    plain,
    print_json,
    print_table,
    read_settings,
    reports_errors,
    run,
    with_store,
)
from netgpt.cli.signals import own_address
from netgpt.errors import NetGPTError, NotFound, StoreError
from netgpt.files import open_own, why_not
from netgpt.settings import Settings

if TYPE_CHECKING:
    from netgpt.app.doctor import CheckResult
    from netgpt.store.schema import ExchangeRecord
    from netgpt.store.store import Store

NEWEST = 1_000
"""Exchanges that are looked at for today's figures."""


@reports_errors
def status(
    check: bool = typer.Option(
        False, "--check", help="Exit with 3 where no gateway runs, with 1 where it cannot answer."
    ),
    as_json: bool = json_option,
) -> None:
    """What runs here, what is set up, and what went through it today."""
    settings = read_settings()
    found = {"version": __version__, "home": str(settings.home), **_gateway(settings), **_set_up(settings)}
    if settings.has_store:
        found |= with_store(_counted, settings)
    if as_json:
        print_json(found)
    else:
        print_table(("what", "now"), [(name, _shown(value)) for name, value in found.items()])
    if check:
        raise typer.Exit(3 if not found["running"] else 0 if found["ready"] else 1)


def _gateway(settings: Settings) -> dict[str, Any]:
    """What the gateway of these settings says of itself."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # httpx would double the command's time
    from urllib.parse import urlsplit

    address = own_address(settings)
    found: dict[str, Any] = {"running": False, "address": f"{address}/v1"}
    if settings.server.console:
        found["console"] = f"{address}/console/"
    try:
        here, cert = urlsplit(address), settings.server.tls_cert
        line = HTTPConnection(here.hostname or "", here.port, timeout=2.0)
        if cert is not None:
            import ssl

            context = ssl.create_default_context(cafile=cert)
            line = HTTPSConnection(here.hostname or "", here.port, timeout=2.0, context=context)
        with closing(line):
            line.request("GET", "/readyz")
            answer = json.loads(line.getresponse().read())
        parts = {part: _state_of(state) for part, state in answer["parts"].items()}
        return found | {"running": True, "ready": bool(answer["ready"]), "parts": parts}
    except (HTTPException, OSError, ValueError, KeyError, TypeError, AttributeError):
        return found | {"start": "netgpt serve"}


def _state_of(state: Mapping[str, Any]) -> str:
    fault = state.get("fault")
    return str(fault) if fault else "works" if state["ok"] else plain(state.get("detail") or "does not work")


def _set_up(settings: Settings) -> dict[str, Any]:
    clouds = {target: remote.model for target, remote in settings.remotes.items()}
    return {
        "edge model": settings.edge.model, "clouds": clouds or "none: the box answers alone",
        "policy": settings.policy.set,
    }  # fmt: skip


async def _counted(store: Store) -> dict[str, Any]:
    """Figures of today (UTC), without opening a text."""
    rows = await store.exchanges(None, NEWEST, texts=False)
    today = [row for row in rows if row.received.astimezone(UTC).date() == datetime.now(UTC).date()]
    return {
        "requests today": _figures(today, more=len(today) == NEWEST),
        "waiting": await store.waiting.count(),
        "keys": "exist" if await store.has_keys() else "none: programs on this machine need none",
    }


def _figures(rows: Sequence[ExchangeRecord], *, more: bool) -> dict[str, Any]:
    routes = Counter(row.target or row.route for row in rows)
    whole = sorted(row.timings["total"] for row in rows if "total" in row.timings)
    return {
        "count": f"{NEWEST} or more" if more else len(rows),
        "answered by": dict(routes.most_common()),
        "failed": sum(row.status == "failed" for row in rows),
        "median ms": round(whole[len(whole) // 2]) if whole else None,
        "cost": round(sum(row.cost for row in rows), 4),
    }


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_shown(inner)}" for name, inner in value.items() if inner is not None)
    return str(value)


@reports_errors
def doctor(
    try_cloud: bool = typer.Option(
        False, "--try-cloud", help="Ask each model elsewhere one short question, to try key, model and address."
    ),
    as_json: bool = json_option,
) -> None:
    """Look at everything that NetGPT needs and say what is wrong. Exit code 1 when something is."""
    findings = run(_examined(try_cloud))
    rows = [(what, *found) for what, found in findings.items()]
    if as_json:
        print_json([dict(zip(("what", "state", "detail"), row, strict=True)) for row in rows])
    else:
        print_table(["what", "state", "detail"], rows)
    raise typer.Exit(1 if any(found.state == "wrong" for found in findings.values()) else 0)


async def _examined(try_cloud: bool) -> dict[str, CheckResult]:
    from netgpt.app.doctor import CHECKS, BoxCheck, CheckResult, check_plugins, examine, row_of, try_clouds
    from netgpt.cli.config import listing

    try:
        settings = read_settings()
    except NetGPTError as error:
        return {"settings": CheckResult("wrong", error.message)}
    checks: dict[str, BoxCheck] = {**CHECKS, "plugins": partial(check_plugins, listing=listing)}
    findings = {name: found async for name, found in examine(settings, checks=checks)}
    findings |= {
        row_of(name): CheckResult("wrong", f"{fault}; so says the gateway that runs here")
        for name, fault in (await _told_by_gateway(settings)).items()
    }
    return findings | (await try_clouds(settings) if try_cloud else {})


async def _told_by_gateway(settings: Settings) -> dict[str, str]:
    """What the owner has to mend, as calls of the gateway that runs here found out; nothing where none runs."""
    import ssl

    import httpx

    cert = settings.server.tls_cert
    try:
        verify: Any = ssl.create_default_context(cafile=cert) if cert is not None else True
        async with httpx.AsyncClient(trust_env=False, timeout=2.0, verify=verify) as client:
            parts = (await client.get(f"{own_address(settings)}/readyz")).json()["parts"]
        return {part: str(state["fault"]) for part, state in parts.items() if "fault" in state}
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


@reports_errors
def logs(
    lines: int = typer.Option(50, "--lines", "-n", min=1, max=100_000, help="How many of the last."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on with what comes, until Ctrl-C."),
) -> None:
    """The last lines that a gateway of this home wrote.

    They hold no texts and no keys.
    """
    path = read_settings().log_file
    for line in _last(path, lines):
        sys.stdout.write(plain(line.rstrip("\n")) + "\n")
    if follow:
        _follow(path)


def _last(path: Path, count: int) -> deque[str]:
    """The last lines, those of the file before it included. Raises NotFound, StoreError."""
    found: deque[str] = deque(maxlen=count)
    try:
        for each in (path.with_name(f"{path.name}.1"), path):
            if each.exists():
                with os.fdopen(open_own(each, os.O_RDONLY), encoding="utf-8", errors="replace") as file:
                    found.extend(file)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {why_not(error)}") from None
    if not path.exists():
        raise NotFound(f"{path} is not there: no gateway has run with this home. Start one: `netgpt serve`")
    return found


def _follow(path: Path) -> None:
    sys.stdout.flush()
    file, size = path.open(encoding="utf-8", errors="replace"), path.stat().st_size
    file.seek(size)
    while True:
        for line in file:
            sys.stdout.write(plain(line.rstrip("\n")) + "\n")
        sys.stdout.flush()
        time.sleep(0.2)
        if path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:  # a new file was begun
            file.close()
            file = path.open(encoding="utf-8", errors="replace")
