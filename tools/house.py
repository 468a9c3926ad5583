"""Counts that say how easy the code is to carry on: `python tools/house.py` in a checkout, `--json` for machines.

Files and lines of the runtime package and of the benchmarks, short files, import circles, public class names that are
used twice, modules that `netgpt explain` loads, and files of the package that one chat to the cloud passes. The last
two run the code: they need the environment of `make test`. `tests/test_house.py` holds the bars.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("src", "benchmarks/src")
SHORT = 60
LONG = 700


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Name of each module of the packages -> its file."""
    found: dict[str, Path] = {}
    for base in (root / source for source in SOURCES):
        for path in sorted(base.rglob("*.py")):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def imports(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports, inside functions and for type checkers too."""
    graph: dict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                both = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= (both & known.keys()) or ({node.module} & known.keys())
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & known.keys()
        graph[name].discard(name)
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another (strongly connected components, Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph.get(name, ()):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def classes_twice(known: Mapping[str, Path]) -> dict[str, list[str]]:
    """Public class names that more than one module of the runtime package defines."""
    where: dict[str, list[str]] = defaultdict(list)
    for name, path in known.items():
        if name.split(".")[0] != "netgpt":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(name)
    return {name: places for name, places in where.items() if len(places) > 1}


@asynccontextmanager
async def gateway_in(home: str) -> AsyncIterator[Any]:
    """A gateway of the tests in this process, with its database in `home` and a cloud that answers."""
    sys.path[:0] = [str(ROOT / "tests")]
    from doors import door

    from netgpt.testing.server import FaultyCloud

    async with FaultyCloud() as cloud, door(Path(home), cloud) as gateway:
        yield gateway


CHAT = {"model": "netgpt/cloud", "user": "ada"}


def explain_loads() -> int:
    """Modules of the package that `netgpt explain` loads, on a home with one exchange: a chat that went to a cloud."""
    code = (
        "import sys\nfrom netgpt.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
        "\nprint(sum(name.split('.')[0] == 'netgpt' for name in sys.modules))"
    )

    async def chat(home: str) -> None:
        async with gateway_in(home) as gateway:
            (await gateway.chat(text="Write to ada@mill.example", fields=CHAT)).raise_for_status()

    with tempfile.TemporaryDirectory() as home:
        asyncio.run(chat(home))
        environment = {**os.environ, "NETGPT_HOME": home}
        command = [sys.executable, "-c", code, "explain"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    if "Write to ada@mill.example" not in shown:
        raise RuntimeError(f"`netgpt explain` did not show the exchange: {shown}")
    return int(shown.split()[-1])


async def chat_passes() -> list[str]:
    """Files of the package in which a function ran while one streamed chat went to a cloud and came back."""
    package = f"{ROOT / 'src' / 'netgpt'}{os.sep}"
    seen: set[str] = set()

    def note(frame: Any, event: str, _value: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(package):
            seen.add(frame.f_code.co_filename.removeprefix(package))

    fields = {**CHAT, "stream": True}
    with tempfile.TemporaryDirectory() as home:
        async with gateway_in(home) as gateway:
            await gateway.chat(text="warm up", fields=fields)
            sys.setprofile(note)
            try:
                reply = await gateway.chat(text="Write to ada@mill.example", fields=fields)
            finally:
                sys.setprofile(None)
            reply.raise_for_status()
    return sorted(name for name in seen if not name.startswith("testing/"))


def counts(*, run: bool = True) -> dict[str, Any]:
    """All figures by name. `run=False` leaves out those that start the program."""
    known = modules()
    sizes = {name: lines_of(path) for name, path in known.items()}
    runtime = {name: size for name, size in sizes.items() if name.split(".")[0] == "netgpt"}
    figures: dict[str, Any] = {
        "source files": len(sizes),
        "lines": sum(sizes.values()),
        "files of the runtime": len(runtime),
        "lines of the runtime": sum(runtime.values()),
        f"files below {SHORT} lines": sum(size < SHORT for size in sizes.values()),
        f"files above {LONG} lines": sum(size > LONG for size in sizes.values()),
        "import circles": len(circles(imports(known))),
        "public class names used twice": len(classes_twice(known)),
    }
    if run:
        figures["modules that `netgpt explain` loads"] = explain_loads()
        figures["files that a chat to the cloud passes"] = len(asyncio.run(chat_passes()))
    return figures


def details() -> Iterator[str]:
    """What stands behind the figures."""
    known = modules()
    for group in circles(imports(known)):
        yield f"circle: {', '.join(group)}"
    for name, places in classes_twice(known).items():
        yield f"class {name}: {', '.join(places)}"
    for name, path in known.items():
        if not SHORT <= lines_of(path) <= LONG:
            yield f"{lines_of(path)} lines: {name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--details", action="store_true", help="name what stands behind the figures")
    parser.add_argument("--static", action="store_true", help="only what is read from the files")
    options = parser.parse_args()
    figures = counts(run=not options.static)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for name, figure in figures.items():
        print(f"{figure:>8,}  {name}")
    if options.details:
        print(*details(), sep="\n")


if __name__ == "__main__":
    main()
