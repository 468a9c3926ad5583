"""A person with facts, requests with planted values, and what a cloud has seen of them."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from private_requests import PLACES, framed
from private_values import MAKERS, Value, readable
from serving import Served

from netgpt.testing.server import FaultyCloud

__all__ = ["FACTS", "SECRET_WORDS", "ask_all", "planted", "profile", "seen_by"]

FACTS = {
    "is vegetarian": ("diet", ["VEGETARIAN", "we are vegetarians", "vegetarian's choice", "vege\u00adtarian"]),
    "lives at 12 Mill Road, Cambridge": ("home", ["12 mill rd", "12, Mill\n> Road", "12-mill-road.pdf", "MILL ROAD"]),
    "drives a red Fiat Panda AB12 CDE": ("car", ["AB12CDE", "ab12-cde", "FiatPanda.jpg", "Fiat **Panda**", "ab12.cde"]),
    "employee number ZX-4471": ("job", ["zx4471", "ZX/4471", "ZX_4471.csv", "number 4471", "emp-ZX–4471"]),
    "takes 20 mg of ramipril": ("medication", ["Ramipril's", "20mg ramipril", "rami\u200bpril", "ramipril.txt"]),
    "my wife is called Zelda": ("family", ["zelda's", "ZELDA", "getZeldaBirthday()", "zelda2024.jpg", "Zelda’s"]),
    "works for Acme Robotics as a welder": ("work", ["acme-robotics", "AcmeRobotics", "acme\nrobotics", "two welders"]),
    "born on 3 May 1988": ("birth", ["03/05/1988", "1988-05-03", "May 3rd, 1988", "3.5.1988", "3rd of May 1988"]),
    "allergic to peanuts": ("allergy", ["Peanut butter", "PEANUTS", "peanut-free", "pea%6Euts"]),
    "speaks Dutch": ("language", ["dutch", "in Dutch?", "DUTCH_notes.md"]),
    "works nights at Łódź Główna": ("place", ["lodz glowna", "ŁÓDŹ GŁÓWNA"]),
}  # fmt: skip
SECRET_WORDS = (
    "vegetarian", "mill road", "12 mill", "panda", "ab12cde", "zx4471", "4471", "ramipril", "zelda", "acmerobotics",
    "welder", "1988", "3rd of may", "peanut", "dutch", "lodz", "glowna",
)  # fmt: skip


def seen_by(cloud: FaultyCloud) -> str:
    return "\x00".join(readable(request.body) for request in cloud.received if request.body)


def profile(gateway: Served, user: str) -> None:
    for text, (kind, _) in FACTS.items():
        answer = gateway.post({"text": text, "kind": kind}, f"/v1/profiles/{user}/facts")
        assert answer.status_code == 201, answer.text


def planted(seed: int, rounds: int) -> list[tuple[str, Value, dict[str, Any]]]:
    """Every place with values of the kinds in turn: (place, value, body)."""
    chance = random.Random(seed)
    kinds = list(MAKERS)
    result = []
    for number, (name, place) in enumerate(list(PLACES.items()) * rounds):
        value = MAKERS[kinds[(number + number // len(PLACES)) % len(kinds)]](chance)
        text = f"please call me on {value.text}" if value.announced else framed(chance, value.text)
        result.append((name, value, place(text)))
    return result


def ask_all(gateway: Served, bodies: list[dict[str, Any]], workers: int = 8) -> list[httpx.Response]:
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(workers) as pool:
        url = f"{gateway.url}/v1/chat/completions"
        return list(pool.map(lambda body: client.post(url, json={"model": "netgpt/cloud", **body}), bodies))
