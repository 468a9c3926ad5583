"""Models of other programs: found where they are, and hostile folders passed over with a word."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ggufs import tiny_gguf

from netgpt.models.found import MOST_MANIFEST, look_for_models


def ollama(root: Path, weights: bytes, *place: str, **layer: Any) -> Path:
    """A model of Ollama; returns its manifest."""
    digest = hashlib.sha256(weights).hexdigest()
    (root / "blobs").mkdir(parents=True, exist_ok=True)
    (root / "blobs" / f"sha256-{digest}").write_bytes(weights)
    manifest = root.joinpath("manifests", *place)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    weight_layer = {
        "mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(weights), **layer
    }  # fmt: skip
    template = {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64, "size": 1}
    manifest.write_text(json.dumps({"schemaVersion": 2, "config": {}, "layers": [weight_layer, template]}))
    return manifest


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    return tiny_gguf(tmp_path / "w.gguf").read_bytes()


def test_ollamas_models_are_found_with_their_hash(tmp_path: Path, weights: bytes) -> None:
    root = tmp_path / ".ollama" / "models"
    ollama(root, weights, "registry.ollama.ai", "library", "qwen3", "0.6b")
    ollama(root, weights + b"x", "registry.ollama.ai", "ada", "mine", "latest")
    ollama(root, weights + b"y", "hf.co", "lab", "Tiny-GGUF", "Q4_K_M")
    found, remarks = look_for_models([root])
    assert [model.name for model in found] == [
        "ollama:ada/mine:latest", "ollama:hf.co/lab/Tiny-GGUF:Q4_K_M", "ollama:qwen3:0.6b"
    ]  # fmt: skip
    assert all(model.sha256 == hashlib.sha256(model.path.read_bytes()).hexdigest() for model in found)
    assert remarks == []


def test_files_of_the_others_are_found_by_their_repository(tmp_path: Path, weights: bytes) -> None:
    studio, cache = tmp_path / ".lmstudio" / "models", tmp_path / ".cache" / "huggingface" / "hub"
    lab = studio / "lab"
    names = ("Tiny-GGUF/Tiny-Q4.gguf", "Tiny-GGUF/mmproj-Tiny.gguf", "Big-GGUF/Big-00001-of-00002.gguf")
    for path in (*(lab / name for name in names), tmp_path / "jan" / "models" / "lab" / "Tiny" / "model.gguf"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(weights)
    digest = hashlib.sha256(weights).hexdigest()
    repo = cache / "models--lab--Tiny-GGUF"
    snapshot = repo / "snapshots" / ("a" * 40)
    for folder in (repo / "blobs", snapshot):
        folder.mkdir(parents=True)
    (repo / "blobs" / digest).write_bytes(weights)
    (snapshot / "Tiny.gguf").symlink_to(Path("../../blobs") / digest)
    found, remarks = look_for_models([studio, cache, tmp_path / "jan" / "models", tmp_path / "none"])
    assert {model.name: model.sha256 for model in found} == {
        "lm-studio:lab/Tiny-GGUF/Tiny-Q4": None, "hf-cache:lab/Tiny-GGUF/Tiny": digest, "jan:lab/Tiny": None
    }  # fmt: skip
    assert remarks == []


BAD: dict[str, dict[str, Any]] = {
    "a path out of the folder": {"digest": "sha256:../../../../etc/passwd"},
    "an absolute path": {"digest": "/etc/passwd"},
    "no text": {"digest": 7},
    "another size": {"size": 10**12},
    "weights that are not there": {"digest": "sha256:" + "e" * 64},
    "another kind": {"mediaType": "application/vnd.ollama.image.license"},
}


@pytest.mark.parametrize("name", BAD)
def test_a_manifest_that_lies_is_passed_over(name: str, tmp_path: Path, weights: bytes) -> None:
    ollama(tmp_path, weights, "registry.ollama.ai", "library", "bad", "latest", **BAD[name])
    ollama(tmp_path, weights, "registry.ollama.ai", "library", "good", "latest")
    found, remarks = look_for_models([tmp_path])
    assert [model.name for model in found] == ["ollama:good:latest"]
    assert len(remarks) == 1 and remarks[0].startswith("ollama:bad:latest: ") and "passwd" not in remarks[0]


@pytest.mark.parametrize(
    "odd", ["link", "pipe", "giant", "not json", "deep", "adapter", "blob link", "blob pipe", "no gguf", "a folder"]
)
def test_a_folder_that_is_hostile_is_passed_over(odd: str, tmp_path: Path, weights: bytes) -> None:
    manifest = ollama(tmp_path, weights, "registry.ollama.ai", "library", "bad", "latest")
    blob = next((tmp_path / "blobs").iterdir())
    secret = tmp_path / "secret"
    secret.write_bytes(weights)
    if odd == "adapter":
        content = json.loads(manifest.read_text())
        content["layers"].append({"mediaType": "application/vnd.ollama.image.adapter"})
        manifest.write_text(json.dumps(content))
    elif odd in ("link", "pipe", "giant", "not json", "deep"):
        moved = manifest.read_bytes()
        manifest.unlink()
        if odd == "link":
            (tmp_path / "elsewhere").write_bytes(moved)
            manifest.symlink_to(tmp_path / "elsewhere")
        elif odd == "pipe":
            os.mkfifo(manifest)
        else:
            texts = {"giant": moved + b" " * MOST_MANIFEST, "not json": b"\xff\xfe", "deep": b"[" * 100_000}
            manifest.write_bytes(texts[odd])
    else:
        blob.unlink()
        if odd == "blob link":
            blob.symlink_to(secret)
        elif odd == "blob pipe":
            os.mkfifo(blob)
        elif odd == "a folder":
            blob.mkdir()
        else:
            blob.write_bytes(b"PK\3\4" + weights[4:])
    found, remarks = look_for_models([tmp_path])
    assert found == [] and len(remarks) == 1 and "passed over" in remarks[0]


def test_links_out_of_a_folder_and_endless_ones_are_not_followed(tmp_path: Path, weights: bytes) -> None:
    root = tmp_path / "lmstudio"
    root.mkdir()
    (tmp_path / "secret.gguf").write_bytes(weights)
    (root / "out.gguf").symlink_to(tmp_path / "secret.gguf")
    (root / "gone.gguf").symlink_to(tmp_path / "nothing")
    (root / "self.gguf").symlink_to(root / "self.gguf")
    (root / "round").symlink_to(root)
    (root / "bad\x1b[2J.gguf").write_bytes(weights)
    os.mkfifo(root / "pipe.gguf")
    deep = root.joinpath(*["d"] * 9)
    deep.mkdir(parents=True)
    (deep / "deep.gguf").write_bytes(weights)
    found, remarks = look_for_models([root])
    assert found == [] and len(remarks) == 4
    assert all("\x1b" not in remark for remark in remarks)
