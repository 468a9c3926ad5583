"""Reports of benchmarks: tables or JSON, always with machine, versions and commit; percentiles and spread."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "netgpt", "xllamacpp", "numpy", "wordllama", "spacy", "presidio-analyzer", "privaite", "llm-shield-proxy",
    "fastapi", "uvicorn", "httpx",
)  # fmt: skip


def machine(packages: Iterable[str] = _PACKAGES) -> dict[str, Any]:
    """Processor, cores, memory, load, system, versions and commit: what a figure is worth nothing without."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_1m": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: version for name in packages if (version := _version(name))},
        "commit": _commit(),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, `share` from 0 to 1; NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Samples, median, and the quarter and 95 percent points."""
    if not values:
        return {"samples": 0}
    return {
        "samples": len(values),
        "median": statistics.median(values),
        "p25": percentile(values, 0.25),
        "p75": percentile(values, 0.75),
        "p95": percentile(values, 0.95),
    }


def yes_or_no(value: Any, ok: bool) -> str:
    """A figure and whether it reaches its bar."""
    return f"{value}: {'yes' if ok else 'NO'}"


def print_report(title: str, rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any], as_json: bool = False) -> None:
    """Write a report to stdout: one table, then what it was measured on; or all of it as one JSON document."""
    if as_json:
        return _print_json({"title": title, "rows": list(rows), **meta})
    from rich.console import Console
    from rich.table import Table

    # In a pipe or a file nobody's window limits a table; rich would cut it to 80 columns.
    out = Console() if sys.stdout.isatty() else Console(width=240)
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        table.add_column(column, justify="right" if _numeric(rows, column) else "left")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    out.print(table)
    for key, value in meta.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value
        out.print(f"{key}: {shown}", highlight=False, markup=False)


def print_result(title: str, result: Mapping[str, Any], as_json: bool = False) -> None:
    """Write what a benchmark's `run` returned: its "rows", the other figures, and the machine."""
    rest = {key: value for key, value in result.items() if key != "rows"}
    print_report(title, result["rows"], {**rest, **machine()}, as_json)


def print_tables(title: str, titles: Mapping[str, str], result: Mapping[str, Any], as_json: bool = False) -> None:
    """As `print_result` for several tables: `result["tables"]` by name, and their `titles`."""
    tables, rest = result["tables"], {**{key: result[key] for key in result if key != "tables"}, **machine()}
    if as_json:
        return _print_json({"title": title, "tables": tables, **rest})
    for number, (name, rows) in enumerate(tables.items(), 1):
        print_report(titles[name], rows, rest if number == len(tables) else {})


def _print_json(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")


def _numeric(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    return all(isinstance(row.get(column), int | float | type(None)) for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Hardware")))
    return next(named, platform.machine())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    """The commit of the checkout this runs from, with "+" when the tree has changes; "unknown" when installed."""
    folder = Path(__file__).parent
    try:
        done = [
            subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=5, check=True)  # noqa: S607
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain"))
        ]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done[0].stdout.strip() + ("+" if done[1].stdout.strip() else "")
