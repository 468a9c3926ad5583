"""The packages of examples/, installed with pip, and hostile ones beside them, at work in a real `netgpt serve`."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Served

from netgpt.errors import PipelineError
from netgpt.exchange import Exchange
from netgpt.stages import Pipeline, check_plugged
from netgpt.testing.server import FaultyCloud

EXAMPLES = Path(__file__).parents[2] / "examples"
BADGE = "my badge is B-1234-XY, please confirm"
HOSTILE = {
    "relabel": (
        "detectors",
        "from netgpt import detector\n@detector(kind='EMAIL', family='other')\ndef x(text): ...\n",
        "",
    ),
    "unknown": (
        "detectors",
        "from netgpt import detector\n@detector(kind='FOO', family='nobody')\ndef x(text): ...\n",
        "",
    ),
    "diet": (
        "detectors",
        "from netgpt import detector\n@detector(kind='DIET', family='other')\ndef x(text): ...\n",
        "",
    ),
    "emails": (
        "detectors",
        "from netgpt import detector\n@detector(kind='FOO', family='other')\ndef x(text): ...\n",
        "",
    ),
    "broken": ("detectors", "raise RuntimeError('not made yet')\n", ""),
    "desensitize": ("stages", "def make(gateway): ...\n", ":make"),
    "nameless": ("recipes", "TIDES = 5\n", ":TIDES"),
    "unhashed": (
        "model_sources",
        "from netgpt import Bundled\nX = Bundled('unhashed', 'x.gguf', 1, '', '', '', 'x==1', '', 1, 'x')\n",
        ":X",
    ),
    # These are admitted, and try it when they are at work.
    "claims": (
        "detectors",
        "from netgpt import detector\n@detector(kind='PRODUCT', family='other')\n"
        "def whole(text): return [(0, len(text))] if 'ada@' in text else []\n",
        "",
    ),
    "faults": (
        "detectors",
        "import time\nfrom netgpt import Span, detector\n"
        "@detector(kind='FOO', family='other', triggers=['outside', 'wrongly', 'raises', 'hangs'])\n"
        "def faults(text):\n"
        "    if 'outside' in text: return [(0, len(text) + 5)]\n"
        "    if 'wrongly' in text: return [Span(0, 2, 'EMAIL', 'x')]\n"
        "    if 'raises' in text: raise ValueError(text)\n"
        "    while 'hangs' in text: time.sleep(1)\n",
        "",
    ),
    "meddler": (
        "stages",
        "class Meddler:\n    name, reads, writes = 'meddler', frozenset({'outbounds', 'messages'}), frozenset()\n"
        "    async def __call__(self, exchange):\n"
        "        text = exchange.messages[-1]['content']\n"
        "        exchange.messages.append({'role': 'user', 'content': 'meddled'})\n"
        "        if 'overwrite' in text: exchange.outbound = None\n"
        "        if 'unmask' in text: exchange.vault\n"
        "def make(gateway): return Meddler()\n",
        ":make",
    ),
    "gloomy": (
        "signals",
        "class Gloomy:\n    every_s = 0.1\n    async def sample(self): raise RuntimeError('no sensor')\n"
        "def make(settings): return Gloomy()\n",
        ":make",
    ),
}


def _write(folder: Path, name: str, group: str, code: str, attribute: str) -> None:
    """A distribution as pip would leave it."""
    (folder / f"hostile_{name}.py").write_text(code)
    info = folder / f"hostile_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: hostile-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[netgpt.{group}]\n{name} = hostile_{name}{attribute}\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all packages of examples/, by pip, and the hostile ones."""
    folder = tmp_path_factory.mktemp("site")
    packages = [str(path.parent) for path in sorted(EXAMPLES.glob("*/pyproject.toml"))]
    quiet = (
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--no-compile",
    )
    subprocess.run([sys.executable, "-m", "pip", "install", *quiet, "--target", str(folder), *packages], check=True)
    for name, (group, code, attribute) in HOSTILE.items():
        _write(folder, name, group, code, attribute)
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


class ServedWithPlugins(Served):
    """A process of its own: one that is forked from another has its imports already."""

    folder: Path

    def _started(self, args: list[str], environment_: dict[str, str]) -> Any:
        return subprocess.Popen(
            [sys.executable, "-m", "netgpt", *args],
            env={**environment_, "PYTHONPATH": environment(self.folder)["PYTHONPATH"]},
            cwd=self.home,
            stdout=self._log,
            stderr=self._log,
        )

    def run(self, *lines: str, **settings: str) -> list[str]:
        """What each of these command lines prints, on both streams, all in one process."""
        code = (
            "import sys\nfrom netgpt.cli import app\nsys.stderr = sys.stdout\n"
            f"for line in {lines!r}:\n    try:\n        app(line.split())\n"
            "    except SystemExit:\n        print('<end>', flush=True)\n"
        )
        env = {**environment(self.folder), **self.environment(), **settings}
        done = subprocess.run([sys.executable, "-c", code], env=env, cwd=self.home, capture_output=True, text=True)
        return done.stdout.split("<end>\n")[:-1]


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud() as cloud:  # it says what it was asked
        yield cloud


@pytest.fixture(scope="module")
def served(
    installed: Path, cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedWithPlugins]:
    stages = "identify,recall,complete,shout,desensitize,meddler,route,generate,restore,record"
    served = ServedWithPlugins(
        tmp_path_factory.mktemp("home"), cloud=cloud, workflow__stages=stages, privacy__timeout_s="3",
        privacy__names="false", plugins__off="unwanted,relabel,unknown,diet,emails,broken",
    )  # fmt: skip
    served.folder = installed
    _write(installed, "unwanted", "detectors", "raise SystemExit('imported although it is off')\n", "")
    with served:
        yield served


def last_sent(cloud: FaultyCloud) -> str:
    return cloud.all_bytes().decode().rpartition("POST ")[2]


def test_a_find_is_hidden_from_the_cloud_and_restored_for_the_caller(
    served: ServedWithPlugins, cloud: FaultyCloud
) -> None:
    answer = served.ask(BADGE)
    assert answer.status_code == 200, answer.text
    assert b"B-1234-XY" not in cloud.all_bytes() and "[BADGE_1]" in last_sent(cloud)
    assert "B-1234-XY" in answer.json()["choices"][0]["message"]["content"]


def test_what_a_stage_notes_is_explained(served: ServedWithPlugins) -> None:
    assert served.ask("HELLO you").status_code == 200
    told, shown = served.run("explain --json", "explain")
    explained = json.loads(told)
    assert explained["notes"] == {"shout": {"loudness": 0.62}}
    assert "loudness" in shown


def test_a_signal_is_seen_and_one_that_fails_is_told(served: ServedWithPlugins) -> None:
    told = served.get("/v1/signals").json()
    assert told["links"]["cloud"]["hint"] == "heavy rain"
    assert told["plugins"] == {"weather": "cloud: heavy rain", "gloomy": "RuntimeError: no sensor"}
    assert "heavy rain" in served.run(f"signals --url {served.url}")[0]


def test_a_built_in_find_keeps_its_kind_beside_a_plug_in(served: ServedWithPlugins, cloud: FaultyCloud) -> None:
    answer = served.ask("mail ada@mill.example today")
    assert answer.status_code == 200, answer.text
    sent = last_sent(cloud)
    assert "ada@mill.example" not in sent and "[EMAIL_1]" in sent and "[PRODUCT_1] [EMAIL_1] [PRODUCT_2]" in sent
    assert "mail ada@mill.example today" in answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("fault", ["outside", "wrongly", "raises"])
def test_nonsense_means_that_nothing_leaves(served: ServedWithPlugins, cloud: FaultyCloud, fault: str) -> None:
    before = len(cloud.all_bytes())
    answer = served.ask(f"this {fault}, my secret is a mill", netgpt={"explain": True})
    assert r"the plug-in \"faults\" failed" in answer.text and "the edge says so" in answer.text
    assert len(cloud.all_bytes()) == before


@pytest.mark.parametrize(("word", "complaint"), [("overwrite", "exchange.outbound"), ("unmask", "exchange.vault")])
def test_a_stage_that_meddles_fails_the_request(
    served: ServedWithPlugins, cloud: FaultyCloud, word: str, complaint: str
) -> None:
    before = len(cloud.all_bytes())
    answer = served.ask(f"{word} this")
    assert answer.status_code == 500 and complaint in answer.text
    assert len(cloud.all_bytes()) == before and b"meddled" not in cloud.all_bytes()


def test_a_detector_that_hangs_is_ended_and_nothing_leaves(served: ServedWithPlugins, cloud: FaultyCloud) -> None:
    before = len(cloud.all_bytes())
    answer = served.ask("this hangs", netgpt={"explain": True})
    assert "took longer" in answer.text and "the edge says so" in answer.text
    assert len(cloud.all_bytes()) == before


def test_plug_ins_are_listed_with_what_became_of_them(served: ServedWithPlugins) -> None:
    lines = ("plugins --json", "models list", "train nobody", "doctor", "redact mail")
    table, weights, recipes, doctor, redacted = served.run(*lines, NETGPT_PLUGINS__OFF="unwanted")
    rows = {row["name"]: row for row in json.loads(table[table.index("[\n") :])}
    active = {"badges", "shout", "weather", "tides", "tiny", "claims", "faults", "meddler", "gloomy"}
    assert {name for name, row in rows.items() if row["state"] == "active"} >= active
    assert rows["badges"]["from"] == "netgpt-badge-detector 1.0" and rows["unwanted"]["state"] == "off"
    for name, why in {
        "relabel": "EMAIL is of the family contact",
        "unknown": "no family",
        "diet": "DIET is of the family own",
        "emails": "the name is taken",
        "broken": "RuntimeError: not made yet",
        "desensitize": "the name is a built-in stage's",
        "nameless": "is no ExampleRecipe",
        "unhashed": "sha256",
    }.items():
        assert rows[name]["state"] == "refused" and why in rows[name]["why"], rows[name]
    assert "not made yet" in doctor and "the name is a built-in stage's" in served.log()
    assert 'the plug-in "broken" cannot be used' in redacted, "somebody relies on it: nothing passes unsearched"
    assert "tiny" in weights and "known: complete, tides" in recipes


@pytest.mark.parametrize(
    ("declares", "complaint"),
    [
        ({"writes": frozenset({"outbound"})}, "may write no field"),
        ({"reads": frozenset({"vault"})}, "may not read exchange.vault"),
        ({"reads_if_written": frozenset({"restored"})}, "may not read exchange.restored"),
    ],
)
def test_a_stage_that_claims_too_much_is_refused(declares: dict[str, frozenset[str]], complaint: str) -> None:
    async def call(self: object, exchange: Exchange) -> None: ...

    members = {"name": "greedy", "reads": frozenset(), "writes": frozenset(), "__call__": call, **declares}
    stage: Any = type("Greedy", (), members)()
    with pytest.raises(PipelineError, match=complaint):
        Pipeline([stage])
    with pytest.raises(PipelineError, match="must carry its own name"):
        check_plugged(stage, "line")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/test_*.py")), ids=lambda path: path.stem)
def test_the_examples_keep_their_own_contracts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(path.parent)
    tests = [test for name, test in runpy.run_path(str(path)).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()
