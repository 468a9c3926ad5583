"""What the commands print and read: ids that stay whole, input that is not text, names that are empty."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from forking import run_netgpt


def _netgpt(home: Path, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    return run_netgpt(*args, env={**os.environ, "NETGPT_HOME": str(home), "COLUMNS": "80"}, input=stdin)


def test_an_id_is_never_cut(tmp_path: Path) -> None:
    """At 80 columns the table of keys has more columns than room; `keys revoke` needs the whole id."""
    message = _netgpt(tmp_path, "keys", "create", "--name", "an application with a long name").stderr
    id = message.split()[1]
    assert id in _netgpt(tmp_path, "keys", "list").stdout


def test_a_question_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    done = _netgpt(tmp_path, "ask", stdin=b"caf\xe9")
    assert done.returncode == 2
    assert "not UTF-8 at byte 3" in done.stderr and "Traceback" not in done.stderr


def test_a_person_needs_a_name(tmp_path: Path) -> None:
    done = _netgpt(tmp_path, "profile", "add", " ", "is vegetarian")
    assert done.returncode == 2 and "name the person" in done.stderr


def test_help_shows_the_shape_of_the_rows(tmp_path: Path) -> None:
    assert '"chosen", "text"' in " ".join(_netgpt(tmp_path, "complete", "--help").stdout.split())
