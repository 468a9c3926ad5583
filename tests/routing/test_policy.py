from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from decisions import CLOUD_TARGET, RULES, SITUATIONS, link, links, priced, situation
from hypothesis import given
from hypothesis import strategies as st
from patience import cpu_seconds

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.routing.bandit import Belief
from netgpt.routing.candidates import Severity, Situation, Target, features_of, violation_on
from netgpt.routing.learner import Learner
from netgpt.routing.link_state import SignalsView, SystemView
from netgpt.routing.router import Memory, decide, decided
from netgpt.routing.scoring import PRESETS, expect, prior_of
from netgpt.settings.routing import Routing, Weighting
from netgpt.types import Decision


@pytest.mark.parametrize(
    ("given_", "route", "rule"),
    [
        (situation("tell me a joke"), "edge", "short"),
        (situation("word " * 60), "cloud", "length"),
        (situation("write a python function that sorts a list"), "cloud", "kind"),
        (situation("compare the two plans"), "cloud", "kind"),
        (situation("hi", asked="cloud"), "cloud", "asked"),
        (situation("word " * 60, asked="edge"), "edge", "asked"),
        (situation("compare it", sensitive=("CARD",)), "edge", "sensitive"),
        (situation("compare it", personal_facts=True), "edge", "personal"),
        (situation("compare it", cloud_ok=False), "edge", "cloud-down"),
        (situation("compare it", may_leave=False, block_reason="the detector is gone"), "edge", "kept"),
        (situation("hi", edge_ok=False), "cloud", "edge-down"),
        (situation("x" * 20_000), "cloud", "context"),
    ],
)
def test_rules(given_: Situation, route: str, rule: str) -> None:
    decision = decide(given_, RULES)
    assert (decision.route, decision.rule) == (route, rule)
    assert decision.reason


@given(
    asked=st.sampled_from(["auto", "edge", "cloud"]),
    edge_ok=st.booleans(),
    cloud_ok=st.booleans(),
    may_leave=st.booleans(),
    sensitive=st.booleans(),
    personal=st.booleans(),
    text=st.text(max_size=200),
)
def test_nothing_goes_to_the_cloud_unless_it_may_leave(
    asked: str, edge_ok: bool, cloud_ok: bool, may_leave: bool, sensitive: bool, personal: bool, text: str
) -> None:
    here = situation(
        text or "x", asked=asked, edge_ok=edge_ok, cloud_ok=cloud_ok, may_leave=may_leave,
        sensitive=("CARD",) if sensitive else (), personal_facts=personal,
    )  # fmt: skip
    try:
        decision = decide(here, RULES)
    except ModelUnavailable:
        assert not edge_ok
        return
    if "cloud" in (decision.route, *decision.fallbacks):
        assert may_leave and cloud_ok and asked != "edge"
    if decision.route == "edge":
        assert edge_ok
    if sensitive and asked == "auto":
        assert decision.route == "edge" and not decision.fallbacks


PICTURE = {
    "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}]
}


def test_a_picture_goes_where_it_can_be_read_or_is_refused() -> None:
    picture = features_of(PICTURE)
    assert decide(situation(features=picture), RULES).route == "cloud"
    assert not decide(situation(features=picture), RULES).fallbacks
    for changes in ({"may_leave": False, "block_reason": "images stay"}, {"asked": "edge"}, {"cloud_ok": False}):
        with pytest.raises(RequestError, match=r"privacy\.media"):
            decide(situation(features=picture, **changes), RULES)
    sees = situation(features=picture, edge_reads_media=True, may_leave=False, block_reason="images stay")
    assert decide(sees, RULES).route == "edge"


def test_sensitive_content_waits_for_the_edge() -> None:
    with pytest.raises(ModelUnavailable, match="stays on the box"):
        decide(situation("my card", sensitive=("CARD",), edge_ok=False), RULES)


def test_both_down_says_why_for_both() -> None:
    with pytest.raises(ModelUnavailable, match=r"Edge: starting. Cloud: no cloud is configured"):
        decide(
            situation(edge_ok=False, edge_detail="starting", cloud_ok=False, cloud_detail="no cloud is configured"),
            RULES,
        )


def chosen(one: Situation, rules: Routing = RULES) -> Decision | None:
    try:
        return decide(one, rules)
    except (ModelUnavailable, RequestError):
        return None


@given(SITUATIONS)
def test_nothing_that_is_forbidden_is_ever_chosen_or_tried(one: Situation) -> None:
    decision = chosen(one)
    if decision is None:
        assert all(rules_out(one, target) is Severity.NEVER for target in one.targets)
        return
    for name in (decision.name, *decision.fallbacks):
        target = one.target(name)
        assert target.ok and target.may_have and rules_out(one, target) is not Severity.NEVER
        assert not (target.remote and one.asked == "edge")
        assert not (target.remote and one.sensitive and one.asked == "auto")
    assert len({decision.name, *decision.fallbacks}) == 1 + len(decision.fallbacks)
    assert {expected.target for expected in decision.expected} == {target.name for target in one.targets}


def rules_out(one: Situation, target: Target) -> Severity | None:
    """What `ruling_on` says of a target, computed from the decision's own figures."""
    violation = violation_on(
        target, one, RULES, expect(target, one, one.signals, prior_of(target, one), PRESETS["balanced"])
    )
    return violation.severity if violation is not None else None


@given(SITUATIONS)
def test_a_target_that_is_ruled_out_is_chosen_only_where_every_target_is(one: Situation) -> None:
    decision = chosen(one)
    if decision is not None:
        out = {expected.target: expected.ruled_out for expected in decision.expected}
        assert out[decision.name] is None or all(out.values())


@given(SITUATIONS, st.floats(0, 50), st.floats(0, 50))
def test_more_weight_on_cost_never_chooses_a_dearer_target(one: Situation, less: float, more: float) -> None:
    less, more = sorted((less, more))
    one = replace(one, prefer=None)
    before, after = (chosen(one, Routing(weights=Weighting(cost=cost))) for cost in (less, more))
    if before is not None and after is not None:
        cost = {expected.target: expected.cost for expected in after.expected}
        assert cost[after.name] <= cost[before.name] + 1e-12


@given(SITUATIONS, st.floats(1, 20))
def test_a_price_that_rises_makes_nobody_choose_the_target(one: Situation, times: float) -> None:
    one = replace(one, budget_left=None)
    target = one.target("cloud")
    dearer = priced(one, target.price_prompt * times, target.price_completion * times)
    before, after = chosen(one), chosen(dearer)
    if before is not None and after is not None and before.name != "cloud":
        assert after.name != "cloud"


@given(SITUATIONS, st.floats(0.001, 3))
def test_a_link_that_slows_makes_nobody_choose_the_target(one: Situation, more_s: float) -> None:
    one = replace(one, deadline_s=None)
    now = one.signals.links["cloud"].rtt_s
    assert now is not None
    slower = {**one.signals.links, "cloud": link(now.value + more_s)}
    faster = {**one.signals.links, "cloud": link(now.value)}
    before = chosen(replace(one, signals=SignalsView(faster, one.signals.system)))
    after = chosen(replace(one, signals=SignalsView(slower, one.signals.system)))
    if before is not None and after is not None and before.name != "cloud":
        assert after.name != "cloud"


def test_presets_choose_what_they_say() -> None:
    hard = priced(situation("compare it", signals=links(cloud=link(0.05))), 5, 15)
    routes = {
        name: decide(replace(hard, prefer=name), RULES).route for name in ("quality", "balanced", "cheap", "private")
    }
    assert routes == {"quality": "cloud", "balanced": "cloud", "cheap": "edge", "private": "edge"}
    assert decide(replace(hard, prefer="cheap"), RULES).rule == "cost"
    slow = SystemView(engine_tokens_s=5.0, engine_prompt_tokens_s=50.0)
    easy = situation("tell me a joke", signals=SignalsView({"cloud": link(0.02, tokens_s=100)}, slow), prefer="fast")
    assert decide(easy, RULES).rule == "latency"
    assert "sooner" in decide(easy, RULES).reason


def test_own_weights_stand_over_the_presets_and_a_request_over_both() -> None:
    rules = Routing(weights=Weighting(privacy=0.0, latency=0.0, energy=0.0))
    assert decide(situation("tell me a joke"), rules).route == "cloud"
    assert decide(situation("tell me a joke"), rules).weights == "balanced, own weights"
    assert decide(situation("tell me a joke", prefer="private"), rules).route == "edge"


def test_a_busy_box_hands_over_to_a_neighbour() -> None:
    neighbour = Target("garage", kind="neighbour", exposure=0.1)
    one = situation("tell me a joke", cloud_ok=False, cloud_detail="no cloud is configured", others=(neighbour,))
    assert decide(one, RULES).name == "edge"
    busy = replace(
        one, signals=SignalsView({"garage": link(0.002)}, SystemView(engine_slots=2, engine_busy=2, engine_waiting=6))
    )
    decision = decide(busy, RULES)
    assert (decision.name, decision.rule, decision.fallbacks) == ("garage", "latency", ("edge",))


def test_a_budget_that_is_spent_keeps_the_request_on_the_box() -> None:
    poor = priced(situation("compare it", budget_left=0.0001), 5, 15)
    decision = decide(poor, RULES)
    assert (decision.route, decision.rule) == ("edge", "budget") and "cloud" not in decision.fallbacks
    assert decide(replace(poor, budget_left=1.0), RULES).route == "cloud"


def test_a_deadline_that_a_target_will_not_meet_rules_it_out() -> None:
    slow = situation("compare it", signals=links(cloud=link(0.05, first_byte_s=20)), deadline_s=8)
    decision = decide(slow, RULES)
    assert (decision.route, decision.rule, decision.fallbacks) == ("edge", "deadline", ("cloud",))
    assert "20" in str(decision.expected[1].ruled_out) or "25" in str(decision.expected[1].ruled_out)
    nobody = decide(replace(slow, deadline_s=0.01), RULES)
    assert nobody.rule == "deadline" and "nobody" in nobody.reason


def test_a_link_whose_calls_fail_is_trusted_less() -> None:
    fine, failing = (situation("compare it", signals=links(cloud=link(0.05, failures=f))) for f in (0.0, 0.8))
    assert decide(fine, RULES).route == "cloud" and decide(failing, RULES).route == "edge"


def test_tools_go_where_they_are_taken() -> None:
    features = replace(features_of({"messages": []}), tools=True)
    handless = situation(features=features, others=(replace(CLOUD_TARGET, name="handless", tools=False, exposure=0.0),))
    decision = decide(handless, RULES)
    assert decision.name == "cloud" and "handless" not in decision.fallbacks


def test_who_names_an_upstream_gets_it_and_the_others_step_in() -> None:
    one = situation("hi", asked="other", others=(replace(CLOUD_TARGET, name="other"),))
    decision = decide(one, RULES)
    assert (decision.name, decision.route, decision.rule) == ("other", "cloud", "asked")
    assert set(decision.fallbacks) == {"edge", "cloud"} and decision.reason == "the caller asked for other"


def test_the_share_keeps_requests_on_the_box_and_says_so() -> None:
    rules = Routing(max_cloud_share=0.25)
    memory = Memory(rules.max_cloud_share)
    report = [decide(situation("compare it", p_edge_ok=0.3 + n % 50 / 100), rules, memory) for n in range(400)]
    went = sum(one.route == "cloud" for one in report)
    assert 0.22 * 400 <= went <= 0.25 * 400 + 16
    assert {one.rule for one in report if one.route == "edge"} == {"share"}


class Learnt:
    """Believes what it is told to; draws the second best where it may be bold."""

    def __init__(self, **means: float) -> None:
        self.means = means

    def belief(self, target: str, x: Sequence[float], prior: float, key: str = "") -> Belief:
        return Belief(self.means.get(target, prior), 0.1)

    def draw(self, values: Mapping[str, float], key: str, *, bold: bool = True) -> tuple[str, float]:
        return (min if bold else max)(values, key=values.__getitem__), 0.1


@pytest.mark.parametrize("asked", ["edge", "cloud"])
def test_who_names_a_target_is_answered_without_a_word_of_the_learner(asked: str) -> None:
    learnt = Learnt(edge=0.01, cloud=0.01)
    named, plain = (decide(situation(asked=asked), RULES, None, each) for each in (learnt, None))
    assert named == plain and (named.name, named.rule, named.propensity) == (asked, "asked", 1.0)
    assert len(named.expected) == 2 and named.reason == f"the caller asked for the {asked}"


def test_a_learner_that_knows_nothing_changes_nothing() -> None:
    one = situation("tell me a joke", x=(0.1, 0.2))
    report = decide(one, RULES, None, Learner(seed=1))
    assert (report.route, report.propensity, report.features) == ("edge", 1.0, (0.1, 0.2))


def test_what_was_learnt_counts() -> None:
    private = situation("compare it", prefer="private")
    assert decide(situation("compare it"), RULES).route == "cloud"
    assert decide(private, RULES, None, Learnt(edge=0.99, cloud=0.2)).route == "edge"
    report = decide(private, RULES, None, Learnt(edge=0.7)).expected[0]
    assert (report.p_ok, report.prior) == (0.7, 0.4)


def test_trying_another_is_reported_and_the_best_is_its_fallback() -> None:
    tried = decide(situation("compare it"), RULES, None, Learnt())
    assert (tried.rule, tried.route, tried.propensity, tried.fallbacks) == ("tried", "edge", 0.1, ("cloud",))
    in_a_hurry = decide(situation("compare it", deadline_s=60), RULES, None, Learnt())
    assert in_a_hurry.rule != "tried"
    assert decide(situation("compare it", personal_facts=True), RULES, None, Learnt()).rule == "personal"


def test_what_will_not_be_sent_counts_for_nothing_and_a_spent_share_is_not_tried() -> None:
    rules, memory, one = Routing(max_cloud_share=0.3), Memory(0.3), situation("compare it")
    before = memory.share.credit
    for _ in range(20):
        decision, _ = decided(one, rules, memory, Learnt(), counts=False)
        assert decision.rule != "tried"
    assert memory.share.credit == before
    for _ in range(50):
        memory.share.booked(-0.5, True)
    assert decide(one, rules, memory, Learnt()).rule == "share"


def test_the_whole_is_quick() -> None:
    one, memory = situation("compare it", signals=links(cloud=link(0.05))), Memory(0.3)
    took = sorted(cpu_seconds(lambda: decided(one, RULES, memory)) for _ in range(300))
    assert took[150] < 0.002  # 0.04 ms on a quiet machine
