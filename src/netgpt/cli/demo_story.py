"""The chapters of `netgpt demo`: real requests to a real box, and after each chapter what is claimed of them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netgpt.cli.common import read_settings, with_store
from netgpt.errors import ModelUnavailable

if TYPE_CHECKING:
    import httpx

    from netgpt.cli.demo_cloud import StandIn
    from netgpt.store.store import Store

CLOUD: Final = "netgpt/cloud"
"""Every request asks for the cloud, so that the story does not hang on what the router thinks of this machine."""
TOWNS: Final = {"Porto": (41.1496, -8.6110), "Bergen": (60.3929, 5.3241), "Kraków": (50.0614, 19.9372)}
FACTS: Final = (
    ("ada", "is vegetarian", "diet", "public"),
    ("ben", "is allergic to peanuts", "health", "personal"),
    ("cleo", "loves fish", "food", "public"),
)
WALK, DINNER = "a good walk near here", "ideas for dinner tonight"
ORDER: Final = {
    "order": "4711", "customer": "Maria Keller", "email": "maria.keller@example.org", "phone": "+44 20 7946 0958",
    "address": "12 Tannery Lane, Portwick", "state": "on its way since Tuesday",
}  # fmt: skip
PRIVATE: Final = ("Keller", "maria", "7946", "Tannery")
"""Parts of its values."""
SENT_WITHIN_S: Final = 120.0


@dataclass(frozen=True)
class ToldExchange:
    """One request: what was written, what left for it (empty: nothing), and what came back."""

    title: str
    exchange: str
    route: str
    reason: str
    left: tuple[bytes, ...] = field(repr=False)
    said: str
    answer: str
    receipt: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def proven(self) -> bool:
        """Whether the receipt's hash is that of the last bytes which arrived."""
        account = (self.receipt or {}).get("account") or {}
        return bool(self.left) and account.get("sha256") == hashlib.sha256(self.left[-1]).hexdigest()


@dataclass(frozen=True)
class Claim:
    """What is said to be so, whether it is, and a command that shows it; its output holds `shows`."""

    text: str
    holds: bool
    command: str
    shows: str


@dataclass(frozen=True)
class Chapter:
    """A part of the story."""

    title: str
    intro: str
    asked: tuple[ToldExchange, ...]
    claims: tuple[Claim, ...]
    remark: str = ""


class Story:
    """Tells the chapters in their order; `client` is a client of the box, `cloud` its stand-in for one."""

    def __init__(self, client: httpx.Client, cloud: StandIn, home: Path) -> None:
        self._client, self._cloud, self._home = client, cloud, home

    def chapters(self) -> Sequence[Callable[[], Chapter]]:
        return (self.three_towns, self.three_people, self.a_tool, self.a_cut_cloud, self.somebody_forgotten)

    def three_towns(self) -> Chapter:
        """Dora asks the same in three towns, and once without consent."""
        asked = []
        for town, (latitude, longitude) in TOWNS.items():
            at = {"location": {"latitude": latitude, "longitude": longitude}, "consent": ["location"]}
            asked.append(self._ask("dora", WALK, f"dora, in {town} ({latitude}, {longitude}), writes", **at))
        at.pop("consent")
        asked.append(self._ask("dora", WALK, f"dora, in {town} still, without consent, writes", **at))
        points = "".join(f" -e {_digits(latitude)}" for latitude, _ in TOWNS.values())
        bodies = [b"".join(each.left).decode() for each in asked]
        claims = (
            Claim(
                "the same five words left with three towns; without consent, alone",
                all(town in body for town, body in zip(TOWNS, bodies, strict=False))
                and not any(town in bodies[3] for town in TOWNS),
                "grep -roE 'Porto|Bergen|Kraków' cloud-got | sort", "cloud-got/03.json:Kraków",
            ),
            Claim(
                "no coordinate left",
                not any(_digits(part) in body for body in bodies for point in TOWNS.values() for part in point),
                f"grep -rF{points} cloud-got | wc -l", "0",
            ),
        )  # fmt: skip
        intro = (
            "Dora's phone tells the box where she is. She consents that her town may be said, and takes that back for "
            "the last request."
        )
        return Chapter("The same words in three towns", intro, tuple(asked), claims)

    def three_people(self) -> Chapter:
        """The same words of three people, of whom one has a fact that may not leave."""
        for user, text, kind, label in FACTS:
            told = {"text": text, "kind": kind, "label": label}
            self._client.post(f"/v1/profiles/{user}/facts", json=told).raise_for_status()
        ada, ben, cleo = (self._ask(user, DINNER, f"{user} ({text}: {label}) writes") for user, text, _, label in FACTS)
        claims = (
            Claim(
                "what is public of Ada and Cleo left, since it helps with dinner",
                b"vegetarian" in ada.left[-1] and b"fish" in cleo.left[-1],
                f"netgpt explain {ada.exchange}", "vegetarian",
            ),
            Claim(
                "Ben's allergy left in no word",
                not any(word in body.lower() for body in self._cloud.bodies() for word in (b"peanut", b"allerg")),
                "grep -riE 'peanut|allerg' cloud-got | wc -l", "0",
            ),
            Claim(
                "and still the box left the dish with peanuts out of what he reads",
                "peanut" in ben.said and "peanut" not in ben.answer and "curry" in ben.answer,
                f"netgpt explain {ben.exchange}", "Chosen on the box",
            ),
            Claim(
                "each receipt holds the SHA-256 of the bytes that arrived there",
                all(each.proven for each in (ada, ben, cleo)),
                "sha256sum cloud-got/05.json; netgpt receipts show 5 --json | grep sha256",
                hashlib.sha256(ada.left[-1]).hexdigest()[:32],
            ),
        )  # fmt: skip
        return Chapter("The same words of three people", "", (ada, ben, cleo), claims)

    def a_tool(self) -> Chapter:
        """A small agent, whose tools read and write real files."""
        orders, outbox = self._home / "orders.json", self._home / "outbox.txt"
        for file, text in ((orders, json.dumps([ORDER], indent=1)), (outbox, "")):
            file.touch(mode=0o600)
            file.write_text(text)
        asked = self._agent("Where is order 4711? Tell the customer.", orders, outbox)
        got = b"".join(asked.left).decode()
        hidden = ((asked.receipt or {}).get("account") or {}).get("hidden") or [{}]
        claims = (
            Claim(
                "no name, e-mail, number or street of the customer left",
                len(asked.left) == 3 and not any(value in got for value in PRIVATE) and "[EMAIL_1]" in got,
                "grep -rF -e Keller -e maria -e 7946 -e Tannery cloud-got | wc -l", "0",
            ),
            Claim(
                "the tool was called with the real address, and the answer names her",
                ORDER["email"] in outbox.read_text() and ORDER["customer"] in asked.answer,
                "cat outbox.txt", ORDER["email"],
            ),
            Claim(
                "for each of them a rule of the policy said so", all(each.get("policy_rule") for each in hidden),
                f"netgpt policy why {asked.exchange}", "[EMAIL_1]",
            ),
        )  # fmt: skip
        intro = (
            "A shop's agent has two tools: one reads orders.json, one writes to outbox.txt. The model in the cloud "
            "calls them through the box; orders hold what is private."
        )
        remark = (
            f"The two requests before this one were its beginning: {len(asked.left[0])} and {len(asked.left[1])} B."
        )
        return Chapter("An agent and its tools", intro, (asked,), claims, remark)

    def a_cut_cloud(self) -> Chapter:
        """The stand-in stops: who answers, and what becomes of what may wait."""
        before = len(self._cloud.bodies())
        self._cloud.stop()
        week = self._ask("ada", "How many days are in a week?", "the cloud is cut. ada writes")
        body = {"model": CLOUD, "messages": [{"role": "user", "content": "a haiku about the harbour"}], "user": "ada"}
        kept = self._client.post("/v1/chat/completions", json={**body, "netgpt": {"may_wait": True}})
        while_cut = len(self._cloud.bodies())
        self._cloud.start()
        haiku = self._waited(kept.json()["id"], while_cut)
        claims = (
            Claim(
                "the box answered by itself, and said why", week.route == "edge" and bool(week.answer.strip()),
                f"netgpt explain {week.exchange}", "the cloud failed",
            ),
            Claim(
                "what could wait was kept, sealed, and sent once the cloud was back, once",
                kept.status_code == 202 and while_cut == before and len(haiku.left) == 1 and haiku.proven,
                "grep -lF haiku cloud-got/* | wc -l", "1",
            ),
        )  # fmt: skip
        return Chapter("A cut cloud", "The stand-in is stopped, then started again.", (week, haiku), claims)

    def somebody_forgotten(self) -> Chapter:
        """Dora wants to be forgotten: where she was, and what she asked."""
        before = self._export("dora")
        done = self._client.delete("/v1/profiles/dora").raise_for_status().json()
        after = self._export("dora")
        kept = b"".join(path.read_bytes() for path in self._home.glob("netgpt.db*"))
        removed, (chain_whole, rows_whole) = done["removed"], self._looked_at()
        claims = (
            Claim(
                f"of {_count(before)} things that the box had of Dora it has {_count(after)}",
                _count(before) >= 8 and _count(after) == 0 and removed["exchanges"] == 4,
                "netgpt profile export dora", '"exchanges": []',
            ),
            Claim(
                "the chain of receipts is whole: it says that four were erased, not what they held",
                removed["receipts"] == 4 and chain_whole,
                "netgpt receipts verify", "of which 4 were erased",
            ),
            Claim(
                "every row is as the box wrote it", rows_whole,
                "netgpt store check", "every row is as this box wrote it",
            ),
            Claim(
                "nothing private stood in the database in the clear",
                not any(word.encode() in kept for word in ("Bergen", "Tannery", "peanuts")),
                "cat netgpt.db* | grep -aE 'Bergen|Tannery|peanuts' | wc -l", "0",
            ),
        )  # fmt: skip
        remark = "What had left (her town, three times) is with the cloud: no box can call that back."
        return Chapter("Somebody forgotten", "Dora asks to be forgotten.", (), claims, remark)

    def _ask(self, user: str, text: str, title: str, **wishes: Any) -> ToldExchange:
        body = {"model": CLOUD, "messages": [{"role": "user", "content": text}], "user": user, "temperature": 0}
        return self._post(body | ({"netgpt": wishes} if wishes else {}), f"{title}: {text}")

    def _post(self, body: dict[str, Any], title: str) -> ToldExchange:
        before, said = len(self._cloud.bodies()), len(self._cloud.said)
        answer = self._client.post("/v1/chat/completions", json=body).raise_for_status().json()
        return self._asked(title, answer, tuple(self._cloud.bodies()[before:]), self._cloud.said[said:])

    def _asked(self, title: str, answer: dict[str, Any], left: tuple[bytes, ...], said: list[Any]) -> ToldExchange:
        told, message = answer["netgpt"], answer["choices"][0]["message"]
        calls = [call["function"] for call in message.get("tool_calls") or ()]
        text = message.get("content") or "; ".join(f"{call['name']}({call['arguments']})" for call in calls)
        receipt = self._client.get(f"/v1/receipts/{told['exchange']}").json() if left else None
        words = said[-1] if said and isinstance(said[-1], str) else ""
        return ToldExchange(title, told["exchange"], told["route"], told["reason"], left, words, text, receipt)

    def _agent(self, task: str, orders: Path, outbox: Path) -> ToldExchange:
        """The loop of any agent: ask, do what is called, ask again, until there is an answer."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": task}]
        left: list[bytes] = []
        for _ in range(5):
            before, said = len(self._cloud.bodies()), len(self._cloud.said)
            body = {"model": CLOUD, "messages": messages, "tools": TOOLS, "user": "shop"}
            answer = self._client.post("/v1/chat/completions", json=body).raise_for_status().json()
            left += self._cloud.bodies()[before:]
            message = answer["choices"][0]["message"]
            messages.append(message)
            if not message.get("tool_calls"):
                break
            for call in message["tool_calls"]:
                result = _use(call["function"]["name"], json.loads(call["function"]["arguments"]), orders, outbox)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)})
        return self._asked(f"the agent is told: {task}", answer, tuple(left), self._cloud.said[said:])

    def _waited(self, id: str, before: int) -> ToldExchange:
        """What became of a request that waits. Raises ModelUnavailable: it was not sent in time."""
        until = time.monotonic() + SENT_WITHIN_S
        while time.monotonic() < until:
            row = self._client.get(f"/v1/waiting/{id}").json()
            if row["status"] == "answered":
                left = tuple(self._cloud.bodies()[before:])
                title = "ada lets this wait while the cloud is cut: a haiku about the harbour"
                return self._asked(title, row["answer"], left, self._cloud.said[-1:])
            time.sleep(0.1)
        raise ModelUnavailable(f"what waited was not answered within {SENT_WITHIN_S:.0f} s: {row.get('status')}")

    def _looked_at(self) -> tuple[bool, bool]:
        """Whether the chain of receipts is whole, and whether every row is as it was written."""

        async def look(store: Store) -> tuple[bool, bool]:
            chain, rows = await store.receipts.verify([]), await store.sealing.check(lambda *_: None)
            return chain.whole, not rows.faults

        return with_store(look, read_settings(home=self._home))

    def _export(self, user: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get(f"/v1/profiles/{user}/export").raise_for_status().json()
        return found


def _digits(degrees: float) -> str:
    """The first of a coordinate's digits, as it is written: a text with them in it may hold the place."""
    return str(abs(degrees))[:4]


def _count(export: Mapping[str, Any]) -> int:
    return sum(len(value) for value in export.values() if isinstance(value, list))


def _tool(name: str, *parameters: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {each: {"type": "string"} for each in parameters}}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS: Final = [_tool("find_order", "number"), _tool("send_message", "to", "text")]


def _use(name: str, arguments: Mapping[str, str], orders: Path, outbox: Path) -> Any:
    """The shop's own tools."""
    if name == "find_order":
        rows = json.loads(orders.read_text())
        return next((row for row in rows if row["order"] == arguments["number"]), {"error": "no such order"})
    with outbox.open("a") as file:
        file.write(f"To: {arguments['to']}\n{arguments['text']}\n")
    return {"sent": True}
