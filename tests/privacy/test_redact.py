"""`netgpt.redact` does what the gateway does, and says what it found where."""

import asyncio
import json

import pytest

import netgpt
from netgpt.errors import NotDisclosable
from netgpt.privacy.detector import Detector
from netgpt.privacy.redact import MOST, Redactor
from netgpt.privacy.vault import Vault

TEXTS = [
    "Grace Hopper wrote to ada@mill.org, and [EMAIL_1] is mine; PERSON_1 too.",
    json.dumps({"customer_name": "Ada Lovelace", "phone": 442079460018, "n": 3, "ada@mill.org": {"x": [1, "London"]}}),
    "Dear Ms Khumalo,\n\nZanele Khumalo said: card 4111 1111 1111 1111.",
    "docker run -p 5432:5432 postgres:16",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_as_the_gateway(detector: Detector, text: str) -> None:
    outbound = await Vault().seal({"messages": [{"role": "user", "content": text}]}, detector)
    assert netgpt.redact(text).text == json.loads(outbound.content)["messages"][0]["content"]  # within a running loop


@pytest.mark.parametrize("text", TEXTS)
def test_spans_say_where_each_value_stood(text: str) -> None:
    redacted = netgpt.redact(text)
    shown, done = "", 0
    for span in redacted.spans:
        assert text[span.start : span.end] == span.text and span.start >= done
        shown, done = shown + text[done : span.start], span.end
        assert span.detector in ("names", "pattern", "literal", "field name") and 0 <= span.score <= 1
    assert all(span.text not in redacted.text for span in redacted.spans if span.kind != "LITERAL")
    named = sum(redacted.text.count(f"{kind}_") for kind in {span.kind for span in redacted.spans})
    assert len(redacted.spans) == named


def test_a_long_text_is_read_in_pieces_with_one_numbering() -> None:
    rows = [f"{i},u{i}@mill.org,{'x' * 60}" for i in range(4_000)]
    text, seen = "\n".join([*rows, rows[0]]), []
    redactor = Redactor(names=False)
    redacted = redactor(text, lambda done, of: seen.append((done, of)))
    assert len(seen) > 2 and seen[-1] == (len(text), len(text))
    lines = redacted.text.splitlines()
    assert lines[0] == lines[-1] == f"0,[EMAIL_1],{'x' * 60}"
    assert [text[span.start : span.end] for span in redacted.spans] == [f"u{i}@mill.org" for i in [*range(4_000), 0]]


def test_what_is_too_long_is_refused_by_its_limit() -> None:
    with pytest.raises(NotDisclosable, match="400000 characters stand without a blank"):
        Redactor(names=False)("1" * 1_000_000)
    with pytest.raises(NotDisclosable, match=str(MOST)):
        Redactor(names=False)(" " * (MOST + 1))


def test_no_thread_and_no_loop_is_needed() -> None:
    assert asyncio.run(asyncio.to_thread(lambda: netgpt.redact("ada@mill.org", names=False).text)) == "[EMAIL_1]"
