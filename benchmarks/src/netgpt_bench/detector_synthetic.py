"""Sentences with private words that nobody wrote and that mean nobody, from a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from netgpt_bench import detector_pool
from netgpt_bench.detector_pool import words_of

# --- Patterns of invented sentences. A slot in braces becomes a private word of its kind; the rest is none.
#
# Slots: p person, f first name, l surname, c city, k country, o organisation, s school or hospital, j job, d date,
# w weekday or month, t time, a age, n nationality or faith, r address, i id, b account, h health, u user name, x
# product.

PRIVATE: Final = tuple(
    line.strip()
    for line in """
ask {f} about it
ask {p} about the invoice
i live in {c}
i live in {c}, {k}
I live at {r}
my address is {r}, {c}
call {f} at {t}
text {f} that i will be late
send an email to {p} saying i am sick
remind me to call {f} {l} on {w}
write a birthday card for {f}, she turns {a}
my name is {p} and i am {a} years old
hi im {f}, {a}, from {c}
hey it's {f} from {o}
I'm {f} and I work as a {j} at {o}
i work at {o} as a {j}
i work for {o}
my husband {f} lost his job at {o}
my wife {f} is a {j} in {c}
my son {f} goes to {s}
our daughter {f} starts at {s} in {w}
my boss {p} is angry with me
my boss {f} said that {f} should stay at home
Dear {p},
Dear {f},
Dear Mr. {l},
Dear Ms {l}, thank you for your letter of {d}.
Kind regards, {p}
Best,\n{f}
Sincerely,\n{p}\n{j}\n{o}
Hi {f},\n\nthanks for the call with {f} and {f} yesterday.\n\nBest\n{f}
Name: {p}
Name: {p}\nDate of birth: {d}\nAddress: {r}, {c}
Patient: {p}, {a}, diagnosed with {h} on {d}
patient {p} has {h}
I was diagnosed with {h} in {w}
my mother has {h}
my brother {f} has {h} and takes pills for it
i have {h}, can i still fly
i am {n} and live in {c}
she is {n}
I am a {n} citizen living in {k}
my neighbour is {n}, {a} years old and a {j}
Rewrite this email: {f}, can you send the report to {p} at {o} before {d}?
Please improve: "{p} has worked at {o} since {d} as a {j}."
Write a reference letter for {p}, who worked as {j} at {o} from {d} to {d}.
write a cover letter for a job as {j} at {o}
create a cv for {p}, {j}, {c}
resume: {p} | {c} | {j} at {o} {d} - {d} | {j} at {o} | {s}
I studied at {s} and then moved to {c}.
I graduated from {s} in {d}
{p} graduated from {s}
{p} was born in {c} on {d}
{p} was born on {d} in {c}, {k}.
{f} was born in {c}
{f} and {f} are getting married in {c} on {d}
{f} {l} is the {j} of {o}.
{o} is a company based in {c}, {k}.
{o} refused to refund me
we got a letter from {o}
I have an appointment at {s} on {d} at {t}
my appointment with Dr. {l} is on {w}
my lawyer {p} will file it in {c}
meet {f} at {r} at {t}
from {c} to {c} with {f}
we are moving from {c} to {c} because of my job at {o}
my flight from {c} to {c} leaves on {d}
plan a trip to {c} for {f} and me
{f}'s birthday is on {d}
{f}'s phone is broken
{p}'s contract with {o} ends on {d}
is {f} cheating on me with {f}?
{f} told {f} that {f} is pregnant
write a story about {f} and {f} who meet in {c}
write a love letter to {f}
what should i say to {f}
should i break up with {f}
help me reply to {f}: "are you coming on {w}?"
{f}: are you there?\n{f}: yes, almost at {r}
[{t}] {f}: did you see {p}?
From: {p}\nTo: {p}\nSubject: {x}
Meeting notes {d}: {p}, {p}, {f}. {f} will contact {o}.
Attendees: {p}, {p}, {p}
Project {x} at {o} is late
we launch {x} in {k} in {w}
our product {x} by {o}
my employee id is {i}
case number {i}
my case {i} with {o} is still open
policy {i}, claim {i}
order {i} from {o} never arrived
my account number is {b}
account {b} at {o}
booking reference {i}, passenger {p}
student {p}, matriculation number {i}
license plate {i}
passport {i}
my username is {u}
follow me @{u}
github.com/{u}
posted by {u} on {d}
{u}: who is {p}?
The tenant {p} of {r} owes rent since {w}.
Lease between {p} and {p} for {r}, {c}, dated {d}
The plaintiff, {p}, a resident of {c}, {k}, sued {o}.
According to {p}, {j} at {o}, the {n} market grew.
{p} ({a}) from {c}
{p}, {a}, {j}, {c}
{l} said on {w} that {o} will close its office in {c}.
{o} and {o} signed a deal in {c}
Mr. {l} and Mrs. {l} live in {c}
Mr {l} flew to {c} on {w} morning
ich heiße {p} und wohne in {c}
ich arbeite bei {o} in {c}
meine Frau {f} hat {h}
bitte schreibe eine Mail an {p} von {o}
Liebe {f}, vielen Dank für deinen Brief aus {c}
Sehr geehrte Frau {l}, mein Termin ist am {d}
Sehr geehrter Herr {l},
je m'appelle {p} et j'habite à {c}
mon fils {f} va à l'école {s}
écris un mail à {p} de {o}
Bonjour {f}, je suis {f} de {c}
me llamo {p} y vivo en {c}
trabajo en {o} como {j}
mi hija {f} vive en {c}, {k}
escribe una carta para {p}
Hola {f}, soy {f}
mi chiamo {p} e abito a {c}
scrivi una mail a {p} di {o}
meu nome é {p} e moro em {c}
escreva um e-mail para {p} da {o}
ik heet {p} en woon in {c}
mijn collega {f} werkt bij {o}
nazywam się {p} i mieszkam w {c}
jag heter {p} och bor i {c}
меня зовут {f}
benim adım {p}, {c} şehrinde yaşıyorum
saya {f} dari {c}
so yesterday me and {f} went to {c} and saw {f} there lol
omg {f} just texted me
u know {f} {l}? she works at {o} now
does {f} like me
idk what {f} wants from me
{f} n {f} r coming over {w}
tell my landlord {p} that the heating at {r} is broken
my doctor is {l}
my therapist {p} says i have {h}
i owe {f} money since {d}
{f} is {a} and in love with {f}
The {l} family lives near {c}
the {l}s are our neighbours
{p} vs {o}: summarize the case {i}
translate: "{f} will arrive in {c} on {d} at {t}"
fix grammar: {f} dont want go {c} with {f} because he have {h}
summarise: {p} joined {o} in {d}. {l} left in {d} and moved to {c}.
Draft an apology to {p} from {o} about order {i}
Write a LinkedIn post: I am happy to share that I start as {j} at {o}!
Thank you {f} for the gift
Happy birthday {f}!
RIP {p}
congrats to {f} and {f} on their wedding at {s}
""".splitlines()
    if line.strip()
)

PLAIN: Final = tuple(
    line.strip()
    for line in """
what is the capital of France
what is the capital of Mongolia
how far is the moon
who wrote Hamlet
who painted the Mona Lisa
how tall is Mount Everest
set an alarm for 7 am
set a timer for ten minutes
write a poem about autumn
write a haiku about the sea in May
what may go wrong here
mark this as done
will it rain on Monday
what day is it on Friday
is it colder in January or in February
explain photosynthesis like i am 5
Explain the theory of relativity.
Python or Java, which is better for beginners?
How do I sort a list in Python?
Write a SQL query that joins two tables.
What does the French word fromage mean?
translate good morning to German
give me a recipe for Spanish omelette
Recommend a good Italian wine
what is type 2 diabetes
what are symptoms of depression
how does HIV spread
is epilepsy hereditary
what does a project manager do
how much does a nurse earn
what is the best age to learn to swim
write a job description for a software engineer
play some jazz
turn off the lights in the kitchen
order a pizza with extra cheese
How do solar panels work?
Summarize the causes of the First World War in 5 points.
The Great Gatsby: list the main themes
Who won the World Cup in 2010?
write a cover letter for a teaching position
rewrite this sentence so that it sounds friendlier: we cannot help you
Please improve the grammar: I has two cat and one dogs
Create a table with columns Name, Age, City
def hello(): print("Hello World")
for item in items: total += item.price
class User: pass
My computer is slow, what should I do?
I have a headache and a cold, what helps?
my dog ate chocolate
I am tired and want to sleep
my boss is angry with me, what should i say
ask my mother to call me back
tell me a joke about cats
what should i cook for dinner tonight
plan a birthday party for a child
how do i write a good cv
What is the difference between HTTP and HTTPS?
Give me ten names for a bakery
Suggest names for my dog
List the planets from Mercury to Neptune
Dear Sir or Madam,
Best regards
Thank you in advance for your help.
Kind regards
Dear customer support,
Name:
Address:
I work from home on Mondays
I was born in the eighties
""".splitlines()
    if line.strip()
)


# --- Everyday sentences whose words look like names, titles or offices and are none: nothing in them is private.

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

_HARMLESS = (*PLAIN, *TRAPS)
_PLAIN_SHARE = 0.33
_SLOT = re.compile(r"\{([a-z])\}")
_MONTHS = words_of(
    "January February March April May June July August September October November December Jan Feb Mar Apr Jun Jul Aug "
    "Sept Oct Nov Dec"
)
_DAYS = words_of("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_SYLLABLES = words_of(
    "ba be bi bo bra bre da de di do dra el en er fa fe fi ga go gra ha he hol in ja jo ka ke ki kor la le li lo lum "
    "ma me mi mo na ne no or pa pe port ra re ri ro sa se shi so sta su ta te ti to tra tul va ve vi wa we wick win xa "
    "ya yo za zu"
)
_ENDINGS = words_of(
    "son sen ski ska ov ova ić ez es ini elli ano eau ier man mann berg stein ton ley well ford ham wick mouth field"
)
_KINDS = {
    "p": "PERSON", "f": "PERSON", "l": "PERSON", "c": "PLACE", "k": "PLACE", "o": "ORG", "s": "ORG", "j": "JOB",
    "d": "DATE", "w": "DATE", "t": "DATE", "a": "AGE", "n": "NATIONALITY", "r": "ADDRESS", "i": "ID", "b": "ID",
    "h": "HEALTH", "u": "USERNAME", "x": "PRODUCT",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TaggedText:
    """A text, its private spans (start, end, kind or None) and where it comes from.

    `unsure`: stretches that the source does not judge. `weight`: how much the example counts.
    """

    text: str
    spans: tuple[tuple[int, int, str | None], ...]
    origin: str
    unsure: tuple[tuple[int, int], ...] = field(default=())
    weight: float = 1.0


class Inventor:
    """Fills the patterns. `cities`, `countries`: public place names, cities in order of size."""

    def __init__(self, cities: Sequence[str], countries: Sequence[str], seed: int) -> None:
        self._cities, self._countries = cities, countries
        self._chance = random.Random(seed)
        self._makers: dict[str, Callable[[], str]] = {
            "p": self.person, "f": self.first, "l": self.last, "c": self.city, "k": self.country, "o": self.employer,
            "s": self._school, "j": self._job, "d": self._date, "w": self._when, "t": self._time, "a": self._age,
            "n": self._nationality, "r": self._address, "i": self._id, "b": self._account, "h": self._diagnosis,
            "u": self._username, "x": self._product,
        }  # fmt: skip

    def example(self) -> TaggedText:
        """One text of one to a few sentences; a third of the texts hold nothing private."""
        private = self._chance.random() >= _PLAIN_SHARE
        count = self._chance.choice((1, 1, 1, 2, 3, 4) if private else (1, 1, 1, 2, 3, 6))
        text = ""
        spans: list[tuple[int, int, str | None]] = []
        for number in range(count):
            told = private and self._chance.random() < 0.85
            pattern = self._chance.choice(PRIVATE if told else _HARMLESS).replace("\\n", "\n")
            if number:
                text += self._chance.choice((" ", ". ", "\n", "\n\n"))
            text, found = self._filled(pattern, text) if told else (text + pattern, [])
            spans.extend(found)
        return TaggedText(text, tuple(spans), "invented")

    def _filled(self, pattern: str, text: str) -> tuple[str, list[tuple[int, int, str | None]]]:
        spans: list[tuple[int, int, str | None]] = []
        done = 0
        for slot in _SLOT.finditer(pattern):
            text += pattern[done : slot.start()]
            value = self._makers[slot[1]]()
            spans.append((len(text), len(text) + len(value), _KINDS[slot[1]]))
            text += value
            done = slot.end()
        return text + pattern[done:], spans

    def made_up(self) -> str:
        """A word that no list holds, in the shape of a name."""
        word = "".join(self._chance.choices(_SYLLABLES, k=self._chance.choice((2, 2, 3))))
        if self._chance.random() < 0.5:
            word += self._chance.choice(_ENDINGS)
        return word.capitalize()

    def first(self) -> str:
        if self._chance.random() < 0.12:
            return self.made_up()
        return self._chance.choice(detector_pool.FIRST)

    def last(self) -> str:
        if self._chance.random() < 0.3:
            return self.made_up()
        return self._chance.choice(detector_pool.LAST).replace("-", self._chance.choice((" ", "-")))

    def person(self) -> str:
        middle = f" {self._chance.choice('ABCDEFGHJKLMNPRSTW')}." if self._chance.random() < 0.08 else ""
        if self._chance.random() < 0.04:
            return f"{self.last()}, {self.first()}"
        return f"{self.first()}{middle} {self.last()}"

    def city(self) -> str:
        draw = self._chance.random()
        if draw < 0.15:
            return self.made_up()
        last = len(self._cities) - 1
        return self._cities[int(last * self._chance.random() ** (4 if draw < 0.7 else 1))]

    def country(self) -> str:
        return self._chance.choice(self._countries)

    def employer(self) -> str:
        draw = self._chance.random()
        if draw < 0.35:
            return self._chance.choice(detector_pool.EMPLOYERS)
        name = self._chance.choice(
            (self._chance.choice(detector_pool.ORG_STARTS), self.last(), self.made_up(), self.city())
        )
        if draw < 0.45:
            return f"{self.last()}, {self.last()} and {self.last()}"
        if draw < 0.55:
            return name if draw > 0.5 else f"{self.last()}-{self.last()}"
        if draw < 0.6:
            return "".join(self._chance.choices("ABCDEFGHIKLMNOPRSTUVW", k=self._chance.choice((3, 3, 4))))
        return f"{name} {self._chance.choice(detector_pool.ORG_ENDINGS)}"

    def _school(self) -> str:
        return self._chance.choice(detector_pool.SCHOOL_FORMS).format(self._chance.choice((self.city(), self.last())))

    def _job(self) -> str:
        return self._chance.choice(detector_pool.JOBS)

    def _date(self) -> str:
        c = self._chance
        day, month, year = c.randint(1, 28), c.choice(_MONTHS), c.randint(1940, 2027)
        number = c.randint(1, 12)
        return c.choice((
            f"{day} {month} {year}", f"{month} {day}, {year}", f"{day}/{number}/{year}", f"{day:02}.{number:02}.{year}",
            f"{year}-{number:02}-{day:02}", f"{month} {year}", f"{year}", f"{month} {day}", f"{day}th of {month}",
            f"{number}/{day}/{year % 100:02}",
        ))  # fmt: skip

    def _when(self) -> str:
        return self._chance.choice((*_DAYS, *_DAYS, *_MONTHS[:12]))

    def _time(self) -> str:
        hour, minute = self._chance.randint(1, 12), self._chance.choice(("00", "15", "30", "45"))
        return self._chance.choice((f"{hour}:{minute}", f"{hour}pm", f"{hour} am", f"{hour + 11}:{minute}"))

    def _age(self) -> str:
        return str(self._chance.randint(3, 96))

    def _nationality(self) -> str:
        return self._chance.choice(detector_pool.NATIONALITIES)

    def _address(self) -> str:
        c = self._chance
        name = c.choice((c.choice(detector_pool.STREETS), self.last(), self.made_up()))
        street, number = c.choice(detector_pool.STREET_FORMS).format(name), c.randint(1, 2400)
        line = c.choice((f"{number} {street}", f"{street} {number}", f"{number} {street}"))
        line += c.choice(("", "", f", Apt {c.randint(1, 80)}", f" Suite {c.randint(1, 900)}"))
        return line + c.choice(("", "", f", {self.city()}", f", {c.randint(10000, 99999)} {self.city()}"))

    def _id(self) -> str:
        c = self._chance
        letters = "".join(c.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=c.randint(1, 4)))
        digits = "".join(c.choices("0123456789", k=c.randint(3, 9)))
        forms = (letters + digits, f"{letters}-{digits}", digits, f"#{digits}", f"{digits[:3]}-{digits[3:]}{letters}")
        return c.choice(forms)

    def _account(self) -> str:
        digits = "".join(self._chance.choices("0123456789", k=self._chance.randint(6, 12)))
        return self._chance.choice((digits, f"{digits[:3]}-{digits[3:]}", f"{digits[:4]} {digits[4:]}"))

    def _diagnosis(self) -> str:
        return self._chance.choice(detector_pool.DIAGNOSES)

    def _username(self) -> str:
        c = self._chance
        word = (self.first() + c.choice(("", "_", ".")) + self.made_up()).replace(" ", "").lower()
        return word + c.choice(("", str(c.randint(1, 99)), str(c.randint(1970, 2010))))

    def _product(self) -> str:
        return self._chance.choice((self._chance.choice(detector_pool.PRODUCTS), self.made_up()))
