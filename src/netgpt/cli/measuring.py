"""What people see of a model's ability: the bar while it is measured, and the table by kind of task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from netgpt.cli.common import opened, patient_detector, print_table, progress_bar, say

if TYPE_CHECKING:
    from netgpt.capability.measure import MeasureLimits, Spent
    from netgpt.capability.profile import Profile
    from netgpt.settings import Settings

TOKENS_ELSEWHERE = 200_000
"""Tokens that a model elsewhere is asked for at most, where the caller names no bound."""
_STOPPED = {
    "enough": "measured",
    "time": "the time is up: the same command goes on where it stopped",
    "tokens": "the budget of tokens is used: the same command goes on where it stopped",
    "money": "the budget of money is used: the same command goes on where it stopped",
    "failures": "the model stopped answering",
}


async def measured(
    settings: Settings, name: str, kinds: Sequence[str], limits: MeasureLimits, *, again: bool, fresh: bool, quiet: bool
) -> tuple[Profile, Spent]:
    """Measure a model with a bar on stderr. Raises NotFound, ModelUnavailable, RequestError, StoreError."""
    from dataclasses import replace

    from netgpt.app.capability import ProfileFile
    from netgpt.app.measuring import examinee, measure

    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(settings))
        detector = patient_detector(settings)
        stack.push_async_callback(detector.close)
        model = await stack.enter_async_context(examinee(settings, store, name, detector))
        if model.remote:
            prices = settings.remotes[model.target]
            limits = replace(
                limits, tokens=limits.tokens or TOKENS_ELSEWHERE,
                price_prompt=prices.price_prompt, price_completion=prices.price_completion,
            )  # fmt: skip
        elif limits.money is not None or limits.tokens is not None:
            limits = replace(limits, money=None, tokens=None)
        bar = stack.enter_context(progress_bar("count", "left", quiet=quiet))
        task = bar.add_task(f"asking {model.subject.name}", total=None)
        return await measure(
            model, ProfileFile(settings.home, store.files), limits, kinds, again=again, fresh=fresh,
            on_begun=lambda done, whole: bar.update(task, completed=done, total=whole),
            on_asked=lambda question, right: bar.update(task, advance=1, description=question.kind),
        )  # fmt: skip


def show_measured(profile: Profile, spent: Spent) -> None:
    """The table, and how it went."""
    print_kinds(known_kinds(profile, profile.name), f"{profile.name}: {profile.asked} questions")
    costs = f", {spent.money:.4f} money" if spent.money else ""
    say(f"{_STOPPED[spent.stopped]} ({spent.asked} asked in {spent.seconds:.0f} s, {spent.tokens:,} tokens{costs})")
    if spent.failed:
        say(f"{spent.failed} questions got no answer: {spent.failure}")


def known_kinds(profile: Profile | None, name: str) -> dict[str, dict[str, Any]]:
    """What is known of a model by kind: the chance that is believed, what was measured, what was published."""
    from netgpt.app.capability import chances, published

    told, shown = published(name), profile.shown() if profile is not None else {}
    scores, sorts = told.chances if told else {}, profile.families if profile is not None else {}
    return {
        kind: {"chance": round(chance, 3), **shown.get(kind, {})}
        | ({"published": scores[kind], "source": told.source} if told and kind in scores else {})
        | {"sorts": {name: [sorts[name].right, sorts[name].asked] for name in sorts if name.startswith(f"{kind}/")}}
        for kind, chance in chances(profile, name).items()
    }


def print_kinds(kinds: Mapping[str, Mapping[str, Any]], title: str) -> None:
    """One row for each kind of task; "form": a rule sees the form of such answers alone."""
    rows = [
        (
            kind,
            f"{facts['right']} of {facts['asked']}" if "asked" in facts else "not measured",
            "{:.0%} to {:.0%}".format(*facts["interval"]) if "asked" in facts else "",
            f"{facts['chance']:.0%}" + (" (form)" if facts.get("measured") == "form" else ""),
            f"{facts['published']:.0%}" if "published" in facts else "",
        )
        for kind, facts in kinds.items()
    ]
    print_table(("kind of task", "did", "95 % interval", "believed", "published"), rows, title=title)
    for source in dict.fromkeys(facts["source"] for facts in kinds.values() if "source" in facts):
        say(f"published: {source}; other questions than ours")
