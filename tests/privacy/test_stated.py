"""Facts that a person stated leave in coarser words where the policy says so: never with a word of the fact itself."""

from __future__ import annotations

import pytest

from netgpt.context import private_values, profile_fact
from netgpt.policy import Destination, Disclosure, Policy, Principal
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.kinds import family, hierarchy
from netgpt.privacy.stated import CoarserFact, coarser_fact
from netgpt.types import Label

GENERALISER = Generaliser()


def coarser(text: str, kind: str, rules: str = "balanced", label: Label = Label.PERSONAL) -> CoarserFact | None:
    fact = profile_fact(text, kind, label)
    may = Disclosure(
        Policy.load(rules), Principal("local", "user", "ada"), Destination(), hierarchy=hierarchy, family=family
    )
    return coarser_fact(fact, [value for _, value in private_values([fact])], may.of_stated, GENERALISER)


def said(text: str, kind: str, rules: str = "balanced") -> str | None:
    made = coarser(text, kind, rules)
    return made.fact.text if made is not None else None


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("lives in Lyon, 12 rue Pasteur", "home", "The user lives in Auvergne-Rhône-Alpes, France"),
        ("lives at 12 Mill Road, Cambridge CB1 2AD, UK", "address", "The user lives in England, United Kingdom"),
        ("lives in Lyon", "note", "The user lives in Auvergne-Rhône-Alpes, France"),
        ("wohnt in Berlin", "home", "The user lives in Germany"),
        ("Sevilla", "place", "The user is in Andalusia, Spain"),
        ("lives in Scotland", "home", "The user lives in Scotland"),
        ("is 42 years old", "age", "The user is 39-50 years old"),
        ("was born on 12 March 1984", "birthday", "The user was born in 1984"),
        ("earns 3,200 EUR a month", "salary", "The user's salary: 1999-5000 EUR a month"),
        ("has a budget of 50 euros", "budget", "The user's budget: 49-100 euros"),
        ("wedding on 3 June 2026", "wedding", "The user's wedding: 2026"),
    ],
)
def test_a_stated_value_leaves_in_coarser_words(text: str, kind: str, told: str) -> None:
    made = coarser(text, kind)
    assert made is not None and made.fact.text == told
    assert made.fact.label is Label.PUBLIC and made.account.policy_rule.startswith("stated-")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("lives in Nowhereville", "home"), ("lives with Maria Keller", "home"), ("is vegetarian", "diet"),
        ("works at 5 Mill Road", "work"), ("Springfield, or so", "music"), ("born in spring", "birthday"),
        ("has 3 children aged 4 and 7", "age"), ("lives at York Road 12", "home"),
    ],
)  # fmt: skip
def test_what_has_no_coarser_form_stays(text: str, kind: str) -> None:
    assert coarser(text, kind) is None


def test_each_set_of_rules_has_its_own_say() -> None:
    facts = {"home": "lives in Lyon", "birthday": "was born on 12 March 1984", "salary": "earns 3,200 EUR a month"}
    assert all(said(text, kind, "strict") is None for kind, text in facts.items())
    assert said("lives in Lyon", "home", "health") and said("earns 3,200 EUR a month", "salary", "health") is None
    assert coarser("lives in Lyon", "home", label=Label.SENSITIVE) is None
    assert coarser("lives in Lyon", "home", label=Label.PUBLIC) is None, "that one leaves as it is"
