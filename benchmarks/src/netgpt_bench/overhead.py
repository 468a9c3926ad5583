"""`netgpt bench overhead`: what the gateway adds to a call, beside a direct connection and Portkey's gateway.

No LLM stage runs: completion is off and the cloud is the shipped fake, which answers at once. One run measures all,
interleaved in rounds, so that a busy machine slows every row alike.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from netgpt_bench.harness import LoadResult, LoadTarget, drive, fake_cloud, gateway, portkey, portkey_script

TEXT = (
    "What should I think about before I buy a second-hand bicycle for short rides to the office, and which parts "
    "wear out first? Keep the answer short, name the three most common faults, and say for each of them how to see "
    "it with the naked eye and roughly what a repair would cost in a small workshop."
)

GATEWAYS: dict[str, dict[str, str]] = {
    "netgpt, hiding off (trusted cloud)": {"NETGPT_CLOUD__TRUSTED": "true"},
    "netgpt, hiding by patterns": {"NETGPT_PRIVACY__NAMES": "false"},
    "netgpt, hiding by patterns and names": {},
}

Progress = Callable[[str], None]


async def run(*, requests: int, connections: int, rounds: int, portkey_at: Path, progress: Progress) -> dict[str, Any]:
    """Measure every row. `requests` per row and round, with one connection; ten times that over `connections`.

    Returns `{"rows": [...], "samples": ..., "not_shown": ...}`; times in milliseconds.
    """
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(fake_cloud())
        targets = {"direct": _target(cloud, "netgpt/cloud")}
        for name, settings in GATEWAYS.items():
            progress(f"starting {name}")
            port = await stack.enter_async_context(_gateway(cloud, settings))
            targets[name] = _target(port, "netgpt/cloud")
        script = portkey_script(portkey_at)
        if script is not None:
            progress("starting Portkey's gateway")
            port, _ = await stack.enter_async_context(portkey(script))
            host = f"http://127.0.0.1:{cloud}/v1"
            headers = {
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": host,
                "authorization": "Bearer none",
                "x-portkey-strict-open-ai-compliance": "true",
            }
            targets["Portkey gateway"] = _target(port, "any", headers)
        single, crowd = await _measure(targets, requests, connections, rounds, progress)
    return {
        "rows": _rows(single, crowd),
        "connections": connections,
        "samples": {"one connection": requests * rounds, f"{connections} connections": requests * rounds},
        "portkey": "measured" if script else f"not installed under {portkey_at}: npm install @portkey-ai/gateway",
        "not_shown": "real models, TLS, long prompts, other machines; load generator and cloud share the cores",
    }


@asynccontextmanager
async def _gateway(cloud: int, settings: dict[str, str]) -> AsyncIterator[int]:
    url = f"http://127.0.0.1:{cloud}/v1"
    with tempfile.TemporaryDirectory(prefix="netgpt-bench-") as home:
        usual = {
            "NETGPT_CLOUD__BASE_URL": url,
            "NETGPT_EDGE__BASE_URL": url,
            "NETGPT_COMPLETION__MODE": "off",
            "NETGPT_LOG_LEVEL": "error",
        }
        async with gateway(Path(home), usual | settings) as (port, _):
            yield port


def _target(port: int, model: str, headers: dict[str, str] | None = None) -> LoadTarget:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": TEXT}]}).encode()
    return LoadTarget(f"http://127.0.0.1:{port}/v1/chat/completions", body, headers or {})


async def _measure(
    targets: dict[str, LoadTarget], requests: int, connections: int, rounds: int, progress: Progress
) -> tuple[dict[str, list[LoadResult]], dict[str, list[LoadResult]]]:
    single: dict[str, list[LoadResult]] = {name: [] for name in targets}
    crowd: dict[str, list[LoadResult]] = {name: [] for name in targets}
    for name, target in targets.items():
        progress(f"warming up {name}")
        await drive(target, connections=4, requests=200)
    for number in range(rounds):
        for name, target in targets.items():
            progress(f"round {number + 1} of {rounds}: {name}")
            single[name].append(await drive(target, connections=1, requests=requests))
            crowd[name].append(await drive(target, connections=connections, requests=requests))
    return single, crowd


def _rows(single: dict[str, list[LoadResult]], crowd: dict[str, list[LoadResult]]) -> list[dict[str, Any]]:
    direct_p50 = statistics.median(m.at(0.5) for m in single["direct"])
    direct_p99 = statistics.median(m.at(0.99) for m in single["direct"])
    rows = []
    for name, runs in single.items():
        medians = [m.at(0.5) for m in runs]
        p99 = statistics.median(m.at(0.99) for m in runs)
        rows.append(
            {
                "row": name,
                "p50_ms": round(statistics.median(medians), 3),
                "p50_spread_ms": round(max(medians) - min(medians), 3),
                "p99_ms": round(p99, 3),
                "added_p50_ms": round(statistics.median(medians) - direct_p50, 3),
                "added_p99_ms": round(p99 - direct_p99, 3),
                "crowd_p50_ms": round(statistics.median(m.at(0.5) for m in crowd[name]), 2),
                "crowd_p99_ms": round(statistics.median(m.at(0.99) for m in crowd[name]), 2),
                "per_second": round(statistics.median(m.per_second for m in crowd[name])),
            }
        )
    return rows
