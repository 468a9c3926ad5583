"""
title: What left (NetGPT)
description: Shows under each answer what left the box for it, and tells the box which person asks.
version: 1.0.0
license: Apache-2.0
required_open_webui_version: 0.5.17
"""

# A filter function for Open WebUI: pasted in Admin Panel, Functions; docs/programs/open-webui.md says how.
# It never stands in the way of an answer: what cannot be shown is said, and no more.

import json
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import httpx
from pydantic import BaseModel, Field

Emitter = Callable[[dict[str, Any]], Awaitable[None]]
REMEMBERED = 1_000
LOOKED_AT = 5


class Filter:
    """What Open WebUI calls: `inlet` before a request, `stream` for each piece of an answer, `outlet` after it."""

    class Valves(BaseModel):
        priority: int = Field(0, description="Filters with a lower number come first.")
        base_url: str = Field("http://netgpt:8080/v1", description="Where the box is, as Open WebUI reaches it.")
        api_key: str = Field(
            "", description="A key of the box with the scopes chat and exchanges; empty: OPENAI_API_KEY."
        )
        models: str = Field("netgpt", description="Models of the box, by how their names begin, with commas between.")
        person: Literal["email", "id", "name", "nobody"] = Field(
            "email", description="What the box knows a person by. It stays on the box: the cloud gets a pseudonym."
        )
        show_body: bool = Field(True, description="Also show the exact body, as a source under the answer.")
        timeout_s: float = Field(5.0, description="Seconds to wait for the box when it is asked what left.")

    def __init__(self) -> None:
        self.valves = self.Valves()
        self._exchanges: OrderedDict[tuple[str, str], str] = OrderedDict()

    def inlet(
        self, body: dict[str, Any], __user__: dict[str, Any] | None = None, __model__: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Name the person. Only for models of the box: others would send the name on."""
        person = self._person(__user__)
        if person and self._is_ours(body, __model__):
            body["user"] = person
        return body

    def stream(self, event: dict[str, Any], __metadata__: dict[str, Any] | None = None) -> dict[str, Any]:
        """Remember which exchange this answer is of; the box says so in its pieces."""
        told, place = event.get("netgpt"), __metadata__ or {}
        if isinstance(told, dict) and told.get("exchange"):
            self._exchanges[_place(place.get("chat_id"), place.get("message_id"))] = str(told["exchange"])
            while len(self._exchanges) > REMEMBERED:
                self._exchanges.popitem(last=False)
        return event

    async def outlet(
        self,
        body: dict[str, Any],
        __user__: dict[str, Any] | None = None,
        __model__: dict[str, Any] | None = None,
        __event_emitter__: Emitter | None = None,
    ) -> dict[str, Any]:
        """Show what left. The answer itself stays as it is, so that nothing is added to the conversation."""
        if __event_emitter__ is None or not self._is_ours(body, __model__):
            return body
        id = self._exchanges.pop(_place(body.get("chat_id"), body.get("id")), None)
        try:
            found = await self._exchange(id, self._person(__user__), _last_text(body))
        except (httpx.HTTPError, ValueError, KeyError) as error:
            await __event_emitter__(
                _status(f"What left cannot be shown: the box gave no account ({type(error).__name__})")
            )
            return body
        if found is not None:
            await __event_emitter__(_status(in_words(found)))
            if self.valves.show_body and found.get("outbound"):
                await __event_emitter__(_source(found))
        return body

    def _person(self, user: dict[str, Any] | None) -> str | None:
        if self.valves.person == "nobody" or not user:
            return None
        return user.get(self.valves.person) or user.get("id")

    def _is_ours(self, body: dict[str, Any], model: dict[str, Any] | None) -> bool:
        """Whether the box answers: the model itself, or the one beneath a model of the workspace."""
        base = ((model or {}).get("info") or {}).get("base_model_id")
        name = str(base or body.get("model") or "")
        begins = tuple(part.strip() for part in self.valves.models.split(",") if part.strip())
        return bool(begins) and name.startswith(begins)

    async def _exchange(self, id: str | None, person: str | None, answer: str) -> dict[str, Any] | None:
        """The box's own account of it. Without an id (an answer that was not streamed): the person's, by its answer."""
        key = self.valves.api_key or os.environ.get("OPENAI_API_KEY", "")
        asks = {"user": person} if person else {}
        async with httpx.AsyncClient(
            base_url=self.valves.base_url.rstrip("/") + "/",
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=self.valves.timeout_s,
            trust_env=False,
        ) as box:

            async def get(path: str, **more: Any) -> dict[str, Any]:
                answered = await box.get(path, params={**asks, **more})
                answered.raise_for_status()
                found: dict[str, Any] = answered.json()
                return found

            if id is not None:
                return await get(f"exchanges/{id}")
            for row in (await get("exchanges", limit=LOOKED_AT))["data"]:
                found = await get(f"exchanges/{row['id']}")
                if _answer(found) == answer:
                    return found
        return None


def in_words(found: dict[str, Any]) -> str:
    """One line of what became of a request."""
    if not found.get("outbound"):
        return f"Nothing left the box: {found.get('kept_because') or found.get('reason') or 'it answered itself'}"
    hidden = [str(each["placeholder"]) for each in found.get("hidden") or ()]
    size = len(json.dumps(found["outbound"], ensure_ascii=False, separators=(",", ":")).encode())
    words = f"hidden: {', '.join(hidden)}" if hidden else "nothing private was found in it"
    return f"{size} bytes left for {found.get('arm') or 'the cloud'}; {words}"


def _status(text: str) -> dict[str, Any]:
    return {"type": "status", "data": {"description": text, "done": True}}


def _source(found: dict[str, Any]) -> dict[str, Any]:
    """Shown under the answer, and opened by a click."""
    rules = [f"{each['placeholder']}: {each['rule']}, {each['count']} times" for each in found.get("hidden") or ()]
    body = json.dumps(found["outbound"], ensure_ascii=False, indent=1)
    text = "\n".join([f"{found['id']}, {found['route']}: {found.get('reason')}", *rules, body])
    name = "What left the box"
    return {"type": "citation", "data": {"document": [text], "metadata": [{"source": name}], "source": {"name": name}}}


def _answer(found: dict[str, Any]) -> str:
    choices = (found.get("answer") or {}).get("choices") or [{}]
    return str((choices[0].get("message") or {}).get("content") or "")


def _last_text(body: dict[str, Any]) -> str:
    messages = body.get("messages") or [{}]
    return str(messages[-1].get("content") or "")


def _place(chat: Any, message: Any) -> tuple[str, str]:
    return str(chat), str(message)
