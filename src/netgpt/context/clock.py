"""The local time as a fact: weekday, part of the day, time to the minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from netgpt.errors import SettingsError
from netgpt.types import Fact, Label

__all__ = ["part_of_day", "time_facts"]

# Spelled out: `strftime` and `calendar` follow the process's locale, and prompts must not.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_PARTS = ((5, "night"), (12, "morning"), (17, "afternoon"), (22, "evening"), (24, "night"))


def part_of_day(hour: int) -> str:
    """The everyday name of an hour (0-23): night, morning, afternoon or evening."""
    return next(name for end, name in _PARTS if hour < end)


def time_facts(now: datetime, time_zone: str) -> tuple[Fact, ...]:
    """The local time at the site as one public fact, which expires with the minute.

    `now` is timezone-aware (ValueError otherwise), `time_zone` an IANA name (SettingsError when unknown).
    """
    if now.tzinfo is None:
        raise ValueError("time_facts needs a timezone-aware time")
    try:
        local = now.astimezone(ZoneInfo(time_zone))
    except (KeyError, ValueError, OSError):
        raise SettingsError(f'unknown time zone "{time_zone}"; use an IANA name such as "Europe/London"') from None
    text = (
        f"It is {_WEEKDAYS[local.weekday()]} {part_of_day(local.hour)}, "
        f"{local.day} {_MONTHS[local.month - 1]} {local.year}, {local.hour:02}:{local.minute:02} local time"
    )
    expires = local.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return (Fact(text, "time", Label.PUBLIC, source="clock", precision="minute", expires=expires),)
