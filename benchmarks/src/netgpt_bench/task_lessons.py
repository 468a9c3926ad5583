"""Requests to learn kinds of tasks from: generated out of `lessons/`, and public sets whose licences allow it.

A lesson is one line of `leaves.toml` in one of its wordings, with the gaps filled; then some are made worse as people
write: small letters, no signs, typing errors, words of courtesy. Seeded: the same numbers give the same requests.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from netgpt.judgement import TASK_KINDS, UNKNOWN

_CHOICE = re.compile(r"<([^<>]*\|[^<>]*)>")
_GAP = re.compile(r"\{(\w+)\}")
_COURTESY: Final = (
    "please {}", "{} please", "hey, {}", "could you help me: {}", "I have a question. {}", "hi! {} thanks!",
    "quick one: {}", "{} I need it for work.", "Sorry to bother you, but {}",
    "My teacher wants to know: {}", "bitte: {}", "Bonjour, {}",
)  # fmt: skip


@dataclass(frozen=True)
class Leaf:
    """One sort of request, finer than a kind."""

    name: str
    kind: str  # of TASK_KINDS, or UNKNOWN
    say: tuple[str, ...]  # lessons as written


@dataclass(frozen=True)
class Lesson:
    """One request to learn from."""

    text: str
    leaf: str
    line: int  # which line of the leaf it was made of; -1: of a public set
    source: str = "generated"


def leaves() -> dict[str, Leaf]:
    """Every leaf by its name, as `lessons/leaves.toml` has them."""
    found = {
        name: Leaf(name, one["kind"], tuple(filter(None, one["say"].splitlines())))
        for name, one in _toml("leaves.toml").items()
    }
    unknown = {leaf.kind for leaf in found.values()} - {*TASK_KINDS, UNKNOWN}
    if unknown:
        raise ValueError(f"lessons/leaves.toml: no such kinds: {sorted(unknown)}")
    return found


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("netgpt_bench").joinpath("lessons", name).read_text(encoding="utf-8"))


def generated(a_leaf: int, seed: int, *, worse: float = 0.4) -> list[Lesson]:
    """`a_leaf` requests of each leaf, all of its lines alike often. `worse`: the share written as people write."""
    draw, slots = random.Random(seed), {name: values.split("|") for name, values in _toml("slots.toml").items()}
    made = []
    for leaf in leaves().values():
        for number in range(a_leaf):
            line = number % len(leaf.say)
            text = filled(leaf.say[line], slots, draw)
            if leaf.kind != UNKNOWN and draw.random() < worse:
                text = worsened(text, draw)
            made.append(Lesson(text, leaf.name, line))
    return made


def filled(line: str, slots: Mapping[str, list[str]], draw: random.Random) -> str:
    """A lesson in one of its wordings. A gap that `slots` does not know stays: it belongs to the text."""
    while _CHOICE.search(line):
        line = _CHOICE.sub(lambda found: draw.choice(found[1].split("|")), line)
    line = _GAP.sub(lambda found: draw.choice(slots[found[1]]) if found[1] in slots else found[0], line)
    return " ".join(line.split(" ")).replace("\\n", "\n").strip()


def typed(text: str, draw: random.Random, rate: float = 0.03) -> str:
    """With typing errors: letters left out, doubled or swapped."""
    out: list[str] = []
    for letter in text:
        if letter.isalpha() and draw.random() < rate:
            how = draw.randrange(3)
            if how == 0:
                continue
            if how == 1:
                out.append(letter)
            elif out:
                out.insert(len(out) - 1, letter)
                continue
        out.append(letter)
    return "".join(out)


def worsened(text: str, draw: random.Random) -> str:
    """As people write: one or two of small letters, no signs at the end, typing errors, words of courtesy."""
    ways: tuple[Callable[[str], str], ...] = (
        str.lower,
        lambda one: one.rstrip("?.! "),
        lambda one: typed(one, draw),
        lambda one: draw.choice(_COURTESY).format(one.replace("{", "(").replace("}", ")")),
    )
    for way in draw.sample(ways, draw.randint(1, 2)):
        text = way(text)
    return text


_INTENTS: Final = {
    "translation": "translate",
    "sums": "calculator measurement_conversion exchange_rate qa_maths qa_currency",
    "definitions": "definition qa_definition",
    "dates": "date time timezone next_holiday datetime_query datetime_convert",
    "local": "weather directions distance restaurant_suggestion restaurant_reviews gas traffic how_busy "
    "current_location weather_query transport_traffic recommendation_locations recommendation_events "
    "GetWeather",
    "creative": "tell_joke recipe meal_suggestion travel_suggestion general_joke cooking_recipe",
    "chat": "greeting goodbye thank_you yes no maybe are_you_a_bot what_is_your_name who_made_you how_old_are_you "
    "what_are_your_hobbies do_you_have_pets what_can_i_ask_you meaning_of_life where_are_you_from "
    "general_greet",
    "trivia": "fun_fact qa_factoid",
    "tools": "book_flight book_hotel reminder reminder_update alarm timer play_music next_song transfer pay_bill "
    "smart_home make_call text calendar calendar_update todo_list todo_list_update uber shopping_list "
    "shopping_list_update schedule_meeting find_phone restaurant_reservation car_rental change_volume "
    "balance alarm_set alarm_remove calendar_set calendar_remove calendar_query email_sendemail "
    "iot_hue_lightoff iot_hue_lightchange iot_coffee iot_cleaning play_radio lists_createoradd "
    "lists_remove transport_taxi transport_ticket takeaway_order audio_volume_mute BookRestaurant "
    "PlayMusic AddToPlaylist",
}
"""Intents of CLINC150 (CC BY 3.0), SLURP (CC BY 4.0) and SNIPS (CC0) surely of one sort; the rest is left out."""
PUBLIC: Final[Mapping[str, str]] = {intent: leaf for leaf, listed in _INTENTS.items() for intent in listed.split()}
SETS: Final = ("clinc150", "slurp", "snips")


def public(folder: Path, source: str, an_intent: int, seed: int) -> list[Lesson]:
    """Requests of a public set (`prompts` of the data folder), at most so many of an intent; none where it is not."""
    path = folder / f"{source}_dev.jsonl"
    if not path.is_file():
        return []
    by_intent: dict[str, list[str]] = {}
    for row in _rows(path):
        by_intent.setdefault(str(row.get("intent")), []).append(str(row.get("text") or ""))
    draw = random.Random(seed)
    return [
        Lesson(text, PUBLIC[intent], -1, source)
        for intent, texts in sorted(by_intent.items())
        if intent in PUBLIC
        for text in draw.sample(texts, min(an_intent, len(texts)))
    ]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
