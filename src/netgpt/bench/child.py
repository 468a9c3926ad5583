"""Work in a process of its own that ends with its parent: one JSON line in, one JSON line out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from contextlib import suppress
from typing import Any

from netgpt.errors import ModelUnavailable

__all__ = ["end_with_parent", "result_of"]


async def result_of(what: str, module: str, *words: str, asked: Any = None) -> dict[str, Any]:
    """Run `python -m MODULE WORDS...`, give it `asked` as a JSON line, return the last line that it printed.

    The child is killed when the caller is cancelled. Raises ModelUnavailable with `what` failed and the child's last
    words.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *words, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        process.stdin.write(json.dumps(asked).encode() + b"\n")  # and stays open: its end is the parent's end
        out, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    lines = out.decode().splitlines()
    if code or not lines:
        last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"it ended with code {code}"]
        raise ModelUnavailable(f"{what} failed: {last[0]}")
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def end_with_parent() -> None:
    """In the child: end when stdin does, which is when the parent is gone or has had enough."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
