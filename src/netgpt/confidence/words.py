"""What an answer is made of, seen from outside: claims, refusals, loops, echoes, names and numbers out of nowhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise
from typing import Any, Final

MOST_ASKED: Final = 3_000
"""Characters of a question that tell what is asked for: half of them at its beginning, half at its end."""
MOST_READ: Final = 6_000
"""Characters of an answer that are looked at."""
_SURE: Final = re.compile(
    r"\b(?:(?:and )?(?:i am|i'm|we are|i feel|this is|that is|it is) (?:\w+ |100 ?% )?(?:sure|certain|confident|"
    r"positive)(?: (?:about|of) (?:this|that|it)| that)?|"
    r"without (?:a |any )?doubt|no doubt|(?:this|that|it) is (?:absolutely |definitely |certainly |100 ?% |"
    r"the )*(?:correct|right|accurate|true|verified|a fact)(?: answer)?|"
    r"(?:absolutely|definitely|certainly|undoubtedly|100 ?%|one hundred percent) (?:sure|certain|correct|right|"
    r"accurate|true)(?: (?:about|of) (?:this|that|it)| that)?|"
    r"(?:my |with )?confidence(?: level| score)?(?: is| of|:)? ?\d+(?:[.,]\d+)? ?%?|"
    r"i (?:can )?guarantee(?: (?:that|it|this))?|guaranteed|(?:you can )?trust me(?: on this)?|"
    r"(?:ich bin )?(?:mir )?(?:ganz |absolut |sehr )?sicher|ohne (?:jeden )?zweifel|garantiert|je suis (?:sûr|"
    r"certain)e?|sans (?:aucun )?doute|estoy segur[oa]|sin duda|sono sicur[oa]|senza dubbio)(?!\w)[.!]*",
    re.IGNORECASE,
)
_BOASTS: Final = re.compile(
    r"\b(?:certainly|definitely|absolutely|of course|sure|undoubtedly|obviously|verified|100 ?%)\b[!,]?", re.IGNORECASE
)
_UNABLE: Final = re.compile(
    r"\bas an? (?:ai|artificial|large language|language model|virtual|digital|chatbot)|\bi(?:'m| am) (?:just |"
    r"only )?an? (?:ai|language model|text-based)|"
    r"\bi (?:do not|don't|cannot|can't|can not|am unable to|am not able to|could not|couldn't|do n't) (?:have|"
    r"know|provide|access|answer|assist|help|find|determine|understand|see|translate|give)|"
    r"\bi(?:'m| am) (?:sorry|afraid|unable|not (?:able|sure|certain))|\bi apologi[sz]e|\bplease (?:provide|"
    r"clarify|specify|give me)|\bcould you (?:please )?(?:provide|clarify|specify)|"
    r"\b(?:als (?:eine )?ki|ich weiß (?:es )?nicht|ich kann (?:das |ihnen |dir )?nicht|es tut mir leid|"
    r"en tant qu'ia|je ne (?:sais|peux) pas|désolée?|como (?:una )?ia|no (?:lo )?sé|lo siento|non (?:lo )?so|"
    r"mi dispiace)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NAME: Final = re.compile(r"(?<=[\w,;)] )[A-ZÀ-ÞА-Я][\w'’-]*[^\W\d_]\b")
_OPTION: Final = re.compile(r"^\s*\(?([A-Ea-e1-5])[).:]\s+(\S[^\n]*)$", re.MULTILINE)
_LISTED: Final = re.compile(
    r"(?:choose|pick|select|wähle|choisi\w*|elige|scegli|answer|respond|reply|classify|antworte|label\w*|"
    r"categor\w*|one of|is (?:this|it|that)|options?)\b[^?.\n]*?[:\s]((?:[\w-]+(?: [\w-]+)?,"
    r"\s*)*[\w-]+(?: [\w-]+)?,?\s+(?:or|oder|ou|o|and|und)\s+[\w-]+)",
    re.IGNORECASE,
)
_PARTS: Final = re.compile(r",\s*(?:(?:or|and|oder|und)\s+)?|\s+(?:or|oder|ou|o|and|und)\s+", re.IGNORECASE)
_BEFORE: Final = re.compile(r"^(?:about|as|either|a|an|the|for|in|with) (?=\w)", re.IGNORECASE)
_CHOOSE: Final = re.compile(
    r"\b(?:choose|pick|select|options?|one of|labels?|classes|topics)\b[^:\n]{0,40}:\s*([^.?\n]{3,200})", re.IGNORECASE
)
_PAIR: Final = re.compile(r"\b([\w-]+) (?:or|oder|ou|o) ([\w-]+)\b", re.IGNORECASE)
_WANTS_FEW: Final = re.compile(
    r"\b(?:only|just|one word|single word|nothing else|in a word|nur|ein wort|seulement|juste|un (?:seul )?mot|"
    r"solo|sólo|una (?:sola )?palabra|una parola)\b",
    re.IGNORECASE,
)
_WANTS_NUMBER: Final = re.compile(
    r"\b(?:how (?:many|much|old|far|long|tall|high)|what (?:number|percentage|year)|(?:in )?which year|"
    r"wie ?viele?|wie (?:alt|weit|lange?|hoch)|combien|cuánt[ao]s?|quant[oiae])\b",
    re.IGNORECASE,
)
_WANTS_JSON: Final = re.compile(r"\bJSON\b")
_LANGUAGE: Final = re.compile(
    r"\b(?:english|englisch\w*|anglais|inglés|inglese|german|deutsch\w*|allemand|alemán|tedesco|french|"
    r"französisch\w*|français|francés|francese|"
    r"spanish|spanisch\w*|espagnol|español|spagnolo|italian\w*|italienisch\w*|italien|portuguese|dutch|polish|"
    r"turkish|russian|chinese|japanese|"
    r"korean|arabic|greek|latin|swedish|translat\w+|übersetz\w+|tradui\w+|traduc\w+|language|sprache|langue|"
    r"idioma|lingua)\b",
    re.IGNORECASE,
)
_TEXTUAL: Final = re.compile(r"```.*?```", re.DOTALL)


def text_of(content: Any) -> str:
    """The words of a message's content: a text, or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def asked_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """The last question of a person, and all else that the model was given to read."""
    messages = [each for each in body.get("messages") or () if isinstance(each, Mapping)]
    last = max((at for at, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    question = text_of(messages[last].get("content")) if last >= 0 else ""
    return question, "\n".join(text_of(each.get("content")) for at, each in enumerate(messages) if at != last)


def told_in(question: str) -> str:
    """The part of a question that says what is asked for: it stands before a long text, or behind it."""
    half = MOST_ASKED // 2
    return question if len(question) <= MOST_ASKED else question[:half] + "\n" + question[-half:]


def without_claims(answer: str) -> str:
    """The answer without what it says of its own certainty: that raises nothing.

    >>> without_claims("I am 100% sure of this. It is Paris.")
    ' It is Paris.'
    """
    return _BOASTS.sub("", _SURE.sub("", answer))


def is_no_answer(answer: str) -> bool:
    """Whether it says that it cannot, or asks back instead."""
    return bool(_UNABLE.search(answer[:600]))


def words_in(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def wants_few(question: str) -> bool:
    """Whether it asks for a word, a number, a name and no more."""
    return bool(_WANTS_FEW.search(question))


def names_language(question: str) -> bool:
    """Whether it is about a language, so that the answer may well be in another one."""
    return bool(_LANGUAGE.search(question))


def wants_number(question: str) -> bool:
    return bool(_WANTS_NUMBER.search(question))


def wants_json(question: str) -> bool:
    """Whether it asks for JSON, and is not merely about it."""
    return (
        bool(_WANTS_JSON.search(question))
        and re.match(r"\s*(?:what|why|who|how|explain|was|warum|wie)\b", question, re.I) is None
    )


def loops(answer: str) -> float:
    """How much of an answer says what it said before: the share of its runs of four words that came already, 0 to 1."""
    words = words_in(answer)
    runs = [tuple(words[at : at + 4]) for at in range(len(words) - 3)]
    return 1 - len(set(runs)) / len(runs) if len(runs) >= 4 else 0.0


def echoes(question: str, answer: str) -> float:
    """The share of the answer's words that the question has, in pairs; 1: it only says the question again."""
    said = words_in(answer)
    words = words_in(question)
    asked, pairs = set(pairwise(words)), list(pairwise(said))
    return sum(pair in asked for pair in pairs) / len(pairs) if pairs else float(said != [] and said[0] in words)


def new_share(answer: str, given: Set[str]) -> float:
    """The share of the answer's content words that are none of `given`: the words of all that the model was told."""
    content = [word for word in words_in(answer) if len(word) > 3 or word.isdigit()]
    return sum(word not in given for word in content) / len(content) if content else 0.0


def new_names(answer: str, given: Set[str]) -> int:
    """Names within sentences of the answer that are none of `given`."""
    return sum(not set(words_in(name)) <= given for name in set(_NAME.findall(_TEXTUAL.sub(" ", answer))))


def options_of(question: str) -> list[tuple[str, str]]:
    """What a question lets choose from, as (letter, text); a letter is empty where the options have none."""
    lettered = _OPTION.findall(question)
    if len(lettered) >= 2:
        return [(letter, text.strip()) for letter, text in lettered]
    listed = _LISTED.search(question)
    if listed:
        parts = _PARTS.split(listed[1])
        return [("", _BEFORE.sub("", one)) for one in parts if one]
    if (choose := _CHOOSE.search(question)) and len(parts := choose[1].split(",")) >= 3:
        return [("", one.strip()) for one in parts]
    pair = _PAIR.search(question)
    return [("", pair[1]), ("", pair[2])] if pair else []


def picks(options: Sequence[tuple[str, str]], answer: str) -> list[int]:
    """Which of the options an answer names, in the order in which it does."""
    places = []
    for index, (letter, text) in enumerate(options):
        found = [
            m.start()
            for one in (text,)
            if one and (m := re.search(rf"(?<!\w){re.escape(one)}(?!\w)", answer, re.IGNORECASE))
        ]
        if letter:
            by_letter = re.search(rf"(?:^|(?<=[\s(*]))(?:{letter})(?=[).:*]|\s*$)", answer)
            found += [by_letter.start()] if by_letter else []
        if found:
            places.append((min(found), index))
    return [index for _, index in sorted(places)]


def ends_open(answer: str) -> bool:
    """Whether an answer breaks off: its last line ends within a sentence, a list, a fence or a bracket."""
    text = answer.rstrip()
    if not text:
        return False
    if text.count("```") % 2:
        return True
    last = text.splitlines()[-1]
    return len(words_in(last)) > 8 and text[-1] not in ".!?…。！？:;\"'”’)]}*`|>"


def script_of(text: str) -> str:
    """The script that most letters of a text are of: "latin", "cyrillic", ...; "" where there are few letters."""
    counted: Counter[str] = Counter()
    for letter in text[:400]:
        if letter.isalpha():
            counted[_script(ord(letter))] += 1
    return counted.most_common(1)[0][0] if counted.total() >= 4 else ""


_SCRIPTS: Final = (
    (0x0250, "latin"), (0x0400, "greek"), (0x0530, "cyrillic"), (0x0590, "armenian"), (0x0600,
        "hebrew"), (0x0780, "arabic"),
    (0x0E00, "indic"), (0x0E80, "thai"), (0x1100, "other"), (0x1200, "hangul"), (0x1E00, "other"), (0x2000, "latin"),
    (0x3040, "other"), (0x3100, "kana"), (0xA000, "han"), (0xAC00, "other"), (0xD7B0, "hangul"),
)  # fmt: skip


def _script(code: int) -> str:
    return next((name for below, name in _SCRIPTS if code < below), "other")
