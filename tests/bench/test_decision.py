import json

from netgpt_bench.cli import decision
from netgpt_bench.decision import run
from patience import in_time
from typer import Typer
from typer.testing import CliRunner


def test_every_part_is_timed_and_the_whole_is_within_ten_milliseconds() -> None:
    result = run(decisions=60, seed=1)
    rows = {row["part"]: row for row in result["rows"]}
    assert len(rows) == 5 and all(row["samples"] == 60 for row in rows.values())
    assert in_time(rows["the whole decision"]["median"] / 1e6, 0.010, stall_s=0)
    assert rows["the whole decision"]["median"] > rows["kind and difficulty"]["median"]


def test_the_command_prints_json() -> None:
    app = Typer()
    app.command()(decision)
    result = json.loads(CliRunner().invoke(app, ["--decisions", "100", "--json"]).stdout)
    assert result["samples"] == 100 and result["unit"] == "microseconds" and "cpu" in result
