"""Orders of a fleet: signed, numbered, followed whole or not at all; files in pieces that resume."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from made_adapters import adapter_file, card_for, vouched_registry

from netgpt.adapters.card import State
from netgpt.adapters.registry import Registry
from netgpt.adapters.storage import card_text
from netgpt.errors import NetGPTError, RequestError, StoreError
from netgpt.fleet.box import FleetMember, policy_file
from netgpt.fleet.orders import AdapterOrder, FilePart, Orders, SignedOrders, public_hex
from netgpt.policy import own_text
from netgpt.settings import Settings
from netgpt.settings.sections import PolicySection

KEY = Ed25519PrivateKey.generate()
NOW = datetime(2026, 11, 1, tzinfo=UTC)
STRICT, BALANCED = (own_text(name)[0].encode() for name in ("strict", "balanced"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with vouched_registry(tmp_path / "box") as found:
        yield found


@pytest.fixture
def member(tmp_path: Path, registry: Registry) -> FleetMember:
    home = tmp_path / "box"
    rules = policy_file(home)
    rules.parent.mkdir(parents=True)
    rules.write_bytes(BALANCED)
    settings = Settings.model_validate(
        {"home": home, "fleet": {"box": "mill", "key": public_hex(KEY)}, "policy": {"set": str(rules)}}
    )
    return FleetMember(settings, registry)


def signed(version: int, **what: object) -> bytes:
    orders = Orders.model_validate({"version": version, "made": NOW, **what})
    return SignedOrders.sign(orders, KEY).model_dump_json().encode()


def sent(member: FleetMember, content: bytes, piece: int = 1_000) -> FilePart:
    part, at = FilePart.of(content), 0
    while at < len(content):
        at = member.take_part(part.sha256, at, len(content), content[at : at + piece])
    return part


def test_rules_are_followed_once_all_parts_are_here(member: FleetMember) -> None:
    document = signed(1, policy=FilePart.of(STRICT))
    assert member.follow(document)["missing"] == [FilePart.of(STRICT).sha256]
    assert member.report()["version"] == 0 and policy_file(member.settings.home).read_bytes() == BALANCED
    sent(member, STRICT)
    assert member.follow(document)["version"] == 1
    assert policy_file(member.settings.home).read_bytes() == STRICT
    assert member.follow(document)["version"] == 1  # the same again changes nothing


def test_a_number_counts_once_and_lower_ones_never(member: FleetMember) -> None:
    sent(member, STRICT)
    member.follow(signed(5, policy=FilePart.of(STRICT)))
    sent(member, BALANCED)
    for version in (5, 4, 1):
        with pytest.raises(RequestError, match="orders 5 are in force") as told:
            member.follow(signed(version, policy=FilePart.of(BALANCED)))
        assert told.value.status == 409
    assert policy_file(member.settings.home).read_bytes() == STRICT


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{}", b"[]", b"\xff", json.dumps({"orders": "{}", "signature": "0" * 128}).encode(),
        SignedOrders.sign(Orders(version=1, made=NOW), Ed25519PrivateKey.generate()).model_dump_json().encode(),
        signed(1).replace(b'\\"version\\": 1', b'\\"version\\": 2'),
        json.dumps({"orders": '{"version": 0}', "signature": KEY.sign(b'{"version": 0}').hex()}).encode(),
    ],
)  # fmt: skip
def test_what_the_control_did_not_sign_counts_for_nothing(member: FleetMember, document: bytes) -> None:
    with pytest.raises(RequestError, match=r"no orders of a fleet|not signed with the key"):
        member.follow(document)
    assert member.report()["version"] == 0


def test_a_file_of_orders_that_somebody_changed_counts_for_nothing(member: FleetMember) -> None:
    member.follow(signed(3))
    path = member.folder / "orders.json"
    path.write_text(path.read_text().replace('\\"version\\": 3', '\\"version\\": 9'))
    assert member.report()["version"] == 0


@pytest.mark.parametrize(
    "rules, words",
    [
        (b"permit (principal, action, resource", "the rules"),
        (b'@id("all") permit (principal, action, resource);', "fail"),
        (b"\0", "the rules"),
    ],
)
def test_rules_that_cannot_be_are_refused_whole_with_the_reason(
    member: FleetMember, rules: bytes, words: str, tmp_path: Path
) -> None:
    weights = adapter_file(tmp_path / "new.gguf")
    adapter = ordered(member, weights, "candidate")
    with pytest.raises(RequestError, match=words) as told:
        member.follow(signed(1, policy=sent(member, rules), adapters=(adapter,)))
    report = member.report()
    assert told.value.status == 409 and report["refused"]["why"] == told.value.message
    assert str(member.settings.home) not in told.value.message
    assert (report["version"], report["adapters"]) == (0, [])
    assert policy_file(member.settings.home).read_bytes() == BALANCED
    member.follow(signed(2))
    assert member.report()["refused"] is None


def test_rules_are_tried_on_the_controls_own_table(member: FleetMember) -> None:
    table = b'[[case]]\nrole = "user"\nwho = "local/ada"\naction = "ask"\nresource = "Box"\nexpect = "deny"\n'
    with pytest.raises(RequestError, match="fail 1 of"):
        member.follow(signed(1, policy=sent(member, STRICT), cases=sent(member, table)))


def test_a_box_with_rules_of_its_owners_keeps_them(tmp_path: Path, registry: Registry) -> None:
    settings = Settings.model_validate({"home": tmp_path / "box", "fleet": {"box": "mill", "key": public_hex(KEY)}})
    member = FleetMember(settings, registry)
    with pytest.raises(RequestError, match=r"policy\.set is not"):
        member.follow(signed(1, policy=sent(member, STRICT)))


def test_a_box_in_no_fleet_takes_nothing(tmp_path: Path, registry: Registry) -> None:
    member = FleetMember(Settings.model_validate({"home": tmp_path / "box"}), registry)
    assert member.report()["version"] == 0
    for ask in (lambda: member.follow(signed(1)), lambda: sent(member, b"x")):
        with pytest.raises(NetGPTError, match="in no fleet"):
            ask()
    assert not (tmp_path / "box" / "fleet").exists()


def test_a_part_resumes_where_it_was_cut_and_is_what_was_announced(member: FleetMember) -> None:
    content, part = bytes(range(256)) * 40, FilePart.of(bytes(range(256)) * 40)
    assert member.take_part(part.sha256, 0, len(content), content[:3000]) == 3000
    with pytest.raises(RequestError, match="3000 bytes of this part are here"):
        member.take_part(part.sha256, 0, len(content), content[:3000])
    assert member.take_part(part.sha256, 3000, len(content), content[3000:]) == len(content)
    assert member.take_part(part.sha256, 0, len(content), content[:10]) == len(content)  # it is here already
    wrong = "0" * 64
    with pytest.raises(RequestError, match="not the part that was announced"):
        member.take_part(wrong, 0, 4, b"text")
    assert [path.name for path in (member.folder / "parts").iterdir()] == [part.sha256]
    member.follow(signed(1))
    assert list((member.folder / "parts").iterdir()) == []  # no orders name it


@pytest.mark.parametrize(
    "sha256, at, size",
    [("../../netgpt", 0, 4), ("A" * 64, 0, 4), ("0" * 64, -1, 4), ("0" * 64, 1, 4), ("0" * 64, 0, 0)],
)
def test_a_part_has_a_digest_and_a_place(member: FleetMember, sha256: str, at: int, size: int) -> None:
    with pytest.raises(RequestError):
        member.take_part(sha256, at, size, b"text")


def ordered(member: FleetMember, weights: Path, state: str, share: float | None = None, **changes: Any) -> AdapterOrder:
    card = card_for(weights, **changes)
    parts = sent(member, weights.read_bytes(), 1 << 20), sent(member, card_text(card)[0].encode())
    given = {"id": card.id, "state": state, "share": share, "weights": parts[0], "card": parts[1]}
    return AdapterOrder.model_validate(given)


PASSED: dict[str, Any] = {"metrics": {"gate": {"passed": True}}}


def test_an_adapter_comes_stands_and_goes_as_ordered(member: FleetMember, registry: Registry, tmp_path: Path) -> None:
    weights = adapter_file(tmp_path / "new.gguf")
    for version, (state, share) in enumerate((("canary", 0.2), ("active", None)), 1):
        member.follow(signed(version, adapters=(ordered(member, weights, state, share, **PASSED),)))
        entry = registry.show("site@1")
        assert (entry.state.value, entry.share) == (state, share)
    member.follow(signed(3, adapters=(ordered(member, weights, "off", **PASSED),)))
    assert registry.show("site@1").state is State.RETIRED


def test_an_adapter_that_passed_nothing_serves_nobody(member: FleetMember, registry: Registry, tmp_path: Path) -> None:
    weights = adapter_file(tmp_path / "new.gguf")
    with pytest.raises(RequestError, match="passed no evaluation"):
        member.follow(signed(1, adapters=(ordered(member, weights, "active"),)))
    assert registry.list() == []
    member.follow(signed(2, adapters=(ordered(member, weights, "candidate"),)))
    assert registry.show("site@1").state is State.CANDIDATE


def test_an_adapter_of_a_person_and_one_of_the_same_number_are_refused(
    member: FleetMember, registry: Registry, tmp_path: Path
) -> None:
    weights = adapter_file(tmp_path / "new.gguf")
    with pytest.raises(RequestError, match="no person's"):
        member.follow(
            signed(1, adapters=(ordered(member, weights, "candidate", name="user-0123456789ab", scope="user"),))
        )
    registry.add(adapter_file(tmp_path / "own.gguf", seed=2), card_for(tmp_path / "own.gguf"))
    with pytest.raises(RequestError, match="another adapter on this box"):
        member.follow(signed(2, adapters=(ordered(member, weights, "candidate"),)))


def test_an_order_that_fails_in_its_last_step_leaves_the_rules_as_they_were(
    member: FleetMember, registry: Registry, tmp_path: Path
) -> None:
    weights = adapter_file(tmp_path / "new.gguf")
    member.follow(signed(1, adapters=(ordered(member, weights, "active", **PASSED),)))
    with pytest.raises(RequestError, match="active for everybody"):
        member.follow(
            signed(2, policy=sent(member, STRICT), adapters=(ordered(member, weights, "canary", 0.1, **PASSED),))
        )
    registry.reject("site@1", "it answers in riddles")
    with pytest.raises(RequestError, match="was rejected"):
        member.follow(signed(3, policy=sent(member, STRICT), adapters=(ordered(member, weights, "active", **PASSED),)))
    path = member.folder / ".orders.json.part"
    path.mkdir()  # the orders cannot be written
    with pytest.raises(StoreError) as told:
        member.follow(signed(4, policy=sent(member, STRICT)))
    assert str(tmp_path) not in told.value.message
    assert policy_file(member.settings.home).read_bytes() == BALANCED and member.report()["version"] == 1
    path.rmdir()
    member.follow(signed(4, policy=sent(member, STRICT)))
    assert policy_file(member.settings.home).read_bytes() == STRICT


def test_off_and_candidate_serve_nobody_whatever_was_active_before(
    member: FleetMember, registry: Registry, tmp_path: Path
) -> None:
    files = [adapter_file(tmp_path / f"{n}.gguf", seed=n) for n in (1, 2)]
    for n, file in enumerate(files, 1):
        member.follow(signed(n, adapters=(ordered(member, file, "active", version=n, **PASSED),)))
    second = ordered(member, files[1], "off", version=2, **PASSED)
    member.follow(signed(3, adapters=(second,)))
    assert registry.active("site") is None
    for version, state in ((4, "active"), (5, "candidate")):
        member.follow(signed(version, adapters=(ordered(member, files[1], state, version=2, **PASSED),)))
        found = registry.active("site")
        assert (found is not None and found.id == "site@2") is (state == "active")


def test_a_part_that_was_announced_wrongly_does_not_block_the_right_one(member: FleetMember) -> None:
    part = FilePart.of(STRICT)
    member.take_part(part.sha256, 0, 10**8, b"x" * (len(STRICT) + 1))
    assert sent(member, STRICT) == part
    with pytest.raises(RequestError, match="and bytes"):
        member.take_part("0" * 64, 0, 5, b"")


def test_no_reason_says_where_the_files_of_a_box_lie(member: FleetMember, tmp_path: Path) -> None:
    weights = adapter_file(tmp_path / "new.gguf")
    each: tuple[dict[str, Any], ...] = (
        {"policy": sent(member, STRICT), "cases": sent(member, b"[[case]]\nrole = 3\n")},
        {"policy": sent(member, STRICT), "cases": sent(member, b"\xff\xfe")},
        {
            "adapters": (
                {
                    "id": "site@1",
                    "state": "candidate",
                    "weights": sent(member, b"no weights"),
                    "card": sent(member, b"{}"),
                },
            )
        },
        {
            "adapters": (
                {
                    "id": "site@1",
                    "state": "candidate",
                    "weights": sent(member, b"no weights"),
                    "card": sent(member, card_text(card_for(weights))[0].encode()),
                },
            )
        },
    )
    for version, orders in enumerate(each, 1):
        with pytest.raises(RequestError) as told:
            member.follow(signed(version, **orders))
        assert str(tmp_path) not in told.value.message + json.dumps(member.report()), told.value.message
    elsewhere = member.settings.model_copy(update={"policy": PolicySection(set="balanced")})
    with pytest.raises(RequestError, match=r"policy\.set is not") as told:
        FleetMember(elsewhere, member.registry).follow(signed(9, policy=sent(member, STRICT)))
    assert str(tmp_path) not in told.value.message


def test_links_in_the_folder_lead_nowhere(member: FleetMember, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    diary.mkdir()
    (diary / ("a" * 64)).write_text("mine")
    (member.folder / "parts").symlink_to(diary)
    for ask in (lambda: sent(member, STRICT), lambda: member.follow(signed(1))):
        with pytest.raises(StoreError):
            ask()
    (member.folder / "parts").unlink()
    (member.folder / "parts").mkdir()
    (member.folder / "parts" / "notes.txt").write_text("no part")
    for name in ("orders.json", "refused.json"):
        (member.folder / name).symlink_to(diary / ("a" * 64))
    member.follow(signed(1))
    assert (diary / ("a" * 64)).read_text() == "mine" and (member.folder / "parts" / "notes.txt").exists()
    (member.folder / "lock").unlink()
    (member.folder / "lock").symlink_to(diary / ("a" * 64))
    with pytest.raises(StoreError):
        member.follow(signed(2))


@pytest.mark.parametrize("form", ["{}/", "{}/../fleet/policy.cedar", "~/fleet/policy.cedar", "link"])
def test_the_file_of_the_rules_may_be_named_in_any_form(
    member: FleetMember, registry: Registry, form: str, tmp_path: Path
) -> None:
    path = policy_file(member.settings.home)
    named = {"{}/": f"{path}/", "link": str(tmp_path / "rules.cedar")}.get(form, f"{path.parent}/../fleet/policy.cedar")
    if form.startswith("~"):
        named = "~/" + os.path.relpath(path, Path.home())
    (tmp_path / "rules.cedar").symlink_to(path)
    settings = member.settings.model_copy(update={"policy": PolicySection(set=named)})
    member = FleetMember(settings, registry)
    member.follow(signed(1, policy=sent(member, STRICT)))
    assert path.read_bytes() == STRICT


def test_a_part_that_is_damaged_on_the_disk_is_asked_for_again(member: FleetMember) -> None:
    part = sent(member, STRICT)
    (member.folder / "parts" / part.sha256).write_bytes(STRICT + b"\npermit (principal, action, resource);")
    with pytest.raises(StoreError, match="damaged"):
        member.follow(signed(1, policy=part))
    assert member.follow(signed(1, policy=part))["missing"] == [part.sha256]


def test_rules_that_a_kill_left_go_where_the_orders_fail_again(member: FleetMember) -> None:
    path = policy_file(member.settings.home)
    member.follow(signed(1, policy=sent(member, BALANCED)))
    part = sent(member, STRICT)
    (member.folder / "before.cedar").write_bytes(BALANCED)
    path.write_bytes(STRICT)  # killed here
    (member.folder / ".orders.json.part").mkdir()
    with pytest.raises(StoreError):
        member.follow(signed(2, policy=part))
    assert path.read_bytes() == BALANCED
    (member.folder / ".orders.json.part").rmdir()
    member.follow(signed(2, policy=part))
    assert path.read_bytes() == STRICT and not (member.folder / "before.cedar").exists()
