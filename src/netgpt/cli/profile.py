"""`netgpt profile`: what the box knows of people, and how each wants prompts completed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from netgpt.cli.common import (
    OnOff,
    confirm,
    json_option,
    patient_detector,
    plain,
    print_json,
    print_table,
    private_file,
    read_settings,
    reports_errors,
    say,
    tell,
    with_store,
    yes_option,
)
from netgpt.errors import NotFound, RequestError
from netgpt.training import PURPOSE
from netgpt.types import Fact, Label, Person

if TYPE_CHECKING:
    from netgpt.adapters.registry import Registry
    from netgpt.store.schema import ConsentRow, KeptExample
    from netgpt.store.store import Store
    from netgpt.training.people import Forgotten


COMMON_KINDS: Final = (
    "allergy", "budget", "car", "cuisine", "diet", "family", "hobby", "music", "pet", "place", "work",
)  # fmt: skip
"""Kinds of facts of which it was learnt from many requests when they are needed; any other word is a kind, too."""

Unlearning = Callable[["Store", "Registry", "Path", Person], Awaitable["Forgotten"]]


def with_learning(person: Person, work: Unlearning) -> Forgotten:
    """Run one of the ways of forgetting on the box's store, adapters and trainings."""
    from netgpt.adapters.registry import Registry, shipped_adapters

    settings = read_settings()
    # Without a look at the weights: forgetting must work on a box whose model is gone.

    async def worked(store: Store) -> Forgotten:
        registry = Registry(settings.adapters_dir, shipped_adapters(), proof=store.files)
        return await work(store, registry, settings.training_dir, person)

    return with_store(worked, settings)


def example_removed(id: str) -> Unlearning:
    """One example. Raises NotFound: the person has no such example."""

    async def removed(store: Store, registry: Registry, training: Path, person: Person) -> Forgotten:
        from netgpt.training.people import forget_example

        forgotten = await forget_example(store, registry, training, person, id)
        if forgotten is None:
            raise NotFound(f"this person has no example {id}: `netgpt profile examples USER` shows them", param="id")
        return forgotten

    return removed


def consent_as_json(row: ConsentRow | None) -> dict[str, Any]:
    """For machines; never asked is not given."""
    if row is None:
        return {"consents": False, "given": None, "withdrawn": None}
    return {"consents": row.stands, "given": row.given, "withdrawn": row.withdrawn}


def consent_line(row: ConsentRow | None) -> str:
    """For people."""
    if row is None:
        return "never asked, so no"
    if row.stands:
        return f"yes, since {row.given:%Y-%m-%d %H:%M} UTC"
    return f"no, since {row.withdrawn:%Y-%m-%d %H:%M} UTC"


def example_as_json(example: KeptExample) -> dict[str, Any]:
    """All of an example but the person, who is known."""
    return {key: value for key, value in asdict(example).items() if key not in ("person", "row")} | example.row


def show_forgotten(forgotten: Forgotten) -> None:
    """A table of what went, and how to make again what others need."""
    rows: list[list[object]] = [[name, count] for name, count in forgotten.removed.items()]
    rows += [["adapter", id] for id in forgotten.adapters]
    rows += [["training", name] for name in forgotten.trainings]
    print_table(["deleted", "rows or name"], rows)
    for command in forgotten.retrain:
        say(f"To make it again without this person: {command}")


app = typer.Typer(help="What the box knows of people: add, list, export, forget.", no_args_is_help=True)


def _named(user: str | None) -> str | None:
    if user is not None and not user.strip():
        raise typer.BadParameter("name the person, such as ada")
    return user


_USER = typer.Argument(help="The person, as the request's `user` names them.", callback=_named)
_TENANT = typer.Option("local", help="The person's tenant.")


class Purpose(StrEnum):
    """What a consent is about."""

    CONSTRAINTS = "constraints"
    LOCATION = "location"
    PROFILE = "profile"
    PROPOSALS = "proposals"
    TOOLS = "tools"
    TRAINING = "training"


class CompleteMode(StrEnum):
    """How prompts are completed; `default`: as the settings say."""

    SELECT = "select"
    REWRITE = "rewrite"
    OFF = "off"
    DEFAULT = "default"


@app.command()
@reports_errors
def add(
    user: str = _USER,
    text: str = typer.Argument(help='What holds of the person, such as "is vegetarian".'),
    kind: str = typer.Option("note", help=f"What it is about, one word: {', '.join(COMMON_KINDS)}, or any other."),
    label: Label = typer.Option(
        Label.PERSONAL,
        help="public: may leave; personal: used on the box, places and dates leave coarser at most; "
        "sensitive: keeps the request here.",
    ),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """Keep a fact about a person, sealed on this box."""
    from netgpt.context import check_room, profile_fact

    fact, person = profile_fact(text, kind, label), Person(tenant, user)

    async def kept(store: Store) -> str:
        check_room(len(await store.facts(person)))
        return await store.add_fact(person, fact)

    id = with_store(kept)
    if as_json:
        print_json(_fact(id, fact))
    else:
        say(f"{id}: {fact.text}")
    if kind not in COMMON_KINDS and (near := difflib.get_close_matches(kind, COMMON_KINDS, 1, 0.7)):
        say(f'the kind "{plain(kind)}" is kept as it is; if you meant "{near[0]}": remove the fact and add it again')


@app.command("list")
@reports_errors
def list_facts(
    user: str | None = typer.Argument(None, help="The person; left out, the people with a profile are listed."),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """List a person's facts, or the people."""
    if user is None:
        people = with_store(lambda store: store.people(tenant))
        return print_json(people) if as_json else print_table(["user"], [[name] for name in people])
    person = Person(tenant, user)
    facts = [_fact(id, fact) for id, fact in with_store(lambda store: store.facts(person))]
    if as_json:
        return print_json(facts)
    mode = with_store(lambda store: store.profile_mode(person))
    columns = ("id", "text", "kind", "label")
    print_table(columns, [[fact[name] for name in columns] for fact in facts], title=f"completion: {mode or 'default'}")


@app.command()
@reports_errors
def remove(
    user: str = _USER,
    id: str = typer.Argument(help="The id that `netgpt profile list USER` shows (fact_...)."),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """Delete one fact."""
    if not with_store(lambda store: store.remove_fact(Person(tenant, user), id)):
        raise NotFound(f"this person has no fact {id}: `netgpt profile list USER` shows them", param="id")
    tell(f"{id} is deleted.", as_json, id=id, deleted=True)


@app.command()
@reports_errors
def complete(
    user: str = _USER,
    mode: CompleteMode = typer.Argument(help="How this person's prompts are completed."),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """Set how a person's prompts are completed."""
    chosen = None if mode is CompleteMode.DEFAULT else mode.value
    with_store(lambda store: store.set_profile(Person(tenant, user), chosen))
    tell(f"Completion for this person: {mode}.", as_json, complete=mode.value)


@app.command()
@reports_errors
def consent(
    user: str = _USER,
    purpose: str | None = typer.Argument(None, help=f"What it is about: {', '.join(Purpose)}; left out: all."),
    word: OnOff | None = typer.Argument(None, help="Say it: on or off; left out: show it."),
    until: datetime | None = typer.Option(None, formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Ends then (UTC)."),
    third_party: str | None = typer.Option(None, "--third-party", help="Only for this receiver, a host name."),
    about: Purpose | None = typer.Option(None, "--purpose", hidden=True),
    training: OnOff | None = typer.Option(None, hidden=True),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """Show what a person consents to, or change it: `netgpt profile consent ada training on`.

    It counts from the next request on, also in a box that runs. Nobody's words train anything without consent; what
    was learnt is unlearnt with `training off`.
    """
    said, word = _what_is_said(purpose, word, about, training)
    person = Person(tenant, user)
    if said is None:
        return _show_consents(person, as_json)
    forgotten = _say_consent(person, said, word, until, third_party) if word is not None else None
    row = with_store(lambda store: store.learning.consent(person, said.value))
    if as_json:
        return print_json(consent_as_json(row) | (forgotten.as_json() if forgotten else {}))
    whom = f" (towards everybody; towards {third_party} as said now)" if third_party else ""
    say(f"{said}: {consent_line(row)}{whom}")
    if forgotten is not None:
        show_forgotten(forgotten)


def _what_is_said(
    purpose: str | None, word: OnOff | None, about: Purpose | None, training: OnOff | None
) -> tuple[Purpose | None, OnOff | None]:
    """Purpose and word, also as earlier versions had them: `on --purpose location`, `--training on`."""
    if training is not None:
        return Purpose.TRAINING, training
    if purpose in tuple(OnOff):
        if about is None:
            raise RequestError(f"say what it is about: `netgpt profile consent USER training {purpose}`")
        return about, OnOff(purpose)
    if purpose is None:
        return about, word
    if purpose not in tuple(Purpose):
        near = difflib.get_close_matches(purpose.casefold(), tuple(Purpose), 1, 0.5)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise RequestError(f'no purpose "{plain(purpose)}"{hint} The purposes are {", ".join(Purpose)}')
    return Purpose(purpose), word


def _say_consent(
    person: Person, purpose: Purpose, word: OnOff, until: datetime | None, third_party: str | None
) -> Forgotten | None:
    given = word is OnOff.ON
    if purpose is Purpose.TRAINING and until is None and third_party is None:
        if not given:
            from netgpt.training.people import withdraw_consent

            return with_learning(person, withdraw_consent)
        with_store(lambda store: store.learning.set_consent(person, PURPOSE, True))
    else:
        ends = until.replace(tzinfo=UTC) if until else None
        with_store(lambda store: store.consents.say(person, purpose.value, given, ends=ends, third_party=third_party))
    return None


def _show_consents(person: Person, as_json: bool) -> None:
    """What was said of each purpose."""

    async def read(store: Store) -> dict[str, ConsentRow | None]:
        return {purpose.value: await store.learning.consent(person, purpose.value) for purpose in Purpose}

    rows = with_store(read)
    if as_json:
        return print_json({purpose: consent_as_json(row) for purpose, row in rows.items()})
    print_table(("purpose", "consents"), [(purpose, consent_line(row)) for purpose, row in rows.items()])


@app.command()
@reports_errors
def keep(
    user: str = _USER,
    exchange: str = typer.Argument(help="The id that `netgpt explain` shows (ex_...)."),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """Keep a good answer as a training example, pseudonymized, also when its exchange is deleted by age."""
    from netgpt.training.collect import keep_as_example

    settings, person = read_settings(), Person(tenant, user)

    async def kept(store: Store) -> str:
        detector = patient_detector(settings)
        try:
            return await keep_as_example(store, detector, person, exchange, settings.privacy.sensitive_kinds)
        finally:
            await detector.close()

    id = with_store(kept)
    print_json({"id": id}) if as_json else say(f"{id}: kept.")


@app.command()
@reports_errors
def examples(
    user: str = _USER,
    remove: str | None = typer.Option(None, metavar="ID", help="Delete it, and the adapters that learnt from it."),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """Show what adapters learnt from a person, and which ones; or remove one example."""
    person = Person(tenant, user)
    if remove is not None:
        forgotten = with_learning(person, example_removed(remove))
        return print_json(forgotten.as_json()) if as_json else show_forgotten(forgotten)
    kept = with_store(lambda store: store.learning.of_person(person))
    if as_json:
        return print_json([example_as_json(each) for each in kept])
    rows = [[e.id, e.row["messages"][-1]["content"], e.row["answer"], ", ".join(e.adapters)] for e in kept]
    print_table(["id", "question", "answer", "adapters"], rows)


@app.command()
@reports_errors
def forget(user: str = _USER, tenant: str = _TENANT, yes: bool = yes_option, as_json: bool = json_option) -> None:
    """Delete everything kept about a person and every adapter that learnt from them; and scrub the files."""
    confirm(f"Delete all that is kept about {plain(user)}? It cannot be taken back.", yes)
    from netgpt.training.people import forget_person

    forgotten = with_learning(Person(tenant, user), forget_person)
    print_json(forgotten.as_json()) if as_json else show_forgotten(forgotten)


@app.command()
@reports_errors
def export(
    user: str = _USER,
    out: Path | None = typer.Option(None, help="Write it here (0600) instead of printing it."),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """Everything kept about a person, as JSON (with or without --json)."""
    from netgpt.adapters.registry import Registry, shipped_adapters
    from netgpt.training.people import export_person

    registry = Registry(read_settings().adapters_dir, shipped_adapters())
    everything = with_store(lambda store: export_person(store, registry, Person(tenant, user)))
    if out is None:
        return print_json(everything)
    with private_file(out, RequestError) as file:
        json.dump(everything, file, indent=1, default=str)
    say(f"written to {out}")


def _fact(id: str, fact: Fact) -> dict[str, Any]:
    return {"id": id} | asdict(fact)


class YesOrNo(StrEnum):
    """To a proposal."""

    KEEP = "keep"
    DROP = "drop"


@app.command()
@reports_errors
def proposals(
    user: str = _USER,
    answer: YesOrNo | None = typer.Argument(None, help="keep: it joins the profile; drop: it goes."),
    id: str | None = typer.Argument(None, help="Which one (pr_...)."),
    label: Label | None = typer.Option(None, help="With keep: instead of the proposed label."),
    beside: bool = typer.Option(False, "--beside", help="With keep: what it contradicts stays, too."),
    tenant: str = _TENANT,
    as_json: bool = json_option,
) -> None:
    """Show what a person said in passing and may keep as a fact; keep one, or drop it. None is used before that.

    There are some only where the person consents: `netgpt profile consent USER proposals on`.
    """
    from netgpt.app.proposing import keep_proposal, proposals_of

    person = Person(tenant, user)
    if (answer is None) != (id is None):
        raise RequestError("say which: `netgpt profile proposals USER keep ID`", param="id")
    if answer is None or id is None:
        waiting = with_store(lambda store: proposals_of(store, person))
        if as_json:
            return print_json(waiting)
        return print_table(
            ["id", "question", "kind", "label", "words"],
            [[each[name] for name in ("id", "question", "kind", "label", "words")] for each in waiting],
        )
    if answer is YesOrNo.DROP:
        if not with_store(lambda store: store.proposals.drop(person, id)):
            raise NotFound(f"this person has no proposal {id}: `netgpt profile proposals USER` shows them", param="id")
        return print_json({"id": id, "deleted": True}) if as_json else say(f"{id} is dropped.")
    kept, fact, replaced = with_store(lambda store: keep_proposal(store, person, id, label, replace=not beside))
    if as_json:
        return print_json(_fact(kept, fact) | {"replaced": replaced})
    say(f"{kept}: kept." + (f" Replaced: {', '.join(replaced)}." if replaced else ""))
