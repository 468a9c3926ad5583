from netgpt_badges import badges

from netgpt.testing import check_detector


def test_the_detector_keeps_the_contract() -> None:
    check_detector(badges)
