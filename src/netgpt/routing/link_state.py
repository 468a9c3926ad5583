"""The state of a target's link and the server behind it, from real calls first, and the views that decisions read."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from netgpt.types import CallFacts, KernelFacts, Load


@dataclass(frozen=True, slots=True)
class Estimate:
    """One measured quantity."""

    value: float
    age_s: float  # seconds since it was last measured
    confidence: float  # 0 (nothing is known, or long ago) to 1


@dataclass(frozen=True, slots=True)
class LinkView:
    """The link to one model and the server behind it. None: never measured."""

    rtt_s: Estimate | None = None
    jitter_s: Estimate | None = None  # mean deviation of the round trip
    loss: Estimate | None = None  # share of segments sent again
    up_bytes_s: Estimate | None = None
    down_bytes_s: Estimate | None = None
    first_byte_s: Estimate | None = None
    """From the end of the request to the first byte of the answer: link, queue and prompt of the server. While calls
    wait longer than it says, it is as long as they have waited."""
    tokens_s: Estimate | None = None  # tokens a second, once an answer flows
    failures: Estimate | None = None  # share of the last calls that failed, newer ones counting more
    in_flight: int = 0  # calls under way now
    hint: str = ""
    """What the network itself says of the link (radio, connectivity insights), in words; empty: nothing."""
    load: Load | None = None
    """How busy the model behind it said it was, a few seconds ago at most; None: not said, as by all but neighbours."""


@dataclass(frozen=True, slots=True)
class SystemView:
    """The box itself. None: this machine does not tell."""

    cpu: float | None = None  # share of all cores at work, 0 to 1
    memory: float | None = None  # share of memory in use
    cpu_pressure: float | None = None
    """Share of the last ten seconds in which something waited for a core (Linux PSI)."""
    memory_pressure: float | None = None
    temperature_c: float | None = None
    gpu: float | None = None
    gpu_memory: float | None = None
    engine_slots: int = 1  # answers that the edge model writes at once
    engine_busy: int = 0
    engine_waiting: int = 0
    engine_prompt_tokens_s: float | None = None
    engine_tokens_s: float | None = None  # tokens a second that one answer of the edge gets now
    power_w: float | None = None  # watts of the box at work, where it is configured or measured


@dataclass(frozen=True, slots=True)
class SignalsView:
    """All signals at one moment."""

    links: Mapping[str, LinkView] = field(default_factory=dict)
    """By the target's name: "edge", "cloud", an upstream's name."""
    system: SystemView = SystemView()


_MOST_WEIGHT = 30.0  # no more of the past stands beside a new measurement, however many there were
_FAR = 3.0  # mean deviations from the estimate that count as far
_FAR_SHARE = 0.3  # and at least this share of the estimate
_RUN = 2.0  # far ones in a row, on one side, of so much weight together are a change


class Gauge:
    """One measured quantity: a faded average that follows changes and grows old.

    Two far measurements in a row on one side begin it anew (a run test; the mean deviation is kept as TCP keeps that of
    the round trip, RFC 6298). An estimate never lies outside of what was measured. Times are seconds of one clock; a
    time before the last counts as the last.

    `memory_s`: how long a measurement counts; `keeps_s`: after so long without one the confidence has fallen to 37 %;
    `floor`: differences below it are never far; `far`: all from here on are, whatever the noise (for shares that are
    made of nothing but 0 and 1).
    """

    __slots__ = ("_at", "_deviation", "_far", "_floor", "_high", "_keeps_s", "_low", "_mean", "_memory_s", "_run",
                 "_run_sum", "_weight")  # fmt: skip

    def __init__(
        self, *, memory_s: float = 30.0, keeps_s: float = 60.0, floor: float = 0.0, far: float | None = None
    ) -> None:
        self._memory_s, self._keeps_s, self._floor, self._far = memory_s, keeps_s, floor, far
        self._mean = self._deviation = self._weight = self._run_sum = 0.0
        self._low, self._high = math.inf, -math.inf
        self._at = -math.inf
        self._run = 0.0  # weight of the far measurements in a row: above when positive, below when negative

    @property
    def at(self) -> float:
        """When it was last measured; minus infinity before the first time."""
        return self._at

    def observe(self, value: float, now: float, weight: float = 1.0) -> None:
        """One measurement. `weight`: how much it tells, 1 for a usual one. What is no number is passed over."""
        if not math.isfinite(value) or not weight > 0:
            return
        if self._weight == 0:
            self._mean = self._low = self._high = value
            self._weight, self._at = weight, now
            return
        gap = max(0.0, now - self._at)
        self._at += gap
        self._low, self._high = min(self._low, value), max(self._high, value)
        self._weight *= math.exp(-gap / self._memory_s)
        if self._changed(value, weight):
            self._begin_anew(value)
            return
        distance = abs(value - self._mean)
        self._weight = min(self._weight, _MOST_WEIGHT) + weight
        self._mean += (value - self._mean) * weight / self._weight
        self._deviation += (distance - self._deviation) * weight / self._weight

    def _changed(self, value: float, weight: float) -> bool:
        """Weigh those in a row that were far off on this side; whether they are enough."""
        distance = value - self._mean
        far = self._far or max(_FAR * self._deviation, _FAR_SHARE * abs(self._mean), self._floor)
        if abs(distance) <= far:
            self._run = self._run_sum = 0.0
            return False
        side = 1.0 if distance > 0 else -1.0
        if self._run * side < 0:
            self._run = self._run_sum = 0.0
        self._run += side * weight
        self._run_sum += value * weight
        return abs(self._run) >= _RUN

    def _begin_anew(self, value: float) -> None:
        self._weight = abs(self._run)
        self._mean = self._run_sum / self._weight
        self._deviation = abs(value - self._mean)
        self._run = self._run_sum = 0.0

    def value(self) -> float | None:
        """The estimate alone; None: never measured."""
        return min(max(self._mean, self._low), self._high) if self._weight else None

    def estimate(self, now: float) -> Estimate | None:
        """The estimate with its age and confidence; None: never measured."""
        if not self._weight:
            return None
        age = max(0.0, now - self._at)
        sure = self._weight / (self._weight + 1.0)
        return Estimate(min(max(self._mean, self._low), self._high), age, sure * math.exp(-age / self._keeps_s))


@dataclass(slots=True, eq=False)
class PendingCall:
    """Notes of one call to `target`, written by the model's client, read at every decision; times are
    `time.monotonic()`. A stream is stalled only while somebody reads it: a slow reader says nothing of the link."""

    target: str
    began: float
    _end: Callable[[PendingCall], None]
    sent_at: float | None = None  # when the request left; None: not yet
    first_at: float | None = None  # when the answer began
    asked_at: float | None = None  # since when a reader waits for more of the answer; None while nobody does
    read_s: float = 0.0  # how long readers have waited for more of it: most of its time, unless the reader is slower
    chunks: int = 0  # pieces of the answer with words in them so far
    whole: bool = False  # the answer comes in one piece: its first byte comes when the last word is written
    kernel: Callable[[], KernelFacts | None] | None = None  # asks the kernel about the connection; None: unknown
    marked_at: float | None = None  # since the mark, the token rate is measured anew
    marked_chunks: int = 0
    marked_read_s: float = 0.0

    def end(self) -> None:
        """The call is over. Safe to call twice."""
        self._end(self)


LARGE_BYTES = 65_536  # a smaller transfer measures round trips rather than the rate
LEAST_S = 0.02  # as does one that was over sooner
FEW_TOKENS = 4  # a shorter answer says nothing of the token rate
RATE_EVERY_S = 1.0  # the token rate of an answer under way is measured this often
FEW_CHUNKS = 5
PATIENCE = 2.0  # a call is overdue when it has waited this many times the estimate..
PATIENCE_S = 0.25  # ...and this many seconds
STALLED = 4.0  # a stream stalls when nothing came for so many of its usual gaps..
STALLED_S = 0.5
MUTE_BACKOFF = 2  # the kernel has sent the same bytes again so often in a row, without an answer: then the link is dead
SEGMENTS_A_CALL = 20.0  # a call of so many segments tells as much of the loss as any
UNREACHED = "unreachable"
OF_THE_LINK = frozenset({UNREACHED, "model_timeout", "broken_stream"})
"""Codes of failures that an open connection speaks against."""
PROBE_WEIGHT = 0.3  # a probe is one segment there and one back
VAIN = 1.15  # a call that was given up after so many times the usual wait tells that the answer is late..
VAIN_S = 0.05  # ...when it waited so many seconds more than that too
REACHED = 0.93
"""A probe that comes through says little of answers that do not: unanswered waits count by this share."""
OVERDUE_KEEPS_S = 60.0
SILENT_S = 1.5  # seconds without an answer
FAILING = 0.5  # a link of which so many calls and probes fail is in trouble
SURE = 0.9  # what happens at this moment needs no second measurement


class Link:
    """Gauges of one target and its calls under way. One event loop only: there is no lock."""

    def __init__(self) -> None:
        self.waiting: set[PendingCall] = set()
        self.rtt, self.jitter = Gauge(floor=0.001), Gauge(floor=0.001)
        self.loss = Gauge(floor=0.02)
        self.up, self.down = Gauge(keeps_s=300.0), Gauge(keeps_s=300.0)
        self.first_byte, self.whole = Gauge(floor=0.02), Gauge(floor=0.1)
        self.token_rate, self.prompt_token_rate = Gauge(keeps_s=120.0), Gauge(keeps_s=300.0)
        self.failures = Gauge(memory_s=60.0, far=0.5)
        self.calls = self.failed = self.retries = 0
        self.reported_at = -math.inf  # when a real call or a probe last reported
        self.answered_at = -math.inf  # when a call was last answered
        self.outcome = ""  # of the last call that ended
        self._tokens_a_chunk = Gauge(memory_s=600.0)
        self._firsts: deque[float] = deque(maxlen=16)  # when the last answers began
        self._overdue = 0.0  # how long ended calls waited without an answer, until something answers again
        self._overdue_at = -math.inf
        self._mute = False  # a connection could not be opened, and nothing has come through since
        self._unheard = 0  # calls under way whose bytes nobody had acknowledged at the last measurement
        self._rtt_probed: float | None = None
        self._failed_by = ""

    def observed(self, facts: CallFacts, now: float) -> None:
        """A call has ended."""
        self.calls += 1
        self.retries += facts.tries - 1
        self.outcome = facts.outcome
        if facts.failed or facts.outcome == "ok":
            self.failures.observe(1.0 if facts.failed else 0.0, now)
            self.failed += facts.failed
            self._failed_by = facts.outcome if facts.failed else ""
            self._mute = self._mute or facts.outcome == UNREACHED
            self.reported_at = now
        self._connection(facts, now)
        if facts.first_byte_s is None:
            if facts.waited_s > 0 and (facts.failed or facts.outcome == "cancelled"):
                self._waited_in_vain(facts.waited_s, now)
        else:
            self._answered(facts, facts.first_byte_s, now)

    def _connection(self, facts: CallFacts, now: float) -> None:
        rtt = facts.rtt_s if facts.rtt_s is not None else facts.connect_s
        if rtt is not None:
            self.rtt.observe(rtt, now)
            self.reported_at = now
        if facts.rtt_var_s is not None:
            self.jitter.observe(facts.rtt_var_s, now)
        if facts.segments > 0:
            lost = min(1.0, facts.retransmits / facts.segments)
            self.loss.observe(lost, now, min(1.0, facts.segments / SEGMENTS_A_CALL))
        if facts.up_bytes_s is not None and facts.sent_bytes >= LARGE_BYTES:
            self.up.observe(facts.up_bytes_s, now)
        if facts.received_bytes >= LARGE_BYTES and facts.receive_s >= LEAST_S:
            rate = facts.received_bytes / facts.receive_s
            known = self.down.value()
            if facts.whole or known is None or rate > known:  # a stream is as slow as its writer: a lower bound
                self.down.observe(rate, now)

    def _answered(self, facts: CallFacts, first_byte_s: float, now: float) -> None:
        weight = self._weight_of(first_byte_s, now)
        self.reported_at = now
        self.first_at(now)
        if facts.prompt_tokens >= FEW_TOKENS and facts.prompt_s > 0:
            self.prompt_token_rate.observe(facts.prompt_tokens / facts.prompt_s, now)
        if facts.whole:
            self._answered_whole(facts, first_byte_s, now)
            return
        self.first_byte.observe(first_byte_s, now, weight)
        if facts.tokens >= FEW_TOKENS and facts.receive_s > 0 and facts.outcome == "ok" and not facts.held_up:
            self.token_rate.observe((facts.tokens - 1) / facts.receive_s, now)
            if facts.chunks:
                self._tokens_a_chunk.observe(facts.tokens / facts.chunks, now)

    def _weight_of(self, first_byte_s: float, now: float) -> float:
        """After a silence a first quick answer counts twice: no other is there to confirm it."""
        known = self.first_byte.value()
        silent = now - self.answered_at >= SILENT_S
        return 2.0 if silent and known is not None and first_byte_s < known else 1.0

    def _answered_whole(self, facts: CallFacts, total_s: float, now: float) -> None:
        """First byte and token rate are told apart only by what streams have shown; their sum is right."""
        self.whole.observe(total_s, now)
        token_rate = self.token_rate.value()
        if token_rate is None or facts.tokens < FEW_TOKENS:
            if facts.tokens >= FEW_TOKENS and total_s > 0:
                self.token_rate.observe(facts.tokens / total_s, now, 0.3)
        else:
            self.first_byte.observe(max(0.0, total_s - facts.tokens / token_rate), now, 0.5)

    def first_at(self, now: float) -> None:
        """An answer began: earlier unanswered waits are over."""
        self._firsts.append(now)
        self.answered_at = now
        self._overdue, self._mute = 0.0, False

    def _waited_in_vain(self, waited_s: float, now: float) -> None:
        """A call was given up before its answer began: all that is known is that it takes longer than this.

        Without an answer in between such waits add up, once for each second: the estimate of a mean from censored waits
        is all the time waited over the answers seen.
        """
        known = self.first_byte.value()
        if known is None or waited_s > VAIN * known + VAIN_S:
            since = now - self._overdue_at if self._overdue else waited_s
            self._overdue = (self._overdue or known or 0.0) + min(waited_s, since)
            self._overdue_at = now

    def probed(self, rtt_s: float | None, now: float, lost: float = 0.0) -> None:
        """A connection was opened in `rtt_s` seconds, nothing sent; None: it could not be opened."""
        self.reported_at = now
        self.loss.observe(lost, now, PROBE_WEIGHT)
        if rtt_s is None:
            self.failures.observe(1.0, now)
            self._failed_by, self._mute = UNREACHED, True
            return
        if self._rtt_probed is not None:
            self.jitter.observe(abs(rtt_s - self._rtt_probed), now, 0.5)
        self._rtt_probed = rtt_s
        self.rtt.observe(rtt_s, now)
        # It is reachable. Where the failure was another than that, this is not yet an answer.
        self.failures.observe(0.0, now, 1.0 if self._failed_by in OF_THE_LINK else PROBE_WEIGHT)
        self._overdue = 0.0 if self._mute else self._overdue * REACHED
        self._mute = False

    def troubled(self, now: float) -> bool:
        """Whether it seems to fail or to be late, and should be probed more often, since no request goes there."""
        late = self._overdue and now - self._overdue_at < OVERDUE_KEEPS_S
        failing = self.failures.value()
        return bool(late) or (failing is not None and failing > FAILING)

    def measure(self, now: float) -> None:
        """Measure the token rate of the answers that flow, and see whether the others' bytes arrive at all."""
        self._unheard = sum(1 for call in self.waiting if _is_mute(call))
        for call in self.waiting:
            if call.first_at is None or call.whole:
                continue
            since = call.marked_at if call.marked_at is not None else call.first_at
            if now - since < RATE_EVERY_S:
                continue
            chunks, read_s = call.chunks - call.marked_chunks, call.read_s - call.marked_read_s
            if chunks >= FEW_CHUNKS and read_s > (now - since) / 2:
                self.token_rate.observe(chunks * (self._tokens_a_chunk.value() or 1.0) / (now - since), now)
            call.marked_at, call.marked_chunks, call.marked_read_s = now, call.chunks, call.read_s

    def view(self, now: float) -> LinkView:
        """What the decision sees; some microseconds."""
        return LinkView(
            rtt_s=self.rtt.estimate(now),
            jitter_s=self.jitter.estimate(now),
            loss=self.loss.estimate(now),
            up_bytes_s=self.up.estimate(now),
            down_bytes_s=self.down.estimate(now),
            first_byte_s=self._first_byte(now),
            tokens_s=self.token_rate_now(now),
            failures=self._failures(now),
            in_flight=len(self.waiting),
        )

    def _first_byte(self, now: float) -> Estimate | None:
        known = self.first_byte.estimate(now)
        late, age = self._late(now, known.value if known else 0.0), 0.0
        if self._overdue and (since := now - self._overdue_at) < OVERDUE_KEEPS_S:
            vain = self._overdue * math.exp(-since / OVERDUE_KEEPS_S)
            late, age = (late, age) if late >= vain else (vain, since)
        if late <= 0 or (known is not None and late <= known.value):
            return known
        return Estimate(late, age, SURE)

    def _late(self, now: float, known: float) -> float:
        """The wait that calls overdue stand for, weighed against answers that began meanwhile; 0: none is overdue.

        A single one that hangs while others are answered says little; one that hangs alone says all.
        """
        longest, late, oldest = 0.0, 0, now
        for call in self.waiting:
            if call.first_at is not None:
                continue
            usual = max(known, self.whole.value() or known) if call.whole else known
            begun = call.sent_at if call.sent_at is not None else call.began  # it may wait for a connection
            waited = now - begun
            if waited > PATIENCE * usual + PATIENCE_S:
                late += 1
                longest, oldest = max(longest, waited), min(oldest, begun)
        if not late:
            return 0.0
        answered = sum(1 for at in self._firsts if at > oldest)
        return known + (longest - known) * late / (late + answered)

    def token_rate_now(self, now: float) -> Estimate | None:
        """Tokens a second; a stream that stalls lowers it by its share of the streams under way."""
        known = self.token_rate.estimate(now)
        flowing = stalled = 0
        longest = 0.0
        usual = 1.0 / known.value if known and known.value > 0 else 0.1
        for call in self.waiting:
            if call.first_at is None or call.whole:
                continue
            flowing += 1
            if call.asked_at is not None and (silent := now - call.asked_at) > STALLED * usual + STALLED_S:
                stalled += 1
                longest = max(longest, silent)
        if not stalled:
            return known
        before = known.value if known else 10.0
        slowed = before + (min(before, 1.0 / longest) - before) * stalled / flowing
        return Estimate(slowed, 0.0, SURE)

    def _failures(self, now: float) -> Estimate | None:
        """Calls whose bytes nobody acknowledges any more count as failing while that lasts."""
        known = self.failures.estimate(now)
        if not self.waiting or not self._unheard:
            return known
        share = min(1.0, self._unheard / len(self.waiting))
        if known is not None and known.value >= share:
            return replace(known, age_s=0.0)
        return Estimate(share, 0.0, SURE)


def _is_mute(call: PendingCall) -> bool:
    facts = call.kernel() if call.kernel is not None else None
    return facts is not None and facts.unacknowledged > 0 and facts.backoff >= MUTE_BACKOFF
