"""Patterns of invented sentences. A slot in braces becomes a private word of its kind; the rest is none.

Slots: p person, f first name, l surname, c city, k country, o organisation, s school or hospital, j job, d date,
w weekday or month, t time, a age, n nationality or faith, r address, i id, b account, h health, u user name, x product.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PLAIN", "PRIVATE"]

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
