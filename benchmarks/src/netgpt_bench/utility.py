"""`netgpt bench utility`: what hiding costs the answers. The same requests with and without the boundary.

Each request goes to a stand-in cloud as it is, and sealed by a real vault under each policy; the answer to the sealed
one is restored. Compared are the facts in the answers that were right without hiding.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from netgpt.errors import NotDisclosable
from netgpt.policy import READY_MADE, Destination, Disclosure, Policy, Principal
from netgpt.privacy.detector import Detector
from netgpt.privacy.generalize import PLACE_LEVELS, Generaliser
from netgpt.privacy.kinds import family, hierarchy
from netgpt.privacy.vault import Vault
from netgpt_bench.harness import Progress
from netgpt_bench.people import PersonMaker, PlantedPerson

# --- A cloud that does each generated task by rule, on whatever text it gets. It reads placeholders as words and makes
# no mistakes of its own: what it answers wrong is what hiding took from it.

LOST: Final = "I cannot tell."
"""The answer where the text no longer holds what the task needs."""

_AMOUNT = re.compile(r"(?:paid|owes|spent) (\d{1,9}) (?:euros|dollars)")
_AGE = re.compile(r"is (\d{1,3}) years old")
_ISO_DAY = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_WHO = re.compile(r"^- (.{1,120}?)(?= (?:paid|owes|spent|took|is) |$)")
_LETTER: Final = (
    ("name", re.compile(r"^Dear (.{1,80}?),$", re.MULTILINE)),
    ("date", re.compile(r"your order (?:of )?(.{1,60}?)\. ")),
    ("total", re.compile(r"The total is (.{1,60}?) euros")),
    ("reference", re.compile(r"the reference is (.{1,60}?)\.$", re.MULTILINE)),
    ("e-mail", re.compile(r"write to (.{1,120}?) with any question")),
)
_TEMPLATE = re.compile(r"values below: (.{1,400})")
_VALUE = re.compile(r"^([A-Z]{2,9}) = (.{1,200})$", re.MULTILINE)


class RuleCloud:
    """Answers one request: the instruction says what to do, the lines behind the empty one are the data."""

    async def answer(self, text: str) -> str:
        asked, _, data = text.partition("\n\n")
        for words, work in _WORK:
            if words in asked.lower():
                return work(asked, data) or LOST
        return LOST


def _sum(_asked: str, data: str) -> str:
    return f"The sum is {sum(int(amount) for amount in _AMOUNT.findall(data))}."


def _days(_asked: str, data: str) -> str:
    try:
        days = [date(int(y), int(m), int(d)) for y, m, d in _ISO_DAY.findall(data)]
    except ValueError:
        return ""
    return f"{abs((days[1] - days[0]).days)} days lie between them." if len(days) == 2 else ""


def _letter(_asked: str, data: str) -> str:
    found = [(label, form.search(data)) for label, form in _LETTER]
    return "\n".join(f"{label}: {match[1]}" for label, match in found if match)


def _count(_asked: str, data: str) -> str:
    return f"There are {len(set(_people(data)))} people."


def _people(data: str) -> list[str]:
    return [match[1] for line in data.splitlines() if (match := _WHO.match(line))]


def _ranked(data: str, form: re.Pattern[str]) -> list[str]:
    """The people by the number on their line, the least first; nobody when a line has none."""
    rows = [(form.search(line), _WHO.match(line)) for line in data.splitlines()]
    ranked = sorted((int(number[1]), who[1]) for number, who in rows if number and who)
    return [who for _, who in ranked] if len(ranked) == len(rows) else []


def _listed(names: Sequence[str]) -> str:
    return "\n".join(f"{place}. {name}" for place, name in enumerate(names, 1))


def _table(_asked: str, data: str) -> str:
    rows = [" | ".join(cell.strip() for cell in line.split(";")) for line in data.splitlines()]
    return "\n".join(["| who | phone | e-mail |", "|---|---|---|", *(f"| {row} |" for row in rows)])


def _template(asked: str, data: str) -> str:
    form = _TEMPLATE.search(asked)
    filled = form[1] if form else ""
    for name, value in _VALUE.findall(data):
        filled = filled.replace("{" + name + "}", value)
    return filled


_WORK: Final[tuple[tuple[str, Callable[[str, str], str]], ...]] = (
    ("add up", _sum),
    ("how many days", _days),
    ("from this letter", _letter),
    ("how many different people", _count),
    ("owes the most", lambda _asked, data: "".join(_ranked(data, _AMOUNT)[-1:])),
    ("the oldest", lambda _asked, data: "".join(_ranked(data, _AGE)[-1:])),
    ("by what they spent", lambda _asked, data: _listed(_ranked(data, _AMOUNT))),
    ("by the alphabet", lambda _asked, data: _listed(sorted(_people(data)))),
    ("these rows", _table),
    ("this template", _template),
)
"""Words of the instruction -> what does the work."""


# --- Generated requests whose answers hold facts that can be checked, each with private data of invented people. Some
# kinds of work need the hidden values (adding amounts, days between dates, who is oldest, sorting by name), some only
# carry them (letters, tables, templates), some only keep them distinct (counting people).


@dataclass(frozen=True, slots=True)
class Task:
    """One request and what a right answer holds."""

    kind: str
    text: str
    """The instruction, an empty line, the data."""
    facts: tuple[str, ...]
    """Words that must stand in the answer."""
    ordered: bool = False
    """Whether they must stand there in this order."""


def right_facts(task: Task, answer: str) -> int:
    """How many facts of the task an answer holds; of ordered ones, those up to the first that is missing or late."""
    read = " ".join(answer.split())
    right, at = 0, 0
    for fact in task.facts:
        met = re.compile(rf"(?<!\w){re.escape(' '.join(fact.split()))}(?!\w)").search(read, at)
        if met:
            right += 1
            at = met.end() if task.ordered else 0
        elif task.ordered:
            break
    return right


class TaskMaker:
    """Makes tasks from a seed; the kinds take turns."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._people = PersonMaker(self._random)

    def tasks(self, count: int) -> list[Task]:
        makers = list(_MAKERS.items())
        return [make(self, kind) for kind, make in (makers[i % len(makers)] for i in range(count))]

    def _group(self, size: int) -> list[PlantedPerson]:
        """People of different names."""
        people: dict[str, PlantedPerson] = {}
        while len(people) < size:
            person = self._people.person()
            people.setdefault(person.name, person)
        return list(people.values())

    def _names(self, size: int) -> list[str]:
        return [person.name for person in self._group(size)]

    def _amounts(self, size: int) -> list[int]:
        return self._random.sample(range(15, 4_000), size)

    def _day(self) -> date:
        return date(2023, 1, 1) + timedelta(days=self._random.randint(0, 900))

    def _several(self) -> int:
        return self._random.randint(3, 6)

    def _sum(self, kind: str) -> Task:
        size = self._several()
        amounts = self._amounts(size)
        rows = [f"- {name} paid {n} euros" for name, n in zip(self._names(size), amounts, strict=True)]
        return _task(kind, "Add up what these people paid and tell me the sum.", rows, [f"{sum(amounts)}"])

    def _days(self, kind: str) -> Task:
        name, first = self._names(1)[0], self._day()
        length = self._random.randint(3, 200)
        rows = [f"{name} moved in on {first}.", f"{name} moved out on {first + timedelta(days=length)}."]
        return _task(kind, "How many days lie between the two dates?", rows, [f"{length} days"])

    def _letter(self, kind: str) -> Task:
        person, day = self._group(1)[0], self._day()
        total = f"{self._random.randint(20, 900)}.{self._random.randint(10, 99)}"
        reference = f"{self._random.choice('ABKRTX')}{self._random.randint(1000, 9999)}-{self._random.randint(10, 99)}"
        rows = [
            f"Dear {person.name},",
            f"thank you for your order of {day}. The total is {total} euros and the reference is {reference}.",
            f"We deliver to {person.address}; write to {person.email} with any question.",
        ]
        asked = "Take the name, the date, the total, the reference and the e-mail address from this letter."
        return _task(kind, asked, rows, [person.name, str(day), total, reference, person.email])

    def _count(self, kind: str) -> Task:
        names = self._names(self._several())
        listed = names + self._random.sample(names, self._random.randint(1, 2))
        self._random.shuffle(listed)
        rows = [f"- {name} took {self._random.choice(('the book', 'a ticket', 'a key'))}" for name in listed]
        return _task(kind, "How many different people stand in this list?", rows, [f"{len(names)} people"])

    def _debtor(self, kind: str) -> Task:
        size = self._several()
        names, amounts = self._names(size), self._amounts(size)
        rows = [f"- {name} owes {n} euros" for name, n in zip(names, amounts, strict=True)]
        return _task(kind, "Who owes the most?", rows, [names[amounts.index(max(amounts))]])

    def _oldest(self, kind: str) -> Task:
        size = self._several()
        names, ages = self._names(size), self._random.sample(range(19, 88), size)
        rows = [f"- {name} is {age} years old" for name, age in zip(names, ages, strict=True)]
        return _task(kind, "Who is the oldest?", rows, [names[ages.index(max(ages))]])

    def _by_amount(self, kind: str) -> Task:
        size = self._several()
        rows = list(zip(self._amounts(size), self._names(size), strict=True))
        data = [f"- {name} spent {n} dollars" for n, name in rows]
        asked = "Sort these people by what they spent, the least first."
        return _task(kind, asked, data, [name for _, name in sorted(rows)], ordered=True)

    def _by_name(self, kind: str) -> Task:
        names = self._names(self._several())
        asked = "Sort these names by the alphabet."
        return _task(kind, asked, [f"- {name}" for name in names], sorted(names), ordered=True)

    def _table(self, kind: str) -> Task:
        people = self._group(self._several())
        rows = [f"{person.name}; {person.phone}; {person.email}" for person in people]
        facts = [f"{person.name} | {person.phone} | {person.email}" for person in people]
        return _task(kind, "Write these rows as a Markdown table with the columns who, phone and e-mail.", rows, facts)

    def _template(self, kind: str) -> Task:
        person, day = self._group(1)[0], self._day()
        rows = [f"NAME = {person.name}", f"DAY = {day}", f"WHERE = {person.address}", f"CALL = {person.phone}"]
        form = "Dear {NAME}, we meet on {DAY} at this place: {WHERE}. To change it, call {CALL}."
        asked = f"Fill this template with the values below: {form}"
        return _task(kind, asked, rows, [person.name, str(day), person.address, person.phone])


def _task(kind: str, asked: str, rows: Sequence[str], facts: Sequence[str], *, ordered: bool = False) -> Task:
    return Task(kind, "\n".join([asked, "", *rows]), tuple(facts), ordered)


_MAKERS: Final[dict[str, Callable[[TaskMaker, str], Task]]] = {
    "adding amounts": TaskMaker._sum,
    "days between dates": TaskMaker._days,
    "facts of a letter": TaskMaker._letter,
    "counting people": TaskMaker._count,
    "choosing by amount": TaskMaker._debtor,
    "choosing by age": TaskMaker._oldest,
    "sorting by amount": TaskMaker._by_amount,
    "sorting by name": TaskMaker._by_name,
    "rows to a table": TaskMaker._table,
    "filling a template": TaskMaker._template,
}
KINDS: Final = tuple(_MAKERS)
"""The kinds of work, in the order in which they take turns."""

Answer = Callable[[str], Awaitable[str]]
"""A stand-in cloud: the text of a request -> the text of its answer."""
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

    def percent(self) -> float | None:
        return round(100 * self.sealed / self.plain, 1) if self.plain else None


async def run(
    *, detector: Detector, requests: int, seed: int, policies: Sequence[str] = READY_MADE, model: Answer | None = None,
    model_requests: int = 40, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """The tables `rules` (a cloud that does every task by rule) and, with a `model`, `model`.

    The model is asked the first `model_requests` of the same requests. Raises DetectorError, SettingsError.
    """
    tasks = TaskMaker(seed).tasks(requests)
    tables = {"rules": await measure(tasks, RuleCloud().answer, detector, policies, progress)}
    if model is not None:
        tables["model"] = await measure(tasks[:model_requests], model, detector, policies, progress)
    return {"tables": tables, "requests": len(tasks), "seed": seed, "notes": NOTES}


async def measure(
    tasks: Sequence[Task], cloud: Answer, detector: Detector, policies: Sequence[str], progress: Progress
) -> list[dict[str, Any]]:
    """One row for each kind of task, and one for all. Raises DetectorError, SettingsError (no such policy)."""
    rules = {name: _terms(Policy.load(name)) for name in policies}
    progress("without hiding")
    plain = [right_facts(task, await cloud(task.text)) for task in tasks]
    generaliser = Generaliser()
    scores = {}
    for name, terms in rules.items():
        progress(f"policy {name}")
        if terms.wants(PLACE_LEVELS, ("PLACE", "ADDRESS")):
            generaliser.get_ready()
        scores[name] = await _scores(tasks, plain, cloud, _Boundary(detector, terms, generaliser))
    return [_row(kind, tasks, plain, scores) for kind in (*KINDS, ALL)]


def _terms(policy: Policy) -> Disclosure:
    who = Principal("local", "user", "someone")
    return Disclosure(policy, who, Destination(), hierarchy=hierarchy, family=family, asked="cloud")


@dataclass(frozen=True, slots=True)
class _Boundary:
    """What a request passes on its way out and back, as the stage `desensitize` calls it."""

    detector: Detector
    terms: Disclosure
    generaliser: Generaliser

    async def ask(self, text: str, cloud: Answer) -> str | None:
        """The restored answer; None: the policy keeps the request on the box."""
        vault = Vault()
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        try:
            sealed = await vault.seal(body, self.detector, terms=self.terms, generaliser=self.generaliser)
        except NotDisclosable:
            return None
        seen = json.loads(sealed.content)["messages"][0]["content"]
        return vault.restorer().text(await cloud(seen))


async def _scores(tasks: Sequence[Task], plain: Sequence[int], cloud: Answer, boundary: _Boundary) -> dict[str, _Score]:
    scores: dict[str, _Score] = defaultdict(_Score)
    for task, right in zip(tasks, plain, strict=True):
        answer = await boundary.ask(task.text, cloud)
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
        row[f"{name} %"] = score.percent()
        row[f"{name} kept"] = score.kept
    return row
