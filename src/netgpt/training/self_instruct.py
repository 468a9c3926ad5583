"""Self-instruction: a large model writes pairs of a concise and a comprehensive prompt (arXiv 2307.06148).

Only public facts of the site are sent, and only through the vault: a fact in which the detector would hide something
is not sent, and a detector that fails sends nothing. The answer is not trusted: each pair is parsed strictly and
checked word by word against the facts it claims to use, as the completion of a live request is.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from netgpt.completion.rewrite import check, content_words, is_given, rewriting, tokens
from netgpt.errors import ModelError, NotDisclosable, RequestError
from netgpt.models.base import RemoteModel
from netgpt.models.stream import join_chunks
from netgpt.outbound import Encoder, Outbound, SaidBody
from netgpt.privacy.detector import Detector
from netgpt.privacy.vault import Vault
from netgpt.training.example import Example
from netgpt.types import Fact, Label, Sender, Usage

ORIGIN: Final = "self-instruct"
PAIRS_A_CALL: Final = 8
FACTS_A_CALL: Final = 6
FRUITLESS_CALLS: Final = 4
"""So many calls in a row without a new pair end the work."""
TOKENS_A_CALL: Final = 1_200
LONGEST_REQUEST: Final = 120
LONGEST_COMPLETION: Final = 600
MOST_FACTS: Final = 4
MOST_PAIRS: Final = 64
"""Of one answer; more are not read."""
FIELDS: Final = ("request", "facts", "completion")

_TASK: Final = (
    "You write training data for a small assistant. Below are numbered facts about a place. Write {count} pairs. "
    "`request` is what a visitor types there: terse, 2 to 8 words, each different, without the facts. `facts` are the "
    "numbers of the one to three facts that help with that request. `completion` is the same request as one or two "
    "full sentences in the first person that names those facts, using only words of the request and of those facts. "
    "Add no other name, number or detail, and do not answer the request."
)
_PAIR_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "request": {"type": "string"},
        "facts": {"type": "array", "items": {"type": "integer"}},
        "completion": {"type": "string"},
    },
    "required": list(FIELDS),
    "additionalProperties": False,
}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"pairs": {"type": "array", "items": _PAIR_SCHEMA}},
    "required": ["pairs"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Pair:
    """One terse request, the facts that help with it, and the full request made of both."""

    request: str = field(repr=False)
    facts: tuple[Fact, ...]
    completion: str = field(repr=False)

    @property
    def key(self) -> str:
        """The request without case and spacing: the same question counts once."""
        return " ".join(self.request.casefold().split())


def pairs_in(answer: Mapping[str, Any], facts: Sequence[Fact]) -> tuple[list[Pair], Counter[str]]:
    """The well-formed pairs in a whole answer to a list of numbered `facts`, and how many were not and why."""
    rows = _rows(answer)
    if rows is None:
        return [], Counter(["the answer is not the JSON that was asked for"])
    read = [_pair(row, facts) for row in rows[:MOST_PAIRS]]
    found = [pair for pair in read if pair is not None]
    wrong = len(read) - len(found)
    return found, Counter({"a pair has the wrong shape": wrong} if wrong else {})


def _rows(answer: Mapping[str, Any]) -> list[Any] | None:
    try:
        (choice,) = answer["choices"]
        content = json.loads(choice["message"]["content"])
        rows = content["pairs"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return rows if isinstance(rows, list) and set(content) == {"pairs"} else None


def _pair(row: Any, facts: Sequence[Fact]) -> Pair | None:
    if not isinstance(row, dict) or set(row) != set(FIELDS):
        return None
    request, numbers, completion = row["request"], row["facts"], row["completion"]
    if not _is_line(request, LONGEST_REQUEST) or not _is_line(completion, LONGEST_COMPLETION):
        return None
    if not isinstance(numbers, list) or not 1 <= len(numbers) <= MOST_FACTS:
        return None
    if any(type(number) is not int or not 1 <= number <= len(facts) for number in numbers):
        return None
    if len(set(numbers)) < len(numbers):
        return None
    chosen = tuple(facts[number - 1] for number in numbers)
    return Pair(" ".join(request.split()), chosen, " ".join(completion.split()))


def _is_line(text: Any, longest: int) -> bool:
    return isinstance(text, str) and bool(text.strip()) and len(text) <= longest and text.isprintable()


class PairFile:
    """Good pairs in a file, one JSON object a line. With no path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self, facts: Sequence[Fact]) -> Iterator[Pair]:
        """The kept pairs whose facts are all in `facts` still; a line that a kill cut short is skipped."""
        if self._path is None or not self._path.exists():
            return
        known = {fact.text: fact for fact in facts}
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
                chosen = tuple(known[text] for text in row["facts"])
                pair = Pair(row["request"], chosen, row["completion"])
            except (KeyError, TypeError, ValueError, RecursionError):
                continue
            if _is_line(pair.request, LONGEST_REQUEST) and _is_line(pair.completion, LONGEST_COMPLETION) and chosen:
                yield pair

    def add(self, pairs: Sequence[Pair]) -> None:
        """Append and sync. Raises RequestError: it cannot be written."""
        if self._path is None or not pairs:
            return
        rows = [
            {"request": pair.request, "facts": [fact.text for fact in pair.facts], "completion": pair.completion}
            for pair in pairs
        ]
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write("".join("\n" * (not place) + json.dumps(row) + "\n" for place, row in enumerate(rows)))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RequestError(f"{self._path}: cannot be written: {error.strerror}") from None


@dataclass(frozen=True)
class Budget:
    """Limits of one run. Prices are money per million tokens."""

    pairs: int
    tokens: int = 200_000
    cost: float = 1.0
    price_prompt: float = 0.0
    price_completion: float = 0.0

    def cost_of(self, usage: Usage) -> float:
        """Money for these tokens."""
        return (usage.prompt_tokens * self.price_prompt + usage.completion_tokens * self.price_completion) / 1e6


@dataclass
class Instructed:
    """The result of a run. `dropped` counts why pairs were not taken; it holds no text."""

    examples: list[Example] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    stopped: str = ""
    """Why it ended: "enough", "tokens", "money", "fruitless", or the cloud's failure."""


async def self_instruct(
    cloud: RemoteModel,
    detector: Detector,
    facts: Sequence[Fact],
    budget: Budget,
    *,
    model: str,
    encode: Encoder = SaidBody,
    seed: int = 7,
    kept: Path | None = None,
    progress: Callable[[Instructed], None] = lambda done: None,
) -> Instructed:
    """Have the cloud write up to `budget.pairs` pairs about the public ones of `facts`.

    `encode`: says a request in the cloud's dialect. `kept`:
    a file (0600) of good pairs, so that an interrupted run continues and none is paid for twice. A cloud that
    fails ends the work with the pairs so far. Raises RequestError (no public facts), DetectorError and NotDisclosable
    (nothing was sent).
    """
    known = await _sendable(facts, detector, model)
    file = PairFile(kept)
    done = Instructed()
    pairs = {pair.key: pair for pair in file.read(known) if _fault(pair) is None}
    dice = random.Random(seed + len(pairs))  # noqa: S311 - which facts go together
    fruitless = 0
    while not (why := _enough(done, budget, len(pairs), fruitless)):
        shown = dice.sample(known, min(FACTS_A_CALL, len(known)))
        outbound = await _outbound(shown, detector, model, encode)
        try:
            answer = await _asked(cloud, outbound)
        except ModelError as error:
            why = f"the cloud failed ({error.code})"
            break
        _book(done, answer, outbound, budget)
        new = [pair for pair in _good(answer, shown, done) if pair.key not in pairs][: budget.pairs - len(pairs)]
        pairs |= {pair.key: pair for pair in new}
        file.add(new)
        fruitless = 0 if new else fruitless + 1
        done.examples = [_example(pair) for pair in pairs.values()]
        progress(done)
    done.examples = [_example(pair) for pair in pairs.values()][: budget.pairs]
    done.stopped = why
    return done


async def _sendable(facts: Sequence[Fact], detector: Detector, model: str) -> list[Fact]:
    """The public facts in which the detector finds nothing to hide, each searched alone."""
    public = [fact for fact in facts if fact.label is Label.PUBLIC]
    if not public:
        raise RequestError(
            "there are no public facts of the site to write about: set [site] name or city, or import places with "
            "`netgpt places import FILE`"
        )
    clean = []
    for fact in public:
        outbound = await Vault().seal(_body([fact], model), detector, public=[fact.text])
        if not outbound.hidden:
            clean.append(fact)
    if not clean:
        raise NotDisclosable("every public fact of the site holds something private; nothing was sent")
    return clean


async def _outbound(facts: Sequence[Fact], detector: Detector, model: str, encode: Encoder) -> Outbound:
    """The sealed request about these facts. Nothing is sent when they disclose together what each alone does not."""
    public = [fact.text for fact in facts]
    outbound = await Vault().seal(_body(facts, model), detector, public=public, encode=encode)
    if outbound.hidden:
        raise NotDisclosable("the site's facts together hold something private; nothing was sent")
    return outbound


def _body(facts: Sequence[Fact], model: str) -> dict[str, Any]:
    lines = "\n".join(f"{number}. {fact.text}" for number, fact in enumerate(facts, 1))
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": _TASK.format(count=PAIRS_A_CALL)},
            {"role": "user", "content": f"Facts:\n{lines}"},
        ],
        "temperature": 1.0,
        "max_tokens": TOKENS_A_CALL,
        "response_format": {"type": "json_schema", "json_schema": {"name": "pairs", "strict": True, "schema": _SCHEMA}},
    }


async def _asked(cloud: RemoteModel, outbound: Outbound) -> dict[str, Any]:
    async with aclosing(cast(Any, cloud.send(outbound, sender=Sender(purpose="self-instruct")))) as chunks:
        return join_chunks([chunk async for chunk in chunks])


def _book(done: Instructed, answer: Mapping[str, Any], outbound: Outbound, budget: Budget) -> None:
    """Count the usage that the cloud reports; where that is not plausible, the size of request and answer."""
    usage = Usage.from_openai(answer.get("usage"))
    least = Usage(len(outbound.content) // 8, len(json.dumps(answer.get("choices"))) // 8, estimated=True)
    if usage is None or usage.total_tokens < least.total_tokens:
        usage = least
    done.calls += 1
    done.tokens += usage.total_tokens
    done.cost += budget.cost_of(usage)


def _enough(done: Instructed, budget: Budget, pairs: int, fruitless: int) -> str:
    """Why no further call is made, or an empty text."""
    if pairs >= budget.pairs:
        return "enough"
    if done.tokens + TOKENS_A_CALL > budget.tokens:
        return "tokens"
    if done.cost + budget.cost_of(Usage(TOKENS_A_CALL, TOKENS_A_CALL)) > budget.cost:
        return "money"
    return "fruitless" if fruitless >= FRUITLESS_CALLS else ""


def _good(answer: Mapping[str, Any], facts: Sequence[Fact], done: Instructed) -> list[Pair]:
    """The pairs of an answer that pass; each fault is counted."""
    found, faults = pairs_in(answer, facts)
    done.dropped.update(faults)
    good: dict[str, Pair] = {}
    for pair in found:
        if (fault := _fault(pair) or ("written twice" if pair.key in good else None)) is None:
            good[pair.key] = pair
        else:
            done.dropped[fault] += 1
    return list(good.values())


def _fault(pair: Pair) -> str | None:
    """What is wrong with a pair, without a word of it."""
    if check(pair.completion, pair.request, pair.facts):
        return "says what was not given, or drops what was"
    said = set(tokens(pair.completion))
    if not all(any(is_given(word, said) for word in content_words(fact.text)) for fact in pair.facts):
        return "claims a fact that it does not use"
    return None


def _example(pair: Pair) -> Example:
    """The pair as the live `rewrite` mode asks it."""
    body = rewriting(pair.request, pair.facts)
    messages = tuple(dict(message) for message in body["messages"])
    return Example(messages, pair.completion, ORIGIN, slice="rewrite")
