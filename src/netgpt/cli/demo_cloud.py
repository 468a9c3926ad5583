"""What stands in for a cloud in `netgpt demo`: a server with written answers, which keeps every body that it got."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from netgpt.testing.server import FaultyCloud, last_user_text

GOT: Final = "cloud-got"
"""The folder with the bodies, as they came: 01.json, 02.json, ..."""
DINNERS: Final = (
    "1. Satay noodles with peanut sauce, about 6 pounds\n2. Chicken curry with rice, about 7 pounds\n"
    "3. Tomato soup with bread, about 3 pounds\n4. Baked potatoes with beans and cheese, about 4 pounds"
)
WRITTEN: Final = (
    ("Porto", "From the cathedral go down the stairs to the Ribeira, over the lower deck of the bridge, and back over "
     "the upper one. About an hour."),
    ("Bergen", "Take the path from the fish market up to Fløyen, and come down by Skansen. An hour and a half, steep."),
    ("Kraków", "Follow the Planty, the green ring around the old town, then turn off to Wawel and the river. An hour, "
     "flat."),
    ("walk", "Where are you? An hour along water or through a park is seldom wrong."),
    ("vegetarian", "1. Chickpea curry with rice, about 3 pounds\n2. Lentil soup with bread, about 2 pounds\n"
     "3. Baked potatoes with beans and cheese, about 4 pounds"),
    ("fish", "1. Fish pie with peas, about 8 pounds\n2. Grilled mackerel with potatoes, about 6 pounds\n"
     "3. Pasta with tuna, about 5 pounds"),
    ("dinner", DINNERS),
    ("haiku", "Salt wind, idle ropes,\nthe last ferry hums away.\nA gull keeps the pier."),
)  # fmt: skip
"""What it says, by the first of these words that reached it."""
NOTHING: Final = "Nothing is written for these words."


def written(body: Mapping[str, Any]) -> str | dict[str, Any]:
    """The answer to what reached it: it knows nothing else."""
    if body.get("tools"):
        return _next_step(body["messages"])
    text = last_user_text(body)
    return next((answer for word, answer in WRITTEN if word in text), NOTHING)


def _next_step(messages: list[dict[str, Any]]) -> str | dict[str, Any]:
    """A model with tools, in three steps: look the order up, write to the customer, say so."""
    last = messages[-1]
    if last["role"] == "user":
        return _call("find_order", number=_first(r"\d+", last["content"]))
    if "email" in last["content"]:
        order = json.loads(last["content"])
        text = f"Dear {order['customer']}, your parcel is {order['state']}."
        return _call("send_message", to=order["email"], text=text)
    found = json.loads(messages[-3]["content"])
    return f"I wrote to {found['customer']} ({found['email']}): the parcel is {found['state']}."


def _call(name: str, **arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"content": None, "tool_calls": [{"id": f"call_{name}", "type": "function", "function": function}]}


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


class StandIn(FaultyCloud):
    """`with StandIn(folder) as cloud`: what it got is in files of the folder, what it said in `said`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(self._answer)
        self.folder = folder / GOT
        self.folder.mkdir(mode=0o700)
        self.said: list[str | dict[str, Any]] = []

    def _answer(self, body: Mapping[str, Any]) -> str | dict[str, Any]:
        said = written(body)
        self.said.append(said)
        return said

    def bodies(self) -> list[bytes]:
        """What came so far, byte by byte; written to the folder too."""
        got = [request.body for request in self.received if request.method == "POST"]
        for number, body in enumerate(got, 1):
            file = self.folder / f"{number:02}.json"
            file.touch(mode=0o600)
            file.write_bytes(body)
        return got
