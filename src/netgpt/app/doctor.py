"""What works here, what does not, and the cure: for `netgpt doctor`, and for the gateway that runs."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from netgpt.errors import NetGPTError
from netgpt.registry import BUILT_IN, PluginRegistry
from netgpt.settings import Settings
from netgpt.settings.sections import Cloud
from netgpt.types import EDGE, display_name

if TYPE_CHECKING:
    from netgpt.app.gateway import Gateway
    from netgpt.privacy.detector import Detector
    from netgpt.store.store import Store


log = logging.getLogger(__name__)

PLUGGED: Final = {
    "detector": "netgpt.privacy.registry:DETECTORS",
    "stage": "netgpt.stages:STAGES",
    "signal": "netgpt.routing.signals:SIGNALS",
    "recipe": "netgpt.training.recipes:RECIPES",
    "model source": "netgpt.models.catalog:BUNDLED",
}
"""Sort of plug-in -> its registry."""
Row = dict[str, str]


class CheckResult(NamedTuple):
    """What a check found: "ok", "note" (fine, but good to know) or "wrong", and a sentence with the cure."""

    state: str
    detail: str


class BoxCheck(Protocol):
    """One look at a box: at its settings and home, and at the gateway in this process where one runs."""

    def __call__(self, settings: Settings, here: Gateway | None = None) -> Coroutine[Any, Any, CheckResult]: ...


LONGEST_S: Final = 30.0
"""No check takes longer, in seconds."""


async def examine(
    settings: Settings, here: Gateway | None = None, checks: Mapping[str, BoxCheck] | None = None
) -> AsyncIterator[tuple[str, CheckResult]]:
    """Each thing that NetGPT needs, with what was found, one after the other."""
    versions = f"netgpt {metadata.version('netgpt')}, Python {sys.version.split()[0]}, {sys.platform}"
    yield "versions", CheckResult("ok", versions)
    yield "settings", CheckResult("ok", f"home {settings.home}")
    for name, check in (CHECKS if checks is None else checks).items():
        if name != "upstreams" or settings.upstreams:
            yield name, await _found_by(check, settings, here)


async def _found_by(check: BoxCheck, settings: Settings, here: Gateway | None) -> CheckResult:
    """What a check finds. In a gateway that runs it ends in time, and an unforeseen failure is one row."""
    try:
        async with asyncio.timeout(LONGEST_S if here is not None else None):
            return await check(settings, here)
    except NetGPTError as error:
        return CheckResult("wrong", error.message)
    except TimeoutError:
        return CheckResult("wrong", f"it took longer than {LONGEST_S:g} s: the machine is too busy, or something hangs")
    except Exception as error:
        if here is None:
            raise
        log.error("doctor: unforeseen %s", type(error).__name__)
        return CheckResult("wrong", f"unforeseen {type(error).__name__}: `netgpt doctor` on the box tells more")


@asynccontextmanager
async def _store(settings: Settings, here: Gateway | None) -> AsyncIterator[Store]:
    """The gateway's store, or one of our own."""
    if here is not None:
        yield here.store
        return
    from netgpt.store.store import open_store

    store = open_store(settings)
    try:
        yield store
    finally:
        await store.close()


def row_of(target: str) -> str:
    """The row of a target in what is found."""
    return {EDGE: "edge model", "cloud": "cloud"}.get(target, f"upstream {target}")


async def try_clouds(settings: Settings, here: Gateway | None = None) -> dict[str, CheckResult]:
    """Ask each model elsewhere one short question, sealed and with a receipt as any other; its answer is cut short."""
    try:
        async with _detector(settings, here) as detector, _store(settings, here) as store:
            found = {each: await _answers(settings, each, detector, store) for each in settings.remotes}
        return {row_of(target): each for target, each in found.items()}
    except NetGPTError as error:
        return {"cloud": CheckResult("wrong", f"it was not tried: {error.message}")}


@asynccontextmanager
async def _detector(settings: Settings, here: Gateway | None) -> AsyncIterator[Detector]:
    """The gateway's detector, or one of our own, started."""
    if here is not None and here.needs_detector:
        yield here.detector
        return
    from netgpt.app.factory import open_detector

    detector = open_detector(settings)
    try:
        await detector.start()
        yield detector
    finally:
        await detector.close()


async def _answers(settings: Settings, target: str, detector: Detector, store: Store) -> CheckResult:
    """Whether one model elsewhere answers with the key, the model's name and the address that are set."""
    from netgpt.app.factory import open_remote
    from netgpt.dialects.clouds import encoder_of
    from netgpt.privacy.vault import Vault
    from netgpt.stages.record import receipts_in
    from netgpt.types import Sender

    remote, question = settings.remotes[target], "Say: ok"
    body = {"model": remote.model, "messages": [{"role": "user", "content": question}], "stream": True}
    began, model = time.perf_counter(), None
    try:
        outbound = await Vault().seal(
            body, detector, trusted=remote.trusted, public=[question], encode=encoder_of(remote)
        )
        model = open_remote(target, remote, receipts_in(store, keep_text=settings.store.keep_text))
        async with aclosing(cast(Any, model.send(outbound, sender=Sender(purpose="doctor")))) as chunks:
            await anext(chunks)
    except NetGPTError as error:
        return CheckResult("wrong", error.message)
    finally:
        if model is not None:
            await model.close()
    took_s = time.perf_counter() - began
    return CheckResult("ok", f"it answered after {took_s:.1f} s: address, key and model {remote.model} are right")


async def check_disk(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether there is room below the home folder."""
    folder = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    state = "ok" if free > max(settings.store.min_free_bytes, 200_000_000) else "wrong"
    return CheckResult(state, f"{free / 1e9:.1f} GB free at {folder}")


async def check_store(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the database can be written, and by whom it can be read."""
    async with _store(settings, here) as store:
        keys, changed = await store.has_keys(), await store.key_faults()
        # A write: is the database free and writable?
        await store.delete_expired(datetime.now(UTC), 36_500, 36_500, 36_500)
        where = "" if settings.store.url is None else f"{store.name}; "
    if changed:
        return CheckResult("wrong", f"somebody changed the database: {'; '.join(changed[:5])}: `netgpt store check`")
    state, modes = check_modes(settings)
    if state == "ok" and where and settings.database.exists():
        cure = "`netgpt store move` takes it over; else move it away"
        return CheckResult("note", f"{where}{settings.database} is not used: {cure}")
    need = "keys are needed" if keys else "no key exists: loopback callers need none"
    return CheckResult(state, f"{where}{modes}; {need}")


def check_modes(settings: Settings) -> CheckResult:
    """Whether anybody else could read what lies in the home folder."""
    here = [path for path in (settings.home, settings.database, settings.key_file) if path.exists()]
    if open_to_others := [str(path) for path in here if path.stat().st_mode & 0o077]:
        return CheckResult("wrong", f"others can read it: chmod go= {' '.join(open_to_others)}")
    return CheckResult("ok", ", ".join(f"{path.name} {path.stat().st_mode & 0o777:o}" for path in here))


async def check_key(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Where the sealing key comes from, and whether a change of it is unfinished."""
    async with _store(settings, here) as store:
        known = await store.sealing.info()
    if known.key_kind == "file" and len(known.key_ids) > 1:
        cut = f"{known.key_source}: a change of the key was cut; `netgpt store rotate` finishes it"
        return CheckResult("wrong", cut)
    source = f"{known.key_kind}, key {known.key_ids[0]}"
    if known.key_kind != "file" and settings.key_file.exists():
        return CheckResult("note", f"{source}; {settings.key_file} is not used: move it away")
    return CheckResult("ok", source)


async def check_policy(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the rules in force can be read."""
    from netgpt.policy import Policy

    rules = Policy.load(settings.policy.set)
    if rules.name == "open":
        return CheckResult("note", "open: nothing is kept on the box; set policy.set to balanced, strict or health")
    return CheckResult("ok", rules.name)


async def check_tls(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether callers and the clouds are reached over TLS."""
    from netgpt.app.tls import server_tls

    context, remarks = server_tls(settings.server)
    if remarks:
        return CheckResult("note", " ".join(remarks))
    for target, remote in settings.remotes.items():
        url = remote.base_url or ""
        if url.startswith("http://") and not any(here in url for here in ("//127.", "//localhost", "//[::1]")):
            cure = f"set {'cloud' if target == 'cloud' else f'upstreams.{target}'}.base_url to https://"
            plain = f"{display_name(target)} is asked over plain http, which others can read: {cure}"
            return CheckResult("wrong", plain)
    return CheckResult("ok", "https" if context else f"plain http on {settings.server.host}")


async def check_receipts(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the chain of receipts is whole, and is the one that was noted outside."""
    from netgpt.app.heads import head_faults

    async with _store(settings, here) as store:
        checked = await store.receipts.verify()
        noted = await head_faults(store, settings.head_file)
    if noted:
        return CheckResult("wrong", "; ".join(noted))
    if not checked.whole:
        return CheckResult("wrong", f"{len(checked.faults)} faults in the chain: `netgpt receipts verify` names them")
    return CheckResult("ok", f"{checked.receipts} receipts, whole; head {str(checked.head)[:24]}")


async def check_adapters(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether adapters and the list of weights are as this box wrote them."""
    async with _store(settings, here) as store:
        found = await asyncio.to_thread(_compared, settings, store)
    if isinstance(found, dict):
        return CheckResult("wrong", f"{'; '.join(f'{id} {what}' for id, what in found.items())}: `netgpt store check`")
    return CheckResult("ok", f"{found} adapters, as this box wrote them")


def _compared(settings: Settings, store: Store) -> dict[str, str] | int:
    """What was changed by others, else how many adapters are here. It reads all of them."""
    from netgpt.adapters.registry import Registry, shipped_adapters
    from netgpt.app.capability import ProfileFile
    from netgpt.models.catalog import Catalog

    registry = Registry(settings.adapters_dir, shipped_adapters(), proof=store.files)
    wrong = registry.tampered() | Catalog(settings.models_dir, store.files).tampered()
    wrong |= ProfileFile(settings.home, store.files).tampered()
    return dict(wrong) if wrong else len(registry.list())


async def check_retention(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """How long what is kept."""
    kept, learnt = settings.store, settings.training.keep_examples_days
    days = f"exchanges {kept.keep_exchanges_days:g}, maps {kept.keep_maps_days:g}, receipts {kept.keep_receipts_days:g}"
    texts = "kept sealed" if kept.keep_text else "not kept"
    return CheckResult("ok", f"in days: {days}, examples {learnt:g}; texts are {texts}")


async def check_edge(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the model on the box answers: the built-in one is started for it."""
    if here is not None and here.engine is not None:
        health = here.edge.health()
        return CheckResult("ok" if health.ok and not health.fault else "wrong", health.fault or health.detail)
    if settings.edge.base_url is not None:
        return await _connects("edge", Cloud(base_url=settings.edge.base_url))
    if settings.edge.is_off:
        return CheckResult("note", "there is none (edge.model): what may not leave is refused")
    from netgpt.models.catalog import Catalog
    from netgpt.models.engine import Engine

    edge = settings.edge
    async with _store(settings, here) as store:
        path = Catalog(settings.models_dir, store.files).resolve(edge.model)
    log = settings.home / "doctor-engine.log"
    engine = Engine(path, context_tokens=edge.context_tokens, slots=edge.slots, threads=edge.threads, log_path=log)
    started = time.perf_counter()
    try:
        await engine.start()
        took = time.perf_counter() - started
    finally:
        await engine.stop(0)
        log.unlink(missing_ok=True)
    return CheckResult("ok", f"{path.name} answers after {took:.1f} s")


async def check_models(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the model that answers on the box is meant for that, and what else is here."""
    from netgpt.models.found import look_for_models
    from netgpt.models.offers import NOT_FOR_ANSWERS

    found, remarks = await asyncio.to_thread(look_for_models, settings.models.found_in)
    others = f"{len(found)} models of other programs are here: `netgpt models list`" if found else ""
    passed = f"{len(remarks)} were passed over (it says why)" if remarks else ""
    more = "; ".join(each for each in (others, passed) if each)
    if not answers_with_bundled(settings):
        return CheckResult("ok", f"{settings.edge.model} answers on the box{f'; {more}' if more else ''}")
    alone = not settings.remotes
    return CheckResult("note" if alone or found else "ok", f"{NOT_FOR_ANSWERS}{f' {more}' if more else ''}")


def answers_with_bundled(settings: Settings) -> bool:
    """Whether answers of the box come from the bundled model."""
    return settings.edge.base_url is None and settings.edge.model == "smollm2-135m"


async def check_encoder(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether sentences can be encoded: the box works without, and less well."""
    from netgpt.app.embeddings import Embeddings
    from netgpt.word_pieces import StaticEmbedder

    if here is not None:
        found = here.embeddings.health()
        return CheckResult("ok" if found.ok else "note", found.detail)
    embeddings = Embeddings(settings, StaticEmbedder())
    await embeddings.start()
    return CheckResult("ok" if embeddings.encoder else "note", embeddings.health().detail)


async def check_relevance(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the model of relevance can choose among facts: the box works without, and less well."""
    from netgpt.app.embeddings import Embeddings
    from netgpt.app.relevance import open_relevance
    from netgpt.word_pieces import StaticEmbedder

    if here is not None:
        found = here.relevance.health()
        return CheckResult("ok" if found.ok else "note", found.detail)
    embeddings = Embeddings(settings, StaticEmbedder())
    await embeddings.start()
    health = (await open_relevance(embeddings, settings.completion.relevance)).health
    return CheckResult("ok" if health.ok else "note", health.detail)


async def check_detector(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the detector starts and finds an e-mail address."""
    from netgpt.privacy.scripts import checked, read_scripts

    async with _detector(settings, here) as detector:
        spans = await detector.detect(["Write to jo@example.org about the meeting."])
    if not any(span.kind == "EMAIL" for span in spans[0]):
        return CheckResult("wrong", "it missed an e-mail address in a trial; reinstall netgpt")
    scripts = ", ".join(sorted(read_scripts(checked(settings.privacy.languages))))
    return CheckResult("ok", f"patterns, and names in {scripts}" if settings.privacy.names else "patterns only")


async def check_cloud(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the cloud accepts connections."""
    if settings.cloud.base_url is None:
        alone = "there are only upstreams" if settings.upstreams else "the box answers alone"
        return CheckResult("note", f"none configured: {alone} (set cloud.base_url)")
    return await _connects("cloud", settings.cloud)


async def check_upstreams(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Whether the upstreams accept connections: all at once, and the wrong ones are named."""
    ups = settings.upstreams
    tries = (_connects(f"upstreams.{each.name}", each) for each in ups)
    found = await asyncio.gather(*tries)
    if wrong := [each.detail for each in found if each.state != "ok"]:
        return CheckResult("wrong", "; ".join(wrong))
    return CheckResult("ok", "; ".join(f"{u.name}: {each.detail}" for u, each in zip(ups, found, strict=True)))


async def check_gateway(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """What can be sampled on this machine, and whether links are probed."""
    from netgpt.routing.system import SystemSampler

    sampler = SystemSampler(power_w=settings.signals.power_w)
    await asyncio.to_thread(sampler.sample)
    await asyncio.sleep(0.1)
    view = await asyncio.to_thread(sampler.sample)
    sampled = {
        "cores": view.cpu, "memory": view.memory, "pressure": view.cpu_pressure, "temperature": view.temperature_c,
        "accelerator": view.gpu, "power": view.power_w,
    }  # fmt: skip
    missing = ", ".join(name for name, value in sampled.items() if value is None)
    seen = ", ".join(name for name, value in sampled.items() if value is not None)
    every = settings.signals.probe_s
    probes = f"a silent link is probed after {every:g} s" if every else "no probes"
    return CheckResult("ok", f"this machine measures {seen}{f' (not {missing})' if missing else ''}; {probes}")


async def check_plugins(
    settings: Settings, here: Gateway | None = None, listing: Callable[[], list[Row]] | None = None
) -> CheckResult:
    """Whether everything that other packages plug in can be used."""
    rows = plugged() if listing is None else listing()
    if refused := [row for row in rows if row["state"] == "refused"]:
        faults = "; ".join(f"{row['sort']} {row['name']} ({row['from']}): {row['why']}" for row in refused)
        return CheckResult("wrong", faults)
    return CheckResult("ok", ", ".join(f"{row['name']} ({row['state']})" for row in rows) or "none")


def plugged(*, built_in: bool = False) -> list[Row]:
    """What other packages plug in, commands apart: rows of sort, name, origin, state (active, off, refused) and why."""
    rows = []
    for sort, home in PLUGGED.items():
        module, _, name = home.partition(":")
        registry: PluginRegistry[object] = getattr(import_module(module), name)
        entries = [entry for entry in registry.entries() if built_in or entry.origin != BUILT_IN]
        rows += [plugin_row(sort, entry.name, entry.origin, entry.state, entry.why) for entry in entries]
    return rows


def plugin_row(sort: str, name: str, origin: str, state: str, why: str) -> Row:
    return {"sort": sort, "name": name, "from": origin, "state": state, "why": why}


async def check_insights(settings: Settings, here: Gateway | None = None) -> CheckResult:
    """Ask each configured source of the operator's network once."""
    from netgpt.app.routing import network_sources
    from netgpt.telco import InsightClient

    sources = network_sources(settings.insights)
    if not sources:
        return CheckResult("note", "none configured: links are judged by what is measured alone (see [insights])")
    client = InsightClient(timeout_s=settings.insights.timeout_s, ca_file=settings.insights.ca_file)
    try:
        answers = await asyncio.gather(*(source.ask(client) for source in sources))
    finally:
        await client.close()
    details = "; ".join(f"{source.name}: {each.detail}" for source, each in zip(sources, answers, strict=True))
    return CheckResult("ok" if all(each.ok for each in answers) else "wrong", details)


async def _connects(section: str, remote: Cloud) -> CheckResult:
    """Open and close a connection, to the proxy where there is one: nothing is sent, so nothing is spent."""
    from netgpt.models.addresses import address_of, proxy_of

    server, (text, source) = address_of(remote.base_url or "", section), remote.way
    proxy = proxy_of(text, section, server.url.host)
    named = f"{section}.proxy" if source == "proxy" else f"{source} of the environment"
    host, port = (server.url.host, server.port) if proxy is None else (proxy.host, proxy.port)
    try:
        async with asyncio.timeout(remote.connect_timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        where = f"{section}.base_url" if proxy is None else f"{named}, the proxy towards {server.url.host},"
        return CheckResult("wrong", f"nobody answers at {host}:{port}; check {where} and the network")
    writer.close()
    untried = "(the key was not tried: --try-cloud)"
    if proxy is not None:
        beyond = f"{server.url.host}:{server.port} is reached through the proxy {proxy}, by {named}, which accepts"
        return CheckResult("ok", f"{beyond} connections {untried}")
    return CheckResult("ok", f"{host}:{port} accepts connections {untried}")


CHECKS: Final[dict[str, BoxCheck]] = {
    "disk": check_disk, "store": check_store, "key": check_key, "policy": check_policy, "tls": check_tls,
    "receipts": check_receipts, "adapters": check_adapters, "retention": check_retention, "edge model": check_edge,
    "models": check_models,
    "encoder": check_encoder, "relevance": check_relevance, "detector": check_detector, "cloud": check_cloud,
    "upstreams": check_upstreams, "box": check_gateway, "insights": check_insights, "plugins": check_plugins,
}  # fmt: skip
