"""The tables as they are now, and the rows as other modules see them. `migrations.py` brings older databases here.

Every table of private rows has `tenant` and `user`, and one sealed column for the content. Users are kept as tokens,
so a stolen file shows which tenant asked and when, but neither who nor what.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.padding import PKCS7
from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Float, Integer, LargeBinary, Table, Text, and_

from netgpt.errors import StoreError
from netgpt.types import Person, Role, Usage

_PREFIX: Final = "~"
_PLACE: Final = [b"netgpt user id"]
_BLOCK_BITS: Final = 128
_CACHED: Final = 20_000


class UserTokens:
    """User ids as the database holds them: tokens under one secret, cached, since each costs microseconds.

    AES-SIV (RFC 5297) is deterministic: the same id gives the same token, so equality and indexes work. What a stolen
    file still shows: how many rows one token has, and the length of ids to 16 bytes.
    """

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
            self._cache(user, known)
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

    def _cache(self, user: str, token: str) -> None:
        if len(self._made) >= _CACHED:
            self._made, self._opened = {}, {}
        self._made[user] = token
        self._opened[token] = user

    def __repr__(self) -> str:
        return "<UserTokens>"


_thread = threading.local()


def use_tokens(tokens: UserTokens | None) -> None:
    """Use these in this thread's transaction from now on."""
    _thread.tokens = tokens


def tokens_in_use() -> UserTokens:
    """The tokens of this thread's transaction. Raises StoreError: there is none."""
    tokens: UserTokens | None = getattr(_thread, "tokens", None)
    if tokens is None:
        raise StoreError("people's rows are read and written within the store's transactions only")
    return tokens


class BytewiseText(sa.types.UserDefinedType[str]):
    """PostgreSQL's text, in the order of its bytes, as SQLite has it. (As `Text("C")`, BETWEEN does not compile.)"""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return 'TEXT COLLATE "C"'


PLAIN_TEXT: Final = Text().with_variant(BytewiseText(), "postgresql")
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
"""Eight bytes everywhere; SQLite numbers rows by itself where it reads the word INTEGER."""


class UserId(sa.TypeDecorator[str]):
    """A column that holds tokens and gives ids, by the tokens of its thread's transaction (`tokens_in_use`).

    Sorting by it sorts tokens: sort in Python where order matters.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(PLAIN_TEXT)

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> Any:
        return None if value is None else tokens_in_use().token(value)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else tokens_in_use().user(str(value))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcTime(sa.TypeDecorator[datetime]):
    """A moment, kept as whole microseconds since 1970 UTC: exact, ordered, and the same in every database.

    Naive datetimes are refused with ValueError: nobody can say which moment they mean.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone")
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class JsonText(sa.TypeDecorator[Any]):
    """JSON kept as text, letter by letter as SQLite keeps it: a row has one proof, whichever engine keeps it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str:
        return orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        return None if value is None else orjson.loads(value)


JSON: Final = sa.JSON().with_variant(JsonText(), "postgresql")


class Bytea(LargeBinary):
    """Bytes that go to psycopg as they are."""

    def bind_processor(self, dialect: sa.Dialect) -> None:
        return None


metadata = sa.MetaData()

_BYTES: Final = LargeBinary().with_variant(Bytea(), "postgresql")
_TYPES: Final[dict[str, Any]] = {
    name: kind
    for kind, names in (
        (UserId, "user"),
        (UtcTime, "applied received created expires revoked used said begins ends time kept due seen"),
        (_NUMBER, "prompt_tokens completion_tokens rating requests number seq size tries erased_by hour times"),
        (BigInteger, "tokens"),
        (Float(53), "cost latitude longitude propensity"),
        (Boolean, "estimated partial given chosen"),
        (JSON, "timings adapters scopes limits tags notice figures"),
        (_BYTES, "private value commitment previous tag mac"),
    )
    for name in names.split()
}
"""A column's type follows from its name, the same in every table; what is not here is text."""


def _table(name: str, *more: Column[Any], key: str, needed: str = "", optional: str = "", **by: str) -> Table:
    """Columns by name: the primary key, those that every row fills, and others. `by`: an index `{table}_by_{word}`."""
    columns = [Column(each, _TYPES.get(each, PLAIN_TEXT), primary_key=True) for each in key.split()]
    columns += [Column(each, _TYPES.get(each, PLAIN_TEXT), nullable=False) for each in needed.split()]
    columns += [Column(each, _TYPES.get(each, PLAIN_TEXT)) for each in optional.split()]
    indexes = [sa.Index(f"{name}_by_{word}", *names.split()) for word, names in by.items()]
    return Table(name, metadata, *columns, *more, *indexes)


migrations = _table("migrations", key="name", needed="applied")
marks = _table("marks", key="name", needed="value")
"""What the database knows of itself: its secrets, the end of the chain of receipts, the learner's state, ..."""
exchanges = _table(
    "exchanges",
    Column("target", PLAIN_TEXT, nullable=False, server_default=""),
    Column("partial", Boolean, nullable=False, server_default="0"),
    Column("id", PLAIN_TEXT, nullable=False, unique=True),
    Column("before", PLAIN_TEXT, nullable=False),
    Column("mac", _BYTES, nullable=False),
    key="seq",
    needed="tenant user received status model route reason prompt_tokens completion_tokens estimated cost timings",
    optional="key_id rating private adapters finished_by question",
    person="tenant user received id",
    time="received id",
    question="question received",
    tenant="tenant received id",
    status="tenant status received id",
    route="tenant route received id",
    model="tenant model received id",
)
"""`question`: a keyed digest of what was asked, where the answer may be given again. `seq`, `before`, `mac`: number, id
of the exchange before, and proof: see `ledger.py`."""
finds = _table(
    "finds",
    key="exchange kind",
    needed="tenant user received times",
    person="tenant user",
    kind="tenant kind received exchange",
    time="received",
)
"""How many values of which kind an exchange hid in what left. Like `hours`, figures that were counted from what is kept
elsewhere: no proof covers them."""
hours = _table("hours", key="tenant user hour", needed="figures")
tenant_hours = _table("tenant_hours", key="tenant hour", needed="figures")
"""What became of a person's requests, and of all of a tenant, by hour since 1970 UTC: see `usage.py`."""
rulings = _table("rulings", key="tenant user day rule effect", needed="times", tenant="tenant day")
"""What each rule of the policy did, by person and day (UTC): see `rulings.py`."""
sums = _table("sums", key="name", needed="seq")
"""Up to which exchange something was counted."""
readings = _table("readings", key="id", needed="tenant user time private", person="tenant user time", time="time")
"""Who read a person's texts, when, and why. `id`: a keyed digest, so that one look leaves one row."""
reports = _table(
    "reports",
    key="id",
    needed="tenant user time private",
    person="tenant user time",
    tenant="tenant time",
    time="time",
)
"""What people say was hidden without need, or was not hidden."""
keys = _table(
    "keys",
    Column("hash", PLAIN_TEXT, nullable=False, unique=True),
    key="id",
    needed="tenant role name created",
    optional="user expires revoked scopes limits prefer",
)
key_use = _table("key_use", key="key_id day", needed="requests tokens cost seq mac")
"""What each key has used, by day (UTC), up to the exchange `seq`."""
profiles = _table("profiles", key="tenant user", needed="complete")
facts = _table(
    "facts", key="id", needed="tenant user created private", optional="expires", person="tenant user created id"
)
fact_vectors = _table("fact_vectors", key="id", needed="tenant user model private", person="tenant user")
"""`id`: the fact's. `model`: a digest of the weights that made them: see `FactVectors`."""
proposals = _table("proposals", key="id", needed="tenant user created expires private", person="tenant user created id")
"""Facts that wait for a yes. `id`: a keyed digest of person and note, so that what was dropped stays away."""
places = _table("places", key="source id", needed="name kind latitude longitude text tags")
maps = _table("maps", key="id", needed="tenant user used private", person="tenant user", use="used")
"""`id`: a keyed digest of person and conversation; the conversation's name is not kept."""
consents = _table(
    "consents",
    key="number",
    needed="tenant user purpose given said begins",
    optional="third_party ends",
    person="tenant user number",
    purpose="purpose",
)
"""What people said, in order: rows are added, never changed. `third_party` NULL: towards everybody."""
receipts = _table(
    "receipts",
    Column("id", PLAIN_TEXT, nullable=False, unique=True),
    Column("hash", _BYTES, nullable=False),
    key="seq",
    needed="kind time destination model size commitment previous tag",
    optional="tenant user exchange private notice erased_by",
    person="tenant user seq",
    exchange="exchange",
    time="time",
)
examples = _table(
    "examples", key="id", needed="kept chosen private", optional="tenant user", person="tenant user", time="kept"
)
"""`id`: a keyed digest of person and content. Examples that are nobody's have neither tenant nor user."""
waiting = _table(
    "waiting",
    key="id",
    needed="tenant user created expires due state size tries private",
    optional="key_id exchange claim seen",
    person="tenant user created",
    state="state created",
    claim="claim",
)
"""Requests that wait to be sent once. `due`: not to be tried before; `claim`: a word that only its sender knows;
`seen`: when that sender was last seen alive."""
decisions = _table(
    "decisions",
    key="id",
    needed="tenant user time target propensity private",
    optional="key_id",
    person="tenant user time",
    time="time id",
)
"""Which target, with which chance, and what came of it. `id`: the exchange's."""
ledger = Table(
    "ledger",
    metadata,
    Column("name", PLAIN_TEXT, primary_key=True),
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("mac", _BYTES, nullable=False),
    sqlite_with_rowid=False,
)
"""An entry for each row of the guarded tables: see `ledger.py`."""
lessons = _table("lessons", key="adapter example", example="example")
"""Which adapter learnt from which example."""
leases = _table("leases", Column("until", Float(53), nullable=False), key="name", needed="owner")
"""What one process alone may do, which one does, and until when (seconds since 1970)."""
holds = _table(
    "holds", Column("until", Float(53), nullable=False), key="id", needed="key_id owner tokens cost", key_of="key_id"
)
"""Estimates of answers under way, where several processes answer: see `sharing.py`."""
rates = _table(
    "rates",
    *(Column(name, Float(53), nullable=False) for name in ("requests_left", "tokens_left", "at")),
    key="key_id",
)
"""What is left of a key's minute, where several processes answer; `at`: seconds since 1970."""
news = _table("news", Column("known", JSON, nullable=False), key="seq", needed="exchange")
"""What came of decisions, until the one process that learns has read it: figures that the exchange tells, too."""


def of_person(table: Table, person: Person) -> ColumnElement[bool]:
    """The rows of a person."""
    return and_(table.c.tenant == person.tenant, table.c.user == person.user)


def delete_rows(connection: sa.Connection, table: Table, *where: ColumnElement[bool]) -> int:
    """Delete the rows that meet all conditions; return how many."""
    return connection.execute(sa.delete(table).where(*where)).rowcount


# The rows. What is private, or proves who somebody is, is hidden from `repr`.


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
    """The target that answered: "edge", "cloud" or the name of an upstream."""
    finished_by: str | None = None
    """The target that finished the answer after the first one broke off."""
    partial: bool = False
    """It failed after a part of the answer was given."""
    finds: dict[str, int] = field(default_factory=dict)
    """How many values it hid in what left, by kind."""
    rulings: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How often a rule of the policy did something to it, by (rule, effect); empty when it was read."""
    left: int = 0
    """Bytes that left for it, all tries together."""

    @property
    def person(self) -> Person:
        return Person(self.tenant, self.user)

    def as_dict(self, *, texts: bool = True) -> dict[str, Any]:
        """The exchange as JSON values. `texts=False`: the figures alone, for operators and lists."""
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
            "usage": Usage(self.prompt_tokens, self.completion_tokens).as_openai() | {"estimated": self.estimated},
            "cost": self.cost,
            "rating": self.rating,
            "timings_ms": self.timings,
            "finds": self.finds,
            "left_bytes": self.left,
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
class PersonUse:
    """What a person asked and spent today and this month (UTC), and in which hour they were last seen."""

    user: str = field(repr=False)
    seen: datetime
    requests: int
    requests_month: int
    cost: float
    cost_month: float


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
    """A preset of `routing.prefer` for requests of this key; None: as the settings say."""
    fallback: str | None = None
    """The same of `routing.fallback`."""

    def usable(self, now: datetime) -> bool:
        """Whether the key is in force at `now` (timezone-aware): neither revoked nor expired."""
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
    """A training example to be kept. `digest`: of its content; `row` is all of it (JSON values only)."""

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
