"""Names and other private words of all texts of a request, by the tagger; what it finds once is hidden everywhere.

A name found in one text is looked for in every text, in any case, and a person's surname or first name also alone: the
tagger may recognize a word in one sentence and not in the next.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from netgpt.privacy.detectors.disguises import views
from netgpt.privacy.detectors.normalize import View, around_changes
from netgpt.privacy.figures import is_figure
from netgpt.privacy.kinds import ALSO_WORDS, AROUND, SURE_NAMES, WORDS_OF_TRADE, word_set
from netgpt.privacy.roles import RoleJudge
from netgpt.privacy.scripts import ALL, readable
from netgpt.privacy.tagger import TAGS, WORD, Tag, Tagger, is_glued
from netgpt.types import Span

PLAIN, NUMBER = 0.3, 0.3
"""Thresholds for lower-case words in a text with capitals and for first words of sentences that are everyday words; for
numbers of up to four digits. They look like names to a tagger that is tuned to miss little, and a cloud cannot work
without them."""
_NEVER = 1.1
_CURRENCY = ("$", "€", "£", "¥", "₹")
_UNITS = word_set("""
    euro euros eur dollar dollars usd pound pounds gbp chf franc francs yen rupees cents percent kg g km m cm mm
    miles mile meters metres litres liters ml mb gb tb kb ms seconds minutes hours days weeks months times items
    people persons words pages points degrees calories watts volts bytes tokens""")
_QUANTITY = re.compile(
    rf"(?:[.,'’]\d{{1,3}}){{0,5}}[ \u00a0]?(?:[%€$£°]|(?:{'|'.join(sorted(_UNITS))})(?![^\W_]))", re.IGNORECASE
)
"""What makes the number before it a quantity, which identifies nobody."""
_CLOCK = re.compile(r"(?<!\d)\d{1,2}:\d\d(?!\d)")
"""A time of day, which is everybody's."""
_LANGUAGES = word_set("""
    arabic chinese czech danish dutch english finnish french german greek hebrew hindi hungarian indonesian italian
    japanese korean latin mandarin norwegian persian polish portuguese romanian russian spanish swedish thai turkish
    ukrainian urdu vietnamese""")
_INTO = re.compile(r"(?i)\b(?:to|into|in|from)\s{1,3}$")


_NOBODY = word_set("ok okay bearer")
_SIZE = re.compile(r"\d+(?:[KMGT]i?B|[munµ]?s)")
_SECONDS = re.compile(r"\d\dZ")
_OF_UUID = re.compile(r"[0-9a-fA-F]{4}|[0-9a-fA-F]{8}|[0-9a-fA-F]{12}")
_UUID = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9a-fA-F])")
_SMALL = re.compile(r"\b[a-z]{3}")
_OF_REPOSITORY = re.compile(r"\.(?:md|txt|rst|toml|json|ya?ml|lock|cfg|in)\b")
"""What follows a word in capitals that is the name of a file which repositories have: README, CLAUDE, HANDOVER."""
_CODED = re.compile(r"[A-Z]?[a-z]+(?:[A-Z][a-z]+)+|[a-z]{1,3}[A-Z]")
"""Words joined by capitals ("useMemo", "AssertionError", "hG"); few names are written so ("McAllister")."""
_ALL_BUT_SURE, _IN_CODE, _IN_PATH = 0.95, 0.5, 0.2
"""Thresholds of such words, and of a folder or a part of a dotted name."""


def least_chance(text: str, start: int, end: int, spelled: bool, is_common: Callable[[str], bool]) -> float:
    """The least probability for the word `text[start:end]`; above 1: never. `spelled`: the text has capitals;
    `is_common`: whether a word in small letters is an everyday one."""
    word = text[start:end]
    if word.isdigit() and len(word) < 3 and _CLOCK.search(text, max(0, start - 3), end + 3):
        return _NEVER
    if word.isdigit() and len(word) < 5:
        return _NEVER if _QUANTITY.match(text, end) or text.endswith(_CURRENCY, 0, start) else NUMBER
    before, after = text[start - 1 : start], text[end : end + 1]
    if len(word) < 5 and word.islower() and before == "." and not text[max(0, start - 2)].isspace():
        return _NEVER  # "report.txt", "<slug>.md"
    lowered = word.lower()
    if lowered in _NOBODY or _SIZE.fullmatch(word) or (before == ":" and _SECONDS.fullmatch(word)):
        return _NEVER
    if "-" in (before, after) and _OF_UUID.fullmatch(word) and _UUID.search(text, max(0, start - 24), end + 32):
        return _NEVER
    if word.isupper() and word.isascii() and _OF_REPOSITORY.match(text, end):
        return _ALL_BUT_SURE
    if _CODED.fullmatch(word):
        return _IN_CODE
    if before == after and before in ("/", ".") and not text[max(0, start - 2)].isspace():
        return _IN_PATH
    if lowered in _LANGUAGES and _INTO.search(text, max(0, start - 8), start):
        return _NEVER
    if lowered in _UNITS and text[max(0, start - 3) : start].rstrip()[-1:].isdigit():
        return _NEVER
    if spelled and word.isascii() and (word.islower() or (_begins(text, start) and is_common(lowered))):
        return PLAIN
    if word.isupper() and len(word) > 3 and is_common(lowered) and _SMALL.search(text, max(0, start - 40), end + 40):
        return PLAIN  # "ONLY EVER", said with emphasis
    return 0.0


def _begins(text: str, at: int) -> bool:
    """Whether a sentence begins here."""
    before = text[max(0, at - 4) : at].rstrip(" \t\"'“(*-•#>")
    return not before or before[-1] in ".!?:\n"


SHORT, DOCUMENT, GLUED, FOREIGN = (0.10, 0.30), (0.02, 0.02), (0.15, 0.40), (0.15, 0.45)
"""Least probabilities of a private word, and of the surest word of a find: in a short request, in a long text, in
scripts without blanks, where a word is one sign, and in other scripts than the Latin, of which less was learnt."""
PROGRAM = (0.10, 0.50)
"""The same in what a program says to a model: pages of instructions and definitions of tools, full of words with
capitals. A name in them stands at 0.85 and more, what is none below a half."""
SHORT_CHARS, DOCUMENT_CHARS = 110, 180
"""A request up to the first length is short, a text from the second on is long. Letters and records hold far more
private words than commands do, and a word more hidden in them costs less."""
FLOOR = min(SHORT[0], DOCUMENT[0], GLUED[0])
_REPEATED = frozenset(("PERSON", "PLACE", "ORG", "PRODUCT", "USERNAME", "NATIONALITY"))
"""Kinds that are looked for everywhere; not dates or ages."""
_HOST = re.compile(r"[@.][\w\-]+\.\w")
"""Part of the name of a host: the address is hidden where it stands, and the word alone may be any other one."""
_ALONE = frozenset(("DATE", "AGE", "JOB", "NATIONALITY", "HEALTH", "URL", "USERNAME", "ID"))
"""Kinds that are not joined with a neighbour of another kind."""


class NameFinder:
    """Finds private words in all texts of a request. The weights are read at the first use or by `load()`."""

    def __init__(self, tagger: Tagger | None = None, languages: tuple[str, ...] = (ALL,)) -> None:
        """`tagger`: None for the shipped one. `languages`: in whose scripts names are looked for (`scripts`)."""
        self._tagger = tagger
        self._readable = readable(languages)
        self._indexes = WordIndexes()

    def load(self) -> Tagger:
        """Read the weights (a tenth of a second, 50 MB). Raises DetectorError when they are missing."""
        if self._tagger is None:
            self._tagger = Tagger()
        return self._tagger

    def find(self, texts: Sequence[str], wanted: Sequence[int]) -> list[list[Span]]:
        """Spans of private words in every text; the tagger reads only the texts marked `wanted`, and finds in those
        marked `SURE_NAMES` what it is sure of."""
        tagger = self.load()
        all_views = [
            [view for view in views(text) if view.names] if want else []
            for text, want in zip(texts, wanted, strict=True)
        ]
        flat = [view for of_text in all_views for view in of_text]
        judge = RoleJudge(is_figure, tagger.is_known_place, tagger.is_name)
        tagged = iter(_read(tagger, [view.text for view in flat]))
        found: list[list[Span]] = [[] for _ in texts]
        names: dict[tuple[str, str], None] = {}
        for spans, of_text, want in zip(found, all_views, wanted, strict=True):
            for view in of_text:
                least = PROGRAM if want == SURE_NAMES else bounds(len(view.text))
                for start, end, kind, chance in judge.keep(
                    view.text, [*_joined(view.text, next(tagged), self._readable, tagger, least)]
                ):
                    if kind in _REPEATED and not (kind == "ORG" and _HOST.match(view.text, max(0, start - 1), end + 2)):
                        names[(kind, view.text[start:end])] = None
                    spans.append(Span(*view.back(start, end), kind, "names", chance))
        glued = {name: kind for kind, name in names if is_glued(name[0]) and len(name) > 1}
        spaced = [each for each in names if each[1] not in glued]
        terms = _terms(spaced, tagger.common({word for _, name in spaced for word in _lowered(name)}))
        for spans, of_text in zip(found, all_views, strict=True):
            for number, view in enumerate(of_text):
                for part in around_changes(view) if number else (view,):
                    spans.extend(find_occurrences(part, self._indexes.of(part.text), terms) if terms else ())
                    spans.extend(find_glued(part, glued))
        return found


_BARE = re.compile(r"[^\W\d_a-zß-ÿ][\w'’.\-]{1,30}(?:[ \t][^\W\d_a-zß-ÿ][\w'’.\-]{0,30}){1,3}")
_LEAD, _SURE_BARE = "Name: ", 0.7
"""Words with capitals that are the whole text (a key, a cell, a field) are read behind a lead, as nothing around them
tells what they are; found is what is then likely enough."""


def _read(tagger: Tagger, texts: Sequence[str]) -> list[list[Tag]]:
    """The tags of each text."""
    bare = [_BARE.fullmatch(text) is not None for text in texts]
    read = tagger.tags([_LEAD + text if alone else text for text, alone in zip(texts, bare, strict=True)], FLOOR)
    return [_behind_lead(tags) if alone else tags for tags, alone in zip(read, bare, strict=True)]


def _behind_lead(tags: Sequence[Tag]) -> list[Tag]:
    size = len(_LEAD)
    found = [(a - size, b - size, kind, chance) for a, b, kind, chance in tags if a >= size]
    return found if max((tag[3] for tag in found), default=0.0) >= _SURE_BARE else []


def bounds(chars: int) -> tuple[float, float]:
    """The chance from which a word is hidden in a text of so many characters, and that of the surest word of a find."""
    share = min(1.0, max(0.0, (chars - SHORT_CHARS) / (DOCUMENT_CHARS - SHORT_CHARS)))
    least, sure = (short + (long - short) * share for short, long in zip(SHORT, DOCUMENT, strict=True))
    return least, sure


def _joined(
    text: str, tags: Sequence[Tag], readable: re.Pattern[str], tagger: Tagger, spaced: tuple[float, float]
) -> Iterator[tuple[int, int, str, float]]:
    """Runs of neighbouring tagged words with at least one sure one, each with the kind that most of its words have.
    `spaced`: see `bounds`."""
    run: list[Tag] = []
    spelled = not text.islower()
    sure = False
    for tag in tags:
        first = text[tag[0]]
        least, high = spaced if first < "\u0370" else GLUED if is_glued(first) else FOREIGN
        own = least_chance(text, tag[0], tag[1], spelled, tagger.is_common)
        if tag[3] < max(least, own) or not readable.match(text, tag[0]):
            continue
        if run and not _together(text, run[-1], tag):
            if sure:
                yield from _whole(text, without_edges(text, run, tagger))
            run, sure = [], False
        run.append(tag)
        sure = sure or tag[3] >= max(high, own)
    if run and sure:
        yield from _whole(text, without_edges(text, run, tagger))


SINGLE = 0.8
"""Chance from which one sign of a script without blanks is a find alone."""
EDGE = 0.4
"""Chance from which an everyday word at the edge of a find counts as part of it, in other scripts than the Latin."""
_RUN_ON = re.compile(r"[^\s.,;:!?()\"'。、，！？：；（）「」]*")


def without_edges(text: str, run: Sequence[Tag], tagger: Tagger) -> Sequence[Tag]:
    """The find without everyday words, and pieces of such, that stand at its edges and are hardly likely."""
    if text[run[0][0]] < "\u0370" or max(tag[3] for tag in run) < EDGE:
        return run
    words = list(_words_of(text, run, tagger))
    first, last = run[0][0], run[-1][1]
    for start, end in words:
        if start <= first < end < last and _unlikely(run, start, end):
            first = end
    for start, end in reversed(words):
        if first < start < last <= end and _unlikely(run, start, end):
            last = start
    return [tag for tag in run if first <= tag[0] < last] or run


def _unlikely(run: Sequence[Tag], start: int, end: int) -> bool:
    return max((tag[3] for tag in run if start <= tag[0] < end), default=0.0) < EDGE


def _words_of(text: str, run: Sequence[Tag], tagger: Tagger) -> Iterator[tuple[int, int]]:
    """The everyday words that touch a find."""
    if not is_glued(text[run[0][0]]):
        yield from ((a, b) for a, b, _, _ in run if tagger.is_everyday(text[a:b]))
        return
    back = _RUN_ON.match(text[max(0, run[0][0] - 60) : run[0][0]][::-1])
    before = run[0][0] - (back.end() if back else 0)
    after = _RUN_ON.match(text, run[-1][1])
    piece = text[before : after.end() if after else run[-1][1]]
    for start, end in tagger.everyday_words(piece):
        yield start + before, end + before


def _together(text: str, one: Tag, other: Tag) -> bool:
    gap = text[one[1] : other[0]]
    if gap.strip() or "\n" in gap or len(gap) > 2:
        return False
    return one[2] == other[2] or not {TAGS[one[2]], TAGS[other[2]]} & _ALONE


def _whole(text: str, run: Sequence[Tag]) -> Iterator[tuple[int, int, str, float]]:
    inner = [place for place, tag in enumerate(run) if not _between(text, tag)]
    if not inner:
        return
    run = run[inner[0] : inner[-1] + 1]
    best = max(tag[3] for tag in run)
    if len(run) == 1 and best < SINGLE and is_glued(text[run[0][0]]):
        return
    votes: dict[int, float] = {}
    for _, _, kind, chance in run:
        votes[kind] = votes.get(kind, 0.0) + chance
    yield run[0][0], run[-1][1], TAGS[max(votes, key=lambda kind: votes[kind])], best


def _between(text: str, tag: Tag) -> bool:
    """Whether this is a sign or a small word that is not part of a name."""
    return not text[tag[0]].isalnum() or text[tag[0] : tag[1]] in AROUND


def _lowered(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in WORD.findall(name))


TermIndex = dict[str, list[tuple[tuple[str, ...], str, bool]]]
"""First word -> (all words in lower case, kind, whether it must have the capital of a name)."""


def _terms(names: Iterable[tuple[str, str]], common: frozenset[str]) -> TermIndex:
    """What to look for. `common`: words with another meaning; alone they must have a capital."""
    terms: TermIndex = {}
    seen: set[tuple[str, ...]] = set()

    def add(words: tuple[str, ...], kind: str, strict: bool) -> None:
        if words and words not in seen:
            seen.add(words)
            terms.setdefault(words[0], []).append((words, kind, strict))

    names = list(names)
    for kind, words in [(kind, _lowered(name)) for kind, name in names]:
        if len(words) != 1:
            add(words, kind, False)
        elif words[0] not in WORDS_OF_TRADE and len(words[0]) > 1:
            add(words, kind, words[0] in common or words[0] in ALSO_WORDS or len(words[0]) < 4)
    for kind, name in names:
        words = _lowered(name)
        if kind == "PERSON" and len(words) > 1:
            spelled = not name.islower()
            for written, word in zip(WORD.findall(name), words, strict=True):
                extra = spelled and written.islower()  # "owes" of a find "Ada Sharma owes"
                if not extra and len(word) > 2 and not word.isdigit() and word not in WORDS_OF_TRADE:
                    add((word,), kind, word in common or word in ALSO_WORDS)
    for entries in terms.values():
        entries.sort(key=lambda entry: -len(entry[0]))
    return terms


class WordIndex:
    """The words of a text and their positions."""

    def __init__(self, text: str) -> None:
        self.spans = [word.span() for word in WORD.finditer(text)]
        self.lowered = [text[start:end].lower() for start, end in self.spans]
        self.places: dict[str, list[int]] = {}
        for place, word in enumerate(self.lowered):
            self.places.setdefault(word, []).append(place)


class WordIndexes:
    """A cache of the indexes of the last texts: a history comes back with every turn."""

    def __init__(self, words: int = 100_000) -> None:
        """`words`: bound for all texts together; each takes about 200 bytes."""
        self._bound, self._words = words, 0
        self._known: OrderedDict[str, WordIndex] = OrderedDict()

    def of(self, text: str) -> WordIndex:
        known = self._known.get(text)
        if known is not None:
            self._known.move_to_end(text)
            return known
        made = self._known[text] = WordIndex(text)
        self._words += len(made.spans)
        while self._words > self._bound and len(self._known) > 1:
            self._words -= len(self._known.popitem(last=False)[1].spans)
        return made


def find_occurrences(view: View, index: WordIndex, terms: TermIndex) -> Iterator[Span]:
    """Every occurrence of a term in `view` as whole words, with at most three characters between two words."""
    free = 0
    for at in sorted(place for word in index.places.keys() & terms.keys() for place in index.places[word]):
        if at < free:
            continue
        for term, kind, strict in terms[index.lowered[at]]:
            last = at + len(term) - 1
            if tuple(index.lowered[at : last + 1]) != term or (strict and view.text[index.spans[at][0]].islower()):
                continue
            if all(index.spans[i + 1][0] - index.spans[i][1] <= 3 for i in range(at, last)):
                yield Span(*view.back(index.spans[at][0], index.spans[last][1]), kind, "names", 0.5)
                free = last + 1
                break


def find_glued(view: View, names: Mapping[str, str]) -> Iterator[Span]:
    """Every occurrence of names in scripts without blanks. `names`: name -> kind."""
    for name, kind in names.items():
        at = view.text.find(name)
        while at >= 0:
            yield Span(*view.back(at, at + len(name)), kind, "names", 0.5)
            at = view.text.find(name, at + len(name))
