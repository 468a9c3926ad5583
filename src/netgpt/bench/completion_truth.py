"""Which kinds of facts matter, from the intent labels of CLINC150, SLURP and SNIPS; and profiles to choose from.

The labels are the data sets' own; the mapping from intent to kinds is ours, written before any figure was seen.
It goes by intent: a weather request that names its own town still counts as needing the place, and rows with a wrong
label stay in. One intent mixes two things, `recommendation_locations` (where to eat, where to shop): there the data
set's own annotation decides. Like requests need like facts, whichever data set they stand in. Intents that are not
listed need none of the kinds, out-of-scope requests included.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from netgpt.examples.complete_recipe import asks_for_food
from netgpt.types import Fact, Label

__all__ = ["FACTS_A_PROFILE", "PROFILE_TEXTS", "needed_kinds", "profile"]

FACTS_A_PROFILE = 7

_EAT_OUT = "place cuisine diet budget allergy"
_COOK = "diet allergy cuisine"

_CLINC150 = {
    "weather": "place time",
    "restaurant_suggestion": _EAT_OUT,
    "restaurant_reservation": _EAT_OUT,
    "restaurant_reviews": "place",
    "how_busy": "place",
    "meal_suggestion": _COOK,
    "recipe": _COOK,
    "ingredients_list": _COOK,
    "ingredient_substitution": _COOK,
    "directions": "place",
    "distance": "place",
    "current_location": "place",
    "share_location": "place",
    "uber": "place",
    "traffic": "place car",
    "gas": "car",
    "gas_type": "car",
    "mpg": "car",
    "oil_change_how": "car",
    "oil_change_when": "car",
    "tire_pressure": "car",
    "tire_change": "car",
    "jump_start": "car",
    "last_maintenance": "car",
    "schedule_maintenance": "car",
    "car_rental": "budget",
    "book_hotel": "budget",
    "book_flight": "place budget",
    "travel_suggestion": "budget hobby family",
    "time": "time",
    "timezone": "place",
    "date": "time",
    "calendar": "time",
    "calendar_update": "time",
    "meeting_schedule": "time",
    "schedule_meeting": "time",
    "reminder": "time",
    "reminder_update": "time",
    "next_holiday": "place time",
    "play_music": "music",
    "update_playlist": "music",
    "pto_balance": "work",
    "pto_request": "work",
    "pto_request_status": "work",
    "pto_used": "work",
    "payday": "work",
    "income": "work",
    "w2": "work",
}
_SLURP = {
    "weather_query": "place time",
    "recommendation_locations": "place",
    "recommendation_events": "place hobby",
    "recommendation_movies": "place",
    "takeaway_order": _EAT_OUT,
    "takeaway_query": "place",
    "cooking_recipe": _COOK,
    "cooking_query": _COOK,
    "transport_query": "place time",
    "transport_ticket": "place time",
    "transport_taxi": "place",
    "transport_traffic": "place car",
    "datetime_query": "time",
    "calendar_query": "time",
    "calendar_set": "time",
    "calendar_remove": "time",
    "play_music": "music",
    "play_radio": "music",
}
_SNIPS = {
    "GetWeather": "place time",
    "BookRestaurant": _EAT_OUT,
    "SearchScreeningEvent": "place",
    "PlayMusic": "music",
    "AddToPlaylist": "music",
}
_TRUTH = {"clinc150": _CLINC150, "slurp": _SLURP, "snips": _SNIPS}

PROFILE_TEXTS = {
    "place": (
        "The user is in Cambridge, England",
        "The user lives in the centre of Leeds",
        "The user is near Porto, Portugal",
    ),
    "time": (
        "It is Monday evening, 18:40 local time",
        "It is Saturday morning, 09:15 local time",
        "It is Thursday, 12 June",
    ),
    "diet": ("The user is vegetarian", "The user eats no pork", "The user is vegan"),
    "cuisine": (
        "The user likes Thai food",
        "The user's favourite cuisine is Italian",
        "The user loves spicy Indian dishes",
    ),
    "budget": (
        "The user has a small budget",
        "The user can spend 20 pounds at most",
        "The user prefers cheap offers",
    ),
    "allergy": (
        "The user is allergic to peanuts",
        "The user cannot eat gluten",
        "The user has a shellfish allergy",
    ),
    "car": ("The user drives a Fiat Panda", "The user owns an electric Renault Zoe", "The user has a 2014 Ford Focus"),
    "pet": ("The user has a dog called Rex", "The user keeps two cats", "The user owns a rabbit"),
    "music": ("The user likes jazz", "The user listens to heavy metal", "The user's favourite band plays indie rock"),
    "hobby": ("The user enjoys hiking", "The user paints and visits galleries", "The user plays chess"),
    "work": ("The user works as a nurse", "The user is employed at a bank", "The user teaches at a school"),
    "family": ("The user has two small children", "The user is married to Sam", "The user's mother lives with them"),
}
"""Three ways to say a fact of each kind."""


def needed_kinds(dataset: str, row: Mapping[str, Any]) -> frozenset[str]:
    """The kinds that matter for this row, by its intent; `dataset` is clinc150, slurp or snips."""
    if row["intent"] == "recommendation_locations" and asks_for_food(row):
        return frozenset(_EAT_OUT.split())
    return frozenset(_TRUTH[dataset].get(row["intent"], "").split())


def profile(randomness: random.Random) -> Sequence[Fact]:
    """Seven facts of seven kinds, in random order."""
    kinds = randomness.sample(sorted(PROFILE_TEXTS), FACTS_A_PROFILE)
    return [Fact(randomness.choice(PROFILE_TEXTS[kind]), kind, Label.PERSONAL) for kind in kinds]
