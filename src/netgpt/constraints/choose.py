"""Keeps of an answer what holds: each option is held against the constraints and passed on or left out, as it streams.

What goes against a wish gives way when nothing else is left; what is not known of a strict one comes last, with a word,
and only where too little is left without it. Nothing is invented, and nothing in the answer names a reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from netgpt.constraints.asking import NOTES
from netgpt.constraints.judging import Fit, OptionVerdict, judge
from netgpt.constraints.options import Piece, PieceReader, PieceRole
from netgpt.constraints.reading import Constraint
from netgpt.constraints.taxonomy import folded, taxonomy
from netgpt.wording import language_of

ENOUGH: Final = 2
"""So many options that hold make those unnecessary of which too little is known."""
MOST_OPTIONS: Final = 2_000
"""Options that are looked at in one answer; what is beyond is left out."""
_HEADING = re.compile(r"^\s*(?:#{1,6}\s|\*\*|__)")
_OPTIONAL: Final = re.compile(
    r"\b(?:optional(?:ly)?|if (?:you )?(?:like|wish|desired|using)|to taste|nach belieben|wer mag|wahlweise|"
    r"facultatif|facultative|si vous (?:voulez|aimez)|au choix|opcional\w*|al gusto|si quiere\w*|facoltativ\w*|"
    r"a piacere|se vuoi)\b"
)
_ANOTHER: Final = re.compile(
    r"(?<=[.!?])\s+(?=(?:Or\b|Another|Alternatively|You (?:could|can|might) also|Also|If you prefer|Otherwise|"
    r"Then there|Finally|A (?:second|third|further|different)|Second|Third|There(?:'s| is) also|For something|"
    r"Oder\b|Alternativ|Eine andere|"
    r"Ein anderer|Außerdem|Du kannst auch|Ou\b|Sinon|Une autre|Vous pouvez aussi|También|Otra|Otro|Si no|Oppure|"
    r"Un'altra|Anche|In alternativa))|\s+(?=\(?\d{1,2}[.)]\s+\S)"
)


@dataclass(slots=True)
class ChoiceAccount:
    """What became of the options of one answer. `kinds` are for the person's own eyes."""

    options: int = 0
    taken_out: int = 0
    corrected: int = 0
    unknown: int = 0
    """Passed on although too little is known of them."""
    unread: int = 0
    """Private facts that may rule something out, and were not understood: nothing was held against them."""
    fits: bool = True
    """Whether anything was left."""
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def is_told(self) -> bool:
        """Whether the answer is any other for it, or something in it could not be checked."""
        return bool(self.taken_out or self.corrected or self.unknown or self.unread or not self.fits)

    def as_dict(self, *, with_kinds: bool) -> dict[str, Any]:
        """For the record (with the kinds of constraints), or for the answer."""
        told: dict[str, Any] = {
            "options": self.options, "taken_out": self.taken_out, "corrected": self.corrected, "unknown": self.unknown,
            "unread": self.unread, "fits": self.fits,
        }  # fmt: skip
        return told | ({"kinds": dict(self.kinds)} if with_kinds else {})


class OptionJudge:
    """Holds texts against the constraints of one request."""

    def __init__(
        self, constraints: Sequence[Constraint], where: frozenset[str], language: str, *, unread: int = 0
    ) -> None:
        """`where`: the kinds of the request; `language`: of the person; `unread`: facts that were not understood."""
        self.constraints, self.where, self.language, self.unread = tuple(constraints), where, language, unread
        self.heard: Counter[str] = Counter()
        self.is_about_food = all((each.foods or each.words) and each.kind != "avoid" for each in constraints)

    def of(self, text: str) -> OptionVerdict:
        """The verdict of one text."""
        code = language_of(text)
        if code == "en" and self.is_about_food:  # a few names of dishes have no little words
            code = taxonomy().likeliest(text)
        self.heard[code] += 1
        languages = list(dict.fromkeys((code, self.language, "en")))
        return judge(text, self.constraints, languages, dishes="food" in self.where or "drink" in self.where)

    def speaks(self) -> str:
        """The language for the box's own words: the request's, or, where that said nothing, the answer's."""
        return self.heard.most_common(1)[0][0] if self.language == "en" and self.heard else self.language


class OptionChooser:
    """`feed` each piece of one answer's text, then `end`; each gives what goes on."""

    def __init__(self, judge: OptionJudge, account: ChoiceAccount) -> None:
        self._judge, self._account = judge, account
        self._reader = PieceReader()
        self._headings: list[str] = []
        """Shown with the next option that is kept."""
        self._unsure: list[str] = []
        self._wishes: list[str] = []
        """Left out so far, for want of knowledge, and for a wish."""
        self._kept = 0
        self._last = ""

    def feed(self, text: str) -> str:
        """What can be passed on after `text`."""
        return self._passed(self._reader.feed(text))

    def end(self) -> str:
        """The rest, and the box's word where something was left out."""
        out = self._passed(self._reader.end())
        account, (chosen, nothing, unknown, unread) = self._account, NOTES.get(self._judge.speaks(), NOTES["en"])
        if not self._kept and self._wishes:  # a wish gives way
            out += self._shown("".join(self._wishes))
            self._kept += len(self._wishes)
            account.taken_out -= len(self._wishes)
        words = []
        if self._kept < ENOUGH and self._unsure:
            out += self._shown("".join(self._unsure))
            self._kept += len(self._unsure)
            account.unknown += len(self._unsure)
            words.append(unknown)
        else:
            account.taken_out += len(self._unsure)
        if account.taken_out + account.corrected > 0:
            account.fits = bool(self._kept)
            words.insert(0, chosen if self._kept else nothing)
        if self._judge.unread and account.options:
            account.unread = self._judge.unread
            words.append(unread)
        if words:
            out += self._shown(("\n" * (2 - self._ends())) + " ".join(words))
        return out

    def _ends(self) -> int:
        """Line breaks at the end of what was passed on, two at most; two where it is empty."""
        return 2 if not self._last.strip() else len(self._last) - len(self._last.rstrip("\n"))

    def _shown(self, text: str) -> str:
        if text:
            self._last = (self._last + text)[-2:] if text.strip() or self._last else ""
        return text

    def _passed(self, pieces: Sequence[Piece]) -> str:
        return "".join(self._shown(self._of(piece)) for piece in pieces)

    def _of(self, piece: Piece) -> str:
        """What is passed on of a piece."""
        if piece.role is PieceRole.CODE or not piece.text.strip():
            return piece.text
        if piece.role is PieceRole.LEAD:
            return self._of_lead(piece)
        if piece.role is PieceRole.PROSE and len(parts := _ANOTHER.split(piece.text)) > 1:
            return "".join(self._of_option(part, Piece(part, PieceRole.PROSE)) for part in _rejoined(piece.text, parts))
        return self._of_option(piece.text, piece)

    def _of_lead(self, piece: Piece) -> str:
        if _HEADING.match(piece.text):
            self._headings.append(piece.text)
            return ""
        violates = "|" not in piece.text and self._judge.of(piece.text).fit is Fit.VIOLATES
        return "" if violates else self._with_headings(piece.text)

    def _with_headings(self, text: str) -> str:
        text, self._headings = "".join(self._headings) + text, []
        return text

    def _of_option(self, text: str, piece: Piece) -> str:
        account = self._account
        verdict = self._judge.of(_as_read(piece))
        is_option = piece.role is not PieceRole.PROSE or verdict.names_something or not self._judge.is_about_food
        account.options += is_option
        if account.options > MOST_OPTIONS:
            verdict = OptionVerdict(Fit.VIOLATES, True, {"too many"})
        if verdict.fit is Fit.VIOLATES:
            if (mended := self._mended(text)) is not None:
                account.corrected += 1
                account.kinds.update(verdict.kinds)
                self._kept += 1
                return self._with_headings(mended)
            account.taken_out += 1
            account.kinds.update(verdict.kinds)
            if piece.role is not PieceRole.ROW:
                self._headings = [each for each in self._headings if not _is_own(each, text)]
            if not verdict.strict:
                self._wishes.append(text)
            return ""
        if verdict.fit is Fit.UNKNOWN and is_option and verdict.strict and verdict.in_doubt:
            self._unsure.append(text)
            account.kinds.update(verdict.kinds)
            return ""
        self._kept += is_option
        return self._with_headings(text)

    def _mended(self, text: str) -> str | None:
        """The option without lines that are optional and go against a constraint; None: that does not mend it."""
        lines = text.splitlines(keepends=True)
        gone = [
            line for line in lines[1:] if _OPTIONAL.search(folded(line)) and self._judge.of(line).fit is Fit.VIOLATES
        ]
        rest = "".join(line for line in lines if line not in gone)
        return rest if gone and self._judge.of(rest).fit is not Fit.VIOLATES else None


def _is_own(heading: str, text: str) -> bool:
    return heading.strip("#* \n") in text


def _rejoined(text: str, parts: Sequence[str]) -> list[str]:
    """The parts with the blanks between them."""
    whole: list[str] = []
    at = 0
    for number, part in enumerate(parts):
        start = text.index(part, at)
        if number:
            whole[-1] += text[at:start]
        whole.append(part)
        at = start + len(part)
    return whole


def _as_read(piece: Piece) -> str:
    """An option with the words above it that belong to it: of a table's row each cell with its column's name."""
    if piece.role is not PieceRole.ROW:
        return (
            f"{piece.lead.strip()}\n{piece.text}"
            if _HEADING.match(piece.lead) and len(piece.lead) < 200
            else piece.text
        )
    names, cells = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in (piece.lead, piece.text))
    return "; ".join(f"{name}: {cell}" for name, cell in zip(names, cells, strict=False))
