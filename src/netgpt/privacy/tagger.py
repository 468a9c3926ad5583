"""The tagger: a small network that finds the private words of a text.

`Lexicon` gives features of words, `TaggerNet` is the network in NumPy, and `Tagger` reads whole texts, piece by piece.
It caches word vectors and the tags of each piece, bounded in bytes, pieces by their hashes.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import DetectorError, SettingsError
from netgpt.word_pieces import WordPieces, word_vectors

TAGS = (
    "PERSON", "PLACE", "ORG", "DATE", "AGE", "JOB", "PRODUCT", "ADDRESS", "NATIONALITY", "URL", "USERNAME", "ID",
    "HEALTH",
)  # fmt: skip
"""Kinds in the order of the network's outputs."""
DILATIONS = (1, 2, 4, 8, 1)
"""Of the convolution layers."""


@dataclass(frozen=True, slots=True)
class TaggerNet:
    """Words in, a probability and a kind for each word out. `weights`: name -> float32 array, from the training.

    Word vectors are sums of character pieces, frozen public word pieces and shape. Dilated convolutions of width three
    read the neighbours; a max pool over the segment is added to each of its words.
    """

    weights: Mapping[str, Array]

    def words(self, pieces: Sequence[Sequence[int]], plain: Array, cased: Array, shapes: Array) -> Array:
        """Vectors of words: (n, width). `plain`, `cased`: their public vectors (n, 256); `shapes`: (n, FLAGS)."""
        w = self.weights
        flat = np.fromiter((i for ids in pieces for i in ids), dtype=np.int64)
        counts = np.fromiter((len(ids) for ids in pieces), dtype=np.int64, count=len(pieces))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        spelled = np.add.reduceat(w["pieces"][flat], starts, axis=0) / np.sqrt(counts)[:, None]
        vectors: Array = (
            spelled + plain @ w["plain"] + cased @ w["cased"] + shapes @ w["shape"] + w["word_bias"]
        ).astype(np.float32)
        return vectors

    def tags(self, segments: Sequence[tuple[Array, Array, Array]]) -> list[tuple[Array, NDArray[np.int64]]]:
        """For each segment (word vectors, places, head of the text) the probabilities and the kinds of its words.

        They stand below each other, so far apart that no convolution reaches from one into the next.
        """
        w = self.weights
        sizes = [len(vectors) for vectors, _, _ in segments]
        longest = max(sizes)
        gap = max((dilation for dilation in DILATIONS if dilation < longest), default=0)
        starts = np.cumsum([gap, *(size + gap for size in sizes)])[:-1]
        h = np.zeros((sum(sizes) + gap * (len(sizes) + 1), w["word_bias"].shape[0]), dtype=np.float32)
        real = np.zeros((len(h), 1), dtype=np.float32)
        for start, size, (vectors, places, head) in zip(starts, sizes, segments, strict=True):
            h[start : start + size] = vectors + places @ w["place"] + head @ w["head"]
            real[start : start + size] = 1.0
        h = _positive(_normal(h, w["norm_scale"], w["norm_shift"])) * real
        for number, dilation in enumerate(DILATIONS):
            reach = dilation if dilation < longest else 0
            seen = _convolved(h, w[f"conv{number}"], w[f"conv{number}_bias"], reach)
            h = h + _positive(seen) * real
            if number == 1:
                h = h + self._pooled(h, starts, sizes) * real
        score = h @ w["score"] + w["score_bias"]
        kind = (h @ w["kind"] + w["kind_bias"]).argmax(axis=1)
        chance = 1.0 / (1.0 + np.exp(-np.clip(score[:, 0], -30, 30)))
        return [(chance[a : a + n], kind[a : a + n]) for a, n in zip(starts, sizes, strict=True)]

    def _pooled(self, h: Array, starts: NDArray[np.int64], sizes: Sequence[int]) -> Array:
        """The maximum of each feature in a segment, for every word of it. Features are >= 0, so gaps never count."""
        strongest = np.maximum.reduceat(h, starts, axis=0)
        pooled = _positive(strongest @ self.weights["told"] + self.weights["told_bias"])
        spread = np.zeros_like(h)
        for start, size, row in zip(starts, sizes, pooled, strict=True):
            spread[start : start + size] = row
        return spread


def _positive(h: Array) -> Array:
    kept: Array = np.maximum(h, np.float32(0))
    return kept


def _normal(h: Array, scale: Array, shift: Array) -> Array:
    centred = h - h.mean(axis=1, keepdims=True)
    normal: Array = centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5) * scale + shift
    return normal


def _convolved(h: Array, kernel: Array, bias: Array, dilation: int) -> Array:
    """`kernel`: (3, width, width), for the word `dilation` before, the word itself, and the one after; 0: it alone."""
    out: Array = h @ kernel[1] + bias
    if dilation:
        out[dilation:] += h[:-dilation] @ kernel[0]
        out[:-dilation] += h[dilation:] @ kernel[2]
    return out


BUCKETS = 16_384
"""Rows of the table of character pieces."""
FLAGS = 56
"""Features of a word's shape, gazetteers included."""
OCCURRENCE = 18
"""Features of a word's position."""
_LONGEST = 48
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts written without blanks between words, and Korean, whose particles are glued to names: a token is one sign."""
_MARKS = "".join(chr(c) for c in range(0x300, 0x1000) if unicodedata.category(chr(c))[0] == "M")
"""Signs that belong to the letter before them, which are no letters themselves: vowels of Hindi, Tamil, Thai ..."""
_LETTER = rf"(?:(?![{_UNSPACED}])[^\W_])"
_TOKEN = re.compile(
    rf"[{_UNSPACED}][{_MARKS}]*|{_LETTER}(?:{_LETTER}|[{_MARKS}])*(?:['’](?!s\b)(?:{_LETTER}|[{_MARKS}])+)*|[^\w\s]|_"
)
_GLUED = re.compile(f"[{_UNSPACED}]")
WORD = re.compile(rf"[^\W_](?:[^\W_]|[{_MARKS}])*")
"""A run of letters and digits, with the signs on them."""
_DIGIT = re.compile(r"\d")
_SCRIPTS = (
    ("\u0250", 0), ("\u0370", 1), ("\u0400", 2), ("\u0530", 3), ("\u0590", 5), ("\u0600", 9), ("\u0780", 4),
    ("\u0900", 6), ("\u0980", 10), ("\u0e00", 6), ("\u0f00", 11), ("\u1100", 5), ("\u3040", 6), ("\u3100", 12),
)  # fmt: skip
_SEEDS = (11, 23, 37, 53)
_LENGTHS = (1, 2, 3, 5, 8, 12, 20)

Token = tuple[int, int]
"""Start and end of a word or sign."""


def tokens(text: str) -> list[Token]:
    """Words, numbers and single signs; in scripts without blanks, and in Korean, one sign is one word.

    >>> [text[a:b] for text in ("Ada's 3 cats.",) for a, b in tokens(text)]
    ['Ada', "'", 's', '3', 'cats', '.']
    """
    return [match.span() for match in _TOKEN.finditer(text)]


def is_glued(letter: str) -> bool:
    """Whether this letter's script puts no blanks around names."""
    return _GLUED.match(letter) is not None


def fold(word: str) -> str:
    """A word as it is hashed: lower case, every digit a 0, a bounded length."""
    word = word[:_LONGEST].lower()
    return word if word.isalpha() else _DIGIT.sub("0", word).replace("’", "'")


def piece_ids(folded: str) -> list[int]:
    """Buckets of the word's prefixes, suffixes and runs of three and four letters."""
    marked = f"^{folded}$"
    pieces = {marked[i : i + 3] for i in range(len(marked) - 2)}
    pieces.update(marked[i : i + 4] for i in range(len(marked) - 3))
    if len(marked) > 4:
        pieces.update(("<" + marked[:3], ">" + marked[-3:], "<" + marked[:5], ">" + marked[-5:]))
    return [zlib.crc32(piece.encode("utf-8", "surrogatepass")) % BUCKETS for piece in sorted(pieces)]


def shape(word: str, wordpieces: Sequence[int], cased: Sequence[int], listed: Sequence[bool]) -> list[float]:
    """FLAGS features of a word; `wordpieces`, `cased`: ids of its lower and own case; `listed`: by the gazetteers."""
    flags = [0.0] * FLAGS
    letters = word.isalpha() or (word[0].isalpha() and not word.isascii() and not any(c.isdigit() for c in word))
    digits = sum(c.isdigit() for c in word)
    flags[:10] = map(float, (
        word[0].isupper() and (len(word) == 1 or word[1:].islower()), len(word) > 1 and word.isupper(),
        not word.islower() and not word.isupper() and not word.istitle() and word[0].isalnum(), word.islower(),
        digits > 0, digits == len(word), 0 < digits < len(word), not word.isascii(), not word[0].isalnum(), letters,
    ))  # fmt: skip
    flags[10 + sum(len(word) > bound for bound in _LENGTHS)] = 1.0
    if digits:
        flags[18 + min(digits, 12) // 2] = 1.0
        flags[25] = float(digits == 4 == len(word) and word[:2] in ("19", "20"))
    if letters:
        flags[26 + script(word[0])] = 1.0
        flags[40 + min(len(wordpieces), 5) - 1 if wordpieces else 40] = 1.0
        flags[45] = min(wordpieces, default=0) / 32_000 if len(wordpieces) == 1 else 1.0
        flags[46] = float(len(cased) < len(wordpieces))
        flags[47] = float(len(cased) == 1)
    flags[48 : 48 + len(listed)] = map(float, listed)
    return flags


@lru_cache(maxsize=4096)
def script(letter: str) -> int:
    """Number of the script: Latin 0, Greek 2, Cyrillic 3, Hebrew 9, Arabic 4, Devanagari 10, Thai 11, kana 12, ..."""
    if "\u3400" <= letter <= "\u9fff" or letter >= "\uf900":
        return 7
    if "\uac00" <= letter <= "\ud7af":
        return 8
    return next((number for limit, number in _SCRIPTS if letter < limit), 6)


def occurrence(
    text: str, found: Sequence[Token], first: bool, size: int, common: Container[str]
) -> NDArray[np.float32]:
    """Features of each word's position: (len(found), OCCURRENCE). `first`: the text begins here; `size`: of it all.

    `common`: everyday words of all languages, by which scripts without blanks are divided.
    """
    letters = sum(map(str.isalpha, text))
    capitals = sum(map(str.isupper, text))
    words = [text[start] for start, _ in found if text[start].isalpha()]
    titled = sum(map(str.isupper, words)) / len(words) if words else 0.0
    shared = (
        capitals / letters if letters else 0.0, titled, capitals == 0, letters > 0 and capitals > 0.6 * letters,
        size < 60, size < 250, size < 1200, first, min(1.0, len(text) / 1000),
    )  # fmt: skip
    table = np.zeros((len(found), OCCURRENCE), dtype=np.float32)
    if not found:
        return table
    table[:, 7:16] = shared
    if (glued := _GLUED.search(text)) is not None:
        table[:, 16:] = _divided(text, found, common, glued.start())
    ends = [0, *(end for _, end in found[:-1])]
    gaps = [text[end:start] for end, (start, _) in zip(ends, found, strict=True)]
    after = [*gaps[1:], text[found[-1][1] :] or "\n"]
    table[:, 0] = [bool(gap) for gap in gaps]
    table[:, 1] = ["\n" in gap for gap in gaps]
    table[:, 2] = [bool(gap) for gap in after]
    table[:, 3] = ["\n" in gap for gap in after]
    before = [".", *(text[start] for start, _ in found[:-1])]
    table[:, 4] = [c in ".!?" for c in before]
    table[:, 5] = [c in ":-\"'“(*>" for c in before]
    table[0, 6] = 1.0
    return table


_MOST_SIGNS = 8
"""Signs of the longest everyday word that is looked for in a script without blanks."""


def _divided(text: str, found: Sequence[Token], common: Container[str], start: int) -> NDArray[np.float32]:
    """(len(found), 2): whether a sign is part of an everyday word of two and more signs, and whether it begins one.

    Read from left to right, the longest word first; names are what mostly remains.
    """
    table = np.zeros((len(found), 2), dtype=np.float32)
    at = 0
    while at < len(found):
        first = found[at][0]
        size = 1
        if first >= start and _GLUED.match(text, first):
            most = min(_MOST_SIGNS, len(found) - at)
            while most > 1 and " " in text[first : found[at + most - 1][1]]:
                most -= 1
            size = next((n for n in range(most, 1, -1) if text[first : found[at + n - 1][1]] in common), 1)
            if size > 1:
                table[at : at + size, 0] = 1.0
                table[at, 1] = 1.0
        at += size
    return table


@dataclass(frozen=True, slots=True)
class Bloom:
    """A Bloom filter: a set of words that cannot be listed, with false positives of about one in a hundred."""

    bits: bytes

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.holds(_hashes(word))

    def holds(self, hashes: Sequence[int]) -> bool:
        """Whether the word with these hashes is in it."""
        bits = self.bits
        size = len(bits) * 8
        for hashed in hashes:
            bit = hashed % size
            if not bits[bit >> 3] >> (bit & 7) & 1:
                return False
        return True

    @classmethod
    def of(cls, words: Sequence[str], bits_each: int = 10) -> Bloom:
        """A filter of `words`: one other word in a hundred is in it with ten bits a word, one in 400 with 16."""
        bits = bytearray(max(64, len(words) * bits_each // 8))
        for bit in (hashed % (len(bits) * 8) for word in words for hashed in _hashes(word)):
            bits[bit >> 3] |= 1 << (bit & 7)
        return cls(bytes(bits))


def _hashes(word: str) -> list[int]:
    coded = word.encode("utf-8", "surrogatepass")
    return [zlib.crc32(coded, seed) for seed in _SEEDS]


LONGEST = 1_000
"""Characters of a piece, at most."""
HEAD = 160
"""Characters at the start of a text that are read with every piece of it: they show what kind of text it is."""
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_BREAKS = ("\n", ". ", "; ", ", ", " ")


def segments(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each piece that is read at once: paragraphs, and parts of long ones. They cover the text.

    A piece's end depends only on the text before it, so a growing text keeps its pieces.
    """
    start = 0
    for end in (*(paragraph.end() for paragraph in _PARAGRAPH.finditer(text)), len(text)):
        while end - start > LONGEST:
            ends = (text.rfind(sign, start + LONGEST // 2, start + LONGEST) + len(sign) for sign in _BREAKS)
            cut = next((cut for cut in ends if cut > start + LONGEST // 2), start + LONGEST)
            yield start, cut
            start = cut
        if end > start:
            yield start, end
            start = end


SHIPPED = Path(__file__).parent / "shipped" / "tagger.safetensors"
LISTS = ("cities", "towns", "regions", "first", "last", "figures", "common")
"""Gazetteers of the file, in the order of their features."""
_WORDS = 16_384
"""Word vectors in the cache: 6 MB."""
_PIECES = 8_192
"""Pieces of text whose tags are in the cache."""
_FOUND = 40_000
"""Tags in the cache in all; each takes about a hundred bytes."""
_BATCH, _MOST_IN_BATCH = 8_000, 256
"""Characters that are read at once, and pieces."""
_LONGEST_WORD = 64

Array = NDArray[np.float32]
Tag = tuple[int, int, int, float]
"""Start, end, number of the kind, probability."""


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a weights file. Raises DetectorError when it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise DetectorError(
            f"the weights of the name finder cannot be read from {path} ({type(error).__name__}); reinstall netgpt, "
            "or set privacy.names = false to hide patterns and profile values only"
        ) from None


class WordVectors:
    """The frozen public vectors of word pieces: ids and mean vectors of words. Raises DetectorError: data missing."""

    def __init__(self) -> None:
        self._pieces = WordPieces()
        try:
            self._table = word_vectors()
        except SettingsError as error:
            raise DetectorError(error.message) from None

    def ids(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of the pieces of each word."""
        return [self._pieces.encode(word) for word in words]

    def means(self, ids: Sequence[Sequence[int]]) -> Array:
        """The mean vector of each word's pieces: (n, 256)."""
        flat = np.fromiter((i for of_word in ids for i in (of_word or (0,))), dtype=np.int64)
        counts = np.fromiter((max(1, len(of_word)) for of_word in ids), dtype=np.int64, count=len(ids))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        summed = np.add.reduceat(self._table[flat].astype(np.float32), starts, axis=0)
        means: Array = (summed / counts[:, None]).astype(np.float32)
        return means


class Lexicon:
    """Features of words, the same in training and use."""

    def __init__(self, lists: Mapping[str, Bloom], vectors: WordVectors) -> None:
        self._lists = [lists[name] for name in LISTS]
        self.common_words = lists["common"]
        self._vectors = vectors

    def features(self, words: Sequence[str]) -> tuple[list[list[int]], Array, Array, Array]:
        """The arguments of `TaggerNet.words`."""
        folded = [fold(word) for word in words]
        small, own = self._vectors.ids(folded), self._vectors.ids([word[:_LONGEST_WORD] for word in words])
        shapes = [
            shape(word, plain, cased, self._listed(low) if word[0].isalpha() else ())
            for word, low, plain, cased in zip(words, folded, small, own, strict=True)
        ]
        means = self._vectors.means(small), self._vectors.means(own)
        return [piece_ids(low) for low in folded], *means, np.array(shapes, dtype=np.float32)

    def _listed(self, folded: str) -> list[bool]:
        hashes = _hashes(folded)
        return [names.holds(hashes) for names in self._lists]

    def common(self, words: Sequence[str]) -> frozenset[str]:
        """Those of the words that are one word piece: everyday words of English, mostly."""
        return frozenset(word for word, ids in zip(words, self._vectors.ids(words), strict=True) if len(ids) == 1)


class Tagger:
    """Finds private words. Not thread-safe."""

    def __init__(self, weights: Mapping[str, NDArray[Any]] | None = None, vectors: WordVectors | None = None) -> None:
        arrays = read_weights(SHIPPED) if weights is None else weights
        lists = {name: Bloom(arrays[f"list_{name}"].tobytes()) for name in LISTS}
        self._cities, self._regions = lists["cities"], lists["regions"]
        self._people = lists["first"], lists["last"]
        self._net = TaggerNet({n: a.astype(np.float32) for n, a in arrays.items() if not n.startswith("list_")})
        self._lexicon = Lexicon(lists, vectors or WordVectors())
        self._rows: dict[str, int] = {}
        self._vectors = np.zeros((_WORDS, self._net.weights["word_bias"].shape[0]), dtype=np.float32)
        self._seen: OrderedDict[bytes, tuple[Tag, ...]] = OrderedDict()
        self._kept = 0

    def tags(self, texts: Sequence[str], floor: float) -> list[list[Tag]]:
        """For each text its words with a probability of at least `floor`, in order."""
        jobs: list[tuple[int, int, bytes]] = []
        known: dict[bytes, tuple[Tag, ...]] = {}
        new: dict[bytes, tuple[str, str, bool, int]] = {}
        for number, text in enumerate(texts):
            head = text[:HEAD]
            for start, end in segments(text):
                piece = text[start:end]
                key = _key(head, piece, start == 0, len(text))
                jobs.append((number, start, key))
                if key in self._seen:
                    self._seen.move_to_end(key)
                    known[key] = self._seen[key]
                elif key not in new:
                    new[key] = (piece, head, start == 0, len(text))
        for batch in _batches(sorted(new, key=lambda key: len(new[key][0])), lambda key: len(new[key][0])):
            for key, tags in zip(batch, self._read([new[key] for key in batch], floor), strict=True):
                known[key] = tags
                self._remember(key, tags)
        found: list[list[Tag]] = [[] for _ in texts]
        for number, offset, key in jobs:
            for start, end, kind, chance in known[key]:
                found[number].append((start + offset, end + offset, kind, chance))
        return found

    def common(self, words: Iterable[str]) -> frozenset[str]:
        """As `Lexicon.common`."""
        return self._lexicon.common(list(words))

    def is_common(self, word: str) -> bool:
        """Whether a word in small letters is an everyday one."""
        return bool(self._lexicon.common([word]))

    def is_everyday(self, word: str) -> bool:
        """Whether a word is in the list of everyday words of all languages, and in none of names."""
        return word.lower() in self._lexicon.common_words and not self.is_name(word)

    def everyday_words(self, text: str) -> Iterator[Token]:
        """Start and end of the everyday words of two and more signs in a text without blanks."""
        found = tokens(text)
        table = _divided(text, found, self._lexicon.common_words, 0)
        begins = [*np.flatnonzero(table[:, 0] == 0), *np.flatnonzero(table[:, 1]), len(found)]
        begins.sort()
        for at, following in pairwise(begins):
            if table[at, 1] and not self.is_name(text[found[at][0] : found[following - 1][1]]):
                yield found[at][0], found[following - 1][1]

    def is_name(self, word: str) -> bool:
        """Whether a word is in the lists of first names and surnames."""
        return any(fold(word) in names for names in self._people)

    def is_known_place(self, words: str) -> bool:
        """Whether these are words of countries, regions and the largest cities."""
        folded = [fold(words[a:b]) for a, b in tokens(words) if words[a].isalpha()]
        return bool(folded) and all(word in self._cities or word in self._regions for word in folded)

    def _read(self, pieces: Sequence[tuple[str, str, bool, int]], floor: float) -> list[tuple[Tag, ...]]:
        cut = [tokens(piece) for piece, _, _, _ in pieces]
        heads = {head: [head[a:b] for a, b in tokens(head)] for head in {head for _, head, _, _ in pieces}}
        words = [[piece[a:b] for a, b in found] for (piece, _, _, _), found in zip(pieces, cut, strict=True)]
        self._learn([word for group in (*words, *heads.values()) for word in group])
        means = {
            head: self._look_up(found).mean(axis=0) if found else self._vectors[0] * 0 for head, found in heads.items()
        }
        full = [number for number, found in enumerate(cut) if found]
        inputs = []
        for number in full:
            piece, head, first, size = pieces[number]
            places = occurrence(piece, cut[number], first, size, self._lexicon.common_words)
            inputs.append((self._look_up(words[number]), places, means[head]))
        tagged: list[tuple[Tag, ...]] = [() for _ in pieces]
        for number, (chances, kinds) in zip(full, self._net.tags(inputs) if full else [], strict=True):
            tagged[number] = tuple(
                (*cut[number][i], int(kinds[i]), round(float(chances[i]), 3)) for i in np.flatnonzero(chances >= floor)
            )
        return tagged

    def _learn(self, words: Sequence[str]) -> None:
        """Compute the vectors of new words; all others are dropped when there is no room."""
        new = [word for word in dict.fromkeys(words) if word[:_LONGEST_WORD] not in self._rows]
        if len(self._rows) + len(new) > _WORDS:
            self._rows.clear()
            new = list(dict.fromkeys(words))
        new = list(dict.fromkeys(word[:_LONGEST_WORD] for word in new))
        if len(new) > _WORDS:
            raise DetectorError("a text with too many different words in one piece")
        if new:
            first = len(self._rows)
            self._vectors[first : first + len(new)] = self._net.words(*self._lexicon.features(new))
            self._rows.update((word, first + number) for number, word in enumerate(new))

    def _look_up(self, words: Sequence[str]) -> Array:
        return self._vectors[[self._rows[word[:_LONGEST_WORD]] for word in words]]

    def _remember(self, key: bytes, tags: tuple[Tag, ...]) -> None:
        self._seen[key] = tags
        self._kept += len(tags)
        while len(self._seen) > _PIECES or self._kept > _FOUND:
            _, gone = self._seen.popitem(last=False)
            self._kept -= len(gone)


def _batches(keys: Sequence[bytes], length: Callable[[bytes], int]) -> Iterator[list[bytes]]:
    """The pieces in batches of a bounded size; at least one each."""
    batch: list[bytes] = []
    for key in keys:
        if batch and (len(batch) == _MOST_IN_BATCH or length(key) * len(batch) >= _BATCH):
            yield batch
            batch = []
        batch.append(key)
    if batch:
        yield batch


def _key(head: str, piece: str, first: bool, size: int) -> bytes:
    """A hash of all that the tags of a piece depend on. The size counts in four steps, as in `occurrence`."""
    steps = sum(size >= bound for bound in (60, 250, 1200))
    content = f"{len(head)}:{first:d}{steps}:{head}{piece}"
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
