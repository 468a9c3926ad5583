"""The rules of imports: layers, light start, and the vault as the only maker of an Outbound."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import netgpt

ROOT = Path(netgpt.__file__).parent
LAYERS = {
    "errors": 0, "types": 0, "files": 0, "settings": 0, "geonames": 0, "exchange": 0, "outbound": 0, "registry": 0,
    "word_pieces": 0.5, "encoder": 0.7, "wording": 0.5,
    "proofs": 0, "judgement": 0, "sorts": 0.8,
    "models": 1, "telco": 1, "context": 1, "completion": 1, "policy": 1, "privacy": 1, "routing": 1, "store": 1,
    "capability": 1, "confidence": 1, "constraints": 1, "dialects": 1,
    "adapters": 2, "tools": 2, "fleet": 2.4, "training": 2.6, "generation": 2.8,
    "stages": 3, "testing": 4, "app": 5, "web": 6, "cli": 7,
}  # fmt: skip
CAPABILITIES = {name for name, layer in LAYERS.items() if layer == 1}
HEAVY = (
    "torch",
    "spacy",
    "presidio_analyzer",
    "xllamacpp",
    "scipy",
    "ray",
    "nicegui",
    "fastapi",
    "numpy",
    "httpx",
    "mcp",
    "httpx2",
    "psycopg",
)


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


def test_imports_run_one_way() -> None:
    for path in files():
        part = part_of(path)
        if part in ("__init__", "__main__"):
            continue
        for name in imports_of(path):
            other = [*name.split("."), ""][1]
            if other not in LAYERS or other == part or LAYERS[other] == LAYERS[part] == 0:
                continue
            assert LAYERS[other] < LAYERS[part], f"{path} ({part}) imports {name}: a layer imports only lower layers"
            assert not {part, other} <= CAPABILITIES, f"{path} imports another capability: {name}"


def test_stages_do_not_import_each_other() -> None:
    for path in (ROOT / "stages").glob("*.py"):
        others = {n for n in imports_of(path) if n.startswith("netgpt.stages.") and n[14:].islower()}
        assert not others, path.name


def test_only_the_vault_seals() -> None:
    users = [p for p in files() if "_sealed_by_vault" in p.read_text(encoding="utf-8")]
    assert [str(p.relative_to(ROOT)) for p in users] == ["outbound.py", "privacy/vault.py"]


def test_only_front_ends_import_the_gateway() -> None:
    for path in files():
        if any(name.startswith("netgpt.app") for name in imports_of(path)):
            assert part_of(path) in ("app", "web", "cli", "__init__"), path.name


def test_only_the_pipeline_and_layers_above_it_import_the_exchange() -> None:
    for path in files():
        if "netgpt.exchange" in imports_of(path):
            part = part_of(path)
            assert part == "exchange" or LAYERS[part] >= LAYERS["stages"], path.name


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
        "import sys, netgpt.store.store, netgpt.routing.candidates; "
        "print(sorted({m.split('.')[1] for m in sys.modules if m.startswith('netgpt.')}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"app", "stages", "web", "models", "privacy", "generation"} & set(ast.literal_eval(out.stdout))
