"""`netgpt demo`: the whole story, question by question, on the built-in model, with no key and no network."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netgpt.cli.common import json_option, opened_files, print_json, read_settings, reports_errors, run, say
from netgpt.errors import ModelUnavailable, NetGPTError, NotFound
from netgpt.settings import Settings

if TYPE_CHECKING:
    from netgpt.app.gateway import Gateway
    from netgpt.testing.server import FaultyCloud


SITE = {
    "name": "the Harbour Street library", "city": "Portwick", "region": "Eastshire", "country": "United Kingdom",
    "time_zone": "Europe/London",
}  # fmt: skip
PROFILE = (
    ("is vegetarian", "diet", "public"),
    ("prefers cheap places", "budget", "public"),
    ("takes the medicine Ramifentol", "health", "personal"),
    ("lives at 12 Tannery Lane", "home", "personal"),
)
ADA = "ada"


@dataclass(frozen=True)
class Question:
    """One line of the demo; `cloud_down` stops the stand-in before it is asked."""

    text: str
    model: str = "netgpt"
    cloud_down: bool = False


QUESTIONS = (
    Question("ideas for dinner tonight"),
    Question("How many days are in a week?"),
    Question("Write a short thank-you letter to Maria Keller, maria.keller@example.org, phone +44 20 7946 0958"),
    Question("My card 4111 1111 1111 1111 was charged twice. What should I do?"),
    Question("Explain step by step how to get from 12 Tannery Lane to the station", model="netgpt/cloud"),
    Question("can I take aspirin with my medication?"),
    Question("Write a Python function that adds two numbers", cloud_down=True),
)

WRITTEN = (
    ("vegetarian", "Three cheap dinners without meat: chickpea curry with rice; tomato and lentil soup with bread; "
     "baked potatoes with beans and cheese. Each takes about half an hour."),
    ("dinner", "Three quick dinners: an omelette with vegetables; pasta with tomato sauce; chicken soup with bread. "
     "What you like and what it may cost, I was not told."),
    ("thank-you", "To: {PERSON}, {EMAIL}, {PHONE}\n\nDear {PERSON},\n\nthank you very much for your help. It meant "
     "a great deal to me.\n\nWith kind regards"),
    ("aspirin", "That depends on which medicine it is. Some must not be taken together with aspirin, blood thinners "
     "above all. Ask a pharmacist or a doctor before you take both."),
    ("step by step", "1. Put {HOME} into a map as the start. 2. Put the station in as the end. 3. Choose walking or "
     "bus. 4. Leave ten minutes early. Which streets lie between, I cannot know from here."),
    ("days are in a week", "A week has seven days."),
    ("function", "def add(a, b):\n    return a + b"),
)  # fmt: skip
"""What the stand-in for a cloud says, by words of the question; {KIND} is the placeholder of that kind which it got."""


def written(body: Mapping[str, Any]) -> str:
    """The stand-in's answer to what reached it."""
    text = str(body["messages"][-1]["content"])
    answer = next((answer for words, answer in WRITTEN if words in text), "The stand-in has no answer to this.")
    got = {each[1]: each[0] for each in re.finditer(r"\[([A-Z]+)_\d+\]", text)}
    return re.sub(r"\{([A-Z]+)\}", lambda wanted: got.get(wanted[1], wanted[1].lower()), answer)


@reports_errors
def demo(as_json: bool = json_option) -> None:
    """Ask seven questions of a made-up person and show what became of each. Needs no key."""
    settings = read_settings()
    weights = _weights(settings)
    encoder = _encoder(settings)
    with tempfile.TemporaryDirectory(prefix="netgpt-demo-") as folder:
        rows = run(_ask_all(weights, encoder, Path(folder)))
    if as_json:
        print_json(rows)
    else:
        _show(rows)


def _weights(settings: Settings) -> Path:
    """The edge model's file; fetched when it is not here yet, and said so."""
    from netgpt.cli.model_catalogue import pull_with_progress
    from netgpt.models.catalog import Catalog

    with opened_files(settings) as proof:
        catalog = Catalog(settings.models_dir, proof)
        try:
            return catalog.resolve(settings.edge.model)
        except (NotFound, ModelUnavailable):
            say(f"The edge model is not here yet: fetching it once into {settings.models_dir}.")
            pull_with_progress(settings, settings.edge.model)
            return catalog.resolve(settings.edge.model)


def _encoder(settings: Settings) -> str:
    """The sentence encoder's file, fetched when it is not here yet; "off" where it cannot be had: the demo goes on."""
    from netgpt.cli.model_catalogue import pull_with_progress
    from netgpt.models.catalog import Catalog

    catalog, name = Catalog(settings.models_dir), settings.encoder.model
    if name == "off":
        return name
    try:
        try:
            return str(catalog.encoder(name)[0])
        except ModelUnavailable:
            say(f"The sentence encoder is not here yet: fetching it once into {settings.models_dir}.")
            return str(pull_with_progress(settings, name).path)
    except NetGPTError as error:
        say(f"No sentence encoder: {error.message}")
        return "off"


async def _ask_all(weights: Path, encoder: str, folder: Path) -> list[dict[str, Any]]:
    from netgpt.context import profile_fact
    from netgpt.types import Label, Person

    say("Starting the edge model, and a server with written answers that stands in for a cloud.")
    async with _demo_gateway(weights, encoder, folder) as (gateway, cloud):
        for text, kind, label in PROFILE:
            await gateway.store.add_fact(Person("local", ADA), profile_fact(text, kind, Label(label)))
        rows = []
        for question in QUESTIONS:
            if question.cloud_down:
                say("Stopping the stand-in cloud.")
                cloud.stop()
            say(f"asking: {question.text}")
            rows.append(await _ask(gateway, question))
    return rows


@asynccontextmanager
async def _demo_gateway(weights: Path, encoder: str, folder: Path) -> AsyncIterator[tuple[Gateway, FaultyCloud]]:
    from netgpt.app.gateway import open_gateway
    from netgpt.testing.server import FaultyCloud

    cloud = FaultyCloud(written)
    cloud.start()
    settings = read_settings(
        home=folder / "home",
        site=SITE,
        edge={"model": str(weights), "max_tokens": 64, "base_url": None},
        encoder={"model": encoder},
        cloud={"base_url": cloud.base_url, "model": "stand-in-cloud", "retries": 0},
    )
    gateway = open_gateway(settings)
    try:
        await gateway.start()
        yield gateway, cloud
    finally:
        await gateway.close()
        cloud.stop()


async def _ask(gateway: Gateway, question: Question) -> dict[str, Any]:
    from netgpt.exchange import Exchange, Request
    from netgpt.types import Caller, Role

    body = {"messages": [{"role": "user", "content": question.text}], "temperature": 0, "max_tokens": 64}
    exchange = Exchange(Request(body=body, model=question.model, user=ADA), Caller("local", Role.ADMIN))
    await gateway.workflow.run(exchange)
    async for _ in exchange.chunks:
        pass
    row = await gateway.store.exchange(exchange.id)
    kept = (row.private or {}) if row else {}
    return {
        "asked": question.text,
        "completed": (kept.get("completion") or {}).get("text"),
        "left": kept["outbound"]["messages"][-1]["content"] if kept.get("outbound") else None,
        "kept_because": kept.get("kept_because"),
        "route": exchange.outcome.answered_by.route,
        "reason": exchange.outcome.answered_by.reason,
        "answer": _text(kept.get("answer") or {}),
        "confidence": kept.get("confidence"),
        "ms": round(exchange.timings["total"]),
        "timings_ms": dict(exchange.timings),
    }


def _text(answer: dict[str, Any]) -> str:
    choices = answer.get("choices") or [{}]
    return str((choices[0].get("message") or {}).get("content") or json.dumps(choices[0].get("message")))


def _show(rows: list[dict[str, Any]]) -> None:
    """One table, a section a question: it reads the same in 80 columns as in 200."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = "NetGPT demo (the edge model is real; the cloud is a stand-in with written answers)"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        for name, cell in _lines(row):
            table.add_row(name, Text(cell, style="bold" if name == "asked" else ""))
        table.add_section()
    next_steps = (
        "Next: `netgpt serve`, then point any OpenAI client at http://127.0.0.1:8080/v1. "
        "`netgpt profile add` tells the box what it may know; `netgpt explain` shows any exchange in full."
    )
    Console().print(table, next_steps, sep="\n")


def _lines(row: dict[str, Any]) -> list[tuple[str, str]]:
    from netgpt.cli.ask import believed

    whose = "answer of the stand-in" if row["route"] == "cloud" else "answer of the box"
    added = (row["completed"] or "").removeprefix(row["asked"]).strip()
    return [
        ("asked", row["asked"]),
        ("completed with", _short(added.partition("\n")[2]) if added else "nothing"),
        ("what left", _short(row["left"] or "nothing")),
        ("route, reason", f"{row['route']}: {row['reason']}"),
        (whose, _short(row["answer"], 600)),
        ("believed", believed(row["confidence"])),
        ("milliseconds", str(row["ms"])),
    ]


def _short(text: str, limit: int = 220) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
