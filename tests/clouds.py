"""Clients and servers for the tests of the models."""

from __future__ import annotations

from typing import Any

from netgpt.models.base import Endpoint, without_receipt
from netgpt.models.client import CloudModel, EdgeModel
from netgpt.models.stream import join_chunks
from netgpt.testing.server import Connection, FakeHttp, Fault, ReceivedRequest
from netgpt.types import Chunk

__all__ = [
    "IMPATIENT_S", "KEY", "PATIENT_S", "SECRET", "Says", "chat", "cloud_model", "edge_model", "everything",
    "patience_for", "text_of",
]  # fmt: skip

KEY = "sk-Xq7-never-shown"
SECRET = "my aunt lives in Rostock"
PATIENT_S, IMPATIENT_S = 30.0, 0.4
"""Seconds without a byte: where the server answers, and where its silence is what is tested. A machine that stands
still for a moment is no silent server."""


def patience_for(fault: Fault | str | None) -> float:
    """Seconds to wait for a server with this fault: few only where all it does is to keep silent."""
    return IMPATIENT_S if fault in (Fault.STALL, Fault.SLOW_FIRST_BYTE) else PATIENT_S


def chat(text: str = SECRET, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def cloud_model(base_url: str, **more: Any) -> CloudModel:
    settings: dict[str, Any] = {
        "timeout_s": PATIENT_S, "connect_timeout_s": PATIENT_S, "retries": 0, "max_connections": 10,
        "breaker_failures": 50, "breaker_reset_s": 60.0, "seed": 1, "receipt_hook": without_receipt,
    }  # fmt: skip
    return CloudModel("cloud", Endpoint(base_url, KEY), **{**settings, **more})


def edge_model(base_url: str, **more: Any) -> EdgeModel:
    waits: dict[str, Any] = {"timeout_s": PATIENT_S, "connect_timeout_s": PATIENT_S, "default_max_tokens": 64}
    return EdgeModel("edge", lambda: Endpoint(base_url, KEY), "small", **{**waits, **more})


async def everything(answer: Any) -> list[Chunk]:
    return [chunk async for chunk in answer]


async def text_of(answer: Any) -> str:
    return str(join_chunks(await everything(answer))["choices"][0]["message"]["content"])


class Says(FakeHttp):
    """A server that says exactly these bytes to every request, then closes."""

    def __init__(
        self, body: bytes, kind: str = "text/event-stream", status: int = 200, headers: str = "", port: int = 0
    ) -> None:
        super().__init__(port)
        self.body, self.kind, self.status, self.headers = body, kind, status, headers
        self.requests: list[ReceivedRequest] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        self.requests.append(request)
        kind = f"content-type: {self.kind}\r\n" if self.kind else ""
        connection.begin(self.status, f"{kind}{self.headers}connection: close\r\n", self.body)
        connection.close()
