"""One round of masking: collect all texts of a body, have them searched, cut what was found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from netgpt.errors import NotDisclosable
from netgpt.privacy.body import DROP, BodyVisitor, Seen, TextPosition
from netgpt.privacy.detector import Detector, merge_spans
from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.detectors.profile_values import find_values
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.kinds import (
    EXACT,
    PLACEHOLDER,
    TermsOf,
    bracketed,
    kinds_of,
    lookalikes,
    read,
    replace_all,
    variants,
)
from netgpt.types import Generalised, Hidden, Kept, Span, Terms

# --- How each private value is written, on the terms that it may leave on; and the account of it.
#
# The first rung of the ladder that the terms allow and the value can be told in is taken: as it is, in coarser
# words, or as a placeholder. A value that may leave in no form keeps the whole request on the box.

_LITERAL = "LITERAL"
"""The caller's own words that look like a placeholder: no private value, so no policy is asked."""
PUBLIC = "public"
"""Stands for the precision of words that are public anyway, in the account."""
_LOOKED_AT = 1_000
"""Characters. A longer value is not written out, whatever the terms: it could hold anything."""


class Names(Protocol):
    """What masking needs of the vault."""

    def name_for(self, kind: str, original: str) -> str: ...
    def originals(self) -> Mapping[str, str]: ...
    def kinds(self) -> frozenset[str]: ...
    def pseudonym(self, user: str) -> str: ...
    def reserve(self, names: frozenset[str]) -> None: ...


class Anonymizer:
    """The words of one sealing."""

    def __init__(
        self, names: Names, values: Sequence[tuple[str, str]], terms: TermsOf, generaliser: Generaliser | None
    ) -> None:
        """`values`: what the profile hides. `generaliser` None: nothing is told in coarser words."""
        self._names, self._values = names, values
        self._terms, self._generaliser = terms, generaliser
        self._counts: Counter[str] = Counter()
        self._rules: dict[str, tuple[str, str]] = {}
        self._coarser: Counter[tuple[str, str, str, str, str]] = Counter()
        self._kept: Counter[tuple[str, str]] = Counter()
        self._through = ""
        self.kinds: set[str] = set()
        """The kinds found so far."""

    def write(self, span: Span, text: str, original: str, *, free: bool, bare: bool = False) -> str:
        """How `text` is written. `original`: what a placeholder in it stands for. `free`: the place takes any words;
        otherwise it is as it is or a placeholder. `bare`: placeholders stand without brackets."""
        self.kinds.add(span.kind)
        if span.kind == _LITERAL:
            return self._placeholder(span, original, "", bare)
        terms = self._terms(span.kind, False)
        for precision, rule in terms.allowed:
            if precision == PLACEHOLDER:
                return self._placeholder(span, original, rule, bare)
            words = self._told(span, text, precision, rule) if free or precision == EXACT else None
            if words is not None:
                return words
        self._kept[span.kind, _cannot(terms) if terms.allowed else terms.refused_by] += 1
        return self._placeholder(span, original, "", bare)

    def passes_as_public(self, span: Span) -> bool:
        """Whether words that are public anyway may stand; notes that they do."""
        terms = self._terms(span.kind, True)
        if not terms.allowed or terms.allowed[0][0] != EXACT:
            return False
        if rule := terms.allowed[0][1]:
            self._coarser[span.kind, PUBLIC, EXACT, span.rule, rule] += 1
        return True

    def let_through(self, text: str) -> bool:
        """Whether these words were written on purpose before: finding them again says nothing new."""
        return bool(self._through) and plain_words(text) in self._through

    def _placeholder(self, span: Span, original: str, rule: str, bare: bool) -> str:
        name = self._names.name_for(span.kind, original)
        self._counts[name] += 1
        self._rules.setdefault(name, (span.rule, rule))
        return name if bare else bracketed(name)

    def _told(self, span: Span, text: str, precision: str, rule: str) -> str | None:
        """The text at this precision, when it can be told so and gives away nothing else."""
        was, now, words = EXACT, EXACT, text
        if precision != EXACT:
            told = self._generaliser.coarser(text, span.kind, precision) if self._generaliser else None
            if told is None:
                return None
            was, now, words = told.was, told.now, told.words
        if not self._may_stand(words):
            return None
        self._coarser[span.kind, was, now, span.rule, rule] += 1
        self._through += "|" + plain_words(words)
        return words

    def _may_stand(self, words: str) -> bool:
        """Whether everything that would be found in these words may itself be written so: an address inside a name,
        a town of the profile inside a coarser place."""
        if len(words) > _LOOKED_AT:
            return False
        found = [*find_patterns(words), *find_values(words, self._values)]
        return all(self._stands(span.kind, words[span.start : span.end]) for span in found)

    def _stands(self, kind: str, text: str) -> bool:
        for precision, _ in self._terms(kind, False).allowed:
            if precision == EXACT:
                return True
            told = self._generaliser.coarser(text, kind, precision) if self._generaliser else None
            if told is not None and told.words == text:
                return True
        return False

    def hidden(self) -> tuple[Hidden, ...]:
        """The placeholders, without their values."""
        return tuple(
            Hidden(bracketed(name), name.rpartition("_")[0], self._rules[name][0], count, self._rules[name][1])
            for name, count in self._counts.items()
        )

    def generalised(self) -> tuple[Generalised, ...]:
        """What was written in coarser words, or as it was."""
        return tuple(Generalised(*told, count) for told, count in self._coarser.items())

    def kept(self) -> tuple[Kept, ...]:
        """What may leave in no form."""
        return tuple(Kept(kind, rule, count) for (kind, rule), count in self._kept.items())


def kept_by_policy(kept: Sequence[Kept]) -> NotDisclosable:
    """The error that names what keeps a request on the box, and each rule that says so; never the value."""
    told = "; ".join(dict.fromkeys(f"{each.kind}: {each.policy_rule}" for each in kept))
    return NotDisclosable(f"the policy keeps it on the box ({told})", code="kept_by_policy")


def plain_words(text: str) -> str:
    """Lower-case words between single spaces: " portwick eastshire " stands in " at portwick eastshire uk "."""
    return " " + " ".join(re.findall(r"\w+", text.casefold())) + " "


def _cannot(terms: Terms) -> str:
    """Allowed in coarser words, but it cannot be told in them: the rules that would have let it."""
    return "cannot be told as " + ", ".join(f"{precision} ({rule})" for precision, rule in terms.allowed)


_PUBLIC_KINDS = frozenset(("PLACE", "ORG", "PRODUCT", "NATIONALITY", "ADDRESS"))
_SEGMENT = re.compile(r"[A-Za-z0-9]")
_GENERIC_SPEAKERS = frozenset(
    ("user", "assistant", "system", "developer", "tool", "bot", "human", "ai", "example_user", "example_assistant")
)
_PERSON_LIKE = re.compile(r"[^\W\d_][\w'’\-]+(?:[ \t]+[^\W\d_][\w'’.\-]*){1,3}")


@dataclass(slots=True)
class MaskPlan:
    """All that a walk saw, in order."""

    seen: list[Seen] = field(default_factory=list)
    groups: list[list[int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Characters to be searched."""
        return sum(len(item.text) for item in self.seen)


def plan(body: Mapping[str, Any], media: str) -> MaskPlan:
    """Walk the body without changing it."""
    result = MaskPlan()

    def note(item: Seen) -> str:
        result.seen.append(item)
        return item.text

    walk = BodyVisitor(note, media=media)
    walk.body(body)
    result.groups = walk.groups
    return result


class Masking:
    """The rounds of one sealing. How what they find is written, and the account of it, is `wording`'s."""

    def __init__(
        self, names: Names, wording: Anonymizer, values: list[tuple[str, str]], media: str, public: Sequence[str]
    ) -> None:
        """`values` is shared with `wording`: names of a message's author are added to it."""
        self._names = names
        self._wording = wording
        self._values = values
        self._media = media
        self._public = "|".join(plain_words(phrase) for phrase in public)
        self._phrases = tuple(phrase for phrase in public if phrase)
        self._pseudonyms: set[str] = set()
        self.rounds = 0

    async def round(self, body: Mapping[str, Any], detector: Detector) -> tuple[dict[str, Any], bool]:
        """The body with everything hidden that was found, and whether anything was."""
        self.rounds += 1
        planned = plan(body, self._media)
        if self.rounds == 1:
            self._learn_speakers(planned.seen)
            self._reserve_names(planned.seen)
        spans = await self._search(planned, detector)
        hid = False
        number = -1

        def cut(item: Seen) -> Any:
            nonlocal number, hid
            number += 1
            new = self._cut(item, spans[number])
            hid = hid or new is DROP or new != item.text
            return new

        return BodyVisitor(cut, media=self._media).body(body), hid

    def _learn_speakers(self, seen: Sequence[Seen]) -> None:
        """The name of a message's author is hidden in the texts too."""
        speakers = {item.text for item in seen if item.place is TextPosition.SPEAKER and item.text.strip()}
        self._values += [("PERSON", name) for name in speakers if _is_personal(name) and len(name) > 2]

    def _reserve_names(self, seen: Sequence[Seen]) -> None:
        """Identifiers that look like placeholders keep their meaning for the model: no placeholder is called so."""
        pattern = variants(self._all_kinds())
        texts = {item.text for item in seen if item.place is TextPosition.NAME}
        self._names.reserve(frozenset(read(match) for text in texts for match in pattern.finditer(text)))

    def _all_kinds(self) -> frozenset[str]:
        return self._names.kinds() | {kind for kind, _ in self._values}

    async def _search(self, planned: MaskPlan, detector: Detector) -> list[list[Span]]:
        joined = ["".join(planned.seen[i].text for i in group) for group in planned.groups]
        texts: dict[tuple[str, bool], int] = {}
        for item in planned.seen:
            texts.setdefault((item.text, item.place is TextPosition.PROSE and self.rounds == 1), len(texts))
        for text in joined:
            texts.setdefault((text, self.rounds == 1), len(texts))
        found = await detector.detect(
            [text for text, _ in texts], values=self._values, names=[wanted for _, wanted in texts]
        )
        spans = [
            list(found[texts[item.text, item.place is TextPosition.PROSE and self.rounds == 1]])
            for item in planned.seen
        ]
        for text, group in zip(joined, planned.groups, strict=True):
            for span in found[texts[text, self.rounds == 1]]:
                _share(span, group, planned.seen, spans)
        return spans

    def _cut(self, item: Seen, spans: list[Span]) -> Any:
        if item.place is TextPosition.USER:
            return self._user(item.text)
        if item.place is TextPosition.MODEL:
            if any(span.rule != "profile" for span in spans):
                raise NotDisclosable("the model's name looks like private data; nothing was sent", param="model")
            return item.text
        if item.place is TextPosition.PARAMETER:
            return DROP if any(s.end - s.start == len(item.text) >= 4 for s in spans) else item.text
        if item.place is TextPosition.NUMBER:
            return self._number(item, spans)
        spans = self._all_spans(item, spans)
        return self._replaced(item, self._kept_whole(item, spans)) if spans else item.text

    def _user(self, user: str) -> str:
        if user in self._pseudonyms:
            return user
        alias = self._names.pseudonym(user)
        self._pseudonyms.add(alias)
        return alias

    def _number(self, item: Seen, spans: list[Span]) -> str:
        if self.rounds > 1 and self._wording.let_through(item.text):
            return item.text
        hinted = item.hint in ("PHONE",) and sum(c.isdigit() for c in item.text) >= 6
        if not spans and not hinted:
            return item.text
        span = max(spans, key=lambda s: s.end - s.start) if spans else Span(0, 0, "PHONE", "field name")
        return self._wording.write(span, item.text, item.text, free=False)

    def _all_spans(self, item: Seen, spans: list[Span]) -> list[Span]:
        """What the detector found, and what the place itself tells."""
        everything = [s for s in spans if not self._may_stand(item.text, s)]
        if item.place in (TextPosition.NAME, TextPosition.SPEAKER):
            loose = find_values(item.text, self._values, whole_words=False)
            everything += [_segments(item.text, s) for s in loose if s.end - s.start >= 4]
            everything = [_segments(item.text, s) for s in everything]
        if self.rounds > 1:
            return merge_spans(everything)
        if item.place is TextPosition.SPEAKER and _is_personal(item.text):
            everything.append(Span(0, len(item.text), "PERSON", "name field"))
        everything += _promised(item)
        return merge_spans([*everything, *self._literals(item)])

    def _literals(self, item: Seen) -> list[Span]:
        """The caller's own words that look like a placeholder; in identifiers only those that are one."""
        taken = self._names.originals()
        return [
            Span(match.start(), match.end(), "LITERAL", "literal", 0.0)
            for match in lookalikes(self._all_kinds()).finditer(item.text)
            if item.place is not TextPosition.NAME or read(match) in taken
        ]

    def _may_stand(self, text: str, span: Span) -> bool:
        """Words that may stand: they are public, or they were written on purpose in an earlier round."""
        found = text[span.start : span.end]
        if self.rounds > 1 and self._wording.let_through(found):
            return True
        if span.rule != "names" or plain_words(found) not in self._public:
            return False
        return (_named(span.kind, found) or self._told_whole(text, span)) and self._wording.passes_as_public(span)

    def _told_whole(self, text: str, span: Span) -> bool:
        """Whether the words stand inside a public text that is written out whole, the fact about the clock, say."""
        places = ((text.find(phrase), len(phrase)) for phrase in self._phrases)
        return any(0 <= at <= span.start and span.end <= at + length for at, length in places)

    def _kept_whole(self, item: Seen, spans: list[Span]) -> list[Span]:
        """In later rounds: spans widened to whole placeholders, and those dropped that lie inside one."""
        originals = self._names.originals()
        if self.rounds == 1 or not originals:
            return spans
        own = [(m.start(), m.end()) for m in variants(kinds_of(originals)).finditer(item.text)]
        result = []
        for span in spans:
            touched = [(a, b) for a, b in own if a < span.end and span.start < b]
            uncovered = set(range(span.start, span.end)) - {i for a, b in touched for i in range(a, b)}
            if any(item.text[i].isalnum() for i in uncovered):
                start = min([span.start, *(a for a, _ in touched)])
                end = max([span.end, *(b for _, b in touched)])
                result.append(Span(start, end, span.kind, span.rule, span.score))
        return merge_spans(result)

    def _replaced(self, item: Seen, spans: list[Span]) -> str:
        pieces, done = [], 0
        for span in spans:
            text = item.text[span.start : span.end]
            bare = item.place in (TextPosition.NAME, TextPosition.SPEAKER)
            # Coarser words are made from the person's own, so in the first round only; and no identifier takes them.
            free = not bare and self.rounds == 1
            pieces += [
                item.text[done : span.start],
                self._wording.write(span, text, self._original(text), free=free, bare=bare),
            ]
            done = span.end
        return "".join([*pieces, item.text[done:]])

    def _original(self, text: str) -> str:
        """What the text stood for before the first round, so that restoring needs one pass."""
        if self.rounds == 1:
            return text
        originals = self._names.originals()
        return replace_all(variants(kinds_of(originals)), text, originals) if originals else text


def _named(kind: str, found: str) -> bool:
    """Whether a find of this kind is public wherever a public text says it: a shop's "Smith" is not every Smith, and
    the clock's "47" is nobody's age."""
    return kind in _PUBLIC_KINDS or (kind == "PERSON" and len(found.split()) > 1)


def _is_personal(name: str) -> bool:
    return name.strip().lower() not in _GENERIC_SPEAKERS


def _promised(item: Seen) -> list[Span]:
    """The whole text of a field whose name promises private data: `{"customer_name": "Ada Lovelace"}`."""
    text = item.text
    if item.hint is None or not 2 <= len(text.strip()) <= 120 or "\n" in text:
        return []
    digits = sum(c.isdigit() for c in text)
    fits = {
        "EMAIL": "@" in text,
        "PHONE": digits >= 6,
        "ADDRESS": any(c.isalpha() for c in text) or digits >= 4,
        "PLACE": any(c.isalpha() for c in text) and len(text) <= 60,
        "PERSON": bool(_PERSON_LIKE.fullmatch(text.strip())),
    }
    return [Span(0, len(text), item.hint, "field name", 0.4)] if fits.get(item.hint) else []


def _segments(text: str, span: Span) -> Span:
    """The span widened to whole runs of letters and digits: a bare placeholder must stand apart from its neighbours."""
    start, end = span.start, span.end
    while start > 0 and _SEGMENT.match(text[start - 1]) and _SEGMENT.match(text[start]):
        start -= 1
    while end < len(text) and _SEGMENT.match(text[end]) and _SEGMENT.match(text[end - 1]):
        end += 1
    return Span(start, end, span.kind, span.rule, span.score)


def _share(span: Span, group: list[int], seen: Sequence[Seen], spans: list[list[Span]]) -> None:
    """Give each part its piece of a span that was found only when the parts were joined.

    A name is taken only where it lies across a border; a form may need the words before it to be told at all.
    """
    offset, pieces = 0, []
    for number in group:
        length = len(seen[number].text)
        start, end = max(span.start - offset, 0), min(span.end - offset, length)
        if start < end:
            pieces.append((number, Span(start, end, span.kind, span.rule, span.score)))
        offset += length
    if len(pieces) > 1 or span.rule.startswith(("pattern:", "plugin:")):
        for number, piece in pieces:
            spans[number].append(piece)
