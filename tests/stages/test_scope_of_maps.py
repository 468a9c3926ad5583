"""Whose map of pseudonyms a request works with: the one of its key, person and named conversation, else none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from boxes import OWNER, answer, exchange, gateway
from upstreams import upstream

from netgpt.exchange import Exchange, Request
from netgpt.stages.desensitize import conversation_key
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import FaultyCloud
from netgpt.types import Person

OFF: Any = {"completion": {"mode": "off"}}


def by(key: str | None, text: str, **request: Any) -> Exchange:
    """An exchange of a caller with this key."""
    asked = Request(body={"messages": [{"role": "user", "content": text}]}, model="netgpt/cloud", **request)
    return Exchange(asked, replace(OWNER, key_id=key))


def test_a_conversation_is_named_by_the_caller_and_belongs_to_its_key() -> None:
    assert conversation_key(by("k1", "Hello")) is None and conversation_key(by(None, "Hello", user="ada")) is None
    named = [by(key, "Hello", conversation=name) for key, name in (("k1", "a"), ("k2", "a"), ("k1", "b"), (None, "a"))]
    assert len({conversation_key(one) for one in named}) == 4
    assert conversation_key(named[0]) == conversation_key(by("k1", "something else", conversation="a"))


async def test_nothing_is_stored_and_nothing_grows_without_a_named_conversation(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path, cloud, **OFF) as here:
            for number in range(60):
                asked = by("k", f"Hello, write to user{number}@mill.example", user="ada" if number % 2 else None)
                assert f"user{number}@mill.example" in await answer(here, asked)
            for user in ("ada", "anonymous"):
                assert await here.store.subject_data.maps(Person("local", user)) == []
        said = {json.loads(request.body)["messages"][-1]["content"] for request in cloud.received}
    assert said == {"Hello, write to [EMAIL_1]"}, "the numbers of one call begin anew"


async def test_two_keys_share_no_numbers_in_a_conversation_of_one_name(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path, cloud, **OFF) as here:
            for key, text in (("k1", "ada@mill.example"), ("k2", "bob@mill.example"), ("k1", "bob@mill.example")):
                assert await answer(here, by(key, f"mail {text}", user="ada", conversation="one")) == f"mail {text}"
        said = [json.loads(request.body)["messages"][-1]["content"] for request in cloud.received]
    assert said == ["mail [EMAIL_1]", "mail [EMAIL_1]", "mail [EMAIL_2]"]


async def test_a_named_conversation_gives_back_only_what_the_request_held(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path, cloud, **OFF) as here:
            await answer(here, by("k", "mail ada@mill.example", user="ada", conversation="one"))
            cloud.reply = "to [EMAIL_1] and [EMAIL_2]"
            said = await answer(here, by("k", "mail bob@mill.example", user="ada", conversation="one"))
    assert said == "to [EMAIL_1] and bob@mill.example"


@pytest.mark.parametrize("field", ["metadata", "vendor_note"])
async def test_an_earlier_answer_is_no_answer_to_another_body(tmp_path: Path, field: str) -> None:
    """The words of any field may stand in an answer: one that differs in them is another question."""
    with FaultyCloud(lambda body: f"noted {body[field]['mail']}") as cloud:
        async with gateway(tmp_path, cloud, **OFF) as here:
            fields: Any = {field: {"mail": "ada@mill.example"}}
            await answer(here, exchange("hello", "netgpt/cloud", **fields))
            person, now = Person("local", "ada"), datetime.now(UTC)
            ago = now - timedelta(hours=1)
            for mail, known in (("ada@mill.example", True), ("bob@mill.example", False)):
                body = {"messages": [{"role": "user", "content": "hello"}], field: {"mail": mail}, "temperature": 1}
                last = await here.store.answers.last(person, body, [], now, ago)
                assert (last is not None) is known


async def test_each_cloud_has_fields_of_its_own_that_pass(tmp_path: Path) -> None:
    token = "Zx9Kq2Lm8Rt4Vb7Nc1Wd6Yf3"
    with FaultyCloud() as cloud:
        ups = [upstream("b", cloud, pass_fields=["x_session"]), upstream("c", cloud, pass_fields=["x_note"])]
        made: Any = {**OFF, "upstreams": ups}
        async with gateway(tmp_path, cloud, edge=ScriptedModel("here"), **made) as here:
            one = exchange("hi", x_session=token, x_note="said ada@mill.example")
            await answer(here, one)
    assert list(one.outbounds) == ["b"] and "API_KEY" in one.kept_for["cloud"] + one.kept_for["c"]
    sent = json.loads(one.outbounds["b"].content)
    assert sent["x_session"] == token and "mill.example" not in sent["x_note"]
