"""Mode `select`: which facts a request needs. A selection invents nothing and does not change the person's words.

The model of relevance chooses where it is on the box (`choose.py`). What follows is the way without it.

With the adapter `complete` the edge model names the request's class, and the kinds of facts that help with the likely
classes are chosen. Without it embeddings score every fact by the example requests that this one is similar to; where a
score is in doubt, the untrained model names the topic, and facts that help with it rise. When the model does not answer
in time, the embeddings alone decide.
"""

from __future__ import annotations

import asyncio
import logging
import re
import tomllib
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple, TypeVar

from netgpt.completion.choose import Chooser, Embed, Fetch, Selection
from netgpt.completion.classify import Ask, helpful_kinds, judge, name_class
from netgpt.completion.relevance import Relevance
from netgpt.errors import ContextTooLong, ModelError
from netgpt.registry import holds_texts
from netgpt.types import Fact

log = logging.getLogger(__name__)

T = TypeVar("T")
_AROUND = re.compile(
    r"\b(?:near\s?by|near (?:me|us|here|by|my \w+)|around (?:here|me|us)|close (?:by|to (?:me|us|here|my \w+))"
    r"|closest|nearest|(?:in|around) my (?:area|town|city|neighbou?rhood|street|region)|from here|walking distance)\b",
    re.IGNORECASE,
)
"""98 % of the requests with such words need the place by their label, too (development data)."""
_PLACE = frozenset({"place", "poi"})


def cued_kinds(request: str) -> frozenset[str]:
    """Kinds that the request asks for by its words alone: "anything on nearby" needs the place."""
    return _PLACE if _AROUND.search(request) else frozenset()


class Topic(NamedTuple):
    """One row of `topics.toml`: kinds of facts that help, and requests that they help with."""

    kinds: frozenset[str]
    requests: tuple[str, ...]


@cache
def topics() -> tuple[Topic, ...]:
    """Every topic, read once (1 ms)."""
    text = resources.files("netgpt.completion").joinpath("topics.toml").read_text(encoding="utf-8")
    return tuple(Topic(frozenset(row["helped_by"]), tuple(row["requests"])) for row in tomllib.loads(text)["topic"])


@cache
def known_kinds() -> frozenset[str]:
    """The kinds of facts that the topics know."""
    return frozenset().union(*(topic.kinds for topic in topics()))


_OTHER_WORDS = {
    "place": "location city home address town hometown neighbourhood country residence site",
    "time": "date clock now today weekday",
    "cuisine": "food taste cuisines dish",
    "diet": "dietary",
    "allergy": "intolerance intolerances allergies",
    "budget": "money price finance income spending",
    "car": "vehicle transport",
    "pet": "pets animal animals dog cat",
    "work": "job employer profession occupation career",
    "family": "children kids spouse partner",
    "music": "genre band artist",
    "language": "languages tongue",
    "hobby": "hobbies interest interests sport sports",
    "health": "medical medication",
    "poi": "restaurant places",
    "schedule": "calendar",
}
ALIASES = {word: kind for kind, words in _OTHER_WORDS.items() for word in words.split()}
"""Other words for the kinds of the topics."""


@cache
def _table() -> list[dict[str, Any]]:
    text = resources.files("netgpt.completion").joinpath("kinds.toml").read_text(encoding="utf-8")
    table: list[dict[str, Any]] = tomllib.loads(text)["kind"]
    return table


@cache
def _patterns(column: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Kind and pattern in the order of weight, of the column "telling" or "words" of `kinds.toml`."""
    return tuple((row["name"], _pattern(row[column])) for row in _table() if row[column].strip())


def _pattern(words: str) -> re.Pattern[str]:
    # Letters outside classes stay case-blind; a name's capital ("[A-Z]") must be one.
    joined = "|".join(re.sub(r"(?<=\w)\*", r"\\w*", word) for word in words.split()).replace("||", "|")
    return re.compile(rf"(?<!\w)(?i:{joined})(?!\w)".replace("[A-Z]", "(?-i:[A-Z])"))


_SUBJECT = re.compile(r"^(?:the )?(?:user|person|customer|i|he|she|they)(?:'s)?\b\s*", re.IGNORECASE)
"""The subject of a fact says nothing about its kind."""
_NAME = re.compile(r"([A-Za-z' ]{2,40}?)\s*(?::|=| - )\s*\S")
_SURE = 0.55
"""Cosine above which the nearest example settles the kind."""


def known_kind(kind: str) -> str | None:
    """The kind as the topics call it; None when they do not know it."""
    kind = kind.strip().casefold()
    return kind if kind in known_kinds() else ALIASES.get(kind)


class KindGuesser:
    """`guess(text)` -> the kind of a fact given as plain text, or "other"."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._examples: Any = None
        self._kinds = [row["name"] for row in _table() for _ in row["examples"]]
        self.guess = holds_texts(lru_cache(maxsize=2048)(self._guess))

    def _guess(self, text: str) -> str:
        return _named(text) or _settled(text, "telling") or _settled(text, "words") or self._nearest(text)

    def _nearest(self, text: str) -> str:
        if self._examples is None:
            self._examples = self._embed([example for row in _table() for example in row["examples"]])
        nearness = self._examples @ self._embed([_SUBJECT.sub("", text)])[0]
        best = int(nearness.argmax())
        return self._kinds[best] if nearness[best] >= _SURE else "other"


def _named(text: str) -> str | None:
    """The kind that a fact names itself: "User's home town: Leeds", "favourite cuisine - thai"."""
    name = _NAME.match(text)
    words = re.findall(r"[a-z]+", name[1].casefold()) if name else []
    return next((kind for word in reversed(words) if (kind := known_kind(word) or known_kind(word.rstrip("s")))), None)


def _settled(text: str, column: str) -> str | None:
    stated = _SUBJECT.sub("", text)
    return next((kind for kind, pattern in _patterns(column) if pattern.search(stated)), None)


SHARPNESS = 15.0
"""The weight of an example is exp(SHARPNESS * cosine). Tuned on the files below (docs/log.md)."""
CUT = 0.5
"""Score from which a fact is chosen by embeddings."""
TRAINED_CUT = 0.5
"""The same by the trained edge model, whose scores are probabilities."""
RISE = 0.3
"""Added to a score by the untrained edge model; facts from CUT - RISE up to CUT are in doubt."""
BELIEVED = 0.01
"""Least likelihood of an answer that is used: below, the grammar forced it.

CUT, RISE and BELIEVED are tuned on the development files of CLINC150, SLURP and SNIPS. The model may only raise:
letting it veto lost more than it gained.
"""
_NEARBY_BONUS = 0.2
"""Places nearby were already looked up by the request's own words."""
_TEXT_FLOOR, _TEXT_FULL = 0.25, 0.65
"""Cosine of request and fact at which a fact of unknown kind starts to count, and counts fully."""


class Shortlist:
    """Scores facts by the requests that are similar to this one: a kernel vote over the hand-written topics (1 ms)."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._guesser = KindGuesser(embed)
        self._examples: Any = None
        self._votes: Any = None
        self._column = {kind: index for index, kind in enumerate(sorted(known_kinds()))}

    def needs(self, request: str) -> dict[str, float]:
        """The probability that a fact of each known kind helps with this request."""
        return self._needs(self._embed([request])[0])

    def kind_of(self, fact: Fact) -> str:
        """The fact's kind as the topics name it; guessed from its text when its own kind is not known."""
        return known_kind(fact.kind) or self._guesser.guess(fact.text)

    def scores(self, request: str, facts: Sequence[Fact], needs: Mapping[str, float] | None = None) -> list[float]:
        """One score a fact, 0 to 1. A fact of a kind that no topic knows counts by the similarity of its text.

        `needs`: the probability that each kind helps, by the edge model; None: by the topics.
        """
        if not facts:
            return []
        vectors = self._embed([request, *(fact.text for fact in facts)])
        if needs is None:
            if not vectors[0].any():
                return [0.0] * len(facts)
            needs = self._needs(vectors[0])
        needs = {kind: 1.0 if kind in cued_kinds(request) else share for kind, share in needs.items()}
        return [self._score(fact, needs, float(vectors[0] @ row)) for fact, row in zip(facts, vectors[1:], strict=True)]

    def _score(self, fact: Fact, needs: Mapping[str, float], nearness: float) -> float:
        kind = self.kind_of(fact)
        near = min(1.0, max(0.0, (nearness - _TEXT_FLOOR) / (_TEXT_FULL - _TEXT_FLOOR)))
        if kind not in needs:
            return near
        # A caller's own kind ("furniture") says more than the kind that was guessed from the text.
        foreign = known_kind(fact.kind) is None and fact.kind != "other"
        need = min(1.0, needs[kind] + (_NEARBY_BONUS if kind == "poi" else 0.0))
        return max(need, near) if foreign else need

    def _needs(self, vector: Any) -> dict[str, float]:
        import numpy as np

        if self._examples is None:
            self._embed_topics()
        weights = np.exp(SHARPNESS * (self._examples @ vector))
        shares = (weights @ self._votes) / weights.sum()
        return {kind: float(shares[index]) for kind, index in self._column.items()}

    def _embed_topics(self) -> None:
        """Once, on first use (10 ms)."""
        import numpy as np

        pairs = [(example, topic.kinds) for topic in topics() for example in topic.requests]
        self._votes = np.array([[kind in kinds for kind in self._column] for _, kinds in pairs], dtype=np.float32)
        self._examples = self._embed([example for example, _ in pairs])


class Selector:
    """Chooses at most `max_facts` facts: by the model of relevance once it has one, else by the edge model and
    embeddings; by embeddings alone when `ask` is None. `judge_s`: the edge model's time limit."""

    def __init__(self, ask: Ask | None, embed: Embed, max_facts: int = 6, *, judge_s: float = 1.5) -> None:
        self._ask, self._max_facts, self._judge_s = ask, max_facts, judge_s
        self._embed, self._shortlist = embed, Shortlist(embed)
        self.chooser: Chooser | None = None
        self.without = ""
        """Why there is no model of relevance, in a few words, for explanations."""

    def use(self, relevance: Relevance | None, without: str = "") -> None:
        """Choose with this model from now on; None: without one, and `without` says why."""
        self.chooser = Chooser(relevance, self._embed, self._max_facts) if relevance is not None else None
        self.without = without

    async def select(
        self,
        request: str,
        facts: Sequence[Fact],
        trained: Ask | None = None,
        *,
        within_s: float = 1.5,
        fetch: Fetch | None = None,
    ) -> Selection:
        """The facts that help with `request`; none when nothing helps.

        `trained`: the edge model with the adapter `complete` on, asked only without a model of relevance. `within_s`,
        `fetch`: see `Chooser.select`.
        """
        if not facts:
            return self._chosen([], "nothing is known")
        without = self.without
        if self.chooser is not None:
            try:
                return await self.chooser.select(request, facts, within_s=within_s, fetch=fetch)
            except Exception as error:  # noqa: BLE001 - no request is lost for it: there is another way
                log.warning("completion: the model of relevance failed (%s)", type(error).__name__)
                without = "the model of relevance failed"
        selection = await self._by_kinds(request, facts, trained)
        return replace(selection, why=f"{selection.why} ({without})") if without else selection

    async def _by_kinds(self, request: str, facts: Sequence[Fact], trained: Ask | None) -> Selection:
        if trained is None:
            return await self._untrained(request, facts)
        likely = await self._in_time(name_class(trained, request))
        if isinstance(likely, str):
            return self._chosen(self._shortlist.scores(request, facts), f"by embeddings: {likely}")
        scores = self._shortlist.scores(request, facts, helpful_kinds(likely))
        return self._chosen(scores, "by the trained edge model", TRAINED_CUT)

    async def _untrained(self, request: str, facts: Sequence[Fact]) -> Selection:
        scores = self._shortlist.scores(request, facts)
        doubtful = [index for index, score in enumerate(scores) if CUT - RISE <= score < CUT]
        if self._ask is None or not doubtful:
            return self._chosen(scores, "by embeddings")
        opinion = await self._in_time(judge(self._ask, request))
        if isinstance(opinion, str):
            return self._chosen(scores, f"by embeddings: {opinion}")
        if opinion.confidence >= BELIEVED:
            for index in doubtful:
                scores[index] += RISE if self._shortlist.kind_of(facts[index]) in opinion.kinds else 0.0
        return self._chosen(scores, "by embeddings and the edge model")

    async def _in_time(self, answer: Awaitable[T]) -> T | str:
        """The edge model's answer, or why there is none."""
        try:
            async with asyncio.timeout(self._judge_s):
                return await answer
        except TimeoutError:
            return "the edge model took too long"
        except (ModelError, ContextTooLong) as error:
            return f"the edge model failed ({error.code})"

    async def warm(self, trained: Ask | None = None) -> None:
        """Load what is read on first use, and put the instruction into the engine's prompt cache. Raises ModelError.

        Nothing to do where the model of relevance chooses."""
        if self.chooser is not None:
            return
        await asyncio.to_thread(self._shortlist.needs, "hello")
        if trained is not None:
            await name_class(trained, "hello")
        elif self._ask is not None:
            await judge(self._ask, "hello")

    async def close(self) -> None:
        """Read no further in the background."""
        if self.chooser is not None:
            await self.chooser.close()

    def _chosen(self, scores: Sequence[float], how: str, cut: float = CUT) -> Selection:
        best = sorted((index for index, score in enumerate(scores) if score >= cut), key=lambda index: -scores[index])
        chosen = tuple(sorted(best[: self._max_facts]))
        result = f"{len(chosen)} of {len(scores)} facts help" if chosen else "nothing helps"
        return Selection(chosen, f"{result}, {how}")
