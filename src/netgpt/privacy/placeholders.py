"""How a placeholder is written, and how a model may write it back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from netgpt.privacy.wordsets import words

__all__ = ["FIXED_KINDS", "bracketed", "hold_from", "read", "variants"]

FIXED_KINDS = words(
    "EMAIL PHONE IBAN CARD IP URL API_KEY CRYPTO NATIONAL_ID MAC ADDRESS PERSON PLACE ORG LITERAL USER PRIVATE OWN"
)
"""Kinds that any conversation may get; profile kinds come on top."""

_FILL = r"[ \t*_`~\\]{0,4}"
"""Markdown and spaces that a model may put between bracket and name."""


def bracketed(name: str) -> str:
    """`EMAIL_1` -> `[EMAIL_1]`: how it stands in prose."""
    return f"[{name}]"


@lru_cache(maxsize=256)
def variants(kinds: frozenset[str]) -> Any:
    """A compiled pattern for every accepted way of writing a placeholder of these kinds.

    In brackets or angles, in any case, with markdown inside, with a space for the underscore; or bare with its
    underscore. Groups named `k` and `n` hold kind and number. `[PERSON_1]` never matches inside `[PERSON_12]`.
    """
    import regex

    spelled = "|".join(
        "".join(r"\\{0,2}[_ \-]" if c == "_" else c for c in kind)
        for kind in sorted(kinds, key=lambda kind: (-len(kind), kind))
    )
    bare = "|".join(kind.replace("_", r"\\{0,2}_") for kind in sorted(kinds, key=lambda kind: (-len(kind), kind)))
    inside = rf"{_FILL}(?P<k>{spelled})\\{{0,2}}[_ \-](?P<n>[0-9]{{1,6}})(?![0-9])"
    return regex.compile(
        rf"\\{{1,2}}\[{inside}[ \t*_`~]{{0,4}}\\{{1,2}}\]|[\[<]{inside}{_FILL}[\]>]"
        rf"|(?<![A-Za-z0-9])(?P<k>{bare})\\{{0,2}}_(?P<n>[0-9]{{1,6}})(?![A-Za-z0-9])",
        regex.IGNORECASE | regex.ASCII,
    )


def read(match: Any) -> str:
    """The canonical name of a match of `variants`: `[**Api key_1**]` -> `API_KEY_1`."""
    kind = match["k"].replace("\\", "").replace(" ", "_").replace("-", "_").upper()
    return f"{kind}_{int(match['n'])}"


def hold_from(pattern: Any, text: str, start: int) -> int | None:
    """The first place from `start` on where `text` may be the beginning of a placeholder still to come, or None."""
    first = max(start, len(text) - 64)
    for at in range(first, len(text)):
        if not (text[at].isalpha() or text[at] in "[<\\"):
            continue
        match = pattern.fullmatch(text, at, partial=True)
        if match and (match.partial or text[-1] not in "]>"):
            return at
    return None


def replace_all(pattern: Any, text: str, originals: Mapping[str, str], *, as_json: bool = False) -> str:
    """`text` with every known placeholder replaced; `as_json`: the text is JSON source, so values are escaped."""

    def original(match: Any) -> str:
        value = originals.get(read(match))
        if value is None:
            return str(match[0])
        return json.dumps(value, ensure_ascii=False)[1:-1] if as_json else value

    return str(pattern.sub(original, text))


def kinds_of(names: Iterable[str]) -> frozenset[str]:
    """The kinds of placeholder names: `API_KEY_1` -> `API_KEY`."""
    return frozenset(name.rpartition("_")[0] for name in names)
