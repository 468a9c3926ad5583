"""Invented people with private data of every kind. Numbers are valid where a checksum exists."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from netgpt.privacy.checksums import luhn
from netgpt.privacy.wordsets import words

__all__ = ["PersonMaker", "PlantedPerson"]

_FIRST = sorted(
    words(
        """
    Ada Grace Alan Katherine Omar Priya Wei Sofia Liam Chloe Mateo Ingrid Kwame Yuki Fatima Pedro Hannah Viktor
    Amelia Noor
        """
    )
)
_LAST = sorted(
    words(
        """
    Lovelace Hopper Whitfield Johnson Haddad Sharma Zhang Rossi Murphy Dubois Garcia Lindqvist Mensah Tanaka
    Rahman Alvarez Schneider Petrov Thornton Castellanos
        """
    )
)
_HOSTS = sorted(
    words(
        """
    mill.example inbox.example.org post.co.uk uni-koeln.de mail.example.com correo.es firma.internal
        """
    )
)
_STREETS = (
    "{n} Mill Road, Cambridge CB1 {d}AB",
    "{n}B Baker Street",
    "{n} rue de la Paix",
    "{n} Fifth Avenue, New York, NY 10118",
    "Hauptstraße {n}, 10115 Berlin",
    "Flat {d}, {n} Kings Parade",
    "{n} Elm St",
    "Via Roma {n}",
    "Calle Mayor {n}",
)
_PROFILE: Mapping[str, tuple[str, ...]] = {
    "DIET": ("gluten-free", "lacto-vegetarian", "strictly kosher", "pescatarian"),
    "ALLERGY": ("penicillin", "hazelnuts", "bee stings", "latex gloves"),
    "CAR": ("Fiat Panda 1987", "blue Skoda Octavia", "Peugeot 205 GTI"),
    "PET": ("Sir Barksalot", "Captain Whiskers", "Pebbles the tortoise"),
    "BUDGET": ("1437 pounds", "under 86.50 euros", "2,350 dollars"),
    "HEALTH": ("type 2 diabetes", "Ménière's disease", "atrial fibrillation"),
}


@dataclass(frozen=True, slots=True)
class PlantedPerson:
    """Someone who does not exist."""

    name: str
    email: str
    phone: str
    card: str
    iban: str
    address: str
    profile: tuple[tuple[str, str], ...]
    """(KIND, value) pairs, as the vault takes them."""

    def values(self) -> dict[str, list[str]]:
        """Kind -> values that must not leave; the kinds of the profile are all under PROFILE."""
        return {
            "EMAIL": [self.email],
            "PHONE": [self.phone],
            "CARD": [self.card],
            "IBAN": [self.iban],
            "ADDRESS": [self.address],
            "PERSON": [self.name],
            "PROFILE": [value for _, value in self.profile],
        }


class PersonMaker:
    """Makes people from a source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self._random = chance

    def person(self) -> PlantedPerson:
        pick = self._random
        first, last = pick.choice(_FIRST), pick.choice(_LAST)
        kinds = pick.sample(sorted(_PROFILE), 2)
        return PlantedPerson(
            name=f"{first} {last}",
            email=self._email(first, last),
            phone=self._phone(),
            card=self._card(),
            iban=self._iban(),
            address=pick.choice(_STREETS).format(n=pick.randint(2, 299), d=pick.randint(2, 9)),
            profile=tuple((kind, pick.choice(_PROFILE[kind])) for kind in kinds),
        )

    def _email(self, first: str, last: str) -> str:
        form = self._random.choice(("{f}.{l}", "{f}_{l}", "{i}{l}", "{l}+{f}", "{f}-{l}{n}"))
        local = form.format(f=first, l=last, i=first[0], n=self._random.randint(1, 99))
        local = self._random.choice((local.lower(), local, local.upper()))
        return f"{local}@{self._random.choice(_HOSTS)}"

    def _phone(self) -> str:
        form = self._random.choice(
            (
                "07700 900###", "07700900###", "+44 7700 900###", "+447700900###", "020 7946 0###", "(020) 7946 0###",
                "(212) 555-01##", "212-555-01##", "212.555.01##", "+1 212 555 01##", "21255501##",
                "+49 30 23125 ###", "030 23125###", "06 39 98 ## ##", "+33 6 39 98 ## ##", "+34 612 34# ###",
                "+91 98765 43###", "0044 20 7946 0###",
            )
        )  # fmt: skip
        return re.sub("#", lambda _: str(self._random.randint(0, 9)), form)

    def _card(self) -> str:
        prefix, length = self._random.choice(
            (("4", 16), ("52", 16), ("37", 15), ("6011", 16), ("4929", 16), ("3566", 16))
        )
        body = prefix + "".join(str(self._random.randint(0, 9)) for _ in range(length - len(prefix) - 1))
        card = next(body + str(last) for last in range(10) if luhn(body + str(last)))
        mark = self._random.choice(("", " ", "-"))
        return mark.join(card[i : i + 4] for i in range(0, len(card), 4)) if len(card) == 16 else card

    def _iban(self) -> str:
        country, shape = self._random.choice(
            (("GB", "AAAA" + "0" * 14), ("DE", "0" * 18), ("FR", "0" * 23), ("NL", "AAAA" + "0" * 10), ("ES", "0" * 20))
        )
        account = "".join(
            self._random.choice("ABCDEFGHKLMNPRSTW") if c == "A" else str(self._random.randint(0, 9)) for c in shape
        )
        number = int("".join(str(int(c, 36)) for c in account + country + "00"))
        iban = f"{country}{98 - number % 97:02d}{account}"
        mark = self._random.choice(("", " "))
        return mark.join(iban[i : i + 4] for i in range(0, len(iban), 4))
