"""Text in, masked text and its spans out: what `netgpt.redact` and `netgpt redact` do. Nothing is sent anywhere.

The text is sealed as a request's would be, by the same `Vault`: JSON inside it is opened, keys are searched, what looks
like a placeholder is hidden, and the result is searched again.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeVar

from netgpt.errors import DetectorError, NetGPTError, NotDisclosable
from netgpt.privacy.aside import at_once
from netgpt.privacy.body import opened
from netgpt.privacy.detector import Finder
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.kinds import TermsOf, placeholders_only
from netgpt.privacy.variants import variants
from netgpt.privacy.vault import Vault
from netgpt.types import Span

T = TypeVar("T")

_PIECE: Final = 100_000
"""Characters that are searched at once; longer texts are divided between lines or words."""
_LONGEST_LINE: Final = 400_000
"""Characters without a blank: more is not divided, since that could tear what is private in two."""
MOST: Final = 50_000_000
"""Characters of a text, at most."""

OnProgress = Callable[[int, int], None]
"""Called with the characters done, and all."""


@dataclass(frozen=True)
class RedactedSpan:
    """A find: `text` stood at [start, end) of the original, in characters.

    `rule` names what found it, `score` how sure that is (0 to 1), `policy` the rule by which it is hidden.
    """

    start: int
    end: int
    kind: str
    rule: str
    text: str = field(repr=False)
    score: float = 0.0
    policy: str = ""

    @property
    def detector(self) -> str:
        """The sort of detector: "names", "pattern", "profile", "plugin", "field name", "literal"."""
        return self.rule.partition(":")[0]


@dataclass(frozen=True)
class Redacted:
    """`text` has a placeholder for each of `spans`."""

    text: str
    spans: tuple[RedactedSpan, ...]


class Redactor:
    """Hides what is private in one text after another; each has its own numbering of placeholders. Thread-safe."""

    def __init__(
        self,
        *,
        names: bool = True,
        values: Sequence[tuple[str, str]] = (),
        terms: TermsOf = placeholders_only,
        generaliser: Generaliser | None = None,
        exceptions: Collection[str] = (),
    ) -> None:
        """`names`: whether the language model looks for names; `values`: (KIND, value) pairs to hide besides; `terms`,
        `generaliser`, `exceptions`: as of `Vault.seal`."""
        self._finder = _InThisThread(names)
        self._sealing: dict[str, Any] = {
            "values": values, "terms": terms, "generaliser": generaliser, "exceptions": exceptions, "max_chars": MOST
        }  # fmt: skip
        self._lock = threading.Lock()

    def __call__(self, text: str, progress: OnProgress | None = None) -> Redacted:
        """Raises DetectorError: a detector failed, so nothing is known of the text; NotDisclosable: too long."""
        if len(text) > MOST:
            raise NotDisclosable(f"the text has {len(text)} characters, more than the {MOST} that are read at most")
        vault, done = Vault(), 0
        masked: list[str] = []
        spans: list[RedactedSpan] = []
        for piece in _pieces(text):
            with self._lock:  # one text at a time: a name found in one must not be hidden in another
                outbound = at_once(vault.seal(_asked(piece), self._finder, **self._sealing))
            written: str = json.loads(outbound.content)["messages"][0]["content"]
            masked.append(written)
            spans += _placed(piece, done, written, vault)
            done += len(piece)
            if progress is not None:
                progress(done, len(text))
        return Redacted("".join(masked), tuple(spans))


class _InThisThread:
    """A `Detector` without any waiting: `netgpt.redact` is no coroutine."""

    def __init__(self, names: bool) -> None:
        self._finder = Finder(names)

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        try:
            return self._finder.find(texts, values, names)
        except NetGPTError:
            raise
        except Exception as error:  # noqa: BLE001 - the border: whatever fails in a recognizer means "not checked"
            raise DetectorError(f"the detector failed ({type(error).__name__}); report this fault") from None

    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def close(self) -> None: ...


def _asked(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that end between paragraphs, lines or words. JSON stays whole. Raises NotDisclosable."""
    if len(text) <= _PIECE or opened(text) is not None:
        yield text
        return
    start = 0
    while len(text) - start > _PIECE:
        half = start + _PIECE // 2
        ends = (text.rfind(sign, half, start + _PIECE) + len(sign) for sign in ("\n\n", "\n", " "))
        end = next((end for end in ends if end >= half + 1), 0) or _next_blank(text, start + _PIECE)
        if end - start > _LONGEST_LINE:
            raise NotDisclosable(
                f"more than {_LONGEST_LINE} characters stand without a blank between them: nothing was masked"
            )
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _next_blank(text: str, at: int) -> int:
    found = [place + 1 for place in (text.find(sign, at) for sign in " \n") if place >= 0]
    return min(found, default=len(text))


def _placed(text: str, offset: int, masked: str, vault: Vault) -> Iterator[RedactedSpan]:
    """The placeholders of a masked text with the places of their values in the original."""
    found_by: dict[str, deque[Span]] = {}
    for name, span in vault.finds:
        found_by.setdefault(name, deque()).append(span)
    policies = {hidden.placeholder[1:-1]: hidden.policy_rule for hidden in vault.hidden}
    at = done = 0
    for found in variants(vault.used_kinds()).finditer(masked):
        finds = found_by.get(found.name)
        if not finds:
            continue
        value, span = vault.originals()[found.name], finds.popleft() if len(finds) > 1 else finds[0]
        start = _place_of(value, text, at, at + found.at - done)
        at, done = start + len(value), found.until
        kind, policy = found.name.rpartition("_")[0], policies.get(found.name, "")
        yield RedactedSpan(offset + start, offset + at, kind, span.rule, value, span.score, policy)


def _place_of(value: str, text: str, at: int, expected: int) -> int:
    """Where the value stands: where the text between is the same, else (JSON anew, coarser words) the next place."""
    if text.startswith(value, expected):
        return expected
    found = text.find(value, at)
    return found if found >= 0 else at


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
