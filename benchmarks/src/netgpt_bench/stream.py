"""`netgpt bench stream`: time to the first token with and without hiding, on a real engine as the cloud.

Both rows send the same kind of request through the whole pipeline to the same stand-in cloud (a second engine with the
bundled model); one with `cloud.trusted` (nothing hidden), one as shipped (patterns and names). Each request begins with
other words, so that the engine's prompt cache helps neither row.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from netgpt.app.gateway import Gateway, open_gateway
from netgpt.exchange import Exchange, Request
from netgpt.models.base import Endpoint
from netgpt.models.engine import Engine
from netgpt.settings import load_settings
from netgpt.types import Caller, Role
from netgpt_bench.harness import Progress

FIRST = ("Tomorrow", "Last week", "On Monday", "After lunch", "Some days ago", "In the spring", "Before noon")
NAMES = ("Maria Keller", "John Abernathy", "Ingrid Solberg", "Paolo Ferri", "Anne Dubois", "Peter Novak")


async def run(weights: Path, *, samples: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Measure both rows, interleaved. Times in milliseconds."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="netgpt-bench-") as folder:
        engine = Engine(weights, context_tokens=2048, slots=1, log_path=Path(folder) / "cloud.log")
        await engine.start()
        try:
            rows = await _compare(engine.endpoint(), Path(folder), samples, rng, progress)
        finally:
            await engine.stop(0)
    plain, hidden = ([sample[0] for sample in rows[name]] for name in ("without hiding", "with hiding"))
    return {
        "rows": [_row(name, values) for name, values in rows.items()],
        "ratio": round(statistics.median(h / p for h, p in zip(hidden, plain, strict=True)), 3),
        "bar": "<= 1.1",
        "samples": samples,
        "not_shown": "a faster cloud: the stage keeps its time, so the ratio grows; and placeholders are fewer tokens "
        "than what they hide, which a slow cloud repays",
    }


async def _compare(
    cloud: Endpoint, folder: Path, samples: int, rng: random.Random, progress: Progress
) -> dict[str, list[tuple[float, float]]]:
    times: dict[str, list[tuple[float, float]]] = {"without hiding": [], "with hiding": []}
    async with (
        _gateway(cloud, folder / "a", trusted=True) as plain,
        _gateway(cloud, folder / "b", trusted=False) as hiding,
    ):
        gateways = {"without hiding": plain, "with hiding": hiding}
        for number in range(samples + 2):
            order = list(gateways)
            rng.shuffle(order)
            for name in order:
                took = await _first_token(gateways[name], _text(rng))
                if number >= 2:  # the first two warm up connections and the detector
                    times[name].append(took)
            progress(f"{number + 1} of {samples + 2}")
    return times


@asynccontextmanager
async def _gateway(cloud: Endpoint, home: Path, *, trusted: bool) -> AsyncIterator[Gateway]:
    settings = load_settings(
        home=home,
        edge={"base_url": cloud.base_url, "api_key": cloud.api_key},
        cloud={"base_url": cloud.base_url, "api_key": cloud.api_key, "model": "stand-in", "trusted": trusted},
        completion={"mode": "off"},
    )
    gateway = open_gateway(settings)
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.close()


def _text(rng: random.Random) -> str:
    """About 60 words with a name, an e-mail address and a phone number; never the same beginning."""
    name = rng.choice(NAMES)
    mail = f"{name.split()[0].lower()}{rng.randrange(10_000)}@example.org"
    phone = f"+44 20 7946 {rng.randrange(1000):04d}"
    return (
        f"{rng.randrange(10**6)} {rng.choice(FIRST)} I have to write to {name} ({mail}, {phone}) about the repair of "
        "the boiler in the shared kitchen, which has been loud for some weeks. Draft a short and friendly message that "
        "asks for a date, says that mornings are best, and offers to pay half of the bill. Keep it under five lines."
    )


async def _first_token(gateway: Gateway, text: str) -> tuple[float, float]:
    """Milliseconds to the first token, and those of them that the stage `desensitize` took."""
    body = {"messages": [{"role": "user", "content": text}], "stream": True, "max_tokens": 4}
    exchange = Exchange(Request(body=body, model="netgpt/cloud", stream=True), Caller("local", Role.ADMIN))
    await gateway.workflow.run(exchange)
    async for _ in exchange.chunks:
        pass
    return exchange.timings["first_token"], exchange.timings["desensitize"]


def _row(name: str, samples: list[tuple[float, float]]) -> dict[str, Any]:
    values = [first_token for first_token, _ in samples]
    cuts = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return {
        "row": name,
        "first_token_p50_ms": round(statistics.median(values), 1),
        "quartiles_ms": [round(cuts[0], 1), round(cuts[2], 1)],
        "desensitize_p50_ms": round(statistics.median(stage for _, stage in samples), 2),
    }
