"""Everyday sentences whose words look like names, titles or offices and are none: nothing in them is private."""

from __future__ import annotations

from typing import Final

__all__ = ["TRAPS"]

TRAPS: Final = tuple(
    line.strip()
    for line in """
the loan has a grace period, does it not
the old code has a grace period, hop
is there a grace period for late returns
what is a trial period in a contract
the will to live is strong
where there is a will there is a way
you may leave, she may stay
mark my words, this will not end well
mark the correct answer with a cross
i hope this helps
never lose hope
who pays the bill in a restaurant
the bill was passed by both houses
an apple pie with cream, please
how long does an apple pie bake
peach, plum and rose are colours as well as plants
a rose by any other name
the robin is a small bird
jack of all trades
a jack lifts a car
raise the ante, then raise the bet
pat the dry meat with a paper towel
drew a line, then rubbed it out
the art of asking good questions
grant access to the folder
grant all privileges on a database to a role
frank words are often the best
to be frank, i do not like it
dawn breaks at six in summer
an early dawn over the sea
the iris is the coloured part of an eye
ivy climbs the wall
a ruby is a red stone, jade is green
ruby and rust are both languages with a package manager
basil and sage go well with pasta
ginger, olive oil and a pinch of salt
a carat of pearl
the summer was dry, the autumn wet
charity begins at home
faith and science in the modern world
patience is a virtue
the lance and the shield of a knight
page the results, twenty rows at a time
read the first page, then the chapter on wood
a stone, a brook and a field: describe the scene
the miller, the baker and the smith of a village
how does a cook become a chef
the king and the bishop on a chess board
what does a dean do at a university
play the knight to f three
the mayor, the judge and the marshal: explain the three offices
the saga of a family over three generations
this saga is worth four stars
find animated films in the neighborhood
book a table at a brasserie with a terrace
a taverna by the sea
is there a tavern, a diner or a bistro nearby
speak slowly please
can you talk in another language
what kind of mexican meal is quick to cook
teach me a greek salad
french toast or english breakfast
danish pastry and turkish coffee
swiss cheese has holes, why
german shepherds and great danes
china plates and crystal glasses
turkey with cranberry sauce
a polish for wooden floors
the java sea and java the language
graham crackers for the pie crust
apple cider keeps for how long
earl grey or camomile tea
start the vacuum cleaner
high stock price, low volume
Answer the following multiple choice question. Select A, B, C, or D for the final answer.
Write down a main dish, a side dish and a dessert.
Does the document support the claim? Answer "Support" or "Oppose".
Choose a topic for the article. Candidates include: politics, sports, health, science, business.
Decide whether the tone is Positive, Negative or Neutral.
Replace all names in the paragraph with a placeholder.
Detect biased phrasing in the sentence. If there is some, suggest an alternative.
Classify each review as Good or Bad and give a reason.
Complete the given aphorism. Often it is an old saying.
Print a slogan, a tagline and a headline for a film about the sea.
Introduction
Table of Contents
Executive Summary
Terms and Conditions
Frequently Asked Questions
Getting Started
Chapter One: The Long Way Home
Conclusion and Future Work
Materials and Methods
## Installation
### Known Issues
- Eggs\\n- Milk\\n- Flour\\n- Sugar
1. Preheat the oven.\\n2. Mix flour and butter.\\n3. Bake until golden.
Pros:\\n- Cheap\\n- Fast\\nCons:\\n- Loud
Whisk the eggs, fold in the sugar, and let the dough rest for an hour.
Season the sauce with thyme, bay leaf and a little nutmeg.
Simmer the lentils until they are soft, then stir in the spinach.
The function returns None when the key is missing.
The server answers with a status code and a JSON body.
A mutex guards the queue; the worker waits on a condition variable.
Kernel threads share one address space, processes do not.
Set the flag to true and restart the daemon.
The compiler warns about an unused variable in the loop.
git commit -m "fix typo in readme"
import numpy as np
const total = items.reduce((sum, item) => sum + item.price, 0);
SELECT name, price FROM products WHERE price > 10 ORDER BY name;
if err != nil { return err }
public static void main(String[] args)
TypeError: unsupported operand type(s) for +: 'int' and 'str'
Traceback (most recent call last):
<div class="container"><h1>Welcome</h1></div>
pip install requests
The cell membrane is a bilayer of lipids.
Enzymes lower the activation energy of a reaction.
Inflation is measured by the price of a basket of goods.
Supply and demand set the price in a free market.
The heart has four chambers and pumps blood through the body.
Tectonic plates drift a few centimetres a year.
A noun names a thing, a verb tells what it does.
The plot has an exposition, a climax and a resolution.
Our protagonist leaves the village and never looks back.
Describe the character of a lonely lighthouse keeper.
A dragon, a wizard and a thief walk into an inn.
The manager asked the team to finish the report by the end of the week.
Customers value a short delivery time and a friendly voice.
Please find the agenda below and send your comments.
The meeting covers budget, hiring and the new office.
We regret that the item is out of stock.
Your password must have a capital letter and a sign.
Our company offers cleaning services for homes and offices.
My friend wants to open a bakery, what does he need
my husband and i argue about money
my daughter has a fever, what should i do
my landlord does not repair the heating, what are my rights
Rewrite the paragraph so that it is easier to read.
Act as a travel guide and suggest a quiet beach.
You are a helpful assistant who answers briefly.
Give five reasons why people should read more books.
List the steps of the water cycle.
Compare renting and buying a home in a table.
Why is the sky blue and the sunset red?
Which metal melts at the lowest temperature?
How many bones does an adult have?
what is the boiling point of water
who invented the wheel
what year did the war end
name three rivers in europe
what language do people speak in brazil
what are the headlines from the newspapers
what is the stock price of a car maker
tell me how to travel without airplanes at the lowest cost
hey computer, turn on the lights
good morning sunshine
what is the largest desert
""".splitlines()
    if line.strip()
)
