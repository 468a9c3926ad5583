"""Generated requests whose answers hold facts that can be checked, each with private data in it. Nobody in them lives.

Ten kinds of work: some need the hidden values (adding amounts, days between dates, who is oldest, sorting by name),
some only need to carry them (letters, tables, templates), some only need to tell them apart (counting people).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from netgpt.privacy.people import PersonMaker, PlantedPerson

__all__ = ["KINDS", "Task", "TaskMaker", "right_facts"]


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
