"""Options in JSON: elements of an array are left out as they stream, and what goes on is valid JSON if the answer was.

An array counts as one of options when it is the outermost on its way, and its name is not one of parts (ingredients,
steps); so do members called "option_1", "Idee 2", unless a schema asks for them. An object that is one option itself is
never changed: whether it fits is said beside the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from netgpt.constraints.choose import ENOUGH, ChoiceAccount, OptionJudge
from netgpt.constraints.judging import Fit
from netgpt.constraints.taxonomy import folded

LONGEST: Final = 200_000
"""Characters of one element; what is longer goes on unseen, and counts as not known."""
_PARTS: Final = re.compile(
    r"(?:ingredient|zutat|step|schritt|instruction|tag|allergen|method|direction|keyword|categor|feature|amenit|"
    r"amount|note|equipment|review|hour|etape|paso|passagg|anweisung|nutri|source|reason|unit|image|link|url|"
    r"coordinate)"
)
_NUMBERED: Final = re.compile(
    r"(?:option|idea|suggestion|choice|alternative|recommendation|recipe|dish|restaurant|place|gift|hotel|activity|"
    r"vorschlag|moglichkeit|rezept|gericht|idee|geschenk|proposition|recette|cadeau|opcion|sugerencia|receta|regalo|"
    r"opzione|proposta|ricetta)[ _-]?(?:\d{1,2}|[a-e]|one|two|three|four|five)"
)
_READS_WELL: Final = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]])")


def looks_like_json(text: str) -> bool | None:
    """Whether an answer is JSON by its beginning; None: more of it must come to know."""
    begun = text.lstrip()
    if len(begun) < 2 and (not begun or begun in "{["):
        return None
    return bool(_READS_WELL.match(text)) or (None if re.fullmatch(r"[{\[]\s*", begun) else False)


def holds_options(schema: Any, depth: int = 0) -> bool:
    """Whether a JSON schema has an array of options."""
    if depth > 12 or not isinstance(schema, (Mapping, list)):
        return False
    if isinstance(schema, list):
        return any(holds_options(each, depth + 1) for each in schema)
    if schema.get("type") == "array":
        items = schema.get("items")
        return not (isinstance(items, Mapping) and items.get("type") in ("number", "integer", "boolean"))
    for name, inner in schema.items():
        if name == "properties" and isinstance(inner, Mapping):
            if any(
                holds_options(value, depth + 1) for key, value in inner.items() if not _PARTS.search(folded(str(key)))
            ):
                return True
        elif holds_options(inner, depth + 1):
            return True
    return False


def names_options(schema: Any, depth: int = 0) -> bool:
    """Whether a JSON schema has members such as "option_1": none of them may then be missing."""
    if isinstance(schema, Mapping) and depth <= 12:
        return any(
            _NUMBERED.fullmatch(folded(str(name))) is not None or names_options(inner, depth + 1)
            for name, inner in schema.items()
        )
    return isinstance(schema, list) and depth <= 12 and any(names_options(each, depth + 1) for each in schema)


def as_text(value: Any, depth: int = 0) -> str:
    """A JSON value as words with their names: {"steps": 0} as "steps: 0"."""
    if isinstance(value, Mapping) and depth < 12:
        return "; ".join(f"{str(key).replace('_', ' ')}: {as_text(inner, depth + 1)}" for key, inner in value.items())
    if isinstance(value, list) and depth < 12:
        return ", ".join(as_text(each, depth + 1) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


class JsonChooser:
    """As `OptionChooser`, for an answer that is JSON. It adds no words: what became of it stands beside the answer."""

    def __init__(self, judge: OptionJudge, account: ChoiceAccount) -> None:
        self._judge, self._account = judge, account
        self._stack: list[str] = []
        """"{" and "[" that are open."""
        self._name = self._string = ""
        """The name of the member that is being read; the string so far."""
        self._in_string = self._escaped = False
        self._array = 0
        """How many brackets are open within the array of options; 0 outside of one."""
        self._held: list[str] = []
        """A string that may be the name of a member, until what comes behind it tells."""
        self._before_name = False
        """Whether the next string is one."""
        self._keyed = False
        """Whether what is open are members, no array."""
        self._element: list[str] = []
        self._size = 0
        self._given = False
        """Whether this array has an element already."""
        self._kept = self._of_array = 0
        self._unsure: list[str] = []
        self._wishes: list[str] = []
        self._whole: list[str] = []
        self._length = 0
        self._saw_options = False

    def feed(self, text: str) -> str:
        """What can be passed on after `text`."""
        if self._length < LONGEST:
            self._whole.append(text)
            self._length += len(text)
        return "".join(map(self._character, text))

    def end(self) -> str:
        """The rest: what a broken answer left open."""
        account, rest = self._account, "".join(self._held + self._element)
        self._held, self._element, account.unread = [], [], self._judge.unread
        if self._saw_options:
            account.fits = bool(self._kept) or not account.taken_out
        else:
            verdict = self._judge.of(self._plain("".join(self._whole)))
            account.options, account.fits = 1, verdict.fit is not Fit.VIOLATES
            account.kinds.update(verdict.kinds if not account.fits else ())
        return rest

    @staticmethod
    def _plain(element: str) -> str:
        for text in (element, f"{{{element}}}"):  # a member alone is no JSON
            try:
                return as_text(json.loads(text))
            except (ValueError, RecursionError):
                continue
        return element

    def _character(self, c: str) -> str:
        if self._in_string:
            self._in_text(c)
            return self._passed(c)
        if self._held and not c.isspace() and c != ":":
            return self._let_go() + self._character(c)
        if c == '"':
            self._in_string, self._string = True, ""
            if self._before_name and not self._array:
                self._before_name, self._held = False, [c]
                return ""
        elif c in "{[":
            return self._opened(c)
        elif c in "}]":
            return self._closed(c)
        elif c == ":" and not self._array:
            return self._named(c)
        elif c == "," and self._at_element():
            return self._ended()
        self._before_name |= c == "," and not self._array and self._stack[-1:] == ["{"]
        return self._passed(c)

    def _let_go(self) -> str:
        held, self._held = "".join(self._held), []
        return held

    def _named(self, c: str) -> str:
        """A member's name is whole: it is passed on, or begins the first of several options."""
        held, above = self._let_go(), self._name
        self._name = self._string
        if (
            not (held and _NUMBERED.fullmatch(folded(self._string)))
            or _PARTS.search(folded(above))
            or "[" in self._stack
        ):
            return held + c
        self._begin(keyed=True)
        self._element, self._size = [held, c], len(held) + 1
        return ""

    def _begin(self, *, keyed: bool) -> None:
        self._array, self._keyed, self._given, self._of_array = len(self._stack), keyed, False, 0
        self._saw_options = True

    def _in_text(self, c: str) -> None:
        if self._escaped:
            self._escaped = False
        elif c == "\\":
            self._escaped = True
        elif c == '"':
            self._in_string = False
        elif len(self._string) < 100:
            self._string += c

    def _at_element(self) -> bool:
        return bool(self._array) and len(self._stack) == self._array

    def _passed(self, c: str) -> str:
        if self._held:
            self._held.append(c)
            return ""
        if not self._array:
            return c
        self._element.append(c)
        self._size += 1
        return ""

    def _opened(self, c: str) -> str:
        begins = c == "[" and not self._array and "[" not in self._stack and not _PARTS.search(folded(self._name))
        out = self._passed(c)
        self._stack.append(c)
        self._before_name = c == "{"
        if begins:
            self._begin(keyed=False)
        return out

    def _closed(self, c: str) -> str:
        out = ""
        if self._at_element():
            out = self._ended() + self._left_over()
            self._array = 0
        if self._stack:
            self._stack.pop()
        return out + self._passed(c)

    def _ended(self) -> str:
        """An element is whole."""
        element, self._element, size, self._size = "".join(self._element), [], self._size, 0
        if not element.strip():
            return element
        account, verdict = self._account, None
        if self._keyed and not _is_numbered(element):
            return self._with_comma(element)
        if size <= LONGEST:
            verdict = self._judge.of(self._plain(element))
        account.options += 1
        if verdict is not None and verdict.fit is Fit.VIOLATES:
            account.taken_out += 1
            account.kinds.update(verdict.kinds)
            self._wishes += [element] if not verdict.strict else []
            return ""
        if verdict is None or (verdict.fit is Fit.UNKNOWN and verdict.strict and verdict.in_doubt):
            self._unsure.append(element)
            return ""
        return self._with_comma(element)

    def _with_comma(self, element: str) -> str:
        comma, self._given = "," if self._given else "", True
        self._kept += 1
        self._of_array += 1
        return comma + element

    def _left_over(self) -> str:
        """At the array's end: what was left out for a wish, where nothing else is left; and what is not known."""
        out, account = "", self._account
        if not self._of_array and self._wishes:
            account.taken_out -= len(self._wishes)
            out += "".join(map(self._with_comma, self._wishes))
        if self._of_array < ENOUGH and self._unsure:
            account.unknown += len(self._unsure)
            out += "".join(map(self._with_comma, self._unsure))
        else:
            account.taken_out += len(self._unsure)
        self._unsure, self._wishes = [], []
        return out


def _is_numbered(member: str) -> bool:
    """Whether the text of a member ('"option_2": ...') is one of several options."""
    name = re.match(r'\s*"([^"\\]{1,60})"\s*:', member)
    return name is not None and _NUMBERED.fullmatch(folded(name[1])) is not None
