"""Which sentences of a message are the person's own, said of themselves or of anything: not code, not quoted, no lists.

Nothing is guessed from the meaning: what looks like pasted material is left out, and a message that is long, signed or
shaped like a document is left out whole. What is asked to be done with a text (translate it, play a role, write a
letter that says so) is judged by the tables of each language in `remarks/`, by `PastedMaterial`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

LONGEST: Final = 4_000
"""Characters of a message that somebody types; a longer one holds pasted texts."""
FILLER: Final = "¶"
"""Stands for each character that is not the person's own; no rule matches it."""
_APOSTROPHES: Final = str.maketrans("’‘ʼ´`", "''''`")
_CODE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|<(\w+)[^>\n]{0,80}>.*?(?:</\1>|\Z)", re.DOTALL)
_QUOTED: Final = re.compile(
    r"""["“”„«»‹›「」『』][^"“”„«»‹›「」『』]*(?:["“”„«»‹›「」『』]|\Z)"""
    r"""|(?<![\w'])'(?=[^\s'])[^\n]{1,400}?(?<=[^\s'])'(?![\w'])"""
)
_NOT_PROSE: Final = re.compile(
    r"\s*(?:[>|*•·▪◦#+–—-]|\d{1,3}[.)]\s|[a-zA-Z][.)]\s|\t| {4})|.*(?:[{}|\\]|</|==|\(\);|;\s*$)"
)
_SPEAKER: Final = re.compile(r"\s*[^\W\d_][\w .'-]{0,24}:(?=\s)")
_GREETED: Final = re.compile(
    r"(?im)^\s*(?:dear|hi|hello|hey|liebe[rs]?|hallo|sehr geehrte\w*|bonjour|chère?s?|salut|estimad[oa]s?"
    r"|querid[oa]s?|hola|gentile|cara|caro|ciao|egregi[oa])\s+(?!there|all|everyone|everybody|again|zusammen|tout|todos|tutti)"
    r"[\w.'-]+(?: [\w.'-]+){0,3}\s*[,:!]?\s*$"
)
_SIGNED: Final = re.compile(r"(?i)\n\s*[\w' -]{2,30},\s*\n\s*[\w.'-]+(?: [\w.'-]+){0,3}\s*\Z")
_SENTENCE: Final = re.compile(r"[^.!?\n…]+(?:[.](?=[\w¶])[^.!?\n…]*)*[.!?…]*")


class Sentence(NamedTuple):
    """A sentence, and where it begins in the cleaned message."""

    text: str
    start: int


def cleaned(message: str) -> str:
    """The message with straight apostrophes and single blanks; what is not the person's own is FILLER.

    Empty: it is too long, a letter, or a document.
    """
    if len(message) > LONGEST or not message.strip():
        return ""
    text = re.sub(r"[ \u00a0]+(?=[ \u00a0])(?<=\S[ \u00a0])", "", message.replace("\r", "")).translate(_APOSTROPHES)
    if _GREETED.search(text) or _SIGNED.search(text) or text.count("\n\n") > 5:
        return ""
    for pattern in (_CODE, _QUOTED):
        text = pattern.sub(_filled, text)
    lines, over = [], False
    for line in text.split("\n"):
        if over or _NOT_PROSE.match(line):
            lines.append(FILLER * len(line))
            continue
        lines.append(line)
        over = line.rstrip().endswith(":")  # what follows is what was announced
    return "\n".join(lines)


def sentences(text: str, labels: re.Pattern[str]) -> Iterator[Sentence]:
    """The sentences of a cleaned message; a label that the person writes themselves ("FYI: ...") may stand in front.

    Lines of a dialogue ("Anna: I'm vegan") are left out.
    """
    for match in _SENTENCE.finditer(text):
        said, start = match[0], match.start()
        speaker = _SPEAKER.match(said)
        if speaker is not None and (start == 0 or text[start - 1] == "\n"):
            if labels.fullmatch(speaker[0].strip(" :")) is None:
                continue
            said, start = said[speaker.end() :], start + speaker.end()
        lead = len(said) - len(said.lstrip())
        if said.strip():
            yield Sentence(said.strip(), start + lead)


def _filled(match: re.Match[str]) -> str:
    return "".join(c if c == "\n" else FILLER for c in match[0])


class PastedMaterial:
    """What the tables of all languages say of messages that are about a text: `end_of_own(message)`."""

    def __init__(self, tables: Sequence[Mapping[str, Any]]) -> None:
        self._whole, self._from = (
            re.compile(
                rf"(?<!\w)(?:{'|'.join(_joined(table['material'][part]) for table in tables)})(?!\w)", re.IGNORECASE
            )
            for part in ("whole", "from")
        )

    def end_of_own(self, message: str) -> int:
        """Up to where the cleaned message may be about the person; 0: nothing of it."""
        if self._whole.search(message):
            return 0
        found = self._from.search(message)
        return found.start() if found else len(message)


def _joined(lines: str) -> str:
    return lines.replace("\n", "")
