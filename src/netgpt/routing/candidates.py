"""The targets of a request, the situation that a decision looks at, and the constraints that rule targets out.

`Features` say what a request looks like from the outside: length, kind, needs, by plain regular expressions, in
microseconds. Plain values: none of them holds a word of the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import takewhile
from typing import Any, Final

from netgpt.judgement import TASK_KINDS, TaskKind
from netgpt.routing.link_state import SignalsView
from netgpt.settings import Settings
from netgpt.settings.routing import Routing
from netgpt.types import CHARACTERS_A_TOKEN, EDGE, Expected, display_name

_CODE = re.compile(
    r"```|\b(def|class|import|function|select .{1,200}? from|stack ?trace|regex|compile[rs]?|python|sql)\b", re.I
)
_MATH = re.compile(
    r"\b(prove|theorem|derivative|integral|equation|probability|solve for)\b|\d\s*[-+*/^=]\s*\(?\d", re.I
)
_LONG_FORM = re.compile(
    r"\b(essay|report|article|letter|story|poem|speech|business plan|outline|summari[sz]e|proofread|translate)\b", re.I
)
_REASONING = re.compile(
    r"\b(explain why|step by step|compare|contrast|pros and cons|analy[sz]e|evaluate|argue|design|optimi[sz]e|debug)\b",
    re.I,
)
_READ_CHARS = 10_000
"""So much of a text's beginning and of its end is searched: what is asked for stands there, and the loop waits."""
_MEDIA = ("image_url", "input_image", "input_audio", "file", "input_file")


@dataclass(frozen=True, slots=True)
class Features:
    """What the rules look at. No text of the request is kept here."""

    words: int  # words of the last user message
    characters: int  # characters of the whole conversation: a bound on tokens
    turns: int
    code: bool
    math: bool
    long_form: bool
    reasoning: bool
    tools: bool
    structured: bool  # `response_format` asks for JSON by schema
    media: bool

    @property
    def hard_because(self) -> str | None:
        """Why a small model will probably not do, or None."""
        if self.tools:
            return "it brings tools"
        for flag, why in (
            (self.code, "it is about code"),
            (self.math, "it needs calculation"),
            (self.long_form, "it asks for a longer text"),
            (self.reasoning, "it asks for reasoning"),
        ):
            if flag:
                return why
        return None


def text_of(content: object) -> str:
    """The text of a message's `content`: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def last_user_text(messages: Sequence[Mapping[str, Any]], *, must_end: bool = False) -> str:
    """The text of the user's last message; empty where there is none. `must_end`: and where it is not the last of all,
    as after the result of a tool."""
    users = [message for message in (messages[-1:] if must_end else messages) if message.get("role") == "user"]
    return text_of(users[-1].get("content")) if users else ""


def features_of(body: Mapping[str, Any]) -> Features:
    """Read OpenAI's chat body. Never raises on odd content: what is not understood counts as absent."""
    messages = [m for m in body.get("messages", ()) if isinstance(m, Mapping)]
    users = [m for m in messages if m.get("role") == "user"]
    last = last_user_text(messages)
    ends = last if len(last) <= 2 * _READ_CHARS else f"{last[:_READ_CHARS]}\n{last[-_READ_CHARS:]}"
    response_format = body.get("response_format")
    return Features(
        words=len(last.split()),
        characters=sum(len(text_of(m.get("content"))) for m in messages),
        turns=len(users),
        code=bool(_CODE.search(ends)),
        math=bool(_MATH.search(ends)),
        long_form=bool(_LONG_FORM.search(ends)),
        reasoning=bool(_REASONING.search(ends)),
        tools=bool(body.get("tools") or body.get("functions"))
        or any(m.get("role") in ("tool", "function") for m in messages),
        structured=isinstance(response_format, Mapping) and response_format.get("type") == "json_schema",
        media=any(_has_media(m.get("content")) for m in messages),
    )


def _has_media(content: object) -> bool:
    return isinstance(content, list) and any(isinstance(p, Mapping) and p.get("type") in _MEDIA for p in content)


UNREAD = features_of({})  # stands for a text that was not read


@dataclass(frozen=True, slots=True)
class Target:
    """One model that might answer, for one request: what it can, whether it may, what it costs."""

    name: str  # "edge", "cloud", or an upstream's name
    route: str = "cloud"  # "edge" or "cloud": on the box or not
    kind: str = "cloud"  # "edge", "cloud", or "neighbour": another box, whose edge model is asked
    ok: bool = True  # it can be asked now: configured, started, its breaker closed
    detail: str = "ready"  # its health in words
    may_have: bool = True  # it may see the request: always on the box; elsewhere where an `Outbound` was made for it
    block_reason: str | None = None  # why it gets nothing
    context_tokens: int | None = None
    """Tokens of question and answer together; None: not known, or more than anybody asks for."""
    reads_media: bool = True  # it may read pictures, audio and files
    surely_reads_media: bool = True  # false where that depends on a model that we know nothing of
    tools: bool = True  # it takes tools at all, well or badly
    price_prompt: float = 0.0  # money per million tokens
    price_completion: float = 0.0
    quality: float = 0.9
    """The chance that its answer does, before anything is learnt; not used for models as small as the edge's."""
    exposure: float = 0.0  # how much would leave: 0 nothing, 1 everything as it is

    @property
    def remote(self) -> bool:
        return self.route != EDGE


@dataclass(frozen=True, slots=True)
class Held:
    """The model that a conversation was with so far."""

    target: str
    calls: bool = False  # it called the tools whose results the request brings


@dataclass(frozen=True, slots=True)
class Assessed:
    """What was read of a request's text."""

    p_edge_ok: float  # the chance that a small model's answer does as well as a large one's
    x: tuple[float, ...] = ()  # numbers for the learner; no text can be read from them
    kind: TaskKind = field(default_factory=TaskKind)
    p_kind: float = 0.88  # `p_edge_ok` of a usual request of this kind


Prior = Callable[[str, str], float | None]
"""(target, kind of task) -> how often that target's answers do, 0 to 1; None: nothing is known of it."""
ABLE: Final = 0.5
"""A model whose calls of tools, or answers by a schema, were right less often is not asked in the place of another."""
_FEWEST: Final = 0.3
"""Of the chances of a request's kinds, so much must be of kinds whose prior is known."""


def priors_of(prior: Prior, names: Iterable[str], kind: TaskKind, features: Features) -> dict[str, float]:
    """By target, how often its answers do for such a request: the mean over the kinds that it may be. Tools are known
    from the request itself; an answer by a schema does at most as often as JSON does."""
    chances = (("tools", 1.0),) if features.tools else kind.chances
    found = {}
    for name in names:
        known = [(chance, one) for each, chance in chances if (one := prior(name, each)) is not None]
        weight = sum(chance for chance, _ in known)
        if weight < _FEWEST:  # it looks like no kind: as the model does on the whole, where that is known
            known = [(1.0, one) for each in TASK_KINDS if (one := prior(name, each)) is not None]
            weight = float(len(known))
            if features.tools or weight < len(TASK_KINDS) / 2:
                continue
        mean = sum(chance * one for chance, one in known) / weight
        formed = prior(name, "json") if features.structured else None
        found[name] = mean if formed is None else min(mean, formed)
    return found


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision looks at: one request, the targets that might answer it, and what is known of them now."""

    asked: str  # "auto", or the target that the caller asked for: "edge", "cloud", an upstream's name
    features: Features
    targets: tuple[Target, ...]  # in the order of the settings, the edge first
    signals: SignalsView = field(default_factory=SignalsView)
    p_edge_ok: float | None = None  # what `difficulty` says of the text; None: it was not asked
    p_usual: float = 0.88  # what it says of an everyday request: less is harder than usual, more is easier
    kind: TaskKind = field(default_factory=TaskKind)
    p_kind: float = 0.88  # what `difficulty` says of a usual request of this kind
    priors: Mapping[str, float] = field(default_factory=dict)
    """By target: how often its answers do for this kind of task; only of those whose capability is known."""
    x: tuple[float, ...] = ()  # numbers for the learner; no text can be read from them
    key: str = ""  # who asks, for exploration bounded per key
    prefer: str | None = None  # a preset that the request or its key names; None: what the settings say
    deadline_s: float | None = None  # seconds in which the caller wants the whole answer
    budget_left: float | None = None  # money that the key may still spend; None: as much as it likes
    sensitive: tuple[str, ...] = ()  # kinds found that the owner calls sensitive, each with the rule that says so
    personal_facts: bool = False  # the request was completed with facts that may not leave
    answer_tokens: int | None = None  # the longest answer that the request allows; None: it does not say
    long: bool = False  # it has more words than a small model is trusted with (routing.max_edge_words)
    now: float = 0.0  # `time.monotonic()`
    held: Held | None = None  # who has the conversation; None: it begins, or nobody is known to
    must_call: bool = False  # the answer has to call a tool, or to go on with a result
    unable: Mapping[str, str] = field(default_factory=dict)
    """Targets that were measured not to do what is asked, each with why."""

    @property
    def clouds(self) -> frozenset[str]:
        """The targets whose share may be bounded: neither the box nor a neighbour."""
        return frozenset(target.name for target in self.targets if target.kind == "cloud")

    @property
    def prompt_tokens(self) -> float:
        """Estimated from the characters."""
        return self.features.characters / CHARACTERS_A_TOKEN + 8

    @property
    def expected_tokens(self) -> float:
        """How long the answer will probably be, in tokens."""
        features = self.features
        usual = 400.0 if features.long_form or features.code else 200.0 if features.hard_because else 120.0
        return usual if self.answer_tokens is None else min(usual, float(self.answer_tokens))

    def asks_for(self, target: Target) -> bool:
        """Whether the caller left the choice open, or named this target."""
        return self.asked in ("auto", target.name)

    def target(self, name: str) -> Target:
        """The target of this name. Raises KeyError."""
        for target in self.targets:
            if target.name == name:
                return target
        raise KeyError(name)


class Severity(IntEnum):
    """How strongly a target is ruled out. Where every target is, those that are least so remain."""

    DOUBTED = 1
    """Another will do better; it is a fallback still."""
    PERSONAL = 2
    """The box may use more of what is known of the person; others are a fallback still."""
    CANNOT = 3
    """It cannot do what is asked: no fallback, unless nobody else is left."""
    NOT_ASKED = 4
    """The caller named another; it is a fallback still."""
    NEVER = 5
    """It may not, or is not there."""

    @property
    def may_fall_back(self) -> bool:
        return self not in (Severity.CANNOT, Severity.NEVER)


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a target is ruled out."""

    rule: str  # a short stable name
    words: str
    severity: Severity


def asked_words(target: str) -> str:
    """That the caller named this target."""
    return f"the caller asked for {'the ' if target in (EDGE, 'cloud') else ''}{target}"


def violation_on(target: Target, situation: Situation, rules: Routing, expected: Expected) -> Violation | None:
    """The most severe constraint that rules this target out, the first of equals. None: it is a candidate."""
    strongest: Violation | None = None
    for violation in _remote(target, situation, rules, expected) if target.remote else _edge(target, situation):
        if violation.severity is Severity.NEVER:
            return violation
        if strongest is None or violation.severity > strongest.severity:
            strongest = violation
    if (late := _late(situation, expected)) is not None and strongest is None:
        return late
    return strongest


def _remote(target: Target, situation: Situation, rules: Routing, expected: Expected) -> Iterator[Violation]:
    features = situation.features
    if situation.asked == EDGE:
        yield Violation("asked", asked_words(EDGE), Severity.NEVER)
    if situation.sensitive and situation.asked == "auto":
        kinds = ", ".join(sorted(situation.sensitive))
        yield Violation("sensitive", f"it holds sensitive content ({kinds}), which stays on the box", Severity.NEVER)
    if not target.ok:
        yield Violation("cloud-down", target.detail, Severity.NEVER)
    if not target.may_have:
        yield Violation("kept", target.block_reason or "nothing may leave", Severity.NEVER)
    if features.media and not target.reads_media:
        yield Violation("media", "it holds media, which that model cannot read", Severity.NEVER)
    if situation.budget_left is not None and expected.cost > max(0.0, situation.budget_left):
        yield Violation("budget", "what is left of the key's budget does not pay for it", Severity.NEVER)
    if not situation.asks_for(target):
        yield Violation("asked", asked_words(situation.asked), Severity.NOT_ASKED)
    if features.tools and not target.tools:
        yield Violation("tools", "it brings tools, which that model does not take", Severity.CANNOT)
    yield from _unable(target, situation)
    if (longer := _too_long(target, situation)) is not None:
        yield longer
    if situation.personal_facts and rules.edge_when_personal and not features.tools:
        yield Violation("personal", "it was completed with personal facts, which stay on the box", Severity.PERSONAL)
    if features.structured:
        yield Violation("schema", "an answer by schema: the edge model writes it under a grammar", Severity.DOUBTED)


def _edge(target: Target, situation: Situation) -> Iterator[Violation]:
    features = situation.features
    if features.media and not target.reads_media:
        yield Violation("media", "it holds media, which the model on the box cannot read", Severity.NEVER)
    if not target.ok:
        yield Violation("edge-down", target.detail, Severity.NEVER)
    if not situation.asks_for(target):
        yield Violation("asked", asked_words(situation.asked), Severity.NOT_ASKED)
    if features.tools and not target.tools:
        yield Violation("tools", "it brings tools, which the edge model does not take", Severity.CANNOT)
    yield from _unable(target, situation)
    if situation.asked == "auto" and (longer := _too_long(target, situation)) is not None:
        yield longer
    if features.media and not target.surely_reads_media:
        yield Violation("media", "it holds media, which the edge model may not read", Severity.DOUBTED)


def needs_of(body: Mapping[str, Any], features: Features) -> tuple[str, ...]:
    """What a model has to be able to, as kinds of tasks: "tools", "json"."""
    given = body.get("response_format")
    by_schema = isinstance(given, Mapping) and given.get("type") in ("json_schema", "json_object")
    return ("tools",) * features.tools + ("json",) * by_schema


def must_call(body: Mapping[str, Any]) -> bool:
    """Whether an answer in plain words is of no use: a tool has to be called, or its result is to be gone on with."""
    choice = body.get("tool_choice")
    roles = [m.get("role") for m in reversed(body.get("messages") or ()) if isinstance(m, Mapping)]
    results = any(role in ("tool", "function") for role in takewhile(lambda role: role != "assistant", roles))
    return choice == "required" or isinstance(choice, Mapping) or results


def unable_of(prior: Prior, targets: Sequence[Target], needs: Sequence[str]) -> dict[str, str]:
    """The targets that were measured not to do what is needed, each with why."""
    words = {"tools": "at calling tools", "json": "at answers by a schema"}
    found: dict[str, str] = {}
    for target in targets:
        for need in needs:
            if (share := prior(target.name, need)) is not None and share < ABLE:
                found[target.name] = f"{display_name(target.name)} was measured {words[need]}: right in {share:.0%}"
    return found


def may_stand_in(prior: Prior | None, body: Mapping[str, Any], target: str) -> bool:
    """Whether a model may answer in the place of another that failed: what needs tools or a schema is given to the box
    only where its model was measured to do that, and to another one unless it was measured not to."""
    shares = [prior(target, need) if prior is not None else None for need in needs_of(body, features_of(body))]
    return all(target != EDGE if share is None else share >= ABLE for share in shares)


def _unable(target: Target, situation: Situation) -> Iterator[Violation]:
    if (why := situation.unable.get(target.name)) is not None and situation.asked == AUTO:
        yield Violation(
            "tools" if situation.features.tools else "schema",
            why,
            Severity.NEVER if situation.must_call else Severity.CANNOT,
        )


def _too_long(target: Target, situation: Situation) -> Violation | None:
    """A quarter of the context is left for the answer."""
    tokens = situation.features.characters / CHARACTERS_A_TOKEN
    if target.context_tokens is None or tokens <= target.context_tokens * 0.75:
        return None
    whose = f"{target.name}'s" if target.remote else "the edge model's"
    return Violation("context", f"the conversation is longer than {whose} context", Severity.CANNOT)


def _late(situation: Situation, expected: Expected) -> Violation | None:
    if situation.deadline_s is None or expected.latency_s <= situation.deadline_s:
        return None
    words = f"its answer is expected after {expected.latency_s:.1f} s, the deadline is {situation.deadline_s:g} s"
    return Violation("deadline", words, Severity.DOUBTED)


AUTO = "auto"  # the box decides
DECIDE = "netgpt"  # the model's name that leaves it to the box
NOBODY = "nobody"  # rule of a decision without a target: nobody can answer, and its reason says why for each


def target_names(settings: Settings) -> dict[str, str]:
    """Every model's name that asks for one target -> that target: "netgpt/edge", an upstream's name with and without
    "netgpt/", and the names of the configured models. Where two targets run a model of one name, the first has it."""
    names = {"netgpt/edge": "edge"}
    if not settings.edge.is_off:
        names[settings.edge.model] = "edge"
    for target in settings.remotes:
        names.setdefault(f"netgpt/{target}", target)
        if target != "cloud":  # "cloud" alone has never been a name of its own
            names.setdefault(target, target)
    for target, remote in settings.remotes.items():
        names.setdefault(remote.model, target)
    names.setdefault("netgpt/cloud", next(iter(settings.remotes), "cloud"))
    return names


def asked_target(model: str, names: Mapping[str, str]) -> str:
    """The target that a model's name asks for, or "auto"."""
    return names.get(model, AUTO)
