"""What `netgpt doctor` says of the signals: what this machine tells of itself, and whether the network's word comes."""

from __future__ import annotations

import asyncio

from netgpt.cli.doctor_at_rest import State
from netgpt.settings import Settings

__all__ = ["box", "insights"]


async def box(settings: Settings) -> State:
    """What can be sampled here, and whether links are probed."""
    from netgpt.routing.box import BoxSampler

    sampler = BoxSampler(power_w=settings.signals.power_w)
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


async def insights(settings: Settings) -> State:
    """Ask each configured source of the operator's network once."""
    from netgpt.insights.asking import Asker
    from netgpt.parts.signals import network_sources

    sources = network_sources(settings.insights)
    if not sources:
        return "note", "none configured: links are judged by what is measured alone (see [insights])"
    asker = Asker(timeout_s=settings.insights.timeout_s, ca_file=settings.insights.ca_file)
    try:
        heard = await asyncio.gather(*(source.ask(asker) for source in sources))
    finally:
        await asker.close()
    told = "; ".join(f"{source.name}: {each.detail}" for source, each in zip(sources, heard, strict=True))
    return ("ok" if all(each.ok for each in heard) else "wrong"), told
