"""The signals of a box: who is watched, who is probed, what is sampled. Put together by `build.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from pydantic import SecretStr

from netgpt.errors import SettingsError
from netgpt.insights.asking import Asker, Token
from netgpt.insights.insight import Insight, InsightSource
from netgpt.insights.quality import QualityOfLine
from netgpt.insights.radio import RadioInformation
from netgpt.insights.watch import InsightWatch
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.models.observing import Observer
from netgpt.models.openai import CloudModel
from netgpt.routing.box import BoxWatch
from netgpt.routing.hints import Hint
from netgpt.routing.link import Link
from netgpt.routing.probing import IN_USE_S, Address, Prober
from netgpt.routing.signals import Signals
from netgpt.settings import Insights, Settings

__all__ = ["Sensing", "network_sources"]


@runtime_checkable
class Watchable(Protocol):
    """A client that tells how its calls go."""

    def watch(self, arm: str, observer: Observer) -> None: ...


class Sensing:
    """Makes the box's signals come about: watches its models, and from `start` on probes links and samples the box."""

    def __init__(self, settings: Settings, edge: ChatModel, remotes: Mapping[str, RemoteModel]) -> None:
        """`remotes`: by the arm's name."""
        told = settings.signals
        self.signals = Signals(slots=settings.edge.slots)
        self.box = BoxWatch(self.signals, every_s=told.sample_s, power_w=told.power_w)
        addresses = tuple(_address(settings, arm, remote) for arm, remote in remotes.items() if arm in settings.remotes)
        self.prober = Prober(self.signals, addresses, every_s=told.probe_s, probes=told.probes)
        self.insights = self._watch_network(settings.insights, _arms(settings.insights, remotes))
        self._tasks: list[asyncio.Task[None]] = []
        for arm, model in {"edge": edge, **remotes}.items():
            if isinstance(model, Watchable):
                model.watch(arm, self.signals)
            if isinstance(model, CloudModel) and arm in settings.remotes and settings.remotes[arm].is_neighbour:
                model.hear_load(partial(self.signals.loaded, arm))

    def start(self) -> None:
        """Begin to probe and to sample, in the running loop."""
        jobs: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = (self.box.run, self.prober.run, self.insights.run)
        self._tasks = [asyncio.create_task(job()) for job in jobs]

    def told(self) -> dict[str, Any]:
        """All signals as plain values, for operators."""
        view = self.signals.view()
        counts = {arm: _counts(link) for arm, link in self.signals.links.items()}
        return {
            "links": {arm: {**asdict(link), **counts[arm]} for arm, link in view.links.items()},
            "box": asdict(view.box),
            "probes": self.prober.made,
            "insights": {name: heard.detail for name, heard in self.insights.heard.items()},
        }

    async def close(self) -> None:
        """Stop. Safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.insights.close()

    def heard(self) -> dict[str, bool]:
        """Whether each source of the operator's network answered when it was last asked, by its name."""
        return {name: heard.ok for name, heard in self.insights.heard.items()}

    def _watch_network(self, told: Insights, arms: tuple[str, ...]) -> InsightWatch:
        signals = self.signals

        def tell(source: str, insight: Insight) -> None:
            hint = Hint(
                insight.text,
                signals.clock(),
                insight.grade,
                rtt_s=insight.delay_s,
                loss=insight.loss,
                up_bytes_s=insight.up_bytes_s,
                down_bytes_s=insight.down_bytes_s,
            )
            for arm in arms:
                signals.hinted(arm, source, hint)

        return InsightWatch(
            network_sources(told),
            Asker(timeout_s=told.timeout_s, ca_file=told.ca_file),
            every_s=told.every_s,
            tell=tell,
            in_use=lambda: signals.clock() - signals.used_at < IN_USE_S,
        )


def network_sources(told: Insights) -> tuple[InsightSource, ...]:
    """Whom to ask in the operator's network, as configured; nobody by default."""
    sources: list[InsightSource] = []
    if told.radio_url:
        own = told.device_private_ipv4 or told.device_ipv4
        sources.append(
            RadioInformation(
                told.radio_url,
                Token(_secret(told.radio_token), told.radio_token_file),
                told.radio_cell,
                str(own or ""),
                told.radio_app,
            )
        )
    if told.quality_url:
        sources.append(
            QualityOfLine(
                told.quality_url,
                str(told.quality_profile),
                Token(_secret(told.quality_token), told.quality_token_file),
                _device(told),
                _server(told.quality_server),
            )
        )
    return tuple(sources)


def _arms(told: Insights, remotes: Mapping[str, RemoteModel]) -> tuple[str, ...]:
    """Whose links the network's word is about. Raises SettingsError: nobody of that name."""
    for arm in told.arms:
        if arm not in remotes:
            raise SettingsError(f'insights.arms: no model elsewhere is called "{arm}"; there are: {", ".join(remotes)}')
    return tuple(told.arms or remotes)


def _device(told: Insights) -> dict[str, Any] | None:
    """The box's own line in CAMARA's words; None: the token stands for it."""
    ipv4 = {
        "publicAddress": told.device_ipv4 and str(told.device_ipv4),
        "privateAddress": told.device_private_ipv4 and str(told.device_private_ipv4),
        "publicPort": told.device_port,
    }
    device = {
        "phoneNumber": _secret(told.device_phone),
        "ipv4Address": {k: v for k, v in ipv4.items() if v is not None} if told.device_ipv4 else None,
        "ipv6Address": told.device_ipv6 and str(told.device_ipv6),
    }
    return {k: v for k, v in device.items() if v is not None} or None


def _server(address: str) -> dict[str, str] | None:
    if not address:
        return None
    return {"ipv6Address" if ":" in address else "ipv4Address": address}


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None


def _counts(link: Link) -> dict[str, Any]:
    return {"calls": link.calls, "failed": link.failed, "retries": link.retries, "last_outcome": link.outcome or None}


def _address(settings: Settings, arm: str, remote: RemoteModel) -> Address:
    url = urlsplit(settings.remotes[arm].base_url or "")
    port = url.port or (443 if url.scheme == "https" else 80)
    return Address(arm, url.hostname or "", port, lambda: not remote.health().ok)
