"""One round of masking: collect all texts of a body, have them searched, cut what was found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netgpt.errors import NotDisclosable
from netgpt.privacy.detect import Detector, merge_spans
from netgpt.privacy.placeholders import kinds_of, lookalikes, read, replace_all, variants
from netgpt.privacy.values import find_values
from netgpt.privacy.walk import DROP, Seen, TextPosition, Walk
from netgpt.privacy.wording import Names, Wording, plain_words
from netgpt.types import Span

__all__ = ["MaskPlan", "Masking", "plan"]

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

    walk = Walk(note, media=media)
    walk.body(body)
    result.groups = walk.groups
    return result


class Masking:
    """The rounds of one sealing. How what they find is written, and the account of it, is `wording`'s."""

    def __init__(
        self, names: Names, wording: Wording, values: list[tuple[str, str]], media: str, public: Sequence[str]
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

        return Walk(cut, media=self._media).body(body), hid

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
    if len(pieces) > 1 or span.rule.startswith("pattern:"):
        for number, piece in pieces:
            spans[number].append(piece)
