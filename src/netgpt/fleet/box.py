"""A box in a fleet: it takes files and signed orders, tries them, follows them whole or not at all, and tells how far
it is.

    fleet/orders.json      the orders in force, as they were signed
    fleet/refused.json     those that could not be followed, and why
    fleet/policy.cedar     the rules in force, where `policy.set` names this file
    fleet/parts/           files by their SHA-256, whole or (.part) on their way; those of no orders are deleted

What is told is figures and names of parts: no text, no person, no address. Safe against a kill at any moment: the
orders are written last, so a control that sends them again finds them followed or follows them again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from netgpt.adapters.card import State
from netgpt.adapters.registry import Registry
from netgpt.adapters.storage import read_card
from netgpt.errors import NetGPTError, NotFound, PayloadTooLarge, RequestError, SettingsError, StoreError
from netgpt.files import read_bytes, read_text
from netgpt.fleet.orders import DIGEST, MOST_PART, AdapterOrder, FilePart, Orders, SignedOrders
from netgpt.models.download import sync_folder, write_whole
from netgpt.policy import Policy
from netgpt.policy.cases import ground_cases, read_cases, run_cases
from netgpt.settings import Settings

log = logging.getLogger(__name__)
POLICY: Final = "policy.cedar"
MOST_PARTS: Final = 2_000_000_000
"""Bytes of all files that wait for their orders."""
MOST_WAITING: Final = 1_000
"""Of those files."""
_DIGEST: Final = re.compile(DIGEST)
_PART_FILE: Final = re.compile(r"[0-9a-f]{64}(\.part)?")


def policy_file(home: Path) -> Path:
    """Where the rules of the fleet lie: what `policy.set` names on a box that follows them."""
    return home / "fleet" / POLICY


class FleetMember:
    """This box's part. Its methods work on files and may take a second: not for an event loop."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.settings, self.registry = settings, registry
        self.folder = settings.home / "fleet"

    @property
    def is_member(self) -> bool:
        """Whether the owner named a fleet."""
        return bool(self.settings.fleet.key)

    def take_part(self, sha256: str, at: int, size: int, data: bytes) -> int:
        """Bytes of a file from `at` on, of `size` in all; returns how many are here. Resumes where a cut left it.

        Raises PayloadTooLarge, RequestError (409: in no fleet, or other bytes are wanted), StoreError.
        """
        self._check_member()
        if not _DIGEST.fullmatch(sha256) or not data or at < 0 or at + len(data) > size:
            raise RequestError("a part needs its SHA-256, `at` and `of` in bytes, and bytes, but no more than that")
        if size > MOST_PART:
            raise PayloadTooLarge(f"a part of a fleet's orders may have {MOST_PART:,} bytes at most")
        with self._locked():
            whole = self._part(sha256)
            if whole.is_file():
                return size
            draft = whole.with_suffix(".part")
            have = draft.stat().st_size if draft.is_file() else 0
            if have > size:  # somebody announced it wrongly: what came cannot be its beginning
                draft.unlink()
                have = 0
            if at != have:
                raise RequestError(f"{have} bytes of this part are here: go on there", code="fleet_part_at", status=409)
            kept = [path.lstat().st_size for path in self._parts()]
            if sum(kept) + len(data) > MOST_PARTS or len(kept) >= MOST_WAITING:
                raise PayloadTooLarge("too many parts wait for orders; send the orders that name them")
            return self._append(draft, whole, size, data)

    def _append(self, draft: Path, whole: Path, size: int, data: bytes) -> int:
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                have = file.tell()
            if have < size:
                return have
            with draft.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != whole.name:
                    draft.unlink()
                    raise RequestError("these bytes are not the part that was announced; send it again")
            draft.replace(whole)
            sync_folder(whole.parent)
        except OSError as error:
            raise StoreError(f"{draft}: cannot be written: {error.strerror}") from None
        return have

    def follow(self, document: bytes) -> dict[str, Any]:
        """Follow signed orders, whole or not at all; the report, with `missing`: the parts to send first.

        Raises RequestError (not signed by its fleet; 409: in no fleet, a number that was, or a lower one, or why
        they cannot be followed here, which the report keeps), StoreError.
        """
        self._check_member()
        signed = SignedOrders.read(document)
        orders = signed.verified(self.settings.fleet.key)
        with self._locked():
            current = self._current()
            if current is not None and (orders.version, signed.digest) != (current[1].version, current[0].digest):
                if orders.version <= current[1].version:
                    told = f"orders {current[1].version} are in force here; these are {orders.version}"
                    raise RequestError(told, code="fleet_version", status=409)
            elif current is not None:
                return self.report()
            if missing := [part.sha256 for part in orders.parts if not self._part(part.sha256).is_file()]:
                return {**self.report(), "missing": missing}
            try:
                self._obey(orders, signed)
            except (SettingsError, RequestError, NotFound, PayloadTooLarge) as error:
                why = self._unplaced(error.message)
                self._write("refused.json", {"version": orders.version, "orders": signed.digest, "why": why})
                log.error("fleet: orders %d are not followed: %s", orders.version, why)
                raise RequestError(why, code="fleet_refused", status=409) from None
        return self.report()

    def _obey(self, orders: Orders, signed: SignedOrders) -> None:
        """All is tried before anything changes. Raises what says why not."""
        rules = self._tried(orders) if orders.policy is not None else None
        for each in orders.adapters:
            self._at_hand(each)
        with self._rules_or_before(rules):
            for each in orders.adapters:
                self._place(each)
            self._write("orders.json", {**signed.model_dump(), "followed": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
        wanted = {part.sha256 for part in orders.parts}
        for path in (self.folder / "refused.json", *(each for each in self._parts() if each.name not in wanted)):
            with suppress(OSError):  # the orders are in force, with or without what is of no use any more
                path.unlink(missing_ok=True)
        log.warning("fleet: orders %d are in force", orders.version)

    @contextmanager
    def _rules_or_before(self, rules: str | None) -> Iterator[None]:
        """The rules are in force from here on; those before them again where the rest fails: their copy is made first,
        since a full disk has no room for it afterwards."""
        path, before = self.folder / POLICY, self.folder / "before.cedar"
        if rules is not None:
            if path.is_file() and (self._is_in_force(path) or not before.is_file()):  # else a kill left it: those count
                write_whole(before, read_text(path, StoreError), StoreError)
            write_whole(path, rules, StoreError)
        try:
            yield
        except NetGPTError:
            if rules is not None and before.is_file():
                before.replace(path)
            raise
        with suppress(OSError):
            before.unlink(missing_ok=True)

    def _is_in_force(self, rules: Path) -> bool:
        current = self._current()
        ordered = current[1].policy if current is not None else None
        return ordered is None or hashlib.sha256(read_bytes(rules, StoreError)).hexdigest() == ordered.sha256

    def _tried(self, orders: Orders) -> str:
        """The rules, read and tried on the tables. Raises SettingsError, RequestError."""
        path = self.folder / POLICY
        if Path(self.settings.policy.set).expanduser().resolve() != path.resolve():
            raise RequestError("this box does not follow a fleet's rules: its policy.set is not the file in its home "
                               "that `netgpt fleet join` names")  # fmt: skip
        assert orders.policy is not None
        text = self._content(orders.policy).decode("utf-8", "replace")
        draft = self.folder / "draft.cedar"
        write_whole(draft, text, StoreError)
        try:
            policy = Policy.load(str(draft))
        except SettingsError as error:
            raise RequestError(error.message.replace(str(draft), "the rules")) from None
        finally:
            draft.unlink(missing_ok=True)
        cases = ground_cases()
        if orders.cases is not None:
            cases += read_cases(self._part(orders.cases.sha256))
        if wrong := [each for each in run_cases(policy, cases) if not each.ok]:
            case = wrong[0].case
            raise RequestError(f"the rules fail {len(wrong)} of {len(cases)} cases, the first in line {case.line}: "
                               f"{case.who} {case.asked.action} {case.what}")  # fmt: skip
        return text

    def _at_hand(self, order: AdapterOrder) -> None:
        """The adapter is in the registry with these weights, or comes in as a candidate. Raises RequestError."""
        if order.state == "off":
            return
        with suppress(NotFound):
            entry = self.registry.show(order.id)
            if entry.card.weights_sha256 != order.weights.sha256:
                raise RequestError(f"{order.id} is another adapter on this box: order it under the next number")
            self._check_judged(order, entry.judged)
            self._check_serves(order)
            return
        card = read_card(self._part(order.card.sha256))
        if card.id != order.id or card.scope == "user":
            raise RequestError(f"the card is {card.id}'s ({card.scope}); a fleet is given {order.id}, and no person's")
        self._check_judged(order, (card.metrics.get("gate") or {}).get("passed") is True)
        self.registry.add(self._part(order.weights.sha256), card)

    def _check_judged(self, order: AdapterOrder, judged: bool) -> None:
        if order.state != "candidate" and not judged:
            raise RequestError(f"{order.id} passed no evaluation: it may be a candidate here, and serve nobody")

    def _check_serves(self, order: AdapterOrder) -> None:
        """What `promote` would say once other things have changed already."""
        if order.state == "candidate":
            return
        entry = self.registry.resolve(order.id)
        if entry.state is State.REJECTED:
            raise RequestError(f"{order.id} was rejected on this box: order another version")
        if order.state == "canary" and entry.state is State.ACTIVE:
            raise RequestError(f"{order.id} is active for everybody on this box: a canary is another version")

    def _place(self, order: AdapterOrder) -> None:
        name = order.id.partition("@")[0]
        if order.state == "off":
            with suppress(NotFound, RequestError):  # nothing of it is in use
                while True:  # a step at a time: a canary, what was active, what was active before that
                    self.registry.rollback(name)
            return
        entry = self.registry.show(order.id)
        if order.state == "candidate":
            while self.registry.show(order.id).state in (State.ACTIVE, State.CANARY):
                self.registry.rollback(name)
        elif (entry.state.value, entry.share) != (order.state, order.share):
            self.registry.promote(entry.id, canary=order.share)

    def report(self) -> dict[str, Any]:
        """How far this box is."""
        current = self._current()
        adapters = [entry for entry in self.registry.list() if entry.card.scope != "user"]
        return {
            "object": "netgpt.fleet",
            "box": self.settings.fleet.box,
            "version": current[1].version if current else 0,
            "orders": current[0].digest if current else None,
            "followed": current[2] if current else None,
            "refused": self._read("refused.json"),
            "adapters": [
                {"id": each.id, "state": each.state.value, "share": each.share, "fault": bool(each.fault)}
                for each in adapters
            ],
        }  # fmt: skip

    def _current(self) -> tuple[SignedOrders, Orders, str] | None:
        """The orders in force, read and verified anew: a file that somebody changed counts for nothing."""
        kept = self._read("orders.json") if self.is_member else None
        if kept is None:
            return None
        followed = str(kept.pop("followed", ""))
        try:
            signed = SignedOrders.model_validate(kept)
            return signed, signed.verified(self.settings.fleet.key), followed
        except (ValueError, NetGPTError):
            log.error("fleet: %s is not signed by fleet.key: it counts for nothing", self.folder / "orders.json")
            return None

    def _check_member(self) -> None:
        if not self.is_member:
            raise RequestError("this box is in no fleet: `netgpt fleet join` on it", code="no_fleet", status=409)

    def _part(self, sha256: str) -> Path:
        return self.folder / "parts" / sha256

    def _parts(self) -> Iterator[Path]:
        folder = self.folder / "parts"
        return (path for path in (folder.iterdir() if folder.is_dir() else ()) if _PART_FILE.fullmatch(path.name))

    def _content(self, part: FilePart) -> bytes:
        content = read_bytes(self._part(part.sha256), StoreError)
        if hashlib.sha256(content).hexdigest() != part.sha256:
            self._part(part.sha256).unlink()
            raise StoreError(f"part {part.sha256[:12]} was damaged on the disk: send it again")
        return content

    def _unplaced(self, told: str) -> str:
        """What is told without where the box's files lie: folders are called after people."""
        return told.replace(f"{self.folder}/", "fleet/").replace(str(self.settings.home), "the home")

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found = json.loads(read_bytes(self.folder / name, StoreError, most=2_000_000))
        except (StoreError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        write_whole(self.folder / name, json.dumps(value, indent=1), StoreError)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, over all processes of the box."""
        try:
            (self.folder / "parts").mkdir(mode=0o700, parents=True, exist_ok=True)
            if (self.folder / "parts").is_symlink():
                raise OSError(errno.ELOOP, "parts is a link: what is deleted there would be somebody else's")
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreError(f"the home's folder fleet cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        except StoreError as error:
            raise StoreError(self._unplaced(error.message)) from None
        finally:
            os.close(lock)
