"""Text in, masked text and its spans out: what `netgpt.redact` and `netgpt redact` do. Nothing is sent anywhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from netgpt.errors import DetectorError, NetGPTError
from netgpt.privacy.detector import Finder
from netgpt.privacy.kinds import bracketed
from netgpt.privacy.vault import Vault


@dataclass(frozen=True)
class RedactedSpan:
    """A find: `text` stood at [start, end) of the original, in characters."""

    start: int
    end: int
    kind: str
    rule: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Redacted:
    """`text` has a placeholder for each of `spans`."""

    text: str
    spans: tuple[RedactedSpan, ...]


class Redactor:
    """Hides what is private in one text after another; each has its own numbering of placeholders. Thread-safe."""

    def __init__(self, *, names: bool = True, values: Sequence[tuple[str, str]] = ()) -> None:
        """`names`: whether the language model looks for names; `values`: (KIND, value) pairs to hide besides."""
        self._finder, self._values = Finder(names), values
        self._lock = threading.Lock()

    def __call__(self, text: str) -> Redacted:
        """Raises DetectorError: a detector failed, so nothing is known of the text."""
        try:
            with self._lock:  # one text at a time: a name found in one must not be hidden in another
                [found] = self._finder.find([text], self._values, None)
        except NetGPTError:
            raise
        except Exception as error:  # noqa: BLE001 - the border: whatever fails in a recognizer means "not checked"
            raise DetectorError(f"the detector failed ({type(error).__name__}); report this fault") from None
        vault, pieces, done = Vault(), [], 0
        spans = tuple(RedactedSpan(s.start, s.end, s.kind, s.rule, text[s.start : s.end]) for s in found)
        for span in spans:
            pieces += [text[done : span.start], bracketed(vault.name_for(span.kind, span.text))]
            done = span.end
        return Redacted("".join([*pieces, text[done:]]), spans)


def redact(text: str, *, names: bool = True) -> Redacted:
    """Hide what is private in a text. `names=False`: patterns only, without the language model. Raises DetectorError.

    >>> redacted = redact("Write to ada@mill.example, my IP is 10.1.2.3", names=False)
    >>> redacted.text
    'Write to [EMAIL_1], my IP is [IP_1]'
    >>> redacted.spans[0].kind, redacted.spans[0].text
    ('EMAIL', 'ada@mill.example')
    """
    return _redactor(names)(text)


@cache
def _redactor(names: bool) -> Redactor:
    return Redactor(names=names)
