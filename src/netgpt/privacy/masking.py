"""Masking: collects all texts of a body, has them searched, and replaces what was found, in rounds."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any, Protocol

from netgpt.errors import NotDisclosable
from netgpt.privacy.body import DROP, PROGRAM, BodyVisitor, Seen, TextPosition, may_be_random, unsigned
from netgpt.privacy.computing import Computing
from netgpt.privacy.detector import PLUGGED, Detector, merge_spans
from netgpt.privacy.detectors import find_in_id, find_keys, find_patterns, is_excepted
from netgpt.privacy.detectors.profile_values import find_values, needles_of
from netgpt.privacy.figures import FIGURE, find_figures
from netgpt.privacy.generalize import Coarser, Generaliser
from netgpt.privacy.identities import (
    LEAST_IN_ID,
    FoundBefore,
    is_identifier,
    is_ordinary,
    names_in,
    spoken,
    within_titles,
)
from netgpt.privacy.kinds import EXACT, NAMES, ORDER, PLACEHOLDER, SURE_NAMES, TermsOf, bracketed
from netgpt.privacy.scripts import ALL, unread_scripts
from netgpt.privacy.variants import lookalikes, read, replace_all, variants
from netgpt.registry import holds_texts
from netgpt.types import Generalised, Hidden, Kept, Span, Terms

_LITERAL = "LITERAL"
"""The caller's own words that look like a placeholder: no private value, so no policy is asked."""
PUBLIC = "public"
"""The precision of words that are public anyway."""
_LONGEST = 1_000
"""Characters. A longer value is never written out: it could contain anything."""


class Names(Protocol):
    """What masking needs of the vault: the names of placeholders."""

    def name_for(self, kind: str, original: str) -> str: ...
    def originals(self) -> Mapping[str, str]: ...
    def kinds(self) -> frozenset[str]: ...
    def used_kinds(self) -> frozenset[str]: ...
    def pseudonym(self, user: str) -> str: ...
    def reserve(self, names: frozenset[str]) -> None: ...
    def meet(self, people: Sequence[str]) -> None: ...


class Anonymizer:
    """Replaces the private values of one sealing, on the terms of a policy, and counts what it did.

    A value is written at the first allowed level at which it can be: as it is, generalized, or as a placeholder. One
    that may leave at no level keeps the whole request on the box.
    """

    def __init__(
        self, names: Names, values: Sequence[tuple[str, str]], terms: TermsOf, generaliser: Generaliser | None
    ) -> None:
        """`values`: of the profile. `generaliser` None: nothing is generalized."""
        self._names, self._values = names, values
        self._terms, self._generaliser = terms, generaliser
        self._counts: Counter[str] = Counter()
        self._rules: dict[str, tuple[str, str]] = {}
        self._coarser: Counter[tuple[str, str, str, str, str]] = Counter()
        self._kept: Counter[tuple[str, str]] = Counter()
        self._written = ""
        self.finds: list[tuple[str, Span]] = []
        """(placeholder's name, find) of all that was hidden, in the order of writing."""
        self.kinds: set[str] = set()
        """All kinds found."""
        self.computing = Computing(names, terms)

    def write(self, span: Span, text: str, original: str, *, free: bool, bare: bool = False) -> str:
        """How `text` is written. `original`: the value of its placeholder. `free`: it may be generalized here. `bare`:
        placeholders are written without brackets."""
        self.kinds.add(span.kind)
        if span.kind == _LITERAL:
            return self._placeholder(span, original, "", bare)
        terms = self._terms(span.kind, False)
        for precision, rule in terms.allowed:
            if precision == PLACEHOLDER or (precision == ORDER and self.computing.orders_names):
                return self._placeholder(span, original, rule, bare)
            words = self._generalized(span, text, precision, rule) if free or precision == EXACT else None
            if words is not None:
                return words
        self._kept[span.kind, _impossible(terms) if terms.allowed else terms.refused_by] += 1
        return self._placeholder(span, original, "", bare)

    def passes_as_public(self, span: Span) -> bool:
        """Whether words that are public may stay; counts them."""
        terms = self._terms(span.kind, True)
        if not terms.allowed or terms.allowed[0][0] != EXACT:
            return False
        if rule := terms.allowed[0][1]:
            self._coarser[span.kind, PUBLIC, EXACT, span.rule, rule] += 1
        return True

    def lets_figures_leave(self) -> bool:
        """Whether names of publicly known people may leave where they are a subject of knowledge."""
        allowed = self._terms(FIGURE, True).allowed
        return bool(allowed) and allowed[0][0] == EXACT

    def note_unread(self, script: str) -> None:
        """A text left in whose script no names are looked for."""
        self._coarser["TEXT", f"{script} script", EXACT, "no names are looked for", "privacy.languages"] += 1

    def is_placeholder(self, written: str) -> bool:
        """Whether `write` gave the name of a placeholder."""
        return written.strip("[]") in self._counts

    def let_through(self, text: str) -> bool:
        """Whether these words were written on purpose in an earlier round."""
        return plain_words(text) in self._written

    def _placeholder(self, span: Span, original: str, rule: str, bare: bool) -> str:
        name = self._names.name_for(span.kind, original)
        self._counts[name] += 1
        self.finds.append((name, span))
        self._rules.setdefault(name, (span.rule, rule))
        return name if bare else bracketed(name)

    def _generalized(self, span: Span, text: str, precision: str, rule: str) -> str | None:
        """The text at this precision, when that is possible and reveals nothing else."""
        computed = self.computing.written(span, text, precision)
        coarser = Coarser(computed, EXACT, precision) if computed else self._at(precision, text, span.kind)
        if coarser is None or not self._may_stay(coarser.words):
            return None
        self._coarser[span.kind, coarser.was, coarser.now, span.rule, rule] += 1
        self._written += "|" + plain_words(coarser.words)
        return coarser.words

    def _at(self, precision: str, text: str, kind: str) -> Coarser | None:
        if precision == EXACT:
            return Coarser(text, EXACT, EXACT)
        return self._generaliser.coarser(text, kind, precision) if self._generaliser else None

    def _may_stay(self, words: str) -> bool:
        """Whether everything that would be found in these words may itself be written so: an address inside a name,
        a town of the profile inside a coarser place."""
        if len(words) > _LONGEST:
            return False
        for span in (*merge_spans(find_patterns(words)), *find_values(words, self._values)):
            text = words[span.start : span.end]
            forms = (self._at(precision, text, span.kind) for precision, _ in self._terms(span.kind, False).allowed)
            if not any(form is not None and form.words == text for form in forms):
                return False
        return True

    def used(self) -> Collection[str]:
        """The names of all placeholders that were written."""
        return self._counts.keys()

    def hidden(self) -> tuple[Hidden, ...]:
        """The placeholders, without their values."""
        return tuple(
            Hidden(bracketed(name), name.rpartition("_")[0], self._rules[name][0], count, self._rules[name][1])
            for name, count in self._counts.items()
        )

    def generalised(self) -> tuple[Generalised, ...]:
        """What was written at a coarser level, or as it was."""
        return tuple(Generalised(*key, count) for key, count in self._coarser.items())

    def kept(self) -> tuple[Kept, ...]:
        """What may leave at no level."""
        return tuple(Kept(kind, rule, count) for (kind, rule), count in self._kept.items())


def kept_by_policy(kept: Sequence[Kept]) -> NotDisclosable:
    """The error that names the kinds that keep a request on the box, with their rules, never a value."""
    rules = "; ".join(dict.fromkeys(f"{each.kind}: {each.policy_rule}" for each in kept))
    return NotDisclosable(f"the policy keeps it on the box ({rules})", code="kept_by_policy")


def plain_words(text: str) -> str:
    """Lower-case words, each between single spaces: " portwick eastshire " is in " at portwick eastshire uk "."""
    return " " + " ".join(re.findall(r"\w+", text.casefold())) + " "


def _impossible(terms: Terms) -> str:
    """Why a value stays that is allowed at coarser levels only, and has none of them."""
    return "cannot be generalized to " + ", ".join(f"{precision} ({rule})" for precision, rule in terms.allowed)


_PUBLIC_KINDS = frozenset(("PLACE", "ORG", "PRODUCT", "NATIONALITY", "ADDRESS"))
_SEGMENT = re.compile(r"[A-Za-z0-9]")
_GENERIC_SPEAKERS = frozenset(
    ("user", "assistant", "system", "developer", "tool", "bot", "human", "ai", "example_user", "example_assistant")
)
_PERSON_LIKE = re.compile(r"[^\W\d_][\w'’\-]+(?:[ \t]+[^\W\d_][\w'’.\-]*){1,3}")


_NAME_IN_SCRIPT = re.compile(r"[\u0370-\u1fff\u2e80-\ud7ff\uf900-\ufdff\ufe70-\ufeff][^\x00-\x1f\d@:/]{1,39}")
"""A name in another script than the Latin, where it stands alone in a field for names."""


@dataclass(slots=True)
class MaskPlan:
    """All strings and numbers of a body, in order."""

    seen: list[Seen]
    groups: list[list[int]]

    @property
    def size(self) -> int:
        """Characters to be searched."""
        return sum(len(item.text) for item in self.seen if item.place is not TextPosition.BLOB)


def plan(body: Mapping[str, Any], media: str, passes: Collection[str] = ()) -> MaskPlan:
    """Visit the body without changing it."""
    seen: list[Seen] = []

    def note(item: Seen) -> str:
        seen.append(item)
        return item.text

    visitor = BodyVisitor(note, media=media, passes=passes)
    visitor.body(body)
    return MaskPlan(seen, visitor.groups)


class Masking:
    """The rounds of one sealing. What they find is replaced by `anonymizer`."""

    def __init__(
        self,
        names: Names,
        anonymizer: Anonymizer,
        values: list[tuple[str, str]],
        media: str,
        public: Sequence[str],
        passes: Collection[str] = (),
        *,
        exceptions: Collection[str] = (),
        languages: tuple[str, ...] = (ALL,),
        hide_figures: bool = False,
    ) -> None:
        """`values` is shared with `anonymizer`: names of a message's author are added to it. `passes`: names of unknown
        fields that the owner lets pass. `exceptions`: words that the owner says are not private. `languages`: in whose
        scripts names are looked for. `hide_figures`: also names of publicly known people are hidden."""
        self._exceptions = exceptions
        self._names = names
        self._anonymizer = anonymizer
        self._values = values
        self._media = media
        self._passes = passes
        self._languages, self._hide_figures = languages, hide_figures
        self._needles = needles_of(values)
        self._before = FoundBefore()
        self._public = "|".join(plain_words(phrase) for phrase in public)
        self._phrases = tuple(phrase for phrase in public if phrase)
        self._pseudonyms: set[str] = set()
        self.rounds = 0

    async def round(
        self, body: Mapping[str, Any], planned: MaskPlan, detector: Detector
    ) -> tuple[Mapping[str, Any], MaskPlan | None]:
        """The body with everything hidden that was found, and its plan; None: as the one before, nothing was hidden.

        `planned`: of `body`.
        """
        self.rounds += 1
        if self.rounds == 1:
            self._learn_speakers(planned.seen)
            self._needles = needles_of(self._values)
            self._reserve_names(planned.seen)
            self._note_unread(planned.seen)
        found = await self._search(planned, detector)
        if self.rounds == 1:
            found = self._anonymizer.computing.look(planned.seen, found)
        written = [self._mask(item, spans) for item, spans in zip(planned.seen, found, strict=True)]
        if self.rounds > 1 and all(new == item.text for new, item in zip(written, planned.seen, strict=True)):
            return body, None
        following = iter(written)
        masked = BodyVisitor(lambda _: next(following), media=self._media, passes=self._passes).body(body)
        return masked, plan(masked, self._media, self._passes)

    def _note_unread(self, seen: Sequence[Seen]) -> None:
        texts = (item.text for item in seen if item.place is TextPosition.PROSE)
        for script in dict.fromkeys(s for text in texts for s in unread_scripts(text, self._languages)):
            self._anonymizer.note_unread(script)

    def _learn_speakers(self, seen: Sequence[Seen]) -> None:
        """The name of a message's author is hidden in the texts, too."""
        speakers = {item.text for item in seen if item.place is TextPosition.SPEAKER and item.text.strip()}
        self._values += [("PERSON", name) for name in speakers if _is_personal(name) and len(name) > 2]

    def _reserve_names(self, seen: Sequence[Seen]) -> None:
        """The caller's identifiers that look like placeholders keep their meaning: no placeholder gets such a name."""
        pattern = variants(self._all_kinds())
        texts = {item.text for item in seen if item.place in _IDENTIFIERS}
        self._names.reserve(frozenset(read(match) for text in texts for match in pattern.finditer(text.upper())))

    def _all_kinds(self) -> frozenset[str]:
        return self._names.kinds() | {kind for kind, _ in self._values}

    async def _search(self, planned: MaskPlan, detector: Detector) -> list[list[Span]]:
        """The spans of each text; names are looked for in prose and in keys, in the first round."""
        first = self.rounds == 1
        texts = [(item.text, _wanted(item) if first and _may_be_named(item) else 0) for item in planned.seen]
        joined = [
            ("".join(planned.seen[i].text for i in group), _wanted(planned.seen[group[0]]) if first else 0)
            for group in planned.groups
        ]
        read = [(spoken(item.text)[0], _wanted(item)) if first and _is_spoken(item) else None for item in planned.seen]
        searched = (text for text, item in zip(texts, planned.seen, strict=True) if item.place is not TextPosition.BLOB)
        unique = list(dict.fromkeys([*searched, *joined, *(text for text in read if text)]))
        results = await detector.detect(
            [text for text, _ in unique], values=self._values, names=[named for _, named in unique]
        )
        found = dict(zip(unique, results, strict=True))
        spans = [list(found.get(text, ())) for text in texts]
        for text, group in zip(joined, planned.groups, strict=True):
            _share(found[text], group, planned.seen, spans)
        for item, words, into in zip(planned.seen, read, spans, strict=True):
            into += names_in(item.text, (s for s in found[words] if s.kind == "PERSON")) if words else ()
        return spans

    def _mask(self, item: Seen, spans: list[Span]) -> Any:
        if item.place is TextPosition.USER:
            return self._user(item.text)
        if item.place is TextPosition.MODEL:
            if any(span.rule != "profile" for span in spans):
                raise NotDisclosable("the model's name looks like private data; nothing was sent", param="model")
            return item.text
        if item.place is TextPosition.PARAMETER:
            return DROP if self._is_somebodys(item.text, spans) else item.text
        if item.place is TextPosition.NUMBER:
            return self._number(item, spans)
        spans = list(self._in_id(item, spans)) if item.place in _IDS else self._all_spans(item, spans)
        return self._replaced(item, self._whole_placeholders(item, spans)) if spans else item.text

    def _user(self, user: str) -> str:
        if user in self._pseudonyms:
            return user
        alias = self._names.pseudonym(user)
        self._pseudonyms.add(alias)
        return alias

    def _is_somebodys(self, number: str, spans: Sequence[Span]) -> bool:
        """Whether a parameter is a private number and nothing else; most random ones are a telephone number's, too."""
        bare = number.lstrip("-").removesuffix(".0")
        return any(
            s.end - s.start >= max(4, len(bare)) and (s.rule != "pattern:phone" or len(bare) >= _DIALLED)
            for s in (*spans, *self._before.as_number(number))
        )

    def _number(self, item: Seen, spans: list[Span]) -> str:
        if self.rounds > 1 and self._anonymizer.let_through(item.text):
            return item.text
        spans = [*spans, *self._before.as_number(item.text)]
        hinted = item.hint == "PHONE" and sum(c.isdigit() for c in item.text) >= 6
        if not spans and not hinted:
            return item.text
        span = max(spans, key=lambda s: s.end - s.start) if spans else Span(0, 0, "PHONE", "field name")
        return self._anonymizer.write(span, item.text, item.text, free=False)

    def _in_id(self, item: Seen, spans: list[Span]) -> Sequence[Span]:
        """What keeps an id, an address or a signature from passing as it is: a key or a value that was put there."""
        text = item.text
        if item.place is TextPosition.BLOB:
            begins = [s for s in _keys_in(text[:_BEGINNING]) if s.start == 0]
            return [replace(begins[0], end=len(text))] if begins else ()
        found = [s for s in spans if s.rule.startswith(PLUGGED)]
        if item.place is TextPosition.ID:
            hidden = list(_keys_in(text))
            least, again = LEAST_IN_ID, self._before.in_id(text)
        elif item.place is TextPosition.ADDRESS:
            hidden = [s for s in _in_id_by_form(text) if s.rule != _RANDOM and not _is_signature(text, s)]
            least, again = 4, self._before.in_id(text)
        else:
            hidden = [s for s in _in_id_by_form(text) if s.rule != _RANDOM or not may_be_random(text)]
            least, again = 4, self._before.in_identifier(text)
        found += hidden if self.rounds == 1 else [s for s in hidden if not self._may_stay(text, s)]
        found += [s for s in self._needles.find(text, whole_words=False) if s.end - s.start >= least]
        found += again if self.rounds > 1 else ()
        found += self._literals(item) if self.rounds == 1 and item.place is TextPosition.LOOSE_ID else ()
        return merge_spans([_segments(text, span) for span in found])

    def _all_spans(self, item: Seen, spans: list[Span]) -> list[Span]:
        """What the detector found, and what follows from the position."""
        everything = [s for s in spans if not self._may_stay(item.text, s)]
        if item.place is TextPosition.KEY:
            everything = [s for s in everything if s.rule != "names" or _names_somebody(item.text, s)]
        if item.place in (TextPosition.NAME, TextPosition.SPEAKER, TextPosition.KEY):
            loose = self._needles.find(item.text, whole_words=False)
            everything += [_segments(item.text, s) for s in loose if s.end - s.start >= 4]
            everything += self._before.in_identifier(item.text) if self.rounds > 1 else ()
            everything = [_segments(item.text, s) for s in everything]
        if self.rounds > 1:
            again = self._before.in_text(item.text) if item.place is TextPosition.PROSE else ()
            return merge_spans([*everything, *(s for s in again if not self._may_stay(item.text, s))])
        if item.place is TextPosition.SPEAKER and _is_personal(item.text):
            everything.append(Span(0, len(item.text), "PERSON", "name field"))
        everything += [s for s in _hinted(item) if not self._may_stay(item.text, s)]
        everything += find_figures(item.text) if self._hide_figures and item.place is TextPosition.PROSE else ()
        return merge_spans([*everything, *self._literals(item)])

    def _literals(self, item: Seen) -> list[Span]:
        """The caller's own words that look like a placeholder; in identifiers only those that are one."""
        if not _DIGIT.search(item.text):
            return []
        taken = self._names.originals()
        return [
            Span(match.start(), match.end(), "LITERAL", "literal", 0.0)
            for match in lookalikes(self._all_kinds()).finditer(item.text)
            if item.place not in _IDENTIFIERS or read(match) in taken
        ]

    def _may_stay(self, text: str, span: Span) -> bool:
        """Whether words are public, or were written on purpose in an earlier round."""
        found = text[span.start : span.end]
        if self.rounds > 1 and self._anonymizer.let_through(found):
            return True
        if is_excepted(span, found, self._exceptions, self._values):
            return True
        if span.rule != "names" or plain_words(found) not in self._public:
            return False
        # A shop's "Smith" is not every Smith, and the clock's "47" is nobody's age.
        anywhere = span.kind in _PUBLIC_KINDS or (span.kind == "PERSON" and len(found.split()) > 1)
        return (anywhere or self._in_public_text(text, span)) and self._anonymizer.passes_as_public(span)

    def _in_public_text(self, text: str, span: Span) -> bool:
        """Whether the words are part of a public text that is written out whole, such as the fact about the clock."""
        places = ((text.find(phrase), len(phrase)) for phrase in self._phrases)
        return any(0 <= at <= span.start and span.end <= at + length for at, length in places)

    def _whole_placeholders(self, item: Seen, spans: list[Span]) -> list[Span]:
        """In later rounds: spans widened to whole placeholders and shifted dates, without those inside one."""
        if self.rounds == 1:
            return spans
        own = self._anonymizer.computing.places(item.text)
        own += [(m.at, m.until) for m in variants(self._names.used_kinds()).finditer(item.text)]
        result = []
        for span in spans:
            touched = [(a, b) for a, b in own if a < span.end and span.start < b]
            uncovered = set(range(span.start, span.end)) - {i for a, b in touched for i in range(a, b)}
            if any(item.text[i].isalnum() for i in uncovered):
                start = min([span.start, *(a for a, _ in touched)])
                end = max([span.end, *(b for _, b in touched)])
                result.append(replace(span, start=start, end=end))
        return merge_spans(result)

    def _replaced(self, item: Seen, spans: list[Span]) -> str:
        pieces, done = [], 0
        in_prose = item.place is TextPosition.PROSE
        bare = not in_prose and (item.place is not TextPosition.KEY or is_identifier(item.text))
        spans = [_without_titles(item.text, span) for span in spans]
        self._names.meet([self._original(item.text[s.start : s.end]) for s in spans if s.kind == "PERSON"])
        for span in spans:
            text = item.text[span.start : span.end]
            # only original words are generalized, and no identifiers
            free = in_prose and self.rounds == 1
            written = self._anonymizer.write(span, text, self._original(text), free=free, bare=bare)
            if self.rounds == 1 and span.kind != _LITERAL and self._anonymizer.is_placeholder(written):
                self._before.add(span.kind, text, span.rule)
            pieces += [item.text[done : span.start], written]
            done = span.end
        return "".join([*pieces, item.text[done:]])

    def _original(self, text: str) -> str:
        """The text before the first round, so that one pass restores it."""
        if self.rounds == 1:
            return text
        text, originals = self._anonymizer.computing.original(text), self._names.originals()
        return replace_all(variants(self._names.used_kinds()), text, originals) if originals else text


def _without_titles(text: str, span: Span) -> Span:
    """The tagger's "Ms Khumalo" without "Ms", which the model may read."""
    if span.kind != "PERSON" or span.rule != "names":
        return span
    start, end = within_titles(text[span.start : span.end])
    return replace(span, start=span.start + start, end=span.start + end)


_IDS = (TextPosition.ID, TextPosition.LOOSE_ID, TextPosition.ADDRESS, TextPosition.BLOB)
_IDENTIFIERS = (TextPosition.NAME, TextPosition.KEY, *_IDS)
_DIGIT = re.compile(r"\d")
_DIALLED = 11
"""Digits of a telephone number with its country's code."""
_RANDOM = "pattern:random"
"""The rule of what only looks like chance: in an id that is the rule, not a secret."""
_BEGINNING = 160
"""Characters of a signature that are looked at: a key that was put in its place begins where it begins."""


@holds_texts
@lru_cache(maxsize=4_096)
def _in_id_by_form(text: str) -> tuple[Span, ...]:
    return tuple(find_in_id(text))


@holds_texts
@lru_cache(maxsize=4_096)
def _keys_in(text: str) -> tuple[Span, ...]:
    """Known forms of keys, addresses with a password and e-mail addresses; not what only looks random."""
    return tuple(span for span in find_keys(text) if span.rule != _RANDOM)


def _is_signature(url: str, span: Span) -> bool:
    """Whether a find in an address is there for the signature that lets one picture be read."""
    secret = span.kind in ("API_KEY", "URL") and span.rule != "pattern:api_key"
    return secret and not _keys_in(unsigned(url))


def _may_be_named(item: Seen) -> bool:
    """Whether the tagger reads the text as it is: prose, and keys that are words rather than identifiers."""
    if item.place is TextPosition.KEY:
        return not is_ordinary(item.text) and (not is_identifier(item.text) or item.text.istitle())
    return item.place is TextPosition.PROSE


def _wanted(item: Seen) -> int:
    """How names are looked for in this text."""
    return SURE_NAMES if item.voice == PROGRAM else NAMES


def _is_spoken(item: Seen) -> bool:
    """Whether the tagger reads an identifier as the words it is made of."""
    named = item.place in (TextPosition.KEY, TextPosition.NAME)
    return named and is_identifier(item.text) and not is_ordinary(item.text)


def _names_somebody(key: str, span: Span) -> bool:
    """Whether the tagger's find in a key counts: one word alone, only as a person."""
    found = key[span.start : span.end]
    return not is_ordinary(found) and (span.kind == "PERSON" or not is_identifier(key))


def _is_personal(name: str) -> bool:
    return name.strip().lower() not in _GENERIC_SPEAKERS


def _hinted(item: Seen) -> list[Span]:
    """The whole text of a field whose name suggests private data: `{"customer_name": "Ada Lovelace"}`."""
    text = item.text
    if item.hint is None or not 2 <= len(text.strip()) <= 120 or "\n" in text:
        return []
    digits = sum(c.isdigit() for c in text)
    fits = {
        "EMAIL": "@" in text,
        "PHONE": digits >= 6,
        "ADDRESS": any(c.isalpha() for c in text) or digits >= 4,
        "PLACE": any(c.isalpha() for c in text) and len(text) <= 60,
        "PERSON": bool(_PERSON_LIKE.fullmatch(text.strip()) or _NAME_IN_SCRIPT.fullmatch(text.strip())),
    }
    return [Span(0, len(text), item.hint, "field name", 0.4)] if fits.get(item.hint) else []


def _segments(text: str, span: Span) -> Span:
    """The span widened to whole runs of letters and digits: a placeholder without brackets must stand apart."""
    start, end = span.start, span.end
    while start > 0 and _SEGMENT.match(text[start - 1]) and _SEGMENT.match(text[start]):
        start -= 1
    while end < len(text) and _SEGMENT.match(text[end]) and _SEGMENT.match(text[end - 1]):
        end += 1
    return replace(span, start=start, end=end)


def _share(found: Sequence[Span], group: list[int], seen: Sequence[Seen], spans: list[list[Span]]) -> None:
    """Add to each part its pieces of the spans that were found in the joined text.

    A name counts only when it crosses a border; a pattern may need the words of the part before.
    """
    begins = [0, *accumulate(len(seen[number].text) for number in group)]
    for span in found:
        first = bisect_right(begins, span.start) - 1
        last = bisect_left(begins, span.end) - 1
        for place in range(first, last + 1) if last > first or span.rule.startswith(("pattern:", "plugin:")) else ():
            start, end = max(span.start, begins[place]), min(span.end, begins[place + 1])
            if start < end:
                piece = replace(span, start=start - begins[place], end=end - begins[place])
                spans[group[place]].append(piece)
