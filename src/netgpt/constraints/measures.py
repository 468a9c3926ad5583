"""Money and times, by number: what a fact allows, and what an option asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_SIGNS: Final = {
    sign: currency
    for currency, signs in (
        ("eur", "€ eur euro euros"),
        ("gbp", "£ gbp pound pounds quid pfund libras sterline"),
        ("usd", "$ us$ usd dollar dollars bucks dolares dolar dollari"),
        ("chf", "chf franken francs"),
        ("jpy", "¥"),
    )
    for sign in signs.split()
}
_NUMBER = r"\d{1,3}(?:[,.\u2009 ']\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_SIGN = r"us\$|[€£$¥]|\b(?:chf|eur|gbp|usd)\b"
_WORD = (
    r"€|£|\$|euros?\b|eur\b|pounds?\b|gbp\b|dollars?\b|usd\b|quid\b|bucks\b|chf\b|franken\b|francs\b|"
    r"dolares\b|libras\b|dollari\b|sterline\b|pfund\b"
)
MONEY: Final = re.compile(
    rf"(?:(?P<sign>{_SIGN})\s?(?P<a>{_NUMBER})(?:\s?(?:-|–|to|bis|a)\s?(?:{_SIGN})?\s?(?P<b>{_NUMBER}))?(?!\s?%)|"
    rf"(?P<c>{_NUMBER})(?:\s?(?:-|–|to|bis|a|et|y)\s?(?P<d>{_NUMBER}))?\s?(?P<word>{_WORD}))(?P<k>k\b)?"
)
"""An amount in a folded text: "£12.50", "12-15 euros"."""
_PER: Final = {
    "night": r"night|nacht|nuit|noche|notte",
    "month": r"month|monat|mois|mes\b|mese",
    "week": r"week|woche|semaine|semana|settimana",
    "day": r"\bday|\btag|jour|\bdia\b|giorno",
    "person": r"person|head|each guest|pro kopf|personne|persona",
    "hour": r"hour|stunde|heure|\bhora|\bora\b",
    "year": r"year|jahr|\ban\b|\bano\b|anno",
}
_BUDGET = re.compile(
    r"\b(?:budget\w*|spend(?:s|ing)?|afford|at most|max(?:imum|imal)?|not over|not above|nothing over|nothing above|"
    r"tops|at the most|top whack|nicht uber|"
    r"nicht teurer als|maximal|allerhochstens|pas au-dessus de|au plus|maxi|como mucho|a lo sumo|tope|no mas de|"
    r"non oltre|non (?:di )?piu|massimo|no more than|not more than|up to|under|"
    r"below|less than|cheaper than|limit\w*|cap(?:ped)?|ceiling|(?:won't|not|never|cannot|can't) pay(?: more "
    r"than| over)?|more than|hochstens|bis zu|unter|ausgeben|"
    r"nicht mehr als|weniger als|depenser?|au maximum|maximum|moins de|pas plus de|jusqu'a|como maximo|hasta|"
    r"gastar?|presupuesto|no mas de|menos de|al massimo|fino a|spendere|non piu di|meno di|tope|tight|"
    r"short of money|has only|only has|stretch to|willing to pay|can pay)\b"
)
_WORD_NUMBERS: Final = {
    word: (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100)[place]
    for words in (
        "five tenner fifteen twenty thirty forty fifty sixty seventy eighty ninety hundred",
        "funf zehn funfzehn zwanzig dreissig vierzig funfzig sechzig siebzig achtzig neunzig hundert",
        "cinq dix quinze vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix cent",
        "cinco diez quince veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien",
        "cinque dieci quindici venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento",
    )
    for place, word in enumerate(words.split())
} | {"ten": 10, "twenty-five": 25}
_IN_WORDS: Final = re.compile(
    r"\b(?:(?:a|one|ein|un) )?("
    + "|".join(sorted(_WORD_NUMBERS, key=len, reverse=True))
    + r")\b(?! (?:past|to|o'clock))"
)


def _in_figures(small: str) -> str:
    """A folded text with its round numbers in figures: "fifty pounds tops", "a twenty"."""
    return _IN_WORDS.sub(lambda match: str(_WORD_NUMBERS[match[1]]), small)


_NO_BUDGET = re.compile(
    r"\b(?:earns?|salary|income|wage|saved|savings|owes|debt|mortgage|inherited|won(?!'t)|donat\w+|verdient|gehalt|"
    r"schulden|gagne|salaire|gana|sueldo|guadagna|stipendio|used to|sold|lost|raised|"
    r"company|firm's|department|worth)\b"
)
_PLAIN: Final = re.compile(
    r"\b(?:up to|at most|max(?:imum)?|no more than|under|limit(?: is)?|budget(?: is| of|:)?|(?:spend|pay|"
    r"go)(?: \w+)? (?:more than|over|above)|not over|bis zu|hochstens|"
    r"maximal) (\d{1,5})\b(?![.,]\d)(?!\s?(?:g|kg|%|km|min|people|years|hours|days|weeks|euro|pound|dollar))"
)
"""A limit whose currency is not told."""
_TOPICS: Final = {
    "stay": r"hotel|room|night|stay|accommodation|hostel|zimmer|nacht|ubernacht|unterkunft|nuit|chambre|noche|"
    r"habitacion|notte|camera|albergo|trip|travel|holiday|reise|voyage|viaje|viaggio",
    "food": r"grocer|food|meal|dinner|lunch|eat|restaurant|essen|lebensmittel|mittag|abendessen|repas|courses|"
    r"diner|manger|comida|cena|comer|cibo|pranzo|mangiare|spesa",
    "gift": r"gift|present|geschenk|cadeau|regalo",
}  # fmt: skip
EVERYWHERE: Final = frozenset(("food", "drink", "place", "stay", "gift", "shop", "activity", "route"))


def _value(text: str) -> float:
    """A number as it is written in any of the five languages.

    >>> _value("1.200"), _value("12,50"), _value("1,200.50")
    (1200.0, 12.5, 1200.5)
    """
    text = re.sub(r"[\u2009 ']", "", text)
    if re.fullmatch(r"\d+[.,]\d{1,2}", text):
        return float(text.replace(",", "."))
    last = max(text.rfind("."), text.rfind(","))
    if last >= 0 and len(text) - last <= 3:
        return float(re.sub(r"[.,]", "", text[:last]) + "." + text[last + 1 :])
    return float(re.sub(r"[.,]", "", text))


def _per(text: str) -> str:
    return next((name for name, words in _PER.items() if re.search(rf"^\W*(?:\w+\W+){{0,3}}?(?:{words})", text)), "")


def prices(text: str) -> Iterator[tuple[float, float, str, str, int]]:
    """The amounts in a folded text: least, most, currency, for what ("night"), where."""
    for match in MONEY.finditer(text):
        sign = match["sign"] or match["word"]
        low, high = match["a"] or match["c"], match["b"] or match["d"]
        least = _value(low) * (1000 if match["k"] else 1)
        most = max(_value(high), least) if high else least
        yield least, most, _SIGNS.get(sign.strip(), sign), _per(text[match.end() : match.end() + 30]), match.start()


def money_limits(small: str, is_budget: bool) -> Iterator[tuple[float, str, str, frozenset[str]]]:
    """What a fact lets be spent: amount, currency, for what, and in which requests."""
    small = _in_figures(small)
    found = list(prices(small)) or [
        (float(match[1]), float(match[1]), "", _per(small[match.end() : match.end() + 30]), match.start())
        for match in _PLAIN.finditer(small)
        if is_budget or re.search(r"spend|pay\b", small)
    ]
    if not found or _NO_BUDGET.search(small) or not (is_budget or _BUDGET.search(small)):
        return
    _, most, currency, per, _ = found[-1]
    topics = {name for name, words in _TOPICS.items() if re.search(words, small)}
    where = set(topics)
    if "food" in topics:
        where |= {"place", "drink", "shop"} if not re.search(r"grocer|lebensmittel|courses|spesa", small) else {"shop"}
    if "gift" in topics:
        where |= {"shop"}
    yield most, currency, per, frozenset(where) or EVERYWHERE


_OLD = re.compile(
    r"(?:was|instead of|rrp|statt|au lieu de|antes|prima|reduced from|save|discount|deposit|uvp|"
    r"down from|off|kaution|caution|sparen)\s*$"
)
_TOTAL = re.compile(r"(?:total|all in|altogether|insgesamt|gesamt|en tout|en total|in totale|sum)\W*(?:\w+\W+)?$")


def is_over(text: str, limit: float, currency: str, per: str) -> bool | None:
    """Whether an option asks for more than the limit; None: its price is not known, or not in that money."""
    found = [each for each in prices(text) if not _OLD.search(text[max(0, each[4] - 20) : each[4]])]
    same = [each for each in found if each[2] == currency or not currency]
    if per and any(each[3] == per for each in same):
        same = [each for each in same if each[3] == per]
    elif per:
        same = [each for each in same if not each[3] or {each[3], per} <= {"person", "night"}]
    if not same:
        return None
    total = [each for each in same if _TOTAL.search(text[max(0, each[4] - 20) : each[4]])]
    least, most = (total or same)[0][:2]
    if most > limit >= least:
        return None if per else most > limit * 1.0 and least > limit * 0.8
    return least > limit


_DAYS: Final = tuple(
    re.compile(rf"\b(?:{words})\b")
    for words in (
        r"mon(?:day)?s?|montags?|lundis?|lunes|lunedi", r"tue(?:s|sday)?s?|dienstags?|mardis?|martes|martedi",
        r"wed(?:nesday)?s?|mittwochs?|mercredis?|miercoles|mercoledi", r"thu(?:rs|rsday)?s?|donnerstags?|jeudis?|"
        r"jueves|giovedi",
        r"fri(?:day)?s?|freitags?|vendredis?|viernes|venerdi", r"sat(?:urday)?s?|samstags?|sonnabends?|samedis?|"
        r"sabados?|sabato",
        r"sun(?:day)?s?|sonntags?|dimanches?|domingos?|domenic[ah]e?",
    )
)  # fmt: skip
_NEVER = re.compile(
    r"\b(?:never|not available|not free|unavailable|(?:is|are) (?:always |all )?(?:taken|booked|blocked|full|no good|"
    r"busy|reserved|spoken for|sacred|off limits)|(?:is|are) (?:for|reserved for) (?:church|family|god|mass|"
    r"prayers?|worship|rest|my family|the kids)|"
    r"belongs? to|gehor\w+ (?:der|dem|meiner|den)|not possible|belegt|verplant|vergeben|geht (?:es )?nicht|"
    r"(?:est|sont) (?:pris\w*|impossible\w*)|occupe\w*|ocupad\w*|occupat\w*|impegnat\w*|can't|cannot|no (?:time|"
    r"meetings|appointments|events|going "
    r"out)|doesn't go out|does not go out|nothing on|"
    r"nie|keine zeit|kann nicht|nicht verfugbar|jamais|pas disponible|pas libre|nunca|no "
    r"puede|no esta disponible|mai|non puo|non e libero|non e libera)\b"
)
_CLOCK = re.compile(
    r"\b(?P<h>[01]?\d|2[0-4])(?:[:.h](?P<m>[0-5]\d)|\s?(?=[ap]\.?m|uhr|o'clock|"
    r"h\b))\s?(?P<half>[ap])?\.?(?:m\b\.?|uhr|o'clock|h\b)?"
)
_AFTER = re.compile(
    r"\b(?:only (?:free |available )?(?:after|from)|(?:free|available) (?:only )?(?:after|from)|not before|never "
    r"before|not (?:\w+ )?(?:free |available |up |awake )?before|nie vor|jamais avant|nunca antes de|mai prima|"
    r"works until|works till|work until|no \w+ before|nothing before|erst (?:ab|nach)|arbeitet bis|"
    r"nicht vor|"
    r"pas avant|seulement apres|travaille jusqu'a|libre apres|solo (?:despues de|a partir de)|antes de las|"
    r"trabaja hasta|solo dopo|lavora fino|non prima) \D{0,12}$"
)
_UNTIL = re.compile(
    r"\b(?:home by|home before|back by|back before|not after|never after|nothing after|no later than|only before|"
    r"until|bed by|in bed by|(?:sitter|babysitter|nanny|carer|last \w+)(?: home)? (?:leaves|goes|ends|is)(?: at)?|"
    r"bedtime|"
    r"out by|leave by|gone by|asleep by|letzter? \w+(?: geht| fahrt)? um|dernier \w+ (?:est )?a|ultimo \w+ (?:a las|"
    r"alle)|en casa antes de|im bett um|daheim um|couche\w* a|free until|only until|zu hause sein um|nicht nach|"
    r"bis spatestens|"
    r"rentrer avant|pas apres|antes de las|no mas tarde de|a casa entro|non dopo|curfew at|curfew of|curfew is) "
    r"\D{0,12}$"
)


def minutes(match: re.Match[str]) -> int:
    """A time of day in minutes."""
    hour = int(match["h"]) % 24
    if match["half"]:
        hour = hour % 12 + (12 if match["half"] == "p" else 0)
    return hour * 60 + int(match["m"] or 0)


def times_of(small: str) -> tuple[frozenset[int], int | None, int | None]:
    """Weekdays on which nothing may be, and between which minutes of the day something may begin."""
    if re.search(r"\b(?:used to|formerly|fruher|no longer)\b", small):
        return frozenset(), None, None
    days: set[int] = set()
    if re.search(r"\b(?:sabbath|shabbat|schabbat|sabbat|shabbos)\b", small) and re.search(
        r"keeps?|observ|rests?|halt|respect|sabbath$|shabbat$|"
        r"guarda|osserva",
        small,
    ):
        days = {5}
    elif _NEVER.search(small):
        named = {number for number, pattern in enumerate(_DAYS) if pattern.search(small)}
        days = (
            set(range(7)) - named
            if re.search(r"\bonly (?:free|available|on)\b|\bnur\b|\bexcept\b", small) and named
            else named
        )
        if re.search(r"\bweekends?\b|wochenende|fin de semana|week-?end|fine settimana", small):
            days |= {5, 6}
    earliest, latest = None, None
    small = re.sub(
        r"(?<=before )(?:noon|midday)\b|(?<=after )(?:noon|midday)\b|\b(?:vor mittag) |(?<=avant )midi|"
        r"(?<=prima di )mezzogiorno",
        "12:00",
        small,
    )
    for match in _CLOCK.finditer(small):
        before = small[: match.start()]
        if _AFTER.search(before):
            earliest = minutes(match)
        elif _UNTIL.search(before) and not re.search(r"works? (?:until|till) \D{0,12}$|arbeitet bis \D{0,12}$", before):
            latest = minutes(match)
    return frozenset(days), earliest, latest


def days_named(text: str) -> frozenset[int]:
    """The weekdays that a folded text names."""
    return frozenset(number for number, pattern in enumerate(_DAYS) if pattern.search(text))


def clock_times(text: str) -> list[int]:
    """The times of day that a folded text names, in minutes."""
    return [minutes(match) for match in _CLOCK.finditer(text)]
