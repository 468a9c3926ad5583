from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from netgpt_bench.report import machine, percentile, print_report, print_result, spread


def test_a_report_names_the_machine():
    result = machine()
    assert result["cores"] >= 1 and result["cpu"] and result["memory_gb"] > 0
    assert result["versions"]["netgpt"] and result["commit"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_percentiles_are_values_in_order(values):
    points = [percentile(values, share) for share in (0.0, 0.25, 0.5, 0.95, 1.0)]
    assert points == sorted(points) and set(points) <= set(values)
    assert spread(values)["samples"] == len(values)


def test_a_report_is_a_table_or_one_json_document(capsys):
    print_report("figures", [{"way": "a", "ms": 1.25}, {"way": "b"}], {"samples": 3})
    table = capsys.readouterr().out
    assert "figures" in table and "1.25" in table and "samples: 3" in table
    print_result("figures", {"rows": [{"way": "a"}], "samples": 3}, as_json=True)
    result = json.loads(capsys.readouterr().out)
    assert result["rows"] == [{"way": "a"}] and result["samples"] == 3 and "cpu" in result


def test_nothing_measured_has_no_spread():
    assert spread([]) == {"samples": 0}
