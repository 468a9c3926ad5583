"""Each client beside each fault of the cloud: what its own SDK makes of what this box tells, whole and streamed.

An answer is the cloud's, or the edge's in its place; what breaks in the middle raises the SDK's own error, and what was
shown till then is the beginning of the cloud's words. Nothing cut looks whole in any dialect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from patience import in_time
from serving import Served

from netgpt.testing.server import Fault, FaultyCloud

pytestmark = pytest.mark.slow

TEXT = "Please repeat these words one after the other, slowly and without a mistake."
EDGE = "the edge says so"
LIMIT_S = 15.0
REFUSALS = {Fault.REFUSED: 502, Fault.TOO_LONG: 400}
BEFORE = {Fault.SERVER_ERROR, Fault.WRONG_CONTENT_TYPE, Fault.HANGUP}
MIDDLE = {Fault.CUT, Fault.STALL, Fault.MALFORMED, Fault.ERROR_IN_200}
BROKEN = (openai.APIError, anthropic.APIError)
Shown = list[str]


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud(slow_s=0.3, retry_after="1") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def box(cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {"cloud__timeout": "2", "cloud__retries": "1", "cloud__breaker_failures": "1000"}
    with Served(tmp_path_factory.mktemp("home"), cloud=cloud, **settings) as served:
        assert served.ask("hello").status_code == 200  # its address has worked: a web page there is a passing fault
        yield served


def by_chat(box: Served, shown: Shown, stream: bool) -> None:
    client = openai.OpenAI(base_url=f"{box.url}/v1", api_key="none", max_retries=0)
    messages: Any = [{"role": "user", "content": TEXT}]
    if not stream:
        whole = client.chat.completions.create(model="netgpt/cloud", messages=messages)
        shown.append(whole.choices[0].message.content or "")
        return
    for chunk in client.chat.completions.create(model="netgpt/cloud", messages=messages, stream=True):
        shown.extend(choice.delta.content or "" for choice in chunk.choices)


def by_responses(box: Served, shown: Shown, stream: bool) -> None:
    client = openai.OpenAI(base_url=f"{box.url}/v1", api_key="none", max_retries=0)
    if not stream:
        shown.append(client.responses.create(model="netgpt/cloud", input=TEXT).output_text)
        return
    last = ""
    for event in client.responses.create(model="netgpt/cloud", input=TEXT, stream=True):
        last = event.type
        if event.type == "response.output_text.delta":
            shown.append(event.delta)
    if last != "response.completed":
        raise openai.APIError(last, None, body=None)  # type: ignore[arg-type]


def by_messages(box: Served, shown: Shown, stream: bool) -> None:
    client = anthropic.Anthropic(base_url=box.url, api_key="none", max_retries=0)
    asked = {"model": "netgpt/cloud", "max_tokens": 99, "messages": [{"role": "user", "content": TEXT}]}
    if not stream:
        shown.extend(block.text for block in client.messages.create(**asked).content)  # type: ignore[call-overload]
        return
    with client.messages.stream(**asked) as events:  # type: ignore[arg-type]
        shown.extend(events.text_stream)
        assert events.get_final_message().stop_reason == "end_turn"


CLIENTS: dict[str, Callable[[Served, Shown, bool], None]] = {
    "openai, chat": by_chat, "openai, responses": by_responses, "anthropic, messages": by_messages,
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_client_sees(box: Served, cloud: FaultyCloud, client: str, fault: Fault, stream: bool) -> None:
    cloud.unschedule()
    # Three times, where one retry, and a kept connection that is found closed, would otherwise hide the fault.
    again = fault in BEFORE or (fault in MIDDLE and not stream)
    cloud.schedule(fault, *([fault] * 2 if again else []))
    shown, began, broke = Shown(), time.monotonic(), None
    try:
        CLIENTS[client](box, shown, stream)
    except BROKEN as error:
        broke = error
    assert in_time(time.monotonic() - began, LIMIT_S)
    text = "".join(shown)
    if fault in REFUSALS:
        assert isinstance(broke, openai.APIStatusError | anthropic.APIStatusError) and text == ""
        assert broke.status_code == REFUSALS[fault]
    elif fault in MIDDLE and stream and broke is not None:
        assert TEXT.startswith(text) and text != TEXT
    else:
        assert broke is None, broke
        assert text == (EDGE if fault in BEFORE | MIDDLE else TEXT)
