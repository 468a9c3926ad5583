"""One short HTTP question to the operator's network. No redirects, cookies, proxies or log lines."""

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

MAX_BYTES = 1_000_000  # an answer beyond this is not read to its end
_CURES = {
    400: "it does not accept this question; check the identifiers in [insights]",
    401: "the token was refused; check it in [insights]",
    403: "the token may not ask this; check it in [insights]",
    404: "no such address, cell or device; check [insights]",
    422: "the device cannot be told from the token and the identifiers; check [insights]",
    429: "too many questions; raise insights.every_s",
}

Reply = Mapping[str, Any]
"""A JSON object."""


class Unheard(Exception):
    """No answer that can be used; the text says why, in one safe sentence without the answer's own words."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is shown as the bearer: as it is set, or the text of a file that somebody else may renew."""

    value: str | None = field(default=None, repr=False)
    file: Path | None = None

    def read(self) -> str | None:
        """For one question. Raises Unheard: the file cannot be read, or holds no token."""
        shown = self.value
        if self.file is not None:
            try:
                shown = self.file.expanduser().read_text(encoding="utf-8").strip()
            except (OSError, ValueError):
                raise Unheard("the file with its token cannot be read; check [insights]") from None
        if shown and not (shown.isascii() and shown.isprintable()):
            raise Unheard("its token holds characters that an HTTP header cannot carry; check [insights]")
        return shown


NO_TOKEN = Token()


class Asker:
    """Asks with a time limit, in seconds for all of a question. One client for all, made at the first."""

    def __init__(self, *, timeout_s: float, ca_file: Path | None = None) -> None:
        """Raises SettingsError: `ca_file` holds no certificates."""
        self._timeout_s = timeout_s
        self._trust = None if ca_file is None else _trust(ca_file)
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, query: Sequence[tuple[str, str]], token: Token) -> Reply:
        """A JSON object. Raises Unheard."""
        return await self._ask("GET", url, token, params=list(query))

    async def post(self, url: str, body: Mapping[str, Any], token: Token) -> Reply:
        """As `get`, with a JSON body."""
        return await self._ask("POST", url, token, content=orjson.dumps(body))

    async def _ask(self, method: str, url: str, token: Token, **sent: Any) -> Reply:
        headers = {"Accept": "application/json", "User-Agent": "netgpt"}
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
            raise Unheard(f"it said nothing for {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise Unheard(f"it cannot be reached ({type(error).__name__})") from None

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
        return ssl.create_default_context(cafile=ca_file.expanduser())
    except OSError:  # ssl.SSLError is one
        raise SettingsError(f"insights.ca_file: {ca_file} holds no certificate that can be read") from None


async def _body(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_BYTES:
            raise Unheard(f"its answer is larger than {MAX_BYTES} bytes")
    return bytes(body)


def _object(status: int, body: bytes) -> Reply:
    if status != 200:
        cure = _CURES.get(status, "its own fault" if status >= 500 else "not what was expected")
        raise Unheard(f"it answered {status}: {cure}")
    try:
        told = orjson.loads(body)
    except ValueError:
        raise Unheard("its answer is not JSON") from None
    if not isinstance(told, dict):
        raise Unheard("its answer is not a JSON object")
    return told


# --- What a source of the operator's network told: plain values that signals can use.


@dataclass(frozen=True, slots=True)
class Insight:
    """One word of the network about the line. None: it did not say."""

    text: str
    """In words, for people: "cell 85 % full"."""
    grade: float = 1.0
    """0 (no service) to 1 (nothing stands in the way)."""
    delay_s: float | None = None
    """One way through the radio network, or both where it says both."""
    loss: float | None = None
    """Share of packets."""
    up_bytes_s: float | None = None
    down_bytes_s: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One round with one source: its word, or in one safe sentence why there is none."""

    insight: Insight | None
    detail: str

    @property
    def ok(self) -> bool:
        return self.insight is not None


class InsightSource(Protocol):
    """Somebody in the operator's network who can be asked."""

    @property
    def name(self) -> str: ...

    async def ask(self, asker: Asker) -> Heard:
        """Ask once. Never raises for what the network does or says."""
        ...


# --- Radio information of a MEC platform (ETSI GS MEC 012 V2.1.1): how full the cell is, what the box's bearer gets.
#
# Two questions: layer 2 measurements, and, where the box's own address is set, its radio bearers (their highest bit
# rates). S1 bearers are not asked for: their tunnel addresses say nothing of quality. Sent are the cell and the
# box's own address as configured, and the token; nothing else, and never anything of a person who asks.

_MBIT = 125_000
_FULL_FROM = 0.5  # a cell with this share of its resource blocks in use begins to be felt
_BAD_LOSS = 0.1
_BAD_DELAY_S = 0.3
_WORST = 0.7  # the most that any one measurement takes off the grade: it may pass in the next second


@dataclass(frozen=True, slots=True)
class RadioInformation:
    """The radio network information service at `base_url`, such as "https://mec.example/rni/v2"."""

    base_url: str
    token: Token = NO_TOKEN
    cell: str = ""
    """Its E-UTRAN cell identity."""
    ipv4: str = field(default="", repr=False)
    """The box's own address in the mobile network."""
    app: str = ""
    """Identifier of this application instance, where the platform wants one."""
    name: str = "radio"

    async def ask(self, asker: Asker) -> Heard:
        """One round. Never raises for what the platform does or says."""
        try:
            told = await self._queried(asker, "layer2_meas")
            found = read_measurements(told)
            if self.ipv4:
                found |= read_bearers(await self._queried(asker, "rab_info"))
        except Unheard as fault:
            return Heard(None, str(fault))
        if not found:
            return Heard(None, "it measured nothing of this cell or device; check insights.radio_cell")
        insight = _insight(found)
        return Heard(insight, insight.text)

    async def _queried(self, asker: Asker, what: str) -> Reply:
        query = [("app_ins_id", self.app), ("cell_id", self.cell), ("ue_ipv4_address", self.ipv4)]
        url = f"{self.base_url.rstrip('/')}/queries/{what}"
        return await asker.get(url, [(name, value) for name, value in query if value], self.token)


def read_measurements(told: Reply) -> dict[str, float]:
    """Of layer 2 measurements: `full`, `loss`, `delay_s`, `up_bytes_s`, `down_bytes_s`; the worst of several cells.

    Shares are told in percent, delays in milliseconds, throughput in kilobits a second (3GPP TS 36.314).
    """
    found: dict[str, float] = {}
    for cell in _objects(told, "cellInfo"):
        _worst(found, "full", _scaled(cell, 0.01, "dl_total_prb_usage_cell", "ul_total_prb_usage_cell"))
        _worst(found, "loss", _scaled(cell, 0.01, "dl_nongbr_pdr_cell", "ul_nongbr_pdr_cell"))
    for device in _objects(told, "cellUEInfo"):
        _worst(found, "loss", _scaled(device, 0.01, "dl_nongbr_pdr_ue", "ul_nongbr_pdr_ue"))
        _worst(found, "delay_s", _scaled(device, 0.001, "dl_nongbr_delay_ue", "ul_nongbr_delay_ue"))
        _worst(found, "down_bytes_s", _scaled(device, 125, "dl_nongbr_throughput_ue"), lowest=True)
        _worst(found, "up_bytes_s", _scaled(device, 125, "ul_nongbr_throughput_ue"), lowest=True)
    for share in ("full", "loss"):
        if share in found:
            found[share] = min(1.0, found[share])
    return found


def read_bearers(told: Reply) -> dict[str, float]:
    """Of radio bearers: `most_up_bytes_s` and `most_down_bytes_s`, the highest rates that any of them may have."""
    found: dict[str, float] = {}
    for cell in _objects(told, "cellUserInfo"):
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


def _objects(told: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    listed = told.get(name)
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, Mapping):
            yield each


def _scaled(told: Mapping[str, Any], scale: float, *names: str) -> list[float]:
    values: list[Any] = [told.get(name) for name in names]
    return [value * scale for value in values if type(value) in (int, float) and 0 <= value < 1e15]


def _worst(found: dict[str, float], name: str, values: list[float], *, lowest: bool = False) -> None:
    known = [found[name]] if name in found else []
    if values:
        found[name] = (min if lowest else max)([*known, *values])


# --- Connectivity insights (CAMARA, Connectivity Insights 0.6): does the network expect to meet an application's needs?
#
# The needs are a profile that the owner made with the operator; its identifier is configured. Sent are that
# identifier, the box's own line as configured (unless the token stands for it), where set the server that the box
# talks to, and the token; nothing else, and never anything of a person who asks.

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
    """The service at `base_url`, such as "https://operator.example/connectivity-insights/v0.6"."""

    base_url: str
    profile: str
    """Identifier of the application profile."""
    token: Token = NO_TOKEN
    device: Mapping[str, Any] | None = field(default=None, repr=False)
    """The box's own line in the interface's words (`{"ipv4Address": {...}}`); None: the token stands for it."""
    server: Mapping[str, str] | None = None
    """The server that the line is to reach, such as `{"ipv4Address": "198.51.100.0/24"}`."""
    name: str = "quality"

    async def ask(self, asker: Asker) -> Heard:
        """One round. Never raises for what the operator does or says."""
        body = {"applicationProfileId": self.profile, "device": self.device, "applicationServer": self.server}
        url = f"{self.base_url.rstrip('/')}/check-network-quality"
        try:
            told = await asker.post(url, {name: value for name, value in body.items() if value}, self.token)
        except Unheard as fault:
            return Heard(None, str(fault))
        insight = read_quality(told)
        if insight is None:
            return Heard(None, "its answer says nothing of any need; check the application profile")
        return Heard(insight, insight.text)


def read_quality(told: Reply) -> Insight | None:
    """What the answer means; None when it holds nothing that is known here."""
    met = [words for name, words in _NEEDS.items() if told.get(name) == _MET]
    unmet = [words for name, words in _NEEDS.items() if told.get(name) == _UNMET]
    more = told.get("additionalKPIs")
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


# --- Asks the configured sources, round after round, and passes on what they tell.

log = logging.getLogger(__name__)


class InsightWatch:
    """`tell` gets every word of a source: (its name, the insight). `in_use`: whether anybody asks the box anything."""

    def __init__(
        self,
        sources: Sequence[InsightSource],
        asker: Asker,
        *,
        every_s: float,
        tell: Callable[[str, Insight], None],
        in_use: Callable[[], bool] = lambda: True,
    ) -> None:
        self.sources, self.every_s = tuple(sources), every_s
        self.is_up: dict[str, Heard] = {}
        """What each source said when it was last asked, by its name."""
        self._asker, self._tell, self._in_use = asker, tell, in_use

    async def run(self) -> None:
        """Ask, again and again, until cancelled. Ends at once without sources."""
        while self.sources:
            if self._in_use():
                await self.look()
            await asyncio.sleep(self.every_s)

    async def look(self) -> None:
        """Ask every source once, side by side."""
        for source, is_up in zip(
            self.sources, await asyncio.gather(*(source.ask(self._asker) for source in self.sources)), strict=True
        ):
            before = self.is_up.get(source.name)
            self.is_up[source.name] = is_up
            if is_up.insight is not None:
                self._tell(source.name, is_up.insight)
            elif before is None or before.ok:  # said once, until it changes
                log.warning("insights: %s: %s", source.name, is_up.detail)

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._asker.close()
