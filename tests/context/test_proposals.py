"""What is proposed from a message and, above all, what is not: traps of every kind, each of which would be a lie."""

from __future__ import annotations

import time
from datetime import date

import pytest

from netgpt.context import profile_fact
from netgpt.context.known_facts import plain_note, standing_of
from netgpt.context.own_words import LONGEST, cleaned
from netgpt.context.proposals import MOST, proposals
from netgpt.types import Fact, Label

MONDAY = date(2025, 12, 1)


def notes(message: str) -> list[str]:
    return [each.text for each in proposals(message, MONDAY)]


@pytest.mark.parametrize(
    ("message", "note", "kind", "label"),
    [
        ("As a coeliac, where can I eat in Portwick?", "is coeliac", "health", "sensitive"),
        ("Since I moved to Graz I freeze, which coat?", "lives in Graz", "home", "personal"),
        ("I don't drive, how do I get to Ely?", "doesn't drive", "car", "personal"),
        ("What can I cook, as I'm allergic to nuts and shellfish?", "is allergic to nuts and shellfish", "allergy",
         "sensitive"),
        ("i live in berlin, where's a good market", "lives in berlin", "home", "personal"),
        ("We have two cats and a small flat. Which plants?", "has two cats", "pet", "personal"),
        ("My son Tom is allergic to eggs - which cake?", "has a son called Tom who is allergic to eggs", "family",
         "sensitive"),
        ("I play tennis every Tuesday, what do I eat before?", "plays tennis every Tuesday", "schedule", "personal"),
        ("I'm Jewish, what do I bring to the party?", "is Jewish", "faith", "sensitive"),
        ("I dislike small dogs, which parks are fine?", "dislikes small dogs", "taste", "personal"),
        ("my shoe size is 42.5, which boots?", "shoe size is 42.5", "size", "personal"),
    ],
)  # fmt: skip
def test_what_a_person_says_in_passing_is_a_clean_note(message: str, note: str, kind: str, label: str) -> None:
    (found,) = proposals(message, MONDAY)
    assert (found.text, found.kind, found.label) == (note, kind, Label(label))
    assert found.words in message and note not in repr(found)
    assert profile_fact(found.text, found.kind, found.label).text.startswith(("The user", "About the user"))


@pytest.mark.parametrize(
    ("message", "note"),
    [
        ("Als Veganerin weiß ich nie, was ich bestellen soll.", "ist Veganerin"),
        ("Seit ich nach Graz gezogen bin, friere ich.", "wohnt in Graz"),
        ("Ich bin allergisch gegen Nüsse und Soja. Was kann ich kochen?", "ist allergisch gegen Nüsse und Soja"),
        ("Ich habe kein Auto, wie komme ich zum See?", "hat kein Auto"),
        ("Meine Tochter wird am Freitag sechs, was nun?", "hat eine Tochter, wird sechs am Freitag (5.12.2025)"),
    ],
)
def test_german_remarks_stay_german(message: str, note: str) -> None:
    assert notes(message) == [note]


def test_a_day_is_dated() -> None:
    assert notes("My daughter turns six on Friday, ideas?") == [
        "has a daughter who turns six on Friday (5 December 2025)"
    ]
    assert notes("My son turns two on Monday, ideas?") == ["has a son who turns two on Monday (8 December 2025)"]
    assert notes("I turn 40 next month, ideas?") == ["turns 40 next month (said on 1 December 2025)"]


TRAPS = {
    "others": [
        "My colleague says he is vegan, what can I cook for him?",
        "My boss is allergic to nuts and has a dog.",
        "My neighbour told me: I have diabetes.",
        "She said, I'm a nurse. Do you believe that?",
        "My friend wrote that I'm a terrible driver.",
        "A guest of mine says she's coeliac. Is rice fine?",
        "Anna: I'm a vegetarian\nBen: I have two dogs\nWho said what?",
        "The patient reports: I have asthma and I take metformin.",
    ],
    "questions": [
        "Am I allergic to nuts?", "I'm vegan?", "So I'm diabetic?", "I'm a teacher, right?",
        "Is it true that I'm Irish?",
        "Do you think I'm too old to ski?", "How do people see that I'm a nurse?", "I live in Leeds, don't I?",
    ],
    "conditions": [
        "If I were vegan, what would I eat?", "Suppose I'm diabetic. What then?", "What if I live in Rome?",
        "Let's say I have two kids, how big a car?", "I might be allergic to eggs.", "I think I'm lactose intolerant.",
        "I wish I was a pilot.", "I'd be a nurse if I could.", "Unless I'm pregnant, is sushi fine?",
        "I'm vegan when I travel.", "I dislike hotels that are loud.", "I avoid people who smoke, where do I sit?",
        "Assuming I have a dog, which flat?", "I'm a vegetarian until Easter.", "When I was a child I had a dog.",
        "I used to be a teacher.", "I'm not vegan.", "I don't have asthma, so why do I cough?",
    ],
    "texts": [
        "Translate 'I am allergic to nuts' into Italian", "Translate to German: I have a cat.",
        "How do you say I'm a vegetarian in French?", "I'm allergic to nuts. How do I say that in Thai?",
        "Correct this sentence: I has two dogs.", "Summarise this:\nI'm a nurse and I live in Leeds.",
        "What do you think of this post?\n\nI'm a teacher and I have two kids. My wife is vegan.",
        "Write a letter: I am pregnant and I live at 5 Mill Lane.", "Tell my landlord that I have a dog.",
        "Text Anna I'm diabetic", "The sign says \"I'm deaf\". What now?", "> I'm a lawyer\nreply politely",
        "- I'm vegan\n- I have a dog\nsort this list", "```\nname = 'x'  # I'm a nurse\n```\nwhy does it fail?",
        "Dear Ms Hill,\nI'm a nurse and I live in Leeds.\nKind regards,\nEve",
        "Hi Tom,\nI have two kids, so I can't come.\nCheers,\nEve",
        "Is \"my name is Bond\" a quote?", "Rewrite more politely: I hate mushrooms.",
        "Here is my essay:\nI live in Paris. I have a cat.\nIs it good?", "He sang I'm a believer and I have a dream.",
        "<p>I'm a nurse</p> is not centred", "Classify: I love sushi",
        "1. I'm a baker\n2. I'm a nurse\nwhich pays more?",
    ],
    "roles": [
        "Pretend I am a pirate who is allergic to gold.", "Write a story: I live in Paris and I have a cat.",
        "You are a doctor. I'm your patient, I have asthma.", "Act as a teacher, I'm a student.",
        "As a lawyer, review this contract.", "As a nurse, explain how to draw blood.", "As a vegan, what do you eat?",
        "In my novel I'm a spy and my wife is a nurse.", "Let's play: I'm a detective.", "As a joke, what can I say?",
        "As a doctor, how would you treat me?", "From the perspective of a cat: I have a human.",
    ],
    "german": [
        "Mein Kollege sagt, er ist Veganer.", "Wenn ich Veganer wäre, was dann?", "Bin ich allergisch gegen Nüsse?",
        "Übersetze: Ich bin Vegetarier", "Stell dir vor, ich bin ein Pirat. Ich wohne in Paris.", "Ich bin in Rom.",
        "Schreib eine Mail, dass ich schwanger bin.", "Ich bin heute vegan.", "Ich glaube, ich bin schwanger.",
        "Ich habe eine Frage zu Hunden.", "Ich war Lehrer.", "Ich wohne in Angst.", "Ich habe keine Ahnung.",
    ],
    "passing": [
        "I'm vegan this week.", "I have a headache.", "I have a meeting on Tuesday.", "I'm at the station.",
        "I'm allergic to mornings.", "I'm married to my job.", "I live in hope.", "I have a frog in my throat.",
        "I love you.", "I love this song.", "I'd like a table for two.", "I want to buy a van.", "I work hard.",
        "I don't drive fast enough.", "I don't drink enough water.", "I'm starving.", "I have a dog in this fight.",
        "I don't have butter, can I use oil?", "I'm all ears.", "I'm in Rome today.", "I'm dead tired.",
        "Call me a taxi.", "Call me tomorrow.", "my name is on the list", "I moved in May.", "I have no idea.",
        "I'm a bit of a control freak.", "I have two left feet.", "I'm blind without coffee, haha.",
        "Play I'm a nurse.",
        "I need a hotel for my dog.", "set an alarm, I get tired", "I'm fine.", "I have kids' clothes to sell.",
    ],
}  # fmt: skip


MORE = """
My therapist says I have depression, is that serious?
I have a friend who is vegan, what can I cook?
I'm the vegan one, right?
Customer complaint: I'm allergic to your soap.
I am Groot
I'm a Barbie girl in a Barbie world
Is it weird that I'm afraid of dogs?
Why am I allergic to cats?
I read that I'm at risk because I'm diabetic, is it true?
On my cover letter I say I'm a nurse
Reply to this review: I'm vegan and found meat in my soup
I'm a landlord in Monopoly, what should I buy?
I'm pregnant with my second novel
I'm playing a nurse in a play
My character is a nurse. I live in Gotham.
I'm not a doctor but I have a cough
I can't drive home tonight
I don't eat before noon
I have two tickets for Saturday
I have a friend's dog this weekend
I live in fear of losing my job
I'm from HR
I work for free
We moved to the next slide
I'm in love with a vegan
I grew up poor
My favourite part is the end
I hate to ask, but could you help?
I hate myself
I love my wife
My mother was a teacher
My dad used to smoke
I have been a fool
I had asthma as a child
I'm no longer vegan
I stopped being vegan
I am almost vegetarian
I'm basically a nurse at this point
I was vegan for a year
my dog, if I had one, would be called Rex
As a smoker would say, I need a break.
For a user who says "I'm deaf", show captions.
SELECT name FROM users WHERE bio = 'I am a nurse'
I'm looking for gifts for a vegan friend
I'd love to be a pilot
I'm dying to move to Graz
I'm thinking of moving to Graz
They moved to Graz and I live in their flat
I need someone who speaks Polish
I'm calling on behalf of my mother, she has diabetes
I'm writing as a nurse for my exam
As a child I lived in Rome
As a student, Einstein worked a lot
I am 5 minutes late
I'm 100% sure
I'm in my car
I use a knife
I have a car parked outside my house that isn't mine
I take the bus today
I have a test on Monday
My wife would kill me
I'm on the train
I'm home
I'm afraid I can't come
I'm afraid of asking
I'm sober for now
I'm engaged in politics
I'm blind to that
I speak for everyone
I speak English only because I must
I get up at six tomorrow
I have a child's ticket
I'm a member of the public
I run a fever
I own my mistakes
I have kids to feed, said the fox
I go to church tomorrow
I'm single-minded
I'm straight out of luck
I'm a vet student's mom
I prefer this
I avoid you
I like that I'm vegan
I have asthma? since when
""".strip().splitlines()


@pytest.mark.parametrize("message", [*MORE, *(each for of_kind in TRAPS.values() for each in of_kind)])
def test_nothing_is_proposed_that_nobody_said_of_themselves(message: str) -> None:
    assert notes(message) == []


def test_the_rest_of_a_message_is_no_trap() -> None:
    assert notes("I'm vegan. My colleague says he is a nurse. What can we eat?") == ["is vegan"]
    assert notes("Since I'm coeliac, write a letter to the hotel that I am a bishop.") == ["is coeliac"]
    assert notes('I have a dog. The sign says "I have a cat". May I go in?') == ["has a dog"]


def test_a_message_gives_few_and_costs_little() -> None:
    assert len(notes("I'm vegan. I have a dog. I live in Leeds. I don't drive. I'm a nurse. I'm 41. I smoke.")) == MOST
    notes("warm up")
    for text in ("I have two " * 100_000, "my oldest " * 100_000, "I'm a " * 160_000, "a" * 1_000_000):
        began = time.thread_time()
        assert notes(text) == [] and cleaned(text) == ""
        assert time.thread_time() - began < 0.01
    for unit in ("I have two ", "my oldest daughter ", "I'm a ", "as a vegan ", "I play on ", '"', "'", "I, ", "(I'm "):
        text = (unit * LONGEST)[:LONGEST]
        began = time.thread_time()
        notes(text)
        assert time.thread_time() - began < 0.05, unit


def known(*texts: str) -> dict[str, Fact]:
    return {f"fact_{number}": profile_fact(text, "note") for number, text in enumerate(texts)}


@pytest.mark.parametrize(
    ("note", "there"),
    [
        ("is vegan", "is vegan"), ("has a nut allergy", "is allergic to nuts"), ("lives in Graz",
        "I live in Graz, Austria"),
        ("doesn't drive", "does not drive"), ("works as a nurse", "works as a nurse at the Infirmary"),
        ("has a dog called Rex", "my dog is called Rex"),
    ],
)  # fmt: skip
def test_what_is_known_is_not_proposed(note: str, there: str) -> None:
    assert standing_of(note, known("likes jazz", there)).known


@pytest.mark.parametrize(
    ("note", "there"),
    [
        ("lives in Graz", "lives in Leeds"), ("lives in Graz", "lives at 12 Mill Road, Ely"), ("is vegan",
        "is vegetarian"),
        ("doesn't drive", "drives a Fiat Panda"), ("drives a Fiat Panda", "doesn't drive"),
        ("doesn't eat meat", "eats meat"), ("dislikes mushrooms", "likes mushrooms"), ("is called Ada",
        "is called Eve"),
        ("works as a baker", "works as a nurse"), ("is married", "is single"), ("has two kids", "has no children"),
        ("is 35 years old", "is 34 years old"), ("gave up smoking", "smokes"), ("shoe size is 42", "shoe size is 41"),
    ],
)  # fmt: skip
def test_a_contradiction_names_what_it_would_replace(note: str, there: str) -> None:
    standing = standing_of(note, known("likes jazz", there))
    assert not standing.known and standing.contradicts == ("fact_1",)


@pytest.mark.parametrize(
    ("note", "there"),
    [
        ("has a dog", "has a cat called Mia"), ("is allergic to nuts", "is allergic to pollen"),
        ("plays chess", "plays tennis"),
        ("speaks Spanish", "speaks Polish"), ("has a daughter who is vegan", "is vegetarian"), ("likes jazz",
        "likes opera"),
    ],
)  # fmt: skip
def test_news_is_neither_known_nor_a_contradiction(note: str, there: str) -> None:
    assert standing_of(note, known(there)) == standing_of(note, {})


def test_a_note_is_a_fact_without_its_subject() -> None:
    assert plain_note("The user lives in Leeds") == "lives in Leeds"
    assert plain_note("turns 40 next month (said on 1 December 2025)") == "turns 40 next month"
