"""`netgpt demo`: it is told to a terminal of 80 columns, its claims hold, and each command that it prints shows so."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from forking import netgpt_script, run_netgpt

from netgpt.cli.demo import MARK, _fresh_home, _Teller
from netgpt.cli.demo_cloud import NOTHING, WRITTEN, written
from netgpt.cli.demo_story import DINNER, ORDER, PRIVATE, TOWNS, WALK, Chapter, Claim
from netgpt.errors import SettingsError
from netgpt.store.database import OpenMark


class Told:
    """One telling: what was printed, and its home. The caller's own settings must not reach the demo's box."""

    def __init__(self, folder: Path, models: Path) -> None:
        home = folder / "home"
        home.mkdir(mode=0o700)
        (home / "models").symlink_to(models)
        self.home, scripts = home / "demo", folder / "scripts"
        scripts.mkdir()
        netgpt_script(scripts)
        env = {name: value for name, value in os.environ.items() if not name.startswith("NETGPT_")}
        self.env = {**env, "HOME": str(folder), "PATH": f"{scripts}:{env['PATH']}"}
        stray = {"NETGPT_CLOUD__BASE_URL": "http://127.0.0.1:9/v1", "NETGPT_POLICY__SET": "open", "COLUMNS": "80"}
        self.done = run_netgpt("demo", env={**self.env, **stray, "NETGPT_HOME": str(home)}, timeout=600)
        self.text = self.done.stdout

    def claims(self) -> list[tuple[str, str]]:
        """The commands, each with what it is said to show."""
        return re.findall(r"^ +\$ (.+)\n +shows: (.+)", self.text, re.M)

    def shell(self, command: str) -> str:
        begin = re.search(r"\$ (cd .+)", self.text)
        assert begin and f"cd {self.home} " in begin[1]
        line = f"{begin[1]}; export PATH={self.env['PATH']}; {command}"
        env = {**self.env, "COLUMNS": "200"}
        done = subprocess.run(["bash", "-uc", line], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, bundled_weights: Path, encoder_weights: Path) -> Told:
    assert bundled_weights.parent == encoder_weights.parent
    return Told(tmp_path_factory.mktemp("demo"), bundled_weights.parent)


@pytest.mark.slow
def test_every_claim_holds_and_each_command_shows_it(told: Told) -> None:
    assert told.done.returncode == 0, told.text + told.done.stderr
    found = told.claims()
    assert f"All {len(found)} claims hold" in told.text and "FAILS" not in told.text and len(found) >= 14
    for command, shows in found:
        said = told.shell(command)
        assert said.strip() == shows if shows.isdecimal() else shows in said, f"{command}: {shows}\n{said}"


@pytest.mark.slow
def test_it_is_told_to_a_narrow_terminal_and_whole(told: Told) -> None:
    long = [line for line in told.text.splitlines() if len(line) > 80 and not line.lstrip().startswith("$ ")]
    assert not long and "\x1b" not in told.text and "…" not in told.text
    flat = " ".join(told.text.split())
    assert WRITTEN[0][1] in flat and "netgpt init" in flat and "/console/" in flat and "stands in for a cloud" in flat
    bodies = sorted((told.home / "cloud-got").iterdir())
    whole = "".join(told.text.split())
    assert len(bodies) == 11
    for body in bodies[:7] + bodies[9:]:  # of the agent's three the last one, which holds the others
        assert "".join(body.read_text().split()) in whole
    assert not [path for path in (told.home, *told.home.rglob("*")) if path.stat().st_mode & 0o077]


def test_a_claim_that_fails_is_said_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    teller = _Teller(tmp_path)
    teller.tells(1, Chapter("A title", "", (), (Claim("it is so", False, "true", "0"),)))
    teller.ends(1, ["it is so"])
    shown = capsys.readouterr().out
    assert "FAILS    it is so" in shown and "1 of 1 claims FAIL" in shown


def test_its_home_is_begun_anew_and_nobody_elses(tmp_path: Path) -> None:
    home = _fresh_home(tmp_path / "demo")
    (home / "left.txt").touch()
    (home / "folder").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / "link").symlink_to(outside)
    stands = home.stat().st_ino
    assert [path.name for path in _fresh_home(home).iterdir()] == [MARK]
    assert home.stat().st_ino == stands and outside.exists()
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(SettingsError, match="was not made by the demo"):
        _fresh_home(other)
    mark = OpenMark(home / "netgpt.db")
    mark.share()
    with pytest.raises(SettingsError, match="end it first"):
        _fresh_home(home)
    mark.release()
    assert not (_fresh_home(home) / "netgpt.db-open").exists()


@pytest.mark.slow
def test_what_is_searched_for_would_be_found(told: Told) -> None:
    """A command that shows 0 could be one that finds nothing anywhere."""
    private = json.dumps([ORDER, TOWNS, "allergic to peanuts"])
    (told.home / "planted.json").write_text(private)
    searches = [command for command, shows in told.claims() if shows == "0" and "cloud-got" in command]
    assert len(searches) == 3
    for command in searches:
        assert told.shell(command.replace("cloud-got", "planted.json")).strip() == "1", command


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


def test_the_stand_in_knows_what_reached_it_and_nothing_else() -> None:
    for town in TOWNS:
        assert written(body(f"{WALK}\n- The user is in {town}.")) == dict(WRITTEN)[town]
    assert "Where are you?" in str(written(body(WALK)))
    assert "peanut" in str(written(body(DINNER))) and "peanut" not in str(written(body(f"{DINNER}, vegetarian")))
    assert written(body("anything else")) == NOTHING
    assert not [text for _, text in WRITTEN for value in PRIVATE if value in text]
    hidden = json.dumps({**ORDER, "customer": "[PERSON_1]", "email": "[EMAIL_1]"})
    asked = body("Where is order 4711?", tools=[{}])
    asked["messages"] += [{"role": "assistant"}, {"role": "tool", "content": hidden}]
    call = written(asked)
    assert isinstance(call, dict) and '"to": "[EMAIL_1]"' in call["tool_calls"][0]["function"]["arguments"]
