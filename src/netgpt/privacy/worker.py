"""The detector's child process: one JSON line in, one JSON line out, until its input closes.

In: `{"id", "texts", "values", "names"}`; out: `{"id", "spans": [[[start, end, kind, rule, score], ...], ...]}` or
`{"id", "error", "message"}`: the error's class, and the message if it is ours. Texts are in no log, argument or file.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, BinaryIO

import orjson

from netgpt.errors import NetGPTError
from netgpt.privacy.detector import Finder
from netgpt.privacy.ner import NameFinder
from netgpt.privacy.scripts import ALL
from netgpt.registry import leave_out

_UNNEEDED = ("torch", "transformers")
"""Libraries that others would import and that this process never uses: seven seconds of start and 300 MB."""


def _answer(finder: Finder, line: bytes) -> dict[str, Any]:
    request: dict[str, Any] = {}
    try:
        request = _read(line)
        values = [(kind, value) for kind, value in request["values"]]
        found = finder.find(request["texts"], values, request["names"])
    except Exception as error:  # noqa: BLE001 - the border: the parent turns this into a DetectorError
        message = error.message if isinstance(error, NetGPTError) else None
        return {"id": request.get("id"), "error": type(error).__name__, "message": message}
    spans = [[[s.start, s.end, s.kind, s.rule, s.score] for s in of_text] for of_text in found]
    return {"id": request["id"], "spans": spans}


def _read(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # a lone surrogate, which only the standard library can read
        return json.loads(line)


def main() -> None:
    """Load, write `{"ready": true}`, serve. `--no-names`: without the tagger; `--off=NAME`: without a plug-in.

    `--languages=CODE,CODE`: in whose scripts names are looked for."""
    logging.disable(logging.CRITICAL)  # libraries may log the text on which they fail
    replies = sys.stdout.buffer
    sys.stdout = sys.stderr  # prints of a library must not break the protocol
    sys.modules.update(dict.fromkeys(_UNNEEDED))  # type: ignore[arg-type]  # None: an import says that it is missing
    leave_out(argument.removeprefix("--off=") for argument in sys.argv[1:] if argument.startswith("--off="))
    languages = [argument.removeprefix("--languages=") for argument in sys.argv[1:] if argument.startswith("--lang")]
    names = NameFinder(languages=tuple(",".join(languages or [ALL]).split(",")))
    finder = Finder(names=False if "--no-names" in sys.argv[1:] else names)
    try:
        finder.load()
    except Exception as error:  # noqa: BLE001 - the parent raises it
        _write(replies, {"ready": False, "error": str(error)})
        raise SystemExit(1) from None
    _write(replies, {"ready": True})
    for line in sys.stdin.buffer:
        _write(replies, _answer(finder, line))


def _write(replies: BinaryIO, reply: dict[str, Any]) -> None:
    replies.write(orjson.dumps(reply) + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
