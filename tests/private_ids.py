"""Invented identity numbers of many countries, valid where there is a check digit."""

from __future__ import annotations

import random

from private_value import Value, digits

__all__ = ["national_id"]


def _told_id(label: str, text: str) -> tuple[str, str]:
    return f"{label} {text}", text


def national_id(chance: random.Random) -> Value:
    def d(count: int) -> str:
        return digits(chance, count)

    dni = chance.randint(10_000_000, 99_999_999)
    nir = f"{chance.choice('12')}{chance.randint(40, 99)}{chance.randint(1, 12):02d}{chance.randint(1, 95):02d}{d(6)}"
    cpf = d(9)
    for _ in range(2):
        total = sum(int(c) * w for c, w in zip(cpf, range(len(cpf) + 1, 1, -1), strict=True))
        cpf += str((total * 10 % 11) % 10)
    pesel = f"{chance.randint(50, 99)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}{d(4)}"
    pesel += str(-sum(int(c) * w for c, w in zip(pesel, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True)) % 10)
    hetu = f"{chance.randint(1, 28):02d}{chance.randint(1, 12):02d}{chance.randint(50, 99)}"
    hetu_end = chance.randint(100, 899)
    hetu_mark = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(f"{hetu}{hetu_end}") % 31]
    cn = f"11010519{chance.randint(49, 99)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}{d(3)}"
    cn += "10X98765432"[sum(int(c) * (2 ** (17 - i) % 11) for i, c in enumerate(cn)) % 11]
    ahv = "756" + d(9)
    ahv += str(-sum(int(c) * (1 + 2 * (i % 2)) for i, c in enumerate(ahv)) % 10)
    ssn = f"{chance.choice((212, 345, 478, 561))}-{chance.randint(10, 99)}-{chance.randint(1000, 9999)}"
    nino = f"AB {d(2)} {d(2)} {d(2)} C"
    pps = d(7)
    pps += "WABCDEFGHIJKLMNOPQRSTUV"[sum(int(c) * w for c, w in zip(pps, range(8, 1, -1), strict=True)) % 23]
    text, secret = chance.choice(
        (
            (ssn, ssn),
            _told_id("SSN", ssn.replace("-", " ")),
            _told_id("my social security number is", ssn.replace("-", "")),
            (nino, nino),
            (nino.replace(" ", ""), nino),
            (nino.replace(" ", "").lower(), nino),
            (f"{dni}{'TRWAGMYFPDXBNJZSQVHLCKE'[dni % 23]}", str(dni)),
            (f"{dni}-{'TRWAGMYFPDXBNJZSQVHLCKE'[dni % 23]}", str(dni)),
            (f"{nir} {97 - int(nir) % 97:02d}", nir),
            (" ".join((nir[0], nir[1:3], nir[3:5], nir[5:7], nir[7:10], nir[10:], f"{97 - int(nir) % 97:02d}")), nir),
            (f"{cpf[:3]}.{cpf[3:6]}.{cpf[6:9]}-{cpf[9:]}", cpf),
            _told_id("CPF", cpf),
            _told_id("PESEL:", pesel),
            (f"{hetu}-{hetu_end}{hetu_mark}", f"{hetu}{hetu_end}"),
            (cn, cn),
            (f"{ahv[:3]}.{ahv[3:7]}.{ahv[7:11]}.{ahv[11:]}", ahv),
            _told_id("passport no.", f"C01X{d(5)}"),
            _told_id("passport number:", d(9)),
            _told_id("Passport No", "PA" + d(7)),
            _told_id("driver's license", "D" + d(7)),
            _told_id("driving licence", f"MORGA{d(6)}SM9IJ"),
            (pps, pps),
            _told_id("PPS number", pps),
            _told_id("BSN", d(9)),
            _told_id("personnummer", "811218-9876"),
            _told_id("CPR-nr.", f"0101{chance.randint(50, 99)}-{d(4)}"),
            _told_id("Steuer-ID", "86095742719"),
            _told_id("NHS number", "943 476 5919"),
            _told_id("my aadhaar is", "2345 6789 0124"),
            ("ABCPE1234F", "ABCPE1234F"),
            ("RSSMRA85T10A562S", "RSSMRA85T10A562S"),
            _told_id("NRIC", "S1234567D"),
            ("S1234567D", "S1234567D"),
            _told_id("HKID", "A123456(3)"),
            ("BADD110313HCMLNS09", "BADD110313HCMLNS09"),
            _told_id("TFN", "123 456 782"),
            _told_id("SIN", "046 454 286"),
            _told_id("Rijksregisternummer", "85.07.30-033.28"),
            ("85.07.30-033.28", "85073003328"),
            _told_id("national insurance number", nino.replace(" ", "")),
            _told_id("date of birth and id number", d(8)),
            _told_id("numéro de sécurité sociale", nir),
            _told_id("tax id", f"{d(2)}-{d(7)}"),
            _told_id("medical record number", "MRN" + d(7)),
        )
    )
    return Value("NATIONAL_ID", text, (secret,))
