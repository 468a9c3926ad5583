"""The tools of other servers, offered to agents: what their owner approved, through the boundary, with receipts.

Into a tool's arguments go the originals of the kinds that the policy lets it see (`hand_over`); what it gives passes
the vault before an agent that runs on some cloud gets it. A tool's words change nothing here: they are data.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from netgpt.app.boundary import AGENT, Agent, Boundary, Talk
from netgpt.app.gateway import Gateway
from netgpt.errors import NetGPTError, NotDisclosable, NotFound, PermissionDenied, ToolFailed
from netgpt.outbound import Outbound
from netgpt.settings.tools import ToolServer
from netgpt.store.receipts import NewReceipt
from netgpt.tools import SEPARATOR, ToolOffer, breaks_promise, plain_words
from netgpt.tools.approvals import Approvals
from netgpt.tools.servers import ToolConnection
from netgpt.types import LOCAL_TENANT, Role

log = logging.getLogger(__name__)

_DEEPEST: Final = 50
"""Levels of a result: what is deeper, the vault would not open."""
_READABLE: Final = (
    "text/",
    "application/json",
    "application/xml",
    "application/yaml",
    "application/x-yaml",
    "image/svg",
)
"""Kinds of files whose bytes are text."""
_MOST_BLOCKS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A tool as an agent gets it."""

    name: str
    description: str = field(repr=False)
    schema: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool gave, as the agent may have it."""

    result: dict[str, Any] = field(repr=False)
    """`content`, `structuredContent` where there is some, `isError`."""
    hidden: tuple[dict[str, Any], ...] = ()
    """Placeholder, kind and rule of what was hidden in it."""


class ToolService:
    """All servers of tools of one gateway. Nothing is connected before somebody needs it."""

    def __init__(self, gateway: Gateway, boundary: Boundary) -> None:
        self._gateway, self._boundary = gateway, boundary
        home = gateway.settings.home
        self.connections = {each.name: ToolConnection(each, home, gateway.box_id) for each in gateway.settings.tools}
        self.approvals = Approvals(home, gateway.store.files)
        self._told = set[tuple[str, str]]()

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self.connections.values()))

    async def shown(self, agent: Agent) -> list[Shown]:
        """What this agent is offered: approved tools of the servers that it may use. A server that cannot be reached
        is missing from the list, and named in the log."""
        mine = [each for each in self.connections.values() if _may_use(agent, each.settings)]
        if not mine:
            return []
        read = await asyncio.gather(*(each.offers() for each in mine), return_exceptions=True)
        offers: list[ToolOffer] = []
        for found in read:
            if isinstance(found, BaseException):
                if not isinstance(found, NetGPTError):
                    raise found
                continue
            offers += [each for each in found if not self._held(each)]
        if not offers:
            return []
        texts = [text for each in offers for text in (each.description, json.dumps(each.labelled_schema()))]
        async with self._boundary.talk(agent) as talk:
            hidden = iter(await talk.hidden(texts, knows=False))
            return [Shown(each.name, each.labelled(next(hidden)), json.loads(next(hidden))) for each in offers]

    def _held(self, offer: ToolOffer) -> str:
        """Why it is not offered; said in the log once for the words that it has now."""
        held = self.approvals.held_because(offer)
        if held and (offer.name, offer.digest) not in self._told:
            self._told.add((offer.name, offer.digest))
            log.warning("tools: %s is not offered: %s", plain_words(offer.name), held)
        return held

    async def call(self, agent: Agent, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Call a tool by its prefixed name. Raises NotFound, PermissionDenied (not this person's, or held back),
        PrivacyError (something may not pass), ToolFailed."""
        server, _, tool = name.partition(SEPARATOR)
        connection = self.connections.get(server)
        if connection is None or not _may_use(agent, connection.settings):
            raise NotFound(f"there is no tool of this name for {agent.person.user}: tools/list has all", param="name")
        offer = next((each for each in await connection.offers() if each.tool == tool), None)
        if offer is None:
            raise NotFound(f'the tool server "{server}" has no such tool now: tools/list has all', param="name")
        if held := self._held(offer):
            raise PermissionDenied(f'the tool "{tool}" of "{server}" is held back: {held}', code="tool_held")
        async with self._boundary.talk(agent) as talk:
            handed = await talk.handed_over(name, connection.settings.sees, arguments)
            await self._receipt(agent, f"tool:{server}", tool, json.dumps(handed).encode(), talk.sealed)
        result = await connection.call(tool, handed)
        _check(offer, result)
        async with self._boundary.talk(agent) as talk:
            given = await _given(talk, result)
            if not agent.is_local:
                await self._receipt(agent, AGENT, name, json.dumps(given).encode(), talk.sealed)
        return ToolAnswer(given, () if agent.is_local or talk.sealed is None else tuple(_plain(talk.sealed.hidden)))

    async def _receipt(self, agent: Agent, to: str, what: str, content: bytes, sealed: Outbound | None) -> None:
        """Committed before what it tells of passes. Raises StoreError: then nothing does."""
        account: dict[str, Any] = {"purpose": "tool", "rule": sealed.rule if sealed else "", "hidden": []}
        if sealed is not None:
            account |= {"hidden": _plain(sealed.hidden), "generalised": _plain(sealed.generalised)}
        keep_text = self._gateway.settings.store.keep_text
        await self._gateway.store.receipts.add(
            NewReceipt(to, what, content, agent.person, None, account, keep_text=keep_text)
        )


def _may_use(agent: Agent, server: ToolServer) -> bool:
    """A server's tools are its owner's: other tenants have none, and other people only where they are named. Nor have
    other boxes, which could name one another."""
    if agent.is_box or agent.caller.tenant != LOCAL_TENANT:
        return False
    if server.people:
        return agent.person.user in server.people
    return agent.caller.role is Role.ADMIN


def _plain(values: Sequence[Any]) -> list[dict[str, Any]]:
    return [{each.name: getattr(value, each.name) for each in fields(value)} for value in values]


def _check(offer: ToolOffer, result: Mapping[str, Any]) -> None:
    """Raises ToolFailed: it is no result of a tool, or not what its server promised."""
    content = result.get("content", [])
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise _lies(offer, "its answer is no result of a tool")
    if len(content) > _MOST_BLOCKS or _depth(result) > _DEEPEST:
        raise _lies(offer, f"its answer has more than {_MOST_BLOCKS:,} parts, or is deeper than {_DEEPEST} levels")
    if not result.get("isError") and breaks_promise(offer.gives, result.get("structuredContent")):
        raise _lies(offer, "its answer is not what the schema of its own results declares")


def _lies(offer: ToolOffer, why: str) -> ToolFailed:
    return ToolFailed(f'the tool "{offer.tool}" of the server "{offer.server}" cannot be used: {why}', param="name")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [item for items in inner for item in items]
        depth += 1
    return depth


async def _given(talk: Talk, result: Mapping[str, Any]) -> dict[str, Any]:
    """The result as the agent may have it. What cannot be looked into (pictures, sounds, packed files) stays here."""
    blocks = [_readable(block, talk.agent.is_local) for block in result.get("content", [])]
    structured = result.get("structuredContent")
    if talk.agent.is_local:  # a tool may say again what it was given as a placeholder
        blocks, structured = talk.put_back([blocks, structured])
    texts = [block[name] for block in blocks for name in _TEXTS if name in block]
    if structured is not None:
        texts.append(json.dumps(structured, ensure_ascii=False))
    hidden = iter(await talk.hidden(texts))
    shown = [_block({**block, **{name: next(hidden) for name in _TEXTS if name in block}}) for block in blocks]
    given: dict[str, Any] = {"content": shown, "isError": bool(result.get("isError"))}
    if structured is not None:
        try:
            given["structuredContent"] = json.loads(next(hidden))
        except ValueError:
            raise NotDisclosable("what the tool gave could not be made safe and stay JSON: it stays here") from None
    return given


_TEXTS: Final = ("text", "uri", "name", "title", "description", "mimeType", "blob_text")
"""What of a flat block is words."""


def _readable(block: Mapping[str, Any], is_local: bool) -> dict[str, Any]:
    """One part of a result, flat: `type`, and those of `_TEXTS` that it has. `raw`: passes as it is."""
    kind, inner = block.get("type"), block
    if kind == "resource":
        inner = block["resource"] if isinstance(block.get("resource"), dict) else {}
    flat: dict[str, Any] = {"type": kind}
    flat |= {name: inner[name] for name in _TEXTS[:-1] if isinstance(inner.get(name), str)}
    if kind in ("text", "resource_link") or (kind == "resource" and "text" in flat):
        return flat
    if kind in ("image", "audio") and is_local:
        return {"type": kind, "raw": {name: block.get(name) for name in ("type", "data", "mimeType")}}
    blob = inner.get("blob")
    if kind == "resource" and isinstance(blob, str):
        if is_local:
            return {"type": kind, "raw": {"type": kind, "resource": {**inner, "_meta": None}}}
        if (text := _text_in(blob, str(flat.get("mimeType", "")))) is not None:
            return flat | {"blob_text": text}
    size = len(block.get("data") or blob or "") * 3 // 4
    what = kind if isinstance(kind, str) and kind.isalpha() and len(kind) < 20 else "part"
    return {
        "type": "text",
        "text": f"[{what} of about {size:,} bytes: it cannot be looked into, so it stays on the box]",
    }


def _text_in(blob: str, kind: str) -> str | None:
    """The text of a file in base64; None: it is none, or of a kind that holds more than its letters."""
    if kind and not kind.lower().startswith(_READABLE):
        return None
    try:
        text = base64.b64decode(blob, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return text if "\0" not in text else None


def _block(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a result in the protocol's shape."""
    if "raw" in flat:
        return {name: value for name, value in flat["raw"].items() if value is not None}
    if flat["type"] != "resource":
        return dict(flat)
    inner = {name: value for name, value in flat.items() if name in ("uri", "mimeType", "text")}
    if "blob_text" in flat:
        inner["blob"] = base64.b64encode(flat["blob_text"].encode()).decode()
    return {"type": "resource", "resource": inner}
