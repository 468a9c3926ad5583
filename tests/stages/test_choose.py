"""choose: private facts that stayed here choose among what the cloud suggests, and nothing tells the cloud of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from boxes import answer, exchange, gateway

from netgpt.app.gateway import Gateway
from netgpt.constraints.asking import NOTES, SENTENCES
from netgpt.context import profile_fact
from netgpt.errors import ModelError
from netgpt.models.stream import Joiner
from netgpt.stages.record import private_of
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Label, Person

ADA, BEN, NOBODY = Person("local", "ada"), Person("local", "ben"), Person("local", "noone")
IDEAS = "Ideas:\n\n1. Pad Thai with peanuts\n2. Rice with peas\n3. Lentil soup\n\nEnjoy!"
ASKED = "ideas for dinner tonight"
CHOSEN = NOTES["en"][0]
SENTENCE = SENTENCES["en"]
KEPT = f"Ideas:\n\n2. Rice with peas\n3. Lentil soup\n\nEnjoy!\n\n{CHOSEN}"


def said(body: Mapping[str, Any]) -> str | dict[str, Any]:
    return (
        json.dumps({"dishes": [{"name": "Satay"}, {"name": "Rice"}, {"name": "Dal"}]})
        if "response_format" in body
        else IDEAS
    )


async def known(here: Gateway) -> None:
    """Ada has a private allergy, Ben a hobby."""
    await here.store.add_fact(ADA, profile_fact("is allergic to peanuts", "allergy", Label.SENSITIVE))
    await here.store.add_fact(BEN, profile_fact("plays the cello", "hobby", Label.PUBLIC))


def left(cloud: FaultyCloud) -> str:
    """The newest body that left."""
    return cloud.received[-1].body.decode()


async def test_the_box_chooses_and_the_cloud_learns_nothing(tmp_path: Path) -> None:
    with FaultyCloud(said) as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            await known(here)
            for stream in (False, True):
                one = exchange(ASKED, "netgpt/cloud", stream=stream)
                assert await answer(here, one) == KEPT
                body = orjson.loads(left(cloud))
                assert body["messages"] == [{"role": "user", "content": f"{ASKED}\n\n{SENTENCE}"}]
                assert "peanut" not in left(cloud) and "allerg" not in left(cloud)
                told = private_of(one, Joiner())["choosing"]
                assert told["taken_out"] == 1 and told["kinds"] == {"allergy": 1} and told["fits"]
            # the same sentence for a person whose facts rule nothing out, and the answer whole
            ben = exchange(ASKED, "netgpt/cloud", user="ben")
            assert await answer(here, ben) == IDEAS and ben.choosing is None
            assert orjson.loads(left(cloud))["messages"] == body["messages"]
            nobody = exchange(ASKED, "netgpt/cloud", user="noone")
            assert await answer(here, nobody) == IDEAS and SENTENCE not in left(cloud)


async def test_a_fact_in_a_picture_chooses_too_and_one_not_understood_is_said(
    tmp_path: Path, encoder_weights: Path
) -> None:
    outings = "Ideas:\n\n1. Swim in the bay\n2. Museum of toys\n3. Chess evening"
    with FaultyCloud(lambda _: outings) as cloud:
        async with gateway(tmp_path / "home", cloud, encoder={"model": str(encoder_weights)}) as here:
            assert here.fact_reader is not None
            drowned, storms = "almost drowned as a boy, keeps to dry land", "scared of thunderstorms since the camp"
            await here.store.add_fact(ADA, profile_fact(drowned, "note", Label.SENSITIVE))
            await here.store.add_fact(BEN, profile_fact(storms, "note", Label.SENSITIVE))
            one = exchange("ideas for an outing on Sunday", "netgpt/cloud")
            assert await answer(here, one) == outings.replace("1. Swim in the bay\n", "") + f"\n\n{CHOSEN}"
            assert "drown" not in left(cloud)
            ben = exchange("ideas for an outing on Sunday", "netgpt/cloud", user="ben")
            assert await answer(here, ben) == f"{outings}\n\n{NOTES['en'][3]}"
            assert private_of(ben, Joiner())["choosing"]["unread"] == 1 and "thunder" not in left(cloud)


@pytest.mark.parametrize("way", ["request", "settings", "consent"])
async def test_it_can_be_turned_off(tmp_path: Path, way: str) -> None:
    settings: dict[str, Any] = {"constraints": {"enabled": False}} if way == "settings" else {}
    with FaultyCloud(said) as cloud:
        async with gateway(tmp_path / "home", cloud, **settings) as here:
            await known(here)
            if way == "consent":
                await here.store.consents.say(ADA, "constraints", False)
            one = exchange(ASKED, "netgpt/cloud", constraints=way != "request")
            assert await answer(here, one) == IDEAS and SENTENCE not in left(cloud)


async def test_tools_schemas_and_other_work_are_left_alone(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    number = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"n": {"type": "number"}}}},
    }
    dishes = {
        "type": "json_schema",
        "json_schema": {
            "name": "n",
            "schema": {"type": "object", "properties": {"dishes": {"type": "array", "items": {"type": "object"}}}},
        },
    }
    with FaultyCloud(said) as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            await known(here)
            assert await answer(here, exchange(ASKED, "netgpt/cloud", tools=[tool])) == IDEAS
            assert SENTENCE not in left(cloud)
            assert "Satay" in await answer(here, exchange(ASKED, "netgpt/cloud", response_format=number))
            chosen = await answer(here, exchange(ASKED, "netgpt/cloud", response_format=dishes))
            assert json.loads(chosen) == {"dishes": [{"name": "Rice"}, {"name": "Dal"}]}
            assert await answer(here, exchange("translate 'pad thai for dinner' into German", "netgpt/cloud")) == IDEAS


async def test_a_cut_answer_never_ends_like_a_whole_one(tmp_path: Path) -> None:
    with FaultyCloud(said, faults=[Fault.CUT], chunk_size=4) as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            await known(here)
            one = exchange(ASKED, "netgpt/cloud", stream=True)
            await here.workflow.run(one)
            text, ended = "", False
            with pytest.raises(ModelError):
                async for chunk in one.chunks:
                    for choice in chunk.get("choices") or ():
                        text += choice["delta"].get("content") or ""
                        ended |= choice.get("finish_reason") is not None
            assert not ended and CHOSEN not in text and KEPT.startswith(text) and "peanut" not in text
            assert one.status == "failed"


async def test_what_the_box_wrote_does_not_come_back_to_the_cloud(tmp_path: Path) -> None:
    """In the next turn the note is taken off, and the facts still count although that turn names no food."""
    with FaultyCloud(said) as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            await known(here)
            turns = [
                {"role": "user", "content": ASKED},
                {"role": "assistant", "content": KEPT},
                {"role": "user", "content": "and some more"},
            ]
            one = exchange("", "netgpt/cloud", messages=turns)
            assert await answer(here, one) == KEPT
            assert CHOSEN not in left(cloud) and "Rice with peas" in left(cloud)


async def test_the_edges_answers_are_chosen_from_too(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", edge=ScriptedModel(IDEAS)) as here:
        await known(here)
        assert await answer(here, exchange(ASKED, "netgpt/edge")) == KEPT


async def test_several_choices_are_chosen_from_apart(tmp_path: Path) -> None:
    with FaultyCloud(said, chunk_size=5) as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            await known(here)
            one = exchange(ASKED, "netgpt/cloud", n=2, stream=True)
            await here.workflow.run(one)
            texts = {0: "", 1: ""}
            async for chunk in one.chunks:
                for choice in chunk.get("choices") or ():
                    texts[choice["index"]] += choice["delta"].get("content") or ""
            assert texts == {0: KEPT, 1: KEPT}
