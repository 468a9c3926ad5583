"""Questions about numbers: sums that are written out, stories with numbers, days and times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

from netgpt.capability.grading import Covers, Number, Phrase
from netgpt.capability.questions import Draft, family, rows, words


def number(value: float, within: float = 0.0, **values: object) -> Draft:
    """A question whose answer ends on a number."""
    return Draft(Number(float(value), within), values)


@family("arithmetic/addition")
def addition(random: Random, language: str) -> Draft:
    a, b = (random.randrange(2, 10 ** random.randint(1, 4)) for _ in "ab")
    return number(a + b, a=a, b=b)


@family("arithmetic/subtraction")
def subtraction(random: Random, language: str) -> Draft:
    a, b = sorted((random.randrange(2, 10 ** random.randint(1, 4)) for _ in "ab"), reverse=True)
    return number(a - b, a=a, b=b)


@family("arithmetic/multiplication")
def multiplication(random: Random, language: str) -> Draft:
    a, b = random.randrange(2, 100), random.randrange(2, random.choice((11, 100)))
    return number(a * b, a=a, b=b)


@family("arithmetic/division")
def division(random: Random, language: str) -> Draft:
    b, result = random.randrange(2, 25), random.randrange(2, 60)
    return number(result, a=b * result, b=b)


@family("arithmetic/percent")
def percent(random: Random, language: str) -> Draft:
    share, whole = random.choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 80)), 20 * random.randrange(2, 60)
    return number(share * whole / 100, a=share, b=whole)


@family("arithmetic/chain")
def chain(random: Random, language: str) -> Draft:
    a, b, c = random.randrange(2, 40), random.randrange(2, 12), random.randrange(2, 12)
    shown, value = random.choice(
        ((f"{a} + {b} * {c}", a + b * c), (f"({a} + {b}) * {c}", (a + b) * c), (f"{a * b} - {b} * {c}", a * b - b * c))
    )
    return number(value, sum=shown)


@family("arithmetic/units")
def units(random: Random, language: str) -> Draft:
    one, other, factor = random.choice(rows("units"))
    a, times = random.randrange(2, 40), float(factor)
    return number(a * times, 0.02 if times % 1 else 0.0, a=a, one=one, other=other)


@family("arithmetic/average")
def average(random: Random, language: str) -> Draft:
    mean, one, other = random.randrange(20, 60), random.randrange(1, 9), random.randrange(1, 9)
    given = random.sample((mean - one, mean - other, mean + one + other), 3)
    return number(mean, a=given[0], b=given[1], c=given[2])


def _people(random: Random) -> dict[str, Any]:
    one, other = random.sample(words("names"), 2)
    return {"one": one, "other": other}


@family("word-problems/shopping")
def shopping(random: Random, language: str) -> Draft:
    count, price = random.randrange(2, 9), random.randrange(2, 9)
    paid = ((count * price) // 10 + random.choice((1, 2))) * 10
    return number(paid - count * price, a=count, b=price, c=paid, **_people(random))


@family("word-problems/giving")
def giving(random: Random, language: str) -> Draft:
    a = random.randrange(12, 60)
    b, c = random.randrange(2, a // 2), random.randrange(2, 20)
    return number(a - b + c, a=a, b=b, c=c, **_people(random))


@family("word-problems/sharing")
def sharing(random: Random, language: str) -> Draft:
    children, each, left = random.randrange(3, 9), random.randrange(3, 12), random.randrange(1, 3)
    return number(each, a=children * each + left, b=children, c=left, **_people(random))


@family("word-problems/journey")
def journey(random: Random, language: str) -> Draft:
    speed, hours = 10 * random.randrange(3, 12), random.randrange(2, 7)
    return number(speed * hours, a=speed, b=hours, **_people(random))


@family("word-problems/saving")
def saving(random: Random, language: str) -> Draft:
    a, weeks, start = random.randrange(3, 15), random.randrange(4, 15), random.randrange(5, 50)
    return number(start + a * weeks, a=a, b=weeks, c=start, **_people(random))


@family("word-problems/ages")
def ages(random: Random, language: str) -> Draft:
    age, older, years = random.randrange(5, 40), random.randrange(2, 15), random.randrange(2, 10)
    return number(age + older + years, a=age, b=older, c=years, **_people(random))


@family("word-problems/rows")
def rows_of(random: Random, language: str) -> Draft:
    a, b, c = random.randrange(4, 15), random.randrange(4, 15), random.randrange(2, 12)
    return number(a * b - c, a=a, b=b, c=c, **_people(random))


@family("word-problems/discount")
def discount(random: Random, language: str) -> Draft:
    price, off = 20 * random.randrange(2, 15), random.choice((10, 20, 25, 50))
    return number(price - price * off / 100, a=price, b=off, **_people(random))


@family("word-problems/twice")
def twice(random: Random, language: str) -> Draft:
    a, times, more = random.randrange(4, 25), random.randrange(2, 5), random.randrange(2, 10)
    return number(a + a * times + more, a=a, b=times, c=more, **_people(random))


def _named(right: int, names: Sequence[str], given: tuple[int, ...] = ()) -> Phrase:
    """One of a list of names; those that stand in the question are no wrong answers when they are repeated."""
    return Phrase((names[right],), tuple(name for at, name in enumerate(names) if at not in (right, *given)))


@family("dates/day-after")
def day_after(random: Random, language: str) -> Draft:
    today, days = random.randrange(7), random.randrange(2, 40)
    names = words(f"days.{language}")
    check = _named((today + days) % 7, names, (today,))
    return Draft(check, {"day": names[today], "a": days}, 60)


@family("dates/day-before")
def day_before(random: Random, language: str) -> Draft:
    today, days = random.randrange(7), random.randrange(2, 7)
    names = words(f"days.{language}")
    return Draft(_named((today - days) % 7, names, (today,)), {"day": names[today], "a": days}, 60)


@family("dates/month-after")
def month_after(random: Random, language: str) -> Draft:
    now, months = random.randrange(12), random.randrange(1, 12)
    names = words(f"months.{language}")
    return Draft(_named((now + months) % 12, names, (now,)), {"month": names[now], "a": months}, 48)


@family("dates/between")
def between(random: Random, language: str) -> Draft:
    first = date(2024, 1, 1) + timedelta(random.randrange(1200))
    days = random.randrange(3, 60)
    months = words(f"months.{language}")
    shown = [f"{each.day} {months[each.month - 1]} {each.year}" for each in (first, first + timedelta(days))]
    return number(days, first=shown[0], second=shown[1])


@family("dates/weekday-of")
def weekday_of(random: Random, language: str) -> Draft:
    known = date(2024, 1, 1) + timedelta(random.randrange(1200))
    asked = known + timedelta(random.randrange(1, 29))
    names, months = words(f"days.{language}"), words(f"months.{language}")
    values = {
        "day": names[known.weekday()],
        "first": f"{known.day} {months[known.month - 1]}",
        "second": f"{asked.day} {months[asked.month - 1]}",
    }
    given = () if asked.weekday() == known.weekday() else (known.weekday(),)
    return Draft(_named(asked.weekday(), names, given), values, 80)


@family("dates/clock")
def clock(random: Random, language: str) -> Draft:
    start, minutes = random.randrange(6 * 60, 20 * 60, 5), random.randrange(20, 200, 5)
    hour, minute = divmod(start + minutes, 60)
    forms = [f"{hour:02d} {minute:02d}", f"{hour} {minute:02d}", f"{(hour - 1) % 12 + 1} {minute:02d}"]
    values = {"time": f"{start // 60:02d}:{start % 60:02d}", "a": minutes}
    return Draft(Covers((tuple(dict.fromkeys(forms)),), most_words=80), values, 80)


@family("dates/leap")
def leap(random: Random, language: str) -> Draft:
    year = random.randrange(1890, 2110)
    yes, no = {"en": ("yes", "no"), "de": ("ja", "nein"), "fr": ("oui", "non"), "es": ("sí", "no")}[language]
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return Draft(Phrase((yes,), (no,)) if is_leap else Phrase((no,), (yes,)), {"year": year}, 32)


@family("dates/duration")
def duration(random: Random, language: str) -> Draft:
    start, minutes = random.randrange(6 * 60, 20 * 60, 5), random.randrange(15, 180, 5)
    end = start + minutes
    shown = [f"{at // 60:02d}:{at % 60:02d}" for at in (start, end)]
    return number(minutes, first=shown[0], second=shown[1])
