"""Numbers, dates and names that a word announces, in several languages; and what only looks like them."""

import time

import pytest

from netgpt.privacy.detectors import find_patterns


def found(text: str) -> dict[str, str]:
    return {text[span.start : span.end]: span.kind for span in find_patterns(text)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("please pay invoice no. 4471-B today", "4471-B"),
        ("Invoice 4471-B is still open", "4471-B"),
        ("invoice number: INV-2024-00123", "INV-2024-00123"),
        ("Aktenzeichen 12 O 345/21", "12 O 345/21"),
        ("Aktenzeichen: 7 Ca 1234/2023.", "7 Ca 1234/2023"),
        ("Ihre Rechnungsnummer lautet RE-10422", "RE-10422"),
        ("meine Kundennummer ist 8841203", "8841203"),
        ("Kunden-Nr. 8841203", "8841203"),
        ("mon dossier n° 2021-443", "2021-443"),
        ("numéro de client 55812", "55812"),
        ("mon numéro de client est 55812", "55812"),
        ("le numéro de la commande : FR-88121", "FR-88121"),
        ("número de póliza 99-120034", "99-120034"),
        ("nº de expediente: 4412/2022", "4412/2022"),
        ("pratica n. 88123/A", "88123/A"),
        ("apólice número 771200", "771200"),
        ("polisnummer 5512009", "5512009"),
        ("her medical record number is 4471234", "4471234"),
        ("medical record no: A-1293", "A-1293"),
        ("MRN 4471234", "4471234"),
        ("my booking reference is XK4D2P", "XK4D2P"),
        ("confirmation code 7QWE2R", "7QWE2R"),
        ("case number 3:21-cv-01234", "21-cv-01234"),
        ("claim #882-1190", "882-1190"),
        ("customer id: C-10293", "C-10293"),
        ("account no. 4471 2231 09", "4471 2231"),
    ],
)
def test_announced_references(text: str, value: str) -> None:
    hits = [hit for hit in found(text) if value in hit or hit in value]
    assert hits, found(text)


@pytest.mark.parametrize(
    "text",
    [
        "order number 5 of the list",
        "What does case 3 of the switch do?",
        "Take file 12 of 40 and the record number 7.",
        "The invoice of 2023 was 1200.50 euros, the invoice 2022/2023 is lost.",
        "invoice number is missing",
        "Order 12345 has 3 items",
        "In case 10000 people come, what then?",
        "Case 2 is worth 40 points; number of clients 12",
        "Our policy 2023 allows 30 days; the contract ends 2024-05-01",
        "my reference is the book of 2019",
        "I have no account 12 months later",
        "The number of customers was 4500 in May",
        "file reference.txt has 1000 lines",
        "The police in 1984 had 12000 cars.",
    ],
)
def test_ordinary_numbers_are_no_references(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("I was born on 12.03.1984 in", "12.03.1984"),
        ("born 3 May 1990", "3 May 1990"),
        ("DOB: 03/12/84", "03/12/84"),
        ("date of birth is 1984-03-12", "1984-03-12"),
        ("my birthday is March 12, 1984", "March 12, 1984"),
        ("geboren am 12. März 1984", "12. März 1984"),
        ("Geburtsdatum: 12.3.1984", "12.3.1984"),
        ("née le 4 août 1971", "4 août 1971"),
        ("date de naissance : 04/08/1971", "04/08/1971"),
        ("fecha de nacimiento: 4 de agosto de 1971", "4 de agosto de 1971"),
        ("nata il 04/08/1971", "04/08/1971"),
        ("geboortedatum 04-08-1971", "04-08-1971"),
        ("data de nascimento: 04.08.1971", "04.08.1971"),
        ("I was born in 1984", "1984"),
    ],
)
def test_announced_births(text: str, value: str) -> None:
    assert found(text).get(value) == "BIRTHDATE", found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Beethoven was born on 17 December 1770 in Bonn",
        "How many people were born in 1984?",
        "The party was on 12.03.2024",
        "What is a birthday paradox with 23 people?",
    ],
)
def test_history_and_other_dates_stay(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("see linkedin.com/in/ada-lovelace-12", "linkedin.com/in/ada-lovelace-12", "URL"),
        ("https://www.linkedin.com/in/adal/?a=1.", "https://www.linkedin.com/in/adal/?a=1", "URL"),
        ("my code: https://github.com/adalove", "https://github.com/adalove", "URL"),
        ("https://facebook.com/ada.lovelace", "https://facebook.com/ada.lovelace", "URL"),
        ("(instagram.com/adalove)", "instagram.com/adalove", "URL"),
        ("https://x.com/adalove/status/1234", "https://x.com/adalove/status/1234", "URL"),
        ("https://www.uni.example/~adal/cv.html", "https://www.uni.example/~adal/cv.html", "URL"),
        ("https://firm.example/people/ada-lovelace", "https://firm.example/people/ada-lovelace", "URL"),
        ("my twitter handle is @ada_love", "@ada_love", "USERNAME"),
        ("follow @adalove on instagram", "@adalove", "USERNAME"),
        ("username: ada_1984", "ada_1984", "USERNAME"),
        ("my user name is ada.lovelace", "ada.lovelace", "USERNAME"),
        ("Benutzername: ada84", "ada84", "USERNAME"),
        ("/home/adal/projects/x.py", "adal", "USERNAME"),
        (r"C:\Users\Ada.L\Desktop\a.txt", "Ada.L", "USERNAME"),
    ],
)
def test_names_of_own_choice(text: str, value: str, kind: str) -> None:
    assert found(text).get(value) == kind, found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Clone https://github.com/python/cpython and look at github.com/features",
        "What does @dataclass do? And @media print, @Override, npm i @types/node?",
        "the username is required and the login is broken, username: str",
        "Use /home/user/app and /Users/me/x, not /home/page",
        "https://example.org/users/123 and https://api.example.com/users/me",
        "https://www.linkedin.com/company/acme and https://x.com/search?q=cats",
        "Is a handle better than a knob? Follow the @ sign.",
        "GET /profiles/list.json",
    ],
)
def test_what_is_nobodys_name(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("my number plate is AB12 CDE", "AB12 CDE"),
        ("license plate: 7ABC123", "7ABC123"),
        ("Kennzeichen B-MW 1234", "B-MW 1234"),
        ("immatriculation AB-123-CD", "AB-123-CD"),
        ("matrícula 1234 BCD", "1234 BCD"),
        ("the registration of my car is LK08 XYZ", "LK08 XYZ"),
    ],
)
def test_announced_plates(text: str, value: str) -> None:
    assert value in found(text), found(text)


@pytest.mark.parametrize("text", ["a plate of 12 cakes", "registration opens at 10 AM", "a metal plate 40 x 60 mm"])
def test_plates_of_another_sort_stay(text: str) -> None:
    assert found(text) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    ["invoice no. ", "number of ", "born on the ", "https://a.b/people/", "linkedin.com/in/", "@a twitter ", "case-no-",
     "1234-", "username: a", "/home/", "/Users/a.b-", "plate of my car is ", "geb. 1. 1 ", "x.com/aaa"],
)  # fmt: skip
def test_repeated_pieces_cost_time_in_proportion(piece: str) -> None:
    def seconds(size: int) -> float:
        text = ("born twitter username plate invoice 1 " + piece * size)[: 20 * size]
        started = time.process_time()
        find_patterns(text)
        return time.process_time() - started

    seconds(100)
    small, large = min(seconds(500) for _ in range(2)), min(seconds(4_000) for _ in range(2))
    assert large < 30 * small + 0.05
