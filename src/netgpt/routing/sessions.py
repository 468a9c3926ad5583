"""Which model a conversation is with, and which one called the tools whose results a request brings.

Known by digests under a key of this process, in bounded memory; no word of a conversation is kept. A conversation is
found again by the id that its caller gives, else by its beginning up to an answer that we gave: two that begin with
"Hello" part with their first answers. A call of a tool is found by that too, by its id, or by what was called with
what, as clients rename ids, cut histories, and send results in any order. What a lock can do is to prefer: `kept_with`
never takes a target that may not have the request.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson

from netgpt.routing.candidates import AUTO, Held, Severity, Situation, text_of
from netgpt.routing.scoring import Weighed
from netgpt.types import Expected, Person, display_name

SESSION: Final = "session"
"""Rule of a decision for the model that the conversation, or the loop with tools, was with."""
CALLS_S: Final = 6 * 3600.0  # so long may a tool take, or the person who has to allow it
TALKS_S: Final = 2 * 3600.0  # so long is a conversation remembered after its last answer
MOST: Final = 40_000  # locks in all, about 10 MB
MOST_OF_ONE: Final = 10_000  # of one person by one key: a crowd of theirs ends nobody else's
_ENDS: Final = 1_000  # characters of a text's beginning and of its end that are read
_UNIQUE: Final = 12  # an id this long names its call; small servers count: "call_1"
_MOST_CALLS: Final = 64

_Lock = tuple[str, float]  # the target, and until when it counts


class Sessions:
    """Who answered what. One event loop only: there is no lock of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, key: bytes | None = None) -> None:
        """`key`: of the digests, where several processes compare them."""
        self._clock, self._key, self._count = clock, key or os.urandom(32), 0
        self.noted: Callable[[list[list[Any]], bool], None] | None = None
        """Called with the locks of each answer, as JSON values for `take`, and whether it called tools: then the next
        request comes at once."""
        self._of: OrderedDict[tuple[bytes, str], OrderedDict[bytes, _Lock]] = OrderedDict()
        """By person and key, who was heard of last at the end."""

    def __len__(self) -> int:
        return self._count

    def held(self, person: Person, key: str | None, body: Mapping[str, Any], conversation: str | None) -> Held | None:
        """Who goes on with this request: OpenAI's chat body, and the caller's id of the conversation; None: nobody is
        known to. `key`: the id of the caller's key."""
        locks = self._of.get(self._owner(person, key))
        if not locks:
            return None
        beginnings, _ = self._read(_messages(body))
        calls = _open_calls(_messages(body))
        if calls:
            for digest in (*beginnings[-1:], *self._names(calls)):
                if (target := self._target(locks, digest)) is not None:
                    return Held(target, calls=True)
        named = [self._digest("conversation", conversation)] if conversation else []
        for digest in (*named, *reversed(beginnings)):
            if (target := self._target(locks, digest)) is not None:
                return Held(target)
        return None

    def answered(
        self,
        person: Person,
        key: str | None,
        body: Mapping[str, Any],
        conversation: str | None,
        answer: Mapping[str, Any],
        target: str,
        *,
        age_s: float = 0.0,
    ) -> None:
        """`target` gave this answer (a `chat.completion`, or as much of it as came) `age_s` seconds ago."""
        now, owner = self._clock() - age_s, self._owner(person, key)
        _, beginning = self._read(_messages(body))
        for choice in answer.get("choices") or ():
            message = choice.get("message") or {}
            calls = list(_calls(message))
            if not calls and not text_of(message.get("content")).strip():
                continue
            after = beginning.copy()
            after.update(_said("assistant", message))
            until = now + (CALLS_S if calls else TALKS_S)
            locks = [(digest, (target, until)) for digest in (after.digest(), *self._names(calls))]
            if conversation:
                locks.append((self._digest("conversation", conversation), (target, now + TALKS_S)))
            for digest, lock in locks:
                self._put(owner, digest, lock)
            if self.noted is not None:
                who = owner[0].hex(), owner[1]
                self.noted([[*who, digest.hex(), *lock] for digest, lock in locks], bool(calls))

    def take(self, lock: Sequence[Any]) -> None:
        """A lock that another process of this machine noted."""
        person, key, digest, target, until = lock
        self._put((bytes.fromhex(person), key), bytes.fromhex(digest), (target, until))

    def forget(self, person: Person) -> None:
        """Drop all that is known of a person's conversations."""
        digest = self._owner(person, None)[0]
        for owner in [owner for owner in self._of if owner[0] == digest]:
            self._count -= len(self._of.pop(owner))

    def _owner(self, person: Person, key: str | None) -> tuple[bytes, str]:
        return self._digest("person", person.tenant, person.user), key or ""

    def _target(self, locks: OrderedDict[bytes, _Lock], digest: bytes) -> str | None:
        lock = locks.get(digest)
        return lock[0] if lock is not None and self._clock() < lock[1] else None

    def _put(self, owner: tuple[bytes, str], digest: bytes, lock: _Lock) -> None:
        """Keep a lock; too many push out the oldest of the same person, then of who was silent for longest."""
        locks = self._of.setdefault(owner, OrderedDict())
        self._of.move_to_end(owner)
        self._count += digest not in locks
        locks[digest] = lock
        locks.move_to_end(digest)
        while len(locks) > MOST_OF_ONE or self._count > MOST:
            oldest = owner if len(locks) > MOST_OF_ONE else next(iter(self._of))
            self._of[oldest].popitem(last=False)
            self._count -= 1
            if not self._of[oldest]:
                del self._of[oldest]

    def _read(self, messages: Sequence[Mapping[str, Any]]) -> tuple[list[bytes], blake2b]:
        """A digest of the conversation's beginning up to each answer in it, and the state after all of it.

        Without system prompts, which tell the time, and without results of tools, whose order is free.
        """
        state, beginnings = blake2b(key=self._key, digest_size=16), list[bytes]()
        for message in messages:
            role = message.get("role")
            if role in ("user", "assistant"):
                state.update(_said(role, message))
                if role == "assistant":
                    beginnings.append(state.digest())
        return beginnings, state

    def _names(self, calls: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
        """By what these calls are found again: first by their ids, then by what was called."""
        for call in calls[:_MOST_CALLS]:
            if id := str(call.get("id") or ""):
                yield self._digest("id", id, *(() if len(id) >= _UNIQUE else _called(call)))
        for call in calls[:_MOST_CALLS]:
            yield self._digest("call", *_called(call))

    def _digest(self, *parts: str) -> bytes:
        state = blake2b(key=self._key, digest_size=16)
        for part in parts:
            state.update(_framed(part))
        return state.digest()


def _messages(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [message for message in body.get("messages") or () if isinstance(message, Mapping)]


def _open_calls(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The calls of the last answer in the conversation, whose results are to be read now; where the history was cut
    behind it, what the results name."""
    calls: list[Mapping[str, Any]] = []
    for message in reversed(messages):
        if message.get("role") == "assistant":
            return list(_calls(message))
        if message.get("role") == "tool":
            calls.append({"id": message.get("tool_call_id")})
    return calls


def _calls(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    yield from (call for call in (calls if isinstance(calls, list) else ()) if isinstance(call, Mapping))
    if isinstance(old := message.get("function_call"), Mapping):  # as before there were several at once
        yield {"function": old}


def _called(call: Mapping[str, Any]) -> tuple[str, str]:
    """What is called, with what: the same however a client writes the JSON."""
    what = call.get("function") or call.get("custom") or {}
    if not isinstance(what, Mapping):
        return "", ""
    given = str(what.get("arguments") or what.get("input") or "")
    try:
        given = orjson.dumps(orjson.loads(given), option=orjson.OPT_SORT_KEYS).decode()
    except ValueError:
        given = given.strip()
    return str(what.get("name") or ""), given


def _said(role: str, message: Mapping[str, Any]) -> bytes:
    """What a message says, without ids and without the white space around it."""
    said = _framed(role) + _framed(text_of(message.get("content")))
    for call in list(_calls(message))[:_MOST_CALLS]:
        said += b"".join(map(_framed, _called(call)))
    return said + b"."


def _framed(text: str) -> bytes:
    """A text with its length; of a long one both ends, where they differ."""
    ends = text.strip() if len(text) <= 2 * _ENDS else f"{text[:_ENDS].lstrip()}...{text[-_ENDS:].rstrip()}"
    content = ends.encode("utf-8", "surrogatepass")
    return len(content).to_bytes(4, "big") + content


def kept_with(situation: Situation, weighed: Weighed, margin: float) -> Expected | None:
    """Who goes on with what it began: with its own calls, unless it cannot; with a conversation, unless another would
    do better by more than `margin`, in good answers. None: nobody began it, or the usual choice is to be made."""
    held = situation.held
    if held is None or situation.asked != AUTO:
        return None
    one = next((each for each in weighed.expected if each.target == held.target), None)
    if one is None:
        return None
    violation = weighed.violations[one.target]
    if held.calls:
        return one if violation is None or violation.severity is Severity.DOUBTED else None
    if one not in weighed.candidates:
        return None
    clouds = situation.clouds
    value, best = (each.value + (weighed.threshold if each.target in clouds else 0.0) for each in (one, weighed.best))
    return one if best - value <= margin else None


def words_of(held: Held, best: Expected) -> str:
    """Why it goes on, for people. `best`: who would have answered in a conversation of its own."""
    who = display_name(held.target)
    if held.calls:
        return f"{who} called the tools, and goes on with what they gave back"
    return f"the conversation is with {who}, and {display_name(best.target)} would not do clearly better"


def words_of_change(situation: Situation, weighed: Weighed, chosen: str) -> str:
    """What to add to the reason where another goes on; empty: nobody does."""
    held = situation.held
    if held is None or situation.asked != AUTO or held.target in (chosen, "") or held.target not in weighed.violations:
        return ""
    who, violation = display_name(held.target), weighed.violations[held.target]
    if violation is not None:
        did = "called the tools and cannot go on" if held.calls else "had the conversation so far and cannot go on"
        return f"; {who} {did}: {violation.words}"
    return f"; clearly better than to stay with {who}"
