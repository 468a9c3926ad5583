"""Stated facts in English as sentences about the user, where that is certain: person, tense and capitals put right.

"Eats no dairy" becomes "The user eats no dairy", "I live in Ely" becomes "The user lives in Ely". Anything in doubt is
None: a fragment, a name, an order, a coordination whose second verb could as well be a noun.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from netgpt.wording.languages import table

USER: Final = "The user"
_OURS = re.compile(r"(?:the|this) (?:user|person|customer|client|guest|patient)(?:'s)? \S", re.IGNORECASE)
_SHORT = re.compile(r"(?:St|Dr|Mr|Mrs|Ms|Prof|Jr|Sr|No|vs|approx|[A-Z])\.$")
_PERSONS = re.compile(r"\b(?:I|[Mm]e|[Mm]y|[Mm]ine|[Mm]yself|[Ww]e|[Uu]s|[Oo]ur|[Oo]urs|[Oo]urselves)\b")
_MENTION = re.compile(_PERSONS.pattern + r"('(?:m|ve|d|ll|re))?")
_LATER = {
    "i": "they", "we": "they", "me": "them", "us": "them", "my": "their", "our": "their", "mine": "theirs",
    "ours": "theirs", "myself": "themselves", "ourselves": "themselves",
}  # fmt: skip
"""How a person is named again, once "the user" has been said."""
_FIRST = {"i": "the user", "me": "the user", "my": "the user's", "our": "the user's"}
_IRREGULAR = {
    "am": "is", "have": "has", "haven't": "hasn't", "do": "does", "don't": "doesn't", "go": "goes", "be": "is",
    "dont": "doesn't", "havent": "hasn't", "cant": "can't",
}  # fmt: skip
_FOLLOWING = frozenset(
    """a an the my his her their our its no not any some every all only one two three at in on to for from with by as up
    until till about after before me them it everything nothing anything alone badly well daily much too""".split()
)
"""After one of these words before it, a word that could be a noun is a verb."""
_JOINS = frozenset("and but or then so yet".split())
_ASKED = frozenset("the it there he she they anyone somebody this that my your you we i everyone".split())
"""After "is", "has" or "can" these make a question."""


class _Words:
    """The lists of `words.toml`, with the forms that follow from them."""

    def __init__(self) -> None:
        english = {name: frozenset(words.split()) for name, words in table()["english"].items()}
        self.verbs = english["verbs"]
        self.both = english["both"]
        self.auxiliaries, self.adverbs = english["auxiliaries"], english["adverbs"]
        self.states, self.was, self.doing = english["states"], english["was"], english["doing"]
        self.owned, self.before, self.intro = english["owned"], english["before"], english["intro"]
        self.third = {third(verb): verb for verb in self.verbs}
        self.past = english["past"] | {form for verb in self.verbs for form in _past_forms(verb)}


@cache
def _words() -> _Words:
    return _Words()


def third(verb: str) -> str:
    """The form after "the user".

    >>> third("carry"), third("fly"), third("wish"), third("don't")
    ('carries', 'flies', 'wishes', "doesn't")
    """
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")


def _past_forms(verb: str) -> Sequence[str]:
    if verb.endswith("e"):
        return (verb + "d",)
    if re.search(r"[^aeiou]y$", verb):
        return (verb[:-1] + "ied",)
    doubled = re.search(r"(?<![aeiou])[aeiou]([bdgklmnprt])$", verb)
    return (verb + "ed", f"{verb}{doubled[1]}ed") if doubled else (verb + "ed",)


def english(text: str) -> str | None:
    """The text as sentences about the user, without the last full stop; None where that is in doubt."""
    told = []
    for index, part in enumerate(_parts(text)):
        written = _sentence(part) or (_continued(part) if index else None)
        if written is None:
            return None
        told.append(re.sub(r"^(The user) is (?=.* since (?:\d|last\b|birth|childhood))", r"\1 has been ", written))
    return ". ".join(told) or None


def _parts(text: str) -> list[str]:
    """Its sentences, without their ends; "St. Mary's" is none."""
    parts: list[str] = []
    for piece in re.split(r"(?<=[.!])\s+(?=[A-Z])", text.strip()):
        if parts and _SHORT.search(parts[-1]):
            parts[-1] += " " + piece
        else:
            parts.append(piece)
    return [part.rstrip(" .!;,") for part in parts]


def _continued(text: str) -> str | None:
    """A further sentence about what was named: "He is old"."""
    words = text.split()
    if words[0] not in ("He", "She", "It", "They", "His", "Her", "Its", "Their") or _PERSONS.search(text):
        return None
    told = _words()
    return text if any(w.lower() in told.third or w in told.auxiliaries or w == "are" for w in words[1:4]) else None


def _sentence(text: str) -> str | None:
    text = text.replace("’", "'")
    words = text.split()
    if not words or (len(words) > 2 and text.isupper()) or re.search(r"[\"“«„].*" + _PERSONS.pattern, text):
        return None
    if _OURS.match(text):
        return _persons(text[0].upper() + text[1:], named=True)
    if re.match(r"user(?:'s)? \S", text, re.IGNORECASE):
        certain = "'s" in words[0] or _tells(words[1:])
        return _persons(USER + text[4:], named=True) if certain else None
    if re.match(r"(?:I|i)\b", text):
        return _persons(_pronoun(text), named=False)
    if words[0].lower() in ("my", "our"):
        return _of_the_user(text, words)
    if words[0].lower() in ("we", "we're", "we've", "we'll", "we'd"):
        return None
    if words[0].lower() not in _words().states and _tells(words):
        return _persons(f"{USER} {_small(text)}", named=True)
    return _stated(text, words) or _led(text, words)


def _pronoun(text: str) -> str:
    """A small "i" for the pronoun, as people type it."""
    return re.sub(r"\bi(?=[ ']|$)", "I", text)


def _small(text: str) -> str:
    """Without the capital of a sentence's first word; "GP" keeps its own."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _tells(words: Sequence[str]) -> bool:
    """Whether "the user" before these words makes a sentence: "eats no dairy", "never flies", "can't swim"."""
    told = _words()
    lowered = [word.lower().rstrip(",;") for word in words]
    if lowered[:2] == ["no", "longer"]:
        return _tells(words[2:])
    if not lowered or words[0].endswith((",", ":", ";")):
        return False
    first, after = lowered[0], lowered[1:]
    if first in told.adverbs:
        return bool(after) and after[0] not in ("the", "and") and _tells(words[1:])
    if first in ("will", "can", "would", "could"):
        return bool(after) and after[0] in told.verbs | told.adverbs | {"be", "not", "do"}
    if first in told.auxiliaries:
        return bool(after) and after[0] not in _ASKED - {"the"}
    if first in told.third:  # "rows" are also of roses, "works" of somebody
        noun = not after or after[0] in ("of", "about", "and", "or", "are", "is", "were")
        return not noun or told.third[first] not in told.both
    return first in told.past and bool(after) and after[0] not in ("by", "of")


def _of_the_user(text: str, words: Sequence[str]) -> str | None:
    """ "My wife is called Zelda", "My wife and I run a bakery", "My car: a Skoda"."""
    rest = text[len(words[0]) + 1 :]
    if ":" in rest.split(" is ")[0]:
        return _labelled(rest)
    also = re.match(r"(\w+(?: \w+)?) and I\b", rest)
    if also:
        return _persons(f"{USER} and {words[0].lower()} {also[1]}{rest[also.end() :]}", named=True)
    told = _words()
    for word in (word.lower().strip(",;") for word in rest.split()[1:]):
        if word in told.auxiliaries | told.verbs | told.past or word in told.third or word in ("are", "were", "have"):
            return _persons(f"{USER}'s {rest}", named=True)
    return _persons(f"{USER}'s {rest}", named=True) if re.search(r"\w's \w", rest) else None


def _stated(text: str, words: Sequence[str]) -> str | None:
    """What holds of the user, without a verb, or with another subject."""
    told = _words()
    first, after = words[0].lower(), words[1].lower() if words[1:] else ""
    often = 1 if first in told.adverbs and after else 0
    state = words[often].lower() if first in told.adverbs and after else first
    rest = words[often + 1 :]
    phrase = not rest or rest[0].lower() in _FOLLOWING | {"of", "since", "against", "and", "abroad", "right"}
    if state in told.states and (phrase or state in ("lactose", "hard", "nut")) and not re.search(r",|\bno\b", text):
        return _persons(f"{USER} is {_small(text)}", named=True)
    if re.match(r"(?:not [a-z]+ (?:to|of|in|with)|not an? [a-z]+|lactose intolerant|gluten intolerant|colou?r blind|hard of "
                r"hearing)\b", text, re.IGNORECASE) or re.fullmatch(
                r"(?:diabetic|coeliac|asthmatic), type \w+|\d{1,3} (?:years? old|cm tall)|aged \d{1,3}|\d\.\d\d m tall",
                text, re.IGNORECASE):  # fmt: skip
        return _persons(f"{USER} is {_small(text)}", named=True)
    if state in told.was and rest and rest[0].lower() in ("in", "on", "at", "with", "by", "as", "near"):
        return _persons(f"{USER} was {_small(text)}", named=True)
    if first in told.doing and words[1:] and not re.match(r"\S+ (?:hours|room|days|is|are|was)\b", text, re.IGNORECASE):
        return None if words[0].endswith(",") else _persons(f"{USER} is {_small(text)}", named=True)
    if re.match(r"(?:currently |now )?(?:in|at|near|from) (?:the )?[A-Z][\w-]+(?: [A-Z][\w-]+)*(?:,? (?:right now|now|today"
                r"|at the moment|this week|until .+))?$", text[:1].lower() + text[1:]):  # fmt: skip
        return _persons(f"{USER} is {_small(text)}", named=True)
    return _labelled(text) or _owned(text, words)


def _labelled(text: str) -> str | None:
    """ "shoe size: 43" """
    match = re.match(r"([A-Za-z' -]{2,30}?)\s*:\s+(\S.*)$", text)
    return _persons(f"{USER}'s {_small(match[1])}: {match[2]}", named=True) if match and _is_owned(match[1]) else None


def _is_owned(label: str) -> bool:
    told = _words()
    *before, noun = label.lower().split()
    return noun in told.owned and all(word in told.before | told.owned for word in before)


def _owned(text: str, words: Sequence[str]) -> str | None:
    """ "Wife is called Zelda", "GP is Dr Patel", "Mother lives with them"."""
    told = _words()
    for index in (1, 2, 3):
        verb = words[index].lower() if index < len(words) else ""
        links = verb in told.auxiliaries or verb in ("are", "were") or verb in told.third
        if links and _is_owned(" ".join(words[:index])) and words[index + 1 :]:
            return _persons(f"{USER}'s {_small(text)}", named=True)
    return None


def _led(text: str, words: Sequence[str]) -> str | None:
    """ "On Sundays I row": what leads to the first person."""
    text = _pronoun(text)
    if words[0].lower().rstrip(",") not in _words().intro or not re.search(r"\bI\b", text):
        return None
    return _persons(text, named=False)


# --- From the first person to the third.


def _persons(text: str, *, named: bool) -> str | None:
    """The first person replaced and its verbs put right; `named`: "the user" has been said. None: in doubt.

    The first mention becomes "the user", the later ones "they", whose verbs are those of "I".
    """
    done, at = "", 0
    if named and re.search(r"\b(?:My|Me|Our|We|Us|Mine)\b", text[1:]):  # a title: "likes My Fair Lady"
        return None
    while match := _MENTION.search(text, at):
        word = match[0].split("'")[0].lower()
        begins = match.start() == 0
        if not begins and match[0][0].isupper() and word != "i":
            return None
        if word == "i" and re.search(r"\b(?:type|part|war|phase|class|grade) $", text[: match.start()], re.IGNORECASE):
            return None
        done += text[at : match.start()]
        replaced = _LATER[word] if named else _FIRST.get(word)
        if replaced is None:
            return None
        done += _capital(replaced) if begins else replaced
        at = match.end()
        if word in ("i", "we"):
            verb = _agreed(text[at:], (match[1] or "").lower(), plural=named)
            if verb is None:
                return None
            text, at = text[:at] + verb, at
        named = True
    return done + text[at:]


def _agreed(rest: str, short: str, *, plural: bool) -> str | None:
    """What follows "I" with its verb for "the user", or for "they" (`plural`); None when the verb is not known.

    `short`: the verb's ending that was joined to "I": "'m", "'ve".
    """
    told = _words()
    match = re.match(r"((?: (?:" + "|".join(sorted(told.adverbs)) + r")\b)*) ([\w'-]+)(.*)", rest)
    if match is None:
        return None
    adverbs, verb, after = match[1], match[2], match[3]
    if short:
        would = verb in told.verbs or verb in ("rather", "like", "be", "have", "not", "never", "also", "usually")
        whole = {"'m": "are" if plural else "is", "'re": "are", "'ve": "have" if plural else "has", "'ll": "will",
                 "'d": "would" if would else "had"}[short]  # fmt: skip
        return f" {whole}{rest}"
    if verb in ("am", "was"):
        rest = f"{adverbs} { {'am': 'are', 'was': 'were'}[verb] if plural else _IRREGULAR.get(verb, verb)}"
        return None if (coordinated := _coordinated(after, "is", plural)) is None else rest + coordinated
    if verb in told.auxiliaries | told.past or verb in ("will", "may", "cant"):
        form = "can't" if verb == "cant" else verb
    elif verb in told.verbs or verb in _IRREGULAR:
        form = verb if plural else third(verb)
    else:
        return None
    kind = "modal" if verb in told.auxiliaries | {"will", "may", "cant"} else "past" if verb in told.past else "present"
    coordinated = _coordinated(after, kind, plural)
    return None if coordinated is None else f"{adverbs} {form}{coordinated}"


def _coordinated(after: str, kind: str, plural: bool) -> str | None:
    """The rest of a clause, with a second verb of the same subject put right: "... but avoids meat". None: in doubt."""
    told = _words()
    pieces = re.split(r"( )", after)
    seen_to = bool(re.search(r"\bto [a-z]+", after))
    for index in range(2, len(pieces), 2):
        if pieces[index - 2].lower().strip(",;") not in _JOINS:
            continue
        where = index
        while pieces[where].lower() in told.adverbs and where + 2 < len(pieces):
            where += 2
        word = pieces[where]
        if re.fullmatch(r"I|we|my|the|a|an", word):
            if word in ("I", "we"):
                break  # a subject of its own: `_persons` comes to it
            continue
        if word == "am":
            pieces[where] = "are" if plural else "is"
        elif word in told.verbs or word in ("don't", "haven't", "do", "have"):
            following = pieces[where + 2].lower().strip(",;") if where + 2 < len(pieces) else ""
            before = pieces[index - 4].lower() if index >= 4 else ""
            if (kind == "modal" or seen_to) and before in told.verbs:
                continue  # "to cook and bake", "can swim and dive"
            if kind == "modal" or seen_to or (word in told.both and following not in _FOLLOWING):
                return None
            pieces[where] = word if plural else third(word)
    return "".join(pieces)
