from hypothesis import given
from hypothesis import strategies as st

from netgpt.routing.scoring import exposure_of

COUNTS = st.integers(0, 200)


@given(st.booleans(), COUNTS, COUNTS, st.integers(0, 2))
def test_it_is_a_share_and_grows_with_all_that_leaves(own: bool, hidden: int, coarser: int, rank: int) -> None:
    here = exposure_of(own=own, hidden=hidden, coarser=coarser, rank=rank)
    assert 0 < here <= 1
    assert exposure_of(own=own, hidden=hidden + 1, coarser=coarser, rank=rank) >= here
    assert exposure_of(own=own, hidden=hidden, coarser=coarser + 1, rank=rank) >= here
    assert exposure_of(own=True, hidden=hidden, coarser=coarser, rank=rank) <= here
    assert exposure_of(own=own, hidden=hidden, coarser=coarser, rank=max(0, rank - 1)) <= here


def test_an_owners_server_sees_less_than_anybody_elses() -> None:
    own, other = (exposure_of(own=own, hidden=0, coarser=0, rank=0) for own in (True, False))
    assert own < other < 0.5
