"""`netgpt bench utility`: how many answers stay the same when private data is hidden on the way."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import console, errors_told, json_option, print_json, read_settings, run
from netgpt.cli.edge import edge_askers
from netgpt.errors import RequestError

if TYPE_CHECKING:
    from netgpt.bench.utility import Answer
    from netgpt.completion.naming import Ask

__all__ = ["utility"]

_TITLES = {
    "rules": "answers unchanged by hiding; the cloud does every task by rule",
    "model": "answers unchanged by hiding; the cloud is a real model",
}
_ANSWER_TOKENS = 200


@errors_told
def utility(
    requests: int = typer.Option(240, min=10, help="Generated requests with checkable answers."),
    policy: str = typer.Option("balanced,strict,open,health", help="Policy sets or .cedar files, with commas."),
    names: bool = typer.Option(True, help="Look for names too; --no-names: patterns alone."),
    model: Path | None = typer.Option(None, help="Weights (.gguf) of a real model to ask too, in a table apart."),
    model_requests: int = typer.Option(40, min=10, help="Requests that the real model is asked, each twice or more."),
    seed: int = typer.Option(7, help="Seed of the requests."),
    as_json: bool = json_option,
) -> None:
    """What hiding costs: checkable facts in answers with and without the boundary, by kind of work and policy set."""
    policies = [name.strip() for name in policy.split(",") if name.strip()]
    if not policies:
        raise RequestError("--policy: name at least one policy set or .cedar file", param="policy")
    plan = {"requests": requests, "policies": policies, "model_requests": model_requests, "seed": seed}
    _show({**run(_measured(plan, names, model)), "names": names}, as_json)


async def _measured(plan: dict[str, Any], names: bool, weights: Path | None) -> dict[str, Any]:
    from netgpt.bench import utility as bench
    from netgpt.privacy.detect import LocalDetector

    async with AsyncExitStack() as stack:
        detector = LocalDetector(names)
        await detector.start()
        stack.push_async_callback(detector.close)
        model = None
        if weights is not None:
            settings = read_settings(edge={"model": str(weights)})
            ask, _ = await stack.enter_async_context(edge_askers(settings))
            model = _answer(ask)
        return await bench.run(detector=detector, model=model, progress=_told, **plan)


def _answer(ask: Ask) -> Answer:
    async def answer(text: str) -> str:
        asked = [{"role": "user", "content": text}]
        told = await ask({"messages": asked, "temperature": 0, "max_tokens": _ANSWER_TOKENS})
        return str(told["choices"][0]["message"].get("content") or "")

    return answer


def _show(result: dict[str, Any], as_json: bool) -> None:
    from netgpt.bench.report import machine, print_report

    rest = {key: value for key, value in result.items() if key != "tables"}
    if as_json:
        print_json({"title": "utility", "tables": result["tables"], **rest, **machine()})
        return
    tables = list(result["tables"].items())
    for number, (name, rows) in enumerate(tables, 1):
        print_report(_TITLES[name], rows, {**rest, **machine()} if number == len(tables) else {})


def _told(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)
