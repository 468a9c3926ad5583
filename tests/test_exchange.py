import itertools

import pytest
from boxes import fill

from netgpt.errors import PipelineError
from netgpt.exchange import Exchange, Request, new_id
from netgpt.types import Caller, Person, Role


def exchange() -> Exchange:
    body = {"messages": [{"role": "user", "content": "my secret words"}]}
    return Exchange(Request(body=body, user="ada"), Caller("local", Role.USER))


def test_reading_too_early_names_the_stage() -> None:
    with pytest.raises(PipelineError, match="written by the stage 'recall', which has not run"):
        _ = exchange().facts


def test_a_field_has_one_writer() -> None:
    one = exchange()
    with pytest.raises(PipelineError, match="'identify' only, not by 'pipeline'"):
        one.person = Person("local", "ada")
    fill(one, person=Person("local", "ada"))
    assert one.person.user == "ada"
    assert one.has("person") and not one.has("facts") and one.get("facts") is None


def test_repr_shows_no_private_text() -> None:
    one = exchange()
    assert "secret" not in repr(one) + repr(one.request)
    assert "ada" not in repr(one.request)


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(500)]
    assert len(set(ids)) == 500
    assert all(a[:15] <= b[:15] for a, b in itertools.pairwise(ids))
