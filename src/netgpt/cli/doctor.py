"""`netgpt doctor`: what works here, what does not, and the cure."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import typer

from netgpt.cli import doctor_at_rest, doctor_signals
from netgpt.cli.common import errors_told, json_option, print_json, print_table, run
from netgpt.errors import NetGPTError
from netgpt.settings import Settings, load_settings

__all__ = ["doctor"]


@dataclass(frozen=True)
class CheckResult:
    """One thing looked at: "ok", "note" (fine, but good to know) or "wrong"."""

    what: str
    state: str
    detail: str


Check = Callable[[Settings], Coroutine[Any, Any, CheckResult]]


@errors_told
def doctor(as_json: bool = json_option) -> None:
    """Look at everything that NetGPT needs and say what is wrong. Exit code 1 when something is."""
    findings = run(_examine())
    if as_json:
        print_json([vars(f) for f in findings])
    else:
        print_table(["what", "state", "detail"], [(f.what, f.state, f.detail) for f in findings])
    raise typer.Exit(1 if any(f.state == "wrong" for f in findings) else 0)


async def _examine() -> list[CheckResult]:
    versions = f"netgpt {metadata.version('netgpt')}, Python {sys.version.split()[0]}, {sys.platform}"
    findings = [CheckResult("versions", "ok", versions)]
    try:
        settings = load_settings()
    except NetGPTError as error:
        return [*findings, CheckResult("settings", "wrong", error.message)]
    findings.append(CheckResult("settings", "ok", f"home {settings.home}"))
    for name, check in CHECKS.items():
        try:
            if name != "upstreams" or settings.upstreams:
                findings.append(await check(settings))
        except NetGPTError as error:
            findings.append(CheckResult(name, "wrong", error.message))
    return findings


async def _disk(settings: Settings) -> CheckResult:
    folder = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    state = "ok" if free > max(settings.store.min_free_bytes, 200_000_000) else "wrong"
    return CheckResult("disk", state, f"{free / 1e9:.1f} GB free at {folder}")


async def _store(settings: Settings) -> CheckResult:
    from netgpt.store.from_settings import open_store

    store = open_store(settings)
    try:
        keys = await store.has_keys()
        # A write: is the database free and writable?
        await store.delete_expired(datetime.now(UTC), 36_500, 36_500, 36_500)
    finally:
        await store.close()
    state, modes = doctor_at_rest.modes(settings)
    who = "keys are needed" if keys else "no key exists: loopback callers need none"
    return CheckResult("store", state, f"{modes}; {who}")


def _at_rest(what: str, look: Callable[[Settings], Coroutine[Any, Any, doctor_at_rest.State]]) -> Check:
    async def check(settings: Settings) -> CheckResult:
        return CheckResult(what, *await look(settings))

    return check


async def _engine(settings: Settings) -> CheckResult:
    if settings.edge.base_url is not None:
        return await _remote("edge", settings.edge.base_url, 5.0)
    from netgpt.models.catalog import Catalog
    from netgpt.models.engine import Engine

    path = Catalog(settings.models_dir).resolve(settings.edge.model)
    engine = Engine(
        path,
        context_tokens=settings.edge.context_tokens,
        slots=settings.edge.slots,
        threads=settings.edge.threads,
        log_path=settings.home / "doctor-engine.log",
    )
    started = time.perf_counter()
    try:
        await engine.start()
        took = time.perf_counter() - started
    finally:
        await engine.stop(0)
        (settings.home / "doctor-engine.log").unlink(missing_ok=True)
    return CheckResult("edge model", "ok", f"{path.name} answers after {took:.1f} s")


async def _detector(settings: Settings) -> CheckResult:
    from netgpt.privacy.process import DetectorProcess

    detector = DetectorProcess(names=settings.privacy.names, timeout_s=settings.privacy.timeout_s)
    try:
        await detector.start()
        spans = await detector.detect(["Write to jo@example.org about the meeting."])
    finally:
        await detector.close()
    if not any(span.kind == "EMAIL" for span in spans[0]):
        return CheckResult("detector", "wrong", "it missed an e-mail address in a trial; reinstall netgpt")
    return CheckResult("detector", "ok", "patterns" + (" and names" if settings.privacy.names else " only"))


async def _cloud(settings: Settings) -> CheckResult:
    if settings.cloud.base_url is None:
        alone = "there are only upstreams" if settings.upstreams else "the box answers alone"
        return CheckResult("cloud", "note", f"none configured: {alone} (set cloud.base_url)")
    return await _remote("cloud", settings.cloud.base_url, settings.cloud.connect_timeout_s)


async def _upstreams(settings: Settings) -> CheckResult:
    """All of them at once; the first that is wrong is told."""
    import asyncio

    upstreams = settings.upstreams
    found = await asyncio.gather(
        *(_remote(f"upstreams.{each.name}", each.base_url or "", each.connect_timeout_s) for each in upstreams)
    )
    if wrong := [each.detail for each in found if each.state != "ok"]:
        return CheckResult("upstreams", "wrong", "; ".join(wrong))
    return CheckResult(
        "upstreams", "ok", "; ".join(f"{u.name}: {f.detail}" for u, f in zip(upstreams, found, strict=True))
    )


async def _remote(what: str, base_url: str, timeout_s: float) -> CheckResult:
    """Open and close a connection: nothing is asked, so nothing is told and nothing is spent."""
    import asyncio

    import httpx

    url = httpx.URL(base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(url.host, port)
    except (OSError, TimeoutError):
        return CheckResult(what, "wrong", f"nobody answers at {url.host}:{port}; check {what}.base_url and the network")
    writer.close()
    return CheckResult(what, "ok", f"{url.host}:{port} accepts connections (the key was not tried)")


CHECKS: dict[str, Check] = {
    "disk": _disk,
    "store": _store,
    "key": _at_rest("key", doctor_at_rest.key),
    "policy": _at_rest("policy", doctor_at_rest.policy),
    "tls": _at_rest("tls", doctor_at_rest.tls),
    "receipts": _at_rest("receipts", doctor_at_rest.receipts),
    "retention": _at_rest("retention", doctor_at_rest.retention),
    "edge model": _engine,
    "detector": _detector,
    "cloud": _cloud,
    "upstreams": _upstreams,
    "box": _at_rest("box", doctor_signals.box),
    "insights": _at_rest("insights", doctor_signals.insights),
}
