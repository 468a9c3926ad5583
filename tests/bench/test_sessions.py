"""A thousand loops with tools of odd clients: none changes its model while its calls are open."""

from __future__ import annotations

from netgpt_bench.sessions import conversation, counted, loop


def test_a_thousand_loops_stay_with_their_models() -> None:
    _, held = counted(loop, 1_000, 7, holds=True)
    assert held.turns > 3_000 and held.changes == 0
    assert held.forced > 20, "a model that was gone was left"
    _, alone = counted(loop, 100, 7, holds=False)
    assert alone.changes > 100, "else it shows nothing"


def test_conversations_stay_where_nobody_gains_clearly() -> None:
    (_, apart), (_, together) = (counted(conversation, 120, 7, holds=holds) for holds in (False, True))
    assert together.changes < 0.75 * apart.changes
    assert sum(together.lost) / len(together.lost) < 0.03, "what staying costs a turn, in good answers"
