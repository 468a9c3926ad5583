"""Opens a model to be measured, on the box or elsewhere, and measures it: `netgpt models measure`, `netgpt bench`.

Weights get an engine of their own that is stopped again; nothing leaves. A model elsewhere is asked through the vault,
with a receipt for each question; questions in which the detector finds something to hide are not asked.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

from netgpt.app.capability import ProfileFile, Subject, subjects, weights_subject
from netgpt.app.factory import open_edge, open_remote
from netgpt.capability.measure import Ask, MeasureLimits, Measuring, Spent
from netgpt.capability.profile import Profile
from netgpt.capability.questions import CheckedQuestion
from netgpt.dialects.clouds import encoder_of
from netgpt.errors import ModelUnavailable, RequestError
from netgpt.judgement import TASK_KINDS
from netgpt.models.base import ChatModel, Endpoint, RemoteModel
from netgpt.models.catalog import Catalog
from netgpt.models.client import EdgeModel
from netgpt.models.download import file_sha256
from netgpt.models.engine import Engine
from netgpt.models.stream import Joiner
from netgpt.privacy.detector import Detector
from netgpt.privacy.vault import Vault
from netgpt.settings import Settings
from netgpt.settings.sections import Cloud
from netgpt.stages.record import receipts_in
from netgpt.store.store import Store
from netgpt.types import EDGE, Sender

SLOTS: Final = 4
CONTEXT_TOKENS: Final = 1024
_LONGEST_TOKEN: Final = 500
"""Characters of a chunk, with what stands around its token; a stream with many more is an endless one."""


@dataclass(frozen=True, slots=True)
class Examinee:
    """A model that can be asked, and what its profile is found by. `target`: where it may be routed to, or ""."""

    subject: Subject
    ask: Ask
    remote: bool = False
    target: str = ""


@asynccontextmanager
async def examinee(settings: Settings, store: Store, name: str, detector: Detector) -> AsyncIterator[Examinee]:
    """The model of that name: a target ("edge", "cloud", an upstream's name), weights of the catalogue, or a file.

    `detector`: started; only models elsewhere need it. Raises NotFound, ModelUnavailable, RequestError.
    """
    if name in settings.remotes:
        subject = subjects(settings, store.files)[name]
        remote = settings.remotes[name]
        model = open_remote(name, remote, receipts_in(store, keep_text=settings.store.keep_text))
        try:
            yield Examinee(subject, _remotely(model, detector, remote), True, name)
        finally:
            await model.close()
    elif name == EDGE and settings.edge.base_url is not None:
        _, edge = open_edge(settings, store.files)
        try:
            yield Examinee(subjects(settings, store.files)[EDGE], asker(edge), target=EDGE)
        finally:
            await edge.close()
    else:
        weights = settings.edge.model if name == EDGE else name
        catalog = Catalog(settings.models_dir, store.files)
        path, subject = catalog.resolve(weights), weights_subject(catalog, weights)
        _refuse_changed(catalog, weights, path)
        async with engine_of(path, settings.edge.threads, settings.home / "measure.log") as edge:
            yield Examinee(subject, asker(edge), target=EDGE if weights == settings.edge.model else "")


def _refuse_changed(catalog: Catalog, name: str, path: Path) -> None:
    """Raises ModelUnavailable: the file is not the one that the list names, and its profile would be another's."""
    if "/" in name or name.lower().endswith(".gguf"):
        return
    entry = catalog.show(name)
    if path == entry.path and file_sha256(path) != entry.sha256:
        raise ModelUnavailable(
            f'{path}: not the weights that are listed as "{name}": the file was changed. Pull or add it.'
        )


@asynccontextmanager
async def engine_of(weights: Path, threads: int, log_path: Path) -> AsyncIterator[EdgeModel]:
    """A model of these weights, alone in an engine of its own. Raises ModelUnavailable."""
    engine = Engine(weights, context_tokens=CONTEXT_TOKENS, slots=SLOTS, threads=threads, log_path=log_path)
    await engine.start()
    try:
        endpoint: Callable[[], Endpoint] = engine.endpoint
        model = EdgeModel(
            weights.stem, endpoint, weights.stem, timeout_s=120.0, default_max_tokens=128, ready=engine.health
        )
        try:
            yield model
        finally:
            await model.close()
    finally:
        await engine.stop()


def asker(model: ChatModel) -> Ask:
    """Asks a model on the box."""

    async def ask(question: CheckedQuestion) -> Mapping[str, Any]:
        return await _joined(model.chat({**question.body(), "stream": True}), question.most_tokens)

    return ask


def _remotely(model: RemoteModel, detector: Detector, remote: Cloud) -> Ask:
    async def ask(question: CheckedQuestion) -> Mapping[str, Any] | None:
        body = {"model": remote.model, **question.body(), "stream": True}
        texts = [str(message.get("content") or "") for message in question.messages]
        encode = encoder_of(remote)
        outbound = await Vault().seal(body, detector, trusted=remote.trusted, public=texts, encode=encode)
        if outbound.hidden:
            return None
        return await _joined(model.send(outbound, sender=Sender(purpose="measure")), question.most_tokens)

    return ask


async def _joined(chunks: AsyncIterator[Any], most_tokens: int) -> dict[str, Any]:
    """The answer, left where it is far longer than what was asked for."""
    joiner, length = Joiner(), 0
    async with aclosing(cast(Any, chunks)) as stream:
        async for chunk in stream:
            joiner.add(chunk)
            length += len(str(chunk))
            if length > _LONGEST_TOKEN * (most_tokens + 32):
                break
    return joiner.answer()


def seed_of(profile: Profile | None, kinds: Sequence[str], rounds: int, *, again: bool) -> int:
    """Of which questions to ask: always the same first ones, or (`again`) the first others that are not all asked.

    Some kinds alone have seeds of their own, so that rounds count the same for every kind in them.
    """
    base = 1 if list(kinds) == list(TASK_KINDS) else 1000 * (1 + zlib.crc32(",".join(kinds).encode()) % 1_000_000)
    done = profile.rounds if profile is not None else {}
    return next(seed for seed in count(base + 1) if done.get(seed, 0) < rounds) if again else base


async def measure(
    model: Examinee,
    profiles: ProfileFile,
    limits: MeasureLimits,
    kinds: Sequence[str],
    *,
    again: bool = False,
    fresh: bool = False,
    on_begun: Callable[[int, int], None] = lambda done, whole: None,
    on_asked: Callable[[CheckedQuestion, bool], None] = lambda question, right: None,
) -> tuple[Profile, Spent]:
    """Measure and keep what was found, round by round. `on_begun`: questions that were asked before, and all.

    Raises StoreError: the profiles cannot be kept; ModelUnavailable: it answers nothing.
    """
    if not kinds:
        raise RequestError("name a kind of task to measure, or none for all")
    if fresh:
        profiles.forget(model.subject.key)
    known = profiles.own(model.subject.key)
    seed = seed_of(known, kinds, limits.rounds, again=again)
    profile = known or Profile(subject=model.subject.key, name=model.subject.name)
    on_begun(profile.rounds.get(seed, 0) * len(kinds), limits.rounds * len(kinds))
    measuring = Measuring(model.ask, profile, seed, profiles.save, limits, kinds, on_asked)
    return await measuring.run(), measuring.spent
