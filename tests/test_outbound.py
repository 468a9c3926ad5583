import copy
import pickle
from typing import Any

import pytest

from netgpt.outbound import Outbound


def test_nobody_makes_one_without_the_seal() -> None:
    with pytest.raises(TypeError, match="by the vault only"):
        Outbound(b"{}", (), "masked", False, object())


def test_it_does_not_change_travel_or_show(sealed: Any) -> None:
    outbound = sealed({"messages": [{"role": "user", "content": "private words"}]})
    with pytest.raises(AttributeError):
        outbound.content = b"other"
    for trick in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            trick(outbound)
    assert "private" not in repr(outbound)


@pytest.fixture
def sealed() -> Any:
    from netgpt.outbound import _sealed_by_vault

    return lambda body: _sealed_by_vault(body, (), "masked")
