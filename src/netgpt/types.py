"""The frozen values that travel between modules. They import no other module of the package.

Among them is what a call to a model measured: written by the clients, read by the routing signals.
"""

from __future__ import annotations

import re
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, TypeGuard

Message = dict[str, Any]
"""One chat message in OpenAI's shape: `{"role": ..., "content": str | list of parts | None, ...}`."""

Chunk = dict[str, Any]
"""One `chat.completion.chunk` in OpenAI's shape; an answer that is not streamed travels as one chunk."""

EDGE: Final = "edge"
"""Name of the target on the box."""

CHAT_PATH: Final = "/v1/chat/completions"
"""The door whose dialect is the box's own."""

CHARACTERS_A_TOKEN: Final = 4
"""Rule of thumb where no tokenizer counted."""


def display_name(target: str) -> str:
    """How a target is named in a sentence: "the box", "the cloud", or an upstream's name."""
    return "the box" if target == EDGE else "the cloud" if target == "cloud" else target


class Label(StrEnum):
    """How far information may go: public leaves, personal leaves as a placeholder, sensitive keeps the request here."""

    PUBLIC = "public"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"

    @property
    def rank(self) -> int:
        return ("public", "personal", "sensitive").index(self.value)


class Role(StrEnum):
    """What a key may do in its tenant. `user`: ask, see its own. `operator`: run it, see figures. `admin`: both.

    Operators and admins of the tenant `LOCAL_TENANT` run what all tenants share, too.
    """

    USER = "user"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Person:
    """A person within a tenant. Every private row is keyed by both."""

    tenant: str
    user: str


LOCAL_TENANT: Final = "local"
"""The box's own tenant: of the command line, of callers without a key, of keys that name no other."""
ANONYMOUS: Final = "anonymous"
"""Who asks where nobody is named: each key is a person of its own then, under its id."""
_OF_A_KEY = re.compile(r"(?:key|oidc)_[0-9a-f]{12,16}")


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated caller, from its key (or the lack of one on loopback)."""

    tenant: str
    role: Role
    key_id: str | None = None
    bound_user: str | None = None
    """The only person this key may act for; None: any person of its tenant."""
    groups: frozenset[str] = frozenset()
    """From an identity provider; keys have none."""
    prefer: str | None = field(default=None, compare=False)
    """The key's routing preset; None: the one of the settings."""
    fallback: str | None = field(default=None, compare=False)
    """The key's word on when another model may answer; None: the settings'."""
    budget_left: float | None = field(default=None, compare=False)
    """Money that the key may still spend today and this month; None: no limit."""

    def person(self, user: str | None) -> Person | None:
        """For whom it asks when it names `user`; None: it does not speak for that one."""
        if self.bound_user is not None:
            return Person(self.tenant, self.bound_user) if user in (None, self.bound_user) else None
        if user is None or user in ("", ANONYMOUS):
            return Person(self.tenant, self.key_id or ANONYMOUS)
        another_keys = self.role is Role.USER and user != self.key_id and _OF_A_KEY.fullmatch(user)
        return None if another_keys else Person(self.tenant, user)


@dataclass(frozen=True, slots=True)
class Location:
    """A point in WGS 84 degrees; `accuracy_m` is the radius of its uncertainty in metres."""

    latitude: float
    longitude: float
    accuracy_m: float = 100.0

    def __repr__(self) -> str:
        return "Location(hidden)"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known that may help a request. `text` is a full clause: "The user is vegetarian"."""

    text: str = field(repr=False)
    kind: str
    """One lower-case word: place, time, poi, diet, budget, ..."""
    label: Label = Label.PERSONAL
    source: str = "given"
    """site, request, clock, profile, places or given."""
    precision: str = "exact"
    """exact, street, district, city, region, country; of the time of day: minute, hour, day."""
    expires: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether it is out of date at `now` (timezone-aware)."""
        return self.expires is not None and self.expires <= now


@dataclass(frozen=True, slots=True)
class Span:
    """Private text found at `text[start:end]`: its kind (EMAIL, PERSON, ...) and the detector (pattern:email, ...)."""

    start: int
    end: int
    kind: str
    rule: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value replaced by a placeholder, without the value: for explanations and receipts."""

    placeholder: str
    kind: str
    rule: str
    """The detector."""
    count: int
    policy_rule: str = ""
    """`@id` of the policy rule that allowed the placeholder; empty: no policy was asked."""


@dataclass(frozen=True, slots=True)
class Generalised:
    """A value that left at a coarser level, or as it was (`now` is then "exact"), without the value."""

    kind: str
    was: str
    """The original precision: "exact"; "public" for words that are public anyway."""
    now: str
    """The precision that left: city, region, country, month, year, range, ..."""
    rule: str
    """The detector."""
    policy_rule: str
    """`@id` of the policy rule that allowed it."""
    count: int


@dataclass(frozen=True, slots=True)
class Terms:
    """The levels at which a policy lets a kind leave: (precision, `@id` of the rule), finest first."""

    allowed: tuple[tuple[str, str], ...]
    refused_by: str
    """The rule that forbids every level, when `allowed` is empty."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A kind that kept the whole request on the box. `policy_rule`: the rule's `@id`, or "no rule allows it"."""

    kind: str
    policy_rule: str
    count: int


@dataclass(frozen=True, slots=True)
class Expected:
    """The estimates for one target and one request."""

    target: str
    route: str
    """"edge" or "cloud"."""
    p_ok: float
    """Probability of a good enough answer."""
    latency_s: float
    """Until the end of the answer: queue, link, prompt and generation."""
    cost: float
    """In the unit of the configured prices."""
    energy_j: float
    """On the box."""
    exposure: float
    """Share of private data that would leave: 0 nothing, 1 all of it as it is."""
    value: float
    """The objective; higher is better."""
    ruled_out: str | None = None
    """The constraint that rules it out, in words; None: a candidate."""
    prior: float | None = None
    """`p_ok` before learning, as given to the learner's `belief`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request goes and why. `fallbacks`: targets to try in order when this one fails before its first token."""

    route: str
    """"edge" or "cloud"."""
    reason: str
    """One sentence for people."""
    rule: str
    """Short stable name of the rule that decided."""
    fallbacks: tuple[str, ...] = ()
    target: str = ""
    """"edge", "cloud" or an upstream's name; empty: the same as the route."""
    expected: tuple[Expected, ...] = ()
    """One for each target; empty where none were compared."""
    weights: str = ""
    """The preset or weights of the objective."""
    counterfactual: str = ""
    """What would have changed the decision, in words."""
    propensity: float = 1.0
    """Probability with which this target was drawn: below 1 when exploring."""
    features: tuple[float, ...] = field(default=(), repr=False)
    """Input of the learner; no text can be recovered from it."""
    kind: tuple[str, float] | None = None
    """What kind of task the request probably is, and how likely; None: it was not read, there was no choice."""

    @property
    def name(self) -> str:
        """The target's name."""
        return self.target or self.route


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf something is sent to a remote model, for the receipt."""

    person: Person | None = None
    """None: the box's own work."""
    exchange: str | None = None
    purpose: str = "answer"
    """"answer", or a task of the box such as "self-instruct"."""
    claim: str | None = field(default=None, repr=False)
    """Of a queued request: the claim ("wt_... .word") under which it may leave once, without retries."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; `estimated` when the model did not report them (a cut stream)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    cached_tokens: int = 0
    """Of the prompt: read from the server's cache, for which many ask less."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @classmethod
    def from_openai(cls, usage: Mapping[str, Any] | None) -> Usage | None:
        """Parse OpenAI's `usage` object; None when there is none or it is malformed.

        Reasoning that a server counts beside the completion (xAI, Gemini) is work as well, and is billed: it is counted
        where the total holds it, or where it is more than the completion.
        """
        if not isinstance(usage, Mapping):
            return None
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if not _is_count(prompt) or not _is_count(completion):
            return None
        details = usage.get("completion_tokens_details")
        thought = usage.get("reasoning_tokens", details.get("reasoning_tokens") if isinstance(details, Mapping) else 0)
        total = usage.get("total_tokens")
        if _is_count(total) and total > prompt + completion:
            completion = total - prompt
        elif _is_count(thought) and thought > completion:
            completion += thought
        return cls(prompt, completion, cached_tokens=min(_cached(usage), prompt))

    def as_openai(self) -> dict[str, int]:
        counts = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return {**counts, "total_tokens": self.total_tokens}


def _cached(usage: Mapping[str, Any]) -> int:
    """Tokens of the prompt that came from a cache, under the names that servers have for them."""
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    within = details.get("cached_tokens") if isinstance(details, Mapping) else None
    named = (usage.get(name) for name in ("prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens"))
    return next((count for count in (within, *named) if _is_count(count)), 0)


def _is_count(value: Any) -> TypeGuard[int]:
    """Whether it is a plausible number of tokens: what a server reports is stored and billed."""
    return type(value) is int and 0 <= value < 2**31


ANY_SCOPE: Final = ""
"""What needs it may be used by every key: which it is, and what it may do."""
SCOPE_OF: Final = {
    "chat": "chat", "completions": "chat", "responses": "chat", "messages": "chat", "waiting": "chat",
    "models": "models", "embeddings": "embeddings", "moderations": "embeddings", "profiles": "profiles",
    "consents": "profiles", "exchanges": "exchanges", "feedback": "exchanges", "receipts": "receipts",
    "adapters": "adapters", "places": "places", "policy": "policy", "privacy": "policy", "signals": "signals",
    "mcp": "mcp", "usage": "exchanges", "reports": "policy", "fleet": "fleet",
    "settings": "box", "doctor": "box", "logs": "box", "caller": ANY_SCOPE,
}  # fmt: skip
"""The first word of a path below /v1 -> the scope that a key with scopes needs for it. `/mcp` needs `mcp`, and its
tools the scope of what they do."""
SCOPES: Final = tuple(dict.fromkeys(filter(None, SCOPE_OF.values())))


LOAD_HEADER = "x-netgpt-load"
"""Response header of a gateway: how busy its own model is, for neighbours that may forward to it."""
_LOAD = re.compile(r"slots=(\d{1,6});busy=(\d{1,6});waiting=(\d{1,6})")


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What one call to a model measured of its link and server: times in seconds, sizes in bytes."""

    target: str
    """"edge", "cloud" or an upstream's name."""
    began: float
    """`time.monotonic()` when the call began."""
    outcome: str
    """"ok", "cancelled", or the error's code."""
    connect_s: float | None = None
    """Opening the connection; None when a pooled one was used."""
    rtt_s: float | None = None
    """The kernel's smoothed round trip (TCP_INFO); None where it is not available."""
    rtt_var_s: float | None = None
    retransmits: int = 0
    segments: int = 0
    """Sent during the call; 0: not known."""
    first_byte_s: float | None = None
    """From the request's last byte to the answer's first."""
    sent_bytes: int = 0
    received_bytes: int = 0
    receive_s: float = 0.0
    """From the first byte to the last."""
    tokens: int = 0
    """Of the answer, as reported or estimated."""
    tries: int = 1
    failed: bool = False
    """The link or the server is at fault: unreachable, silent, overloaded, broken. A cancelled call is not."""
    waited_s: float = 0.0
    """How long a call that ended before its first byte had waited for it."""
    held_up: bool = False
    """The reader was slower than the answer, so the rate says nothing about the link."""
    whole: bool = False
    """The answer came in one piece, not streamed."""
    chunks: int = 0
    """Chunks of a streamed answer that held text."""
    up_bytes_s: float | None = None
    """Delivery rate of the request by the kernel; None: not available, or too little was sent."""
    prompt_tokens: int = 0
    """Prompt tokens that the server processed (not those in its cache), where it reports them."""
    prompt_s: float = 0.0
    """The time it took for them."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Linux `TCP_INFO` of one connection since its beginning (`struct tcp_info` in linux/tcp.h); times in seconds."""

    rtt_s: float
    """Smoothed round trip; `rtt_var_s` is its mean deviation."""
    rtt_var_s: float
    least_rtt_s: float
    unacknowledged: int
    """Segments in flight."""
    backoff: int
    """Consecutive timeouts of the same segment (exponential back-off)."""
    retransmits: int
    segments: int
    """Sent, with data."""
    delivery_bytes_s: float | None
    """The last delivery rate; None while the sender was limited by the application."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a box's own model is: parallel slots, slots in use, requests that wait."""

    slots: int
    busy: int
    waiting: int

    @property
    def text(self) -> str:
        """The header's value: "slots=2;busy=1;waiting=0"."""
        return f"slots={self.slots};busy={self.busy};waiting={self.waiting}"

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Parse a header; None where there is none or it is malformed."""
        match = _LOAD.fullmatch(text or "")
        if match is None or match[1] == "0":
            return None
        return cls(int(match[1]), int(match[2]), int(match[3]))


_TCP_INFO: Final = getattr(socket, "TCP_INFO", 11)
_SIZE: Final = 168
"""Bytes up to `tcpi_delivery_rate` (Linux 4.9); the shorter structure of an older kernel is not used."""
_LAYOUT: Final = struct.Struct("=8B24I4Q6IQ")
_APP_LIMITED: Final = 1


def read_tcp_info(raw: bytes) -> KernelFacts | None:
    """Parse the structure; None when it is too short. Microseconds become seconds."""
    if len(raw) < _SIZE:
        return None
    field = _LAYOUT.unpack_from(raw)
    small, words, delivery_rate = field[:8], field[8:32], field[42]
    return KernelFacts(
        rtt_s=words[15] / 1e6, rtt_var_s=words[16] / 1e6, least_rtt_s=field[39] / 1e6,
        unacknowledged=words[4], backoff=small[4], retransmits=words[23], segments=field[41],
        delivery_bytes_s=None if small[7] & _APP_LIMITED or not delivery_rate else float(delivery_rate),
    )  # fmt: skip


def kernel_facts(sock: Any) -> KernelFacts | None:
    """`TCP_INFO` of an open TCP socket; None for a closed one and on other systems than Linux."""
    if sys.platform != "linux" or sock is None:
        return None
    try:
        return read_tcp_info(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _SIZE))
    except OSError:
        return None
