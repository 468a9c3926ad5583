import asyncio

from netgpt_weather import Weather


def test_it_rains() -> None:
    assert asyncio.run(Weather(["cloud"]).sample())["cloud"].text == "heavy rain"
