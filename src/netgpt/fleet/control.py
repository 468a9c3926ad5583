"""The control of a fleet: a folder with its key, its boxes and its orders, on any machine that reaches the boxes.

    control.key        the private key that signs (0600): whoever has it orders all boxes
    boxes.json         names, addresses and keys of the boxes (0600)
    orders.json        the newest orders, signed; parts/ the files that they name

Nothing runs here unless asked: `push` brings every box up to date and says how each stands, `watch` does so again and
again. A box that cannot be reached goes on with what it has, and is brought up to date when it can be. What is asked of
a box are figures; no text of anybody's is sent to a control, nor asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from netgpt.adapters.storage import CARD, WEIGHTS, read_card, read_whole
from netgpt.errors import NetGPTError, NotFound, RequestError, SettingsError
from netgpt.files import MOST_DATA, open_own, open_plain, read_bytes, read_text, why_not
from netgpt.fleet.orders import MOST_PART, NAME, AdapterOrder, FilePart, Orders, SignedOrders, public_hex
from netgpt.models.download import locked, write_whole
from netgpt.policy.cases import read_cases

PIECE: Final = 1_000_000
"""Bytes of a part in one request: below the least that boxes take by default."""
PATIENCE_S: Final = 3.0
"""A box that does not answer within so long counts as cut off; for bytes of parts ten times that."""
AT_ONCE: Final = 32
"""Boxes that are talked to at the same time."""
SILENT_S, SILENT_AT_ONCE = 1.0, 256
"""The same for boxes that were silent the last time: a region that is cut off does not hold up the others."""
MOST_ANSWER: Final = 1_000_000
"""Bytes of what a box may answer."""
PATIENT: Final = 4
"""So many times the patience for a whole answer: a box that sends a byte now and then holds up nobody either."""
CUTS: Final = 3
"""Times that a box may want other bytes of a part than those that come next."""
_HAVE: Final = re.compile(r"[0-9]{1,10}(?= )")


class KnownBox(BaseModel):
    """A box as the control reaches it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME)
    url: str = Field(pattern=r"^https?://[^\s/?#@]+$")
    key: str = Field("", repr=False)
    """An operator's key of that box, with the scope `fleet`."""
    ca: str | None = None
    """File with the authority of its certificate; None: those of this machine."""
    cert: str | None = None
    cert_key: str | None = None
    """What the control shows to boxes that want certificates (`server.tls_client_ca`)."""

    @field_validator("url")
    @classmethod
    def _can_be_asked(cls, url: str) -> str:
        try:
            if (port := httpx.URL(url).port) is not None and not 0 < port < 65_536:
                raise ValueError("a port is a number from 1 to 65535")
        except httpx.InvalidURL:
            raise ValueError("no address of a box, such as https://10.0.0.7:8443") from None
        return url


@dataclass(frozen=True)
class BoxState:
    """How a box stands. `state`: current, followed (just now), behind, refused, or cut off."""

    name: str
    state: str
    version: int | None = None
    why: str = ""
    report: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        report = dict(self.report) if self.report else None
        return {"box": self.name, "state": self.state, "version": self.version, "why": self.why or None,
                "report": report}  # fmt: skip


class _Refused(BaseModel):
    orders: str = ""
    why: str = Field("", max_length=4_000)


class _Report(BaseModel):
    """What of a box's answers is read here: a box may be broken, or somebody else's by now."""

    model_config = ConfigDict(strict=True)

    version: int = Field(0, ge=0)
    orders: str | None = None
    refused: _Refused | None = None
    missing: list[str] = Field([], max_length=1_000)
    have: int = Field(0, ge=0)
    parts: dict[str, bool] = {}
    answered: dict[str, int] = {}


@dataclass(frozen=True)
class _Answer:
    status: int
    body: Any
    """Of its JSON; None: it was none."""

    def told(self) -> _Report:
        """Raises RequestError: it refused, with its words, or it is no box's report."""
        if self.status != 200:
            raise RequestError(f"it answered {self.status}: {self.why()}")
        try:
            return _Report.model_validate(self.body)
        except ValidationError:
            raise RequestError("it answered something that is no box's report") from None

    def why(self, field: str = "message") -> str:
        try:
            return str(self.body["error"][field])[:400]
        except (KeyError, TypeError, IndexError):
            return "no words that a box would say"


class Control:
    """The folder of a control. Raises SettingsError: it is none, or a file of it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        if not (self.folder / "control.key").exists():
            raise SettingsError(f"{folder}: no control of a fleet: `netgpt fleet init {folder}` makes one")
        try:
            self.folder.chmod(0o700)
        except OSError as error:
            raise SettingsError(f"{folder}: others could read it, and it cannot be closed: {why_not(error)}") from None
        self.boxes = self._boxes()
        self._clients: dict[KnownBox, httpx.AsyncClient] = {}
        """Kept from round to round: a handshake costs more than a look."""
        self._silent: set[str] = set()

    @classmethod
    def make(cls, folder: Path) -> Control:
        """A new control with a new key. Raises SettingsError: there is one, or the folder cannot be written."""
        folder = folder.expanduser().absolute()
        key = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            (folder / "parts").mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            with os.fdopen(open_own(folder / "control.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(key)
        except FileExistsError:
            raise SettingsError(f"{folder}: there is a control already; its key would be lost") from None
        except OSError as error:
            raise SettingsError(f"{folder}: cannot be written: {why_not(error)}") from None
        return cls(folder)

    @property
    def public_key(self) -> str:
        """What boxes write into `fleet.key`."""
        return public_hex(self._key())

    def _key(self) -> Ed25519PrivateKey:
        path = self.folder / "control.key"
        try:
            with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
                found = serialization.load_pem_private_key(file.read(), None)
        except (OSError, ValueError) as error:
            told = why_not(error) if isinstance(error, OSError) else "it holds no key"
            raise SettingsError(f"{path}: cannot be read: {told}") from None
        if not isinstance(found, Ed25519PrivateKey):
            raise SettingsError(f"{path}: no Ed25519 key")
        return found

    def _boxes(self) -> dict[str, KnownBox]:
        path = self.folder / "boxes.json"
        if not path.exists():
            return {}
        try:
            found = TypeAdapter(list[KnownBox]).validate_json(read_bytes(path, SettingsError))
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            raise SettingsError(f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
        return {each.name: each for each in found}

    def add(self, box: KnownBox) -> None:
        """Know a box, or know it anew under the same name."""
        with locked(self.folder, "lock", SettingsError):
            self._keep({**self._boxes(), box.name: box})

    def remove(self, name: str) -> None:
        """Know a box no longer. Raises NotFound. On the box, its owner takes `fleet.key` out."""
        with locked(self.folder, "lock", SettingsError):
            self.boxes = self._boxes()
            self._box(name)
            self._keep({each: box for each, box in self.boxes.items() if each != name})

    def _keep(self, boxes: Mapping[str, KnownBox]) -> None:
        text = json.dumps([each.model_dump(exclude_none=True) for each in boxes.values()], indent=1)
        write_whole(self.folder / "boxes.json", text, SettingsError)
        self.boxes = dict(boxes)

    def newest(self) -> tuple[SignedOrders, Orders] | None:
        """The newest orders; None: there were none yet."""
        path = self.folder / "orders.json"
        if not path.exists():
            return None
        signed = SignedOrders.read(read_bytes(path, SettingsError, most=MOST_DATA))
        return signed, signed.verified(self.public_key)

    def order(
        self,
        *,
        policy: Path | None = None,
        cases: Path | None = None,
        adapters: Sequence[tuple[Path, str, float | None]] = (),
    ) -> Orders:
        """The next orders: what is given, beside what the last ones said of the rest. `adapters`: a folder, what is to
        become of it on the boxes, and the share of a canary.

        Raises SettingsError, RequestError, NotFound: a file that cannot be read, or is none of its kind.
        """
        with locked(self.folder, "lock", SettingsError):  # two orders of one number would part the boxes
            return self._ordered(policy, cases, adapters)

    def _ordered(
        self, policy: Path | None, cases: Path | None, adapters: Sequence[tuple[Path, str, float | None]]
    ) -> Orders:
        found = self.newest()
        last = found[1] if found else None
        if cases is not None:
            read_cases(cases)
        told = {each.id.partition("@")[0]: each for each in (last.adapters if last else ())}
        for folder, state, share in adapters:
            order = self._adapter(folder, state, share)
            told[order.id.partition("@")[0]] = order
        orders = Orders(
            version=last.version + 1 if last else 1,
            made=datetime.now(UTC).replace(microsecond=0),
            policy=self._kept(read_text(policy, SettingsError).encode()) if policy else last.policy if last else None,
            cases=self._kept(read_text(cases, SettingsError).encode()) if cases else last.cases if last else None,
            adapters=tuple(told.values()),
        )
        signed = SignedOrders.sign(orders, self._key())
        write_whole(self.folder / "orders.json", signed.model_dump_json(indent=1), SettingsError)
        return orders

    def _adapter(self, folder: Path, state: str, share: float | None) -> AdapterOrder:
        card = read_card(folder / CARD)
        if card.scope == "user":
            raise RequestError(f"{card.id} learnt from one person: it stays on that person's box")
        parts = [self._kept(read_whole(folder / name, MOST_DATA * 4)) for name in (WEIGHTS, CARD)]
        given = {"id": card.id, "state": state, "share": share, "weights": parts[0], "card": parts[1]}
        try:
            return AdapterOrder.model_validate(given)
        except ValidationError as error:
            raise RequestError(f"{card.id}: {error.errors(include_url=False)[0]['msg']}") from None

    def _kept(self, content: bytes) -> FilePart:
        if not 0 < len(content) <= MOST_PART:
            raise RequestError(f"a file of orders has 1 to {MOST_PART:,} bytes; one of these has {len(content):,}")
        part = FilePart.of(content)
        path = self.folder / "parts" / part.sha256
        draft = path.with_suffix(".part")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise SettingsError(f"{path}: cannot be written: {why_not(error)}") from None
        return part

    async def push(self, names: Iterable[str] = ()) -> list[BoxState]:
        """Bring these boxes (none named: all) up to date, many at once; how each stands. Raises NotFound."""
        chosen = [self._box(name) for name in names] or list(self.boxes.values())
        newest, gates = self.newest(), (asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(SILENT_AT_ONCE))

        async def one(box: KnownBox) -> BoxState:
            was_silent = box.name in self._silent
            async with gates[was_silent]:
                self._silent.add(box.name)
                try:
                    state = await self._brought(box, self._client(box), newest, SILENT_S if was_silent else PATIENCE_S)
                    self._silent.discard(box.name)
                    return state
                except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
                    return BoxState(box.name, "cut off", why=f"{type(error).__name__}: {error}".rstrip(": ")[:200])
                except NetGPTError as error:
                    return BoxState(box.name, "cut off", why=error.message)

        return list(await asyncio.gather(*map(one, chosen)))

    async def close(self) -> None:
        """Close the connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    def _box(self, name: str) -> KnownBox:
        if name not in self.boxes:
            raise NotFound(f"no box {name} here; there are {', '.join(self.boxes) or 'none'}")
        return self.boxes[name]

    def _client(self, box: KnownBox) -> httpx.AsyncClient:
        if box not in self._clients:
            self._clients[box] = self._opened(box)
        return self._clients[box]

    def _opened(self, box: KnownBox) -> httpx.AsyncClient:
        verify: ssl.SSLContext | bool = False  # plain HTTP: there is nothing to verify
        if box.url.startswith("https://"):
            try:
                verify = ssl.create_default_context(cafile=self._near(box.ca))
                if box.cert is not None:
                    verify.load_cert_chain(str(self._near(box.cert)), self._near(box.cert_key))
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(f"{box.name}: its certificates cannot be used here: {error.strerror}") from None
        headers = {"accept-encoding": "identity"} | ({"authorization": f"Bearer {box.key}"} if box.key else {})
        return httpx.AsyncClient(
            base_url=box.url, headers=headers, verify=verify, timeout=PATIENCE_S, trust_env=False,
            follow_redirects=False,
        )  # fmt: skip

    def _near(self, name: str | None) -> str | None:
        """A file that boxes.json names, from the control's folder on."""
        return None if name is None else str(self.folder / Path(name).expanduser())

    async def _brought(
        self, box: KnownBox, client: httpx.AsyncClient, newest: tuple[SignedOrders, Orders] | None, patience_s: float
    ) -> BoxState:
        answer = await _asked(client, "GET", "/v1/fleet", patience_s)
        found, report = answer.told(), answer.body
        if newest is None:
            return BoxState(box.name, "current", found.version, report=report)
        signed, orders = newest
        if found.orders == signed.digest:
            return BoxState(box.name, "current", orders.version, report=report)
        if found.refused is not None and found.refused.orders == signed.digest:
            return BoxState(box.name, "refused", found.version, found.refused.why, report)
        document = signed.model_dump_json().encode()
        answer = await _asked(client, "PUT", "/v1/fleet", PATIENCE_S * 10, content=document)
        if answer.status == 200 and (missing := answer.told().missing):
            for part in orders.parts:  # never what a box names beside these: its answer is no path on this machine
                if part.sha256 in missing:
                    await self._send(client, part)
            answer = await _asked(client, "PUT", "/v1/fleet", PATIENCE_S * 10, content=document)
        if answer.status == 409:
            state = "behind" if answer.why("code") == "fleet_version" else "refused"
            return BoxState(box.name, state, found.version, answer.why(), report)
        if (now := answer.told()).orders != signed.digest:
            why = "it lacks parts of the orders: push again" if now.missing else "it took the orders, and has others"
            return BoxState(box.name, "behind", found.version, why, report)
        return BoxState(box.name, "followed", orders.version, report=answer.body)

    async def _send(self, client: httpx.AsyncClient, part: FilePart) -> None:
        """A part in pieces, from where the box has it. Raises SettingsError, RequestError: the box leads nowhere."""
        at = cuts = 0
        with open_plain(self.folder / "parts" / part.sha256, SettingsError) as file:
            if os.fstat(file.fileno()).st_size != part.size:
                raise SettingsError(f"part {part.sha256[:12]} is damaged here: make the orders again from its file")
            while at < part.size:
                file.seek(at)
                answer = await _asked(
                    client, "PUT", f"/v1/fleet/parts/{part.sha256}", PATIENCE_S * 10, content=file.read(PIECE),
                    params={"at": at, "of": part.size},
                )  # fmt: skip
                if answer.status == 409 and (begun := _HAVE.match(answer.why())) and cuts < CUTS:
                    at, cuts = int(begun[0]), cuts + 1
                    continue
                have = answer.told().have
                if not at < have <= part.size:
                    raise RequestError(f"it says to have {have} bytes of a part after {at} and more were sent")
                at = have


async def _asked(client: httpx.AsyncClient, method: str, path: str, patience_s: float, **what: Any) -> _Answer:
    """What a box answers, in bounds of bytes and time. Raises httpx.HTTPError, OSError, RequestError."""
    async with (
        asyncio.timeout(PATIENT * patience_s),
        client.stream(method, path, timeout=patience_s, **what) as answer,
    ):
        body = bytearray()
        async for piece in answer.aiter_raw():  # as it came: nobody asked for a packed one
            body += piece
            if len(body) > MOST_ANSWER:
                raise RequestError(f"it answered more than {MOST_ANSWER:,} bytes, which is no box's report")
    try:
        return _Answer(answer.status_code, orjson.loads(body))
    except ValueError:
        return _Answer(answer.status_code, None)
