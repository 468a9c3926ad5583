"""Sums recomputed: the one that a request asks for, and those that an answer writes out.

Only what leaves no doubt is computed: a bare calculation, a percentage, a unit to convert; no story with numbers.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, Final

LONGEST_QUESTION: Final = 240
"""Characters of a request that may still be a bare calculation."""
_MOST_OTHER_WORDS: Final = 8
"""Words beside the calculation: more, and it is a story."""
_LARGEST: Final = 1e15
NUMBER: Final = r"\d+(?:[.,\u00a0\u202f ]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)?"
_NUMBERS: Final = re.compile(rf"(?<![\w.,])[-−]?(?:{NUMBER})(?![\d])")

_WORDS: Final[Mapping[str, str]] = {
    "plus|added to|más|piu|più|und(?= \\d)": "+",
    "minus|less(?= \\d)|menos|moins|meno|weniger": "-",
    "times|multiplied by|mal|fois|por(?= \\d)|per(?= \\d)|multipliziert mit|multiplié par|multiplicado por|×|·|"
    "✕|x(?= ?\\d)": "*",
    "divided by|over(?= \\d)|geteilt durch|divisé par|dividido (?:entre|por)|diviso(?: per)?|÷|:(?= ?\\d)": "/",
    "(?:raised )?to the power of|hoch|puissance|elevado a|\\^": "**",
    "squared|au carré|al cuadrado|zum quadrat": "**2",
    "cubed": "**3",
    "modulo|mod": "%",
}
_SIGNS: Final = [
    (re.compile(rf"(?<![^\W\d])(?:{words})(?![^\W\d])", re.IGNORECASE), f" {sign} ") for words, sign in _WORDS.items()
]
_SMALL: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_TENS: Final = dict(
    zip(["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(30, 100, 10), strict=True)
)
_SPELT: Final[Mapping[str, int]] = {**{word: value for value, word in enumerate(_SMALL)}, **_TENS, "hundred": 100}
_SPELT_NUMBER: Final = re.compile(rf"\b(?:{'|'.join(_SPELT)})(?:[- ](?:{'|'.join(_SMALL[1:10])}))?\b", re.IGNORECASE)
_EXPRESSION: Final = re.compile(
    rf"[-−(\s]*(?:{NUMBER})[)\s]*(?:(?:\*\*|[-+*/%−])[-−(\s]*(?:{NUMBER})[)\s]*)+", re.IGNORECASE
)  # fmt: skip
_NO_SUM: Final = re.compile(r"\b\d{1,4}([-/])\d{1,2}\1\d{1,4}\b|\b0\d|^\s*\d+[-/]\d{3,}\s*$|^\s*24/7\s*$")
"""Dates, telephone numbers and the like."""
_CALCULATE: Final = re.compile(
    r"what(?:'s| is| are| does| do)?\b|calculate|compute|evaluate|solve|result|work out|how much|=|sum\b|"
    r"equals?|answer|"
    r"was (?:ist|sind|ergibt)|wie ?viel|berechne|rechne|combien|calcule|cuánto|calcula|quanto|calcola",
    re.IGNORECASE,
)
_MORE: Final = re.compile(r"\d|\b(?:and|then|who|why|und|et|dann)\b", re.IGNORECASE)
"""In the rest of a request: something else is asked for, too."""
_PERCENT: Final = re.compile(
    rf"({NUMBER})\s*(?:%|per ?cent|prozent|pour ?cent|por ciento|per cento)\s*(off?|von|de|di|des|"
    rf"aus)\b\s*[$€£¥]?\s*({NUMBER})",
    re.IGNORECASE,
)
_NAMED: Final[tuple[tuple[str, str], ...]] = (
    (rf"(?:sum|total|summe|somme|suma|somma) (?:of|von|de|di) ({NUMBER}) (?:and|und|et|y|e) ({NUMBER})", "{0}+{1}"),
    (rf"(?:product|produkt|produit|producto|prodotto) (?:of|von|de|di) ({NUMBER}) (?:and|und|et|y|"
     rf"e) ({NUMBER})", "{0}*{1}"),
    (rf"how many times does ({NUMBER}) (?:go|fit) into ({NUMBER})", "{1}/{0}"),
    (rf"\b(?:addiere|additionne[zr]?|suma|somma) ({NUMBER}) (?:und|zu|et|à|y|e) ({NUMBER})", "{0}+{1}"),
    (rf"\b(?:subtrahiere|ziehe) ({NUMBER}) von ({NUMBER})|\b(?:soustray\w+|resta) ({NUMBER}) (?:de|"
     rf"à) ({NUMBER})", "{1}-{0}"),
    (rf"\b(?:multipliziere|multipli\w+|moltiplica) ({NUMBER}) (?:mit|par|por|per) ({NUMBER})", "{0}*{1}"),
    (rf"\b(?:teile|dividiere|divise[zr]?|divide|dividi) ({NUMBER}) (?:durch|par|entre|por|per) ({NUMBER})", "{0}/{1}"),
    (rf"difference between ({NUMBER}) and ({NUMBER})", "abs({0}-{1})"),
    (rf"\badd ({NUMBER}) (?:and|to) ({NUMBER})", "{0}+{1}"),
    (rf"\b(?:subtract|take) ({NUMBER}) (?:away )?from ({NUMBER})", "{1}-{0}"),
    (rf"\bmultiply ({NUMBER}) (?:by|and|with) ({NUMBER})", "{0}*{1}"),
    (rf"\bdivide ({NUMBER}) by ({NUMBER})", "{0}/{1}"),
    (rf"(?:square root|wurzel|racine carrée|raíz cuadrada|radice quadrata) (?:of|von|aus|de|"
     rf"di) ({NUMBER})", "{0}**0.5"),
    (rf"\b(?:the )?square of ({NUMBER})", "{0}**2"),
    (rf"\b(?:the )?cube of ({NUMBER})", "{0}**3"),
    (rf"\bhalf of ({NUMBER})", "{0}/2"),
    (rf"\b(?:double|twice) ({NUMBER})", "{0}*2"),
    (rf"\ba (?:third) of ({NUMBER})", "{0}/3"),
    (rf"\ba (?:quarter|fourth) of ({NUMBER})", "{0}/4"),
)  # fmt: skip
_PHRASES: Final = [(re.compile(pattern, re.IGNORECASE), formula) for pattern, formula in _NAMED]

_LENGTH, _MASS, _TIME, _VOLUME, _BYTES = "length", "mass", "time", "volume", "bytes"
_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    name: (what, size)
    for what, names in {
        _LENGTH: {
            "km|kilomet(?:re|er)s?|kilómetros?|kilomètres?|chilometri": 1000.0, "m|met(?:re|er)s?|metros?|"
                "mètres?|metri": 1.0,
            "cm|centimet(?:re|er)s?|zentimeter|centímetros?|centimètres?|centimetri": 0.01, "mm|millimet(?:re|"
                "er)s?": 0.001,
            "miles?|meilen?": 1609.344, "yards?|yd": 0.9144, "feet|foot|ft": 0.3048, "inch(?:es)?|zoll": 0.0254,
        },
        _MASS: {
            "kg|kilos?|kilograms?|kilogramm|kilogrammes?|kilogramos?": 1.0, "g|grams?|gramm|grammes?|gramos?|"
                "grammi": 0.001,
            "mg|milligrams?": 1e-6, "lbs?|pounds?": 0.45359237, "oz|ounces?": 0.028349523125, "tonn?es?|"
                "metric tons?": 1000.0,
        },
        _TIME: {
            "weeks?|wochen?|semaines?|semanas?|settimane": 604_800.0, "days?|tage?n?|jours?|días?|giorni": 86_400.0,
            "h|hours?|stunden?|heures?|horas?|ore": 3600.0, "min|minutes?|minuten?|minutos?|minuti": 60.0,
            "s|seconds?|sekunden?|secondes?|segundos?|secondi": 1.0,
        },
        _VOLUME: {
            "l|lit(?:re|er)s?|litros?|litri": 1.0, "ml|millilit(?:re|er)s?": 0.001, "gallons?": 3.785411784,
                "pints?": 0.473176473,
            "quarts?": 0.946352946,
        },
        "count": {"dozens?|dutzend|douzaines?|docenas?|dozzine": 12.0, "(?:single )?(?:items|pieces|things|"
            "ones)|stücke?": 1.0},
        _BYTES: {"kb|kilobytes?": 1e3, "mb|megabytes?": 1e6, "gb|gigabytes?": 1e9, "tb|terabytes?": 1e12,
            "bytes?": 1.0},
    }.items()
    for name, size in names.items()
}  # fmt: skip
_UNIT: Final = "|".join(sorted(_UNITS, key=len, reverse=True))
_HOW_MANY: Final = re.compile(
    rf"(?:how many|wie viele?|combien (?:de|d')|cuánt[ao]s?|quant[ie])\s*({_UNIT})\s.*?(?<![\d.,])({NUMBER}|\ba|"
    rf"\ban|\bone|\beine?)\s*({_UNIT})\b",
    re.IGNORECASE,
)
_HAVE: Final = re.compile(
    rf"(?<![\d.,])({NUMBER})\s*({_UNIT})\b[^\d]{{0,20}}(?:how many|wie viele?|combien de|"
    rf"cuánt[ao]s?)\s+({_UNIT})\b",
    re.IGNORECASE,
)
_LIST: Final = re.compile(
    rf"\b(average|mean|durchschnitt|mittelwert|moyenne|promedio|media|sum|total|summe|somme|suma|somma|largest|"
    rf"greatest|biggest|"
    rf"highest|maximum|smallest|least|lowest|minimum|median)\b[^\d\n]{{0,40}}((?:{NUMBER})(?:,? (?:and|und|et|y|"
    rf"e) |[,;] ?)(?:(?:{NUMBER})(?:,? (?:and|und|et|y|e) |[,;] ?)?)+)",
    re.IGNORECASE,
)
_CONVERT: Final = re.compile(
    rf"(?<![\d.,])({NUMBER})\s*({_UNIT})\s+(?:in|to|into|nach|en|a)\s+({_UNIT})\b", re.IGNORECASE
)
_DEGREES: Final = re.compile(
    rf"([-−]?(?:{NUMBER}))\s*(?:°\s*|degrees? |grad )?(c|f|celsius|fahrenheit)\b.*?\b(?:in|to|"
    rf"into)\b[^\w]*(?:degrees? )?°?\s*(c|f|celsius|fahrenheit)\b",
    re.IGNORECASE,
)


def number_of(text: str) -> float:
    """A number as people write it: 1,234.5 and 1.234,5 and 1 234 alike.

    >>> number_of("1,234"), number_of("3,5"), number_of("1.234,5"), number_of("0.125")
    (1234.0, 3.5, 1234.5, 0.125)
    """
    text = re.sub(r"[\u00a0\u202f ]", "", text.replace("−", "-"))
    if "," in text and "." in text:
        thousands = "," if text.rfind(".") > text.rfind(",") else "."
        text = text.replace(thousands, "").replace(",", ".")
    elif "," in text:
        text = text.replace(",", "") if re.fullmatch(r"-?[1-9]\d{0,2}(?:,\d{3})+", text) else text.replace(",", ".", 1)
    elif text.count(".") > 1:
        text = text.replace(".", "")
    try:
        return float(text)
    except ValueError:
        return math.nan


def numbers_in(text: str) -> list[float]:
    """Every number of a text, in order. A minus counts where no word or digit stands before it."""
    return [number_of(found) for found in _NUMBERS.findall(text)]


def names_number(text: str) -> bool:
    """Whether there is a number in a text, in digits or in (English) words."""
    return any(letter.isdigit() for letter in text) or bool(_SPELT_NUMBER.search(text))


def asked_value(question: str) -> float | None:
    """What a bare calculation has as its result; None where the request is none, or leaves a doubt.

    >>> asked_value("What is 15% of 240?"), asked_value("how many minutes are 3 hours"), asked_value("7 times 8?")
    (36.0, 180.0, 56.0)
    >>> asked_value("Ana has 3 pens and buys 4 more. How many?") is None
    True
    """
    if len(question) > LONGEST_QUESTION:
        return None
    text = (
        _SPELT_NUMBER.sub(lambda found: str(_spelt(found[0])), question) if not re.search(r"\d", question) else question
    )
    for read in (_conversion, _percentage, _list, _phrase, _bare):
        found = read(text)
        if found is not None:
            value, start, end = found
            rest = text[:start] + " " + text[end:]
            alone = len(rest.split()) <= _MOST_OTHER_WORDS and not _MORE.search(rest)
            return value if alone and math.isfinite(value) and abs(value) < _LARGEST else None
    return None


def _spelt(words: str) -> int:
    return sum(_SPELT[word] for word in re.split(r"[- ]", words.lower()))


_Found = tuple[float, int, int]


def _conversion(text: str) -> _Found | None:
    if found := _DEGREES.search(text):
        value, source, target = number_of(found[1]), found[2][0].lower(), found[3][0].lower()
        if source != target:
            return (value * 9 / 5 + 32 if source == "c" else (value - 32) * 5 / 9), *found.span()
    if found := _HOW_MANY.search(text):
        count = number_of(found[2]) if found[2][0].isdigit() else 1.0
        return _converted(count, found[3], found[1], found)
    if found := _HAVE.search(text) or _CONVERT.search(text):
        return _converted(number_of(found[1]), found[2], found[3], found)
    return None


def _converted(count: float, source: str, target: str, found: re.Match[str]) -> _Found | None:
    (one, size), (other, goal) = _unit(source), _unit(target)
    return (count * size / goal, *found.span()) if one == other else None


def _unit(word: str) -> tuple[str, float]:
    return next(facts for name, facts in _UNITS.items() if re.fullmatch(name, word, re.IGNORECASE))


def _percentage(text: str) -> _Found | None:
    found = _PERCENT.search(text)
    if not found:
        return None
    part, whole = number_of(found[1]) * number_of(found[3]) / 100, number_of(found[3])
    return (whole - part if found[2].lower() == "off" else part), *found.span()


def _list(text: str) -> _Found | None:
    """Of some listed numbers the sum, the mean, the middle one, the greatest or the least."""
    found = _LIST.search(text)
    if not found:
        return None
    numbers = [number_of(one) for one in re.split(r",? (?:and|und|et|y|e) |[,;] ?", found[2]) if one.strip()]
    word = found[1].lower()
    if word in ("average", "mean", "durchschnitt", "mittelwert", "moyenne", "promedio", "media"):
        value = sum(numbers) / len(numbers)
    elif word in ("sum", "total", "summe", "somme", "suma", "somma"):
        value = sum(numbers)
    elif word == "median":
        value = median(numbers)
    else:
        value = max(numbers) if word in ("largest", "greatest", "biggest", "highest", "maximum") else min(numbers)
    return value, *found.span()


def _phrase(text: str) -> _Found | None:
    for pattern, formula in _PHRASES:
        if found := pattern.search(text):
            value = computed(formula.format(*(repr(number_of(one)) for one in found.groups() if one)))
            return (value, *found.span()) if value is not None else None
    return None


def _bare(text: str) -> _Found | None:
    for pattern, sign in _SIGNS:
        text = pattern.sub(sign, text)
    found = list(_EXPRESSION.finditer(text))
    if len(found) != 1 or _NO_SUM.search(found[0][0]):
        return None
    value = computed(_plain(found[0][0]))
    rest = text[: found[0].start()] + text[found[0].end() :]
    asked = len(rest.split()) <= 2 or _CALCULATE.search(rest)
    alone = asked and len(rest.split()) <= _MOST_OTHER_WORDS and not _MORE.search(rest)
    return (value, 0, LONGEST_QUESTION) if value is not None and alone else None


def _plain(expression: str) -> str:
    expression = re.sub(NUMBER, lambda found: repr(number_of(found[0])), expression.replace("−", "-"))
    opened, closed = expression.count("("), expression.count(")")
    return expression if opened == closed else expression.replace("(", "").replace(")", "")


_OPERATIONS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip


def computed(expression: str) -> float | None:
    """The value of a written calculation; None where it has none. Nothing is run: the tree is walked."""
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, TypeError, RecursionError, MemoryError):
        return None
    return value if math.isfinite(value) else None


def _value(node: Any) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "abs":
        return abs(_value(node.args[0]))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > 64:
            raise ValueError("too large a power")
        result = _OPERATIONS[type(node.op)](left, right)
        if isinstance(result, float):
            return result
    raise ValueError("no calculation")


_EQUATION: Final = re.compile(
    rf"(?<![\w.,(*/+^-])((?:{NUMBER})\s*(?:(?:[-+*/×÷·−]|x(?=\s*\d))\s*(?:{NUMBER})\s*){{1,12}})(?:=|equals|"
    rf"is equal to|ist|fait)\s*[^\d\s-]?\s*([-−]?(?:{NUMBER}))(?!\s*[-+*/×÷(^%]|[\d,.]*\d)",
    re.IGNORECASE,
)  # fmt: skip


def equations(answer: str) -> list[bool]:
    """Of each sum that an answer writes out with its result: whether it holds.

    >>> equations("3 * 4 = 12, and 12 + 5 = 18.")
    [True, False]
    """
    held = []
    for left, right in _EQUATION.findall(answer):
        for sign, plain in (("×", "*"), ("·", "*"), ("x", "*"), ("X", "*"), ("÷", "/")):
            left = left.replace(sign, plain)
        value = computed(_plain(left))
        if value is not None:
            held.append(same(value, right))
    return held


def same(value: float, written: str) -> bool:
    """Whether a written number is this value, rounded as it is written."""
    number = number_of(written)
    decimals = len(written) - max(written.rfind("."), written.rfind(",")) - 1 if re.search(r"[.,]\d+$", written) else 0
    if number == round(number) and decimals >= 3:  # thousands
        decimals = 0
    slack = 0.5 * 10**-decimals if value != round(value) else 1e-9
    return abs(value - number) <= slack + 1e-9 * abs(value)


def holds_value(answer: str, value: float) -> bool | None:
    """Whether an answer gives `value` as its result; None where it names no number, or names it among others last.

    Right: the last number, or the one that is pointed out; wrong: it stands nowhere.
    """
    written = [found[0] for found in _NUMBERS.finditer(re.sub(r"[*_$€£]", "", answer))]
    if not written:
        spelt = _SPELT_NUMBER.findall(answer)
        return None if not spelt else any(_spelt(words) == value for words in spelt)
    hits = [same(value, one) for one in written]
    if hits[-1] or (hits[0] and len(written) <= 2):
        return True
    return None if any(hits) else False
