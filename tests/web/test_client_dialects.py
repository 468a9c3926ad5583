"""What clients write and OpenAI's document has not: what becomes of it, at the door and at the cloud."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served

from netgpt.errors import NetGPTError, NotFound, RequestError, SettingsError
from netgpt.routing.names import ModelNames
from netgpt.testing.server import FaultyCloud
from netgpt.web.bodies import ENCODINGS, _Unpacking, read_json
from netgpt.web.completions import CompletionsDoor
from netgpt.web.leniency import tidied
from netgpt.web.requests import parse_chat

HELLO = [{"role": "user", "content": "hello"}]
NAMES = ModelNames({"netgpt", "netgpt/edge", "netgpt/cloud"})
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}
LOST = object()
"""The field is not there."""


@pytest.mark.parametrize(
    ("field", "written", "read"),
    [
        ("max_tokens", -1, LOST), ("max_tokens", -2, LOST), ("max_tokens", 100.0, 100), ("max_tokens", None, LOST),
        ("max_completion_tokens", -1, LOST), ("max_completion_tokens", 1e2, 100), ("n", 1.0, 1), ("n", None, LOST),
        ("top_logprobs", 5.0, 5), ("seed", 4_294_967_296, 4_294_967_296), ("seed", 9_999_999_999, 9_999_999_999),
        ("seed", -1, -1), ("seed", 0, 0), ("seed", 42.0, 42), ("seed", 2**63 - 1, 2**63 - 1), ("seed", -(2**63) + 1,
        -(2**63) + 1), ("model", None, LOST), ("model", "", LOST), ("user", None, LOST), ("stop", "", LOST),
        ("stop", [], LOST), ("stop", [""], LOST), ("stop", [None], LOST), ("stop", ["", "x"], ["x"]),
        ("stop", None, LOST),
        ("stop", "\n", "\n"), ("stop", " ", " "), ("temperature", "0.7", 0.7), ("temperature", "0", 0.0),
        ("top_p", "1", 1.0), ("temperature", None, LOST), ("presence_penalty", "-0.5", -0.5), ("tools", [], LOST),
        ("tools", None, LOST), ("functions", [], LOST), ("tool_choice", "auto", LOST), ("tool_choice", "none", LOST),
        ("parallel_tool_calls", True, LOST), ("parallel_tool_calls", False, LOST), ("stream_options", {}, LOST),
        ("stream_options", {"include_usage": True}, LOST), ("stream", None, LOST), ("logit_bias", {}, {}),
        ("response_format", None, LOST), ("metadata", {}, {}), ("x_own", None, LOST), ("x_own", 0, 0),
    ],
)  # fmt: skip
def test_fields_that_say_nothing_or_the_same_otherwise(field: str, written: Any, read: Any) -> None:
    body = parse_chat(json.dumps({"messages": HELLO, field: written}).encode(), NAMES).body
    if field == "model":
        assert body["model"] == "netgpt"
    else:
        assert body.get(field, LOST) == read and type(body.get(field, LOST)) is type(read)
    assert tidied(body) == body, "once is enough"


@pytest.mark.parametrize(
    ("field", "written", "read"),
    [
        ("max_tokens", -1, LOST), ("max_tokens", 100.0, 100), ("max_tokens", None, LOST), ("n", 1.0, 1),
        ("stop", "", LOST), ("stop", ["", "x"], ["x"]),
        ("seed", 2**70, 2**70 % (2**63 - 1)), ("seed", 9_999_999_999, 9_999_999_999),
        ("temperature", "0.7", 0.7), ("stream_options", {}, LOST), ("model", None, "netgpt"), ("model", "", "netgpt"),
        ("tools", [], LOST), ("echo", None, LOST), ("suffix", "", LOST), ("logprobs", None, LOST), ("best_of", 1, LOST),
        ("user", None, LOST), ("x_own", None, LOST), ("x_own", 0, 0),
    ],
)  # fmt: skip
def test_the_same_at_the_door_of_completions(field: str, written: Any, read: Any) -> None:
    raw = b"\xef\xbb\xbf" + json.dumps({"prompt": "hello", field: written}).encode()
    asked = CompletionsDoor().parse(raw, NAMES)
    assert asked.body.get(field, LOST) == read and asked.messages == HELLO


@pytest.mark.parametrize("seed", [2**63, 2**64, -(2**64), 10**30, 99999999999999999999])
def test_a_seed_of_any_length_is_one_that_servers_take(seed: int) -> None:
    raw = json.dumps({"messages": HELLO, "seed": seed}).encode()
    first, again = (parse_chat(raw, NAMES).body["seed"] for _ in range(2))
    assert first == again and isinstance(first, int) and -(2**63) <= first < 2**63


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"role": "user", "content": ["a"]}, {"content": [{"type": "text", "text": "a"}]}),
        ({"role": "user", "content": ["a", "b"]}, {"content": [{"type": "text", "text": t} for t in "ab"]}),
        ({"role": "user", "content": [{"text": "a"}]}, {"content": [{"type": "text", "text": "a"}]}),
        ({"role": "user", "content": {"type": "text", "text": "a"}}, {"content": [{"type": "text", "text": "a"}]}),
        ({"role": "user", "content": [None, "a"]}, {"content": [{"type": "text", "text": "a"}]}),
        ({"role": "user", "content": "a", "name": None}, {"content": "a", "name": LOST}),
        ({"role": "assistant", "content": "a", "refusal": None, "audio": None, "tool_calls": None},
         {"content": "a", "refusal": LOST, "audio": LOST, "tool_calls": LOST}),
        ({"role": "assistant", "content": "a", "tool_calls": []}, {"tool_calls": LOST}),
        ({"role": "assistant", "content": None}, {"content": ""}),
        ({"role": "assistant"}, {"content": ""}),
        ({"role": "assistant", "content": None, "refusal": "no"}, {"content": None, "refusal": "no"}),
        ({"role": "assistant", "content": None, "tool_calls": [CALL]}, {"content": None, "tool_calls": [CALL]}),
        ({"role": "assistant", "tool_calls": [CALL]}, {"content": LOST, "tool_calls": [CALL]}),
        *(
            ({"role": "assistant", "content": None,
              "tool_calls": [{"id": "c1", **wrapped, "function": {"name": "f", **given}}]},
             {"tool_calls": [{**CALL, "function": {"name": "f", "arguments": said}}]})
            for wrapped in ({"type": "function"}, {}, {"type": None})
            for given, said in (
                ({"arguments": ""}, "{}"), ({"arguments": None}, "{}"), ({}, "{}"), ({"arguments": " "}, "{}"),
                ({"arguments": {"a": 1}}, '{"a":1}'), ({"arguments": []}, "[]"),
                ({"arguments": '{"a": 1}'}, '{"a": 1}'),
                ({"arguments": "{no json"}, "{no json"),
            )
        ),
        ({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": {"a": 1}}},
         {"function_call": {"name": "f", "arguments": '{"a":1}'}}),
        ({"role": "tool", "tool_call_id": "c1", "content": None}, {"content": ""}),
        ({"role": "tool", "tool_call_id": "c1"}, {"content": ""}),
        ({"role": "tool", "tool_call_id": "c1", "content": {"temperature": 20}}, {"content": '{"temperature":20}'}),
        ({"role": "tool", "tool_call_id": "c1", "content": 20}, {"content": "20"}),
        ({"role": "user", "content": [{"type": "thinking", "thinking": "t", "signature": "s", "x": None}]},
         {"content": [{"type": "thinking", "thinking": "t", "signature": "s", "x": None}]}),
    ],
)  # fmt: skip
def test_messages_are_written_strictly(written: dict[str, Any], read: dict[str, Any]) -> None:
    body = {"messages": [*HELLO, written, *HELLO]}
    made = parse_chat(json.dumps(body).encode(), NAMES).body["messages"][1]
    assert {name: made.get(name, LOST) for name in read} == read
    assert made["role"] == written["role"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"function": {"name": "f"}}, TOOL), ({"type": None, "function": {"name": "f"}}, TOOL),
        ({**TOOL, "function": {"name": "f", "description": None}}, TOOL),
        ({**TOOL, "function": {"name": "f", "parameters": None, "strict": None}}, TOOL),
        ({**TOOL, "function": {"name": "f", "parameters": {}}}, {**TOOL, "function": {"name": "f", "parameters": {}}}),
        ({"type": "web_search"}, {"type": "web_search"}),
    ],
)  # fmt: skip
def test_tools_are_written_strictly(written: dict[str, Any], read: dict[str, Any]) -> None:
    raw = json.dumps({"messages": HELLO, "tools": [written], "tool_choice": "any"}).encode()
    body = parse_chat(raw, NAMES).body
    assert body["tools"] == [read] and body["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": -7}, "max_tokens"), ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "100"}, "max_tokens"), ({"seed": True}, "seed"), ({"seed": "1"}, "seed"),
        ({"seed": 1.5}, "seed"), ({"temperature": "warm"}, "temperature"), ({"temperature": 3}, "temperature"),
        ({"stop": 5}, "stop"), ({"stop": {}}, "stop"), ({"stream": "true"}, "stream"), ({"model": 5}, "model"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [""]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "system", "content": " "}, {"role": "user", "content": []}]}, "messages.1.content"),
        ({"tools": [{"type": "function"}]}, "tools.0.function.name"),
        ({"tools": [{"type": "function", "name": "f"}]}, "tools.0.function.name"),
        ({"tools": [{"type": "function", "function": {"name": 5}}]}, "tools.0.function.name"),
        ({"tools": [TOOL, {**TOOL, "function": {"name": "g", "description": 5}}]}, "tools.1.function.description"),
        ({"tools": [{**TOOL, "function": {"name": "g", "parameters": "x"}}]}, "tools.0.function.parameters"),
        ({"tools": [{**TOOL, "function": {"name": "g", "parameters": []}}]}, "tools.0.function.parameters"),
        ({"tool_choice": "required"}, "tool_choice"), ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as error:
        parse_chat(json.dumps({"messages": HELLO, **fields}).encode(), NAMES)
    assert error.value.status == 400 and error.value.param == param


@pytest.mark.parametrize(
    "messages",
    [
        [*HELLO, {"role": "assistant", "content": "x"}, {"role": "user", "content": ""}],
        [{"role": "system", "content": "Write a poem"}, {"role": "user", "content": ""}],
        [{"role": "user", "content": ["", "hello"]}], [*HELLO, {"role": "user", "content": None}],
        [*HELLO, {"role": "user", "content": []}], [{"role": "system", "content": "Say hello"}],
        [{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "image_url", "image_url": {"url": "x"}}]}],
    ],
)  # fmt: skip
def test_an_empty_last_message_is_no_empty_request(messages: list[dict[str, Any]]) -> None:
    assert parse_chat(json.dumps({"messages": messages}).encode(), NAMES).messages


TEXT = '{"messages": [{"role": "user", "content": "grüße 😀"}]}'


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (TEXT.encode(), "grüße 😀"), (TEXT.encode("utf-8-sig"), "grüße 😀"), (TEXT.encode("utf-16"), "grüße 😀"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "grüße 😀"), (json.dumps(json.loads(TEXT)).encode(), "grüße 😀"),
        *((TEXT.replace("😀", half).encode("utf-8", "surrogatepass"), "grüße \ufffd")
          for half in ("\\ud83d", "\\uDE00", "\ud83d", "\ude00")),
        (TEXT.replace("😀", "\\ud83d\\ud83d\\ude00").encode(), "grüße \ufffd😀"),
        (TEXT.replace("😀", "\\\\ud83d").encode(), "grüße \\ud83d"),
        (b" \r\n" + TEXT.encode(), "grüße 😀"), (TEXT.encode() + b"\n", "grüße 😀"),
    ],
)  # fmt: skip
def test_encodings_of_a_body(raw: bytes, said: str) -> None:
    assert read_json(raw)["messages"][0]["content"] == said


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xef\xbb\xbf", b"\xff\xfe", TEXT.encode("latin-1", "replace"), b'{"a": NaN}', b'{"a": "\\ud83d"',
        b'{"a": "\\ud83d", "b": ' + b"9" * 5_000 + b"}", b'{"a": "\\ud83d", "b": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'["\\ud83d"]', b"\xff\xfe" + b"x", b"{'a': 1}", b'{"a": 1,}', b'{"a": 1} {}',
    ],
)  # fmt: skip
def test_what_is_no_json_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(RequestError) as error:
        read_json(raw)
    assert error.value.code == "invalid_json" and error.value.status == 400


def _raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


PACKED = {
    b"gzip": gzip.compress(TEXT.encode(), mtime=0),
    b"x-gzip": gzip.compress(TEXT[:9].encode(), mtime=0) + gzip.compress(TEXT[9:].encode(), mtime=0),
    b"deflate": zlib.compress(TEXT.encode()),
}  # fmt: skip


@pytest.mark.parametrize("step", [1, 2, 3, 7, 20, 1_000])
@pytest.mark.parametrize("coding", [*PACKED, b"deflate raw"])
def test_packed_bodies_at_every_cut(coding: bytes, step: int) -> None:
    packed = PACKED[coding] if coding in PACKED else _raw_deflate(TEXT.encode())
    unpacking = _Unpacking(ENCODINGS[coding.split()[0]], 10_000)
    made = b"".join(unpacking.add(packed[at : at + step]) for at in range(0, len(packed), step))
    unpacking.end()
    assert made.decode() == TEXT


@pytest.mark.parametrize("step", [1, 10, 100_000])
@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_what_grows_beyond_bounds_is_stopped_there(coding: bytes, step: int) -> None:
    plain = b"0" * 5_000
    packed = gzip.compress(plain, mtime=0) if coding == b"gzip" else zlib.compress(plain)
    for most, fits in ((5_000, True), (4_999, False), (1, False)):
        unpacking = _Unpacking(ENCODINGS[coding], most)
        try:
            for at in range(0, len(packed), step):
                unpacking.add(packed[at : at + step])
        except NetGPTError as error:
            assert error.status == 413 and not fits
        else:
            assert fits


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    aliases = {"models__aliases": "gpt-4o=netgpt,claude-*=netgpt/cloud,claude-haiku*=netgpt/edge,ada-002=netgpt/embed"}
    with (
        FaultyCloud("the cloud says so") as cloud,
        Served(tmp_path_factory.mktemp("home"), cloud=cloud, privacy__names="false", **aliases) as gateway,
    ):
        yield gateway


def sent(served: Served) -> dict[str, Any]:
    """The body that reached the cloud last."""
    assert served.cloud is not None
    return dict(json.loads(served.cloud.received[-1].body))


def raw_post(served: Served, content: bytes, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{served.url}/v1/chat/completions", content=content, headers=names, timeout=60)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "deflate", "identity", "gzip, identity", ""])
def test_a_packed_request_is_answered(served: Served, coding: str) -> None:
    plain = json.dumps({**json.loads(TEXT), "model": "netgpt/cloud"}).encode()
    packing: dict[str, Callable[[bytes], bytes]] = {"deflate": zlib.compress, "identity": bytes, "": bytes}
    pack = packing.get(coding, gzip.compress)
    answer = raw_post(served, pack(plain), content_encoding=coding)
    assert answer.status_code == 200, answer.text
    assert sent(served)["messages"][-1]["content"] == "grüße 😀"


@pytest.mark.parametrize(
    ("content", "coding", "status", "code"),
    [
        (b"x", "br", 415, "unsupported_content_encoding"), (b"x", "zstd", 415, "unsupported_content_encoding"),
        (b"x", "gzip, gzip", 415, "unsupported_content_encoding"), (b"not packed", "gzip", 400, "invalid_encoding"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], "gzip", 400, "invalid_encoding"),
        (zlib.compress(TEXT.encode()) + b"more", "deflate", 400, "invalid_encoding"),
        (gzip.compress(b" " * 40_000_000, mtime=0), "gzip", 413, "payload_too_large"),
        (gzip.compress(b"{", mtime=0), "gzip", 400, "invalid_json"), (b"", "gzip", 400, "invalid_json"),
    ],
)  # fmt: skip
def test_a_body_packed_wrongly_is_refused(served: Served, content: bytes, coding: str, status: int, code: str) -> None:
    answer = raw_post(served, content, content_encoding=coding)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_what_leaves_is_strict(served: Served) -> None:
    body = {
        "model": "claude-sonnet-4", "max_tokens": -1, "n": 1.0, "seed": 2**70, "stop": "", "temperature": "0.5",
        "tools": [], "tool_choice": "auto", "stream_options": {"include_usage": True}, "logprobs": None,
        "messages": [
            {"role": "user", "content": ["look"]},
            {"role": "assistant", "content": None, "refusal": None,
             "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}]},
            {"role": "tool", "tool_call_id": "c1", "content": None}, {"role": "user", "content": "cut \ud83d"},
        ],
    }  # fmt: skip
    answer = raw_post(served, b"\xef\xbb\xbf" + json.dumps(body).encode(), content_type="text/plain")
    assert answer.status_code == 200, answer.text
    left = sent(served)
    assert not left.keys() & {"max_tokens", "stop", "tools", "tool_choice", "stream_options", "logprobs"}
    assert left["n"] == 1 and left["temperature"] == 0.5 and 0 <= left["seed"] < 2**63
    assert left["messages"][0]["content"] == [{"type": "text", "text": "look"}]
    assert left["messages"][1]["tool_calls"] == [{**CALL, "function": {"name": "f", "arguments": '{"a":1}'}}]
    assert [each["content"] for each in left["messages"][2:]] == ["", "cut \ufffd"]


def test_ten_thousand_messages(served: Served) -> None:
    messages = [{"role": ("user", "assistant")[n % 2], "content": f"message {n}"} for n in range(10_001)]
    answer = served.post({"model": "netgpt/cloud", "messages": messages})
    assert answer.status_code == 200, answer.text
    assert len(sent(served)["messages"]) == 10_001


@pytest.mark.parametrize(
    ("asked", "route"),
    [("gpt-4o", None), ("claude-opus-4-1", "cloud"), ("claude-haiku-4-5", "edge"), ("claude-", "cloud"), (None, None)],
)
def test_a_model_by_another_name(served: Served, asked: str, route: str | None) -> None:
    answer = served.post({"model": asked, "messages": HELLO})
    assert answer.status_code == 200, answer.text
    assert route in (None, answer.headers["x-netgpt-route"])
    if asked is not None:
        shown = served.get(f"/v1/models/{asked}").json()
        assert shown["id"] == asked and shown["netgpt"]["alias_of"].startswith("netgpt")


def test_the_list_of_models_has_aliases_and_no_patterns(served: Served) -> None:
    listed = {each["id"]: each for each in served.get("/v1/models").json()["data"]}
    assert listed["gpt-4o"]["netgpt"]["alias_of"] == "netgpt" and "ada-002" in listed
    assert not [name for name in listed if "*" in name] and "netgpt/edge" in listed


@pytest.mark.parametrize(
    ("asked", "near"),
    [("netgp", "netgpt"), ("NETGPT", "netgpt"), ("gpt-4o-moni", "gpt-4o-mini"), ("netgpt/egde", "netgpt/edge"),
     ("GPT-4O", "gpt-4o"), ("zzz", None), ("x" * 200, None)],
)  # fmt: skip
def test_an_unknown_model_names_the_near_miss(served: Served, asked: str, near: str | None) -> None:
    for answer in (served.post({"model": asked, "messages": HELLO}), served.get(f"/v1/models/{asked}")):
        error = answer.json()["error"]
        assert answer.status_code == 404 and error["code"] == "model_not_found" and error["param"] == "model"
        assert (f'did you mean "{near}"' in error["message"]) is (near is not None)
        assert "models.aliases" in error["message"] and asked not in error["message"].replace(str(near), "")


def test_an_embedding_model_does_not_chat(served: Served) -> None:
    for asked in ("ada-002", "netgpt/embed"):
        answer = served.post({"model": asked, "messages": HELLO})
        assert answer.status_code == 404 and "/v1/embeddings" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "aliases",
    [{"a": "nothing"}, {"a": "b", "b": "netgpt"}, {"netgpt": "netgpt/edge"}, {"netgpt/x": "netgpt"}, {"*": "netgpt"},
     {"netgpt/embed": "netgpt"}, {"": "netgpt"}, {" * ": "netgpt"}, {"a": "netgtp"}],
)  # fmt: skip
def test_an_alias_that_cannot_be_is_refused_at_the_start(aliases: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"models\.aliases"):
        ModelNames(NAMES, aliases)


def test_which_alias_counts() -> None:
    names = ModelNames({*NAMES, "far"}, {"far": "netgpt", "f*": "netgpt/edge", "fa*r": "netgpt/cloud", "a.b": "netgpt"})
    asked = {"far": "netgpt", "f": "netgpt/edge", "fa!r": "netgpt/cloud", "netgpt/edge": "netgpt/edge", "a.b": "netgpt"}
    assert {name: names.find(name) for name in asked} == asked
    for unknown in ("axb", "xf", "*", "f*x*"[1:]):
        with pytest.raises(NotFound):
            names.find(unknown)


def test_a_wrong_alias_stops_the_start_with_its_cure(tmp_path: Path) -> None:
    gone = Served(tmp_path, models__aliases="gpt-4o=netgtp")
    told = gone.netgpt("serve", "--port", "0", check=False)
    assert told.returncode != 0 and 'did you mean "netgpt"' in told.stdout + told.stderr


def test_a_slash_at_the_end_of_a_door_is_no_other_door(served: Served) -> None:
    for path in ("/v1/chat/completions/", "/v1/chat/completions"):
        answer = served.post({"model": "netgpt/cloud", "messages": [{"role": "user", "content": "hi"}]}, path=path)
        assert answer.status_code == 200, (path, answer.text)
