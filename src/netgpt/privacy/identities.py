"""Ids of persons in several countries and addresses of machines, through Presidio's recognizers.

Only the recognizers are used, one by one, without Presidio's engine: no language model and no network. A number that
is digits and nothing else passes many national checksums by chance, so it counts only beside a telling word.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, NamedTuple

from netgpt.privacy.passages import number_passages
from netgpt.types import Span

__all__ = ["find_crypto", "find_ids", "find_machines"]

_AROUND = 60
"""Characters before a number in which a telling word is looked for."""
_CRYPTO_HINT = re.compile(r"(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25}")
_ETHEREUM = re.compile(r"(?<![0-9A-Za-z])0x[0-9a-fA-F]{40}(?![0-9A-Za-z])")
_MACHINE_HINT = re.compile(
    r"\d\.\d{1,3}\.\d|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:|[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\."
)
_HARMLESS_IP = re.compile(r"127\.\d+\.\d+\.\d+|0\.0\.0\.0|255\.255\.\d+\.\d+|::1?")
_IPV6_BEHIND_LABEL = re.compile(  # "SRC=2001:db8::1", "ip:2001:db8::1": the label's colon looks like a part of it
    r"(?<=[A-Za-z]:)(?=[0-9A-Fa-f:]{0,30}\d)[0-9A-Fa-f]{1,4}(?::{1,2}[0-9A-Fa-f]{1,4}){2,7}"
)
_ID_HINT = re.compile(r"\d{2}[A-Za-z]\d{2}[A-Za-z]|[0-9](?:[ \-.:/]?[0-9A-Z]){6}")
_ID_WORDS = re.compile(
    r"(?i)\b(?:ssn|social security|social insurance|sin|itin|taxpayer|tax|tfn|abn|medicare|nhs"
    r"|national insurance|nino|ni number"
    r"|passport|passeport|reisepass|pasaporte|driving licen[cs]e|driver'?s? licen[cs]e|dni|nif|nie"
    r"|codice fiscale|cf|pesel"
    r"|steuer\S*|aadhaar|aadhar|uidai|pan|personnummer|hetu|henkilö\S*|rrn|tckn|kimlik|national id"
    r"|identity|id (?:number|card|no)"
    r"|citizen|personal (?:id|number|code)|npi|mbi|bsn|cpf)\b"
)


@dataclass(frozen=True, slots=True)
class _Rule:
    recognizer: Any
    entity: str
    least: float
    """Results below this score are dropped: they are shapes that need context."""
    forms: tuple[Any, ...]
    """The recognizer's patterns, compiled as it compiles them."""
    scores: tuple[float, ...]
    """How sure each pattern is by itself."""


class _Found(NamedTuple):
    start: int
    end: int


def _rule(recognizer: Any, entity: str, least: float) -> _Rule:
    import regex

    flags = regex.DOTALL | regex.MULTILINE | regex.IGNORECASE
    forms = tuple(regex.compile(pattern.regex, flags) for pattern in recognizer.patterns)
    return _Rule(recognizer, entity, least, forms, tuple(pattern.score for pattern in recognizer.patterns))


@lru_cache(maxsize=1)
def _id_rules() -> tuple[_Rule, ...]:
    from presidio_analyzer import predefined_recognizers as known

    _silence()
    chosen = (
        "EsNifRecognizer EsNieRecognizer ItFiscalCodeRecognizer PlPeselRecognizer FiPersonalIdentityCodeRecognizer"
        " InAadhaarRecognizer InPanRecognizer UkNinoRecognizer NhsRecognizer DeTaxIdRecognizer"
        " DeSocialSecurityRecognizer UsSsnRecognizer UsItinRecognizer UsMbiRecognizer"
        " AuTfnRecognizer AuAbnRecognizer AuMedicareRecognizer"
        " CaSinRecognizer SePersonnummerRecognizer KrRrnRecognizer TrNationalIdRecognizer ThTninRecognizer"
        " UkDrivingLicenceRecognizer ZaIdNumberRecognizer"
    )
    recognizers = [getattr(known, name)() for name in chosen.split()]
    for each in recognizers:
        if not _validates(each):  # a shape that stays weak is dropped anyway, and some cost much
            each.patterns = [pattern for pattern in each.patterns if pattern.score >= 0.5]
    return tuple(_rule(each, each.supported_entities[0], 0.5) for each in recognizers)


def _validates(recognizer: Any) -> bool:
    """Whether a checksum can raise this recognizer's results over their pattern's score."""
    from presidio_analyzer import PatternRecognizer

    return type(recognizer).validate_result is not PatternRecognizer.validate_result


@lru_cache(maxsize=1)
def _machine_rules() -> tuple[_Rule, ...]:
    from presidio_analyzer import predefined_recognizers as known

    _silence()
    return (_rule(known.IpRecognizer(), "IP", 0.5), _rule(known.MacAddressRecognizer(), "MAC", 0.5))


@lru_cache(maxsize=1)
def _crypto_rule() -> _Rule:
    from presidio_analyzer import predefined_recognizers as known

    _silence()
    return _rule(known.CryptoRecognizer(), "CRYPTO", 0.9)


def _silence() -> None:
    """Presidio logs the very texts that it fails to validate; they must not reach any log."""
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL + 1)


def find_ids(text: str) -> Iterator[Span]:
    """Identity, tax and health numbers."""
    if not _ID_HINT.search(text) or (passages := number_passages(text)) is None:
        return
    for rule in _id_rules():
        for found in _results(rule, passages.text):
            start, end = passages.back(found.start, found.end)
            piece = text[start:end]
            bare = not any(c.isalpha() for c in piece)
            if bare and not _is_told(text, start, piece):
                continue
            yield Span(start, end, "NATIONAL_ID", f"pattern:{rule.entity.lower()}", 0.95)


def _is_told(text: str, start: int, piece: str) -> bool:
    if re.fullmatch(r"\d{3}-\d{2}-\d{4}", piece):
        return True  # the shape of a US social security number is used by nothing else
    return bool(_ID_WORDS.search(text, max(0, start - _AROUND), start))


def find_machines(text: str) -> Iterator[Span]:
    """IP and MAC addresses; loopback and netmasks tell nothing and stay."""
    if not _MACHINE_HINT.search(text):
        return
    for rule in _machine_rules():
        for found in _results(rule, text):
            if not _HARMLESS_IP.fullmatch(text[found.start : found.end]):
                yield Span(found.start, found.end, rule.entity, f"pattern:{rule.entity.lower()}", 0.9)

    for match in _IPV6_BEHIND_LABEL.finditer(text):
        with suppress(ValueError):
            IPv6Address(match[0])
            yield Span(match.start(), match.end(), "IP", "pattern:ip", 0.9)


def find_crypto(text: str) -> Iterator[Span]:
    """Wallet addresses: Bitcoin with its checksum, Ethereum by its shape."""
    for match in _ETHEREUM.finditer(text):
        yield Span(match.start(), match.end(), "CRYPTO", "pattern:crypto")
    if _CRYPTO_HINT.search(text):
        for found in _results(_crypto_rule(), text):
            yield Span(found.start, found.end, "CRYPTO", "pattern:crypto")


def _results(rule: _Rule, text: str) -> Iterator[_Found]:
    """What the recognizer's patterns find and its checksum does not refute.

    The patterns are run here: `analyze` compares all results with one another, and skips a pattern that takes long, so
    that a text made for it would go unchecked. Here it takes long, and then nothing leaves.
    """
    for form, score in zip(rule.forms, rule.scores, strict=True):
        for match in form.finditer(text):
            piece = match[0]
            valid = rule.recognizer.validate_result(piece) if piece else False
            if valid is False or rule.recognizer.invalidate_result(piece):
                continue
            if valid or score >= rule.least:
                yield _Found(match.start(), match.end())
