"""Words of a request, cut to rough stems, and the kinds of place that people mean by them."""

from __future__ import annotations

import re

__all__ = ["STOP_WORDS", "group_of", "groups_in", "stem", "stems", "word_set"]


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set: the way word lists are written here."""
    return frozenset(text.split())


STOP_WORDS = word_set("""
    a about after all also am an and any are around as ask at back be been before being but by call called can
    close could day did do does doing done down each for from get give go going good got had has have having he
    her here hers him his how i if in into is it its just know let like local made make may maybe me mine
    more most much must my name named near nearby need next no none not now number of off on one only or other our
    out over own place places please put said same say see she should show so some somewhere such take takes tell
    than that the their them then there these they thing this those to too under up us use used user users very
    want was way we well were what when where which while who why will with would yes you your yours""")
"""Words that tell nothing by themselves."""

_GROUPS = {
    "restaurant": """restaurant eat eating eatery dinner lunch supper brunch food dine dining hungry meal cuisine
        takeaway takeout pizzeria bistro steakhouse starving""",
    "cafe": "cafe coffee breakfast bakery tea teahouse espresso brunch",
    "bar": "bar pub drink drinks beer wine cocktail tavern brewery",
    "hotel": "hotel sleep stay overnight accommodation lodging hostel guesthouse motel bed inn",
    "sight": """museum sight sightseeing attraction gallery monument castle church cathedral tourist tourism visit
        architecture exhibition landmark college historic viewpoint artwork""",
    "park": "park garden playground picnic nature outdoors",
    "show": "cinema movie film theatre theater concert nightclub club entertainment music venue screening",
    "pharmacy": "pharmacy chemist medicine drugstore prescription",
    "doctor": "doctor hospital clinic dentist emergency physician",
    "shop": "shop shopping supermarket grocery groceries store mall market buy",
    "parking": "parking park-and-ride carpark",
    "fuel": "fuel gas petrol diesel station charging charger",
    "bank": "bank atm cash cashpoint",
    "transit": "bus train tram metro subway station railway taxi airport",
    "sport": "gym swim swimming swimmingpool sport sports fitness pool stadium",
    "school": "school university library kindergarten",
}


def stem(word: str) -> str:
    """A rough stem, enough to bring "museums" and "museum", "eating" and "eat" together."""
    word = word.casefold().removesuffix("'s").removesuffix("’s")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending, shortest in (("ing", 6), ("sses", 5), ("ches", 5), ("shes", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= shortest and not word.endswith(("ss", "us")):
            return word[: -len(ending)] if ending in ("ing", "s") else word[:-2]
    return word


def stems(text: str) -> list[str]:
    """The stems of a text's telling words, in order; stop words are left out."""
    words = re.findall(r"[^\W_]+(?:['’\-][^\W_]+)*", text.casefold())
    return [stem(word) for word in words if word not in STOP_WORDS]


_GROUP_OF: dict[str, set[str]] = {}
for _group, _words in _GROUPS.items():
    for _word in _words.split():
        _GROUP_OF.setdefault(stem(_word), set()).add(_group)


def groups_in(text: str) -> set[str]:
    """The kinds of place that a request's words ask for: "dinner ideas" -> {"restaurant"}."""
    return set().union(*(_GROUP_OF.get(word, set()) for word in stems(text)))


def group_of(kind: str) -> set[str]:
    """The groups that a place of this kind falls under; its own stem when there is none."""
    found = groups_in(kind.replace("_", " "))
    return found or set(stems(kind.replace("_", " ")))
