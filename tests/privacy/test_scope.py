"""What a restorer knows, and how long a number is somebody's: this request's body decides, whatever the map holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netgpt.privacy.detector import Detector
from netgpt.privacy.vault import Vault


def body(*texts: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text} for text in texts], **more}


async def test_a_restorer_knows_this_body_and_not_the_map(detector: Detector) -> None:
    first = Vault()
    await first.seal(body("ada@mill.org and bob@mill.org"), detector)
    second = Vault(first.dump())
    assert second.restorer().text("[EMAIL_1] [EMAIL_2]") == "[EMAIL_1] [EMAIL_2]"
    await second.seal(body("write to bob@mill.org, not to eve@mill.org"), detector)
    assert second.restorer().text("[EMAIL_1] [EMAIL_2] EMAIL_3") == "[EMAIL_1] bob@mill.org eve@mill.org"


async def test_every_destination_of_a_request_is_restored(detector: Detector) -> None:
    vault = Vault()
    await vault.seal(body("ada@mill.org"), detector)
    await vault.seal(body("bob@mill.org"), detector)
    assert vault.restorer().text("[EMAIL_1] [EMAIL_2]") == "ada@mill.org bob@mill.org"


@pytest.mark.parametrize("tools_first", [True, False])
async def test_numbers_stay_while_a_conversation_grows_without_a_map(detector: Detector, tools_first: bool) -> None:
    """Tools are read before the messages wherever they stand: what is said later is numbered later."""
    tool = {"type": "function", "function": {"name": "send", "description": "Writes to desk@mill.org."}}
    texts = [f"turn {n}: mail user{n}@mill.org and user{n // 2}@mill.org, says Zanele Khumalo" for n in range(12)]
    seen: dict[int, Any] = {}
    for turn in range(1, len(texts) + 1):
        asked = body(*texts[:turn])
        asked = {"tools": [tool], **asked} if tools_first else {**asked, "tools": [tool]}
        outbound = await Vault().seal(asked, detector)
        sent = json.loads(outbound.content)
        assert sent["tools"][0]["function"]["description"] == "Writes to [EMAIL_1]."
        assert list(sent) == list(asked)
        for number, message in enumerate(sent["messages"]):
            assert seen.setdefault(number, message["content"]) == message["content"]
    assert "[EMAIL_2]" in seen[0] and "mill.org" not in json.dumps(seen)
