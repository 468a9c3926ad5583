"""A server of tools that says what its file tells: `talker.py FILE` with {"tools": [...], "says": {tool: result}}.

It knows neither NetGPT nor the SDK. What it is called with is appended to FILE.calls. A tool named in "does" is dead,
slow, floods, talks rubbish or changes its words.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

FILE = sys.argv[1]


def told() -> dict[str, Any]:
    with open(FILE, encoding="utf-8") as file:
        return dict(json.load(file))


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def misbehave(how: str) -> None:
    if how == "dies":
        os._exit(3)
    if how == "sleeps":
        time.sleep(600)
    if how == "floods":
        while True:
            sys.stdout.write("x" * 65_536)
    if how == "floods with lines":
        while True:
            send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 900}})
    if how == "talks rubbish":
        while True:
            sys.stdout.write("hello, this is no protocol\n")


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    now = told()
    if method == "initialize":
        if how := now.get("start"):
            misbehave(how)
        return {
            "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "talker", "version": "1", "title": now.get("title", "")},
            "instructions": now.get("instructions", ""),
        }  # fmt: skip
    if method == "tools/list":
        return {"tools": now["tools"]}
    if method == "tools/call":
        with open(FILE + ".calls", "a", encoding="utf-8") as file:
            file.write(json.dumps(params) + "\n")
        misbehave(now.get("does", {}).get(params["name"], ""))
        said = now.get("says", {}).get(params["name"])
        return said if said is not None else {"content": [{"type": "text", "text": json.dumps(params["arguments"])}]}
    return None


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = answer(message["method"], message.get("params") or {})
        if result is None:
            send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}})
        else:
            send({"jsonrpc": "2.0", "id": message["id"], "result": result})


main()
