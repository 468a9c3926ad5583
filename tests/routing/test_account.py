import json

from decisions import RULES, situation

from netgpt.routing.router import decide
from netgpt.stages.record import decision_as_dict
from netgpt.types import Decision


def test_an_account_is_json_and_tells_every_target() -> None:
    decision = decide(situation("compare it", cloud_ok=False, cloud_detail="its breaker is open"), RULES)
    report = json.loads(json.dumps(decision_as_dict(decision, "else another")))
    assert [target["arm"] for target in report["expected"]] == ["edge", "cloud"]
    assert [target["ruled_out"] for target in report["expected"]] == [None, "its breaker is open"]
    assert (report["arm"], report["rule"], report["weights"]) == ("edge", "cloud-down", "balanced")
    assert report["counterfactual"] == "else another" and report["propensity"] == 1.0


def test_a_decision_of_old_has_an_account_too() -> None:
    report = decision_as_dict(Decision("cloud", "because", "asked", ("edge",)))
    assert (report["arm"], report["expected"], report["fallbacks"]) == ("cloud", [], ["edge"])
