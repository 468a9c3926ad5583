"""choose: of what an answer suggests, what the person's private facts allow. They never left: it is done here.

The answer itself names no reason. How many options were left out is told beside it; by which kinds of constraints, in
the person's own record alone.
"""

from __future__ import annotations

import asyncio

from netgpt.constraints.asking import WITHDRAWN
from netgpt.constraints.choose import ChoiceAccount
from netgpt.constraints.stream import chosen_chunks, judge_of, may_be_chosen
from netgpt.constraints.taxonomy import taxonomy
from netgpt.exchange import Exchange
from netgpt.routing.candidates import last_user_text
from netgpt.settings.sections import ConstraintSettings
from netgpt.types import Label


class Choose:
    """Wraps the restored answer where a private fact rules something out; else passes it as it is."""

    name = "choose"
    reads = frozenset({"restored", "facts", "consents", "chosen"})
    writes = frozenset({"checked", "choosing"})

    def __init__(self, settings: ConstraintSettings) -> None:
        self.settings = settings

    async def __call__(self, exchange: Exchange) -> None:
        exchange.checked, exchange.choosing = exchange.restored, None
        private = any(fact.label is not Label.PUBLIC for fact in exchange.facts)
        asked = exchange.request
        may = self.settings.enabled and asked.constraints and WITHDRAWN not in exchange.consents
        if not (private and may) or asked.dry_run or not may_be_chosen(asked.body):
            return
        messages = asked.messages
        request = last_user_text(messages)
        await asyncio.to_thread(taxonomy)  # read once, from disk
        judge = judge_of(exchange.facts, exchange.chosen, messages, request)
        if judge is None:
            return
        form = asked.body.get("response_format")
        is_json = True if isinstance(form, dict) and form.get("type") in ("json_object", "json_schema") else None
        exchange.choosing = account = ChoiceAccount()
        exchange.checked = chosen_chunks(exchange.restored, judge, account, is_json=is_json)
