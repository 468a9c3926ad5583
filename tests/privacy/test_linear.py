"""What a caller sends is sealed with an amount of work that grows as its size does, and off the event loop.

Work is counted, in Python's own calls: the same on any machine, however busy.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from netgpt.errors import DetectorError, NotDisclosable
from netgpt.privacy.aside import Aside, at_once, is_light
from netgpt.privacy.detector import Finder
from netgpt.privacy.detectors.profile_values import find_values
from netgpt.privacy.vault import Vault
from netgpt.types import Span


def letters(number: int) -> str:
    """A word that no other number has."""
    return "".join(chr(97 + int(digit)) for digit in f"{number:06d}")


def name(number: int) -> str:
    return f"{letters(number).title()} {letters(number * 7 + 1).title()}"


def asked(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def parts(text: Callable[[int], str], count: int) -> dict[str, Any]:
    return asked([{"type": "text", "text": text(number)} for number in range(count)])


def tool(number: int) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    return {"type": "function", "function": {"name": f"look_up_{number}", "parameters": schema}}


def call(number: int) -> dict[str, Any]:
    arguments = json.dumps({"mail": f"u{number}@mill.org"})
    return {"id": f"call_{number:024d}", "type": "function", "function": {"name": "f", "arguments": arguments}}


def speaker(number: int) -> dict[str, Any]:
    return {"role": "user", "name": name(number), "content": f"hello {name(number + 1)}"}


SMALL: dict[str, tuple[Callable[[int], Any], int]] = {
    "short numbers": (lambda i: 100_000 + i, 360),
    "numbers as long as telephone numbers": (lambda i: 4_000_000_000 + i * 7_919, 800),
    "numbers of twelve digits": (lambda i: 400_000_000_000 + i * 7_919_317, 1_100),
    "numbers of sixteen digits": (lambda i: 4_000_000_000_000_000 + i * 7_919_317_771, 600),
    "fractions": (lambda i: 0.123456789012 + i * 1.000391, 620),
    "UUIDs": (lambda i: str(uuid.UUID(int=i * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128)), 600),
    "hex ids": (lambda i: f"{i * 0x9E3779B97F4A7C15 % 2**64:016x}", 460),
    "times": (lambda i: f"20{i % 60:02d}-{i % 12 + 1:02d}-{i % 28 + 1:02d}T{i % 24:02d}:{i * 7 % 60:02d}:00Z", 600),
    "two letters": (lambda i: f"{letters(i)[-2:]}", 220),
    "words": (letters, 220),
}
"""Many small values that differ, and the most calls of functions that the search of one may take."""


def small(made: Callable[[int], Any], count: int) -> dict[str, Any]:
    return asked("hi", extra=[*map(made, range(count))])


BODIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "one mail in parts": lambda n: parts(lambda _: "a@b.cc ", n),
    "mails in parts": lambda n: parts(lambda i: f"a{i}@b.cc ", n),
    "empty parts": lambda n: parts(lambda _: "", n),
    "integers": lambda n: asked("hi", extra=list(range(1_000_000, 1_000_000 + n))),
    "tool calls": lambda n: {
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [*map(call, range(n))]}]
    },
    "tools": lambda n: asked("hi", tools=[*map(tool, range(n))]),
    "messages": lambda n: {"messages": [{"role": "user", "content": f"write to a{i}@b.cc"} for i in range(n)]},
    "speakers": lambda n: {"messages": [*map(speaker, range(n))]},
    "placeholders": lambda n: asked(" ".join(f"[EMAIL_{i}]" for i in range(n))),
    "placeholders as keys": lambda n: asked("hi", extra={f"email_{i}": 1 for i in range(n)}),
    "keys": lambda n: asked("hi", extra={f"k{i}": 1 for i in range(n)}),
    "names as keys": lambda n: asked(json.dumps({name(i): i for i in range(n)})),
    "names": lambda n: asked("; ".join(map(name, range(n)))),
    "biases": lambda n: asked("hi", logit_bias={f"{i}x": 1 for i in range(n)}),
    "stops": lambda n: asked("hi", stop=[f"stop {i}" for i in range(n)]),
    "deep": lambda n: asked("hi", extra=[[[[[[["x"]]]]]]] * n),
    "JSON in strings": lambda n: parts(lambda i: f'{{"n": {i}}}', n),
    "names of one family": lambda n: asked("; ".join(f"{letters(i).title()} Khumalo" for i in range(n))),
    **{what: partial(small, made) for what, (made, _) in SMALL.items()},
    "Chinese names": lambda n: asked("，".join("王" + chr(0x4E00 + i * 3) + chr(0x5000 + i) for i in range(n))),
}


class Everybody:
    """A `Detector` that needs no model: mail addresses, keys, and words with capitals that stand in pairs."""

    def __init__(self) -> None:
        self.finder = Finder(names=False)

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        found = self.finder.find(texts, values, names)
        for text, spans in zip(texts, found, strict=True):
            if text.istitle() and " " in text and not any(span.start == 0 for span in spans):
                spans.insert(0, Span(0, len(text.partition(";")[0]), "PERSON", "names", 0.9))
        return found

    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def close(self) -> None: ...


def steps(work: Callable[[], object]) -> int:
    """How many functions were called, those in C included."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def sealed(body: dict[str, Any]) -> bytes:
    return at_once(Vault().seal(body, Everybody())).content


@pytest.mark.parametrize("kind", BODIES)
def test_twice_as_much_takes_twice_the_work(kind: str) -> None:
    sealed(BODIES[kind](20))  # what is read at the first use
    once, thrice = (steps(lambda n=n: sealed(BODIES[kind](n))) for n in (150, 450))  # type: ignore[misc]
    assert thrice < 4 * once, f"{thrice / once:.1f} times the work for three times the values"


@pytest.mark.parametrize("what", SMALL)
def test_a_small_value_costs_little(what: str) -> None:
    made, most = SMALL[what]
    finder, texts = Finder(names=False), list(dict.fromkeys(str(made(i)) for i in range(400)))
    finder.find(texts[:10], (), None)  # what is read at the first use
    others = texts[10:]
    calls = steps(lambda: finder.find(others, (), None)) / len(others)
    assert calls < most, f"{calls:.0f} calls a value"


def test_many_values_are_found_as_few_are() -> None:
    values = [("PERSON", name(number)) for number in range(60)] + [("X", "C++"), ("X", "ab"), ("DIET", "vegan")]
    text = f"{name(3)}, {name(59).upper()}'s c++, ab, vegans and {name(7).replace(' ', '-')}{name(8)}; abc"
    together = find_values(text, values)
    singly = {span for value in values for span in find_values(text, [value])}
    assert together == sorted(singly, key=lambda span: (span.start, -span.end)) and len(together) == 7


def test_a_request_of_too_many_values_says_so() -> None:
    for body in (asked("hi", extra=[1] * 100_001), asked("[" + "[]," * 100_001 + "1]")):
        with pytest.raises(NotDisclosable, match="100000 values"):
            sealed(body)


def test_a_text_that_is_too_long_is_not_read_as_json() -> None:
    with pytest.raises(NotDisclosable, match=r"more than privacy\.max_chars = 400000"):
        sealed(asked("[" + "[]," * 600_000 + "1]"))


def test_what_is_light_is_told_without_reading_all() -> None:
    assert is_light(asked("Call Ada at noon.", tools=[tool(1)]))
    assert not is_light(asked("x" * 100_000)) and not is_light(asked("hi", extra=[1] * 500))
    looked = steps(lambda: is_light(asked("hi", extra=[[1]] * 100_000)))
    assert looked < 2_000


class Slow:
    """A detector that says when it is asked, and answers when told."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.threads: list[int] = []

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        self.threads.append(threading.get_ident())
        self.asked.set()
        await self.answer.wait()
        return [[] for _ in texts]

    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def close(self) -> None: ...


async def test_sealing_is_in_a_thread_and_the_detector_on_the_loop() -> None:
    aside, detector = Aside(), Slow()
    detector.answer.set()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    body, cpu = BODIES["keys"](8_000), time.thread_time()
    outbound = await aside.run(lambda inside: Vault().seal(body, inside), detector, 60)
    mine = time.thread_time() - cpu
    ticking.cancel()
    assert json.loads(outbound.content)["extra"] == body["extra"]
    assert set(detector.threads) == {threading.get_ident()} and ticks > 5
    cpu = time.thread_time()
    sealed(body)
    assert mine < time.thread_time() - cpu  # the loop's thread did less than the sealing takes


async def test_another_seals_while_one_waits_for_the_detector() -> None:
    aside, stuck, free = Aside(), Slow(), Slow()
    free.answer.set()
    first = asyncio.create_task(aside.run(lambda inside: Vault().seal(asked("one"), inside), stuck, 60))
    await stuck.asked.wait()
    second = await aside.run(lambda inside: Vault().seal(asked("two"), inside), free, 60)
    assert b"two" in second.content and not first.done()
    stuck.answer.set()
    assert b"one" in (await first).content


async def test_what_nobody_waits_for_ends_at_the_detector() -> None:
    aside, detector = Aside(), Slow()
    task = asyncio.create_task(aside.run(lambda inside: Vault().seal(asked("gone"), inside), detector, 60))
    await detector.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    detector.answer.set()
    again = await aside.run(lambda inside: Vault().seal(asked("here"), inside), detector, 60)
    assert b"here" in again.content


async def test_what_a_sealing_raises_comes_through() -> None:
    async def fails(_inside: Any) -> None:
        raise DetectorError("no")

    aside = Aside()
    for _ in range(3):
        with pytest.raises(DetectorError, match="no"):
            await aside.run(fails, Slow(), 60)
