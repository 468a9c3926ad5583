"""The targets of `netgpt bench fuzz`: what reads the words of callers, clouds, operators and strangers' files."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
import tempfile
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import orjson

from netgpt.adapters.formats import FAMILIES, read_adapter
from netgpt.adapters.peft import CONFIG, PEFT_WEIGHTS, read_peft
from netgpt.adapters.storage import read_card
from netgpt.context.places import read_geojson
from netgpt.errors import BrokenStream, NetGPTError, PrivacyError, RequestError, SettingsError
from netgpt.models.errors import Peer
from netgpt.models.gguf import check_weights
from netgpt.models.stream import Event, EventParser, join_chunks, read_chunks
from netgpt.policy import Policy, read_rules
from netgpt.privacy.detector import LocalDetector
from netgpt.privacy.restore import Restorer, restore_chunks
from netgpt.privacy.vault import Vault
from netgpt.routing.names import ModelNames
from netgpt.settings import load_settings
from netgpt.telco import read_bearers, read_measurements, read_quality
from netgpt.types import Chunk
from netgpt.web.requests import parse_chat
from netgpt_bench.fuzz import Target, fuzz_each
from netgpt_bench.harness import fake_cloud, gateway

LINE: Final = "line"
PEER: Final = Peer("cloud", "cloud.example", "cloud")
ORIGINALS: Final = {
    "EMAIL_1": "ada@mill.example", "PERSON_1": 'Ada "the\\ first"\nLovelace', "CARD_1": "4111 1111 1111 1111",
    "PERSON_2": "[PERSON_1]", "ADDRESS_1": "12 Mill Road & <b>", "SECRET_1": "`$(reboot)`",
}  # fmt: skip
PLANTED: Final = ("ada.lovelace@mill.example", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "+44 20 7946 0018")
MODELS: Final = ModelNames({"netgpt", "netgpt/edge", "netgpt/cloud"})
PLACEHOLDERS: Final = (
    b"[EMAIL_1]", b"[PERSON_1]", b"[PERSON_2]", b"EMAIL_1", b"[**Person 1**]", b"%5BEMAIL_1%5D", b"&lt;PERSON_1&gt;",
        b"[CARD",
    b"_1]", b"```json\n", b"<a href='", b"](https://x/?", b"| a |\n|---|\n", b"\\u005bEMAIL_1\\u005d",
        b"\xef\xbc\xbbEMAIL_1",
)  # fmt: skip
ANSWER: Final[dict[str, Any]] = {
    "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": {"prompt_tokens": 1},
    "choices": [{"index": 0, "finish_reason": "stop", "delta": {"role": "assistant", "content": "to [EMAIL_1]",
        "reasoning_details": [{"type": "reasoning.text", "text": "[PERSON_1]", "index": 0}], "tool_calls": [
            {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": \"[CARD_1]\"}"}}
        ]}, "logprobs": {"content": [{"token": "a", "logprob": -1.0, "bytes": [1], "top_logprobs": []}]}}],
}  # fmt: skip
REQUEST: Final = {
    "model": "netgpt", "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": [
        {"type": "text", "text": "mail ada@mill.example"}, {"type": "image_url",
        "image_url": {"url": "data:image/png;base64,AA"}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f",
        "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "4111 1111 1111 1111"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
        "properties": {"a": {}}}}}],
    "stream": True, "n": 2, "stop": ["x"], "metadata": {"a": "b"}, "netgpt": {"consent": ["location"],
        "location": {"latitude": 1}},
}  # fmt: skip


class Reads:
    """All targets that need no server. Their files lie in memory where the machine has a place for that."""

    NAMES: Final = (
        "body", "vault", "restorer", "answers", "events", "gguf", "peft", "card", "geojson", "settings", "policy",
        "operator",
    )  # fmt: skip

    def __init__(self) -> None:
        shared = Path("/dev/shm")  # noqa: S108 - a folder of its own within
        self._made = tempfile.TemporaryDirectory(prefix="netgpt-fuzz-", dir=shared if shared.is_dir() else None)
        self._folder = Path(self._made.name)
        self._detector = LocalDetector(names=False)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._detector.start())

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._made.cleanup()

    def targets(self) -> dict[str, Target]:
        """By their names."""
        numbers = (struct.pack("<Q", 2**63), struct.pack("<Q", 1), struct.pack("<I", 9), struct.pack("<I", 2**31))
        events = b"data: " + orjson.dumps(ANSWER) + b"\n\ndata: [DONE]\n\n"
        whole = {**ANSWER, "choices": [{**ANSWER["choices"][0], "message": ANSWER["choices"][0]["delta"]}]}
        shaped = tuple(f'"{name}":'.encode() for name in _names_in([ANSWER, REQUEST]))
        made = (
            Target("body", (orjson.dumps(REQUEST), b'{"messages": [{"role": "user", "content": "a"}]}'), self.body,
            shaped, tree=True),
            Target("vault", tuple(_texts()), self.vault, PLACEHOLDERS, 1_000),
            Target("restorer", (b"Dear [PERSON_1], \x01[EMAIL_1] and {\"a\": \"[CARD_1]\"}",), self.restorer,
            PLACEHOLDERS, 1_500),
            Target("answers", (orjson.dumps(ANSWER), orjson.dumps(whole)), self.answer, (*shaped,
            *PLACEHOLDERS), tree=True),
            Target("events", (events, b": ping\n\nevent: error\ndata: {}\n\n"), self.events, (b"data: ",
            b"event: error\n")),
            Target("gguf", (_gguf(_MODEL), _gguf(_ADAPTER)), self.gguf, numbers),
            Target("peft", (_peft({"peft_type": "LORA", "r": 2, "lora_alpha": 4}),), self.peft, numbers),
            Target("card", (b"{}", _CARD), self.card, shaped, tree=True),
            Target("geojson", (orjson.dumps(_PLACES),), self.geojson, (b'"type": "Feature"', b'"coordinates": ['),
            tree=True),
            Target("settings", (_SETTINGS,), self.settings, (b"[cloud]\n", b"[[upstreams]]\n", b" = ", b"'''",
            b"[a.b]\n")),
            Target("policy", (_RULES,), self.policy, (b"permit (", b"principal", b" when { ", b"context.",
            b'@id("x")\n')),
            Target("operator", (orjson.dumps(_NETWORK),), self.operator, (b'"cellInfo":', b'"signalStrength":'),
            tree=True),
        )  # fmt: skip
        return {target.name: target for target in made}

    def body(self, data: bytes) -> object:
        """A request: refused in words, or sealed so that what leaves is JSON."""
        try:
            request = parse_chat(data, MODELS)
            outbound = self._run(Vault().seal(dict(request.body), self._detector))
        except (RequestError, PrivacyError) as error:
            assert len(error.message) < 2_000, "an error is short"
            return error.code
        json.loads(outbound.content)
        return "sealed"

    def vault(self, data: bytes) -> object:
        """Nothing planted leaves, and an echo is what was asked."""
        text = "".join(char for char in data.decode("utf-8", "replace") if not char.isdigit())
        for number, value in enumerate(PLANTED):
            text = text.replace("\x02"[:1] * (number + 1), f" {value} ", 1) if "\x02" in text else f"{text}\n{value}\n"
        vault = Vault()
        try:
            body = {"model": "m", "messages": [{"role": "user", "content": text}]}
            outbound = self._run(vault.seal(body, self._detector))
        except PrivacyError as error:
            return error.code
        said = json.loads(outbound.content)["messages"][0]["content"]
        left = [value for value in PLANTED if value in said]
        assert not left, f"{len(left)} planted values left"
        restored = vault.restorer().text(said)
        if text.lstrip()[:1] in ("{", "[") and restored != text:
            assert json.loads(restored) == json.loads(text), "restored as other JSON"
        else:
            assert restored == text, "an echo is restored exactly"
        return len(outbound.hidden)

    def restorer(self, data: bytes) -> object:
        """A hostile text: the same in any pieces, and no larger than its placeholders allow."""
        text = data.decode("utf-8", "replace")
        restorer = Restorer(ORIGINALS, shift=None)
        for form in ("", "json", "json?"):
            whole = restorer.stream(form)
            expected = whole.feed(text) + whole.flush()
            size = 1 + zlib.crc32(data) % 17
            pieces = restorer.stream(form)
            said = "".join(pieces.feed(text[at : at + size]) for at in range(0, len(text), size)) + pieces.flush()
            assert said == expected, "the same in any pieces"
            assert len(said) <= 40 * len(text) + 400, "a bounded answer"
        return expected != text

    def answer(self, data: bytes) -> object:
        """One document of a cloud, whole and as an event, through the restorer."""
        return self._read(data, "application/json"), self._read(b"data: " + data + b"\n\ndata: [DONE]\n\n", _EVENTS)

    def events(self, data: bytes) -> object:
        """A stream of a cloud: the same events in any pieces, and chunks that can be written."""
        whole = _events([data])
        size = 1 + zlib.crc32(data) % 29
        assert _events(data[at : at + size] for at in range(0, len(data), size)) == whole, "the same in any pieces"
        return self._read(data, _EVENTS)

    def _read(self, data: bytes, kind: str) -> str:
        async def sent() -> AsyncGenerator[bytes, None]:
            for at in range(0, len(data), 4_096):
                yield data[at : at + 4_096]

        async def read() -> list[Chunk]:
            async with aclosing(sent()) as pieces, aclosing(read_chunks(pieces, kind, PEER, 2)) as chunks:
                return [chunk async for chunk in restore_chunks(_Restores(), chunks)]

        try:
            chunks = self._run(read())
        except NetGPTError as error:
            return error.code
        written = orjson.dumps(join_chunks(chunks))
        assert len(written) < 60 * len(data) + 10_000, "a bounded answer"
        return f"{len(chunks)} chunks"

    def gguf(self, data: bytes) -> object:
        return self._file("x.gguf", data, check_weights), self._file("x.gguf", data, read_adapter)

    def peft(self, data: bytes) -> object:
        config, _, weights = data.partition(b"\n\0\n")
        (self._folder / CONFIG).write_bytes(config)
        return self._file(PEFT_WEIGHTS, weights, lambda path: read_peft(path.parent, FAMILIES["llama"]))

    def card(self, data: bytes) -> object:
        return self._file("card.json", data, read_card)

    def geojson(self, data: bytes) -> object:
        return self._file("places.geojson", data, _places)

    def settings(self, data: bytes) -> object:
        return self._file("netgpt.toml", data, lambda path: load_settings(path, {}), SettingsError)

    def policy(self, data: bytes) -> object:
        return self._file("own.cedar", data, _rules, SettingsError)

    def operator(self, data: bytes) -> object:
        try:
            reply = orjson.loads(data)
        except ValueError:
            return "no JSON"
        if not isinstance(reply, dict):
            return "no object"
        figures = {**read_measurements(reply), **read_bearers(reply)}
        assert all(math.isfinite(figure) and figure >= 0 for figure in figures.values()), "figures that can be used"
        insight = read_quality(reply)
        assert insight is None or (0 <= insight.grade <= 1 and len(insight.text) < 300), "an insight in few words"
        return sorted(figures), insight is not None

    def _file(
        self, name: str, data: bytes, read: Callable[[Path], object], refused: type[NetGPTError] = RequestError
    ) -> str:
        path = self._folder / name
        path.write_bytes(data)
        try:
            read(path)
        except refused as error:
            assert len(error.message) < 20_000, "an error is short"
            return type(error).__name__
        return "read"

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)


class _Restores:
    def restorer(self) -> Restorer:
        return Restorer(ORIGINALS)


def line(port: int) -> Target:
    """The HTTP head and the body, over a socket to a gateway that listens on `port` of this machine."""
    body = orjson.dumps({"model": "netgpt/edge", "messages": [{"role": "user", "content": "hi"}]})
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    seeds = (
        head + b"content-length: %d\r\n\r\n" % len(body) + body,
        head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"DELETE /v1/profiles/ada HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n\r\n",
        b"GET /v1/models?a=b HTTP/1.1\r\nhost: localhost\r\n\r\nGET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    words = (
        b"host: ", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"expect: 100-continue\r\n",
        b"0\r\n\r\n", b"\t",
        b"content-encoding: gzip\r\n", b"HTTP/1.0", b"/v1/keys", b"/v1/exchanges/", b"%2e%2e",
        b"authorization: Bearer ",
        b"upgrade: websocket\r\n", b"range: bytes=0-\r\n", b"x-forwarded-for: a\r\n", b"PATCH", b"OPTIONS", b"\x00",
        b" HTTP/1.1\r\n",
    )  # fmt: skip

    def read(data: bytes) -> object:
        answers = _said(port, data)
        statuses = [part.split(b" ", 1)[0] for part in answers.split(b"HTTP/1.1 ")[1:]]
        assert not any(status in (b"500", b"501") for status in statuses), "never a 500"
        assert b"Traceback" not in answers, "no trace of the inside"
        return statuses[:3]

    return Target(LINE, seeds, read, words)


def _said(port: int, data: bytes) -> bytes:
    """What the server says to these bytes, after which the sender has nothing more to say."""
    said = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.settimeout(10)
        try:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            while piece := line.recv(65_536):
                said += piece
        except ConnectionError:
            pass
    return bytes(said)


_EVENTS: Final = "text/event-stream"


def _events(pieces: Iterable[bytes]) -> list[Event] | str:
    parser = EventParser()
    try:
        return [event for piece in pieces for event in parser.feed(piece)]
    except BrokenStream as error:
        return error.code


def _rules(path: Path) -> object:
    """The statements first: only where they are whole are they read with the ground, which takes long."""
    read_rules(path.read_text("utf-8"), str(path)) if path.read_bytes().isascii() else None
    return Policy.load(str(path))


def _places(path: Path) -> object:
    for place in read_geojson(path, lambda message: None):
        assert -90 <= place.latitude <= 90 and -180 <= place.longitude <= 180, "on the earth"
        f"{place.id}{place.name}{place.kind}{place.text}{place.tags}".encode()
    return None


def _names_in(value: Any) -> set[str]:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {*(value if isinstance(value, Mapping) else ()), *(name for each in inner for name in _names_in(each))}


def _texts() -> Sequence[bytes]:
    return (
        b"Please write to \x02 and pay with \x02, account \x02, phone \x02.", b'{"to": "\x02", "n": ["\x02"]}',
        b"```python\nmail = '\x02'\n```\n| a | \x02 |\n", "Grüße an \x02, \u202e\x02 \u200b".encode(),
        b"[EMAIL_1] [PERSON_2] \x02",
    )  # fmt: skip


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def _gguf(facts: Mapping[str, Any]) -> bytes:
    """A small GGUF: texts and float32 as metadata, tensors of F16 as (name, shape)."""
    tensors = facts["tensors"]
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(facts["metadata"]))
    for key, value in facts["metadata"].items():
        head += _text(key) + (struct.pack("<If", 6, value) if isinstance(value, float) else
                              struct.pack("<I", 8) + _text(value))  # fmt: skip
    body = b""
    for name, (wide, high) in tensors:
        head += _text(name) + struct.pack("<IQQIQ", 2, wide, high, 1, len(body))
        body += b"\0\x3c" * (wide * high) + b"\0" * (-2 * wide * high % 32)
    return head + b"\0" * (-len(head) % 32) + body


_MODEL: Final = {
    "metadata": {"general.architecture": "llama", "general.name": "tiny", "tokenizer.chat_template": "{{ messages }}"},
    "tensors": [("blk.0.attn_q.weight", (8, 8)), ("token_embd.weight", (8, 4))],
}  # fmt: skip
_ADAPTER: Final = {
    "metadata": {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora",
        "adapter.lora.alpha": 16.0},
    "tensors": [("blk.0.attn_q.weight.lora_a", (8, 2)), ("blk.0.attn_q.weight.lora_b", (2, 8))],
}  # fmt: skip
_CARD: Final = orjson.dumps(
    {
        "name": "site", "version": 1, "scope": "site", "base": "tiny", "base_sha256": "b" * 64,
        "architecture": "llama", "rank": 4,
        "alpha": 16.0, "targets": ["attn_q"], "weights_sha256": "a" * 64, "bytes": 5, "recipe": {},
        "data_digest": "d" * 64,
        "examples": 3, "created": "2025-01-02T00:00:00Z",
    }
)  # fmt: skip


def _peft(config: Mapping[str, Any]) -> bytes:
    """A PEFT folder as one input: its configuration, then its safetensors."""
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    header = orjson.dumps({f"{name}A.weight": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
                           f"{name}B.weight": {"dtype": "F32", "shape": [4, 2], "data_offsets": [32, 64]}})  # fmt: skip
    return orjson.dumps(config) + b"\n\0\n" + struct.pack("<Q", len(header)) + header + b"\0" * 64


_PLACES: Final = {"type": "FeatureCollection", "features": [
    {"type": "Feature", "id": 1, "geometry": {"type": "Point", "coordinates": [0.12, 52.2]},
     "properties": {"name": "the mill", "amenity": "restaurant", "cuisine": "thai;vegan", "tags": ["a"], "phone": 5}},
    {"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": [
        {"type": "Polygon", "coordinates": [[[0, 1], [2, 3], [4, 5]]]}]}, "properties": {"name": "park",
        "leisure": "park"}},
]}  # fmt: skip
_SETTINGS: Final = b"""home = "/tmp/x"
[cloud]
base_url = "https://cloud.example/v1"
model = "m"
timeout = 60
[policy]
set = "balanced"
[[upstreams]]
name = "other"
base_url = "https://other.example/v1"
[server]
port = 8080
max_concurrency = 5
"""
_RULES: Final = b"""// rules of our own
@id("own-public")
permit (principal, action == Action::"disclose", resource)
when { resource.label == "public" };
@id("own-placeholder")
permit (principal, action == Action::"disclose", resource)
when { resource.label == "personal" && context.precision == "placeholder" };
"""
_NETWORK: Final = {
    "cellInfo": [{"dl_total_prb_usage_cell": 50, "ul_nongbr_pdr_cell": 1.5}],
    "cellUEInfo": [{"dl_nongbr_delay_ue": 12, "dl_nongbr_throughput_ue": 1e6}],
    "cellUserInfo": [{"ueInfo": [{"erabInfo": [{"erabQosParameters": {"qosInformation": {"erabMbrDl": 100}}}]}]}],
    "jitter": "meets the application requirements", "additionalKPIs": {"signalStrength": "good",
        "connectivityType": "4G"},
}  # fmt: skip


async def run(
    only: Sequence[str], *, seconds: float, seed: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Fuzz the targets of these names (none: all),
    each for its share of the time. Raises RequestError: no such name."""
    known = [*Reads.NAMES, LINE]
    if unknown := [name for name in only if name not in known]:
        raise RequestError(f"--target {unknown[0]}: no such target; there are: {', '.join(known)}", param="target")
    wanted = only or known
    with tempfile.TemporaryDirectory(prefix="netgpt-fuzz-") as folder:
        rows = await asyncio.to_thread(_run_files, wanted, seconds / len(wanted), seed, progress)
        if LINE in wanted:
            settings = {"NETGPT_COMPLETION__MODE": "off", "NETGPT_SERVER__DEADLINE_S": "5"}
            async with fake_cloud() as edge:
                settings["NETGPT_EDGE__BASE_URL"] = f"http://127.0.0.1:{edge}/v1"
                async with gateway(Path(folder) / "home", settings) as (port, _process):
                    rows += await asyncio.to_thread(
                        fuzz_each, {LINE: line(port)}, seconds=seconds / len(wanted), seed=seed, progress=progress
                    )
    return rows


def _run_files(
    wanted: Sequence[str], each_s: float, seed: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    reads = Reads()
    try:
        targets = {name: target for name, target in reads.targets().items() if name in wanted}
        return fuzz_each(targets, seconds=each_s, seed=seed, progress=progress)
    finally:
        reads.close()
