"""Finds that are nobody's, by their role in the text."""

from __future__ import annotations

import pytest

from netgpt.privacy.roles import Find, RoleJudge

JUDGE = RoleJudge(lambda name: name in ("Kant", "Haruki Murakami"), lambda name: name in ("Lisbon", "France"))


def kept(text: str, *finds: tuple[str, str, float]) -> list[str]:
    """The words that stay found: `finds` are (words, kind, chance)."""
    spans: list[Find] = [(text.index(w), text.index(w) + len(w), kind, chance) for w, kind, chance in finds]
    return [text[a:b] for a, b, _, _ in JUDGE.keep(text, spans)]


@pytest.mark.parametrize(
    ("text", "words", "kind"),
    [
        ("What happened on 20 July 1969?", "20 July 1969", "DATE"),
        ("Toys for a 5 year old?", "5", "AGE"),
        ("Plan three days in Lisbon.", "Lisbon", "PLACE"),
        ("List novels by Haruki Murakami.", "Haruki Murakami", "PERSON"),
        ("Run a Kruskal-Wallis test.", "Kruskal-Wallis", "PERSON"),
        ("Implement Dijkstra's algorithm.", "Dijkstra", "PERSON"),
        ("The Lotka-Volterra equations were found twice.", "Lotka-Volterra", "PERSON"),
        ("She comes on Friday.", "Friday", "DATE"),
        ("SMTP_HOST = 1", "SMTP", "ORG"),
        ("see Jira BILL-482 for it", "Jira BILL", "ORG"),
        ("Bellman-Ford is slower.", "Bellman-Ford", "PERSON"),
        ("We use Redis here.", "Redis", "ORG"),
        ("Dana (manager) signs.", "manager", "JOB"),
        ("name,city,phone", "city", "ADDRESS"),
        ("kettle-cabinet-sickle-dowel: open", "cabinet-sickle", "ORG"),
    ],
)
def test_what_is_nobodys_is_let_go(text: str, words: str, kind: str) -> None:
    assert kept(text, (words, kind, 0.5)) == []


@pytest.mark.parametrize(
    ("text", "words", "kind"),
    [
        ("I was born on 20 July 1969, what does my horoscope say?", "20 July 1969", "DATE"),
        ("Plan my three days in Lisbon.", "Lisbon", "PLACE"),
        ("Plan three days in Portwick.", "Portwick", "PLACE"),
        ("List complaints by Zanele Khumalo.", "Zanele Khumalo", "PERSON"),
        ("The meeting moved to 20 July 1969.", "20 July 1969", "DATE"),
        ("Zanele Khumalo failed the test.", "Zanele Khumalo", "PERSON"),
        ("What is Khumalo's number?", "Khumalo", "PERSON"),
        ("Zanele Khumalo missed tests.", "Zanele Khumalo", "PERSON"),
        ("She comes on Friday 3 May.", "Friday 3 May", "DATE"),
        ("What did Kant pay?", "Kant", "PERSON"),
        ("Is Kant's invoice overdue?", "Kant", "PERSON"),
        ("Order BILL-482 is for her.", "BILL-482", "ID"),
    ],
)
def test_what_may_be_somebodys_stays_found(text: str, words: str, kind: str) -> None:
    assert kept(text, (words, kind, 0.5)) == [words]


@pytest.mark.parametrize("words", ["Jira BILL", "BILL-482", "482"])
def test_the_key_of_a_ticket_is_nobodys_however_sure(words: str) -> None:
    assert kept("TODO move to vault, see Jira BILL-482", (words, "ID", 0.97)) == []


def test_a_date_beside_a_person_stays_found() -> None:
    text = "When did Zanele Khumalo, born 20 July 1969, pay?"
    assert kept(text, ("Zanele Khumalo", "PERSON", 0.5), ("20 July 1969", "DATE", 0.5)) == [
        "Zanele Khumalo", "20 July 1969",
    ]  # fmt: skip


def test_a_known_name_beside_an_unknown_one_may_be_a_namesake() -> None:
    text = "Compare Kant and Khumalo as tenants."
    assert kept(text, ("Kant", "PERSON", 0.5), ("Khumalo", "PERSON", 0.5)) == ["Kant", "Khumalo"]


def test_what_is_certain_stays_found() -> None:
    assert kept("List novels by Haruki Murakami.", ("Haruki Murakami", "PERSON", 0.95)) == ["Haruki Murakami"]
