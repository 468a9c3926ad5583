"""The owner's rules, read, tried and edited while the box runs: checked as at the start, compared with those in force,
written whole, and noted with who did it (`policy-changes.jsonl` in the home).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from netgpt.app.gateway import Gateway
from netgpt.app.settings_file import SettingsFile
from netgpt.errors import NetGPTError, RequestError, SettingsError
from netgpt.files import open_own, read_text, why_not
from netgpt.fleet.box import policy_file
from netgpt.models.download import write_whole
from netgpt.policy import MEDIA, READY_MADE, TEXT, Destination, Policy, own_text
from netgpt.policy.edits import KindsOf, RuleChange, failed_cases, more_allowed, rule_changes
from netgpt.privacy.kinds import EXACT, family, hierarchy, known_kinds
from netgpt.settings.source import Source

log = logging.getLogger(__name__)

EDITED: Final = "the edited rules"
MOST_MORE: Final = 100
"""Of what would be allowed more, so much is told."""
_SET: Final = "policy.set"
_CHANGES: Final = "policy-changes.jsonl"
_SHOWN_CHANGES: Final = 20
_MOST_NOTED: Final = 4_000_000


def own_rules(gateway: Gateway) -> str:
    """The text of the set or file in force, without the ground. Raises SettingsError: the file is gone."""
    return own_text(gateway.rules.name)[0]


def set_says(name: str) -> str:
    """What a ready-made set says of itself."""
    text, _ = own_text(name)
    first = [line.lstrip("/ ") for line in text.split("\n\n", 1)[0].splitlines() if line.startswith("//")]
    return " ".join(first).removeprefix(f"{name}: ")


def why_not_editable(gateway: Gateway) -> str | None:
    """None: the rules in force are a file that may be edited here."""
    path = gateway.rules.path
    if path is None:
        try:
            file = SettingsFile(_source(gateway))
            file.changes({_SET: ""}, gateway.settings)
        except (RequestError, SettingsError) as error:
            return error.message
        if (own := _own_file(gateway)).exists():
            return f"{own} is there already: name it in policy.set, or move it away"
        path = file.path
    elif path == policy_file(gateway.settings.home):
        return "the control of the fleet sends the rules of this box: they are edited there"
    folder = path.resolve().parent
    return None if os.access(folder, os.W_OK) else f"the box may not write in {folder}"


def _own_file(gateway: Gateway) -> Path:
    """Where rules of the owner's are written; a ready-made set is never changed, so its copy goes into the home."""
    return gateway.rules.path or gateway.settings.home / "policy.cedar"


def _source(gateway: Gateway) -> Source:
    return gateway.settings.source or Source(None, gateway.settings.home)


async def candidate(rules: str | None, name: str | None) -> Policy:
    """Rules to be tried. Raises RequestError, with the line: they cannot be read or do not fit the schema."""
    try:
        if rules is not None:
            return await asyncio.to_thread(Policy.of_text, rules, EDITED, EDITED)
        return await asyncio.to_thread(Policy.load, name if name in READY_MADE else "")
    except SettingsError as error:
        raise RequestError(error.message, param="rules" if rules is not None else "set", code="rules") from None


async def difference(gateway: Gateway, new: Policy) -> dict[str, Any]:
    """What putting `new` in force would change: rules, what would be allowed more, cases that come out wrong."""
    old = gateway.policy
    changes = rule_changes(old, new)
    remotes = gateway.settings.remotes.values()
    receivers = [Destination.of(each.base_url, each.model, each.region, each.purpose) for each in remotes]
    more, tried = await asyncio.to_thread(more_allowed, old, new, _kinds(), receivers, changes)
    failed = await asyncio.to_thread(failed_cases, new)
    return {
        "rules": [_shown(change) for change in changes],
        "loosens": any(change.loosens for change in changes),
        "more": [asdict(each) for each in more[:MOST_MORE]],
        "more_count": len(more),
        "tried": tried,
        "failed_cases": [f"{each.case.who}: {each.case.asked.action} {each.case.what}" for each in failed],
    }


def _shown(change: RuleChange) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("id", "effect", "how", "loosens")} | {"says": change.rule.says}


def _kinds() -> KindsOf:
    kinds = {kind: (family(kind), hierarchy(kind)) for kind in known_kinds()}
    return {**kinds, TEXT: ("other", (EXACT,)), MEDIA: ("other", (EXACT,))}


async def put_in_force(gateway: Gateway, text: str, by: str, changed: dict[str, Any]) -> Policy:
    """Write these rules, which were checked, into the owner's file; they count from the next request on. Raises
    RequestError (409): there is no file that may be edited; SettingsError: it could not be written."""
    path, before = _own_file(gateway), gateway.policy.digest
    if (why := await asyncio.to_thread(why_not_editable, gateway)) is not None:
        raise RequestError(f"the rules cannot be edited here: {why}", code="not_editable", status=409)
    noted = {"time": datetime.now(UTC).isoformat(), "by": by, "before": before, "loosens": changed["loosens"]}
    noted["rules"] = [f"{each['how']} {each['effect']} {each['id']}" for each in changed["rules"]]

    def write() -> None:
        write_whole(path.resolve(), text, SettingsError)
        if gateway.rules.path is None:
            _name_in_settings(gateway, path, by)
        gateway.rules.look()
        _note(gateway.settings.home / _CHANGES, noted | {"after": gateway.policy.digest})

    await asyncio.to_thread(write)
    gateway.tell_others("policy", str(gateway.rules.path))
    log.warning("policy: the rules were edited by %s: %s", by, "; ".join(noted["rules"]) or "comments alone")
    return gateway.policy


def _name_in_settings(gateway: Gateway, path: Path, by: str) -> None:
    """`policy.set` names the new file, in the settings' file and from now on. The file goes again where it cannot."""
    try:
        file = SettingsFile(_source(gateway))
        changes = file.changes({_SET: str(path)}, gateway.settings)
        file.keep(file.edited(changes, gateway.settings, lambda _settings: ()), changes, by, gateway.settings.home)
        gateway.rules.follow(str(path))
    except NetGPTError:
        path.unlink(missing_ok=True)
        raise
    policy = gateway.settings.policy.model_copy(update={"set": str(path)})
    gateway.renew(gateway.settings.model_copy(update={"policy": policy}))


def _note(path: Path, noted: dict[str, Any]) -> None:
    try:
        with os.fdopen(open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "a", encoding="utf-8") as file:
            file.write(json.dumps(noted) + "\n")
    except OSError as error:
        raise SettingsError(f"{path}: what was changed could not be noted: {why_not(error)}") from None


def changes_noted(gateway: Gateway) -> list[dict[str, Any]]:
    """The last edits, newest first: when, by which key, which rules, and whether they may let more leave."""
    path = gateway.settings.home / _CHANGES
    if not path.exists():
        return []
    lines = read_text(path, SettingsError, most=_MOST_NOTED).splitlines()[-_SHOWN_CHANGES:]
    found = []
    for line in reversed(lines):
        try:
            found.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            found.append({"time": None, "by": None, "rules": ["this line was changed by somebody"]})
    return found
