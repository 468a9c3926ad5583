"""The second half of the material of `netgpt bench constraints`: other dishes, places, things, wordings and frames,
written after the first half had been measured and mended for. Its first figure is in docs/benchmarks/constraints.md;
after that it was mended for, too.
"""

from __future__ import annotations

from typing import Final

DISHES: Final = """
Moqueca from Bahia | snapper, coconut milk, peppers, coriander | fish
Khao soi | egg noodles, chicken, coconut broth | gluten egg meat
Patatas a la riojana | potatoes, chorizo, peppers | meat pork
Plov | mutton, carrots, rice, cumin | meat
Sinigang | pork ribs, tamarind, radish | meat pork
Shchi | cabbage, potatoes, dill, sour cream | milk
Avgolemono | chicken broth, rice, lemon, eggs | meat egg
Chana saag | chickpeas, spinach, ginger | none
Huancaina potatoes | potatoes, queso fresco, evaporated milk, crackers | milk gluten
Baingan bharta | aubergine, tomato, onion, peas | none
Tom kha with prawns | coconut milk, galangal, king prawns | crustacean
Coronation salad | chicken, mayonnaise, curry powder, flaked almonds | meat egg nut
Soba salad | buckwheat noodles, soy sauce, sesame oil | soy sesame
Spätzle with onions | flour, eggs, mountain cheese | gluten egg milk
West African nkatenkwan | groundnut paste, tomatoes, chicken | peanut meat
Larb of mushrooms | oyster mushrooms, lime, mint, toasted rice | mushroom
Pea and ham soup | split peas, ham hock, carrots | meat pork
Chilaquiles verdes | corn tortillas, salsa verde, crema, egg | milk egg
Pommes boulangere | potatoes, onions, thyme, vegetable stock | none
Fattoush | lettuce, cucumber, radish, pita | gluten
Sweet potato wedges | sweet potatoes, rosemary, olive oil | none
Gado plate of Jakarta | vegetables, boiled egg, peanut dressing | peanut egg
Remoulade slaw | celeriac, carrots, apple, mustard | celery mustard
Steamed hake | hake, leeks, white wine | fish alcohol
Rabbit stifado | rabbit, shallots, red wine, cinnamon | meat alcohol
Quinoa with beetroot | quinoa, beetroot, orange, parsley | none
Tahdig with barberries | rice, barberries, saffron | none
Halva crumble | apples, halva, oats | sesame
Cashew and kale toss | cashews, kale, garlic, chilli | nut
Custard tart of Belem | puff pastry, egg yolks, milk | gluten egg milk
"""
DRINKS: Final = """
Negus | port, hot water, lemon, sugar | alcohol
Garden cooler | cucumber, basil, tonic water | none
Kalimotxo | red wine and cola | alcohol
Horchata of Valencia | tiger nuts, cinnamon, water | none
Iced oat flip | oats, vanilla, ice | none
Bicicletta | Campari, white wine, soda | alcohol
Banana malted | milk, banana, malt powder | milk gluten
Shandy with lime | lager, lime soda | alcohol gluten
Watermelon press | watermelon, lime, mint | none
Almond frost | almond milk, honey, ice | nut honey
Raspberry shrub | raspberries, apple vinegar, soda water | none
Espresso cream | espresso, double cream | milk
"""
GERICHTE: Final = """
Pannfisch | Kabeljau, Bratkartoffeln, Senfsoße | fish mustard
Szegediner Topf | Schweineschulter, Sauerkraut, Schmand | meat pork milk
Kichererbsen-Spinat-Pfanne | Kichererbsen, Spinat, Tomaten | none
Wirsingrouladen | Wirsing, Hackfleisch, Semmelbrösel | meat gluten
Reiberdatschi | Kartoffeln, Apfelmus, Öl | none
Satéspieße | Hähnchenfilet, Erdnusssoße | meat peanut
Maronensuppe | Maronen, Gemüsebrühe, Sellerie | celery
Steinpilznudeln | Steinpilze, Bandnudeln, Sahne | mushroom gluten milk
Bunte Reispfanne | Reis, Paprika, Zucchini | none
Walnussbrot mit Feigen | Walnüsse, Weizenmehl, Feigen | nut gluten
Krautwickel ohne Fleisch | Weißkohl, Reis, Tomaten | none
"""
PLATS: Final = """
Tajine du jardin | carottes, pois chiches, courgettes | none
Waterzooi | poulet, crème, poireaux | meat milk
Bricks au thon | feuille de brick, thon, oeuf | gluten fish egg
Sauté de porc | porc, pruneaux, miel | meat pork
Soupe au chou | chou, carottes, pommes de terre | none
Nouilles saté | nouilles de riz, sauce cacahuète, tofu | peanut soy
Tarte fine aux tomates | pâte feuilletée, tomates, moutarde | gluten mustard
Champignons farcis | champignons, ail, persil | mushroom
Riz au curry | riz, lait de coco, petits pois | none
"""
PLATOS: Final = """
Potaje de vigilia | bacalao, garbanzos, espinacas | fish
Pisto | calabacín, pimiento, tomate | none
Cochifrito | cerdo, ajo, pimentón | meat pork
Crema de calabaza | calabaza, cebolla, aceite de oliva | none
Arroz a banda | arroz, gambas, caldo de pescado | crustacean fish
Tarta de Santiago | almendra, huevos, azúcar | nut egg
Ensalada de lentejas | lentejas, tomate, cebolla | none
Fideos con cacahuetes | fideos, cacahuetes, salsa de soja | peanut gluten soy
"""
PIATTI: Final = """
Panissa | riso, fagioli, salame | meat pork
Caponata in agrodolce | melanzane, sedano, capperi | celery
Pesce spada alla griglia | pesce spada, limone | fish
Insalata di farro | farro, pomodorini, basilico | gluten
Peperonata | peperoni, cipolle, pomodori | none
Polenta e funghi | polenta, porcini, aglio | mushroom
Semifreddo al pistacchio | pistacchi, panna, uova | nut milk egg
Minestra di zucca | zucca, patate, rosmarino | none
Pollo con arachidi | pollo, arachidi, cipollotti | meat peanut
"""
GIFTS: Final = """
Hot water bottle in a knitted cover | lambswool cover | wool animal
Beekeeping starter box | hive, smoker, gloves | animal
Cork placemats | cork, set of four | none
Bottle of Barolo | red wine, 2019 | alcohol
Cologne by Aubry | citrus cologne, 50 ml | perfume
Silk pillowcase | mulberry silk | animal
Pistachio cream | pistachios, sugar, milk powder | nut milk animal
Puffer vest | filled with duck down | feathers animal
Enamel mug | enamel, dishwasher safe | none
Sketchbook | recycled paper, 120 pages | none
Sheepskin slippers | sheepskin, rubber sole | wool animal
Garden string in a tin | jute, refill included | none
Craft beer crate | twelve ales from Kent | alcohol gluten
Scented candle trio | fig, cedar, amber | perfume
Suede gloves | suede, lined | animal
Solar lantern | folds flat, ten hours | none
"""
TRIPS: Final = """
Cathedral ascent | climb to the viewing platform at 96 metres | heights
Rowing on the meadow lake | rent a rowing boat for an hour | water
Bookbinding class | six people around one table | none
Big wheel at the quay | a ferris wheel with open cabins | heights
Carnival parade | the whole town in the street, crowds | crowd
Kitten yoga | yoga with kittens from the shelter | cats
Drum night | live music, very loud | loud
Botanical drawing | pencil and paper in the greenhouse | none
Surf lesson | two hours on the board | water
Mosaic studio | cut and lay tiles in a quiet room | none
Rock festival | three stages, packed | crowd loud
Chess in the park | tables under trees | none
"""
FACTS: Final[dict[str, tuple[str, ...]]] = {
    "peanut": (
        "peanuts are deadly for him",
        "must never touch a peanut again after last year's emergency",
        "peanuts: no, allergic",
        "de: reagiert allergisch auf Erdnüsse",
        "fr: est gravement allergique à l'arachide",
        "es: no puede comer cacahuetes",
        "it: non può mangiare arachidi",
    ),
    "nut": (
        "nuts of every kind are forbidden by her doctor",
        "is severely allergic to tree nuts",
        "de: leidet an einer Nussallergie",
        "fr: fait des allergies aux fruits à coque",
        "it: è allergico alla frutta secca",
    ),
    "milk": (
        "has had to give up dairy",
        "milk products upset his stomach badly",
        "is intolerant to milk protein",
        "de: reagiert auf Milch mit Ausschlag",
        "it: non tollera il latte",
    ),
    "gluten": (
        "gluten makes her ill",
        "eats strictly gluten free because of coeliac disease",
        "de: darf wegen Zöliakie kein Gluten essen",
        "fr: ne peut pas manger de gluten",
        "es: tiene celiaquía",
        "it: non può mangiare glutine",
    ),
    "egg": ("can't tolerate eggs", "has an egg allergy"),
    "crustacean": ("is allergic to prawns and other crustaceans", "has been told to avoid all shellfish"),
    "fish": ("cannot eat fish: allergy", "gets hives from fish", "de: hat eine Fischallergie"),
    "sesame": ("has a sesame allergy", "reacts badly to sesame"),
    "soy": ("is allergic to soya",),
    "celery": ("can't have celery", "has a celery allergy"),
    "mushroom": ("does not like mushrooms", "loathes mushrooms", "de: hasst Pilze", "fr: déteste les champignons"),
    "meat": (
        "is a vegetarian",
        "gave up meat and fish years ago",
        "follows a vegetarian diet",
        "de: lebt vegetarisch",
        "fr: ne mange ni viande ni poisson",
        "es: es vegetariana desde 2010",
        "it: segue una dieta vegetariana",
    ),
    "pork": (
        "eats no pork",
        "avoids pork for religious reasons",
        "de: verzichtet auf Schweinefleisch",
        "fr: ne consomme pas de porc",
    ),
    "halal": ("follows halal rules strictly", "is a practising Muslim"),
    "alcohol": (
        "hasn't touched a drink since rehab",
        "stays off alcohol",
        "gave up drinking in January",
        "is expecting a baby in May",
        "de: trinkt keinen Alkohol",
        "fr: est enceinte",
    ),
    "animal": ("has been vegan since university", "follows a strictly vegan lifestyle"),
    "wool": ("can't wear wool", "has a wool allergy"),
    "perfume": ("perfume triggers his asthma", "can't be near scented products"),
    "feathers": ("is allergic to goose down", "down makes him sneeze"),
    "stairs": (
        "is a wheelchair user",
        "cannot climb steps because of her heart",
        "stairs are impossible for him since the stroke",
        "pushes a rollator",
        "de: kann keine Treppen steigen",
        "fr: ne peut pas monter d'escaliers",
    ),
    "loud": ("is almost deaf in noisy rooms", "has severe hearing loss"),
    "cats": ("can't be around cats: allergy", "is allergic to cat hair"),
    "heights": ("gets dizzy at heights", "is terrified of heights"),
    "water": ("is a non-swimmer", "cannot swim a stroke"),
    "crowd": ("crowds make her panic", "can't stand crowds since the accident"),
}
BUDGETS: Final = (
    "has {} euros to spend, no more",
    "must stay under {} euros",
    "maximum spend: {} euros",
    "her limit is {} €",
    "anything over {} euros is too dear for him",
)
AVOIDS: Final = ("does not want to set foot in the {} again", "got banned from the {}", "stays away from the {}")
REQUESTS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "recipe": {
        "en": (
            "I'm hungry, what can I make quickly",
            "easy supper for me",
            "a dish to try this weekend",
            "what's a good recipe for leftovers day",
        ),
        "de": ("Vorschläge fürs Abendessen", "ein schnelles Rezept für heute"),
        "fr": ("une recette facile pour ce soir", "quoi manger ce midi"),
        "es": ("una receta fácil para hoy", "sugiéreme algo para comer"),
        "it": ("una ricetta veloce per stasera", "consigliami un piatto per il pranzo"),
    },
    "menu": {
        "en": (
            "what shall we serve at my party buffet, food-wise",
            "dishes for a picnic",
            "meal ideas for the next days",
        ),
        "de": ("Essensideen für die nächsten Tage",),
        "fr": ("des plats pour un pique-nique",),
        "es": ("platos para un picnic",),
        "it": ("piatti per un picnic",),
    },
    "restaurant": {
        "en": ("any good restaurants around here", "where should I have lunch", "suggest somewhere to eat out tonight")
    },
    "gift": {
        "en": (
            "what could they give me as a present",
            "Christmas gift suggestions for me",
            "something nice as a gift to myself",
        )
    },
    "route": {
        "en": ("how do I get to the theatre on foot", "a nice route along the river", "directions to the town hall")
    },
    "hotel": {"en": ("recommend a hotel for the weekend", "where could I stay in Bruges", "hotel tips for one night")},
    "drinks": {
        "en": ("recommend me a drink", "which cocktail or juice would be nice now", "drinks for a warm evening")
    },
    "shopping": {
        "en": (
            "what could I buy at the Christmas market",
            "help me with shopping for my birthday wishes",
            "which gloves or slippers should I order",
        )
    },
    "outing": {
        "en": ("things to do on my day off", "suggest an activity for Saturday", "what could I visit this afternoon")
    },
}
STAIRS: Final = (
    "four steps at the entrance",
    "second floor walk-up",
    "you go up a narrow spiral staircase",
    "basement, down 14 stairs",
)
LEVEL: Final = (
    "no steps anywhere",
    "lift to all floors",
    "entrance at street level, wide doors",
    "wheelchair accessible throughout",
)
FRAMES: Final = {
    "en": ("Sure! Have a look at these:", "Enjoy, and have a great day!"),
    "de": ("Gerne, schau mal:", "Viel Spaß!"),
    "fr": ("Avec plaisir, voici ce que je propose :", "Bonne journée !"),
    "es": ("Claro, mira:", "¡Que lo disfrutes!"),
    "it": ("Certo, ecco:", "Buona giornata!"),
}
