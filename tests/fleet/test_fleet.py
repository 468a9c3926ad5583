"""A fleet of real boxes under a real control: rules reach all that can be reached, the others when they can be; texts
reach none but their box."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from certificates import Authority
from forking import run_netgpt
from serving import Served
from wires import Wire

from netgpt.fleet.box import policy_file
from netgpt.policy import own_text
from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow
PLANTED = "Call Zbigniew Brzezicki on +44 20 7946 0018"


class Fleet(NamedTuple):
    """The control's folder, boxes by name, and the wire before the first."""

    folder: Path
    boxes: dict[str, Served]
    wire: Wire

    def netgpt(self, command: str, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run_netgpt("fleet", command, *args, env={**os.environ, "COLUMNS": "200"}, check=check)

    def push(self) -> dict[str, Any]:
        told = self.netgpt("push", str(self.folder), "--json", check=False)
        return {each["box"]: each for each in json.loads(told.stdout)}

    def rules_of(self, name: str) -> str:
        return policy_file(self.boxes[name].home).read_text()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    root = tmp_path_factory.mktemp("fleet")
    authority = Authority(root)
    server, client = authority.make("box", "127.0.0.1"), authority.make("control")
    run_netgpt("fleet", "init", str(root / "control"), env={**os.environ}, check=True)
    key = json.loads(run_netgpt("fleet", "show", str(root / "control"), "--json", env={**os.environ}).stdout)["key"]
    joined: dict[str, dict[str, str]] = {
        name: {"fleet__box": name, "fleet__key": key, "policy__set": str(policy_file(root / name))}
        for name in ("mill", "school")
    }
    joined["school"] |= {
        "server__tls_cert": str(server.cert), "server__tls_key": str(server.key),
        "server__tls_client_ca": str(authority.ca),
    }  # fmt: skip
    with FaultyCloud("fine") as cloud:
        boxes = {name: Served(root / name, cloud=cloud, **settings) for name, settings in joined.items()}
        for name, box in boxes.items():
            box.home.mkdir()
            env = {**os.environ, "NETGPT_HOME": str(box.home)}
            lines = run_netgpt("fleet", "join", name, key, env=env, check=True).stdout
            assert f'key = "{key}"' in lines and policy_file(box.home).read_text() == own_text("balanced")[0]
        shown = ssl.create_default_context(cafile=str(authority.ca))
        shown.load_cert_chain(client.cert, client.key)
        boxes["school"].verify = shown
        with boxes["mill"], boxes["school"], Wire(boxes["mill"].url) as wire:
            found = Fleet(root / "control", boxes, wire)
            made = boxes["school"].netgpt("keys", "create", "--role", "operator", "--scope", "fleet", "--json")
            secret = json.loads(made.stdout)["secret"]
            found.netgpt("add", "mill", wire.url, str(found.folder))
            found.netgpt(
                "add", "school", boxes["school"].url, str(found.folder), "--key", secret, "--ca", str(authority.ca),
                "--cert", str(client.cert), "--cert-key", str(client.key),
            )  # fmt: skip
            yield found


def order(fleet: Fleet, rules: str, name: str = "rules.cedar") -> None:
    path = fleet.folder / name
    path.write_text(rules)
    fleet.netgpt("order", str(fleet.folder), "--policy", str(path))


def test_rules_reach_every_box_and_count_there_at_once(fleet: Fleet) -> None:
    order(fleet, own_text("strict")[0])
    assert {each["state"] for each in fleet.push().values()} == {"followed"}
    states = fleet.push()
    assert {each["state"] for each in states.values()} == {"current"}
    digests = {each["report"]["policy"]["sha256"] for each in states.values()}
    assert len(digests) == 1 and fleet.rules_of("mill") == fleet.rules_of("school") == own_text("strict")[0]
    assert "sha256 " + digests.pop() in fleet.boxes["mill"].log()


def test_a_box_that_was_cut_off_goes_on_and_catches_up(fleet: Fleet) -> None:
    before = fleet.rules_of("mill")
    fleet.wire.cut()
    try:
        order(fleet, own_text("balanced")[0] + "\n// once more\n")
        states = fleet.push()
        assert (states["mill"]["state"], states["school"]["state"]) == ("cut off", "followed")
        assert (
            fleet.rules_of("mill") == before
            and fleet.boxes["mill"].ask("hello", model="netgpt/edge").status_code == 200
        )
    finally:
        fleet.wire.heal()
    assert fleet.push()["mill"]["state"] == "followed"
    assert fleet.rules_of("mill") == fleet.rules_of("school") != before


def test_rules_that_no_box_may_have_are_refused_by_each_with_the_reason(fleet: Fleet) -> None:
    before = fleet.rules_of("mill")
    order(fleet, '@id("all")\npermit (principal, action, resource);\n')
    states = fleet.push()
    assert {each["state"] for each in states.values()} == {"refused"}
    assert all("cases" in each["why"] for each in states.values()) and fleet.rules_of("mill") == before
    again = fleet.push()  # said again, and not tried again
    assert {name: each["why"] for name, each in again.items()} == {name: each["why"] for name, each in states.items()}
    order(fleet, before)
    assert {each["state"] for each in fleet.push().values()} == {"followed"}


def test_no_text_and_no_person_is_told_to_the_control(fleet: Fleet) -> None:
    box = fleet.boxes["mill"]
    assert box.ask(PLANTED, user="zbigniew").status_code == 200
    box.netgpt("profile", "add", "zbigniew", "is allergic to peanuts", "--kind", "diet")
    fleet.wire.seen.clear()
    report = fleet.push()["mill"]["report"]
    assert sum(report["answered"].values()) >= 1 and report["parts"]["store"] is True
    passed = bytes(fleet.wire.seen)
    assert b"netgpt.fleet" in passed
    for private in (
        b"Brzezicki",
        b"Zbigniew",
        b"zbigniew",
        b"7946",
        b"peanut",
        b"127.0.0.1:9",
        box.home.name.encode() + b"/",
    ):
        assert private not in passed, private


def test_a_box_without_the_certificate_or_the_key_is_told_nothing(fleet: Fleet) -> None:
    school = fleet.boxes["school"]
    fleet.netgpt("add", "school-2", school.url, str(fleet.folder))
    fleet.netgpt("add", "nobody", "http://127.0.0.1:9", str(fleet.folder))
    try:
        states = fleet.push()
        assert states["school-2"]["state"] == states["nobody"]["state"] == "cut off"
        assert fleet.netgpt("push", str(fleet.folder), "--box", "nobody", check=False).returncode == 1
    finally:
        fleet.netgpt("remove", "school-2", str(fleet.folder))
        fleet.netgpt("remove", "nobody", str(fleet.folder))
    assert oct((fleet.folder / "boxes.json").stat().st_mode)[-3:] == "600"
    assert oct((fleet.folder / "control.key").stat().st_mode)[-3:] == "600"
