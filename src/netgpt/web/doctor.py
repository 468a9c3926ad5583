"""`/v1/doctor`: the checks of `netgpt doctor` on the gateway that runs: one examination at a time, in bounded time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.app.doctor import CHECKS, CheckResult, examine, try_clouds
from netgpt.app.gateway import Gateway
from netgpt.web.auth import authenticated

log = logging.getLogger(__name__)
router = APIRouter()

WHOLE_S: Final = 120.0
"""An examination is given up after this, in seconds; what it found by then stays."""
FRESH_S: Final = 60.0
"""A finished one answers for so many seconds; then whoever looks starts another."""


class Examiner:
    """The last examination of this gateway, or the one under way."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.rows: dict[str, CheckResult] = {}
        self.began: datetime | None = None
        self.ended: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def runs(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def is_fresh(self) -> bool:
        return self.ended is not None and (datetime.now(UTC) - self.ended).total_seconds() < FRESH_S

    def start(self, *, clouds: bool = False) -> None:
        """Begin an examination; nothing happens while one is under way."""
        if not self.runs:
            self.rows, self.began, self.ended = {}, datetime.now(UTC), None
            self._task = asyncio.create_task(self._examine(clouds))

    async def wait(self, limit_s: float) -> None:
        """Until it has ended, or so many seconds."""
        if self._task is not None and limit_s > 0:
            await asyncio.wait({self._task}, timeout=limit_s)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _examine(self, clouds: bool) -> None:
        try:
            async with asyncio.timeout(WHOLE_S):
                async for name, found in examine(self.gateway.settings, self.gateway):
                    self.rows[name] = found
                self.rows |= await self._parts()
                if clouds and self.gateway.remotes:
                    self.rows |= await try_clouds(self.gateway.settings, self.gateway)
        except TimeoutError:
            self.rows["doctor"] = CheckResult("wrong", f"not all was looked at within {WHOLE_S:g} s: look again")
        except Exception as error:  # noqa: BLE001 - a task that nobody waits for must say so
            log.error("doctor: unforeseen %s", type(error).__name__)
            self.rows["doctor"] = CheckResult("wrong", "an internal error; the log of the box tells its type")
        finally:
            self.ended = datetime.now(UTC)

    async def _parts(self) -> dict[str, CheckResult]:
        """What calls found out that the owner has to mend: keys, addresses and names that are refused."""
        parts = await self.gateway.parts()
        return {
            {"edge": "edge model", "cloud": "cloud"}.get(part, f"upstream {part}"): CheckResult("wrong", state["fault"])
            for part, state in parts.items()
            if "fault" in state
        }

    def as_dict(self) -> dict[str, Any]:
        data = [{"what": what, **found._asdict()} for what, found in self.rows.items()]
        left = [
            name
            for name in CHECKS
            if name not in self.rows and (name != "upstreams" or self.gateway.settings.upstreams)
        ]
        return {
            "object": "netgpt.doctor", "began": self.began, "ended": self.ended, "done": not self.runs,
            "wrong": sum(each["state"] == "wrong" for each in data), "data": data, "left": left if self.runs else [],
        }  # fmt: skip


class Examination(BaseModel):
    """`clouds`: ask each model elsewhere one short question, too. It leaves the box sealed, with a receipt, and costs
    what a word costs."""

    model_config = ConfigDict(extra="forbid")
    clouds: bool = Field(False)


@router.get("/v1/doctor", tags=["health"])
async def get_examination(request: Request, wait: Annotated[float, Query(ge=0, le=120)] = 60.0) -> dict[str, Any]:
    """Everything that the box needs: "ok", "note" or "wrong", with the cure. One that is a minute old begins anew.

    `wait`: seconds until an answer is given, whole or not (`done`); `left`: what is still to be looked at.
    """
    examiner = await _examiner(request)
    if not examiner.runs and not examiner.is_fresh:
        examiner.start()
    await examiner.wait(wait)
    return examiner.as_dict()


@router.post("/v1/doctor", tags=["health"])
async def begin_examination(request: Request, wanted: Examination | None = None) -> dict[str, Any]:
    """Look at everything anew, or join the examination that is under way; `GET` tells how far it is."""
    examiner = await _examiner(request)
    examiner.start(clouds=wanted is not None and wanted.clouds)
    return examiner.as_dict()


async def _examiner(request: Request) -> Examiner:
    await authenticated(request)
    examiner: Examiner = request.app.state.examiner
    return examiner
