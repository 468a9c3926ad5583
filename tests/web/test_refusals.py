"""A refusal stays a refusal: who got it wrong is told, and the small model does not answer in the place of the cloud.

A row of the table is one mistake; each is tried with and without a model on the box that could answer, streamed and
whole, and what is looked at is the status, the words, the log, `/readyz`, `netgpt signals` and `netgpt doctor`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from doors import door
from serving import Served
from upstreams import upstream

from netgpt.testing.server import Connection, FakeHttp, FaultyCloud, ReceivedRequest

pytestmark = pytest.mark.slow

KEY: Final = "sk-cloud-key-of-the-test"
TEXT: Final = "Please write to jo.smith@corp.example about the budget"
EDGE_SAYS: Final = "the edge says so"


@dataclass
class Answers(FakeHttp):
    """A cloud that answers every request as it is told, and repeats the key and the request in its words."""

    status: int = 200
    error: Any = None
    kind: str = "application/json"
    head: str = ""
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        self.paths.append(request.path)
        text = self.error if isinstance(self.error, str) else json.dumps(self.error)
        text = text.replace("ECHO", f"{request.header('authorization')} {request.body!r}".replace('"', "'")[:300])
        connection.answer(self.status, text.encode(), self.kind, headers=self.head)


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong, and what has to be said of it."""

    status: int  # what the cloud answers
    error: Any
    told: str  # in the words that the caller gets
    seen: int = 502
    code: str | None = None
    param: str | None = None
    kind: str = "application/json"
    head: str = ""

    @property
    def owners(self) -> bool:
        return self.seen == 502


def openai(message: str, type: str = "invalid_request_error", code: Any = None, param: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "code": code, "param": param}}


TABLE: Final = {
    "wrong key": Mistake(401, openai("Incorrect API key: ECHO", code="invalid_api_key"), "check cloud.api_key",
                         code="invalid_api_key"),
    "wrong key, told with 400": Mistake(400, [{"error": {"code": 400, "message": "API key not valid. Please pass a "
                                        "valid API key.", "status": "INVALID_ARGUMENT"}}], "check cloud.api_key"),
    "no right": Mistake(403, openai("ECHO", "permission_error"), "what it may use"),
    "wrong model": Mistake(404, openai("The model `gpt-4o-mini` does not exist", code="model_not_found"),
                           "check cloud.model", code="model_not_found"),
    "wrong model, told with 400": Mistake(400, {"object": "error", "message": "Invalid model: gpt-4o-mini",
                                          "type": "invalid_model", "code": "1500"}, "check cloud.model"),
    "wrong model, told with 503": Mistake(503, openai("none", "api_error", "model_not_found"), "check cloud.model"),
    "wrong path": Mistake(404, "404 page not found", "cloud.base_url", kind="text/plain"),
    "a web site": Mistake(200, "<html>ECHO</html>", "a web page answers at cloud.base_url", kind="text/html"),
    "another program": Mistake(501, "<html>Unsupported method</html>", "cloud.base_url", kind="text/html"),
    "plain HTTP where TLS is": Mistake(400, "<html>The plain HTTP request was sent to HTTPS port</html>",
                                       "cloud.base_url", kind="text/html"),
    "moved": Mistake(308, "", "a redirect", kind="text/plain", head="location: https://other.example/v1\r\n"),
    "no money": Mistake(402, openai("Insufficient Balance"), "no money or quota is left"),
    "no quota, told with 429": Mistake(429, openai("ECHO", "insufficient_quota", "insufficient_quota"),
                                       "no money or quota is left", code="insufficient_quota"),
    "bad parameter": Mistake(400, openai("Unsupported parameter: ECHO", code="unsupported_parameter", param="top_k"),
                             "leave top_k out", 400, "unsupported_parameter", "top_k"),
    "bad value": Mistake(400, openai("max_tokens is too large: ECHO. This model supports at most 16384 completion "
                         "tokens", code="invalid_value", param="max_tokens"),
                         "give max_tokens another value", 400, "invalid_value", "max_tokens"),
    "unprocessable": Mistake(422, {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "ECHO",
                                   "type": "literal_error"}]}, "messages[0].role", 422, param="messages[0].role"),
    "too large": Mistake(413, "ECHO", "too long", 413, "context_length_exceeded", kind="text/plain"),
    "too long": Mistake(400, openai("ECHO", code="context_length_exceeded", param="messages"), "too long", 400,
                        "context_length_exceeded", "messages"),
    "refused for its content": Mistake(403, openai("ECHO", code="content_filter"), "rules on content", 400,
                                       "content_filter"),
}  # fmt: skip
"""Never a 200, whoever else could answer."""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Answers]:
    with Answers() as server:
        yield server


@pytest.fixture(scope="module")
def boxes(cloud: Answers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """One with a model on the box that answers, and one whose model is at an address where nobody is."""
    settings: dict[str, Any] = {"cloud__base_url": cloud.base_url, "cloud__api_key": KEY, "cloud__retries": "0"}
    settings["cloud__breaker_failures"] = "1000"
    alone = {**settings, "edge_url": "http://127.0.0.1:9/v1"}
    with (
        Served(tmp_path_factory.mktemp("edge"), **settings) as both,
        Served(tmp_path_factory.mktemp("alone"), **alone) as one,
    ):
        yield {"edge": both, "alone": one}


def ask(box: Served, *, stream: bool, **netgpt: Any) -> httpx.Response:
    return box.ask(TEXT, stream=stream, netgpt=netgpt or None)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("box", ["edge", "alone"])
@pytest.mark.parametrize("what", TABLE)
def test_what_was_got_wrong_comes_back(
    boxes: dict[str, Served], cloud: Answers, what: str, box: str, stream: bool
) -> None:
    mistake, served = TABLE[what], boxes[box]
    cloud.status, cloud.error, cloud.kind, cloud.head = mistake.status, mistake.error, mistake.kind, mistake.head
    answer = ask(served, stream=stream)
    error = answer.json()["error"]
    assert answer.status_code == mistake.seen, answer.text
    assert mistake.told in error["message"]
    assert mistake.code is None or error["code"] == mistake.code
    assert error["param"] == mistake.param
    for private in (KEY, "jo.smith", "budget"):
        assert private not in answer.text and private not in served.log()
    part = served.get("/readyz").json()["parts"]["cloud"]
    told = served.get("/v1/signals").json()["faults"].get("cloud", "")
    if mistake.owners:
        assert answer.headers["x-should-retry"] == "false"
        assert part["ok"] is False and mistake.told in part["detail"] and mistake.told in told
        assert mistake.told in served.log()
        assert "127.0.0.1" not in told


def chat_answer(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "1", "object": "chat.completion", "choices": choices}


def good(cloud: Answers) -> None:
    cloud.status, cloud.error, cloud.kind, cloud.head = 200, chat_answer("all is well"), "application/json", ""


def wrong(cloud: Answers, what: str) -> None:
    mistake = TABLE[what]
    cloud.status, cloud.error, cloud.kind, cloud.head = mistake.status, mistake.error, mistake.kind, mistake.head


def test_always_lets_the_box_answer_and_the_fault_is_named_all_the_same(
    boxes: dict[str, Served], cloud: Answers
) -> None:
    wrong(cloud, "wrong key")
    answer = ask(boxes["edge"], stream=False, fallback="always")
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == EDGE_SAYS
    assert "check cloud.api_key" in boxes["edge"].get("/readyz").json()["parts"]["cloud"]["detail"]


def test_what_passes_falls_back_unless_never(boxes: dict[str, Served], cloud: Answers) -> None:
    for status in (408, 409, 429, 500, 503, 522, 529):
        cloud.status, cloud.error, cloud.kind = status, openai("ECHO", "overloaded_error"), "application/json"
        assert ask(boxes["edge"], stream=False).json()["choices"][0]["message"]["content"] == EDGE_SAYS, status
    cloud.status = 500
    refused = ask(boxes["edge"], stream=False, fallback="never")
    assert refused.status_code == 502 and "answered 500" in refused.json()["error"]["message"]
    found = json.loads(boxes["edge"].netgpt("explain", "--json").stdout)
    assert found["fallback"] == "never (the request)"


def test_what_needs_tools_is_not_given_to_a_model_that_nobody_measured(
    boxes: dict[str, Served], cloud: Answers
) -> None:
    cloud.status, cloud.error, cloud.kind = 503, openai("ECHO"), "application/json"
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    answer = boxes["edge"].ask(TEXT, tools=tools, tool_choice="required")
    assert answer.status_code == 503 and answer.json()["error"]["code"] != "low_confidence"


def test_a_fault_is_gone_when_a_call_succeeds_and_doctor_tries_on_request(
    boxes: dict[str, Served], cloud: Answers
) -> None:
    box = boxes["edge"]
    wrong(cloud, "wrong key")
    ask(box, stream=False)
    port = box.url.rpartition(":")[2]
    tried = len(cloud.paths)
    rows = doctor(box, port)
    assert rows["cloud"]["state"] == "wrong" and "check cloud.api_key" in rows["cloud"]["detail"]
    assert len(cloud.paths) == tried, "nothing leaves that was not asked for"
    rows = doctor(box, port, "--try-cloud")
    assert rows["cloud"]["state"] == "wrong" and "answered 401" in rows["cloud"]["detail"]
    assert "check cloud.api_key" in box.netgpt("signals", "--url", box.url).stdout
    good(cloud)
    rows = doctor(box, port, "--try-cloud")
    assert rows["cloud"]["state"] == "ok" and "are right" in rows["cloud"]["detail"]
    receipts = json.loads(box.netgpt("receipts", "list", "--json").stdout)
    assert any(row["destination"] == f"127.0.0.1:{cloud.port}" and row["exchange"] is None for row in receipts), (
        receipts[-1:]
    )
    assert ask(box, stream=False).json()["choices"][0]["message"]["content"] == "all is well"
    assert box.get("/readyz").json()["parts"]["cloud"]["ok"] is True and "mended" in box.log()


def doctor(box: Served, port: str, *more: str) -> dict[str, dict[str, str]]:
    box.settings["server__port"] = port
    try:
        told = box.netgpt("doctor", "--json", *more, check=False).stdout
    finally:
        del box.settings["server__port"]
    return {row["what"]: row for row in json.loads(told)}


def test_a_key_may_say_when_another_answers(tmp_path: Path) -> None:
    with FaultyCloud() as cloud, Served(tmp_path, cloud=cloud, cloud__retries="0") as box:
        made = json.loads(box.netgpt("keys", "create", "--fallback", "never", "--json").stdout)
        assert made["fallback"] == "never"
        box.key = made["secret"]
        box.netgpt("keys", "limits", made["id"], "--requests-per-minute", "600")
        assert json.loads(box.netgpt("keys", "list", "--json").stdout)[0]["fallback"] == "never"
        cloud.schedule("server_error", "server_error")
        assert box.ask("hello").status_code == 502
        assert box.ask("hello", netgpt={"fallback": "transient"}).status_code == 200


async def test_another_upstream_answers_and_the_fault_is_named(tmp_path: Path) -> None:
    hard = "Write a Python function that sorts a list of numbers, step by step, and explain each step."
    with FaultyCloud(faults=["refused"] * 9) as cloud, FaultyCloud("from b") as other:
        async with door(tmp_path, cloud, upstreams=[upstream("b", other, quality=0.5)]) as here:
            answer = (await here.chat(text=hard)).json()
            assert answer["choices"][0]["message"]["content"] == "from b"
            assert "check cloud.api_key" in answer["netgpt"]["reason"]
            parts = (await here.get("/readyz")).json()["parts"]
            assert "check cloud.api_key" in parts["cloud"]["fault"] and parts["b"]["ok"]
            other.schedule("refused")
            both = await here.chat(text=hard)
            assert both.status_code == 502
            assert all(f"check {section}.api_key" in both.text for section in ("cloud", "upstreams.b"))
            other.schedule("server_error")
            assert (await here.chat(text=hard)).status_code == 502, "the box does not cover up a fault that lasts"


async def test_what_was_named_and_is_left_alone_is_not_covered_up_either(tmp_path: Path) -> None:
    with FaultyCloud(faults=["server_error"]) as cloud:
        left_alone = upstream("b", cloud, breaker_failures=1, breaker_reset_s=600)
        async with door(tmp_path, upstreams=[left_alone]) as here:
            tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
            asked = {"model": "netgpt/b"}
            assert (await here.chat(fields=asked)).headers["x-netgpt-route"] == "edge"
            assert (await here.chat(fields=asked)).headers["x-netgpt-route"] == "edge" and cloud.answered == 1
            never = await here.chat(fields={**asked, "netgpt": {"fallback": "never"}})
            assert never.status_code == 503 and "no other may answer" in never.text
            called = await here.chat(fields={**asked, "tools": tools})
            assert called.status_code == 503 and "was not measured to call tools" in called.text
            called = await here.chat(fields={**asked, "tools": tools, "netgpt": {"fallback": "always"}})
            assert called.status_code == 200


async def test_strangers_are_told_that_something_is_wrong_and_not_what(tmp_path: Path) -> None:
    with FaultyCloud(faults=["refused"]) as cloud:
        async with door(tmp_path, cloud) as here:
            await here.chat(fields={"model": "netgpt/cloud"})
            assert (await here.get("/readyz", address="10.0.0.9")).json()["parts"]["cloud"] == {"ok": False}


async def test_each_request_is_one_line_of_the_log_without_a_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "netgpt")
    with FaultyCloud() as cloud:
        async with door(tmp_path, cloud, lockout={"failures": 3}) as here:
            id, key = await here.make_key()
            chat = await here.chat(key, "my secret plan", fields={"model": "netgpt/cloud"})
            await here.chat(key, "my secret plan", fields={"model": "netgpt/cloud", "stream": True})
            await here.get("/v1/profiles/margaret?who=margaret", key=key)
            await here.get("/v1/margaret", key=key)
            await here.get("/margaret")
            for number in range(5):
                await here.get("/v1/models", key=f"ngpt_wrong_margaret_{number}", address="10.0.0.9")
    lines = [record.getMessage() for record in caplog.records if record.name == "netgpt.access"]
    assert len(lines) == 10
    made = re.fullmatch(r"POST /v1/chat/completions 200 \d+ ms key=(\S+) exchange=(\S+) route=cloud", lines[0])
    assert made is not None and made.groups() == (id, chat.headers["x-netgpt-exchange"])
    assert lines[2].startswith("GET /v1/profiles/{user} ") and "(no such path) 404" in lines[4]
    assert [line.split()[2] for line in lines[5:]] == ["401", "401", "401", "429", "429"]
    told = [record.getMessage() for record in caplog.records if "lockout" in record.name]
    assert sum("a wrong key came from 10.0.0.9" in line for line in told) == 1
    assert any("locked out for 5 s: 10.0.0.9," in line for line in told)
    assert not any(word in caplog.text for word in ("margaret", "secret plan", key))


async def test_the_access_log_can_be_turned_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "netgpt")
    async with door(tmp_path, server={"access_log": False}) as here:
        await here.get("/healthz")
    assert not [record for record in caplog.records if record.name == "netgpt.access"]


def test_what_nobody_here_can_ever_answer_is_not_asked_again(boxes: dict[str, Served], cloud: Answers) -> None:
    """A card stays on the box, whose model was not measured to call tools: no wait changes that."""
    before = len(cloud.paths)
    tools = [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]
    said = "pay with my card 4111 1111 1111 1111"
    answer = boxes["edge"].ask(said, model="netgpt", tools=tools, tool_choice="required")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "nobody_can"), answer.text
    assert "netgpt/cloud" in error["message"] and "retry-after" not in answer.headers
    assert "4111" not in answer.text and len(cloud.paths) == before
