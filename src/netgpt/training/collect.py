"""Collects what one adapter learns from: a recipe, own exchanges, a file, and pairs that the cloud wrote.

Words that may be somebody's pass the same detector and vault as what leaves the box, with the person's own facts
hidden as well. The vault's map of originals is dropped at once, so nobody can undo it. Whatever cannot be made safe,
or touches something sensitive, is left out and counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from netgpt.context import private_values
from netgpt.context.location import place_facts
from netgpt.context.places import Place, nearest
from netgpt.errors import DetectorError, NotDisclosable, NotFound, PermissionDenied, PrivacyError, RequestError
from netgpt.privacy.detector import Detector
from netgpt.privacy.detectors.profile_values import find_values
from netgpt.privacy.vault import Vault
from netgpt.settings.sections import Site
from netgpt.store.schema import ExchangeRecord, NewExample, PlaceRow
from netgpt.store.store import Store
from netgpt.training import PURPOSE as PURPOSE
from netgpt.training.example import Example, deduplicated, read_examples
from netgpt.training.k_anonymity import Vocabulary, common_words, shared_by
from netgpt.training.recipes import RECIPES, recipe_named
from netgpt.types import Fact, Label, Message, Person

UNCHECKED: Final = "the detector failed, so nothing was taken"
"""The purpose in the record of consent."""
GOOD: Final = 1
"""The rating of an exchange that becomes an example."""
MOST_PLACES: Final = 200
WITHIN_M: Final = 5_000.0
_PAGE: Final = 200
_ROLES: Final = ("system", "user", "assistant")

Scope = Literal["task", "site", "user"]
Instructor = Callable[[], Awaitable[list[Example]]]
"""Has the cloud write pairs; made by the part that knows the cloud."""


class NotAnExample(RequestError):
    """Why something cannot be an example; a safe phrase."""

    code = "not_an_example"


async def without_private_values(
    question: Sequence[Message],
    answers: Sequence[str],
    detector: Detector,
    *,
    values: Sequence[tuple[str, str]] = (),
    public: Sequence[str] = (),
    sensitive_kinds: Collection[str] = frozenset(),
) -> tuple[list[Message], list[str]]:
    """Question and answers with everything private replaced, the same way in both. Raises NotAnExample with the reason.

    `values`: (KIND, value) pairs of a profile, hidden as well; `public`: texts whose names may stay.
    """
    body = {"messages": [*question, *({"role": "assistant", "content": text} for text in answers)]}
    try:
        outbound = await Vault().seal(body, detector, values=values, public=public)
    except NotDisclosable:
        raise NotAnExample("could not be made safe") from None
    except PrivacyError:
        raise NotAnExample(UNCHECKED) from None
    if {hidden.kind for hidden in outbound.hidden} & frozenset(sensitive_kinds):
        raise NotAnExample("holds something sensitive")
    messages = json.loads(outbound.content)["messages"]
    asked, replies = messages[: len(question)], [str(message["content"]) for message in messages[len(question) :]]
    given = "\n".join(str(message["content"]) for message in asked)
    unasked = [hidden.placeholder for hidden in outbound.hidden if hidden.placeholder not in given]
    if any(placeholder in text for placeholder in unasked for text in replies):
        # It would teach the model to invent values: the question does not hold them.
        raise NotAnExample("the answer names something private that the question does not")
    return asked, replies


@dataclass
class Gathered:
    """The examples, and why the rest was left out. `skipped` counts reasons; it holds no text."""

    examples: list[Example] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """For the person who trains."""
    skipped: Counter[str] = field(default_factory=Counter)

    def check(self, wanted: Wanted) -> None:
        """Raises RequestError with the cure when there are too few."""
        found = len(self.examples)
        if found >= wanted.fewest:
            return
        cures = ["give a file with --examples FILE"]
        if wanted.scope == "user":
            cures.insert(0, "rate good answers (POST /v1/feedback, or `netgpt profile keep USER EXCHANGE`)")
        if wanted.scope == "site":
            cures.insert(0, "have people consent (`netgpt profile consent USER training on`) and rate answers")
        if wanted.scope != "user":
            cures.append("let the cloud write some with --self-instruct N")
        raise RequestError(
            f"{found} examples are too few to learn from; at least {wanted.fewest} are needed (training.min_examples). "
            f"Cures: {'; '.join(cures)}.",
            code="too_few_examples",
        )


async def gather_own(
    store: Store, person: Person | None, detector: Detector, *, sensitive_kinds: Collection[str] = (), most: int = 5_000
) -> Gathered:
    """The examples of one person, or of everyone who consents (`person=None`), newest first, `most` at most.

    `sensitive_kinds`: kinds of private data that exclude an exchange. Raises PermissionDenied when the person named
    has not consented; StoreError.
    """
    if person is not None:
        await _check_consent(store, person)
    gathered = Gathered()
    for each in [person] if person is not None else await store.learning.consenting(PURPOSE):
        await _gather(store, each, detector, frozenset(sensitive_kinds), gathered, most - len(gathered.examples))
    gathered.examples = deduplicated(gathered.examples)
    return gathered


async def _check_consent(store: Store, person: Person) -> None:
    consent = await store.learning.consent(person, PURPOSE)
    if consent is None or not consent.stands:
        raise PermissionDenied(
            "this person has not consented to training: they say so with `netgpt profile consent USER training on`, "
            "or PATCH /v1/profiles/USER"
        )


async def _gather(
    store: Store, person: Person, detector: Detector, sensitive: frozenset[str], into: Gathered, most: int
) -> None:
    """Rated exchanges first, then the kept examples, whose exchange may be deleted by now."""
    seen: set[str] = set()
    before = None
    facts = [fact for _, fact in await store.facts(person)]
    while most > 0 and (page := await store.exchanges(person, _PAGE, before, rating=GOOD)):
        before = page[-1].id
        for row in page:
            try:
                into.examples.append(await pseudonymized(row, facts, detector, sensitive))
                seen.add(into.examples[-1].origin)
                most -= 1
            except NotAnExample as why:
                into.skipped[why.message] += 1
            if most <= 0:
                break
    for kept in await store.learning.of_person(person):
        if most > 0 and kept.chosen and (example := Example.from_row(kept.row)).origin not in seen:
            into.examples.append(example)
            most -= 1


async def pseudonymized(
    row: ExchangeRecord, facts: Sequence[Fact], detector: Detector, sensitive_kinds: frozenset[str] = frozenset()
) -> Example:
    """An exchange as an example, with everything private replaced in question and answer.

    `facts`: the person's profile. Raises NotAnExample with the reason.
    """
    messages, answer = _conversation(row)
    used = [
        Fact(fact["text"], fact["kind"], Label(fact["label"]), fact.get("source", "given"))
        for fact in (row.private or {}).get("facts") or ()
    ]
    known = [*facts, *used]
    texts = [*(str(message["content"]) for message in messages), answer]
    labels = {(row.private or {}).get("label"), *(fact.label.value for fact in used)}
    sensitive = private_values([fact for fact in known if fact.label is Label.SENSITIVE])
    if Label.SENSITIVE.value in labels or any(find_values(text, sensitive) for text in texts):
        raise NotAnExample("holds something sensitive")
    public = [fact.text for fact in known if fact.label is Label.PUBLIC]
    question, (reply,) = await without_private_values(
        messages, [answer], detector, values=private_values(known), public=public, sensitive_kinds=sensitive_kinds
    )
    return Example(tuple(question), reply, f"exchange:{row.id}", row.person, slice="own")


def _conversation(row: ExchangeRecord) -> tuple[list[Message], str]:
    """The conversation as the box's model saw it, with the facts, and the answer that the person liked."""
    private = row.private
    if private is None:
        raise NotAnExample("its texts were not kept (store.keep_text = false)")
    choices = (private.get("answer") or {}).get("choices") or []
    if row.status != "complete" or len(choices) != 1 or choices[0].get("finish_reason") != "stop":
        raise NotAnExample("has no whole answer")
    if (private.get("confidence") or {}).get("acted") in ("said", "withheld"):
        raise NotAnExample("the box was not sure of its answer, and said so in it")
    reply = choices[0].get("message") or {}
    messages = private.get("messages") or (private.get("request") or {}).get("messages") or []
    plain = [_plain(message) for message in messages]
    answer = reply.get("content")
    if not isinstance(answer, str) or not answer.strip() or reply.get("tool_calls") or not plain:
        raise NotAnExample("is no plain text")
    if plain[-1]["role"] != "user":
        raise NotAnExample("does not end with the person's words")
    return plain, answer


def _plain(message: Mapping[str, Any]) -> Message:
    """A message of text alone: pictures, tools and names of authors teach the small model nothing."""
    role, content = message.get("role"), message.get("content")
    role = "system" if role == "developer" else role
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        content = "\n".join(str(part.get("text") or "") for part in content)
    if role not in _ROLES or not isinstance(content, str) or not content.strip() or message.get("tool_calls"):
        raise NotAnExample("is no plain text")
    return {"role": role, "content": content}


@dataclass(frozen=True)
class Wanted:
    """What is to be trained, and from which sources."""

    name: str
    """The adapter: "complete" (or another recipe's name), "site", or a person's."""
    scope: Scope
    person: Person | None = None
    file: Path | None = None
    data: Path | None = None
    seed: int = 7
    most: int = 50_000
    fewest: int = 20
    k_anonymity: int = 5
    """An adapter that others use learns only what so many people share; 1: anything."""
    public: tuple[str, ...] = ()
    """Texts that everybody may know, such as the site's names: these stay."""
    file_is_public: bool = False
    """The owner says that the file holds nothing private: it is used as it is."""


async def gather(
    wanted: Wanted,
    store: Store,
    detector: Detector,
    *,
    sensitive_kinds: Collection[str] = (),
    instruct: Instructor | None = None,
) -> Gathered:
    """All examples of all sources that `wanted` names, each once. Raises PermissionDenied, RequestError, StoreError."""
    into = Gathered()
    if wanted.scope == "task":
        into.examples += recipe_named(wanted.name).make(wanted.data, wanted.seed)
        if wanted.data is None:
            into.notes.append("generated examples alone; --data DIR adds public labels")
    else:
        await _take_own(wanted, store, detector, sensitive_kinds, into)
    if wanted.file is not None:
        await _take_file(wanted, wanted.file, detector, sensitive_kinds, into)
    if instruct is not None:
        into.examples += await instruct()
    if wanted.scope != "user":
        _keep_what_is_shared(wanted, into)
    into.examples = deduplicated(into.examples)
    if len(into.examples) > wanted.most:
        into.notes.append(f"only the first {wanted.most:,} of {len(into.examples):,} are used (training.max_examples)")
        into.examples = into.examples[: wanted.most]
    return into


async def _take_file(
    wanted: Wanted, file: Path, detector: Detector, sensitive_kinds: Collection[str], into: Gathered
) -> None:
    """The examples of a file, without private values unless it is public. Raises DetectorError: it does not work."""
    given = read_examples(file, wanted.person, most=wanted.most)
    if wanted.file_is_public:
        into.examples += given
        return
    for example in given:
        texts = [example.answer, *example.options]
        try:
            question, (answer, *options) = await without_private_values(
                example.messages, texts, detector, public=wanted.public, sensitive_kinds=sensitive_kinds
            )
        except NotAnExample as why:
            if why.message == UNCHECKED:
                raise DetectorError(
                    "the detector does not work here, so no example could be pseudonymized: `netgpt doctor`"
                ) from None
            into.skipped[why.message] += 1
            continue
        into.examples.append(replace(example, messages=tuple(question), answer=answer, options=tuple(options)))


def _keep_what_is_shared(wanted: Wanted, into: Gathered) -> None:
    """People's own words teach others only as far as many people share them."""
    people = len({example.person for example in into.examples if example.person is not None})
    if wanted.k_anonymity <= 1 or not people:
        return
    shared = shared_by(into.examples, wanted.k_anonymity, Vocabulary(common_words(), wanted.public))
    into.examples = shared.examples
    into.skipped += shared.left_out
    into.notes.append(
        f"k-anonymity: of {people} people's examples {sum(shared.left_out.values())} were left out, and "
        f"{shared.replaced} words replaced, that fewer than {wanted.k_anonymity} people share (training.k_anonymity)"
    )


async def _take_own(
    wanted: Wanted, store: Store, detector: Detector, sensitive_kinds: Collection[str], into: Gathered
) -> None:
    if wanted.name in RECIPES:
        raise RequestError(f"{wanted.name} is the name of a recipe")
    try:
        own = await gather_own(store, wanted.person, detector, sensitive_kinds=sensitive_kinds, most=wanted.most)
    except PermissionDenied:
        if wanted.file is None:
            raise
        into.notes.append("no consent to training: this person's exchanges are left out")
        own = Gathered()
    if wanted.scope == "site" and not await store.learning.consenting(PURPOSE):
        into.notes.append("nobody consents to training yet: no exchanges are used")
    if own.skipped[UNCHECKED] and not own.examples:
        raise DetectorError("the detector does not work here, so no exchange could be pseudonymized: `netgpt doctor`")
    into.examples += own.examples
    into.skipped += own.skipped


async def keep_as_example(
    store: Store, detector: Detector, person: Person, exchange: str, sensitive_kinds: Collection[str]
) -> str:
    """Keep one exchange of the person as an example, sealed by the store, and return its id.

    Raises NotFound (no such exchange of this person), PermissionDenied (no consent), NotAnExample (cannot be one).
    """
    row = await store.exchange(exchange)
    if row is None or row.person != person:
        raise NotFound("no such exchange of this person", param="exchange")
    await _check_consent(store, person)
    facts = [fact for _, fact in await store.facts(person)]
    example = await pseudonymized(row, facts, detector, frozenset(sensitive_kinds))
    (id,) = await store.learning.keep([_new(example)], chosen=True)
    return id


async def keep_learnt(store: Store, examples: Sequence[Example], adapter: str) -> int:
    """Keep what the adapter (`name@version`) learnt from, except what a recipe makes again. Returns how many."""
    kept = [_new(example) for example in examples if worth_keeping(example)]
    await store.learning.keep(kept, adapter=adapter)
    return len(kept)


def worth_keeping(example: Example) -> bool:
    """What a recipe or a seed makes again is not kept; what is somebody's always is."""
    return example.person is not None or example.kind.split(":")[0] not in ("recipe", "canary")


def _new(example: Example) -> NewExample:
    return NewExample(example.person, example.id, example.as_row())


def site_facts(site: Site, places: Sequence[PlaceRow]) -> list[Fact]:
    """The public facts of a site, for a cloud that writes examples about it: its own place, and the places around."""
    facts = list(place_facts(site, None, None))
    if site.latitude is not None and site.longitude is not None:
        known = [Place(p.id, p.name, p.kind, p.latitude, p.longitude, p.text, tuple(p.tags)) for p in places]
        facts += nearest(known, site.latitude, site.longitude, MOST_PLACES, WITHIN_M)
    return [fact for fact in facts if fact.label is Label.PUBLIC]
