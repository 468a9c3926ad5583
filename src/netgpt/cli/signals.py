"""`netgpt signals`: the telemetry of a running gateway: links, models and the box."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import typer

from netgpt.cli.common import console, json_option, print_json, read_settings, reports_errors
from netgpt.errors import ModelUnavailable, PermissionDenied
from netgpt.settings import Settings

Cell = tuple[str, Callable[[float], str]]


def _ms(value: float) -> str:
    return f"{value * 1000:,.0f} ms" if value >= 0.01 else f"{value * 1000:.1f} ms"


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.1 or value == 0 else f"{value:.1%}"


def _mbit(value: float) -> str:
    return f"{value / 125_000:,.1f} Mbit/s"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


_LINK: dict[str, Cell] = {
    "rtt_s": ("round trip", _ms),
    "jitter_s": ("jitter", _ms),
    "loss": ("loss", _share),
    "up_bytes_s": ("up", _mbit),
    "down_bytes_s": ("down", _mbit),
    "first_byte_s": ("first byte", _ms),
    "tokens_s": ("tokens/s", _plain),
    "failures": ("failing", _share),
}
_BOX: dict[str, Cell] = {
    "cpu": ("cores at work", _share),
    "memory": ("memory in use", _share),
    "cpu_pressure": ("waiting for a core", _share),
    "memory_pressure": ("waiting for memory", _share),
    "temperature_c": ("hottest sensor", lambda value: f"{value:.0f} °C"),
    "gpu": ("accelerator at work", _share),
    "gpu_memory": ("its memory in use", _share),
    "power_w": ("power", lambda value: f"{value:.0f} W"),
    "engine_tokens_s": ("edge writes", lambda value: f"{value:.0f} tokens/s"),
    "engine_prompt_tokens_s": ("edge reads", lambda value: f"{value:.0f} tokens/s"),
}
FAINT = 0.2
"""What is less sure than this is shown faintly."""


@reports_errors
def signals(
    watch: bool = typer.Option(False, "--watch", help="Show it anew every second, until Ctrl-C."),
    url: str = typer.Option(None, help="Where the gateway is; by default as [server] says."),
    key: str = typer.Option(
        None, envvar="NETGPT_KEY", help="An operator's key; none is needed on loopback while no key exists."
    ),
    as_json: bool = json_option,
) -> None:
    """The telemetry of a running gateway: links, models and the box.

    Each figure has an age and a confidence (see --json); what is old or was seen once is shown faintly.
    """
    settings = read_settings()
    ask = _asker(settings, url, key)
    if as_json:
        print_json(ask())
    elif watch:
        _watch(ask)
    else:
        from rich.console import Console

        Console().print(_picture(ask()))


def _watch(ask: Callable[[], Mapping[str, Any]]) -> None:
    from rich.live import Live

    with Live(_picture(ask()), console=console, refresh_per_second=2, screen=False) as live:
        while True:
            time.sleep(1.0)
            live.update(_picture(ask()))


def _asker(settings: Settings, url: str | None, key: str | None) -> Callable[[], Mapping[str, Any]]:
    """Asks the gateway. Raises ModelUnavailable: nobody is there; PermissionDenied: not with this key."""
    import httpx

    where = (url or own_address(settings)).rstrip("/")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    verify: Any = True
    if url is None and settings.server.tls_cert is not None:
        import ssl

        verify = ssl.create_default_context(cafile=settings.server.tls_cert)
    client = httpx.Client(trust_env=False, timeout=5.0, headers=headers, verify=verify)

    def ask() -> Mapping[str, Any]:
        try:
            answer = client.get(f"{where}/v1/signals")
        except (httpx.HTTPError, httpx.InvalidURL):
            cure = "start one with `netgpt serve`, or give --url"
            raise ModelUnavailable(f"no gateway answers at {where}: {cure}") from None
        if answer.status_code in (401, 403):
            raise PermissionDenied("the gateway wants an operator's key: set NETGPT_KEY, or give --key")
        if answer.status_code != 200:
            raise ModelUnavailable(f"{where} answered {answer.status_code}; is it a NetGPT gateway of this version?")
        return dict(answer.json())

    return ask


def own_address(settings: Settings) -> str:
    """Where the gateway of these settings listens, as this machine reaches it."""
    server = settings.server
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)  # noqa: S104 - read, not bound
    return f"{'https' if server.tls_cert else 'http'}://{host}:{server.port}"


def _picture(signals: Mapping[str, Any]) -> Any:
    """Tables of links and box."""
    from rich.console import Group
    from rich.text import Text

    sources = {**signals.get("insights", {}), **signals.get("plugins", {})}
    lines = [Text(f"{name}: {detail}", style="dim") for name, detail in sources.items()]
    faults = [Text(f"{target}: {words}", style="red") for target, words in signals.get("faults", {}).items()]
    return Group(_links(signals["links"]), *faults, _gateway(signals["box"]), *lines)


def _links(links: Mapping[str, Mapping[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="links", title_justify="left")
    shown = {field: cell for field, cell in _LINK.items() if any(link[field] for link in links.values())}
    for name in ("target", *(cell[0] for cell in shown.values()), "under way", "calls", "the network says"):
        table.add_column(name)
    for target, link in links.items():
        cells = [_cell(link[field], form) for field, (_, form) in shown.items()]
        calls = f"{link['calls']}" + (f", {link['failed']} failed" if link["failed"] else "")
        table.add_row(Text(target), *cells, str(link["in_flight"]), calls, Text(link["hint"]))
    if not links:
        table.add_row("(no call yet)")
    return table


def _cell(estimate: Mapping[str, float] | None, form: Callable[[float], str]) -> Any:
    from rich.text import Text

    if estimate is None:
        return Text("")
    return Text(form(estimate["value"]), style="dim" if estimate["confidence"] < FAINT else "")


def _gateway(gateway: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title="box", title_justify="left", show_header=False)
    busy = f"{gateway['engine_busy']} of {gateway['engine_slots']}, {gateway['engine_waiting']} wait"
    table.add_row("edge writes at once", busy)
    for field, (name, form) in _BOX.items():
        if gateway[field] is not None:
            table.add_row(name, form(gateway[field]))
    return table
