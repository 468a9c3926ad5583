"""Facts for `netgpt bench constraints`, each with what it rules out, or nothing: written last, and measured once before
anything was changed for them. Kind of the fact, its words, and what of the table of foods or needs it must rule out.
"""

from __future__ import annotations

from typing import Final

RULES_OUT: Final = """
allergy|One cashew and her lips swell.|cashew
allergy|Penned as allergic to shellfish in her medical file|shellfish
allergy|had to use the adrenaline pen after eating sesame bread|sesame
allergy|peach skin makes his mouth itch|peach
allergy|cow's milk is a no-go for him|milk
allergy|celery, carrots and hazelnuts trigger her oral allergy|celery
allergy|the doctor found an egg white allergy|egg
allergy|mustard: anaphylaxis, twice|mustard
allergy|lupin flour landed her in hospital|lupin
note|walnuts send me to A&E|walnut
note|soy is something my body cannot cope with, it gives me hives|soy
note|My throat closes if there is crab in it|crab
diet|eats plants only, vegan to the bone|animal
diet|turned vegetarian after a farm visit|meat
diet|pescatarian, so fish but no meat|meat
diet|no red meat on cardiologist's orders|red-meat
diet|has cut out sugar|sugar
diet|steers well clear of dairy|milk
diet|does keto since March|starch
diet|won't eat lamb|lamb
diet|never eats anything with pork in it|pork
diet|hasn't had gluten for years, coeliac|gluten
faith|observes kashrut, keeps kosher at home|pork
faith|as a Muslim she leaves out pork and wine|pork
faith|is a Hindu and eats no beef|beef
health|in her second trimester, pregnant with a girl|alcohol
health|breastfeeding a newborn|alcohol
health|type 2 diabetes, watches sugar|sugar
health|on antabuse|alcohol
health|fructose-free? no: lactose intolerant|lactose
alcohol|clean and sober, eleven months|alcohol
alcohol|never drinks, on principle|alcohol
alcohol|promised the children not to touch alcohol again|alcohol
taste|olives are the one thing he can't stand|olive
taste|hates the taste of coriander|coriander
taste|not a fan of aubergine|aubergine
access|in a wheelchair since 2019|wheelchair
access|stairs leave her breathless; she avoids them|wheelchair
access|had a stroke and cannot do steps|wheelchair
access|moves with a walking frame|wheelchair
access|deaf in both ears|hearing
access|legally blind, reads braille|sight
fear|heights make him freeze|heights
fear|never gets on a plane, fear of flying|flying
fear|panics in lifts and other small spaces|tight
fear|cannot swim, deep water frightens her|water
fear|bitten as a child, scared of dogs ever since|dogs
allergy|cats set off his asthma|cats
allergy|wool brings her out in a rash|wool
allergy|reacts to perfume with headaches|perfume
allergy|nickel: skin rash from cheap earrings|nickel
allergy|latex gloves give her blisters, allergic|latex
budget|no more than 45 euros for a dinner|budget
budget|can put at most £30 towards a present|budget
budget|hotel budget is $120 a night|budget
note|is not allowed into the Crown and Anchor any more: banned from the Crown and Anchor|avoid
note|wants to avoid Bettina Krause|avoid
note|keeps away from Marlow's since the quarrel|avoid
allergy|de: Haselnüsse und Walnüsse sind tabu, Allergie|hazelnut
allergy|de: reagiert allergisch auf Soja|soy
diet|de: ernährt sich vegan|animal
diet|de: kein Schwein, aus Glaubensgründen|pork
access|de: kommt keine Treppen hoch|wheelchair
alcohol|de: trinkt nie Alkohol|alcohol
allergy|fr: les fruits de mer lui sont interdits, allergie|shellfish
diet|fr: suit un régime végétalien|animal
health|fr: intolérance au lactose|lactose
access|fr: les escaliers lui sont impossibles|wheelchair
allergy|es: tiene alergia al huevo|egg
diet|es: no come carne ni pescado|meat
health|es: está embarazada de cinco meses|alcohol
alcohol|es: dejó de beber hace dos años|alcohol
allergy|it: la frutta secca gli è vietata, allergia|nut
diet|it: vegana convinta|animal
access|it: non può fare le scale|wheelchair
taste|it: odia i funghi|mushroom
"""
NOTHING: Final = """
note|has never been allergic to anything
note|enjoys oysters and champagne
note|her boss is a wine importer
note|runs a peanut farm in Georgia
note|grew up vegetarian but eats everything these days
note|the milk allergy went away when he was six
note|works for a wheelchair manufacturer
note|climbs stairs for exercise, four floors
note|is not afraid of heights
note|swims two kilometres a day
note|teaches cookery, mostly vegan dishes
note|has a cat called Olive
note|lives above a halal butcher
note|loves a peaty whisky
note|collects antique perfume bottles
note|flies to Oslo every month
note|pays 850 euros rent a month
note|earned 300 euros with the stall
note|was pregnant when they moved here
note|wrote a blog about gluten
note|his favourite film is Chocolat
note|plays bass in a band
note|Mary Peacock is her tutor
note|the dog eats fish on Fridays
note|tolerates dairy well
note|has no dietary restrictions
note|used to keep kosher
note|walks to work along the canal
note|carries a baby in a sling on walks
note|bought a wool coat last week
note|supports Fulham, hates losing
note|avoids tax forms until April
note|a night owl who drinks coffee at ten
note|went to a Jain temple on holiday
note|knows a lot about mushrooms
note|is learning German with her flatmate
note|has a shop that sells nuts and dried fruit
note|is good with crowds, a born entertainer
note|paints horses
note|sings in a church choir on Sundays
note|de: arbeitet in einer Brauerei
note|de: mag Fisch sehr
note|de: wohnt im dritten Stock ohne Aufzug
note|fr: adore le fromage
note|fr: travaille dans une cave à vin
note|es: le encanta el jamón
note|es: vive cerca de la playa
note|it: ama la montagna
note|it: lavora in una gelateria
note|drives an automatic
"""


def rows(table: str) -> list[list[str]]:
    """The lines of a table as cells; a language in front of the words is taken off."""
    cells = [line.split("|") for line in table.strip().splitlines()]
    return [[kind, words[4:] if words[2:4] == ": " else words, *rest] for kind, words, *rest in cells]
