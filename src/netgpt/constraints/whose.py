"""Whose a fact is: what is said of a daughter or a flatmate counts for what is asked in that person's name alone."""

from __future__ import annotations

import re
from typing import Final

from netgpt.constraints.features import needs
from netgpt.constraints.taxonomy import LANGUAGES, folded, taxonomy, word_set, words_of

_RELATIVES: Final[dict[str, str]] = {
    "wife": "wife frau ehefrau femme epouse esposa mujer moglie", "husband": "husband mann ehemann mari esposo marido "
    "marito",
    "partner": "partner partnerin spouse boyfriend girlfriend freund freundin compagnon compagne pareja novio "
    "novia compagno compagna fiance fiancee ex",
    "son": "son sohn fils hijo figlio", "daughter": "daughter tochter fille hija figlia",
    "child": "child children kid kids baby toddler twins boy boys girl girls grandson granddaughter eldest "
    "youngest kind kinder enfant enfants nino ninos ninas bambino bambini "
    "hijos figli",
    "mother": "mother mum mom mutter mama mere maman madre mamma", "father": "father dad vater papa pere padre",
    "parents": "parents eltern padres genitori", "sister": "sister schwester soeur hermana sorella",
    "brother": "brother bruder frere hermano fratello", "grandmother": "grandmother grandma granny oma "
    "grossmutter abuela nonna",
    "grandfather": "grandfather grandpa opa grossvater abuelo nonno",
    "friend": "friend friends colleague colleagues flatmate flatmates roommate boss neighbour neighbor guest "
    "guests kollege kollegin mitbewohner mitbewohnerin chef nachbar nachbarin "
    "ami amie collegue voisin amigo amiga companera colega vecino amico amica collega vicino aunt uncle cousin "
    "niece nephew mate cofounder lodger tenant client customer mother-in-law father-in-law cousin housemate "
    "tante onkel neffe nichte tio tia sobrino sobrina zio zia nipote",
    "pet": "dog cat puppy kitten rabbit pony labrador hund katze chien chat perro gato cane gatto",
}  # fmt: skip
_POSSESSIVES: Final = word_set(
    "my his her their our the mein meine sein seine ihr ihre unser unsere ma mon mes son sa notre mi su nuestro "
    "mia mio sua suo la le il el"
)
_RELATIVE_OF = {word: of for of, words in _RELATIVES.items() for word in words.split()}
_VERBS: Final = word_set(
    """is am are was has have had can can't cannot does doesn't don't keeps needs hates eats drinks works avoids uses
    likes loves must gets reacts ist bin hat habe isst esse est suis a ai mange es soy tiene tengo come e sono
    ha ho mangia"""
)
_CARED_FOR: Final = re.compile(
    r"\b(?:who|whose|that|der|die|deren|dessen|qui|dont|que|cuyo|cuya|che|married to|lives with|cooks for|cares "
    r"for|looks after|"
    r"has (?:an?|one|two|three)|hat eine?n?|mit|avec|con)\b"
)
_LIVES_WITH: Final = re.compile(
    r"\b(?:married to|lives with|dating|engaged to|looks after|cooks for|cares for|verheiratet mit|lebt mit|vit "
    r"avec|vive con|marie[e]? a)\b"
)
_EXPECTING: Final = re.compile(r"\b(?:pregnant|expecting|due|schwanger\w*|enceinte|embarazada|incinta)\b")
_BUT_I: Final = re.compile(r"\b(?:but i|aber ich|mais moi|mais je|mais j'|pero yo|pero a mi|ma io|ma a me)\b")
_NAMED: Final = re.compile(
    r"(?P<name>[A-ZÀ-Þ][\w'’-]+)(?:,[^,]{1,30},)? (?:is|has|can't|cannot|can not|doesn't|does not|hates|needs|"
    r"keeps|eats|drinks|avoids|uses|must|was|won't|"
    r"ist|hat|isst|verträgt|est|ne|es|tiene|no|è|ha|non)\b"
)
_NO_NAMES: Final = word_set(
    """i ich je yo io the user
    everything everyone anything nothing no never stairs steps crowds heights flying it this that there
    he she they who food doctor money life time sunday sundays what all any both each since für der die das il
    elle lui lei"""
)


def whose_is(sentence: str, kind: str) -> str:
    """Whose a sentence speaks of: "" is the person; else a relation ("daughter"), or the folded name of somebody.
    `kind` of the fact: it may be the relation itself.

    >>> whose_is("is vegan", "diet"), whose_is("Lily has a peanut allergy", "note"), whose_is("hates fish", "son")
    ('', 'lily', 'son')
    """
    of_the_user = re.match(r"The user(?:['’]s)\s", sentence) is not None
    small = folded(re.sub(r"^The user(?:['’]s)? ", "", sentence)).strip()
    if kind in _RELATIVE_OF and not sentence.startswith("The user "):
        return _RELATIVE_OF[kind]
    if turned := _BUT_I.search(small):  # "my brother is fine, but I ..."
        small = small[turned.end() :]
    words = [word.strip(",.'()").removesuffix("'s") for word in small.split()[:9]]
    cared_for = _CARED_FOR.search(small) is not None
    for place, word in enumerate(words[:4] if of_the_user else words):
        if word not in _RELATIVE_OF or (word == "kind" and words[max(0, place - 1)] not in _POSSESSIVES):
            continue
        if _RELATIVE_OF[word] == "child" and _EXPECTING.search(small):
            continue
        begins = place < 4 and not set(words[:place]) & _VERBS
        if not (of_the_user or begins or cared_for):
            continue
        if _RELATIVE_OF[word] == "pet" and not re.search(
            rf"\b{word} (?:is|has|can|must|needs|ist|hat|darf|"
            rf"called)\b",
            small,
        ):
            continue
        return _RELATIVE_OF[word]
    if _LIVES_WITH.search(small):
        return "partner"
    return _somebody(sentence)


def _somebody(sentence: str) -> str:
    """The name of whom a sentence speaks, where it begins with one."""
    named = _NAMED.match(sentence)
    if named is None:
        return ""
    word = folded(named["name"])
    is_thing = word in _NO_NAMES or bool(taxonomy().read(named["name"], LANGUAGES).mentions)
    is_thing = is_thing or any(word in need.things or need.about.fullmatch(word) for need in needs().values())
    return "" if is_thing else word


def speaks_of(request: str, whose: str) -> bool:
    """Whether a request is in the name of that person ("for my daughter")."""
    words = set(words_of(request))
    if whose in words or any(of == whose and word in words for word, of in _RELATIVE_OF.items()):
        return True
    at_home = whose in ("wife", "husband", "partner", "son", "daughter", "child")
    return at_home and bool(words & {"family", "us", "familie", "uns", "famille", "familia", "famiglia", "noi"})
