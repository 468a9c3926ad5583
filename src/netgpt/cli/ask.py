"""`netgpt ask` and `netgpt explain`: one question from the terminal, and what became of it."""

from __future__ import annotations

import json
import re
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import typer

from netgpt.cli.common import (
    console,
    find_exchange,
    json_option,
    print_json,
    print_table,
    read_settings,
    read_stdin,
    reports_errors,
    run,
)
from netgpt.cli.complete import Mode
from netgpt.errors import RequestError
from netgpt.settings import Settings
from netgpt.settings.routing import Preset, WhenRefused
from netgpt.settings.sections import Completion
from netgpt.types import Caller, Person, Role

if TYPE_CHECKING:
    from netgpt.exchange import Exchange

LOCAL = "local"
COLUMNS = ("target", "will do", "seconds", "cost", "joules", "exposed", "value", "ruled out by")


def show_targets(decision: dict[str, Any] | None) -> None:
    """What each target was expected to give, and what ruled it out; nothing where none were weighed.

    `decision`: as an exchange's record holds it.
    """
    if decision is None or not decision.get("expected"):
        return
    best_first = sorted(decision["expected"], key=lambda one: (one["ruled_out"] is not None, -one["value"]))
    rows = [_row(one, decision) for one in best_first]
    print_table(COLUMNS, rows, title=f"the decision, by {decision['weights']}")


def _row(one: dict[str, Any], decision: dict[str, Any]) -> list[str]:
    fallbacks = decision["fallbacks"]
    place = " (chosen)" if one["arm"] == decision["arm"] else ""
    if one["arm"] in fallbacks:
        place = f" (fallback {fallbacks.index(one['arm']) + 1})"
    return [
        one["arm"] + place, f"{one['p_ok']:.0%}", f"{one['latency_s']:.2f}", f"{one['cost']:.4g}",
        f"{one['energy_j']:.0f}", f"{one['exposure']:.0%}", f"{one['value']:+.2f}", one["ruled_out"] or "",
    ]  # fmt: skip


@reports_errors
def ask(
    prompt: list[str] = typer.Argument(None, help="The question; read from stdin when left out."),
    user: str = typer.Option("anonymous", help="The person who asks."),
    model: str = typer.Option("netgpt", help="netgpt, netgpt/edge, netgpt/cloud, or an upstream's name."),
    complete: Mode | None = typer.Option(None, help="How the prompt is completed; none: as the person or box says."),
    at: str = typer.Option(None, metavar="LAT,LON", help="Where the person is; the coordinates stay on the box."),
    prefer: Preset | None = typer.Option(None, help="What counts more in the decision; none: routing.prefer."),
    fallback: WhenRefused | None = typer.Option(None, help="After which failures another model may answer."),
    deadline: float | None = typer.Option(None, min=0.001, help="Seconds in which the whole answer is wanted."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show exactly what would leave; send nothing, ask nobody."),
    as_json: bool = json_option,
) -> None:
    """Ask one question, without a server."""
    from netgpt.routing.names import model_names

    text = " ".join(prompt) if prompt else read_stdin()
    wishes: dict[str, Any] = {"complete": complete, "location": _location(at), "dry_run": dry_run, "prefer": prefer}
    wishes["fallback"] = fallback
    body: dict[str, Any] = {
        "model": model, "messages": [{"role": "user", "content": text}], "stream": not as_json, "user": user,
        "netgpt": {**wishes, "deadline_s": deadline},
    }  # fmt: skip
    settings = read_settings()
    model_names(settings).find(model)  # a mistyped name is told before anything is opened
    result = run(_ask(settings, body, as_json))
    if as_json:
        print_json(result)
    elif dry_run and result is not None:
        _show_dry_run(result)


def _location(at: str | None) -> dict[str, float] | None:
    if at is None:
        return None
    try:
        latitude, longitude = (float(part) for part in at.split(","))
    except ValueError:
        raise RequestError("--at: give degrees as LAT,LON, such as 52.2053,0.1218") from None
    return {"latitude": latitude, "longitude": longitude}


async def _ask(settings: Settings, body: dict[str, Any], as_json: bool) -> dict[str, Any] | None:
    import orjson

    from netgpt.app.gateway import open_gateway
    from netgpt.exchange import Exchange
    from netgpt.web.requests import parse_chat
    from netgpt.web.told import explained

    gateway = open_gateway(patient(settings))
    try:
        exchange = Exchange(parse_chat(orjson.dumps(body), gateway.model_names), Caller(LOCAL, Role.ADMIN))
        # There is only one question: the person's adapter is loaded before the engine starts.
        gateway.residency.choose(Person(LOCAL, body["user"]))
        await gateway.start()
        await gateway.workflow.run(exchange)
        if not as_json and not exchange.request.dry_run:
            await print_answer(exchange)
        else:
            async with aclosing(cast(Any, exchange.chunks)) as chunks:
                async for _ in chunks:
                    pass
        row = await gateway.store.exchange(exchange.id)
    finally:
        await gateway.close()
    answered = exchange.outcome.answered_by
    line = f"{answered.name}: {answered.reason} · netgpt explain {exchange.id}"
    console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)
    if exchange.request.dry_run:
        return {"id": exchange.id, **explained(exchange)}
    return {"id": exchange.id, **(row.private or {})} if row else None


PATIENCE_S = 20.0
"""Seconds that choosing facts may take where a process has just begun and one person waits for it."""


def patient(settings: Settings) -> Settings:
    """The settings of a command that asks: the facts are chosen on a slow or busy machine too."""
    longer: Completion = settings.completion.model_copy(
        update={"timeout_s": max(PATIENCE_S, settings.completion.timeout_s)}
    )
    return settings.model_copy(update={"completion": longer})


async def print_answer(exchange: Exchange) -> str:
    """Show the answer as it comes; the whole of it, as it came."""
    parts = []
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        async for chunk in chunks:
            for choice in chunk.get("choices") or ():
                piece = (choice.get("delta") or {}).get("content") or ""
                parts.append(piece)
                sys.stdout.write(plain_lines(piece))
                sys.stdout.flush()
    sys.stdout.write("\n")
    return "".join(parts)


_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain_lines(text: str) -> str:
    """A model's text without what could steer the terminal; lines, tabs and joined signs stay.

    >>> plain_lines("a\\x1b[2Jb\\n")
    'a [2Jb\\n'
    """
    return _STEERING.sub(" ", text)


def _show_dry_run(found: dict[str, Any]) -> None:
    hidden = [f"{h['placeholder']} ({h['rule']}; {h['policy_rule'] or 'no policy asked'})" for h in found["hidden"]]
    changed = ((g, "as it is" if g["now"] == "exact" else f"{g['was']} -> {g['now']}") for g in found["generalised"])
    where, decision = found["destination"], found["decision"]
    rows: list[tuple[str, object]] = [
        ("would leave", found["leaves"]),
        ("to", f"{where['host']}, model {where['model']}" if where else found["kept_because"] or "nobody"),
        ("exact body", found["would_send_text"] or ""),
        ("SHA-256", found["would_send_sha256"] or ""),
        ("hidden", "\n".join(hidden)),
        ("generalised", "\n".join(f"{g['kind']}: {precision} ({g['policy_rule']})" for g, precision in changed)),
        ("decision", f"{decision['arm']} ({decision['rule']}): {decision['reason']}"),
        ("what if", decision["counterfactual"]),
    ]
    print_table(["what", "value"], rows)
    show_targets(decision)


@reports_errors
def explain(
    exchange: str = typer.Argument(None, help="The exchange's id; the newest when left out."),
    as_json: bool = json_option,
) -> None:
    """Show what was asked, which facts were used, what left, what was hidden, and why it went where it went."""
    row = find_exchange(exchange)
    found = {"person": row.user, **row.as_dict()}
    if as_json:
        print_json(found)
    else:
        _show(found)


_STAYS = {
    "withheld": "in an address, attribute or name that the request did not have",
    "beyond": "because the answer would grow without bounds",
    "unresolved": "unknown",
}


def _put_back(counts: dict[str, int]) -> str:
    """What became of the answer's placeholders."""
    stays = [f"{counts[name]} stay ({why})" for name, why in _STAYS.items() if counts.get(name)]
    return ", ".join([str(counts.get("restored", 0)), *stays])


def choice_rows(found: dict[str, Any]) -> list[tuple[str, object]]:
    """The facts that were given, each with its chance to help, how they were chosen, and what was nearly given."""
    completion = found.get("completion") or {}
    chances = completion.get("chances") or {}
    given = chances.get("given") or ()
    facts = [
        f"{fact['text']} ({given[i]:.2f})" if i < len(given) else fact["text"]
        for i, fact in enumerate(found.get("facts") or ())
    ]
    rows: list[tuple[str, object]] = [
        ("facts used", "; ".join(facts) or "none"),
        ("why these", completion.get("why") or ""),
    ]
    if chances.get("next"):
        nearly = ", ".join(f"{chance:.2f}" for chance in chances["next"])
        rows.append(("not given", f"facts with the chances {nearly}; they are given from {chances['cut']:.2f} on"))
    return rows


def believed(told: dict[str, Any] | None) -> str:
    """How far the answer may be believed, why, and what was done because of it, in words."""
    if not told:
        return "not judged"
    start = told.get("start") or {}
    parts = [
        f"{told['chance']:.2f}: {'; '.join(told['reasons']) or 'no doubt'}" if "chance" in told else "",
        f"the box's start was given up at {start['chance']:.2f}: {'; '.join(start['reasons'])}" if start else "",
        told.get("acted", ""),
        f"held back {told['held_s']:.1f} s" if told.get("held_s") else "",
        f"{told['given_up_tokens']} tokens that nobody got" if told.get("given_up_tokens") else "",
        "asked again once" if told.get("asked_again") else "",
    ]
    return " · ".join(filter(None, parts))


def _show(found: dict[str, Any]) -> None:
    from netgpt.routing.candidates import last_user_text

    outbound = found.get("outbound")
    left = json.dumps(outbound, ensure_ascii=False, indent=1) if outbound else f"nothing: {found.get('kept_because')}"
    answer = found.get("answer") or {}
    texts = [str((c.get("message") or {}).get("content") or "") for c in answer.get("choices") or ()]
    adapters, note = ", ".join(found.get("adapters") or ()) or "none", found.get("adapter_note")
    rows: list[tuple[str, object]] = [
        ("exchange", f"{found['id']} ({found['status']}, {found['received']})"),
        ("person", found["person"]),
        ("asked", last_user_text((found.get("request") or {}).get("messages") or []) or "(texts are not kept)"),
        *choice_rows(found),
        ("what left", left),
        *([("not said", ", ".join(found["left_out"]))] if found.get("left_out") else []),
        ("hidden", ", ".join(f"{h['placeholder']} x{h['count']} ({h['rule']})" for h in found.get("hidden") or ())),
        ("put back", _put_back(found.get("restoring") or {})),
        ("route", f"{found['route']}: {found['reason']}"),
        ("what if", (found.get("decision") or {}).get("counterfactual") or ""),
        ("fallback", found.get("fallback") or ""),
        ("adapters", f"{adapters} ({note})" if note else adapters),
        ("believed", believed(found.get("confidence"))),
        *(
            (f"notes of {stage}", json.dumps(notes, ensure_ascii=False))
            for stage, notes in (found.get("notes") or {}).items()
        ),
        ("answer", "\n---\n".join(texts)),
        ("tokens, cost", f"{found['usage']['prompt_tokens']} + {found['usage']['completion_tokens']}, {found['cost']}"),
        ("milliseconds", ", ".join(f"{k} {v:.1f}" for k, v in found["timings_ms"].items())),
    ]
    print_table(["what", "value"], rows)
    show_targets(found.get("decision"))
