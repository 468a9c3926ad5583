"""The older completions, and the rest of what clients look for: HEAD, moderations."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from doors import Door, door
from serving import Served

from netgpt.dialects.completions import CompletionsWriter, to_chat
from netgpt.errors import RequestError
from netgpt.store.schema import KeyLimits
from netgpt.testing.server import Fault, FaultyCloud, last_user_text

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMAIL = "lena.vogel@example.org"
PATH = "/v1/completions"


def says(body: Mapping[str, Any]) -> str:
    return f"You said: {last_user_text(body)}"


@pytest.fixture(scope="module")
def cloud() -> Any:
    with FaultyCloud(says, chunk_size=5) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory, cloud: FaultyCloud) -> AsyncIterator[Door]:
    async with door(tmp_path_factory.mktemp("home"), cloud) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_private_left(cloud: FaultyCloud) -> Any:
    cloud.unschedule()
    yield
    assert EMAIL.encode() not in cloud.all_bytes()


async def ask(box: Door, prompt: Any, status: int = 200, **fields: Any) -> dict[str, Any]:
    answer = await box.ask("POST", PATH, json={"model": "netgpt/cloud", "prompt": prompt, **fields})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def events(box: Door, **fields: Any) -> list[Any]:
    answer = await box.ask("POST", PATH, json={"model": "netgpt/cloud", "stream": True, **fields})
    assert answer.status_code == 200, answer.text
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize("prompt", [f"write to {EMAIL}", [f"write to {EMAIL}"]])
async def test_a_prompt_is_answered_and_what_is_private_comes_back(box: Door, prompt: Any) -> None:
    answer = await ask(box, prompt, max_tokens=50, temperature=0, logprobs=None, suffix=None, best_of=1)
    assert answer["object"] == "text_completion" and answer["id"].startswith("cmpl-")
    (choice,) = answer["choices"]
    assert choice == {"text": f"You said: write to {EMAIL}", "index": 0, "logprobs": None, "finish_reason": "stop"}
    assert answer["usage"]["total_tokens"] and answer["netgpt"]["route"] == "cloud"


@pytest.mark.parametrize("echo", [None, False, True])
@pytest.mark.parametrize("usage", [False, True])
async def test_streamed(box: Door, echo: bool | None, usage: bool) -> None:
    wanted = {"stream_options": {"include_usage": True}} if usage else {}
    *chunks, last = await events(box, prompt=f"write to {EMAIL}", echo=echo, **wanted)
    assert last == "[DONE]" and {each["object"] for each in chunks} == {"text_completion"}
    choices = [choice for each in chunks for choice in each["choices"]]
    text = "".join(choice["text"] for choice in choices)
    assert text == ("write to " + EMAIL if echo else "") + f"You said: write to {EMAIL}"
    assert [choice["finish_reason"] for choice in choices][-1] == "stop" and choices[0]["index"] == 0
    assert any(each.get("usage") for each in chunks) is usage
    assert all("delta" not in choice for choice in choices)


async def test_a_stream_that_breaks_does_not_end_like_a_whole_one(box: Door, cloud: FaultyCloud) -> None:
    cloud.schedule(Fault.CUT)
    *_, last = await events(box, prompt="hello " * 10, netgpt={"fallback": "never"})
    assert last["error"]["code"] and last["netgpt"]["partial"] is True


async def test_several_prompts_and_choices_are_counted_through(box: Door) -> None:
    before = len((await box.get("/v1/receipts", params={"limit": "200"})).json()["data"])
    prompts = [f"number {n} of {EMAIL}" for n in range(7)]
    answer = await ask(box, prompts, echo=True)
    assert [each["index"] for each in answer["choices"]] == list(range(7))
    assert [each["text"] for each in answer["choices"]] == [f"{each}You said: {each}" for each in prompts]
    assert len(set(answer["netgpt"]["exchanges"])) == 7 and answer["usage"]["prompt_tokens"] >= 7
    assert len((await box.get("/v1/receipts", params={"limit": "200"})).json()["data"]) == before + 7
    two = await ask(box, ["a", "b"], n=2)
    assert [each["index"] for each in two["choices"]] == [0, 1, 2, 3]


async def test_the_first_refusal_of_several_is_the_answer(box: Door, cloud: FaultyCloud) -> None:
    cloud.schedule(None, Fault.TOO_LONG)
    answer = await ask(box, ["a"] * 9, 400)
    assert answer["error"]["code"] == "context_length_exceeded"


async def test_each_prompt_counts_for_its_key(tmp_path: Path, cloud: FaultyCloud) -> None:
    async with door(tmp_path, cloud) as here:
        _, key = await here.make_key(limits=KeyLimits(requests_per_minute=3))
        asked = {"model": "netgpt/cloud", "prompt": ["a"] * 5}
        answer = await here.ask("POST", PATH, key=key, json=asked)
        assert answer.status_code == 429 and answer.json()["error"]["type"] == "rate_limit_error"
        assert (await here.ask("POST", PATH, json=asked)).status_code == 401


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"), ({"prompt": ""}, "prompt"), ({"prompt": " "}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [""]}, "prompt"), ({"prompt": ["a", " "]}, "prompt"), ({"prompt": 5}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"), ({"prompt": [1, 2]}, "prompt"), ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"), ({"prompt": ["a"] * 65}, "prompt"),
        ({"prompt": ["a", "b"], "stream": True}, "prompt"), ({"suffix": "end"}, "suffix"),
        ({"logprobs": 0}, "logprobs"),
        ({"logprobs": 5}, "logprobs"), ({"logprobs": True}, "logprobs"), ({"best_of": 3}, "best_of"),
        ({"best_of": 3, "n": 2}, "best_of"), ({"echo": "yes"}, "echo"), ({"messages": [{"role": "user"}]}, "messages"),
        ({"tools": [{"type": "function"}]}, "tools"), ({"functions": [{"name": "f"}]}, "functions"),
        ({"max_tokens": 0}, "max_tokens"), ({"n": 0}, "n"), ({"temperature": 9}, "temperature"),
        ({"stream": "yes"}, "stream"), ({"user": 5}, "user"), ({"netgpt": {"colour": 1}}, "netgpt.colour"),
        ({"prompt": ["a", "b"], "netgpt": {"may_wait": True}}, "netgpt.may_wait"), ({"model": "none"}, "model"),
        ({"prompt": ["a", "b"], "model": "none"}, "model"),
    ],
)  # fmt: skip
async def test_what_cannot_be_kept_is_refused_by_name(box: Door, fields: dict[str, Any], param: str) -> None:
    status = 404 if "model" in fields else 400
    error = (await ask(box, **{"prompt": "hello", **fields, "status": status}))["error"]
    assert error["param"] == param and error["type"] == "invalid_request_error"


async def test_bad_json_is_said_to_be_bad(box: Door) -> None:
    for raw in (b"", b"{", b"[1]"):
        answer = await box.ask("POST", PATH, content=raw)
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "invalid_json"


async def test_a_dry_run_and_the_record(box: Door) -> None:
    answer = await ask(box, f"write to {EMAIL}", netgpt={"dry_run": True})
    assert answer["netgpt"]["dry_run"] and "[EMAIL_1]" in answer["netgpt"]["explain"]["would_send_text"]
    kept = (await box.get(f"/v1/exchanges/{answer['netgpt']['exchange']}")).json()
    assert kept["id"] == answer["netgpt"]["exchange"]


async def test_events_at_every_cut() -> None:
    text = "eins zwei [x] drei"
    for cut in range(len(text) + 1):
        writer, made = CompletionsWriter(wants_usage=False, echoed="> "), b""
        pieces: list[dict[str, str]] = [{"role": "assistant"}, {"content": text[:cut]}, {"content": text[cut:]}, {}]
        for delta, end in zip(pieces, (None, None, None, "stop"), strict=True):
            made += writer.add({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": end}]})
        read = [json.loads(each.removeprefix(b"data: ")) for each in made.split(b"\n\n") if each]
        assert "".join(each["choices"][0]["text"] for each in read) == f"> {text}"
        assert {each["id"] for each in read} == {"cmpl-1"}


async def test_the_chat_has_all_that_both_can_say() -> None:
    fields = {"model": "m", "max_tokens": 5, "stop": ["x"], "seed": 1, "user": "u", "n": 2, "logit_bias": {"1": 2},
              "presence_penalty": 0.5, "netgpt": {"explain": True}, "x_own": 1}  # fmt: skip
    assert to_chat({**fields, "prompt": "p", "best_of": 2}) == {
        **fields,
        "messages": [{"role": "user", "content": "p"}],
    }
    with pytest.raises(RequestError):
        to_chat({**fields, "prompt": "p", "best_of": 3})


# HEAD, moderations


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models", "/v1/models/netgpt", "/v1/models/none", "/x"])
async def test_head_is_get_without_the_body(box: Door, path: str) -> None:
    head, get = await box.ask("HEAD", path), await box.get(path)
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]


async def test_moderations_are_refused_with_the_reason(box: Door) -> None:
    answer = await box.ask("POST", "/v1/moderations", json={"input": "some words"})
    assert answer.status_code == 501 and answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "moderations_not_here" and "chat" in answer.json()["error"]["message"]


async def test_over_a_socket_with_openais_client(tmp_path: Path, cloud: FaultyCloud) -> None:
    await asyncio.to_thread(_with_openai, tmp_path, cloud)


def _with_openai(home: Path, cloud: FaultyCloud) -> None:
    import openai

    with Served(home, cloud=cloud, privacy__names="false") as served:
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=2)
        asked: Any = {"model": "netgpt/cloud", "prompt": f"write to {EMAIL}"}
        assert client.completions.create(**asked).choices[0].text == f"You said: write to {EMAIL}"
        read = list(client.completions.create(**asked, stream=True))
        assert "".join(each.choices[0].text for each in read) == f"You said: write to {EMAIL}"
        both = client.completions.create(**{**asked, "prompt": ["a", "b"]})
        assert [each.text for each in both.choices] == ["You said: a", "You said: b"]
        with pytest.raises(openai.APIStatusError) as refused:
            client.moderations.create(input="some words")
        assert refused.value.status_code == 501
        assert client.models.retrieve("netgpt").id == "netgpt"
        for path in ("/healthz", "/v1/models", "/v1/models/netgpt"):
            with httpx.Client(timeout=60) as line:
                head, get = line.head(served.url + path), line.get(served.url + path)
                assert (head.status_code, head.content) == (200, b"")
                assert head.headers["content-length"] == get.headers["content-length"]
        assert not re.search(r"Traceback|unforeseen", served.log())
        assert re.search(r"POST /v1/completions 200 \d+ ms key=- exchange=ex_\w+ route=cloud", served.log())
