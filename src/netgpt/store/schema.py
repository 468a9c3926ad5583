"""The tables as they are now. How an older database gets here stands in `migrations.py`.

Types are those that SQLite and PostgreSQL both have. Every table of private rows carries `tenant` and `user`, and the
content itself is one sealed column. Users are kept as tokens (`users.py`), so a stolen file tells which tenant asked
and when, but neither who nor what.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.padding import PKCS7
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    and_,
)

from netgpt.errors import StoreError
from netgpt.types import Person, Role

# --- User ids as they stand in the database: tokens that tell nobody who it is, and still find a person's rows.
#
# AES-SIV (RFC 5297) is deterministic: the same id gives the same token, so equality and indexes work. What a stolen
# file still tells: how many rows one token has, and ids' length to 16 bytes. A column of type `UserId` translates
# both ways, so that no query needs to know. It uses the tokens of the transaction that its thread is in
# (`tokens_in_use`).

_PREFIX: Final = "~"
_PLACE: Final = [b"netgpt user id"]
_BLOCK_BITS: Final = 128
_REMEMBERED: Final = 20_000


class UserTokens:
    """Turns ids into tokens and back under one secret. Remembers them: each costs some microseconds once."""

    def __init__(self, secret: bytes) -> None:
        self._siv = AESSIV(hmac.digest(secret, b"netgpt user ids", hashlib.sha512))
        self._made: dict[str, str] = {}
        self._opened: dict[str, str] = {}

    def token(self, user: str) -> str:
        known = self._made.get(user)
        if known is None:
            padder = PKCS7(_BLOCK_BITS).padder()
            padded = padder.update(user.encode("utf-8")) + padder.finalize()
            sealed = self._siv.encrypt(padded, _PLACE)
            known = _PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")
            self._remember(user, known)
        return known

    def user(self, token: str) -> str:
        """The id. Raises StoreError (`wrong_key`): not a token of this secret, or changed."""
        known = self._opened.get(token)
        if known is None:
            try:
                sealed = base64.b64decode(token[1:] + "=" * (-len(token[1:]) % 4), altchars=b"-_", validate=True)
                padded = self._siv.decrypt(sealed, _PLACE)
                unpadder = PKCS7(_BLOCK_BITS).unpadder()
                known = (unpadder.update(padded) + unpadder.finalize()).decode("utf-8")
            except (InvalidTag, binascii.Error, ValueError):
                raise StoreError(
                    "wrong key: a row does not tell whose it is: it was changed, or written under another key. "
                    "`netgpt store check` names such rows.",
                    code="wrong_key",
                ) from None
            if self.token(known) != token:  # base64 has several spellings of the same bytes
                raise StoreError("a row's person was changed; `netgpt store check` names it.", code="wrong_key")
        return known

    def _remember(self, user: str, token: str) -> None:
        if len(self._made) >= _REMEMBERED:
            self._made, self._opened = {}, {}
        self._made[user] = token
        self._opened[token] = user

    def __repr__(self) -> str:
        return "<UserTokens>"


_thread = threading.local()


def use_tokens(tokens: UserTokens | None) -> None:
    """From now on the transaction of this thread uses these."""
    _thread.tokens = tokens


def tokens_in_use() -> UserTokens:
    """The tokens of this thread's transaction. Raises StoreError: there is none."""
    tokens: UserTokens | None = getattr(_thread, "tokens", None)
    if tokens is None:
        raise StoreError("people's rows are read and written within the store's transactions only")
    return tokens


class UserId(TypeDecorator[str]):
    """A column that holds tokens and gives ids. Sorting by it sorts tokens: sort in Python where order matters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else tokens_in_use().token(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        return None if value is None else tokens_in_use().user(str(value))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcTime(TypeDecorator[datetime]):
    """A moment, kept as whole microseconds since 1970 UTC: exact, ordered, and the same in every database.

    Naive datetimes are refused with ValueError: nobody can say which moment they mean.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone")
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData()

migrations = Table(
    "migrations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("applied", UtcTime, nullable=False),
)

marks = Table(  # what the database knows of itself; so far: proof of the key that seals it
    "marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("key_id", Text),
    Column("received", UtcTime, nullable=False),
    Column("status", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("cost", Float(53), nullable=False),
    Column("timings", JSON, nullable=False),
    Column("rating", Integer),
    Column("private", LargeBinary),
    Column("adapters", JSON),
    Column("target", Text, nullable=False, server_default=""),
    Column("finished_by", Text),
    Column("partial", Boolean, nullable=False, server_default="0"),
    Column("question", Text),  # a keyed digest of what was asked, where the answer may be given again
    Index("exchanges_by_person", "tenant", "user", "received", "id"),
    Index("exchanges_by_time", "received", "id"),
    Index("exchanges_by_question", "question", "received"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("user", UserId),
    Column("name", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime),
    Column("revoked", UtcTime),
    Column("scopes", JSON),
    Column("limits", JSON),
    Column("prefer", Text),
)

key_use = Table(  # what each key has used, day by day (UTC)
    "key_use",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("cost", Float(53), nullable=False),
)

profiles = Table(
    "profiles",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("user", UserId, primary_key=True),
    Column("complete", Text, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime),
    Column("private", LargeBinary, nullable=False),
    Index("facts_by_person", "tenant", "user", "created", "id"),
)

places = Table(
    "places",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("latitude", Float(53), nullable=False),
    Column("longitude", Float(53), nullable=False),
    Column("text", Text, nullable=False),
    Column("tags", JSON, nullable=False),
)

maps = Table(
    "maps",
    metadata,
    Column("id", Text, primary_key=True),  # a keyed digest of person and conversation: the name itself is not kept
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("used", UtcTime, nullable=False),
    Column("private", LargeBinary, nullable=False),
    Index("maps_by_person", "tenant", "user"),
    Index("maps_by_use", "used"),
)

consents = Table(  # what people said, word for word in time: rows are added, never changed
    "consents",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("third_party", Text),  # only for this receiver; none: for everybody
    Column("given", Boolean, nullable=False),
    Column("said", UtcTime, nullable=False),
    Column("begins", UtcTime, nullable=False),
    Column("ends", UtcTime),
    Index("consents_by_person", "tenant", "user", "number"),
    Index("consents_by_purpose", "purpose"),
)

receipts = Table(
    "receipts",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("destination", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("tenant", Text),
    Column("user", UserId),
    Column("exchange", Text),
    Column("commitment", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("tag", LargeBinary, nullable=False),
    Column("private", LargeBinary),
    Column("notice", JSON),
    Column("erased_by", Integer),
    Index("receipts_by_person", "tenant", "user", "seq"),
    Index("receipts_by_exchange", "exchange"),
    Index("receipts_by_time", "time"),
)

examples = Table(
    "examples",
    metadata,
    Column("id", Text, primary_key=True),  # a keyed digest of person and content
    Column("tenant", Text),  # nobody's examples have neither tenant nor user
    Column("user", UserId),
    Column("kept", UtcTime, nullable=False),
    Column("chosen", Boolean, nullable=False),
    Column("private", LargeBinary, nullable=False),
    Index("examples_by_person", "tenant", "user"),
    Index("examples_by_time", "kept"),
)

waiting = Table(  # requests that nobody could answer, kept to be sent once; and what became of them
    "waiting",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("key_id", Text),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("due", UtcTime, nullable=False),  # not to be tried before
    Column("state", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("exchange", Text),  # the exchange in which it was sent
    Column("claim", Text),  # who is sending it: a word that only that sender knows
    Column("seen", UtcTime),  # when the sender was last seen alive
    Column("private", LargeBinary, nullable=False),
    Index("waiting_by_person", "tenant", "user", "created"),
    Index("waiting_by_state", "state", "created"),
    Index("waiting_by_claim", "claim"),
)

decisions = Table(  # which arm, with which chance, and what came of it
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),  # the exchange's
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("key_id", Text),
    Column("time", UtcTime, nullable=False),
    Column("target", Text, nullable=False),
    Column("propensity", Float(53), nullable=False),
    Column("private", LargeBinary, nullable=False),
    Index("decisions_by_person", "tenant", "user", "time"),
    Index("decisions_by_time", "time", "id"),
)

lessons = Table(  # which adapter learnt from which example
    "lessons",
    metadata,
    Column("adapter", Text, primary_key=True),
    Column("example", Text, primary_key=True),
    Index("lessons_by_example", "example"),
)


def of_person(table: Table, person: Person) -> ColumnElement[bool]:
    """The rows of a person."""
    return and_(table.c.tenant == person.tenant, table.c.user == person.user)


# --- The rows as the rest of the house sees them. What is private, or proves who one is, is hidden from `repr`.


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """One finished exchange. Times are timezone-aware; `timings` in milliseconds; `cost` in the owner's money."""

    id: str
    tenant: str
    user: str = field(repr=False)
    key_id: str | None
    """The key that called; None on loopback without keys."""
    received: datetime
    status: str
    model: str
    route: str
    reason: str = field(repr=False)
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    """Whether the tokens are our estimate because the model did not say."""
    cost: float
    timings: dict[str, float]
    private: dict[str, Any] | None = field(default=None, repr=False)
    """The texts (JSON values only), sealed at rest; None when only figures are kept."""
    rating: int | None = None
    """What the person thought of the answer: 1 good, 0 no opinion, -1 bad; None: nothing said."""
    adapters: tuple[str, ...] = field(default=(), repr=False)
    """Ids of the adapters that had a part in the answer."""
    target: str = ""
    """The model that answered, by its name among those that might: "edge", "cloud" or an upstream's."""
    finished_by: str | None = None
    """The arm that finished what this one had begun and broke off."""
    partial: bool = False
    """It failed after a part of the answer was given."""

    @property
    def person(self) -> Person:
        return Person(self.tenant, self.user)

    def as_dict(self, *, texts: bool = True) -> dict[str, Any]:
        """The exchange as JSON values, as everything tells it that shows one. `texts=False`: the figures alone, for
        operators and lists; and where no texts are kept."""
        figures = {
            "id": self.id,
            "object": "netgpt.exchange",
            "received": self.received.isoformat(),
            "status": self.status,
            "model": self.model,
            "route": self.route,
            "arm": self.target or self.route,
            "finished_by": self.finished_by,
            "partial": self.partial,
            "reason": self.reason,
            "adapters": list(self.adapters),
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
                "total_tokens": self.prompt_tokens + self.completion_tokens,
                "estimated": self.estimated,
            },
            "cost": self.cost,
            "rating": self.rating,
            "timings_ms": self.timings,
        }
        return figures | (self.private or {}) if texts else figures


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How much a key may use; None: as much as it likes. Money in the owner's unit; days and months are UTC's."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    cost_per_day: float | None = None
    cost_per_month: float | None = None


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What a key has used: on `day` (ISO date, UTC), and in that day's month."""

    day: str = ""
    requests: int = 0
    tokens: int = 0
    cost: float = 0.0
    cost_month: float = 0.0


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key without its secret: only the hash is ever stored."""

    id: str
    hash: str = field(repr=False)
    tenant: str
    role: Role
    user: str | None = field(repr=False)
    """The only person this key may speak for; None: any person of its tenant."""
    name: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    scopes: tuple[str, ...] | None = None
    """What the key may be used for (chat, models, ...); None: all that its role may."""
    limits: KeyLimits = KeyLimits()
    prefer: str | None = None
    """What counts more where the box decides for this key: a preset of `routing.prefer`; None: as the settings say."""

    def usable(self, now: datetime) -> bool:
        """Whether the key opens the door at `now` (timezone-aware): neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A place of interest. `id` is unique within its `source`; degrees are WGS 84. Public, so not sealed."""

    id: str
    source: str
    name: str
    kind: str
    latitude: float
    longitude: float
    text: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """What a person said of one use of their words ("training"), and when. Never asked is no consent."""

    tenant: str
    user: str = field(repr=False)
    purpose: str
    given: datetime | None
    withdrawn: datetime | None
    until: datetime | None = None
    """When it ends by itself; None: not before it is withdrawn."""

    @property
    def stands(self) -> bool:
        """Whether the consent was given, has begun, and was neither taken back nor ended."""
        now = datetime.now(UTC)
        begun = self.given is not None and self.given <= now
        return begun and self.withdrawn is None and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class NewExample:
    """A training example to be kept. `digest` tells its content apart; `row` is all of it (JSON values only)."""

    person: Person | None
    digest: str
    row: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptExample:
    """A training example as it is kept, sealed at rest."""

    id: str
    person: Person | None
    """Whose it is; None: nobody's."""
    kept: datetime
    chosen: bool
    """Whether a person asked to keep it; else it was kept because an adapter learnt from it."""
    adapters: tuple[str, ...]
    """The adapters (`name@version`) that learnt from it."""
    row: dict[str, Any] = field(repr=False)


def values_of(row: ExchangeRecord | KeyRow | PlaceRow) -> dict[str, Any]:
    """The fields of a row by name. Unlike `dataclasses.asdict`, without a copy of all the texts."""
    return {name: getattr(row, name) for name in _NAMES[type(row)]}


_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in (ExchangeRecord, KeyRow, PlaceRow)}
