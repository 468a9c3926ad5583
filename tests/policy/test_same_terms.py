"""Two destinations have the same terms when the policy says the same of all that was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from netgpt.policy import Destination, Disclosure, Policy, principal_of
from netgpt.privacy.kinds import family, hierarchy
from netgpt.types import Caller, Role

RULES = """
@id("all") permit (principal, action, resource);
@id("eu-mail") forbid (principal, action == Action::"disclose", resource) when {
    resource.kind == "EMAIL" && context.region != "eu" && context.precision != "placeholder" };
"""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "own.cedar").write_text(RULES)
    return Policy.load(str(tmp_path / "own.cedar"))


def towards(policy: Policy, **where: str) -> Disclosure:
    ada = principal_of(Caller("local", Role.USER), "ada")
    return Disclosure(policy, ada, Destination(**{"host": "a.example", **where}), hierarchy=hierarchy, family=family)


def test_what_was_not_asked_makes_no_difference(policy: Policy) -> None:
    here, there = towards(policy), towards(policy, region="eu")
    here("PHONE")
    assert there.same_as(here)
    here("EMAIL")
    assert not there.same_as(here)
    assert towards(policy, host="b.example", model="other").same_as(here)
