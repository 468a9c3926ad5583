from netgpt_tides import TIDES


def test_the_same_seed_gives_the_same_examples() -> None:
    assert list(TIDES.make(None, 7)) == list(TIDES.make(None, 7)) != []
