"""Patterns: generated valid values in awkward forms are found, ordinary text is left alone."""

import random
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netgpt_bench.people import PersonMaker

from netgpt.privacy.detectors import find_patterns

AROUND = ["{}", "see {}, please", "({})", '"{}"', "`{}`", "**{}**", "at:\n{}\nend", "<{}>", "x={};", "[{}](y)", "{}."]


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find_patterns(text)]


def is_covered(text: str, value: str, kind: str) -> bool:
    """Whether every letter and digit of `value` lies in a span of this kind."""
    start = text.index(value)
    spans = [span for span in find_patterns(text) if span.kind == kind]
    wanted = (i for i in range(start, start + len(value)) if text[i].isalnum())
    return all(any(span.start <= i < span.end for span in spans) for i in wanted)


@given(
    local=st.text(string.ascii_letters + string.digits, min_size=1, max_size=12),
    tag=st.sampled_from(["", "+shop", ".b", "_c", "-d"]),
    host=st.text(string.ascii_lowercase, min_size=2, max_size=10),
    end=st.sampled_from(["org", "co.uk", "internal", "example", "museum", "IO"]),
    around=st.sampled_from(AROUND),
)
@settings(max_examples=200, deadline=None)
def test_emails_are_found_whatever_stands_around_them(local: str, tag: str, host: str, end: str, around: str) -> None:
    email = f"{local}{tag}@{host}.{end}"
    assert is_covered(around.format(email), email, "EMAIL")


@given(seed=st.integers(0, 10_000), around=st.sampled_from(AROUND), kind=st.sampled_from(["card", "iban", "phone"]))
@settings(max_examples=300, deadline=None)
def test_numbers_with_a_form_are_found_whatever_stands_around_them(seed: int, around: str, kind: str) -> None:
    value = getattr(PersonMaker(random.Random(seed)).person(), kind)
    assert is_covered(around.format(value), value, kind.upper())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("+44 (0)20 7946.0018", "PHONE"),
        ("(212) 555-0143", "PHONE"),
        ("call 555-0143", "PHONE"),
        ("345-899-3560x4587", "PHONE"),
        ("447700900123", "PHONE"),
        ("4111 1111\n1111 1111", "CARD"),
        ("４１１１１１１１１１１１１１１１", "CARD"),
        ("4111\u200b1111\u200b1111\u200b1111", "CARD"),
        ("gb82west12345698765432", "IBAN"),
        ("ada\\u0040mill.org", "EMAIL"),
        ("?to=ada%40mill.org", "EMAIL"),
        ("ada at mill dot org", "EMAIL"),
        ("ada [at] mill [dot] org", "EMAIL"),
        ("10.20.30.40", "IP"),
        ("fe80::1ff:fe23:4567:890a", "IP"),
        ("00:1A:2B:3C:4D:5E", "MAC"),
        ("postgres://ada:pw@db/x", "URL"),
        ("https://x.example/a?access_token=abcdef", "URL"),
        ("sk-abcdefghijklmnop1234", "API_KEY"),
        ("ghp_abcdefghijklmnopqrstuvwx", "API_KEY"),
        ("AKIAIOSFODNN7EXAMPLE", "API_KEY"),
        ("api_key = 9f8a7b6c5d4e3f2a1b", "API_KEY"),
        ("password: hunter2", "API_KEY"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "API_KEY"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "CRYPTO"),
        ("0x52908400098527886E0F7030069857D2E4169EE7", "CRYPTO"),
        ("460-89-9847", "NATIONAL_ID"),
        ("12345678Z", "NATIONAL_ID"),
        ("RSSMRA85T10A562S", "NATIONAL_ID"),
        ("AB123456C", "NATIONAL_ID"),
        ("221B Baker Street", "ADDRESS"),
        ("12 MILL ROAD", "ADDRESS"),
        ("4 rue de la Paix", "ADDRESS"),
        ("Hauptstraße 5, 10115 Berlin", "ADDRESS"),
        ("SW1A 1AA", "ADDRESS"),
        ("My name is Grace Hopper", "PERSON"),
    ],
)
def test_one_form_of_each_kind(text: str, kind: str) -> None:
    assert kind in {of_kind for of_kind, _ in found(text)}


@pytest.mark.parametrize(
    "text",
    [
        "What is the weather like tomorrow at 10:30?",
        "In 2023-04-05 10:30 and 1990 - 1995, 2001.",
        "Pi is 3.14159265358979 and e is 2.718281828.",
        "It costs 1 000 000 dollars, or 12,500.99.",
        "10 people on the street, 3 cars, 5 way tie",
        "std::vector<int> a; x = b[0]; http://localhost:8080/path?page=2 127.0.0.1",
        "https://example.org/articles/2024/05/some-title?ref=home",
        "Look at the dot on the map",
        "The key to success is patience. The token of love. password: <your password>",
        "Order 12345 has 3 items in 42 boxes.",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_spans_point_into_the_original() -> None:
    text = "a\u200bda\u200b@mill.org und ４１１１ １１１１ １１１１ １１１１!"
    pieces = dict(found(text))
    assert pieces["EMAIL"] == "a\u200bda\u200b@mill.org"
    assert pieces["CARD"] == "４１１１ １１１１ １１１１ １１１１"


@pytest.mark.parametrize(
    "text",
    [
        "call_447911123456.wav", "get_07911123456_balance", "msisdn_447911123456_lookup",
        "tel_+442079460958_home", "voicemail_4155550123_1", "patient_2025550143.pdf", "whatsapp_5511987654321_chat.txt",
        "ip_192.168.1.77_up", "10.20.30.40_log", "host_203.0.113.7_trace", "mac_00:1b:44:11:3a:b7_x",
        "my NHS number is nhs_943 476 5919_old", "rec_0151 23456789_.mp3", "00447911123456_x",
    ],
)  # fmt: skip
def test_what_is_named_by_a_number_gives_it_away_between_underscores_too(text: str) -> None:
    assert any(kind in ("PHONE", "IP", "MAC", "NATIONAL_ID") for kind, _ in found(text))


NAMES = [
    "run_{ten}", "job_{twelve}_log", "step_{seven}", "{day}_{time}_backup.tar", "img_{day}{time}.jpg", "ts_{ms}_x",
    "libfoo_1.{one}.{two}_amd64.deb", "foo_7.{one}.{two}.4_all.whl", "part_0{four}_of_0{four}", "seed_{ten}",
    "IMG_{day}_{seven}",
    "max_{seven}_tokens", "trace_{hex}_a", "batch_0{seven}", "case_00{seven}", "v{one}_{two}_{one}",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_runs_versions_and_times_between_underscores_are_nobodys(name: str) -> None:
    chance = random.Random(name)
    for _ in range(40):
        digits = {word: chance.randint(10 ** (n - 1), 10**n - 1) for word, n in
                  {"one": 1, "two": 2, "four": 4, "seven": 7, "ten": 10, "twelve": 12}.items()}  # fmt: skip
        day = f"{chance.randint(2015, 2026)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
        time = f"{chance.randint(0, 23):02}{chance.randint(0, 59):02}{chance.randint(0, 59):02}"
        ms, letters = chance.randint(1_600_000_000_000, 1_800_000_000_000), f"{chance.getrandbits(64):016x}"
        text = name.format(**digits, day=day, time=time, ms=ms, hex=letters)
        assert [each for each in found(text) if each[0] != "CARD"] == [], text


@pytest.mark.parametrize(
    "name",
    [
        "SSN_536221234", "tax_id_86095742719.pdf", "nhs_number_943_476_5919", "bsn_111222333.pdf",
        "BSN_111222333_kopie", "cpf_52998224725.pdf", "passport_C01X00T47.pdf", "svnr_65070149A008",
        "social_security_number_536-22-1234.txt", "phone_212_555_0123", "cell_212_555_0143.vcf",
        "fax_089_123_45678",
    ],
)  # fmt: skip
def test_what_a_name_says_of_its_number_counts_over_underscores(name: str) -> None:
    digits = re.sub(r"\D", "", name)
    spans = find_patterns(name)
    assert any(re.sub(r"\D", "", name[span.start : span.end]) == digits for span in spans), spans


@pytest.mark.parametrize(
    "name",
    [
        "LOG_2024_06_11_14_32_05", "rec_2024_06_11_143205.wav", "ssn_20240611.csv", "passport_20240611_export.csv",
        "nhs_2024_06_11_dump.sql", "nino_test_1718123456", "SSN_LENGTH_9 = 9", "check_ssn_9_digits(x)",
        "passport_count_1000000", "phone_2024_06_11.log", "client_10_20_30_40", "user_100_200_3000",
        "msg_text_1024_2048_4096", "text_100_200_300.txt", "patient_001_002_0003.dcm", "vat_2023_2024.xlsx",
        "phone_1 VARCHAR(20), phone_2 VARCHAR(20)", "INN_EXPR_1000_2000", "customer_id_1000_2000",
    ],
)  # fmt: skip
def test_moments_lengths_and_columns_that_are_named_after_numbers_stay(name: str) -> None:
    assert found(name) == []
