"""Questions about a text that stands in them: shorten it, write it otherwise, find something, judge it; and free texts.

Texts are made here, so that it is known what stands in them. Of stories, poems and talk only the form is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from netgpt.capability.grading import AnyOf, Both, Covers, Form, Literal, Phrase, Referral, Structure
from netgpt.capability.questions import Draft, family, rows, words


def _news(random: Random) -> tuple[str, dict[str, str]]:
    name, begin, did = random.choice(rows("events"))
    town, count = random.choice(words("towns")), str(random.randrange(12, 900))
    rest = random.sample(words("fillers"), 3)
    text = f"{begin.format(town=town)}. {rest[0]} In all, it {did.format(n=count)}. {rest[1]} {rest[2]}"
    return text, {"event": name, "town": town, "count": count}


@family("summary/sentence")
def sentence(random: Random, language: str) -> Draft:
    text, facts = _news(random)
    check = Covers(
        (words(f"event-words.{facts['event']}"), (facts["town"],)),
        most_words=len(text.split()) * 3 // 5,
        no_new_numbers=True,
    )
    return Draft(check, {"text": text}, 80)


@family("summary/words")
def in_words(random: Random, language: str) -> Draft:
    text, facts = _news(random)
    most = random.choice((12, 15, 20))
    check = Covers((words(f"event-words.{facts['event']}"),), most_words=most, no_new_numbers=True)
    return Draft(check, {"text": text, "a": most}, 60)


@family("summary/topic")
def topic(random: Random, language: str) -> Draft:
    text, facts = _news(random)
    others = tuple(each[0] for each in rows("events") if each[0] != facts["event"])
    return Draft(
        Both((Phrase(words(f"event-words.{facts['event']}"), others), Covers(((facts["town"],),), most_words=25))),
        {"text": text},
        50,
    )


def _whole(text: str) -> Covers:
    """All words of a short text, and hardly any others."""
    words = text.strip(".?").split()
    return Covers(tuple((word,) for word in words), most_words=len(words) + 8)


@family("rewriting/past")
def past(random: Random, language: str) -> Draft:
    now, before, _ = random.choice(rows("sentences"))
    return Draft(_whole(before), {"text": now}, 40)


@family("rewriting/question")
def as_question(random: Random, language: str) -> Draft:
    now, _, question = random.choice(rows("sentences"))
    return Draft(Literal((question, question.replace("your", "my"))), {"text": now}, 40)


@family("rewriting/capitals")
def capitals(random: Random, language: str) -> Draft:
    text = random.choice(random.choice(rows("sentences"))[:2])
    return Draft(Literal((text.upper(), text.upper().strip("."))), {"text": text}, 40)


@family("rewriting/replace")
def replaced(random: Random, language: str) -> Draft:
    one, other = random.sample(words("things"), 2)
    person, town = random.choice(words("names")), random.choice(words("towns"))
    text = f"{person} bought a {one} in {town} and gave the {one} to a friend."
    return Draft(
        Covers(((other,), (person,), (town,), ("friend",)), most_words=24, banned=(one,)),
        {"text": text, "one": one, "other": other},
        48,
    )


@family("rewriting/sort")
def in_order(random: Random, language: str) -> Draft:
    names = random.sample(words("names"), random.randrange(3, 6))
    forms = tuple(join.join(sorted(names)) for join in (", ", " ", ",", "\n"))
    both = tuple(f"{', '.join(sorted(names)[:-1])}{join}{max(names)}" for join in (" and ", ", and "))
    return Draft(Literal((*forms, *both)), {"names": ", ".join(names)}, 48)


@family("rewriting/polite")
def polite(random: Random, language: str) -> Draft:
    text, kept = random.choice(rows("rude"))
    to = random.choice((*words("names"), "my landlord", "a colleague", "my neighbour", "the hotel"))
    return Draft(Covers((tuple(kept.split("/")), words("polite")), most_words=60), {"text": text, "to": to}, 60)


@family("translation/sentence")
def to_translate(random: Random, language: str) -> Draft:
    into = random.choice(("German", "French", "Spanish"))
    english, other = ([line.split() for line in words(f"said.{each}")] for each in ("en", into))
    picked = [random.randrange(len(each)) for each in english]
    said = [each[at] for each, at in zip(english, picked, strict=True)]
    groups = tuple(tuple(each[at].split("/")) for each, at in zip(other, picked, strict=True))
    text = f"The {said[0]} {said[1]} {'an' if said[2][0] == 'a' else 'a'} {said[2]}."
    return Draft(Covers(groups, most_words=24, banned=(said[1],)), {"text": text, "into": into}, 48)


def _order(random: Random) -> tuple[str, dict[str, Any]]:
    """A letter about an order, and what stands in it."""
    first, last = random.choice(words("names")), random.choice(words("surnames"))
    facts = {
        "name": f"{first} {last}", "city": random.choice(words("towns")), "item": random.choice(words("things")),
        "quantity": random.randrange(2, 30), "price": random.randrange(10, 400),
        "day": f"{random.randrange(1, 29)} {random.choice(words('months.en'))}",
        "order": f"{random.choice('ABKT')}{random.randrange(1000, 9999)}",
        "email": f"{first.lower()}.{last.lower()}@{random.choice(('mail', 'post', 'web'))}.example",
        "phone": f"+44 20 7946 0{random.randrange(100, 999)}",
    }  # fmt: skip
    text = random.choice(words("orders-told"))
    return text.format(**facts), facts


@family("extraction/field")
def a_field(random: Random, language: str) -> Draft:
    text, facts = _order(random)
    name, what = random.choice(rows(f"asked.{language}"))
    others = tuple(str(value) for other, value in facts.items() if other not in (name, "quantity", "price", "city"))
    return Draft(Phrase((str(facts[name]),), others), {"text": text, "what": what}, 48)


@family("extraction/passage")
def passage(random: Random, language: str) -> Draft:
    text, facts = _news(random)
    what, right = random.choice(
        (("In which city did this happen?", facts["town"]), ("Which number is named in it?", facts["count"]))
    )
    return Draft(Covers(((right,),), most_words=25), {"text": text, "what": what}, 48)


@family("extraction/people")
def people(random: Random, language: str) -> Draft:
    names = random.sample(words("names"), random.randrange(2, 5))
    lines = [
        "{0} brought the cake.",
        "In the kitchen, {0} made coffee.",
        "Everybody liked what {0} said.",
        "{0} came late from {1}.",
    ]
    random.shuffle(lines)
    text = " ".join(line.format(name, random.choice(words("towns"))) for line, name in zip(lines, names, strict=False))
    absent = tuple(name for name in words("names") if name not in names)
    return Draft(Covers(tuple((name,) for name in names), most_words=30, banned=absent), {"text": text}, 48)


@family("classification/mood")
def mood(random: Random, language: str) -> Draft:
    good = random.random() < 0.5
    added = random.choice(words("added")).format(random.choice(words("towns")))
    text = f"The {random.choice(words('things'))} {random.choice(words('good' if good else 'bad'))}. {added}"
    right, wrong = words(f"moods.{language}")[:: 1 if good else -1]
    return Draft(Phrase((f"{right}*",), (f"{wrong}*",)), {"text": text}, 24)


@family("classification/topic")
def about(random: Random, language: str) -> Draft:
    labels = random.sample(("sport", "weather", "food", "politics", "music", "travel"), 4)
    right = random.choice(labels)
    said, town = random.choice(words(f"topics.{right}")), random.choice(words("towns"))
    text = f"{said}, as {random.choice(words('names'))} from {town} told me."
    return Draft(
        Phrase((right,), tuple(each for each in labels if each != right)),
        {"text": text, "labels": ", ".join(labels)},
        24,
    )


@family("classification/spam")
def spam(random: Random, language: str) -> Draft:
    is_spam = random.random() < 0.5
    text = random.choice(words("spam") if is_spam else words("ham")).format(random.randrange(12, 900))
    return Draft(Phrase(("yes",), ("no",)) if is_spam else Phrase(("no",), ("yes",)), {"text": text}, 24)


def _object(types: Mapping[str, str]) -> dict[str, Any]:
    properties = {name: {"type": type_} for name, type_ in types.items()}
    return {"type": "object", "properties": properties, "required": list(types)}


_TYPES: Final = {"quantity": "integer", "price": "number"}


@family("json/fields")
def fields(random: Random, language: str) -> Draft:
    text, facts = _order(random)
    names = random.sample(("name", "city", "item", "quantity", "price", "order", "email"), random.randrange(2, 5))
    types = {name: _TYPES.get(name, "string") for name in names}
    shown = ", ".join(f'"{name}" ({type_})' for name, type_ in types.items())
    return Draft(Structure(_object(types), {name: facts[name] for name in names}), {"text": text, "fields": shown}, 120)


@family("json/list")
def listed(random: Random, language: str) -> Draft:
    things = random.sample(words("things"), random.randrange(2, 5))
    counts = {thing: random.randrange(2, 20) for thing in things}
    text = ", ".join(f"{count} {thing}s" for thing, count in counts.items())
    schema = {"type": "array", "items": _object({"item": "string", "count": "integer"})}
    forms = ([{"item": thing + end, "count": count} for thing, count in counts.items()] for end in ("", "s"))
    return Draft(AnyOf(tuple(Structure(schema, each) for each in forms)), {"text": text}, 140)


@family("json/sentence")
def from_words(random: Random, language: str) -> Draft:
    name, age, city = random.choice(words("names")), random.randrange(18, 90), random.choice(words("towns"))
    married = random.random() < 0.5
    types = {"name": "string", "age": "integer", "city": "string", "married": "boolean"}
    schema = _object(types)
    text = f"{name} is {age} years old, lives in {city} and is {'married' if married else 'not married'}."
    return Draft(Structure(schema, {"name": name, "age": age, "city": city, "married": married}), {"text": text}, 80)


@family("creative/poem")
def poem(random: Random, language: str) -> Draft:
    lines = random.randrange(3, 7)
    return Draft(
        Form(lines=lines, words=(2 * lines, 20 * lines)), {"subject": random.choice(words("subjects")), "a": lines}, 110
    )


@family("creative/story")
def story(random: Random, language: str) -> Draft:
    one, other = random.sample(words("things"), 2)
    return Draft(
        Form(words=(25, 130), holds_all=(one, other)),
        {"one": one, "other": other, "subject": random.choice(words("subjects"))},
        150,
    )


@family("creative/names")
def names_for(random: Random, language: str) -> Draft:
    count, letter = random.randrange(3, 7), random.choice("ABCDLMPRST")
    what = random.choice(
        ("a cat", "a small café", "a sailing boat", "a bookshop", "a rock band", "a bakery", "a robot")
    )
    return Draft(
        Form(items=count, words=(count, 12 * count), initials=letter), {"a": count, "letter": letter, "what": what}, 80
    )


@family("creative/ideas")
def ideas(random: Random, language: str) -> Draft:
    count = random.randrange(3, 6)
    what = random.choice(
        (
            "a rainy Sunday",
            "a birthday of a six-year-old",
            "a gift for a teacher",
            "a cheap dinner",
            "a walk in the city",
            "an evening without screens",
        )
    )
    return Draft(Form(items=count, words=(2 * count, 45 * count)), {"a": count, "what": what}, 150)


@family("chat/greeting")
def greeting(random: Random, language: str) -> Draft:
    return Draft(
        Form(words=(1, 60), holds_one=words(f"greetings.{language}")),
        {"name": random.choice(words("names")), "town": random.choice(words("towns"))},
        70,
    )


@family("chat/feeling")
def feeling(random: Random, language: str) -> Draft:
    what = random.choice(words("feelings"))
    return Draft(
        Form(words=(4, 120), holds_one=words("felt")), {"what": what, "name": random.choice(words("names"))}, 120
    )


@family("advice/unknown-medicine")
def unknown_medicine(random: Random, language: str) -> Draft:
    values = {
        "medicine": "".join(random.choice(words(f"made-up.{part}")) for part in ("begin", "middle", "end")),
        "a": random.choice((2, 5, 8, 30, 45, 70)),
        "name": random.choice(words("names")),
    }
    return Draft(Referral(unknown=True), values, 100)


@family("advice/urgent")
def urgent(random: Random, language: str) -> Draft:
    return Draft(
        Referral(), {"what": random.choice(words(f"urgent.{language}")), "name": random.choice(words("names"))}, 120
    )
