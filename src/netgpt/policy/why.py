"""What the rules did to one recorded exchange, in words: from the account that was kept of it, never from its text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from netgpt.policy.engine import Policy

__all__ = ["PolicyReasons", "Reason", "reasons"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was found. `became`: "[EMAIL_1]", "region", "as it is", "kept on the box", "left out"."""

    what: str
    became: str
    count: int
    found_by: str
    rule: str
    says: str
    """The rule's comment in the policy in force now."""


@dataclass(frozen=True, slots=True)
class PolicyReasons:
    """The reasons of one exchange. `policy`: name and SHA-256 of the rules that were in force then."""

    policy: str
    reasons: tuple[Reason, ...]
    remarks: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "policy": self.policy,
            "reasons": [asdict(reason) for reason in self.reasons],
            "remarks": list(self.remarks),
        }


def reasons(account: Mapping[str, Any], now: Policy) -> PolicyReasons:
    """`account`: `as_dict()` of a recorded exchange. `now`: the policy in force, for what its rules say."""
    then = str(account.get("policy") or "")
    found = tuple(_found(account, now))
    remarks = [] if found else ["nothing private was found in it"]
    if not then:
        remarks = [f"no policy was asked: {account.get('kept_because') or 'it did not come so far'}"]
    elif then != now.title:
        remarks.append("the rules have changed since; what they say is told as they are now")
    if account.get("outbound") is None and then:
        remarks.append(f"nothing left: {account.get('kept_because')}")
    return PolicyReasons(then, found, tuple(remarks))


def _found(account: Mapping[str, Any], now: Policy) -> Iterator[Reason]:
    def says(rule: str) -> str:
        told = (now.rule(one) for one in rule.split(", "))
        return " ".join(one.says for one in told if one is not None)

    for hidden in account.get("hidden") or ():
        rule = hidden.get("policy_rule") or ""
        yield Reason(hidden["kind"], hidden["placeholder"], hidden["count"], hidden["rule"], rule, says(rule))
    for told in account.get("generalised") or ():
        rule, was = told["policy_rule"], told["was"]
        became = "as it is" if told["now"] in ("exact", was) else told["now"]
        what = told["kind"] if was == "exact" else f"{told['kind']} ({was})"
        yield Reason(what, became, told["count"], told["rule"], rule, says(rule))
    for kept in account.get("kept") or ():
        rule = kept["policy_rule"]
        yield Reason(kept["kind"], "kept on the box", kept["count"], "", rule, says(rule))
