"""What the operator's network says about its links: radio information (ETSI MEC 012), connectivity insights (CAMARA).

Sources are asked with one short HTTP question each: no redirects, cookies, proxies or log lines, and nothing of a
person who asks leaves.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson

from netgpt.errors import SettingsError
from netgpt.files import read_bytes, read_text

MAX_BYTES = 1_000_000  # an answer beyond this is not read to its end
log = logging.getLogger(__name__)
_CURES = {
    400: "it does not accept this question; check the identifiers in [insights]",
    401: "the token was refused; check it in [insights]",
    403: "the token may not ask this; check it in [insights]",
    404: "no such address, cell or device; check [insights]",
    422: "the device cannot be told from the token and the identifiers; check [insights]",
    429: "too many questions; raise insights.every_s",
}

Reply = Mapping[str, Any]  # a JSON object


class SourceUnavailable(Exception):
    """No usable answer; the text says why, in one safe sentence without the answer's own words."""


@dataclass(frozen=True, slots=True)
class Token:
    """The bearer token: as it is set, or the text of a file that somebody else may renew."""

    value: str | None = field(default=None, repr=False)
    file: Path | None = None

    def read(self) -> str | None:
        """Raises SourceUnavailable: the file cannot be read, or the token does not fit a header."""
        shown = self.value
        if self.file is not None:
            try:
                shown = read_text(self.file.expanduser(), SettingsError).strip()
            except SettingsError:
                raise SourceUnavailable("the file with its token cannot be read; check [insights]") from None
        if shown and not (shown.isascii() and shown.isprintable()):
            raise SourceUnavailable("its token holds characters that an HTTP header cannot carry; check [insights]")
        return shown


NO_TOKEN = Token()


class InsightClient:
    """Asks all sources, with `timeout_s` for a whole question. The HTTP client is made at the first."""

    def __init__(self, *, timeout_s: float, ca_file: Path | None = None) -> None:
        """Raises SettingsError: `ca_file` holds no certificates."""
        self._timeout_s = timeout_s
        self._trust = None if ca_file is None else _trust(ca_file)
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, query: Sequence[tuple[str, str]], token: Token) -> Reply:
        """A JSON object. Raises SourceUnavailable."""
        return await self._ask("GET", url, token, params=list(query))

    async def post(self, url: str, body: Mapping[str, Any], token: Token) -> Reply:
        """As `get`, with a JSON body."""
        return await self._ask("POST", url, token, content=orjson.dumps(body))

    async def _ask(self, method: str, url: str, token: Token, **sent: Any) -> Reply:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "netgpt"}
        if shown := token.read():
            headers["Authorization"] = f"Bearer {shown}"
        if "content" in sent:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._open().stream(method, url, headers=headers, **sent) as answer,
            ):
                return _object(answer.status_code, await _body(answer))
        except TimeoutError:
            raise SourceUnavailable(f"it said nothing for {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"it cannot be reached ({type(error).__name__})") from None

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                timeout=self._timeout_s,
                verify=self._trust or httpx.create_ssl_context(trust_env=False),
            )
        return self._client

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _trust(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(
            cadata=read_bytes(ca_file.expanduser(), SettingsError).decode("ascii", "replace")
        )
    except (OSError, SettingsError):  # ssl.SSLError is one
        raise SettingsError(f"insights.ca_file: {ca_file} holds no certificate that can be read") from None


async def _body(answer: httpx.Response) -> bytes:
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise SourceUnavailable("it packs its answer, which nobody asked for")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > MAX_BYTES:
            raise SourceUnavailable(f"its answer is larger than {MAX_BYTES} bytes")
    return bytes(body)


def _object(status: int, body: bytes) -> Reply:
    if status != 200:
        cure = _CURES.get(status, "its own fault" if status >= 500 else "not what was expected")
        raise SourceUnavailable(f"it answered {status}: {cure}")
    try:
        reply = orjson.loads(body)
    except ValueError:
        raise SourceUnavailable("its answer is not JSON") from None
    if not isinstance(reply, dict):
        raise SourceUnavailable("its answer is not a JSON object")
    return reply


@dataclass(frozen=True, slots=True)
class Insight:
    """What the network says about the link. None: it did not say."""

    text: str  # for people: "cell 85 % full"
    grade: float = 1.0  # 0 (no service) to 1 (nothing stands in the way)
    delay_s: float | None = None  # one way through the radio network, or both where it says both
    loss: float | None = None  # share of packets
    up_bytes_s: float | None = None
    down_bytes_s: float | None = None


@dataclass(frozen=True, slots=True)
class Polled:
    """One round with one source: its insight, or in one safe sentence why there is none."""

    insight: Insight | None
    detail: str

    @property
    def ok(self) -> bool:
        return self.insight is not None


class InsightSource(Protocol):
    """A service of the operator's network that can be asked."""

    @property
    def name(self) -> str: ...

    async def ask(self, client: InsightClient) -> Polled:
        """Ask once. Never raises for what the network does or says."""
        ...


_MBIT = 125_000
_FULL_FROM = 0.5  # a cell with this share of its resource blocks in use begins to be felt
_BAD_LOSS = 0.1
_BAD_DELAY_S = 0.3
_WORST = 0.7  # the most that any one measurement takes off the grade: it may pass in the next second


@dataclass(frozen=True, slots=True)
class RadioInformation:
    """Radio network information (ETSI GS MEC 012 V2.1.1) at `base_url`, such as "https://mec.example/rni/v2".

    Asks for layer 2 measurements and, where `ipv4` is set, for the radio bearers' highest bit rates. Sent are the cell
    and the box's own address as configured, and the token.
    """

    base_url: str
    token: Token = NO_TOKEN
    cell: str = ""  # its E-UTRAN cell identity
    ipv4: str = field(default="", repr=False)  # the box's own address in the mobile network
    app: str = ""  # identifier of this application instance, where the platform wants one
    name: str = "radio"

    async def ask(self, client: InsightClient) -> Polled:
        """One round. Never raises for what the platform does or says."""
        try:
            found = read_measurements(await self._queried(client, "layer2_meas"))
            if self.ipv4:
                found |= read_bearers(await self._queried(client, "rab_info"))
        except SourceUnavailable as fault:
            return Polled(None, str(fault))
        if not found:
            return Polled(None, "it measured nothing of this cell or device; check insights.radio_cell")
        insight = _insight(found)
        return Polled(insight, insight.text)

    async def _queried(self, client: InsightClient, what: str) -> Reply:
        query = [("app_ins_id", self.app), ("cell_id", self.cell), ("ue_ipv4_address", self.ipv4)]
        url = f"{self.base_url.rstrip('/')}/queries/{what}"
        return await client.get(url, [(name, value) for name, value in query if value], self.token)


def read_measurements(reply: Reply) -> dict[str, float]:
    """Of layer 2 measurements: `full`, `loss`, `delay_s`, `up_bytes_s`, `down_bytes_s`; the worst of several cells.

    Shares come in percent, delays in milliseconds, throughput in kilobits a second (3GPP TS 36.314).
    """
    found: dict[str, float] = {}
    for cell in _objects(reply, "cellInfo"):
        _worst(found, "full", _scaled(cell, 0.01, "dl_total_prb_usage_cell", "ul_total_prb_usage_cell"))
        _worst(found, "loss", _scaled(cell, 0.01, "dl_nongbr_pdr_cell", "ul_nongbr_pdr_cell"))
    for device in _objects(reply, "cellUEInfo"):
        _worst(found, "loss", _scaled(device, 0.01, "dl_nongbr_pdr_ue", "ul_nongbr_pdr_ue"))
        _worst(found, "delay_s", _scaled(device, 0.001, "dl_nongbr_delay_ue", "ul_nongbr_delay_ue"))
        _worst(found, "down_bytes_s", _scaled(device, 125, "dl_nongbr_throughput_ue"), lowest=True)
        _worst(found, "up_bytes_s", _scaled(device, 125, "ul_nongbr_throughput_ue"), lowest=True)
    for share in ("full", "loss"):
        if share in found:
            found[share] = min(1.0, found[share])
    return found


def read_bearers(reply: Reply) -> dict[str, float]:
    """Of radio bearers: `most_up_bytes_s` and `most_down_bytes_s`, the highest rates that any of them may have."""
    found: dict[str, float] = {}
    for cell in _objects(reply, "cellUserInfo"):
        for device in _objects(cell, "ueInfo"):
            for bearer in _objects(device, "erabInfo"):
                quality = bearer.get("erabQosParameters")
                rates = quality.get("qosInformation") if isinstance(quality, Mapping) else None
                if isinstance(rates, Mapping):
                    _worst(found, "most_down_bytes_s", _scaled(rates, 0.125, "erabMbrDl"))
                    _worst(found, "most_up_bytes_s", _scaled(rates, 0.125, "erabMbrUl"))
    return found


def _insight(found: Mapping[str, float]) -> Insight:
    off = {
        "full": max(0.0, found.get("full", 0.0) - _FULL_FROM) / (1 - _FULL_FROM),
        "loss": found.get("loss", 0.0) / _BAD_LOSS,
        "delay_s": found.get("delay_s", 0.0) / _BAD_DELAY_S,
    }
    words = [
        (f"cell {found['full']:.0%} full" if "full" in found else ""),
        (f"{found['loss']:.1%} of packets dropped" if "loss" in found else ""),
        (f"{found['delay_s'] * 1000:.0f} ms in the radio network" if "delay_s" in found else ""),
        (f"{found['down_bytes_s'] / _MBIT:.1f} Mbit/s down now" if "down_bytes_s" in found else ""),
        (f"at most {found['most_down_bytes_s'] / _MBIT:.0f} Mbit/s" if "most_down_bytes_s" in found else ""),
    ]
    return Insight(
        ", ".join(word for word in words if word),
        1.0 - _WORST * min(1.0, max(off.values())),
        delay_s=found.get("delay_s"),
        loss=found.get("loss"),
        # What the device gets now depends on what it asks for; the bearer's bound is what it could get.
        up_bytes_s=found.get("most_up_bytes_s"),
        down_bytes_s=found.get("most_down_bytes_s"),
    )


def _objects(reply: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    listed = reply.get(name)
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, Mapping):
            yield each


def _scaled(reply: Mapping[str, Any], scale: float, *names: str) -> list[float]:
    values: list[Any] = [reply.get(name) for name in names]
    return [value * scale for value in values if type(value) in (int, float) and 0 <= value < 1e15]


def _worst(found: dict[str, float], name: str, values: list[float], *, lowest: bool = False) -> None:
    known = [found[name]] if name in found else []
    if values:
        found[name] = (min if lowest else max)([*known, *values])


_NEEDS = {
    "packetDelayBudget": "delay",
    "targetMinDownstreamRate": "down rate",
    "targetMinUpstreamRate": "up rate",
    "packetlossErrorRate": "loss",
    "jitter": "jitter",
}
_MET = "meets the application requirements"
_UNMET = "unable to meet the application requirements"
_STRENGTHS = {"excellent": 1.0, "good": 1.0, "fair": 0.8, "poor": 0.4, "no signal": 0.0}
_ACCESS = ("5G-SA", "5G-NSA", "4G", "3G")
_NONE_MET = 0.3  # the grade when no need is met: it is the word of a forecast


@dataclass(frozen=True, slots=True)
class QualityOfLine:
    """CAMARA's Connectivity Insights 0.6 at `base_url`, such as "https://operator.example/connectivity-insights/v0.6":
    does the network expect to meet an application's needs?

    The needs are a profile that the owner made with the operator. Sent are its identifier, the box's own subscription
    as configured, where set the server that the box talks to, and the token.
    """

    base_url: str
    profile: str  # identifier of the application profile
    token: Token = NO_TOKEN
    device: Mapping[str, Any] | None = field(default=None, repr=False)
    """The box's own subscription (`{"ipv4Address": {...}}`); None: the token stands for it."""
    server: Mapping[str, str] | None = None  # the server to be reached, such as `{"ipv4Address": "198.51.100.0/24"}`
    name: str = "quality"

    async def ask(self, client: InsightClient) -> Polled:
        """One round. Never raises for what the operator does or says."""
        body = {"applicationProfileId": self.profile, "device": self.device, "applicationServer": self.server}
        url = f"{self.base_url.rstrip('/')}/check-network-quality"
        try:
            reply = await client.post(url, {name: value for name, value in body.items() if value}, self.token)
        except SourceUnavailable as fault:
            return Polled(None, str(fault))
        insight = read_quality(reply)
        if insight is None:
            return Polled(None, "its answer says nothing of any need; check the application profile")
        return Polled(insight, insight.text)


def read_quality(reply: Reply) -> Insight | None:
    """What the answer means; None when it holds nothing that is known here."""
    met = [words for name, words in _NEEDS.items() if reply.get(name) == _MET]
    unmet = [words for name, words in _NEEDS.items() if reply.get(name) == _UNMET]
    more = reply.get("additionalKPIs")
    more = more if isinstance(more, Mapping) else {}
    strength = _STRENGTHS.get(str(more.get("signalStrength")))
    access = more.get("connectivityType")
    if not met and not unmet and strength is None:
        return None
    share = len(met) / (len(met) + len(unmet)) if met or unmet else 1.0
    words = [str(access)] if access in _ACCESS else []
    if strength is not None:
        words.append(f"signal {more['signalStrength']}" if strength else "no signal")
    if unmet:
        words.append("will not meet: " + ", ".join(unmet))
    elif met:
        words.append("meets the needs set")
    return Insight(", ".join(words), min(_NONE_MET + (1 - _NONE_MET) * share, 1.0 if strength is None else strength))


class InsightWatch:
    """Polls the configured sources and passes their insights on.

    `on_insight` gets (source's name, insight). `in_use`: whether anybody asks the gateway anything.
    """

    def __init__(
        self,
        sources: Sequence[InsightSource],
        client: InsightClient,
        *,
        every_s: float,
        on_insight: Callable[[str, Insight], None],
        in_use: Callable[[], bool] = lambda: True,
    ) -> None:
        self.sources, self.every_s = tuple(sources), every_s
        self.polled: dict[str, Polled] = {}  # each source's last result, by its name
        self._client, self._on_insight, self._in_use = client, on_insight, in_use

    async def run(self) -> None:
        """Poll until cancelled. Ends at once without sources."""
        while self.sources:
            if self._in_use():
                await self.poll()
            await asyncio.sleep(self.every_s)

    async def poll(self) -> None:
        """Ask every source once, side by side."""
        results = await asyncio.gather(*(source.ask(self._client) for source in self.sources))
        for source, polled in zip(self.sources, results, strict=True):
            before = self.polled.get(source.name)
            self.polled[source.name] = polled
            if polled.insight is not None:
                self._on_insight(source.name, polled.insight)
            elif before is None or before.ok:  # logged once, until it changes
                log.warning("insights: %s: %s", source.name, polled.detail)

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._client.close()
