"""What leaves room for a choice on the box: which requests ask for suggestions, and the one sentence that they get.

Whether the sentence is added depends on words that leave anyway, and on whether the person has a profile at all; on
nothing that is in it. It is the same for everybody, so it tells nothing of an allergy, a budget or a fear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from netgpt.constraints.taxonomy import folded, word_set, words_of
from netgpt.types import Message
from netgpt.wording import language_of

WITHDRAWN: Final = "no constraints"
"""Stands among the consents of a person who withdrew the purpose `constraints`."""
SENTENCES: Final[Mapping[str, str]] = {
    "en": "Please give several different options as a numbered list, and say with each what it is made of or "
    "includes, what it "
    "costs, when it is, and what the way in is like, as far as that applies.",
    "de": "Bitte nenne mehrere verschiedene Möglichkeiten als nummerierte Liste und sag jeweils, woraus sie "
    "besteht oder was dazugehört, was sie "
    "kostet, wann sie ist und wie der Weg hinein ist, soweit das zutrifft.",
    "fr": "Merci de proposer plusieurs options différentes sous forme de liste numérotée, en précisant pour "
    "chacune de quoi elle est "
    "faite ou ce qu'elle comprend, son prix, quand elle a lieu et comment on y entre, dans la mesure où cela "
    "s'applique.",
    "es": "Por favor, da varias opciones diferentes en una lista numerada y di de cada una de qué está hecha o "
    "qué incluye, cuánto "
    "cuesta, cuándo es y cómo se entra, en la medida en que corresponda.",
    "it": "Per favore, proponi varie opzioni diverse in un elenco numerato e di' per ciascuna di che cosa è "
    "fatta o che cosa comprende, "
    "quanto costa, quando è e come si entra, per quanto possibile.",
}
"""The sentence, in the request's language."""
NOTES: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "en": (
        "Chosen on the box, for reasons that stayed here.",
        "Nothing of what was suggested fits, for reasons that stayed here.",
        "The box does not know enough about some of these: please check.",
        "Not all that is known here could be checked against this: please look for yourself.",
    ),
    "de": (
        "Hier ausgewählt, aus Gründen, die hier geblieben sind.",
        "Nichts von dem, was vorgeschlagen wurde, passt, aus Gründen, die hier geblieben sind.",
        "Bei einigem davon ist hier nicht bekannt, was darin ist: bitte nachsehen.",
        "Nicht alles, was hier bekannt ist, konnte damit abgeglichen werden: bitte selbst prüfen.",
    ),
    "fr": (
        "Choisi ici, pour des raisons qui sont restées ici.",
        "Rien de ce qui a été proposé ne convient, pour des raisons qui sont restées ici.",
        "Pour certaines de ces options, on ne sait pas ici ce qu'elles contiennent : à vérifier.",
        "Tout ce qu'on sait ici n'a pas pu être vérifié : à voir par vous-même.",
    ),
    "es": (
        "Elegido aquí, por razones que se quedaron aquí.",
        "Nada de lo propuesto encaja, por razones que se quedaron aquí.",
        "De algunas de estas opciones no se sabe aquí qué contienen: conviene comprobarlo.",
        "No todo lo que se sabe aquí se pudo comprobar: conviene mirarlo.",
    ),
    "it": (
        "Scelto qui, per ragioni che sono rimaste qui.",
        "Niente di ciò che è stato proposto va bene, per ragioni che sono rimaste qui.",
        "Di alcune di queste opzioni qui non si sa che cosa contengono: meglio controllare.",
        "Non tutto ciò che si sa qui si è potuto verificare: meglio controllare di persona.",
    ),
}
"""Chosen; nothing fits; not known; a fact that may count was not understood. In the person's language."""

_KINDS: Final[Mapping[str, str]] = {
    "food": r"\w*essensidee\w*|\w*rezept\w*|\w*gerichte?|\w*mahlzeit\w*|recipes?|dinner|lunch|breakfast|brunch|"
    r"supper|meals?|dish(?:es)?|menus?|cook|cooking|bake|baking|"
    r"eat|snacks?|desserts?|starters?|appeti[sz]ers?|buffet|picnic|food|groceries|meal plan|barbecue|bbq|"
    r"potluck|canapes?|"
    r"side dish|soup|salad|cake|sandwich|cuisine|hungry|starving|rezepte?|abendessen|mittagessen|fruhstuck|"
    r"kochen|koche|essen|gerichte?|backen|nachtisch|nachspeise|vorspeise|speiseplan|imbiss|kuchen|recettes?|"
    r"diner|"
    r"dejeuner|petit[- ]dejeuner|repas|plats?|cuisiner|manger|gouter|entrees?|collation|recetas?|cena|cenar|"
    r"almuerzo|desayuno|comida|comer|cocinar|platos?|postres?|merienda|aperitivos?|ricett[ae]|cenare|pranzo|"
    r"colazione|piatt[oi]|"
    r"cucinare|mangiare|dolci|spuntin[oi]|antipasti|diner|gerecht",
    "drink": r"drinks?|beverages?|cocktails?|wine|beer|toast|aperitif|getranke?|trinken|boissons?|boire|bebidas?|"
    r"beber|bevand[ae]|bere|punch|smoothie|nightcap",
    "place": r"(?:dinner|lunch|brunch|breakfast|supper) (?:place|spot)s?|"
    r"restaurant\w*|restaurants?|place for (?:a |an )?(?:\w+ )?(?:dinner|lunch|breakfast|brunch|drinks?|"
    r"coffee|meal|"
    r"bite)|table for|"
    r"in town|near(?:by| me| here| the)|around here|close by|in der nahe|pres d(?:e|')|cerca de|qui vicino|"
    r"cafes?|bistros?|bars?|pubs?|place to eat|places to eat|eat out|eating out|dine|"
    r"dining|where (?:can|could|should|to)|takeaway|take-away|delivery|lokal|gaststatte|wirtshaus|kneipe|wo "
    r"kann|wo konnte|ausgehen|"
    r"ou (?:manger|aller|boire|diner)|brasserie|donde|tapas|trattoria|osteria|pizzeria|ristorant[ei]|dove|"
    r"restaurantes?|museums?|cinema|theatre|venues?",
    "stay": r"hotel\w*|where (?:could|can|should) i stay|hotels?|hostels?|b&b|bed and breakfast|guest ?house|"
    r"accommodation|place to stay|somewhere to stay|"
    r"stay overnight|airbnb|holiday home|campsite|unterkunft|pension|ferienwohnung|ubernachten|ubernachtung|"
    r"hebergement|auberge|gite|"
    r"chambre|alojamiento|albergue|hoteles|albergo|alberghi|alloggio|pernottare|lodging|resorts?|weekend away|"
    r"city break|getaway|holiday|vacation|urlaub|vacances|vacaciones|vacanza",
    "route": r"routes?|way to|directions|get to|get from|how do i (?:get|reach)|how can i (?:get|reach)|travel "
    r"to|journey|walk to|path|trail|itinerary|weg (?:zu|nach)|wie komme|route|anfahrt|chemin|itineraire|"
    r"comment aller|trajet|ruta|camino|como llego|"
    r"como llegar|itinerario|percorso|strada|come arrivo|come arrivare|transport|trip to",
    "gift": r"\w*geschenk\w*|gifts?|presents?|birthday present|stocking filler|geschenke?|geschenkidee\w*|"
    r"schenken|cadeaux?|"
    r"offrir|regalos?|regalar|regali|regalare",
    "shop": r"shopping|shop|buy|buying|purchase|order|kaufen|einkauf\w*|bestellen|acheter|courses|commander|"
    r"comprar|compra|pedir|comprare|spesa|ordinare|shopping list|einkaufsliste|outfit|jumper|sweater|shoes|"
    r"jacket|coat|pillow|"
    r"duvet|jewell?ery|schuhe|pullover|bag|skin ?care|cosmetics",
    "activity": r"activit(?:y|ies)|things to do|what to do|what (?:can|could|should|shall) (?:we|i) do|"
    r"was (?:konnen|konnten|sollen) wir (?:unternehmen|machen)|que (?:peut-on|pouvons-nous) faire|que podemos hacer|"
    r"cosa possiamo fare|do this (?:weekend|evening|afternoon)|weekend plans?|"
    r"outing|excursions?|day out|date night|team (?:event|outing|building)|party|celebrate|evening out|night "
    r"out|visit|"
    r"sightseeing|events?|class(?:es)?|hobby|hobbies|unternehmen|ausflug\w*|aktivitat\w*|freizeit|feiern|"
    r"veranstaltung\w*|sorties?|activites?|que faire|actividad\w*|que hacer|salir|planes|attivita|cosa fare|"
    r"gita|uscire|fun|tours?|trip",
}  # fmt: skip
"""Kinds of requests: words of the request for each."""
_WORDS = {kind: re.compile(rf"(?<!\w)(?:{words})(?!\w)") for kind, words in _KINDS.items()}
_ASKS = re.compile(
    r"(?<!\w)(?:ideas?|suggest(?:ions?)?|recommend(?:ations?|ed)?|options?|alternatives?|inspiration|what (?:\w+ )?"
    r"(?:should|could|can|shall|to)|which|where|any|some|good|best|nice|give me|find(?: me)?|list|plan|need|"
    r"want|looking for|help me|"
    r"propose|pick|choose|recipes?|menu|gifts?|presents?|somewhere|something|how do i get|how can i get|way to|"
    r"route|book|ideen?|vorschlag\w*|vorschlage|empfehl\w*|empfiehl|was (?:soll|kann|konnte)|welche\w*|wo|"
    r"suche|brauche|mochte|etwas|"
    r"wie komme|rezepte?|gute?s?|geschenk\w*|idees?|suggestions?|propose\w*|conseil\w*|recommand\w*|que (?:puis|"
    r"faire|manger|cuisiner|peut)|quel(?:le)?s?|ou (?:manger|aller)|cherche|besoin|quelque chose|recettes?|"
    r"cadeau\w*|comment aller|"
    r"sugerencias?|sugiere\w*|recomienda\w*|recomendacion\w*|opciones|que (?:puedo|hago|cocino|regalo|como)|"
    r"cual(?:es)?|donde|busco|necesito|quiero|algo|recetas?|regalos?|como llego|consigli\w*|suggeri\w*|"
    r"proposte|opzioni|cosa (?:posso|"
    r"cucino|regalo|faccio)|quali?|dove|cerco|vorrei|qualcosa|ricett[ae]|regal[oi]|come arrivo|idee)(?!\w)"
)
_OTHER_WORK = re.compile(
    r"(?<!\w)(?:translate|summari[sz]e|rewrite|proofread|correct (?:this|my)|classify|extract|explain (?:this|"
    r"the|why|how)|code|python|regex|sql|function|essay|poem|story|email|letter|define|definition|what is (?:a|"
    r"an|the)|what does|who (?:is|was|"
    r"invented)|when (?:was|did)|history of|ubersetz\w*|zusammenfass\w*|fasse? .* zusammen|schreib\w* (?:eine?n? "
    r")?(?:mail|brief|gedicht|geschichte)|erklare|was ist|traduis\w*|traduire|resume[rz]?|explique\w*|"
    r"qu'est-ce qu\w*|traduc\w*|resum\w*|"
    r"explica\w*|que es|traduci|riassumi|spiega\w*|cos'e|json)(?!\w)"
)
_MARKS: Final = {
    "de": word_set("fur furs und vorschlage abendessen mittagessen essen geschenk geschenke gericht gerichte "
    "rezept heute morgen essensideen tage schnelles ein eine einen was wie mein meine nach ohne mit getranke "
    "tipps kochen"),
    "fr": word_set("quoi pour soir midi recette recettes cadeau cadeaux plats plat des une repas idees manger "
    "quel quelle mon ma mes pique rapide cuisiner boire restaurant chercher je un"),
    "es": word_set("algo para receta recetas comer cenar regalo regalos platos plato hoy mi que una cena comida "
    "sugiereme ideas facil beber restaurante quiero los las con"),
    "it": word_set("per ricetta ricette piatto piatti regalo regali cosa stasera pranzo consigliami veloce mio "
    "mia una cena da mangiare bere un idee qualcosa ristorante"),
}  # fmt: skip
"""Words of short requests that tell a language where its little words do not."""


def language_asked(request: str) -> str | None:
    """The language of a short request, of those that are spoken here; None: another one, or in doubt."""
    code = language_of(request)
    if code != "en":
        return code if code in SENTENCES else None
    words = set(words_of(request))
    best = max(_MARKS, key=lambda each: len(_MARKS[each] & words))
    if len(_MARKS[best] & words) > 1 or (not request.isascii() and _MARKS[best] & words):
        return best
    return "en" if request.isascii() else None


LONGEST: Final = 60
"""Words of a request that may get the sentence: a longer one says itself what it wants."""


def kinds_of(request: str) -> frozenset[str]:
    """What a request is about: food, drink, place, stay, route, gift, shop, activity; several, or none.

    >>> sorted(kinds_of("ideas for dinner")), sorted(kinds_of("what is the capital of Peru"))
    (['food'], [])
    """
    small = folded(request[:4_000])
    return frozenset(kind for kind, words in _WORDS.items() if words.search(small))


def asks_for_options(request: str) -> bool:
    """Whether a request wants suggestions of such a kind: by its words alone.

    >>> asks_for_options("Geschenkideen für meine Tante"), asks_for_options("Translate 'dinner' into French")
    (True, False)
    """
    small = folded(request)
    return (
        len(small.split()) <= LONGEST
        and bool(_ASKS.search(small) or len(small.split()) <= 5)
        and not _OTHER_WORK.search(small)
        and bool(kinds_of(request))
    )


def is_about_another_work(request: str) -> bool:
    """Whether it asks to translate, summarize, explain or write something: no suggestions are wanted."""
    return bool(_OTHER_WORK.search(folded(request[:4_000])))


def with_sentence(messages: Sequence[Message], language: str) -> list[Message]:
    """The conversation with the sentence behind the person's newest words; the input is not changed."""
    sentence = SENTENCES.get(language, SENTENCES["en"])
    last = dict(messages[-1])
    content: Any = last.get("content")
    if isinstance(content, list):
        last["content"] = [*content, {"type": "text", "text": sentence}]
    else:
        last["content"] = f"{content}\n\n{sentence}"
    return [*messages[:-1], last]


_OUR_LINES: Final = re.compile(
    r"\n*(?:" + "|".join(re.escape(line) for lines in NOTES.values() for line in lines) + r")(?=\s|$)"
)


def has_notes(messages: Sequence[Message]) -> bool:
    """Whether an earlier answer of the conversation was chosen from here."""
    return any(
        message.get("role") == "assistant"
        and isinstance(message.get("content"), str)
        and _OUR_LINES.search(message["content"])
        for message in messages
    )


def without_notes(messages: Sequence[Message]) -> list[Message]:
    """The conversation without what the box wrote under earlier answers: it is not for who answers now."""
    return [
        {**message, "content": _OUR_LINES.sub("", message["content"])}
        if message.get("role") == "assistant" and isinstance(message.get("content"), str)
        else message
        for message in messages
    ]
