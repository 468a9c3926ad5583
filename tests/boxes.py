"""A box in this process for tests of the line: scripted edge, faulty cloud over HTTP, detector without a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netgpt.app.factory import open_remotes
from netgpt.app.gateway import Gateway
from netgpt.exchange import Exchange, Request, owner_of
from netgpt.models.base import Endpoint, RemoteModel
from netgpt.models.client import CloudModel
from netgpt.privacy.detector import Detector, LocalDetector
from netgpt.settings import load_settings
from netgpt.stages import Stage
from netgpt.stages.record import receipts_in
from netgpt.store.store import open_store
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import FaultyCloud
from netgpt.types import Caller, Chunk, Location, Role

OWNER = Caller("local", Role.ADMIN)
AS_IT_IS = {"on_low_confidence": "answer", "cascade": False}
"""Settings with which an answer of the box is given, however little it is believed."""
FRONT_END = ("location", "consent", "complete", "conversation", "dry_run", "constraints")


@asynccontextmanager
async def gateway(
    home: Path,
    cloud: FaultyCloud | Mapping[str, Any] | None = None,
    *,
    edge: Any = None,
    detector: Detector | None = None,
    prices: Mapping[str, float] | None = None,
    patience_s: float = 30.0,
    **settings: Mapping[str, Any],
) -> AsyncIterator[Gateway]:
    """Started, and closed at the end. `settings` are sections: `site={"city": "Portwick"}`; so may `cloud` be.

    `patience_s`: seconds without a byte of the cloud. All other limits are generous too: the machine may be busy.
    What a scripted edge says is given as it is: nobody knows how good it is at anything.
    """
    sections: dict[str, Any] = {"completion": {"mode": "select"}, **settings}
    sections["routing"] = {**AS_IT_IS, **sections.get("routing", {})}
    sections["server"] = {"comment_s": 300, **sections.get("server", {})}
    for name in ("privacy", "completion"):
        sections[name] = {"timeout_s": 60, **sections.get(name, {})}
    if isinstance(cloud, Mapping):
        sections["cloud"] = cloud
    elif cloud is not None:
        sections["cloud"] = {"base_url": cloud.base_url, "model": "far", **(prices or {})}
    made = load_settings(environment={}, home=home, **sections)
    store = open_store(made)
    receipt_hook = receipts_in(store, keep_text=made.store.keep_text)
    remotes: dict[str, RemoteModel] = open_remotes(made, receipt_hook)
    if isinstance(cloud, FaultyCloud):
        remotes["cloud"] = CloudModel(
            "far", Endpoint(cloud.base_url, None), timeout_s=patience_s, connect_timeout_s=30, retries=0,
            max_connections=10, breaker_failures=50, breaker_reset_s=1, receipt_hook=receipt_hook,
        )  # fmt: skip
    near = edge or ScriptedModel("the edge says so")
    opened = Gateway(made, store, near, remotes, detector or LocalDetector(names=False))
    try:
        await opened.start()
        yield opened
    finally:
        await opened.close()


def exchange(
    text: str, model: str = "netgpt", *, user: str = "ada", claim: str | None = None, **fields: Any
) -> Exchange:
    """A new exchange: `location=`, `consent=` and the like (`FRONT_END`) are fields of the request."""
    given = {k: fields.pop(k) for k in FRONT_END if k in fields}
    body = {"messages": [{"role": "user", "content": text}], **fields}
    request = Request(body=body, model=model, user=user, stream=bool(body.get("stream")), **given)
    return Exchange(request, OWNER, claim=claim)


@dataclass(frozen=True)
class Owner:
    """Stands for the stage that writes a field."""

    name: str
    writes: frozenset[str]
    reads: frozenset[str] = frozenset()


def fill(one: Exchange, **fields: Any) -> Exchange:
    """Write these fields, each as its owner would have."""
    for name, value in fields.items():
        setattr(one.view(Owner(owner_of(name), frozenset({name}))), name, value)
    return one


async def run(stage: Stage, one: Exchange) -> None:
    """One stage alone, held to what it declares as in the line."""
    await stage(one.view(stage))


async def answer(here: Gateway, one: Exchange) -> str:
    """Run the pipeline and read the answer to its end."""
    await here.workflow.run(one)
    said = ""
    chunks: list[Chunk] = [chunk async for chunk in one.chunks]
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            said += choice["delta"].get("content") or ""
    return said


FAR_AWAY = Location(48.8566, 2.3522)
"""Paris: outside any site of these tests."""
