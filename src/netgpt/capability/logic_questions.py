"""Questions that take thought and no book: what follows from what, what is near and open, which function to call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any, Final

from netgpt.capability.grading import CallMade, Covers, Number, Phrase
from netgpt.capability.questions import Draft, family, rows, words


def _among(right: str, all_: Sequence[str]) -> Phrase:
    return Phrase((right,), tuple(each for each in all_ if each != right))


@family("reasoning/order")
def order(random: Random, language: str) -> Draft:
    """Best first in `people`; the sentences in any order, the first person named is no hint."""
    more, most, least = random.choice(rows(f"orders.{language}"))
    people = random.sample(words("names"), random.randrange(3, 6))
    than = next(row[1] for row in rows("than") if row[0] == language)
    sentences = [f"{a} {than.format(more)} {b}." for a, b in pairwise(people)]
    random.shuffle(sentences)
    top = random.random() < 0.5
    values = {"facts": " ".join(sentences), "most": most if top else least}
    return Draft(_among(people[0 if top else -1], people), values, 60)


@family("reasoning/middle")
def middle(random: Random, language: str) -> Draft:
    people = random.sample(words("names"), 3)
    sentences = [f"{people[0]} sits to the left of {people[1]}.", f"{people[2]} sits to the right of {people[1]}."]
    random.shuffle(sentences)
    return Draft(_among(people[1], people), {"facts": " ".join(sentences)}, 60)


@family("reasoning/syllogism")
def syllogism(random: Random, language: str) -> Draft:
    a, b, c = random.sample(words("made-up-groups"), 3)
    facts, asked, yes = random.choice(
        (
            (f"All {a} are {b}. All {b} are {c}.", f"Are all {a} {c}", True),
            (f"All {a} are {b}. No {b} are {c}.", f"Can any of the {a} be {c}", False),
            (f"All {a} are {b}. Some {b} are {c}.", f"Does it follow that some {a} are {c}", False),
            (f"No {a} are {b}. All {c} are {a}.", f"Can any of the {c} be {b}", False),
            (f"All {a} are {b}. Kim is one of the {a}.", f"Is Kim one of the {b}", True),
            (f"All {a} are {b}. Kim is one of the {b}.", f"Must Kim be one of the {a}", False),
            (f"Every one of the {a} is red. This thing is not red.", f"Can it be one of the {a}", False),
        )
    )
    return Draft(Phrase(("yes",), ("no",)) if yes else Phrase(("no",), ("yes",)), {"facts": facts, "asked": asked}, 48)


@family("reasoning/follows")
def follows(random: Random, language: str) -> Draft:
    (one, then), forward = random.choice(rows("rules")), random.random() < 0.5
    day = random.choice(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])
    fact, asked = (one, then) if forward else (then, one)
    check = Phrase(("yes",), ("no",)) if forward else Phrase(("no",), ("yes",))
    values = {"facts": f"Whenever {one}, {then}.", "fact": f"On {day} {fact}", "asked": asked}
    return Draft(check, values, 60)


@family("reasoning/odd-one-out")
def odd_one_out(random: Random, language: str) -> Draft:
    one, other = random.sample(words("odd"), 2)
    right = random.choice(other.split())
    shown = [*random.sample(one.split(), 3), right]
    random.shuffle(shown)
    return Draft(_among(right, shown), {"words": ", ".join(shown)}, 48)


@family("reasoning/sequence")
def sequence(random: Random, language: str) -> Draft:
    start, step = random.randrange(1, 20), random.randrange(2, 9)
    kind = random.choice("+*-a")
    if kind == "a":
        step = random.randrange(1, 4)
        letters = [chr(ord("A") + (start % 8) + step * at) for at in range(5)]
        return Draft(_among(letters[4], letters), {"shown": ", ".join(letters[:4])}, 40)
    if kind == "-":
        start, step = start + 6 * step, -step
    start = start % 5 + 1 if kind == "*" else start
    made = [
        start * (step % 3 + 2) ** at if kind == "*" else start + (step if kind == "+" else -step) * at
        for at in range(5)
    ]
    return Draft(Number(float(made[4])), {"shown": ", ".join(map(str, made[:4]))}, 60)


@family("reasoning/where")
def where(random: Random, language: str) -> Draft:
    person, other = random.sample(words("names"), 2)
    thing = random.choice(["key", "ball", "book", "ring", "letter", "coin", "watch", "pen"])
    places = random.sample(["drawer", "basket", "kitchen", "garden", "cupboard", "bag", "garage", "office"], 3)
    story = f"{person} put the {thing} in the {places[0]}. Then {other} moved it to the {places[1]}. "
    story += f"{person} went to the {places[2]}."
    return Draft(_among(places[1], places), {"facts": story, "thing": thing}, 40)


def _listed(random: Random, count: int) -> list[dict[str, Any]]:
    kinds, distances = random.sample(words("places"), count), random.sample(range(1, 40), count)
    return [
        {
            "kind": kind, "street": random.choice(words("streets")), "metres": distance * 50,
            "opens": random.randrange(6, 12), "closes": random.randrange(15, 23),
        }
        for kind, distance in zip(kinds, distances, strict=True)
    ]  # fmt: skip


def _shown(places: list[dict[str, Any]]) -> str:
    lines = "- {kind} on {street}, {metres} m away, open {opens:02d}:00 to {closes:02d}:00"
    return "\n".join(lines.format(**place) for place in places)


@family("local/nearest")
def nearest(random: Random, language: str) -> Draft:
    places = _listed(random, random.randrange(3, 6))
    right = min(places, key=lambda place: int(place["metres"]))["kind"]
    return Draft(_among(right, [place["kind"] for place in places]), {"places": _shown(places)}, 48)


@family("local/open")
def open_now(random: Random, language: str) -> Draft:
    places = _listed(random, 3)
    place = random.choice(places)
    hour = random.randrange(6, 23)
    yes = place["opens"] <= hour < place["closes"]
    told = ("yes", "is open"), ("no", "closed")
    check = Phrase(*(told if yes else told[::-1]))
    return Draft(check, {"places": _shown(places), "place": place["kind"], "time": f"{hour:02d}:30"}, 48)


@family("local/street")
def street(random: Random, language: str) -> Draft:
    places = _listed(random, random.randrange(3, 6))
    place = random.choice(places)
    return Draft(
        _among(place["street"], list(words("streets"))), {"places": _shown(places), "place": place["kind"]}, 48
    )


@family("local/closes")
def closes(random: Random, language: str) -> Draft:
    places = _listed(random, 3)
    place = random.choice(places)
    hour = place["closes"]
    forms = (
        f"{hour:02d} 00",
        f"{hour - 12} pm",
        f"{hour - 12} 00 pm",
        f"{hour - 12} p m",
        f"{hour - 12}pm",
        f"{hour} Uhr",
    )
    return Draft(Covers((forms,), most_words=60), {"places": _shown(places), "place": place["kind"]}, 48)


_BACK: Final = {"north": "south", "south": "north", "east": "west", "west": "east"}


@family("local/way-back")
def way_back(random: Random, language: str) -> Draft:
    way = random.choice(list(_BACK))
    values = {
        "place": random.choice(words("places")),
        "way": way,
        "street": random.choice(words("streets")),
        "a": random.randrange(2, 20) * 50,
    }
    return Draft(Phrase((_BACK[way],), tuple(each for each in _BACK if each not in (way, _BACK[way]))), values, 48)


def _tool(name: str, about: str, **arguments: str) -> dict[str, Any]:
    properties = {each: {"type": type_} for each, type_ in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}


_WEATHER: Final = _tool("get_weather", "The weather in a city", city="string")
_TOOLS: Final = (
    (_WEATHER, "What is the weather like in {city}?", {"city": "city"}),
    (_tool("set_timer", "Start a timer", minutes="integer"), "Time {number} minutes for me.", {"minutes": "number"}),
    (_tool("convert_currency", "Euros in another currency", euros="number", currency="string"),
     "How much are {number} euros in {money}?", {"euros": "number", "currency": "money"}),
    (_tool("send_message", "Send a message to a contact", to="string", text="string"),
     'Send {person} the message "{text}".', {"to": "person", "text": "text"}),
    (_tool("find_trains", "Trains from one city to another", origin="string", destination="string"),
     "Find me a train from {city} to {town}.", {"origin": "city", "destination": "town"}),
    (_tool("play_music", "Play an artist's music", artist="string"),
     "Play something by {artist}.", {"artist": "artist"}),
    (_tool("set_temperature", "Set the heating", room="string", degrees="number"),
     "Set the {room} to {degrees} degrees.", {"room": "room", "degrees": "degrees"}),
)  # fmt: skip


@family("tools/call")
def call(random: Random, language: str) -> Draft:
    offered = random.sample(_TOOLS, random.randrange(1, 4))
    (tool, asked, wanted), *_ = offered
    city, town = random.sample(words("towns"), 2)
    values: dict[str, Any] = {
        "city": city, "town": town, "number": random.randrange(2, 90),
        "money": random.choice(("USD", "GBP", "JPY", "CHF")), "person": random.choice(words("names")),
        "text": random.choice(("I am late", "See you at six", "Thank you", "CallMade me back")),
        "artist": random.choice(("Mozart", "Bach", "Miles Davis", "The Beatles", "Queen")),
        "room": random.choice(("kitchen", "bedroom", "office", "bathroom")), "degrees": random.randrange(16, 25),
    }  # fmt: skip
    check = CallMade(tool["function"]["name"], {name: values[value] for name, value in wanted.items()})
    random.shuffle(offered)
    return Draft(check, {"asked": asked.format(**values)}, 80, tuple(each[0] for each in offered))


@family("tools/result")
def result(random: Random, language: str) -> Draft:
    city, degrees = random.choice(words("towns")), random.randrange(-5, 35)
    sky = random.choice(("rain", "sunny", "snow", "cloudy", "fog", "storm"))
    called = {"name": "get_weather", "arguments": json.dumps({"city": city})}
    after = (
        {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "type": "function", "function": called}]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps({"celsius": degrees, "sky": sky})},
    )
    sun = ("sun",) if sky == "sunny" else ()
    check = Covers(((str(abs(degrees)),), (f"{sky}*", *sun)), most_words=80)
    return Draft(check, {"city": city}, 60, (_WEATHER,), after)
