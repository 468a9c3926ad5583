"""What becomes of an answer of the box, by how far it may be believed: it is given, asked again, doubted, or another's.

Its words are held back until that is settled, so nobody sees one that is given up. What was passed on stands: it is
never taken back, only followed by a word where its end made it doubtful.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from netgpt.errors import LowConfidence
from netgpt.generation import unsure
from netgpt.generation.fallback import ASKED, FAILS, NEVER, ROOM, Chosen, FallbackChain, Opened, estimate
from netgpt.generation.start import Start, Waited, ending, parted, with_words, words_of
from netgpt.judgement import ADVICE, TASK_KINDS, UNKNOWN, AnswerJudge, Confidence, TaskKind
from netgpt.models.stream import as_chunk, join_chunks
from netgpt.outbound import Acted
from netgpt.routing.candidates import Prior, last_user_text
from netgpt.settings.routing import Routing
from netgpt.types import EDGE, Chunk, Decision

log = logging.getLogger(__name__)

HARMLESS: Final = frozenset({"rewriting", "creative", "chat", "json", "tools", "classification"})
"""Kinds whose answers assert little, or are read by programs: no word of doubt is written into them."""
ASSERTING: Final = frozenset(
    {
        "facts", "definitions", "arithmetic", "word-problems", "reasoning", "science", "code-reading", "dates", "local",
        ADVICE,
    }
)  # fmt: skip
"""Kinds in which an answer that is probably wrong is rather not given at all."""
HOPELESS: Final = 0.3  # an asserting answer with a lower chance than this is not given: it is wrong two times in three
ADVICE_FROM: Final = 0.25  # a request that is one for advice with this chance is treated as one: a wrong answer harms
BARELY: Final = 0.05  # where fewer answers of a kind do than this, another is asked without waiting for the box's
MILD_FROM: Final = 0.4  # one whose kinds assert little with this chance is not given a word of doubt
LOOK_EVERY: Final = 80  # characters from one look at an answer that is being written to the next
_STAYS: Final = frozenset({ASKED, "personal", "share", "budget", "deadline"})
"""Rules of decisions for the box that a doubtful answer does not overrule: a wish, a promise, or a bound."""
_WHY: Final = {
    ASKED: unsure.WISHED, "personal": unsure.PERSONAL, "share": unsure.SPENT, "budget": unsure.SPENT,
    "sensitive": unsure.KEPT, "kept": unsure.KEPT, "cloud-down": unsure.AWAY, "deadline": unsure.AWAY,
}  # fmt: skip


def _unknown(_text: str) -> TaskKind:
    return TaskKind()


def _not_measured(_target: str, _kind: str) -> float | None:
    return None


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Acting:
    """How the box acts on what it believes of its own answers. Without `judge` only advice gets a word of doubt."""

    rules: Routing
    judge: AnswerJudge | None = None
    kind_of: Callable[[str], TaskKind] = _unknown
    prior: Prior = _not_measured
    may_escalate: Callable[[], bool] = _always
    """Whether the bound on the share of clouds lets one more request go there."""

    def hearing(self, request: JudgedRequest) -> Hearing | None:
        """Who looks at the box's answer to this request; None: nobody."""
        if EDGE not in (request.decision.name, *request.decision.fallbacks):
            return None
        hearing = Hearing(self, request)
        return hearing if self.judge is not None or hearing.risky else None


@dataclass(frozen=True)
class JudgedRequest:
    """What a hearing knows of a request, besides what the chain does."""

    body: Mapping[str, Any] = field(repr=False)
    messages: list[dict[str, Any]] = field(repr=False)  # as the box's model gets them
    decision: Decision
    facts: Sequence[str] = field(default=(), repr=False)  # what the box told its model besides
    rule: str = ""  # of the policy, that keeps the request here
    stream: bool = False
    wish: str | None = None  # "say", "answer", "refuse"; None: as in the settings


class Hearing:
    """One answer of the box, looked at before anybody else sees it."""

    def __init__(self, acting: Acting, asked: JudgedRequest) -> None:
        self.acting, self.asked = acting, asked
        self.text = last_user_text(asked.body.get("messages") or ())
        self.wish = asked.wish or acting.rules.on_low_confidence
        form = asked.body.get("response_format")
        free = form is None or (isinstance(form, Mapping) and form.get("type") == "text")
        self.tools = bool(asked.body.get("tools") or asked.body.get("functions"))
        self.prose = free and not self.tools and not ({"grammar", "json_schema"} & asked.body.keys())
        """Whether a word of doubt may be written into the answer: not into JSON, nor beside the call of a tool."""
        self.patient = self.wish == "refuse" or not asked.stream
        """Whether nobody waits for its words one by one."""
        self._acted = Acted("given")
        self._open: Start | None = None

    @cached_property
    def kind(self) -> TaskKind:
        """Of the request, by its form where that settles it, else by its words."""
        if self.tools:
            return TaskKind("tools", 1.0)
        try:
            return self.acting.kind_of(self.text)
        except Exception as error:  # noqa: BLE001 - as if nothing were known of it
            log.error("the kind of a request could not be told: %s", type(error).__name__)
            return TaskKind()

    @cached_property
    def prior(self) -> float | None:
        """How often the box's answers of this kind do; where the kind is in doubt, of all that it may be."""
        chances = dict(self.kind.chances) or {self.kind.name: self.kind.chance}
        chances[UNKNOWN] = chances.get(UNKNOWN, 0.0) + max(0.0, 1.0 - sum(chances.values()))
        known = [(chance, prior) for kind, chance in chances.items() if (prior := self._skill(kind)) is not None]
        weight = sum(chance for chance, _ in known)
        return sum(chance * prior for chance, prior in known) / weight if weight > 0.0 else None

    def _skill(self, kind: str) -> float | None:
        """How often its answers of a kind do; where that is unknown, of all kinds."""
        if kind != UNKNOWN:
            return self.acting.prior(EDGE, kind)
        known = [prior for each in TASK_KINDS if (prior := self.acting.prior(EDGE, each)) is not None]
        return sum(known) / len(known) if known else None

    @cached_property
    def risky(self) -> bool:
        """Whether it asks for advice that the model on the box is not known to be good at."""
        if self.kind.name != ADVICE and dict(self.kind.chances).get(ADVICE, 0.0) < ADVICE_FROM:
            return False
        skill = self.acting.prior(EDGE, ADVICE)
        return skill is None or skill < self.acting.rules.sure

    @property
    def speaks(self) -> bool:
        """Whether a word of doubt is written where there is doubt."""
        return self.prose and (self.risky or (self.wish == "say" and not self.mild))

    @property
    def mild(self) -> bool:
        """Whether it is probably of a kind that asserts little."""
        likely = sum(chance for kind, chance in self.kind.chances if kind in HARMLESS)
        return self.kind.name in HARMLESS or likely >= MILD_FROM

    @property
    def muted(self) -> bool:
        """Whether nothing that the box's model says will be given: a word stands in its place."""
        return self.risky and self.speaks and self.wish == "say"

    @property
    def bar(self) -> float:
        """The chance from which on the box is sure; where little is asserted, half of it will do."""
        return self.acting.rules.sure / (2 if self.mild else 1)

    def is_sure(self, confidence: Confidence | None) -> bool:
        if self.risky:
            return False
        return confidence is None or (not confidence.wrong and confidence.chance >= self.bar)

    async def settled(self, chain: FallbackChain, chosen: Chosen) -> Chosen:
        """The answer that is given, held back until it is settled which. Raises LowConfidence, StoreError, and what
        broke the box's answer off, where no other takes its place."""
        self._open = Start(chosen.opened, chain.stats)
        try:
            return await self._settled(chain, chosen)
        except BaseException:
            await self._open.close()
            raise

    async def _settled(self, chain: FallbackChain, chosen: Chosen) -> Chosen:
        assert self._open is not None
        others, start = self._elsewhere(chain), self._open
        confidence = await self._held(chain, start, others)
        if not self.is_sure(confidence):
            confidence = await self._asked_again(chain, start, confidence, bool(others))
            start = self._open
        doubtful = start.error is not None or not self.is_sure(confidence)
        broken = start.error is not None and chain.request.fallback == NEVER
        may = others and doubtful and not broken
        if may and (other := await self._escalated(chain, start, others, confidence)) is not None:
            return other
        if self.patient and not start.over and not self.muted:
            await self._read_on(chain, start)
            confidence = self._judged(start, whole=start.error is None)
        if start.error is not None and not self.asked.stream:
            raise start.error
        chain.outcome.confidence = confidence
        chain.outcome.acted = self._acted = replace(self._acted, held_s=time.monotonic() - start.began)
        if self.is_sure(confidence):
            return self._opened(chain, chosen, start, start.chunks, said=False)
        return await self._doubted(chain, chosen, start)

    async def _escalated(
        self, chain: FallbackChain, start: Start, others: Sequence[str], confidence: Confidence | None
    ) -> Chosen | None:
        """Another's answer, and the box's own given up; None: no other gave a word."""
        held_s = time.monotonic() - start.began
        if (other := await chain.instead(others)) is None:
            return None
        await start.close()
        chain.outcome.acted = replace(
            self._acted, how="escalated", held_s=held_s, start=confidence,
            tokens=self._acted.tokens + start.tokens, seconds=time.monotonic() - start.began,
        )  # fmt: skip
        if start.error is None:
            chain.on_model_call(EDGE, "given_up")
            return other
        chain.fails(EDGE, start.error)
        return replace(other, instead=False)

    async def _read_on(self, chain: FallbackChain, start: Start) -> None:
        while await start.more(chain.until) is Waited.CHUNK:
            pass

    async def _held(self, chain: FallbackChain, start: Start, others: Sequence[str]) -> Confidence | None:
        """Read until it is settled whether to give it: sure, whole, or as far as it may be held back."""
        if self.muted or (others and (self.risky or (self.prior is not None and self.prior < BARELY))):
            await start.more(chain.until)
            return self._judged(start, whole=False)  # whatever it goes on to say, it is not given
        if not (self.patient or others or self.speaks or not (self.prose or self.tools)):
            return None  # nothing hangs on it now: it is judged at its end
        rules, look = self.acting.rules, LOOK_EVERY
        until = start.began + rules.hold_s
        limit = min(until, self._latest(chain, others)) if others else math.inf
        while (read := await start.more(chain.until, limit)) is Waited.CHUNK:
            if start.whole and self.asked.stream:
                break
            far = time.monotonic() > min(until, limit) or start.characters >= rules.hold_characters
            if (self.patient and not others) or (start.characters < look and not far):
                continue
            look = start.characters + LOOK_EVERY
            confidence = self._judged(start, whole=False)
            if self.is_sure(confidence):
                if not self.patient:
                    return confidence
                limit = math.inf
            elif far or (others and confidence is not None and (confidence.wrong or confidence.chance < self.bar / 2)):
                return confidence
        return self._judged(start, whole=read is not Waited.LATE and start.error is None)

    def _judged(self, start: Start, *, whole: bool) -> Confidence | None:
        """How far the least likely of its choices may be believed; None: nobody judges."""
        told: Confidence | None = None
        if self.acting.judge is not None:
            each = [self._judged_one(self.acting.judge, start, place, whole) for place in start.choices or (0,)]
            told = min(each, key=lambda one: (not one.wrong, one.chance))
        if not self.risky:
            return told
        why = "it asks for advice, which the model on the box is not known to be good at"
        chance = min(told.chance if told else 1.0, self.acting.rules.sure / 2)
        return Confidence(chance, (why, *(told.reasons if told else ())), wrong=bool(told and told.wrong))

    def _judged_one(self, judge: AnswerJudge, start: Start, place: int, whole: bool) -> Confidence:
        """A judge that fails, or says what is no chance, counts as doubt."""
        body = {**self.asked.body, "messages": self.asked.messages}
        stats = start.stats if start.stats and start.stats.count and len(start.choices) == 1 else None
        cut = self.prose and start.ended.get(place) == "length"
        try:
            told = judge.judge(
                body, start.text(place), kind=self.kind, prior=self.prior, stats=stats, facts=self.asked.facts,
                whole=whole and not cut,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - whatever fails in judging, the box then claims less
            log.error("an answer could not be judged: %s", type(error).__name__)
            return Confidence(0.0, ("it could not be judged",))
        return told if 0.0 <= told.chance <= 1.0 else replace(told, chance=0.0)

    def _elsewhere(self, chain: FallbackChain) -> list[str]:
        """Who may be asked in the place of the box, where that was its own choice. A tool's loop keeps its model."""
        decision = self.asked.decision
        stays = decision.name != EDGE or decision.rule in _STAYS or decision.weights == "private" or self.tools
        if stays or not self.acting.rules.cascade or not self.acting.may_escalate():
            return []
        expected = {one.target: one for one in decision.expected}
        own = expected[EDGE].p_ok if EDGE in expected else 0.0
        return [
            target for target in decision.fallbacks
            if target in chain.remotes and target in chain.request.outbounds and chain.remotes[target].health().ok
            and (target not in expected or expected[target].p_ok > own)
            and time.monotonic() < self._latest(chain, [target])
        ]  # fmt: skip

    def _latest(self, chain: FallbackChain, others: Sequence[str]) -> float:
        """Until when the box's words may be held back, so that another still has its time."""
        took = [one.latency_s for one in self.asked.decision.expected if one.target in others[:1]]
        left = chain.until - time.monotonic()
        return chain.until - (ROOM * took[0] if took else left / 2)

    async def _asked_again(
        self, chain: FallbackChain, first: Start, confidence: Confidence | None, others: bool
    ) -> Confidence | None:
        """Where a check found the answer wrong and there is time, a second one takes its place if it is better."""
        if confidence is None or not (confidence.wrong and confidence.repair):
            return confidence
        took, now = time.monotonic() - first.began, time.monotonic()
        whole = first.error is None and first.whole and len(first.choices) == 1 and not first.calls
        if not whole or now + ROOM * took > (self._latest(chain, ()) if others else chain.until):
            return confidence
        said: list[dict[str, Any]] = [
            {"role": "assistant", "content": first.text(first.choices[0])},
            {"role": "user", "content": confidence.repair},
        ]
        await self._read_on(chain, first)  # its usage is still to come
        try:
            opened = await chain.again([*self.asked.messages, *said], chain.until)
        except FAILS:
            return confidence
        second = Start(opened, chain.stats)
        try:
            await self._read_on(chain, second)
            better = self._judged(second, whole=True)
        finally:
            await second.close()  # it was read to its end
        fails = second.error is not None or better is None or (better.wrong and better.chance <= confidence.chance)
        lost = second if fails else first
        self._acted = replace(self._acted, asked_again=True, tokens=lost.tokens, seconds=took)
        chain.on_model_call(EDGE, "asked_again")
        if fails:
            return confidence
        await first.close()
        second.began, self._open = first.began, second
        return better

    async def _doubted(self, chain: FallbackChain, chosen: Chosen, start: Start) -> Chosen:
        """With a word, with nothing but a word, or not at all. Raises LowConfidence."""
        confidence, decision = chain.outcome.confidence, self.asked.decision
        why = self._why(chain)
        if self.wish == "refuse":
            chain.outcome.acted = replace(self._acted, how="refused", why=why, tokens=start.tokens)
            chain.outcome.usage = start.usage or estimate(chain.request.question(), start.characters)
            chain.on_model_call(EDGE, "refused")
            raise _refusal(confidence, decision)
        if not self.speaks:
            return self._opened(chain, chosen, start, start.chunks, said=False)
        language, facts = unsure.language_of(self.text), self.asked.facts
        here = unsure.why_here(why, language, self.asked.rule or decision.rule)
        if start.error is None and self._is_hopeless(confidence):
            chain.outcome.acted = replace(self._acted, how="withheld", why=why, tokens=start.tokens)
            word = unsure.in_its_place(language, here, facts, advice=self.risky)
            return replace(chosen, opened=await self._replaced(chain, start, word))
        chain.outcome.acted = replace(self._acted, how="said", why=why)
        before = unsure.before_a_guess(language, here, facts, advice=self.risky)
        return self._opened(chain, chosen, start, with_words(start.chunks, before), said=True)

    def _is_hopeless(self, confidence: Confidence | None) -> bool:
        if self.wish == "answer":
            return False
        low = confidence is not None and (confidence.wrong or confidence.chance < HOPELESS)
        return self.risky or (low and self.kind.name in ASSERTING)

    def _why(self, chain: FallbackChain) -> str:
        """What keeps it on the box, as a name of `unsure`; empty: nothing that a word could name."""
        decision = self.asked.decision
        if not chain.remotes:
            return unsure.ALONE
        if decision.weights == "private":
            return unsure.WISHED
        if chain.failed or decision.name != EDGE:
            return unsure.AWAY
        return _WHY.get(decision.rule, unsure.KEPT if self.asked.rule else "")

    def _opened(self, chain: FallbackChain, chosen: Chosen, start: Start, held: list[Chunk], *, said: bool) -> Chosen:
        """What is passed on: as a stream, or in one piece."""
        if self.asked.stream:
            return replace(chosen, opened=Opened(held, self._followed(chain, start, said)))
        return replace(chosen, opened=Opened([as_chunk(join_chunks(held))], _nothing()))

    async def _replaced(self, chain: FallbackChain, start: Start, word: str) -> Opened:
        """`word` in the place of all that it said."""
        await start.close()
        like, places = start.chunks[-1], start.choices or (0,)
        used = start.usage or estimate(chain.request.question(), start.characters)
        chunks = [words_of(like, place, word, first=True) for place in places]
        chunks += [ending(like, place) for place in places]
        chunks.append({**ending(like, 0), "choices": [], "usage": used.as_openai()})
        return Opened(chunks if self.asked.stream else [as_chunk(join_chunks(chunks))], _nothing())

    async def _followed(self, chain: FallbackChain, start: Start, said: bool) -> AsyncIterator[Chunk]:
        """The rest, judged once more where it ends: doubt that comes up there is told before the end is."""
        try:
            async for chunk in start.follow(chain.until):
                ends = [each.get("index", 0) for each in chunk.get("choices") or () if each.get("finish_reason")]
                if ends and start.whole:
                    chain.outcome.confidence = self._judged(start, whole=True)
                    if not (said or start.calls or self.is_sure(chain.outcome.confidence)) and self.speaks:
                        rest, chunk = parted(chunk, ends[0])
                        yield rest
                        yield words_of(chunk, ends[0], self._late_word(chain))
                yield chunk
        finally:
            await start.close()

    def _late_word(self, chain: FallbackChain) -> str:
        why, language = self._why(chain), unsure.language_of(self.text)
        chain.outcome.acted = replace(chain.outcome.acted or self._acted, how="said", why=why)
        here = unsure.why_here(why, language, self.asked.rule or self.asked.decision.rule)
        return unsure.afterwards(language, here, advice=self.risky)


def _refusal(confidence: Confidence | None, decision: Decision) -> LowConfidence:
    chance = f" (chance {confidence.chance:.2f}: {'; '.join(confidence.reasons[:3])})" if confidence else ""
    return LowConfidence(
        f'the model on the box is not sure of its answer{chance}, and on_low_confidence is "refuse". It was asked '
        f"because: {decision.reason.rstrip('.')}. Let a larger model be asked, or say on_low_confidence = "
        '"say" or "answer"'
    )


async def _nothing() -> AsyncIterator[Chunk]:
    return
    yield {}
