"""From examples to an adapter that has been judged: gather, train in a child, register, judge, promote or refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from netgpt.adapters.card import EdgeWeights, edge_weights, user_adapter_name
from netgpt.adapters.registry import Entry, Registry, open_registry
from netgpt.errors import SettingsError
from netgpt.models.base import RemoteModel
from netgpt.models.catalog import Catalog
from netgpt.privacy.detector import Detector
from netgpt.settings import Settings
from netgpt.store.store import Store
from netgpt.training.canaries import plant_canaries
from netgpt.training.collect import Gathered, Instructor, Scope, Wanted, gather, site_facts
from netgpt.training.example import Example, Summary, digest_of, split, summary_of
from netgpt.training.gate import judge_adapter
from netgpt.training.lora.child import train_apart
from netgpt.training.lora.recipe import Recipe, Step
from netgpt.training.lora.run import Made, TrainingRun, people_in, register
from netgpt.training.self_instruct import Budget, self_instruct
from netgpt.types import Person

SCOPES: Final[dict[str, Scope]] = {"site": "site", "user": "user"}
"""Everything else is the adapter of a task."""
MEASURED_AT_LEAST: Final = 15
"""Examples that are held out of a small set, so that the gate can tell anything: up to 30 % of it."""


@dataclass(frozen=True)
class TrainingJob:
    """What to train: "complete", "site" or "user" (then `person` is set), from which examples, and what then."""

    what: str
    recipe: Recipe
    person: Person | None = None
    examples: Path | None = None
    public_examples: bool = False
    data: Path | None = None
    self_instruct: int = 0
    dry_run: bool = False
    promote: bool = False
    fresh: bool = False
    base: str | None = None


@dataclass
class TrainingResult:
    """What came of it, JSON-ready."""

    name: str
    summary: Summary
    skipped: dict[str, int]
    notes: list[str]
    adapter: str | None = None
    state: str = "dry run"
    figures: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] = field(default_factory=dict)
    folder: str | None = None
    next: str = ""

    @property
    def rejected(self) -> bool:
        return self.state == "rejected"


class TrainingProgress:
    """What happens, as it happens; override what is of interest. Called in the order of the methods."""

    def gathering(self) -> None:
        """The examples are about to be read."""

    def written(self, examples: int, tokens: int) -> None:
        """So many pairs, of so many tokens, were written by the cloud so far."""

    def gathered(self, summary: Summary, skipped: Mapping[str, int], notes: Sequence[str]) -> None:
        """What it trains on, what was left out and why."""

    def begun(self, resumes: bool) -> None:
        """The training starts; `resumes`: where an earlier run was cut."""

    def step(self, step: Step) -> None:
        """One step was made."""

    def judging(self, part: str, done: int, whole: int) -> None:
        """So many of a part of the gate are judged."""


@dataclass
class _Training:
    """One run of a job."""

    settings: Settings
    job: TrainingJob
    store: Store
    detector: Detector
    cloud: RemoteModel | None
    progress: TrainingProgress

    async def run(self) -> TrainingResult:
        facts = site_facts(self.settings.site, await self.store.places())
        wanted = self._wanted(tuple(fact.text for fact in facts))
        gathered = await self._gathered(wanted)
        share = round(min(0.3, max(0.1, MEASURED_AT_LEAST / max(1, len(gathered.examples)))), 3)
        summary = summary_of(gathered.examples, share)
        result = TrainingResult(wanted.name, summary, dict(gathered.skipped), gathered.notes)
        self.progress.gathered(summary, gathered.skipped, gathered.notes)
        if self.job.dry_run:
            result.next = "Leave --dry-run out to train."
            return result
        gathered.check(wanted)
        await self._train(replace(self.job.recipe, held_out=share), wanted, gathered.examples, result)
        return result

    def _wanted(self, public: tuple[str, ...]) -> Wanted:
        job, limits = self.job, self.settings.training
        return Wanted(
            user_adapter_name(job.person) if job.person is not None else job.what,
            SCOPES.get(job.what, "task"),
            job.person,
            job.examples,
            job.data,
            job.recipe.seed,
            limits.max_examples,
            limits.min_examples,
            limits.k_anonymity,
            public,
            job.public_examples,
        )

    async def _gathered(self, wanted: Wanted) -> Gathered:
        notes: list[str] = []
        instruct = self._instructor(notes) if self.job.self_instruct else None
        kinds = self.settings.privacy.sensitive_kinds
        self.progress.gathering()
        gathered = await gather(wanted, self.store, self.detector, sensitive_kinds=kinds, instruct=instruct)
        gathered.notes += notes
        return gathered

    def _instructor(self, notes: list[str]) -> Instructor:
        """Has the cloud write pairs about the site's facts. Raises SettingsError: no cloud, or a person's adapter."""
        job, cloud = self.job, self.cloud
        if job.person is not None:
            raise SettingsError(
                "--self-instruct is for `complete` and `site`: nothing about a person is sent to a cloud"
            )
        if cloud is None and not job.dry_run:
            raise SettingsError("--self-instruct needs a cloud: set [cloud] base_url, model and api_key")

        async def written() -> list[Example]:
            facts = site_facts(self.settings.site, await self.store.places())
            if job.dry_run or cloud is None:
                count = f"{job.self_instruct} pairs about {len(facts)} facts of the site"
                notes.append(f"a real run has the cloud write {count}")
                return []
            limits, prices = self.settings.training, self.settings.cloud
            done = await self_instruct(
                cloud,
                self.detector,
                facts,
                Budget(
                    job.self_instruct,
                    limits.self_instruct_tokens,
                    limits.self_instruct_cost,
                    prices.price_prompt,
                    prices.price_completion,
                ),
                model=prices.model,
                seed=job.recipe.seed,
                kept=self.settings.training_dir / "self-instruct.jsonl",
                progress=lambda now: self.progress.written(len(now.examples), now.tokens),
            )
            dropped = "; ".join(f"{count} {why}" for why, count in done.dropped.items()) or "none"
            notes.append(
                f"the cloud wrote {len(done.examples)} good pairs ({done.calls} calls, {done.tokens} tokens, cost "
                f"{done.cost:.4f}; ended: {done.stopped}; dropped: {dropped})"
            )
            return done.examples

        return written

    async def _train(self, recipe: Recipe, wanted: Wanted, examples: list[Example], result: TrainingResult) -> None:
        base = self._base()
        with TrainingRun(self.settings.training_dir / wanted.name) as run:
            decides = {"recipe": asdict(recipe), "base": base.sha256, "data": digest_of(examples)}
            run.begin(decides, people_in(examples), fresh=self.job.fresh)
            taught, canaries = plant_canaries(examples, run.canary_seed)
            self.progress.begun(run.resumes)

            def stepped(step: Any) -> None:
                run.check()
                self.progress.step(step)

            trained = await train_apart(
                base.path, taught, recipe, run.work, progress=stepped, resume=not self.job.fresh, lock=run.lock
            )
            run.check()
            result.figures = {key: value for key, value in asdict(trained).items() if key != "folder"}
            if recipe.full or self.job.base is not None:
                # This box does not serve it: it stays where it was made until the next training of this name.
                result.state, result.folder = "written", str(trained.folder)
                result.next = f"Serve {trained.folder} with the weights that it was made for; this box serves others."
                return
            planted = {"seed": run.canary_seed, "count": len(canaries)}
            registry = open_registry(self.settings)
            made = Made(wanted, base, recipe, examples, planted, trained)
            entry = await register(made, run, registry, self.store)
            run.finish()
        result.adapter, result.state = entry.id, "candidate"
        await self._judge(registry, entry, split(examples, recipe.held_out), result)

    async def _judge(
        self, registry: Registry, entry: Entry, examples: tuple[list[Example], list[Example]], result: TrainingResult
    ) -> None:
        """The gate, with what was learnt and what was held out. What stops it leaves a candidate to be judged later."""
        learnt, held = examples
        _, verdict = await judge_adapter(
            self.settings, registry, entry, held, training=learnt, progress=self.progress.judging
        )
        result.gate = verdict.as_json()
        if not verdict.passed:
            result.state = "rejected"
            result.next = "More or better examples help; `--dry-run` shows what it learnt from."
        elif self.job.promote:
            registry.promote(entry.id)
            result.state, result.next = "active", f"Take it back with `netgpt adapters rollback {entry.card.name}`."
        else:
            result.next = f"Make it active with `netgpt adapters promote {entry.id}`."

    def _base(self) -> EdgeWeights:
        """The weights to train for: the served ones, or what --base names."""
        catalog, edge, base = Catalog(self.settings.models_dir), self.settings.edge, self.job.base
        if base is not None:
            folder = Path(base).expanduser()
            return EdgeWeights(folder.name, "0" * 64, folder) if folder.is_dir() else edge_weights(catalog, base)
        if self.job.recipe.full:
            raise SettingsError("--full trains a whole model: name it with --base FOLDER")
        if edge.base_url is not None:
            raise SettingsError(
                "adapters are for the built-in engine; [edge] base_url names another server. Leave base_url out, or "
                "name the weights with --base and serve the result yourself."
            )
        served = edge_weights(catalog, edge.model)
        catalog.resolve(edge.model)  # tells how to fetch what is not here
        return served


async def train_adapter(
    settings: Settings,
    job: TrainingJob,
    *,
    store: Store,
    detector: Detector,
    cloud: RemoteModel | None = None,
    progress: TrainingProgress | None = None,
) -> TrainingResult:
    """Run a job: gather, train, register and judge; a dry run stops after gathering.

    `cloud` is needed for `self_instruct` only. What is passed in is closed by the caller. A run that was cut goes on
    where it was, unless the job is `fresh`. Raises NetGPTError with the cure: too few examples, no weights, another
    training of the same name, a person who withdrew meanwhile.
    """
    return await _Training(settings, job, store, detector, cloud, progress or TrainingProgress()).run()
