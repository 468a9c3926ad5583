"""`/v1/settings`: what is set, from where, what is wrong with it; and changes, checked before they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from netgpt.app.checking import faults_of, remarks_on
from netgpt.app.gateway import Gateway
from netgpt.app.settings_file import SettingsFile, changed_meanwhile, history
from netgpt.app.settings_rows import changed_names, fault_of, rows, sections
from netgpt.errors import PermissionDenied, RequestError, SettingsError, StoreError
from netgpt.settings import Settings
from netgpt.settings.source import Source
from netgpt.types import Caller, Role
from netgpt.web.auth import authenticated
from netgpt.web.lockout import is_loopback

router = APIRouter()


class SettingsPatch(BaseModel):
    """Names as in `GET /v1/settings`. `confirm`: those of the settings among them that could open the box wider."""

    model_config = ConfigDict(extra="forbid")
    set: dict[str, Any] = Field({}, description='Such as {"server.port": 9000}; null: the default again.')
    unset: list[str] = Field([], description="Whose default is to count again.")
    confirm: list[str] = []


@router.get("/v1/settings", tags=["settings"])
async def get_settings(request: Request, response: Response) -> dict[str, Any]:
    """Every setting: value, default, where it was said, what it means, what it takes, whether it may be changed here
    and when that counts. `waiting`: what is written and counts only from the next start on.

    No secret is shown, only whether it is set. The `ETag` is for a change.
    """
    gateway, caller = await authenticated(request)
    told = await _told(gateway, caller)
    response.headers["etag"] = f'"{told["etag"]}"'
    return told


@router.patch("/v1/settings", tags=["settings"])
async def change_settings(
    request: Request, response: Response, patch: SettingsPatch, if_match: Annotated[str | None, Header()] = None
) -> dict[str, Any]:
    """Change settings in the file: its comments stay, and nothing is written unless all of it is right, as at a start.

    What the environment or the command line sets is changed there. What could open the box wider takes an admin, and
    its name in `confirm`. `at_once` says what counts already, `from_next_start` what does not.
    """
    gateway, caller = await authenticated(request)
    source = _source(gateway)
    wanted, broken = {**patch.set, **dict.fromkeys(patch.unset)}, False
    if wanted:
        if if_match is None:
            raise RequestError("send If-Match with the ETag of GET /v1/settings", param="if-match", status=428)
        has_keys = await gateway.store.has_keys()
        check = partial(_faults, gateway, has_keys=has_keys)
        etag = if_match.strip().removeprefix("W/").strip('"')
        await asyncio.to_thread(_change, gateway, caller, source, wanted, patch.confirm, etag, check)
        try:
            if gateway.on_new_settings is not None:
                await gateway.on_new_settings(lambda: SettingsFile(source).settings())
            gateway.tell_others("settings")
        except SettingsError:
            broken = True  # by somebody else, since: what runs stays
    told = await _told(gateway, caller)
    waits = {row["name"]: row["waits"] for row in told["data"]}
    later = [name for name in wanted if broken or waits.get(name, True)]
    response.headers["etag"] = f'"{told["etag"]}"'
    return {**told, "at_once": sorted(wanted.keys() - set(later)), "from_next_start": sorted(later)}


def _source(gateway: Gateway) -> Source:
    source = gateway.settings.source
    return source if source is not None else Source(None, gateway.settings.home)


def _change(
    gateway: Gateway,
    caller: Caller,
    source: Source,
    wanted: dict[str, Any],
    confirmed: Sequence[str],
    etag: str,
    check: Any,
) -> None:
    """Check and write. Raises RequestError, PermissionDenied, NotFound, StoreError; nothing has changed then."""
    try:
        file = SettingsFile(source)
    except SettingsError as error:
        raise RequestError(f"mend the file first: {error.message}", code="file_is_wrong", status=409) from None
    if file.etag != etag:
        raise changed_meanwhile()
    try:
        known = file.settings()
    except SettingsError:
        known = gateway.settings
    changes = file.changes(wanted, known)
    for name in (each.setting.name for each in changes if each.setting.needs_admin):
        if caller.role is not Role.ADMIN:
            raise PermissionDenied(
                f"{name}: this could open the box wider; it takes a key of the role admin", param=name
            )
        if name not in confirmed:
            message = f"{name}: this could open the box wider; send its name in `confirm` if you mean it"
            raise RequestError(message, param=name, code="confirmation_needed", status=409)
    text = file.edited(changes, known, check)
    file.keep(text, changes, caller.key_id or "the owner, without a key", gateway.settings.home)


def _faults(gateway: Gateway, settings: Settings, *, has_keys: bool) -> list[str]:
    """What of these settings cannot work, by the checks of a start."""
    found = list(faults_of(settings, lambda _settings: nullcontext(gateway.store.files)))
    host = settings.server.host
    if not is_loopback(host) and not has_keys and settings.oidc.issuer is None:
        found.append(f"server.host: others can reach {host}, and no key exists: `netgpt keys create` makes the first")
    return found


async def _told(gateway: Gateway, caller: Caller) -> dict[str, Any]:
    has_keys = await gateway.store.has_keys()
    return await asyncio.to_thread(_all_of_it, gateway, caller, has_keys)


def _all_of_it(gateway: Gateway, caller: Caller, has_keys: bool) -> dict[str, Any]:
    running, source = gateway.settings, _source(gateway)
    wanted, faults, etag, data = running, list[str](), "", list[dict[str, Any]]()
    try:
        file = SettingsFile(source)
        etag, given, used = file.etag, file.given, file.used
        wanted = file.settings()
    except SettingsError as error:
        faults = [fault.line for fault in error.faults] or [error.message]
        wrong = {_named(fault.name, running): fault.what for fault in error.faults}
        if etag:
            data = rows(running, running, given, used)
            for row in data:
                row["fault"] = wrong.get(row["name"])
    else:
        faults = _faults(gateway, wanted, has_keys=has_keys)
        data = rows(wanted, running, given, used)
        for row in data:
            row["fault"] = fault_of(faults, row["name"])
    for row in data if caller.role is not Role.ADMIN else ():
        if row["editable"] and row["admin"]:
            row |= {"editable": False, "why_not": "it could open the box wider: it takes a key of the role admin"}
    try:
        changes = history(running.home)
    except StoreError as error:
        changes, faults = [], [*faults, error.message]
    return {
        "object": "netgpt.settings", "etag": etag, "file": str(source.place), "file_exists": source.place.exists(),
        "faults": faults, "remarks": list(remarks_on(wanted)), "sections": sections(), "data": data,
        "waiting": changed_names(running, wanted), "history": changes,
    }  # fmt: skip


def _named(name: str, running: Settings) -> str:
    """The name of a setting whose fault names its table by number."""
    section, _, rest = name.partition(".")
    number, _, field = rest.partition(".")
    tables = getattr(running, section, ())
    return f"{section}.{tables[int(number)].name}.{field}" if number.isdigit() and int(number) < len(tables) else name
