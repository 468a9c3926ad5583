"""Which foods a text names and what is in them, by `foods.txt`: a graph where each food leads to what it is or holds.

Names are matched whole, the longest first, in their plurals; German compounds are taken apart; "vegan", "nut-free",
"without eggs" and "instead of milk" count for what they stand beside. A word that is not in the table is unknown.

To add a food, add a line under `[foods]` (or `[dishes]`), as the head of `foods.txt` says; often a name in a line that
is there will do. `tests/constraints/test_taxonomy.py` has the cases, and finds contents that are no line. A language
more is a column, a code in `LANGUAGES` and its plurals in `forms_of`; facts in it need rules in `reading`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Final

LANGUAGES: Final = ("en", "de", "fr", "es", "it")
"""The columns of the table."""
Tokens = tuple[str, ...]
NOTHING: Final[frozenset[str]] = frozenset()


def word_set(words: str) -> frozenset[str]:
    """The words of a line as a set."""
    return frozenset(words.split())


_WORD = re.compile(r"[^\W\d_]+")
_NEGATORS = word_set("""
    without no not never excluding exclude omit omitting minus skip avoid avoids lacks ohne kein keine keinen keinem
    keiner nicht weglassen sans pas ni sin ningun ninguna senza niente nessun nessuna non""")
_PHRASES = tuple(
    tuple(phrase.split())
    for phrase in (
        "instead of", "free of", "free from", "in place of", "rather than", "leave out", "hold the", "contains no",
        "does not contain", "doesn t contain", "replaces", "anstelle von", "anstatt", "statt", "frei von", "au lieu de",
        "a la place de", "exempt de", "en lugar de", "en vez de", "libre de", "invece di", "al posto di", "privo di",
        "priva di",
    )
)  # fmt: skip
_CONNECTS = word_set("""
    and or nor any of the a an added extra all und oder noch jegliche et ou de la le les des du d l y o ni e ed il lo
    i gli kind sort type der die das den""")
_FREE = word_set("free frei freie freier freies freien freiem less")
_CLAIMS: Final[Mapping[str, str]] = {
    "vegan": "animal", "plant based": "animal", "pflanzlich": "animal", "rein pflanzlich": "animal", "vegane": "animal",
    "veganer": "animal", "veganes": "animal", "veganen": "animal", "vegane r": "animal", "vegetalien": "animal",
    "vegetalienne": "animal", "vegetal": "animal", "vegetale": "animal", "vegano": "animal", "vegana": "animal",
    "vegani": "animal", "veganos": "animal", "veganas": "animal", "vegetarian": "meat seafood gelatine",
    "veggie": "meat seafood gelatine", "vegetarisch": "meat seafood gelatine", "vegetarische": "meat seafood gelatine",
    "vegetarisches": "meat seafood gelatine", "vegetarischer": "meat seafood gelatine",
    "vegetarien": "meat seafood gelatine", "vegetarienne": "meat seafood gelatine",
    "vegetariano": "meat seafood gelatine", "vegetariana": "meat seafood gelatine", "meatless": "meat",
    "meat free": "meat", "mock": "meat seafood", "faux": "meat seafood", "imitation": "meat seafood",
    "virgin": "alcohol", "non alcoholic": "alcohol", "nonalcoholic": "alcohol", "alcohol free": "alcohol",
    "analcolico": "alcohol", "analcolica": "alcohol", "alkoholfrei": "alcohol", "dealcoholised": "alcohol",
    "decaf": "caffeine", "decaffeinated": "caffeine", "entkoffeiniert": "caffeine", "descafeinado": "caffeine",
    "unsweetened": "sugar", "zero sugar": "sugar", "ungesusst": "sugar", "halal": "pork alcohol blood",
    "kosher": "pork shellfish rabbit blood", "koscher": "pork shellfish rabbit blood", "low carb": "starch sugar",
    "keto": "starch sugar", "pasteurised": "softcheese", "pasteurized": "softcheese", "pasteurisiert": "softcheese",
    "mild": "hot-spice", "gf": "gluten", "dairy free": "milk lactose", "nut free": "nut peanut",
}  # fmt: skip
"""Words that say of what stands behind them what is not in it."""
_OF_MILK = word_set("""
    milk cream yogurt yoghurt butter cheese drink milch sahne joghurt kase lait creme yaourt beurre fromage leche nata
    yogur mantequilla queso latte panna burro formaggio""")
_MADE_INTO_MILK = frozenset(("almond", "oat", "rice", "soy", "coconut", "cashew", "hazelnut", "pea", "peanut", "walnut",
    "macadamia", "quinoa", "buckwheat", "sunflower-seed", "chickpea", "pistachio", "plant-milk", "gluten"))  # fmt: skip
_FORMS = word_set(
    """burger burgers patty patties sausage sausages meatball meatballs mince schnitzel goulash gulasch bolognese ragu
    ragout kebab kofta kofte loaf meatloaf roast wurst wurstchen braten geschnetzeltes frikadelle frikadellen
    bulette buletten hack hackbraten hamburger saucisse saucisses boulettes polpette polpetta albondigas
    albondiga hamburguesa salchicha salchichas stroganoff stew"""
)
"""Dishes of meat by their names, and of plants where a plant stands before them: "lentil burger", "Nussbraten"."""
_MADE_INTO_FORMS = word_set(
    "nut walnut cashew pulse lentil chickpea bean soy pea cauliflower aubergine celery beetroot quinoa chestnut "
    "plant-milk oat"
)
_OF = word_set("de d di du au aux a la al all")
_HEADS = word_set("""
    sosse sauce salat suppe topf eintopf auflauf pfanne gericht creme brei mus filet brust keule steak spiess platte
    teller schnitte schnitten stange stangen wurfel streifen riegel ol paste aufstrich fullung beilage menu bowl wrap
    rolle rollen taschen tasche ragout curry geschnetzeltes braten chips snack mix mischung tarte puree pute tatar
    stick sticks kugel kugeln frisch roh bio wild haus jung mini krauter gemuse ofen grill pfeffer scheiben scheibe
    kern kerne saft eis spitzen lieferant liebhaber fest probe tour bar keller abend reste gebacken voll""")
_MOST_KEPT: Final = 20_000
_NO_DISH: Final = tuple(
    """baum garten farben haus strasse maschine tasse kanne glas messer platz frei freie freies freier freien los lose
    berg stube verkaufer handler formig zange presse""".split()  # noqa: SIM905 - fifteen lines else
)
"""Ends of compounds that are no food, whatever they begin with."""
_OTHER_WORDS: Final = frozenset(
    (word,) for word in ("the", "te", "tes", "mais", "reise", "reisen", "eise", "eisen", "weinen")
)
"""Tea and corn without their accents, and plurals that are other words."""
_LINKS: Final = ("", "s", "n", "en", "e", "er")


@dataclass(frozen=True, slots=True)
class Food:
    """One line of the table."""

    id: str
    holds: tuple[str, ...]
    may_hold: tuple[str, ...]
    is_kind: bool
    """A kind of food: what is of it is not told by the word alone."""
    has_plant_version: bool
    is_dish: bool


@dataclass(frozen=True, slots=True)
class FoodName:
    """A name as it stands in the table. `own`: it means the whole line, and not one of the things in it."""

    text: str
    food: str
    own: bool


@dataclass(frozen=True, slots=True)
class Mention:
    """A food that a text names, and what is in it for certain and perhaps, after what the text says of it."""

    name: FoodName
    holds: frozenset[str]
    may_hold: frozenset[str]
    at: int
    """Number of its first word."""


@dataclass(frozen=True, slots=True)
class FoodsOfText:
    """What a text names. `absent`: what it says is not in it."""

    mentions: tuple[Mention, ...]
    absent: frozenset[str]


def folded(text: str) -> str:
    """In small letters without accents: "Käse" and "kase" are one word here.

    >>> folded("Bœuf à la Crème, Weißbrot")
    'boeuf a la creme, weissbrot'
    """
    small = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe").replace("’", "'"))
    return "".join(c for c in small if not unicodedata.combining(c))


def words_of(text: str) -> list[str]:
    """The words of a text, folded."""
    return _WORD.findall(folded(text))


class Taxonomy:
    """The table, read once."""

    def __init__(self, source: str) -> None:
        self.foods: dict[str, Food] = {}
        self._names: dict[Tokens, dict[str, FoodName]] = {}
        self._holds: dict[str, frozenset[str]] = {}
        self._contents: dict[tuple[str, frozenset[str]], tuple[frozenset[str], frozenset[str]]] = {}
        section = ""
        for line in source.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line.strip() and not line.startswith("#"):
                self._add(line, section)
        self._longest = max(map(len, self._names))

    def _add(self, line: str, section: str) -> None:
        names, _, contents = line.rpartition(" :")
        columns = [[name.strip() for name in column.split(",")] for column in names.split("|")]
        id = columns[0][0].replace(" ", "-").replace("'", "")
        parts = contents.split()
        marks = {mark for mark in ("~", "*") if any(part.endswith(mark) for part in parts)}
        parts = [part.rstrip("~*") for part in parts if part.rstrip("~*")]
        if section == "dishes" and id in self.foods:
            id += "-dish"
        self.foods[id] = Food(
            id,
            tuple(part for part in parts if not part.startswith("?")),
            tuple(part[1:] for part in parts if part.startswith("?")),
            section == "kinds" and "*" in marks,
            "~" in marks,
            section == "dishes",
        )
        for language, column in zip(LANGUAGES, columns, strict=False):
            for place, text in enumerate(column):
                is_own = place == 0 or section == "dishes" or folded(text)[:4] == folded(column[0])[:4] != ""
                name = FoodName(" ".join(words_of(text)), id, is_own)
                for form in forms_of(text, language):
                    if form in _OTHER_WORDS:
                        continue
                    self._names.setdefault(form, {})[language] = name

    def holds(self, food: str) -> frozenset[str]:
        """All that is in it for certain, itself among it."""
        if food not in self._holds:
            self._holds[food] = frozenset({food})  # a line that leads to itself ends here
            inner = (self.holds(part) for part in self.foods[food].holds) if food in self.foods else ()
            self._holds[food] = frozenset({food}).union(*inner)
        return self._holds[food]

    def contents(self, food: str, gone: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
        """What is in it for certain, and often but not always, when these are not in it, nor what leads to them."""
        key = (food, gone)
        if key not in self._contents:
            if len(self._contents) > _MOST_KEPT:
                self._contents.clear()
            firm = gone - {"lactose"}  # milk without lactose is milk

            def reached(one: str) -> frozenset[str]:
                if one in gone or self.holds(one) & firm:
                    return NOTHING
                return frozenset({one}).union(*(reached(part) for part in self.foods[one].holds))

            told = self.foods[food]
            holds = NOTHING.union(*(reached(part) for part in told.holds), *([reached(food)]))
            inner = [told, *(self.foods[one] for one in holds)]
            may_hold = NOTHING.union(*(reached(part) for each in inner for part in each.may_hold))
            self._contents[key] = holds, may_hold - holds
        return self._contents[key]

    def name_at(self, words: Sequence[str], at: int, languages: Collection[str]) -> tuple[FoodName, int] | None:
        """The longest name that begins there, and the number of its words."""
        for length in range(min(self._longest, len(words) - at), 0, -1):
            known = self._names.get(tuple(words[at : at + length]))
            for language in languages if known else ():
                if known and language in known:
                    return known[language], length
        return None

    def likeliest(self, text: str) -> str:
        """The language in which most words of a text are names of foods; "en" where none leads."""
        words = words_of(text[:2_000])
        named = dict.fromkeys(LANGUAGES, 0)
        for language in LANGUAGES:
            at = 0
            while at < len(words):
                found = self.name_at(words, at, (language,))
                named[language] += found[1] if found else 0
                at += found[1] if found else 1
        return max(LANGUAGES, key=lambda language: named[language])

    def parts_of(self, word: str) -> list[FoodName]:
        """The foods in a German compound that is made of known words throughout; none, where it is not."""
        return _split(self, word) or []

    def read(self, text: str, languages: Collection[str]) -> FoodsOfText:
        """The foods that a text names, in these languages."""
        return _Reader(self, text, languages).read()


@cache
def taxonomy() -> Taxonomy:
    """The table of this package (some 30 ms, once)."""
    return Taxonomy(resources.files("netgpt.constraints").joinpath("foods.txt").read_text(encoding="utf-8"))


def forms_of(name: str, language: str) -> Iterator[Tokens]:
    """A name in singular and plural, as folded words."""
    words = words_of(name)
    if not words:
        return
    ends = {
        "en": _english, "de": _german, "fr": _french, "es": _spanish, "it": _italian,
    }[language]  # fmt: skip
    yield tuple(words)
    last = [*words[:-1]]
    for form in ends(words[-1]):
        yield (*last, form)
    if len(words) > 1 and language != "en":
        many = [next(iter(ends(word)), word) if len(word) > 3 else word for word in words]
        yield tuple(many)
        yield (many[0], *words[1:])


def _english(word: str) -> list[str]:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return [word[:-1] + "ies"]
    if word.endswith(("s", "x", "ch", "sh", "o")):
        return [word + "es", word + "s"]
    return [word + "s", *([word[:-1] + "ves"] if word.endswith("f") else [])]


def _german(word: str) -> list[str]:
    return [word + end for end in ("n", "en", "e", "er", "s", "ern", "nen")]


def _french(word: str) -> list[str]:
    return [word + "s", word + "x", word[:-1] + "ux" if word.endswith("l") else word + "es"]


def _spanish(word: str) -> list[str]:
    if word.endswith("z"):
        return [word[:-1] + "ces"]
    return [word + "s"] if word[-1] in "aeiou" else [word + "es", word + "s"]


def _italian(word: str) -> list[str]:
    for end, many in (("cia", "ce"), ("gia", "ge"), ("cio", "ci"), ("gio", "gi"), ("ca", "che"), ("ga", "ghe")):
        if word.endswith(end):
            return [word[: -len(end)] + many]
    if word.endswith("co"):
        return [word[:-1] + "hi", word[:-2] + "ci"]
    if word.endswith("io"):
        return [word[:-1]]
    return [word[:-1] + {"o": "i", "a": "e", "e": "i"}[word[-1]]] if word[-1] in "oae" else []


def _split(table: Taxonomy, word: str) -> list[FoodName] | None:
    """Known words that make up the whole of `word`, at least one of them a food; None: it is not made of them."""
    if len(word) < 7 or len(word) > 40:
        return None

    def known(part: str) -> FoodName | None:
        entry = table._names.get((part,))
        return entry.get("de") if entry else None

    def rest(at: int) -> list[FoodName] | None:
        if at == len(word):
            return []
        for until in range(len(word), at + 2, -1):
            part = word[at:until]
            name = known(part) if len(part) > 3 or part in ("eis", "eier", "aal", "kas") else None
            if name is None and part not in _HEADS:
                continue
            for link in _LINKS:
                if not word.startswith(link, until):
                    continue
                tail = rest(until + len(link))
                if tail is not None:
                    return ([name] if name else []) + tail
        return None

    return rest(0) or _begins(word, known)


def _begins(word: str, known: Callable[[str], FoodName | None]) -> list[FoodName] | None:
    """The food that a compound begins with, whatever follows: "Schweineschulter"."""
    for until in range(len(word) - 4, 4, -1):
        if (name := known(word[:until])) and not word[until:].endswith(_NO_DISH):
            return [name]
    return None


@dataclass(slots=True)
class _Named:
    """A name where it stands, and what the words around it say is not in it."""

    name: FoodName
    at: int
    gone: frozenset[str]

    @property
    def end(self) -> int:
        return self.at + len(self.name.text.split())


class _Reader:
    """Reads one text."""

    def __init__(self, table: Taxonomy, text: str, languages: Collection[str]) -> None:
        self.table, self.languages = table, languages
        small = folded(text)
        found = list(_WORD.finditer(small))
        self.words = [match[0] for match in found]
        self.gaps = [small[a.end() : b.start()] for a, b in pairwise(found)] + [""]
        self.mentions: list[_Named] = []
        self.absent: set[str] = set()
        self._told_of = 0
        """How many mentions there were where a negation stood right behind the last: it is told of that one."""

    def read(self) -> FoodsOfText:
        at, negated, claim, since = 0, False, NOTHING, 99
        while at < len(self.words):
            if (length := self._negator(at)) and not negated:
                self._told_of = len(self.mentions) if self._ends_at(at) else 0
                at, negated = at + length, True
                continue
            found = self.table.name_at(self.words, at, self.languages)
            told, taken = self._claim(at)
            if told and (found is None or taken >= found[1]):
                claim, since, at = claim | told, 0, at + taken
                self.absent |= told
                negated = False
                continue
            names, length = ([found[0]], found[1]) if found else (self._compound(at), 1)
            if names:
                negated_here = negated or self._free(at + length)
                for name in names:
                    self._mention(name, at, negated_here, claim if since <= 2 else NOTHING, len(names) > 1)
                at += length + (not negated and negated_here)
            else:
                negated = negated and self.words[at] in _CONNECTS
                at += 1
            since += 1
            if at and any(c in ",;.:\n()" for c in self.gaps[at - 1]):
                since, claim = 99, NOTHING
                negated = negated and self.gaps[at - 1].strip() in (",", "")
        return FoodsOfText(tuple(self._settled()), frozenset(self.absent))

    def _ends_at(self, at: int) -> bool:
        """Whether the last mention ends right before this word."""
        if not self.mentions or self.gaps[at - 1].strip():
            return False
        return self.mentions[-1].end == at

    def _negator(self, at: int) -> int:
        """Number of words of a negation that begins there."""
        for phrase in _PHRASES:
            if tuple(self.words[at : at + len(phrase)]) == phrase:
                return len(phrase)
        return int(self.words[at] in _NEGATORS)

    def _claim(self, at: int) -> tuple[frozenset[str], int]:
        pair, one = " ".join(self.words[at : at + 2]), self.words[at]
        if pair in _CLAIMS:
            return frozenset(_CLAIMS[pair].split()), 2
        if one in _CLAIMS:
            return frozenset(_CLAIMS[one].split()), 1
        name = self.table.name_at(self.words, at, self.languages)
        if name and self._free(at + name[1]):  # "gluten-free penne"
            return frozenset({name[0].food}) | (frozenset({"lactose"}) if name[0].food == "milk" else NOTHING), (
                name[1] + 1
            )
        stem = next((one.removesuffix(end) for end in _FREE if one.endswith(end) and "frei" in end), "")
        names = self.table.name_at([stem], 0, ("de",)) if len(stem) > 2 else None
        return (frozenset({names[0].food}), 1) if names else (NOTHING, 1)

    def _free(self, at: int) -> bool:
        after = self.words[at : at + 2]
        return bool(after) and after[0] in _FREE and after[1:] not in (["range"], ["of"])

    def _compound(self, at: int) -> list[FoodName]:
        return self.table.parts_of(self.words[at]) if "de" in self.languages else []

    def _mention(self, name: FoodName, at: int, negated: bool, claim: frozenset[str], in_compound: bool) -> None:
        if negated:
            self.absent |= {name.food, "=" + name.text}
            if self._told_of:
                self.mentions[self._told_of - 1].gone |= {name.food}
            return
        if self._is_plant_milk(name, at, in_compound):
            return
        gone = claim | self._told_behind(name, at)
        if name.text.split()[-1] in _FORMS and self._stands_behind(_MADE_INTO_FORMS, at, in_compound):
            gone |= {"meat"}
        self.mentions.append(_Named(name, at, gone))
        if self._before_is_milk(name, at):
            self.mentions[-2:-1] = []

    def _told_behind(self, name: FoodName, at: int) -> frozenset[str]:
        """What "(vegan)" right behind it says."""
        end = at + len(name.text.split())
        if not 0 < end < len(self.words) or "(" not in self.gaps[end - 1]:
            return NOTHING
        return self._claim(end)[0]

    def _is_plant_milk(self, name: FoodName, at: int, in_compound: bool) -> bool:
        """Whether "milk" here is made of the plant before it."""
        if name.text.split()[-1].rstrip("s") not in _OF_MILK:
            return False
        return self._stands_behind(_MADE_INTO_MILK, at, in_compound)

    def _stands_behind(self, foods: frozenset[str], at: int, in_compound: bool) -> bool:
        """Whether the word right before is one of these foods."""
        if not self.mentions:
            return False
        before = self.mentions[-1]
        adjacent = before.at == at if in_compound else before.end == at and not self.gaps[at - 1].strip(" -")
        return adjacent and bool(self.table.holds(before.name.food) & foods)

    def _before_is_milk(self, name: FoodName, at: int) -> bool:
        """Whether this plant is what the milk before it is made of: "lait de coco"."""
        if len(self.mentions) < 2 or not self.table.holds(name.food) & _MADE_INTO_MILK:
            return False
        before = self.mentions[-2]
        between = self.words[before.end : at]
        return before.name.text in _OF_MILK and 0 < len(between) <= 2 and set(between) <= _OF

    def _settled(self) -> Iterator[Mention]:
        """What the whole text says is absent is not in dishes, nor in what has a plant version, nor perhaps."""
        absent = frozenset(each for each in self.absent if not each.startswith("="))
        for each in self.mentions:
            food = self.table.foods[each.name.food]
            holds, may_hold = self.table.contents(food.id, each.gone)
            if absent:
                less, may_hold = self.table.contents(food.id, each.gone | absent)
                holds = less if food.is_dish or food.has_plant_version else holds
            yield Mention(each.name, holds, may_hold, each.at)
