"""What becomes of an answer of the box by how far it is believed: cascade, a word of doubt, a second try."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from asked import about_to, generated, read, remotes_at, targets_of
from boxes import fill
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netgpt.errors import BrokenStream, LowConfidence, ModelUnavailable, NetGPTError
from netgpt.exchange import Exchange
from netgpt.generation.acting import HARMLESS, Acting, Hearing, JudgedRequest
from netgpt.generation.unsure import afterwards, before_a_guess, in_its_place, why_here
from netgpt.judgement import TASK_KINDS, Confidence, TaskKind, TokenStats
from netgpt.settings.routing import Routing
from netgpt.testing.models import RuleJudge, ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Decision, Expected, Fact, Kept

EDGE_SAYS = "ember ember ember ember wrong ember ember ember ember ember ember ember ember ember ember ember ember end"
CLOUD_SAYS = "the far one knows it"
UNSURE = {"wrong": 0.4}
RULES = Routing(hold_characters=400, hold_s=60)  # the machine may be busy


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud(CLOUD_SAYS, slow_s=30) as far:
        yield far


def acting(judge: Any, kind: str = "facts", prior: float | None = None, **rules: Any) -> Acting:
    return Acting(RULES.model_copy(update=rules), judge, lambda _text: TaskKind(kind, 0.9), lambda *_: prior)


async def given_by(
    one: Exchange,
    judge: Any,
    cloud: FaultyCloud | None = None,
    edge: Any = None,
    said: list[str] | None = None,
    **how: Any,
) -> str:
    """The whole answer's text."""
    patience = {"cloud": how.pop("patience_s")} if "patience_s" in how else None
    remotes = remotes_at({"cloud": cloud} if cloud else {}, patience)
    try:
        near = edge or ScriptedModel(EDGE_SAYS)
        acts = how.pop("acting", None) or acting(judge, **how)
        return await read(await generated(one, near, remotes, acting=acts), said)
    finally:
        for remote in remotes.values():
            await remote.close()


def wishing(one: Exchange, wish: str) -> Exchange:
    object.__setattr__(one.request, "on_low_confidence", wish)
    return one


# --- Cascade


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_the_box_is_sure_of_is_given_and_nothing_leaves(cloud: FaultyCloud, stream: bool) -> None:
    one, judge = about_to("edge", "cloud", stream=stream), RuleJudge({})
    assert await given_by(one, judge, cloud) == EDGE_SAYS
    outcome = one.outcome
    assert outcome.sent_to == () and outcome.answered_by.name == "edge" and outcome.confidence is not None
    assert outcome.acted is not None and outcome.acted.how == "given" and judge.asked[-1] == (EDGE_SAYS, True)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_doubtful_start_is_given_up_before_anybody_saw_a_word(cloud: FaultyCloud, stream: bool) -> None:
    one, edge = about_to("edge", "cloud", stream=stream), ScriptedModel(EDGE_SAYS)
    assert await given_by(one, RuleJudge(UNSURE, otherwise=0.4), cloud, edge) == CLOUD_SAYS
    outcome = one.outcome
    assert outcome.answered_by.route == "cloud" and outcome.answered_by.rule == "rule+cascade"
    assert "not sure" in outcome.answered_by.reason and outcome.confidence is None
    assert outcome.acted is not None and outcome.acted.how == "escalated" and outcome.acted.tokens > 0
    assert outcome.acted.start is not None and outcome.acted.start.chance == 0.4
    assert targets_of(outcome.sent_to) == ["cloud"] and set(outcome.worked) == {"cloud"}


async def test_a_start_that_goes_on_and_on_is_given_up_at_the_limit(cloud: FaultyCloud) -> None:
    edge = ScriptedModel("ember " * 400)
    one = about_to("edge", "cloud")
    assert await given_by(one, RuleJudge({}, otherwise=0.4), cloud, edge) == CLOUD_SAYS
    assert edge.closed_early == 1, "its engine does not go on writing for nobody"


async def test_an_engine_that_stalls_is_not_waited_for(cloud: FaultyCloud) -> None:
    one, edge = about_to("edge", "cloud"), ScriptedModel("ember " * 20, delay_s=0.2)
    assert await given_by(one, RuleJudge({}, otherwise=0.4), cloud, edge, hold_s=0.3) == CLOUD_SAYS
    assert one.outcome.acted is not None and one.outcome.acted.held_s > 0.2 and edge.closed_early == 1


async def test_what_was_passed_on_is_never_taken_back(cloud: FaultyCloud) -> None:
    """Sure of its beginning, so it was given; its end made it doubtful, which is said after it."""
    one, long = about_to("edge", "cloud"), "ember " * 40 + "wrong"
    assert await given_by(one, RuleJudge(UNSURE), cloud, ScriptedModel(long)) == long + afterwards("en", "")
    assert one.outcome.sent_to == () and one.outcome.acted is not None and one.outcome.acted.how == "said"
    assert one.outcome.confidence is not None and one.outcome.confidence.chance == 0.4


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.SERVER_ERROR, Fault.RATE_LIMIT, Fault.SLOW_FIRST_BYTE])
@pytest.mark.parametrize("stream", [True, False])
async def test_where_the_cloud_fails_too_the_box_says_what_it_has_and_that_it_is_unsure(
    cloud: FaultyCloud, fault: Fault, stream: bool
) -> None:
    cloud.schedule(fault)
    one = about_to("edge", "cloud", stream=stream)
    said = await given_by(one, RuleJudge(UNSURE), cloud, patience_s=0.2 if fault is Fault.SLOW_FIRST_BYTE else 30.0)
    cloud.unschedule()
    assert said == before_a_guess("en", why_here("away", "en")) + EDGE_SAYS and one.outcome.answered_by.name == "edge"


async def test_an_engine_that_breaks_off_before_a_word_was_seen_is_replaced(cloud: FaultyCloud) -> None:
    edge = ScriptedModel(EDGE_SAYS, error=BrokenStream("the engine died"), error_after=4)
    one = about_to("edge", "cloud")
    assert await given_by(one, RuleJudge({}, otherwise=0.4), cloud, edge) == CLOUD_SAYS
    assert one.outcome.answered_by.rule == "rule+fallback" and "the engine died" in one.outcome.answered_by.reason


DOUBT = RuleJudge({}, otherwise=0.1)


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("named", {"rule": "asked"}),
        ("completed with personal facts", {"rule": "personal"}),
        ("the cloud's share is spent", {"rule": "share"}),
        ("who prefers that nothing leaves", {"weights": "private"}),
        ("the other is no better", {"expected": ("edge", 0.8, "cloud", 0.7)}),
    ],
)
async def test_what_a_doubtful_answer_does_not_overrule(cloud: FaultyCloud, why: str, changes: dict[str, Any]) -> None:
    if "expected" in changes:
        first, p, second, q = changes["expected"]
        rest = (0.1, 0.0, 0.0, 0.0, 0.0)
        changes = {"expected": (Expected(first, first, p, *rest), Expected(second, "cloud", q, *rest))}
    one = about_to("edge", "cloud")
    fill(one, decision=replace(one.decision, **changes))
    await given_by(one, DOUBT, cloud)
    assert one.outcome.sent_to == () and one.outcome.answered_by.name == "edge", why


async def test_off_by_the_settings_by_the_share_and_for_a_loop_of_tools(cloud: FaultyCloud) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    cases = [
        (about_to("edge", "cloud"), acting(DOUBT, cascade=False)),
        (about_to("edge", "cloud"), replace(acting(DOUBT), may_escalate=lambda: False)),
        (about_to("edge", "cloud", tools=tools), acting(DOUBT)),
        (about_to("edge", "cloud", deadline_s=0.5), acting(DOUBT)),
    ]
    fill(cases[-1][0], decision=Decision("edge", "", "rule", ("cloud",), expected=(
        Expected("edge", "edge", 0.5, 0.1, 0.0, 0.0, 0.0, 0.0),
        Expected("cloud", "cloud", 0.9, 3.0, 0.0, 0.0, 0.0, 0.0),
    )))  # fmt: skip
    for one, how in cases:
        await given_by(one, None, cloud, acting=how)
        assert one.outcome.sent_to == ()


# --- A word of doubt


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("chance", [0.1, 0.45, 0.9])
async def test_doubt_is_said_before_the_answer_or_in_its_place(stream: bool, chance: float) -> None:
    one = about_to("edge", text="Wie viele Einwohner hat die Stadt?", stream=stream)
    fill(one, chosen=(Fact("Near here: the library", "poi"),))
    said = await given_by(one, RuleJudge({}, otherwise=chance))
    facts, here = ["Near here: the library"], why_here("alone", "de")
    word = {0.1: in_its_place("de", here, facts), 0.45: before_a_guess("de", here, facts) + EDGE_SAYS, 0.9: EDGE_SAYS}
    assert said == word[chance]
    how = {0.1: "withheld", 0.45: "said", 0.9: "given"}
    assert one.outcome.acted is not None and one.outcome.acted.how == how[chance]
    assert one.outcome.usage is not None and one.outcome.usage.completion_tokens > 0


async def test_the_rule_that_keeps_it_here_is_named(cloud: FaultyCloud) -> None:
    one = about_to("edge")
    kept = (Kept("CARD", "sensitive-stays", 1),)
    fill(one, decision=Decision("edge", "because", "sensitive"), kept=kept, outbounds={}, outbound=None)
    assert "sensitive-stays" in await given_by(one, RuleJudge({}, otherwise=0.1), cloud)
    assert one.outcome.acted is not None and one.outcome.acted.why == "kept"


@pytest.mark.parametrize("kind", sorted(HARMLESS))
async def test_harmless_uses_are_not_drowned_in_warnings(kind: str) -> None:
    assert await given_by(about_to("edge"), RuleJudge({}, otherwise=0.1), kind=kind) == EDGE_SAYS


async def test_a_request_that_is_half_a_greeting_counts_as_one() -> None:
    kind = TaskKind("unknown", 0.53, (("chat", 0.42), ("tools", 0.05)))
    for likely, plain in ((kind, True), (replace(kind, chances=(("chat", 0.2),)), False)):
        how = Acting(RULES, RuleJudge({}, otherwise=0.1), lambda _text, likely=likely: likely)  # type: ignore[misc]
        assert (await given_by(about_to("edge"), None, acting=how) == EDGE_SAYS) is plain


def test_where_the_kind_is_in_doubt_the_prior_is_that_of_all_it_may_be() -> None:
    known = {"facts": 0.4, "chat": 0.8}
    asked = JudgedRequest({"messages": []}, [], Decision("edge", "", "rule"))

    def prior(kind: TaskKind, priors: dict[str, float]) -> float | None:
        return Hearing(Acting(RULES, None, lambda _: kind, lambda _, each: priors.get(each)), asked).prior

    assert prior(TaskKind("facts", 1.0), known) == pytest.approx(0.4)
    assert prior(TaskKind("facts", 0.5, (("facts", 0.5), ("chat", 0.5))), known) == pytest.approx(0.6)
    assert prior(TaskKind(), known) == pytest.approx(0.6), "the mean of all"
    assert prior(TaskKind("facts", 0.5, (("facts", 0.5),)), known) == pytest.approx(0.5)
    assert prior(TaskKind("facts", 1.0), {}) is None


@pytest.mark.parametrize("kind", sorted(TASK_KINDS.keys() - HARMLESS))
async def test_every_other_kind_is_not_asserted(kind: str) -> None:
    assert await given_by(about_to("edge"), RuleJudge({}, otherwise=0.1), kind=kind) != EDGE_SAYS


@pytest.mark.parametrize(
    "form",
    [
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
        {"tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]},
        {"grammar": 'root ::= "a"'},
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_programs_read_gets_no_prose(form: dict[str, Any], stream: bool) -> None:
    one = about_to("edge", stream=stream, **form)
    assert await given_by(one, RuleJudge({}, otherwise=0.1), kind="advice") == EDGE_SAYS
    assert one.outcome.confidence is not None and one.outcome.confidence.chance == 0.1


@pytest.mark.parametrize("judge", [None, RuleJudge({}, otherwise=1.0)])
@pytest.mark.parametrize("wish", ["say", "answer"])
@pytest.mark.parametrize(("prior", "warned"), [(None, True), (0.2, True), (0.9, False)])
async def test_advice_is_never_given_without_the_word_by_a_model_that_is_not_known_to_be_good_at_it(
    judge: Any, wish: str, prior: float | None, warned: bool
) -> None:
    one = wishing(about_to("edge"), wish)
    said = await given_by(one, judge, kind="advice", prior=prior)
    assert said.startswith(("I am not sure", "I do not have an answer")) is warned
    assert (EDGE_SAYS in said) is (wish == "answer" or not warned)


async def test_who_asks_for_the_answer_alone_gets_it() -> None:
    one = wishing(about_to("edge"), "answer")
    assert await given_by(one, DOUBT) == EDGE_SAYS and one.outcome.confidence is not None


@pytest.mark.parametrize("stream", [True, False])
async def test_who_asks_for_a_refusal_gets_it_before_the_first_word(stream: bool) -> None:
    one = wishing(about_to("edge", stream=stream), "refuse")
    with pytest.raises(LowConfidence, match=r"0\.10: by a rule") as error:
        await given_by(one, DOUBT, edge=ScriptedModel("ember " * 300))
    assert error.value.status == 422 and one.outcome.usage is not None


async def test_a_judge_that_fails_or_claims_nonsense_counts_as_doubt() -> None:
    class Fails:
        def judge(self, *_: Any, **__: Any) -> Confidence:
            raise ZeroDivisionError

    for judge in (Fails(), RuleJudge({}, otherwise=float("nan")), RuleJudge({}, otherwise=7.0)):
        assert EDGE_SAYS not in await given_by(about_to("edge"), judge)


async def test_every_choice_gets_the_word_and_the_least_likely_counts() -> None:
    one = about_to("edge", n=2, stream=False)
    said = await given_by(one, RuleJudge({}, otherwise=0.45))
    assert said.count("I am not sure") == 2 and said.count(EDGE_SAYS) == 2


# --- A second try

BROKEN = Confidence(0.0, ("the sum is off",), wrong=True, repair="The sum is off. Try again.")


def twice(first: str, second: str) -> Any:
    return lambda body: second if len(body["messages"]) > 1 else first


@pytest.mark.parametrize("stream", [True, False])
async def test_a_wrong_answer_is_asked_for_again_once(stream: bool) -> None:
    one, edge = about_to("edge", stream=stream), ScriptedModel(twice("wrong", "right"))
    assert await given_by(one, RuleJudge({"wrong": BROKEN}), edge=edge, kind="arithmetic") == "right"
    again = edge.asked[1]["messages"][-2:]
    assert again == [{"role": "assistant", "content": "wrong"}, {"role": "user", "content": BROKEN.repair}]
    assert one.outcome.acted is not None and one.outcome.acted.asked_again and one.outcome.acted.tokens > 0


async def test_and_only_once_and_only_where_a_check_says_how() -> None:
    edge = ScriptedModel(twice("wrong", "wrong again"))
    said = await given_by(about_to("edge"), RuleJudge({"wrong": BROKEN}), edge=edge)
    assert len(edge.asked) == 2 and "wrong" not in said, "what is known to be wrong is not given"
    silent = ScriptedModel("wrong")
    await given_by(about_to("edge"), RuleJudge({"wrong": replace(BROKEN, repair="")}), edge=silent)
    assert len(silent.asked) == 1


async def test_a_second_try_that_fails_leaves_the_first() -> None:
    class Dies(ScriptedModel):
        async def chat(self, body: Any, *, adapters: Any = ()) -> Any:
            if self.asked:
                raise ModelUnavailable("gone")
            async for chunk in super().chat(body, adapters=adapters):
                yield chunk

    one = wishing(about_to("edge", response_format={"type": "json_object"}), "say")
    assert await given_by(one, RuleJudge({"wrong": BROKEN}), edge=Dies("wrong")) == "wrong"
    assert one.outcome.confidence == BROKEN


# --- What the model tells of its tokens


class Telling(ScriptedModel):
    """Tells its tokens, as the client of the engine does."""

    tells_tokens = True

    async def chat(self, body: Any, *, adapters: Any = (), stats: TokenStats | None = None) -> Any:
        async for chunk in super().chat(body, adapters=adapters):
            if stats is not None:
                stats.add(-0.5)
            yield chunk


@pytest.mark.parametrize("stream", [True, False])
async def test_what_the_model_tells_of_its_tokens_is_judged_where_it_tells_it_of_one_answer(stream: bool) -> None:
    told: dict[str, list[Any]] = {}
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    cases: dict[str, dict[str, Any]] = {"plain": {}, "two": {"n": 2}, "tools": {"tools": tools}}
    for name, fields in cases.items():
        judge = RuleJudge({})
        await given_by(about_to("edge", stream=stream, **fields), judge, edge=Telling(EDGE_SAYS))
        told[name] = judge.stats
    assert all(stats is not None and stats.mean == -0.5 for stats in told["plain"])
    assert not any(told["two"]) and not any(told["tools"]), "where less is known, less is claimed"


# --- Whatever is cut, wherever

kinds = st.sampled_from([*TASK_KINDS, "unknown"])
judges = st.sampled_from([{}, {"wrong": 0.4}, {"wrong": BROKEN}, {"ember": 0.1}, {"end": 0.2}])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rules=judges, otherwise=st.sampled_from([0.1, 0.45, 0.9]), kind=kinds, stream=st.booleans(),
    size=st.integers(3, 60), dies=st.sampled_from([None, 0, 1, 2, 5, 9]),
    fault=st.sampled_from([None, Fault.CUT, Fault.REFUSED, Fault.MALFORMED]),
    wish=st.sampled_from(["say", "answer", "refuse"]), targets=st.sampled_from([("edge",), ("edge", "cloud")]),
)  # fmt: skip
def test_at_every_cut_an_answer_ends_whole_or_with_an_error_and_shows_no_word_that_was_given_up(
    cloud: FaultyCloud, rules: dict[str, Any], otherwise: float, kind: str, stream: bool, size: int, dies: int | None,
    fault: Fault | None, wish: str, targets: tuple[str, ...],
) -> None:  # fmt: skip
    cloud.unschedule()
    cloud.schedule(fault)
    error = None if dies is None else ModelUnavailable("the engine died")
    edge = ScriptedModel(EDGE_SAYS, chunk_size=size, error=error, error_after=dies or 0)
    one, said = wishing(about_to(*targets, stream=stream), wish), list[str]()
    broke = False
    try:
        asyncio.run(given_by(one, RuleJudge(rules, otherwise), cloud, edge, said, kind=kind))
    except NetGPTError:
        broke = True
    cloud.unschedule()
    text, acted, believed = "".join(said), one.outcome.acted, one.outcome.confidence
    if one.outcome.answered_by.name == "cloud":
        assert "ember" not in text and (broke or text == CLOUD_SAYS)
    elif not broke:
        assert acted is not None and believed is not None
        given = text == EDGE_SAYS
        assert given or text.startswith(("I am not sure", "I do not have")) or text.startswith(EDGE_SAYS)
        doubtful = believed.wrong or believed.chance < (0.3 if kind in HARMLESS else 0.6) or kind == "advice"
        if given and doubtful:
            assert wish == "answer" or kind in HARMLESS
    if wish == "refuse" and "ember" in text and not broke:
        assert kind != "advice" and believed is not None and believed.chance >= 0.3
