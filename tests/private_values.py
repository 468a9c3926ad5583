"""Makers of invented private values, one for each kind with a form: all spellings that people and programs use."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from private_ids import national_id
from private_numbers import card, iban, machine, phone
from private_texts import address, email, key, secret_url
from private_value import Value, leaked, readable

__all__ = ["MAKERS", "Value", "leaked", "readable"]

MAKERS: Mapping[str, Callable[[random.Random], Value]] = {
    "EMAIL": email,
    "PHONE": phone,
    "CARD": card,
    "IBAN": iban,
    "IP": machine,
    "API_KEY": key,
    "URL": secret_url,
    "NATIONAL_ID": national_id,
    "ADDRESS": address,
}
