"""What the learner of arms keeps of one person: a model of their own keys alone. It goes with them."""

from __future__ import annotations

from netgpt.errors import StoreError
from netgpt.routing.learner import Learner
from netgpt.store.limits import token_id
from netgpt.store.store import Store
from netgpt.types import Person

__all__ = ["forget_in_learner", "learner_keys"]


async def learner_keys(store: Store, person: Person) -> tuple[str, ...]:
    """Under which names the learner may know a person: the keys that speak for them alone, or who they are."""
    bound = [row.id for row in await store.holdings.keys(person)]
    return (*bound, person.user, token_id(person))


async def forget_in_learner(store: Store, keys: tuple[str, ...]) -> None:
    """Take these keys out of what is kept. A state that cannot be read any more is emptied. Raises StoreError."""
    try:
        state = await store.decisions.state()
        if state is None:
            return
        learner = Learner.restore(state)
    except StoreError:
        return await store.decisions.save_state(b"{}")
    for key in keys:
        learner.forget(key)
    await store.decisions.save_state(learner.state())
