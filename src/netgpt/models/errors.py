"""The border to other people's servers: what goes wrong there becomes an error of ours, and nothing private passes.

A server's own message may echo the request or the key, so it is never repeated. Kept are the status and, when they
look like identifiers, the words `code`, `type` and `param`. Whose fault a refusal is, `models.refusals` reads.

Here is too when a failed call is tried again, how long to wait before, and when a server is left alone: exponential
back-off with full jitter (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), `Retry-After`
as in RFC 9110, section 10.2.3, and the circuit breaker of Michael Nygard ("Release It!", 2007).
"""

from __future__ import annotations

import random
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import orjson

from netgpt.errors import (
    BrokenStream,
    ContextTooLong,
    ModelError,
    ModelMisconfigured,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    NetGPTError,
)
from netgpt.models.http1 import HandshakeFailed, HandshakeTimeout, ProxyFailed, Silence
from netgpt.models.refusals import Blame, Told, cure_for_caller, error_beside, is_too_long, names_no_model, ruling

RETRIED_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, *range(520, 525), 529, 530})
"""Answers that another try may better; 520 and more are Cloudflare's, 529 says that a provider is overloaded."""


_A_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`retries` tries after the first, all of them before any byte of an answer.

    `base_s` and `cap_s` bound the back-off in seconds. A server that asks for more than `patience_s` is not waited
    for: its refusal is passed on, so that another model may answer.
    """

    retries: int
    base_s: float = 0.25
    cap_s: float = 8.0
    patience_s: float = 20.0
    random: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def wait_s(self, tried: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait when `tried` tries after the first have failed too; None: give up.

        A `retry_after` is waited out in full, with a little jitter on top, so that clients do not return all at once.
        """
        if tried >= self.retries:
            return None
        if retry_after is None:
            return self.random.uniform(0.0, min(self.cap_s, self.base_s * 2.0**tried))
        if retry_after > self.patience_s:
            return None
        return retry_after + self.random.uniform(0.0, min(self.base_s, 0.1 * retry_after))


def read_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that the server asks to wait, a day at most: `retry-after-ms`, `retry-after` in seconds or as an HTTP
    date, else when a rate limit that is used up begins anew.

    `headers` has lower-case names (or is case-insensitive). None when there is no such header, or it is unreadable.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, _A_DAY_S)
    now = now or datetime.now(UTC)
    if (text := headers.get("retry-after")) is not None:
        wait_s = _number(text)
        return _bounded(_until(text, now) if wait_s is None else wait_s)
    used_up, others = list[float](), list[float]()
    for limit in _LIMITS:
        wait_s = _reset_s(headers.get(limit.format("reset")), now)
        if wait_s is not None:
            (used_up if headers.get(limit.format("remaining"), "").strip() == "0" else others).append(wait_s)
    return _bounded(max(used_up) if used_up else min(others, default=None))


_LIMITS: Final = (
    "x-ratelimit-{}-requests", "x-ratelimit-{}-tokens", "x-ratelimit-{}", "ratelimit-{}",
    "anthropic-ratelimit-requests-{}", "anthropic-ratelimit-tokens-{}",
)  # fmt: skip
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_AGAIN_IN: Final = re.compile(
    r"(?:try again|retry|wait|resets?|reset)\w*(?: \w+)? (?:in|after|for) "
    r"((?:\d{1,6}(?:\.\d{1,6})? ?(?:ms|milliseconds?|d(?:ays?)?|h(?:ours?|rs?)?|m(?:in\w*)?|s(?:ec\w*)?)?(?![a-z])"
    r"(?:,? and |,? )?){1,5})"
)
"""Servers' words for the time to wait: "in 7.66s", "after 30 seconds", "in 1h12m4.5s", "for 2 hours and 5 minutes"."""
_SPAN: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?(ms|mil|d|h|m|s)?")
_UNITS: Final = {"ms": 0.001, "mil": 0.001, "d": _A_DAY_S, "h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
_EPOCH: Final = 1e9


def _reset_s(text: str | None, now: datetime) -> float | None:
    """Seconds until a limit begins anew, written as seconds, a duration ("6m0s"), an epoch (s or ms) or a date."""
    if text is None:
        return None
    if (number := _number(text)) is not None:
        number = number / 1000 if number > 1000 * _EPOCH else number
        return max(0.0, number - now.timestamp()) if number > _EPOCH else number
    if (found := _DURATION.fullmatch(text.strip())) and any(found.groups()):
        hours, minutes, seconds, thousandths = (float(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    try:
        return _until(text, now, datetime.fromisoformat(text.strip()))
    except ValueError:
        return None


def _until(text: str, now: datetime, date: datetime | None = None) -> float | None:
    try:
        date = date or parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(seconds, _A_DAY_S)


def _said_s(told: Told) -> float | None:
    """Seconds to wait, where only the words of a refusal say it: "try again in 7.66s"."""
    found = _AGAIN_IN.search(told.text)
    if found is None:
        return None
    return min(sum(float(each[1]) * _UNITS[each[2] or ""] for each in _SPAN.finditer(found[1])), _A_DAY_S)


def _number(text: str | None) -> float | None:
    """A plain non-negative decimal number, or None. `float` alone would also take "inf" and "1e9"."""
    if text is None or not text.strip().replace(".", "", 1).isdecimal() or not text.isascii():
        return None
    return float(text)


def is_servers_fault(error: BaseException) -> bool:
    """Whether the failure is the server's (unreachable, silent, 5xx, broken), not the request's or the box's."""
    if not isinstance(error, ModelError) or isinstance(error, ModelRejected):
        return False
    return error.code != "too_many_connections"


class Breaker:
    """A circuit breaker: `failures` in a row open it; after `reset_s` seconds one call may try.

    `clock` gives seconds that never go back. One event loop only: there is no lock.
    """

    def __init__(self, failures: int, reset_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._reset_s, self._clock = failures, reset_s, clock
        self._in_a_row = 0
        self._opened: float | None = None
        self._trying = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self._opened is None:
            return "closed"
        return "open" if self.wait_s > 0 else "half-open"

    @property
    def wait_s(self) -> float:
        """Seconds until an open breaker lets a call through; 0 when it would now."""
        if self._opened is None:
            return 0.0
        return max(0.0, self._opened + self._reset_s - self._clock())

    @contextmanager
    def guard(self, peer: str) -> Iterator[Callable[[], None]]:
        """Run one call: its end is counted. A call that is cancelled or closed early counts neither way.

        Gives a function to call when the server begins to answer: other calls need not wait for a long answer of
        the one that tries a half-open breaker. Should that answer fail, the breaker opens again.

        Raises ModelUnavailable at once while the breaker is open, or half-open with its one try under way.
        """
        trying = self._admit(peer)
        try:
            yield self._answers if trying else lambda: None
        except BaseException as error:
            if is_servers_fault(error):
                self._failed(trying)
            elif isinstance(error, ModelRejected | ContextTooLong):  # it answered; our own full pool says nothing
                self._succeeded()
            raise
        else:
            self._succeeded()
        finally:
            if trying:
                self._trying = False

    def _admit(self, peer: str) -> bool:
        if self.state == "closed":
            return False
        if self.state == "open" or self._trying:
            wait = max(self.wait_s, 1.0)
            raise ModelUnavailable(
                f"{peer} failed {self._limit} times in a row and is left alone; next try in {wait:.0f} s",
                code="breaker_open",
                retry_after=wait,
            )
        self._trying = True
        return True

    def _failed(self, trying: bool) -> None:
        self._in_a_row += 1
        if trying or (self._opened is None and self._in_a_row >= self._limit):
            self._opened = self._clock()

    def _answers(self) -> None:
        self._opened = None

    def _succeeded(self) -> None:
        self._in_a_row = 0
        self._opened = None


class Backoff:
    """Seconds to wait before the next try: doubles from `first_s` to `longest_s`, in seconds.

    Each wait is drawn from the upper half of its step, so that many boxes do not march in step.
    """

    def __init__(self, first_s: float = 0.1, longest_s: float = 30.0, *, seed: int | None = None) -> None:
        self.first_s, self.longest_s = first_s, longest_s
        self.failures = 0
        self._random = random.Random(seed)  # noqa: S311  jitter, not a secret

    def next(self) -> float:
        """Count one more failure; return the seconds to wait."""
        wait = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 60))
        self.failures += 1
        return wait * (0.5 + self._random.random() / 2)

    def reset(self) -> None:
        """It worked for long enough: forget the failures."""
        self.failures = 0


_WORD = re.compile(r"[a-z][a-z_]{1,47}")
_PARAM = re.compile(r"[a-z][a-z_]{0,31}(\[\d{1,4}\]|\.[a-z_]{1,31}){0,6}")
_CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}")
UNREACHABLE = "unreachable"
"""Code of the error when no connection was made at all: then not one byte of the request has left."""
_FIELDS = " (n goes up to edge.slots; a schema in response_format must be valid; pictures need a model that sees)"


_ON_THE_BOX: Final = (
    (re.compile(r"(image|audio|video) input is not supported|mmproj|unsupported content"),
     "it reads text only; send text, point [edge] at a model that sees, or ask a cloud (privacy.media)", "messages"),
    (re.compile(r"tool call arguments"), "the arguments of a call in the conversation are no JSON", "messages"),
    (re.compile(r"pars\w* tools?\b|tools\b.*must be"),
     "it takes functions alone, written as OpenAI's API has them", "tools"),
    (re.compile(r"pars\w* messages|assistant messages? at the end"), "it cannot read this order or kind of messages",
     "messages"),
)  # fmt: skip
"""What llama.cpp's sentences mean, with the field."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How messages name a server: `model "cloud" at api.example.com`. Never holds its key, path or query."""

    name: str
    host: str
    section: str
    """The settings section that configures it: "edge" or "cloud"."""
    told: Callable[[Any], Any] = field(default=lambda document: document, repr=False, compare=False)
    """Puts errors of its dialect in OpenAI's shape."""

    def __str__(self) -> str:
        return f'model "{self.name}" at {self.host}'


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed before any byte of an answer, and whether another try may better it."""

    error: NetGPTError
    again: bool
    nothing_there: bool = False
    """The server knows no such path."""


def failed_transport(peer: Peer, error: httpx.HTTPError, *, answering: bool) -> Failure:
    """What a failing connection means. `answering`: the answer had begun, so nothing is tried again."""
    if isinstance(error, HandshakeTimeout):  # silent: another try would be as long, and hardly better
        text = f"{peer} took the connection and was silent in the TLS handshake; is {peer.section}.base_url a TLS port?"
        return Failure(ModelUnavailable(text, code=UNREACHABLE), False)
    if isinstance(error, httpx.ConnectTimeout):
        text = f"{peer} did not accept a connection in time; check {peer.section}.base_url and the network"
        return Failure(ModelUnavailable(text, code=UNREACHABLE), True)
    if isinstance(error, ProxyFailed):
        return _no_way(peer, error)
    if isinstance(error, httpx.ConnectError):
        cause, lasting = _connect_cause(error, peer)
        text = f"{peer} cannot be reached: {cause}"
        if lasting:
            return Failure(ModelMisconfigured(text, kind="address", fault=cause, code=UNREACHABLE), False)
        return Failure(ModelUnavailable(text, code=UNREACHABLE), True)
    if isinstance(error, httpx.TimeoutException):
        return Failure(ModelTimeout(_silent(peer, error)), False)
    if answering:
        return Failure(BrokenStream(f"{peer} cut the connection in the middle of its answer"), False)
    if isinstance(error.__cause__, ssl.SSLError):  # with TLS 1.3 a server judges our certificate after the handshake
        cause, lasting = _tls_cause(error.__cause__, peer)
        if lasting:
            return Failure(ModelMisconfigured(f"{peer} hung up: {cause}", kind="certificate", fault=cause), False)
        return Failure(ModelUnavailable(f"{peer} hung up: {cause}"), False)
    return Failure(ModelUnavailable(f"{peer} hung up without an answer"), True)


def _silent(peer: Peer, error: httpx.TimeoutException) -> str:
    if not isinstance(error, Silence):
        return f"{peer} was silent for too long"
    name = "timeout_s" if peer.section == "edge" else "idle_s" if error.begun else "first_byte_s"
    when = "in the middle of its answer" if error.begun else "before its answer began"
    return f"{peer} was silent for {error.limit_s:g} s {when}; {peer.section}.{name} is the limit"


def _no_way(peer: Peer, error: ProxyFailed) -> Failure:
    """What a proxy that does not let us through means; nothing of the request has left."""
    where, setting = f"the proxy {error.proxy} on the way to {peer}", f"{peer.section}.proxy (or HTTPS_PROXY)"
    fault = _PROXY_FAULTS.get(error.status)
    if fault is None and 400 <= error.status < 500 and error.status not in _WAITS:
        fault = "it does not let this address through"
    if fault is not None:
        fault = f"{fault}; check {setting}"
        text = f"{where} answered {error.status}: {fault}"
        return Failure(ModelMisconfigured(text, kind="proxy", fault=fault, code=UNREACHABLE), False)
    answered = f"answered {error.status}" if error.status else "cannot be reached or speaks no HTTP"
    return Failure(ModelUnavailable(f"{where} {answered}; check {setting}", code=UNREACHABLE), True)


_PROXY_FAULTS: Final = {
    401: "it wants a name and a password", 407: "it wants a name and a password", 403: "it forbids this address",
    405: "it opens no tunnels",
}  # fmt: skip
_WAITS: Final = frozenset({408, 425, 429})


def busy(peer: Peer) -> ModelUnavailable:
    """No connection of ours was free in time. Not the server's fault, and not counted against it."""
    text = f"all connections to {peer} are busy; raise {peer.section}.max_connections or ask less at once"
    return ModelUnavailable(text, code="too_many_connections")


def _connect_cause(error: httpx.HTTPError, peer: Peer) -> tuple[str, bool]:
    """What failed, with the cure, and whether it lasts until the owner (here or there) changes something."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for each in causes:
        if isinstance(each, ssl.SSLError):
            return _tls_cause(each, peer)
    if (unknown := next((each for each in causes if isinstance(each, socket.gaierror)), None)) is not None:
        lasting = unknown.errno in _NO_SUCH_NAME and sys.platform == "linux" and _has_way_out()
        return f"its name is not known here; check {peer.section}.base_url and the name service", lasting
    if isinstance(error, HandshakeFailed):
        return _hung_up(peer), False
    return f"connection refused or lost; check {peer.section}.base_url and the network", False


_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""A name service answered that there is no such name. Without a link Linux says EAI_AGAIN; other systems do not."""


def _has_way_out() -> bool:
    """Whether there is a route beyond this network; nothing is sent. Without one, no name is known anywhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation only (RFC 5737): connecting UDP chooses a route
        except OSError:
            return False
    return True


def _hung_up(peer: Peer) -> str:
    return f"it closed the connection in the TLS handshake; check {peer.section}.base_url, and what stands between"


_CUT: Final = re.compile(r"EOF|SYSCALL|ZERO_RETURN")
_PASSING: Final = re.compile(r"INTERNAL_ERROR|USER_CANCELLED|BAD_RECORD_MAC|DECRYPT")
"""Reasons of OpenSSL that another try may better."""
_REASONS: Final = (
    (r"ALERT.*(CERT|UNKNOWN_CA)", "it wants another certificate of ours; check {0}.client_cert"),
    (r"WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER|UNEXPECTED_MESSAGE|LENGTH|UNKNOWN_PROTOCOL",
     "it does not speak TLS there (plain HTTP?); check scheme and port of {0}.base_url"),
    (r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW|WRONG_SSL_VERSION|NO_PROTOCOLS",
     "it speaks no TLS 1.2 or newer; have it updated, or put a proxy before it"),
    (r"UNRECOGNIZED_NAME", "it does not know the name that it was asked by; check {0}.base_url"),
    (r"HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY|TOO_SMALL|TOO_WEAK|WRONG_(CIPHER|CURVE|SIGNATURE)",
     "it offers no cipher, key or signature that is strong enough; have it updated"),
)  # fmt: skip
"""What OpenSSL's reasons say of the other side, with the cure; {0}: the section."""


def _tls_cause(error: ssl.SSLError, peer: Peer) -> tuple[str, bool]:
    """As `_connect_cause`. Nothing of the request was sent, and no setting turns the checks off."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = error.reason or "EOF"
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or _CUT.search(reason):
            return _hung_up(peer), False
        cure = next((cure.format(peer.section) for words, cure in _REASONS if re.search(words, reason)), None)
        return f"TLS with it failed ({reason}){f': {cure}' if cure else ''}", not _PASSING.search(reason)
    code = getattr(error, "verify_code", 0)
    unknown = "its authority is not known here"
    reasons = {
        9: "it is not valid yet: check the clocks", 10: "it has expired: have it renewed, or check the clock here",
        18: "it is signed by itself", 19: unknown, 20: unknown,
        62: f"it is for another name than {peer.section}.base_url has",
        64: f"it is for another address than {peer.section}.base_url has",
    }  # fmt: skip
    reason = reasons.get(code, "its chain is not valid; have it renewed")
    own = f"; an own authority is named with {peer.section}.ca_file" if code in (18, 19, 20) else ""
    return f"its TLS certificate was not accepted: {reason}{own}", True


def failed_status(peer: Peer, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """What an answer with a status other than 2xx means. `body` may be cut short."""
    try:
        document = orjson.loads(body)
    except ValueError:
        document = None
    told = Told.read(peer.told(document), body)
    error = _named_error(peer, status, told, read_retry_after(headers) if status in RETRIED_STATUSES else None)
    if isinstance(error, ModelError):
        error.told = told
    if isinstance(error, ModelRejected):
        error.not_begun = error.status == 429
    again = status in RETRIED_STATUSES and headers.get("x-should-retry") != "false"
    mended_by_nobody = isinstance(error, ModelMisconfigured | ContextTooLong) or error.status == 400
    again = again and not mended_by_nobody
    return Failure(error, again, isinstance(error, ModelMisconfigured) and names_no_model(status, told))


PAGES: Final = ("text/html", "application/xhtml+xml")
"""Content types of what is for people."""


def no_answer(peer: Peer, kind: str) -> ModelError:
    """For an answer with status 200 of content type `kind`, which no model writes."""
    text = f"{peer} answered with content type {kind}; expected JSON or an event stream"
    if kind not in PAGES:
        return BrokenStream(text)
    fault = f"a web page answers at {peer.section}.base_url; check its host and path (most end with /v1)"
    return ModelMisconfigured(f"{text}: {fault}", kind="address", fault=fault)


def error_in_answer(peer: Peer, document: Any) -> NetGPTError | None:
    """The error that a server put where an answer should be (status 200), or None when there is none."""
    document = peer.told(document)
    if not isinstance(document, Mapping):
        return None
    error = document.get("error") or (None if document.get("choices") else error_beside(document))
    if not error:
        return None
    told = Told.read({"error": error})
    named = _named_error(peer, _claimed_status(error), told, None)
    if isinstance(named, ModelError):
        named.told = told
    return named


_STATUSES: Final = (
    (429, re.compile(r"rate_?limit|insufficient_quota|resource_exhausted|too_many_requests|throttl")),
    (400, re.compile(r"invalid_request|invalid_argument|bad_request|invalid_parameter|badrequest")),
    (503, re.compile(r"overloaded|unavailable|capacity")),
    (504, re.compile(r"time_?out|timed_out|deadline_exceeded")),
)  # fmt: skip
"""What the words of an error in an answer stand for."""


def _claimed_status(error: Any) -> int:
    """The HTTP status that an in-band error stands for: its numeric code, else what its words say."""
    if not isinstance(error, Mapping):
        return 502
    names = ("status", "code", "status_code", "statusCode", "http_status", "http_code")
    for claimed in (error.get(name) for name in names):
        if isinstance(claimed, str) and claimed.isdecimal() and len(claimed) == 3:
            claimed = int(claimed)
        if isinstance(claimed, int) and 400 <= claimed <= 599:
            return claimed
    told = Told.read({"error": error})
    if is_too_long(400, told):
        return 400
    return next((status for status, words in _STATUSES if words.search(" ".join(told.codes))), 502)


def _named_error(peer: Peer, status: int, told: Told, retry_after: float | None) -> NetGPTError:
    code = next((code for code in told.named if _WORD.fullmatch(code)), None)
    param = _kept(told.param, _PARAM)
    if is_too_long(status, told):
        text = f"the request is too long for {peer}; shorten the conversation, or ask for fewer max_tokens"
        return ContextTooLong(text, param=param, status=413 if status == 413 else None)
    retry_after = _said_s(told) if retry_after is None and status in (429, 503, 529) else retry_after
    answered = f"{peer} answered {status}" + (f" ({code})" if code else "")
    blame, kind, cure = ruling(status, told, peer.name)
    if blame is Blame.OWNER:
        fault = f"{cure.format(peer.section)} ({status}{f', {code}' if code else ''})"
        return ModelMisconfigured(f"{answered}: {cure.format(peer.section)}", kind=kind, fault=fault, code=code)
    if blame is Blame.CALLER:
        cures = "; ".join(filter(None, (f"the server does not accept this request{_fields(peer)}",
                                        cure_for_caller(told, param))))  # fmt: skip
        passed_on = 400 if status in (401, 403) or not 400 <= status < 500 else status
        if peer.section == "edge":
            for words, text, field in _ON_THE_BOX:
                if words.search(told.text):
                    return ModelRejected(f"{peer}: {text}", status=400, code="not_on_the_box", param=field)
        return ModelRejected(f"{answered}: {cures}", status=passed_on, code=code, param=param)
    if status == 429:
        text = f"{answered}: too many requests; wait, or raise the quota"
        return ModelRejected(text, status=status, code=code, param=param, retry_after=retry_after)
    text = answered + (": overloaded or starting; try again later" if status == 503 else "")
    kinds = {408: ModelTimeout, 504: ModelTimeout, 503: ModelUnavailable}
    kind_of_error = kinds.get(status, ModelError if status >= 500 else ModelUnavailable)
    return kind_of_error(text, code=code, param=param, retry_after=retry_after)


def _fields(peer: Peer) -> str:
    return _FIELDS if peer.section == "edge" else ""


def _kept(value: Any, shape: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and shape.fullmatch(value) else None


def content_type(headers: Mapping[str, str]) -> str:
    """The media type of an answer, lower case, without parameters; "none" or "unreadable" when it is not one."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind:
        return "none"
    return kind if _CONTENT_TYPE.fullmatch(kind) else "unreadable"
