"""`netgpt doctor`: what works here, what does not, and the cure."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import typer

from netgpt.cli.common import json_option, opened, print_json, print_table, reports_errors, run
from netgpt.errors import NetGPTError
from netgpt.settings import Settings, load_settings
from netgpt.types import display_name

# --- What `netgpt doctor` says of keys, rules, certificates, receipts and retention, each with the cure.

State = tuple[str, str]
""" "ok", "note" or "wrong", and what to say."""


def check_modes(settings: Settings) -> State:
    """Whether anybody else could read what lies in the home folder."""
    files = [settings.home, settings.database, settings.key_file]
    here = [path for path in files if path.exists()]
    open_to_others = [path for path in here if path.stat().st_mode & 0o077]
    if open_to_others:
        return "wrong", f"others can read it: chmod go= {' '.join(map(str, open_to_others))}"
    return "ok", ", ".join(f"{path.name} {path.stat().st_mode & 0o777:o}" for path in here)


async def check_key(settings: Settings) -> State:
    """Where the sealing key comes from, and whether a change of it is unfinished."""
    async with opened(settings) as store:
        known = await store.sealing.info()
    if known.key_kind == "file" and len(known.key_ids) > 1:
        return "wrong", f"{known.key_source}: a change of the key was cut; `netgpt store rotate` finishes it"
    lies_about = known.key_kind != "file" and settings.key_file.exists()
    if lies_about:
        return "note", f"{known.key_kind}, key {known.key_ids[0]}; {settings.key_file} is not used: move it away"
    return "ok", f"{known.key_kind}, key {known.key_ids[0]}"


async def check_policy(settings: Settings) -> State:
    """Whether the rules in force can be read."""
    from netgpt.policy import Policy

    rules = Policy.load(settings.policy.set)
    if rules.name == "open":
        return "note", "open: nothing is kept on the box; set policy.set to balanced, strict or health"
    return "ok", rules.name


async def check_tls(settings: Settings) -> State:
    """Whether callers and the cloud are spoken to in secret."""
    from netgpt.web.tls import server_tls

    context, remarks = server_tls(settings.server)
    if remarks:
        return "note", " ".join(remarks)
    for target, remote in settings.remotes.items():
        url = remote.base_url or ""
        if url.startswith("http://") and not any(here in url for here in ("//127.", "//localhost", "//[::1]")):
            section = "cloud" if target == "cloud" else f"upstreams.{target}"
            return (
                "wrong",
                f"{display_name(target)} is asked over plain http, which others can read: set {section}.base_url to https://",
            )
    return "ok", "https" if context else f"plain http on {settings.server.host}"


async def check_receipts(settings: Settings) -> State:
    """Whether the chain of receipts is whole."""
    async with opened(settings) as store:
        checked = await store.receipts.verify()
    if not checked.whole:
        return "wrong", f"{len(checked.faults)} faults in the chain: `netgpt receipts verify` names them"
    return "ok", f"{checked.receipts} receipts, whole; head {str(checked.head)[:24]}"


async def check_retention(settings: Settings) -> State:
    """How long what is kept."""
    kept, learnt = settings.store, settings.training.keep_examples_days
    days = f"exchanges {kept.keep_exchanges_days:g}, maps {kept.keep_maps_days:g}, receipts {kept.keep_receipts_days:g}"
    return "ok", f"in days: {days}, examples {learnt:g}; texts are {'kept sealed' if kept.keep_text else 'not kept'}"


async def check_plugins(_settings: Settings) -> State:
    """Whether everything that other packages plug in can be used."""
    from netgpt.cli.plugins import listing

    rows = listing()
    if refused := [row for row in rows if row["state"] == "refused"]:
        return "wrong", "; ".join(f"{row['sort']} {row['name']} ({row['from']}): {row['why']}" for row in refused)
    return "ok", ", ".join(f"{row['name']} ({row['state']})" for row in rows) or "none"


# --- What `netgpt doctor` says of the signals: what this machine tells of itself, and whether the network's word comes.


async def check_gateway(settings: Settings) -> State:
    """What can be sampled here, and whether links are probed."""
    from netgpt.routing.system import SystemSampler

    sampler = SystemSampler(power_w=settings.signals.power_w)
    await asyncio.to_thread(sampler.sample)
    await asyncio.sleep(0.1)
    view = await asyncio.to_thread(sampler.sample)
    told = {
        "cores": view.cpu, "memory": view.memory, "pressure": view.cpu_pressure, "temperature": view.temperature_c,
        "accelerator": view.gpu, "power": view.power_w,
    }  # fmt: skip
    silent = [name for name, value in told.items() if value is None]
    seen = ", ".join(name for name, value in told.items() if value is not None)
    probes = (
        f"a silent link is probed after {settings.signals.probe_s:g} s" if settings.signals.probe_s else "no probes"
    )
    return "ok", f"this machine tells of {seen}" + (f" (not of {', '.join(silent)})" if silent else "") + f"; {probes}"


async def check_insights(settings: Settings) -> State:
    """Ask each configured source of the operator's network once."""
    from netgpt.app.routing import network_sources
    from netgpt.telco import Asker

    sources = network_sources(settings.insights)
    if not sources:
        return "note", "none configured: links are judged by what is measured alone (see [insights])"
    asker = Asker(timeout_s=settings.insights.timeout_s, ca_file=settings.insights.ca_file)
    try:
        is_up = await asyncio.gather(*(source.ask(asker) for source in sources))
    finally:
        await asker.close()
    told = "; ".join(f"{source.name}: {each.detail}" for source, each in zip(sources, is_up, strict=True))
    return ("ok" if all(each.ok for each in is_up) else "wrong"), told


@dataclass(frozen=True)
class CheckResult:
    """One thing looked at: "ok", "note" (fine, but good to know) or "wrong"."""

    what: str
    state: str
    detail: str


Check = Callable[[Settings], Coroutine[Any, Any, CheckResult]]


@reports_errors
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
    async with opened(settings) as store:
        keys = await store.has_keys()
        # A write: is the database free and writable?
        await store.delete_expired(datetime.now(UTC), 36_500, 36_500, 36_500)
    state, modes = check_modes(settings)
    who = "keys are needed" if keys else "no key exists: loopback callers need none"
    return CheckResult("store", state, f"{modes}; {who}")


def _at_rest(what: str, look: Callable[[Settings], Coroutine[Any, Any, State]]) -> Check:
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
    from netgpt.app.factory import open_detector

    detector = open_detector(settings)
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
    "key": _at_rest("key", check_key),
    "policy": _at_rest("policy", check_policy),
    "tls": _at_rest("tls", check_tls),
    "receipts": _at_rest("receipts", check_receipts),
    "retention": _at_rest("retention", check_retention),
    "edge model": _engine,
    "detector": _detector,
    "cloud": _cloud,
    "upstreams": _upstreams,
    "box": _at_rest("box", check_gateway),
    "insights": _at_rest("insights", check_insights),
    "plugins": _at_rest("plugins", check_plugins),
}
