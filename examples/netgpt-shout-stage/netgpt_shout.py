"""A stage that notes how much of a request is in capitals. It reads, and changes nothing."""

from typing import Any


class Shout:
    name = "shout"
    reads = frozenset({"messages"})
    writes: frozenset[str] = frozenset()

    async def __call__(self, exchange: Any) -> None:
        text = " ".join(str(message.get("content")) for message in exchange.messages)
        letters = [character for character in text if character.isalpha()]
        exchange.note("loudness", round(sum(map(str.isupper, letters)) / max(1, len(letters)), 2))


def make(gateway: Any) -> Shout:
    """Called once, when the gateway is put together."""
    return Shout()
