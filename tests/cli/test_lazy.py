"""The table of commands: every command is reachable, nothing is imported before it is called, plug-ins join."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

import netgpt as package
from netgpt.cli import BENCH, COMMANDS, app

FEW = 80
"""Modules of the package that a command which reads rows may load."""
HEAVY = {"numpy", "httpx", "fastapi", "presidio_analyzer", "spacy", "torch", "netgpt.app.gateway", "netgpt.privacy.ner"}
"""What takes a tenth of a second or more to import."""
STORE = {"sqlalchemy", "cryptography"}
"""What only a command that opens the database needs: a third of a second."""


@pytest.fixture
def plugged(tmp_path: Path) -> Path:
    """A folder with two distributions: `netgpt hello NAME` works, `netgpt broken` cannot be imported."""
    for name, code in {
        "hello": "def run(name: str) -> None:\n    '''Greet.'''\n    print('hello', name)\n",
        "broken": "raise RuntimeError('not\\nmade yet')\n",
        "keys": "raise SystemExit('an own command was replaced')\n",
    }.items():
        (tmp_path / f"plug_{name}.py").write_text(code)
        info = tmp_path / f"plug_{name}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: plug-{name}\nVersion: 1.5\nSummary: Says {name}.\n"
        )
        (info / "entry_points.txt").write_text(f"[netgpt.commands]\n{name} = plug_{name}:run\n")
    return tmp_path


def netgpt(*arguments: str, home: Path, path: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    paths = [str(path)] if path else []
    env = {**os.environ, **env, "NETGPT_HOME": str(home), "COLUMNS": "200"}
    env["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [env.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "netgpt", *arguments], capture_output=True, text=True, timeout=90, env=env
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_line_of_the_table_is_what_its_command_says(name: str) -> None:
    group = typer.main.get_command(app)
    command = group.load(name)  # type: ignore[attr-defined]
    assert command.name == name
    assert " ".join((command.help or "").split("\n\n")[0].split()) == COMMANDS[name].help
    listed = group.get_command(click.Context(click.Command(name)), name)  # type: ignore[attr-defined]
    assert listed.get_short_help_str() == command.get_short_help_str()


def test_help_imports_no_command(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom netgpt.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted(m for m in sys.modules if m.startswith('netgpt')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(["netgpt", "netgpt.cli", "netgpt.errors"])
    assert all(command in done.stdout for command in COMMANDS)


def loaded(line: str, home: Path) -> set[str]:
    """The modules that a command loads, by what an interpreter of its own says at its end."""
    code = (
        "import sys\nfrom netgpt.cli import app\n"
        f"try:\n    app({line.split()!r})\nexcept SystemExit as end:\n    assert end.code in (0, None), end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    env = {**os.environ, "NETGPT_HOME": str(home), "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "line", ["profile export ada", "profile forget ada", "keys create", "status", "profile proposals ada"]
)
def test_a_command_that_works_on_rows_loads_no_model(line: str, tmp_path: Path) -> None:
    assert not loaded(line, tmp_path) & HEAVY


@pytest.mark.parametrize(
    "line", ["keys --help", "profile --help", "config check", "policy show", "init --help", "status"]
)
def test_a_command_that_opens_no_database_loads_none(line: str, tmp_path: Path) -> None:
    assert not loaded(line, tmp_path) & (HEAVY | STORE)


def test_every_help_is_shown_and_says_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Words in brackets are no styles of the terminal's, and a flag takes no value."""
    group: Any = typer.main.get_command(app)

    def walk(command: Any, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, [*path, name])

    paths = [path for name in COMMANDS if name != BENCH for path in walk(group.load(name), [name])]
    for path in paths:
        with pytest.raises(SystemExit) as end:
            app([*path, "--help"])
        assert end.value.code == 0, path
    shown = " ".join(capsys.readouterr().out.split())
    assert len(paths) > 80 and "[@revision][/file.gguf]" in shown and "[[tools]]" in shown


@pytest.mark.parametrize(
    "line",
    [
        "profile list", "keys list", "waiting list", "receipts list", "places list", "adapters list", "models list",
        "store info", "config show",
    ],
)  # fmt: skip
def test_a_listing_loads_few_modules(line: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom netgpt.cli import app\n"
        f"try:\n    app({line.split()!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'numpy', 'httpx', 'fastapi', 'presidio_analyzer', 'spacy', 'netgpt.app.gateway'} & set(sys.modules)\n"
        "print(sum(m.split('.')[0] == 'netgpt' for m in sys.modules), sorted(heavy))"
    )
    env = {**os.environ, "NETGPT_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    count, heavy = done.stdout.splitlines()[-1].split(" ", 1)
    assert int(count) <= FEW and heavy == "[]"


def test_a_shell_completes_commands_and_their_options(tmp_path: Path) -> None:
    def completed(words: str) -> str:
        env = {"_NETGPT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        code = "from netgpt.cli import app; app(prog_name='netgpt')"
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}
        ).stdout

    assert "profile" in completed("netgpt pro").split()
    assert "revoke" in completed("netgpt keys re").split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_for_its_completion(shell: str) -> None:
    env = {**os.environ, "_NETGPT_COMPLETE": f"source_{shell}"}
    code = "from netgpt.cli import app; app(prog_name='netgpt')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0 and "netgpt" in done.stdout and f"complete_{shell}" in done.stdout


def test_a_command_of_another_distribution_joins(plugged: Path, tmp_path: Path) -> None:
    help = netgpt("--help", home=tmp_path, path=plugged).stdout
    assert "Says hello. (from plug-hello 1.5)" in help and "plug-broken 1.5" in help and "plug-keys" not in help
    assert netgpt("hello", "ada", home=tmp_path, path=plugged).stdout == "hello ada\n"


def test_a_broken_one_says_so_in_one_line_and_breaks_nothing_else(plugged: Path, tmp_path: Path) -> None:
    done = netgpt("broken", home=tmp_path, path=plugged)
    assert done.returncode == 1 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "plug-broken 1.5" in line and "RuntimeError: not made yet" in line
    assert netgpt("keys", "list", home=tmp_path, path=plugged).returncode == 0


def test_an_unknown_command_is_reported(plugged: Path, tmp_path: Path) -> None:
    done = netgpt("kyes", home=tmp_path, path=plugged)
    assert done.returncode == 2 and "keys" in done.stderr


def test_without_the_benchmarks_it_is_said_how_to_get_them(tmp_path: Path) -> None:
    """An environment with every package of this one but the benchmarks: what a wheel brings."""
    site = tmp_path / "site"
    site.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("netgpt", "_netgpt", "__editable__")):
            (site / entry.name).symlink_to(entry)
    (site / "netgpt").symlink_to(Path(package.__file__).parent)
    code = f"import sys; sys.path.append({str(site)!r}); from netgpt.cli import main; main()"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, BENCH, "overhead"], capture_output=True, text=True)
    assert done.returncode == 2 and "make bench" in done.stderr and "pip install ./benchmarks" in done.stderr
