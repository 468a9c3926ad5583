"""What an installation brings, and what the project says of itself."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "ray", "nicegui", "transformers", "peft", "playwright", "selenium", "litellm", "llama-cpp-python"}
ONLY_TO_COMPARE = {"presidio-analyzer", "spacy", "thinc", "blis", "scipy"}
LOCKS = ("requirements-build.lock", "requirements.lock", "requirements-test.lock", "requirements-train.lock")


def locked(name: str) -> set[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return {match[1].lower() for match in re.finditer(r"^([A-Za-z0-9_.-]+)==", text, re.M)}


def test_the_base_install_is_light_and_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[\[=<>~ ]", line)[0].lower() for line in project["dependencies"]}
    base = locked("requirements.lock")
    assert names <= base
    assert len(base) < 60 and not (HEAVY | ONLY_TO_COMPARE) & base
    assert not (HEAVY - {"playwright"}) & locked("requirements-test.lock")
    assert base | locked("requirements-build.lock") <= locked("requirements-test.lock")
    assert set(project["optional-dependencies"]) == {"mcp", "postgres", "train", "test"}


def test_every_locked_package_has_hashes() -> None:
    for name in LOCKS:
        text = (ROOT / name).read_text(encoding="utf-8")
        # torch stands there with a marker that never holds: its builds share a version, not a hash (Makefile pins it).
        text = re.sub(r"^torch==.*'never'.*(?:\n +.*)+", "", text, flags=re.M)
        assert "\ntorch==" not in text
        entries = re.findall(r"^[A-Za-z0-9_.-]+==.*(?:\n +.*)+", text, re.M)
        assert {re.split("==", entry)[0].lower() for entry in entries} | {"torch"} >= locked(name)
        assert all("--hash=sha256:" in entry for entry in entries)


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    explained = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    for line in project["dependencies"]:
        assert re.split(r"[\[=<>~ ]", line)[0].lower() in explained, line


SHIPPED = re.compile(
    r"src/netgpt/(\w+/shipped/[a-z]+/adapter\.gguf|privacy/shipped/tagger\.safetensors|completion/relevance\.safetensors)"
)


def test_no_large_file_and_no_weights_are_committed() -> None:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    for name in listed.split():
        path = ROOT / name
        if SHIPPED.fullmatch(name):
            assert path.stat().st_size <= 8_000_000, name
        elif path.is_file():
            assert path.stat().st_size < 1_500_000 and path.suffix not in (".gguf", ".whl", ".db"), name
