"""The rules of the house, read from the imports: layers, lightness, who may seal, file sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import netgpt

ROOT = Path(netgpt.__file__).parent
LAYERS = {
    "errors": 0, "calls": 0, "types": 0, "sections": 0, "tcp_info": 0,
    "settings": 0, "geonames": 0, "exchange": 0, "outcome": 0, "outbound": 0, "embedding": 0.5,
    "models": 1, "insights": 1, "context": 1, "completion": 1, "policy": 1, "privacy": 1, "routing": 1, "store": 1,
    "adapters": 2, "testing": 2, "examples": 2.3, "gate": 2.6, "grading": 2.6, "tagging": 2.6, "tuning": 2.7,
    "answering": 2.8,
    "workflow": 3, "stages": 3,
    "metrics": 4, "parts": 4.5, "build": 5,
    "bench": 6, "web": 6, "cli": 7,
}  # fmt: skip
CAPABILITIES = {name for name, layer in LAYERS.items() if layer == 1}
HEAVY = ("torch", "spacy", "presidio_analyzer", "xllamacpp", "scipy", "ray", "nicegui", "fastapi", "numpy", "httpx")


def files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Every `netgpt.x.y` that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.split(".")[0] == "netgpt"}


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    part = part_of(path)
    if part in ("__init__", "__main__"):
        return
    for name in imports_of(path):
        parts = name.split(".")
        if len(parts) < 2 or parts[1] not in LAYERS:
            continue
        other = parts[1]
        if other == part or LAYERS[other] == LAYERS[part] == 0:
            continue
        assert LAYERS[other] < LAYERS[part], f"{path.name} ({part}) imports {name}: a layer imports only lower layers"
        assert not (part in CAPABILITIES and other in CAPABILITIES), f"{path.name} imports another capability: {name}"


def test_stages_do_not_import_each_other() -> None:
    for path in (ROOT / "stages").glob("*.py"):
        others = {n for n in imports_of(path) if n.startswith("netgpt.stages.")}
        assert not others, path.name


def test_only_the_vault_seals() -> None:
    users = [p for p in files() if "_sealed_by_vault" in p.read_text(encoding="utf-8")]
    assert [str(p.relative_to(ROOT)) for p in users] == ["outbound.py", "privacy/vault.py"]


def test_only_doors_and_benches_import_the_wiring() -> None:
    for path in files():
        if any(name.startswith(("netgpt.build", "netgpt.parts")) for name in imports_of(path)):
            assert part_of(path) in ("build", "parts", "web", "cli", "bench"), path.name


def test_only_the_line_and_what_stands_above_it_know_the_exchange() -> None:
    for path in files():
        if "netgpt.exchange" in imports_of(path):
            part = part_of(path)
            assert part == "exchange" or LAYERS[part] >= LAYERS["workflow"], path.name


def test_importing_netgpt_is_light() -> None:
    code = f"import sys, netgpt, netgpt.settings, netgpt.exchange; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_command_line_starts_light() -> None:
    code = f"import sys, netgpt.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_one_row_is_read_without_the_gateway() -> None:
    """What `netgpt explain` needs: the settings and the store."""
    code = (
        "import sys, netgpt.store.from_settings, netgpt.routing.features; "
        "print(sorted({m.split('.')[1] for m in sys.modules if m.startswith('netgpt.')}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"build", "parts", "stages", "web", "models", "privacy", "answering"} & set(ast.literal_eval(out.stdout))


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
