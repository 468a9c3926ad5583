"""How people say in any words that something is not for them: a stance anywhere in a clause, and what it is about.

A strong stance ("off limits", "verzichten", "me sienta fatal") rules out the foods that its clause names. A bare "no"
or "never" does so only where nothing else is said ("beef: never"): "no idea about cheese" says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from netgpt.constraints.taxonomy import taxonomy, word_set, words_of
from netgpt.registry import holds_texts

_STRONG: Final = re.compile(
    r"(?:(?<!\w)(?:"
    # not able, not allowed, not willing
    r"(?:can't|cannot|can not|mustn't|must not|shouldn't|should not|won't|will not|may not|unable to|not allowed|"
    r"not supposed to|better not)(?: \w+){0,2}? (?:eat|have|do|digest|stomach|tolerate|touch|handle|process|keep "
    r"down|go near|drink|take|cope with|deal with)(?! (?:in|at|out|alone|before|after|on|outside|late|while|when|if))|"
    r"(?:won't|will not|can't|cannot|never|refuses? to|doesn't|don't)(?: \w+){0,2}? (?:get (?:on|in|into)|set foot|"
    r"board|"
    r"climb|ride|use|enter|go (?:up|in|on|near|into)|manage|walk|stand)|can't do|"
    r"(?:has|have|had|need|needs|got|advised|told|supposed)(?: \w+){0,3}? to (?:watch|limit|reduce|mind|restrict|"
    r"avoid|cut(?: out| down on| back on)?|give up|stay off|keep off|leave out|do without|skip|lay off|steer "
    r"clear of)|watch(?:es|ing) (?:his|her|my|their)|"
    r"(?:avoid|avoids|avoiding|shun|shuns|skip|skips|skipping|banned|dodge|dodges|ditch|ditched|"
    r"abstain|abstains|abstaining|refuse|refuses|barred|omit|exclude|excludes)|"
    r"nothing (?:from|with|containing|made (?:of|from)|that (?:has|contains))|(?:cuts?|cutting) (?:out|down on|"
    r"back on)|"
    r"trying to cut|(?:hard|big|firm|absolute|strict|total|clear) no\b|a no (?:from|for)|strictly no|no \w+ ever|"
    r"nichts "
    r"(?:mit|von|aus)|rien (?:avec|qui contien\w+)|low[- ](?=purine)|"
    # away from it
    r"(?:keep|keeps|stay|stays|steer|steers|stick|well|hold|holds|lay|lays|be)(?: \w+){0,2}? (?:away|clear|off|far|out)"
    r"(?: from| of)?(?: anything)?(?: with| containing)?|off (?:limits|the (?:table|menu|list|cards))|"
    r"(?:quit|given up|gave up|giving up|cut out|cutting out|done with|finished with|over with|swore off|sworn off|"
    r"laid off|knocked \w+ on the head|said goodbye to)|"
    r"(?:is|are|was ruled|were ruled|'s|'re|:|strictly|both|all|now|so|also)? ?(?:out of the question|"
    r"(?<=is )out|(?<=are )out|verboten|forbidden|prohibited|taboo|a no[- ]?go|no[- ]?gos?|not an option|haram|"
    r"treif|unclean|against (?:my|his|her|our|their) (?:religion|faith|beliefs?)|not for (?:me|him|her|us|them))|"
    # what it does
    r"(?:does not|doesn't|don't|do not|never)(?: \w+)? (?:agree|sit well|go down well|get (?:on|along)|mix|do well|"
    r"do|eat|drink|touch|consume)|disagrees? with|no friend of|"
    r"death sentence|kryptonite|could kill|would kill|kills?|fatal|poison(?:s|ous)?|"
    r"(?:brings?|breaks?|come|comes)(?: \w+)? out in|keeps? (?:me|him|her|them) (?:awake|up)|flares?(?: \w+)? up|"
    r"sets? off|does (?:me|him|her) in|plays? havoc|wrecks?|trouble with|problems? with|issues? with|"
    r"not good for|bad news|yuck|"
    r"epi-?pens?|anaphyla\w+|allerg(?:y|ies|ic)(?: to)?|intoleran\w+|sensitiv\w+|reacts?|"
    r"low[- ](?=sugar|fat|lactose|fodmap|carb|starch|alcohol|caffeine)|free from|free of|"
    # German
    r"verzichte\w*(?: auf)?|verzichten|verzicht|weglassen|weg von|lass\w* (?:\w+ )?weg|meid\w+|vermeid\w+|verboten|"
    r"untersagt|tabu|geht (?:gar |uberhaupt |absolut )?nicht|gehen (?:gar |uberhaupt |absolut )?nicht|no-?go|finger "
    r"weg|(?:bekommt|bekommen|tut|tun|schmeck\w+|passt|passen) (?:mir|ihm|ihr|uns|ihnen)?(?: \w+)? ?nicht(?: gut)?|"
    r"bekomm\w+ (?:mir|ihm|ihr) (?:schlecht|nicht)|kommt (?:mir |ihm |ihr |uns )?nicht auf den t\w+|ist gestrichen|"
    r"gestrichen|"
    r"(?:darf|durfen|kann|soll|sollte|mag|will|vertragt|vertrage|esse|isst|trinkt|trinke|nimmt) (?:\w+ ){0,2}?"
    r"(?:nicht|kein\w*|nie|niemals)|nicht (?:vertragen|essen|erlaubt|gut fur)|unvertraglich\w*|allergisch\w*(?: "
    r"(?:auf|gegen))?|allergie\w*|lebensgefahr\w*|ausschlag|"
    # French
    r"interdit\w*|proscrit\w*|banni\w*|exclue?s?|evit\w+|a eviter|deconseill\w+|renonc\w+ (?:a|au|aux)|arret\w+(?: "
    r"l[ea]s?| l')?|supprim\w+|jamais de|"
    r"(?:ne |n')(?:\w+ ){1,2}(?:pas|plus|jamais|rien)|(?:c'est|cest) (?:fini|non|exclu|mort|interdit|hors de "
    r"question)|hors de question|"
    r"(?:me|lui|nous) (?:rend\w* malade|fait (?:du )?mal|font (?:du )?mal|reuss\w+ pas)|(?:passe|passent|digere|"
    r"supporte|tolere)\w* "
    r"(?:pas|mal)|reaction|allergi\w+(?: (?:a|au|aux))?|"
    # Spanish
    r"prohibid\w+|vetad\w+|descartad\w+|evit\w+|fuera de (?:mi|su|la) \w+|nada (?:de|con)|ni (?:probar|una gota|ver|"
    r"olerlo)|"
    r"(?:me|le|les) (?:sienta\w?|cae\w?|hace\w?|da\w?|pone\w?)(?: \w+)? (?:fatal|mal|dano|alergia|asco|enferm\w+)|"
    r"renunci\w+ (?:a|al)|dej\w+ (?:de|el|la|los|las)|quitado|suprimid\w+|alergi\w+(?: (?:a|al))?|alergic\w+|"
    r"(?:no|nunca|jamas) (?:\w+ )?(?:com\w+|beb\w+|tom\w+|prueb\w+|puede\w?|puedo|toler\w+|aguant\w+|soport\w+|"
    r"digier\w+)(?: comer| tomar| beber| ni \w+)?|"
    # Italian
    r"vietat\w+|proibit\w+|bandit\w+|eliminat\w+|escludere|rinunci\w+ (?:a|al|alla|ai)|evit\w+|(?:niente|nulla) "
    r"(?:di|con)|(?:mi|gli|le) (?:fa|fanno|da|danno|viene)(?: \w+)? (?:male|fastidio|allergia|schifo)|non "
    r"(?:\w+ )?(?:mangi\w+|bev\w+|prend\w+|toller\w+|digeri\w+|posso|puo|tocc\w+|sopport\w+|regg\w+)(?: mangiare| "
    r"bere)?|stare lontan\w+ (?:da|dal\w*)|(?:alla|lontan\w+) larga|no se sub\w+|no sub\w+|no viaj\w+|non riesc\w+|"
    r"non sal\w+|"
    r"non viagg\w+|schaff\w+ kein\w*|steig\w* (?:in|auf) kein\w*|geht? (?:in|auf) kein\w*|allergic\w+(?: (?:a|al\w*))?"
    r")(?!\w))|[- ]free(?=$|[,.;)]| (?:only|please|pls|diet|since|because|for|by|"
    r"house\w*|kitchen|at home|now)\b)"
)
"""Anywhere in a clause: what the clause names is ruled out."""
_PLAIN: Final = word_set(
    """no nope none not never off without zero non nein nie niemals kein keine keinen nicht ohne pas jamais point sans
    aucun aucune nada nunca jamas sin ni ninguno mai niente senza nessun nessuna x ban"""
)
_EMPTY: Final = word_set(
    """a an the any all i me my he she his her him it is are am to for of and or please pls thanks ever at absolutely
    strictly really just only so at sorry thx kind type sort anything with in from das der die den dem und oder bitte
    auch gar uberhaupt fur mich ich mir le la les l des de du d un une et ou moi merci stp svp non c est el los las y o
    un una para mi por favor yo il lo gli i e o per me grazie proprio favore assolutamente pour tout toute nothing no
    que foods food dishes eat eats drink drinks always again more plus mehr mas piu"""
)
"""Words that say nothing of what a bare "no" is about."""
_SAYS_NO: Final = re.compile(
    r"(?:(?:that|this|it|they|these|those|das|ca|eso|questo|quello) )?(?:never|nope|no|not (?:for|with) me|no more|out|"
    r"(?:is|are|it's|they're|that's) (?:out|off|not for me|forbidden|over)|nie|niemals|nein|geht gar nicht|jamais|non|"
    r"c'est (?:fini|non|interdit|hors de question)|nunca|jamas|ni hablar|se acabo|prohibid\w+|mai|vietat\w+|basta)"
    r"(?: (?:again|ever|mehr|plus|mas|piu|for me|fur mich|pour moi|para mi|per me|thanks|danke|merci|gracias|grazie))*"
)
"""A clause that only says so of the one before."""
_ALL_BUT: Final = re.compile(
    r"(?:everything|anything|all|alles|alle\w*|tout|todo|de todo|tutto|di tutto)(?: \w+){0,2}? (?:but|except|save|"
    r"bar|apart "
    r"from|besides|ausser|bis auf|sauf|excepte|hormis|menos|excepto|salvo|tranne|eccetto)(?: for)? (?P<what>.+)"
)
"""What is excepted by somebody who eats all else."""
_FREE_OF: Final = re.compile(r"(?<!\w)(?P<what>[a-z]{3,}?)(?:frei|los)(?:e[rnms]?)?(?!\w)")
_TURNED: Final = re.compile(
    r"\b(?:nothing (?:is|wrong|against)|not? (?:an? )?(?:issue|problem|trouble)|no (?:\w+ )?(?:allerg\w+|intoleran\w+|"
    r"restrictions?|problems?|trouble|issues?)|not (?:allergic|forbidden|banned|sensitive|an issue|a problem|off "
    r"limits)|isn't|aren't|kein(?:e|erlei)? (?:allergi\w+|problem\w*|unvertraglich\w*)|nicht allergisch|nichts gegen|"
    r"(?:aucune?|pas d'|sans) (?:allergi\w+|intoleran\w+|probleme\w*)|pas allergi\w+|rien contre|(?:sin|ningun\w*) "
    r"(?:alergi\w+|problema\w*)|no es alergi\w+|(?:nessun\w*|senza) (?:allergi\w+|problem\w*)|non e allergic\w+|happy "
    r"with|fine with|makes? (?:me|him|her|them|us) (?:happy|smile|hungry|laugh|feel (?:better|good))|gives? (?:me|him|"
    r"her|them) (?:joy|energy|pleasure)|me (?:hace|da) (?:feliz|alegria|ilusion|igual|gusto|risa)|mi fa (?:felice|"
    r"piacere|ridere)|me (?:fait|donne) (?:plaisir|envie|rire)|hates? (?:cooking|making|washing|that|when|it when)|"
    r"(?:refus\w+|won't|can't|cannot|hard|never) (?:\w+ ){0,2}(?:cut|give up|giving up|quit|stop|cut out)|(?:won't|"
    r"can't|"
    r"cannot|doesn't|never|ne|nicht|non|no) (?:\w+ ){0,2}(?:live|start|go|leave|say no|resist|refuse|"
    r"skip|miss|forget|run out|cook|bake|make|pronounce|spell|afford|find|decide|wait|help|leben|kochen|backen|vivre|"
    r"vivir|vivere|cuisin\w+|cocin\w+|cucin\w+)|nothing beats|can take it or leave it|in (?:his|her|my) dreams|jokes?|"
    r"ads?|advert\w*|"
    r"(?:factory|shop|company|farm|museum|song|book|novel|film|prices?|allergist|researcher|customers?|knife|knives)"
    r")\b"
)
"""The clause says the opposite, or speaks of something else."""


@holds_texts
@lru_cache(maxsize=64)
def clauses_of(small: str) -> list[str]:
    """The clauses of a sentence; one that only says "never", "no more" stands with the one before it."""
    parts = re.split(
        r"[,;.!()] ?| [\u2013\u2014-] | (?:but|aber|mais|pero|ma) |"
        r" (?:and|und|et|y|e) (?=(?:will|i|he|she|they|is|has|can|takes|uses|ist|hat|est|es|tiene|ha)\b)",
        small,
    )
    clauses: list[str] = []
    for part in parts:
        if clauses and _SAYS_NO.fullmatch(part.strip()):
            clauses[-1] += f", {part}"
        elif part.strip():
            clauses.append(part)
    return clauses


@holds_texts
@lru_cache(maxsize=64)
def is_refused(clause: str) -> bool:
    """Whether a clause says of what it names that it is not for somebody."""
    return _STRONG.search(clause) is not None and _TURNED.search(clause) is None


def says_only_no(clause: str, thing: str) -> bool:
    """Whether a clause says of a thing nothing but "no": "motorways never"."""
    words = set(words_of(clause)) - set(words_of(thing)) - _EMPTY
    return bool(words) and words <= _PLAIN


def ruled_out_parts(small: str, languages: Sequence[str]) -> Iterator[str]:
    """The clauses of a folded sentence that rule out what they name, without the words of the stance."""
    if all_but := _ALL_BUT.search(small):
        yield all_but["what"]
        return
    for part in clauses_of(small):
        if _TURNED.search(part):
            continue
        if _STRONG.search(part):
            yield " ".join(_STRONG.sub(" , ", part).split())
        elif (stem := _FREE_OF.search(part)) and _names_food(stem["what"]):
            yield stem["what"]
        elif set(words_of(part)) & _PLAIN and (rest := _only_foods(part, languages)):
            yield rest


def _names_food(word: str) -> bool:
    return taxonomy().name_at([word], 0, ("de",)) is not None


def _only_foods(part: str, languages: Sequence[str]) -> str:
    """The foods of a clause that says nothing but "no" of them; "" else."""
    words = [word for word in words_of(part) if word not in _PLAIN and word not in _EMPTY]
    told = taxonomy().read(" ".join(words), languages)
    named = {word for mention in told.mentions for word in words[mention.at :][: len(mention.name.text.split())]}
    return " , ".join(words) if words and len(named) == len(set(words)) else ""


_PHOBIAS: Final = {
    "acro": "heights", "batmo": "heights", "alto": "heights", "aero": "flying", "avio": "flying", "ptero": "flying",
    "aviato": "flying", "claustro": "tight", "klaustro": "tight", "cleithro": "tight", "arachno": "spiders",
    "aracno": "spiders", "ophidio": "spiders", "ofidio": "spiders", "herpeto": "spiders", "cyno": "dogs",
    "kyno": "dogs", "cino": "dogs", "ailuro": "cats", "aqua": "water", "acua": "water",
    "hydro": "water", "hidro": "water", "idro": "water", "thalasso": "water", "talaso": "water",
    "agora": "crowds", "ochlo": "crowds", "enochlo": "crowds", "demo": "crowds", "anthropo": "crowds",
    "equino": "horses", "hippo": "horses", "hipo": "horses", "api": "bees", "melisso": "bees", "apio": "bees",
    "phono": "hearing", "fono": "hearing", "ligyro": "hearing", "miso": "hearing", "amaxo": "motorway",
}  # fmt: skip
_PHOBIA: Final = re.compile(r"\b(?P<stem>[a-z]{3,8}?)(?:ph|f)ob(?:i\w+|e|es|o|a|os|as|ic|iker\w*)\b")


@holds_texts
@lru_cache(maxsize=64)
def phobia_of(small: str) -> str:
    """The need that a word like "aerophobic" names, in any of the languages; "" without one."""
    return next((_PHOBIAS[m["stem"]] for m in _PHOBIA.finditer(small) if m["stem"] in _PHOBIAS), "")
