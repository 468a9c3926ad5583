"""People with distinctive words in everything that a box keeps of them, and a box that holds several of them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from doors import Door
from made_adapters import adapter_file, card_for

from netgpt.adapters.card import person_digest
from netgpt.store.proposals import ProposedFact
from netgpt.store.queue import QueueLimits
from netgpt.store.store import Store
from netgpt.testing.server import last_user_text
from netgpt.types import Label, Person

__all__ = ["Planted", "answering", "moved_in"]


@dataclass
class Planted:
    """A person, what was planted of theirs, and the ids that it got."""

    person: Person
    key: str
    """Bound to the person."""
    words: list[str] = field(default_factory=list)
    """What nobody else may learn."""
    ids: dict[str, str] = field(default_factory=dict)
    """By the names that the paths and bodies of the API give them."""

    @property
    def user(self) -> str:
        return self.person.user

    def found_in(self, text: str, *, but: str = "") -> list[str]:
        """Which planted words and ids stand in `text`; those that stand in `but` (what was asked) do not count."""
        text, but = text.casefold(), but.casefold()
        private = [*self.words, *(id for name, id in self.ids.items() if name not in ("user", "conversation"))]
        return [one for one in private if one.casefold() in text and one.casefold() not in but]


def answering(body: Mapping[str, Any]) -> str:
    """The reply of both ends: the question, and a word that follows from it."""
    return f"{last_user_text(body)} means {answer_word(last_user_text(body))}"


def answer_word(question: str) -> str:
    return f"answer{hashlib.sha256(question.encode()).hexdigest()[:12]}"


async def proposed(store: Store, person: Person, note: str) -> str:
    """Let a fact wait for this person's yes; its id."""
    fact = ProposedFact(note, "note", Label.PERSONAL, f"Well, {note}.")
    assert await store.proposals.add(person, [fact], datetime.now(UTC) + timedelta(days=1), 100) == 1
    return next(id for id, each in (await store.proposals.of(person)).items() if each.text == note)


async def moved_in(here: Door, tenant: str, name: str, home: Path) -> Planted:
    """Let a person ask, be known, be rated, be an example, have receipts and an adapter of their own."""
    user = f"{name}-{secrets.token_hex(6)}"
    _, key = await here.make_key(tenant=tenant, user=user)
    one = Planted(Person(tenant, user), key)
    question, mail, fact, conversation = (f"{what}{secrets.token_hex(6)}" for what in ("umbrella", "m", "nyckel", "c"))
    mail += "@example.org"
    asked = await here.chat(
        key, f"write to {mail} of my {question}",
        fields={"model": "netgpt/cloud", "netgpt": {"conversation": conversation}},
    )  # fmt: skip
    assert asked.json()["netgpt"]["route"] == "cloud", asked.text
    said = asked.json()["choices"][0]["message"]["content"]
    assert mail in said
    base = f"/v1/profiles/{user}"
    kept = await posted(here, key, f"{base}/facts", {"text": f"plays the {fact}", "kind": "hobby"})
    await posted(here, key, f"{base}/consents", {"purpose": "training", "given": True})
    await posted(here, key, "/v1/feedback", {"exchange": asked.headers["x-netgpt-exchange"], "rating": 1})
    example = await posted(here, key, f"{base}/examples", {"exchange": asked.headers["x-netgpt-exchange"]})
    (receipt,) = (await here.get("/v1/receipts", key=key)).json()["data"]
    later = f"moustache{secrets.token_hex(6)}"
    waits = await here.gateway.store.waiting.park(
        one.person, None, {"request": {}, "caller": {}, "answer": {"text": later}},
        QueueLimits(9, 9_999, timedelta(days=1)), datetime.now(UTC),
    )  # fmt: skip
    await posted(here, key, f"{base}/consents", {"purpose": "proposals", "given": True})
    remark = f"parasol{secrets.token_hex(6)}"
    one.words = [mail, question, fact, said.rpartition(" ")[2], later, remark]
    one.ids = {
        "user": user, "exchange_id": asked.headers["x-netgpt-exchange"], "receipt_id": receipt["id"],
        "fact_id": kept["id"], "example_id": example["id"], "conversation_id": conversation,
        "proposal_id": await proposed(here.gateway.store, one.person, f"owns a {remark}"),
        "waiting_id": waits.id, "adapter_id": await _adapter(here, one.person, home),
    }  # fmt: skip
    return one


async def _adapter(here: Door, person: Person, home: Path) -> str:
    name = f"own-{secrets.token_hex(6)}"
    weights = adapter_file(home / f"{name}.gguf", seed=7)
    here.gateway.registry.add(weights, card_for(weights, name=name, scope="user", people=(person_digest(person),)))
    return f"{name}@1"


async def posted(here: Door, key: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await here.ask("POST", path, key=key, json=body)
    assert answer.status_code in (200, 201), answer.text
    known: dict[str, Any] = answer.json()
    return known
