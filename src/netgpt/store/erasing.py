"""What goes when a person is forgotten, and when it is too old: class by class, in one write."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from netgpt.store import decisions, exchanges, keyring, learning, limits, maps, profiles, waiting
from netgpt.store.receipts import Receipts
from netgpt.types import Person

__all__ = ["expire", "forget"]


def forget(connection: Connection, receipts: Receipts, person: Person) -> dict[str, int]:
    """Delete all rows of a person; of receipts, the contents and the person. Returns how many of each class."""
    counts = {"exchanges": exchanges.forget(connection, person), "maps": maps.forget(connection, person)}
    counts |= profiles.forget(connection, person) | learning.forget(connection, person)
    counts["receipts"] = receipts.forget(connection, person)
    counts["waiting"] = waiting.forget(connection, person)
    counts["decisions"] = decisions.forget(connection, person)
    limits.forget(connection, person)
    return counts | {"keys": keyring.forget(connection, person)}


def expire(
    connection: Connection,
    receipts: Receipts,
    now: datetime,
    exchanges_days: float,
    maps_days: float,
    examples_days: float,
    receipts_days: float,
) -> dict[str, int]:
    """Delete what is older than its class allows (days). Returns how many of each class."""
    limits.expire(connection, now)
    return {
        "waiting": waiting.expire(connection, now),
        "exchanges": exchanges.expire(connection, now - timedelta(days=exchanges_days)),
        "decisions": decisions.expire(connection, now - timedelta(days=exchanges_days)),
        "maps": maps.expire(connection, now - timedelta(days=maps_days)),
        "facts": profiles.expire(connection, now),
        "examples": learning.expire(connection, now - timedelta(days=examples_days)),
        "receipts": receipts.expire(connection, now - timedelta(days=receipts_days), receipts_days),
    }
