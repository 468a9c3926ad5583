"""Identity numbers, machines and wallets: what registries print as examples is found, the same with a slip is not."""

from __future__ import annotations

import pytest

from netgpt.privacy.detectors.national_ids import find_crypto, find_ids, find_ips, find_macs

PRINTED = (  # (words before, number, rule): the issuers' own examples and test numbers
    ("", "12345678Z", "es_nif"),
    ("", "X1234567L", "es_nie"),
    ("", "RSSMRA85T10A562S", "it_fiscal_code"),
    ("PESEL ", "44051401359", "pl_pesel"),
    ("", "131052-308T", "fi_personal_identity_code"),
    ("aadhaar ", "9999 4105 7058", "in_aadhaar"),
    ("NHS ", "943 476 5919", "uk_nhs"),
    ("Steuer-ID ", "86095742719", "de_tax_id"),
    ("", "15070649C103", "de_social_security"),
    ("TFN ", "123 456 782", "au_tfn"),
    ("ABN ", "51 824 753 556", "au_abn"),
    ("medicare ", "2123 45670 1", "au_medicare"),
    ("SIN ", "193-456-787", "ca_sin"),
    ("personnummer ", "811218-9876", "se_personnummer"),
    ("kimlik ", "10000000146", "tr_national_id"),
    ("citizen ", "1101700230708", "th_tnin"),
    ("id number ", "8001015009087", "za_id_number"),
)
SHAPES = (
    ("", "AB 12 34 56 C", "uk_nino"),
    ("", "1EG4-TE5-MK73", "us_mbi"),
    ("", "MORGA657054SM9IJ", "uk_driving_licence"),
    ("", "219-09-9999", "us_ssn"),
    ("tax ", "912-70-1234", "us_itin"),
    ("rrn ", "800101-1234567", "kr_rrn"),
)
WALLETS = (
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
)
MACHINES = (
    "192.0.2.7", "198.51.100.0/24", "2001:db8::1", "2001:db8:0:0:0:0:0:17", "fe80::1%eth0", "2001:db8::/32",
    "::ffff:192.0.2.128", "64:ff9b::192.0.2.33", "00:00:5E:00:53:01", "00-00-5e-00-53-01", "0000.5e00.5301",
)  # fmt: skip


def rules(text: str, number: str) -> set[str]:
    at = text.index(number)
    return {span.rule for span in find_ids(text) if (span.start, span.end) == (at, at + len(number))}


@pytest.mark.parametrize(("before", "number", "rule"), PRINTED + SHAPES)
@pytest.mark.parametrize("form", ["{}", "({}),", '"{}".'])
def test_what_issuers_print_is_found(before: str, number: str, rule: str, form: str) -> None:
    assert f"pattern:{rule}" in rules(f"My {before}{form.format(number)}", number)


@pytest.mark.parametrize("number", [number for _, number, _ in PRINTED if not number.replace(" ", "").isdigit()])
def test_small_letters_are_read_too(number: str) -> None:
    assert rules(f"my id no {number.lower()}", number.lower())


@pytest.mark.parametrize(("before", "number", "rule"), PRINTED)
def test_one_digit_off_is_not_that_number(before: str, number: str, rule: str) -> None:
    """Each check digit catches every slip of the digit before it, or nearly: at most one of nine slips passes."""
    at = max(i for i, c in enumerate(number[:-1]) if c.isdigit())
    slips = [number[:at] + digit + number[at + 1 :] for digit in "0123456789" if digit != number[at]]
    passed = [slip for slip in slips if f"pattern:{rule}" in rules(f"my {before}{slip}", slip)]
    assert len(passed) <= 1, passed


@pytest.mark.parametrize(("before", "number", "rule"), [row for row in PRINTED if row[1].replace(" ", "").isdigit()])
def test_bare_digits_need_a_telling_word(before: str, number: str, rule: str) -> None:
    assert not rules(f"we sold {number} pieces", number)


@pytest.mark.parametrize("number", ["000-12-3456", "666-12-3456", "219-00-9999", "219-09-0000", "078-05-1120"])
def test_social_security_numbers_that_nobody_has(number: str) -> None:
    assert not rules(f"SSN {number}", number)


@pytest.mark.parametrize("number", ["310211-308T", "290200+308A", "RSSMRA85B30A562S", "8013015009087"])
def test_days_that_do_not_exist(number: str) -> None:
    assert not rules(f"id number {number}", number)


@pytest.mark.parametrize("wallet", WALLETS)
def test_wallets(wallet: str) -> None:
    assert [(s.start, s.end) for s in find_crypto(f"to {wallet}.")] == [(3, 3 + len(wallet))]
    slip = wallet[:-1] + ("3" if wallet[-1] != "3" else "5")
    assert not list(find_crypto(f"to {slip}."))


@pytest.mark.parametrize("machine", MACHINES)
def test_machines(machine: str) -> None:
    assert (3, 3 + len(machine)) in {
        (s.start, s.end) for find in (find_ips, find_macs) for s in find(f"at {machine}, and")
    }


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "255.255.255.0", "::1", "at 12:30:45", "999.1.2.3", "1:2:3:4:5:6:7:8:9", "FF:FF:FF:FF:FF:FF"]
)
def test_what_is_no_machine_of_anybody(text: str) -> None:
    assert not [*find_ips(text), *find_macs(text)]
