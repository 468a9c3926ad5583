"""Stated facts in English as sentences about the user, where that is certain: person, tense and capitals put right.

"Eats no dairy" becomes "The user eats no dairy", "I live in Ely" becomes "The user lives in Ely". Anything in doubt is
None: a fragment, a name, an order, a coordination whose second verb could as well be a noun.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
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
_IS = re.compile(
    r"""(?:not\ [a-z]+\ (?:to|of|in|with)|not\ an?\ [a-z]+|(?:lactose|gluten)\ intolerant|colou?r\ blind
      |hard\ of\ hearing)\b
    |(?:(?:diabetic|coeliac|asthmatic),\ type\ \w+|\d{1,3}\ (?:years?\ old|cm\ tall)|aged\ \d{1,3}
      |\d\.\d\d\ m\ tall)$""",
    re.VERBOSE | re.IGNORECASE,
)
"""What "the user is" goes before, beside the one-word states of `words.toml`."""
_WHERE = re.compile(
    r"""(?:[Cc]urrently\ |[Nn]ow\ )?(?:[Ii]n|[Aa]t|[Nn]ear|[Ff]rom)\ (?:the\ )?[A-Z][\w-]+(?:\ [A-Z][\w-]+)*
    (?:,?\ (?:right\ now|now|today|at\ the\ moment|this\ week|until\ .+))?$""",
    re.VERBOSE,
)
_NO_ADVERBS = frozenset(["family", "assembly", "anomaly", "butterfly", "monopoly", "supply", "friendly", "elderly"])
_ADDED = re.compile(r",|\bno\b")
"""After a state, what may follow from it: "coeliac, so no wheat"."""
_NO_DOING = re.compile(r"\S+ (?:hours|room|days|is|are|was)\b|\S+,", re.IGNORECASE)
"""Words in -ing that are no doing: "living room", "cooking, hiking"."""
_SINCE = re.compile(r"^(The user) is (?=.* since (?:\d|last\b|birth|childhood))")


class _Words:
    """The lists of `words.toml`, with the forms that follow from them."""

    def __init__(self) -> None:
        english = {name: frozenset(words.split()) for name, words in table()["english"].items()}
        self.verbs = english["verbs"]
        self.both = english["both"]
        self.auxiliaries, self.adverbs = english["auxiliaries"], english["adverbs"]
        self.states, self.was, self.doing = english["states"], english["was"], english["doing"]
        self.owned, self.before, self.intro = english["owned"], english["before"], english["intro"]
        self.following, self.joins, self.asked = english["following"], english["joins"], english["asked"]
        self.third = {third(verb): verb for verb in self.verbs}
        # Without those that are orders just as well: "read", "cut".
        self.past = (english["past"] | {form for verb in self.verbs for form in _past_forms(verb)}) - self.verbs
        self.same = english["past"] & self.verbs

    def is_adverb(self, word: str) -> bool:
        """Whether a word may stand between subject and verb: "never", "strongly"."""
        word = word.lower()
        return word in self.adverbs or (word.endswith("ly") and len(word) > 5 and word not in self.verbs | _NO_ADVERBS)


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
        told.append(_SINCE.sub(r"\1 has been ", written))
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
    text = re.sub(r'^["“]([^"“”]+)["”]$', r"\1", text.replace("’", "'")).rstrip(" .!;,")
    words = text.split()
    if not words or (len(words) > 2 and text.isupper()) or re.search(r"[\"“«„].*" + _PERSONS.pattern, text):
        return None
    if _OURS.match(text):
        label = re.match(r"the user's ([A-Za-z' -]{2,30}?)\s*:", text, re.IGNORECASE)
        return None if label and not _is_owned(label[1]) else _persons(_capital(text), named=True)
    if re.match(r"user(?:'s)? \S", text, re.IGNORECASE):
        certain = "'s" in words[0] or _tells(words[1:])
        return _persons(USER + text[4:], named=True) if certain else None
    if re.match(r"(?:I|i)\b", text):
        return _persons(_pronoun(text), named=False)
    if words[0].lower() in ("my", "our"):
        return _of_the_user(text, words)
    if words[0].lower() in ("we", "we're", "we've", "we'll", "we'd"):
        return None
    if words[0].lower() not in _words().states | _words().was and _tells(words):
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
    if told.is_adverb(first):
        return bool(after) and after[0] not in ("the", "and") and _tells(words[1:])
    if first in ("will", "can", "would", "could"):
        return bool(after) and after[0] in told.verbs | told.adverbs | {"be", "not", "do"}
    if first in told.auxiliaries:
        return bool(after) and after[0] not in told.asked
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
    first = words[0].lower()
    often = int(told.is_adverb(first) and len(words) > 1)
    state, rest = words[often].lower(), words[often + 1 :]
    following = rest[0].lower() if rest else "and"
    stands = (following in told.following or following in told.joins) and not _ADDED.search(text)
    doing = first in told.doing and bool(rest) and not _NO_DOING.match(text)
    link = ""
    if (state in told.states and stands) or doing or _IS.match(text) or _WHERE.match(text):
        link = "is"
    elif state in told.was and following in ("in", "on", "at", "with", "by", "as", "near"):
        link = "was"
    if link:
        return _persons(f"{USER} {link} {_small(text)}", named=True)
    return _labelled(text) or _owned(text, words)


def _labelled(text: str) -> str | None:
    """ "shoe size: 43", and "car: drives a van", where the label says no more than the sentence."""
    match = re.match(r"([A-Za-z' -]{2,30}?)\s*:\s+(\S.*)$", text)
    if match is None or not _is_owned(match[1]):
        return None
    if _tells(match[2].split()):
        return _persons(f"{USER} {_small(match[2])}", named=True)
    return _persons(f"{USER}'s {_small(match[1])}: {match[2]}", named=True)


def _is_owned(label: str) -> bool:
    told = _words()
    *before, noun = label.lower().split() or [""]
    return noun in told.owned and all(word in told.before | told.owned for word in before)


def _owned(text: str, words: Sequence[str]) -> str | None:
    """ "Wife is called Zelda", "GP is Dr Patel", "Mother lives with them"."""
    told = _words()
    for index in range(1, min(4, len(words) - 1)):
        verb, noun = words[index].lower(), words[index - 1].lower()
        links = verb in told.auxiliaries | {"are", "were"} or verb in told.third
        many = verb in told.verbs and (noun.endswith("s") or noun == "children")
        if (links or many) and _is_owned(" ".join(words[:index])):
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
    words = rest.split(" ")[1:]
    many = next((at for at, word in enumerate(words) if not told.is_adverb(word)), 0)
    many += 2 if words[many : many + 2] == ["no", "longer"] else 0
    adverbs = "".join(f" {word}" for word in words[:many])
    match = re.match(r" ([\w'-]+)(.*)", rest[len(adverbs) :])
    if match is None:
        return None
    verb, after = match[1], match[2]
    if short:
        would = verb in told.verbs or verb in ("rather", "like", "be", "have", "not", "never", "also", "usually")
        form, kind = {
            "'m": ("are" if plural else "is", "present"), "'re": ("are", "present"),
            "'ve": ("have" if plural else "has", "past"), "'ll": ("will", "modal"),
            "'d": ("would" if would else "had", "modal" if would else "past"),
        }[short]  # fmt: skip
        adverbs, after = "", rest
    elif verb in ("am", "was"):
        form, kind = ({"am": "are", "was": "were"}[verb] if plural else _IRREGULAR.get(verb, verb)), "present"
    elif verb in told.auxiliaries or verb in ("will", "may", "cant"):
        form, kind = "can't" if verb == "cant" else verb, "modal"
    elif verb in told.past:
        form, kind = verb, "past"
    elif (verb in told.verbs and verb not in told.same) or verb in _IRREGULAR:
        form, kind = verb if plural else third(verb), "present"
        if verb in ("don't", "dont") or after.startswith(" not "):
            kind = "modal"
    else:
        return None
    coordinated = _coordinated(after, kind, plural)
    return None if coordinated is None else f"{adverbs} {form}{coordinated}"


def _coordinated(after: str, kind: str, plural: bool) -> str | None:
    """The rest of a clause, with a second verb of the same subject put right: "... but avoids meat". None: in doubt."""
    told = _words()
    words = after.split(" ")  # the first is empty
    for index in range(2, len(words)):
        joins = words[index - 1].lower()
        if joins not in told.joins and not joins.endswith(","):
            continue
        where = index
        while told.is_adverb(words[where]) and where + 1 < len(words):
            where += 1
        word = words[where].strip(",;")
        if word in ("I", "we"):
            break  # a subject of its own: `_persons` comes to it
        if word in ("am", "don't", "haven't"):
            finite = third(word) if not plural else {"am": "are"}.get(word, word)
        elif word in told.verbs:
            second = _second(words, index, where, kind)
            if second is None:
                return None
            finite = third(word) if second and not plural else word
        else:
            continue
        words[where] = finite + words[where][len(word) :]
    return " ".join(words)


def _second(words: Sequence[str], index: int, where: int, kind: str) -> bool | None:
    """Whether the verb at `where`, joined at `index`, is finite, or goes with an infinitive. None: in doubt.

    "fly to Oslo and rent a car" against "like to cook and bake"; "peace and love" is neither.
    """
    told = _words()
    before, earlier = words[index - 2].lower(), words[index - 3].lower() if index > 2 else ""
    infinitive = any(a == "to" and b in told.verbs for a, b in pairwise(words[: index - 1]))
    if kind == "modal" or infinitive:
        adjoined = before in told.verbs and earlier == ("" if kind == "modal" else "to")
        return False if adjoined and (words[index - 1] == "or" or where == len(words) - 1 or infinitive) else None
    following = words[where + 1].lower().strip(",;") if where + 1 < len(words) else ""
    return None if words[where].strip(",;") in told.both and following not in told.following else True
