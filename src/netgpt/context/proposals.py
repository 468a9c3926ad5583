"""What a person says of themselves in passing, as facts that may be *proposed* to them: text in, proposals out.

"As a coeliac, where can I eat?" -> "is coeliac". Precision before recall: rules over first-person constructions, a
table for each language (`remarks/*.toml`), tried only where a sentence or a part of it begins, and vetoes for what is
not meant of oneself: conditions, questions, reported speech, jokes about Mondays, texts to be worked on. A proposal is
nothing that the box knows: it counts only after a yes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any, Final, NamedTuple

from netgpt.context import LONGEST as LONGEST_FACT
from netgpt.context import MONTHS
from netgpt.context.own_words import FILLER, PastedMaterial, Sentence, cleaned, sentences
from netgpt.context.places import word_set
from netgpt.types import Label

LANGUAGES: Final = ("en", "de")
MOST: Final = 5
"""Proposals of one message."""
LONGEST_SENTENCE: Final = 600
STARTS: Final = 12
"""Places of a sentence that are looked at."""
_LEAD: Final = 30
"""Characters in front of such a place that tell whether a part of the sentence begins there."""
SENSITIVE: Final = word_set("health allergy access faith sexuality")
"""Kinds that are proposed as sensitive; all others are personal. Who says yes may say otherwise."""
_AFTER_MATCH: Final = re.compile(r"[,.;!?()–—]|\s-\s")
_TAG: Final = re.compile(
    r"\W*(?:right|correct|no|yes|or|huh|eh|ok|okay|true|innit|(?:are|am|do|is|have|can)(?:n't)? (?:i|it|we)|oder"
    r"|nicht wahr|non|n'est-ce pas|verdad|vero)\s*\?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A fact as it would be kept: a note such as "is vegetarian", in the language of the remark."""

    text: str = field(repr=False)
    kind: str
    label: Label
    words: str = field(repr=False)
    """The sentence that it came from."""


_PAUSE: Final = "\x1f"
"""Stands for the blank where a noun phrase may end: put in once a sentence, so that no rule need look for the words."""
_END: Final = rf"(?=\s*(?:[,.;:!?()–—…{_PAUSE}]|-\s|$))"
_WORD: Final = r"[^\W_](?:[\w'+&./-]*[\w+])?"
_PHRASE: Final = rf"{_WORD}(?: {_WORD}){{0,5}}?"


class Construction(NamedTuple):
    """One construction and the note that it makes."""

    pattern: re.Pattern[str]
    lists: tuple[tuple[str, re.Pattern[str]], ...]
    """Groups, and what each must be whole."""
    note: str
    kind: str
    dated: bool
    narrowed: re.Pattern[str]
    """What may not follow."""


class Remarks:
    """The table of one language, compiled."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._words = {name: _lines(text) for part in ("words", "parts") for name, text in table[part].items()}
        self._lists: dict[str, re.Pattern[str]] = {}
        word = rf"(?!(?:{self._words['bad']})(?!\w))[^\W_][\w'&/+-]*"
        self._noun = rf"{word}(?:(?:,? (?:and|or))? {word}){{0,4}}?"
        narrows = (self._words["narrows"], f"{self._words['narrows']}|{self._words['narrows_open']}")
        self._narrowed = [re.compile(rf"\s*(?:{words})(?!\w)", re.IGNORECASE) for words in narrows]
        self.pauses = re.compile(rf"\s(?=(?:{self._words['ends']})(?!\w))", re.IGNORECASE)
        self.starts = re.compile(rf"(?<![\w'-])(?=(?:{_lines(table['starts'])})(?![\w-]))", re.IGNORECASE)
        self.leads = re.compile(rf"(?:^|[,;(–—]|\s-|(?<![\w'-])(?:{_lines(table['leads'])})[,:]?)\s*$", re.IGNORECASE)
        self.causes = re.compile(rf"(?<![\w'-])(?:{_lines(table['causes'])})\s*$", re.IGNORECASE)
        self.asks = re.compile(rf"(?:{_lines(table['asks'])})(?!\w)", re.IGNORECASE)
        self.before, self.after = (
            re.compile(rf"(?<!\w)(?:{_lines(table[name])})(?!\w)", re.IGNORECASE)
            for name in ("veto_before", "veto_after")
        )
        self.labels = re.compile(_lines(table["labels"]["own"]), re.IGNORECASE)
        self.sensitive = re.compile(
            rf"(?<!\w)(?:{self._filled(_lines(table['labels']['sensitive']))})(?!\w)", re.IGNORECASE
        )
        self.rules = tuple(self._rule(row) for row in table["rule"])
        self.grammar: Mapping[str, Any] = table["grammar"]
        self.slots: Sequence[Mapping[str, str]] = table["slots"]

    def _rule(self, row: Mapping[str, Any]) -> Construction:
        lists: list[tuple[str, re.Pattern[str]]] = []

        def phrase(found: re.Match[str]) -> str:
            lists.append((found[1], self._list(found[2])))
            return f"(?P<{found[1]}>{{phrase}})"

        says = re.sub(r"\{(\w)=([a-z|]+)\}", phrase, row["says"])
        if "{place}" in says or "(?P<place>" in says:
            lists.append(("place", self._list("towns")))
        return Construction(
            self._compiled(says),
            tuple(lists),
            row["note"],
            row["kind"],
            row.get("dated", False),
            self._narrowed["np" in says],
        )

    def _compiled(self, says: str) -> re.Pattern[str]:
        """A blank of the pattern may also be one before which a noun phrase may end."""
        blanks = re.sub(r"\[[^]]*\]| ", lambda found: _either_blank(found[0]), self._filled(says))
        for name, within in (("phrase", _PHRASE), ("nps", self._noun)):
            blanks = blanks.replace(f"<{name}>", within)
        return re.compile(blanks, re.IGNORECASE)

    def _list(self, names: str) -> re.Pattern[str]:
        """What is in one of these lists, with or without an article; names of places also by their capital."""
        if names not in self._lists:
            either = "|".join(f"{{{name}}}" for name in names.split("|"))
            named = "(?-i:.*[A-ZÀ-ÞŁŚŽČŠ].*)|" if names == "towns" else ""
            self._lists[names] = re.compile(self._filled(rf"{named}(?:(?:{{articles}}) )?(?:{either})"), re.IGNORECASE)
        return self._lists[names]

    def _filled(self, text: str) -> str:
        """The pattern with every {word list} in its place."""
        for _ in range(4):
            text = re.sub(r"\{([a-z]+)\}", lambda found: self._word(found[1]), text)
        return text

    def _word(self, name: str) -> str:
        if name in ("phrase", "nps"):  # they hold plain blanks alone
            return f"<{name}>"
        if name == "end":
            return _END
        if name == "stop":
            return rf"(?={_END[3:-1]}|[ {_PAUSE}](?:{self._words['joins']})(?!\w))"
        if name == "np":
            return "(?P<np>{nps}){end}"
        if name == "place":
            return f"(?P<place>{{somewhere}})(?:{{stop}}|(?=[ {_PAUSE}](?:{self._words['after_place']})(?!\\w)))"
        return self._words[name]


def _either_blank(part: str) -> str:
    """A blank, or a class of characters with one, of a pattern."""
    return f"[{part}{_PAUSE}]" if part == " " else part.replace(" ", f" {_PAUSE}")


def _lines(text: str) -> str:
    return text.replace("\n", "")


@cache
def remarks() -> tuple[Remarks, ...]:
    """The tables of all languages, compiled once."""
    return tuple(Remarks(table) for table in _tables())


@cache
def _material() -> PastedMaterial:
    return PastedMaterial(_tables())


@cache
def _tables() -> tuple[dict[str, Any], ...]:
    folder = resources.files("netgpt.context").joinpath("remarks")
    return tuple(tomllib.loads(folder.joinpath(f"{name}.toml").read_text(encoding="utf-8")) for name in LANGUAGES)


def proposals(message: str, today: date) -> list[Proposal]:
    """The facts that a person states of themselves in the message that they typed, at most five, each once.

    `today`: the date where the person is, for "turns six on Friday". Takes time in proportion to the message, which is
    not read at all beyond 4,000 characters.
    """
    text = cleaned(message)
    found: dict[str, Proposal] = {}
    end: int | None = None
    for table in remarks() if text else ():
        for said in sentences(text, table.labels):
            for at, proposal in _of_sentence(table, said, today):
                if end is None:
                    end = _material().end_of_own(text)
                if said.start + at <= end:
                    found.setdefault(proposal.text.casefold(), proposal)
    return list(found.values())[:MOST]


def _of_sentence(table: Remarks, said: Sentence, today: date) -> Iterator[tuple[int, Proposal]]:
    """(where it ends, proposal) of each construction in the sentence that nothing speaks against."""
    if len(said.text) > LONGEST_SENTENCE:
        return
    text, after = table.pauses.sub(_PAUSE, said.text), 0
    for start in islice(table.starts.finditer(said.text), STARTS):
        before = text[max(0, start.start() - _LEAD) : start.start()].replace(_PAUSE, " ")
        if start.start() < after or FILLER in before[-2:] or table.leads.search(before) is None:
            continue
        for rule in table.rules:
            match = rule.pattern.match(text, start.start())
            if match is None or rule.narrowed.match(said.text, match.end()):
                continue
            if not all(whole.fullmatch(match[name]) for name, whole in rule.lists):
                continue
            if _spoken_against(table, text, match):
                break
            note = _note(table, rule, match, today)
            if note is not None:
                label = Label.SENSITIVE if rule.kind in SENSITIVE or table.sensitive.search(note) else Label.PERSONAL
                yield match.end(), Proposal(note, rule.kind, label, re.sub(f"{FILLER}+", "...", said.text))
                after = match.end()
            break


def _spoken_against(table: Remarks, text: str, match: re.Match[str]) -> bool:
    """Whether it is conditional, hedged, for the moment only, somebody else's words, or asked."""
    text = text.replace(_PAUSE, " ")
    before, rest = text[: match.start()], text[match.end() :]
    stop = _AFTER_MATCH.search(rest)
    part = rest[: stop.start()] if stop else rest
    if table.before.search(before) or table.after.search(text[match.start() : match.end() + len(part)]):
        return True
    if FILLER in text[match.start() : match.end() + len(part)] or not text.rstrip().endswith("?"):
        return FILLER in text[match.start() : match.end() + len(part)]
    if _TAG.match(rest):
        return True
    goes_on = rest[len(part) :].strip(" ?!.)-") or table.asks.match(part.strip())
    return not goes_on and table.causes.search(before) is None


def _note(table: Remarks, rule: Construction, match: re.Match[str], today: date) -> str | None:
    spoken = {name: value.replace(_PAUSE, " ").strip() for name, value in match.groupdict().items() if value}
    groups = {name: value for name, value in spoken.items() if value}
    if rule.dated and "when" in groups:
        groups["when"] = f"{groups['when']}{_meant(table.grammar, groups['when'], today)}"
    note = re.sub(r"\{([^{}]*?)(\w+)\}", lambda found: _part(table, found, groups), rule.note)
    note = " ".join(note.split())
    for pattern, instead in table.grammar["afterwards"]:
        note = re.sub(pattern, instead, note, flags=re.IGNORECASE)
    return note if len(note) <= LONGEST_FACT and note.isprintable() else None


def _part(table: Remarks, found: re.Match[str], groups: Mapping[str, str]) -> str:
    """One place of a note: "{x}", "{ called n}" (nothing without n), "{3verb}" (third person)."""
    lead, name = found[1], found[2]
    if name == "a":
        return "{a}"
    if name.startswith("3"):
        return _third(table, groups[name[1:]])
    if name == "doesnt":
        return str(table.grammar["not"][groups["not"].casefold()])
    if name == "xyz":
        return groups.get("z") or f"{lead}{groups.get('x') or groups.get('y')}"
    if name == "when":
        return f" {groups['when']}" if "when" in groups else ""
    return f"{lead}{groups[name]}" if name in groups else ""


def _third(table: Remarks, verb: str) -> str:
    """ "get up" -> "gets up"."""
    irregular = table.grammar["verbs"]
    if verb.casefold() in irregular:
        return str(irregular[verb.casefold()])
    first, blank, rest = verb.partition(" ")
    known = irregular.get(first.casefold())
    if known is None:
        ending = "es" if first.endswith(("s", "sh", "ch", "x", "o")) else "s"
        known = f"{first[:-1]}ies" if re.search("[^aeiou]y$", first) else f"{first}{ending}"
    return f"{known}{blank}{rest}"


def _meant(grammar: Mapping[str, Any], when: str, today: date) -> str:
    """The date behind a relative time: " (5 December 2025)"; of one without a day, when it was said."""
    words = when.casefold().split()
    ahead: int | None = None
    if grammar["today"] in words or grammar["tomorrow"] in words:
        ahead = int(grammar["tomorrow"] in words)
    elif not any(word.startswith(grammar["next"]) for word in words):
        named = [number for number, day in enumerate(grammar["days"]) if day in words]
        ahead = (named[0] - today.weekday() - 1) % 7 + 1 if named else None
    if ahead is not None:
        return f" ({_spelled(grammar, today + timedelta(days=ahead))})"
    return "" if re.search(r"\d{4}", when) else f" ({grammar['said'].format(date=_spelled(grammar, today))})"


def _spelled(grammar: Mapping[str, Any], day: date) -> str:
    names = {"day": day.day, "month": day.month, "name": MONTHS[day.month - 1], "year": day.year}
    return str(grammar["date"].format_map(names))
