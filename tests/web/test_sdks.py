"""Other people's clients against the gateway, streamed and whole: their loops of two tools end, with the real values.

They are installed once, pinned with hashes, into folders of the cache (Python 450 MB, npm 25 MB). Skipped, with what
the registry's client said, only where that cannot be done.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from netgpt_bench.agents_known import cache_folder, made_ready
from serving import Served

from netgpt.errors import NotFound
from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow

HERE = Path(__file__).parents[1] / "sdks"
LOCK = Path(__file__).parents[2] / "requirements-sdks.lock"
CACHE = cache_folder()
MAIL, PERSON = "lena.vogel@example.org", "Zanele Khumalo"
QUESTION = f"Find the room of {MAIL} and book it for its owner."


def cloud_says(body: Mapping[str, Any]) -> str | dict[str, Any]:
    """Looks up whom it was told, books for whom the tool named, and says so. It knows only what it was sent."""
    results = [str(message["content"]) for message in body["messages"] if message["role"] == "tool"]
    mail = re.search(r"\[EMAIL_\d+\]", json.dumps(body["messages"]))
    owner = re.search(r"\[PERSON_\d+\]", "".join(results))
    if len(results) >= 2:
        return f"B 12 is booked for {owner and owner[0]}; I told {mail and mail[0]}."
    call = {"name": "look_up", "arguments": json.dumps({"email": mail and mail[0]})}
    if results:
        call = {"name": "book", "arguments": json.dumps({"room": "B 12", "owner": owner and owner[0]})}
    id = f"call_{len(results)}Xb7Qw2Ke9Rt4Yu6Io8Pa1SdF"
    return {"content": None, "tool_calls": [{"id": id, "type": "function", "function": call}]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        FaultyCloud(cloud_says, chunk_size=5) as cloud,
        Served(tmp_path_factory.mktemp("sdks") / "home", cloud=cloud) as gateway,
    ):
        yield gateway


def ready(name: str, lock: Path, *, python: bool) -> Path:
    """The folder with what the lock names (of npm also the script beside it); skips where it cannot be installed."""
    parts = [lock] if python else sorted(lock.parent.glob("*.*s*"))
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
    folder = CACHE / f"{name}-{digest[:16]}"
    try:
        return made_ready(folder, name, ["--require-hashes", "-r", str(lock)] if python else lock.parent, python=python)
    except NotFound as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def python() -> str:
    return str(ready("sdks-python", LOCK, python=True) / "bin/python")


@pytest.fixture(scope="module")
def npm() -> Path:
    return ready("sdks-npm", HERE / "package-lock.json", python=False)


def looped(served: Served, command: list[str], home: Path) -> None:
    """Run the client, both ways: its tools got the real values, its end says them, and the cloud saw neither."""
    assert served.cloud is not None
    served.cloud.forget()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"said"')]
    assert len(lines) == 2, done.stdout
    for result in map(json.loads, lines):
        assert result["asked"] == [["look_up", MAIL], ["book", "B 12", PERSON]]
        assert result["said"] == f"B 12 is booked for {PERSON}; I told {MAIL}."
    assert not [value for value in (MAIL, "Khumalo") if value.encode() in served.cloud.all_bytes()]


@pytest.mark.parametrize("client", ["openai", "litellm", "langgraph", "llama_index", "pydantic_ai"])
def test_clients_of_python(served: Served, python: str, client: str, tmp_path: Path) -> None:
    looped(served, [python, str(HERE / "loops.py"), client, f"{served.url}/v1", QUESTION], tmp_path)


def test_vercels_client(served: Served, npm: Path, tmp_path: Path) -> None:
    looped(served, ["node", str(npm / "vercel.mjs"), f"{served.url}/v1", QUESTION], tmp_path)
