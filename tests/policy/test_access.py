"""Access: the same rules at every endpoint, and denials that show each caller what it may know."""

from __future__ import annotations

import pytest

from netgpt.errors import PermissionDenied
from netgpt.policy import BOX, Policy, Resource, check_access, exchange_of, may, principal_of, profile_of
from netgpt.types import Caller, Person, Role

POLICY = Policy.load("balanced")
ADAS = Caller("acme", Role.USER, "k1", "ada")
ANYONES = Caller("acme", Role.USER, "k2")
OPERATOR = Caller("acme", Role.OPERATOR, "k3")
ADMIN = Caller("acme", Role.ADMIN, "k4")


def test_a_bound_key_speaks_for_its_person_whoever_is_named() -> None:
    assert principal_of(ADAS, "bob").user == "ada"
    assert principal_of(ANYONES, "bob").user == "bob" and principal_of(ANYONES).user is None


def test_who_may_do_it_passes_and_learns_by_which_rule() -> None:
    assert check_access(POLICY, ADAS, "ask").rules == ("ask-as-user-or-admin",)
    assert check_access(POLICY, ANYONES, "read_profile", profile_of(Person("acme", "bob")), user="bob").allowed
    assert may(POLICY, ADAS, "train_on", profile_of(Person("acme", "ada")), consent={"training"}).allowed


@pytest.mark.parametrize(
    ("caller", "action", "resource"),
    [
        (ADAS, "administer", BOX),
        (ADAS, "read_exchange", exchange_of(Person("acme", "bob"), "ex_1")),
        (ADAS, "forget", profile_of(Person("umbrella", "ada"))),
    ],
)
def test_people_see_what_they_need_but_no_rule(caller: Caller, action: str, resource: Resource) -> None:
    with pytest.raises(PermissionDenied) as raised:
        check_access(POLICY, caller, action, resource)
    assert not any(rule.id in raised.value.message for rule in POLICY.rules)
    assert "bob" not in raised.value.message and "umbrella" not in raised.value.message


def test_a_missing_role_is_named() -> None:
    with pytest.raises(PermissionDenied, match="needs a key with the role operator or admin"):
        check_access(POLICY, ADAS, "administer")


@pytest.mark.parametrize("caller", [OPERATOR, ADMIN])
def test_operators_and_admins_see_the_rule(caller: Caller) -> None:
    with pytest.raises(PermissionDenied, match="Policy balanced: tenants-apart"):
        check_access(POLICY, caller, "export", profile_of(Person("umbrella", "ada")))
    if caller is OPERATOR:
        with pytest.raises(PermissionDenied, match="no rule allows it"):
            check_access(POLICY, caller, "ask")
