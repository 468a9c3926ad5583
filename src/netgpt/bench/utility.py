"""`netgpt bench utility`: what hiding costs the answers. The same requests with and without the boundary.

Each request goes to a stand-in cloud as it is, and sealed by a real vault under each policy; the answer to the sealed
one is restored. Compared are the facts in the answers that were right without hiding.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from netgpt.bench.utility_cloud import RuleCloud
from netgpt.bench.utility_tasks import KINDS, Task, TaskMaker, right_facts
from netgpt.errors import NotDisclosable
from netgpt.policy.disclosure import Destination, Disclosure
from netgpt.policy.engine import READY_MADE, Policy, Principal
from netgpt.privacy.detect import Detector
from netgpt.privacy.generalize import PLACE_RUNGS, Generaliser
from netgpt.privacy.kinds import family
from netgpt.privacy.precision import ladder
from netgpt.privacy.vault import Vault

__all__ = ["Answer", "measure", "run"]

Answer = Callable[[str], Awaitable[str]]
"""A stand-in cloud: the text of a request -> the text of its answer."""
Tell = Callable[[str], None]
ALL: Final = "all"
NOTES: Final = (
    "under each policy: of the facts right without hiding, the percent still right in the restored answer; `kept`: "
    "requests that the policy keeps on the box, counted apart"
)


@dataclass(slots=True)
class _Score:
    """What happened to the requests of one kind under one policy."""

    kept: int = 0
    plain: int = 0
    """Facts that were right without hiding, in the requests that left."""
    sealed: int = 0
    """Those of them that were still right."""

    def told(self) -> float | None:
        return round(100 * self.sealed / self.plain, 1) if self.plain else None


async def run(
    *,
    detector: Detector,
    requests: int,
    seed: int,
    policies: Sequence[str] = READY_MADE,
    model: Answer | None = None,
    model_requests: int = 40,
    progress: Tell,
) -> dict[str, Any]:
    """The tables `rules` (a cloud that does every task by rule) and, with `model`, `model` (the first
    `model_requests` of the same requests). Raises DetectorError, SettingsError."""
    tasks = TaskMaker(seed).tasks(requests)
    tables = {"rules": await measure(tasks, RuleCloud().answer, detector, policies, progress)}
    if model is not None:
        tables["model"] = await measure(tasks[:model_requests], model, detector, policies, progress)
    return {"tables": tables, "requests": len(tasks), "seed": seed, "notes": NOTES}


async def measure(
    tasks: Sequence[Task], cloud: Answer, detector: Detector, policies: Sequence[str], progress: Tell
) -> list[dict[str, Any]]:
    """One row for each kind of task, and one for all. Raises DetectorError, SettingsError (no such policy)."""
    rules = {name: _terms(Policy.load(name)) for name in policies}
    progress("without hiding")
    plain = [right_facts(task, await cloud(task.text)) for task in tasks]
    generaliser = Generaliser()
    scores = {}
    for name, terms in rules.items():
        progress(f"policy {name}")
        if terms.wants(PLACE_RUNGS, ("PLACE", "ADDRESS")):
            generaliser.get_ready()
        scores[name] = await _scores(tasks, plain, cloud, _Boundary(detector, terms, generaliser))
    return [_row(kind, tasks, plain, scores) for kind in (*KINDS, ALL)]


def _terms(policy: Policy) -> Disclosure:
    who = Principal("local", "user", "someone")
    return Disclosure(policy, who, Destination(), ladder=ladder, family=family, asked="cloud")


@dataclass(frozen=True, slots=True)
class _Boundary:
    """What a request passes on its way out and back, as the stage `desensitize` calls it."""

    detector: Detector
    terms: Disclosure
    generaliser: Generaliser

    async def ask(self, text: str, cloud: Answer) -> str:
        """The restored answer. Raises NotDisclosable: the policy keeps the request on the box."""
        vault = Vault()
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        sealed = await vault.seal(body, self.detector, terms=self.terms, generaliser=self.generaliser)
        seen = json.loads(sealed.content)["messages"][0]["content"]
        return vault.restorer().text(await cloud(seen))


async def _scores(tasks: Sequence[Task], plain: Sequence[int], cloud: Answer, boundary: _Boundary) -> dict[str, _Score]:
    scores: dict[str, _Score] = defaultdict(_Score)
    for task, right in zip(tasks, plain, strict=True):
        try:
            answer = await boundary.ask(task.text, cloud)
        except NotDisclosable:
            answer = None
        for name in (task.kind, ALL):
            if answer is None:
                scores[name].kept += 1
            else:
                scores[name].plain += right
                scores[name].sealed += min(right, right_facts(task, answer))
    return scores


def _row(
    kind: str, tasks: Sequence[Task], plain: Sequence[int], scores: Mapping[str, Mapping[str, _Score]]
) -> dict[str, Any]:
    chosen = [(task, right) for task, right in zip(tasks, plain, strict=True) if kind in (task.kind, ALL)]
    facts = sum(len(task.facts) for task, _ in chosen)
    row: dict[str, Any] = {
        "work": kind,
        "requests": len(chosen),
        "facts": facts,
        "right without hiding %": round(100 * sum(right for _, right in chosen) / facts, 1) if facts else None,
    }
    for name, of_kind in scores.items():
        score = of_kind.get(kind, _Score())
        row[f"{name} %"] = score.told()
        row[f"{name} kept"] = score.kept
    return row
