"""The public sets that detection is judged on (read by path, never copied), and invented texts to time it on."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

from netgpt.errors import NotFound
from netgpt.privacy.kinds import word_set
from netgpt_bench.people import PersonMaker, PlantedPerson

PUPA: Final = "privacy/pupa_new_dev.jsonl"
SYNTHETIC: Final = "privacy/presidio_synth_v2_dev.jsonl"
WNUT: Final = "privacy/wnut17_dev.jsonl"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Query:
    """A text with the private units that people marked in it, as lower-case strings."""

    text: str = field(repr=False)
    units: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A text with marked spans: (start, end, type)."""

    text: str = field(repr=False)
    spans: tuple[tuple[int, int, str], ...]


def pupa(data: Path, sample: int, seed: int) -> list[Query]:
    """PUPA's queries of real people. Raises NotFound."""
    return [
        Query(row["user_query"], frozenset(unit.strip().lower() for unit in row["pii_units"] if unit.strip()))
        for row in _drawn(data / PUPA, sample, seed)
    ]


def synthetic(data: Path, sample: int, seed: int) -> list[Tagged]:
    """Presidio's generated sentences. Raises NotFound."""
    return [
        Tagged(row["text"], tuple((s["start"], s["end"], s["type"]) for s in row["spans"]))
        for row in _drawn(data / SYNTHETIC, sample, seed)
    ]


def wnut(data: Path, sample: int, seed: int) -> list[Tagged]:
    """WNUT17's noisy texts, tokens joined by single spaces. Raises NotFound."""
    return [_joined(row["tokens"], row["tags"]) for row in _drawn(data / WNUT, sample, seed)]


def _joined(tokens: Sequence[str], tags: Sequence[str]) -> Tagged:
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    begins = [i for i, tag in enumerate(tags) if tag.startswith("B-")]
    spans = []
    for begin, following in pairwise([*begins, len(tags)]):
        end = begin + 1
        while end < following and tags[end].startswith("I-"):
            end += 1
        spans.append((starts[begin], starts[end] - 1, tags[begin][2:]))
    return Tagged(" ".join(tokens), tuple(spans))


def _drawn(path: Path, sample: int, seed: int) -> list[dict[str, Any]]:
    return sampled(rows_of(path), sample, seed)


def sampled(rows: list[T], sample: int, seed: int) -> list[T]:
    """`sample` of the rows, drawn by seed; all of them for 0."""
    return rows if not sample or sample >= len(rows) else random.Random(seed).sample(rows, sample)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file. Raises NotFound."""
    try:
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
    except OSError as error:
        raise NotFound(
            f"{path}: cannot be read ({error.strerror}); name the folder of the public sets with --data"
        ) from None


# --- Everyday requests that hold nothing private.

_CLINC_LEFT_OUT: Final = word_set(
    """
    accept_reservations bill_due book_flight book_hotel calculator calendar calendar_update cancel_reservation
    car_rental change_ai_name change_user_name confirm_reservation current_location date directions distance
    exchange_rate flight_status gas how_busy interest_rate international_visa make_call measurement_conversion
    meeting_schedule next_holiday oos pay_bill play_music plug_type pto_request pto_request_status reminder
    reminder_update report_fraud restaurant_reservation restaurant_reviews restaurant_suggestion schedule_maintenance
    schedule_meeting share_location spending_history text time timer timezone traffic transactions transfer translate
    travel_alert travel_notification travel_suggestion uber update_playlist user_name vaccines weather balance
    who_do_you_work_for account_blocked bill_balance card_declined freeze_account income direct_deposit spelling
    international_fees carry_on lost_luggage alarm apr credit_limit_change definition redeem_rewards order
    rewards_balance new_card report_lost_card min_payment pin_change taxes w2 what_song damaged_card
    """
)
"""Intents whose rows may name a person, a place, a firm, a day, an amount or an account."""
_SLURP_HARMLESS: Final = word_set(
    """
    media_type weather_descriptor transport_type food_type definition_word music_genre player_setting device_type
    business_type house_place order_type color_type general_frequency meal_type podcast_descriptor joke_type
    music_descriptor alarm_type cooking_type coffee_type movie_type game_type sport_type ingredient drink_type
    change_amount email_folder
    """
)
_SNIPS_HARMLESS: Final = word_set(
    """
    object_type rating_value rating_unit best_rating restaurant_type spatial_relation party_size_number object_select
    movie_type sort object_location_type condition_temperature condition_description served_dish
    object_part_of_series_type cuisine facility genre music_item current_location
    """
)
_CAPITAL = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]")
PICKED: Final = (
    "CLINC150 without intents that may name someone, somewhere, a day, an amount or an account, and "
    "without digits; SLURP and SNIPS rows all of whose entities are of harmless types (food, device, weather, genre "
    "...); self-instruct instructions without digits and without a capital inside a sentence"
)


def everyday(data: Path, sample: int, seed: int) -> list[tuple[str, str]]:
    """(set, text) of requests that hold nothing private; `sample` of each set (0: all). Raises NotFound."""
    drawn: list[tuple[str, str]] = []
    for name in ("clinc150", "selfinstruct_user", "selfinstruct_seed", "slurp", "snips"):
        rows = rows_of(data / "prompts" / f"{name}_dev.jsonl")
        texts = [
            (name, text) for row in rows if _is_everyday(name, row, text := row.get("instruction", row.get("text", "")))
        ]
        drawn += sampled(texts, sample, seed)
    return drawn


def _is_everyday(name: str, row: dict[str, Any], text: str) -> bool:
    if name == "clinc150":
        return row["intent"] not in _CLINC_LEFT_OUT and not re.search(r"\d", text)
    if name == "slurp":
        return all(entity["type"] in _SLURP_HARMLESS for entity in row["entities"])
    if name == "snips":
        return all(slot["slot"] in _SNIPS_HARMLESS for slot in row["slots"])
    return not re.search(r"\d", text) and not _CAPITAL.search(text)


# --- Invented texts for measuring speed and memory: letters with private data in them, no two alike.


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_WHO: Final = _listed(
    "the manager|our neighbour|a friend from school|the doctor|my sister|the landlord|nobody|the clerk"
)
_DID: Final = _listed(
    "asked about|forgot|explained|wrote down|complained about|paid for|lost|repaired|described|looked at|sold|returned"
)
_WHAT: Final = _listed(
    "the invoice|a new bicycle|the old kitchen|the report of last week|two tickets|the heating|a long letter|the car"
    "|the contract|some medicine|the photographs|the garden door|a broken phone|the school trip|the insurance"
)
_WHY: Final = _listed(
    "because the weather was bad|before the meeting began|after we had talked for an hour|without telling anyone"
    "|although it was rather late|and nobody knew what to do next|so that everything could be finished|as always"
)
_ASKED: Final = _listed("Could you summarise this?|What should I answer?|Please correct the style.|Is that right?")
_PRIVATE: Final = (
    "My name is {name}, and you can write to {email}.",
    "Please ring {phone} or come to {address}.",
    "{name} works at {firm} in {town} since {year}.",
    "The account is {iban}, and the card is {card}.",
    "I met {name} near {address}.",
)
_FIRMS: Final = _listed("Brightwater Labs|Harrow & Sons|Nordhaus GmbH|Telvane|Quillon Systems|Merrow Bank")
_TOWNS: Final = _listed("Leicester|Utrecht|Porto|Graz|Lyon|Duluth|Galway|Tampere")


class TextMaker:
    """Makes texts from a seed. About one sentence in six tells something private."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._people = PersonMaker(self._random)

    def text(self, size: int) -> str:
        """A new text of exactly `size` characters."""
        pieces: list[str] = []
        length = 0
        person = self._people.person()
        while length <= size:
            pieces.append(self._private(person) if self._random.random() < 1 / 6 else self._plain())
            length += len(pieces[-1]) + 1
        return " ".join(pieces)[:size]

    def _plain(self) -> str:
        pick = self._random.choice
        if self._random.random() < 0.1:
            return pick(_ASKED)
        said = f"{pick(_WHO)} {pick(_DID)} {pick(_WHAT)} and {pick(_DID)} {pick(_WHAT)} {pick(_WHY)}."
        return said[0].upper() + said[1:]

    def _private(self, person: PlantedPerson) -> str:
        return self._random.choice(_PRIVATE).format(
            name=person.name, email=person.email, phone=person.phone, address=person.address, iban=person.iban,
            card=person.card, firm=self._random.choice(_FIRMS), town=self._random.choice(_TOWNS),
            year=self._random.randint(1975, 2025),
        )  # fmt: skip
