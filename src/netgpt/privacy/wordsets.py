"""Sets of words written as one string, and the words that the search for names must know."""

from __future__ import annotations

from typing import Final

__all__ = ["ALSO_WORDS", "AROUND", "WORDS_OF_TRADE", "words"]


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


WORDS_OF_TRADE: Final = words(
    """
    api json http https url html css sql python java javascript typescript markdown linux docker openai chatgpt
    gpt ai llm user users assistant system bot hi hello hey dear thanks thank regards sincerely please yes no ok
    email phone iban card monday tuesday wednesday thursday friday saturday sunday january february march april
    june july august september october november december ceo cto cfo hr pdf faq todo ssn nhs usd eur gbp mr mrs
    ms dr prof sir madam null true false select insert create update delete function class name address street
    road place date time today tomorrow netgpt
    """
)
"""Words that the model takes for names and that are none."""

ALSO_WORDS: Final = words(
    """
    will may mark grace rose june april august hope joy art bill bob jack frank sue pat rob drew chase grant
    miles faith amber ruby jade daisy lily ivy holly dawn eve summer autumn brook brooks young king prince
    knight bishop baker cook hunter fisher smith price wood woods stone field fields hill rivers lake banks
    brown green white black gray grey long short day day's major noble rich love best cross page park parks reed
    rice rush sharp small strong sweet wise west north east south case carpenter mason potter butler carter dean
    earl guy lance max norm penny gene ray don ken chip the of and van von der den de la le del di da el bin ibn
    san st saint new old big good great first last one two
    """
)
"""Names that are common words as well: standing alone they count only with a capital."""

AROUND: Final = words(
    "a an and are as at but by for from had has have i in is my of on or our that the their to was were with"
)
"""Small words that stand around names and are no part of them."""
