"""Which model a conversation is with: by its beginning, its calls, its id; in bounded memory, and never where it may
not go."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from decisions import CLOUD_TARGET, RULES, SITUATIONS, situation
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.routing.candidates import Held, Severity, features_of, must_call, needs_of, unable_of
from netgpt.routing.explain import counterfactual
from netgpt.routing.router import Memory, decide, decided
from netgpt.routing.sessions import CALLS_S, MOST, MOST_OF_ONE, SESSION, TALKS_S, Sessions
from netgpt.settings.routing import Routing
from netgpt.types import Person

ADA, BOB = Person("north", "ada"), Person("north", "bob")
LONG = "call_8f2c41d0e9b7a6553c1d"
Message = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def says(text: str) -> Message:
    return {"role": "assistant", "content": text}


def call(id: str = LONG, name: str = "look_up", arguments: str = '{"a": 1, "b": 2}') -> Message:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*made: Message) -> Message:
    return {"role": "assistant", "content": None, "tool_calls": list(made)}


def result(id: str = LONG) -> Message:
    return {"role": "tool", "tool_call_id": id, "content": "B 12"}


def answered(sessions: Sessions, history: list[Message], *answers: Message, target: str = "cloud", **who: Any) -> None:
    choices = [{"index": place, "message": answer} for place, answer in enumerate(answers)]
    given = {"person": ADA, "key": "k", "conversation": None, **who}
    sessions.answered(body={"messages": history}, answer={"choices": choices}, target=target, **given)


def held(sessions: Sessions, *history: Message, **who: Any) -> Held | None:
    given = {"person": ADA, "key": "k", "conversation": None, **who}
    return sessions.held(body={"messages": list(history)}, **given)


ASKED = user("which room has Ingrid?")
LOOP = Held("cloud", calls=True)


def test_the_results_of_tools_go_back_to_who_called_them(sessions: Sessions) -> None:
    answered(sessions, [ASKED], calls(call()))
    assert held(sessions, ASKED, calls(call()), result()) == LOOP
    assert held(sessions, {"role": "system", "content": "It is noon."}, ASKED, calls(call()), result()) == LOOP
    assert held(sessions, ASKED, calls(call()), result(), user("and hurry")) == LOOP
    assert held(sessions, ASKED) is None, "it begins anew"


def test_clients_that_change_what_they_send_again_are_known(sessions: Sessions) -> None:
    answered(sessions, [ASKED], calls(call(), call("call_2222222222222222", "open", "{}")))
    renamed = calls(call("a"), call("b", "open", "{}"))
    assert held(sessions, ASKED, renamed, result("b"), result("a")) == LOOP, "renamed, and out of order"
    rewritten = calls(call(arguments='{"b":2,  "a":1}'), call("call_2222222222222222", "open", ""))
    assert held(sessions, ASKED, rewritten, result()) == LOOP
    assert held(sessions, calls(call()), result()) == LOOP, "the history was cut"
    assert held(sessions, user("cut"), calls(call("x")), result("x")) == LOOP, "cut, and renamed"
    assert held(sessions, user("cut"), result()) == LOOP, "cut behind the call"
    assert held(sessions, ASKED, {**calls(call()), "content": ""}, result()) == LOOP


def test_calls_that_small_servers_count_are_told_apart(sessions: Sessions) -> None:
    one, other = calls(call("call_1")), calls(call("call_1", "open", '{"file": 7}'))
    answered(sessions, [ASKED], one)
    answered(sessions, [user("open it")], other, target="edge")
    assert held(sessions, ASKED, one, result("call_1")) == LOOP
    assert held(sessions, user("cut"), one, result("call_1")) == LOOP
    assert held(sessions, user("open it"), other, result("call_1")) == Held("edge", calls=True)


def test_two_loops_of_one_conversation_are_two(sessions: Sessions) -> None:
    first = [ASKED, calls(call()), result()]
    answered(sessions, first[:1], first[1])
    answered(sessions, first, says("B 12"), target="cloud")
    second = [*first, says("B 12"), user("and now the other")]
    assert held(sessions, *second) == Held("cloud")
    answered(sessions, second, calls(call("call_9999999999999999", "open")), target="edge")
    later = [*second, calls(call("call_9999999999999999", "open")), result("call_9999999999999999")]
    assert held(sessions, *later) == Held("edge", calls=True)


def test_every_choice_of_an_answer_may_be_gone_on_with(sessions: Sessions) -> None:
    choices = [calls(call(f"call_{number:016d}", arguments=f'{{"n": {number}}}')) for number in range(3)]
    answered(sessions, [ASKED], *choices)
    for choice in choices:
        assert held(sessions, ASKED, choice, result(choice["tool_calls"][0]["id"])) == LOOP


def test_functions_of_before_there_were_tools_and_custom_tools(sessions: Sessions) -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "look_up", "arguments": "{}"}}
    answered(sessions, [ASKED], old)
    assert held(sessions, ASKED, old, {"role": "function", "name": "look_up", "content": "B 12"}) == LOOP
    custom = calls({"id": LONG, "type": "custom", "custom": {"name": "shell", "input": "ls"}})
    answered(sessions, [user("list")], custom, target="edge")
    assert held(sessions, user("list"), custom, result()) == Held("edge", calls=True)


def test_a_conversation_is_known_by_what_we_answered_or_by_its_id(sessions: Sessions) -> None:
    hello = [user("Hello")]
    answered(sessions, hello, says("Good day to you."), target="edge")
    assert held(sessions, *hello, says(" Good day to you.\n"), user("a joke")) == Held("edge")
    assert held(sessions, *hello, says("Hi."), user("a joke")) is None, "that is another one's answer"
    shown = [user("2 + 2"), says("4"), user("3 + 3")]
    assert held(sessions, *shown) is None, "an example of the caller's own is no answer of ours"
    answered(sessions, [user("first")], says("one"), conversation="c-7")
    assert held(sessions, user("whatever"), conversation="c-7") == Held("cloud")
    assert held(sessions, user("whatever"), conversation="c-8") is None


@pytest.mark.parametrize("who", [{"person": BOB}, {"key": "other"}, {"person": Person("south", "ada")}, {"key": None}])
def test_nobody_shares_what_another_is_known_by(sessions: Sessions, who: dict[str, Any]) -> None:
    answered(sessions, [ASKED], calls(call()), conversation="c")
    assert held(sessions, ASKED, calls(call()), result(), conversation="c", **who) is None


def test_it_ends_and_is_forgotten(sessions: Sessions, clock: Clock) -> None:
    answered(sessions, [ASKED], calls(call()))
    answered(sessions, [user("hi")], says("hello there"), person=BOB)
    clock.now += TALKS_S + 1
    assert held(sessions, ASKED, calls(call()), result()) == LOOP
    assert held(sessions, user("hi"), says("hello there"), user("bye"), person=BOB) is None
    clock.now += CALLS_S
    assert held(sessions, ASKED, calls(call()), result()) is None
    answered(sessions, [ASKED], calls(call()))
    answered(sessions, [ASKED], calls(call()), key="k2")
    sessions.forget(ADA)
    assert held(sessions, ASKED, calls(call()), result()) is None
    assert held(sessions, ASKED, calls(call()), result(), key="k2") is None
    assert len(sessions) == 1, "Bob's is another's"


def test_memory_is_bounded_and_a_crowd_of_one_ends_nobody_elses(sessions: Sessions) -> None:
    answered(sessions, [ASKED], calls(call()), person=BOB)
    for number in range(MOST_OF_ONE + 100):
        answered(sessions, [user(f"question {number}")], says(f"answer {number}"))
    assert len(sessions) <= MOST_OF_ONE + 3
    assert held(sessions, ASKED, calls(call()), result(), person=BOB) == LOOP
    for number in range(MOST // 1_000 + 5):
        for turn in range(1_000):
            answered(sessions, [user(f"{turn}")], says(f"answer {turn}"), person=Person("north", f"u{number}"))
    assert len(sessions) <= MOST and f"user {number}" not in repr(vars(sessions))


FIELDS = ["role", "content", "tool_calls", "function_call", "function", "id", "text", "arguments"]
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["tool_calls", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=12,
)


@given(st.lists(junk, max_size=5), junk, st.sampled_from(["assistant", "user", "tool"]))
def test_odd_messages_are_passed_over(messages: list[Any], answer: Any, role: str) -> None:
    sessions = Sessions()
    body = {"messages": [*messages, {"role": role, "content": answer, "tool_calls": answer, "function_call": answer}]}
    message = {"content": answer, "tool_calls": answer}
    sessions.answered(ADA, None, body, None, {"choices": [{"message": message}]}, "cloud")
    sessions.held(ADA, None, body, None)


TOOLS = features_of({"messages": [user("hi")], "tools": [{"type": "function", "function": {"name": "f"}}]})


def test_a_loop_stays_where_another_would_be_better_and_says_so() -> None:
    one = replace(situation("hi"), features=TOOLS)
    assert decide(one, RULES).name == "cloud"
    decision, what_if = decided(replace(one, held=Held("edge", calls=True)), RULES, Memory())
    assert (decision.name, decision.rule, decision.fallbacks) == ("edge", SESSION, ("cloud",))
    assert decision.reason == "the box called the tools, and goes on with what they gave back"
    assert counterfactual(what_if, decision.rule) == "A conversation that begins so would have gone to the cloud."
    same, what_if = decided(replace(one, held=LOOP), RULES, Memory())
    assert (same.name, same.rule) == ("cloud", SESSION) and counterfactual(what_if, same.rule) == ""


def test_a_loop_whose_model_is_gone_goes_on_elsewhere_and_says_so() -> None:
    one = replace(situation("hi", cloud_ok=False, cloud_detail="its breaker is open"), features=TOOLS, held=LOOP)
    decision = decide(one, RULES)
    assert (decision.name, decision.rule) == ("edge", "cloud-down")
    assert decision.reason.endswith("; the cloud called the tools and cannot go on: its breaker is open")
    other = replace(CLOUD_TARGET, name="other", tools=False)
    taken = decide(
        replace(situation("hi", edge_ok=False, others=(other,)), features=TOOLS, held=Held("edge", True)), RULES
    )
    assert taken.name == "cloud" and "the box called the tools and cannot go on" in taken.reason


def test_a_conversation_changes_where_another_gains_clearly() -> None:
    plain = situation("tell me a joke")
    assert decide(plain, RULES).name == "edge"
    stays = decide(replace(plain, held=Held("cloud")), RULES)
    lead = next(e.value for e in stays.expected if e.target == "edge") - next(
        e.value for e in stays.expected if e.target == "cloud"
    )
    assert 0 < lead <= RULES.switch_margin and (stays.name, stays.rule) == ("cloud", SESSION)
    assert stays.reason == "the conversation is with the cloud, and the box would not do clearly better"
    assert decide(replace(plain, held=Held("cloud")), Routing(switch_margin=lead / 2)).name == "edge"
    hard = decide(replace(situation("write a python function"), held=Held("edge")), RULES)
    assert hard.name == "cloud" and hard.reason.endswith("clearly better than to stay with the box")


def test_who_names_a_model_gets_it_in_the_middle_of_a_loop() -> None:
    assert decide(replace(situation("hi", asked="edge"), held=LOOP), RULES).name == "edge"


@given(SITUATIONS, st.sampled_from(["edge", "cloud", "other", "gone"]), st.booleans())
def test_a_lock_sends_nothing_where_it_may_not_go(one: Any, target: str, open_calls: bool) -> None:
    try:
        decision, what_if = decided(replace(one, held=Held(target, open_calls)), RULES, Memory())
        free = decide(one, RULES)
    except (ModelUnavailable, RequestError):
        return
    violation = what_if.weighed.violations[decision.name]
    if decision.rule == SESSION:
        assert violation is None or violation.severity <= Severity.DOUBTED
        assert decision.name == target and decision.name not in decision.fallbacks
        assert len(set(decision.fallbacks)) == len(decision.fallbacks)
    elif decision.name != free.name:
        assert one.asked == "auto"
    if not one.target(decision.name).may_have and one.target(decision.name).remote:
        raise AssertionError("it may not have it")
    if one.sensitive and one.asked == "auto":
        assert decision.name == "edge"


def test_only_who_was_measured_to_call_tools_is_fallen_back_on() -> None:
    shares = {("edge", "tools"): 0.1, ("cloud", "tools"): 0.9, ("edge", "json"): 0.8}
    body = {"messages": [user("hi")], "tools": [{}]}
    features = features_of(body)
    assert needs_of(body, features) == ("tools",)
    one = replace(situation("hi"), features=features)
    unable = unable_of(lambda target, kind: shares.get((target, kind)), one.targets, needs_of(body, features))
    assert unable == {"edge": "the box was measured at calling tools: right in 10%"}
    assert decide(one, RULES).fallbacks == ("edge",), "nobody measured it"
    assert decide(replace(one, unable=unable), RULES).fallbacks == ()
    down = replace(one, unable=unable, targets=situation("hi", cloud_ok=False).targets)
    assert decide(down, RULES).name == "edge", "it may be answered in words"
    with pytest.raises(ModelUnavailable, match=r"Edge: the box was measured at calling tools: right in 10%"):
        decide(replace(down, must_call=True), RULES)
    assert decide(replace(down, must_call=True, asked="edge"), RULES).name == "edge"


@pytest.mark.parametrize(
    ("fields", "needs", "must"),
    [
        ({}, (), False),
        ({"response_format": {"type": "json_schema"}}, ("json",), False),
        ({"response_format": {"type": "json_object"}}, ("json",), False),
        ({"response_format": "json"}, (), False),
        ({"tools": [{}], "tool_choice": "auto"}, ("tools",), False),
        ({"tools": [{}], "tool_choice": "required"}, ("tools",), True),
        ({"tools": [{}], "tool_choice": {"type": "function"}}, ("tools",), True),
        ({"messages": [user("x"), calls(call()), result()]}, ("tools",), True),
        ({"tools": [{}], "messages": [user("x"), calls(call()), result(), user("and?")]}, ("tools",), True),
        ({"messages": [user("x"), calls(call()), result(), says("B 12"), user("and?")]}, ("tools",), False),
        ({"messages": []}, (), False),
        ({"messages": ["x"]}, (), False),
    ],
)
def test_what_a_request_needs(fields: dict[str, Any], needs: tuple[str, ...], must: bool) -> None:
    body = {"messages": [user("x")], **fields}
    assert (needs_of(body, features_of(body)), must_call(body)) == (needs, must)


def test_what_one_process_noted_another_one_knows() -> None:
    key = b"of both"
    here, there = Sessions(key=key), Sessions(key=key)
    told: list[tuple[str, bool]] = []

    def noted(locks: list[list[Any]], calls: bool) -> None:
        told.append((json.dumps(locks), calls))  # as it goes between processes
        for lock in json.loads(told[-1][0]):
            there.take(lock)

    here.noted = noted
    asked = [{"role": "user", "content": "what is the weather in Portwick?"}]
    call = {"id": "call_0123456789abcdef", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    here.answered(Person("local", "ada"), None, {"messages": asked}, "talk", {"choices": [{"message": said}]}, "cloud")
    result = {"role": "tool", "tool_call_id": call["id"], "content": "wind"}
    body = {"messages": [*asked, said, result]}
    assert there.held(Person("local", "ada"), None, body, None) == Held("cloud", calls=True)
    assert there.held(Person("local", "bob"), None, body, None) is None
    assert there.held(Person("local", "ada"), None, {"messages": asked}, "talk") == Held("cloud")
    assert [calls for _, calls in told] == [True] and "Portwick" not in told[0][0] and "ada" not in told[0][0]
