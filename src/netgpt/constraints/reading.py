"""What a fact rules out, whatever its words: "hives from cashews", "keeps kosher", "at most 80 euros a night".

Precision comes first: what was once so, what is denied, what is said of a job or a shop gives nothing; what is said of
somebody else counts for that person alone. English, German, French, Spanish, Italian.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from netgpt.constraints.features import Need, needs
from netgpt.constraints.measures import money_limits, times_of
from netgpt.constraints.stances import clauses_of, is_refused, phobia_of, ruled_out_parts, says_only_no
from netgpt.constraints.taxonomy import LANGUAGES, Food, Mention, folded, taxonomy, word_set, words_of
from netgpt.constraints.whose import whose_is
from netgpt.registry import holds_texts
from netgpt.wording import language_of

FOOD: Final = frozenset(("food", "drink", "place", "gift", "shop", "activity"))
"""Kinds of requests in which what somebody eats and drinks counts."""
WITH_PEOPLE: Final = frozenset(("place", "stay", "route", "activity", "food", "shop", "gift"))
"""In which people and places to avoid count."""
ALLERGENS: Final = word_set(
    """gluten crustacean egg fish peanut soy milk nut celery mustard sesame sulphite lupin mollusc shellfish seafood
    lactose meat pork beef poultry red-meat alcohol caffeine sugar gelatine honey animal cheese citrus berry"""
)
"""Kinds of food that are meant whole when a thing among them is named as what makes ill."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What an option must not have. `repr` shows its kind alone."""

    kind: str
    """allergy, diet, faith, health, alcohol, taste, budget, access, fear, habit, avoid, time."""
    where: frozenset[str]
    """Kinds of requests in which it counts."""
    strict: bool = True
    """What only may be in an option, or is not known of it, counts too; a wish gives way where nothing is left."""
    foods: frozenset[str] = frozenset()
    words: frozenset[tuple[str, ...]] = frozenset()
    """Names as such: of foods that the table does not know, of people and places."""
    allowed: frozenset[str] = frozenset()
    """Foods that are excepted."""
    together: tuple[tuple[str, str], ...] = ()
    need: str = ""
    limit: float = 0.0
    currency: str = ""
    per: str = ""
    days: frozenset[int] = frozenset()
    """Weekdays that are ruled out, Monday is 0."""
    earliest: int | None = None
    latest: int | None = None
    """Minutes of the day between which something may begin."""
    whose: str = ""
    """"" is the person; else in whose name the request must be: "daughter"."""

    def __repr__(self) -> str:
        return f"<Constraint {self.kind}>"


@dataclass(frozen=True, slots=True)
class StatedDiet:
    """One line of `states.toml`: how facts state it, and what it rules out."""

    words: re.Pattern[str]
    kind: str
    foods: frozenset[str]
    also: str


_BEFORE_STATE = (
    r"(?:^|[,:(]\s*|\b(?:is|are|am|i'm|be|being|been|became|become|turned|went|gone|has|have|had|with|eats?|"
    r"lives?|living|does|doing|regime|ernahrung|eating|follows?|following|keeps?|keeping|on|takes?|taking|of|a|an|the|"
    r"diagnosed(?: as| with)?|strict(?:ly)?|lifelong|diet|observant|practi[sc]ing|devout|religious|only|and|but|"
    r"for|bin|ist|sind|wurde|geworden|habe|hat|lebt|lebe|isst|esse|ernahrt sich|"
    r"ernahre mich|nimmt|nehme|eine?n?|streng|seit|und|suis|est|devenu[e]?|une?|mange|a|ai|et|soy|es|come|como|"
    r"sigue|sigo|estoy|esta|tiene|tengo|y|sono|e|mangia|mangio|segue|ha|ho|del|di|la|le))\s*"
)
_ADVERBS = (
    r"(?:(?:strict(?:ly)?|strikt|streng|lifelong|now|also|fully|very|currently|mostly|mainly|usually|five|six|"
    r"seven|eight|three|four|two|\d+|months?|weeks?|a|an|the|severe(?:ly)?|"
    r"practi[sc]ing|observant|orthodox|devout|committed|ethical|raw|rein|uberwiegend|meist|stricte?ment|jetzt|"
    r"seit|jahren|eine?|ein|une?|un|una|estricta(?:mente)?|strettamente|"
    r"years?|days?|gestational|borderline|early|sunni|sunnite|shia|type|low|im|\w+ten|monat|bei|nur|only|sehr|diet|"
    r"food|de|d'|all(?:es)?|everything|newly|again|both|"
    r"certified) ){0,4}"
)
_AFTER_STATE = (
    r"(?=$|[.,;:!()/&-]|\s+[(]|\s+(?:after|following|when|while|before|he|she|they|i|a|her|his|my|herself|"
    r"himself|themselves|"
    r"plan|friendly|strictly|rules|laws|diet|diat|disease|food|meals?|only|since|for|and|but|who|due|along|convint\w*|"
    r"convencid\w*|convaincu\w*|"
    r"uberzeugt\w*|"
    r"last|next|every|about|through|throughout|during|under|between|from|than|if|though|although|just|even|still|right|"
    r"soon|already|almost|first|second|type|aus|von|vom|wegen|durch|ab|bis|schon|noch|immer|sans|par|pour|chez|sous|"
    r"toujours|deja|por|para|sin|siempre|ya|per|senza|sempre|gia|dal|dalla|strict\w*|estrict\w*|strett\w*|total\w*|"
    r"please|pls|fully|all|in|seit|und|aber|nur|depuis|"
    r"et|mais|desde|y|e|ma|da|pero|except|with|mit|lifestyle|household|person|"
    r"eater|at|by|because|as|again|ernahrung|kost|products?|meat|options|this|until|in|to|due|woman|man|baby|"
    r"twins|weeks?|months?|de|con|avec|on|like|week|now|these|nowadays|years?|"
    r"regime|dieta|intoleran\w+|syndrome|allerg\w+|patient|or|too|also|out|plus)\b)"
)


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("netgpt.constraints").joinpath(name).read_text(encoding="utf-8"))


_STATES: Final = [
    StatedDiet(
        re.compile(_BEFORE_STATE + _ADVERBS + f"(?P<state>{'|'.join(told['words'])})" + _AFTER_STATE),
        told["kind"],
        frozenset(told["foods"].split()),
        told.get("also", ""),
    )
    for told in _table("states.toml").values()
]
_SAID: Final = {name: re.compile(rf"\b(?:{'|'.join(said)})\b") for name, said in _table("phrases.toml").items()}
_DENIED = re.compile(
    r"(?:\b(?:not|no|never|isn't|aren't|nor|neither|hardly|nicht|kein|keine|keinerlei|weder|pas|plus|jamais|"
    r"aucune?|ni|nunca|ningun\w*|non|nessun\w*)|n't)"
    r"(?: (?:a|an|at all|really|known|any|strictly|longer|ist|bin|es|soy|eine?|un[ae]?|e|de|d'))*\s*$"
)
_ONCE: Final = _SAID["once"]
_LIKES: Final = _SAID["likes"]
_ILL = (  # groups of words behind which stands what makes ill
    r"allergi\w+ (?:reactions? )?(?:to|gegen|auf|aux?|a(?:l|lla|lle|i|gli|ll'|llo)?|a (?:los?|las?|el)|a l'|a)|"
    r"allerg(?:y|ies|ie|ia) (?:to|gegen|aux?|a(?:l|lla|lle|i)?|a l'|a (?:los?|las?)|a la)|"
    r"allerg(?:y|ies|ie|ia|ien|ias) ?:|intoleran(?:t|te|ce|cia)s? (?:to|of|for|au|aux|a la|a l'|al|a los?|a las?|"
    r"a)|intolleran(?:te|za) (?:al|alla|ai|alle|all'|a)|anaphyla\w+ (?:\w+ ){0,2}(?:to|from|after|with|bei|"
    r"auf)|"
    r"(?:epipen|adrenaline pen|notfallset|epinephrine) (?:\w+ )?(?:for|against|because of|wegen|fur)|(?:breaks?|"
    r"broke|comes?) out in (?:hives|a rash|spots) (?:from|after|with|when \w+ eats?)|(?:hives|rash|swells? up|"
    r"throat closes)(?: up)? "
    r"(?:from|after|when \w+ eats?|with)|reacts? (?:very |really )?(?:badly|violently|strongly) to|(?:bad |"
    r"severe )?reaction to|gets? (?:sick|ill|hives|a rash|migraines?) (?:from|after|of)|(?:can't|cannot|can "
    r"not|unable to|not able to|not "
    r"allowed to|must not|mustn't|may not|shouldn't) (?:eat|have|tolerate|digest|touch|consume|drink|take)|"
    r"doesn't tolerate|does not tolerate|sensitive to|sensitivity to|vertrage? (?:absolut |uberhaupt "
    r")?keine?n?|vertragt (?:absolut |uberhaupt "
    r")?keine?n?|darf keine?n?|reagiert (?:\w+ )?auf|reagiere (?:\w+ )?auf|ne (?:supporte|tolere|digere)s? pas|"
    r"ne (?:peut|peux|dois|doit) pas (?:manger|boire)|no (?:tolera|tolero|puede comer|puedo comer|puede tomar|"
    r"puedo tomar|debe comer)|non "
    r"(?:tollera|tollero|puo mangiare|posso mangiare|digerisce|digerisco|puo bere)|le sienta mal|me sienta mal|"
    r"must (?:strictly )?avoid|has to avoid|have to avoid|has to stay away from|medically barred from|steer "
    r"clear of"
)
_NOT_EATEN = (
    r"(?:(?:does not|doesn't|do not|don't|never|no longer|won't|will not) (?:ever )?(?:eat|eats|drink|drinks|"
    r"touch|touches|consume|consumes|have|take|cook|buy|use|do)(?: any| meals with| dishes with| anything "
    r"with)?|(?:(?:has|have) not (?:eaten|touched|had)|(?:hasn't|haven't) (?:eaten|touched|had)|keeps? away from|"
    r"stopped|quit|given up|gave "
    r"up|giving up|cut out|swore off|sworn off|off|abstains? from|stays? away from|avoids?|avoiding|refrains? "
    r"from|keeps off|skips|leaves? out|steers (?:\w+ )?clear of|gone without|goes without)(?: eating| drinking| "
    r"all| any)*|(?:eats?|"
    r"drinks?|has|have|is having|"
    r"consumes?) (?:no|nothing with|neither)|^no|^never any|, no|(?:isst|esse|trinkt|trinke) weder|(?:ne mange|"
    r"ne bois|no come|no como|non mangia|non mangio) n[ie]|(?:isst|esse|trinkt|trinke) (?:nie|niemals|nichts "
    r"mit)|isst (?:\w+ ){0,2}keine?n?|esse (?:\w+ "
    r"){0,2}keine?n?|trinkt (?:\w+ ){0,2}keine?n?|trinke (?:\w+ ){0,2}keine?n?|ohne|^keine?n?|meidet|meide|"
    r"verzichte(?:t)? auf|ne "
    r"(?:mange|bois|boit|consomme|prend|prends)s? (?:pas|plus|jamais|aucun)(?: d[eu']| de la)?|evite|^pas d[e']|"
    r"sans|^aucun|no (?:come|como|bebe|bebo|toma|tomo|consume|consumo|prueba)|evita|evito|^nada de|^sin|ha "
    r"dejado|dejo de (?:comer|"
    r"beber|tomar)|ya no (?:come|como|bebe|bebo|toma)|non (?:mangia|mangio|beve|bevo|prende|consuma|tocca)(?: "
    r"piu| mai)?|^niente|^senza|ha smesso di (?:mangiare|bere))"
)
_DISLIKED = (
    r"(?:hates?|loathes?|detests?|dislikes?|despises?|can't stand|cannot stand|can't bear|can't abide|not a fan "
    r"of|not keen on|not fond of|doesn't like|does not like|don't like|disgusted by|hasst|hasse|mag "
    r"(?:uberhaupt )?keine?n?|kann "
    r"keine?n?|deteste|n'aime pas|(?:a|ai) horreur d[eu']|odia|odio|no le gustan?|no me gustan?|detesta|detesto|"
    r"non (?:gli|le|mi) piac\w+)"
)
_TAIL_ENDS = re.compile(
    r"[.;!?()]| but | though | although | because | since | unless | so (?:that )?| aber | weil | mais | car | "
    r"pero | porque | ma | perche | and (?:is|has|lives?|loves?|likes?|works?|drinks?|eats?|enjoys?|keeps?|"
    r"hates?|needs?|uses?|wants?|"
    r"takes?|never|carries)\b|, (?:is|has|lives?|loves?|likes?|works?|but|and (?:is|has|loves|likes|lives))\b| "
    r"und (?:ist|hat|liebt|mag|wohnt|trinkt|isst)\b| et (?:est|aime|habite|a)\b| y (?:es|tiene|le|vive)\b| e "
    r"(?:ha|ama|vive)\b"
    r"| (?:even )?traces | at all| whatsoever| since | seit | depuis | desde | after | nach | on weekdays| for "
    r"(?:health|religious|ethical|medical)"
)
_EXCEPT = re.compile(
    r"\b(?:except(?: for)?|apart from|other than|besides|only|ausser|bis auf|sauf|excepte|salvo|excepto|menos|"
    r"tranne|eccetto|but not|unless it is)\b"
)
_TRIGGERS = (
    ("allergy", True, re.compile(rf"(?:{_ILL})(?!\w)\s*(?P<what>.+)")),
    ("diet", True, re.compile(rf"(?:^|(?<=[\s,]))(?:{_NOT_EATEN})\s+(?P<what>.+)")),
    ("taste", False, re.compile(rf"\b{_DISLIKED}\s*(?P<what>.+)")),
    (
        "taste",
        False,
        re.compile(
            r"^(?P<what>[\w ,-]{3,40}?) (?:is|are) (?:\w+ ){0,5}(?:can't stand|cannot stand|hates?|loathes?|detests?|"
            r"dislikes?|disgust\w*)\b"
        ),
    ),
)
_BEFORE_WORD = re.compile(
    r"(?P<what>(?:[\w-]+[ ,&/]+(?:(?:and|or|und|et|y|e) )?){1,4}?)(?:allerg(?:y|ies|ic|ie|ien|iker\w*)|"
    r"intoleran(?:ce|t|z)|unvertraglichkeit|sensitivity|anaphylaxis|reaction)\b"
)
_COMPOUND = re.compile(
    r"\b(?P<what>[a-z]{3,})(?:allergie|allergiker|allergikerin|allergisch|intoleranz|"
    r"unvertraglichkeit)\b"
)
_MAKES_ILL = re.compile(
    r"^(?P<what3>[\w ,-]{3,40}?) (?:vertragt|vertrage|esse|isst|trinke|trinkt) (?:ich |er |sie )?(?:uberhaupt |"
    r"gar )?nicht|"
    r"(?:^|[,;] )(?P<what>[\w ,&-]{3,60}?) (?:gives?|makes?|sends?|causes?|triggers?|brings?) (?:him|her|them|me|"
    r"the user|you|his|their|my) (?:\w+ ){0,3}?(?:sick|ill|allerg\w*|symptoms|reactions?|attacks?|asthma|"
    r"wheez\w*|sneez\w*|breathless|exhaust\w*|rash|hives|"
    r"migraines?|headaches?|"
    r"stomach|cramps|anaphyla\w+|itch\w*|"
    r"to hospital|swell\w*|vomit|bloat\w*)|(?:^|[,;] )(?P<what2>[\w ,&-]{3,60}?) (?:is|are) (?:off limits|"
    r"forbidden|out of the question|off the table|off the list|never eaten|off the menu|banned|poison|deadly|"
    r"taboo|not an option|a no-go)|(?:^|[,;] )(?P<what4>[\w ,&-]{3,40}?) and (?:i|he|she|they|the user) (?:do "
    r"not|does not|don't|doesn't) get along"
)
_NOT_BARE: Final = frozenset(("animal", "pub", "water"))
"""Lines of the table whose names mean other things as well, where nothing says that somebody eats or drinks."""
_NO_FOOD = word_set(
    """anything everything it that this them food foods much more many meals breakfast lunch dinner late early change
    noise people work much alcohol-free light cold heat stress criticism most things something someone meat-
    free there here well good bad any all some every day time home school medication medicine penicillin
    aspirin ibuprofen latex dust pollen cats dogs animals smoke perfume nickel wool none no known allergies
    allergy limits unknown nothing intolerances restrictions diet dietary motorways"""
)
_UNMANAGED: Final = _SAID["unmanaged"]
_EATS = re.compile(r"\b(?:nothing|nichts|rien|nada|niente|eats?|drinks?|plate|diet)\b")
_ALLERGIC = re.compile(r"allerg|alerg|anaphyl|epi-?pen|intoleran|unvertrag|hives|urtic|ortic|welts|rash|ausschlag")
_DAMAGED = re.compile(
    r"\b(?:repaired|reconstruct\w*|swell\w*|swollen|stiff|bandaged|bad|new|bone on bone|inject\w*|gone|damage\w*|brace|"
    r"screws?|neue[nrs]?|steif\w*|geschwollen\w*|verletz\w*|abime\w*|mal|blessee?s?|neuve?|mala?s?|nuev[oa]s?|nuov[oa]|"
    r"malat[oa])\b|"
    r"\b(?:dodgy|slipped|herniated|torn|tore|ruptur\w*|surgery|operat\w*|operier\w*|operad\w*|opere\w*|op|kaputt|polvo|"
    r"injur\w*|arthrit\w*|arthros\w*|artrit\w*|artros\w*|replace\w*|worn|dicky|gammy|blown|hurts?|pain\w*|ache\w*|"
    r"sore|shot|knackered|out|abgenutzt|schmerz\w*|usee?s?|fragiles?|lesion\w*|rott[oae]|rot[oa]s?|dolor|duelen?|"
    r"male|dolore)\b"
)
_OWN_PET = re.compile(
    r"\b(?:my|our|his|her|their|a rescue|old|mein\w*|unser\w*|mon|notre|mi|mio|nostro)(?: \w+)? (?:dogs?|cats?|hund|"
    r"katze|chien|chat|perro|gato|cane|gatto)\b"
)
_FEARLESS = re.compile(
    r"\b(?:not|no|never|without|kein\w*|nicht|pas|sans|sin|non|senza|nessun\w*|ningun\w*|"
    r"aucun\w*) (?:\w+ ){0,2}(?:fear|"
    r"afraid|scared|miedo|peur|paura|angst|problem\w*|phob\w*|vertige|vertigini)\b"
)
_WELCOME: Final = _SAID["welcome"]
_MAKES_UNWELL: Final = _SAID["unwell"]
_STOPPED_DRINKING: Final = _SAID["stopped-drinking"]
_MILD = re.compile(r"\b(?:mostly|mainly|usually|tries to|trying to|prefers?|flexitarian|when possible|where "
r"possible|uberwiegend|meistens|moglichst|plutot|si possible|sobre todo|preferably|"
                   r"in general|per lo piu|if possible|cutting down on|less)\b")  # fmt: skip
_AVOIDS = re.compile(
    r"\b(?:avoids?|avoiding|stays? away from|keeps? away from|(?:does not|doesn't|never|won't|don't) (?:want|"
    r"wants|wish|wishes|go|goes|shop|shops|eat|eats|buy|buys|fly|flies|stay|stays|enter|set|sets)(?: to| back)*"
    r"(?: (?:see|meet|go|foot|set foot|enter|run into|bump into|eat|be seen|visit|invite|sit next to|be "
    r"near))*(?: (?:in|at|near|to|"
    r"from|with|into|by))?|not on speaking terms with|no longer speaks? (?:to|with)|doesn't speak to|has "
    r"fallen out with|fell out with|broke up with|boycotting|boycotted|"
    r"restraining order against|banned from|barred from|boycotts?|was attacked (?:in|at|near)|was mugged (?:in|"
    r"at|near)|bad memories of|no contact with|hiding from|stalked by|meidet|meide|geht nicht (?:ins|zum|zur|"
    r"in|nach)|will (?=[A-ZÄÖÜ])|"
    r"boykottiert|hausverbot (?:im|in der|bei)|kein kontakt (?:zu|mit)|evite|evite d'aller (?:au|a|chez)|ne va "
    r"(?:jamais|plus) (?:au|a|chez)|boycotte|evita(?: a| ir a)?|no quiere ver a|no va a|boicotea|evita di "
    r"andare (?:da|a|al)|non va mai (?:da|a|al)|"
    r"non vuole vedere|boicotta) ",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?:(?:the|The|her|his|my|their|ex|ex-\w+|brother|sister|cousin|boss|old|former|colleague|"
r"neighbour|restaurant|hotel|pub|bar|caf[eé]) )*(?P<name>(?:[A-ZÀ-Þ][\w'’&.-]*|&|of|de|du|la|le|von)(?: "
r"(?:[A-ZÀ-Þ][\w'’&-]*|&|of|de|du|la|le|von|and(?= [A-Z])))*)")  # fmt: skip


def constraints_of(text: str, kind: str = "") -> tuple[Constraint, ...]:
    """What a fact rules out; nothing where it is in doubt. `kind`: the fact's own, a hint ("allergy", "budget")."""
    return _constraints(text, kind)


@holds_texts
@lru_cache(maxsize=4_096)
def _constraints(text: str, kind: str) -> tuple[Constraint, ...]:
    stated = re.sub(
        r"^(?:About the user: |The user(?:['’]s)? |I['’]m |I am |I |Ich |Je |J['’]|Yo |Io )", "", text.strip()
    )
    found: list[Constraint] = []
    for sentence in re.split(r"(?<=[.!?;])\s+", stated):
        small = folded(sentence).strip()
        whose = whose_is(text if stated.startswith(sentence) else sentence, kind)
        of_it = [*_of_sentence(small, kind), *_names(sentence)]
        found += [replace(each, whose=whose) for each in of_it]
    if not found and kind in ("allergy", "allergies", "intolerance", "dislike", "dislikes"):
        small = folded(stated)
        if not _ONCE.search(small) and not _DENIED.search(small[:12] + " ") and not _LIKES.search(small):
            is_taste = kind.startswith("dislike")
            tail = re.split(r"^(?:allerg\w+|intoleran\w+|dislikes?)\s*(?:to|:)?\s*", small)[-1]
            found += ruled_out(tail, "taste" if is_taste else "allergy", not is_taste)
    return tuple(dict.fromkeys(found))


def _of_sentence(small: str, kind: str) -> Iterator[Constraint]:
    once = _ONCE.search(small)
    if once and (now := _said_after(small)):  # "bitten as a child, terrified of dogs"
        small, once = now, None
    if not once or re.search(
        r"ever since|since then|still|can no longer|no longer (?:able|manages?|climbs?|"
        r"swims?|fl(?:y|ies)|walks?)",
        small,
    ):
        for need in needs().values():
            if _has_need(need, small):
                yield Constraint(need.kind, need.where, need=need.name)
    yield from _states(small, bool(once))
    found = list(_eaten(small, bool(once)))
    plain = not found and not once and not _WELCOME.search(small) and not _FEARLESS.search(small)
    plain = plain and not any(state.words.search(small) for state in _STATES)
    if plain and not _LIKES.search(small):
        kind_of_it = "allergy" if _ALLERGIC.search(small) else "diet"
        for part in ruled_out_parts(small, languages_of(small)):
            languages = languages_of(small) if " " in part else LANGUAGES
            found += (
                each
                for each in ruled_out(part, kind_of_it, strict=True, only_known=True, languages=languages)
                if not each.foods & _NOT_BARE or _EATS.search(small)
            )
    unwell = plain and not found and _MAKES_UNWELL.search(small)
    if unwell and not _LIKES.search(small):
        found = [
            each
            for each in ruled_out(small, "allergy", strict=True, only_known=True, languages=languages_of(small))
            if each.foods != {"blood"}
        ]
    yield from found
    for limit, currency, per, where in money_limits(small, kind in ("budget", "money", "price")):
        yield Constraint("budget", where, limit=limit, currency=currency, per=per)
    yield from timed(small)


def timed(small: str) -> Iterator[Constraint]:
    """The days and times that a sentence rules out."""
    days, earliest, latest = times_of(small)
    if days or earliest is not None or latest is not None:
        where = frozenset(("place", "activity", "route", "food", "shop"))
        yield Constraint("time", where, days=days, earliest=earliest, latest=latest)


def is_doubtful(small: str) -> bool:
    """Whether the words of a fact speak of what was once so, of a job or a liking, or of no trouble."""
    return any(words.search(small) for words in (_ONCE, _LIKES, _WELCOME, _FEARLESS))


def _said_after(small: str) -> str:
    """The clauses behind the one that speaks of what was once so, where they begin anew; "" without any."""
    clauses = re.split(r"[,;:] | but | now | then ", small)
    last = max((n for n, each in enumerate(clauses) if _ONCE.search(each)), default=0)
    return ", ".join(clauses[last + 1 :])


@holds_texts
@lru_cache(maxsize=64)
def _is_fearless(small: str) -> bool:
    """Whether a sentence says that something is no trouble, or not feared."""
    return _FEARLESS.search(small) is not None


def _is_own_pet(clause: str) -> bool:
    """Whether an animal is told of that lives with somebody."""
    return _OWN_PET.search(clause) is not None


def _has_need(need: Need, small: str) -> bool:
    """Whether a sentence states a need: in the table's words, or by what it is about and that it is not managed."""
    if _is_fearless(small):
        return False
    if stated := need.facts.search(small):
        if need.name == "leather" and not re.search(r"leather|leder|cuir|cuero|pelle", stated[0]):
            return False  # of a vegan: told with the diet
        return not _denied(small, stated.start()) and not _of_a_thing(small, stated.start())
    if _WELCOME.search(small):
        return False
    if phobia_of(small) == need.name and not _DENIED.search(small.split("phob")[0].rsplit(" ", 1)[0] + " "):
        return True
    for clause in clauses_of(small):
        if need.things & set(words_of(clause)) and _MAKES_UNWELL.search(clause):
            return not _of_a_thing(small, small.find(clause) + 1)
        about = need.about.search(clause)
        if about is None or _is_own_pet(clause):
            continue
        damaged = need.name == "joints" and _DAMAGED.search(clause)
        if damaged or _UNMANAGED.search(clause) or is_refused(clause) or says_only_no(clause, about[0]):
            return not _of_a_thing(small, small.find(clause) + about.start())
    return False


def _states(small: str, once: bool) -> Iterator[Constraint]:
    for state in _STATES:
        match = state.words.search(small)
        if match is None or once or _denied(small, match.start("state")) or _of_a_thing(small, match.start("state")):
            continue
        mild = bool(_MILD.search(small)) or (state.kind == "diet" and "starch" in state.foods)
        exceptions = _excepted(small[match.end() :])
        if state.also == "leather":
            yield Constraint("diet", needs()["leather"].where, need="leather", strict=False)
        yield Constraint(
            state.kind, FOOD, not mild, state.foods, allowed=exceptions,
            together=(("meat", "milk"),) if state.also == "meat+milk" else (),
        )  # fmt: skip
    if (_STOPPED_DRINKING.search(small) and not _LIKES.search(small)) or re.search(
        r"\b(?:does not|doesn't|do not|don't|never|no longer) drinks?(?: any ?more| at all| "
        r"alcohol)?(?: since .*)?(?:[.,;]|$| and )|trinkt nicht(?: mehr)?\.?$|ne boit pas\.?$|ne bois pas\.?$|no "
        r"bebe\.?$|non beve\.?$",
        small,
    ):
        yield Constraint("alcohol", FOOD, foods=frozenset(("alcohol",)))


def _eaten(small: str, once: bool) -> Iterator[Constraint]:
    for kind, strict, pattern in _TRIGGERS:
        for clause in _clauses(small):
            match = pattern.search(clause)
            if match is None or _denied(clause, match.start()):
                continue
            if (
                kind != "diet"
                and once
                and not re.search(
                    r"(?:can't|cannot|no longer) (?:eat|have|tolerate|drink|"
                    r"digest)",
                    clause,
                )
            ):
                continue
            if kind == "diet" and _LIKES.search(clause[: match.start()]):
                continue
            if re.match(r"(?:to (?:me|him|her)|on|in|at|with (?!meat))\b", match["what"]):
                continue
            known = kind == "diet" and not re.search(
                r"\b(?:eats?|drinks?|ess?e|isst|mange|bois|boit|come|como|"
                r"bebe|mangia|mangio|beve)\b",
                match[0][: match.start("what") - match.start()],
            )
            yield from ruled_out(
                match["what"],
                kind,
                strict and not _MILD.search(clause),
                only_known=known,
                languages=languages_of(small),
            )
    if once:
        return
    for pattern in (_BEFORE_WORD, _COMPOUND, _MAKES_ILL):
        for match in pattern.finditer(small):
            what = next(told for told in match.groupdict().values() if told)
            if not _denied(small, match.start()) and not _of_a_thing(small, match.start()):
                yield from ruled_out(
                    re.sub(r"^.*\b(?:has|have|had|hat|with|from|a|an)\s+", "", what),
                    "allergy",
                    True,
                    only_known=True,
                    languages=LANGUAGES if pattern is _COMPOUND else languages_of(small),
                )


_ENGLISH: Final = word_set(
    """the is has not and with for of her his my she he can cannot does any are it on at by from since allergic
    allergy eats drinks user gives makes left after that to but all never hates doesn don avoids keeps no
    can go than when you your they this would my"""
)


def languages_of(small: str) -> tuple[str, ...]:
    """In which languages the foods of a fact are read: English alone where its little words are there."""
    if len(_ENGLISH & set(words_of(small))) > 1:
        return ("en",)
    code = language_of(small)
    code = taxonomy().likeliest(small) if code == "en" else code
    if code in LANGUAGES:
        return tuple(dict.fromkeys((code, "en")))
    return LANGUAGES


def _clauses(small: str) -> list[str]:
    """The sentence, and its later parts that begin anew: "vegan, drinks no alcohol", "loves fish but eats no meat"."""
    parts = re.split(
        r"(?:,? (?:but|and|aber|und|mais|et|pero|y|ma|e)|,|;) (?=(?:is|has|eats?|drinks?|never|"
        r"can't|cannot|does|doesn't|don't|no |hates?|dislikes?|avoids?|allerg|intoler|isst|trinkt|vertragt|mag |"
        r"meidet|ne |n'|non |evita|no |odia|must|gets|reacts|must|ist |est |es ))",
        small,
    )
    return parts


def ruled_out(
    what: str, kind: str, strict: bool, only_known: bool = False, languages: Sequence[str] = ()
) -> Iterator[Constraint]:
    """The foods that a list of words names; a name that is not in the table as such."""
    tail = _TAIL_ENDS.split(f"{what} ", maxsplit=1)[0]
    exceptions = _EXCEPT.split(tail, maxsplit=1)
    allowed = _excepted(what)
    table = taxonomy()
    if kind == "allergy" and (things := [n for n in needs().values() if n.things & set(words_of(exceptions[0]))]):
        yield from (Constraint(need.kind, need.where, need=need.name) for need in things)
        only_known = True
    read = table.read(exceptions[0], languages or languages_of(what))
    foods: set[str] = set()
    words: set[tuple[str, ...]] = set()
    for mention in read.mentions:
        food = table.foods[mention.name.food]
        foods_of, words_of_it = _meant(mention, food, strict)
        foods |= foods_of
        words |= words_of_it
    if "nut" in foods and "tree" not in tail:
        foods.add("peanut")
    if kind == "allergy":  # whom one of them makes ill, most of the others do, too
        foods |= {whole for whole in ("crustacean", "mollusc") if any(whole in table.holds(each) for each in foods)}
    if {"meat", "fish"} <= foods:
        foods |= {"seafood", "gelatine"}
    if not read.mentions and not only_known:
        unknown = [word for word in words_of(exceptions[0]) if len(word) > 2][:3]
        if unknown and kind != "taste" and not set(unknown) & (_NO_FOOD | _ENGLISH):
            words.add(tuple(unknown))
    if foods or words:
        yield Constraint(
            "alcohol" if foods == {"alcohol"} else kind, FOOD, strict, frozenset(foods), frozenset(words), allowed
        )


def _meant(mention: Mention, food: Food, strict: bool) -> tuple[set[str], set[tuple[str, ...]]]:
    """The line of the table, or only the thing in it that was named."""
    if mention.name.own or food.id == "hot-spice" or (strict and food.id in ALLERGENS):
        return {food.id}, set()
    return set(), {tuple(mention.name.text.split())}


def _excepted(text: str) -> frozenset[str]:
    parts = _EXCEPT.split(text, maxsplit=1)
    if len(parts) < 2:
        return frozenset()
    return frozenset(each.name.food for each in taxonomy().read(_TAIL_ENDS.split(parts[1])[0], LANGUAGES).mentions)


def _denied(small: str, at: int) -> bool:
    return _DENIED.search(small[max(0, at - 40) : at]) is not None


def _of_a_thing(small: str, at: int) -> bool:
    """Whether what stands before speaks of a job, a hobby or a liking."""
    return _LIKES.search(small[:at]) is not None


def _names(sentence: str) -> Iterator[Constraint]:
    """People and places that are avoided: names behind a word that says so."""
    for match in _AVOIDS.finditer(sentence):
        name = _NAME.match(sentence[match.end() :])
        once = re.search(r"\b(?:used to|formerly|until \d{4})\b", sentence)
        if name is None or once:
            continue
        words = tuple(words_of(re.sub(r"['’]s$", "", name["name"])))
        if not words or taxonomy().read(name["name"], LANGUAGES).mentions:
            continue
        yield Constraint("avoid", WITH_PEOPLE, words=frozenset({words}))
