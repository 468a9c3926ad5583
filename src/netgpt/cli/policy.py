"""`netgpt policy`: which rules are in force, whether they do what they should, and what they did to an exchange."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import find_exchange, json_option, print_json, print_table, read_settings, reports_errors
from netgpt.errors import NotFound
from netgpt.policy import READY_MADE, Policy, policy_text, schema_text
from netgpt.policy.cases import CaseResult, ground_cases, read_cases, reasons, run_cases, shipped_cases

app = typer.Typer(no_args_is_help=True, help="The rules: who may do what, and what may leave.")

_SETS = ", ".join(READY_MADE)


@app.command()
@reports_errors
def check(
    policy: str = typer.Argument(None, help=f"A .cedar file, or {_SETS}; the one in force when left out."),
    cases: Path = typer.Option(None, help="Your own table of cases (TOML) to try it on."),
    as_json: bool = json_option,
) -> None:
    """Check the rules: syntax, schema, and what each does on a table of cases. Fails when a case comes out wrong.

    Without an argument the shipped table is run over all ready-made sets too.
    """
    name = policy or read_settings().policy.set
    checked = Policy.load(name)
    own = read_cases(cases) if cases else []
    tried = [checked] + [Policy.load(other) for other in READY_MADE if policy is None and other != name]
    outcomes = [
        outcome
        for each in tried
        for outcome in run_cases(each, shipped_cases() if each.name in READY_MADE else ground_cases())
    ]
    outcomes += run_cases(checked, own)
    if as_json:
        print_json({**_policy_json(checked, outcomes), "cases": [_case_json(o) for o in outcomes]})
    else:
        _show_check(checked, outcomes)
    if any(not outcome.ok for outcome in outcomes):
        raise typer.Exit(1)


def _show_check(policy: Policy, outcomes: list[CaseResult]) -> None:
    rules = [
        (rule["id"], rule["effect"], rule["where"], rule["cases"] or "none", rule["says"])
        for rule in _policy_json(policy, outcomes)["rules"]
    ]
    title = f"{policy.name}: {len(policy.rules)} rules, sha256 {policy.digest}"
    print_table(["rule", "does", "where", "cases", "what it says"], rules, title)
    columns = ["", "set", "who", "does", "what", "circumstances", "expected", "decided", "by rule"]
    print_table(columns, [_case_row(outcome) for outcome in outcomes])
    wrong = sum(not outcome.ok for outcome in outcomes)
    typer.echo(f"{len(outcomes)} cases, {wrong} came out wrong" if wrong else f"{len(outcomes)} cases, all as expected")


def _case_row(outcome: CaseResult) -> tuple[str, ...]:
    case = outcome.case
    return (
        "ok" if outcome.ok else "WRONG", outcome.policy, case.who, case.asked.action, case.what, case.towards,
        ("allow" if case.expect else "deny") + (f" by {case.rule}" if case.rule and not outcome.ok else ""),
        "allow" if outcome.verdict.allowed else "deny", outcome.verdict.rule,
    )  # fmt: skip


def _case_json(outcome: CaseResult) -> dict[str, Any]:
    case = outcome.case
    return {
        "set": outcome.policy, "line": case.line, "who": case.who, "action": case.asked.action, "what": case.what,
        "circumstances": case.towards, "expected": case.expect, "expected_rule": case.rule,
        "allowed": outcome.verdict.allowed, "rules": list(outcome.verdict.rules), "ok": outcome.ok,
    }  # fmt: skip


def _policy_json(policy: Policy, outcomes: list[CaseResult] | None = None) -> dict[str, Any]:
    decided = [rule for outcome in outcomes or () if outcome.policy == policy.name for rule in outcome.verdict.rules]
    return {
        "policy": policy.name,
        "sha256": policy.digest,
        "rules": [
            {"id": rule.id, "effect": rule.effect, "where": rule.where, "says": rule.says}
            | ({"cases": decided.count(rule.id)} if outcomes is not None else {})
            for rule in policy.rules
        ],
    }


@app.command()
@reports_errors
def show(
    policy: str = typer.Argument(None, help=f"A .cedar file, {_SETS}, or schema; the one in force when left out."),
    as_json: bool = json_option,
) -> None:
    """Print the rules as they are read: the ground that no set can lift, who may do what, and the set."""
    name = policy or read_settings().policy.set
    if name == "schema":
        sys.stdout.write(schema_text())
    elif as_json:
        print_json(_policy_json(Policy.load(name)))
    else:
        sys.stdout.write(policy_text(name))


@app.command()
@reports_errors
def why(
    exchange: str = typer.Argument(None, help="The exchange's id; the newest when left out."),
    as_json: bool = json_option,
) -> None:
    """Show for a recorded exchange which rule let each thing pass, hid it, generalized it, or kept it."""
    row = find_exchange(exchange)
    if row.private is None:
        raise NotFound(f"{row.id}: its account was not kept (store.keep_text = false); see its receipt")
    found = reasons(row.as_dict(), Policy.load(read_settings().policy.set))
    if as_json:
        return print_json({"id": row.id, "route": row.route, "reason": row.reason, **found.as_json()})
    print_table(
        ["what", "became", "times", "found by", "by rule", "which says"],
        [(each.what, each.became, each.count, each.found_by, each.rule, each.says) for each in found.reasons],
        f"{row.id}: {row.route}. Policy: {found.policy}",
    )
    for remark in found.remarks:
        typer.echo(remark)
