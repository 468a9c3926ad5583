"""Hostile and broken texts through the real detector process: an answer in time, or a refusal that names the limit."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from netgpt.errors import PrivacyError
from netgpt.privacy.process import DetectorProcess
from netgpt.privacy.vault import Vault

DEADLINE_S = 5.0
PLANTED = "ada.planted@mill.org"


def nested(levels: int, innermost: Any) -> str:
    """JSON in a string in JSON, and so on."""
    text = json.dumps(innermost)
    for _ in range(levels):
        text = json.dumps([text])
    return text


TEXTS = {
    "digits": "1234567890" * 1_000_000,
    "digits within the limit": "1234567890" * 39_000 + f" {PLANTED}",
    "names": "\n".join(f"Zanele{i} Khumalo{i}, {PLANTED}" for i in range(100_000)),
    "names within the limit": " ".join(
        f"Zanele Khumalo{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}," for i in range(15_000)
    ),
    "half a pair": f"\ud83d Ada \udc00 {PLANTED} \ud800\ud800",
    "null bytes": f"\0\0Ada\0Lovelace\0 {PLANTED} \0" * 50,
    "a script nobody reads": f"ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ⵜⵉⴼⵉⵏⴰⵖ ꦗꦮ {PLANTED} 𐎀𐎁𐎂 ",
    "wrong encoding": f"Grüße von Zoë {PLANTED}".encode().decode("latin-1"),
    "private use": "\ue000\U0010ffff" * 5_000 + f" {PLANTED}",
    "marks": "a" + "\u0301" * 50_000 + f" {PLANTED}",
    "strings in strings": nested(9, {"mail": PLANTED, "n": 1}),
    "lists in lists": "[" * 5_000 + f'"{PLANTED}"' + "]" * 5_000,
    "objects in objects": json.dumps(json.loads('{"a":' * 70 + f'"{PLANTED}"' + "}" * 70)),
    "placeholders": "[PERSON_1] [EMAIL1] %5BEMAIL_1%5D " * 2_000 + PLANTED,
    "openings": "[{<`\"'&%\\" * 5_000 + PLANTED,
}


@pytest.fixture
async def process() -> AsyncIterator[DetectorProcess]:
    process = DetectorProcess(timeout_s=DEADLINE_S)
    await process.start()
    yield process
    await process.close()


@pytest.mark.slow
async def test_an_answer_in_time_or_a_refusal_that_names_its_limit(process: DetectorProcess) -> None:
    for name, text in TEXTS.items():
        began = time.monotonic()
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        vault = Vault()
        try:
            outbound = await vault.seal(body, process)
        except PrivacyError as error:
            limits = ("privacy.max_chars", "privacy.timeout_s", "nested deeper than", "was not sent", "not running")
            assert any(limit in error.message for limit in limits), (name, error.message)
            assert PLANTED not in error.message and "Khumalo" not in error.message
        else:
            sent = outbound.content.decode("utf-8")
            assert PLANTED not in sent and "planted" not in sent, name
            json.loads(sent)
        assert time.monotonic() - began < 6 * DEADLINE_S, name  # two searches, on a machine that does much else
        while not process.health()[0]:
            await asyncio.sleep(0.05)


async def test_what_took_too_long_is_refused_at_once_the_next_time() -> None:
    slow = DetectorProcess(timeout_s=0.05)
    await slow.start()
    text = "Zanele Khumalo wrote to Uwe. " * 4_000
    with pytest.raises(PrivacyError, match=r"privacy\.timeout_s"):
        await slow.detect([text])
    while not slow.health()[0]:
        await asyncio.sleep(0.05)
    before = slow.restarts
    with pytest.raises(PrivacyError, match=r"these texts \(116000 characters\) took the detector longer"):
        await slow.detect([text])
    assert slow.restarts == before, "it was not searched again"
    await slow.close()


async def test_a_table_of_1600_rows_is_masked() -> None:
    rows = [f"{i},Zanele Khumalo,u{i}@mill.org,+44 20 7946 {i:04d},Leeds,{i % 97}.00" for i in range(1_600)]
    body = {"messages": [{"role": "user", "content": "id,name,email,phone,city,amount\n" + "\n".join(rows)}]}
    patient = DetectorProcess(timeout_s=60)
    await patient.start()
    outbound = await Vault().seal(body, patient)
    await patient.close()
    assert b"mill.org" not in outbound.content and b"Khumalo" not in outbound.content
    assert outbound.content.count(b"[EMAIL_") == 1_600
