"""The vault: what leaves holds nothing private, and comes back as it was."""

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from netgpt_bench.people import PLACES, Planter, data_uri, leaks

from netgpt.errors import DetectorError, NotDisclosable, PrivacyError
from netgpt.privacy.detector import Detector
from netgpt.privacy.media import clean_media
from netgpt.privacy.vault import Vault
from netgpt.types import Span

SHARED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = [("diet", "gluten-free"), ("CAR", "Fiat Panda"), ("X", "7")]
PRIVATE = ["ada@mill.org", "4111 1111 1111 1111", "+44 20 7946 0018", "12 Mill Road", "gluten-free", "Fiat Panda"]
LOOKALIKES = ["[EMAIL_1]", "EMAIL_1", "[**Person_2**]", "<DIET_1>", "[LITERAL_1]", "[", "]", "\\", "_1", "**", " ", "7"]
AWKWARD = [
    "\n",
    "\u200f",
    "e\u0301",
    "مرحبا",
    "שלום",
    "👩\u200d👧",
    "ａｄａ＠ｍｉｌｌ．ｏｒｇ",
    "\\u0040",
    '{"a": 1}',
    "'",
]
PIECES = st.sampled_from([*PRIVATE, *LOOKALIKES, *AWKWARD, "Ada Lovelace", "https://a:b@c.example/x"])


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    chat = [m if isinstance(m, dict) else {"role": "user", "content": m} for m in messages]
    return {"model": "m", "messages": chat, **more}


async def sealed(
    detector: Detector, body: dict[str, Any], vault: Vault | None = None, **options: Any
) -> dict[str, Any]:
    outbound = await (vault or Vault()).seal(body, detector, **options)
    return dict(json.loads(outbound.content))


@given(pieces=st.lists(PIECES | st.text(max_size=6), max_size=10))
@SHARED
async def test_masked_echoed_and_restored_is_the_original(detector: Detector, pieces: list[str]) -> None:
    text = "".join(pieces).encode("utf-8", "ignore").decode()
    vault = Vault()
    body = await sealed(detector, chat(text), vault, values=VALUES)
    echoed = body["messages"][0]["content"]
    restored = vault.restorer().text(echoed)
    if text.lstrip()[:1] in ("{", "[") and restored != text:
        assert json.loads(restored) == json.loads(text)
    else:
        assert restored == text
    for value in ("ada@mill.org", "4111 1111 1111 1111", "Fiat Panda"):
        assert f" {value} " not in f" {echoed} "


async def test_placeholders_are_stable_over_fifty_turns_and_reloads(detector: Detector) -> None:
    state: bytes | None = None
    history: list[Any] = []
    seen: dict[Any, Any] = {}
    for turn in range(50):
        vault = Vault(state)
        history.append({"role": "user", "content": f"Mail user{turn % 7}@mill.org or ADA@mill.org about turn {turn}."})
        body = await sealed(detector, chat(*history, user="ada"), vault)
        for number, message in enumerate(body["messages"]):
            assert seen.setdefault(number, message["content"]) == message["content"]
        assert seen.setdefault("user", body["user"]) == body["user"] != "ada"
        state = vault.dump()
    assert vault.restorer().text(seen[0]) == history[0]["content"]


@pytest.mark.parametrize("place", PLACES)
async def test_nothing_planted_leaves_from_any_place(detector: Detector, place: str) -> None:
    planter = Planter(seed=PLACES.index(place))
    named = 0
    for _ in range(6):
        planted = planter.plant(planter.person(), place)
        assert leaks(json.dumps(planted.body).encode(), planted.values), "the audit must see what was planted"
        outbound = await Vault().seal(planted.body, detector, values=planted.profile, media=planted.media)
        left = leaks(outbound.content, planted.values)
        named += left.pop("PERSON", 0)
        assert left == {}
    assert named <= 5


async def test_structure_survives(detector: Detector) -> None:
    body = chat(
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": None, "tool_calls": [_call("call_1", "book", '{"n": 1.50,  "ok": true}')]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"type": "user", "role": "x"}'},
        stream=True,
        temperature=0.2,
        seed=12345,
        tools=[{"type": "function", "function": {"name": "book", "parameters": SCHEMA, "strict": True}}],
        tool_choice="auto",
        response_format={"type": "json_schema", "json_schema": {"name": "out", "schema": SCHEMA, "strict": True}},
        stream_options={"include_usage": True},
        logit_bias={"50256": -100},
    )
    before = copy.deepcopy(body)
    outbound = await Vault().seal(body, detector, values=[("ROLE", "user"), ("WORD", "content"), ("T", "string")])
    got = json.loads(outbound.content)
    assert body == before
    assert outbound.stream is True
    got["messages"][2]["content"] = body["messages"][2]["content"]
    assert got == body


def _call(number: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["a", "b"]},
        "days": {"type": ["integer", "null"], "minimum": 10000},
    },
    "required": ["city"],
    "additionalProperties": False,
}


async def test_a_parameter_that_holds_a_number_of_someone_is_left_out(detector: Detector) -> None:
    got = await sealed(detector, chat("hi", seed=4111111111111111, temperature=0.5))
    assert got == chat("hi", temperature=0.5)


async def test_identifiers_get_placeholders_that_are_identifiers(detector: Detector) -> None:
    call = _call("call_ada@mill.org", "order_vegetarian", "{}")
    body = chat(
        {"role": "user", "name": "Grace_H", "content": "Grace_H says hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_ada@mill.org", "content": "ok"},
        tools=[{"type": "function", "function": {"name": "order_vegetarian"}}],
        tool_choice={"type": "function", "function": {"name": "order_vegetarian"}},
    )
    vault = Vault()
    got = await sealed(detector, body, vault, values=[("diet", "vegetarian")])
    name = got["tools"][0]["function"]["name"]
    assert name == "order_DIET_1" == got["messages"][1]["tool_calls"][0]["function"]["name"]
    assert got["tool_choice"]["function"]["name"] == name
    assert vault.restorer().text(name) == "order_vegetarian"
    assert got["messages"][1]["tool_calls"][0]["id"] == got["messages"][2]["tool_call_id"] != "call_ada@mill.org"
    assert got["messages"][0]["name"] == "PERSON_1"
    assert got["messages"][0]["content"] == "[PERSON_1] says hi"


async def test_identifiers_that_look_like_placeholders_keep_their_meaning(detector: Detector) -> None:
    parameters = {"type": "object", "properties": {"address_1": {"type": "string"}}, "required": ["address_1"]}
    tools = [{"type": "function", "function": {"name": "ship", "parameters": parameters}}]
    vault = Vault()
    got = await sealed(detector, chat("Ship to 12 Mill Road, as ADDRESS_1 says", tools=tools), vault)
    assert got["tools"] == tools
    assert got["messages"][0]["content"] == "Ship to [ADDRESS_2], as [LITERAL_1] says"
    assert vault.restorer().text('{"address_1": "[ADDRESS_2]"}', as_json=True) == '{"address_1": "12 Mill Road"}'


async def test_json_in_strings_is_opened(detector: Detector) -> None:
    hidden = "".join(f"\\u{ord(c):04x}" for c in "ada@mill.org")
    doubled = '{"a": "ada@mill.org", "a": "x"}'
    inner = json.dumps({"deep": json.dumps([{"m": "ada@mill.org", "card": 4111111111111111}])})
    for arguments in (f'{{"e": "{hidden}"}}', doubled, inner, f'{{"e": "{hidden}"', '{"phone": 447700900123}'):
        body = chat({"role": "assistant", "tool_calls": [_call("c", "f", arguments)]})
        outbound = await Vault().seal(body, detector)
        left = leaks(outbound.content, {"E": ["ada@mill.org"], "C": ["4111111111111111"], "P": ["447700900123"]})
        assert left == {}
        assert hidden.encode() not in outbound.content


async def test_a_value_cut_in_two_parts_is_found(detector: Detector) -> None:
    parts = [{"type": "text", "text": "my mail is ada@mi"}, {"type": "text", "text": "ll.org, yes"}]
    got = await sealed(detector, chat({"role": "user", "content": parts}))
    assert [part["text"] for part in got["messages"][0]["content"]] == ["my mail is [EMAIL_1]", "[EMAIL_2], yes"]


async def test_the_account_names_no_value(detector: Detector) -> None:
    vault = Vault()
    outbound = await vault.seal(chat("ada@mill.org and ada@mill.org, card 4111 1111 1111 1111"), detector)
    hidden = {(h.placeholder, h.kind, h.rule, h.count) for h in outbound.hidden}
    assert hidden == {("[EMAIL_1]", "EMAIL", "pattern:email", 2), ("[CARD_1]", "CARD", "pattern:card", 1)}
    assert vault.found_kinds == {"EMAIL", "CARD"}
    assert "ada" not in repr(vault) + repr(outbound) + repr(vault.restorer())
    assert outbound.rule == "masked"


async def test_media_stay_unless_sent(detector: Detector) -> None:
    url = clean_media(data_uri("png", "ada@mill.org"))
    image = {"type": "image_url", "image_url": {"url": url}}
    named = {"filename": "ada@mill.org.png", "file_data": url}
    file = {"type": "file", "file": named}
    for part in (image, file, {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}):
        with pytest.raises(NotDisclosable, match="media"):
            await Vault().seal(chat({"role": "user", "content": [part]}), detector)
    got = await sealed(detector, chat({"role": "user", "content": [image, file]}), media="send")
    assert got["messages"][0]["content"][0] == image
    assert got["messages"][0]["content"][1]["file"] == {
        "filename": "[EMAIL_1]",
        "file_data": named["file_data"],
    }
    document = {"type": "file", "file": {"filename": "x.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
    with pytest.raises(NotDisclosable, match="document"):
        await Vault().seal(chat({"role": "user", "content": [document]}), detector, media="send")
    with pytest.raises(NotDisclosable, match="encoded data"):
        await Vault().seal(chat("![x](data:image/png;base64," + "A" * 100 + ")"), detector)


async def test_a_trusted_destination_gets_everything(detector: Detector) -> None:
    body = chat("ada@mill.org", user="ada")
    outbound = await Vault().seal(body, detector, trusted=True)
    assert json.loads(outbound.content) == body
    assert (outbound.rule, outbound.hidden) == ("trusted destination", ())


async def test_public_phrases_may_stay_but_patterns_beat_them(detector: Detector) -> None:
    text = "We are in Cambridge with Grace Hopper, ada@mill.org"
    got = await sealed(detector, chat(text), public=["Cambridge", "ada@mill.org"])
    assert got["messages"][0]["content"] == "We are in Cambridge with [PERSON_1], [EMAIL_1]"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (chat("x" * 5001), "max_chars"),
        ({"messages": [], "model": "ada@mill.org"}, "model's name"),
        (chat({"role": "user", "content": json.loads("[" * 90 + "]" * 90)}), "nested"),
    ],
)
async def test_what_cannot_be_made_safe_does_not_leave(detector: Detector, body: dict[str, Any], why: str) -> None:
    with pytest.raises(NotDisclosable, match=why):
        await Vault().seal(body, detector, max_chars=5000)


class Restless:
    """A detector that fails, or finds something else at each call."""

    def __init__(self, error: bool = False) -> None:
        self.error = error
        self.calls = 0

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        if self.error:
            raise DetectorError("gone")
        self.calls += 1
        return [[Span(self.calls, self.calls + 1, "X", "r")] if len(text) > 60 else [] for text in texts]

    def health(self) -> tuple[bool, str]:
        return False, "restless"

    async def close(self) -> None: ...


async def test_what_is_found_again_and_again_does_not_leave() -> None:
    with pytest.raises(NotDisclosable, match=r"made safe|grew"):
        await Vault().seal(chat("a-b-c-d-e-f-g-h-" * 8), FindsMore())


class FindsMore(Restless):
    """Finds the last plain letter of a long text, each time another one."""

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        return [[Span(at, at + 1, "X", "r")] if (at := max(map(text.rfind, "abcdefgh"))) > 20 else [] for text in texts]


async def test_a_detector_that_fails_makes_nothing() -> None:
    with pytest.raises(DetectorError):
        await Vault().seal(chat("hi"), Restless(error=True))


async def test_lone_surrogates_do_not_break_the_bytes(detector: Detector) -> None:
    got = await sealed(detector, chat("a \ud800 b ada@mill.org"))
    assert got["messages"][0]["content"] == "a \ufffd b [EMAIL_1]"


def test_a_damaged_map_is_refused() -> None:
    for state in (b"", b"{}", b'{"version": 2}', b"\xff", b'{"version": 1, "secret": "zz", "map": []}', b"[]"):
        with pytest.raises(PrivacyError, match="damaged"):
            Vault(state)


class Scripted:
    """A detector with scripted finds, as the tagger would have."""

    def __init__(self, *found: tuple[str, str]) -> None:
        self.found = found

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def detect(self, texts: Any, *, values: Any = (), names: Any = None) -> list[list[Span]]:
        return [
            [Span(t.find(word), t.find(word) + len(word), kind, "names") for word, kind in self.found if word in t]
            for t in texts
        ]


@pytest.mark.parametrize(
    ("said", "word", "kind", "public"),
    [
        ("Tom, aged 47, called", "47", "AGE", "It is Monday, 23 November 2026, 11:47"),
        ("born on 23 November they say", "23 November", "DATE", "It is Monday, 23 November 2026, 11:47"),
        ("I have diabetes", "diabetes", "HEALTH", "Nearby: Portwick Diabetes Clinic"),
        ("Mrs Smith called", "Smith", "PERSON", "Nearby: Smith and Sons Bakery"),
    ],
)
async def test_a_public_fact_does_not_make_everybodys_words_public(
    said: str, word: str, kind: str, public: str
) -> None:
    body = chat({"role": "system", "content": public}, {"role": "user", "content": said})
    outbound = await Vault().seal(body, Scripted((word, kind)), public=[public])
    sent = json.loads(outbound.content)["messages"]
    assert word not in sent[1]["content"] and sent[0]["content"] == public
