"""The word of doubt, in the language of the person."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import netgpt.generation.unsure as unsure
from netgpt.generation.unsure import afterwards, before_a_guess, in_its_place, language_of, why_here

TABLE = tomllib.loads(Path(unsure.__file__).with_suffix(".toml").read_text(encoding="utf-8"))
ASKED = {
    "en": ("Who wrote the third book?", "can I take aspirin with my medication?", "capital France"),
    "de": ("Wie viele Einwohner hat Freiburg?", "Darf ich Aspirin mit meinem Medikament nehmen?"),
    "fr": ("Quelle est la capitale du Tchad ?", "Puis-je prendre de l'aspirine avec mon médicament ?"),
    "es": ("¿Cuál es la capital de Chad?", "Puedo tomar aspirina con mi medicina"),
    "it": ("Qual è la capitale del Ciad?", "Posso prendere l'aspirina con la mia medicina?"),
    "pt": ("Qual é a capital do Chade?", "Posso tomar aspirina com o meu remédio?"),
    "nl": ("Wat is de hoofdstad van Tsjaad?", "Mag ik aspirine nemen met mijn medicijn?"),
    "sv": ("Vad är huvudstaden i Tchad?", "Får jag ta aspirin med min medicin?"),
    "da": ("Hvad er hovedstaden i Tchad?", "Må jeg tage aspirin sammen med min medicin, og hvornår?"),
    "no": ("Hva er hovedstaden i Tsjad?",),
    "fi": ("Mikä on Tšadin pääkaupunki?", "Voinko ottaa aspiriinia lääkkeeni kanssa?"),
    "pl": ("Jaka jest stolica Czadu?", "Czy mogę wziąć aspirynę z moim lekiem?"),
    "cs": ("Jaké je hlavní město Čadu?", "Mohu si vzít aspirin se svým lékem?"),
    "hu": ("Mi Csád fővárosa?", "Szedhetek aszpirint a gyógyszeremmel?"),
    "ro": ("Care este capitala Ciadului?", "Pot lua aspirină cu medicamentul meu?"),
    "tr": ("Çad'ın başkenti neresidir?", "Aspirini ilacımla alabilir miyim?"),
    "id": ("Apa ibu kota Chad?", "Bolehkah saya minum aspirin dengan obat saya?"),
    "vi": ("Thủ đô của Chad là gì?", "Tôi có thể uống aspirin với thuốc của tôi không?"),
    "ru": ("Какая столица Чада?",),
    "uk": ("Яка столиця Чаду? Чи можна мені її відвідати?",),
    "el": ("Ποια είναι η πρωτεύουσα του Τσαντ;",),
    "ar": ("ما هي عاصمة تشاد؟",),
    "fa": ("پایتخت چاد کجاست؟ می‌خواهم بدانم",),
    "he": ("מהי בירת צ'אד?",),
    "hi": ("चाड की राजधानी क्या है?",),
    "ja": ("チャドの首都はどこですか",),
    "ko": ("차드의 수도는 어디인가요?",),
    "zh": ("乍得的首都是哪里？",),
    "th": ("เมืองหลวงของชาดคืออะไร",),
}


@pytest.mark.parametrize("code", sorted(TABLE))
def test_a_question_gets_the_word_in_its_own_language(code: str) -> None:
    assert [language_of(text) for text in ASKED[code]] == [code] * len(ASKED[code])


def test_every_language_says_everything_and_says_it_in_its_own_words() -> None:
    assert len(TABLE) >= 20 and TABLE.keys() == ASKED.keys()
    needed = TABLE["en"].keys() - {"words"}
    for code, row in TABLE.items():
        assert row.keys() - {"words"} == needed and all(row.values()), code
        assert "{rule}" in row["kept"] and "{" not in "".join(text for name, text in row.items() if name != "kept")
        assert language_of(" ".join(row[name] for name in sorted(needed))) == code
    for name in needed:
        assert len({row[name] for row in TABLE.values()}) == len(TABLE), f"{name} stands twice"


@pytest.mark.parametrize("text", ["", " ", "1234 + 5 =", "!!!", "🙂🙂", "xqzt", "a" * 1_000_000])
def test_what_is_no_language_gets_english(text: str) -> None:
    assert language_of(text) == "en"


def test_the_parts_stand_in_an_order_that_can_be_read() -> None:
    here = why_here("kept", "en", "health-stays")
    assert "health-stays" in here and why_here("no such reason", "en") == ""
    before = before_a_guess("en", here, ["The user is vegan.", " "], advice=True)
    assert before.startswith("I am not sure of this. Your question stays") and before.endswith("not checked:\n\n")
    assert "What I do know:\n- The user is vegan.\n\n" in before and before.count("- ") == 1
    assert in_its_place("en", "").endswith("stand by.") and afterwards("en", "").startswith("\n\nHaving read")


def test_a_fact_stays_on_its_line_and_few_are_told() -> None:
    said = in_its_place("en", "", ["one\n- two", *map(str, range(20))])
    assert "- one - two\n" in said and said.count("\n- ") == 4
