"""Which rule a decision tells."""

from decisions import RULES, situation

from netgpt.routing.router import decide


def test_who_asks_for_a_target_and_is_in_a_hurry_has_asked_for_it_all_the_same() -> None:
    """What waits and is hedged goes by the rule: nobody gets another's answer for being in a hurry."""
    for target in ("cloud", "edge"):
        decision = decide(situation("compare it", asked=target, deadline_s=0.01), RULES)
        assert (decision.name, decision.rule) == (target, "asked")
        late = next(one for one in decision.expected if one.target == target)
        assert late.ruled_out is not None and "deadline" in late.ruled_out
