"""Check digits as the standards define them, without any list of countries."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CONSTANTS: Final = (1, 0x2BC830A3)
"""What a valid address leaves over: BIP-173 (bech32) and BIP-350 (bech32m)."""
_VERHOEFF_ROUND: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
"""The permutation that is applied once more at each place."""


def numerals(raw: str) -> str:
    """The letters and digits of a number as written, in capitals."""
    return "".join(c for c in raw.casefold() if c.isalnum()).upper()


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Sum of the digits times their weights, as far as the shorter of the two reaches."""
    return sum(int(c) * w for c, w in zip(digits, weights, strict=False))


def luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, Annex B.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def verhoeff(digits: str) -> bool:
    """Verhoeff's check digit (1969), in the dihedral group of the pentagon.

    >>> verhoeff("2363"), verhoeff("2364")
    (True, False)
    """
    state = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = _VERHOEFF_ROUND[value]
        state = _dihedral(state, value)
    return state == 0


def _dihedral(a: int, b: int) -> int:
    """The product of two symmetries of the pentagon: 0 to 4 turn it, 5 to 9 flip it first."""
    turned = (a + b if a < 5 else a - b) % 5
    return turned + 5 * ((a < 5) != (b < 5))


def iso7064_mod11_10(digits: str) -> bool:
    """The hybrid system MOD 11,10 of ISO/IEC 7064; the last digit is the check digit.

    >>> iso7064_mod11_10("86095742719"), iso7064_mod11_10("86095742718")
    (True, False)
    """
    product = 10
    for digit in digits[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (product + int(digits[-1])) % 10 == 1


def base58check(text: str) -> bool:
    """Bitcoin's Base58Check: the last four bytes begin the double SHA-256 of those before."""
    number = 0
    for char in text:
        place = _BASE58.find(char)
        if place < 0:
            return False
        number = number * 58 + place
    zeros = len(text) - len(text.lstrip("1"))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return sha256(sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def bech32(text: str) -> bool:
    """An address in bech32 or bech32m (BIP-173, BIP-350): one case, at most 90 characters, a polynomial checksum."""
    if len(text) > 90 or text not in (text.lower(), text.upper()):
        return False
    prefix, _, data = text.lower().rpartition("1")
    values = [_BECH32.find(char) for char in data]
    if not prefix or len(values) < 6 or -1 in values:
        return False
    checksum = 1
    for value in [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix), *values]:
        top, checksum = checksum >> 25, (checksum & 0x1FFFFFF) << 5 ^ value
        for place, term in enumerate(_BECH32_GENERATOR):
            checksum ^= term if top >> place & 1 else 0
    return checksum in _BECH32_CONSTANTS
