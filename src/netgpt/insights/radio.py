"""Radio information of a MEC platform (ETSI GS MEC 012 V2.1.1): how full the cell is, what the box's bearer gets.

Two questions: layer 2 measurements, and, where the box's own address is set, its radio bearers (their highest bit
rates). S1 bearers are not asked for: their tunnel addresses say nothing of quality. Sent are the cell and the box's own
address as configured, and the token; nothing else, and never anything of a person who asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from netgpt.insights.asking import NO_TOKEN, Asker, Reply, Token, Unheard
from netgpt.insights.insight import Heard, Insight

__all__ = ["RadioInformation", "read_bearers", "read_measurements"]

_MBIT = 125_000
_FULL_FROM = 0.5
"""A cell with this share of its resource blocks in use begins to be felt."""
_BAD_LOSS = 0.1
_BAD_DELAY_S = 0.3
_WORST = 0.7
"""The most that any one measurement takes off the grade: it may pass in the next second."""


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
