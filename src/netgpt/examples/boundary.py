"""The one way in for words that may be somebody's: the same detector and vault as for what leaves the box.

The vault's map of originals is thrown away at once, so nobody can undo it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

from netgpt.errors import DetectorError, NotDisclosable, PrivacyError, RequestError
from netgpt.examples.example import Example
from netgpt.privacy.detect import Detector
from netgpt.privacy.vault import Vault
from netgpt.types import Message

__all__ = ["UNCHECKED", "NotAnExample", "through_the_boundary", "without_private_values"]

UNCHECKED: Final = "the detector failed, so nothing was taken"


class NotAnExample(RequestError):
    """Why something teaches nothing; a safe phrase."""

    code = "not_an_example"


async def without_private_values(
    asked: Sequence[Message],
    said: Sequence[str],
    detector: Detector,
    *,
    values: Sequence[tuple[str, str]] = (),
    public: Sequence[str] = (),
    sensitive_kinds: Collection[str] = frozenset(),
) -> tuple[list[Message], list[str]]:
    """Question and answers with everything private replaced, alike in both. Raises NotAnExample that says why not.

    `values`: (KIND, value) pairs of a profile, hidden as well; `public`: texts whose names may stay.
    """
    body = {"messages": [*asked, *({"role": "assistant", "content": text} for text in said)]}
    try:
        outbound = await Vault().seal(body, detector, values=values, public=public)
    except NotDisclosable:
        raise NotAnExample("could not be made safe") from None
    except PrivacyError:
        raise NotAnExample(UNCHECKED) from None
    if {hidden.kind for hidden in outbound.hidden} & frozenset(sensitive_kinds):
        raise NotAnExample("holds something sensitive")
    messages = json.loads(outbound.content)["messages"]
    question, answers = messages[: len(asked)], [str(message["content"]) for message in messages[len(asked) :]]
    given = "\n".join(str(message["content"]) for message in question)
    unasked = [hidden.placeholder for hidden in outbound.hidden if hidden.placeholder not in given]
    if any(placeholder in text for placeholder in unasked for text in answers):
        # To learn this would be to learn to make values up: the question does not say them.
        raise NotAnExample("the answer names something private that the question does not")
    return question, answers


async def through_the_boundary(
    examples: Iterable[Example],
    detector: Detector,
    *,
    public: Sequence[str] = (),
    sensitive_kinds: Collection[str] = frozenset(),
) -> tuple[list[Example], Counter[str]]:
    """Examples from outside without their private values, and why others were left out (counts alone).

    Raises DetectorError: it does not work, so nothing can be taken.
    """
    taken: list[Example] = []
    left_out: Counter[str] = Counter()
    for example in examples:
        said = [example.answer, *example.options]
        try:
            asked, (answer, *options) = await without_private_values(
                example.messages, said, detector, public=public, sensitive_kinds=sensitive_kinds
            )
        except NotAnExample as why:
            if why.message == UNCHECKED:
                raise DetectorError(
                    "the detector does not work here, so no example could be pseudonymized: `netgpt doctor`"
                ) from None
            left_out[why.message] += 1
            continue
        taken.append(replace(example, messages=tuple(asked), answer=answer, options=tuple(options)))
    return taken, left_out
