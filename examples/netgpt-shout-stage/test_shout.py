import asyncio

from netgpt_shout import Shout

from netgpt.testing import check_stage


def test_the_stage_keeps_the_contract() -> None:
    exchange = asyncio.run(check_stage(Shout(), messages=[{"role": "user", "content": "HELLO you"}]))
    assert exchange.notes == {"shout": {"loudness": 0.62}}
