"""`netgpt bench sessions`: how often a loop with tools, or a conversation, changes its model, and what staying costs.

Each loop is of another client: some rename the ids of calls, cut the history, write the JSON anew, or send the results
in another order. Links, the engine's load and the share of the cloud change at every turn, two clouds are nearly as
good as one another, and now and then a model is tried: without what holds a loop together it changes its model often.
"""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from netgpt.routing.candidates import Situation, Target, features_of
from netgpt.routing.router import Memory, decided
from netgpt.routing.sessions import Sessions
from netgpt.settings.routing import Routing
from netgpt.types import Decision, Person
from netgpt_bench.decision import learnt_by_chance, random_signals
from netgpt_bench.report import machine, percentile

TARGETS: Final = (
    Target("edge", "edge", "edge", context_tokens=32_768, reads_media=False, surely_reads_media=False),
    Target("cloud", price_prompt=2.5, price_completion=10.0, exposure=0.2),
    Target("other", price_prompt=0.5, price_completion=1.5, quality=0.87, exposure=0.2),
)
MARGINS: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
TASKS: Final = (
    "find the report of last week and mail it", "what is the weather in Portwick", "rename all files of the folder",
    "book a table for two", "which room is free at noon", "sum up the open tickets",
)  # fmt: skip
TURNS: Final = (
    "tell me a joke", "and another one", "thanks", "write a python function that sorts a list", "what else",
    "compare it step by step", "write a poem about the sea", "in fewer words", "what is 3 * (4 + 5)", "in Spanish",
)  # fmt: skip
TOOLS: Final = ("search", "read_file", "send_mail", "calendar", "get_time")
Message = dict[str, Any]


@dataclass
class Counts:
    """What came of loops, or of conversations."""

    turns: int = 0
    changes: int = 0  # of the model, where the last one could have gone on
    forced: int = 0  # of the model, where the last one could not
    lost: list[float] = field(default_factory=list)  # of the objective, by staying: good answers


class Client:
    """One client and its conversation: what it does to the history before it sends it again."""

    def __init__(self, chance: random.Random, number: int) -> None:
        self.chance = chance
        self.person, self.key = Person("north", f"user {number % 20}"), f"key_{number % 5}"
        self.renames, self.rewrites, self.shuffles = (chance.random() < 0.3 for _ in range(3))
        self.keeps = chance.choice((100, 100, 100, 4))
        """So many messages are sent again."""
        self.messages: list[Message] = [{"role": "system", "content": f"It is {chance.random():.6f} o'clock."}]

    def says(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def body(self, **fields: Any) -> dict[str, Any]:
        """The request as this client sends it."""
        start = max(1, len(self.messages) - self.keeps)
        while self.messages[start]["role"] == "tool":  # no result stands without its call
            start -= 1
        messages = copy.deepcopy([self.messages[0], *self.messages[start:]])
        messages[0]["content"] = f"It is {self.chance.random():.6f} o'clock."
        for message in messages:
            for place, call in enumerate(message.get("tool_calls") or ()):
                if self.renames:
                    call["id"] = f"{place}-{self.chance.random():.12f}"
                if self.rewrites:
                    arguments = json.loads(call["function"]["arguments"])
                    call["function"]["arguments"] = json.dumps(arguments, indent=1)
        return {"messages": messages, **fields}

    def answered(self, message: Message) -> None:
        """Take an answer, and run the tools that it calls."""
        self.messages.append(copy.deepcopy(message))
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": f"result {self.chance.random():.6f}"}
            for call in message.get("tool_calls") or ()
        ]
        if self.shuffles:
            self.chance.shuffle(results)
        self.messages += results
        if results and self.chance.random() < 0.1:
            self.says("mind the time")


def calls(chance: random.Random, target: str) -> Message:
    """An answer that calls one to three tools; small servers count their calls, others name them by chance."""
    made = []
    for number in range(chance.choice((1, 1, 1, 2, 3))):
        id = f"call_{number}" if target == "other" else f"call_{chance.getrandbits(96):024x}"
        arguments = json.dumps({"query": chance.choice(TASKS), "page": chance.randrange(3)})
        made.append({"id": id, "type": "function", "function": {"name": chance.choice(TOOLS), "arguments": arguments}})
    return {"role": "assistant", "content": None, "tool_calls": made}


def words(chance: random.Random) -> Message:
    """An answer in words."""
    return {"role": "assistant", "content": f"So it is, number {chance.getrandbits(40)}."}


class Box:
    """Decides as a box does, with or without what holds a conversation together."""

    def __init__(self, seed: int, *, holds: bool, margin: float = Routing().switch_margin) -> None:
        self.chance = random.Random(seed)
        self.rules = Routing(switch_margin=margin, max_cloud_share=0.6)
        self.learner, self.memory = learnt_by_chance(seed), Memory(0.6)
        self.sessions, self.holds = Sessions(), holds
        self.took: list[float] = []

    def decides(
        self, client: Client, body: Mapping[str, Any], down: frozenset[str] = frozenset()
    ) -> tuple[Decision, float]:
        """The decision, and what it costs to stay: how much more another would have given."""
        began, held = time.perf_counter(), None
        if self.holds:
            held = self.sessions.held(client.person, client.key, body, None)
        self.took.append(time.perf_counter() - began)
        features = features_of(body)
        situation = Situation(
            "auto", features, tuple(replace(target, ok=target.name not in down) for target in TARGETS),
            random_signals(self.chance), self.chance.uniform(0.2, 0.98), key=client.key,
            x=tuple(self.chance.gauss(0, 1) for _ in range(12)), prefer=self.chance.choice((None, "cheap", "fast")),
            long=features.words > self.rules.max_edge_words, now=time.monotonic(), held=held,
        )  # fmt: skip
        decision, what_if = decided(situation, self.rules, self.memory, self.learner)
        chosen = next(one for one in decision.expected if one.target == decision.name)
        return decision, max(0.0, what_if.weighed.best.value - chosen.value)

    def gave(self, client: Client, body: Mapping[str, Any], message: Message, target: str) -> None:
        began = time.perf_counter()
        answer = {"choices": [{"index": 0, "message": message}]}
        self.sessions.answered(client.person, client.key, body, None, answer, target)
        self.took[-1] += time.perf_counter() - began


def loop(box: Box, client: Client, counts: Counts) -> None:
    """One loop with tools, beside those of others; one in twenty loses its model in the middle."""
    chance, last, down = box.chance, "", frozenset[str]()
    client.says(chance.choice(TASKS))
    tools = [{"type": "function", "function": {"name": name}} for name in TOOLS]
    for turn in range(chance.randint(2, 7)):
        if turn == 1 and chance.random() < 0.05 and last:
            down = frozenset((last,))
        body = client.body(tools=tools)
        decision, _ = box.decides(client, body, down)
        if turn:
            counts.turns += 1
            changed = decision.name != last
            counts.forced += changed and last in down
            counts.changes += changed and last not in down
        last = decision.name
        message = calls(chance, last)
        box.gave(client, body, message, last)
        client.answered(message)


def conversation(box: Box, client: Client, counts: Counts) -> None:
    """Three to eight turns of mixed kinds without tools."""
    last = ""
    for _ in range(box.chance.randint(3, 8)):
        client.says(box.chance.choice(TURNS))
        body = client.body()
        decision, lost = box.decides(client, body)
        if last:
            counts.turns += 1
            counts.changes += decision.name != last
            counts.lost.append(lost)
        last = decision.name
        message = words(box.chance)
        box.gave(client, body, message, last)
        client.answered(message)


def run(*, loops: int, seed: int) -> dict[str, Any]:
    """As many conversations as loops, with and without what holds them, and by the margin."""
    rows = []
    for holds in (False, True):
        box, counts = counted(loop, loops, seed, holds=holds)
        rows.append(_row("loops with tools", holds, None, loops, counts, box))
    for holds, margin in ((False, 0.0), *((True, margin) for margin in MARGINS)):
        box, counts = counted(conversation, loops, seed, holds=holds, margin=margin)
        rows.append(_row("conversations", holds, margin if holds else None, loops, counts, box))
    return {"rows": rows, "samples": loops, **machine()}


def counted(one: Callable[[Box, Client, Counts], None], count: int, seed: int, **how: Any) -> tuple[Box, Counts]:
    box, counts = Box(seed, **how), Counts()
    for number in range(count):
        one(box, Client(box.chance, number), counts)
    return box, counts


def _row(what: str, holds: bool, margin: float | None, count: int, counts: Counts, box: Box) -> dict[str, Any]:
    took = [1e6 * seconds for seconds in box.took]
    return {
        "what": what, "held": holds, "margin": margin, "number": count, "turns after the first": counts.turns,
        "changes": counts.changes, "forced": counts.forced,
        "changes a conversation": round(counts.changes / count, 3),
        "lost a turn": round(sum(counts.lost) / max(1, len(counts.lost)), 4),
        "us p50": round(percentile(took, 0.5), 1), "us p99": round(percentile(took, 0.99), 1),
    }  # fmt: skip
