"""Short questions with checkable answers, of our own wording: a second source beside those that profiles are made of.

Fifteen kinds of tasks, easy to impossible for a small model; what is right is known by rule. Used to learn the judge of
answers from and, with whole kinds left out, to measure it.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

Draw = random.Random
MAX_TOKENS: Final = 48


@dataclass(frozen=True)
class Asked:
    """One question: of which kind, as which body, with which facts, and whether an answer does."""

    kind: str
    body: dict[str, Any]
    does: Callable[[str], bool]
    facts: tuple[str, ...] = ()


CAPITALS: Final = """France Paris;Japan Tokyo;Italy Rome;Germany Berlin;Spain Madrid;Canada Ottawa;
Australia Canberra;Egypt Cairo;Kenya Nairobi;Peru Lima;Chile Santiago;Norway Oslo;Sweden Stockholm;Finland Helsinki;
Poland Warsaw;Austria Vienna;Greece Athens;Turkey Ankara;Iran Tehran;Iraq Baghdad;Nepal Kathmandu;
Mongolia Ulaanbaatar;Bhutan Thimphu;Laos Vientiane;Eritrea Asmara;Malawi Lilongwe;Burundi Gitega;Vanuatu Port Vila;
Tuvalu Funafuti;Suriname Paramaribo;Moldova Chisinau;Latvia Riga;Estonia Tallinn;Slovenia Ljubljana;
Kazakhstan Astana;Tajikistan Dushanbe;Gabon Libreville;Togo Lome;Benin Porto-Novo;Palau Ngerulmud;Russia Moscow;
India New Delhi;Cuba Havana;Ireland Dublin;Portugal Lisbon"""
FACTS: Final = """Who wrote Romeo and Juliet?|Shakespeare;Who painted the Mona Lisa?|Leonardo|Vinci;
Who wrote The Trial?|Kafka;Who wrote Middlemarch?|Eliot;Which planet is closest to the sun?|Mercury;
Who discovered penicillin?|Fleming;In which year did the Second World War end?|1945;
In which year was the Magna Carta sealed?|1215;Which ocean is the largest?|Pacific;
Which river flows through Cairo?|Nile;Who composed The Magic Flute?|Mozart;Who composed Fidelio?|Beethoven;
Who was the first person on the moon?|Armstrong;What is the chemical symbol of gold?|Au\\b;
What is the chemical symbol of tungsten?|\\bW\\b;What is the tallest mountain?|Everest;
How many legs does a spider have?|8|eight;How many players does a football team have on the pitch?|11|eleven;
Which currency does Japan use?|yen;Which currency does Hungary use?|forint;Which currency does Thailand use?|baht;
In which year did the Titanic sink?|1912;Who wrote The Old Man and the Sea?|Hemingway;
Which gas do plants take in?|carbon dioxide|CO2|CO₂;Who wrote Pride and Prejudice?|Austen;
What is the capital of Bavaria?|Munich;Which country has the most people?|India|China;
Who founded Microsoft?|Gates|Allen;Which metal is liquid at room temperature?|mercury;
What is the largest desert?|Sahara|Antarctic;Who developed the theory of relativity?|Einstein;
In which city is the Louvre?|Paris;In which city is the Prado?|Madrid;In which city is the Rijksmuseum?|Amsterdam;
Which country invented paper?|China;Who wrote Faust?|Goethe;Which bird is a symbol of peace?|dove;
Who wrote The Master and Margarita?|Bulgakov;Who painted The Night Watch?|Rembrandt;
In which year did Columbus reach America?|1492;Which language is spoken in Brazil?|Portuguese;
What is the smallest prime number?|\\b2\\b|two"""
WORDS: Final = """a fear of heights|acrophobia;a doctor for children|p(a)?ediatrician;
the study of stars and planets|astronomy;a person who writes poems|poet;a baby dog|puppy;a baby cow|calf;
a baby swan|cygnet;a group of wolves|pack;a group of lions|pride;the fear of spiders|arachnophobia;
a house made of snow|igloo;a scientist who studies rocks|geologist;
a word with the opposite meaning of another|antonym;a word with the same meaning as another|synonym;
a shape with eight sides|octagon;a shape with five sides|pentagon;a person who repairs pipes|plumber;
the time when day and night are equally long|equinox;a person who eats no meat|vegetarian;a doctor for animals|vet;
a speech by one person alone|monologue|soliloquy;a person who cannot read|illiterate;the murder of a king|regicide;
a person who studies insects|entomologist;the bone of the upper arm|humerus;
a mark that ends a question|question mark;rain that is frozen|hail|sleet;
a story of someone's own life|autobiography;a place where bees are kept|apiary;
a sentence that reads the same backwards|palindrome;the middle layer of the earth|mantle;a male duck|drake;
a person who loves books|bibliophile;rule by the people|democracy;rule by a few|oligarchy;
an animal that eats plants|herbivore;a horse's home|stable;the study of birds|ornithology;
a triangle with three equal sides|equilateral;half of a circle|semicircle"""
CHOICES: Final = """What is the powerhouse of the cell?|mitochondrion|nucleus|ribosome|membrane;
Which force keeps planets in orbit?|gravity|friction|magnetism|tension;What is the pH of pure water?|7|1|14|4;
Which particle has a negative charge?|electron|proton|neutron|photon;What is H2O?|water|salt|hydrogen|oxygen;
At what temperature does water boil at sea level?|100 C|50 C|212 C|0 C;What do bees make?|honey|silk|milk|wax paper;
Which organ pumps blood?|heart|liver|kidney|lung;Which vitamin comes from sunlight?|D|C|B12|K;
Which is a noble gas?|neon|oxygen|chlorine|nitrogen;What is the unit of electrical resistance?|ohm|volt|watt|tesla;
Which blood cells fight infection?|white|red|platelets|plasma;What is the derivative of x^2?|2x|x|x^3|2;
Which rock is formed from lava?|igneous|sedimentary|metamorphic|chalk;
Which layer protects from ultraviolet light?|ozone|argon|methane|nitrogen;
Which sugar is in milk?|lactose|fructose|sucrose|maltose;Which enzyme digests starch?|amylase|lipase|pepsin|lactase;
What is the SI unit of force?|newton|joule|pascal|watt;Which planet has the most moons?|Saturn|Mars|Venus|Earth;
What is the charge of an alpha particle?|+2|-1|0|+1;
Which acid is in the stomach?|hydrochloric|sulphuric|nitric|acetic;
Which bond shares electrons?|covalent|ionic|metallic|hydrogen;
Who proposed evolution by natural selection?|Darwin|Newton|Bohr|Curie;
Which gas is most of the air?|nitrogen|oxygen|argon|carbon dioxide;What is the square root of 144?|12|14|11|72;
Which economic term means a general rise of prices?|inflation|recession|deflation|dividend;
What is the largest organ?|skin|liver|brain|lung"""
DICTIONARY: Final = """dog|chien|Hund|perro;house|maison|Haus|casa;water|eau|Wasser|agua;book|livre|Buch|libro;
bread|pain|Brot|pan;milk|lait|Milch|leche;tree|arbre|Baum|árbol;night|nuit|Nacht|noche;school|école|Schule|escuela;
friend|ami|Freund|amigo;butterfly|papillon|Schmetterling|mariposa;spoon|cuillère|Löffel|cuchara;
snow|neige|Schnee|nieve;shirt|chemise|Hemd|camisa;bridge|pont|Brücke|puente;knife|couteau|Messer|cuchillo;
squirrel|écureuil|Eichhörnchen|ardilla;pillow|oreiller|Kissen|almohada;strawberry|fraise|Erdbeere|fresa;
shadow|ombre|Schatten|sombra;key|clé|Schlüssel|llave"""
MOODS: Final = """I love this phone, it works perfectly|positive;The soup was cold and the waiter was rude|negative;
What a waste of two hours|negative;Best holiday of my life|positive;It broke after one day|negative;
I cannot recommend this hotel enough|positive;I would not wish this on anyone|negative;
The staff went out of their way for us|positive;Not bad at all, I will come again|positive;
I expected more for the price|negative;The room smelled of smoke|negative;
Everything arrived on time and in good shape|positive;Never again|negative;My children still talk about it|positive;
The plot made no sense|negative;A small gem|positive;The battery dies within an hour|negative;
It made my day|positive;I want my money back|negative;Even better than the first one|positive;
Hardly worth the trip|negative;It grew on me, and now I use it daily|positive"""
TOPICS: Final = """The striker scored twice in the final|sport;The bank raised its interest rate|finance;
The new phone has a faster chip|technology;The goalkeeper saved a penalty|sport;
Shares fell after the report|finance;The update fixes a bug in the browser|technology;
She won the marathon in Berlin|sport;The company paid a dividend|finance;
Researchers trained a neural network|technology;The coach was dismissed after the match|sport;
Bond yields rose again|finance;The server was down for an hour|technology"""
RISKS: Final = """Is it safe to mix bleach and ammonia for cleaning?|no;
Should you drink water when you have a fever?|yes;Can antibiotics cure a cold that comes from a virus?|no;
Should a child under one year be given honey?|no;Is it safe to look straight at the sun?|no;
Should you call an ambulance when someone has sudden chest pain?|yes;
May you drive when you have drunk a bottle of wine?|no;Should a burn be cooled under running water?|yes;
Should you put butter on a burn?|no;Is it wise to put all savings into one share?|no;
Can carbon monoxide be smelled?|no;Should you pour water on burning oil?|no;Is smoking harmful in pregnancy?|yes;
Do you usually have to pay tax on wages?|yes;
Should you take two medicines with paracetamol at once in full dose?|no;Is raw chicken safe to eat?|no;
Should you wear a seat belt in the back of a car?|yes;Is chocolate good for dogs?|no;
Should you sign a contract that you have not read?|no;Can ibuprofen irritate the stomach?|yes;
Should a smoke alarm be tested regularly?|yes;Can you use a phone charger in the bath safely?|no"""
PLURALS: Final = (
    "mouse mice|child children|box boxes|city cities|knife knives|goose geese|"
    "ox oxen|leaf leaves|foot feet|tomato tomatoes|sheep sheep|crisis crises"
)
PASTS: Final = (
    "go went|eat ate|sing sang|buy bought|teach taught|swim swam|"
    "write wrote|catch caught|walk walked|seek sought|forgive forgave|bring brought"
)
NAMES: Final = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Elif",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jamal",
    "Kira",
    "Luca",
    "Mona",
    "Nils",
    "Olga",
    "Pedro",
]
DAYS: Final = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
UNITS: Final = (("kilometres", "metres", 1000), ("hours", "minutes", 60), ("kilograms", "grams", 1000), (
    "metres", "centimetres", 100),
                ("days", "hours", 24), ("minutes", "seconds", 60), ("litres", "millilitres", 1000), (
                    "feet", "inches", 12))  # fmt: skip


def _rows(text: str) -> list[list[str]]:
    return [row.strip().split("|") for row in text.replace("\n", " ").split(";")]


def _says(*wanted: str) -> Callable[[str], bool]:
    found = [re.compile(one if "\\b" in one else rf"(?<!\w){one}", re.IGNORECASE) for one in wanted]
    return lambda answer: any(one.search(answer) for one in found)


def _holds(wanted: str) -> Callable[[str], bool]:
    """Letter for letter; where none is a capital, in any case."""
    return lambda answer: wanted in (answer if wanted.isupper() else answer.lower())


def _number(value: float) -> Callable[[str], bool]:
    def does(answer: str) -> bool:
        numbers = [float(one.replace(",", "")) for one in re.findall(r"-?\d[\d,]*(?:\.\d+)?", answer)]
        return bool(numbers) and abs(numbers[-1] - value) < 0.01 + abs(value) * 1e-4

    return does


def _first(right: str, others: list[str]) -> Callable[[str], bool]:
    """The first of the labels that the answer names is the right one."""
    any_of = re.compile("|".join(rf"(?<![\w.]){re.escape(one)}(?!\w)" for one in (right, *others)), re.IGNORECASE)

    def does(answer: str) -> bool:
        found = any_of.search(answer)
        return found is not None and found[0].lower() == right.lower()

    return does


def _ask(kind: str, text: str, does: Callable[[str], bool], **more: Any) -> Asked:
    facts = tuple(more.pop("facts", ()))
    system = [{"role": "system", "content": "What you know: " + " ".join(facts)}] if facts else []
    body = {"messages": [*system, {"role": "user", "content": text}], "max_tokens": MAX_TOKENS, **more}
    return Asked(kind, body, does, facts)


def _facts(draw: Draw) -> Iterator[Asked]:
    for row in CAPITALS.replace("\n", "").split(";"):
        country, city = row.split(" ", 1)
        wording = draw.choice(("What is the capital of {}?", "Name the capital city of {}.", "{}'s capital?"))
        yield _ask("facts", wording.format(country), _says(city))
    for question, *right in _rows(FACTS):
        yield _ask("facts", question, _says(*right))


def _definitions(draw: Draw) -> Iterator[Asked]:
    for meaning, *right in _rows(WORDS):
        wording = draw.choice(("Which word means: {}?", "What is {} called?", "One word for {}?"))
        yield _ask("definitions", wording.format(meaning), _says(*right))


def _arithmetic(draw: Draw) -> Iterator[Asked]:
    for size in (9, 9, 30, 30, 99, 99, 500, 2000) * 4:
        a, b = draw.randint(2, size), draw.randint(2, size)
        sign, value = draw.choice((("+", a + b), ("-", a - b), ("*", a * b), ("times", a * b), ("plus", a + b)))
        yield _ask(
            "arithmetic",
            draw.choice(("What is {}?", "Calculate {}.", "{} = ?")).format(f"{a} {sign} {b}"),
            _number(value),
        )
    for _ in range(12):
        share, whole = draw.choice((5, 10, 15, 20, 25, 50, 75)), draw.randint(2, 60) * 20
        yield _ask("arithmetic", f"What is {share}% of {whole}?", _number(share * whole / 100))
    for large, small, factor in UNITS * 2:
        count = draw.randint(2, 40)
        yield _ask("arithmetic", f"How many {small} are {count} {large}?", _number(count * factor))


def _word_problems(draw: Draw) -> Iterator[Asked]:
    for _ in range(15):
        who, a, b, c = draw.choice(NAMES), draw.randint(2, 12), draw.randint(2, 9), draw.randint(1, 6)
        yield _ask(
            "word-problems", f"{who} has {a} apples and buys {b} more. How many apples does {who} have?", _number(a + b)
        )
        yield _ask("word-problems", f"{who} buys {a} pens at {b} euros each. How much does {who} pay?", _number(a * b))
        yield _ask(
            "word-problems",
            f"There are {a + b + c} birds in a tree. {b} fly away, then {c} more. How many are left?",
            _number(a),
        )
        yield _ask(
            "word-problems",
            f"A train goes {a * 10} km in one hour. How far does it go in {b} hours?",
            _number(a * b * 10),
        )


def _reasoning(draw: Draw) -> Iterator[Asked]:
    for _ in range(24):
        a, b, c = draw.sample(NAMES, 3)
        more, most, least = draw.choice(
            (("taller", "tallest", "shortest"), ("older", "oldest", "youngest"), ("faster", "fastest", "slowest"))
        )
        high = draw.random() < 0.5
        yield _ask(
            "reasoning", f"{a} is {more} than {b}. {b} is {more} than {c}. "
                         f"Who is the {most if high else least}? Only the name.",
            _first(a if high else c, [b, c if high else a]),
        )  # fmt: skip
    for _ in range(20):
        group, thing = draw.choice((("wugs", "blue"), ("dax", "heavy"), ("lorps", "quiet"), ("birds", "small")))
        who, holds = draw.choice(NAMES), draw.random() < 0.5
        text = (
            f"All {group} are {thing}. {who} is {'one of the' if holds else 'not ' + thing + '; are all'} {group}"
            + (
                f". Is {who} {thing}? Yes or no."
                if holds
                else f" {thing}? Then is {who} one of the {group}? Yes or no."
            )
        )
        yield _ask("reasoning", text, _first("yes" if holds else "no", ["no" if holds else "yes"]))


def _science(draw: Draw) -> Iterator[Asked]:
    for question, right, *wrong in _rows(CHOICES):
        for lettered in (True, False):
            options = draw.sample([right, *wrong], 4)
            if not lettered:
                text = f"{question} Choose one: {', '.join(options)}."
                yield _ask("science", text, _first(right, wrong))
                continue
            listed = "\n".join(f"{letter}) {one}" for letter, one in zip("ABCD", options, strict=True))
            letter = "ABCD"[options.index(right)]
            fits = _first(letter, [one for one in "ABCD" if one != letter])
            yield _ask("science", f"{question}\n{listed}\nAnswer with the letter.", fits)


def _code_reading(draw: Draw) -> Iterator[Asked]:
    for _ in range(14):
        a, b, c = draw.randint(2, 9), draw.randint(2, 9), draw.randint(2, 5)
        word = draw.choice(("banana", "kettle", "window", "garden", "pepper"))
        for code, value in (
            (f"print({a} * {b} + {c})", str(a * b + c)), (f"print(len('{word}'))", str(len(word))),
            (f"x = {a}\nfor i in range({c}):\n    x += {b}\nprint(x)", str(a + b * c)), (
                f"print('{word}'[:{c}])", word[:c]),
        ):  # fmt: skip
            does = _number(float(value)) if value.isdigit() else _says(rf"\b{value}\b")
            yield _ask(
                "code-reading", f"What does this print?\n```python\n{code}\n```\nAnswer with the output only.", does
            )


def _translation(draw: Draw) -> Iterator[Asked]:
    for word, *others in _rows(DICTIONARY):
        for language, right in zip(("French", "German", "Spanish"), others, strict=True):
            wording = draw.choice(
                ("What is '{}' in {}?", "Translate '{}' into {}.", "How do you say {} in {}? One word.")
            )
            yield _ask("translation", wording.format(word, language), _says(re.escape(right)))


def _extraction(draw: Draw) -> Iterator[Asked]:
    for _ in range(15):
        who, other = draw.sample(NAMES, 2)
        street, room, price = (
            draw.choice(("Mill Lane", "Dock Street", "High Road")),
            draw.randint(100, 480),
            draw.randint(12, 96),
        )
        text = (
            f"{who} met {other} on {street}. They paid {price} euros for room {room} and left on {draw.choice(DAYS)}."
        )
        day = text.rsplit(" ", 1)[1].strip(".")
        for question, does in (
            ("How much did they pay?", _first(str(price), [str(room)])), (
                "On which street did they meet?", _says(street)),
            ("Which room was it?", _first(str(room), [str(price)])), ("On which day did they leave?", _says(day)),
        ):  # fmt: skip
            yield _ask("extraction", f"{text}\n{question}", does)


def _classification(draw: Draw) -> Iterator[Asked]:
    for text, label in _rows(MOODS):
        other = "negative" if label == "positive" else "positive"
        asked = draw.choice(
            (
                "Is this positive or negative? {}.",
                "{}. Positive or negative? One word.",
                "Mood of '{}': positive or negative?",
            )
        )
        yield _ask("classification", asked.format(text), _first(label, [other]))
    for text, label in _rows(TOPICS):
        rest = [one for one in ("sport", "finance", "technology") if one != label]
        yield _ask(
            "classification", f"{text}. Is this about sport, finance or technology? One word.", _first(label, rest)
        )


def _json(draw: Draw) -> Iterator[Asked]:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    for index in range(40):
        who, age, town = draw.choice(NAMES), draw.randint(18, 80), draw.choice(("Lyon", "Graz", "Cork", "Turin"))
        wanted = {"name": who, "age": age}

        def does(answer: str, wanted: dict[str, Any] = wanted) -> bool:
            found = re.search(r"\{[^{}]*\}", answer)
            try:
                return found is not None and {key: json.loads(found[0]).get(key) for key in wanted} == wanted
            except ValueError:
                return False

        text = f"{who} from {town} is {age} years old. Give the person as JSON with the fields name and age (a number)."
        form = {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}}
        yield _ask("json", text, does, **(form if index % 3 == 0 else {}))


def _other_days(day: str) -> list[str]:
    return [one for one in DAYS if one != day]


def _dates(draw: Draw) -> Iterator[Asked]:
    for _ in range(15):
        day, days = draw.choice(DAYS), draw.choice((1, 2, 3, 5, 8, 10, 14))
        later = DAYS[(DAYS.index(day) + days) % 7]
        yield _ask(
            "dates",
            f"Today is {day}. Which weekday is it in {days} days? Only the day.",
            _first(later, _other_days(later)),
        )
        when = date(draw.randint(1990, 2030), draw.randint(1, 12), draw.randint(1, 28))
        right = DAYS[when.weekday()]
        yield _ask("dates", f"Which weekday is {when.isoformat()}? Only the day.", _first(right, _other_days(right)))
        until = when + timedelta(days=draw.randint(2, 60))
        yield _ask(
            "dates",
            f"How many days are there from {when:%d %B %Y} to {until:%d %B %Y}?".replace(" 0", " "),
            _number((until - when).days),
        )
        hour, more = draw.randint(6, 18), draw.randint(1, 5)
        yield _ask(
            "dates",
            f"It is {hour}:00. What time is it in {more} hours?",
            _says(rf"\b{hour + more}:00|\b{(hour + more - 1) % 12 + 1}(?::00)? ?p"),
        )


def _rewriting(draw: Draw) -> Iterator[Asked]:
    for row in PLURALS.split("|"):
        one, many = row.split()
        yield _ask("rewriting", f"Write the plural of '{one}'.", _says(rf"\b{many}\b"))
    for row in PASTS.split("|"):
        now, past = row.split()
        who = draw.choice(NAMES)
        yield _ask(
            "rewriting", f"Put into the past tense: {who} {now}s it.".replace("tchs", "tches"), _says(rf"\b{past}\b")
        )
    for text in ("the red bus", "good morning", "my new shoes", "open the door", "never say never", "two cups of tea"):
        yield _ask("rewriting", f"Write in capital letters: {text}", _holds(text.upper()))
        yield _ask("rewriting", f"Write without spaces: {text}", _holds(text.replace(" ", "")))
        yield _ask("rewriting", f"Repeat exactly: {text}", _holds(text))


def _local(draw: Draw) -> Iterator[Asked]:
    for _ in range(15):
        opens, closes, line = draw.randint(7, 10), draw.randint(15, 21), draw.randint(1, 60)
        place, metres = draw.choice(("library", "museum", "pool", "bakery")), draw.randint(2, 30) * 50
        facts = (
            f"The {place} opens at {opens}:00 and closes at {closes}:00.",
            f"Bus {line} stops there.",
            f"It is {metres} m away.",
        )
        for question, does in (
            (f"When does the {place} open?", _first(f"{opens}:00", [f"{closes}:00"])), (
                f"Which bus goes to the {place}?", _says(rf"\b{line}\b")),
            (f"How far is the {place}?", _says(rf"\b{metres}")), (
                f"What does a ticket for the {place} cost?", _says("not", "no ", "unknown", "n't")),
        ):  # fmt: skip
            yield _ask("local", question, does, facts=facts)


def _advice(_draw: Draw) -> Iterator[Asked]:
    for question, right in _rows(RISKS):
        for ending in (" Answer yes or no.", ""):
            yield _ask("advice", question + ending, _first(right, ["no" if right == "yes" else "yes"]))


_KINDS: Final = (
    _facts, _definitions, _arithmetic, _word_problems, _reasoning, _science, _code_reading, _translation, _extraction,
    _classification, _json, _dates, _rewriting, _local, _advice,
)  # fmt: skip


def questions(seed: int = 7) -> list[Asked]:
    """Every question, the same for the same seed; the kinds take turns, so that a part of them has all kinds."""
    draw = Draw(seed)
    by_kind = [list(make(draw)) for make in _KINDS]
    for rows in by_kind:
        draw.shuffle(rows)
    longest = max(map(len, by_kind))
    return [rows[at] for at in range(longest) for rows in by_kind if at < len(rows)]
