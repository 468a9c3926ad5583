"""The docs fail the build when they are wrong: generated pages are current, every example is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from forking import Forked, netgpt_script
from patience import wait_until
from serving import Served

from netgpt.exchange import FRONT_END, PIPELINE, Exchange, written_by
from netgpt.settings.sections import DEFAULT_STAGES
from netgpt.testing.server import FaultyCloud

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted((ROOT / "docs").rglob("*.md"))
FOLDERS = [p for p in ROOT.iterdir() if p.is_dir() and (p.name[0] != "." or p.name == ".github")]
PAGES = [*ROOT.glob("*.md"), *(page for p in FOLDERS if p.name not in ("build", "dist") for page in p.rglob("*.md"))]
"""Every page of the repository."""
TUTORIALS = [page.stem for page in DOCS if page.parent.name == "tutorials"]
LONGEST = 150
"""Lines that a person reads at once."""
MAY_BE_LONG = {"log.md", "cli/bench.md", "cli/index.md"}
INVENTED = {"our_detectors.py", "test_our_detectors.py"}
"""The reader's own module in an example."""


def tutorial(name: str) -> str:
    return (ROOT / "docs" / "tutorials" / f"{name}.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)#:\s]+)[^):]*\)", text):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_page_is_in_the_menu() -> None:
    menu = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    listed = [name for section in menu for names in section.values() for name in names]
    assert sorted(listed) == sorted({*listed})
    here = {str(page.relative_to(ROOT / "docs")) for page in DOCS}
    assert set(listed) == here | {"CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}


def test_modules_that_the_pages_name_exist() -> None:
    for page in {*PAGES} - {ROOT / "docs" / "log.md"}:
        for name in re.findall(r"`((?:[a-z0-9_]+/)*[a-z0-9_]+\.py)`", page.read_text(encoding="utf-8")):
            bench = ROOT / "benchmarks" / "src" / "netgpt_bench"
            known = (ROOT / "src" / "netgpt" / name, ROOT / name, page.parent / name, bench / name)
            assert name in INVENTED or any(path.exists() for path in known), f"{page.name} names {name}"


def test_no_page_is_longer_than_a_person_reads_at_once() -> None:
    long = {
        str(page.relative_to(ROOT / "docs")) for page in DOCS if len(page.read_text("utf-8").splitlines()) > LONGEST
    }
    assert long <= MAY_BE_LONG
    assert len(README.splitlines()) <= 200


def test_the_tree_in_the_readme_is_the_tree() -> None:
    tree = README[README.index("src/netgpt/\n") : README.index("benchmarks/    ")]
    named = set(re.findall(r"(?<![\w.])([a-z_]+(?:\.py|/))", tree))
    real = {
        p.name + ("/" if p.is_dir() else "")
        for p in (ROOT / "src" / "netgpt").iterdir()
        if p.name not in ("__pycache__", "__init__.py", "__main__.py", "py.typed", "data")  # the build brings data
    }
    assert named - {"netgpt/", "src/"} == real


def test_the_stages_in_the_design_are_the_stages() -> None:
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| .*? \| (.*?) \|", design, re.M)
    stages = [name for name, _ in rows if name in DEFAULT_STAGES]
    assert stages == list(DEFAULT_STAGES)
    written = {name: set(re.findall(r"`(\w+)`", writes)) for name, writes in rows if name in DEFAULT_STAGES}
    fields: dict[str, set[str]] = {name: set() for name in (*DEFAULT_STAGES, PIPELINE, FRONT_END)}
    for name, field in vars(Exchange).items():
        if isinstance(field, written_by):
            fields[field.stage].add(name)
    assert written == {name: fields[name] for name in DEFAULT_STAGES}
    assert all(f"`{name}`" in design for name in fields[PIPELINE] | fields[FRONT_END])


@pytest.fixture
def home_with_model(tmp_path: Path, bundled_weights: Path, encoder_weights: Path) -> Path:
    """A home in which `netgpt models pull` has been run, without a second download."""
    home = tmp_path / "readme-home"
    home.mkdir(mode=0o700)
    run("netgpt models pull --from " + shlex.quote(str(bundled_weights)), home)
    run("netgpt models pull all-minilm-l6-v2 --from " + shlex.quote(str(encoder_weights)), home)
    return home


def run(line: str, home: Path) -> str:
    """One shell line with this interpreter's `netgpt`."""
    scripts = home.parent / "scripts"
    scripts.mkdir(exist_ok=True)
    netgpt_script(scripts)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=home,
        env={
            **os.environ,
            "NETGPT_HOME": str(home),
            "PATH": f"{scripts}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "160",
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


SET_UP = ("make ", "python3 -m venv", "pip install")
"""Commands of the README that made this environment; every other one is run."""


@pytest.mark.slow
def test_the_readme_runs_in_order_in_one_home(home_with_model: Path) -> None:
    """By the letter: init, serve, the application's lines, and each command beside the gateway that serves."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port = str(line.getsockname()[1])
    said: dict[str, str] = {}
    gateway = None
    try:
        for language, block in re.findall(r"```(sh|python)\n(.*?)```", README, re.S):
            if language == "python":
                code = block.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{port}")
                done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
                assert done.returncode == 0 and done.stdout.strip(), done.stderr
                continue
            for command in (each.split("  #")[0].split(" # ")[0].strip() for each in block.splitlines()):
                if command.startswith(SET_UP):
                    continue
                if command == "netgpt serve":
                    gateway = gateway_of(home_with_model, port)
                    continue
                assert command.startswith(("netgpt ", "echo ")), f"{command}: is it set-up, or to be run?"
                said[command] = run(f"export NETGPT_SERVER__PORT={port}; {command}", home_with_model)
    finally:
        if gateway is not None:
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(60)
    everything = "\n".join(said.values())
    assert len(said) > 15 and gateway is not None
    assert "[PERSON_1]" in everything and "[PHONE_1]" in everything and "date-as-year" in everything
    assert "vegetarian" in everything and "ngpt_" in everything and "yes" in said["netgpt status"]
    assert "ada@mill.example" not in (home_with_model / "all.jsonl").read_text()
    assert json.loads((home_with_model / "ada.json").read_text())["user"] == "ada"


def gateway_of(home: Path, port: str) -> Forked:
    """`netgpt serve` with this home, once it is ready."""
    env = {**os.environ, "NETGPT_HOME": str(home), "NETGPT_SERVER__PORT": port}
    with (home / "serve.txt").open("wb") as told:
        gateway = Forked(["serve"], env=env, cwd=home, stdout=told, stderr=told)

    def is_ready() -> bool:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    wait_until(is_ready)
    return gateway


@pytest.mark.slow
def test_every_command_of_the_learning_block_runs(home_with_model: Path) -> None:
    block = next(b for b in blocks("sh", tutorial("learning")) if "netgpt adapters list" in b)
    said = [run(line, home_with_model) for line in block.strip().splitlines()]
    assert "complete@1" in said[0] and "recipe:complete" in "".join(said)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["first-ten-minutes", "hiding"])
def test_the_commands_of_a_tutorial_run(name: str, home_with_model: Path) -> None:
    """Those that the README, which is run above, does not hold."""
    commands = [line for block in blocks("sh", tutorial(name)) for line in block.splitlines()]
    new = [line for line in commands if line.startswith(("netgpt", "export", "unset")) and line not in README]
    assert "[EMAIL_1]" in run("\n".join(new), home_with_model)


@pytest.mark.slow
def test_every_command_of_the_routing_blocks_runs(port_8080: Served) -> None:
    page = tutorial("several-models")
    block = next(b for b in blocks("sh", page) if "netgpt signals" in b)
    (port_8080.home / "prompts.jsonl").write_text('{"prompt": "a joke, please"}\n{"prompt": "prove it"}\n')
    said = {line.split("#")[0].strip(): served(line, port_8080) for line in block.strip().splitlines()}
    everything = "\n".join(said.values())
    assert everything.count('"p_edge_ok"') == 2 and "cloud" in everything and "what rhymes with orange?" in everything
    later = next(b for b in blocks("sh", page) if "netgpt waiting list" in b)
    assert port_8080.cloud is not None
    port_8080.cloud.stop()
    assert "netgpt.waiting" in served(later.replace("http://127.0.0.1:8080", port_8080.url), port_8080)


def served(lines: str, gateway: Served) -> str:
    """Shell lines beside a gateway, with its settings."""
    lines = lines.replace("netgpt signals", f"netgpt signals --url {gateway.url}")
    settings = [f"{name}={shlex.quote(value)}" for name, value in gateway.environment().items()]
    return run(f"export {' '.join(settings)}; {lines}", gateway.home)


@pytest.mark.slow
def test_the_key_commands_run(home_with_model: Path) -> None:
    block = next(b for b in blocks("sh", tutorial("your-application")) if "netgpt keys list" in b)
    said = "".join(run(line, home_with_model) for line in block.splitlines() if "netgpt serve" not in line)
    assert "ngpt_" in said and "100000" in said.replace(",", "")


@pytest.fixture
def port_8080(tmp_path: Path) -> Iterator[Served]:
    with FaultyCloud() as cloud, Served(tmp_path / "home", cloud=cloud) as gateway:
        yield gateway


@pytest.mark.slow
def test_the_python_examples_run(port_8080: Served) -> None:
    for page in (README, tutorial("your-application")):
        (example,) = blocks("python", page)
        assert "http://127.0.0.1:8080/v1" in example
        code = example.replace("http://127.0.0.1:8080", port_8080.url)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        asked = re.search(r'"content": "([^"]+)"', code)
        assert asked and done.stdout.strip() == asked[1]  # of the cloud, which says what it was asked


def test_the_settings_examples_are_valid(tmp_path: Path) -> None:
    from netgpt.settings import load_settings

    file = tmp_path / "netgpt.toml"
    shown = [*blocks("toml"), *(text for page in TUTORIALS for text in blocks("toml", tutorial(page)))]
    read = []
    for text in shown:
        file.write_text(text)
        read.append(load_settings(file, {}))
    assert read[0].cloud.base_url and read[0].site.city == "Portwick"
    assert any([upstream.name for upstream in settings.upstreams] == ["other-eu", "next-door"] for settings in read)
