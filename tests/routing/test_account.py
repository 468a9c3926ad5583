import json

from decisions import RULES, situation

from netgpt.routing.router import decide
from netgpt.stages.record import decision_as_dict
from netgpt.types import Decision


def test_an_account_is_json_and_tells_every_target() -> None:
    decision = decide(situation("compare it", cloud_ok=False, cloud_detail="its breaker is open"), RULES)
    told = json.loads(json.dumps(decision_as_dict(decision, "else another")))
    assert [target["arm"] for target in told["expected"]] == ["edge", "cloud"]
    assert [target["ruled_out"] for target in told["expected"]] == [None, "its breaker is open"]
    assert (told["arm"], told["rule"], told["weights"]) == ("edge", "cloud-down", "balanced")
    assert told["counterfactual"] == "else another" and told["propensity"] == 1.0


def test_a_decision_of_old_has_an_account_too() -> None:
    told = decision_as_dict(Decision("cloud", "because", "asked", ("edge",)))
    assert (told["arm"], told["expected"], told["fallbacks"]) == ("cloud", [], ["edge"])
