"""An agent's conversation with the ids, signatures and reasoning blocks that real servers send, made from a seed."""

from __future__ import annotations

import base64
import json
import os
import random
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_ALPHABET: Final = string.ascii_letters + string.digits
FORMS: Final[Mapping[str, tuple[str, str, int]]] = {
    "OpenAI": ("call_", _ALPHABET, 24),
    "OpenAI responses": ("fc_", "0123456789abcdef", 48),
    "Anthropic": ("toolu_01", _ALPHABET, 22),
    "Anthropic at Bedrock": ("toolu_bdrk_01", _ALPHABET, 22),
    "Bedrock": ("tooluse_", _ALPHABET + "_-", 22),
    "vLLM": ("chatcmpl-tool-", "0123456789abcdef", 32),
    "Mistral": ("", _ALPHABET, 9),
    "Gemini": ("function-call-", "123456789", 19),
    "Ollama": ("call_", "abcdefghijklmnopqrstuvwxyz0123456789", 8),
    "counted": ("call_", "123456789", 1),
}
"""Server -> how its ids of tool calls begin, of what letters, and how many."""
PERSON: Final = "Ingrid Lindqvist"
MAIL: Final = "ingrid.lindqvist@mill.example"
TOOLS: Final = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Looks something up.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        },
        "cache_control": {"type": "ephemeral"},
    }
    for name in ("search_files", "read_file", "send_email")
]


class Ids:
    """Ids and signatures by chance."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def call(self, server: str) -> str:
        """The id of a tool call as that server of FORMS makes it."""
        begins, letters, count = FORMS[server]
        return begins + "".join(self._random.choices(letters, k=count))

    def signature(self, size: int = 240) -> str:
        """Random bytes in base64."""
        return base64.b64encode(self._random.randbytes(size)).decode()


class AgentCloud:
    """The reply of a cloud that calls one to three tools at each turn, and thinks with signatures."""

    def __init__(self, server: str, seed: int) -> None:
        self.server, self._ids = server, Ids(seed)
        self.sent: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.received.append(json.loads(json.dumps(body)))
        said = next(m["content"] for m in body["messages"] if m["role"] == "user")
        person = said.partition(": ")[2]
        calls = [
            {
                "id": self._ids.call(self.server),
                "type": "function",
                "function": {"name": "search_files", "arguments": json.dumps({"query": person, "page": number})},
            }
            for number in range(1 + len(self.sent) % 3)
        ]
        message = {
            "role": "assistant",
            "content": f"I look for {person}.",
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "text": f"The files of {person} come first.",
                    "signature": self._ids.signature(),
                    "format": "anthropic-claude-v1",
                    "index": 0,
                },
                {
                    "type": "reasoning.encrypted",
                    "data": self._ids.signature(400),
                    "id": "rs_0a1b2c3d4e5f6071",
                    "index": 1,
                },
            ],
            "tool_calls": calls,
        }
        self.sent.append(json.loads(json.dumps(message)))
        return message


def answers(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the tools say to the message's calls."""
    return [
        {
            "role": "tool",
            "tool_call_id": call["id"],
            "content": json.dumps({PERSON: {"file": f"report-{place}.txt", "size_bytes": 2048}, "status": "ok"}),
        }
        for place, call in enumerate(message["tool_calls"])
    ]


def llm(home: Path, *args: str) -> str:
    """The `llm` command line, with its own folder."""
    done = subprocess.run(
        [sys.executable, "-m", "llm", *args],
        env={**os.environ, "LLM_USER_PATH": str(home), "OPENAI_API_KEY": "none"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
