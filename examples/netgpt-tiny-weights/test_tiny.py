from netgpt_tiny import TINY


def test_the_hash_is_given() -> None:
    assert len(TINY.sha256) == len(TINY.package_sha256) == 64
