"""Takes an answer apart into what may be kept or left out alone: list items, sections, rows, paragraphs. As it streams.

Concatenated, the pieces are the answer again, and they are the same however the answer was cut. A list of ingredients,
steps or attributes is no list of options: it belongs to the dish or the place that it is about. Code is a piece that is
never looked into.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netgpt.constraints.taxonomy import folded


class PieceRole(StrEnum):
    """What a piece is."""

    LEAD = "lead"
    """A heading, an introduction, a closing word."""
    OPTION = "option"
    PROSE = "prose"
    """A paragraph, which may be an option."""
    ROW = "row"
    SINGLE = "single"
    """A recipe, a way: all of it, to be kept or left out as one."""
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Piece:
    """`lead`: the words above it that it is to be read with: a heading, a table's head."""

    text: str
    role: PieceRole
    lead: str = ""


_FENCE = re.compile(r"^\s{0,3}(?:>\s*)*(```+|~~~+)")
_HEADING = re.compile(r"^(#{1,6})\s+\S")
_BOLD = re.compile(r"^\s{0,3}(?:\*\*|__)[^*_]+(?:\*\*|__)\s*:?\s*$")
_NAMED = re.compile(
    r"^\W{0,4}(?:option|idea|idee|recipe|rezept|recette|receta|ricetta|suggestion|vorschlag|opcion|opzione|"
    r"choice|variante?|route|hotel|restaurant|day|tag|jour|dia|giorno|no\.?|plan)\s*"
    r"(?:\d+|[a-h]\b|one|two|three|four|five)\s*(?:[:.)\u2013-]|$)", re.IGNORECASE,
)  # fmt: skip
_NUMBERED = re.compile(r"^(\s*)(?:\*\*)?(\d{1,4})[.)](?:\*\*)?\s+\S")
_BULLET = re.compile(r"^(\s*)[-*+•–·▪◦]\s+\S")
_RULE = re.compile(r"^\s*(?:[-*_]\s*){3,}$")
_TABLE = re.compile(r"^\s*\|.*\|\s*$")
_SEPARATOR = re.compile(r"^\s*\|?(?:\s*:?-{2,}:?\s*\|)+\s*(?::?-{2,}:?)?\s*\|?\s*$")
_PARTS: Final = re.compile(
    r"\b(?:ingredients?|you(?:'ll)? (?:will )?need|shopping list|steps|method|instructions?|directions|"
    r"preparation|equipment|procedure|how to (?:make|get|prepare)|toppings?|for the \w+|garnish|the way there|"
    r"zutaten|zubereitung|anleitung|schritte|du brauchst|so geht'?s|wegbeschreibung|fur (?:den|die|das) \w+|"
    r"ingredients|preparation|etapes|il (?:vous|te) faut|realisation|ingredientes|preparacion|pasos|"
    r"elaboracion|"
    r"necesitas|ingredienti|preparazione|procedimento|passaggi|occorrente|nutrition|servings?|details|itinerary|"
    r"amenities|features|what's in it|contents?|pros|cons|why)\W{0,6}(?:\([^)]*\))?\W{0,6}$"
)
_QUANTITY: Final = re.compile(
    r"^\W*(?:\d+(?:[.,/]\d+)?|[¼½¾⅓⅔]|an?|one|two|three|half|ein[e]?|une?|un[oa]?|etwas|"
    r"some)\s*(?:[-–]\s*\d+\s*)?(?:g|kg|ml|cl|dl|l|oz|lb|lbs|tsp|tbsp|teaspoons?|tablespoons?|cups?|el|tl|"
    r"prise|pinch|cloves?|slices?|cans?|"
    r"bunch|handful|grams?|gramm|essloffel|teeloffel|cuilleres?|cucharadas?|cucharaditas?|cucchiai\w*|tasse[n]?|"
    r"dose|zehen?|gousses?|dientes?|spicchi\w*|large|medium|small|ripe|boneless|stuck)\b"
)
_LABEL: Final = re.compile(
    r"^\W*(?:price|cost|access|accessibility|entrance|address|location|ingredients?|contains?|allergens?|hours|"
    r"open(?:ing hours)?|time|duration|distance|rating|phone|why|note|notes|tip|serves|calories|steps?|stairs|"
    r"lift|made of|"
    r"way in|when|where|features?|materials?|dish(?:es)?|menu|cuisine|preis|kosten|zugang|eingang|adresse|"
    r"zutaten|enthalt|allergene|offnungszeiten|dauer|hinweis|tipp|stufen|aufzug|prix|acces|entree|adresse|"
    r"horaires|duree|contient|"
    r"precio|acceso|entrada|direccion|horario|contiene|prezzo|accesso|ingresso|indirizzo|orari|durata|best for|"
    r"good for|highlights?|drinks?|total|size|colou?r|brand|pros|cons)(?:\W{0,4}:|\s*\([^)]{0,30}\)\s*:)"
)
_STEP: Final = re.compile(
    r"^\W*(?:(?:heat|preheat|boil|chop|mix|stir|add|pour|simmer|bake|fry|saute|drain|season|combine|whisk|slice|"
    r"toss|garnish|melt|cook|place|remove|rinse|soak|marinate|continue|exit|cross|follow|board|climb|descend|serve) "
    r"(?:the|an?|in|for|up|until|with|onto|into|all|your|it|them|\d+|and|well|over|down|along|to|from|at|some|"
    r"everything)|"
    r"turn (?:left|right)|walk "
    r"(?:along|to|down|up|past|straight|out)|"
    r"head (?:north|south|east|west|towards?|down|up|straight|out)|leave (?:the|by|from)|"
    r"take the (?:stairs|steps|bus|train|metro|lift|elevator|escalator|line|exit|first|second|"
    r"tram|underpass|path|footbridge|u\d|s\d)|"
    r"go (?:left|right|straight|through|up|down|past)|get off|erhitzen|die \w+ (?:kochen|schneiden|"
    r"erhitzen|waschen|hacken)|(?:links|rechts) abbiegen|geh|gehen sie|nehmen sie die|nimm die|faites|ajoutez|"
    r"melangez|prenez (?:la|le|l')|tournez|"
    r"calienta|anade|mezcla|gira|toma (?:la|el)|sigue|scalda|aggiungi|mescola|prendi (?:la|il|l')|gira a)\b"
)


def is_parts(line: str) -> bool:
    """Whether what stands under this line are parts of something: ingredients, steps."""
    small = folded(line).strip()
    is_title = small.rstrip("*_ ").endswith(":") or small.startswith(("#", "**", "__")) or len(small.split()) <= 3
    return is_title and len(small.split()) <= 12 and bool(_PARTS.search(small))


def looks_like_part(item: str) -> bool:
    """Whether a list item is an amount, an attribute or a step rather than an option."""
    small = folded(re.sub(r"^\s*(?:[-*+•–·▪◦]|\d{1,4}[.)])\s+", "", item))
    plain = small.replace("*", "").replace("_", "")
    return bool(_QUANTITY.match(plain) or _LABEL.match(plain) or _STEP.match(plain))


class PieceReader:
    """`feed` each piece of an answer, then `end`; each gives the pieces that are whole by then."""

    def __init__(self) -> None:
        self._line: list[str] = []
        """Of the line that is not whole yet."""
        self._held: list[str] = []
        """The lines of what is being read."""
        self._role = PieceRole.PROSE
        self._is_list = self._is_section = self._named = False
        self._level = 0
        self._indent, self._number = 0, 0
        """Of the list that is being read; the last item's number, 0 in a list of bullets."""
        self._tail: list[str] = []
        """Lines behind a numbered item that may be its own, or the end of the list."""
        self._own_tails = False
        """Whether items of this list had such lines."""
        self._lead = ""
        self._fence = ""
        self._out: list[Piece] = []

    def feed(self, text: str) -> list[Piece]:
        """The pieces that are whole after `text`."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._line.append(line)
            self._read("".join(self._line) + "\n")
            self._line = []
        if rest:
            self._line.append(rest)
        return self._taken()

    def end(self) -> list[Piece]:
        """The rest."""
        if self._line:
            self._read("".join(self._line))
            self._line = []
        self._end_of_tail(belongs=self._own_tails or any(is_parts(line) for line in self._tail))
        self._flush()
        return self._taken()

    def _taken(self) -> list[Piece]:
        out, self._out = self._out, []
        return out

    def _flush(self) -> None:
        if self._held:
            role = self._role
            if role is PieceRole.PROSE and self._is_lead():
                role = PieceRole.LEAD
            self._out.append(Piece("".join(self._held), role, self._lead))
            if role is PieceRole.LEAD:
                self._lead = "".join(self._held)[-500:]
        self._held, self._role, self._is_list, self._is_section, self._named = [], PieceRole.PROSE, False, False, False

    def _is_lead(self) -> bool:
        last = next((line for line in reversed(self._held) if line.strip()), "").rstrip()
        return not last or last.rstrip("*_ ").endswith(":") or bool(_RULE.match(last))

    def _read(self, line: str) -> None:
        if self._fence or (match := _FENCE.match(line)):
            self._in_code(line, "" if self._fence else match[1][:3])  # type: ignore[index]
        elif not line.strip():
            self._blank(line)
        elif self._starts_section(line):
            self._section(line)
        elif _TABLE.match(line):
            self._row(line)
        elif (number := _NUMBERED.match(line)) or (bullet := _BULLET.match(line)):
            self._item(line, len((number or bullet)[1]), int(number[2]) if number else 0)  # type: ignore[index]
        else:
            self._text(line)

    def _in_code(self, line: str, opens: str) -> None:
        """Code within an option is the option's; elsewhere it is a piece of its own."""
        whole = self._is_list or self._is_section or self._role is PieceRole.SINGLE
        if opens:
            self._fence = opens
            if not whole or (self._is_list and not line.startswith(" ") and self._held and not self._held[-1].strip()):
                self._flush()
                self._role = PieceRole.CODE
            self._held.append(line)
            return
        self._held.append(line)
        if line.strip().startswith(self._fence):
            self._fence = ""
            if self._role is PieceRole.CODE:
                self._flush()

    def _blank(self, line: str) -> None:
        if self._tail:
            self._tail.append(line)
        elif self._held:
            self._held.append(line)
        else:
            self._out.append(Piece(line, PieceRole.LEAD))
        if self._role is PieceRole.ROW:
            self._flush()

    def _starts_section(self, line: str) -> bool:
        if _HEADING.match(line) or _NAMED.match(line):
            return True
        return bool(_BOLD.match(line)) and not (self._is_list and not self._blank_before())

    def _blank_before(self) -> bool:
        lines = self._tail or self._held
        return not lines or not lines[-1].strip()

    def _section(self, line: str) -> None:
        heading = _HEADING.match(line)
        level = len(heading[1]) if heading else 7
        inside = self._is_section or self._role is PieceRole.SINGLE
        if inside and (is_parts(line) or (self._named and level > self._level)):
            self._held.append(line)
            return
        if self._tail or self._is_list:
            if is_parts(line):
                (self._tail or self._held).append(line)
                return
            self._end_of_tail(belongs=self._own_tails)
        if is_parts(line):
            self._single(line)
            return
        if self._is_section and level > self._level and not self._named:
            self._role = PieceRole.LEAD
        self._flush()
        self._number = 0
        self._held, self._is_section, self._level, self._role = [line], True, level, PieceRole.OPTION
        self._named = bool(_NAMED.match(line.lstrip("#*_ "))) or bool(
            re.match(r"[\W]*\d{1,2}[.):]", line.lstrip("#*_ "))
        )

    def _single(self, line: str) -> None:
        """From here on it is one thing: with the paragraph before it."""
        if self._is_list or self._role not in (PieceRole.PROSE, PieceRole.SINGLE):
            self._flush()
        self._role = PieceRole.SINGLE
        self._held.append(line)

    def _row(self, line: str) -> None:
        if self._is_section or self._role is PieceRole.SINGLE or (self._is_list and not self._blank_before()):
            if not self._is_section or self._named or self._has_table_begun():
                self._held.append(line)
                return
            self._role = PieceRole.LEAD
        if self._role is not PieceRole.ROW:
            self._end_of_tail(belongs=self._own_tails)
            self._flush()
            self._lead = ""
            self._out.append(Piece(line, PieceRole.LEAD))
            self._lead, self._role = line, PieceRole.ROW
            return
        if _SEPARATOR.match(line):
            self._out.append(Piece(line, PieceRole.LEAD))
        else:
            self._out.append(Piece(line, PieceRole.ROW, self._lead))

    def _has_table_begun(self) -> bool:
        return any(_TABLE.match(line) for line in self._held)

    def _item(self, line: str, indent: int, number: int) -> None:
        if self._role is PieceRole.SINGLE:
            self._held.append(line)
            return
        if self._is_section:
            if self._named or looks_like_part(line) or self._parts_begun():
                self._held.append(line)
                return
            self._role = PieceRole.LEAD  # a heading with options under it
            self._flush()
        if self._is_list:
            if self._begins_next(indent, number):
                self._end_of_tail(belongs=True)
                self._next_item(line, indent, number)
            elif self._tail:
                self._tail.append(line)
            else:
                self._held.append(line)
            return
        if self._role is PieceRole.ROW:
            self._flush()
        before = next((each for each in reversed(self._held) if each.strip()), "")
        if is_parts(before) or looks_like_part(line):
            self._single(line)
            return
        if self._held:
            self._role = PieceRole.LEAD
        self._flush()
        self._own_tails = False
        self._next_item(line, indent, number)

    def _parts_begun(self) -> bool:
        return any(is_parts(line) or _BULLET.match(line) or _NUMBERED.match(line) for line in self._held[1:])

    def _begins_next(self, indent: int, number: int) -> bool:
        if indent > self._indent + 1:
            return False
        if not self._number:
            return number == 0 or self._blank_before()
        if not number:
            return False
        lines = self._tail or self._held
        before = next((line for line in reversed(lines) if line.strip()), "")
        return number == self._number + 1 or (number == self._number and not is_parts(before))

    def _next_item(self, line: str, indent: int, number: int) -> None:
        lead = self._lead
        self._flush()
        self._lead = lead
        self._held, self._is_list, self._role = [line], True, PieceRole.OPTION
        self._indent, self._number = indent, number

    def _text(self, line: str) -> None:
        if self._role is PieceRole.ROW:
            self._flush()
        if self._role is PieceRole.SINGLE or self._is_section:
            self._held.append(line)
        elif self._is_list:
            if self._tail:
                self._tail.append(line)
            elif line[:1] in " \t" or not self._blank_before():
                self._held.append(line)
            elif self._number:
                self._tail.append(line)
            else:
                self._flush()
                self._lead = ""
                self._held.append(line)
        else:
            if self._held and self._blank_before() and not is_parts(self._held[0]):
                self._flush()
            self._held.append(line)

    def _end_of_tail(self, *, belongs: bool) -> None:
        """What stood behind a numbered item is the item's, or something new."""
        tail, self._tail = self._tail, []
        if not tail:
            return
        if belongs:
            self._own_tails = True
            self._held += tail
            return
        self._flush()
        self._lead, self._number = "", 0
        for line in tail:
            self._read(line)
