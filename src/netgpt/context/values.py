"""The values inside a stated fact that could identify it: names, numbers, codes, and what follows the verb."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from netgpt.context.places import STOP_WORDS, word_set

AUXILIARIES = word_set("""
    is isn't has hasn't does doesn't can can't cannot was were will would won't never always often usually sometimes""")
VERBS = word_set("""
    attends avoids banks buys collects commutes cooks cycles dislikes drinks drives earns eats enjoys follows goes
    hates keeps knows leads likes listens lives loves makes manages needs owns pays plans plays prefers reads rents
    rides runs sees sleeps speaks studies suffers supports swims takes teaches trains travels uses visits wakes walks
    wants watches wears works weighs sings grew moved studied worked lived got""")
"""First words after which "The user" makes a sentence."""
_LEAD = re.compile(
    r"""(?:usually\s|often\s|always\s|never\s|sometimes\s|currently\s|also\s|mostly\s)*
    (?:is|was|are|were|has|had|does|goes|likes|loves|hates|prefers|lives|works?|worked|drives|takes|owns|speaks|plays
      |studies|studied|eats|drinks|rides|uses|wears|needs|wants|visits|attends|banks|trains|teaches|supports|keeps
      |commutes|travels|suffers|rents|moved|grew\sup|lived|weighs|earns|pays|watches|listens|reads|follows|enjoys|avoids
      |dislikes|can(?:no|')?t?|doesn't|doesn’t|isn't)\b
    (?:\s(?:not|a|an|the|to|at|in|on|for|as|by|with|from|near|of|called|named|born|based|married|engaged|allergic
      |intolerant|addicted|afraid|fond|diagnosed|employed|eat|have|been|listening|interested|living|working)\b)*\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_SPLIT = re.compile(
    r"""\s*[,;:()]\s+|\s+[–—-]\s+|[.!?](?:\s+|$)|
    \s+(?:and|or|but|of|with|for|in|at|on|near|by|from|since|as|to|is|are|was|called|named|who|which|that|has)\s+""",
    re.VERBOSE | re.IGNORECASE,
)
_LINKED = re.compile(r"\b(?:is|are|was|called|named)\s+(?:called\s+|named\s+|at\s+|in\s+|an?\s+|the\s+)*(.+)")
_WORD = re.compile(r"[^\s;:()!?\"“”«»]+")
_PATTERNS = (
    re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"),  # e-mail
    re.compile(r"https?://[^\s,;]+"),
    re.compile(r"\+?\(?\d[\d ()./\-]{5,}\d"),  # telephone, card and account numbers
    re.compile(r"\"([^\"]{3,})\"|“([^”]{3,})”|«([^»]{3,})»|(?<!\w)'([^']{3,})'(?!\w)"),  # quoted
)
_PERSON = re.compile(
    r"""\b(?:called|named|name|wife|husband|partner|girlfriend|boyfriend|fianc[eé]e?|son|daughter|child|children|kids?|mother
    |father|mum|mom|dad|sister|brother|uncle|aunt|cousin|friend|boss|manager|doctor|dentist|therapist|lawyer|neighbou?r
    |colleague|cat|dog|pet|horse)\b""",
    re.VERBOSE | re.IGNORECASE,
)
_JOINERS = word_set("of the de la le du da van von der den di el al bin and & y")
_ARTICLES = word_set("a an the my his her their its no not only about very")
_GENERIC = word_set("""
    january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday road street avenue lane drive square park university college school hospital
    company bank station city town county dr mr mrs ms are have born something someone anything""")
"""Words that identify nobody when they stand alone."""
_FIRST_UNSPACED = "\u0590"
"""From here on (Hebrew, Arabic, Thai, CJK) two letters can be a whole name."""
_COMMON = STOP_WORDS | _GENERIC | _ARTICLES | _JOINERS | AUXILIARIES | VERBS


def values_of(stated: str, names_only: bool = False, every_word: bool = False) -> Iterator[str]:
    """The values of `stated` ("lives at 12 Mill Road, Cambridge"), coarse to fine, some more than once.

    None is a stop word or shorter than three characters. `names_only`: the whole and its first part, for places.
    `every_word`: each content word alone, too ("diabetes" of "type 2 diabetes"), for sensitive facts.
    """
    alone = re.findall(r"[^\W\d_]{4,}", _LEAD.sub("", stated, count=1)) if every_word else []
    for value in [*_candidates(stated, names_only), *alone]:
        clean = _trimmed(value)
        shortest = 2 if clean[:1] >= _FIRST_UNSPACED else 3
        if len(clean) >= shortest and any(word.casefold() not in _COMMON for word in clean.split()):
            yield clean


def _candidates(stated: str, names_only: bool) -> Iterator[str]:
    """The values, coarse to fine, not yet trimmed."""
    yield stated
    if names_only:  # a place's "cheap" and "300 m north" are no secret, its name says where somebody is
        yield stated.split(", ")[0]
        return
    yield from _patterns(stated)
    pieces = list(_pieces(stated))
    yield from pieces
    for piece in pieces:
        yield from (word for word in _WORD.findall(piece) if any(map(str.isdigit, word)))
        yield from re.findall(r"(?<=[A-Za-z\-])\d{4,}", piece)  # of "ZX-4471" people say "4471"
    for run in _named_runs(stated):
        yield from _within_run(run)
        if _PERSON.search(stated):
            yield from run


def _patterns(stated: str) -> Iterator[str]:
    """E-mails, addresses of pages, long numbers (also written together), quoted text."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(stated):
            value = next((group for group in match.groups() if group), match[0])
            yield value
            if re.fullmatch(r"[+\d ()./\-]+", value):
                yield re.sub(r"[ ()./\-]", "", value)


def _pieces(stated: str) -> Iterator[str]:
    """What follows the leading verb, then its parts between commas and little words."""
    rest = _LEAD.sub("", stated, count=1) if _LEAD.match(stated) else stated
    rest = re.sub(r"^(?:allergic|addicted|married|intolerant|based|born|employed) (?:to|in|at|by|as) ", "", rest)
    if linked := _LINKED.search(rest):
        subject = rest[: linked.start()]
        rest = linked[1] if subject.islower() else rest  # of "phone is 0123" the word "phone" is no secret
        yield linked[1]
    yield rest
    yield from re.split(r"[,;]\s+", rest)
    yield from (part or "" for part in _SPLIT.split(rest))


def _named_runs(stated: str) -> Iterator[list[str]]:
    """Runs of capitalised words and words with digits: ["12", "Mill", "Road"], ["Fiat", "Panda", "AB12", "CDE"]."""
    for part in re.split(r",\s+|[;:()\"“”]\s*|\.\s", stated):
        run: list[str] = []
        pending: list[str] = []
        for word in _WORD.findall(part):
            if word[0].isupper() or any(map(str.isdigit, word)):
                run, pending = [*run, *pending, word], []
            elif run and word.casefold() in _JOINERS and not pending:
                pending = [word]
            else:
                if run:
                    yield run
                run, pending = [], []
        if run:
            yield run


def _within_run(run: Sequence[str]) -> Iterator[str]:
    """A run, its words without digits, its codes (digits or capitals), and what its joiners tie together."""
    yield " ".join(run)
    for is_wanted in (_is_code, lambda word: not _is_code(word) and word not in _JOINERS):
        part: list[str] = []
        for word in [*run, ""]:
            if word and is_wanted(word):
                part.append(word)
            elif part:
                yield " ".join(part)
                part = []


def _is_code(word: str) -> bool:
    return any(map(str.isdigit, word)) or (len(word) > 1 and word.isupper())


def _trimmed(value: str) -> str:
    """Without outer punctuation, articles and joiners; inner text stays as it was stated."""
    value = value.strip(' \t.,;:!?"“”«»()').removesuffix("'s").removesuffix("’s")
    words = value.split(" ")
    while words and words[0].casefold() in _ARTICLES | _JOINERS:
        words = words[1:]
    while words and words[-1].casefold() in _ARTICLES | _JOINERS:
        words = words[:-1]
    return " ".join(words).strip(" .,;:!?\"“”«»'’")
