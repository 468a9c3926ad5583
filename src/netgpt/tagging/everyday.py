"""Everyday requests that hold nothing private, out of the public sets of a folder: read by path, never copied."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from netgpt.errors import NotFound
from netgpt.privacy.wordsets import words

__all__ = ["PICKED", "everyday", "rows_of", "sampled"]

T = TypeVar("T")

_CLINC_LEFT_OUT: Final = words(
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
_SLURP_HARMLESS: Final = words(
    """
    media_type weather_descriptor transport_type food_type definition_word music_genre player_setting device_type
    business_type house_place order_type color_type general_frequency meal_type podcast_descriptor joke_type
    music_descriptor alarm_type cooking_type coffee_type movie_type game_type sport_type ingredient drink_type
    change_amount email_folder
    """
)
_SNIPS_HARMLESS: Final = words(
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
    return [(name, text) for name in _EVERYDAY for text in sampled(list(_texts(data, name)), sample, seed)]


_EVERYDAY: Final = ("clinc150", "selfinstruct_user", "selfinstruct_seed", "slurp", "snips")


def _texts(data: Path, name: str) -> Iterator[str]:
    for row in rows_of(data / "prompts" / f"{name}_dev.jsonl"):
        text = row["instruction"] if "instruction" in row else row["text"]
        if _is_everyday(name, row, text):
            yield text


def _is_everyday(name: str, row: dict[str, Any], text: str) -> bool:
    if name == "clinc150":
        return row["intent"] not in _CLINC_LEFT_OUT and not re.search(r"\d", text)
    if name == "slurp":
        return all(entity["type"] in _SLURP_HARMLESS for entity in row["entities"])
    if name == "snips":
        return all(slot["slot"] in _SNIPS_HARMLESS for slot in row["slots"])
    return not re.search(r"\d", text) and not _CAPITAL.search(text)


def sampled(rows: list[T], sample: int, seed: int) -> list[T]:
    """`sample` of the rows, drawn by seed; all of them for 0."""
    return rows if not sample or sample >= len(rows) else random.Random(seed).sample(rows, sample)  # noqa: S311 - a draw of test rows


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file. Raises NotFound."""
    try:
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
    except OSError as error:
        raise NotFound(
            f"{path}: cannot be read ({error.strerror}); name the folder of the public sets with --data"
        ) from None
