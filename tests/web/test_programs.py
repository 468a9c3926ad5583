"""Other programs at a real box with keys: their settings in docs/programs, the requests that they make, and the filter
function for Open WebUI, called as Open WebUI calls it.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from serving import Served

from netgpt.testing.server import FaultyCloud

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "open-webui" / "what_left.py"
PAGES = {page.stem: page.read_text() for page in (ROOT / "docs" / "programs").glob("*.md")}
ADA = {"id": "7c1f", "email": "ada@mill.example", "name": "Ada", "role": "user"}
BEN = {"id": "9d2e", "email": "ben@mill.example", "name": "Ben", "role": "user"}
SECRET = "maria.keller@example.org"
ASKED = f"Write one line to {SECRET}"


class WebUI:
    """The part of Open WebUI that calls a filter: only parameters that a handler names are given."""

    def __init__(self, filter: Any, box: Served) -> None:
        self.filter, self.box = filter, box
        self.events: list[dict[str, Any]] = []

    async def call(self, kind: str, data: dict[str, Any], **extra: Any) -> dict[str, Any]:
        handler = getattr(self.filter, kind)
        names = inspect.signature(handler).parameters
        given = {"event" if kind == "stream" else "body": data}
        given |= {name: value for name, value in extra.items() if name in names}
        done = handler(**given)
        found: dict[str, Any] = await done if inspect.isawaitable(done) else done
        return found

    async def chat(self, user: dict[str, Any], text: str, *, stream: bool, model: str = "netgpt/cloud") -> str:
        """One turn: what stands in the chat afterwards."""
        self.events.clear()
        message = f"m-{len(text)}-{user['id']}"
        extra = {
            "__user__": dict(user),
            "__metadata__": {"chat_id": "c1", "message_id": message},
            "__model__": {"id": model, "info": None},
            "__event_emitter__": self.emit,
        }
        messages = [{"role": "user", "content": text}]
        body = await self.call("inlet", {"model": model, "messages": messages, "stream": stream}, **extra)
        said = ""
        if stream:
            for event in self.box.stream(body):
                if isinstance(event, dict):
                    event = await self.call("stream", event, **extra)
                    said += "".join(each["delta"].get("content") or "" for each in event["choices"])
        else:
            said = self.box.post(body).json()["choices"][0]["message"]["content"]
        turn = [*messages, {"role": "assistant", "content": said, "id": message}]
        after = {"model": model, "messages": turn, "chat_id": "c1", "session_id": "s", "id": message}
        return str((await self.call("outlet", after, **extra))["messages"][-1]["content"])

    async def emit(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def told(self) -> str:
        return " ".join(each["data"]["description"] for each in self.events if each["type"] == "status")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with FaultyCloud() as cloud, Served(tmp_path_factory.mktemp("home"), cloud=cloud) as served:
        scopes = [word for name in ("chat", "models", "exchanges", "embeddings") for word in ("--scope", name)]
        made = served.netgpt("keys", "create", "--name", "programs", *scopes)
        served.key = made.stdout.strip()
        yield served


@pytest.fixture
def webui(box: Served) -> WebUI:
    """The file, as Open WebUI loads it: its text is run as a module; the settings are its valves."""
    module = types.ModuleType("function_what_left")
    exec(compile(FILE.read_text(), str(FILE), "exec", dont_inherit=True), module.__dict__)
    filter = module.Filter()
    filter.valves = filter.Valves(base_url=f"{box.url}/v1", api_key=box.key)
    return WebUI(filter, box)


def test_its_head_is_what_open_webui_reads() -> None:
    first, *_ = (text := FILE.read_text()).split("\n", 1)
    head = dict(re.findall(r"^([a-z_]+):\s*(.+?)\s*$", text.split('"""')[1], re.M))
    assert first == '"""' and {"title", "description", "version", "license"} <= set(head)
    assert "requirements" not in head  # nothing is installed into Open WebUI
    imported = {node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"collections", "collections.abc", "typing", "pydantic"}


@pytest.mark.parametrize("stream", [True, False])
async def test_it_shows_what_left_under_the_answer(webui: WebUI, stream: bool) -> None:
    said = await webui.chat(ADA, ASKED, stream=stream)
    assert said == ASKED  # of the cloud, which repeats; put back by the box, and nothing added
    assert "hidden: [EMAIL_1]" in webui.told() and "bytes left for cloud" in webui.told()
    (source,) = [each["data"] for each in webui.events if each["type"] == "citation"]
    (document,) = source["document"]
    assert "[EMAIL_1]" in document and SECRET not in document and "pattern:email" in document
    left = webui.box.cloud.received[-1].body if webui.box.cloud else b""
    assert json.loads(document[document.index("{") :]) == json.loads(left)
    assert source["source"]["name"] and len(source["metadata"]) == 1
    assert f"{len(left)} bytes" in webui.told()


async def test_each_person_of_the_web_ui_is_one_of_the_box_and_no_name_leaves(webui: WebUI) -> None:
    assert webui.box.cloud is not None
    webui.box.cloud.forget()
    for user in (ADA, BEN):
        await webui.chat(user, "a joke about gulls", stream=True)
    listed = [webui.box.get("/v1/exchanges", params={"user": user["email"]}).json()["data"] for user in (ADA, BEN)]
    assert all(listed) and listed[0][0]["id"] != listed[1][0]["id"]
    assert b"mill.example" not in webui.box.cloud.all_bytes()


async def test_what_stays_on_the_box_is_said_to_stay(webui: WebUI) -> None:
    await webui.chat(ADA, "hello", stream=True, model="netgpt/edge")
    assert webui.told().startswith("Nothing left the box") and len(webui.events) == 1


async def test_other_models_are_left_alone(webui: WebUI) -> None:
    """The person's name must not go to somebody else's server."""
    body = {"model": "gpt-4o", "messages": [], "chat_id": "c1", "id": "m1"}
    for kind in ("inlet", "outlet"):
        assert await webui.call(kind, dict(body), __user__=ADA, __event_emitter__=webui.emit) == body
    theirs = {"info": {"base_model_id": "netgpt/cloud"}}
    named = await webui.call("inlet", {**body, "model": "my-helper"}, __user__=ADA, __model__=theirs)
    assert named["user"] == ADA["email"] and not webui.events


async def test_a_box_that_is_away_or_says_no_costs_no_answer(webui: WebUI) -> None:
    for change in ({"api_key": "ngpt_wrong"}, {"base_url": "http://127.0.0.1:1/v1"}, {"base_url": "nonsense"}):
        webui.filter.valves = webui.filter.Valves(**{**webui.filter.valves.model_dump(), **change})
        said = await webui.chat(ADA, "a joke about ropes", stream=True)
        assert said == "a joke about ropes" and "cannot be shown" in webui.told(), webui.events
        assert "ngpt_wrong" not in str(webui.events)


async def test_what_it_remembers_is_bounded(webui: WebUI) -> None:
    for number in range(1_100):
        place = {"chat_id": "c", "message_id": str(number)}
        await webui.call("stream", {"netgpt": {"exchange": f"ex_{number}"}}, __metadata__=place)
    assert len(webui.filter._exchanges) == 1_000
    odd: dict[str, Any] = {"choices": [], "netgpt": None}
    assert await webui.call("stream", odd) == odd


yaml: Any = import_module("yaml")
jinja2: Any = import_module("jinja2")
TOOL = {
    "type": "function",
    "function": {
        "name": "execute_services",
        "description": "Call services of the house.",
        "parameters": {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "object"}}}},
    },
}
ODD: dict[str, dict[str, Any]] = {
    "Open WebUI": {"stream": True, "stream_options": {"include_usage": True}, "metadata": {}, "tools": []},
    "Open WebUI, a title": {"stream": False, "max_completion_tokens": 1000, "model": "netgpt/edge"},
    "LibreChat": {
        "stream": True, "temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0,
        "user": "66f1c0ffee", "stream_options": {"include_usage": True},
    },
    "Continue": {"stream": True, "max_tokens": 4096, "tools": [TOOL], "parallel_tool_calls": False, "stop": None},
    "Home Assistant": {
        "max_tokens": 150, "top_p": 1, "temperature": 0.5, "user": "01JABC", "tools": [TOOL], "tool_choice": "auto",
    },
}  # fmt: skip
"""What these programs write beside model and messages."""


def snippet(page: str, language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.S)
    return str(found)


def home_assistant() -> dict[str, Any]:
    """Its configuration, with `!secret` read as Home Assistant does."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    Loader.add_constructor("!secret", lambda loader, node: f"secret:{node.value}")
    found: dict[str, Any] = yaml.load(snippet("home-assistant", "yaml"), Loader)
    return found


@pytest.mark.parametrize("program", ODD)
def test_what_a_program_writes_is_answered_and_hidden(box: Served, program: str) -> None:
    assert box.cloud is not None
    box.cloud.forget()
    body = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": ASKED}], **ODD[program]}
    if body.get("stream"):
        events = box.stream(body)
        said = "".join(
            each["delta"].get("content") or ""
            for event in events
            if isinstance(event, dict)
            for each in event["choices"]
        )
        assert events[-1] == "[DONE]"
    else:
        said = box.post(body).json()["choices"][0]["message"]["content"]
    assert said == (ASKED if body["model"] == "netgpt/cloud" else "the edge says so")
    assert SECRET.encode() not in box.cloud.all_bytes()


def test_the_models_that_the_pages_name_are_listed(box: Served) -> None:
    listed = {row["id"] for row in box.get("/v1/models").json()["data"]}
    named = {name for page in PAGES.values() for name in re.findall(r"\bnetgpt/(?:edge|cloud|embed)\b", page)}
    assert named == {"netgpt/edge", "netgpt/cloud", "netgpt/embed"} and named | {"netgpt"} <= listed


def test_the_settings_of_the_pages_are_what_these_programs_read(box: Served) -> None:
    (endpoint,) = yaml.safe_load(snippet("librechat", "yaml"))["endpoints"]["custom"]
    assert {"name", "apiKey", "baseURL", "models"} <= set(endpoint) and "default" in endpoint["models"]
    models = yaml.safe_load(snippet("continue", "yaml"))
    assert {"name", "version", "schema", "models"} == set(models)
    for model in models["models"]:
        assert {"name", "provider", "model", "apiBase", "roles"} <= set(model) and model["provider"] == "openai"
        assert {*model["roles"]} <= {"chat", "edit", "apply", "summarize", "embed"}  # no autocomplete: see below
    refused = box.post({"model": "netgpt", "prompt": "def add(", "suffix": "return"}, "/v1/completions")
    assert refused.status_code == 400 and "suffix" in refused.text
    lines = dict(line.split("=", 1) for line in snippet("open-webui", "sh").splitlines())
    assert lines["OPENAI_API_BASE_URL"].endswith(":8080/v1") and lines["TASK_MODEL_EXTERNAL"] == "netgpt/edge"


def test_home_assistants_command_asks_and_its_script_reads_the_answer(box: Served) -> None:
    settings = home_assistant()
    command = settings["rest_command"]["ask_netgpt"]
    assert command["url"].endswith("/v1/chat/completions") and command["method"] == "post"
    templates = jinja2.Environment()
    templates.filters["to_json"] = json.dumps
    ask, tell = settings["script"]["morning"]["sequence"]
    payload = json.loads(templates.from_string(command["payload"]).render(prompt=ASKED, user=ask["data"]["user"]))
    assert payload["user"] == "ada" and payload["messages"] == [{"role": "user", "content": ASKED}]
    said = box.post(payload | {"model": "netgpt/cloud"}).json()
    shown = templates.from_string(tell["data"]["message"]).render({ask["response_variable"]: {"content": said}})
    assert shown == ASKED


def test_langchain_as_the_page_has_it(box: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert box.cloud is not None and box.key is not None
    box.cloud.forget()
    code = snippet("langchain", "python").replace("http://127.0.0.1:8080", box.url)
    code = code.replace('model="netgpt",', 'model="netgpt/cloud",')  # whatever the box would decide
    exec(compile(code.replace('"none"', f'"{box.key}"'), "langchain.md", "exec", dont_inherit=True), {})
    whole, exchange, rest = capsys.readouterr().out.split("\n", 2)
    assert whole == ASKED and exchange.startswith("ex_")
    assert rest.startswith(ASKED) and int(rest.removeprefix(ASKED)) >= 256
    assert SECRET.encode() not in box.cloud.all_bytes()
    assert box.get(f"/v1/exchanges/{exchange}", params={"user": "ada"}).json()["route"] == "cloud"
