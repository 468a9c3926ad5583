"""`netgpt bench overhead`: what the gateway adds to a call, beside a direct connection, Portkey's and LiteLLM's.

No LLM stage runs: completion is off and the cloud is the shipped fake, which answers at once. One run measures all,
interleaved in rounds, so that a busy machine slows every row alike.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from netgpt_bench.harness import (
    LoadResult,
    LoadTarget,
    Progress,
    drive,
    fake_cloud,
    gateway,
    litellm,
    portkey,
    portkey_script,
)  # fmt: skip

TEXT = (
    "What should I think about before I buy a second-hand bicycle for short rides to the office, and which parts "
    "wear out first? Keep the answer short, name the three most common faults, and say for each of them how to see "
    "it with the naked eye and roughly what a repair would cost in a small workshop."
)

BY_PATTERNS = "netgpt, hiding by patterns"
GATEWAYS: dict[str, dict[str, str]] = {
    "netgpt, hiding off (trusted cloud)": {"NETGPT_CLOUD__TRUSTED": "true"},
    BY_PATTERNS: {"NETGPT_PRIVACY__NAMES": "false"},
    "netgpt, hiding by patterns and names": {},
}

DOORS: dict[str, dict[str, Any]] = {
    "/v1/responses": {"input": TEXT},
    "/v1/messages": {"messages": [{"role": "user", "content": TEXT}], "max_tokens": 256},
    "/v1/completions": {"prompt": TEXT},
}
"""The same question at the other doors of the second gateway, which hides by patterns."""

Runs = dict[str, list[LoadResult]]


async def run(
    *,
    requests: int,
    connections: int,
    rounds: int,
    portkey_at: Path,
    litellm_at: Path | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Measure every row. `requests` per row and round, with one connection, and again over `connections`.

    Returns `{"rows": [...], "samples": ..., "not_shown": ...}`; times in milliseconds.
    """
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(fake_cloud())
        url = f"http://127.0.0.1:{cloud}/v1"
        targets = {"direct": question(cloud)}
        for name, settings in GATEWAYS.items():
            progress(f"starting {name}")
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netgpt-bench-")))
            usual = {
                "NETGPT_CLOUD__BASE_URL": url,
                "NETGPT_EDGE__BASE_URL": url,
                "NETGPT_COMPLETION__MODE": "off",
                "NETGPT_LOG_LEVEL": "error",
            }
            port, _ = await stack.enter_async_context(gateway(home, usual | settings))
            targets[name] = question(port)
            if name == BY_PATTERNS:
                for door, said in DOORS.items():
                    asked = json.dumps({"model": "netgpt/cloud", **said}).encode()
                    targets[f"{name}, {door}"] = LoadTarget(f"http://127.0.0.1:{port}{door}", asked, {})
        script = portkey_script(portkey_at)
        if script is not None:
            progress("starting Portkey's gateway")
            port, _ = await stack.enter_async_context(portkey(script))
            headers = {
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": url,
                "authorization": "Bearer none",
                "x-portkey-strict-open-ai-compliance": "true",
            }
            targets["Portkey gateway"] = question(port, "any", headers)
        if litellm_at is not None:
            progress("starting LiteLLM's proxy (half a minute)")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netgpt-bench-")))
            port, _ = await stack.enter_async_context(litellm(litellm_at, url, folder))
            targets["LiteLLM proxy"] = question(port, "any")
        single, crowd = await _measure(targets, requests, connections, rounds, progress)
    return {
        "rows": _rows(single, crowd),
        "connections": connections,
        "samples": {"one connection": requests * rounds, f"{connections} connections": requests * rounds},
        "portkey": "measured" if script else f"not installed under {portkey_at}: npm install @portkey-ai/gateway",
        "not_shown": "real models, TLS, long prompts, other machines; load generator and cloud share the cores",
    }


def question(port: int, model: str = "netgpt/cloud", headers: dict[str, str] | None = None) -> LoadTarget:
    """The same question of every row."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": TEXT}]}).encode()
    return LoadTarget(f"http://127.0.0.1:{port}/v1/chat/completions", body, headers or {})


async def _measure(
    targets: dict[str, LoadTarget], requests: int, connections: int, rounds: int, progress: Progress
) -> tuple[Runs, Runs]:
    """Runs with one connection and with many, by row."""
    single: Runs = {name: [] for name in targets}
    crowd: Runs = {name: [] for name in targets}
    for name, target in targets.items():
        progress(f"warming up {name}")
        await drive(target, connections=4, requests=200)
    for number in range(rounds):
        for name, target in targets.items():
            progress(f"round {number + 1} of {rounds}: {name}")
            single[name].append(await drive(target, connections=1, requests=requests))
            crowd[name].append(await drive(target, connections=connections, requests=requests))
    return single, crowd


def _rows(single: Runs, crowd: Runs) -> list[dict[str, Any]]:
    direct_p50, direct_p99 = _median(single["direct"], 0.5), _median(single["direct"], 0.99)
    rows = []
    for name, runs in single.items():
        medians = [run.at(0.5) for run in runs]
        p50, p99 = statistics.median(medians), _median(runs, 0.99)
        rows.append(
            {
                "row": name,
                "p50_ms": round(p50, 3),
                "p50_spread_ms": round(max(medians) - min(medians), 3),
                "p99_ms": round(p99, 3),
                "added_p50_ms": round(p50 - direct_p50, 3),
                "added_p99_ms": round(p99 - direct_p99, 3),
                "crowd_p50_ms": round(_median(crowd[name], 0.5), 2),
                "crowd_p99_ms": round(_median(crowd[name], 0.99), 2),
                "per_second": round(statistics.median(run.per_second for run in crowd[name])),
            }
        )
    return rows


def _median(runs: list[LoadResult], share: float) -> float:
    """The median over the rounds of a quantile in milliseconds."""
    return statistics.median(run.at(share) for run in runs)
