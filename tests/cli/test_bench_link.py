"""`netgpt bench link` and `netgpt bench neighbours` at the command line: what is wrong is told before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from netgpt_bench.cli import link, neighbours
from netgpt_bench.neighbours import namespaces_permitted
from typer.testing import CliRunner

app = typer.Typer()
app.command("link")(link)
app.command("neighbours")(neighbours)


def said(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert result.exit_code != 0
    return " ".join(result.output.split())


def test_a_folder_without_recorded_links_is_reported(tmp_path: Path) -> None:
    assert "holds no recorded links" in said("link", "--data", str(tmp_path))


def test_a_plot_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    assert "name an .svg file in a folder that exists" in said("link", "--plot", str(tmp_path / "none" / "a.svg"))
    assert "name an .svg file" in said("link", "--plot", str(tmp_path / "a.png"))


async def test_namespaces_that_are_not_permitted_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # root or not: the programs are not there
    why = await namespaces_permitted()
    assert why is not None and "--loopback" in why
