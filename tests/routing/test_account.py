import json

from decisions import RULES, situation

from netgpt.routing.explain import account_of
from netgpt.routing.router import decide
from netgpt.types import Decision


def test_an_account_is_json_and_tells_every_target() -> None:
    decision = decide(situation("compare it", cloud_ok=False, cloud_detail="its breaker is open"), RULES)
    told = json.loads(json.dumps(account_of(decision, "else another")))
    assert [target["arm"] for target in told["expected"]] == ["edge", "cloud"]
    assert [target["ruled_out"] for target in told["expected"]] == [None, "its breaker is open"]
    assert (told["arm"], told["rule"], told["weights"]) == ("edge", "cloud-down", "balanced")
    assert told["counterfactual"] == "else another" and told["propensity"] == 1.0


def test_a_decision_of_old_has_an_account_too() -> None:
    told = account_of(Decision("cloud", "because", "asked", ("edge",)))
    assert (told["arm"], told["expected"], told["fallbacks"]) == ("cloud", [], ["edge"])
