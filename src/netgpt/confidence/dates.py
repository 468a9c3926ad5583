"""Days, weekdays and times recomputed, where a request leaves no doubt what it asks for; in five languages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

LONGEST_QUESTION: Final = 240
_WEEKDAYS: Final = (
    "monday|montag|lundi|lunes|lunedì", "tuesday|dienstag|mardi|martes|martedì", "wednesday|mittwoch|mercredi|"
        "miércoles|mercoledì",
    "thursday|donnerstag|jeudi|jueves|giovedì", "friday|freitag|vendredi|viernes|venerdì", "saturday|samstag|"
        "sonnabend|samedi|sábado|sabato",
    "sunday|sonntag|dimanche|domingo|domenica",
)  # fmt: skip
_MONTHS: Final = (
    "jan(?:uary|uar|vier)?|enero|gennaio", "feb(?:ruary|ruar)?|février|febrero|febbraio", "mar(?:ch)?|märz|mars|"
        "marzo", "apr(?:il)?|avril|abril|aprile",
    "may|mai|mayo|maggio", "june?|juni|juin|junio|giugno", "july?|juli|juillet|julio|luglio", "aug(?:ust)?|août|agosto",
    "sept?(?:ember)?|septembre|septiembre|settembre", "oct(?:ober)?|oktober|octobre|octubre|ottobre",
        "nov(?:ember)?|novembre|noviembre",
    "dec(?:ember)?|dezember|décembre|diciembre|dicembre",
)  # fmt: skip
_WEEKDAY: Final = re.compile(
    "|".join(rf"(?P<d{at}>\b(?:{names})s?\b)" for at, names in enumerate(_WEEKDAYS)), re.IGNORECASE
)
_MONTH: Final = "|".join(_MONTHS)
_DATE: Final = re.compile(
    rf"\b(?P<y1>\d{{4}})-(?P<m1>\d\d?)-(?P<d1>\d\d?)\b"
    rf"|\b(?P<d2>\d\d?)(?:st|nd|rd|th|\.|er|º)?\s+(?:of |de |di )?(?P<n2>{_MONTH})\b\.?,?(?:\s+(?:de(?:l)? "
    rf")?(?P<y2>\d{{4}}))?"
    rf"|\b(?P<n3>{_MONTH})\.?\s+(?P<d3>\d\d?)(?:st|nd|rd|th)?\b(?:,?\s+(?P<y3>\d{{4}}))?"
    rf"|\b(?P<d4>\d\d?)\.(?P<m4>\d\d?)\.(?P<y4>\d{{4}})\b",
    re.IGNORECASE,
)  # fmt: skip
_UNIT: Final[Mapping[str, str]] = {
    "days?|tage?n?|jours?|días?|giorn[oi]": "day", "weeks?|wochen?|semaines?|semanas?|settiman[ae]": "week",
}  # fmt: skip
_SPAN: Final = (
    r"(?P<count>\d+|a|an|one|two|three|four|five|six|seven|eight|nine|ten|eine[mrn]?|un[ea]?)\s*(?P<unit>"
    + "|".join(_UNIT)
    + ")"
)
_LATER: Final = re.compile(
    rf"\b(?:in|after|plus|add|dans|en|fra|tra|nach)\s+{_SPAN}\b|"
    rf"\b{_SPAN.replace('count', 'count2').replace('unit', 'unit2')}\s+(?:after|from|later|nach|ab|après|"
    rf"después|dopo|hence)",
    re.IGNORECASE,
)
_EARLIER: Final = re.compile(
    rf"\b(?:vor|il y a|hace)\s+{_SPAN}\b|\b{_SPAN.replace('count', 'count2').replace('unit', 'unit2')}\s+(?:ago|"
    rf"before|earlier|vor(?:her)?|avant|antes|fa|prima)\b",
    re.IGNORECASE,
)
_ASKS_WEEKDAY: Final = re.compile(
    r"weekday|day of the week|(?:what|which) day\b|wochentag|welcher tag|jour de la semaine|quel jour|qué día|"
    r"día de la semana|che giorno|giorno della settimana",
    re.IGNORECASE,
)
_ASKS_TODAY: Final = re.compile(r"(?<!if )\b(?:today|now|heute|aujourd'hui|hoy|oggi)\W*$", re.IGNORECASE)
_ASKS_DATE: Final = re.compile(
    r"(?:what|which|welches|quelle|qué|che) (?:is the )?(?:date|datum|fecha|data)\b|what day is\b", re.IGNORECASE
)
_ASKS_DAYS: Final = re.compile(
    r"how many days|(?:number of|count the|the) days between|number of days|wie viele tage|combien de jours|"
    r"cuántos días|quanti giorni",
    re.IGNORECASE,
)
_LEAP_WORDS: Final = (
    r"(?:leap year|schaltjahr|année bissextile|bissextile|año bisiesto|bisiesto|anno bisestile|bisestile)"
)
_ASKS_LEAP: Final = re.compile(
    rf"\b(\d{{4}}) (?:une |a |ein |un )*{_LEAP_WORDS}|{_LEAP_WORDS}\b.*\b(\d{{4}})\b|"
    rf"february (?:of )?(\d{{4}}) (?:have|has) (?:29|twenty-nine) days",
    re.IGNORECASE,
)
_IN_MONTH: Final = re.compile(
    rf"days (?:are |does )?(?:there )?(?:are )?(?:in|has|"
    rf"have)?\s*(?P<month>{_MONTH})(?:\s+(?P<year>\d{{4}}))?(?: have)?",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(
    r"\b(?P<hour>[01]?\d|2[0-4])[:.h](?P<minute>[0-5]\d)\s*(?P<half>[ap]\.?m\b\.?)?|\b(?P<hour2>1[0-2]|"
    r"[1-9])\s*(?P<half2>[ap]\.?m\b\.?|uhr)",
    re.IGNORECASE,
)
_CLOCK_FORM: Final = re.compile(
    r"\b(?:24|12)[- ]?(?:hour|stunden|heures|horas|ore)\b(?: clock| format)?|"
    r"\b24h\b",
    re.IGNORECASE,
)
_ASKS_MINUTES: Final = re.compile(
    r"how many minutes|wie viele minuten|combien de minutes|cuántos minutos|"
    r"quanti minuti",
    re.IGNORECASE,
)
_ASKS_MONTH: Final = re.compile(r"(?:what|which) month|welcher monat|quel mois|qué mes|che mese", re.IGNORECASE)
_MONTHS_ON: Final = re.compile(
    r"(\d+|one|two|three|four|five|six|seven|eight|nine|ten) (?:months?|monate?n?|mois|meses|mesi)\b\s*(after|"
    r"later|from|before|ago|earlier|nach|vor|après|avant|después|antes|dopo|prima)?",
    re.IGNORECASE,
)
_CLOCK_SPAN: Final = re.compile(
    r"(?P<hours>\d+)\s*(?:h|hours?|stunden?|heures?|horas?|ore)\b(?:\s*(?:and|und|et|y|"
    r"e)?\s*(?P<more>\d+)\s*(?:min(?:utes?|uten)?|minutos?|minuti))?"
    r"|(?P<minutes>\d+)\s*(?:min(?:utes?|uten)?|minutos?|minuti)\b",
    re.IGNORECASE,
)
_ASKS_TIME: Final = re.compile(
    r"what time|which time|when (?:does|will|do)|wie spät|wie viel uhr|quelle heure|qué hora|che ora", re.IGNORECASE
)
_TIME_BACK: Final = re.compile(r"\b(?:ago|before|earlier|vor(?:her)?|avant|antes|prima|leave to)\b", re.IGNORECASE)
_YES: Final = re.compile(r"\b(?:yes|ja|oui|sí|sì)\b", re.IGNORECASE)
_NO: Final = re.compile(r"\b(?:no|not|nein|nicht|non|isn't|kein)\b", re.IGNORECASE)
_SMALL: Final = {
    word: value
    for value, word in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1)
}

Wanted = tuple[str, Any]
"""What is asked for ("weekday", "date", "month", "days" or minutes, "time", "yes") and its value."""


def asked_day(question: str) -> Wanted | None:
    """What a bare question about days has as its answer; None where it is none, or leaves a doubt.

    >>> asked_day("Today is Monday. Which weekday is it in 10 days?"), asked_day("Which weekday was 1969-07-20?")
    (('weekday', 3), ('weekday', 6))
    >>> asked_day("How many days from 3 March 2024 to 10 March 2024?")
    ('days', 7)
    """
    if len(question) > LONGEST_QUESTION:
        return None
    dates = [day for found in _DATE.finditer(question) if (day := _date(found)) is not None]
    without = _DATE.sub(" ", question)
    question = _CLOCK_FORM.sub(" ", question)
    for read in (_leap, _between, _same_year, _months, _in_month, _moved, _minutes_between, _clock):
        found = read(question, without, dates)
        if found is not None:
            return found
    return None


def _leap(question: str, _without: str, _dates: list[date]) -> Wanted | None:
    found = _ASKS_LEAP.search(question)
    if not found:
        return None
    year = int(found[1] or found[2] or found[3])
    return "yes", year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _between(question: str, without: str, dates: list[date]) -> Wanted | None:
    if len(dates) != 2 or not _ASKS_DAYS.search(question) or re.search(r"\d", without):
        return None
    return "days", abs((dates[1] - dates[0]).days)


def _same_year(question: str, _without: str, _dates: list[date]) -> Wanted | None:
    """The weekday of a day, by the weekday of another day of the same year; none where a leap day may lie between."""
    found, weekdays = list(_DATE.finditer(question)), [_weekday(one) for one in _WEEKDAY.finditer(question)]
    if len(found) != 2 or len(weekdays) != 1 or not _ASKS_WEEKDAY.search(question):
        return None
    first, second = (_date(one, 2023) for one in found)
    years = {one["y1"] or one["y2"] or one["y3"] or one["y4"] for one in found}
    if (
        first is None
        or second is None
        or len(years - {None}) > 1
        or (min(first, second).month < 3 <= max(first, second).month)
    ):
        return None
    return "weekday", (weekdays[0] + (second - first).days) % 7


def _months(question: str, _without: str, dates: list[date]) -> Wanted | None:
    """A month, some months on."""
    named = [found for found in re.finditer(rf"\b(?:{_MONTH})\b", question, re.IGNORECASE) if found[0][0].isupper()]
    span = _MONTHS_ON.search(question)
    if dates or len(named) != 1 or not span or not _ASKS_MONTH.search(question):
        return None
    by = int(span[1]) if span[1].isdigit() else _SMALL[span[1].lower()]
    back = (span[2] or "").lower() in ("before", "ago", "earlier", "vor", "avant", "antes", "prima")
    return "month", (_month(named[0][0]) - 1 + (-by if back else by)) % 12 + 1


def _minutes_between(question: str, _without: str, dates: list[date]) -> Wanted | None:
    times = list(_CLOCK.finditer(question))
    if dates or len(times) != 2 or not _ASKS_MINUTES.search(question) or re.search(r"\d", _CLOCK.sub(" ", question)):
        return None
    return "days", (_minutes(times[1]) - _minutes(times[0])) % 1440


def _in_month(question: str, _without: str, _dates: list[date]) -> Wanted | None:
    found = _IN_MONTH.search(question) if _ASKS_DAYS.search(question) else None
    if not found:
        return None
    month, year = _month(found["month"]), int(found["year"] or 2023)
    if month == 2 and not found["year"]:
        return None
    return "days", (date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)).days


def _moved(question: str, without: str, dates: list[date]) -> Wanted | None:
    """A weekday or a date, moved by some days, or not."""
    later, earlier = _LATER.search(without), _EARLIER.search(without)
    spans = [span for span in (earlier or later,) if span]
    by = sum(_days(span) for span in spans) * (-1 if bool(earlier) != bool(_ASKS_TODAY.search(question)) else 1)
    if len(re.findall(r"\d+", without)) > len(spans):
        return None
    weekdays = {_weekday(found) for found in _WEEKDAY.finditer(question)}
    if len(dates) == 1:
        day = dates[0] + timedelta(days=by) if abs(by) < 40_000 else dates[0]
        if weekdays and spans:
            return None
        if _ASKS_WEEKDAY.search(question) and not (spans and _ASKS_DATE.search(question)):
            return ("weekday", day.weekday()) if not weekdays else None
        return ("date", day) if spans and _ASKS_DATE.search(question) else None
    if not dates and len(weekdays) == 1 and spans and _ASKS_WEEKDAY.search(question):
        return "weekday", (weekdays.pop() + by) % 7
    if (
        not dates
        and len(weekdays) == 1
        and (
            step := re.search(r"\b(tomorrow|yesterday|day after|day before|morgen|gestern)\b", question, re.IGNORECASE)
        )
    ):
        if spans or not _ASKS_WEEKDAY.search(question) or len(question.split()) > 14:
            return None
        back = step[1].lower() in ("yesterday", "day before", "gestern")
        twice = 2 if re.search(r"day (?:after|before) (?:tomorrow|yesterday)", question, re.IGNORECASE) else 1
        return "weekday", (weekdays.pop() + (-twice if back or "yesterday" in question.lower() else twice)) % 7
    return None


def _clock(question: str, _without: str, dates: list[date]) -> Wanted | None:
    times = list(_CLOCK.finditer(question))
    span = _CLOCK_SPAN.search(_CLOCK.sub(" ", question))
    if dates or len(times) != 1 or not span or not _ASKS_TIME.search(question) or len(question.split()) > 24:
        return None
    if len(re.findall(r"\d+", _CLOCK_SPAN.sub(" ", _CLOCK.sub(" ", question)))):
        return None
    by = int(span["minutes"]) if span["minutes"] else int(span["hours"]) * 60 + int(span["more"] or 0)
    return "time", (_minutes(times[0]) + (-by if _TIME_BACK.search(question) else by)) % 1440


def says_day(answer: str, wanted: Wanted) -> bool | None:
    """Whether an answer says what is wanted; None where that is not to be told."""
    what, value = wanted
    if what == "weekday":
        named = [_weekday(found) for found in _WEEKDAY.finditer(answer)]
        return (
            named[-1] == value if named and len(set(named)) <= 2 else (False if named and value not in named else None)
        )
    if what == "date":
        named_dates = [(found["n2"] or found["n3"], _date(found, value.year)) for found in _DATE.finditer(answer)]
        return any(day == value for _, day in named_dates) if named_dates else None
    if what == "month":
        months = [
            _month(found[0])
            for found in re.finditer(rf"\b(?:{_MONTH})\b", answer, re.IGNORECASE)
            if found[0][0].isupper()
        ]
        return months[-1] == value if months else None
    if what == "days":
        numbers = [int(found) for found in re.findall(r"(?<![\d.,-])\d+(?![\d-])", _DATE.sub(" ", answer))]
        return numbers[-1] == value if numbers else None
    if what == "time":
        told = {_minutes(found) for found in _CLOCK.finditer(answer)}
        return bool(told & ({value} if value >= 780 or value < 60 else {value, value + 720})) if told else None
    yes, no = bool(_YES.search(answer)), bool(_NO.search(answer))
    return (yes == value) if yes != no else None


def _weekday(found: re.Match[str]) -> int:
    return int(str(found.lastgroup)[1:])


def _month(name: str) -> int:
    return next(at for at, names in enumerate(_MONTHS, 1) if re.fullmatch(names, name, re.IGNORECASE))


def _date(found: re.Match[str], year: int | None = None) -> date | None:
    """The day that a match of `_DATE` names; without a year: in `year`, else None."""
    get = found.groupdict()
    named = get["n2"] or get["n3"]
    years = get["y1"] or get["y2"] or get["y3"] or get["y4"] or year
    month = _month(named) if named else int(get["m1"] or get["m4"])
    try:
        return date(int(years), month, int(get["d1"] or get["d2"] or get["d3"] or get["d4"])) if years else None
    except ValueError:
        return None


def _days(span: re.Match[str]) -> int:
    get = span.groupdict()
    count, unit = get["count"] or get["count2"], get["unit"] or get["unit2"]
    number = int(count) if count.isdigit() else _SMALL.get(count.lower(), 1)
    week = re.fullmatch(next(names for names, what in _UNIT.items() if what == "week"), unit, re.IGNORECASE)
    return min(number, 100_000) * (7 if week else 1)


def _minutes(found: re.Match[str]) -> int:
    hour, minute = int(found["hour"] or found["hour2"]), int(found["minute"] or 0)
    half = (found["half"] or found["half2"] or "")[:1].lower()
    if half in ("a", "p"):
        hour = hour % 12 + (12 if half == "p" else 0)
    return (hour * 60 + minute) % 1440
