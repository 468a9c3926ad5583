"""The examples to start from: each policy keeps its table and does what it says, the commands of the page run."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from forking import netgpt_script, run_netgpt

from netgpt.cli.redact import _HideAll
from netgpt.context.places import read_geojson
from netgpt.policy import Policy
from netgpt.policy.cases import ground_cases, read_cases, run_cases
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.redact import Redactor
from netgpt.settings import load_settings
from netgpt.types import Person, Terms

EXAMPLES = Path(__file__).parent.parent / "examples"
POLICIES = sorted((EXAMPLES / "policies").glob("*.cedar"))
PLAIN = {"NETGPT_CLOUD__BASE_URL": "https://llm.example/v1"}
CONTRACT = {**PLAIN, "NETGPT_CLOUD__REGION": "eu", "NETGPT_CLOUD__PURPOSE": "treatment"}
VISIT = "Maria Keller, 63, of Kraków, was seen on 12 March 2024 for her diabetes"
SENTENCES = [
    ("family", PLAIN, "Maria Keller moved to 12 Tannery Lane, Kraków", "[PERSON_1] moved to Kraków", ""),
    ("family", PLAIN, "is there a ferry on Sundays?", "is there a ferry on Sundays?", ""),
    ("clinic", CONTRACT, VISIT, "[PERSON_1], 59-70, of Lesser Poland, Poland, was seen on 2024 for her diabetes", ""),
    ("clinic", PLAIN, VISIT, None, "one-region-only"),
    ("shop-floor", PLAIN, "Press PX-20 of Jonas Weber stops", "Press PX-20 of [PERSON_1] stops", ""),
    ("shop-floor", PLAIN, "the admin password of press PX-20 is hunter2-Xy9!", None, "secrets-stay"),
    ("school", PLAIN, "Max Berger is 9 years old", "[PERSON_1] is under 10 years old", ""),
    ("school", PLAIN, "Max Berger has asthma", None, "health-and-sensitive-stay"),
]  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES, ids=lambda path: path.stem)
def test_a_policy_keeps_its_table(policy: Path) -> None:
    """As `netgpt policy check` runs it, beside what no policy may allow."""
    loaded, table = Policy.load(str(policy)), read_cases(policy.with_suffix(".cases.toml"))
    done = run_cases(loaded, [*ground_cases(), *table])
    assert not [(each.case.what, each.verdict.rules) for each in done if not each.ok]
    own = {rule.id for rule in loaded.rules if rule.where.startswith(str(policy))}
    assert len(own) >= 7 and own <= {case.rule for case in table}  # no rule without a case


class Rules:
    """Terms of whichever policy is tried now, so that one search for names serves them all."""

    def __init__(self) -> None:
        self.now: _HideAll | None = None

    def __call__(self, kind: str, public: bool) -> Terms:
        assert self.now is not None
        return self.now(kind, public)


@pytest.fixture(scope="module")
def rules() -> tuple[Rules, Redactor]:
    made = Rules()
    generaliser = Generaliser()
    generaliser.get_ready()
    return made, Redactor(terms=made, generaliser=generaliser)


@pytest.mark.parametrize(("name", "settings", "text", "leaves", "kept_by"), SENTENCES)
def test_a_policy_does_to_sentences_what_it_says(
    rules: tuple[Rules, Redactor], name: str, settings: dict[str, str], text: str, leaves: str | None, kept_by: str
) -> None:
    """As `netgpt redact` does it."""
    made, redactor = rules
    file = str(EXAMPLES / "policies" / f"{name}.cedar")
    read = load_settings(None, {**settings, "NETGPT_POLICY__SET": file, "NETGPT_HOME": os.environ["NETGPT_HOME"]})
    made.now = _HideAll(read, Person("local", "ada"))
    text_left = redactor(text).text
    assert (kept_by in str(made.now.refused)) if kept_by else not made.now.refused, made.now.refused
    assert leaves is None or text_left == leaves


def test_the_town_is_read_whole_and_is_nowhere() -> None:
    places = read_geojson(EXAMPLES / "places" / "portwick.geojson")
    assert len(places) == 14 and len({place.id for place in places}) == 14
    assert all(-11.3 < place.longitude < -11.1 and 50.7 < place.latitude < 50.9 for place in places)  # in the sea
    assert sum(bool(place.hours) for place in places) >= 12


def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", (EXAMPLES / "README.md").read_text(), re.S)
    home = tmp_path / ".netgpt"
    home.mkdir(mode=0o700)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    netgpt_script(scripts)
    env = {**os.environ, "NETGPT_HOME": str(home), "HOME": str(tmp_path), "COLUMNS": "200"}
    env["PATH"] = f"{scripts}:{env['PATH']}"
    script = f"set -eu; cd {EXAMPLES.parent}; {block} netgpt profile list"
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all as expected" in done.stdout and "The Green Ladle, vegetarian restaurant" in done.stdout
    assert {"ada", "ben", "cleo"} <= set(re.findall(r"\w+", done.stdout))
    facts = json.loads(run_netgpt("profile", "list", "cleo", "--json", env=env, check=True).stdout)
    assert {fact["label"] for fact in facts} == {"public", "personal", "sensitive"}


def test_each_line_of_a_profile_adds_a_fact() -> None:
    """The one that the page runs, and the other."""
    fact = re.compile(r'netgpt profile add [a-z]+ "[^"$`]+" --kind [a-z]+(?: --label (?:public|sensitive))?')
    for file in (EXAMPLES / "profiles").glob("*.sh"):
        lines = [line for line in file.read_text().splitlines()[1:] if line and not line.startswith("#")]
        assert lines[0] == "set -eu" and len(lines) >= 8
        assert all(fact.fullmatch(line) for line in lines[1:]), file


def test_the_page_names_each_example_and_each_is_there() -> None:
    page = (EXAMPLES / "README.md").read_text()
    named = re.findall(r"\]\(((?!\.\.)[^)]+)\)", page)
    assert all((EXAMPLES / name).exists() for name in named)
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {name.split("/")[0] for name in named}
    assert {f"policies/{path.name}" for path in POLICIES} <= set(named)
