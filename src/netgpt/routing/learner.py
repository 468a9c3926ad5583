"""What is learnt of the targets: whose answers do for which requests, what they cost, how long they take.

Deciding and learning are two calls: `belief` and `draw` when a request comes, `update` when something is known of its
answer, at once or days later. Pure: no I/O, and the clock is given. The same seed and the same calls give the same
decisions. The state is numbers: no text, no person's name; keys stand in it as keyed digests.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from netgpt.errors import StoreError
from netgpt.routing.bandit import Belief, Cusum, DriftingMean, EpsilonGreedy, Evidence, Vector, phi_of, uniform
from netgpt.routing.reward import HINTS, Counted, DecisionOutcome, Opinion, Parts, opinion_of
from netgpt.routing.trust import TrustWeights


@dataclass(frozen=True, slots=True)
class Measured:
    """What calls to one target came to, the newest counting most; None: not known yet."""

    price_factor: float | None = None
    """Money paid, as a multiple of what the configured prices make of the same tokens."""
    latency_factor: float | None = None  # time taken, as a multiple of what the signals let expect
    tokens: float | None = None  # tokens of its answers


@dataclass(slots=True)
class Experience:
    """What the learner knows of one target."""

    evidence: Evidence = field(default_factory=Evidence)
    ratings: TrustWeights = field(default_factory=TrustWeights)
    hints: TrustWeights = field(default_factory=TrustWeights)
    cusum: Cusum = field(default_factory=Cusum)
    price: DriftingMean = field(default_factory=DriftingMean)
    latency: DriftingMean = field(default_factory=DriftingMean)
    tokens: DriftingMean = field(default_factory=DriftingMean)
    faded_at: float = 0.0  # how many steps of observations of all targets it has faded
    drifts: int = 0

    def measure(self, parts: Parts) -> None:
        """Take in what was measured of one answer."""
        if parts.cost is not None and parts.listed_cost:
            self.price.observe(parts.cost / parts.listed_cost)
        if parts.latency_s is not None and parts.expected_latency_s and not parts.failed:
            self.latency.observe(parts.latency_s / parts.expected_latency_s)
        if parts.tokens:
            self.tokens.observe(float(parts.tokens))

    @property
    def measured(self) -> Measured:
        return Measured(self.price.value, self.latency.value, self.tokens.value)

    def forget(self, key: str) -> None:
        """Drop a key's part in the counts."""
        self.ratings.forget(key)
        self.hints.forget(key)

    def numbers(self) -> dict[str, Any]:
        """For JSON; exact."""
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: part if isinstance(part, int | float) else part.numbers() for name, part in parts.items()}

    @classmethod
    def of_numbers(cls, numbers: Mapping[str, Any]) -> Self:
        """Raises ValueError, TypeError or KeyError for what `numbers` did not write."""
        kinds: dict[str, Any] = {"evidence": Evidence, "ratings": TrustWeights, "hints": TrustWeights, "cusum": Cusum}
        kinds |= dict.fromkeys(("price", "latency", "tokens"), DriftingMean)
        parts: dict[str, Any] = {name: kind.of_numbers(numbers[name]) for name, kind in kinds.items()}
        return cls(**parts, faded_at=float(numbers["faded_at"]), drifts=int(numbers["drifts"]))


VERSION: Final = 2
FADES: Final = 0.995  # share of a target's evidence kept after another observation of it: some 200 are remembered
FADES_UNUSED: Final = 0.999
"""The same after an observation of any target: what was long not tried is believed less and less."""
STEP: Final = 20.0
AFTER_DRIFT: Final = 0.15  # share of the evidence kept when a target is found to have changed
FIRST_RATINGS: Final = 5.0
USUAL_KEPT: Final = 0.97
OWN: Final = {"level_sd": 0.1, "slope_sd": 0.1}
"""How far one key's needs are taken to differ from everybody's before it is known."""
STEP_OF_ALL, STEP_OF_ONE = 0.035, 0.01
"""By how much one rating may move the chance of such a request on a young box: for everybody, and more for who rated.
What it says beyond that is not lost: later ones let it in."""
YOUNG: Final = 20.0
"""Ratings from which on the step grows with their number: among many, one weighs little by itself."""
MOST_OWN: Final = 64  # keys with a model of their own; the one observed longest ago gives way
LOWEST, HIGHEST = 0.01, 0.99


_NOTHING: Final = Counted(0.0, 0.0, 0.0, 0.0, 0.0)


class Learner:
    """A contextual bandit over targets. Cheap: `belief` and `draw` take microseconds, `update` some tens."""

    def __init__(
        self, *, seed: int = 0, explore: float = 0.02, per_hour: int = 20, clock: Callable[[], float] = time.time
    ) -> None:
        """`explore`: share of decisions in which another target than the best may be tried, 0 to 0.5; `per_hour`: at
        most so many of one key. `clock`: seconds, the same after a restart.

        Nobody's request is used for trying before `FIRST_RATINGS` answers were rated: where nobody says how answers
        are, nothing would be learnt from it."""
        self.seed, self._clock = seed, clock
        self._exploration = EpsilonGreedy(explore, per_hour)
        self._targets: dict[str, Experience] = {}
        self._own: dict[str, dict[str, Evidence]] = {}
        self._usual = {name: common for name, (_, common) in HINTS.items()}
        self._rating, self._hinting = TrustWeights(), TrustWeights()
        self._rated = 0.0
        self._draws = 0
        self._observed = 0.0
        self._digests: dict[str, str] = {}

    # deciding

    def belief(self, target: str, x: Sequence[float], prior: float, key: str = "") -> Belief:
        """The chance that this target's answer will do. `prior`: what is thought of it before anything was learnt."""
        phi = phi_of(x)
        known = self._target(target)
        self._fade(known)
        shift, sd = known.evidence.shown(phi)
        own = self._own.get(self._digest(key), {}).get(target)
        if own is not None:
            more, own_sd = own.shown(phi)
            shift, sd = shift + more, min(sd, own_sd)
        return Belief(min(max(prior + shift, LOWEST), HIGHEST), sd)

    def chances(self, values: Mapping[str, float], key: str, *, bold: bool = True) -> dict[str, float]:
        """The chance with which `draw` would draw each target."""
        if not bold or self._rated < FIRST_RATINGS:
            return dict.fromkeys(values, 0.0) | {max(values, key=values.__getitem__): 1.0}
        return self._exploration.chances(values, self._digest(key), self._clock())

    def draw(self, values: Mapping[str, float], key: str, *, bold: bool = True) -> tuple[str, float]:
        """Choose among the targets that may answer, by their value; return the target and the chance that it had.

        Nearly always the best. `bold=False`: never another (who prefers `private` is not experimented on).
        """
        chances = self.chances(values, key, bold=bold)
        best = max(values, key=values.__getitem__)
        if chances[best] == 1.0:
            return best, 1.0
        self._draws += 1
        target = _drawn(chances, uniform(self.seed, self._draws))
        if target != best:
            self._exploration.explored(self._digest(key), self._clock())
        return target, chances[target]

    def measured(self, target: str) -> Measured:
        """What the target was seen to cost and take."""
        return self._targets.get(target, Experience()).measured

    @property
    def drifts(self) -> dict[str, int]:
        """How often each target was found to have changed."""
        return {name: target.drifts for name, target in self._targets.items()}

    # learning

    def update(self, outcome: DecisionOutcome) -> Counted | None:
        """Learn from the outcome of a decision. Returns the `before` of the next call, when more is known."""
        phi = phi_of(outcome.x)
        target = self._target(outcome.target)
        before = outcome.before or _NOTHING
        if outcome.before is None:
            target.measure(outcome.parts)
        opinion = opinion_of(outcome.parts, self._usual)
        if opinion is None:
            return self._count(target, outcome, phi, Counted(0.0, 0.0, before.most, 0.0, 0.0))
        self._fade(target)
        shift, _ = target.evidence.shift(phi)
        believed = min(max(outcome.prior + shift, LOWEST), HIGHEST)
        surprise = opinion.hint if opinion.target is None else opinion.target - believed
        is_new = before.own_counts < opinion.weight  # else the person only changes an earlier opinion
        counts = self._weighed(target, self._digest(outcome.key), surprise, opinion) if is_new else before.counts
        difference = believed + surprise - outcome.prior
        counted = Counted(difference, counts, max(before.most, counts), surprise, opinion.weight)
        self._count(target, outcome, phi, counted)
        if not is_new:
            return counted
        self._learn_usual(outcome.parts, counts / opinion.weight)
        self._rated += counts if opinion.target is not None else 0.0
        if target.cusum.noticed(surprise, counts):
            target.evidence.fade(AFTER_DRIFT)
            target.drifts += 1
        return counted

    def continues(self, before: Learner, apart: int) -> None:
        """Read anew in a process that does not learn: what it tried, it goes on from. `apart`: a number of its own, so
        that two processes do not draw the same."""
        self._draws = before._draws if before._draws >= apart << 32 else apart << 32
        self._exploration = before._exploration

    def digest(self, key: str) -> str:
        """A key as the state has it."""
        return self._digest(key)

    def forget(self, key: str) -> None:
        """Drop what was learnt for this key alone, and its part in the counts."""
        self.drop(self._digest(key))

    def drop(self, digest: str) -> None:
        """The same for a key as it is known here: see `digests_in`."""
        self._own.pop(digest, None)
        self._rating.forget(digest)
        self._hinting.forget(digest)
        for target in self._targets.values():
            target.forget(digest)

    def _count(self, target: Experience, outcome: DecisionOutcome, phi: Vector, now: Counted) -> Counted:
        """Replace what this decision counted before, in everybody's evidence and in the key's own."""
        before = outcome.before or _NOTHING
        moment = now.counts * now.difference - before.counts * before.difference
        growth = now.most - before.most
        target.evidence.fade(FADES**growth)
        target.evidence.correct(phi, moment, growth)
        says_more = abs(now.difference - before.difference) > 1e-9 or growth > 0 or now.own_counts > before.own_counts
        if says_more:
            target.evidence.follow(STEP_OF_ALL * self._known() * min(1.0, 2 * max(now.counts, before.counts)), phi)
        self._observed += growth
        own = self._own_of(outcome.key, outcome.target)
        own_growth = max(0.0, now.own_counts - before.own_counts)
        own.fade(FADES**own_growth)
        own.correct(phi, now.own_counts * now.own - before.own_counts * before.own, own_growth)
        if says_more:
            own.follow(STEP_OF_ONE * self._known() * max(now.own_counts, before.own_counts), phi)
        return now

    def _known(self) -> float:
        """How many times the step of a young box one rating may move a chance."""
        return max(1.0, self._rated / YOUNG)

    def _weighed(self, target: Experience, key: str, surprise: float, opinion: Opinion) -> float:
        """How much this key's opinion counts for everybody: see `routing.trust`."""
        now, is_hint = self._clock(), opinion.target is None
        crowd, trust_weights = (self._hinting, target.hints) if is_hint else (self._rating, target.ratings)
        trust = crowd.observe(key, surprise, now)
        of_target = trust_weights.observe(key, surprise, now, odd=crowd.is_odd(key))
        if trust is None:
            trust = 0.5
        elif of_target is not None and trust_weights.knows(
            key
        ):  # new on this target is no reason for doubt, odd on it is
            trust = min(trust, of_target)
        counts = trust_weights.count(key, opinion.weight * trust, now)
        crowd.passed(key, counts)
        return counts

    def _learn_usual(self, parts: Parts, trust: float) -> None:
        """How often answers are asked again, broken or failed on this box, whatever the target."""
        for name in HINTS:
            seen = getattr(parts, name)
            if seen is not None:
                self._usual[name] += (1 - USUAL_KEPT) * trust * (float(seen) - self._usual[name])

    def _fade(self, target: Experience) -> None:
        """Age a target's evidence while others are used: in steps, so that the time of the call does not matter."""
        steps = self._observed // STEP - target.faded_at
        if steps > 0:
            target.evidence.fade_out(FADES_UNUSED ** (steps * STEP))
            target.faded_at += steps

    def _target(self, name: str) -> Experience:
        target = self._targets.get(name)
        if target is None:
            target = self._targets[name] = Experience(faded_at=self._observed // STEP)
        return target

    def _own_of(self, key: str, target: str) -> Evidence:
        digest = self._digest(key)
        targets = self._own.pop(digest, None) or {}
        while len(self._own) >= MOST_OWN:
            del self._own[next(iter(self._own))]
        self._own[digest] = targets  # the last in the row: observed last
        if target not in targets:
            targets[target] = Evidence(**OWN)
        return targets[target]

    def _digest(self, key: str) -> str:
        known = self._digests.get(key)
        if known is None:
            if len(self._digests) >= 10_000:
                self._digests.clear()
            salt = self.seed.to_bytes(16, "big", signed=True)
            known = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=salt).hexdigest()
            self._digests[key] = known
        return known

    # keeping

    def state(self) -> bytes:
        """All that was learnt, as JSON: a learner restored from it goes on exactly as this one."""
        return json.dumps(self.numbers(), separators=(",", ":"), allow_nan=False).encode()

    def numbers(self) -> dict[str, Any]:
        """The same, to be written by somebody else, or elsewhere."""
        return {
            "version": VERSION,
            "seed": self.seed,
            "draws": self._draws,
            "heard": self._observed,
            "rated": self._rated,
            "rating": self._rating.numbers(),
            "hinting": self._hinting.numbers(),
            "usual": dict(self._usual),
            "curiosity": self._exploration.numbers(),
            "arms": {name: target.numbers() for name, target in self._targets.items()},
            "own": {key: {name: own.numbers() for name, own in targets.items()} for key, targets in self._own.items()},
        }

    @classmethod
    def restore(cls, state: bytes, **settings: Any) -> Self:
        """A learner that goes on from `state`; `settings` as for the constructor, the seed from the state.

        Raises StoreError (`learner_damaged`): what was saved is of another version, or not what `state` wrote.
        """
        try:
            numbers = json.loads(state)
            if numbers["version"] != VERSION:
                raise ValueError("another version")
            one = cls(**(settings | {"seed": int(numbers["seed"])}))
            one._take(numbers)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise StoreError(
                f"what was learnt of the targets cannot be read ({type(error).__name__}): it is damaged or of another "
                "version.",
                code="learner_damaged",
            ) from None
        return one

    def _take(self, numbers: Mapping[str, Any]) -> None:
        self._draws, self._observed = int(numbers["draws"]), float(numbers["heard"])
        self._rated = float(numbers["rated"])
        self._rating, self._hinting = (TrustWeights.of_numbers(numbers[name]) for name in ("rating", "hinting"))
        self._usual = {name: float(numbers["usual"][name]) for name in HINTS}
        self._exploration.restore(numbers["curiosity"])
        self._targets = {name: Experience.of_numbers(target) for name, target in numbers["arms"].items()}
        self._own = {
            key: {target: Evidence.of_numbers(own, **OWN) for target, own in targets.items()}
            for key, targets in numbers["own"].items()
        }


def digests_in(state: bytes) -> frozenset[str]:
    """The keys of which something is kept in a saved state, as digests; none in one that cannot be read."""
    try:
        numbers = json.loads(state)
        return frozenset(numbers["own"]) | frozenset(numbers["rating"]["keys"]) | frozenset(numbers["hinting"]["keys"])
    except (ValueError, KeyError, TypeError):
        return frozenset()


def _drawn(chances: Mapping[str, float], point: float) -> str:
    """The target in whose stretch of [0, 1) the point lies."""
    for target, chance in chances.items():
        point -= chance
        if point < 0:
            return target
    return next(iter(chances))  # rounding: the chances add up to a hair less than 1
