"""Facts in the words of a second author: what each rules out is left out, what it allows is kept."""

from __future__ import annotations

from typing import Final

import pytest

from netgpt.constraints.asking import kinds_of
from netgpt.constraints.choose import OptionJudge
from netgpt.constraints.judging import Fit
from netgpt.constraints.reading import constraints_of
from netgpt.constraints.stances import clauses_of, is_refused, phobia_of, says_only_no

ROWS: Final = """
en | peanuts: no | Pad Thai: rice noodles with egg, tofu and roasted peanuts | Mushroom risotto with parmesan
en | nuts make my throat swell up | Baklava: filo layered with pistachios and honey | Rice pudding with cinnamon
en | He breaks out in hives from crustaceans and molluscs | Lobster rolls with lemon mayonnaise | Beef stew with carrots
en | egg-free | Spinach omelette | Porridge with blueberries
en | dairy doesn't agree with me | Cream of mushroom soup | Chicken and rice salad with lemon
en | GF only | Chicken schnitzel in breadcrumbs | Prawn and avocado salad
en | soy is off the table | Tofu stir-fry with broccoli | Thai green curry with chicken and coconut milk
en | plant-based since 2020 | Goat's cheese tart with honey | Bean chilli with rice
en | pork and alcohol are haram for me | Coq au vin braised in red wine | Vegetable samosas with chutney
en | beef: never | Beef rendang | Chicken tikka
en | off booze since May | Pub crawl through the old town | Bowling with the gang
en | on antabuse | Craft IPA from a local brewery | Iced mint tea
en | caffeine keeps me awake, so none after noon | Double espresso | Chamomile tea
en | 23 weeks along | Steak tartare with capers | Vegetable lasagne
en | has to watch his sugar | Bag of gummy sweets | Boiled egg with cucumber
en | low-sodium diet (heart failure) | Salted pretzels with cheese dip | Steamed vegetables with herbs
en | mild food only please | Sichuan hotpot with chillies | Plain basmati with dal
en | can't do stairs | Lighthouse: spiral stairs to the top | Art museum with lifts to every floor
en | dodgy knees – nothing high impact | Trail running in the hills | Swimming lengths
en | aerophobia | Helicopter tour of the coast | Ferry to Ireland
en | bitten as a child, terrified of dogs | Husky sledding | Planetarium show
en | crowds freak me out | Stadium concert with 40,000 fans | Quiet walk in the woods
en | can't spend more than a twenty on a meal | Steakhouse, mains from £32 | Pizzeria, about £14 each
en | gift budget: fifty pounds tops | Noise-cancelling headphones, £249 | Houseplant, £18
en | hotels: not over 100 euros a night | Grand Palace, 240 euros a night | City Hostel, 45 euros a night
en | babysitter leaves at 9 pm | Club night from 11 pm | Matinee at 3 pm
en | not free before noon | Early bird swim, 6:30 am | Dinner at 7 pm
en | Tuesdays are taken | Spanish class, Tuesdays at 7 pm | Pilates, Thursdays at 6 pm
en | motorways terrify me | Take the M1 then the A14, motorway all the way | Train via Crewe
en | boycotting Luigi's after the food poisoning | Brunch at Luigi's | Sakura: noodles
de | Milchprodukte bekommen mir nicht | Käsefondue | Linseneintopf
de | lebt seit Jahren fleischlos | Gulasch mit Nudeln | Kartoffelsuppe ohne Wurst
de | schafft keine Treppen mehr | Burg über 200 Stufen | Ebener Uferweg
fr | les escaliers, c'est fini pour moi | Tour de la cathédrale, 387 marches | Croisière accessible
fr | ne mange plus de viande | Blanquette de veau | Curry de pois chiches
es | los huevos me sientan fatal | Revuelto de espárragos | Yogur con plátano
es | lleva dos años sin beber | Cata de vinos | Cine al aire libre
it | deve evitare il glutine | Pizza margherita | Pollo con patate
it | il pesce proprio no | Frittura di pesce | Melanzane alla parmigiana
it | terrore dell'altezza | Parco avventura sugli alberi | Acquario
"""
"""Language | fact | an option that it rules out | one that it allows."""
NOTHING: Final = """
no allergies
can eat gluten again
was afraid of flying, over it now
no longer pregnant
not afraid of spiders
no problem with stairs
budget meeting every Monday
can't stop laughing at Monty Python
vegetarian restaurant owner's accountant
hat keine Angst vor Hunden
pas de problème de mobilité
no tiene miedo a volar
non ha problemi con le scale
"""


@pytest.mark.parametrize("row", ROWS.strip().splitlines())
def test_what_a_fact_rules_out_is_left_out_and_what_it_allows_is_kept(row: str) -> None:
    language, fact, against, allowed = row.split(" | ")
    judge = OptionJudge(constraints_of(fact, "note"), kinds_of("what could we eat or do?"), language)
    assert judge.of(against).fit is Fit.VIOLATES
    assert judge.of(allowed).fit is not Fit.VIOLATES


@pytest.mark.parametrize("fact", NOTHING.strip().splitlines())
def test_what_rules_nothing_out_in_such_words(fact: str) -> None:
    assert constraints_of(fact, "note") == ()


def test_a_stance_is_of_its_clause_and_not_of_what_stands_beside_it() -> None:
    assert clauses_of("les escaliers, c'est fini pour moi") == ["les escaliers, c'est fini pour moi"]
    assert clauses_of("campari only, never aperol") == ["campari only", "never aperol"]
    assert [each.words | each.foods for each in constraints_of("Campari only, never gin")] == [{("gin",)}]
    assert is_refused("soy is off the table") and not is_refused("can't live without cheese")
    assert says_only_no("motorways never", "motorways") and not says_only_no("never late on motorways", "motorways")
    assert phobia_of("claustrophobe depuis toujours") == "tight" and phobia_of("xenophobia") == ""
