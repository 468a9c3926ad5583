"""What a target usually does for a kind of task: how it moves a decision, and what the explanation says of it."""

from __future__ import annotations

from decisions import RULES, situation

from netgpt.judgement import UNKNOWN, TaskKind
from netgpt.routing.candidates import UNREAD, features_of, priors_of
from netgpt.routing.router import decide
from netgpt.routing.scoring import prior_of

SUMS = TaskKind("word-problems", 0.8, (("word-problems", 0.8), ("arithmetic", 0.2)))
SKILL = {
    ("edge", "word-problems"): 0.2, ("edge", "arithmetic"): 0.6, ("cloud", "word-problems"): 0.9, ("edge", "chat"): 0.9,
    ("cloud", "chat"): 0.95, ("edge", "tools"): 0.1, ("edge", "json"): 0.15,
}  # fmt: skip


def skill(target: str, kind: str) -> float | None:
    return SKILL.get((target, kind))


def test_the_prior_of_a_doubtful_kind_is_that_of_all_that_it_may_be() -> None:
    priors = priors_of(skill, ("edge", "cloud", "other"), SUMS, UNREAD)
    assert priors == {"edge": 0.8 * 0.2 + 0.2 * 0.6, "cloud": 0.9}
    assert priors_of(skill, ("edge",), TaskKind(UNKNOWN, 0.9, (("chat", 0.1),)), UNREAD) == {}


def test_tools_and_schemas_are_known_from_the_request_itself() -> None:
    tools = features_of({"messages": [], "tools": [{"type": "function"}]})
    assert priors_of(skill, ("edge", "cloud"), SUMS, tools) == {"edge": 0.1}
    schema = features_of({"messages": [], "response_format": {"type": "json_schema"}})
    assert priors_of(skill, ("edge",), SUMS, schema) == {"edge": 0.15}


def test_what_is_harder_than_its_kind_is_less_likely_to_do_and_a_cloud_is_as_it_was_measured() -> None:
    def edge(p: float | None) -> float:
        one = situation("hi", p_edge_ok=p, p_kind=0.7, priors={"edge": 0.6, "cloud": 0.5})
        assert prior_of(one.target("cloud"), one) == 0.5
        return prior_of(one.target("edge"), one)

    assert edge(0.3) < edge(0.7) == edge(None) == 0.6 < edge(0.9) < 1


def test_without_a_prior_all_is_as_before() -> None:
    one = situation("hi", p_edge_ok=0.5, kind=SUMS, p_kind=0.2)
    assert prior_of(one.target("edge"), one) == prior_of(situation("hi", p_edge_ok=0.5).target("edge"), one)
    assert prior_of(one.target("cloud"), one) == one.target("cloud").quality


def test_the_explanation_says_the_kind_and_how_often_both_do() -> None:
    poor = decide(situation("Ann has 3 pens", kind=SUMS, priors={"edge": 0.28, "cloud": 0.9}), RULES)
    assert (poor.route, poor.rule, poor.kind) == ("cloud", "kind", ("word-problems", 0.8))
    assert "word-problems" in poor.reason and "90%" in poor.reason and "28%" in poor.reason
    good = decide(situation("hello", kind=TaskKind("chat", 0.9, (("chat", 0.9),)), priors={"edge": 0.97}), RULES)
    assert good.route == "edge"
    assert decide(situation("hello"), RULES).kind is None


def test_personal_facts_are_for_a_box_that_can_answer() -> None:
    def chosen(edge: float | None, when: bool | str = "able") -> tuple[str, str]:
        priors = {} if edge is None else {"edge": edge, "cloud": 0.9}
        rules = RULES.model_copy(update={"edge_when_personal": when})
        decision = decide(situation("ideas for dinner", personal_facts=True, priors=priors), rules)
        return decision.name, decision.rule

    assert chosen(0.3)[0] == "cloud" and chosen(0.8) == ("edge", "personal") and chosen(None) == ("edge", "personal")
    assert chosen(0.3, True) == ("edge", "personal")


def test_what_looks_like_no_kind_is_done_as_the_model_does_on_the_whole() -> None:
    nothing = TaskKind(UNKNOWN, 0.9, (("chat", 0.1),))
    assert priors_of(lambda target, kind: 0.25 if target == "edge" else None, ("edge", "cloud"), nothing, UNREAD) == {
        "edge": 0.25
    }
